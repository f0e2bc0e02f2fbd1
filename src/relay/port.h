/*
 * One descriptor of the loop, read or written without ever blocking and without setting O_NONBLOCK, which is
 * shared with whoever else holds the other duplicates (DESIGN §3).
 */
#ifndef RELAY_PORT_H
#define RELAY_PORT_H

#include <stdbool.h>
#include <stddef.h>

struct port {
	int fd;         /* -1: closed */
	bool is_socket; /* MSG_DONTWAIT */
	bool is_pipe;
	bool is_local;  /* a socket of this machine's own kind (AF_UNIX) */
	bool may_block; /* neither a socket nor opened non-blocking: only what poll allows, and small writes */
	bool ready;     /* worth a try; poll said so, or nobody has asked yet */
	bool hung_up;   /* poll reported an error or hang-up: it is not polled any more, or poll would return at
					   once for ever */
	int error;      /* errno of the last PORT_GONE */
};

enum port_result { PORT_MOVED, PORT_WAIT, PORT_END, PORT_GONE };

void port_open(struct port *, int fd);

/* PORT_MOVED with *n > 0; PORT_WAIT: nothing now; PORT_END: end of file; PORT_GONE: an error, in port->error.
 */
enum port_result port_read(struct port *, void *to, size_t room, size_t *n);
enum port_result port_write(struct port *, const void *from, size_t length, size_t *n);

/*
 * Nothing more is wanted from it: closed, or, where a socket may still have to be drained or written to, told
 * so if its kind can be.
 */
void port_end_reading(struct port *);

/* Nothing more is written to it: shutdown where it is a socket, else close. */
void port_end_writing(struct port *);
void port_close(struct port *);

/* True if poll has reported a hang-up and nothing is left to read. */
bool port_is_drained(const struct port *);

/* Bytes that went to a TCP socket and are not yet acknowledged, 0 if unknown. */
size_t port_unacknowledged(const struct port *);

#endif
