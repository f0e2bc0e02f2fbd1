/*
 * Making certificates: what may be named in one, whose CA signs it, what stands in it, and how it and its key
 * become files. For tlscert. Keys and signatures are the engine's, DER is x509's.
 */
#ifndef CERTIFY_H
#define CERTIFY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include "chain/chain.h"
#include "engine/engine.h"

enum {
	CERTIFY_NAMES_MAX = 100,      /* names in a certificate */
	CERTIFY_HOST_MAX = 253,       /* bytes of a host name (RFC 1035 2.3.4, as text) */
	CERTIFY_MAILBOX_MAX = 64,     /* bytes before the @ (RFC 5321 4.5.3.1.1) */
	CERTIFY_COMMON_NAME_MAX = 64, /* characters (RFC 5280 A.1, ub-common-name) */
	CERTIFY_NAME_BYTES = CERTIFY_MAILBOX_MAX + 1 + CERTIFY_HOST_MAX,
	CERTIFY_DER_BYTES = 64 << 10, /* of a certificate */
	CERTIFY_KEY_ID_BYTES = 20,
	CERTIFY_SERIAL_BYTES = 16,
	CERTIFY_DAYS_MAX = 36500,
	CERTIFY_BEFORE_SECONDS = 3600 /* how long before now a certificate begins */
};

/* ---- names ---- */

/* GeneralName (RFC 5280 4.2.1.6), by its tag. */
enum certify_name_kind { CERTIFY_MAIL = 0x81, CERTIFY_HOST = 0x82, CERTIFY_ADDRESS = 0x87 };

struct certify_name {
	enum certify_name_kind kind;
	size_t n;
	unsigned char at[CERTIFY_NAME_BYTES]; /* host names, and what follows an @, in small letters */
};

/*
 * Reads an IPv4 or IPv6 address, a host name (letters, digits and inner hyphens in labels of at most 63
 * bytes, "*." before at least two of them), or a mail address of such a host. NULL when done, else why it is
 * none of them, in static words.
 */
const char *certify_read_name(const char *text, struct certify_name *name);

/* NULL if text may be a common name: 1 to 64 characters of UTF-8 without control characters, no blank at
 * either end. Else why not. */
const char *certify_refuse_common_name(const char *text);

/* ---- the CA ---- */

struct certify_authority {
	struct x509_list list;               /* certificates of its file */
	struct x509_certificate certificate; /* the one that the key belongs to */
	struct x509_private_key key;
	unsigned char *key_text; /* what key points into */
	size_t key_text_n;
	unsigned char key_id[CERTIFY_KEY_ID_BYTES * 4]; /* its subjectKeyIdentifier */
	size_t key_id_n;
};

/*
 * Reads a CA's certificate, and its key from key_path (NULL: from the same file) with a password (NULL:
 * none), and finds out whether it may sign now (unix seconds). False with *problem. In both cases
 * certify_forget_authority ends it.
 */
bool certify_read_authority(struct certify_authority *authority, const char *path, const char *key_path,
	const struct bytes *password, int64_t now, struct chain_problem *problem);

/* Wipes the key and gives the memory back. */
void certify_forget_authority(struct certify_authority *authority);

/*
 * When a certificate that is made now begins and ends: CERTIFY_BEFORE_SECONDS before now, as clocks differ,
 * and so many days after that, but not outside the time of the authority (NULL: there is none). days 0:
 * otherwise, or until the authority's end. Days that begin after the authority's end are refused: false.
 */
bool certify_choose_validity(int64_t now, unsigned days, unsigned otherwise,
	const struct certify_authority *authority, int64_t *not_before, int64_t *not_after);

/* ---- the certificate ---- */

/* What is asked for. */
struct certify_request {
	const char *common_name; /* NULL: no subject, for which there have to be names and an authority */
	const struct certify_name *names;
	size_t n_names;
	bool is_ca;
	unsigned path_length; /* is_ca: how many CAs may follow it */
	bool for_servers, for_clients;
	int64_t not_before, not_after; /* unix seconds */
};

/*
 * Makes and signs a certificate for key, with authority or, where that is NULL, with key itself, and looks at
 * it as a peer would who trusts the authority. *der points into memory (CERTIFY_DER_BYTES). False with
 * *problem.
 */
bool certify_issue(const struct certify_request *request, const struct engine_new_key *key,
	const struct certify_authority *authority, int64_t now, unsigned char *memory, struct bytes *der,
	struct chain_problem *problem);

/*
 * Appends a certificate as PEM and, unless the authority (may be NULL) is a root, the authority's and those
 * of its file that are no roots either, for peers that only know the root. out->overflow says if it is too
 * long.
 */
void certify_put_chain(struct bytes der, const struct certify_authority *authority, struct x509_text *out);

/* ---- the files ---- */

struct certify_file {
	const char *path;
	struct bytes text;
	mode_t mode; /* that it is made with, less the umask */
};

/*
 * NULL if a file may be made at path or, with replace, take the place of what is there. Else why not: static
 * words, or strerror's.
 */
const char *certify_refuse_path(const char *path, bool replace);

/*
 * Makes the files, all or none: each under a temporary name in its folder, with its mode from the start,
 * written to disk, and only then given its name; with replace in the place of what is there. Signals that end
 * a process wait for the end of it. False with *problem and nothing left behind.
 */
bool certify_store(const struct certify_file *files, size_t n, bool replace, struct chain_problem *problem);

#endif
