/*
 * The parts of path validation that are subjects of their own: host names, comparing distinguished names,
 * name constraints and policies. All certificates are made here, piece by piece, in a short notation.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "x509_fixture.h"
#include "../../src/x509/path.h"

#include <limits.h>

/* ---- memory that lasts as long as one row: pieces of exactly their size, so that ASan sees a step beyond
 * ---- */

static void *pieces[8192];
static size_t n_pieces;

static struct bytes keep(const void *bytes, size_t n)
{
	assert_true(n_pieces < sizeof pieces / sizeof pieces[0]);
	pieces[n_pieces] = exact_copy(bytes, n);
	return (struct bytes){ pieces[n_pieces++], n };
}

static void forget(void)
{
	while (n_pieces > 0)
		free(pieces[--n_pieces]);
}

/* ---- DER from a notation: "30( 82('text') 05 00 )" is elements with lengths made here, text, and plain
 * bytes ---- */

struct out {
	unsigned char at[70000];
	size_t n;
};

static void put(struct out *out, struct bytes bytes)
{
	assert_true(bytes.n <= sizeof out->at - out->n);
	if (bytes.n > 0)
		memcpy(out->at + out->n, bytes.at, bytes.n);
	out->n += bytes.n;
}

static void put_byte(struct out *out, size_t byte)
{
	unsigned char one = (unsigned char)byte;
	put(out, (struct bytes){ &one, 1 });
}

static void put_length(struct out *out, size_t n)
{
	if (n >= 0x10000) {
		put_byte(out, 0x83);
		put_byte(out, n >> 16);
	} else if (n >= 0x100) {
		put_byte(out, 0x82);
	} else if (n >= 0x80) {
		put_byte(out, 0x81);
	}
	if (n >= 0x100)
		put_byte(out, n >> 8);
	put_byte(out, n);
}

static struct bytes element(unsigned tag, struct bytes content)
{
	struct out *out = calloc(1, sizeof *out);
	assert_non_null(out);
	put_byte(out, tag);
	put_length(out, content.n);
	put(out, content);
	struct bytes made = keep(out->at, out->n);
	free(out);
	return made;
}

static unsigned hex_byte(const char *text)
{
	char digits[3] = { text[0], text[0] != '\0' ? text[1] : '\0', '\0' }, *end;
	unsigned long byte = strtoul(digits, &end, 16);
	if (end != digits + 2)
		fail_msg("not a byte: %s", text);
	return (unsigned)byte;
}

static struct bytes der_until(const char **text, char closing)
{
	struct out *out = calloc(1, sizeof *out);
	assert_non_null(out);
	for (; **text != closing; ++*text) {
		if (**text == ' ')
			continue;
		if (**text == '\'') {
			for (++*text; **text != '\''; ++*text)
				put_byte(out, (unsigned char)**text);
			continue;
		}
		unsigned byte = hex_byte(*text);
		++*text;
		if ((*text)[1] == '(') {
			*text += 2;
			put(out, element(byte, der_until(text, ')')));
		} else {
			put_byte(out, byte);
		}
	}
	struct bytes made = keep(out->at, out->n);
	free(out);
	return made;
}

static struct bytes der(const char *text)
{
	return der_until(&text, '\0');
}

/* ---- a Name from "CN=U:text/O=P:text+OU=U:text": parts by slashes, + joins to the same RDN ---- */

/* Text up to one of the bytes in ends, %41 being a byte in hexadecimal. */
static struct bytes text_until(const char **text, const char *ends)
{
	char bytes[512];
	size_t n = 0;
	while (**text != '\0' && strchr(ends, **text) == NULL) {
		assert_true(n < sizeof bytes);
		if (**text == '%') {
			bytes[n++] = (char)hex_byte(*text + 1);
			*text += 3;
		} else {
			bytes[n++] = *(*text)++;
		}
	}
	return keep(bytes, n);
}

static const struct {
	const char *name, *oid;
} types[] = {
	{ "CN=", "06(55 04 03)" },
	{ "C=", "06(55 04 06)" },
	{ "O=", "06(55 04 0a)" },
	{ "OU=", "06(55 04 0b)" },
	{ "DC=", "06(09 92 26 89 93 f2 2c 64 01 19)" },
	{ "E=", "06(2a 86 48 86 f7 0d 01 09 01)" },
};

static unsigned string_tag(char letter)
{
	switch (letter) {
	case 'U':
		return DER_UTF8_STRING;
	case 'P':
		return DER_PRINTABLE_STRING;
	case 'I':
		return DER_IA5_STRING;
	case 'T':
		return DER_T61_STRING;
	case 'B':
		return DER_BMP_STRING;
	default:
		fail_msg("no string type: %c", letter);
		return 0;
	}
}

static struct bytes join(struct bytes a, struct bytes b)
{
	struct out *out = calloc(1, sizeof *out);
	assert_non_null(out);
	put(out, a);
	put(out, b);
	struct bytes made = keep(out->at, out->n);
	free(out);
	return made;
}

static struct bytes attribute(const char **text)
{
	size_t i = 0;
	while (strncmp(*text, types[i].name, strlen(types[i].name)) != 0)
		if (++i == sizeof types / sizeof types[0])
			fail_msg("no attribute type: %s", *text);
	*text += strlen(types[i].name);
	unsigned tag = string_tag(**text);
	*text += 2;
	return element(DER_SEQUENCE, join(der(types[i].oid), element(tag, text_until(text, "+/|"))));
}

static struct bytes name_until(const char **text)
{
	struct bytes rdns = { NULL, 0 }, rdn = { NULL, 0 };
	while (**text != '\0' && **text != '|') {
		rdn = join(rdn, attribute(text));
		char next = **text;
		if (next == '+' || next == '/')
			++*text;
		if (next != '+') {
			rdns = join(rdns, element(DER_SET, rdn));
			rdn.n = 0;
		}
	}
	return element(DER_SEQUENCE, rdns);
}

static struct bytes name(const char *text)
{
	return name_until(&text);
}

/* ---- GeneralNames from "dns:a.example|ip:0a000001|dir:CN=U:text", as they are or each in a subtree ---- */

static const struct {
	const char *prefix;
	unsigned tag;
} kinds[] = {
	{ "other:", 0xa0 },
	{ "mail:", 0x81 },
	{ "dns:", 0x82 },
	{ "x400:", 0xa3 },
	{ "dir:", 0xa4 },
	{ "edi:", 0xa5 },
	{ "uri:", 0x86 },
	{ "ip:", 0x87 },
	{ "rid:", 0x88 },
	{ "form:", 0xa2 }, /* a DNS name in the form of a directory name */
	{ "baddir:", 0xa4 },
};

static struct bytes general_name(const char **text)
{
	size_t i = 0;
	while (strncmp(*text, kinds[i].prefix, strlen(kinds[i].prefix)) != 0)
		if (++i == sizeof kinds / sizeof kinds[0])
			fail_msg("no kind of name: %s", *text);
	*text += strlen(kinds[i].prefix);
	if (strcmp(kinds[i].prefix, "dir:") == 0)
		return element(kinds[i].tag, name_until(text));
	if (strcmp(kinds[i].prefix, "ip:") != 0)
		return element(kinds[i].tag, text_until(text, "|"));
	unsigned char address[64];
	size_t n = 0;
	for (; **text != '\0' && **text != '|'; *text += 2)
		address[n++] = (unsigned char)hex_byte(*text);
	return element(kinds[i].tag, keep(address, n));
}

static struct bytes general_names(const char *text, bool in_subtrees)
{
	struct bytes all = { NULL, 0 };
	while (text != NULL && *text != '\0') {
		struct bytes one = general_name(&text);
		all = join(all, in_subtrees ? element(DER_SEQUENCE, one) : one);
		if (*text == '|')
			text++;
	}
	return all;
}

static struct x509_certificate certificate(const char *subject, const char *alternative_names)
{
	return (struct x509_certificate){
		.version = 3,
		.subject = name(subject),
		.alternative_names = general_names(alternative_names, false),
		.path_length = -1,
		.require_explicit_policy = -1,
		.inhibit_any_policy = -1,
	};
}

