/*
 * Looks at what the library reads and writes: where our keys change, so that an alert of our own can be
 * sealed; which alerts went out; and what a peer sends after the handshake without end, which the library
 * would put up with.
 */
#include <string.h>
#include "engine/openssl/private.h"

enum { CHANGE_CIPHER_SPEC = 20, ALERT = 21, HANDSHAKE = 22, APPLICATION_DATA = 23 };
enum {
	MESSAGE_CLIENT_HELLO = 1,
	MESSAGE_CERTIFICATE = 11,
	MESSAGE_SERVER_KEY_EXCHANGE = 12,
	MESSAGE_CERTIFICATE_VERIFY = 15,
	MESSAGE_FINISHED = 20,
	MESSAGE_KEY_UPDATE = 24
};

static void refuse(struct openssl *o, int alert, const char *why)
{
	if (o->refused)
		return;
	o->refused = why;
	o->refused_alert = alert;
	o->mute = true; /* answers to what comes behind it in the same record */
}

/* A record of ours was sealed, or written in clear. */
static void note_record(struct openssl *o, unsigned type)
{
	struct sending *s = &o->sending;

	if (o->mute)
		return;
	if (SSL_version(o->ssl) == TLS1_3_VERSION) {
		if (type != APPLICATION_DATA)
			return; /* in clear, or a ChangeCipherSpec for middleboxes (RFC 8446 D.4) */
		s->sealed = true;
		s->records++;
	} else if (type == CHANGE_CIPHER_SPEC) {
		s->sealed = true;
		s->records = 0;
	} else if (s->sealed) {
		s->records++;
	}
}

/* A handshake message of ours is complete, its records were noted before. */
static void note_message(struct openssl *o, unsigned type)
{
	if (o->mute || SSL_version(o->ssl) != TLS1_3_VERSION)
		return;
	if (type == MESSAGE_FINISHED) { /* RFC 8446 7.1: what follows is under the application's secret */
		o->sending.finished = true;
		o->sending.records = 0;
	} else if (type == MESSAGE_KEY_UPDATE) {
		seal_update(o);
	}
}

/* The library has a look at a second ClientHello as if it were the first. */
static void check_hello(struct openssl *o, struct bytes message)
{
	const struct engine_calls *calls = &o->setup->calls;
	const char *bad = o->hello_seen ? calls->hello_again(calls->context, message) : NULL;

	o->hello_seen = true;
	if (bad)
		refuse(o, ALERT_ILLEGAL_PARAMETER, bad);
}

/*
 * The scheme of a signature of TLS 1.2: the library takes SHA-1 from whoever was not offered it. In
 * ServerKeyExchange it stands behind the kind of curve, the curve, and a point (RFC 8422 5.4).
 */
static void check_signature(struct openssl *o, unsigned type, struct bytes message)
{
	size_t at = type == MESSAGE_SERVER_KEY_EXCHANGE && message.n > 3 ? 4u + message.at[3] : 0;

	if (SSL_version(o->ssl) == TLS1_3_VERSION || message.n < at + 2)
		return; /* the library sees to it */
	if (!key_scheme_offered((unsigned)message.at[at] << 8 | message.at[at + 1]))
		refuse(o, ALERT_ILLEGAL_PARAMETER, "algorithm or curve that was not offered");
}

/* After the handshake only KeyUpdate and NewSessionTicket come (TLS 1.3), or attempts to renegotiate. */
static void check_late_message(struct openssl *o)
{
	if (!o->open)
		return;
	if (SSL_version(o->ssl) != TLS1_3_VERSION) {
		if (++o->late_handshakes > HANDSHAKES_AFTER_MAX)
			refuse(o, ALERT_UNEXPECTED_MESSAGE, "attempts to renegotiate");
	} else if (++o->strays > STRAY_MESSAGES_MAX) {
		refuse(o, ALERT_UNEXPECTED_MESSAGE, "flood of handshake messages");
	}
}

/* Bytes of the shortest record under a suite of TLS 1.2: tag, nonce, or vector and padded MAC. */
static size_t shortest_record(const SSL_CIPHER *suite)
{
	switch (SSL_CIPHER_get_cipher_nid(suite)) {
	case NID_chacha20_poly1305:
		return 16;
	case NID_aes_128_cbc:
	case NID_aes_256_cbc:
		return 16 + 32;
	}
	return 8 + 16;
}

