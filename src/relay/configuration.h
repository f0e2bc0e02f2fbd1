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

/* ciphers.c: the suites of CIPHERS, once the versions are known, which may become fewer by it. */
bool ciphers_load(struct relay_configuration *, struct relay_problem *);
/* Servers: whether each identity has a key that a suite can be used with. */
bool ciphers_fit(const struct relay_configuration *, struct relay_problem *);

/* pins.c: TLS_PIN. */
bool pins_load(struct relay_configuration *, struct relay_problem *);
/* Refuses an accepted leaf that is not pinned, if there are pins. */
void pins_judge(const struct relay_configuration *, struct bytes leaf, struct x509_verdict *);

/* trust.c: whom to believe, and under which name. */
bool trust_load_for_client(struct relay_configuration *, const struct relay_wish *, struct relay_problem *);
bool trust_load_for_server(struct relay_configuration *, const struct relay_wish *, struct relay_problem *);
/* Takes out of the trust store what may be an anchor for this chain, before it is judged. False: damaged, or no
 * memory. */
bool trust_fetch(struct relay_configuration *, const struct bytes *chain, size_t n);

/* revocation.c: CRLFILE, CRLDIR, TLS_CRLPOLICY, for whoever is believed. */
bool revocation_load(struct relay_configuration *, struct relay_problem *);

/* identity.c */

struct identity_files {
	int folder;                    /* AT_FDCWD, or a descriptor of the folder that paths begin in */
	const char *certificate, *key; /* paths, which may be the same */
	const struct bytes *password;  /* of an encrypted key; NULL: none */
};

bool identity_load(
	struct relay_identity *, const struct identity_files *, bool check, struct relay_problem *);
/* The one of CERTCHAINFILE, CERTFILE, KEYFILE. */
bool identity_load_own(struct relay_identity *, const struct relay_wish *, struct relay_problem *);
/* Overwrites its keys. */
void identity_wipe(struct relay_identity *);

/* names.c: CERTFILE:name, KEYFILE:name, TLS_SNI, TLS_SNIDIR. */
bool names_load(struct relay_configuration *, const struct relay_wish *, struct relay_problem *);
/* Clients: TLS_SNI, the name to send; *name stays where it is unset. */
bool names_read_sent(const char **name, struct relay_problem *);

/* protocols.c: TLS_ALPN. */
bool protocols_load(struct relay_configuration *, struct relay_problem *);

#endif
