/*
 * What prog's end says to the peer. By default the end of its output is an end like any other. With TLS_RESET
 * a prog that fails must not look like one that has said all: its exit code is waited for, within bounds.
 */
#include <signal.h>
#include <stdio.h>
#include "relay/loop.h"

enum {
	ENDING_MS = 100, /* that prog has to end after its output has, where its input is still read */
	PROG_MS = 2000   /* that it has where nobody reads that either */
};

/* ---- has only its output ended? ---- */

/* Nobody reads what prog is sent: we have ended that, or its reading end is closed. */
static bool input_is_gone(const struct loop *l)
{
	struct pollfd p = { .fd = l->plain_out.fd };

	return l->in_done || l->unwanted || p.fd < 0 || (poll(&p, 1, 0) > 0 && p.revents & (POLLERR | POLLHUP));
}

void loop_look_at_prog(struct loop *l)
{
	siginfo_t how;

	if (!l->ending_until)
		return;
	l->prog_counts = input_is_gone(l) || waiting_child_ended(l->relay->prog, &how);
	if (l->prog_counts || l->now >= l->ending_until)
		l->ending_until = 0;
}

/*
 * One that lives on and reads its input has ended its output only, and whatever becomes of it later, that was
 * complete. But the end of a process shows first in its descriptors, which Linux closes in no order to rely
 * on: hence a moment to see which it is.
 */
void loop_note_output_end(struct loop *l)
{
	if (l->output_end_seen || !l->relay->configuration->pass_failure || l->relay->prog <= 0)
		return;
	l->output_end_seen = true;
	l->ending_until = l->now + ENDING_MS;
	loop_look_at_prog(l);
}

/* ---- has it failed? ---- */

/* A failure, in words; false if it has ended in good order, or nobody knows how. */
static bool has_failed(const siginfo_t *how, char *words, size_t room)
{
	bool exited = how->si_code == CLD_EXITED;

	if (!how->si_code || (exited && !how->si_status))
		return false;
	(void)snprintf(words, room, "prog failed (%s %d): connection broken off", exited ? "exit" : "signal",
		how->si_status);
	return true;
}

/* True while it is to be waited for; then whether it has failed is settled. */
static bool await_end(struct loop *l)
{
	char words[80];
	siginfo_t how;

	if (!waiting_child_ended(l->relay->prog, &how)) {
		if (!l->prog_until)
			l->prog_until = l->now + PROG_MS;
		return l->now < l->prog_until;
	}
	if (!has_failed(&how, words, sizeof words))
		return false;
	waiting_let_in(&l->waiting); /* a signal that came for both is no failure */
	if (waiting_has_signal()) {
		l->prog_until = l->now; /* the loop takes it at once */
		return true;
	}
	loop_say(l, RELAY_DONE, words); /* the exit code is prog's */
	loop_fail(l, ALERT_INTERNAL_ERROR, words);
	return false;
}

bool loop_awaits_prog(struct loop *l)
{
	if (l->prog_asked)
		return false;
	if (l->ending_until || (l->prog_counts && await_end(l)))
		return true;
	l->prog_counts = false;
	l->prog_until = 0;
	return false;
}

void loop_prog_deadline(const struct loop *l, int64_t *earliest)
{
	if (l->notified || l->prog_asked)
		return;
	keep_earliest(earliest, l->ending_until);
	keep_earliest(earliest, l->prog_until);
}
