/*
 * Certificates, names and keys: PEM and DER readers that borrow and never copy, certificate files and trust
 * anchors, and what a certificate says in words. No network, no clock, no TLS library: hash and signature
 * functions belong to the engines.
 *
 * Everything of type struct bytes points into memory of somebody else, named at each function.
 */
#ifndef X509_H
#define X509_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bytes {
	const unsigned char *at;
	size_t n;
};

/* True if both have the same length and content. */
bool bytes_equal(struct bytes a, struct bytes b);

/* Why something could not be read or understood. */
struct x509_problem {
	const char
		*reason; /* words without a full stop, never NULL after a failure; static, or strerror(errnum) */
	int errnum;  /* errno of a failed system call, else 0 */
};

/* ---- DER (ITU-T X.690, definite lengths in their shortest form only) ---- */

enum {
	DER_BOOLEAN = 0x01,
	DER_INTEGER = 0x02,
	DER_BIT_STRING = 0x03,
	DER_OCTET_STRING = 0x04,
	DER_NULL = 0x05,
	DER_OID = 0x06,
	DER_UTF8_STRING = 0x0c,
	DER_SEQUENCE = 0x30,
	DER_SET = 0x31,
	DER_PRINTABLE_STRING = 0x13,
	DER_T61_STRING = 0x14,
	DER_IA5_STRING = 0x16,
	DER_UTC_TIME = 0x17,
	DER_GENERALIZED_TIME = 0x18,
	DER_UNIVERSAL_STRING = 0x1c,
	DER_BMP_STRING = 0x1e
};

/*
 * Takes one element off the front of *in. On success *tag is its identifier octet, *content its contents, *in
 * what follows it. False, with *in unchanged, if there is no complete element, the tag needs more than one
 * octet, or the length is indefinite, not in its shortest form, or longer than what is there.
 */
bool der_next(struct bytes *in, unsigned *tag, struct bytes *content);

/* The same, and false unless the tag is the one asked for. */
bool der_take(struct bytes *in, unsigned tag, struct bytes *content);

/* Like der_take, but *whole is the element with its header. */
bool der_take_whole(struct bytes *in, unsigned tag, struct bytes *whole);

/* A non-negative INTEGER that fits: false if negative, longer than needed, or too large. */
bool der_take_uint(struct bytes *in, uint64_t *value);

/* UTCTime or GeneralizedTime as RFC 5280 4.1.2.5 has them (Zulu, seconds, no fraction), as unix seconds. */
bool der_take_time(struct bytes *in, int64_t *unix_seconds);

/* ---- DER, written from its end to its beginning ---- */

/*
 * Where DER is put: each call puts something in front of what is there. What does not fit sets overflow,
 * after which nothing is put any more; look at it once, when all is written.
 */
struct der_writer {
	unsigned char *at;
	size_t room, begin; /* what is written are the bytes from begin to room */
	bool overflow;
};

/* A writer into memory of somebody else. */
struct der_writer der_write_into(void *memory, size_t room);

/* What is there so far, in the writer's memory. */
struct bytes der_written(const struct der_writer *w);

void der_put(struct der_writer *w, const void *bytes, size_t n);
void der_put_byte(struct der_writer *w, unsigned byte);

/* Makes all that was put since w->begin was end the contents of one element. */
void der_wrap(struct der_writer *w, unsigned tag, size_t end);

/* The same as a BIT STRING of whole bytes. */
void der_wrap_in_bits(struct der_writer *w, size_t end);

void der_put_element(struct der_writer *w, unsigned tag, const void *content, size_t n);

/* An INTEGER from a big-endian magnitude, whose leading zeros do not count; an empty one is 0. */
void der_put_positive(struct der_writer *w, struct bytes number);

/* UTCTime from 1950 to 2049, else GeneralizedTime (RFC 5280 4.1.2.5). Years beyond 0..9999 are an overflow.
 */
void der_put_time(struct der_writer *w, int64_t unix_seconds);

/* ---- PEM (RFC 7468, lax about what stands outside the blocks and about line ends) ---- */

struct pem_block {
	struct bytes label;    /* "CERTIFICATE", "RSA PRIVATE KEY", … */
	struct bytes content;  /* decoded */
	bool encrypted;        /* has a Proc-Type header that says ENCRYPTED; content is then the cipher text */
	struct bytes dek_info; /* what the header DEK-Info says of the cipher (RFC 1421 4.6.1.3); empty if none */
};

