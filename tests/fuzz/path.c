/*
 * Fuzzing of path validation against an oracle. The input describes certificates that are then made and
 * signed; a description of zeros is a chain in good order. BearSSL's x509_minimal judges what a chain in
 * order is: what it accepts in any order of those presented, we must accept, and what we accept, it must
 * accept in the order of the path we found, but for the differences that are functions here, each with its
 * reason.
 *
 * Input: five bytes about the whole, see read_question; then CERTIFICATE_BYTES for each of those presented
 * and each anchor.
 */
#include "../lib/described.h"
#include "../lib/minimal.h"
#include "../../src/engine/engine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PRESENTED_MAX = 5, ANCHORS_MAX = 2, CERTIFICATE_BYTES = 7, ORACLE_MAX = 40 };

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t n);

/* A certificate: what it was made from, its DER, and that as read. */
struct made {
	struct described d;
	struct bytes der;
	struct x509_certificate parsed;
	bool readable;
	br_x509_trust_anchor anchor; /* of an anchor */
};

static struct made presented[PRESENTED_MAX], anchors[ANCHORS_MAX];
static size_t n_presented, n_anchors;
static struct x509_trust trust;
static unsigned signatures;

static void check(bool holds)
{
	if (!holds)
		abort();
}

/* ---- from input to certificates ---- */

static uint8_t take(const uint8_t **input, size_t *n)
{
	if (!*n)
		return 0;
	--*n;
	return *(*input)++;
}

/* What cannot be seen in the certificate is zero, so that the same is made only once. */
static void tidy(struct described *d)
{
	if (d->version == VERSION_1 || d->version == VERSION_2)
		*d = (struct described){ .key = d->key,
			.signer = d->signer,
			.broken = d->broken,
			.version = d->version,
			.subject = d->subject,
			.issuer = d->issuer,
			.subject_form = d->subject_form,
			.issuer_form = d->issuer_form,
			.dates = d->dates,
			.algorithm = d->algorithm };
	d->basic_critical &= d->basic != BASIC_ABSENT;
	d->usage_critical &= d->usage != USAGE_ABSENT;
	d->purpose_critical &= d->purpose != PURPOSE_ABSENT;
	d->constraint_critical &= d->constraint != UNCONSTRAINED;
	d->policy_critical &= d->policy != POLICY_ABSENT;
}

/* Reads the description of what stands at a place of a chain: its name and key, and its issuer's, are counted
 * from there. */
static void read_described(const uint8_t **input, size_t *n, size_t place, struct described *d)
{
	uint8_t b[CERTIFICATE_BYTES], own, above, slow;

	for (size_t i = 0; i < CERTIFICATE_BYTES; i++)
		b[i] = take(input, n);
	own = b[0] & 3;
	above = b[0] >> 2 & 3;
	slow = b[2] >> 7;
	*d = (struct described){
		.key = own == 3 ? 3 + slow : (uint8_t)((place + own) % 3),
		.signer = above == 3 ? 3 + slow : (uint8_t)((place + 1 + above) % 3),
		.broken = (b[0] >> 4 & 3) == 3,
		.version = b[0] >> 6,
		.subject = (uint8_t)((place + (b[1] & 7)) % DESCRIBED_NAMES),
		.issuer = (uint8_t)((place + 1 + (b[1] >> 3 & 7)) % DESCRIBED_NAMES),
		.subject_form = b[1] >> 6 & 1,
		.issuer_form = b[1] >> 7,
		.dates = b[2] & 7,
		.algorithm = b[2] >> 3 & 3,
		.key_id = (b[2] >> 5 & 3) % 3,
		.basic = (b[3] & 7) ^ (place ? CA : 0),
		.basic_critical = b[3] >> 3 & 1,
		.usage = b[3] >> 4 & 7,
		.usage_critical = b[3] >> 7,
		.purpose = (b[4] & 7) % 6,
		.purpose_critical = b[4] >> 3 & 1,
		.constraint = (b[4] >> 4 & 3) % 3,
		.constraint_critical = b[4] >> 6 & 1,
		.policy_critical = b[4] >> 7,
		.hosts = b[5] ^ (place ? 0 : 3),
		.address = b[6] & 1,
		.mail = b[6] >> 1 & 1,
		.policy = (b[6] >> 2 & 7) % 5,
		.unknown = (b[6] >> 5 & 3) % 3,
	};
	tidy(d);
}

