/*
 * sockopt settings prog…: sets options on the socket that prog is going to use, or has them set, before it is
 * bound, on the one that the next program of the TCP family makes.
 */
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include "chain/chain.h"
#include "net/net.h"

static const char program[] = "sockopt";
static const char usage[] = "[ -b | -c | -d descriptor ] settings prog";

enum { NO_DESCRIPTOR = 1000001 };

struct options {
	int before_bind, client;
	unsigned descriptor;
};

static const struct option table[] = {
	{ 'b', OPTION_SET, offsetof(struct options, before_bind), 1, 0, 0, NULL },
	{ 'c', OPTION_SET, offsetof(struct options, client), 1, 0, 0, NULL },
	{ 'd', OPTION_NUMBER, offsetof(struct options, descriptor), 0, 0, 1000000, "a descriptor" },
	{ 0, OPTION_END, 0, 0, 0, 0, NULL },
};

/* Behind those that an earlier link has asked for. */
static void ask(const char *settings, stralloc *changes)
{
	const char *earlier = getenv(net_options_variable);
	stralloc all = STRALLOC_ZERO;

	if ((earlier && *earlier && !(stralloc_cats(&all, earlier) && stralloc_catb(&all, ",", 1))) ||
		!stralloc_catb(&all, settings, strlen(settings) + 1) ||
		!chain_set(changes, net_options_variable, all.s))
		net_die(program, EXIT_SYSTEM, "change the environment", NULL, strerror(ENOMEM));
}

int main(int argc, char **argv)
{
	struct options options = { .descriptor = NO_DESCRIPTOR };
	stralloc changes = STRALLOC_ZERO;
	const char *words = NULL;
	int first;

	first = chain_begin(program, usage, table, &options, 2, argc, argv);
	if (options.before_bind + options.client + (options.descriptor != NO_DESCRIPTOR) > 1)
		net_usage(program, "-b, -c and -d exclude each other", usage);
	if (!net_check_options(argv[first], &words))
		net_usage(program, words, usage);
	if (options.before_bind)
		ask(argv[first], &changes);
	else if (!net_set_options(options.client                        ? 6
							  : options.descriptor == NO_DESCRIPTOR ? 0
																	: (int)options.descriptor,
				 argv[first], &words))
		net_die(program, EXIT_SYSTEM, "set", "an option", words);
	chain_become_prog(program, argv + first + 1, &changes);
}
