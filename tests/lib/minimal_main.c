/*
 * What BearSSL's own path validation says of a chain: minimal chain.pem anchors.pem [-n name] [-t
 * unix-seconds]. The chain is judged in the order of its file, whatever stands in it. Prints "accepted" or
 * "refused N" with the library's error number. Exit: 0 accepted, 1 refused, 100 usage, 111 a file could not
 * be read.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "minimal.h"

enum { CHAIN_MAX = 64 };

static void fatal(const char *path, const char *reason)
{
	(void)fprintf(stderr, "minimal: fatal: unable to read %s: %s\n", path, reason);
	exit(111);
}

/* Not through x509_list, which leaves out what it cannot parse and what comes twice. */
static size_t read_chain(const char *path, struct bytes chain[CHAIN_MAX])
{
	struct x509_problem problem = { .reason = "no certificate" };
	struct pem_block block;
	size_t size, offset = 0, n = 0;
	unsigned char *text = x509_read_file(path, X509_FILE_MAX, &size, &problem);
	int found = 0;

	while (text && n < CHAIN_MAX && (found = pem_next(text, size, &offset, &block, &problem)) > 0)
		if (pem_is(&block, "CERTIFICATE"))
			chain[n++] = block.content;
	if (!text || found < 0 || !n)
		fatal(path, problem.reason);
	return n;
}

static size_t read_anchors(const char *path, br_x509_trust_anchor **anchors)
{
	static struct x509_list list;
	struct x509_problem problem;
	size_t n = 0;

	if (!x509_list_add_file(&list, path, true, &problem))
		fatal(path, problem.reason);
	*anchors = calloc(list.n, sizeof **anchors);
	if (!*anchors)
		fatal(path, "out of memory");
	for (size_t i = 0; i < list.n; i++)
		n += minimal_anchor(&list.certificates[i], &(*anchors)[n]);
	return n;
}

int main(int argc, char **argv)
{
	struct minimal minimal = { .now = (int64_t)time(NULL) };
	struct bytes chain[CHAIN_MAX];
	br_x509_trust_anchor *anchors;
	const char *files[2];
	int n_files = 0;
	char *end = "";
	size_t n;
	unsigned error;

	for (int i = 1; i < argc; i++)
		if (argv[i][0] != '-' && n_files < 2)
			files[n_files++] = argv[i];
		else if (!strcmp(argv[i], "-n") && i + 1 < argc)
			minimal.name = argv[++i];
		else if (!strcmp(argv[i], "-t") && i + 1 < argc)
			minimal.now = strtoll(argv[++i], &end, 10);
		else
			n_files = 3;
	if (n_files != 2 || *end || minimal.now < 0) {
		(void)fputs("minimal: usage: minimal chain.pem anchors.pem [-n name] [-t unix-seconds]\n", stderr);
		return 100;
	}
	n = read_chain(files[0], chain);
	minimal.n_anchors = read_anchors(files[1], &anchors);
	minimal.anchors = anchors;
	error = minimal_judge(&minimal, chain, n);
	if (error)
		printf("refused %u\n", error);
	else
		puts("accepted");
	return error != 0;
}
