/*
 * The OpenSSL engine: TLS 1.2 and 1.3 behind engine.h. The library works between the buffers of the ports
 * (wire.c) and is asked to go on whenever one of them has changed; it never waits. What it holds back after
 * decrypting is asked for until it says that it needs more records.
 */
#include "engine/openssl/private.h"
#include <openssl/err.h>

static struct openssl *of(struct engine *e)
{
	return (struct openssl *)(void *)e;
}

/* ---- failures ---- */

static bool setup_failed(struct openssl *o, const char *words)
{
	o->failed = true;
	o->failure =
		(struct engine_failure){ .setup = true, .alert_due = -1, .alert_received = -1, .words = words };
	ERR_clear_error();
	return false;
}

static void ended_by_us(struct openssl *o, int alert_due, const char *words)
{
	o->failed = true;
	o->failure = (struct engine_failure){ .alert_due = alert_due, .alert_received = -1, .words = words };
	ERR_clear_error();
}

/* What a call that did not succeed means. */
static void settle(struct openssl *o, int result)
{
	int why = SSL_get_error(o->ssl, result);

	o->blocked = false;
	if (o->refused) {
		ended_by_us(o, o->refused_alert, o->refused);
		return;
	}
	switch (why) {
	case SSL_ERROR_WANT_READ:
		o->fresh = false;
		return;
	case SSL_ERROR_WANT_WRITE:
		o->blocked = true;
		return;
	case SSL_ERROR_ZERO_RETURN:
		if (o->open)
			o->peer_closed = true;
		else
			ended_by_us(o, -1, "peer ended the handshake with close_notify");
		return;
	default:
		o->failed = true;
		failure_describe(o);
	}
}

/* ---- what the library is asked to do; each begins with an empty error queue, as SSL_get_error looks there
 * ---- */

static void shake(struct openssl *o)
{
	int result;

	ERR_clear_error();
	result = SSL_do_handshake(o->ssl);
	if (result == 1 && peer_refused(o))
		ended_by_us(o, o->verdict.alert, o->verdict.reason); /* see peer.c */
	else if (result == 1 && !protocol_note(o))
		ended_by_us(o, ALERT_ILLEGAL_PARAMETER, "server chose an application protocol that was not offered");
	else if (result == 1)
		o->open = o->fresh = true;
	else
		settle(o, result);
}

static void receive(struct openssl *o)
{
	int n;

	if (o->plain_n || !o->fresh || o->failed || o->peer_closed)
		return;
	ERR_clear_error();
	n = SSL_read(o->ssl, o->plain, sizeof o->plain);
	if (n <= 0) {
		settle(o, n);
		return;
	}
	o->plain_at = 0;
	o->plain_n = (size_t)n;
	o->strays = o->late_records = 0;
}

static void seal(struct openssl *o)
{
	o->stalled = false;
	while (o->unsealed_n && !o->failed) {
		int n;

		ERR_clear_error();
		n = SSL_write(o->ssl, o->unsealed + o->unsealed_at, (int)o->unsealed_n);
		if (n <= 0) {
			settle(o, n);
			o->stalled = true;
			return;
		}
		o->unsealed_at += (size_t)n;
		o->unsealed_n -= (size_t)n;
	}
	o->unsealed_at = 0;
}

/* While a handshake message has come in part, the library sends nothing of ours, and would forget to close.
 */
static void close_sending(struct openssl *o)
{
	if (!o->close_due || o->failed || o->unsealed_n || SSL_in_init(o->ssl) ||
		!wire_has_room(o, ENGINE_RECORD_MAX))
		return;
	o->close_due = false;
	ERR_clear_error();
	(void)SSL_shutdown(o->ssl); /* 0: sent, the peer's has not come; it is read as ever */
	ERR_clear_error();
	o->alert = ALERT_CLOSE_NOTIFY;
	o->mute = true;
}

static void proceed(struct openssl *o)
{
	if (o->failed)
		return;
	if (!o->open)
		shake(o);
	else
		receive(o);
	if (o->open && !o->blocked && o->alert < 0) { /* what waited for the rest of a message */
		seal(o);
		close_sending(o);
	}
}

/* ---- ports ---- */

static unsigned char *record_in(struct engine *e, size_t *room)
{
	struct openssl *o = of(e);

	if (o->failed || o->peer_closed)
		return NULL;
	if (!o->in_n)
		o->in_at = 0;
	*room = sizeof o->in - o->in_at - o->in_n;
	return *room ? o->in + o->in_at + o->in_n : NULL;
}

static void record_in_moved(struct engine *e, size_t n)
{
	struct openssl *o = of(e);

	o->in_n += n;
	o->fresh = o->heard = true;
	proceed(o);
}

static const unsigned char *record_out(struct engine *e, size_t *n)
{
	struct openssl *o = of(e);

	*n = o->out_n;
	return o->out_n ? o->out + o->out_at : NULL;
}

static void record_out_moved(struct engine *e, size_t n)
{
	struct openssl *o = of(e);

	o->out_at += n;
	o->out_n -= n;
	if (o->out_n)
		return;
	o->out_at = 0;
	if (o->blocked) {
		o->blocked = false;
		o->fresh = true;
		seal(o);
		proceed(o);
	}
	close_sending(o);
}

static unsigned char *plain_in(struct engine *e, size_t *room)
{
	struct openssl *o = of(e);

	if (!o->open || o->failed || o->close_due || o->alert >= 0 || o->blocked || o->stalled ||
		!wire_has_room(o, 2 * ENGINE_RECORD_MAX))
		return NULL;
	*room = sizeof o->unsealed - o->unsealed_at - o->unsealed_n;
	return *room ? o->unsealed + o->unsealed_at + o->unsealed_n : NULL;
}

