#!/usr/bin/perl
# Peers that are refused, or that refuse us: the program never starts, the reason is said in words, the peer gets the right alert.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Bear;
use BearTls;
use Test::More;
use Time::HiRes ();

my $marker = temporary('started');
my @prog = ('sh', '-c', 'echo started >"$1"; echo here', 'sh', $marker);
my @old = ('-cipher', 'DEFAULT:@SECLEVEL=0');
my $no_shared = 'no cipher suite, curve or signature algorithm in common';

# A certificate without subjectAltName, and one without an address in it.
spew(temporary('names.cnf'), "[names]\nsubjectAltName=DNS:localhost\n");
my $number = 7000;
sub signed {
	my ($name, @extensions) = @_;
	openssl('x509', '-req', '-in', file('server-p256.csr'), '-CA', file('root.pem'), '-CAkey', file('root.key'), '-set_serial', $number++,
		'-days', '30', '-out', temporary("$name.pem"), @extensions);
	return (temporary("$name.pem"), file('server-p256.key'));
}
my %made = (
	'no SAN' => [signed('no-san')],
	'no address' => [signed('no-address', '-extfile', temporary('names.cnf'), '-extensions', 'names')],
);

# ---- servers ----

my $server = sslserver({}, ['-T', '1'], @prog);
is(s_client({}, $server->{port}, '-quiet')->{out}, "here\n", 'the server works');
connection($server);
unlink $marker;

# What the last connection came to: never started, said in words, exit code 98.
sub refused_by_server {
	my ($name, $reason) = @_;
	my $seen = connection($server);
	is($seen->{status}, 98 << 8, "$name: exit code 98");
	my $pid = $seen->{pid} || 0;
	like($seen->{log} || '', qr/^tlsd-io: error: unable to speak TLS from: 127\.0\.0\.1 for pid: $pid: \Q$reason\E$/m, 'in words');
	my @lines = ($seen->{log} || '') =~ /^(tlsd-io: .*)$/mg;
	is(scalar @lines, 1, 'in one line');
	ok(!-e $marker, 'the program never starts');
}

subtest 'clients that speak otherwise' => sub {
	my @cases = (
		['TLS 1.1 only', ['-tls1_1', @old], 'tlsv1 alert protocol version', 70, 'client speaks no TLS version above 1.1'],
		['TLS 1.0 only', ['-tls1', @old], 'tlsv1 alert protocol version', 70, 'client speaks no TLS version above 1.1'],
		newest() eq 'TLSv1.2' ? ['TLS 1.3 only', ['-tls1_3'], 'tlsv1 alert protocol version', 70, 'client does not speak TLS 1.2'] : (
			['TLS 1.3, no suite in common', ['-tls1_3', '-ciphersuites', 'TLS_AES_128_CCM_SHA256'], 'sslv3 alert handshake failure', 40, $no_shared],
			['TLS 1.3, no curve in common', ['-tls1_3', '-curves', 'X448'], 'sslv3 alert handshake failure', 40, $no_shared]),
		['RSA key exchange only', ['-tls1_2', '-cipher', 'AES128-SHA:AES128-GCM-SHA256'], 'sslv3 alert handshake failure', 40, $no_shared],
		['CBC only', ['-tls1_2', '-cipher', 'ECDHE-RSA-AES128-SHA:ECDHE-RSA-AES128-SHA256'], 'sslv3 alert handshake failure', 40, $no_shared],
		['ECDSA only', ['-tls1_2', '-cipher', 'ECDHE-ECDSA-AES128-GCM-SHA256'], 'sslv3 alert handshake failure', 40, $no_shared],
		['no curve in common', ['-tls1_2', '-curves', 'brainpoolP256r1'], 'sslv3 alert handshake failure', 40, $no_shared],
	);
	for my $case (@cases) {
		my ($name, $arguments, $alert, $alert_number, $reason) = @$case;
		my $result = s_client({}, $server->{port}, @$arguments);
		isnt($result->{exit}, 0, "$name: openssl s_client is refused");
		like($result->{err}, qr/:\Q$alert\E:.*SSL alert number $alert_number$/m, "by the alert '$alert'");
		refused_by_server($name, $reason);
	}
};

