/*
 * From memory to files that are whole, private from their first moment, and never in the way of others.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "certify/certify.h"

enum { FILES_MAX = 2, PATH_BYTES = 4096, TAG_BYTES = 8, LOCK_WAIT_MS = 10000, LOCK_PAUSE_MS = 20 };

struct storing {
	const struct certify_file *file;
	char temporary[PATH_BYTES];
	bool written; /* temporary is there */
	bool named;   /* the file has its name, which was nobody's before */
	bool swapped; /* likewise, and temporary is what had that name before */
};

static bool fail(struct chain_problem *problem, const char *doing, const char *path, int errnum)
{
	*problem = (struct chain_problem){ EXIT_SYSTEM, doing, path, NULL, errnum };
	return false;
}

const char *certify_refuse_path(const char *path, bool replace)
{
	struct stat there;

	if (lstat(path, &there) < 0)
		return errno == ENOENT ? NULL : strerror(errno);
	if (!replace)
		return strerror(EEXIST);
	return S_ISREG(there.st_mode) || S_ISLNK(there.st_mode) ? NULL : "something else than a file is there";
}

/* The same tag for all files: two paths that lead to one place then have one temporary file, which the second
 * finds there. */
static bool name_temporary(struct storing *storing, const unsigned char tag[TAG_BYTES])
{
	char text[2 * TAG_BYTES + 1];
	int n;

	for (size_t i = 0; i < TAG_BYTES; i++)
		(void)snprintf(text + 2 * i, 3, "%02x", tag[i]);
	n = snprintf(storing->temporary, sizeof storing->temporary, "%s.%s", storing->file->path, text);
	return n > 0 && (size_t)n < sizeof storing->temporary;
}

static bool write_all(int fd, struct bytes text)
{
	while (text.n > 0) {
		ssize_t n = write(fd, text.at, text.n);

		if (n < 0 && errno != EINTR)
			return false;
		if (n > 0) {
			text.at += n;
			text.n -= (size_t)n;
		}
	}
	return true;
}

static bool write_temporary(struct storing *storing, struct chain_problem *problem)
{
	const struct certify_file *file = storing->file;
	int fd = open(storing->temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, file->mode),
		error;

	if (fd < 0)
		return fail(problem, "create", errno == EEXIST ? file->path : storing->temporary, errno);
	storing->written = true;
	error = write_all(fd, file->text) && fsync(fd) == 0 ? 0 : errno;
	if (close(fd) < 0 && !error)
		error = errno;
	return !error || fail(problem, "write to", storing->temporary, error);
}

/* Gives a file a name that nobody has. */
static int rename_to_new(const char *from, const char *to)
{
#ifdef RENAME_NOREPLACE
	if (renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) == 0)
		return 0;
	if (errno != EINVAL && errno != ENOSYS)
		return -1;
#endif
	if (link(from, to) < 0)
		return -1;
	(void)unlink(from); /* a second name of the file, with the same mode */
	return 0;
}

/* Two files that have their names change them, where the file system can do that. */
static int exchange(const char *one, const char *other)
{
#ifdef RENAME_EXCHANGE
	return renameat2(AT_FDCWD, one, AT_FDCWD, other, RENAME_EXCHANGE);
#else
	errno = ENOSYS;
	return -1;
#endif
}

/* What is replaced is kept until all has its name. */
static bool replace_file(struct storing *storing)
{
	const char *path = storing->file->path;

	if (exchange(storing->temporary, path) == 0) {
		storing->swapped = true;
		return true;
	}
	if (errno != ENOENT && errno != EINVAL && errno != ENOSYS && errno != ENOTSUP)
		return false;
	storing->named = errno == ENOENT;
	if (rename(storing->temporary, path) < 0)
		return storing->named = false;
	storing->written = false;
	return true;
}

static bool name_file(struct storing *storing, bool replace, struct chain_problem *problem)
{
	const char *path = storing->file->path, *bad = replace ? certify_refuse_path(path, true) : NULL;

	if (bad) {
		*problem = (struct chain_problem){ EXIT_SYSTEM, "create", path, bad, 0 };
		return false;
	}
	if (replace)
		return replace_file(storing) || fail(problem, "create", path, errno);
	if (rename_to_new(storing->temporary, path) < 0)
		return fail(problem, "create", path, errno);
	storing->written = false;
	storing->named = true;
	return true;
}