/*
 * Finds the next block in text[*offset..n) and decodes it in place, so text is overwritten where its base64
 * stood. 1: *block is filled and *offset stands behind it; 0: no further block; -1: a block that does not end
 * or is not base64, *problem says which, and *offset has moved on to where it went wrong, so that one may
 * look for the next block.
 */
int pem_next(
	unsigned char *text, size_t n, size_t *offset, struct pem_block *block, struct x509_problem *problem);

/* True if the block has exactly this label. */
bool pem_is(const struct pem_block *block, const char *label);

/* ---- one certificate (RFC 5280 4.1) ---- */

enum x509_key_kind { X509_KEY_OTHER, X509_KEY_RSA, X509_KEY_EC };

/* Named curves by their TLS number (RFC 8422 5.1.1). */
enum { X509_P256 = 23, X509_P384 = 24, X509_P521 = 25 };

struct x509_public_key {
	enum x509_key_kind kind;
	struct bytes modulus;  /* RSA: big-endian, no leading zero */
	struct bytes exponent; /* RSA: likewise */
	unsigned curve;        /* EC: X509_P256 …; 0 for a curve without a number here */
	struct bytes point;    /* EC: uncompressed, 04 X Y */
	struct bytes algorithm_oid;
};

/* What a certificate is signed with; all that path validation takes, and what it has words for. */
enum x509_signature {
	X509_SIGNED_OTHERWISE,
	X509_RSA_SHA1,   /* or MD5: refused */
	X509_RSA_SHA256, /* RSASSA-PKCS1-v1_5 (RFC 8017 8.2) */
	X509_RSA_SHA384,
	X509_RSA_SHA512,
	X509_ECDSA_SHA1,   /* refused */
	X509_ECDSA_SHA256, /* with the curve of the key, whichever it is */
	X509_ECDSA_SHA384,
	X509_ECDSA_SHA512
};

/* SubjectPublicKeyInfo of an RSA key or one on a curve that has a number here. */
void x509_put_public_key(struct der_writer *w, const struct x509_public_key *key);

/* AlgorithmIdentifier of any signature but X509_SIGNED_OTHERWISE. */
void x509_put_signature_algorithm(struct der_writer *w, enum x509_signature kind);

/* SIGNED (RFC 5280 4.1): what is signed as it is, the algorithm, and the signature. */
void x509_put_signed(
	struct der_writer *w, struct bytes to_be_signed, enum x509_signature kind, struct bytes signature);

/* Key usage bits (RFC 5280 4.2.1.3), bit 0 of the BIT STRING first. */
enum {
	X509_USE_SIGNATURE = 1,
	X509_USE_KEY_ENCIPHERMENT = 4,
	X509_USE_KEY_AGREEMENT = 16,
	X509_USE_CERT_SIGN = 32,
	X509_USE_CRL_SIGN = 64
};

struct x509_certificate {
	struct bytes der;     /* all of it */
	struct bytes tbs;     /* what is signed, with its header */
	unsigned version;     /* 1, 2 or 3 */
	struct bytes serial;  /* contents of the INTEGER */
	struct bytes issuer;  /* Name, with its header */
	struct bytes subject; /* Name, with its header */
	int64_t not_before;   /* unix seconds */
	int64_t not_after;    /* unix seconds */
	struct bytes spki;    /* SubjectPublicKeyInfo, with its header */
	struct x509_public_key key;
	struct bytes extensions; /* contents of the SEQUENCE of extensions; empty if none */
	struct bytes signature_oid;
	enum x509_signature signature_kind;
	struct bytes signature; /* contents of the BIT STRING without its count of unused bits */
	bool has_basic_constraints, is_ca;
	int path_length; /* -1: none given */
	bool has_key_usage;
	unsigned key_usage; /* X509_USE_… */
	bool has_extended_key_usage;
	bool for_servers, for_clients;  /* what it allows, where there is one */
	bool unknown_critical;          /* has a critical extension that is not one of those read here */
	struct bytes alternative_names; /* contents of the GeneralNames SEQUENCE; empty if none */
	bool name_constraints_critical; /* where there are some */
	struct bytes
		permitted_subtrees; /* contents of the GeneralSubtrees, each found well-formed; empty if none */
	struct bytes excluded_subtrees; /* likewise */
	struct bytes policies;          /* contents of the certificatePolicies SEQUENCE; empty if none */
	struct bytes subject_key_id, authority_key_id; /* hints; empty if there is none that can be read */
	bool has_policy_mappings;
	int require_explicit_policy; /* certificates to skip (RFC 5280 4.2.1.11); -1: none given */
	int inhibit_any_policy;      /* likewise (4.2.1.14) */
};

