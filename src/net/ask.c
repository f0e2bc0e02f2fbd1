/*
 * The names that belong to a connection: a subprocess without rights asks DNS and IDENT, all at once, and
 * hands three strings back through a pipe. Its parent believes none of them and waits no longer than it was
 * told.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "internal.h"

enum {
	REPLY_PIPE = 3, /* its descriptor in the subprocess */
	REPLY_MAX = 2 * NET_HOST_TEXT + NET_INFO_TEXT,
	GRACE_MS = 200 /* for a subprocess that ends in time to be heard */
};

/* 127.0.0.1 and ::1 are localhost, as in net_resolve. */
static bool is_loopback(const struct net_address *address)
{
	static const unsigned char v4[4] = { 127, 0, 0, 1 }, v6[16] = { [15] = 1 };

	return address->is_v6 ? memcmp(address->ip, v6, 16) == 0 : memcmp(address->ip, v4, 4) == 0;
}

/* ---- the subprocess ---- */

struct asked {
	struct net_names names;
	struct net_reverse local, remote;
	struct net_forward check; /* -p: addresses of the remote name */
	struct net_address addresses[NET_ADDRESSES_MAX];
	bool checking;
	struct net_ident ident;
};

static void begin(
	struct asked *asked, const struct net_questions *questions, const struct net_connection *connection)
{
	const char *why;
	bool local = !connection->local_host, remote = questions->remote_host;

	asked->local.done = asked->remote.done = asked->ident.done = true;
	asked->ident.socket = -1;
	if ((local || remote) && net_names_open(&asked->names, NET_NAMES_EXACT, &why)) {
		if (local)
			net_names_reverse(&asked->names, &connection->local, &asked->local);
		if (remote)
			net_names_reverse(&asked->names, &connection->remote, &asked->remote);
	}
	if (questions->remote_info)
		net_ident_begin(&asked->ident, &connection->local, &connection->remote);
}

/* -p: asks once more as soon as there is a name. True when nothing more is expected. */
static bool is_done(
	struct asked *asked, const struct net_questions *questions, const struct net_connection *connection)
{
	if (questions->paranoid && asked->remote.done && *asked->remote.host && !asked->checking) {
		asked->checking = true;
		asked->check.list = asked->addresses;
		asked->check.max = NET_ADDRESSES_MAX;
		net_names_forward(
			&asked->names, asked->remote.host, connection->remote.is_v6 ? NET_V6 : NET_V4, &asked->check);
	}
	return asked->local.done && asked->remote.done && asked->ident.done &&
		   (!asked->checking || asked->check.done);
}

static void wait_for_answers(struct asked *asked, const struct net_questions *questions,
	const struct net_connection *connection, int64_t deadline)
{
	int64_t left;

	while (!is_done(asked, questions, connection) && (left = deadline - net_now()) > 0) {
		struct pollfd polled[1 + NET_NAMES_POLLED];
		int wait_ms = (int)left;
		nfds_t n = 0;

		net_ident_watch(&asked->ident, &polled[0]);
		if (asked->names.channel)
			n = net_names_watch(&asked->names, polled + 1, &wait_ms);
		if (poll(polled, 1 + n, wait_ms) <= 0) {
			polled[0].revents = 0;
			n = 0;
		}
		net_ident_work(&asked->ident, &polled[0]);
		if (asked->names.channel)
			net_names_work(&asked->names, polled + 1, n);
	}
}

/* -p: the name stays only if one of its addresses is that of the peer. */
static bool is_confirmed(const struct asked *asked, const struct net_address *remote)
{
	for (size_t i = 0; i < asked->check.n; i++)
		if (asked->addresses[i].is_v6 == remote->is_v6 &&
			memcmp(asked->addresses[i].ip, remote->ip, remote->is_v6 ? 16 : 4) == 0)
			return true;
	return false;
}

static size_t append(char *reply, size_t n, const char *text)
{
	size_t length = strlen(text) + 1;

	memcpy(reply + n, text, length);
	return n + length;
}

static void close_others(void)
{
#ifdef __linux__
	if (close_range(REPLY_PIPE + 1, ~0U, 0) == 0)
		return;
#endif
	long most = sysconf(_SC_OPEN_MAX);
	for (int fd = REPLY_PIPE + 1; fd < (most > 0 ? most : 1024); fd++)
		(void)close(fd); /* most of them are not open */
}

