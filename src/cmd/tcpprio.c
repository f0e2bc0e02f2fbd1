/*
 * tcpprio host port [host port]… -- prog…: tcpclient with several targets, of which the first that answers is
 * taken.
 */
#include "chain/chain.h"
#include "net/net.h"

static void keep_order(struct net_target *targets, size_t n)
{
	(void)targets;
	(void)n;
}

int main(int argc, char **argv)
{
	static const struct tcp_client_program program = { .name = "tcpprio",
		.usage = "[ -46hHrRdDqQv ] [ -i localip ] [ -p localport ] [ -T x+y ] [ -l localname ] "
				 "[ -t seconds ] host port [ host port ] ... -- prog",
		.arrange = keep_order };

	tcp_client(&program, argc, argv);
}
