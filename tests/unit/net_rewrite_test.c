/* Rewriting of host names, LOCALDOMAIN and the candidates that come out; and what is clean enough for a
 * variable. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "net/internal.h"

static const char *rewritten(const char *instructions, const char *host)
{
	static char name[NET_REWRITTEN_TEXT];
	size_t n = strlen(instructions);
	char *exact = malloc(n ? n : 1); /* of exact size, so that a sanitizer sees a byte too far */

	assert_non_null(exact);
	memcpy(exact, instructions, n);
	(void)snprintf(name, sizeof name, "%s", host);
	assert_true(net_rewrite(exact, n, name));
	free(exact);
	return name;
}

/* The sample of qualify.html of djbdns, in words of our own. */
static const char sample[] = "# a comment\n"
							 "-.lan:self\n"
							 "=self:127.0.0.1\n"
							 "*.x:.xray.example\n"
							 "?:.zoo.example\n"
							 "*.:\n";

static void test_kinds(void **state)
{
	(void)state;
	assert_string_equal(rewritten(sample, "printer.lan"), "127.0.0.1");
	assert_string_equal(rewritten(sample, "a.b.lan"), "127.0.0.1");
	assert_string_equal(rewritten(sample, "self"), "127.0.0.1");
	assert_string_equal(rewritten(sample, "notself"), "notself.zoo.example");
	assert_string_equal(rewritten(sample, "a.b.x"), "a.b.xray.example");
	assert_string_equal(rewritten(sample, "lion"), "lion.zoo.example");
	assert_string_equal(rewritten(sample, "lion.other.example"), "lion.other.example");
	assert_string_equal(rewritten(sample, "lion."), "lion");
	assert_string_equal(rewritten(sample, "[1]"), "[1]");
	assert_string_equal(rewritten(sample, "SELF"), "127.0.0.1");
	assert_string_equal(rewritten(sample, ".LAN"), "127.0.0.1");
}

static void test_order(void **state)
{
	(void)state;
	/* In order, each at most once: no circles. */
	assert_string_equal(rewritten("=a:b\n=b:a\n", "a"), "a");
	assert_string_equal(rewritten("=b:c\n=a:b\n", "a"), "b");
	assert_string_equal(rewritten("*:x\n*:y\n", "a"), "axy");
	assert_string_equal(rewritten("?.a:-\n", "b.a"), "b-");
	assert_string_equal(rewritten("?.a:-\n", "b.b.a"), "b.b.a");
}

static void test_lines(void **state)
{
	(void)state;
	assert_string_equal(rewritten("", "a"), "a");
	assert_string_equal(rewritten("=a:b", "a"), "b");
	assert_string_equal(rewritten("=a:b \t\r\n", "a"), "b");
	assert_string_equal(rewritten("=a\n=\n?\n*\n-\n\n:\n", "a"), "a");
	assert_string_equal(rewritten("+a:b\n =a:b\n#=a:b\n", "a"), "a");
	assert_string_equal(rewritten("=a:::1\n", "a"), "::1");
	assert_string_equal(rewritten("=a:\n", "a"), "");
}

static void test_limits(void **state)
{
	char name[NET_REWRITTEN_TEXT], instructions[2048], nul[] = "=a:b\0c\n";

	(void)state;
	memset(name, 'n', sizeof name - 1);
	name[sizeof name - 1] = '\0';
	assert_true(net_rewrite("*:\n", 3, name));
	assert_int_equal(strlen(name), sizeof name - 1);
	assert_false(net_rewrite("*:x\n", 4, name));
	memset(instructions, 'x', sizeof instructions);
	memcpy(instructions, "=a:", 3);
	strcpy(name, "a");
	assert_true(net_rewrite(instructions, 3 + NET_REWRITTEN_TEXT - 1, name));
	assert_int_equal(strlen(name), NET_REWRITTEN_TEXT - 1);
	strcpy(name, "a");
	assert_false(net_rewrite(instructions, 3 + NET_REWRITTEN_TEXT, name));
	strcpy(name, "a");
	assert_true(net_rewrite(nul, sizeof nul - 1, name));
	assert_string_equal(name, "a");
}

