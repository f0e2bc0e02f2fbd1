/*
 * Which algorithms are registered with the library, those of the suites in the list and no others, and the
 * server's choice among the suites that a client offers: the first of the list.
 */
#include "engine/bearssl/private.h" /* first: libc headers in it say whether this is glibc */
#if defined(__x86_64__) && defined(__GLIBC__)
#include <sys/platform/x86.h>
#endif

/*
 * glibc has asked the processor at start already; asking again (CPUID) costs microseconds each time on a
 * virtual machine. The library's own question is the portable way.
 */
bool processor_has_fast_gcm(void)
{
#if defined(__x86_64__) && defined(__GLIBC__)
	return CPU_FEATURE_ACTIVE(AES) && CPU_FEATURE_ACTIVE(PCLMULQDQ) && CPU_FEATURE_ACTIVE(SSE4_1);
#else
	return (br_aes_x86ni_ctr_get_vtable() && br_ghash_pclmul_get()) ||
		   (br_aes_pwr8_ctr_get_vtable() && br_ghash_pwr8_get());
#endif
}

static void install_gcm(br_ssl_engine_context *engine, bool fast)
{
#if defined(__x86_64__) && defined(__GLIBC__)
	if (fast) {
		br_ssl_engine_set_aes_ctr(engine, &br_aes_x86ni_ctr_vtable);
		br_ssl_engine_set_ghash(engine, br_ghash_pclmul);
		br_ssl_engine_set_gcm(engine, &br_sslrec_in_gcm_vtable, &br_sslrec_out_gcm_vtable);
		return;
	}
	br_ssl_engine_set_aes_ctr(engine, &br_aes_ct64_ctr_vtable);
	br_ssl_engine_set_ghash(engine, br_ghash_ctmul64);
#else
	(void)fast;
	br_ssl_engine_set_default_aes_gcm(engine);
#endif
}

static void install_chacha(br_ssl_engine_context *engine)
{
#if defined(__x86_64__) && defined(__GLIBC__)
	br_poly1305_run poly = br_poly1305_ctmulq_get();          /* no CPUID in this one */
	br_ssl_engine_set_chacha20(engine, br_chacha20_sse2_run); /* SSE2 is part of x86-64 */
	br_ssl_engine_set_poly1305(engine, poly ? poly : br_poly1305_ctmul_run);
#else
	br_ssl_engine_set_default_chapol(engine);
#endif
}

static void install_list(struct bearssl *b)
{
	br_ssl_engine_context *engine = &b->tls.engine;
	const struct suites_list *list = b->setup->suites;
	uint32_t traits = 0; /* of all of them */
	bool aes_cbc = false;

	for (size_t i = list->n_tls13; i < list->n; i++) {
		const struct suite *suite = suites_find(list->ids[i]);
		traits |= suite->traits;
		aes_cbc |= suite->traits & SUITE_CBC && !(suite->traits & SUITE_3DES);
	}
	br_ssl_engine_set_suites(engine, list->ids + list->n_tls13, list->n - list->n_tls13);
	if (traits & SUITE_GCM)
		install_gcm(engine, processor_has_fast_gcm());
	if (traits & SUITE_CHACHA20)
		install_chacha(engine);
	if (aes_cbc)
		br_ssl_engine_set_default_aes_cbc(engine);
	if (traits & SUITE_3DES)
		br_ssl_engine_set_des_cbc(engine, &br_des_ct_cbcenc_vtable, &br_des_ct_cbcdec_vtable);
	b->sha1_due = traits & SUITE_SHA1;
}

/*
 * Signatures of the peer. SHA-1, where it is registered for the HMAC of an older suite, must not do for them.
 */
static uint32_t verify_rsa(const unsigned char *signature, size_t n, const unsigned char *oid, size_t hash_n,
	const br_rsa_public_key *key, unsigned char *hash)
{
	if (hash_n < br_sha256_SIZE)
		return 0;
	return br_rsa_pkcs1_vrfy_get_default()(signature, n, oid, hash_n, key, hash);
}

static uint32_t verify_ecdsa(const br_ec_impl *curves, const void *hash, size_t hash_n,
	const br_ec_public_key *key, const void *signature, size_t n)
{
	if (hash_n < br_sha256_SIZE)
		return 0;
	return br_ecdsa_vrfy_asn1_get_default()(curves, hash, hash_n, key, signature, n);
}

