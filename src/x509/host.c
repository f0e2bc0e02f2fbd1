/*
 * Whether a certificate is for a host (RFC 9525 6), and what host names in certificates look like: for path
 * validation and for name constraints, which must agree on it.
 */
#include "path.h"
#include "text.h"

#include <string.h>

/* GeneralName (RFC 5280 4.2.1.6) */
enum { DNS_NAME = 0x82, IP_ADDRESS = 0x87 };

unsigned char ascii_folded(unsigned char byte)
{
	return byte >= 'A' && byte <= 'Z' ? (unsigned char)(byte + ('a' - 'A')) : byte;
}

bool host_equal(struct bytes a, struct bytes b)
{
	if (a.n != b.n)
		return false;
	for (size_t i = 0; i < a.n; i++)
		if (ascii_folded(a.at[i]) != ascii_folded(b.at[i]))
			return false;
	return true;
}

static bool is_wildcard(struct bytes entry)
{
	return entry.n > 2 && entry.at[0] == '*' && entry.at[1] == '.';
}

static bool is_host_byte(unsigned char byte)
{
	return (byte >= '0' && byte <= '9') || (byte >= 'A' && byte <= 'Z') || (byte >= 'a' && byte <= 'z') ||
		   byte == '-' || byte == '_';
}

bool host_is_well_formed(struct bytes entry)
{
	size_t label = 0; /* bytes of the label so far */
	for (size_t i = is_wildcard(entry) ? 2 : 0; i < entry.n; i++) {
		if (is_host_byte(entry.at[i]))
			label++;
		else if (entry.at[i] == '.' && label > 0)
			label = 0;
		else
			return false;
	}
	return label > 0;
}

bool host_has_entries(const struct x509_certificate *certificate)
{
	struct bytes names = certificate->alternative_names, entry;
	unsigned tag;
	while (der_next(&names, &tag, &entry))
		if (tag == DNS_NAME || tag == IP_ADDRESS)
			return true;
	return false;
}

struct bytes host_common_name(const struct x509_certificate *certificate)
{
	static const unsigned char id_at_common_name[] = { 0x55, 4, 3 };
	struct bytes last = { NULL, 0 };
	struct name_walk walk;
	struct name_attribute attribute;
	unsigned tag = 0;
	if (!name_begin(&walk, certificate->subject))
		return last;
	while (name_next(&walk, &attribute) > 0)
		if (bytes_equal(attribute.oid, (struct bytes){ id_at_common_name, sizeof id_at_common_name })) {
			last = attribute.content;
			tag = attribute.tag;
		}
	/* In these four types a byte below 128 is the ASCII character. */
	bool is_text = tag == DER_UTF8_STRING || tag == DER_PRINTABLE_STRING || tag == DER_IA5_STRING ||
				   tag == DER_T61_STRING;
	for (size_t i = 0; i < last.n; i++)
		is_text = is_text && last.at[i] >= ' ' && last.at[i] < 0x7f;
	return is_text ? last : (struct bytes){ NULL, 0 };
}

/* True if entry is the host, or a * in it above at least two labels stands for the first label of the host.
 */
static bool is_for(struct bytes entry, struct bytes host)
{
	if (!host_is_well_formed(entry))
		return false;
	if (!is_wildcard(entry))
		return host_equal(entry, host);
	entry = (struct bytes){ entry.at + 1, entry.n - 1 };
	if (memchr(entry.at + 1, '.', entry.n - 1) == NULL)
		return false;
	const unsigned char *dot = host.n == 0 ? NULL : memchr(host.at, '.', host.n);
	if (dot == NULL || dot == host.at)
		return false;
	size_t label = (size_t)(dot - host.at);
	return host_equal(entry, (struct bytes){ dot, host.n - label });
}

bool x509_is_for_host(
	const struct x509_certificate *leaf, const char *name, bool common_name, const char **reason)
{
	unsigned char binary[16];
	size_t address_n = x509_scan_address(name, binary);
	struct bytes host = { (const unsigned char *)name, strlen(name) };
	struct bytes names = leaf->alternative_names, last = { NULL, 0 }, entry;
	unsigned tag;

	if (address_n > 0 && x509_has_address(leaf, (struct bytes){ binary, address_n }))
		return true;
	while (address_n == 0 && der_next(&names, &tag, &entry))
		if (tag == DNS_NAME && is_for(entry, host))
			return true;
	if (common_name && address_n == 0 && !host_has_entries(leaf))
		last = host_common_name(leaf);
	if (is_for(last, host))
		return true;
	if (leaf->alternative_names.n == 0 && last.n == 0)
		*reason = "certificate is for no host: it has no subject alternative name";
	else
		*reason = address_n > 0 ? "certificate is for another address" : "certificate is for another name";
	return false;
}
