/*
 * Host operands to addresses: literals and localhost need nobody; names are rewritten, then looked up with a
 * deadline that holds for all of it.
 */
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>
#include "internal.h"

static bool fits(const struct net_address *address, enum net_family family)
{
	return family == NET_ANY_FAMILY || (family == NET_V6) == address->is_v6;
}

static bool is_localhost(const char *host)
{
	size_t n = strlen(host);

	if (n && host[n - 1] == '.')
		n--;
	if (n < 9 || strncasecmp(host + n - 9, "localhost", 9) != 0)
		return false;
	return n == 9 || host[n - 10] == '.';
}

static size_t take_loopback(enum net_family family, struct net_address *list, size_t max)
{
	static const char *const literals[] = { "127.0.0.1", "::1" };
	size_t n = 0;

	for (size_t i = 0; i < 2 && n < max; i++)
		if (net_scan_ip(literals[i], &list[n]) && fits(&list[n], family))
			n++;
	return n;
}

/* True for a host that nobody has to be asked for; *n addresses then, *why if none. */
static bool take_known(const char *host, enum net_family family, struct net_address *list, size_t max,
	size_t *n, const char **why)
{
	if (net_scan_ip(host, &list[0])) {
		*n = fits(&list[0], family);
		*why = family == NET_V4 ? "not an IPv4 address (-4)" : "not an IPv6 address (-6)";
		return true;
	}
	*n = is_localhost(host) ? take_loopback(family, list, max) : 0;
	return *n > 0;
}

static size_t ask(const char *host, enum net_names_source source, enum net_family family,
	struct net_address *list, size_t max, int64_t deadline, const char **why)
{
	struct net_forward forward = { .list = list, .max = max };
	struct net_names names;
	int64_t left;

	if (!net_names_open(&names, source, why))
		return 0;
	net_names_forward(&names, host, family, &forward);
	while (!forward.done && (left = deadline - net_now()) > 0) {
		struct pollfd polled[NET_NAMES_POLLED];
		int wait_ms = (int)left;
		nfds_t n = net_names_watch(&names, polled, &wait_ms);

		/* An interrupted or failed poll is a poll that found nothing: the deadline ends this loop. */
		if (poll(polled, n, wait_ms) <= 0)
			n = 0;
		net_names_work(&names, polled, n);
	}
	*why = forward.why;
	net_names_close(&names);
	return forward.n;
}

/*
 * A name as typed, in the hosts file only; then with each domain of LOCALDOMAIN. Those of /etc/resolv.conf
 * are for names that no setting of ours is about.
 */
static size_t look_up(char name[NET_REWRITTEN_TEXT], bool rewritten, enum net_family family,
	struct net_address *list, size_t max, int64_t deadline, const char **why)
{
	char candidate[NET_HOST_TEXT], typed[NET_HOST_TEXT];
	enum net_names_source source = rewritten ? NET_NAMES_EXACT : NET_NAMES_SEARCH;
	bool alone = net_candidate(name, 0, typed) && !strchr(name, '+');
	size_t n = 0;

	if (!net_add_domains(name)) {
		*why = "name with LOCALDOMAIN is too long";
		return 0;
	}
	if (strchr(name, '+')) {
		source = NET_NAMES_EXACT;
		if (alone)
			n = ask(typed, NET_NAMES_HOSTS_FILE, family, list, max, deadline, why);
	}
	*why = "not a host name";
	for (size_t i = 0; n == 0 && net_candidate(name, i, candidate); i++)
		if (!take_known(candidate, family, list, max, &n, why))
			n = ask(candidate, source, family, list, max, deadline, why);
	return n;
}

size_t net_resolve(const char *host, enum net_family family, struct net_address *list, size_t max,
	int64_t deadline, const char **why)
{
	char name[NET_REWRITTEN_TEXT];
	size_t n = 0;

	if (max == 0) {
		*why = "no room for addresses";
		return 0;
	}
	if (!*host || strcmp(host, "0") == 0)
		host = family == NET_V6 ? "::1" : "127.0.0.1";
	if (take_known(host, family, list, max, &n, why))
		return n;
	if (strlen(host) >= sizeof name) {
		*why = "not a host name";
		return 0;
	}
	memcpy(name, host, strlen(host) + 1);
	if (!net_rewrite_by_file(name, why))
		return 0;
	return look_up(name, strcmp(name, host) != 0, family, list, max, deadline, why);
}
