/*
 * Variables of the environment that hold a word or a number: what is not understood is named and refused, and
 * so is what asks for something that this version cannot do, where ignoring it would give less than was asked
 * for.
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

/* Variables whose work is not built yet, with the values that ask for nothing beyond what there is. */
static const struct {
	const char *name;
	const char *harmless[4];
} unbuilt[] = {
	{ "CRLFILE", { "" } },
	{ "CRLDIR", { "" } },
};

bool settings_refuse_unbuilt(struct relay_problem *problem)
{
	for (size_t i = 0; i < sizeof unbuilt / sizeof unbuilt[0]; i++) {
		const char *value = getenv(unbuilt[i].name);
		bool harmless = !value;
		for (size_t w = 0; !harmless && w < 4 && unbuilt[i].harmless[w]; w++)
			harmless = !strcmp(value, unbuilt[i].harmless[w]);
		if (!harmless)
			return configuration_refuse(
				problem, "%s: %.100s: this version cannot do that", unbuilt[i].name, value);
	}
	return true;
}
