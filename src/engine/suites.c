/*
 * The table of cipher suites (RFC 5246 A.5, RFC 5288, RFC 5289, RFC 7905, RFC 8422, RFC 8446 B.4), and the
 * default policy.
 */
#include "engine/suites_internal.h"

#define AES128_GCM (SUITE_AES128 | SUITE_GCM)
#define AES256_GCM (SUITE_AES256 | SUITE_GCM)
#define AES128_CBC (SUITE_AES128 | SUITE_CBC)
#define AES256_CBC (SUITE_AES256 | SUITE_CBC)
#define DES3_CBC   (SUITE_3DES | SUITE_CBC)
#define ANY13      (SUITE_TLS13 | SUITE_POLICY)
#define ECDSA12    (SUITE_TLS12 | SUITE_ECDHE | SUITE_ECDSA_KEY)
#define RSA12      (SUITE_TLS12 | SUITE_ECDHE | SUITE_RSA_KEY)
#define ECDSA1     (SUITE_TLS1 | SUITE_ECDHE | SUITE_ECDSA_KEY)
#define RSA1       (SUITE_TLS1 | SUITE_ECDHE | SUITE_RSA_KEY)
#define STATIC12   (SUITE_TLS12 | SUITE_RSA_EXCHANGE | SUITE_RSA_KEY)
#define STATIC3    (SUITE_SSL3 | SUITE_RSA_EXCHANGE | SUITE_RSA_KEY)

/* In the order in which groups give them; suites_default() may turn that of the ciphers round. */
static const struct suite table[SUITES_MAX] = {
	{ 0x1301, 128, 128, ANY13 | AES128_GCM, "TLS_AES_128_GCM_SHA256", "TLS_AES_128_GCM_SHA256" },
	{ 0x1302, 256, 256, ANY13 | AES256_GCM, "TLS_AES_256_GCM_SHA384", "TLS_AES_256_GCM_SHA384" },
	{ 0x1303, 256, 256, ANY13 | SUITE_CHACHA20, "TLS_CHACHA20_POLY1305_SHA256",
		"TLS_CHACHA20_POLY1305_SHA256" },

	{ 0xc02b, 128, 128, ECDSA12 | AES128_GCM | SUITE_POLICY, "ECDHE-ECDSA-AES128-GCM-SHA256",
		"TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256" },
	{ 0xc02f, 128, 128, RSA12 | AES128_GCM | SUITE_POLICY, "ECDHE-RSA-AES128-GCM-SHA256",
		"TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256" },
	{ 0xc02c, 256, 256, ECDSA12 | AES256_GCM | SUITE_POLICY, "ECDHE-ECDSA-AES256-GCM-SHA384",
		"TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384" },
	{ 0xc030, 256, 256, RSA12 | AES256_GCM | SUITE_POLICY, "ECDHE-RSA-AES256-GCM-SHA384",
		"TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384" },
	{ 0xcca9, 256, 256, ECDSA12 | SUITE_CHACHA20 | SUITE_POLICY, "ECDHE-ECDSA-CHACHA20-POLY1305",
		"TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256" },
	{ 0xcca8, 256, 256, RSA12 | SUITE_CHACHA20 | SUITE_POLICY, "ECDHE-RSA-CHACHA20-POLY1305",
		"TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256" },

	/* older ones: each only where a list has its name */
	{ 0xc023, 128, 128, ECDSA12 | AES128_CBC | SUITE_SHA256, "ECDHE-ECDSA-AES128-SHA256",
		"TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256" },
	{ 0xc027, 128, 128, RSA12 | AES128_CBC | SUITE_SHA256, "ECDHE-RSA-AES128-SHA256",
		"TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256" },
	{ 0xc024, 256, 256, ECDSA12 | AES256_CBC | SUITE_SHA384, "ECDHE-ECDSA-AES256-SHA384",
		"TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA384" },
	{ 0xc028, 256, 256, RSA12 | AES256_CBC | SUITE_SHA384, "ECDHE-RSA-AES256-SHA384",
		"TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA384" },
	{ 0xc009, 128, 128, ECDSA1 | AES128_CBC | SUITE_SHA1, "ECDHE-ECDSA-AES128-SHA",
		"TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA" },
	{ 0xc013, 128, 128, RSA1 | AES128_CBC | SUITE_SHA1, "ECDHE-RSA-AES128-SHA",
		"TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA" },
	{ 0xc00a, 256, 256, ECDSA1 | AES256_CBC | SUITE_SHA1, "ECDHE-ECDSA-AES256-SHA",
		"TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA" },
	{ 0xc014, 256, 256, RSA1 | AES256_CBC | SUITE_SHA1, "ECDHE-RSA-AES256-SHA",
		"TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA" },
	{ 0x009c, 128, 128, STATIC12 | AES128_GCM, "AES128-GCM-SHA256", "TLS_RSA_WITH_AES_128_GCM_SHA256" },
	{ 0x009d, 256, 256, STATIC12 | AES256_GCM, "AES256-GCM-SHA384", "TLS_RSA_WITH_AES_256_GCM_SHA384" },
	{ 0x003c, 128, 128, STATIC12 | AES128_CBC | SUITE_SHA256, "AES128-SHA256",
		"TLS_RSA_WITH_AES_128_CBC_SHA256" },
	{ 0x003d, 256, 256, STATIC12 | AES256_CBC | SUITE_SHA256, "AES256-SHA256",
		"TLS_RSA_WITH_AES_256_CBC_SHA256" },
	{ 0x002f, 128, 128, STATIC3 | AES128_CBC | SUITE_SHA1, "AES128-SHA", "TLS_RSA_WITH_AES_128_CBC_SHA" },
	{ 0x0035, 256, 256, STATIC3 | AES256_CBC | SUITE_SHA1, "AES256-SHA", "TLS_RSA_WITH_AES_256_CBC_SHA" },
	{ 0xc008, 112, 168, ECDSA1 | DES3_CBC | SUITE_SHA1, "ECDHE-ECDSA-DES-CBC3-SHA",
		"TLS_ECDHE_ECDSA_WITH_3DES_EDE_CBC_SHA" },
	{ 0xc012, 112, 168, RSA1 | DES3_CBC | SUITE_SHA1, "ECDHE-RSA-DES-CBC3-SHA",
		"TLS_ECDHE_RSA_WITH_3DES_EDE_CBC_SHA" },
	{ 0x000a, 112, 168, STATIC3 | DES3_CBC | SUITE_SHA1, "DES-CBC3-SHA", "TLS_RSA_WITH_3DES_EDE_CBC_SHA" },
};

