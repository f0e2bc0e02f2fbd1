/*
 * What a TLS engine is to the rest: a state machine between four ports, without input or output of its own,
 * without a clock, and without allocation per record. The relay moves the bytes; the engine turns records
 * into cleartext and back. A program is linked with exactly one engine.
 */
#ifndef ENGINE_H
#define ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "engine/suites.h"
#include "x509/x509.h"

enum {
	ENGINE_RECORD_MAX = 5 + 16384 + 2048, /* a record with its header (RFC 5246 6.2.3) */
	ENGINE_PLAIN_MAX = 16384,             /* cleartext in one record */
	ENGINE_ALPN_MAX = 16,                 /* application protocols */
	ENGINE_CA_NAMES_MAX = 1024,           /* names of CAs that a server sends */
	ENGINE_CA_NAMES_BYTES = 60000         /* and bytes in all of them (RFC 5246 7.4.4 has room for 65535) */
};

/* Protocol versions by their number on the wire (RFC 5246 A.1, RFC 8446 4.2.1). */
enum { ENGINE_TLS12 = 0x0303, ENGINE_TLS13 = 0x0304 };

/* Alert descriptions that are sent by name (RFC 5246 7.2, RFC 6066, RFC 7301). */
enum {
	ALERT_CLOSE_NOTIFY = 0,
	ALERT_UNEXPECTED_MESSAGE = 10,
	ALERT_BAD_RECORD_MAC = 20,
	ALERT_RECORD_OVERFLOW = 22,
	ALERT_HANDSHAKE_FAILURE = 40,
	ALERT_BAD_CERTIFICATE = X509_ALERT_BAD_CERTIFICATE,
	ALERT_UNSUPPORTED_CERTIFICATE = X509_ALERT_UNSUPPORTED_CERTIFICATE,
	ALERT_CERTIFICATE_EXPIRED = X509_ALERT_CERTIFICATE_EXPIRED,
	ALERT_CERTIFICATE_REVOKED = X509_ALERT_CERTIFICATE_REVOKED,
	ALERT_CERTIFICATE_UNKNOWN = X509_ALERT_CERTIFICATE_UNKNOWN,
	ALERT_ILLEGAL_PARAMETER = 47,
	ALERT_UNKNOWN_CA = X509_ALERT_UNKNOWN_CA,
	ALERT_DECODE_ERROR = 50,
	ALERT_DECRYPT_ERROR = 51,
	ALERT_PROTOCOL_VERSION = 70,
	ALERT_INTERNAL_ERROR = 80,
	ALERT_USER_CANCELED = 90,
	ALERT_UNSUPPORTED_EXTENSION = 110,
	ALERT_UNRECOGNIZED_NAME = 112,
	ALERT_NO_APPLICATION_PROTOCOL = 120
};

/* The RFC's name of an alert description ("unknown_ca"), "unknown alert" for a number without one. */
const char *engine_alert_name(int description);

/* Status bits; once set they stay. */
enum {
	ENGINE_OPEN = 1,        /* the handshake is complete and the peer was accepted */
	ENGINE_PEER_CLOSED = 2, /* the peer's authenticated close_notify came; nothing more is to be fed */
	ENGINE_SELF_CLOSED = 4, /* our close_notify went to the record port; no cleartext is taken any more */
	ENGINE_FAILED = 8 /* see failure(); the only thing left is to send what the record port still gives */
};

/* A server's certificate chain and the key that belongs to its first certificate. */
struct engine_pair {
	const struct bytes *chain; /* DER, leaf first */
	size_t n;
	struct x509_public_key key; /* of the leaf */
	void *holder;               /* whatever sign() needs to find the private key */
};

/* What is to be signed. */
struct engine_to_sign {
	unsigned scheme; /* TLS SignatureScheme (RFC 8446 4.2.3: 0x0403 …) */
	bool hashed; /* text is the hash already (RSA-PSS: or the whole encoded block, as long as the modulus);
				  * else the message itself */
	struct bytes text;
};

