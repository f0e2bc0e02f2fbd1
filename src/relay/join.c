/*
 * Two connections joined: what one gives the other gets, until both directions have ended. The rules are
 * those of the loop of an io program (DESIGN §3), its means too; there is no engine in between. Every state
 * moves bytes, waits with a deadline, or ends.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "net/net.h"
#include "relay/channel.h"
#include "relay/farewell.h"
#include "relay/relay.h"
#include "relay/side.h"
#include "relay/waiting.h"

enum { LINGER_MS = 60000, PASSES = 16 };

struct flow {
	struct side *from, *to;
	struct channel channel;
	bool ended; /* nothing more from the source is delivered */
	bool cut;   /* as the source was reset: the receiver must not take it for the end */
	bool done;  /* the receiver has been given all and told the end, or is gone */
	int gone;   /* errno of the latter, else 0 */
	int to_fd;  /* number of the receiver's descriptor, for words */
	uint64_t moved;
};

struct join {
	const struct relay_join *wish;
	struct relay_join_end *end;
	struct side near, far;
	struct flow out, in; /* near to far, far to near */
	struct waiting waiting;
	int64_t now, idle_since, linger_ms;
};

static struct join the_join; /* one a process; in BSS, so that untouched buffers cost nothing */
static unsigned char unwanted[65536];

/* Keeps the first reason. */
static void say(struct join *j, bool failed, const char *doing, const char *reason)
{
	if (*j->end->words)
		return;
	j->end->failed = failed;
	(void)snprintf(j->end->words, sizeof j->end->words, "%s%s", doing, reason);
}

/* ---- ends ---- */

static void end_source(struct flow *f)
{
	f->ended = true;
	port_end_reading(&f->from->in);
	if (f->from->in.fd < 0)
		f->from->eof = true;
}

/* An error that was told to a write is not told to the next read, which finds an end: hence reset. */
static void source_ended(struct join *j, struct flow *f, int error)
{
	char words[64];

	side_look_at_end(f->from, (f == &j->out ? &j->in : &j->out)->gone);
	f->from->eof = true;
	f->from->reset |= error != 0;
	f->cut = f->from->reset || f->from->broken;
	if (f->cut) {
		(void)snprintf(words, sizeof words, "unable to read descriptor %d: ", f->from->in.fd);
		say(j, true, words, f->from->broken ? "connection lost" : strerror(error ? error : ECONNRESET));
	}
	end_source(f);
}

static void say_lost(struct join *j, const struct flow *f)
{
	char words[64];

	(void)snprintf(words, sizeof words, "unable to write descriptor %d: ", f->to_fd);
	say(j, true, words, strerror(f->gone));
}

/* Nobody reads what was to be delivered: whoever writes it is told so where that is possible. */
static void receiver_gone(struct join *j, struct flow *f, int error)
{
	f->gone = error;
	if (f->channel.n || side_waiting(f->from))
		say_lost(j, f);
	f->from->leave.discarded += f->channel.n;
	channel_close(&f->channel);
	f->done = true;
	port_end_writing(&f->to->out);
	end_source(f);
}

/* The end is told once all has been delivered. Where it is none, a pipe gets its own with our exit code: the
 * program at its other end may pass that on (TLS_RESET). */
static bool settle(struct flow *f)
{
	if (!f->ended || f->channel.n || f->done)
		return false;
	f->done = true;
	if (f->cut && side_is_tcp(f->to))
		f->to->pass_reset = true;
	else if (!f->cut || !f->to->out.is_pipe)
		port_end_writing(&f->to->out);
	return true;
}

static void end_all(struct join *j)
{
	end_source(&j->out);
	end_source(&j->in);
}

/* ---- moving ---- */

