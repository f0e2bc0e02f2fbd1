/*
 * Pins: certificates and public keys that TLS_PIN names by their SHA-256. A peer's own certificate has to be
 * one of them, or to have one of the keys, on top of what else is asked of it, or, with TLS_VERIFY=none,
 * instead.
 */
#include <string.h>
#include "relay/configuration.h"

enum { HASH_BYTES = 32, BASE64_DIGITS = 44 };

/* ---- words ---- */

static int digit_of(const char *digits, char c)
{
	const char *at = c ? strchr(digits, c) : NULL;

	return at ? (int)(at - digits) : -1;
}

/* Two digits a byte, with or without colons between the bytes, as openssl prints fingerprints. */
static bool read_hex(const char *text, size_t n, unsigned char hash[HASH_BYTES])
{
	static const char digits[] = "0123456789abcdef";
	size_t at = 0;

	for (size_t i = 0; i < HASH_BYTES; i++) {
		int high, low;

		if (i && at < n && text[at] == ':')
			at++;
		if (n - at < 2 || (high = digit_of(digits, (char)(text[at] | 32))) < 0 ||
			(low = digit_of(digits, (char)(text[at + 1] | 32))) < 0)
			return false;
		hash[i] = (unsigned char)(high << 4 | low);
		at += 2;
	}
	return at == n;
}

/* RFC 4648 4: for 32 bytes 43 digits and one =. */
static bool read_base64(const char *text, size_t n, unsigned char hash[HASH_BYTES])
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	unsigned bits = 0, held = 0;
	size_t out = 0;

	if (n != BASE64_DIGITS || text[n - 1] != '=')
		return false;
	for (size_t i = 0; i < n - 1; i++) {
		int digit = digit_of(digits, text[i]);

		if (digit < 0)
			return false;
		held = (held << 6 | (unsigned)digit) & 0xffff;
		bits += 6;
		if (bits < 8)
			continue;
		bits -= 8;
		hash[out++] = (unsigned char)(held >> bits);
	}
	return out == HASH_BYTES && !(held & ((1u << bits) - 1));
}

static bool begins(const char **text, size_t *n, const char *prefix)
{
	size_t length = strlen(prefix);

	if (*n < length || memcmp(*text, prefix, length) != 0)
		return false;
	*text += length;
	*n -= length;
	return true;
}

static bool read_pin(const char *text, size_t n, struct relay_pin *pin)
{
	pin->of_key = false;
	if (begins(&text, &n, "cert:") || begins(&text, &n, "SHA256:"))
		return read_hex(text, n, pin->hash);
	pin->of_key = true;
	if (begins(&text, &n, "sha256//"))
		return read_base64(text, n, pin->hash);
	return begins(&text, &n, "key:") && read_hex(text, n, pin->hash);
}

bool pins_load(struct relay_configuration *c, struct relay_problem *problem)
{
	static const char between[] = ", ;";
	const char *text = setting("TLS_PIN", ""), *at = text;

	for (at += strspn(at, between); *at; at += strspn(at, between)) {
		size_t n = strcspn(at, between);
		int shown = (int)(n < 200 ? n : 200);

		if (c->n_pins == RELAY_PINS_MAX)
			return configuration_refuse(problem, "TLS_PIN: more than %d", RELAY_PINS_MAX);
		if (!read_pin(at, n, &c->pins[c->n_pins]))
			return configuration_refuse(problem,
				"TLS_PIN: %.*s: neither cert: or key: with 64 hexadecimal digits nor sha256// with base64", shown,
				at);
		c->n_pins++;
		at += n;
	}
	/* Two empty variables with a comma between them, say: nobody meant anybody. */
	return !*text || c->n_pins || configuration_refuse(problem, "TLS_PIN: %.200s: no pin in it", text);
}

/* ---- the peer ---- */

static bool is_pinned(const struct relay_configuration *c, const struct x509_certificate *leaf)
{
	unsigned char of_certificate[HASH_BYTES], of_key[HASH_BYTES];

	engine_sha256(leaf->der, of_certificate);
	engine_sha256(leaf->spki, of_key);
	for (size_t i = 0; i < c->n_pins; i++)
		if (!memcmp(c->pins[i].hash, c->pins[i].of_key ? of_key : of_certificate, HASH_BYTES))
			return true;
	return false;
}

void pins_judge(const struct relay_configuration *c, struct bytes leaf, struct x509_verdict *verdict)
{
	struct x509_certificate certificate;
	struct x509_problem problem;

	if (!c->n_pins || !verdict->accepted)
		return;
	if (!x509_parse(leaf, &certificate, &problem))
		*verdict = (struct x509_verdict){ false, ALERT_BAD_CERTIFICATE, problem.reason };
	else if (!is_pinned(c, &certificate))
		*verdict = (struct x509_verdict){ false, ALERT_BAD_CERTIFICATE, "certificate is not one of TLS_PIN" };
}
