/*
 * Fuzzing of the rules' text: what is accepted makes records that can be walked, under keys that have a form,
 * and the file made of them opens, is whole, and gives the first record of a key.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "rules/internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t n);

static void check(bool holds)
{
	if (!holds)
		abort();
}

static void check_remark(const struct rules_remark *remark)
{
	check(remark->line > 0 && remark->reason[0] && remark->length > 0);
	check(!memchr(remark->text, '\n', remark->length));
}

/* Each line by itself. */
static void read_line(struct rule *rule, const char *line, size_t n)
{
	if (n == 0 || rules_read_line(rule, line, n))
		return;
	if (rule->parts > 0)
		check(rules_pattern_key(rule) && rule->key.len <= 15);
	if (rule->is_prefix) {
		struct net_address address;
		char key[PREFIX_KEY_MAX];
		rules_prefix_of_key(rule->key.s, rule->key.len, &address);
		check(rules_prefix_key(&address, (unsigned)rule->key.len - 1, key) == rule->key.len);
		check(memcmp(key, rule->key.s, rule->key.len) == 0);
	}
	check(rule->key.len == 0 || !memchr(rule->key.s, '\0', rule->key.len));
	for (size_t at = 0; at < rule->record.len; at += strlen(rule->record.s + at) + 1) {
		const char *entry = rule->record.s + at;
		check((entry[0] == 'D' && at == 0 && !entry[1]) || (entry[0] == '+' && strchr(entry, '=')));
	}
	check(rule->record.len == 0 || rule->record.s[rule->record.len - 1] == '\0');
}

static void compile(const char *text, size_t n)
{
	char path[] = "/tmp/rule-text-XXXXXX";
	int fd = mkstemp(path);
	struct rules_remark wrong = { 0 };
	struct rules rules;
	const char *why;

	check(fd >= 0);
	switch (rules_compile(text, n, fd, &wrong, check_remark)) {
	case RULES_WRONG:
		check_remark(&wrong);
		break;
	case RULES_COMPILED:
		check(rules_open(&rules, path, &why));
		rules_close(&rules);
		break;
	case RULES_NOT_WRITTEN:
		check(errno == ENOMEM);
	}
	check(close(fd) == 0 && unlink(path) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t n)
{
	static struct rule rule;
	static unsigned long count;
	char *text = malloc(n + 1); /* never a null pointer */
	size_t start = 0;

	check(text != NULL);
	if (n > 0)
		memcpy(text, input, n);
	for (size_t i = 0; i <= n; i++) {
		if (i < n && text[i] != '\n')
			continue;
		/* A copy of exactly its length, so that a sanitizer sees every byte too far. */
		char *line = malloc(i - start + (i == start));
		check(line != NULL);
		memcpy(line, text + start, i - start);
		read_line(&rule, line, i - start);
		free(line);
		start = i + 1;
	}
	if (count++ % 8 == 0) /* files take their time */
		compile(text, n);
	free(text);
	return 0;
}
