/*
 * STARTTLS for programs that know nothing of TLS: the plaintext part of a protocol, up to the byte at which
 * TLS begins, on either side of a connection; asking the UCSPI-TLS control socket for TLS; the relay that
 * takes a greeting away from the output of a program or gives one to it; asking a proxy for a connection; the
 * header in which a proxy says whom it connects; and a look at the ClientHello.
 * Line protocols are tables (client.c, server.c) for one engine, binary ones small functions beside them.
 * Nothing is ever read beyond the last plaintext byte: what a peer sent behind it stays in the socket, is
 * read as the first TLS record, and fails there. Nothing is allocated; every wait has a deadline.
 */
#ifndef STARTTLS_H
#define STARTTLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <skalibs/stralloc.h>
#include "net/net.h"
#include "x509/x509.h"

/* ---- what went wrong ---- */

enum { STARTTLS_SHOWN_MAX = 100 };

struct starttls_fault {
	int exit_code;        /* EXIT_TLS: the peer's fault; EXIT_SYSTEM */
	const char *step;     /* "greeting", "STARTTLS", …; of a system failure what was being done */
	const char *expected; /* NULL: words say it all */
	const char *words;    /* NULL: "got:" and shown */
	char shown[STARTTLS_SHOWN_MAX + 4]; /* what came instead, printable, cut */
	int errnum;                         /* EXIT_SYSTEM */
};

/*
 * Says "PROGRAM: error: SUBJECT: step STEP: expected X, got: Y" (or WORDS), or "PROGRAM: fatal: unable to …";
 * starttls_die ends the process with the exit code of the fault, too.
 */
void starttls_say(const char *program, const char *subject, const struct starttls_fault *fault);
_Noreturn void starttls_die(const char *program, const char *subject, const struct starttls_fault *fault);

/* ---- the connection during a dialogue ---- */

enum {
	STARTTLS_DIALOGUE_S = 60,  /* -T: for the whole dialogue, unless said otherwise */
	STARTTLS_BUDGET = 64 << 10 /* bytes that a peer may send in one dialogue */
};

/* Every function below reads from it at most budget bytes before the deadline. */
struct starttls_wire {
	int reading, writing;
	int64_t deadline; /* monotonic milliseconds, those of net_now() */
	size_t budget;
};

/*
 * After the last words to a peer: ends the sending side, then takes off and throws away what it still sends,
 * for a moment, as closing with unread bytes could take the words away from it.
 */
void starttls_end(const struct starttls_wire *wire);

/* ---- names ---- */

enum { STARTTLS_NAME_MAX = 255 };

/*
 * What we call ourselves: asked (-n), else TCPLOCALHOST or SSLLOCALHOST, else the name of this machine. False
 * if asked is no host name or address. Names are of letters, digits, - _ . : [ and ].
 */
bool starttls_own_name(const char *asked, char name[STARTTLS_NAME_MAX + 1]);

/* True for such a name, 1 to STARTTLS_NAME_MAX bytes. */
bool starttls_is_name(const char *text);

/* ---- the client's side ---- */

enum { STARTTLS_GREETING_MAX = 512 };

/* A server's greeting: its last line without CRLF, printable ASCII; n 0: the protocol has none that has to be
 * given again. Of mysql it is a packet, as prog gets it: TLS is not offered any more. */
struct starttls_greeting {
	char text[STARTTLS_GREETING_MAX + 1];
	size_t n;
};

struct starttls_client; /* a protocol */

/* NULL if there is none of that name; starttls_client_names() lists them. */
const struct starttls_client *starttls_client(const char *protocol);
const char *starttls_client_names(void);

/*
 * The dialogue that brings a server to TLS. name: ours in EHLO, the server's in protocols that name it
 * (starttls_client_wants_peer). False with *fault.
 */
bool starttls_client_run(const struct starttls_client *protocol, struct starttls_wire *wire, const char *name,
	struct starttls_greeting *greeting, struct starttls_fault *fault);
bool starttls_client_wants_peer(const struct starttls_client *protocol);

/*
 * True where what asks for TLS is made of prog's answer to the greeting (mysql): starttls_client_run reads
 * the greeting only, and the rest is the relay's.
 */
bool starttls_client_needs_prog(const struct starttls_client *protocol);

/* ---- the server's side ---- */

enum starttls_outcome {
	STARTTLS_FAILED,  /* the peer, or the system: *fault */
	STARTTLS_ENDED,   /* the client has said good-bye, or was refused: no prog */
	STARTTLS_BEGIN,   /* our positive answer is sent, TLS begins */
	STARTTLS_AT_ONCE, /* the client speaks TLS without asking: nothing has been said, not even a greeting */
	STARTTLS_CLEAR    /* offered only: the client goes on in clear, its command is still in the socket */
};

