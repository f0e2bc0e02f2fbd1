/*
 * Descriptors of the loop: see port.h.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#ifdef __linux__
#include <linux/sockios.h>
#endif
#include "relay/port.h"

enum { SAFE_WRITE = 4096 }; /* PIPE_BUF on Linux: what poll promises room for (POSIX: at least 512) */

void port_open(struct port *port, int fd)
{
	struct stat st;
	int flags = fcntl(fd, F_GETFL);

	struct sockaddr_storage address;
	socklen_t length = sizeof address;

	*port = (struct port){ .fd = fd };
	if (fstat(fd, &st) == 0) {
		port->is_socket = S_ISSOCK(st.st_mode);
		port->is_pipe = S_ISFIFO(st.st_mode);
	}
	port->is_local = port->is_socket && getsockname(fd, (struct sockaddr *)&address, &length) == 0 &&
					 address.ss_family == AF_UNIX;
	port->may_block = !port->is_socket && !(flags >= 0 && flags & O_NONBLOCK);
	port->ready = !port->may_block;
}

static enum port_result result_of(struct port *port, ssize_t got, size_t asked, size_t *n)
{
	if (got > 0) {
		*n = (size_t)got;
		if (*n < asked || port->may_block)
			port->ready = false; /* most likely drained or full; poll tells */
		return PORT_MOVED;
	}
	if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
		port->ready = false;
		return PORT_WAIT;
	}
	if (got == 0)
		return PORT_END;
	port->error = errno;
	return PORT_GONE;
}

enum port_result port_read(struct port *port, void *to, size_t room, size_t *n)
{
	ssize_t got;

	if (port->fd < 0)
		return PORT_END;
	if (!port->ready)
		return PORT_WAIT;
	do
		got = port->is_socket ? recv(port->fd, to, room, MSG_DONTWAIT) : read(port->fd, to, room);
	while (got < 0 && errno == EINTR);
	return result_of(port, got, room, n);
}

enum port_result port_write(struct port *port, const void *from, size_t length, size_t *n)
{
	ssize_t got;

	if (port->fd < 0) {
		port->error = EPIPE;
		return PORT_GONE;
	}
	if (!port->ready)
		return PORT_WAIT;
	if (port->may_block && length > SAFE_WRITE)
		length = SAFE_WRITE;
	do
		got = port->is_socket ? send(port->fd, from, length, MSG_DONTWAIT | MSG_NOSIGNAL)
							  : write(port->fd, from, length);
	while (got < 0 && errno == EINTR);
	if (got == 0) {
		port->ready = false;
		return PORT_WAIT;
	}
	return result_of(port, got, length, n);
}

void port_end_reading(struct port *port)
{
	if (port->fd < 0)
		return;
	if (!port->is_socket)
		port_close(port);
	else if (port->is_local)
		(void)shutdown(port->fd, SHUT_RD); /* who writes to it gets EPIPE, as with a pipe */
}

void port_end_writing(struct port *port)
{
	if (port->fd < 0)
		return;
	if (!port->is_socket)
		port_close(port);
	else
		(void)shutdown(port->fd, SHUT_WR); /* fails where the peer has reset, and then it has ended anyway */
}

void port_close(struct port *port)
{
	if (port->fd >= 0)
		(void)close(
			port->fd); /* nothing could be done about a failure, and the descriptor is gone in any case */
	port->fd = -1;
}

bool port_is_drained(const struct port *port)
{
	int n = 0;

	return port->fd >= 0 && port->hung_up && ioctl(port->fd, FIONREAD, &n) == 0 && n == 0;
}

size_t port_unacknowledged(const struct port *port)
{
#ifdef SIOCOUTQ
	int n = 0;
	if (port->fd >= 0 && port->is_socket && ioctl(port->fd, SIOCOUTQ, &n) == 0 && n > 0)
		return (size_t)n;
#else
	(void)port;
#endif
	return 0;
}
