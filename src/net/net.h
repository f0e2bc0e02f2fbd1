/*
 * TCP: addresses in words and numbers, listening and accepting, connecting, host names, and log lines. Knows
 * nothing of TLS and nothing of what runs behind a connection. Monotonic milliseconds are those of net_now().
 */
#ifndef NET_H
#define NET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* ---- log lines ---- */

/*
 * Writes one line to descriptor 2 in a single write of under 4 KiB: the strings up to the NULL that ends
 * them. Bytes below 33 that are not a blank, 127, and % inside them become ?, so that no peer can forge a
 * line; what is too long is cut and ends in "...". Failure to write is ignored. errno is kept.
 */
void net_log(const char *first, ...) __attribute__((sentinel));

/*
 * What mains end with. net_die says "PROGRAM: fatal: unable to DOING OBJECT: REASON" (object may be NULL;
 * without doing the reason stands alone) and exits with code. net_usage says the problem, if there is one,
 * then how the program is called, and exits 100.
 */
_Noreturn void net_die(
	const char *program, int code, const char *doing, const char *object, const char *reason);
_Noreturn void net_usage(const char *program, const char *problem, const char *usage);

/* ---- time ---- */

/* Milliseconds of the monotonic clock. */
int64_t net_now(void);

/* ---- addresses ---- */

/* One end of a connection. IPv4-mapped IPv6 addresses are turned into IPv4 ones wherever an address comes in.
 */
struct net_address {
	bool is_v6;
	unsigned char ip[16]; /* 4 or 16 bytes, network order */
	uint16_t port;
	uint32_t scope; /* IPv6: interface of a link-local address, else 0 */
};

enum { NET_IP_TEXT = 64, NET_PORT_TEXT = 6 }; /* room that always suffices, NUL included */

/*
 * Reads an IP literal: dotted IPv4 (decimal, also with leading zeros), IPv6 in any form with or without a
 * %zone, either in brackets. False if text is anything else. The port becomes 0.
 */
bool net_scan_ip(const char *text, struct net_address *address);

/* Canonical text (RFC 5952; no zone). Returns out. */
char *net_format_ip(const struct net_address *address, char out[NET_IP_TEXT]);

/* The addresses of a connected or bound TCP socket. False with errno if it is not one. */
bool net_local(int socket, struct net_address *address);
bool net_remote(int socket, struct net_address *address);

/* "http" or "80" as a number; false if it is neither a number up to 65535 nor a TCP service (/etc/services).
 */
bool net_scan_port(const char *text, uint16_t *port);

enum net_family { NET_ANY_FAMILY = 0, NET_V4 = 4, NET_V6 = 6 };

enum { NET_RESOLVE_MS = 30000, NET_ADDRESSES_MAX = 32 }; /* what mains use for deadline and max */

/*
 * The addresses of a host name (or literal, or "" and "0" = 127.0.0.1), through c-ares, /etc/hosts included;
 * localhost never asks anybody (RFC 6761 6.3). In the environment: DNSCACHEIP names other servers than
 * /etc/resolv.conf, DNSREWRITEFILE another file than /etc/dnswritefile with instructions that rewrite names
 * (format of djbdns), LOCALDOMAIN the domains that are added to names without dots. Returns how many, at most
 * max, ports 0; 0 with *why in words on failure. Gives up at deadline (net_now() time). Call it after the last
 * fork: each channel has query ids of its own.
 */
size_t net_resolve(const char *host, enum net_family family, struct net_address *list, size_t max,
	int64_t deadline, const char **why);

/* ---- listening ---- */

struct net_listen {
	const char *host; /* operand as typed: name, literal, "" or "0" (0.0.0.0), "::" (IPv6 only), ":0" (both
						 families), "fd:N" (descriptor N is a listening socket already) */
	uint16_t port;    /* 0: any free one */
	enum net_family family;
	int backlog;
	const char *interface; /* of a link-local address; NULL: none, or the host names it as %zone */
};

/*
 * A listening socket with SO_REUSEADDR, close-on-exec and non-blocking, bound as asked; *bound is its
 * address. -1 on failure, then *doing says which step failed ("bind to", "listen on", "look up" …), and *why
 * the reason; after "look up" and "listen on descriptor" nothing is known of the address, else *bound is the
 * one it failed for. Of several addresses of a host the first is taken. An inherited socket is moved to a
 * descriptor above 2.
 */
