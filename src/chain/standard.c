/*
 * Descriptors 0, 1 and 2, before anything else is done with them.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include "chain/chain.h"

bool chain_open_standard(void)
{
	for (int fd = 0; fd <= 2; fd++)
		if (fcntl(fd, F_GETFD) < 0) {
			if (errno != EBADF ||
				open("/dev/null", fd == 0 ? O_RDONLY : O_WRONLY) != fd) /* the lowest free one */
				return false;
		}
	return true;
}

void chain_unshare_stderr(void)
{
	struct stat in, err;
	int null;

	if (fstat(0, &in) < 0 || fstat(2, &err) < 0 || !S_ISSOCK(in.st_mode) || in.st_dev != err.st_dev ||
		in.st_ino != err.st_ino)
		return;
	null = open("/dev/null", O_WRONLY | O_CLOEXEC);
	if (null < 0 || dup2(null, 2) < 0)
		(void)close(2); /* better no log than one that the peer reads */
	if (null > 2)
		(void)close(null);
}
