/* Writing DER: against the reader, and against certificates that openssl made. Needs what x509_fixtures
 * makes, in $FIXTURES. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "x509_fixture.h"

static unsigned char memory[1 << 18];

static struct der_writer writer(void)
{
	return der_write_into(memory, sizeof memory);
}

static void lengths(void **state)
{
	(void)state;
	static const size_t sizes[] = { 0, 1, 127, 128, 255, 256, 65535, 65536, 100000 };
	static const size_t headers[] = { 2, 2, 2, 3, 3, 4, 4, 5, 5 };
	static const unsigned char content[100000] = { 1, 2, 3 };
	for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
		struct der_writer w = writer();
		struct bytes in, found;
		der_put_element(&w, DER_OCTET_STRING, content, sizes[i]);
		assert_false(w.overflow);
		in = der_written(&w);
		assert_int_equal(in.n, headers[i] + sizes[i]);
		assert_true(der_take(&in, DER_OCTET_STRING, &found));
		assert_int_equal(in.n, 0);
		assert_bytes(found, ((struct bytes){ content, sizes[i] }));
	}
}

static void order(void **state)
{
	(void)state;
	struct der_writer w = writer();
	size_t end;

	der_put_element(&w, DER_NULL, NULL, 0); /* stands behind what is wrapped */
	end = w.begin;
	der_put(&w, "\xaa\xbb", 2);
	der_wrap_in_bits(&w, end);
	der_put_byte(&w, 0x05);
	der_wrap(&w, DER_SEQUENCE, end);
	assert_bytes(der_written(&w), BYTES("\x30\x06\x05\x03\x03\x00\xaa\xbb\x05\x00"));
}

/* Nothing stands in front of the room, and what came too late does not make a whole of the rest. */
static void overflow(void **state)
{
	(void)state;
	for (size_t room = 0; room <= 8; room++) {
		unsigned char *exact = exact_copy("\0\0\0\0\0\0\0\0", room);
		struct der_writer w = der_write_into(exact, room);
		der_put_element(&w, DER_OCTET_STRING, "12345", 5);
		assert_int_equal(w.overflow, room < 7);
		if (w.overflow) {
			size_t before = w.begin;
			der_put(&w, "", 0);
			der_put_byte(&w, 1);
			assert_true(w.overflow);
			assert_int_equal(w.begin, before);
		}
		free(exact);
	}
}

static void integers(void **state)
{
	(void)state;
	const struct {
		struct bytes magnitude, der;
	} cases[] = {
		{ BYTES(""), BYTES("\x02\x01\x00") },
		{ BYTES("\0"), BYTES("\x02\x01\x00") },
		{ BYTES("\x01"), BYTES("\x02\x01\x01") },
		{ BYTES("\x7f"), BYTES("\x02\x01\x7f") },
		{ BYTES("\x80"), BYTES("\x02\x02\x00\x80") },
		{ BYTES("\0\0\x12\x34"), BYTES("\x02\x02\x12\x34") },
		{ BYTES("\0\xff\0"), BYTES("\x02\x03\x00\xff\x00") },
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct der_writer w = writer();
		der_put_positive(&w, cases[i].magnitude);
		assert_bytes(der_written(&w), cases[i].der);
	}
}

static void assert_time(int64_t seconds, const char *text)
{
	struct der_writer w = writer();
	struct bytes in, found;
	unsigned tag;

	der_put_time(&w, seconds);
	assert_false(w.overflow);
	in = der_written(&w);
	assert_true(der_next(&in, &tag, &found));
	assert_int_equal(tag, strlen(text) == 13 ? DER_UTC_TIME : DER_GENERALIZED_TIME);
	assert_bytes(found, ((struct bytes){ (const unsigned char *)text, strlen(text) }));
}

