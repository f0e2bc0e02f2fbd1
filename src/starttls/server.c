/*
 * The server's side: what clients may say before TLS begins, and what they are told. The line protocols are
 * the tables below.
 */
#include <string.h>
#include "internal.h"

enum {
	AT_ONCE_MS = 200,   /* how long a client that speaks TLS without asking has before it is greeted */
	COMMANDS_MAX = 100, /* before TLS, answered ones and refused ones */
	TAG_MAX = 64,
	HANDSHAKE_RECORD = 0x16 /* the first byte of TLS; of no command */
};

enum arguments { NO_ARGUMENTS, SOME_ARGUMENTS, ANY_ARGUMENTS };
enum action { ANSWER, GOOD_BYE, START };

struct command {
	const char *verb; /* letter case does not matter; NULL ends the commands */
	enum arguments arguments;
	enum action action;
	const char *answer;         /* %n: our name, %t: the tag of IMAP */
	const char *offered_answer; /* where TLS is only offered; NULL: the same */
	const char *wrong_arguments;
	bool said_again; /* prog, in clear, has to hear it as well */
};

enum { COMMANDS = 8 };

struct starttls_server {
	const char *name;
	const char *greeting, *offered_greeting; /* the latter NULL: TLS can only be required */
	struct command commands[COMMANDS];
	const char *refusal;  /* required: of any other command */
	const char *bad_tag;  /* IMAP; NULL: commands have no tags */
	const char *farewell; /* before we end the connection */
	bool no_literals;     /* a line that ends in {n+} has more behind it, which is no command */
	bool greets_again;    /* prog's greeting after TLS is what the client waits for */
	bool takes_turns;     /* a server may refuse a client that speaks before it was greeted */
	struct answer_rule prog_greeting;
	struct answer_rule said_answer;
	server_function *function; /* a binary protocol: instead of all these */
};

#define SMTP_COMMANDS                                                                                        \
	{ "NOOP", ANY_ARGUMENTS, ANSWER, "250 2.0.0 OK\r\n", NULL, NULL, false },                                \
		{ "QUIT", NO_ARGUMENTS, GOOD_BYE, "221 2.0.0 %n\r\n", NULL, "501 5.5.4 no parameters allowed\r\n",   \
			false },                                                                                         \
	{                                                                                                        \
		"STARTTLS", NO_ARGUMENTS, START, "220 2.0.0 Ready to start TLS\r\n", NULL,                           \
			"501 5.5.4 no parameters allowed\r\n", false                                                     \
	}

#define SMTP_REFUSAL  "530 5.7.0 Must issue a STARTTLS command first\r\n"
#define SMTP_FAREWELL "421 4.7.0 %n closing the connection\r\n"
#define SIEVE_CAPABILITIES                                                                                   \
	"\"IMPLEMENTATION\" \"ucspi-bear\"\r\n\"SIEVE\" \"\"\r\n\"SASL\" \"\"\r\n\"STARTTLS\"\r\n\"VERSION\" "   \
	"\"1.0\"\r\n"

