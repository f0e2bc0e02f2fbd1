/*
 * Distinguished names (RFC 5280 4.1.2.4): walking their attributes, and both forms of text.
 */
#include "text.h"

#include <string.h>

#define BYTES(array)                                                                                         \
	{                                                                                                        \
		array, sizeof array                                                                                  \
	}

/* The attribute types of X.520, id-at (2.5.4): by their last arc. */
static const struct {
	unsigned char arc;
	struct name_type type;
} directory_type[] = {
	{ 3, { "CN", "CN", true } },
	{ 4, { "SN", "S", false } },
	{ 5, { "serialNumber", "SerialNumber", false } },
	{ 6, { "C", "C", true } },
	{ 7, { "L", "L", true } },
	{ 8, { "ST", "ST", true } },
	{ 9, { "street", NULL, false } },
	{ 10, { "O", "O", true } },
	{ 11, { "OU", "OU", true } },
	{ 12, { "title", "T", false } },
	{ 13, { "description", "D", false } },
	{ 15, { "businessCategory", NULL, false } },
	{ 16, { "postalAddress", NULL, false } },
	{ 17, { "postalCode", NULL, false } },
	{ 18, { "postOfficeBox", NULL, false } },
	{ 20, { "telephoneNumber", NULL, false } },
	{ 41, { "name", NULL, false } },
	{ 42, { "GN", "G", false } },
	{ 43, { "initials", "I", false } },
	{ 44, { "generationQualifier", NULL, false } },
	{ 45, { "x500UniqueIdentifier", NULL, false } },
	{ 46, { "dnQualifier", NULL, false } },
	{ 65, { "pseudonym", NULL, false } },
	{ 72, { "role", NULL, false } },
	{ 97, { "organizationIdentifier", NULL, false } },
};

static const unsigned char email_address[] = { 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x01 };
static const unsigned char unstructured_name[] = { 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x02 };
static const unsigned char user_id[] = { 0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 0x01, 0x01 };
static const unsigned char domain_component[] = { 0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 0x01,
	0x19 };
static const unsigned char jurisdiction_l[] = { 0x2b, 6, 1, 4, 1, 0x82, 0x37, 0x3c, 2, 1, 1 };
static const unsigned char jurisdiction_st[] = { 0x2b, 6, 1, 4, 1, 0x82, 0x37, 0x3c, 2, 1, 2 };
static const unsigned char jurisdiction_c[] = { 0x2b, 6, 1, 4, 1, 0x82, 0x37, 0x3c, 2, 1, 3 };

static const struct {
	struct bytes oid;
	struct name_type type;
} other_type[] = {
	{ BYTES(email_address), { "emailAddress", "Email", false } },
	{ BYTES(unstructured_name), { "unstructuredName", NULL, false } },
	{ BYTES(user_id), { "UID", "UID", false } },
	{ BYTES(domain_component), { "DC", NULL, false } },
	{ BYTES(jurisdiction_l), { "jurisdictionL", NULL, false } },
	{ BYTES(jurisdiction_st), { "jurisdictionST", NULL, false } },
	{ BYTES(jurisdiction_c), { "jurisdictionC", NULL, false } },
};

const struct name_type *name_type_of(struct bytes oid)
{
	if (oid.n == 3 && oid.at[0] == 0x55 && oid.at[1] == 4) {
		for (size_t i = 0; i < sizeof directory_type / sizeof directory_type[0]; i++)
			if (oid.at[2] == directory_type[i].arc)
				return &directory_type[i].type;
		return NULL;
	}
	for (size_t i = 0; i < sizeof other_type / sizeof other_type[0]; i++)
		if (bytes_equal(oid, other_type[i].oid))
			return &other_type[i].type;
	return NULL;
}

bool name_begin(struct name_walk *walk, struct bytes name)
{
	walk->rdn = (struct bytes){ NULL, 0 };
	return der_take(&name, DER_SEQUENCE, &walk->rdns) && name.n == 0;
}

int name_next(struct name_walk *walk, struct name_attribute *attribute)
{
	attribute->joined = walk->rdn.n > 0;
	if (walk->rdn.n == 0) {
		if (walk->rdns.n == 0)
			return 0;
		if (!der_take(&walk->rdns, DER_SET, &walk->rdn))
			return -1;
	}
	struct bytes pair, value;
	if (!der_take(&walk->rdn, DER_SEQUENCE, &pair) || !der_take(&pair, DER_OID, &attribute->oid) ||
		attribute->oid.n == 0)
		return -1;
	value = pair;
	if (!der_next(&pair, &attribute->tag, &attribute->content) || pair.n != 0)
		return -1;
	attribute->whole = value;
	return 1;
}

bool name_is_well_formed(struct bytes name)
{
	struct name_walk walk;
	struct name_attribute attribute;
	if (!name_begin(&walk, name))
		return false;
	int more;
	do
		more = name_next(&walk, &attribute);
	while (more > 0);
	return more == 0;
}

void x509_name_short(struct bytes name, struct x509_text *out)
{
	struct name_walk walk;
	struct name_attribute attribute;
	text_end(out);
	if (!name_is_well_formed(name) || !name_begin(&walk, name)) {
		text_string(out, "<invalid>");
		return;
	}
	bool first = true;
	while (name_next(&walk, &attribute) > 0) {
		const struct name_type *type = name_type_of(attribute.oid);
		if (type == NULL || !type->in_short)
			continue;
		if (!first)
			text_string(out, ", ");
		first = false;
		text_string(out, type->name);
		text_byte(out, '=');
		text_value(out, TEXT_SHORT, attribute.tag, attribute.content, attribute.whole);
	}
}

static void put_attribute(
	struct x509_text *out, enum text_style style, const struct name_attribute *attribute)
{
	const struct name_type *type = name_type_of(attribute->oid);
	if (type != NULL) {
		text_string(out, type->name);
		text_byte(out, '=');
		text_value(out, style, attribute->tag, attribute->content, attribute->whole);
		return;
	}
	/* RFC 2253 2.4: the value of a type in dotted form is the hexadecimal of its BER. */
	text_oid(out, attribute->oid);
	text_string(out, "=#");
	text_hex(out, attribute->whole);
}

void x509_name_text(struct bytes name, enum x509_name_form form, struct x509_text *out)
{
	const enum text_style style = form == X509_NAME_ASCII ? TEXT_RFC2253 : TEXT_RFC2253_UTF8;
	struct name_walk walk;
	struct name_attribute attribute;
	text_end(out);
	if (!name_is_well_formed(name) || !name_begin(&walk, name)) {
		text_string(out, "<invalid>");
		return;
	}
	if (out->overflow)
		return;
	/*
	 * The order is reversed without a table: each part is written at the front of the free room and moved to
	 * its end, before those already there. What stands at the end is tail bytes.
	 */
	char *const free_room = out->at + out->n;
	const size_t size = out->room - out->n;
	size_t tail = 0;
	while (name_next(&walk, &attribute) > 0) {
		struct x509_text part = { free_room, size - tail, 0, false };
		put_attribute(&part, style, &attribute);
		if (tail > 0) /* the separator that follows this part */
			text_byte(&part, attribute.joined ? '+' : ',');
		if (part.overflow) {
			out->overflow = true;
			break;
		}
		tail += part.n;
		memmove(free_room + size - tail, free_room, part.n);
	}
	memmove(free_room, free_room + size - tail, tail);
	out->n += tail;
	out->at[out->n] = '\0';
}
