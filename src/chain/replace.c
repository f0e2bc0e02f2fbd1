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

/*
 * Nothing is cut off before it is known to be a file of its own: not the target itself, no device, and not
 * what somebody made a link point to.
 */
void chain_replace_begin(struct chain_replacement *r)
{
	struct stat made, old;

	r->fd = open(r->temporary, O_WRONLY | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | O_NOCTTY, 0644);
	if (r->fd < 0 || fstat(r->fd, &made) < 0)
		chain_replace_fail(r, "create", r->temporary, errno);
	if (!S_ISREG(made.st_mode))
		net_die(r->program, EXIT_SYSTEM, "create", r->temporary, "something else than a file is there");
	if (stat(r->target, &old) == 0 && old.st_dev == made.st_dev && old.st_ino == made.st_ino)
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
	if (fsync(r->fd) < 0 || close(r->fd) < 0)
		chain_replace_fail(r, "write to", r->temporary, errno);
	if (rename(r->temporary, r->target) < 0) {
		int error = errno;

		(void)unlink(r->temporary);
		net_log(r->program, ": fatal: unable to move ", r->temporary, " to ", r->target, ": ",
			strerror(error), NULL);
		_exit(EXIT_SYSTEM);
	}
	r->made = false;
	if (!chain_sync_folder(r->target))
		chain_replace_fail(r, "write to the folder of", r->target, errno);
}
