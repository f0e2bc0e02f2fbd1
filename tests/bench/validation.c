/*
 * Times the validation of a chain, ours and BearSSL's x509_minimal in turns on the same certificates:
 * validation CHAIN.pem ANCHORS.pem NAME TIMES. Prints microseconds a validation: ours, theirs (medians).
 * tests/bench/validation.pl calls it. Exit: 0; 100 usage; 111 something is not as it should be, such as a
 * chain that one of them refuses.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include "../lib/minimal.h"
#include "engine/engine.h"

static struct x509_list presented, anchors;
static struct bytes chain[X509_CHAIN_MAX];

static double now(void)
{
	struct timespec t;

	if (clock_gettime(CLOCK_MONOTONIC, &t) < 0)
		exit(111);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static void ours(const struct x509_trust *trust)
{
	static struct x509_path path;
	struct x509_verdict verdict;

	x509_judge(trust, chain, presented.n, &path, &verdict);
	if (!verdict.accepted) {
		(void)fprintf(stderr, "validation: fatal: refused: %s\n", verdict.reason);
		exit(111);
	}
}

static void theirs(const struct minimal *minimal)
{
	unsigned error = minimal_judge(minimal, chain, presented.n);

	if (error) {
		(void)fprintf(stderr, "validation: fatal: refused by x509_minimal: %u\n", error);
		exit(111);
	}
}

static void read_list(struct x509_list *list, const char *path)
{
	struct x509_problem problem;

	if (!x509_list_add_file(list, path, false, &problem)) {
		(void)fprintf(stderr, "validation: fatal: unable to read %s: %s\n", path, problem.reason);
		exit(111);
	}
}

static int by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median(double *took, long n)
{
	qsort(took, (size_t)n, sizeof *took, by_size);
	return took[n / 2];
}

int main(int argc, char **argv)
{
	long times = argc == 5 ? atol(argv[4]) : 0;

	if (times < 1) {
		(void)fputs("validation: usage: validation chain.pem anchors.pem name times\n", stderr);
		return 100;
	}
	read_list(&presented, argv[1]);
	read_list(&anchors, argv[2]);
	if (presented.n > X509_CHAIN_MAX)
		return 111;
	for (size_t i = 0; i < presented.n; i++)
		chain[i] = presented.certificates[i].der;

	struct x509_trust trust = { .anchors = &anchors,
		.name = argv[3],
		.check_chain = true,
		.max_intermediates = 8,
		.min_rsa_bits = X509_RSA_BITS_MIN,
		.now = (int64_t)time(NULL),
		.check_signature = engine_check_signature };
	br_x509_trust_anchor *their_anchors = calloc(anchors.n, sizeof *their_anchors);
	struct minimal minimal = { .anchors = their_anchors, .name = argv[3], .now = trust.now };
	double *our_times = calloc((size_t)times, sizeof *our_times),
		   *their_times = calloc((size_t)times, sizeof *their_times);
	if (!their_anchors || !our_times || !their_times)
		return 111;
	for (size_t i = 0; i < anchors.n; i++)
		minimal.n_anchors += minimal_anchor(&anchors.certificates[i], &their_anchors[minimal.n_anchors]);

	for (long i = 0; i < times; i++) {
		double start = now(), between;

		ours(&trust);
		between = now();
		theirs(&minimal);
		our_times[i] = between - start;
		their_times[i] = now() - between;
	}
	printf("%.1f %.1f\n", median(our_times, times), median(their_times, times));
	return 0;
}
