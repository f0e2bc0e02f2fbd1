/*
 * One connection of tcpserver or sslserver, in the child that was made for it: rules, names, limits and the
 * log decide whether it is let in and what its environment is. Called by their mains before prog or TLS
 * begin.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "chain.h"
#include "conf.h"
#include "net/net.h"
#include "rules/rules.h"

struct visitor {
	const struct tcp_service *service;
	const struct net_accepted *accepted; /* NULL: only the environment knows the connection */
	struct net_connection words;
	struct net_answers names;
	stralloc record;      /* variables of the rule that counts, as changes */
	const char *ip_limit; /* MAXCONIP among them; NULL: it does not say */
};

/* ---- who is not let in ---- */

/* Not the client's fault. */
static _Noreturn void drop(
	const struct visitor *visitor, const char *doing, const char *object, const char *why)
{
	if (visitor->service->options.verbosity >= 1)
		net_log(visitor->service->program, ": warning: dropping connection, unable to ", doing, " ", object,
			": ", why, NULL);
	_exit(EXIT_SYSTEM);
}

static _Noreturn void deny(const struct visitor *visitor, const char *reason)
{
	if (visitor->service->options.verbosity >= 2)
		net_log_deny(visitor->service->program, &visitor->words, reason);
	_exit(EXIT_USAGE); /* the code that ucspi-tcp has for it */
}

/* ---- limits ---- */

/* MAXCONIP of the rule, in place of that of the environment. */
static void limit_by_rule(const struct visitor *visitor)
{
	unsigned long limit;
	char reason[64];

	if (!visitor->ip_limit || !visitor->accepted)
		return;
	if (!option_scan_number(visitor->ip_limit, TCP_IP_LIMIT_MAX, &limit))
		drop(visitor, "use MAXCONIP of a rule", visitor->ip_limit,
			"not a number of connections from 0 to 100000");
	if (!limit || visitor->accepted->of_address <= limit)
		return;
	(void)snprintf(reason, sizeof reason, " ip connection limit:%lu exceeded", limit);
	deny(visitor, reason);
}

static void limit_by_environment(const struct visitor *visitor)
{
	const struct tcp_service *service = visitor->service;

	if (!visitor->accepted || visitor->ip_limit || !service->ip_limit ||
		visitor->accepted->of_address <= service->ip_limit)
		return;
	if (service->options.verbosity >= 1)
		net_log_ip_limit(service->program, service->ip_limit, &visitor->words.remote);
	_exit(EXIT_USAGE);
}

/* ---- rules ---- */

static bool take_variable(void *context, const char *name, const char *value)
{
	return chain_set(&((struct visitor *)context)->record, name, value);
}

/* The variables have to outlive the file. */
static void take_record(struct visitor *visitor, const struct rules_match *match)
{
	static const char name[] = "MAXCONIP=";

	if (!rules_variables(match, take_variable, visitor))
		drop(visitor, "take the variables of rule", match->rule, strerror(ENOMEM));
	for (size_t at = 0; at < visitor->record.len; at += strlen(visitor->record.s + at) + 1)
		if (!strncmp(visitor->record.s + at, name, sizeof name - 1))
			visitor->ip_limit = visitor->record.s + at + sizeof name - 1;
}

/* By the rules in a file. last: no other file is asked. True if a rule has let the visitor in for good. */
static bool follow_rules(struct visitor *visitor, const char *path, bool last)
{
	const struct net_connection *words = &visitor->words;
	struct rules rules;
	struct rules_match match;
	const char *why;
	enum rules_verdict verdict;
	bool settled;

	if (!rules_open(&rules, path, &why)) {
		if (errno == ENOENT && visitor->service->options.rules_may_be_missing)
			return false;
		drop(visitor, "read", path, why);
	}
	verdict = rules_find(&rules, &words->remote, words->remote_host, words->remote_info, &match);
	if (verdict == RULES_BROKEN)
		drop(visitor, "read", path, errno == EPROTO ? "not a file of tcprules, or damaged" : strerror(errno));
	if (verdict == RULES_DENY)
		deny(visitor, "");
	settled = verdict == RULES_ALLOW && (last || match.rule[0]);
	if (settled)
		take_record(visitor, &match);
	rules_close(&rules);
	if (settled)
		limit_by_rule(visitor);
	return settled;
}

