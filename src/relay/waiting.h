/*
 * What both loops wait with: descriptors, deadlines, and the three signals that end a connection in good
 * order.
 */
#ifndef RELAY_WAITING_H
#define RELAY_WAITING_H

#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include "relay/port.h"

struct waiting {
	sigset_t signals;       /* the mask while waiting: SIGTERM, SIGHUP and SIGINT are let in */
	int64_t signals_let_in; /* when they last were, monotonic milliseconds */
};

/*
 * Catches SIGTERM, and SIGHUP and SIGINT unless whoever started us ignores them. The caller has blocked them.
 * False with errno.
 */
bool waiting_catch_signals(struct waiting *);

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
