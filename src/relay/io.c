/*
 * The io programs: options, configuration, rights, and one connection. What tlsd-io and tlsc-io have in
 * common is all but which side the network is on.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "chain/chain.h"
#include "net/net.h"
#include "relay/relay.h"

/* One connection a process; static, as some of it is large. */
static struct relay_configuration configuration;

struct report {
	const struct relay_program *program;
	const char *peer; /* address for the log; NULL: nothing is logged */
	int fd;           /* pipe to the process that becomes prog; -1: nobody waits */
	int control;      /* delayed TLS: socket to prog, if it wants the report; else -1 */
	stralloc variables;
};

/* Prog is told what there is; a variable that is not there need not be said. */
static bool add_if_set(void *variables, const char *name, const char *value)
{
	return !value || chain_set(variables, name, value);
}

/* Delayed TLS: prog may be slow to read, so the loop says it. */
static bool report_to_prog(struct report *report, struct relay_message *message)
{
	if (!stralloc_catb(&report->variables, "", 1))
		return false;
	*message = (struct relay_message){ report->control, report->variables.s, report->variables.len };
	return true;
}

/* Immediate TLS: the variables go to where prog's process waits for them. */
static bool report_to_link(struct report *report)
{
	bool good = chain_report_write(report->fd, &report->variables);

	stralloc_free(&report->variables);
	if (close(report->fd) < 0)
		good = false;
	report->fd = -1;
	return good;
}

/* Not all could be said: prog and the log are told so. */
static bool report_shortened(struct report *report, size_t left_out)
{
	char number[24], pid[24];

	(void)snprintf(number, sizeof number, "%zu", left_out);
	(void)snprintf(pid, sizeof pid, "%ld", (long)getpid());
	if (report->peer)
		net_log(report->program->name, ": warning: report too large for pid: ", pid,
			": variables left out: ", number, ": connection with: ", report->peer, NULL);
	return chain_set(&report->variables, "SSL_REPORT_LEFT_OUT", number);
}

/* Who was accepted though nobody knows whether all certificates still count is noted (TLS_CRLPOLICY). */
static void warn_of_status(const struct report *report, const struct x509_path *path)
{
	if (path->warning && report->peer)
		net_log(report->program->name, ": warning: not known whether ",
			path->warning_at == path->steps[0] ? "the certificate" : "a certificate of an authority",
			" was revoked: ", path->warning, ": connection with: ", report->peer, NULL);
}

/* The peer was accepted. */
static bool report_open(
	void *context, const struct engine_facts *facts, const char *server_name, struct relay_message *message)
{
	struct report *report = context;
	size_t left_out;

	relay_forget_keys(&configuration); /* no renegotiation, so nothing is signed any more */
	warn_of_status(report, &configuration.path);
	if (report->fd < 0 && report->control < 0)
		return true;
	if (!relay_describe(&configuration, report->program->client, facts, server_name,
			report->control >= 0 ? add_if_set : chain_change, &report->variables, &left_out))
		return false;
	left_out += chain_report_fit(&report->variables);
	if (left_out && !report_shortened(report, left_out))
		return false;
	return report->control >= 0 ? report_to_prog(report, message) : report_to_link(report);
}

/* The peer's address for log lines: of the socket, else what the environment says, else "unknown". */
static void peer_address(int network, char out[NET_IP_TEXT])
{
	struct net_address address;
	char name[64] = "";
	const char *protocol = getenv("PROTO"), *text = NULL;

	if (net_remote(network, &address)) {
		net_format_ip(&address, out);
		return;
	}
	if (protocol && (size_t)snprintf(name, sizeof name, "%sREMOTEIP", protocol) < sizeof name)
		text = getenv(name);
	(void)snprintf(out, NET_IP_TEXT, "%s", text && net_scan_ip(text, &address) ? text : "unknown");
}

static void log_end(const struct relay_program *program, const struct tls_options *options,
	const struct relay_end *end, const char *peer)
{
	char pid[24];

	(void)snprintf(pid, sizeof pid, "%ld", (long)getpid());
	if (!options->verbosity)
		return;
	if (end->code == RELAY_TLS_FAILED)
		net_log(program->name, ": error: unable to speak TLS ", program->client ? "to" : "from", ": ", peer,
			" for pid: ", pid, ": ", end->words, NULL);
	else if (end->code != RELAY_DONE)
		net_log(program->name, ": fatal: unable to serve: ", peer, " for pid: ", pid, ": ", end->words, NULL);
	else if (*end->words)
		net_log(program->name, ": info: ended connection with: ", peer, " for pid: ", pid, ": ", end->words,
			NULL);
}

static int exit_code(enum relay_code code)
{
	switch (code) {
	case RELAY_DONE:
		return 0;
	case RELAY_TLS_FAILED:
		return EXIT_TLS;
	case RELAY_ENGINE_FAILED:
		return EXIT_ENGINE;
	case RELAY_SYSTEM_FAILED:
		break;
	}
	return EXIT_SYSTEM;
}

/* What cannot be begun ends as every connection does: prog's process learns it by the end of the report pipe,
 * and is waited for. */
static _Noreturn void give_up(const struct relay_program *program, const struct chain_io *io, bool checking,
	int code, const char *words)
{
	relay_forget_keys(&configuration);
	net_log(program->name, ": fatal: ", words, NULL);
	if (!program->client && !checking && io->control < 0) /* an alert is nothing to a client in clear */
		relay_turn_away(0, 1);
	(void)chain_wait_for_prog(io->prog);
	_exit(code);
}

