/*
 * Algorithms and curves by object identifier, and the small DER types that keys, certificates and revocation
 * lists are made of.
 */
#include "oids.h"

#include <string.h>

#define BYTES(array)                                                                                         \
	(struct bytes)                                                                                           \
	{                                                                                                        \
		array, sizeof array                                                                                  \
	}

struct bytes oid_of_key(enum x509_key_kind kind)
{
	static const unsigned char rsa_encryption[] = { 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01 };
	static const unsigned char ec_public_key[] = { 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01 };
	return kind == X509_KEY_RSA ? BYTES(rsa_encryption) : BYTES(ec_public_key);
}

bool oid_is_rsa(struct bytes oid)
{
	return bytes_equal(oid, oid_of_key(X509_KEY_RSA));
}

bool oid_is_ec(struct bytes oid)
{
	return bytes_equal(oid, oid_of_key(X509_KEY_EC));
}

struct bytes oid_of_curve(unsigned curve)
{
	static const unsigned char secp256r1[] = { 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07 };
	static const unsigned char secp384r1[] = { 0x2b, 0x81, 0x04, 0x00, 0x22 };
	static const unsigned char secp521r1[] = { 0x2b, 0x81, 0x04, 0x00, 0x23 };
	return curve == X509_P256 ? BYTES(secp256r1) : curve == X509_P384 ? BYTES(secp384r1) : BYTES(secp521r1);
}

unsigned oid_curve(struct bytes oid)
{
	for (unsigned curve = X509_P256; curve <= X509_P521; curve++)
		if (bytes_equal(oid, oid_of_curve(curve)))
			return curve;
	return 0;
}

static const unsigned char pkcs1[] = { 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01 };
static const unsigned char x962[] = { 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04 };

enum { MD5 = 4, SHA1 = 5, SHA256 = 11, SHA384 = 12, SHA512 = 13 }; /* arcs of withRSAEncryption */

enum x509_signature oid_signature(struct bytes oid)
{
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

size_t oid_of_signature(enum x509_signature kind, unsigned char out[OID_SIGNATURE_MAX])
{
	if (kind < X509_ECDSA_SHA1) {
		memcpy(out, pkcs1, sizeof pkcs1);
		out[sizeof pkcs1] = (unsigned char)(kind == X509_RSA_SHA1 ? SHA1 : SHA256 + (kind - X509_RSA_SHA256));
		return sizeof pkcs1 + 1;
	}
	memcpy(out, x962, sizeof x962);
	if (kind == X509_ECDSA_SHA1) {
		out[sizeof x962] = 1;
		return sizeof x962 + 1;
	}
	out[sizeof x962] = 3; /* ecdsa-with-SHA2 */
	out[sizeof x962 + 1] = (unsigned char)(2 + (kind - X509_ECDSA_SHA256));
	return sizeof x962 + 2;
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

bool der_read_algorithm(struct bytes content, struct bytes *oid, struct bytes *parameters)
{
	struct bytes value;
	unsigned tag;
	if (!der_take(&content, DER_OID, oid) || oid->n == 0)
		return false;
	*parameters = content;
	return content.n == 0 || (der_next(&content, &tag, &value) && content.n == 0);
}

/* RFC 4055 5: NULL with RSA, though some leave it out; RFC 5758 3.2: nothing with ECDSA. */
static bool signature_parameters_fit(enum x509_signature kind, struct bytes parameters)
{
	struct bytes null;
	switch (kind) {
	case X509_SIGNED_OTHERWISE:
		return true;
	case X509_RSA_SHA1:
	case X509_RSA_SHA256:
	case X509_RSA_SHA384:
	case X509_RSA_SHA512:
		return parameters.n == 0 || (der_take(&parameters, DER_NULL, &null) && null.n == 0);
	default:
		return parameters.n == 0;
	}
}

bool der_read_signature_algorithm(struct bytes content, struct bytes *oid, enum x509_signature *kind)
{
	struct bytes parameters;
	if (!der_read_algorithm(content, oid, &parameters))
		return false;
	*kind = oid_signature(*oid);
	return signature_parameters_fit(*kind, parameters);
}

bool der_take_flag(struct bytes *in, unsigned tag, bool *flag)
{
	struct bytes value;
	*flag = false;
	if (in->n == 0 || in->at[0] != tag)
		return true;
	if (!der_take(in, tag, &value) || value.n != 1 || (value.at[0] != 0 && value.at[0] != 0xff))
		return false;
	*flag = value.at[0] != 0;
	return true;
}

bool der_take_serial(struct bytes *in, struct bytes *serial)
{
	if (!der_take(in, DER_INTEGER, serial) || serial->n == 0)
		return false;
	unsigned sign = serial->at[0] >= 0x80 ? 0xff : 0;
	return serial->n == 1 || serial->at[0] != sign || (serial->at[1] ^ sign) >= 0x80;
}

bool der_take_extension(struct bytes *in, struct bytes *oid, bool *critical, struct bytes *value)
{
	struct bytes item;
	return der_take(in, DER_SEQUENCE, &item) && der_take(&item, DER_OID, oid) && oid->n > 0 &&
		   der_take_flag(&item, DER_BOOLEAN, critical) && der_take(&item, DER_OCTET_STRING, value) &&
		   item.n == 0;
}
