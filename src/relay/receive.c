/*
 * From the network to prog: records into the engine, cleartext out of it. A server's first bytes pass the
 * ClientHello reader before the engine sees them.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "relay/loop.h"

/*
 * Whether to read from the network. Once nothing from there counts any more, it is read only to be thrown
 * away, and only when our side has ended: closing a socket with unread input would make the system reset the
 * connection and lose what is in flight.
 */
bool loop_wants_network(const struct loop *l)
{
	size_t n;

	if (l->net_eof || ((l->unwanted || l->net_ended) && l->network.discarded >= UNWANTED_BYTES))
		return false;
	if (l->net_ended)
		return l->out_done && !l->out_gone;
	if (!l->hello_done)
		return true;
	/* While the engine has cleartext that nobody takes, records may wait in it: an end of the network that is
	 * read before them would look like one without close_notify. */
	return l->in_n == 0 && !(l->opened && l->class->plain_out(l->engine, &n));
}

static void check_hello(struct loop *l, size_t fresh)
{
	switch (hello_read(&l->reader, l->in + l->in_at + l->in_n - fresh, fresh, &l->hello)) {
	case HELLO_DONE:
		l->hello_done = true;
		l->relay->configuration->hello = &l->reader;
		if (!relay_choose_identity(l->relay->configuration, &l->hello) ||
			!relay_agree_protocol(l->relay->configuration, &l->hello))
			loop_fail(l, l->hello.alert, l->hello.words);
		break;
	case HELLO_MORE:
		if (l->in_at + l->in_n == IN_ROOM)
			loop_fail(l, ALERT_ILLEGAL_PARAMETER, "ClientHello too large");
		break;
	case HELLO_REFUSED:
		loop_fail(l, l->hello.alert, l->hello.words);
	}
}

/* Fresh bytes of a connection that is not yet open: counted, and looked at before the engine gets them. */
static void check_handshake(struct loop *l, size_t fresh)
{
	l->handshake_bytes += fresh;
	if (l->handshake_bytes > HANDSHAKE_BYTES)
		loop_fail(l, ALERT_HANDSHAKE_FAILURE, "handshake too long");
	else if (!l->hello_done)
		check_hello(l, fresh);
}

static void ended_in_handshake(struct loop *l, bool lost)
{
	char words[160];

	(void)snprintf(words, sizeof words, "%s during the handshake",
		lost ? strerror(l->net_in.error) : "peer ended the connection");
	loop_fail(l, -1, words);
}

/* Without close_notify. An error that was told to a write is not told to the next read, which finds an end.
 */
static void ended_unsaid(struct loop *l, bool lost)
{
	const char *words = lost ? "connection lost without close_notify" : "peer ended without close_notify";

	l->lost = lost || l->net_out.error == ECONNRESET;
	if (!l->relay->strict_end)
		return;
	loop_say(l, RELAY_TLS_FAILED, words);
	if (l->relay->configuration->pass_failure)
		loop_fail(l, ALERT_DECODE_ERROR, words);
}

static void network_read_ended(struct loop *l, bool lost)
{
	l->net_eof = true;
	if (!l->net_ended) {
		l->net_ended = true;
		if (l->opened)
			ended_unsaid(l, lost);
		else
			ended_in_handshake(l, lost);
	}
	if (lost || l->lost)
		loop_network_gone(l);
}

bool loop_read_network(struct loop *l)
{
	size_t n, at;
	enum port_result how;

	if (!loop_wants_network(l))
		return false;
	if (!l->in_n)
		l->in_at = 0;
	at = l->in_at + l->in_n;
	how = port_read(&l->net_in, l->in + at, IN_ROOM - at, &n);
	if (how == PORT_WAIT)
		return false;
	if (how != PORT_MOVED) {
		network_read_ended(l, how == PORT_GONE);
	} else if (l->net_ended) {
		l->network.discarded += n;
	} else {
		l->in_n += n;
		if (!l->opened)
			check_handshake(l, n);
	}
	return true;
}

static bool drain_plain(struct loop *l)
{
	bool moved = false;
	const unsigned char *plain;
	size_t n;

	while ((plain = l->class->plain_out(l->engine, &n)) != NULL) {
		size_t room = GATHER_ROOM - l->gather_at - l->gather_n;
		if (l->unwanted) {
			l->network.discarded += n;
		} else {
			if (n > room)
				n = room;
			if (!n)
				break;
			memcpy(l->gather + l->gather_at + l->gather_n, plain, n);
			l->gather_n += n;
			if (l->gather_most < l->gather_at + l->gather_n)
				l->gather_most = l->gather_at + l->gather_n;
		}
		l->class->plain_out_moved(l->engine, n);
		moved = true;
	}
	return moved;
}

