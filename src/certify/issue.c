/*
 * The certificate itself (RFC 5280 4.1), and its signature.
 */
#include <errno.h>
#include <string.h>
#include "certify/certify.h"

/* Hashes by their number in TLS signature schemes (RFC 8446 4.2.3). */
enum { WITH_SHA256 = 4, WITH_SHA384 = 5, WITH_SHA512 = 6, BY_RSA = 1, BY_ECDSA = 3 };

enum { SIGNATURE_BYTES = 512 }; /* RSA with 4096 bits */

static bool fail(
	struct chain_problem *problem, int exit_code, const char *doing, const char *reason, int errnum)
{
	*problem = (struct chain_problem){ exit_code, doing, NULL, reason, errnum };
	return false;
}

#define ELEMENT(w, tag, literal) der_put_element(w, tag, literal, sizeof(literal) - 1)

/* ---- extensions (RFC 5280 4.2.1): the value has been put since the beginning was at end ---- */

enum {
	SUBJECT_KEY_IDENTIFIER = 14,
	KEY_USAGE = 15,
	SUBJECT_ALT_NAME = 17,
	BASIC_CONSTRAINTS = 19,
	AUTHORITY_KEY_IDENTIFIER = 35,
	EXTENDED_KEY_USAGE = 37
};

static void wrap_extension(struct der_writer *w, unsigned char last_arc, bool critical, size_t end)
{
	der_wrap(w, DER_OCTET_STRING, end);
	if (critical)
		ELEMENT(w, DER_BOOLEAN, "\xff");
	der_put_element(w, DER_OID, (const unsigned char[]){ 0x55, 0x1d, last_arc }, 3); /* id-ce */
	der_wrap(w, DER_SEQUENCE, end);
}

static void put_names(struct der_writer *w, const struct certify_request *request)
{
	size_t end = w->begin;

	for (size_t i = request->n_names; i-- > 0;)
		der_put_element(w, request->names[i].kind, request->names[i].at, request->names[i].n);
	der_wrap(w, DER_SEQUENCE, end);
	/* Critical where nothing else says whose certificate it is (4.2.1.6). */
	wrap_extension(w, SUBJECT_ALT_NAME, !request->common_name, end);
}

static void put_key_ids(struct der_writer *w, struct bytes subject_id, struct bytes authority_id)
{
	size_t end = w->begin;

	der_put_element(w, 0x80, authority_id.at, authority_id.n);
	der_wrap(w, DER_SEQUENCE, end);
	wrap_extension(w, AUTHORITY_KEY_IDENTIFIER, false, end);
	end = w->begin;
	der_put_element(w, DER_OCTET_STRING, subject_id.at, subject_id.n);
	wrap_extension(w, SUBJECT_KEY_IDENTIFIER, false, end);
}

static void put_purposes(struct der_writer *w, const struct certify_request *request)
{
	size_t end = w->begin;

	if (request->for_clients)
		ELEMENT(w, DER_OID, "\x2b\x06\x01\x05\x05\x07\x03\x02");
	if (request->for_servers)
		ELEMENT(w, DER_OID, "\x2b\x06\x01\x05\x05\x07\x03\x01");
	der_wrap(w, DER_SEQUENCE, end);
	wrap_extension(w, EXTENDED_KEY_USAGE, false, end);
}

/* Count of unused bits and bits: keyCertSign and cRLSign; digitalSignature; that and keyEncipherment, which
 * servers with RSA keys need for the oldest suites. */
static void put_usage(struct der_writer *w, const struct certify_request *request, enum x509_key_kind kind)
{
	size_t end = w->begin;

	if (request->is_ca)
		ELEMENT(w, DER_BIT_STRING, "\x01\x06");
	else if (kind == X509_KEY_RSA && request->for_servers)
		ELEMENT(w, DER_BIT_STRING, "\x05\xa0");
	else
		ELEMENT(w, DER_BIT_STRING, "\x07\x80");
	wrap_extension(w, KEY_USAGE, true, end);
}

static void put_basic_constraints(struct der_writer *w, const struct certify_request *request)
{
	size_t end = w->begin;

	if (request->is_ca) {
		der_put_positive(w, (struct bytes){ &(unsigned char){ (unsigned char)request->path_length }, 1 });
		ELEMENT(w, DER_BOOLEAN, "\xff");
	}
	der_wrap(w, DER_SEQUENCE, end);
	wrap_extension(w, BASIC_CONSTRAINTS, true, end);
}

/* ---- what is signed ---- */

struct signer {
	const struct x509_private_key *key;
	const struct x509_public_key *public;
	enum x509_signature kind;
	unsigned scheme;
	struct bytes name;   /* Name; empty: that of the subject */
	struct bytes key_id; /* empty: that of the subject */
};

