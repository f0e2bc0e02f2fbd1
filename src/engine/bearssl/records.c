/*
 * Record classes that the library is given in place of its own. They do what those do, and besides:
 * - see every protected record in clear, so that the peer's close_notify is noticed once it is authenticated,
 * and withheld from the engine, which would end both directions on it; floods of empty records and warnings
 * are refused;
 * - remember the protected sending direction, so that alerts of our own can be sealed in their turn (the
 * engine sends almost none by itself, and its close_notify would discard all that is still received).
 */
#include <string.h>
#include "engine/bearssl/private.h"

enum { RECORD_ALERT = 21, RECORD_HANDSHAKE = 22 };

/* The library's methods know a direction by the address of its context, which is a member of the engine
 * context. */
static struct bearssl *of_in(const br_sslrec_in_class *const *ctx)
{
	const char *engine = (const char *)ctx - offsetof(br_ssl_engine_context, in);
	return (struct bearssl *)(uintptr_t)(engine - offsetof(struct bearssl, tls.engine));
}

static struct bearssl *of_out(const br_sslrec_out_class *const *ctx)
{
	const char *engine = (const char *)ctx - offsetof(br_ssl_engine_context, out);
	return (struct bearssl *)(uintptr_t)(engine - offsetof(struct bearssl, tls.engine));
}

static unsigned char *refuse(struct bearssl *b, const char *why, int alert)
{
	b->record_refused = why;
	b->record_alert = alert;
	return NULL; /* the engine takes it for a record that failed authentication, and ends */
}

/*
 * Alerts, which may share a record or be split over several (RFC 5246 6.2.1). Warnings are not shown to the
 * engine, which would end on some of them; of a fatal one it gets just the two bytes.
 */
static unsigned char *inspect_alerts(struct bearssl *b, unsigned char *plain, size_t *n)
{
	for (size_t i = 0; i < *n && !b->peer_closed; i++) {
		if (!b->alert_level) {
			b->alert_level = plain[i];
			if (b->alert_level != 1 && b->alert_level != 2)
				return refuse(b, "malformed alert", ALERT_DECODE_ERROR);
		} else if (b->alert_level == 2) {
			plain[1] = plain[i];
			plain[0] = 2;
			*n = 2;
			return plain;
		} else {
			b->alert_level = 0;
			if (plain[i] == ALERT_CLOSE_NOTIFY)
				b->peer_closed = true;
			else if (++b->stray_records > STRAY_RECORDS_MAX)
				return refuse(b, "flood of warning alerts", ALERT_UNEXPECTED_MESSAGE);
		}
	}
	*n = 0;
	return plain;
}

/* After the handshake a few attempts to renegotiate are declined by the engine: one whole message a record.
 */
static unsigned char *inspect_late_handshake(struct bearssl *b, unsigned char *plain, size_t n)
{
	size_t length = n < 4 ? 0 : (size_t)plain[1] << 16 | (size_t)plain[2] << 8 | plain[3];

	if (n < 4 || n != 4 + length || ++b->late_handshakes > HANDSHAKES_AFTER_MAX)
		return refuse(b, "attempts to renegotiate", ALERT_UNEXPECTED_MESSAGE);
	return plain;
}

/* Looks at one authenticated record; what the engine shall not see is made empty. */
static unsigned char *inspect(struct bearssl *b, int type, unsigned char *plain, size_t *n)
{
	if (type == RECORD_ALERT && *n)
		return inspect_alerts(b, plain, n);
	if (*n == 0)
		return ++b->stray_records > STRAY_RECORDS_MAX
				   ? refuse(b, "flood of empty records", ALERT_UNEXPECTED_MESSAGE)
				   : plain;
	if (type == RECORD_HANDSHAKE)
		return b->open ? inspect_late_handshake(b, plain, *n) : plain;
	b->stray_records = 0;
	return plain;
}

static int in_check_length(const br_sslrec_in_class *const *ctx, size_t n)
{
	return of_in(ctx)->in_class->check_length(ctx, n);
}

static unsigned char *in_decrypt(
	const br_sslrec_in_class **ctx, int type, unsigned version, void *payload, size_t *n)
{
	struct bearssl *b = of_in((const br_sslrec_in_class *const *)ctx);
	unsigned char *plain = b->in_class->decrypt(ctx, type, version, payload, n);
	return plain ? inspect(b, type, plain, n) : NULL;
}

static const br_sslrec_in_class in_hook = { sizeof(br_sslrec_in_cbc_context), in_check_length, in_decrypt };

/* Called by the init hooks below, after the library's own init installed its methods in the context. */
static void hook_in(const br_sslrec_in_class **ctx)
{
	struct bearssl *b = of_in((const br_sslrec_in_class *const *)ctx);
	b->in_class = *ctx;
	b->in = ctx;
	*ctx = &in_hook;
}

