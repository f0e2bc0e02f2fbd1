/*
 * Certificate policies (RFC 5280 4.2.1.4, 4.2.1.11, 4.2.1.14): reading the three extensions, and whether a
 * path has a valid policy where one of its authorities requires one. All this program asks is whether there
 * is one; which, and its qualifiers, nobody wants to know.
 */
#include "path.h"

#include <limits.h>

/* More in one certificate are not looked at where a policy is required. */
enum { POLICIES_MAX = 64 };

static const unsigned char any_policy_oid[] = { 0x55, 0x1d, 0x20, 0 };
static const struct bytes any_policy = { any_policy_oid, sizeof any_policy_oid };

/* Arcs in their shortest form, the last one complete (X.690 8.19.2): policies are compared by their bytes. */
static bool oid_is_well_formed(struct bytes oid)
{
	bool first = true; /* byte of an arc */
	for (size_t i = 0; i < oid.n; i++) {
		if (first && oid.at[i] == 0x80)
			return false;
		first = oid.at[i] < 0x80;
	}
	return oid.n > 0 && first;
}

/* SEQUENCE SIZE (1..MAX) OF SEQUENCE { policyQualifierId, qualifier }, with anything as a qualifier */
static bool qualifiers_are_well_formed(struct bytes in)
{
	struct bytes list, item, oid, qualifier;
	unsigned tag;
	if (!der_take(&in, DER_SEQUENCE, &list) || in.n != 0 || list.n == 0)
		return false;
	while (list.n > 0)
		if (!der_take(&list, DER_SEQUENCE, &item) || !der_take(&item, DER_OID, &oid) ||
			!oid_is_well_formed(oid) || !der_next(&item, &tag, &qualifier) || item.n != 0)
			return false;
	return true;
}

bool policies_read(struct bytes value, struct x509_certificate *certificate)
{
	struct bytes content, list, item, oid;
	if (!der_take(&value, DER_SEQUENCE, &content) || value.n != 0 || content.n == 0)
		return false;
	for (list = content; list.n > 0;)
		if (!der_take(&list, DER_SEQUENCE, &item) || !der_take(&item, DER_OID, &oid) ||
			!oid_is_well_formed(oid) || (item.n > 0 && !qualifiers_are_well_formed(item)))
			return false;
	certificate->policies = content;
	return true;
}

/* The contents of an INTEGER (0..MAX); what is beyond an int is as good as INT_MAX. */
static bool read_skip_certificates(struct bytes content, int *number)
{
	if (content.n == 0 || content.at[0] >= 0x80)
		return false;
	if (content.n > 1 && content.at[0] == 0 && content.at[1] < 0x80)
		return false; /* longer than needed */
	uint64_t sum = 0;
	for (size_t i = 0; i < content.n && sum <= INT_MAX; i++)
		sum = sum << 8 | content.at[i];
	*number = sum > INT_MAX ? INT_MAX : (int)sum;
	return true;
}

bool policy_constraints_read(struct bytes value, struct x509_certificate *certificate)
{
	enum { REQUIRE_EXPLICIT_POLICY_0 = 0x80, INHIBIT_POLICY_MAPPING_1 = 0x81 };
	struct bytes content, number;
	int require = -1, inhibit_mapping;
	if (!der_take(&value, DER_SEQUENCE, &content) || value.n != 0 || content.n == 0)
		return false;
	if (der_take(&content, REQUIRE_EXPLICIT_POLICY_0, &number) && !read_skip_certificates(number, &require))
		return false;
	/* Read to be sure of it; there is no policy mapping here that could be inhibited. */
	if (der_take(&content, INHIBIT_POLICY_MAPPING_1, &number) &&
		!read_skip_certificates(number, &inhibit_mapping))
		return false;
	if (content.n != 0)
		return false;
	certificate->require_explicit_policy = require;
	return true;
}

bool inhibit_any_policy_read(struct bytes value, struct x509_certificate *certificate)
{
	struct bytes number;
	return der_take(&value, DER_INTEGER, &number) && value.n == 0 &&
		   read_skip_certificates(number, &certificate->inhibit_any_policy);
}

