/*
 * tlsc prog…: puts TLS between prog and a connection to a server that stands on 6 and 7.
 */
#include "chain/chain.h"

int main(int argc, char **argv)
{
	const struct tls_link_program program = { .name = "tlsc",
		.side = CHAIN_CLIENT,
		.delayed = false,
		.options = tlsc_option_table,
		.usage = "[ -3SsJjYyZz ] [ -v verbosity ] [ -K idle ms ] [ -k server name ] prog" };

	tls_link(&program, argc, argv);
}