static void put_common_name(struct der_writer *w, const char *common_name)
{
	size_t end = w->begin;

	if (common_name) {
		der_put_element(w, DER_UTF8_STRING, common_name, strlen(common_name));
		ELEMENT(w, DER_OID, "\x55\x04\x03");
		der_wrap(w, DER_SEQUENCE, end);
		der_wrap(w, DER_SET, end);
	}
	der_wrap(w, DER_SEQUENCE, end);
}

static void put_extensions(struct der_writer *w, const struct certify_request *request,
	const struct x509_public_key *key, struct bytes subject_id, struct bytes authority_id)
{
	size_t end = w->begin;

	if (request->n_names > 0)
		put_names(w, request);
	put_key_ids(w, subject_id, authority_id.n ? authority_id : subject_id);
	if (!request->is_ca)
		put_purposes(w, request);
	put_usage(w, request, key->kind);
	put_basic_constraints(w, request);
	der_wrap(w, DER_SEQUENCE, end);
	der_wrap(w, 0xa3, end);
}

/* keyIdentifier by RFC 7093 2 (1): the first 160 bits of SHA-256 over the bits of the public key. */
static void key_id_of(const struct x509_public_key *key, unsigned char id[32])
{
	unsigned char memory[1024];
	struct der_writer w = der_write_into(memory, sizeof memory);
	struct bytes in, spki, algorithm, bits = { NULL, 0 };

	x509_put_public_key(&w, key);
	in = der_written(&w);
	(void)(der_take(&in, DER_SEQUENCE, &spki) && der_take(&spki, DER_SEQUENCE, &algorithm) &&
		   der_take(&spki, DER_BIT_STRING, &bits));
	engine_sha256((struct bytes){ bits.at + 1, bits.n - 1 }, id);
}

/* Sixteen bytes, positive and never shorter: 126 random bits (RFC 5280 4.1.2.2 asks for at most 20 bytes). */
static bool make_serial(unsigned char serial[CERTIFY_SERIAL_BYTES])
{
	if (!engine_random(serial, CERTIFY_SERIAL_BYTES))
		return false;
	serial[0] = (unsigned char)((serial[0] & 0x3f) | 0x40);
	return true;
}

static void put_to_be_signed(struct der_writer *w, const struct certify_request *request,
	const struct x509_public_key *key, const struct signer *signer,
	const unsigned char serial[CERTIFY_SERIAL_BYTES])
{
	unsigned char id[32];
	size_t end = w->begin, inner;

	key_id_of(key, id);
	put_extensions(w, request, key, (struct bytes){ id, CERTIFY_KEY_ID_BYTES }, signer->key_id);
	x509_put_public_key(w, key);
	put_common_name(w, request->common_name);
	inner = w->begin;
	der_put_time(w, request->not_after);
	der_put_time(w, request->not_before);
	der_wrap(w, DER_SEQUENCE, inner);
	if (signer->name.n)
		der_put(w, signer->name.at, signer->name.n);
	else
		put_common_name(w, request->common_name);
	x509_put_signature_algorithm(w, signer->kind);
	der_put_positive(w, (struct bytes){ serial, CERTIFY_SERIAL_BYTES });
	inner = w->begin;
	ELEMENT(w, DER_INTEGER, "\x02"); /* version 3 */
	der_wrap(w, 0xa0, inner);
	der_wrap(w, DER_SEQUENCE, end);
}

/* ---- signing ---- */

/* The hash goes with the strength of the key. */
static void choose_algorithm(struct signer *signer)
{
	if (signer->key->kind == X509_KEY_RSA) {
		signer->kind = X509_RSA_SHA256;
		signer->scheme = WITH_SHA256 << 8 | BY_RSA;
	} else if (signer->key->curve == X509_P256) {
		signer->kind = X509_ECDSA_SHA256;
		signer->scheme = WITH_SHA256 << 8 | BY_ECDSA;
	} else if (signer->key->curve == X509_P384) {
		signer->kind = X509_ECDSA_SHA384;
		signer->scheme = WITH_SHA384 << 8 | BY_ECDSA;
	} else {
		signer->kind = X509_ECDSA_SHA512;
		signer->scheme = WITH_SHA512 << 8 | BY_ECDSA;
	}
}

static bool sign(struct bytes to_be_signed, const struct signer *signer, unsigned char *memory,
	struct bytes *der, struct chain_problem *problem)
{
	const struct engine_to_sign what = { signer->scheme, false, to_be_signed };
	struct der_writer w = der_write_into(memory, CERTIFY_DER_BYTES);
	unsigned char signature[SIGNATURE_BYTES];
	size_t n = engine_key_sign(signer->key, &what, signature, sizeof signature);

