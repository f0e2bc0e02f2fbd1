/*
 * Identities by server name (RFC 6066 3): those that the environment names in CERTFILE:name and KEYFILE:name,
 * read like every other before rights are dropped, and those of the folder TLS_SNIDIR, of which the one that
 * is asked for is read when the ClientHello is there, with the rights that are left then.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "relay/configuration.h"

extern char **environ;

static const char certificate_prefix[] = "CERTFILE:", key_prefix[] = "KEYFILE:";

enum { NAMED_MAX = 1000 };

/* ---- names as the environment has them ---- */

/* The value of a variable whose name begins with prefix, the rest up to = in *name. */
static const char *value_behind(const char *variable, const char *prefix, const char **name, size_t *n)
{
	size_t length = strlen(prefix);

	if (strncmp(variable, prefix, length) != 0)
		return NULL;
	*name = variable + length;
	*n = strcspn(*name, "=");
	return (*name)[*n] ? *name + *n + 1 : NULL;
}

/* In lower case if it is a host name, or *. before one; IP literals are none (RFC 6066 3). */
static bool read_pattern(const char *name, size_t n, char out[2 + HELLO_NAME_MAX + 1])
{
	size_t begin = n > 2 && name[0] == '*' && name[1] == '.' ? 2 : 0, label = 0;
	unsigned char address[16];

	if (n - begin > HELLO_NAME_MAX || n == begin)
		return false;
	for (size_t i = 0; i < n; i++) {
		char c = name[i];

		out[i] = c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
		if (i < begin)
			continue;
		label = c == '.' ? 0 : label + 1;
		if (c == '.' ? i == begin || name[i - 1] == '.' : label > 63 || !strchr("abcdefghijklmnopqrstuvwxyz0123456789-_", out[i]))
			return false;
	}
	out[n] = 0;
	return label > 0 && !x509_scan_address(out, address);
}

/* ---- all of one prefix, by name: there may be a thousand, at every connection ---- */

struct variable {
	char name[2 + HELLO_NAME_MAX + 1]; /* in lower case; "": not a host name */
	const char *as_typed;              /* where it is in the environment */
	size_t n;
	const char *value;
};

struct variables {
	struct variable *all; /* sorted */
	size_t n;
};

/* Names are what the structs of an array begin with. */
static int by_name(const void *a, const void *b)
{
	return strcmp(a, b);
}

static size_t count(const char *prefix)
{
	size_t found = 0, n;
	const char *name;

	for (char **variable = environ; *variable; variable++)
		found += value_behind(*variable, prefix, &name, &n) != NULL;
	return found;
}

/* False: no memory. */
static bool read_variables(struct variables *v, const char *prefix)
{
	size_t most = count(prefix);

	*v = (struct variables){ calloc(most + 1, sizeof *v->all), 0 };
	if (!v->all)
		return false;
	for (char **variable = environ; *variable && v->n < most; variable++) {
		struct variable *next = &v->all[v->n];

		if ((next->value = value_behind(*variable, prefix, &next->as_typed, &next->n)) == NULL)
			continue;
		if (!read_pattern(next->as_typed, next->n, next->name))
			next->name[0] = 0;
		v->n++;
	}
	qsort(v->all, v->n, sizeof *v->all, by_name);
	return true;
}

static bool is_twice(const struct variables *v, size_t i)
{
	return i && !strcmp(v->all[i - 1].name, v->all[i].name);
}

static struct relay_identity *find_named(const struct relay_configuration *c, const char *pattern)
{
	struct relay_named *found =
		c->n_named ? bsearch(pattern, c->named, c->n_named, sizeof *c->named, by_name) : NULL;

	return found ? &found->identity : NULL;
}

static bool add_named(struct relay_configuration *c, const struct variable *certificate,
	const struct variables *keys, const struct relay_wish *wish, struct relay_problem *problem)
{
	struct relay_named *named = &c->named[c->n_named];
	const struct variable *key =
		keys->n ? bsearch(certificate->name, keys->all, keys->n, sizeof *keys->all, by_name) : NULL;
	struct identity_files files = { .folder = AT_FDCWD,
		.certificate = certificate->value,
		.key = key && *key->value ? key->value : certificate->value,
		.password = wish->password };

	memcpy(named->name, certificate->name, sizeof named->name);
	if (!identity_load(&named->identity, &files, wish->check, problem))
		return false;
	c->n_named++;
	return true;
}

