/*
 * A file that takes the place of another in one step, so that whoever opens it sees either the old one or the
 * new one. Whatever goes wrong, the old one stays as it is. For tcprules and tlstrust, which end with it;
 * tlscert has its own way of storing files, but for their folder.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include "chain.h"
#include "net/net.h"

void chain_replace_fail(struct chain_replacement *r, const char *doing, const char *object, int error)
{
	if (r->made)
		(void)unlink(r->temporary);
	net_die(r->program, EXIT_SYSTEM, doing, object, strerror(error));
}

static bool is_same_file(const struct stat *one, const struct stat *other)
{
	return one->st_dev == other->st_dev && one->st_ino == other->st_ino;
}

/*
 * Ours alone until we end: another run with the same temporary file would write into what has its place
 * already. Where a file system has no locks, nobody sees to that. True: it still has its name.
 */
static bool open_temporary(struct chain_replacement *r, struct stat *made)
{
	struct stat named;

	r->fd = open(r->temporary, O_WRONLY | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | O_NOCTTY, 0644);
	if (r->fd < 0 || fstat(r->fd, made) < 0)
		chain_replace_fail(r, "create", r->temporary, errno);
	if (!S_ISREG(made->st_mode))
		net_die(r->program, EXIT_SYSTEM, "create", r->temporary, "something else than a file is there");
	if (flock(r->fd, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK)
		net_die(r->program, EXIT_SYSTEM, "create", r->temporary, "somebody else is writing it");
	return lstat(r->temporary, &named) == 0 && is_same_file(made, &named);
}

/*
 * Nothing is cut off before it is known to be a file of its own: not the target itself, no device, and not
 * what somebody made a link point to.
 */
void chain_replace_begin(struct chain_replacement *r)
{
	enum { TRIES = 10 };
	struct stat made, old;

	for (int tries = 1; !open_temporary(r, &made); tries++) { /* it got its place before the lock was free */
		if (tries == TRIES)
			net_die(r->program, EXIT_SYSTEM, "create", r->temporary, "somebody else is writing it");
		(void)close(r->fd); /* nothing was written */
	}
	if (stat(r->target, &old) == 0 && is_same_file(&made, &old))
		net_usage(r->program, r->same_file, r->usage);
	if (ftruncate(r->fd, 0) < 0)
		chain_replace_fail(r, "create", r->temporary, errno);
	r->made = true;
}

bool chain_sync_folder(const char *path)
{
	const char *slash = strrchr(path, '/');
	char *folder = slash ? strndup(path, (size_t)(slash - path) + 1) : strdup(".");
	int fd, error = 0;

	if (!folder)
		return false;
	fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	free(folder);
	if (fd < 0)
		return true;
	if (fsync(fd) < 0 && errno != EINVAL && errno != ENOTSUP)
		error = errno;
	(void)close(fd); /* nothing was written through it */
	errno = error;
	return !error;
}

void chain_replace_finish(struct chain_replacement *r)
{
	/* The lock is of the open file, and stays with the copy of the descriptor until the file has its name. */
	int lock = fcntl(r->fd, F_DUPFD_CLOEXEC, 3);

	if (lock < 0 || fsync(r->fd) < 0 || close(r->fd) < 0)
		chain_replace_fail(r, "write to", r->temporary, errno);
	if (rename(r->temporary, r->target) < 0) {
		int error = errno;

		(void)unlink(r->temporary);
		net_log(r->program, ": fatal: unable to move ", r->temporary, " to ", r->target, ": ",
			strerror(error), NULL);
		_exit(EXIT_SYSTEM);
	}
	r->made = false;
	(void)close(lock); /* all is on the disk */
	if (!chain_sync_folder(r->target))
		chain_replace_fail(r, "write to the folder of", r->target, errno);
}
