/*
 * The peer's certificates. They are taken from the Certificate message as it came (libcrypto reads more than
 * DER, and would hand out its own encoding), and judged by nobody but engine_calls.judge. Which alert a
 * refusal sends follows from the error that the library is told.
 */
#include <string.h>
#include "engine/openssl/private.h"
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>

static bool take_number(struct bytes *from, size_t width, size_t *value)
{
	if (from->n < width)
		return false;
	*value = 0;
	for (size_t i = 0; i < width; i++)
		*value = *value << 8 | from->at[i];
	from->at += width;
	from->n -= width;
	return true;
}

static bool take_vector(struct bytes *from, size_t width, struct bytes *part)
{
	size_t n;

	if (!take_number(from, width, &n) || from->n < n)
		return false;
	*part = (struct bytes){ from->at, n };
	from->at += n;
	from->n -= n;
	return true;
}

static bool keep(struct openssl *o, size_t *used, struct bytes certificate)
{
	if (o->n_chain == X509_CHAIN_MAX || certificate.n > sizeof o->chain_bytes - *used)
		return false;
	memcpy(o->chain_bytes + *used, certificate.at, certificate.n);
	o->chain[o->n_chain++] = (struct bytes){ o->chain_bytes + *used, certificate.n };
	*used += certificate.n;
	return true;
}

void peer_take(struct openssl *o, struct bytes message)
{
	bool v13 = SSL_version(o->ssl) == TLS1_3_VERSION;
	struct bytes context, list, certificate, extensions;
	size_t used = 0;

	o->n_chain = 0;
	if (v13 && !take_vector(&message, 1, &context))
		return; /* the library sees that as well, and ends */
	if (!take_vector(&message, 3, &list))
		return;
	while (!o->chain_too_large && take_vector(&list, 3, &certificate)) {
		o->presented = true;
		o->chain_too_large = !keep(o, &used, certificate);
		if (v13 && !take_vector(&list, 2, &extensions))
			return;
	}
}

static struct x509_verdict refused(int alert, const char *reason)
{
	return (struct x509_verdict){ false, alert, reason };
}

static bool usable(const struct x509_public_key *key)
{
	return key->kind == X509_KEY_RSA
			   ? key->modulus.n <= X509_RSA_BITS_MAX / 8 && key->exponent.n <= RSA_EXPONENT_MAX
			   : key->kind == X509_KEY_EC && key->curve;
}

void peer_judge(struct openssl *o)
{
	const struct engine_calls *calls = &o->setup->calls;
	struct x509_problem problem;

	o->judged = true;
	if (o->chain_too_large)
		o->verdict = refused(ALERT_BAD_CERTIFICATE, "certificate chain too long or too large");
	else if (!o->n_chain)
		o->verdict = refused(ALERT_HANDSHAKE_FAILURE, "no certificate");
	else if (!x509_parse(o->chain[0], &o->leaf, &problem))
		o->verdict = refused(ALERT_BAD_CERTIFICATE, problem.reason);
	else
		calls->judge(calls->context, o->chain, o->n_chain, &o->verdict);
	if (o->verdict.accepted && !usable(&o->leaf.key))
		o->verdict = refused(ALERT_UNSUPPORTED_CERTIFICATE, "public key of a kind that is not supported");
	/* In every suite here the peer's key signs (RFC 5246 7.4.2, RFC 8446 4.4.2.2), even where nothing else is
	 * asked. */
	if (o->verdict.accepted && o->leaf.has_key_usage && !(o->leaf.key_usage & X509_USE_SIGNATURE))
		o->verdict = refused(ALERT_UNSUPPORTED_CERTIFICATE, "certificate's key may not be used for this");
}

bool peer_refused(const struct openssl *o)
{
	return o->judged && !o->verdict.accepted && o->setup->asking != ENGINE_ASK_ANYBODY;
}

/* The library makes the alert out of its own kind of error; these are the ones that give what is wanted. */
static int error_for(int alert)
{
	switch (alert) {
	case ALERT_BAD_CERTIFICATE:
		return X509_V_ERR_HOSTNAME_MISMATCH;
	case ALERT_UNSUPPORTED_CERTIFICATE:
		return X509_V_ERR_INVALID_PURPOSE;
	case ALERT_CERTIFICATE_EXPIRED:
		return X509_V_ERR_CERT_HAS_EXPIRED;
	case ALERT_UNKNOWN_CA:
		return X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY;
	case ALERT_CERTIFICATE_REVOKED:
		return X509_V_ERR_CERT_REVOKED;
	case ALERT_CERTIFICATE_UNKNOWN: /* what the library says of errors that it has no alert for */
		return X509_V_ERR_DIFFERENT_CRL_SCOPE;
	case ALERT_DECRYPT_ERROR:
		return X509_V_ERR_CERT_SIGNATURE_FAILURE;
	case ALERT_INTERNAL_ERROR:
		return X509_V_ERR_OUT_OF_MEM;
	}
	return X509_V_ERR_APPLICATION_VERIFICATION; /* handshake_failure */
}

static int verify(X509_STORE_CTX *store, void *context)
{
	struct openssl *o = context;

	peer_judge(o);
	if (o->setup->client && !o->verdict.accepted && SSL_version(o->ssl) == TLS1_3_VERSION) {
		/* The library would send the alert in clear, as it takes its keys for sending only with its next
		 * message; servers need not understand that (RFC 8446 6). So it goes on, unheard, to the end of the
		 * server's flight, where it knows the keys, and shake() ends it. */
		o->mute = true;
		X509_STORE_CTX_set_error(store, X509_V_OK);
		return 1;
	}
	X509_STORE_CTX_set_error(store, peer_refused(o) ? error_for(o->verdict.alert) : X509_V_OK);
	return !peer_refused(o);
}

void peer_install(struct openssl *o)
{
	SSL_CTX_set_cert_verify_callback(o->context, verify, o);
}
