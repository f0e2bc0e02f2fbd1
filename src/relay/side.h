/*
 * One side of two connections that are joined: two descriptors, which may be the same socket, two pipes of
 * one program, or anything else.
 */
#ifndef RELAY_SIDE_H
#define RELAY_SIDE_H

#include <stdbool.h>
#include <stddef.h>
#include "relay/farewell.h"
#include "relay/port.h"

struct side {
	struct port in, out;
	int in_flags, out_flags; /* as they were found */
	bool eof;                /* nothing more can be read from it */
	bool reset;              /* by its peer */
	bool pipes;              /* two, of one program that has the connection: see side_look_at_end */
	bool end_seen;           /* the end of what comes from it */
	bool broken;             /* that is none, as it has failed */
	bool pass_reset;         /* it is to be reset, as what it was sent has been cut short */
	struct farewell leave;
};

void side_open(struct side *, int in, int out);

/* Leaves sockets as they were found; resets the connection if pass_reset is set. */
void side_close(struct side *);

/* Whether it can be reset. */
bool side_is_tcp(const struct side *);

/* Bytes that have come from it and were not read. */
size_t side_waiting(const struct side *);

/*
 * To be called at the first sight of the end of what comes from it; later calls change nothing. A pipe knows
 * no reset. But an io program whose peer has ended in good order goes on to read what we send to it, and one
 * whose connection failed, or that has died, does not: then its end is none, and broken is set. gone: errno
 * of what is sent to it, if that was found to have no receiver. Where we have ended that before, nobody can
 * tell.
 */
void side_look_at_end(struct side *, int gone);

#endif
