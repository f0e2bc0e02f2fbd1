/*
 * The address of a rule, as people write it, and its key. Whatever ucspi-tcp takes and can ever find is taken
 * and has the same key; what no connection could ever match is an error. Other spellings of an address have
 * the key of the usual one.
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include "internal.h"

static const char impossible[] = "impossible IP address";
static const char bad_bits[] = "impossible prefix length";
static const char bad_range[] = "a range needs numbers";

/* ---- IPv4 patterns: 1.2.3.4, 1.2., 1.2-3., 1.2.3.4-5 ---- */

/* A decimal number, nothing being 0; whatever is too large for an address stays too large. False: another
 * character. */
static bool scan_number(const char *text, size_t n, unsigned *number)
{
	*number = 0;
	for (size_t i = 0; i < n; i++) {
		if (text[i] < '0' || text[i] > '9')
			return false;
		if (*number < 1000)
			*number = *number * 10 + (unsigned)(text[i] - '0');
	}
	return true;
}

/* One of the four parts, which may be a range; the upper end of one is at most 255, as in ucspi-tcp. */
static const char *read_part(const char *text, size_t n, unsigned *low, unsigned *high)
{
	const char *dash = memchr(text, '-', n);

	if (!dash) {
		if (n < 1 || n > 3 || !scan_number(text, n, low) || *low > 255)
			return impossible;
		*high = *low;
		return NULL;
	}
	size_t left = (size_t)(dash - text);
	if (!scan_number(text, left, low) || !scan_number(dash + 1, n - left - 1, high))
		return bad_range;
	if (*high > 255)
		*high = 255;
	return *low > *high ? "range that yields no address" : NULL;
}

/* One to four parts, with or without a dot at the end. */
static const char *read_parts(struct rule *rule, const char *text, size_t n)
{
	bool ranged = false;

	rule->parts = 0;
	rule->dotted = false;
	while (n > 0) {
		const char *dot = memchr(text, '.', n);
		size_t length = dot ? (size_t)(dot - text) : n;

		if (rule->parts == 4)
			return impossible;
		unsigned *low = &rule->low[rule->parts], *high = &rule->high[rule->parts];
		const char *wrong = read_part(text, length, low, high);
		if (wrong)
			return wrong;
		if (memchr(text, '-', length)) {
			if (ranged)
				return "more than one range";
			ranged = true;
		}
		rule->parts++;
		rule->dotted = dot != NULL;
		length += dot != NULL;
		text += length;
		n -= length;
	}
	return NULL;
}

static const char *read_pattern(struct rule *rule, const char *text, size_t n)
{
	const char *wrong = read_parts(rule, text, n);

	if (wrong)
		return wrong;
	if (rule->parts < 4 && !rule->dotted)
		return "part of an IP address, without a dot at its end";
	return rule->parts == 4 && rule->dotted ? impossible : NULL;
}

bool rules_pattern_key(struct rule *rule)
{
	rule->key.len = 0;
	for (unsigned i = 0; i < rule->parts; i++) {
		char part[16];
		bool last = i + 1 == rule->parts;

		(void)snprintf(part, sizeof part, "%u%s", rule->low[i], !last || rule->dotted ? "." : "");
		if (!stralloc_cats(&rule->key, part))
			return false;
	}
	return true;
}

/* ---- whole addresses ---- */

/* IPv6, or IPv4 in full, either of them also in brackets. */
static const char *read_ip(const char *text, size_t n, struct net_address *address)
{
	struct rule pattern;
	char copy[64];

	memset(address, 0, sizeof *address);
	if (n >= 2 && text[0] == '[' && text[n - 1] == ']') {
		text++;
		n -= 2;
	}
	if (!memchr(text, ':', n)) {
		if (memchr(text, '-', n) || read_pattern(&pattern, text, n) || pattern.parts != 4)
			return impossible;
		for (size_t i = 0; i < 4; i++)
			address->ip[i] = (unsigned char)pattern.low[i];
		return NULL;
	}
	if (memchr(text, '%', n))
		return "an address of a rule has no zone";
	if (n >= sizeof copy)
		return impossible;
	memcpy(copy, text, n);
	copy[n] = '\0';
	address->is_v6 = true;
	return inet_pton(AF_INET6, copy, address->ip) == 1 ? NULL : "impossible IPv6 address";
}

