/*
 * tlsd, tlsc, ucspitlsd, ucspitlsc: TLS as one more link of a chain, around a connection that is there
 * already. What the four have in common is all but the side and the moment.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>
#include "chain/chain.h"
#include "net/net.h"

static void prepare_descriptors(const struct tls_link_program *program)
{
	if (!chain_open_standard())
		_exit(EXIT_SYSTEM);
	if (program->side == CHAIN_SERVER)
		chain_unshare_stderr();
}

_Noreturn void tls_link(const struct tls_link_program *program, int argc, char **argv)
{
	struct tls_options options = tls_defaults;
	struct chain_link link = {
		.side = program->side, .tls = &options, .delayed = program->delayed, .started_ms = net_now()
	};
	struct chain_problem problem;
	struct chain_password password;
	stralloc changes = STRALLOC_ZERO;
	const char *words = NULL;
	int64_t deadline;
	int first;

	prepare_descriptors(program);
	first = option_parse(program->options, &options, argc, argv, &words);
	if (first < 0 || first == argc)
		net_usage(program->name, words, program->usage);
	if (program->side == CHAIN_CLIENT && (fcntl(6, F_GETFD) < 0 || fcntl(7, F_GETFD) < 0))
		net_usage(program->name, "descriptors 6 and 7 must be a connection, as tcpclient makes one",
			program->usage);
	link.prog = argv + first;
	link.clean = !options.keep_environment;
	link.password = options.password ? &password : NULL;
	deadline = link.started_ms + chain_handshake_ms(&options, &changes);
	if (!link.password || chain_password_take(&password, deadline, &problem))
		chain_start(&link, &changes, &problem);
	if (!problem.exit_code)
		_exit(0);
	net_die(program->name, problem.exit_code, problem.doing, problem.object,
		problem.reason ? problem.reason : strerror(problem.errnum));
}
