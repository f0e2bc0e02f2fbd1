/*
 * From prog to the network: cleartext straight into the engine, records through one queue to the socket.
 */
#include <errno.h>
#include <string.h>
#include "relay/loop.h"

size_t loop_queue_room(struct loop *l)
{
	if (l->queue_at && l->queue_at + l->queue_n > QUEUE_ROOM - ENGINE_RECORD_MAX) {
		memmove(l->queue, l->queue + l->queue_at, l->queue_n);
		l->queue_at = 0;
	}
	return QUEUE_ROOM - l->queue_at - l->queue_n;
}

bool loop_drain_records(struct loop *l)
{
	bool moved = false;
	const unsigned char *record;
	size_t n;

	while ((record = l->class->record_out(l->engine, &n)) != NULL) {
		size_t room = loop_queue_room(l);
		if (n > room)
			n = room;
		if (!n)
			break;
		if (!l->out_done) {
			memcpy(l->queue + l->queue_at + l->queue_n, record, n);
			l->queue_n += n;
		}
		l->class->record_out_moved(l->engine, n);
		moved = true;
	}
	return moved;
}

/* When nothing counts any more that comes from prog: a socket, as closing it with unread input would make a
 * reset of it, and whatever is not to be closed yet. */
static bool drains_plain(const struct loop *l)
{
	return l->plain_ended && !l->plain_eof && (l->plain_in.is_socket || l->plain_kept_until) &&
		   l->plain.discarded < UNWANTED_BYTES;
}

bool loop_wants_plain(const struct loop *l)
{
	if (drains_plain(l))
		return true;
	return l->opened && !l->plain_ended && !l->failed && l->queue_n <= REFILL_BELOW;
}

static bool drain_plain(struct loop *l)
{
	unsigned char unwanted[4096];
	size_t n;
	enum port_result how = port_read(&l->plain_in, unwanted, sizeof unwanted, &n);

	if (how == PORT_WAIT)
		return false;
	if (how == PORT_MOVED)
		l->plain.discarded += n;
	else
		l->plain_eof = true;
	return true;
}

/* The peer is in the midst of a message, and until it has come the engine seals nothing: neither what it took
 * nor an end. */
static bool engine_holds_back(struct loop *l)
{
	unsigned status = l->class->status(l->engine);
	size_t n;

	return status & ENGINE_OPEN && !(status & (ENGINE_SELF_CLOSED | ENGINE_FAILED)) &&
		   !l->class->plain_in(l->engine, &n) && !l->class->record_out(l->engine, &n);
}

/* True as long as there is a point in waiting for the engine; without it what it holds is lost. */
static bool wait_for_engine(struct loop *l)
{
	l->held = engine_holds_back(l);
	if (!l->held || !l->net_ended)
		return l->held;
	l->held = false;
	if (!l->notified)
		loop_say(l, RELAY_TLS_FAILED, "peer ended within a message, and did not get all");
	return false;
}

/* Nothing is read from prog while the engine takes nothing; its end is to be seen all the same. */
static bool look_for_end(struct loop *l)
{
	if (l->net_ended && !wait_for_engine(l)) {
		loop_abandon_output(l);
		return true;
	}
	if (!port_is_drained(&l->plain_in))
		return false;
	loop_note_output_end(l);
	l->plain_ended = l->plain_eof = true;
	return true;
}

/* One record a read, until the queue is worth a write. */
bool loop_read_plain(struct loop *l)
{
	bool moved = false;

	if (drains_plain(l))
		return drain_plain(l);
	while (loop_wants_plain(l) && loop_queue_room(l) >= ENGINE_RECORD_MAX) {
		size_t room, n;
		unsigned char *to = l->class->plain_in(l->engine, &room);
		enum port_result how;

		if (!to) {
			moved |= engine_holds_back(l) && look_for_end(l);
			break;
		}
		how = port_read(&l->plain_in, to, room, &n);
		if (how == PORT_WAIT) {
			if (l->in_done && l->net_ended && l->relay->prog <= 0)
				loop_abandon_output(l); /* nobody to wait for: it ends with the peer */
			break;
		}
		moved = true;
		if (how != PORT_MOVED) {
			loop_note_output_end(l);
			l->plain_ended = l->plain_eof = true;
			if (how == PORT_GONE)
				loop_local_failure(l, "read what is to be sent", l->plain_in.error);
			break;
		}
		l->class->plain_in_moved(l->engine, n);
		l->class->flush(l->engine);
		(void)loop_drain_records(l);
	}
	return moved;
}

bool loop_write_network(struct loop *l)
{
	size_t n;

	if (!l->queue_n || l->out_done)
		return false;
	switch (port_write(&l->net_out, l->queue + l->queue_at, l->queue_n, &n)) {
	case PORT_MOVED:
		l->queue_at += n;
		l->queue_n -= n;
		if (!l->queue_n)
			l->queue_at = 0;
		return true;
	case PORT_WAIT:
		return false;
	default:
		if (!l->opened)
			loop_fail(l, -1, strerror(l->net_out.error));
		loop_network_gone(l);
		return true;
	}
}

/* The end of prog's output, in the way that was asked for, once everything before it has gone. */
bool loop_end_network(struct loop *l)
{
	enum relay_close close = l->relay->configuration->close;

	if (l->out_done || !l->plain_ended)
		return false;
	(void)loop_drain_records(l);
	if (l->queue_n || wait_for_engine(l))
		return false;
	if (!l->notified && loop_awaits_prog(l))
		return false;
	if (!l->notified) {
		if (close == RELAY_CLOSE_WAIT && !l->net_ended && !l->unwanted)
			return false;
		l->notified = true;
		if (close != RELAY_CLOSE_FIN)
			(void)l->class->alert(l->engine, ALERT_CLOSE_NOTIFY);
	}
	(void)loop_drain_records(l);
	if (l->queue_n || wait_for_engine(l))
		return false;
	l->out_done = true;
	port_end_writing(&l->net_out);
	return true;
}
