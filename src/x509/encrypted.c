/*
 * Encrypted private keys: how they say that they are encrypted, and undoing it in place. PKCS#8 with PBES2
 * (RFC 8018 6.2), and OpenSSL's older form, a PEM block with the headers of RFC 1421. The primitives are
 * those of the engine; the work that a file may ask for is bounded.
 */
#include "encrypted.h"

#include <string.h>

static const char no_password[] = "encrypted, and no password on descriptor 3";
static const char wrong_password[] = "wrong password or damaged key";
static const char malformed[] = "malformed encrypted key";
static const char other_cipher[] = "encrypted with a cipher other than AES-CBC and DES-EDE3-CBC";
static const char refused[] = "the TLS library refuses to decrypt it";

static const struct cipher {
	enum x509_cipher cipher;
	size_t key, block;    /* bytes */
	const char *dek_name; /* in DEK-Info */
	const char *oid;      /* contents (NIST CSOR 4.1, RFC 8018 B.2.2) */
	size_t oid_n;
} ciphers[] = {
	{ X509_AES_128_CBC, 16, 16, "AES-128-CBC", "\x60\x86\x48\x01\x65\x03\x04\x01\x02", 9 },
	{ X509_AES_192_CBC, 24, 16, "AES-192-CBC", "\x60\x86\x48\x01\x65\x03\x04\x01\x16", 9 },
	{ X509_AES_256_CBC, 32, 16, "AES-256-CBC", "\x60\x86\x48\x01\x65\x03\x04\x01\x2a", 9 },
	{ X509_DES_EDE3_CBC, 24, 8, "DES-EDE3-CBC", "\x2a\x86\x48\x86\xf7\x0d\x03\x07", 8 },
};

static bool is(struct bytes b, const char *text, size_t n)
{
	return b.n == n && memcmp(b.at, text, n) == 0;
}

/* The functions below return NULL when done, else the words of the refusal. */

/* Takes off the padding (RFC 8018 6.1.1 step 4, RFC 1423 1.1); what is left must be one DER SEQUENCE. */
static const char *take_plain(const unsigned char *at, size_t n, size_t block, struct bytes *plain)
{
	size_t padding = at[n - 1];
	if (padding == 0 || padding > block)
		return wrong_password;
	for (size_t i = 0; i < padding; i++)
		if (at[n - 1 - i] != padding)
			return wrong_password;
	struct bytes in = { at, n - padding }, content;
	*plain = in;
	return der_take(&in, DER_SEQUENCE, &content) && in.n == 0 ? NULL : wrong_password;
}

static bool is_whole_blocks(struct bytes content, const struct cipher *cipher)
{
	return content.n > 0 && content.n % cipher->block == 0;
}

/* content, whole blocks, stands in text. */
static const char *decrypt(unsigned char *text, struct bytes content, const struct cipher *cipher,
	const struct x509_decryption *with, const unsigned char *key, const unsigned char *iv,
	struct bytes *plain)
{
	unsigned char *at = text + (content.at - text);
	if (!with->cbc(cipher->cipher, key, iv, at, content.n))
		return refused;
	return take_plain(at, content.n, cipher->block, plain);
}

/* ---- PBES2 ---- */

struct pbes2 {
	enum x509_prf prf;
	struct bytes salt, iv;
	uint64_t iterations, key_n; /* key_n 0: not said */
	const struct cipher *cipher;
};

/* AlgorithmIdentifier: *parameters is what follows the identifier. */
static bool take_algorithm(struct bytes *in, struct bytes *oid, struct bytes *parameters)
{
	struct bytes rest = *in;
	if (!der_take(&rest, DER_SEQUENCE, parameters) || !der_take(parameters, DER_OID, oid))
		return false;
	*in = rest;
	return true;
}

