/* The lookup as servers call it: with addresses instead of text, and variables one by one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "rules/rules.h"

static void no_warning(const struct rules_remark *remark)
{
	fail_msg("line %zu: %s", remark->line, remark->reason);
}

static void open_rules(struct rules *rules, const char *text)
{
	char path[] = "/tmp/rules-test-XXXXXX";
	struct rules_remark wrong;
	const char *why;
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	assert_int_equal(rules_compile(text, strlen(text), fd, &wrong, no_warning), RULES_COMPILED);
	assert_int_equal(close(fd), 0);
	assert_true(rules_open(rules, path, &why));
	assert_int_equal(unlink(path), 0);
}

static const struct net_address v4 = { .ip = { 192, 0, 2, 1 }, .port = 4711 };
static const struct net_address mapped = {
	.is_v6 = true, .ip = { [10] = 0xff, 0xff, 192, 0, 2, 1 }, .port = 4711
};
static const struct net_address v6 = {
	.is_v6 = true, .ip = { 0xfe, 0x80, [15] = 1 }, .port = 4711, .scope = 3
};

static void addresses(void **state)
{
	struct rules rules;
	struct rules_match match;

	(void)state;
	open_rules(&rules, "192.0.2.1:deny\nfe80::/10:deny\njoe@fe80::1:allow\n=h:allow\n");
	assert_int_equal(rules_find(&rules, &v4, NULL, NULL, &match), RULES_DENY);
	assert_string_equal(match.rule, "192.0.2.1");
	assert_int_equal(rules_find(&rules, &mapped, "h", NULL, &match), RULES_DENY);
	assert_string_equal(match.rule, "192.0.2.1");
	assert_int_equal(rules_find(&rules, &v6, NULL, NULL, &match), RULES_DENY);
	assert_string_equal(match.rule, "fe80::/10");
	assert_int_equal(rules_find(&rules, &v6, "h", NULL, &match), RULES_ALLOW);
	assert_string_equal(match.rule, "=h");
	assert_int_equal(rules_find(&rules, &v6, "h", "joe", &match), RULES_ALLOW);
	assert_string_equal(match.rule, "joe@fe80::1");
	assert_int_equal(
		rules_find(&rules, &(struct net_address){ .ip = { 1 } }, NULL, NULL, &match), RULES_NONE);
	rules_close(&rules);
}

static void lengths(void **state)
{
	static char longest[RULES_WORD_MAX + 2];
	struct rules rules;
	struct rules_match match;

	(void)state;
	memset(longest, 'x', RULES_WORD_MAX);
	open_rules(&rules, ":deny\n");
	assert_int_equal(rules_find(&rules, &v6, longest, longest, &match), RULES_DENY);
	longest[RULES_WORD_MAX] = 'x';
	assert_int_equal(rules_find(&rules, &v6, longest, NULL, &match), RULES_BROKEN);
	assert_int_equal(errno, ENAMETOOLONG);
	assert_int_equal(rules_find(&rules, &v6, NULL, longest, &match), RULES_BROKEN);
	rules_close(&rules);
}

struct heard {
	char text[100];
	int left;
};

static bool hear(void *context, const char *name, const char *value)
{
	struct heard *heard = context;
	size_t n = strlen(heard->text);

	(void)snprintf(heard->text + n, sizeof heard->text - n, "<%s=%s>", name, value);
	return heard->left-- > 0;
}

static void variables(void **state)
{
	struct heard all = { .left = 9 }, one = { .left = 0 };
	struct rules rules;
	struct rules_match match;

	(void)state;
	open_rules(&rules, "192.0.2.1:allow,A=\"b\",C=\"\",D=\"e=f\"\n");
	assert_int_equal(rules_find(&rules, &v4, NULL, NULL, &match), RULES_ALLOW);
	assert_true(rules_variables(&match, hear, &all));
	assert_string_equal(all.text, "<A=b><C=><D=e=f>");
	assert_false(rules_variables(&match, hear, &one));
	assert_string_equal(one.text, "<A=b>");
	rules_close(&rules);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses),
		cmocka_unit_test(lengths),
		cmocka_unit_test(variables),
	};

	return cmocka_run_group_tests_name("rules", tests, NULL, NULL);
}
