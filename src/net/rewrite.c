/*
 * Short host names to full ones: the rewriting instructions of djbdns, read from a file, and LOCALDOMAIN.
 * Nobody is asked here; net_resolve asks for the candidates that come out.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>
#include "internal.h"

static const char default_file[] = "/etc/dnswritefile"; /* its name in the manual of sslserver */

enum { FILE_MAX = 64 << 10 };

/* Neither qualified already, nor an address. */
static bool is_unqualified(const char *name, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (strchr(".[]:", name[i]))
			return false;
	return true;
}

/* Puts what stands behind the colon in the place of name[kept..]. */
static bool replace(char *name, size_t kept, const char *with, size_t n)
{
	if (kept + n >= NET_REWRITTEN_TEXT)
		return false;
	memcpy(name + kept, with, n);
	name[kept + n] = '\0';
	return true;
}

/* One instruction, n bytes. */
static bool follow(const char *line, size_t n, char name[NET_REWRITTEN_TEXT])
{
	const char *post = line + 1, *colon;
	size_t length = strlen(name), post_n, pre_n;

	if (n == 0 || !memchr("=*?-", line[0], 4))
		return true;
	colon = memchr(post, ':', n - 1);
	if (!colon)
		return true;
	post_n = (size_t)(colon - post);
	if (post_n > length || strncasecmp(name + length - post_n, post, post_n) != 0)
		return true;
	pre_n = length - post_n;
	if ((line[0] == '=' && pre_n) || (line[0] == '?' && !is_unqualified(name, pre_n)))
		return true;
	return replace(name, line[0] == '-' ? 0 : pre_n, colon + 1, (size_t)(line + n - (colon + 1)));
}

bool net_rewrite(const char *instructions, size_t n, char name[NET_REWRITTEN_TEXT])
{
	const char *end = instructions + n;

	while (instructions < end) {
		const char *newline = memchr(instructions, '\n', (size_t)(end - instructions));
		const char *stop = newline ? newline : end;
		size_t length = (size_t)(stop - instructions);

		/* A NUL would end the name unseen: such a line is a comment. */
		if (memchr(instructions, '\0', length))
			length = 0;
		while (length && strchr(" \t\r", instructions[length - 1]))
			length--;
		if (!follow(instructions, length, name))
			return false;
		instructions = newline ? newline + 1 : end;
	}
	return true;
}

/* Returns how many bytes the file has, -1 with errno; EFBIG if it has more than max. */
static ssize_t read_file(const char *path, char *to, size_t max)
{
	int descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	size_t n = 0;
	ssize_t got;

	if (descriptor < 0)
		return -1;
	do {
		got = read(descriptor, to + n, max + 1 - n);
		if (got > 0)
			n += (size_t)got;
		else if (got < 0 && errno == EINTR)
			got = 1;
	} while (got > 0 && n <= max);
	close(descriptor);
	if (got < 0)
		return -1;
	if (n > max) {
		errno = EFBIG;
		return -1;
	}
	return (ssize_t)n;
}

bool net_rewrite_by_file(char name[NET_REWRITTEN_TEXT], const char **why)
{
	static char instructions[FILE_MAX + 1];
	const char *path = getenv("DNSREWRITEFILE");
	ssize_t n;

	if (path && !*path)
		return true;
	n = read_file(path ? path : default_file, instructions, FILE_MAX);
	if (n < 0 && !path && errno == ENOENT)
		return true;
	if (n < 0) {
		*why = path ? "DNSREWRITEFILE cannot be read" : "/etc/dnswritefile cannot be read";
		return false;
	}
	if (!net_rewrite(instructions, (size_t)n, name)) {
		*why = "rewriting makes the name too long";
		return false;
	}
	return true;
}

bool net_add_domains(char name[NET_REWRITTEN_TEXT])
{
	const char *at = getenv("LOCALDOMAIN");

	if (!at || strchr(name, '+') || !is_unqualified(name, strlen(name)))
		return true;
	for (;;) {
		size_t n;

		at += strspn(at, " \t.");
		n = strcspn(at, " \t");
		if (n == 0)
			return true;
		if (!replace(name, strlen(name), "+.", 2) || !replace(name, strlen(name), at, n))
			return false;
		at += n;
	}
}

bool net_candidate(const char *name, size_t i, char out[NET_HOST_TEXT])
{
	const char *part = strchr(name, '+');
	size_t pre_n = strcspn(name, "+"), n = 0;

	if (!part && i > 0)
		return false;
	for (size_t skip = 0; part; skip++) {
		part++;
		n = strcspn(part, "+");
		if (skip == i)
			break;
		if (!part[n])
			return false;
		part += n;
	}
	while (n && part[n - 1] == '.')
		n--;
	if (n == 0) /* nothing behind x, or nothing but dots */
		while (pre_n && name[pre_n - 1] == '.')
			pre_n--;
	if (pre_n + n == 0 || pre_n + n >= NET_HOST_TEXT)
		return false;
	memcpy(out, name, pre_n);
	if (n)
		memcpy(out + pre_n, part, n);
	out[pre_n + n] = '\0';
	return true;
}
