/*
 * Encrypted private keys, against what openssl made, with the primitives of BearSSL; and the bounds, with
 * primitives that say what they were asked for. Needs what x509_fixtures makes, in $FIXTURES.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "engine/engine.h"
#include "x509_fixture.h"

static const struct x509_password right = { { (const unsigned char *)"secret", 6 }, &engine_decryption };

/* NULL, or the words of the refusal. The key borrows from *memory. */
static const char *read_with(const char *name, const struct x509_password *password,
	struct x509_private_key *key, unsigned char **memory)
{
	struct x509_problem problem;
	size_t n;
	*memory = fixture(name, &n);
	return x509_read_private_key(*memory, n, password, key, &problem) ? NULL : problem.reason;
}

static void assert_same_key(const struct x509_private_key *a, const struct x509_private_key *b)
{
	assert_int_equal(a->kind, b->kind);
	assert_int_equal(a->curve, b->curve);
	const struct bytes *const parts[][2] = { { &a->n, &b->n }, { &a->e, &b->e }, { &a->p, &b->p },
		{ &a->q, &b->q }, { &a->dp, &b->dp }, { &a->dq, &b->dq }, { &a->qi, &b->qi }, { &a->x, &b->x },
		{ &a->point, &b->point } };
	for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
		assert_bytes(*parts[i][0], *parts[i][1]);
}

/* The encrypted key is the plain one, opened with the right password and with no other. */
static void assert_opens_with(const char *encrypted, const char *plain, const struct x509_password *password)
{
	static const struct x509_password wrong[] = { { { (const unsigned char *)"Secret", 6 },
													  &engine_decryption },
		{ { (const unsigned char *)"secret", 5 }, &engine_decryption },
		{ { (const unsigned char *)"secrets", 7 }, &engine_decryption } };
	struct x509_private_key key, expected;
	unsigned char *memory, *other;
	const char *bad = read_with(encrypted, password, &key, &memory);
	if (bad != NULL)
		fail_msg("%s: %s", encrypted, bad);
	assert_null(read_with(plain, NULL, &expected, &other));
	assert_same_key(&key, &expected);
	free(memory);
	free(other);
	for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
		bad = read_with(encrypted, &wrong[i], &key, &memory);
		assert_non_null(bad);
		assert_string_equal(bad, "wrong password or damaged key");
		assert_int_equal(key.kind, X509_KEY_OTHER);
		free(memory);
	}
	bad = read_with(encrypted, NULL, &key, &memory);
	assert_non_null(bad);
	assert_string_equal(bad, "encrypted, and no password on descriptor 3");
	free(memory);
}

static void assert_opens(const char *encrypted, const char *plain)
{
	assert_opens_with(encrypted, plain, &right);
}

static const char *const ciphers[] = { "aes-128-cbc", "aes-192-cbc", "aes-256-cbc", "des-ede3-cbc" };

static void pbes2(void **state)
{
	(void)state;
	static const char *const prfs[] = { "SHA1", "SHA224", "SHA256", "SHA384", "SHA512" };
	char name[64];
	for (size_t i = 0; i < 4; i++)
		for (size_t j = 0; j < 5; j++) {
			(void)snprintf(name, sizeof name, "encrypted.%s.%s.pem", ciphers[i], prfs[j]);
			assert_opens(name, "P-384.pkcs8.pem");
		}
	assert_opens("encrypted.pkcs8.pem", "rsa4096.pkcs8.pem");
	assert_opens("encrypted.pkcs8.der", "rsa2048.pkcs8.pem");
	assert_opens("encrypted.crlf.pkcs8.pem", "rsa4096.pkcs8.pem");
	assert_opens("encrypted.around.pkcs8.pem", "rsa4096.pkcs8.pem");
}

static void older_form(void **state)
{
	(void)state;
	char name[64];
	for (size_t i = 0; i < 4; i++) {
		(void)snprintf(name, sizeof name, "encrypted.%s.pkcs1.pem", ciphers[i]);
		assert_opens(name, "rsa2048.pkcs1.pem");
		(void)snprintf(name, sizeof name, "encrypted.%s.sec1.pem", ciphers[i]);
		assert_opens(name, "P-384.sec1.pem");
	}
	assert_opens("encrypted.crlf.pkcs1.pem", "rsa2048.pkcs1.pem");
	assert_opens("encrypted.around.pkcs1.pem", "rsa2048.pkcs1.pem");
	assert_opens("encrypted.commented.pkcs1.pem", "rsa2048.pkcs1.pem");
}

