/*
 * The BearSSL engine: TLS 1.2 behind engine.h. Half-close and alerts are done from outside through the record
 * classes (records.c); br_ssl_engine_close() is never called, as it would discard what the peer still sends.
 */
#include <string.h>
#include <errno.h>
#include <sys/random.h>
#include "engine/bearssl/private.h"

static struct bearssl *of(struct engine *e)
{
	return (struct bearssl *)(void *)e;
}

/* Notices that the library has ended, and says why. */
static bool failed(struct bearssl *b)
{
	int code;

	if (b->failed)
		return true;
	if (!(br_ssl_engine_current_state(&b->tls.engine) & BR_SSL_CLOSED))
		return false;
	b->failed = true;
	code = br_ssl_engine_last_error(&b->tls.engine);
	failure_describe(code, &b->failure);
	if (b->record_refused) {
		b->failure.words = b->record_refused;
		b->failure.alert_due = b->record_alert;
	} else if (b->sign_failed) {
		b->failure.words = "own certificate or key cannot be used";
		b->failure.alert_due = ALERT_INTERNAL_ERROR;
	} else if (b->peer.refused) {
		b->failure.words = b->peer.verdict.reason;
		b->failure.alert_due = b->peer.verdict.alert;
	} else if (code == BR_ERR_OK) {
		b->failure.words = "peer ended the handshake with close_notify";
		b->failure.alert_due = -1;
	}
	return true;
}

void engine_list_chain(struct bearssl *b)
{
	for (size_t i = 0; i < b->pair->n; i++) {
		b->chain[i].data = (unsigned char *)(uintptr_t)b->pair->chain[i].at;
		b->chain[i].data_len = b->pair->chain[i].n;
	}
}

static int policy_choose(const br_ssl_server_policy_class **ctx, const br_ssl_server_context *server,
	br_ssl_server_choices *choices)
{
	struct bearssl *b = (struct bearssl *)(void *)((char *)ctx - offsetof(struct bearssl, policy));
	const struct engine_calls *calls = &b->setup->calls;
	size_t nth = 0;

	do
		b->pair = calls->pair(calls->context, nth++);
	while (b->pair && !suites_choose(b->setup, server, &b->pair->key, choices));
	if (!b->pair || b->pair->n > X509_CHAIN_MAX)
		return 0;
	engine_list_chain(b);
	choices->chain = b->chain;
	choices->chain_len = b->pair->n;
	return 1;
}

static uint32_t policy_key_exchange(const br_ssl_server_policy_class **ctx, unsigned char *data, size_t *n)
{
	struct bearssl *b = (struct bearssl *)(void *)((char *)ctx - offsetof(struct bearssl, policy));

	return b->setup->calls.decrypt(b->setup->calls.context, b->pair, data, *n);
}

static size_t policy_sign(
	const br_ssl_server_policy_class **ctx, unsigned scheme, unsigned char *data, size_t n, size_t room)
{
	struct bearssl *b = (struct bearssl *)(void *)((char *)ctx - offsetof(struct bearssl, policy));
	const struct engine_to_sign what = { scheme, false, { data, n } };
	size_t signed_n = b->setup->calls.sign(b->setup->calls.context, b->pair, &what, data, room);

	b->sign_failed = !signed_n;
	return signed_n;
}

static const br_ssl_server_policy_class policy_class = { sizeof(void *), policy_choose, policy_key_exchange,
	policy_sign };

static bool setup_failed(struct bearssl *b, const char *words)
{
	b->failed = true;
	b->failure =
		(struct engine_failure){ .setup = true, .alert_due = -1, .alert_received = -1, .words = words };
	return false;
}

/*
 * The library's tolerance of clients without a certificate is also one of certificates that were refused;
 * peer.c takes it back when it refuses one.
 */
