/*
 * The listening socket: from the host operand in all its forms to a bound, listening descriptor.
 */
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "internal.h"

/* What to bind to, and whether an IPv6 socket takes IPv4 connections as well. */
struct target {
	struct net_address address;
	bool both_families;
};

static bool is_link_local(const struct net_address *address)
{
	return address->is_v6 && address->ip[0] == 0xfe && (address->ip[1] & 0xc0) == 0x80; /* fe80::/10 */
}

/* -I: which link a link-local address is on. */
static bool choose_interface(struct net_address *address, const char *interface, const char **why)
{
	uint32_t scope = if_nametoindex(interface);

	if (!scope)
		*why = "there is no interface of that name (-I)";
	else if (!is_link_local(address))
		*why = "only a link-local address can have an interface (-I)";
	else if (address->scope && address->scope != scope)
		*why = "the address is of another interface than -I says";
	else
		address->scope = scope;
	return address->scope == scope && scope;
}

static bool choose_target(const struct net_listen *what, struct target *target, const char **why)
{
	const char *host = what->host;

	memset(target, 0, sizeof *target);
	if (strcmp(host, ":0") == 0) {
		target->address.is_v6 = what->family != NET_V4;
		target->both_families = what->family == NET_ANY_FAMILY;
	} else if (!*host || strcmp(host, "0") == 0) {
		target->address.is_v6 = what->family == NET_V6;
	} else if (net_resolve(host, what->family, &target->address, 1, net_now() + NET_RESOLVE_MS, why) == 0) {
		return false;
	}
	target->address.port = what->port;
	return !what->interface || choose_interface(&target->address, what->interface, why);
}

static int failed(int descriptor, const char *doing_what, const char **doing, const char **why)
{
	*doing = doing_what;
	*why = strerror(errno);
	if (descriptor >= 0)
		close(descriptor);
	return -1;
}

/* ---- an inherited socket ---- */

/* Descriptors have no more digits. */
enum { FD_DIGITS_MAX = 6 };

bool net_is_inherited(const char *host)
{
	return strncmp(host, "fd:", 3) == 0;
}

static int scan_descriptor(const char *text)
{
	int number = 0;

	if (!*text || strlen(text) > FD_DIGITS_MAX)
		return -1;
	for (; *text >= '0' && *text <= '9'; text++)
		number = number * 10 + (*text - '0');
	return *text ? -1 : number;
}

static bool has_option(int socket, int name, int value)
{
	int is = 0;
	socklen_t n = sizeof is;

	return getsockopt(socket, SOL_SOCKET, name, &is, &n) == 0 && is == value;
}

/* What keeps a descriptor from being served, NULL if nothing does. */
static const char *fault_of_inherited(int socket, enum net_family family, struct net_address *bound)
{
	if (socket < 0)
		return "not a number of a descriptor";
	if (fcntl(socket, F_GETFD) < 0)
		return "not open";
	if (!has_option(socket, SO_TYPE, SOCK_STREAM) || !has_option(socket, SO_PROTOCOL, IPPROTO_TCP) ||
		!net_local(socket, bound))
		return "not a TCP socket";
	if (!has_option(socket, SO_ACCEPTCONN, 1))
		return "not a listening socket";
	if (family != NET_ANY_FAMILY && has_option(socket, SO_DOMAIN, family == NET_V4 ? AF_INET6 : AF_INET))
		return family == NET_V4 ? "not an IPv4 socket (-4)" : "not an IPv6 socket (-6)";
	return NULL;
}

/*
 * Above 2, as 0 and 1 of a listener become /dev/null. Non-blocking, so that who else accepts from the same
 * socket cannot make this process wait for a connection that is gone.
 */
static int take_inherited(const struct net_listen *what, struct net_address *bound, const char **why)
{
	int given = scan_descriptor(what->host + 3), flags, own;

	*why = what->interface ? "an inherited socket is bound already (-I)"
						   : fault_of_inherited(given, what->family, bound);
	if (*why)
		return -1;
	own = fcntl(given, F_DUPFD_CLOEXEC, 3);
	flags = own < 0 ? -1 : fcntl(own, F_GETFL);
	if (flags < 0 || fcntl(own, F_SETFL, flags | O_NONBLOCK) < 0) {
		*why = strerror(errno);
		if (own >= 0)
			close(own);
		return -1;
	}
	if (!net_options_before_bind(own, why)) {
		close(own);
		return -1;
	}
	if (given > 2)
		close(given);
	return own;
}

/* ---- a new socket ---- */

int net_listen(const struct net_listen *what, struct net_address *bound, const char **doing, const char **why)
{
	const int on = 1;
	struct target target;
	struct sockaddr_storage name;
	socklen_t n;
	int descriptor;

	*doing = "listen on descriptor";
	if (net_is_inherited(what->host))
		return take_inherited(what, bound, why);
	*doing = "look up";
	if (!choose_target(what, &target, why))
		return -1;
	*bound = target.address;
	n = net_to_sockaddr(&target.address, &name);
	descriptor =
		socket(target.address.is_v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (descriptor < 0)
		return failed(-1, "make a socket for", doing, why);
	if (setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0)
		return failed(descriptor, "set SO_REUSEADDR for", doing, why);
	if (!net_options_before_bind(descriptor, why)) {
		*doing = "set SOCKOPT for";
		close(descriptor);
		return -1;
	}
	if (target.address.is_v6) {
		/* Said in any case: the default is a setting of the system. */
		const int v6_only = !target.both_families;

		if (setsockopt(descriptor, IPPROTO_IPV6, IPV6_V6ONLY, &v6_only, sizeof v6_only) < 0)
			return failed(descriptor, "set IPV6_V6ONLY for", doing, why);
	}
	if (bind(descriptor, (struct sockaddr *)&name, n) < 0)
		return failed(descriptor, "bind to", doing, why);
	if (listen(descriptor, what->backlog) < 0)
		return failed(descriptor, "listen on", doing, why);
	if (!net_local(descriptor, bound))
		return failed(descriptor, "read the address of", doing, why);
	return descriptor;
}

int net_listen_or_die(
	const char *program, const struct net_listen *what, const char *port, struct net_address *bound)
{
	struct net_listen with_port = *what;
	const char *doing, *why;
	char ip[NET_IP_TEXT], where[NET_IP_TEXT + 32];
	int descriptor;

	net_options_or_die(program);
	if (!net_is_inherited(what->host))
		net_scan_port_or_die(program, port, &with_port.port);
	descriptor = net_listen(&with_port, bound, &doing, &why);
	if (descriptor >= 0 && unsetenv(net_options_variable) == 0)
		return descriptor;
	if (net_is_inherited(what->host))
		net_die(program, 111, doing, what->host + 3, why);
	if (strcmp(doing, "look up") == 0)
		net_die(program, 111, doing, what->host, why);
	(void)snprintf(where, sizeof where, "%s port %u", net_format_ip(bound, ip), (unsigned)with_port.port);
	net_die(program, 111, doing, where, why);
}

bool net_print_port(const struct net_address *bound)
{
	char text[NET_PORT_TEXT + 1];
	int n = snprintf(text, sizeof text, "%u\n", (unsigned)bound->port);
	ssize_t written;

	do
		written = write(1, text, (size_t)n);
	while (written < 0 && errno == EINTR);
	return written == n;
}