/* ---- names ---- */

/* Whoever talks to name servers is not root. */
static struct chain_identity asker_of(const struct tcp_service *service)
{
	static const struct chain_identity same, nobody = { true, true, CONF_UID, CONF_UID };

	if (geteuid() != 0)
		return same;
	return service->asked.set_uid && service->asked.uid ? service->asked : nobody;
}

static bool become_asker(void *identity)
{
	return chain_become(identity);
}

static void ask_names(struct visitor *visitor)
{
	const struct tcp_server_options *options = &visitor->service->options;
	struct chain_identity asker = asker_of(visitor->service);
	const struct net_questions questions = { .remote_host = options->remote_host,
		.paranoid = options->paranoid,
		.remote_info = options->remote_info,
		.seconds = options->names_s,
		.drop = become_asker,
		.context = &asker };

	if (!net_ask(&questions, &visitor->words, &visitor->names))
		drop(visitor, "ask for names of", visitor->words.remote_ip, strerror(errno));
}

/* ---- the way in ---- */

static void set_up_socket(const struct visitor *visitor)
{
	if (!visitor->service->options.keep_ip_options)
		net_kill_ip_options(visitor->accepted->socket);
	if (!visitor->service->options.delay)
		net_no_delay(visitor->accepted->socket);
}

/* Rules come after the description of the connection, so that they may change it. */
static bool describe(struct tcp_service *service, const struct visitor *visitor)
{
	if (!net_variables(&visitor->words, service->variables, chain_change, &service->changes))
		return false;
	service->record = service->changes.len;
	return stralloc_catb(&service->changes, visitor->record.s, visitor->record.len);
}

/* What rules, names and limits make of a visitor who is known by address, up to the complete environment. */
static void judge(struct tcp_service *service, struct visitor *visitor)
{
	const struct tcp_server_options *options = &service->options;
	bool settled = false;

	if (options->address_rules)
		settled = follow_rules(visitor, options->address_rules, !options->rules);
	if (service->clear_banner && !net_write_banner(visitor->accepted->socket, service->clear_banner))
		drop(visitor, "write the banner to", visitor->words.remote_ip, strerror(errno));
	if (visitor->accepted || options->remote_host)
		ask_names(visitor);
	if (options->rules && !settled)
		(void)follow_rules(visitor, options->rules, true);
	limit_by_environment(visitor);
	if (options->verbosity >= 2)
		net_log_ok(service->program, &visitor->words);
	if (!describe(service, visitor))
		drop(visitor, "describe connection from", visitor->words.remote_ip, strerror(ENOMEM));
}

bool tcp_service_admit(struct tcp_service *service, const struct net_accepted *accepted)
{
	const struct tcp_server_options *options = &service->options;
	struct visitor visitor = { .service = service, .accepted = accepted };

	if (!net_describe(accepted->socket, &visitor.words))
		return false;
	visitor.words.local_host = options->local_name;
	if (options->verbosity >= 2)
		net_log_from(service->program, &visitor.words);
	set_up_socket(&visitor);
	judge(service, &visitor);
	if (!chain_place(accepted->socket, 0, 1))
		drop(&visitor, "move connection from", visitor.words.remote_ip, strerror(errno));
	return true;
}

void tcp_service_admit_described(struct tcp_service *service, const struct net_connection *connection)
{
	struct visitor visitor = { .service = service, .words = *connection };

	if (service->options.local_name)
		visitor.words.local_host = service->options.local_name;
	judge(service, &visitor);
}
