/*
 * PEM (RFC 7468, with the headers of RFC 1421): finding blocks in text, decoding their base64 in place, and
 * writing a certificate as text. Lax about what stands between blocks and about line ends, strict about
 * boundaries and base64.
 */
#include "x509.h"
#include "text.h"

#include <string.h>

enum { LABEL_MAX = 64 };

/* What each character means in base64: 0..63, or one of these. */
enum { B64_OTHER = 0xff, B64_SPACE = 0xfe, B64_PAD = 0xfd };

/* clang-format off */
#define XX B64_OTHER
#define SP B64_SPACE
#define PD B64_PAD
#define X16 XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX
static const unsigned char meaning[256] = {
	XX, XX, XX, XX, XX, XX, XX, XX, XX, SP, SP, SP, SP, SP, XX, XX,
	XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX,
	SP, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, 62, XX, XX, XX, 63,
	52, 53, 54, 55, 56, 57, 58, 59, 60, 61, XX, XX, XX, PD, XX, XX,
	XX,  0,  1,  2,  3,  4,  5,  6,  7,  8,  9, 10, 11, 12, 13, 14,
	15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, XX, XX, XX, XX, XX,
	XX, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40,
	41, 42, 43, 44, 45, 46, 47, 48, 49, 50, 51, XX, XX, XX, XX, XX,
	X16, X16, X16, X16, X16, X16, X16, X16,
};
/* clang-format on */
#undef XX
#undef SP
#undef PD
#undef X16

static int fail(struct x509_problem *problem, const char *reason)
{
	*problem = (struct x509_problem){ .reason = reason };
	return -1;
}

static bool starts_with(const unsigned char *text, size_t n, const char *word)
{
	size_t length = strlen(word);
	return n >= length && memcmp(text, word, length) == 0;
}

static bool is_line_end(unsigned char c)
{
	return c == '\n' || c == '\r';
}

/*
 * Where the next "-----BEGIN " at the start of a line is, blanks before it allowed; n if there is none. The
 * place right behind a block counts as the start of a line, for files put together from ones that lack their
 * last newline.
 */
static size_t find_begin(const unsigned char *text, size_t n, size_t start)
{
	for (size_t i = start; i < n; i++) {
		const unsigned char *dash = memchr(text + i, '-', n - i);
		if (dash == NULL)
			return n;
		i = (size_t)(dash - text);
		if (!starts_with(dash, n - i, "-----BEGIN "))
			continue;
		size_t before = i;
		while (before > start && (text[before - 1] == ' ' || text[before - 1] == '\t'))
			before--;
		bool after_mark = before == 3 && starts_with(text, n, "\xef\xbb\xbf");
		if (before == start || is_line_end(text[before - 1]) || after_mark)
			return i;
	}
	return n;
}

/* Reads LABEL and "-----" at text[*at]; *at then stands behind them. */
static bool read_label(const unsigned char *text, size_t n, size_t *at, struct bytes *label)
{
	size_t i = *at;
	while (i < n && text[i] >= ' ' && text[i] <= '~' && i - *at <= LABEL_MAX) {
		if (starts_with(text + i, n - i, "-----")) {
			*label = (struct bytes){ text + *at, i - *at };
			*at = i + 5;
			return true;
		}
		i++;
	}
	return false;
}

static bool contains(struct bytes text, const char *word)
{
	for (size_t i = 0; i < text.n; i++)
		if (text.at[i] == (unsigned char)word[0] && starts_with(text.at + i, text.n - i, word))
			return true;
	return false;
}

/* True for a line "Name: …", which base64 cannot be. */
static bool is_header(const unsigned char *line, size_t n)
{
	size_t i = 0;
	while (i < n && (meaning[line[i]] < 64 || line[i] == '-'))
		i++;
	return i > 0 && i < n && line[i] == ':';
}

/* If the line is the header of that name, its value without the blanks around it. */
static bool header_value(const unsigned char *line, size_t n, const char *name, struct bytes *value)
{
	size_t length = strlen(name);
	if (!starts_with(line, n, name) || length == n || line[length] != ':')
		return false;
	line += length + 1;
	n -= length + 1;
	while (n > 0 && meaning[*line] == B64_SPACE) {
		line++;
		n--;
	}
	while (n > 0 && meaning[line[n - 1]] == B64_SPACE)
		n--;
	*value = (struct bytes){ line, n };
	return true;
}

/* Skips the headers of RFC 1421, if there are any, up to the blank line that ends them; what they say goes
 * into *block. False if they do not end. */
static bool skip_headers(const unsigned char *text, size_t n, size_t *at, struct pem_block *block)
{
	size_t line = *at;
	bool first = true;
	while (line < n && meaning[text[line]] == B64_SPACE)
		line++;
	for (;;) {
		size_t end = line;
		while (end < n && !is_line_end(text[end]))
			end++;
		if (first && !is_header(text + line, end - line))
			return true;
		first = false;
		if (end == n || starts_with(text + line, n - line, "-----"))
			return false;
		struct bytes value;
		if (header_value(text + line, end - line, "Proc-Type", &value) && contains(value, "ENCRYPTED"))
			block->encrypted = true;
		(void)header_value(text + line, end - line, "DEK-Info", &block->dek_info);
		bool blank = end == line;
		end += end + 1 < n && text[end] == '\r' && text[end + 1] == '\n' ? 2 : 1;
		line = end;
		*at = line;
		if (blank)
			return true;
	}
}

