/*
 * Fuzzing of what prog is told: bytes that parse as a certificate are reported as that of both sides, issuer
 * included. Whatever they say, names are those of the compiled-in table, each once, values are bounded lines
 * of UTF-8 without control characters but in PEM, and the reader takes the report as it was written.
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "chain/chain.h"
#include "relay/relay.h"

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t n);

enum { FEW = 200, PIPE_HOLDS = 60000 };

static void check(bool holds)
{
	if (!holds)
		abort();
}

/* Takes one character off the front of text, which has to be well-formed UTF-8 (RFC 3629 4). */
static const unsigned char *next_character(const unsigned char *text, uint32_t *c)
{
	static const unsigned char continued[] = { 0, 0, 0, 0, 0, 0, 0, 0, 9, 9, 9, 9, 1, 1, 2, 3 };
	static const uint32_t least[] = { 0, 0x80, 0x800, 0x10000 };
	unsigned more = continued[*text >> 4];

	check(more <= 3 && *text < 0xf8);
	*c = more ? *text & (0x3fU >> more) : *text;
	text++;
	for (unsigned i = 0; i < more; i++, text++) {
		check((*text & 0xc0) == 0x80);
		*c = *c << 6 | (*text & 0x3f);
	}
	check(*c >= least[more] && *c <= 0x10ffff && (*c < 0xd800 || *c > 0xdfff));
	return text;
}

static void check_line(const char *value)
{
	const unsigned char *at = (const unsigned char *)value;
	uint32_t c;

	while (*at) {
		at = next_character(at, &c);
		check(c >= 0x20 && (c < 0x7f || c > 0x9f));
	}
}

static void check_pem(const char *value)
{
	static const char base64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=";
	static const char first[] = "-----BEGIN CERTIFICATE-----\n", last[] = "-----END CERTIFICATE-----\n";

	check(!strncmp(value, first, sizeof first - 1));
	value += sizeof first - 1;
	for (size_t length; *value != '-'; value += length + 1) {
		length = strspn(value, base64);
		check(length > 0 && length <= 64 && value[length] == '\n');
	}
	check(!strcmp(value, last));
}

struct seen {
	stralloc variables;
	size_t n;
};

static void never_twice(const struct seen *seen, const char *name)
{
	size_t length = strlen(name);

	for (size_t at = 0; at < seen->variables.len; at += strlen(seen->variables.s + at) + 1)
		check(strncmp(seen->variables.s + at, name, length) != 0 ||
			  (seen->variables.s[at + length] != '=' && seen->variables.s[at + length] != 0));
}

static bool set(void *context, const char *name, const char *value)
{
	struct seen *seen = context;

	check(chain_report_may_set(name, strlen(name)) && !strncmp(name, "SSL_", 4));
	if (seen->n++ < FEW)
		never_twice(seen, name);
	if (value && (strstr(name, "_CERT_CHAIN_") || !strcmp(name + strlen(name) - 5, "_CERT")))
		check_pem(value);
	else if (value)
		check_line(value);
	check(!value || strlen(value) <= REPORT_VALUE_MAX);
	return chain_change(&seen->variables, name, value);
}

/* What was written is what is read. */
static void read_back(const stralloc *report)
{
	stralloc changes = STRALLOC_ZERO;
	struct timespec t;
	int ends[2];

	if (report->len >= PIPE_HOLDS)
		return;
	check(clock_gettime(CLOCK_MONOTONIC, &t) == 0 && pipe(ends) == 0);
	check(write(ends[1], report->s, report->len) == (ssize_t)report->len && write(ends[1], "", 1) == 1);
	check(close(ends[1]) == 0 && chain_report_read(ends[0], (int64_t)t.tv_sec * 1000 + 10000, &changes));
	check(changes.len == report->len && !memcmp(changes.s, report->s, report->len) && close(ends[0]) == 0);
	stralloc_free(&changes);
}

static void describe_and_check(
	const struct relay_configuration *configuration, bool client, const struct engine_facts *facts)
{
	struct seen seen = { STRALLOC_ZERO, 0 };
	size_t left_out;

	check(relay_describe(configuration, client, facts, "", set, &seen, &left_out));
	(void)chain_report_fit(&seen.variables);
	check(seen.variables.len < REPORT_MAX && chain_report_fit(&seen.variables) == 0);
	read_back(&seen.variables);
	stralloc_free(&seen.variables);
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t n)
{
	static struct relay_configuration configuration = { .trust = { .now = 1700000000 }, .full_report = true };
	const struct bytes chain[] = { { input, n }, { input, n } };
	const struct engine_pair pair = { .chain = chain, .n = 2 };
	const struct engine_facts facts = { .protocol = "TLSv1.2",
		.cipher = "ECDHE-ECDSA-AES128-GCM-SHA256",
		.cipher_bits = 128,
		.implementation = "Library 1.0",
		.session_id = { input, n < 32 ? n : 32 },
		.own_pair = &pair,
		.peer_chain = chain,
		.n_peer_chain = 2 };
	struct x509_path *path = &configuration.path;
	struct x509_problem problem;

	path->n_steps = 0;
	if (x509_parse(chain[0], &path->presented[0], &problem)) {
		path->steps[0] = path->steps[1] = &path->presented[0];
		path->n_steps = 2;
	}
	describe_and_check(&configuration, false, &facts);
	describe_and_check(&configuration, true, &facts);
	return 0;
}