struct engine_calls {
	void *context;
	/*
	 * The pairs to choose from, at most one for each kind of key, from the 0th on; NULL: there are no more.
	 * Servers ask when the relay has seen the ClientHello, and use the first that the client can do with: if
	 * there is none, the handshake fails. Clients ask when the server wants a certificate, and present none
	 * where there is none that it can do with.
	 */
	const struct engine_pair *(*pair)(void *context, size_t nth);
	/*
	 * Signs with the key of pair. Returns the length of the signature put into out (room bytes, which may
	 * overlap the text), 0 if it cannot be done.
	 */
	size_t (*sign)(void *context, const struct engine_pair *pair, const struct engine_to_sign *what,
		unsigned char *out, size_t room);
	/*
	 * Servers, for suites with RSA key exchange: decrypts n bytes in place with the key of pair (RFC 5246
	 * 7.4.7.1). 1: the first 48 are the premaster secret, 0: they are not. Takes the same time either way;
	 * the caller goes on with random bytes, and must not let it be seen.
	 */
	uint32_t (*decrypt)(void *context, const struct engine_pair *pair, unsigned char *bytes, size_t n);
	/* Servers: the second ClientHello, where the client was asked for one (RFC 8446 4.1.4), without the header
	 * of its message, before it is acted upon. NULL, or why it is refused, with illegal_parameter. */
	const char *(*hello_again)(void *context, struct bytes message);
	/* Judges the peer's chain as presented (DER, 1..X509_CHAIN_MAX certificates), which stays until wipe().
	 */
	void (*judge)(void *context, const struct bytes *chain, size_t n, struct x509_verdict *verdict);
};

/* Servers: what is asked of clients. */
enum engine_asking {
	ENGINE_ASK_NOTHING,
	ENGINE_ASK,         /* for a certificate: none, or one that judge() accepts */
	ENGINE_ASK_ANYBODY, /* likewise, but one that judge() refuses only counts as none, see facts */
	ENGINE_DEMAND       /* one that judge() accepts */
};

struct engine_setup {
	bool client;
	unsigned oldest,
		newest; /* protocol versions, within those of the engine: ENGINE_TLS12 .. class->newest */
	const struct suites_list *suites; /* in order of preference, none that class->suites lacks */
	bool chacha_by_client;            /* servers: a client whose first suite is ChaCha20 gets ChaCha20 */
	const char *send_name;            /* clients: server_name extension (RFC 6066 3); NULL: do not send one */
	/* Application protocols (RFC 7301) in the order of preference, 1 to 255 bytes each: what a client offers,
	 * or a server agrees to. None: the extension is neither sent nor answered. */
	const char *const *alpn;
	size_t n_alpn;
	/* Servers: whether a certificate is asked for; names of CAs to send, each a DER Name. */
	enum engine_asking asking;
	const struct bytes *ca_names;
	size_t n_ca_names;
	struct engine_calls calls;
};

/* What a completed handshake agreed upon. Strings are static or the engine's. */
struct engine_facts {
	const char *protocol;       /* "TLSv1.2" */
	const char *cipher;         /* OpenSSL's name of the suite */
	unsigned cipher_bits;       /* of secret key, by its strength */
	unsigned cipher_key_bits;   /* by its length */
	const char *implementation; /* "BearSSL 0.6" */
	struct bytes session_id;
	const char *alpn;                   /* application protocol agreed on, one of the setup's; NULL: none */
	const struct engine_pair *own_pair; /* what we presented; NULL: nothing */
	const struct bytes *peer_chain;     /* as presented; n_peer_chain 0: none */
	size_t n_peer_chain;
	const struct x509_verdict *refused; /* ENGINE_ASK_ANYBODY: on a chain that was presented and then passed
										 * over; NULL: there was none */
};

struct engine_failure {
	bool setup;         /* the engine could not be set up: nothing was sent */
	int code;           /* the library's number, for the log */
	int alert_due;      /* alert that should be sent now; -1: none */
	int alert_received; /* alert that the peer sent; -1: none */
	const char *words;  /* static */
};

struct engine;

struct engine_class {
	const char *name; /* "bearssl" */
	unsigned newest;  /* protocol version that it speaks; all speak ENGINE_TLS12 */
	struct suites_engine suites;

	/* Gets ready for one connection. False: failure() says why. The setup must outlive the connection. */
	bool (*start)(struct engine *, const struct engine_setup *);

	/*
	 * The four ports. *_in: where bytes may be put and how many (NULL: none wanted now); *_out: bytes that
	 * are ready (NULL: none). The pointers hold until the next call of any function here. *_moved: n of them
	 * were put there or taken. Records: as on the wire, in pieces of any size. Plain: cleartext; what was put
	 * is sealed by flush or when a record is full.
	 */
	unsigned char *(*record_in)(struct engine *, size_t *room);
	void (*record_in_moved)(struct engine *, size_t n);
	const unsigned char *(*record_out)(struct engine *, size_t *n);
	void (*record_out_moved)(struct engine *, size_t n);
	unsigned char *(*plain_in)(struct engine *, size_t *room);
	void (*plain_in_moved)(struct engine *, size_t n);
	const unsigned char *(*plain_out)(struct engine *, size_t *n);
	void (*plain_out_moved)(struct engine *, size_t n);

