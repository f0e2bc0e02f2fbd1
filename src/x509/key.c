/*
 * Private keys: PKCS#1 (RFC 8017 A.1.2), SEC1 (RFC 5915) and PKCS#8 (RFC 5208, RFC 5958), as PEM or DER;
 * those that are encrypted by way of encrypted.c. All numbers are bounded here, so that no engine is handed
 * one it has no room for.
 */
#include "x509.h"
#include "encrypted.h"
#include "oids.h"

#include <string.h>

enum { RSA_MIN_BITS = 512, RSA_MAX_BITS = 4096, FACTOR_MAX_BITS = (RSA_MAX_BITS + 64) / 2 };

static const char other_kind[] = "a key that is neither RSA nor EC";

static size_t bit_length(struct bytes number)
{
	size_t bits = number.n * 8;
	for (unsigned top = number.at[0]; top < 0x80 && bits > 0; top <<= 1)
		bits--;
	return bits;
}

static bool is_odd(struct bytes number)
{
	return number.at[number.n - 1] & 1;
}

/* a < b for numbers without leading zeros. */
static bool is_less(struct bytes a, struct bytes b)
{
	return a.n != b.n ? a.n < b.n : memcmp(a.at, b.at, a.n) < 0;
}

/* The functions below return NULL when done, else the words of the refusal. */

static const char *rsa_sizes(const struct x509_private_key *key)
{
	size_t n = bit_length(key->n), p = bit_length(key->p), q = bit_length(key->q);
	if (n > RSA_MAX_BITS)
		return "RSA key of more than 4096 bits";
	if (n < RSA_MIN_BITS)
		return "RSA key of less than 512 bits";
	if (p > FACTOR_MAX_BITS || q > FACTOR_MAX_BITS || p + q < n || p + q > n + 1)
		return "RSA key with primes of the wrong size";
	if (!is_odd(key->n) || !is_odd(key->p) || !is_odd(key->q) || !is_odd(key->e) ||
		!is_less(key->e, key->n) || !is_less(key->dp, key->p) || !is_less(key->dq, key->q) ||
		!is_less(key->qi, key->p))
		return "RSA key whose numbers do not belong together";
	return NULL;
}

static const char *rsa_key(struct bytes in, struct x509_private_key *key)
{
	struct bytes content, d;
	uint64_t version;
	if (!der_take(&in, DER_SEQUENCE, &content) || in.n != 0 || !der_take_uint(&content, &version))
		return "malformed RSA key";
	if (version != 0)
		return "RSA key with more than two primes";
	if (!der_take_positive(&content, &key->n) || !der_take_positive(&content, &key->e) ||
		!der_take_positive(&content, &d) || !der_take_positive(&content, &key->p) ||
		!der_take_positive(&content, &key->q) || !der_take_positive(&content, &key->dp) ||
		!der_take_positive(&content, &key->dq) || !der_take_positive(&content, &key->qi) || content.n != 0)
		return "malformed RSA key";
	key->kind = X509_KEY_RSA;
	return rsa_sizes(key);
}

/* The number of points of a curve: a private scalar is less than that (SEC 1 3.2.1). */
static struct bytes curve_order(unsigned curve)
{
	static const unsigned char p256[32] = { 0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff,
		0xff, 0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6, 0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2,
		0xfc, 0x63, 0x25, 0x51 };
	static const unsigned char p384[48] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
		0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xc7, 0x63, 0x4d, 0x81,
		0xf4, 0x37, 0x2d, 0xdf, 0x58, 0x1a, 0x0d, 0xb2, 0x48, 0xb0, 0xa7, 0x7a, 0xec, 0xec, 0x19, 0x6a, 0xcc,
		0xc5, 0x29, 0x73 };
	static const unsigned char p521[66] = { 0x01, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
		0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
		0xff, 0xff, 0xff, 0xff, 0xff, 0xfa, 0x51, 0x86, 0x87, 0x83, 0xbf, 0x2f, 0x96, 0x6b, 0x7f, 0xcc, 0x01,
		0x48, 0xf7, 0x09, 0xa5, 0xd0, 0x3b, 0xb5, 0xc9, 0xb8, 0x89, 0x9c, 0x47, 0xae, 0xbb, 0x6f, 0xb7, 0x1e,
		0x91, 0x38, 0x64, 0x09 };
	switch (curve) {
	case X509_P256:
		return (struct bytes){ p256, sizeof p256 };
	case X509_P384:
		return (struct bytes){ p384, sizeof p384 };
	default:
		return (struct bytes){ p521, sizeof p521 };
	}
}

