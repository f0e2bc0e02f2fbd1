/*
 * Stays beside prog where a greeting has to be taken off its output, or given to it: the process forks, the
 * child becomes prog, and this one copies. A direction that needs nothing is prog's own.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include "chain/chain.h"
#include "internal.h"
#include "net/net.h"

enum {
	ROOM = 16 << 10,
	PIPE_WRITE_MAX =
		4096, /* what a pipe that is ready for writing takes without blocking (PIPE_BUF of Linux) */
	SWALLOWED_MAX = 8 << 10
};

/* One direction. */
struct flow {
	int from, to; /* -1: ended */
	size_t begin, n;
	struct mysql_numbers numbers;
	char bytes[ROOM];
};

/* What is still to be taken off prog's output. */
enum swallowing { GREETING, SAID_ANSWER, NOTHING };

struct relay {
	const struct starttls_relay *plan;
	const char *program;
	struct flow input, output; /* of prog */
	enum swallowing swallowing;
	struct answer_reader reader;
	size_t scanned; /* bytes of the output's that are lines already given to the reader */
	pid_t prog;
	bool prog_ended;
	int status;
	int64_t moved_ms; /* when output was last taken, or prog ended */
};

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

/* Blocks them, so that none is lost between the fork and the loop. */
static bool hold_signals(sigset_t *before)
{
	sigset_t held;

	(void)sigemptyset(&held);
	for (size_t i = 0; i < NUMBERS; i++)
		(void)sigaddset(&held, numbers[i]);
	return sigprocmask(SIG_BLOCK, &held, before) == 0;
}

static bool catch_signals(sigset_t *while_waiting)
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

/* ---- descriptors ---- */

struct pipes {
	int input[2], output[2]; /* [0] reads */
};

static bool make_pipes(const struct starttls_relay *plan, struct pipes *p)
{
	p->input[0] = p->input[1] = p->output[0] = p->output[1] = -1;
	return (!plan->relay_input || pipe2(p->input, O_CLOEXEC) == 0) &&
		   (!plan->relay_output || pipe2(p->output, O_CLOEXEC) == 0);
}

/* Pipes close on exec where they do not stand in place of the connection. */
static bool arrange_prog(const struct starttls_relay *plan, const struct pipes *p)
{
	return (!plan->relay_input || dup2(p->input[0], plan->reading) >= 0) &&
		   (!plan->relay_output || dup2(p->output[1], plan->writing) >= 0);
}

/*
 * A direction that is prog's own must not be kept open here: its peer has to see when prog closes it. What is
 * passed to prog on higher descriptors is none of ours either.
 */
static bool arrange_relay(struct relay *r, const struct pipes *p)
{
	const struct starttls_relay *plan = r->plan;
	int network_in = plan->relay_input ? fcntl(plan->reading, F_DUPFD_CLOEXEC, 3) : -1;
	int network_out = plan->relay_output ? fcntl(plan->writing, F_DUPFD_CLOEXEC, 3) : -1;
	const struct chain_io kept = {
		.fdr = network_in, .fdw = network_out, .report = p->input[1], .control = p->output[0]
	};
	int null = -1;

	if ((plan->relay_input && network_in < 0) || (plan->relay_output && network_out < 0))
		return false;
	for (int fd = 0; fd < 2; fd++) { /* log lines go on to 2 */
		(void)close(fd);
		null = open("/dev/null", fd ? O_WRONLY : O_RDONLY);
		if (null != fd)
			return false;
	}
	chain_close_others(&kept);
	r->input.from = network_in;
	r->input.to = p->input[1];
	r->output.from = p->output[0];
	r->output.to = network_out;
	return true;
}

/* The end of a direction is told to a socket by shutdown, as others may have it open. */
static void end_writing(struct flow *flow)
{
	if (flow->to >= 0) {
		(void)shutdown(flow->to, SHUT_WR);
		(void)close(flow->to);
	}
	flow->to = -1;
}

static void end_reading(struct flow *flow)
{
	if (flow->from >= 0)
		(void)close(flow->from);
	flow->from = -1;
}

static void end_flow(struct flow *flow)
{
	end_reading(flow);
	end_writing(flow);
	flow->n = 0;
}

