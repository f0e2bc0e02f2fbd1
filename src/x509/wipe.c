/*
 * Overwriting secrets: one function, because a plain memset before free is dead code to a compiler.
 */
#include "x509.h"

#include <string.h>

void x509_wipe(void *memory, size_t n)
{
	if (n == 0)
		return;
#if defined(__GLIBC__) || defined(__linux__) || defined(__FreeBSD__) || defined(__OpenBSD__)
	explicit_bzero(memory, n);
#else
	volatile unsigned char *byte = memory;
	while (n-- > 0)
		*byte++ = 0;
#endif
}