/* ECParameters: only a named curve. */
static const char *curve_of(struct bytes parameters, unsigned *curve)
{
	struct bytes oid;
	if (!der_take(&parameters, DER_OID, &oid) || parameters.n != 0)
		return "EC key without the name of its curve";
	unsigned found = oid_curve(oid);
	if (found == 0 || (*curve != 0 && found != *curve))
		return found == 0 ? "EC key on a curve other than P-256, P-384 and P-521" : "EC key with two curves";
	*curve = found;
	return NULL;
}

/* Writers disagree on leading zeros (RFC 5915 3 asks for all of them), so both kinds are read; what *x is has
 * none. */
static bool scalar_fits(struct bytes *x, unsigned curve)
{
	while (x->n > 0 && x->at[0] == 0) {
		x->at++;
		x->n--;
	}
	return x->n > 0 && is_less(*x, curve_order(curve));
}

/* curve: the one that a PKCS#8 wrapper names, else 0. */
static const char *ec_key(struct bytes in, unsigned curve, struct x509_private_key *key)
{
	enum { PARAMETERS_0 = 0xa0, PUBLIC_KEY_1 = 0xa1 };
	struct bytes content, part;
	uint64_t version;
	if (!der_take(&in, DER_SEQUENCE, &content) || in.n != 0 || !der_take_uint(&content, &version) ||
		version != 1 || !der_take(&content, DER_OCTET_STRING, &key->x))
		return "malformed EC key";
	if (der_take(&content, PARAMETERS_0, &part)) {
		const char *bad = curve_of(part, &curve);
		if (bad != NULL)
			return bad;
	}
	if (curve == 0)
		return "EC key without the name of its curve";
	size_t size = curve_bytes(curve);
	if (der_take(&content, PUBLIC_KEY_1, &part)) {
		if (!der_take_bytes_of_bits(&part, &key->point) || part.n != 0 || key->point.n == 0)
			return "malformed EC key";
		bool compressed = key->point.at[0] == 2 || key->point.at[0] == 3;
		if (compressed && key->point.n == 1 + size)
			key->point.n = 0; /* as good as none: nobody here takes square roots */
		else if (key->point.at[0] != 4 || key->point.n != 1 + 2 * size)
			return "malformed EC key";
	}
	if (content.n != 0)
		return "malformed EC key";
	if (!scalar_fits(&key->x, curve))
		return "EC key whose number does not fit its curve";
	key->kind = X509_KEY_EC;
	key->curve = curve;
	return NULL;
}

/* What RFC 5958 2 lets follow the key: attributes [0], and from version 2 on the public key [1]. */
static bool ends_well(struct bytes in, uint64_t version)
{
	enum { ATTRIBUTES_0 = 0xa0, PUBLIC_KEY_1 = 0x81 };
	struct bytes part;
	if (der_take(&in, ATTRIBUTES_0, &part) && in.n == 0)
		return true;
	return in.n == 0 || (version == 1 && der_take(&in, PUBLIC_KEY_1, &part) && in.n == 0);
}

static const char *pkcs8_key(struct bytes in, struct x509_private_key *key)
{
	struct bytes content, identifier, oid, inner, null;
	uint64_t version;
	if (!der_take(&in, DER_SEQUENCE, &content) || in.n != 0 || !der_take_uint(&content, &version) ||
		version > 1 || !der_take(&content, DER_SEQUENCE, &identifier) ||
		!der_take(&identifier, DER_OID, &oid) || !der_take(&content, DER_OCTET_STRING, &inner) ||
		!ends_well(content, version))
		return "malformed PKCS#8 key";
	if (oid_is_rsa(oid)) {
		if (identifier.n > 0 && (!der_take(&identifier, DER_NULL, &null) || null.n != 0 || identifier.n != 0))
			return "malformed PKCS#8 key";
		return rsa_key(inner, key);
	}
	if (oid_is_ec(oid)) {
		unsigned curve = 0;
		const char *bad = curve_of(identifier, &curve);
		return bad != NULL ? bad : ec_key(inner, curve, key);
	}
	return other_kind;
}

/* EncryptedPrivateKeyInfo (RFC 5958 3). */
static const char *encrypted_key(
	unsigned char *text, struct bytes in, const struct x509_password *password, struct x509_private_key *key)
{
	struct bytes plain;
	const char *bad = encrypted_open_pkcs8(text, in, password, &plain);
	return bad != NULL ? bad : pkcs8_key(plain, key);
}

/* DER does not say which of the structures it is, but the second element does: INTEGER, OCTET STRING or
 * SEQUENCE. */