/* ---- greetings ---- */

static void put_into(struct flow *flow, const char *bytes, size_t n)
{
	if (n) /* without, bytes may be NULL */
		memcpy(flow->bytes + flow->begin + flow->n, bytes, n);
	mysql_renumber(&flow->numbers, flow->bytes + flow->begin + flow->n, n);
	flow->n += n;
}

/* What was read as answer so far is not passed on. */
static void drop_scanned(struct relay *r)
{
	struct flow *out = &r->output;

	out->n -= r->scanned;
	memmove(out->bytes, out->bytes + r->scanned, out->n); /* nothing has been written yet: begin is 0 */
	r->scanned = 0;
}

static void expect(struct relay *r, enum swallowing what, const struct answer_rule *rule)
{
	r->swallowing = what;
	r->reader = (struct answer_reader){ .rule = rule };
}

static void greeting_is_good(struct relay *r)
{
	const struct starttls_said *said = r->plan->said;

	drop_scanned(r);
	if (said && said->n) {
		put_into(&r->input, said->text, said->n);
		expect(r, SAID_ANSWER, server_said_answer(r->plan->swallow));
	} else {
		r->swallowing = NOTHING;
	}
}

/*
 * The client was told already that all is well: it must not take this answer for that to its next command. It
 * gets a farewell instead, and prog its end.
 */
static void said_was_refused(struct relay *r)
{
	char words[512];
	size_t n = template_fill(words, sizeof words, server_farewell(r->plan->swallow), r->plan->name, NULL);

	net_log(
		r->program, ": error: the program does not take what the client said before it was started", NULL);
	r->output.begin = 0;
	r->output.n = 0;
	r->swallowing = NOTHING;
	put_into(&r->output, words, n);
	end_reading(&r->output);
	end_flow(&r->input);
}

static void not_a_greeting(struct relay *r)
{
	if (r->swallowing == SAID_ANSWER)
		said_was_refused(r);
	r->swallowing = NOTHING; /* the client gets to read it */
}

/* Whole lines of the output, as long as they are not for the client. */
static void swallow(struct relay *r)
{
	struct flow *out = &r->output;

	if (out->to < 0)
		r->swallowing = NOTHING; /* the client has gone: there is nobody to keep it from */
	while (r->swallowing != NOTHING) {
		const char *line = out->bytes + out->begin + r->scanned;
		const char *end = memchr(line, '\n', out->n - r->scanned);
		size_t n;

		if (!end) {
			if (out->n > SWALLOWED_MAX || out->from < 0)
				not_a_greeting(r);
			return;
		}
		n = (size_t)(end - line);
		r->scanned += n + 1;
		if (n && line[n - 1] == '\r')
			n--;
		switch (answer_line(&r->reader, line, n)) {
		case ANSWER_MORE:
			break;
		case ANSWER_BAD:
			not_a_greeting(r);
			return;
		case ANSWER_GOOD:
			if (r->swallowing == GREETING) {
				greeting_is_good(r);
			} else {
				drop_scanned(r);
				r->swallowing = NOTHING;
			}
		}
	}
}

/* ---- copying ---- */

