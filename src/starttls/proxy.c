/*
 * What both kinds of proxy need: a host that is one, and a user with a password that is on no command line.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>
#include "internal.h"
#include "net/net.h"

bool proxy_is_host(const char *host)
{
	struct net_address address;
	size_t n = strnlen(host, STARTTLS_NAME_MAX + 1);

	if (n == 0 || n > STARTTLS_NAME_MAX || strchr("-[.", host[0]))
		return false;
	if (strspn(host, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") == n)
		return true;
	return strspn(host, "abcdefABCDEF0123456789:.") == n && net_scan_ip(host, &address);
}

void starttls_wipe(void *secret, size_t n)
{
	explicit_bzero(secret, n);
}

/* Printable or beyond ASCII; blanks are allowed in passwords. */
static bool is_secret(const char *text, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if ((unsigned char)text[i] < ' ' || text[i] == 127)
			return false;
	return n && memchr(text, ':', n);
}

/* Byte by byte: what stands behind the line may be for somebody else. */
static bool read_first_line(int fd, struct proxy_user *user, const char **words)
{
	size_t n = 0;
	bool whole = false;

	while (!whole && n < sizeof user->text) {
		ssize_t got = read(fd, user->text + n, 1);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0) {
			*words = strerror(errno);
			return false;
		}
		whole = got == 0 || user->text[n] == '\n';
		if (!whole)
			n++;
	}
	if (n && user->text[n - 1] == '\r')
		n--;
	user->n = whole ? n : 0;
	if (is_secret(user->text, user->n))
		return true;
	*words = "the first line must be user:password, of at most 512 bytes";
	return false;
}

bool proxy_read_user(const char *file, int fd, struct proxy_user *user, const char **words)
{
	bool good;

	if (file)
		fd = open(file, O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		*words = strerror(errno);
		return false;
	}
	good = read_first_line(fd, user, words);
	if (fd > 0) /* what follows on standard input is for prog */
		(void)close(fd);
	if (!good)
		starttls_wipe(user, sizeof *user);
	return good;
}
