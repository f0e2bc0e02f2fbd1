/*
 * Options of sockets by name, for sockopt, and for whoever makes a socket that needs some of them before it
 * is bound (SOCKOPT). What a system has no option for is not known there.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include "internal.h"

enum option_value { VALUE_FLAG, VALUE_NUMBER, VALUE_LINGER, VALUE_DEVICE };

struct socket_option {
	const char *name;
	enum option_value value;
	long maximum; /* of a number */
	int level, option;
	int v6_level, v6_option; /* of IPv6 sockets, where they are others; else 0 */
};

enum { BYTES_MAX = 1 << 30, SECONDS_MAX = 32767, DEVICE_MAX = 15 };

static const struct socket_option socket_options[] = {
	{ "keepalive", VALUE_FLAG, 1, SOL_SOCKET, SO_KEEPALIVE, 0, 0 },
	{ "linger", VALUE_LINGER, SECONDS_MAX, SOL_SOCKET, SO_LINGER, 0, 0 },
	{ "oobinline", VALUE_FLAG, 1, SOL_SOCKET, SO_OOBINLINE, 0, 0 },
	{ "rcvbuf", VALUE_NUMBER, BYTES_MAX, SOL_SOCKET, SO_RCVBUF, 0, 0 },
	{ "sndbuf", VALUE_NUMBER, BYTES_MAX, SOL_SOCKET, SO_SNDBUF, 0, 0 },
	{ "reuseport", VALUE_FLAG, 1, SOL_SOCKET, SO_REUSEPORT, 0, 0 },
	{ "nodelay", VALUE_FLAG, 1, IPPROTO_TCP, TCP_NODELAY, 0, 0 },
	{ "tos", VALUE_NUMBER, 255, IPPROTO_IP, IP_TOS, IPPROTO_IPV6, IPV6_TCLASS },
#ifdef TCP_KEEPIDLE
	{ "keepidle", VALUE_NUMBER, SECONDS_MAX, IPPROTO_TCP, TCP_KEEPIDLE, 0, 0 },
	{ "keepintvl", VALUE_NUMBER, SECONDS_MAX, IPPROTO_TCP, TCP_KEEPINTVL, 0, 0 },
	{ "keepcnt", VALUE_NUMBER, 127, IPPROTO_TCP, TCP_KEEPCNT, 0, 0 },
#endif
#ifdef TCP_USER_TIMEOUT
	{ "usertimeout", VALUE_NUMBER, 86400000, IPPROTO_TCP, TCP_USER_TIMEOUT, 0, 0 },
#endif
#ifdef SO_BINDTODEVICE
	{ "bindtodevice", VALUE_DEVICE, 0, SOL_SOCKET, SO_BINDTODEVICE, 0, 0 },
#endif
#ifdef SO_MARK
	{ "mark", VALUE_NUMBER, INT32_MAX, SOL_SOCKET, SO_MARK, 0, 0 },
#endif
#ifdef IP_TRANSPARENT
	{ "transparent", VALUE_FLAG, 1, IPPROTO_IP, IP_TRANSPARENT, IPPROTO_IPV6, IPV6_TRANSPARENT },
#endif
#ifdef IP_FREEBIND
	{ "freebind", VALUE_FLAG, 1, IPPROTO_IP, IP_FREEBIND, IPPROTO_IPV6, IPV6_FREEBIND },
#endif
};

/* One place for the words, as one problem ends the program. */
static char words[200];

static bool complain(const char **why, const char *setting, const char *reason)
{
	(void)snprintf(words, sizeof words, "%.60s: %s", setting, reason);
	*why = words;
	return false;
}

static const struct socket_option *find(const char *name)
{
	for (size_t i = 0; i < sizeof socket_options / sizeof *socket_options; i++)
		if (strcmp(socket_options[i].name, name) == 0)
			return &socket_options[i];
	return NULL;
}

static bool scan_number(const char *text, long maximum, int *number)
{
	long value = 0;

	if (!*text)
		return false;
	for (; *text >= '0' && *text <= '9'; text++) {
		value = value * 10 + (*text - '0');
		if (value > maximum)
			return false;
	}
	*number = (int)value;
	return !*text;
}

struct prepared {
	union {
		int number;
		struct linger linger;
		char device[DEVICE_MAX + 1];
	} as;
	socklen_t n;
};

static bool prepare(const struct socket_option *option, const char *value, struct prepared *prepared)
{
	memset(prepared, 0, sizeof *prepared);
	prepared->n = sizeof prepared->as.number;
	if (option->value == VALUE_DEVICE) {
		size_t length = value ? strlen(value) : 0;

		if (!length || length > DEVICE_MAX)
			return false;
		memcpy(prepared->as.device, value, length + 1);
		prepared->n = (socklen_t)length + 1;
		return true;
	}
	if (option->value == VALUE_LINGER) {
		prepared->n = sizeof prepared->as.linger;
		if (value && strcmp(value, "off") == 0)
			return true;
		prepared->as.linger.l_onoff = 1;
		return value && scan_number(value, option->maximum, &prepared->as.linger.l_linger);
	}
	if (!value && option->value == VALUE_FLAG)
		value = "1";
	return value && scan_number(value, option->maximum, &prepared->as.number);
}

static bool set(int socket, const struct socket_option *option, const struct prepared *prepared)
{
	struct sockaddr_storage local;
	socklen_t n = sizeof local;
	bool v6 = option->v6_level && getsockname(socket, (struct sockaddr *)&local, &n) == 0 &&
			  local.ss_family == AF_INET6;

	return setsockopt(socket, v6 ? option->v6_level : option->level, v6 ? option->v6_option : option->option,
			   &prepared->as, prepared->n) == 0;
}

/* One setting; a socket of -1 is none: it is only looked at. */
static bool set_one(int socket, char *setting, const char **why)
{
	char *value = strchr(setting, '=');
	const struct socket_option *option;
	struct prepared prepared;

	if (value)
		*value++ = '\0';
	option = find(setting);
	if (!option)
		return complain(why, setting, "there is no option of that name");
	if (!prepare(option, value, &prepared)) {
		static char reason[80];

		if (option->value == VALUE_DEVICE)
			return complain(why, setting, "needs the name of an interface");
		(void)snprintf(reason, sizeof reason, "needs %sa number up to %ld",
			option->value == VALUE_LINGER ? "off or " : "", option->maximum);
		return complain(why, setting, reason);
	}
	return socket < 0 || set(socket, option, &prepared) || complain(why, setting, strerror(errno));
}

bool net_set_options(int socket, const char *settings, const char **why)
{
	char copy[1000], *at = copy;
	size_t n = strlen(settings);

	if (n >= sizeof copy)
		return complain(why, "the settings", "too long");
	memcpy(copy, settings, n + 1);
	for (;;) {
		char *end = strchr(at, ',');

		if (end)
			*end = '\0';
		if (!set_one(socket, at, why))
			return false;
		if (!end)
			return true;
		at = end + 1;
	}
}

bool net_check_options(const char *settings, const char **why)
{
	return net_set_options(-1, settings, why);
}

const char net_options_variable[] = "SOCKOPT";

bool net_options_before_bind(int socket, const char **why)
{
	const char *settings = getenv(net_options_variable);

	return !settings || !*settings || net_set_options(socket, settings, why);
}

void net_options_or_die(const char *program)
{
	const char *settings = getenv(net_options_variable), *why;

	if (settings && *settings && !net_check_options(settings, &why))
		net_die(program, 96, "use", net_options_variable, why);
}
