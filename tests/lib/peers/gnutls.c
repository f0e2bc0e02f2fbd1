/* The TLS of peer.c by GnuTLS. */
#include <errno.h>
#include <gnutls/gnutls.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "peer.h"

static gnutls_session_t session;
static char why[200];
static int unsent; /* a record that the socket did not take */

static void must(int got)
{
	if (got < 0) {
		fprintf(stderr, "%s\n", gnutls_strerror(got));
		abort();
	}
}

static int failed(long got)
{
	int system_error = errno;
	if (got == GNUTLS_E_AGAIN || got == GNUTLS_E_INTERRUPTED)
		return gnutls_record_get_direction(session) ? TLS_AGAIN_WRITE : TLS_AGAIN_READ;
	if (got == GNUTLS_E_WARNING_ALERT_RECEIVED)
		return TLS_AGAIN_READ;
	if (got == GNUTLS_E_FATAL_ALERT_RECEIVED)
		snprintf(why, sizeof why, "alert %d", (int)gnutls_alert_get(session));
	else if (got == GNUTLS_E_PREMATURE_TERMINATION)
		snprintf(why, sizeof why, "fin");
	else if ((got == GNUTLS_E_PULL_ERROR || got == GNUTLS_E_PUSH_ERROR) && system_error == ECONNRESET)
		snprintf(why, sizeof why, "reset");
	else
		snprintf(why, sizeof why, "%s", gnutls_strerror((int)got));
	return TLS_FAILED;
}

void tls_start(int fd, const struct peer_setup *setup)
{
	static gnutls_certificate_credentials_t credentials;

	must(gnutls_global_init());
	must(gnutls_certificate_allocate_credentials(&credentials));
	must(gnutls_init(
		&session, (setup->server ? GNUTLS_SERVER : GNUTLS_CLIENT) | GNUTLS_NONBLOCK | GNUTLS_NO_SIGNAL));
	must(gnutls_priority_set_direct(session,
		setup->v13 ? "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2" : "NORMAL:-VERS-ALL:+VERS-TLS1.2", NULL));
	if (setup->server)
		must(gnutls_certificate_set_x509_key_file(
			credentials, setup->certificate, setup->key, GNUTLS_X509_FMT_PEM));
	if (setup->authorities)
		must(gnutls_certificate_set_x509_trust_file(credentials, setup->authorities, GNUTLS_X509_FMT_PEM));
	must(gnutls_credentials_set(session, GNUTLS_CRD_CERTIFICATE, credentials));
	if (setup->name)
		must(gnutls_server_name_set(session, GNUTLS_NAME_DNS, setup->name, strlen(setup->name)));
	if (setup->authorities)
		gnutls_session_set_verify_cert(session, setup->name, 0);
	gnutls_transport_set_int(session, fd);
}

int tls_handshake(void)
{
	int got;
	errno = 0;
	got = gnutls_handshake(session);
	return got >= 0 ? 0 : failed(got);
}

long tls_read(void *to, size_t room)
{
	ssize_t got;
	errno = 0;
	got = gnutls_record_recv(session, to, room);
	return got >= 0 ? (long)got : failed(got);
}

long tls_write(const void *from, size_t n)
{
	ssize_t got;
	errno = 0;
	got = gnutls_record_send(session, unsent ? NULL : from, unsent ? 0 : n);
	unsent = got == GNUTLS_E_AGAIN || got == GNUTLS_E_INTERRUPTED;
	return got >= 0 ? (long)got : failed(got);
}

int tls_notify(void)
{
	int got = gnutls_bye(session, GNUTLS_SHUT_WR);
	return got >= 0 || failed(got) != TLS_FAILED ? 0 : -1;
}

int tls_renegotiate(void)
{
	int got;
	do {
		got = gnutls_handshake(session);
		if (got == GNUTLS_E_WARNING_ALERT_RECEIVED) {
			snprintf(why, sizeof why, "warning %d", (int)gnutls_alert_get(session));
			return -1;
		}
	} while (got == GNUTLS_E_AGAIN || got == GNUTLS_E_INTERRUPTED);
	return got < 0 ? failed(got) : 0;
}

int tls_rekey(void)
{
	int got;
	do
		got = gnutls_session_key_update(session, GNUTLS_KU_PEER);
	while (got == GNUTLS_E_AGAIN || got == GNUTLS_E_INTERRUPTED);
	return got < 0 ? failed(got) : 0;
}

int tls_record(int type, const unsigned char *bytes, size_t n)
{
	(void)type, (void)bytes, (void)n;
	snprintf(why, sizeof why, "not by this library");
	return -1;
}

const char *tls_words(void)
{
	static char words[200];
	char *description = gnutls_session_get_desc(session);
	snprintf(words, sizeof words, "%s", description ? description : "");
	gnutls_free(description);
	return words;
}

const char *tls_why(void)
{
	return why;
}
