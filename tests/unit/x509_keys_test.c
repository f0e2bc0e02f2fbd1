/* Private keys, against what openssl made. Needs what x509_fixtures makes, in $FIXTURES. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "x509_fixture.h"

/* Hexadecimal of bytes, in either case; leading zero bytes in text do not count. */
static void assert_hex(struct bytes found, const char *text)
{
	while (strncmp(text, "00", 2) == 0)
		text += 2;
	assert_int_equal(strlen(text), 2 * found.n);
	for (size_t i = 0; i < found.n; i++) {
		unsigned byte;
		assert_int_equal(sscanf(text + 2 * i, "%2x", &byte), 1);
		assert_int_equal(found.at[i], byte);
	}
}

/* Reads a key file; *memory is what it borrows from. */
static bool read_key(
	const char *name, struct x509_private_key *key, unsigned char **memory, struct x509_problem *problem)
{
	size_t n;
	*memory = fixture(name, &n);
	return x509_read_private_key(*memory, n, NULL, key, problem);
}

static void rsa(void **state)
{
	(void)state;
	static const char *const files[] = { "rsa2048.pkcs1.pem", "rsa2048.pkcs8.pem", "rsa2048.pkcs1.der",
		"rsa2048.pkcs8.der", "crlf.pem", "cr.pem", "around.key.pem", "combined.pem", "rsa4096.pkcs1.pem",
		"rsa4096.pkcs8.pem", "rsa4096.pkcs1.der", "rsa4096.pkcs8.der" };
	for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
		struct x509_private_key key;
		struct x509_problem problem;
		unsigned char *memory;
		if (!read_key(files[i], &key, &memory, &problem))
			fail_msg("%s: %s", files[i], problem.reason);
		bool large = strncmp(files[i], "rsa4096", 7) == 0;
		char *modulus = fixture_text(large ? "rsa4096.modulus" : "rsa2048.modulus");
		size_t half = large ? 256 : 128;
		assert_int_equal(key.kind, X509_KEY_RSA);
		assert_hex(key.n, modulus);
		assert_bytes(key.e, BYTES("\x01\x00\x01"));
		assert_int_equal(key.p.n, half);
		assert_int_equal(key.q.n, half);
		assert_true(key.dp.n <= half && key.dq.n <= half && key.qi.n <= half && key.dp.n > half - 4);
		free(modulus);
		free(memory);
	}
}

static void ec(void **state)
{
	(void)state;
	static const char *const curves[] = { "P-256", "P-384", "P-521" };
	static const char *const kinds[] = { "pkcs8.pem", "sec1.pem", "sec1.der", "pkcs8.der", "parameters.pem",
		"nopublic.pem", "compressed.pem" };
	for (size_t i = 0; i < 3; i++) {
		for (size_t j = 0; j < sizeof kinds / sizeof kinds[0]; j++) {
			char name[64];
			struct x509_private_key key;
			struct x509_problem problem;
			unsigned char *memory;
			(void)snprintf(name, sizeof name, "%s.%s", curves[i], kinds[j]);
			if (!read_key(name, &key, &memory, &problem))
				fail_msg("%s: %s", name, problem.reason);
			(void)snprintf(name, sizeof name, "%s.scalar", curves[i]);
			char *scalar = fixture_text(name);
			assert_int_equal(key.kind, X509_KEY_EC);
			assert_int_equal(key.curve, X509_P256 + i);
			assert_hex(key.x, scalar);
			size_t size = i == 0 ? 32 : i == 1 ? 48 : 66;
			assert_int_equal(key.point.n, j < 5 ? 1 + 2 * size : 0);
			free(scalar);
			free(memory);
		}
	}
}

static void refused(void **state)
{
	(void)state;
	static const char curve[] = "EC key on a curve other than P-256, P-384 and P-521";
	static const char encrypted[] = "encrypted, and no password on descriptor 3";
	static const char *const expected[][2] = {
		{ "encrypted.aes-128-cbc.pkcs1.pem", encrypted },
		{ "encrypted.pkcs8.pem", encrypted },
		{ "encrypted.pkcs8.der", encrypted },
		{ "encrypted.scrypt.pem", encrypted },
		{ "P-224.pkcs8.pem", curve },
		{ "P-224.sec1.pem", curve },
		{ "P-224.sec1.der", curve },
		{ "explicit.pem", "EC key without the name of its curve" },
		{ "ed25519.pem", "a key that is neither RSA nor EC" },
		{ "rsa4160.pkcs1.pem", "RSA key of more than 4096 bits" },
		{ "rsa3primes.pem", "RSA key with more than two primes" },
		{ "leaf.pem", "no private key in it" },
		{ "leaf.der", "no private key in it" },
		{ "directory/README", "no private key in it" },
	};
	for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++) {
		struct x509_private_key key;
		struct x509_problem problem;
		unsigned char *memory;
		assert_false(read_key(expected[i][0], &key, &memory, &problem));
		assert_string_equal(problem.reason, expected[i][1]);
		assert_int_equal(key.kind, X509_KEY_OTHER);
		assert_null(key.n.at);
		free(memory);
	}
}

