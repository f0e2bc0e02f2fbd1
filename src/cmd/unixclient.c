/*
 * unixclient path prog…: connects to a Unix socket, and becomes prog with the connection on descriptors 6 and
 * 7. The variables are those of ucspi-unix.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>
#include "chain/chain.h"
#include "net/net.h"

static const char program[] = "unixclient";
static const char usage[] = "[ -qQv ] [ -T seconds ] path prog";

struct options {
	int verbosity;
	unsigned connect_s;
};

static const struct option table[] = { { 'q', OPTION_SET, offsetof(struct options, verbosity), 0, 0, 0,
										   NULL },
	{ 'Q', OPTION_SET, offsetof(struct options, verbosity), 1, 0, 0, NULL },
	{ 'v', OPTION_SET, offsetof(struct options, verbosity), 2, 0, 0, NULL },
	{ 'T', OPTION_NUMBER, offsetof(struct options, connect_s), 0, 1, 2147483, "seconds" },
	{ 0, OPTION_END, 0, 0, 0, 0, NULL } };

/* A server whose backlog is full lets connect wait, for as long as a write may. -1 with errno. */
static int connect_to(const char *path, unsigned seconds)
{
	const struct timeval never = { .tv_sec = 0 }, most = { .tv_sec = (time_t)seconds };
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int connection, failed;

	if (strlen(path) >= sizeof address.sun_path) {
		errno = ENAMETOOLONG;
		return -1;
	}
	memcpy(address.sun_path, path, strlen(path));
	connection = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (connection < 0)
		return -1;
	if (setsockopt(connection, SOL_SOCKET, SO_SNDTIMEO, &most, sizeof most) == 0 &&
		connect(connection, (const struct sockaddr *)&address, sizeof address) == 0 &&
		setsockopt(connection, SOL_SOCKET, SO_SNDTIMEO, &never, sizeof never) == 0)
		return connection;
	failed = errno == EAGAIN ? ETIMEDOUT : errno;
	(void)close(connection);
	errno = failed;
	return -1;
}

static bool set_number(stralloc *changes, const char *name, unsigned long number)
{
	char text[24];

	(void)snprintf(text, sizeof text, "%lu", number);
	return chain_set(changes, name, text);
}

/* Who listens, where the system knows. */
static bool describe_remote(stralloc *changes, int connection)
{
#ifdef SO_PEERCRED
	struct ucred who;
	socklen_t n = sizeof who;

	if (getsockopt(connection, SOL_SOCKET, SO_PEERCRED, &who, &n) == 0)
		return set_number(changes, "UNIXREMOTEEUID", who.uid) &&
			   set_number(changes, "UNIXREMOTEEGID", who.gid) &&
			   set_number(changes, "UNIXREMOTEPID", (unsigned long)who.pid);
#else
	(void)connection;
#endif
	return chain_unset(changes, "UNIXREMOTEEUID") && chain_unset(changes, "UNIXREMOTEEGID") &&
		   chain_unset(changes, "UNIXREMOTEPID");
}

int main(int argc, char **argv)
{
	struct options options = { .verbosity = 1, .connect_s = 60 };
	stralloc changes = STRALLOC_ZERO;
	const char *path;
	int first, connection;

	first = chain_begin(program, usage, table, &options, 2, argc, argv);
	path = argv[first];
	connection = connect_to(path, options.connect_s);
	if (connection < 0) {
		if (options.verbosity >= 1)
			net_die(program, EXIT_SYSTEM, "connect to", path, strerror(errno));
		_exit(EXIT_SYSTEM);
	}
	if (!chain_set(&changes, "PROTO", "UNIX") || !chain_set(&changes, "UNIXLOCALPATH", path) ||
		!set_number(&changes, "UNIXLOCALUID", getuid()) || !set_number(&changes, "UNIXLOCALGID", getgid()) ||
		!set_number(&changes, "UNIXLOCALPID", (unsigned long)getpid()) ||
		!describe_remote(&changes, connection))
		net_die(program, EXIT_SYSTEM, "change the environment", NULL, strerror(ENOMEM));
	if (options.verbosity >= 2)
		net_log(program, ": connected to ", path, NULL);
	if (!chain_place(connection, 6, 7))
		net_die(program, EXIT_SYSTEM, "move the connection", NULL, strerror(errno));
	chain_become_prog(program, argv + first + 1, &changes);
}
