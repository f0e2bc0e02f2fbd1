/*
 * Fuzzing of all that reads DER: elements, certificates, names, variables and keys. The input is tried as
 * each of them; texts are checked for control bytes and for their bounds.
 */
#include "../../src/x509/x509.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t n);

static void check(bool holds)
{
	if (!holds)
		abort();
}

/* Control characters in UTF-8: C0, DEL, C1. Everything else must be well-formed, which the second block is
 * enough to tell here. */
static void check_text(const char *text, size_t n)
{
	check(strlen(text) == n);
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)text[i];
		check(c >= 32 && c != 127);
		check(c != 0xc2 || (unsigned char)text[i + 1] >= 0xa0);
	}
}

static void name(struct bytes in)
{
	char text[512];
	for (size_t room = 1; room <= sizeof text; room *= 8) {
		struct x509_text out = { .at = text, .room = room };
		x509_name_text(in, X509_NAME_ASCII, &out);
		check(strlen(text) == out.n && out.n < room);
		for (size_t i = 0; i < out.n; i++)
			check(text[i] >= 32 && text[i] < 127);
		out = (struct x509_text){ .at = text, .room = room };
		x509_name_text(in, X509_NAME_UTF8, &out);
		check(strlen(text) == out.n && out.n < room);
		if (!out.overflow)
			check_text(text, out.n);
		out = (struct x509_text){ .at = text, .room = room };
		x509_name_short(in, &out);
		check(strlen(text) == out.n && out.n < room);
		if (!out.overflow)
			check_text(text, out.n);
	}
}

static void variable(void *context, const char *suffix, const char *value)
{
	size_t *variables = context;
	++*variables;
	check(strlen(suffix) > 3 && strlen(suffix) < 31);
	if (value != NULL && strcmp(suffix, "CERT") != 0)
		check_text(value, strlen(value));
}

static void inside(struct bytes whole, struct bytes part)
{
	check(
		part.n == 0 || (part.at >= whole.at && part.n <= whole.n && part.at + part.n <= whole.at + whole.n));
}

static void certificate(struct bytes der)
{
	struct x509_certificate c;
	struct x509_problem problem = { NULL, 0 };
	if (!x509_parse(der, &c, &problem)) {
		check(problem.reason != NULL);
		return;
	}
	const struct bytes parts[] = { c.tbs, c.serial, c.issuer, c.subject, c.spki, c.key.modulus,
		c.key.exponent, c.key.point, c.key.algorithm_oid, c.extensions, c.signature_oid, c.signature,
		c.alternative_names };
	for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
		inside(der, parts[i]);
	name(c.subject);
	name(c.issuer);
	(void)x509_has_address(&c, (struct bytes){ (const unsigned char *)"\x7f\x00\x00\x01", 4 });
	for (unsigned full = 0; full < 2; full++) {
		size_t room = full ? 2 * der.n + 4096 : 64, variables = 0;
		char *work = malloc(room);
		if (work != NULL)
			x509_variables(&c, 0, variable, &variables, work, room);
		check(work == NULL || variables > 0);
		free(work);
	}
}

static void elements(struct bytes in)
{
	struct bytes content, rest = in;
	unsigned tag;
	uint64_t number;
	int64_t seconds;
	while (der_next(&rest, &tag, &content))
		inside(in, content);
	rest = in;
	(void)der_take_uint(&rest, &number);
	(void)der_take_time(&rest, &seconds);
	inside(in, rest);
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t n)
{
	struct bytes in = { input, n };
	elements(in);
	name(in);
	certificate(in);
	unsigned char *copy = malloc(n > 0 ? n : 1);
	if (copy == NULL)
		return 0;
	if (n > 0)
		memcpy(copy, input, n);
	struct x509_private_key key;
	struct x509_problem problem = { NULL, 0 };
	if (x509_read_private_key(copy, n, NULL, &key, &problem)) {
		struct x509_public_key same = {
			.kind = key.kind, .modulus = key.n, .exponent = key.e, .curve = key.curve, .point = key.point
		};
		bool certain;
		check(key.kind == X509_KEY_RSA ? key.p.n > 0 && key.p.n <= 260 && key.n.n <= 512
									   : key.x.n > 0 && key.x.n <= 66);
		check(x509_key_matches(&key, &same, &certain));
	} else {
		check(problem.reason != NULL);
	}
	free(copy);
	return 0;
}
