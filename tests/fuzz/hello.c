/*
 * Fuzzing of the ClientHello reader: what a client sends first, in pieces of any size. The verdict must not
 * depend on the pieces, a server name that comes out is a host name and nothing else, and the protocols that
 * come out can be gone through. A second one is compared with it.
 */
#include <stdlib.h>
#include <string.h>
#include "relay/relay.h"

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t n);

static void check(bool holds)
{
	if (!holds)
		abort();
}

static struct hello_reader reader;

static enum hello_result read_in_pieces(const uint8_t *input, size_t n, size_t piece, struct hello *hello)
{
	enum hello_result result = HELLO_MORE;

	reader.oldest = n % 3 ? ENGINE_TLS12 : ENGINE_TLS13;
	reader.newest = n % 5 ? ENGINE_TLS13 : reader.oldest;
	reader.header_n = reader.record_left = reader.n = 0;
	*hello = (struct hello){ .alert = -1 };
	while (n && result == HELLO_MORE) {
		size_t part = n < piece ? n : piece;
		uint8_t *copy = malloc(part); /* of exact size, so that a sanitizer sees a byte too far */
		check(copy != NULL);
		memcpy(copy, input, part);
		result = hello_read(&reader, copy, part, hello);
		free(copy);
		input += part;
		n -= part;
	}
	return result;
}

/* The names of protocols lie one behind the other to the end, and those in common are found. */
static void check_protocols(const struct hello *hello)
{
	static const char *const known[] = { "h2", "x", "" };
	size_t at = 0;
	bool common = !hello->alpn.n;

	while (at < hello->alpn.n) {
		size_t length = hello->alpn.at[at++];
		check(length > 0 && length <= hello->alpn.n - at);
		for (size_t i = 0; *known[i]; i++)
			common |= length == strlen(known[i]) && !memcmp(hello->alpn.at + at, known[i], length);
		at += length;
	}
	static struct relay_configuration configuration;
	struct hello copy = *hello;
	configuration.n_alpn = 2;
	memcpy(configuration.alpn, known, 2 * sizeof known[0]);
	check(relay_agree_protocol(&configuration, &copy) == common);
	check(common || copy.alert == ALERT_NO_APPLICATION_PROTOCOL);
}

/* The first n bytes of it once more, one of them with other bits. */
static bool differs(size_t n, size_t at, uint8_t bits)
{
	uint8_t *copy = malloc(n);
	bool result;

	check(copy != NULL);
	memcpy(copy, reader.message + 4, n);
	copy[at % n] ^= bits;
	result = hello_differs(&reader, (struct bytes){ copy, n }) != NULL;
	free(copy);
	return result;
}

static void check_second(const uint8_t *input, size_t n)
{
	size_t length = reader.n - 4, at = n > 1 ? (size_t)input[n - 1] << 8 | input[n - 2] : 0;

	(void)differs(length, at, input[n / 2]); /* in a part that may change it is none */
	check(differs(length, at % 34, 1));      /* version and random */
	check(differs(length - 1, 0, 0));
	check(!differs(length, 0, 0) || length > 4 * 256); /* there may be too many extensions to compare */
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t n)
{
	struct hello whole, pieces;
	enum hello_result result = read_in_pieces(input, n, n, &whole);

	check(result == read_in_pieces(input, n, n ? 1 + input[n - 1] % 7u : 1, &pieces));
	check(result != HELLO_REFUSED || (whole.words && whole.alert > 0 && whole.alert == pieces.alert));
	if (result == HELLO_DONE) {
		size_t length = strlen(whole.server_name);
		check(length <= HELLO_NAME_MAX && !strcmp(whole.server_name, pieces.server_name));
		check(strspn(whole.server_name, "abcdefghijklmnopqrstuvwxyz0123456789-_.") == length);
		check_protocols(&whole);
		check_second(input, n);
		check(length == 0 || (whole.server_name[0] != '.' && whole.server_name[length - 1] != '.'));
	}
	return 0;
}
