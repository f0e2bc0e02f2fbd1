/* DER, PEM, single certificates, addresses and lists of certificates. Needs what x509_fixtures makes, in
 * $FIXTURES. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "x509_fixture.h"

#include <errno.h>

/* ---- DER ---- */

static void elements(void **state)
{
	(void)state;
	struct bytes in = BYTES("\x30\x03\x02\x01\x05\x05\x00"), content, whole;
	unsigned tag;
	assert_false(der_take(&in, DER_SET, &content));
	assert_int_equal(in.n, 7);
	struct bytes again = in;
	assert_true(der_take_whole(&again, DER_SEQUENCE, &whole));
	assert_bytes(whole, BYTES("\x30\x03\x02\x01\x05"));
	assert_true(der_next(&in, &tag, &content));
	assert_int_equal(tag, DER_SEQUENCE);
	assert_bytes(content, BYTES("\x02\x01\x05"));
	assert_true(der_take(&in, DER_NULL, &content));
	assert_int_equal(content.n, 0);
	assert_false(der_next(&in, &tag, &content));
}

static void elements_refused(void **state)
{
	(void)state;
	const struct bytes bad[] = {
		BYTES(""),
		BYTES("\x30"),
		BYTES("\x30\x01"),                         /* contents missing */
		BYTES("\x1f\x01\x00"),                     /* tag of more than one octet */
		BYTES("\x30\x80\x00\x00"),                 /* indefinite */
		BYTES("\x30\x81\x01\x00"),                 /* could be shorter */
		BYTES("\x30\x82\x00\x01\x00"),             /* likewise */
		BYTES("\x30\x84\xff\xff\xff\xff\x00"),     /* more than there is */
		BYTES("\x30\x85\x00\x00\x00\x00\x01\x00"), /* length of five octets */
		BYTES("\x30\xff"),
	};
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		unsigned char *copy = exact_copy(bad[i].at, bad[i].n);
		struct bytes in = { copy, bad[i].n }, content;
		unsigned tag;
		assert_false(der_next(&in, &tag, &content));
		assert_ptr_equal(in.at, copy);
		assert_int_equal(in.n, bad[i].n);
		free(copy);
	}
	unsigned char longer[3 + 128] = { DER_OCTET_STRING, 0x81, 128 };
	unsigned char padded[4 + 128] = { DER_OCTET_STRING, 0x82, 0, 128 };
	struct bytes in = { padded, sizeof padded }, content;
	assert_false(der_take(&in, DER_OCTET_STRING, &content));
	in = (struct bytes){ longer, sizeof longer };
	assert_true(der_take(&in, DER_OCTET_STRING, &content));
	assert_int_equal(content.n, 128);
}

static void numbers(void **state)
{
	(void)state;
	const struct {
		struct bytes der;
		bool good;
		uint64_t value;
	} expected[] = {
		{ BYTES("\x02\x01\x00"), true, 0 },
		{ BYTES("\x02\x01\x7f"), true, 127 },
		{ BYTES("\x02\x02\x00\x80"), true, 128 },
		{ BYTES("\x02\x09\x00\xff\xff\xff\xff\xff\xff\xff\xff"), true, UINT64_MAX },
		{ BYTES("\x02\x09\x01\x00\x00\x00\x00\x00\x00\x00\x00"), false, 0 },
		{ BYTES("\x02\x01\x80"), false, 0 },
		{ BYTES("\x02\x02\x00\x7f"), false, 0 },
		{ BYTES("\x02\x00"), false, 0 },
		{ BYTES("\x04\x01\x00"), false, 0 },
	};
	for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++) {
		struct bytes in = expected[i].der;
		uint64_t value = 0;
		assert_int_equal(der_take_uint(&in, &value), expected[i].good);
		assert_true(value == expected[i].value);
		assert_int_equal(in.n, expected[i].good ? 0 : expected[i].der.n);
	}
}

static bool read_time(unsigned char tag, const char *text, int64_t *seconds)
{
	unsigned char der[32] = { tag, (unsigned char)strlen(text) };
	memcpy(der + 2, text, strlen(text));
	struct bytes in = { der, 2 + strlen(text) };
	return der_take_time(&in, seconds) && in.n == 0;
}

