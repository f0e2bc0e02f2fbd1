/*
 * A trust store: a cdb from subjects to certificates, of which a connection takes only those that it may need.
 * Names are the same in more than one spelling (RFC 5280 7.1), so the key of a name is a sum over what all its
 * spellings have in common; x509_judge compares the names themselves.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <skalibs/cdbmake.h>
#include "store.h"

enum { HEADER = 2048, TABLES = 256, KEY_BYTES = 9 };

static const char mark_key[] = "format", mark[] = "ucspi-bear trust 1";

static bool is_letter_or_digit(unsigned char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* FNV-1a of the letters and digits in the values of a Name, in lower case; the rest of it may differ between
 * string types and in blanks. */
static void make_key(struct bytes name, char key[KEY_BYTES])
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
	key[0] = 's';
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
	make_key(subject, key);
	cdb_findstart(&state);
	for (size_t n = 0; n < X509_STORE_FOUND_MAX; n++) {
		int more = cdb_findnext(&store->file, &found, key, sizeof key, &state);

		if (more < 0)
			return *problem = (struct x509_problem){ .reason = "trust store is damaged" }, false;
		if (more == 0)
			return true;
		if (!take(list, &found, problem))
			return false;
	}
	return true;
}

bool x509_store_all(
	const struct x509_store *store, size_t most, struct x509_list *list, struct x509_problem *problem)
{
	cdb_data key, found;
	uint32_t at;
	int more;

	cdb_traverse_init(&at);
	while ((more = cdb_traverse_next(&store->file, &key, &found, &at)) > 0 && list->n <= most)
		if (key.len == KEY_BYTES && key.s[0] == 's' && !take(list, &found, problem))
			return false;
	if (more < 0)
		*problem = (struct x509_problem){ .reason = "trust store is damaged" };
	return more >= 0;
}

/* ---- writing ---- */

bool x509_store_write(const struct x509_list *list, int fd)
{
	cdbmaker maker = CDBMAKER_ZERO;

	if (!cdbmake_start(&maker, fd) ||
		!cdbmake_add(&maker, mark_key, sizeof mark_key - 1, mark, sizeof mark - 1))
		return false;
	for (size_t i = 0; i < list->n; i++) {
		const struct bytes der = list->certificates[i].der;
		char key[KEY_BYTES];

		make_key(list->certificates[i].subject, key);
		if (!cdbmake_add(&maker, key, sizeof key, (const char *)der.at, (uint32_t)der.n))
			return false;
	}
	return cdbmake_finish(&maker);
}
