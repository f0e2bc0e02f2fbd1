/*
 * socks5 host port prog…: asks the SOCKS proxy on 6 and 7 for a connection to host and port, and becomes prog
 * with it.
 */
#include "starttls/starttls.h"

static const char program[] = "socks5";

int main(int argc, char **argv)
{
	struct proxy_link link;
	struct starttls_fault fault;
	bool connected;

	proxy_link_read(&link, program, argc, argv);
	connected = proxy_socks5(&link.wire, link.host, link.port, &link.user, &fault);
	starttls_wipe(&link.user, sizeof link.user);
	if (!connected)
		starttls_die(program, link.host, &fault);
	proxy_link_become_prog(&link);
}
