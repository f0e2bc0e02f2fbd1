/*
 * Between an engine's four ports and four descriptors: the loop that moves the bytes, its deadlines and ends,
 * the ClientHello reader in front of every server engine, and the configuration that an io program reads from
 * its environment.
 */
#ifndef RELAY_H
#define RELAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include "engine/engine.h"
#include "x509/store.h"

enum { HELLO_MAX = 65536, HELLO_NAME_MAX = 253 }; /* bytes of a ClientHello and of the name in it */

/* ---- configuration of an io program (DESIGN §6), read before the first network byte ---- */

/* What is wrong with the configuration, in words: "unable to read key from K: No such file or directory". */
struct relay_problem {
	char words[700];
};

enum relay_close { RELAY_CLOSE_NOTIFY, RELAY_CLOSE_FIN, RELAY_CLOSE_WAIT };

enum { RELAY_PAIRS_MAX = 2 }; /* one for each kind of key: RSA, EC */

/* A certificate chain and the key of its leaf. */
struct relay_pair {
	struct bytes chain[X509_CHAIN_MAX]; /* leaf first */
	struct x509_private_key key;
	struct engine_pair engine; /* the engine's view of the two */
};

/* What a certificate file and a key file hold; zero: nothing. */
struct relay_identity {
	struct x509_list certificates;
	unsigned char *key_text; /* memory that the keys borrow from */
	size_t key_text_n;
	struct relay_pair pairs[RELAY_PAIRS_MAX];
	size_t n;
};

/* The identity for one server name, or for the names that *.example.org stands for. */
struct relay_named {
	char name[2 + HELLO_NAME_MAX + 1]; /* lower case */
	struct relay_identity identity;
};

enum { RELAY_PINS_MAX = 64 };

/* SHA-256 of a certificate, or of its SubjectPublicKeyInfo. */
struct relay_pin {
	bool of_key;
	unsigned char hash[32];
};

/* TLS_SNI: what servers do about names. */
enum relay_sni { RELAY_SNI_OFF, RELAY_SNI_WITH_DEFAULT, RELAY_SNI_STRICT, RELAY_SNI_UNSAID };

struct relay_configuration {
	struct relay_identity own; /* clients may have none; servers with RELAY_SNI_STRICT, too */
	/* servers: identities by name, those of the environment and the folder of the others */
	enum relay_sni sni;
	struct relay_named *named;
	size_t n_named;
	int names_folder; /* descriptor; -1: none */
	struct relay_identity from_folder;
	const struct relay_identity *presented; /* which one the connection uses */
	const struct hello_reader *hello;       /* servers: the ClientHello that it was chosen by; NULL: none yet */

	const char *alpn[ENGINE_ALPN_MAX]; /* application protocols in the order of preference */
	size_t n_alpn;

	struct relay_pin pins[RELAY_PINS_MAX]; /* one of these the peer has to be; none: anybody */
	size_t n_pins;
	struct x509_list anchors;
	struct x509_store store; /* CAFILE, where it is one; what a connection needs of it comes into anchors */
	struct x509_crls crls;                      /* revocation lists */
	struct x509_store crl_store;                /* CRLFILE, where it is one; likewise */
	struct x509_trust trust;                    /* who is believed, and the name to find */
	struct x509_path path;                      /* by which the peer was found to be right, once it was */
	const char *send_name;                      /* clients: server_name to send; NULL: none */
	enum engine_asking asking;                  /* servers: what the client is asked for */
	struct x509_list ca_file;                   /* servers: CCAFILE */
	struct bytes ca_names[ENGINE_CA_NAMES_MAX]; /* servers: names of CAs to send */
	size_t n_ca_names;

	unsigned oldest, newest; /* protocol versions: ENGINE_TLS12 … */
	struct suites_list suites;
	bool chacha_by_client;
	enum relay_close close;
	unsigned handshake_s, linger_s;
	bool full_report;
	bool pass_failure; /* TLS_RESET: what fails on one side does not look like an end on the other */
};

