/*
 * How a connection ends: failures, receivers that go away, signals, deadlines, and the wait for the peer to
 * take what it was sent.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include "relay/loop.h"

void loop_say(struct loop *l, enum relay_code code, const char *words)
{
	if (l->end->code != RELAY_DONE || *l->end->words)
		return;
	l->end->code = code;
	(void)snprintf(l->end->words, sizeof l->end->words, "%s", words);
}

void loop_abandon_output(struct loop *l)
{
	bool first = !l->plain_ended;

	l->plain_ended = true;
	if (l->failed || l->lost || l->relay->prog <= 0 || !l->plain_in.is_pipe || !l->plain_out.is_pipe ||
		l->plain_out.hung_up) {
		l->plain_kept_until = 0;
		port_end_reading(&l->plain_in);
	} else if (first) {
		l->plain_kept_until = l->now + (l->in_done ? END_NOTICED_MS : FAREWELL_MS);
	}
}

static void check_kept_output(struct loop *l)
{
	if (!l->plain_kept_until ||
		(l->now < l->plain_kept_until && !l->plain_eof && l->plain.discarded < UNWANTED_BYTES))
		return;
	l->plain_kept_until = 0;
	port_end_reading(&l->plain_in);
}

void loop_network_gone(struct loop *l)
{
	l->queue_n = 0;
	l->notified = l->out_done = l->out_gone = true;
	loop_abandon_output(l);
}

void loop_receiver_gone(struct loop *l)
{
	l->unwanted = l->in_done = true;
	l->network.discarded += l->gather_n;
	l->gather_n = 0;
	port_end_writing(&l->plain_out);
}

void loop_local_failure(struct loop *l, const char *doing, int errnum)
{
	char words[200];

	(void)snprintf(words, sizeof words, "unable to %s: %s", doing, strerror(errnum));
	loop_say(l, RELAY_SYSTEM_FAILED, words);
	loop_fail(l, ALERT_INTERNAL_ERROR, words); /* the peer must not take this for the end */
}

void loop_fail(struct loop *l, int alert, const char *words)
{
	if (l->failed)
		return;
	l->failed = true;
	loop_say(l, RELAY_TLS_FAILED, words);
	if (alert >= 0)
		(void)l->class->alert(l->engine, alert);
	l->net_ended = l->notified = true;
	l->in_n = 0;
	loop_abandon_output(l);
	if (!l->opened)
		l->in_done = true;
}

void loop_note_failure(struct loop *l)
{
	const struct engine_failure *why;
	char words[200];

	if (l->failed || !(l->class->status(l->engine) & ENGINE_FAILED))
		return;
	why = l->class->failure(l->engine);
	if (why->setup) {
		loop_say(l, RELAY_ENGINE_FAILED, why->words);
		l->broken = true;
		return;
	}
	if (why->alert_received >= 0)
		(void)snprintf(words, sizeof words, "peer sent alert %s", engine_alert_name(why->alert_received));
	else
		(void)snprintf(words, sizeof words, "%s", why->words);
	loop_fail(l, why->alert_due, words);
}

/* See farewell_taken. */
static bool took_leave(const struct loop *l, struct farewell *side, size_t left, bool eof)
{
	int64_t linger_ms = l->opened ? (int64_t)l->relay->configuration->linger_s * 1000 : UNWANTED_MS;

	return farewell_taken(side, l->now, linger_ms, left, eof);
}

static bool network_finished(struct loop *l)
{
	size_t left;

	if (l->out_gone || (l->out_done && l->net_eof)) {
		l->network.left = 0; /* both directions have ended: the system sends what it still holds */
		return true;
	}
	left = l->queue_n + port_unacknowledged(&l->net_out) + l->held;
	if (!left && (!l->out_done || !(l->unwanted || l->net_ended))) {
		l->network.left = 0;
		return false;
	}
	if (!left && !l->failed && l->class->status(l->engine) & ENGINE_PEER_CLOSED)
		return true; /* it has said that nothing follows */
	if (!took_leave(l, &l->network, left, l->net_eof))
		return false;
	if (left) {
		loop_say(l, RELAY_TLS_FAILED, "peer took nothing more until TLS_LINGER ran out");
		loop_network_gone(l);
	}
	return true;
}

/* Pipes keep what was written for whoever reads them; a socket would lose it to a reset. */
static bool plain_finished(struct loop *l)
{
	size_t left;

	if (!l->plain_out.is_socket || (l->in_done && l->plain_eof))
		return l->in_done;
	left = l->gather_n + port_unacknowledged(&l->plain_out);
	if (l->in_done || left)
		return took_leave(l, &l->plain, left, l->plain_eof);
	l->plain.left = 0;
	return false;
}

bool loop_finished(struct loop *l)
{
	return l->plain_ended && !l->plain_kept_until && network_finished(l) && plain_finished(l);
}

/* Neither side has moved a byte for too long: both ends, and prog is told. */
static void end_idle(struct loop *l)
{
	(void)snprintf(l->end->words, sizeof l->end->words, "idle for %u ms", l->relay->idle_ms);
	l->prog_asked = true;
	if (l->relay->prog > 0)
		(void)kill(l->relay->prog, SIGTERM); /* it may have gone, or run as somebody else */
	l->net_ended = true;
	l->in_n = 0;
	loop_receiver_gone(l);
	loop_abandon_output(l);
	l->idle_since = 0;
}

void loop_check_deadlines(struct loop *l)
{
	if (l->handshake_deadline && l->now >= l->handshake_deadline) {
		l->handshake_deadline = 0;
		loop_fail(l, ALERT_USER_CANCELED, "handshake timed out");
	}
	loop_look_at_prog(l);
	check_kept_output(l);
	if (l->signal_until && l->now >= l->signal_until) {
		l->signal_until = 0;
		loop_receiver_gone(l);
		loop_abandon_output(l);
	}
	if (l->relay->idle_ms && l->idle_since && l->opened &&
		l->now - l->idle_since >= (int64_t)l->relay->idle_ms)
		end_idle(l);
}

int64_t loop_next_deadline(const struct loop *l)
{
	int64_t earliest = 0;

	keep_earliest(&earliest, l->handshake_deadline);
	keep_earliest(&earliest, l->signal_until);
	loop_prog_deadline(l, &earliest);
	keep_earliest(&earliest, l->plain_kept_until);
	farewell_deadline(&l->network, l->now, &earliest);
	farewell_deadline(&l->plain, l->now, &earliest);
	if (l->relay->idle_ms && l->idle_since && l->opened)
		keep_earliest(&earliest, l->idle_since + l->relay->idle_ms);
	return earliest;
}
