/*
 * Certificate revocation lists (RFC 5280 5), and what they say of one certificate (6.3), for path.c. A list
 * is taken apart as far as its head and its extensions when it is read; its entries, which may be a hundred
 * thousand, stay the bytes they are until a certificate is looked up, and are then walked through once.
 */
#include "oids.h"
#include "path.h"
#include "store.h"
#include "text.h"

#include <errno.h>
#include <string.h>

enum { CRL_EXTENSIONS_0 = 0xa0, CRL_VERSION_2 = 1 };

enum { EXTENSIONS_MAX = 32, POINT_NAMES_MAX = 32 };

/* The arc below id-ce, 2.5.29; 0: another. */
static unsigned arc_of(struct bytes oid)
{
	return oid.n == 3 && oid.at[0] == 0x55 && oid.at[1] == 0x1d ? oid.at[2] : 0;
}

/* ---- reading ---- */

/* DistributionPointName: only full names are understood. Of the other kind, a name without a name to match.
 */
static bool point_name(struct bytes choice, struct x509_crl *crl)
{
	enum { FULL_NAME_0 = 0xa0, RELATIVE_NAME_1 = 0xa1 };
	struct bytes names, name;
	unsigned tag, n = 0;

	crl->has_point = true;
	if (der_take(&choice, RELATIVE_NAME_1, &name))
		return choice.n == 0;
	if (!der_take(&choice, FULL_NAME_0, &crl->point_names) || choice.n != 0)
		return false;
	for (names = crl->point_names; names.n > 0; n++)
		if (n == POINT_NAMES_MAX || !der_next(&names, &tag, &name))
			return false;
	return n > 0;
}

/* issuingDistributionPoint (RFC 5280 5.2.5) */
static bool distribution_point(struct bytes value, struct x509_crl *crl)
{
	enum {
		POINT_0 = 0xa0,
		USERS_1 = 0x81,
		AUTHORITIES_2 = 0x82,
		REASONS_3 = 0x83,
		INDIRECT_4 = 0x84,
		ATTRIBUTES_5 = 0x85
	};
	struct bytes in, part;

	if (!der_take(&value, DER_SEQUENCE, &in) || value.n != 0)
		return false;
	if (der_take(&in, POINT_0, &part) && !point_name(part, crl))
		return false;
	if (!der_take_flag(&in, USERS_1, &crl->only_users) ||
		!der_take_flag(&in, AUTHORITIES_2, &crl->only_authorities))
		return false;
	crl->only_some_reasons = der_take(&in, REASONS_3, &part);
	return der_take_flag(&in, INDIRECT_4, &crl->is_indirect) &&
		   der_take_flag(&in, ATTRIBUTES_5, &crl->only_attributes) && in.n == 0;
}

static bool crl_extension(struct bytes oid, bool critical, struct bytes value, struct x509_crl *crl)
{
	enum {
		CRL_NUMBER = 20,
		DELTA_CRL_INDICATOR = 27,
		ISSUING_DISTRIBUTION_POINT = 28,
		AUTHORITY_KEY_ID = 35
	};

	switch (arc_of(oid)) {
	case CRL_NUMBER: /* which of two is newer is told by their dates */
	case AUTHORITY_KEY_ID:
		return true;
	case DELTA_CRL_INDICATOR:
		crl->is_delta = true;
		return true;
	case ISSUING_DISTRIBUTION_POINT:
		return distribution_point(value, crl);
	default:
		crl->unknown_critical |= critical;
		return true;
	}
}

static bool crl_extensions(struct bytes wrapped, struct x509_crl *crl)
{
	struct bytes seen[EXTENSIONS_MAX], list, value;
	bool critical;
	size_t n = 0;

	if (!der_take(&wrapped, DER_SEQUENCE, &list) || wrapped.n != 0 || list.n == 0)
		return false;
	for (; list.n > 0; n++) {
		if (n == EXTENSIONS_MAX || !der_take_extension(&list, &seen[n], &critical, &value))
			return false;
		for (size_t i = 0; i < n; i++)
			if (bytes_equal(seen[i], seen[n]))
				return false;
		if (!crl_extension(seen[n], critical, value, crl))
			return false;
	}
	return true;
}

