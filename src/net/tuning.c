/*
 * Settings of a connected socket that both servers and clients make.
 */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stddef.h>
#include <sys/socket.h>
#include "net.h"

void net_no_delay(int socket)
{
	const int on = 1;

	(void)setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

void net_kill_ip_options(int socket)
{
	(void)setsockopt(socket, IPPROTO_IP, IP_OPTIONS, NULL, 0);
}