static void ask_for_certificate(struct bearssl *b)
{
	static const unsigned char no_name[] = { 0x30, 0 };
	const struct engine_setup *setup = b->setup;
	size_t n = setup->n_ca_names ? setup->n_ca_names : 1;

	if (setup->asking == ENGINE_ASK_NOTHING)
		return;
	/* It asks only if there is a name to send: an empty one is anybody's. */
	b->ca_names[0] = (br_x500_name){ (unsigned char *)(uintptr_t)no_name, sizeof no_name };
	for (size_t i = 0; i < setup->n_ca_names && i < ENGINE_CA_NAMES_MAX; i++) {
		b->ca_names[i].data = (unsigned char *)(uintptr_t)setup->ca_names[i].at;
		b->ca_names[i].len = setup->ca_names[i].n;
	}
	br_ssl_server_set_trust_anchor_names(&b->tls.server, b->ca_names, n);
	if (setup->asking != ENGINE_DEMAND)
		br_ssl_engine_add_flags(&b->tls.engine, BR_OPT_TOLERATE_NO_CLIENT_AUTH);
}

/*
 * ALPN. A server's relay has refused a client without a protocol in common by now. A client does not put up
 * with a server that chooses what was not offered. There is no session cache, with which the library would
 * read beyond the names.
 */
static void offer_protocols(struct bearssl *b)
{
	const struct engine_setup *setup = b->setup;

	if (!setup->n_alpn)
		return;
	/* The library only reads the names, but its type says otherwise. */
	br_ssl_engine_set_protocol_names(&b->tls.engine, (const char **)(uintptr_t)setup->alpn, setup->n_alpn);
	if (setup->client)
		br_ssl_engine_add_flags(&b->tls.engine, BR_OPT_FAIL_ON_ALPN_MISMATCH);
}

static bool start(struct engine *e, const struct engine_setup *setup)
{
	struct bearssl *b = of(e);
	unsigned char seed[32];
	ssize_t got;
	int ok;

	b->setup = setup;
	b->alert = -1;
	do
		got = getrandom(seed, sizeof seed, 0);
	while (got < 0 && errno == EINTR);
	if (got != sizeof seed)
		return setup_failed(b, "no randomness from the kernel");
	if (setup->client)
		br_ssl_client_zero(&b->tls.client);
	else
		br_ssl_server_zero(&b->tls.server);
	suites_install(b);
	records_install(b);
	peer_install(b);
	br_ssl_engine_add_flags(&b->tls.engine, BR_OPT_NO_RENEGOTIATION);
	offer_protocols(b);
	br_ssl_engine_set_buffers_bidi(
		&b->tls.engine, b->in_buffer, sizeof b->in_buffer, b->out_buffer, sizeof b->out_buffer);
	br_ssl_engine_inject_entropy(&b->tls.engine, seed, sizeof seed);
	x509_wipe(seed, sizeof seed);
	if (setup->client) {
		br_ssl_client_set_default_rsapub(&b->tls.client);
		client_certificate_install(b);
		ok = br_ssl_client_reset(&b->tls.client, setup->send_name, 0);
	} else {
		b->policy = &policy_class;
		br_ssl_server_set_policy(&b->tls.server, &b->policy);
		ask_for_certificate(b);
		ok = br_ssl_server_reset(&b->tls.server);
	}
	return ok || setup_failed(b, "BearSSL refused its parameters");
}

static void note_progress(struct bearssl *b)
{
	if (!b->open && br_ssl_engine_current_state(&b->tls.engine) & BR_SSL_SENDAPP)
		b->open = true;
}

static unsigned char *record_in(struct engine *e, size_t *room)
{
	struct bearssl *b = of(e);
	if (b->peer_closed || failed(b))
		return NULL;
	return br_ssl_engine_recvrec_buf(&b->tls.engine, room);
}

static void record_in_moved(struct engine *e, size_t n)
{
	struct bearssl *b = of(e);
	if (b->pair)
		suites_add_sha1(b); /* a server has said all; keys are made at a later record than the ClientHello */
	br_ssl_engine_recvrec_ack(&b->tls.engine, n);
	note_progress(b);
	(void)failed(b);
}

/* After our close_notify whatever the engine still wants to say (no_renegotiation) is thrown away. */
static void discard_records(struct bearssl *b)
{
	size_t n;
	while (br_ssl_engine_sendrec_buf(&b->tls.engine, &n))
		br_ssl_engine_sendrec_ack(&b->tls.engine, n);
}

static const unsigned char *record_out(struct engine *e, size_t *n)
{
	struct bearssl *b = of(e);
	const unsigned char *record;

	if (!b->alert_built) {
		record = br_ssl_engine_sendrec_buf(&b->tls.engine, n);
		if (record || b->alert < 0)
			return record;
		records_build_alert(b, b->alert == ALERT_CLOSE_NOTIFY ? 1 : 2, b->alert);
	}
	discard_records(b);
	*n = b->alert_left;
	return b->alert_left ? b->alert_at : NULL;
}

