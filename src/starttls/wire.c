/*
 * The connection during a dialogue: lines and bytes are taken off it exactly, never one more, as what stands
 * behind the last plaintext byte belongs to TLS (the class of CVE-2011-0411). Sockets are looked into with
 * MSG_PEEK; anything else is read byte by byte.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "internal.h"
#include "net/net.h"

enum {
	NAP_MS = 20,          /* between two looks at a line that is to stay where it is and has no end yet */
	SMALL_WRITE = 512,    /* _POSIX_PIPE_BUF: does not block after poll */
	END_MS = 2000,        /* how long the last words may take to get to a peer that goes on sending */
	END_BYTES = 256 << 10 /* and how much it may send meanwhile */
};

/*
 * Where the system cannot tell that a peer has ended behind bytes that are still there, the deadline ends the
 * wait.
 */
#ifdef POLLRDHUP
#define PEER_ENDED POLLRDHUP
#else
#define PEER_ENDED 0
#endif

/* Waits for one of events; *seen, if not NULL, is what poll says. */
static enum wire_result wait_and_see(int fd, short events, int64_t deadline, short *seen)
{
	struct pollfd p = { .fd = fd, .events = events };

	for (;;) {
		int64_t left = deadline - net_now();
		int got;

		if (left <= 0)
			return WIRE_LATE;
		got = poll(&p, 1, left > 1000000 ? 1000000 : (int)left);
		if (got > 0) {
			if (seen)
				*seen = p.revents;
			return WIRE_OK;
		}
		if (got < 0 && errno != EINTR)
			return WIRE_SYSTEM;
	}
}

static enum wire_result wait_for(int fd, short events, int64_t deadline)
{
	return wait_and_see(fd, events, deadline, NULL);
}

static bool try_again(void)
{
	return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
}

/* What a lost connection is called does not matter: it is the peer's end. */
static enum wire_result reading_failed(void)
{
	return errno == ECONNRESET || errno == ETIMEDOUT || errno == EPIPE ? WIRE_CLOSED : WIRE_SYSTEM;
}

/*
 * Waits until something is there, and looks at up to room bytes of it without taking them. *seen is 0 where
 * that is not possible, as this is no socket. *last, if not NULL: the peer has ended, and nothing will
 * follow.
 */
static enum wire_result look(
	const struct starttls_wire *wire, void *bytes, size_t room, size_t *seen, bool *last)
{
	for (;;) {
		short events = 0;
		enum wire_result result = wait_and_see(wire->reading, POLLIN | PEER_ENDED, wire->deadline, &events);
		ssize_t got;

		if (result != WIRE_OK)
			return result;
		if (last)
			*last = events & (PEER_ENDED | POLLHUP);
		got = recv(wire->reading, bytes, room, MSG_PEEK | MSG_DONTWAIT);
		if (got > 0) {
			*seen = (size_t)got;
			return WIRE_OK;
		}
		if (got == 0)
			return WIRE_CLOSED;
		if (errno == ENOTSOCK) {
			*seen = 0;
			return WIRE_OK;
		}
		if (!try_again())
			return reading_failed();
	}
}

/* Takes up to n bytes that are there. */
static enum wire_result take_some(struct starttls_wire *wire, void *bytes, size_t n, size_t *taken)
{
	for (;;) {
		ssize_t got = read(wire->reading, bytes, n);

		if (got > 0) {
			*taken = (size_t)got;
			wire->budget -= (size_t)got;
			return WIRE_OK;
		}
		if (got == 0)
			return WIRE_CLOSED;
		if (!try_again())
			return reading_failed();
		if (errno != EINTR) {
			enum wire_result result = wait_for(wire->reading, POLLIN, wire->deadline);
			if (result != WIRE_OK)
				return result;
		}
	}
}

static size_t at_most(size_t a, size_t b)
{
	return a < b ? a : b;
}

/*
 * Before the next look at something that is to stay where it is and is not whole yet: what has been seen
 * already would end every wait for more.
 */
static enum wire_result nap(const struct starttls_wire *wire, bool last)
{
	if (last)
		return WIRE_CLOSED;
	(void)poll(NULL, 0, NAP_MS);
	return net_now() < wire->deadline ? WIRE_OK : WIRE_LATE;
}

/* Cuts the end off a line of n bytes with a LF as the last. */
static enum wire_result finish_line(struct wire_line *line, size_t n, bool lf_ends)
{
	line->whole = n;
	n--;
	if (n && line->text[n - 1] == '\r')
		n--;
	else if (!lf_ends)
		return WIRE_ILLEGAL;
	line->text[n] = '\0';
	line->n = n;
	return memchr(line->text, '\0', n) || memchr(line->text, '\r', n) ? WIRE_ILLEGAL : WIRE_OK;
}

enum wire_result wire_line(struct starttls_wire *wire, struct wire_line *line, bool lf_ends, bool leave)
{
	size_t n = 0; /* bytes of the line that have been taken off */

