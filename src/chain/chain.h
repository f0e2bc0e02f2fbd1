/*
 * Links of the chain: option tables of the two families, the environment that a link hands on, the process tree of a connection, starting
 * the io program, its report, and dropping privileges. Links know nothing of TCP and nothing of TLS; only what both servers do with a
 * connection before the first link (tcp_service.c, tcp_admit.c) uses net and rules.
 */
#ifndef CHAIN_H
#define CHAIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <skalibs/stralloc.h>

/* ---- exit codes ---- */

enum {
	EXIT_CONFIGURATION = 96, /* key, certificate, trust, or other configuration */
	EXIT_ENGINE = 97,        /* the engine could not be set up */
	EXIT_TLS = 98,           /* TLS failed */
	EXIT_USAGE = 100,
	EXIT_SYSTEM = 111        /* a system call failed */
};

/* What went wrong, for main to say as "PROGRAM: fatal: unable to DOING OBJECT: REASON" and to exit with. */
struct chain_problem {
	int exit_code;
	const char *doing;  /* "run", "make a pipe", …; NULL: reason stands alone */
	const char *object; /* what it was done to; may be NULL */
	const char *reason; /* words; NULL: strerror(errnum) */
	int errnum;
};

/* ---- options (DESIGN §2): one table, one parser, for every program ---- */

enum option_kind {
	OPTION_END,      /* ends the table */
	OPTION_SET,      /* int field at offset = value */
	OPTION_TEXT,     /* const char * field at offset = argument */
	OPTION_NUMBER,   /* unsigned field at offset = argument, minimum..maximum */
	OPTION_REFUSED,  /* exit 100 with advice: a letter of another column, or one whose work is not built yet */
	OPTION_REFUSED_WITH_ARGUMENT
};

struct option {
	char letter;
	enum option_kind kind;
	size_t offset;    /* into the options struct of the program */
	int value;        /* OPTION_SET */
	unsigned minimum, maximum; /* OPTION_NUMBER */
	const char *advice;        /* OPTION_REFUSED: words after "option -X "; OPTION_NUMBER: what the number is ("seconds") */
};

/*
 * Parses argv[1..] by the table into the struct at fields: letters may be joined, "--" ends them, and so does the first operand, so that
 * prog's own options are never touched. Returns the index of the first operand, or -1 with a line of words in problem (which is
 * program-lifetime static memory): unknown letter, missing or bad argument, advice of a refused one.
 */
int option_parse(const struct option *table, void *fields, int argc, char *const *argv, const char **problem);

/* Decimal digits only, no sign, no blank, at most maximum. */
bool option_scan_number(const char *text, unsigned long maximum, unsigned long *value);

enum { TLS_SNI_UNSAID = 3 };

/* The TLS family: tlsd, tlsc and, with the last three fields, the io programs. */
struct tls_options {
	int fin_only;          /* -s 1, -S 0: at local EOF end by a bare FIN instead of close_notify; -1: not given */
	int strict_end;        /* -J 1, -j 0: a bare FIN from the peer is an error */
	int client_certificate; /* -y, -Y: demanded or presented, asked for or never presented; 0: not given */
	unsigned verbosity;    /* -v: 0 silent, 1 errors, 2 more */
	unsigned idle_ms;      /* -K */
	unsigned handshake_s;  /* -T; 0: not given */
	const char *name;      /* -k: server name (clients) */
	unsigned sni;          /* -k: 0 off, 1 with default, 2 strict (servers); TLS_SNI_UNSAID: not given */
	int password;          /* -3: of an encrypted key, on descriptor 3 */
	int keep_environment;  /* links only: -Z 1, -z 0 */
	const char *report;    /* io only: -d, descriptor number */
	const char *control;   /* io only: -c, likewise */
	const char *pid;       /* io only: -p */
	int check;             /* io only: -C */
};

extern const struct tls_options tls_defaults;
extern const struct option tlsd_option_table[];
extern const struct option tlsc_option_table[];
extern const struct option tlsd_io_option_table[];
extern const struct option tlsc_io_option_table[];

/* How long a handshake may take, in milliseconds: -T, else TLS_TIMEOUT, else 26 seconds. */
int64_t chain_handshake_ms(const struct tls_options *tls, const stralloc *changes);

/* ---- descriptors ---- */

/* Opens /dev/null on whichever of 0, 1, 2 is closed. False with errno on failure. */
bool chain_open_standard(void);

/* Puts /dev/null on 2 where 2 is the same socket as 0 (inetd), so that no log line goes to the peer. */
void chain_unshare_stderr(void);