const struct suite *suites_find(unsigned id)
{
	for (size_t i = 0; i < SUITES_MAX; i++)
		if (table[i].id == id)
			return &table[i];
	return NULL;
}

const struct suite *suites_at(size_t i)
{
	return i < SUITES_MAX ? &table[i] : NULL;
}

/* Policy before older ones, the quicker cipher before the slower. */
static unsigned rank(const struct suite *suite, bool fast_gcm)
{
	if (!(suite->traits & SUITE_POLICY))
		return 2;
	return !(suite->traits & SUITE_CHACHA20) == fast_gcm ? 0 : 1;
}

size_t suites_available(const struct suites_engine *engine, const struct suite *out[SUITES_MAX])
{
	bool fast_gcm = engine->fast_gcm();
	size_t n = 0;

	for (unsigned r = 0; r <= 2; r++)
		for (size_t i = 0; i < SUITES_MAX; i++)
			if (!(table[i].traits & engine->lacks) && rank(&table[i], fast_gcm) == r)
				out[n++] = &table[i];
	return n;
}

static void add(struct suites_list *list, const struct suite *const *suites, size_t n, bool tls13)
{
	for (size_t i = 0; i < n; i++)
		if (!(suites[i]->traits & SUITE_TLS13) == !tls13)
			list->ids[list->n++] = suites[i]->id;
}

void suites_list_of(const struct suite *const *suites, size_t n, struct suites_list *list)
{
	*list = (struct suites_list){ .n = 0 };
	add(list, suites, n, true);
	list->n_tls13 = list->n;
	add(list, suites, n, false);
}

void suites_default(const struct suites_engine *engine, struct suites_list *list)
{
	const struct suite *available[SUITES_MAX];
	size_t n = suites_available(engine, available);

	while (n && !(available[n - 1]->traits & SUITE_POLICY))
		n--;
	suites_list_of(available, n, list);
}
