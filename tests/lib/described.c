/*
 * See described.h. DER is written backwards, as der_writer does it.
 */
#include "described.h"

#include <stdlib.h>
#include <string.h>

enum {
	DER_MAX = 1024,
	SIGNATURE_MAX = 112, /* ECDSA under P-384 */
	SLOTS = 1 << 13,     /* certificates and signatures remembered */
	VERIFY_ONE_IN = 64   /* answers from memory that the library is asked for as well */
};

const char *const described_hosts[DESCRIBED_HOSTS] = { "a.test", "b.a.test", "*.a.test", "A.TEST", "*.test",
	"*", "a*.a.test", "192.0.2.1" };

const char *described_common_name(unsigned name)
{
	static const char *const names[DESCRIBED_NAMES] = { "a.test", "Authority 1", "Authority 2", "Authority 3",
		"Authority 4", "*.a.test", NULL, "Authority 7" };
	return names[name];
}

bool described_has_alternative_names(const struct described *d)
{
	return d->hosts || d->address || d->mail;
}

#define ELEMENT(w, tag, literal) der_put_element(w, tag, literal, sizeof(literal) - 1)

/* ---- keys ---- */

struct key {
	unsigned char secret[48], public[BR_EC_KBUF_PUB_MAX_SIZE];
	br_ec_private_key private;
	size_t public_n;
};

static const struct key *key_of(unsigned number)
{
	static struct key keys[DESCRIBED_KEYS];
	struct key *key = &keys[number];

	if (!key->public_n) {
		bool large = number == DESCRIBED_KEYS - 1;
		br_sha256_context sha256;
		br_sha256_init(&sha256);
		br_sha256_update(&sha256, &(unsigned char){ (unsigned char)number }, 1);
		br_sha256_out(&sha256, key->secret);
		key->private =
			(br_ec_private_key){ large ? BR_EC_secp384r1 : BR_EC_secp256r1, key->secret, large ? 48 : 32 };
		key->public_n = br_ec_compute_pub(br_ec_get_default(), NULL, key->public, &key->private);
		if (!key->public_n)
			abort();
	}
	return key;
}

static void put_spki(struct der_writer *w, unsigned number)
{
	const struct key *key = key_of(number);

	x509_put_public_key(w, &(struct x509_public_key){ .kind = X509_KEY_EC,
							   .curve = (unsigned)key->private.curve,
							   .point = { key->public, key->public_n } });
}

/* ---- names and dates ---- */

static void put_name(struct der_writer *w, unsigned number, bool other_form)
{
	const char *name = described_common_name(number);
	size_t end = w->begin;

	if (name) {
		for (size_t i = strlen(name); i-- > 0;) {
			der_put_byte(
				w, (unsigned char)(other_form && name[i] >= 'a' && name[i] <= 'z' ? name[i] - 32 : name[i]));
			if (other_form && name[i] == ' ')
				der_put_byte(w, ' ');
		}
		der_wrap(w, other_form ? DER_UTF8_STRING : DER_PRINTABLE_STRING, end);
		ELEMENT(w, DER_OID, "\x55\x04\x03");
		der_wrap(w, DER_SEQUENCE, end);
		der_wrap(w, DER_SET, end);
	}
	der_wrap(w, DER_SEQUENCE, end);
}

void described_validity(unsigned dates, int64_t *from, int64_t *to)
{
	static const struct {
		int64_t from, to;
	} all[] = {
		[NOW] = { -DESCRIBED_SECONDS_A_DAY, DESCRIBED_SECONDS_A_DAY },
		[BEFORE] = { -2 * DESCRIBED_SECONDS_A_DAY, -DESCRIBED_SECONDS_A_DAY },
		[AFTER] = { DESCRIBED_SECONDS_A_DAY, 2 * DESCRIBED_SECONDS_A_DAY },
		[THIS_SECOND] = { 0, 0 },
		[FROM_NEXT_SECOND] = { 1, DESCRIBED_SECONDS_A_DAY },
		[TO_LAST_SECOND] = { -DESCRIBED_SECONDS_A_DAY, -1 },
		[FAR] = { INT64_C(-10000) * DESCRIBED_SECONDS_A_DAY, INT64_C(90000) * DESCRIBED_SECONDS_A_DAY },
		[BACKWARDS] = { DESCRIBED_SECONDS_A_DAY, -DESCRIBED_SECONDS_A_DAY },
	};
	*from = DESCRIBED_TIME + all[dates].from;
	*to = DESCRIBED_TIME + all[dates].to;
}

