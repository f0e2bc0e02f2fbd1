/*
 * tcprules rules.cdb rules.tmp: compiles the rules on its standard input into a cdb, which takes the place of
 * rules.cdb in one step, so that a server that opens it sees either the old rules or the new ones. Whatever
 * goes wrong, rules.cdb stays as it is.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <skalibs/stralloc.h>
#include "chain/chain.h"
#include "net/net.h"
#include "rules/rules.h"

static const char program[] = "tcprules";
static const char usage[] = "rules.cdb rules.tmp";

enum { EXIT_RULES = 100, READ_BYTES = 65536, TEXT_MAX = 1 << 30 };

static _Noreturn void fail(const char *doing, const char *object, int error)
{
	net_die(program, EXIT_SYSTEM, doing, object, strerror(error));
}

/* ---- remarks on lines ---- */

static void say(const char *kind, const struct rules_remark *remark)
{
	char number[24], text[1001];
	size_t n = remark->length < sizeof text - 1 ? remark->length : sizeof text - 1;

	(void)snprintf(number, sizeof number, "%zu", remark->line);
	for (size_t i = 0; i < n; i++)
		text[i] = remark->text[i] ? remark->text[i] : '?';
	text[n] = '\0';
	net_log(program, kind, "line ", number, ": ", remark->reason, ": ", text, n < remark->length ? "..." : "",
		NULL);
}

static void warn(const struct rules_remark *remark)
{
	say(": warning: ", remark);
}

/* ---- the steps ---- */

static void read_rules(stralloc *text)
{
	while (text->len <= TEXT_MAX) {
		ssize_t n;

		if (!stralloc_readyplus(text, READ_BYTES))
			fail("read", "input", ENOMEM);
		n = read(0, text->s + text->len, READ_BYTES);
		if (n == 0)
			return;
		if (n > 0)
			text->len += (size_t)n;
		else if (errno != EINTR)
			fail("read", "input", errno);
	}
	fail("read", "input", EFBIG);
}

static void compile(const stralloc *text, struct chain_replacement *file)
{
	struct rules_remark wrong;

	switch (rules_compile(text->s, text->len, file->fd, &wrong, warn)) {
	case RULES_COMPILED:
		return;
	case RULES_WRONG:
		(void)unlink(file->temporary);
		say(": fatal: ", &wrong);
		_exit(EXIT_RULES);
	case RULES_NOT_WRITTEN:
		chain_replace_fail(file, "write to", file->temporary, errno);
	}
}

int main(int argc, char **argv)
{
	stralloc text = STRALLOC_ZERO;
	struct chain_replacement file = { .program = program,
		.usage = usage,
		.same_file = "rules.cdb and rules.tmp have to be two files" };

	if (argc != 3)
		net_usage(program, NULL, usage);
	file.target = argv[1];
	file.temporary = argv[2];
	read_rules(&text);
	chain_replace_begin(&file);
	compile(&text, &file);
	chain_replace_finish(&file);
	stralloc_free(&text);
	return 0;
}