static const char *prf_of(struct bytes oid, enum x509_prf *prf)
{
	/* 1.2.840.113549.2: hmacWithSHA1 is 7, the others follow (RFC 8018 B.1) */
	enum { HMAC_SHA1 = 7, HMAC_SHA512 = 11 };
	static const char digest_algorithm[] = "\x2a\x86\x48\x86\xf7\x0d\x02";
	size_t n = sizeof digest_algorithm - 1;
	if (oid.n != n + 1 || memcmp(oid.at, digest_algorithm, n) != 0 || oid.at[n] < HMAC_SHA1 ||
		oid.at[n] > HMAC_SHA512)
		return "encrypted with a pseudorandom function other than HMAC with SHA-1 or SHA-2";
	*prf = (enum x509_prf)(oid.at[n] - HMAC_SHA1);
	return NULL;
}

/* PBKDF2-params (RFC 8018 A.2). */
static const char *read_pbkdf2(struct bytes in, struct pbes2 *how)
{
	struct bytes parameters, oid, prf_parameters, null;
	if (!der_take(&in, DER_SEQUENCE, &parameters) || in.n != 0 ||
		!der_take(&parameters, DER_OCTET_STRING, &how->salt) ||
		!der_take_uint(&parameters, &how->iterations) || how->iterations == 0)
		return malformed;
	if (how->salt.n > X509_SALT_MAX)
		return "encrypted with a salt of more than 128 bytes";
	if (how->iterations > X509_ITERATIONS_MAX)
		return "encrypted with more than 10000000 iterations";
	how->prf = X509_HMAC_SHA1;
	how->key_n = 0;
	if (parameters.n > 0 && parameters.at[0] == DER_INTEGER &&
		(!der_take_uint(&parameters, &how->key_n) || how->key_n == 0))
		return malformed;
	if (parameters.n == 0)
		return NULL;
	if (!take_algorithm(&parameters, &oid, &prf_parameters) || parameters.n != 0)
		return malformed;
	if (prf_parameters.n > 0 &&
		(!der_take(&prf_parameters, DER_NULL, &null) || null.n != 0 || prf_parameters.n != 0))
		return malformed;
	return prf_of(oid, &how->prf);
}

static const char *read_cipher(struct bytes oid, struct bytes parameters, struct pbes2 *how)
{
	how->cipher = NULL;
	for (size_t i = 0; i < sizeof ciphers / sizeof ciphers[0]; i++)
		if (is(oid, ciphers[i].oid, ciphers[i].oid_n))
			how->cipher = &ciphers[i];
	if (how->cipher == NULL)
		return other_cipher;
	if (!der_take(&parameters, DER_OCTET_STRING, &how->iv) || parameters.n != 0 ||
		how->iv.n != how->cipher->block || (how->key_n != 0 && how->key_n != how->cipher->key))
		return malformed;
	return NULL;
}

/* PBES2-params (RFC 8018 A.4). */
static const char *read_pbes2(struct bytes in, struct pbes2 *how)
{
	static const char pbkdf2[] = "\x2a\x86\x48\x86\xf7\x0d\x01\x05\x0c";
	struct bytes content, oid, parameters;
	if (!der_take(&in, DER_SEQUENCE, &content) || in.n != 0 || !take_algorithm(&content, &oid, &parameters))
		return malformed;
	if (!is(oid, pbkdf2, sizeof pbkdf2 - 1))
		return "encrypted with a key derivation other than PBKDF2";
	const char *bad = read_pbkdf2(parameters, how);
	if (bad != NULL)
		return bad;
	if (!take_algorithm(&content, &oid, &parameters) || content.n != 0)
		return malformed;
	return read_cipher(oid, parameters, how);
}

const char *encrypted_open_pkcs8(
	unsigned char *text, struct bytes der, const struct x509_password *password, struct bytes *plain)
{
	static const char pbes2[] = "\x2a\x86\x48\x86\xf7\x0d\x01\x05\x0d";
	struct bytes info, oid, parameters, content;
	struct pbes2 how;
	if (password == NULL)
		return no_password;
	if (!der_take(&der, DER_SEQUENCE, &info) || der.n != 0 || !take_algorithm(&info, &oid, &parameters) ||
		!der_take(&info, DER_OCTET_STRING, &content) || info.n != 0)
		return malformed;
	if (!is(oid, pbes2, sizeof pbes2 - 1))
		return "encrypted in an older way than PBES2";
	const char *bad = read_pbes2(parameters, &how);
	if (bad != NULL || !is_whole_blocks(content, how.cipher))
		return bad != NULL ? bad : malformed;

	unsigned char key[X509_CIPHER_KEY_MAX];
	bad = password->with->pbkdf2(
			  how.prf, password->text, how.salt, (unsigned)how.iterations, key, how.cipher->key)
			  ? decrypt(text, content, how.cipher, password->with, key, how.iv.at, plain)
			  : refused;
	x509_wipe(key, sizeof key);
	return bad;
}

