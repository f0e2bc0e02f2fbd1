/*
 * What httpconnect and socks5 share: their command line, and what comes after the proxy has agreed.
 */
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include "chain/chain.h"
#include "internal.h"
#include "net/net.h"

static const char usage[] = "[ -a file | -A descriptor ] [ -T seconds ] host port prog";

struct options {
	const char *file, *descriptor;
	unsigned seconds;
};

static const struct option table[] = {
	{ 'a', OPTION_TEXT, offsetof(struct options, file), 0, 0, 0, NULL },
	{ 'A', OPTION_TEXT, offsetof(struct options, descriptor), 0, 0, 0, NULL },
	{ 'T', OPTION_NUMBER, offsetof(struct options, seconds), 0, 1, 86400, "seconds" },
	{ 0, OPTION_END, 0, 0, 0, 0, NULL },
};

static void read_user(struct proxy_link *link, const struct options *options)
{
	unsigned long fd = 0;
	const char *words = NULL;

	if (!options->file && !options->descriptor)
		return;
	if (options->file && options->descriptor)
		net_usage(link->program, "-a and -A exclude each other", usage);
	if (options->descriptor &&
		(!option_scan_number(options->descriptor, 1000000, &fd) || fd == 1 || fd == 2 || fd == 6 || fd == 7))
		net_usage(link->program, "-A must be the number of a descriptor, and not 1, 2, 6 or 7", usage);
	if (!proxy_read_user(options->file, (int)fd, &link->user, &words))
		net_die(link->program, EXIT_CONFIGURATION, "read user and password from",
			options->file ? options->file : "the descriptor", words);
}

void proxy_link_read(struct proxy_link *link, const char *program, int argc, char **argv)
{
	struct options options = { .seconds = STARTTLS_DIALOGUE_S };
	uint16_t port;
	int first;

	*link = (struct proxy_link){ .program = program,
		.wire = { .reading = 6, .writing = 7, .budget = STARTTLS_BUDGET } };
	first = chain_begin(program, usage, table, &options, 3, argc, argv);
	if (!proxy_is_host(argv[first]))
		net_usage(program, "host must be a host name or an IP address, without brackets", usage);
	if (!net_scan_port(argv[first + 1], &port) || port == 0)
		net_usage(program, "port must be a number from 1 to 65535 or the name of a service", usage);
	if (fcntl(6, F_GETFD) < 0 || fcntl(7, F_GETFD) < 0)
		net_usage(program, "descriptors 6 and 7 must be a connection, as tcpclient makes one", usage);
	read_user(link, &options);
	link->host = argv[first];
	link->port = port;
	link->prog = argv + first + 2;
	link->wire.deadline = net_now() + (int64_t)options.seconds * 1000;
}

void proxy_link_become_prog(struct proxy_link *link)
{
	stralloc changes = STRALLOC_ZERO;

	if (!getenv("TLS_PEERNAME") && !chain_set(&changes, "TLS_PEERNAME", link->host))
		net_die(link->program, EXIT_SYSTEM, "change the environment", NULL, strerror(ENOMEM));
	chain_become_prog(link->program, link->prog, &changes);
}
