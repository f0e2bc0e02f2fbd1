/*
 * The names of tls-environ(7): what io programs read and prog is not to see, and what a report may set.
 * Nothing but these is taken from prog, and nothing but these is believed from an io program.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <skalibs/exec.h>
#include <errno.h>
#include "chain/chain.h"

extern char **environ;

/* Read by io programs, links and listeners, and taken away from prog. */
static const char *const read_names[] = { "CERTFILE", "CERTCHAINFILE", "KEYFILE", "CAFILE", "CADIR",
	"CCAFILE", "CCAVERIFY", "VERIFYDEPTH", "CIPHERS", "DHFILE", "CRLFILE", "CRLDIR", "SSL_USER", "SSL_GROUP",
	"SSL_UID", "SSL_GID", "SSL_CHROOT", "TLS_UID", "TLS_GID", "TLS_ENGINE", "TLS_VERIFY", "TLS_PEERNAME",
	"TLS_SNI", "TLS_SNIDIR", "TLS_ALPN", "TLS_PIN", "TLS_CLOSE", "TLS_RESET", "TLS_LINGER", "TLS_TIMEOUT",
	"TLS_REPORT", "TLS_MINVERSION", "TLS_MAXVERSION", "TLS_MINRSA", "TLS_CNFALLBACK", "TLS_CRLPOLICY",
	"TLS_TIME" };

/* Pairs for server names: CERTFILE:name, KEYFILE:name. */
static const char *const read_prefixes[] = { "CERTFILE:", "KEYFILE:" };

static const char *const control_names[] = { "UCSPITLS", "SSLCTLFD", "SSLREADFD", "SSLWRITEFD" };

static const char *const report_names[] = { "SSL_PROTOCOL", "SSL_CIPHER", "SSL_TLS_SNI_SERVERNAME",
	"SSL_PEER_CERT_HASH", "SSL_PEER_CERT_SUBJECT", "SSL_ALPN", "SSL_TLS_SNI", "SSL_SESSION_ID",
	"SSL_SESSION_RESUMED", "SSL_SECURE_RENEG", "SSL_COMPRESS_METHOD", "SSL_CIPHER_EXPORT",
	"SSL_CIPHER_USEKEYSIZE", "SSL_CIPHER_ALGKEYSIZE", "SSL_VERSION_INTERFACE", "SSL_VERSION_LIBRARY",
	"SSL_CLIENT_VERIFY", "SSL_REPORT_LEFT_OUT" };

/* After SSL_CLIENT_ or SSL_SERVER_. */
static const char *const certificate_names[] = { "M_VERSION", "M_SERIAL", "V_START", "V_END", "V_REMAIN",
	"A_SIG", "A_KEY", "CERT", "CERT_SHA256", "CERT_RFC4523_CEA" };
static const char *const numbered_names[] = { "CERT_CHAIN_", "SAN_DNS_", "SAN_Email_", "SAN_IP_",
	"SAN_OTHER_msUPN_", "SAN_OTHER_dnsSRV_" };
static const char *const name_names[] = { "S_DN", "I_DN" };
static const char *const name_parts[] = { "C", "ST", "L", "O", "OU", "CN", "T", "I", "G", "S", "D", "UID",
	"Email", "SerialNumber" };

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static bool is_one_of(const char *name, size_t n, const char *const *list, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (strlen(list[i]) == n && !memcmp(list[i], name, n))
			return true;
	return false;
}

/* The rest of name behind one of the prefixes, NULL if it has none of them. */
static const char *behind(const char *name, size_t n, const char *const *prefixes, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		size_t length = strlen(prefixes[i]);
		if (n > length && !memcmp(prefixes[i], name, length))
			return name + length;
	}
	return NULL;
}

static bool is_number(const char *text, size_t n)
{
	if (!n || n > 4)
		return false;
	for (size_t i = 0; i < n; i++)
		if (text[i] < '0' || text[i] > '9')
			return false;
	return true;
}