/* Reads one certificate; *certificate borrows from der. Trailing bytes are an error. */
bool x509_parse(struct bytes der, struct x509_certificate *certificate, struct x509_problem *problem);

/* True if a SAN iPAddress entry is exactly these 4 or 16 bytes (RFC 5280 4.2.1.6, RFC 9110 4.3.5). */
bool x509_has_address(const struct x509_certificate *certificate, struct bytes address);

/*
 * Reads an IPv4 or IPv6 literal as a certificate would hold it: the number of bytes put into address (4 or
 * 16), 0 if text is not one. The zone of a scoped IPv6 address (after '%') does not count; an IPv4-mapped
 * address counts as the IPv4 one.
 */
size_t x509_scan_address(const char *text, unsigned char address[16]);

/* ---- certificate files ---- */

/*
 * Certificates in one piece of memory, in the order in which they were read, each only once. Zero it before
 * its first use; x509_list_free gives the memory back. Adding may move the array. What else a file holds is
 * wiped, not kept.
 */
struct x509_list {
	struct x509_certificate *certificates;
	size_t n, room;
	void **blocks; /* memory that the certificates borrow from */
	size_t n_blocks, blocks_room;
	uint32_t *slots; /* where in certificates each stands, by its content */
	size_t n_slots;
};

enum { X509_FILE_MAX = 16 << 20 }; /* bytes; a larger certificate file is refused */

/*
 * Reads a file whole, bounded by limit bytes, into memory from malloc with one zero byte behind it. NULL on
 * failure (EFBIG beyond the limit; EINVAL for a directory). The caller frees, and wipes first where secrets
 * are inside.
 */
unsigned char *x509_read_file(const char *path, size_t limit, size_t *n, struct x509_problem *problem);

/* The same from a descriptor, which stays open. */
unsigned char *x509_read_descriptor(int fd, size_t limit, size_t *n, struct x509_problem *problem);

/*
 * The certificates in text as a peer would present them: in their order, each as often as it is there, parsed
 * or not; PEM, which is overwritten, or one in DER. Returns how many, at most room; 0: none, *problem says
 * why. They borrow from text.
 */
size_t x509_read_chain(
	unsigned char *text, size_t n, struct bytes *chain, size_t room, struct x509_problem *problem);

/*
 * Appends every certificate in file (PEM with any other blocks and text between, or one in DER). A file
 * without any is an error (but one whose certificates are all in the list already is not), so is one that
 * cannot be parsed; with skip_bad a certificate that cannot be parsed is left out instead (system bundles
 * hold curiosities). On failure the list is as it was.
 */
bool x509_list_add_file(
	struct x509_list *list, const char *path, bool skip_bad, struct x509_problem *problem);

/*
 * Appends the certificates of every regular file in a directory, whatever it is called, in no particular
 * order. Skipped are names that begin with a dot, subdirectories, and files that hold no certificate, may not
 * be read, or are gone or too large.
 */
bool x509_list_add_directory(struct x509_list *list, const char *path, struct x509_problem *problem);

/*
 * Appends what stands in memory (PEM or DER); text is overwritten, wiped where no certificate stands, and
 * must outlive the list.
 */
bool x509_list_add_memory(
	struct x509_list *list, unsigned char *text, size_t n, bool skip_bad, struct x509_problem *problem);

/* Appends a copy of one certificate. False with *problem, errnum 0 where it is none. */
bool x509_list_add_copy(struct x509_list *list, struct bytes der, struct x509_problem *problem);

void x509_list_free(struct x509_list *list);

/* ---- revocation lists (RFC 5280 5) ---- */

enum { X509_CRL_FILE_MAX = 64 << 20 }; /* bytes; a larger file is refused */

struct x509_store;

/* A certificate revocation list. Its entries are not looked at before a certificate is looked up. */
struct x509_crl {
	struct bytes der;                 /* all of it */
	struct bytes tbs;                 /* what is signed, with its header */
	unsigned version;                 /* 1 or 2 */
	struct bytes issuer;              /* Name, with its header */
	int64_t this_update, next_update; /* unix seconds */
	bool has_next_update;
	struct bytes entries; /* contents of revokedCertificates; empty if none */
	enum x509_signature signature_kind;
	struct bytes signature;
	bool unknown_critical; /* has a critical extension that is not read here */
	bool is_delta;         /* says only what has changed since another list */
	/* issuingDistributionPoint (RFC 5280 5.2.5) */
	bool is_indirect, only_users, only_authorities, only_attributes, only_some_reasons;
	bool has_point;           /* is for certificates that name a distribution point of these names: */
	struct bytes point_names; /* contents of the GeneralNames; empty: names of a kind that is not read here */
	/* Of a trust store (store.h), where its entries are looked up by the number that it has there; der, tbs
	 * and entries are empty, digest is the hash of what is signed. NULL: it is none of those. */
	const struct x509_store *store;
	uint32_t number;
	struct bytes digest;
};

