/*
 * The library's error queue, in the same words as those of the other engines, and the alert that each error
 * calls for where the library has sent none itself. Its own texts are neither loaded nor shown.
 */
#include "engine/openssl/private.h"
#include <openssl/err.h>
#include <openssl/sslerr.h>

struct meaning {
	int reason;
	int alert; /* -1: none */
	const char *words;
};

static const char no_common[] = "no cipher suite, curve or signature algorithm in common";
static const char no_version[] = "no protocol version in common";

static const struct meaning meanings[] = {
	{ SSL_R_NO_SHARED_CIPHER, ALERT_HANDSHAKE_FAILURE, no_common },
	{ SSL_R_NO_SUITABLE_SIGNATURE_ALGORITHM, ALERT_HANDSHAKE_FAILURE, no_common },
	{ SSL_R_NO_SHARED_SIGNATURE_ALGORITHMS, ALERT_HANDSHAKE_FAILURE, no_common },
	{ SSL_R_NO_SUITABLE_KEY_SHARE, ALERT_HANDSHAKE_FAILURE, no_common },
	{ SSL_R_NO_CIPHERS_SPECIFIED, ALERT_HANDSHAKE_FAILURE, no_common },
	{ SSL_R_UNSUPPORTED_PROTOCOL, ALERT_PROTOCOL_VERSION,
		"not TLS, or a protocol version that is not supported" },
	{ SSL_R_WRONG_SSL_VERSION, ALERT_PROTOCOL_VERSION,
		"not TLS, or a protocol version that is not supported" },
	{ SSL_R_UNKNOWN_PROTOCOL, ALERT_PROTOCOL_VERSION, no_version },
	{ SSL_R_VERSION_TOO_LOW, ALERT_PROTOCOL_VERSION, no_version },
	{ SSL_R_INAPPROPRIATE_FALLBACK, 86, "client fell back to a lower protocol version" },
	{ SSL_R_HTTP_REQUEST, ALERT_PROTOCOL_VERSION, "plain HTTP instead of TLS" },
	{ SSL_R_HTTPS_PROXY_REQUEST, ALERT_PROTOCOL_VERSION, "plain HTTP instead of TLS" },
	{ SSL_R_PACKET_LENGTH_TOO_LONG, ALERT_RECORD_OVERFLOW, "record of impossible length" },
	{ SSL_R_ENCRYPTED_LENGTH_TOO_LONG, ALERT_RECORD_OVERFLOW, "record too large" },
	{ SSL_R_DATA_LENGTH_TOO_LONG, ALERT_RECORD_OVERFLOW, "record too large" },
	{ SSL_R_LENGTH_TOO_SHORT, ALERT_DECODE_ERROR, "record of impossible length" },
	{ SSL_R_DECRYPTION_FAILED_OR_BAD_RECORD_MAC, ALERT_BAD_RECORD_MAC, "record failed authentication" },
	{ SSL_R_DECRYPTION_FAILED, ALERT_BAD_RECORD_MAC, "record failed authentication" },
	{ SSL_R_BAD_RECORD_TYPE, ALERT_UNEXPECTED_MESSAGE, "record of unknown type" },
	{ SSL_R_RECORD_TOO_SMALL, ALERT_UNEXPECTED_MESSAGE, "flood of empty records" },
	{ SSL_R_TOO_MANY_WARN_ALERTS, ALERT_UNEXPECTED_MESSAGE, "flood of warning alerts" },
	{ SSL_R_TOO_MANY_KEY_UPDATES, ALERT_UNEXPECTED_MESSAGE, "flood of handshake messages" },
	{ SSL_R_UNEXPECTED_MESSAGE, ALERT_UNEXPECTED_MESSAGE, "unexpected message" },
	{ SSL_R_UNEXPECTED_RECORD, ALERT_UNEXPECTED_MESSAGE, "unexpected message" },
	{ SSL_R_UNEXPECTED_CCS_MESSAGE, ALERT_UNEXPECTED_MESSAGE, "unexpected message" },
	{ SSL_R_TOO_MUCH_EARLY_DATA, ALERT_UNEXPECTED_MESSAGE, "too much early data" },
	{ SSL_R_BAD_KEY_UPDATE, ALERT_ILLEGAL_PARAMETER, "malformed handshake message" },
	{ SSL_R_BAD_LEGACY_VERSION, ALERT_PROTOCOL_VERSION, no_version },
	{ SSL_R_BAD_HRR_VERSION, ALERT_PROTOCOL_VERSION, no_version },
	{ SSL_R_UNEXPECTED_END_OF_EARLY_DATA, ALERT_UNEXPECTED_MESSAGE, "unexpected message" },
	{ SSL_R_CCS_RECEIVED_EARLY, ALERT_UNEXPECTED_MESSAGE, "unexpected message" },
	{ SSL_R_GOT_A_FIN_BEFORE_A_CCS, ALERT_UNEXPECTED_MESSAGE, "unexpected message" },
	{ SSL_R_APP_DATA_IN_HANDSHAKE, ALERT_UNEXPECTED_MESSAGE, "unexpected message" },
	{ SSL_R_MIXED_HANDSHAKE_AND_NON_HANDSHAKE_DATA, ALERT_UNEXPECTED_MESSAGE, "unexpected message" },
	{ SSL_R_NOT_ON_RECORD_BOUNDARY, ALERT_UNEXPECTED_MESSAGE, "unexpected message" },
	{ SSL_R_BAD_HELLO_REQUEST, ALERT_DECODE_ERROR, "malformed handshake message" },
	{ SSL_R_BAD_CHANGE_CIPHER_SPEC, ALERT_DECODE_ERROR, "malformed ChangeCipherSpec" },
	{ SSL_R_INVALID_CCS_MESSAGE, ALERT_UNEXPECTED_MESSAGE, "unexpected message" },
	{ SSL_R_INVALID_ALERT, ALERT_DECODE_ERROR, "malformed alert" },
	{ SSL_R_UNKNOWN_ALERT_TYPE, ALERT_DECODE_ERROR, "malformed alert" },
	{ SSL_R_EXCESSIVE_MESSAGE_SIZE, ALERT_ILLEGAL_PARAMETER, "handshake too long" },
	{ SSL_R_LENGTH_MISMATCH, ALERT_DECODE_ERROR, "malformed handshake message" },
	{ SSL_R_BAD_PACKET, ALERT_DECODE_ERROR, "malformed handshake message" },
	{ SSL_R_BAD_EXTENSION, ALERT_DECODE_ERROR, "malformed handshake message" },
	{ SSL_R_BAD_LENGTH, ALERT_DECODE_ERROR, "malformed handshake message" },
	{ SSL_R_CERT_LENGTH_MISMATCH, ALERT_DECODE_ERROR, "malformed handshake message" },
	{ SSL_R_CA_DN_LENGTH_MISMATCH, ALERT_DECODE_ERROR, "malformed handshake message" },
	{ SSL_R_SSL3_SESSION_ID_TOO_LONG, ALERT_DECODE_ERROR, "session id too long" },
	{ SSL_R_UNKNOWN_CIPHER_RETURNED, ALERT_ILLEGAL_PARAMETER,
		"server chose a cipher suite that was not offered" },
	{ SSL_R_WRONG_CIPHER_RETURNED, ALERT_ILLEGAL_PARAMETER,
		"server chose a cipher suite that was not offered" },
	{ SSL_R_UNSUPPORTED_COMPRESSION_ALGORITHM, ALERT_ILLEGAL_PARAMETER, "server chose compression" },
	{ SSL_R_COMPRESSION_DISABLED, ALERT_ILLEGAL_PARAMETER, "server chose compression" },
	{ SSL_R_INCONSISTENT_COMPRESSION, ALERT_ILLEGAL_PARAMETER, "server chose compression" },
	{ SSL_R_INVALID_COMPRESSION_ALGORITHM, ALERT_ILLEGAL_PARAMETER, "server chose compression" },
	{ SSL_R_UNSOLICITED_EXTENSION, ALERT_UNSUPPORTED_EXTENSION,
		"server answered an extension that was not offered" },
	{ SSL_R_RENEGOTIATION_MISMATCH, ALERT_HANDSHAKE_FAILURE, "wrong renegotiation_info" },
	{ SSL_R_RENEGOTIATION_ENCODING_ERR, ALERT_HANDSHAKE_FAILURE, "wrong renegotiation_info" },
	{ SSL_R_UNSAFE_LEGACY_RENEGOTIATION_DISABLED, ALERT_HANDSHAKE_FAILURE,
		"peer does not know secure renegotiation (RFC 5746)" },
	{ SSL_R_DIGEST_CHECK_FAILED, ALERT_DECRYPT_ERROR, "wrong Finished message" },
	{ SSL_R_BAD_DIGEST_LENGTH, ALERT_DECODE_ERROR, "wrong Finished message" },
	{ SSL_R_BAD_SIGNATURE, ALERT_DECRYPT_ERROR, "wrong signature on the key exchange" },
	{ SSL_R_WRONG_SIGNATURE_TYPE, ALERT_ILLEGAL_PARAMETER, "algorithm or curve that was not offered" },
	{ SSL_R_WRONG_SIGNATURE_SIZE, ALERT_DECRYPT_ERROR, "wrong signature on the key exchange" },
	{ SSL_R_WRONG_CURVE, ALERT_ILLEGAL_PARAMETER, "algorithm or curve that was not offered" },
	{ SSL_R_BAD_ECPOINT, ALERT_ILLEGAL_PARAMETER, "key share of the peer is no point on its curve" },
	{ SSL_R_BAD_KEY_SHARE, ALERT_ILLEGAL_PARAMETER, "algorithm or curve that was not offered" },
	{ SSL_R_WRONG_CERTIFICATE_TYPE, ALERT_UNSUPPORTED_CERTIFICATE,
		"certificate's key may not be used for this" },
	{ SSL_R_UNKNOWN_CERTIFICATE_TYPE, ALERT_UNSUPPORTED_CERTIFICATE,
		"public key of a kind that is not supported" },
	{ SSL_R_UNABLE_TO_FIND_PUBLIC_KEY_PARAMETERS, ALERT_UNSUPPORTED_CERTIFICATE,
		"public key of a kind that is not supported" },
	{ SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE, ALERT_HANDSHAKE_FAILURE, "no client certificate" },
	{ SSL_R_NO_CERTIFICATES_RETURNED, ALERT_HANDSHAKE_FAILURE, "no certificate" },
	{ SSL_R_INCONSISTENT_EXTMS, ALERT_HANDSHAKE_FAILURE, "inconsistent extended master secret" },
	{ SSL_R_MISSING_SUPPORTED_GROUPS_EXTENSION, 109, "client names no curve" },
	{ SSL_R_MISSING_SIGALGS_EXTENSION, 109, "client names no signature algorithm" },
	{ SSL_R_CALLBACK_FAILED, ALERT_INTERNAL_ERROR, "own certificate or key cannot be used" },
	{ SSL_R_CERT_CB_ERROR, ALERT_INTERNAL_ERROR, "own certificate or key cannot be used" },
	{ ERR_R_ASN1_LIB, ALERT_BAD_CERTIFICATE, "malformed certificate" },
};