static void times(void **state)
{
	(void)state;
	const struct {
		unsigned char tag;
		const char *text;
		int64_t seconds;
	} good[] = {
		{ DER_UTC_TIME, "700101000000Z", 0 },
		{ DER_UTC_TIME, "691231235959Z", -1 },
		{ DER_UTC_TIME, "491231235959Z", 2524607999 },
		{ DER_UTC_TIME, "500101000000Z", -631152000 },
		{ DER_UTC_TIME, "000229120000Z", 951825600 },
		{ DER_UTC_TIME, "240806125118Z", 1722948678 },
		{ DER_GENERALIZED_TIME, "20500101000000Z", 2524608000 },
		{ DER_GENERALIZED_TIME, "99991231235959Z", 253402300799 },
		{ DER_GENERALIZED_TIME, "00000101000000Z", -62167219200 },
		{ DER_GENERALIZED_TIME, "00000301000000Z", -62162035200 },
		{ DER_GENERALIZED_TIME, "00010101000000Z", -62135596800 },
		{ DER_GENERALIZED_TIME, "21000301000000Z", 4107542400 },
	};
	const struct {
		unsigned char tag;
		const char *text;
	} bad[] = {
		{ DER_UTC_TIME, "7001010000Z" },
		{ DER_UTC_TIME, "700101000000" },
		{ DER_UTC_TIME, "7001010000000" },
		{ DER_UTC_TIME, "700101000000+0100" },
		{ DER_UTC_TIME, "700001000000Z" },
		{ DER_UTC_TIME, "701301000000Z" },
		{ DER_UTC_TIME, "700100000000Z" },
		{ DER_UTC_TIME, "700132000000Z" },
		{ DER_UTC_TIME, "700431000000Z" },
		{ DER_UTC_TIME, "700101240000Z" },
		{ DER_UTC_TIME, "700101006000Z" },
		{ DER_UTC_TIME, "700101000060Z" },
		{ DER_UTC_TIME, "7001010000 0Z" },
		{ DER_UTC_TIME, "-10101000000Z" },
		{ DER_UTC_TIME, "230229000000Z" },
		{ DER_GENERALIZED_TIME, "21000229000000Z" },
		{ DER_GENERALIZED_TIME, "20500101000000.5Z" },
		{ DER_GENERALIZED_TIME, "500101000000Z" },
		{ DER_IA5_STRING, "700101000000Z" },
	};
	int64_t seconds;
	for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
		assert_true(read_time(good[i].tag, good[i].text, &seconds));
		assert_true(seconds == good[i].seconds);
	}
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		assert_false(read_time(bad[i].tag, bad[i].text, &seconds));
}

/* ---- PEM ---- */

/* Decodes the first block of text; result as pem_next. */
static int first_block(const char *text, struct pem_block *block, unsigned char **memory)
{
	struct x509_problem problem = { NULL, 0 };
	size_t offset = 0;
	*memory = exact_copy(text, strlen(text));
	int found = pem_next(*memory, strlen(text), &offset, block, &problem);
	assert_int_equal(found < 0, problem.reason != NULL);
	assert_true(offset <= strlen(text));
	return found;
}

static void blocks(void **state)
{
	(void)state;
	const struct {
		const char *text, *label, *content;
		bool encrypted;
	} good[] = {
		{ "-----BEGIN A-----\nYWJj\n-----END A-----\n", "A", "abc", false },
		{ "-----BEGIN A-----\nYWI=\n-----END A-----", "A", "ab", false },
		{ "-----BEGIN A-----\nYQ==\n-----END A-----", "A", "a", false },
		{ "-----BEGIN A-----\n-----END A-----", "A", "", false },
		{ "-----BEGIN A B-----\r\nYW\r\nJj\r\n\r\n-----END A B-----\r\n", "A B", "abc", false },
		{ "-----BEGIN A-----\rYWJj\r-----END A-----\r", "A", "abc", false },
		{ "text -----BEGIN B-----\nx\n\n \t-----BEGIN A-----  \n Y W\tJ j\n  -----END A-----", "A", "abc",
			false },
		{ "-----BEGIN A-----YWJj-----END A----- x: y", "A", "abc", false },
		{ "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: X,00\n\nYWJj\n-----END RSA "
		  "PRIVATE KEY-----",
			"RSA PRIVATE KEY", "abc", true },
		{ "-----BEGIN A-----\r\nProc-Type: 4,MIC-ONLY\r\n\r\nYWJj\r\n-----END A-----", "A", "abc", false },
		{ "-----BEGIN A-----\n+/+/AAAA\n-----END A-----", "A", "\xfb\xff\xbf", false },
	};
	for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
		struct pem_block block;
		unsigned char *memory;
		assert_int_equal(first_block(good[i].text, &block, &memory), 1);
		assert_true(pem_is(&block, good[i].label));
		assert_false(pem_is(&block, "something else"));
		assert_int_equal(block.encrypted, good[i].encrypted);
		assert_true(block.content.n >= strlen(good[i].content));
		assert_memory_equal(block.content.at, good[i].content, strlen(good[i].content));
		free(memory);
	}
}

