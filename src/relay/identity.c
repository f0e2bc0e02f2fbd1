/*
 * An identity: a certificate chain and the private key of its leaf, or one of each kind of key, from the files
 * that the environment or a folder of server names gives. The leaf is the certificate that belongs to the key,
 * wherever it stands in the file; the others follow it in the order that RFC 5246 7.4.2 asks for.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
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
	struct relay_problem *problem, const struct identity_files *files, const struct x509_problem *why)
{
	const char *uid = getenv("TLS_UID");

	if (files->folder == AT_FDCWD && why->errnum == EACCES && geteuid() != 0 && uid &&
		strtoul(uid, NULL, 10) == geteuid())
		return configuration_refuse(problem,
			"key %.400s: not readable by uid %u (-u); set SSL_UID to have it opened as root", files->key,
			(unsigned)geteuid());
	return unable(problem, "key", files->key, why);
}

/* A file in a folder is opened while a client waits: what is no plain file could keep it waiting. */
static unsigned char *read_in_folder(
	int folder, const char *path, size_t limit, size_t *n, struct x509_problem *why)
{
	unsigned char *text = NULL;
	struct stat status;
	int fd;

	do
		fd = openat(folder, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	while (fd < 0 && errno == EINTR);
	if (fd < 0 || fstat(fd, &status) < 0)
		*why = (struct x509_problem){ strerror(errno), errno };
	else if (!S_ISREG(status.st_mode))
		*why = (struct x509_problem){ "not a regular file", 0 };
	else
		text = x509_read_descriptor(fd, limit, n, why);
	if (fd >= 0)
		(void)close(fd); /* nothing was written */
	return text;
}

static unsigned char *read_text(
	const struct identity_files *files, const char *path, size_t limit, size_t *n, struct x509_problem *why)
{
	return files->folder == AT_FDCWD ? x509_read_file(path, limit, n, why)
									 : read_in_folder(files->folder, path, limit, n, why);
}

/*
 * The certificate of the key. Where the key file does not hold its public half only a computation tells,
 * which is spared where there is nothing to choose from, unless all is to be checked.
 */
static const struct x509_certificate *find_leaf(
	const struct x509_list *list, const struct x509_private_key *key, bool check)
{
	for (size_t i = 0; i < list->n; i++) {
		const struct x509_certificate *candidate = &list->certificates[i];
		bool certain;

		if (!x509_key_matches(key, &candidate->key, &certain))
			continue;
		if ((!check && (certain || list->n == 1)) || engine_key_fits(key, &candidate->key))
			return candidate;
	}
	return NULL;
}

static bool self_issued(const struct x509_certificate *certificate)
{
	return bytes_equal(certificate->subject, certificate->issuer);
}

/* Each certificate's issuer behind it, as far as the file has them; a root is of no use to the peer. */
static void order_chain(
	const struct x509_list *list, const struct x509_certificate *leaf, struct relay_pair *pair)
{
	const struct x509_certificate *last = leaf;
	size_t n = 0;

	pair->chain[n++] = leaf->der;
	while (n < X509_CHAIN_MAX && !self_issued(last)) {
		const struct x509_certificate *next = NULL;
		for (size_t i = 0; i < list->n && !next; i++)
			if (bytes_equal(list->certificates[i].subject, last->issuer))
				next = &list->certificates[i];
		if (!next || self_issued(next))
			break;
		pair->chain[n++] = next->der;
		last = next;
	}
	pair->engine =
		(struct engine_pair){ .chain = pair->chain, .n = n, .key = leaf->key, .holder = &pair->key };
}

static bool read_certificates(
	struct relay_identity *identity, const struct identity_files *files, struct relay_problem *problem)
{
	struct x509_problem why;
	size_t n;
	/* It stays: the list borrows from it. */
	unsigned char *text = read_text(files, files->certificate, X509_FILE_MAX, &n, &why);

	return (text && x509_list_add_memory(&identity->certificates, text, n, false, &why)) ||
		   unable(problem, "certificate", files->certificate, &why);
}

/* A second key of the same kind could never be chosen: more likely somebody meant another file. */
static bool is_first_of_kind(const struct relay_identity *identity, enum x509_key_kind kind)
{
	for (size_t i = 0; i < identity->n; i++)
		if (identity->pairs[i].key.kind == kind)
			return false;
	return true;
}

static bool add_pair(struct relay_identity *identity, const struct x509_private_key *key,
	const struct identity_files *files, bool check, struct relay_problem *problem)
{
	struct relay_pair *pair = &identity->pairs[identity->n];
	const struct x509_certificate *leaf;

	if (!is_first_of_kind(identity, key->kind))
		return configuration_refuse(problem, "two %s keys in %.400s: one of a kind can be used",
			key->kind == X509_KEY_RSA ? "RSA" : "EC", files->key);
	leaf = find_leaf(&identity->certificates, key, check);
	if (!leaf)
		return configuration_refuse(
			problem, "key %.300s does not belong to a certificate in %.300s", files->key, files->certificate);
	pair->key = *key;
	order_chain(&identity->certificates, leaf, pair);
	identity->n++;
	return true;
}

/* One key, or one of each kind side by side, each with its certificate. */
static bool read_keys(struct relay_identity *identity, const struct identity_files *files, bool check,
	struct relay_problem *problem)
{
	struct x509_password password = { .with = &engine_decryption };
	struct x509_private_key key;
	struct x509_problem why;
	size_t offset = 0;
	int found;

	identity->key_text = read_text(files, files->key, X509_KEY_FILE_MAX, &identity->key_text_n, &why);
	if (!identity->key_text)
		return unable_to_open_key(problem, files, &why);
	if (files->password)
		password.text = *files->password;
	while ((found = x509_next_private_key(identity->key_text, identity->key_text_n, &offset,
				files->password ? &password : NULL, &key, &why)) > 0)
		if (!add_pair(identity, &key, files, check, problem))
			return false;
	return (found == 0 && identity->n) || unable(problem, "key", files->key, &why);
}

bool identity_load(struct relay_identity *identity, const struct identity_files *files, bool check,
	struct relay_problem *problem)
{
	if (read_certificates(identity, files, problem) && read_keys(identity, files, check, problem))
		return true;
	identity_wipe(identity);
	return false;
}

bool identity_load_own(
	struct relay_identity *identity, const struct relay_wish *wish, struct relay_problem *problem)
{
	struct identity_files files = { AT_FDCWD, setting("CERTCHAINFILE", CONF_CERTCHAINFILE),
		setting("KEYFILE", CONF_KEYFILE), wish->password };

	if (!*files.certificate)
		files.certificate = setting("CERTFILE", CONF_CERTFILE);
	if (!*files.certificate)
		return configuration_refuse(problem, "no certificate: set CERTFILE or CERTCHAINFILE");
	if (!*files.key)
		files.key = files.certificate;
	return identity_load(identity, &files, wish->check, problem);
}

void identity_wipe(struct relay_identity *identity)
{
	if (identity->key_text)
		x509_wipe(identity->key_text, identity->key_text_n);
	free(identity->key_text);
	identity->key_text = NULL;
	for (size_t i = 0; i < identity->n; i++)
		identity->pairs[i].key = (struct x509_private_key){ .kind = X509_KEY_OTHER };
}
