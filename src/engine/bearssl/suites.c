/*
 * Which algorithms are registered with the library, and the server's choice among those that a client offers
 * (DESIGN §7): ECDHE with AEAD only; AES-GCM first where the processor helps, else ChaCha20, which also goes
 * to a client that puts it first.
 */
#include "engine/bearssl/private.h" /* first: libc headers in it say whether this is glibc */
#if defined(__x86_64__) && defined(__GLIBC__)
#include <sys/platform/x86.h>
#endif

struct suite {
	uint16_t id;
	uint16_t bits;
	enum x509_key_kind kind;
	bool chacha;
	const char *name;
};

static const struct suite suites[] = {
	{ BR_TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, 128, X509_KEY_EC, false, "ECDHE-ECDSA-AES128-GCM-SHA256" },
	{ BR_TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, 128, X509_KEY_RSA, false, "ECDHE-RSA-AES128-GCM-SHA256" },
	{ BR_TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, 256, X509_KEY_EC, false, "ECDHE-ECDSA-AES256-GCM-SHA384" },
	{ BR_TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384, 256, X509_KEY_RSA, false, "ECDHE-RSA-AES256-GCM-SHA384" },
	{ BR_TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, 256, X509_KEY_EC, true,
		"ECDHE-ECDSA-CHACHA20-POLY1305" },
	{ BR_TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256, 256, X509_KEY_RSA, true,
		"ECDHE-RSA-CHACHA20-POLY1305" },
};
enum { SUITES = sizeof suites / sizeof suites[0] };

const char *suite_name(unsigned id, unsigned *bits)
{
	for (size_t i = 0; i < SUITES; i++)
		if (suites[i].id == id) {
			*bits = suites[i].bits;
			return suites[i].name;
		}
	*bits = 0;
	return "unknown";
}

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

/* In the order in which a client offers and a server chooses them. */
static void install_list(br_ssl_engine_context *engine, bool fast)
{
	uint16_t order[SUITES];
	size_t n = 0;

	for (int pass = 0; pass < 2; pass++)
		for (size_t i = 0; i < SUITES; i++)
			if (suites[i].chacha == (pass == (fast ? 1 : 0)))
				order[n++] = suites[i].id;
	br_ssl_engine_set_suites(engine, order, n);
}

void suites_install(struct bearssl *b)
{
	br_ssl_engine_context *engine = &b->tls.engine;
	bool fast = processor_has_fast_gcm();

	br_ssl_engine_set_versions(engine, BR_TLS12, BR_TLS12);
	install_list(engine, fast);
	install_gcm(engine, fast);
	install_chacha(engine);
	br_ssl_engine_set_ec(engine, br_ec_get_default());
	br_ssl_engine_set_hash(engine, br_sha256_ID, &br_sha256_vtable);
	br_ssl_engine_set_hash(engine, br_sha384_ID, &br_sha384_vtable);
	br_ssl_engine_set_hash(engine, br_sha512_ID, &br_sha512_vtable); /* or no signature could use it */
	br_ssl_engine_set_prf_sha256(engine, br_tls12_sha256_prf);
	br_ssl_engine_set_prf_sha384(engine, br_tls12_sha384_prf);
	if (b->setup->client || b->setup->asking != ENGINE_ASK_NOTHING) { /* signatures of the peer */
		br_ssl_engine_set_rsavrfy(engine, br_rsa_pkcs1_vrfy_get_default());
		br_ssl_engine_set_ecdsa(engine, br_ecdsa_vrfy_asn1_get_default());
	}
}

static const struct suite *find(unsigned id)
{
	for (size_t i = 0; i < SUITES; i++)
		if (suites[i].id == id)
			return &suites[i];
	return NULL;
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

/* The smaller the better. */
static size_t rank(const struct suite *suite, bool fast_gcm)
{
	return (size_t)(suite - suites) + (suite->chacha == fast_gcm ? SUITES : 0);
}

bool suites_choose(
	const br_ssl_server_context *server, const struct x509_public_key *key, br_ssl_server_choices *choices)
{
	size_t n;
	const br_suite_translated *offered = br_ssl_server_get_client_suites(server, &n);
	uint32_t curves = br_ssl_server_get_client_curves(server);
	unsigned hash = suites_choose_hash(br_ssl_server_get_client_hashes(server), key);
	const struct suite *best = NULL;
	bool fast = processor_has_fast_gcm();

	if (!hash || !curves)
		return false;
	for (size_t i = 0; i < n; i++) { /* in the client's order, as no flag asks the library for another */
		const struct suite *suite = find(offered[i][0]);
		if (!suite || suite->kind != key->kind)
			continue;
		if (!best && suite->chacha) {
			best = suite;
			break;
		}
		if (!best || rank(suite, fast) < rank(best, fast))
			best = suite;
	}
	if (!best)
		return false;
	choices->cipher_suite = best->id;
	choices->algo_id =
		hash << 8 | (key->kind == X509_KEY_EC ? 3u : 1u); /* SignatureAndHashAlgorithm (RFC 5246 7.4.1.4.1) */
	return true;
}
