/*
 * XMPP (RFC 6120 5.4): a stream is opened, its features are read, <starttls/> is answered by <proceed/>. Not
 * an XML parser: what a server sends is read tag by tag, byte by byte, and everything that is not as in the
 * RFC's own dialogue ends it.
 */
#include <string.h>
#include "internal.h"

enum { TAG_MAX = 2000, TAGS_MAX = 100 };

struct tag {
	char text[TAG_MAX + 1]; /* between < and >, both left off */
	size_t n;
};

/* Reads to the > that ends the next tag. Blanks and text before it are passed over. */
static enum wire_result read_tag(struct starttls_wire *wire, struct tag *tag)
{
	bool inside = false;
	char quote = 0, c;

	tag->n = 0;
	for (;;) {
		enum wire_result result = wire_bytes(wire, (unsigned char *)&c, 1);

		if (result != WIRE_OK)
			return result;
		if (!inside) {
			inside = c == '<';
			continue;
		}
		if (quote) {
			if (c == quote)
				quote = 0;
		} else if (c == '"' || c == '\'') {
			quote = c;
		} else if (c == '>') {
			tag->text[tag->n] = '\0';
			return WIRE_OK;
		}
		if (!c || c == '<')
			return WIRE_ILLEGAL;
		if (tag->n == TAG_MAX)
			return WIRE_LONG;
		tag->text[tag->n++] = c;
	}
}

/* The tag is that element, closed or not. */
static bool is_element(const struct tag *tag, const char *name)
{
	size_t n = strlen(name);

	return tag->n >= n && memcmp(tag->text, name, n) == 0 && strchr(" \t\r\n/", tag->text[n]);
}

static bool closes_itself(const struct tag *tag)
{
	return tag->n && tag->text[tag->n - 1] == '/';
}

static bool failed(struct starttls_fault *fault, const char *step, enum wire_result result)
{
	return result == WIRE_ILLEGAL ? fault_words(fault, step, "no XML that an XMPP server sends")
								  : fault_wire(fault, step, result);
}

/* Up to </stream:features>; *offered if <starttls …> was among them. */
static bool read_features(struct starttls_wire *wire, bool *offered, struct starttls_fault *fault)
{
	static const char step[] = "features";
	struct tag tag;
	bool opened = false, inside = false;

	*offered = false;
	for (unsigned i = 0; i < TAGS_MAX; i++) {
		enum wire_result result = read_tag(wire, &tag);

		if (result != WIRE_OK)
			return failed(fault, step, result);
		if (is_element(&tag, "?xml") && i == 0)
			continue;
		if (!opened) {
			if (!is_element(&tag, "stream:stream") || closes_itself(&tag))
				return fault_got(fault, "stream", "<stream:stream>", tag.text, tag.n);
			opened = true;
		} else if (!inside) {
			if (!is_element(&tag, "stream:features"))
				return fault_got(fault, step, "<stream:features>", tag.text, tag.n);
			if (closes_itself(&tag))
				return true;
			inside = true;
		} else if (strcmp(tag.text, "/stream:features") == 0) {
			return true;
		} else if (is_element(&tag, "starttls") && strstr(tag.text, "urn:ietf:params:xml:ns:xmpp-tls")) {
			*offered = true;
		}
	}
	return fault_words(fault, step, "too many features");
}

static bool say(const struct starttls_wire *wire, const char *step, const char *words, const char *name,
	struct starttls_fault *fault)
{
	enum wire_result result = template_say(wire, words, name, NULL);

	return result == WIRE_OK || fault_wire(fault, step, result);
}

bool xmpp_client(struct starttls_wire *wire, const char *name, struct starttls_fault *fault)
{
	struct tag tag;
	bool offered;
	enum wire_result result;

	if (!say(wire, "stream",
			"<?xml version='1.0'?><stream:stream to='%n' xmlns='jabber:client' "
			"xmlns:stream='http://etherx.jabber.org/streams' version='1.0'>",
			name, fault) ||
		!read_features(wire, &offered, fault))
		return false;
	if (!offered)
		return fault_words(fault, "features", "the server does not offer STARTTLS");
	if (!say(wire, "starttls", "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>", name, fault))
		return false;
	result = read_tag(wire, &tag);
	if (result != WIRE_OK)
		return failed(fault, "starttls", result);
	if (!is_element(&tag, "proceed"))
		return fault_got(fault, "starttls", "<proceed>", tag.text, tag.n);
	if (closes_itself(&tag))
		return true;
	result = read_tag(wire, &tag);
	if (result != WIRE_OK)
		return failed(fault, "starttls", result);
	return strcmp(tag.text, "/proceed") == 0 || fault_got(fault, "starttls", "</proceed>", tag.text, tag.n);
}
