/*
 * The numbers of the PROXY protocol, for those who read and write its headers.
 */
#ifndef HEADER_H
#define HEADER_H

#include <stddef.h>
#include <stdint.h>

enum {
	HEADER_PREFIX = 6, /* as many bytes tell the versions apart */
	HEADER_FIXED = 16, /* of version 2 */
	HEADER_V4_BYTES = 12,
	HEADER_V6_BYTES = 36,
	HEADER_UNIX_BYTES = 216
};

#define HEADER_SIGNATURE "\r\n\r\n\0\r\nQUIT\n" /* 12 bytes */

enum { HEADER_LOCAL = 0x20, HEADER_PROXY = 0x21 }; /* version and command */

enum { HEADER_UNSPECIFIED = 0, HEADER_TCP4 = 0x11, HEADER_TCP6 = 0x21, HEADER_UNIX = 0x31 };

enum {
	TLV_ALPN = 0x01,
	TLV_AUTHORITY = 0x02,
	TLV_CRC32C = 0x03,
	TLV_SSL = 0x20,
	TLV_SSL_VERSION = 0x21, /* these inside TLV_SSL */
	TLV_SSL_CN = 0x22,
	TLV_SSL_CIPHER = 0x23,
	TLV_SSL_CERTIFICATE = 0x28
};

enum { CLIENT_SSL = 1, CLIENT_CERT_CONN = 2, CLIENT_CERT_SESS = 4 };

/* CRC-32C (RFC 3720 B.4) of n bytes, those of the four from zeros on taken as 0. */
uint32_t header_crc32c(const unsigned char *bytes, size_t n, size_t zeros);

#endif
