/*
 * tcpallow rules.cdb prog…: asks rules about the connection that the environment describes, which is not that
 * of the socket where a link before it has learned another address (proxyrecv). Becomes prog if they allow
 * it.
 */
#include <stddef.h>
#include "chain/chain.h"
#include "net/net.h"

static const char program[] = "tcpallow";
static const char usage[] = "[ -XhHpPqQv ] [ -l localname ] [ -t seconds ] rules.cdb prog";

int main(int argc, char **argv)
{
	struct tcp_service service = { .program = program, .changes = STRALLOC_ZERO };
	struct tcp_server_options *options = &service.options;
	struct net_connection connection;
	const char *words;
	int first;

	*options = tcp_server_defaults;
	options->remote_host = 0;
	first = chain_begin(program, usage, tcpallow_option_table, options, 2, argc, argv);
	if (options->paranoid && !options->remote_host)
		net_usage(program, "-p checks what -h has asked for", usage);
	if (!chain_described(&connection, &service.variables, &words))
		net_die(program, EXIT_CONFIGURATION, "ask rules", argv[first], words);
	if (options->remote_host)
		connection.remote_host = NULL; /* of whomever it was, it is asked for anew */
	options->rules = argv[first];
	tcp_service_admit_described(&service, &connection);
	chain_become_prog(program, argv + first + 1, &service.changes);
}
