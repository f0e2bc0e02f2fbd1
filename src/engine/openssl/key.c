/*
 * Keys at work: does a private key belong to a certificate, signatures under TLS signature schemes, and the
 * check of signatures on certificates. Whoever holds keys (today the io program itself) needs these and
 * nothing else of the library.
 */
#include <string.h>
#include "engine/openssl/private.h"
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/sha.h>

enum { RSA_BYTES_MAX = X509_RSA_BITS_MAX / 8 };

/* ---- schemes (RFC 8446 4.2.3) ---- */

enum { PKCS1 = 1, ECDSA = 3 }; /* low bytes; RSA-PSS has 8 as its high byte */

static bool is_pss(unsigned scheme)
{
	return scheme >= 0x0804 && scheme <= 0x0806;
}

const EVP_MD *key_hash(unsigned scheme)
{
	switch (is_pss(scheme) ? scheme & 0xff : scheme >> 8) {
	case 4:
		return EVP_sha256();
	case 5:
		return EVP_sha384();
	case 6:
		return EVP_sha512();
	}
	return NULL;
}

bool key_scheme_offered(unsigned scheme)
{
	unsigned kind = scheme & 0xff;

	return is_pss(scheme) || (scheme >> 8 != 8 && key_hash(scheme) && (kind == PKCS1 || kind == ECDSA));
}

static bool hash_text(const EVP_MD *hash, struct bytes text, unsigned char out[EVP_MAX_MD_SIZE])
{
	unsigned n;

	return library_ready() && EVP_Digest(text.at, text.n, out, &n, hash, NULL) == 1;
}

int key_curve_nid(unsigned curve)
{
	return curve == X509_P256   ? NID_X9_62_prime256v1
		   : curve == X509_P384 ? NID_secp384r1
		   : curve == X509_P521 ? NID_secp521r1
								: NID_undef;
}

/* ---- RSA-PSS blocks ---- */

/* True if block is an encoded message of EMSA-PSS with this hash and a salt as long (RFC 8017 9.1.1). */
static bool is_pss_block(struct bytes block, size_t bits, const EVP_MD *hash)
{
	unsigned char mask[RSA_BYTES_MAX];
	size_t n = (size_t)EVP_MD_size(hash), masked_n, zeros;
	unsigned spare = (unsigned)((8 - (bits - 1) % 8) % 8); /* bits of the first byte that must be zero */

	if ((bits - 1) % 8 == 0) {
		if (!block.n || block.at[0])
			return false;
		block.at++;
		block.n--;
	}
	if (block.n > sizeof mask || block.n < 2 * n + 2 || block.at[block.n - 1] != 0xbc)
		return false;
	masked_n = block.n - n - 1;
	if (spare && block.at[0] >> (8 - spare))
		return false;
	if (PKCS1_MGF1(mask, (long)masked_n, block.at + masked_n, (long)n, hash) != 0)
		return false;
	for (size_t i = 0; i < masked_n; i++)
		mask[i] ^= block.at[i];
	mask[0] = (unsigned char)(mask[0] & 0xff >> spare);
	zeros = masked_n - n - 1;
	for (size_t i = 0; i < zeros; i++)
		if (mask[i])
			return false;
	return mask[zeros] == 1;
}

unsigned key_pss_scheme(struct bytes block, size_t modulus_bits)
{
	if (block.n != (modulus_bits + 7) / 8)
		return 0;
	for (unsigned scheme = 0x0804; scheme <= 0x0806; scheme++)
		if (is_pss_block(block, modulus_bits, key_hash(scheme)))
			return scheme;
	return 0;
}

/* ---- RSA ---- */

static BIGNUM *number(struct bytes b)
{
	return BN_bin2bn(b.at, (int)b.n, NULL);
}

static bool set_public(RSA *rsa, struct bytes modulus, struct bytes exponent, BIGNUM *d)
{
	BIGNUM *n = number(modulus), *e = number(exponent);

	if (n && e && RSA_set0_key(rsa, n, e, d))
		return true;
	BN_free(n);
	BN_free(e);
	BN_clear_free(d);
	return false;
}

static bool set_primes(RSA *rsa, const struct x509_private_key *key)
{
	BIGNUM *p = number(key->p), *q = number(key->q), *dp = number(key->dp), *dq = number(key->dq),
		   *qi = number(key->qi);
	bool factors = p && q && RSA_set0_factors(rsa, p, q);
	bool rest = dp && dq && qi && RSA_set0_crt_params(rsa, dp, dq, qi);

	if (!factors) {
		BN_clear_free(p);
		BN_clear_free(q);
	}
	if (!rest) {
		BN_clear_free(dp);
		BN_clear_free(dq);
		BN_clear_free(qi);
	}
	return factors && rest;
}

