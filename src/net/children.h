/*
 * The children of a listener: found by pid, counted for each address that they serve. Everything is allocated
 * once for as many as there may be, and found through hash tables, so that a flood costs no more than a
 * trickle.
 */
#ifndef NET_CHILDREN_H
#define NET_CHILDREN_H

#include "net.h"

struct net_child; /* one connection */
struct net_peer;  /* one address that has connections */

struct net_children {
	unsigned max;
	unsigned running;      /* connections now */
	unsigned in_handshake; /* those of them that have not been said to have left it */
	uint64_t seed;         /* of the hash tables, which hold index + 1 of a first entry */
	unsigned bucket_mask;
	unsigned *by_pid, *by_address;
	struct net_child *child;
	struct net_peer *peer;
	unsigned fresh_child, fresh_peer; /* entries from here on have never been used */
	unsigned free_child, free_peer;   /* index + 1 of a first free one */
};

/* Room for max children. False with errno. */
bool net_children_make(struct net_children *children, unsigned max);
void net_children_free(struct net_children *children);

/* How many there are for an address; ports do not matter. */
unsigned net_children_of(const struct net_children *children, const struct net_address *address);

/* There must be fewer than max. */
void net_children_add(struct net_children *children, pid_t pid, const struct net_address *address);

/* It has ended. False if there is no such child. */
bool net_children_remove(struct net_children *children, pid_t pid);

/* Its handshake is over. Nothing happens if there is no such child. */
void net_children_left_handshake(struct net_children *children, pid_t pid);

#endif
