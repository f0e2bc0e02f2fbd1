/*
 * Delayed TLS (ucspi-tls(7)): prog talks with the peer in clear, and asks for TLS by a byte on its control
 * socket, or never does. Called by io programs when all is ready for a handshake.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include "relay/relay.h"
#include "relay/waiting.h"

/*
 * What prog sends behind its command is taken off, and more is refused: a close with unread input would reach
 * prog as an error, and in the place of a report.
 */
static void stop_reading(int control)
{
	char unread[256];

	(void)shutdown(control, SHUT_RD);
	while (recv(control, unread, sizeof unread, MSG_DONTWAIT) > 0)
		;
}

/* True once something is decided. */
static bool read_command(int control, enum relay_command *command)
{
	char byte;
	ssize_t got = recv(control, &byte, 1, MSG_DONTWAIT);

	if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
		return false;
	if (got <= 0)
		*command = RELAY_COMMAND_NONE;
	else
		*command = byte == 'y'   ? RELAY_COMMAND_START
				   : byte == 'Y' ? RELAY_COMMAND_START_AND_REPORT
								 : RELAY_COMMAND_UNKNOWN;
	stop_reading(control);
	return true;
}

enum relay_command relay_wait_for_command(int control, pid_t prog)
{
	enum relay_command command = RELAY_COMMAND_NONE;
	struct waiting waiting;
	siginfo_t how;
	bool ended = false, for_us_alone;
	int number = 0;

	if (!waiting_catch_signals(&waiting, true))
		return RELAY_COMMAND_NONE;
	while (!read_command(control, &command)) {
		struct pollfd p = { .fd = control, .events = POLLIN };

		/* In this order: a byte sent before the end was there to be read after it was seen. */
		if (ended || number)
			break;
		if (waiting_child_ended(prog, &how)) {
			ended = true;
			continue;
		}
		if (ppoll(&p, 1, NULL, &waiting.signals) < 0 && errno != EINTR)
			break;
		number = waiting_take_signal(&for_us_alone);
		if (!for_us_alone)
			number = 0; /* prog has got it, too, and decides */
	}
	if (!number)
		return command;
	(void)kill(prog, number); /* where the uids allow it */
	return RELAY_COMMAND_NONE;
}
