/*
 * What a certificate says, as the variables of mod_ssl: names and formats are those of its manual and of what
 * it does with StdEnvVars, ExportCertData and the names of OpenSSL; SAN_IP is added in the same manner. Short
 * ones come first, so that long ones cannot take their place.
 */
#include "x509.h"
#include "text.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

struct sink {
	void (*emit)(void *, const char *, const char *);
	void *context;
	struct x509_text value; /* begins at the scratch memory for each variable anew */
};

enum {
	SUFFIX_ROOM = 32,
	NUMBER_MAX = 9999,   /* of repeated variables: four digits, as in mod_ssl */
	DECIMAL_SERIAL = 64, /* bytes of the longest serial number that is written in decimal; RFC 5280 has 20 */
	DAY = 86400
};

/* Empties the value, ready for the next variable. */
static struct x509_text *begin(struct sink *sink)
{
	sink->value.n = 0;
	sink->value.overflow = false;
	text_end(&sink->value);
	return &sink->value;
}

/* Hands over the value under this suffix, or that there is one that was too long. */
static void end(struct sink *sink, const char *suffix)
{
	sink->emit(sink->context, suffix, sink->value.overflow ? NULL : sink->value.at);
}

/* The same under a number. */
static void end_numbered(struct sink *sink, const char *kind, unsigned number)
{
	char suffix[SUFFIX_ROOM + 12];

	(void)snprintf(suffix, sizeof suffix, "%s_%u", kind, number);
	if (number > NUMBER_MAX)
		sink->value.overflow = true;
	end(sink, suffix);
}

/* ---- algorithms ---- */

/* Contents of the OBJECT IDENTIFIER, and the long name of OpenSSL. */
static const struct algorithm {
	unsigned char n, oid[10];
	const char *name;
} algorithms[] = {
	{ 9, { 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1 }, "rsaEncryption" },
	{ 9, { 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 4 }, "md5WithRSAEncryption" },
	{ 9, { 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 5 }, "sha1WithRSAEncryption" },
	{ 9, { 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 10 }, "rsassaPss" },
	{ 9, { 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 11 }, "sha256WithRSAEncryption" },
	{ 9, { 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 12 }, "sha384WithRSAEncryption" },
	{ 9, { 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 13 }, "sha512WithRSAEncryption" },
	{ 9, { 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 14 }, "sha224WithRSAEncryption" },
	{ 7, { 0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1 }, "id-ecPublicKey" },
	{ 7, { 0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 1 }, "ecdsa-with-SHA1" },
	{ 8, { 0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 1 }, "ecdsa-with-SHA224" },
	{ 8, { 0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2 }, "ecdsa-with-SHA256" },
	{ 8, { 0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 3 }, "ecdsa-with-SHA384" },
	{ 8, { 0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 4 }, "ecdsa-with-SHA512" },
	{ 3, { 0x2b, 0x65, 0x6e }, "X25519" },
	{ 3, { 0x2b, 0x65, 0x70 }, "ED25519" },
	{ 3, { 0x2b, 0x65, 0x71 }, "ED448" },
	{ 7, { 0x2a, 0x86, 0x48, 0xce, 0x38, 4, 1 }, "dsaEncryption" },
	{ 7, { 0x2a, 0x86, 0x48, 0xce, 0x38, 4, 3 }, "dsaWithSHA1" },
	{ 9, { 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 3, 2 }, "dsa_with_SHA256" },
};

static void emit_algorithm(struct sink *sink, const char *suffix, struct bytes oid)
{
	struct x509_text *value = begin(sink);
	const char *name = NULL;
	for (size_t i = 0; i < sizeof algorithms / sizeof algorithms[0]; i++)
		if (bytes_equal(oid, (struct bytes){ algorithms[i].oid, algorithms[i].n }))
			name = algorithms[i].name;
	if (name != NULL)
		text_string(value, name);
	else
		text_oid(value, oid);
	end(sink, suffix);
}

/* ---- names ---- */

/* The values of one attribute type: the first as PREFIX_TYPE, those that follow as PREFIX_TYPE_1 and so on.
 */
static void emit_components(struct sink *sink, const char *prefix, const char *variable, struct bytes name)
{
	char suffix[SUFFIX_ROOM];
	struct name_walk walk;
	struct name_attribute attribute;
	unsigned count = 0;
	(void)snprintf(suffix, sizeof suffix, "%s_%s", prefix, variable);
	if (!name_begin(&walk, name))
		return;
	while (name_next(&walk, &attribute) > 0) {
		const struct name_type *type = name_type_of(attribute.oid);
		if (type == NULL || type->variable == NULL || strcmp(type->variable, variable) != 0)
			continue;
		text_value(begin(sink), TEXT_PLAIN, attribute.tag, attribute.content, attribute.whole);
		if (count == 0)
			end(sink, suffix);
		else
			end_numbered(sink, suffix, count);
		count++;
	}
}

