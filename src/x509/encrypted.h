/* For key.c: encrypted keys (encrypted.c). */
#ifndef X509_ENCRYPTED_H
#define X509_ENCRYPTED_H

#include "x509.h"

/*
 * Both decrypt in place what stands somewhere in text, and put one DER element into *plain, which is all of
 * what was encrypted. NULL when done, else the words of the refusal. password: as x509_read_private_key has
 * it.
 */

/* An EncryptedPrivateKeyInfo (RFC 5958 3); *plain is a PKCS#8 key. */
const char *encrypted_open_pkcs8(
	unsigned char *text, struct bytes der, const struct x509_password *password, struct bytes *plain);

/* The content of a block with Proc-Type and DEK-Info; *plain is what its label says. */
const char *encrypted_open_pem(unsigned char *text, const struct pem_block *block,
	const struct x509_password *password, struct bytes *plain);

#endif