/* In the order of their names, by which they are found later. */
static bool add_all(struct relay_configuration *c, const struct variables *certificates,
	const struct variables *keys, const struct relay_wish *wish, struct relay_problem *problem)
{
	for (size_t i = 0; i < certificates->n; i++) {
		const struct variable *one = &certificates->all[i];

		if (!*one->name)
			return configuration_refuse(problem, "CERTFILE:%.*s: not a host name",
				(int)(one->n < 300 ? one->n : 300), one->as_typed);
		if (is_twice(certificates, i))
			return configuration_refuse(problem, "CERTFILE:%s: given twice", one->name);
		if (!add_named(c, one, keys, wish, problem))
			return false;
	}
	return true;
}

/* Keys without a certificate are a slip that would otherwise only show when a client asks. */
static bool check_keys(
	const struct relay_configuration *c, const struct variables *keys, struct relay_problem *problem)
{
	for (size_t i = 0; i < keys->n; i++) {
		const struct variable *one = &keys->all[i];
		int shown = (int)(one->n < 300 ? one->n : 300);

		if (!*one->name || !find_named(c, one->name))
			return configuration_refuse(problem, "KEYFILE:%.*s: there is no CERTFILE:%.*s beside it", shown,
				one->as_typed, shown, one->as_typed);
		if (is_twice(keys, i))
			return configuration_refuse(problem, "KEYFILE:%s: given twice", one->name);
	}
	return true;
}

static bool load_named(
	struct relay_configuration *c, const struct relay_wish *wish, struct relay_problem *problem)
{
	struct variables certificates = { .n = 0 }, keys = { .n = 0 };
	size_t most = count(certificate_prefix);
	bool good;

	if (most > NAMED_MAX)
		return configuration_refuse(problem, "more than %d certificates by name: set TLS_SNIDIR", NAMED_MAX);
	c->named = calloc(most + 1, sizeof *c->named);
	if (!c->named || !read_variables(&certificates, certificate_prefix) || !read_variables(&keys, key_prefix))
		good = configuration_refuse(problem, "no memory for %zu certificates", most);
	else
		good = add_all(c, &certificates, &keys, wish, problem) && check_keys(c, &keys, problem);
	free(certificates.all);
	free(keys.all);
	return good;
}

/* ---- the level ---- */

/* Without a word about it, names count as soon as there are any. */
static bool read_level(
	struct relay_configuration *c, const struct relay_wish *wish, struct relay_problem *problem)
{
	static const char *const words[] = { "0", "1", "2", "", NULL };
	bool any = count(certificate_prefix) || count(key_prefix) || *setting("TLS_SNIDIR", "");
	unsigned level = any ? RELAY_SNI_WITH_DEFAULT : RELAY_SNI_OFF;

	if (!setting_word("TLS_SNI", words, &level, problem))
		return false;
	c->sni = level == 3 ? RELAY_SNI_OFF : (enum relay_sni)level;
	if (wish->sni != RELAY_SNI_UNSAID)
		c->sni = wish->sni;
	return true;
}

static bool open_folder(struct relay_configuration *c, struct relay_problem *problem)
{
	const char *path = setting("TLS_SNIDIR", "");

	if (!*path)
		return true;
	c->names_folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return c->names_folder >= 0 ||
		   configuration_refuse(problem, "TLS_SNIDIR: unable to open %.400s: %s", path, strerror(errno));
}

bool names_read_sent(const char **name, struct relay_problem *problem)
{
	static char sent[2 + HELLO_NAME_MAX + 1];
	const char *typed = getenv("TLS_SNI");

	if (!typed || !*typed)
		return true;
	*name = NULL;
	if (!strcmp(typed, "0"))
		return true;
	if (typed[0] == '*' || !read_pattern(typed, strlen(typed), sent))
		return configuration_refuse(problem, "TLS_SNI: %.300s: not a host name", typed);
	*name = sent;
	return true;
}

