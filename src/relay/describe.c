/*
 * What a connection is reported as: the variables that prog gets (DESIGN §6), from what the handshake agreed
 * upon. Names and formats are those of mod_ssl. Short ones come first: where a report has to be cut, it is at
 * its end, and what is the peer's cannot take the place of what is ours.
 */
#include <stdio.h>
#include <string.h>
#include "chain/chain.h"
#include "conf.h"
#include "relay/relay.h"

enum { SHA256_BYTES = 32, SESSION_ID_MAX = 64 };

struct description {
	bool (*set)(void *, const char *, const char *);
	void *context;
	bool failed;
	size_t left_out;                 /* variables that were too long */
	const char *prefix;              /* of the certificate that is being described */
	char work[REPORT_VALUE_MAX + 1]; /* its values are made here */
};

static void put(struct description *to, const char *name, const char *value)
{
	if (!to->failed && !to->set(to->context, name, value))
		to->failed = true;
}

/* What a certificate says, behind the prefix; a value of NULL was too long. */
static void put_prefixed(void *context, const char *suffix, const char *value)
{
	struct description *to = context;
	char name[100];

	if (!value || (size_t)snprintf(name, sizeof name, "%s%s", to->prefix, suffix) >= sizeof name)
		to->left_out++;
	else
		put(to, name, value);
}

static void to_hex(struct bytes from, char *out)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < from.n; i++) {
		*out++ = digits[from.at[i] >> 4];
		*out++ = digits[from.at[i] & 15];
	}
	*out = 0;
}

static void fingerprint(struct bytes der, char out[2 * SHA256_BYTES + 1])
{
	unsigned char hash[SHA256_BYTES];

	engine_sha256(der, hash);
	to_hex((struct bytes){ hash, sizeof hash }, out);
}

static void describe_peer(struct description *to, const struct engine_facts *facts)
{
	struct x509_text subject = { to->work, sizeof to->work, 0, false };
	struct x509_certificate leaf;
	struct x509_problem problem;
	char hash[7 + 2 * SHA256_BYTES + 1] = "SHA256:";

	if (!facts->n_peer_chain || !x509_parse(facts->peer_chain[0], &leaf, &problem)) {
		put(to, "SSL_PEER_CERT_HASH", NULL);
		put(to, "SSL_PEER_CERT_SUBJECT", NULL);
		return;
	}
	fingerprint(leaf.der, hash + 7);
	put(to, "SSL_PEER_CERT_HASH", hash);
	x509_name_short(leaf.subject, &subject);
	to->left_out += subject.overflow;
	put(to, "SSL_PEER_CERT_SUBJECT", subject.overflow ? NULL : subject.at);
}

static void describe_certificate(struct description *to, const char *prefix, struct bytes der, int64_t now)
{
	struct x509_certificate certificate;
	struct x509_problem problem;
	char hash[2 * SHA256_BYTES + 1];

	if (!x509_parse(der, &certificate, &problem))
		return;
	to->prefix = prefix;
	fingerprint(der, hash);
	put_prefixed(to, "CERT_SHA256", hash);
	x509_variables(&certificate, now, put_prefixed, to, to->work, sizeof to->work);
}

static bool was_presented(const struct engine_facts *facts, struct bytes der)
{
	for (size_t i = 1; i < facts->n_peer_chain; i++)
		if (bytes_equal(facts->peer_chain[i], der))
			return true;
	return false;
}

/* The certificates that came with the peer's, from its issuer on. Whatever else it has sent is not said:
 * there nobody vouches for it. */
static void describe_chain(struct description *to, const char *prefix, const struct engine_facts *facts,
	const struct x509_path *path)
{
	char suffix[40];
	unsigned number = 0;

	to->prefix = prefix;
	for (size_t i = 1; facts->n_peer_chain && i < path->n_steps; i++) {
		struct x509_text pem = { to->work, sizeof to->work, 0, false };
		if (!was_presented(facts, path->steps[i]->der))
			continue;
		x509_to_pem(path->steps[i]->der, &pem);
		(void)snprintf(suffix, sizeof suffix, "CERT_CHAIN_%u", number++);
		put_prefixed(to, suffix, pem.overflow ? NULL : to->work);
	}
}

static void describe_session(struct description *to, const struct engine_facts *facts)
{
	char text[2 * SESSION_ID_MAX + 1];

	if (facts->session_id.n && facts->session_id.n <= SESSION_ID_MAX) {
		to_hex(facts->session_id, text);
		put(to, "SSL_SESSION_ID", text);
	}
	put(to, "SSL_SESSION_RESUMED", "Initial"); /* no engine resumes a session */
	put(to, "SSL_COMPRESS_METHOD", "NULL");    /* nor compresses */
	put(to, "SSL_CIPHER_EXPORT", "false");
	(void)snprintf(text, sizeof text, "%u", facts->cipher_bits);
	put(to, "SSL_CIPHER_USEKEYSIZE", text);
	(void)snprintf(text, sizeof text, "%u", facts->cipher_key_bits);
	put(to, "SSL_CIPHER_ALGKEYSIZE", text);
	put(to, "SSL_VERSION_INTERFACE", "ucspi-bear/" VERSION);
	(void)snprintf(text, sizeof text, "%s", facts->implementation);
	if (strchr(text, ' '))
		*strchr(text, ' ') = '/';
	put(to, "SSL_VERSION_LIBRARY", text);
}

/* As mod_ssl has it: a chain that leads nowhere is GENEROUS, one with any other fault FAILED and why. */
static void describe_verdict(struct description *to, const struct engine_facts *facts)
{
	char words[200];

	if (facts->refused)
		(void)snprintf(words, sizeof words, "FAILED:%s", facts->refused->reason);
	put(to, "SSL_CLIENT_VERIFY",
		facts->n_peer_chain                              ? "SUCCESS"
		: !facts->refused                                ? "NONE"
		: facts->refused->alert == X509_ALERT_UNKNOWN_CA ? "GENEROUS"
														 : words);
}

static void describe_fully(struct description *to, const struct relay_configuration *configuration,
	bool client, const struct engine_facts *facts)
{
	const char *const own = client ? "SSL_CLIENT_" : "SSL_SERVER_";
	const char *const peer = client ? "SSL_SERVER_" : "SSL_CLIENT_";
	const int64_t now = configuration->trust.now;

	describe_session(to, facts);
	if (!client)
		describe_verdict(to, facts);
	if (facts->own_pair)
		describe_certificate(to, own, facts->own_pair->chain[0], now);
	if (facts->n_peer_chain)
		describe_certificate(to, peer, facts->peer_chain[0], now);
	describe_chain(to, peer, facts, &configuration->path);
}

bool relay_describe(const struct relay_configuration *configuration, bool client,
	const struct engine_facts *facts, const char *server_name,
	bool (*set)(void *, const char *, const char *), void *context, size_t *left_out)
{
	static struct description description; /* one connection a process */
	struct description *to = &description;
	const char *name = client ? configuration->send_name : *server_name ? server_name : NULL;

	*to = (struct description){ .set = set, .context = context };
	put(to, "SSL_PROTOCOL", facts->protocol);
	put(to, "SSL_CIPHER", facts->cipher);
	put(to, "SSL_TLS_SNI_SERVERNAME", name);
	put(to, "SSL_ALPN", facts->alpn);
	describe_peer(to, facts);
	if (configuration->full_report) {
		if (name)
			put(to, "SSL_TLS_SNI", name);
		describe_fully(to, configuration, client, facts);
	}
	*left_out = to->left_out;
	return !to->failed;
}
