/*
 * Leaving a side: see farewell.h.
 */
#include "relay/farewell.h"

bool farewell_taken(struct farewell *side, int64_t now, int64_t linger_ms, size_t left, bool eof)
{
	if (left && (!side->since || left != side->left))
		side->since = now;
	side->left = left;
	if (left)
		return now - side->since >= linger_ms;
	if (eof)
		return true;
	if (!side->unwanted_until)
		side->unwanted_until = now + UNWANTED_MS;
	return now >= side->unwanted_until || side->discarded >= UNWANTED_BYTES;
}

void keep_earliest(int64_t *earliest, int64_t candidate)
{
	if (candidate && (!*earliest || candidate < *earliest))
		*earliest = candidate;
}

void farewell_deadline(const struct farewell *side, int64_t now, int64_t *earliest)
{
	keep_earliest(earliest, side->unwanted_until);
	if (side->left)
		keep_earliest(earliest, now + TICK_MS);
}