int net_listen(
	const struct net_listen *what, struct net_address *bound, const char **doing, const char **why);

/*
 * The same for a main: port may be a service name, and takes the place of that in *what. Failure is said,
 * "PROGRAM: fatal: unable to bind to IP port N: REASON", and ends with exit 111.
 */
int net_listen_or_die(
	const char *program, const struct net_listen *what, const char *port, struct net_address *bound);

/* True for the operand "fd:N". */
bool net_is_inherited(const char *host);

/* -1: the port and a newline on descriptor 1. False with errno if that fails. */
bool net_print_port(const struct net_address *bound);

/* ---- serving ---- */

/* A connection, in the child that is to serve it. */
struct net_accepted {
	int socket;
	unsigned of_address; /* connections of the peer's address now, this one included */
	int notice;          /* for net_left_handshake */
};

struct net_server {
	int socket;   /* from net_listen */
	unsigned max; /* connections at once, -c */
	/* In the child: takes the connection over, returns only to give up. */
	bool (*accepted)(void *context, const struct net_accepted *connection);
	void *context;
	/* Called once, when SIGTERM is heard already and connections can come in. NULL: nothing to do. */
	void (*ready)(void *ready_context);
	void *ready_context;
	const char *program; /* for log lines */
	const char
		*ended_by;   /* what stands before the pid in the log: "ended by " (sslserver), "end " (tcpserver) */
	bool log_status; /* -v */
	bool log_errors; /* not with -q */
	bool show_ip_limit;       /* status lines as N/LIMIT/MAXCONIP (sslserver) instead of N/LIMIT */
	unsigned ip_limit;        /* MAXCONIP: connections at once from one address; 0: any number */
	bool ip_limit_may_change; /* rules may say otherwise for an address, so the child sees to the limit */
	/* Connections say when they have left their handshake, and a full server logs how many have not. */
	bool has_handshake;
};

/*
 * Accepts until SIGTERM, one child a connection, never more than max at once; waits for each child. Signals
 * are back to default and unblocked and the listening socket is closed in the child. Transient failures
 * (descriptors, processes, memory) are logged, waited out for a moment, and never end it. Returns 0 on
 * SIGTERM, with children left running. SIGHUP does nothing.
 */
int net_serve(const struct net_server *server);

/*
 * For the process that becomes prog: tells the listener that the connection whose child is pid has left its
 * handshake. Never blocks; that a busy listener misses it only makes its log worse.
 */
void net_left_handshake(int notice, pid_t pid);

/* "PROGRAM: WARNING ip connection limit of N exceeded for: IP" */
void net_log_ip_limit(const char *program, unsigned limit, const struct net_address *address);

/* -B without TLS: writes text to a connection. False with errno, ETIMEDOUT if the peer does not take it. */
bool net_write_banner(int socket, const char *text);

/* ---- connecting ---- */

struct net_connect {
	const struct net_address *targets;
	size_t n;
	const struct net_address *source; /* address and port to connect from, NULL: any */
	unsigned first_s, more_s; /* -T x+y: x seconds for each target, then y more for those that timed out */
};

/*
 * Connects to the first target that answers. Returns a blocking socket (close-on-exec), *which is the index
 * of the target it belongs to; -1 if none answered, with failed[i] the errno for each target (failed has n
 * entries).
 */
int net_connect(const struct net_connect *what, size_t *which, int *failed);

/*
 * The clients' options as typed into *how and *source, which *how points to: timeouts "x+y" or "x" (then y is
 * 0), x at least 1 and both at most 86400 seconds; local_ip may be NULL. False with words in *problem.
 */
bool net_read_client(const char *timeouts, const char *local_ip, unsigned local_port, struct net_connect *how,
	struct net_address *source, const char **problem);

/* A host operand and a port or the name of a service, as typed. */
struct net_target {
	const char *host, *port;
};

enum { NET_TARGETS_MAX = 16 };

/*
 * A client's whole way: look up, connect, say "PROGRAM: unable to connect to IP port N: REASON" for each
 * address and exit 111 if none answered. Targets in *how do not count. Of several targets (NET_TARGETS_MAX at most)
 * each is looked up when its turn comes, and one that does not answer is said so at once and passed over; those that
 * timed out get the seconds more when all have had their first. *which is the one that answered.
 */
int net_connect_or_die(const char *program, const struct net_target *targets, size_t n,
	enum net_family family, const struct net_connect *how, bool log_errors, size_t *which);

