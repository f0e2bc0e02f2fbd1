/*
 * Shared by the files that read an io program's configuration.
 */
#ifndef RELAY_CONFIGURATION_H
#define RELAY_CONFIGURATION_H

#include "relay/relay.h"

/* Puts the reason in words; always false. */
bool configuration_refuse(struct relay_problem *, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* The value of a variable, or otherwise if it is unset. */
const char *setting(const char *name, const char *otherwise);
/* A variable that holds a number; *value stays if it is unset. */
bool setting_number(
	const char *name, unsigned minimum, unsigned maximum, unsigned *value, struct relay_problem *);
/* A variable that holds one of words (NULL ends them); *which stays if it is unset. */
bool setting_word(const char *name, const char *const *words, unsigned *which, struct relay_problem *);
/* False if a variable asks for something that is not there. */
bool settings_refuse_unbuilt(struct relay_problem *);

/* trust.c: whom to believe, and under which name. */
bool trust_load_for_client(struct relay_configuration *, const struct relay_wish *, struct relay_problem *);
bool trust_load_for_server(struct relay_configuration *, const struct relay_wish *, struct relay_problem *);

/* pair.c: certificate chain and key of CERTCHAINFILE, CERTFILE, KEYFILE. */
bool pair_load(struct relay_configuration *, bool check, struct relay_problem *);

#endif
