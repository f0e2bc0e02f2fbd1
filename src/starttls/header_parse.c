/*
 * Headers of the PROXY protocol, read: exactly their own bytes off the connection, and each field as
 * proxy-protocol.txt has it, with nothing missing, doubled or left over.
 */
#include <string.h>
#include "chain/chain.h"
#include "header.h"
#include "internal.h"

static bool refuse(const char **why, const char *words)
{
	*why = words;
	return false;
}

/* ---- version 1 ---- */

/* The word up to the next blank, or to the end for the last one. */
static bool take_word(char **at, char **word, bool last)
{
	char *end = strchr(*at, ' ');

	*word = *at;
	if (last)
		return !end;
	if (!end)
		return false;
	*end = '\0';
	*at = end + 1;
	return true;
}

/* Decimal, without leading zeros. */
static bool read_port(const char *text, uint16_t *port)
{
	unsigned long number;

	if (!option_scan_number(text, 65535, &number) || (text[0] == '0' && text[1]))
		return false;
	*port = (uint16_t)number;
	return true;
}

static bool read_ip(const char *text, bool v6, struct net_address *address)
{
	char canonical[NET_IP_TEXT];

	/* No brackets, no zone, no port: what net_scan_ip takes beyond that is not for peers. */
	if (strspn(text, v6 ? "0123456789abcdefABCDEF:." : "0123456789.") != strlen(text))
		return false;
	if (!strchr(text, ':') != !v6 || !net_scan_ip(text, address))
		return false;
	/* Nor leading zeros, which make a number octal for some. */
	return v6 || strcmp(net_format_ip(address, canonical), text) == 0;
}

/* text: what stands between "PROXY " and CRLF. */
static bool parse_v1(char *text, struct proxy_header *header, const char **why)
{
	char *protocol, *source, *destination, *source_port, *destination_port;
	bool v6;

	if (strcmp(text, "UNKNOWN") == 0 || strncmp(text, "UNKNOWN ", 8) == 0)
		return true;
	if (!take_word(&text, &protocol, false) ||
		(strcmp(protocol, "TCP4") != 0 && strcmp(protocol, "TCP6") != 0))
		return refuse(why, "neither TCP4 nor TCP6 nor UNKNOWN");
	v6 = protocol[3] == '6';
	if (!take_word(&text, &source, false) || !take_word(&text, &destination, false) ||
		!take_word(&text, &source_port, false) || !take_word(&text, &destination_port, true))
		return refuse(why, "not two addresses and two ports");
	if (!read_ip(source, v6, &header->source) || !read_ip(destination, v6, &header->destination))
		return refuse(why, "an address that is none of its family");
	if (!read_port(source_port, &header->source.port) ||
		!read_port(destination_port, &header->destination.port))
		return refuse(why, "a port that is none");
	header->proxied = true;
	return true;
}

/* ---- version 2 ---- */

static unsigned number16(const unsigned char *at)
{
	return (unsigned)at[0] << 8 | at[1];
}

/* IPv4-mapped addresses become IPv4 ones, as they do wherever an address comes in. */
static void take_address(
	const unsigned char *ip, bool v6, const unsigned char *port, struct net_address *address)
{
	char text[NET_IP_TEXT];
	struct net_address raw = { .is_v6 = v6 };

	memcpy(raw.ip, ip, v6 ? 16 : 4);
	*address = raw;
	(void)net_scan_ip(net_format_ip(&raw, text), address);
	address->port = (uint16_t)number16(port);
}

/* Type, length in two bytes, value. */
static bool take_tlv(struct bytes *from, unsigned *type, struct bytes *value)
{
	if (from->n < 3 || number16(from->at + 1) > from->n - 3)
		return false;
	*type = from->at[0];
	*value = (struct bytes){ from->at + 3, number16(from->at + 1) };
	from->at += 3 + value->n;
	from->n -= 3 + value->n;
	return true;
}

/* One that may be there once, and is not empty. */
static bool keep(struct bytes *field, struct bytes value, const char **why)
{
	if (field->n)
		return refuse(why, "a TLV that is there twice");
	if (!value.n)
		return refuse(why, "an empty TLV");
	*field = value;
	return true;
}

static bool parse_ssl(struct bytes value, struct proxy_header *header, const char **why)
{
	unsigned type;
	struct bytes field;
	const unsigned char *at = value.at;

	if (value.n < 5)
		return refuse(why, "a TLV of SSL that is too short");
	header->tls = at[0] & CLIENT_SSL;
	header->certificate_shown = header->tls && (at[0] & (CLIENT_CERT_CONN | CLIENT_CERT_SESS));
	header->certificate_good = header->certificate_shown && !number16(at + 1) && !number16(at + 3);
	value.at += 5;
	value.n -= 5;
	while (value.n) {
		struct bytes *to;

		if (!take_tlv(&value, &type, &field))
			return refuse(why, "a TLV that is longer than the one around it");
		to = type == TLV_SSL_VERSION       ? &header->version
			 : type == TLV_SSL_CN          ? &header->common_name
			 : type == TLV_SSL_CIPHER      ? &header->cipher
			 : type == TLV_SSL_CERTIFICATE ? &header->certificate
										   : NULL;
		if (to && !keep(to, field, why))
			return false;
	}
	return true;
}

