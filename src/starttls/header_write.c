/*
 * Headers of the PROXY protocol, written and sent; and the checksum that they may have.
 */
#include <stdio.h>
#include <string.h>
#include "header.h"
#include "internal.h"

uint32_t header_crc32c(const unsigned char *bytes, size_t n, size_t zeros)
{
	uint32_t crc = UINT32_MAX;

	for (size_t i = 0; i < n; i++) {
		crc ^= i - zeros < 4 ? 0 : bytes[i]; /* i before zeros wraps around to far more than 4 */
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? UINT32_C(0x82f63b78) : 0);
	}
	return ~crc;
}

/* ---- version 1 ---- */

static size_t write_v1(const struct proxy_header *header, unsigned char *room)
{
	char source[NET_IP_TEXT], destination[NET_IP_TEXT];
	int n;

	if (header->proxied && header->source.is_v6 == header->destination.is_v6)
		n = snprintf((char *)room, PROXY_V1_MAX + 1, "PROXY TCP%d %s %s %u %u\r\n",
			header->source.is_v6 ? 6 : 4, net_format_ip(&header->source, source),
			net_format_ip(&header->destination, destination), (unsigned)header->source.port,
			(unsigned)header->destination.port);
	else
		n = snprintf((char *)room, PROXY_V1_MAX + 1, "PROXY UNKNOWN\r\n");
	return (size_t)n;
}

/* ---- version 2 ---- */

struct writer {
	unsigned char *at;
	size_t n;
};

static void put(struct writer *writer, const void *bytes, size_t n)
{
	memcpy(writer->at + writer->n, bytes, n);
	writer->n += n;
}

static void put_number16(struct writer *writer, size_t number)
{
	const unsigned char bytes[2] = { (unsigned char)(number >> 8), (unsigned char)number };

	put(writer, bytes, 2);
}

/* Where one of the two is IPv4, as IPv4-mapped. */
static void put_ip(struct writer *writer, const struct net_address *address, bool v6)
{
	static const unsigned char mapped[12] = { [10] = 0xff, [11] = 0xff };

	if (v6 && !address->is_v6)
		put(writer, mapped, sizeof mapped);
	put(writer, address->ip, address->is_v6 ? 16 : 4);
}

/* Space is kept for a checksum. */
static void put_tlv(struct writer *writer, unsigned char type, struct bytes value, size_t max)
{
	if (!value.n || value.n > max || writer->n + value.n + 3 > PROXY_HEADER_MAX - 7)
		return;
	put(writer, &type, 1);
	put_number16(writer, value.n);
	put(writer, value.at, value.n);
}

static void end_length(struct writer *writer, size_t length_at, size_t from)
{
	struct writer back = { writer->at, length_at };

	put_number16(&back, writer->n - from);
}

static void put_ssl(struct writer *writer, const struct proxy_header *header)
{
	const unsigned char type = TLV_SSL;
	const unsigned char fixed[5] = {
		(unsigned char)(CLIENT_SSL | (header->certificate_shown ? CLIENT_CERT_CONN | CLIENT_CERT_SESS : 0)),
		[4] = !header->certificate_good
	};
	size_t length_at = writer->n + 1;

	put(writer, &type, 1);
	put_number16(writer, 0);
	put(writer, fixed, sizeof fixed);
	put_tlv(writer, TLV_SSL_VERSION, header->version, PROXY_VALUE_MAX);
	put_tlv(writer, TLV_SSL_CIPHER, header->cipher, PROXY_VALUE_MAX);
	put_tlv(writer, TLV_SSL_CN, header->common_name, PROXY_VALUE_MAX);
	put_tlv(writer, TLV_SSL_CERTIFICATE, header->certificate, PROXY_HEADER_MAX);
	end_length(writer, length_at, length_at + 2);
}

static void put_checksum(struct writer *writer)
{
	const unsigned char type = TLV_CRC32C;
	size_t at = writer->n + 3;
	uint32_t crc;

	put(writer, &type, 1);
	put_number16(writer, 4);
	put(writer, "\0\0\0", 4);
	end_length(writer, HEADER_FIXED - 2, HEADER_FIXED);
	crc = header_crc32c(writer->at, writer->n, at);
	writer->n = at;
	put_number16(writer, crc >> 16);
	put_number16(writer, crc & 0xffff);
}

static size_t write_v2(const struct proxy_header *header, int flags, unsigned char *room)
{
	struct writer writer = { room, 0 };
	const bool v6 = header->source.is_v6 || header->destination.is_v6;
	const unsigned char command[2] = { header->proxied ? HEADER_PROXY : HEADER_LOCAL, !header->proxied
																						  ? HEADER_UNSPECIFIED
																					  : v6 ? HEADER_TCP6
																						   : HEADER_TCP4 };

	put(&writer, HEADER_SIGNATURE, 12);
	put(&writer, command, 2);
	put_number16(&writer, 0);
	if (header->proxied) {
		put_ip(&writer, &header->source, v6);
		put_ip(&writer, &header->destination, v6);
		put_number16(&writer, header->source.port);
		put_number16(&writer, header->destination.port);
		if (!(flags & PROXY_LITTLE)) {
			put_tlv(&writer, TLV_ALPN, header->alpn, PROXY_VALUE_MAX);
			put_tlv(&writer, TLV_AUTHORITY, header->authority, PROXY_VALUE_MAX);
			if (header->tls)
				put_ssl(&writer, header);
		}
	}
	end_length(&writer, HEADER_FIXED - 2, HEADER_FIXED);
	if (flags & PROXY_CHECKSUM)
		put_checksum(&writer);
	return writer.n;
}

size_t proxy_header_write(const struct proxy_header *header, unsigned version, int flags, unsigned char *room)
{
	return version == 1 ? write_v1(header, room) : write_v2(header, flags, room);
}

bool proxy_header_send(
	const struct starttls_wire *wire, const void *bytes, size_t n, struct starttls_fault *fault)
{
	enum wire_result result = wire_write(wire, bytes, n);

	return result == WIRE_OK || fault_wire(fault, "PROXY header", result);
}
