/*
 * Variables of the environment that hold a word or a number: what is not understood is named and refused.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "relay/configuration.h"

bool configuration_refuse(struct relay_problem *problem, const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	(void)vsnprintf(problem->words, sizeof problem->words, format, arguments);
	va_end(arguments);
	return false;
}

const char *setting(const char *name, const char *otherwise)
{
	const char *value = getenv(name);
	return value ? value : otherwise;
}

bool setting_number(
	const char *name, unsigned minimum, unsigned maximum, unsigned *value, struct relay_problem *problem)
{
	const char *text = getenv(name);
	unsigned long number = 0;

	if (!text)
		return true;
	for (const char *c = text; *c || c == text; c++) {
		if (*c < '0' || *c > '9' || (number = number * 10 + (unsigned long)(*c - '0')) > maximum)
			return configuration_refuse(
				problem, "%s: %.100s: not a number from %u to %u", name, text, minimum, maximum);
	}
	if (number < minimum)
		return configuration_refuse(
			problem, "%s: %.100s: not a number from %u to %u", name, text, minimum, maximum);
	*value = (unsigned)number;
	return true;
}

bool setting_word(const char *name, const char *const *words, unsigned *which, struct relay_problem *problem)
{
	const char *text = getenv(name);

	if (!text)
		return true;
	for (unsigned i = 0; words[i]; i++)
		if (!strcmp(text, words[i])) {
			*which = i;
			return true;
		}
	return configuration_refuse(problem, "%s: %.100s: value not understood", name, text);
}