subtest 'clients that speak no TLS' => sub {
	my @cases = (
		['plain HTTP', "GET / HTTP/1.0\r\nHost: localhost\r\n\r\n", 70, 'plain HTTP instead of TLS'],
		['plain HTTP, POST', "POST / HTTP/1.0\r\n\r\n", 70, 'plain HTTP instead of TLS'],
		['SMTP', "EHLO localhost\r\n", 70, 'not TLS'],
		['zero bytes', "\0" x 600, 70, 'not TLS'],
		['garbage', join('', map { chr(128 + $_ * 37 % 128) } 1 .. 3000), 70, 'not TLS'],
		['application data', "\x17\x03\x03\x00\x20" . 'x' x 32, 10, 'first record is no ClientHello'],
		['an alert', "\x15\x03\x03\x00\x02\x02\x28", 10, 'first record is no ClientHello'],
		['a ServerHello', "\x16\x03\x03\x00\x08\x02\x00\x00\x04abcd", 10, 'first message is no ClientHello'],
		['a ClientHello of nonsense', "\x16\x03\x01\x00\x24\x01\x00\x00\x20" . 'y' x 32, 50, 'malformed ClientHello'],
		['a record of 16385 bytes', "\x16\x03\x01\x40\x01\x01", 22, 'record of impossible length'],
		['an empty record', "\x16\x03\x01\x00\x00", 10, 'empty handshake record'],
	);
	for my $case (@cases) {
		my ($name, $bytes, $alert, $reason) = @$case;
		my $socket = connect_to($server->{port});
		syswrite $socket, $bytes;
		my $got = read_all($socket, 5);
		like($got, qr/\A\x15\x03[\x00-\x03]\x00\x02\x02\Q@{[chr $alert]}\E\z/, "$name: gets the alert $alert and nothing else") or diag(unpack 'H*', $got);
		close $socket;
		refused_by_server($name, $reason);
	}
	my $result = run('curl', '-sS', '--max-time', '5', "http://127.0.0.1:$server->{port}/");
	isnt($result->{exit}, 0, 'curl with http');
	refused_by_server('curl with http', 'plain HTTP instead of TLS');
};

subtest 'clients that say nothing' => sub {
	my $socket = connect_to($server->{port});
	my $begin = Time::HiRes::time();
	my $got = read_all($socket, 8);
	my $took = Time::HiRes::time() - $begin;
	like(unpack('H*', $got), qr/\A1503..0002025a\z/, 'silent: gets the alert user_canceled') ;
	cmp_ok($took, '>', 0.7, 'after -T 1');
	cmp_ok($took, '<', 3, 'and not much later');
	close $socket;
	refused_by_server('silent', 'handshake timed out');

	$socket = connect_to($server->{port});
	syswrite $socket, "\x16\x03\x01\x02\x00\x01";
	read_all($socket, 8);
	close $socket;
	refused_by_server('begins and says no more', 'handshake timed out');

	for my $bytes ('', "\x16", "\x16\x03\x01\x02\x00\x01\x00") {
		$socket = connect_to($server->{port});
		syswrite $socket, $bytes if length $bytes;
		$socket->shutdown(1);
		read_all($socket, 5);
		close $socket;
		refused_by_server('closes after ' . length($bytes) . ' bytes', 'peer ended the connection during the handshake');
	}
};

subtest 'clients that refuse our certificate' => sub {
	my $other = file('other-root.pem');
	my $result = s_client({}, $server->{port}, '-CAfile', $other, '-quiet');
	isnt($result->{exit}, 0, 'openssl s_client');
	refused_by_server('unknown to openssl s_client', 'peer sent alert unknown_ca');
	$result = run('curl', '-sS', '--cacert', $other, "https://localhost:$server->{port}/");
	is($result->{exit}, 60, 'curl');
	refused_by_server('unknown to curl', 'peer sent alert unknown_ca');
	$result = sslclient({ env => { CAFILE => $other } }, ['localhost'], $server->{port}, 'true');
	is($result->{exit}, 98, 'sslclient');
	refused_by_server('unknown to sslclient', 'peer sent alert unknown_ca');
	$result = s_client({}, $server->{port}, '-verify_hostname', 'other.test', '-quiet');
	isnt($result->{exit}, 0, 'openssl s_client, another name');
	refused_by_server('another name', 'peer sent alert bad_certificate');
};