static const char *der_key(
	unsigned char *text, size_t n, const struct x509_password *password, struct x509_private_key *key)
{
	const struct bytes der = { text, n };
	struct bytes in = der, content, part;
	uint64_t version;
	unsigned tag;
	if (!der_take(&in, DER_SEQUENCE, &content))
		return "no private key in it";
	struct bytes rest = content;
	if (der_take(&rest, DER_SEQUENCE, &part) && der_take(&rest, DER_OCTET_STRING, &part) && rest.n == 0)
		return encrypted_key(text, der, password, key);
	if (!der_take_uint(&content, &version) || !der_next(&content, &tag, &part))
		return "no private key in it";
	switch (tag) {
	case DER_INTEGER:
		return rsa_key(der, key);
	case DER_OCTET_STRING:
		return ec_key(der, 0, key);
	case DER_SEQUENCE:
		return pkcs8_key(der, key);
	default:
		return "no private key in it";
	}
}

/* Any sort of private key, encrypted or not. */
static bool is_private_key(const struct pem_block *block)
{
	static const char end[] = "PRIVATE KEY";
	size_t n = sizeof end - 1;
	return block->label.n >= n && memcmp(block->label.at + block->label.n - n, end, n) == 0;
}

static const char *pem_key(unsigned char *text, const struct pem_block *block,
	const struct x509_password *password, struct x509_private_key *key)
{
	struct bytes content = block->content;
	if (pem_is(block, "ENCRYPTED PRIVATE KEY"))
		return encrypted_key(text, content, password, key);
	if (pem_is(block, "OPENSSH PRIVATE KEY"))
		return "a key in OpenSSH's own format: convert it with ssh-keygen -p -m PEM -f key";
	if (block->encrypted) {
		const char *bad = encrypted_open_pem(text, block, password, &content);
		if (bad != NULL)
			return bad;
	}
	if (pem_is(block, "PRIVATE KEY"))
		return pkcs8_key(content, key);
	if (pem_is(block, "RSA PRIVATE KEY"))
		return rsa_key(content, key);
	if (pem_is(block, "EC PRIVATE KEY"))
		return ec_key(content, 0, key);
	return other_kind;
}

static const char none[] = "no private key in it";

/* Whether the contents of a SEQUENCE begin like a key, encrypted or not, see der_key. */
static bool begins_like_key(struct bytes content)
{
	struct bytes part;
	uint64_t version;
	if (der_take(&content, DER_SEQUENCE, &part))
		return der_take(&content, DER_OCTET_STRING, &part) && content.n == 0;
	return der_take_uint(&content, &version) && version <= 1;
}

/* What is to be said of a file without a PEM block: it may hold a key in DER that has another length. */
static const char *almost_der(struct bytes in)
{
	const bool cut_off = in.n > 2 && in.at[0] == DER_SEQUENCE && (in.at[1] == 0x81 || in.at[1] == 0x82);
	struct bytes content;
	if (der_take(&in, DER_SEQUENCE, &content))
		return begins_like_key(content) ? "something behind the key, which is in DER" : none;
	return cut_off ? "DER that is cut off" : none; /* no text has such a length */
}

/* NULL, or the words of the refusal; none is said where there is no further key. */
static const char *find_key(unsigned char *text, size_t n, size_t *offset,
	const struct x509_password *password, struct x509_private_key *key, struct x509_problem *problem)
{
	struct bytes in = { text, n }, content;
	const bool first = *offset == 0;
	if (first && der_take(&in, DER_SEQUENCE, &content) && in.n == 0) {
		*offset = n;
		return der_key(text, n, password, key);
	}
	struct pem_block block;
	int found;
	while ((found = pem_next(text, n, offset, &block, problem)) > 0)
		if (is_private_key(&block))
			return pem_key(text, &block, password, key);
	if (found < 0)
		return problem->reason;
	return first ? almost_der((struct bytes){ text, n }) : none;
}

int x509_next_private_key(unsigned char *text, size_t n, size_t *offset, const struct x509_password *password,
	struct x509_private_key *key, struct x509_problem *problem)
{
	*key = (struct x509_private_key){ .kind = X509_KEY_OTHER };
	const char *bad = find_key(text, n, offset, password, key, problem);
	if (bad == NULL)
		return 1;
	*key = (struct x509_private_key){ .kind = X509_KEY_OTHER };
	*problem = (struct x509_problem){ .reason = bad };
	return bad == none ? 0 : -1;
}

bool x509_read_private_key(unsigned char *text, size_t n, const struct x509_password *password,
	struct x509_private_key *key, struct x509_problem *problem)
{
	size_t offset = 0;
	return x509_next_private_key(text, n, &offset, password, key, problem) > 0;
}

bool x509_key_matches(
	const struct x509_private_key *key, const struct x509_public_key *public_key, bool *certain)
{
	*certain = true;
	if (key->kind != public_key->kind)
		return false;
	if (key->kind == X509_KEY_RSA)
		return bytes_equal(key->n, public_key->modulus) && bytes_equal(key->e, public_key->exponent);
	if (key->kind != X509_KEY_EC || key->curve != public_key->curve)
		return false;
	*certain = key->point.n > 0;
	return !*certain || bytes_equal(key->point, public_key->point);
}
