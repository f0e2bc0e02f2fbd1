/*
 * Text from ASN.1: bounded appending, the character sets of DirectoryString and its kin turned into UTF-8
 * with whatever could do harm escaped, and object identifiers.
 */
#include "text.h"

#include <string.h>

void text_end(struct x509_text *out)
{
	if (out->n < out->room)
		out->at[out->n] = '\0';
	else
		out->overflow = true;
}

void text_byte(struct x509_text *out, char byte)
{
	if (out->room == 0 || out->n >= out->room - 1) {
		out->overflow = true;
		return;
	}
	out->at[out->n++] = byte;
	out->at[out->n] = '\0';
}

void text_string(struct x509_text *out, const char *string)
{
	while (*string != '\0')
		text_byte(out, *string++);
}

void text_number(struct x509_text *out, uint64_t number)
{
	char digits[20];
	size_t n = 0;
	do {
		digits[n++] = (char)('0' + number % 10);
		number /= 10;
	} while (number > 0);
	while (n > 0)
		text_byte(out, digits[--n]);
}

void text_double(struct x509_text *out, size_t from, char byte)
{
	size_t n = out->n, more = 0;

	for (size_t i = from; i < n; i++)
		more += out->at[i] == byte;
	if (more > out->room - 1 - n) {
		out->overflow = true;
		return;
	}
	out->n += more;
	out->at[out->n] = '\0';
	for (size_t i = n; i-- > from;) { /* from the end, so that nothing is overwritten before it has moved */
		out->at[i + more] = out->at[i];
		if (out->at[i] == byte)
			out->at[i + --more] = byte;
	}
}

static void hex_byte(struct x509_text *out, unsigned byte)
{
	static const char digit[] = "0123456789ABCDEF";
	text_byte(out, digit[byte >> 4 & 15]);
	text_byte(out, digit[byte & 15]);
}

void text_hex(struct x509_text *out, struct bytes bytes)
{
	for (size_t i = 0; i < bytes.n; i++)
		hex_byte(out, bytes.at[i]);
}

void text_oid(struct x509_text *out, struct bytes oid)
{
	bool sound = oid.n > 0 && oid.at[oid.n - 1] < 0x80;
	unsigned bits = 0;
	for (size_t i = 0; sound && i < oid.n; i++) {
		if (bits == 0 && oid.at[i] == 0x80)
			sound = false; /* longer than needed (X.690 8.19.2) */
		bits = oid.at[i] < 0x80 ? 0 : bits + 7;
		if (bits > 56)
			sound = false;
	}
	if (!sound) {
		text_byte(out, '#');
		text_hex(out, oid);
		return;
	}
	uint64_t arc = 0;
	bool first = true;
	for (size_t i = 0; i < oid.n; i++) {
		arc = arc << 7 | (oid.at[i] & 0x7fU);
		if (oid.at[i] >= 0x80)
			continue;
		if (first) {
			uint64_t root = arc < 80 ? arc / 40 : 2; /* X.690 8.19.4 */
			text_number(out, root);
			arc -= root * 40;
			first = false;
		}
		text_byte(out, '.');
		text_number(out, arc);
		arc = 0;
	}
}

enum charset { NO_TEXT, LATIN1, UTF8, UCS2, UCS4 };

/* T61String is taken as Latin-1, as everybody does; so is what has no business in the ASCII types. */
static enum charset charset_of(unsigned tag)
{
	enum { NUMERIC_STRING = 0x12, VISIBLE_STRING = 0x1a };
	switch (tag) {
	case DER_UTF8_STRING:
		return UTF8;
	case DER_BMP_STRING:
		return UCS2;
	case DER_UNIVERSAL_STRING:
		return UCS4;
	case NUMERIC_STRING:
	case DER_PRINTABLE_STRING:
	case DER_T61_STRING:
	case DER_IA5_STRING:
	case VISIBLE_STRING:
		return LATIN1;
	default:
		return NO_TEXT;
	}
}

static bool is_scalar(uint32_t c)
{
	return c <= 0x10ffff && (c < 0xd800 || c > 0xdfff);
}

/* One character of UTF-8 (RFC 3629: shortest form, no surrogates): how many bytes it has, 0 if it is
 * malformed. */
