/* The TLS of peer.c by OpenSSL. */
#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "peer.h"

static SSL *ssl;
static char why[200];

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

void tls_start(int fd, const struct peer_setup *setup)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_method());

	if (!ctx || !SSL_CTX_set_max_proto_version(ctx, TLS1_2_VERSION))
		abort();
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

long tls_write(const void *from, size_t n)
{
	int got;
	ERR_clear_error();
	errno = 0;
	got = SSL_write(ssl, from, (int)n);
	return got > 0 ? got : failed(got);
}

int tls_notify(void)
{
	int got;
	ERR_clear_error();
	got = SSL_shutdown(ssl);
	return got >= 0 ? 0 : failed(got) == TLS_FAILED ? -1 : 0;
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

int tls_record(int type, const unsigned char *bytes, size_t n)
{
	(void)type, (void)bytes, (void)n;
	snprintf(why, sizeof why, "not by this library");
	return -1;
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
