/*
 * sslserver host port prog…: tcpserver with one more link between the connection and prog, the io program,
 * which speaks TLS. No TLS here: this program decides who runs as whom, listens, and starts that link for
 * each connection.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "chain/chain.h"
#include "net/net.h"

static const char program[] = "sslserver";
static const char usage[] =
	"[ -1346UXpPhHrRoOdDqQvVeEsSnNmzZ ] [ -c limit ] [ -x rules.cdb ] [ -y rules.cdb ] [ -B banner ] [ -b "
	"backlog ] "
	"[ -g gid ] [ -u uid ] [ -I interface ] [ -l localname ] [ -t seconds ] [ -T handshake ] [ -w idle ] "
	"host port prog";

struct service {
	struct tcp_service tcp;
	struct tls_options tls;
	struct chain_rights rights;
	struct chain_password password; /* -3 */
};

static void die(const struct chain_problem *problem)
{
	if (!problem->exit_code)
		_exit(0); /* there was no handshake: the io program has said why */
	net_die(program, problem->exit_code, problem->doing, problem->object,
		problem->reason ? problem->reason : strerror(problem->errnum));
}

/* Options whose work is done by the io program. */
static void prepare_tls(struct service *service)
{
	struct tcp_server_options *options = &service->tcp.options;
	char seconds[24];
	bool done = true;

	service->tcp.variables = NET_VARIABLES_SSL | (options->tcp_variables ? NET_VARIABLES_TCP : 0);
	service->tls = tls_defaults;
	service->tls.verbosity = (unsigned)options->verbosity;
	service->tls.idle_ms = options->idle_s * 1000;
	if (options->handshake_s) {
		(void)snprintf(seconds, sizeof seconds, "%u", options->handshake_s);
		done = chain_set(&service->tcp.changes, "TLS_TIMEOUT", seconds);
	}
	if (options->client_certificate)
		service->tls.client_certificate = 'y';
	if (options->client_certificate == TCP_CERTIFICATE_HOST) {
		options->paranoid =
			1; /* whoever makes up a name for his address must not choose whose certificate will do */
		done = done && chain_set(&service->tcp.changes, "TLS_VERIFY", "name");
	}
	if (options->certificate_variables || options->tcp_variables)
		done = done && chain_set(&service->tcp.changes, "TLS_REPORT", "full");
	if (!done)
		net_die(program, EXIT_SYSTEM, "change the environment", NULL, strerror(ENOMEM));
}

/* -3: the password is read once, and then in the listener, in what is about to become an io program, and
 * nowhere else. */
static void read_password(struct service *service)
{
	const char *host = service->tcp.host;
	struct chain_problem problem;
	unsigned long socket;

	if (!service->tcp.options.password)
		return;
	if (net_is_inherited(host) && option_scan_number(host + 3, 1000000, &socket) &&
		socket == CHAIN_PASSWORD_FD)
		net_usage(program,
			"descriptor 3 is where option -3 reads the password: let the socket be another, fd:4 for example",
			usage);
	if (!chain_password_take(&service->password, net_now() + CHAIN_PASSWORD_START_MS, &problem))
		die(&problem);
	if (!chain_password_share(&service->password, true))
		net_die(program, EXIT_SYSTEM, "share", "the password", strerror(errno));
}

static struct chain_password *password_of(struct service *service)
{
	return service->password.text ? &service->password : NULL;
}

/* Has the io program say what is wrong before anybody connects. Rules may still put it right for a
 * connection. */
static void check_configuration(struct service *service)
{
	struct chain_problem problem;
	int verdict = chain_check(CHAIN_SERVER, &service->tls, &service->rights.listener, password_of(service),
		&service->tcp.changes, &problem);

	if (verdict && problem.doing)
		die(&problem);
	if (verdict && !service->tcp.options.rules && !service->tcp.options.address_rules)
		_exit(verdict);
	if (verdict && service->tcp.options.verbosity >= 1)
		net_log(program, ": warning: only connections whose rule puts this right will be served", NULL);
}

/* ---- a connection ---- */

struct connection {
	const struct tcp_server_options *options;
	int notice;
};

static bool write_all(int fd, const char *text)
{
	size_t left = strlen(text);

	while (left) {
		ssize_t written = write(fd, text, left);

		if (written < 0 && errno != EINTR)
			return false;
		if (written > 0) {
			text += written;
			left -= (size_t)written;
		}
	}
	return true;
}

/* In the process that becomes prog: the handshake is done, or is for prog to ask for. */
static bool begin_session(void *context, pid_t pid, const stralloc *changes)
{
	const struct connection *connection = context;
	const char *protocol = chain_value(changes, "SSL_PROTOCOL"), *cipher = chain_value(changes, "SSL_CIPHER");
	char number[24];

	net_left_handshake(connection->notice, pid);
	(void)snprintf(number, sizeof number, "%ld", (long)pid);
	if (connection->options->log_tls && !connection->options->delayed)
		net_log(
			program, ": tls ", number, " accept ", protocol ? protocol : "", ":", cipher ? cipher : "", NULL);
	return !connection->options->banner || write_all(1, connection->options->banner);
}

/* In the child: becomes the io program, whose child becomes prog. */
static bool serve_connection(void *context, const struct net_accepted *accepted)
{
	struct service *service = context;
	struct connection connection = { &service->tcp.options, accepted->notice };
	struct chain_link link = { .side = CHAIN_SERVER,
		.tls = &service->tls,
		.identity = service->rights.prog,
		.password = password_of(service),
		.prog = service->tcp.prog,
		.clean = true,
		.delayed = service->tcp.options.delayed,
		.ready = begin_session,
		.context = &connection };
	struct chain_problem problem;

	/* Who looks up names, and who becomes prog, have no business with it. */
	if (!chain_password_share(&service->password, false))
		net_die(program, EXIT_SYSTEM, "keep", "the password", strerror(errno));
	if (!tcp_service_admit(&service->tcp, accepted))
		return false; /* the client is gone again */
	if (!chain_name_rights(&service->tcp.changes, service->tcp.record, &problem))
		die(&problem);
	link.started_ms = net_now();
	chain_start(&link, &service->tcp.changes, &problem);
	die(&problem);
	return false;
}

int main(int argc, char **argv)
{
	struct service service = { .tcp = { .program = program, .changes = STRALLOC_ZERO } };
	struct net_server server = { .accepted = serve_connection,
		.context = &service,
		.ended_by = "ended by ",
		.show_ip_limit = true,
		.has_handshake = true };
	struct chain_problem failure;
	int exit_code;

	tcp_service_read(&service.tcp, sslserver_option_table, usage, argc, argv);
	prepare_tls(&service);
	if (!chain_decide_rights(&service.tcp.asked, &service.rights, &service.tcp.changes, &failure))
		die(&failure);
	read_password(&service);
	check_configuration(&service);
	exit_code = tcp_service_run(&service.tcp, &service.rights.listener, &server);
	chain_password_wipe(&service.password);
	return exit_code;
}
