/*
 * What tcpserver and sslserver have in common until a connection is there: the command line, the listening
 * socket, and who the listener becomes. Called by their mains.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "chain.h"
#include "net/net.h"

static bool read_ip_limit(unsigned *limit, const char **problem)
{
	const char *text = getenv("MAXCONIP");
	unsigned long number = 0;

	if (text && !option_scan_number(text, TCP_IP_LIMIT_MAX, &number)) {
		*problem = "MAXCONIP in the environment needs a number of connections from 0 to 100000";
		return false;
	}
	*limit = (unsigned)number;
	return true;
}

void tcp_service_read(
	struct tcp_service *service, const struct option *table, const char *usage, int argc, char *const *argv)
{
	const char *problem = NULL;
	int first;

	if (!chain_open_standard())
		_Exit(EXIT_SYSTEM);
	service->options = tcp_server_defaults;
	first = option_parse(table, &service->options, argc, argv, &problem);
	if (first < 0 || argc - first < 3 || !tcp_server_identity(&service->options, &service->asked, &problem) ||
		!read_ip_limit(&service->ip_limit, &problem))
		net_usage(service->program, problem, usage);
	service->host = argv[first];
	service->port = argv[first + 1];
	service->prog = argv + first + 2;
}

/* What tells of inherited sockets is for this program alone. */
static void forget_inheritance(const char *program)
{
	if (unsetenv("LISTEN_PID") < 0 || unsetenv("LISTEN_FDS") < 0 || unsetenv("LISTEN_FDNAMES") < 0)
		net_die(program, EXIT_SYSTEM, "change the environment", NULL, strerror(errno));
}

struct readiness {
	const struct tcp_service *service;
	struct net_address bound;
};

/* Connections can come in: who waits for the port number may come. */
static void announce(void *context)
{
	const struct readiness *readiness = context;
	const char *program = readiness->service->program;

	if (readiness->service->options.print_port && !net_print_port(&readiness->bound))
		net_die(program, EXIT_SYSTEM, "print the port number", NULL, strerror(errno));
	if (!chain_leave_standard())
		net_die(program, EXIT_SYSTEM, "open", "/dev/null", strerror(errno));
}

int tcp_service_run(
	struct tcp_service *service, const struct chain_identity *identity, struct net_server *server)
{
	const struct tcp_server_options *options = &service->options;
	const struct net_listen where = { .host = service->host,
		.family = (enum net_family)options->family,
		.backlog = (int)options->backlog,
		.interface = options->interface };
	struct readiness readiness = { .service = service };

	server->socket = net_listen_or_die(service->program, &where, service->port, &readiness.bound);
	if (net_is_inherited(service->host))
		forget_inheritance(service->program);
	if (!chain_become(identity))
		net_die(service->program, EXIT_SYSTEM, "change to the ids of -u and -g", NULL, strerror(errno));
	server->program = service->program;
	server->max = options->limit;
	server->ip_limit = service->ip_limit;
	server->ip_limit_may_change = options->rules || options->address_rules;
	server->log_errors = options->verbosity >= 1;
	server->log_status = options->verbosity >= 2;
	server->ready = announce;
	server->ready_context = &readiness;
	return net_serve(server);
}
