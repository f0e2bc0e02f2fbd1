/*
 * starttlsd protocol prog…: speaks the plaintext part of a protocol on 0 and 1, in which the client asks for
 * TLS, and lets prog, which knows nothing of TLS, serve the rest. Stands behind sslserver -n or ucspitlsd.
 */
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "chain/chain.h"
#include "net/net.h"
#include "starttls/starttls.h"

static const char program[] = "starttlsd";
static const char usage[] = "[ -R | -o ] [ -T seconds ] [ -n name ] protocol prog";

struct options {
	int required;
	unsigned seconds;
	const char *name;
};

static const struct option table[] = {
	{ 'R', OPTION_SET, offsetof(struct options, required), 1, 0, 0, NULL },
	{ 'o', OPTION_SET, offsetof(struct options, required), 0, 0, 0, NULL },
	{ 'T', OPTION_NUMBER, offsetof(struct options, seconds), 0, 1, 86400, "seconds" },
	{ 'n', OPTION_TEXT, offsetof(struct options, name), 0, 0, 0, NULL },
	{ 0, OPTION_END, 0, 0, 0, 0, NULL },
};

/* The index of prog. */
static int read_options(
	struct options *options, int argc, char **argv, const struct starttls_server **protocol, char *name)
{
	int first = chain_begin(program, usage, table, options, 2, argc, argv);

	*protocol = starttls_server(argv[first]);
	if (!*protocol) {
		net_log(program, ": fatal: unknown protocol; known: ", starttls_server_names(), NULL);
		net_usage(program, NULL, usage);
	}
	if (!options->required && !starttls_server_may_offer(*protocol))
		net_usage(program, "with this protocol TLS can only be required, not with -o", usage);
	if (!starttls_own_name(options->name, name))
		net_usage(program, "-n must be a host name", usage);
	return first + 1;
}

static void find_tls(struct starttls_control *control)
{
	const char *words = NULL;
	struct stat s;

	if (!starttls_control_find(control, &words))
		net_usage(program, words, usage);
	if (!control->there)
		net_usage(program, "SSLCTLFD is not set: run it by sslserver -n or ucspitlsd", usage);
	if (fstat(0, &s) < 0 || !S_ISSOCK(s.st_mode))
		net_usage(program, "descriptor 0 must be a socket, as servers make one", usage);
}

/* Whom and what the log lines are about; the address is asked for before a reset can take it away. */
enum { SUBJECT_MAX = 32 + NET_IP_TEXT };

static void name_subject(const char *protocol, char subject[SUBJECT_MAX])
{
	struct net_address address;
	char ip[NET_IP_TEXT] = "unknown";

	if (net_remote(0, &address))
		net_format_ip(&address, ip);
	(void)snprintf(subject, SUBJECT_MAX, "%s: from %s", protocol, ip);
}

/* UCSPITLS, which a rule may set for some clients, has a say in what is offered (ucspi-tls(7)). */
static bool is_switched_off(struct options *options)
{
	const char *offer = getenv("UCSPITLS");

	if (offer && (strcmp(offer, "!") == 0 || strcmp(offer, "@") == 0))
		options->required = 1;
	return offer && strcmp(offer, "-") == 0;
}

/* Becomes prog; where a greeting has to be taken off it, its child does, and this process stays to do that.
 */
static _Noreturn void serve(
	const struct starttls_relay *relay, const char *subject, char *const *prog, const stralloc *changes)
{
	struct starttls_fault fault;
	bool child = true;

	if (relay->relay_output) {
		int code = starttls_relay_run(relay, program, &child, &fault);
		if (!child)
			_exit(code);
		if (code < 0)
			starttls_die(program, subject, &fault);
	}
	chain_become_prog(program, prog, changes);
}

int main(int argc, char **argv)
{
	struct options options = { .required = 1, .seconds = STARTTLS_DIALOGUE_S };
	struct starttls_wire wire = { .reading = 0, .writing = 1, .budget = STARTTLS_BUDGET };
	struct starttls_control control;
	struct starttls_said said;
	struct starttls_fault fault;
	char name[STARTTLS_NAME_MAX + 1], subject[SUBJECT_MAX];
	struct starttls_relay relay = { .reading = 0, .writing = 1, .said = &said, .name = name };
	const struct starttls_server *protocol;
	stralloc changes = STRALLOC_ZERO;
	enum starttls_outcome outcome;
	int first;

	first = read_options(&options, argc, argv, &protocol, name);
	find_tls(&control);
	name_subject(argv[first - 1], subject);
	if (!starttls_control_clean(&changes))
		net_die(program, EXIT_SYSTEM, "change the environment", NULL, strerror(ENOMEM));
	if (is_switched_off(&options)) {
		starttls_control_leave(&control);
		chain_become_prog(program, argv + first, &changes);
	}

	wire.deadline = net_now() + (int64_t)options.seconds * 1000;
	outcome = starttls_server_run(protocol, &wire, options.required, name, &said, &fault);
	switch (outcome) {
	case STARTTLS_FAILED:
		starttls_die(program, subject, &fault);
	case STARTTLS_ENDED:
		_exit(0);
	case STARTTLS_CLEAR:
		starttls_control_leave(&control);
		relay.relay_output = starttls_server_swallows(protocol, false);
		relay.linger_ms = options.seconds * 1000; /* with TLS the io program sees to that */
		relay.relay_input = said.n > 0 || starttls_server_takes_turns(protocol);
		break;
	case STARTTLS_BEGIN:
	case STARTTLS_AT_ONCE:
		said.n = 0; /* a new session: nothing from before counts (RFC 3207 4.2) */
		if (!starttls_control_switch(&control, 0, 1, &changes, &fault))
			starttls_die(program, subject, &fault);
		relay.relay_output = outcome == STARTTLS_BEGIN && starttls_server_swallows(protocol, true);
		relay.relay_input = relay.relay_output && starttls_server_takes_turns(protocol);
		break;
	}
	relay.swallow = protocol;
	serve(&relay, subject, argv + first, &changes);
}
