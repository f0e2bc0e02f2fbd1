/*
 * Our own certificate, for a server that asks for one (RFC 5246 7.4.6): the first of the caller's pairs
 * whose key the server can do with, or none. The names of CAs that the server sends are not looked at: the
 * server says what it thinks of the certificate.
 */
#include "engine/bearssl/private.h"

static struct bearssl *owner(const br_ssl_client_certificate_class **ctx)
{
	return (struct bearssl *)(void *)((char *)ctx - offsetof(struct bearssl, client_certificate));
}

static void ignore(const br_ssl_client_certificate_class **ctx)
{
	(void)ctx;
}

static void ignore_length(const br_ssl_client_certificate_class **ctx, size_t n)
{
	(void)ctx, (void)n;
}

static void ignore_bytes(const br_ssl_client_certificate_class **ctx, const unsigned char *bytes, size_t n)
{
	(void)ctx, (void)bytes, (void)n;
}

static void choose(const br_ssl_client_certificate_class **ctx, const br_ssl_client_context *client,
	uint32_t types, br_ssl_client_certificate *choices)
{
	struct bearssl *b = owner(ctx);
	const struct engine_calls *calls = &b->setup->calls;
	unsigned hash = 0;
	size_t nth = 0;

	(void)client;
	*choices = (br_ssl_client_certificate){ .chain = NULL };
	do
		b->pair = calls->pair(calls->context, nth++);
	while (b->pair && (b->pair->n > X509_CHAIN_MAX || !(hash = suites_choose_hash(types, &b->pair->key))));
	if (!b->pair)
		return;
	engine_list_chain(b);
	choices->auth_type = b->pair->key.kind == X509_KEY_EC ? BR_AUTH_ECDSA : BR_AUTH_RSA;
	choices->hash_id = (int)hash;
	choices->chain = b->chain;
	choices->chain_len = b->pair->n;
}

static uint32_t key_exchange(const br_ssl_client_certificate_class **ctx, unsigned char *data, size_t *n)
{
	(void)ctx, (void)data, (void)n;
	return 0; /* static ECDH, never offered */
}

static size_t sign(
	const br_ssl_client_certificate_class **ctx, int hash, size_t n, unsigned char *data, size_t room)
{
	struct bearssl *b = owner(ctx);
	const struct engine_to_sign what = { (unsigned)hash << 8 | (b->pair->key.kind == X509_KEY_EC ? 3u : 1u),
		true, { data, n } };
	size_t signed_n = b->setup->calls.sign(b->setup->calls.context, b->pair, &what, data, room);

	b->sign_failed = !signed_n;
	return signed_n;
}

static const br_ssl_client_certificate_class client_certificate_class = { sizeof(void *), ignore,
	ignore_length, ignore_bytes, ignore, ignore, choose, key_exchange, sign };

void client_certificate_install(struct bearssl *b)
{
	b->client_certificate = &client_certificate_class;
	br_ssl_client_set_client_certificate(&b->tls.client, &b->client_certificate);
}
