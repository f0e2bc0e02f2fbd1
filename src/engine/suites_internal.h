/*
 * Shared by the files that know cipher suites.
 */
#ifndef ENGINE_SUITES_INTERNAL_H
#define ENGINE_SUITES_INTERNAL_H

#include "engine/suites.h"

/* suites.c: the i-th suite of the table; NULL behind the last. */
const struct suite *suites_at(size_t i);
/* Those that the engine has, in the order in which groups give them: policy first. */
size_t suites_available(const struct suites_engine *, const struct suite *out[SUITES_MAX]);
/* Makes a list of suites that are in order of preference. */
void suites_list_of(const struct suite *const *suites, size_t n, struct suites_list *);

/* suites_words.c: true if text is the word of n bytes (which are no NUL). */
bool suites_is_word(const char *text, const char *word, size_t n);
/* A group: *any gets the traits of which its suites have one, 0 if it has
 * none. */
bool suites_group(const char *word, size_t n, uint32_t *any);
/* A suite by either name; NULL: it is none of the table. */
const struct suite *suites_named(const char *word, size_t n);
/* A name of a suite that no engine here ever uses. */
bool suites_never_used(const char *word, size_t n);

#endif