/* What extension or name constraints from both lists would be read as. */
static struct x509_certificate authority(const char *permitted, const char *excluded)
{
	struct x509_certificate made = certificate("", NULL);
	struct bytes inside = { NULL, 0 };
	if (permitted != NULL)
		inside = element(0xa0, general_names(permitted, true));
	if (excluded != NULL)
		inside = join(inside, element(0xa1, general_names(excluded, true)));
	if (!constraints_read(element(DER_SEQUENCE, inside), &made))
		fail_msg("not read: %s, %s", permitted ? permitted : "", excluded ? excluded : "");
	made.name_constraints_critical = true;
	return made;
}

static void said(const char *what, size_t row, const char *found, const char *wanted)
{
	if (found == NULL && wanted == NULL)
		return;
	if (found == NULL || wanted == NULL || strcmp(found, wanted) != 0)
		fail_msg("%s, row %zu: %s instead of %s", what, row, found != NULL ? found : "accepted",
			wanted != NULL ? wanted : "accepted");
}

#define ROWS(table) (sizeof(table) / sizeof(table)[0])

/* ---- host names ---- */

static const char another[] = "certificate is for another name";
static const char elsewhere[] = "certificate is for another address";
static const char nobody[] = "certificate is for no host: it has no subject alternative name";

static void hosts(void **state)
{
	(void)state;
	static const struct {
		const char *names, *subject, *host;
		bool common_name;
		const char *wanted;
	} rows[] = {
		{ "dns:a.example", "", "a.example", false, NULL },
		{ "dns:A.eXample", "", "a.Example", false, NULL },
		{ "dns:AZaz09-_.example", "", "azAZ09-_.example", false, NULL },
		{ "dns:b.example|dns:a.example", "", "a.example", false, NULL },
		{ "dns:localhost", "", "localhost", false, NULL },
		{ "dns:_sip.a.example", "", "_sip.a.example", false, NULL },
		{ "dns:a.example", "", "b.example", false, another },
		{ "dns:a.example", "", "x.a.example", false, another },
		{ "dns:a.example", "", "example", false, another },
		{ "dns:a.example.", "", "a.example", false, another },
		{ "dns:a.example%00", "", "a.example", false, another },
		{ "dns:a.example%00.b.example", "", "a.example", false, another },
		{ "dns: a.example", "", "a.example", false, another },
		{ "dns:a..example", "", "a..example", false, another },
		{ "dns:", "", "a.example", false, another },
		{ "dns:", "", "", false, another },
		{ "uri:a.example", "", "a.example", false, another },
		{ "form:a.example", "", "a.example", false, another },
		/* one label, the leftmost, whole */
		{ "dns:*.a.example", "", "x.a.example", false, NULL },
		{ "dns:*.A.example", "", "X.a.EXAMPLE", false, NULL },
		{ "dns:*.a.example", "", "a.example", false, another },
		{ "dns:*.a.example", "", ".a.example", false, another },
		{ "dns:*.a.example", "", "y.x.a.example", false, another },
		{ "dns:*.example", "", "a.example", false, another },
		{ "dns:*", "", "example", false, another },
		{ "dns:*.", "", "example", false, another },
		{ "dns:*.*.example", "", "x.a.example", false, another },
		{ "dns:x*.a.example", "", "xy.a.example", false, another },
		{ "dns:*x.a.example", "", "yx.a.example", false, another },
		{ "dns:x.*.example", "", "x.a.example", false, another },
		{ "dns:*..a.example", "", "x..a.example", false, another },
		{ "dns:*.a.example.", "", "x.a.example", false, another },
		{ "dns:*.0.0.1", "", "127.0.0.1", false, elsewhere },
		/* addresses */
		{ "ip:7f000001", "", "127.0.0.1", false, NULL },
		{ "dns:a.example|ip:7f000001", "", "127.0.0.1", false, NULL },
		{ "ip:00000000000000000000000000000001", "", "::1", false, NULL },
		{ "ip:7f000001", "", "::ffff:127.0.0.1", false, NULL },
		{ "ip:00000000000000000000ffff7f000001", "", "127.0.0.1", false, elsewhere },
		{ "ip:7f000002", "", "127.0.0.1", false, elsewhere },
		{ "ip:7f00000100000000", "", "127.0.0.1", false, elsewhere },
		{ "dns:127.0.0.1", "", "127.0.0.1", false, elsewhere },
		{ "", "CN=U:127.0.0.1", "127.0.0.1", true, nobody },
		{ "", "", "127.0.0.1", false, nobody },
		{ "ip:7f000001", "", "a.example", false, another },
		/* common names */
		{ "", "CN=U:a.example", "a.example", false, nobody },
		{ "", "CN=U:a.example", "a.example", true, NULL },
		{ "", "CN=P:A.example/O=U:x", "a.example", true, NULL },
		{ "", "CN=T:a.example", "a.example", true, NULL },
		{ "", "CN=I:*.a.example", "x.a.example", true, NULL },
		{ "", "CN=I:*.example", "a.example", true, another },
		{ "", "CN=U:b.example/CN=U:a.example", "a.example", true, NULL },
		{ "", "CN=U:a.example/CN=U:b.example", "a.example", true, another },
		{ "", "CN=U:a.example/CN=B:%00b", "a.example", true, nobody },
		{ "", "CN=B:%00a", "a", true, nobody },
		{ "", "CN=B:ab", "ab", true, nobody },
		{ "", "CN=U:a.example%00", "a.example", true, nobody },
		{ "", "CN=U:a%c3%bc.example", "a.example", true, nobody },
		{ "", "OU=U:a.example", "a.example", true, nobody },
		{ "mail:a@a.example", "CN=U:a.example", "a.example", true, NULL },
		{ "mail:a@a.example", "CN=U:a.example", "a.example", false, another },
		{ "mail:a@a.example", "", "a.example", true, another },
		{ "dns:b.example", "CN=U:a.example", "a.example", true, another },
		{ "ip:7f000001", "CN=U:a.example", "a.example", true, another },
	};
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct x509_certificate leaf = certificate(rows[i].subject, rows[i].names);
		const char *reason = NULL;
		bool is_for = x509_is_for_host(&leaf, rows[i].host, rows[i].common_name, &reason);
		said("hosts", i, reason, rows[i].wanted);
		assert_int_equal(is_for, rows[i].wanted == NULL);
		forget();
	}
}

/* ---- distinguished names ---- */

#define SIXTEEN                                                                                              \
	"OU=U:1+OU=U:2+OU=U:3+OU=U:4+OU=U:5+OU=U:6+OU=U:7+OU=U:8+OU=U:9+OU=U:10+OU=U:11+OU=U:12+OU=U:13+"        \
	"OU=U:14+OU=U:15+OU=U:"

