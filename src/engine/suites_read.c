/*
 * Lists of cipher suites in OpenSSL's spelling, read with OpenSSL's meaning (openssl-ciphers(1)): all suites
 * stand in one row, some of them chosen; each word chooses, puts off, puts away or strikes out. What differs:
 * groups choose within the policy only, and a word that nobody knows is an error.
 */
#include <string.h>
#include "engine/suites_internal.h"

enum operation { CHOOSE, PUT_AWAY = '-', PUT_LAST = '+', STRIKE_OUT = '!' };

struct row {
	struct {
		const struct suite *suite;
		bool chosen;
	} at[SUITES_MAX];
	size_t n;
};

/* What an item of the list stands for: A+B is what both have. */
struct item {
	enum operation operation;
	const struct suite *named; /* by a word that is a suite's name */
	uint32_t any[8];           /* traits of groups, of each of which a suite must have one */
	size_t n_any;
	bool nothing; /* a suite that is never used is among the words */
};

struct reader {
	const struct suites_engine *engine;
	struct row row;
	bool names_tls13;
	struct suites_fault *fault;
};

static bool fail(struct reader *r, const char *at, size_t n, const char *words)
{
	*r->fault = (struct suites_fault){ .at = at, .n = n, .words = words };
	return false;
}

/* ---- the row ---- */

static void take_out(struct row *row, size_t i)
{
	row->n--;
	memmove(&row->at[i], &row->at[i + 1], (row->n - i) * sizeof row->at[0]);
}

static void move_last(struct row *row, size_t i, bool chosen)
{
	const struct suite *suite = row->at[i].suite;

	take_out(row, i);
	row->at[row->n].suite = suite;
	row->at[row->n++].chosen = chosen;
}

static void move_first(struct row *row, size_t i, bool chosen)
{
	const struct suite *suite = row->at[i].suite;

	memmove(&row->at[1], &row->at[0], i * sizeof row->at[0]);
	row->at[0].suite = suite;
	row->at[0].chosen = chosen;
}

static size_t place_of(const struct row *row, const struct suite *suite)
{
	size_t i = 0;

	while (row->at[i].suite != suite)
		i++;
	return i;
}

static bool concerns(const struct item *item, const struct suite *suite)
{
	/* Groups are of the suites of TLS 1.2, but for the one of all that are not. */
	uint32_t traits = suite->traits & SUITE_TLS13 ? SUITE_TLS13 : suite->traits;

	if (item->nothing || (item->named && item->named != suite))
		return false;
	if (item->operation == CHOOSE && !item->named && !(suite->traits & SUITE_POLICY))
		return false;
	for (size_t i = 0; i < item->n_any; i++)
		if (!(traits & item->any[i]))
			return false;
	return true;
}

/* The first choice among the suites of TLS 1.3, which all stand as long as nobody chooses. */
static void begin_tls13(struct reader *r)
{
	r->names_tls13 = true;
	for (size_t i = 0; i < r->row.n; i++)
		if (r->row.at[i].suite->traits & SUITE_TLS13)
			r->row.at[i].chosen = false;
}

static void apply(struct reader *r, const struct item *item)
{
	const struct suite *concerned[SUITES_MAX];
	struct row *row = &r->row;
	size_t n = 0;

	for (size_t i = 0; i < row->n; i++)
		if (concerns(item, row->at[i].suite))
			concerned[n++] = row->at[i].suite;
	if (item->operation == CHOOSE && !r->names_tls13)
		for (size_t i = 0; i < n; i++)
			if (concerned[i]->traits & SUITE_TLS13) {
				begin_tls13(r);
				break;
			}
	for (size_t i = 0; i < n; i++) {
		/* from the end where they are put away: the last of them comes first again */
		size_t at = place_of(row, concerned[item->operation == PUT_AWAY ? n - 1 - i : i]);
		bool chosen = row->at[at].chosen;

		if (item->operation == STRIKE_OUT)
			take_out(row, at);
		else if (item->operation == PUT_AWAY && chosen)
			move_first(row, at, false);
		else if ((item->operation == PUT_LAST && chosen) || (item->operation == CHOOSE && !chosen))
			move_last(row, at, true);
	}
}

