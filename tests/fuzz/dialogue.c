/*
 * Fuzzing of the dialogues before TLS and with proxies: everything that a peer may say, on both sides of
 * every protocol. The first byte chooses which. Whatever comes, nothing is read beyond what was needed: what
 * is taken of the same input with more behind it is the same, and the outcome too.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <fcntl.h>
#include "net/net.h"
#include "starttls/internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t n);

static void check(bool holds)
{
	if (!holds)
		abort();
}

static const char *const clients[] = { "smtp", "lmtp", "pop3", "imap", "sieve", "nntp", "ftp", "irc", "pgsql",
	"cifs", "ldap", "xmpp", "mysql" };
static const char *const servers[] = { "smtp", "lmtp", "pop3", "imap", "sieve", "nntp", "pgsql", "cifs" };
enum {
	CLIENTS = sizeof clients / sizeof clients[0],
	SERVERS = sizeof servers / sizeof servers[0],
	PROXIES = 3
};

static void check_fault(const struct starttls_fault *fault)
{
	check(fault->exit_code == 98 && fault->step && (fault->words || fault->expected));
	check(strnlen(fault->shown, sizeof fault->shown) < sizeof fault->shown);
	for (const char *at = fault->shown; *at; at++)
		check(*at >= ' ' && *at <= '~');
}

static int ask_proxy(unsigned which, struct starttls_wire *wire, struct starttls_fault *fault)
{
	const struct proxy_user user = { .text = "user:password", .n = 13 };

	if (which == 0)
		return proxy_http(wire, "::1", 443, &user, fault);
	return proxy_socks5(wire, which == 1 ? "example.test" : "127.0.0.1", 443, &user, fault);
}

/* 0: failed, as *fault says. */
static int talk(unsigned which, struct starttls_wire *wire, struct starttls_fault *fault)
{
	struct starttls_greeting greeting;
	struct starttls_said said;
	enum starttls_outcome outcome;
	bool required;

	if (which < CLIENTS) {
		if (!starttls_client_run(starttls_client(clients[which]), wire, "example.test", &greeting, fault))
			return 0;
		check(greeting.n <= STARTTLS_GREETING_MAX);
		if (starttls_client_needs_prog(starttls_client(clients[which])))
			return 1; /* its greeting is a packet */
		check(strlen(greeting.text) == greeting.n);
		for (size_t i = 0; i < greeting.n; i++)
			check(greeting.text[i] >= ' ' && greeting.text[i] <= '~');
		return 1;
	}
	which -= CLIENTS;
	if (which < PROXIES)
		return ask_proxy(which, wire, fault);
	which -= PROXIES;
	required = which % 2 == 0 || !starttls_server_may_offer(starttls_server(servers[which / 2]));
	outcome =
		starttls_server_run(starttls_server(servers[which / 2]), wire, required, "mx.example", &said, fault);
	check(said.n < sizeof said.text && (outcome != STARTTLS_CLEAR || !required));
	return (int)outcome;
}

/* What comes out, and in *left how many of the bytes are still there. */
static int run(unsigned which, const uint8_t *bytes, size_t n, size_t *left)
{
	static uint8_t rest[1 << 17];
	struct starttls_fault fault = { .exit_code = 0 };
	struct starttls_wire wire = { .deadline = net_now() + 20000, .budget = STARTTLS_BUDGET };
	int pair[2], outcome;
	ssize_t got;

	check(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
	check(send(pair[1], bytes, n, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)n);
	check(shutdown(pair[1], SHUT_WR) == 0);
	wire.reading = pair[0];
	wire.writing = open("/dev/null", O_WRONLY | O_CLOEXEC);
	check(wire.writing >= 0);
	outcome = talk(which, &wire, &fault);
	if (!outcome)
		check_fault(&fault);
	*left = 0;
	while ((got = recv(pair[0], rest, sizeof rest, MSG_DONTWAIT)) > 0)
		*left += (size_t)got;
	(void)close(pair[0]);
	(void)close(pair[1]);
	(void)close(wire.writing);
	return outcome;
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t n)
{
	static uint8_t more[(1 << 16) + 64];
	static const char behind[] = "\r\n220 injected\r\nx OK\r\n>\026\003\001";
	size_t left, left_with_more;
	unsigned which;
	int outcome;

	if (n < 1 || n > 1 << 16)
		return 0;
	which = input[0] % (CLIENTS + PROXIES + 2 * SERVERS);
	memcpy(more, input + 1, n - 1);
	outcome = run(which, more, n - 1, &left);
	if (outcome != STARTTLS_FAILED && outcome != STARTTLS_ENDED) {
		memcpy(more + n - 1, behind, sizeof behind);
		check(run(which, more, n - 1 + sizeof behind, &left_with_more) == outcome);
		check(left_with_more == left + sizeof behind);
	}
	return 0;
}
