/*
 * tlscert [options] [-k key.pem] cert.pem name...: makes a key and a certificate for it, self-signed or
 * signed by a given CA.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include "certify/certify.h"
#include "net/net.h"

static const char program[] = "tlscert";
static const char usage[] = "[ -3fACS ] [ -c ca.pem ] [ -K ca.key ] [ -t type ] [ -d days ] [ -l pathlen ] "
							"[ -n commonname ] [ -k key.pem ] cert.pem name...";

enum {
	DAYS = 365,
	DAYS_OF_CA = 3650,
	PATH_LENGTH_MAX = 100,
	UNSAID = 1000,
	RSA_BITS_MIN = 2048,
	PRIVATE_MODE = 0600,
	PUBLIC_MODE = 0644 /* of a certificate without its key */
};

struct fields {
	int replace, ca, client, server, password;
	const char *ca_file, *ca_key, *type, *common_name, *key_file;
	unsigned days, path_length;
};

static const struct option option_table[] = {
	{ '3', OPTION_SET, offsetof(struct fields, password), 1, 0, 0, NULL },
	{ 'f', OPTION_SET, offsetof(struct fields, replace), 1, 0, 0, NULL },
	{ 'A', OPTION_SET, offsetof(struct fields, ca), 1, 0, 0, NULL },
	{ 'C', OPTION_SET, offsetof(struct fields, client), 1, 0, 0, NULL },
	{ 'S', OPTION_SET, offsetof(struct fields, server), 1, 0, 0, NULL },
	{ 'c', OPTION_TEXT, offsetof(struct fields, ca_file), 0, 0, 0, NULL },
	{ 'K', OPTION_TEXT, offsetof(struct fields, ca_key), 0, 0, 0, NULL },
	{ 't', OPTION_TEXT, offsetof(struct fields, type), 0, 0, 0, NULL },
	{ 'd', OPTION_NUMBER, offsetof(struct fields, days), 0, 1, CERTIFY_DAYS_MAX, "days" },
	{ 'l', OPTION_NUMBER, offsetof(struct fields, path_length), 0, 0, PATH_LENGTH_MAX, "CAs" },
	{ 'n', OPTION_TEXT, offsetof(struct fields, common_name), 0, 0, 0, NULL },
	{ 'k', OPTION_TEXT, offsetof(struct fields, key_file), 0, 0, 0, NULL },
	{ 0, OPTION_END, 0, 0, 0, 0, NULL },
};

static struct certify_name names[CERTIFY_NAMES_MAX];
static struct certify_authority authority;
static struct engine_new_key key;
static unsigned char certificate[CERTIFY_DER_BYTES];
static char text[X509_KEY_FILE_MAX]; /* what programs that read it take */

/* Every end but that of wrong usage: what is secret is wiped. */
static void forget(void)
{
	x509_wipe(&key, sizeof key);
	x509_wipe(text, sizeof text);
	certify_forget_authority(&authority);
}

static _Noreturn void die(const struct chain_problem *problem)
{
	forget();
	net_die(program, problem->exit_code, problem->doing, problem->object,
		problem->reason ? problem->reason : strerror(problem->errnum));
}

static _Noreturn void refuse(const char *what, const char *reason)
{
	net_log(program, ": fatal: ", what, ": ", reason, NULL);
	exit(EXIT_USAGE);
}

/* ---- what is asked for ---- */

/* -t: a curve, or bits of an RSA key. */
static void read_type(const char *type, unsigned *curve, unsigned long *rsa_bits)
{
	*curve = !strcmp(type, "p256") ? X509_P256 : !strcmp(type, "p384") ? X509_P384 : 0;
	if (*curve)
		return;
	if (strncmp(type, "rsa", 3) || !option_scan_number(type + 3, ENGINE_NEW_RSA_BITS_MAX, rsa_bits) ||
		*rsa_bits < RSA_BITS_MIN || *rsa_bits % 8)
		net_usage(program, "-t takes p256, p384, or rsa2048 to rsa4096", usage);
}