struct starttls_server;

const struct starttls_server *starttls_server(const char *protocol);
const char *starttls_server_names(void);

/* False where TLS can only be required: what is said in clear would keep a client from going on. */
bool starttls_server_may_offer(const struct starttls_server *protocol);

/* What a client said in clear that its next command depends on ("EHLO name\r\n"); n 0: nothing. */
struct starttls_said {
	char text[1024];
	size_t n;
};

/*
 * The dialogue in which a client asks for TLS. Without required, it may go on in clear; wire must be a socket
 * then. name: ours.
 */
enum starttls_outcome starttls_server_run(const struct starttls_server *protocol, struct starttls_wire *wire,
	bool required, const char *name, struct starttls_said *said, struct starttls_fault *fault);

/* ---- UCSPI-TLS, the program's side (ucspi-tls(7)) ---- */

struct starttls_control {
	bool there; /* SSLCTLFD is set */
	int control, reading, writing;
};

/* From SSLCTLFD, SSLREADFD and SSLWRITEFD. False with words if they are not what they should be. */
bool starttls_control_find(struct starttls_control *control, const char **words);

/*
 * Asks for TLS, waits for the handshake and for the report, which goes into changes, and puts cleartext in
 * the place of the two descriptors given. False with exit code EXIT_TLS, and nothing to say, if there was no
 * handshake: the io program has said why.
 */
bool starttls_control_switch(const struct starttls_control *control, int reading, int writing,
	stralloc *changes, struct starttls_fault *fault);

/* Closes all three: no TLS is wanted. */
void starttls_control_leave(const struct starttls_control *control);

/* Removes the four variables of UCSPI-TLS. False: no memory. */
bool starttls_control_clean(stralloc *changes);

/* ---- the relay ---- */

/* mysql: the server that has greeted us, and how to ask for TLS when prog has answered. */
struct starttls_mysql {
	struct starttls_wire *wire; /* reading and writing are the relay's */
	const struct starttls_greeting *greeting;
	const struct starttls_control *control;
};

struct starttls_relay {
	/* Input of prog; a direction that is not relayed (relay_input, relay_output) is prog's own. */
	bool relay_input, relay_output;
	int reading, writing; /* the connection, and where prog has it: 0 and 1, or 6 and 7 */
	/* Given to prog before anything else, with CRLF at its end; n 0: nothing. */
	const char *greeting;
	size_t greeting_n;
	/*
	 * The server's protocol whose greeting is taken off prog's output if it is positive (else it is passed
	 * on), NULL: none; then what the client said already is said to prog, and its answer taken off.
	 */
	const struct starttls_server *swallow;
	const struct starttls_said *said;
	const char *name;   /* ours, for a farewell */
	unsigned linger_ms; /* once prog has ended: how long its output waits without a byte taken, 0: as long as
						   it may */
	/*
	 * NULL, or: as soon as prog runs it is given this greeting, and the server is brought to TLS with its
	 * answer; only then is anything copied. Both directions are relayed.
	 */
	const struct starttls_mysql *mysql;
};

/* True if prog has a greeting that must be taken off; not after TLS where the protocol's greeting comes
 * again. */
bool starttls_server_swallows(const struct starttls_server *protocol, bool after_tls);

/* True if prog must not hear the client before it has greeted (RFC 5321 4.3.1): the client speaks at once, as
 * it has been greeted already, and there are servers that refuse those who do. */
bool starttls_server_takes_turns(const struct starttls_server *protocol);

/*
 * Forks; the child becomes prog, and this process copies until prog has ended and what it wrote is delivered.
 * SIGTERM, SIGHUP and SIGINT sent to this process alone are passed on. Returns prog's exit code, or 128 + n
 * if signal n ended it, or what a fault says that has been said, if mysql has not come to TLS; the child
 * returns -1 with *fault if it could not prepare, 0 to have prog executed. *child says which of the two it
 * is.
 */
int starttls_relay_run(
	const struct starttls_relay *relay, const char *program, bool *child, struct starttls_fault *fault);

/* ---- proxies ---- */

enum { PROXY_SECRET_MAX = 512 };

/* A user and a password. The caller wipes it with starttls_wipe, also where the proxy refuses. */
struct proxy_user {
	char text[PROXY_SECRET_MAX + 1]; /* "user:password" */
	size_t n;                        /* 0: none */
};

/* The first line of a file, or of a descriptor if file is NULL, which is closed unless it is 0. False with
 * *words. */
bool proxy_read_user(const char *file, int fd, struct proxy_user *user, const char **words);
void starttls_wipe(void *secret, size_t n);

