/*
 * peer client PORT step... | peer server CERTIFICATE KEY step...: see peer.h. A server prints its port first.
 * What happens is printed line by line: "open", "received N", "end WHY". Bytes sent and expected follow one
 * pattern, so that a lost one is seen. Steps:
 * - send N, text WORDS, upload MS (sends until that fails, or so long)
 * - read N, readall, trickle CHUNK MS (readall with a pause after each chunk), quiet MS (does nothing come?)
 * - both N: sends N and receives till the end at once, with close_notify as soon as N is out
 * - notify (close_notify), fin, close, reset, pause MS, say WORDS, renegotiate, rekey
 * - record TYPE HEX COUNT (protected records), plain HEX (bytes below TLS)
 * - silent, before all else: no handshake
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <fcntl.h>
#include "peer.h"

enum { CHUNK = 65536 };

static int net;
static unsigned long long out_at, in_at;

static void say(const char *what, const char *words)
{
	printf("%s%s\n", what, words);
	fflush(stdout);
}

static void die(const char *what)
{
	say("fatal ", what);
	exit(1);
}

static unsigned char pattern(unsigned long long at)
{
	return (unsigned char)(at % 251);
}

static void wait_for(int how)
{
	struct pollfd p = { net, how == TLS_AGAIN_READ ? POLLIN : POLLOUT, 0 };
	poll(&p, 1, -1);
}

static long milliseconds(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void rest(long ms)
{
	usleep((useconds_t)ms * 1000);
}

/* ---- TCP ---- */

static void small_buffer(int fd)
{
	const char *bytes = getenv("PEER_RCVBUF");
	int n = bytes ? atoi(bytes) : 0;
	if (n && setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &n, sizeof n) < 0)
		die("SO_RCVBUF");
}

static struct sockaddr_in loopback(int port)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons((unsigned short)port) };
	const char *host = getenv("PEER_HOST");
	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (host) { /* network namespaces */
		unsigned b[4];
		if (sscanf(host, "%u.%u.%u.%u", &b[0], &b[1], &b[2], &b[3]) != 4)
			die("PEER_HOST");
		a.sin_addr.s_addr = htonl(b[0] << 24 | b[1] << 16 | b[2] << 8 | b[3]);
	}
	return a;
}

static int reach(int port)
{
	struct sockaddr_in a = loopback(port);
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	small_buffer(fd);
	if (connect(fd, (struct sockaddr *)&a, sizeof a) < 0)
		die("connect");
	return fd;
}

static int accept_one(void)
{
	struct sockaddr_in a = loopback(0);
	socklen_t n = sizeof a;
	int fd, listening = socket(AF_INET, SOCK_STREAM, 0);
	small_buffer(listening);
	if (bind(listening, (struct sockaddr *)&a, sizeof a) < 0 || listen(listening, 4) < 0 ||
		getsockname(listening, (struct sockaddr *)&a, &n) < 0)
		die("listen");
	printf("%d\n", ntohs(a.sin_port));
	fflush(stdout);
	fd = accept(listening, NULL, NULL);
	if (fd < 0)
		die("accept");
	close(listening);
	return fd;
}

/* ---- steps ---- */

static void report_end(long got)
{
	char words[200];
	snprintf(words, sizeof words, "%llu", in_at);
	say("received ", words);
	say("end ", got == 0 ? "close_notify" : tls_why());
}

static void take(const unsigned char *bytes, long n)
{
	for (long i = 0; i < n; i++)
		if (bytes[i] != pattern(in_at + (unsigned long long)i))
			die("received other bytes than expected");
	in_at += (unsigned long long)n;
}

/* Returns false after a failure, which it reports. */
static int put(const void *bytes, size_t n)
{
	const char *at = bytes;
	while (n) {
		long got = tls_write(at, n);
		if (got > 0) {
			at += got;
			n -= (size_t)got;
		} else if (got == TLS_AGAIN_READ || got == TLS_AGAIN_WRITE) {
			wait_for((int)got);
		} else {
			say("send failed ", tls_why());
			return 0;
		}
	}
	return 1;
}

