/*
 * The option parser of every program: getopt's letters by a table, ending at the first operand, so that the
 * options of the program behind are never eaten. Knows nothing of what the letters mean.
 */
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include "chain.h"

/* One problem ends the program, so one place for its words is enough. */
static char words[256];

static int complain(const char **problem, const char *format, ...) __attribute__((format(printf, 2, 3)));

static int complain(const char **problem, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	(void)vsnprintf(words, sizeof words, format, arguments);
	va_end(arguments);
	*problem = words;
	return -1;
}

bool option_scan_number(const char *text, unsigned long maximum, unsigned long *value)
{
	unsigned long number = 0;

	if (!*text)
		return false;
	for (; *text; text++) {
		unsigned long digit = (unsigned long)(unsigned char)*text - '0';

		if (*text < '0' || *text > '9' || digit > maximum || number > (maximum - digit) / 10)
			return false;
		number = number * 10 + digit;
	}
	*value = number;
	return true;
}

static const struct option *find(const struct option *table, char letter)
{
	for (; table->kind != OPTION_END; table++)
		if (table->letter == letter)
			return table;
	return NULL;
}

static bool takes_argument(const struct option *option)
{
	return option->kind == OPTION_TEXT || option->kind == OPTION_NUMBER ||
		   option->kind == OPTION_REFUSED_WITH_ARGUMENT;
}

/* Stores what the option says; argument is NULL for those without. */
static int apply(const struct option *option, void *fields, const char *argument, const char **problem)
{
	char *field = (char *)fields + option->offset;
	unsigned long number;
	unsigned narrow;

	switch (option->kind) {
	case OPTION_SET:
		memcpy(field, &option->value, sizeof option->value);
		return 0;
	case OPTION_TEXT:
		memcpy(field, &argument, sizeof argument);
		return 0;
	case OPTION_NUMBER:
		if (!option_scan_number(argument, option->maximum, &number) || number < option->minimum)
			return complain(problem, "option -%c needs a number of %s from %u to %u, not %.64s",
				option->letter, option->advice ? option->advice : "units", option->minimum, option->maximum,
				*argument ? argument : "nothing");
		narrow = (unsigned)number;
		memcpy(field, &narrow, sizeof narrow);
		return 0;
	default:
		return complain(problem, "option -%c %s", option->letter, option->advice);
	}
}

int option_parse(const struct option *table, void *fields, int argc, char *const *argv, const char **problem)
{
	int index = 1;

	for (; index < argc && argv[index][0] == '-' && argv[index][1]; index++) {
		if (strcmp(argv[index], "--") == 0)
			return index + 1;
		for (const char *letter = argv[index] + 1; *letter; letter++) {
			const struct option *option = find(table, *letter);
			const char *argument = NULL;

			if (!option)
				return complain(problem, "option -%c is unknown", *letter);
			if (takes_argument(option)) {
				argument = letter[1] ? letter + 1 : ++index < argc ? argv[index] : NULL;
				if (!argument && option->kind != OPTION_REFUSED_WITH_ARGUMENT)
					return complain(problem, "option -%c needs an argument", *letter);
			}
			if (apply(option, fields, argument, problem) < 0)
				return -1;
			if (argument)
				break;
		}
	}
	return index;
}
