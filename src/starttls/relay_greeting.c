/*
 * What prog says first and the client must not hear: its greeting, as the client has had one, and its answer
 * to what the client said before prog was there. Called by relay.c and the loop.
 */
#include <string.h>
#include "net/net.h"
#include "relay_parts.h"

enum { SWALLOWED_MAX = 8 << 10 };

/* What was read as answer so far is not passed on. */
static void drop_scanned(struct relay *r)
{
	struct flow *out = &r->output;

	out->n -= r->scanned;
	memmove(out->bytes, out->bytes + r->scanned, out->n); /* nothing has been written yet: begin is 0 */
	r->scanned = 0;
}

static void expect(struct relay *r, enum swallowing what, const struct answer_rule *rule)
{
	r->swallowing = what;
	r->reader = (struct answer_reader){ .rule = rule };
}

static void greeting_is_good(struct relay *r)
{
	const struct starttls_said *said = r->plan->said;

	drop_scanned(r);
	if (said && said->n) {
		flow_put(&r->input, said->text, said->n);
		expect(r, SAID_ANSWER, server_said_answer(r->plan->swallow));
	} else {
		r->swallowing = NOTHING;
	}
}

/*
 * The client was told already that all is well: it must not take this answer for that to its next command. It
 * gets a farewell instead, and prog its end.
 */
static void said_was_refused(struct relay *r)
{
	char words[512];
	size_t n = template_fill(words, sizeof words, server_farewell(r->plan->swallow), r->plan->name, NULL);

	net_log(
		r->program, ": error: the program does not take what the client said before it was started", NULL);
	r->output.begin = 0;
	r->output.n = 0;
	r->swallowing = NOTHING;
	flow_put(&r->output, words, n);
	flow_end_reading(&r->output);
	flow_end(&r->input);
}

static void not_a_greeting(struct relay *r)
{
	if (r->swallowing == SAID_ANSWER)
		said_was_refused(r);
	r->swallowing = NOTHING; /* the client gets to read it */
}

/* Whole lines of the output, as long as they are not for the client. */
void swallow_lines(struct relay *r)
{
	struct flow *out = &r->output;

	if (out->to < 0)
		r->swallowing = NOTHING; /* the client has gone: there is nobody to keep it from */
	while (r->swallowing != NOTHING) {
		const char *line = out->bytes + out->begin + r->scanned;
		const char *end = memchr(line, '\n', out->n - r->scanned);
		size_t n;

		if (!end) {
			if (out->n > SWALLOWED_MAX || out->from < 0)
				not_a_greeting(r);
			return;
		}
		n = (size_t)(end - line);
		r->scanned += n + 1;
		if (n && line[n - 1] == '\r')
			n--;
		switch (answer_line(&r->reader, line, n)) {
		case ANSWER_MORE:
			break;
		case ANSWER_BAD:
			not_a_greeting(r);
			return;
		case ANSWER_GOOD:
			if (r->swallowing == GREETING) {
				greeting_is_good(r);
			} else {
				drop_scanned(r);
				r->swallowing = NOTHING;
			}
		}
	}
}

void swallow_begin(struct relay *r)
{
	r->swallowing = NOTHING;
	if (r->plan->swallow && r->plan->relay_output)
		expect(r, GREETING, server_greeting(r->plan->swallow));
}
