/*
 * Private keys at work: does a key belong to a certificate, and signatures under TLS signature schemes.
 * Whoever holds keys (today the io program itself) needs these and nothing else of the library.
 */
#include <string.h>
#include "engine/bearssl/private.h"

/* Hash functions by the first byte of a SignatureScheme of the TLS 1.2 kind (RFC 5246 7.4.1.4.1). */
static const br_hash_class *hash_of(unsigned scheme)
{
	switch (scheme >> 8) {
	case br_sha256_ID:
		return &br_sha256_vtable;
	case br_sha384_ID:
		return &br_sha384_vtable;
	case br_sha512_ID:
		return &br_sha512_vtable;
	}
	return NULL;
}

static const unsigned char *oid_of(unsigned scheme)
{
	switch (scheme >> 8) {
	case br_sha256_ID:
		return BR_HASH_OID_SHA256;
	case br_sha384_ID:
		return BR_HASH_OID_SHA384;
	case br_sha512_ID:
		return BR_HASH_OID_SHA512;
	}
	return NULL;
}

static unsigned char *plain(struct bytes b)
{
	return (unsigned char *)(uintptr_t)b.at; /* the library's structs lack const; it does not write there */
}

static br_rsa_private_key rsa_key(const struct x509_private_key *key)
{
	return (br_rsa_private_key){ .n_bitlen =
									 (uint32_t)(key->n.n * 8) - (uint32_t)__builtin_clz(key->n.at[0]) + 24u,
		.p = plain(key->p),
		.plen = key->p.n,
		.q = plain(key->q),
		.qlen = key->q.n,
		.dp = plain(key->dp),
		.dplen = key->dp.n,
		.dq = plain(key->dq),
		.dqlen = key->dq.n,
		.iq = plain(key->qi),
		.iqlen = key->qi.n };
}

static size_t sign_rsa(const struct x509_private_key *key, const unsigned char *oid,
	const unsigned char *hash, size_t n, unsigned char *out, size_t room)
{
	br_rsa_private_key rsa = rsa_key(key);
	if (room < key->n.n || !br_rsa_pkcs1_sign_get_default()(oid, hash, n, &rsa, out))
		return 0;
	return key->n.n;
}

static size_t sign_ec(const struct x509_private_key *key, const br_hash_class *class,
	const unsigned char *hash, unsigned char *out, size_t room)
{
	enum { SIGNATURE_MAX = 144 }; /* two 66-byte numbers in DER */
	br_ec_private_key ec = { .curve = (int)key->curve, .x = plain(key->x), .xlen = key->x.n };
	if (room < SIGNATURE_MAX)
		return 0;
	return br_ecdsa_sign_asn1_get_default()(br_ec_get_default(), class, hash, &ec, out);
}

size_t engine_key_sign(
	const struct x509_private_key *key, const struct engine_to_sign *what, unsigned char *out, size_t room)
{
	const br_hash_class *class = hash_of(what->scheme);
	size_t hash_n = class ? class->desc >> BR_HASHDESC_OUT_OFF & BR_HASHDESC_OUT_MASK : 0;
	unsigned char hash[64];
	br_hash_compat_context context;

	if (!class || (what->hashed && what->text.n != hash_n))
		return 0;
	if (what->hashed) {
		memcpy(hash, what->text.at, hash_n);
	} else {
		class->init(&context.vtable);
		class->update(&context.vtable, what->text.at, what->text.n);
		class->out(&context.vtable, hash);
	}
	if ((what->scheme & 0xff) == 1 && key->kind == X509_KEY_RSA)
		return sign_rsa(key, oid_of(what->scheme), hash, hash_n, out, room);
	if ((what->scheme & 0xff) == 3 && key->kind == X509_KEY_EC)
		return sign_ec(key, class, hash, out, room);
	return 0;
}

static bool point_fits(const struct x509_private_key *key, const struct x509_public_key *public_key)
{
	br_ec_private_key ec = { .curve = (int)key->curve, .x = plain(key->x), .xlen = key->x.n };
	unsigned char point[BR_EC_KBUF_PUB_MAX_SIZE];
	br_ec_public_key computed;

	if (!br_ec_compute_pub(br_ec_get_default(), &computed, point, &ec))
		return false;
	return bytes_equal((struct bytes){ computed.q, computed.qlen }, public_key->point);
}

/* A signature made with the key must be one that the certificate's number verifies: finds damaged key files
 * too. */
static bool rsa_fits(const struct x509_private_key *key, const struct x509_public_key *public_key)
{
	static const unsigned char message[] = "key and certificate";
	const struct engine_to_sign what = { 0x0401, false, { message, sizeof message } };
	unsigned char signature[RSA_BYTES_MAX], hash[32], found[32];
	br_rsa_public_key rsa = { .n = plain(public_key->modulus),
		.nlen = public_key->modulus.n,
		.e = plain(public_key->exponent),
		.elen = public_key->exponent.n };

	if (public_key->modulus.n > sizeof signature || !engine_key_sign(key, &what, signature, sizeof signature))
		return false;
	engine_sha256((struct bytes){ message, sizeof message }, hash);
	return br_rsa_pkcs1_vrfy_get_default()(
			   signature, key->n.n, BR_HASH_OID_SHA256, sizeof found, &rsa, found) &&
		   memcmp(hash, found, sizeof hash) == 0;
}

bool engine_key_fits(const struct x509_private_key *key, const struct x509_public_key *public_key)
{
	bool certain;
	if (!x509_key_matches(key, public_key, &certain))
		return false;
	return key->kind == X509_KEY_EC ? point_fits(key, public_key) : rsa_fits(key, public_key);
}

void engine_sha256(struct bytes what, unsigned char out[32])
{
	br_sha256_context context;
	br_sha256_init(&context);
	br_sha256_update(&context, what.at, what.n);
	br_sha256_out(&context, out);
}
