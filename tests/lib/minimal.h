/*
 * BearSSL's own path validation (x509_minimal), as it is: an oracle for tests and the measure for benches. It
 * takes a chain in the order given, knows no more of an anchor than its name, key and whether it is an
 * authority, and passes over extended key usage, name constraints and IP addresses.
 */
#ifndef MINIMAL_H
#define MINIMAL_H

#include <bearssl/bearssl.h>
#include "../../src/x509/x509.h"

struct minimal {
	const br_x509_trust_anchor *anchors; /* as minimal_anchor makes them */
	size_t n_anchors;
	const char *name;    /* to find in the leaf; NULL: any */
	int64_t now;         /* unix seconds */
	br_ecdsa_vrfy ecdsa; /* checks ECDSA signatures; NULL: the library's */
};

/* A certificate as an anchor, borrowing from it; false if its key is not one that the library knows. */
bool minimal_anchor(const struct x509_certificate *certificate, br_x509_trust_anchor *anchor);

/* 0: accepted; else the library's error number (BR_ERR_X509_…). */
unsigned minimal_judge(const struct minimal *minimal, const struct bytes *chain, size_t n);

#endif
