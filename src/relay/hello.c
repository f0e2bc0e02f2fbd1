/*
 * The ClientHello before the engine sees it: bounded and read-only. It gives the server name, and refuses
 * what engines let pass or answer badly: duplicate extensions, illegal names, empty ALPN names, versions out
 * of reach, and what is no TLS.
 */
#include <string.h>
#include "relay/relay.h"

enum {
	RECORD_ALERT = 21,
	RECORD_HANDSHAKE = 22,
	RECORD_APPLICATION_DATA = 23,
	CLIENT_HELLO = 1,
	RECORD_PLAIN_MAX = 16384
};
enum {
	EXTENSION_SERVER_NAME = 0,
	EXTENSION_ALPN = 16,
	EXTENSION_PADDING = 21,
	EXTENSION_PRE_SHARED_KEY = 41,
	EXTENSION_EARLY_DATA = 42,
	EXTENSION_SUPPORTED_VERSIONS = 43,
	EXTENSION_COOKIE = 44,
	EXTENSION_KEY_SHARE = 51,
	EXTENSION_ENCRYPTED_HELLO = 0xfe0d
};

static enum hello_result refuse(struct hello *hello, int alert, const char *words)
{
	hello->alert = alert;
	hello->words = words;
	return HELLO_REFUSED;
}

static enum hello_result malformed(struct hello *hello)
{
	return refuse(hello, ALERT_DECODE_ERROR, "malformed ClientHello");
}

/* ---- vectors: a length of one or two bytes, then that many bytes ---- */

static bool take(struct bytes *from, size_t n, struct bytes *part)
{
	if (from->n < n)
		return false;
	*part = (struct bytes){ from->at, n };
	from->at += n;
	from->n -= n;
	return true;
}

static bool take_number(struct bytes *from, size_t width, unsigned *value)
{
	struct bytes part;
	if (!take(from, width, &part))
		return false;
	*value = 0;
	for (size_t i = 0; i < width; i++)
		*value = *value << 8 | part.at[i];
	return true;
}

static bool take_vector(struct bytes *from, size_t width, struct bytes *part)
{
	unsigned n;
	return take_number(from, width, &n) && take(from, n, part);
}

/* ---- extensions ---- */

/* A host name as RFC 6066 3 wants it: labels of letters, digits, hyphens (and underscores, which are in use),
 * no final dot. */
bool hello_copy_name(struct bytes name, char out[HELLO_NAME_MAX + 1])
{
	size_t label = 0;

	if (!name.n || name.n > HELLO_NAME_MAX)
		return false;
	for (size_t i = 0; i < name.n; i++) {
		unsigned char c = name.at[i];
		if (c >= 'A' && c <= 'Z')
			c = (unsigned char)(c + 32);
		if (c == '.') {
			if (!label)
				return false;
			label = 0;
		} else if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_') {
			if (++label > 63)
				return false;
		} else {
			return false;
		}
		out[i] = (char)c;
	}
	out[name.n] = 0;
	return label > 0;
}

static enum hello_result read_server_name(struct bytes extension, struct hello *hello)
{
	struct bytes list, name;
	unsigned type;
	unsigned char address[16];
	bool seen = false;

	if (!take_vector(&extension, 2, &list) || extension.n || !list.n)
		return malformed(hello);
	while (list.n) {
		if (!take_number(&list, 1, &type) || !take_vector(&list, 2, &name))
			return malformed(hello);
		if (type != 0)
			continue;
		if (seen)
			return refuse(hello, ALERT_ILLEGAL_PARAMETER, "two host names in ClientHello");
		seen = true;
		if (memchr(name.at, ':', name.n))
			continue; /* an IPv6 literal: not allowed there, names nothing, does no harm */
		if (!hello_copy_name(name, hello->server_name))
			return refuse(hello, ALERT_ILLEGAL_PARAMETER, "illegal server name in ClientHello");
		if (x509_scan_address(hello->server_name, address))
			hello->server_name[0] = 0; /* an IPv4 literal: likewise */
	}
	return HELLO_DONE;
}

static enum hello_result read_alpn(struct bytes extension, struct hello *hello)
{
	struct bytes list, name;

	if (!take_vector(&extension, 2, &list) || extension.n || !list.n)
		return malformed(hello);
	hello->alpn = list;
	while (list.n)
		if (!take_vector(&list, 1, &name) || !name.n)
			return malformed(hello);
	return HELLO_DONE;
}

