/*
 * The process tree of a connection (DESIGN §4). The io program is the parent of prog: the process that has
 * the connection forks the one that becomes prog, then becomes the io program. This is the one place where an
 * io program is started.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <skalibs/exec.h>
#include "chain/chain.h"
#include "conf.h"

enum {
	DEFAULT_HANDSHAKE_S = 26,
	GRACE_MS = 2000,
	IO_ARGUMENTS_MAX = 24,
	NUMBER_TEXT = 24,
	CHECK_NOT_RUN = 127
};

static void system_failure(struct chain_problem *problem, const char *doing, const char *object)
{
	*problem = (struct chain_problem){ EXIT_SYSTEM, doing, object, NULL, errno };
}

/* ---- which io program ---- */

/* FOLDER/NAME; false if there is no such program or the path is too long. */
static bool program_in(const char *folder, size_t folder_n, const char *name, char *path, size_t room)
{
	int n = snprintf(path, room, "%.*s/%s", (int)folder_n, folder, name);
	return n > 0 && (size_t)n < room && access(path, X_OK) == 0;
}

/* Beside the running program, else where it is installed; never through the environment. */
static bool find_io_program(
	enum chain_side side, const stralloc *changes, char *path, size_t room, struct chain_problem *problem)
{
	static char name[64];
	char own[4096];
	const char *engine = chain_value(changes, "TLS_ENGINE");
	ssize_t n;

	if (!engine)
		engine = CONF_ENGINE;
	if (strcmp(engine, "bearssl") != 0 && strcmp(engine, "openssl") != 0) {
		*problem = (struct chain_problem){ EXIT_CONFIGURATION, "use TLS_ENGINE", engine,
			"there is no such engine", 0 };
		return false;
	}
	(void)snprintf(name, sizeof name, "%s%s%s", side == CHAIN_SERVER ? "tlsd-io" : "tlsc-io",
		strcmp(engine, "bearssl") ? "-" : "", strcmp(engine, "bearssl") ? engine : "");
	n = readlink("/proc/self/exe", own, sizeof own - 1);
	if (n > 0) {
		own[n] = 0;
		if (program_in(own, (size_t)(strrchr(own, '/') - own), name, path, room))
			return true;
	}
	if (program_in(CONF_LIBEXEC, strlen(CONF_LIBEXEC), name, path, room))
		return true;
	*problem = (struct chain_problem){ EXIT_CONFIGURATION, "find", name, "not installed", 0 };
	return false;
}

/* ---- its command line ---- */

struct arguments {
	const char *at[IO_ARGUMENTS_MAX];
	size_t n;
	char numbers[8][NUMBER_TEXT];
	size_t n_numbers;
};

static void add(struct arguments *a, const char *text)
{
	a->at[a->n++] = text; /* IO_ARGUMENTS_MAX is more than all that can be said */
	a->at[a->n] = NULL;
}

static void add_number(struct arguments *a, const char *option, unsigned long number)
{
	char *text = a->numbers[a->n_numbers++];
	(void)snprintf(text, NUMBER_TEXT, "%lu", number);
	if (option)
		add(a, option);
	add(a, text);
}

static void add_options(struct arguments *a, const struct tls_options *tls)
{
	if (tls->fin_only >= 0)
		add(a, tls->fin_only ? "-s" : "-S");
	if (tls->strict_end)
		add(a, "-J");
	if (tls->client_certificate)
		add(a, tls->client_certificate == 'y' ? "-y" : "-Y");
	if (tls->verbosity != tls_defaults.verbosity)
		add_number(a, "-v", tls->verbosity);
	if (tls->idle_ms)
		add_number(a, "-K", tls->idle_ms);
	if (tls->handshake_s)
		add_number(a, "-T", tls->handshake_s);
	if (tls->sni != TLS_SNI_UNSAID)
		add_number(a, "-k", tls->sni);
	if (tls->name) {
		add(a, "-k");
		add(a, tls->name);
	}
}

/* ---- pipes ---- */

struct pipes {
	int to_prog[2], from_prog[2], report[2]; /* [0] reads, [1] writes */
	int control[2];                          /* delayed TLS: [0] the io program's end, [1] prog's */
};

static bool nonblocking(int fd)
{
	int flags = fcntl(fd, F_GETFL);
	return flags >= 0 && fcntl(fd, F_SETFL, flags | O_NONBLOCK) >= 0;
}

/* All close on exec; the io program's ends do not block. */
static bool make_pipes(struct pipes *p, bool delayed)
{
	return (!delayed || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, p->control) == 0) &&
		   pipe2(p->to_prog, O_CLOEXEC) == 0 && pipe2(p->from_prog, O_CLOEXEC) == 0 &&
		   pipe2(p->report, O_CLOEXEC) == 0 && nonblocking(p->to_prog[1]) && nonblocking(p->from_prog[0]) &&
		   nonblocking(p->report[1]);
}

static bool keep(int fd)
{
	return fcntl(fd, F_SETFD, 0) >= 0;
}

/* ---- prog ---- */

