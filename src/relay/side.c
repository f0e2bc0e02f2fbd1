/*
 * A side of two joined connections: see side.h.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include "relay/side.h"

/* In which the system lets go of both pipes of a program that dies, whichever is first; every other end waits
 * as long. */
enum { DYING_MS = 2 };

void side_open(struct side *s, int in, int out)
{
	port_open(&s->in, in);
	port_open(&s->out, out);
	s->pipes = s->in.is_pipe && s->out.is_pipe;
	s->in_flags = fcntl(in, F_GETFL);
	s->out_flags = fcntl(out, F_GETFL);
}

/* O_NONBLOCK belongs to everybody who has the socket. */
void side_close(struct side *s)
{
	const struct linger at_once = { .l_onoff = 1 };

	if (s->in.fd >= 0 && s->in_flags >= 0)
		(void)fcntl(s->in.fd, F_SETFL, s->in_flags);
	if (s->out.fd >= 0 && s->out_flags >= 0)
		(void)fcntl(s->out.fd, F_SETFL, s->out_flags);
	if (s->pass_reset && s->out.fd >= 0)
		(void)setsockopt(s->out.fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
	port_close(&s->in);
	port_close(&s->out);
}

bool side_is_tcp(const struct side *s)
{
	return s->out.is_socket && !s->out.is_local;
}

size_t side_waiting(const struct side *s)
{
	int n = 0;

	return s->in.fd >= 0 && ioctl(s->in.fd, FIONREAD, &n) == 0 && n > 0 ? (size_t)n : 0;
}

void side_look_at_end(struct side *s, int gone)
{
	struct pollfd p = { .fd = s->out.fd };

	if (!s->pipes || s->end_seen)
		return;
	s->end_seen = true;
	s->broken = gone == EPIPE || (p.fd >= 0 && poll(&p, 1, DYING_MS) > 0 && p.revents & POLLERR);
}
