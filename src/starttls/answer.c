/*
 * The forms in which servers of line protocols answer. Fed line by line, so that it serves for what comes
 * from a socket (client.c) and for what a program writes (relay.c).
 */
#include <string.h>
#include "internal.h"

static char lower(char c)
{
	return (char)(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
}

bool same_letters(const char *a, const char *b, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (lower(a[i]) != lower(b[i]))
			return false;
	return true;
}

/* The line is that word, or begins with it and a blank. */
static bool begins_with(const char *line, size_t n, const char *word, size_t word_n)
{
	return n >= word_n && same_letters(line, word, word_n) && (n == word_n || line[word_n] == ' ');
}

static bool begins_with_one_of(const char *line, size_t n, const char *words)
{
	for (;;) {
		size_t word_n = strcspn(words, "|");

		if (begins_with(line, n, words, word_n))
			return true;
		if (!words[word_n])
			return false;
		words += word_n + 1;
	}
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool has_code(const char *line, size_t n)
{
	return n >= 3 && is_digit(line[0]) && is_digit(line[1]) && is_digit(line[2]);
}

static bool ends_in_literal(const char *line, size_t n)
{
	return n && line[n - 1] == '}';
}

static enum answer_state good_or_bad(bool good)
{
	return good ? ANSWER_GOOD : ANSWER_BAD;
}

static enum answer_state smtp_line(struct answer_reader *reader, const char *line, size_t n)
{
	const struct answer_rule *rule = reader->rule;

	if (!has_code(line, n) || (n > 3 && line[3] != ' ' && line[3] != '-'))
		return ANSWER_BAD;
	if (reader->lines == 1) {
		memcpy(reader->code, line, 3);
		if (!begins_with_one_of(line, 3, rule->good))
			return ANSWER_BAD;
	} else if (memcmp(reader->code, line, 3) != 0) {
		return ANSWER_BAD;
	} else if (rule->keyword && n > 4 && begins_with(line + 4, n - 4, rule->keyword, strlen(rule->keyword))) {
		reader->keyword_seen = true;
	}
	return n > 3 && line[3] == '-' ? ANSWER_MORE : ANSWER_GOOD;
}

static enum answer_state ftp_line(struct answer_reader *reader, const char *line, size_t n)
{
	bool last;

	if (!reader->inside) {
		if (!has_code(line, n) || (n > 3 && line[3] != ' ' && line[3] != '-'))
			return ANSWER_BAD;
		memcpy(reader->code, line, 3);
		if (!begins_with_one_of(line, 3, reader->rule->good) && memcmp(line, "120", 3) != 0)
			return ANSWER_BAD;
		reader->inside = n > 3 && line[3] == '-';
		last = !reader->inside;
	} else {
		last = n > 3 && memcmp(line, reader->code, 3) == 0 && line[3] == ' ';
	}
	if (!last)
		return ANSWER_MORE;
	reader->inside = false;
	return memcmp(reader->code, "120", 3) == 0 ? ANSWER_MORE : ANSWER_GOOD;
}

/* A literal would make the next line part of this one; no answer that is waited for here holds any. */
static enum answer_state imap_line(const struct answer_reader *reader, const char *line, size_t n)
{
	if (ends_in_literal(line, n))
		return ANSWER_BAD;
	if (n >= 2 && line[0] == '*' && line[1] == ' ')
		return begins_with(line, n, "* BYE", 5) ? ANSWER_BAD : ANSWER_MORE;
	return good_or_bad(begins_with_one_of(line, n, reader->rule->good));
}

static enum answer_state sieve_line(struct answer_reader *reader, const char *line, size_t n)
{
	const char *keyword = reader->rule->keyword;

	if (ends_in_literal(line, n))
		return ANSWER_BAD;
	if (n < 1 || line[0] != '"')
		return good_or_bad(begins_with_one_of(line, n, reader->rule->good));
	if (keyword) {
		size_t keyword_n = strlen(keyword);
		if (n == keyword_n + 2 && same_letters(line + 1, keyword, keyword_n) && line[n - 1] == '"')
			reader->keyword_seen = true;
	}
	return ANSWER_MORE;
}

/* [":" prefix " "] command …; notices and the like come at any time. */
static enum answer_state irc_line(const struct answer_reader *reader, const char *line, size_t n)
{
	if (n && line[0] == ':') {
		const char *blank = memchr(line, ' ', n);
		if (!blank)
			return ANSWER_BAD;
		n -= (size_t)(blank + 1 - line);
		line = blank + 1;
	}
	if (begins_with_one_of(line, n, reader->rule->good))
		return ANSWER_GOOD;
	if (begins_with_one_of(line, n, "NOTICE|020") || n == 0)
		return ANSWER_MORE;
	return ANSWER_BAD;
}

enum answer_state answer_line(struct answer_reader *reader, const char *line, size_t n)
{
	if (++reader->lines > ANSWER_LINES_MAX)
		return ANSWER_BAD;
	switch (reader->rule->form) {
	case ANSWER_SMTP:
		return smtp_line(reader, line, n);
	case ANSWER_FTP:
		return ftp_line(reader, line, n);
	case ANSWER_IMAP:
		return imap_line(reader, line, n);
	case ANSWER_SIEVE:
		return sieve_line(reader, line, n);
	case ANSWER_IRC:
		return irc_line(reader, line, n);
	case ANSWER_LINE:
		break;
	}
	return good_or_bad(begins_with_one_of(line, n, reader->rule->good));
}
