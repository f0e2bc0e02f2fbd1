/*
 * The names of a made-up connection, as a server asks for them: ask [-bhpr] [-l name] [-t seconds] [-u uid]
 * localip localport remoteip remoteport. Prints what came, how long it took, and what the subprocess was; its
 * drop callback becomes uid.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "net/net.h"

static bool drop(void *context)
{
	const uid_t *uid = context;
	char line[64];
	int open_ones = 0;

	if (*uid && (setgid(*uid) < 0 || setuid(*uid) < 0))
		return false;
	for (int fd = 3; fd < 256; fd++)
		open_ones += fcntl(fd, F_GETFD) >= 0;
	(void)snprintf(line, sizeof line, "subprocess: uid %u, %d open\n", (unsigned)getuid(), open_ones);
	return write(2, line, strlen(line)) > 0;
}

/* -b: a subprocess that somebody has taken over says what it likes, and does not end. */
static bool break_in(void *context)
{
	static const char reply[] = "a\nb.test\0-x.test\0joe:x";

	(void)context;
	if (write(3, reply, sizeof reply) > 0)
		for (;;)
			(void)pause();
	return false;
}

int main(int argc, char **argv)
{
	uid_t uid = 0;
	struct net_questions questions = { .seconds = 26, .drop = drop, .context = &uid };
	struct net_connection connection;
	struct net_answers answers;
	int64_t began;
	int letter;

	memset(&connection, 0, sizeof connection);
	while ((letter = getopt(argc, argv, "+bhprl:t:u:")) != -1) {
		if (letter == 'b')
			questions.drop = break_in;
		else if (letter == 'h')
			questions.remote_host = true;
		else if (letter == 'p')
			questions.paranoid = true;
		else if (letter == 'r')
			questions.remote_info = true;
		else if (letter == 'l')
			connection.local_host = optarg;
		else if (letter == 't')
			questions.seconds = (unsigned)atoi(optarg);
		else if (letter == 'u')
			uid = (uid_t)atoi(optarg);
		else
			return 100;
	}
	if (argc - optind != 4 || !net_scan_ip(argv[optind], &connection.local) ||
		!net_scan_ip(argv[optind + 2], &connection.remote))
		return 100;
	connection.local.port = (uint16_t)atoi(argv[optind + 1]);
	connection.remote.port = (uint16_t)atoi(argv[optind + 3]);
	began = net_now();
	if (!net_ask(&questions, &connection, &answers)) {
		perror("net_ask");
		return 111;
	}
	printf("local %s\nremote %s\ninfo %s\nms %lld\n", connection.local_host ? connection.local_host : "-",
		connection.remote_host ? connection.remote_host : "-",
		connection.remote_info ? connection.remote_info : "-", (long long)(net_now() - began));
	printf("children %s\n", waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD ? "none" : "left");
	return 0;
}