/* S_DN, S_DN_CN, S_DN_OU_1 */
static bool is_name_form(const char *name, size_t n)
{
	const char *end = name + n, *part, *number;

	if (n < 4 || !is_one_of(name, 4, name_names, COUNT(name_names)))
		return false;
	if (n == 4)
		return true;
	if (name[4] != '_')
		return false;
	part = name + 5;
	number = memchr(part, '_', (size_t)(end - part));
	if (number && !is_number(number + 1, (size_t)(end - number - 1)))
		return false;
	return is_one_of(part, (size_t)((number ? number : end) - part), name_parts, COUNT(name_parts));
}

bool chain_report_may_set(const char *name, size_t n)
{
	static const char *const sides[] = { "SSL_CLIENT_", "SSL_SERVER_" };
	const char *end = name + n, *rest, *number;

	if (is_one_of(name, n, report_names, COUNT(report_names)))
		return true;
	rest = behind(name, n, sides, COUNT(sides));
	if (!rest)
		return false;
	if (is_one_of(rest, (size_t)(end - rest), certificate_names, COUNT(certificate_names)))
		return true;
	number = behind(rest, (size_t)(end - rest), numbered_names, COUNT(numbered_names));
	if (number)
		return is_number(number, (size_t)(end - number));
	return is_name_form(rest, (size_t)(end - rest));
}

bool chain_set(stralloc *changes, const char *name, const char *value)
{
	return stralloc_cats(changes, name) && stralloc_catb(changes, "=", 1) &&
		   stralloc_catb(changes, value, strlen(value) + 1);
}

bool chain_unset(stralloc *changes, const char *name)
{
	return stralloc_catb(changes, name, strlen(name) + 1);
}

bool chain_change(void *changes, const char *name, const char *value)
{
	return value ? chain_set(changes, name, value) : chain_unset(changes, name);
}

const char *chain_value(const stralloc *changes, const char *name)
{
	size_t n = strlen(name);
	const char *value = getenv(name);

	for (size_t at = 0; at < changes->len; at += strlen(changes->s + at) + 1) {
		const char *change = changes->s + at;
		if (!strncmp(change, name, n) && change[n] == '=')
			value = change + n + 1;
		else if (!strcmp(change, name))
			value = NULL;
	}
	return value;
}

static bool is_ours(const char *name, size_t n)
{
	return is_one_of(name, n, read_names, COUNT(read_names)) ||
		   behind(name, n, read_prefixes, COUNT(read_prefixes)) ||
		   is_one_of(name, n, control_names, COUNT(control_names)) || chain_report_may_set(name, n);
}

/* The length of the name in "NAME=value" or "NAME". */
static size_t name_length(const char *variable)
{
	return strcspn(variable, "=");
}

static bool clean_one(stralloc *changes, const char *variable)
{
	size_t n = name_length(variable);
	if (!is_ours(variable, n))
		return true;
	return stralloc_catb(changes, variable, n) && stralloc_catb(changes, "", 1);
}

bool chain_clean(stralloc *changes)
{
	size_t given = changes->len;

	for (char **variable = environ; *variable; variable++)
		if (!clean_one(changes, *variable))
			return false;
	for (size_t at = 0; at < given; at += strlen(changes->s + at) + 1) {
		char copy[300]; /* appending may move what it reads from; no name of ours is that long but by a server
						   name */
		size_t n = name_length(changes->s + at);
		if (n >= sizeof copy)
			continue;
		memcpy(copy, changes->s + at, n);
		copy[n] = 0;
		if (!clean_one(changes, copy))
			return false;
	}
	return true;
}

bool chain_forget_report(stralloc *changes)
{
	for (char **variable = environ; *variable; variable++) {
		size_t n = name_length(*variable);
		if (chain_report_may_set(*variable, n) &&
			!(stralloc_catb(changes, *variable, n) && stralloc_catb(changes, "", 1)))
			return false;
	}
	return true;
}

void chain_exec(char *const *prog, const stralloc *changes, struct chain_problem *problem)
{
	mexec_am(prog[0], (const char *const *)prog, changes->s, changes->len);
	*problem = (struct chain_problem){ EXIT_SYSTEM, "run", prog[0], NULL, errno };
}
