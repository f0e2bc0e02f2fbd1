/*
 * The loop: moves what can be moved, waits for more, until every direction has ended as DESIGN §3 says. Every
 * state moves bytes, waits with a deadline, or ends.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>
#include "net/net.h"
#include "relay/loop.h"

static struct loop the_loop; /* one connection a process; in BSS, so that untouched buffers cost nothing */

/* ---- signals ---- */

static volatile sig_atomic_t signal_caught; /* its number, 0: none */
static volatile sig_atomic_t signal_for_us_alone;

static void on_signal(int number, siginfo_t *info, void *context)
{
	(void)context;
	signal_caught = number;
	signal_for_us_alone = info->si_code == SI_USER;
}

static bool catch_signals(sigset_t *while_waiting)
{
	static const int numbers[] = { SIGTERM, SIGHUP, SIGINT };
	struct sigaction action = { .sa_sigaction = on_signal, .sa_flags = SA_SIGINFO };

	if (sigemptyset(&action.sa_mask) < 0 || sigprocmask(SIG_SETMASK, NULL, while_waiting) < 0)
		return false;
	for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
		struct sigaction old;
		if (sigaction(numbers[i], NULL, &old) < 0)
			return false;
		if (old.sa_handler == SIG_IGN && numbers[i] != SIGTERM)
			continue; /* nohup, or a shell's background: whoever started us wants it so */
		if (sigaction(numbers[i], &action, NULL) < 0 || sigdelset(while_waiting, numbers[i]) < 0)
			return false;
	}
	return true;
}

/* Prog gets the signal too if it was for us alone, and has a moment to finish; nothing more is received for
 * it. */
static void act_on_signal(struct loop *l)
{
	int number = signal_caught;

	signal_caught = 0;
	if (!number)
		return;
	if (signal_for_us_alone && l->relay->prog > 0)
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

/* A port that has hung up is polled only while something is wanted of it: poll would return at once for ever.
 */
static void ask(struct pollfd *p, const struct port *port, bool wanted, short event)
{
	wanted = wanted && !port->ready;
	p->fd = port->hung_up && !wanted ? -1 : port->fd;
	p->events = wanted ? event : 0;
	p->revents = 0;
}

static void take_answer(const struct pollfd *p, struct port *port)
{
	if (p->fd < 0 || !p->revents)
		return;
	if (p->revents & (POLLERR | POLLHUP | POLLNVAL))
		port->hung_up = true;
	if (p->events)
		port->ready = true;
}

/* Waits until something can move or a deadline has come; with busy it only looks. False: poll failed. */
static bool wait_for_more(struct loop *l, bool busy, const sigset_t *signals)
{
	struct pollfd p[5];
	int64_t deadline = busy ? l->now : loop_next_deadline(l);
	int64_t ms = deadline > l->now ? deadline - l->now : 0;
	struct timespec patience = { .tv_sec = (time_t)(ms / 1000), .tv_nsec = (long)(ms % 1000) * 1000000 };
	int got;

	ask(&p[0], &l->net_in, loop_wants_network(l), POLLIN);
	ask(&p[1], &l->net_out, l->queue_n > 0 && !l->out_done, POLLOUT);
	ask(&p[2], &l->plain_in, loop_wants_plain(l), POLLIN);
	ask(&p[3], &l->plain_out, l->gather_n > 0, POLLOUT);
	ask(&p[4], &l->told, l->told.fd >= 0, POLLOUT);
	got = ppoll(p, 5, deadline ? &patience : NULL, signals);
	l->now = net_now();
	if (got > 0 && l->now - l->signals_let_in >= TICK_MS) {
		/* Where ppoll finds a descriptor ready it lets no signal in: under a steady stream none ever came. */
		static const struct timespec at_once = { 0, 0 };
		l->signals_let_in = l->now;
		(void)ppoll(NULL, 0, &at_once, signals);
	}
	if (got < 0)
		return errno == EINTR;
	take_answer(&p[0], &l->net_in);
	take_answer(&p[1], &l->net_out);
	take_answer(&p[2], &l->plain_in);
	take_answer(&p[3], &l->plain_out);
	take_answer(&p[4], &l->told);
	return true;
}

/* Ends that show only as an error on a descriptor which is neither read nor written at the moment. */
static void notice_hang_ups(struct loop *l)
{
	if (l->plain_out.hung_up && !l->in_done)
		loop_receiver_gone(l);
	if (l->net_out.hung_up && !l->out_done)
		loop_network_gone(l);
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
	sigset_t signals;

	set_up(l, relay, end);
	if (!catch_signals(&signals) || l->net_out.fd < 0 || l->plain_out.fd < 0)
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
		if (!wait_for_more(l, busy, &signals))
			break_off(l);
	}
	close_all(l);
}