static const char *put_ip(struct rule *rule, const char *text, size_t n)
{
	struct net_address address;
	char key[IP_KEY_MAX];
	const char *wrong = read_ip(text, n, &address);

	if (wrong)
		return wrong;
	address = rules_unmapped(&address);
	rules_ip_key(&address, key);
	return stralloc_cats(&rule->key, key) ? NULL : rules_no_memory;
}

/* ---- address/bits ---- */

/* Of an IPv4 network the end may be left out, as far as the bits do not reach into it: 127./8, 10/8. */
static const char *read_network(const char *text, size_t n, unsigned bits, struct net_address *address)
{
	struct rule pattern;
	const char *wrong;

	if (n > 0 && (text[0] == '[' || memchr(text, ':', n)))
		return read_ip(text, n, address);
	if (memchr(text, '-', n))
		return "a range has no prefix length";
	wrong = read_parts(&pattern, text, n);
	if (wrong)
		return wrong;
	if (pattern.parts == 0 || (pattern.parts == 4 && pattern.dotted))
		return impossible;
	if (bits > 8 * pattern.parts)
		return bits > 32 ? bad_bits : "prefix that is longer than the IP address";
	memset(address, 0, sizeof *address);
	for (unsigned i = 0; i < pattern.parts; i++)
		address->ip[i] = (unsigned char)pattern.low[i];
	return NULL;
}

static const char *put_prefix(struct rule *rule, const char *text, size_t n, const char *slash)
{
	struct net_address address, plain;
	char key[PREFIX_KEY_MAX];
	size_t length = (size_t)(slash - text), digits = n - length - 1;
	unsigned bits;
	const char *wrong;

	if (digits < 1 || digits > 3 || !scan_number(slash + 1, digits, &bits))
		return bad_bits;
	wrong = read_network(text, length, bits, &address);
	if (wrong)
		return wrong;
	if (bits > (address.is_v6 ? 128 : 32))
		return bad_bits;
	plain = rules_unmapped(&address);
	if (address.is_v6 && !plain.is_v6 && bits >= 96) {
		address = plain;
		bits -= 96;
	}
	rule->is_prefix = true;
	return stralloc_catb(&rule->key, key, rules_prefix_key(&address, bits, key)) ? NULL : rules_no_memory;
}

/* ---- all of them ---- */

/* info@=host: taken as it stands. */
static bool names_host(const char *text, size_t n)
{
	for (size_t i = 0; i + 1 < n; i++)
		if (text[i] == '@' && text[i + 1] == '=')
			return true;
	return false;
}

/* info@address: the info is taken as it stands, and may have an @ of its own. */
static const char *put_info(struct rule *rule, const char *text, size_t n)
{
	size_t length = n;

	while (text[length - 1] != '@')
		length--;
	if (!stralloc_catb(&rule->key, text, length))
		return rules_no_memory;
	return put_ip(rule, text + length, n - length);
}

const char *rules_read_address(struct rule *rule, const char *text, size_t n)
{
	const char *slash;

	rule->key.len = 0;
	rule->parts = 0;
	rule->is_prefix = false;
	if (n == 0 || text[0] == '=' || names_host(text, n)) /* a host name is taken as it stands */
		return stralloc_catb(&rule->key, text, n) ? NULL : rules_no_memory;
	if (memchr(text, '@', n))
		return put_info(rule, text, n);
	slash = memchr(text, '/', n);
	if (slash)
		return put_prefix(rule, text, n, slash);
	if (text[0] == '[' || memchr(text, ':', n))
		return put_ip(rule, text, n);
	return read_pattern(rule, text, n);
}
