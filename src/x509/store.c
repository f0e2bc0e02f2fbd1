/*
 * A trust store: a cdb from subjects to certificates, of which a connection takes only those that it may need,
 * and from issuers and serial numbers to what has been revoked.
 * Names are the same in more than one spelling (RFC 5280 7.1), so the key of a name is a sum over what all its
 * spellings have in common; x509_judge compares the names themselves.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <skalibs/cdbmake.h>
#include <skalibs/stralloc.h>
#include "store.h"
#include "text.h"

enum { HEADER = 2048, TABLES = 256, KEY_BYTES = 9, ENTRY_BYTES = 9, SERIAL_MAX = 64 };

static const char mark_key[] = "format", mark[] = "ucspi-bear trust 1", lists_key[] = "lists";

/* What a key begins with. */
#define CERTIFICATE 's' /* subject */
#define LIST        'l' /* issuer */
#define ENTRY       'r' /* number of a list, serial number */

static bool is_letter_or_digit(unsigned char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* FNV-1a of the letters and digits in the values of a Name, in lower case; the rest of it may differ between
 * string types and in blanks. */
static void make_key(char kind, struct bytes name, char key[KEY_BYTES])
{
	uint64_t sum = 14695981039346656037u;
	struct bytes rest, set, pair, oid, value;
	unsigned tag;

	if (!der_take(&name, DER_SEQUENCE, &rest))
		rest.n = 0;
	while (der_take(&rest, DER_SET, &set))
		while (der_take(&set, DER_SEQUENCE, &pair))
			if (der_take(&pair, DER_OID, &oid) && der_next(&pair, &tag, &value))
				for (size_t i = 0; i < value.n; i++)
					if (is_letter_or_digit(value.at[i]))
						sum = (sum ^ (value.at[i] | 0x20u)) * 1099511628211u;
	key[0] = kind;
	for (int i = 1; i < KEY_BYTES; i++, sum >>= 8)
		key[i] = (char)(sum & 0xff);
}

/* ---- reading ---- */

static uint32_t little_endian(const char *at)
{
	const unsigned char *byte = (const unsigned char *)at;

	return byte[0] | (uint32_t)byte[1] << 8 | (uint32_t)byte[2] << 16 | (uint32_t)byte[3] << 24;
}

/* The header points to tables of eight bytes a slot: a file that was cut off would have too few certificates. */
static bool is_whole(const cdb *file)
{
	for (size_t i = 0; i < TABLES; i++) {
		uint64_t at = little_endian(file->map + 8 * i), slots = little_endian(file->map + 8 * i + 4);

		if (at < HEADER || at + 8 * slots > file->size)
			return false;
	}
	return true;
}

static bool is_marked(const cdb *file)
{
	cdb_data found;

	return cdb_find(file, &found, mark_key, sizeof mark_key - 1) == 1 && found.len == sizeof mark - 1 &&
		   !memcmp(found.s, mark, sizeof mark - 1);
}

static size_t count_lists(const cdb *file)
{
	cdb_data found;

	return cdb_find(file, &found, lists_key, sizeof lists_key - 1) == 1 && found.len == 4
			   ? little_endian(found.s)
			   : 0;
}

bool x509_store_open(struct x509_store *store, const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat status;

	store->file = (cdb)CDB_ZERO;
	store->open = fd >= 0 && fstat(fd, &status) == 0 && S_ISREG(status.st_mode) &&
				  status.st_size > HEADER && cdb_init_fromfd(&store->file, fd);
	if (fd >= 0)
		(void)close(fd); /* was only read */
	if (store->open && !(is_whole(&store->file) && is_marked(&store->file))) {
		cdb_free(&store->file);
		store->open = false;
	}
	store->n_crls = store->open ? count_lists(&store->file) : 0;
	return store->open;
}

/* Of what is not a certificate nothing is said: tlstrust has put none there. */
static bool take(struct x509_list *list, const cdb_data *found, struct x509_problem *problem)
{
	const struct bytes der = { (const unsigned char *)found->s, found->len };

	return found->len > X509_CHAIN_BYTES || x509_list_add_copy(list, der, problem) || !problem->errnum;
}

bool x509_store_find(const struct x509_store *store, struct bytes subject, struct x509_list *list,
	struct x509_problem *problem)
{
	cdb_find_state state;
	cdb_data found;
	char key[KEY_BYTES];

	if (!store->open)
		return true;
	make_key(CERTIFICATE, subject, key);
	cdb_findstart(&state);
	for (size_t n = 0;; n++) {
		int more = cdb_findnext(&store->file, &found, key, sizeof key, &state);

		if (more < 0 || (more > 0 && n == X509_STORE_FOUND_MAX))
			return *problem = (struct x509_problem){ .reason = "trust store is damaged" }, false;
		if (more == 0)
			return true;
		if (!take(list, &found, problem))
			return false;
	}
}

bool x509_store_all(
	const struct x509_store *store, size_t most, struct x509_list *list, struct x509_problem *problem)
{
	cdb_data key, found;
	uint32_t at;
	int more;

	cdb_traverse_init(&at);
	while ((more = cdb_traverse_next(&store->file, &key, &found, &at)) > 0 && list->n <= most)
		if (key.len == KEY_BYTES && key.s[0] == CERTIFICATE && !take(list, &found, problem))
			return false;
	if (more < 0)
		*problem = (struct x509_problem){ .reason = "trust store is damaged" };
	return more >= 0;
}

/* ---- revocation lists ----
 * A list: number, flags, kind of signature (4 bytes each), dates (8 each), lengths of issuer, names of points,
 * digest, signature (4 each), these; numbers little-endian. An entry: reason, date (8). */

enum { LIST_BYTES = 12 + 16 + 16 };

/* Bit i of flags stands for the i-th of these. */
static void list_flags(struct x509_crl *crl, bool *flags[], size_t *n)
{
	bool *all[] = { &crl->has_next_update, &crl->unknown_critical, &crl->is_delta, &crl->is_indirect,
		&crl->only_users, &crl->only_authorities, &crl->only_attributes, &crl->only_some_reasons,
		&crl->has_point };

	*n = sizeof all / sizeof all[0];
	memcpy(flags, all, sizeof all);
}

static int64_t date_at(const char *at)
{
	return (int64_t)((uint64_t)little_endian(at) | (uint64_t)little_endian(at + 4) << 32);
}

static bool take_list(const struct x509_store *store, const cdb_data *found, struct x509_crl *crl)
{
	struct bytes *parts[] = { &crl->issuer, &crl->point_names, &crl->digest, &crl->signature };
	const unsigned char *at = (const unsigned char *)found->s + LIST_BYTES;
	size_t left = found->len, n;
	bool *flags[16];

	if (left < LIST_BYTES || little_endian(found->s + 8) > X509_ECDSA_SHA512)
		return false;
	left -= LIST_BYTES;
	*crl = (struct x509_crl){ .store = store,
		.number = little_endian(found->s),
		.signature_kind = (enum x509_signature)little_endian(found->s + 8),
		.version = 2,
		.this_update = date_at(found->s + 12),
		.next_update = date_at(found->s + 20) };
	list_flags(crl, flags, &n);
	for (size_t i = 0; i < n; i++)
		*flags[i] = little_endian(found->s + 4) >> i & 1;
	for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
		size_t length = little_endian(found->s + 28 + 4 * i);

		if (length > left)
			return false;
		*parts[i] = (struct bytes){ at, length };
		at += length;
		left -= length;
	}
	return left == 0 && name_is_well_formed(crl->issuer);
}