/* A host name (letters, digits, - _ .) or an IP literal, brackets not included; and a port, 1 to 65535. */
bool proxy_is_host(const char *host);

/* CONNECT (RFC 9110 9.3.6), with Basic authentication (RFC 7617) if there is a user. False with *fault. */
bool proxy_http(struct starttls_wire *wire, const char *host, unsigned port, const struct proxy_user *user,
	struct starttls_fault *fault);

/* SOCKS version 5 (RFC 1928, RFC 1929). False with *fault. */
bool proxy_socks5(struct starttls_wire *wire, const char *host, unsigned port, const struct proxy_user *user,
	struct starttls_fault *fault);

/* A program that asks a proxy: [-a file | -A fd] [-T seconds] host port prog. */
struct proxy_link {
	const char *program, *host;
	unsigned port;
	struct proxy_user user;
	struct starttls_wire wire; /* 6 and 7 */
	char *const *prog;
};

/* The command line, and user and password. What is wrong with them is said, and ends with exit 100, or 96
 * where a file cannot be read. */
void proxy_link_read(struct proxy_link *link, const char *program, int argc, char **argv);

/* Sets TLS_PEERNAME to the host if it is not set, so that tlsc checks the right name, and becomes prog. */
_Noreturn void proxy_link_become_prog(struct proxy_link *link);

/* ---- the PROXY protocol (proxy-protocol.txt of haproxy, versions 1 and 2) ---- */

enum {
	PROXY_V1_MAX = 107,                   /* bytes of a header, its CRLF included */
	PROXY_HEADER_MAX = 16 + 65535,        /* version 2 */
	PROXY_VALUE_MAX = 255,                /* bytes of a text in it, other than a certificate */
	PROXY_CHECKSUM = 1, PROXY_LITTLE = 2, /* proxy_header_write */
	PROXY_HEADER_S = 10                   /* -T of proxyrecv and proxysend */
};

/* What a header says. The bytes are inside the header, or of whoever wrote the struct; n 0: not there. */
struct proxy_header {
	bool proxied; /* source and destination count; else the connection is the proxy's own, or not of TCP */
	struct net_address source, destination;
	struct bytes alpn, authority;
	bool tls;         /* the client speaks TLS with the proxy: */
	bool certificate_shown, certificate_good;
	struct bytes version, cipher, common_name;
	struct bytes certificate; /* DER */
};

/* Reads a whole header of n bytes and nothing behind it. False with *why in words. */
bool proxy_header_parse(const unsigned char *bytes, size_t n, struct proxy_header *header, const char **why);

/*
 * Takes a header off the connection, not a byte more; room has PROXY_HEADER_MAX bytes. False with *fault.
 */
bool proxy_header_read(struct starttls_wire *wire, unsigned char *room, struct proxy_header *header,
	struct starttls_fault *fault);

/*
 * Writes a header into room (PROXY_HEADER_MAX bytes) and returns its length. flags, for version 2:
 * PROXY_CHECKSUM adds one, PROXY_LITTLE leaves everything out but addresses and checksum. What does not fit,
 * or is longer than PROXY_VALUE_MAX, is left out. Version 1 has nothing but addresses.
 */
size_t proxy_header_write(
	const struct proxy_header *header, unsigned version, int flags, unsigned char *room);

/* Sends bytes on descriptor wire->writing. False with *fault. */
bool proxy_header_send(
	const struct starttls_wire *wire, const void *bytes, size_t n, struct starttls_fault *fault);

/*
 * Changes of the environment that a header which is proxied asks for: the variables of the sets given (enum
 * net_variables) describe its addresses, and those that a report may set (chain.h) what it says of TLS; none
 * of what they have been remains, but local_host of connection, which is what describes the connection now.
 * False with *why in words, and changes as they were, if something in it must not go into a variable, or NULL: no memory.
 */
bool proxy_header_variables(const struct proxy_header *header, const struct net_connection *connection, int sets,
	stralloc *changes, const char **why);

/* The other way: what the environment says of TLS, with the addresses of connection. */
void proxy_header_from_environment(const struct net_connection *connection, struct proxy_header *header);

/* ---- a look at the ClientHello ---- */

struct hello; /* relay.h */

/*
 * Waits until the whole ClientHello has come to the socket wire->reading, and says what is in it; no byte is
 * taken. False with *fault, and hello->alert for the client if it is not 0.
 */
bool starttls_peek_hello(struct starttls_wire *wire, struct hello *hello, struct starttls_fault *fault);

/* Answers with an alert, and ends the connection. */
void starttls_refuse_hello(const struct starttls_wire *wire, int alert);

#endif
