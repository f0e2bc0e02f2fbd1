/*
 * A text of rules becomes a cdb, record for record in the order of the text, also those that can never match:
 * so the file is that of ucspi-tcp's tcprules, byte for byte. What can never match is told afterwards.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <skalibs/cdbmake.h>
#include "internal.h"

struct compiler {
	cdbmaker maker;
	struct rule rule;
	struct seen seen;
	struct rules_remark *wrong;
	void (*warn)(const struct rules_remark *remark);
};

static void describe(
	struct rules_remark *remark, size_t line, const char *text, size_t length, const char *reason)
{
	remark->line = line;
	remark->text = text;
	remark->length = length;
	(void)snprintf(remark->reason, sizeof remark->reason, "%s", reason);
}

static void warn_shadowed(const struct compiler *compiler, const struct seen_rule *rule,
	const struct seen_rule *first, const char *how)
{
	struct rules_remark remark;

	describe(&remark, rule->line, rule->text, rule->length, "");
	(void)snprintf(remark.reason, sizeof remark.reason, "can never match: line %zu %s", first->line, how);
	compiler->warn(&remark);
}

/* ---- lines to records ---- */

/* Adds the record under the key of the rule. *earlier: the rule that has it already, or as it was. */
static bool add(struct compiler *compiler, const struct seen_rule *place, const struct seen_rule **earlier)
{
	const stralloc *key = &compiler->rule.key, *record = &compiler->rule.record;
	const struct seen_rule *found = seen_find(&compiler->seen, key->s, key->len);

	if (key->len > UINT32_MAX || record->len > UINT32_MAX) {
		errno = EFBIG;
		return false;
	}
	if (found) {
		*earlier = found;
	} else if (!seen_add(&compiler->seen, key->s, key->len, place)) {
		errno = ENOMEM;
		return false;
	}
	return cdbmake_add(&compiler->maker, key->s, (uint32_t)key->len, record->s, (uint32_t)record->len) != 0;
}

/* All records of a rule: one, or those of its range. A rule is told of only if none of them is new. */
static bool add_all(struct compiler *compiler, const struct seen_rule *place)
{
	struct rule *rule = &compiler->rule;
	const struct seen_rule *earlier = NULL;
	size_t before = compiler->seen.n;
	unsigned ranged = 0;

	if (rule->parts == 0) {
		if (!add(compiler, place, &earlier))
			return false;
	} else {
		for (unsigned i = 0; i < rule->parts; i++)
			if (rule->low[i] < rule->high[i])
				ranged = i;
		for (; rule->low[ranged] <= rule->high[ranged]; rule->low[ranged]++)
			if (!rules_pattern_key(rule) || !add(compiler, place, &earlier))
				return false;
	}
	if (compiler->seen.n == before)
		warn_shadowed(compiler, place, earlier, "is for the same address");
	return true;
}

static enum rules_outcome compile_line(struct compiler *compiler, size_t number, const char *line, size_t n)
{
	struct seen_rule place = { .line = number, .text = line, .length = n };
	struct rules_remark remark;
	const char *reason = rules_read_line(&compiler->rule, line, n);

	if (reason == rules_no_memory) {
		errno = ENOMEM;
		return RULES_NOT_WRITTEN;
	}
	if (reason) {
		describe(compiler->wrong, number, line, n, reason);
		return RULES_WRONG;
	}
	if (compiler->rule.odd) {
		describe(&remark, number, line, n, compiler->rule.odd);
		compiler->warn(&remark);
	}
	if (compiler->rule.key.len > RULES_KEY_MAX) {
		describe(&remark, number, line, n, "can never match: longer than any address that is looked up");
		compiler->warn(&remark);
	}
	place.is_prefix = compiler->rule.is_prefix;
	return add_all(compiler, &place) ? RULES_COMPILED : RULES_NOT_WRITTEN;
}

static enum rules_outcome compile_lines(struct compiler *compiler, const char *text, size_t n)
{
	const char *end = text + n;

