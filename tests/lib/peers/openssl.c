/*
 * The TLS of peer.c by OpenSSL. With TLS 1.3 records can be made by hand; after the first of them all records
 * are, as the library does not know of it. Twists: ems   no handshake without extended master secret (RFC
 * 7627); hello WORD   a client that offers h2 and is asked for a second ClientHello (RFC 8446 4.1.2), which
 * differs in that word: see second_hello
 */
#include <errno.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "peer.h"

enum { HANDSHAKE = 22, APPLICATION_DATA = 23, SERVER_HELLO = 2, FINISHED = 20, KEY_UPDATE = 24, TAG = 16, NONCE = 12 };

static SSL *ssl;
static char why[200];
static int net, by_hand, demands_ems;
static const char *second_word;

/* Our sending side of TLS 1.3: the secret of the application's traffic, and records sent with its keys. */
static struct {
	const char *label;
	unsigned char secret[EVP_MAX_MD_SIZE];
	size_t n;
	uint64_t records;
} sending;

static int failed(int got)
{
	int kind = SSL_get_error(ssl, got), system_error = errno;
	unsigned long code;

	if (kind == SSL_ERROR_WANT_READ)
		return TLS_AGAIN_READ;
	if (kind == SSL_ERROR_WANT_WRITE)
		return TLS_AGAIN_WRITE;
	code = ERR_peek_error();
	if (kind == SSL_ERROR_ZERO_RETURN)
		snprintf(why, sizeof why, "close_notify");
	else if (code && ERR_GET_REASON(code) == SSL_R_UNEXPECTED_EOF_WHILE_READING)
		snprintf(why, sizeof why, "fin");
	else if (code && ERR_GET_LIB(code) == ERR_LIB_SSL && ERR_GET_REASON(code) > SSL_AD_REASON_OFFSET)
		snprintf(why, sizeof why, "alert %d", ERR_GET_REASON(code) - SSL_AD_REASON_OFFSET);
	else if (code && !ERR_SYSTEM_ERROR(code))
		snprintf(why, sizeof why, "%s", ERR_reason_error_string(code));
	else if (system_error == ECONNRESET)
		snprintf(why, sizeof why, "reset");
	else
		snprintf(why, sizeof why, "%s", system_error ? strerror(system_error) : "fin");
	ERR_clear_error();
	return TLS_FAILED;
}

static void on_secret(const SSL *unused, const char *line)
{
	const char *hex = strrchr(line, ' ');
	unsigned byte;

	(void)unused;
	if (!hex || strncmp(line, sending.label, strlen(sending.label)))
		return;
	for (hex++, sending.n = 0; sscanf(hex, "%2x", &byte) == 1 && sending.n < sizeof sending.secret; hex += 2)
		sending.secret[sending.n++] = (unsigned char)byte;
}

/* What the second ClientHello says other than the first. The library writes it from what is set when it comes. */
static void second_hello(SSL *client, const char *word)
{
	static const unsigned char other[] = "\2h2\3foo";

	if (!strcmp(word, "name"))
		SSL_set_tlsext_host_name(client, "other.test");
	else if (!strcmp(word, "no-name"))
		SSL_set_tlsext_host_name(client, NULL);
	else if (!strcmp(word, "protocols"))
		SSL_set_alpn_protos(client, other, sizeof other - 1);
	else if (!strcmp(word, "no-protocols"))
		SSL_set_alpn_protos(client, NULL, 0);
	else if (!strcmp(word, "suites"))
		SSL_set_ciphersuites(client, "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256");
	else if (!strcmp(word, "signatures"))
		SSL_set1_sigalgs_list(client, "ECDSA+SHA256:RSA+SHA256:rsa_pss_rsae_sha256");
	else if (!strcmp(word, "groups"))
		SSL_set1_groups_list(client, "X448:P-256");
}

static void on_message(int sent, int version, int type, const void *bytes, size_t n, SSL *connection, void *also)
{
	const unsigned char *at = bytes;

	(void)version, (void)also;
	if (!sent && n && type == HANDSHAKE && at[0] == SERVER_HELLO && second_word) {
		second_hello(connection, second_word);
		second_word = NULL;
	}
	if (!sent || !n)
		return;
	if (type == SSL3_RT_HEADER && at[0] == APPLICATION_DATA)
		sending.records++;
	else if (type == HANDSHAKE && at[0] == FINISHED)
		sending.records = 0; /* the next keys (RFC 8446 7.1) */
}

