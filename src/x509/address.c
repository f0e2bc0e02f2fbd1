/*
 * IP addresses in certificates: literals as iPAddress entries hold them, and looking for one (RFC
 * 5280 4.2.1.6).
 */
#include "x509.h"

#include <arpa/inet.h>
#include <string.h>

bool x509_has_address(const struct x509_certificate *certificate, struct bytes address)
{
	enum { IP_ADDRESS = 0x87 };
	struct bytes names = certificate->alternative_names, content;
	unsigned tag;
	if (address.n != 4 && address.n != 16)
		return false;
	while (der_next(&names, &tag, &content))
		if (tag == IP_ADDRESS && bytes_equal(content, address))
			return true;
	return false;
}

size_t x509_scan_address(const char *text, unsigned char address[16])
{
	static const unsigned char mapped[12] = { [10] = 0xff, [11] = 0xff };
	unsigned char binary[16];
	char literal[INET6_ADDRSTRLEN];
	if (inet_pton(AF_INET, text, binary) == 1) {
		memcpy(address, binary, 4);
		return 4;
	}
	size_t n = strcspn(text, "%");
	if (n >= sizeof literal || (text[n] == '%' && text[n + 1] == '\0'))
		return 0;
	memcpy(literal, text, n);
	literal[n] = '\0';
	if (inet_pton(AF_INET6, literal, binary) != 1)
		return 0;
	if (memcmp(binary, mapped, sizeof mapped) == 0) {
		memcpy(address, binary + sizeof mapped, 4);
		return 4;
	}
	memcpy(address, binary, 16);
	return 16;
}