	/* Seals what plain_in took into a record at once. */
	void (*flush)(struct engine *);

	unsigned (*status)(struct engine *);

	/*
	 * Sends an alert behind everything sealed so far. ALERT_CLOSE_NOTIFY goes out as a warning, seals what
	 * plain_in took first, and leaves receiving open; it is refused (false) before ENGINE_OPEN. Every other
	 * is fatal and ends the connection in both directions. Nothing is sent after the first of either kind.
	 */
	bool (*alert)(struct engine *, int description);

	void (*facts)(struct engine *, struct engine_facts *);    /* after ENGINE_OPEN */
	const struct engine_failure *(*failure)(struct engine *); /* after ENGINE_FAILED */
	void (*wipe)(struct engine *);                            /* overwrites every secret */
};

struct engine {
	const struct engine_class *class;
};

/* The engine that this program was linked with; there is one connection a process. */
struct engine *engine_of_program(void);

/* ---- keys: signing and what else needs primitives, provided by each engine's folder ---- */

/* True if the private key can be used for signing at all and, computed, belongs to the public key. */
bool engine_key_fits(const struct x509_private_key *key, const struct x509_public_key *public_key);

/* sign() of struct engine_calls for a key in memory. */
size_t engine_key_sign(
	const struct x509_private_key *key, const struct engine_to_sign *what, unsigned char *out, size_t room);

/* What x509_read_private_key needs for encrypted keys. */
extern const struct x509_decryption engine_decryption;

/* decrypt() of struct engine_calls for a key in memory; 0 in engines that lack SUITE_RSA_EXCHANGE. */
uint32_t engine_key_decrypt(const struct x509_private_key *key, unsigned char *bytes, size_t n);

/* SHA-256 of some bytes. */
void engine_sha256(struct bytes what, unsigned char out[32]);

/*
 * check_signature of struct x509_trust: RSASSA-PKCS1-v1_5 and ECDSA with SHA-2. False, too, for keys that the
 * library cannot use.
 */
bool engine_check_signature(
	const struct x509_public_key *key, enum x509_signature kind, struct bytes text, struct bytes signature);

enum { ENGINE_HASH_MAX = 64 };

/* The hash that such a signature is made of; its length, 0 for kinds without SHA-2. */
size_t engine_hash(enum x509_signature kind, struct bytes text, unsigned char out[ENGINE_HASH_MAX]);

/* check_hashed of struct x509_trust. */
bool engine_check_hashed(const struct x509_public_key *key, enum x509_signature kind, struct bytes digest,
	struct bytes signature);

/* ---- new keys: in BearSSL's folder alone, for tlscert ---- */

enum {
	ENGINE_NEW_RSA_BITS_MAX = 4096,
	ENGINE_NEW_PRIVATE_BYTES = 5 * (ENGINE_NEW_RSA_BITS_MAX + 15) / 16, /* five numbers of half the size */
	ENGINE_NEW_PUBLIC_BYTES = 4 + (ENGINE_NEW_RSA_BITS_MAX + 7) / 8,
	ENGINE_NEW_PEM_BYTES = 3584
};

/* A key pair; what is in it points into itself, so it must not be copied. Wipe it whole. */
struct engine_new_key {
	struct x509_private_key private;
	struct x509_public_key public;
	unsigned char pem[ENGINE_NEW_PEM_BYTES]; /* the private key: "PRIVATE KEY" (RFC 5958) */
	size_t pem_n;
	unsigned char private_numbers[ENGINE_NEW_PRIVATE_BYTES];
	unsigned char public_numbers[ENGINE_NEW_PUBLIC_BYTES];
};

/*
 * Makes a key on a curve (X509_P256 …) or, with curve 0, an RSA key of so many bits with the public exponent
 * 65537. Takes seconds for large ones. The randomness is the system's. False, with *key wiped: errno if there
 * is none, 0 there if the library cannot do it.
 */
bool engine_generate_key(struct engine_new_key *key, unsigned curve, unsigned rsa_bits);

/* At most 256 bytes of the system's randomness. False with errno if there is none. */
bool engine_random(void *out, size_t n);

#endif