struct relay_wish { /* what the command line says; it wins over the environment */
	bool client;
	bool check;             /* there is no connection: also see what only a computation tells */
	const char *name;       /* clients: -k */
	enum relay_sni sni;     /* servers: -k */
	int client_certificate; /* 'y': demanded or presented, 'Y': asked for or never presented, 0: not said */
	int fin_only;           /* 1, 0, -1: not said */
	unsigned handshake_s;
	const struct bytes *password; /* -3: of encrypted keys, the caller's to wipe; NULL: none */
};

/*
 * Reads TLS_… variables, certificates, keys and trust anchors. With wish->check, also computes whether key
 * and certificate belong together where the files alone do not tell. False: *problem says what is wrong (exit
 * 96).
 */
bool relay_configure(struct relay_configuration *, const struct relay_wish *, struct relay_problem *);

/*
 * The part of relay_configure that says whom to believe: a client's view of servers, or a server's of the
 * clients that it asks for a certificate (wish->client_certificate 'y'), then with wish->name as the name to
 * find.
 */
bool relay_configure_trust(struct relay_configuration *, const struct relay_wish *, struct relay_problem *);

/* The verdict on a peer's chain (1 certificate at least): that of x509_judge, which leaves the path that it
 * found in the configuration, and of the pins. */
void relay_judge(
	struct relay_configuration *, const struct bytes *chain, size_t n, struct x509_verdict *verdict);

/* The engine's view of it; both must outlive the connection. */
void relay_engine_setup(struct relay_configuration *, bool client, struct engine_setup *);

/*
 * Servers, once the ClientHello is known: decides which identity is presented, by the name in it, and wipes
 * the keys of all others. False: the client is to be refused, hello->alert and hello->words say how.
 */
struct hello;
bool relay_choose_identity(struct relay_configuration *, struct hello *);

/* Servers: whether there is an application protocol in common, if both sides want one (RFC 7301 3.2). */
bool relay_agree_protocol(const struct relay_configuration *, struct hello *);

/* Overwrites the private keys. */
void relay_forget_keys(struct relay_configuration *);

/* ---- the ClientHello reader (RFC 5246 7.4.1.2, RFC 8446 4.1.2) ---- */

struct hello {
	char server_name[HELLO_NAME_MAX + 1]; /* lower case, a host name and nothing else; "": none was sent */
	struct bytes alpn; /* application protocols, each behind a byte with its length; of the reader's memory */
	int alert;         /* after HELLO_REFUSED */
	const char *words; /* likewise */
};

struct hello_reader {
	unsigned oldest, newest; /* protocol versions, of which the client must know one; set by the caller */
	unsigned char header[5];
	size_t header_n;
	size_t record_left;
	unsigned char message[HELLO_MAX + 4];
	size_t n;
};

enum hello_result { HELLO_MORE, HELLO_DONE, HELLO_REFUSED };

/* Takes the next n bytes of what a client sends first. Zero the reader but for the versions before the first
 * call. Bytes after HELLO_DONE are not looked at. */
enum hello_result hello_read(struct hello_reader *, const unsigned char *bytes, size_t n, struct hello *);

/*
 * Why a second ClientHello (RFC 8446 4.1.2), without the header of its message, is refused: it has to say what
 * the first one said, which the reader holds. NULL: it does.
 */
const char *hello_differs(const struct hello_reader *first, struct bytes second);

/* Copies a host name as RFC 6066 3 wants it, in lower case. False if it is anything else; an IPv4 address may
 * look like one. */
bool hello_copy_name(struct bytes name, char out[HELLO_NAME_MAX + 1]);

/* ---- delayed TLS (DESIGN §3, ucspi-tls(7)) ---- */

enum relay_command {
	RELAY_COMMAND_NONE, /* prog wants no TLS: it has closed the control socket, or ended */
	RELAY_COMMAND_START,
	RELAY_COMMAND_START_AND_REPORT, /* and waits for the report on the control socket */
	RELAY_COMMAND_UNKNOWN           /* sent something else */
};

