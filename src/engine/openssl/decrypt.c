/*
 * The primitives that decrypt a private key. The library wipes what it has used.
 */
#include "engine/openssl/private.h"

static bool md5(struct bytes text, unsigned char out[16])
{
	return library_ready() && EVP_Digest(text.at, text.n, out, NULL, EVP_md5(), NULL) == 1;
}

static const EVP_MD *hash_of(enum x509_prf prf)
{
	switch (prf) {
	case X509_HMAC_SHA1:
		return EVP_sha1();
	case X509_HMAC_SHA224:
		return EVP_sha224();
	case X509_HMAC_SHA256:
		return EVP_sha256();
	case X509_HMAC_SHA384:
		return EVP_sha384();
	case X509_HMAC_SHA512:
		return EVP_sha512();
	}
	return NULL;
}

static bool pbkdf2(enum x509_prf prf, struct bytes password, struct bytes salt, unsigned iterations,
	unsigned char *out, size_t n)
{
	return library_ready() && PKCS5_PBKDF2_HMAC((const char *)password.at, (int)password.n, salt.at,
								  (int)salt.n, (int)iterations, hash_of(prf), (int)n, out) == 1;
}

static const EVP_CIPHER *cipher_of(enum x509_cipher cipher)
{
	switch (cipher) {
	case X509_AES_128_CBC:
		return EVP_aes_128_cbc();
	case X509_AES_192_CBC:
		return EVP_aes_192_cbc();
	case X509_AES_256_CBC:
		return EVP_aes_256_cbc();
	case X509_DES_EDE3_CBC:
		return EVP_des_ede3_cbc();
	}
	return NULL;
}

static bool cbc(
	enum x509_cipher cipher, const unsigned char *key, const unsigned char *iv, unsigned char *text, size_t n)
{
	EVP_CIPHER_CTX *context = library_ready() ? EVP_CIPHER_CTX_new() : NULL;
	int done = 0;
	/* The end, which would take off padding, is left out: the text is whole blocks. */
	bool good = context && EVP_DecryptInit_ex(context, cipher_of(cipher), NULL, key, iv) == 1 &&
				EVP_CIPHER_CTX_set_padding(context, 0) == 1 &&
				EVP_DecryptUpdate(context, text, &done, text, (int)n) == 1 && (size_t)done == n;

	EVP_CIPHER_CTX_free(context);
	return good;
}

const struct x509_decryption engine_decryption = { .md5 = md5, .pbkdf2 = pbkdf2, .cbc = cbc };
