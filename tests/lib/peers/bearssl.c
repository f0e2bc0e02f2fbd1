/*
 * The TLS of peer.c by BearSSL, whose records can be made by hand: tls_record protects anything in the
 * engine's turn. Believes any certificate. Twists of the handshake: finished   the Finished message is wrong,
 * in a good record chain=N    (servers) the certificate N times; sha1   signs with SHA-1, offered or not (clients
 * with the EC pair of $PEER_CERTIFICATE and $PEER_KEY)
 */
#include <bearssl.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>
#include "peer.h"

static union {
	br_ssl_engine_context engine;
	br_ssl_client_context client;
	br_ssl_server_context server;
} tls;
static br_ssl_engine_context *const e = &tls.engine;
static unsigned char in_buffer[BR_SSL_BUFSIZE_INPUT], out_buffer[BR_SSL_BUFSIZE_OUTPUT];
static int net, twist_finished;
static char why[200];

static void abort_with(const char *words)
{
	fprintf(stderr, "%s\n", words);
	abort();
}

/* ---- any certificate will do ---- */

struct believer {
	const br_x509_class *vtable;
	br_x509_decoder_context decoder;
	int n;
};

static struct believer *believer_of(const br_x509_class **ctx)
{
	return (struct believer *)(void *)ctx;
}
static void start_chain(const br_x509_class **ctx, const char *name)
{
	(void)name, believer_of(ctx)->n = 0;
}
static void start_cert(const br_x509_class **ctx, uint32_t n)
{
	(void)n;
	if (believer_of(ctx)->n++ == 0)
		br_x509_decoder_init(&believer_of(ctx)->decoder, NULL, NULL);
}
static void append(const br_x509_class **ctx, const unsigned char *bytes, size_t n)
{
	if (believer_of(ctx)->n == 1)
		br_x509_decoder_push(&believer_of(ctx)->decoder, bytes, n);
}
static void end_cert(const br_x509_class **ctx)
{
	(void)ctx;
}
static unsigned end_chain(const br_x509_class **ctx)
{
	(void)ctx;
	return 0;
}
static const br_x509_pkey *get_pkey(const br_x509_class *const *ctx, unsigned *usages)
{
	if (usages)
		*usages = BR_KEYTYPE_SIGN | BR_KEYTYPE_KEYX;
	return br_x509_decoder_get_pkey(&believer_of((const br_x509_class **)(void *)(size_t)ctx)->decoder);
}
static const br_x509_class believing = { sizeof(struct believer), start_chain, start_cert, append, end_cert,
	end_chain, get_pkey };
static struct believer believer = { .vtable = &believing };

/* ---- a wrong Finished ---- */

static const br_sslrec_out_class *real;

static void max_plaintext(const br_sslrec_out_class *const *ctx, size_t *start, size_t *end)
{
	real->max_plaintext(ctx, start, end);
}
static unsigned char *encrypt(
	const br_sslrec_out_class **ctx, int type, unsigned version, void *plain, size_t *n)
{
	if (type == 22 && *n > 4)
		((unsigned char *)plain)[4] ^= 1;
	return real->encrypt(ctx, type, version, plain, n);
}
static const br_sslrec_out_class twisted = { sizeof(br_sslrec_gcm_context), max_plaintext, encrypt };
static void init_twisted(const br_sslrec_out_gcm_class **ctx, const br_block_ctr_class *cipher,
	const void *key, size_t n, br_ghash ghash, const void *iv)
{
	br_sslrec_out_gcm_vtable.init(ctx, cipher, key, n, ghash, iv);
	real = *(const br_sslrec_out_class **)(void *)ctx;
	*(const br_sslrec_out_class **)(void *)ctx = &twisted;
}
static const br_sslrec_out_gcm_class gcm_twisted = { { 0, 0, 0 }, init_twisted };

/* ---- certificate and key ---- */

struct text {
	unsigned char bytes[8192];
	size_t n;
};

