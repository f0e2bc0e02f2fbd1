/*
 * One connection in words: its addresses as text, its log lines, and the variables that describe it to a
 * program. The variables are those of tcp-environ(5) in ucspi-tcp, once more as TCP6… for IPv6, and as SSL…
 * in ucspi-ssl.
 */
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "internal.h"

static char *format_port(uint16_t port, char out[NET_PORT_TEXT])
{
	(void)snprintf(out, NET_PORT_TEXT, "%u", (unsigned)port);
	return out;
}

void net_describe_ends(struct net_connection *connection)
{
	char interface[IF_NAMESIZE] = "";

	(void)net_format_ip(&connection->local, connection->local_ip);
	(void)net_format_ip(&connection->remote, connection->remote_ip);
	(void)format_port(connection->local.port, connection->local_port);
	(void)format_port(connection->remote.port, connection->remote_port);
	if (connection->remote.scope && if_indextoname(connection->remote.scope, interface))
		(void)snprintf(connection->interface, sizeof connection->interface, "%s", interface);
}

bool net_describe(int socket, struct net_connection *connection)
{
	memset(connection, 0, sizeof *connection);
	if (!net_local(socket, &connection->local) || !net_remote(socket, &connection->remote))
		return false;
	net_describe_ends(connection);
	return true;
}

void net_log_from(const char *program, const struct net_connection *connection)
{
	char pid[NET_NUMBER_TEXT];

	net_log(program, ": pid ", net_format_number((long long)getpid(), pid), " from ", connection->remote_ip,
		NULL);
}

static const char *or_empty(const char *text)
{
	return text ? text : "";
}

static void log_verdict(
	const char *program, const char *verdict, const struct net_connection *connection, const char *reason)
{
	char pid[NET_NUMBER_TEXT];

	net_log(program, verdict, net_format_number((long long)getpid(), pid), " ",
		or_empty(connection->local_host), ":", connection->local_ip, ":", connection->local_port, " ",
		or_empty(connection->remote_host), ":", connection->remote_ip, ":", or_empty(connection->remote_info),
		":", connection->remote_port, reason, NULL);
}

void net_log_ok(const char *program, const struct net_connection *connection)
{
	log_verdict(program, ": ok ", connection, "");
}

void net_log_deny(const char *program, const struct net_connection *connection, const char *reason)
{
	log_verdict(program, ": deny ", connection, reason);
}

void net_log_connected(const char *program, const struct net_connection *connection)
{
	net_log(program, ": connected to ", connection->remote_ip, " port ", connection->remote_port, NULL);
}

typedef bool emit_function(void *context, const char *name, const char *value);

/* The seven names behind a prefix, with values or, if the set is not wanted, without. */
static bool emit_set(const struct net_connection *connection, const char *prefix, bool wanted,
	emit_function *emit, void *context)
{
	const struct {
		const char *name, *value;
	} variables[] = {
		{ "LOCALIP", connection->local_ip },
		{ "LOCALPORT", connection->local_port },
		{ "LOCALHOST", connection->local_host },
		{ "REMOTEIP", connection->remote_ip },
		{ "REMOTEPORT", connection->remote_port },
		{ "REMOTEHOST", connection->remote_host },
		{ "REMOTEINFO", connection->remote_info },
	};
	char name[32];

	for (size_t i = 0; i < sizeof variables / sizeof *variables; i++) {
		(void)snprintf(name, sizeof name, "%s%s", prefix, variables[i].name);
		if (!emit(context, name, wanted ? variables[i].value : NULL))
			return false;
	}
	return true;
}

bool net_variables(const struct net_connection *connection, int sets, emit_function *emit, void *context)
{
	bool tcp = sets & NET_VARIABLES_TCP, ssl = sets & NET_VARIABLES_SSL;
	bool tcp6 = tcp && connection->remote.is_v6;
	const char *interface = tcp6 && connection->interface[0] ? connection->interface : NULL;

	return emit(context, "PROTO",
			   tcp6  ? "TCP6"
			   : tcp ? "TCP"
					 : "SSL") &&
		   emit_set(connection, "SSL", ssl, emit, context) &&
		   emit_set(connection, "TCP", tcp, emit, context) &&
		   emit_set(connection, "TCP6", tcp6, emit, context) && emit(context, "TCP6INTERFACE", interface);
}