static int open_folder(const char *path)
{
	const char *slash = strrchr(path, '/');
	char folder[PATH_BYTES] = ".";

	if (slash) {
		memcpy(folder, path, (size_t)(slash - path) + 1); /* shorter than the temporary file's */
		folder[slash - path + 1] = '\0';
	}
	return open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

/* Of two runs at the same time with the same two files, one must not give its name to the first and the other
 * to the second. Whoever can read the folder can keep us waiting, which therefore ends. */
static bool lock_folder(const char *path, int *fd, struct chain_problem *problem)
{
	const struct timespec pause = { 0, LOCK_PAUSE_MS * 1000000L };

	*fd = open_folder(path);
	for (int tries = LOCK_WAIT_MS / LOCK_PAUSE_MS; *fd >= 0 && flock(*fd, LOCK_EX | LOCK_NB) < 0; tries--) {
		if (errno != EWOULDBLOCK && errno != EINTR)
			break; /* a file system without locks */
		if (!tries) {
			return fail(problem, "lock the folder of", path, EWOULDBLOCK);
		}
		(void)nanosleep(&pause, NULL); /* a shorter one does as well */
	}
	return true;
}

static bool store(struct storing *storing, size_t n, bool replace, int *locked, struct chain_problem *problem)
{
	for (size_t i = 0; i < n; i++)
		if (!write_temporary(&storing[i], problem))
			return false;
	if (n > 1 && replace && !lock_folder(storing[0].file->path, locked, problem))
		return false;
	for (size_t i = 0; i < n; i++)
		if (!name_file(&storing[i], replace, problem))
			return false;
	for (size_t i = 0; i < n; i++)
		if (!chain_sync_folder(storing[i].file->path))
			return fail(problem, "write to the folder of", storing[i].file->path, errno);
	return true;
}

/* All have their names: from here on what was there before cannot be had back. */
static bool forget_replaced(struct storing *storing, size_t n, struct chain_problem *problem)
{
	bool good = true;

	for (size_t i = 0; i < n; i++)
		if (storing[i].swapped && unlink(storing[i].temporary) < 0 && good)
			good = fail(problem, "remove what was replaced, now", storing[i].temporary, errno);
	return good;
}

/* Everything as it was. What was replaced and does not get its name back stays under the other one. */
static void take_back(struct storing *storing)
{
	if (storing->swapped && exchange(storing->temporary, storing->file->path) < 0)
		storing->written = false;
	if (storing->written)
		(void)unlink(storing->temporary); /* as well as it goes: another failure is said already */
	if (storing->named)
		(void)unlink(storing->file->path);
}

/* What would end the process waits; a limit on the size of files becomes an error of write. */
struct held {
	sigset_t mask;
	struct sigaction too_large;
};

static void hold_signals(struct held *held)
{
	static const int ending[] = { SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTSTP, SIGALRM };
	const struct sigaction ignore = { .sa_handler = SIG_IGN };
	sigset_t set;

	(void)sigemptyset(&set);
	for (size_t i = 0; i < sizeof ending / sizeof ending[0]; i++)
		(void)sigaddset(&set, ending[i]);
	(void)sigprocmask(SIG_BLOCK, &set, &held->mask);
	(void)sigaction(SIGXFSZ, &ignore, &held->too_large);
}

static void release_signals(const struct held *held)
{
	(void)sigaction(SIGXFSZ, &held->too_large, NULL);
	(void)sigprocmask(SIG_SETMASK, &held->mask, NULL);
}

bool certify_store(const struct certify_file *files, size_t n, bool replace, struct chain_problem *problem)
{
	static struct storing storing[FILES_MAX]; /* a problem names what is in it */
	unsigned char tag[TAG_BYTES];
	struct held held;
	int locked = -1;
	bool done;

	if (n > FILES_MAX)
		return fail(problem, "create", files[0].path, EINVAL);
	if (!engine_random(tag, sizeof tag))
		return fail(problem, "get random bytes", NULL, errno);
	for (size_t i = 0; i < n; i++) {
		storing[i] = (struct storing){ .file = &files[i] };
		if (!name_temporary(&storing[i], tag))
			return fail(problem, "create", files[i].path, ENAMETOOLONG);
	}
	hold_signals(&held);
	done = store(storing, n, replace, &locked, problem);
	for (size_t i = 0; !done && i < n; i++)
		take_back(&storing[i]);
	done = done && forget_replaced(storing, n, problem);
	if (locked >= 0)
		(void)close(locked); /* which unlocks it */
	release_signals(&held);
	return done;
}
