/*
 * Fuzzing of all that reads private keys, encrypted ones too: the text as it is, without a password and with
 * one. Keys are derived in one iteration and ciphers are the identity, so that what is read behind them is
 * reached; the bounds of what the primitives are asked for are checked here.
 */
#include "../../src/x509/x509.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t n);

static volatile unsigned seen; /* so that what is read is really read */
static const uint8_t *text_at;
static size_t text_n;

static void check(bool holds)
{
	if (!holds)
		abort();
}

static void in_text(const unsigned char *at, size_t n)
{
	check(at >= text_at && n <= text_n && at + n <= text_at + text_n);
}

static bool md5(struct bytes text, unsigned char out[16])
{
	unsigned sum = 1;

	check(text.n >= 8 && text.n <= 16 + X509_PASSWORD_MAX + 8);
	for (size_t i = 0; i < text.n; i++)
		sum = sum * 31 + text.at[i];
	memset(out, (int)(sum & 0xff), 16);
	return true;
}

static bool pbkdf2(enum x509_prf prf, struct bytes password, struct bytes salt, unsigned iterations,
	unsigned char *out, size_t n)
{
	check(prf <= X509_HMAC_SHA512 && password.n <= X509_PASSWORD_MAX && salt.n <= X509_SALT_MAX);
	check(iterations >= 1 && iterations <= X509_ITERATIONS_MAX);
	check(n == 16 || n == 24 || n == 32);
	in_text(salt.at, salt.n);
	memset(out, 1, n);
	return true;
}

static bool cbc(
	enum x509_cipher cipher, const unsigned char *key, const unsigned char *iv, unsigned char *text, size_t n)
{
	static const size_t key_sizes[] = { 16, 24, 32, 24 };
	size_t block = cipher == X509_DES_EDE3_CBC ? 8 : 16;

	check(cipher <= X509_DES_EDE3_CBC && n > 0 && n % block == 0);
	in_text(text, n);
	for (size_t i = 0; i < key_sizes[cipher]; i++)
		seen += key[i];
	for (size_t i = 0; i < block; i++)
		seen += iv[i];
	seen += text[0] + text[n - 1];
	return true;
}

static void inside(struct bytes part)
{
	if (part.n > 0)
		in_text(part.at, part.n);
}

static void read_keys(const uint8_t *input, size_t n, const struct x509_password *password)
{
	unsigned char *text = malloc(n > 0 ? n : 1);
	struct x509_private_key key;
	struct x509_problem problem = { NULL, 0 };
	size_t offset = 0, before = 0;
	int found;
	check(text != NULL);
	if (n > 0)
		memcpy(text, input, n);
	text_at = text;
	text_n = n;
	while ((found = x509_next_private_key(text, n, &offset, password, &key, &problem)) > 0) {
		const struct bytes parts[] = { key.n, key.e, key.p, key.q, key.dp, key.dq, key.qi, key.x, key.point };
		for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
			inside(parts[i]);
		check(key.kind == X509_KEY_RSA ? key.n.n <= 512 && key.p.n <= 260 && key.q.n <= 260
									   : key.kind == X509_KEY_EC && key.x.n > 0 && key.x.n <= 66);
		check(offset > before && offset <= n);
		before = offset;
	}
	check(problem.reason != NULL && key.kind == X509_KEY_OTHER);
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t n)
{
	static const struct x509_decryption decryption = { md5, pbkdf2, cbc };
	static unsigned char letters[X509_PASSWORD_MAX];
	const struct x509_password passwords[] = { { { letters, 0 }, &decryption },
		{ { letters, 6 }, &decryption }, { { letters, sizeof letters }, &decryption } };
	read_keys(input, n, NULL);
	for (size_t i = 0; i < sizeof passwords / sizeof passwords[0]; i++)
		read_keys(input, n, &passwords[i]);
	return 0;
}
