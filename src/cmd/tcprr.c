/*
 * tcprr host port [host port]… -- prog…: tcpclient with several targets, which take turns; those that do not
 * answer are passed over. Whose turn it is stands in the file that TCPRR names; without one, chance decides.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <unistd.h>
#include "chain/chain.h"
#include "net/net.h"

static const char name[] = "tcprr";

static _Noreturn void die(const char *doing, const char *path)
{
	net_die(name, EXIT_SYSTEM, doing, path, strerror(errno));
}

/* Takes a number, one higher each time. Whatever else the file holds counts as 0. */
static unsigned long take_number(const char *path)
{
	int file = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOCTTY, 0644);
	char text[24] = "";
	unsigned long number;
	ssize_t n;

	if (file < 0)
		die("open", path);
	while (flock(file, LOCK_EX) < 0)
		if (errno != EINTR)
			die("lock", path);
	n = pread(file, text, sizeof text - 1, 0);
	if (n < 0)
		die("read", path);
	text[strcspn(text, "\n")] = 0;
	if (!option_scan_number(text, 999999999, &number))
		number = 0;
	n = snprintf(text, sizeof text, "%09lu\n", (number + 1) % 1000000000);
	if (pwrite(file, text, (size_t)n, 0) != n)
		die("write", path);
	if (close(file) < 0)
		die("write", path);
	return number;
}

static unsigned long any_number(void)
{
	unsigned number;

	if (getrandom(&number, sizeof number, 0) != (ssize_t)sizeof number)
		die("choose a target", NULL);
	return number;
}

/* The one whose turn it is first, then those behind it, then those before it. */
static void rotate(struct net_target *targets, size_t n)
{
	struct net_target turned[NET_TARGETS_MAX];
	const char *path = getenv("TCPRR");
	size_t begin = (path && *path ? take_number(path) : any_number()) % n;

	for (size_t i = 0; i < n; i++)
		turned[i] = targets[(begin + i) % n];
	memcpy(targets, turned, n * sizeof *targets);
}

int main(int argc, char **argv)
{
	static const struct tcp_client_program program = { .name = name,
		.usage = "[ -46hHrRdDqQv ] [ -i localip ] [ -p localport ] [ -T x+y ] [ -l localname ] "
				 "[ -t seconds ] host port [ host port ] ... -- prog",
		.arrange = rotate };

	tcp_client(&program, argc, argv);
}
