/*
 * A connection through an HTTP proxy: CONNECT (RFC 9110 9.3.6, RFC 9112 3.2.3).
 */
#include <stdio.h>
#include <string.h>
#include "internal.h"

enum {
	REQUEST_MAX = 2048,
	BASE64_MAX = (PROXY_SECRET_MAX + 2) / 3 * 4 + 1,
	HEADER_MAX = 16 << 10 /* what a proxy may say before the connection begins */
};

static const char step[] = "CONNECT";

/* RFC 4648 4 */
static void to_base64(const char *from, size_t n, char to[BASE64_MAX])
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

	for (; n > 0; from += 3) {
		size_t taken = n < 3 ? n : 3;
		unsigned long bits = 0;

		for (size_t i = 0; i < 3; i++)
			bits = bits << 8 | (i < taken ? (unsigned char)from[i] : 0);
		for (size_t i = 0; i < 4; i++)
			*to++ = i <= taken ? digits[bits >> (18 - 6 * i) & 63] : '=';
		n -= taken;
	}
	*to = '\0';
}

/* An IPv6 literal stands in brackets (RFC 3986 3.2.2). */
static bool send_request(const struct starttls_wire *wire, const char *host, unsigned port,
	const struct proxy_user *user, struct starttls_fault *fault)
{
	char request[REQUEST_MAX], secret[BASE64_MAX] = "";
	const char *open = strchr(host, ':') ? "[" : "", *close = *open ? "]" : "";
	enum wire_result result = WIRE_LONG;
	int n;

	to_base64(user->text, user->n, secret);
	n = snprintf(request, sizeof request, "CONNECT %s%s%s:%u HTTP/1.1\r\nHost: %s%s%s:%u\r\n%s%s%s\r\n", open,
		host, close, port, open, host, close, port, user->n ? "Proxy-Authorization: Basic " : "", secret,
		user->n ? "\r\n" : "");
	if (n > 0 && (size_t)n < sizeof request)
		result = wire_write(wire, request, (size_t)n);
	starttls_wipe(request, sizeof request);
	starttls_wipe(secret, sizeof secret);
	return result == WIRE_OK || fault_wire(fault, step, result);
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* The class of "HTTP/1.x ddd …" (RFC 9112 4), 0 if it is no status line, or 101: that would be another
 * protocol, which nobody has asked for. */
static char class_of(const struct wire_line *line)
{
	const char *at = line->text;

	if (line->n < 12 || memcmp(at, "HTTP/1.", 7) != 0 || !is_digit(at[7]) || at[8] != ' ' ||
		!is_digit(at[9]) || !is_digit(at[10]) || !is_digit(at[11]) || (line->n > 12 && at[12] != ' '))
		return 0;
	return memcmp(at + 9, "101", 3) == 0 ? 0 : at[9];
}

bool proxy_http(struct starttls_wire *wire, const char *host, unsigned port, const struct proxy_user *user,
	struct starttls_fault *fault)
{
	struct wire_line line;
	char status;

	if (!send_request(wire, host, port, user, fault))
		return false;
	if (wire->budget > HEADER_MAX)
		wire->budget = HEADER_MAX;
	do {
		bool empty = false;
		enum wire_result result = wire_line(wire, &line, true, false); /* LF alone: RFC 9112 2.2 */

		if (result != WIRE_OK)
			return fault_wire(fault, step, result);
		status = class_of(&line);
		if (status != '1' && status != '2')
			return fault_got(fault, step, "2xx", line.text, line.n);
		while (!empty) {
			result = wire_skip_line(wire, &empty);
			if (result != WIRE_OK)
				return fault_wire(fault, step, result);
		}
	} while (status == '1'); /* interim responses (RFC 9110 15.2); the budget bounds them */
	return true;
}
