/*
 * Key algorithms and curves by object identifier, and the DER types that numbers and points of keys stand in.
 */
#include "oids.h"

#include <string.h>

#define BYTES(array)                                                                                         \
	(struct bytes)                                                                                           \
	{                                                                                                        \
		array, sizeof array                                                                                  \
	}

bool oid_is_rsa(struct bytes oid)
{
	static const unsigned char rsa_encryption[] = { 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01 };
	return bytes_equal(oid, BYTES(rsa_encryption));
}

bool oid_is_ec(struct bytes oid)
{
	static const unsigned char ec_public_key[] = { 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01 };
	return bytes_equal(oid, BYTES(ec_public_key));
}

unsigned oid_curve(struct bytes oid)
{
	static const unsigned char secp256r1[] = { 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07 };
	static const unsigned char secp384r1[] = { 0x2b, 0x81, 0x04, 0x00, 0x22 };
	static const unsigned char secp521r1[] = { 0x2b, 0x81, 0x04, 0x00, 0x23 };
	if (bytes_equal(oid, BYTES(secp256r1)))
		return X509_P256;
	if (bytes_equal(oid, BYTES(secp384r1)))
		return X509_P384;
	if (bytes_equal(oid, BYTES(secp521r1)))
		return X509_P521;
	return 0;
}

enum x509_signature oid_signature(struct bytes oid)
{
	static const unsigned char pkcs1[] = { 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01 };
	static const unsigned char x962[] = { 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04 };
	enum { MD5 = 4, SHA1 = 5, SHA256 = 11, SHA384 = 12, SHA512 = 13 }; /* withRSAEncryption */

	if (oid.n == sizeof pkcs1 + 1 && memcmp(oid.at, pkcs1, sizeof pkcs1) == 0)
		switch (oid.at[sizeof pkcs1]) {
		case MD5:
		case SHA1:
			return X509_RSA_SHA1;
		case SHA256:
			return X509_RSA_SHA256;
		case SHA384:
			return X509_RSA_SHA384;
		case SHA512:
			return X509_RSA_SHA512;
		}
	if (oid.n < sizeof x962 + 1 || memcmp(oid.at, x962, sizeof x962) != 0)
		return X509_SIGNED_OTHERWISE;
	if (oid.n == sizeof x962 + 1 && oid.at[sizeof x962] == 1)
		return X509_ECDSA_SHA1;
	if (oid.n == sizeof x962 + 2 && oid.at[sizeof x962] == 3) /* ecdsa-with-SHA2 */
		switch (oid.at[sizeof x962 + 1]) {
		case 2:
			return X509_ECDSA_SHA256;
		case 3:
			return X509_ECDSA_SHA384;
		case 4:
			return X509_ECDSA_SHA512;
		}
	return X509_SIGNED_OTHERWISE;
}

size_t curve_bytes(unsigned curve)
{
	switch (curve) {
	case X509_P256:
		return 32;
	case X509_P384:
		return 48;
	case X509_P521:
		return 66;
	default:
		return 0;
	}
}

bool der_take_positive(struct bytes *in, struct bytes *number)
{
	struct bytes rest = *in, content;
	if (!der_take(&rest, DER_INTEGER, &content) || content.n == 0 || content.at[0] >= 0x80)
		return false;
	if (content.at[0] == 0) {
		if (content.n == 1 || content.at[1] < 0x80)
			return false; /* zero, or longer than needed */
		content.at++;
		content.n--;
	}
	*number = content;
	*in = rest;
	return true;
}

bool der_take_bytes_of_bits(struct bytes *in, struct bytes *content)
{
	struct bytes rest = *in, bits;
	if (!der_take(&rest, DER_BIT_STRING, &bits) || bits.n == 0 || bits.at[0] != 0)
		return false;
	*content = (struct bytes){ bits.at + 1, bits.n - 1 };
	*in = rest;
	return true;
}
