/*
 * What lies between two ports of which one is to get what the other gives: bytes on their way, in the system
 * where it can move them itself (splice of Linux), else in a buffer.
 */
#ifndef RELAY_CHANNEL_H
#define RELAY_CHANNEL_H

#include <stdbool.h>
#include <stddef.h>
#include "relay/port.h"

enum { CHANNEL_ROOM = 65536 };

enum channel_kind {
	CHANNEL_BUFFER, /* read and write */
	CHANNEL_DIRECT, /* one of the two is a pipe: the system moves bytes from one to the other, nothing is held
					 */
	CHANNEL_PIPE    /* two sockets: what is held is in a pipe of ours */
};

struct channel {
	enum channel_kind kind;
	int pipe[2];
	size_t at, n; /* bytes held */
	unsigned char bytes[CHANNEL_ROOM];
};

enum channel_result { CHANNEL_MOVED, CHANNEL_WAIT, CHANNEL_END, CHANNEL_SOURCE_GONE, CHANNEL_RECEIVER_GONE };

/*
 * Sockets become non-blocking where the system moves the bytes, as splice knows no MSG_DONTWAIT; the caller
 * sets that back. Cannot fail: without a pipe there is the buffer.
 */
void channel_open(struct channel *, const struct port *from, const struct port *to);
void channel_close(struct channel *);

/* True if it can take more from its source. */
bool channel_has_room(const struct channel *);

/*
 * Takes what the source has, if there is room, and passes it on at once if it is direct. *n bytes with
 * CHANNEL_MOVED; errors are in from->error or to->error.
 */
enum channel_result channel_fill(struct channel *, struct port *from, struct port *to, size_t *n);

/* Gives the receiver what is held. */
enum channel_result channel_drain(struct channel *, struct port *to, size_t *n);

#endif