/*
 * Waits, without a deadline, for the byte that prog sends on the control socket, which is then not read any
 * more; it stays open. A signal that is sent to this process alone is passed on to prog and ends the wait,
 * like prog's own end (which is left to be waited for). The caller has blocked the signals, SIGCHLD among
 * them.
 */
enum relay_command relay_wait_for_command(int control, pid_t prog);

/* ---- the loop ---- */

/* Something to be said to prog once, on a socket of its own, while the connection goes on. */
struct relay_message {
	int fd; /* closed when all is said, or cannot be; -1: nothing to say */
	const char *at;
	size_t n;
};

struct relay {
	struct engine *engine;
	struct relay_configuration *configuration;
	bool client;
	int net_in, net_out; /* may be the same descriptor */
	int plain_in,
		plain_out; /* cleartext to be sent is read from plain_in, what was received is written to plain_out */
	bool strict_end;  /* a bare FIN from the peer is an error */
	unsigned idle_ms; /* 0: never */
	pid_t prog;       /* gets signals sent to us, and SIGTERM at the idle limit; 0: nobody */
	/* Called once, when the handshake is complete and the peer accepted; may leave a message that stays where
	 * it is. False: give up (system failure, errno). */
	bool (*opened)(
		void *context, const struct engine_facts *, const char *server_name, struct relay_message *message);
	void *context;
};

enum relay_code { RELAY_DONE, RELAY_TLS_FAILED, RELAY_ENGINE_FAILED, RELAY_SYSTEM_FAILED };

struct relay_end {
	enum relay_code code;
	char words[256]; /* reason of a failure; what ended the connection if that is worth a line, else "" */
};

/*
 * Runs one connection to its end: every direction has ended, and what could be delivered was. Closes the four
 * descriptors. SIGTERM, SIGHUP and SIGINT end it in good order while it runs; the caller has blocked them,
 * and ignores SIGPIPE.
 */
void relay_run(const struct relay *, struct relay_end *);

/*
 * For a server that cannot serve: tells the client so by an alert (internal_error), and ends the connection
 * without a reset. Takes 2 seconds at most.
 */
void relay_turn_away(int net_in, int net_out);

/* ---- two connections joined ---- */

struct relay_join {
	int near_in, near_out, far_in, far_out; /* four descriptors; the two of a side may be one connection */
	unsigned idle_s;                        /* 0: never */
	bool end_with_far;                      /* all has ended when what comes from the far side has */
};

struct relay_join_end {
	bool failed;                /* a side was reset, or not all could be delivered */
	char words[160];            /* why; or what ended it, if that is worth a line; else "" */
	uint64_t to_far, to_near;   /* bytes taken for each */
};

/*
 * Passes on what comes from near_in to far_out and from far_in to near_out, and each end as an end, until both
 * directions have ended and what could be delivered was. A reset is passed on as a reset to a TCP connection, as an
 * end to a pipe. Closes the descriptors. Signals as in relay_run.
 */
void relay_join(const struct relay_join *, struct relay_join_end *);

/* ---- what is reported of a connection ---- */

/*
 * Calls set(context, name, value) for each variable, value NULL for those that are to be unset: always the
 * five of DESIGN §6, with full_report those of mod_ssl too (tls-environ(7)). *left_out is how many had a
 * value longer than REPORT_VALUE_MAX. False from set ends it, and is returned.
 */
bool relay_describe(const struct relay_configuration *, bool client, const struct engine_facts *,
	const char *server_name, bool (*set)(void *, const char *, const char *), void *context,
	size_t *left_out);

/* ---- an io program as a whole ---- */

struct option;

struct relay_program {
	const char *name;
	bool client; /* network on fdr and fdw, cleartext on 0 and 1; servers: the other way round */
	const struct option *options;
	const char *usage;
};

/* The program from its options to its exit code (DESIGN §3). */
_Noreturn void relay_program(const struct relay_program *, int argc, char **argv);

#endif
