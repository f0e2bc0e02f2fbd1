/*
 * One certificate (RFC 5280 4.1): a strict walk from the first byte to the last, so that whatever reads the
 * parts later knows that they are there and well-formed. Judges nothing: dates, signatures and constraints
 * are for path validation.
 */
#include "x509.h"
#include "oids.h"
#include "path.h"
#include "text.h"

#include <limits.h>
#include <string.h>

enum { VERSION_0 = 0xa0, ISSUER_ID_1 = 0x81, SUBJECT_ID_2 = 0x82, EXTENSIONS_3 = 0xa3 };

/* More than any sane certificate has; bounds the search for duplicates. */
enum { EXTENSIONS_MAX = 64 };

/* The steps below return NULL when done, else the words of the refusal. */

static const char *rsa_key(struct bytes bits, struct bytes parameters, struct x509_public_key *key)
{
	struct bytes null, sequence;
	if (parameters.n > 0 && (!der_take(&parameters, DER_NULL, &null) || null.n != 0 || parameters.n != 0))
		return "RSA public key with parameters";
	if (!der_take(&bits, DER_SEQUENCE, &sequence) || bits.n != 0 ||
		!der_take_positive(&sequence, &key->modulus) || !der_take_positive(&sequence, &key->exponent) ||
		sequence.n != 0)
		return "malformed RSA public key";
	key->kind = X509_KEY_RSA;
	return NULL;
}

/* Curves other than ours, and parameters that spell a curve out, are left to whoever needs the key to refuse.
 */
static const char *ec_key(struct bytes bits, struct bytes parameters, struct x509_public_key *key)
{
	struct bytes curve;
	if (der_take(&parameters, DER_OID, &curve) && parameters.n == 0)
		key->curve = oid_curve(curve);
	size_t size = curve_bytes(key->curve);
	if (size > 0 && (bits.n != 1 + 2 * size || bits.at[0] != 4))
		return "EC public key that is not an uncompressed point of its curve";
	key->kind = X509_KEY_EC;
	key->point = bits;
	return NULL;
}

static const char *public_key(struct bytes spki, struct x509_public_key *key)
{
	struct bytes content, identifier, parameters, bits;
	if (!der_take(&spki, DER_SEQUENCE, &content) || !der_take(&content, DER_SEQUENCE, &identifier) ||
		!der_take_bytes_of_bits(&content, &bits) || content.n != 0)
		return "malformed public key";
	if (!der_read_algorithm(identifier, &key->algorithm_oid, &parameters))
		return "malformed algorithm identifier";
	if (oid_is_rsa(key->algorithm_oid))
		return rsa_key(bits, parameters, key);
	if (oid_is_ec(key->algorithm_oid))
		return ec_key(bits, parameters, key);
	key->kind = X509_KEY_OTHER;
	return NULL;
}

/* RFC 5280 4.2.1.9 */
static const char *basic_constraints(struct bytes value, struct x509_certificate *certificate)
{
	struct bytes content;
	uint64_t length;
	if (!der_take(&value, DER_SEQUENCE, &content) || value.n != 0 ||
		!der_take_flag(&content, DER_BOOLEAN, &certificate->is_ca))
		return "malformed basicConstraints";
	if (content.n > 0) {
		if (!der_take_uint(&content, &length) || content.n != 0)
			return "malformed basicConstraints";
		certificate->path_length = length > INT_MAX ? INT_MAX : (int)length;
	}
	certificate->has_basic_constraints = true;
	return NULL;
}

/* RFC 5280 4.2.1.3; bits beyond the nine that have names are ignored. */
static const char *key_usage(struct bytes value, struct x509_certificate *certificate)
{
	struct bytes bits;
	if (!der_take(&value, DER_BIT_STRING, &bits) || value.n != 0 || bits.n == 0 || bits.at[0] > 7 ||
		(bits.n == 1 && bits.at[0] != 0))
		return "malformed keyUsage";
	if (bits.n > 1 && (bits.at[bits.n - 1] & ((1U << bits.at[0]) - 1)) != 0)
		return "malformed keyUsage";
	for (unsigned i = 0; i < 9 && 1 + i / 8 < bits.n; i++)
		if (bits.at[1 + i / 8] & 0x80U >> i % 8)
			certificate->key_usage |= 1U << i;
	certificate->has_key_usage = true;
	return NULL;
}

/* RFC 5280 4.2.1.6: at least one name, each of them a context-specific element. One whose contents are no
 * such name matches nothing. */