bool names_load(struct relay_configuration *c, const struct relay_wish *wish, struct relay_problem *problem)
{
	if (!read_level(c, wish, problem))
		return false;
	if (c->sni != RELAY_SNI_OFF && (!load_named(c, wish, problem) || !open_folder(c, problem)))
		return false;
	if (c->sni == RELAY_SNI_STRICT)
		return c->n_named || c->names_folder >= 0 ||
			   configuration_refuse(
				   problem, "no certificate by name: set CERTFILE:name and KEYFILE:name, or TLS_SNIDIR");
	return identity_load_own(&c->own, wish, problem);
}

/* ---- the choice ---- */

static char words[sizeof((struct relay_problem *)0)->words]; /* of the one connection */

static bool refuse(struct hello *hello, int alert)
{
	hello->alert = alert;
	hello->words = words;
	return false;
}

/* From the folder: PATTERN.pem, with the key in PATTERN.key or in the same file. False: what is there is no
 * identity. A name is made of letters, digits, -, _ and single dots, see hello.c. */
static bool find_in_folder(
	struct relay_configuration *c, const char *pattern, const struct relay_identity **found)
{
	char certificate[HELLO_NAME_MAX + 8], key[HELLO_NAME_MAX + 8];
	/* The password is forgotten by now. */
	struct identity_files files = { .folder = c->names_folder, .certificate = certificate, .key = key };
	struct relay_problem problem;

	(void)snprintf(certificate, sizeof certificate, "%s.pem", pattern);
	(void)snprintf(key, sizeof key, "%s.key", pattern);
	if (c->names_folder < 0 || faccessat(c->names_folder, certificate, F_OK, AT_EACCESS) < 0)
		return c->names_folder < 0 || errno == ENOENT || errno == ENAMETOOLONG ||
			   (snprintf(words, sizeof words, "TLS_SNIDIR: %.300s: %s", certificate, strerror(errno)), false);
	if (faccessat(c->names_folder, key, F_OK, AT_EACCESS) < 0 && errno == ENOENT)
		files.key = certificate;
	if (!identity_load(&c->from_folder, &files, false, &problem)) {
		(void)snprintf(words, sizeof words, "TLS_SNIDIR: %.600s", problem.words);
		return false;
	}
	*found = &c->from_folder;
	return true;
}

/* By the name itself, then by *. in the place of its first label. */
static bool find(struct relay_configuration *c, const char *name, const struct relay_identity **found)
{
	char wildcard[1 + HELLO_NAME_MAX + 1];
	const char *dot = strchr(name, '.'), *patterns[2] = { name, wildcard };

	(void)snprintf(wildcard, sizeof wildcard, "*%s", dot ? dot : "");
	for (size_t i = 0; i < (dot ? 2u : 1u) && !*found; i++) {
		*found = find_named(c, patterns[i]);
		if (!*found && !find_in_folder(c, patterns[i], found))
			return false;
	}
	return true;
}

/* Nobody signs with the others any more. */
static void forget_others(struct relay_configuration *c)
{
	if (c->presented != &c->own)
		identity_wipe(&c->own);
	for (size_t i = 0; i < c->n_named; i++)
		if (c->presented != &c->named[i].identity)
			identity_wipe(&c->named[i].identity);
	if (c->names_folder >= 0)
		(void)close(c->names_folder); /* nothing was written */
	c->names_folder = -1;
}

bool relay_choose_identity(struct relay_configuration *c, struct hello *hello)
{
	const struct relay_identity *found = NULL;

	if (c->sni != RELAY_SNI_OFF && *hello->server_name && !find(c, hello->server_name, &found))
		return refuse(hello, ALERT_INTERNAL_ERROR);
	if (!found && c->sni == RELAY_SNI_STRICT) {
		(void)snprintf(words, sizeof words, "no certificate for %s",
			*hello->server_name ? hello->server_name : "a client that names no server");
		return refuse(hello, ALERT_UNRECOGNIZED_NAME);
	}
	if (found)
		c->presented = found;
	forget_others(c);
	return true;
}