/* Once, when the handshake is complete: prog may start. */
static void note_open(struct loop *l)
{
	struct engine_facts facts;
	char words[160];

	if (l->opened || l->failed || !(l->class->status(l->engine) & ENGINE_OPEN))
		return;
	l->opened = true;
	l->handshake_deadline = 0;
	(void)loop_write_network(l); /* the end of a server's handshake does not wait for prog */
	l->class->facts(l->engine, &facts);
	if (l->relay->opened(l->relay->context, &facts, l->hello.server_name, &l->message)) {
		if (l->message.fd >= 0)
			port_open(&l->told, l->message.fd);
	} else {
		(void)snprintf(words, sizeof words, "unable to report the connection: %s", strerror(errno));
		loop_say(l, RELAY_SYSTEM_FAILED, words);
		loop_fail(l, ALERT_INTERNAL_ERROR, words);
	}
}

static void note_peer_closed(struct loop *l)
{
	if (l->class->status(l->engine) & ENGINE_PEER_CLOSED) {
		l->net_ended = true;
		l->in_n = 0; /* nothing counts behind close_notify */
	}
}

/* Everything that one step of the engine may have brought about, in the order in which it counts. */
static bool note_all(struct loop *l)
{
	bool moved = loop_drain_records(l);
	note_open(l); /* before what may follow in the same packet: an end, or a failure */
	moved |= drain_plain(l);
	loop_note_failure(l);
	note_peer_closed(l);
	return moved;
}

/* An engine that neither takes nor gives anything would leave the connection without a way out. */
static void check_not_stuck(struct loop *l)
{
	size_t n;

	if (!l->net_ended && !l->class->plain_out(l->engine, &n) && !l->class->record_out(l->engine, &n))
		loop_fail(l, ALERT_INTERNAL_ERROR, "engine takes no more records");
}

bool loop_feed(struct loop *l)
{
	bool moved = note_all(l);

	while (l->in_n && l->hello_done && !l->net_ended && loop_queue_room(l) >= ENGINE_RECORD_MAX) {
		size_t n;
		unsigned char *to = l->class->record_in(l->engine, &n);

		if (!to) {
			check_not_stuck(l);
			break;
		}
		if (n > l->in_n)
			n = l->in_n;
		memcpy(to, l->in + l->in_at, n);
		l->in_at += n;
		l->in_n -= n;
		l->class->record_in_moved(l->engine, n);
		(void)note_all(l);
		moved = true;
	}
	return moved;
}

bool loop_write_plain(struct loop *l)
{
	size_t n;

	if (!l->gather_n)
		return false;
	switch (port_write(&l->plain_out, l->gather + l->gather_at, l->gather_n, &n)) {
	case PORT_MOVED:
		if (l->plain_kept_until)
			l->plain_kept_until = l->now + FAREWELL_MS;
		l->gather_at += n;
		l->gather_n -= n;
		if (!l->gather_n)
			l->gather_at = 0;
		return true;
	case PORT_WAIT:
		return false;
	default:
		if (l->plain_out.error != EPIPE && l->plain_out.error != ECONNRESET)
			loop_local_failure(l, "write what was received", l->plain_out.error);
		loop_receiver_gone(l);
		return true;
	}
}

/* Prog's input ends once everything was delivered. */
bool loop_end_plain(struct loop *l)
{
	size_t n;

	if (l->in_done || !l->net_ended || l->gather_n || l->in_n || l->class->plain_out(l->engine, &n))
		return false;
	l->in_done = true;
	port_end_writing(&l->plain_out);
	if (l->plain_kept_until)
		l->plain_kept_until = l->now + END_NOTICED_MS;
	return true;
}

bool loop_write_message(struct loop *l)
{
	size_t n;

	if (l->told.fd < 0)
		return false;
	switch (port_write(&l->told, l->message.at, l->message.n, &n)) {
	case PORT_MOVED:
		l->message.at += n;
		l->message.n -= n;
		if (!l->message.n)
			port_close(&l->told);
		return true;
	case PORT_WAIT:
		return false;
	default: /* prog does not want to know */
		port_close(&l->told);
		return true;
	}
}