	for (size_t number = 1; text < end; number++) {
		const char *newline = memchr(text, '\n', (size_t)(end - text)), *next = newline ? newline + 1 : end;
		size_t length = (size_t)((newline ? newline : end) - text);

		while (
			length > 0 && (text[length - 1] == ' ' || text[length - 1] == '\t' || text[length - 1] == '\n'))
			length--;
		if (length > 0 && text[0] != '#') {
			enum rules_outcome outcome = compile_line(compiler, number, text, length);
			if (outcome != RULES_COMPILED)
				return outcome;
		}
		text = next;
	}
	return RULES_COMPILED;
}

/* ---- rules behind others ---- */

/* A network that lies in a dotted prefix, or is a single address that has its own rule, is never reached. */
static const struct seen_rule *rule_before_prefix(const struct seen *seen, const struct seen_rule *rule)
{
	struct net_address address;
	char key[IP_KEY_MAX];
	unsigned bits = rule->key_length - 1;
	const struct seen_rule *found;
	size_t n = 0;

	rules_prefix_of_key(seen->keys.s + rule->key_at, rule->key_length, &address);
	rules_ip_key(&address, key);
	if (bits == (address.is_v6 ? 128 : 32)) {
		found = seen_find(seen, key, strlen(key));
		if (found)
			return found;
	}
	for (unsigned parts = 1; !address.is_v6 && 8 * parts <= bits && parts < 4; parts++) {
		n = (size_t)(strchr(key + n, '.') - key) + 1;
		found = seen_find(seen, key, n);
		if (found)
			return found;
	}
	return NULL;
}

/* Whether it is asked for only when no address has matched: =.suffix, = and the empty one. */
static bool comes_last(const struct seen *seen, const struct seen_rule *rule)
{
	const char *key = seen->keys.s + rule->key_at;

	return rule->key_length == 0 || (key[0] == '=' && (rule->key_length == 1 || key[1] == '.'));
}

static void warn_of_order(const struct compiler *compiler)
{
	const struct seen *seen = &compiler->seen;
	const struct seen_rule *all_v4 = seen_find(seen, "_", 1), *all_v6 = seen_find(seen, "^", 1);

	for (size_t i = 0; i < seen->n; i++) {
		const struct seen_rule *rule = &seen->rules[i], *first;

		if (rule->is_prefix) {
			first = rule_before_prefix(seen, rule);
			if (first)
				warn_shadowed(compiler, rule, first, "covers it and comes before prefixes with a /");
		} else if (all_v4 && all_v6 && comes_last(seen, rule)) {
			first = all_v4->line > all_v6->line ? all_v4 : all_v6;
			warn_shadowed(compiler, rule, first, "leaves no address over");
		}
	}
}

enum rules_outcome rules_compile(const char *text, size_t n, int fd, struct rules_remark *wrong,
	void (*warn)(const struct rules_remark *remark))
{
	struct compiler compiler = { .maker = CDBMAKER_ZERO, .wrong = wrong, .warn = warn };
	enum rules_outcome outcome = RULES_NOT_WRITTEN;
	int error;

	/* Room from the start, so that an empty key or record is not a null pointer. */
	if (stralloc_ready(&compiler.rule.key, 256) && stralloc_ready(&compiler.rule.record, 256) &&
		stralloc_ready(&compiler.seen.keys, 4096) && cdbmake_start(&compiler.maker, fd))
		outcome = compile_lines(&compiler, text, n);
	if (outcome == RULES_COMPILED) {
		warn_of_order(&compiler);
		if (!cdbmake_finish(&compiler.maker))
			outcome = RULES_NOT_WRITTEN;
	}
	error = errno;
	genalloc_free(diuint32, &compiler.maker.hplist);
	stralloc_free(&compiler.rule.key);
	stralloc_free(&compiler.rule.record);
	seen_free(&compiler.seen);
	errno = error;
	return outcome;
}
