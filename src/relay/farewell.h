/*
 * One side of a connection that has ended: what it was sent has to be taken, what it still sends is taken
 * off, so that closing resets nothing; both within bounds (DESIGN §3).
 */
#ifndef RELAY_FAREWELL_H
#define RELAY_FAREWELL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	UNWANTED_BYTES = 1 << 20, /* input that nobody wants: how much of it is taken off */
	UNWANTED_MS = 2000,       /* and for how long once our side has ended */
	TICK_MS = 200             /* between looks at what the peer has acknowledged */
};

struct farewell {
	size_t left;            /* bytes not yet taken when last looked at */
	int64_t since;          /* when that changed; 0: nothing was left */
	int64_t unwanted_until; /* how long its input is taken off; 0: not begun */
	size_t discarded;       /* bytes of its input that were thrown away */
};

/*
 * True once the side may be closed: left bytes are all taken, and its input has ended (eof) or was taken off
 * long enough. Also when waiting longer makes no sense, as nothing was taken for linger_ms: left is not 0
 * then.
 */
bool farewell_taken(struct farewell *, int64_t now, int64_t linger_ms, size_t left, bool eof);

/* When to look at it again, as keep_earliest. */
void farewell_deadline(const struct farewell *, int64_t now, int64_t *earliest);

/* *earliest becomes candidate if that is set (not 0) and earlier, or the first. */
void keep_earliest(int64_t *earliest, int64_t candidate);

#endif
