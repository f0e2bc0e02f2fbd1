/*
 * Access rules: text is compiled into a cdb (tcprules), and one lookup finds the rule of a connection, the
 * same for servers and tcprulescheck. Text, keys and order are described in tcprules(1). Keys and records are
 * those of ucspi-tcp 0.88; IPv6 addresses and prefixes have the keys of ucspi-ssl 0.10.8 and later.
 */
#ifndef RULES_H
#define RULES_H

#include <stdbool.h>
#include <stddef.h>
#include <skalibs/cdb.h>
#include "net/net.h"

/* ---- lookup ---- */

enum {
	RULES_WORD_MAX = 1000,                   /* longest host name or info that is looked up */
	RULES_KEY_MAX = 2 * RULES_WORD_MAX + 64, /* so no longer key is ever found */
	RULES_VARIABLE_MAX = 1000                /* longest name of a variable */
};

/* An open file of rules. */
struct rules {
	cdb file;
};

/*
 * Opens path for lookups: a regular file, and a cdb whose tables are all inside. False with errno and, in
 * words, *why; ENOENT is a file that is not there. Nothing is kept between connections: open, find, close for
 * each of them, so that new rules count at once. The file is mapped, not read, as a connection touches a few
 * pages of what may be megabytes. tcprules replaces files by rename, which leaves an open one alone; one that
 * is cut off in place during a lookup ends the process with SIGBUS, so that at least nobody is let in by half
 * a file.
 */
bool rules_open(struct rules *rules, const char *path, const char **why);
void rules_close(struct rules *rules);

enum rules_verdict {
	RULES_BROKEN = -1, /* errno says why: EPROTO for a damaged file, ENAMETOOLONG for host or info */
	RULES_NONE,        /* no rule: servers allow the connection */
	RULES_ALLOW,
	RULES_DENY
};

/* What was found. The record is inside the file: it ends with rules_close. */
struct rules_match {
	char rule[RULES_KEY_MAX +
			  1]; /* address of the rule in canonical text: "10.0.0.0/8", "joe@::1", "=.org", "" */
	const char *record;
	size_t length;
};

/*
 * The rule for a connection from address (port and scope do not matter; IPv4-mapped ones are IPv4) with the
 * host name and the IDENT answer that belong to it, each NULL if it is not known, or not to be looked at.
 * match is filled in for RULES_ALLOW and RULES_DENY. Nothing is merged: the first of these is the rule.
 *   info@address  info@=host  address  =host
 *   1.2.3. 1.2. 1.  (IPv4 prefixes ending in a dot)  address/128 or /32 … address/0
 *   =.suffixes of host, longest first  = (if there is a host)  the empty one
 */
enum rules_verdict rules_find(const struct rules *rules, const struct net_address *address, const char *host,
	const char *info, struct rules_match *match);

/*
 * Calls emit(context, name, value) for each variable of a rule, in its order, with the value as it stands in
 * the rule. None come after "deny". False as soon as emit says false.
 */
bool rules_variables(const struct rules_match *match,
	bool (*emit)(void *context, const char *name, const char *value), void *context);

/* ---- compiling ---- */

/* What there is to say of a line. text is inside the rules as given, not terminated, and may hold any byte.
 */
struct rules_remark {
	size_t line; /* from 1 */
	char reason[200];
	const char *text;
	size_t length;
};

enum rules_outcome {
	RULES_COMPILED,
	RULES_WRONG,      /* *wrong says which line and why */
	RULES_NOT_WRITTEN /* errno says why */
};

/*
 * Compiles the n bytes of text into a cdb on fd, which is an empty file open for writing and stays open. warn
 * is called for each rule that can never match and for other oddities that are no errors.
 */
enum rules_outcome rules_compile(const char *text, size_t n, int fd, struct rules_remark *wrong,
	void (*warn)(const struct rules_remark *remark));

#endif
