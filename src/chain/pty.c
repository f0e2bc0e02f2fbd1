/*
 * A program on a pseudo-terminal: the process forks, the child becomes prog with the terminal on 0, 1 and 2,
 * and this one copies between it and its own 0 and 1 until prog has ended. Called by ptyrun.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>
#include "chain.h"

enum { ROOM = 4096, ROWS = 24, COLUMNS = 80 }; /* of a write to a pipe, which does not block after poll */

struct flow {
	bool ended; /* nothing more comes */
	size_t begin, n;
	char bytes[ROOM];
};

struct terminal {
	int master;
	pid_t prog;
	bool prog_ended;
	int status;
	bool nobody; /* who reads descriptor 1 is gone */
	struct flow typed, shown;
};

static volatile sig_atomic_t caught; /* to be passed on; 0: none */

/* Those of a terminal, too: prog, which has a session of its own, does not get them itself. */
static void on_signal(int number)
{
	if (number != SIGCHLD)
		caught = number;
}

static const int numbers[] = { SIGCHLD, SIGTERM, SIGHUP, SIGINT };

/* Blocked but while the loop waits, so that none is missed. */
static bool hold_signals(sigset_t *before)
{
	struct sigaction action = { .sa_handler = on_signal, .sa_flags = SA_NOCLDSTOP };
	sigset_t held;

	(void)sigemptyset(&action.sa_mask);
	(void)sigemptyset(&held);
	for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
		if (sigaddset(&held, numbers[i]) < 0 || sigaction(numbers[i], &action, NULL) < 0)
			return false;
	return sigprocmask(SIG_BLOCK, &held, before) == 0;
}

/* ---- prog ---- */

static bool become_terminal(int slave)
{
	const struct winsize size = { .ws_row = ROWS, .ws_col = COLUMNS };

	if (setsid() < 0 || ioctl(slave, TIOCSCTTY, 0) < 0)
		return false;
	(void)ioctl(slave, TIOCSWINSZ, &size);
	return dup2(slave, 0) >= 0 && dup2(slave, 1) >= 0 && dup2(slave, 2) >= 0;
}

/* ---- copying ---- */

static bool try_again(void)
{
	return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
}

static void fill(struct flow *flow, int fd)
{
	ssize_t n = read(fd, flow->bytes, sizeof flow->bytes);

	if (n > 0) {
		flow->begin = 0;
		flow->n = (size_t)n;
	} else if (n == 0 || !try_again()) {
		flow->ended = true; /* of a terminal that nobody has open any more: EIO */
	}
}

/* False: nobody takes it any more. */
static bool empty(struct flow *flow, int fd, bool may_block)
{
	ssize_t n = may_block ? send(fd, flow->bytes + flow->begin, flow->n, MSG_DONTWAIT | MSG_NOSIGNAL) : -1;

	if (!may_block || (n < 0 && errno == ENOTSOCK))
		n = write(fd, flow->bytes + flow->begin, flow->n);
	if (n < 0)
		return try_again();
	flow->begin += (size_t)n;
	flow->n -= (size_t)n;
	return true;
}

/* The end of input is a character, as typed at the beginning of a line. */
static void type_end(struct terminal *t)
{
	struct termios modes;

	if (tcgetattr(t->master, &modes) < 0 || !(modes.c_lflag & ICANON))
		return;
	t->typed.bytes[0] = t->typed.bytes[1] = (char)modes.c_cc[VEOF]; /* the first may only end a line's part */
	t->typed.begin = 0;
	t->typed.n = 2;
}

static void see_to_prog(struct terminal *t)
{
	if (caught && !t->prog_ended)
		(void)kill(t->prog, (int)caught);
	caught = 0;
	if (!t->prog_ended && waitpid(t->prog, &t->status, WNOHANG) == t->prog)
		t->prog_ended = true;
}