static void hook_out(const br_sslrec_out_class **ctx)
{
	of_out((const br_sslrec_out_class *const *)ctx)->out = ctx;
}

static void gcm_in(const br_sslrec_in_gcm_class **ctx, const br_block_ctr_class *cipher, const void *key,
	size_t n, br_ghash ghash, const void *iv)
{
	br_sslrec_in_gcm_vtable.init(ctx, cipher, key, n, ghash, iv);
	hook_in((const br_sslrec_in_class **)ctx);
}

static void gcm_out(const br_sslrec_out_gcm_class **ctx, const br_block_ctr_class *cipher, const void *key,
	size_t n, br_ghash ghash, const void *iv)
{
	br_sslrec_out_gcm_vtable.init(ctx, cipher, key, n, ghash, iv);
	hook_out((const br_sslrec_out_class **)ctx);
}

static void chapol_in(const br_sslrec_in_chapol_class **ctx, br_chacha20_run chacha, br_poly1305_run poly,
	const void *key, const void *iv)
{
	br_sslrec_in_chapol_vtable.init(ctx, chacha, poly, key, iv);
	hook_in((const br_sslrec_in_class **)ctx);
}

static void chapol_out(const br_sslrec_out_chapol_class **ctx, br_chacha20_run chacha, br_poly1305_run poly,
	const void *key, const void *iv)
{
	br_sslrec_out_chapol_vtable.init(ctx, chacha, poly, key, iv);
	hook_out((const br_sslrec_out_class **)ctx);
}

static void cbc_in(const br_sslrec_in_cbc_class **ctx, const br_block_cbcdec_class *cipher, const void *key,
	size_t n, const br_hash_class *hash, const void *mac_key, size_t mac_key_n, size_t mac_n, const void *iv)
{
	br_sslrec_in_cbc_vtable.init(ctx, cipher, key, n, hash, mac_key, mac_key_n, mac_n, iv);
	hook_in((const br_sslrec_in_class **)ctx);
}

static void cbc_out(const br_sslrec_out_cbc_class **ctx, const br_block_cbcenc_class *cipher, const void *key,
	size_t n, const br_hash_class *hash, const void *mac_key, size_t mac_key_n, size_t mac_n, const void *iv)
{
	br_sslrec_out_cbc_vtable.init(ctx, cipher, key, n, hash, mac_key, mac_key_n, mac_n, iv);
	hook_out((const br_sslrec_out_class **)ctx);
}

static const br_sslrec_in_gcm_class gcm_in_hook = { { 0, 0, 0 }, gcm_in };
static const br_sslrec_out_gcm_class gcm_out_hook = { { 0, 0, 0 }, gcm_out };
static const br_sslrec_in_chapol_class chapol_in_hook = { { 0, 0, 0 }, chapol_in };
static const br_sslrec_out_chapol_class chapol_out_hook = { { 0, 0, 0 }, chapol_out };
static const br_sslrec_in_cbc_class cbc_in_hook = { { 0, 0, 0 }, cbc_in };
static const br_sslrec_out_cbc_class cbc_out_hook = { { 0, 0, 0 }, cbc_out };

void records_install(struct bearssl *b)
{
	br_ssl_engine_set_gcm(&b->tls.engine, &gcm_in_hook, &gcm_out_hook);
	br_ssl_engine_set_chapol(&b->tls.engine, &chapol_in_hook, &chapol_out_hook);
	br_ssl_engine_set_cbc(&b->tls.engine, &cbc_in_hook, &cbc_out_hook);
}

void records_build_alert(struct bearssl *b, int level, int description)
{
	unsigned char *at = b->alert_record;
	size_t n = 2;

	if (b->out) {
		/* The record class says where the plaintext goes; its sequence number moves on by one, as for any
		 * record. */
		size_t start = 5, end = sizeof b->alert_record;
		(*b->out)->max_plaintext((const br_sslrec_out_class *const *)b->out, &start, &end);
		at[start] = (unsigned char)level;
		at[start + 1] = (unsigned char)description;
		at = (*b->out)->encrypt(b->out, RECORD_ALERT, BR_TLS12, at + start, &n);
	} else {
		/* Before a version is agreed upon a record says 3.1, which every peer reads (RFC 5246 E.1). */
		unsigned version = br_ssl_engine_get_version(&b->tls.engine);
		const unsigned char clear[] = { RECORD_ALERT, 3, version == BR_TLS12 ? 3 : 1, 0, 2,
			(unsigned char)level, (unsigned char)description };
		memcpy(at, clear, sizeof clear);
		n = sizeof clear;
	}
	b->alert_at = at;
	b->alert_left = n;
	b->alert_built = true;
}
