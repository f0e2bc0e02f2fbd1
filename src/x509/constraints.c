/*
 * Name constraints (RFC 5280 4.2.1.10): reading the extension, and whether the names of a certificate are
 * within what an authority above it is limited to. What is in doubt is refused: a name that cannot be read is
 * not within anything, a base that cannot be read may exclude everything.
 */
#include "path.h"
#include "text.h"

#include <string.h>

/* The alternatives of GeneralName by the number of their tag (RFC 5280 4.2.1.6). */
enum { OTHER_NAME, RFC822_NAME, DNS_NAME, X400_ADDRESS, DIRECTORY_NAME, EDI_PARTY_NAME, URI, IP_ADDRESS };

static const unsigned char general_name_tag[] = { 0xa0, 0x81, 0x82, 0xa3, 0xa4, 0xa5, 0x86, 0x87, 0x88 };

static const char outside[] = "name is not within the name constraints of an issuer";
static const char excluded[] = "name is excluded by the name constraints of an issuer";
static const char malformed[] = "name is malformed, and an issuer constrains names of its kind";
static const char not_understood[] = "name constraints of an issuer exclude what is no name";
static const char not_comparable[] = "name cannot be compared with what an issuer excludes";
static const char not_supported[] = "issuer constrains a kind of name that is not supported";
static const char too_many[] = "too many names and name constraints";

enum { COMPARISON_BYTES = 32 }; /* of both names together, for each comparison that is counted */

/* The number of a GeneralName's tag; false if there is no such alternative. */
static bool name_kind(unsigned tag, unsigned *kind)
{
	*kind = tag & 0x1f;
	return *kind < sizeof general_name_tag && tag == general_name_tag[*kind];
}

/* The last n bytes. */
static struct bytes tail(struct bytes text, size_t n)
{
	return (struct bytes){ text.at + (text.n - n), n };
}

/* ---- reading ---- */

/* An address and a mask of the same size, whose ones are all before its zeros. */
static bool is_network(struct bytes base)
{
	if (base.n != 8 && base.n != 32)
		return false;
	bool ended = false;
	for (size_t i = base.n / 2; i < base.n; i++)
		for (unsigned bit = 0x80; bit != 0; bit >>= 1) {
			bool one = (base.at[i] & bit) != 0;
			if (one && ended)
				return false;
			ended = !one;
		}
	return true;
}

static bool is_ascii(struct bytes text)
{
	for (size_t i = 0; i < text.n; i++)
		if (text.at[i] >= 0x80)
			return false;
	return true;
}

/* Whether base has the syntax of its kind. Kinds that are never compared are left as they are. */
static bool base_is_well_formed(unsigned kind, struct bytes base)
{
	switch (kind) {
	case RFC822_NAME:
	case DNS_NAME:
	case URI:
		return is_ascii(base);
	case DIRECTORY_NAME:
		return name_is_well_formed(base);
	case IP_ADDRESS:
		return is_network(base);
	default:
		return true;
	}
}

/*
 * GeneralSubtrees. RFC 5280 lets only minimum 0 and no maximum be. As the default, DER leaves the 0 out
 * (X.690 11.5); written down it says the same.
 */
static bool subtrees_are_well_formed(struct bytes list)
{
	enum { MINIMUM_0 = 0x80 };
	struct bytes subtree, base, minimum;
	unsigned tag, kind;
	if (list.n == 0)
		return false;
	while (list.n > 0) {
		if (!der_take(&list, DER_SEQUENCE, &subtree) || !der_next(&subtree, &tag, &base) ||
			!name_kind(tag, &kind) || !base_is_well_formed(kind, base))
			return false;
		if (der_take(&subtree, MINIMUM_0, &minimum) && (minimum.n != 1 || minimum.at[0] != 0))
			return false;
		if (subtree.n != 0)
			return false;
	}
	return true;
}

bool constraints_read(struct bytes value, struct x509_certificate *certificate)
{
	enum { PERMITTED_0 = 0xa0, EXCLUDED_1 = 0xa1 };
	struct bytes content, permitted = { NULL, 0 }, refused = { NULL, 0 };
	if (!der_take(&value, DER_SEQUENCE, &content) || value.n != 0 || content.n == 0)
		return false;
	if (der_take(&content, PERMITTED_0, &permitted) && !subtrees_are_well_formed(permitted))
		return false;
	if (der_take(&content, EXCLUDED_1, &refused) && !subtrees_are_well_formed(refused))
		return false;
	if (content.n != 0)
		return false;
	certificate->permitted_subtrees = permitted;
	certificate->excluded_subtrees = refused;
	return true;
}

/* ---- comparing ---- */

/* True if name ends with a dot and base, ASCII case aside. */
static bool is_below(struct bytes name, struct bytes base)
{
	return name.n > base.n && name.at[name.n - base.n - 1] == '.' && host_equal(tail(name, base.n), base);
}

static bool is_at_or_below(struct bytes name, struct bytes base)
{
	return host_equal(name, base) || is_below(name, base);
}

/* A host name without * in it. */
static bool is_host(struct bytes name)
{
	return host_is_well_formed(name) && name.at[0] != '*';
}

