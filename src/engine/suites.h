/*
 * Cipher suites: which there are, by number and by their names, and lists of them in OpenSSL's spelling
 * (CIPHERS, tls-environ(7)). The policy of DESIGN §7 is here, once for all engines.
 */
#ifndef ENGINE_SUITES_H
#define ENGINE_SUITES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What a suite is made of; words for groups of suites are sets of these. */
enum {
	/* the version it came with */
	SUITE_SSL3 = 1 << 0,
	SUITE_TLS1 = 1 << 1,
	SUITE_TLS12 = 1 << 2,
	SUITE_TLS13 = 1 << 3,
	/* key exchange */
	SUITE_ECDHE = 1 << 4,
	SUITE_RSA_EXCHANGE = 1 << 5,
	/* kind of the server's key */
	SUITE_RSA_KEY = 1 << 6,
	SUITE_ECDSA_KEY = 1 << 7,
	/* cipher */
	SUITE_AES128 = 1 << 8,
	SUITE_AES256 = 1 << 9,
	SUITE_CHACHA20 = 1 << 10,
	SUITE_3DES = 1 << 11,
	SUITE_GCM = 1 << 12,
	SUITE_CBC = 1 << 13,
	/* hash of the HMAC that goes with CBC */
	SUITE_SHA1 = 1 << 14,
	SUITE_SHA256 = 1 << 15,
	SUITE_SHA384 = 1 << 16,
	/* used by default, and the only ones that groups can choose (DESIGN §7) */
	SUITE_POLICY = 1 << 17
};

struct suite {
	uint16_t id;                   /* on the wire */
	uint16_t bits, algorithm_bits; /* of the key: strength, and length */
	uint32_t traits;
	const char *name; /* OpenSSL's */
	const char *iana;
};

enum {
	SUITES_MAX = 26,       /* in a list: every suite once */
	SUITES_TEXT_MAX = 4096 /* bytes in the text of one */
};

/* What an engine is like. */
struct suites_engine {
	uint32_t lacks;         /* suites with any of these traits are not there */
	bool (*fast_gcm)(void); /* AES-GCM is quicker than ChaCha20 on this processor */
};

/* A list in order of preference. */
struct suites_list {
	uint16_t ids[SUITES_MAX];
	size_t n;
	size_t n_tls13;   /* the first of them, which are for TLS 1.3; the others for TLS 1.2 */
	bool names_tls13; /* the text chose those for TLS 1.3, which otherwise are all that there are */
};

/* What is wrong with a text. */
struct suites_fault {
	const char *at; /* in the text, n bytes of it */
	size_t n;
	const char *words; /* static: "no cipher suite or group of that name" */
	bool engine;       /* words go on after "the engine NAME" */
};

/* The suite with that number; NULL: none that is ever used. */
const struct suite *suites_find(unsigned id);

/* The default policy: AES-GCM first where that is quick, else ChaCha20. */
void suites_default(const struct suites_engine *, struct suites_list *);

/*
 * Reads a list as openssl-ciphers(1) has it: names of suites (OpenSSL's and IANA's), words for groups, A+B,
 * -,
 * +, !, @STRENGTH, @SECLEVEL; tls-environ(7) says where it differs. False: *fault says what and why. A list
 * may come out empty.
 */
bool suites_read(
	const char *text, const struct suites_engine *, struct suites_list *, struct suites_fault *fault);

#endif
