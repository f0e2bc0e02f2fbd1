/*
 * Our own certificate, and a key that the library can use without having it: it gets the public half, and
 * methods that ask engine_calls.sign for every signature. They are given hashes for RSASSA-PKCS1-v1_5 and
 * ECDSA; for RSA-PSS, which libcrypto encodes before it asks, the encoded block, that the key's holder checks
 * to be one.
 */
#include "engine/openssl/private.h"
#include <openssl/ec.h>
#include <openssl/x509.h>

static struct openssl *the_connection; /* methods have no context; there is one connection a process */

/* There is at most one pair for each kind of key. */
static size_t ask(
	enum x509_key_kind kind, unsigned scheme, struct bytes text, unsigned char *out, size_t room)
{
	const struct engine_calls *calls = &the_connection->setup->calls;
	const struct engine_to_sign what = { scheme, true, text };
	const struct engine_pair *pair;
	size_t n = 0;

	for (size_t nth = 0; !n && (pair = calls->pair(calls->context, nth)) != NULL; nth++)
		if (scheme && pair->key.kind == kind) {
			the_connection->pair = pair;
			n = calls->sign(calls->context, pair, &what, out, room);
		}
	if (!n && !the_connection->refused) { /* the library ends it, and would say less */
		the_connection->refused = "own certificate or key cannot be used";
		the_connection->refused_alert = ALERT_INTERNAL_ERROR;
	}
	return n;
}

static unsigned hash_of_length(size_t n)
{
	return n == 32 ? 4 : n == 48 ? 5 : n == 64 ? 6 : 0; /* RFC 5246 7.4.1.4.1 */
}

static unsigned scheme_of(size_t hash_n, unsigned kind)
{
	unsigned hash = hash_of_length(hash_n);

	return hash ? hash << 8 | kind : 0;
}

/* ---- RSA ---- */

static int rsa_sign(
	int type, const unsigned char *hash, unsigned n, unsigned char *out, unsigned *out_n, const RSA *rsa)
{
	unsigned scheme = scheme_of(n, 1);

	if (!scheme || EVP_MD_type(key_hash(scheme)) != type)
		return 0;
	*out_n = (unsigned)ask(X509_KEY_RSA, scheme, (struct bytes){ hash, n }, out, (size_t)RSA_size(rsa));
	return *out_n > 0;
}

/* What is left of an RSA-PSS signature when the library has done the encoding. */
static int rsa_private(int n, const unsigned char *block, unsigned char *out, RSA *rsa, int padding)
{
	const struct bytes text = { block, n > 0 ? (size_t)n : 0 };
	size_t got;

	if (padding != RSA_NO_PADDING || n != RSA_size(rsa))
		return -1;
	got = ask(X509_KEY_RSA, key_pss_scheme(text, (size_t)RSA_bits(rsa)), text, out, (size_t)n);
	return got ? (int)got : -1;
}

static bool add_rsa(EVP_PKEY *key, const struct x509_public_key *public_key)
{
	static RSA_METHOD *method;
	RSA *rsa = RSA_new();
	BIGNUM *n = BN_bin2bn(public_key->modulus.at, (int)public_key->modulus.n, NULL);
	BIGNUM *e = BN_bin2bn(public_key->exponent.at, (int)public_key->exponent.n, NULL);

	if (!method && (method = RSA_meth_dup(RSA_PKCS1_OpenSSL())) != NULL) {
		(void)RSA_meth_set_flags(method, RSA_meth_get_flags(method) | RSA_METHOD_FLAG_NO_CHECK);
		(void)RSA_meth_set_sign(method, rsa_sign);
		(void)RSA_meth_set_priv_enc(method, rsa_private);
	}
	if (method && rsa && n && e && RSA_set_method(rsa, method) && RSA_set0_key(rsa, n, e, NULL)) {
		n = e = NULL;
		if (EVP_PKEY_assign_RSA(key, rsa))
			return true;
	}
	BN_free(n);
	BN_free(e);
	RSA_free(rsa);
	return false;
}

/* ---- ECDSA ---- */

static int ec_sign(int type, const unsigned char *hash, int n, unsigned char *out, unsigned *out_n,
	const BIGNUM *kinv, const BIGNUM *r, EC_KEY *key)
{
	(void)type, (void)kinv, (void)r;
	if (n < 0)
		return 0;
	*out_n = (unsigned)ask(X509_KEY_EC, scheme_of((size_t)n, 3), (struct bytes){ hash, (size_t)n }, out,
		(size_t)ECDSA_size(key));
	return *out_n > 0;
}

