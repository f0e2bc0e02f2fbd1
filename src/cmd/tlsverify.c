/*
 * tlsverify [-p purpose] [-n name] [chain.pem]: says what our programs make of a certificate chain, and why,
 * by the judgement that they use.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "chain/chain.h"
#include "net/net.h"
#include "relay/relay.h"

static const char program[] = "tlsverify";
static const char usage[] = "[ -p server|client ] [ -n name ] [ chain.pem ]";

enum { EXIT_REFUSED = 1 };

struct fields {
	const char *purpose, *name;
};

static const struct option option_table[] = {
	{ 'p', OPTION_TEXT, offsetof(struct fields, purpose), 0, 0, 0, NULL },
	{ 'n', OPTION_TEXT, offsetof(struct fields, name), 0, 0, 0, NULL },
	{ 0, OPTION_END, 0, 0, 0, 0, NULL },
};

static struct relay_configuration configuration;

static const struct relay_wish *read_wish(struct relay_wish *wish, int argc, char **argv, const char **file)
{
	struct fields fields = { "server", NULL };
	const char *words;
	int first = option_parse(option_table, &fields, argc, argv, &words);

	if (first < 0)
		net_usage(program, words, usage);
	if (argc - first > 1)
		net_usage(program, "one chain at a time", usage);
	if (strcmp(fields.purpose, "server") && strcmp(fields.purpose, "client"))
		net_usage(program, "-p takes server or client", usage);
	*wish = (struct relay_wish){ .client = !strcmp(fields.purpose, "server"),
		.name = fields.name,
		.client_certificate = 'y',
		.fin_only = -1 };
	*file = first < argc ? argv[first] : NULL;
	return wish;
}

/* A program that connects always knows whom it wants; here one may look at the chain alone. */
static void read_trust(const struct relay_wish *wish)
{
	struct relay_problem problem;

	const char *name = getenv("TLS_PEERNAME");

	if (!wish->name && !(name && *name) && setenv("TLS_VERIFY", "chain", 0) != 0)
		net_die(program, EXIT_SYSTEM, "set TLS_VERIFY", NULL, strerror(errno));
	if (relay_configure_trust(&configuration, wish, &problem))
		return;
	net_log(program, ": fatal: ", problem.words, NULL);
	exit(EXIT_CONFIGURATION);
}

static size_t read_chain(const char *file, struct bytes *chain, size_t room)
{
	const char *called = file ? file : "standard input";
	struct x509_problem problem;
	size_t n, found;
	unsigned char *text = file ? x509_read_file(file, X509_FILE_MAX, &n, &problem)
							   : x509_read_descriptor(0, X509_FILE_MAX, &n, &problem);

	if (!text)
		net_die(program, EXIT_SYSTEM, "read", called, strerror(problem.errnum));
	found = x509_read_chain(text, n, chain, room, &problem);
	if (!found)
		net_die(program, EXIT_CONFIGURATION, "read certificates from", called, problem.reason);
	return found;
}

static void print_name(struct bytes name)
{
	char words[1024];
	struct x509_text text = { words, sizeof words, 0, false };

	x509_name_text(name, X509_NAME_ASCII, &text);
	printf("%s%s", text.n ? words : "(no name)", text.overflow ? "..." : "");
}

static void print_day(int64_t unix_seconds)
{
	time_t seconds = (time_t)unix_seconds;
	struct tm tm;
	char words[40];

	if (gmtime_r(&seconds, &tm) && strftime(words, sizeof words, "%Y-%m-%dT%H:%M:%SZ", &tm))
		fputs(words, stdout);
}

/* Leaf first, anchor last; a leaf that is itself trusted is the only step. */
static void print_path(bool accepted)
{
	for (size_t i = 0; i < configuration.path.n_steps; i++) {
		const struct x509_certificate *step = configuration.path.steps[i];
		bool anchor = accepted && i > 0 && i == configuration.path.n_steps - 1;

		fputs(i == 0 ? "leaf: " : anchor ? "anchor: " : "issuer: ", stdout);
		print_name(step->subject);
		fputs(" from ", stdout);
		print_day(step->not_before);
		fputs(" to ", stdout);
		print_day(step->not_after);
		putchar('\n');
	}
}

/* Whom a reason speaks of. */
static void print_certificate(const struct x509_certificate *certificate)
{
	if (!certificate)
		return;
	fputs("certificate: ", stdout);
	print_name(certificate->subject);
	putchar('\n');
}

static void print_verdict(const struct x509_verdict *verdict)
{
	if (configuration.path.unreadable > 1)
		printf("passed over: certificate number %zu: %s\n", configuration.path.unreadable,
			configuration.path.why_unreadable);
	print_path(verdict->accepted);
	if (!configuration.trust.check_chain)
		puts(configuration.n_pins ? "only TLS_PIN was checked: TLS_VERIFY=none"
								  : "not checked: TLS_VERIFY=none");
	else if (verdict->accepted)
		puts(configuration.path.n_steps == 1 ? "ok: the leaf is a trust anchor" : "ok");
	if (configuration.path.warning) {
		printf("warning: %s\n", configuration.path.warning);
		print_certificate(configuration.path.warning_at);
	}
	if (verdict->accepted)
		return;
	printf("refused: %s\nalert: %s\n", verdict->reason, engine_alert_name(verdict->alert));
	print_certificate(configuration.path.at);
	if (verdict->alert == X509_ALERT_CERTIFICATE_REVOKED) {
		fputs("revoked: ", stdout);
		print_day(configuration.path.revoked_at);
		putchar('\n');
	}
}

int main(int argc, char **argv)
{
	struct bytes chain[X509_CHAIN_MAX + 1]; /* one more than is allowed, to be refused */
	struct x509_verdict verdict;
	struct relay_wish wish;
	const char *file;
	size_t n;

	read_trust(read_wish(&wish, argc, argv, &file));
	n = read_chain(file, chain, X509_CHAIN_MAX + 1);
	relay_judge(&configuration, chain, n, &verdict);
	print_verdict(&verdict);
	if (fflush(stdout) != 0 || ferror(stdout))
		net_die(program, EXIT_SYSTEM, "write", NULL, strerror(errno));
	return verdict.accepted ? 0 : EXIT_REFUSED;
}
