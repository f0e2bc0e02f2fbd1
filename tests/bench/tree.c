/*
 * tree prog…: runs a server, passes SIGTERM on to it, waits for it and for whatever it left behind, and
 * writes the processor time of them all, in microseconds, to descriptor 3. package/bench starts each server
 * with it. As the reaper of orphans it counts the processes that a server did not wait for; only a server
 * that ignores SIGCHLD could hide some, and none here does.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { REPORT = 3, PATIENCE_S = 20 };

static volatile sig_atomic_t server;

static void pass_on(int number)
{
	if (server > 0)
		(void)kill((pid_t)server, number);
	(void)alarm(PATIENCE_S); /* nothing that outlives its server by so much is waited for */
}

static long long microseconds(struct timeval t)
{
	return (long long)t.tv_sec * 1000000 + t.tv_usec;
}

int main(int argc, char **argv)
{
	struct rusage used;
	sigset_t term, before;
	pid_t pid;

	(void)argc;
	if (prctl(PR_SET_CHILD_SUBREAPER, 1L) < 0 || signal(SIGTERM, pass_on) == SIG_ERR ||
		sigemptyset(&term) < 0 || sigaddset(&term, SIGTERM) < 0 || sigprocmask(SIG_BLOCK, &term, &before) < 0)
		return 111;
	pid = fork();
	if (pid < 0)
		return 111;
	if (pid == 0) {
		if (signal(SIGTERM, SIG_DFL) == SIG_ERR || sigprocmask(SIG_SETMASK, &before, NULL) < 0 ||
			close(REPORT) < 0)
			_exit(111);
		(void)execvp(argv[1], argv + 1);
		perror(argv[1]);
		_exit(111);
	}
	server = pid;
	if (sigprocmask(SIG_SETMASK, &before, NULL) < 0)
		return 111;
	while ((pid = wait(NULL)) > 0 || errno == EINTR)
		if (pid == server)
			server = 0; /* its number may be another's from now on */
	if (getrusage(RUSAGE_CHILDREN, &used) < 0)
		return 111;
	return dprintf(REPORT, "%lld\n", microseconds(used.ru_utime) + microseconds(used.ru_stime)) > 0 ? 0 : 111;
}
