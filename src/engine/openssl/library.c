/*
 * The library as a whole: started without openssl.cnf, without its error texts, and one context a connection
 * with the suites of its list, nothing resumed, nothing renegotiated (DESIGN §7).
 */
#include <stdio.h>
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

/* The library knows, but has no call to ask it. */
bool processor_has_fast_gcm(void)
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

/* The library takes names. */
static bool join_names(const uint16_t *ids, size_t n, char *out, size_t room)
{
	size_t used = 0;

	*out = 0;
	for (size_t i = 0; i < n; i++) {
		const struct suite *suite = suites_find(ids[i]);
		int got = suite ? snprintf(out + used, room - used, "%s%s", i ? ":" : "", suite->name) : -1;

		if (got < 0 || (size_t)got >= room - used)
			return false;
		used += (size_t)got;
	}
	return true;
}

/* A list for a version that is not spoken may be empty, which the library would not take. */
static bool set_suites(SSL_CTX *context, const struct suites_list *list)
{
	char names[SUITES_MAX * 40];
	size_t n12 = list->n - list->n_tls13;

	if (!join_names(list->ids, list->n_tls13, names, sizeof names) ||
		!SSL_CTX_set_ciphersuites(context, names))
		return false;
	return !n12 || (join_names(list->ids + list->n_tls13, n12, names, sizeof names) &&
					   SSL_CTX_set_cipher_list(context, names));
}

static bool set_algorithms(SSL_CTX *context, const struct suites_list *suites)
{
	return set_suites(context, suites) && SSL_CTX_set1_groups_list(context, "X25519:P-256:P-384:P-521") &&
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
										   SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_CLEANSE_PLAINTEXT |
										   SSL_OP_NO_ENCRYPT_THEN_MAC); /* seal.c knows one way */
	if (setup->chacha_by_client)
		(void)SSL_CTX_set_options(context, SSL_OP_PRIORITIZE_CHACHA);
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
		!SSL_CTX_set_max_proto_version(context, (int)setup->newest) ||
		!set_algorithms(context, setup->suites) || (setup->n_ca_names && !set_ca_names(context, setup))) {
		SSL_CTX_free(context);
		return NULL;
	}
	return context;
}
