/*
 * tcpclient host port prog…: connects, and becomes prog with the socket on descriptors 6 and 7.
 */
#include "chain/chain.h"

int main(int argc, char **argv)
{
	static const struct tcp_client_program program = { .name = "tcpclient",
		.usage = "[ -46hHrRdDqQv ] [ -i localip ] [ -p localport ] [ -T x+y ] [ -l localname ] "
				 "[ -t seconds ] host port prog" };

	tcp_client(&program, argc, argv);
}
