/*
 * ptyrun prog…: runs prog on a pseudo-terminal, between which and descriptors 0 and 1 it copies.
 */
#include <string.h>
#include <unistd.h>
#include "chain/chain.h"
#include "net/net.h"

static const char program[] = "ptyrun";
static const char usage[] = "prog";

static const struct option table[] = { { 0, OPTION_END, 0, 0, 0, 0, NULL } };

int main(int argc, char **argv)
{
	struct chain_problem problem;
	const stralloc changes = STRALLOC_ZERO;
	int first, exit_code, options;

	first = chain_begin(program, usage, table, &options, 1, argc, argv);
	if (!chain_on_terminal(&exit_code, &problem))
		net_die(program, problem.exit_code, problem.doing, problem.object, strerror(problem.errnum));
	if (exit_code >= 0)
		_exit(exit_code);
	chain_become_prog(program, argv + first, &changes);
}