/* Takes the next policy off the front of what policies_read has found. */
static bool next_policy(struct bytes *policies, struct bytes *oid)
{
	struct bytes item;
	return der_take(policies, DER_SEQUENCE, &item) && der_take(&item, DER_OID, oid);
}

static bool has_policy(const struct x509_certificate *certificate, struct bytes wanted)
{
	struct bytes policies = certificate->policies, oid;
	while (next_policy(&policies, &oid))
		if (bytes_equal(oid, wanted))
			return true;
	return false;
}

static bool has_too_many(const struct x509_certificate *certificate)
{
	struct bytes policies = certificate->policies, oid;
	unsigned n = 0;
	while (n <= POLICIES_MAX && next_policy(&policies, &oid))
		n++;
	return n > POLICIES_MAX;
}

static bool is_self_issued(const struct x509_certificate *certificate)
{
	return x509_same_name(certificate->issuer, certificate->subject);
}

static void count_down(int *number)
{
	if (*number > 0)
		--*number;
}

static void lower(int *number, int given)
{
	if (given >= 0 && given < *number)
		*number = given;
}

/*
 * The state variables of RFC 5280 6.1.2, carried from the anchor to the leaf. any[i] says whether path[i]
 * lets all policies pass. Returns whether an explicit policy is required at the end: nothing that came before
 * needs to be asked, as what is required stays required, and a tree that has become empty stays empty.
 */
static bool is_policy_required(const struct x509_certificate *const *path, size_t n, bool *any)
{
	int explicit_policy = (int)n + 1, inhibit_any = (int)n + 1;
	for (size_t i = n; i-- > 1;) {
		bool self_issued = is_self_issued(path[i]);
		any[i] = (inhibit_any > 0 || self_issued) && has_policy(path[i], any_policy);
		/* What a trust anchor does not speak of it does not restrict (RFC 5937 3.2). */
		if (i == n - 1 && path[i]->policies.n == 0)
			any[i] = true;
		if (!self_issued) { /* 6.1.4 h */
			count_down(&explicit_policy);
			count_down(&inhibit_any);
		}
		lower(&explicit_policy, path[i]->require_explicit_policy);
		lower(&inhibit_any, path[i]->inhibit_any_policy);
	}
	any[0] = n == 1 || (inhibit_any > 0 && has_policy(path[0], any_policy));
	count_down(&explicit_policy); /* 6.1.5 a, b */
	return explicit_policy == 0 || path[0]->require_explicit_policy == 0;
}

/*
 * Whether the valid policy tree has something left at the leaf (6.1.3 d). Without mappings it is as wide at
 * each certificate as a set: the policies of that certificate that were in the set before, or all that were
 * there where it has anyPolicy. So the set has no bound as far as all certificates have anyPolicy; the first
 * that has not names the policies of which one must pass all that follow.
 */
static bool has_valid_policy(const struct x509_certificate *const *path, size_t n, const bool *any)
{
	size_t first = n, i;
	struct bytes policies, oid;
	while (first > 0 && any[first - 1])
		first--;
	if (first == 0)
		return true;
	policies = path[--first]->policies;
	while (next_policy(&policies, &oid)) {
		if (bytes_equal(oid, any_policy))
			continue;
		for (i = first; i > 0 && (any[i - 1] || has_policy(path[i - 1], oid)); i--)
			;
		if (i == 0)
			return true;
	}
	return false;
}

const char *policies_refuse(const struct x509_certificate *const *path, size_t n)
{
	bool any[X509_CHAIN_MAX + 1];
	if (n == 0)
		return NULL;
	if (n > sizeof any / sizeof any[0])
		return "too many certificates to look for a valid policy";
	if (!is_policy_required(path, n, any))
		return NULL;
	for (size_t i = 0; i < n; i++) {
		if (i > 0 && path[i]->has_policy_mappings)
			return "policy mapping is not supported, and an issuer requires a policy";
		if (has_too_many(path[i]))
			return "too many certificate policies, and an issuer requires one";
	}
	return has_valid_policy(path, n, any) ? NULL : "no valid certificate policy, and an issuer requires one";
}