int64_t chain_handshake_ms(const struct tls_options *tls, const stralloc *changes)
{
	const char *text = chain_value(changes, "TLS_TIMEOUT");
	unsigned long seconds = tls->handshake_s;

	if (!seconds && (!text || !option_scan_number(text, 1000000, &seconds)))
		seconds = DEFAULT_HANDSHAKE_S; /* a value that is no number stops the io program at once */
	return (int64_t)seconds * 1000;
}

static bool default_signals(void)
{
	static const int numbers[] = { SIGPIPE, SIGCHLD, SIGTERM, SIGHUP };
	sigset_t none;

	for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
		if (signal(numbers[i], SIG_DFL) == SIG_ERR)
			return false;
	return sigemptyset(&none) == 0 && sigprocmask(SIG_SETMASK, &none, NULL) == 0;
}

/* Immediate TLS: cleartext takes the place of the network, or stands on 6 and 7. */
static bool arrange_cleartext(const struct chain_link *link, const struct pipes *p)
{
	int reading = link->side == CHAIN_SERVER ? 0 : 6, writing = link->side == CHAIN_SERVER ? 1 : 7;

	return dup2(p->to_prog[0], reading) >= 0 && dup2(p->from_prog[1], writing) >= 0;
}

static bool set_number(stralloc *changes, const char *name, int number)
{
	char text[NUMBER_TEXT];

	(void)snprintf(text, sizeof text, "%d", number);
	return chain_set(changes, name, text);
}

/* Delayed TLS: the network stays where it is; prog is told where the rest is (ucspi-tls(7)). */
static bool offer_tls(const struct pipes *p, const char *offer, stralloc *changes)
{
	return keep(p->control[1]) && keep(p->to_prog[0]) && keep(p->from_prog[1]) &&
		   set_number(changes, "SSLCTLFD", p->control[1]) &&
		   set_number(changes, "SSLREADFD", p->to_prog[0]) &&
		   set_number(changes, "SSLWRITEFD", p->from_prog[1]) && chain_set(changes, "UCSPITLS", offer);
}

/* The io program's ends close on exec; until then they must not keep the pipes open while it has died. */
static bool close_ends_of_io(const struct chain_link *link, const struct pipes *p)
{
	return close(p->to_prog[1]) == 0 && close(p->from_prog[0]) == 0 && close(p->report[1]) == 0 &&
		   (!link->delayed || close(p->control[0]) == 0);
}

/* The process that becomes prog: drops its rights first, then waits for the handshake, or, where that is for
 * prog to ask for, until the io program is ready for it. */
static void become_prog(const struct chain_link *link, const struct pipes *p, pid_t connection,
	const stralloc *given, struct chain_problem *problem)
{
	stralloc changes = STRALLOC_ZERO;
	const char *offer = chain_value(given, "UCSPITLS");
	int64_t deadline = link->started_ms + chain_handshake_ms(link->tls, given) + GRACE_MS;

	if (!chain_become(&link->identity)) {
		system_failure(problem, "drop privileges", NULL);
		return;
	}
	if (!(link->delayed || arrange_cleartext(link, p)) || !close_ends_of_io(link, p)) {
		system_failure(problem, "arrange descriptors", NULL);
		return;
	}
	if (!stralloc_catb(&changes, given->s, given->len) || (link->clean && !chain_clean(&changes))) {
		system_failure(problem, "change the environment", NULL);
		return;
	}
	if (link->delayed ? !chain_ready_read(p->report[0], deadline)
					  : !chain_report_read(p->report[0], deadline, &changes)) {
		*problem = (struct chain_problem){ .exit_code = 0 }; /* the io program says why */
		return;
	}
	if (close(p->report[0]) < 0)
		system_failure(problem, "arrange descriptors", NULL);
	else if (link->delayed && !offer_tls(p, offer ? offer : "", &changes))
		system_failure(problem, "offer TLS to", link->prog[0]);
	else if (link->ready && !link->ready(link->context, connection, &changes))
		system_failure(problem, "prepare", link->prog[0]);
	else
		chain_exec(link->prog, &changes, problem);
}

/* ---- the io program ---- */

static void become_io(const struct chain_link *link, const struct pipes *p, pid_t prog, const char *path,
	const stralloc *changes, struct chain_problem *problem)
{
	struct arguments a = { .n = 0 };
	bool ready;

	add(&a, path);
	add_options(&a, link->tls);
	add_number(&a, "-d", (unsigned long)p->report[1]);
	add_number(&a, "-p", (unsigned long)prog);
	if (link->delayed)
		add_number(&a, "-c", (unsigned long)p->control[0]);
	if (link->password)
		add(&a, "-3");
	add(&a, "--");
	if (link->side == CHAIN_SERVER) {
		add_number(&a, NULL, (unsigned long)p->from_prog[0]);
		add_number(&a, NULL, (unsigned long)p->to_prog[1]);
		ready = keep(p->from_prog[0]) && keep(p->to_prog[1]);
	} else {
		add_number(&a, NULL, 6);
		add_number(&a, NULL, 7);
		ready = dup2(p->from_prog[0], 0) >= 0 && dup2(p->to_prog[1], 1) >= 0;
	}
	if (!ready || !keep(p->report[1]) || (link->delayed && !keep(p->control[0]))) {
		system_failure(problem, "arrange descriptors", NULL);
		return;
	}
	if (link->password && !chain_password_hand_on(link->password)) {
		system_failure(problem, "hand on", "the password");
		return;
	}
	mexec_am(path, a.at, changes->s, changes->len);
	system_failure(problem, "run", path);
}

