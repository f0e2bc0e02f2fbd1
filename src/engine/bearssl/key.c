/*
 * Keys at work: signatures under TLS signature schemes, does a key belong to a certificate, and is a
 * signature on a certificate right. Whoever holds private keys (today the io program itself) needs these and
 * nothing else of the library.
 */
#include <string.h>
#include "engine/bearssl/private.h"

/* A hash function by its number in TLS (RFC 5246 7.4.1.4.1), which is the library's too. */
struct hash {
	const br_hash_class *class;
	const unsigned char *oid; /* as PKCS#1 wraps it */
};

static bool hash_of(unsigned number, struct hash *hash)
{
	switch (number) {
	case br_sha256_ID:
		*hash = (struct hash){ &br_sha256_vtable, BR_HASH_OID_SHA256 };
		return true;
	case br_sha384_ID:
		*hash = (struct hash){ &br_sha384_vtable, BR_HASH_OID_SHA384 };
		return true;
	case br_sha512_ID:
		*hash = (struct hash){ &br_sha512_vtable, BR_HASH_OID_SHA512 };
		return true;
	}
	return false;
}

static size_t hash_size(const struct hash *hash)
{
	return hash->class->desc >> BR_HASHDESC_OUT_OFF & BR_HASHDESC_OUT_MASK;
}

static void hash_text(const struct hash *hash, struct bytes text, unsigned char out[64])
{
	br_hash_compat_context context;

	hash->class->init(&context.vtable);
	hash->class->update(&context.vtable, text.at, text.n);
	hash->class->out(&context.vtable, out);
}

static unsigned char *plain(struct bytes b)
{
	return (unsigned char *)(uintptr_t)b.at; /* the library's structs lack const; it does not write there */
}

