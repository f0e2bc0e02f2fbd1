/*
 * Connecting as a client: each address in turn with a deadline, once more those that timed out, and the words
 * for what failed.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "internal.h"

enum { TIMEOUT_MAX_S = 86400 };

static bool is_unset(const struct net_address *address)
{
	static const unsigned char zeros[16];

	return memcmp(address->ip, zeros, sizeof zeros) == 0;
}

/* Binds to -i and -p; a port without an address goes with targets of both families. */
static bool bind_source(int descriptor, const struct net_address *source, bool is_v6)
{
	const int on = 1;
	struct net_address from = *source;
	struct sockaddr_storage name;
	socklen_t n;

	if (from.is_v6 != is_v6) {
		if (!is_unset(&from)) {
			errno = EAFNOSUPPORT;
			return false;
		}
		from.is_v6 = is_v6;
	}
	n = net_to_sockaddr(&from, &name);
	return setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0 &&
		   bind(descriptor, (struct sockaddr *)&name, n) == 0;
}

/* Waits until a connect that was begun has ended one way or the other; its errno, 0 if connected. */
static int finish_connecting(int descriptor, int64_t deadline)
{
	struct pollfd polled = { .fd = descriptor, .events = POLLOUT };
	int error = 0;
	socklen_t n = sizeof error;

	for (;;) {
		int64_t left = deadline - net_now();
		int ready;

		if (left <= 0)
			return ETIMEDOUT;
		ready = poll(&polled, 1, (int)left);
		if (ready < 0 && errno != EINTR)
			return errno;
		if (ready > 0)
			break;
	}
	return getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &error, &n) < 0 ? errno : error;
}