static void same_names(void **state)
{
	(void)state;
	static const struct {
		const char *a, *b;
		bool same, begins; /* a with b */
	} rows[] = {
		{ "", "", true, true },
		{ "CN=U:a", "", false, true },
		{ "", "CN=U:a", false, false },
		{ "CN=U:a", "CN=U:a", true, true },
		{ "CN=U:a", "CN=U:b", false, false },
		{ "CN=U:a", "O=U:a", false, false },
		{ "CN=U:Abc Z", "CN=P:aBC z", true, true },
		{ "CN=U:@", "CN=U:`", false, false },
		{ "CN=U:[", "CN=U:{", false, false },
		{ "CN=U: a  b ", "CN=U:a b", true, true },
		{ "CN=U:a b", "CN=P:  a    b  ", true, true },
		{ "CN=U:ab", "CN=U:a b", false, false },
		{ "CN=U:a b", "CN=U:ab", false, false },
		{ "CN=U:a b c", "CN=U:a b", false, false },
		{ "CN=U:a%09b", "CN=U:a b", false, false },
		{ "CN=U:%20", "CN=U:", true, true },
		{ "CN=U:%20%20", "CN=U:%20", true, true },
		{ "CN=U:a", "CN=U:", false, false },
		{ "CN=U:a%00", "CN=U:a", false, false },
		{ "CN=U:a%00", "CN=P:A%00", true, true },
		{ "CN=U:%c3%a4", "CN=U:%c3%a4 ", true, true },
		{ "CN=U:%c3%a4", "CN=U:%c3%84", false, false },
		{ "DC=I:Example", "DC=I:example", true, true },
		{ "DC=I:example", "DC=U:Example", true, true },
		{ "CN=T:a", "CN=T:a", true, true },
		{ "CN=T:a", "CN=T:A", false, false },
		{ "CN=T:a", "CN=U:a", false, false },
		{ "CN=B:%00a", "CN=B:%00A", false, false },
		{ "C=P:DE/O=U:x/CN=U:a", "C=P:DE/O=U:X/CN=U:a", true, true },
		{ "C=P:DE/O=U:x/CN=U:a", "C=P:DE/O=U:X", false, true },
		{ "C=P:DE/O=U:X", "C=P:DE/O=U:x/CN=U:a", false, false },
		{ "C=P:DE/O=U:x/CN=U:a", "O=U:x", false, false },
		{ "C=P:DE/O=U:x", "O=U:x/C=P:DE", false, false },
		{ "CN=U:a+OU=U:b", "OU=P:B+CN=P:A", true, true },
		{ "CN=U:a+OU=U:b", "OU=P:B", false, false },
		{ "OU=P:B", "CN=U:a+OU=U:b", false, false },
		{ "CN=P:A", "CN=U:a+OU=U:b", false, false },
		{ "CN=U:a+OU=U:b", "CN=U:a/OU=U:b", false, false },
		{ "CN=U:a+CN=U:A", "CN=U:a+CN=U:b", false, false },
		{ "CN=U:a+CN=U:b", "CN=U:a+CN=U:A", false, false },
		{ "CN=U:a+CN=U:A", "CN=P:a+CN=P:a", true, true },
		{ SIXTEEN "x", SIXTEEN "X", true, true },
		{ SIXTEEN "x", SIXTEEN "y", false, false },
		{ SIXTEEN "x+OU=U:z", SIXTEEN "x+OU=U:z", true, true },
		{ SIXTEEN "x+OU=U:z", SIXTEEN "x+OU=U:Z", false, false },
	};
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct bytes a = name(rows[i].a), b = name(rows[i].b);
		if (x509_same_name(a, b) != rows[i].same || x509_same_name(b, a) != rows[i].same)
			fail_msg("row %zu: same or not", i);
		if (name_begins_with(a, b) != rows[i].begins)
			fail_msg("row %zu: begins or not", i);
		assert_true(x509_same_name(a, a) && name_begins_with(a, a));
		forget();
	}
}

/* Names that are not well-formed are the same as nothing but themselves. */
static void malformed_names(void **state)
{
	(void)state;
	static const char *const rows[] = {
		"",
		"30",
		"30 80 00 00",
		"31()",
		"30( 30() )",
		"30( 31() )",
		"30( 31( 30() ) )",
		"30( 31( 30( 06(55 04 03) ) ) )",
		"30( 31( 30( 06(55 04 03) 0c('a') 0c('a') ) ) )",
		"30( 31( 30( 06(55 04 03) 0c('a') ) ) ) 00",
		"30( 31( 30( 06(55 04 03) 0c('a') ) ) 00 )",
		"30( 31( 30( 06(55 04 03) 0c('a') ) 00 ) )",
		"30( 31( 30( 06(55 04 03) 0c 81 01 'a' ) ) )",
	};
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct bytes bad = der(rows[i]), good = name("CN=P:A");
		if (x509_same_name(bad, good) || x509_same_name(good, bad) || name_begins_with(good, bad))
			fail_msg("row %zu: same", i);
		forget();
	}
}

/* ---- name constraints: syntax ---- */

static void constraints_syntax(void **state)
{
	(void)state;
	static const struct {
		const char *value;
		bool good;
	} rows[] = {
		{ "30( a0( 30( 82('a.example') ) ) )", true },
		{ "30( a1( 30( 82('a.example') ) ) )", true },
		{ "30( a0( 30( 82('a') ) 30( 82('b') ) ) a1( 30( 82() ) ) )", true },
		{ "30( a0( 30( 82('a') 80(00) ) ) )", true },
		{ "30( a0( 30( 81('.a') ) 30( 86('.a') ) 30( 88(2a 03) ) 30( a0( 06(2a 03) a0(0c()) ) ) ) )", true },
		{ "30( a0( 30( a3() ) 30( a5() ) ) )", true },
		{ "30( a0( 30( a4( 30() ) ) ) )", true },
		{ "30( a0( 30( a4( 30( 31( 30( 06(55 04 0a) 0c('x') ) ) ) ) ) ) )", true },
		{ "30( a0( 30( 87(0a 00 00 00 ff 00 00 00) ) ) )", true },
		{ "30( a0( 30( 87(00 00 00 00 00 00 00 00) ) ) )", true },
		{ "30( a0( 30( 87(0a 00 00 01 ff ff ff ff) ) ) )", true },
		{ "30( a0( 30( 87(0a 00 00 00 ff e0 00 00) ) ) )", true },
		{ "30( a0( 30( 87('0123456789abcdef' ff ff ff ff ff ff ff ff ff ff ff 80 00 00 00 00) ) ) )", true },
		{ "", false },
		{ "30()", false },
		{ "30( a0() )", false },
		{ "30( a1() )", false },
		{ "30( a0() a1( 30( 82('a') ) ) )", false },
		{ "30( a0( 30() ) )", false },
		{ "30( a0( 82('a') ) )", false },
		{ "31( a0( 30( 82('a') ) ) )", false },
		{ "30( 80( 30( 82('a') ) ) )", false },
		{ "30( a2( 30( 82('a') ) ) )", false },
		{ "30( a1( 30( 82('a') ) ) a0( 30( 82('a') ) ) )", false }, /* the wrong way round */
		{ "30( a0( 30( 82('a') ) ) a0( 30( 82('a') ) ) )", false },
		{ "30( a0( 30( 82('a') ) ) a1( 30( 82('a') ) ) 05 00 )", false },
		{ "30( a0( 30( 82('a') ) ) ) 00", false },
		{ "30( a0( 30( 82('a') ) 00 ) )", false },
		{ "30( a0( 30( 82('a') 80() ) ) )", false },
		{ "30( a0( 30( 82('a') 80(01) ) ) )", false },
		{ "30( a0( 30( 82('a') 80(00 00) ) ) )", false },
		{ "30( a0( 30( 82('a') 02(00) ) ) )", false },
		{ "30( a0( 30( 82('a') 81(05) ) ) )", false },
		{ "30( a0( 30( 82('a') 80(00) 81(05) ) ) )", false },
		{ "30( a0( 30( 82('a') 82('b') ) ) )", false },
		{ "30( a0( 30( 80() ) ) )", false },
		{ "30( a0( 30( 84( 30() ) ) ) )", false },
		{ "30( a0( 30( a2('a') ) ) )", false },
		{ "30( a0( 30( 89('a') ) ) )", false },
		{ "30( a0( 30( 8a('a') ) ) )", false },
		{ "30( a0( 30( 16('a') ) ) )", false },
		{ "30( a0( 30( c2('a') ) ) )", false },
		{ "30( a0( 30( 82('a' 80) ) ) )", false },
		{ "30( a0( 30( 81('a' ff) ) ) )", false },
		{ "30( a0( 30( 86('a' c3 a4) ) ) )", false },
		{ "30( a0( 30( a4() ) ) )", false },
		{ "30( a0( 30( a4( 31() ) ) ) )", false },
		{ "30( a0( 30( a4( 30() 30() ) ) ) )", false },
		{ "30( a0( 30( a4( 30( 31() ) ) ) ) )", false },
		{ "30( a0( 30( a4( 31( 30( 06(55 04 0a) 0c('x') ) ) ) ) ) )", false }, /* implicit */
		{ "30( a0( 30( 87() ) ) )", false },
		{ "30( a0( 30( 87(0a 00 00 00) ) ) )", false },
		{ "30( a0( 30( 87(0a 00 00 00 ff 00 00) ) ) )", false },
		{ "30( a0( 30( 87(0a 00 00 00 ff 00 00 00 00) ) ) )", false },
		{ "30( a0( 30( 87(0a 00 00 00 ff 00 ff 00) ) ) )", false },
		{ "30( a0( 30( 87(0a 00 00 00 7f ff ff ff) ) ) )", false },
		{ "30( a0( 30( 87(0a 00 00 00 ff 50 00 00) ) ) )", false },
		{ "30( a0( 30( 87('0123456789abcdef') ) ) )", false },
		{ "30( a0( 30( 87('0123456789abcdef' ff ff ff ff ff ff ff ff 00 ff ff 00 00 00 00 00) ) ) )", false },
		{ "30 80 a0( 30( 82('a') ) ) 00 00", false },
		{ "30 81 07 a0( 30( 82('a') ) )", false }, /* a length longer than needed */
		{ "30( a0( 30( 82 84 ff ff ff ff 'a' ) ) )", false },
		{ "30( a0( 30( 82 05 'a' ) ) )", false },
		{ "30( a0( 30( 9f 02 01 'a' ) ) )", false },
	};
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct x509_certificate read = certificate("", NULL);
		struct bytes value = der(rows[i].value);
		if (constraints_read(value, &read) != rows[i].good)
			fail_msg("row %zu: %s", i, rows[i].value);
		/* The beginning of it alone is nothing. */
		for (size_t n = 0; rows[i].good && n < value.n; n++)
			assert_false(constraints_read(keep(value.at, n), &read));
		forget();
	}
	struct x509_certificate read = certificate("", NULL);
	assert_true(constraints_read(der("30( a0( 30( 82('a') ) ) a1( 30( 82('b') ) ) )"), &read));
	assert_bytes(read.permitted_subtrees, der("30( 82('a') )"));
	assert_bytes(read.excluded_subtrees, der("30( 82('b') )"));
	forget();
}

