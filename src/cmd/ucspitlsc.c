/*
 * ucspitlsc prog…: runs prog with a connection to a server on 6 and 7, and puts TLS between them when prog
 * asks for it (ucspi-tls(7)).
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>
#include "chain/chain.h"
#include "net/net.h"

static const char program[] = "ucspitlsc";
static const char usage[] = "[ -SsJjYyZz ] [ -v verbosity ] [ -K idle ms ] [ -k server name ] prog";

int main(int argc, char **argv)
{
	struct tls_options options = tls_defaults;
	struct chain_link link = {
		.side = CHAIN_CLIENT, .tls = &options, .delayed = true, .started_ms = net_now()
	};
	struct chain_problem problem;
	stralloc changes = STRALLOC_ZERO;
	const char *words = NULL;
	int first;

	if (!chain_open_standard())
		_exit(EXIT_SYSTEM);
	first = option_parse(tlsc_option_table, &options, argc, argv, &words);
	if (first < 0 || first == argc)
		net_usage(program, words, usage);
	if (fcntl(6, F_GETFD) < 0 || fcntl(7, F_GETFD) < 0)
		net_usage(program, "descriptors 6 and 7 must be a connection, as tcpclient makes one", usage);
	link.prog = argv + first;
	link.clean = !options.keep_environment;
	chain_start(&link, &changes, &problem);
	if (!problem.exit_code)
		_exit(0);
	net_die(program, problem.exit_code, problem.doing, problem.object,
		problem.reason ? problem.reason : strerror(problem.errnum));
}
