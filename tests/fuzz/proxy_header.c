/*
 * Fuzzing of headers of the PROXY protocol: whatever a proxy sends. What is taken off the connection is what
 * the parser is given; variables that come out are clean; and what was read is written so that it is read the
 * same.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "chain/chain.h"
#include "starttls/starttls.h"

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t n);

static void check(bool holds)
{
	if (!holds)
		abort();
}

static bool same_end(const struct net_address *a, const struct net_address *b)
{
	return a->is_v6 == b->is_v6 && a->port == b->port && !memcmp(a->ip, b->ip, a->is_v6 ? 16 : 4);
}

/* Nothing but names that are ours, and no control bytes outside PEM. */
static void check_variables(const struct proxy_header *header)
{
	static const struct net_connection nobody;
	static stralloc changes;
	const char *why;

	changes.len = 0;
	if (!proxy_header_variables(header, &nobody, NET_VARIABLES_TCP, &changes, &why)) {
		check(why && !changes.len);
		return;
	}
	for (size_t at = 0; at < changes.len; at += strlen(changes.s + at) + 1) {
		const char *change = changes.s + at;
		size_t name = strcspn(change, "=");

		check(!strncmp(change, "PROTO=", 6) || !strncmp(change, "TCP", 3) ||
			  !strncmp(change, "SSLLOCAL", 8) || !strncmp(change, "SSLREMOTE", 9) ||
			  chain_report_may_set(change, name));
		for (const char *byte = change; *byte; byte++)
			check((unsigned char)*byte >= ' ' || (*byte == '\n' && strstr(change, "CERT=")));
	}
}

static void check_writing(const struct proxy_header *header)
{
	static unsigned char room[PROXY_HEADER_MAX];
	struct proxy_header again;
	const char *why;

	for (unsigned version = 1; version <= 2; version++) {
		size_t n = proxy_header_write(header, version, PROXY_CHECKSUM, room);
		check(n && n <= sizeof room && proxy_header_parse(room, n, &again, &why));
		if (header->source.is_v6 != header->destination.is_v6)
			continue;
		check(again.proxied == header->proxied);
		check(same_end(&again.source, &header->source) && same_end(&again.destination, &header->destination));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t n)
{
	static unsigned char room[PROXY_HEADER_MAX];
	struct starttls_wire wire = { .writing = 1 };
	struct starttls_fault fault = { .exit_code = 0 };
	struct proxy_header header, whole;
	const char *why;
	unsigned char *copy = calloc(1, n ? n : 1); /* of exact size, so that a sanitizer sees a byte too far */
	int pair[2];
	size_t left = 0;
	ssize_t got;

	check(copy != NULL);
	if (n)
		memcpy(copy, input, n);
	if (!proxy_header_parse(copy, n, &whole, &why))
		check(why != NULL);
	free(copy);
	if (n > 1 << 16)
		return 0;
	check(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
	check(send(pair[1], input, n, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)n);
	check(shutdown(pair[1], SHUT_WR) == 0);
	wire.reading = pair[0];
	wire.deadline = net_now() + 20000;
	if (proxy_header_read(&wire, room, &header, &fault)) {
		static unsigned char rest[1 << 16];
		while ((got = recv(pair[0], rest, sizeof rest, MSG_DONTWAIT)) > 0)
			left += (size_t)got;
		check(proxy_header_parse(input, n - left, &whole, &why) && whole.proxied == header.proxied);
		if (header.proxied)
			check_variables(&header);
		if (header.proxied || !header.tls)
			check_writing(&header);
	} else {
		check(fault.exit_code == EXIT_TLS);
	}
	(void)close(pair[0]);
	(void)close(pair[1]);
	return 0;
}
