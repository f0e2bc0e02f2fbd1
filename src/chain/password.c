/*
 * The password of encrypted keys (-3): from descriptor 3 into memory of its own, which is in no core file and
 * in no child, and from there to an io program, over a fresh pipe as its descriptor 3.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "chain/chain.h"
#include "x509/x509.h"

enum { ROOM = CHAIN_PASSWORD_MAX + 1 };

/* ---- memory ---- */

bool chain_password_share(const struct chain_password *password, bool with_children)
{
#ifdef MADV_DONTFORK
	return !password->text || madvise(password->text, ROOM, with_children ? MADV_DOFORK : MADV_DONTFORK) == 0;
#else
	(void)password;
	(void)with_children;
	return true;
#endif
}

static bool not_in_core_files(void *pages)
{
#ifdef MADV_DONTDUMP
	return madvise(pages, ROOM, MADV_DONTDUMP) == 0;
#else
	(void)pages;
	return true;
#endif
}

/* Pages of its own, as whatever is said of memory is said of whole pages. */
static bool make_room(struct chain_password *password)
{
	void *pages = mmap(NULL, ROOM, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (pages == MAP_FAILED)
		return false;
	*password = (struct chain_password){ .text = pages };
	(void)mlock(pages, ROOM); /* not to be written to swap, where the limits allow it */
	return not_in_core_files(pages) && chain_not_traceable() && chain_password_share(password, false);
}

void chain_password_wipe(struct chain_password *password)
{
	if (!password->text)
		return;
	x509_wipe(password->text, ROOM);
	(void)munmap(password->text, ROOM); /* what was mapped can be unmapped */
	*password = (struct chain_password){ .text = NULL };
}

/* ---- reading ---- */

/* 1: a byte, 0: end of file, -1: errno says why, ETIMEDOUT that there was none until the deadline. One at a
 * time, as what follows the password is somebody else's. */
static ssize_t next_byte(int64_t deadline, unsigned char *byte)
{
	for (;;) {
		ssize_t got;

		if (!chain_wait_until_readable(CHAIN_PASSWORD_FD, deadline))
			return -1;
		got = read(CHAIN_PASSWORD_FD, byte, 1);
		if (got >= 0 || (errno != EINTR && errno != EAGAIN))
			return got;
	}
}

/* NULL, or the words of the refusal. */
static const char *read_text(struct chain_password *password, int64_t deadline)
{
	for (;;) {
		unsigned char byte;
		ssize_t got = next_byte(deadline, &byte);

		if (got < 0)
			return errno == ETIMEDOUT ? "it did not come in time"
				   : errno == EBADF   ? "not open for reading"
									  : strerror(errno);
		if (got == 0)
			return password->n ? "it ends without a zero byte" : "end of file";
		if (!byte)
			return NULL;
		if (password->n == CHAIN_PASSWORD_MAX)
			return "longer than 1023 bytes";
		password->text[password->n++] = byte;
	}
}

static bool read_password(struct chain_password *password, int64_t deadline, struct chain_problem *problem)
{
	*password = (struct chain_password){ .text = NULL };
	*problem = (struct chain_problem){
		.exit_code = EXIT_CONFIGURATION, .doing = "read the password from", .object = "descriptor 3"
	};
	if (fcntl(CHAIN_PASSWORD_FD, F_GETFD) < 0)
		problem->reason = "not open";
	else if (!make_room(password))
		*problem = (struct chain_problem){ EXIT_SYSTEM, "make room for", "the password", NULL, errno };
	else
		problem->reason = read_text(password, deadline);
	if (!problem->reason && !problem->errnum)
		return true;
	chain_password_wipe(password);
	return false;
}

bool chain_password_read(struct chain_password *password, int64_t deadline, struct chain_problem *problem)
{
	bool good = read_password(password, deadline, problem);

	(void)close(CHAIN_PASSWORD_FD); /* it may not have been open */
	return good;
}

bool chain_password_take(struct chain_password *password, int64_t deadline, struct chain_problem *problem)
{
	int null;

	if (!read_password(password, deadline, problem))
		return false;
	null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (null >= 0 && dup3(null, CHAIN_PASSWORD_FD, O_CLOEXEC) >= 0 && close(null) == 0)
		return true;
	*problem = (struct chain_problem){ EXIT_SYSTEM, "close", "descriptor 3", NULL, errno };
	chain_password_wipe(password);
	return false;
}

/* ---- handing on ---- */

bool chain_password_hand_on(struct chain_password *password)
{
	const size_t n = password->n + 1; /* the zero byte stands there */
	int ends[2];
	bool good = pipe2(ends, O_CLOEXEC) == 0;

	/* No pipe has less room than this. */
	good = good && write(ends[1], password->text, n) == (ssize_t)n && close(ends[1]) == 0 &&
		   dup2(ends[0], CHAIN_PASSWORD_FD) >= 0 && close(ends[0]) == 0;
	chain_password_wipe(password);
	return good;
}