/* ---- extensions: the value has been written since the beginning was at end ---- */

static void put_extension(struct der_writer *w, const char *oid, size_t oid_n, bool critical, size_t end)
{
	der_wrap(w, DER_OCTET_STRING, end);
	if (critical)
		ELEMENT(w, DER_BOOLEAN, "\xff");
	der_put_element(w, DER_OID, oid, oid_n);
	der_wrap(w, DER_SEQUENCE, end);
}

#define EXTENSION(w, arc, critical, end) put_extension(w, "\x55\x1d" arc, 3, critical, end)

static void put_basic(struct der_writer *w, const struct described *d)
{
	size_t end = w->begin;

	if (d->basic >= CA_0 && d->basic <= CA_3)
		der_put_element(w, DER_INTEGER, &(unsigned char){ (unsigned char)(d->basic - CA_0) }, 1);
	if (d->basic == NO_CA_0)
		ELEMENT(w, DER_INTEGER, "\0");
	if (d->basic >= CA && d->basic <= CA_3)
		ELEMENT(w, DER_BOOLEAN, "\xff");
	der_wrap(w, DER_SEQUENCE, end);
	EXTENSION(w, "\x13", d->basic_critical, end);
}

static void put_usage(struct der_writer *w, const struct described *d)
{
	static const unsigned char bits[][2] = { [CERT_SIGN] = { 2, 0x04 },
		[SIGNATURE] = { 7, 0x80 },
		[BOTH] = { 2, 0x84 },
		[CRL_SIGN] = { 1, 0x02 },
		[ENCIPHERMENT] = { 5, 0x20 },
		[AGREEMENT] = { 3, 0x08 },
		[NO_USAGE] = { 0, 0 } };
	size_t end = w->begin;

	der_put_element(w, DER_BIT_STRING, bits[d->usage], d->usage == NO_USAGE ? 1 : 2);
	EXTENSION(w, "\x0f", d->usage_critical, end);
}

static void put_purpose(struct der_writer *w, const struct described *d)
{
	size_t end = w->begin;

	if (d->purpose == SERVER || d->purpose == SERVER_AND_CLIENT)
		ELEMENT(w, DER_OID, "\x2b\x06\x01\x05\x05\x07\x03\x01");
	if (d->purpose == CLIENT || d->purpose == SERVER_AND_CLIENT)
		ELEMENT(w, DER_OID, "\x2b\x06\x01\x05\x05\x07\x03\x02");
	if (d->purpose == MAIL)
		ELEMENT(w, DER_OID, "\x2b\x06\x01\x05\x05\x07\x03\x04");
	if (d->purpose == ANY)
		ELEMENT(w, DER_OID, "\x55\x1d\x25\x00");
	der_wrap(w, DER_SEQUENCE, end);
	EXTENSION(w, "\x25", d->purpose_critical, end);
}

static void put_alternative_names(struct der_writer *w, const struct described *d)
{
	size_t end = w->begin;

	if (d->mail)
		ELEMENT(w, 0x81, "a@a.test");
	if (d->address)
		ELEMENT(w, 0x87, "\xc0\x00\x02\x01");
	for (size_t i = DESCRIBED_HOSTS; i-- > 0;)
		if (d->hosts >> i & 1)
			der_put_element(w, 0x82, described_hosts[i], strlen(described_hosts[i]));
	der_wrap(w, DER_SEQUENCE, end);
	EXTENSION(w, "\x11", false, end);
}

static void put_constraint(struct der_writer *w, const struct described *d)
{
	size_t end = w->begin;

	ELEMENT(w, 0x82, "a.test");
	der_wrap(w, DER_SEQUENCE, end);
	der_wrap(w, d->constraint == PERMITTED ? 0xa0 : 0xa1, end);
	der_wrap(w, DER_SEQUENCE, end);
	EXTENSION(w, "\x1e", d->constraint_critical, end);
}

