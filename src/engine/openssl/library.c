/*
 * The library as a whole: started without openssl.cnf, without its error texts, and one context a connection
 * with the policy of DESIGN §7: TLS 1.2 and 1.3, ECDHE with AEAD, nothing resumed, nothing renegotiated.
 */
#include <string.h>
#include "engine/openssl/private.h" /* before the next: libc headers in it say whether this is glibc */
#if defined(__x86_64__) && defined(__GLIBC__)
#include <sys/platform/x86.h>
#elif defined(__aarch64__) && defined(__linux__)
#include <sys/auxv.h>
#include <asm/hwcap.h>
#endif

bool library_ready(void)
{
	/* Whoever comes first decides: later calls inside the library would load the configuration. */
	static bool done;

	if (!done)
		done = OPENSSL_init_ssl(OPENSSL_INIT_NO_LOAD_CONFIG | OPENSSL_INIT_NO_LOAD_SSL_STRINGS |
									OPENSSL_INIT_NO_LOAD_CRYPTO_STRINGS,
				   NULL) == 1;
	return done;
}

const char *library_version(void)
{
	static char version[32];
	const char *text = OpenSSL_version(OPENSSL_VERSION);
	const char *name_end = strchr(text, ' ');
	size_t n = name_end ? (size_t)(name_end - text) + 1 : 0;

	n += strcspn(text + n, " ");
	if (n >= sizeof version)
		n = sizeof version - 1;
	memcpy(version, text, n);
	version[n] = 0;
	return version;
}

/* Whether AES-GCM is quick here. The library knows, but has no call to ask it. */
static bool processor_has_fast_gcm(void)
{
#if defined(__x86_64__) && defined(__GLIBC__)
	return CPU_FEATURE_ACTIVE(AES) && CPU_FEATURE_ACTIVE(PCLMULQDQ);
#elif defined(__x86_64__) || defined(__i386__)
	return __builtin_cpu_supports("aes") && __builtin_cpu_supports("pclmul");
#elif defined(__aarch64__) && defined(__linux__)
	return (getauxval(AT_HWCAP) & (HWCAP_AES | HWCAP_PMULL)) == (HWCAP_AES | HWCAP_PMULL);
#else
	return false;
#endif
}

#define GCM12                                                                                                \
	"ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"                                             \
	"ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384"
#define CHACHA12 "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305"
#define GCM13    "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384"
#define CHACHA13 "TLS_CHACHA20_POLY1305_SHA256"

static bool set_algorithms(SSL_CTX *context)
{
	bool fast = processor_has_fast_gcm();

	return SSL_CTX_set_cipher_list(context, fast ? GCM12 ":" CHACHA12 : CHACHA12 ":" GCM12) &&
		   SSL_CTX_set_ciphersuites(context, fast ? GCM13 ":" CHACHA13 : CHACHA13 ":" GCM13) &&
		   SSL_CTX_set1_groups_list(context, "X25519:P-256:P-384:P-521") &&
		   SSL_CTX_set1_sigalgs_list(context,
			   "ECDSA+SHA256:ECDSA+SHA384:ECDSA+SHA512:rsa_pss_rsae_sha256:rsa_pss_rsae_sha384:"
			   "rsa_pss_rsae_sha512:RSA+SHA256:RSA+SHA384:RSA+SHA512");
}

/* Server: the names of CAs that a client may choose its certificate by. */
static bool set_ca_names(SSL_CTX *context, const struct engine_setup *setup)
{
	STACK_OF(X509_NAME) *names = sk_X509_NAME_new_null();

	if (!names)
		return false;
	for (size_t i = 0; i < setup->n_ca_names; i++) {
		const unsigned char *at = setup->ca_names[i].at;
		X509_NAME *name = d2i_X509_NAME(NULL, &at, (long)setup->ca_names[i].n);

		if (!name)
			continue; /* the library could not say it; the certificate is trusted nevertheless */
		if (!sk_X509_NAME_push(names, name)) {
			X509_NAME_free(name);
			sk_X509_NAME_pop_free(names, X509_NAME_free);
			return false;
		}
	}
	SSL_CTX_set_client_CA_list(context, names);
	return true;
}

static int peer_asked(const struct engine_setup *setup)
{
	if (setup->client || setup->asking == ENGINE_DEMAND)
		return SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
	return setup->asking == ENGINE_ASK_NOTHING ? SSL_VERIFY_NONE : SSL_VERIFY_PEER;
}

SSL_CTX *library_context(const struct engine_setup *setup)
{
	SSL_CTX *context = SSL_CTX_new(setup->client ? TLS_client_method() : TLS_server_method());

	if (!context)
		return NULL;
	(void)SSL_CTX_set_options(context, SSL_OP_NO_TICKET | SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION |
										   SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA |
										   SSL_OP_CLEANSE_PLAINTEXT);
#ifdef SSL_OP_NO_RX_CERTIFICATE_COMPRESSION
	(void)SSL_CTX_set_options(context, SSL_OP_NO_RX_CERTIFICATE_COMPRESSION); /* certificates as they are */
#endif
	(void)SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
	(void)SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	(void)SSL_CTX_set_num_tickets(context, 0);
	(void)SSL_CTX_set_recv_max_early_data(context, EARLY_DATA_SKIPPED_MAX);
	(void)SSL_CTX_set_max_cert_list(context, HANDSHAKE_MESSAGE_MAX);
	SSL_CTX_set_security_level(context, 0); /* the lists below are the policy, judge() that of certificates */
	SSL_CTX_set_verify(context, peer_asked(setup), NULL);
	if (!SSL_CTX_set_min_proto_version(context, (int)setup->oldest) ||
		!SSL_CTX_set_max_proto_version(context, (int)setup->newest) || !set_algorithms(context) ||
		(setup->n_ca_names && !set_ca_names(context, setup))) {
		SSL_CTX_free(context);
		return NULL;
	}
	return context;
}
