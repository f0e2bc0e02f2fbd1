/*
 * Public keys, algorithm identifiers and what is signed in DER, for those who make certificates.
 */
#include "x509.h"
#include "oids.h"

static void put_oid(struct der_writer *w, struct bytes oid)
{
	der_put_element(w, DER_OID, oid.at, oid.n);
}

void x509_put_public_key(struct der_writer *w, const struct x509_public_key *key)
{
	size_t end = w->begin, inner = end;

	if (key->kind == X509_KEY_RSA) {
		der_put_positive(w, key->exponent);
		der_put_positive(w, key->modulus);
		der_wrap(w, DER_SEQUENCE, end);
	} else {
		der_put(w, key->point.at, key->point.n);
	}
	der_wrap_in_bits(w, end);
	inner = w->begin;
	if (key->kind == X509_KEY_RSA)
		der_put_element(w, DER_NULL, NULL, 0); /* RFC 3279 2.3.1 */
	else
		put_oid(w, oid_of_curve(key->curve));
	put_oid(w, oid_of_key(key->kind));
	der_wrap(w, DER_SEQUENCE, inner);
	der_wrap(w, DER_SEQUENCE, end);
}

void x509_put_signature_algorithm(struct der_writer *w, enum x509_signature kind)
{
	unsigned char oid[OID_SIGNATURE_MAX];
	size_t end = w->begin;

	if (kind < X509_ECDSA_SHA1) /* RFC 4055 5; with ECDSA the parameters are absent (RFC 5758 3.2) */
		der_put_element(w, DER_NULL, NULL, 0);
	der_put_element(w, DER_OID, oid, oid_of_signature(kind, oid));
	der_wrap(w, DER_SEQUENCE, end);
}

void x509_put_signed(
	struct der_writer *w, struct bytes to_be_signed, enum x509_signature kind, struct bytes signature)
{
	size_t end = w->begin;

	der_put(w, signature.at, signature.n);
	der_wrap_in_bits(w, end);
	x509_put_signature_algorithm(w, kind);
	der_put(w, to_be_signed.at, to_be_signed.n);
	der_wrap(w, DER_SEQUENCE, end);
}