$server->stop;
like($server->log, qr/\A(sslserver: .*\n|tlsd-io: error: .*\n)+\z/, 'nothing else is in the log');

# ---- clients ----

my $client_marker = temporary('client-started');
my @client_prog = ('sh', '-c', 'echo started >"$1"', 'sh', $client_marker);

sub refused_by_client {
	my ($name, $result, $reason, $program) = @_;
	is($result->{exit}, 98, "$name: exit code 98");
	like($result->{err}, qr/\Atlsc-io: error: unable to speak TLS to: 127\.0\.0\.1 for pid: \d+: \Q$reason\E\n\z/, 'in words');
	ok(!-e $client_marker, 'the program never starts');
	unlink $client_marker;
}

subtest 'servers with a certificate that will not do' => sub {
	my %alerts = (42 => 'sslv3 alert bad certificate', 45 => 'sslv3 alert certificate expired', 48 => 'tlsv1 alert unknown ca');
	my $no_trust = 'certificate is not from a trusted authority';
	my $other_name = 'certificate is for another name';
	my $other_address = 'certificate is for another address';
	my @cases = (
		['wrong CA', 'server-rsa', 'localhost', { CAFILE => file('other-root.pem') }, $no_trust, 48],
		['wrong CA, P-256', 'unknown', 'localhost', {}, $no_trust, 48],
		['wrong name', 'wrong-name', 'localhost', {}, $other_name, 42],
		['wrong IP', 'server-p256', '127.0.0.1', { TLS_PEERNAME => '127.0.0.2' }, $other_address, 42],
		['wrong IPv6', 'server-p256', '127.0.0.1', { TLS_PEERNAME => '::2' }, $other_address, 42],
		['an address where only names are', 'no address', '127.0.0.1', {}, $other_address, 42],
		['expired', 'expired', 'localhost', {}, 'certificate has expired', 45],
		['not yet valid', 'early', 'localhost', {}, 'certificate is not yet valid', 45],
		['self-signed', 'self-signed', 'localhost', {}, $no_trust, 48],
		['no SAN', 'no SAN', 'localhost', {}, 'certificate is for no host: it has no subject alternative name', 42],
		['intermediate missing', 'via-rsa', 'localhost', {}, $no_trust, 48],
	);
	for my $case (@cases) {
		my ($name, $pair, $host, $env, $reason, $alert) = @$case;
		my @files = $made{$pair} ? ('-cert', $made{$pair}[0], '-key', $made{$pair}[1]) : ();
		my $peer = s_server({ pair => $made{$pair} ? 'server-p256' : $pair, answers => 1 }, '-rev', @files);
		my $result = sslclient({ env => $env }, [$host], $peer->{port}, @client_prog);
		refused_by_client($name, $result, $reason);
		ok($peer->wait_for_log(qr/(:\Q$alerts{$alert}\E:.*SSL alert number $alert)$/m, 2), "openssl s_server sees '$alerts{$alert}'");
		$peer->stop;
	}
	# The names of a good certificate, as a check that what is refused is refused for its own sake.
	my $peer = s_server({ pair => 'server-p256', answers => 1 }, '-rev', '-cert', $made{'no address'}[0], '-key', $made{'no address'}[1]);
	is(sslclient({}, ['localhost'], $peer->{port}, 'true')->{exit}, 0, 'a name where only names are');
	is(sslclient({ env => { CAFILE => file('roots.pem') } }, ['localhost'], $peer->{port}, 'true')->{exit}, 0, 'one of two CAs');
};