static bool add_ec(EVP_PKEY *key, const struct x509_public_key *public_key)
{
	static EC_KEY_METHOD *method;
	EC_KEY *ec = EC_KEY_new_by_curve_name(key_curve_nid(public_key->curve));

	if (!method && (method = EC_KEY_METHOD_new(EC_KEY_OpenSSL())) != NULL)
		EC_KEY_METHOD_set_sign(method, ec_sign, NULL, NULL);
	if (method && ec && EC_KEY_set_method(ec, method) &&
		EC_KEY_oct2key(ec, public_key->point.at, public_key->point.n, NULL) &&
		EVP_PKEY_assign_EC_KEY(key, ec))
		return true;
	EC_KEY_free(ec);
	return false;
}

/* ---- the pair ---- */

static X509 *certificate_of(struct bytes der)
{
	const unsigned char *at = der.at;

	return d2i_X509(NULL, &at, (long)der.n);
}

static bool use_certificates(SSL *ssl, const struct engine_pair *pair)
{
	X509 *certificate = certificate_of(pair->chain[0]);
	bool good = certificate && SSL_use_certificate(ssl, certificate) == 1;

	X509_free(certificate);
	for (size_t i = 1; good && i < pair->n; i++) {
		certificate = certificate_of(pair->chain[i]);
		good = certificate && SSL_add0_chain_cert(ssl, certificate) == 1;
		if (!good)
			X509_free(certificate);
	}
	return good;
}

static bool use_key(SSL *ssl, const struct engine_pair *pair)
{
	EVP_PKEY *key = EVP_PKEY_new();
	bool good =
		key && (pair->key.kind == X509_KEY_RSA ? add_rsa(key, &pair->key)
											   : pair->key.kind == X509_KEY_EC && add_ec(key, &pair->key));

	good = good && SSL_use_PrivateKey(ssl, key) == 1;
	EVP_PKEY_free(key);
	return good;
}

static bool use_pair(struct openssl *o, const struct engine_pair *pair)
{
	return pair->n && pair->n <= X509_CHAIN_MAX && use_certificates(o->ssl, pair) && use_key(o->ssl, pair);
}

/* The library chooses among the kinds of key by what the peer can do. False: it refused one. */
static bool use_pairs(struct openssl *o)
{
	const struct engine_calls *calls = &o->setup->calls;
	const struct engine_pair *pair;

	o->pairs_given = true;
	for (size_t nth = 0; (pair = calls->pair(calls->context, nth)) != NULL; nth++)
		if (!use_pair(o, pair))
			return false;
	return true;
}

/* Servers: the ClientHello was read, with or without a name. */
static int on_client_hello(SSL *ssl, int *alert, void *context)
{
	struct openssl *o = context;

	(void)ssl;
	if (o->pairs_given || use_pairs(o)) /* given: a second ClientHello, after HelloRetryRequest */
		return SSL_TLSEXT_ERR_OK;
	*alert = ALERT_INTERNAL_ERROR;
	return SSL_TLSEXT_ERR_ALERT_FATAL;
}

/* Whether the server takes a signature by this kind of key; in TLS 1.3 those by RSA are RSA-PSS (RFC 8446
 * 4.2.3). */
static bool is_taken(SSL *ssl, enum x509_key_kind kind)
{
	int n = SSL_get_shared_sigalgs(ssl, 0, NULL, NULL, NULL, NULL, NULL), sign;

	for (int i = 0; i < n; i++)
		if (SSL_get_shared_sigalgs(ssl, i, &sign, NULL, NULL, NULL, NULL) > 0 &&
			(kind == X509_KEY_EC ? sign == EVP_PKEY_EC
								 : sign == EVP_PKEY_RSA_PSS ||
									   (sign == EVP_PKEY_RSA && SSL_version(ssl) != TLS1_3_VERSION)))
			return true;
	return false;
}

/*
 * Clients: the server asks for a certificate. The library would use the pair that it was given last, so that
 * it is given one that the server can do with, if there is one. The names of CAs that the server sends are
 * not looked at: it says what it thinks of ours.
 */
static int on_certificate_request(SSL *ssl, void *context)
{
	struct openssl *o = context;
	const struct engine_calls *calls = &o->setup->calls;
	const struct engine_pair *first = calls->pair(calls->context, 0), *pair = first;

	if (peer_refused(o) || !first)
		return 1; /* no signature for a server that was refused */
	for (size_t nth = 1; pair && !is_taken(ssl, pair->key.kind); nth++)
		pair = calls->pair(calls->context, nth);
	return use_pair(o, pair ? pair : first);
}

void pair_install(struct openssl *o)
{
	the_connection = o;
	if (o->setup->client) {
		SSL_set_cert_cb(o->ssl, on_certificate_request, o);
	} else {
		(void)SSL_CTX_set_tlsext_servername_callback(o->context, on_client_hello);
		(void)SSL_CTX_set_tlsext_servername_arg(o->context, o);
	}
}
