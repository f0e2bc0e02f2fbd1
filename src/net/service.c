/*
 * Ports by number or name. A file of its own: the services of libc do not go with static programs, which need
 * addresses only.
 */
#include <arpa/inet.h>
#include <netdb.h>
#include <stdbool.h>
#include <stdint.h>
#include "internal.h"

bool net_scan_port(const char *text, uint16_t *port)
{
	unsigned long number = 0;
	const char *at = text;
	const struct servent *service;

	for (; *at >= '0' && *at <= '9'; at++) {
		number = number * 10 + (unsigned long)(*at - '0');
		if (number > 65535)
			return false;
	}
	if (at > text && !*at) {
		*port = (uint16_t)number;
		return true;
	}
	service = getservbyname(text, "tcp");
	if (!service)
		return false;
	*port = ntohs((uint16_t)service->s_port);
	return true;
}

void net_scan_port_or_die(const char *program, const char *text, uint16_t *port)
{
	if (!net_scan_port(text, port))
		net_die(program, 111, "figure out the port number of", text, "neither a number nor a TCP service");
}
