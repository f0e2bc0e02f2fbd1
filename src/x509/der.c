/*
 * Reading DER (ITU-T X.690): elements, small integers and times. Every reader takes from the front of a
 * struct bytes and leaves it alone when it fails, so that callers may try one thing after another. Nothing
 * here recurses.
 */
#include "x509.h"

#include <string.h>

bool bytes_equal(struct bytes a, struct bytes b)
{
	return a.n == b.n && (a.n == 0 || memcmp(a.at, b.at, a.n) == 0);
}

/* Reads a definite length in its shortest form (X.690 10.1) from the n bytes at p; *used is how many it took.
 */
static bool read_length(const unsigned char *p, size_t n, size_t *length, size_t *used)
{
	if (n == 0)
		return false;
	if (p[0] < 0x80) {
		*length = p[0];
		*used = 1;
		return true;
	}
	size_t octets = p[0] & 0x7fU;
	if (octets == 0 || octets > 4 || octets > n - 1 || p[1] == 0)
		return false;
	uint32_t value = 0;
	for (size_t i = 1; i <= octets; i++)
		value = value << 8 | p[i];
	if (value < 0x80)
		return false;
	*length = value;
	*used = 1 + octets;
	return true;
}

/* Splits the first element of in into header and contents without taking it. */
static bool look(struct bytes in, unsigned *tag, size_t *header, struct bytes *content)
{
	size_t length, used;
	if (in.n < 2 || (in.at[0] & 0x1f) == 0x1f || !read_length(in.at + 1, in.n - 1, &length, &used))
		return false;
	if (length > in.n - 1 - used)
		return false;
	*tag = in.at[0];
	*header = 1 + used;
	*content = (struct bytes){ in.at + *header, length };
	return true;
}

static void advance(struct bytes *in, size_t n)
{
	in->at += n;
	in->n -= n;
}

bool der_next(struct bytes *in, unsigned *tag, struct bytes *content)
{
	size_t header;
	if (!look(*in, tag, &header, content))
		return false;
	advance(in, header + content->n);
	return true;
}

bool der_take(struct bytes *in, unsigned tag, struct bytes *content)
{
	unsigned found;
	size_t header;
	struct bytes inside;
	if (!look(*in, &found, &header, &inside) || found != tag)
		return false;
	*content = inside;
	advance(in, header + inside.n);
	return true;
}

bool der_take_whole(struct bytes *in, unsigned tag, struct bytes *whole)
{
	struct bytes rest = *in, content;
	if (!der_take(&rest, tag, &content))
		return false;
	*whole = (struct bytes){ in->at, in->n - rest.n };
	*in = rest;
	return true;
}

bool der_take_uint(struct bytes *in, uint64_t *value)
{
	struct bytes rest = *in, content;
	if (!der_take(&rest, DER_INTEGER, &content) || content.n == 0 || content.at[0] >= 0x80)
		return false;
	if (content.n > 1 && content.at[0] == 0) {
		if (content.at[1] < 0x80)
			return false; /* longer than needed */
		advance(&content, 1);
	}
	if (content.n > sizeof *value)
		return false;
	uint64_t number = 0;
	for (size_t i = 0; i < content.n; i++)
		number = number << 8 | content.at[i];
	*value = number;
	*in = rest;
	return true;
}

/* Two decimal digits, or -1. */
static int two_digits(const unsigned char *p)
{
	if (p[0] < '0' || p[0] > '9' || p[1] < '0' || p[1] > '9')
		return -1;
	return (p[0] - '0') * 10 + (p[1] - '0');
}

static bool is_leap(int year)
{
	return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

/* Days from 1970-01-01 to the first day of a year 0..9999 (proleptic Gregorian calendar). */
static int64_t days_to_year(int year)
{
	int64_t before = year - 1; /* whole years before this one, counted from the year 1 */
	int64_t leaps = year == 0 ? -1 : before / 4 - before / 100 + before / 400;
	return before * 365 + leaps - 719162;
}

bool der_take_time(struct bytes *in, int64_t *unix_seconds)
{
	static const int days_before[] = { 0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334 };
	static const int days_in[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	struct bytes rest = *in, text;
	int year;
	if (der_take(&rest, DER_UTC_TIME, &text)) {
		if (text.n != 13)
			return false;
		year = two_digits(text.at);
		if (year < 0)
			return false;
		year += year >= 50 ? 1900 : 2000; /* RFC 5280 4.1.2.5.1 */
		advance(&text, 2);
	} else if (der_take(&rest, DER_GENERALIZED_TIME, &text)) {
		if (text.n != 15)
			return false;
		int century = two_digits(text.at), rest_of_year = two_digits(text.at + 2);
		if (century < 0 || rest_of_year < 0)
			return false;
		year = century * 100 + rest_of_year;
		advance(&text, 4);
	} else {
		return false;
	}
	int month = two_digits(text.at), day = two_digits(text.at + 2), hour = two_digits(text.at + 4);
	int minute = two_digits(text.at + 6), second = two_digits(text.at + 8);
	if (text.at[10] != 'Z' || month < 1 || month > 12 || day < 1 || hour < 0 || hour > 23 || minute < 0 ||
		minute > 59 || second < 0 || second > 59)
		return false;
	bool leap = is_leap(year);
	if (day > days_in[month - 1] + (month == 2 && leap))
		return false;
	int64_t days = days_to_year(year) + days_before[month - 1] + (month > 2 && leap) + day - 1;
	*unix_seconds = ((days * 24 + hour) * 60 + minute) * 60 + second;
	*in = rest;
	return true;
}