static void collect(void *to, const void *bytes, size_t n)
{
	struct text *t = to;
	if (n <= sizeof t->bytes - t->n) {
		memcpy(t->bytes + t->n, bytes, n);
		t->n += n;
	}
}

/* The first object in a PEM file. */
static void read_pem(const char *path, struct text *to)
{
	static char file[16384];
	br_pem_decoder_context pem;
	FILE *f = fopen(path, "r");
	size_t n = f ? fread(file, 1, sizeof file, f) : 0, at = 0;

	if (!n)
		abort_with(path);
	fclose(f);
	br_pem_decoder_init(&pem);
	while (at < n) {
		at += br_pem_decoder_push(&pem, file + at, n - at);
		switch (br_pem_decoder_event(&pem)) {
		case BR_PEM_BEGIN_OBJ:
			br_pem_decoder_setdest(&pem, collect, to);
			break;
		case BR_PEM_END_OBJ:
			return;
		}
	}
	abort_with(path);
}

/* ---- signatures with SHA-1 ---- */

static br_ec_private_key own_key;
static br_x509_certificate own_chain[1];

static size_t sign_sha1(unsigned char *data, size_t n, size_t room)
{
	if (n != br_sha1_SIZE || room < 80)
		return 0;
	return br_ecdsa_i31_sign_asn1(br_ec_get_default(), &br_sha1_vtable, data, &own_key, data);
}

static int server_choose(const br_ssl_server_policy_class **ctx, const br_ssl_server_context *server,
	br_ssl_server_choices *choices)
{
	(void)ctx, (void)server;
	*choices = (br_ssl_server_choices){ BR_TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, 0xff00 + br_sha1_ID, own_chain, 1 };
	return 1;
}
static uint32_t server_key_exchange(const br_ssl_server_policy_class **ctx, unsigned char *data, size_t *n)
{
	(void)ctx, (void)data, (void)n;
	return 0;
}
static size_t server_sign(const br_ssl_server_policy_class **ctx, unsigned id, unsigned char *data, size_t n, size_t room)
{
	(void)ctx, (void)id;
	return sign_sha1(data, n, room);
}
static const br_ssl_server_policy_class sha1_server = { sizeof(void *), server_choose, server_key_exchange, server_sign };
static const br_ssl_server_policy_class *server_policy = &sha1_server;

static void client_ignore(const br_ssl_client_certificate_class **ctx)
{
	(void)ctx;
}
static void client_ignore_length(const br_ssl_client_certificate_class **ctx, size_t n)
{
	(void)ctx, (void)n;
}
static void client_ignore_bytes(const br_ssl_client_certificate_class **ctx, const unsigned char *bytes, size_t n)
{
	(void)ctx, (void)bytes, (void)n;
}
static void client_choose(const br_ssl_client_certificate_class **ctx, const br_ssl_client_context *client,
	uint32_t types, br_ssl_client_certificate *choices)
{
	(void)ctx, (void)client, (void)types;
	*choices = (br_ssl_client_certificate){ BR_AUTH_ECDSA, br_sha1_ID, own_chain, 1 };
}
static uint32_t client_key_exchange(const br_ssl_client_certificate_class **ctx, unsigned char *data, size_t *n)
{
	(void)ctx, (void)data, (void)n;
	return 0;
}
static size_t client_sign(const br_ssl_client_certificate_class **ctx, int hash, size_t n, unsigned char *data, size_t room)
{
	(void)ctx, (void)hash;
	return sign_sha1(data, n, room);
}
static const br_ssl_client_certificate_class sha1_client = { sizeof(void *), client_ignore, client_ignore_length,
	client_ignore_bytes, client_ignore, client_ignore, client_choose, client_key_exchange, client_sign };
static const br_ssl_client_certificate_class *client_certificate = &sha1_client;