/* Revocation lists, each only once. Zero it before its first use. */
struct x509_crls {
	struct x509_crl *crls;
	size_t n, room;
	void **blocks; /* memory that they borrow from */
	size_t n_blocks;
};

/* Reads one list; *crl borrows from der. Trailing bytes are an error. */
bool x509_crl_parse(struct bytes der, struct x509_crl *crl, struct x509_problem *problem);

/*
 * Appends every list in a file: PEM with any other blocks and text between, or DER, one behind the other. A
 * file without any is an error, so is one that cannot be parsed. On failure nothing is added.
 */
bool x509_crls_add_file(struct x509_crls *crls, const char *path, struct x509_problem *problem);

/* Appends the lists of every regular file in a directory, as x509_list_add_directory does. A file with one
 * that cannot be parsed is skipped. */
bool x509_crls_add_directory(struct x509_crls *crls, const char *path, struct x509_problem *problem);

/* Appends one that was taken apart already. False: no memory. */
bool x509_crls_add(struct x509_crls *crls, const struct x509_crl *crl);

/*
 * Calls each(context, serial, reason, revoked_at) for every entry, in their order. False with *problem if the
 * list is one that crl_look_up would find useless, or, with errno, if each returned false.
 */
bool x509_crl_entries(const struct x509_crl *crl,
	bool (*each)(void *, struct bytes serial, unsigned reason, int64_t revoked_at), void *context,
	struct x509_problem *problem);

void x509_crls_free(struct x509_crls *crls);

/* ---- private keys ---- */

/* The numbers of a private key, big-endian; they borrow from the memory the key was read from. */
struct x509_private_key {
	enum x509_key_kind kind;
	struct bytes n, e, p, q, dp, dq, qi; /* RSA (RFC 8017 A.1.2) without leading zeros */
	unsigned curve;                      /* EC: X509_P256 … */
	struct bytes x;                      /* EC: the secret scalar */
	struct bytes point;                  /* EC: public point as the file has it; empty if not there */
};

enum {
	X509_KEY_FILE_MAX = 64 << 10,   /* bytes, certificates in the same file included */
	X509_ITERATIONS_MAX = 10000000, /* of PBKDF2 that are done for a key */
	X509_SALT_MAX = 128,            /* bytes */
	X509_PASSWORD_MAX = 1023,       /* bytes; longer ones are a wrong password */
	X509_CIPHER_KEY_MAX = 32,       /* bytes, of all in enum x509_cipher */
	X509_CIPHER_BLOCK_MAX = 16      /* likewise */
};

/* Pseudorandom functions of PBKDF2 (RFC 8018 B.1.2). */
enum x509_prf { X509_HMAC_SHA1, X509_HMAC_SHA224, X509_HMAC_SHA256, X509_HMAC_SHA384, X509_HMAC_SHA512 };

enum x509_cipher { X509_AES_128_CBC, X509_AES_192_CBC, X509_AES_256_CBC, X509_DES_EDE3_CBC };

/* The primitives that decrypt keys; the engine's. Each is false if the library refuses. */
struct x509_decryption {
	bool (*md5)(struct bytes text, unsigned char out[16]); /* out may overlap text */
	/* PBKDF2 (RFC 8018 5.2): n bytes, at most X509_CIPHER_KEY_MAX, into out. */
	bool (*pbkdf2)(enum x509_prf prf, struct bytes password, struct bytes salt, unsigned iterations,
		unsigned char *out, size_t n);
	/* Decrypts whole blocks in place, padding and all; key and iv have the sizes of the cipher. */
	bool (*cbc)(enum x509_cipher cipher, const unsigned char *key, const unsigned char *iv,
		unsigned char *text, size_t n);
};

/* What opens an encrypted key. */
struct x509_password {
	struct bytes text;
	const struct x509_decryption *with;
};

