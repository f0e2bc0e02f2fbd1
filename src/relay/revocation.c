/*
 * What has been revoked: the lists of CRLFILE and CRLDIR, and TLS_CRLPOLICY, which says what becomes of
 * certificates that none of them covers.
 */
#include <string.h>
#include "relay/configuration.h"

static bool unable(struct relay_problem *problem, const char *path, const struct x509_problem *why)
{
	return configuration_refuse(problem, "unable to read revocation lists from %.400s: %s", path,
		why->errnum ? strerror(why->errnum) : why->reason);
}

bool revocation_load(struct relay_configuration *c, struct relay_problem *problem)
{
	enum { REQUIRE, WARN, UNSAID };
	static const char *const policies[] = { "require", "warn", "", NULL };
	const char *file = setting("CRLFILE", ""), *directory = setting("CRLDIR", "");
	unsigned policy = UNSAID;
	struct x509_problem why;

	if (!setting_word("TLS_CRLPOLICY", policies, &policy, problem))
		return false;
	if (!*file && !*directory)
		return policy != REQUIRE ||
			   configuration_refuse(problem, "TLS_CRLPOLICY: require: set CRLFILE or CRLDIR");
	if (*file && x509_store_open(&c->crl_store, file) && !c->crl_store.n_crls)
		return configuration_refuse(problem, "no revocation list in %.400s", file);
	if (*file && !c->crl_store.open && !x509_crls_add_file(&c->crls, file, &why))
		return unable(problem, file, &why);
	if (*directory && !x509_crls_add_directory(&c->crls, directory, &why))
		return unable(problem, directory, &why);
	c->trust.crls = &c->crls;
	c->trust.crls_required = policy != WARN;
	return c->crls.n || c->crl_store.open || policy == WARN ||
		   configuration_refuse(problem, "no revocation list in %.400s", directory);
}
