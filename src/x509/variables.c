/*
 * What a certificate says, as the variables of mod_ssl: names, order and formats are those of its manual and
 * of what it does with StdEnvVars, ExportCertData and the names of OpenSSL; SAN_IP is added in the same
 * manner.
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

enum { SUFFIX_ROOM = 32 };

/* Empties the value, ready for the next variable. */
static struct x509_text *begin(struct sink *sink)
{
	sink->value.n = 0;
	sink->value.overflow = false;
	text_end(&sink->value);
	return &sink->value;
}

/* Hands over the value under this suffix unless it was too long. */
static void end(struct sink *sink, const char *suffix)
{
	if (!sink->value.overflow)
		sink->emit(sink->context, suffix, sink->value.at);
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
	if (!name_begin(&walk, name))
		return;
	while (name_next(&walk, &attribute) > 0) {
		const struct name_type *type = name_type_of(attribute.oid);
		if (type == NULL || type->variable == NULL || strcmp(type->variable, variable) != 0)
			continue;
		text_value(begin(sink), TEXT_PLAIN, attribute.tag, attribute.content, attribute.whole);
		if (count == 0)
			(void)snprintf(suffix, sizeof suffix, "%s_%s", prefix, variable);
		else
			(void)snprintf(suffix, sizeof suffix, "%s_%s_%u", prefix, variable, count);
		count++;
		end(sink, suffix);
	}
}

static void emit_name(struct sink *sink, const char *prefix, struct bytes name)
{
	static const char *const variable[] = { "C", "ST", "L", "O", "OU", "CN", "T", "I", "G", "S", "D", "UID",
		"Email" };
	x509_name_rfc2253(name, begin(sink));
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

/* ---- alternative names (RFC 5280 4.2.1.6) ---- */

static void emit_address(struct sink *sink, const char *suffix, struct bytes address)
{
	char text[INET6_ADDRSTRLEN];
	if (inet_ntop(address.n == 4 ? AF_INET : AF_INET6, address.at, text, sizeof text) == NULL)
		return;
	text_string(begin(sink), text);
	end(sink, suffix);
}

static void emit_alternative_names(struct sink *sink, struct bytes names)
{
	enum { EMAIL = 0x81, DNS = 0x82, IP = 0x87 };
	char suffix[SUFFIX_ROOM];
	struct bytes content;
	unsigned tag, emails = 0, hosts = 0, addresses = 0;
	while (der_next(&names, &tag, &content)) {
		if (tag == IP && (content.n == 4 || content.n == 16)) {
			(void)snprintf(suffix, sizeof suffix, "SAN_IP_%u", addresses++);
			emit_address(sink, suffix, content);
		} else if (tag == DNS || tag == EMAIL) {
			(void)snprintf(suffix, sizeof suffix, "SAN_%s_%u", tag == DNS ? "DNS" : "Email",
				tag == DNS ? hosts++ : emails++);
			text_value(begin(sink), TEXT_PLAIN, DER_IA5_STRING, content, content);
			end(sink, suffix);
		}
	}
}

void x509_variables(const struct x509_certificate *certificate,
	void (*emit)(void *, const char *, const char *), void *context, char *work, size_t room)
{
	struct sink sink = { emit, context, { .at = work, .room = room } };
	text_number(begin(&sink), certificate->version);
	end(&sink, "M_VERSION");
	emit_serial(&sink, certificate->serial);
	emit_name(&sink, "S_DN", certificate->subject);
	emit_name(&sink, "I_DN", certificate->issuer);
	emit_time(&sink, "V_START", certificate->not_before);
	emit_time(&sink, "V_END", certificate->not_after);
	emit_algorithm(&sink, "A_SIG", certificate->signature_oid);
	emit_algorithm(&sink, "A_KEY", certificate->key.algorithm_oid);
	x509_to_pem(certificate->der, begin(&sink));
	end(&sink, "CERT");
	emit_alternative_names(&sink, certificate->alternative_names);
}
