/*
 * Certificate validation as the library asks for it, turned into one question: the chain is collected,
 * bounded, and judged as a whole by engine_calls.judge. The library then gets the leaf's key.
 */
#include <string.h>
#include "engine/bearssl/private.h"

static struct peer_chain *of(const br_x509_class **ctx)
{
	return (struct peer_chain *)(void *)ctx;
}

static struct bearssl *owner(struct peer_chain *peer)
{
	return (struct bearssl *)(void *)((char *)peer - offsetof(struct bearssl, peer));
}

static void start_chain(const br_x509_class **ctx, const char *server_name)
{
	struct peer_chain *peer = of(ctx);
	(void)server_name; /* judge() knows which name it wants */
	peer->used = peer->n = 0;
	peer->too_large = false;
}

static void start_cert(const br_x509_class **ctx, uint32_t length)
{
	struct peer_chain *peer = of(ctx);
	if (peer->n == X509_CHAIN_MAX || length > sizeof peer->bytes - peer->used) {
		peer->too_large = true;
		return;
	}
	peer->certificates[peer->n++] = (struct bytes){ peer->bytes + peer->used, 0 };
}

static void append(const br_x509_class **ctx, const unsigned char *bytes, size_t n)
{
	struct peer_chain *peer = of(ctx);
	if (peer->too_large)
		return;
	if (n > sizeof peer->bytes - peer->used) {
		peer->too_large = true;
		return;
	}
	memcpy(peer->bytes + peer->used, bytes, n);
	peer->used += n;
	peer->certificates[peer->n - 1].n += n;
}

static void end_cert(const br_x509_class **ctx)
{
	(void)ctx;
}

static void judge(struct peer_chain *peer)
{
	const struct engine_calls *calls = &owner(peer)->setup->calls;
	struct x509_problem problem;

	if (peer->too_large)
		peer->verdict =
			(struct x509_verdict){ false, ALERT_BAD_CERTIFICATE, "certificate chain too long or too large" };
	else if (!peer->n)
		peer->verdict = (struct x509_verdict){ false, ALERT_HANDSHAKE_FAILURE, "no certificate" };
	else if (!x509_parse(peer->certificates[0], &peer->leaf, &problem))
		peer->verdict = (struct x509_verdict){ false, ALERT_BAD_CERTIFICATE, problem.reason };
	else
		calls->judge(calls->context, peer->certificates, peer->n, &peer->verdict);
	if (peer->verdict.accepted && !key_in_library_form(&peer->leaf.key, &peer->key))
		peer->verdict = (struct x509_verdict){ false, ALERT_UNSUPPORTED_CERTIFICATE,
			"public key of a kind that is not supported" };
}

static unsigned end_chain(const br_x509_class **ctx)
{
	struct peer_chain *peer = of(ctx);
	judge(peer);
	suites_add_sha1(owner(peer)); /* our own hello is out, the server's signature is checked by suites.c */
	peer->refused = !peer->verdict.accepted && owner(peer)->setup->asking != ENGINE_ASK_ANYBODY;
	if (peer->refused) /* with tolerance the library would go on, and not even look whether the peer has the
						  key */
		br_ssl_engine_remove_flags(&owner(peer)->tls.engine, BR_OPT_TOLERATE_NO_CLIENT_AUTH);
	return peer->verdict.accepted ? 0 : BR_ERR_X509_NOT_TRUSTED; /* engine.c reports the verdict itself */
}

static const br_x509_pkey *get_pkey(const br_x509_class *const *ctx, unsigned *usages)
{
	const struct peer_chain *peer = (const struct peer_chain *)(const void *)ctx;
	if (!peer->verdict.accepted)
		return NULL;
	if (usages) {
		unsigned use = peer->leaf.has_key_usage ? peer->leaf.key_usage : ~0u;
		*usages = (use & X509_USE_SIGNATURE ? BR_KEYTYPE_SIGN : 0u) |
				  (use & (X509_USE_KEY_ENCIPHERMENT | X509_USE_KEY_AGREEMENT) ? BR_KEYTYPE_KEYX : 0u);
	}
	return &peer->key;
}

static const br_x509_class peer_class = { sizeof(struct peer_chain), start_chain, start_cert, append,
	end_cert, end_chain, get_pkey };

void peer_install(struct bearssl *b)
{
	b->peer.vtable = &peer_class;
	br_ssl_engine_set_x509(&b->tls.engine, &b->peer.vtable);
}