void suites_add_sha1(struct bearssl *b)
{
	if (b->sha1_due)
		br_ssl_engine_set_hash(&b->tls.engine, br_sha1_ID, &br_sha1_vtable);
	b->sha1_due = false;
}

void suites_install(struct bearssl *b)
{
	br_ssl_engine_context *engine = &b->tls.engine;

	br_ssl_engine_set_versions(engine, BR_TLS12, BR_TLS12);
	install_list(b);
	br_ssl_engine_set_ec(engine, br_ec_get_default());
	br_ssl_engine_set_hash(engine, br_sha256_ID, &br_sha256_vtable);
	br_ssl_engine_set_hash(engine, br_sha384_ID, &br_sha384_vtable);
	br_ssl_engine_set_hash(engine, br_sha512_ID, &br_sha512_vtable); /* or no signature could use it */
	br_ssl_engine_set_prf_sha256(engine, br_tls12_sha256_prf);
	br_ssl_engine_set_prf_sha384(engine, br_tls12_sha384_prf);
	if (b->setup->client || b->setup->asking != ENGINE_ASK_NOTHING) { /* signatures of the peer */
		br_ssl_engine_set_rsavrfy(engine, verify_rsa);
		br_ssl_engine_set_ecdsa(engine, verify_ecdsa);
	}
}

/* The hash for our signature: the one that suits the curve, else the first that the client takes. */
unsigned suites_choose_hash(uint32_t hashes, const struct x509_public_key *key)
{
	static const unsigned preference[] = { br_sha256_ID, br_sha384_ID, br_sha512_ID };
	unsigned shift = key->kind == X509_KEY_EC ? 8 : 0;
	unsigned suits = key->kind != X509_KEY_EC  ? br_sha256_ID
					 : key->curve == X509_P256 ? br_sha256_ID
					 : key->curve == X509_P384 ? br_sha384_ID
											   : br_sha512_ID;

	if (hashes >> (suits + shift) & 1)
		return suits;
	for (size_t i = 0; i < sizeof preference / sizeof preference[0]; i++)
		if (hashes >> (preference[i] + shift) & 1)
			return preference[i];
	return 0;
}

/* What decides, beside the suite, whether it can be used with a client. */
struct terms {
	enum x509_key_kind kind; /* of our key */
	bool ecdhe;              /* there is a curve in common, and a hash for the signature */
};

static bool usable(const struct suite *suite, const struct terms *terms)
{
	return suite->traits & (terms->kind == X509_KEY_EC ? SUITE_ECDSA_KEY : SUITE_RSA_KEY) &&
		   (terms->ecdhe || !(suite->traits & SUITE_ECDHE));
}

/* Among those offered, in the client's order, which are no others than those of the list. */
static const struct suite *choose_suite(
	const struct engine_setup *setup, const br_suite_translated *offered, size_t n, const struct terms *terms)
{
	const struct suite *first = NULL;

	for (size_t i = 0; i < n && !first; i++) {
		first = suites_find(offered[i][0]);
		if (first && !usable(first, terms))
			first = NULL;
	}
	if (!first || (setup->chacha_by_client && first->traits & SUITE_CHACHA20))
		return first;
	for (size_t at = setup->suites->n_tls13; at < setup->suites->n; at++)
		for (size_t i = 0; i < n; i++) {
			const struct suite *suite = suites_find(offered[i][0]);
			if (suite && suite->id == setup->suites->ids[at] && usable(suite, terms))
				return suite;
		}
	return NULL;
}

bool suites_choose(const struct engine_setup *setup, const br_ssl_server_context *server,
	const struct x509_public_key *key, br_ssl_server_choices *choices)
{
	size_t n;
	const br_suite_translated *offered = br_ssl_server_get_client_suites(server, &n);
	unsigned hash = suites_choose_hash(br_ssl_server_get_client_hashes(server), key);
	const struct terms terms = { key->kind, hash && br_ssl_server_get_client_curves(server) };
	const struct suite *suite = choose_suite(setup, offered, n, &terms);

	if (!suite)
		return false;
	choices->cipher_suite = suite->id;
	choices->algo_id =
		hash << 8 | (key->kind == X509_KEY_EC ? 3u : 1u); /* SignatureAndHashAlgorithm (RFC 5246 7.4.1.4.1) */
	return true;
}