/*
 * The header of a record that came, or the type inside a protected one of TLS 1.3. Handshake messages may
 * come in parts without end. A record of TLS 1.2 that is too short to be protected would be an internal error
 * to the library.
 */
static void check_record(struct openssl *o, unsigned type, const unsigned char *header)
{
	if (o->open && type == HANDSHAKE && ++o->late_records > LATE_RECORDS_MAX)
		refuse(o, ALERT_UNEXPECTED_MESSAGE, "flood of handshake messages");
	if (header && SSL_version(o->ssl) != TLS1_3_VERSION &&
		((size_t)header[3] << 8 | header[4]) < shortest_record(SSL_get_current_cipher(o->ssl)))
		refuse(o, ALERT_RECORD_OVERFLOW, "record of impossible length");
}

/* A message of the handshake has come, and is looked at before the library does. */
static void check_message(struct openssl *o, unsigned type, struct bytes body)
{
	switch (type) {
	case MESSAGE_CLIENT_HELLO:
		if (!o->setup->client)
			check_hello(o, body);
		return;
	case MESSAGE_CERTIFICATE:
		peer_take(o, body);
		return;
	case MESSAGE_SERVER_KEY_EXCHANGE:
	case MESSAGE_CERTIFICATE_VERIFY:
		check_signature(o, type, body);
	}
}

static void on_message(int sent, int version, int type, const void *bytes, size_t n, SSL *ssl, void *context)
{
	struct openssl *o = context;
	const unsigned char *at = bytes;

	(void)version, (void)ssl;
	if (type == SSL3_RT_HANDSHAKE && n) {
		if (sent)
			note_message(o, at[0]);
		else if (o->open || n < 4)
			check_late_message(o);
		else
			check_message(o, at[0], (struct bytes){ at + 4, n - 4 });
	} else if (type == ALERT && n == 2 && sent && at[0] == 2 && !o->mute) {
		o->alert_sent = true;
	}
#ifdef SSL3_RT_HEADER
	if (type == SSL3_RT_HEADER && sent && n)
		note_record(o, at[0]);
	else if (type == SSL3_RT_HEADER && o->protected && n == 5)
		check_record(o, at[0], at);
	else if (type == SSL3_RT_HEADER && n && at[0] == CHANGE_CIPHER_SPEC)
		o->protected = true; /* what follows */
	else if (type == SSL3_RT_INNER_CONTENT_TYPE && !sent && o->open && n)
		check_record(o, at[0], NULL);
#endif
}

static void take_hex(const char *text, unsigned char *out, size_t *n)
{
	static const char digits[] = "0123456789abcdef";
	const char *high, *low;

	*n = 0;
	while (text[0] && text[1] && *n < SECRET_MAX && (high = strchr(digits, text[0] | 32)) != NULL &&
		   (low = strchr(digits, text[1] | 32)) != NULL) {
		out[(*n)++] = (unsigned char)((high - digits) << 4 | (low - digits));
		text += 2;
	}
}

/* A line of the key log as SSLKEYLOGFILE would have it: label, client random, secret. Only that of our own
 * direction is kept; no line goes anywhere. */
static void on_secret(const SSL *ssl, const char *line)
{
	struct openssl *o = SSL_get_app_data(ssl);
	const char *last = strrchr(line, ' ');
	bool client = o->setup->client;

	if (!last || o->refused) /* the peer is not to learn of keys that the library makes of what was refused */
		return;
	if (!strncmp(line, client ? "CLIENT_HANDSHAKE_TRAFFIC_SECRET " : "SERVER_HANDSHAKE_TRAFFIC_SECRET ", 32))
		take_hex(last + 1, o->sending.handshake, &o->sending.handshake_n);
	else if (!strncmp(line, client ? "CLIENT_TRAFFIC_SECRET_0 " : "SERVER_TRAFFIC_SECRET_0 ", 24))
		take_hex(last + 1, o->sending.application, &o->sending.application_n);
}

void watch_install(struct openssl *o)
{
	SSL_set_msg_callback(o->ssl, on_message);
	(void)SSL_set_msg_callback_arg(o->ssl, o);
	SSL_CTX_set_keylog_callback(o->context, on_secret);
}
