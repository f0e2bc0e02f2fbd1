#!/usr/bin/perl
# TLS_PIN: certificates and public keys by their SHA-256, on top of the chain and instead of it, on clients and on servers; in every spelling, with
# fingerprints as openssl and curl have them. The other side is openssl, curl and gnutls.
use strict;
use warnings;
use Digest::SHA qw(sha256 sha256_hex);
use FindBin;
use lib "$FindBin::Bin/lib";
use Bear;
use BearTls;
use Certificates qw(seq number octets explicit oid bits);
use MIME::Base64 qw(encode_base64 decode_base64);
use Test::More;

sub der_of { my ($pem) = @_; return decode_base64(($pem =~ /-----BEGIN[^\n]*\n(.*?)-----END/s)[0]) }
sub certificate { return der_of(slurp(file("$_[0].pem"))) }
sub key { return der_of(openssl('x509', '-in', file("$_[0].pem"), '-noout', '-pubkey')) }

# Every way to say it.
sub spellings {
	my ($name) = @_;
	my ($fingerprint) = openssl('x509', '-in', file("$name.pem"), '-noout', '-fingerprint', '-sha256') =~ /=([0-9A-F:]+)/;
	return ("cert:$fingerprint", 'cert:' . sha256_hex(certificate($name)), 'SHA256:' . sha256_hex(certificate($name)), 'key:' . uc sha256_hex(key($name)),
		'sha256//' . encode_base64(sha256(key($name)), ''));
}
my $refused = qr/\Atlsc-io: error: unable to speak TLS to: 127\.0\.0\.1 for pid: \d+: certificate is not one of TLS_PIN\n\z/;

# What a client makes of a server.
sub visit { my ($port, %env) = @_; return sslclient({ env => \%env }, ['-RH', 'localhost'], $port, 'echo', 'started') }

