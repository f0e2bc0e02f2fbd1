/*
 * For path.c and the files with the parts of its judgement that are subjects of their own. Each says NULL, or
 * why a path is refused, in static words.
 */
#ifndef X509_PATH_H
#define X509_PATH_H

#include "x509.h"

/* constraints.c: reads nameConstraints (RFC 5280 4.2.1.10) of a certificate into it; false if malformed. */
bool constraints_read(struct bytes value, struct x509_certificate *certificate);

/*
 * constraints.c: whether the names of certificate, which stands somewhere below authority, are within the
 * name constraints of authority (RFC 5280 6.1.3 b, c). The caller spares self-issued certificates that are
 * not the leaf. host_in_common_name: the last common name counts as a DNS name, too. *comparisons is what is
 * left of the work allowed; at 0 the path is refused.
 */
const char *constraints_refuse(const struct x509_certificate *authority,
	const struct x509_certificate *certificate, bool host_in_common_name, unsigned *comparisons);

/* policy.c: read certificatePolicies, policyConstraints and inhibitAnyPolicy (RFC 5280 4.2.1.4, .11, .14);
 * false if malformed. */
bool policies_read(struct bytes value, struct x509_certificate *certificate);
bool policy_constraints_read(struct bytes value, struct x509_certificate *certificate);
bool inhibit_any_policy_read(struct bytes value, struct x509_certificate *certificate);

/*
 * policy.c: whether a path (leaf first, anchor last) has a valid policy wherever one of its authorities
 * requires one (RFC 5280 6.1.2 to 6.1.5 with any policy as input). The anchor's requirements count as those
 * of an intermediate.
 */
const char *policies_refuse(const struct x509_certificate *const *path, size_t n);

/* host.c: the last common name of a certificate if it is plain ASCII text, else empty. */
struct bytes host_common_name(const struct x509_certificate *certificate);

/* host.c: ASCII case aside, the same; for DNS labels and mail domains. */
bool host_equal(struct bytes a, struct bytes b);

/*
 * host.c: true for what names hosts in a certificate: labels of letters, digits, - and _ with single dots
 * between them, or *. before one or more such labels.
 */
bool host_is_well_formed(struct bytes entry);

/* host.c: whether there are DNS or IP entries among the alternative names; a common name then is no host. */
bool host_has_entries(const struct x509_certificate *certificate);

/* host.c: the small letter for a capital one, else byte. */
unsigned char ascii_folded(unsigned char byte);

/* same_name.c: true if the first RDNs of name are those of base, compared as x509_same_name does. */
bool name_begins_with(struct bytes name, struct bytes base);

/*
 * same_name.c: true if name is made of attributes that can be compared whatever string type another name has
 * them in, and few enough of them in each part. Another encoding of the same words would escape from what
 * excludes them.
 */
bool name_has_plain_text(struct bytes name);

enum crl_status { CRL_GOOD, CRL_REVOKED, CRL_MISSING, CRL_EXHAUSTED };

struct crl_finding {
	const char *reason; /* words, where the status is CRL_REVOKED or CRL_MISSING */
	int64_t revoked_at; /* unix seconds, after CRL_REVOKED */
};

/*
 * crl.c: what trust->crls say of a certificate that authority has issued (RFC 5280 6.3): the newest of those
 * that cover it and that the authority's key has signed. One that is out of date still tells what was
 * revoked. CRL_MISSING: there is no list that counts. *signatures is what is left of those allowed;
 * CRL_EXHAUSTED: it did not suffice.
 */
enum crl_status crl_look_up(const struct x509_trust *trust, const struct x509_certificate *certificate,
	const struct x509_certificate *authority, unsigned *signatures, struct crl_finding *finding);

#endif
