/*
 * The program behind the TLS servers that package/bench measures. On 0 and 1, as its first bytes say:
 *   e...               echoes everything, this byte too
 *   s SIZE BYTES\n     answers g, waits for one byte, then writes BYTES in writes of SIZE
 *   r SIZE BYTES\n     answers g, reads BYTES, answers d
 * and ends at the end of its input. With -l PORT it listens on 127.0.0.1 and does this in a child for each
 * connection.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ROOM = 65536 };

static char buffer[ROOM];

static bool write_all(const char *from, size_t n)
{
	while (n) {
		ssize_t wrote = write(1, from, n);
		if (wrote <= 0)
			return false;
		from += wrote;
		n -= (size_t)wrote;
	}
	return true;
}

static bool echo(size_t n)
{
	ssize_t got;

	if (!write_all(buffer, n))
		return false;
	while ((got = read(0, buffer, sizeof buffer)) > 0)
		if (!write_all(buffer, (size_t)got))
			return false;
	return got == 0;
}

static bool source(size_t size, unsigned long long bytes)
{
	if (read(0, buffer, 1) != 1)
		return false;
	for (; bytes; bytes -= size) {
		if (size > bytes)
			size = (size_t)bytes;
		if (!write_all(buffer, size))
			return false;
	}
	return read(0, buffer, 1) == 0;
}

static bool sink(unsigned long long bytes)
{
	while (bytes) {
		ssize_t got = read(0, buffer, sizeof buffer);
		if (got <= 0)
			return false;
		bytes -= (size_t)got < bytes ? (size_t)got : bytes;
	}
	return write_all("d", 1) && read(0, buffer, 1) == 0;
}

static bool serve(void)
{
	ssize_t got = read(0, buffer, sizeof buffer - 1);
	char mode;
	size_t size;
	unsigned long long bytes;

	if (got <= 0)
		return got == 0;
	if (*buffer == 'e')
		return echo((size_t)got);
	buffer[got] = 0; /* the client waits for g, so that the line has come in one piece */
	if (sscanf(buffer, "%c %zu %llu", &mode, &size, &bytes) != 3 || !size || size > ROOM ||
		!write_all("g", 1))
		return false;
	return mode == 's' ? source(size, bytes) : sink(bytes);
}

static void serve_connection(int listener, int connection)
{
	int one = 1;
	bool good = setsockopt(connection, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one) == 0 &&
				dup2(connection, 0) == 0 && dup2(connection, 1) == 1;

	if (close(connection) < 0 || close(listener) < 0)
		good = false;
	_exit(good && serve() ? 0 : 1);
}

/* Ended children are waited for, so that what they used is counted with the parent's. */
static int listen_for_ever(int port)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons((in_port_t)port) };
	int listener = socket(AF_INET, SOCK_STREAM, 0), one = 1;

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (listener < 0 || setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) < 0 ||
		bind(listener, (struct sockaddr *)&address, sizeof address) < 0 || listen(listener, 256) < 0) {
		perror("prog: unable to listen");
		return 111;
	}
	for (;;) {
		int connection = accept(listener, NULL, NULL);
		if (connection < 0 && errno != EINTR && errno != ECONNABORTED)
			return 111;
		while (waitpid(-1, NULL, WNOHANG) > 0)
			;
		if (connection < 0)
			continue;
		if (fork() == 0)
			serve_connection(listener, connection);
		if (close(connection) < 0)
			return 111;
	}
}

int main(int argc, char **argv)
{
	if (argc == 3 && !strcmp(argv[1], "-l"))
		return listen_for_ever(atoi(argv[2]));
	return serve() ? 0 : 1;
}
