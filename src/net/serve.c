/*
 * The accept loop of the listeners: one child a connection, never more than a limit, in all and for one
 * address. SIGCHLD and SIGTERM are let in at one place only, while waiting, so nothing else here can be
 * interrupted by them. Called for the mains of tcpserver and sslserver.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "children.h"
#include "internal.h"

enum {
	PAUSE_MS = 250,         /* after a failure that time may heal */
	SAY_FULL_MS = 60 * 1000 /* between two lines that say that there is no room */
};

struct listener {
	const struct net_server *server;
	struct net_children children;
	int notices[2];   /* pipe: pids of connections that have left their handshake; -1 without */
	sigset_t waiting; /* mask while waiting: SIGCHLD and SIGTERM come through */
	sigset_t altered; /* signals that a child must set to default */
	int64_t paused_until, full_said; /* 0: not paused, never said */
};

static volatile sig_atomic_t child_ended, told_to_end;

static void note_signal(int number)
{
	if (number == SIGCHLD)
		child_ended = 1;
	else
		told_to_end = 1;
}

static void log_trouble(const struct listener *listener, const char *what, int errnum)
{
	if (listener->server->log_errors)
		net_log(listener->server->program, ": warning: ", what, ": ", strerror(errnum), NULL);
}

/* With more connections than are counted as running: one that is about to be. */
static void log_status(const struct listener *listener, unsigned more)
{
	char text[64], ip_limit[32] = "";

	if (!listener->server->log_status)
		return;
	if (listener->server->show_ip_limit)
		(void)snprintf(ip_limit, sizeof ip_limit, "/%u", listener->server->ip_limit);
	(void)snprintf(
		text, sizeof text, "%u/%u%s", listener->children.running + more, listener->server->max, ip_limit);
	net_log(listener->server->program, ": status: ", text, NULL);
}

void net_log_ip_limit(const char *program, unsigned limit, const struct net_address *address)
{
	char number[NET_NUMBER_TEXT], ip[NET_IP_TEXT];

	net_log(program, ": WARNING ip connection limit of ", net_format_number(limit, number),
		" exceeded for: ", net_format_ip(address, ip), NULL);
}

/* ---- signals ---- */

/*
 * Whatever was inherited as ignored or blocked does not count: SIGCHLD and SIGTERM get handlers, SIGPIPE is
 * ignored (the log may be a pipe whose reader went away), and so is SIGHUP (there is nothing to read again).
 * What else is not at its default stays so here, but not in the children.
 */
static bool take_signals(struct listener *listener)
{
	struct sigaction handler = { .sa_handler = note_signal, .sa_flags = SA_NOCLDSTOP };
	struct sigaction ignore = { .sa_handler = SIG_IGN }, old;
	sigset_t blocked;

	(void)sigemptyset(&handler.sa_mask);
	(void)sigemptyset(&ignore.sa_mask);
	(void)sigemptyset(&listener->altered);
	(void)sigemptyset(&listener->waiting);
	(void)sigemptyset(&blocked);
	(void)sigaddset(&blocked, SIGCHLD);
	(void)sigaddset(&blocked, SIGTERM);
	if (sigprocmask(SIG_SETMASK, &blocked, NULL) < 0)
		return false;
	if (sigaction(SIGCHLD, &handler, NULL) < 0 || sigaction(SIGTERM, &handler, NULL) < 0 ||
		sigaction(SIGPIPE, &ignore, NULL) < 0 || sigaction(SIGHUP, &ignore, NULL) < 0)
		return false;
	for (int number = 1; number <= SIGRTMAX; number++)
		if (sigaction(number, NULL, &old) == 0 && old.sa_handler != SIG_DFL)
			(void)sigaddset(&listener->altered, number);
	return true;
}