static _Noreturn void answer(const struct net_questions *questions, const struct net_connection *connection,
	int pipe_end, int64_t deadline)
{
	static struct asked asked;
	char reply[REPLY_MAX];
	size_t n = 0;
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	/* The connection is not for this process to touch. */
	if ((pipe_end != REPLY_PIPE && dup2(pipe_end, REPLY_PIPE) < 0) || null < 0 || dup2(null, 0) < 0 ||
		dup2(null, 1) < 0)
		_exit(111);
	close_others();
	if (questions->drop && !questions->drop(questions->context))
		_exit(111);
	begin(&asked, questions, connection);
	wait_for_answers(&asked, questions, connection, deadline);
	if (questions->paranoid && !is_confirmed(&asked, &connection->remote))
		asked.remote.host[0] = '\0';
	n = append(reply, n, asked.local.host);
	n = append(reply, n, asked.remote.host);
	n = append(reply, n, asked.ident.info);
	_exit(write(REPLY_PIPE, reply, n) == (ssize_t)n ? 0 : 111);
}

/* ---- its parent ---- */

/* Returns how many bytes came until the end or the deadline. */
static size_t read_reply(int pipe_end, char reply[REPLY_MAX], int64_t deadline)
{
	size_t n = 0;

	while (n < REPLY_MAX) {
		struct pollfd polled = { .fd = pipe_end, .events = POLLIN };
		int64_t left = deadline - net_now();
		ssize_t got;

		if (left <= 0)
			break;
		if (poll(&polled, 1, (int)left) <= 0)
			continue;
		got = read(pipe_end, reply + n, REPLY_MAX - n);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			break;
		n += (size_t)got;
	}
	return n;
}

/* The strings of a reply, each cleaned again: the subprocess has talked to strangers. */
static void take_reply(const char *reply, size_t n, struct net_answers *answers)
{
	const char *texts[3], *at = reply;

	for (size_t i = 0; i < 3; i++) {
		const char *end = memchr(at, '\0', n - (size_t)(at - reply));

		if (!end)
			return;
		texts[i] = at;
		at = end + 1;
	}
	(void)net_clean_host(texts[0], answers->local_host);
	(void)net_clean_host(texts[1], answers->remote_host);
	(void)net_clean_info(texts[2], strlen(texts[2]), answers->remote_info);
}

static bool ask(const struct net_questions *questions, const struct net_connection *connection,
	struct net_answers *answers)
{
	int64_t deadline = net_now() + (int64_t)questions->seconds * 1000;
	char reply[REPLY_MAX];
	int ends[2], saved;
	pid_t pid;
	size_t n;

	if (pipe(ends) < 0)
		return false;
	pid = fork();
	if (pid == 0)
		answer(questions, connection, ends[1], deadline);
	saved = errno;
	close(ends[1]);
	if (pid > 0) {
		n = read_reply(ends[0], reply, deadline + GRACE_MS);
		(void)kill(pid, SIGKILL); /* it has ended, or its time has */
		while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
			;
		take_reply(reply, n, answers);
	}
	close(ends[0]);
	errno = saved;
	return pid > 0;
}

/* An address whose name nobody has to be asked for. */
static void take_loopback(const struct net_address *address, const char **host)
{
	if (!*host && is_loopback(address))
		*host = "localhost";
}

static void point_to(const char **name, const char *text)
{
	if (!*name && *text)
		*name = text;
}

bool net_ask(
	const struct net_questions *questions, struct net_connection *connection, struct net_answers *answers)
{
	struct net_questions left = *questions;
	bool asks;

	memset(answers, 0, sizeof *answers);
	take_loopback(&connection->local, &connection->local_host);
	if (questions->remote_host)
		take_loopback(&connection->remote, &connection->remote_host);
	left.remote_host = questions->remote_host && !connection->remote_host;
	left.paranoid = left.remote_host && questions->paranoid;
	asks = !connection->local_host || left.remote_host || left.remote_info;
	if (asks && !ask(&left, connection, answers))
		return false;
	point_to(&connection->local_host, answers->local_host);
	point_to(&connection->remote_host, answers->remote_host);
	point_to(&connection->remote_info, answers->remote_info);
	return true;
}
