/*
 * What we call ourselves in a dialogue.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "internal.h"

bool starttls_is_name(const char *text)
{
	size_t n = strnlen(text, STARTTLS_NAME_MAX + 1);

	return n > 0 && n <= STARTTLS_NAME_MAX && text[0] != '-' &&
		   strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.:[]") == n;
}

static bool take(const char *candidate, char name[STARTTLS_NAME_MAX + 1])
{
	if (!candidate || !starttls_is_name(candidate))
		return false;
	memcpy(name, candidate, strlen(candidate) + 1);
	return true;
}

bool starttls_own_name(const char *asked, char name[STARTTLS_NAME_MAX + 1])
{
	char host[STARTTLS_NAME_MAX + 1];

	if (asked)
		return take(asked, name);
	if (take(getenv("TCPLOCALHOST"), name) || take(getenv("SSLLOCALHOST"), name))
		return true;
	host[STARTTLS_NAME_MAX] = '\0'; /* what is cut may lack it */
	return (gethostname(host, STARTTLS_NAME_MAX) == 0 && take(host, name)) || take("localhost", name);
}