static bool is_known(const struct x509_crls *crls, const struct x509_crl *crl)
{
	for (size_t i = 0; i < crls->n; i++)
		if (crls->crls[i].store == crl->store && crls->crls[i].number == crl->number)
			return true;
	return false;
}

bool x509_store_find_crls(const struct x509_store *store, struct bytes issuer, struct x509_crls *crls,
	struct x509_problem *problem)
{
	cdb_find_state state;
	cdb_data found;
	struct x509_crl crl;
	char key[KEY_BYTES];
	int more = 0;

	if (!store->open)
		return true;
	make_key(LIST, issuer, key);
	cdb_findstart(&state);
	for (size_t n = 0; (more = cdb_findnext(&store->file, &found, key, sizeof key, &state)) > 0; n++) {
		if (n == X509_STORE_FOUND_MAX || !take_list(store, &found, &crl)) {
			more = -1;
			break;
		}
		if (!is_known(crls, &crl) && !x509_crls_add(crls, &crl)) {
			*problem = (struct x509_problem){ strerror(ENOMEM), ENOMEM };
			return false;
		}
	}
	if (more < 0)
		*problem = (struct x509_problem){ .reason = "trust store is damaged" };
	return more >= 0;
}

/* 0: the serial number is longer than any that is stored. */
static size_t make_entry_key(uint32_t number, struct bytes serial, char key[5 + SERIAL_MAX])
{
	if (serial.n > SERIAL_MAX)
		return 0;
	key[0] = ENTRY;
	for (int i = 0; i < 4; i++)
		key[1 + i] = (char)(number >> 8 * i & 0xff);
	memcpy(key + 5, serial.at, serial.n);
	return 5 + serial.n;
}

int x509_store_entry(const struct x509_store *store, uint32_t n, struct bytes serial, unsigned *reason,
	int64_t *revoked_at)
{
	char key[5 + SERIAL_MAX];
	size_t length = make_entry_key(n, serial, key);
	cdb_data found;
	int got = length ? cdb_find(&store->file, &found, key, (uint32_t)length) : 0;

	if (got <= 0)
		return got;
	if (found.len != ENTRY_BYTES)
		return -1;
	*reason = (unsigned char)found.s[0];
	*revoked_at = date_at(found.s + 1);
	return 1;
}

/* ---- writing ---- */

static void put(char *at, uint64_t value, int width)
{
	for (int i = 0; i < width; i++, value >>= 8)
		at[i] = (char)(value & 0xff);
}

struct writing {
	cdbmaker maker;
	uint32_t number; /* of the list */
};