/* ---- a file in the place of another ---- */

struct chain_replacement {
	const char *program, *usage, *same_file; /* for words; same_file: said with the usage if both are one */
	const char *target, *temporary;          /* paths in one file system */
	int fd;                                  /* where the new file is written */
	bool made;                               /* the temporary file is ours */
};

/* Makes the temporary file. Failures are said, and end the program: exit 100 for usage, 111 for the rest. */
void chain_replace_begin(struct chain_replacement *replacement);

/* When all is written: makes sure that it is on the disk, and moves it to the target. */
void chain_replace_finish(struct chain_replacement *replacement);

/*
 * Writes the folder of a file to the disk, so that the file's name is still there after a crash. A folder that may be written to but not
 * be read, or that cannot be written so, is left to the system. False with errno on failure.
 */
bool chain_sync_folder(const char *path);

/* Ends the program with "unable to DOING OBJECT: …", exit 111; the temporary file is removed. */
_Noreturn void chain_replace_fail(struct chain_replacement *replacement, const char *doing, const char *object, int error);

/* ---- environment ---- */

/*
 * Changes to an environment: "NAME=value\0" sets, "NAME\0" removes; later ones win. Kept in a stralloc; false: no memory.
 */
bool chain_set(stralloc *changes, const char *name, const char *value);
bool chain_unset(stralloc *changes, const char *name);

/* chain_set, or chain_unset for a value of NULL; for those who pass variables one by one. changes is a stralloc. */
bool chain_change(void *changes, const char *name, const char *value);

/* The value that a variable will have after the changes, NULL if none. It belongs to the changes or the environment. */
const char *chain_value(const stralloc *changes, const char *name);

/* Appends a removal for each variable now in the environment that DESIGN §6 takes away from prog (tls-environ(7)). */
bool chain_clean(stralloc *changes);

/* True for a name that a report may set (with its numbered and DN forms). */
bool chain_report_may_set(const char *name, size_t n);

/* Appends a removal for each variable now in the environment that a report may set. */
bool chain_forget_report(stralloc *changes);

/* Replaces the process by prog (searched in PATH) with the changed environment. Returns only on failure. */
void chain_exec(char *const *prog, const stralloc *changes, struct chain_problem *problem);

/* ---- programs that are a link: from their options to what they become ---- */

/*
 * The beginning of main: descriptors 0, 1 and 2 are open afterwards, options by table in the struct given, and at least so many operands
 * are there. Returns the index of the first of them. What is wrong with the command line is said, and ends with exit 100.
 */
int chain_begin(const char *program, const char *usage, const struct option *table, void *options, int operands, int argc,
	char *const *argv);

/* The end of it: chain_exec, and words and exit 111 where that fails. */
_Noreturn void chain_become_prog(const char *program, char *const *prog, const stralloc *changes);

/* ---- privileges (DESIGN §5) ---- */

struct chain_identity {
	bool set_uid, set_gid;
	uid_t uid;
	gid_t gid;
};

/*
 * Becomes uid and gid for good, in that order: supplementary groups dropped, gid, uid. Without set_gid the gid stays. Asking for what
 * one is already is always possible. False with errno if it cannot be done.
 */
bool chain_become(const struct chain_identity *identity);

/* No core file and no tracing by other processes of the same user, until the next exec. False with errno on failure. */
bool chain_not_traceable(void);

/* ---- the password of encrypted keys (-3) ---- */

enum {
	CHAIN_PASSWORD_FD = 3,
	CHAIN_PASSWORD_MAX = 1023,       /* bytes, without the zero byte */
	CHAIN_PASSWORD_START_MS = 300000 /* how long it may take to come at the start, where somebody may have to type it */
};

struct chain_password {
	unsigned char *text; /* pages of its own; NULL: none */
	size_t n;
};

/*
 * Reads descriptor 3 up to the first zero byte, and not a byte more, into memory that no core file and no child of this process will
 * hold; the process becomes one that is not traceable. deadline: monotonic milliseconds. False with *problem, which says what there was
 * instead of a password. Descriptor 3 is closed; take: is /dev/null until the next exec, so that hand_on finds nothing else there.
 */
bool chain_password_read(struct chain_password *password, int64_t deadline, struct chain_problem *problem);
bool chain_password_take(struct chain_password *password, int64_t deadline, struct chain_problem *problem);

/* Whether children that are forked from now on have it, too. False with errno on failure. */
bool chain_password_share(const struct chain_password *password, bool with_children);

/*
 * For the program that this process becomes next: descriptor 3 is a fresh pipe with the password and its zero byte. Wipes what this
 * process has of it. False with errno on failure.
 */