static bool discard(struct join *j, struct flow *f)
{
	struct side *from = f->from;
	size_t n;

	switch (port_read(&from->in, unwanted, sizeof unwanted, &n)) {
	case PORT_MOVED:
		from->leave.discarded += n;
		if (f->gone)
			say_lost(j, f);
		return true;
	case PORT_WAIT:
		return false;
	default:
		from->eof = true;
		return true;
	}
}

static bool fill(struct join *j, struct flow *f)
{
	size_t n = 0;

	if (f->from->eof)
		return false;
	if (f->ended)
		return discard(j, f);
	switch (channel_fill(&f->channel, &f->from->in, &f->to->out, &n)) {
	case CHANNEL_MOVED:
		f->moved += n;
		j->idle_since = j->now;
		return true;
	case CHANNEL_WAIT:
		return false;
	case CHANNEL_RECEIVER_GONE:
		f->to->reset |= f->to->out.error == ECONNRESET;
		receiver_gone(j, f, f->to->out.error);
		return true;
	case CHANNEL_END:
		source_ended(j, f, 0);
		return true;
	case CHANNEL_SOURCE_GONE:
		source_ended(j, f, f->from->in.error);
	}
	return true;
}

static bool drain(struct join *j, struct flow *f)
{
	size_t n = 0;

	switch (f->done ? CHANNEL_WAIT : channel_drain(&f->channel, &f->to->out, &n)) {
	case CHANNEL_MOVED:
		j->idle_since = j->now;
		return true;
	case CHANNEL_RECEIVER_GONE:
		f->to->reset |= f->to->out.error == ECONNRESET;
		receiver_gone(j, f, f->to->out.error);
		return true;
	default:
		return false;
	}
}

static bool pump(struct join *j, struct flow *f)
{
	bool moved = fill(j, f);

	moved |= drain(j, f);
	moved |= settle(f);
	return moved;
}

/* For who talks to the far side: nothing that is still said matters when it has ended. */
static bool end_with_far(struct join *j)
{
	if (!j->wish->end_with_far || !j->in.done || j->out.ended)
		return false;
	end_source(&j->out);
	return true;
}

/* Ends that show only as an error on a descriptor that is not written at the moment. */
static void notice_hang_up(struct join *j, struct flow *f)
{
	if (f->to->out.hung_up && !f->done)
		receiver_gone(j, f, EPIPE);
}

/* ---- deadlines ---- */

/* What is still held goes out once more; a receiver that takes none of it for so long is gone. */
static void check_receiver(struct join *j, struct flow *f)
{
	size_t left = f->channel.n + port_unacknowledged(&f->to->out);

	if (f->ended && !f->done && farewell_taken(&f->to->leave, j->now, j->linger_ms, left, true))
		receiver_gone(j, f, ETIMEDOUT);
}

static bool side_finished(struct join *j, struct side *s)
{
	size_t left;
	char words[64];

	if (!s->out.is_socket || s->reset || (s->eof && !s->pass_reset))
		return true; /* a pipe keeps what was written, and so does the system after both directions have ended
					  */
	left = port_unacknowledged(&s->out);
	if (!farewell_taken(&s->leave, j->now, j->linger_ms, left, s->eof || s->pass_reset))
		return false;
	if (left) {
		(void)snprintf(words, sizeof words, "descriptor %d took nothing more for ", s->out.fd);
		say(j, true, words, j->linger_ms < LINGER_MS ? "as long as -w says" : "60 seconds");
		s->pass_reset = true;
	}
	return true;
}

static bool finished(struct join *j)
{
	return j->out.done && j->in.done && side_finished(j, &j->near) && side_finished(j, &j->far);
}

static void check_deadlines(struct join *j)
{
	char words[64];
	bool for_us_alone;

	check_receiver(j, &j->out);
	check_receiver(j, &j->in);
	if (waiting_take_signal(&for_us_alone) && !(j->out.ended && j->in.ended))
		end_all(j);
	if (j->wish->idle_s && !(j->out.ended && j->in.ended) &&
		j->now - j->idle_since >= (int64_t)j->wish->idle_s * 1000) {
		(void)snprintf(words, sizeof words, "%u s", j->wish->idle_s);
		say(j, false, "idle for ", words);
		end_all(j);
	}
}

