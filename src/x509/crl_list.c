/*
 * Revocation lists from memory, files and directories, PEM or DER, any number of them in one file. A list
 * that is there already is not stored again: directories hold each under two names.
 */
#include "x509.h"
#include "file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static bool fail_memory(struct x509_problem *problem)
{
	*problem = (struct x509_problem){ strerror(ENOMEM), ENOMEM };
	return false;
}

static bool is_known(const struct x509_crls *crls, struct bytes der)
{
	for (size_t i = 0; i < crls->n; i++)
		if (bytes_equal(crls->crls[i].der, der))
			return true;
	return false;
}

/* What an attempt to add a list came to. */
enum outcome { ADDED, KNOWN, BAD, NO_MEMORY };

static bool make_room(struct x509_crls *crls)
{
	size_t room = crls->room == 0 ? 4 : crls->room * 2;
	struct x509_crl *larger;

	if (crls->n < crls->room)
		return true;
	larger = realloc(crls->crls, room * sizeof *larger);
	if (larger == NULL)
		return false;
	crls->crls = larger;
	crls->room = room;
	return true;
}

bool x509_crls_add(struct x509_crls *crls, const struct x509_crl *crl)
{
	if (!make_room(crls))
		return false;
	crls->crls[crls->n++] = *crl;
	return true;
}

static enum outcome add(struct x509_crls *crls, struct bytes der, struct x509_problem *problem)
{
	if (is_known(crls, der))
		return KNOWN;
	if (!make_room(crls)) {
		fail_memory(problem);
		return NO_MEMORY;
	}
	if (!x509_crl_parse(der, &crls->crls[crls->n], problem))
		return BAD;
	crls->n++;
	return ADDED;
}

/* One list behind the other. *seen counts them, as in add_pem. */
static bool add_der(struct x509_crls *crls, struct bytes in, size_t *seen, struct x509_problem *problem)
{
	struct bytes der;

	while (der_take_whole(&in, DER_SEQUENCE, &der)) {
		enum outcome outcome = add(crls, der, problem);
		if (outcome == BAD || outcome == NO_MEMORY)
			return false;
		++*seen;
	}
	if (in.n > 0)
		*problem = (struct x509_problem){ .reason = "something behind the revocation list" };
	return in.n == 0;
}

/* Blocks of other kinds are passed over, and wiped, the memory being kept for long: one may be a key. */
static bool add_pem(
	struct x509_crls *crls, unsigned char *text, size_t n, size_t *seen, struct x509_problem *problem)
{
	size_t offset = 0, done = 0; /* what stands before done is wiped or belongs to a list */
	struct pem_block block;
	int more;

	while ((more = pem_next(text, n, &offset, &block, problem)) > 0) {
		if (!pem_is(&block, "X509 CRL"))
			continue;
		enum outcome outcome = add(crls, block.content, problem);
		if (outcome == BAD || outcome == NO_MEMORY)
			return false;
		++*seen;
		if (outcome == ADDED) {
			size_t start = (size_t)(block.content.at - text);
			x509_wipe(text + done, start - done);
			done = start + block.content.n;
		}
	}
	if (more == 0)
		x509_wipe(text + done, n - done);
	return more == 0;
}

/* Adds all that is in text, which is from malloc and becomes the lists' or is gone. On failure they are as
 * they were. */
static bool add_text(
	struct x509_crls *crls, unsigned char *text, size_t n, size_t *seen, struct x509_problem *problem)
{
	struct bytes in = { text, n }, first;
	size_t before = crls->n;
	bool good;

	*seen = 0;
	if (der_take(&in, DER_SEQUENCE, &first))
		good = add_der(crls, (struct bytes){ text, n }, seen, problem);
	else
		good = add_pem(crls, text, n, seen, problem);
	if (good && crls->n > before) {
		void **blocks = realloc(crls->blocks, (crls->n_blocks + 1) * sizeof *blocks);
		if (blocks != NULL) {
			crls->blocks = blocks;
			crls->blocks[crls->n_blocks++] = text;
			return true;
		}
		good = fail_memory(problem);
	}
	crls->n = good ? crls->n : before;
	file_free(text, n);
	return good;
}

bool x509_crls_add_file(struct x509_crls *crls, const char *path, struct x509_problem *problem)
{
	size_t n, seen;
	unsigned char *text = x509_read_file(path, X509_CRL_FILE_MAX, &n, problem);

	if (text == NULL || !add_text(crls, text, n, &seen, problem))
		return false;
	if (seen == 0)
		*problem = (struct x509_problem){ .reason = "no revocation list in it" };
	return seen > 0;
}

/* What is no list holds none for us, certificates among them. */
static bool add_found(void *context, unsigned char *text, size_t n, struct x509_problem *problem)
{
	size_t seen;

	return add_text(context, text, n, &seen, problem) || problem->errnum == 0;
}

bool x509_crls_add_directory(struct x509_crls *crls, const char *path, struct x509_problem *problem)
{
	return file_each(path, X509_CRL_FILE_MAX, add_found, crls, problem);
}

void x509_crls_free(struct x509_crls *crls)
{
	for (size_t i = 0; i < crls->n_blocks; i++)
		free(crls->blocks[i]);
	free(crls->blocks);
	free(crls->crls);
	*crls = (struct x509_crls){ .n = 0 };
}
