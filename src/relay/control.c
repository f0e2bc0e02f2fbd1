/*
 * Delayed TLS (ucspi-tls(7)): prog talks with the peer in clear, and asks for TLS by a byte on its control
 * socket, or never does. Called by io programs when all is ready for a handshake.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include "relay/relay.h"

static volatile sig_atomic_t caught; /* a signal for this process alone that ends it, 0: none */

static void on_signal(int number, siginfo_t *info, void *context)
{
	(void)context;
	if (number != SIGCHLD && info->si_code == SI_USER)
		caught = number;
}

/* The signals that interrupt the wait; everywhere else they stay blocked. */
static bool let_in_while_waiting(sigset_t *while_waiting)
{
	static const int numbers[] = { SIGCHLD, SIGTERM, SIGHUP, SIGINT };
	struct sigaction action = { .sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_NOCLDSTOP };

	if (sigemptyset(&action.sa_mask) < 0 || sigprocmask(SIG_SETMASK, NULL, while_waiting) < 0)
		return false;
	for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
		struct sigaction old;
		if (sigaction(numbers[i], NULL, &old) < 0)
			return false;
		if (old.sa_handler == SIG_IGN && numbers[i] != SIGTERM)
			continue; /* nohup, or a shell's background: as in the loop */
		if (sigaction(numbers[i], &action, NULL) < 0 || sigdelset(while_waiting, numbers[i]) < 0)
			return false;
	}
	return true;
}

/* It stays a zombie, for whoever wants its exit code. */
static bool has_ended(pid_t prog)
{
	siginfo_t info = { .si_pid = 0 };

	return waitid(P_PID, (id_t)prog, &info, WEXITED | WNOHANG | WNOWAIT) < 0 || info.si_pid == prog;
}

/*
 * What prog sends behind its command is taken off, and more is refused: a close with unread input would reach
 * prog as an error, and in the place of a report.
 */
static void stop_reading(int control)
{
	char unread[256];

	(void)shutdown(control, SHUT_RD);
	while (recv(control, unread, sizeof unread, MSG_DONTWAIT) > 0)
		;
}

/* True once something is decided. */
static bool read_command(int control, enum relay_command *command)
{
	char byte;
	ssize_t got = recv(control, &byte, 1, MSG_DONTWAIT);

	if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
		return false;
	if (got <= 0)
		*command = RELAY_COMMAND_NONE;
	else
		*command = byte == 'y'   ? RELAY_COMMAND_START
				   : byte == 'Y' ? RELAY_COMMAND_START_AND_REPORT
								 : RELAY_COMMAND_UNKNOWN;
	stop_reading(control);
	return true;
}

enum relay_command relay_wait_for_command(int control, pid_t prog)
{
	enum relay_command command = RELAY_COMMAND_NONE;
	sigset_t signals;
	bool ended = false;

	if (!let_in_while_waiting(&signals))
		return RELAY_COMMAND_NONE;
	while (!read_command(control, &command)) {
		struct pollfd p = { .fd = control, .events = POLLIN };

		/* In this order: a byte sent before the end was there to be read after it was seen. */
		if (ended || caught)
			break;
		if (has_ended(prog)) {
			ended = true;
			continue;
		}
		if (ppoll(&p, 1, NULL, &signals) < 0 && errno != EINTR)
			break;
	}
	if (!caught)
		return command;
	(void)kill(prog, caught); /* where the uids allow it */
	return RELAY_COMMAND_NONE;
}
