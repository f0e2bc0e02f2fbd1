/*
 * What strangers call themselves, made fit for variables, rules and log lines: host names from DNS and user
 * names from IDENT.
 */
#include <stdbool.h>
#include <string.h>
#include "internal.h"

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_label(const char *at, size_t n)
{
	if (n == 0 || n > 63 || at[0] == '-')
		return false;
	for (size_t i = 0; i < n; i++)
		if (!(is_digit(at[i]) || (at[i] >= 'a' && at[i] <= 'z') || (at[i] >= 'A' && at[i] <= 'Z') ||
				at[i] == '-' || at[i] == '_'))
			return false;
	return true;
}

/* No top-level domain is a number (RFC 3696 2): such a name wants to be taken for an address. */
static bool is_number(const char *at, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!is_digit(at[i]))
			return false;
	return true;
}

bool net_clean_host(const char *name, char out[NET_HOST_TEXT])
{
	size_t n = strnlen(name, NET_HOST_TEXT + 1), begin = 0;

	out[0] = '\0';
	if (n && name[n - 1] == '.')
		n--;
	if (n == 0 || n >= NET_HOST_TEXT)
		return false;
	for (size_t i = 0; i <= n; i++) {
		if (i < n && name[i] != '.')
			continue;
		if (!is_label(name + begin, i - begin) || (i == n && is_number(name + begin, i - begin)))
			return false;
		begin = i + 1;
	}
	memcpy(out, name, n);
	out[n] = '\0';
	return true;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

bool net_clean_info(const char *name, size_t n, char out[NET_INFO_TEXT])
{
	while (n && is_blank(name[n - 1]))
		n--;
	while (n && is_blank(name[0])) {
		name++;
		n--;
	}
	if (n >= NET_INFO_TEXT)
		n = NET_INFO_TEXT - 1;
	/* A : would begin the next field of a log line. */
	for (size_t i = 0; i < n; i++)
		out[i] = name[i] <= ' ' || name[i] >= 127 || name[i] == ':' || name[i] == '%' ? '?' : name[i];
	out[n] = '\0';
	return n > 0;
}
