/*
 * What the files of the BearSSL engine share. Only documented calls and types of the library are used, with
 * one exception: the record hooks find their connection from the addresses of the engine context's members in
 * and out (records.c).
 */
#ifndef ENGINE_BEARSSL_PRIVATE_H
#define ENGINE_BEARSSL_PRIVATE_H

#include <bearssl/bearssl.h>
#include "engine/engine.h"

enum {
	ALERT_RECORD_ROOM = 128, /* a two-byte alert under any suite, header included, is at most 85 bytes */
	STRAY_RECORDS_MAX = 32,  /* empty records and warning alerts in a row that are put up with */
	HANDSHAKES_AFTER_MAX =
		4, /* handshake records after the handshake (attempts to renegotiate) that are answered */
	RSA_BYTES_MAX = 512, /* of a modulus: the largest the library takes */
	RSA_EXPONENT_MAX = 8 /* bytes of a public exponent */
};

/* The peer's chain, collected while the library hands it over piece by piece. */
struct peer_chain {
	const br_x509_class *vtable; /* first, as the library wants it */
	unsigned char bytes[X509_CHAIN_BYTES];
	size_t used;
	struct bytes certificates[X509_CHAIN_MAX];
	size_t n;
	bool too_large;
	struct x509_certificate leaf;
	br_x509_pkey key; /* points into bytes */
	struct x509_verdict verdict;
	bool refused; /* a chain was presented and not accepted: the connection has failed */
};

struct bearssl {
	struct engine base;
	const struct engine_setup *setup;
	union {
		br_ssl_engine_context engine;
		br_ssl_server_context server;
		br_ssl_client_context client;
	} tls;
	unsigned char in_buffer[BR_SSL_BUFSIZE_INPUT];
	unsigned char out_buffer[BR_SSL_BUFSIZE_OUTPUT];

	/* server: what was chosen */
	const br_ssl_server_policy_class *policy;
	const struct engine_pair *pair; /* client: what it presents; NULL: nothing */
	br_x509_certificate chain[X509_CHAIN_MAX];
	br_x500_name ca_names[ENGINE_CA_NAMES_MAX];

	/* client: presents pair if the server asks */
	const br_ssl_client_certificate_class *client_certificate;

	struct peer_chain peer;

	/* record hooks: the protected directions as soon as they are, NULL before */
	const br_sslrec_in_class **in;
	const br_sslrec_out_class **out;
	const br_sslrec_in_class *in_class; /* the library's own methods */
	unsigned char alert_level;          /* of an alert whose description has not come yet; 0: none */
	unsigned stray_records;
	unsigned late_handshakes;
	bool peer_closed;
	const char *record_refused; /* why a record was refused by the hooks; NULL: it was not */
	int record_alert;

	/* our own alert */
	int alert;        /* description; -1: none asked for */
	bool alert_built; /* it is in alert_record */
	unsigned char alert_record[ALERT_RECORD_ROOM];
	const unsigned char *alert_at;
	size_t alert_left;

	bool sign_failed; /* there is no signature by our own key */
	bool sha1_due; /* to be registered once it can no longer be offered for signatures */
	bool open;
	bool failed;
	struct engine_failure failure;
};

/* records.c: hands the library record classes that tell us what they see. */
void records_install(struct bearssl *);
/* Builds the record of our alert, protected if that direction is, in alert_record. */
void records_build_alert(struct bearssl *, int level, int description);

/* peer.c: the library's view of certificate validation. */
void peer_install(struct bearssl *);

/* client_certificate.c: what a server that asks for a certificate is given. */
void client_certificate_install(struct bearssl *);
/* engine.c: the library's view of the chain of pair. */
void engine_list_chain(struct bearssl *);

/* suites.c */
bool processor_has_fast_gcm(void);
void suites_install(struct bearssl *);
/* Registers SHA-1 if a suite of the list has it: when all is said on which hashes are for signatures, before
 * keys are made. */
void suites_add_sha1(struct bearssl *);
/* The hash for a signature with this key, out of a mask of those that the peer takes (RSA: bit = hash, ECDSA:
 * bit = 8 + hash); 0: none. */
unsigned suites_choose_hash(uint32_t hashes, const struct x509_public_key *);
/* The suite and scheme for a server with this key; false: nothing in common. */
bool suites_choose(const struct engine_setup *, const br_ssl_server_context *, const struct x509_public_key *,
	br_ssl_server_choices *);

/* key.c: a public key in the library's form, pointing where key points; false for kinds that it cannot use.
 */
bool key_in_library_form(const struct x509_public_key *key, br_x509_pkey *out);

/* burn.c: overwrites what the library, called just before, has left on the stack. */
void burn_stack(void);

/* failures.c: what an error number of the library means. */
void failure_describe(int code, struct engine_failure *);

#endif