static void lengths_of_passwords(void **state)
{
	(void)state;
	unsigned char zeros[X509_PASSWORD_MAX + 1];
	memset(zeros, '0', sizeof zeros);
	assert_opens_with("encrypted.empty.pem", "P-384.pkcs8.pem",
		&(struct x509_password){ { zeros, 0 }, &engine_decryption });
	assert_opens_with("encrypted.long.pem", "P-384.pkcs8.pem",
		&(struct x509_password){ { zeros, X509_PASSWORD_MAX }, &engine_decryption });
	struct x509_private_key key;
	unsigned char *memory;
	const struct x509_password longer = { { zeros, X509_PASSWORD_MAX + 1 }, &engine_decryption };
	assert_string_equal(read_with("encrypted.aes-128-cbc.pkcs1.pem", &longer, &key, &memory),
		"wrong password or damaged key");
	free(memory);
}

/* A password for a key that needs none. */
static void not_encrypted(void **state)
{
	(void)state;
	static const char *const files[] = { "rsa2048.pkcs1.pem", "rsa2048.pkcs8.pem", "rsa2048.pkcs8.der",
		"P-384.sec1.pem" };
	for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
		struct x509_private_key key;
		unsigned char *memory;
		assert_null(read_with(files[i], &right, &key, &memory));
		free(memory);
	}
}

static void refused(void **state)
{
	(void)state;
	static const char cipher[] = "encrypted with a cipher other than AES-CBC and DES-EDE3-CBC";
	static const char malformed[] = "malformed encrypted key";
	static const char *const expected[][2] = {
		{ "encrypted.pbes1.pem", "encrypted in an older way than PBES2" },
		{ "encrypted.scrypt.pem", "encrypted with a key derivation other than PBKDF2" },
		{ "encrypted.prf.pem", "encrypted with a pseudorandom function other than HMAC with SHA-1 or SHA-2" },
		{ "encrypted.camellia.pem", cipher },
		{ "encrypted.camellia.pkcs1.pem", cipher },
		{ "encrypted.nodek.pem", malformed },
		{ "encrypted.nocomma.pem", malformed },
		{ "encrypted.short.pem", malformed },
		{ "encrypted.nohex.pem", malformed },
		{ "encrypted.damaged.pem", "wrong password or damaged key" },
		{ "encrypted.ed25519.pem", "a key that is neither RSA nor EC" },
	};
	for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++) {
		struct x509_private_key key;
		unsigned char *memory;
		const char *bad = read_with(expected[i][0], &right, &key, &memory);
		if (bad == NULL)
			fail_msg("%s is read", expected[i][0]);
		assert_string_equal(bad, expected[i][1]);
		assert_int_equal(key.kind, X509_KEY_OTHER);
		free(memory);
	}
}

/* ---- bounds ---- */

/* What the primitives were asked for last. */
static struct {
	unsigned calls, iterations;
	size_t salt_n, key_n, n;
	bool refuse;
} asked;

static bool no_md5(struct bytes text, unsigned char out[16])
{
	asked.calls++;
	memset(out, (int)text.n, 16);
	return !asked.refuse;
}

static bool no_pbkdf2(enum x509_prf prf, struct bytes password, struct bytes salt, unsigned iterations,
	unsigned char *out, size_t n)
{
	assert_int_equal(prf, X509_HMAC_SHA256);
	assert_int_equal(password.n, 6);
	asked.calls++;
	asked.iterations = iterations;
	asked.salt_n = salt.n;
	asked.key_n = n;
	memset(out, 1, n);
	return !asked.refuse;
}

/* Leaves the text, whose end is then taken for padding. */
static bool no_cbc(
	enum x509_cipher cipher, const unsigned char *key, const unsigned char *iv, unsigned char *text, size_t n)
{
	(void)cipher, (void)key, (void)iv, (void)text;
	asked.n = n;
	return !asked.refuse;
}

static const struct x509_decryption recording = { no_md5, no_pbkdf2, no_cbc };
static const struct x509_password recorded = { { (const unsigned char *)"secret", 6 }, &recording };

/* An EncryptedPrivateKeyInfo to be; what is false or 0 is as it should be. */
struct shape {
	size_t salt_n, iv_n, text_n; /* bytes */
	const char *iterations;      /* contents of the INTEGER */
	size_t iterations_n;
	unsigned key_n; /* 0: not said */
	unsigned prf;   /* last byte of the identifier; 0: not said */
	bool prf_without_null, prf_with_extra, padding_lies;
};

