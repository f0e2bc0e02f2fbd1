/*
 * The TLS client of package/bench: TLS 1.2, or 1.3 with -3; no resumption, AES-128-GCM; tests/bench/prog.c is
 * at the other end.
 *
 *   load [-3] connect  PORT COUNT            connections one after the other, one byte there and back on each
 *   load [-3] echo     PORT COUNT PID...     round trips of a byte on one connection
 *   load [-3] idle     PORT COUNT PID...     that many connections at the same time
 *   load [-3] send     PORT SIZE BYTES PID...     BYTES to the server in writes of SIZE
 *   load [-3] receive  PORT SIZE BYTES PID...     BYTES from the server, whose program writes SIZE at a time
 *   load start COUNT CODE PROGRAM...         no connection: runs PROGRAM that often with nothing to read
 *
 * PID: the roots of the server's process trees. Of each process below them a line says name, processor time
 * used meanwhile (ns), and proportional set size (KiB; 0 if it may not be read) before and after. Times are
 * those of the processor clocks, not ticks. connect says the key exchange, start how long PROGRAM took to
 * exit with CODE (median, ns).
 */
#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

enum { PROCESSES_MAX = 4096, ROOTS_MAX = 4, SIZE_MAX_OF_WRITE = 65536, PATIENCE_S = 100 };

static _Noreturn void die(const char *doing)
{
	fprintf(stderr, "load: fatal: unable to %s\n", doing);
	ERR_print_errors_fp(stderr);
	exit(111);
}

static unsigned long long number(const char *text)
{
	char *end;
	unsigned long long n = strtoull(text, &end, 10);

	if (!*text || *end)
		die("read a number");
	return n;
}

static long long nanoseconds(clockid_t clock)
{
	struct timespec t;

	if (clock_gettime(clock, &t) < 0)
		return -1;
	return (long long)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* ---- processes of the server ---- */

struct process {
	pid_t pid, parent;
	bool below;
	char name[32];
	long long cpu_ns, pss_kib;
};

struct snapshot {
	struct process at[PROCESSES_MAX];
	size_t n;
};

static struct snapshot before, after;
static pid_t roots[ROOTS_MAX];
static int n_roots;

static bool read_process(pid_t pid, struct process *process)
{
	char path[64], line[512];
	const char *opening, *closing;
	char state;
	int parent;
	FILE *file;
	bool good;

	(void)snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
	file = fopen(path, "r");
	good = file && fgets(line, sizeof line, file);
	if (file && fclose(file) != 0)
		good = false;
	if (!good || !(opening = strchr(line, '(')) || !(closing = strrchr(line, ')')) ||
		sscanf(closing + 1, " %c %d", &state, &parent) != 2)
		return false;
	*process = (struct process){ .pid = pid, .parent = parent };
	(void)snprintf(process->name, sizeof process->name, "%.*s", (int)(closing - opening - 1), opening + 1);
	return true;
}

/* The whole process: ended threads are in its clock too. */
static long long processor_time(pid_t pid)
{
	clockid_t clock;
	return clock_getcpuclockid(pid, &clock) == 0 ? nanoseconds(clock) : -1;
}

static long long proportional_set(pid_t pid)
{
	char path[64], line[256];
	long long kib = 0;
	FILE *file;

	(void)snprintf(path, sizeof path, "/proc/%d/smaps_rollup", (int)pid);
	file = fopen(path, "r");
	while (file && fgets(line, sizeof line, file))
		if (sscanf(line, "Pss: %lld", &kib) == 1)
			break;
	if (file && fclose(file) != 0)
		return 0;
	return kib;
}

static bool is_below(const struct snapshot *s, const struct process *process)
{
	for (int i = 0; i < n_roots; i++)
		if (process->pid == roots[i] || process->parent == roots[i])
			return true;
	for (size_t i = 0; i < s->n; i++)
		if (s->at[i].below && s->at[i].pid == process->parent)
			return true;
	return false;
}

static void take_snapshot(struct snapshot *s, bool with_memory)
{
	DIR *folder = opendir("/proc");
	const struct dirent *entry;

	if (!folder)
		die("read /proc");
	s->n = 0;
	while ((entry = readdir(folder)) && s->n < PROCESSES_MAX)
		if (atoi(entry->d_name) > 0 && read_process(atoi(entry->d_name), &s->at[s->n]))
			s->n++;
	if (closedir(folder) < 0 || s->n == PROCESSES_MAX)
		die("read /proc");
	for (bool more = true; more;) {
		more = false;
		for (size_t i = 0; i < s->n; i++)
			if (!s->at[i].below && is_below(s, &s->at[i]))
				more = s->at[i].below = true;
	}
	for (size_t i = 0; i < s->n; i++)
		if (s->at[i].below) {
			s->at[i].cpu_ns = processor_time(s->at[i].pid);
			s->at[i].pss_kib = with_memory ? proportional_set(s->at[i].pid) : 0;
		}
}

static const struct process *in_snapshot(const struct snapshot *s, pid_t pid)
{
	for (size_t i = 0; i < s->n; i++)
		if (s->at[i].below && s->at[i].pid == pid)
			return &s->at[i];
	return NULL;
}

static void print_processes(void)
{
	for (size_t i = 0; i < before.n; i++)
		if (before.at[i].below && !in_snapshot(&after, before.at[i].pid))
			die("find a process of the server again: it has ended during the measurement");
	for (size_t i = 0; i < after.n; i++) {
		const struct process *now = &after.at[i], *then = in_snapshot(&before, now->pid);
		if (now->below)
			printf("process %s %lld %lld %lld\n", now->name, now->cpu_ns - (then ? then->cpu_ns : 0),
				then ? then->pss_kib : 0, now->pss_kib);
	}
}

/* ---- TLS ---- */

static SSL_CTX *context;
static struct sockaddr_in address = { .sin_family = AF_INET };
static char buffer[SIZE_MAX_OF_WRITE];

static void prepare(const char *port, int version)
{
	address.sin_port = htons((in_port_t)number(port));
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	context = SSL_CTX_new(TLS_client_method());
	if (!context || !SSL_CTX_set_min_proto_version(context, version) ||
		!SSL_CTX_set_max_proto_version(context, version) ||
		!SSL_CTX_set_cipher_list(context, "ECDHE-ECDSA-AES128-GCM-SHA256") ||
		!SSL_CTX_set_ciphersuites(context, "TLS_AES_128_GCM_SHA256") ||
		!SSL_CTX_set1_groups_list(context, "X25519:P-256"))
		die("prepare TLS");
	(void)SSL_CTX_set_options(context, SSL_OP_NO_TICKET);
	(void)SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_verify(context, SSL_VERIFY_NONE, NULL);
}

static SSL *open_connection(void)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1;
	SSL *ssl = SSL_new(context);

	if (fd < 0 || !ssl || setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one) < 0 ||
		connect(fd, (struct sockaddr *)&address, sizeof address) < 0)
		die("connect");
	if (!SSL_set_fd(ssl, fd) || SSL_connect(ssl) != 1 || SSL_session_reused(ssl))
		die("shake hands");
	return ssl;
}