/*
 * Finds and reads the first private key in text, which is overwritten: PEM (PKCS#1 "RSA PRIVATE KEY", SEC1
 * "EC PRIVATE KEY", PKCS#8 "PRIVATE KEY", with other blocks around it) or one of the three in DER. Sizes are
 * bounded (RSA to 4096 bits, which is BearSSL's limit, exactly two primes). *key borrows from text; wipe text
 * when done.
 *
 * Encrypted keys are decrypted in place: PKCS#8 with PBES2, PBKDF2 and one of enum x509_cipher (RFC 8018,
 * "ENCRYPTED PRIVATE KEY" or DER), and OpenSSL's older form of the others, a PEM block with DEK-Info. That
 * takes as long as the file says, up to X509_ITERATIONS_MAX. password: NULL if there is none; it is not
 * looked at for a key that is not encrypted.
 */
bool x509_read_private_key(unsigned char *text, size_t n, const struct x509_password *password,
	struct x509_private_key *key, struct x509_problem *problem);

/*
 * The same for files with several keys in PEM: reads the next one from *offset on, 0 at first, and leaves the
 * offset behind it. 1: *key; 0: there is no further one; -1: *problem.
 */
int x509_next_private_key(unsigned char *text, size_t n, size_t *offset, const struct x509_password *password,
	struct x509_private_key *key, struct x509_problem *problem);

/*
 * True if the public numbers of both agree as far as the key file tells: the modulus, or the curve and, where
 * the file has it, the point. *certain is false if an EC key file has no point, so that only a computation
 * could tell.
 */
bool x509_key_matches(
	const struct x509_private_key *key, const struct x509_public_key *public_key, bool *certain);

/* Overwrites memory with zeros in a way that compilers keep. */
void x509_wipe(void *memory, size_t n);

/* ---- words ---- */

/*
 * Where text is appended: at most room bytes, always NUL-terminated when room > 0. Begin with n = 0 and
 * overflow = false.
 */
struct x509_text {
	char *at;
	size_t room;
	size_t n;      /* bytes in it, without the NUL */
	bool overflow; /* something did not fit; what is there is cut and should not be used */
};

/*
 * A Name as "C=DE, ST=Berlin, O=Example, CN=host": in the order of the certificate, only C, ST, L, O, OU and
 * CN (the form of SSL_PEER_CERT_SUBJECT in s6-networking). Values become UTF-8; , + " \ < > ; = and a leading
 * # or blank are preceded by a backslash, control bytes and what is not text become \XX. A malformed Name
 * gives "<invalid>".
 */
void x509_name_short(struct bytes name, struct x509_text *out);

/* How characters that are not ASCII are written. */
enum x509_name_form {
	X509_NAME_ASCII, /* \XX for each byte of their UTF-8 (openssl x509 -nameopt RFC2253) */
	X509_NAME_UTF8   /* as they are, control characters aside (mod_ssl) */
};

/*
 * A Name as RFC 2253 has it, most specific part first: "CN=host,O=Example,C=DE". Control characters become
 * \XX for each byte of their UTF-8, types without a name here become 1.2.3=#hex. Appends; a malformed Name
 * gives "<invalid>".
 */
void x509_name_text(struct bytes name, enum x509_name_form form, struct x509_text *out);

/*
 * Calls emit(context, suffix, value) for each variable of a certificate as mod_ssl names and formats it,
 * suffix being what follows SSL_CLIENT_ or SSL_SERVER_: M_VERSION, M_SERIAL, V_START, V_END, V_REMAIN (days
 * from now, unix seconds), A_SIG, A_KEY, S_DN, S_DN_C … (repeated ones with _1, _2 …), I_DN …,
 * CERT_RFC4523_CEA, SAN_DNS_0 …, SAN_Email_0 …, SAN_IP_0 …, SAN_OTHER_msUPN_0 …, SAN_OTHER_dnsSRV_0 …, CERT
 * (PEM). Values hold no control bytes but the newlines of CERT; single components are UTF-8 with backslashes
 * doubled and control characters as \XX. work is scratch memory: of a value that does not fit, or has a
 * number of more than four digits, the suffix is handed over with NULL. What there is nothing of is not
 * there.
 */
void x509_variables(const struct x509_certificate *certificate, int64_t now,
	void (*emit)(void *, const char *, const char *), void *context, char *work, size_t room);

/* PEM text of one certificate, lines of 64, ending in a newline. */
void x509_to_pem(struct bytes der, struct x509_text *out);

/* ---- path validation (RFC 5280 6) ---- */

