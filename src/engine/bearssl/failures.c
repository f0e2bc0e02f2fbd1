/*
 * Error numbers of the library, in words, and the alert that each calls for (RFC 5246 7.2.2): the library
 * itself sends almost none.
 */
#include "engine/bearssl/private.h"

struct meaning {
	int code;
	int alert; /* -1: none */
	const char *words;
};

static const struct meaning meanings[] = {
	{ BR_ERR_BAD_PARAM, ALERT_DECODE_ERROR, "malformed message" },
	{ BR_ERR_BAD_STATE, ALERT_INTERNAL_ERROR, "engine misused" },
	{ BR_ERR_UNSUPPORTED_VERSION, ALERT_PROTOCOL_VERSION,
		"not TLS, or a protocol version that is not supported" },
	{ BR_ERR_BAD_VERSION, ALERT_PROTOCOL_VERSION, "record of another protocol version" },
	{ BR_ERR_BAD_LENGTH, ALERT_RECORD_OVERFLOW, "record of impossible length" },
	{ BR_ERR_TOO_LARGE, ALERT_RECORD_OVERFLOW, "record too large" },
	{ BR_ERR_BAD_MAC, ALERT_BAD_RECORD_MAC, "record failed authentication" },
	{ BR_ERR_NO_RANDOM, ALERT_INTERNAL_ERROR, "no randomness" },
	{ BR_ERR_UNKNOWN_TYPE, ALERT_UNEXPECTED_MESSAGE, "record of unknown type" },
	{ BR_ERR_UNEXPECTED, ALERT_UNEXPECTED_MESSAGE, "unexpected message" },
	{ BR_ERR_BAD_CCS, ALERT_DECODE_ERROR, "malformed ChangeCipherSpec" },
	{ BR_ERR_BAD_ALERT, ALERT_DECODE_ERROR, "malformed alert" },
	{ BR_ERR_BAD_HANDSHAKE, ALERT_DECODE_ERROR, "malformed handshake message" },
	{ BR_ERR_OVERSIZED_ID, ALERT_DECODE_ERROR, "session id too long" },
	{ BR_ERR_BAD_CIPHER_SUITE, ALERT_ILLEGAL_PARAMETER, "server chose a cipher suite that was not offered" },
	{ BR_ERR_BAD_COMPRESSION, ALERT_ILLEGAL_PARAMETER, "server chose compression" },
	{ BR_ERR_BAD_FRAGLEN, ALERT_ILLEGAL_PARAMETER, "wrong maximum fragment length" },
	{ BR_ERR_BAD_SECRENEG, ALERT_HANDSHAKE_FAILURE, "wrong renegotiation_info" },
	{ BR_ERR_EXTRA_EXTENSION, ALERT_UNSUPPORTED_EXTENSION,
		"server answered an extension that was not offered" },
	{ BR_ERR_BAD_SNI, ALERT_DECODE_ERROR, "malformed server_name extension" },
	{ BR_ERR_BAD_HELLO_DONE, ALERT_DECODE_ERROR, "malformed ServerHelloDone" },
	{ BR_ERR_LIMIT_EXCEEDED, ALERT_INTERNAL_ERROR, "public key of the peer too large" },
	{ BR_ERR_BAD_FINISHED, ALERT_DECRYPT_ERROR, "wrong Finished message" },
	{ BR_ERR_RESUME_MISMATCH, ALERT_ILLEGAL_PARAMETER, "resumed session with other parameters" },
	{ BR_ERR_INVALID_ALGORITHM, ALERT_ILLEGAL_PARAMETER, "algorithm or curve that was not offered" },
	{ BR_ERR_BAD_SIGNATURE, ALERT_DECRYPT_ERROR, "wrong signature on the key exchange" },
	{ BR_ERR_WRONG_KEY_USAGE, ALERT_UNSUPPORTED_CERTIFICATE, "certificate's key may not be used for this" },
	{ BR_ERR_NO_CLIENT_AUTH, ALERT_HANDSHAKE_FAILURE, "no client certificate" },
};

void failure_describe(int code, struct engine_failure *failure)
{
	*failure = (struct engine_failure){
		.code = code, .alert_due = ALERT_INTERNAL_ERROR, .alert_received = -1, .words = "engine failed"
	};
	if (code >= BR_ERR_SEND_FATAL_ALERT) { /* the engine has sent it */
		failure->alert_due = -1;
		switch (code - BR_ERR_SEND_FATAL_ALERT) {
		case ALERT_HANDSHAKE_FAILURE:
			failure->words = "no cipher suite, curve or signature algorithm in common";
			break;
		case ALERT_PROTOCOL_VERSION:
			failure->words = "no protocol version in common";
			break;
		default:
			failure->words = engine_alert_name(code - BR_ERR_SEND_FATAL_ALERT);
		}
		return;
	}
	if (code >= BR_ERR_RECV_FATAL_ALERT) {
		failure->alert_due = -1;
		failure->alert_received = code - BR_ERR_RECV_FATAL_ALERT;
		failure->words = "peer sent an alert";
		return;
	}
	for (size_t i = 0; i < sizeof meanings / sizeof meanings[0]; i++)
		if (meanings[i].code == code) {
			failure->alert_due = meanings[i].alert;
			failure->words = meanings[i].words;
			return;
		}
}