/* What is signed; *signature: the AlgorithmIdentifier inside it. */
static const char *crl_contents(struct bytes in, struct bytes *signature, struct x509_crl *crl)
{
	struct bytes part;
	uint64_t version = 0;

	if (in.n > 0 && in.at[0] == DER_INTEGER && (!der_take_uint(&in, &version) || version != CRL_VERSION_2))
		return "revocation list of an unknown version";
	if (!der_take(&in, DER_SEQUENCE, signature))
		return "malformed algorithm identifier";
	if (!der_take_whole(&in, DER_SEQUENCE, &crl->issuer) || !name_is_well_formed(crl->issuer))
		return "malformed issuer of a revocation list";
	if (!der_take_time(&in, &crl->this_update))
		return "malformed date of a revocation list";
	crl->has_next_update = der_take_time(&in, &crl->next_update);
	if (!der_take(&in, DER_SEQUENCE, &crl->entries))
		crl->entries = (struct bytes){ in.at, 0 };
	crl->version = (unsigned)version + 1;
	if (der_take(&in, CRL_EXTENSIONS_0, &part) && (crl->version < 2 || !crl_extensions(part, crl)))
		return "malformed extensions of a revocation list";
	return in.n == 0 ? NULL : "malformed revocation list";
}

static const char *parse(struct bytes der, struct x509_crl *crl)
{
	struct bytes content, tbs, inner, outer, oid;
	const char *bad;

	if (!der_take(&der, DER_SEQUENCE, &content) || der.n != 0 ||
		!der_take_whole(&content, DER_SEQUENCE, &crl->tbs))
		return "not a revocation list";
	tbs = crl->tbs;
	(void)der_take(&tbs, DER_SEQUENCE, &inner); /* was there a moment ago */
	bad = crl_contents(inner, &inner, crl);
	if (bad)
		return bad;
	if (!der_take(&content, DER_SEQUENCE, &outer) ||
		!der_read_signature_algorithm(outer, &oid, &crl->signature_kind))
		return "malformed algorithm identifier";
	if (!bytes_equal(inner, outer)) /* RFC 5280 5.1.1.2 */
		return "two different signature algorithms";
	if (!der_take_bytes_of_bits(&content, &crl->signature) || content.n != 0)
		return "malformed signature";
	return NULL;
}

bool x509_crl_parse(struct bytes der, struct x509_crl *crl, struct x509_problem *problem)
{
	const char *bad;

	*crl = (struct x509_crl){ .der = der };
	bad = parse(der, crl);
	if (bad)
		*problem = (struct x509_problem){ .reason = bad };
	return !bad;
}

/* ---- entries ---- */

enum entries { NOT_LISTED, LISTED, MALFORMED, CRITICAL };

/*
 * crlEntryExtensions (RFC 5280 5.3). certificateIssuer, which makes an entry that of another authority, is
 * critical and not understood. removeFromCRL belongs into deltas, so that here it is as good as any reason.
 */
static enum entries entry_extensions(struct bytes in, unsigned *reason)
{
	enum { DER_ENUMERATED = 0x0a, REASON_CODE = 21, HOLD_INSTRUCTION = 23, INVALIDITY_DATE = 24 };
	struct bytes list, oid, value, code;
	bool critical;

	*reason = 0;
	if (!der_take(&in, DER_SEQUENCE, &list) || in.n != 0 || list.n == 0)
		return MALFORMED;
	while (list.n > 0) {
		if (!der_take_extension(&list, &oid, &critical, &value))
			return MALFORMED;
		switch (arc_of(oid)) {
		case REASON_CODE:
			if (!der_take(&value, DER_ENUMERATED, &code) || value.n != 0 || code.n != 1)
				return MALFORMED;
			*reason = code.at[0];
			break;
		case HOLD_INSTRUCTION:
		case INVALIDITY_DATE:
			break;
		default:
			if (critical)
				return CRITICAL;
		}
	}
	return NOT_LISTED;
}

static const char *reason_words(unsigned reason)
{
	static const char *const words[] = { "certificate was revoked", "certificate was revoked: key compromise",
		"certificate was revoked: CA compromise", "certificate was revoked: affiliation changed",
		"certificate was revoked: superseded", "certificate was revoked: cessation of operation",
		"certificate was revoked: on hold", NULL, NULL, "certificate was revoked: privilege withdrawn",
		"certificate was revoked: AA compromise" };

	return reason < sizeof words / sizeof words[0] && words[reason] ? words[reason] : words[0];
}

/* der_next in the same words, without a call where the length is one octet, as nearly all are. */
static inline bool next_short(struct bytes *in, unsigned *tag, struct bytes *content)
{
	if (in->n < 2 || in->at[1] >= 0x80 || in->at[1] > in->n - 2 || (in->at[0] & 0x1f) == 0x1f)
		return der_next(in, tag, content);
	*tag = in->at[0];
	*content = (struct bytes){ in->at + 2, in->at[1] };
	in->at += 2 + content->n;
	in->n -= 2 + content->n;
	return true;
}

