/*
 * New key pairs, by the library's generators; for tlscert.
 */
#include <errno.h>
#include <unistd.h>
#include "engine/bearssl/private.h"

enum { SEED_BYTES = 48, PUBLIC_EXPONENT = 65537 };

_Static_assert(ENGINE_NEW_PRIVATE_BYTES >= BR_RSA_KBUF_PRIV_SIZE(ENGINE_NEW_RSA_BITS_MAX) &&
				   ENGINE_NEW_PRIVATE_BYTES >= BR_EC_KBUF_PRIV_MAX_SIZE,
	"room for private numbers");
_Static_assert(ENGINE_NEW_PUBLIC_BYTES >= BR_RSA_KBUF_PUB_SIZE(ENGINE_NEW_RSA_BITS_MAX) &&
				   ENGINE_NEW_PUBLIC_BYTES >= BR_EC_KBUF_PUB_MAX_SIZE,
	"room for public numbers");

bool engine_random(void *out, size_t n)
{
	return getentropy(out, n) == 0;
}

static struct bytes without_zeros(const unsigned char *at, size_t n)
{
	while (n > 0 && at[0] == 0) {
		at++;
		n--;
	}
	return (struct bytes){ at, n };
}

/* Of the n bytes of DER that stand where the PEM will be. */
static bool to_pem(struct engine_new_key *key, size_t n)
{
	const unsigned flags = BR_PEM_LINE64;

	if (n == 0 || br_pem_encode(NULL, NULL, n, BR_ENCODE_PEM_PKCS8, flags) >= sizeof key->pem)
		return false; /* it ends in a zero byte, which does not count */
	key->pem_n = br_pem_encode(key->pem, key->pem, n, BR_ENCODE_PEM_PKCS8, flags);
	return true;
}

static bool generate_ec(struct engine_new_key *key, unsigned curve, const br_prng_class **random)
{
	const br_ec_impl *ec = br_ec_get_default();
	br_ec_private_key private;
	br_ec_public_key public;

	if (!br_ec_keygen(random, ec, &private, key->private_numbers, (int)curve) ||
		!br_ec_compute_pub(ec, &public, key->public_numbers, &private))
		return false;
	if (br_encode_ec_pkcs8_der(NULL, &private, &public) > sizeof key->pem ||
		!to_pem(key, br_encode_ec_pkcs8_der(key->pem, &private, &public)))
		return false;
	key->private = (struct x509_private_key){ .kind = X509_KEY_EC,
		.curve = curve,
		.x = without_zeros(private.x, private.xlen),
		.point = { public.q, public.qlen } };
	key->public =
		(struct x509_public_key){ .kind = X509_KEY_EC, .curve = curve, .point = { public.q, public.qlen } };
	return true;
}

static bool encode_rsa(
	struct engine_new_key *key, const br_rsa_private_key *private, const br_rsa_public_key *public)
{
	unsigned char exponent[RSA_BYTES_MAX];
	br_rsa_compute_privexp compute = br_rsa_compute_privexp_get_default();
	size_t n = compute(NULL, private, PUBLIC_EXPONENT), n_der;

	if (n == 0 || n > sizeof exponent || compute(exponent, private, PUBLIC_EXPONENT) != n)
		return false;
	n_der = br_encode_rsa_pkcs8_der(NULL, private, public, exponent, n);
	if (n_der <= sizeof key->pem)
		(void)br_encode_rsa_pkcs8_der(key->pem, private, public, exponent, n);
	x509_wipe(exponent, sizeof exponent);
	return n_der <= sizeof key->pem && to_pem(key, n_der);
}

static bool generate_rsa(struct engine_new_key *key, unsigned bits, const br_prng_class **random)
{
	br_rsa_private_key private;
	br_rsa_public_key public;

	if (bits > ENGINE_NEW_RSA_BITS_MAX ||
		!br_rsa_keygen_get_default()(
			random, &private, key->private_numbers, &public, key->public_numbers, bits, PUBLIC_EXPONENT) ||
		!encode_rsa(key, &private, &public))
		return false;
	key->private = (struct x509_private_key){ .kind = X509_KEY_RSA,
		.n = without_zeros(public.n, public.nlen),
		.e = without_zeros(public.e, public.elen),
		.p = without_zeros(private.p, private.plen),
		.q = without_zeros(private.q, private.qlen),
		.dp = without_zeros(private.dp, private.dplen),
		.dq = without_zeros(private.dq, private.dqlen),
		.qi = without_zeros(private.iq, private.iqlen) };
	key->public = (struct x509_public_key){
		.kind = X509_KEY_RSA, .modulus = key->private.n, .exponent = key->private.e
	};
	return true;
}

bool engine_generate_key(struct engine_new_key *key, unsigned curve, unsigned rsa_bits)
{
	unsigned char seed[SEED_BYTES];
	br_hmac_drbg_context random;
	bool made;

	*key = (struct engine_new_key){ .pem_n = 0 };
	if (!engine_random(seed, sizeof seed))
		return false;
	br_hmac_drbg_init(&random, &br_sha256_vtable, seed, sizeof seed);
	made = curve ? generate_ec(key, curve, &random.vtable) : generate_rsa(key, rsa_bits, &random.vtable);
	burn_stack();
	x509_wipe(&random, sizeof random);
	x509_wipe(seed, sizeof seed);
	/* A key that cannot be used is never handed out. */
	if (made && engine_key_fits(&key->private, &key->public))
		return true;
	x509_wipe(key, sizeof *key);
	errno = 0;
	return false;
}