static void times(void **state)
{
	(void)state;
	assert_time(0, "700101000000Z");
	assert_time(-1, "691231235959Z");
	assert_time(951782399, "000228235959Z");
	assert_time(951782400, "000229000000Z");
	assert_time(2524607999, "491231235959Z");
	assert_time(2524608000, "20500101000000Z");
	assert_time(-631152000, "500101000000Z");
	assert_time(-631152001, "19491231235959Z");
	assert_time(4107542399, "21000228235959Z");
	assert_time(4107542400, "21000301000000Z");
	assert_time(INT64_C(253402300799), "99991231235959Z");
	assert_time(INT64_C(-62167219200), "00000101000000Z");
	static const int64_t beyond[] = { INT64_C(253402300800), INT64_C(-62167219201), INT64_MAX, INT64_MIN };
	for (size_t i = 0; i < 4; i++) {
		struct der_writer w = writer();
		der_put_time(&w, beyond[i]);
		assert_true(w.overflow);
	}
}

/* Days and odd seconds from the year 0 to 9999, as the reader reads them. */
static void times_read_back(void **state)
{
	(void)state;
	for (int64_t seconds = INT64_C(-62167219200); seconds < INT64_C(253402300800);
		 seconds += 86400 * 7 + 4001) {
		struct der_writer w = writer();
		struct bytes in;
		int64_t read;
		der_put_time(&w, seconds);
		in = der_written(&w);
		assert_true(der_take_time(&in, &read) && in.n == 0);
		assert_true(read == seconds);
	}
}

/* The parts of certificates by openssl, taken apart and put together again. */
static void certificates(void **state)
{
	(void)state;
	static const struct {
		const char *file;
		enum x509_key_kind kind;
		unsigned curve;
		enum x509_signature signature;
	} cases[] = {
		{ "leaf.pem", X509_KEY_RSA, 0, X509_RSA_SHA384 },
		{ "ca.pem", X509_KEY_EC, X509_P256, X509_ECDSA_SHA256 },
		{ "multi.pem", X509_KEY_EC, X509_P384, X509_ECDSA_SHA256 },
		{ "zero.pem", X509_KEY_EC, X509_P521, X509_ECDSA_SHA512 },
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct x509_list list = fixture_list(cases[i].file);
		const struct x509_certificate *certificate = &list.certificates[0];
		struct der_writer w = writer();
		assert_int_equal(certificate->key.kind, cases[i].kind);
		assert_int_equal(certificate->key.curve, cases[i].curve);
		assert_int_equal(certificate->signature_kind, cases[i].signature);
		x509_put_public_key(&w, &certificate->key);
		assert_bytes(der_written(&w), certificate->spki);
		w = writer();
		x509_put_signed(&w, certificate->tbs, certificate->signature_kind, certificate->signature);
		assert_bytes(der_written(&w), certificate->der);
		x509_list_free(&list);
	}
}

/* Every kind that there are words for, as its object identifier in hexadecimal. */
static void algorithms(void **state)
{
	(void)state;
	const struct {
		enum x509_signature kind;
		struct bytes der;
	} cases[] = {
		{ X509_RSA_SHA1, BYTES("\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x05\x05\x00") },
		{ X509_RSA_SHA256, BYTES("\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0b\x05\x00") },
		{ X509_RSA_SHA384, BYTES("\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0c\x05\x00") },
		{ X509_RSA_SHA512, BYTES("\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0d\x05\x00") },
		{ X509_ECDSA_SHA1, BYTES("\x30\x09\x06\x07\x2a\x86\x48\xce\x3d\x04\x01") },
		{ X509_ECDSA_SHA256, BYTES("\x30\x0a\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x02") },
		{ X509_ECDSA_SHA384, BYTES("\x30\x0a\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x03") },
		{ X509_ECDSA_SHA512, BYTES("\x30\x0a\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x04") },
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct der_writer w = writer();
		x509_put_signature_algorithm(&w, cases[i].kind);
		assert_bytes(der_written(&w), cases[i].der);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lengths),
		cmocka_unit_test(order),
		cmocka_unit_test(overflow),
		cmocka_unit_test(integers),
		cmocka_unit_test(times),
		cmocka_unit_test(times_read_back),
		cmocka_unit_test(certificates),
		cmocka_unit_test(algorithms),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
