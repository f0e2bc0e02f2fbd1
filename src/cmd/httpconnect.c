/*
 * httpconnect host port prog…: asks the HTTP proxy on 6 and 7 for a connection to host and port, and becomes
 * prog with it.
 */
#include "starttls/starttls.h"

static const char program[] = "httpconnect";

int main(int argc, char **argv)
{
	struct proxy_link link;
	struct starttls_fault fault;

	proxy_link_read(&link, program, argc, argv);
	if (!proxy_http(&link.wire, link.host, link.port, &link.user, &fault))
		starttls_die(program, link.host, &fault);
	proxy_link_become_prog(&link);
}