static void blocks_refused(void **state)
{
	(void)state;
	const char *const bad[] = {
		"-----BEGIN A-----\nYWJj\n-----END B-----\n",
		"-----BEGIN A-----\nYWJj\n-----END A----\n",
		"-----BEGIN A-----\nYWJj\n-----BEGIN A-----\nYWJj\n-----END A-----\n",
		"-----BEGIN A-----\nYWJj\n",
		"-----BEGIN A-----\nYWJj",
		"-----BEGIN A-----\nYWJ\n-----END A-----\n",
		"-----BEGIN A-----\nY\n-----END A-----\n",
		"-----BEGIN A-----\nYWJj=\n-----END A-----\n",
		"-----BEGIN A-----\nYR==\n-----END A-----\n", /* bits left over */
		"-----BEGIN A-----\nYWK=\n-----END A-----\n",
		"-----BEGIN A-----\nYW=I\n-----END A-----\n",
		"-----BEGIN A-----\nYQ==YQ==\n-----END A-----\n",
		"-----BEGIN A-----\nYW*j\n-----END A-----\n",
		"-----BEGIN A-----\nYWJj\xc3\xa9\n-----END A-----\n",
		"-----BEGIN A\nYWJj\n-----END A-----\n",
		"-----BEGIN ",
		"-----BEGIN A-----",
		"-----BEGIN A-----\nProc-Type: 4,ENCRYPTED\nYWJj\n-----END A-----\n",
	};
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		struct pem_block block;
		unsigned char *memory;
		assert_int_equal(first_block(bad[i], &block, &memory), -1);
		free(memory);
	}
	const char *const none[] = { "", "\n", "-----BEGIN", "x -----BEGIN A-----\nYWJj\n-----END A-----\n",
		"----------" };
	for (size_t i = 0; i < sizeof none / sizeof none[0]; i++) {
		struct pem_block block;
		unsigned char *memory;
		assert_int_equal(first_block(none[i], &block, &memory), 0);
		free(memory);
	}
}

static void block_after_a_bad_one(void **state)
{
	(void)state;
	char text[] = "-----BEGIN A-----\nYW*j\n-----END A-----\n-----BEGIN B-----\nYWJj\n-----END B-----";
	struct x509_problem problem;
	struct pem_block block;
	size_t offset = 0;
	assert_int_equal(pem_next((unsigned char *)text, strlen(text), &offset, &block, &problem), -1);
	assert_int_equal(pem_next((unsigned char *)text, sizeof text - 1, &offset, &block, &problem), 1);
	assert_true(pem_is(&block, "B"));
	assert_int_equal(pem_next((unsigned char *)text, sizeof text - 1, &offset, &block, &problem), 0);
}

/* All lengths of the last group, against base64 that somebody else wrote: the certificates themselves. */
static void pem_round_trip(void **state)
{
	(void)state;
	const char *const names[] = { "v1.pem", "leaf.pem", "ca.pem", "multi.pem", "zero.pem", "specials.pem",
		"charsets.pem" };
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		struct x509_list list = fixture_list(names[i]);
		char name[64], text[8192];
		(void)snprintf(name, sizeof name, "%s.openssl", names[i]);
		char *wanted = fixture_text(name);
		struct x509_text out = { .at = text, .room = sizeof text };
		x509_to_pem(list.certificates[0].der, &out);
		assert_false(out.overflow);
		assert_int_equal(text[out.n - 1], '\n');
		text[out.n - 1] = '\0';
		assert_string_equal(text, wanted);
		out = (struct x509_text){ .at = text, .room = 100 };
		x509_to_pem(list.certificates[0].der, &out);
		assert_true(out.overflow);
		assert_int_equal(strlen(text), 99);
		free(wanted);
		x509_list_free(&list);
	}
}