bool chain_password_hand_on(struct chain_password *password);

/* Overwrites the password and gives its memory back; nothing if there is none. */
void chain_password_wipe(struct chain_password *password);

/* ---- links ---- */

enum chain_side { CHAIN_SERVER, CHAIN_CLIENT };

struct chain_link {
	enum chain_side side;           /* where the network is: 0 and 1, or 6 and 7 */
	const struct tls_options *tls;  /* handed to the io program as options */
	struct chain_identity identity; /* what prog becomes */
	struct chain_password *password; /* for the io program; NULL: none */
	char *const *prog;
	int64_t started_ms;             /* monotonic milliseconds when the connection began */
	bool clean;                     /* take the variables of DESIGN §6 away from prog */
	bool delayed;                   /* prog starts at once, with the network, and may ask for TLS (ucspi-tls(7)) */
	/*
	 * The last thing before prog, in the process that becomes prog, with the report (if TLS is not delayed) in changes. connection is the pid of the whole
	 * connection, the io program's. False with errno: prog does not run. NULL: there is nothing to do.
	 */
	bool (*ready)(void *context, pid_t connection, const stralloc *changes);
	void *context;
};

/*
 * TLS (DESIGN §4): forks the process that becomes prog once the io program's report is there (delayed: once it is ready), then becomes
 * the io program, which is its parent. changes: to the environment of both. Returns only on failure, in whichever of the two processes met it; with
 * exit code 0 and no words in the one that was to be prog if there was no report (the io program has said why).
 */
void chain_start(const struct chain_link *link, const stralloc *changes, struct chain_problem *problem);

struct tls_link_program {
	const char *name;
	enum chain_side side;
	bool delayed;
	const struct option *options;
	const char *usage;
};

/* A program that is nothing but this link, from its options to what it becomes. */
_Noreturn void tls_link(const struct tls_link_program *program, int argc, char **argv);

/*
 * Runs "IOPROGRAM -C" as identity, with the options given and the environment that a connection's io program will have, and waits. 0 if it is content, else its
 * exit code: it has said why on descriptor 2, unless *problem (doing not NULL) does. password: NULL if there is none, else one that is
 * shared with children.
 */
int chain_check(enum chain_side side, const struct tls_options *tls, const struct chain_identity *identity,
	const struct chain_password *password, const stralloc *changes, struct chain_problem *problem);

/* ---- the report of an io program ---- */

enum { REPORT_MAX = 256 << 10, REPORT_VALUE_MAX = 64 << 10 }; /* bytes */

/* Waits until there is something to read, or the end of it, or an error. False with errno: ETIMEDOUT after the deadline. */
bool chain_wait_until_readable(int fd, int64_t deadline);

/*
 * Reads a report until its end or the deadline (monotonic milliseconds), and appends what it says to changes. False unless it is complete
 * and names nothing but what chain_report_may_set allows; changes is then as it was before.
 */
bool chain_report_read(int fd, int64_t deadline, stralloc *changes);

/* Waits until the io program says that it is ready, by one \0 and the end. False: it does not, or the deadline has come. */
bool chain_ready_read(int fd, int64_t deadline);

/* Says so. False with errno on failure. */
bool chain_ready_write(int fd);

/*
 * Brings a report, which is made of changes, within the limits: a value that is too long is taken out; if the rest is too large, all variables in PEM; if it still is,
 * what comes last. Returns how many variables were taken out. There is room for SSL_REPORT_LEFT_OUT afterwards.
 */
size_t chain_report_fit(stralloc *report);

/* Ends the report and writes it out, however small the pipe. False with errno on failure. */
bool chain_report_write(int fd, stralloc *report);

/* ---- io programs ---- */

struct chain_io {
	int fdr, fdw; /* the operands */
	int report;   /* -1: none */
	int control;  /* socket on which prog asks for TLS; -1: none, TLS begins at once */
	int password; /* CHAIN_PASSWORD_FD; -1: none */
	pid_t prog;   /* 0: none */
};

/* The operands and -d, -c, -p as numbers, of descriptors that are open. False with words in *problem: EXIT_USAGE. */
bool chain_io_operands(const struct tls_options *options, int argc, char *const *argv, struct chain_io *io,
	const char **problem);

/* Closes everything but 0, 1, 2 and what io names. */
void chain_close_others(const struct chain_io *io);

/*
 * The rights of an io program for good (DESIGN §5): what SSL_UID … TLS_GID and SSL_CHROOT ask for, no way back, no core, not
 * traceable, no further processes or descriptors. Call it when everything is open. False with *problem.
 */