/* The entries of a list, one after the other. Begin with the version and in; the rest zero. */
struct walk {
	unsigned version;
	struct bytes in;
	struct bytes understood; /* extensions that were read: most entries have those of the one before */
	unsigned understood_reason;
	struct bytes number, when; /* of the entry: contents of the serial number; its date, with its header */
	unsigned reason;
};

static inline enum entries walk_on(struct walk *w)
{
	struct bytes entry, date;
	unsigned tag;

	if (!next_short(&w->in, &tag, &entry) || tag != DER_SEQUENCE || !next_short(&entry, &tag, &w->number) ||
		tag != DER_INTEGER || w->number.n == 0)
		return MALFORMED;
	w->when = entry;
	if (!next_short(&entry, &tag, &date) || (tag != DER_UTC_TIME && tag != DER_GENERALIZED_TIME))
		return MALFORMED;
	w->reason = 0;
	if (entry.n > 0 && !bytes_equal(entry, w->understood)) {
		enum entries bad =
			w->version < 2 ? MALFORMED : entry_extensions(entry, &w->understood_reason);
		if (bad != NOT_LISTED)
			return bad;
		w->understood = entry;
	}
	if (entry.n > 0)
		w->reason = w->understood_reason;
	return NOT_LISTED;
}

/* In a trust store, where tlstrust has put no list with entries that are not understood. */
static enum entries find_in_store(
	const struct x509_crl *crl, struct bytes serial, struct crl_finding *finding)
{
	unsigned reason;
	int found = x509_store_entry(crl->store, crl->number, serial, &reason, &finding->revoked_at);

	if (found > 0)
		finding->reason = reason_words(reason);
	return found < 0 ? MALFORMED : found ? LISTED : NOT_LISTED;
}

/* Every entry is looked at, since one that is not understood makes the list useless (RFC 5280 5.3): some ten
 * nanoseconds each. */
static enum entries find_entry(const struct x509_crl *crl, struct bytes serial, struct crl_finding *finding)
{
	struct walk w = { .version = crl->version, .in = crl->entries };
	enum entries listed = NOT_LISTED;

	if (crl->store)
		return find_in_store(crl, serial, finding);
	while (w.in.n > 0) {
		enum entries bad = walk_on(&w);
		if (bad != NOT_LISTED)
			return bad;
		if (listed == LISTED || !bytes_equal(w.number, serial))
			continue;
		if (!der_take_time(&w.when, &finding->revoked_at))
			return MALFORMED;
		finding->reason = reason_words(w.reason);
		listed = LISTED;
	}
	return listed;
}

bool x509_crl_entries(const struct x509_crl *crl,
	bool (*each)(void *, struct bytes serial, unsigned reason, int64_t revoked_at), void *context,
	struct x509_problem *problem)
{
	struct walk w = { .version = crl->version, .in = crl->entries };
	int64_t when;

	while (w.in.n > 0) {
		enum entries bad = walk_on(&w);

		if (bad == NOT_LISTED && !der_take_time(&w.when, &when))
			bad = MALFORMED;
		if (bad != NOT_LISTED) {
			*problem = (struct x509_problem){ .reason = bad == CRITICAL
															? "revocation list with an unknown critical extension"
															: "malformed revocation list" };
			return false;
		}
		if (!each(context, w.number, w.reason, when)) {
			*problem = (struct x509_problem){ strerror(errno), errno };
			return false;
		}
	}
	return true;
}

/* ---- which list ---- */

/* Whether the certificate names a distribution point, for all reasons, that has this name. */
static bool names_point(const struct x509_certificate *certificate, struct bytes name)
{
	enum { CRL_DISTRIBUTION_POINTS = 31, NAME_0 = 0xa0 };
	struct bytes in = certificate->extensions, oid, value, points, point, choice, names, one;
	bool critical;

	while (in.n > 0 && der_take_extension(&in, &oid, &critical, &value)) {
		if (arc_of(oid) != CRL_DISTRIBUTION_POINTS || !der_take(&value, DER_SEQUENCE, &points))
			continue;
		while (der_take(&points, DER_SEQUENCE, &point)) {
			if (!der_take(&point, NAME_0, &choice) || point.n != 0 || !der_take(&choice, NAME_0, &names))
				continue;
			for (struct bytes before = names; names.n > 0; before = names) {
				unsigned tag;
				if (!der_next(&names, &tag, &one))
					break;
				if (bytes_equal((struct bytes){ before.at, before.n - names.n }, name))
					return true;
			}
		}
	}
	return false;
}

