/* Names and variables of certificates, against what openssl says of them. Needs what x509_fixtures makes, in
 * $FIXTURES. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "x509_fixture.h"

static const char *const certificates[] = { "v1", "leaf", "ca", "multi", "zero", "ed", "specials", "control",
	"charsets", "unknown", "empty" };
enum { CERTIFICATES = sizeof certificates / sizeof certificates[0] };

static void no_control_bytes(const char *text)
{
	for (; *text != '\0'; text++)
		assert_true((unsigned char)*text >= 32 && *text != 127);
}

static struct x509_list certificate(const char *name)
{
	char file[64];
	(void)snprintf(file, sizeof file, "%s.pem", name);
	return fixture_list(file);
}

/* What openssl says: "NAME.what". The caller frees. */
static char *openssl_says(const char *name, const char *what)
{
	char file[64];
	(void)snprintf(file, sizeof file, "%s.%s", name, what);
	return fixture_text(file);
}

static void rfc2253_as_openssl(void **state)
{
	(void)state;
	for (size_t i = 0; i < CERTIFICATES; i++) {
		struct x509_list list = certificate(certificates[i]);
		for (int which = 0; which < 4; which++) {
			static const char *const files[] = { "subject", "issuer", "subject-utf8", "issuer-utf8" };
			bool issuer = which % 2;
			enum x509_name_form form = which < 2 ? X509_NAME_ASCII : X509_NAME_UTF8;
			char *wanted = openssl_says(certificates[i], files[which]), text[4096];
			struct bytes name = issuer ? list.certificates[0].issuer : list.certificates[0].subject;
			struct x509_text out = { .at = text, .room = sizeof text };
			x509_name_text(name, form, &out);
			assert_false(out.overflow);
			assert_string_equal(text, wanted);
			assert_int_equal(out.n, strlen(wanted));
			/* In any smaller room: no byte beyond it, and it says so. */
			for (size_t room = 0; room <= out.n; room++) {
				char *exact = malloc(room + 1);
				struct x509_text small = { .at = exact, .room = room };
				exact[room] = 'x';
				x509_name_text(name, form, &small);
				assert_true(small.overflow);
				assert_int_equal(exact[room], 'x');
				if (room > 0)
					assert_int_equal(strlen(exact), small.n);
				free(exact);
			}
			free(wanted);
		}
		x509_list_free(&list);
	}
}

static void short_form(void **state)
{
	(void)state;
	const struct {
		const char *certificate, *text;
	} expected[] = {
		{ "leaf", "C=DE, ST=Berlin, L=K\xc3\xb6ln, O=Example\\, Inc., OU=One, OU=Two, CN=www.example.org" },
		{ "multi", "O=Multi, OU=Valued, CN=a" },
		{ "specials", "CN=a\\,b\\+c\\\"d\\\\e\\<f\\>g\\;h\\=i, O=\\ ab\\09 , OU=\\#h, L=\\ " },
		{ "control", "CN=a\\00b, O=a\\0Ab\\=, CN=\\1B[2\\7F" },
		{ "charsets", "CN=\xc3\xa9, CN=\xc3\xa9, CN=\xc3\xa9, CN=\xc3\xa9, CN=\xc3\xa9\xe2\x82\xac, "
					  "CN=\xc3\xa9\xe2\x82\xac, O=\xe2\x82\xac" },
		{ "unknown", "CN=\\00\\01\\02, O=" },
		{ "broken", "CN=A\\C0A\\FF, CN=A\\D8\\00, CN=A\\00\\11\\00\\00, CN=\\C2\\9B, CN=\\ED\\A0\\80, "
					"CN=\xf0\x9f\x98\x80" },
		{ "empty", "" },
	};
	for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++) {
		struct x509_list list = certificate(expected[i].certificate);
		char text[4096];
		struct x509_text out = { .at = text, .room = sizeof text };
		x509_name_short(list.certificates[0].subject, &out);
		assert_string_equal(text, expected[i].text);
		no_control_bytes(text);
		out = (struct x509_text){ .at = text, .room = 5 };
		x509_name_short(list.certificates[0].subject, &out);
		assert_int_equal(out.overflow, strlen(expected[i].text) > 4);
		assert_true(strlen(text) < 5);
		x509_list_free(&list);
	}
}

