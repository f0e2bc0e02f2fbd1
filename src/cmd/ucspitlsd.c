/*
 * ucspitlsd prog…: runs prog on a connection that stands on 0 and 1, and puts TLS between them when prog asks
 * for it (ucspi-tls(7)).
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>
#include "chain/chain.h"
#include "net/net.h"

static const char program[] = "ucspitlsd";
static const char usage[] = "[ -SsJjYyZz ] [ -v verbosity ] [ -K idle ms ] [ -T handshake s ] prog";

int main(int argc, char **argv)
{
	struct tls_options options = tls_defaults;
	struct chain_link link = {
		.side = CHAIN_SERVER, .tls = &options, .delayed = true, .started_ms = net_now()
	};
	struct chain_problem problem;
	stralloc changes = STRALLOC_ZERO;
	const char *words = NULL;
	int first;

	if (!chain_open_standard())
		_exit(EXIT_SYSTEM);
	chain_unshare_stderr();
	first = option_parse(tlsd_option_table, &options, argc, argv, &words);
	if (first < 0 || first == argc)
		net_usage(program, words, usage);
	link.prog = argv + first;
	link.clean = !options.keep_environment;
	chain_start(&link, &changes, &problem);
	if (!problem.exit_code)
		_exit(0);
	net_die(program, problem.exit_code, problem.doing, problem.object,
		problem.reason ? problem.reason : strerror(problem.errnum));
}
