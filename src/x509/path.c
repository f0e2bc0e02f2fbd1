/*
 * Path validation (RFC 5280 6): a search from the leaf towards a trust anchor through whatever else was
 * presented. Every certificate is looked at for itself, then as an authority over those below it, and only
 * then is a signature computed. Called by io programs through engine_calls.judge, and by tlsverify.
 */
#include "path.h"

#include <string.h>

enum {
	VISITS_MAX = 1000,    /* candidates looked at for one verdict */
	SERIAL_BYTES_MAX = 20 /* RFC 5280 4.1.2.2; a zero before them, as some count only what is behind it */
};

/* How far a refused path had come, least first; steps count more than these. */
enum reached { NO_ISSUER, BAD_SIGNATURE, BAD_AUTHORITY, BAD_ANCHOR, EXHAUSTED, BAD_STATUS, REACHED_KINDS };

enum memo { UNKNOWN, GOOD, BAD };

struct search {
	const struct x509_trust *trust;
	struct x509_path *path;
	struct x509_verdict *verdict; /* of the refusal that is told so far */
	size_t told;                  /* how far that one had come; 0: none yet */
	const struct x509_certificate *told_steps[X509_CHAIN_MAX + 1];
	size_t n_told_steps;
	unsigned visits, signatures, comparisons;                /* what is left of each */
	bool exhausted;                                          /* no signature was left when one was needed */
	unsigned char signed_by[X509_CHAIN_MAX][X509_CHAIN_MAX]; /* enum memo, of those presented */
};

/* A refusal in words and by alert. */
struct refusal {
	int alert;
	const char *reason; /* NULL: none */
};

static const struct refusal none = { 0, NULL };
static const struct refusal too_many_signatures = { X509_ALERT_BAD_CERTIFICATE,
	"certificates lead to too many signatures" };

static struct refusal bad(const char *reason)
{
	return (struct refusal){ X509_ALERT_BAD_CERTIFICATE, reason };
}

static struct refusal unsupported(const char *reason)
{
	return (struct refusal){ X509_ALERT_UNSUPPORTED_CERTIFICATE, reason };
}

static struct refusal expired(const char *reason)
{
	return (struct refusal){ X509_ALERT_CERTIFICATE_EXPIRED, reason };
}

static struct refusal unknown_ca(const char *reason)
{
	return (struct refusal){ X509_ALERT_UNKNOWN_CA, reason };
}

static bool is_self_issued(const struct x509_certificate *certificate)
{
	return x509_same_name(certificate->subject, certificate->issuer);
}

/* ---- a certificate for itself ---- */

static struct refusal judge_key(const struct x509_trust *trust, const struct x509_public_key *key)
{
	size_t bits;

	if (key->kind == X509_KEY_EC && key->curve)
		return none;
	if (key->kind != X509_KEY_RSA)
		return unsupported("public key of a kind that is not supported");
	bits = key->modulus.n * 8;
	for (unsigned top = key->modulus.at[0]; !(top & 0x80); top <<= 1)
		bits--;
	if (bits < trust->min_rsa_bits)
		return bad("public key is too weak");
	if (bits > X509_RSA_BITS_MAX || key->exponent.n > 8)
		return unsupported("public key is too large");
	if (!(key->modulus.at[key->modulus.n - 1] & 1) || !(key->exponent.at[key->exponent.n - 1] & 1) ||
		(key->exponent.n == 1 && key->exponent.at[0] < 3)) /* RFC 8017 3.1 */
		return bad("public key is malformed");
	return none;
}

/* What holds for every certificate of a path, the anchor included. */
static struct refusal judge_any(const struct x509_trust *trust, const struct x509_certificate *certificate)
{
	if (trust->now < certificate->not_before)
		return expired("certificate is not yet valid");
	if (trust->now > certificate->not_after)
		return expired("certificate has expired");
	if (certificate->unknown_critical) /* RFC 5280 4.2 */
		return unsupported("certificate has an unknown critical extension");
	if (certificate->has_extended_key_usage &&
		!(trust->of_client ? certificate->for_clients : certificate->for_servers))
		return unsupported(trust->of_client ? "certificate is not for clients (extended key usage)"
											: "certificate is not for servers (extended key usage)");
	return judge_key(trust, &certificate->key);
}

/* What holds for those whose signature counts: all but the anchor. */
static struct refusal judge_issued(const struct x509_certificate *certificate)
{
	static const unsigned char empty_name[] = { DER_SEQUENCE, 0 };