/*
 * The key file's private exponent is not kept. The library looks for it only where the primes gave a wrong
 * result (a damaged file); with 1 in its place that ends in a signature which is of no use to anybody, and is
 * found out below.
 */
static RSA *rsa_private(const struct x509_private_key *key)
{
	RSA *rsa = RSA_new();
	BIGNUM *d = BN_new();

	if (rsa && d && BN_one(d) && set_public(rsa, key->n, key->e, d)) {
		if (set_primes(rsa, key))
			return rsa;
	} else if (!rsa) {
		BN_free(d);
	}
	RSA_free(rsa);
	return NULL;
}

static size_t sign_rsa(
	const struct x509_private_key *key, unsigned scheme, struct bytes hash, unsigned char *out, size_t room)
{
	RSA *rsa = room < key->n.n ? NULL : rsa_private(key);
	unsigned n = 0;

	if (rsa && (!RSA_sign(EVP_MD_type(key_hash(scheme)), hash.at, (unsigned)hash.n, out, &n, rsa) ||
				   RSA_verify(EVP_MD_type(key_hash(scheme)), hash.at, (unsigned)hash.n, out, n, rsa) != 1))
		n = 0;
	RSA_free(rsa);
	return n;
}

/* Signs the encoded block; the length of the signature, 0 if it does not come out right. */
static size_t sign_block(RSA *rsa, const unsigned char *block, int n, unsigned char *out)
{
	unsigned char found[RSA_BYTES_MAX];

	return RSA_private_encrypt(n, block, out, rsa, RSA_NO_PADDING) == n &&
				   RSA_public_decrypt(n, out, found, rsa, RSA_NO_PADDING) == n &&
				   !memcmp(found, block, (size_t)n)
			   ? (size_t)n
			   : 0;
}

/* text: the hash, or the encoded block already. */
static size_t sign_pss(
	const struct x509_private_key *key, unsigned scheme, struct bytes text, unsigned char *out, size_t room)
{
	unsigned char block[RSA_BYTES_MAX];
	const EVP_MD *hash = key_hash(scheme);
	RSA *rsa = room < key->n.n || key->n.n > sizeof block ? NULL : rsa_private(key);
	size_t n = 0;

	if (!rsa)
		return 0;
	if (text.n != key->n.n) {
		if (RSA_padding_add_PKCS1_PSS_mgf1(rsa, block, text.at, hash, hash, -1))
			n = sign_block(rsa, block, (int)key->n.n, out);
	} else if (is_pss_block(text, (size_t)RSA_bits(rsa), hash)) {
		memcpy(block, text.at, text.n); /* out may overlap it */
		n = sign_block(rsa, block, (int)text.n, out);
	}
	RSA_free(rsa);
	return n;
}

/* ---- ECDSA ---- */

static size_t sign_ec(const struct x509_private_key *key, struct bytes hash, unsigned char *out, size_t room)
{
	EC_KEY *ec = EC_KEY_new_by_curve_name(key_curve_nid(key->curve));
	unsigned n = 0;

	if (ec && EC_KEY_oct2priv(ec, key->x.at, key->x.n) && room >= (size_t)ECDSA_size(ec) &&
		!ECDSA_sign(0, hash.at, (int)hash.n, out, &n, ec))
		n = 0;
	EC_KEY_free(ec);
	return n;
}

/* ---- signing ---- */

size_t engine_key_sign(
	const struct x509_private_key *key, const struct engine_to_sign *what, unsigned char *out, size_t room)
{
	const EVP_MD *hash = key_hash(what->scheme);
	unsigned char hashed[EVP_MAX_MD_SIZE];
	struct bytes text = what->text;
	bool encoded;

	if (!hash || !library_ready())
		return 0;
	encoded = what->hashed && is_pss(what->scheme) && key->kind == X509_KEY_RSA && text.n == key->n.n;
	if (!what->hashed) {
		if (!hash_text(hash, text, hashed))
			return 0;
		text = (struct bytes){ hashed, (size_t)EVP_MD_size(hash) };
	} else if (text.n != (size_t)EVP_MD_size(hash) && !encoded) {
		return 0;
	}
	if (key->kind == X509_KEY_RSA && is_pss(what->scheme))
		return sign_pss(key, what->scheme, text, out, room);
	if (key->kind == X509_KEY_RSA && (what->scheme & 0xff) == PKCS1)
		return sign_rsa(key, what->scheme, text, out, room);
	if (key->kind == X509_KEY_EC && (what->scheme & 0xff) == ECDSA)
		return sign_ec(key, text, out, room);
	return 0;
}

uint32_t engine_key_decrypt(const struct x509_private_key *key, unsigned char *bytes, size_t n)
{
	(void)key, (void)bytes, (void)n;
	return 0; /* no suite asks for it */
}

/* ---- checking ---- */