/* The TLVs behind the addresses; whole is the header. */
static bool parse_tlvs(struct bytes rest, struct bytes whole, struct proxy_header *header, const char **why)
{
	struct bytes value, checksum = { NULL, 0 }, ssl = { NULL, 0 };
	unsigned type;

	while (rest.n) {
		struct bytes *to;

		if (!take_tlv(&rest, &type, &value))
			return refuse(why, "a TLV that is longer than the header");
		to = type == TLV_ALPN        ? &header->alpn
			 : type == TLV_AUTHORITY ? &header->authority
			 : type == TLV_CRC32C    ? &checksum
			 : type == TLV_SSL       ? &ssl
									 : NULL;
		if (to && !keep(to, value, why))
			return false;
	}
	if (checksum.n) {
		uint32_t is = header_crc32c(whole.at, whole.n, (size_t)(checksum.at - whole.at));

		if (checksum.n != 4 || is != ((uint32_t)number16(checksum.at) << 16 | number16(checksum.at + 2)))
			return refuse(why, "a checksum that is wrong");
	}
	return !ssl.n || parse_ssl(ssl, header, why);
}

static bool parse_v2(struct bytes whole, struct proxy_header *header, const char **why)
{
	const unsigned command = whole.at[12], family = whole.at[13];
	const bool v6 = family == HEADER_TCP6, ip = v6 || family == HEADER_TCP4;
	const unsigned char *at = whole.at + HEADER_FIXED;
	const size_t address = v6 ? 16 : 4;
	size_t n = whole.n - HEADER_FIXED, addresses;

	if (command != HEADER_LOCAL && command != HEADER_PROXY)
		return refuse(why, "neither version 2 nor a command that is known");
	if (command == HEADER_LOCAL)
		return true; /* whatever it says besides is to be ignored */
	if (!ip && family != HEADER_UNSPECIFIED && family != HEADER_UNIX)
		return refuse(why, "a family of addresses, or a protocol, that no stream has");
	addresses = v6 ? HEADER_V6_BYTES : ip ? HEADER_V4_BYTES : family == HEADER_UNIX ? HEADER_UNIX_BYTES : 0;
	if (n < addresses)
		return refuse(why, "too short for its addresses");
	if (ip) {
		take_address(at, v6, at + 2 * address, &header->source);
		take_address(at + address, v6, at + 2 * address + 2, &header->destination);
		header->proxied = true;
	}
	return parse_tlvs((struct bytes){ at + addresses, n - addresses }, whole, header, why);
}

/* ---- either ---- */

static const char not_a_header[] = "no header of the PROXY protocol";

static bool is_v1(const unsigned char *bytes)
{
	return memcmp(bytes, "PROXY ", HEADER_PREFIX) == 0;
}

bool proxy_header_parse(const unsigned char *bytes, size_t n, struct proxy_header *header, const char **why)
{
	char text[PROXY_V1_MAX + 1];

	memset(header, 0, sizeof *header);
	if (n >= HEADER_PREFIX + 2 && is_v1(bytes)) {
		if (n > PROXY_V1_MAX || memcmp(bytes + n - 2, "\r\n", 2) != 0)
			return refuse(why, "a line that is too long or does not end in CRLF");
		memcpy(text, bytes + HEADER_PREFIX, n - HEADER_PREFIX - 2);
		text[n - HEADER_PREFIX - 2] = '\0';
		if (strlen(text) != n - HEADER_PREFIX - 2 || strpbrk(text, "\r\n"))
			return refuse(why, "a line with NUL, CR or LF inside");
		return parse_v1(text, header, why);
	}
	if (n < HEADER_FIXED || memcmp(bytes, HEADER_SIGNATURE, 12) != 0 ||
		n != HEADER_FIXED + number16(bytes + 14))
		return refuse(why, not_a_header);
	return parse_v2((struct bytes){ bytes, n }, header, why);
}

static const char step[] = "PROXY header";

/* The rest of the line, of which the prefix is in room already. */
static enum wire_result read_v1(struct starttls_wire *wire, unsigned char *room, size_t *n)
{
	struct wire_line line;
	enum wire_result result;

	wire->budget = PROXY_V1_MAX - HEADER_PREFIX;
	result = wire_line(wire, &line, false, false);
	memcpy(room + HEADER_PREFIX, line.text, line.n);
	memcpy(room + HEADER_PREFIX + line.n, "\r\n", 2);
	*n = HEADER_PREFIX + line.n + 2;
	return result;
}

bool proxy_header_read(struct starttls_wire *wire, unsigned char *room, struct proxy_header *header,
	struct starttls_fault *fault)
{
	enum wire_result result;
	const char *why;
	size_t n = HEADER_FIXED;

	wire->budget = PROXY_HEADER_MAX;
	result = wire_bytes(wire, room, HEADER_PREFIX);
	if (result != WIRE_OK)
		return fault_wire(fault, step, result);
	if (is_v1(room)) {
		result = read_v1(wire, room, &n);
	} else if (memcmp(room, HEADER_SIGNATURE, HEADER_PREFIX) != 0) {
		return fault_got(fault, step, "PROXY or the signature of version 2", room, HEADER_PREFIX);
	} else {
		result = wire_bytes(wire, room + HEADER_PREFIX, HEADER_FIXED - HEADER_PREFIX);
		if (result == WIRE_OK && memcmp(room, HEADER_SIGNATURE, 12) != 0)
			return fault_words(fault, step, not_a_header);
		if (result == WIRE_OK) {
			n += number16(room + 14);
			result = wire_bytes(wire, room + HEADER_FIXED, n - HEADER_FIXED);
		}
	}
	if (result != WIRE_OK)
		return fault_wire(fault, step, result);
	return proxy_header_parse(room, n, header, &why) || fault_words(fault, step, why);
}
