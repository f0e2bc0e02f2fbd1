/*
 * The lookup: which rule counts for a connection. Servers and tcprulescheck call the same function, so the
 * one cannot do what the other does not show. What is in the file is not trusted: it may come from anywhere.
 */
#include <errno.h>
#include <string.h>
#include "internal.h"

/* ---- records: entries that each end in NUL, D for deny, +NAME=value for a variable; others are passed over
 * ---- */

/* The next entry of what is left of a record, with its NUL behind it. NULL at the end; a rest without NUL is
 * none. */
static const char *next_entry(const char **at, size_t *left)
{
	const char *entry = *at, *end = *left > 0 ? memchr(entry, '\0', *left) : NULL;

	if (!end)
		return NULL;
	*left -= (size_t)(end - entry) + 1;
	*at = end + 1;
	return entry;
}

/* The length of the name of a variable, 0 if the entry does not set one. */
static size_t name_length(const char *entry)
{
	const char *equals = entry[0] == '+' ? strchr(entry, '=') : NULL;

	return equals ? (size_t)(equals - entry) - 1 : 0;
}

static enum rules_verdict read_verdict(const struct rules_match *match)
{
	const char *at = match->record, *entry;
	size_t left = match->length;

	while ((entry = next_entry(&at, &left)) != NULL) {
		if (entry[0] == 'D')
			return RULES_DENY;
		if (name_length(entry) > RULES_VARIABLE_MAX) {
			errno = EPROTO;
			return RULES_BROKEN;
		}
	}
	return RULES_ALLOW;
}

bool rules_variables(const struct rules_match *match,
	bool (*emit)(void *context, const char *name, const char *value), void *context)
{
	const char *at = match->record, *entry;
	size_t left = match->length;

	while ((entry = next_entry(&at, &left)) != NULL && entry[0] != 'D') {
		char name[RULES_VARIABLE_MAX + 1];
		size_t n = name_length(entry);

		if (n == 0 || n > RULES_VARIABLE_MAX)
			continue; /* longer ones have been refused when the rule was found */
		memcpy(name, entry + 1, n);
		name[n] = '\0';
		if (!emit(context, name, entry + 1 + n + 1))
			return false;
	}
	return true;
}

/* ---- the search ---- */

struct search {
	const struct rules *rules;
	struct rules_match *match;
	const char *host, *info; /* or NULL */
	struct net_address address;
	char ip_key[IP_KEY_MAX], ip_text[PREFIX_TEXT_MAX];
};

static bool join(char out[RULES_KEY_MAX + 1], const char *first, const char *second, const char *third)
{
	size_t a = strlen(first), b = strlen(second), c = strlen(third);

	if (a > RULES_KEY_MAX || b > RULES_KEY_MAX || c > RULES_KEY_MAX || a + b + c > RULES_KEY_MAX)
		return false; /* cannot happen: host and info are bounded before the search */
	memcpy(out, first, a);
	memcpy(out + a, second, b);
	memcpy(out + a + b, third, c + 1);
	return true;
}

/* RULES_NONE if the key is not in the file. cdb_find does not see to it that the record ends inside the file.
 */
static enum rules_verdict probe(const struct search *search, const char *key, size_t n)
{
	const cdb *file = &search->rules->file;
	cdb_data found;
	int result = cdb_find(file, &found, key, (uint32_t)n);

	if (result == 0)
		return RULES_NONE;
	if (result < 0 || found.len > file->size - (size_t)(found.s - file->map)) {
		errno = EPROTO;
		return RULES_BROKEN;
	}
	search->match->record = found.s;
	search->match->length = found.len;
	return read_verdict(search->match);
}

/* The key is also the text of the rule. */
static enum rules_verdict probe_text(
	const struct search *search, const char *first, const char *second, const char *third)
{
	char *key = search->match->rule;

	return join(key, first, second, third) ? probe(search, key, strlen(key)) : RULES_NONE;
}

/* The same, ending in the address, which has another key than text. */
static enum rules_verdict probe_ip(const struct search *search, const char *first, const char *second)
{
	enum rules_verdict verdict = probe_text(search, first, second, search->ip_key);

	if (verdict != RULES_NONE)
		(void)join(search->match->rule, first, second, search->ip_text);
	return verdict;
}

static enum rules_verdict probe_dotted(const struct search *search)
{
	char *key = search->match->rule;
	size_t n = strlen(search->ip_key);

	(void)join(key, search->ip_key, "", "");
	for (; n > 0; n--) {
		if (key[n - 1] != '.')
			continue;
		enum rules_verdict verdict = probe(search, key, n);
		if (verdict != RULES_NONE) {
			key[n] = '\0';
			return verdict;
		}
	}
	return RULES_NONE;
}

static enum rules_verdict probe_prefixes(const struct search *search)
{
	char key[PREFIX_KEY_MAX], text[PREFIX_TEXT_MAX];
	unsigned bits = search->address.is_v6 ? 128 : 32;
	size_t n = rules_prefix_key(&search->address, bits, key);

	for (; n > 0; n--, bits--) {
		enum rules_verdict verdict = probe(search, key, n);
		if (verdict != RULES_NONE) {
			rules_prefix_text(&search->address, bits, true, text);
			(void)join(search->match->rule, text, "", "");
			return verdict;
		}
	}
	return RULES_NONE;
}

static enum rules_verdict probe_suffixes(const struct search *search)
{
	const char *dot = search->host;

	while ((dot = strchr(dot, '.')) != NULL) {
		enum rules_verdict verdict = probe_text(search, "=", dot, "");
		if (verdict != RULES_NONE)
			return verdict;
		dot++;
	}
	return probe_text(search, "=", "", "");
}

static enum rules_verdict in_order(const struct search *search)
{
	enum rules_verdict verdict = RULES_NONE;

	if (search->info)
		verdict = probe_ip(search, search->info, "@");
	if (verdict == RULES_NONE && search->info && search->host)
		verdict = probe_text(search, search->info, "@=", search->host);
	if (verdict == RULES_NONE)
		verdict = probe_ip(search, "", "");
	if (verdict == RULES_NONE && search->host)
		verdict = probe_text(search, "=", search->host, "");
	if (verdict == RULES_NONE && !search->address.is_v6)
		verdict = probe_dotted(search);
	if (verdict == RULES_NONE)
		verdict = probe_prefixes(search);
	if (verdict == RULES_NONE && search->host)
		verdict = probe_suffixes(search);
	if (verdict == RULES_NONE)
		verdict = probe_text(search, "", "", "");
	return verdict;
}

enum rules_verdict rules_find(const struct rules *rules, const struct net_address *address, const char *host,
	const char *info, struct rules_match *match)
{
	struct search search = {
		.rules = rules, .match = match, .host = host, .info = info, .address = rules_unmapped(address)
	};

	match->record = NULL;
	match->length = 0;
	if ((host && strlen(host) > RULES_WORD_MAX) || (info && strlen(info) > RULES_WORD_MAX)) {
		errno = ENAMETOOLONG;
		return RULES_BROKEN;
	}
	rules_ip_key(&search.address, search.ip_key);
	rules_prefix_text(&search.address, search.address.is_v6 ? 128 : 32, false, search.ip_text);
	return in_order(&search);
}
