/*
 * See minimal.h. SHA-1 is left out, RSA keys have 2048 bits or more; everything else is what the library does
 * by itself.
 */
#include "minimal.h"

enum { SECONDS_A_DAY = 86400, DAYS_BEFORE_1970 = 719528 /* the library counts from the year 0 */ };

static unsigned char *plain(struct bytes b)
{
	return (unsigned char *)(uintptr_t)b.at; /* the library's structs lack const; it does not write there */
}

bool minimal_anchor(const struct x509_certificate *certificate, br_x509_trust_anchor *anchor)
{
	const struct x509_public_key *key = &certificate->key;

	if (key->kind != X509_KEY_RSA && (key->kind != X509_KEY_EC || !key->curve))
		return false;
	*anchor =
		(br_x509_trust_anchor){ .flags = certificate->is_ca || certificate->version < 3 ? BR_X509_TA_CA : 0 };
	anchor->dn = (br_x500_name){ plain(certificate->subject), certificate->subject.n };
	if (key->kind == X509_KEY_RSA) {
		anchor->pkey.key_type = BR_KEYTYPE_RSA;
		anchor->pkey.key.rsa =
			(br_rsa_public_key){ plain(key->modulus), key->modulus.n, plain(key->exponent), key->exponent.n };
	} else {
		anchor->pkey.key_type = BR_KEYTYPE_EC;
		anchor->pkey.key.ec = (br_ec_public_key){ (int)key->curve, plain(key->point), key->point.n };
	}
	return true;
}

unsigned minimal_judge(const struct minimal *minimal, const struct bytes *chain, size_t n)
{
	br_x509_minimal_context context;
	const br_x509_class **ctx = &context.vtable;

	br_x509_minimal_init(&context, &br_sha256_vtable, minimal->anchors, minimal->n_anchors);
	br_x509_minimal_set_rsa(&context, br_rsa_pkcs1_vrfy_get_default());
	br_x509_minimal_set_ecdsa(
		&context, br_ec_get_default(), minimal->ecdsa ? minimal->ecdsa : br_ecdsa_vrfy_asn1_get_default());
	br_x509_minimal_set_hash(&context, br_sha256_ID, &br_sha256_vtable);
	br_x509_minimal_set_hash(&context, br_sha384_ID, &br_sha384_vtable);
	br_x509_minimal_set_hash(&context, br_sha512_ID, &br_sha512_vtable);
	br_x509_minimal_set_minrsa(&context, X509_RSA_BITS_MIN / 8);
	br_x509_minimal_set_time(&context, (uint32_t)(minimal->now / SECONDS_A_DAY + DAYS_BEFORE_1970),
		(uint32_t)(minimal->now % SECONDS_A_DAY));
	context.vtable->start_chain(ctx, minimal->name);
	for (size_t i = 0; i < n; i++) {
		context.vtable->start_cert(ctx, (uint32_t)chain[i].n);
		context.vtable->append(ctx, chain[i].at, chain[i].n);
		context.vtable->end_cert(ctx);
	}
	return context.vtable->end_chain(ctx);
}
