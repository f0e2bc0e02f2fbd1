/*
 * A TLS server for tests/path.t that presents whatever bytes it is given as its chain: present chain.pem key.
 * Prints the port it listens on at 127.0.0.1, serves one connection, and says how its handshake ended. It
 * looks at nothing in the certificates: the key need not be that of the leaf where the handshake ends before
 * it is used.
 */
#include <arpa/inet.h>
#include <bearssl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

enum { CERTIFICATES_MAX = 64, FILE_MAX = 1 << 20, WAIT_SECONDS = 25 };

/* Objects of a PEM file, one behind the other. */
struct objects {
	unsigned char bytes[FILE_MAX];
	size_t n, ends[CERTIFICATES_MAX], count;
};

static void die(const char *words)
{
	fprintf(stderr, "present: %s\n", words);
	exit(111);
}

static void collect(void *to, const void *bytes, size_t n)
{
	struct objects *o = to;
	if (n > sizeof o->bytes - o->n)
		die("file too large");
	memcpy(o->bytes + o->n, bytes, n);
	o->n += n;
}

static void read_pem(const char *path, struct objects *to)
{
	static char text[2 * FILE_MAX];
	br_pem_decoder_context pem;
	FILE *file = fopen(path, "r");
	size_t n = file ? fread(text, 1, sizeof text, file) : 0, at = 0;

	if (n == 0)
		die(path);
	(void)fclose(file);
	br_pem_decoder_init(&pem);
	while (at < n) {
		at += br_pem_decoder_push(&pem, text + at, n - at);
		switch (br_pem_decoder_event(&pem)) {
		case BR_PEM_BEGIN_OBJ:
			br_pem_decoder_setdest(&pem, collect, to);
			break;
		case BR_PEM_END_OBJ:
			if (to->count == CERTIFICATES_MAX)
				die("too many certificates");
			to->ends[to->count++] = to->n;
			break;
		case BR_PEM_ERROR:
			die("not PEM");
		}
	}
}

/* Listens, says where, and waits for the one connection. */
static int accept_one(void)
{
	struct sockaddr_in here = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t n = sizeof here;
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&here, sizeof here) < 0 || listen(fd, 1) < 0 ||
		getsockname(fd, (struct sockaddr *)&here, &n) < 0)
		die("listen");
	printf("%d\n", ntohs(here.sin_port));
	(void)fflush(stdout);
	return accept(fd, NULL, NULL);
}

static int receive(void *fd, unsigned char *to, size_t room)
{
	ssize_t n = read(*(int *)fd, to, room);
	return n > 0 ? (int)n : -1;
}

static int transmit(void *fd, const unsigned char *from, size_t n)
{
	ssize_t sent = send(*(int *)fd, from, n, MSG_NOSIGNAL);
	return sent > 0 ? (int)sent : -1;
}

static void prepare(br_ssl_server_context *server, const char *chain_path, const char *key_path)
{
	static struct objects chain_file, key_file;
	static br_x509_certificate chain[CERTIFICATES_MAX];
	static br_skey_decoder_context key;

	read_pem(chain_path, &chain_file);
	read_pem(key_path, &key_file);
	for (size_t i = 0, begin = 0; i < chain_file.count; begin = chain_file.ends[i++])
		chain[i] = (br_x509_certificate){ chain_file.bytes + begin, chain_file.ends[i] - begin };
	br_skey_decoder_init(&key);
	br_skey_decoder_push(&key, key_file.bytes, key_file.n);
	switch (br_skey_decoder_key_type(&key)) {
	case BR_KEYTYPE_EC:
		br_ssl_server_init_full_ec(
			server, chain, chain_file.count, BR_KEYTYPE_EC, br_skey_decoder_get_ec(&key));
		break;
	case BR_KEYTYPE_RSA:
		br_ssl_server_init_full_rsa(server, chain, chain_file.count, br_skey_decoder_get_rsa(&key));
		break;
	default:
		die("no such key");
	}
}

int main(int argc, char **argv)
{
	static br_ssl_server_context server;
	static unsigned char buffer[BR_SSL_BUFSIZE_BIDI];
	br_sslio_context io;
	unsigned char seed[32], byte;
	int fd;

	if (argc != 3)
		die("usage: present chain.pem key");
	alarm(WAIT_SECONDS);
	prepare(&server, argv[1], argv[2]);
	br_ssl_engine_set_versions(&server.eng, BR_TLS12, BR_TLS12);
	br_ssl_engine_set_buffer(&server.eng, buffer, sizeof buffer, 1);
	if (getrandom(seed, sizeof seed, 0) != sizeof seed)
		die("getrandom");
	br_ssl_engine_inject_entropy(&server.eng, seed, sizeof seed);
	if (!br_ssl_server_reset(&server))
		die("reset");
	fd = accept_one();
	if (fd < 0)
		die("accept");
	br_sslio_init(&io, &server.eng, receive, &fd, transmit, &fd);
	(void)br_sslio_read(&io, &byte, 1); /* the handshake, and the client's end */
	fprintf(stderr, "present: ended with %d\n", br_ssl_engine_last_error(&server.eng));
	return 0;
}
