/*
 * Keys of IP addresses and networks, for those who write them and those who look them up. One address is its
 * text: dotted IPv4, or IPv6 in full with upper-case digits. A network is a letter and one byte for each of
 * its bits: 0 for a clear one, for a set one a letter that depends on its place (IPv4) or on how many came
 * before it (IPv6).
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include "internal.h"

static const char v4_letters[] = "abcdefghijklmnopqrstuvwxyz123456";

static const unsigned char mapped[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff };

struct net_address rules_unmapped(const struct net_address *address)
{
	struct net_address plain = *address;

	if (address->is_v6 && memcmp(address->ip, mapped, sizeof mapped) == 0) {
		plain.is_v6 = false;
		memcpy(plain.ip, address->ip + 12, 4);
	}
	return plain;
}

void rules_ip_key(const struct net_address *address, char key[IP_KEY_MAX])
{
	const unsigned char *ip = address->ip;

	if (!address->is_v6) {
		(void)snprintf(key, IP_KEY_MAX, "%u.%u.%u.%u", ip[0], ip[1], ip[2], ip[3]);
		return;
	}
	for (size_t i = 0; i < 8; i++)
		(void)snprintf(key + 5 * i, 6, "%02X%02X%s", ip[2 * i], ip[2 * i + 1], i < 7 ? ":" : "");
}

static bool bit_is_set(const unsigned char *ip, unsigned i)
{
	return (ip[i / 8] >> (7 - i % 8) & 1) != 0;
}

size_t rules_prefix_key(const struct net_address *address, unsigned bits, char key[PREFIX_KEY_MAX])
{
	unsigned char counter = '`';

	key[0] = address->is_v6 ? '^' : '_';
	for (unsigned i = 0; i < bits; i++) {
		if (!bit_is_set(address->ip, i))
			key[1 + i] = '0';
		else
			key[1 + i] = address->is_v6 ? (char)counter++ : v4_letters[i];
	}
	return 1 + (size_t)bits;
}

void rules_prefix_of_key(const char *key, size_t n, struct net_address *address)
{
	memset(address, 0, sizeof *address);
	address->is_v6 = key[0] == '^';
	for (size_t i = 0; i + 1 < n; i++)
		if (key[1 + i] != '0')
			address->ip[i / 8] |= (unsigned char)(0x80 >> i % 8);
}

void rules_prefix_text(
	const struct net_address *address, unsigned bits, bool with_bits, char text[PREFIX_TEXT_MAX])
{
	unsigned char ip[16] = { 0 };

	for (unsigned i = 0; i < bits; i++)
		if (bit_is_set(address->ip, i))
			ip[i / 8] |= (unsigned char)(0x80 >> i % 8);
	if (!inet_ntop(address->is_v6 ? AF_INET6 : AF_INET, ip, text, PREFIX_TEXT_MAX - 8))
		text[0] = '\0'; /* cannot happen: the family is known and the room suffices */
	if (with_bits)
		(void)snprintf(text + strlen(text), 8, "/%u", bits);
}