/* Takes the dot off a base that stands only for what is below. */
static bool take_dot(struct bytes *base)
{
	if (base->n == 0 || base->at[0] != '.')
		return false;
	*base = tail(*base, base->n - 1);
	return true;
}

/*
 * *.x stands for all names of one more label than x, and for nothing else. With any_of_it, one of these in
 * the subtree is enough (so it is for what is excluded), else all have to be.
 */
static bool dns_is_within(struct bytes name, struct bytes base, bool any_of_it)
{
	if (base.n == 0)
		return true;
	bool only_below = take_dot(&base);
	if (name.at[0] != '*')
		return only_below ? is_below(name, base) : is_at_or_below(name, base);
	struct bytes parent = tail(name, name.n - 2);
	if (is_at_or_below(parent, base))
		return true;
	return any_of_it && !only_below && is_below(base, parent) &&
		   memchr(base.at, '.', base.n - parent.n - 1) == NULL;
}

/*
 * Splits a mailbox at its only @. The local part is a dot-atom (RFC 5321 4.1.2), dots wherever they are; a
 * quoted one, of which one mailbox can have many forms, is no mailbox here, nor is one at an address.
 */
static bool split_mailbox(struct bytes mailbox, struct bytes *local, struct bytes *host)
{
	const unsigned char *at = mailbox.n == 0 ? NULL : memchr(mailbox.at, '@', mailbox.n);
	if (at == NULL || at == mailbox.at)
		return false;
	*local = (struct bytes){ mailbox.at, (size_t)(at - mailbox.at) };
	*host = tail(mailbox, mailbox.n - local->n - 1);
	for (size_t i = 0; i < local->n; i++)
		if (local->at[i] <= ' ' || local->at[i] >= 0x7f || strchr("\"(),:;<>[\\]", local->at[i]) != NULL)
			return false;
	return is_host(*host);
}

static bool mailbox_is_within(struct bytes mailbox, struct bytes base)
{
	struct bytes local, host, base_local, base_host;
	if (base.n == 0)
		return true;
	if (!split_mailbox(mailbox, &local, &host))
		return false;
	if (split_mailbox(base, &base_local, &base_host))
		return bytes_equal(local, base_local) && host_equal(host, base_host);
	return take_dot(&base) ? is_below(host, base) : host_equal(host, base);
}

static bool address_is_within(struct bytes address, struct bytes base)
{
	if (base.n != 2 * address.n)
		return false;
	for (size_t i = 0; i < address.n; i++)
		if (((address.at[i] ^ base.at[i]) & base.at[address.n + i]) != 0)
			return false;
	return true;
}

static bool is_compared(unsigned kind)
{
	return kind == RFC822_NAME || kind == DNS_NAME || kind == DIRECTORY_NAME || kind == IP_ADDRESS;
}

static bool name_is_comparable(unsigned kind, struct bytes name)
{
	struct bytes local, host;
	switch (kind) {
	case RFC822_NAME:
		return split_mailbox(name, &local, &host);
	case DNS_NAME:
		return host_is_well_formed(name);
	case DIRECTORY_NAME:
		return name_is_well_formed(name);
	case IP_ADDRESS:
		return name.n == 4 || name.n == 16;
	default:
		return false;
	}
}

/* A base that is not would never have anything within it. That is safe only where it permits. */
static bool base_is_comparable(unsigned kind, struct bytes base)
{
	struct bytes local, host;
	if (kind == RFC822_NAME && split_mailbox(base, &local, &host))
		return true;
	if ((kind == RFC822_NAME || kind == DNS_NAME) && base.n > 0) {
		(void)take_dot(&base);
		return is_host(base);
	}
	return true;
}

static bool is_within(unsigned kind, struct bytes name, struct bytes base, bool any_of_it)
{
	switch (kind) {
	case RFC822_NAME:
		return mailbox_is_within(name, base);
	case DNS_NAME:
		return dns_is_within(name, base, any_of_it);
	case DIRECTORY_NAME:
		return name_begins_with(name, base);
	case IP_ADDRESS:
		return address_is_within(name, base);
	default:
		return false;
	}
}

/* ---- the names of a certificate ---- */

/* What names are held against. */
struct limits {
	struct bytes permitted, excluded;
	unsigned permitted_kinds, excluded_kinds; /* a bit for each kind that is named there */
	bool critical;
	unsigned *comparisons;
};

/* Takes the next base off the front of subtrees that constraints_read has found well-formed. */
static bool next_base(struct bytes *subtrees, unsigned *kind, struct bytes *base)
{
	struct bytes subtree;
	unsigned tag;
	return der_take(subtrees, DER_SEQUENCE, &subtree) && der_next(&subtree, &tag, base) &&
		   name_kind(tag, kind);
}

static unsigned kinds_of(struct bytes subtrees)
{
	unsigned kinds = 0, kind;
	struct bytes base;
	while (next_base(&subtrees, &kind, &base))
		kinds |= 1U << kind;
	return kinds;
}

/* Bases of other kinds count as comparisons as well, so that passing over them is bounded, too; and long
 * names as several. */
