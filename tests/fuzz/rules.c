/*
 * Fuzzing of the lookup: the input is a file of rules. Whatever is in it, nothing outside is touched: the
 * file ends where a page that cannot be read begins, as the code that searches comes from a library without
 * sanitizers.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "rules/internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t n);

enum { ROOM = 1 << 16 };

static const struct {
	const char *host, *info;
	struct net_address address;
} asked[] = {
	{ NULL, NULL, { .ip = { 10, 1, 2, 3 } } },
	{ "mail.example.org", "joe", { .ip = { 192, 0, 2, 1 } } },
	{ "h", NULL, { .is_v6 = true, .ip = { 0x20, 1, 0xd, 0xb8, [15] = 1 } } },
	{ "", "", { .is_v6 = true, .ip = { [10] = 0xff, 0xff, 10, 1, 2, 3 } } },
};

static void check(bool holds)
{
	if (!holds)
		abort();
}

static bool read_all(void *context, const char *name, const char *value)
{
	size_t *total = context;

	check(name[0] && !strchr(name, '='));
	*total += strlen(name) + strlen(value) + 3; /* + = and NUL */
	return true;
}

static void look_up(const struct rules *rules)
{
	for (size_t i = 0; i < sizeof asked / sizeof asked[0]; i++) {
		struct rules_match match;
		size_t total = 0;
		enum rules_verdict verdict =
			rules_find(rules, &asked[i].address, asked[i].host, asked[i].info, &match);

		if (verdict != RULES_ALLOW && verdict != RULES_DENY)
			continue;
		check(match.length <= rules->file.size && strlen(match.rule) <= RULES_KEY_MAX);
		check(match.record >= rules->file.map &&
			  match.record + match.length <= rules->file.map + rules->file.size);
		check(rules_variables(&match, read_all, &total) && total <= match.length);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t n)
{
	static char *end; /* of what can be read */
	struct rules rules;

	if (!end) {
		end = mmap(NULL, ROOM + (size_t)sysconf(_SC_PAGESIZE), PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		check(end != MAP_FAILED);
		end += ROOM;
		check(mprotect(end, (size_t)sysconf(_SC_PAGESIZE), PROT_NONE) == 0);
	}
	if (n > ROOM)
		n = ROOM;
	if (n > 0)
		memcpy(end - n, input, n);
	rules.file = (cdb){ .map = end - n, .size = (uint32_t)n };
	if (rules_file_is_whole(&rules.file))
		look_up(&rules);
	return 0;
}
