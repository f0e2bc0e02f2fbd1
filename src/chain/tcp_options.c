/*
 * The options of the TCP family, DESIGN §2: one table for both servers, one for both clients. A table begins
 * with the rows in which the plain program refuses letters of its TLS brother; the brother enters behind
 * them. The first row with a letter counts, so all rows that follow are shared without a copy.
 */
#include <stddef.h>
#include <stdlib.h>
#include "chain.h"

#define ID_MAX        4294967294u /* (uid_t)-1 means "none" */
#define LIMIT_MAX     100000u
#define BACKLOG_MAX   65535u
#define SECONDS_MAX   2147483u /* still an int in milliseconds, as -K of the io programs has it */
#define HANDSHAKE_MAX 1000000u /* as TLS_TIMEOUT has it */
#define IDLE_S        3600u
#define NAMES_S       26u

#define REFUSED(letter, advice)                                                                              \
	{                                                                                                        \
		(letter), OPTION_REFUSED, 0, 0, 0, 0, (advice)                                                       \
	}
#define REFUSED_WITH(letter, advice)                                                                         \
	{                                                                                                        \
		(letter), OPTION_REFUSED_WITH_ARGUMENT, 0, 0, 0, 0, (advice)                                         \
	}
#define SET(letter, of, field, value)                                                                        \
	{                                                                                                        \
		(letter), OPTION_SET, offsetof(struct of, field), (value), 0, 0, NULL                                \
	}
#define TEXT(letter, of, field)                                                                              \
	{                                                                                                        \
		(letter), OPTION_TEXT, offsetof(struct of, field), 0, 0, 0, NULL                                     \
	}
#define NUMBER(letter, of, field, minimum, maximum, what)                                                    \
	{                                                                                                        \
		(letter), OPTION_NUMBER, offsetof(struct of, field), 0, (minimum), (maximum), (what)                 \
	}
#define END                                                                                                  \
	{                                                                                                        \
		0, OPTION_END, 0, 0, 0, 0, NULL                                                                      \
	}

static const char of_sslserver[] = "is of sslserver";
static const char of_sslclient[] = "is of sslclient";

/* ---- servers ---- */

const struct tcp_server_options tcp_server_defaults = {
	.verbosity = 1, .limit = 40, .backlog = 128, .idle_s = IDLE_S, .remote_host = 1, .names_s = NAMES_S
};

enum { SSLSERVER_ROW = 13 };