/* In memory of exactly its size, so that a sanitizer sees every step beyond. */
static void make(struct made *made)
{
	struct bytes der = described_certificate(&made->d);
	unsigned char *copy = malloc(der.n);
	struct x509_problem problem = { .reason = NULL };

	check(copy != NULL);
	memcpy(copy, der.at, der.n);
	made->der = (struct bytes){ copy, der.n };
	made->readable = x509_parse(made->der, &made->parsed, &problem);
	check(made->readable || made->d.version == VERSION_1_WITH_EXTENSIONS || made->d.usage == NO_USAGE);
}

static bool check_signature(
	const struct x509_public_key *key, enum x509_signature kind, struct bytes text, struct bytes signature)
{
	const br_hash_class *class = kind == X509_ECDSA_SHA256   ? &br_sha256_vtable
								 : kind == X509_ECDSA_SHA384 ? &br_sha384_vtable
															 : &br_sha512_vtable;
	br_ec_public_key public = { (int)key->curve, (unsigned char *)(uintptr_t)key->point.at, key->point.n };
	br_hash_compat_context context;
	unsigned char hash[64];
	bool good;

	signatures++;
	check(key->kind == X509_KEY_EC && kind >= X509_ECDSA_SHA256);
	class->init(&context.vtable);
	class->update(&context.vtable, text.at, text.n);
	class->out(&context.vtable, hash);
	good = described_verify(br_ec_get_default(), hash,
		class->desc >> BR_HASHDESC_OUT_OFF & BR_HASHDESC_OUT_MASK, &public, signature.at, signature.n);
	check(hash[1] % 64 || engine_check_signature(key, kind, text, signature) == good); /* now and then */
	return good;
}

static const char *const names[] = { "a.test", NULL, "b.a.test", "B.A.Test", "c.b.a.test", "192.0.2.1",
	"a.example", "test" };

static void read_question(const uint8_t *input, size_t n)
{
	static const int64_t moments[] = { 0, 1, -1, DESCRIBED_SECONDS_A_DAY, -DESCRIBED_SECONDS_A_DAY,
		3 * DESCRIBED_SECONDS_A_DAY / 2, DESCRIBED_SECONDS_A_DAY + 1, -DESCRIBED_SECONDS_A_DAY - 1 };
	uint8_t size = take(&input, &n), which = take(&input, &n), how = take(&input, &n),
			order = take(&input, &n);
	uint8_t copy = take(&input, &n);
	struct made other;

	n_presented = 1 + (size + 2U) % PRESENTED_MAX;
	n_anchors = 1 + (size >> 7);
	trust = (struct x509_trust){ .of_client = how & 1,
		.name = names[which & 7],
		.check_chain = true,
		.common_name = how >> 1 & 1,
		.max_intermediates = (how >> 2 & 3) == 3 ? how >> 4 & 7 : 8,
		.min_rsa_bits = X509_RSA_BITS_MIN,
		.now = DESCRIBED_TIME + moments[which >> 3 & 7],
		.check_signature = check_signature };
	for (size_t i = 0; i < n_presented; i++)
		read_described(&input, &n, i, &presented[i].d);
	for (size_t i = 0; i < n_anchors; i++)
		read_described(&input, &n, n_presented + i, &anchors[i].d);
	/* An anchor may be one of those presented; those behind the leaf may come in another order. */
	if (copy % (PRESENTED_MAX + 1) && copy % (PRESENTED_MAX + 1) <= n_presented)
		anchors[copy & 0x80 ? n_anchors - 1 : 0].d = presented[copy % (PRESENTED_MAX + 1) - 1].d;
	for (size_t i = n_presented; i-- > 2; order = (uint8_t)(order / i)) {
		size_t with = i - order % i;
		other = presented[i];
		presented[i] = presented[with];
		presented[with] = other;
	}
}

/* ---- where the two may differ; a path is leaf first, without its anchor ---- */

struct step_list {
	const struct made *at[PRESENTED_MAX];
	size_t n;
};