/* ---- name constraints: judgement ---- */

static const char outside[] = "name is not within the name constraints of an issuer";
static const char excluded[] = "name is excluded by the name constraints of an issuer";
static const char malformed[] = "name is malformed, and an issuer constrains names of its kind";
static const char not_understood[] = "name constraints of an issuer exclude what is no name";
static const char not_supported[] = "issuer constrains a kind of name that is not supported";
static const char too_many[] = "too many names and name constraints";

#define NET10 "ip:0a000000ff000000"
#define ALL4  "ip:0000000000000000"
#define DB8   "ip:20010db8000000000000000000000000ffffffff000000000000000000000000"
#define ALL6  "ip:0000000000000000000000000000000000000000000000000000000000000000"

struct judged {
	const char *permitted, *excluded, *subject, *names, *wanted;
};

/* Each row once with the common name counted and once without, where the subject holds none. */
static void judge(const char *what, const struct judged *rows, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct x509_certificate issuer = authority(rows[i].permitted, rows[i].excluded);
		struct x509_certificate below = certificate(rows[i].subject, rows[i].names);
		unsigned comparisons = 100;
		said(what, i, constraints_refuse(&issuer, &below, false, &comparisons), rows[i].wanted);
		if (strstr(rows[i].subject, "CN=") == NULL)
			said(what, i, constraints_refuse(&issuer, &below, true, &comparisons), rows[i].wanted);
		forget();
	}
}

static void dns_constraints(void **state)
{
	(void)state;
	static const struct judged rows[] = {
		{ "dns:example.com", NULL, "", "dns:example.com", NULL },
		{ "dns:example.com", NULL, "", "dns:EXAMPLE.com", NULL },
		{ "dns:Example.COM", NULL, "", "dns:a.example.com", NULL },
		{ "dns:example.com", NULL, "", "dns:b.a.example.com", NULL },
		{ "dns:example.com", NULL, "", "dns:badexample.com", outside },
		{ "dns:example.com", NULL, "", "dns:example.org", outside },
		{ "dns:example.com", NULL, "", "dns:com", outside },
		{ "dns:example.com", NULL, "", "dns:a.example.com|dns:example.org", outside },
		{ "dns:example.com|dns:example.org", NULL, "", "dns:a.example.com|dns:example.org", NULL },
		{ "dns:example.com", NULL, "", "", NULL },
		{ "dns:example.com", NULL, "CN=U:example.org", "", NULL },
		{ "dns:example.com", NULL, "", "ip:0a000001|mail:a@b|uri:x|other:x", NULL },
		{ "dns:.example.com", NULL, "", "dns:a.example.com", NULL },
		{ "dns:.example.com", NULL, "", "dns:b.a.example.com", NULL },
		{ "dns:.example.com", NULL, "", "dns:example.com", outside },
		{ "dns:.example.com", NULL, "", "dns:badexample.com", outside },
		{ "dns:", NULL, "", "dns:anything", NULL },
		{ "dns:.", NULL, "", "dns:anything", outside },
		{ "dns:example.com.", NULL, "", "dns:a.example.com", outside },
		{ "dns:*.example.com", NULL, "", "dns:a.example.com", outside },
		{ "dns:*.example.com", NULL, "", "dns:*.example.com", outside },
		{ NULL, "dns:example.com", "", "dns:example.com", excluded },
		{ NULL, "dns:example.com", "", "dns:A.Example.com", excluded },
		{ NULL, "dns:example.com", "", "dns:badexample.com", NULL },
		{ NULL, "dns:example.com", "", "dns:example.com.org", NULL },
		{ NULL, "dns:example.org|dns:example.com", "", "dns:x|dns:a.example.com", excluded },
		{ NULL, "dns:.example.com", "", "dns:example.com", NULL },
		{ NULL, "dns:.example.com", "", "dns:a.example.com", excluded },
		{ NULL, "dns:", "", "dns:a", excluded },
		{ NULL, "dns:", "", "ip:0a000001", NULL },
		{ "dns:example.com", "dns:a.example.com", "", "dns:b.example.com", NULL },
		{ "dns:example.com", "dns:a.example.com", "", "dns:b.a.example.com", excluded },
		{ "dns:a.example.com", "dns:example.com", "", "dns:a.example.com", excluded },
		/* bases of other kinds */
		{ "uri:|dns:b", NULL, "", "dns:a", outside },
		{ NULL, "mail:|dns:b", "", "dns:a", NULL },
		/* an exclusion that cannot be understood excludes all */
		{ NULL, "dns:*.example.com", "", "dns:example.org", not_understood },
		{ NULL, "dns:example.com.", "", "dns:example.org", not_understood },
		{ NULL, "dns:..example.com", "", "dns:example.org", not_understood },
		{ NULL, "dns:example com", "", "dns:example.org", not_understood },
		{ NULL, "dns:.", "", "dns:example.org", not_understood },
		{ NULL, "dns:example.com.", "", "ip:0a000001", NULL },
		/* wildcards: all they stand for must be permitted, none of it excluded */
		{ "dns:example.com", NULL, "", "dns:*.example.com", NULL },
		{ "dns:example.com", NULL, "", "dns:*.a.example.com", NULL },
		{ "dns:example.com", NULL, "", "dns:*.com", outside },
		{ "dns:a.example.com", NULL, "", "dns:*.example.com", outside },
		{ "dns:.example.com", NULL, "", "dns:*.example.com", NULL },
		{ "dns:.a.example.com", NULL, "", "dns:*.example.com", outside },
		{ "dns:", NULL, "", "dns:*.example.com", NULL },
		{ NULL, "dns:x", "", "dns:*.x", excluded },
		{ NULL, "dns:a.x", "", "dns:*.x", excluded },
		{ NULL, "dns:b.a.x", "", "dns:*.x", NULL },
		{ NULL, "dns:b.a.x", "", "dns:*.a.x", excluded },
		{ NULL, "dns:.a.x", "", "dns:*.x", NULL },
		{ NULL, "dns:.x", "", "dns:*.x", excluded },
		{ NULL, "dns:ax", "", "dns:*.x", NULL },
		{ NULL, "dns:A.X", "", "dns:*.x", excluded },
		{ NULL, "dns:", "", "dns:*.x", excluded },
		/* what is no name */
		{ "dns:", NULL, "", "dns:", malformed },
		{ "dns:", NULL, "", "dns:a.", malformed },
		{ "dns:", NULL, "", "dns:.a", malformed },
		{ "dns:", NULL, "", "dns:a..b", malformed },
		{ "dns:", NULL, "", "dns:a%00b", malformed },
		{ "dns:", NULL, "", "dns:a b", malformed },
		{ "dns:", NULL, "", "dns:%c3%a4", malformed },
		{ "dns:", NULL, "", "dns:*", malformed },
		{ "dns:", NULL, "", "dns:*.", malformed },
		{ "dns:", NULL, "", "dns:a*.b", malformed },
		{ "dns:", NULL, "", "dns:a.*.b", malformed },
		{ "dns:", NULL, "", "dns:*.*.b", malformed },
		{ "dns:", NULL, "", "form:a", malformed },
		{ NULL, "dns:b", "", "dns:a.", malformed },
		{ NULL, "dns:b", "", "dns:a%00.c", malformed },
		{ "mail:x", NULL, "", "dns:a.", NULL },
		{ "mail:x", NULL, "", "form:a", NULL },
	};
	judge("dns", rows, ROWS(rows));
}

