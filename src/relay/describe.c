/*
 * What a connection is reported as: the variables that prog gets (DESIGN §6), from what the handshake agreed
 * upon.
 */
#include <stdio.h>
#include <string.h>
#include "conf.h"
#include "relay/relay.h"

enum { WORK_ROOM = 2 * X509_CHAIN_BYTES + 8192 };

struct prefixed {
	void (*set)(void *, const char *, const char *);
	void *context;
	const char *prefix;
};

static void set_prefixed(void *context, const char *suffix, const char *value)
{
	const struct prefixed *to = context;
	char name[100];

	if ((size_t)snprintf(name, sizeof name, "%s%s", to->prefix, suffix) < sizeof name)
		to->set(to->context, name, value);
}

static void to_hex(struct bytes from, const char *digits, char *out)
{
	for (size_t i = 0; i < from.n; i++) {
		*out++ = digits[from.at[i] >> 4];
		*out++ = digits[from.at[i] & 15];
	}
	*out = 0;
}

static void describe_peer(
	const struct engine_facts *facts, void (*set)(void *, const char *, const char *), void *context)
{
	static char subject[4096];
	struct x509_text text = { subject, sizeof subject, 0, false };
	struct x509_certificate leaf;
	struct x509_problem problem;
	unsigned char hash[32];
	char hash_text[7 + 2 * sizeof hash + 1] = "SHA256:";

	if (!facts->n_peer_chain || !x509_parse(facts->peer_chain[0], &leaf, &problem)) {
		set(context, "SSL_PEER_CERT_HASH", NULL);
		set(context, "SSL_PEER_CERT_SUBJECT", NULL);
		return;
	}
	engine_sha256(leaf.der, hash);
	to_hex((struct bytes){ hash, sizeof hash }, "0123456789abcdef", hash_text + 7);
	set(context, "SSL_PEER_CERT_HASH", hash_text);
	x509_name_short(leaf.subject, &text);
	set(context, "SSL_PEER_CERT_SUBJECT", text.overflow ? NULL : subject);
}

static void describe_certificate(struct bytes der, struct prefixed *to)
{
	static char work[WORK_ROOM];
	struct x509_certificate certificate;
	struct x509_problem problem;

	if (x509_parse(der, &certificate, &problem))
		x509_variables(&certificate, set_prefixed, to, work, sizeof work);
}

/* As mod_ssl has it: a chain that leads nowhere is GENEROUS, one with any other fault FAILED and why. */
static void describe_verdict(
	const struct engine_facts *facts, void (*set)(void *, const char *, const char *), void *context)
{
	char words[200];

	if (facts->refused)
		(void)snprintf(words, sizeof words, "FAILED:%s", facts->refused->reason);
	set(context, "SSL_CLIENT_VERIFY",
		facts->n_peer_chain                                             ? "SUCCESS"
		: !facts->refused                                               ? "NONE"
		: facts->refused->alert == X509_ALERT_UNKNOWN_CA ? "GENEROUS"
														 : words);
}

/* What a server says of its client: nothing of a certificate that was not accepted in this handshake. */
static void describe_client(
	const struct engine_facts *facts, void (*set)(void *, const char *, const char *), void *context)
{
	static char pem[2 * X509_CHAIN_BYTES];
	struct prefixed to = { set, context, "SSL_CLIENT_" };
	char name[64];

	describe_verdict(facts, set, context);
	if (facts->n_peer_chain)
		describe_certificate(facts->peer_chain[0], &to);
	for (size_t i = 1; i < facts->n_peer_chain; i++) {
		struct x509_text text = { pem, sizeof pem, 0, false };
		x509_to_pem(facts->peer_chain[i], &text);
		(void)snprintf(name, sizeof name, "SSL_CLIENT_CERT_CHAIN_%zu", i - 1);
		if (!text.overflow)
			set(context, name, pem);
	}
}

static void describe_fully(bool client, const struct engine_facts *facts,
	void (*set)(void *, const char *, const char *), void *context)
{
	struct prefixed server = { set, context, "SSL_SERVER_" };
	char text[2 * 64 + 1];

	set(context, "SSL_VERSION_INTERFACE", "ucspi-bear/" VERSION);
	set(context, "SSL_VERSION_LIBRARY", facts->implementation);
	(void)snprintf(text, sizeof text, "%u", facts->cipher_bits);
	set(context, "SSL_CIPHER_USEKEYSIZE", text);
	(void)snprintf(text, sizeof text, "%u", facts->cipher_key_bits);
	set(context, "SSL_CIPHER_ALGKEYSIZE", text);
	if (facts->session_id.n && facts->session_id.n <= 64) {
		to_hex(facts->session_id, "0123456789ABCDEF", text);
		set(context, "SSL_SESSION_ID", text);
	}
	if (client && facts->n_peer_chain)
		describe_certificate(facts->peer_chain[0], &server);
	if (!client && facts->own_pair)
		describe_certificate(facts->own_pair->chain[0], &server);
	if (!client)
		describe_client(facts, set, context);
}

void relay_describe(const struct relay_configuration *configuration, bool client,
	const struct engine_facts *facts, const char *server_name,
	void (*set)(void *, const char *, const char *), void *context)
{
	const char *name = client ? configuration->send_name : *server_name ? server_name : NULL;

	set(context, "SSL_PROTOCOL", facts->protocol);
	set(context, "SSL_CIPHER", facts->cipher);
	set(context, "SSL_TLS_SNI_SERVERNAME", name);
	set(context, "SSL_ALPN", facts->alpn);
	describe_peer(facts, set, context);
	if (configuration->full_report)
		describe_fully(client, facts, set, context);
}