static bool is_self_issued(const struct described *d)
{
	return d->subject == d->issuer;
}

/* We take no step that cannot be read as a whole. */
static bool has_unreadable_step(const struct step_list *path)
{
	for (size_t i = 0; i < path->n; i++)
		if (!path->at[i]->readable)
			return true;
	return false;
}

static bool wrong_purpose(const struct described *d)
{
	return d->purpose == MAIL || d->purpose == (trust.of_client ? SERVER : CLIENT);
}

/* x509_minimal knows nothing of extended key usage, and of issuers without a name. */
static bool it_passes_over(const struct step_list *path, const struct described *anchor)
{
	bool over = wrong_purpose(anchor);

	for (size_t i = 0; i < path->n; i++)
		over |= wrong_purpose(&path->at[i]->d) || path->at[i]->d.issuer == DESCRIBED_EMPTY;
	return over;
}

/* Nor does it of name constraints and policy constraints, which may be fulfilled or not: other tests tell. */
static bool constrained(const struct step_list *path, const struct described *anchor)
{
	bool some = anchor->constraint != UNCONSTRAINED || anchor->policy >= POLICY_REQUIRED;

	for (size_t i = 0; i < path->n; i++)
		some |= (i && path->at[i]->d.constraint != UNCONSTRAINED) || path->at[i]->d.policy >= POLICY_REQUIRED;
	return some;
}

/* It leaves it to the TLS engine what a key may be used for. */
static bool leaf_of_no_use(const struct described *d)
{
	switch (d->usage) {
	case CERT_SIGN:
	case CRL_SIGN:
	case NO_USAGE:
		return true;
	case ENCIPHERMENT:
	case AGREEMENT:
		return true;
	default:
		return false;
	}
}

/* It takes an anchor for a name and a key. */
static bool anchor_says_no(const struct step_list *path, const struct described *anchor)
{
	int64_t from, to;
	int below = 0;

	described_validity(anchor->dates, &from, &to);
	for (size_t i = 1; i < path->n; i++)
		below += !is_self_issued(&path->at[i]->d);
	return trust.now < from || trust.now > to || anchor->unknown == UNKNOWN_CRITICAL ||
		   (anchor->usage != USAGE_ABSENT && anchor->usage != CERT_SIGN && anchor->usage != BOTH) ||
		   (anchor->basic >= CA_0 && anchor->basic <= CA_3 && below > anchor->basic - CA_0);
}

/* The leaf is the anchor; x509_minimal wants its issuer all the same if it is an authority. */
static bool trusted_as_it_is(const struct step_list *path, const struct made *anchor)
{
	return path->n == 1 && bytes_equal(path->at[0]->der, anchor->der);
}

/* It has no bound on intermediates. */
static bool deeper_than_allowed(const struct step_list *path)
{
	return path->n > trust.max_intermediates + 1;
}

/*
 * It takes a common name where there is no subjectAltName, an IP address for a host name, and a star above a
 * top level domain.
 */
static bool it_is_lax_about_hosts(const struct described *leaf)
{
	enum { TOP_LEVEL = 1 << 4, LITERAL = 1 << 7 };

	if (!trust.name)
		return false;
	if (!described_has_alternative_names(leaf))
		return !trust.common_name;
	return !strcmp(trust.name, names[5])
			   ? (leaf->hosts & LITERAL) && !leaf->address
			   : !strcmp(trust.name, names[0]) && (leaf->hosts & TOP_LEVEL) && !(leaf->hosts & 9);
}

/*
 * What we refuse and x509_minimal does not. It trusts, too, a leaf that only has the name and key of an
 * anchor that is no authority; we want it to be the same certificate.
 */
static bool we_must_refuse(const struct step_list *path, const struct made *anchor)
{
	const struct described *leaf = &path->at[0]->d;

	if (has_unreadable_step(path) || leaf_of_no_use(leaf) || it_is_lax_about_hosts(leaf) || wrong_purpose(leaf))
		return true;
	if (trusted_as_it_is(path, anchor))
		return false;
	return !(anchor->anchor.flags & BR_X509_TA_CA) || it_passes_over(path, &anchor->d) ||
		   anchor_says_no(path, &anchor->d) || deeper_than_allowed(path);
}