/* ---- OpenSSL's older form ---- */

static int hex_digit(unsigned char c)
{
	return c >= '0' && c <= '9'   ? c - '0'
		   : c >= 'A' && c <= 'F' ? c - 'A' + 10
		   : c >= 'a' && c <= 'f' ? c - 'a' + 10
								  : -1;
}

/* "AES-256-CBC,0123…": the cipher, and its initialization vector in hexadecimal. */
static const char *read_dek_info(
	struct bytes info, const struct cipher **cipher, unsigned char iv[X509_CIPHER_BLOCK_MAX])
{
	const unsigned char *comma = info.n > 0 ? memchr(info.at, ',', info.n) : NULL;
	if (comma == NULL)
		return malformed;
	const struct bytes name = { info.at, (size_t)(comma - info.at) };
	const struct bytes hex = { comma + 1, info.n - name.n - 1 };
	*cipher = NULL;
	for (size_t i = 0; i < sizeof ciphers / sizeof ciphers[0]; i++)
		if (is(name, ciphers[i].dek_name, strlen(ciphers[i].dek_name)))
			*cipher = &ciphers[i];
	if (*cipher == NULL)
		return other_cipher;
	if (hex.n != 2 * (*cipher)->block)
		return malformed;
	for (size_t i = 0; i < (*cipher)->block; i++) {
		int high = hex_digit(hex.at[2 * i]), low = hex_digit(hex.at[2 * i + 1]);
		if (high < 0 || low < 0)
			return malformed;
		iv[i] = (unsigned char)(high << 4 | low);
	}
	return NULL;
}

/*
 * The key of such a block, as EVP_BytesToKey(3) derives it with MD5 and one iteration: each piece is the hash
 * of the one before it, the password, and the first eight bytes of the vector as salt.
 */
static bool derive_by_md5(const struct x509_password *password, const unsigned char *salt,
	unsigned char key[X509_CIPHER_KEY_MAX], size_t n)
{
	enum { MD5 = 16, SALT = 8 };
	unsigned char hashed[MD5 + X509_PASSWORD_MAX + SALT];
	size_t from = MD5; /* the first piece has none before it */
	bool good = true;
	memcpy(hashed + MD5, password->text.at, password->text.n);
	memcpy(hashed + MD5 + password->text.n, salt, SALT);
	for (size_t done = 0; done < n && good; done += MD5) {
		const struct bytes piece = { hashed + from, MD5 - from + password->text.n + SALT };
		good = password->with->md5(piece, hashed);
		memcpy(key + done, hashed, n - done < MD5 ? n - done : MD5);
		from = 0;
	}
	x509_wipe(hashed, sizeof hashed);
	return good;
}

const char *encrypted_open_pem(unsigned char *text, const struct pem_block *block,
	const struct x509_password *password, struct bytes *plain)
{
	unsigned char iv[X509_CIPHER_BLOCK_MAX], key[X509_CIPHER_KEY_MAX];
	const struct cipher *cipher;
	if (password == NULL)
		return no_password;
	if (password->text.n > X509_PASSWORD_MAX)
		return wrong_password;
	const char *bad = read_dek_info(block->dek_info, &cipher, iv);
	if (bad != NULL || !is_whole_blocks(block->content, cipher))
		return bad != NULL ? bad : malformed;
	bad = derive_by_md5(password, iv, key, cipher->key)
			  ? decrypt(text, block->content, cipher, password->with, key, iv, plain)
			  : refused;
	x509_wipe(key, sizeof key);
	return bad;
}
