/*
 * snipeek prog…: looks at the ClientHello on descriptor 0 without taking it, and becomes prog with the server
 * name that the client asks for in the environment, so that prog can choose who is to speak TLS with it.
 */
#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "chain/chain.h"
#include "net/net.h"
#include "relay/relay.h"
#include "starttls/starttls.h"

static const char program[] = "snipeek";
static const char usage[] = "[ -T seconds ] prog";

enum { SECONDS = 26 }; /* as long as a handshake may take */

struct options {
	unsigned seconds;
};

static const struct option table[] = {
	{ 'T', OPTION_NUMBER, offsetof(struct options, seconds), 0, 1, 86400, "seconds" },
	{ 0, OPTION_END, 0, 0, 0, 0, NULL },
};

static bool is_stream_socket(int fd)
{
	int type = 0;
	socklen_t n = sizeof type;

	return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &n) == 0 && type == SOCK_STREAM;
}

static _Noreturn void refuse(const struct starttls_wire *wire, int alert, const struct starttls_fault *fault)
{
	struct net_connection client;
	const char *why;
	int sets;
	bool known = chain_described(&client, &sets, &why) || net_describe(0, &client);

	starttls_say(program, known ? client.remote_ip : "unknown", fault);
	if (alert)
		starttls_refuse_hello(wire, alert);
	_exit(fault->exit_code);
}

int main(int argc, char **argv)
{
	struct options options = { .seconds = SECONDS };
	struct starttls_wire wire = { .reading = 0, .writing = 1 };
	struct starttls_fault fault;
	struct hello hello;
	stralloc changes = STRALLOC_ZERO;
	int first;

	first = chain_begin(program, usage, table, &options, 1, argc, argv);
	if (!is_stream_socket(0))
		net_usage(program, "descriptor 0 must be a socket, as tcpserver makes one", usage);
	wire.deadline = net_now() + (int64_t)options.seconds * 1000;
	if (!starttls_peek_hello(&wire, &hello, &fault))
		refuse(&wire, hello.alert, &fault);
	if (!chain_change(&changes, "SSL_TLS_SNI_SERVERNAME", hello.server_name[0] ? hello.server_name : NULL))
		net_die(program, EXIT_SYSTEM, "change the environment", NULL, strerror(ENOMEM));
	chain_become_prog(program, argv + first, &changes);
}
