/*
 * Reading a file whole into memory of its own, without leaving copies of it elsewhere: it may hold a key.
 */
#include "x509.h"
#include "file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static unsigned char *fail(struct x509_problem *problem, int errnum)
{
	*problem = (struct x509_problem){ strerror(errnum), errnum };
	return NULL;
}

/* Twice the room, by hand: realloc would leave the old bytes behind. */
static unsigned char *grow(unsigned char *memory, size_t used, size_t *room)
{
	unsigned char *larger = malloc(*room * 2);
	if (larger != NULL) {
		memcpy(larger, memory, used);
		*room *= 2;
	}
	file_free(memory, used);
	return larger;
}

void file_free(unsigned char *memory, size_t n)
{
	int saved = errno;
	if (memory != NULL)
		x509_wipe(memory, n);
	free(memory);
	errno = saved;
}

unsigned char *x509_read_descriptor(int fd, size_t limit, size_t *n, struct x509_problem *problem)
{
	struct stat status;
	if (fstat(fd, &status) < 0)
		return fail(problem, errno);
	if (S_ISDIR(status.st_mode))
		return fail(problem, EINVAL);
	if (S_ISREG(status.st_mode) && (uintmax_t)status.st_size > limit)
		return fail(problem, EFBIG);
	/* One byte more than there should be, so that the read that finds the end needs no more room; one for the
	 * zero. */
	size_t room = S_ISREG(status.st_mode) ? (size_t)status.st_size + 2 : 8192, used = 0;
	unsigned char *memory = malloc(room);
	if (memory == NULL)
		return fail(problem, ENOMEM);
	for (;;) {
		if (room - used < 2 && (memory = grow(memory, used, &room)) == NULL)
			return fail(problem, ENOMEM);
		ssize_t got = read(fd, memory + used, room - used - 1);
		if (got < 0 && errno == EINTR)
			continue;
		int errnum = got < 0 ? errno : 0;
		if (got > 0)
			used += (size_t)got;
		if (used > limit)
			errnum = EFBIG;
		if (errnum != 0) {
			file_free(memory, used);
			return fail(problem, errnum);
		}
		if (got == 0)
			break;
	}
	memory[used] = 0;
	*n = used;
	return memory;
}

unsigned char *x509_read_file(const char *path, size_t limit, size_t *n, struct x509_problem *problem)
{
	int fd;
	do
		fd = open(path, O_RDONLY | O_CLOEXEC);
	while (fd < 0 && errno == EINTR);
	if (fd < 0)
		return fail(problem, errno);
	unsigned char *memory = x509_read_descriptor(fd, limit, n, problem);
	(void)close(fd); /* nothing was written */
	return memory;
}

/* One entry of a directory. What is no regular file, is gone, may not be read or is too large holds nothing
 * for us. */
static bool read_entry(int directory, const char *name, size_t limit, file_taker *take, void *context,
	struct x509_problem *problem)
{
	/* Without O_NONBLOCK a FIFO would hold us up here. */
	int fd = openat(directory, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat status;
	size_t n;
	unsigned char *text = NULL;
	bool good = true;
	if (fd < 0 && errno != EMFILE && errno != ENFILE && errno != ENOMEM)
		return true;
	if (fd < 0) {
		(void)fail(problem, errno);
		return false;
	}
	if (fstat(fd, &status) == 0 && S_ISREG(status.st_mode) && (uintmax_t)status.st_size <= limit) {
		text = x509_read_descriptor(fd, limit, &n, problem);
		good = text != NULL || problem->errnum == EFBIG;
	}
	(void)close(fd);
	return text == NULL ? good : take(context, text, n, problem);
}

bool file_each(const char *path, size_t limit, file_taker *take, void *context, struct x509_problem *problem)
{
	DIR *directory = opendir(path);
	bool good = directory != NULL;
	int errnum = good ? 0 : errno;
	while (good) {
		errno = 0;
		const struct dirent *entry = readdir(directory);
		if (entry == NULL) {
			errnum = errno;
			break;
		}
		if (entry->d_name[0] != '.')
			good = read_entry(dirfd(directory), entry->d_name, limit, take, context, problem);
	}
	if (directory != NULL)
		(void)closedir(directory);
	if (errnum != 0)
		(void)fail(problem, errnum);
	return good && errnum == 0;
}
