/*
 * tlstrust trust.cdb trust.tmp file…: makes a trust store of files with certificates and revocation lists, and
 * folders of such, written beside its place and moved there.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "chain/chain.h"
#include "engine/engine.h"
#include "net/net.h"
#include "x509/store.h"

static const char program[] = "tlstrust";
static const char usage[] = "trust.cdb trust.tmp file ...";

static _Noreturn void fail(const char *doing, const char *path, int errnum)
{
	net_die(program, EXIT_SYSTEM, doing, path, strerror(errnum));
}

struct input {
	struct x509_list certificates;
	struct x509_crls crls;
};

static _Noreturn void refuse(const char *path, const struct x509_problem *why)
{
	if (why->errnum)
		fail("read", path, why->errnum);
	net_die(program, EXIT_CONFIGURATION, "read certificates or revocation lists from", path, why->reason);
}

/* In PEM both may stand in one file; one certificate in DER is no list, and need not say so. */
static bool is_der(const char *path)
{
	unsigned char first = 0;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	bool der = fd >= 0 && read(fd, &first, 1) == 1 && first == DER_SEQUENCE;

	if (fd >= 0)
		(void)close(fd); /* was only read */
	return der;
}

static void add_file(struct input *input, const char *path)
{
	struct x509_problem why, why_no_list;
	bool certificates = x509_list_add_file(&input->certificates, path, true, &why);
	bool lists;

	if (certificates && is_der(path))
		return;
	lists = x509_crls_add_file(&input->crls, path, &why_no_list);
	if (!lists && !certificates)
		refuse(path, is_der(path) ? &why_no_list : &why);
	if (!lists && strcmp(why_no_list.reason, "no revocation list in it") != 0)
		refuse(path, &why_no_list);
}

/* A folder may hold other things, too; a file without anything is a mistake. */
static void add(struct input *input, const char *path)
{
	struct x509_problem why;
	struct stat status;

	if (stat(path, &status) < 0 || !S_ISDIR(status.st_mode))
		add_file(input, path);
	else if (!x509_list_add_directory(&input->certificates, path, &why) ||
			 !x509_crls_add_directory(&input->crls, path, &why))
		refuse(path, &why);
}

int main(int argc, char **argv)
{
	struct input input = { .certificates = { .n = 0 } };
	struct x509_problem why;
	struct chain_replacement file = { .program = program,
		.usage = usage,
		.same_file = "trust.cdb and trust.tmp have to be two files" };

	if (argc < 4)
		net_usage(program, NULL, usage);
	file.target = argv[1];
	file.temporary = argv[2];
	for (int i = 3; i < argc; i++)
		add(&input, argv[i]);
	if (!input.certificates.n && !input.crls.n)
		net_die(program, EXIT_CONFIGURATION, "make", file.target, "there is neither certificate nor revocation list");
	chain_replace_begin(&file);
	if (!x509_store_write(&input.certificates, &input.crls, engine_hash, file.fd, &why)) {
		if (why.errnum)
			chain_replace_fail(&file, "write to", file.temporary, why.errnum);
		(void)unlink(file.temporary);
		net_die(program, EXIT_CONFIGURATION, "make", file.target, why.reason);
	}
	chain_replace_finish(&file);
	x509_list_free(&input.certificates);
	x509_crls_free(&input.crls);
	return 0;
}