bool key_in_library_form(const struct x509_public_key *key, br_x509_pkey *out)
{
	switch (key->kind) {
	case X509_KEY_RSA:
		if (key->modulus.n > RSA_BYTES_MAX || key->exponent.n > RSA_EXPONENT_MAX)
			return false; /* with a long exponent one signature would take seconds */
		out->key_type = BR_KEYTYPE_RSA;
		out->key.rsa =
			(br_rsa_public_key){ plain(key->modulus), key->modulus.n, plain(key->exponent), key->exponent.n };
		return true;
	case X509_KEY_EC:
		if (!key->curve)
			return false;
		out->key_type = BR_KEYTYPE_EC;
		/* the library's numbers are those of TLS */
		out->key.ec = (br_ec_public_key){ (int)key->curve, plain(key->point), key->point.n };
		return true;
	case X509_KEY_OTHER:
		break;
	}
	return false;
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

/* Whether a signature is one: the primes of a damaged key give another number, from which anybody could
 * compute the key. */
static bool verifies(const struct x509_private_key *key, const unsigned char *oid, const unsigned char *hash,
	size_t n, const unsigned char *signature)
{
	const br_rsa_public_key rsa = {
		.n = plain(key->n), .nlen = key->n.n, .e = plain(key->e), .elen = key->e.n
	};
	unsigned char found[64];

	return br_rsa_pkcs1_vrfy_get_default()(signature, key->n.n, oid, n, &rsa, found) == 1 &&
		   memcmp(found, hash, n) == 0;
}

static size_t sign_rsa(const struct x509_private_key *key, const unsigned char *oid,
	const unsigned char *hash, size_t n, unsigned char *out, size_t room)
{
	br_rsa_private_key rsa = rsa_key(key);
	bool good = room >= key->n.n && br_rsa_pkcs1_sign_get_default()(oid, hash, n, &rsa, out);

	burn_stack();
	if (good && verifies(key, oid, hash, n, out))
		return key->n.n;
	x509_wipe(out, room < key->n.n ? room : key->n.n);
	return 0;
}

static size_t sign_ec(const struct x509_private_key *key, const br_hash_class *class,
	const unsigned char *hash, unsigned char *out, size_t room)
{
	enum { SIGNATURE_MAX = 144 }; /* two 66-byte numbers in DER */
	br_ec_private_key ec = { .curve = (int)key->curve, .x = plain(key->x), .xlen = key->x.n };
	size_t n;

	if (room < SIGNATURE_MAX)
		return 0;
	n = br_ecdsa_sign_asn1_get_default()(br_ec_get_default(), class, hash, &ec, out);
	burn_stack();
	return n;
}

size_t engine_key_sign(
	const struct x509_private_key *key, const struct engine_to_sign *what, unsigned char *out, size_t room)
{
	unsigned char hashed[64];
	struct hash hash;

	if (!hash_of(what->scheme >> 8, &hash) || (what->hashed && what->text.n != hash_size(&hash)))
		return 0;
	if (what->hashed)
		memcpy(hashed, what->text.at, what->text.n);
	else
		hash_text(&hash, what->text, hashed);
	if ((what->scheme & 0xff) == 1 && key->kind == X509_KEY_RSA)
		return sign_rsa(key, hash.oid, hashed, hash_size(&hash), out, room);
	if ((what->scheme & 0xff) == 3 && key->kind == X509_KEY_EC)
		return sign_ec(key, hash.class, hashed, out, room);
	return 0;
}

/* Both the computation and the check of the padding take the same time whatever they find. */
uint32_t engine_key_decrypt(const struct x509_private_key *key, unsigned char *bytes, size_t n)
{
	br_rsa_private_key rsa;
	uint32_t good;

	if (key->kind != X509_KEY_RSA)
		return 0;
	rsa = rsa_key(key);
	good = br_rsa_ssl_decrypt(br_rsa_private_get_default(), &rsa, bytes, n);
	burn_stack();
	return good;
}

static unsigned hash_number(enum x509_signature kind)
{
	switch (kind) {
	case X509_RSA_SHA256:
	case X509_ECDSA_SHA256:
		return br_sha256_ID;
	case X509_RSA_SHA384:
	case X509_ECDSA_SHA384:
		return br_sha384_ID;
	case X509_RSA_SHA512:
	case X509_ECDSA_SHA512:
		return br_sha512_ID;
	default:
		return 0;
	}
}

size_t engine_hash(enum x509_signature kind, struct bytes text, unsigned char out[ENGINE_HASH_MAX])
{
	struct hash hash;

	if (!hash_of(hash_number(kind), &hash))
		return 0;
	hash_text(&hash, text, out);
	return hash_size(&hash);
}

bool engine_check_hashed(const struct x509_public_key *key, enum x509_signature kind, struct bytes digest,
	struct bytes signature)
{
	unsigned char signed_hash[ENGINE_HASH_MAX];
	struct hash hash;
	br_x509_pkey public;

	if (!hash_of(hash_number(kind), &hash) || digest.n != hash_size(&hash) ||
		!key_in_library_form(key, &public))
		return false;
	if (public.key_type == BR_KEYTYPE_EC)
		return br_ecdsa_vrfy_asn1_get_default()(br_ec_get_default(), digest.at, digest.n, &public.key.ec,
				   signature.at, signature.n) == 1;
	return br_rsa_pkcs1_vrfy_get_default()(
			   signature.at, signature.n, hash.oid, digest.n, &public.key.rsa, signed_hash) == 1 &&
		   memcmp(digest.at, signed_hash, digest.n) == 0;
}

bool engine_check_signature(
	const struct x509_public_key *key, enum x509_signature kind, struct bytes text, struct bytes signature)
{
	unsigned char digest[ENGINE_HASH_MAX];
	size_t n = engine_hash(kind, text, digest);

	return n && engine_check_hashed(key, kind, (struct bytes){ digest, n }, signature);
}

static bool point_fits(const struct x509_private_key *key, const struct x509_public_key *public_key)
{
	br_ec_private_key ec = { .curve = (int)key->curve, .x = plain(key->x), .xlen = key->x.n };
	unsigned char point[BR_EC_KBUF_PUB_MAX_SIZE];
	br_ec_public_key computed;
	bool good = br_ec_compute_pub(br_ec_get_default(), &computed, point, &ec);

	burn_stack();
	return good && bytes_equal((struct bytes){ computed.q, computed.qlen }, public_key->point);
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
