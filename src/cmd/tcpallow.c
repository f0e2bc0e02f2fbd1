/*
 * tcpallow rules.cdb prog…: asks rules about the connection that the environment describes, which is not that
 * of the socket where a link before it has learned another address (proxyrecv). Becomes prog if they allow
 * it.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>
#include "chain/chain.h"
#include "net/net.h"

static const char program[] = "tcpallow";
static const char usage[] = "[ -XhHpPqQv ] [ -l localname ] [ -t seconds ] rules.cdb prog";

int main(int argc, char **argv)
{
	struct tcp_service service = { .program = program, .changes = STRALLOC_ZERO };
	struct tcp_server_options *options = &service.options;
	struct net_connection connection;
	struct chain_problem problem;
	const char *words = NULL;
	int first;

	if (!chain_open_standard())
		_exit(EXIT_SYSTEM);
	*options = tcp_server_defaults;
	options->remote_host = 0;
	first = option_parse(tcpallow_option_table, options, argc, argv, &words);
	if (first < 0 || argc - first < 2)
		net_usage(program, words, usage);
	if (options->paranoid && !options->remote_host)
		net_usage(program, "-p checks what -h has asked for", usage);
	if (!chain_described(&connection, &service.variables, &words))
		net_die(program, EXIT_CONFIGURATION, "ask rules", argv[first], words);
	if (options->remote_host)
		connection.remote_host = NULL; /* of whomever it was, it is asked for anew */
	options->rules = argv[first];
	tcp_service_admit_described(&service, &connection);
	chain_exec(argv + first + 1, &service.changes, &problem);
	net_die(program, problem.exit_code, problem.doing, problem.object, strerror(problem.errnum));
}