/* ---- certificates ---- */

static void leaf(void **state)
{
	(void)state;
	size_t n;
	unsigned char *der = fixture("leaf.der", &n);
	struct x509_certificate c;
	struct x509_problem problem;
	assert_true(x509_parse((struct bytes){ der, n }, &c, &problem));
	assert_int_equal(c.version, 3);
	assert_true(c.not_after - c.not_before == 30 * 86400);
	assert_int_equal(c.key.kind, X509_KEY_RSA);
	assert_int_equal(c.key.modulus.n, 256);
	assert_bytes(c.key.exponent, BYTES("\x01\x00\x01"));
	assert_int_equal(c.signature.n, 256);
	assert_true(c.has_basic_constraints);
	assert_false(c.is_ca);
	assert_int_equal(c.path_length, -1);
	assert_true(c.has_key_usage);
	assert_int_equal(c.key_usage, X509_USE_SIGNATURE | X509_USE_KEY_ENCIPHERMENT);
	assert_true(bytes_equal(c.issuer, c.subject));
	assert_true(c.tbs.at == der + 4);
	assert_true(x509_has_address(&c, BYTES("\xc0\x00\x02\x01")));
	assert_false(x509_has_address(&c, BYTES("\xc0\x00\x02\x02")));
	assert_false(x509_has_address(&c, BYTES("\xc0\x00\x02")));
	assert_true(x509_has_address(&c, BYTES("\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01")));
	assert_false(x509_has_address(&c, literal("example.org", 11)));
	/* No prefix of it is a certificate, and nothing may follow it. */
	for (size_t i = 0; i < n; i++) {
		unsigned char *copy = exact_copy(der, i);
		assert_false(x509_parse((struct bytes){ copy, i }, &c, &problem));
		assert_non_null(problem.reason);
		free(copy);
	}
	unsigned char *longer = malloc(n + 1);
	memcpy(longer, der, n);
	longer[n] = 0;
	assert_false(x509_parse((struct bytes){ longer, n + 1 }, &c, &problem));
	assert_string_equal(problem.reason, "something behind the certificate");
	free(longer);
	free(der);
}

static void other_certificates(void **state)
{
	(void)state;
	struct x509_list list = fixture_list("v1.pem");
	assert_int_equal(list.certificates[0].version, 1);
	assert_int_equal(list.certificates[0].extensions.n, 0);
	assert_false(list.certificates[0].has_basic_constraints);
	assert_int_equal(list.certificates[0].alternative_names.n, 0);
	x509_list_free(&list);
	list = fixture_list("ca.pem");
	assert_true(list.certificates[0].is_ca);
	assert_int_equal(list.certificates[0].path_length, 3);
	assert_int_equal(list.certificates[0].key_usage, X509_USE_CERT_SIGN | X509_USE_CRL_SIGN);
	assert_int_equal(list.certificates[0].key.kind, X509_KEY_EC);
	assert_int_equal(list.certificates[0].key.curve, X509_P256);
	assert_int_equal(list.certificates[0].key.point.n, 65);
	assert_bytes(list.certificates[0].serial, BYTES("\0\xf0\x0d"));
	x509_list_free(&list);
	list = fixture_list("multi.pem");
	assert_int_equal(list.certificates[0].key.curve, X509_P384);
	x509_list_free(&list);
	list = fixture_list("zero.pem");
	assert_int_equal(list.certificates[0].key.curve, X509_P521);
	x509_list_free(&list);
	list = fixture_list("ed.pem");
	assert_int_equal(list.certificates[0].key.kind, X509_KEY_OTHER);
	assert_bytes(list.certificates[0].key.algorithm_oid, BYTES("\x2b\x65\x70"));
	x509_list_free(&list);
}

