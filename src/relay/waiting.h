/*
 * What the loops wait with: descriptors, deadlines, the three signals that end a connection in good order,
 * and the end of prog.
 */
#ifndef RELAY_WAITING_H
#define RELAY_WAITING_H

#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include "relay/port.h"

struct waiting {
	sigset_t signals; /* the mask while waiting: SIGTERM, SIGHUP and SIGINT are let in, and maybe SIGCHLD */
	int64_t signals_let_in; /* when they last were, monotonic milliseconds */
};

/*
 * Catches SIGTERM, and SIGHUP and SIGINT unless whoever started us ignores them; with for_children the end of
 * a child ends a wait, too. The caller has blocked them all. False with errno.
 */
bool waiting_catch_signals(struct waiting *, bool for_children);

/* Lets in what signals are there. */
void waiting_let_in(const struct waiting *);

/* Whether a signal has come that waiting_take_signal would give. */
bool waiting_has_signal(void);

/*
 * Whether a child has ended: then how->si_code and how->si_status say how, 0 both if that is not to be known.
 * It stays a zombie, for whoever wants its exit code.
 */
bool waiting_child_ended(pid_t child, siginfo_t *how);

/* The number of a signal that has come since the last call, 0: none; *for_us_alone: not for a whole group. */
int waiting_take_signal(bool *for_us_alone);

/* What is asked of a port: event if it is wanted and the port is not ready, else only whether it hangs up. */
void waiting_ask(struct pollfd *, const struct port *, bool wanted, short event);
void waiting_take_answer(const struct pollfd *, struct port *);

/*
 * Waits for n descriptors until deadline (0: for ever) or a signal; *now is the time afterwards. False with
 * errno if poll failed, and nothing is to be taken from the answers.
 */
bool waiting_poll(struct waiting *, struct pollfd *, nfds_t n, int64_t deadline, int64_t *now);

#endif
