/*
 * Our own certificate chain and private key, from the files that the environment names. The leaf is the
 * certificate that belongs to the key, wherever it stands in the file; the others follow it in the order that
 * RFC 5246 7.4.2 asks for.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "conf.h"
#include "relay/configuration.h"

static bool unable(
	struct relay_problem *problem, const char *what, const char *path, const struct x509_problem *why)
{
	return configuration_refuse(problem, "unable to read %s from %.400s: %s", what, path,
		why->errnum ? strerror(why->errnum) : why->reason);
}

/* Under sslserver -u the key is opened with that uid; what to do about it is worth saying. */
static bool unable_to_open_key(
	struct relay_problem *problem, const char *path, const struct x509_problem *why)
{
	const char *uid = getenv("TLS_UID");

	if (why->errnum == EACCES && geteuid() != 0 && uid && strtoul(uid, NULL, 10) == geteuid())
		return configuration_refuse(problem,
			"key %.400s: not readable by uid %u (-u); set SSL_UID to have it opened as root", path,
			(unsigned)geteuid());
	return unable(problem, "key", path, why);
}

/*
 * The certificate of the key. Where the key file does not hold its public half only a computation tells,
 * which is spared where there is nothing to choose from, unless all is to be checked.
 */
static const struct x509_certificate *find_leaf(const struct relay_configuration *c, bool check)
{
	for (size_t i = 0; i < c->chain_file.n; i++) {
		const struct x509_certificate *candidate = &c->chain_file.certificates[i];
		bool certain;

		if (!x509_key_matches(&c->key, &candidate->key, &certain))
			continue;
		if ((!check && (certain || c->chain_file.n == 1)) || engine_key_fits(&c->key, &candidate->key))
			return candidate;
	}
	return NULL;
}

static bool self_issued(const struct x509_certificate *certificate)
{
	return bytes_equal(certificate->subject, certificate->issuer);
}

/* Each certificate's issuer behind it, as far as the file has them; a root is of no use to the peer. */
static void order_chain(struct relay_configuration *c, const struct x509_certificate *leaf)
{
	const struct x509_certificate *last = leaf;

	c->chain[0] = leaf->der;
	c->pair.n = 1;
	while (c->pair.n < X509_CHAIN_MAX && !self_issued(last)) {
		const struct x509_certificate *next = NULL;
		for (size_t i = 0; i < c->chain_file.n && !next; i++)
			if (bytes_equal(c->chain_file.certificates[i].subject, last->issuer))
				next = &c->chain_file.certificates[i];
		if (!next || self_issued(next))
			break;
		c->chain[c->pair.n++] = next->der;
		last = next;
	}
}

bool pair_load(struct relay_configuration *c, bool check, struct relay_problem *problem)
{
	const char *chain_path = setting("CERTCHAINFILE", CONF_CERTCHAINFILE);
	const char *key_path = setting("KEYFILE", CONF_KEYFILE);
	const struct x509_certificate *leaf;
	struct x509_problem why;

	if (!*chain_path)
		chain_path = setting("CERTFILE", CONF_CERTFILE);
	if (!*chain_path)
		return configuration_refuse(problem, "no certificate: set CERTFILE or CERTCHAINFILE");
	if (!x509_list_add_file(&c->chain_file, chain_path, false, &why))
		return unable(problem, "certificate", chain_path, &why);
	if (!*key_path)
		key_path = chain_path;
	c->key_text = x509_read_file(key_path, X509_KEY_FILE_MAX, &c->key_text_n, &why);
	if (!c->key_text)
		return unable_to_open_key(problem, key_path, &why);
	if (!x509_read_private_key(c->key_text, c->key_text_n, &c->key, &why))
		return unable(problem, "key", key_path, &why);
	leaf = find_leaf(c, check);
	if (!leaf)
		return configuration_refuse(
			problem, "key %.300s does not belong to a certificate in %.300s", key_path, chain_path);
	order_chain(c, leaf);
	c->pair.chain = c->chain;
	c->pair.key = leaf->key;
	c->pair.holder = &c->key;
	return true;
}