static void record_out_moved(struct engine *e, size_t n)
{
	struct bearssl *b = of(e);
	if (b->alert_built) {
		b->alert_at += n;
		b->alert_left -= n;
		return;
	}
	br_ssl_engine_sendrec_ack(&b->tls.engine, n);
	note_progress(b);
	(void)failed(b);
}

static unsigned char *plain_in(struct engine *e, size_t *room)
{
	struct bearssl *b = of(e);
	if (!b->open || b->alert >= 0 || failed(b))
		return NULL;
	return br_ssl_engine_sendapp_buf(&b->tls.engine, room);
}

static void plain_in_moved(struct engine *e, size_t n)
{
	br_ssl_engine_sendapp_ack(&of(e)->tls.engine, n);
}

static const unsigned char *plain_out(struct engine *e, size_t *n)
{
	return br_ssl_engine_recvapp_buf(&of(e)->tls.engine, n);
}

static void plain_out_moved(struct engine *e, size_t n)
{
	br_ssl_engine_recvapp_ack(&of(e)->tls.engine, n);
}

static void flush(struct engine *e)
{
	struct bearssl *b = of(e);
	if (b->open && b->alert < 0 && !failed(b))
		br_ssl_engine_flush(&b->tls.engine, 0);
}

static unsigned status(struct engine *e)
{
	struct bearssl *b = of(e);
	return (b->open ? ENGINE_OPEN : 0u) | (b->peer_closed ? ENGINE_PEER_CLOSED : 0u) |
		   (b->alert_built && b->alert == ALERT_CLOSE_NOTIFY ? ENGINE_SELF_CLOSED : 0u) |
		   (failed(b) ? ENGINE_FAILED : 0u);
}

static bool send_alert(struct engine *e, int description)
{
	struct bearssl *b = of(e);
	if (b->alert >= 0 || (description == ALERT_CLOSE_NOTIFY && (!b->open || failed(b))))
		return false;
	flush(e);
	b->alert = description; /* record_out builds it once everything sealed before it has gone */
	if (description != ALERT_CLOSE_NOTIFY && !failed(b)) {
		b->failed = true;
		b->failure = (struct engine_failure){ .alert_due = -1, .alert_received = -1, .words = "ended by us" };
	}
	return true;
}

static void facts(struct engine *e, struct engine_facts *out)
{
	struct bearssl *b = of(e);
	static br_ssl_session_parameters session;
	const struct suite *suite;

	br_ssl_engine_get_session_parameters(&b->tls.engine, &session);
	x509_wipe(session.master_secret, sizeof session.master_secret);
	*out = (struct engine_facts){ .protocol = "TLSv1.2",
		.implementation = "BearSSL 0.6",
		.session_id = { session.session_id, session.session_id_len },
		.alpn = br_ssl_engine_get_selected_protocol(&b->tls.engine),
		.own_pair = b->pair };
	suite = suites_find(session.cipher_suite);
	out->cipher = suite ? suite->name : "unknown";
	out->cipher_bits = suite ? suite->bits : 0;
	out->cipher_key_bits = suite ? suite->algorithm_bits : 0;
	if (b->peer.verdict.accepted) {
		out->peer_chain = b->peer.certificates;
		out->n_peer_chain = b->peer.n;
	} else if (b->peer.n || b->peer.too_large) {
		out->refused = &b->peer.verdict;
	}
}

static const struct engine_failure *failure(struct engine *e)
{
	return &of(e)->failure;
}

static void wipe(struct engine *e)
{
	struct bearssl *b = of(e);
	x509_wipe(&b->tls, sizeof b->tls);
	x509_wipe(b->in_buffer, sizeof b->in_buffer);
	x509_wipe(b->out_buffer, sizeof b->out_buffer);
}

static const struct engine_class bearssl_class = {
	.name = "bearssl",
	.newest = ENGINE_TLS12,
	.suites = { .lacks = SUITE_TLS13, .fast_gcm = processor_has_fast_gcm },
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
	static struct bearssl the_engine; /* all zero: not in the file, and untouched pages cost nothing */
	the_engine.base.class = &bearssl_class;
	return &the_engine.base;
}