for my $version (versions()) {
	subtest "clients, $version" => sub {
		my %max = (TLS_MAXVERSION => $version);
		my $server = s_server({ pair => 'server-p256' }, '-www');
		is(visit($server->{port}, %max, TLS_PIN => $_)->{out}, "started\n", $_) for spellings('server-p256');
		for my $pins (spellings('server-rsa'), 'cert:' . sha256_hex(key('server-p256')), 'key:' . sha256_hex(certificate('server-p256')), 'cert:' . sha256_hex(certificate('root')), 'key:' . sha256_hex(key('root'))) {
			my $result = visit($server->{port}, %max, TLS_PIN => $pins);
			is($result->{exit}, 98, "not $pins: exit 98");
			like($result->{err}, $refused, 'in words');
			is($result->{out}, '', 'the program never starts');
		}
		ok(wait_until(sub { $server->log =~ /alert bad certificate/ }, 5), 'the server is told by the alert bad_certificate') or diag $server->log;
		my ($one) = spellings('server-p256');
		my ($other) = spellings('server-rsa');
		is(visit($server->{port}, %max, TLS_PIN => $_)->{out}, "started\n", 'several: ' . length $_) for "$other,$one", "$one $other", " $other; $one ,", join ',', ($other) x 63, $one;
		# On top of the chain: who is pinned has to be right as well.
		is(visit($server->{port}, %max, TLS_PIN => $one, CAFILE => file('other-root.pem'))->{exit}, 98, 'the chain counts');
		is(visit($server->{port}, %max, TLS_PIN => $one, TLS_PEERNAME => 'other.test')->{exit}, 98, 'and the name');
		# Instead of it.
		my @alone = (%max, TLS_VERIFY => 'none', CAFILE => undef);
		is(visit($server->{port}, @alone, TLS_PIN => $one)->{out}, "started\n", 'alone: no CA is needed');
		like(visit($server->{port}, @alone, TLS_PIN => $other)->{err}, $refused, 'another one is refused');
		is(visit($server->{port}, @alone, TLS_PIN => '')->{out}, "started\n", 'empty: no pin');
		$server->stop;
		$server = s_server({ pair => 'self-signed' }, '-www');
		is(visit($server->{port}, @alone, TLS_PIN => $_)->{out}, "started\n", 'a certificate that nobody has signed') for (spellings('self-signed'))[0, 4];
		$server->stop;
		$server = s_server({ pair => 'server-p256' }, '-www', '-cert_chain', file('self-signed.pem'));
		is(visit($server->{port}, @alone, TLS_PIN => 'cert:' . sha256_hex(certificate('self-signed')))->{exit}, 98, 'only the certificate of the peer itself counts, not one that comes with it');
		$server->stop;
	};

	subtest "servers, $version" => sub {
		my ($pin) = spellings('client');
		my ($self) = (spellings('self-signed'))[3];
		my @show = ('sh', '-c', 'echo "<$SSL_CLIENT_VERIFY $SSL_PEER_CERT_HASH>"');
		my $ask = sub {
			my ($port, $name) = @_;
			my $result = s_client({}, $port, $name ? ('-cert', file("$name.pem"), '-key', file("$name.key")) : ());
			return $result->{out} =~ /^<(\w+)[: ].*>$/m ? $1 : $result->{err} =~ /alert number (\d+)/ ? "alert $1" : $result->{err};
		};
		my $none = $version eq 'TLSv1.2' ? 40 : 116;
		my $server = sslserver({ env => { TLS_MAXVERSION => $version, CAFILE => file('root.pem'), TLS_PIN => $pin } }, ['-msRH'], @show);
		is($ask->($server->{port}, 'client'), 'SUCCESS', 'who is pinned');
		is($ask->($server->{port}, undef), "alert $none", 'nobody');
		$server->stop;
		$server = sslserver({ env => { TLS_MAXVERSION => $version, CAFILE => file('root.pem'), TLS_PIN => $self } }, ['-msRH'], @show);
		is($ask->($server->{port}, 'client'), 'alert 42', 'a right certificate that is not pinned');
		is($ask->($server->{port}, 'self-signed'), 'alert 48', 'a pinned one that leads nowhere');
		ok($server->wait_for_log(qr/unable to speak TLS from: 127\.0\.0\.1 for pid: \d+: (certificate is not one of TLS_PIN)\n/), 'said in words');
		$server->stop;
		# Alone: anybody may have signed it.
		$server = sslserver({ env => { TLS_MAXVERSION => $version, TLS_VERIFY => 'none', TLS_PIN => "$pin,$self" } }, ['-msRH'], @show);
		is($ask->($server->{port}, $_), 'SUCCESS', "alone: $_") for 'client', 'self-signed';
		is($ask->($server->{port}, 'server-p256'), 'alert 42', 'not another one');
		is($ask->($server->{port}, undef), "alert $none", 'nor none');
		my $curl = run('curl', '-sS', '--http0.9', '--cacert', file('root.pem'), '--cert', file('self-signed.pem'), '--key', file('self-signed.key'), "https://localhost:$server->{port}/");
		like($curl->{out}, qr/^<SUCCESS SHA256:[0-9a-f]{64}>$/, 'curl') or diag $curl->{err};
		$server->stop;
		$server = sslserver({ env => { TLS_MAXVERSION => $version, TLS_VERIFY => 'none', TLS_PIN => $pin, CCAVERIFY => 'report' } }, ['-sRH'], @show);
		is($ask->($server->{port}, 'client'), 'SUCCESS', 'report: pinned');
		is($ask->($server->{port}, 'self-signed'), 'FAILED', 'not pinned') or diag $server->log;
		$server->stop;
	};
}