static void send_all(SSL *ssl, const char *from, size_t n)
{
	if (SSL_write(ssl, from, (int)n) != (int)n)
		die("send");
}

static void round_trip(SSL *ssl, char byte)
{
	send_all(ssl, &byte, 1);
	if (SSL_read(ssl, buffer, sizeof buffer) != 1 || *buffer != byte)
		die("get the byte back");
}

/* close_notify, then whatever still comes, to the end. */
static void close_connection(SSL *ssl)
{
	int fd = SSL_get_fd(ssl);

	if (SSL_shutdown(ssl) < 0)
		die("say close_notify");
	while (read(fd, buffer, sizeof buffer) > 0)
		;
	SSL_free(ssl);
	if (close(fd) < 0)
		die("close");
}

/* ---- the measurements ---- */

static void measure_connections(unsigned long long count)
{
	for (unsigned long long i = 0; i < count; i++) {
		SSL *ssl = open_connection();
		EVP_PKEY *key = NULL;
		round_trip(ssl, 'e');
		if (!i && SSL_get_peer_tmp_key(ssl, &key))
			printf("exchange %s\n", EVP_PKEY_get0_type_name(key));
		EVP_PKEY_free(key);
		close_connection(ssl);
	}
}

static int by_value(const void *a, const void *b)
{
	const long long *x = a, *y = b;
	return *x < *y ? -1 : *x > *y;
}

static void measure_echo(unsigned long long count)
{
	long long *took = calloc(count, sizeof *took);
	SSL *ssl = open_connection();

	if (!took || !count)
		die("remember so many times");
	for (int i = 0; i < 100; i++)
		round_trip(ssl, 'e');
	take_snapshot(&before, false);
	for (unsigned long long i = 0; i < count; i++) {
		long long start = nanoseconds(CLOCK_MONOTONIC);
		round_trip(ssl, 'e');
		took[i] = nanoseconds(CLOCK_MONOTONIC) - start;
	}
	take_snapshot(&after, false);
	close_connection(ssl);
	qsort(took, count, sizeof *took, by_value);
	printf("median %lld\np99 %lld\n", took[count / 2], took[count * 99 / 100]);
	print_processes();
	free(took);
}

