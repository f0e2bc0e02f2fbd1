/*
 * MySQL and MariaDB ("Connection Phase" of their protocol). The server greets; a client that wants TLS
 * answers with an SSLRequest, which is the beginning of its answer proper, and gives that after the
 * handshake. Packets have numbers, which begin anew with each command: the SSLRequest is one that prog knows
 * nothing of, so until authentication has ended they differ by one between prog and the server.
 */
#include <string.h>
#include <skalibs/stralloc.h>
#include "chain/chain.h"
#include "internal.h"

enum {
	VERSION = 10,
	ERR = 0xff,
	OK = 0x00,
	OK_MIN = 7,             /* bytes of a payload; what a plugin for authentication says may begin with NUL */
	SERVER_MIN = 4 + 8 + 1, /* thread, first part of the challenge, a filler: between version and flags */
	FLAGS_MYSQL = 0x1,      /* not set by MariaDB's own clients, which have more flags at the end */
	FLAGS_PROTOCOL_41 = 0x200,
	FLAGS_SSL = 0x800,
	PLACE_OF_RESERVED = 9, /* behind flags (4), size of a packet (4), character set (1) */
	RESERVED = 19
};

static size_t length_of(const unsigned char *header)
{
	return (size_t)header[0] | (size_t)header[1] << 8 | (size_t)header[2] << 16;
}

/* The lower 16 of 32 flags. */
static unsigned flags_at(const unsigned char *at)
{
	return at[0] | (unsigned)at[1] << 8;
}

/* ---- the greeting ---- */

static const char greeting_step[] = "greeting";

/* A server that has no greeting for us: code, sometimes # and a state of 5 letters, words. */
static bool was_refused(struct starttls_fault *fault, const unsigned char *payload, size_t n)
{
	size_t skipped = n < 3 ? n : 3;

	if (n >= skipped + 6 && payload[skipped] == '#')
		skipped += 6;
	return fault_got(fault, greeting_step, "a greeting", payload + skipped, n - skipped);
}

/* The flags of a greeting: NULL if it is too short for them. */
static unsigned char *flags_of_server(unsigned char *payload, size_t n)
{
	unsigned char *end = memchr(payload + 1, '\0', n - 1);

	return end && (size_t)(payload + n - end) >= 1 + SERVER_MIN + 2 ? end + 1 + SERVER_MIN : NULL;
}

bool mysql_greeting(
	struct starttls_wire *wire, struct starttls_greeting *greeting, struct starttls_fault *fault)
{
	unsigned char packet[MYSQL_HEADER + STARTTLS_GREETING_MAX], *payload = packet + MYSQL_HEADER, *flags;
	size_t n;
	enum wire_result result = wire_bytes(wire, packet, MYSQL_HEADER);

	if (result != WIRE_OK)
		return fault_wire(fault, greeting_step, result);
	n = length_of(packet);
	if (n < 1 || n > STARTTLS_GREETING_MAX - MYSQL_HEADER)
		return fault_got(fault, greeting_step, "a packet of MySQL", packet, MYSQL_HEADER);
	result = wire_bytes(wire, payload, n);
	if (result != WIRE_OK)
		return fault_wire(fault, greeting_step, result);
	if (payload[0] == ERR)
		return was_refused(fault, payload, n);
	if (payload[0] != VERSION || packet[3] != 0)
		return fault_words(fault, greeting_step, "expected packet 0, of version 10 of the protocol");
	flags = flags_of_server(payload, n);
	if (!flags)
		return fault_words(fault, greeting_step, "the packet is too short");
	if (!(flags_at(flags) & FLAGS_PROTOCOL_41) || !(flags_at(flags) & FLAGS_SSL))
		return fault_words(fault, greeting_step, "the server does not offer TLS");
	flags[1] &= (unsigned char)~(FLAGS_SSL >> 8); /* prog is not to ask for it */
	memcpy(greeting->text, packet, MYSQL_HEADER + n);
	greeting->n = MYSQL_HEADER + n;
	return true;
}

/* ---- prog's answer ---- */

static const char response_step[] = "HandshakeResponse";

static enum mysql_outcome failed(struct starttls_fault *fault, const char *words)
{
	(void)fault_words(fault, response_step, words);
	return MYSQL_FAILED;
}

/* From prog, whose end is nobody's fault. */
static enum mysql_outcome nothing_from_prog(struct starttls_fault *fault, enum wire_result result)
{
	if (result == WIRE_CLOSED)
		return MYSQL_ENDED;
	if (result == WIRE_LATE)
		return failed(fault, "the program has not answered the greeting: time is up");
	(void)fault_wire(fault, response_step, result);
	return MYSQL_FAILED;
}