static bool check_rsa(const struct x509_public_key *key, const EVP_MD *hash, const unsigned char *hashed,
	struct bytes signature)
{
	RSA *rsa = key->modulus.n > RSA_BYTES_MAX || key->exponent.n > RSA_EXPONENT_MAX ? NULL : RSA_new();
	bool good = rsa && set_public(rsa, key->modulus, key->exponent, NULL) &&
				RSA_verify(EVP_MD_type(hash), hashed, (unsigned)EVP_MD_size(hash), signature.at,
					(unsigned)signature.n, rsa) == 1;

	RSA_free(rsa);
	return good;
}

static bool check_ec(const struct x509_public_key *key, const EVP_MD *hash, const unsigned char *hashed,
	struct bytes signature)
{
	int curve = key_curve_nid(key->curve);
	EC_KEY *ec = curve == NID_undef ? NULL : EC_KEY_new_by_curve_name(curve);
	bool good = ec && EC_KEY_oct2key(ec, key->point.at, key->point.n, NULL) &&
				ECDSA_verify(0, hashed, EVP_MD_size(hash), signature.at, (int)signature.n, ec) == 1;

	EC_KEY_free(ec);
	return good;
}

static const EVP_MD *hash_of_kind(enum x509_signature kind)
{
	switch (kind) {
	case X509_RSA_SHA256:
	case X509_ECDSA_SHA256:
		return EVP_sha256();
	case X509_RSA_SHA384:
	case X509_ECDSA_SHA384:
		return EVP_sha384();
	case X509_RSA_SHA512:
	case X509_ECDSA_SHA512:
		return EVP_sha512();
	default:
		return NULL;
	}
}

size_t engine_hash(enum x509_signature kind, struct bytes text, unsigned char out[ENGINE_HASH_MAX])
{
	const EVP_MD *hash = hash_of_kind(kind);

	return hash && hash_text(hash, text, out) ? (size_t)EVP_MD_size(hash) : 0;
}

bool engine_check_hashed(const struct x509_public_key *key, enum x509_signature kind, struct bytes digest,
	struct bytes signature)
{
	const EVP_MD *hash = hash_of_kind(kind);
	bool ecdsa = kind == X509_ECDSA_SHA256 || kind == X509_ECDSA_SHA384 || kind == X509_ECDSA_SHA512, good;

	if (!hash || !library_ready() || digest.n != (size_t)EVP_MD_size(hash) || !signature.n || signature.n > 2 * RSA_BYTES_MAX ||
		key->kind != (ecdsa ? X509_KEY_EC : X509_KEY_RSA))
		return false;
	/* Called in the middle of a handshake, which must not find our error in the library's queue and fail. */
	(void)ERR_set_mark();
	good = ecdsa ? check_ec(key, hash, digest.at, signature) : check_rsa(key, hash, digest.at, signature);
	(void)ERR_pop_to_mark();
	return good;
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
	EC_KEY *ec = EC_KEY_new_by_curve_name(key_curve_nid(key->curve));
	const EC_GROUP *group = ec ? EC_KEY_get0_group(ec) : NULL;
	EC_POINT *point = group ? EC_POINT_new(group) : NULL;
	unsigned char octets[2 * 66 + 1];
	size_t n = 0;

	if (point && EC_KEY_oct2priv(ec, key->x.at, key->x.n) &&
		EC_POINT_mul(group, point, EC_KEY_get0_private_key(ec), NULL, NULL, NULL))
		n = EC_POINT_point2oct(group, point, POINT_CONVERSION_UNCOMPRESSED, octets, sizeof octets, NULL);
	EC_POINT_free(point);
	EC_KEY_free(ec);
	return n && bytes_equal((struct bytes){ octets, n }, public_key->point);
}

/* A signature made with the key must be one that the certificate's number verifies: finds damaged key files
 * too. */
static bool rsa_fits(const struct x509_private_key *key, const struct x509_public_key *public_key)
{
	static const unsigned char message[] = "key and certificate";
	const struct engine_to_sign what = { 0x0401, false, { message, sizeof message } };
	unsigned char signature[RSA_BYTES_MAX];
	size_t n = engine_key_sign(key, &what, signature, sizeof signature);

	return n &&
		   engine_check_signature(public_key, X509_RSA_SHA256, what.text, (struct bytes){ signature, n });
}

bool engine_key_fits(const struct x509_private_key *key, const struct x509_public_key *public_key)
{
	bool certain;

	if (!library_ready() || !x509_key_matches(key, public_key, &certain))
		return false;
	return key->kind == X509_KEY_EC ? point_fits(key, public_key) : rsa_fits(key, public_key);
}

void engine_sha256(struct bytes what, unsigned char out[32])
{
	if (library_ready())
		(void)SHA256(what.at, what.n, out);
}
