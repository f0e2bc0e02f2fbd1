/*
 * Bytes between two ports: see channel.h.
 */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>
#include "relay/channel.h"

enum { SPLICE_MOST = 1 << 20, SPLICE_SHORT = 32768 };

/* ---- splice(2), where there is one ---- */

#ifdef __linux__
static bool can_splice(void)
{
	return true;
}

static ssize_t move(int from, int to, size_t n)
{
	ssize_t got;

	do
		got = splice(from, NULL, to, NULL, n, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
	while (got < 0 && errno == EINTR);
	return got;
}
#else
static bool can_splice(void)
{
	return false;
}

static ssize_t move(int from, int to, size_t n)
{
	(void)from;
	(void)to;
	(void)n;
	errno = ENOSYS;
	return -1;
}
#endif

static bool make_nonblocking(const struct port *port)
{
	int flags = port->is_socket ? fcntl(port->fd, F_GETFL) : 0;

	return !port->is_socket || (flags >= 0 && fcntl(port->fd, F_SETFL, flags | O_NONBLOCK) >= 0);
}

static bool for_later(void)
{
	return errno == EAGAIN || errno == EWOULDBLOCK;
}

void channel_open(struct channel *c, const struct port *from, const struct port *to)
{
	c->kind = CHANNEL_BUFFER;
	c->pipe[0] = c->pipe[1] = -1;
	c->at = c->n = 0;
	if (!can_splice() || !(from->is_pipe || from->is_socket) || !(to->is_pipe || to->is_socket) ||
		!make_nonblocking(from) || !make_nonblocking(to))
		return;
	if (from->is_pipe || to->is_pipe)
		c->kind = CHANNEL_DIRECT;
	else if (pipe2(c->pipe, O_CLOEXEC | O_NONBLOCK) == 0)
		c->kind = CHANNEL_PIPE;
}

void channel_close(struct channel *c)
{
	for (int i = 0; i < 2; i++)
		if (c->pipe[i] >= 0)
			(void)close(c->pipe[i]);
	c->pipe[0] = c->pipe[1] = -1;
	c->n = 0;
}

bool channel_has_room(const struct channel *c)
{
	return c->n == 0; /* a pipe that holds nothing is never full, so that EAGAIN tells of the other end */
}

/* Nobody says which of the two was not ready, so poll is asked about both. */
static enum channel_result pass_on(struct port *from, struct port *to, size_t *n)
{
	ssize_t got;

	if (!from->ready || !to->ready)
		return CHANNEL_WAIT;
	got = move(from->fd, to->fd, SPLICE_MOST);
	if (got > 0) {
		*n = (size_t)got;
		from->ready = got >= SPLICE_SHORT; /* less: most likely drained; poll tells */
		return CHANNEL_MOVED;
	}
	if (got == 0)
		return CHANNEL_END;
	if (for_later()) {
		from->ready = to->ready = false;
		return CHANNEL_WAIT;
	}
	if (from->is_socket && errno != EPIPE) {
		from->error = errno;
		return CHANNEL_SOURCE_GONE;
	}
	to->error = errno;
	return CHANNEL_RECEIVER_GONE;
}

static enum channel_result take_into_pipe(struct channel *c, struct port *from, size_t *n)
{
	ssize_t got;

	if (!from->ready)
		return CHANNEL_WAIT;
	got = move(from->fd, c->pipe[1], SPLICE_MOST);
	if (got > 0) {
		*n = c->n = (size_t)got;
		from->ready = got >= SPLICE_SHORT;
		return CHANNEL_MOVED;
	}
	if (got == 0)
		return CHANNEL_END;
	if (for_later()) {
		from->ready = false;
		return CHANNEL_WAIT;
	}
	from->error = errno;
	return CHANNEL_SOURCE_GONE;
}

static enum channel_result of_source(enum port_result result)
{
	return result == PORT_MOVED  ? CHANNEL_MOVED
		   : result == PORT_WAIT ? CHANNEL_WAIT
		   : result == PORT_END  ? CHANNEL_END
								 : CHANNEL_SOURCE_GONE;
}

enum channel_result channel_fill(struct channel *c, struct port *from, struct port *to, size_t *n)
{
	enum channel_result result;

	if (!channel_has_room(c))
		return CHANNEL_WAIT;
	if (c->kind == CHANNEL_DIRECT)
		return pass_on(from, to, n);
	if (c->kind == CHANNEL_PIPE)
		return take_into_pipe(c, from, n);
	result = of_source(port_read(from, c->bytes, sizeof c->bytes, n));
	if (result == CHANNEL_MOVED) {
		c->at = 0;
		c->n = *n;
	}
	return result;
}

static enum channel_result give_from_pipe(struct channel *c, struct port *to, size_t *n)
{
	ssize_t got;

	if (!to->ready)
		return CHANNEL_WAIT;
	got = move(c->pipe[0], to->fd, c->n);
	if (got > 0) {
		*n = (size_t)got;
		return CHANNEL_MOVED;
	}
	to->ready = false;
	if (got == 0 || for_later())
		return CHANNEL_WAIT;
	to->error = errno;
	return CHANNEL_RECEIVER_GONE;
}

enum channel_result channel_drain(struct channel *c, struct port *to, size_t *n)
{
	enum channel_result result;

	if (!c->n)
		return CHANNEL_WAIT;
	if (c->kind == CHANNEL_PIPE) {
		result = give_from_pipe(c, to, n);
	} else {
		enum port_result wrote = port_write(to, c->bytes + c->at, c->n, n);
		result = wrote == PORT_MOVED  ? CHANNEL_MOVED
				 : wrote == PORT_WAIT ? CHANNEL_WAIT
									  : CHANNEL_RECEIVER_GONE;
	}
	if (result == CHANNEL_MOVED) {
		c->at += *n;
		c->n -= *n;
	}
	return result;
}
