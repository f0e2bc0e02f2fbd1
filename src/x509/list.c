/*
 * Lists of certificates from memory, files and directories. A certificate that is already in the list is not
 * stored again: directories hold each under two names, and often a bundle of all of them besides.
 */
#include "x509.h"
#include "file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static bool fail_errno(struct x509_problem *problem, int errnum)
{
	*problem = (struct x509_problem){ strerror(errnum), errnum };
	return false;
}

/* ---- the certificates, and an index of them by content: open addressing, slots hold position + 1 ---- */

/* The end of a certificate is its signature, as good as random where nobody plays tricks with us. */
static size_t hash(struct bytes der)
{
	size_t n = der.n < 16 ? der.n : 16;
	uint32_t sum = 2166136261U;
	for (size_t i = der.n - n; i < der.n; i++)
		sum = (sum ^ der.at[i]) * 16777619U;
	return sum;
}

/* The slot where der stands or would be put. There is always an empty one. */
static uint32_t *find_slot(const struct x509_list *list, struct bytes der)
{
	size_t mask = list->n_slots - 1, i = hash(der) & mask;
	while (list->slots[i] != 0 && !bytes_equal(list->certificates[list->slots[i] - 1].der, der))
		i = (i + 1) & mask;
	return &list->slots[i];
}

static void fill_slots(struct x509_list *list)
{
	memset(list->slots, 0, list->n_slots * sizeof *list->slots);
	for (size_t i = 0; i < list->n; i++)
		*find_slot(list, list->certificates[i].der) = (uint32_t)(i + 1);
}

/* Room for one more certificate. Sizes cannot overflow: each certificate stands for bytes in memory. */
static bool make_room(struct x509_list *list)
{
	if (list->n < list->room)
		return true;
	size_t room = list->room == 0 ? 16 : list->room * 2;
	struct x509_certificate *certificates = realloc(list->certificates, room * sizeof *certificates);
	if (certificates == NULL)
		return false;
	list->certificates = certificates;
	uint32_t *slots = realloc(list->slots, 2 * room * sizeof *slots);
	if (slots == NULL)
		return false;
	list->slots = slots;
	list->n_slots = 2 * room;
	list->room = room;
	fill_slots(list);
	return true;
}

/* Takes back all beyond the first n. */
static void truncate_list(struct x509_list *list, size_t n)
{
	if (n == list->n)
		return;
	list->n = n;
	fill_slots(list);
}

/* What an attempt to add a certificate came to. */
enum outcome { ADDED, BAD, NO_MEMORY };

static enum outcome add(struct x509_list *list, struct bytes der, struct x509_problem *problem)
{
	if (!make_room(list)) {
		fail_errno(problem, ENOMEM);
		return NO_MEMORY;
	}
	uint32_t *slot = find_slot(list, der);
	if (*slot != 0)
		return ADDED;
	if (!x509_parse(der, &list->certificates[list->n], problem))
		return BAD;
	*slot = (uint32_t)++list->n;
	return ADDED;
}

/* ---- memory ---- */

static bool is_certificate(const struct pem_block *block)
{
	return pem_is(block, "CERTIFICATE") || pem_is(block, "X509 CERTIFICATE");
}

size_t x509_read_chain(
	unsigned char *text, size_t n, struct bytes *chain, size_t room, struct x509_problem *problem)
{
	struct bytes in = { text, n }, content;
	size_t offset = 0, found = 0;
	struct pem_block block;
	int more = 1;

	if (der_take(&in, DER_SEQUENCE, &content) && in.n == 0 && room > 0) {
		chain[0] = (struct bytes){ text, n };
		return 1;
	}
	while (found < room && (more = pem_next(text, n, &offset, &block, problem)) > 0)
		if (is_certificate(&block))
			chain[found++] = block.content;
	if (more < 0)
		return 0;
	if (found == 0)
		*problem = (struct x509_problem){ .reason = "no certificate in it" };
	return found;
}

/*
 * Adds the blocks of PEM text; *found counts the certificates seen, stored already or not. All else in the
 * text is wiped, the memory being kept for long: it may be a key, whole or broken.
 */
