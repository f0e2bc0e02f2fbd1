/*
 * The primitives that decrypt a private key: PBKDF2, of which the library has the HMAC, and block ciphers in
 * CBC mode.
 */
#include <string.h>
#include "engine/bearssl/private.h"

enum { HASH_MAX = 64 };

static bool md5(struct bytes text, unsigned char out[16])
{
	br_md5_context context;

	br_md5_init(&context);
	br_md5_update(&context, text.at, text.n);
	br_md5_out(&context, out);
	x509_wipe(&context, sizeof context);
	burn_stack();
	return true;
}

static const br_hash_class *hash_of(enum x509_prf prf)
{
	switch (prf) {
	case X509_HMAC_SHA1:
		return &br_sha1_vtable;
	case X509_HMAC_SHA224:
		return &br_sha224_vtable;
	case X509_HMAC_SHA256:
		return &br_sha256_vtable;
	case X509_HMAC_SHA384:
		return &br_sha384_vtable;
	case X509_HMAC_SHA512:
		return &br_sha512_vtable;
	}
	return NULL;
}

/* Block number i (RFC 8018 5.2 step 3, its function F); as long as the hash, whose length is returned. */
static size_t pbkdf2_block(const br_hmac_key_context *key, struct bytes salt, unsigned iterations, uint32_t i,
	unsigned char block[HASH_MAX])
{
	const unsigned char number[4] = { (unsigned char)(i >> 24), (unsigned char)(i >> 16),
		(unsigned char)(i >> 8), (unsigned char)i };
	unsigned char round[HASH_MAX];
	br_hmac_context hmac;
	size_t n;

	br_hmac_init(&hmac, key, 0);
	br_hmac_update(&hmac, salt.at, salt.n);
	br_hmac_update(&hmac, number, sizeof number);
	n = br_hmac_out(&hmac, round);
	memcpy(block, round, n);
	for (unsigned done = 1; done < iterations; done++) {
		br_hmac_init(&hmac, key, 0);
		br_hmac_update(&hmac, round, n);
		(void)br_hmac_out(&hmac, round); /* as long as before */
		for (size_t at = 0; at < n; at++)
			block[at] ^= round[at];
	}
	x509_wipe(&hmac, sizeof hmac);
	x509_wipe(round, sizeof round);
	return n;
}

static bool pbkdf2(enum x509_prf prf, struct bytes password, struct bytes salt, unsigned iterations,
	unsigned char *out, size_t n)
{
	const br_hash_class *hash = hash_of(prf);
	unsigned char block[HASH_MAX];
	br_hmac_key_context key;

	if (!hash)
		return false;
	br_hmac_key_init(&key, hash, password.at, password.n);
	for (uint32_t i = 1; n; i++) {
		size_t got = pbkdf2_block(&key, salt, iterations, i, block), take = got < n ? got : n;

		memcpy(out, block, take);
		out += take;
		n -= take;
	}
	x509_wipe(&key, sizeof key);
	x509_wipe(block, sizeof block);
	burn_stack(); /* HMAC's setup has the password there, merely XORed with a constant */
	return true;
}

static bool cbc_aes(const unsigned char *key, size_t key_n, unsigned char *iv, unsigned char *text, size_t n)
{
	const br_block_cbcdec_class *class = br_aes_x86ni_cbcdec_get_vtable();
	br_aes_gen_cbcdec_keys schedule;

	if (!class)
		class = &br_aes_ct64_cbcdec_vtable;
	class->init(&schedule.vtable, key, key_n);
	class->run(&schedule.vtable, iv, text, n);
	x509_wipe(&schedule, sizeof schedule);
	burn_stack();
	return true;
}

static bool cbc_des(const unsigned char *key, unsigned char *iv, unsigned char *text, size_t n)
{
	br_des_ct_cbcdec_keys schedule;

	br_des_ct_cbcdec_init(&schedule, key, 24);
	br_des_ct_cbcdec_run(&schedule, iv, text, n);
	x509_wipe(&schedule, sizeof schedule);
	burn_stack();
	return true;
}

static bool cbc(
	enum x509_cipher cipher, const unsigned char *key, const unsigned char *iv, unsigned char *text, size_t n)
{
	unsigned char chain[X509_CIPHER_BLOCK_MAX];

	memcpy(chain, iv, cipher == X509_DES_EDE3_CBC ? 8 : sizeof chain);
	switch (cipher) {
	case X509_AES_128_CBC:
		return cbc_aes(key, 16, chain, text, n);
	case X509_AES_192_CBC:
		return cbc_aes(key, 24, chain, text, n);
	case X509_AES_256_CBC:
		return cbc_aes(key, 32, chain, text, n);
	case X509_DES_EDE3_CBC:
		return cbc_des(key, chain, text, n);
	}
	return false;
}

const struct x509_decryption engine_decryption = { .md5 = md5, .pbkdf2 = pbkdf2, .cbc = cbc };
