/*
 * The loop beside prog: copies each direction that is not prog's own, and passes signals on. Called by
 * relay.c.
 */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include "chain/chain.h"
#include "net/net.h"
#include "relay_parts.h"

/* What a pipe that is ready for writing takes without blocking (PIPE_BUF of Linux). */
enum { PIPE_WRITE_MAX = 4096 };

/* ---- signals ---- */

static volatile sig_atomic_t caught; /* a signal for this process alone, to be passed on; 0: none */

static void on_signal(int number, siginfo_t *info, void *context)
{
	(void)context;
	if (number != SIGCHLD && info->si_code == SI_USER)
		caught = number;
}

static const int numbers[] = { SIGCHLD, SIGTERM, SIGHUP, SIGINT };
enum { NUMBERS = sizeof numbers / sizeof numbers[0] };

bool copy_hold_signals(sigset_t *before)
{
	sigset_t held;

	(void)sigemptyset(&held);
	for (size_t i = 0; i < NUMBERS; i++)
		(void)sigaddset(&held, numbers[i]);
	return sigprocmask(SIG_BLOCK, &held, before) == 0;
}

bool copy_catch_signals(sigset_t *while_waiting)
{
	struct sigaction action = { .sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_NOCLDSTOP };

	(void)sigemptyset(&action.sa_mask);
	if (signal(SIGPIPE, SIG_IGN) == SIG_ERR)
		return false;
	for (size_t i = 0; i < NUMBERS; i++)
		if (sigaction(numbers[i], &action, NULL) < 0 || sigdelset(while_waiting, numbers[i]) < 0)
			return false;
	return true;
}

/* ---- one direction ---- */

/* The end of a direction is told to a socket by shutdown, as others may have it open. */
static void end_writing(struct flow *flow)
{
	if (flow->to >= 0) {
		(void)shutdown(flow->to, SHUT_WR);
		(void)close(flow->to);
	}
	flow->to = -1;
}

void flow_end_reading(struct flow *flow)
{
	if (flow->from >= 0)
		(void)close(flow->from);
	flow->from = -1;
}

void flow_end(struct flow *flow)
{
	flow_end_reading(flow);
	end_writing(flow);
	flow->n = 0;
}

void flow_put(struct flow *flow, const char *bytes, size_t n)
{
	if (n) /* without, bytes may be NULL */
		memcpy(flow->bytes + flow->begin + flow->n, bytes, n);
	mysql_renumber(&flow->numbers, flow->bytes + flow->begin + flow->n, n);
	flow->n += n;
}

/* ---- copying ---- */

static bool wants_to_read(const struct relay *r, const struct flow *flow)
{
	/* Nothing is taken from the client before prog has heard what it said already. */
	if (flow == &r->input && r->swallowing != NOTHING)
		return false;
	return flow->from >= 0 && flow->begin + flow->n < FLOW_ROOM;
}

static bool wants_to_write(const struct relay *r, const struct flow *flow)
{
	return flow->to >= 0 && flow->n && (flow == &r->input || r->swallowing == NOTHING);
}

static bool for_later(void)
{
	return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
}

static void fill(struct flow *flow)
{
	ssize_t got = read(flow->from, flow->bytes + flow->begin + flow->n, FLOW_ROOM - flow->begin - flow->n);

	if (got > 0) {
		mysql_renumber(&flow->numbers, flow->bytes + flow->begin + flow->n, (size_t)got);
		flow->n += (size_t)got;
	} else if (got == 0 || !for_later()) {
		flow_end_reading(flow);
	}
}

static void drain(struct flow *flow)
{
	ssize_t sent = send(flow->to, flow->bytes + flow->begin, flow->n, MSG_DONTWAIT | MSG_NOSIGNAL);

	if (sent < 0 && errno == ENOTSOCK)
		sent =
			write(flow->to, flow->bytes + flow->begin, flow->n < PIPE_WRITE_MAX ? flow->n : PIPE_WRITE_MAX);
	if (sent >= 0) {
		flow->begin += (size_t)sent;
		flow->n -= (size_t)sent;
	} else if (!for_later()) {
		flow_end(flow); /* nobody is there to read: whoever writes is to be told */
	}
	if (flow->n == 0)
		flow->begin = 0;
}

static void settle(struct flow *flow)
{
	if (flow->from < 0 && flow->n == 0)
		end_writing(flow);
}

static void note_end_of_prog(struct relay *r)
{
	pid_t got;

	if (r->prog_ended)
		return;
	got = waitpid(r->prog, &r->status, WNOHANG);
	r->prog_ended = got == r->prog || (got < 0 && errno != EINTR);
	r->moved_ms = net_now();
}

/* Adds what a flow waits for: one descriptor for reading, one for writing. */
static nfds_t watch(const struct relay *r, const struct flow *flow, struct pollfd *p)
{
	p[0] = (struct pollfd){ .fd = wants_to_read(r, flow) ? flow->from : -1, .events = POLLIN };
	p[1] = (struct pollfd){ .fd = flow->to, .events = wants_to_write(r, flow) ? POLLOUT : 0 };
	return 2;
}

static void work(struct relay *r, struct flow *flow, const struct pollfd *p)
{
	if (p[0].fd >= 0 && p[0].revents)
		fill(flow);
	if (flow == &r->output && r->swallowing != NOTHING)
		swallow_lines(r);
	if (p[1].revents & POLLOUT && wants_to_write(r, flow)) {
		drain(flow);
		r->moved_ms = net_now();
	} else if (p[1].revents & (POLLERR | POLLHUP | POLLNVAL)) {
		flow_end(flow); /* the same, with nothing to write */
	}
	settle(flow);
}

/* How long to wait for a client to take what prog has left behind: NULL is without a bound, as prog still
 * runs and sees to that itself. */
static const struct timespec *patience(const struct relay *r, struct timespec *left)
{
	int64_t ms = r->moved_ms + r->plan->linger_ms - net_now();

	if (!r->prog_ended || !r->output.n || !r->plan->linger_ms)
		return NULL;
	*left = (struct timespec){ 0 };
	if (ms > 0)
		*left = (struct timespec){ .tv_sec = (time_t)(ms / 1000), .tv_nsec = (long)(ms % 1000) * 1000000 };
	return left;
}

int copy_exit_code(int status)
{
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

int copy_run(struct relay *r, const sigset_t *while_waiting)
{
	for (;;) {
		struct pollfd p[4];
		nfds_t n = watch(r, &r->input, p);
		struct timespec left;
		int ready;

		n += watch(r, &r->output, p + n);
		note_end_of_prog(r);
		if (r->prog_ended && r->output.to < 0)
			return copy_exit_code(r->status);
		ready = ppoll(p, n, patience(r, &left), while_waiting);
		if (ready < 0) {
			if (errno != EINTR)
				return EXIT_SYSTEM;
			for (nfds_t i = 0; i < n; i++)
				p[i].revents = 0;
		}
		if (caught) {
			int number = caught;
			caught = 0;
			if (!r->prog_ended)
				(void)kill(r->prog, number); /* where the uids allow it */
		}
		if (ready == 0)
			flow_end(&r->output); /* only for patience() is there an end to waiting */
		work(r, &r->input, p);
		work(r, &r->output, p + 2);
	}
}
