/*
 * Fuzzing of lists of cipher suites, which may come out of a rules record. Whatever the text: nothing twice,
 * nothing that the engine lacks, nothing older that is not named in it; what is wrong lies in the text.
 */
#include <stdlib.h>
#include <string.h>
#include "engine/suites.h"

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t n);

static void check(bool holds)
{
	if (!holds)
		abort();
}

static bool yes(void)
{
	return true;
}

static bool no(void)
{
	return false;
}

static void check_list(const char *text, const struct suites_engine *engine, const struct suites_list *list)
{
	check(list->n <= SUITES_MAX && list->n_tls13 <= list->n);
	for (size_t i = 0; i < list->n; i++) {
		const struct suite *suite = suites_find(list->ids[i]);

		check(suite && !(suite->traits & engine->lacks));
		check((i < list->n_tls13) == !!(suite->traits & SUITE_TLS13));
		check(suite->traits & SUITE_POLICY || strstr(text, suite->name) || strstr(text, suite->iana));
		for (size_t j = 0; j < i; j++)
			check(list->ids[j] != list->ids[i]);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t n)
{
	const struct suites_engine engines[] = { { SUITE_TLS13, yes }, { SUITE_RSA_EXCHANGE | SUITE_3DES, no },
		{ 0, yes } };
	char *text = malloc(n + 1); /* of exact size, so that a sanitizer sees a byte too far */

	check(text != NULL);
	if (n)
		memcpy(text, input, n);
	text[n] = 0;
	for (size_t i = 0; i < sizeof engines / sizeof engines[0]; i++) {
		struct suites_list list, again;
		struct suites_fault fault;

		if (suites_read(text, &engines[i], &list, &fault)) {
			check(strlen(text) <= SUITES_TEXT_MAX);
			check_list(text, &engines[i], &list);
			check(suites_read(text, &engines[i], &again, &fault) && again.n == list.n &&
				  !memcmp(again.ids, list.ids, list.n * sizeof list.ids[0]));
		} else {
			check(fault.at >= text && fault.n <= strlen(fault.at) && fault.words && *fault.words);
		}
	}
	free(text);
	return 0;
}