/* RFC 5280 6.3.3 b 2 i; a certificate without a point has one with the name of its issuer. */
static bool covers_point(const struct x509_crl *crl, const struct x509_certificate *certificate)
{
	enum { DIRECTORY_NAME_4 = 0xa4 };
	struct bytes names = crl->point_names, content;
	unsigned tag;

	if (!crl->has_point)
		return true;
	for (struct bytes before = names; der_next(&names, &tag, &content); before = names)
		if (names_point(certificate, (struct bytes){ before.at, before.n - names.n }) ||
			(tag == DIRECTORY_NAME_4 && name_is_well_formed(content) &&
				x509_same_name(content, certificate->issuer)))
			return true;
	return false;
}

/* Why a list of the right issuer is not used for a certificate; NULL: it is. */
static const char *unfit(const struct x509_crl *crl, const struct x509_certificate *certificate, int64_t now)
{
	if (crl->unknown_critical)
		return "the issuer's revocation list has an unknown critical extension";
	if (crl->is_delta || crl->is_indirect || crl->only_attributes || crl->only_some_reasons ||
		(crl->only_users && certificate->is_ca) || (crl->only_authorities && !certificate->is_ca) ||
		!covers_point(crl, certificate))
		return "the issuer's revocation list does not cover the certificate";
	if (crl->signature_kind == X509_SIGNED_OTHERWISE || crl->signature_kind == X509_RSA_SHA1 ||
		crl->signature_kind == X509_ECDSA_SHA1)
		return "the issuer's revocation list is signed with an algorithm that is not supported";
	if (now < crl->this_update)
		return "the issuer's revocation list is not yet valid";
	return NULL;
}

/* Of the lists of the certificate's issuer that fit, the newest of those that come behind previous, if it is
 * not NULL; *why: of those that do not. */
static const struct x509_crl *next_newest(const struct x509_trust *trust,
	const struct x509_certificate *certificate, const struct x509_crl *previous, const char **why)
{
	const struct x509_crl *best = NULL;

	for (size_t i = 0; i < trust->crls->n; i++) {
		const struct x509_crl *crl = &trust->crls->crls[i];
		const char *bad;

		if (!x509_same_name(crl->issuer, certificate->issuer))
			continue;
		bad = unfit(crl, certificate, trust->now);
		if (bad)
			*why = bad;
		else if ((!previous || crl->this_update < previous->this_update ||
					 (crl->this_update == previous->this_update && crl > previous)) &&
				 (!best || crl->this_update > best->this_update))
			best = crl;
	}
	return best;
}

static bool is_signed_by(
	const struct x509_trust *trust, const struct x509_crl *crl, const struct x509_public_key *key)
{
	if (key->kind != (crl->signature_kind >= X509_ECDSA_SHA1 ? X509_KEY_EC : X509_KEY_RSA))
		return false;
	return crl->store ? trust->check_hashed(key, crl->signature_kind, crl->digest, crl->signature)
					  : trust->check_signature(key, crl->signature_kind, crl->tbs, crl->signature);
}

static enum crl_status told_by(const struct x509_trust *trust, const struct x509_crl *crl,
	const struct x509_certificate *certificate, struct crl_finding *finding)
{
	switch (find_entry(crl, certificate->serial, finding)) {
	case LISTED:
		return CRL_REVOKED;
	case MALFORMED:
		finding->reason = "the issuer's revocation list is malformed";
		return CRL_MISSING;
	case CRITICAL:
		finding->reason = "the issuer's revocation list has an unknown critical extension";
		return CRL_MISSING;
	case NOT_LISTED:
		break;
	}
	if (crl->has_next_update && trust->now <= crl->next_update)
		return CRL_GOOD;
	finding->reason = crl->has_next_update ? "the issuer's revocation list is out of date"
										   : "the issuer's revocation list does not say how long it is valid";
	return CRL_MISSING;
}

enum crl_status crl_look_up(const struct x509_trust *trust, const struct x509_certificate *certificate,
	const struct x509_certificate *authority, unsigned *signatures, struct crl_finding *finding)
{
	const struct x509_crl *crl = NULL;
	enum crl_status status = CRL_MISSING;

	*finding = (struct crl_finding){ "there is no revocation list of the issuer", 0 };
	while ((crl = next_newest(trust, certificate, crl, &finding->reason)) != NULL) {
		if (authority->has_key_usage && !(authority->key_usage & X509_USE_CRL_SIGN)) {
			finding->reason = "the issuer's key may not sign revocation lists";
			return CRL_MISSING;
		}
		if (!*signatures)
			return CRL_EXHAUSTED;
		--*signatures;
		if (!is_signed_by(trust, crl, &authority->key)) {
			finding->reason = "signature on the issuer's revocation list is wrong";
			continue;
		}
		status = told_by(trust, crl, certificate, finding);
		break;
	}
	return status;
}
