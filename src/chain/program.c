/*
 * The beginning and the end that the mains of links have in common.
 */
#include <string.h>
#include <unistd.h>
#include "chain.h"
#include "net/net.h"

int chain_begin(const char *program, const char *usage, const struct option *table, void *options,
	int operands, int argc, char *const *argv)
{
	const char *words = NULL;
	int first;

	if (!chain_open_standard())
		_exit(EXIT_SYSTEM);
	first = option_parse(table, options, argc, argv, &words);
	if (first < 0 || argc - first < operands)
		net_usage(program, words, usage);
	return first;
}

_Noreturn void chain_become_prog(const char *program, char *const *prog, const stralloc *changes)
{
	struct chain_problem problem;

	chain_exec(prog, changes, &problem);
	net_die(program, problem.exit_code, problem.doing, problem.object, strerror(problem.errnum));
}
