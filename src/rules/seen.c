/*
 * The keys of all rules of a text, with the line that each comes from: a hash table with open addressing.
 * tcprules asks it which rules can never match.
 */
#include <stdlib.h>
#include <string.h>
#include "internal.h"

/* FNV-1a */
static uint32_t hash_of(const char *key, size_t n)
{
	uint32_t hash = 2166136261U;

	for (size_t i = 0; i < n; i++)
		hash = (hash ^ (unsigned char)key[i]) * 16777619U;
	return hash;
}

/* The slot of a key, or the empty one where it belongs. The table is never full. */
static size_t slot_of(const struct seen *seen, const char *key, size_t n, uint32_t hash)
{
	size_t slot = hash & (seen->n_slots - 1);

	for (; seen->slots[slot] != 0; slot = (slot + 1) & (seen->n_slots - 1)) {
		const struct seen_rule *rule = &seen->rules[seen->slots[slot] - 1];
		if (rule->hash == hash && rule->key_length == n && memcmp(seen->keys.s + rule->key_at, key, n) == 0)
			break;
	}
	return slot;
}

const struct seen_rule *seen_find(const struct seen *seen, const char *key, size_t n)
{
	size_t slot;

	if (seen->n_slots == 0)
		return NULL;
	slot = slot_of(seen, key, n, hash_of(key, n));
	return seen->slots[slot] ? &seen->rules[seen->slots[slot] - 1] : NULL;
}

static bool grow(struct seen *seen)
{
	size_t room = seen->room ? 2 * seen->room : 1024, n_slots = 2 * room;
	struct seen_rule *rules;
	uint32_t *slots;

	if (n_slots > UINT32_MAX / 2)
		return false;
	rules = realloc(seen->rules, room * sizeof *rules);
	if (!rules)
		return false;
	seen->rules = rules;
	slots = calloc(n_slots, sizeof *slots);
	if (!slots)
		return false;
	for (size_t i = 0; i < seen->n; i++) {
		size_t slot = rules[i].hash & (n_slots - 1);
		while (slots[slot] != 0)
			slot = (slot + 1) & (n_slots - 1);
		slots[slot] = (uint32_t)i + 1;
	}
	free(seen->slots);
	seen->slots = slots;
	seen->n_slots = n_slots;
	seen->room = room;
	return true;
}

bool seen_add(struct seen *seen, const char *key, size_t n, const struct seen_rule *rule)
{
	struct seen_rule *added;

	if ((seen->n == seen->room && !grow(seen)) || n > UINT32_MAX)
		return false;
	added = &seen->rules[seen->n];
	*added = *rule;
	added->hash = hash_of(key, n);
	added->key_at = seen->keys.len;
	added->key_length = (uint32_t)n;
	if (!stralloc_catb(&seen->keys, key, n))
		return false;
	seen->slots[slot_of(seen, key, n, added->hash)] = (uint32_t)++seen->n;
	return true;
}

void seen_free(struct seen *seen)
{
	free(seen->rules);
	free(seen->slots);
	stralloc_free(&seen->keys);
}
