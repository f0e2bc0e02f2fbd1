/*
 * Certificates made from few numbers, signed with ECDSA by one of five keys that are always the same. What
 * was made once is remembered, and so is what a signature is worth, so that a harness can ask for thousands a
 * second.
 */
#ifndef DESCRIBED_H
#define DESCRIBED_H

#include <bearssl/bearssl.h>
#include "../../src/x509/x509.h"

enum {
	DESCRIBED_KEYS = 5,  /* P-256; the last one P-384, which is slow */
	DESCRIBED_NAMES = 8, /* 0 and DESCRIBED_WILDCARD are for hosts, see described_common_name */
	DESCRIBED_WILDCARD = 5,
	DESCRIBED_EMPTY = 6, /* a name without a part */
	DESCRIBED_SECONDS_A_DAY = 86400
};

#define DESCRIBED_TIME INT64_C(1700000000) /* around which all dates are */

enum described_version { VERSION_3, VERSION_1, VERSION_2, VERSION_1_WITH_EXTENSIONS };
enum described_dates { NOW, BEFORE, AFTER, THIS_SECOND, FROM_NEXT_SECOND, TO_LAST_SECOND, FAR, BACKWARDS };
enum described_algorithm { SHA256, SHA384, SHA512, SHA1 };
enum described_basic { BASIC_ABSENT, CA, CA_0, CA_1, CA_2, CA_3, NO_CA, NO_CA_0 };
enum described_usage {
	USAGE_ABSENT,
	CERT_SIGN,
	SIGNATURE,
	BOTH,
	CRL_SIGN,
	ENCIPHERMENT,
	AGREEMENT,
	NO_USAGE
};
enum described_purpose { PURPOSE_ABSENT, SERVER, CLIENT, ANY, SERVER_AND_CLIENT, MAIL };
enum described_constraint { UNCONSTRAINED, PERMITTED, EXCLUDED }; /* a.test */
enum described_policy { POLICY_ABSENT, POLICY_ANY, POLICY_ONE, POLICY_REQUIRED, POLICY_INHIBIT };
enum described_unknown { UNKNOWN_ABSENT, UNKNOWN_LAX, UNKNOWN_CRITICAL };
enum described_key_id { KEY_ID_ABSENT, KEY_ID, KEY_ID_WRONG };

/* Only bytes, so that two can be compared as memory. */
struct described {
	uint8_t key, signer;               /* below DESCRIBED_KEYS */
	uint8_t subject, issuer;           /* below DESCRIBED_NAMES */
	uint8_t subject_form, issuer_form; /* 1: the same name in another case and with more blanks */
	uint8_t broken;                    /* the signature is not right */
	uint8_t version, dates, algorithm, basic, usage, purpose, constraint, policy, unknown, key_id;
	uint8_t basic_critical, usage_critical, purpose_critical, constraint_critical, policy_critical;
	uint8_t hosts;         /* bits: entries of described_hosts in subjectAltName */
	uint8_t address, mail; /* 192.0.2.1 and a mail address there as well */
};

enum { DESCRIBED_HOSTS = 8 };
extern const char *const described_hosts[DESCRIBED_HOSTS];

/* The common name; NULL: none. */
const char *described_common_name(unsigned name);

/* Whether it has a subjectAltName extension. */
bool described_has_alternative_names(const struct described *);

/* The certificate in DER, in memory that stays as it is until the next call. */
struct bytes described_certificate(const struct described *);

/* The validity in unix seconds. */
void described_validity(unsigned dates, int64_t *from, int64_t *to);

/* br_ecdsa_vrfy for certificates made here: what the library would say, mostly from memory. */
uint32_t described_verify(const br_ec_impl *, const void *hash, size_t hash_n, const br_ec_public_key *,
	const void *signature, size_t signature_n);

#endif
