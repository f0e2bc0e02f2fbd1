/*
 * tcpserver host port prog…: listens, and runs prog for each connection with the socket on descriptors 0
 * and 1. Never touches what is sent.
 */
#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include "chain/chain.h"
#include "net/net.h"

static const char program[] = "tcpserver";
static const char usage[] =
	"[ -146UXpPhHrRoOdDqQv ] [ -c limit ] [ -x rules.cdb ] [ -y rules.cdb ] [ -B banner ] [ -b backlog ] "
	"[ -g gid ] [ -u uid ] [ -I interface ] [ -l localname ] [ -t seconds ] host port prog";

/* In the child: becomes prog. */
static bool serve_connection(void *context, const struct net_accepted *accepted)
{
	struct tcp_service *service = context;
	struct chain_problem problem;

	if (!tcp_service_admit(service, accepted))
		return false; /* the client is gone again */
	chain_exec(service->prog, &service->changes, &problem);
	net_die(program, problem.exit_code, problem.doing, problem.object,
		problem.reason ? problem.reason : strerror(problem.errnum));
}

int main(int argc, char **argv)
{
	struct tcp_service service = {
		.program = program, .variables = NET_VARIABLES_TCP, .changes = STRALLOC_ZERO
	};
	struct net_server server = { .accepted = serve_connection, .context = &service, .ended_by = "end " };

	tcp_service_read(&service, tcpserver_option_table, usage, argc, argv);
	service.clear_banner = service.options.banner;
	return tcp_service_run(&service, &service.asked, &server);
}
