/*
 * A client that came while nothing is in order here: it is told, and the connection ends without a reset.
 */
#include <poll.h>
#include "net/net.h"
#include "relay/loop.h"

void relay_turn_away(int net_in, int net_out)
{
	static const unsigned char alert[] = { 21, 3, 1, 0, 2, 2,
		ALERT_INTERNAL_ERROR }; /* RFC 5246 7.2, in clear */
	unsigned char unwanted[4096];
	int64_t deadline = net_now() + UNWANTED_MS;
	struct port in, out;
	size_t n;

	port_open(&in, net_in);
	port_open(&out, net_out);
	if (!in.is_socket || !out.is_socket || port_write(&out, alert, sizeof alert, &n) != PORT_MOVED)
		return;
	port_end_writing(&out);
	for (size_t taken = 0; taken < UNWANTED_BYTES;) {
		struct pollfd p = { .fd = in.fd, .events = POLLIN };
		int64_t left = deadline - net_now();

		if (left <= 0 || poll(&p, 1, (int)left) <= 0)
			return;
		in.ready = true;
		if (port_read(&in, unwanted, sizeof unwanted, &n) != PORT_MOVED)
			return;
		taken += n;
	}
}
