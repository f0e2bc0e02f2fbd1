/*
 * Log lines on descriptor 2 for all programs of the TCP family, and the two ways in which their mains end.
 * Everything goes through one cleaning writer, so that no text from a peer or a file can forge a second line.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>
#include "net.h"

enum {
	LINE_MAX_BYTES = 4000
}; /* under the 4 KiB that loggers and pipes take in one piece, newline included */

struct line {
	char at[LINE_MAX_BYTES];
	size_t n;
	bool cut;
};

static void add(struct line *line, const char *text)
{
	/* Room is kept for "..." and the newline. */
	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;

		if (line->n >= sizeof line->at - 4) {
			line->cut = true;
			return;
		}
		line->at[line->n++] = (char)(c < ' ' || c == 127 || c == '%' ? '?' : c);
	}
}

static void add_all(struct line *line, const char *first, va_list rest)
{
	for (const char *text = first; text; text = va_arg(rest, const char *))
		add(line, text);
}

static void write_out(struct line *line)
{
	ssize_t written;

	if (line->cut) {
		memcpy(line->at + line->n, "...", 3);
		line->n += 3;
	}
	line->at[line->n++] = '\n';
	do
		written = write(2, line->at, line->n);
	while (written < 0 && errno == EINTR);
	/* A log that takes only half a line, or none, cannot be told of it. */
}

void net_log(const char *first, ...)
{
	struct line line = { .n = 0 };
	int saved = errno;
	va_list rest;

	va_start(rest, first);
	add_all(&line, first, rest);
	va_end(rest);
	write_out(&line);
	errno = saved;
}

void net_die(const char *program, int code, const char *doing, const char *object, const char *reason)
{
	if (!doing)
		net_log(program, ": fatal: ", reason, NULL);
	else if (!object)
		net_log(program, ": fatal: unable to ", doing, ": ", reason, NULL);
	else
		net_log(program, ": fatal: unable to ", doing, " ", object, ": ", reason, NULL);
	_exit(code);
}

void net_usage(const char *program, const char *problem, const char *usage)
{
	if (problem)
		net_log(program, ": fatal: ", problem, NULL);
	net_log(program, ": usage: ", program, " ", usage, NULL);
	_exit(100);
}
