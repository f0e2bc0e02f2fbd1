/*
 * A connection through a SOCKS proxy, version 5 (RFC 1928), with user and password where it asks for them
 * (RFC 1929). Names are sent as they are, for the proxy to look up.
 */
#include <string.h>
#include "internal.h"
#include "net/net.h"

enum {
	VERSION = 5,
	NO_AUTHENTICATION = 0,
	USER_AND_PASSWORD = 2,
	NONE_ACCEPTABLE = 0xff,
	AUTHENTICATION_VERSION = 1,
	CONNECT = 1,
	IPV4 = 1,
	NAME = 3,
	IPV6 = 4,
	FIELD_MAX = 255
};

static bool talk(struct starttls_wire *wire, const char *step, const unsigned char *said, size_t said_n,
	unsigned char *answer, size_t answer_n, struct starttls_fault *fault)
{
	enum wire_result result = wire_write(wire, said, said_n);

	if (result == WIRE_OK)
		result = wire_bytes(wire, answer, answer_n);
	return result == WIRE_OK || fault_wire(fault, step, result);
}

static bool authenticate(
	struct starttls_wire *wire, const struct proxy_user *user, struct starttls_fault *fault)
{
	static const char step[] = "authentication";
	const char *colon = memchr(user->text, ':', user->n);
	size_t name_n = (size_t)(colon - user->text), password_n = user->n - name_n - 1, n = 0;
	unsigned char said[3 + 2 * FIELD_MAX], answer[2] = { 0 };
	bool good;

	if (name_n < 1 || name_n > FIELD_MAX || password_n < 1 || password_n > FIELD_MAX)
		return fault_words(fault, step, "user and password must have 1 to 255 bytes each");
	said[n++] = AUTHENTICATION_VERSION;
	said[n++] = (unsigned char)name_n;
	memcpy(said + n, user->text, name_n);
	n += name_n;
	said[n++] = (unsigned char)password_n;
	memcpy(said + n, colon + 1, password_n);
	n += password_n;
	good = talk(wire, step, said, n, answer, sizeof answer, fault);
	starttls_wipe(said, sizeof said);
	if (!good)
		return false;
	if (answer[0] != AUTHENTICATION_VERSION)
		return fault_words(fault, step, "the answer is not of RFC 1929");
	return answer[1] == 0 || fault_words(fault, step, "user or password not accepted");
}

static bool choose_method(
	struct starttls_wire *wire, const struct proxy_user *user, struct starttls_fault *fault)
{
	static const char step[] = "method";
	const unsigned char said[] = { VERSION, user->n ? 2 : 1, NO_AUTHENTICATION, USER_AND_PASSWORD };
	unsigned char answer[2] = { 0 };

	if (!talk(wire, step, said, user->n ? 4 : 3, answer, sizeof answer, fault))
		return false;
	if (answer[0] != VERSION)
		return fault_words(fault, step, "the proxy does not speak SOCKS version 5");
	if (answer[1] == NO_AUTHENTICATION)
		return true;
	if (answer[1] == USER_AND_PASSWORD && user->n)
		return authenticate(wire, user, fault);
	return fault_words(fault, step,
		answer[1] == NONE_ACCEPTABLE ? "the proxy wants another authentication"
									 : "the proxy chose a method that was not offered");
}

/* RFC 1928 6 */
static const char *reason(unsigned char code)
{
	static const char *const reasons[] = { "succeeded", "general SOCKS server failure",
		"connection not allowed by ruleset", "network unreachable", "host unreachable", "connection refused",
		"TTL expired", "command not supported", "address type not supported" };

	return code < sizeof reasons / sizeof reasons[0] ? reasons[code] : "refused with an unknown code";
}

static size_t put_host(unsigned char *to, const char *host)
{
	struct net_address address;
	size_t n;

	if (net_scan_ip(host, &address)) {
		n = address.is_v6 ? 16 : 4;
		to[0] = address.is_v6 ? IPV6 : IPV4;
		memcpy(to + 1, address.ip, n);
		return 1 + n;
	}
	n = strlen(host);
	to[0] = NAME;
	to[1] = (unsigned char)n; /* proxy_is_host: at most 255 */
	memcpy(to + 2, host, n);
	return 2 + n;
}

/* The address that the proxy connected from is of no use, but it has to be read exactly. */
static bool read_bound_address(struct starttls_wire *wire, unsigned char type, struct starttls_fault *fault)
{
	static const char step[] = "CONNECT";
	unsigned char rest[FIELD_MAX + 2], length = 0;
	enum wire_result result = WIRE_OK;

	switch (type) {
	case IPV4:
		length = 4;
		break;
	case IPV6:
		length = 16;
		break;
	case NAME:
		result = wire_bytes(wire, &length, 1);
		break;
	default:
		return fault_words(fault, step, "the reply has an unknown address type");
	}
	if (result == WIRE_OK)
		result = wire_bytes(wire, rest, (size_t)length + 2);
	return result == WIRE_OK || fault_wire(fault, step, result);
}

bool proxy_socks5(struct starttls_wire *wire, const char *host, unsigned port, const struct proxy_user *user,
	struct starttls_fault *fault)
{
	static const char step[] = "CONNECT";
	unsigned char said[4 + 1 + FIELD_MAX + 2] = { VERSION, CONNECT, 0 }, reply[4] = { 0 };
	size_t n = 3;

	if (!choose_method(wire, user, fault))
		return false;
	n += put_host(said + n, host);
	said[n++] = (unsigned char)(port >> 8);
	said[n++] = (unsigned char)(port & 0xff);
	if (!talk(wire, step, said, n, reply, sizeof reply, fault))
		return false;
	if (reply[0] != VERSION || reply[2] != 0)
		return fault_words(fault, step, "the reply is not of RFC 1928");
	if (reply[1] != 0)
		return fault_words(fault, step, reason(reply[1]));
	return read_bound_address(wire, reply[3], fault);
}
