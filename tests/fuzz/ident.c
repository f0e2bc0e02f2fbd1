/*
 * Fuzzing of what strangers call themselves: replies of IDENT servers and host names from DNS. What comes out
 * is clean and bounded, and cleaning it again changes nothing. The same input as rewriting instructions, too.
 */
#include <stdlib.h>
#include <string.h>
#include "net/internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t n);

static void check(bool holds)
{
	if (!holds)
		abort();
}

static void check_info(const char *info)
{
	check(strlen(info) < NET_INFO_TEXT);
	for (; *info; info++)
		check(*info > ' ' && *info < 127 && *info != ':' && *info != '%');
}

static void check_host(const char *host)
{
	struct net_address address;

	check(strlen(host) < NET_HOST_TEXT && host[0] != '-' && !net_scan_ip(host, &address));
	check(strspn(host, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") == strlen(host));
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t n)
{
	static const char prefix[] = "4000, 25 : USERID : UNIX : ";
	const size_t prefix_n = sizeof prefix - 1;
	char info[NET_INFO_TEXT], host[NET_HOST_TEXT], again[NET_HOST_TEXT], name[NET_REWRITTEN_TEXT] = "short";
	char *text = malloc(prefix_n + n + 1);

	check(text != NULL);
	check(net_ident_read((const char *)input, n, 4000, 25, info) == (info[0] != '\0'));
	check_info(info);
	memcpy(text, prefix, prefix_n);
	memcpy(text + prefix_n, input, n);
	check(net_ident_read(text, prefix_n + n, 4000, 25, info) == (info[0] != '\0'));
	check_info(info);

	memcpy(text, input, n);
	text[n] = '\0';
	if (net_clean_host(text, host)) {
		check_host(host);
		check(net_clean_host(host, again) && strcmp(host, again) == 0);
	}
	free(text);

	if (net_rewrite((const char *)input, n, name)) {
		check(strlen(name) < sizeof name);
		for (size_t i = 0; net_candidate(name, i, host); i++)
			check(strlen(host) < sizeof host && i < sizeof name);
	}
	return 0;
}