static void common_names(void **state)
{
	(void)state;
	static const struct judged rows[] = {
		{ "dns:example.com", NULL, "CN=U:a.example.com", "", NULL },
		{ "dns:example.com", NULL, "CN=U:a.example.org", "", outside },
		{ NULL, "dns:example.com", "CN=P:a.example.com", "", excluded },
		{ NULL, "dns:a.x.y", "CN=P:*.x.y", "", excluded },
		{ "dns:example.com", NULL, "CN=P:localhost", "", outside },
		{ "dns:example.com", NULL, "CN=P:a person", "", NULL },
		{ "dns:example.com", NULL, "CN=U:a.example.org/CN=U:a.example.com", "", NULL },
		{ "dns:example.com", NULL, "CN=U:a.example.com/CN=U:a.example.org", "", outside },
		{ "dns:example.com", NULL, "CN=U:a.example.org", "mail:a@b", outside },
		/* names nobody, as there are entries */
		{ "dns:example.com", NULL, "CN=U:a.example.org", "dns:example.com", NULL },
		{ "dns:example.com", NULL, "CN=U:a.example.org", "ip:0a000001", NULL },
	};
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct x509_certificate issuer = authority(rows[i].permitted, rows[i].excluded);
		struct x509_certificate below = certificate(rows[i].subject, rows[i].names);
		unsigned comparisons = 100;
		said("common names", i, constraints_refuse(&issuer, &below, true, &comparisons), rows[i].wanted);
		assert_null(constraints_refuse(&issuer, &below, false, &comparisons));
		forget();
	}
}

static void address_constraints(void **state)
{
	(void)state;
	static const struct judged rows[] = {
		{ NET10, NULL, "", "ip:0a000001", NULL },
		{ NET10, NULL, "", "ip:0affffff", NULL },
		{ NET10, NULL, "", "ip:0b000001", outside },
		{ NET10, NULL, "", "dns:a", NULL },
		{ "ip:0a000000fff00000", NULL, "", "ip:0a0fffff", NULL },
		{ "ip:0a000000fff00000", NULL, "", "ip:0a100000", outside },
		{ "ip:0a012345ff000000", NULL, "", "ip:0a000001", NULL }, /* bits below the mask */
		{ NULL, "ip:0a012345ff000000", "", "ip:0a000001", excluded },
		{ "ip:0a000001ffffffff", NULL, "", "ip:0a000001", NULL },
		{ "ip:0a000001ffffffff", NULL, "", "ip:0a000002", outside },
		{ ALL4, NULL, "", "ip:ffffffff", NULL },
		{ ALL4, NULL, "", "ip:20010db8000000000000000000000001", outside },
		{ ALL4 "|" ALL6, NULL, "", "ip:20010db8000000000000000000000001", NULL },
		{ ALL6, NULL, "", "ip:0a000001", outside },
		{ DB8, NULL, "", "ip:20010db8000000000000000000000001", NULL },
		{ DB8, NULL, "", "ip:20010db9000000000000000000000001", outside },
		{ DB8 "|" NET10, NULL, "", "ip:20010db8000000000000000000000001|ip:0a000001", NULL },
		{ NULL, NET10, "", "ip:0a000001", excluded },
		{ NULL, NET10, "", "ip:0b000001", NULL },
		{ NULL, ALL4, "", "ip:20010db8000000000000000000000001", NULL },
		{ NULL, DB8, "", "ip:0b000001|ip:20010db8000000000000000000000001", excluded },
		{ NET10, "ip:0a010000ffff0000", "", "ip:0a020001", NULL },
		{ NET10, "ip:0a010000ffff0000", "", "ip:0a010001", excluded },
		{ NET10, NULL, "", "ip:", malformed },
		{ NET10, NULL, "", "ip:0a0000", malformed },
		{ NET10, NULL, "", "ip:0a000001ffffffff", malformed },
		{ NULL, NET10, "", "ip:0b00000100", malformed },
		{ "dns:a", NULL, "", "ip:0b00000100", NULL },
	};
	judge("addresses", rows, ROWS(rows));
}

static void directory_constraints(void **state)
{
	(void)state;
	static const struct judged rows[] = {
		{ "dir:C=P:DE/O=U:x", NULL, "C=P:DE/O=U:x/CN=U:a", "", NULL },
		{ "dir:C=P:DE/O=U:x", NULL, "C=P:DE/O=P:X", "", NULL },
		{ "dir:C=P:DE/O=U:x", NULL, "C=P:DE/O=U:y", "", outside },
		{ "dir:C=P:DE/O=U:x", NULL, "C=P:DE", "", outside },
		{ "dir:C=P:DE/O=U:x", NULL, "O=U:x/C=P:DE", "", outside },
		{ "dir:C=P:DE/O=U:x|dir:C=P:FR", NULL, "C=P:fr/CN=U:a", "", NULL },
		{ "dir:C=P:DE", NULL, "", "", NULL }, /* no subject */
		{ "dir:C=P:DE", NULL, "", "dns:a", NULL },
		{ "dir:", NULL, "C=P:DE", "", NULL },
		{ NULL, "dir:", "C=P:DE", "", excluded },
		{ NULL, "dir:", "", "", NULL },
		{ NULL, "dir:C=P:DE", "C=U:de/CN=U:a", "", excluded },
		{ NULL, "dir:C=P:DE/O=U:x", "C=P:DE/CN=U:a", "", NULL },
		{ "dir:C=P:DE", NULL, "C=P:DE", "dir:C=P:DE/CN=U:b", NULL },
		{ "dir:C=P:DE", NULL, "C=P:DE", "dir:C=P:FR/CN=U:b", outside },
		{ "dir:C=P:DE", NULL, "", "dir:C=P:FR/CN=U:b", outside },
		{ NULL, "dir:C=P:FR", "C=P:DE", "dir:C=P:FR/CN=U:b", excluded },
		{ "dir:C=P:DE", NULL, "C=P:DE", "dir:", outside },
		{ "dir:C=P:DE", NULL, "C=P:DE", "baddir:", malformed },
		{ NULL, "dir:C=P:DE", "", "baddir:30", malformed },
		{ "dns:a", NULL, "C=P:DE", "baddir:30", NULL },
	};
	judge("directory names", rows, ROWS(rows));
}