static const char *refuse_options(const struct fields *fields, int operands, char *const *operand)
{
	if (fields->ca && (fields->client || fields->server))
		return "-A goes neither with -C nor with -S";
	if (fields->ca && fields->common_name)
		return "-A takes the name of the CA as operand, not with -n";
	if (!fields->ca && fields->path_length != UNSAID)
		return "-l is for -A";
	if (fields->ca_key && !fields->ca_file)
		return "-K is for -c";
	if (fields->password && !fields->ca_file)
		return "-3 is for -c";
	if (operands < 1)
		return "no file named";
	if (fields->ca && operands != 2)
		return "-A takes one name, that of the CA";
	if (operands < 2 && !(fields->client && !fields->server && fields->common_name))
		return "no name given";
	for (int i = 1; i < operands; i++)
		if (operand[i][0] == '-')
			return "options stand before the file";
	return NULL;
}

static bool is_there(const struct certify_request *request, const struct certify_name *name)
{
	for (size_t i = 0; i < request->n_names; i++)
		if (request->names[i].kind == name->kind && request->names[i].n == name->n &&
			memcmp(request->names[i].at, name->at, name->n) == 0)
			return true;
	return false;
}

/* A client's first name may be just a name: a word without dots and @ is no host. */
static bool is_only_common_name(const char *name, const struct certify_request *request)
{
	struct certify_name read;

	return !request->for_servers && !strchr(name, '@') &&
		   (certify_read_name(name, &read) || !strpbrk(name, ".:"));
}

/* The common name is the first that is short enough, unless -n says it. */
static void choose_common_name(struct certify_request *request, const char *name)
{
	if (!request->common_name && !certify_refuse_common_name(name))
		request->common_name = name;
}

static void read_names(struct certify_request *request, char *const *operands)
{
	for (size_t i = 0; operands[i]; i++) {
		const char *bad;

		if (i == 0 && !request->common_name && is_only_common_name(operands[i], request)) {
			bad = certify_refuse_common_name(operands[i]);
			if (bad)
				refuse(operands[i], bad);
			request->common_name = operands[i];
			continue;
		}
		if (request->n_names == CERTIFY_NAMES_MAX)
			refuse(operands[i], "more than 100 names");
		bad = certify_read_name(operands[i], &names[request->n_names]);
		if (bad)
			refuse(operands[i], bad);
		choose_common_name(request, operands[i]);
		if (!is_there(request, &names[request->n_names]))
			request->n_names++;
	}
}

static void read_request(struct certify_request *request, const struct fields *fields, char *const *operands)
{
	const char *name = fields->ca ? operands[0] : fields->common_name;
	const char *bad = name ? certify_refuse_common_name(name) : NULL;

	if (bad)
		refuse(name, bad);
	*request = (struct certify_request){ .common_name = name,
		.names = names,
		.is_ca = fields->ca,
		.path_length = fields->path_length == UNSAID ? 0 : fields->path_length,
		.for_servers = !fields->ca && (fields->server || !fields->client),
		.for_clients = fields->client };
	if (!fields->ca)
		read_names(request, operands);
	if (!request->common_name && !fields->ca_file)
		net_usage(program, "all names are longer than 64 characters: a shorter one is needed, or -n", usage);
}

/* -3: the password of the CA's key is on descriptor 3, perhaps still to be typed. */
static void read_authority(const struct fields *fields, int64_t now)
{
	struct chain_password password = { .text = NULL };
	struct chain_problem problem;
	struct bytes opens;
	bool good = true;

	if (fields->password)
		good = chain_password_read(&password, net_now() + CHAIN_PASSWORD_START_MS, &problem);
	opens = (struct bytes){ password.text, password.n };
	good = good && certify_read_authority(&authority, fields->ca_file, fields->ca_key,
					   fields->password ? &opens : NULL, now, &problem);
	chain_password_wipe(&password);
	if (!good)
		die(&problem);
}

