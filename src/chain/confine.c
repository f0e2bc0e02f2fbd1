/*
 * The rights of an io program (DESIGN §5): everything is open, the network has not yet been read. From here
 * on it can do nothing but compute and move bytes between the descriptors it has.
 */
#include <errno.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/prctl.h>
#endif
#include "chain/chain.h"
#include "conf.h"

#define ID_MAX 4294967294UL

enum { DESCRIPTORS_MIN = 16 }; /* poll refuses more entries than RLIMIT_NOFILE */

struct wish {
	bool change_uid, change_gid;
	uid_t uid;
	gid_t gid;
	const char *folder; /* chroot; NULL: none */
};

static bool refuse(struct chain_problem *problem, const char *doing, const char *object, const char *reason)
{
	*problem = (struct chain_problem){ EXIT_CONFIGURATION, doing, object, reason, reason ? 0 : errno };
	return false;
}

/* The first of two variables that is set, as a number. */
static bool read_id(const char *first, const char *second, bool *given, unsigned long *id, const char **name,
	struct chain_problem *problem)
{
	const char *text = getenv(*name = first);

	if (!text)
		text = getenv(*name = second);
	*given = text != NULL;
	if (text && !option_scan_number(text, ID_MAX, id))
		return refuse(problem, "use", *name, "not a number");
	return true;
}

static bool read_wish(struct wish *wish, struct chain_problem *problem)
{
	bool root = geteuid() == 0;
	unsigned long uid = 0, gid = 0;
	const char *uid_name, *gid_name;

	if ((getenv("SSL_USER") && !getenv("SSL_UID")) || (getenv("SSL_GROUP") && !getenv("SSL_GID")))
		return refuse(problem, "use", getenv("SSL_USER") ? "SSL_USER" : "SSL_GROUP",
			"names are looked up by sslserver and sslclient only: set SSL_UID and SSL_GID");
	if (!read_id("SSL_UID", "TLS_UID", &wish->change_uid, &uid, &uid_name, problem) ||
		!read_id("SSL_GID", "TLS_GID", &wish->change_gid, &gid, &gid_name, problem))
		return false;
	if (wish->change_uid && uid == 0 && uid_name[0] == 'T')
		return refuse(problem, "use", "TLS_UID", "only SSL_UID may be 0");
	wish->uid = (uid_t)uid;
	wish->gid = (gid_t)gid;
	if (root && !wish->change_uid) {
		wish->change_uid = true;
		wish->uid = CONF_UID;
	}
	if (root && !wish->change_gid && wish->uid != 0 && getegid() == 0) {
		wish->change_gid = true; /* the group of root is no part of a dropped identity */
		wish->gid = CONF_UID;
	}
	wish->folder = getenv("SSL_CHROOT");
	if (!root && wish->change_uid && wish->uid != geteuid())
		return refuse(problem, "use", uid_name, "only root can become another uid");
	if (!root && wish->change_gid && wish->gid != getegid())
		return refuse(problem, "use", gid_name, "only root can become another gid");
	if (!root && wish->folder)
		return refuse(problem, "use", "SSL_CHROOT", "only root can change its root directory");
	return true;
}

/* At most value; what is stricter already stays. */
static void lower(struct rlimit *limits, rlim_t value)
{
	if (limits->rlim_max > value)
		limits->rlim_max = value;
	if (limits->rlim_cur > limits->rlim_max)
		limits->rlim_cur = limits->rlim_max;
}

/* A macro, as the type of a resource has no name that every libc knows. */
#define LIMIT(resource, value)                                                                               \
	(getrlimit(resource, &limits) == 0 && (lower(&limits, value), setrlimit(resource, &limits) == 0))

bool chain_not_traceable(void)
{
#ifdef PR_SET_DUMPABLE
	return prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == 0;
#else
	return true;
#endif
}

static bool no_new_rights(void)
{
#ifdef PR_SET_NO_NEW_PRIVS
	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0;
#else
	return true;
#endif
}

static bool drop(const struct wish *wish, struct chain_problem *problem)
{
	bool root = geteuid() == 0;

	if (root && setgroups(0, NULL) < 0)
		return refuse(problem, "drop supplementary groups", NULL, NULL);
	if (wish->folder && (chroot(wish->folder) < 0 || chdir("/") < 0))
		return refuse(problem, "chroot to", wish->folder, NULL);
	if (root && wish->change_gid && setgid(wish->gid) < 0)
		return refuse(problem, "change gid", NULL, NULL);
	if (root && wish->change_uid && setuid(wish->uid) < 0)
		return refuse(problem, "change uid", NULL, NULL);
	if (wish->change_uid && wish->uid != 0 && setuid(0) == 0)
		return refuse(problem, "change uid", NULL, "root could be had back");
	return true;
}

static rlim_t descriptors_needed(const struct chain_io *io)
{
	int highest = io->fdr > io->fdw ? io->fdr : io->fdw;

	if (io->report > highest)
		highest = io->report;
	if (io->control > highest)
		highest = io->control;
	return (rlim_t)(highest + 1 > DESCRIPTORS_MIN ? highest + 1 : DESCRIPTORS_MIN);
}

bool chain_confine(const struct chain_io *io, struct chain_problem *problem)
{
	struct rlimit limits;
	struct wish wish;

	if (!read_wish(&wish, problem))
		return false;
	if (!LIMIT(RLIMIT_CORE, 0) || !chain_not_traceable())
		return refuse(problem, "forbid core files", NULL, NULL);
	if (!drop(&wish, problem))
		return false;
	if (!no_new_rights() || !chain_not_traceable() || !LIMIT(RLIMIT_NPROC, 0) ||
		!LIMIT(RLIMIT_NOFILE, descriptors_needed(io)))
		return refuse(problem, "give up rights", NULL, NULL);
	return true;
}
