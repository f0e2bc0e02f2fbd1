/*
 * The client's side: what is said to a server, and what it has to answer, before TLS begins. The line
 * protocols are the tables below.
 */
#include <string.h>
#include "internal.h"

/* In the order of the dialogue; the first is the greeting, if it says nothing. */
struct client_step {
	const char *name; /* for words; NULL ends the steps */
	const char *say;  /* %n: the name; NULL: nothing */
	struct answer_rule answer;
};

enum { STEPS_MAX = 4 };

struct starttls_client {
	const char *name;
	struct client_step steps[STEPS_MAX];
	bool greeting_again; /* prog waits for the greeting that has been read */
	bool lf_ends;        /* lines may end in LF: RFC 1459 servers are known to; the other RFCs demand CRLF */
	bool wants_peer;     /* the name is the server's */
	bool needs_prog;     /* mysql: here there is only its greeting */
	client_function *function; /* a binary protocol: instead of steps */
};

#define GREETING(form, good)                                                                                 \
	{                                                                                                        \
		"greeting", NULL,                                                                                    \
		{                                                                                                    \
			form, good, NULL                                                                                 \
		}                                                                                                    \
	}

static const struct starttls_client protocols[] = {
	{ .name = "smtp", /* RFC 3207 */
		.steps = { GREETING(ANSWER_SMTP, "220"),
			{ "EHLO", "EHLO %n\r\n", { ANSWER_SMTP, "250", "STARTTLS" } },
			{ "STARTTLS", "STARTTLS\r\n", { ANSWER_SMTP, "220", NULL } } },
		.greeting_again = true },
	{ .name = "lmtp", /* RFC 2033 */
		.steps = { GREETING(ANSWER_SMTP, "220"),
			{ "LHLO", "LHLO %n\r\n", { ANSWER_SMTP, "250", "STARTTLS" } },
			{ "STARTTLS", "STARTTLS\r\n", { ANSWER_SMTP, "220", NULL } } },
		.greeting_again = true },
	{ .name = "pop3", /* RFC 2595 4 */
		.steps = { GREETING(ANSWER_LINE, "+OK"), { "STLS", "STLS\r\n", { ANSWER_LINE, "+OK", NULL } } },
		.greeting_again = true },
	{ .name = "imap", /* RFC 9051 6.2.1; PREAUTH means that there can be no STARTTLS */
		.steps = { GREETING(ANSWER_LINE, "* OK"),
			{ "STARTTLS", "a STARTTLS\r\n", { ANSWER_IMAP, "a OK", NULL } } },
		.greeting_again = true },
	{ .name = "sieve", /* RFC 5804 2.2: the server sends its greeting once more after the handshake */
		.steps = { { "greeting", NULL, { ANSWER_SIEVE, "OK", "STARTTLS" } },
			{ "STARTTLS", "STARTTLS\r\n", { ANSWER_LINE, "OK", NULL } } } },
	{ .name = "nntp", /* RFC 4642 */
		.steps = { GREETING(ANSWER_LINE, "200|201"),
			{ "STARTTLS", "STARTTLS\r\n", { ANSWER_LINE, "382", NULL } } },
		.greeting_again = true },
	{ .name = "ftp", /* RFC 4217 4: the control connection */
		.steps = { GREETING(ANSWER_FTP, "220"), { "AUTH", "AUTH TLS\r\n", { ANSWER_FTP, "234", NULL } } },
		.greeting_again = true },
	{ .name = "irc", /* without CAP LS, which would stop the registration of a prog that knows nothing of CAP
						END */
		.steps = { { "STARTTLS", "STARTTLS\r\n", { ANSWER_IRC, "670", NULL } } },
		.lf_ends = true },
	{ .name = "pgsql", .function = pgsql_client },
	{ .name = "cifs", .function = cifs_client },
	{ .name = "ldap", .function = ldap_client },
	{ .name = "xmpp", .function = xmpp_client, .wants_peer = true },
	{ .name = "mysql", .needs_prog = true },
};