static void own_pair(const char *certificate_path, const char *key_path)
{
	static struct text certificate, key_text;
	static br_skey_decoder_context key;

	read_pem(certificate_path, &certificate);
	read_pem(key_path, &key_text);
	br_skey_decoder_init(&key);
	br_skey_decoder_push(&key, key_text.bytes, key_text.n);
	if (!br_skey_decoder_get_ec(&key))
		abort_with("needs an EC key");
	own_key = *br_skey_decoder_get_ec(&key);
	own_chain[0] = (br_x509_certificate){ certificate.bytes, certificate.n };
}

static void sign_with_sha1(const struct peer_setup *setup)
{
	const char *certificate = getenv("PEER_CERTIFICATE"), *key = getenv("PEER_KEY");

	if (!setup->server && (!certificate || !key))
		abort_with("needs PEER_CERTIFICATE and PEER_KEY");
	own_pair(setup->server ? setup->certificate : certificate, setup->server ? setup->key : key);
	if (setup->server)
		br_ssl_server_set_policy(&tls.server, &server_policy);
	else
		br_ssl_client_set_client_certificate(&tls.client, &client_certificate);
}

static void start_server(const struct peer_setup *setup)
{
	static struct text certificate, key_text;
	static br_skey_decoder_context key;
	static br_x509_certificate chain[4000];
	size_t copies = 1;

	if (sscanf(setup->twist, "chain=%zu", &copies) == 1 && copies > 4000)
		copies = 4000;
	read_pem(setup->certificate, &certificate);
	read_pem(setup->key, &key_text);
	for (size_t i = 0; i < copies; i++)
		chain[i] = (br_x509_certificate){ certificate.bytes, certificate.n };
	br_skey_decoder_init(&key);
	br_skey_decoder_push(&key, key_text.bytes, key_text.n);
	if (!br_skey_decoder_get_ec(&key))
		abort_with("needs an EC key");
	br_ssl_server_init_full_ec(&tls.server, chain, copies, BR_KEYTYPE_EC, br_skey_decoder_get_ec(&key));
}

void tls_start(int fd, const struct peer_setup *setup)
{
	static const uint16_t suites[] = { BR_TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
		BR_TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
		/* for those of ours that take no other */
		BR_TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA, BR_TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256,
		BR_TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA384 };
	static br_x509_minimal_context unused;
	unsigned char seed[32];

	net = fd;
	if (setup->server)
		start_server(setup);
	else
		br_ssl_client_init_full(&tls.client, &unused, NULL, 0);
	br_ssl_engine_set_versions(e, BR_TLS12, BR_TLS12);
	br_ssl_engine_set_suites(e, suites, sizeof suites / sizeof suites[0]);
	br_ssl_engine_set_x509(e, &believer.vtable);
	if (!strcmp(setup->twist, "sha1"))
		sign_with_sha1(setup);
	twist_finished = !strcmp(setup->twist, "finished");
	if (twist_finished)
		br_ssl_engine_set_gcm(e, &br_sslrec_in_gcm_vtable, &gcm_twisted);
	br_ssl_engine_set_buffers_bidi(e, in_buffer, sizeof in_buffer, out_buffer, sizeof out_buffer);
	if (getrandom(seed, sizeof seed, 0) != sizeof seed)
		abort_with("getrandom");
	br_ssl_engine_inject_entropy(e, seed, sizeof seed);
	if (!(setup->server ? br_ssl_server_reset(&tls.server)
						: br_ssl_client_reset(&tls.client, setup->name, 0)))
		abort_with("reset");
}

static int gave_up(const char *words)
{
	snprintf(why, sizeof why, "%s", words);
	return TLS_FAILED;
}

static int library_failed(void)
{
	int error = br_ssl_engine_last_error(e);
	if (error >= 256 && error < 512)
		snprintf(why, sizeof why, "alert %d", error - 256);
	else
		snprintf(why, sizeof why, "BearSSL %d", error);
	return TLS_FAILED;
}

