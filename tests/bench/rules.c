/*
 * Times lookups as a server does them, each with open and close: rules FILE TIMES IP [HOST]. Prints
 * microseconds a lookup. tests/bench/rules.pl calls it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include "net/net.h"
#include "rules/rules.h"

static double now(void)
{
	struct timespec t;

	if (clock_gettime(CLOCK_MONOTONIC, &t) < 0)
		exit(111);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
	struct net_address address;
	struct rules_match match;
	long times = argc > 3 ? atol(argv[2]) : 0;
	double start = now();

	if (times < 1 || !net_scan_ip(argv[3], &address))
		return 100;
	for (long i = 0; i < times; i++) {
		struct rules rules;
		const char *why;

		if (!rules_open(&rules, argv[1], &why) ||
			rules_find(&rules, &address, argc > 4 ? argv[4] : NULL, NULL, &match) == RULES_BROKEN) {
			perror(argv[1]);
			return 111;
		}
		rules_close(&rules);
	}
	printf("%.1f\n", (now() - start) * 1e6 / (double)times);
	return 0;
}