static const struct starttls_server protocols[] = {
	{ .name = "smtp", /* RFC 3207 4 */
		.greeting = "220 %n ESMTP\r\n",
		.offered_greeting = "220 %n ESMTP\r\n",
		.commands = { { "EHLO", SOME_ARGUMENTS, ANSWER, "250-%n\r\n250 STARTTLS\r\n", NULL,
						  "501 5.5.4 EHLO name\r\n", true },
			{ "HELO", SOME_ARGUMENTS, ANSWER, "250 %n\r\n", NULL, "501 5.5.4 HELO name\r\n", true },
			SMTP_COMMANDS },
		.takes_turns = true,
		.refusal = SMTP_REFUSAL,
		.farewell = SMTP_FAREWELL,
		.prog_greeting = { ANSWER_SMTP, "220", NULL },
		.said_answer = { ANSWER_SMTP, "250", NULL } },
	{ .name = "lmtp", /* RFC 2033 4.1: no EHLO, no HELO */
		.greeting = "220 %n LMTP\r\n",
		.offered_greeting = "220 %n LMTP\r\n",
		.commands = { { "LHLO", SOME_ARGUMENTS, ANSWER, "250-%n\r\n250 STARTTLS\r\n", NULL,
						  "501 5.5.4 LHLO name\r\n", true },
			{ "EHLO", ANY_ARGUMENTS, ANSWER, "500 5.5.1 This is LMTP\r\n", NULL, NULL, false },
			{ "HELO", ANY_ARGUMENTS, ANSWER, "500 5.5.1 This is LMTP\r\n", NULL, NULL, false },
			SMTP_COMMANDS },
		.takes_turns = true,
		.refusal = SMTP_REFUSAL,
		.farewell = SMTP_FAREWELL,
		.prog_greeting = { ANSWER_SMTP, "220", NULL },
		.said_answer = { ANSWER_SMTP, "250", NULL } },
	{ .name = "pop3", /* RFC 2595 4, RFC 2449; USER: a client that finds no way to log in in the list gives up
					   */
		.greeting = "+OK %n\r\n",
		.offered_greeting = "+OK %n\r\n",
		.commands = { { "CAPA", NO_ARGUMENTS, ANSWER, "+OK\r\nSTLS\r\n.\r\n", "+OK\r\nUSER\r\nSTLS\r\n.\r\n",
						  "-ERR no arguments allowed\r\n", false },
			{ "STLS", NO_ARGUMENTS, START, "+OK Begin TLS negotiation\r\n", NULL,
				"-ERR no arguments allowed\r\n", false },
			{ "QUIT", NO_ARGUMENTS, GOOD_BYE, "+OK\r\n", NULL, "-ERR no arguments allowed\r\n", false } },
		.refusal = "-ERR STLS first\r\n",
		.farewell = "-ERR closing the connection\r\n",
		.prog_greeting = { ANSWER_LINE, "+OK", NULL } },
	{ .name = "imap", /* RFC 9051 6.2.1, 6.2.3; RFC 5530 PRIVACYREQUIRED */
		.greeting = "* OK %n\r\n",
		.offered_greeting = "* OK %n\r\n",
		.commands = { { "CAPABILITY", NO_ARGUMENTS, ANSWER,
						  "* CAPABILITY IMAP4rev1 STARTTLS LOGINDISABLED\r\n%t OK CAPABILITY completed\r\n",
						  "* CAPABILITY IMAP4rev1 STARTTLS\r\n%t OK CAPABILITY completed\r\n",
						  "%t BAD no arguments allowed\r\n", false },
			{ "NOOP", NO_ARGUMENTS, ANSWER, "%t OK NOOP completed\r\n", NULL,
				"%t BAD no arguments allowed\r\n", false },
			{ "LOGOUT", NO_ARGUMENTS, GOOD_BYE, "* BYE logging out\r\n%t OK LOGOUT completed\r\n", NULL,
				"%t BAD no arguments allowed\r\n", false },
			{ "STARTTLS", NO_ARGUMENTS, START, "%t OK Begin TLS negotiation now\r\n", NULL,
				"%t BAD no arguments allowed\r\n", false } },
		.refusal = "%t NO [PRIVACYREQUIRED] STARTTLS first\r\n",
		.bad_tag = "* BAD no tag\r\n",
		.farewell = "* BYE closing the connection\r\n",
		.no_literals = true,
		.prog_greeting = { ANSWER_LINE, "* OK", NULL } },
	{ .name = "sieve", /* RFC 5804 2.2: capabilities come once more after the handshake */
		.greeting = SIEVE_CAPABILITIES "OK \"%n\"\r\n",
		.commands = { { "CAPABILITY", NO_ARGUMENTS, ANSWER,
						  SIEVE_CAPABILITIES "OK \"Capability completed.\"\r\n", NULL,
						  "NO \"no arguments allowed\"\r\n", false },
			{ "STARTTLS", NO_ARGUMENTS, START, "OK \"Begin TLS negotiation now.\"\r\n", NULL,
				"NO \"no arguments allowed\"\r\n", false },
			{ "NOOP", NO_ARGUMENTS, ANSWER, "OK \"NOOP completed\"\r\n", NULL, "NO \"STARTTLS first\"\r\n",
				false },
			{ "LOGOUT", NO_ARGUMENTS, GOOD_BYE, "OK \"Logout completed.\"\r\n", NULL,
				"NO \"no arguments allowed\"\r\n", false } },
		.refusal = "NO (ENCRYPT-NEEDED) \"STARTTLS first\"\r\n",
		.farewell = "BYE \"closing the connection\"\r\n",
		.no_literals = true,
		.greets_again = true },
	{ .name = "nntp", /* RFC 4642 2 */
		.greeting = "201 %n\r\n",
		.offered_greeting = "200 %n\r\n",
		.commands = { { "CAPABILITIES", ANY_ARGUMENTS, ANSWER,
						  "101 Capability list:\r\nVERSION 2\r\nSTARTTLS\r\n.\r\n", NULL, NULL, false },
			{ "STARTTLS", NO_ARGUMENTS, START, "382 Continue with TLS negotiation\r\n", NULL,
				"501 no arguments allowed\r\n", false },
			{ "QUIT", ANY_ARGUMENTS, GOOD_BYE, "205 good-bye\r\n", NULL, NULL, false } },
		.refusal = "483 STARTTLS first\r\n",
		.farewell = "400 closing the connection\r\n",
		.prog_greeting = { ANSWER_LINE, "200|201", NULL } },
	{ .name = "pgsql", .function = pgsql_server, .offered_greeting = "" },
	{ .name = "cifs", .function = cifs_server },
};

