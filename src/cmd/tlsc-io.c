/*
 * tlsc-io fdr fdw: the TLS connection of a client. Network on fdr and fdw; cleartext is read from 0 and
 * written to 1.
 */
#include "chain/chain.h"
#include "relay/relay.h"

int main(int argc, char **argv)
{
	const struct relay_program program = { .name = "tlsc-io",
		.client = true,
		.options = tlsc_io_option_table,
		.usage = "[ -3SsJjYyC ] [ -v verbosity ] [ -K idle ms ] [ -k server name ] [ -d report ] [ -c control "
				 "] [ -p pid ] fdr fdw" };

	relay_program(&program, argc, argv);
}