static void mail_constraints(void **state)
{
	(void)state;
	static const struct judged rows[] = {
		{ "mail:a@b.c", NULL, "", "mail:a@b.c", NULL },
		{ "mail:a@b.c", NULL, "", "mail:a@B.C", NULL },
		{ "mail:a@b.c", NULL, "", "mail:A@b.c", outside },
		{ "mail:a@b.c", NULL, "", "mail:x@b.c", outside },
		{ "mail:a@b.c", NULL, "", "mail:a@x.b.c", outside },
		{ "mail:b.c", NULL, "", "mail:a@b.c", NULL },
		{ "mail:b.c", NULL, "", "mail:A@B.c", NULL },
		{ "mail:b.c", NULL, "", "mail:a@x.b.c", outside },
		{ "mail:b.c", NULL, "", "mail:a@xb.c", outside },
		{ "mail:.b.c", NULL, "", "mail:a@x.b.c", NULL },
		{ "mail:.b.c", NULL, "", "mail:a@y.x.b.c", NULL },
		{ "mail:.b.c", NULL, "", "mail:a@b.c", outside },
		{ "mail:", NULL, "", "mail:a@b.c", NULL },
		{ NULL, "mail:", "", "mail:a@b.c", excluded },
		{ NULL, "mail:b.c", "", "mail:a@b.c", excluded },
		{ NULL, "mail:a@b.c", "", "mail:a@b.c", excluded },
		{ NULL, "mail:a@b.c", "", "mail:x@b.c", NULL },
		{ NULL, "mail:.b.c", "", "mail:a@b.c", NULL },
		{ NULL, "mail:.b.c", "", "mail:a@x.B.c", excluded },
		{ "mail:b.c", NULL, "", "mail:a.b!#$&'*/=?^_`{}~+-@b.c", NULL },
		{ "mail:b.c", NULL, "", "mail:ab.c", malformed },
		{ "mail:b.c", NULL, "", "mail:@b.c", malformed },
		{ "mail:b.c", NULL, "", "mail:a@", malformed },
		{ "mail:b.c", NULL, "", "mail:", malformed },
		{ "mail:b.c", NULL, "", "mail:a@x@b.c", malformed },
		{ "mail:b.c", NULL, "", "mail:%22a@x%22@b.c", malformed },
		{ "mail:b.c", NULL, "", "mail:%22a%22@b.c", malformed },
		{ "mail:b.c", NULL, "", "mail:a b@b.c", malformed },
		{ "mail:b.c", NULL, "", "mail:a%00@b.c", malformed },
		{ "mail:b.c", NULL, "", "mail:a@b.c%00", malformed },
		{ "mail:b.c", NULL, "", "mail:%c3%a4@b.c", malformed },
		{ "mail:b.c", NULL, "", "mail:a@b.c.", malformed },
		{ "mail:b.c", NULL, "", "mail:a@*.b.c", malformed },
		{ "mail:b.c", NULL, "", "mail:a@[1.2.3.4]", malformed },
		{ "mail:b.c", NULL, "", "mail:<a@b.c>", malformed },
		{ NULL, "mail:@b.c", "", "mail:a@x", not_understood },
		{ NULL, "mail:a@", "", "mail:a@x", not_understood },
		{ NULL, "mail:*.b.c", "", "mail:a@x", not_understood },
		{ NULL, "mail:a@.b.c", "", "mail:a@x", not_understood },
		{ "mail:a@|mail:@b.c|mail:.", NULL, "", "mail:a@b.c", outside },
		/* in the subject, where there are no alternative names */
		{ "mail:b.c", NULL, "E=I:a@b.c", "", NULL },
		{ "mail:b.c", NULL, "E=I:a@x", "", outside },
		{ "mail:b.c", NULL, "E=U:a@x/O=U:y", "", outside },
		{ "mail:b.c", NULL, "E=I:a@b.c/E=I:a@x", "", outside },
		{ "mail:b.c", NULL, "O=U:y+E=I:a@x", "", outside },
		{ "mail:b.c", NULL, "E=B:%00a", "", malformed },
		{ "mail:b.c", NULL, "E=I:x", "", malformed },
		{ NULL, "mail:b.c", "E=P:a@b.c", "", excluded },
		{ "mail:b.c", NULL, "E=I:a@x", "dns:a", NULL },
		{ "mail:b.c", NULL, "E=I:a@x", "mail:a@b.c", NULL },
		{ "dns:a", NULL, "E=I:x", "", NULL },
	};
	judge("mailboxes", rows, ROWS(rows));
}

static void other_constraints(void **state)
{
	(void)state;
	static const struct judged rows[] = {
		{ "uri:.example.com", NULL, "", "uri:http://a.example.com/", not_supported },
		{ NULL, "uri:.example.com", "", "uri:http://a.example.org/", not_supported },
		{ "other:x", NULL, "", "other:x", not_supported },
		{ NULL, "rid:x", "", "rid:y", not_supported },
		{ "x400:", NULL, "", "x400:", not_supported },
		{ NULL, "edi:", "", "edi:", not_supported },
		{ "dns:b|edi:", "x400:", "", "dns:a.b|edi:", not_supported },
		{ "uri:.example.com", NULL, "C=P:DE", "dns:a|ip:0a000001|mail:x|other:x|dir:C=P:DE", NULL },
		{ "other:x", NULL, "", "uri:x|rid:x|edi:x|x400:x", NULL },
	};
	judge("other kinds", rows, ROWS(rows));
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct x509_certificate issuer = authority(rows[i].permitted, rows[i].excluded);
		struct x509_certificate below = certificate(rows[i].subject, rows[i].names);
		unsigned comparisons = 100;
		issuer.name_constraints_critical = false;
		said("other kinds, not critical", i, constraints_refuse(&issuer, &below, false, &comparisons), NULL);
		forget();
	}
	/* What is supported counts either way. */
	struct x509_certificate issuer = authority("uri:x|dns:a", NULL), below = certificate("", "uri:x|dns:b");
	unsigned comparisons = 100;
	issuer.name_constraints_critical = false;
	said("not critical", 0, constraints_refuse(&issuer, &below, false, &comparisons), outside);
	/* And no constraints are none, whatever the names. */
	issuer = certificate("", NULL);
	issuer.name_constraints_critical = true;
	comparisons = 0;
	below = certificate("C=P:DE", "dns:.|uri:x|ip:00|mail:x|baddir:x|form:x");
	said("none", 0, constraints_refuse(&issuer, &below, true, &comparisons), NULL);
	forget();
}

/* Each name counts with each base that is looked at, and that ends at 0. */
static void comparisons_are_counted(void **state)
{
	(void)state;
	static const struct {
		const char *permitted, *excluded, *names;
		unsigned needed;
	} rows[] = {
		{ "dns:a", NULL, "dns:a", 1 },
		{ "dns:a", "dns:b", "dns:a", 2 },
		{ "dns:x|dns:y|dns:a", NULL, "dns:a", 3 },
		{ "dns:x|" NET10 "|dns:a", NULL, "dns:a", 3 },
		{ "dns:x|dns:y|dns:a", "dns:b|dns:c", "dns:a|dns:x|dns:y.a", 13 },
		{ NET10, "mail:x", "dns:a|uri:x", 0 },
	};
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct x509_certificate issuer = authority(rows[i].permitted, rows[i].excluded);
		struct x509_certificate below = certificate("", rows[i].names);
		for (unsigned allowed = 0; allowed < rows[i].needed + 2; allowed++) {
			unsigned left = allowed;
			said("counted", i, constraints_refuse(&issuer, &below, false, &left),
				allowed < rows[i].needed ? too_many : NULL);
			assert_int_equal(left, allowed < rows[i].needed ? 0 : allowed - rows[i].needed);
		}
		forget();
	}
}

/* Constraints and names as large as a chain may be end when the count does. */
static void many_comparisons(void **state)
{
	(void)state;
	struct out *bases = calloc(1, sizeof *bases), *names = calloc(1, sizeof *names);
	assert_true(bases != NULL && names != NULL);
	for (unsigned i = 0; i < 6000; i++) {
		put(bases, BYTES("\x30\x03\x82\x01z"));
		put(names, BYTES("\x82\x01y"));
	}
	struct x509_certificate issuer = certificate("", NULL), below = certificate("", NULL);
	assert_true(constraints_read(element(DER_SEQUENCE, element(0xa1, keep(bases->at, bases->n))), &issuer));
	below.alternative_names = keep(names->at, names->n);
	unsigned comparisons = X509_COMPARISONS_MAX;
	said("many", 0, constraints_refuse(&issuer, &below, false, &comparisons), too_many);
	assert_int_equal(comparisons, 0);
	free(bases);
	free(names);
	forget();
}

/* ---- policies: syntax ---- */

#define ANY_POLICY "30( 06(55 1d 20 00) )"