static void names_by_hand(void **state)
{
	(void)state;
	const struct {
		struct bytes name;
		const char *text, *rfc2253;
	} expected[] = {
		{ BYTES(""), "<invalid>", "<invalid>" },
		{ BYTES("\x31\x00"), "<invalid>", "<invalid>" },
		{ BYTES("\x30\x00\x00"), "<invalid>", "<invalid>" },
		{ BYTES("\x30\x02\x31\x00"), "<invalid>", "<invalid>" },
		{ BYTES("\x30\x06\x31\x04\x30\x02\x06\x00"), "<invalid>", "<invalid>" },
		/* no value; two values; a good RDN and then a bad one */
		{ BYTES("\x30\x09\x31\x07\x30\x05\x06\x03\x55\x04\x03"), "<invalid>", "<invalid>" },
		{ BYTES("\x30\x0d\x31\x0b\x30\x09\x06\x03\x55\x04\x03\x05\x00\x05\x00"), "<invalid>", "<invalid>" },
		{ BYTES("\x30\x0e\x31\x0a\x30\x08\x06\x03\x55\x04\x03\x0c\x01"
				"a\x31\x00"),
			"<invalid>", "<invalid>" },
		/* BMPString of an odd length; blanks alone; blanks at both ends */
		{ BYTES("\x30\x0e\x31\x0c\x30\x0a\x06\x03\x55\x04\x03\x1e\x03\x00"
				"AB"),
			"CN=A\\42", "CN=A\\42" },
		{ BYTES("\x30\x0e\x31\x0c\x30\x0a\x06\x03\x55\x04\x03\x0c\x03"
				"   "),
			"CN=\\   ", "CN=\\  \\ " },
		/* UTF-8 that could be shorter */
		{ BYTES("\x30\x0e\x31\x0c\x30\x0a\x06\x03\x55\x04\x03\x0c\x03\xe0\x80\xaf"), "CN=\\E0\\80\\AF",
			"CN=\\E0\\80\\AF" },
		/* identifiers: root 1, a long arc, malformed ones */
		{ BYTES("\x30\x0d\x31\x0b\x30\x09\x06\x04\x2a\x86\x48\x01\x0c\x01"
				"a"),
			"", "1.2.840.1=#0C0161" },
		{ BYTES("\x30\x0d\x31\x0b\x30\x09\x06\x04\x2a\x80\x48\x01\x0c\x01"
				"a"),
			"", "#2A804801=#0C0161" },
		{ BYTES("\x30\x0d\x31\x0b\x30\x09\x06\x04\x2a\x86\x48\x81\x0c\x01"
				"a"),
			"", "#2A864881=#0C0161" },
	};
	for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++) {
		char text[200] = "before ", again[200] = "";
		struct x509_text out = { .at = text, .room = sizeof text, .n = 7 };
		unsigned char *copy = exact_copy(expected[i].name.at, expected[i].name.n);
		struct bytes name = { copy, expected[i].name.n };
		x509_name_short(name, &out); /* appends */
		assert_memory_equal(text, "before ", 7);
		assert_string_equal(text + 7, expected[i].text);
		out = (struct x509_text){ .at = again, .room = sizeof again };
		x509_name_text(name, X509_NAME_ASCII, &out);
		assert_string_equal(again, expected[i].rfc2253);
		free(copy);
	}
}

/* ---- variables ---- */

struct found {
	char *text[200]; /* "SUFFIX=value" */
	size_t n;
};

static void remember(void *context, const char *suffix, const char *value)
{
	struct found *found = context;
	assert_true(found->n < 200);
	assert_non_null(value); /* there is always room here */
	size_t room = strlen(suffix) + strlen(value) + 2;
	found->text[found->n] = malloc(room);
	(void)snprintf(found->text[found->n++], room, "%s=%s", suffix, value);
	if (strcmp(suffix, "CERT") != 0)
		no_control_bytes(value);
}

static const char *value_of(const struct found *found, const char *suffix)
{
	const char *value = NULL;
	for (size_t i = 0; i < found->n; i++) {
		size_t n = strlen(suffix);
		if (strncmp(found->text[i], suffix, n) == 0 && found->text[i][n] == '=') {
			assert_null(value); /* never twice */
			value = found->text[i] + n + 1;
		}
	}
	return value;
}