static bool may_compare(const struct limits *limits, struct bytes name, struct bytes base)
{
	size_t cost = 1 + (name.n + base.n) / COMPARISON_BYTES;
	if (*limits->comparisons < cost)
		return false;
	*limits->comparisons -= (unsigned)cost;
	return true;
}

static const char *refuse_not_permitted(const struct limits *limits, unsigned kind, struct bytes name)
{
	struct bytes subtrees = limits->permitted, base;
	unsigned kind_of_base;
	if ((limits->permitted_kinds & 1U << kind) == 0)
		return NULL;
	while (next_base(&subtrees, &kind_of_base, &base)) {
		if (!may_compare(limits, name, base))
			return too_many;
		if (kind_of_base == kind && is_within(kind, name, base, false))
			return NULL;
	}
	return outside;
}

static const char *refuse_excluded(const struct limits *limits, unsigned kind, struct bytes name)
{
	struct bytes subtrees = limits->excluded, base;
	unsigned kind_of_base;
	if ((limits->excluded_kinds & 1U << kind) == 0)
		return NULL;
	while (next_base(&subtrees, &kind_of_base, &base)) {
		if (!may_compare(limits, name, base))
			return too_many;
		if (kind_of_base != kind)
			continue;
		if (!base_is_comparable(kind, base))
			return not_understood;
		if (kind == DIRECTORY_NAME && !(name_has_plain_text(name) && name_has_plain_text(base)))
			return not_comparable;
		if (is_within(kind, name, base, true))
			return excluded;
	}
	return NULL;
}

static bool is_limited(const struct limits *limits, unsigned kind)
{
	return ((limits->permitted_kinds | limits->excluded_kinds) & 1U << kind) != 0;
}

static const char *refuse_name(const struct limits *limits, unsigned kind, struct bytes name)
{
	if (!is_limited(limits, kind))
		return NULL;
	if (!is_compared(kind))
		return limits->critical ? not_supported : NULL;
	if (!name_is_comparable(kind, name))
		return malformed;
	const char *refusal = refuse_excluded(limits, kind, name);
	return refusal != NULL ? refusal : refuse_not_permitted(limits, kind, name);
}

static const char *refuse_alternative_names(const struct limits *limits, struct bytes names)
{
	struct bytes name;
	unsigned tag, kind;
	while (der_next(&names, &tag, &name)) {
		const char *refusal = NULL;
		if (name_kind(tag, &kind))
			refusal = refuse_name(limits, kind, name);
		else if (is_limited(limits, kind)) /* the form of one kind with the number of another */
			refusal = malformed;
		if (refusal != NULL)
			return refusal;
	}
	return NULL;
}

/* Mailboxes in the subject, where they stood before there were alternative names. */
static const char *refuse_email_addresses(const struct limits *limits, struct bytes subject)
{
	static const unsigned char pkcs9_email[] = { 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 1 };
	struct name_walk walk;
	struct name_attribute attribute;
	const char *refusal = NULL;
	if (!is_limited(limits, RFC822_NAME) || !name_begin(&walk, subject))
		return NULL;
	while (refusal == NULL && name_next(&walk, &attribute) > 0) {
		if (!bytes_equal(attribute.oid, (struct bytes){ pkcs9_email, sizeof pkcs9_email }))
			continue;
		if (attribute.tag == DER_IA5_STRING || attribute.tag == DER_UTF8_STRING ||
			attribute.tag == DER_PRINTABLE_STRING)
			refusal = refuse_name(limits, RFC822_NAME, attribute.content);
		else
			refusal = malformed;
	}
	return refusal;
}

const char *constraints_refuse(const struct x509_certificate *authority,
	const struct x509_certificate *certificate, bool host_in_common_name, unsigned *comparisons)
{
	enum { EMPTY_NAME = 2 }; /* bytes of a SEQUENCE of nothing */
	struct limits limits = {
		.permitted = authority->permitted_subtrees,
		.excluded = authority->excluded_subtrees,
		.permitted_kinds = kinds_of(authority->permitted_subtrees),
		.excluded_kinds = kinds_of(authority->excluded_subtrees),
		.critical = authority->name_constraints_critical,
		.comparisons = comparisons,
	};
	struct bytes common_name;
	const char *refusal = NULL;
	if (limits.permitted_kinds == 0 && limits.excluded_kinds == 0)
		return NULL;
	if (certificate->subject.n > EMPTY_NAME)
		refusal = refuse_name(&limits, DIRECTORY_NAME, certificate->subject);
	if (refusal == NULL)
		refusal = refuse_alternative_names(&limits, certificate->alternative_names);
	if (refusal == NULL && certificate->alternative_names.n == 0)
		refusal = refuse_email_addresses(&limits, certificate->subject);
	if (refusal == NULL && host_in_common_name && !host_has_entries(certificate)) {
		/* One that is no host name is for no host (x509_is_for_host), and so needs no permission. */
		common_name = host_common_name(certificate);
		if (host_is_well_formed(common_name))
			refusal = refuse_name(&limits, DNS_NAME, common_name);
	}
	return refusal;
}