static void policies_syntax(void **state)
{
	(void)state;
	static const struct {
		const char *value;
		bool good;
	} rows[] = {
		{ "30( 30( 06(2a 03) ) )", true },
		{ "30( " ANY_POLICY " 30( 06(2a 03) ) )", true },
		{ "30( 30( 06(2a 81 00) ) )", true },
		{ "30( 30( 06(2a 03) 30( 30( 06(2a 04) 16('http://a/') ) ) ) )", true },
		{ "30( 30( 06(2a 03) 30( 30( 06(2a 04) 30() ) 30( 06(2a 05) 05 00 ) ) ) )", true },
		{ "", false },
		{ "30()", false },
		{ "31( 30( 06(2a 03) ) )", false },
		{ "30( 30() )", false },
		{ "30( 06(2a 03) )", false },
		{ "30( 30( 06() ) )", false },
		{ "30( 30( 06(2a 80 03) ) )", false },
		{ "30( 30( 06(80 03) ) )", false },
		{ "30( 30( 06(2a 83) ) )", false },
		{ "30( 30( 06(2a 03) ) ) 00", false },
		{ "30( 30( 06(2a 03) ) 00 )", false },
		{ "30( 30( 06(2a 03) 06(2a 03) ) )", false },
		{ "30( 30( 06(2a 03) 30() ) )", false },
		{ "30( 30( 06(2a 03) 30( 30() ) ) )", false },
		{ "30( 30( 06(2a 03) 30( 30( 06(2a 04) ) ) ) )", false },
		{ "30( 30( 06(2a 03) 30( 30( 06(2a 84) 05 00 ) ) ) )", false },
		{ "30( 30( 06(2a 03) 30( 30( 06(2a 04) 05 00 05 00 ) ) ) )", false },
		{ "30( 30( 06(2a 03) 30( 30( 06(2a 04) 05 00 ) ) 05 00 ) )", false },
		{ "30 80 30( 06(2a 03) ) 00 00", false },
	};
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct x509_certificate read = certificate("", NULL);
		struct bytes value = der(rows[i].value);
		if (policies_read(value, &read) != rows[i].good)
			fail_msg("row %zu: %s", i, rows[i].value);
		for (size_t n = 0; rows[i].good && n < value.n; n++)
			assert_false(policies_read(keep(value.at, n), &read));
		forget();
	}
	struct x509_certificate read = certificate("", NULL);
	assert_true(policies_read(der("30( " ANY_POLICY ")"), &read));
	assert_bytes(read.policies, der(ANY_POLICY));
	forget();
}

enum { BAD = -2 };

static void policy_numbers(void **state)
{
	(void)state;
	static const struct {
		const char *value;
		int require, inhibit; /* BAD: not accepted as the one or the other */
	} rows[] = {
		{ "30( 80(00) )", 0, BAD },
		{ "30( 80(7f) )", 127, BAD },
		{ "30( 80(00 80) )", 128, BAD },
		{ "30( 81(00) )", -1, BAD },
		{ "30( 80(05) 81(00) )", 5, BAD },
		{ "30( 80(7f ff ff ff) )", INT_MAX, BAD },
		{ "30( 80(00 80 00 00 00) )", INT_MAX, BAD },
		{ "30( 80(01 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00) )", INT_MAX, BAD },
		{ "30( 80(00 ff ff ff ff ff ff ff ff ff ff) 81(00 ff ff ff ff ff ff ff ff ff) )", INT_MAX, BAD },
		{ "02(00)", BAD, 0 },
		{ "02(02)", BAD, 2 },
		{ "02(00 ff)", BAD, 255 },
		{ "02(00 80 00 00 00)", BAD, INT_MAX },
		{ "02(7f ff ff ff ff ff ff ff ff ff ff ff)", BAD, INT_MAX },
		{ "", BAD, BAD },
		{ "30()", BAD, BAD },
		{ "30( 80() )", BAD, BAD },
		{ "30( 80(ff) )", BAD, BAD },
		{ "30( 80(00 00) )", BAD, BAD },
		{ "30( 80(00 7f) )", BAD, BAD },
		{ "30( 81(80) )", BAD, BAD },
		{ "30( 80(00) 81() )", BAD, BAD },
		{ "30( 81(00) 80(00) )", BAD, BAD },
		{ "30( 80(00) 80(00) )", BAD, BAD },
		{ "30( 80(00) 82(00) )", BAD, BAD },
		{ "30( a0( 02(00) ) )", BAD, BAD },
		{ "30( 02(00) )", BAD, BAD },
		{ "30( 80(00) ) 00", BAD, BAD },
		{ "02()", BAD, BAD },
		{ "02(ff)", BAD, BAD },
		{ "02(00 01)", BAD, BAD },
		{ "02(00) 00", BAD, BAD },
		{ "0a(00)", BAD, BAD },
	};
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct x509_certificate read = certificate("", NULL);
		struct bytes value = der(rows[i].value);
		if (policy_constraints_read(value, &read) != (rows[i].require != BAD) ||
			read.require_explicit_policy != (rows[i].require == BAD ? -1 : rows[i].require))
			fail_msg("row %zu: %s is %d", i, rows[i].value, read.require_explicit_policy);
		if (inhibit_any_policy_read(value, &read) != (rows[i].inhibit != BAD) ||
			read.inhibit_any_policy != (rows[i].inhibit == BAD ? -1 : rows[i].inhibit))
			fail_msg("row %zu: %s is %d", i, rows[i].value, read.inhibit_any_policy);
		for (size_t n = 0; (rows[i].require != BAD || rows[i].inhibit != BAD) && n < value.n; n++) {
			assert_false(policy_constraints_read(keep(value.at, n), &read));
			assert_false(inhibit_any_policy_read(keep(value.at, n), &read));
		}
		forget();
	}
}

/* ---- policies: judgement ---- */

static const char no_policy[] = "no valid certificate policy, and an issuer requires one";
static const char mapping[] = "policy mapping is not supported, and an issuer requires a policy";
static const char many_policies[] = "too many certificate policies, and an issuer requires one";

static void add_policy(struct x509_certificate *to, size_t number)
{
	unsigned char oid[] = { 0x2a, (unsigned char)(1 + number / 100), (unsigned char)(1 + number % 100) };
	to->policies = join(to->policies, element(DER_SEQUENCE, element(DER_OID, keep(oid, sizeof oid))));
}

/* One certificate from words: 1 2 … are policies, any, fill (64 others), rN, iN, self, map. */
static struct x509_certificate with_policies(const char *words, size_t place)
{
	struct x509_certificate made = certificate("", NULL);
	char issuer[32], subject[32], copy[256], *rest = copy;
	(void)snprintf(copy, sizeof copy, "%s", words);
	(void)snprintf(subject, sizeof subject, "CN=U:%zu", place);
	(void)snprintf(issuer, sizeof issuer, "CN=U:%zu", place + 1);
	for (char *word; (word = strsep(&rest, " ")) != NULL;) {
		if (strcmp(word, "any") == 0)
			made.policies = join(made.policies, der(ANY_POLICY));
		else if (strcmp(word, "fill") == 0)
			for (size_t i = 0; i < 64; i++)
				add_policy(&made, 1000 + i);
		else if (word[0] >= '1' && word[0] <= '9')
			add_policy(&made, (size_t)atoi(word));
		else if (word[0] == 'r')
			made.require_explicit_policy = atoi(word + 1);
		else if (word[0] == 'i')
			made.inhibit_any_policy = atoi(word + 1);
		else if (strcmp(word, "self") == 0)
			(void)snprintf(issuer, sizeof issuer, "CN=P: %zu", place);
		else if (strcmp(word, "map") == 0)
			made.has_policy_mappings = true;
		else if (*word != '\0')
			fail_msg("what is %s?", word);
	}
	made.issuer = name(issuer);
	made.subject = name(subject);
	return made;
}

