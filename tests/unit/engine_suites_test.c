/* Lists of cipher suites without an engine: the order by the processor, what each of two engines lacks,
 * faults and where they are. That lists mean what they mean to openssl is shown from outside, in
 * tests/ciphers.t. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include "engine/suites.h"

static bool yes(void)
{
	return true;
}

static bool no(void)
{
	return false;
}

static const struct suites_engine fast = { 0, yes }, slow = { 0, no }, old = { SUITE_TLS13, yes },
								  narrow = { SUITE_RSA_EXCHANGE | SUITE_3DES, yes };

/* The names of a list, in a row. */
static const char *row(const struct suites_list *list)
{
	static char text[2000];
	size_t n = 0;

	*text = 0;
	for (size_t i = 0; i < list->n; i++)
		n += (size_t)snprintf(
			text + n, sizeof text - n, "%s%s", i ? ":" : "", suites_find(list->ids[i])->name);
	return text;
}

#define GCM13    "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384"
#define CHACHA13 "TLS_CHACHA20_POLY1305_SHA256"
#define GCM12                                                                                                \
	"ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:"               \
	"ECDHE-RSA-AES256-GCM-SHA384"
#define CHACHA12 "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305"

static void default_by_processor(void **state)
{
	struct suites_list list;

	(void)state;
	suites_default(&fast, &list);
	assert_string_equal(row(&list), GCM13 ":" CHACHA13 ":" GCM12 ":" CHACHA12);
	assert_int_equal(list.n_tls13, 3);
	suites_default(&slow, &list);
	assert_string_equal(row(&list), CHACHA13 ":" GCM13 ":" CHACHA12 ":" GCM12);
	suites_default(&old, &list);
	assert_string_equal(row(&list), GCM12 ":" CHACHA12);
	assert_int_equal(list.n_tls13, 0);
}

static void lists(void **state)
{
	static const struct {
		const char *text;
		const struct suites_engine *engine;
		const char *wanted;
	} cases[] = {
		{ "TLSv1+HIGH:!SSLv2:!MD5", &old, GCM12 ":" CHACHA12 },
		{ "HIGH", &slow, CHACHA13 ":" GCM13 ":" CHACHA12 ":" GCM12 },
		{ "CHACHA20:-CHACHA20:CHACHA20", &old, CHACHA12 }, /* put away and chosen again: as it was */
		{ "AES128-SHA", &old, "AES128-SHA" },
		{ "DES-CBC3-SHA:!AES", &fast, GCM13 ":" CHACHA13 ":DES-CBC3-SHA" },
		{ "!AES128-SHA:CHACHA20", &narrow, GCM13 ":" CHACHA13 ":" CHACHA12 }, /* struck out, no fault */
		{ "AES128-SHA+AES256-SHA", &old, "" },
		{ "RC4-SHA:EXP-RC4-MD5:NULL-MD5", &old, "" },
		{ "TLSv1.3", &old, "" },
		{ "", &old, "" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct suites_list list;
		struct suites_fault fault;

		assert_true(suites_read(cases[i].text, cases[i].engine, &list, &fault));
		assert_string_equal(row(&list), cases[i].wanted);
	}
}

static void faults(void **state)
{
	static const struct {
		const char *text, *at;
		bool engine;
	} cases[] = {
		{ "HIGH:FOO:!MD5", "FOO", false },
		{ "HIGH:!FOO", "FOO", false },
		{ "HIGH:AES+!MD5", "AES+", false },
		{ "HIGH:+AES+:MD5", "+AES+", false },
		{ "HIGH:@X", "@X", false },
		{ "HIGH@SECLEVEL=3!MD5", "@SECLEVEL=3", false },
		{ "HIGH:AES128-SHA:!MD5", "AES128-SHA", true },
		{ "TLS_RSA_WITH_3DES_EDE_CBC_SHA", "TLS_RSA_WITH_3DES_EDE_CBC_SHA", true },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct suites_list list;
		struct suites_fault fault = { NULL, 0, NULL, false };

		assert_false(suites_read(cases[i].text, &narrow, &list, &fault));
		assert_int_equal(fault.n, strlen(cases[i].at));
		assert_memory_equal(fault.at, cases[i].at, fault.n);
		assert_ptr_equal(fault.at, strstr(cases[i].text, cases[i].at));
		assert_true(fault.engine == cases[i].engine);
	}
}

static void a_text_has_a_bound(void **state)
{
	static char text[SUITES_TEXT_MAX + 2];
	struct suites_list list;
	struct suites_fault fault;

	(void)state;
	memset(text, ':', SUITES_TEXT_MAX);
	memcpy(text, "HIGH", 4);
	assert_true(suites_read(text, &old, &list, &fault));
	assert_string_equal(row(&list), GCM12 ":" CHACHA12);
	text[SUITES_TEXT_MAX] = ':';
	assert_false(suites_read(text, &old, &list, &fault));
	assert_int_equal(fault.n, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(default_by_processor),
		cmocka_unit_test(lists),
		cmocka_unit_test(faults),
		cmocka_unit_test(a_text_has_a_bound),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