static const struct option server_table[] = { REFUSED_WITH('T', of_sslserver),
	REFUSED_WITH('w', of_sslserver), REFUSED('n', of_sslserver), REFUSED('N', of_sslserver),
	REFUSED('s', of_sslserver), REFUSED('S', of_sslserver), REFUSED('e', of_sslserver),
	REFUSED('E', of_sslserver), REFUSED('m', of_sslserver), REFUSED('z', of_sslserver),
	REFUSED('Z', of_sslserver), REFUSED('3', of_sslserver), REFUSED('V', of_sslserver),
	/* Here sslserver enters; up to the next remark tcpserver's rows too. */
	[SSLSERVER_ROW] = SET('1', tcp_server_options, print_port, 1), SET('4', tcp_server_options, family, 4),
	SET('6', tcp_server_options, family, 6), SET('q', tcp_server_options, verbosity, 0),
	SET('Q', tcp_server_options, verbosity, 1), SET('v', tcp_server_options, verbosity, 2),
	SET('d', tcp_server_options, delay, 1), SET('D', tcp_server_options, delay, 0),
	SET('U', tcp_server_options, ids_from_environment, 1),
	NUMBER('c', tcp_server_options, limit, 1, LIMIT_MAX, "connections"),
	NUMBER('b', tcp_server_options, backlog, 1, BACKLOG_MAX, "pending connections"),
	NUMBER('u', tcp_server_options, uid, 1, ID_MAX, "a user"),
	NUMBER('g', tcp_server_options, gid, 1, ID_MAX, "a group"), TEXT('l', tcp_server_options, local_name),
	SET('h', tcp_server_options, remote_host, 1), SET('H', tcp_server_options, remote_host, 0),
	SET('p', tcp_server_options, paranoid, 1), SET('P', tcp_server_options, paranoid, 0),
	SET('r', tcp_server_options, remote_info, 1), SET('R', tcp_server_options, remote_info, 0),
	NUMBER('t', tcp_server_options, names_s, 1, SECONDS_MAX, "seconds"),
	SET('O', tcp_server_options, keep_ip_options, 0), SET('o', tcp_server_options, keep_ip_options, 1),
	TEXT('x', tcp_server_options, rules), SET('X', tcp_server_options, rules_may_be_missing, 1),
	TEXT('y', tcp_server_options, address_rules), TEXT('B', tcp_server_options, banner),
	TEXT('I', tcp_server_options, interface),
	/* sslserver's own; tcpserver met these letters above. */
	NUMBER('T', tcp_server_options, handshake_s, 1, HANDSHAKE_MAX, "seconds"),
	NUMBER('w', tcp_server_options, idle_s, 1, SECONDS_MAX, "seconds"),
	SET('n', tcp_server_options, delayed, 1), SET('N', tcp_server_options, delayed, 0),
	SET('s', tcp_server_options, certificate_variables, 1),
	SET('S', tcp_server_options, certificate_variables, 0), SET('e', tcp_server_options, tcp_variables, 1),
	SET('E', tcp_server_options, tcp_variables, 0),
	SET('Z', tcp_server_options, client_certificate, TCP_CERTIFICATE_NONE),
	SET('m', tcp_server_options, client_certificate, TCP_CERTIFICATE_ANY),
	SET('z', tcp_server_options, client_certificate, TCP_CERTIFICATE_HOST),
	SET('3', tcp_server_options, password, 1), SET('V', tcp_server_options, log_tls, 1), END };

const struct option *const tcpserver_option_table = server_table;
const struct option *const sslserver_option_table = server_table + SSLSERVER_ROW;

/* Here rules is an operand, and nothing is looked up unless it is asked for. */
static const struct option allow_table[] = { SET('q', tcp_server_options, verbosity, 0),
	SET('Q', tcp_server_options, verbosity, 1), SET('v', tcp_server_options, verbosity, 2),
	TEXT('l', tcp_server_options, local_name), SET('h', tcp_server_options, remote_host, 1),
	SET('H', tcp_server_options, remote_host, 0), SET('p', tcp_server_options, paranoid, 1),
	SET('P', tcp_server_options, paranoid, 0),
	NUMBER('t', tcp_server_options, names_s, 1, SECONDS_MAX, "seconds"),
	SET('X', tcp_server_options, rules_may_be_missing, 1), END };

const struct option *const tcpallow_option_table = allow_table;

static bool id_from_environment(const char *name, unsigned long *id)
{
	const char *text = getenv(name);

	return text && option_scan_number(text, ID_MAX, id);
}

bool tcp_server_identity(
	const struct tcp_server_options *options, struct chain_identity *identity, const char **problem)
{
	unsigned long uid = options->uid, gid = options->gid;

	if (options->ids_from_environment) {
		if (!uid && !id_from_environment("UID", &uid)) {
			*problem = "option -U needs a number in UID";
			return false;
		}
		if (!gid && !id_from_environment("GID", &gid)) {
			*problem = "option -U needs a number in GID";
			return false;
		}
	}
	identity->set_uid = options->ids_from_environment || options->uid;
	identity->set_gid = options->ids_from_environment || options->gid;
	identity->uid = (uid_t)uid;
	identity->gid = (gid_t)gid;
	return true;
}

/* ---- clients ---- */

const struct tcp_client_options tcp_client_defaults = { .verbosity = 1,
	.timeouts = "2+58",
	.name_check = -1,
	.chain_check = -1,
	.remote_host = 1,
	.names_s = NAMES_S };

enum { SSLCLIENT_ROW = 20 };