static _Noreturn void give_up_for(const struct relay_program *program, const struct chain_io *io,
	bool checking, const struct chain_problem *refused)
{
	char words[400];

	(void)snprintf(words, sizeof words, "unable to %s%s%.200s: %s", refused->doing,
		refused->object ? " " : "", refused->object ? refused->object : "",
		refused->reason ? refused->reason : strerror(refused->errnum));
	give_up(program, io, checking, refused->exit_code, words);
}

/* Everything before the network. */
static void prepare(
	const struct relay_program *program, const struct tls_options *options, const struct chain_io *io)
{
	_Static_assert((int)TLS_SNI_UNSAID == (int)RELAY_SNI_UNSAID, "handed on as it is");
	struct chain_password password = { .text = NULL };
	struct bytes password_text;
	struct relay_wish wish = { .client = program->client,
		.check = options->check,
		.name = options->name,
		.sni = (enum relay_sni)options->sni,
		.client_certificate = options->client_certificate,
		.fin_only = options->fin_only,
		.handshake_s = options->handshake_s };
	struct relay_problem problem;
	struct chain_problem refused;
	stralloc unchanged = STRALLOC_ZERO;
	bool good;

	if (io->password >= 0) { /* before signals are held: somebody may have to type it */
		if (!chain_password_read(&password, net_now() + chain_handshake_ms(options, &unchanged), &refused))
			give_up_for(program, io, options->check, &refused);
		password_text = (struct bytes){ password.text, password.n };
		wish.password = &password_text;
	}
	if (!chain_hold_signals()) {
		chain_password_wipe(&password);
		give_up(program, io, options->check, EXIT_SYSTEM, "unable to hold signals");
	}
	good = relay_configure(&configuration, &wish, &problem);
	chain_password_wipe(&password);
	if (!good)
		give_up(program, io, options->check, EXIT_CONFIGURATION, problem.words);
	if (!chain_confine(io, &refused))
		give_up_for(program, io, options->check, &refused);
}

/* Delayed TLS: prog may begin; it says when TLS is to. Without TLS nothing of the connection is touched. */
static void await_command(const struct relay_program *program, struct chain_io *io)
{
	enum relay_command command;
	bool ready = chain_ready_write(io->report) && close(io->report) == 0;
	int code;

	io->report = -1;
	if (!ready)
		give_up(program, io, false, EXIT_SYSTEM, "unable to say that all is ready");
	command = relay_wait_for_command(io->control, io->prog);
	if (command == RELAY_COMMAND_START_AND_REPORT) {
		configuration.full_report = true;
		return;
	}
	if (command == RELAY_COMMAND_START) {
		(void)close(io->control); /* all that came was taken off it */
		io->control = -1;
		return;
	}
	if (command == RELAY_COMMAND_UNKNOWN)
		net_log(program->name, ": fatal: unknown command on the control socket", NULL);
	relay_forget_keys(&configuration);
	code = chain_wait_for_prog(io->prog);
	_exit(command == RELAY_COMMAND_UNKNOWN ? EXIT_USAGE : code);
}

static void run(const struct relay_program *program, const struct tls_options *options,
	const struct chain_io *io, const char *peer, struct relay_end *end)
{
	struct report report = { program, options->verbosity ? peer : NULL, io->report, io->control,
		STRALLOC_ZERO };
	struct engine_setup setup;
	struct relay relay = { .engine = engine_of_program(),
		.configuration = &configuration,
		.client = program->client,
		.net_in = program->client ? io->fdr : 0,
		.net_out = program->client ? io->fdw : 1,
		.plain_in = program->client ? 0 : io->fdr,
		.plain_out = program->client ? 1 : io->fdw,
		.strict_end = options->strict_end,
		.idle_ms = options->idle_ms,
		.prog = io->prog,
		.opened = report_open,
		.context = &report };

	relay_engine_setup(&configuration, program->client, &setup);
	(void)relay.engine->class->start(
		relay.engine, &setup); /* the relay asks the engine whether it has failed */
	relay_run(&relay, end);
	relay_forget_keys(&configuration);
}

_Noreturn void relay_program(const struct relay_program *program, int argc, char **argv)
{
	struct tls_options options = tls_defaults;
	struct chain_io io;
	struct relay_end end;
	char peer[NET_IP_TEXT];
	const char *words = NULL;
	int first, code, prog_code;

	if (!chain_open_standard())
		_exit(EXIT_SYSTEM);
	if (!program->client)
		chain_unshare_stderr();
	first = option_parse(program->options, &options, argc, argv, &words);
	if (first < 0 || !chain_io_operands(&options, argc - first, argv + first, &io, &words))
		net_usage(program->name, words, program->usage);
	chain_close_others(&io);
	peer_address(program->client ? io.fdr : 0, peer);
	prepare(program, &options, &io);
	if (options.check) {
		if (getenv("DHFILE") && *getenv("DHFILE"))
			net_log(program->name,
				": warning: DHFILE is not used: no suite here needs Diffie-Hellman parameters", NULL);
		_exit(0);
	}
	if (io.control >= 0)
		await_command(program, &io);
	run(program, &options, &io, peer, &end);
	log_end(program, &options, &end, peer);
	code = exit_code(end.code);
	prog_code = chain_wait_for_prog(io.prog);
	_exit(code ? code : prog_code);
}