bool chain_confine(const struct chain_io *io, struct chain_problem *problem);

/* What the io program does about signals: SIGPIPE ignored, SIGTERM, SIGHUP and SIGINT blocked until they are waited for. */
bool chain_hold_signals(void);

/*
 * Closes every descriptor and waits for prog without a bound, passing on signals that were sent to this process alone. Its exit code, or
 * 128 + n if signal n ended it; 0 without prog.
 */
int chain_wait_for_prog(pid_t prog);

/*
 * A program on a pseudo-terminal: forks; in the child, which has the terminal on 0, 1 and 2 and is to become
 * prog, *exit_code is -1; in the parent, which has copied between the terminal and its own 0 and 1 until prog
 * has ended, prog's exit code, or 128 + n if signal n ended it. False with *problem, in either.
 */
bool chain_on_terminal(int *exit_code, struct chain_problem *problem);

/* ==== the TCP family: tcpserver, sslserver, tcpclient, sslclient ==== */

/* What sslserver demands of clients: nothing, a certificate, or one for the client's own host. */
enum tcp_certificate { TCP_CERTIFICATE_NONE, TCP_CERTIFICATE_ANY, TCP_CERTIFICATE_HOST };

/* Options of the two servers (DESIGN §2); tcpserver leaves the fields of TLS letters at their defaults. */
struct tcp_server_options {
	int print_port;              /* -1 */
	int family;                  /* -4: 4, -6: 6, else 0 */
	int verbosity;               /* -q 0, -Q 1, -v 2 */
	int delay;                   /* -d 1, -D 0: leave Nagle's algorithm on */
	int ids_from_environment;    /* -U */
	unsigned limit;              /* -c: connections at once */
	unsigned backlog;            /* -b */
	unsigned uid, gid;           /* -u, -g; 0: not given */
	const char *local_name;      /* -l */
	unsigned handshake_s;        /* -T; 0: not given */
	unsigned idle_s;             /* -w */
	int tcp_variables;           /* -e 1, -E 0 */
	int certificate_variables;   /* -s 1, -S 0 */
	int remote_host;             /* -h 1, -H 0 */
	int paranoid;                /* -p 1, -P 0 */
	int remote_info;             /* -r 1, -R 0 */
	unsigned names_s;            /* -t: for all names and IDENT together */
	const char *rules;           /* -x */
	const char *address_rules;   /* -y */
	int rules_may_be_missing;    /* -X */
	const char *banner;          /* -B */
	const char *interface;       /* -I */
	int keep_ip_options;         /* -o 1, -O 0 */
	int log_tls;                 /* -V */
	int delayed;                 /* -n 1, -N 0: prog asks for TLS */
	int client_certificate;      /* -m, -z, -Z: enum tcp_certificate */
	int password;                /* -3 */
};

/* Options of the two clients; tcpclient leaves the fields of TLS letters at their defaults. */
struct tcp_client_options {
	int family;
	int verbosity;
	int delay;
	const char *local_ip;        /* -i */
	unsigned local_port;         /* -p */
	const char *timeouts;        /* -T x+y */
	const char *local_name;      /* -l */
	unsigned idle_s;             /* -w; 0: never */
	int name_check, chain_check; /* -n 1 -N 0, -x 1 -X 0; -1: not given */
	int tcp_variables;
	int certificate_variables;
	int remote_host;             /* -h 1, -H 0 */
	int remote_info;             /* -r 1, -R 0 */
	unsigned names_s;            /* -t: for all names and IDENT together */
	int delayed;                 /* -y: prog asks for TLS */
	int password;                /* -3 */
};

/* The defaults, before option_parse. */
extern const struct tcp_server_options tcp_server_defaults;
extern const struct tcp_client_options tcp_client_defaults;

/* Those of the servers' letters that have to do with rules and names. */
extern const struct option *const tcpallow_option_table;

/* One table for both servers and one for both clients, entered at different rows. */
extern const struct option *const tcpserver_option_table;
extern const struct option *const sslserver_option_table;
extern const struct option *const tcpclient_option_table;
extern const struct option *const sslclient_option_table;

/*
 * What -u, -g and -U (UID and GID in the environment; -u and -g win) ask for. False with words in *problem: EXIT_USAGE.
 */
bool tcp_server_identity(const struct tcp_server_options *options, struct chain_identity *identity, const char **problem);

/*
 * TLS_VERIFY for -n -N -x -X: "name", "chain" or "none"; NULL if none of them was given, so that the environment's stays. False
 * with words in *problem: EXIT_USAGE.
 */
