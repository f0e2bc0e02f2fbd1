/*
 * Options of the TLS family (DESIGN §2): one table for the links and the io programs of each side.
 */
#include "chain/chain.h"

const struct tls_options tls_defaults = { .fin_only = -1, .verbosity = 1, .sni = TLS_SNI_UNSAID };

#define AT(field) offsetof(struct tls_options, field)
#define SET(letter, field, value)                                                                            \
	{                                                                                                        \
		letter, OPTION_SET, AT(field), value, 0, 0, NULL                                                     \
	}
#define NUMBER(letter, field, least, most, unit)                                                             \
	{                                                                                                        \
		letter, OPTION_NUMBER, AT(field), 0, least, most, unit                                               \
	}
#define TEXT(letter, field)                                                                                  \
	{                                                                                                        \
		letter, OPTION_TEXT, AT(field), 0, 0, 0, NULL                                                        \
	}
#define REFUSED(letter, advice)                                                                              \
	{                                                                                                        \
		letter, OPTION_REFUSED, 0, 0, 0, 0, advice                                                           \
	}
#define REFUSED_WITH_ARGUMENT(letter, advice)                                                                \
	{                                                                                                        \
		letter, OPTION_REFUSED_WITH_ARGUMENT, 0, 0, 0, 0, advice                                             \
	}

#define COMMON                                                                                               \
	SET('s', fin_only, 1), SET('S', fin_only, 0), SET('J', strict_end, 1), SET('j', strict_end, 0),          \
		NUMBER('v', verbosity, 0, 9, "verbosity"), NUMBER('K', idle_ms, 0, 2147483000, "milliseconds"),      \
		SET('y', client_certificate, 'y'), SET('Y', client_certificate, 'Y'), SET('3', password, 1)
#define SERVER                                                                                               \
	NUMBER('T', handshake_s, 1, 1000000, "seconds"),                                                         \
		NUMBER('k', sni, 0, 2, "levels")
#define CLIENT                                                                                               \
	TEXT('k', name),                                                                                         \
		REFUSED_WITH_ARGUMENT('T', "is the connect rule of the clients: set TLS_TIMEOUT to the seconds")
#define LINK SET('Z', keep_environment, 1), SET('z', keep_environment, 0)
#define IO                                                                                                   \
	TEXT('d', report), TEXT('c', control), TEXT('p', pid), SET('C', check, 1),                               \
		REFUSED('Z', "is of tlsd and tlsc"), REFUSED('z', "is of tlsd and tlsc")
#define END                                                                                                  \
	{                                                                                                        \
		0, OPTION_END, 0, 0, 0, 0, NULL                                                                      \
	}

const struct option tlsd_option_table[] = { COMMON, SERVER, LINK, END };
const struct option tlsc_option_table[] = { COMMON, CLIENT, LINK, END };
const struct option tlsd_io_option_table[] = { COMMON, SERVER, IO, END };
const struct option tlsc_io_option_table[] = { COMMON, CLIENT, IO, END };
