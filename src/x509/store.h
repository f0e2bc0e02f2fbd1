/*
 * Trust stores: certificates in a cdb by their subjects, made by tlstrust, read by whoever has CAFILE.
 */
#ifndef X509_STORE_H
#define X509_STORE_H

#include <skalibs/cdb.h>
#include "x509.h"

enum { X509_STORE_FOUND_MAX = 1000 }; /* certificates with one subject that are taken */

struct x509_store {
	bool open;
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

/* Writes a store to an empty file. False with errno. */
bool x509_store_write(const struct x509_list *list, int fd);

#endif
