/*
 * regreet prog…: gives prog, on descriptor 6, the greeting that starttlsc has read, then what comes from
 * there.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "chain/chain.h"
#include "net/net.h"
#include "starttls/starttls.h"

static const char program[] = "regreet";
static const char usage[] = "prog";

static const struct option table[] = { { 0, OPTION_END, 0, 0, 0, 0, NULL } };

/* A variable can come from anywhere: it has to be what starttlsc sets. */
static bool is_greeting(const char *text)
{
	size_t n = strnlen(text, STARTTLS_GREETING_MAX + 1);

	if (n > STARTTLS_GREETING_MAX)
		return false;
	for (size_t i = 0; i < n; i++)
		if (text[i] < ' ' || text[i] > '~')
			return false;
	return true;
}

/* The child becomes prog, and this process stays. */
static void give(const char *text)
{
	char line[STARTTLS_GREETING_MAX + 2];
	size_t n = strlen(text);
	const struct starttls_relay relay = {
		.relay_input = true, .reading = 6, .writing = 7, .greeting = line, .greeting_n = n + 2
	};
	struct starttls_fault fault;
	bool child;
	int code;

	memcpy(line, text, n);
	memcpy(line + n, "\r\n", 2);
	code = starttls_relay_run(&relay, program, &child, &fault);
	if (!child)
		_exit(code);
	if (code < 0)
		starttls_die(program, "greeting", &fault);
}

int main(int argc, char **argv)
{
	const char *greeting = getenv("STARTTLS_GREETING");
	stralloc changes = STRALLOC_ZERO;
	int unused = 0, first;

	first = chain_begin(program, usage, table, &unused, 1, argc, argv);
	if (fcntl(6, F_GETFD) < 0 || fcntl(7, F_GETFD) < 0)
		net_usage(program, "descriptors 6 and 7 must be a connection, as tcpclient makes one", usage);
	if (greeting && !is_greeting(greeting))
		net_usage(program, "STARTTLS_GREETING must be printable ASCII, of at most 512 bytes", usage);
	if (!chain_unset(&changes, "STARTTLS_GREETING"))
		net_die(program, EXIT_SYSTEM, "change the environment", NULL, strerror(ENOMEM));
	if (greeting)
		give(greeting);
	chain_become_prog(program, argv + first, &changes);
}
