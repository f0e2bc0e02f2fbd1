/*
 * ucspitlsd prog…: runs prog on a connection that stands on 0 and 1, and puts TLS between them when prog asks
 * for it (ucspi-tls(7)).
 */
#include "chain/chain.h"

int main(int argc, char **argv)
{
	const struct tls_link_program program = { .name = "ucspitlsd",
		.side = CHAIN_SERVER,
		.delayed = true,
		.options = tlsd_option_table,
		.usage = "[ -3SsJjYyZz ] [ -v verbosity ] [ -K idle ms ] [ -T handshake s ] [ -k sni level ] prog" };

	tls_link(&program, argc, argv);
}
