/*
 * The words of the tables, with names filled in.
 */
#include <string.h>
#include "internal.h"

static const char *replacement(char letter, const char *name, const char *tag)
{
	return letter == 'n' ? name : letter == 't' ? tag : NULL;
}

size_t template_fill(char *to, size_t room, const char *from, const char *name, const char *tag)
{
	size_t n = 0;

	for (; *from; from++) {
		const char *piece = from;
		size_t length = 1;

		if (*from == '%') {
			piece = replacement(*++from, name, tag);
			if (!piece)
				return 0;
			length = strlen(piece);
		}
		if (length > room - n)
			return 0;
		memcpy(to + n, piece, length);
		n += length;
	}
	return n;
}

enum wire_result template_say(
	const struct starttls_wire *wire, const char *from, const char *name, const char *tag)
{
	char words[2048]; /* more than any of the tables with the longest name and tag */
	size_t n = template_fill(words, sizeof words, from, name, tag);

	return n ? wire_write(wire, words, n) : WIRE_LONG;
}