# The certificate alone, which everybody has seen, is not enough: a key file with its public half and another private half.
subtest 'proof' => sub {
	my ($public, $forged) = (key('client'), temporary('forged'));
	spew("$forged.der", seq(number(1), octets("\x11" x 32), explicit(0, oid('1.2.840.10045.3.1.7')), explicit(1, bits(substr $public, -65))));
	openssl('ec', '-inform', 'DER', '-in', "$forged.der", '-out', "$forged.key");
	my ($pin) = spellings('client');
	for my $version (versions()) {
		my $server = sslserver({ env => { TLS_MAXVERSION => $version, TLS_VERIFY => 'none', TLS_PIN => $pin } }, ['-mRH'], 'echo', 'started');
		for my $key (file('client.key'), "$forged.key") {
			my $result = s_client({}, $server->{port}, '-cert', file('client.pem'), '-key', $key);
			my $good = $key ne "$forged.key";
			is(scalar($result->{out} =~ /^started$/m), $good ? 1 : '', "$version: " . ($good ? 'with its key' : 'with another key'));
		}
		ok($server->wait_for_log(qr/for pid: \d+: .*(signature)/), 'said in words');
		$server->stop;
	}
};

subtest 'what is no pin' => sub {
	my $hex = 'a' x 64;
	for my $pin ('x', 'cert:', 'cert:' . 'a' x 63, "cert:${hex}a", 'cert:' . 'g' x 64, "cert:aa::" . 'a' x 62, "cert:$hex:", ":$hex", $hex, "Cert:$hex", 'sha256//' . 'A' x 43, 'sha256//' . 'A' x 42 . 'B=', 'sha256//' . 'A' x 42 . '==', 'sha256//' . '!' x 43 . '=', "key:$hex,,y") {
		for my $io ('tlsd-io', 'tlsc-io') {
			my $result = run({ env => pair('server-rsa', CAFILE => file('root.pem'), TLS_PEERNAME => 'localhost', TLS_PIN => $pin) }, command(io_program($io)), '-C', $io eq 'tlsd-io' ? '-y' : (), '0', '1');
			is($result->{exit}, 96, "$io, $pin: exit 96");
			my ($shown) = $pin =~ /([^,]*)\z/;
			is($result->{err}, "$io: fatal: TLS_PIN: $shown: neither cert: or key: with 64 hexadecimal digits nor sha256// with base64\n", 'in words');
		}
	}
	my $result = run({ env => pair('server-rsa', TLS_PIN => join ' ', map { sprintf 'cert:%064x', $_ } 1 .. 65) }, command(io_program('tlsd-io')), '-C', '0', '1');
	is($result->{err}, "tlsd-io: fatal: TLS_PIN: more than 64\n", 'too many');
	for my $nothing (',', ' ', ', ;') {
		$result = run({ env => { TLS_PIN => $nothing, TLS_VERIFY => 'none' } }, command(io_program('tlsc-io')), '-C', '0', '1');
		is($result->{exit}, 96, "'$nothing', which would believe anybody: exit 96");
		is($result->{err}, "tlsc-io: fatal: TLS_PIN: $nothing: no pin in it\n", 'in words');
	}
	$result = run({ env => pair('server-rsa', TLS_PIN => "cert:$hex") }, command(io_program('tlsd-io')), '-C', '0', '1');
	is($result->{err}, "tlsd-io: fatal: TLS_PIN: clients are not asked for a certificate\n", 'a server that asks nobody');
	is($result->{exit}, 96, 'exit 96');
};

subtest 'tlsverify' => sub {
	my ($pin) = spellings('server-p256');
	my ($other) = spellings('server-rsa');
	my %env = (CAFILE => file('root.pem'));
	is(run({ env => { %env, TLS_PIN => $pin } }, command('tlsverify'), file('server-p256.pem'))->{exit}, 0, 'pinned');
	my $result = run({ env => { %env, TLS_PIN => $other } }, command('tlsverify'), file('server-p256.pem'));
	is($result->{exit}, 1, 'not pinned');
	like($result->{out}, qr/^refused: certificate is not one of TLS_PIN\nalert: bad_certificate$/m, 'in words');
	like(run({ env => { TLS_VERIFY => 'none', TLS_PIN => $pin } }, command('tlsverify'), file('server-p256.pem'))->{out}, qr/^only TLS_PIN was checked: TLS_VERIFY=none$/m, 'alone');
};

done_testing;