/* Of the program's descriptors, 0 is at its end at once and 2 is not shown. */
static void measure_start(unsigned long long count, unsigned long long code, char **command)
{
	extern char **environ;
	long long *took = calloc(count, sizeof *took);
	posix_spawn_file_actions_t actions;

	if (!took || !count || posix_spawn_file_actions_init(&actions) != 0 ||
		posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDWR, 0) != 0 ||
		posix_spawn_file_actions_adddup2(&actions, 0, 2) != 0)
		die("prepare to run a program");
	for (unsigned long long i = 0; i < count; i++) {
		long long start = nanoseconds(CLOCK_MONOTONIC);
		pid_t pid;
		int status;

		if (posix_spawn(&pid, command[0], &actions, NULL, command, environ) != 0 ||
			waitpid(pid, &status, 0) != pid)
			die("run the program");
		if (!WIFEXITED(status) || (unsigned long long)WEXITSTATUS(status) != code)
			die("have the program exit as it should");
		took[i] = nanoseconds(CLOCK_MONOTONIC) - start;
	}
	qsort(took, count, sizeof *took, by_value);
	printf("median %lld\n", took[count / 2]);
	free(took);
}

static void measure_idle(unsigned long long count)
{
	SSL **all = calloc(count, sizeof(SSL *));

	if (!all)
		die("remember so many connections");
	take_snapshot(&before, true);
	for (unsigned long long i = 0; i < count; i++) {
		all[i] = open_connection();
		round_trip(all[i], 'e');
	}
	take_snapshot(&after, true);
	for (unsigned long long i = 0; i < count; i++)
		close_connection(all[i]);
	print_processes();
	free(all);
}

static void measure_bulk(bool sending, size_t size, unsigned long long bytes)
{
	char command[64];
	int n = snprintf(command, sizeof command, "%c %zu %llu\n", sending ? 'r' : 's', size, bytes);
	SSL *ssl = open_connection();
	long long start;

	send_all(ssl, command, (size_t)n);
	if (SSL_read(ssl, buffer, 1) != 1 || *buffer != 'g')
		die("start the transfer");
	take_snapshot(&before, false);
	start = nanoseconds(CLOCK_MONOTONIC);
	if (sending) {
		for (unsigned long long left = bytes; left; left -= size) {
			if (size > left)
				size = (size_t)left;
			send_all(ssl, buffer, size);
		}
		if (SSL_read(ssl, buffer, 1) != 1 || *buffer != 'd')
			die("hear that all has come");
	} else {
		send_all(ssl, "g", 1);
		for (unsigned long long left = bytes; left;) {
			int got = SSL_read(ssl, buffer, sizeof buffer);
			if (got <= 0 || (unsigned long long)got > left)
				die("receive");
			left -= (unsigned long long)got;
		}
	}
	printf("elapsed %lld\n", nanoseconds(CLOCK_MONOTONIC) - start);
	take_snapshot(&after, false);
	close_connection(ssl);
	print_processes();
}

int main(int argc, char **argv)
{
	bool newer = argc > 1 && !strcmp(argv[1], "-3"), bulk;
	int first;

	argc -= newer;
	argv += newer;
	bulk = argc > 1 && (!strcmp(argv[1], "send") || !strcmp(argv[1], "receive"));
	first = bulk ? 5 : 4;
	if (argc < first || signal(SIGPIPE, SIG_IGN) == SIG_ERR)
		die("understand the arguments");
	(void)alarm(PATIENCE_S);
	if (!strcmp(argv[1], "start")) {
		if (argc < 5)
			die("understand the arguments");
		measure_start(number(argv[2]), number(argv[3]), argv + 4);
		return fflush(stdout) == 0 ? 0 : 111;
	}
	if (argc - first > ROOTS_MAX)
		die("understand the arguments");
	prepare(argv[2], newer ? TLS1_3_VERSION : TLS1_2_VERSION);
	for (int i = first; i < argc; i++)
		roots[n_roots++] = (pid_t)number(argv[i]);
	if (bulk) {
		unsigned long long size = number(argv[3]);
		if (!size || size > SIZE_MAX_OF_WRITE)
			die("write so much at a time");
		measure_bulk(!strcmp(argv[1], "send"), (size_t)size, number(argv[4]));
	} else if (!strcmp(argv[1], "connect"))
		measure_connections(number(argv[3]));
	else if (!strcmp(argv[1], "echo"))
		measure_echo(number(argv[3]));
	else if (!strcmp(argv[1], "idle"))
		measure_idle(number(argv[3]));
	else
		die("understand the arguments");
	return fflush(stdout) == 0 ? 0 : 111;
}
