/*
 * Whom a connection believes: trust anchors from CAFILE and CADIR, the name that a server must have, and, on
 * servers, what is said to a client that is asked for a certificate.
 */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "conf.h"
#include "relay/configuration.h"

enum { VERIFY_NONE, VERIFY_CHAIN, VERIFY_NAME };

enum { CLIENT_DEPTH = 8, RSA_BITS_LEAST = 1024 };

static const char *const levels[] = { "none", "chain", "name", NULL };

/* A host name or IP literal as typed, brackets and final dot taken off; false if it can be neither. */
static bool clean_name(const char *typed, char *out, size_t room)
{
	size_t n = strlen(typed);
	unsigned char address[16];

	if (n > 2 && typed[0] == '[' && typed[n - 1] == ']') {
		typed++;
		n -= 2;
	} else if (n > 1 && typed[n - 1] == '.') {
		n--;
	}
	if (!n || n >= room)
		return false;
	memcpy(out, typed, n);
	out[n] = 0;
	if (x509_scan_address(out, address))
		return true;
	return n <= HELLO_NAME_MAX &&
		   strspn(out, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") == n &&
		   out[0] != '.';
}

/* The name that the peer's certificate has to be for. Static memory: one connection a process. */
static bool read_name(
	struct relay_configuration *c, const char *whose, const char *typed, struct relay_problem *problem)
{
	static char name[300];

	if (!clean_name(typed, name, sizeof name))
		return configuration_refuse(
			problem, "%s name %.300s: neither a host name nor an address", whose, typed);
	c->trust.name = name;
	return true;
}

/* Clients: the name to find, and the one to send, which is the same unless TLS_SNI says otherwise. */
static bool read_server_name(struct relay_configuration *c, const struct relay_wish *wish, unsigned verify,
	struct relay_problem *problem)
{
	const char *typed = wish->name ? wish->name : setting("TLS_PEERNAME", "");
	unsigned char address[16];

	if (*typed && !read_name(c, "server", typed, problem))
		return false;
	if (!*typed && verify == VERIFY_NAME)
		return configuration_refuse(
			problem, "no name to check: give the server's name, or set TLS_PEERNAME or TLS_VERIFY=chain");
	if (*typed && !x509_scan_address(c->trust.name, address))
		c->send_name = c->trust.name; /* RFC 6066 3: literals are not sent */
	if (verify != VERIFY_NAME)
		c->trust.name = NULL;
	return names_read_sent(&c->send_name, problem);
}

/* What a link before us says of the connection, as in TCPREMOTEHOST or SSLREMOTEIP. */
static const char *of_connection(const char *what)
{
	const char *protocol = getenv("PROTO");
	char name[64];

	if (!protocol || (size_t)snprintf(name, sizeof name, "%s%s", protocol, what) >= sizeof name)
		return "";
	return setting(name, "");
}

/* Servers: the name that a client's certificate has to be for; one without a host name is met by its address.
 */
static bool read_client_name(
	struct relay_configuration *c, const struct relay_wish *wish, struct relay_problem *problem)
{
	const char *typed = wish->name ? wish->name : setting("TLS_PEERNAME", "");

	if (!*typed)
		typed = of_connection("REMOTEHOST");
	if (!*typed)
		typed = of_connection("REMOTEIP");
	if (!*typed && wish->check)
		return true; /* nobody is there yet */
	if (!*typed)
		return configuration_refuse(problem,
			"no name to check: nothing says who the client is, neither TLS_PEERNAME nor ${PROTO}REMOTEHOST");
	return read_name(c, "client", typed, problem);
}

static bool add_file(struct x509_list *list, const char *path, struct relay_problem *problem)
{
	struct x509_problem why;

	return x509_list_add_file(list, path, true, &why) ||
		   configuration_refuse(problem, "unable to read CAs from %.400s: %s", path,
			   why.errnum ? strerror(why.errnum) : why.reason);
}

static bool add_directory(struct x509_list *list, const char *path, struct relay_problem *problem)
{
	struct x509_problem why;

	return x509_list_add_directory(list, path, &why) ||
		   configuration_refuse(problem, "unable to read CAs from %.400s: %s", path,
			   why.errnum ? strerror(why.errnum) : why.reason);
}

/* A file of anchors: certificates, or a trust store, of which nothing is read yet. */
static bool add_anchors(struct relay_configuration *c, const char *path, struct relay_problem *problem)
{
	return x509_store_open(&c->store, path) || add_file(&c->anchors, path, problem);
}

/* All certificates of a file, whatever it is, as far as their names can be told to a client. */
static bool add_authorities(struct x509_list *list, const char *path, struct relay_problem *problem)
{
	struct x509_store store;
	struct x509_problem why;
	bool good;

	if (!x509_store_open(&store, path))
		return add_file(list, path, problem);
	good = x509_store_all(&store, ENGINE_CA_NAMES_MAX, list, &why) ||
		   configuration_refuse(problem, "unable to read CAs from %.400s: %s", path,
			   why.errnum ? strerror(why.errnum) : why.reason);
	cdb_free(&store.file);
	return good;
}

/* Either variable takes the place of both defaults: whoever names a CA does not mean the system's as well. */
static bool read_anchors(struct relay_configuration *c, const char *default_file,
	const char *default_directory, struct relay_problem *problem)
{
	bool own = getenv("CAFILE") || getenv("CADIR");
	const char *file = setting("CAFILE", own ? "" : default_file);
	const char *directory = setting("CADIR", own ? "" : default_directory);

	return (!*file || add_anchors(c, file, problem)) &&
		   (!*directory || add_directory(&c->anchors, directory, problem)) &&
		   (c->anchors.n || c->store.open ||
			   configuration_refuse(problem, "no CA to trust: set CAFILE or CADIR"));
}

bool trust_fetch(struct relay_configuration *c, const struct bytes *chain, size_t n)
{
	struct x509_certificate certificate;
	struct x509_problem problem;

	for (size_t i = 0; i < n && i < X509_CHAIN_MAX && (c->store.open || c->crl_store.open); i++)
		if (x509_parse(chain[i], &certificate, &problem) &&
			!(x509_store_find(&c->store, certificate.issuer, &c->anchors, &problem) &&
				x509_store_find(&c->store, certificate.subject, &c->anchors, &problem) &&
				x509_store_find_crls(&c->crl_store, certificate.issuer, &c->crls, &problem)))
			return false;
	return true;
}

/* The clock, or what TLS_TIME says for tests: whoever gives root an environment must not turn back its clock.
 */
static bool read_time(struct x509_trust *trust, struct relay_problem *problem)
{
	unsigned seconds;

	trust->now = (int64_t)time(NULL);
	if (!getenv("TLS_TIME"))
		return true;
	if (geteuid() == 0)
		return configuration_refuse(problem, "TLS_TIME: for tests only, and not as root");
	if (!setting_number("TLS_TIME", 0, UINT_MAX, &seconds, problem))
		return false;
	trust->now = seconds;
	return true;
}

/* What both sides ask of a chain. */
static bool read_demands(struct relay_configuration *c, unsigned depth, struct relay_problem *problem)
{
	static const char *const flags[] = { "0", "1", NULL };
	unsigned common_name = 0;

	c->trust = (struct x509_trust){ .anchors = &c->anchors,
		.check_chain = true,
		.max_intermediates = depth,
		.min_rsa_bits = X509_RSA_BITS_MIN,
		.check_signature = engine_check_signature,
		.check_hashed = engine_check_hashed };
	if (!setting_number("VERIFYDEPTH", 0, X509_CHAIN_MAX, &c->trust.max_intermediates, problem) ||
		!setting_number("TLS_MINRSA", RSA_BITS_LEAST, X509_RSA_BITS_MAX, &c->trust.min_rsa_bits, problem) ||
		!setting_word("TLS_CNFALLBACK", flags, &common_name, problem) || !read_time(&c->trust, problem) ||
		!pins_load(c, problem))
		return false;
	c->trust.common_name = common_name == 1;
	return true;
}

bool trust_load_for_client(
	struct relay_configuration *c, const struct relay_wish *wish, struct relay_problem *problem)
{
	unsigned verify = VERIFY_NAME;

	if (!read_demands(c, CLIENT_DEPTH, problem) || !setting_word("TLS_VERIFY", levels, &verify, problem) ||
		!read_server_name(c, wish, verify, problem))
		return false;
	c->trust.check_chain = verify != VERIFY_NONE;
	return verify == VERIFY_NONE ||
		   (read_anchors(c, CONF_CAFILE, CONF_CADIR, problem) && revocation_load(c, problem));
}

/* The names of the CAs that a client may choose its certificate by. */
static bool name_authorities(
	struct relay_configuration *c, const struct x509_list *list, struct relay_problem *problem)
{
	size_t bytes = 0;

	for (size_t i = 0; i < list->n; i++) {
		bytes += 2 + list->certificates[i].subject.n;
		if (c->n_ca_names == ENGINE_CA_NAMES_MAX || bytes > ENGINE_CA_NAMES_BYTES)
			return configuration_refuse(
				problem, "too many CAs to name them all to a client: set CCAFILE to fewer");
		c->ca_names[c->n_ca_names++] = list->certificates[i].subject;
	}
	return true;
}

/* CCAVERIFY wins over the command line, so that a rule can ask one client for more, or for less. */
static enum engine_asking asking(const struct relay_wish *wish)
{
	const char *how = getenv("CCAVERIFY");

	if (!how)
		return wish->client_certificate == 'y'   ? ENGINE_DEMAND
			   : wish->client_certificate == 'Y' ? ENGINE_ASK
												 : ENGINE_ASK_NOTHING;
	return !strcmp(how, "optional") ? ENGINE_ASK
		   : !strcmp(how, "report") ? ENGINE_ASK_ANYBODY
									: ENGINE_DEMAND; /* of any other value, the manual's "If set" */
}

/* Clients are known by their pins, whoever has signed what. Names of authorities help them to choose. */
static bool trust_pins_alone(
	struct relay_configuration *c, const char *names, struct relay_problem *problem)
{
	if (!c->n_pins)
		return configuration_refuse(
			problem, "TLS_VERIFY: none: a server checks the chain of a client certificate, or TLS_PIN");
	c->trust.check_chain = false;
	return (!*names || add_authorities(&c->ca_file, names, problem)) &&
		   name_authorities(c, &c->ca_file, problem);
}

/* The public's CAs say nothing about who may come in, so that no default stands in for what is not set. */
bool trust_load_for_server(
	struct relay_configuration *c, const struct relay_wish *wish, struct relay_problem *problem)
{
	const char *names = setting("CCAFILE", CONF_CCAFILE);
	unsigned verify = VERIFY_CHAIN;

	if (!read_demands(c, CONF_VERIFYDEPTH, problem) || !setting_word("TLS_VERIFY", levels, &verify, problem))
		return false;
	c->trust.of_client = true;
	if (!strcmp(names, "-"))
		return true;
	c->asking = asking(wish);
	if (c->asking == ENGINE_ASK_NOTHING)
		return !c->n_pins || configuration_refuse(problem, "TLS_PIN: clients are not asked for a certificate");
	if (verify == VERIFY_NONE)
		return trust_pins_alone(c, names, problem);
	if ((wish->name || verify == VERIFY_NAME) && !read_client_name(c, wish, problem))
		return false;
	if (*names && !add_authorities(&c->ca_file, names, problem))
		return false;
	if (*names && !getenv("CAFILE") && !getenv("CADIR"))
		c->trust.anchors = &c->ca_file;
	else if (!read_anchors(c, "", "", problem))
		return false;
	if (!*names && c->store.open && !add_authorities(&c->anchors, getenv("CAFILE"), problem))
		return false;
	return revocation_load(c, problem) && name_authorities(c, *names ? &c->ca_file : &c->anchors, problem);
}