static bool wants_to_read(const struct relay *r, const struct flow *flow)
{
	/* Nothing is taken from the client before prog has heard what it said already. */
	if (flow == &r->input && r->swallowing != NOTHING)
		return false;
	return flow->from >= 0 && flow->begin + flow->n < ROOM;
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
	ssize_t got = read(flow->from, flow->bytes + flow->begin + flow->n, ROOM - flow->begin - flow->n);

	if (got > 0) {
		mysql_renumber(&flow->numbers, flow->bytes + flow->begin + flow->n, (size_t)got);
		flow->n += (size_t)got;
	} else if (got == 0 || !for_later()) {
		end_reading(flow);
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
		end_flow(flow); /* nobody is there to read: whoever writes is to be told */
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
		swallow(r);
	if (p[1].revents & POLLOUT && wants_to_write(r, flow)) {
		drain(flow);
		r->moved_ms = net_now();
	} else if (p[1].revents & (POLLERR | POLLHUP | POLLNVAL)) {
		end_flow(flow); /* the same, with nothing to write */
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

static int exit_code_of(int status)
{
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

static int copy(struct relay *r, const sigset_t *while_waiting)
{
	for (;;) {
		struct pollfd p[4];
		nfds_t n = watch(r, &r->input, p);
		struct timespec left;
		int ready;

		n += watch(r, &r->output, p + n);
		note_end_of_prog(r);
		if (r->prog_ended && r->output.to < 0)
			return exit_code_of(r->status);
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
			end_flow(&r->output); /* only for patience() is there an end to waiting */
		work(r, &r->input, p);
		work(r, &r->output, p + 2);
	}
}

/* ---- beginning ---- */

static void prepare(struct relay *r)
{
	r->swallowing = NOTHING;
	if (r->plan->swallow && r->plan->relay_output)
		expect(r, GREETING, server_greeting(r->plan->swallow));
	if (r->plan->relay_input)
		put_into(&r->input, r->plan->greeting, r->plan->greeting_n);
}

/* Nothing has been copied, and nothing will be: prog sees the end of its connection. Returns the exit code.
 */
static int wait_without_tls(const struct relay *r, const struct pipes *p, enum mysql_outcome outcome,
	const struct starttls_fault *fault)
{
	int status;

	if (outcome == MYSQL_FAILED)
		starttls_say(r->program, "mysql", fault);
	(void)close(p->input[1]);
	(void)close(p->output[0]);
	while (waitpid(r->prog, &status, 0) < 0)
		if (errno != EINTR)
			return EXIT_SYSTEM;
	return outcome == MYSQL_FAILED ? fault->exit_code : exit_code_of(status);
}

/* Signals end this process meanwhile, as before. -1: TLS is there; else the exit code. */
static int begin_mysql(
	struct relay *r, const struct pipes *p, const sigset_t *before, struct starttls_fault *fault)
{
	unsigned char head[MYSQL_HEAD];
	enum mysql_outcome outcome;
	sigset_t held;

	if (signal(SIGPIPE, SIG_IGN) == SIG_ERR || sigprocmask(SIG_SETMASK, before, &held) < 0)
		net_die(r->program, EXIT_SYSTEM, "arrange signals", NULL, strerror(errno));
	outcome = mysql_begin(r->plan->mysql, p->output[0], p->input[1], head, fault);
	if (outcome != MYSQL_TLS)
		return wait_without_tls(r, p, outcome, fault);
	(void)sigprocmask(SIG_SETMASK, &held, NULL);
	r->input.numbers = (struct mysql_numbers){ .active = true };
	r->output.numbers = (struct mysql_numbers){ .active = true, .from_prog = true };
	put_into(&r->output, (const char *)head, sizeof head);
	return -1;
}

int starttls_relay_run(
	const struct starttls_relay *plan, const char *program, bool *child, struct starttls_fault *fault)
{
	static struct relay r; /* two buffers: more than a stack should have to hold */
	struct pipes p;
	sigset_t before;

	*child = true; /* until there are two, this is the one to fail */
	r = (struct relay){ .plan = plan,
		.program = program,
		.input = { .from = -1, .to = -1 },
		.output = { .from = -1, .to = -1 } };
	if (!make_pipes(plan, &p)) {
		(void)fault_system(fault, "make a pipe");
		return -1;
	}
	if (signal(SIGCHLD, SIG_DFL) == SIG_ERR || !hold_signals(&before) || (r.prog = fork()) < 0) {
		(void)fault_system(fault, "fork");
		return -1;
	}
	if (r.prog == 0) {
		if (sigprocmask(SIG_SETMASK, &before, NULL) == 0 && arrange_prog(plan, &p))
			return 0;
		(void)fault_system(fault, "arrange descriptors");
		return -1;
	}
	*child = false;
	(void)close(p.input[0]);
	(void)close(p.output[1]);
	if (plan->mysql) {
		int code = begin_mysql(&r, &p, &before, fault);
		if (code >= 0)
			return code;
	}
	if (!catch_signals(&before) || !arrange_relay(&r, &p)) {
		(void)kill(r.prog, SIGTERM);
		net_die(program, EXIT_SYSTEM, "arrange descriptors", NULL, strerror(errno));
	}
	prepare(&r);
	return copy(&r, &before);
}
