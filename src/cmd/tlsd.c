/*
 * tlsd prog…: puts TLS between a connection that stands on 0 and 1 and prog.
 */
#include "chain/chain.h"

int main(int argc, char **argv)
{
	const struct tls_link_program program = { .name = "tlsd",
		.side = CHAIN_SERVER,
		.delayed = false,
		.options = tlsd_option_table,
		.usage = "[ -3SsJjYyZz ] [ -v verbosity ] [ -K idle ms ] [ -T handshake s ] [ -k sni level ] prog" };

	tls_link(&program, argc, argv);
}
