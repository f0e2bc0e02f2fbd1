/*
 * IDENT (RFC 1413): asks the host at the other end of a connection who made it. One question, one bounded
 * line; what the answer says is the word of a stranger.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>
#include "internal.h"

enum { IDENT_PORT = 113 };

static void end(struct net_ident *ident)
{
	if (ident->socket >= 0)
		close(ident->socket);
	ident->socket = -1;
	ident->done = true;
}

void net_ident_begin(
	struct net_ident *ident, const struct net_address *local, const struct net_address *remote)
{
	struct net_address from = *local, to = *remote;
	struct sockaddr_storage name;
	socklen_t n;

	memset(ident, 0, sizeof *ident);
	ident->local_port = local->port;
	ident->remote_port = remote->port;
	from.port = 0;
	to.port = IDENT_PORT;
	ident->socket = socket(to.is_v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (ident->socket < 0) {
		end(ident);
		return;
	}
	/* From the address of the connection: the other side compares both ends (RFC 1413 4). */
	n = net_to_sockaddr(&from, &name);
	if (bind(ident->socket, (struct sockaddr *)&name, n) < 0) {
		end(ident);
		return;
	}
	n = net_to_sockaddr(&to, &name);
	if (connect(ident->socket, (struct sockaddr *)&name, n) < 0 && errno != EINPROGRESS)
		end(ident);
}

void net_ident_watch(const struct net_ident *ident, struct pollfd *polled)
{
	*polled = (struct pollfd){ .fd = ident->socket, .events = ident->asked ? POLLIN : POLLOUT };
}

/* "port there, port here": a dozen bytes, which a socket that was just made takes in one piece. */
static bool send_question(const struct net_ident *ident)
{
	char text[32];
	int n =
		snprintf(text, sizeof text, "%u, %u\r\n", (unsigned)ident->remote_port, (unsigned)ident->local_port);

	return send(ident->socket, text, (size_t)n, MSG_NOSIGNAL) == n;
}

void net_ident_work(struct net_ident *ident, const struct pollfd *polled)
{
	ssize_t got;

	if (ident->done || !polled->revents)
		return;
	if (!ident->asked) {
		ident->asked = send_question(ident);
		if (!ident->asked)
			end(ident);
		return;
	}
	got = recv(ident->socket, ident->line + ident->n, sizeof ident->line - ident->n, 0);
	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (got > 0)
		ident->n += (size_t)got;
	if (got > 0 && !memchr(ident->line, '\n', ident->n) && ident->n < sizeof ident->line)
		return;
	(void)net_ident_read(ident->line, ident->n, ident->remote_port, ident->local_port, ident->info);
	end(ident);
}

/* ---- the reply ---- */

struct text {
	const char *at, *end;
};

static void skip_blanks(struct text *text)
{
	while (text->at < text->end && (*text->at == ' ' || *text->at == '\t'))
		text->at++;
}

static bool skip_byte(struct text *text, char byte)
{
	skip_blanks(text);
	if (text->at == text->end || *text->at != byte)
		return false;
	text->at++;
	return true;
}

static bool skip_port(struct text *text, uint16_t port)
{
	unsigned long number = 0;
	const char *begin;

	skip_blanks(text);
	begin = text->at;
	while (text->at < text->end && *text->at >= '0' && *text->at <= '9' && number <= 65535)
		number = number * 10 + (unsigned long)(*text->at++ - '0');
	return text->at > begin && number == port;
}

static bool skip_word(struct text *text, const char *word)
{
	size_t n = strlen(word);

	skip_blanks(text);
	if ((size_t)(text->end - text->at) < n || strncasecmp(text->at, word, n) != 0)
		return false;
	text->at += n;
	return true;
}

/* RFC 1413 6: port , port : USERID : system[, charset] : user. The user's name may hold colons. */
bool net_ident_read(
	const char *reply, size_t n, uint16_t remote_port, uint16_t local_port, char out[NET_INFO_TEXT])
{
	const char *newline = memchr(reply, '\n', n);
	struct text text = { .at = reply, .end = newline };

	out[0] = '\0';
	if (!newline || !skip_port(&text, remote_port) || !skip_byte(&text, ',') ||
		!skip_port(&text, local_port) || !skip_byte(&text, ':') || !skip_word(&text, "USERID") ||
		!skip_byte(&text, ':'))
		return false;
	text.at = memchr(text.at, ':', (size_t)(text.end - text.at));
	if (!text.at)
		return false;
	text.at++;
	return net_clean_info(text.at, (size_t)(text.end - text.at), out);
}
