/*
 * tlstrust trust.cdb trust.tmp file…: makes a trust store of certificate files and folders of such, written
 * beside its place and moved there.
 */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "chain/chain.h"
#include "net/net.h"
#include "x509/store.h"

static const char program[] = "tlstrust";
static const char usage[] = "trust.cdb trust.tmp file ...";

static _Noreturn void fail(const char *doing, const char *path, int errnum)
{
	net_die(program, EXIT_SYSTEM, doing, path, strerror(errnum));
}

/* A folder may hold other things, too; a file without any certificate is a mistake. */
static void add(struct x509_list *list, const char *path)
{
	struct x509_problem problem;
	struct stat status;
	bool good = stat(path, &status) == 0 && S_ISDIR(status.st_mode)
					? x509_list_add_directory(list, path, &problem)
					: x509_list_add_file(list, path, true, &problem);

	if (!good && problem.errnum)
		fail("read", path, problem.errnum);
	if (!good)
		net_die(program, EXIT_CONFIGURATION, "read certificates from", path, problem.reason);
}

int main(int argc, char **argv)
{
	struct x509_list list = { .n = 0 };
	struct chain_replacement file = { .program = program,
		.usage = usage,
		.same_file = "trust.cdb and trust.tmp have to be two files" };

	if (argc < 4)
		net_usage(program, NULL, usage);
	file.target = argv[1];
	file.temporary = argv[2];
	for (int i = 3; i < argc; i++)
		add(&list, argv[i]);
	if (!list.n)
		net_die(program, EXIT_CONFIGURATION, "make", file.target, "there is no certificate");
	chain_replace_begin(&file);
	if (!x509_store_write(&list, file.fd))
		chain_replace_fail(&file, "write to", file.temporary, errno);
	chain_replace_finish(&file);
	x509_list_free(&list);
	return 0;
}