static enum hello_result no_version(const struct hello_reader *reader, struct hello *hello)
{
	return refuse(hello, ALERT_PROTOCOL_VERSION,
		reader->oldest > ENGINE_TLS12   ? "client does not speak TLS 1.3"
		: reader->newest < ENGINE_TLS13 ? "client does not speak TLS 1.2"
										: "client speaks neither TLS 1.2 nor TLS 1.3");
}

/* RFC 8446 4.2.1; among those that it lists there may be some that do not exist (RFC 8701). */
static enum hello_result read_versions(
	const struct hello_reader *reader, struct bytes extension, struct hello *hello)
{
	struct bytes list;
	unsigned version;

	if (!take_vector(&extension, 1, &list) || extension.n || !list.n || list.n % 2)
		return malformed(hello);
	while (take_number(&list, 2, &version))
		if (version >= reader->oldest && version <= reader->newest)
			return HELLO_DONE;
	return no_version(reader, hello);
}

static enum hello_result read_extensions(
	const struct hello_reader *reader, struct bytes all, struct hello *hello)
{
	unsigned char seen[65536 / 8] = { 0 };
	struct bytes extension;
	unsigned type;
	bool lists_versions = false;
	enum hello_result result = HELLO_DONE;

	while (all.n && result == HELLO_DONE) {
		if (!take_number(&all, 2, &type) || !take_vector(&all, 2, &extension))
			return malformed(hello);
		if (seen[type / 8] >> (type % 8) & 1)
			return refuse(hello, ALERT_ILLEGAL_PARAMETER, "duplicate extension in ClientHello");
		seen[type / 8] = (unsigned char)(seen[type / 8] | 1u << (type % 8));
		if (type == EXTENSION_SERVER_NAME)
			result = read_server_name(extension, hello);
		else if (type == EXTENSION_ALPN)
			result = read_alpn(extension, hello);
		else if (type == EXTENSION_SUPPORTED_VERSIONS)
			result = read_versions(reader, extension, hello);
		lists_versions |= type == EXTENSION_SUPPORTED_VERSIONS;
	}
	if (result == HELLO_DONE && !lists_versions && reader->oldest > ENGINE_TLS12)
		return no_version(reader, hello);
	return result;
}

static enum hello_result parse(const struct hello_reader *reader, struct bytes message, struct hello *hello)
{
	struct bytes random, session, suites, compression, extensions;
	unsigned version;

	if (!take_number(&message, 2, &version) || !take(&message, 32, &random) ||
		!take_vector(&message, 1, &session) || session.n > 32 || !take_vector(&message, 2, &suites) ||
		!suites.n || suites.n % 2 || !take_vector(&message, 1, &compression) || !compression.n)
		return malformed(hello);
	if (version < ENGINE_TLS12)
		return refuse(hello, ALERT_PROTOCOL_VERSION, "client speaks no TLS version above 1.1");
	if (!memchr(compression.at, 0, compression.n))
		return refuse(hello, ALERT_ILLEGAL_PARAMETER, "client insists on compression");
	extensions = (struct bytes){ NULL, 0 };
	if (message.n && (!take_vector(&message, 2, &extensions) || message.n))
		return malformed(hello);
	return read_extensions(reader, extensions, hello);
}

/* ---- records ---- */

/* What does not begin like a handshake record: said in words that help. */
static enum hello_result not_a_handshake(const unsigned char *header, struct hello *hello)
{
	static const char *const verbs[] = { "GET ", "HEAD", "POST", "PUT ", "OPTI", "DELE", "CONN" };

	for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++)
		if (!memcmp(header, verbs[i], 4))
			return refuse(hello, ALERT_PROTOCOL_VERSION, "plain HTTP instead of TLS");
	if (header[0] == RECORD_ALERT || header[0] == RECORD_APPLICATION_DATA)
		return refuse(hello, ALERT_UNEXPECTED_MESSAGE, "first record is no ClientHello");
	return refuse(hello, ALERT_PROTOCOL_VERSION, "not TLS");
}

static enum hello_result begin_record(struct hello_reader *reader, struct hello *hello)
{
	const unsigned char *header = reader->header;

	if (header[0] != RECORD_HANDSHAKE || header[1] != 3)
		return not_a_handshake(header, hello);
	reader->record_left = (size_t)(header[3] << 8 | header[4]);
	if (!reader->record_left)
		return refuse(hello, ALERT_UNEXPECTED_MESSAGE, "empty handshake record");
	if (reader->record_left > RECORD_PLAIN_MAX)
		return refuse(hello, ALERT_RECORD_OVERFLOW, "record of impossible length");
	return HELLO_MORE;
}

