/*
 * Fuzzing of the report reader: whatever an io program that was broken into may write. Only names of the
 * compiled-in table come through, and a refused report changes nothing.
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "chain/chain.h"

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t n);

static void check(bool holds)
{
	if (!holds)
		abort();
}

static int64_t soon(void)
{
	struct timespec t;
	check(clock_gettime(CLOCK_MONOTONIC, &t) == 0);
	return (int64_t)t.tv_sec * 1000 + 1000;
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t n)
{
	stralloc changes = STRALLOC_ZERO;
	int ends[2];

	if (n > 60000)
		n = 60000; /* what a pipe takes without a reader */
	check(pipe(ends) == 0 && write(ends[1], input, n) == (ssize_t)n && close(ends[1]) == 0);
	check(chain_set(&changes, "BEFORE", "1"));
	if (chain_report_read(ends[0], soon(), &changes)) {
		check(changes.len > 9 && !memcmp(changes.s, "BEFORE=1", 9) && changes.s[changes.len - 1] == 0);
		for (size_t at = 9; at < changes.len; at += strlen(changes.s + at) + 1) {
			size_t name = strcspn(changes.s + at, "=");
			check(chain_report_may_set(changes.s + at, name));
			check(name > 4 && !memcmp(changes.s + at, "SSL_", 4));
		}
	} else {
		check(changes.len == 9);
	}
	check(close(ends[0]) == 0);
	stralloc_free(&changes);
	return 0;
}