subtest 'servers that speak otherwise' => sub {
	my @cases = (
		['TLS 1.1 only', ['-tls1_1', @old], newest() eq 'TLSv1.2' ? 'handshake_failure' : 'protocol_version'],    # it finds no suite for its version
		newest() eq 'TLSv1.2' ? ['TLS 1.3 only', ['-tls1_3'], 'protocol_version'] : (
			['TLS 1.3, no suite in common', ['-tls1_3', '-ciphersuites', 'TLS_AES_128_CCM_SHA256'], 'handshake_failure'],
			['TLS 1.3, no curve in common', ['-tls1_3', '-curves', 'X448'], 'handshake_failure']),
		['RSA key exchange only', ['-tls1_2', '-cipher', 'AES128-SHA'], 'handshake_failure'],
		['CBC only', ['-tls1_2', '-cipher', 'ECDHE-RSA-AES128-SHA'], 'handshake_failure'],
	);
	for my $case (@cases) {
		my ($name, $arguments, $alert) = @$case;
		my $peer = s_server({ answers => 1 }, '-rev', @$arguments);
		my $result = sslclient({}, ['localhost'], $peer->{port}, @client_prog);
		refused_by_client($name, $result, "peer sent alert $alert");
		$peer->stop;
	}

	my %plain = (
		'plain HTTP' => ['printf', 'HTTP/1.0 400 Bad Request\r\n\r\n'], 'SMTP' => ['printf', '220 mail.example.test ESMTP\r\n'],
		'garbage' => ['head', '-c', '3000', '/dev/zero'],
	);
	for my $name (sort keys %plain) {
		my $peer = serve(command('tcpserver'), '-1', '127.0.0.1', '0', 'sh', '-c', '"$@"; cat >/dev/null', 'sh', @{ $plain{$name} });
		my $result = sslclient({}, ['localhost'], $peer->{port}, @client_prog);
		refused_by_client($name, $result, 'not TLS, or a protocol version that is not supported');
		$peer->stop;
	}

	my $peer = serve(command('tcpserver'), '-1', '127.0.0.1', '0', 'sh', '-c', 'exec cat >/dev/null');
	my $begin = Time::HiRes::time();
	refused_by_client('silent', sslclient({ env => { TLS_TIMEOUT => 1 } }, ['localhost'], $peer->{port}, @client_prog), 'handshake timed out');
	cmp_ok(Time::HiRes::time() - $begin, '<', 4, 'in time');
	$peer->stop;

	$peer = serve(command('tcpserver'), '-1', '127.0.0.1', '0', 'sh', '-c', 'exec head -c 1 >/dev/null');
	my $result = sslclient({}, ['localhost'], $peer->{port}, @client_prog);
	is($result->{exit}, 98, 'closes at once: exit code 98');
	like($result->{err}, qr/\Atlsc-io: error: unable to speak TLS to: 127\.0\.0\.1 for pid: \d+: (peer ended the connection|Connection reset by peer) during the handshake\n\z/, 'in words');
	ok(!-e $client_marker, 'the program never starts');
	$peer->stop;
};

subtest 'tlsc' => sub {
	my $peer = s_server({ pair => 'unknown', answers => 1 }, '-rev');
	my $result = run({ env => { CAFILE => file('root.pem') } }, command('tcpclient'), '127.0.0.1', $peer->{port}, command('tlsc'), '-k', 'localhost', @client_prog);
	refused_by_client('wrong CA', $result, 'certificate is not from a trusted authority');
	$result = run({ env => { CAFILE => file('root.pem') } }, command('tcpclient'), '127.0.0.1', $peer->{port}, command('tlsc'), '-v0', '-k', 'localhost', @client_prog);
	is($result->{exit}, 98, '-v 0: exit code 98');
	is($result->{err}, '', 'without words');
};

subtest 'quiet servers' => sub {
	my $quiet = serve({ env => pair('server-rsa') }, command('sslserver'), '-1q', '127.0.0.1', '0', @prog);
	ask($quiet->{port}, "GET / HTTP/1.0\r\n\r\n");
	$quiet->stop;
	is($quiet->log, '', 'sslserver -q says nothing');
	ok(!-e $marker, 'and starts nothing');
	$quiet = serve({ env => pair('server-rsa') }, command('sslserver'), '-1Q', '127.0.0.1', '0', @prog);
	ask($quiet->{port}, "GET / HTTP/1.0\r\n\r\n");
	like($quiet->wait_for_log(qr/(.*plain HTTP.*)\n/), qr/^tlsd-io: error: unable to speak TLS from: 127\.0\.0\.1 for pid: \d+: plain HTTP instead of TLS$/, '-Q says what failed');
	$quiet->stop;
};

done_testing;
