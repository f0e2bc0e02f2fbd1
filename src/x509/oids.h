/*
 * For key.c, certificate.c, crl.c, variables.c and write.c: the object identifiers that they compare with or
 * write, as the contents of an OBJECT IDENTIFIER, the DER types that several of them read, and what the public
 * keys of both kinds of files share.
 */
#ifndef X509_OIDS_H
#define X509_OIDS_H

#include "x509.h"

/* rsaEncryption (RFC 8017 A.1) and id-ecPublicKey (RFC 5480 2.1.1). */
bool oid_is_rsa(struct bytes oid);
bool oid_is_ec(struct bytes oid);
struct bytes oid_of_key(enum x509_key_kind kind);

/* A named curve (RFC 5480 2.1.1.1) by its TLS number, 0 for any other. */
unsigned oid_curve(struct bytes oid);
struct bytes oid_of_curve(unsigned curve);

/* A signature algorithm (RFC 8017 A.2.4, RFC 5758 3.2). */
enum x509_signature oid_signature(struct bytes oid);

/* The other way, for all but X509_SIGNED_OTHERWISE: the bytes put into out. */
enum { OID_SIGNATURE_MAX = 9 };
size_t oid_of_signature(enum x509_signature kind, unsigned char out[OID_SIGNATURE_MAX]);

/* Bytes of a coordinate or a scalar of a curve with a TLS number. */
size_t curve_bytes(unsigned curve);

/* Takes a positive INTEGER in its shortest form; *number is its magnitude without leading zero. */
bool der_take_positive(struct bytes *in, struct bytes *number);

/* Takes a BIT STRING of whole bytes; *content is what follows the count of unused bits. */
bool der_take_bytes_of_bits(struct bytes *in, struct bytes *content);

/* Reads the contents of an AlgorithmIdentifier (RFC 5280 4.1.1.2); *parameters is empty or one element. */
bool der_read_algorithm(struct bytes content, struct bytes *oid, struct bytes *parameters);

/* The same for one of a signature: also false if the parameters do not go with a kind that is known. */
bool der_read_signature_algorithm(struct bytes content, struct bytes *oid, enum x509_signature *kind);

/*
 * Takes a BOOLEAN DEFAULT FALSE, if there is one; tag: DER_BOOLEAN, or one in its place. DER leaves FALSE out
 * (X.690 11.5); certificates that write it down are common enough to be let in.
 */
bool der_take_flag(struct bytes *in, unsigned tag, bool *flag);

/* Takes the number of a certificate. RFC 5280 4.1.2.2 asks readers to bear with zero and negative ones. */
bool der_take_serial(struct bytes *in, struct bytes *serial);

/* Takes one Extension (RFC 5280 4.1). On failure *in has moved, or not. */
bool der_take_extension(struct bytes *in, struct bytes *oid, bool *critical, struct bytes *value);

#endif