static struct found variables(const char *name)
{
	struct found found = { .n = 0 };
	struct x509_list list = certificate(name);
	size_t room = 2 * list.certificates[0].der.n + 4096;
	char *work = malloc(room);
	x509_variables(
		&list.certificates[0], list.certificates[0].not_after - 86400, remember, &found, work, room);
	free(work);
	x509_list_free(&list);
	return found;
}

static void forget(struct found *found)
{
	while (found->n > 0)
		free(found->text[--found->n]);
}

static void assert_value(const struct found *found, const char *suffix, const char *wanted)
{
	const char *value = value_of(found, suffix);
	if (value == NULL)
		fail_msg("no %s", suffix);
	assert_string_equal(value, wanted);
}

static void variables_as_openssl(void **state)
{
	(void)state;
	static const char *const pair[][2] = { { "S_DN", "subject-utf8" }, { "I_DN", "issuer-utf8" },
		{ "M_SERIAL", "serial" }, { "V_START", "start" }, { "V_END", "end" }, { "A_SIG", "sig" },
		{ "A_KEY", "key" } };
	for (size_t i = 0; i < CERTIFICATES; i++) {
		struct found found = variables(certificates[i]);
		for (size_t j = 0; j < sizeof pair / sizeof pair[0]; j++) {
			char *wanted = openssl_says(certificates[i], pair[j][1]);
			if (*wanted != '\0')
				assert_value(&found, pair[j][0], wanted);
			else
				assert_null(value_of(&found, pair[j][0])); /* a name of nothing */
			free(wanted);
		}
		assert_value(&found, "M_VERSION",
			strcmp(certificates[i], "leaf") == 0 || strcmp(certificates[i], "ca") == 0 ? "3" : "1");
		char *pem = openssl_says(certificates[i], "pem.openssl");
		const char *value = value_of(&found, "CERT");
		assert_non_null(value);
		assert_memory_equal(value, pem, strlen(pem));
		assert_string_equal(value + strlen(pem), "\n");
		free(pem);
		if (strcmp(certificates[i], "unknown") != 0) { /* shows a BIT STRING without its first byte */
			char *names = openssl_says(certificates[i], "cn");
			int n = 0;
			for (char *line = strtok(names, "\n"); line != NULL; line = strtok(NULL, "\n")) {
				char suffix[32];
				(void)snprintf(suffix, sizeof suffix, n == 0 ? "S_DN_CN" : "S_DN_CN_%d", n);
				n++;
				assert_value(&found, suffix, line);
			}
			free(names);
		}
		forget(&found);
	}
}

static void variables_of_the_leaf(void **state)
{
	(void)state;
	struct found found = variables("leaf");
	const char *const expected[][2] = {
		{ "S_DN_C", "DE" },
		{ "S_DN_ST", "Berlin" },
		{ "S_DN_L", "K\xc3\xb6ln" },
		{ "S_DN_O", "Example, Inc." },
		{ "S_DN_OU", "One" },
		{ "S_DN_OU_1", "Two" },
		{ "S_DN_CN", "www.example.org" },
		{ "S_DN_T", "T" },
		{ "S_DN_I", "I" },
		{ "S_DN_G", "G" },
		{ "S_DN_S", "S" },
		{ "S_DN_D", "D" },
		{ "S_DN_UID", "u1" },
		{ "S_DN_Email", "someone@example.org" },
		{ "I_DN_CN", "www.example.org" },
		{ "SAN_DNS_0", "www.example.org" },
		{ "SAN_DNS_1", "example.org" },
		{ "SAN_Email_0", "someone@example.org" },
		{ "SAN_IP_0", "192.0.2.1" },
		{ "SAN_IP_1", "2001:db8::1" },
		{ "V_REMAIN", "1" },
	};
	for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++)
		assert_value(&found, expected[i][0], expected[i][1]);
	assert_null(value_of(&found, "S_DN_OU_2"));
	assert_null(value_of(&found, "S_DN_OU_0"));
	assert_null(value_of(&found, "SAN_DNS_2"));
	forget(&found);
}

/* ---- by hand ---- */

