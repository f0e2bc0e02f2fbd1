/*
 * What went wrong in a dialogue, kept in fixed room and said in one line.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>
#include "chain/chain.h"
#include "internal.h"
#include "net/net.h"

bool fault_words(struct starttls_fault *fault, const char *step, const char *words)
{
	*fault = (struct starttls_fault){ .exit_code = EXIT_TLS, .step = step, .words = words };
	return false;
}

bool fault_system(struct starttls_fault *fault, const char *doing)
{
	*fault = (struct starttls_fault){ .exit_code = EXIT_SYSTEM, .step = doing, .errnum = errno };
	return false;
}

bool fault_wire(struct starttls_fault *fault, const char *step, enum wire_result result)
{
	switch (result) {
	case WIRE_CLOSED:
		return fault_words(fault, step, "the peer has closed the connection");
	case WIRE_LATE:
		return fault_words(fault, step, "time is up");
	case WIRE_LONG:
		return fault_words(fault, step, "too much: a line or the whole is too long");
	case WIRE_ILLEGAL:
		return fault_words(fault, step, "a line that does not end in CRLF, or with NUL or CR inside");
	default:
		return fault_system(fault, "talk with the peer");
	}
}

bool fault_got(
	struct starttls_fault *fault, const char *step, const char *expected, const void *got, size_t n)
{
	const unsigned char *bytes = got;
	size_t shown = n < STARTTLS_SHOWN_MAX ? n : STARTTLS_SHOWN_MAX;

	*fault = (struct starttls_fault){ .exit_code = EXIT_TLS, .step = step, .expected = expected };
	for (size_t i = 0; i < shown; i++)
		fault->shown[i] = (char)(bytes[i] < ' ' || bytes[i] > '~' ? '?' : bytes[i]);
	if (shown < n)
		memcpy(fault->shown + shown, "...", 3);
	return false;
}

void starttls_say(const char *program, const char *subject, const struct starttls_fault *fault)
{
	if (fault->exit_code == EXIT_SYSTEM)
		net_log(program, ": fatal: unable to ", fault->step, ": ", strerror(fault->errnum), NULL);
	else if (fault->words)
		net_log(program, ": error: ", subject, ": step ", fault->step, ": ", fault->words, NULL);
	else if (fault->expected)
		net_log(program, ": error: ", subject, ": step ", fault->step, ": expected ", fault->expected,
			", got: ", fault->shown, NULL);
	/* without words: somebody else has said it */
}

void starttls_die(const char *program, const char *subject, const struct starttls_fault *fault)
{
	starttls_say(program, subject, fault);
	_exit(fault->exit_code);
}
