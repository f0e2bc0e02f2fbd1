/*
 * A TLS peer that does what its arguments say, step by step, for the tests of ends and alerts. peer.c holds
 * the steps and the TCP side; exactly one of openssl.c, gnutls.c, bearssl.c is linked with it and does the
 * TLS, on a descriptor that does not block.
 */
#ifndef PEER_H
#define PEER_H

#include <stddef.h>

struct peer_setup {
	int server;
	const char *certificate, *key; /* PEM files, servers */
	const char *authorities;       /* PEM file, clients; NULL: believe anybody */
	const char *name;              /* clients: server_name to send and to check; NULL: none */
	int v13; /* $PEER_VERSION=TLSv1.3: speaks that as well (openssl.c, gnutls.c), else TLS 1.2 only */
	const char *twist; /* $PEER_TWIST: something to do wrong in the handshake; "" or what the library knows */
};

enum { TLS_AGAIN_READ = -2, TLS_AGAIN_WRITE = -3, TLS_FAILED = -1 };

void tls_start(int fd, const struct peer_setup *);
/* 0, or one of the above; the same of the next two. */
int tls_handshake(void);
/* Bytes moved; of tls_read 0 is an authentic close_notify. */
long tls_read(void *, size_t);
long tls_write(const void *, size_t);
/* Sends close_notify and goes on receiving. */
int tls_notify(void);
/* Asks for a new handshake. */
int tls_renegotiate(void);
/* New keys for both directions (TLS 1.3: KeyUpdate). */
int tls_rekey(void);
/* A protected record of any type; -1 where the library cannot do that. */
int tls_record(int type, const unsigned char *, size_t);
/* Protocol and suite, after the handshake. */
const char *tls_words(void);
/* After TLS_FAILED: "fin", "reset", "alert NAME", or what the library says. */
const char *tls_why(void);

#endif
