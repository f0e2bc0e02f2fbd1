/*
 * Whether two distinguished names are the same, or one begins with the other (RFC 5280 7.1): for path
 * building, which looks for issuers by name, and for name constraints. Reads its way through both names once;
 * only attributes that share an RDN are compared each with each, and of those there is a bound.
 */
#include "path.h"

/* More attributes in one RDN than this are compared byte by byte. */
enum { ATTRIBUTES_MAX = 16 };

struct attribute {
	struct bytes oid, content;
	unsigned tag;
};

static void skip_blanks(struct bytes *text)
{
	while (text->n > 0 && text->at[0] == ' ') {
		text->at++;
		text->n--;
	}
}

static struct bytes trimmed(struct bytes text)
{
	skip_blanks(&text);
	while (text.n > 0 && text.at[text.n - 1] == ' ')
		text.n--;
	return text;
}

/* ASCII case, blanks at both ends and the length of runs of blanks do not count; bytes of other characters
 * do. */
static bool same_text(struct bytes a, struct bytes b)
{
	a = trimmed(a);
	b = trimmed(b);
	while (a.n > 0 && b.n > 0) {
		if (ascii_folded(a.at[0]) != ascii_folded(b.at[0]))
			return false;
		if (a.at[0] == ' ') {
			skip_blanks(&a);
			skip_blanks(&b);
		} else {
			a = (struct bytes){ a.at + 1, a.n - 1 };
			b = (struct bytes){ b.at + 1, b.n - 1 };
		}
	}
	return a.n == 0 && b.n == 0;
}

/* The string types whose ASCII characters are ASCII bytes in all of them: those that RFC 5280 wants used, and
 * that of mail addresses and domain components. */
static bool is_plain_text(unsigned tag)
{
	return tag == DER_PRINTABLE_STRING || tag == DER_UTF8_STRING || tag == DER_IA5_STRING;
}

static bool same_attribute(const struct attribute *a, const struct attribute *b)
{
	if (!bytes_equal(a->oid, b->oid))
		return false;
	if (is_plain_text(a->tag) && is_plain_text(b->tag))
		return same_text(a->content, b->content);
	return a->tag == b->tag && bytes_equal(a->content, b->content);
}

/* Takes the attributes of an RDN apart: how many there are, 0 if there are too many or they are malformed. */
static size_t attributes(struct bytes rdn, struct attribute found[ATTRIBUTES_MAX])
{
	size_t n = 0;
	struct bytes pair;
	for (; rdn.n > 0; n++)
		if (n == ATTRIBUTES_MAX || !der_take(&rdn, DER_SEQUENCE, &pair) ||
			!der_take(&pair, DER_OID, &found[n].oid) || !der_next(&pair, &found[n].tag, &found[n].content) ||
			pair.n != 0)
			return 0;
	return n;
}

/* The order in a SET says nothing, all the less as DER sorts by the bytes that do not count here. */
static bool same_rdn(struct bytes a, struct bytes b)
{
	struct attribute in_a[ATTRIBUTES_MAX], in_b[ATTRIBUTES_MAX];
	unsigned used = 0; /* attributes of b that have their like in a */
	if (bytes_equal(a, b))
		return true;
	size_t n = attributes(a, in_a), j;
	if (n == 0 || attributes(b, in_b) != n)
		return false;
	for (size_t i = 0; i < n; i++) {
		for (j = 0; j < n; j++)
			if ((used & 1U << j) == 0 && same_attribute(&in_a[i], &in_b[j]))
				break;
		if (j == n)
			return false;
		used |= 1U << j;
	}
	return true;
}

/* Takes from the front of both sequences of RDNs what is the same, and says whether nothing is left of base.
 */
static bool take_common(struct bytes *name, struct bytes *base)
{
	struct bytes of_name, of_base;
	while (base->n > 0)
		if (!der_take(name, DER_SET, &of_name) || !der_take(base, DER_SET, &of_base) ||
			!same_rdn(of_name, of_base))
			return false;
	return true;
}

/* The RDNs of a Name. */
static bool rdns(struct bytes name, struct bytes *content)
{
	return der_take(&name, DER_SEQUENCE, content) && name.n == 0;
}

bool x509_same_name(struct bytes a, struct bytes b)
{
	struct bytes in_a, in_b;
	if (bytes_equal(a, b))
		return true;
	return rdns(a, &in_a) && rdns(b, &in_b) && take_common(&in_a, &in_b) && in_a.n == 0;
}

bool name_begins_with(struct bytes name, struct bytes base)
{
	struct bytes in_name, in_base;
	return rdns(name, &in_name) && rdns(base, &in_base) && take_common(&in_name, &in_base);
}

bool name_has_plain_text(struct bytes name)
{
	struct attribute found[ATTRIBUTES_MAX];
	struct bytes sequence, rdn;
	if (!rdns(name, &sequence))
		return false;
	while (sequence.n > 0) {
		size_t n = der_take(&sequence, DER_SET, &rdn) ? attributes(rdn, found) : 0;
		if (n == 0)
			return false;
		for (size_t i = 0; i < n; i++)
			if (!is_plain_text(found[i].tag))
				return false;
	}
	return true;
}
