/*
 * The monotonic clock, which deadlines are measured with: the wall clock may jump.
 */
#include <time.h>
#include "net.h"

int64_t net_now(void)
{
	struct timespec now = { 0 };

	/* Cannot fail: the clock exists and the pointer is valid. */
	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}
