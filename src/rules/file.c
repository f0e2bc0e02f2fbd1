/*
 * A file of rules on disk: opened and looked at before anything is searched in it. A cdb that was cut off
 * would otherwise give the answer "no rule" for many keys, which means that everybody is let in.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "internal.h"

enum { CDB_HEADER = 2048, CDB_TABLES = 256 };

static uint32_t little_endian(const char *at)
{
	const unsigned char *byte = (const unsigned char *)at;

	return byte[0] | (uint32_t)byte[1] << 8 | (uint32_t)byte[2] << 16 | (uint32_t)byte[3] << 24;
}

/* The header points to 256 tables of eight bytes a slot: all have to be inside. */
bool rules_file_is_whole(const cdb *file)
{
	if (file->size < CDB_HEADER)
		return false;
	for (size_t i = 0; i < CDB_TABLES; i++) {
		uint64_t at = little_endian(file->map + 8 * i), slots = little_endian(file->map + 8 * i + 4);

		if (at < CDB_HEADER || at + 8 * slots > file->size)
			return false;
	}
	return true;
}

static bool refuse(int error, const char *reason, const char **why)
{
	errno = error;
	*why = reason ? reason : strerror(error);
	return false;
}

static bool map(struct rules *rules, int fd, const char **why)
{
	static const char not_cdb[] = "not a whole cdb file";
	struct stat file;

	if (fstat(fd, &file) < 0)
		return refuse(errno, NULL, why);
	if (!S_ISREG(file.st_mode))
		return refuse(EINVAL, "not a regular file", why);
	if (file.st_size < CDB_HEADER)
		return refuse(EPROTO, not_cdb, why);
	if (!cdb_init_fromfd(&rules->file, fd))
		return refuse(errno, NULL, why);
	if (rules_file_is_whole(&rules->file))
		return true;
	rules_close(rules);
	return refuse(EPROTO, not_cdb, why);
}

bool rules_open(struct rules *rules, const char *path, const char **why)
{
	/* Not blocking: opening a FIFO that nobody writes to would take for ever. */
	int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY), error;
	bool mapped;

	if (fd < 0)
		return refuse(errno, NULL, why);
	mapped = map(rules, fd, why);
	error = errno;
	(void)close(fd); /* was only read */
	errno = error;
	return mapped;
}

void rules_close(struct rules *rules)
{
	cdb_free(&rules->file);
	rules->file = (cdb)CDB_ZERO;
}
