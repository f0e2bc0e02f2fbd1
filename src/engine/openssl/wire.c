/*
 * The library's two ends on the network side: a BIO over the buffers of the record ports. Neither ever
 * blocks or ends: without bytes, or without room, the library is told to try again.
 */
#include <string.h>
#include "engine/openssl/private.h"

static int wire_read(BIO *bio, char *to, int n)
{
	struct openssl *o = BIO_get_data(bio);
	size_t most = n > 0 ? (size_t)n : 0;

	BIO_clear_retry_flags(bio);
	if (!o->in_n || o->refused) { /* nothing is to be read any more of what was refused */
		BIO_set_retry_read(bio);
		return -1;
	}
	if (most > o->in_n)
		most = o->in_n;
	memcpy(to, o->in + o->in_at, most);
	o->in_at += most;
	o->in_n -= most;
	return (int)most;
}

/* Follows the records on their way: where one ends, and what its explicit nonce was. */
static void follow(struct sending *s, const unsigned char *bytes, size_t n)
{
	while (n) {
		size_t part;

		if (s->header_n < sizeof s->header) {
			s->header[s->header_n++] = *bytes++;
			n--;
			if (s->header_n == sizeof s->header) {
				s->left = (size_t)s->header[3] << 8 | s->header[4];
				s->explicit_n = 0;
			}
		} else {
			part = n < s->left ? n : s->left;
			for (size_t i = 0; i < part && s->explicit_n < sizeof s->explicit_nonce; i++)
				s->explicit_nonce[s->explicit_n++] = bytes[i];
			s->left -= part;
			bytes += part;
			n -= part;
		}
		if (s->header_n == sizeof s->header && !s->left)
			s->header_n = 0;
	}
}

bool wire_has_room(struct openssl *o, size_t n)
{
	return sizeof o->out - o->out_n >= n;
}

void wire_append(struct openssl *o, const unsigned char *bytes, size_t n)
{
	if (n > sizeof o->out - o->out_n)
		return;
	if (n > sizeof o->out - o->out_at - o->out_n) {
		memmove(o->out, o->out + o->out_at, o->out_n);
		o->out_at = 0;
	}
	memcpy(o->out + o->out_at + o->out_n, bytes, n);
	o->out_n += n;
}

static int wire_write(BIO *bio, const char *from, int n)
{
	struct openssl *o = BIO_get_data(bio);
	size_t most = n > 0 ? (size_t)n : 0, room = sizeof o->out - o->out_n;

	BIO_clear_retry_flags(bio);
	if (o->mute)
		return n;
	if (most > room)
		most = room;
	if (!most) {
		BIO_set_retry_write(bio);
		return -1;
	}
	follow(&o->sending, (const unsigned char *)from, most);
	wire_append(o, (const unsigned char *)from, most);
	return (int)most;
}

static long wire_control(BIO *bio, int command, long number, void *pointer)
{
	(void)bio, (void)number, (void)pointer;
	return command == BIO_CTRL_FLUSH; /* all else is not for such a BIO */
}

BIO *wire_new(struct openssl *o)
{
	static BIO_METHOD *method;
	BIO *bio;

	if (!method) {
		method = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "record ports");
		if (!method)
			return NULL;
		(void)BIO_meth_set_read(method, wire_read);
		(void)BIO_meth_set_write(method, wire_write);
		(void)BIO_meth_set_ctrl(method, wire_control);
	}
	bio = BIO_new(method);
	if (bio) {
		BIO_set_data(bio, o);
		BIO_set_init(bio, 1);
	}
	return bio;
}