static size_t put(unsigned char *out, unsigned tag, const void *content, size_t n)
{
	size_t header = n < 0x80 ? 2 : n < 0x100 ? 3 : 4;
	memmove(out + header, content, n);
	out[0] = (unsigned char)tag;
	out[1] = (unsigned char)(n < 0x80 ? n : 0x80 + header - 2);
	if (header == 3)
		out[2] = (unsigned char)n;
	if (header == 4) {
		out[2] = (unsigned char)(n >> 8);
		out[3] = (unsigned char)n;
	}
	return header + n;
}

static size_t make(unsigned char *out, const struct shape *shape)
{
	static const unsigned char pkcs8[] = "\x30\x0e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70\x04\x02\x04\x00";
	unsigned char bytes[600] = { 0 }, a[1200], b[1200];
	size_t n = 0, m;

	n += put(a + n, DER_OCTET_STRING, bytes, shape->salt_n);
	n += put(a + n, DER_INTEGER, shape->iterations, shape->iterations_n);
	if (shape->key_n) {
		bytes[0] = (unsigned char)shape->key_n;
		n += put(a + n, DER_INTEGER, bytes, 1);
	}
	if (shape->prf) {
		memcpy(bytes, "\x06\x08\x2a\x86\x48\x86\xf7\x0d\x02", 9);
		bytes[9] = (unsigned char)shape->prf;
		memcpy(bytes + 10, "\x05\x00\x05\x00", 4);
		n += put(a + n, DER_SEQUENCE, bytes, shape->prf_without_null ? 10 : shape->prf_with_extra ? 14 : 12);
	}
	n = put(a, DER_SEQUENCE, a, n); /* PBKDF2-params */
	memcpy(b, "\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x05\x0c", 11);
	memcpy(b + 11, a, n);
	n = put(a, DER_SEQUENCE, b, 11 + n); /* keyDerivationFunc */
	memcpy(b, "\x06\x09\x60\x86\x48\x01\x65\x03\x04\x01\x2a", 11);
	memset(bytes, 0, sizeof bytes);
	m = put(b + 11, DER_OCTET_STRING, bytes, shape->iv_n);
	n += put(a + n, DER_SEQUENCE, b, 11 + m); /* encryptionScheme */
	n = put(a, DER_SEQUENCE, a, n);
	memcpy(b, "\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x05\x0d", 11);
	memcpy(b + 11, a, n);
	n = put(a, DER_SEQUENCE, b, 11 + n); /* encryptionAlgorithm */
	memset(bytes, shape->padding_lies ? 15 : 16, sizeof bytes);
	if (shape->padding_lies)
		bytes[shape->text_n - 1] = 16;
	memcpy(bytes, pkcs8, sizeof pkcs8 - 1);
	n += put(a + n, DER_OCTET_STRING, bytes, shape->text_n);
	return put(out, DER_SEQUENCE, a, n);
}

static const char *read_shape(const struct shape *shape)
{
	unsigned char made[1400];
	size_t n = make(made, shape);
	unsigned char *copy = exact_copy(made, n);
	struct x509_private_key key;
	struct x509_problem problem;
	asked.calls = 0;
	asked.n = 0;
	assert_false(x509_read_private_key(copy, n, &recorded, &key, &problem));
	free(copy);
	return problem.reason;
}

#define ITERATIONS(content) .iterations = content, .iterations_n = sizeof content - 1
/* What openssl does, but for an Ed25519 key inside, which is where reading it ends. */
#define USUAL_BUT_PRF .salt_n = 16, .iv_n = 16, .text_n = 32, ITERATIONS("\x08\x00")
#define USUAL         USUAL_BUT_PRF, .prf = 9

