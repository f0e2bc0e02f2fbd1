/*
 * Fuzzing of revocation lists: reading one, and looking up a certificate in it, which names distribution
 * points of the input itself. A stand-in for signatures says yes or no by the first byte.
 *
 * Input: a byte with the answers, the number of a certificate behind its length, the contents of its
 * extensions behind two bytes of length, and a list in DER.
 */
#include "../../src/x509/path.h"

#include <stdlib.h>
#include <string.h>

enum { SIGNED = 1, AUTHORITY = 2, MAY_SIGN = 4, RSA = 8, NOW = 1800000000 };

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t n);

static unsigned answers, signatures;

static void check(bool holds)
{
	if (!holds)
		abort();
}

static bool check_signature(
	const struct x509_public_key *key, enum x509_signature kind, struct bytes text, struct bytes signature)
{
	(void)signature;
	signatures++;
	check(key->kind == (kind >= X509_ECDSA_SHA256 ? X509_KEY_EC : X509_KEY_RSA));
	check(kind != X509_SIGNED_OTHERWISE && kind != X509_RSA_SHA1 && kind != X509_ECDSA_SHA1 && text.n > 0);
	return answers & SIGNED;
}

static struct bytes take(struct bytes *in, size_t width)
{
	struct bytes part;
	size_t size = 0;

	for (; width > 0 && in->n > 0; width--, in->at++, in->n--)
		size = size << 8 | in->at[0];
	part = (struct bytes){ in->at, size < in->n ? size : in->n };
	in->at += part.n;
	in->n -= part.n;
	return part;
}

static void check_within(struct bytes part, struct bytes whole)
{
	check(part.n == 0 || (part.at >= whole.at && part.at + part.n <= whole.at + whole.n));
}

static void look_up(const struct x509_crl *crl, struct bytes serial, struct bytes extensions)
{
	struct x509_crl copy = *crl;
	const struct x509_crls crls = { .crls = &copy, .n = 1 };
	const struct x509_trust trust = { .now = NOW, .crls = &crls, .check_signature = check_signature };
	const struct x509_certificate certificate = {
		.serial = serial, .issuer = crl->issuer, .extensions = extensions, .is_ca = answers & AUTHORITY
	};
	const struct x509_certificate authority = { .key.kind = answers & RSA ? X509_KEY_RSA : X509_KEY_EC,
		.has_key_usage = true,
		.key_usage = answers & MAY_SIGN ? X509_USE_CRL_SIGN : 0 };
	struct crl_finding finding, again;
	unsigned left = 1;
	enum crl_status status;

	signatures = 0;
	status = crl_look_up(&trust, &certificate, &authority, &left, &finding);
	check(signatures <= 1 && left <= 1 && status != CRL_EXHAUSTED);
	check(status == CRL_GOOD || finding.reason != NULL);
	if (status == CRL_GOOD || status == CRL_REVOKED)
		check(signatures == 1 && answers & SIGNED && answers & MAY_SIGN && !crl->unknown_critical &&
			  !crl->is_delta && !crl->is_indirect && crl->this_update <= NOW);
	if (status == CRL_GOOD)
		check(crl->has_next_update && crl->next_update >= NOW);
	if (status == CRL_REVOKED)
		check(serial.n <= crl->entries.n && serial.n > 0 &&
			  strncmp(finding.reason, "certificate was", 15) == 0);
	left = 1;
	check(crl_look_up(&trust, &certificate, &authority, &left, &again) == status);
	left = 0;
	status = crl_look_up(&trust, &certificate, &authority, &left, &again);
	check(status == CRL_MISSING || status == CRL_EXHAUSTED);
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t n)
{
	struct bytes in = { input, n }, serial, extensions;
	struct x509_problem problem = { NULL, 0 };
	struct x509_crl crl;

	if (n == 0)
		return 0;
	answers = *in.at++;
	in.n--;
	serial = take(&in, 1);
	extensions = take(&in, 2);
	if (!x509_crl_parse(in, &crl, &problem)) {
		check(problem.reason != NULL);
		return 0;
	}
	check_within(crl.tbs, in);
	check_within(crl.issuer, crl.tbs);
	check_within(crl.entries, crl.tbs);
	check_within(crl.point_names, crl.tbs);
	check_within(crl.signature, in);
	look_up(&crl, serial, extensions);
	return 0;
}
