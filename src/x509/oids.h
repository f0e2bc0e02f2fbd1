/*
 * For key.c, certificate.c and variables.c: the object identifiers that all of them compare with, as the
 * contents of an OBJECT IDENTIFIER, and what the public keys of both kinds of files share.
 */
#ifndef X509_OIDS_H
#define X509_OIDS_H

#include "x509.h"

/* rsaEncryption (RFC 8017 A.1) and id-ecPublicKey (RFC 5480 2.1.1). */
bool oid_is_rsa(struct bytes oid);
bool oid_is_ec(struct bytes oid);

/* A named curve (RFC 5480 2.1.1.1) by its TLS number, 0 for any other. */
unsigned oid_curve(struct bytes oid);

/* A signature algorithm (RFC 8017 A.2.4, RFC 5758 3.2). */
enum x509_signature oid_signature(struct bytes oid);

/* Bytes of a coordinate or a scalar of a curve with a TLS number. */
size_t curve_bytes(unsigned curve);

/* Takes a positive INTEGER in its shortest form; *number is its magnitude without leading zero. */
bool der_take_positive(struct bytes *in, struct bytes *number);

/* Takes a BIT STRING of whole bytes; *content is what follows the count of unused bits. */
bool der_take_bytes_of_bits(struct bytes *in, struct bytes *content);

#endif