static bool we_may_refuse(const struct step_list *path, const struct made *anchor)
{
	return we_must_refuse(path, anchor) || constrained(path, &anchor->d);
}

/* It does not understand these extensions where they are critical. */
static bool critical_for_it(const struct described *d)
{
	return (d->purpose != PURPOSE_ABSENT && d->purpose_critical) ||
		   (d->constraint != UNCONSTRAINED && d->constraint_critical) ||
		   (d->policy >= POLICY_REQUIRED && d->policy_critical);
}

/* It compares names by their bytes, and counts self-issued certificates against path lengths. */
static bool it_is_strict_about_paths(const struct step_list *path, const struct described *anchor)
{
	bool self_issued = false, bounded = false;

	for (size_t i = 0; i < path->n; i++) {
		const struct described *d = &path->at[i]->d, *next = i + 1 < path->n ? &path->at[i + 1]->d : anchor;
		if (d->issuer_form != next->subject_form || critical_for_it(d))
			return true;
		self_issued |= i && is_self_issued(d);
		bounded |= i && d->basic >= CA_0 && d->basic <= CA_3;
	}
	return self_issued && bounded;
}

/* We know IP addresses, and take the common name beside a subjectAltName without a host. */
static bool we_know_more_hosts(const struct described *leaf)
{
	return trust.name && (!strcmp(trust.name, names[5]) ||
							 (trust.common_name && !leaf->hosts && !leaf->address && leaf->mail));
}

static bool it_may_refuse(const struct step_list *path, const struct made *anchor)
{
	return it_is_strict_about_paths(path, &anchor->d) || we_know_more_hosts(&path->at[0]->d) ||
		   (trusted_as_it_is(path, anchor) &&
			   ((anchor->anchor.flags & BR_X509_TA_CA) || critical_for_it(&path->at[0]->d)));
}

/* ---- judging ---- */

static void tell_described(const char *what, const struct described *d)
{
	(void)fprintf(stderr,
		"%s: subject %u%s issuer %u%s key %u signer %u%s version %u dates %u algorithm %u basic %u usage %u"
		" purpose %u constraint %u policy %u unknown %u hosts %02x address %u mail %u critical %u%u%u%u%u\n",
		what, d->subject, d->subject_form ? "'" : "", d->issuer, d->issuer_form ? "'" : "", d->key, d->signer,
		d->broken ? " (broken)" : "", d->version, d->dates, d->algorithm, d->basic, d->usage, d->purpose,
		d->constraint, d->policy, d->unknown, d->hosts, d->address, d->mail, d->basic_critical,
		d->usage_critical, d->purpose_critical, d->constraint_critical, d->policy_critical);
}

/* Says what this is about, in the numbers of described.h, and ends. */
static void disagree(const struct step_list *path, const struct made *anchor, const char *our_verdict)
{
	(void)fprintf(stderr, "we say: %s\nname %s, common name %d, of client %d, intermediates %u, now %lld\n",
		our_verdict, trust.name ? trust.name : "(any)", trust.common_name, trust.of_client,
		trust.max_intermediates, (long long)(trust.now - DESCRIBED_TIME));
	for (size_t i = 0; i < n_presented; i++)
		tell_described("presented", &presented[i].d);
	for (size_t i = 0; i < path->n; i++)
		(void)fprintf(stderr, "step: presented %td\n", path->at[i] - presented);
	tell_described("anchor", &anchor->d);
	abort();
}

static bool it_accepts(const struct step_list *path, const struct made *anchor)
{
	struct minimal minimal = { &anchor->anchor, 1, trust.name, trust.now, described_verify };
	struct bytes chain[PRESENTED_MAX];

	for (size_t i = 0; i < path->n; i++)
		chain[i] = path->at[i]->der;
	return !minimal_judge(&minimal, chain, path->n);
}

