/*
 * Writing DER (ITU-T X.690) from its end to its beginning: the length of an element is known when the turn of
 * its header comes, so nothing is measured beforehand and nothing is moved.
 */
#include "x509.h"

#include <stdio.h>
#include <string.h>

struct der_writer der_write_into(void *memory, size_t room)
{
	return (struct der_writer){ .at = memory, .room = room, .begin = room };
}

struct bytes der_written(const struct der_writer *w)
{
	return (struct bytes){ w->at + w->begin, w->room - w->begin };
}

void der_put(struct der_writer *w, const void *bytes, size_t n)
{
	if (n > w->begin)
		w->overflow = true;
	if (w->overflow || n == 0)
		return;
	w->begin -= n;
	memcpy(w->at + w->begin, bytes, n);
}

void der_put_byte(struct der_writer *w, unsigned byte)
{
	der_put(w, &(unsigned char){ (unsigned char)byte }, 1);
}

void der_wrap(struct der_writer *w, unsigned tag, size_t end)
{
	size_t n = end - w->begin;
	unsigned octets = 0;

	if (n < 0x80) {
		der_put_byte(w, (unsigned)n);
	} else {
		for (; n > 0; n >>= 8, octets++)
			der_put_byte(w, n & 0xff);
		der_put_byte(w, 0x80 | octets);
	}
	der_put_byte(w, tag);
}

void der_put_element(struct der_writer *w, unsigned tag, const void *content, size_t n)
{
	size_t end = w->begin;

	der_put(w, content, n);
	der_wrap(w, tag, end);
}

void der_put_positive(struct der_writer *w, struct bytes number)
{
	size_t end = w->begin;

	while (number.n > 0 && number.at[0] == 0) {
		number.at++;
		number.n--;
	}
	der_put(w, number.at, number.n);
	if (number.n == 0 || number.at[0] >= 0x80)
		der_put_byte(w, 0);
	der_wrap(w, DER_INTEGER, end);
}

void der_wrap_in_bits(struct der_writer *w, size_t end)
{
	der_put_byte(w, 0); /* no unused bits */
	der_wrap(w, DER_BIT_STRING, end);
}

void der_put_time(struct der_writer *w, int64_t unix_seconds)
{
	enum { DAY = 86400, DAYS_FROM_YEAR_0 = 719468, ERA_YEARS = 400, ERA_DAYS = 146097 };
	const int64_t first = INT64_C(-62167219200), last = INT64_C(253402300799); /* the years 0 and 9999 */
	char text[64];

	if (unix_seconds < first || unix_seconds > last) {
		w->overflow = true;
		return;
	}
	/* Years that begin in March have the leap day at their end; every 400 of them are alike. */
	int64_t days = unix_seconds / DAY, second = unix_seconds % DAY;
	if (second < 0) {
		second += DAY;
		days--;
	}
	days += DAYS_FROM_YEAR_0;
	int64_t era = (days >= 0 ? days : days - (ERA_DAYS - 1)) / ERA_DAYS, of_era = days - era * ERA_DAYS;
	int64_t year = (of_era - of_era / 1460 + of_era / 36524 - of_era / (ERA_DAYS - 1)) / 365;
	int64_t of_year = of_era - (365 * year + year / 4 - year / 100), month = (5 * of_year + 2) / 153;
	int64_t day = of_year - (153 * month + 2) / 5 + 1;

	month = month < 10 ? month + 3 : month - 9;
	year += era * ERA_YEARS + (month <= 2);
	(void)snprintf(text, sizeof text, "%04d%02d%02d%02d%02d%02dZ", (int)year, (int)month, (int)day,
		(int)(second / 3600), (int)(second / 60 % 60), (int)(second % 60));
	if (year >= 1950 && year < 2050)
		der_put_element(w, DER_UTC_TIME, text + 2, 13);
	else
		der_put_element(w, DER_GENERALIZED_TIME, text, 15);
}
