/*
 * tcponce host port prog…: waits for one connection, and becomes prog with it on descriptors 6 and 7, as a
 * client would have it.
 */
#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "chain/chain.h"
#include "net/net.h"

static const char program[] = "tcponce";
static const char usage[] = "[ -146hHrRdDqQv ] [ -l localname ] [ -t seconds ] host port prog";

struct options {
	struct tcp_client_options client;
	int print_port;
};

#define SET(letter, field, value)                                                                            \
	{                                                                                                        \
		(letter), OPTION_SET, offsetof(struct options, field), (value), 0, 0, NULL                           \
	}

static const struct option table[] = { SET('1', print_port, 1), SET('4', client.family, 4),
	SET('6', client.family, 6), SET('h', client.remote_host, 1), SET('H', client.remote_host, 0),
	SET('r', client.remote_info, 1), SET('R', client.remote_info, 0), SET('d', client.delay, 1),
	SET('D', client.delay, 0), SET('q', client.verbosity, 0), SET('Q', client.verbosity, 1),
	SET('v', client.verbosity, 2),
	{ 'l', OPTION_TEXT, offsetof(struct options, client.local_name), 0, 0, 0, NULL },
	{ 't', OPTION_NUMBER, offsetof(struct options, client.names_s), 0, 1, 2147483, "seconds" },
	{ 0, OPTION_END, 0, 0, 0, 0, NULL } };

/* The listening socket does not block, and a connection may be gone again before it is taken. */
static int accept_one(int listener)
{
	struct pollfd polled = { .fd = listener, .events = POLLIN };
	int connection;

	for (;;) {
		if (poll(&polled, 1, -1) < 0 && errno != EINTR)
			net_die(program, EXIT_SYSTEM, "wait for a connection", NULL, strerror(errno));
		connection = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
		if (connection >= 0)
			return connection;
		if (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR && errno != ECONNABORTED)
			net_die(program, EXIT_SYSTEM, "accept a connection", NULL, strerror(errno));
	}
}

int main(int argc, char **argv)
{
	struct options options = { .client = tcp_client_defaults };
	struct net_listen what = { .backlog = 1 };
	struct net_address bound;
	stralloc changes = STRALLOC_ZERO;
	int first, listener, connection;

	first = chain_begin(program, usage, table, &options, 3, argc, argv);
	what.host = argv[first];
	what.family = (enum net_family)options.client.family;
	listener = net_listen_or_die(program, &what, argv[first + 1], &bound);
	if (options.print_port && !net_print_port(&bound))
		net_die(program, EXIT_SYSTEM, "print the port", NULL, strerror(errno));
	connection = accept_one(listener);
	if (close(listener) < 0)
		net_die(program, EXIT_SYSTEM, "stop listening", NULL, strerror(errno));
	tcp_client_take(program, &options.client, connection, NET_VARIABLES_TCP, &changes);
	chain_become_prog(program, argv + first + 2, &changes);
}