/* TCP_NODELAY on; failures do not matter. */
void net_no_delay(int socket);

/* -O: takes a source route off, so that answers go the way of the routing tables. Failures do not matter. */
void net_kill_ip_options(int socket);

/*
 * Options of a socket by their names in sockopt(8): "keepalive,linger=5". All are read as they are set, so that
 * those before a wrong one are set. False with *why in words.
 */
bool net_set_options(int socket, const char *settings, const char **why);
bool net_check_options(const char *settings, const char **why); /* sets nothing */

/* The variable whose options net_listen and net_connect set on the sockets that they make, before they are
 * bound; those who end the process on failure remove it. */
extern const char net_options_variable[];

/* ---- one connection in words ---- */

/* Texts are NULL where nothing is known. The strings inside belong to the struct, the pointers to somebody
 * else. */
struct net_connection {
	struct net_address local, remote;
	char local_ip[NET_IP_TEXT], local_port[NET_PORT_TEXT];
	char remote_ip[NET_IP_TEXT], remote_port[NET_PORT_TEXT];
	char interface[32];      /* of a scoped IPv6 peer, else empty */
	const char *local_host;  /* -l, or net_ask */
	const char *remote_host; /* net_ask */
	const char *remote_info; /* net_ask: IDENT */
};

/* Fills in what the socket tells; the three names stay NULL. False with errno if the peer is gone already. */
bool net_describe(int socket, struct net_connection *connection);

/* The same for a connection whose two addresses are in the struct already: texts of both, and the interface. */
void net_describe_ends(struct net_connection *connection);

/* "PROGRAM: pid P from IP" and "PROGRAM: ok P LHOST:LIP:LPORT RHOST:RIP:RINFO:RPORT", P being the calling
 * process. */
void net_log_from(const char *program, const struct net_connection *connection);
void net_log_ok(const char *program, const struct net_connection *connection);

/* The same with deny, and at its end reason, which may be empty. */
void net_log_deny(const char *program, const struct net_connection *connection, const char *reason);

/* "PROGRAM: connected to IP port PORT" */
void net_log_connected(const char *program, const struct net_connection *connection);

/* ---- the names that belong to a connection ---- */

enum { NET_HOST_TEXT = 254, NET_INFO_TEXT = 256 }; /* room for each, NUL included */

struct net_questions {
	bool remote_host;             /* -h: the name of the peer's address */
	bool paranoid;                /* -p: which is dropped unless one of its addresses is the peer's */
	bool remote_info;             /* -r: IDENT */
	unsigned seconds;             /* -t: for all questions together */
	bool (*drop)(void *context);  /* in the subprocess, first: gives up its rights; false ends it. NULL: nothing to do */
	void *context;
};

/* Clean (host names: letters, digits, - _ and dots; info: printable, without blanks and colons), or empty. */
struct net_answers {
	char local_host[NET_HOST_TEXT], remote_host[NET_HOST_TEXT], remote_info[NET_INFO_TEXT];
};

/*
 * Asks DNS and IDENT what the questions say, and for the name of the local address if local_host of connection is
 * NULL (no -l), all at the same time; then points the three names of connection, where they are NULL, to what
 * came, which is in *answers. 127.0.0.1 and ::1 are localhost; nobody is asked for that. What did not come in time
 * stays unknown. The work is done by a subprocess, which is gone on return; there is none if nothing has to be
 * asked. SIGCHLD should be at its default, and children of the caller are left alone. False with errno if the
 * subprocess could not be made: the names are unknown then.
 */
bool net_ask(const struct net_questions *questions, struct net_connection *connection, struct net_answers *answers);

/* Which sets of variables describe a connection (tls-environ(7)). */
enum net_variables {
	NET_VARIABLES_TCP = 1, /* TCP…, for IPv6 peers TCP6… too; decides PROTO if it is there: TCP or TCP6 */
	NET_VARIABLES_SSL = 2  /* SSL…; PROTO is SSL if it stands alone */
};

/*
 * Calls emit(context, name, value) for PROTO and every variable of the sets TCP, TCP6 and SSL, with a NULL
 * value for those to be removed, so that nothing remains that another server left behind. False as soon as
 * emit says false.
 */
bool net_variables(const struct net_connection *connection, int sets,
	bool (*emit)(void *context, const char *name, const char *value), void *context);

#endif