static size_t read_utf8(struct bytes in, uint32_t *c)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	unsigned char first = in.at[0];
	size_t length = first < 0x80   ? 1
					: first < 0xc2 ? 0
					: first < 0xe0 ? 2
					: first < 0xf0 ? 3
					: first < 0xf5 ? 4
								   : 0;
	if (length == 0 || length > in.n)
		return 0;
	uint32_t value = length == 1 ? first : first & (0x7fU >> length);
	for (size_t i = 1; i < length; i++) {
		if ((in.at[i] & 0xc0) != 0x80)
			return 0;
		value = value << 6 | (in.at[i] & 0x3fU);
	}
	if (value < least[length] || !is_scalar(value))
		return 0;
	*c = value;
	return length;
}

/* One character of BMPString; pairs of surrogates are read as in UTF-16, since some software writes them. */
static size_t read_ucs2(struct bytes in, uint32_t *c)
{
	if (in.n < 2)
		return 0;
	uint32_t unit = (uint32_t)in.at[0] << 8 | in.at[1];
	if (unit >= 0xd800 && unit <= 0xdbff && in.n >= 4) {
		uint32_t low = (uint32_t)in.at[2] << 8 | in.at[3];
		if (low < 0xdc00 || low > 0xdfff)
			return 0;
		*c = 0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
		return 4;
	}
	*c = unit;
	return is_scalar(unit) ? 2 : 0;
}

static size_t read_ucs4(struct bytes in, uint32_t *c)
{
	if (in.n < 4)
		return 0;
	*c = (uint32_t)in.at[0] << 24 | (uint32_t)in.at[1] << 16 | (uint32_t)in.at[2] << 8 | in.at[3];
	return is_scalar(*c) ? 4 : 0;
}

/* One character off the front: the bytes it took, 0 if what stands there is no text. */
static size_t read_character(enum charset charset, struct bytes in, uint32_t *c)
{
	switch (charset) {
	case LATIN1:
		*c = in.at[0];
		return 1;
	case UTF8:
		return read_utf8(in, c);
	case UCS2:
		return read_ucs2(in, c);
	case UCS4:
		return read_ucs4(in, c);
	case NO_TEXT:
		break;
	}
	return 0;
}

static size_t write_utf8(uint32_t c, unsigned char to[4])
{
	if (c < 0x80) {
		to[0] = (unsigned char)c;
		return 1;
	}
	size_t length = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
	for (size_t i = length; i-- > 1; c >>= 6)
		to[i] = (unsigned char)(0x80 | (c & 0x3f));
	to[0] = (unsigned char)(0xf00U >> length | c);
	return length;
}

static void escaped_byte(struct x509_text *out, unsigned byte)
{
	text_byte(out, '\\');
	hex_byte(out, byte);
}

/* Both blocks of control characters, the second because terminals obey U+009B as they do ESC [. */
static bool is_control(uint32_t c)
{
	return c < 0x20 || (c >= 0x7f && c < 0xa0);
}

/* True for a character that a backslash must precede (RFC 2253 2.4). */
static bool is_special(enum text_style style, uint32_t c, bool first, bool last)
{
	if (c == '\\')
		return true;
	if (style == TEXT_PLAIN || c >= 0x80 || c == 0)
		return false;
	if (strchr(",+\"<>;", (int)c) != NULL || (first && (c == ' ' || c == '#')))
		return true;
	return style == TEXT_SHORT ? c == '=' : last && c == ' ';
}

static void put_character(struct x509_text *out, enum text_style style, uint32_t c, bool first, bool last)
{
	unsigned char utf8[4];
	size_t n = write_utf8(c, utf8);
	bool hex = is_control(c) || (style == TEXT_RFC2253 && c >= 0x80);
	if (!hex && is_special(style, c, first, last))
		text_byte(out, '\\');
	for (size_t i = 0; i < n; i++) {
		if (hex)
			escaped_byte(out, utf8[i]);
		else
			text_byte(out, (char)utf8[i]);
	}
}

void text_value(
	struct x509_text *out, enum text_style style, unsigned tag, struct bytes content, struct bytes whole)
{
	enum charset charset = charset_of(tag);
	if (charset == NO_TEXT && (style == TEXT_RFC2253 || style == TEXT_RFC2253_UTF8)) {
		text_byte(out, '#');
		text_hex(out, whole);
		return;
	}
	for (size_t i = 0; i < content.n;) {
		uint32_t c;
		size_t used = read_character(charset, (struct bytes){ content.at + i, content.n - i }, &c);
		if (used == 0)
			escaped_byte(out, content.at[i++]);
		else
			put_character(out, style, c, i == 0, i + used == content.n);
		i += used;
	}
}
