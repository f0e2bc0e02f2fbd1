/*
 * Who does what under which ids in sslserver and sslclient: the table of DESIGN §5 in code. Decides, and
 * changes the environment of the io program accordingly; becoming somebody is done by others.
 */
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "chain.h"
#include "conf.h"

#define ID_MAX 4294967294UL

/* The ids asked for the io program, from the environment; has_… false where nothing is said. */
struct io_ids {
	bool has_uid, has_gid;
	unsigned long uid, gid;
};

static bool fail(struct chain_problem *problem, const char *doing, const char *object, const char *reason)
{
	*problem = (struct chain_problem){
		.exit_code = EXIT_CONFIGURATION, .doing = doing, .object = object, .reason = reason
	};
	return false;
}

static bool no_memory(struct chain_problem *problem)
{
	*problem = (struct chain_problem){
		.exit_code = EXIT_SYSTEM, .doing = "change the environment", .errnum = ENOMEM
	};
	return false;
}

static bool set_number(
	stralloc *changes, const char *name, unsigned long number, struct chain_problem *problem)
{
	char text[24];

	(void)snprintf(text, sizeof text, "%lu", number);
	return chain_set(changes, name, text) || no_memory(problem);
}

/* The first of the two names that is set, as a number. */
static bool read_id(
	const char *name, const char *other, bool *has, unsigned long *id, struct chain_problem *problem)
{
	const char *text = getenv(name);

	if (!text) {
		name = other;
		text = getenv(name);
	}
	*has = text != NULL;
	if (text && !option_scan_number(text, ID_MAX, id))
		return fail(problem, "use", name, "not a number");
	return true;
}

/* A user and a group, each of which may be NULL, in numbers. The numbers themselves win where they are given;
 * a user brings its own group. */
static bool resolve_names(
	const char *user, const char *group, struct io_ids *ids, stralloc *changes, struct chain_problem *problem)
{
	const struct passwd *account;
	const struct group *entry;

	if (group && !ids->has_gid) {
		entry = getgrnam(group);
		if (!entry)
			return fail(problem, "use SSL_GROUP", group, "no such group");
		ids->has_gid = true;
		ids->gid = entry->gr_gid;
		if (!set_number(changes, "SSL_GID", ids->gid, problem))
			return false;
	}
	if (!user || ids->has_uid)
		return true;
	account = getpwnam(user);
	if (!account)
		return fail(problem, "use SSL_USER", user, "no such user");
	ids->has_uid = true;
	ids->uid = account->pw_uid;
	if (!set_number(changes, "SSL_UID", ids->uid, problem))
		return false;
	if (ids->has_gid)
		return true;
	ids->has_gid = true;
	ids->gid = account->pw_gid;
	return set_number(changes, "SSL_GID", ids->gid, problem);
}

/* What a record sets a variable to, NULL: nothing. A copy, as changes grows while it is used. False: no
 * memory. */
static bool copy_value(const stralloc *changes, size_t record, const char *name, char **value)
{
	size_t n = strlen(name);

	*value = NULL;
	for (size_t at = record; at < changes->len; at += strlen(changes->s + at) + 1) {
		const char *change = changes->s + at;

		if (strncmp(change, name, n) != 0 || change[n] != '=')
			continue;
		free(*value);
		*value = strdup(change + n + 1);
		if (!*value)
			return false;
	}
	return true;
}

bool chain_name_rights(stralloc *changes, size_t record, struct chain_problem *problem)
{
	static const char *const names[] = { "SSL_USER", "SSL_GROUP", "SSL_UID", "SSL_GID" };
	char *values[4] = { NULL };
	struct io_ids ids = { .has_uid = false };
	bool good = true;

	for (size_t i = 0; i < 4 && good; i++)
		good = copy_value(changes, record, names[i], &values[i]) || no_memory(problem);
	ids.has_uid = values[2] != NULL;
	ids.has_gid = values[3] != NULL;
	/* The problem may point to a name, which is why only the other two are freed. */
	free(values[2]);
	free(values[3]);
	return good && resolve_names(values[0], values[1], &ids, changes, problem);
}

/* Only root can give away what it has. */
static bool check_unprivileged(
	const struct chain_identity *asked, const struct io_ids *ids, struct chain_problem *problem)
{
	if (getenv("SSL_CHROOT"))
		return fail(problem, "use", "SSL_CHROOT", "not started as root");
	if ((ids->has_uid && ids->uid != geteuid()) || (asked->set_uid && asked->uid != geteuid()))
		return fail(problem, "change to", "another user", "not started as root");
	if ((ids->has_gid && ids->gid != getegid()) || (asked->set_gid && asked->gid != getegid()))
		return fail(problem, "change to", "another group", "not started as root");
	return true;
}

/* As root: TLS_UID and TLS_GID for what the environment leaves open. */
static bool complete_ids(const struct chain_identity *asked, const struct io_ids *ids, bool listener_drops,
	stralloc *changes, struct chain_problem *problem)
{
	bool stays_root = ids->has_uid && ids->uid == 0;

	if (!ids->has_uid && !set_number(changes, "TLS_UID", asked->set_uid ? asked->uid : CONF_UID, problem))
		return false;
	if (ids->has_gid)
		return true;
	if (asked->set_gid)
		return set_number(changes, "TLS_GID", asked->gid, problem);
	/* After -u alone the listener keeps its group, and so must everything behind it. */
	return listener_drops || stays_root || set_number(changes, "TLS_GID", CONF_UID, problem);
}

bool chain_decide_rights(const struct chain_identity *asked, struct chain_rights *rights, stralloc *changes,
	struct chain_problem *problem)
{
	struct io_ids ids = { .has_uid = false };
	bool io_apart;

	memset(rights, 0, sizeof *rights);
	if (!read_id("SSL_UID", "TLS_UID", &ids.has_uid, &ids.uid, problem) ||
		!read_id("SSL_GID", "TLS_GID", &ids.has_gid, &ids.gid, problem) ||
		!resolve_names(getenv("SSL_USER"), getenv("SSL_GROUP"), &ids, changes, problem))
		return false;
	if (geteuid() != 0)
		return check_unprivileged(asked, &ids, problem);
	io_apart = ids.has_uid || ids.has_gid || getenv("SSL_CHROOT");
	if (asked->set_uid && !io_apart)
		rights->listener = *asked;
	else
		rights->prog = *asked;
	return complete_ids(asked, &ids, asked->set_uid && !io_apart, changes, problem);
}