static const char *alternative_names(struct bytes value, struct x509_certificate *certificate)
{
	struct bytes content, names, name;
	unsigned tag;
	if (!der_take(&value, DER_SEQUENCE, &content) || value.n != 0 || content.n == 0)
		return "malformed subjectAltName";
	for (names = content; names.n > 0;)
		if (!der_next(&names, &tag, &name) || (tag & 0xc0) != 0x80)
			return "malformed subjectAltName";
	certificate->alternative_names = content;
	return NULL;
}

/* RFC 5280 4.2.1.12: id-kp-serverAuth, id-kp-clientAuth, anyExtendedKeyUsage; others say nothing here. */
static const char *extended_key_usage(struct bytes value, struct x509_certificate *certificate)
{
	static const unsigned char id_kp[] = { 0x2b, 6, 1, 5, 5, 7, 3 }, any[] = { 0x55, 0x1d, 0x25, 0 };
	struct bytes list, oid;

	if (!der_take(&value, DER_SEQUENCE, &list) || value.n != 0 || list.n == 0)
		return "malformed extended key usage";
	certificate->has_extended_key_usage = true;
	while (list.n > 0) {
		if (!der_take(&list, DER_OID, &oid) || oid.n == 0)
			return "malformed extended key usage";
		bool everything = bytes_equal(oid, (struct bytes){ any, sizeof any });
		bool purpose = oid.n == sizeof id_kp + 1 && bytes_equal((struct bytes){ oid.at, sizeof id_kp },
														(struct bytes){ id_kp, sizeof id_kp });
		certificate->for_servers |= everything || (purpose && oid.at[sizeof id_kp] == 1);
		certificate->for_clients |= everything || (purpose && oid.at[sizeof id_kp] == 2);
	}
	return NULL;
}

static const char *extension(
	struct bytes oid, bool critical, struct bytes value, struct x509_certificate *certificate)
{
	enum {
		SUBJECT_KEY_ID = 14,
		KEY_USAGE = 15,
		SUBJECT_ALT_NAME = 17,
		BASIC_CONSTRAINTS = 19,
		NAME_CONSTRAINTS = 30,
		CERTIFICATE_POLICIES = 32,
		POLICY_MAPPINGS = 33,
		AUTHORITY_KEY_ID = 35,
		POLICY_CONSTRAINTS = 36,
		EXTENDED_KEY_USAGE = 37,
		INHIBIT_ANY_POLICY = 54
	};
	enum { KEY_ID_0 = 0x80 };
	struct bytes part;
	unsigned arc = oid.n == 3 && oid.at[0] == 0x55 && oid.at[1] == 0x1d ? oid.at[2] : 0; /* id-ce, 2.5.29 */

	switch (arc) {
	case SUBJECT_KEY_ID:
		if (!der_take(&value, DER_OCTET_STRING, &certificate->subject_key_id))
			certificate->subject_key_id.n = 0;
		return NULL;
	case AUTHORITY_KEY_ID:
		if (!der_take(&value, DER_SEQUENCE, &part) ||
			!der_take(&part, KEY_ID_0, &certificate->authority_key_id))
			certificate->authority_key_id.n = 0;
		return NULL;
	case KEY_USAGE:
		return key_usage(value, certificate);
	case SUBJECT_ALT_NAME:
		return alternative_names(value, certificate);
	case BASIC_CONSTRAINTS:
		return basic_constraints(value, certificate);
	case NAME_CONSTRAINTS:
		certificate->name_constraints_critical = critical;
		return constraints_read(value, certificate) ? NULL : "malformed nameConstraints";
	case CERTIFICATE_POLICIES:
		return policies_read(value, certificate) ? NULL : "malformed certificatePolicies";
	case POLICY_MAPPINGS: /* not followed: policy.c refuses where that matters */
		certificate->has_policy_mappings = true;
		return NULL;
	case POLICY_CONSTRAINTS:
		return policy_constraints_read(value, certificate) ? NULL : "malformed policyConstraints";
	case EXTENDED_KEY_USAGE:
		return extended_key_usage(value, certificate);
	case INHIBIT_ANY_POLICY:
		return inhibit_any_policy_read(value, certificate) ? NULL : "malformed inhibitAnyPolicy";
	default:
		certificate->unknown_critical |= critical;
		return NULL;
	}
}