static void reset_signals(const struct listener *listener)
{
	struct sigaction normal = { .sa_handler = SIG_DFL };
	sigset_t none;

	(void)sigemptyset(&normal.sa_mask);
	(void)sigemptyset(&none);
	for (int number = 1; number <= SIGRTMAX; number++)
		if (sigismember(&listener->altered, number) == 1)
			(void)sigaction(number, &normal, NULL);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
}

/* ---- handshakes ---- */

/* Neither end ever blocks, and neither goes to another program. */
static bool make_notices(struct listener *listener)
{
	listener->notices[0] = listener->notices[1] = -1;
	return !listener->server->has_handshake || pipe2(listener->notices, O_CLOEXEC | O_NONBLOCK) == 0;
}

void net_left_handshake(int notice, pid_t pid)
{
	struct sigaction ignore = { .sa_handler = SIG_IGN }, before;

	if (notice < 0)
		return;
	/* The listener may have been told to end meanwhile; this connection goes on. */
	(void)sigemptyset(&ignore.sa_mask);
	(void)sigaction(SIGPIPE, &ignore, &before);
	(void)!write(notice, &pid, sizeof pid);
	(void)sigaction(SIGPIPE, &before, NULL);
}

/*
 * Called between waiting for children and making a new one: whoever has ended has written before, so a pid is
 * never taken for that of a later child.
 */
static void read_notices(struct listener *listener)
{
	pid_t pids[256];
	ssize_t n;

	if (listener->notices[0] < 0 || !listener->children.running)
		return;
	do {
		n = read(listener->notices[0], pids, sizeof pids); /* each was written in one piece */
		for (size_t i = 0; n > 0 && i < (size_t)n / sizeof *pids; i++)
			net_children_left_handshake(&listener->children, pids[i]);
	} while (n == sizeof pids);
}

static bool is_full(const struct listener *listener)
{
	return listener->children.running >= listener->server->max;
}

/* When to say next that there is no room, 0: not at all. */
static int64_t next_say_full(const struct listener *listener)
{
	if (!listener->server->has_handshake || !listener->server->log_errors || !is_full(listener))
		return 0;
	return listener->full_said ? listener->full_said + SAY_FULL_MS : 1;
}

static void say_full(struct listener *listener)
{
	int64_t now = net_now(), next = next_say_full(listener);
	char text[96];

	if (!next || next > now)
		return;
	listener->full_said = now;
	(void)snprintf(text, sizeof text, "%u of %u connections are still in their handshake",
		listener->children.in_handshake, listener->server->max);
	net_log(listener->server->program, ": warning: limit reached, ", text, NULL);
}

/* ---- children ---- */

static void log_end(const struct listener *listener, pid_t pid, int status)
{
	char number[NET_NUMBER_TEXT], raw[NET_NUMBER_TEXT];

	if (listener->server->log_status)
		net_log(listener->server->program, ": ", listener->server->ended_by,
			net_format_number((long long)pid, number), " status ", net_format_number(status, raw), NULL);
}

/* Children that somebody else left to this process (sh -c 'x & exec tcpserver …') are waited for, but not
 * counted. */
static void reap(struct listener *listener)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		if (!net_children_remove(&listener->children, pid))
			continue;
		log_end(listener, pid, status);
		log_status(listener, 0);
	}
}

_Noreturn static void become_connection(const struct listener *listener, int connection, unsigned of_address)
{
	const struct net_accepted accepted = { connection, of_address, listener->notices[1] };

	reset_signals(listener);
	close(listener->server->socket);
	if (listener->notices[0] >= 0)
		close(listener->notices[0]);
	if (!listener->server->accepted(listener->server->context, &accepted))
		_exit(111);
	_exit(0);
}

