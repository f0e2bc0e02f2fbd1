/*
 * The report of an io program: "NAME=value\0" sets, "NAME\0" unsets, one more \0 ends it. The reader believes
 * only names from the compiled-in table, within limits: an io program that was broken into must not be able
 * to set PATH.
 */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "chain/chain.h"

enum {
	SAFE_WRITE = 512, /* _POSIX_PIPE_BUF: never blocks after poll */
	WRITE_PATIENCE_MS = 10000,
	REPORT_SPARE = 64 /* bytes for SSL_REPORT_LEFT_OUT and the end */
};

static int64_t clock_ms(void)
{
	struct timespec t;
	(void)clock_gettime(CLOCK_MONOTONIC, &t); /* cannot fail for this clock */
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

bool chain_wait_until_readable(int fd, int64_t deadline)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	for (;;) {
		int64_t left = deadline - clock_ms();
		int got;
		if (left < 0) {
			errno = ETIMEDOUT;
			return false;
		}
		got = poll(&p, 1, left > 1000000 ? 1000000 : (int)left);
		if (got > 0)
			return true;
		if (got < 0 && errno != EINTR)
			return false;
	}
}

/* Everything up to the end of file, or failure. */
static bool read_all(int fd, int64_t deadline, stralloc *all)
{
	char piece[4096];

	for (;;) {
		ssize_t got;
		if (!chain_wait_until_readable(fd, deadline))
			return false;
		got = read(fd, piece, sizeof piece);
		if (got == 0)
			return true;
		if (got < 0) {
			if (errno == EINTR || errno == EAGAIN)
				continue;
			return false;
		}
		if (all->len + (size_t)got > REPORT_MAX || !stralloc_catb(all, piece, (size_t)got))
			return false;
	}
}

/* Items, then exactly one more \0. */
static bool well_formed(const char *all, size_t n)
{
	size_t at = 0;

	if (n < 2)
		return false;
	while (at < n && all[at]) {
		const char *end = memchr(all + at, 0, n - at);
		const char *equals;
		if (!end)
			return false;
		equals = memchr(all + at, '=', (size_t)(end - all) - at);
		if (!chain_report_may_set(all + at, (size_t)((equals ? equals : end) - all) - at))
			return false;
		if (equals && end - equals - 1 > REPORT_VALUE_MAX)
			return false;
		at = (size_t)(end - all) + 1;
	}
	return at == n - 1;
}

bool chain_report_read(int fd, int64_t deadline, stralloc *changes)
{
	stralloc all = STRALLOC_ZERO;
	bool good = read_all(fd, deadline, &all) && well_formed(all.s, all.len) &&
				stralloc_catb(changes, all.s, all.len - 1);

	stralloc_free(&all);
	return good;
}

bool chain_ready_read(int fd, int64_t deadline)
{
	stralloc all = STRALLOC_ZERO;
	bool good = read_all(fd, deadline, &all) && all.len == 1 && all.s[0] == 0;

	stralloc_free(&all);
	return good;
}

bool chain_ready_write(int fd)
{
	ssize_t wrote;

	do
		wrote = write(fd, "", 1);
	while (wrote < 0 && errno == EINTR);
	return wrote == 1;
}

/* ---- what does not fit ---- */

/* True for "SSL_CLIENT_CERT=…" and "SSL_CLIENT_CERT_CHAIN_0=…" of either side: PEM, and most of what is long.
 */
static bool is_pem(const char *item)
{
	static const char *const kinds[] = { "SSL_CLIENT_CERT=", "SSL_SERVER_CERT=", "SSL_CLIENT_CERT_CHAIN_",
		"SSL_SERVER_CERT_CHAIN_" };

	for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
		if (!strncmp(item, kinds[i], strlen(kinds[i])))
			return true;
	return false;
}

static bool is_too_long(const char *item)
{
	const char *equals = strchr(item, '=');

	return equals && strlen(equals + 1) > REPORT_VALUE_MAX;
}

/* Takes out of the report what unwanted says, and, with room, whatever would lead beyond it. Returns how
 * many. */
static size_t take_out(stralloc *report, bool (*unwanted)(const char *), size_t room)
{
	size_t kept = 0, taken = 0, length;

	for (size_t at = 0; at < report->len; at += length) {
		length = strlen(report->s + at) + 1;
		if (unwanted(report->s + at) || kept + length > room) {
			taken++;
			continue;
		}
		memmove(report->s + kept, report->s + at, length);
		kept += length;
	}
	report->len = kept;
	return taken;
}

size_t chain_report_fit(stralloc *report)
{
	const size_t room = REPORT_MAX - REPORT_SPARE;
	size_t taken = take_out(report, is_too_long, SIZE_MAX);

	if (report->len > room)
		taken += take_out(report, is_pem, SIZE_MAX);
	if (report->len > room)
		taken += take_out(report, is_too_long, room);
	return taken;
}

bool chain_report_write(int fd, stralloc *report)
{
	size_t at = 0;
	int64_t deadline = clock_ms() + WRITE_PATIENCE_MS;

	if (!stralloc_catb(report, "", 1))
		return false;
	while (at < report->len) {
		struct pollfd p = { .fd = fd, .events = POLLOUT };
		size_t left = report->len - at;
		ssize_t wrote;
		int64_t patience = deadline - clock_ms();
		int got = patience > 0 ? poll(&p, 1, (int)patience) : 0;
		if (got == 0)
			errno = ETIMEDOUT;
		if (got == 0 || (got < 0 && errno != EINTR))
			return false;
		if (got < 0)
			continue;
		wrote = write(fd, report->s + at, left < SAFE_WRITE ? left : SAFE_WRITE);
		if (wrote < 0 && errno != EINTR && errno != EAGAIN)
			return false;
		if (wrote > 0)
			at += (size_t)wrote;
	}
	return true;
}