/* What x509_variables says of a certificate that has nothing but these. The caller forgets. */
static struct found described(
	struct bytes serial, struct bytes issuer, struct bytes alternative_names, int64_t left)
{
	static char work[4096];
	struct found found = { .n = 0 };
	struct x509_certificate certificate = { .version = 3,
		.serial = serial,
		.issuer = issuer,
		.subject = issuer,
		.alternative_names = alternative_names };
	certificate.not_after = 1000000000;
	x509_variables(&certificate, certificate.not_after - left, remember, &found, work, sizeof work);
	return found;
}

#define NO_NAME     BYTES("\x30\x00")
#define CEA(serial) "{ serialNumber " serial ", issuer rdnSequence:\"\" }"

static void serial_numbers(void **state)
{
	(void)state;
	const struct {
		struct bytes serial;
		const char *hexadecimal, *assertion;
	} expected[] = {
		{ BYTES("\x00"), "00", CEA("0") },
		{ BYTES("\x0a"), "0A", CEA("10") },
		{ BYTES("\x00\xff"), "FF", CEA("255") },
		{ BYTES("\xff"), "-01", CEA("-1") },
		{ BYTES("\x80"), "-80", CEA("-128") },
		{ BYTES("\xff\x00"), "-0100", CEA("-256") },
		{ BYTES("\xfe\xff"), "-0101", CEA("-257") },
		{ BYTES("\x01\x00\x00\x00\x00\x00\x00\x00\x00"), "010000000000000000", CEA("18446744073709551616") },
	};
	for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++) {
		struct found found =
			described(expected[i].serial, (struct bytes)NO_NAME, (struct bytes){ NULL, 0 }, 0);
		assert_value(&found, "M_SERIAL", expected[i].hexadecimal);
		assert_value(&found, "CERT_RFC4523_CEA", expected[i].assertion);
		forget(&found);
	}
	/* The longest in decimal, all digits of it: 2^511-1. */
	unsigned char longest[64];
	memset(longest, 0xff, sizeof longest);
	longest[0] = 0x7f;
	struct found found =
		described((struct bytes){ longest, 64 }, (struct bytes)NO_NAME, (struct bytes){ NULL, 0 }, 0);
	assert_value(&found, "CERT_RFC4523_CEA",
		CEA("670390396497129854978701249910292306373968291029619668886178072186088201503677348840093714908345"
			"17"
			"13845015929093243025426876941405973284973216824503042047"));
	forget(&found);
}

static void days_left(void **state)
{
	(void)state;
	const struct {
		int64_t seconds;
		const char *days;
	} expected[] = { { 0, "0" }, { -1, "0" }, { -1000000, "0" }, { 86399, "0" }, { 86400, "1" },
		{ 864000, "10" } };
	for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++) {
		struct found found = described((struct bytes)BYTES("\x01"), (struct bytes)NO_NAME,
			(struct bytes){ NULL, 0 }, expected[i].seconds);
		assert_value(&found, "V_REMAIN", expected[i].days);
		forget(&found);
	}
}

/* A quotation mark does not end the string that it stands in. */
static void assertion_of_a_quoted_issuer(void **state)
{
	(void)state;
	struct found found = described((struct bytes)BYTES("\x01"),
		(struct bytes)BYTES("\x30\x11\x31\x0f\x30\x0d\x06\x03\x55\x04\x03\x0c\x06"
							"\" }, \""),
		(struct bytes){ NULL, 0 }, 0);
	assert_value(
		&found, "CERT_RFC4523_CEA", "{ serialNumber 1, issuer rdnSequence:\"CN=\\\"\" }\\, \\\"\"\" }");
	forget(&found);
}

static void other_names(void **state)
{
	(void)state;
#define UPN "\x06\x0a\x2b\x06\x01\x04\x01\x82\x37\x14\x02\x03"
#define SRV "\x06\x08\x2b\x06\x01\x05\x05\x07\x08\x07"
	struct found found = described((struct bytes)BYTES("\x01"), (struct bytes)NO_NAME,
		(struct bytes)BYTES("\xa0\x11" UPN "\xa0\x03\x0c\x01"
							"a"
							"\xa0\x11" UPN "\xa0\x03\x16\x01"
							"b" /* of another kind of string */
							"\xa0\x0f" SRV "\xa0\x03\x16\x01"
							"c"
							"\xa0\x0c" UPN                    /* without a value */
							"\xa0\x00"                        /* without anything */
							"\xa0\x10" UPN "\xa0\x02\x0c\x00" /* empty */
							"\x82\x00"
							"\xa0\x12" UPN "\xa0\x04\x0c\x02"
							"\n\0"),
		0);
	assert_value(&found, "SAN_OTHER_msUPN_0", "a");
	assert_value(&found, "SAN_OTHER_msUPN_1", "\\0A\\00");
	assert_null(value_of(&found, "SAN_OTHER_msUPN_2"));
	assert_value(&found, "SAN_OTHER_dnsSRV_0", "c");
	assert_null(value_of(&found, "SAN_DNS_0"));
	forget(&found);
}

