/*
 * tlsd-io fdr fdw: the TLS connection of a server. Network on 0 and 1; cleartext is read from fdr and written
 * to fdw.
 */
#include "chain/chain.h"
#include "relay/relay.h"

int main(int argc, char **argv)
{
	const struct relay_program program = { .name = "tlsd-io",
		.client = false,
		.options = tlsd_io_option_table,
		.usage = "[ -3SsJjYyC ] [ -v verbosity ] [ -K idle ms ] [ -T handshake s ] [ -k sni level ] [ -d report ] [ -c control "
				 "] [ -p pid ] fdr fdw" };

	relay_program(&program, argc, argv);
}
