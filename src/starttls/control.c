/*
 * UCSPI-TLS as a program sees it (ucspi-tls(7)): three descriptors named in the environment, one byte that
 * asks for TLS, and a report.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include "chain/chain.h"
#include "internal.h"
#include "net/net.h"

enum {
	OUT_OF_THE_WAY =
		10, /* no descriptor below is touched when the three are moved: 0, 1, 6 and 7 are to be replaced */
	REPORT_MS = 600000 /* the io program ends a handshake by a deadline of its own, which is earlier */
};

static const char *const names[] = { "SSLCTLFD", "SSLREADFD", "SSLWRITEFD", "UCSPITLS" };

static bool find_one(const char *name, int *fd)
{
	const char *text = getenv(name);
	unsigned long number;

	if (!text || !option_scan_number(text, 1000000, &number))
		return false;
	*fd = (int)number;
	return *fd > 2 && fcntl(*fd, F_GETFD) >= 0;
}

bool starttls_control_find(struct starttls_control *control, const char **words)
{
	*control = (struct starttls_control){ .there = getenv("SSLCTLFD") != NULL };
	if (!control->there)
		return true;
	if (find_one(names[0], &control->control) && find_one(names[1], &control->reading) &&
		find_one(names[2], &control->writing) && control->control != control->reading &&
		control->control != control->writing)
		return true;
	*words = "SSLCTLFD, SSLREADFD and SSLWRITEFD must be numbers of open descriptors (ucspi-tls)";
	return false;
}

bool starttls_control_clean(stralloc *changes)
{
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		if (!chain_unset(changes, names[i]))
			return false;
	return true;
}

void starttls_control_leave(const struct starttls_control *control)
{
	(void)close(control->control);
	(void)close(control->reading);
	if (control->writing != control->reading)
		(void)close(control->writing);
}

static bool put_in_place(const struct starttls_control *control, int reading, int writing)
{
	int from = fcntl(control->reading, F_DUPFD_CLOEXEC, OUT_OF_THE_WAY);
	int to = fcntl(control->writing, F_DUPFD_CLOEXEC, OUT_OF_THE_WAY);

	if (from < 0 || to < 0)
		return false;
	starttls_control_leave(control);
	return dup2(from, reading) >= 0 && dup2(to, writing) >= 0 && close(from) == 0 && close(to) == 0;
}

bool starttls_control_switch(const struct starttls_control *control, int reading, int writing,
	stralloc *changes, struct starttls_fault *fault)
{
	ssize_t sent;

	do
		sent = send(control->control, "Y", 1, MSG_NOSIGNAL);
	while (sent < 0 && errno == EINTR);
	if (sent != 1 || !chain_report_read(control->control, net_now() + REPORT_MS, changes)) {
		*fault = (struct starttls_fault){ .exit_code = EXIT_TLS };
		return false;
	}
	return put_in_place(control, reading, writing) || fault_system(fault, "arrange descriptors");
}