static int64_t next_deadline(const struct join *j)
{
	int64_t earliest = 0;

	farewell_deadline(&j->near.leave, j->now, &earliest);
	farewell_deadline(&j->far.leave, j->now, &earliest);
	if (j->wish->idle_s && !(j->out.ended && j->in.ended))
		keep_earliest(&earliest, j->idle_since + (int64_t)j->wish->idle_s * 1000);
	return earliest;
}

/* ---- waiting ---- */

/* Where nothing is held in between, the receiver is asked as soon as there is something for it. */
static void ask(struct pollfd p[2], const struct flow *f)
{
	bool receiving = !f->from->eof && (f->ended || channel_has_room(&f->channel));
	bool direct = f->channel.kind == CHANNEL_DIRECT && !f->ended && f->from->in.ready;

	waiting_ask(&p[0], &f->from->in, receiving, POLLIN);
	waiting_ask(&p[1], &f->to->out, !f->done && (f->channel.n > 0 || direct), POLLOUT);
}

static bool wait_for_more(struct join *j, bool busy)
{
	struct pollfd p[4];

	ask(p, &j->out);
	ask(p + 2, &j->in);
	if (!waiting_poll(&j->waiting, p, 4, busy ? j->now : next_deadline(j), &j->now))
		return false;
	waiting_take_answer(&p[0], &j->near.in);
	waiting_take_answer(&p[1], &j->far.out);
	waiting_take_answer(&p[2], &j->far.in);
	waiting_take_answer(&p[3], &j->near.out);
	if (j->near.in.hung_up)
		side_look_at_end(&j->near, j->in.gone);
	if (j->far.in.hung_up)
		side_look_at_end(&j->far, j->out.gone);
	return true;
}

/* ---- the whole ---- */

static void open_flow(struct flow *f, struct side *from, struct side *to)
{
	f->from = from;
	f->to = to;
	f->to_fd = to->out.fd;
	channel_open(&f->channel, &from->in, &to->out);
}

static void run(struct join *j)
{
	for (;;) {
		bool busy = true;

		check_deadlines(j);
		notice_hang_up(j, &j->out);
		notice_hang_up(j, &j->in);
		for (int i = 0; i < PASSES && busy; i++) {
			busy = pump(j, &j->out);
			busy |= pump(j, &j->in);
			busy |= end_with_far(j);
		}
		if (finished(j))
			return;
		if (!wait_for_more(j, busy)) {
			say(j, true, "unable to wait: ", strerror(errno));
			return;
		}
	}
}

void relay_join(const struct relay_join *wish, struct relay_join_end *end)
{
	struct join *j = &the_join;

	*end = (struct relay_join_end){ .failed = false };
	j->wish = wish;
	j->end = end;
	j->linger_ms = LINGER_MS;
	if (wish->idle_s && (int64_t)wish->idle_s * 1000 < j->linger_ms)
		j->linger_ms = (int64_t)wish->idle_s * 1000;
	side_open(&j->near, wish->near_in, wish->near_out);
	side_open(&j->far, wish->far_in, wish->far_out);
	j->near.pipes &= !wish->end_with_far; /* somebody who types, into one thing and out of another */
	open_flow(&j->out, &j->near, &j->far);
	open_flow(&j->in, &j->far, &j->near);
	j->now = j->idle_since = net_now();
	if (waiting_catch_signals(&j->waiting, false))
		run(j);
	else
		say(j, true, "unable to catch signals: ", strerror(errno));
	side_close(&j->near);
	side_close(&j->far);
	channel_close(&j->out.channel);
	channel_close(&j->in.channel);
	end->to_far = j->out.moved;
	end->to_near = j->in.moved;
}
