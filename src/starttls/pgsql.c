/*
 * PostgreSQL (protocol 3, "Message Flow": SSL Session Encryption, GSSAPI Session Encryption). Every request
 * before the session is length, code, both of 32 bits in network order; a server answers an SSLRequest with
 * one byte.
 */
#include <string.h>
#include "internal.h"

enum {
	CANCEL_REQUEST = 80877102,
	SSL_REQUEST = 80877103,
	GSSENC_REQUEST = 80877104,
	REQUEST_BYTES = 8,
	STARTUP_MAX = 10000, /* what PostgreSQL takes */
	ROUNDS_MAX = 3,      /* GSSENCRequest, SSLRequest, then nothing else */
	ERROR_MAX = 1000,
	HANDSHAKE_RECORD = 0x16
};

static uint32_t number(const unsigned char *at)
{
	return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static enum starttls_outcome failed(struct starttls_fault *fault, const char *step, enum wire_result result)
{
	(void)fault_wire(fault, step, result);
	return STARTTLS_FAILED;
}

/* ErrorResponse: fields of severity (S, V), SQLSTATE (C) and message (M). */
static void say_error(const struct starttls_wire *wire)
{
	static const char fields[] = "SFATAL\0VFATAL\0C28000\0MTLS is required: connect with sslmode=require\0";
	unsigned char message[5 + sizeof fields] = { 'E' };

	message[4] = (unsigned char)(4 + sizeof fields); /* with the NUL that ends the list */
	memcpy(message + 5, fields, sizeof fields);
	(void)wire_write(wire, message, sizeof message);
}

/* A StartupMessage or a CancelRequest in clear where TLS is required. */
static enum starttls_outcome turn_away(
	struct starttls_wire *wire, uint32_t length, uint32_t code, struct starttls_fault *fault)
{
	enum wire_result result;

	if (code != CANCEL_REQUEST && code >> 16 != 3) {
		(void)fault_words(fault, "request", "neither an SSLRequest nor a StartupMessage");
		return STARTTLS_FAILED;
	}
	if (code == CANCEL_REQUEST) {
		starttls_end(wire); /* it is never answered */
		return STARTTLS_ENDED;
	}
	if (length < REQUEST_BYTES || length > STARTUP_MAX) {
		(void)fault_words(fault, "StartupMessage", "an impossible length");
		return STARTTLS_FAILED;
	}
	result = wire_take(wire, length - REQUEST_BYTES);
	if (result != WIRE_OK)
		return failed(fault, "StartupMessage", result);
	say_error(wire);
	starttls_end(wire);
	return STARTTLS_ENDED;
}

enum starttls_outcome pgsql_server(struct starttls_wire *wire, bool required, struct starttls_fault *fault)
{
	unsigned char request[REQUEST_BYTES];

	for (unsigned i = 0; i < ROUNDS_MAX; i++) {
		/* Looked at first: what is not for us stays for prog, and TLS without a request (PostgreSQL 17) for
		 * TLS. */
		enum wire_result result = wire_peek(wire, request, 1);
		uint32_t code;

		if (result == WIRE_CLOSED)
			return STARTTLS_ENDED;
		if (result == WIRE_OK && request[0] == HANDSHAKE_RECORD && i == 0)
			return STARTTLS_AT_ONCE;
		if (result == WIRE_OK)
			result = wire_peek(wire, request, sizeof request);
		if (result != WIRE_OK)
			return failed(fault, "request", result);
		code = number(request + 4);
		if ((code != SSL_REQUEST && code != GSSENC_REQUEST) && !required)
			return STARTTLS_CLEAR;
		result = wire_take(wire, sizeof request);
		if (result != WIRE_OK)
			return failed(fault, "request", result);
		if (code != SSL_REQUEST && code != GSSENC_REQUEST)
			return turn_away(wire, number(request), code, fault);
		if (number(request) != sizeof request) {
			(void)fault_words(fault, "request", "an impossible length");
			return STARTTLS_FAILED;
		}
		result = wire_write(wire, code == SSL_REQUEST ? "S" : "N", 1);
		if (result != WIRE_OK)
			return failed(fault, "answer", result);
		if (code == SSL_REQUEST)
			return STARTTLS_BEGIN;
	}
	(void)fault_words(fault, "request", "too many requests");
	return STARTTLS_FAILED;
}

bool pgsql_client(struct starttls_wire *wire, const char *name, struct starttls_fault *fault)
{
	static const unsigned char request[REQUEST_BYTES] = { 0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f };
	unsigned char answer;
	enum wire_result result = wire_write(wire, request, sizeof request);

	(void)name;
	if (result == WIRE_OK)
		result = wire_bytes(wire, &answer, 1);
	if (result != WIRE_OK)
		return fault_wire(fault, "SSLRequest", result);
	if (answer == 'N')
		return fault_words(fault, "SSLRequest", "the server does not speak TLS");
	/* What follows an E was said in clear by nobody knows whom: it is not shown (CVE-2024-10977). */
	return answer == 'S' || fault_got(fault, "SSLRequest", "S", &answer, 1);
}
