/*
 * tcprules rules.cdb rules.tmp: compiles the rules on its standard input into a cdb, which takes the place of
 * rules.cdb in one step, so that a server that opens it sees either the old rules or the new ones. Whatever
 * goes wrong, rules.cdb stays as it is.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <skalibs/stralloc.h>
#include "net/net.h"
#include "rules/rules.h"

static const char program[] = "tcprules";
static const char usage[] = "rules.cdb rules.tmp";

enum { EXIT_RULES = 100, EXIT_SYSTEM = 111, READ_BYTES = 65536, TEXT_MAX = 1 << 30 };

/* What is removed when something goes wrong: the temporary file, once it is ours. */
static const char *temporary;

static _Noreturn void fail(const char *doing, const char *object, int error)
{
	if (temporary)
		(void)unlink(temporary);
	net_die(program, EXIT_SYSTEM, doing, object, strerror(error));
}

/* ---- remarks on lines ---- */

static void say(const char *kind, const struct rules_remark *remark)
{
	char number[24], text[1001];
	size_t n = remark->length < sizeof text - 1 ? remark->length : sizeof text - 1;

	(void)snprintf(number, sizeof number, "%zu", remark->line);
	for (size_t i = 0; i < n; i++)
		text[i] = remark->text[i] ? remark->text[i] : '?';
	text[n] = '\0';
	net_log(program, kind, "line ", number, ": ", remark->reason, ": ", text, n < remark->length ? "..." : "",
		NULL);
}

static void warn(const struct rules_remark *remark)
{
	say(": warning: ", remark);
}

/* ---- the steps ---- */

static void read_rules(stralloc *text)
{
	while (text->len <= TEXT_MAX) {
		ssize_t n;

		if (!stralloc_readyplus(text, READ_BYTES))
			fail("read", "input", ENOMEM);
		n = read(0, text->s + text->len, READ_BYTES);
		if (n == 0)
			return;
		if (n > 0)
			text->len += (size_t)n;
		else if (errno != EINTR)
			fail("read", "input", errno);
	}
	fail("read", "input", EFBIG);
}

/*
 * Nothing is cut off before it is known to be a file of its own: not rules.cdb itself, no device, and not
 * what somebody made a link point to.
 */
static int create(const char *path, const char *target)
{
	struct stat made, old;
	int fd = open(path, O_WRONLY | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | O_NOCTTY, 0644);

	if (fd < 0 || fstat(fd, &made) < 0)
		fail("create", path, errno);
	if (!S_ISREG(made.st_mode))
		net_die(program, EXIT_SYSTEM, "create", path, "something else than a file is there");
	if (stat(target, &old) == 0 && old.st_dev == made.st_dev && old.st_ino == made.st_ino)
		net_usage(program, "rules.cdb and rules.tmp have to be two files", usage);
	if (ftruncate(fd, 0) < 0)
		fail("create", path, errno);
	temporary = path;
	return fd;
}

static void compile(const stralloc *text, int fd, const char *path)
{
	struct rules_remark wrong;

	switch (rules_compile(text->s, text->len, fd, &wrong, warn)) {
	case RULES_COMPILED:
		return;
	case RULES_WRONG:
		(void)unlink(path);
		say(": fatal: ", &wrong);
		_exit(EXIT_RULES);
	case RULES_NOT_WRITTEN:
		fail("write to", path, errno);
	}
}

/* The folder is written, too, so that the new file is still there after a crash. Where that cannot be, it is
 * left. */
static void sync_folder(const char *path)
{
	const char *slash = strrchr(path, '/');
	char *folder = slash ? strndup(path, (size_t)(slash - path) + 1) : strdup(".");
	int fd;

	if (!folder)
		fail("write to the folder of", path, ENOMEM);
	fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd >= 0) { /* a folder that may be written to but not be read is left to the system */
		if (fsync(fd) < 0 && errno != EINVAL && errno != ENOTSUP)
			fail("write to the folder of", path, errno);
		(void)close(fd);
	}
	free(folder);
}

static void replace(const char *path, const char *target)
{
	if (rename(path, target) < 0) {
		int error = errno;

		(void)unlink(path);
		net_log(program, ": fatal: unable to move ", path, " to ", target, ": ", strerror(error), NULL);
		_exit(EXIT_SYSTEM);
	}
	temporary = NULL;
	sync_folder(target);
}

int main(int argc, char **argv)
{
	stralloc text = STRALLOC_ZERO;
	const char *target, *path;
	int fd;

	if (argc != 3)
		net_usage(program, NULL, usage);
	target = argv[1];
	path = argv[2];
	read_rules(&text);
	fd = create(path, target);
	compile(&text, fd, path);
	if (fsync(fd) < 0 || close(fd) < 0)
		fail("write to", path, errno);
	replace(path, target);
	stralloc_free(&text);
	return 0;
}