/* A server sees it in the ClientHello; a client can ask the library only afterwards. */
static int hello_with_ems(SSL *server, int *alert, void *unused)
{
	const unsigned char *at;
	size_t n;

	(void)unused;
	*alert = SSL_AD_HANDSHAKE_FAILURE;
	return SSL_client_hello_get0_ext(server, TLSEXT_TYPE_extended_master_secret, &at, &n)
			   ? SSL_CLIENT_HELLO_SUCCESS
			   : SSL_CLIENT_HELLO_ERROR;
}

void tls_start(int fd, const struct peer_setup *setup)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_method());

	if (!ctx || !SSL_CTX_set_max_proto_version(ctx, setup->v13 ? TLS1_3_VERSION : TLS1_2_VERSION))
		abort();
	net = fd;
	sending.label = setup->server ? "SERVER_TRAFFIC_SECRET_0 " : "CLIENT_TRAFFIC_SECRET_0 ";
	SSL_CTX_set_keylog_callback(ctx, on_secret);
	SSL_CTX_set_msg_callback(ctx, on_message);
	SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_clear_mode(ctx, SSL_MODE_AUTO_RETRY);
	if (setup->server && (SSL_CTX_use_certificate_chain_file(ctx, setup->certificate) != 1 ||
							 SSL_CTX_use_PrivateKey_file(ctx, setup->key, SSL_FILETYPE_PEM) != 1))
		abort();
	if (setup->authorities) {
		SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
		if (SSL_CTX_load_verify_locations(ctx, setup->authorities, NULL) != 1)
			abort();
	}
	if (!strcmp(setup->twist, "ems")) {
		demands_ems = 1;
		SSL_CTX_set_client_hello_cb(ctx, hello_with_ems, NULL);
	}
	if (!strncmp(setup->twist, "hello ", 6)) {
		second_word = setup->twist + 6;
		if (SSL_CTX_set1_groups_list(ctx, "X448:P-256:P-384") != 1 ||
			SSL_CTX_set_alpn_protos(ctx, (const unsigned char *)"\2h2", 3) != 0)
			abort();
	}
	ssl = SSL_new(ctx);
	if (!ssl || SSL_set_fd(ssl, fd) != 1)
		abort();
	if (setup->name &&
		(SSL_set_tlsext_host_name(ssl, setup->name) != 1 || SSL_set1_host(ssl, setup->name) != 1))
		abort();
	if (setup->server)
		SSL_set_accept_state(ssl);
	else
		SSL_set_connect_state(ssl);
}

int tls_handshake(void)
{
	int got;
	ERR_clear_error();
	errno = 0;
	got = SSL_do_handshake(ssl);
	if (got == 1 && demands_ems && SSL_get_extms_support(ssl) != 1) {
		snprintf(why, sizeof why, "no extended master secret");
		return TLS_FAILED;
	}
	return got == 1 ? 0 : failed(got);
}

long tls_read(void *to, size_t room)
{
	int got;
	ERR_clear_error();
	errno = 0;
	got = SSL_read(ssl, to, (int)room);
	if (got > 0)
		return got;
	if (SSL_get_error(ssl, got) == SSL_ERROR_ZERO_RETURN)
		return 0;
	return failed(got);
}

static int gave_up(const char *words)
{
	snprintf(why, sizeof why, "%s", words);
	return TLS_FAILED;
}

/* HKDF-Expand-Label without context (RFC 8446 7.1), at most one block of the hash. */
static void expand(const char *label, unsigned char *out, size_t n)
{
	const EVP_MD *hash = SSL_CIPHER_get_handshake_digest(SSL_get_current_cipher(ssl));
	unsigned char info[64], block[EVP_MAX_MD_SIZE];
	int at = snprintf(
		(char *)info, sizeof info, "%c%c%ctls13 %s%c\1", 0, (int)n, (int)strlen(label) + 6, label, 0);

	if (!HMAC(hash, sending.secret, (int)sending.n, info, (size_t)at, block, NULL))
		abort();
	memcpy(out, block, n);
}