	if (certificate->serial.n > SERIAL_BYTES_MAX + (certificate->serial.at[0] == 0))
		return bad("serial number is too long");
	if (bytes_equal(certificate->issuer, (struct bytes){ empty_name, sizeof empty_name })) /* 4.1.2.4 */
		return bad("certificate names no issuer");
	switch (certificate->signature_kind) {
	case X509_SIGNED_OTHERWISE:
		return unsupported("certificate is signed with an algorithm that is not supported");
	case X509_RSA_SHA1:
	case X509_ECDSA_SHA1:
		return bad("certificate is signed with a hash function that is too weak");
	default:
		return none;
	}
}

/* With ephemeral keys, the only ones here, both sides sign (RFC 5246 7.4.2, RFC 8446 4.4.2.2). */
static struct refusal judge_leaf(const struct x509_trust *trust, const struct x509_certificate *leaf)
{
	struct refusal refusal = judge_any(trust, leaf);

	if (!refusal.reason && leaf->has_key_usage && !(leaf->key_usage & X509_USE_SIGNATURE))
		refusal = unsupported("certificate's key may not be used for this");
	return refusal;
}

/* ---- an authority and those below it ---- */

/* RFC 5280 6.1.4 k to n. An anchor of version 1 can say of itself neither this nor that. */
static struct refusal judge_authority(
	const struct search *s, const struct x509_certificate *authority, bool anchor)
{
	int below = 0;

	if (!(authority->has_basic_constraints ? authority->is_ca : anchor && authority->version < 3))
		return unknown_ca("an issuer in the chain is no certification authority");
	if (authority->has_key_usage && !(authority->key_usage & X509_USE_CERT_SIGN))
		return unsupported("an issuer's key may not sign certificates");
	for (size_t i = 1; i < s->path->n_steps; i++)
		below += !is_self_issued(s->path->steps[i]);
	if (authority->path_length >= 0 && below > authority->path_length)
		return unknown_ca("more intermediate certificates than an issuer allows");
	if (!anchor && s->path->n_steps > s->trust->max_intermediates)
		return unknown_ca("more intermediate certificates than VERIFYDEPTH allows");
	return none;
}

/* RFC 5280 6.1.3 b, c */
static struct refusal judge_names(struct search *s, const struct x509_certificate *authority)
{
	const char *reason = NULL;

	if (!authority->permitted_subtrees.n && !authority->excluded_subtrees.n)
		return none;
	for (size_t i = 0; i < s->path->n_steps && !reason; i++) {
		const struct x509_certificate *below = s->path->steps[i];
		if (i == 0 || !is_self_issued(below))
			reason = constraints_refuse(
				authority, below, i == 0 && s->trust->name && s->trust->common_name, &s->comparisons);
	}
	return reason ? unsupported(reason) : none;
}

/* Whether a signature algorithm goes with a key. */
static bool suits(enum x509_signature kind, const struct x509_public_key *key)
{
	return key->kind == (kind >= X509_ECDSA_SHA1 ? X509_KEY_EC : X509_KEY_RSA);
}

static bool is_signed_by(
	struct search *s, const struct x509_certificate *certificate, const struct x509_certificate *authority)
{
	return suits(certificate->signature_kind, &authority->key) &&
		   s->trust->check_signature(
			   &authority->key, certificate->signature_kind, certificate->tbs, certificate->signature);
}

/* Signatures among those presented are computed once. */
static struct refusal judge_signature(struct search *s, const struct x509_certificate *authority, bool anchor)
{
	const struct x509_certificate *presented = s->path->presented,
								  *certificate = s->path->steps[s->path->n_steps - 1];
	unsigned char *memo = anchor ? NULL : &s->signed_by[certificate - presented][authority - presented];

	if (!memo || *memo == UNKNOWN) {
		if (!s->signatures) {
			s->exhausted = true;
			return too_many_signatures;
		}
		s->signatures--;
		bool good = is_signed_by(s, certificate, authority);
		if (memo)
			*memo = good ? GOOD : BAD;
		if (good)
			return none;
	} else if (*memo == GOOD) {
		return none;
	}
	return bad("signature on a certificate is wrong");
}

/* ---- the search ---- */