/* A name without any attribute says nothing, and is not there (mod_ssl has no empty values). */
static void emit_name(struct sink *sink, const char *prefix, struct bytes name)
{
	static const char *const variable[] = { "C", "ST", "L", "O", "OU", "CN", "T", "I", "G", "S", "D", "UID",
		"Email", "SerialNumber" };
	x509_name_text(name, X509_NAME_UTF8, begin(sink));
	if (sink->value.n > 0 || sink->value.overflow)
		end(sink, prefix);
	for (size_t i = 0; i < sizeof variable / sizeof variable[0]; i++)
		emit_components(sink, prefix, variable[i], name);
}

/* ---- serial number and dates ---- */

/* Upper-case hexadecimal with a sign, as OpenSSL has it: an even number of digits, no leading zero byte but
 * for zero itself. */
static void emit_serial(struct sink *sink, struct bytes serial)
{
	struct x509_text *value = begin(sink);
	if (serial.n > 1 && serial.at[0] == 0) {
		serial.at++;
		serial.n--;
	} else if (serial.n > 0 && serial.at[0] >= 0x80) {
		/* The magnitude is the complement plus one, which carries through the zero bytes at the end only. */
		size_t carry = serial.n;
		while (serial.at[carry - 1] == 0)
			carry--;
		text_byte(value, '-');
		for (size_t i = 0; i < serial.n; i++) {
			unsigned byte = i + 1 < carry ? 0xffU ^ serial.at[i] : (0x100U - serial.at[i]) & 0xff;
			unsigned char magnitude = (unsigned char)byte;
			if (i > 0 || magnitude != 0 || serial.n == 1)
				text_hex(value, (struct bytes){ &magnitude, 1 });
		}
		end(sink, "M_SERIAL");
		return;
	}
	text_hex(value, serial);
	end(sink, "M_SERIAL");
}

/* In decimal; false if it is too long for that. */
static bool put_decimal(struct x509_text *out, struct bytes serial)
{
	unsigned char left[DECIMAL_SERIAL];
	char digits[DECIMAL_SERIAL * 5 / 2]; /* a byte is less than two and a half of them */
	size_t n = 0;
	bool negative = serial.n > 0 && serial.at[0] >= 0x80, more = true;
	unsigned carry = 1;

	if (serial.n == 0 || serial.n > sizeof left)
		return false;
	memcpy(left, serial.at, serial.n);
	for (size_t i = serial.n; negative && i-- > 0; carry >>= 8) {
		carry += 0xffU ^ left[i];
		left[i] = (unsigned char)carry;
	}
	while (more) {
		unsigned rest = 0;
		more = false;
		for (size_t i = 0; i < serial.n; i++) {
			rest = rest << 8 | left[i];
			left[i] = (unsigned char)(rest / 10);
			rest %= 10;
			more = more || left[i] != 0;
		}
		digits[n++] = (char)('0' + rest);
	}
	if (negative)
		text_byte(out, '-');
	while (n > 0)
		text_byte(out, digits[--n]);
	return true;
}

/*
 * The CertificateExactAssertion of RFC 4523 A.1 in the string encoding of RFC 3642, by which a directory
 * finds the certificate. A quotation mark in the issuer is doubled (RFC 3642 3.2), which mod_ssl does not do:
 * it would end the string.
 */
static void emit_assertion(struct sink *sink, const struct x509_certificate *certificate)
{
	struct x509_text *value = begin(sink);
	size_t from;

	text_string(value, "{ serialNumber ");
	if (!put_decimal(value, certificate->serial))
		value->overflow = true;
	text_string(value, ", issuer rdnSequence:\"");
	from = value->n;
	x509_name_text(certificate->issuer, X509_NAME_ASCII, value);
	if (!value->overflow)
		text_double(value, from, '"');
	text_string(value, "\" }");
	end(sink, "CERT_RFC4523_CEA");
}