static const char *with_domains(const char *domains, const char *host)
{
	static char name[NET_REWRITTEN_TEXT];

	assert_int_equal(setenv("LOCALDOMAIN", domains, 1), 0);
	(void)snprintf(name, sizeof name, "%s", host);
	assert_true(net_add_domains(name));
	return name;
}

static void test_domains(void **state)
{
	char name[NET_REWRITTEN_TEXT] = "a", *many = malloc(2000);

	(void)state;
	assert_non_null(many);
	assert_string_equal(with_domains("", "a"), "a");
	assert_string_equal(with_domains("b.c", "a"), "a+.b.c");
	assert_string_equal(with_domains(" b\t .c  d ", "a"), "a+.b+.c+.d");
	assert_string_equal(with_domains("b", "a.c"), "a.c");
	assert_string_equal(with_domains("b", "a."), "a.");
	assert_string_equal(with_domains("b", "a+.c"), "a+.c");
	assert_string_equal(with_domains("b", "::1"), "::1");
	memset(many, 'x', 1999);
	many[1999] = '\0';
	assert_int_equal(setenv("LOCALDOMAIN", many, 1), 0);
	assert_false(net_add_domains(name));
	assert_int_equal(unsetenv("LOCALDOMAIN"), 0);
	free(many);
}

static void candidates_are(const char *name, const char *const *expected)
{
	char out[NET_HOST_TEXT];
	size_t i = 0;

	for (; expected[i]; i++) {
		assert_true(net_candidate(name, i, out));
		assert_string_equal(out, expected[i]);
	}
	assert_false(net_candidate(name, i, out));
}

#define CANDIDATES(name, ...) candidates_are((name), (const char *const[]){ __VA_ARGS__, NULL })

static void test_candidates(void **state)
{
	char name[NET_REWRITTEN_TEXT], out[NET_HOST_TEXT];

	(void)state;
	CANDIDATES("a", "a");
	CANDIDATES("a.b.", "a.b");
	CANDIDATES("a+.b+.c+.d", "a.b", "a.c", "a.d");
	CANDIDATES("a+.b.+", "a.b", "a");
	CANDIDATES("+a+b", "a", "b");
	assert_false(net_candidate("", 0, out));
	assert_false(net_candidate(".", 0, out));
	assert_false(net_candidate("+", 0, out));
	memset(name, 'a', NET_HOST_TEXT);
	name[NET_HOST_TEXT - 1] = '\0';
	assert_true(net_candidate(name, 0, out));
	name[NET_HOST_TEXT - 1] = 'a';
	name[NET_HOST_TEXT] = '\0';
	assert_false(net_candidate(name, 0, out));
}

static void test_clean_host(void **state)
{
	static const char *const good[] = { "a", "A-b_c.example", "_sip.1.example", "1and1.example", "a.b-" };
	static const char *const bad[] = { "", ".", "..", ".a", "a..b", "a..", "-a", "a.-b", "a b", "a\n", "a:b",
		"a%s", "a/b", "\xc3\xa4", "127.0.0.1", "1", "a.1", "::1" };
	char out[NET_HOST_TEXT];

	(void)state;
	for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
		assert_true(net_clean_host(good[i], out));
		assert_string_equal(out, good[i]);
	}
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		assert_false(net_clean_host(bad[i], out));
		assert_string_equal(out, "");
	}
	assert_true(net_clean_host("a.b.", out));
	assert_string_equal(out, "a.b");
}

static void test_clean_info(void **state)
{
	char out[NET_INFO_TEXT];

	(void)state;
	assert_true(net_clean_info(" joe \r\n", 7, out));
	assert_string_equal(out, "joe");
	assert_true(net_clean_info("a:b c%\x7f\x01\0d", 10, out));
	assert_string_equal(out, "a?b?c????d");
	assert_false(net_clean_info(" \t", 2, out));
	assert_string_equal(out, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kinds),
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_lines),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_domains),
		cmocka_unit_test(test_candidates),
		cmocka_unit_test(test_clean_host),
		cmocka_unit_test(test_clean_info),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
