/*
 * Trust stores: certificates in a cdb by their subjects, and revocation lists by their issuers, made by
 * tlstrust, read by whoever has CAFILE and CRLFILE.
 */
#ifndef X509_STORE_H
#define X509_STORE_H

#include <skalibs/cdb.h>
#include "x509.h"

/* Certificates with one subject, and revocation lists of one issuer: a store with more is not made, and not
 * believed, as the one that counts may be any of them. */
enum { X509_STORE_FOUND_MAX = 1000 };

struct x509_store {
	bool open;
	size_t n_crls; /* revocation lists in it */
	cdb file; /* mapped; cut short in place it ends this process by SIGBUS, so it is to be replaced by rename */
};

/* Opens it if path is a whole trust store. False: it is something else, or cannot be read. */
bool x509_store_open(struct x509_store *store, const char *path);

/*
 * Adds copies of the certificates that may have this subject, a Name with its header, to list. What is not
 * open has none. False: *problem.
 */
bool x509_store_find(const struct x509_store *store, struct bytes subject, struct x509_list *list,
	struct x509_problem *problem);

/* Adds all, until there are more than most in the list. False: *problem. */
bool x509_store_all(
	const struct x509_store *store, size_t most, struct x509_list *list, struct x509_problem *problem);

/* Appends the revocation lists that may be of this issuer, unless they are there already. False: *problem. */
bool x509_store_find_crls(const struct x509_store *store, struct bytes issuer, struct x509_crls *crls,
	struct x509_problem *problem);

/* The entry of list number n for a serial number: 1: *reason and *revoked_at; 0: there is none; -1: damaged. */
int x509_store_entry(const struct x509_store *store, uint32_t n, struct bytes serial, unsigned *reason,
	int64_t *revoked_at);

/* The hash that a signature of this kind is made of; its length, 0 if it cannot be had. */
typedef size_t x509_store_hash(enum x509_signature kind, struct bytes text, unsigned char out[64]);

/* Writes a store to an empty file. False with *problem: errnum 0 where a revocation list is wrong, or too many
 * have one name. */
bool x509_store_write(const struct x509_list *list, const struct x509_crls *crls, x509_store_hash *hash, int fd,
	struct x509_problem *problem);

#endif
