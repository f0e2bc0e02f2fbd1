/*
 * The CA that signs: its certificate, its key, and whether it may.
 */
#include <stdlib.h>
#include <string.h>
#include "certify/certify.h"

static bool refuse(
	struct chain_problem *problem, const char *doing, const char *object, const char *reason, int errnum)
{
	*problem = (struct chain_problem){ EXIT_CONFIGURATION, doing, object, errnum ? NULL : reason, errnum };
	return false;
}

static bool read_certificates(
	struct certify_authority *authority, const char *path, struct chain_problem *problem)
{
	struct x509_problem why;

	return x509_list_add_file(&authority->list, path, false, &why) ||
		   refuse(problem, "read CA certificate from", path, why.reason, why.errnum);
}

static bool read_key(struct certify_authority *authority, const char *path, const struct bytes *password,
	struct chain_problem *problem)
{
	struct x509_password opens = { .with = &engine_decryption };
	struct x509_problem why;

	if (password)
		opens.text = *password;
	authority->key_text = x509_read_file(path, X509_KEY_FILE_MAX, &authority->key_text_n, &why);
	if (authority->key_text && x509_read_private_key(authority->key_text, authority->key_text_n,
								   password ? &opens : NULL, &authority->key, &why))
		return true;
	return refuse(problem, "read CA key from", path, why.reason, why.errnum);
}

static bool find_certificate(struct certify_authority *authority)
{
	for (size_t i = 0; i < authority->list.n; i++)
		if (engine_key_fits(&authority->key, &authority->list.certificates[i].key)) {
			authority->certificate = authority->list.certificates[i];
			return true;
		}
	return false;
}

/* subjectKeyIdentifier (RFC 5280 4.2.1.2), which x509_parse has no use for. Empty if there is none. */
static struct bytes key_id_of(const struct x509_certificate *certificate)
{
	static const unsigned char id_ce_subject_key_identifier[] = { 0x55, 0x1d, 0x0e };
	struct bytes extensions = certificate->extensions, extension, oid, critical, value, id;

	while (der_take(&extensions, DER_SEQUENCE, &extension)) {
		if (!der_take(&extension, DER_OID, &oid) || oid.n != sizeof id_ce_subject_key_identifier ||
			memcmp(oid.at, id_ce_subject_key_identifier, oid.n) != 0)
			continue;
		(void)der_take(&extension, DER_BOOLEAN, &critical); /* most leave it out */
		if (der_take(&extension, DER_OCTET_STRING, &value) && der_take(&value, DER_OCTET_STRING, &id))
			return id;
	}
	return (struct bytes){ NULL, 0 };
}

static const char *refuse_as_authority(const struct x509_certificate *certificate, int64_t now)
{
	if (!certificate->is_ca)
		return "not a CA: its certificate says so (basicConstraints)";
	if (certificate->has_key_usage && !(certificate->key_usage & X509_USE_CERT_SIGN))
		return "not a CA: its key is not for certificates (keyUsage)";
	if (now < certificate->not_before)
		return "its certificate is not yet valid";
	if (now > certificate->not_after)
		return "its certificate has expired";
	return NULL;
}

static void take_key_id(struct certify_authority *authority)
{
	struct bytes id = key_id_of(&authority->certificate);

	if (id.n > 0 && id.n <= sizeof authority->key_id) {
		memcpy(authority->key_id, id.at, id.n);
		authority->key_id_n = id.n;
	}
}

bool certify_read_authority(struct certify_authority *authority, const char *path, const char *key_path,
	const struct bytes *password, int64_t now, struct chain_problem *problem)
{
	const char *bad;

	*authority = (struct certify_authority){ .key_text = NULL };
	if (!read_certificates(authority, path, problem) ||
		!read_key(authority, key_path ? key_path : path, password, problem))
		return false;
	if (!find_certificate(authority))
		return refuse(problem, "sign with CA", path, "its key belongs to another certificate", 0);
	bad = refuse_as_authority(&authority->certificate, now);
	if (bad)
		return refuse(problem, "sign with CA", path, bad, 0);
	take_key_id(authority);
	return true;
}

bool certify_choose_validity(int64_t now, unsigned days, unsigned otherwise,
	const struct certify_authority *authority, int64_t *not_before, int64_t *not_after)
{
	const int64_t day = 86400;

	*not_before = now - CERTIFY_BEFORE_SECONDS;
	if (authority && *not_before < authority->certificate.not_before)
		*not_before = authority->certificate.not_before;
	*not_after = *not_before + (days ? days : otherwise) * day - 1; /* both seconds belong to it */
	if (!authority || *not_after <= authority->certificate.not_after)
		return true;
	if (days && *not_after - authority->certificate.not_after >= day)
		return false;
	*not_after = authority->certificate.not_after;
	return true;
}

static bool is_root(const struct x509_certificate *certificate)
{
	return bytes_equal(certificate->subject, certificate->issuer);
}

void certify_put_chain(struct bytes der, const struct certify_authority *authority, struct x509_text *out)
{
	x509_to_pem(der, out);
	if (!authority || is_root(&authority->certificate))
		return;
	x509_to_pem(authority->certificate.der, out);
	for (size_t i = 0; i < authority->list.n; i++) {
		const struct x509_certificate *other = &authority->list.certificates[i];

		if (!is_root(other) && !bytes_equal(other->der, authority->certificate.der))
			x509_to_pem(other->der, out);
	}
}

void certify_forget_authority(struct certify_authority *authority)
{
	x509_list_free(&authority->list);
	if (authority->key_text)
		x509_wipe(authority->key_text, authority->key_text_n);
	free(authority->key_text);
	*authority = (struct certify_authority){ .key_text = NULL };
}
