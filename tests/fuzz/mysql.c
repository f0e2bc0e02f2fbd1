/*
 * Fuzzing of the numbers of MySQL's packets. Input: the direction, a size, then what is copied. In pieces of
 * that size it must become the same as in one, and only bytes that are numbers may change, by one.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "starttls/internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t n);

static void check(bool holds)
{
	if (!holds)
		abort();
}

/* Walks over the packets of before, up to the end of what is renumbered. */
static void compare(const uint8_t *before, const uint8_t *after, size_t n, bool from_prog)
{
	size_t number_at = 3;
	bool active = true;

	for (size_t i = 0; i < n; i++) {
		uint8_t expected = before[i];

		if (active && i == number_at) {
			size_t length = (size_t)before[i - 3] | (size_t)before[i - 2] << 8 | (size_t)before[i - 1] << 16;
			bool last = !from_prog && length && i + 1 < n &&
						(before[i + 1] == 0xff || (before[i + 1] == 0 && length >= 7));

			if (expected)
				expected = (uint8_t)(from_prog ? expected + 1 : expected - 1);
			active = !last && (before[i] || !from_prog);
			number_at += length + 4;
		}
		check(after[i] == expected);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t n)
{
	static uint8_t whole[1 << 16], pieces[1 << 16];
	struct mysql_numbers one = { .active = true }, many = { .active = true };
	size_t size;

	if (n < 2 || n > 1 << 16)
		return 0;
	one.from_prog = many.from_prog = input[0] & 1;
	size = (size_t)input[1] + 1;
	input += 2;
	n -= 2;
	memcpy(whole, input, n);
	memcpy(pieces, input, n);
	mysql_renumber(&one, whole, n);
	for (size_t at = 0; at < n; at += size)
		mysql_renumber(&many, pieces + at, n - at < size ? n - at : size);
	check(memcmp(whole, pieces, n) == 0 && one.active == many.active);
	compare(input, whole, n, one.from_prog);
	return 0;
}