/* The first error of libssl: later ones say what became of it, those of libcrypto why. */
static int first_reason(void)
{
	unsigned long error;
	int reason = 0;

	while ((error = ERR_get_error()) != 0)
		if (!reason && ERR_GET_LIB(error) == ERR_LIB_SSL)
			reason = ERR_GET_REASON(error);
	return reason;
}

/* A record of another version means two things: at the beginning that the peer does not speak TLS at all. */
static void describe_version(const struct openssl *o, struct engine_failure *failure)
{
	failure->alert_due = ALERT_PROTOCOL_VERSION;
	failure->words = SSL_get_current_cipher(o->ssl) || o->sending.sealed || !o->setup->client
						 ? "record of another protocol version"
						 : "not TLS, or a protocol version that is not supported";
}

static void describe_reason(struct openssl *o, int reason, struct engine_failure *failure)
{
	*failure = (struct engine_failure){
		.code = reason, .alert_due = ALERT_INTERNAL_ERROR, .alert_received = -1, .words = "engine failed"
	};
	if (reason >= SSL_AD_REASON_OFFSET && reason <= SSL_AD_REASON_OFFSET + 255) {
		failure->alert_due = -1;
		failure->alert_received = reason - SSL_AD_REASON_OFFSET;
		failure->words = "peer sent an alert";
		return;
	}
	if (reason == SSL_R_WRONG_VERSION_NUMBER) {
		describe_version(o, failure);
		return;
	}
	for (size_t i = 0; i < sizeof meanings / sizeof meanings[0]; i++)
		if (meanings[i].reason == reason) {
			failure->alert_due = meanings[i].alert;
			failure->words = meanings[i].words;
			return;
		}
}

void failure_describe(struct openssl *o)
{
	int reason = first_reason();

	describe_reason(o, reason, &o->failure);
	if (o->presented && !o->judged)
		peer_judge(o); /* the library could not even read them: our words for it */
	if (peer_refused(o)) {
		o->failure.words = o->verdict.reason;
		o->failure.alert_due = o->verdict.alert;
	}
	if (o->alert_sent)
		o->failure.alert_due = -1;
}
