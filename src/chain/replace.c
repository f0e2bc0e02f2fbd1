/*
 * A file that takes the place of another in one step, so that whoever opens it sees either the old one or the
 * new one. Whatever goes wrong, the old one stays as it is. For tcprules and tlstrust, which end with it.
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

/* The folder is written, too, so that the new file is still there after a crash. Where that cannot be, it is
 * left. */
static void sync_folder(struct chain_replacement *r)
{
	const char *slash = strrchr(r->target, '/');
	char *folder = slash ? strndup(r->target, (size_t)(slash - r->target) + 1) : strdup(".");
	int fd;

	if (!folder)
		chain_replace_fail(r, "write to the folder of", r->target, ENOMEM);
	fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd >= 0) { /* a folder that may be written to but not be read is left to the system */
		if (fsync(fd) < 0 && errno != EINVAL && errno != ENOTSUP)
			chain_replace_fail(r, "write to the folder of", r->target, errno);
		(void)close(fd);
	}
	free(folder);
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
	sync_folder(r);
}
