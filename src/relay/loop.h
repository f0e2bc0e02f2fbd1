/*
 * The state of one connection in the loop, shared by the files that move its bytes (receive.c, send.c), end
 * it (ends.c) and wait for more (loop.c).
 */
#ifndef RELAY_LOOP_H
#define RELAY_LOOP_H

#include "relay/farewell.h"
#include "relay/port.h"
#include "relay/relay.h"
#include "relay/waiting.h"

enum {
	IN_ROOM =
		65536 + 2048,     /* network bytes read at once; also what a ClientHello with its headers may take */
	GATHER_ROOM = 65536,  /* cleartext gathered for one write */
	QUEUE_ROOM = 65536,   /* records waiting for the network */
	REFILL_BELOW = 16384, /* no new cleartext is sealed while more than this waits */
	HANDSHAKE_BYTES = 256 << 10, /* that a peer may send before the handshake is complete */
	FAREWELL_MS = 2000,          /* that prog has to finish its output after a signal */
	END_NOTICED_MS = 200,        /* in which prog sees the end of its input before that of its output */
	PASSES = 16                  /* over all descriptors before signals and deadlines get their turn */
};

struct loop {
	const struct relay *relay;
	struct relay_end *end;
	struct engine *engine;
	const struct engine_class *class;
	struct port net_in, net_out, plain_in, plain_out;
	struct port told; /* where message goes */
	struct relay_message message;

	unsigned char in[IN_ROOM], gather[GATHER_ROOM], queue[QUEUE_ROOM];
	size_t gather_most; /* bytes of gather that ever held cleartext: what is to be wiped */
	size_t in_at, in_n, gather_at, gather_n, queue_at, queue_n;

	/* the handshake */
	struct hello_reader reader;
	struct hello hello;
	bool hello_done;
	size_t handshake_bytes;
	bool opened; /* it is complete and was reported */

	/* from the network to prog */
	bool
		net_ended; /* nothing more from the network counts: close_notify, its end, a failure, or we gave up */
	bool net_eof;  /* the network itself has ended: there is nothing to read any more */
	bool in_done;  /* prog's input has ended: all of it was delivered, or nobody wants it */
	bool unwanted; /* prog's input has no reader: what comes is thrown away */
	bool lost;     /* the peer has not ended: the connection was reset */

	/* from prog to the network */
	bool plain_ended; /* nothing more from prog counts: its end, or nobody can be sent it */
	bool plain_eof;   /* it has ended: there is nothing to read any more */
	bool held;        /* its end waits for the engine, see send.c */
	bool notified;    /* close_notify was asked for, or is not to be sent */
	bool out_done;    /* our side of the network has ended: shut down, or gone */
	bool out_gone;    /* the latter */
	int64_t
		plain_kept_until; /* prog's output is read and thrown away: see loop_abandon_output; 0: it is not */

	/* TLS_RESET, see prog.c */
	bool output_end_seen; /* the end of prog's output */
	bool prog_counts;     /* its input had gone, too: how prog ends says what that end means */
	bool prog_asked;      /* it was told to end, by us or by a signal: then its end is no failure */

	bool failed; /* TLS has failed, here or at the peer */
	bool broken; /* poll has failed, or there is no engine: stop at once */

	/* monotonic milliseconds; 0: not set */
	int64_t now, handshake_deadline, idle_since, signal_until, ending_until, prog_until;
	struct waiting waiting;
	struct farewell network, plain;
};

/* ends.c */

/* Keeps the first reason for which the connection fails. */
void loop_say(struct loop *, enum relay_code, const char *words);
/* TLS has failed: the alert (-1: none) goes out, what was received in good order is still delivered. */
void loop_fail(struct loop *, int alert, const char *words);
/* The same if the engine says that it has failed. */
void loop_note_failure(struct loop *);
/* Nobody reads prog's input any more. */
void loop_receiver_gone(struct loop *);
/*
 * Prog's output is not wanted any more: it learns so by SIGPIPE, even while it does not read what it is sent.
 * At once where the connection has failed; then its input ends behind that. Where it has not, or that is not
 * known yet, the end of its input comes first, so that whoever passes on ends (relay(1)) can tell the two
 * from each other: so long, what it says is thrown away.
 */
void loop_abandon_output(struct loop *);
/* The network cannot be written any more. */
void loop_network_gone(struct loop *);
/* The connection is over, and nothing that could be delivered is left. */
bool loop_finished(struct loop *);
/* Acts on deadlines that have come; next_deadline gives the next one, 0 for none. */
void loop_check_deadlines(struct loop *);
int64_t loop_next_deadline(const struct loop *);

/* What reading or writing prog's descriptors met, other than their end: exit 111. */
void loop_local_failure(struct loop *, const char *doing, int errnum);

/* prog.c */

/* To be called when the end of prog's output is seen. */
void loop_note_output_end(struct loop *);
/* And for a moment afterwards: does prog end, or only its output? */
void loop_look_at_prog(struct loop *);
/* True as long as prog's exit code is waited for before the peer is told of an end. If that says that prog
 * has failed, so has the connection. */
bool loop_awaits_prog(struct loop *);
/* When to look at prog again, as keep_earliest. */
void loop_prog_deadline(const struct loop *, int64_t *earliest);

/* receive.c: network to prog. Each returns whether anything moved. */

bool loop_wants_network(const struct loop *);
bool loop_read_network(struct loop *);
bool loop_feed(struct loop *);
bool loop_write_plain(struct loop *);
bool loop_end_plain(struct loop *);
/* What prog is to be told of the connection. */
bool loop_write_message(struct loop *);

/* send.c: prog to network */

size_t loop_queue_room(struct loop *);
/* Records leave the engine as soon as they exist, so that none is lost if it fails in its next step. */
bool loop_drain_records(struct loop *);
bool loop_wants_plain(const struct loop *);
bool loop_read_plain(struct loop *);
bool loop_write_network(struct loop *);
bool loop_end_network(struct loop *);

#endif