/* Where needle first stands in der. */
static unsigned char *find(unsigned char *der, size_t n, struct bytes needle)
{
	for (size_t i = 0; i + needle.n <= n; i++)
		if (memcmp(der + i, needle.at, needle.n) == 0)
			return der + i;
	fail_msg("not in this certificate");
	return NULL;
}

/* Each changes a few bytes of a good certificate, found by what they are, and names the words of the refusal.
 */
static void damaged(void **state)
{
	(void)state;
	const struct {
		struct bytes old, new;
		const char *reason;
	} change[] = {
		{ BYTES("\x04\x02\x30\x00"), BYTES("\x04\x02\x31\x00"), "malformed basicConstraints" },
		{ BYTES("\x55\x1d\x13"), BYTES("\x55\x1d\x0f"),
			"malformed keyUsage" }, /* basicConstraints under that name */
		{ BYTES("\x55\x1d\x13"), BYTES("\x55\x1d\x11"), "malformed subjectAltName" },
		{ BYTES("\x55\x1d\x13\x01\x01\xff"), BYTES("\x55\x1d\x13\x01\x01\x01"), "malformed extension" },
		{ BYTES("\x55\x1d\x13\x01\x01\xff"), BYTES("\x55\x1d\x13\x05\x01\xff"), "malformed extension" },
		{ BYTES("\x03\x02\x05\xa0"), BYTES("\x03\x02\x06\xa0"), "malformed keyUsage" },
		{ BYTES("\x03\x02\x05\xa0"), BYTES("\x03\x02\x08\x00"), "malformed keyUsage" },
		{ BYTES("\xa0\x03\x02\x01\x02"), BYTES("\xa0\x03\x02\x01\x03"), "unknown version" },
		{ BYTES("\xa0\x03\x02\x01\x02"), BYTES("\xa0\x03\x02\x01\x00"), "unknown version" },
		{ BYTES("\xa0\x03\x02\x01\x02"), BYTES("\xa0\x03\x02\x01\x01"),
			"extensions in a certificate that is not of version 3" },
		{ BYTES("\x0d\x01\x01\x0c"), BYTES("\x0d\x01\x01\x0b"), "two different signature algorithms" },
		{ BYTES("\x05\x00\x03\x82\x01\x0f\x00"), BYTES("\x05\x00\x03\x82\x01\x0f\x01"),
			"malformed public key" },
		{ BYTES("\x05\x00\x03\x82\x01\x0f\x00"), BYTES("\x04\x00\x03\x82\x01\x0f\x00"),
			"RSA public key with parameters" },
		{ BYTES("\x02\x03\x01\x00\x01"), BYTES("\x02\x03\x81\x00\x01"), "malformed RSA public key" },
		{ BYTES("\x02\x03\x01\x00\x01"), BYTES("\x02\x03\x00\x00\x01"), "malformed RSA public key" },
		{ BYTES("\x31\x0b\x30\x09\x06\x03\x55\x04\x06"), BYTES("\x31\x0b\x30\x09\x07\x03\x55\x04\x06"),
			"malformed issuer" },
		{ BYTES("\x82\x0b"
				"example.org"),
			BYTES("\x12\x0b"
				  "example.org"),
			"malformed subjectAltName" },
	};
	for (size_t i = 0; i < sizeof change / sizeof change[0]; i++) {
		size_t n;
		unsigned char *der = fixture("leaf.der", &n);
		struct x509_certificate c;
		struct x509_problem problem = { NULL, 0 };
		memcpy(find(der, n, change[i].old), change[i].new.at, change[i].new.n);
		assert_false(x509_parse((struct bytes){ der, n }, &c, &problem));
		assert_string_equal(problem.reason, change[i].reason);
		free(der);
	}
}

/* basicConstraints and keyUsage renamed to something unknown: first the same, then two things. */
static void duplicate_extension(void **state)
{
	(void)state;
	size_t n;
	unsigned char *der = fixture("leaf.der", &n);
	struct x509_certificate c;
	struct x509_problem problem;
	unsigned char *usage = find(der, n, BYTES("\x55\x1d\x0f")),
				  *constraints = find(der, n, BYTES("\x55\x1d\x13"));
	usage[1] = constraints[1] = 0x1c;
	usage[2] = constraints[2] = 0x63;
	assert_false(x509_parse((struct bytes){ der, n }, &c, &problem));
	assert_string_equal(problem.reason, "the same extension twice");
	usage[2] = 0x62;
	assert_true(x509_parse((struct bytes){ der, n }, &c, &problem));
	free(der);
}

