/*
 * The configuration of an io program, out of the environment (DESIGN §6, tls-environ(7)), complete before the
 * first network byte, and what the engine asks of it: certificate, signatures, and the verdict on the peer.
 */
#include <stdlib.h>
#include <string.h>
#include "conf.h"
#include "relay/configuration.h"

/* Which protocol versions: the newest is the best one has, the oldest a promise. */
static bool read_versions(struct relay_configuration *c, struct relay_problem *problem)
{
	static const char *const words[] = { "TLSv1.2", "TLSv1.3", "", NULL };
	static const unsigned numbers[] = { ENGINE_TLS12, ENGINE_TLS13, 0 };
	const struct engine_class *class = engine_of_program()->class;
	unsigned oldest = 2, newest = 2;

	if (!setting_word("TLS_MINVERSION", words, &oldest, problem) ||
		!setting_word("TLS_MAXVERSION", words, &newest, problem))
		return false;
	c->oldest = numbers[oldest] ? numbers[oldest] : ENGINE_TLS12;
	c->newest = numbers[newest] && numbers[newest] < class->newest ? numbers[newest] : class->newest;
	if (c->oldest > class->newest)
		return configuration_refuse(
			problem, "TLS_MINVERSION: %s: the engine %s does not speak it", words[oldest], class->name);
	return c->oldest <= c->newest || configuration_refuse(problem, "TLS_MINVERSION is above TLS_MAXVERSION");
}

static bool read_settings(
	struct relay_configuration *c, const struct relay_wish *wish, struct relay_problem *problem)
{
	static const char *const closes[] = { "notify", "fin", "wait", NULL };
	static const char *const reports[] = { "short", "full", NULL };
	static const char *const resets[] = { "0", "1", "", NULL };
	unsigned close = RELAY_CLOSE_NOTIFY, report = 0, reset = 0;

	c->handshake_s = 26;
	c->linger_s = 60;
	if (!setting_word("TLS_CLOSE", closes, &close, problem) ||
		!setting_word("TLS_REPORT", reports, &report, problem) ||
		!setting_word("TLS_RESET", resets, &reset, problem) ||
		!setting_number("TLS_TIMEOUT", 1, 1000000, &c->handshake_s, problem) ||
		!setting_number("TLS_LINGER", 1, 1000000, &c->linger_s, problem) || !read_versions(c, problem) ||
		!ciphers_load(c, problem))
		return false;
	c->close = (enum relay_close)close;
	c->full_report = report == 1;
	c->pass_failure = reset == 1;
	if (wish->fin_only >= 0)
		c->close = wish->fin_only ? RELAY_CLOSE_FIN : RELAY_CLOSE_NOTIFY;
	if (wish->handshake_s)
		c->handshake_s = wish->handshake_s;
	return true;
}

/* Whether a client has a certificate of its own to present: -y says yes, -Y no, else it has one if the
 * environment names it. */
static bool has_own_identity(const struct relay_wish *wish)
{
	if (wish->client_certificate)
		return wish->client_certificate == 'y';
	return *setting("CERTCHAINFILE", "") || *setting("CERTFILE", "");
}

bool relay_configure_trust(
	struct relay_configuration *c, const struct relay_wish *wish, struct relay_problem *problem)
{
	return wish->client ? trust_load_for_client(c, wish, problem) : trust_load_for_server(c, wish, problem);
}

bool relay_configure(
	struct relay_configuration *c, const struct relay_wish *wish, struct relay_problem *problem)
{
	*c = (struct relay_configuration){ .close = RELAY_CLOSE_NOTIFY, .names_folder = -1 };
	c->presented = &c->own;
	if (!read_settings(c, wish, problem) || !protocols_load(c, problem))
		return false;
	if (!wish->client && (!names_load(c, wish, problem) || !ciphers_fit(c, problem)))
		return false;
	return relay_configure_trust(c, wish, problem) &&
		   (!wish->client || !has_own_identity(wish) || identity_load_own(&c->own, wish, problem));
}

void relay_forget_keys(struct relay_configuration *c)
{
	identity_wipe(&c->own);
	for (size_t i = 0; i < c->n_named; i++)
		identity_wipe(&c->named[i].identity);
	identity_wipe(&c->from_folder);
}

/* ---- what the engine asks ---- */

static const struct engine_pair *pair_of(void *context, size_t nth)
{
	const struct relay_identity *identity = ((const struct relay_configuration *)context)->presented;

	return nth < identity->n ? &identity->pairs[nth].engine : NULL;
}

static size_t sign(void *context, const struct engine_pair *pair, const struct engine_to_sign *what,
	unsigned char *out, size_t room)
{
	(void)context;
	return engine_key_sign(pair->holder, what, out, room);
}

static uint32_t decrypt(void *context, const struct engine_pair *pair, unsigned char *bytes, size_t n)
{
	(void)context;
	return engine_key_decrypt(pair->holder, bytes, n);
}

static const char *hello_again(void *context, struct bytes message)
{
	return hello_differs(((const struct relay_configuration *)context)->hello, message);
}

void relay_judge(
	struct relay_configuration *c, const struct bytes *chain, size_t n, struct x509_verdict *verdict)
{
	if (!trust_fetch(c, chain, n)) {
		*verdict = (struct x509_verdict){ false, ALERT_INTERNAL_ERROR, "unable to read the trust store" };
		return;
	}
	x509_judge(&c->trust, chain, n, &c->path, verdict);
	pins_judge(c, chain[0], verdict);
}

static void judge(void *context, const struct bytes *chain, size_t n, struct x509_verdict *verdict)
{
	relay_judge(context, chain, n, verdict);
}

void relay_engine_setup(struct relay_configuration *c, bool client, struct engine_setup *setup)
{
	*setup = (struct engine_setup){ .client = client,
		.oldest = c->oldest,
		.newest = c->newest,
		.suites = &c->suites,
		.chacha_by_client = c->chacha_by_client,
		.send_name = c->send_name,
		.alpn = c->alpn,
		.n_alpn = c->n_alpn,
		.asking = c->asking,
		.ca_names = c->ca_names,
		.n_ca_names = c->n_ca_names,
		.calls = { .context = c,
			.pair = pair_of,
			.sign = sign,
			.decrypt = decrypt,
			.hello_again = hello_again,
			.judge = judge } };
}