	line->n = line->whole = 0;
	line->text[0] = '\0';
	for (;;) {
		size_t room = at_most(WIRE_LINE_MAX - n, wire->budget), seen = 0, more;
		const char *end;
		bool last;
		enum wire_result result;

		if (!room)
			return WIRE_LONG;
		result = look(wire, line->text + n, room, &seen, &last);
		if (result != WIRE_OK)
			return result;
		end = memchr(line->text + n, '\n', seen);
		if (leave) {
			if (end)
				return finish_line(line, (size_t)(end - line->text) + 1, lf_ends);
			if (seen == room)
				return WIRE_LONG;
			result = nap(wire, last);
			if (result != WIRE_OK)
				return result;
			continue;
		}
		more = end ? (size_t)(end - line->text) + 1 - n : seen ? seen : 1;
		result = take_some(wire, line->text + n, more, &more);
		if (result != WIRE_OK)
			return result;
		n += more;
		if (line->text[n - 1] == '\n')
			return finish_line(line, n, lf_ends);
	}
}

enum wire_result wire_skip_line(struct starttls_wire *wire, bool *empty)
{
	char piece[512];
	size_t whole = 0;
	bool begins_with_cr = false;

	for (;;) {
		size_t room = at_most(sizeof piece, wire->budget), seen = 0, more;
		const char *end;
		enum wire_result result;

		if (!room)
			return WIRE_LONG;
		result = look(wire, piece, room, &seen, NULL);
		if (result != WIRE_OK)
			return result;
		end = memchr(piece, '\n', seen);
		more = end ? (size_t)(end - piece) + 1 : seen ? seen : 1;
		result = take_some(wire, piece, more, &more);
		if (result != WIRE_OK)
			return result;
		if (!whole)
			begins_with_cr = piece[0] == '\r';
		*empty = whole + more == (begins_with_cr ? 2 : 1); /* of lines that end here */
		whole += more;
		if (piece[more - 1] == '\n')
			return WIRE_OK;
	}
}

enum wire_result wire_take(struct starttls_wire *wire, size_t n)
{
	unsigned char thrown_away[WIRE_LINE_MAX];

	while (n) {
		size_t piece = at_most(n, sizeof thrown_away);
		enum wire_result result = wire_bytes(wire, thrown_away, piece);

		if (result != WIRE_OK)
			return result;
		n -= piece;
	}
	return WIRE_OK;
}

enum wire_result wire_bytes(struct starttls_wire *wire, unsigned char *bytes, size_t n)
{
	if (n > wire->budget)
		return WIRE_LONG;
	while (n) {
		size_t taken;
		enum wire_result result = wait_for(wire->reading, POLLIN, wire->deadline);

		if (result == WIRE_OK)
			result = take_some(wire, bytes, n, &taken);
		if (result != WIRE_OK)
			return result;
		bytes += taken;
		n -= taken;
	}
	return WIRE_OK;
}

enum wire_result wire_peek_more(
	struct starttls_wire *wire, unsigned char *bytes, size_t room, size_t known, size_t *n)
{
	for (;;) {
		bool last;
		enum wire_result result = look(wire, bytes, room, n, &last);

		if (result == WIRE_OK && *n > known)
			return WIRE_OK;
		if (result == WIRE_OK)
			result = nap(wire, last);
		if (result != WIRE_OK)
			return result;
	}
}

enum wire_result wire_peek(struct starttls_wire *wire, unsigned char *bytes, size_t n)
{
	size_t seen;

	return n ? wire_peek_more(wire, bytes, n, n - 1, &seen) : WIRE_OK;
}

bool wire_first(const struct starttls_wire *wire, int ms, unsigned char *byte)
{
	int64_t until = net_now() + ms;

	if (wait_for(wire->reading, POLLIN, until < wire->deadline ? until : wire->deadline) != WIRE_OK)
		return false;
	return recv(wire->reading, byte, 1, MSG_PEEK | MSG_DONTWAIT) == 1;
}

/* A pipe that nobody reads any more is the peer's end, and no reason to die of SIGPIPE without a word. */
static ssize_t write_to_pipe(int fd, const void *bytes, size_t n)
{
	void (*before)(int) = signal(SIGPIPE, SIG_IGN);
	ssize_t written = write(fd, bytes, n);
	int saved = errno;

	if (before != SIG_ERR)
		(void)signal(SIGPIPE, before);
	errno = saved;
	return written;
}

enum wire_result wire_write(const struct starttls_wire *wire, const void *bytes, size_t n)
{
	const char *at = bytes;

	while (n) {
		enum wire_result result = wait_for(wire->writing, POLLOUT, wire->deadline);
		ssize_t sent;

		if (result != WIRE_OK)
			return result;
		sent = send(wire->writing, at, n, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (sent < 0 && errno == ENOTSOCK)
			sent = write_to_pipe(wire->writing, at, at_most(n, SMALL_WRITE));
		if (sent < 0) {
			if (!try_again())
				return reading_failed();
			continue;
		}
		at += sent;
		n -= (size_t)sent;
	}
	return WIRE_OK;
}

void starttls_end(const struct starttls_wire *wire)
{
	struct starttls_wire last = *wire;
	char thrown_away[4096];
	size_t taken;

	if (shutdown(wire->writing, SHUT_WR) < 0)
		return; /* no socket, or nobody there: nothing can be lost */
	last.deadline = net_now() + END_MS;
	last.budget = END_BYTES;
	while (last.budget > sizeof thrown_away && wait_for(last.reading, POLLIN, last.deadline) == WIRE_OK &&
		   take_some(&last, thrown_away, sizeof thrown_away, &taken) == WIRE_OK)
		;
}