/* ---- the files ---- */

static bool is_same_file(const char *a, const char *b)
{
	struct stat first, second;

	return stat(a, &first) == 0 && stat(b, &second) == 0 && first.st_dev == second.st_dev &&
		   first.st_ino == second.st_ino;
}

/* Found out before a key is made, which can take a while, and again when the file gets its name. */
static void check_path(const char *path, const struct fields *fields)
{
	const char *reason = certify_refuse_path(path, fields->replace);

	if (reason)
		net_die(program, EXIT_SYSTEM, "create", path, reason);
	if ((fields->ca_file && is_same_file(path, fields->ca_file)) ||
		(fields->ca_key && is_same_file(path, fields->ca_key)))
		net_die(program, EXIT_SYSTEM, "create", path, "the CA is there");
}

static void put_key(struct x509_text *out)
{
	memcpy(out->at, key.pem, key.pem_n); /* the first thing in it, and much smaller */
	out->n = key.pem_n;
}

static struct bytes since(const struct x509_text *out, size_t start)
{
	return (struct bytes){ (const unsigned char *)out->at + start, out->n - start };
}

static void write_files(const char *path, const char *key_path, struct bytes der, bool replace)
{
	struct x509_text out = { text, sizeof text, 0, false };
	struct chain_problem problem;
	size_t key_n;

	put_key(&out);
	key_n = out.n;
	certify_put_chain(der, authority.list.n ? &authority : NULL, &out);
	if (out.overflow)
		die(&(struct chain_problem){ EXIT_CONFIGURATION, "create", path,
			"it would be too large: the CA has too many certificates", 0 });
	const struct certify_file one = { path, since(&out, 0), PRIVATE_MODE };
	const struct certify_file two[] = { { key_path, { one.text.at, key_n }, PRIVATE_MODE },
		{ path, since(&out, key_n), PUBLIC_MODE } };
	if (!certify_store(key_path ? two : &one, key_path ? 2 : 1, replace, &problem))
		die(&problem);
}

/* ---- the one job ---- */

static void make(struct certify_request *request, const struct fields *fields, const char *path)
{
	const struct certify_authority *signer = fields->ca_file ? &authority : NULL;
	const int64_t now = time(NULL);
	unsigned long rsa_bits = 0;
	struct chain_problem problem;
	struct bytes der;
	unsigned curve;

	read_type(fields->type, &curve, &rsa_bits);
	check_path(path, fields);
	if (fields->key_file)
		check_path(fields->key_file, fields);
	if (signer)
		read_authority(fields, now);
	if (!certify_choose_validity(now, fields->days, request->is_ca ? DAYS_OF_CA : DAYS, signer,
			&request->not_before, &request->not_after))
		die(&(struct chain_problem){
			EXIT_CONFIGURATION, "sign with CA", fields->ca_file, "it ends before that number of days", 0 });
	if (!engine_generate_key(&key, curve, (unsigned)rsa_bits))
		die(&(struct chain_problem){ errno ? EXIT_SYSTEM : EXIT_ENGINE, "make a key", NULL,
			errno ? NULL : "the TLS library failed", errno });
	if (!certify_issue(request, &key, signer, now, certificate, &der, &problem))
		die(&problem);
	write_files(path, fields->key_file, der, fields->replace);
	forget();
}

int main(int argc, char **argv)
{
	struct fields fields = { .type = "p256", .path_length = UNSAID };
	struct certify_request request;
	const char *words;
	int first = option_parse(option_table, &fields, argc, argv, &words);

	if (first < 0)
		net_usage(program, words, usage);
	words = refuse_options(&fields, argc - first, argv + first);
	if (words)
		net_usage(program, words, usage);
	if (setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 }) < 0 || !chain_not_traceable())
		net_die(program, EXIT_SYSTEM, "forbid core dumps", NULL, strerror(errno));
	read_request(&request, &fields, argv + first + 1);
	make(&request, &fields, argv[first]);
	return 0;
}
