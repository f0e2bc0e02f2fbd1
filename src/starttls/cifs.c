/*
 * NetBIOS session service (RFC 1002 4.3) with the refusal code 0x8e, "use TLS", as stunnel's protocol = cifs
 * has it: a client asks for a session, is refused with that code, and begins TLS on the same connection. No
 * RFC knows the code.
 */
#include "internal.h"

enum {
	SESSION_REQUEST = 0x81,
	NEGATIVE_RESPONSE = 0x83,
	NOT_LISTENING = 0x80, /* "not listening on called name" */
	USE_TLS = 0x8e,
	REQUEST_MAX = 124, /* two encoded names have 68 */
	HEADER = 4,
	HANDSHAKE_RECORD = 0x16
};

static enum starttls_outcome failed(struct starttls_fault *fault, enum wire_result result)
{
	(void)fault_wire(fault, "session request", result);
	return STARTTLS_FAILED;
}

enum starttls_outcome cifs_server(struct starttls_wire *wire, bool required, struct starttls_fault *fault)
{
	unsigned char response[HEADER + 1] = { NEGATIVE_RESPONSE, 0, 0, 1, USE_TLS };
	unsigned char request[HEADER] = { 0 };
	size_t length;
	enum wire_result result = wire_peek(wire, request, 1);

	(void)required;
	if (result == WIRE_CLOSED)
		return STARTTLS_ENDED;
	if (result == WIRE_OK && request[0] == HANDSHAKE_RECORD)
		return STARTTLS_AT_ONCE;
	if (result == WIRE_OK)
		result = wire_bytes(wire, request, sizeof request);
	if (result != WIRE_OK)
		return failed(fault, result);
	length = (size_t)request[2] << 8 | request[3];
	if (request[0] != SESSION_REQUEST || request[1] != 0 || length > REQUEST_MAX) {
		response[HEADER] = NOT_LISTENING;
		(void)wire_write(wire, response, sizeof response);
		starttls_end(wire);
		(void)fault_got(fault, "session request", "a session request (81 hex)", request, 1);
		return STARTTLS_FAILED;
	}
	result = wire_take(wire, length);
	if (result == WIRE_OK)
		result = wire_write(wire, response, sizeof response);
	return result == WIRE_OK ? STARTTLS_BEGIN : failed(fault, result);
}

bool cifs_client(struct starttls_wire *wire, const char *name, struct starttls_fault *fault)
{
	static const unsigned char request[HEADER] = { SESSION_REQUEST, 0, 0, 0 };
	unsigned char response[HEADER + 1];
	enum wire_result result = wire_write(wire, request, sizeof request);

	(void)name;
	if (result == WIRE_OK)
		result = wire_bytes(wire, response, sizeof response);
	if (result != WIRE_OK)
		return fault_wire(fault, "session request", result);
	if (response[0] != NEGATIVE_RESPONSE || response[1] != 0 || response[2] != 0 || response[3] != 1 ||
		response[HEADER] != USE_TLS)
		return fault_words(
			fault, "session request", "expected the refusal that asks for TLS (83, code 8e hex)");
	return true;
}