/* One movement of records in either direction; 1 moved, else why not. */
static int pump(void)
{
	size_t n;
	unsigned char *at;
	ssize_t got;

	if (br_ssl_engine_current_state(e) == BR_SSL_CLOSED)
		return library_failed();
	if ((at = br_ssl_engine_sendrec_buf(e, &n)) != NULL) {
		got = write(net, at, n);
		if (got > 0)
			return br_ssl_engine_sendrec_ack(e, (size_t)got), 1;
		if (errno == EAGAIN)
			return TLS_AGAIN_WRITE;
		return gave_up(errno == ECONNRESET ? "reset" : strerror(errno));
	}
	if ((at = br_ssl_engine_recvrec_buf(e, &n)) != NULL) {
		got = read(net, at, n);
		if (got > 0)
			return br_ssl_engine_recvrec_ack(e, (size_t)got), 1;
		if (got == 0)
			return gave_up("fin");
		if (errno == EAGAIN)
			return TLS_AGAIN_READ;
		return gave_up(errno == ECONNRESET ? "reset" : strerror(errno));
	}
	return 1;
}

int tls_handshake(void)
{
	int got;
	while (!(br_ssl_engine_current_state(e) & BR_SSL_SENDAPP))
		if ((got = pump()) != 1)
			return got;
	return 0;
}

long tls_read(void *to, size_t room)
{
	size_t n;
	unsigned char *at;
	int got;

	while ((at = br_ssl_engine_recvapp_buf(e, &n)) == NULL) {
		if (br_ssl_engine_current_state(e) == BR_SSL_CLOSED && br_ssl_engine_last_error(e) == 0)
			return 0;
		if ((got = pump()) != 1)
			return got;
	}
	if (n > room)
		n = room;
	memcpy(to, at, n);
	br_ssl_engine_recvapp_ack(e, n);
	return (long)n;
}

/* All that the engine holds goes to the socket. */
static int drain(void)
{
	size_t n;
	unsigned char *at;
	while ((at = br_ssl_engine_sendrec_buf(e, &n)) != NULL) {
		ssize_t got = write(net, at, n);
		if (got > 0) {
			br_ssl_engine_sendrec_ack(e, (size_t)got);
		} else if (errno == EAGAIN) {
			struct pollfd p = { net, POLLOUT, 0 };
			poll(&p, 1, -1);
		} else {
			return gave_up(errno == ECONNRESET ? "reset" : strerror(errno));
		}
	}
	return 0;
}

long tls_write(const void *from, size_t n)
{
	size_t room;
	unsigned char *at = br_ssl_engine_sendapp_buf(e, &room);
	if (!at)
		return library_failed();
	if (n > room)
		n = room;
	memcpy(at, from, n);
	br_ssl_engine_sendapp_ack(e, n);
	br_ssl_engine_flush(e, 0);
	return drain() < 0 ? TLS_FAILED : (long)n;
}

int tls_record(int type, const unsigned char *bytes, size_t n)
{
	static unsigned char record[5 + 32 + 20000 + 64];
	size_t start = 5, end = sizeof record, at = 0;
	unsigned char *made;

	if (drain() < 0)
		return TLS_FAILED;
	e->out.vtable->max_plaintext(&e->out.vtable, &start, &end);
	memcpy(record + start, bytes, n);
	made = e->out.vtable->encrypt(&e->out.vtable, type, BR_TLS12, record + start, &n);
	while (at < n) {
		ssize_t got = write(net, made + at, n - at);
		if (got > 0) {
			at += (size_t)got;
		} else if (errno == EAGAIN) {
			struct pollfd p = { net, POLLOUT, 0 };
			poll(&p, 1, -1);
		} else {
			return gave_up(errno == ECONNRESET ? "reset" : strerror(errno));
		}
	}
	return 0;
}

int tls_notify(void)
{
	return tls_record(21, (const unsigned char *)"\1", 2);
}

int tls_rekey(void)
{
	return gave_up("not by this library");
}

int tls_renegotiate(void)
{
	return gave_up("not by this library");
}

const char *tls_words(void)
{
	return "TLSv1.2";
}

const char *tls_why(void)
{
	return why;
}