static void addresses(void **state)
{
	(void)state;
	unsigned char a[16];
	assert_int_equal(x509_scan_address("192.0.2.1", a), 4);
	assert_memory_equal(a, "\xc0\x00\x02\x01", 4);
	assert_int_equal(x509_scan_address("::ffff:192.0.2.1", a), 4);
	assert_memory_equal(a, "\xc0\x00\x02\x01", 4);
	assert_int_equal(x509_scan_address("2001:db8::1", a), 16);
	assert_memory_equal(a, "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01", 16);
	assert_int_equal(x509_scan_address("fe80::1%eth0", a), 16);
	assert_memory_equal(a, "\xfe\x80\0\0\0\0\0\0\0\0\0\0\0\0\0\x01", 16);
	const char *const bad[] = { "", "example.org", "1.2.3", "1.2.3.4.5", "1.2.3.256", "1.2.3.4%eth0",
		"fe80::1%", "%eth0", "::1 ", "[::1]", "0x7f.1", "1:2:3:4:5:6:7:8:9",
		"11111111111111111111111111111111111111111111111111111111111111111111111111" };
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		assert_int_equal(x509_scan_address(bad[i], a), 0);
}

/* ---- lists ---- */

static void files(void **state)
{
	(void)state;
	const struct {
		const char *name;
		size_t n;
	} good[] = { { "leaf.pem", 1 }, { "leaf.der", 1 }, { "leaf.crlf.pem", 1 }, { "leaf.bom.pem", 1 },
		{ "combined.pem", 2 }, { "joined.pem", 2 }, { "directory/bundle.crt", 2 } };
	for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
		struct x509_list list = fixture_list(good[i].name);
		assert_int_equal(list.n, good[i].n);
		x509_list_free(&list);
		assert_null(list.certificates);
	}
	struct x509_list list = fixture_list("leaf.pem");
	struct x509_problem problem;
	assert_true(x509_list_add_file(&list, fixture_path("leaf.der"), false, &problem)); /* there already */
	assert_int_equal(list.n, 1);
	assert_false(x509_list_add_file(&list, fixture_path("nowhere"), false, &problem));
	assert_int_equal(problem.errnum, ENOENT);
	assert_false(x509_list_add_file(&list, fixture_path("directory"), false, &problem));
	assert_int_equal(problem.errnum, EINVAL);
	assert_false(x509_list_add_file(&list, fixture_path("rsa2048.pkcs8.pem"), false, &problem));
	assert_string_equal(problem.reason, "no certificate in it");
	assert_false(x509_list_add_file(&list, "/dev/null", false, &problem));
	assert_string_equal(problem.reason, "no certificate in it");
	assert_int_equal(list.n, 1);
	x509_list_free(&list);
}

static void file_limit(void **state)
{
	(void)state;
	struct x509_problem problem;
	size_t n, exact;
	unsigned char *text = x509_read_file(fixture_path("leaf.der"), X509_FILE_MAX, &exact, &problem);
	assert_int_equal(text[exact], 0);
	free(text);
	text = x509_read_file(fixture_path("leaf.der"), exact, &n, &problem);
	assert_non_null(text);
	free(text);
	assert_null(x509_read_file(fixture_path("leaf.der"), exact - 1, &n, &problem));
	assert_int_equal(problem.errnum, EFBIG);
	assert_null(x509_read_file("/dev/zero", 100000, &n, &problem)); /* says nothing of its size beforehand */
	assert_int_equal(problem.errnum, EFBIG);
}

static void directories(void **state)
{
	(void)state;
	struct x509_list list = { .n = 0 };
	struct x509_problem problem;
	assert_true(x509_list_add_directory(&list, fixture_path("directory"), &problem));
	assert_int_equal(list.n, 2);
	assert_true(x509_list_add_directory(&list, fixture_path("directory/subdirectory"), &problem));
	assert_int_equal(list.n, 3);
	assert_false(x509_list_add_directory(&list, fixture_path("nowhere"), &problem));
	assert_int_equal(problem.errnum, ENOENT);
	assert_int_equal(list.n, 3);
	x509_list_free(&list);
}