enum { PROTOCOLS = sizeof protocols / sizeof protocols[0] };

const struct starttls_server *starttls_server(const char *protocol)
{
	for (size_t i = 0; i < PROTOCOLS; i++)
		if (strcmp(protocols[i].name, protocol) == 0)
			return &protocols[i];
	return NULL;
}

const char *starttls_server_names(void)
{
	return "smtp, lmtp, pop3, imap, sieve, nntp, pgsql, cifs";
}

bool starttls_server_may_offer(const struct starttls_server *protocol)
{
	return protocol->offered_greeting != NULL;
}

bool starttls_server_swallows(const struct starttls_server *protocol, bool after_tls)
{
	return protocol->greeting && !(after_tls && protocol->greets_again);
}

bool starttls_server_takes_turns(const struct starttls_server *protocol)
{
	return protocol->takes_turns;
}

const struct answer_rule *server_greeting(const struct starttls_server *protocol)
{
	return &protocol->prog_greeting;
}

const struct answer_rule *server_said_answer(const struct starttls_server *protocol)
{
	return &protocol->said_answer;
}

const char *server_farewell(const struct starttls_server *protocol)
{
	return protocol->farewell;
}

/* ---- commands ---- */

struct words {
	char tag[TAG_MAX + 1];
	const char *verb;
	size_t verb_n;
	bool arguments;
};

/* RFC 9051 9: tag = 1*<any ASTRING-CHAR except "+">. */
static bool is_tag_char(char c)
{
	return c > ' ' && c < 127 && !strchr("(){%*\"\\+", c);
}

static bool read_tag(const char **at, char tag[TAG_MAX + 1])
{
	size_t n = 0;

	while (is_tag_char((*at)[n]))
		n++;
	if (n == 0 || n > TAG_MAX || (*at)[n] != ' ')
		return false;
	memcpy(tag, *at, n);
	tag[n] = '\0';
	*at += n + 1;
	return true;
}

static bool split(const struct starttls_server *protocol, const struct wire_line *line, struct words *words)
{
	const char *at = line->text;

	words->tag[0] = '\0';
	if (protocol->bad_tag && !read_tag(&at, words->tag))
		return false;
	words->verb = at;
	words->verb_n = strcspn(at, " \t");
	at += words->verb_n;
	words->arguments = at[strspn(at, " \t")] != '\0'; /* blanks at the end are no arguments */
	return true;
}

static const struct command *find(const struct starttls_server *protocol, const struct words *words)
{
	for (const struct command *c = protocol->commands; c < protocol->commands + COMMANDS && c->verb; c++)
		if (strlen(c->verb) == words->verb_n && same_letters(c->verb, words->verb, words->verb_n))
			return c;
	return NULL;
}

static bool arguments_fit(const struct command *command, const struct words *words)
{
	return command->arguments == ANY_ARGUMENTS || (command->arguments == SOME_ARGUMENTS) == words->arguments;
}

static bool has_literal(const struct wire_line *line)
{
	return line->n && line->text[line->n - 1] == '}';
}

static void remember(struct starttls_said *said, const struct wire_line *line)
{
	memcpy(said->text, line->text, line->n);
	memcpy(said->text + line->n, "\r\n", 2);
	said->n = line->n + 2;
}

/* ---- the dialogue ---- */