static bool write_entry(void *context, struct bytes serial, unsigned reason, int64_t revoked_at)
{
	struct writing *w = context;
	char key[5 + SERIAL_MAX], entry[ENTRY_BYTES];
	size_t length = make_entry_key(w->number, serial, key);

	put(entry, reason, 1);
	put(entry + 1, (uint64_t)revoked_at, 8);
	/* No certificate that is accepted has a serial number beyond SERIAL_MAX (path.c). */
	return !length || cdbmake_add(&w->maker, key, (uint32_t)length, entry, sizeof entry);
}

static bool write_list(struct writing *w, const struct x509_crl *list, x509_store_hash *hash)
{
	unsigned char digest[64];
	struct x509_crl crl = *list;
	const struct bytes parts[] = { crl.issuer, crl.point_names,
		{ digest, hash(crl.signature_kind, crl.tbs, digest) }, crl.signature };
	stralloc text = STRALLOC_ZERO;
	char head[LIST_BYTES], key[KEY_BYTES];
	bool *flags[16], good;
	uint32_t set = 0;
	size_t n;

	list_flags(&crl, flags, &n);
	for (size_t i = 0; i < n; i++)
		set |= (uint32_t)*flags[i] << i;
	put(head, w->number, 4);
	put(head + 4, set, 4);
	put(head + 8, crl.signature_kind, 4);
	put(head + 12, (uint64_t)crl.this_update, 8);
	put(head + 20, (uint64_t)crl.next_update, 8);
	for (size_t i = 0; i < 4; i++)
		put(head + 28 + 4 * i, parts[i].n, 4);
	good = stralloc_catb(&text, head, sizeof head);
	for (size_t i = 0; i < 4 && good; i++)
		good = stralloc_catb(&text, (const char *)parts[i].at, parts[i].n);
	make_key(LIST, crl.issuer, key);
	good = good && cdbmake_add(&w->maker, key, sizeof key, text.s, (uint32_t)text.len);
	stralloc_free(&text);
	return good;
}

static bool write_certificates(struct writing *w, const struct x509_list *list)
{
	for (size_t i = 0; i < list->n; i++) {
		const struct bytes der = list->certificates[i].der;
		char key[KEY_BYTES];

		make_key(CERTIFICATE, list->certificates[i].subject, key);
		if (!cdbmake_add(&w->maker, key, sizeof key, (const char *)der.at, (uint32_t)der.n))
			return false;
	}
	return true;
}

static int by_sum(const void *a, const void *b)
{
	return memcmp(a, b, KEY_BYTES);
}

/* Whether more keys of the list, which is sorted here, are alike than a reader takes. */
static bool too_many_alike(char (*keys)[KEY_BYTES], size_t n)
{
	qsort(keys, n, sizeof *keys, by_sum);
	for (size_t i = X509_STORE_FOUND_MAX; i < n; i++)
		if (!memcmp(keys[i], keys[i - X509_STORE_FOUND_MAX], KEY_BYTES))
			return true;
	return false;
}

static bool names_fit(const struct x509_list *list, const struct x509_crls *crls, struct x509_problem *problem)
{
	char(*keys)[KEY_BYTES] = malloc((list->n + crls->n + 1) * sizeof *keys);

	if (!keys)
		return *problem = (struct x509_problem){ strerror(ENOMEM), ENOMEM }, false;
	*problem = (struct x509_problem){ .reason = NULL };
	for (size_t i = 0; i < list->n; i++)
		make_key(CERTIFICATE, list->certificates[i].subject, keys[i]);
	if (too_many_alike(keys, list->n))
		problem->reason = "more than 1000 certificates of one name";
	for (size_t i = 0; i < crls->n; i++)
		make_key(LIST, crls->crls[i].issuer, keys[i]);
	if (too_many_alike(keys, crls->n))
		problem->reason = "more than 1000 revocation lists of one issuer: leave out the old ones";
	free(keys);
	return !problem->reason;
}

static bool failed(struct x509_problem *problem)
{
	*problem = (struct x509_problem){ strerror(errno), errno };
	return false;
}

bool x509_store_write(const struct x509_list *list, const struct x509_crls *crls, x509_store_hash *hash, int fd,
	struct x509_problem *problem)
{
	struct writing w = { .maker = CDBMAKER_ZERO };
	char count[4];

	if (!names_fit(list, crls, problem))
		return false;
	put(count, crls->n, 4);
	if (!cdbmake_start(&w.maker, fd) ||
		!cdbmake_add(&w.maker, mark_key, sizeof mark_key - 1, mark, sizeof mark - 1) ||
		!cdbmake_add(&w.maker, lists_key, sizeof lists_key - 1, count, sizeof count) ||
		!write_certificates(&w, list))
		return failed(problem);
	for (; w.number < crls->n; w.number++) {
		const struct x509_crl *crl = &crls->crls[w.number];

		if (!write_list(&w, crl, hash))
			return failed(problem);
		if (!x509_crl_entries(crl, write_entry, &w, problem))
			return false;
	}
	return cdbmake_finish(&w.maker) || failed(problem);
}
