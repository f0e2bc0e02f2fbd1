/*
 * Runs a fuzzing harness without libFuzzer: takes the files named as arguments as seeds, calls the harness on
 * each as it is and then on RUNS (100000) mutations of them, always on heap memory of exactly the size of the
 * input, so that a sanitizer sees every byte too far. SEED (1) begins the sequence: the same seed and files
 * give the same runs. FUZZ_RUN=n does only run n, which is what a failure is told by.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t n);

enum { INPUT_MAX = 1 << 16 };

struct seed {
	unsigned char *at;
	size_t n;
};

/* splitmix64: the state is a counter, so that each run can be had without those before it. */
static uint64_t state;

static uint64_t next(void)
{
	uint64_t z = state += 0x9e3779b97f4a7c15U;
	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9U;
	z = (z ^ z >> 27) * 0x94d049bb133111ebU;
	return z ^ z >> 31;
}

static size_t below(size_t n)
{
	return n == 0 ? 0 : (size_t)(next() % n);
}

static unsigned long number_from(const char *name, unsigned long otherwise)
{
	const char *text = getenv(name);
	return text == NULL ? otherwise : strtoul(text, NULL, 10);
}

static void run(const unsigned char *input, size_t n)
{
	unsigned char *exact = malloc(n);
	if (exact == NULL && n > 0)
		exit(111);
	if (n > 0)
		memcpy(exact, input, n);
	(void)LLVMFuzzerTestOneInput(exact, n);
	free(exact);
}

/* One change of an input of n bytes with room for INPUT_MAX; the new size. */
static size_t mutate(unsigned char *input, size_t n, const struct seed *other)
{
	static const unsigned char telling[] = { 0x00, 0x01, 0x7f, 0x80, 0x81, 0x82, 0x84, 0xa0, 0xa3, 0xff, 0x02,
		0x03, 0x04, 0x05, 0x06, 0x0c, 0x1e, 0x30, 0x31, '-', '=', '\n', '\r', ':', 'A' };
	size_t at = below(n), length = 1 + below(16);
	if (n == 0)
		return 0;
	switch (below(8)) {
	case 0:
		input[at] ^= (unsigned char)(1U << below(8));
		return n;
	case 1:
		input[at] = (unsigned char)next();
		return n;
	case 2:
		input[at] = telling[below(sizeof telling)];
		return n;
	case 3:
		input[at] = (unsigned char)(input[at] + (below(2) ? 1 : -1));
		return n;
	case 4: /* cut off */
		return below(16) ? n - below(n < 8 ? n : 8) : at;
	case 5: /* take out */
		length = length < n - at ? length : n - at;
		memmove(input + at, input + at + length, n - at - length);
		return n - length;
	case 6: /* repeat */
		length = length < n - at ? length : n - at;
		if (n + length > INPUT_MAX)
			return n;
		memmove(input + at + length, input + at, n - at);
		return n + length;
	default: /* a piece of another */
		length = 1 + below(64);
		size_t from = below(other->n);
		length = length < n - at ? length : n - at;
		length = length < other->n - from ? length : other->n - from;
		memcpy(input + at, other->at + from, length);
		return n;
	}
}

static struct seed read_seed(const char *path)
{
	struct seed seed = { malloc(INPUT_MAX), 0 };
	FILE *file = fopen(path, "rb");
	if (file == NULL || seed.at == NULL) {
		(void)fprintf(stderr, "driver: fatal: unable to read %s\n", path);
		exit(111);
	}
	seed.n = fread(seed.at, 1, INPUT_MAX, file);
	(void)fclose(file);
	return seed;
}

static void mutated_run(const struct seed *seeds, size_t n_seeds, unsigned long number, uint64_t start)
{
	static unsigned char input[INPUT_MAX];
	state = start * 0x100000001b3U + (uint64_t)number * 0xd1342543de82ef95U;
	const struct seed *seed = &seeds[below(n_seeds)];
	size_t n = seed->n;
	if (n > 0)
		memcpy(input, seed->at, n);
	for (size_t changes = 1 + below(6); changes > 0; changes--)
		n = mutate(input, n, &seeds[below(n_seeds)]);
	run(input, n);
}

int main(int argc, char **argv)
{
	const unsigned long runs = number_from("RUNS", 100000), start = number_from("SEED", 1);
	const size_t n_seeds = (size_t)argc - 1;
	if (argc < 2) {
		(void)fprintf(stderr, "usage: driver seedfile...\n");
		return 100;
	}
	struct seed *seeds = calloc(n_seeds, sizeof *seeds);
	if (seeds == NULL)
		return 111;
	for (size_t i = 0; i < n_seeds; i++)
		seeds[i] = read_seed(argv[1 + i]);
	if (getenv("FUZZ_RUN") != NULL) {
		mutated_run(seeds, n_seeds, number_from("FUZZ_RUN", 0), start);
	} else {
		run(NULL, 0);
		for (size_t i = 0; i < n_seeds; i++)
			run(seeds[i].at, seeds[i].n);
		for (unsigned long i = 0; i < runs; i++)
			mutated_run(seeds, n_seeds, i, start);
		(void)printf("%lu runs of %zu seeds\n", runs, n_seeds);
	}
	for (size_t i = 0; i < n_seeds; i++)
		free(seeds[i].at);
	free(seeds);
	return 0;
}