/* A connected blocking socket, or -1 with errno. */
static int try_target(const struct net_address *target, const struct net_address *source, unsigned seconds)
{
	struct sockaddr_storage name;
	socklen_t n = net_to_sockaddr(target, &name);
	int descriptor =
		socket(target->is_v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int error = 0;
	const char *why;

	if (descriptor < 0)
		return -1;
	if (!net_options_before_bind(descriptor, &why))
		error = errno;
	else if (source && !bind_source(descriptor, source, target->is_v6))
		error = errno;
	else if (connect(descriptor, (struct sockaddr *)&name, n) < 0)
		error = errno == EINPROGRESS || errno == EINTR
					? finish_connecting(descriptor, net_now() + (int64_t)seconds * 1000)
					: errno;
	if (!error && fcntl(descriptor, F_SETFL, fcntl(descriptor, F_GETFL) & ~O_NONBLOCK) < 0)
		error = errno;
	if (!error)
		return descriptor;
	close(descriptor);
	errno = error;
	return -1;
}

int net_connect(const struct net_connect *what, size_t *which, int *failed)
{
	/* With one target the second round would only begin anew what the first had begun. */
	bool one_round = what->n == 1;

	for (int round = 0; round < (one_round ? 1 : 2); round++) {
		unsigned seconds = one_round    ? what->first_s + what->more_s
						   : round == 0 ? what->first_s
										: what->more_s;

		if (seconds == 0)
			break;
		for (size_t i = 0; i < what->n; i++) {
			int descriptor;

			if (round == 1 && failed[i] != ETIMEDOUT)
				continue;
			descriptor = try_target(&what->targets[i], what->source, seconds);
			if (descriptor >= 0) {
				*which = i;
				return descriptor;
			}
			failed[i] = errno;
		}
	}
	return -1;
}

static bool scan_seconds(const char **text, unsigned *seconds)
{
	const char *at = *text;

	*seconds = 0;
	while (*at >= '0' && *at <= '9') {
		*seconds = *seconds * 10 + (unsigned)(*at++ - '0');
		if (*seconds > TIMEOUT_MAX_S)
			return false;
	}
	if (at == *text)
		return false;
	*text = at;
	return true;
}

static bool scan_timeouts(const char *text, unsigned *first_s, unsigned *more_s)
{
	*more_s = 0;
	if (!scan_seconds(&text, first_s) || *first_s == 0)
		return false;
	if (*text == '+') {
		text++;
		if (!scan_seconds(&text, more_s))
			return false;
	}
	return !*text;
}

bool net_read_client(const char *timeouts, const char *local_ip, unsigned local_port, struct net_connect *how,
	struct net_address *source, const char **problem)
{
	memset(how, 0, sizeof *how);
	memset(source, 0, sizeof *source);
	if (!scan_timeouts(timeouts, &how->first_s, &how->more_s)) {
		*problem = "option -T needs seconds as x+y, with x from 1 and both to 86400";
		return false;
	}
	if (local_ip && !net_scan_ip(local_ip, source)) {
		*problem = "option -i needs an IP address";
		return false;
	}
	source->port = (uint16_t)local_port;
	if (local_ip || local_port)
		how->source = source;
	return true;
}

/*
 * Takes the families in turn, beginning with that of the first address, each in the order of the resolver
 * (RFC 8305 4): one family that leads nowhere then costs no more than every other try.
 */
static void interleave(struct net_address *targets, size_t n)
{
	for (size_t i = 1; i < n; i++) {
		struct net_address next;
		size_t from = i;

		while (from < n && targets[from].is_v6 == targets[i - 1].is_v6)
			from++;
		if (from == n)
			return;
		next = targets[from];
		memmove(&targets[i + 1], &targets[i], (from - i) * sizeof *targets);
		targets[i] = next;
	}
}

/* The addresses of one host operand. */
struct addresses {
	struct net_address list[NET_ADDRESSES_MAX];
	int failed[NET_ADDRESSES_MAX]; /* errno, 0: not tried */
	size_t n;
};

static bool find_addresses(
	const char *host, uint16_t port, enum net_family family, struct addresses *found, const char **why)
{
	found->n = net_resolve(host, family, found->list, NET_ADDRESSES_MAX, net_now() + NET_RESOLVE_MS, why);
	interleave(found->list, found->n);
	for (size_t i = 0; i < found->n; i++) {
		found->list[i].port = port;
		found->failed[i] = 0;
	}
	return found->n > 0;
}

static void log_failures(const char *program, const struct addresses *a)
{
	char ip[NET_IP_TEXT], number[NET_NUMBER_TEXT];

	for (size_t i = 0; i < a->n; i++)
		net_log(program, ": unable to connect to ", net_format_ip(&a->list[i], ip), " port ",
			net_format_number(a->list[i].port, number), ": ", strerror(a->failed[i]), NULL);
}

/* What SOCKOPT asks for and cannot be had is said once and by name, not as a target that does not answer. */
static void try_options(const char *program, bool is_v6)
{
	const char *why;
	int descriptor = socket(is_v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (descriptor < 0)
		return; /* the targets will have that, too */
	if (!net_options_before_bind(descriptor, &why))
		net_die(program, 111, "set", net_options_variable, why);
	close(descriptor);
}

static int connect_to_one(const char *program, const struct net_target *target, enum net_family family,
	const struct net_connect *how, bool log_errors)
{
	struct addresses found;
	struct net_connect what = *how;
	const char *why = NULL;
	uint16_t port;
	size_t which;
	int descriptor;

	net_scan_port_or_die(program, target->port, &port);
	if (!find_addresses(target->host, port, family, &found, &why)) {
		if (log_errors)
			net_die(program, 111, "look up", target->host, why);
		_exit(111);
	}
	try_options(program, found.list[0].is_v6);
	what.targets = found.list;
	what.n = found.n;
	descriptor = net_connect(&what, &which, found.failed);
	if (descriptor < 0) {
		if (log_errors)
			log_failures(program, &found);
		_exit(111);
	}
	return descriptor;
}

/* Tries the addresses that have not failed yet, or those that timed out, each for so many seconds. */
static int try_addresses(
	struct addresses *a, const struct net_connect *how, unsigned seconds, int failed_before)
{
	for (size_t i = 0; seconds && i < a->n; i++) {
		struct net_connect what = { &a->list[i], 1, how->source, seconds, 0 };
		size_t which;
		int descriptor = a->failed[i] == failed_before ? net_connect(&what, &which, &a->failed[i]) : -1;

		if (descriptor >= 0)
			return descriptor;
	}
	return -1;
}

static int connect_to_any(const char *program, const struct net_target *targets, size_t n,
	enum net_family family, const struct net_connect *how, bool log_errors, size_t *which)
{
	static struct addresses found[NET_TARGETS_MAX];
	uint16_t ports[NET_TARGETS_MAX];
	const char *why = NULL;
	int descriptor;

	*which = 0;
	if (n == 1)
		return connect_to_one(program, targets, family, how, log_errors);
	for (size_t i = 0; i < n; i++)
		net_scan_port_or_die(program, targets[i].port, &ports[i]);
	for (*which = 0; *which < n; ++*which) {
		struct addresses *a = &found[*which];

		if (!find_addresses(targets[*which].host, ports[*which], family, a, &why)) {
			if (log_errors)
				net_log(program, ": unable to look up ", targets[*which].host, ": ", why, NULL);
			continue;
		}
		try_options(program, a->list[0].is_v6);
		descriptor = try_addresses(a, how, how->first_s, 0);
		if (descriptor >= 0)
			return descriptor;
		if (log_errors)
			log_failures(program, a);
	}
	for (*which = 0; *which < n; ++*which) {
		descriptor = try_addresses(&found[*which], how, how->more_s, ETIMEDOUT);
		if (descriptor >= 0)
			return descriptor;
	}
	if (log_errors)
		net_log(program, ": fatal: no target answers", NULL);
	_exit(111);
}

int net_connect_or_die(const char *program, const struct net_target *targets, size_t n,
	enum net_family family, const struct net_connect *how, bool log_errors, size_t *which)
{
	int descriptor;

	net_options_or_die(program);
	descriptor = connect_to_any(program, targets, n, family, how, log_errors, which);
	if (unsetenv(net_options_variable) < 0)
		net_die(program, 111, "change the environment", NULL, strerror(errno));
	return descriptor;
}