/* No part of a key is a key, and nothing may follow it. */
static void cut_off(void **state)
{
	(void)state;
	static const char *const files[] = { "rsa2048.pkcs1.der", "rsa2048.pkcs8.der", "P-256.sec1.der",
		"P-256.pkcs8.der" };
	for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
		size_t n;
		unsigned char *der = fixture(files[i], &n);
		struct x509_private_key key;
		struct x509_problem problem;
		for (size_t length = 0; length < n; length++) {
			unsigned char *copy = exact_copy(der, length);
			assert_false(x509_read_private_key(copy, length, NULL, &key, &problem));
			free(copy);
		}
		unsigned char *longer = malloc(n + 1);
		memcpy(longer, der, n);
		longer[n] = 0;
		assert_false(x509_read_private_key(longer, n + 1, NULL, &key, &problem));
		free(longer);
		free(der);
	}
}

/* An even public exponent, an even prime. */
static void numbers_that_do_not_fit(void **state)
{
	(void)state;
	for (int which = 0; which < 2; which++) {
		size_t n;
		unsigned char *der = fixture("rsa2048.pkcs1.der", &n), *copy = exact_copy(der, n);
		struct x509_private_key key;
		struct x509_problem problem;
		assert_true(x509_read_private_key(der, n, NULL, &key, &problem));
		const struct bytes number = which == 0 ? key.e : key.q;
		copy[number.at - der + (ptrdiff_t)number.n - 1] ^= 1;
		assert_false(x509_read_private_key(copy, n, NULL, &key, &problem));
		assert_string_equal(problem.reason, "RSA key whose numbers do not belong together");
		free(der);
		free(copy);
	}
}

/* SEC1 with a P-256 scalar of 32 bytes from the third to the last parameter, without a point. */
static bool scalar_is_read(unsigned char first, unsigned char middle, unsigned char last)
{
	unsigned char der[] = "\x30\x31\x02\x01\x01\x04\x20................................"
						  "\xa0\x0a\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07";
	struct x509_private_key key;
	struct x509_problem problem;
	memset(der + 7, middle, 32);
	der[7] = first;
	der[38] = last;
	bool good = x509_read_private_key(der, sizeof der - 1, NULL, &key, &problem);
	if (!good)
		assert_string_equal(problem.reason, "EC key whose number does not fit its curve");
	return good;
}

static void scalars(void **state)
{
	(void)state;
	assert_true(scalar_is_read(0, 0, 1));
	assert_true(scalar_is_read(0xfe, 0xff, 0xff));
	assert_false(scalar_is_read(0, 0, 0));
	assert_false(scalar_is_read(0xff, 0xff, 0xff));
}

static void matching(void **state)
{
	(void)state;
	const struct {
		const char *key, *certificate;
		bool matches, certain;
	} expected[] = {
		{ "rsa2048.pkcs8.pem", "leaf.pem", true, true },
		{ "rsa4096.pkcs8.pem", "leaf.pem", false, true },
		{ "P-256.pkcs8.pem", "leaf.pem", false, true },
		{ "P-256.pkcs8.pem", "ca.pem", true, true },
		{ "P-256.nopublic.pem", "ca.pem", true, false },
		{ "P-256.compressed.pem", "ca.pem", true, false },
		{ "P-384.nopublic.pem", "ca.pem", false, true },
		{ "P-384.pkcs8.pem", "multi.pem", true, true },
		{ "P-521.sec1.pem", "zero.pem", true, true },
		{ "P-521.sec1.pem", "ed.pem", false, true },
	};
	for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++) {
		struct x509_private_key key;
		struct x509_problem problem;
		unsigned char *memory;
		bool certain;
		struct x509_list list = fixture_list(expected[i].certificate);
		assert_true(read_key(expected[i].key, &key, &memory, &problem));
		assert_int_equal(x509_key_matches(&key, &list.certificates[0].key, &certain), expected[i].matches);
		assert_int_equal(certain, expected[i].certain);
		if (key.point.n > 0 && expected[i].matches) {
			memory[key.point.at - memory + 5] ^= 1;
			assert_false(x509_key_matches(&key, &list.certificates[0].key, &certain));
			assert_true(certain);
		}
		free(memory);
		x509_list_free(&list);
	}
}

static void wiping(void **state)
{
	(void)state;
	char secret[] = "secret";
	x509_wipe(secret, 3);
	assert_memory_equal(secret, "\0\0\0ret", 7);
	x509_wipe(NULL, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rsa),
		cmocka_unit_test(ec),
		cmocka_unit_test(refused),
		cmocka_unit_test(cut_off),
		cmocka_unit_test(numbers_that_do_not_fit),
		cmocka_unit_test(scalars),
		cmocka_unit_test(matching),
		cmocka_unit_test(wiping),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