/* A good certificate, one cut off inside its DER, and a good one. */
static void bad_certificate_between(void **state)
{
	(void)state;
	static const char bad[] = "-----BEGIN CERTIFICATE-----\nMAMCAQU=\n-----END CERTIFICATE-----\n"
							  "-----BEGIN CERTIFICATE-----\nMAM*AQU=\n-----END CERTIFICATE-----\n";
	for (int skip = 0; skip < 2; skip++) {
		size_t n1, n2;
		unsigned char *one = fixture("leaf.pem", &n1), *two = fixture("ca.pem", &n2);
		unsigned char *text = malloc(n1 + sizeof bad - 1 + n2);
		memcpy(text, one, n1);
		memcpy(text + n1, bad, sizeof bad - 1);
		memcpy(text + n1 + sizeof bad - 1, two, n2);
		struct x509_list list = fixture_list("multi.pem");
		struct x509_problem problem;
		assert_int_equal(x509_list_add_memory(&list, text, n1 + sizeof bad - 1 + n2, skip, &problem), skip);
		assert_int_equal(list.n, skip ? 3 : 1);
		x509_list_free(&list);
		free(one);
		free(two);
		free(text);
	}
}

/* Of a file with certificates, a key and text nothing is kept but the certificates; nor of a key that is
 * broken. */
static void keys_are_wiped(void **state)
{
	(void)state;
	for (int broken = 0; broken < 2; broken++) {
		size_t n;
		unsigned char *text = fixture("combined.pem", &n);
		if (broken)
			find(text, n, BYTES("-----BEGIN PRIVATE"))[200] = '*';
		struct x509_list list = { .n = 0 };
		struct x509_problem problem;
		assert_true(x509_list_add_memory(&list, text, n, broken, &problem));
		assert_int_equal(list.n, 2);
		size_t kept = 0, zeros = 0;
		for (size_t i = 0; i < list.n; i++)
			kept += list.certificates[i].der.n;
		for (size_t i = 0; i < n; i++) {
			const struct bytes first = list.certificates[0].der, second = list.certificates[1].der;
			bool in_first = text + i >= first.at && text + i < first.at + first.n;
			bool in_second = text + i >= second.at && text + i < second.at + second.n;
			if (!in_first && !in_second) {
				assert_int_equal(text[i], 0);
				zeros++;
			}
		}
		assert_int_equal(zeros, n - kept);
		x509_list_free(&list);
		free(text);
	}
}

/* Enough to make every array grow a few times; the names of the certificates tell that the order is kept. */
static void many(void **state)
{
	(void)state;
	enum { MANY = 300 };
	size_t n;
	unsigned char *der = fixture("leaf.der", &n), *copies = malloc(MANY * n);
	struct x509_list list = { .n = 0 };
	struct x509_problem problem;
	for (int round = 0; round < 2; round++) {
		for (size_t i = 0; i < MANY; i++) {
			unsigned char *copy = copies + i * n;
			memcpy(copy, der, n);
			copy[n - 1] = (unsigned char)i;
			copy[n - 2] = (unsigned char)(i >> 8);
			assert_true(x509_list_add_memory(&list, copy, n, false, &problem));
		}
		assert_int_equal(list.n, MANY);
	}
	for (size_t i = 0; i < MANY; i++)
		assert_ptr_equal(list.certificates[i].der.at, copies + i * n);
	x509_list_free(&list);
	free(copies);
	free(der);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(elements),
		cmocka_unit_test(elements_refused),
		cmocka_unit_test(numbers),
		cmocka_unit_test(times),
		cmocka_unit_test(blocks),
		cmocka_unit_test(blocks_refused),
		cmocka_unit_test(block_after_a_bad_one),
		cmocka_unit_test(pem_round_trip),
		cmocka_unit_test(leaf),
		cmocka_unit_test(other_certificates),
		cmocka_unit_test(damaged),
		cmocka_unit_test(duplicate_extension),
		cmocka_unit_test(addresses),
		cmocka_unit_test(files),
		cmocka_unit_test(file_limit),
		cmocka_unit_test(directories),
		cmocka_unit_test(bad_certificate_between),
		cmocka_unit_test(keys_are_wiped),
		cmocka_unit_test(many),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