/* RFC 5280 4.2: no extension twice. */
static const char *extensions(struct bytes wrapped, struct x509_certificate *certificate)
{
	struct bytes seen[EXTENSIONS_MAX], list, value;
	size_t n = 0;
	bool critical;
	if (!der_take(&wrapped, DER_SEQUENCE, &list) || wrapped.n != 0 || list.n == 0)
		return "malformed extensions";
	certificate->extensions = list;
	while (list.n > 0) {
		if (n == EXTENSIONS_MAX)
			return "too many extensions";
		if (!der_take_extension(&list, &seen[n], &critical, &value))
			return "malformed extension";
		for (size_t i = 0; i < n; i++)
			if (bytes_equal(seen[i], seen[n]))
				return "the same extension twice";
		const char *bad = extension(seen[n], critical, value, certificate);
		if (bad != NULL)
			return bad;
		n++;
	}
	return NULL;
}

/* What may follow the key: unique identifiers from version 2 on, extensions in version 3. */
static const char *optional_parts(struct bytes in, struct x509_certificate *certificate)
{
	struct bytes part;
	if (der_take(&in, ISSUER_ID_1, &part) && certificate->version < 2)
		return "unique identifier in a version 1 certificate";
	if (der_take(&in, SUBJECT_ID_2, &part) && certificate->version < 2)
		return "unique identifier in a version 1 certificate";
	if (der_take(&in, EXTENSIONS_3, &part)) {
		if (certificate->version < 3)
			return "extensions in a certificate that is not of version 3";
		const char *bad = extensions(part, certificate);
		if (bad != NULL)
			return bad;
	}
	return in.n == 0 ? NULL : "something unknown behind the public key";
}

static const char *version(struct bytes *in, struct x509_certificate *certificate)
{
	struct bytes wrapped;
	uint64_t number;
	certificate->version = 1;
	if (!der_take(in, VERSION_0, &wrapped))
		return NULL;
	/* Zero is the default, which DER leaves out (X.690 11.5). */
	if (!der_take_uint(&wrapped, &number) || wrapped.n != 0 || number < 1 || number > 2)
		return "unknown version";
	certificate->version = (unsigned)number + 1;
	return NULL;
}

/* *signature: the AlgorithmIdentifier inside what is signed. */
static const char *to_be_signed(
	struct bytes in, struct bytes *signature, struct x509_certificate *certificate)
{
	struct bytes validity;
	const char *bad = version(&in, certificate);
	if (bad != NULL)
		return bad;
	if (!der_take_serial(&in, &certificate->serial))
		return "malformed serial number";
	if (!der_take(&in, DER_SEQUENCE, signature))
		return "malformed algorithm identifier";
	if (!der_take_whole(&in, DER_SEQUENCE, &certificate->issuer) || !name_is_well_formed(certificate->issuer))
		return "malformed issuer";
	if (!der_take(&in, DER_SEQUENCE, &validity) || !der_take_time(&validity, &certificate->not_before) ||
		!der_take_time(&validity, &certificate->not_after) || validity.n != 0)
		return "malformed validity";
	if (!der_take_whole(&in, DER_SEQUENCE, &certificate->subject) ||
		!name_is_well_formed(certificate->subject))
		return "malformed subject";
	if (!der_take_whole(&in, DER_SEQUENCE, &certificate->spki))
		return "malformed public key";
	bad = public_key(certificate->spki, &certificate->key);
	return bad != NULL ? bad : optional_parts(in, certificate);
}

static const char *parse(struct bytes der, struct x509_certificate *certificate)
{
	struct bytes in = der, content, tbs, inner, outer;
	if (!der_take(&in, DER_SEQUENCE, &content))
		return "not a certificate";
	if (in.n != 0)
		return "something behind the certificate";
	if (!der_take_whole(&content, DER_SEQUENCE, &certificate->tbs))
		return "not a certificate";
	in = certificate->tbs;
	if (!der_take(&in, DER_SEQUENCE, &tbs))
		return "not a certificate";
	const char *bad = to_be_signed(tbs, &inner, certificate);
	if (bad != NULL)
		return bad;
	if (!der_take(&content, DER_SEQUENCE, &outer))
		return "malformed algorithm identifier";
	if (!bytes_equal(inner, outer)) /* RFC 5280 4.1.1.2 */
		return "two different signature algorithms";
	if (!der_read_signature_algorithm(outer, &certificate->signature_oid, &certificate->signature_kind))
		return "malformed algorithm identifier";
	if (!der_take_bytes_of_bits(&content, &certificate->signature) || content.n != 0)
		return "malformed signature";
	return NULL;
}

bool x509_parse(struct bytes der, struct x509_certificate *certificate, struct x509_problem *problem)
{
	*certificate = (struct x509_certificate){
		.der = der, .path_length = -1, .require_explicit_policy = -1, .inhibit_any_policy = -1
	};
	const char *bad = parse(der, certificate);
	if (bad != NULL)
		*problem = (struct x509_problem){ .reason = bad };
	return bad == NULL;
}
