/*
 * Becoming somebody else for good.
 */
#include <errno.h>
#include <grp.h>
#include <unistd.h>
#include "chain/chain.h"

bool chain_become(const struct chain_identity *identity)
{
	if (!identity->set_uid && !identity->set_gid)
		return true;
	if (geteuid() == 0) {
		gid_t gid = identity->set_gid ? identity->gid : getegid();
		if (setgroups(0, NULL) < 0 || setgid(gid) < 0)
			return false;
		if (identity->set_uid && setuid(identity->uid) < 0)
			return false;
		return true;
	}
	/* Not root: only what is so already. */
	if ((identity->set_gid && (identity->gid != getgid() || identity->gid != getegid())) ||
		(identity->set_uid && (identity->uid != getuid() || identity->uid != geteuid()))) {
		errno = EPERM;
		return false;
	}
	return true;
}