bool tcp_client_verification(const struct tcp_client_options *options, const char **verify, const char **problem);

/* /dev/null on 0 and 1: a listener keeps nothing open of who started it but its log. False with errno on failure. */
bool chain_leave_standard(void);

/* Puts a connection on the two descriptors given, open across exec, and nowhere else. False with errno on failure. */
bool chain_place(int connection, int reading, int writing);

struct net_target;

/* A client from its options to what it becomes: tcpclient and its like. */
struct tcp_client_program {
	const char *name;
	const char *usage;
	/* Puts the targets into the order in which they are tried, or says what is wrong and exits. NULL: there is one target, and no "--". */
	void (*arrange)(struct net_target *targets, size_t n);
};

_Noreturn void tcp_client(const struct tcp_client_program *program, int argc, char **argv);

/*
 * What clients do with a new connection: log it, ask for names, describe it in changes by the sets of variables (enum net_variables),
 * place it on 6 and 7. Dies if that cannot be done.
 */
void tcp_client_take(const char *program, const struct tcp_client_options *options, int connection, int sets, stralloc *changes);

/*
 * The name that the certificate of a host operand must have, for who does not say another: the operand without brackets, or the address
 * that an empty one or 0 stands for. It is the operand, static, or in the n bytes of room.
 */
const char *tcp_client_server_name(const char *host, char *room, size_t n);

/* Who sslserver and sslclient let do what (the table of DESIGN §5). */
struct chain_rights {
	struct chain_identity listener; /* what the listener becomes after binding; empty: it stays what it is */
	struct chain_identity prog;     /* what prog becomes; empty where the listener is that already */
};

/*
 * Works out the table of DESIGN §5 for what -u and -g ask for, the environment and the present uid: SSL_USER and SSL_GROUP become
 * numbers, the io program's TLS_UID and TLS_GID are added to changes. False with *problem: unknown names, bad numbers, and what only
 * root could do.
 */
bool chain_decide_rights(const struct chain_identity *asked, struct chain_rights *rights, stralloc *changes,
	struct chain_problem *problem);

/*
 * SSL_USER and SSL_GROUP in a record of rules, which changes ends with from the given byte on, become numbers, unless numbers stand
 * beside them. False with *problem.
 */
bool chain_name_rights(stralloc *changes, size_t record, struct chain_problem *problem);

struct net_connection;

/*
 * The connection that the environment describes with ${PROTO}REMOTEIP and its like, in *connection, whose
 * names belong to the environment; *sets are the sets that are there (enum net_variables). False with *why in
 * words.
 */
bool chain_described(struct net_connection *connection, int *sets, const char **why);

/* ---- what tcpserver and sslserver share ---- */

struct net_server;
struct net_accepted;

enum { TCP_IP_LIMIT_MAX = 100000 }; /* of MAXCONIP, as of -c */

struct tcp_service {
	const char *program;
	struct tcp_server_options options;
	struct chain_identity asked; /* -u, -g, -U */
	const char *host, *port;
	char *const *prog;
	unsigned ip_limit; /* MAXCONIP, 0: none */
	int variables;     /* enum net_variables: what describes a connection to prog */
	const char *clear_banner; /* written to the socket; NULL: none */
	stralloc changes;  /* to the environment: what is the same for every connection; after tcp_service_admit all that is known of one */
	size_t record;     /* where in changes the variables of the connection's rule begin */
};

/* The command line and MAXCONIP, over the defaults. What is wrong with them is said, and ends with exit 100. */
void tcp_service_read(struct tcp_service *service, const struct option *table, const char *usage, int argc, char *const *argv);

/*
 * Listens, becomes the identity given, says the port (-1), and serves until SIGTERM; failures are said and end with exit 111. In *server
 * are to be given: accepted and the fields that describe the program. Returns the exit code.
 */
int tcp_service_run(struct tcp_service *service, const struct chain_identity *identity, struct net_server *server);

/*
 * In the child of a connection, in this order: address rules (-y), names, rules (-x), limit. Whoever is not let in is logged, and the
 * process ends with exit 100, or 111 where something failed. Else the connection is on 0 and 1, changes is complete, and the log has
 * said ok. False if the client is gone already.
 */
bool tcp_service_admit(struct tcp_service *service, const struct net_accepted *accepted);

/*
 * The same for a connection that was let in once and has been described anew since (chain_described): names are
 * asked for only with remote_host, and a limit counts nothing.
 */
void tcp_service_admit_described(struct tcp_service *service, const struct net_connection *connection);

#endif
