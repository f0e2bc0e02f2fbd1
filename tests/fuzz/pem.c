/*
 * Fuzzing of all that reads PEM: blocks, lists of certificates and keys, each on its own copy since all of
 * them overwrite the text.
 */
#include "../../src/x509/x509.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t n);

static void check(bool holds)
{
	if (!holds)
		abort();
}

static unsigned char *copy_of(const uint8_t *input, size_t n)
{
	unsigned char *copy = malloc(n > 0 ? n : 1);
	check(copy != NULL);
	if (n > 0)
		memcpy(copy, input, n);
	return copy;
}

static void blocks(unsigned char *text, size_t n)
{
	struct pem_block block;
	struct x509_problem problem = { NULL, 0 };
	size_t offset = 0, before = 0;
	int found;
	while ((found = pem_next(text, n, &offset, &block, &problem)) != 0) {
		check(offset > before && offset <= n);
		check(found > 0 || problem.reason != NULL);
		if (found > 0) {
			check(block.label.at >= text && block.label.at + block.label.n <= text + n);
			check(block.content.at >= text + before && block.content.at + block.content.n <= text + offset);
			check(block.content.n * 4 / 3 <= offset - before);
			check(block.dek_info.n == 0 || (block.dek_info.at >= text + before &&
											   block.dek_info.at + block.dek_info.n <= block.content.at));
		}
		before = offset;
	}
	check(offset == n);
}

static void list(const uint8_t *input, size_t n, bool skip_bad)
{
	struct x509_list certificates = { .n = 0 };
	struct x509_problem problem = { NULL, 0 };
	unsigned char *first = copy_of(input, n), *second = copy_of(input, n);
	bool good = x509_list_add_memory(&certificates, first, n, skip_bad, &problem);
	size_t stored = certificates.n;
	check(good ? stored > 0 : problem.reason != NULL && (skip_bad || stored == 0));
	/* The same again changes nothing. */
	check(x509_list_add_memory(&certificates, second, n, skip_bad, &problem) == good);
	check(certificates.n == stored);
	x509_list_free(&certificates);
	free(first);
	free(second);
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t n)
{
	unsigned char *text = copy_of(input, n);
	blocks(text, n);
	free(text);
	list(input, n, false);
	list(input, n, true);
	struct x509_private_key key;
	struct x509_problem problem = { NULL, 0 };
	text = copy_of(input, n);
	check(x509_read_private_key(text, n, NULL, &key, &problem) || problem.reason != NULL);
	free(text);
	return 0;
}