/* Decodes up to the first character that is not base64, which *at then names. Returns the bytes written to
 * text[*at..), -1 if malformed. */
static ptrdiff_t decode(unsigned char *text, size_t n, size_t *at)
{
	unsigned char *const start = text + *at, *out = start;
	const unsigned char *in = start, *const end = text + n;
	uint32_t group = 0;
	unsigned digits = 0, pads = 0;
	while (in < end) {
		/* What is written is never ahead of what is read: three bytes for at least four characters. */
		if (digits == 0 && pads == 0 && end - in >= 4) {
			uint32_t a = meaning[in[0]], b = meaning[in[1]], c = meaning[in[2]], d = meaning[in[3]];
			if ((a | b | c | d) < 64) {
				group = a << 18 | b << 12 | c << 6 | d;
				out[0] = (unsigned char)(group >> 16);
				out[1] = (unsigned char)(group >> 8);
				out[2] = (unsigned char)group;
				out += 3;
				in += 4;
				continue;
			}
		}
		unsigned char m = meaning[*in];
		if (m == B64_OTHER)
			break;
		in++;
		if (m == B64_SPACE)
			continue;
		if (m == B64_PAD) {
			pads++;
			continue;
		}
		if (pads > 0)
			break;
		group = (digits == 0 ? 0 : group << 6) | m;
		if (++digits == 4) {
			out[0] = (unsigned char)(group >> 16);
			out[1] = (unsigned char)(group >> 8);
			out[2] = (unsigned char)group;
			out += 3;
			digits = 0;
		}
	}
	*at = (size_t)(in - text);
	if (digits == 0 && pads == 0)
		return out - start;
	/* The bits that padding leaves over must be zero (RFC 4648 3.5). */
	if (digits == 2 && pads == 2 && (group & 0x0f) == 0) {
		*out++ = (unsigned char)(group >> 4);
		return out - start;
	}
	if (digits == 3 && pads == 1 && (group & 0x03) == 0) {
		*out++ = (unsigned char)(group >> 10);
		*out++ = (unsigned char)(group >> 2);
		return out - start;
	}
	return -1;
}

int pem_next(
	unsigned char *text, size_t n, size_t *offset, struct pem_block *block, struct x509_problem *problem)
{
	if (*offset >= n)
		return 0;
	size_t at = find_begin(text, n, *offset);
	if (at == n) {
		*offset = n;
		return 0;
	}
	at += strlen("-----BEGIN ");
	*offset = at;
	struct bytes label, end_label;
	if (!read_label(text, n, &at, &label))
		return fail(problem, "PEM boundary without a label and five dashes");
	*offset = at;
	struct pem_block found = { .label = label };
	if (!skip_headers(text, n, &at, &found))
		return fail(problem, "PEM headers that do not end");
	unsigned char *const content = text + at;
	ptrdiff_t length = decode(text, n, &at);
	*offset = at;
	if (at == n)
		return fail(problem, "PEM block without an end");
	if (length < 0 || text[at] != '-')
		return fail(problem, "PEM block that is not base64");
	if (!starts_with(text + at, n - at, "-----END "))
		return fail(problem, "PEM block without an end");
	at += strlen("-----END ");
	if (!read_label(text, n, &at, &end_label) || !bytes_equal(label, end_label))
		return fail(problem, "PEM block that ends with another label than it begins with");
	*offset = at;
	found.content = (struct bytes){ content, (size_t)length };
	*block = found;
	return 1;
}

bool pem_is(const struct pem_block *block, const char *label)
{
	return block->label.n == strlen(label) && memcmp(block->label.at, label, block->label.n) == 0;
}

static const char digit[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void x509_to_pem(struct bytes der, struct x509_text *out)
{
	enum { LINE_BYTES = 48 };
	text_string(out, "-----BEGIN CERTIFICATE-----\n");
	for (size_t i = 0; i < der.n; i += 3) {
		size_t left = der.n - i;
		uint32_t group = (uint32_t)der.at[i] << 16;
		if (left > 1)
			group |= (uint32_t)der.at[i + 1] << 8;
		if (left > 2)
			group |= der.at[i + 2];
		text_byte(out, digit[group >> 18]);
		text_byte(out, digit[group >> 12 & 63]);
		text_byte(out, left > 1 ? digit[group >> 6 & 63] : '=');
		text_byte(out, left > 2 ? digit[group & 63] : '=');
		if (left <= 3 || (i + 3) % LINE_BYTES == 0)
			text_byte(out, '\n');
	}
	text_string(out, "-----END CERTIFICATE-----\n");
}
