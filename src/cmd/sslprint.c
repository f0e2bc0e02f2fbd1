/*
 * sslprint: shows what a connection's environment says, one NAME=value a line on descriptor 1: PROTO and
 * every variable that begins with SSL or TCP. Run it behind a server or a client.
 */
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "net/net.h"

extern char **environ;

static const char program[] = "sslprint";

static int is_of_connection(const char *variable)
{
	return strncmp(variable, "PROTO=", 6) == 0 || strncmp(variable, "SSL", 3) == 0 ||
		   strncmp(variable, "TCP", 3) == 0;
}

/* Values come from peers, too: nothing that a terminal would obey, or that could pass for another line. */
static void print_clean(const char *text)
{
	for (; *text; text++)
		putchar((unsigned char)*text < ' ' || *text == 127 ? '?' : *text);
	putchar('\n');
}

int main(int argc, char **argv)
{
	(void)argv;
	if (argc > 1)
		net_usage(program, "operands are not taken", "");
	for (char **variable = environ; *variable; variable++)
		if (is_of_connection(*variable))
			print_clean(*variable);
	if (fflush(stdout) != 0 || ferror(stdout))
		net_die(program, 111, "write", NULL, strerror(errno));
	return 0;
}
