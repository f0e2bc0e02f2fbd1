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
		for (int issuer = 0; issuer < 2; issuer++) {
			char *wanted = openssl_says(certificates[i], issuer ? "issuer" : "subject"), text[4096];
			struct bytes name = issuer ? list.certificates[0].issuer : list.certificates[0].subject;
			struct x509_text out = { .at = text, .room = sizeof text };
			x509_name_rfc2253(name, &out);
			assert_false(out.overflow);
			assert_string_equal(text, wanted);
			assert_int_equal(out.n, strlen(wanted));
			/* In any smaller room: no byte beyond it, and it says so. */
			for (size_t room = 0; room <= out.n; room++) {
				char *exact = malloc(room + 1);
				struct x509_text small = { .at = exact, .room = room };
				exact[room] = 'x';
				x509_name_rfc2253(name, &small);
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
		x509_name_rfc2253(name, &out);
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
	x509_variables(&list.certificates[0], remember, &found, work, room);
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
	static const char *const pair[][2] = { { "S_DN", "subject" }, { "I_DN", "issuer" },
		{ "M_SERIAL", "serial" }, { "V_START", "start" }, { "V_END", "end" }, { "A_SIG", "sig" },
		{ "A_KEY", "key" } };
	for (size_t i = 0; i < CERTIFICATES; i++) {
		struct found found = variables(certificates[i]);
		for (size_t j = 0; j < sizeof pair / sizeof pair[0]; j++) {
			char *wanted = openssl_says(certificates[i], pair[j][1]);
			assert_value(&found, pair[j][0], wanted);
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
	};
	for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++)
		assert_value(&found, expected[i][0], expected[i][1]);
	assert_null(value_of(&found, "S_DN_OU_2"));
	assert_null(value_of(&found, "S_DN_OU_0"));
	assert_null(value_of(&found, "SAN_DNS_2"));
	forget(&found);
}

/* What does not fit is left out, the rest is there. */
static void little_room(void **state)
{
	(void)state;
	struct x509_list list = certificate("leaf");
	for (size_t room = 0; room < 40; room++) {
		struct found found = { .n = 0 };
		char *work = malloc(room);
		x509_variables(&list.certificates[0], remember, &found, work, room);
		free(work);
		assert_null(value_of(&found, "CERT"));
		assert_int_equal(value_of(&found, "M_VERSION") != NULL, room >= 2);
		assert_int_equal(value_of(&found, "S_DN_ST") != NULL, room >= 7);
		assert_int_equal(value_of(&found, "V_END") != NULL, room >= 25);
		forget(&found);
	}
	x509_list_free(&list);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rfc2253_as_openssl),
		cmocka_unit_test(short_form),
		cmocka_unit_test(names_by_hand),
		cmocka_unit_test(variables_as_openssl),
		cmocka_unit_test(variables_of_the_leaf),
		cmocka_unit_test(little_room),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
