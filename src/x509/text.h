/*
 * For the files of this folder that put text into a struct x509_text, ASN.1 strings and object identifiers
 * among it, or that walk the attributes of a Name.
 */
#ifndef X509_TEXT_H
#define X509_TEXT_H

#include "x509.h"

/* How the value of a string type is written. In all of them control characters become \XX for each byte of
 * their UTF-8. */
enum text_style {
	TEXT_PLAIN,   /* UTF-8, backslash doubled: one component of a name (mod_ssl) */
	TEXT_SHORT,   /* UTF-8, special characters escaped, the equals sign among them */
	TEXT_RFC2253, /* special characters escaped, \XX for all that is not ASCII, #hex for what is no string */
	TEXT_RFC2253_UTF8 /* the same, but what is not ASCII stays as it is */
};

/* Terminates what is there. All others do so too, once they have put a byte. */
void text_end(struct x509_text *out);

void text_byte(struct x509_text *out, char byte);
void text_string(struct x509_text *out, const char *string);
void text_number(struct x509_text *out, uint64_t number);

/* Doubles each such byte from the given place on. */
void text_double(struct x509_text *out, size_t from, char byte);

/* Upper-case hexadecimal, two digits a byte. */
void text_hex(struct x509_text *out, struct bytes bytes);

/* A value with tag and contents; whole is the element with its header. */
void text_value(
	struct x509_text *out, enum text_style style, unsigned tag, struct bytes content, struct bytes whole);

/* An object identifier as 1.2.3; "#" and hexadecimal if it is malformed or has an arc beyond 64 bits. */
void text_oid(struct x509_text *out, struct bytes oid);

/* ---- Name (RFC 5280 4.1.2.4) ---- */

struct name_walk {
	struct bytes rdns, rdn; /* what is still to come: of the sequence, and of the set begun */
};

struct name_attribute {
	struct bytes oid;
	unsigned tag;
	struct bytes content, whole; /* of the value */
	bool joined;                 /* stands in the same RDN as the one before */
};

/* Begins a walk over name, an element with its header. False if it is not a SEQUENCE and nothing else. */
bool name_begin(struct name_walk *walk, struct bytes name);

/* 1: *attribute is the next; 0: no more; -1: malformed. */
int name_next(struct name_walk *walk, struct name_attribute *attribute);

/* True if a walk over name reaches its end. */
bool name_is_well_formed(struct bytes name);

/* What an attribute type is called. */
struct name_type {
	const char *name;     /* in RFC 2253 text */
	const char *variable; /* as the end of a variable of mod_ssl; NULL: has none */
	bool in_short;        /* one of those that x509_name_short shows */
};

/* NULL for a type unknown here. */
const struct name_type *name_type_of(struct bytes oid);

#endif
