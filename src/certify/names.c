/*
 * What may be named in a certificate. Stricter than what is accepted from peers: nothing is issued that one
 * of them might read in another way.
 */
#include <string.h>
#include "certify/certify.h"

enum { LABEL_MAX = 63 };

static bool is_digit(unsigned char byte)
{
	return byte >= '0' && byte <= '9';
}

static unsigned char folded(unsigned char byte)
{
	return byte >= 'A' && byte <= 'Z' ? (unsigned char)(byte + ('a' - 'A')) : byte;
}

static bool is_letter(unsigned char byte)
{
	return folded(byte) >= 'a' && folded(byte) <= 'z';
}

/* What is wrong with bytes of any kind of name; NULL: nothing. */
static const char *refuse_bytes(const char *text)
{
	for (; *text; text++) {
		unsigned char byte = (unsigned char)*text;

		if (byte < ' ' || byte == 0x7f)
			return "control characters are not allowed";
		if (byte >= 0x80)
			return "not ASCII: write its labels as xn--...";
	}
	return NULL;
}

/* Labels of letters, digits and inner hyphens (RFC 1123 2.1), the last one not a number (RFC 3696 2). */
static const char *refuse_host(const char *text)
{
	size_t n = strlen(text);
	bool number = true;

	if (n == 0 || n > CERTIFY_HOST_MAX)
		return n ? "host name of more than 253 bytes" : "empty host name";
	for (;;) {
		size_t label = strcspn(text, ".");

		if (label == 0)
			return "host name with an empty label, or a dot at its end";
		if (label > LABEL_MAX)
			return "host name with a label of more than 63 bytes";
		if (text[0] == '-' || text[label - 1] == '-')
			return "host name with a hyphen at the end of a label";
		number = true;
		for (size_t i = 0; i < label; i++) {
			unsigned char byte = (unsigned char)text[i];

			if (!is_letter(byte) && !is_digit(byte) && byte != '-')
				return "neither a host name nor an address";
			number = number && is_digit(byte);
		}
		if (!text[label])
			break;
		text += label + 1;
	}
	return number ? "neither a host name nor an address" : NULL;
}

/* Dot-string (RFC 5321 4.1.2) and a host. */
static const char *refuse_mail(const char *text, size_t mailbox)
{
	static const char atext[] = "!#$%&'*+-/=?^_`{|}~";

	if (mailbox == 0 || mailbox > CERTIFY_MAILBOX_MAX)
		return mailbox ? "mail address with more than 64 bytes before the @"
					   : "mail address without a mailbox";
	for (size_t i = 0; i < mailbox; i++) {
		unsigned char byte = (unsigned char)text[i];

		if (byte == '.' ? i == 0 || i == mailbox - 1 || text[i + 1] == '.'
						: !is_letter(byte) && !is_digit(byte) && !strchr(atext, byte))
			return "not a mail address";
	}
	return refuse_host(text + mailbox + 1);
}

static void take(struct certify_name *name, enum certify_name_kind kind, const char *text, size_t as_it_is)
{
	name->kind = kind;
	name->n = strlen(text); /* which has been found to fit */
	for (size_t i = 0; i < name->n; i++)
		name->at[i] = i < as_it_is ? (unsigned char)text[i] : folded((unsigned char)text[i]);
}

const char *certify_read_name(const char *text, struct certify_name *name)
{
	const char *bad = refuse_bytes(text), *host = text, *at = strrchr(text, '@');
	unsigned char address[16];
	size_t n = strchr(text, '%') ? 0 : x509_scan_address(text, address);

	if (bad)
		return bad;
	if (n > 0) {
		name->kind = CERTIFY_ADDRESS;
		name->n = n;
		memcpy(name->at, address, n);
		return NULL;
	}
	if (at) {
		bad = refuse_mail(text, (size_t)(at - text));
		if (!bad)
			take(name, CERTIFY_MAIL, text, (size_t)(at - text));
		return bad;
	}
	if (strncmp(text, "*.", 2) == 0) {
		host += 2;
		if (!strchr(host, '.'))
			return "a * stands for a label of a name with at least two more"; /* nobody would accept it */
	}
	bad = strlen(text) > CERTIFY_HOST_MAX ? "host name of more than 253 bytes" : refuse_host(host);
	if (!bad)
		take(name, CERTIFY_HOST, text, 0);
	return bad;
}

/* The length of the character at text, in its only form (RFC 3629 4), and its number; 0: not UTF-8. */
static size_t character(const unsigned char *text, unsigned long *number)
{
	static const unsigned long least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	size_t n = text[0] < 0x80 ? 1 : text[0] >= 0xf0 ? 4 : text[0] >= 0xe0 ? 3 : 2;

	if (text[0] >= 0xf8 || (text[0] >= 0x80 && text[0] < 0xc0))
		return 0;
	*number = n == 1 ? text[0] : text[0] & (0x7fU >> n);
	for (size_t i = 1; i < n; i++) {
		if ((text[i] & 0xc0) != 0x80) /* the end of the string among them */
			return 0;
		*number = *number << 6 | (text[i] & 0x3f);
	}
	return *number < least[n] || *number > 0x10ffff || (*number >= 0xd800 && *number < 0xe000) ? 0 : n;
}

const char *certify_refuse_common_name(const char *text)
{
	size_t characters = 0;

	if (!*text)
		return "empty common name";
	if (text[0] == ' ' || text[strlen(text) - 1] == ' ')
		return "common name with a blank at its end";
	for (const unsigned char *at = (const unsigned char *)text; *at; characters++) {
		unsigned long number;
		size_t n = character(at, &number);

		if (n == 0)
			return "common name that is not UTF-8";
		/* C0, DEL, C1; line and paragraph separators, marks that turn the direction of text */
		if (number < ' ' || (number >= 0x7f && number < 0xa0) || (number >= 0x2028 && number <= 0x202e) ||
			(number >= 0x2066 && number <= 0x2069))
			return "control characters are not allowed";
		at += n;
	}
	return characters > CERTIFY_COMMON_NAME_MAX ? "common name of more than 64 characters" : NULL;
}