/* Looks at what is there of the message. */
static enum hello_result examine(struct hello_reader *reader, struct hello *hello)
{
	const unsigned char *m = reader->message;
	size_t length;

	if (m[0] != CLIENT_HELLO)
		return refuse(hello, ALERT_UNEXPECTED_MESSAGE, "first message is no ClientHello");
	if (reader->n < 4)
		return HELLO_MORE;
	length = (size_t)m[1] << 16 | (size_t)m[2] << 8 | m[3];
	if (length > HELLO_MAX)
		return refuse(hello, ALERT_ILLEGAL_PARAMETER, "ClientHello too large");
	if (reader->n < 4 + length)
		return HELLO_MORE;
	if (reader->n > 4 + length || reader->record_left)
		return refuse(hello, ALERT_UNEXPECTED_MESSAGE, "more in the record than the ClientHello");
	return parse(reader, (struct bytes){ m + 4, length }, hello);
}

enum hello_result hello_read(
	struct hello_reader *reader, const unsigned char *bytes, size_t n, struct hello *hello)
{
	enum hello_result result = HELLO_MORE;

	while (n && result == HELLO_MORE) {
		if (!reader->record_left) {
			reader->header[reader->header_n++] = *bytes++;
			n--;
			if (reader->header_n == sizeof reader->header) {
				reader->header_n = 0;
				result = begin_record(reader, hello);
			}
			continue;
		}
		size_t part = n < reader->record_left ? n : reader->record_left;
		if (part > sizeof reader->message - reader->n)
			return refuse(hello, ALERT_ILLEGAL_PARAMETER, "ClientHello too large");
		memcpy(reader->message + reader->n, bytes, part);
		reader->n += part;
		reader->record_left -= part;
		bytes += part;
		n -= part;
		result = examine(reader, hello);
	}
	return result;
}

/* ---- a second ClientHello ---- */

enum { COMPARED_MAX = 256 }; /* extensions: more than there are, so that looking for each of them is quick */

struct compared {
	struct bytes head; /* all before the extensions */
	struct {
		unsigned type;
		struct bytes content;
	} extensions[COMPARED_MAX];
	size_t n;
};

/* What RFC 8446 4.1.2 lets a client change, and what encryption makes of the rest (RFC 9849 6.1.5). */
static bool may_change(unsigned type)
{
	return type == EXTENSION_PADDING || type == EXTENSION_PRE_SHARED_KEY || type == EXTENSION_EARLY_DATA ||
		   type == EXTENSION_COOKIE || type == EXTENSION_KEY_SHARE || type == EXTENSION_ENCRYPTED_HELLO;
}

static bool take_apart(struct bytes message, struct compared *out)
{
	struct bytes all = { NULL, 0 }, part, content, whole = message;
	unsigned type;

	out->n = 0;
	if (!take(&message, 2 + 32, &part) || !take_vector(&message, 1, &part) ||
		!take_vector(&message, 2, &part) || !take_vector(&message, 1, &part))
		return false;
	out->head = (struct bytes){ whole.at, whole.n - message.n };
	if (message.n && (!take_vector(&message, 2, &all) || message.n))
		return false;
	while (all.n) {
		if (!take_number(&all, 2, &type) || !take_vector(&all, 2, &content) || out->n == COMPARED_MAX)
			return false;
		if (may_change(type))
			continue;
		out->extensions[out->n].type = type;
		out->extensions[out->n++].content = content;
	}
	return true;
}

/* Types do not come twice in other, which was read before. */
static bool has(const struct compared *other, unsigned type, struct bytes content)
{
	for (size_t i = 0; i < other->n; i++)
		if (other->extensions[i].type == type)
			return bytes_equal(other->extensions[i].content, content);
	return false;
}

/* As many in both, none twice, and each of the second's in the first. */
static bool same(const struct compared *first, const struct compared *second)
{
	unsigned char seen[65536 / 8] = { 0 };

	if (first->n != second->n || !bytes_equal(first->head, second->head))
		return false;
	for (size_t i = 0; i < second->n; i++) {
		unsigned type = second->extensions[i].type;

		if (seen[type / 8] >> (type % 8) & 1 || !has(first, type, second->extensions[i].content))
			return false;
		seen[type / 8] = (unsigned char)(seen[type / 8] | 1u << (type % 8));
	}
	return true;
}

const char *hello_differs(const struct hello_reader *first, struct bytes second)
{
	const struct bytes message = { first->message + 4, first->n - 4 };
	struct compared one, other;

	return take_apart(message, &one) && take_apart(second, &other) && same(&one, &other)
			   ? NULL
			   : "second ClientHello is not like the first";
}
