/*
 * What the clients of the TCP family share: the whole of tcpclient, tcprr and tcpprio, and for sslclient what
 * is done with a new connection.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "chain/chain.h"
#include "net/net.h"

/* The names that the variables need; what stays unknown is no reason to give up. */
static void ask_names(const char *program, const struct tcp_client_options *options,
	struct net_connection *words, struct net_answers *names)
{
	const struct net_questions questions = {
		.remote_host = options->remote_host, .remote_info = options->remote_info, .seconds = options->names_s
	};

	if (!net_ask(&questions, words, names))
		net_die(program, EXIT_SYSTEM, "ask for names", NULL, strerror(errno));
}

void tcp_client_take(const char *program, const struct tcp_client_options *options, int connection, int sets,
	stralloc *changes)
{
	struct net_connection words;
	struct net_answers names;

	if (!net_describe(connection, &words))
		net_die(program, EXIT_SYSTEM, "describe the connection", NULL, strerror(errno));
	words.local_host = options->local_name;
	if (options->verbosity >= 2)
		net_log_connected(program, &words);
	if (!options->delay)
		net_no_delay(connection);
	ask_names(program, options, &words, &names);
	if (!net_variables(&words, sets, chain_change, changes))
		net_die(program, EXIT_SYSTEM, "describe the connection", NULL, strerror(ENOMEM));
	if (!chain_place(connection, 6, 7))
		net_die(program, EXIT_SYSTEM, "move the connection", NULL, strerror(errno));
}

const char *tcp_client_server_name(const char *host, char *room, size_t n)
{
	size_t length = strlen(host);

	if (!*host || strcmp(host, "0") == 0)
		return "127.0.0.1"; /* where net_resolve goes for these */
	if (length > 2 && host[0] == '[' && host[length - 1] == ']') {
		(void)snprintf(room, n, "%.*s", (int)(length - 2), host + 1);
		return room;
	}
	return host;
}

/* host port, or host port [host port]… --. Returns how many words it took, prog not counted; 0: usage. */
static int read_targets(
	char *const *words, bool several, struct net_target *targets, size_t *n, const char **problem)
{
	int at = 0;

	for (*n = 0; words[at] && !(several && strcmp(words[at], "--") == 0); at += 2) {
		if (*n == (several ? NET_TARGETS_MAX : 1)) {
			*problem = several ? "too many targets: 16 at most" : NULL;
			return several ? 0 : at;
		}
		if (!words[at + 1] || (several && strcmp(words[at + 1], "--") == 0)) {
			*problem = several ? "each host needs a port" : NULL;
			return 0;
		}
		targets[(*n)++] = (struct net_target){ words[at], words[at + 1] };
	}
	if (several && !words[at])
		*problem = "-- must stand between the targets and prog";
	return several && words[at] ? at + 1 : 0;
}

void tcp_client(const struct tcp_client_program *program, int argc, char **argv)
{
	struct tcp_client_options options = tcp_client_defaults;
	struct net_target targets[NET_TARGETS_MAX];
	struct net_connect how;
	struct net_address source;
	stralloc changes = STRALLOC_ZERO;
	const char *problem = NULL;
	char peer[256];
	bool several = program->arrange != NULL;
	size_t n = 0, which;
	int first, words = 0, connection;

	if (!chain_open_standard())
		_exit(EXIT_SYSTEM);
	first = option_parse(tcpclient_option_table, &options, argc, argv, &problem);
	if (first >= 0)
		words = read_targets(argv + first, several, targets, &n, &problem);
	if (!words || !n || !argv[first + words] ||
		!net_read_client(options.timeouts, options.local_ip, options.local_port, &how, &source, &problem))
		net_usage(program->name, problem, program->usage);
	if (several)
		program->arrange(targets, n);
	connection = net_connect_or_die(
		program->name, targets, n, (enum net_family)options.family, &how, options.verbosity >= 1, &which);
	if (several && !getenv("TLS_PEERNAME") &&
		!chain_set(&changes, "TLS_PEERNAME", tcp_client_server_name(targets[which].host, peer, sizeof peer)))
		net_die(program->name, EXIT_SYSTEM, "change the environment", NULL, strerror(ENOMEM));
	tcp_client_take(program->name, &options, connection, NET_VARIABLES_TCP, &changes);
	chain_become_prog(program->name, argv + first + words, &changes);
}
