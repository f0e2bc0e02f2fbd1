/*
 * What the io programs do around their connection: operands, descriptors, signals, and waiting for prog.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>
#include "chain/chain.h"

static char words[200]; /* of the one problem that ends the program */

static bool complain(const char **problem, const char *what, const char *text)
{
	(void)snprintf(words, sizeof words, "%s: %.100s: not a number", what, text);
	*problem = words;
	return false;
}

bool chain_io_operands(
	const struct tls_options *options, int argc, char *const *argv, struct chain_io *io, const char **problem)
{
	unsigned long fdr, fdw, report = 0, control = 0, pid = 0;

	if (argc != 2) {
		*problem = "needs two descriptors to work on";
		return false;
	}
	if (!option_scan_number(argv[0], 1000000, &fdr))
		return complain(problem, "descriptor", argv[0]);
	if (!option_scan_number(argv[1], 1000000, &fdw))
		return complain(problem, "descriptor", argv[1]);
	if (options->report && !option_scan_number(options->report, 1000000, &report))
		return complain(problem, "option -d", options->report);
	if (options->control && !option_scan_number(options->control, 1000000, &control))
		return complain(problem, "option -c", options->control);
	if (options->control && (!options->report || !options->pid)) {
		*problem = "option -c needs -d and -p";
		return false;
	}
	if (options->pid && (!option_scan_number(options->pid, 2147483647, &pid) || !pid))
		return complain(problem, "option -p", options->pid);
	if (options->password && (fdr == CHAIN_PASSWORD_FD || fdw == CHAIN_PASSWORD_FD ||
								 report == CHAIN_PASSWORD_FD || control == CHAIN_PASSWORD_FD)) {
		*problem = "descriptor 3 is where option -3 reads the password";
		return false;
	}
	if (fcntl((int)fdr, F_GETFD) < 0 || fcntl((int)fdw, F_GETFD) < 0 ||
		(options->report && fcntl((int)report, F_GETFD) < 0) ||
		(options->control && fcntl((int)control, F_GETFD) < 0)) {
		*problem = "a descriptor that was named is not open";
		return false;
	}
	*io = (struct chain_io){ .fdr = (int)fdr,
		.fdw = (int)fdw,
		.report = options->report ? (int)report : -1,
		.control = options->control ? (int)control : -1,
		.password = options->password ? CHAIN_PASSWORD_FD : -1,
		.prog = (pid_t)pid };
	return true;
}

static void close_range_of(int first, int last)
{
	if (first > last)
		return;
#ifdef __linux__
	if (close_range((unsigned)first, (unsigned)last, 0) == 0)
		return;
#endif
	long most = sysconf(_SC_OPEN_MAX);
	for (int fd = first; fd <= last && fd < (most > 0 ? most : 1024); fd++)
		(void)close(fd); /* most of them are not open */
}

void chain_close_others(const struct chain_io *io)
{
	const int kept[] = { io->fdr, io->fdw, io->report, io->control, io->password };
	int next = 3;

	for (;;) { /* the gaps between what is kept, in order */
		int lowest = -1;
		for (size_t i = 0; i < sizeof kept / sizeof kept[0]; i++)
			if (kept[i] >= next && (lowest < 0 || kept[i] < lowest))
				lowest = kept[i];
		if (lowest < 0)
			break;
		close_range_of(next, lowest - 1);
		next = lowest + 1;
	}
	close_range_of(next, 2147483647);
}

static bool passed_on(sigset_t *set)
{
	return sigemptyset(set) == 0 && sigaddset(set, SIGTERM) == 0 && sigaddset(set, SIGHUP) == 0 &&
		   sigaddset(set, SIGINT) == 0;
}

bool chain_hold_signals(void)
{
	sigset_t set;
	return passed_on(&set) && sigaddset(&set, SIGCHLD) == 0 && sigprocmask(SIG_SETMASK, &set, NULL) == 0 &&
		   signal(SIGPIPE, SIG_IGN) != SIG_ERR && signal(SIGCHLD, SIG_DFL) != SIG_ERR;
}

static int exit_code_of(int status)
{
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int chain_wait_for_prog(pid_t prog)
{
	sigset_t set;

	close_range_of(0, 2147483647);
	if (prog <= 0 || !passed_on(&set) || sigaddset(&set, SIGCHLD) < 0)
		return 0;
	for (;;) { /* SIGCHLD is blocked, so an end between the two calls is not missed */
		int status;
		siginfo_t info;
		pid_t got = waitpid(prog, &status, WNOHANG);

		if (got == prog)
			return exit_code_of(status);
		if (got < 0 && errno != EINTR)
			return 0; /* not our child: nothing to wait for */
		if (sigwaitinfo(&set, &info) > 0 && info.si_signo != SIGCHLD && info.si_code == SI_USER)
			(void)kill(prog, info.si_signo); /* where the uids allow it */
	}
}
