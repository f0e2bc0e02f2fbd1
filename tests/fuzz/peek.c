/*
 * Fuzzing of the look at the ClientHello: whatever a client sends first, nothing of it is taken, and what is
 * said of it is what the reader says of the same bytes.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "chain/chain.h"
#include "relay/relay.h"
#include "starttls/starttls.h"

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t n);

static void check(bool holds)
{
	if (!holds)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t n)
{
	static struct hello_reader reader;
	static uint8_t rest[1 << 16];
	struct starttls_wire wire = { .deadline = net_now() + 20000, .budget = STARTTLS_BUDGET };
	struct starttls_fault fault = { .exit_code = 0 };
	struct hello seen, read = { .alert = 0 };
	int pair[2];
	bool known;

	if (n > sizeof rest)
		return 0;
	check(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
	check(send(pair[1], input, n, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)n);
	check(shutdown(pair[1], SHUT_WR) == 0);
	wire.reading = wire.writing = pair[0];
	known = starttls_peek_hello(&wire, &seen, &fault);
	memset(&reader, 0, sizeof reader);
	reader.oldest = ENGINE_TLS12;
	reader.newest = ENGINE_TLS13;
	check(known == (hello_read(&reader, input, n, &read) == HELLO_DONE));
	check(known ? !strcmp(seen.server_name, read.server_name)
				: fault.exit_code == EXIT_TLS && seen.alert == read.alert);
	check(recv(pair[0], rest, sizeof rest, MSG_DONTWAIT | MSG_WAITALL) == (ssize_t)n &&
		  !memcmp(rest, input, n));
	(void)close(pair[0]);
	(void)close(pair[1]);
	return 0;
}