enum {
	X509_CHAIN_MAX = 16,          /* certificates that a peer may present */
	X509_CHAIN_BYTES = 65536,     /* and bytes in all of them */
	X509_RSA_BITS_MIN = 2048,     /* default of x509_trust.min_rsa_bits */
	X509_RSA_BITS_MAX = 4096,     /* of any key in a path */
	X509_SIGNATURES_MAX = 32,     /* signatures checked for one verdict */
	X509_COMPARISONS_MAX = 250000 /* of names with name constraints, for one verdict */
};

/* What is asked of a chain. */
struct x509_trust {
	bool of_client;                  /* a client's certificate is judged (id-kp-clientAuth), not a server's */
	const struct x509_list *anchors; /* self-signed or not; a leaf that is among them is trusted as it is */
	const char
		*name; /* host name or IP literal to find in the leaf, without brackets or final dot; NULL: any */
	bool check_chain; /* false: any chain will do, and name is not looked at */
	bool common_name; /* a leaf without DNS and IP entries may have the host name as its common name */
	unsigned max_intermediates;
	unsigned min_rsa_bits;
	int64_t now;                  /* unix seconds */
	const struct x509_crls *crls; /* what has been revoked; NULL: nobody asks */
	bool crls_required; /* a certificate below the anchor that no valid list covers is refused, not warned of
						 */
	/* True if signature over text is right under key; the engine's. kind is one with SHA-2 that suits key. */
	bool (*check_signature)(const struct x509_public_key *key, enum x509_signature kind, struct bytes text,
		struct bytes signature);
	/* The same for a text of which only the hash is there: revocation lists of trust stores. */
	bool (*check_hashed)(const struct x509_public_key *key, enum x509_signature kind, struct bytes digest,
		struct bytes signature);
};

/* TLS alert descriptions for refusals (RFC 5246 7.2.2). */
enum {
	X509_ALERT_BAD_CERTIFICATE = 42,
	X509_ALERT_UNSUPPORTED_CERTIFICATE = 43,
	X509_ALERT_CERTIFICATE_REVOKED = 44,
	X509_ALERT_CERTIFICATE_EXPIRED = 45,
	X509_ALERT_CERTIFICATE_UNKNOWN = 46,
	X509_ALERT_UNKNOWN_CA = 48
};

/* What was decided about a chain, and why. */
struct x509_verdict {
	bool accepted;
	int alert;          /* X509_ALERT_… for a refusal */
	const char *reason; /* words for a refusal; static */
};

/* A chain while it is judged and afterwards. Large; needs no initialization. */
struct x509_path {
	struct x509_certificate presented[X509_CHAIN_MAX];
	size_t n_presented;
	/* The path found, leaf first, trust anchor last (one step: the leaf is itself trusted). After a refusal:
	 * as far as the path that the reason speaks of went. Empty where it was not looked for. */
	const struct x509_certificate *steps[X509_CHAIN_MAX + 1];
	size_t n_steps;
	const struct x509_certificate *at; /* whom the reason speaks of; NULL: nobody in particular */
	size_t unreadable;          /* the first presented that could not be parsed, counted from 1; 0: none */
	const char *why_unreadable; /* and why; all but the leaf are then passed over */
	int64_t revoked_at;         /* unix seconds; after X509_ALERT_CERTIFICATE_REVOKED only */
	/* Accepted, though no valid revocation list covers this certificate: why, in static words; or NULL. */
	const char *warning;
	const struct x509_certificate *warning_at;
};

/*
 * Judges the certificates that a peer presented: chain[0] is its own, the others help to find a path to an
 * anchor, in whatever order, with whatever extras. *path borrows from chain and from the anchors. The verdict
 * is that of RFC 5280 6.1 with these inputs: any policy, no explicit policy; anchors count with all that
 * their certificates say (dates, constraints, purposes). Work is bounded.
 */
void x509_judge(const struct x509_trust *trust, const struct bytes *chain, size_t n, struct x509_path *path,
	struct x509_verdict *verdict);

/*
 * True if a leaf is for a host name or IP literal (RFC 9525 6): a DNS entry, ASCII case aside, with *
 * standing for one whole leftmost label above at least two others; an IP entry; with common_name, and where
 * the leaf has entries of neither kind, its last common name, read like a DNS entry. Else *reason says why
 * not.
 */
bool x509_is_for_host(
	const struct x509_certificate *leaf, const char *name, bool common_name, const char **reason);

/* True if both Names are the same (RFC 5280 7.1): case and runs of blanks do not count in their ASCII text.
 */
bool x509_same_name(struct bytes a, struct bytes b);

#endif
