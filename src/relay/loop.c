/*
 * The loop: moves what can be moved, waits for more, until every direction has ended as DESIGN §3 says. Every
 * state moves bytes, waits with a deadline, or ends.
 */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>
#include "net/net.h"
#include "relay/loop.h"

static struct loop the_loop; /* one connection a process; in BSS, so that untouched buffers cost nothing */

/* ---- signals ---- */

/* Prog gets the signal too if it was for us alone, and has a moment to finish; nothing more is received for
 * it. */
static void act_on_signal(struct loop *l)
{
	bool for_us_alone;
	int number = waiting_take_signal(&for_us_alone);

	if (!number)
		return;
	l->prog_asked = true;
	if (for_us_alone && l->relay->prog > 0)
		(void)kill(l->relay->prog, number); /* where the uids allow it */
	if (!l->opened) {
		loop_fail(l, ALERT_USER_CANCELED, "ended by a signal during the handshake");
		return;
	}
	l->net_ended = true;
	l->in_n = 0;
	if (!l->signal_until)
		l->signal_until = l->now + FAREWELL_MS;
}

/* ---- moving ---- */

static bool pump(struct loop *l)
{
	bool moved = loop_read_network(l);

	moved |= loop_feed(l);
	moved |= loop_write_plain(l);
	moved |= loop_end_plain(l);
	moved |= loop_write_message(l);
	moved |= loop_read_plain(l);
	moved |= loop_write_network(l);
	moved |= loop_end_network(l);
	if (moved && l->idle_since)
		l->idle_since = l->now;
	return moved;
}

/* ---- waiting ---- */

/* Waits until something can move or a deadline has come; with busy it only looks. False: poll failed. */
static bool wait_for_more(struct loop *l, bool busy)
{
	struct pollfd p[5];
	int64_t deadline = busy ? l->now : loop_next_deadline(l);

	waiting_ask(&p[0], &l->net_in, loop_wants_network(l), POLLIN);
	waiting_ask(&p[1], &l->net_out, l->queue_n > 0 && !l->out_done, POLLOUT);
	waiting_ask(&p[2], &l->plain_in, loop_wants_plain(l), POLLIN);
	waiting_ask(&p[3], &l->plain_out, l->gather_n > 0, POLLOUT);
	waiting_ask(&p[4], &l->told, l->told.fd >= 0, POLLOUT);
	if (!waiting_poll(&l->waiting, p, 5, deadline, &l->now))
		return false;
	waiting_take_answer(&p[0], &l->net_in);
	waiting_take_answer(&p[1], &l->net_out);
	waiting_take_answer(&p[2], &l->plain_in);
	waiting_take_answer(&p[3], &l->plain_out);
	waiting_take_answer(&p[4], &l->told);
	return true;
}

/* Ends that show only as an error on a descriptor which is neither read nor written at the moment. */
static void notice_hang_ups(struct loop *l)
{
	if (l->plain_out.hung_up && !l->in_done)
		loop_receiver_gone(l);
	if (l->net_out.hung_up && !l->out_done)
		loop_network_gone(l);
	if (l->plain_in.hung_up)
		loop_note_output_end(l);
}

/* ---- the connection ---- */

static void set_up(struct loop *l, const struct relay *relay, struct relay_end *end)
{
	l->relay = relay;
	l->end = end;
	l->engine = relay->engine;
	l->class = relay->engine->class;
	l->hello_done = relay->client;
	l->reader.oldest = relay->configuration->oldest;
	l->reader.newest = relay->configuration->newest;
	port_open(&l->net_in, relay->net_in);
	port_open(&l->net_out, relay->net_out == relay->net_in ? dup(relay->net_out) : relay->net_out);
	port_open(&l->plain_in, relay->plain_in);
	port_open(&l->plain_out, relay->plain_out == relay->plain_in ? dup(relay->plain_out) : relay->plain_out);
	l->told.fd = l->message.fd = -1;
	l->now = l->idle_since = net_now();
	l->handshake_deadline = l->now + (int64_t)relay->configuration->handshake_s * 1000;
	*end = (struct relay_end){ .code = RELAY_DONE };
}

static void break_off(struct loop *l)
{
	loop_say(l, RELAY_SYSTEM_FAILED, strerror(errno));
	l->broken = true;
}

static void close_all(struct loop *l)
{
	port_close(&l->plain_in);
	port_close(&l->plain_out);
	port_close(&l->told);
	port_close(&l->net_in);
	port_close(&l->net_out);
	l->class->wipe(l->engine);
	x509_wipe(l->gather, l->gather_most);
}

void relay_run(const struct relay *relay, struct relay_end *end)
{
	struct loop *l = &the_loop;

	set_up(l, relay, end);
	if (!waiting_catch_signals(&l->waiting, relay->configuration->pass_failure) || l->net_out.fd < 0 ||
		l->plain_out.fd < 0)
		break_off(l);
	loop_note_failure(l);
	while (!l->broken) {
		bool busy = true;
		act_on_signal(l);
		loop_check_deadlines(l);
		notice_hang_ups(l);
		for (int i = 0; i < PASSES && busy; i++)
			busy = pump(l);
		if (loop_finished(l))
			break;
		if (!wait_for_more(l, busy))
			break_off(l);
	}
	close_all(l);
}