static size_t next_chunk(unsigned char *chunk, unsigned long long left)
{
	size_t n = left < CHUNK ? (size_t)left : CHUNK;
	for (size_t i = 0; i < n; i++)
		chunk[i] = pattern(out_at + i);
	return n;
}

static int send_pattern(unsigned long long left)
{
	static unsigned char chunk[CHUNK];
	while (left) {
		size_t n = next_chunk(chunk, left);
		if (!put(chunk, n))
			return 0;
		out_at += n;
		left -= n;
	}
	return 1;
}

static void receive(unsigned long long most, long chunk_n, long pause_ms)
{
	static unsigned char chunk[CHUNK];
	unsigned long long until = most ? in_at + most : ~0ULL, next_pause = in_at + (unsigned long long)chunk_n;
	long got;
	char words[40];
	while (in_at < until) {
		size_t room = until - in_at < CHUNK ? (size_t)(until - in_at) : CHUNK;
		if (pause_ms && room > 16384)
			room = 16384;
		got = tls_read(chunk, room);
		if (got > 0) {
			take(chunk, got);
			if (pause_ms && in_at >= next_pause) {
				next_pause = in_at + (unsigned long long)chunk_n;
				rest(pause_ms);
			}
		} else if (got == TLS_AGAIN_READ || got == TLS_AGAIN_WRITE) {
			wait_for((int)got);
		} else {
			report_end(got);
			return;
		}
	}
	snprintf(words, sizeof words, "%llu", in_at);
	say("received ", words);
}

static void expect_quiet(long ms)
{
	long end = milliseconds() + ms, left;
	char byte;
	while ((left = end - milliseconds()) > 0) {
		struct pollfd p = { net, POLLIN, 0 };
		long got = tls_read(&byte, 1);
		if (got != TLS_AGAIN_READ) {
			say("not quiet", "");
			return;
		}
		poll(&p, 1, (int)left);
	}
	say("quiet", "");
}

static void finish_sending(void)
{
	if (tls_notify() < 0)
		say("notify failed ", tls_why());
}

/* Both directions at once. */
static void both(unsigned long long left)
{
	static unsigned char out[CHUNK], in[CHUNK];
	int reading = 1, writing = 1;
	while (reading || writing) {
		struct pollfd p = { net, 0, 0 };
		long put_n = 0, got = 0;
		if (writing) {
			size_t n = next_chunk(out, left);
			put_n = n ? tls_write(out, n) : 0;
			if (put_n > 0) {
				out_at += (unsigned long long)put_n;
				left -= (unsigned long long)put_n;
			} else if (put_n == TLS_FAILED) {
				say("send failed ", tls_why());
				writing = 0;
			}
			if (writing && !left) {
				finish_sending();
				writing = 0;
			}
		}
		if (reading) {
			got = tls_read(in, sizeof in);
			if (got > 0) {
				take(in, got);
			} else if (got != TLS_AGAIN_READ && got != TLS_AGAIN_WRITE) {
				report_end(got);
				reading = 0;
			}
		}
		if (put_n <= 0 && got <= 0 && (reading || writing)) {
			p.events = (short)((reading ? POLLIN : 0) | (writing ? POLLOUT : 0));
			poll(&p, 1, 100);
		}
	}
}

static void upload(long ms)
{
	long end = milliseconds() + ms;
	char words[60];
	signal(SIGALRM, SIG_DFL);
	alarm((unsigned)(ms / 1000 + 1));
	while (milliseconds() < end)
		if (!send_pattern(16384))
			break;
	snprintf(words, sizeof words, "%ld", ms - (end - milliseconds()));
	say("upload ended after ms ", words);
}

static size_t unhex(const char *hex, unsigned char *to, size_t room)
{
	size_t n = 0;
	unsigned byte;
	for (; hex[0] && hex[1] && n < room && sscanf(hex, "%2x", &byte) == 1; hex += 2)
		to[n++] = (unsigned char)byte;
	return n;
}

static void records(const char *type, const char *hex, const char *count)
{
	static unsigned char bytes[20000];
	size_t n = unhex(hex, bytes, sizeof bytes);
	for (int i = 0; i < atoi(count); i++)
		if (tls_record(atoi(type), bytes, n) < 0) {
			say("record failed ", tls_why());
			return;
		}
}