static void emit_time(struct sink *sink, const char *suffix, int64_t unix_seconds)
{
	static const char month[][4] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct",
		"Nov", "Dec" };
	char text[64];
	struct tm tm;
	time_t seconds = (time_t)unix_seconds;
	if (seconds != unix_seconds || gmtime_r(&seconds, &tm) == NULL)
		return; /* a system with short time_t */
	(void)snprintf(text, sizeof text, "%s %2d %02d:%02d:%02d %d GMT", month[tm.tm_mon], tm.tm_mday,
		tm.tm_hour, tm.tm_min, tm.tm_sec, tm.tm_year + 1900);
	text_string(begin(sink), text);
	end(sink, suffix);
}

/* Whole days until it ends to be valid, 0 once it has. */
static void emit_remaining(struct sink *sink, int64_t not_after, int64_t now)
{
	text_number(begin(sink), not_after > now ? (uint64_t)(not_after - now) / DAY : 0);
	end(sink, "V_REMAIN");
}

/* ---- alternative names (RFC 5280 4.2.1.6) ---- */

/* How many there have been of each kind that has variables. */
struct alternatives {
	unsigned emails, hosts, addresses, principals, services;
};

static void emit_address(struct sink *sink, unsigned number, struct bytes address)
{
	char text[INET6_ADDRSTRLEN];
	if (inet_ntop(address.n == 4 ? AF_INET : AF_INET6, address.at, text, sizeof text) == NULL)
		return;
	text_string(begin(sink), text);
	end_numbered(sink, "SAN_IP", number);
}

/* Text that is not there is no name: it has no number either. */
static void emit_alternative(
	struct sink *sink, const char *kind, unsigned *count, unsigned tag, struct bytes content)
{
	if (content.n == 0)
		return;
	text_value(begin(sink), TEXT_PLAIN, tag, content, content);
	end_numbered(sink, kind, (*count)++);
}

/* The two that mod_ssl knows: a Microsoft user principal name, and a service in the DNS (RFC 4985). */
static void emit_other_name(struct sink *sink, struct alternatives *seen, struct bytes name)
{
	static const unsigned char principal[] = { 0x2b, 6, 1, 4, 1, 0x82, 0x37, 0x14, 2, 3 };
	static const unsigned char service[] = { 0x2b, 6, 1, 5, 5, 7, 8, 7 };
	enum { VALUE = 0xa0 };
	struct bytes type, inner, content;
	unsigned tag;

	if (!der_take(&name, DER_OID, &type) || !der_take(&name, VALUE, &inner) ||
		!der_next(&inner, &tag, &content))
		return;
	if (tag == DER_UTF8_STRING && bytes_equal(type, (struct bytes){ principal, sizeof principal }))
		emit_alternative(sink, "SAN_OTHER_msUPN", &seen->principals, tag, content);
	else if (tag == DER_IA5_STRING && bytes_equal(type, (struct bytes){ service, sizeof service }))
		emit_alternative(sink, "SAN_OTHER_dnsSRV", &seen->services, tag, content);
}

static void emit_alternative_names(struct sink *sink, struct bytes names)
{
	enum { OTHER = 0xa0, EMAIL = 0x81, DNS = 0x82, IP = 0x87 };
	struct alternatives seen = { 0 };
	struct bytes content;
	unsigned tag;
	while (der_next(&names, &tag, &content)) {
		if (tag == IP && (content.n == 4 || content.n == 16))
			emit_address(sink, seen.addresses++, content);
		else if (tag == DNS)
			emit_alternative(sink, "SAN_DNS", &seen.hosts, DER_IA5_STRING, content);
		else if (tag == EMAIL)
			emit_alternative(sink, "SAN_Email", &seen.emails, DER_IA5_STRING, content);
		else if (tag == OTHER)
			emit_other_name(sink, &seen, content);
	}
}

void x509_variables(const struct x509_certificate *certificate, int64_t now,
	void (*emit)(void *, const char *, const char *), void *context, char *work, size_t room)
{
	struct sink sink = { emit, context, { .at = work, .room = room } };
	text_number(begin(&sink), certificate->version);
	end(&sink, "M_VERSION");
	emit_time(&sink, "V_START", certificate->not_before);
	emit_time(&sink, "V_END", certificate->not_after);
	emit_remaining(&sink, certificate->not_after, now);
	emit_algorithm(&sink, "A_SIG", certificate->signature_oid);
	emit_algorithm(&sink, "A_KEY", certificate->key.algorithm_oid);
	emit_serial(&sink, certificate->serial);
	emit_name(&sink, "S_DN", certificate->subject);
	emit_name(&sink, "I_DN", certificate->issuer);
	emit_assertion(&sink, certificate);
	emit_alternative_names(&sink, certificate->alternative_names);
	x509_to_pem(certificate->der, begin(&sink));
	end(&sink, "CERT");
}
