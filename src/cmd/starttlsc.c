/*
 * starttlsc protocol prog…: brings the server on 6 and 7 to TLS, so that prog can speak the protocol from its
 * beginning and knows nothing of TLS. Under sslclient -y or ucspitlsc it asks for TLS itself; else it stands
 * before tlsc, and regreet after it (not with mysql, where prog has to speak before TLS).
 */
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "chain/chain.h"
#include "net/net.h"
#include "starttls/starttls.h"

static const char program[] = "starttlsc";
static const char usage[] = "[ -T seconds ] [ -n name ] protocol prog";

struct options {
	unsigned seconds;
	const char *name;
};

static const struct option table[] = {
	{ 'T', OPTION_NUMBER, offsetof(struct options, seconds), 0, 1, 86400, "seconds" },
	{ 'n', OPTION_TEXT, offsetof(struct options, name), 0, 0, 0, NULL },
	{ 0, OPTION_END, 0, 0, 0, 0, NULL },
};

/* Some protocols name the server, others the client. */
static void choose_name(
	const struct starttls_client *protocol, const char *asked, char name[STARTTLS_NAME_MAX + 1])
{
	if (!asked && starttls_client_wants_peer(protocol)) {
		asked = getenv("TLS_PEERNAME");
		if (!asked)
			net_usage(program, "this protocol needs the name of the server: -n or TLS_PEERNAME", usage);
	}
	if (!starttls_own_name(asked, name))
		net_usage(program, "-n (or TLS_PEERNAME) must be a host name", usage);
}

/* The child becomes prog, and this process stays. */
static void stay(const struct starttls_relay *relay, const char *protocol)
{
	struct starttls_fault fault;
	bool child;
	int code = starttls_relay_run(relay, program, &child, &fault);

	if (!child)
		_exit(code);
	if (code < 0)
		starttls_die(program, protocol, &fault);
}

static void give_greeting(const struct starttls_greeting *greeting, const char *protocol)
{
	char text[STARTTLS_GREETING_MAX + 2];
	const struct starttls_relay relay = {
		.relay_input = true, .reading = 6, .writing = 7, .greeting = text, .greeting_n = greeting->n + 2
	};

	memcpy(text, greeting->text, greeting->n);
	memcpy(text + greeting->n, "\r\n", 2);
	stay(&relay, protocol);
}

/* The server has greeted. prog is started now, as TLS begins with its answer. */
static void begin_with_prog(struct starttls_wire *wire, const struct starttls_greeting *greeting,
	const struct starttls_control *control, const char *protocol)
{
	const struct starttls_mysql mysql = { wire, greeting, control };
	const struct starttls_relay relay = {
		.relay_input = true, .relay_output = true, .reading = 6, .writing = 7, .mysql = &mysql
	};

	stay(&relay, protocol);
	starttls_control_leave(control); /* prog's side: nothing of UCSPI-TLS for it */
}

int main(int argc, char **argv)
{
	struct options options = { .seconds = STARTTLS_DIALOGUE_S };
	struct starttls_wire wire = { .reading = 6, .writing = 7, .budget = STARTTLS_BUDGET };
	struct starttls_control control;
	struct starttls_greeting greeting;
	struct starttls_fault fault;
	const struct starttls_client *protocol;
	char name[STARTTLS_NAME_MAX + 1];
	stralloc changes = STRALLOC_ZERO;
	const char *words = NULL;
	int first;

	first = chain_begin(program, usage, table, &options, 2, argc, argv);
	protocol = starttls_client(argv[first]);
	if (!protocol) {
		net_log(program, ": fatal: unknown protocol; known: ", starttls_client_names(), NULL);
		net_usage(program, NULL, usage);
	}
	choose_name(protocol, options.name, name);
	if (fcntl(6, F_GETFD) < 0 || fcntl(7, F_GETFD) < 0)
		net_usage(program, "descriptors 6 and 7 must be a connection, as tcpclient makes one", usage);
	if (!starttls_control_find(&control, &words))
		net_usage(program, words, usage);
	if (starttls_client_needs_prog(protocol) && !control.there)
		net_usage(program, "mysql cannot stand before tlsc: run it by sslclient -y or ucspitlsc", usage);

	wire.deadline = net_now() + (int64_t)options.seconds * 1000;
	if (!starttls_client_run(protocol, &wire, name, &greeting, &fault))
		starttls_die(program, argv[first], &fault);
	if (!control.there) {
		if (!(greeting.n ? chain_set(&changes, "STARTTLS_GREETING", greeting.text)
						 : chain_unset(&changes, "STARTTLS_GREETING")))
			net_die(program, EXIT_SYSTEM, "change the environment", NULL, strerror(ENOMEM));
		chain_become_prog(program, argv + first + 1, &changes);
	}
	if (!starttls_control_clean(&changes))
		net_die(program, EXIT_SYSTEM, "change the environment", NULL, strerror(ENOMEM));
	if (starttls_client_needs_prog(protocol)) {
		begin_with_prog(&wire, &greeting, &control, argv[first]);
	} else {
		if (!starttls_control_switch(&control, 6, 7, &changes, &fault))
			starttls_die(program, argv[first], &fault);
		if (greeting.n)
			give_greeting(&greeting, argv[first]);
	}
	chain_become_prog(program, argv + first + 1, &changes);
}
