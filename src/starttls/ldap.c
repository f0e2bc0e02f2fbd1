/*
 * LDAP (RFC 4511 4.14): the extended operation StartTLS, and its response, in BER with definite lengths
 * (5.1).
 */
#include <string.h>
#include "internal.h"

enum {
	RESPONSE_MAX = 4096,
	SEQUENCE = 0x30,
	INTEGER = 0x02,
	ENUMERATED = 0x0a,
	OCTET_STRING = 0x04,
	EXTENDED_RESPONSE = 0x78, /* [APPLICATION 24] constructed */
	MESSAGE_ID = 1
};

static const char step[] = "StartTLS";

/* What is left of an element. */
struct ber {
	const unsigned char *at;
	size_t n;
};

/* A length of one byte, or of up to 4 more. Returns how many bytes it has, 0 if it is none. */
static size_t length_of(const unsigned char *at, size_t n, size_t *length)
{
	size_t more;

	if (n < 1)
		return 0;
	*length = at[0];
	if (at[0] < 0x80)
		return 1;
	more = at[0] & 0x7fu;
	if (more < 1 || more > 4 || n < 1 + more)
		return 0;
	*length = 0;
	for (size_t i = 1; i <= more; i++)
		*length = *length << 8 | at[i];
	return 1 + more;
}

/* Takes the next element, with that tag, off the front. */
static bool next(struct ber *from, unsigned char tag, struct ber *element)
{
	size_t length, header;

	if (from->n < 2 || from->at[0] != tag)
		return false;
	header = length_of(from->at + 1, from->n - 1, &length);
	if (!header || length > from->n - 1 - header)
		return false;
	element->at = from->at + 1 + header;
	element->n = length;
	from->at = element->at + length;
	from->n -= 1 + header + length;
	return true;
}

/* resultCode: 0 is success. */
static bool judge(struct ber message, struct starttls_fault *fault)
{
	struct ber id, response, code, matched, words;

	if (!next(&message, INTEGER, &id) || id.n != 1 || id.at[0] != MESSAGE_ID ||
		!next(&message, EXTENDED_RESPONSE, &response) || !next(&response, ENUMERATED, &code) || code.n != 1 ||
		!next(&response, OCTET_STRING, &matched) || !next(&response, OCTET_STRING, &words))
		return fault_words(fault, step, "expected an ExtendedResponse to this request");
	return code.at[0] == 0 || fault_got(fault, step, "success", words.at, words.n);
}

bool ldap_client(struct starttls_wire *wire, const char *name, struct starttls_fault *fault)
{
	/* LDAPMessage { messageID 1, ExtendedRequest { requestName [0] } } */
	static const unsigned char request[] = { SEQUENCE, 0x1d, INTEGER, 1, MESSAGE_ID, 0x77, 0x18, 0x80, 0x16,
		'1', '.', '3', '.', '6', '.', '1', '.', '4', '.', '1', '.', '1', '4', '6', '6', '.', '2', '0', '0',
		'3', '7' };
	unsigned char header[6], response[RESPONSE_MAX];
	size_t header_n = 2, length = 0;
	enum wire_result result = wire_write(wire, request, sizeof request);

	(void)name;
	if (result == WIRE_OK)
		result = wire_bytes(wire, header, 2);
	if (result != WIRE_OK)
		return fault_wire(fault, step, result);
	if (header[0] != SEQUENCE || header[1] == 0x80 || header[1] > 0x84)
		return fault_got(fault, step, "an LDAPMessage", header, 2);
	if (header[1] > 0x80) {
		header_n += header[1] & 0x7fu;
		result = wire_bytes(wire, header + 2, header_n - 2);
		if (result != WIRE_OK)
			return fault_wire(fault, step, result);
	}
	if (!length_of(header + 1, header_n - 1, &length) || length > sizeof response)
		return fault_words(fault, step, "the response is too long");
	result = wire_bytes(wire, response, length);
	if (result != WIRE_OK)
		return fault_wire(fault, step, result);
	return judge((struct ber){ response, length }, fault);
}