static void sort_by_strength(struct row *row)
{
	static const unsigned strengths[] = { 256, 128, 112 };
	const struct suite *chosen[SUITES_MAX];
	size_t n = 0;

	for (size_t i = 0; i < row->n; i++)
		if (row->at[i].chosen && !(row->at[i].suite->traits & SUITE_TLS13))
			chosen[n++] = row->at[i].suite;
	for (size_t s = 0; s < sizeof strengths / sizeof strengths[0]; s++)
		for (size_t i = 0; i < n; i++)
			if (chosen[i]->bits == strengths[s])
				move_last(row, place_of(row, chosen[i]), true);
}

/* ---- the text ---- */

/* Levels up to 2 ask for nothing that is not so anyway. */
static bool command(struct reader *r, const char *at, size_t n)
{
	if (suites_is_word("@STRENGTH", at, n)) {
		sort_by_strength(&r->row);
		return true;
	}
	if (n != sizeof "@SECLEVEL=n" - 1 || memcmp(at, "@SECLEVEL=", n - 1) || at[n - 1] < '0' ||
		at[n - 1] > '5')
		return fail(r, at, n, "neither @STRENGTH nor @SECLEVEL=0 to 5");
	return at[n - 1] <= '2' ||
		   fail(r, at, n, "no level above 2 here: name the suites, and set TLS_MINRSA for keys");
}

static bool read_word(struct reader *r, const char *at, size_t n, struct item *item)
{
	const struct suite *suite = suites_named(at, n);
	uint32_t any;

	if (suite) {
		item->nothing |= item->named && item->named != suite;
		item->named = suite;
	} else if (suites_group(at, n, &any)) {
		if (item->operation == CHOOSE && any == SUITE_TLS1)
			any |= SUITE_TLS12; /* who asked for TLS 1.0 got what came after it */
		if (item->n_any == sizeof item->any / sizeof item->any[0])
			return fail(r, at, n, "too many words joined by +");
		item->any[item->n_any++] = any;
	} else if (suites_never_used(at, n)) {
		item->nothing = true;
	} else {
		return fail(r, at, n, "no cipher suite or group of that name");
	}
	return true;
}

/* An older suite that somebody insists on, and that is not there, is not passed over. */
static bool check_named(struct reader *r, const struct item *item, const char *at, size_t n)
{
	uint32_t missing = item->named ? item->named->traits & r->engine->lacks : 0;

	if (item->operation != CHOOSE || !missing || missing & SUITE_TLS13)
		return true;
	fail(
		r, at, n, missing & SUITE_RSA_EXCHANGE ? "does not do RSA key exchange" : "does not have that suite");
	r->fault->engine = true;
	return false;
}

static bool read_item(struct reader *r, const char *at, size_t n)
{
	struct item item = { .operation = CHOOSE };
	const char *word = at, *end = at + n;

	if (*at == '@')
		return command(r, at, n);
	if (*at == '-' || *at == '+' || *at == '!') {
		item.operation = (enum operation)(at[0]);
		word++;
	}
	for (;;) {
		const char *plus = memchr(word, '+', (size_t)(end - word));
		size_t word_n = (size_t)((plus ? plus : end) - word);

		if (!word_n)
			return fail(r, at, n, "a sign without a word");
		if (!read_word(r, word, word_n, &item))
			return false;
		if (!plus)
			break;
		word = plus + 1;
	}
	if (!check_named(r, &item, at, n))
		return false;
	apply(r, &item);
	return true;
}

bool suites_read(const char *text, const struct suites_engine *engine, struct suites_list *list,
	struct suites_fault *fault)
{
	struct reader r = { .engine = engine, .fault = fault };
	const struct suite *suites[SUITES_MAX];
	size_t n;

	if (strlen(text) > SUITES_TEXT_MAX)
		return fail(&r, text, 0, "too long a list");
	r.row.n = suites_available(engine, suites);
	for (size_t i = 0; i < r.row.n; i++) {
		r.row.at[i].suite = suites[i];
		r.row.at[i].chosen = suites[i]->traits & SUITE_TLS13;
	}
	for (const char *at = text; *(at += strspn(at, ": ;,")); at += n) {
		n = 1 + strcspn(at + 1, ": ;,@!"); /* a word ends, too, where a sign begins the next */
		if (!read_item(&r, at, n))
			return false;
	}
	n = 0;
	for (size_t i = 0; i < r.row.n; i++)
		if (r.row.at[i].chosen)
			suites[n++] = r.row.at[i].suite;
	suites_list_of(suites, n, list);
	list->names_tls13 = r.names_tls13;
	return true;
}
