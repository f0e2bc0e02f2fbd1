/*
 * Names through c-ares: addresses of a name, the name of an address, /etc/hosts included. The loop that waits
 * is not here but with those who ask, as they know the deadline.
 */
#include <ares.h>
#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include "internal.h"

/* One less than c-ares has room for: its macro for the last one shifts into the sign. */
_Static_assert(NET_NAMES_POLLED == ARES_GETSOCK_MAXNUM - 1, "as many sockets as c-ares tells of");

/* DNSCACHEIP: addresses with blanks (ucspi-tcp) or commas between them, each with or without a port. */
static bool choose_servers(ares_channel channel)
{
	const char *given = getenv("DNSCACHEIP");
	char list[1024];
	size_t n;

	if (!given || !*given)
		return true;
	n = strlen(given);
	if (n >= sizeof list)
		return false;
	memcpy(list, given, n + 1);
	for (char *at = list; *at; at++)
		if (*at == ' ' || *at == '\t')
			*at = ',';
	return ares_set_servers_ports_csv(channel, list) == ARES_SUCCESS;
}

bool net_names_open(struct net_names *names, enum net_names_source source, const char **why)
{
	char files_then_dns[] = "fb", files[] = "f";
	/* Without domains of our own c-ares takes those of /etc/resolv.conf, and LOCALDOMAIN. */
	struct ares_options options = { .lookups = source == NET_NAMES_HOSTS_FILE ? files : files_then_dns,
		.flags = ARES_FLAG_NOSEARCH | ARES_FLAG_NOALIASES };
	int mask = ARES_OPT_LOOKUPS | (source == NET_NAMES_SEARCH ? 0 : ARES_OPT_FLAGS | ARES_OPT_DOMAINS);
	int status;

	names->channel = NULL;
	status = ares_library_init(ARES_LIB_INIT_ALL);
	if (status == ARES_SUCCESS)
		status = ares_init_options(&names->channel, &options, mask);
	if (status != ARES_SUCCESS) {
		*why = ares_strerror(status);
		return false;
	}
	if (!choose_servers(names->channel)) {
		net_names_close(names);
		*why = "DNSCACHEIP is not a list of IP addresses";
		return false;
	}
	return true;
}

void net_names_close(struct net_names *names)
{
	ares_destroy(names->channel);
	names->channel = NULL;
}

static void take_addresses(void *context, int status, int timeouts, struct ares_addrinfo *found)
{
	struct net_forward *forward = context;

	(void)timeouts;
	forward->done = true;
	forward->why = status == ARES_SUCCESS ? "host has no address" : ares_strerror(status);
	if (!found)
		return;
	for (const struct ares_addrinfo_node *node = found->nodes; node; node = node->ai_next) {
		if (forward->n == forward->max)
			break;
		if (net_from_sockaddr(node->ai_addr, &forward->list[forward->n]))
			forward->list[forward->n++].port = 0;
	}
	ares_freeaddrinfo(found);
}

void net_names_forward(
	const struct net_names *names, const char *host, enum net_family family, struct net_forward *forward)
{
	struct ares_addrinfo_hints hints = { .ai_socktype = SOCK_STREAM };

	forward->done = false;
	forward->n = 0;
	forward->why = "no answer from DNS in time";
	hints.ai_family = family == NET_V4 ? AF_INET : family == NET_V6 ? AF_INET6 : AF_UNSPEC;
	ares_getaddrinfo(names->channel, host, NULL, &hints, take_addresses, forward);
}

static void take_name(void *context, int status, int timeouts, struct hostent *found)
{
	struct net_reverse *reverse = context;

	(void)timeouts;
	reverse->done = true;
	if (status == ARES_SUCCESS && found && found->h_name)
		(void)net_clean_host(found->h_name, reverse->host);
}

void net_names_reverse(
	const struct net_names *names, const struct net_address *address, struct net_reverse *reverse)
{
	reverse->done = false;
	reverse->host[0] = '\0';
	ares_gethostbyaddr(names->channel, address->ip, address->is_v6 ? 16 : 4,
		address->is_v6 ? AF_INET6 : AF_INET, take_name, reverse);
}

nfds_t net_names_watch(const struct net_names *names, struct pollfd polled[NET_NAMES_POLLED], int *wait_ms)
{
	ares_socket_t sockets[NET_NAMES_POLLED];
	int wanted = ares_getsock(names->channel, sockets, NET_NAMES_POLLED);
	struct timeval most = { .tv_sec = *wait_ms / 1000, .tv_usec = *wait_ms % 1000 * 1000 };
	const struct timeval *next = ares_timeout(names->channel, &most, &most);
	nfds_t n = 0;

	for (int i = 0; i < NET_NAMES_POLLED; i++) {
		bool reads = ARES_GETSOCK_READABLE(wanted, i), writes = ARES_GETSOCK_WRITABLE(wanted, i);

		if (reads || writes)
			polled[n++] = (struct pollfd){ .fd = sockets[i],
				.events = (short)((reads ? POLLIN : 0) | (writes ? POLLOUT : 0)) };
	}
	/* Never earlier than its time, or it would do nothing and be asked again. */
	*wait_ms = (int)(next->tv_sec * 1000 + next->tv_usec / 1000 + 1);
	return n;
}

void net_names_work(const struct net_names *names, const struct pollfd *polled, nfds_t n)
{
	for (nfds_t i = 0; i < n; i++)
		ares_process_fd(names->channel,
			polled[i].revents & (POLLIN | POLLERR | POLLHUP | POLLNVAL) ? polled[i].fd : ARES_SOCKET_BAD,
			polled[i].revents & (POLLOUT | POLLERR) ? polled[i].fd : ARES_SOCKET_BAD);
	ares_process_fd(names->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD); /* time has passed, too */
}
