/*
 * proxysend: tells the server whom a chain of ours connects to it, in a header of the PROXY protocol. Twice
 * in a chain, as tcpclient puts its own connection into the environment: "proxysend -p" before it makes the
 * header and keeps it in PROXYHEADER, and "proxysend" behind it sends that on descriptor 7.
 */
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include "chain/chain.h"
#include "net/net.h"
#include "starttls/starttls.h"

static const char program[] = "proxysend";
static const char usage[] = "[ -p | -l ] [ -12cn ] [ -T seconds ] prog";
static const char variable[] = "PROXYHEADER";

/* In hexadecimal it has to fit into a variable: 128 KiB in Linux, name included. */
enum { KEPT_MAX = 60000 };

struct options {
	int prepare, local, checksum, little, version;
	unsigned seconds; /* 0: not given */
};

static const struct option table[] = {
	{ 'p', OPTION_SET, offsetof(struct options, prepare), 1, 0, 0, NULL },
	{ 'l', OPTION_SET, offsetof(struct options, local), 1, 0, 0, NULL },
	{ '1', OPTION_SET, offsetof(struct options, version), 1, 0, 0, NULL },
	{ '2', OPTION_SET, offsetof(struct options, version), 2, 0, 0, NULL },
	{ 'c', OPTION_SET, offsetof(struct options, checksum), PROXY_CHECKSUM, 0, 0, NULL },
	{ 'n', OPTION_SET, offsetof(struct options, little), PROXY_LITTLE, 0, 0, NULL },
	{ 'T', OPTION_NUMBER, offsetof(struct options, seconds), 0, 1, 86400, "seconds" },
	{ 0, OPTION_END, 0, 0, 0, 0, NULL },
};

static unsigned char header_bytes[PROXY_HEADER_MAX];

static size_t write_header(const struct options *options, const struct proxy_header *header)
{
	return proxy_header_write(
		header, (unsigned)options->version, options->checksum | options->little, header_bytes);
}

/* ---- before tcpclient ---- */

static bool keep(stralloc *changes, size_t n)
{
	static const char digits[] = "0123456789abcdef";
	static char text[2 * KEPT_MAX + 1];

	for (size_t i = 0; i < n; i++) {
		text[2 * i] = digits[header_bytes[i] >> 4];
		text[2 * i + 1] = digits[header_bytes[i] & 15];
	}
	return chain_set(changes, variable, text);
}

static void prepare(const struct options *options, stralloc *changes)
{
	struct net_connection connection;
	struct proxy_header header;
	const char *why;
	int sets;
	size_t n;

	if (!chain_described(&connection, &sets, &why))
		net_die(program, EXIT_CONFIGURATION, "describe the client", NULL, why);
	proxy_header_from_environment(&connection, &header);
	n = write_header(options, &header);
	if (n > KEPT_MAX)
		net_die(program, EXIT_CONFIGURATION, "keep the header", NULL,
			"it is too long: leave the certificate out (-n)");
	if (!keep(changes, n))
		net_die(program, EXIT_SYSTEM, "change the environment", NULL, strerror(ENOMEM));
}

/* ---- behind it ---- */

static int digit_value(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The header that was kept: its length, 0 if the variable holds none. */
static size_t read_kept(const char *text)
{
	struct proxy_header header;
	const char *why;
	size_t n = strlen(text) / 2;

	if (strlen(text) % 2 || n > KEPT_MAX)
		return 0;
	for (size_t i = 0; i < n; i++) {
		int high = digit_value(text[2 * i]), low = digit_value(text[2 * i + 1]);

		if (high < 0 || low < 0)
			return 0;
		header_bytes[i] = (unsigned char)(high << 4 | low);
	}
	return proxy_header_parse(header_bytes, n, &header, &why) ? n : 0;
}

static void send_header(const struct options *options, stralloc *changes)
{
	static const struct proxy_header own = { .proxied = false };
	struct starttls_wire wire = { .reading = 6, .writing = 7 };
	struct starttls_fault fault;
	struct net_address server;
	char ip[NET_IP_TEXT] = "unknown";
	const char *kept = getenv(variable);
	size_t n;

	if (fcntl(7, F_GETFD) < 0)
		net_usage(program, "descriptor 7 must be a connection, as tcpclient makes one", usage);
	if (!options->local && !kept)
		net_die(program, EXIT_CONFIGURATION, "send a header", NULL,
			"there is none: run proxysend -p before tcpclient");
	n = options->local ? write_header(options, &own) : read_kept(kept);
	if (!n)
		net_die(program, EXIT_CONFIGURATION, "use", variable, "not what proxysend -p sets");
	if (net_remote(7, &server))
		(void)net_format_ip(&server, ip);
	wire.deadline = net_now() + (int64_t)(options->seconds ? options->seconds : PROXY_HEADER_S) * 1000;
	if (!proxy_header_send(&wire, header_bytes, n, &fault))
		starttls_die(program, ip, &fault);
	if (!chain_unset(changes, variable))
		net_die(program, EXIT_SYSTEM, "change the environment", NULL, strerror(ENOMEM));
}

int main(int argc, char **argv)
{
	struct options options = { .seconds = 0 };
	stralloc changes = STRALLOC_ZERO;
	int first;

	first = chain_begin(program, usage, table, &options, 1, argc, argv);
	if (options.prepare && options.local)
		net_usage(program, "-p and -l exclude each other", usage);
	if (!options.prepare && !options.local && (options.version || options.checksum || options.little))
		net_usage(program, "-1, -2, -c and -n are for where the header is made: with -p or -l", usage);
	if (options.prepare && options.seconds)
		net_usage(program, "-T is for where the header is sent: without -p", usage);
	if (options.local && options.little)
		net_usage(program, "-n leaves nothing out with -l", usage);
	if (options.version == 1 && (options.checksum || options.little))
		net_usage(program, "-c and -n are for version 2", usage);
	if (options.prepare)
		prepare(&options, &changes);
	else
		send_header(&options, &changes);
	chain_become_prog(program, argv + first, &changes);
}
