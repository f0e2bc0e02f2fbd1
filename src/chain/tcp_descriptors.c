/*
 * Where the programs of the TCP family put their descriptors: nothing on 0 and 1 of a listener, the
 * connection on 0 and 1 or 6 and 7 of what comes next.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <unistd.h>
#include "chain.h"

static bool duplicate(int from, int to)
{
	int result;

	do
		result = dup2(from, to);
	while (result < 0 && errno == EINTR);
	return result >= 0;
}

bool chain_leave_standard(void)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (null < 0)
		return false;
	/* 0, 1 and 2 are open, so null is none of them. */
	if (!duplicate(null, 0) || !duplicate(null, 1)) {
		close(null);
		return false;
	}
	return close(null) == 0;
}

bool chain_place(int connection, int reading, int writing)
{
	/* dup2 onto itself would keep close-on-exec. */
	if (connection == reading || connection == writing)
		return fcntl(connection, F_SETFD, 0) == 0 &&
			   duplicate(connection, connection == reading ? writing : reading);
	if (!duplicate(connection, reading) || !duplicate(connection, writing))
		return false;
	close(connection); /* its other two names keep it open: nothing can be lost here */
	return true;
}