/* Of all paths that come to nothing, that which went furthest is told of. True if it is this one so far. */
static bool tell(struct search *s, struct refusal refusal, enum reached reached,
	const struct x509_certificate *at, bool with_it)
{
	/* A path that was whole went further than any other. */
	size_t steps = reached == BAD_STATUS ? X509_CHAIN_MAX + 1 : s->path->n_steps;
	size_t far = steps * REACHED_KINDS + reached;

	if (far <= s->told)
		return false;
	s->told = far;
	s->n_told_steps = s->path->n_steps;
	memcpy(s->told_steps, s->path->steps, s->path->n_steps * sizeof s->told_steps[0]);
	if (with_it)
		s->told_steps[s->n_told_steps++] = at;
	s->path->at = at;
	*s->verdict = (struct x509_verdict){ false, refusal.alert, refusal.reason };
	return true;
}

/* The same authority (name and key) twice leads nowhere, and would do so forever. The leaf is none yet. */
static bool is_in_path(const struct x509_path *path, const struct x509_certificate *candidate)
{
	for (size_t i = 1; i < path->n_steps; i++)
		if (path->steps[i] == candidate || (bytes_equal(path->steps[i]->spki, candidate->spki) &&
											   bytes_equal(path->steps[i]->subject, candidate->subject)))
			return true;
	return false;
}

/* Whether candidate may be the next step. */
static bool accepts(struct search *s, const struct x509_certificate *candidate, bool anchor)
{
	const struct x509_certificate *last = s->path->steps[s->path->n_steps - 1];
	enum reached reached = anchor ? BAD_ANCHOR : BAD_AUTHORITY;
	struct refusal refusal;
	const struct x509_certificate *at = candidate;

	if (!x509_same_name(candidate->subject, last->issuer) || !s->visits)
		return false;
	s->visits--;
	refusal = judge_any(s->trust, candidate);
	if (!refusal.reason && !anchor)
		refusal = judge_issued(candidate);
	if (!refusal.reason)
		refusal = judge_authority(s, candidate, anchor);
	if (!refusal.reason)
		refusal = judge_names(s, candidate);
	if (!refusal.reason) {
		refusal = judge_signature(s, candidate, anchor);
		reached = s->exhausted ? EXHAUSTED : BAD_SIGNATURE;
		at = last;
	}
	if (refusal.reason)
		(void)tell(s, refusal, reached, at, at == candidate);
	return !refusal.reason;
}

/* RFC 5280 6.3, of a path that is whole: what its issuers say of all below the anchor. */
static bool is_revoked(struct search *s)
{
	struct x509_path *path = s->path;

	path->warning = NULL;
	for (size_t i = 0; s->trust->crls && i + 1 < path->n_steps; i++) {
		struct refusal refusal;
		struct crl_finding finding;
		enum crl_status status =
			crl_look_up(s->trust, path->steps[i], path->steps[i + 1], &s->signatures, &finding);

		if (status == CRL_GOOD)
			continue;
		if (status == CRL_MISSING && !s->trust->crls_required) {
			path->warning = finding.reason;
			path->warning_at = path->steps[i];
			continue;
		}
		refusal = status == CRL_REVOKED   ? (struct refusal){ X509_ALERT_CERTIFICATE_REVOKED, finding.reason }
				  : status == CRL_MISSING ? (struct refusal){ X509_ALERT_CERTIFICATE_UNKNOWN, finding.reason }
										  : too_many_signatures;
		if (tell(s, refusal, BAD_STATUS, path->steps[i], false))
			path->revoked_at = finding.revoked_at;
		path->warning = NULL;
		return true;
	}
	return false;
}

static bool ends_with(struct search *s, const struct x509_certificate *anchor)
{
	struct x509_path *path = s->path;
	const char *reason;

	if (!accepts(s, anchor, true))
		return false;
	path->steps[path->n_steps++] = anchor;
	reason = policies_refuse(path->steps, path->n_steps);
	if (!reason && !is_revoked(s))
		return true;
	path->n_steps--;
	if (!reason)
		return false;
	(void)tell(s, unsupported(reason), BAD_ANCHOR, NULL, false);
	return false;
}

/* Those that the last certificate points to by the id of its issuer's key come first: many authorities with
 * one name would use up the signatures. It is a hint (RFC 5280 4.2.1.1), and rules nobody out. */
static bool reaches_anchor(struct search *s)
{
	const struct x509_list *anchors = s->trust->anchors;
	const struct bytes wanted = s->path->steps[s->path->n_steps - 1]->authority_key_id;

	for (int hinted = wanted.n ? 1 : 0; hinted >= 0; hinted--)
		for (size_t i = 0; i < anchors->n; i++)
			if ((wanted.n && bytes_equal(anchors->certificates[i].subject_key_id, wanted)) == hinted &&
				ends_with(s, &anchors->certificates[i]))
				return true;
	return false;
}

