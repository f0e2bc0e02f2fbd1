/*
 * What the files of the OpenSSL engine share. Only public calls of libssl and libcrypto are used; the
 * low-level ones for keys, which 3.0 calls deprecated, because LibreSSL has them too and because they load
 * nothing and fetch nothing.
 */
#ifndef ENGINE_OPENSSL_PRIVATE_H
#define ENGINE_OPENSSL_PRIVATE_H

#define OPENSSL_API_COMPAT 0x10101000L
#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <openssl/ssl.h>
#include "engine/engine.h"

enum {
	WIRE_IN_ROOM = ENGINE_RECORD_MAX,
	WIRE_OUT_ROOM = 3 * ENGINE_RECORD_MAX, /* a full record, and what the library says between two */
	STRAY_MESSAGES_MAX = 32,  /* handshake messages after a TLS 1.3 handshake without data between them */
	LATE_RECORDS_MAX = 64,    /* records of such, which may hold parts of one */
	HANDSHAKES_AFTER_MAX = 4, /* attempts to renegotiate that are answered (TLS 1.2) */
	HANDSHAKE_MESSAGE_MAX =
		1 << 20,          /* the relay bounds the handshake as a whole, with a better word for it */
	RSA_EXPONENT_MAX = 8, /* bytes of a public exponent */
	/* Early data that a client sends for the ticket of another server is skipped up to here (RFC
	 * 8446 4.2.10); the relay bounds the handshake as a whole. */
	EARLY_DATA_SKIPPED_MAX = 256 << 10,
	SECRET_MAX = 64,               /* bytes in a traffic secret: a hash */
	SEALED_ALERT_MAX = 5 + 16 + 64 /* under AES-CBC with SHA-384, the longest */
};

/* What is known of the direction that we send, so that an alert of our own can be sealed (seal.c). */
struct sending {
	bool sealed;      /* records are protected */
	uint64_t records; /* sent under the present key */
	unsigned char handshake[SECRET_MAX],
		application[SECRET_MAX];       /* TLS 1.3: traffic secrets (RFC 8446 7.1) */
	size_t handshake_n, application_n; /* 0: not known yet */
	bool finished;                     /* TLS 1.3: our Finished has gone */
	unsigned char header[5];           /* wire.c: of the record that is being written */
	size_t header_n, left, explicit_n; /* its bytes so far; those of its contents that are to come */
	unsigned char explicit_nonce[8];   /* TLS 1.2, AES-GCM: of the last record (RFC 5288 3) */
};

struct openssl {
	struct engine base;
	const struct engine_setup *setup;
	SSL_CTX *context;
	SSL *ssl;

	/* the record ports (wire.c) and the plain ports (engine.c); all borders inside are at + n <= room */
	unsigned char in[WIRE_IN_ROOM], out[WIRE_OUT_ROOM], plain[ENGINE_PLAIN_MAX], unsealed[ENGINE_PLAIN_MAX];
	size_t in_at, in_n, out_at, out_n, plain_at, plain_n, unsealed_at, unsealed_n;
	bool mute;      /* what the library writes is thrown away: after an end of ours nothing is sent */
	bool fresh;     /* there may be something to decrypt */
	bool heard;     /* the peer has sent something */
	bool blocked;   /* the library waits for room in out */
	bool stalled;   /* what is unsealed cannot be sealed now */
	bool protected; /* TLS 1.2: the peer's ChangeCipherSpec has come */
	struct sending sending;

	/* the peer's chain (peer.c) */
	unsigned char chain_bytes[X509_CHAIN_BYTES];
	struct bytes chain[X509_CHAIN_MAX];
	size_t n_chain;
	struct x509_certificate leaf;
	struct x509_verdict verdict;
	bool presented, chain_too_large, judged;

	/* our own (pair.c) */
	const struct engine_pair *pair; /* the one that was asked for a signature; NULL: none was */
	bool pairs_given;

	const char *alpn; /* application protocol agreed on; NULL: none */

	bool hello_seen; /* servers: the first ClientHello */
	unsigned strays, late_records, late_handshakes;
	const char *refused; /* why we end it while the library would go on; NULL: we do not */
	int refused_alert;

	bool open, peer_closed, failed;
	bool close_due;  /* close_notify is asked for, and waits for room in out */
	int alert;       /* our own; -1: none yet */
	bool alert_sent; /* a fatal one by the library */
	struct engine_failure failure;
};

/* library.c: makes the library ready without its configuration file and without its texts. */
bool library_ready(void);
/* "OpenSSL 3.0.19" */
const char *library_version(void);
/* Whether AES-GCM is quick here. */
bool processor_has_fast_gcm(void);
/* The context of one connection: versions, suites, groups, what is switched off (DESIGN §7). NULL: failed. */
SSL_CTX *library_context(const struct engine_setup *);

/* wire.c: what the library reads from and writes to. NULL: failed. */
BIO *wire_new(struct openssl *);
/* True if so many bytes can be written at once. */
bool wire_has_room(struct openssl *, size_t n);
/* Appends to what goes to the record port, past the library. */
void wire_append(struct openssl *, const unsigned char *, size_t n);

/* watch.c: looks at what the library reads and writes. */
void watch_install(struct openssl *);

/* peer.c: certificates of the peer. */
void peer_install(struct openssl *);
/* The body of a Certificate message (RFC 5246 7.4.2, RFC 8446 4.4.2), before the library reads it. */
void peer_take(struct openssl *, struct bytes message);
/* The verdict on what was taken. */
void peer_judge(struct openssl *);
/* True if it ends the connection. */
bool peer_refused(const struct openssl *);

/* protocol.c: application protocols (RFC 7301). False: the library refused them. */
bool protocol_install(struct openssl *);
/* Once the handshake is complete: what was agreed on. False: a server chose what was not offered. */
bool protocol_note(struct openssl *);

/* pair.c: our own certificate and key; chosen when the peer has said what it wants. */
void pair_install(struct openssl *);

/* seal.c: the record of an alert of our own, protected if that direction is; its length, 0 if it cannot be
 * made. */
size_t seal_alert(struct openssl *, int description, unsigned char out[SEALED_ALERT_MAX]);
/* The next secret after a KeyUpdate of ours. */
void seal_update(struct openssl *);

/*
 * key.c: the scheme of an encoded RSA-PSS block as long as the modulus (RFC 8017 9.1.1, salt as long as the
 * hash); 0 if it is none. Blocks of any other kind must not be signed: that would decrypt, and sign anything.
 */
unsigned key_pss_scheme(struct bytes block, size_t modulus_bits);
/* The hash of a TLS SignatureScheme; NULL for one that is not used here. */
const EVP_MD *key_hash(unsigned scheme);
/* True for those of the list in library.c, which peers are told of. */
bool key_scheme_offered(unsigned scheme);
int key_curve_nid(unsigned curve);

/* failures.c: what the library's error queue means; empties it. */
void failure_describe(struct openssl *);

#endif