/* What is polled for: 0 is typed, 1 is shown, 2 the terminal. */
static void watch(const struct terminal *t, struct pollfd p[3])
{
	p[0] = (struct pollfd){ .fd = t->typed.ended || t->typed.n || t->prog_ended ? -1 : 0, .events = POLLIN };
	p[1] = (struct pollfd){ .fd = t->nobody ? -1 : 1, .events = t->shown.n ? POLLOUT : 0 };
	p[2] = (struct pollfd){ .fd = t->master };
	p[2].events = (short)((t->shown.n || t->shown.ended ? 0 : POLLIN) | (t->typed.n ? POLLOUT : 0));
	if (!p[2].events)
		p[2].fd = -1; /* it says that it is hung up without being asked */
}

static void work(struct terminal *t, const struct pollfd p[3])
{
	if (p[0].revents) {
		fill(&t->typed, 0);
		if (t->typed.ended)
			type_end(t);
	}
	if (t->typed.n && (p[2].revents & POLLOUT) && !empty(&t->typed, t->master, false))
		t->typed.n = 0;
	if (p[2].revents & (POLLIN | POLLHUP | POLLERR) && !t->shown.n)
		fill(&t->shown, t->master);
	if (p[1].revents &&
		(t->shown.n ? !empty(&t->shown, 1, true) : (p[1].revents & (POLLERR | POLLHUP)) != 0)) {
		t->nobody = true;
		(void)kill(t->prog, SIGHUP); /* as when a line is hung up */
	}
	if (t->nobody)
		t->shown.n = 0; /* prog may have more to say, and must not wait for somebody to hear it */
}

/* False with errno: it cannot be waited any more. */
static bool copy(struct terminal *t, const sigset_t *waiting)
{
	static const struct timespec at_once;

	for (;;) {
		struct pollfd p[3];
		int ready;

		see_to_prog(t);
		if (t->prog_ended && t->shown.ended && !t->shown.n)
			return true;
		watch(t, p);
		/* Others may have the terminal open still: once prog has ended, only what is there already is shown.
		 */
		ready = ppoll(p, 3, t->prog_ended && !t->shown.n ? &at_once : NULL, waiting);
		if (ready > 0)
			work(t, p);
		else if (ready == 0)
			return true;
		else if (errno != EINTR)
			return false;
	}
}

/* ---- beginning ---- */

static bool fail(struct chain_problem *problem, const char *doing)
{
	*problem = (struct chain_problem){ EXIT_SYSTEM, doing, NULL, NULL, errno };
	return false;
}

/*
 * Both close on exec. This process keeps both, as else there would be an end as soon as prog has closed its
 * own; what opens /dev/tty after that (to ask for a password, say) is to be seen as well.
 */
static bool make_terminal(int *master, int *slave)
{
	char name[64];

	*master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (*master < 0 || grantpt(*master) < 0 || unlockpt(*master) < 0 ||
		ptsname_r(*master, name, sizeof name) != 0 || fcntl(*master, F_SETFL, O_NONBLOCK) < 0)
		return false;
	*slave = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);
	return *slave >= 0;
}

bool chain_on_terminal(int *exit_code, struct chain_problem *problem)
{
	static struct terminal t;
	sigset_t before;
	int slave;

	if (!make_terminal(&t.master, &slave))
		return fail(problem, "make a pseudo-terminal");
	if (!hold_signals(&before) || (t.prog = fork()) < 0)
		return fail(problem, "fork");
	if (t.prog == 0) {
		*exit_code = -1;
		for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
			if (signal(numbers[i], SIG_DFL) == SIG_ERR)
				return fail(problem, "arrange signals");
		if (sigprocmask(SIG_SETMASK, &before, NULL) < 0 || !become_terminal(slave))
			return fail(problem, "become the program of the pseudo-terminal");
		return true;
	}
	if (signal(SIGPIPE, SIG_IGN) == SIG_ERR)
		return fail(problem, "arrange signals");
	for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
		(void)sigdelset(&before, numbers[i]);
	if (!copy(&t, &before))
		return fail(problem, "wait for the pseudo-terminal");
	*exit_code = WIFSIGNALED(t.status) ? 128 + WTERMSIG(t.status) : WEXITSTATUS(t.status);
	return true;
}
