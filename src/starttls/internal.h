/*
 * Between the files of src/starttls: exact reading and writing, answers, and the binary protocols.
 */
#ifndef STARTTLS_INTERNAL_H
#define STARTTLS_INTERNAL_H

#include "starttls.h"

/* ---- wire.c ---- */

enum wire_result {
	WIRE_OK,
	WIRE_CLOSED,  /* the peer has ended */
	WIRE_LATE,    /* the deadline has come */
	WIRE_LONG,    /* a line is too long, or the budget is used up */
	WIRE_ILLEGAL, /* a line that does not end in CRLF, or holds NUL or CR */
	WIRE_SYSTEM   /* errno */
};

/* Bytes, CRLF included: more than any command or answer before TLS needs (RFC 5321 4.5.3.1: 512; RFC 4642:
 * 512). */
enum { WIRE_LINE_MAX = 1000 };

struct wire_line {
	char text[WIRE_LINE_MAX + 1]; /* NUL-terminated, without its end */
	size_t n;
	size_t whole; /* with its end: what wire_take takes off */
};

/*
 * A line. It is taken off the connection, not a byte more; with leave (sockets only) it stays there until
 * wire_take. lf_ends: a line may end in LF alone.
 */
enum wire_result wire_line(struct starttls_wire *wire, struct wire_line *line, bool lf_ends, bool leave);
enum wire_result wire_take(struct starttls_wire *wire, size_t n);

/* Takes a line of any length off, within the budget; *empty: there is nothing but its end, which may be LF
 * alone. */
enum wire_result wire_skip_line(struct starttls_wire *wire, bool *empty);

/* Exactly n bytes, taken off, or left in the socket. */
enum wire_result wire_bytes(struct starttls_wire *wire, unsigned char *bytes, size_t n);
enum wire_result wire_peek(struct starttls_wire *wire, unsigned char *bytes, size_t n);

/* Sockets: up to room bytes, more than known, all left there; *n is how many. */
enum wire_result wire_peek_more(
	struct starttls_wire *wire, unsigned char *bytes, size_t room, size_t known, size_t *n);

/* True if a byte comes within ms, which then is *byte and still there. */
bool wire_first(const struct starttls_wire *wire, int ms, unsigned char *byte);

enum wire_result wire_write(const struct starttls_wire *wire, const void *bytes, size_t n);

/* ---- fault.c: all return false ---- */

bool fault_words(struct starttls_fault *fault, const char *step, const char *words);
bool fault_system(struct starttls_fault *fault, const char *doing);
bool fault_wire(struct starttls_fault *fault, const char *step, enum wire_result result);
bool fault_got(
	struct starttls_fault *fault, const char *step, const char *expected, const void *got, size_t n);

/* ---- template.c ---- */

/* Copies from, with %n and %t replaced by name and tag, into to; 0 if it does not fit. tag may be NULL. */
size_t template_fill(char *to, size_t room, const char *from, const char *name, const char *tag);

/* Fills in and writes. */
enum wire_result template_say(
	const struct starttls_wire *wire, const char *from, const char *name, const char *tag);

/* ---- answer.c: what a server answers, in the forms of the line protocols ---- */

enum answer_form {
	ANSWER_LINE,  /* one line */
	ANSWER_SMTP,  /* RFC 5321 4.2: 250-text … 250 text */
	ANSWER_FTP,   /* RFC 959 4.2: 220-text, anything, 220 text; a whole 120 answer may stand before it */
	ANSWER_IMAP,  /* untagged lines, then one with the tag */
	ANSWER_SIEVE, /* RFC 5804 1.3: strings, then OK */
	ANSWER_IRC    /* numerics among other messages */
};

struct answer_rule {
	enum answer_form form;
	const char *good;    /* how the last line begins: "220", "200|201", "+OK"; letter case does not matter */
	const char *keyword; /* which some line must offer (SMTP: after the first; SIEVE: a string), NULL: none */
};

enum { ANSWER_LINES_MAX = 200 };

struct answer_reader {
	const struct answer_rule *rule;
	unsigned lines;
	bool inside; /* FTP: between first and last line */
	bool keyword_seen;
	char code[3];
};

enum answer_state { ANSWER_MORE, ANSWER_GOOD, ANSWER_BAD };

/* The next line, without its end. After ANSWER_GOOD and ANSWER_BAD the answer is over. */
enum answer_state answer_line(struct answer_reader *reader, const char *line, size_t n);

/* Letter case does not matter; both are n bytes. */
bool same_letters(const char *a, const char *b, size_t n);

/* ---- server.c ---- */

const struct answer_rule *server_greeting(const struct starttls_server *protocol);
const struct answer_rule *server_said_answer(const struct starttls_server *protocol);
const char *server_farewell(const struct starttls_server *protocol);

/* ---- binary protocols ---- */

typedef enum starttls_outcome server_function(
	struct starttls_wire *wire, bool required, struct starttls_fault *fault);
typedef bool client_function(struct starttls_wire *wire, const char *name, struct starttls_fault *fault);

server_function pgsql_server, cifs_server;
client_function pgsql_client, cifs_client, ldap_client, xmpp_client;

/* ---- mysql.c ---- */

enum {
	MYSQL_HEADER = 4, /* length (3 bytes, the least one first), number */
	MYSQL_HEAD = MYSQL_HEADER + 32
};

/* Reads the greeting of a server that offers TLS, as prog is to have it: without that offer. */
bool mysql_greeting(
	struct starttls_wire *wire, struct starttls_greeting *greeting, struct starttls_fault *fault);

enum mysql_outcome {
	MYSQL_TLS,   /* the server's descriptors are cleartext */
	MYSQL_ENDED, /* prog does not want to talk */
	MYSQL_FAILED
};

/*
 * Greets prog, asks the server for TLS with the flags of its answer, and waits for the handshake. head, the
 * beginning of that answer, is what has been taken of prog's output. Its first 32 bytes of payload hold
 * flags, a size and a character set, and no secret.
 */
enum mysql_outcome mysql_begin(const struct starttls_mysql *mysql, int from_prog, int to_prog,
	unsigned char head[MYSQL_HEAD], struct starttls_fault *fault);

/* One direction of the packets between prog and the server after that. */
struct mysql_numbers {
	bool active, from_prog;
	unsigned char header[MYSQL_HEADER - 1];
	size_t header_n, left; /* bytes; left: of the payload */
	bool at_first, last;
};

/* Rewrites the numbers in what is copied, in pieces of any size, as long as the two sides count differently.
 */
void mysql_renumber(struct mysql_numbers *numbers, void *bytes, size_t n);

#endif