	/* A signature that went wrong could give an RSA key away. */
	if (!n ||
		!engine_check_signature(signer->public, signer->kind, to_be_signed, (struct bytes){ signature, n }))
		return fail(problem, EXIT_ENGINE, "sign", "the TLS library failed", 0);
	x509_put_signed(&w, to_be_signed, signer->kind, (struct bytes){ signature, n });
	*der = der_written(&w);
	return !w.overflow || fail(problem, EXIT_USAGE, "make a certificate", "too many names", 0);
}

/* ---- what a peer would say ---- */

/* What x509_judge does not look at in a certificate of a CA. */
static const char *refuse_ca(const struct certify_request *request, const struct x509_certificate *issuer)
{
	if (issuer->path_length == 0)
		return "the path length of the CA is 0: there may be no other CA below it";
	if (issuer->path_length > 0 && request->path_length >= (unsigned)issuer->path_length)
		return "the path length of the CA does not allow that of the new one (-l)";
	return NULL;
}

static const char *refuse_for(bool of_client, const struct x509_list *anchors, struct bytes der, int64_t now)
{
	static struct x509_path path; /* large */
	const struct x509_trust trust = { .of_client = of_client,
		.anchors = anchors,
		.check_chain = true,
		.max_intermediates = X509_CHAIN_MAX,
		.min_rsa_bits = X509_RSA_BITS_MIN,
		.now = now,
		.check_signature = engine_check_signature };
	struct x509_verdict verdict;

	x509_judge(&trust, &der, 1, &path, &verdict);
	return verdict.accepted ? NULL : verdict.reason;
}

static const char *refuse_leaf(const struct certify_request *request,
	const struct certify_authority *authority, struct bytes der, int64_t now)
{
	unsigned char copy[CERTIFY_DER_BYTES];
	struct x509_list own = { .n = 0 };
	const struct x509_list *anchors = authority ? &authority->list : &own;
	struct x509_problem why;
	const char *bad = NULL;

	memcpy(copy, der.at, der.n);
	if (!authority && !x509_list_add_memory(&own, copy, der.n, false, &why))
		bad = why.reason;
	if (!bad && request->for_servers)
		bad = refuse_for(false, anchors, der, now);
	if (!bad && request->for_clients)
		bad = refuse_for(true, anchors, der, now);
	x509_list_free(&own);
	return bad;
}

static bool check(const struct certify_request *request, const struct certify_authority *authority,
	struct bytes der, int64_t now, struct chain_problem *problem)
{
	struct x509_certificate made;
	struct x509_problem why;
	const char *bad = x509_parse(der, &made, &why) ? NULL : why.reason;

	/* Peers would take it for a self-signed one. */
	if (!bad && authority && x509_same_name(made.subject, authority->certificate.subject))
		bad = "its common name is the name of the CA";
	if (!bad && request->is_ca && authority)
		bad = refuse_ca(request, &authority->certificate);
	if (!bad && !request->is_ca)
		bad = refuse_leaf(request, authority, der, now);
	return !bad || fail(problem, EXIT_CONFIGURATION, "make a certificate that is accepted", bad, 0);
}

bool certify_issue(const struct certify_request *request, const struct engine_new_key *key,
	const struct certify_authority *authority, int64_t now, unsigned char *memory, struct bytes *der,
	struct chain_problem *problem)
{
	unsigned char serial[CERTIFY_SERIAL_BYTES], inner[CERTIFY_DER_BYTES], issuer_id[32];
	struct der_writer w = der_write_into(inner, sizeof inner);
	struct signer signer = { .key = &key->private, .public = &key->public };

	if (authority) {
		signer = (struct signer){ .key = &authority->key,
			.public = &authority->certificate.key,
			.name = authority->certificate.subject,
			.key_id = { authority->key_id, authority->key_id_n } };
		if (!authority->key_id_n) {
			key_id_of(signer.public, issuer_id);
			signer.key_id = (struct bytes){ issuer_id, CERTIFY_KEY_ID_BYTES };
		}
	}
	choose_algorithm(&signer);
	if (!make_serial(serial))
		return fail(problem, EXIT_SYSTEM, "get random bytes", NULL, errno);
	put_to_be_signed(&w, request, &key->public, &signer, serial);
	if (w.overflow)
		return fail(problem, EXIT_USAGE, "make a certificate", "too many names", 0);
	return sign(der_written(&w), &signer, memory, der, problem) &&
		   check(request, authority, *der, now, problem);
}
