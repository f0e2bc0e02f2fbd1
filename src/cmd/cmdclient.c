/*
 * cmdclient command… -- prog…: a client whose connection is a command: what is written to descriptor 7 is the
 * command's standard input, what it prints is read from 6.
 */
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include "chain/chain.h"
#include "net/net.h"

static const char program[] = "cmdclient";
static const char usage[] = "[ -d mark ] command -- prog";

struct options {
	const char *mark; /* the word between command and prog */
};

static const struct option table[] = { { 'd', OPTION_TEXT, offsetof(struct options, mark), 0, 0, 0, NULL },
	{ 0, OPTION_END, 0, 0, 0, 0, NULL } };

static _Noreturn void die(const char *doing)
{
	net_die(program, EXIT_SYSTEM, doing, NULL, strerror(errno));
}

static _Noreturn void become(char *const *words)
{
	static const stralloc no_changes = STRALLOC_ZERO;

	chain_become_prog(program, words, &no_changes);
}

/* A grandchild, so that prog has no child that it does not know. */
static void start_command(char *const *command, int connection)
{
	pid_t child, ended;
	int status;

	if (signal(SIGCHLD, SIG_DFL) == SIG_ERR || (child = fork()) < 0)
		die("fork");
	if (child == 0) {
		pid_t grandchild = fork();

		if (grandchild)
			_exit(grandchild < 0 ? EXIT_SYSTEM : 0);
		if (!chain_place(connection, 0, 1))
			die("move the connection");
		become(command);
	}
	do
		ended = waitpid(child, &status, 0);
	while (ended < 0 && errno == EINTR);
	if (ended < 0 || status != 0)
		net_die(program, EXIT_SYSTEM, "start", command[0], "no more processes");
}

int main(int argc, char **argv)
{
	struct options options = { .mark = "--" };
	int first, at, pair[2];

	first = chain_begin(program, usage, table, &options, 3, argc, argv);
	for (at = first; at < argc && strcmp(argv[at], options.mark) != 0;)
		at++;
	if (at == first || argc - at < 2)
		net_usage(program, NULL, usage);
	argv[at] = NULL;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		die("make a connection");
	start_command(argv + first, pair[1]);
	if (close(pair[1]) < 0 || !chain_place(pair[0], 6, 7))
		die("move the connection");
	become(argv + at + 1);
}
