/*
 * sslclient host port prog…: tcpclient with one more link between the connection and prog, the io program,
 * which speaks TLS. Prog gets the cleartext on 6 and 7. No TLS here.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <skalibs/stralloc.h>
#include "chain/chain.h"
#include "net/net.h"

static const char program[] = "sslclient";
static const char usage[] =
	"[ -346hHrRdDqQveEsSnNxXy ] [ -i localip ] [ -p localport ] [ -T x+y ] [ -l localname ] "
	"[ -t seconds ] [ -w idle ] host port prog";

static void die(const struct chain_problem *problem)
{
	if (!problem->exit_code)
		_exit(0); /* there was no handshake: the io program has said why */
	net_die(program, problem->exit_code, problem->doing, problem->object,
		problem->reason ? problem->reason : strerror(problem->errnum));
}

/* Options whose work is done by the io program; its ids, if this is root. */
static void prepare_tls(const struct tcp_client_options *options, const char *verify,
	struct chain_rights *rights, stralloc *changes)
{
	static const struct chain_identity nobody_else;
	struct chain_problem problem;

	if ((verify && !chain_set(changes, "TLS_VERIFY", verify)) ||
		((options->certificate_variables || options->tcp_variables) &&
			!chain_set(changes, "TLS_REPORT", "full")))
		net_die(program, EXIT_SYSTEM, "change the environment", NULL, strerror(ENOMEM));
	if (!chain_decide_rights(&nobody_else, rights, changes, &problem))
		die(&problem);
}

int main(int argc, char **argv)
{
	struct tcp_client_options options = tcp_client_defaults;
	struct tls_options tls = tls_defaults;
	struct chain_link link = { .side = CHAIN_CLIENT, .tls = &tls, .clean = true };
	struct chain_rights rights;
	struct chain_problem failure;
	struct net_connect how;
	struct net_address source;
	struct chain_password password;
	stralloc changes = STRALLOC_ZERO;
	const char *problem = NULL, *verify;
	char name[256];
	size_t which;
	int first, connection, sets;

	if (!chain_open_standard())
		_exit(EXIT_SYSTEM);
	first = option_parse(sslclient_option_table, &options, argc, argv, &problem);
	if (first < 0 || argc - first < 3 || !tcp_client_verification(&options, &verify, &problem) ||
		!net_read_client(options.timeouts, options.local_ip, options.local_port, &how, &source, &problem))
		net_usage(program, problem, usage);
	prepare_tls(&options, verify, &rights, &changes);
	link.password = options.password ? &password : NULL;
	if (link.password && !chain_password_take(&password, net_now() + CHAIN_PASSWORD_START_MS, &failure))
		die(&failure);

	connection = net_connect_or_die(program, &(struct net_target){ argv[first], argv[first + 1] }, 1,
		(enum net_family)options.family, &how, options.verbosity >= 1, &which);
	sets = NET_VARIABLES_SSL | (options.tcp_variables ? NET_VARIABLES_TCP : 0);
	tcp_client_take(program, &options, connection, sets, &changes);
	tls.verbosity = (unsigned)options.verbosity;
	tls.idle_ms = options.idle_s * 1000;
	if (!getenv("TLS_PEERNAME"))
		tls.name = tcp_client_server_name(argv[first], name, sizeof name);
	link.started_ms = net_now();
	link.identity = rights.prog;
	link.delayed = options.delayed;
	link.prog = argv + first + 2;
	chain_start(&link, &changes, &failure);
	die(&failure);
	return EXIT_SYSTEM;
}