static void put_policy(struct der_writer *w, const struct described *d)
{
	size_t end = w->begin;

	switch (d->policy) {
	case POLICY_ANY:
	case POLICY_ONE:
		if (d->policy == POLICY_ANY)
			ELEMENT(w, DER_OID, "\x55\x1d\x20\x00");
		else
			ELEMENT(w, DER_OID, "\x2b\x06\x01");
		der_wrap(w, DER_SEQUENCE, end);
		der_wrap(w, DER_SEQUENCE, end);
		EXTENSION(w, "\x20", d->policy_critical, end);
		break;
	case POLICY_REQUIRED:
		ELEMENT(w, 0x80, "\0");
		der_wrap(w, DER_SEQUENCE, end);
		EXTENSION(w, "\x24", d->policy_critical, end);
		break;
	default:
		ELEMENT(w, DER_INTEGER, "\0");
		EXTENSION(w, "\x36", d->policy_critical, end);
	}
}

static void put_unknown(struct der_writer *w, const struct described *d)
{
	size_t end = w->begin;

	ELEMENT(w, DER_NULL, "");
	put_extension(w, "\x2a\x03\x04", 3, d->unknown == UNKNOWN_CRITICAL, end);
}

/* Identifiers are the numbers of keys. */
static void put_key_ids(struct der_writer *w, const struct described *d)
{
	unsigned char wrong = d->key_id == KEY_ID_WRONG ? 0x80 : 0;
	size_t end = w->begin;

	der_put_element(w, 0x80, &(unsigned char){ (unsigned char)(d->signer | wrong) }, 1);
	der_wrap(w, DER_SEQUENCE, end);
	EXTENSION(w, "\x23", false, end);
	end = w->begin;
	der_put_element(w, DER_OCTET_STRING, &(unsigned char){ (unsigned char)(d->key | wrong) }, 1);
	EXTENSION(w, "\x0e", false, end);
}

static void put_extensions(struct der_writer *w, const struct described *d)
{
	size_t end = w->begin;

	if (d->unknown != UNKNOWN_ABSENT)
		put_unknown(w, d);
	if (d->policy != POLICY_ABSENT)
		put_policy(w, d);
	if (d->constraint != UNCONSTRAINED)
		put_constraint(w, d);
	if (described_has_alternative_names(d))
		put_alternative_names(w, d);
	if (d->purpose != PURPOSE_ABSENT)
		put_purpose(w, d);
	if (d->usage != USAGE_ABSENT)
		put_usage(w, d);
	if (d->basic != BASIC_ABSENT)
		put_basic(w, d);
	if (d->key_id != KEY_ID_ABSENT)
		put_key_ids(w, d);
	if (w->begin == end)
		return;
	der_wrap(w, DER_SEQUENCE, end);
	der_wrap(w, 0xa3, end);
}

/* ---- the whole and its signature ---- */

static enum x509_signature signature_kind(unsigned algorithm)
{
	static const enum x509_signature kinds[] = { [SHA256] = X509_ECDSA_SHA256,
		[SHA384] = X509_ECDSA_SHA384,
		[SHA512] = X509_ECDSA_SHA512,
		[SHA1] = X509_ECDSA_SHA1 };
	return kinds[algorithm];
}

static void put_to_be_signed(struct der_writer *w, const struct described *d)
{
	size_t end = w->begin, inner;
	int64_t from, to;

	if (d->version == VERSION_3 || d->version == VERSION_1_WITH_EXTENSIONS)
		put_extensions(w, d);
	put_spki(w, d->key);
	put_name(w, d->subject, d->subject_form);
	described_validity(d->dates, &from, &to);
	inner = w->begin;
	der_put_time(w, to);
	der_put_time(w, from);
	der_wrap(w, DER_SEQUENCE, inner);
	put_name(w, d->issuer, d->issuer_form);
	x509_put_signature_algorithm(w, signature_kind(d->algorithm));
	ELEMENT(w, DER_INTEGER, "\x01");
	if (d->version == VERSION_3 || d->version == VERSION_2) {
		inner = w->begin;
		der_put_element(w, DER_INTEGER, &(unsigned char){ d->version == VERSION_3 ? 2 : 1 }, 1);
		der_wrap(w, 0xa0, inner);
	}
	der_wrap(w, DER_SEQUENCE, end);
}

