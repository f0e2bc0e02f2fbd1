/*
 * Headers of the PROXY protocol and the environment: names and formats are those that tls-environ(7) has for
 * a connection whose TLS is ours. What a proxy says is checked like what a client says itself, as proxies
 * pass on what clients have said.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "chain/chain.h"
#include "internal.h"
#include "relay/relay.h"

struct sink {
	stralloc *changes;
	bool failed;
};

static void set(struct sink *sink, const char *name, const char *value)
{
	sink->failed |= !chain_set(sink->changes, name, value);
}

/* ---- out of a header ---- */

/* Nothing but letters, digits and what stands in also. */
static bool is_word(struct bytes value, const char *also)
{
	for (size_t i = 0; i < value.n; i++) {
		char c = (char)value.at[i];
		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
				(c && strchr(also, c))))
			return false;
	}
	return value.n <= PROXY_VALUE_MAX;
}

static bool set_word(struct sink *sink, const char *name, struct bytes value, const char *also)
{
	char text[PROXY_VALUE_MAX + 1];

	if (!value.n)
		return true;
	if (!is_word(value, also))
		return false;
	memcpy(text, value.at, value.n);
	text[value.n] = '\0';
	set(sink, name, text);
	return true;
}

static bool set_authority(struct sink *sink, struct bytes value)
{
	char name[HELLO_NAME_MAX + 1];
	unsigned char ip[16];

	if (!value.n)
		return true;
	if (!hello_copy_name(value, name))
		return false;
	if (!x509_scan_address(name, ip))
		set(sink, "SSL_TLS_SNI_SERVERNAME", name);
	return true;
}

/* What is not printable ASCII becomes \XX, and a backslash two, as in the names of certificates. */
static bool set_common_name(struct sink *sink, struct bytes value)
{
	static const char digits[] = "0123456789ABCDEF";
	char text[3 * PROXY_VALUE_MAX + 1], *to = text;

	if (!value.n)
		return true;
	if (value.n > PROXY_VALUE_MAX)
		return false;
	for (size_t i = 0; i < value.n; i++) {
		unsigned char c = value.at[i];

		*to++ = (char)(c < ' ' || c > '~' ? '\\' : c);
		if (c < ' ' || c > '~') {
			*to++ = digits[c >> 4];
			*to++ = digits[c & 15];
		} else if (c == '\\') {
			*to++ = '\\';
		}
	}
	*to = '\0';
	set(sink, "SSL_CLIENT_S_DN_CN", text);
	return true;
}

/* Values that are too long for a report are left out here as well. */
static void set_of_certificate(void *context, const char *suffix, const char *value)
{
	char name[100] = "SSL_CLIENT_";

	if (value && strlen(suffix) < sizeof name - sizeof "SSL_CLIENT_")
		set(context, strcat(name, suffix), value);
}

static bool set_certificate(struct sink *sink, struct bytes der)
{
	static char work[REPORT_VALUE_MAX + 1]; /* one connection a process */
	struct x509_certificate certificate;
	struct x509_problem problem;

	if (!der.n)
		return true;
	if (!x509_parse(der, &certificate, &problem))
		return false;
	x509_variables(&certificate, (int64_t)time(NULL), set_of_certificate, sink, work, sizeof work);
	return true;
}

static const char *set_tls(struct sink *sink, const struct proxy_header *header)
{
	if (!set_word(sink, "SSL_ALPN", header->alpn, "!#$%&'*+-.^_`|~/"))
		return "an application protocol that is no name";
	if (!set_authority(sink, header->authority))
		return "an authority that is no host name";
	if (!header->tls)
		return NULL;
	if (!set_word(sink, "SSL_PROTOCOL", header->version, "."))
		return "a version of TLS that is no word";
	if (!set_word(sink, "SSL_CIPHER", header->cipher, "-_"))
		return "a cipher that is no word";
	if (!set_common_name(sink, header->common_name))
		return "a common name that is too long";
	if (!set_certificate(sink, header->certificate))
		return "a certificate that is none";
	set(sink, "SSL_CLIENT_VERIFY",
		!header->certificate_shown ? "NONE"
		: header->certificate_good ? "SUCCESS"
								   : "FAILED:by the word of the proxy");
	return NULL;
}

bool proxy_header_variables(const struct proxy_header *header, const struct net_connection *connection,
	int sets, stralloc *changes, const char **why)
{
	struct net_connection words = { .local = header->destination, .remote = header->source };
	struct sink sink = { .changes = changes };
	const size_t before = changes->len;

	words.local_host = connection->local_host;
	net_describe_ends(&words);
	*why = NULL;
	if (net_variables(&words, sets, chain_change, changes) && chain_forget_report(changes))
		*why = set_tls(&sink, header);
	else
		sink.failed = true;
	if (!sink.failed && !*why)
		return true;
	changes->len = before;
	return false;
}

/* ---- into a header ---- */

static struct bytes value_of(const char *name)
{
	const char *value = getenv(name);

	return (struct bytes){ (const unsigned char *)value, value ? strlen(value) : 0 };
}

/* Bytes: base64 with its newlines of as much as fits into a header, and the lines around it. */
enum { PEM_MAX = PROXY_HEADER_MAX / 48 * 65 + 256 };

/* The certificate of a client, in memory that is never given back. */
static struct bytes read_certificate(void)
{
	struct bytes pem = value_of("SSL_CLIENT_CERT");
	static unsigned char copy[PEM_MAX];
	struct x509_problem problem;
	struct pem_block block;
	size_t at = 0;

	if (!pem.n || pem.n > sizeof copy)
		return (struct bytes){ NULL, 0 };
	memcpy(copy, pem.at, pem.n);
	if (pem_next(copy, pem.n, &at, &block, &problem) != 1 || !pem_is(&block, "CERTIFICATE"))
		return (struct bytes){ NULL, 0 };
	return block.content;
}

void proxy_header_from_environment(const struct net_connection *connection, struct proxy_header *header)
{
	const char *verify = getenv("SSL_CLIENT_VERIFY");

	*header = (struct proxy_header){ .proxied = true,
		.source = connection->remote,
		.destination = connection->local,
		.alpn = value_of("SSL_ALPN"),
		.authority = value_of("SSL_TLS_SNI_SERVERNAME"),
		.version = value_of("SSL_PROTOCOL"),
		.cipher = value_of("SSL_CIPHER"),
		.common_name = value_of("SSL_CLIENT_S_DN_CN"),
		.certificate = read_certificate() };
	header->tls = header->version.n;
	/* Servers that say no more than the usual have refused whatever is not right. */
	header->certificate_good = verify ? strcmp(verify, "SUCCESS") == 0 : value_of("SSL_PEER_CERT_HASH").n > 0;
	header->certificate_shown = verify ? strcmp(verify, "NONE") != 0 : header->certificate_good;
}