static const struct option client_table[] = { REFUSED('n', of_sslclient), REFUSED('N', of_sslclient),
	REFUSED('x', of_sslclient), REFUSED('X', of_sslclient), REFUSED('e', of_sslclient),
	REFUSED('E', of_sslclient), REFUSED('s', of_sslclient), REFUSED('S', of_sslclient),
	REFUSED('y', of_sslclient), REFUSED_WITH('w', of_sslclient), REFUSED_WITH('a', of_sslclient),
	REFUSED_WITH('A', of_sslclient), REFUSED_WITH('c', of_sslclient), REFUSED_WITH('k', of_sslclient),
	REFUSED_WITH('K', of_sslclient), REFUSED_WITH('V', of_sslclient), REFUSED_WITH('z', of_sslclient),
	REFUSED('m', of_sslclient), REFUSED('M', of_sslclient), REFUSED('3', of_sslclient),
	/* Here sslclient enters; up to the next remark tcpclient's rows too. */
	[SSLCLIENT_ROW] = SET('4', tcp_client_options, family, 4), SET('6', tcp_client_options, family, 6),
	SET('q', tcp_client_options, verbosity, 0), SET('Q', tcp_client_options, verbosity, 1),
	SET('v', tcp_client_options, verbosity, 2), SET('d', tcp_client_options, delay, 1),
	SET('D', tcp_client_options, delay, 0), TEXT('i', tcp_client_options, local_ip),
	NUMBER('p', tcp_client_options, local_port, 0, 65535, "a port"), TEXT('T', tcp_client_options, timeouts),
	TEXT('l', tcp_client_options, local_name), SET('h', tcp_client_options, remote_host, 1),
	SET('H', tcp_client_options, remote_host, 0), SET('r', tcp_client_options, remote_info, 1),
	SET('R', tcp_client_options, remote_info, 0),
	NUMBER('t', tcp_client_options, names_s, 1, SECONDS_MAX, "seconds"),
	REFUSED_WITH('I', "is not supported; an address can name its interface: fe80::1%eth0"),
	/* sslclient's own; tcpclient met these letters above. */
	NUMBER('w', tcp_client_options, idle_s, 1, SECONDS_MAX, "seconds"),
	SET('n', tcp_client_options, name_check, 1), SET('N', tcp_client_options, name_check, 0),
	SET('x', tcp_client_options, chain_check, 1), SET('X', tcp_client_options, chain_check, 0),
	SET('s', tcp_client_options, certificate_variables, 1),
	SET('S', tcp_client_options, certificate_variables, 0), SET('e', tcp_client_options, tcp_variables, 1),
	SET('E', tcp_client_options, tcp_variables, 0), SET('y', tcp_client_options, delayed, 1),
	REFUSED_WITH('a', "is not taken here: set CAFILE in the environment"),
	REFUSED_WITH('A', "is not taken here: set CADIR in the environment"),
	REFUSED_WITH('c', "is not taken here: set CERTFILE in the environment"),
	REFUSED_WITH('k', "is not taken here: set KEYFILE in the environment"),
	REFUSED_WITH(
		'K', "is not taken here: set KEYFILE in the environment; -3 reads the password of an encrypted key"),
	SET('3', tcp_client_options, password, 1),
	REFUSED_WITH('V', "is not taken here: set VERIFYDEPTH in the environment"),
	REFUSED_WITH('z', "is not taken here: set CIPHERS in the environment"),
	REFUSED(
		'm', "is not taken here: the host name is always sent; set TLS_SNI in the environment for another"),
	REFUSED('M',
		"is not taken here: the host name is always sent; set TLS_PEERNAME in the environment for another"),
	END };

const struct option *const tcpclient_option_table = client_table;
const struct option *const sslclient_option_table = client_table + SSLCLIENT_ROW;

bool tcp_client_verification(
	const struct tcp_client_options *options, const char **verify, const char **problem)
{
	*verify = NULL;
	if (options->chain_check == 0) {
		if (options->name_check == 1) {
			*problem = "option -n checks a name in a certificate, which means nothing with -X";
			return false;
		}
		*verify = "none";
	} else if (options->name_check == 0) {
		*verify = "chain";
	} else if (options->name_check == 1 || options->chain_check == 1) {
		*verify = "name";
	}
	return true;
}
