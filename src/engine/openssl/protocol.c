/*
 * Application protocols (ALPN, RFC 7301): what a client offers, and the server's choice by its own preference.
 */
#include <string.h>
#include "engine/openssl/private.h"

/* The protocol of ours that is spelled like this; NULL: there is none. */
static const char *ours(const struct engine_setup *setup, const unsigned char *name, size_t n)
{
	for (size_t i = 0; i < setup->n_alpn; i++)
		if (strlen(setup->alpn[i]) == n && !memcmp(setup->alpn[i], name, n))
			return setup->alpn[i];
	return NULL;
}

/* Whether a client's list, vectors of one byte of length each, holds name. */
static bool offered(const unsigned char *list, size_t n, const char *name)
{
	size_t length = strlen(name);

	for (size_t at = 0; at < n && list[at] < n - at; at += 1u + list[at])
		if (list[at] == length && !memcmp(list + at + 1, name, length))
			return true;
	return false;
}

/* The relay has refused a client without a protocol in common, and a second ClientHello with other ones. */
static int choose(SSL *ssl, const unsigned char **out, unsigned char *out_n, const unsigned char *list,
	unsigned n, void *context)
{
	const struct engine_setup *setup = ((struct openssl *)context)->setup;

	(void)ssl;
	for (size_t i = 0; i < setup->n_alpn; i++)
		if (offered(list, n, setup->alpn[i])) {
			*out = (const unsigned char *)setup->alpn[i];
			*out_n = (unsigned char)strlen(setup->alpn[i]);
			return SSL_TLSEXT_ERR_OK;
		}
	return SSL_TLSEXT_ERR_ALERT_FATAL;
}

bool protocol_install(struct openssl *o)
{
	const struct engine_setup *setup = o->setup;
	unsigned char list[ENGINE_ALPN_MAX * 256];
	size_t n = 0;

	if (!setup->n_alpn)
		return true;
	if (!setup->client) {
		SSL_CTX_set_alpn_select_cb(o->context, choose, o);
		return true;
	}
	for (size_t i = 0; i < setup->n_alpn && i < ENGINE_ALPN_MAX; i++) {
		size_t length = strlen(setup->alpn[i]);

		list[n++] = (unsigned char)length;
		memcpy(list + n, setup->alpn[i], length);
		n += length;
	}
	return SSL_set_alpn_protos(o->ssl, list, (unsigned)n) == 0;
}

bool protocol_note(struct openssl *o)
{
	const unsigned char *name = NULL;
	unsigned n = 0;

	SSL_get0_alpn_selected(o->ssl, &name, &n);
	o->alpn = name ? ours(o->setup, name, n) : NULL;
	return !name || o->alpn;
}
