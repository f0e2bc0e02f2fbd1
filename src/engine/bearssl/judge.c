/*
 * The library's own path validation (x509_minimal) behind engine_judge, with what it lacks and a client
 * cannot do without: IP addresses as names, a bound on intermediates, and certificates found in the order in
 * which they were sent.
 */
#include <string.h>
#include "engine/bearssl/private.h"

enum { SECONDS_A_DAY = 86400, DAYS_BEFORE_1970 = 719528 }; /* the library counts days from year 0 */

static bool same_name(const struct x509_certificate *a, struct bytes issuer)
{
	return bytes_equal(a->subject, issuer);
}

static void fill_anchor(const struct x509_certificate *certificate, br_x509_trust_anchor *anchor)
{
	const struct x509_public_key *key = &certificate->key;

	*anchor =
		(br_x509_trust_anchor){ .flags = certificate->is_ca || certificate->version < 3 ? BR_X509_TA_CA : 0 };
	anchor->dn.data = (unsigned char *)(uintptr_t)certificate->subject.at;
	anchor->dn.len = certificate->subject.n;
	if (key->kind == X509_KEY_RSA) {
		anchor->pkey.key_type = BR_KEYTYPE_RSA;
		anchor->pkey.key.rsa.n = (unsigned char *)(uintptr_t)key->modulus.at;
		anchor->pkey.key.rsa.nlen = key->modulus.n;
		anchor->pkey.key.rsa.e = (unsigned char *)(uintptr_t)key->exponent.at;
		anchor->pkey.key.rsa.elen = key->exponent.n;
	} else {
		anchor->pkey.key_type = BR_KEYTYPE_EC;
		anchor->pkey.key.ec.curve = (int)key->curve;
		anchor->pkey.key.ec.q = (unsigned char *)(uintptr_t)key->point.at;
		anchor->pkey.key.ec.qlen = key->point.n;
	}
}

static bool usable(const struct x509_certificate *certificate)
{
	return certificate->key.kind == X509_KEY_RSA ||
		   (certificate->key.kind == X509_KEY_EC && certificate->key.curve);
}

/*
 * Only anchors that the chain speaks of are shown to the library, which hashes the names of all it is given
 * for every certificate: those that are the issuer or the subject of one presented, and whose own path length
 * allows for this many certificates. Returns how many.
 */
static size_t pick_anchors(const struct x509_list *all, const struct x509_certificate *chain, size_t n,
	br_x509_trust_anchor *out, size_t room)
{
	size_t found = 0;

	for (size_t a = 0; a < all->n && found < room; a++) {
		const struct x509_certificate *anchor = &all->certificates[a];
		if (!usable(anchor) || (anchor->path_length >= 0 && n > 1 && (size_t)anchor->path_length < n - 1))
			continue;
		for (size_t i = 0; i < n; i++)
			if (same_name(anchor, chain[i].issuer) || same_name(anchor, chain[i].subject)) {
				fill_anchor(anchor, &out[found++]);
				break;
			}
	}
	return found;
}

static unsigned run_minimal(const struct engine_trust *trust, const struct bytes *chain, size_t n,
	const char *name, const br_x509_trust_anchor *anchors, size_t n_anchors)
{
	static br_x509_minimal_context minimal;
	const br_x509_class **ctx = &minimal.vtable;

	br_x509_minimal_init(&minimal, &br_sha256_vtable, anchors, n_anchors);
	br_x509_minimal_set_rsa(&minimal, br_rsa_pkcs1_vrfy_get_default());
	br_x509_minimal_set_ecdsa(&minimal, br_ec_get_default(), br_ecdsa_vrfy_asn1_get_default());
	br_x509_minimal_set_hash(&minimal, br_sha256_ID, &br_sha256_vtable);
	br_x509_minimal_set_hash(&minimal, br_sha384_ID, &br_sha384_vtable);
	br_x509_minimal_set_hash(&minimal, br_sha512_ID, &br_sha512_vtable);
	br_x509_minimal_set_minrsa(&minimal, 2048 / 8);
	br_x509_minimal_set_time(&minimal, (uint32_t)(trust->now / SECONDS_A_DAY + DAYS_BEFORE_1970),
		(uint32_t)(trust->now % SECONDS_A_DAY));
	minimal.vtable->start_chain(ctx, name);
	for (size_t i = 0; i < n; i++) {
		minimal.vtable->start_cert(ctx, (uint32_t)chain[i].n);
		minimal.vtable->append(ctx, chain[i].at, chain[i].n);
		minimal.vtable->end_cert(ctx);
	}
	return minimal.vtable->end_chain(ctx);
}

static struct x509_verdict refused(int alert, const char *reason)
{
	return (struct x509_verdict){ false, alert, reason };
}

