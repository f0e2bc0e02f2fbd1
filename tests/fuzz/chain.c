/*
 * Fuzzing of path validation with whatever a peer may send. A stand-in for signatures says yes or no by bits
 * of the input, so that the search goes deep; what is found, how much was done for it, and that it is found
 * again, is checked.
 *
 * Input: PEM or one certificate in DER, which is then presented as it is with the last one as anchor; or
 * SETTINGS bytes, see read_input, and certificates, each behind two bytes of length, the highest bit of which
 * makes it an anchor.
 */
#include "../../src/x509/x509.h"

#include <stdlib.h>
#include <string.h>

enum { SETTINGS = 4, ANCHORS_MAX = 16, IS_ANCHOR = 0x8000, SECONDS_A_DAY = 86400 };
enum answers { ALWAYS, NEVER, MOSTLY, SELDOM };

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t n);

static struct bytes chain[X509_CHAIN_MAX + 1]; /* one more than is allowed */
static struct x509_certificate trusted[ANCHORS_MAX];
static struct x509_list anchors = { .certificates = trusted };
static size_t n_chain;
static struct x509_trust trust;
static enum answers answers;
static unsigned seed, signatures;

static void check(bool holds)
{
	if (!holds)
		abort();
}

/* The same question always gets the same answer. */
static bool check_signature(
	const struct x509_public_key *key, enum x509_signature kind, struct bytes text, struct bytes signature)
{
	unsigned mixed = seed + (unsigned)kind;

	signatures++;
	check(key->kind == (kind >= X509_ECDSA_SHA256 ? X509_KEY_EC : X509_KEY_RSA));
	check(kind != X509_SIGNED_OTHERWISE && kind != X509_RSA_SHA1 && kind != X509_ECDSA_SHA1 && text.n > 0);
	struct bytes of_key = key->kind == X509_KEY_EC ? key->point : key->modulus;
	for (size_t i = 0; i < of_key.n; i++)
		mixed = mixed * 31 + of_key.at[i];
	for (size_t i = 0; i < signature.n; i++)
		mixed = mixed * 31 + signature.at[i];
	switch (answers) {
	case ALWAYS:
		return true;
	case NEVER:
		return false;
	case MOSTLY:
		return mixed >> 8 & 3;
	default:
		return !(mixed >> 8 & 3);
	}
}

/* ---- from input to a chain and anchors ---- */

static void add_anchor(struct bytes der)
{
	struct x509_problem problem;

	if (anchors.n < ANCHORS_MAX && x509_parse(der, &trusted[anchors.n], &problem))
		anchors.n++;
}

static void present(struct bytes der)
{
	if (n_chain < X509_CHAIN_MAX + 1)
		chain[n_chain++] = der;
}

static void read_input(struct bytes in)
{
	static const char *const names[] = { NULL, "www.example.org", "a.test", "192.0.2.1", "2001:db8::1",
		"*.test", "a", "" };

	trust.of_client = in.at[0] & 1;
	trust.common_name = in.at[0] >> 1 & 1;
	trust.name = names[in.at[0] >> 2 & 7];
	answers = in.at[0] >> 6;
	seed = in.at[1];
	trust.max_intermediates = in.at[2] & 15;
	trust.now = in.at[3] * INT64_C(10) * SECONDS_A_DAY;
	in.at += SETTINGS;
	in.n -= SETTINGS;
	while (in.n >= 2) {
		unsigned length = (unsigned)in.at[0] << 8 | in.at[1];
		struct bytes der = { in.at + 2, length & ~(unsigned)IS_ANCHOR };
		if (der.n > in.n - 2)
			der.n = in.n - 2;
		in.at += 2 + der.n;
		in.n -= 2 + der.n;
		if (length & IS_ANCHOR)
			add_anchor(der);
		else
			present(der);
	}
}

static void read_pem(unsigned char *text, size_t n)
{
	struct x509_problem problem;
	struct pem_block block;
	size_t offset = 0;

	while (pem_next(text, n, &offset, &block, &problem) > 0)
		present(block.content);
	if (n_chain)
		add_anchor(chain[n_chain - 1]);
}

