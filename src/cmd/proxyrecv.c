/*
 * proxyrecv prog…: where PROXYRECV says that a proxy is on descriptor 0, takes the header in which the proxy
 * says whom it connects, and becomes prog with the environment of that connection.
 */
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include "chain/chain.h"
#include "net/net.h"
#include "starttls/starttls.h"

static const char program[] = "proxyrecv";
static const char usage[] = "[ -T seconds ] prog";

struct options {
	unsigned seconds;
};

static const struct option table[] = {
	{ 'T', OPTION_NUMBER, offsetof(struct options, seconds), 0, 1, 86400, "seconds" },
	{ 0, OPTION_END, 0, 0, 0, 0, NULL },
};

static bool is_from_proxy(void)
{
	const char *value = getenv("PROXYRECV");

	if (!value || !*value || strcmp(value, "0") == 0)
		return false;
	if (strcmp(value, "1") != 0)
		net_die(program, EXIT_CONFIGURATION, "use PROXYRECV", value, "neither 0 nor 1");
	return true;
}

static _Noreturn void no_memory(void)
{
	net_die(program, EXIT_SYSTEM, "change the environment", NULL, strerror(ENOMEM));
}

/* Under inetd nothing describes the connection but the socket. */
static void describe_proxy(struct net_connection *proxy, int *sets)
{
	const char *why;

	if (chain_described(proxy, sets, &why))
		return;
	*sets = NET_VARIABLES_TCP;
	if (!net_describe(0, proxy))
		memset(proxy, 0, sizeof *proxy);
}

static void take_header(unsigned seconds, stralloc *changes)
{
	static unsigned char room[PROXY_HEADER_MAX]; /* what the header says is in it */
	struct starttls_wire wire = { .reading = 0, .writing = 1 };
	struct starttls_fault fault;
	struct proxy_header header;
	struct net_connection proxy;
	const char *why, *who;
	int sets;

	wire.deadline = net_now() + (int64_t)seconds * 1000;
	describe_proxy(&proxy, &sets);
	who = proxy.remote_ip[0] ? proxy.remote_ip : "unknown";
	if (!proxy_header_read(&wire, room, &header, &fault))
		starttls_die(program, who, &fault);
	if (!header.proxied || proxy_header_variables(&header, &proxy, sets, changes, &why))
		return;
	if (!why)
		no_memory();
	fault = (struct starttls_fault){ .exit_code = EXIT_TLS, .step = "PROXY header", .words = why };
	starttls_die(program, who, &fault);
}

int main(int argc, char **argv)
{
	struct options options = { .seconds = PROXY_HEADER_S };
	stralloc changes = STRALLOC_ZERO;
	int first;

	first = chain_begin(program, usage, table, &options, 1, argc, argv);
	if (is_from_proxy())
		take_header(options.seconds, &changes);
	if (!chain_unset(&changes, "PROXYRECV"))
		no_memory();
	chain_become_prog(program, argv + first, &changes);
}