/* The record of RFC 8446 5.2; returns its length. */
static size_t seal(int type, const unsigned char *bytes, size_t n, unsigned char *record)
{
	static unsigned char inner[20001];
	int nid = SSL_CIPHER_get_cipher_nid(SSL_get_current_cipher(ssl)), moved;
	const EVP_CIPHER *cipher = nid == NID_aes_128_gcm   ? EVP_aes_128_gcm()
							   : nid == NID_aes_256_gcm ? EVP_aes_256_gcm()
														: EVP_chacha20_poly1305();
	EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
	unsigned char key[32], nonce[NONCE];
	size_t whole = n + 1 + TAG;

	memcpy(record,
		(unsigned char[]){ APPLICATION_DATA, 3, 3, (unsigned char)(whole >> 8), (unsigned char)whole }, 5);
	memcpy(inner, bytes, n);
	inner[n] = (unsigned char)type;
	expand("key", key, (size_t)EVP_CIPHER_key_length(cipher));
	expand("iv", nonce, NONCE);
	for (int i = 0; i < 8; i++)
		nonce[NONCE - 1 - i] ^= (unsigned char)(sending.records >> 8 * i);
	sending.records++;
	if (!c || !EVP_EncryptInit_ex(c, cipher, NULL, key, nonce) ||
		!EVP_EncryptUpdate(c, NULL, &moved, record, 5) ||
		!EVP_EncryptUpdate(c, record + 5, &moved, inner, (int)n + 1) ||
		!EVP_EncryptFinal_ex(c, inner, &moved) ||
		!EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_GET_TAG, TAG, record + 5 + n + 1))
		abort();
	EVP_CIPHER_CTX_free(c);
	return 5 + whole;
}

int tls_record(int type, const unsigned char *bytes, size_t n)
{
	static unsigned char record[5 + 20000 + 1 + TAG];
	size_t at = 0, whole;

	if (SSL_version(ssl) != TLS1_3_VERSION || n > 20000)
		return gave_up("not by this library");
	by_hand = 1;
	whole = seal(type, bytes, n, record);
	while (at < whole) {
		ssize_t got = write(net, record + at, whole - at);
		if (got > 0) {
			at += (size_t)got;
		} else if (errno == EAGAIN) {
			struct pollfd p = { net, POLLOUT, 0 };
			poll(&p, 1, -1);
		} else {
			return gave_up(errno == ECONNRESET ? "reset" : strerror(errno));
		}
	}
	if (type == HANDSHAKE && n && bytes[0] == KEY_UPDATE) {
		expand("traffic upd", sending.secret, sending.n);
		sending.records = 0;
	}
	return 0;
}

long tls_write(const void *from, size_t n)
{
	int got;
	if (by_hand) {
		n = n < 16384 ? n : 16384;
		return tls_record(APPLICATION_DATA, from, n) < 0 ? TLS_FAILED : (long)n;
	}
	ERR_clear_error();
	errno = 0;
	got = SSL_write(ssl, from, (int)n);
	return got > 0 ? got : failed(got);
}

int tls_notify(void)
{
	int got;
	if (by_hand)
		return tls_record(21, (const unsigned char *)"\1", 2);
	ERR_clear_error();
	got = SSL_shutdown(ssl);
	return got >= 0 ? 0 : failed(got) == TLS_FAILED ? -1 : 0;
}

int tls_rekey(void)
{
	if (SSL_key_update(ssl, SSL_KEY_UPDATE_REQUESTED) != 1)
		return gave_up("refused by the library");
	return tls_handshake() == TLS_FAILED ? TLS_FAILED : 0;
}

int tls_renegotiate(void)
{
	char byte;
	if (SSL_renegotiate(ssl) != 1)
		return snprintf(why, sizeof why, "refused by the library"), -1;
	for (;;) {
		int got = tls_handshake();
		if (got == TLS_FAILED)
			return -1;
		if (got == 0)
			return 0;
		if (tls_read(&byte, 0) == TLS_FAILED)
			return -1;
	}
}

const char *tls_words(void)
{
	static char words[100];
	snprintf(words, sizeof words, "%s %s", SSL_get_version(ssl), SSL_get_cipher_name(ssl));
	return words;
}

const char *tls_why(void)
{
	return why;
}