static void read_chain(unsigned char *copy, size_t n)
{
	struct x509_certificate leaf;
	struct x509_problem problem;

	n_chain = anchors.n = 0;
	answers = ALWAYS;
	trust = (struct x509_trust){ .anchors = &anchors,
		.check_chain = true,
		.max_intermediates = X509_CHAIN_MAX,
		.min_rsa_bits = X509_RSA_BITS_MIN,
		.check_signature = check_signature };
	if (n > 0 && copy[0] == '-') {
		read_pem(copy, n);
	} else if (n > 0 && copy[0] == DER_SEQUENCE) {
		present((struct bytes){ copy, n });
		add_anchor(chain[0]);
	} else if (n >= SETTINGS) {
		read_input((struct bytes){ copy, n });
	}
	/* The times of certificates are their own affair; counted from the leaf's, they come into play. */
	if (n_chain && x509_parse(chain[0], &leaf, &problem))
		trust.now += leaf.not_before;
}

/* ---- what must hold ---- */

static bool is_presented(const struct x509_path *path, const struct x509_certificate *certificate)
{
	for (size_t i = 0; i < path->n_presented; i++)
		if (certificate == &path->presented[i])
			return true;
	return false;
}

static bool is_anchor(const struct x509_certificate *certificate)
{
	for (size_t i = 0; i < anchors.n; i++)
		if (certificate == &trusted[i])
			return true;
	return false;
}

static void check_steps(const struct x509_path *path, const struct x509_verdict *verdict)
{
	const struct x509_certificate *last = path->n_steps ? path->steps[path->n_steps - 1] : NULL;

	check(path->n_steps <= path->n_presented + 1);
	for (size_t i = 0; i < path->n_steps; i++) {
		const struct x509_certificate *step = path->steps[i];
		check(i == 0 ? step == &path->presented[0]
					 : is_presented(path, step) || (step == last && is_anchor(step)));
		check(i == 0 || x509_same_name(path->steps[i - 1]->issuer, step->subject));
		for (size_t j = 0; j < i; j++)
			check(path->steps[j] != step);
	}
	if (!verdict->accepted)
		return;
	check(path->n_steps > 0 && path->n_steps <= trust.max_intermediates + 2);
	if (path->n_steps > 1) {
		check(is_anchor(last));
		return;
	}
	for (size_t i = 0; i < anchors.n; i++)
		if (bytes_equal(trusted[i].der, last->der))
			return;
	abort();
}

static void judge(struct x509_path *path, struct x509_verdict *verdict)
{
	memset(path, 0xa5, sizeof *path);
	signatures = 0;
	x509_judge(&trust, chain, n_chain, path, verdict);
	check(signatures <= X509_SIGNATURES_MAX);
	check(verdict->accepted == (verdict->reason == NULL) && verdict->accepted == (verdict->alert == 0));
	check(verdict->accepted ? path->at == NULL && path->unreadable != 1 && path->n_presented > 0
							: verdict->alert == X509_ALERT_BAD_CERTIFICATE ||
								  verdict->alert == X509_ALERT_UNSUPPORTED_CERTIFICATE ||
								  verdict->alert == X509_ALERT_CERTIFICATE_EXPIRED ||
								  verdict->alert == X509_ALERT_UNKNOWN_CA);
	check(path->n_presented <= X509_CHAIN_MAX && path->unreadable <= n_chain);
	check(path->at == NULL || is_presented(path, path->at) || is_anchor(path->at));
	check_steps(path, verdict);
	if (n_chain == 0 || n_chain > X509_CHAIN_MAX)
		check(!verdict->accepted);
}

/* A name is itself, and the order of two is nothing to go by. */
static void compare_names(const struct x509_path *path)
{
	for (size_t i = 0; i < path->n_presented; i++) {
		const struct x509_certificate *a = &path->presented[i],
									  *b = &path->presented[path->n_presented - 1 - i];
		check(x509_same_name(a->subject, a->subject));
		check(x509_same_name(a->subject, b->issuer) == x509_same_name(b->issuer, a->subject));
		check(!bytes_equal(a->subject, b->issuer) || x509_same_name(a->subject, b->issuer));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t n)
{
	static struct x509_path path, again;
	struct x509_verdict first, second;
	unsigned char *copy = malloc(n > 0 ? n : 1); /* PEM is decoded in place */

	check(copy != NULL);
	if (n > 0)
		memcpy(copy, input, n);
	read_chain(copy, n);
	judge(&path, &first);
	unsigned before = signatures;
	judge(&again, &second);
	check(first.accepted == second.accepted && first.alert == second.alert && first.reason == second.reason &&
		  path.n_steps == again.n_steps && signatures == before);
	compare_names(&path);
	trust.check_chain = false;
	x509_judge(&trust, chain, n_chain, &again, &second);
	check(second.accepted);
	free(copy);
	return 0;
}
