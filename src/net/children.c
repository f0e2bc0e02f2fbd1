/*
 * The children of a listener, by pid and by address. Chained hash tables over arrays: a link is the index of
 * the next entry plus one, 0 ends a chain, so that zeroed memory is an empty table and is not touched before
 * it is used.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include "children.h"

struct net_child {
	pid_t pid;
	unsigned peer; /* index */
	unsigned next;
	bool left_handshake;
};

struct net_peer {
	struct net_address address; /* port 0 */
	unsigned connections;
	unsigned next;
};

bool net_children_make(struct net_children *children, unsigned max)
{
	unsigned buckets = 64;

	memset(children, 0, sizeof *children);
	while (buckets < max)
		buckets *= 2;
	children->max = max;
	children->bucket_mask = buckets - 1;
	children->by_pid = calloc(buckets, sizeof *children->by_pid);
	children->by_address = calloc(buckets, sizeof *children->by_address);
	children->child = calloc(max, sizeof *children->child);
	children->peer = calloc(max, sizeof *children->peer);
	if (!children->by_pid || !children->by_address || !children->child || !children->peer) {
		net_children_free(children);
		return false;
	}
	/* Clients choose their addresses, but they do not know the seed. Without random bytes it is merely known.
	 */
	if (getrandom(&children->seed, sizeof children->seed, GRND_NONBLOCK) != sizeof children->seed)
		children->seed = (uint64_t)net_now();
	return true;
}

void net_children_free(struct net_children *children)
{
	free(children->by_pid);
	free(children->by_address);
	free(children->child);
	free(children->peer);
}

/* ---- hash tables ---- */

static uint64_t mix(uint64_t state, uint64_t word)
{
	state =
		(state ^ word) * 0x9e3779b97f4a7c15u; /* 2^64 by the golden ratio: odd, and its bits look random */
	return state ^ state >> 29;
}

static unsigned *bucket_of_pid(const struct net_children *children, pid_t pid)
{
	return &children->by_pid[mix(mix(children->seed, (uint64_t)pid), 0) & children->bucket_mask];
}

static unsigned *bucket_of_address(const struct net_children *children, const struct net_address *address)
{
	uint64_t words[2] = { 0, 0 };

	memcpy(words, address->ip, address->is_v6 ? 16 : 4);
	return &children->by_address[mix(mix(mix(children->seed, words[0]), words[1]), address->scope) &
								 children->bucket_mask];
}

static bool same_address(const struct net_address *a, const struct net_address *b)
{
	return a->is_v6 == b->is_v6 && a->scope == b->scope && memcmp(a->ip, b->ip, a->is_v6 ? 16 : 4) == 0;
}

/* The link that leads to the entry, or the one at the end of its chain. */
static unsigned *link_to_child(const struct net_children *children, pid_t pid)
{
	unsigned *link = bucket_of_pid(children, pid);

	while (*link && children->child[*link - 1].pid != pid)
		link = &children->child[*link - 1].next;
	return link;
}

static unsigned *link_to_peer(const struct net_children *children, const struct net_address *address)
{
	unsigned *link = bucket_of_address(children, address);

	while (*link && !same_address(&children->peer[*link - 1].address, address))
		link = &children->peer[*link - 1].next;
	return link;
}

/* ---- entries ---- */

/* Puts a fresh or freed entry at the end of the chain that link ends. Returns its index. */
static unsigned new_peer(struct net_children *children, unsigned *link, const struct net_address *address)
{
	unsigned index = children->free_peer ? children->free_peer - 1 : children->fresh_peer++;

	if (children->free_peer)
		children->free_peer = children->peer[index].next;
	children->peer[index] = (struct net_peer){ .address = *address };
	*link = index + 1;
	return index;
}

static void leave_peer(struct net_children *children, unsigned index)
{
	struct net_peer *peer = &children->peer[index];

	if (--peer->connections)
		return;
	*link_to_peer(children, &peer->address) = peer->next;
	peer->next = children->free_peer;
	children->free_peer = index + 1;
}

unsigned net_children_of(const struct net_children *children, const struct net_address *address)
{
	unsigned link = *link_to_peer(children, address);

	return link ? children->peer[link - 1].connections : 0;
}

void net_children_add(struct net_children *children, pid_t pid, const struct net_address *address)
{
	unsigned *to_peer = link_to_peer(children, address), *link = link_to_child(children, pid);
	unsigned peer = *to_peer ? *to_peer - 1 : new_peer(children, to_peer, address);
	unsigned index = children->free_child ? children->free_child - 1 : children->fresh_child++;

	if (children->free_child)
		children->free_child = children->child[index].next;
	children->peer[peer].connections++;
	children->child[index] = (struct net_child){ .pid = pid, .peer = peer };
	*link = index + 1;
	children->running++;
	children->in_handshake++;
}

bool net_children_remove(struct net_children *children, pid_t pid)
{
	unsigned *link = link_to_child(children, pid), index = *link - 1;

	if (!*link)
		return false;
	*link = children->child[index].next;
	leave_peer(children, children->child[index].peer);
	if (!children->child[index].left_handshake)
		children->in_handshake--;
	children->running--;
	children->child[index] = (struct net_child){ .next = children->free_child };
	children->free_child = index + 1;
	return true;
}

void net_children_left_handshake(struct net_children *children, pid_t pid)
{
	unsigned link = *link_to_child(children, pid);

	if (!link || children->child[link - 1].left_handshake)
		return;
	children->child[link - 1].left_handshake = true;
	children->in_handshake--;
}
