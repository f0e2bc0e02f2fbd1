/*
 * A look at the ClientHello that is left where it is: for links that choose by it what is to speak TLS.
 */
#include <string.h>
#include <sys/socket.h>
#include "internal.h"
#include "net/net.h"
#include "relay/relay.h"

/* Bytes: the longest that hello_read takes, in records of a few hundred bytes. */
enum { SEEN_MAX = HELLO_MAX + (4 << 10) };

static const char step[] = "ClientHello";

/*
 * From so many bytes on, poll is to say that there is something, so that what has been seen already ends no
 * wait. Where the system does not do that for poll, looks are taken at intervals.
 */
static void wake_at(int socket, size_t n)
{
	int bytes = (int)n;

	(void)setsockopt(socket, SOL_SOCKET, SO_RCVLOWAT, &bytes, sizeof bytes);
}

static enum hello_result look_until_known(
	struct starttls_wire *wire, struct hello *hello, enum wire_result *result)
{
	static unsigned char bytes[SEEN_MAX];
	static struct hello_reader reader; /* one connection a process */
	size_t known = 0;

	reader = (struct hello_reader){ .oldest = ENGINE_TLS12, .newest = ENGINE_TLS13 };
	for (;;) {
		size_t n = 0;
		enum hello_result verdict;

		wake_at(wire->reading, known + 1);
		*result = wire_peek_more(wire, bytes, sizeof bytes, known, &n);
		if (*result != WIRE_OK)
			return HELLO_MORE;
		verdict = hello_read(&reader, bytes + known, n - known, hello);
		if (verdict != HELLO_MORE)
			return verdict;
		known = n;
		if (known == sizeof bytes) {
			*result = WIRE_LONG;
			return HELLO_MORE;
		}
	}
}

bool starttls_peek_hello(struct starttls_wire *wire, struct hello *hello, struct starttls_fault *fault)
{
	enum wire_result result = WIRE_OK;
	enum hello_result verdict;

	memset(hello, 0, sizeof *hello);
	verdict = look_until_known(wire, hello, &result);
	wake_at(wire->reading, 1);
	if (verdict == HELLO_DONE)
		return true;
	if (verdict == HELLO_REFUSED)
		return fault_words(fault, step, hello->words);
	hello->alert = 0;
	return fault_wire(fault, step, result);
}

void starttls_refuse_hello(const struct starttls_wire *wire, int alert)
{
	const unsigned char record[] = { 21, 3, 1, 0, 2, 2, (unsigned char)alert }; /* RFC 5246 7.2, in clear */

	if (wire_write(wire, record, sizeof record) == WIRE_OK)
		starttls_end(wire);
}