static void start_child(struct listener *listener, int connection, const struct net_address *peer)
{
	unsigned of_address = net_children_of(&listener->children, peer) + 1;
	unsigned limit = listener->server->ip_limit_may_change ? 0 : listener->server->ip_limit;
	pid_t pid;

	/* Said before the fork, so that the log has status before the lines of the child. */
	log_status(listener, 1);
	if (limit && of_address > limit) {
		if (listener->server->log_errors)
			net_log_ip_limit(listener->server->program, limit, peer);
		log_status(listener, 0);
		return;
	}
	pid = fork();
	if (pid == 0)
		become_connection(listener, connection, of_address);
	if (pid > 0) {
		net_children_add(&listener->children, pid, peer);
		return;
	}
	log_trouble(listener, "dropping connection, unable to fork", errno);
	listener->paused_until = net_now() + PAUSE_MS;
	log_status(listener, 0);
}

/* ---- the loop ---- */

/* How long to wait at most, from now on: NULL for ever. */
static const struct timespec *time_left(int64_t until, struct timespec *left)
{
	int64_t ms = until - net_now();

	if (!until)
		return NULL;
	if (ms < 0)
		ms = 0;
	*left = (struct timespec){ .tv_sec = (time_t)(ms / 1000), .tv_nsec = (long)(ms % 1000) * 1000000 };
	return left;
}

/*
 * Waits for a connection (unless paused or full), a signal, the end of the pause, or the time for a line in
 * the log. True if there is a connection. The only place where SIGCHLD and SIGTERM come in.
 */
static bool wait_for_connection(struct listener *listener)
{
	static const struct timespec at_once = { 0, 0 };
	struct pollfd polled = { .fd = listener->server->socket, .events = POLLIN };
	bool paused = listener->paused_until > net_now();
	struct timespec left;
	int ready;

	if (!paused)
		listener->paused_until = 0;
	ready = ppoll(&polled, !paused && !is_full(listener),
		time_left(paused ? listener->paused_until : next_say_full(listener), &left), &listener->waiting);
	/* A ppoll that finds something delivers no signal on Linux; without this a busy listener would never hear
	 * SIGTERM. */
	if (ready > 0)
		(void)ppoll(NULL, 0, &at_once, &listener->waiting);
	if (ready < 0 && errno != EINTR) {
		log_trouble(listener, "unable to wait for connections", errno);
		listener->paused_until = net_now() + PAUSE_MS;
	}
	return ready > 0;
}

static void accept_connection(struct listener *listener)
{
	struct sockaddr_storage name;
	socklen_t n = sizeof name;
	struct net_address peer;
	int connection = accept4(listener->server->socket, (struct sockaddr *)&name, &n, SOCK_CLOEXEC);

	if (connection >= 0) {
		if (net_from_sockaddr((struct sockaddr *)&name, &peer))
			start_child(listener, connection, &peer);
		else
			log_trouble(listener, "dropping connection, unable to read its address", errno);
		close(connection);
		return;
	}
	/* The first three mean that the client went away again before it was looked at. */
	if (errno == EAGAIN || errno == EWOULDBLOCK || errno == ECONNABORTED || errno == EINTR)
		return;
	log_trouble(listener, "unable to accept a connection", errno);
	listener->paused_until = net_now() + PAUSE_MS;
}

int net_serve(const struct net_server *server)
{
	struct listener listener = { .server = server };

	if (!net_children_make(&listener.children, server->max))
		net_die(server->program, 111, "keep a list of connections", NULL, strerror(errno));
	if (!make_notices(&listener))
		net_die(server->program, 111, "make a pipe", NULL, strerror(errno));
	if (!take_signals(&listener))
		net_die(server->program, 111, "catch signals", NULL, strerror(errno));
	if (server->ready)
		server->ready(server->ready_context);
	log_status(&listener, 0);
	while (!told_to_end) {
		bool ready = wait_for_connection(&listener);

		if (child_ended) {
			child_ended = 0;
			reap(&listener);
		}
		read_notices(&listener);
		if (ready && !told_to_end)
			accept_connection(&listener);
		say_full(&listener);
	}
	net_children_free(&listener.children);
	return 0;
}
