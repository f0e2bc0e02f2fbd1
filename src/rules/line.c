/*
 * One line of rules: address, colon, allow or deny, and variables, each as ,NAME="value", where any character
 * can stand for the quotes. Values are taken as they stand: there is no escape, nothing is expanded.
 */
#include <string.h>
#include "internal.h"

const char rules_no_memory[] = "out of memory";

/* The length of the instruction at the start of text, 0 if there is none. */
static size_t instruction_length(const char *text, size_t n)
{
	size_t length = 0;

	if (n >= 5 && memcmp(text, "allow", 5) == 0)
		length = 5;
	else if (n >= 4 && memcmp(text, "deny", 4) == 0)
		length = 4;
	return length == n || text[length] == ',' ? length : 0;
}

/*
 * The colon between address and instruction. In ucspi-tcp it is the first one of the line, which suffices
 * where no IPv6 address is; else it is the last one in front of the first comma, as in ucspi-ssl. NULL: there
 * is none.
 */
static const char *find_colon(const char *line, size_t n)
{
	const char *first = memchr(line, ':', n), *last, *comma;

	if (!first || instruction_length(first + 1, n - (size_t)(first - line) - 1) > 0)
		return first;
	comma = memchr(line, ',', n);
	for (last = comma ? comma : line + n; last > first; last--)
		if (last[-1] == ':')
			return last - 1;
	return first;
}

/* One ,NAME="value" at *text, taken off it and added to the record. */
static const char *read_variable(struct rule *rule, const char **text, size_t *n)
{
	const char *name = *text + 1, *equals, *value, *end = *text + *n, *quote;

	if ((*text)[0] != ',')
		return "text after the closing quote";
	equals = memchr(name, '=', (size_t)(end - name));
	if (!equals)
		return "variable without =";
	if (equals - name > RULES_VARIABLE_MAX)
		return "name of a variable longer than 1000 bytes";
	if (equals == name)
		rule->odd = "variable without a name is never set";
	else if (memchr(name, ',', (size_t)(equals - name)))
		rule->odd = "comma in the name of a variable";
	if (end - equals < 2)
		return "variable without a quoted value";
	value = equals + 2;
	quote = memchr(value, equals[1], (size_t)(end - value));
	if (!quote)
		return "value without closing quote";
	if (!stralloc_catb(&rule->record, "+", 1) ||
		!stralloc_catb(&rule->record, name, (size_t)(equals - name) + 1) ||
		!stralloc_catb(&rule->record, value, (size_t)(quote - value)) || !stralloc_0(&rule->record))
		return rules_no_memory;
	*text = quote + 1;
	*n = (size_t)(end - *text);
	return NULL;
}

const char *rules_read_line(struct rule *rule, const char *line, size_t n)
{
	const char *colon, *rest, *wrong;
	size_t left, length;

	rule->odd = NULL;
	rule->record.len = 0;
	if (memchr(line, '\0', n))
		return "NUL byte";
	colon = find_colon(line, n);
	if (!colon)
		return "no : after the address";
	rest = colon + 1;
	left = n - (size_t)(rest - line);
	length = instruction_length(rest, left);
	if (length == 0)
		return "neither allow nor deny after the :";
	if (rest[0] == 'd' && !stralloc_catb(&rule->record, "D", 2))
		return rules_no_memory;
	rest += length;
	left -= length;
	while (left > 0) {
		wrong = read_variable(rule, &rest, &left);
		if (wrong)
			return wrong;
	}
	return rules_read_address(rule, line, (size_t)(colon - line));
}