/* Who made a signature over a hash, in a slot of its own. */
static struct made {
	unsigned char name[32];   /* of hash and signature */
	const struct key *signer; /* NULL: nobody, it is broken */
	bool there;
} * made_slot(
		const void *hash, size_t hash_n, const void *signature, size_t signature_n, unsigned char name[32])
{
	static struct made made[SLOTS];
	br_sha256_context sha256;

	br_sha256_init(&sha256);
	br_sha256_update(&sha256, hash, hash_n);
	br_sha256_update(&sha256, signature, signature_n);
	br_sha256_out(&sha256, name);
	return &made[(name[0] << 8 | name[1]) % SLOTS];
}

/* The certificate is put into *w. */
static void sign(struct der_writer *w, struct bytes to_be_signed, const struct described *d)
{
	static const br_hash_class *const classes[] = { [SHA256] = &br_sha256_vtable,
		[SHA384] = &br_sha384_vtable,
		[SHA512] = &br_sha512_vtable,
		[SHA1] = &br_sha1_vtable };
	const br_hash_class *class = classes[d->algorithm];
	size_t hash_n = class->desc >> BR_HASHDESC_OUT_OFF & BR_HASHDESC_OUT_MASK, n;
	unsigned char hash[64], signature[SIGNATURE_MAX], name[32];
	br_hash_compat_context context;
	struct made *made;

	class->init(&context.vtable);
	class->update(&context.vtable, to_be_signed.at, to_be_signed.n);
	class->out(&context.vtable, hash);
	n = br_ecdsa_sign_asn1_get_default()(
		br_ec_get_default(), class, hash, &key_of(d->signer)->private, signature);
	if (!n)
		abort();
	signature[n - 1] ^= d->broken;
	made = made_slot(hash, hash_n, signature, n, name);
	made->there = true;
	made->signer = d->broken ? NULL : key_of(d->signer);
	memcpy(made->name, name, sizeof name);

	x509_put_signed(w, to_be_signed, signature_kind(d->algorithm), (struct bytes){ signature, n });
	if (w->overflow)
		abort();
}

struct bytes described_certificate(const struct described *d)
{
	static struct {
		struct described described;
		unsigned char der[DER_MAX];
		struct bytes certificate;
	} all[SLOTS], *slot;
	const unsigned char *bytes = (const unsigned char *)d;
	uint32_t mixed = 2166136261U;

	for (size_t i = 0; i < sizeof *d; i++)
		mixed = (mixed ^ bytes[i]) * 16777619U;
	slot = &all[(mixed ^ mixed >> 16) % SLOTS];
	if (!slot->certificate.n || memcmp(&slot->described, d, sizeof *d) != 0) {
		unsigned char inner[DER_MAX];
		struct der_writer to_be_signed = der_write_into(inner, sizeof inner),
						  whole = der_write_into(slot->der, sizeof slot->der);
		put_to_be_signed(&to_be_signed, d);
		if (to_be_signed.overflow)
			abort();
		sign(&whole, der_written(&to_be_signed), d);
		slot->described = *d;
		slot->certificate = der_written(&whole);
	}
	return slot->certificate;
}

uint32_t described_verify(const br_ec_impl *ec, const void *hash, size_t hash_n, const br_ec_public_key *key,
	const void *signature, size_t signature_n)
{
	unsigned char name[32];
	const struct made *made = made_slot(hash, hash_n, signature, signature_n, name);
	bool known = made->there && memcmp(made->name, name, sizeof name) == 0;
	uint32_t good = known && made->signer && made->signer->private.curve == key->curve &&
					made->signer->public_n == key->qlen && !memcmp(made->signer->public, key->q, key->qlen);

	if (known && name[2] % VERIFY_ONE_IN)
		return good;
	uint32_t said = br_ecdsa_vrfy_asn1_get_default()(ec, hash, hash_n, key, signature, signature_n);
	if (known && said != good)
		abort();
	return said;
}
