/*
 * Stays beside prog where a greeting has to be taken off its output, or given to it: the process forks, the
 * child becomes prog, and this one copies. A direction that needs nothing is prog's own.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "chain/chain.h"
#include "net/net.h"
#include "relay_parts.h"

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

/* ---- beginning ---- */

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
	return outcome == MYSQL_FAILED ? fault->exit_code : copy_exit_code(status);
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
	flow_put(&r->output, (const char *)head, sizeof head);
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
	if (signal(SIGCHLD, SIG_DFL) == SIG_ERR || !copy_hold_signals(&before) || (r.prog = fork()) < 0) {
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
	if (!copy_catch_signals(&before) || !arrange_relay(&r, &p)) {
		(void)kill(r.prog, SIGTERM);
		net_die(program, EXIT_SYSTEM, "arrange descriptors", NULL, strerror(errno));
	}
	swallow_begin(&r);
	if (plan->relay_input)
		flow_put(&r.input, plan->greeting, plan->greeting_n);
	return copy_run(&r, &before);
}