static bool add_pem(struct x509_list *list, unsigned char *text, size_t n, bool skip_bad, size_t *found,
	struct x509_problem *problem)
{
	size_t offset = 0, done = 0; /* what stands before done is wiped or belongs to the list */
	for (;;) {
		struct pem_block block;
		int more = pem_next(text, n, &offset, &block, problem);
		if (more == 0)
			break;
		if (more < 0 && !skip_bad)
			return false;
		if (more < 0 || !is_certificate(&block))
			continue; /* offset has moved on */
		size_t before = list->n, start = (size_t)(block.content.at - text);
		enum outcome outcome = add(list, block.content, problem);
		if (outcome == NO_MEMORY || (outcome == BAD && !skip_bad))
			return false;
		*found += outcome == ADDED;
		if (list->n > before) {
			x509_wipe(text + done, start - done);
			done = start + block.content.n;
		}
	}
	x509_wipe(text + done, n - done);
	return true;
}

/* ---- files and directories ---- */

static bool keep_block(struct x509_list *list, void *block)
{
	if (list->n_blocks == list->blocks_room) {
		size_t room = list->blocks_room == 0 ? 4 : list->blocks_room * 2;
		void **blocks = realloc(list->blocks, room * sizeof *blocks);
		if (blocks == NULL)
			return false;
		list->blocks = blocks;
		list->blocks_room = room;
	}
	list->blocks[list->n_blocks++] = block;
	return true;
}

/* Adds what is in text, *found certificates; on failure the list is as it was. */
static bool add_text(struct x509_list *list, unsigned char *text, size_t n, bool skip_bad, size_t *found,
	struct x509_problem *problem)
{
	struct bytes in = { text, n }, content;
	size_t before = list->n;
	bool good;
	*found = 0;
	if (der_take(&in, DER_SEQUENCE, &content) && in.n == 0) {
		enum outcome outcome = add(list, (struct bytes){ text, n }, problem);
		*found = outcome == ADDED;
		good = outcome == ADDED || (outcome == BAD && skip_bad);
	} else {
		good = add_pem(list, text, n, skip_bad, found, problem);
	}
	if (!good)
		truncate_list(list, before);
	return good;
}

/* Like add_text for memory from malloc, which then belongs to the list or is gone. */
static bool add_block(struct x509_list *list, unsigned char *text, size_t n, bool skip_bad, size_t *found,
	struct x509_problem *problem)
{
	size_t before = list->n;
	bool good = add_text(list, text, n, skip_bad, found, problem);
	if (good && list->n > before) {
		if (keep_block(list, text))
			return true;
		truncate_list(list, before);
		good = fail_errno(problem, ENOMEM);
	}
	file_free(text, n);
	return good;
}

/* The words if nothing is found, unless something is found that cannot be used: then that says why. */
static void expect_none(struct x509_problem *problem)
{
	*problem = (struct x509_problem){ .reason = "no certificate in it" };
}

bool x509_list_add_memory(
	struct x509_list *list, unsigned char *text, size_t n, bool skip_bad, struct x509_problem *problem)
{
	size_t found;
	expect_none(problem);
	return add_text(list, text, n, skip_bad, &found, problem) && found > 0;
}

bool x509_list_add_copy(struct x509_list *list, struct bytes der, struct x509_problem *problem)
{
	unsigned char *copy = malloc(der.n > 0 ? der.n : 1);
	size_t before = list->n;

	if (copy == NULL)
		return fail_errno(problem, ENOMEM);
	memcpy(copy, der.at, der.n);
	enum outcome outcome = add(list, (struct bytes){ copy, der.n }, problem);
	if (outcome == ADDED && list->n > before && keep_block(list, copy))
		return true;
	if (list->n > before) {
		truncate_list(list, before);
		outcome = NO_MEMORY;
		fail_errno(problem, ENOMEM);
	}
	free(copy);
	return outcome == ADDED; /* it is there already */
}

bool x509_list_add_file(struct x509_list *list, const char *path, bool skip_bad, struct x509_problem *problem)
{
	size_t n, found;
	unsigned char *text = x509_read_file(path, X509_FILE_MAX, &n, problem);
	if (text == NULL)
		return false;
	expect_none(problem);
	return add_block(list, text, n, skip_bad, &found, problem) && found > 0;
}

static bool add_found(void *list, unsigned char *text, size_t n, struct x509_problem *problem)
{
	size_t found;
	return add_block(list, text, n, true, &found, problem);
}

bool x509_list_add_directory(struct x509_list *list, const char *path, struct x509_problem *problem)
{
	return file_each(path, X509_FILE_MAX, add_found, list, problem);
}

void x509_list_free(struct x509_list *list)
{
	for (size_t i = 0; i < list->n_blocks; i++)
		free(list->blocks[i]);
	free(list->blocks);
	free(list->slots);
	free(list->certificates);
	*list = (struct x509_list){ .n = 0 };
}