static void plain_in_moved(struct engine *e, size_t n)
{
	struct openssl *o = of(e);

	o->unsealed_n += n;
	if (o->unsealed_n == sizeof o->unsealed)
		seal(o);
}

static const unsigned char *plain_out(struct engine *e, size_t *n)
{
	struct openssl *o = of(e);

	if (o->open)
		proceed(o);
	*n = o->plain_n;
	return o->plain_n ? o->plain + o->plain_at : NULL;
}

static void plain_out_moved(struct engine *e, size_t n)
{
	struct openssl *o = of(e);

	o->plain_at += n;
	o->plain_n -= n;
}

static void flush(struct engine *e)
{
	struct openssl *o = of(e);

	if (o->open && o->alert < 0 && !o->blocked)
		seal(o);
}

static unsigned status(struct engine *e)
{
	struct openssl *o = of(e);

	return (o->open ? ENGINE_OPEN : 0u) | (o->peer_closed ? ENGINE_PEER_CLOSED : 0u) |
		   (o->alert == ALERT_CLOSE_NOTIFY ? ENGINE_SELF_CLOSED : 0u) | (o->failed ? ENGINE_FAILED : 0u);
}

static bool send_alert(struct engine *e, int description)
{
	struct openssl *o = of(e);
	unsigned char record[SEALED_ALERT_MAX];

	if (o->alert >= 0 || o->close_due || o->alert_sent ||
		(description == ALERT_CLOSE_NOTIFY && (!o->open || o->failed)))
		return false;
	flush(e);
	if (description == ALERT_CLOSE_NOTIFY) {
		o->close_due = true;
		close_sending(o);
		return true;
	}
	o->alert = description;
	o->mute = true;
	wire_append(o, record, seal_alert(o, description, record));
	if (!o->failed)
		ended_by_us(o, -1, "ended by us");
	return true;
}

/* ---- a connection ---- */

static bool start(struct engine *e, const struct engine_setup *setup)
{
	struct openssl *o = of(e);
	BIO *wire;

	o->setup = setup;
	o->alert = -1;
	if (!library_ready())
		return setup_failed(o, "OpenSSL does not start");
	o->context = library_context(setup);
	o->ssl = o->context ? SSL_new(o->context) : NULL;
	wire = o->ssl ? wire_new(o) : NULL;
	if (!wire)
		return setup_failed(o, "OpenSSL refused its parameters");
	SSL_set_bio(o->ssl, wire, wire);
	(void)SSL_set_app_data(o->ssl, o);
	watch_install(o);
	peer_install(o);
	pair_install(o);
	if (!protocol_install(o))
		return setup_failed(o, "OpenSSL refused the application protocols");
	if (!setup->client) {
		SSL_set_accept_state(o->ssl);
		return true;
	}
	SSL_set_connect_state(o->ssl);
	if (setup->send_name && !SSL_set_tlsext_host_name(o->ssl, setup->send_name))
		return setup_failed(o, "OpenSSL refused its parameters");
	shake(o); /* a client begins */
	return !o->failed || setup_failed(o, "OpenSSL does not begin");
}

static void facts(struct engine *e, struct engine_facts *out)
{
	struct openssl *o = of(e);
	const struct suite *suite = suites_find(SSL_CIPHER_get_protocol_id(SSL_get_current_cipher(o->ssl)));
	unsigned session_n = 0;
	const unsigned char *session = SSL_SESSION_get_id(SSL_get_session(o->ssl), &session_n);

	*out = (struct engine_facts){ .protocol = SSL_version(o->ssl) == TLS1_3_VERSION ? "TLSv1.3" : "TLSv1.2",
		.cipher = suite ? suite->name : "unknown",
		.cipher_bits = suite ? suite->bits : 0,
		.cipher_key_bits = suite ? suite->algorithm_bits : 0,
		.implementation = library_version(),
		.session_id = { session, session_n },
		.alpn = o->alpn,
		.own_pair = o->pair };
	if (o->judged && o->verdict.accepted) {
		out->peer_chain = o->chain;
		out->n_peer_chain = o->n_chain;
	} else if (o->judged) {
		out->refused = &o->verdict;
	}
}

static const struct engine_failure *failure(struct engine *e)
{
	return &of(e)->failure;
}

static void wipe(struct engine *e)
{
	struct openssl *o = of(e);

	SSL_free(o->ssl);
	SSL_CTX_free(o->context);
	o->ssl = NULL;
	o->context = NULL;
	o->failed = true; /* no port gives or takes anything from here on */
	o->plain_n = o->unsealed_n = o->out_n = 0;
	x509_wipe(o->plain, sizeof o->plain);
	x509_wipe(o->unsealed, sizeof o->unsealed);
	x509_wipe(&o->sending, sizeof o->sending);
}

static const struct engine_class openssl_class = {
	.name = "openssl",
	.newest = ENGINE_TLS13,
	/* RSA key exchange: the key's methods (pair.c) only sign. 3DES: left out of the library by its makers. */
	.suites = { .lacks = SUITE_RSA_EXCHANGE | SUITE_3DES, .fast_gcm = processor_has_fast_gcm },
	.start = start,
	.record_in = record_in,
	.record_in_moved = record_in_moved,
	.record_out = record_out,
	.record_out_moved = record_out_moved,
	.plain_in = plain_in,
	.plain_in_moved = plain_in_moved,
	.plain_out = plain_out,
	.plain_out_moved = plain_out_moved,
	.flush = flush,
	.status = status,
	.alert = send_alert,
	.facts = facts,
	.failure = failure,
	.wipe = wipe,
};

struct engine *engine_of_program(void)
{
	static struct openssl the_engine; /* all zero: not in the file, and untouched pages cost nothing */
	the_engine.base.class = &openssl_class;
	return &the_engine.base;
}
