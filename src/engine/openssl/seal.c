/*
 * Alerts of our own. The library sends those that it thinks of itself, but has no call for others: where the
 * relay or a rule of ours ends a connection, the record is made here, with the key, the number and the nonce
 * that the library's next record would have had. Nothing of the library's goes out afterwards.
 */
#include <string.h>
#include "engine/openssl/private.h"
#include <openssl/hmac.h>
#include <openssl/rand.h>

enum { RECORD_ALERT = 21, RECORD_APPLICATION_DATA = 23, NONCE = 12, TAG = 16, BLOCK = 16, FATAL = 2 };
enum { MAC_MAX = 48 };

/* ---- secrets ---- */

/* HKDF-Expand-Label (RFC 8446 7.1) with an empty context, for no more than one hash. */
static bool expand(const EVP_MD *hash, const unsigned char *secret, size_t secret_n, const char *label,
	unsigned char *out, size_t n)
{
	unsigned char info[64], block[EVP_MAX_MD_SIZE];
	size_t label_n = strlen(label), at = 0;
	unsigned block_n = 0;
	bool good;

	info[at++] = 0;
	info[at++] = (unsigned char)n;
	info[at++] = (unsigned char)(6 + label_n);
	memcpy(info + at, "tls13 ", 6);
	memcpy(info + at + 6, label, label_n);
	at += 6 + label_n;
	info[at++] = 0; /* no context */
	info[at++] = 1; /* number of the block of HKDF-Expand (RFC 5869 2.3) */
	good = HMAC(hash, secret, (int)secret_n, info, at, block, &block_n) && n <= block_n;
	if (good)
		memcpy(out, block, n);
	x509_wipe(block, sizeof block);
	return good;
}

/* The PRF of TLS 1.2 (RFC 5246 5) for the key block (6.3). */
static bool key_block(struct openssl *o, const EVP_MD *hash, unsigned char *out, size_t n)
{
	enum { SEED = 13 + 2 * 32 };
	unsigned char master[48], a[EVP_MAX_MD_SIZE + SEED], block[EVP_MAX_MD_SIZE];
	size_t master_n = SSL_SESSION_get_master_key(SSL_get_session(o->ssl), master, sizeof master);
	unsigned hash_n = (unsigned)EVP_MD_size(hash), got = 0;
	unsigned char *seed = a + hash_n; /* behind A(i), so that both are one text */
	bool good;

	memcpy(seed, "key expansion", 13);
	good = SSL_get_server_random(o->ssl, seed + 13, 32) == 32 &&
		   SSL_get_client_random(o->ssl, seed + 13 + 32, 32) == 32 &&
		   HMAC(hash, master, (int)master_n, seed, SEED, a, &got);
	while (good && n) {
		size_t part = n < hash_n ? n : hash_n;

		good = HMAC(hash, master, (int)master_n, a, hash_n + SEED, block, &got) &&
			   HMAC(hash, master, (int)master_n, a, hash_n, a, &got);
		if (!good)
			break;
		memcpy(out, block, part);
		out += part;
		n -= part;
	}
	x509_wipe(master, sizeof master);
	x509_wipe(a, sizeof a);
	x509_wipe(block, sizeof block);
	return good;
}

void seal_update(struct openssl *o)
{
	struct sending *s = &o->sending;
	const EVP_MD *hash = SSL_CIPHER_get_handshake_digest(SSL_get_current_cipher(o->ssl));

	s->records = 0;
	if (!hash ||
		!expand(hash, s->application, s->application_n, "traffic upd", s->application, s->application_n))
		s->application_n = 0;
}

/* ---- records ---- */

struct sealing {
	const EVP_CIPHER *cipher;
	size_t key_n;
	bool gcm;
	const EVP_MD *mac; /* with CBC; NULL: an AEAD */
	size_t mac_n;
	unsigned char key[32], iv[NONCE], mac_key[MAC_MAX];
};

static bool use_cbc(const SSL_CIPHER *suite, const EVP_CIPHER *cipher, size_t key_n, struct sealing *how)
{
	int kind = SSL_CIPHER_get_digest_nid(suite);

	*how = (struct sealing){ .cipher = cipher, .key_n = key_n };
	how->mac = kind == NID_sha1     ? EVP_sha1()
			   : kind == NID_sha256 ? EVP_sha256()
			   : kind == NID_sha384 ? EVP_sha384()
									: NULL;
	how->mac_n = how->mac ? (size_t)EVP_MD_size(how->mac) : 0;
	return how->mac;
}