/*
 * The first 32 bytes of prog's answer as an SSLRequest. Nothing else of it goes out in clear, and of these
 * only what has a meaning.
 */
static enum wire_result request_tls(const struct starttls_wire *wire, const unsigned char *head)
{
	unsigned char request[MYSQL_HEAD];
	unsigned char *payload = request + MYSQL_HEADER;

	memcpy(request, head, sizeof request);
	request[0] = MYSQL_HEAD - MYSQL_HEADER;
	request[1] = request[2] = 0;
	memset(payload + PLACE_OF_RESERVED, 0, RESERVED);
	if (flags_at(payload) & FLAGS_MYSQL)
		memset(payload + PLACE_OF_RESERVED + RESERVED, 0, 4);
	return wire_write(wire, request, sizeof request);
}

enum mysql_outcome mysql_begin(const struct starttls_mysql *mysql, int from_prog, int to_prog,
	unsigned char head[MYSQL_HEAD], struct starttls_fault *fault)
{
	struct starttls_wire prog = { from_prog, to_prog, mysql->wire->deadline, MYSQL_HEAD };
	unsigned char *flags = head + MYSQL_HEADER;
	stralloc report = STRALLOC_ZERO; /* prog has its environment already */
	enum wire_result result = wire_write(&prog, mysql->greeting->text, mysql->greeting->n);
	bool switched;

	if (result == WIRE_OK)
		result = wire_bytes(&prog, head, MYSQL_HEADER);
	if (result != WIRE_OK)
		return nothing_from_prog(fault, result);
	if (length_of(head) < MYSQL_HEAD - MYSQL_HEADER || head[3] != 1)
		return failed(fault, "the program does not answer as clients of MySQL do");
	result = wire_bytes(&prog, flags, MYSQL_HEAD - MYSQL_HEADER);
	if (result != WIRE_OK)
		return nothing_from_prog(fault, result);
	if (!(flags_at(flags) & FLAGS_PROTOCOL_41)) /* else there would be a name in it already */
		return failed(fault, "the program speaks the protocol from before MySQL 4.1");
	if (flags_at(flags) & FLAGS_SSL)
		return failed(fault, "the program asks for TLS itself");
	flags[1] |= FLAGS_SSL >> 8;
	result = request_tls(mysql->wire, head);
	if (result != WIRE_OK) {
		(void)fault_wire(fault, "SSLRequest", result);
		return MYSQL_FAILED;
	}
	switched =
		starttls_control_switch(mysql->control, mysql->wire->reading, mysql->wire->writing, &report, fault);
	stralloc_free(&report);
	return switched ? MYSQL_TLS : MYSQL_FAILED;
}

/* ---- numbers ---- */

/* prog's own: its next command begins with 0. */
static void renumber_from_prog(struct mysql_numbers *numbers, unsigned char *number)
{
	if (*number)
		++*number;
	else
		numbers->active = false;
}

static void renumber_to_prog(unsigned char *number)
{
	if (*number) /* 0: of no answer */
		--*number;
}

/* A payload of that length which begins with that byte is the last of the authentication. */
static bool ends_authentication(size_t length, unsigned char first)
{
	return first == ERR || (first == OK && length >= OK_MIN);
}

/* Takes up to n bytes of a payload. */
static size_t pass_payload(struct mysql_numbers *numbers, const unsigned char *bytes, size_t n)
{
	size_t piece = n < numbers->left ? n : numbers->left;

	if (numbers->at_first && piece) {
		numbers->at_first = false;
		numbers->last = !numbers->from_prog && ends_authentication(numbers->left, bytes[0]);
	}
	numbers->left -= piece;
	if (numbers->left == 0) {
		numbers->header_n = 0;
		if (numbers->last)
			numbers->active = false;
	}
	return piece;
}

void mysql_renumber(struct mysql_numbers *numbers, void *bytes, size_t n)
{
	unsigned char *at = bytes;

	while (n && numbers->active) {
		size_t taken = 1;

		if (numbers->header_n < MYSQL_HEADER - 1) {
			numbers->header[numbers->header_n++] = *at;
		} else if (numbers->header_n < MYSQL_HEADER) {
			numbers->header_n++;
			numbers->left = length_of(numbers->header);
			numbers->at_first = true;
			if (numbers->from_prog)
				renumber_from_prog(numbers, at);
			else
				renumber_to_prog(at);
		} else {
			taken = pass_payload(numbers, at, n);
		}
		at += taken;
		n -= taken;
	}
}
