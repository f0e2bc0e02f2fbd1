/*
 * Between the files of src/net: addresses as the kernel wants them, and the steps of looking names up.
 */
#ifndef NET_INTERNAL_H
#define NET_INTERNAL_H

#include <poll.h>
#include <sys/socket.h>
#include "net.h"

/* Returns the length of what was put into *out. */
socklen_t net_to_sockaddr(const struct net_address *address, struct sockaddr_storage *out);

/* False if it is neither an IPv4 nor an IPv6 address. IPv4-mapped ones become IPv4. */
bool net_from_sockaddr(const struct sockaddr *from, struct net_address *address);

/* Decimal text of a number; returns out. */
enum { NET_NUMBER_TEXT = 24 };
char *net_format_number(long long number, char out[NET_NUMBER_TEXT]);

/* Sets on a new socket what SOCKOPT says. False with *why in words, and errno if the system has refused it. */
bool net_options_before_bind(int socket, const char **why);

/* Ends with exit 96 if SOCKOPT cannot be understood. */
void net_options_or_die(const char *program);

/* net_scan_port, its failure said and exit 111. */
void net_scan_port_or_die(const char *program, const char *text, uint16_t *port);

/* ---- clean.c: what strangers call themselves ---- */

/*
 * A host name from DNS, without the dot at its end. False, and out empty, unless it is of letters, digits, -,
 * _ and dots between labels, begins with none but letter, digit or _, and cannot be taken for an IP address.
 */
bool net_clean_host(const char *name, char out[NET_HOST_TEXT]);

/* A user name from IDENT, its n bytes: blanks around it are dropped, what is not printable, : and % become ?,
 * and what is too long is cut. False if nothing is left. */
bool net_clean_info(const char *name, size_t n, char out[NET_INFO_TEXT]);

/* ---- rewrite.c: short names to full ones ---- */

/* What a host name became: a name, or with + between its parts several, see net_candidate. */
enum { NET_REWRITTEN_TEXT = 1024 };

/*
 * Follows instructions in the format of djbdns (qualification(5)), n bytes of lines: =post:new, *post:new,
 * ?post:new and -post:new, in their order, each at most once; other lines are comments. name is read and
 * changed in place. False if it became too long.
 */
bool net_rewrite(const char *instructions, size_t n, char name[NET_REWRITTEN_TEXT]);

/* net_rewrite with the file named by DNSREWRITEFILE, else /etc/dnswritefile if there is one. False with *why.
 */
bool net_rewrite_by_file(char name[NET_REWRITTEN_TEXT], const char **why);

/* LOCALDOMAIN: adds its domains, as +.domain, to a name without dots. False if it became too long. */
bool net_add_domains(char name[NET_REWRITTEN_TEXT]);

/* x+y1+y2 stands for xy1 and xy2, plain x for itself: candidate i, without a dot at its end. False if there
 * is none or it is no name. */
bool net_candidate(const char *name, size_t i, char out[NET_HOST_TEXT]);

/* ---- names.c: c-ares ---- */

/* A resolver of its own for each process, as each has query ids of its own: open it after the last fork. */
struct net_names {
	struct ares_channeldata *channel;
};

/* Where to look, and whether the search list of /etc/resolv.conf is added to names. */
enum net_names_source { NET_NAMES_EXACT, NET_NAMES_SEARCH, NET_NAMES_HOSTS_FILE };

bool net_names_open(struct net_names *names, enum net_names_source source, const char **why);
void net_names_close(struct net_names *names); /* also what is still being asked: done, and not found */

struct net_forward {
	bool done;
	struct net_address *list;
	size_t n, max;
	const char *why; /* where n is 0 */
};

struct net_reverse {
	bool done;
	char host[NET_HOST_TEXT]; /* clean; empty: unknown */
};

/* Both ask, and may be done on return; the structs must last until done is true, or net_names_close. */
void net_names_forward(
	const struct net_names *names, const char *host, enum net_family family, struct net_forward *forward);
void net_names_reverse(
	const struct net_names *names, const struct net_address *address, struct net_reverse *reverse);

/* One turn of the loop that waits: what to poll for and, if that is less, how long; then what poll found. */
enum { NET_NAMES_POLLED = 15 };
nfds_t net_names_watch(const struct net_names *names, struct pollfd polled[NET_NAMES_POLLED], int *wait_ms);
void net_names_work(const struct net_names *names, const struct pollfd *polled, nfds_t n);

/* ---- ident.c: RFC 1413 ---- */

struct net_ident {
	int socket; /* -1: none */
	bool asked, done;
	uint16_t remote_port, local_port;
	size_t n;
	char line[1024];          /* RFC 1413 6: a reply has 1000 bytes at most */
	char info[NET_INFO_TEXT]; /* clean; empty: unknown */
};

void net_ident_begin(
	struct net_ident *ident, const struct net_address *local, const struct net_address *remote);
void net_ident_watch(const struct net_ident *ident, struct pollfd *polled);
void net_ident_work(struct net_ident *ident, const struct pollfd *polled);

/* The clean user name of a reply, n bytes that end in a newline. False if it is not one for these ports. */
bool net_ident_read(
	const char *reply, size_t n, uint16_t remote_port, uint16_t local_port, char out[NET_INFO_TEXT]);

#endif
