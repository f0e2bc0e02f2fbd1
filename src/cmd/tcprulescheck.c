/*
 * tcprulescheck rules.cdb [ip [host [info]]]: shows what a server would do with a connection, by the lookup
 * that the server does.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "net/net.h"
#include "rules/rules.h"

static const char program[] = "tcprulescheck";
static const char usage[] = "rules.cdb [ ip [ host [ info ] ] ]";

enum { EXIT_USAGE = 100, EXIT_SYSTEM = 111 };

/* NULL where nothing is known. */
struct connection {
	const char *ip, *host, *info;
};

static const char *unless_empty(const char *text)
{
	return text && text[0] ? text : NULL;
}

/* Operands stand for themselves: the environment counts only if there is none. */
static struct connection read_connection(int argc, char **argv)
{
	struct connection connection = { .ip = "0.0.0.0" };

	if (argc > 2) {
		connection.ip = argv[2];
		connection.host = argc > 3 ? unless_empty(argv[3]) : NULL;
		connection.info = argc > 4 ? argv[4] : NULL;
		return connection;
	}
	if (getenv("TCPREMOTEIP"))
		connection.ip = getenv("TCPREMOTEIP");
	connection.host = getenv("TCPREMOTEHOST");
	connection.info = getenv("TCPREMOTEINFO");
	return connection;
}

/* No byte that would end the line, or that a terminal would obey. */
static void print(const char *text)
{
	for (; *text; text++)
		(void)putchar(((unsigned char)*text < ' ' && *text != '\t') || *text == 127 ? '?' : *text);
}

static bool print_variable(void *context, const char *name, const char *value)
{
	(void)context;
	print("set environment variable ");
	print(name);
	print("=");
	print(value);
	(void)putchar('\n');
	return true;
}

static void show(enum rules_verdict verdict, const struct rules_match *match)
{
	if (verdict == RULES_NONE) {
		(void)puts("default:\nallow connection");
		return;
	}
	print("rule ");
	print(match->rule);
	(void)puts(":");
	(void)rules_variables(match, print_variable, NULL);
	(void)puts(verdict == RULES_DENY ? "deny connection" : "allow connection");
}

int main(int argc, char **argv)
{
	struct connection connection;
	struct net_address address;
	struct rules rules;
	struct rules_match match;
	enum rules_verdict verdict;
	const char *why;

	if (argc < 2 || argc > 5)
		net_usage(program, NULL, usage);
	connection = read_connection(argc, argv);
	if (!net_scan_ip(connection.ip, &address)) {
		net_log(program, ": fatal: not an IP address: ", connection.ip, NULL);
		return EXIT_USAGE;
	}
	if (!rules_open(&rules, argv[1], &why))
		net_die(program, EXIT_SYSTEM, "read", argv[1], why);
	verdict = rules_find(&rules, &address, connection.host, connection.info, &match);
	if (verdict == RULES_BROKEN)
		net_die(program, EXIT_SYSTEM, "read", argv[1], strerror(errno));
	show(verdict, &match);
	rules_close(&rules);
	if (fflush(stdout) != 0 || ferror(stdout))
		net_die(program, EXIT_SYSTEM, "write", NULL, strerror(errno));
	return 0;
}
