/*
 * The library computes with copies of a key on the stack, and leaves them there. Whoever has called it with a
 * secret calls this next, from the same depth: it lies where the copies were.
 */
#include "engine/bearssl/private.h"

/* More than the deepest of the calls has used: RSA of 4096 bits, some 7 KB. */
enum { STACK_BURNT = 16384 };

__attribute__((noinline)) void burn_stack(void)
{
	unsigned char used[STACK_BURNT];

	x509_wipe(used, sizeof used);
}
