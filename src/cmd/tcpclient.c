/*
 * tcpclient host port prog…: connects, and becomes prog with the socket on descriptors 6 and 7.
 */
#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>
#include <skalibs/stralloc.h>
#include "chain/chain.h"
#include "net/net.h"

static const char program[] = "tcpclient";
static const char usage[] = "[ -46hHrRdDqQv ] [ -i localip ] [ -p localport ] [ -T x+y ] [ -l localname ] "
							"[ -t seconds ] host port prog";

/* The names that the variables need; what stays unknown is no reason to give up. */
static void ask_names(
	const struct tcp_client_options *options, struct net_connection *words, struct net_answers *names)
{
	const struct net_questions questions = {
		.remote_host = options->remote_host, .remote_info = options->remote_info, .seconds = options->names_s
	};

	if (!net_ask(&questions, words, names))
		net_die(program, EXIT_SYSTEM, "ask for names", NULL, strerror(errno));
}

int main(int argc, char **argv)
{
	struct tcp_client_options options = tcp_client_defaults;
	struct net_connect how;
	struct net_address source;
	struct net_connection words;
	struct net_answers names;
	struct chain_problem failure;
	stralloc changes = STRALLOC_ZERO;
	const char *problem = NULL;
	int first, connection;

	if (!chain_open_standard())
		_exit(EXIT_SYSTEM);
	first = option_parse(tcpclient_option_table, &options, argc, argv, &problem);
	if (first < 0 || argc - first < 3 ||
		!net_read_client(options.timeouts, options.local_ip, options.local_port, &how, &source, &problem))
		net_usage(program, problem, usage);

	connection = net_connect_or_die(
		program, argv[first], argv[first + 1], (enum net_family)options.family, &how, options.verbosity >= 1);
	if (!net_describe(connection, &words))
		net_die(program, EXIT_SYSTEM, "describe the connection", NULL, strerror(errno));
	words.local_host = options.local_name;
	if (options.verbosity >= 2)
		net_log_connected(program, &words);
	if (!options.delay)
		net_no_delay(connection);
	ask_names(&options, &words, &names);

	if (!net_variables(&words, NET_VARIABLES_TCP, chain_change, &changes))
		net_die(program, EXIT_SYSTEM, "describe the connection", NULL, strerror(ENOMEM));
	if (!chain_place(connection, 6, 7))
		net_die(program, EXIT_SYSTEM, "move the connection", NULL, strerror(errno));
	chain_exec(argv + first + 2, &changes, &failure);
	net_die(program, failure.exit_code, failure.doing, failure.object,
		failure.reason ? failure.reason : strerror(failure.errnum));
}
