/*
 * argv0 name prog…: becomes prog, which is called by another name than its file has: "-sh", "sendmail".
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>
#include "chain/chain.h"
#include "net/net.h"

static const char program[] = "argv0";
static const char usage[] = "name prog";

static const struct option table[] = { { 0, OPTION_END, 0, 0, 0, 0, NULL } };

int main(int argc, char **argv)
{
	const char *file;
	int first, options;

	first = chain_begin(program, usage, table, &options, 2, argc, argv);
	file = argv[first + 1];
	argv[first + 1] = argv[first];
	(void)execvp(file, argv + first + 1);
	net_die(program, EXIT_SYSTEM, "run", file, strerror(errno));
}