struct dialogue {
	const struct starttls_server *protocol;
	struct starttls_wire *wire;
	bool required;
	const char *name;
	struct starttls_said *said;
	struct starttls_fault *fault;
};

static enum starttls_outcome failed(const struct dialogue *d, const char *step, enum wire_result result)
{
	(void)fault_wire(d->fault, step, result);
	return STARTTLS_FAILED;
}

/* The last words; whether they arrive does not matter. */
static void say_farewell(const struct dialogue *d)
{
	struct starttls_wire patient = *d->wire;

	patient.deadline += 1000; /* it may be the deadline that is the reason */
	(void)template_say(&patient, d->protocol->farewell, d->name, NULL);
	starttls_end(d->wire);
}

static enum starttls_outcome no_command(const struct dialogue *d, enum wire_result result)
{
	if (result == WIRE_CLOSED)
		return STARTTLS_ENDED; /* nobody has to say good-bye */
	say_farewell(d);
	return failed(d, "command", result);
}

/* True once something is decided: *outcome. */
static bool obey(const struct dialogue *d, const struct command *command, const struct words *words,
	const struct wire_line *line, enum starttls_outcome *outcome)
{
	bool fit = arguments_fit(command, words);
	const char *answer = !fit                                      ? command->wrong_arguments
						 : !d->required && command->offered_answer ? command->offered_answer
																   : command->answer;
	enum wire_result result = template_say(d->wire, answer, d->name, words->tag);

	if (result != WIRE_OK) {
		*outcome = failed(d, command->verb, result);
		return true;
	}
	if (!fit)
		return false;
	if (command->said_again)
		remember(d->said, line);
	if (command->action == GOOD_BYE)
		starttls_end(d->wire);
	*outcome = command->action == START ? STARTTLS_BEGIN : STARTTLS_ENDED;
	return command->action != ANSWER;
}

static bool serve(const struct dialogue *d, enum starttls_outcome *outcome)
{
	struct wire_line line;
	struct words words;
	const struct command *command = NULL;
	bool tagged;
	enum wire_result result = wire_line(d->wire, &line, false, !d->required);

	if (result == WIRE_LONG && !d->required && d->wire->budget >= WIRE_LINE_MAX) {
		*outcome = STARTTLS_CLEAR; /* no command of ours is that long; what prog takes is its own affair */
		return true;
	}
	if (result != WIRE_OK) {
		*outcome = no_command(d, result);
		return true;
	}
	tagged = split(d->protocol, &line, &words);
	if (tagged)
		command = find(d->protocol, &words);
	if (!command && !d->required) {
		*outcome = STARTTLS_CLEAR;
		return true;
	}
	if (!d->required) {
		result = wire_take(d->wire, line.whole);
		if (result != WIRE_OK) {
			*outcome = no_command(d, result);
			return true;
		}
	}
	if (d->protocol->no_literals && has_literal(&line)) {
		say_farewell(d);
		(void)fault_words(d->fault, "command", "a literal, which nobody has offered");
		*outcome = STARTTLS_FAILED;
		return true;
	}
	if (command)
		return obey(d, command, &words, &line, outcome);
	result = template_say(d->wire, tagged ? d->protocol->refusal : d->protocol->bad_tag, d->name, words.tag);
	if (result != WIRE_OK)
		*outcome = failed(d, "command", result);
	return result != WIRE_OK;
}

enum starttls_outcome starttls_server_run(const struct starttls_server *protocol, struct starttls_wire *wire,
	bool required, const char *name, struct starttls_said *said, struct starttls_fault *fault)
{
	const struct dialogue d = { protocol, wire, required, name, said, fault };
	enum starttls_outcome outcome;
	enum wire_result result;
	unsigned char first;

	said->n = 0;
	if (protocol->function)
		return protocol->function(wire, required, fault);
	if (wire_first(wire, AT_ONCE_MS, &first) && first == HANDSHAKE_RECORD)
		return STARTTLS_AT_ONCE;
	result = template_say(wire, required ? protocol->greeting : protocol->offered_greeting, name, NULL);
	if (result != WIRE_OK)
		return failed(&d, "greeting", result);
	for (unsigned i = 0; i < COMMANDS_MAX; i++)
		if (serve(&d, &outcome))
			return outcome;
	say_farewell(&d);
	(void)fault_words(fault, "command", "too many commands without TLS");
	return STARTTLS_FAILED;
}