static void bounds(void **state)
{
	(void)state;
	static const char opened[] = "a key that is neither RSA nor EC", malformed[] = "malformed encrypted key";
	static const char wrong[] = "wrong password or damaged key";
	static const char iterations[] = "encrypted with more than 10000000 iterations";
	const struct {
		struct shape shape;
		const char *words;
	} cases[] = {
		{ { USUAL }, opened },
		{ { USUAL, .key_n = 32 }, opened },
		{ { USUAL, .key_n = 16 }, malformed },
		{ { USUAL, .key_n = 33 }, malformed },
		{ { USUAL, .prf_without_null = true }, opened },
		{ { USUAL, .prf_with_extra = true }, malformed },
		{ { .salt_n = 0, .iv_n = 16, .text_n = 32, .prf = 9, ITERATIONS("\x01") }, opened },
		{ { .salt_n = 128, .iv_n = 16, .text_n = 32, .prf = 9, ITERATIONS("\x01") }, opened },
		{ { .salt_n = 129, .iv_n = 16, .text_n = 32, .prf = 9, ITERATIONS("\x01") },
			"encrypted with a salt of more than 128 bytes" },
		{ { .salt_n = 8, .iv_n = 15, .text_n = 32, .prf = 9, ITERATIONS("\x01") }, malformed },
		{ { .salt_n = 8, .iv_n = 17, .text_n = 32, .prf = 9, ITERATIONS("\x01") }, malformed },
		{ { .salt_n = 8, .iv_n = 0, .text_n = 32, .prf = 9, ITERATIONS("\x01") }, malformed },
		{ { .salt_n = 8, .iv_n = 16, .text_n = 0, .prf = 9, ITERATIONS("\x01") }, malformed },
		{ { .salt_n = 8, .iv_n = 16, .text_n = 31, .prf = 9, ITERATIONS("\x01") }, malformed },
		{ { .salt_n = 8, .iv_n = 16, .text_n = 33, .prf = 9, ITERATIONS("\x01") }, malformed },
		{ { .salt_n = 8, .iv_n = 16, .text_n = 16, .prf = 9, ITERATIONS("\x01") }, wrong },
		{ { .salt_n = 8, .iv_n = 16, .text_n = 48, .prf = 9, ITERATIONS("\x01") }, wrong },
		{ { USUAL, .padding_lies = true }, wrong },
		{ { .salt_n = 8, .iv_n = 16, .text_n = 32, .prf = 9, ITERATIONS("\x00") }, malformed },
		{ { .salt_n = 8, .iv_n = 16, .text_n = 32, .prf = 9, ITERATIONS("\xff") }, malformed },
		{ { .salt_n = 8, .iv_n = 16, .text_n = 32, .prf = 9, ITERATIONS("") }, malformed },
		{ { .salt_n = 8, .iv_n = 16, .text_n = 32, .prf = 9, ITERATIONS("\x00\x98\x96\x80") }, opened },
		{ { .salt_n = 8, .iv_n = 16, .text_n = 32, .prf = 9, ITERATIONS("\x00\x98\x96\x81") }, iterations },
		{ { .salt_n = 8, .iv_n = 16, .text_n = 32, .prf = 9, ITERATIONS("\x01\x00\x00\x00\x01") },
			iterations },
		{ { .salt_n = 8, .iv_n = 16, .text_n = 32, .prf = 9, ITERATIONS("\x01\0\0\0\0\0\0\0\0") },
			malformed },
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		const char *words = read_shape(&cases[i].shape);
		if (strcmp(words, cases[i].words) != 0)
			fail_msg("case %zu: %s", i, words);
		/* Nothing was worked on that is then refused for its form. */
		bool worked = cases[i].words == opened || cases[i].words == wrong;
		assert_int_equal(asked.calls, worked);
		assert_int_equal(asked.n, worked ? cases[i].shape.text_n : 0);
		if (worked) {
			assert_int_equal(asked.salt_n, cases[i].shape.salt_n);
			assert_int_equal(asked.key_n, 32);
			assert_int_equal(asked.iterations, cases[i].shape.iterations_n == 1   ? 1
											   : cases[i].shape.iterations_n == 2 ? 2048
																				  : 10000000);
		}
	}
	for (unsigned prf = 6; prf <= 12; prf += 6)
		assert_string_equal(read_shape(&(struct shape){ USUAL_BUT_PRF, .prf = prf }),
			"encrypted with a pseudorandom function other than HMAC with SHA-1 or SHA-2");
	asked.refuse = true;
	assert_string_equal(read_shape(&(struct shape){ USUAL }), "the TLS library refuses to decrypt it");
	asked.refuse = false;
}

/* No part of an encrypted key is one, and none of its bytes can be another without being noticed. */
static void cut_and_changed(void **state)
{
	(void)state;
	size_t n;
	unsigned char *der = fixture("encrypted.pkcs8.der", &n);
	struct x509_private_key key;
	struct x509_problem problem;
	for (size_t i = 0; i < n; i++) {
		unsigned char *copy = exact_copy(der, i);
		assert_false(x509_read_private_key(copy, i, &recorded, &key, &problem));
		assert_non_null(problem.reason);
		free(copy);
		copy = exact_copy(der, n);
		copy[i] ^= 0x81;
		assert_false(x509_read_private_key(copy, n, &recorded, &key, &problem));
		assert_non_null(problem.reason);
		free(copy);
	}
	free(der);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pbes2),
		cmocka_unit_test(older_form),
		cmocka_unit_test(lengths_of_passwords),
		cmocka_unit_test(not_encrypted),
		cmocka_unit_test(refused),
		cmocka_unit_test(bounds),
		cmocka_unit_test(cut_and_changed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
