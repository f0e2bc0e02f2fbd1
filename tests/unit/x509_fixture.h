/*
 * For the x509 tests: reading what x509_fixtures made, into memory of exactly its size so that ASan sees
 * every step beyond. Include after cmocka.h.
 */
#ifndef X509_FIXTURE_H
#define X509_FIXTURE_H

#include "../../src/x509/x509.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The path of a fixture; overwritten by the next call. */
static inline const char *fixture_path(const char *name)
{
	static char path[4096];
	const char *directory = getenv("FIXTURES");
	assert_non_null(directory);
	assert_true(snprintf(path, sizeof path, "%s/%s", directory, name) < (int)sizeof path);
	return path;
}

static inline unsigned char *exact_copy(const void *bytes, size_t n)
{
	unsigned char *copy = malloc(n);
	assert_true(copy != NULL || n == 0);
	if (n > 0)
		memcpy(copy, bytes, n);
	return copy;
}

/* The caller frees. */
static inline unsigned char *fixture(const char *name, size_t *n)
{
	struct x509_problem problem;
	unsigned char *text = x509_read_file(fixture_path(name), X509_FILE_MAX, n, &problem);
	if (text == NULL)
		fail_msg("%s: %s", name, problem.reason);
	unsigned char *copy = exact_copy(text, *n);
	free(text);
	return copy;
}

/* A fixture that is a string, without the newline at its end. The caller frees. */
static inline char *fixture_text(const char *name)
{
	struct x509_problem problem;
	size_t n;
	char *text = (char *)x509_read_file(fixture_path(name), X509_FILE_MAX, &n, &problem);
	if (text == NULL)
		fail_msg("%s: %s", name, problem.reason);
	if (n > 0 && text[n - 1] == '\n')
		text[n - 1] = '\0';
	return text;
}

/* The certificates of a file; x509_list_free when done. */
static inline struct x509_list fixture_list(const char *name)
{
	struct x509_list list = { .n = 0 };
	struct x509_problem problem;
	if (!x509_list_add_file(&list, fixture_path(name), false, &problem))
		fail_msg("%s: %s", name, problem.reason);
	return list;
}

static inline struct bytes literal(const char *bytes, size_t n)
{
	return (struct bytes){ (const unsigned char *)bytes, n };
}

/* A string literal that may hold NULs. */
#define BYTES(string) literal(string, sizeof(string) - 1)

static inline void assert_bytes(struct bytes found, struct bytes wanted)
{
	assert_int_equal(found.n, wanted.n);
	if (wanted.n > 0)
		assert_memory_equal(found.at, wanted.at, wanted.n);
}

#endif
