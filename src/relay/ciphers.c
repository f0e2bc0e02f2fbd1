/*
 * Which cipher suites: those of CIPHERS, in its order, else the policy of DESIGN §7. A version for which the
 * list leaves none is not spoken.
 */
#include "conf.h"
#include "relay/configuration.h"

static bool refuse(const struct suites_fault *fault, struct relay_problem *problem)
{
	int n = fault->n < 100 ? (int)fault->n : 100;

	if (fault->engine)
		return configuration_refuse(problem, "CIPHERS: %.*s: the engine %s %s", n, fault->at,
			engine_of_program()->class->name, fault->words);
	return configuration_refuse(problem, "CIPHERS: %.*s%s%s", n, fault->at, n ? ": " : "", fault->words);
}

bool ciphers_load(struct relay_configuration *c, struct relay_problem *problem)
{
	const struct suites_engine *engine = &engine_of_program()->class->suites;
	const char *text = setting("CIPHERS", CONF_CIPHERS);
	struct suites_fault fault;
	bool for12, for13;

	if (!*text) {
		c->chacha_by_client = true;
		suites_default(engine, &c->suites);
		return true;
	}
	if (!suites_read(text, engine, &c->suites, &fault))
		return refuse(&fault, problem);
	/* Suites of TLS 1.3 are left to an empty list, but that is not what it was written for. */
	for12 = c->oldest == ENGINE_TLS12 && c->suites.n > c->suites.n_tls13;
	for13 = c->newest == ENGINE_TLS13 && c->suites.n_tls13 &&
			(for12 || c->suites.names_tls13 || c->oldest == ENGINE_TLS13);
	if (!for12 && !for13)
		return configuration_refuse(problem, "CIPHERS: %.100s: leaves no cipher suite", text);
	c->oldest = for12 ? ENGINE_TLS12 : ENGINE_TLS13;
	c->newest = for13 ? ENGINE_TLS13 : ENGINE_TLS12;
	return true;
}

static bool has_suite_for(const struct relay_configuration *c, enum x509_key_kind kind)
{
	uint32_t wanted = kind == X509_KEY_RSA ? SUITE_RSA_KEY : SUITE_ECDSA_KEY;

	if (c->newest == ENGINE_TLS13 && c->suites.n_tls13)
		return true; /* these go with any key */
	for (size_t i = c->suites.n_tls13; i < c->suites.n; i++)
		if (suites_find(c->suites.ids[i])->traits & wanted)
			return true;
	return false;
}

static bool fits(
	const struct relay_configuration *c, const struct relay_identity *identity, struct relay_problem *problem)
{
	for (size_t i = 0; i < identity->n; i++)
		if (has_suite_for(c, identity->pairs[i].key.kind))
			return true;
	return !identity->n || configuration_refuse(problem, "CIPHERS: %.100s: leaves no cipher suite for %s",
							   setting("CIPHERS", CONF_CIPHERS),
							   identity->pairs[0].key.kind == X509_KEY_RSA ? "an RSA key" : "an EC key");
}

bool ciphers_fit(const struct relay_configuration *c, struct relay_problem *problem)
{
	if (!fits(c, &c->own, problem))
		return false;
	for (size_t i = 0; i < c->n_named; i++)
		if (!fits(c, &c->named[i].identity, problem))
			return false;
	return true;
}