/* Adds steps until an anchor is reached. As deep as certificates were presented. */
static bool extend(struct search *s)
{
	struct x509_path *path = s->path;

	if (reaches_anchor(s))
		return true;
	for (size_t i = 1; i < path->n_presented; i++) {
		if (is_in_path(path, &path->presented[i]) || !accepts(s, &path->presented[i], false))
			continue;
		path->steps[path->n_steps++] = &path->presented[i];
		if (extend(s))
			return true;
		path->n_steps--;
	}
	(void)tell(s, unknown_ca("certificate is not from a trusted authority"), NO_ISSUER,
		path->steps[path->n_steps - 1], false);
	return false;
}

static bool is_anchor(const struct x509_trust *trust, const struct x509_certificate *leaf)
{
	for (size_t i = 0; i < trust->anchors->n; i++)
		if (bytes_equal(trust->anchors->certificates[i].der, leaf->der))
			return true;
	return false;
}

/* ---- the verdict ---- */

/* Of the others, what cannot be read is no help, and no harm. */
static struct refusal parse(struct x509_path *path, const struct bytes *chain, size_t n)
{
	size_t bytes = 0;
	struct x509_problem problem;

	for (size_t i = 0; i < n && bytes <= X509_CHAIN_BYTES; i++)
		bytes += chain[i].n;
	if (n > X509_CHAIN_MAX || bytes > X509_CHAIN_BYTES)
		return bad("certificate chain too long or too large");
	if (!n)
		return bad("no certificate");
	for (size_t i = 0; i < n; i++) {
		if (x509_parse(chain[i], &path->presented[path->n_presented], &problem)) {
			path->n_presented++;
			continue;
		}
		if (!path->unreadable) {
			path->unreadable = i + 1;
			path->why_unreadable = problem.reason;
		}
		if (i == 0)
			return bad(problem.reason);
	}
	return none;
}

static void refuse(struct search *s, struct refusal refusal, const struct x509_certificate *at)
{
	s->path->at = at;
	s->path->warning = NULL;
	*s->verdict = (struct x509_verdict){ false, refusal.alert, refusal.reason };
}

/* Trust comes first: of a certificate from nowhere nothing else is worth saying. */
static void find_path(struct search *s)
{
	struct x509_path *path = s->path;
	const struct x509_certificate *leaf = &path->presented[0];
	struct refusal refusal = none;
	const char *reason;

	path->steps[path->n_steps++] = leaf;
	if (!is_anchor(s->trust, leaf)) {
		refusal = judge_issued(leaf);
		if (!refusal.reason && !extend(s)) {
			memcpy(path->steps, s->told_steps, s->n_told_steps * sizeof path->steps[0]);
			path->n_steps = s->n_told_steps;
			if (path->unreadable && s->told % REACHED_KINDS == NO_ISSUER)
				refuse(s, bad(path->why_unreadable), NULL); /* it may have been the one that is missing */
			return;
		}
	}
	if (!refusal.reason)
		refusal = judge_leaf(s->trust, leaf);
	if (!refusal.reason && s->trust->name &&
		!x509_is_for_host(leaf, s->trust->name, s->trust->common_name, &reason))
		refusal = bad(reason);
	if (refusal.reason) {
		refuse(s, refusal, leaf);
	} else {
		path->at = NULL;
		*s->verdict = (struct x509_verdict){ .accepted = true };
	}
}

void x509_judge(const struct x509_trust *trust, const struct bytes *chain, size_t n, struct x509_path *path,
	struct x509_verdict *verdict)
{
	struct search s = { .trust = trust,
		.path = path,
		.verdict = verdict,
		.visits = VISITS_MAX,
		.signatures = X509_SIGNATURES_MAX,
		.comparisons = X509_COMPARISONS_MAX };
	struct refusal refusal;

	path->n_presented = path->n_steps = path->unreadable = 0;
	path->at = path->warning_at = NULL;
	path->warning = NULL;
	path->revoked_at = 0;
	*verdict = (struct x509_verdict){ .accepted = !trust->check_chain };
	if (!trust->check_chain)
		return;
	refusal = parse(path, chain, n);
	if (refusal.reason)
		refuse(&s, refusal, NULL);
	else
		find_path(&s);
}