void chain_start(const struct chain_link *link, const stralloc *changes, struct chain_problem *problem)
{
	static char path[4200];
	struct pipes p;
	pid_t prog, connection = getpid(); /* it stays that of the io program */

	if (!find_io_program(link->side, changes, path, sizeof path, problem))
		return;
	if (!make_pipes(&p, link->delayed)) {
		system_failure(problem, "make a pipe", NULL);
		return;
	}
	if (!default_signals()) {
		system_failure(problem, "reset signals", NULL);
		return;
	}
	prog = fork();
	if (prog < 0)
		system_failure(problem, "fork", NULL);
	else if (prog == 0)
		become_prog(link, &p, connection, changes, problem);
	else
		become_io(link, &p, prog, path, changes, problem);
}

/* ---- the configuration check ---- */

/* What the child could not do, said to its parent over a pipe that closes on exec. */
struct check_failure {
	enum { CHECK_BECOME, CHECK_HAND_ON, CHECK_RUN } step;
	int errnum;
};

/* In the child: its exit code is that of the io program, unless it says something to said. */
static _Noreturn void run_check(const struct tls_options *tls, const struct chain_identity *identity,
	const struct chain_password *password, const char *path, const stralloc *changes, int said)
{
	struct check_failure failure = { .step = CHECK_BECOME };
	struct chain_password own = password ? *password : (struct chain_password){ .text = NULL };
	struct arguments a = { .n = 0 };

	add(&a, path);
	add(&a, "-C");
	add_options(&a, tls);
	if (password)
		add(&a, "-3");
	add(&a, "--");
	add_number(&a, NULL, 0);
	add_number(&a, NULL, 1);
	if (chain_become(identity)) {
		failure.step = CHECK_HAND_ON;
		if (!password || chain_password_hand_on(&own)) {
			failure.step = CHECK_RUN;
			mexec_am(path, a.at, changes->s, changes->len);
		}
	}
	failure.errnum = errno;
	_exit(write(said, &failure, sizeof failure) == sizeof failure ? CHECK_NOT_RUN : EXIT_SYSTEM);
}

/* Waits until the child has become the io program, or cannot: then *problem. */
static void await_run(int said, const char *path, struct chain_problem *problem)
{
	static const char *const steps[] = { [CHECK_BECOME] = "use the ids of -u and -g to run",
		[CHECK_HAND_ON] = "hand on the password to",
		[CHECK_RUN] = "run" };
	struct check_failure failure;
	ssize_t got;

	do
		got = read(said, &failure, sizeof failure);
	while (got < 0 && errno == EINTR);
	if (got == sizeof failure)
		*problem = (struct chain_problem){ EXIT_SYSTEM, steps[failure.step], path, NULL, failure.errnum };
}

/* The exit code of the child, once it has ended. */
static int end_of_check(pid_t pid, const char *path, struct chain_problem *problem)
{
	static char words[64];
	int status;
	pid_t ended;

	do
		ended = waitpid(pid, &status, 0);
	while (ended < 0 && errno == EINTR);
	if (problem->doing) /* it is known why */
		return problem->exit_code;
	if (ended >= 0 && WIFEXITED(status))
		return WEXITSTATUS(status);
	system_failure(problem, "check the configuration with", path);
	if (ended >= 0) {
		(void)snprintf(words, sizeof words, "it was ended by signal %d", WTERMSIG(status));
		problem->reason = words;
	}
	return EXIT_SYSTEM;
}

int chain_check(enum chain_side side, const struct tls_options *tls, const struct chain_identity *identity,
	const struct chain_password *password, const stralloc *changes, struct chain_problem *problem)
{
	static char path[4200];
	int said[2];
	pid_t pid;

	*problem = (struct chain_problem){ .exit_code = 0 };
	if (!find_io_program(side, changes, path, sizeof path, problem))
		return problem->exit_code;
	if (!default_signals()) { /* with SIGCHLD ignored there would be nothing to wait for */
		system_failure(problem, "reset signals", NULL);
		return EXIT_SYSTEM;
	}
	if (pipe2(said, O_CLOEXEC) < 0) {
		system_failure(problem, "make a pipe", NULL);
		return EXIT_SYSTEM;
	}
	pid = fork();
	if (pid == 0)
		run_check(tls, identity, password, path, changes, said[1]);
	if (pid < 0)
		system_failure(problem, "fork to check the configuration with", path);
	(void)close(said[1]); /* our copy of the child's end */
	if (pid > 0)
		await_run(said[0], path, problem);
	(void)close(said[0]); /* was only read */
	return pid < 0 ? EXIT_SYSTEM : end_of_check(pid, path, problem);
}
