/*
 * IP addresses: as text, as the kernel's structures, and as a socket has them.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include "internal.h"

/* ::ffff:0:0/96 (RFC 4291 2.5.5.2) */
static const unsigned char mapped_prefix[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff };

static void set_v6(struct net_address *address, const unsigned char ip[16], uint32_t scope)
{
	if (memcmp(ip, mapped_prefix, sizeof mapped_prefix) == 0) {
		address->is_v6 = false;
		memcpy(address->ip, ip + 12, 4);
		return;
	}
	address->is_v6 = true;
	memcpy(address->ip, ip, 16);
	address->scope = scope;
}

/*
 * Four decimal numbers. Leading zeros are taken as padding, as in ucspi-tcp, so 127.0.0.010 is 127.0.0.10;
 * inet_aton would read that in octal.
 */
static bool scan_v4(const char *text, unsigned char ip[4])
{
	for (int i = 0; i < 4; i++) {
		unsigned value = 0;
		int digits = 0;

		while (*text >= '0' && *text <= '9' && digits < 4) {
			value = value * 10 + (unsigned)(*text++ - '0');
			digits++;
		}
		if (digits < 1 || digits > 3 || value > 255)
			return false;
		ip[i] = (unsigned char)value;
		if (*text++ != (i < 3 ? '.' : '\0'))
			return false;
	}
	return true;
}

/* The zone of RFC 4007 11: an interface by name or number. */
static bool scan_zone(const char *zone, uint32_t *scope)
{
	unsigned long number = 0;

	*scope = if_nametoindex(zone);
	if (*scope)
		return true;
	if (!*zone)
		return false;
	for (; *zone; zone++) {
		if (*zone < '0' || *zone > '9' || number > 99999999)
			return false;
		number = number * 10 + (unsigned long)(*zone - '0');
	}
	*scope = (uint32_t)number;
	return number > 0;
}

bool net_scan_ip(const char *text, struct net_address *address)
{
	char copy[128];
	size_t n = strlen(text);
	unsigned char ip[16];
	uint32_t scope = 0;
	char *zone;

	memset(address, 0, sizeof *address);
	if (n >= 2 && text[0] == '[' && text[n - 1] == ']') {
		text++;
		n -= 2;
	}
	if (n >= sizeof copy)
		return false;
	memcpy(copy, text, n);
	copy[n] = '\0';
	if (scan_v4(copy, address->ip))
		return true;
	memset(address, 0, sizeof *address);
	zone = strchr(copy, '%');
	if (zone)
		*zone++ = '\0';
	if (inet_pton(AF_INET6, copy, ip) != 1 || (zone && !scan_zone(zone, &scope)))
		return false;
	set_v6(address, ip, scope);
	return true;
}

char *net_format_ip(const struct net_address *address, char out[NET_IP_TEXT])
{
	if (!inet_ntop(address->is_v6 ? AF_INET6 : AF_INET, address->ip, out, NET_IP_TEXT))
		out[0] = '\0'; /* cannot happen: the family is known and the room suffices */
	return out;
}

char *net_format_number(long long number, char out[NET_NUMBER_TEXT])
{
	(void)snprintf(out, NET_NUMBER_TEXT, "%lld", number);
	return out;
}

socklen_t net_to_sockaddr(const struct net_address *address, struct sockaddr_storage *out)
{
	struct sockaddr_in v4 = { .sin_family = AF_INET };
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6 };

	memset(out, 0, sizeof *out);
	if (address->is_v6) {
		v6.sin6_port = htons(address->port);
		v6.sin6_scope_id = address->scope;
		memcpy(&v6.sin6_addr, address->ip, 16);
		memcpy(out, &v6, sizeof v6);
		return sizeof v6;
	}
	v4.sin_port = htons(address->port);
	memcpy(&v4.sin_addr, address->ip, 4);
	memcpy(out, &v4, sizeof v4);
	return sizeof v4;
}

bool net_from_sockaddr(const struct sockaddr *from, struct net_address *address)
{
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;

	memset(address, 0, sizeof *address);
	if (from->sa_family == AF_INET) {
		memcpy(&v4, from, sizeof v4);
		memcpy(address->ip, &v4.sin_addr, 4);
		address->port = ntohs(v4.sin_port);
		return true;
	}
	if (from->sa_family != AF_INET6) {
		errno = EAFNOSUPPORT;
		return false;
	}
	memcpy(&v6, from, sizeof v6);
	set_v6(address, v6.sin6_addr.s6_addr, v6.sin6_scope_id);
	address->port = ntohs(v6.sin6_port);
	return true;
}

bool net_local(int socket, struct net_address *address)
{
	struct sockaddr_storage storage;
	socklen_t n = sizeof storage;

	if (getsockname(socket, (struct sockaddr *)&storage, &n) < 0)
		return false;
	return net_from_sockaddr((struct sockaddr *)&storage, address);
}

bool net_remote(int socket, struct net_address *address)
{
	struct sockaddr_storage storage;
	socklen_t n = sizeof storage;

	if (getpeername(socket, (struct sockaddr *)&storage, &n) < 0)
		return false;
	return net_from_sockaddr((struct sockaddr *)&storage, address);
}
