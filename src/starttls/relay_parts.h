/*
 * What stands beside prog (relay.c) in its parts: the beginning in relay.c, the loop in relay_copy.c, and
 * what is taken off prog's output before anybody sees it in relay_greeting.c.
 */
#ifndef RELAY_PARTS_H
#define RELAY_PARTS_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include "internal.h"

enum { FLOW_ROOM = 16 << 10 };

/* One direction. */
struct flow {
	int from, to; /* -1: ended */
	size_t begin, n;
	struct mysql_numbers numbers;
	char bytes[FLOW_ROOM];
};

/* What is still to be taken off prog's output. */
enum swallowing { GREETING, SAID_ANSWER, NOTHING };

struct relay {
	const struct starttls_relay *plan;
	const char *program;
	struct flow input, output; /* of prog */
	enum swallowing swallowing;
	struct answer_reader reader;
	size_t scanned; /* bytes of the output's that are lines already given to the reader */
	pid_t prog;
	bool prog_ended;
	int status;
	int64_t moved_ms; /* when output was last taken, or prog ended */
};

/* ---- relay_copy.c ---- */

/* Appends bytes, for which there must be room. */
void flow_put(struct flow *flow, const char *bytes, size_t n);

/* Nothing more is read; or written either, and what is there is thrown away. */
void flow_end_reading(struct flow *flow);
void flow_end(struct flow *flow);

/* Blocks the signals that are passed on, so that none is lost between the fork and the loop. */
bool copy_hold_signals(sigset_t *before);

/* What is done about them in the loop, which lets them in while it waits. */
bool copy_catch_signals(sigset_t *while_waiting);

/* Copies until prog and its output have ended. Returns the exit code. */
int copy_run(struct relay *relay, const sigset_t *while_waiting);

/* Of what wait has said. */
int copy_exit_code(int status);

/* ---- relay_greeting.c ---- */

/* What is to be taken off, if anything is. */
void swallow_begin(struct relay *relay);

/* Takes off what has come of it. */
void swallow_lines(struct relay *relay);

#endif