/* Tries every path by names that leads to the anchor, ORACLE_MAX in all. */
static void try_paths(struct step_list *path, const struct made *anchor, const char *reason, unsigned *left)
{
	const struct described *last = &path->at[path->n - 1]->d;

	if (path->n == 1 || (last->issuer == anchor->d.subject && last->issuer_form == anchor->d.subject_form)) {
		if (!*left)
			return;
		--*left;
		if (it_accepts(path, anchor)) {
			if (!we_may_refuse(path, anchor))
				disagree(path, anchor, reason);
			return;
		}
	}
	for (size_t i = 1; i < n_presented; i++) {
		bool there = presented[i].d.subject != last->issuer;
		for (size_t j = 0; j < path->n && !there; j++)
			there = path->at[j] == &presented[i];
		if (there)
			continue;
		path->at[path->n++] = &presented[i];
		try_paths(path, anchor, reason, left);
		path->n--;
	}
}

static void after_refusal(const char *reason)
{
	for (size_t i = 0; i < n_anchors; i++) {
		struct step_list path = { { &presented[0] }, 1 };
		unsigned left = ORACLE_MAX;
		if (anchors[i].readable)
			try_paths(&path, &anchors[i], reason, &left);
	}
}

/* Which of list this is; NULL: none. */
static const struct made *find(
	const struct x509_certificate *certificate, const struct made *list, size_t n, bool by_content)
{
	for (size_t i = 0; i < n; i++)
		if (by_content ? list[i].readable && bytes_equal(certificate->der, list[i].der)
					   : certificate->der.at == list[i].der.at)
			return &list[i];
	return NULL;
}

static void after_acceptance(const struct x509_path *found)
{
	struct step_list path = { .n = 0 };
	const struct made *anchor;

	check(found->n_steps > 0);
	anchor = find(found->steps[found->n_steps - 1], anchors, n_anchors, found->n_steps == 1);
	check(anchor != NULL);
	for (size_t i = 0; i < found->n_steps - (found->n_steps > 1); i++) {
		check(found->steps[i] >= found->presented && found->steps[i] < found->presented + found->n_presented);
		path.at[path.n] = find(found->steps[i], presented, n_presented, false);
		check(path.at[path.n] != NULL && (path.n == 0) == (path.at[path.n] == &presented[0]));
		for (size_t j = 0; j < path.n; j++)
			check(path.at[j] != path.at[path.n]);
		path.n++;
	}
	if (we_must_refuse(&path, anchor))
		disagree(&path, anchor, "accepted, which we must not");
	if (!it_accepts(&path, anchor) && !it_may_refuse(&path, anchor))
		disagree(&path, anchor, "accepted");
}

static void judge(const struct bytes *chain, struct x509_path *path, struct x509_verdict *verdict)
{
	signatures = 0;
	x509_judge(&trust, chain, n_presented, path, verdict);
	check(signatures <= X509_SIGNATURES_MAX);
	check(verdict->accepted == (verdict->reason == NULL) && verdict->accepted == (verdict->alert == 0));
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t n)
{
	static struct x509_path path, again;
	struct x509_certificate list[ANCHORS_MAX];
	struct x509_list trusted = { .certificates = list };
	struct bytes chain[PRESENTED_MAX];
	struct x509_verdict verdict, second;

	read_question(input, n);
	for (size_t i = 0; i < n_presented; i++) {
		make(&presented[i]);
		chain[i] = presented[i].der;
	}
	for (size_t i = 0; i < n_anchors; i++) {
		make(&anchors[i]);
		if (!anchors[i].readable)
			continue;
		list[trusted.n++] = anchors[i].parsed;
		check(minimal_anchor(&anchors[i].parsed, &anchors[i].anchor));
	}
	trust.anchors = &trusted;

	judge(chain, &path, &verdict);
	if (verdict.accepted)
		after_acceptance(&path);
	else
		after_refusal(verdict.reason);

	/* The others in the opposite order: the same verdict, though perhaps for another reason. */
	for (size_t i = 1; i < n_presented; i++)
		chain[i] = presented[n_presented - i].der;
	judge(chain, &again, &second);
	check(second.accepted == verdict.accepted);

	for (size_t i = 0; i < n_presented; i++)
		free((void *)(uintptr_t)presented[i].der.at);
	for (size_t i = 0; i < n_anchors; i++)
		free((void *)(uintptr_t)anchors[i].der.at);
	return 0;
}
