/*
 * Application protocols (ALPN, RFC 7301): which ones TLS_ALPN names, and whether a client wants any of them.
 */
#include <string.h>
#include "relay/configuration.h"

static bool visible(const char *name, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (name[i] <= ' ' || name[i] > '~')
			return false;
	return true;
}

/* Names with commas or blanks between them, each a printable word such as h2 or http/1.1. */
bool protocols_load(struct relay_configuration *c, struct relay_problem *problem)
{
	static char names[ENGINE_ALPN_MAX * 256];
	static const char between[] = ", ";
	const char *at = setting("TLS_ALPN", "");
	size_t used = 0;

	for (at += strspn(at, between); *at; at += strspn(at, between)) {
		size_t n = strcspn(at, between);

		if (n > 255 || !visible(at, n))
			return configuration_refuse(problem, "TLS_ALPN: %.*s: not the name of a protocol",
				(int)(n < 300 ? n : 300), at);
		if (c->n_alpn == ENGINE_ALPN_MAX)
			return configuration_refuse(problem, "TLS_ALPN: more than %d protocols", ENGINE_ALPN_MAX);
		memcpy(names + used, at, n);
		names[used + n] = 0;
		c->alpn[c->n_alpn++] = names + used;
		used += n + 1;
		at += n;
	}
	return true;
}

static bool offers(struct bytes list, const char *name)
{
	size_t length = strlen(name);

	for (size_t at = 0; at < list.n; at += 1u + list.at[at]) /* well-formed: hello.c has seen to that */
		if (list.at[at] == length && !memcmp(list.at + at + 1, name, length))
			return true;
	return false;
}

bool relay_agree_protocol(const struct relay_configuration *c, struct hello *hello)
{
	if (!c->n_alpn || !hello->alpn.n)
		return true;
	for (size_t i = 0; i < c->n_alpn; i++)
		if (offers(hello->alpn, c->alpn[i]))
			return true;
	hello->alert = ALERT_NO_APPLICATION_PROTOCOL;
	hello->words = "no application protocol in common";
	return false;
}
