/*
 * A connection as the environment describes it: what tcpserver, sslserver or an earlier link has said of it,
 * for links that change the description, judge by it or pass it on.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "chain.h"
#include "net/net.h"

static const char *variable(const char *proto, const char *rest)
{
	char name[32];

	(void)snprintf(name, sizeof name, "%s%s", proto, rest);
	return getenv(name);
}

static bool read_end(const char *ip, const char *port, struct net_address *address)
{
	unsigned long number;

	if (!ip || !port || !net_scan_ip(ip, address) || !option_scan_number(port, 65535, &number))
		return false;
	address->port = (uint16_t)number;
	return true;
}

bool chain_described(struct net_connection *connection, int *sets, const char **why)
{
	const char *proto = getenv("PROTO"), *interface = getenv("TCP6INTERFACE");

	memset(connection, 0, sizeof *connection);
	if (!proto || (strcmp(proto, "TCP") != 0 && strcmp(proto, "TCP6") != 0 && strcmp(proto, "SSL") != 0)) {
		*why = "PROTO is not TCP, TCP6 or SSL, so nothing describes the connection";
		return false;
	}
	if (!read_end(variable(proto, "REMOTEIP"), variable(proto, "REMOTEPORT"), &connection->remote) ||
		!read_end(variable(proto, "LOCALIP"), variable(proto, "LOCALPORT"), &connection->local)) {
		*why =
			"${PROTO}REMOTEIP, REMOTEPORT, LOCALIP and LOCALPORT are not all there and addresses and ports";
		return false;
	}
	net_describe_ends(connection);
	connection->remote_host = variable(proto, "REMOTEHOST");
	connection->remote_info = variable(proto, "REMOTEINFO");
	connection->local_host = variable(proto, "LOCALHOST");
	if (connection->remote.is_v6 && interface)
		(void)snprintf(connection->interface, sizeof connection->interface, "%s", interface);
	*sets = strcmp(proto, "SSL") == 0 ? NET_VARIABLES_SSL
			: getenv("SSLREMOTEIP")   ? NET_VARIABLES_TCP | NET_VARIABLES_SSL
									  : NET_VARIABLES_TCP;
	return true;
}