enum { PROTOCOLS = sizeof protocols / sizeof protocols[0] };

const struct starttls_client *starttls_client(const char *protocol)
{
	for (size_t i = 0; i < PROTOCOLS; i++)
		if (strcmp(protocols[i].name, protocol) == 0)
			return &protocols[i];
	return NULL;
}

const char *starttls_client_names(void)
{
	return "smtp, lmtp, pop3, imap, sieve, nntp, ftp, irc, pgsql, cifs, ldap, xmpp, mysql";
}

bool starttls_client_wants_peer(const struct starttls_client *protocol)
{
	return protocol->wants_peer;
}

bool starttls_client_needs_prog(const struct starttls_client *protocol)
{
	return protocol->needs_prog;
}

/*
 * The code in an IMAP greeting: capabilities in clear, LOGINDISABLED among them, an ALERT for the user, a
 * REFERRAL to another server; said by nobody knows whom (RFC 9051 6.2.1, 7.1; RFC 2221). It is taken out, so
 * that prog asks.
 */
static size_t without_code(char *text, size_t n)
{
	static const char begin[] = "* OK [";
	const size_t begin_n = sizeof begin - 1, kept = begin_n - 1; /* "* OK " */
	char *end;

	if (n < begin_n || !same_letters(text, begin, begin_n))
		return n;
	end = memchr(text, ']', n);
	if (!end)
		return kept - 1;
	end++;
	if (end < text + n && *end == ' ')
		end++;
	memmove(text + kept, end, n - (size_t)(end - text));
	return n - (size_t)(end - text) + kept;
}

/* A greeting goes into a variable and to a program: one line of printable ASCII. */
static void keep_greeting(struct starttls_greeting *greeting, const struct wire_line *line)
{
	size_t n = line->n;
	char text[WIRE_LINE_MAX];

	memcpy(text, line->text, n);
	n = without_code(text, n);
	if (n > STARTTLS_GREETING_MAX)
		n = STARTTLS_GREETING_MAX;
	for (size_t i = 0; i < n; i++)
		greeting->text[i] = (char)(text[i] < ' ' || text[i] > '~' ? '?' : text[i]);
	greeting->text[n] = '\0';
	greeting->n = n;
}

static bool take_step(const struct starttls_client *protocol, const struct client_step *step,
	struct starttls_wire *wire, const char *name, struct wire_line *line, struct starttls_fault *fault)
{
	struct answer_reader reader = { .rule = &step->answer };
	enum wire_result result;
	enum answer_state state;

	if (step->say) {
		result = template_say(wire, step->say, name, NULL);
		if (result != WIRE_OK)
			return fault_wire(fault, step->name, result);
	}
	do {
		result = wire_line(wire, line, protocol->lf_ends, false);
		if (result != WIRE_OK)
			return fault_wire(fault, step->name, result);
		state = answer_line(&reader, line->text, line->n);
	} while (state == ANSWER_MORE);
	if (state == ANSWER_BAD)
		return fault_got(fault, step->name, step->answer.good, line->text, line->n);
	if (step->answer.keyword && !reader.keyword_seen)
		return fault_words(fault, step->name, "the server does not offer STARTTLS");
	return true;
}

bool starttls_client_run(const struct starttls_client *protocol, struct starttls_wire *wire, const char *name,
	struct starttls_greeting *greeting, struct starttls_fault *fault)
{
	struct wire_line line;

	greeting->n = 0;
	greeting->text[0] = '\0';
	if (protocol->needs_prog)
		return mysql_greeting(wire, greeting, fault);
	if (protocol->function)
		return protocol->function(wire, name, fault);
	for (const struct client_step *step = protocol->steps; step < protocol->steps + STEPS_MAX && step->name;
		 step++) {
		if (!take_step(protocol, step, wire, name, &line, fault))
			return false;
		if (!step->say && protocol->greeting_again)
			keep_greeting(greeting, &line);
	}
	return true;
}