/* ---- bounds ---- */

static void count_missing(void *context, const char *suffix, const char *value)
{
	unsigned *seen = context;
	if (strncmp(suffix, "SAN_DNS_", 8) != 0)
		return;
	seen[value == NULL]++;
	assert_int_equal(value == NULL, strlen(suffix) > 12);
}

/* Numbers have four digits; what is beyond them is said to be left out. */
static void very_many(void **state)
{
	(void)state;
	enum { NAMES = 10003 };
	static unsigned char names[3 * NAMES];
	static char work[64];
	unsigned seen[2] = { 0 };
	for (size_t i = 0; i < NAMES; i++)
		memcpy(names + 3 * i, "\x82\x01x", 3);
	struct x509_certificate certificate = { .issuer = NO_NAME,
		.subject = NO_NAME,
		.serial = BYTES("\x01"),
		.alternative_names = { names, sizeof names } };
	x509_variables(&certificate, 0, count_missing, seen, work, sizeof work);
	assert_int_equal(seen[0], 10000);
	assert_int_equal(seen[1], 3);
}

static void remember_missing(void *context, const char *suffix, const char *value)
{
	if (value != NULL)
		remember(context, suffix, value);
	else
		remember(context, suffix, "<missing>");
}

/* Of what does not fit it is said that it is missing, the rest is there. */
static void little_room(void **state)
{
	(void)state;
	struct x509_list list = certificate("leaf");
	for (size_t room = 0; room < 40; room++) {
		struct found found = { .n = 0 };
		char *work = malloc(room);
		x509_variables(&list.certificates[0], 0, remember_missing, &found, work, room);
		free(work);
		assert_value(&found, "CERT", "<missing>");
		assert_value(&found, "S_DN", "<missing>");
		assert_value(&found, "CERT_RFC4523_CEA", "<missing>");
		assert_value(&found, "M_VERSION", room >= 2 ? "3" : "<missing>");
		assert_value(&found, "S_DN_ST", room >= 7 ? "Berlin" : "<missing>");
		assert_int_equal(strcmp(value_of(&found, "V_END"), "<missing>") != 0, room >= 25);
		forget(&found);
	}
	x509_list_free(&list);
}

/* Doubling in any room: right, or said to be too long, and never a byte beyond it. */
static void assertion_in_any_room(void **state)
{
	(void)state;
	static unsigned char name[] = "\x30\x10\x31\x0e\x30\x0c\x06\x03\x55\x04\x03\x0c\x05\"\"\"\"\"";
	static const char whole[] =
		"{ serialNumber 1, issuer rdnSequence:\"CN=\\\"\"\\\"\"\\\"\"\\\"\"\\\"\"\" }";
	struct x509_certificate certificate = { .serial = BYTES("\x01"), .subject = NO_NAME };
	certificate.issuer = (struct bytes){ name, sizeof name - 1 };
	for (size_t room = 0; room < sizeof whole + 10; room++) {
		struct found found = { .n = 0 };
		char *work = malloc(room);
		x509_variables(&certificate, 0, remember_missing, &found, work, room);
		free(work);
		assert_value(&found, "CERT_RFC4523_CEA", room >= sizeof whole ? whole : "<missing>");
		forget(&found);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rfc2253_as_openssl),
		cmocka_unit_test(short_form),
		cmocka_unit_test(names_by_hand),
		cmocka_unit_test(variables_as_openssl),
		cmocka_unit_test(variables_of_the_leaf),
		cmocka_unit_test(serial_numbers),
		cmocka_unit_test(days_left),
		cmocka_unit_test(assertion_of_a_quoted_issuer),
		cmocka_unit_test(other_names),
		cmocka_unit_test(very_many),
		cmocka_unit_test(little_room),
		cmocka_unit_test(assertion_in_any_room),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