static bool find_cipher(const SSL_CIPHER *suite, struct sealing *how)
{
	switch (SSL_CIPHER_get_cipher_nid(suite)) {
	case NID_aes_128_gcm:
		*how = (struct sealing){ .cipher = EVP_aes_128_gcm(), .key_n = 16, .gcm = true };
		return true;
	case NID_aes_256_gcm:
		*how = (struct sealing){ .cipher = EVP_aes_256_gcm(), .key_n = 32, .gcm = true };
		return true;
	case NID_chacha20_poly1305:
		*how = (struct sealing){ .cipher = EVP_chacha20_poly1305(), .key_n = 32 };
		return true;
	case NID_aes_128_cbc:
		return use_cbc(suite, EVP_aes_128_cbc(), 16, how);
	case NID_aes_256_cbc:
		return use_cbc(suite, EVP_aes_256_cbc(), 32, how);
	}
	return false;
}

static bool find_key_13(struct openssl *o, const EVP_MD *hash, struct sealing *how)
{
	const struct sending *s = &o->sending;
	const unsigned char *secret = s->finished ? s->application : s->handshake;
	size_t n = s->finished ? s->application_n : s->handshake_n;

	return n && expand(hash, secret, n, "key", how->key, how->key_n) &&
		   expand(hash, secret, n, "iv", how->iv, NONCE);
}

/* Keys of HMAC, keys, salts: two of each, the client's first. */
static bool find_key_12(struct openssl *o, const EVP_MD *hash, struct sealing *how)
{
	unsigned char block[2 * (sizeof how->mac_key + sizeof how->key + NONCE)];
	size_t iv_n = how->mac ? 0 : how->gcm ? 4 : NONCE;
	size_t own = o->setup->client ? 0 : 1;
	const unsigned char *keys = block + 2 * how->mac_n, *salts = keys + 2 * how->key_n;
	bool good = key_block(o, hash, block, 2 * (how->mac_n + how->key_n + iv_n));

	if (good) {
		memcpy(how->mac_key, block + own * how->mac_n, how->mac_n);
		memcpy(how->key, keys + own * how->key_n, how->key_n);
		memcpy(how->iv, salts + own * iv_n, iv_n);
	}
	x509_wipe(block, sizeof block);
	return good;
}

static void put_number(uint64_t number, unsigned char out[8])
{
	for (int i = 7; i >= 0; i--, number >>= 8)
		out[i] = (unsigned char)number;
}

static void nonce_by_number(const struct sealing *how, uint64_t number, unsigned char nonce[NONCE])
{
	unsigned char text[8];

	put_number(number, text);
	memcpy(nonce, how->iv, NONCE);
	for (size_t i = 0; i < sizeof text; i++)
		nonce[NONCE - sizeof text + i] ^= text[i];
}

/* The one after the library's last: it counts as well (RFC 5288 3 wants no more than that none comes twice).
 */
static void next_explicit(const unsigned char last[8], unsigned char out[8])
{
	memcpy(out, last, 8);
	for (int i = 7; i >= 0 && ++out[i] == 0; i--)
		;
}

static bool encrypt(const struct sealing *how, const unsigned char nonce[NONCE], const unsigned char *header,
	size_t header_n, const unsigned char *plain, size_t n, unsigned char *out)
{
	EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
	int moved;
	bool good = context && EVP_EncryptInit_ex(context, how->cipher, NULL, how->key, nonce) &&
				EVP_EncryptUpdate(context, NULL, &moved, header, (int)header_n) &&
				EVP_EncryptUpdate(context, out, &moved, plain, (int)n) &&
				EVP_EncryptFinal_ex(context, out + n, &moved) &&
				EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, TAG, out + n);

	EVP_CIPHER_CTX_free(context);
	return good;
}

/* RFC 8446 5.2 */
static size_t seal_13(
	const struct sealing *how, uint64_t number, const unsigned char alert[2], unsigned char *out)
{
	const unsigned char inner[] = { alert[0], alert[1], RECORD_ALERT };
	unsigned char nonce[NONCE];

	memcpy(out, (const unsigned char[]){ RECORD_APPLICATION_DATA, 3, 3, 0, sizeof inner + TAG }, 5);
	nonce_by_number(how, number, nonce);
	return encrypt(how, nonce, out, 5, inner, sizeof inner, out + 5) ? 5 + sizeof inner + TAG : 0;
}

