/*
 * relay: joins descriptors 0 and 1 with 6 and 7 until both directions have ended.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "chain/chain.h"
#include "net/net.h"
#include "relay/relay.h"

static const char program[] = "relay";
static const char usage[] = "[ -eqQv ] [ -w idle ]";

struct options {
	int verbosity;
	int end_with_far;
	unsigned idle_s;
};

static const struct option table[] = { { 'q', OPTION_SET, offsetof(struct options, verbosity), 0, 0, 0,
										   NULL },
	{ 'Q', OPTION_SET, offsetof(struct options, verbosity), 1, 0, 0, NULL },
	{ 'v', OPTION_SET, offsetof(struct options, verbosity), 2, 0, 0, NULL },
	{ 'e', OPTION_SET, offsetof(struct options, end_with_far), 1, 0, 0, NULL },
	{ 'w', OPTION_NUMBER, offsetof(struct options, idle_s), 0, 0, 2147483, "seconds" },
	{ 0, OPTION_END, 0, 0, 0, 0, NULL } };

static void log_bytes(const struct relay_join_end *end)
{
	char words[96];

	(void)snprintf(words, sizeof words, ": %llu bytes from 0 to 7, %llu bytes from 6 to 1",
		(unsigned long long)end->to_far, (unsigned long long)end->to_near);
	net_log(program, words, NULL);
}

int main(int argc, char **argv)
{
	struct options options = { .verbosity = 1, .idle_s = 3600 };
	struct relay_join join = { .near_in = 0, .near_out = 1, .far_in = 6, .far_out = 7 };
	struct relay_join_end end;
	const struct chain_io kept = { .fdr = 6, .fdw = 7, .report = -1, .control = -1 };
	const char *problem = NULL;
	int first;

	if (!chain_open_standard())
		_exit(EXIT_SYSTEM);
	first = option_parse(table, &options, argc, argv, &problem);
	if (first < 0 || first != argc)
		net_usage(program, problem, usage);
	if (fcntl(6, F_GETFD) < 0 || fcntl(7, F_GETFD) < 0)
		net_usage(program, "descriptors 6 and 7 must be a connection, as tcpclient makes one", usage);
	chain_unshare_stderr();
	chain_close_others(&kept);
	if (!chain_hold_signals())
		net_die(program, EXIT_SYSTEM, "hold signals", NULL, strerror(errno));
	join.idle_s = options.idle_s;
	join.end_with_far = options.end_with_far;
	relay_join(&join, &end);
	if (*end.words && options.verbosity >= (end.failed ? 1 : 2))
		net_log(program, end.failed ? ": error: " : ": ", end.words, NULL);
	if (options.verbosity >= 2)
		log_bytes(&end);
	return end.failed ? EXIT_SYSTEM : 0;
}
