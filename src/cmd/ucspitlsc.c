/*
 * ucspitlsc prog…: runs prog with a connection to a server on 6 and 7, and puts TLS between them when prog
 * asks for it (ucspi-tls(7)).
 */
#include "chain/chain.h"

int main(int argc, char **argv)
{
	const struct tls_link_program program = { .name = "ucspitlsc",
		.side = CHAIN_CLIENT,
		.delayed = true,
		.options = tlsc_option_table,
		.usage = "[ -3SsJjYyZz ] [ -v verbosity ] [ -K idle ms ] [ -k server name ] prog" };

	tls_link(&program, argc, argv);
}