/* What is authenticated before the contents (RFC 5246 6.2.3). */
static void describe_12(const struct openssl *o, unsigned char additional[13])
{
	put_number(o->sending.records, additional);
	memcpy(additional + 8, (const unsigned char[]){ RECORD_ALERT, 3, 3, 0, 2 }, 5);
}

/* RFC 5246 6.2.3.3, RFC 5288, RFC 7905 */
static size_t seal_12(
	struct openssl *o, const struct sealing *how, const unsigned char alert[2], unsigned char *out)
{
	unsigned char nonce[NONCE], additional[13];
	size_t explicit_n = how->gcm ? 8 : 0;

	memcpy(out, (const unsigned char[]){ RECORD_ALERT, 3, 3, 0, (unsigned char)(explicit_n + 2 + TAG) }, 5);
	describe_12(o, additional);
	if (how->gcm) {
		memcpy(nonce, how->iv, 4);
		next_explicit(o->sending.explicit_nonce, nonce + 4);
		memcpy(out + 5, nonce + 4, 8);
	} else {
		nonce_by_number(how, o->sending.records, nonce);
	}
	return encrypt(how, nonce, additional, sizeof additional, alert, 2, out + 5 + explicit_n)
			   ? 5 + explicit_n + 2 + TAG
			   : 0;
}

/* RFC 5246 6.2.3.2: MAC, then padding, then encryption, behind an initialisation vector of its own. */
static size_t seal_12_cbc(
	struct openssl *o, const struct sealing *how, const unsigned char alert[2], unsigned char *out)
{
	unsigned char text[13 + 2], plain[2 + MAC_MAX + BLOCK];
	size_t n = 2 + how->mac_n, padding = BLOCK - n % BLOCK;
	unsigned char *iv = out + 5;
	unsigned mac_n = 0;
	int moved;
	EVP_CIPHER_CTX *context;
	bool good;

	describe_12(o, text);
	memcpy(text + 13, alert, 2);
	memcpy(plain, alert, 2);
	memset(plain + n, (int)padding - 1, padding);
	n += padding;
	memcpy(out, (const unsigned char[]){ RECORD_ALERT, 3, 3, 0, (unsigned char)(BLOCK + n) }, 5);
	context = EVP_CIPHER_CTX_new();
	good = context && RAND_bytes(iv, BLOCK) == 1 &&
		   HMAC(how->mac, how->mac_key, (int)how->mac_n, text, sizeof text, plain + 2, &mac_n) &&
		   EVP_EncryptInit_ex(context, how->cipher, NULL, how->key, iv) &&
		   EVP_CIPHER_CTX_set_padding(context, 0) &&
		   EVP_EncryptUpdate(context, iv + BLOCK, &moved, plain, (int)n);
	EVP_CIPHER_CTX_free(context);
	return good ? 5 + BLOCK + n : 0;
}

/* Suites from before TLS 1.2, too, have its hash in their key derivation (RFC 5246 5). */
static const EVP_MD *derivation_hash(const SSL_CIPHER *suite)
{
	const EVP_MD *hash = SSL_CIPHER_get_handshake_digest(suite);

	return hash && EVP_MD_type(hash) == NID_md5_sha1 ? EVP_sha256() : hash;
}

size_t seal_alert(struct openssl *o, int description, unsigned char out[SEALED_ALERT_MAX])
{
	const unsigned char alert[2] = { FATAL, (unsigned char)description };
	bool v13 = SSL_version(o->ssl) == TLS1_3_VERSION;
	const SSL_CIPHER *suite;
	const EVP_MD *hash;
	struct sealing how;
	size_t n = 0;

	if (o->sending.header_n)
		return 0; /* half a record stands before it */
	if (!o->sending.sealed && !o->sending.handshake_n) {
		/* Before anything was heard a record says 3.1, which every peer reads (RFC 5246 E.1). */
		const unsigned char clear[] = { RECORD_ALERT, 3, o->heard ? 3 : 1, 0, 2, alert[0], alert[1] };
		memcpy(out, clear, sizeof clear);
		return sizeof clear;
	}
	suite = SSL_get_current_cipher(o->ssl);
	hash = suite ? derivation_hash(suite) : NULL;
	if (!hash || !find_cipher(suite, &how))
		return 0;
	if (v13 ? find_key_13(o, hash, &how) : find_key_12(o, hash, &how))
		n = v13       ? seal_13(&how, o->sending.records, alert, out)
			: how.mac ? seal_12_cbc(o, &how, alert, out)
					  : seal_12(o, &how, alert, out);
	x509_wipe(&how, sizeof how);
	return n;
}
