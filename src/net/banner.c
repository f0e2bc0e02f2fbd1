/*
 * A greeting in clear, before anything else is known of a connection.
 */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include "net.h"

enum { PATIENCE_MS = 10000 };

bool net_write_banner(int socket, const char *text)
{
	int64_t deadline = net_now() + PATIENCE_MS;
	size_t left = strlen(text);

	while (left) {
		struct pollfd polled = { .fd = socket, .events = POLLOUT };
		ssize_t sent = send(socket, text, left, MSG_DONTWAIT | MSG_NOSIGNAL);
		int64_t wait = deadline - net_now();

		if (sent >= 0) {
			text += sent;
			left -= (size_t)sent;
			continue;
		}
		if (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR)
			return false;
		if (wait <= 0) {
			errno = ETIMEDOUT;
			return false;
		}
		(void)poll(&polled, 1, (int)wait); /* whatever it says, sending knows better */
	}
	return true;
}