static void plain(const char *hex)
{
	static unsigned char bytes[20000];
	size_t n = unhex(hex, bytes, sizeof bytes);
	if (send(net, bytes, n, MSG_NOSIGNAL) < 0)
		say("plain failed ", strerror(errno));
}

static void reset(void)
{
	struct linger l = { 1, 0 };
	if (setsockopt(net, SOL_SOCKET, SO_LINGER, &l, sizeof l) < 0)
		die("SO_LINGER");
	close(net);
}

/* One step; returns how many arguments it took. */
static int step(char **a, int n)
{
	const char *what = a[0], *one = n > 1 ? a[1] : "0";
	if (!strcmp(what, "send"))
		return (void)send_pattern(strtoull(one, NULL, 10)), 2;
	if (!strcmp(what, "text"))
		return (void)put(one, strlen(one)), 2;
	if (!strcmp(what, "read"))
		return receive(strtoull(one, NULL, 10), 0, 0), 2;
	if (!strcmp(what, "readall"))
		return receive(0, 0, 0), 1;
	if (!strcmp(what, "trickle") && n > 2)
		return receive(0, atol(one), atol(a[2])), 3;
	if (!strcmp(what, "both"))
		return both(strtoull(one, NULL, 10)), 2;
	if (!strcmp(what, "upload"))
		return upload(atol(one)), 2;
	if (!strcmp(what, "notify"))
		return finish_sending(), 1;
	if (!strcmp(what, "fin"))
		return (void)shutdown(net, SHUT_WR), 1;
	if (!strcmp(what, "close"))
		return (void)close(net), 1;
	if (!strcmp(what, "reset"))
		return reset(), 1;
	if (!strcmp(what, "pause"))
		return rest(atol(one)), 2;
	if (!strcmp(what, "say"))
		return say("", one), 2;
	if (!strcmp(what, "quiet"))
		return expect_quiet(atol(one)), 2;
	if (!strcmp(what, "plain"))
		return plain(one), 2;
	if (!strcmp(what, "record") && n > 3)
		return records(one, a[2], a[3]), 4;
	if (!strcmp(what, "rekey"))
		return tls_rekey() < 0 ? say("rekey failed ", tls_why()) : (void)0, 1;
	if (!strcmp(what, "renegotiate"))
		return say("renegotiation ", tls_renegotiate() < 0 ? tls_why() : "done"), 1;
	die(what);
	return 1;
}

int main(int argc, char **argv)
{
	struct peer_setup setup = { .twist = getenv("PEER_TWIST") };
	const char *version = getenv("PEER_VERSION");
	int at, how, flags, on = 1, silent;

	signal(SIGPIPE, SIG_IGN);
	alarm(getenv("PEER_TIMEOUT") ? (unsigned)atoi(getenv("PEER_TIMEOUT")) : 25);
	if (argc < 4)
		die("usage");
	setup.server = !strcmp(argv[1], "server");
	setup.authorities = getenv("PEER_AUTHORITIES");
	setup.name = getenv("PEER_NAME");
	setup.v13 = version && !strcmp(version, "TLSv1.3");
	if (!setup.twist)
		setup.twist = "";
	if (setup.server) {
		setup.certificate = argv[2];
		setup.key = argv[3];
	}
	at = setup.server ? 4 : 3;
	net = setup.server ? accept_one() : reach(atoi(argv[2]));
	setsockopt(net, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	silent = at < argc && !strcmp(argv[at], "silent");
	at += silent;
	if (!silent) {
		flags = fcntl(net, F_GETFL);
		fcntl(net, F_SETFL, flags | O_NONBLOCK);
		tls_start(net, &setup);
		while ((how = tls_handshake()) == TLS_AGAIN_READ || how == TLS_AGAIN_WRITE)
			wait_for(how);
		if (how < 0) {
			say("handshake failed ", tls_why());
			return 1;
		}
		say("open ", tls_words());
	}
	while (at < argc)
		at += step(argv + at, argc - at);
	return 0;
}
