/*
 * What the files of this folder share: keys of addresses, one line of rules, and the keys that were there
 * before.
 */
#ifndef RULES_INTERNAL_H
#define RULES_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <skalibs/stralloc.h>
#include "rules.h"

/* ---- keys (key.c) ---- */

enum {
	IP_KEY_MAX = 40,      /* "2001:0DB8:0000:0000:0000:0000:0000:0001", NUL included */
	PREFIX_KEY_MAX = 129, /* a letter and one byte for each bit, without NUL */
	PREFIX_TEXT_MAX = 64  /* "2001:db8::/128", NUL included */
};

/* IPv4-mapped addresses (RFC 4291 2.5.5.2) become IPv4. */
struct net_address rules_unmapped(const struct net_address *address);

/* The key of one address. */
void rules_ip_key(const struct net_address *address, char key[IP_KEY_MAX]);

/* The key of the network of that many bits (0 to 32 or 128) around an address; its length. Shorter ones are
 * beginnings of it. */
size_t rules_prefix_key(const struct net_address *address, unsigned bits, char key[PREFIX_KEY_MAX]);

/* The network in canonical text (RFC 5952), without the /bits if it has as many as the address. */
void rules_prefix_text(
	const struct net_address *address, unsigned bits, bool with_bits, char text[PREFIX_TEXT_MAX]);

/* The address and bits of a prefix key. */
void rules_prefix_of_key(const char *key, size_t n, struct net_address *address);

/* ---- files (file.c) ---- */

/* Whether all tables of a cdb lie inside it; a file that was cut off has lost some. */
bool rules_file_is_whole(const cdb *file);

/* ---- one line (line.c, address.c) ---- */

/* A rule as read. The strallocs are used again for the next line. */
struct rule {
	stralloc key;    /* unless it is an IPv4 pattern */
	stralloc record; /* what the cdb holds for it */
	bool is_prefix;  /* the key is one of rules_prefix_key */
	const char *odd; /* worth a warning, or NULL */

	/* IPv4 addresses, dotted prefixes, and ranges, which stand for several of them: parts is 0 for anything
	 * else. */
	unsigned parts, low[4], high[4];
	bool dotted; /* ends in a dot */
};

/*
 * Reads a line that is neither empty nor a comment, without blanks at its end. Returns NULL, or what is wrong
 * with it in words: rules_no_memory if that is what is wrong.
 */
const char *rules_read_line(struct rule *rule, const char *line, size_t n);
extern const char rules_no_memory[];

/* The part in front of the colon, into all but the record. */
const char *rules_read_address(struct rule *rule, const char *text, size_t n);

/* The key of an IPv4 pattern whose ranges stand at their low ends. */
bool rules_pattern_key(struct rule *rule);

/* ---- what was there before (seen.c) ---- */

struct seen_rule {
	size_t key_at;
	uint32_t key_length, hash;
	bool is_prefix;
	size_t line;
	const char *text;
	size_t length;
};

/* Each key with the line it comes from first. */
struct seen {
	struct seen_rule *rules; /* in the order of the text */
	size_t n, room;
	uint32_t *slots; /* number of the rule plus 1, or 0; a power of two of them, at most half full */
	size_t n_slots;
	stralloc keys;
};

/* The rule that has this key, or NULL. */
const struct seen_rule *seen_find(const struct seen *seen, const char *key, size_t n);

/* Adds a key that is not there yet; of *rule, everything but the key is taken. False: no memory. */
bool seen_add(struct seen *seen, const char *key, size_t n, const struct seen_rule *rule);

void seen_free(struct seen *seen);

#endif
