/*
 * Waiting: see waiting.h.
 */
#include <errno.h>
#include <string.h>
#include <sys/wait.h>
#include "net/net.h"
#include "relay/farewell.h"
#include "relay/waiting.h"

static volatile sig_atomic_t signal_caught; /* its number, 0: none */
static volatile sig_atomic_t signal_for_us_alone;

static void on_signal(int number, siginfo_t *info, void *context)
{
	(void)context;
	if (number == SIGCHLD)
		return; /* it only ends the wait */
	signal_caught = number;
	signal_for_us_alone = info->si_code == SI_USER;
}

bool waiting_catch_signals(struct waiting *w, bool for_children)
{
	static const int numbers[] = { SIGTERM, SIGHUP, SIGINT, SIGCHLD };
	const size_t n = for_children ? 4 : 3;
	struct sigaction action = { .sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_NOCLDSTOP };

	w->signals_let_in = 0;
	if (sigemptyset(&action.sa_mask) < 0 || sigprocmask(SIG_SETMASK, NULL, &w->signals) < 0)
		return false;
	for (size_t i = 0; i < n; i++) {
		struct sigaction old;
		if (sigaction(numbers[i], NULL, &old) < 0)
			return false;
		if (old.sa_handler == SIG_IGN && (numbers[i] == SIGHUP || numbers[i] == SIGINT))
			continue; /* nohup, or a shell's background: whoever started us wants it so */
		if (sigaction(numbers[i], &action, NULL) < 0 || sigdelset(&w->signals, numbers[i]) < 0)
			return false;
	}
	return true;
}

int waiting_take_signal(bool *for_us_alone)
{
	int number = signal_caught;

	*for_us_alone = signal_for_us_alone;
	signal_caught = 0;
	return number;
}

void waiting_let_in(const struct waiting *w)
{
	static const struct timespec at_once = { 0, 0 };

	(void)ppoll(NULL, 0, &at_once, &w->signals);
}

bool waiting_has_signal(void)
{
	return signal_caught != 0;
}

bool waiting_child_ended(pid_t child, siginfo_t *how)
{
	*how = (siginfo_t){ .si_pid = 0 };
	if (waitid(P_PID, (id_t)child, how, WEXITED | WNOHANG | WNOWAIT) == 0)
		return how->si_pid == child;
	*how = (siginfo_t){ .si_pid = 0 };
	return errno != EINTR; /* no child of ours */
}

/* A port that has hung up is polled only while something is wanted of it: poll would return at once for ever.
 */
void waiting_ask(struct pollfd *p, const struct port *port, bool wanted, short event)
{
	wanted = wanted && !port->ready;
	p->fd = port->hung_up && !wanted ? -1 : port->fd;
	p->events = wanted ? event : 0;
	p->revents = 0;
}

void waiting_take_answer(const struct pollfd *p, struct port *port)
{
	if (p->fd < 0 || !p->revents)
		return;
	if (p->revents & (POLLERR | POLLHUP | POLLNVAL))
		port->hung_up = true;
	if (p->events)
		port->ready = true;
}

bool waiting_poll(struct waiting *w, struct pollfd *p, nfds_t n, int64_t deadline, int64_t *now)
{
	int64_t ms = deadline > *now ? deadline - *now : 0;
	struct timespec patience = { .tv_sec = (time_t)(ms / 1000), .tv_nsec = (long)(ms % 1000) * 1000000 };
	int got = ppoll(p, n, deadline ? &patience : NULL, &w->signals);

	*now = net_now();
	if (got > 0 && *now - w->signals_let_in >= TICK_MS) {
		/* Where ppoll finds a descriptor ready it lets no signal in: under a steady stream none ever came. */
		w->signals_let_in = *now;
		waiting_let_in(w);
	}
	if (got >= 0)
		return true;
	for (nfds_t i = 0; i < n; i++)
		p[i].revents = 0;
	return errno == EINTR;
}