/* The time of each presented certificate in words of its own; the library knows only "expired". */
static bool in_time(const struct engine_trust *trust, const struct x509_certificate *chain, size_t n,
	struct x509_verdict *verdict)
{
	for (size_t i = 0; i < n; i++) {
		if (trust->now < chain[i].not_before)
			*verdict = refused(ALERT_CERTIFICATE_EXPIRED, "certificate is not yet valid");
		else if (trust->now > chain[i].not_after)
			*verdict = refused(ALERT_CERTIFICATE_EXPIRED, "certificate has expired");
		else
			continue;
		return false;
	}
	return true;
}

/* Whether a path may end with this certificate: an anchor has the name of its issuer, or is the certificate
 * itself. */
static bool reaches_anchor(const struct engine_trust *trust, const struct x509_certificate *certificate)
{
	for (size_t a = 0; a < trust->anchors->n; a++)
		if (same_name(&trust->anchors->certificates[a], certificate->issuer) ||
			bytes_equal(trust->anchors->certificates[a].der, certificate->der))
			return true;
	return false;
}

/*
 * The shortest part of the chain, from the leaf, that the library accepts; names alone do not tell, as an
 * authority may have had several keys. Returns its error for the last part that was tried.
 */
static unsigned find_path(const struct engine_trust *trust, const struct bytes *chain,
	const struct x509_certificate *parsed, size_t n, const char *name, size_t *path_n)
{
	static br_x509_trust_anchor anchors[4 * ENGINE_CHAIN_MAX];
	unsigned error = BR_ERR_X509_NOT_TRUSTED;
	size_t n_anchors;

	for (*path_n = 1; *path_n <= n; ++*path_n)
		if (reaches_anchor(trust, &parsed[*path_n - 1])) {
			n_anchors =
				pick_anchors(trust->anchors, parsed, *path_n, anchors, sizeof anchors / sizeof anchors[0]);
			error = run_minimal(trust, chain, *path_n, name, anchors, n_anchors);
			if (!error || error == BR_ERR_X509_OK)
				return 0;
		}
	return error;
}

/*
 * What the library passes over: purposes (RFC 5280 4.2.1.12) along the path, and name constraints, which are
 * not understood here and so must not be ignored.
 */
static bool path_allows(const struct engine_trust *trust, const struct x509_certificate *path, size_t n,
	struct x509_verdict *verdict)
{
	for (size_t i = 0; i < n; i++) {
		if (path[i].has_extended_key_usage && !(trust->of_client ? path[i].for_clients : path[i].for_servers))
			*verdict = refused(ALERT_UNSUPPORTED_CERTIFICATE,
				trust->of_client ? "certificate is not for clients (extended key usage)"
								 : "certificate is not for servers (extended key usage)");
		else if (path[i].has_name_constraints)
			*verdict = refused(ALERT_UNSUPPORTED_CERTIFICATE, "name constraints are not supported");
		else
			continue;
		return false;
	}
	return true;
}

void engine_judge(
	const struct engine_trust *trust, const struct bytes *chain, size_t n, struct x509_verdict *verdict)
{
	static struct x509_certificate parsed[ENGINE_CHAIN_MAX];
	unsigned char address[16];
	size_t address_n = trust->name ? x509_scan_address(trust->name, address) : 0, path_n;
	struct x509_problem problem;
	struct engine_failure failure;
	unsigned error;

	*verdict = (struct x509_verdict){ .accepted = true };
	if (!trust->check_chain)
		return;
	for (size_t i = 0; i < n; i++)
		if (!x509_parse(chain[i], &parsed[i], &problem)) {
			*verdict = refused(ALERT_BAD_CERTIFICATE, problem.reason);
			return;
		}
	error = find_path(trust, chain, parsed, n, address_n ? NULL : trust->name, &path_n);
	if (error) {
		failure_describe((int)error, &failure);
		*verdict = refused(failure.alert_due, failure.words);
		if (error == BR_ERR_X509_EXPIRED)
			(void)in_time(trust, parsed, n, verdict);
	} else if (!path_allows(trust, parsed, path_n, verdict)) {
		return;
	} else if (path_n - 1 > trust->max_intermediates) {
		*verdict = refused(ALERT_UNKNOWN_CA, "more intermediate certificates than VERIFYDEPTH allows");
	} else if (trust->name && !parsed[0].alternative_names.n) {
		/* RFC 9525 2: a common name is no host name, whatever the library makes of it. */
		*verdict =
			refused(ALERT_BAD_CERTIFICATE, "certificate is for no host: it has no subject alternative name");
	} else if (address_n && !x509_has_address(&parsed[0], (struct bytes){ address, address_n })) {
		*verdict = refused(ALERT_BAD_CERTIFICATE, "certificate is for another address");
	}
}