static void policies(void **state)
{
	(void)state;
	enum { LONGEST = 6 };
	static const struct {
		const char *path[LONGEST]; /* the anchor first */
		const char *wanted;
	} rows[] = {
		/* nothing is required */
		{ { "self", "", "" }, NULL },
		{ { "self", "1", "2" }, NULL },
		{ { "self", "1 map", "2" }, NULL },
		{ { "self", "fill 1 2", "fill 3" }, NULL },
		{ { "self", "any i0", "any" }, NULL },
		{ { "" }, NULL },
		/* something is */
		{ { "self", "1 r0", "1" }, NULL },
		{ { "self", "1 r0", "2" }, no_policy },
		{ { "self", "1 r0", "" }, no_policy },
		{ { "self", "r0", "1" }, no_policy },
		{ { "self", "1 2 3 r0", "4 2" }, NULL },
		{ { "self", "any r0", "2" }, NULL },
		{ { "self", "any r0", "any" }, NULL },
		{ { "self", "1 r0", "any" }, NULL },
		{ { "self", "1 2", "2 3 r0", "1 3" }, no_policy },
		{ { "self", "1 2", "2 3 r0", "3 2" }, NULL },
		{ { "self", "1", "any", "1 r0" }, NULL },
		{ { "self", "1", "any", "2 r0" }, no_policy },
		{ { "self", "any", "any 1", "2 r0" }, NULL },
		{ { "self", "any", "1", "any r0" }, NULL },
		{ { "self", "any", "1", "any", "1 r0" }, NULL },
		{ { "self", "1 2", "any", "2", "any r0" }, NULL },
		{ { "self", "1 2", "any", "3", "any r0" }, no_policy },
		{ { "self", "1", "", "1 r0" }, no_policy },
		{ { "self", "1", "", "any r0" }, no_policy },
		/* the leaf requires of itself */
		{ { "self", "1", "1 r0" }, NULL },
		{ { "self", "1", "2 r0" }, no_policy },
		{ { "self", "1", "2 r1" }, NULL },
		{ { "self", "", "r0" }, no_policy },
		/* certificates to skip: the leaf's own is the last that counts down */
		{ { "self", "r1", "1" }, no_policy },
		{ { "self", "r2", "1" }, NULL },
		{ { "self", "r2", "", "1" }, no_policy },
		{ { "self", "r3", "", "1" }, NULL },
		{ { "self", "r2", "self", "1" }, NULL }, /* self-issued does not count */
		{ { "self", "r1", "self", "1" }, no_policy },
		{ { "self", "r5", "r1", "1" }, no_policy },
		{ { "self", "r0", "r5", "1" }, no_policy }, /* never raised */
		{ { "self", "r2147483647", "", "1" }, NULL },
		/* inhibited anyPolicy */
		{ { "self", "any i0", "any r0" }, no_policy },
		{ { "self", "any i0", "any 1 r0" }, NULL },
		{ { "self", "1 i0", "any r0" }, no_policy },
		{ { "self", "1 i0", "any 1 r0" }, NULL },
		{ { "self", "any i1", "any", "any r0" }, no_policy },
		{ { "self", "any i1", "any", "1 r0" }, NULL },
		{ { "self", "any i2", "any", "any r0" }, NULL },
		{ { "self", "any i1", "any self", "any r0" }, NULL },
		{ { "self", "any i0", "any self", "1 r0" }, NULL },
		{ { "self", "any i0", "any self", "any r0" }, no_policy },
		{ { "self", "any i0", "any r0 self" }, no_policy }, /* self-issued leaf */
		{ { "self", "any i0", "i5 any", "1 r0" }, no_policy },
		/* the anchor */
		{ { "self 1 r0", "1", "1" }, NULL },
		{ { "self 1 r0", "1", "2" }, no_policy },
		{ { "self 1", "2", "2 r0" }, no_policy },
		{ { "self any", "2", "2 r0" }, NULL },
		{ { "self r0", "1", "1" }, NULL }, /* says nothing of policies, restricts none */
		{ { "self r0", "", "1" }, no_policy },
		{ { "self i0", "any", "any r0" }, no_policy },
		{ { "self i0", "1", "1 r0" }, NULL },
		{ { "r1", "1", "2" }, no_policy },
		{ { "1 r1", "" }, no_policy },
		{ { "1 r2", "" }, NULL },
		{ { "1 r2", "", "" }, no_policy },
		{ { "r0", "1" }, NULL },
		{ { "r0", "" }, no_policy },
		{ { "r0" }, NULL },
		{ { "any i0 r0" }, NULL },
		/* what is not supported */
		{ { "self", "1 r0 map", "1" }, mapping },
		{ { "self map", "1 r0", "1" }, mapping },
		{ { "self", "1 r0", "1 map" }, NULL }, /* a leaf maps nothing */
		{ { "self", "fill r0", "fill" }, NULL },
		{ { "self", "fill 1 r0", "1" }, many_policies },
		{ { "self", "1 r0", "1 fill" }, many_policies },
		{ { "self", "1 r0", "fill any" }, many_policies },
	};
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct x509_certificate made[LONGEST];
		const struct x509_certificate *path[LONGEST];
		size_t n = 0;
		while (n < LONGEST && rows[i].path[n] != NULL)
			n++;
		for (size_t place = 0; place < n; place++) {
			made[place] = with_policies(rows[i].path[n - 1 - place], place);
			path[place] = &made[place];
		}
		said("policies", i, policies_refuse(path, n), rows[i].wanted);
		forget();
	}
}

static void long_paths(void **state)
{
	(void)state;
	const struct x509_certificate *path[X509_CHAIN_MAX + 2];
	struct x509_certificate all = with_policies("any fill", 1), one = with_policies("1063 r0", 0);
	assert_null(policies_refuse(path, 0));
	for (size_t i = 0; i < ROWS(path); i++)
		path[i] = &all;
	path[0] = &one;
	for (size_t n = 1; n <= X509_CHAIN_MAX + 1; n++)
		said("long", n, policies_refuse(path, n), n == 1 ? NULL : many_policies);
	all = with_policies("fill", 1);
	for (size_t n = 1; n <= X509_CHAIN_MAX + 1; n++)
		said("long", n, policies_refuse(path, n), NULL);
	assert_non_null(policies_refuse(path, X509_CHAIN_MAX + 2));
	forget();
}

/* ---- what damage does ---- */

/* No byte of an extension or a name, changed into any other, makes anything step outside. */
static void damaged(void **state)
{
	(void)state;
	struct bytes good[] = {
		der("30( a0( 30( 82('a.b') 80(00) ) 30( a4( 30( 31( 30( 06(55 04 0a) 0c('x') ) ) ) ) ) ) "
			"a1( 30( 81('a@b') ) 30( 87(0a 00 00 00 ff 00 00 00) ) ) )"),
		der("30( 30( 06(2a 03) 30( 30( 06(2a 04) 16('x') ) ) ) " ANY_POLICY " )"),
		der("30( 80(01) 81(00 ff) )"),
		name("C=P:DE/O=U:x+CN=U:a b/E=I:a@b"),
	};
	struct bytes names = general_names("dns:a.b|dir:O=U:x|mail:a@b|ip:0a000001", false);
	for (size_t i = 0; i < ROWS(good); i++)
		for (size_t at = 0; at < good[i].n; at++)
			for (unsigned value = 0; value < 256; value++) {
				unsigned char *copy = exact_copy(good[i].at, good[i].n);
				copy[at] = (unsigned char)value;
				struct bytes bad = { copy, good[i].n };
				struct x509_certificate read = {
					.subject = bad, .issuer = good[3], .alternative_names = names
				};
				const struct x509_certificate *path[] = { &read, &read };
				unsigned comparisons = 100;
				const char *reason;
				bool made = constraints_read(bad, &read);
				(void)constraints_refuse(&read, &read, true, &comparisons);
				if (at == 0 && i < 3)
					assert_int_equal(made, value == 0x30 && i == 0);
				(void)policies_read(bad, &read);
				(void)policy_constraints_read(bad, &read);
				(void)inhibit_any_policy_read(bad, &read);
				(void)policies_refuse(path, 2);
				(void)x509_is_for_host(&read, "a.b", true, &reason);
				read.alternative_names = bad;
				(void)constraints_refuse(&read, &read, true, &comparisons);
				(void)x509_is_for_host(&read, "a.b", true, &reason);
				(void)x509_same_name(bad, good[3]);
				(void)name_begins_with(good[3], bad);
				free(copy);
			}
	forget();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hosts),
		cmocka_unit_test(same_names),
		cmocka_unit_test(malformed_names),
		cmocka_unit_test(constraints_syntax),
		cmocka_unit_test(dns_constraints),
		cmocka_unit_test(common_names),
		cmocka_unit_test(address_constraints),
		cmocka_unit_test(directory_constraints),
		cmocka_unit_test(mail_constraints),
		cmocka_unit_test(other_constraints),
		cmocka_unit_test(comparisons_are_counted),
		cmocka_unit_test(many_comparisons),
		cmocka_unit_test(policies_syntax),
		cmocka_unit_test(policy_numbers),
		cmocka_unit_test(policies),
		cmocka_unit_test(long_paths),
		cmocka_unit_test(damaged),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
