#!/usr/bin/perl
# Refusals: each reaches the peer as the alert of the RFC, and the log as one line with the peer's address, the pid and the reason; alerts
# of the peer are named in the log.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib", "$FindBin::Bin/lib/peers";
use Bear;
use BearTls qw(versions newest cannot);
use IO::Socket::IP;
use Peers;
use POSIX qw(_exit);
use Socket qw(IPPROTO_TCP TCP_NODELAY SOCK_STREAM);
use Test::More;
use Time::HiRes qw(sleep time);

my @peers = peers();
my $bear  = peer('bearssl');
plan skip_all => 'no C compiler, or libssl-dev, libgnutls28-dev or libbearssl-dev missing' unless @peers == 2 && $bear;
$SIG{PIPE} = 'IGNORE';

my %pair = (CERTFILE => file('server-p256.pem'), KEYFILE => file('server-p256.key'));
my $from = qr/^tlsd-io: error: unable to speak TLS from: 127\.0\.0\.1 for pid: \d+: /m;
my $to   = qr/^tlsc-io: error: unable to speak TLS to: 127\.0\.0\.1 for pid: \d+: /m;

sub server {
	my ($env, @options) = @_;
	return serve({ env => { %pair, %$env } }, command('tcpserver'), '-1', '127.0.0.1', '0', command('tlsd'), @options, 'cat');
}

# Exactly one line in the log, and this one.
sub logged {
	my ($server, $before, $pattern, $name) = @_;
	my $line = wait_until(sub { my $new = substr $server->log, $before; return $new =~ /\n/ ? $new : undef }, 5) // '';
	like($line, qr/\A$pattern$/m, "$name: the log") && is($line =~ tr/\n//, 1, "$name: in one line");
}

# ---- ClientHello by hand ----

sub extension { return pack('n n/a*', @_) }
sub hello_message { return pack('C C n a*', 1, length($_[0]) >> 16, length($_[0]) & 65535, $_[0]) }
sub handshake_record { return pack('C n n/a*', 22, 0x0301, $_[0]) }

sub host_name { return extension(0, pack('n/a*', pack('C n/a*', 0, $_[0]))) }
my $usual = extension(10, pack('n/a*', pack('n*', 23, 24, 29))) . extension(13, pack('n/a*', pack('n*', 0x0403, 0x0401, 0x0503)));

# version, session => id, suites => [..], extensions => bytes (undef: no such part at all)
sub hello {
	my (%part) = (version => 0x0303, session => '', suites => [0xc02b, 0xc02f], compression => "\0", extensions => $usual, @_);
	return hello_message(pack('n a32 C/a* n/a* C/a*', $part{version}, 'r' x 32, $part{session}, pack('n*', @{ $part{suites} }), $part{compression}) .
		(defined $part{extensions} ? pack('n/a*', $part{extensions}) : ''));
}

# Sends the pieces, each in a segment of its own, and returns what comes back.
sub exchange {
	my ($port, @pieces) = @_;
	my $socket = connect_to($port) or return undef;
	setsockopt $socket, IPPROTO_TCP, TCP_NODELAY, 1;
	for my $piece (@pieces) { syswrite($socket, $piece) or last }
	return read_all($socket, 5);
}

# The last record, if it is an alert in clear.
sub alert_in {
	my ($bytes) = @_;
	return defined $bytes && $bytes =~ /\x15\x03[\x01\x03]\x00\x02\x02(.)\z/s ? ord $1 : 'none in ' . substr unpack('H*', $bytes // ''), 0, 80;
}

my $alpn = sub { return extension(16, pack('n/a*', join '', map { pack 'C/a*', $_ } @_)) };
my $versions = sub { return extension(43, pack('C/a*', pack 'n*', @_)) };
my $long = hello(extensions => $usual . extension(21, "\0" x 65000));

my @refused = (
	['plain HTTP', ["GET / HTTP/1.0\r\n\r\n"], 70, 'plain HTTP instead of TLS'],
	['no TLS at all', ["SSH-2.0-x\r\n"], 70, 'not TLS'],
	['application data first', [pack('C n n/a*', 23, 0x0303, 'x' x 50)], 10, 'first record is no ClientHello'],
	['an alert first', [pack('C n n/a*', 21, 0x0301, "\2\x28")], 10, 'first record is no ClientHello'],
	['ChangeCipherSpec first', [pack('C n n/a*', 20, 0x0303, "\1")], qr/^(10|70)$/, qr/.*/],
	['a record of 16385 bytes', [pack('C n n', 22, 0x0301, 16385) . 'x' x 16385], 22, 'record of impossible length'],
	['an empty handshake record', [handshake_record('')], 10, 'empty handshake record'],
	['an empty record in the middle', [handshake_record(substr hello(), 0, 20) . handshake_record('') . handshake_record(substr hello(), 20)], 10,
		'empty handshake record'],
	['another message than ClientHello', [handshake_record(pack 'C C n a*', 16, 0, 4, 'abcd')], 10, 'first message is no ClientHello'],
	['ServerHello', [handshake_record("\2" . substr hello(), 1)], 10, 'first message is no ClientHello'],
	['more behind the ClientHello', [handshake_record(hello() . 'x')], 10, 'more in the record than the ClientHello'],
	['SSL 3.0', [handshake_record(hello(version => 0x0300))], 70, 'client speaks no TLS version above 1.1'],
	['TLS 1.0', [handshake_record(hello(version => 0x0301))], 70, 'client speaks no TLS version above 1.1'],
	newest() eq 'TLSv1.2' ? ['TLS 1.3 only', [handshake_record(hello(extensions => $usual . $versions->(0x0304)))], 70, 'client does not speak TLS 1.2'] : (
		['TLS 1.1 and 1.4 only', [handshake_record(hello(extensions => $usual . $versions->(0x0302, 0x0305)))], 70, 'client speaks neither TLS 1.2 nor TLS 1.3'],
		['TLS 1.3 without supported_groups', [handshake_record(hello(suites => [0x1301], extensions => extension(13, pack('n/a*', pack('n*', 0x0403))) . $versions->(0x0304)))], 109,
			'no cipher suite, curve or signature algorithm in common'],
		['TLS 1.3 without signature_algorithms', [handshake_record(hello(suites => [0x1301], extensions => extension(10, pack('n/a*', pack('n*', 29))) .
			extension(51, pack('n/a*', pack('n n/a*', 29, "\11" . "\0" x 31))) . $versions->(0x0304)))], 109, 'client names no signature algorithm'],
		['TLS 1.3, a key share of 31 bytes', [handshake_record(hello(suites => [0x1301], extensions => $usual . extension(51, pack('n/a*', pack('n n/a*', 29, 'x' x 31))) .
			$versions->(0x0304)))], 47, 'key share of the peer is no point on its curve']),
	['an empty list of versions', [handshake_record(hello(extensions => $usual . extension(43, "\0")))], 50, 'malformed ClientHello'],
	['no suite in common', [handshake_record(hello(suites => [0x002f, 0x0035]))], 40, 'no cipher suite, curve or signature algorithm in common'],
	['no suite at all', [handshake_record(hello(suites => []))], 50, 'malformed ClientHello'],
	['no compression method', [handshake_record(hello(compression => ''))], 50, 'malformed ClientHello'],
	['compression only', [handshake_record(hello(compression => "\1"))], 47, 'client insists on compression'],
	['a session id of 33 bytes', [handshake_record(hello(session => 'x' x 33))], 50, 'malformed ClientHello'],
	['an extension twice', [handshake_record(hello(extensions => $usual . extension(23, '') . extension(23, '')))], 47, 'duplicate extension in ClientHello'],
	['an unknown extension twice', [handshake_record(hello(extensions => extension(0xfafa, 'a') . $usual . extension(0xfafa, 'b')))], 47,
		'duplicate extension in ClientHello'],
	['an extension past the end', [handshake_record(hello(extensions => $usual . pack('n n', 23, 9)))], 50, 'malformed ClientHello'],
	['an empty ALPN name', [handshake_record(hello(extensions => $usual . $alpn->('h2', '')))], 50, 'malformed ClientHello'],
	['an empty ALPN list', [handshake_record(hello(extensions => $usual . extension(16, "\0\0")))], 50, 'malformed ClientHello'],
	(map { ["the name '" . ($_->[1] || $_->[0]) . "'", [handshake_record(hello(extensions => $usual . host_name($_->[0])))], 47,
		'illegal server name in ClientHello'] } ["a\0b", 'with NUL'], ['../x'], ['a..b'], ['.a'], ['a b'], ['*.example'], ["\xc3\xa4.example", 'in UTF-8'],
		['x' x 64, '64 x'], [join('.', ('a' x 49) x 6), '299 characters'], ["a\nb", 'with newline']),
	['two names', [handshake_record(hello(extensions => $usual . extension(0, pack 'n/a*', pack('C n/a*', 0, 'a') . pack 'C n/a*', 0, 'b')))], 47,
		'two host names in ClientHello'],
	['a ClientHello of 65,537 bytes by its length', [handshake_record(pack 'C C n a*', 1, 1, 1, 'x' x 1000)], 47, 'ClientHello too large'],
	['a ClientHello of 65,536 bytes in records of one byte', [map { handshake_record($_) } split //, substr $long, 0, 12000], 47, 'ClientHello too large'],
);

subtest 'ClientHello' => sub {
	my $server = server({}, '-T', '8');
	for my $case (@refused) {
		my ($name, $pieces, $alert, $words) = @$case;
		my $before = length $server->log;
		my $got = alert_in(exchange($server->{port}, @$pieces));
		ref $alert ? like($got, $alert, $name) : is($got, $alert, $name);
		logged($server, $before, qr/$from$words/, $name);
	}
	$server->stop;
	if (newest() ne 'TLSv1.2') {
		for my $case ([{ TLS_MAXVERSION => 'TLSv1.2' }, $versions->(0x0304), '2'], [{ TLS_MINVERSION => 'TLSv1.3' }, $versions->(0x0303), '3'], [{ TLS_MINVERSION => 'TLSv1.3' }, '', '3']) {
			my ($env, $list, $minor) = @$case;
			$server = server($env, '-T', '8');
			my $before = length $server->log;
			is(alert_in(exchange($server->{port}, handshake_record(hello(extensions => $usual . $list)))), 70, join('=', %$env) . ': another version');
			logged($server, $before, qr/${from}client does not speak TLS 1\.$minor/, join '=', %$env);
			$server->stop;
		}
	}
};

subtest 'ClientHello in pieces' => sub {
	my @forms = (
		['records of one byte, each byte a segment', sub { map { split //, handshake_record($_) } split //, $_[0] }],
		['records of 7 bytes', sub { map { handshake_record($_) } unpack '(a7)*', $_[0] }],
		['one record, each byte a segment', sub { split //, handshake_record($_[0]) }],
	);
	for my $form (@forms) {
		my ($name, $pieces) = @$form;
		for my $peer (@peers) {
			my $result = meet({ side => 'server', peer => $peer, app => [qw(readall send 1000)], steps => [qw(send 2000 notify readall)], version => newest(),
				via => sub { return $_[0] eq 'client' && $_[1] == 0 ? $pieces->(substr $_[2], 5) : $_[2] } });
			like($result->{peer}, qr/received 1000\nend close_notify\n\z/, "$name, $peer");
			is($result->{exit}, 0, "$name, $peer: exit 0");
		}
	}
	my $server = server({}, '-T', '8');
	my $answer = exchange($server->{port}, map { handshake_record($_) } unpack '(a16000)*', hello(extensions => $usual . extension(21, "\0" x 60000)));
	is(ord($answer // ''), 22, 'a ClientHello of 60,000 bytes in four records is answered');
	$answer = exchange($server->{port}, handshake_record(hello(extensions => $usual . host_name('Example.TEST'))));
	is(ord($answer // ''), 22, 'a good name is answered');
	$server->stop;
};

subtest 'slow and silent clients' => sub {
	my $server = server({}, '-T', '1');
	for my $case (['silent', sub { }], ['a byte in 100 ms', sub { for my $byte (split //, handshake_record(hello())) { syswrite $_[0], $byte or last; sleep 0.1; last if IO::Select->new($_[0])->can_read(0) } }],
		['silent after its ClientHello', sub { syswrite $_[0], handshake_record(hello()) }]) {
		my ($name, $act) = @$case;
		my ($before, $begin) = (length $server->log, time);
		my $socket = connect_to($server->{port});
		$act->($socket);
		is(alert_in(read_all($socket, 5)), 90, "$name: alert user_canceled");
		my $seconds = time - $begin;
		close $socket;
		ok($seconds > 0.8 && $seconds < 2.5, "$name: after a second ($seconds)");
		logged($server, $before, qr/${from}handshake timed out/, $name);
	}
	my $before = length $server->log;
	connect_to($server->{port})->close;
	logged($server, $before, qr/${from}peer ended the connection during the handshake/, 'gone at once');
	$server->stop;
};

# ---- openssl s_client and ours ----

sub s_client {
	my ($port, @options) = @_;
	my $result = run({ timeout => 10 }, 'openssl', 's_client', '-connect', "127.0.0.1:$port", @options);
	return $result->{err} . $result->{out};
}

subtest 'what openssl s_client says' => sub {
	my $server = server({}, '-T', '8');
	my @cases = (
		['no common suite', ['-tls1_2', '-cipher', 'AES128-SHA'], undef, qr/sslv3 alert handshake failure/, 'no cipher suite, curve or signature algorithm in common'],
		['TLS 1.1', ['-tls1_1', '-cipher', 'ALL:@SECLEVEL=0'], undef, qr/tlsv1 alert protocol version/, 'client speaks no TLS version above 1.1'],
		newest() eq 'TLSv1.2' ? ['TLS 1.3', ['-tls1_3'], undef, qr/tlsv1 alert protocol version/, 'client does not speak TLS 1.2'] : (
			['TLS 1.3, no common suite', ['-tls1_3', '-ciphersuites', 'TLS_AES_128_CCM_SHA256'], undef, qr/sslv3 alert handshake failure/, 'no cipher suite, curve or signature algorithm in common'],
			['TLS 1.3, a bad name', ['-tls1_3', '-servername', 'a..b'], undef, qr/sslv3 alert illegal parameter/, 'illegal server name in ClientHello'],
			['TLS 1.3, Finished changed on the way', ['-tls1_3', '-ign_eof'],
				sub { my ($n, $i, $r) = @_; substr($r, -1, 1) ^= "\1" if $n eq 'client' && ord $r == 23; return $r }, qr/alert bad record mac/, 'record failed authentication'],
			['TLS 1.3, a ChangeCipherSpec of two bytes', ['-tls1_3', '-ign_eof'],
				sub { my ($n, $i, $r) = @_; $r = "\x14\3\3\0\2\1\1" if $n eq 'client' && ord $r == 20; return $r }, qr/alert (unexpected message|decode error|illegal parameter)/, qr/malformed ChangeCipherSpec|unexpected message/]),
		['a bad name', ['-tls1_2', '-servername', 'a..b'], undef, qr/sslv3 alert illegal parameter/, 'illegal server name in ClientHello'],
		['ClientHello changed on the way', ['-tls1_2'],
			sub { my ($n, $i, $r) = @_; substr($r, -1, 1) ^= "\4" if $n eq 'client' && $i == 0; return $r }, qr/tlsv1 alert decrypt error/, 'wrong Finished message'],
		['Finished changed on the way', ['-tls1_2'],
			sub { my ($n, $i, $r) = @_; substr($r, -1, 1) ^= "\1" if $n eq 'client' && $i == 3; return $r }, qr/sslv3 alert bad record mac/, 'record failed authentication'],
		['a bad key exchange', ['-tls1_2'],
			sub { my ($n, $i, $r) = @_; substr($r, 5, 1) = "\x0b" if $n eq 'client' && $i == 1; return $r }, qr/sslv3 alert unexpected message/, 'unexpected message'],
		['a bad ChangeCipherSpec', ['-tls1_2'],
			sub { my ($n, $i, $r) = @_; substr($r, 5, 1) = "\2" if $n eq 'client' && $i == 2; return $r }, qr/alert (decode error|unexpected message)/, qr/malformed ChangeCipherSpec|unexpected message/],
		['a record of another version', ['-tls1_2'],
			sub { my ($n, $i, $r) = @_; substr($r, 2, 1) = "\2" if $n eq 'client' && $i == 1; return $r }, qr/tlsv1 alert protocol version/, 'record of another protocol version'],
	);
	for my $case (@cases) {
		my ($name, $options, $hook, $text, $words) = @$case;
		next if $name eq 'ClientHello changed on the way' && cannot('openssl', 'extended master secret: a handshake changed on the way has other keys, the alert is bad_record_mac');
		next if $name eq 'a record of another version' && cannot('openssl', 'the alert to a record of another protocol version goes out in that version');
		my $before = length $server->log;
		like(s_client($hook ? proxy($server->{port}, $hook) : $server->{port}, @$options), $text, $name);
		logged($server, $before, qr/$from$words/, $name);
	}
	my $before = length $server->log;
	s_client($server->{port}, '-tls1_2', '-CAfile', file('other-root.pem'), '-verify_return_error');
	logged($server, $before, qr/${from}peer sent alert unknown_ca/, 'alert of s_client');
	$server->stop;
};

# Our client against a server; returns exit and log.
sub our_client {
	my ($port, $env, @options) = @_;
	return run({ env => { CAFILE => file('root.pem'), %{ $env || {} } }, timeout => 15 }, command('tcpclient'), '127.0.0.1', $port, command('tlsc'), '-k', 'localhost',
		@options, 'sh', '-c', 'echo ran');
}

sub s_server {
	my ($certificate, @options) = @_;
	my $server = start('openssl', 's_server', '-accept', '127.0.0.1:0', '-cert', file("$certificate.pem"), '-key', file("$certificate.key"), '-rev', @options);
	wait_until(sub { ($server->{port}) = slurp($server->{out}) =~ /ACCEPT \S*:(\d+)/ }, 15);
	return $server;
}

subtest 'what openssl s_server says' => sub {
	my @cases = (
		['unknown CA', 'unknown', [], qr/tlsv1 alert unknown ca/, 'certificate is not from a trusted authority'],
		['self-signed', 'self-signed', [], qr/tlsv1 alert unknown ca/, 'certificate is not from a trusted authority'],
		['expired', 'expired', [], qr/sslv3 alert certificate expired/, 'certificate has expired'],
		['not yet valid', 'early', [], qr/sslv3 alert certificate expired/, 'certificate is not yet valid'],
		['wrong name', 'wrong-name', [], qr/sslv3 alert bad certificate/, 'certificate is for another name'],
		['Finished changed on the way', 'server-p256', ['-no_ticket'], undef, 'record failed authentication', # -rev does not show it then
			sub { my ($n, $i, $r) = @_; substr($r, -1, 1) ^= "\1" if $n eq 'server' && ord $r == 22 && length $r < 60 && $i > 3; return $r }],
		['key exchange changed on the way', 'server-p256', [], qr/tlsv1 alert decrypt error/, 'wrong signature on the key exchange',
			sub { my ($n, $i, $r) = @_; substr($r, 20, 1) ^= "\1" if $n eq 'server' && ord substr($r, 5, 1) == 12; return $r }],
		['message of the wrong type', 'server-p256', [], qr/sslv3 alert unexpected message/, 'unexpected message',
			sub { my ($n, $i, $r) = @_; substr($r, 5, 1) = "\x10" if $n eq 'server' && ord substr($r, 5, 1) == 14; return $r }],
	);
	for my $case ((map { ["$_->[0], TLSv1.2", $_->[1], ['-tls1_2', @{ $_->[2] }], @$_[3 .. $#$_]] } @cases), newest() eq 'TLSv1.2' ? () : map { ["$_->[0], TLSv1.3", $_->[1], ['-tls1_3'], @$_[3 .. $#$_]] }
		(grep { !$_->[5] } @cases), ['a flight changed on the way', 'server-p256', [], qr/bad record mac/, 'record failed authentication',
			sub { my ($n, $i, $r) = @_; substr($r, -1, 1) ^= "\1" if $n eq 'server' && ord $r == 23; return $r }]) {
		my ($name, $certificate, $options, $text, $words, $hook) = @$case;
		my $server = s_server($certificate, @$options);
		my $result = our_client($hook ? proxy($server->{port}, $hook) : $server->{port});
		is($result->{exit}, 98, "$name: exit 98");
		like($result->{err}, qr/\A$to$words\n\z/, "$name: the log, in one line");
		is($result->{out}, '', "$name: prog did not run");
		ok(!$text || defined $server->wait_for_log($text, 5), "$name: the alert") or diag($server->log);
		$server->stop;
	}
	for my $case ((newest() eq 'TLSv1.2' ? [['-tls1_3'], 'protocol_version'] : [['-tls1_3', '-ciphersuites', 'TLS_AES_128_CCM_SHA256'], 'handshake_failure']), [['-tls1_2', '-cipher', 'AES128-SHA'], 'handshake_failure']) {
		my ($options, $alert) = @$case;
		my $server = s_server('server-rsa', @$options);
		my $result = our_client($server->{port});
		is($result->{exit}, 98, "@$options: exit 98");
		like($result->{err}, qr/\A${to}peer sent alert $alert\n\z/, "@$options: the log");
		$server->stop;
	}
};

subtest 'TLS 1.3: what is refused behind ServerHello is said under the keys of the handshake (RFC 8446 6)' => sub {
	return if cannot('bearssl', 'TLS 1.3: BearSSL ends with TLS 1.2');
	my $seen = temporary('records');
	for my $certificate ('unknown', 'expired', 'wrong-name') {
		spew($seen, '');
		my $server = s_server($certificate, '-tls1_3');
		my $note = sub { my ($n, $i, $r) = @_; if ($n eq 'client') { open my $all, '>>', $seen; print $all ord $r, ' ' } return $r };
		is(our_client(proxy($server->{port}, $note))->{exit}, 98, "$certificate: exit 98");
		like(slurp($seen), qr/\A22 (20 )?23 \z/, "$certificate: ClientHello, then one protected record");
		$server->stop;
	}
};

# ---- servers by hand ----

# A server for one connection that reads the ClientHello and does the rest in act; returns port and, from the sub, what came after that.
sub raw_server {
	my ($act) = @_;
	my $listening = IO::Socket::IP->new(LocalHost => '127.0.0.1', LocalPort => 0, Listen => 5, Type => SOCK_STREAM) or die "listen: $!";
	pipe my $reader, my $writer or die "pipe: $!";
	my $pid = fork;
	die "fork: $!" unless defined $pid;
	if (!$pid) {
		alarm 15;
		my $socket = $listening->accept or _exit(1);
		sysread $socket, my $hello, 16384;
		$act->($socket);
		print $writer read_all($socket, 5);
		close $writer;
		_exit(0);
	}
	close $writer;
	return ($listening->sockport, sub { my $all = read_all($reader, 10); kill 'KILL', $pid; waitpid $pid, 0; return $all });
}

sub flight { return pack('C n n/a*', 22, 0x0303, $_[0]) }

sub server_hello {
	my (%part) = (version => 0x0303, suite => 0xc02b, compression => 0, extensions => '', @_);
	my $body = pack('n a32 C n C', $part{version}, 'r' x 32, 0, $part{suite}, $part{compression}) . ($part{extensions} ? pack('n/a*', $part{extensions}) : '');
	return pack('C C n a*', 2, 0, length $body, $body);
}

subtest 'servers that are none' => sub {
	my @cases = (
		['HTTP', ["HTTP/1.0 200 OK\r\n\r\n"], 70, qr/not TLS.*/],
		['application data first', [pack('C n n/a*', 23, 0x0303, 'x' x 50)], 10, qr/unexpected message.*/],
		['a record of 16385 bytes', [pack('C n n', 22, 0x0303, 16385) . 'x' x 16385], 22, qr/record (too large|of impossible length)/],
		['ServerHello of TLS 1.1', [flight(server_hello(version => 0x0302))], 70, qr/.*version.*/],
		['ServerHello of TLS 9', [flight(server_hello(version => 0x0a00))], 70, qr/.*version.*/],
		['a suite that was not offered', [flight(server_hello(suite => 0x002f))], 47, 'server chose a cipher suite that was not offered'],
		['compression', [flight(server_hello(compression => 1))], 47, 'server chose compression'],
		['an extension that was not offered', [flight(server_hello(extensions => extension(16, pack('n/a*', "\2h2"))))], 110,
			'server answered an extension that was not offered'],
		['ServerHelloDone first', [handshake_record("\x0e\0\0\0")], 10, 'unexpected message'],
		['ChangeCipherSpec early', [flight(server_hello(extensions => extension(0xff01, "\0"))) . pack('C n n/a*', 20, 0x0303, "\1")], 10, qr/unexpected message.*/],
	);
	for my $case (@cases) {
		my ($name, $pieces, $alert, $words) = @$case;
		my ($port, $rest) = raw_server(sub { syswrite $_[0], $_ for @$pieces });
		my $result = our_client($port);
		is($result->{exit}, 98, "$name: exit 98");
		like($result->{err}, qr/\A$to$words\n\z/, "$name: the log, in one line");
		is(alert_in($rest->()), $alert, "$name: alert $alert");
	}
};

subtest 'handshakes without end' => sub {
	my $send_for_ever = sub {
		my ($first, $more) = @_;
		return sub {
			my ($socket) = @_;
			my $end = time + 12;
			syswrite $socket, $first;
			1 while time < $end && defined syswrite $socket, $more;
		};
	};
	my @cases = (
		['a Certificate message of 16 MB', flight(server_hello()) . flight(pack 'C C n C n C n', 11, 255, 65535, 255, 65532, 255, 65529), flight('x' x 16000)],
		['a certificate after the other', flight(server_hello()) . flight(pack 'C C n C n', 11, 255, 65535, 255, 65532), flight(pack 'C n a*', 0, 1000, 'x' x 1000)],
		['warnings in clear', '', pack('C n n/a*', 21, 0x0303, "\1\x5a")],
		['HelloRequests', '', handshake_record("\0\0\0\0")],
		['empty records', '', handshake_record('')],
	);
	for my $case (@cases) {
		my ($name, $first, $more) = @$case;
		my ($port, $rest) = raw_server($send_for_ever->($first, $more));
		my $begin = time;
		my $result = our_client($port, { TLS_TIMEOUT => 10 });
		my $seconds = time - $begin;
		is($result->{exit}, 98, "$name: exit 98");
		ok($seconds < 5, "$name: soon ($seconds)");
		like($result->{err}, qr/\A$to.+\n\z/, "$name: the log, in one line");
		unlike($result->{err}, qr/timed out/, "$name: not by the deadline");
		$rest->();
	}
	for my $case (['chain=20', 42], ['chain=1000', qr/4[02]/]) {
		my ($twist, $alert) = @$case;
		my $server = serve({ env => { PEER_TWIST => $twist } }, $bear, 'server', file('server-p256.pem'), file('server-p256.key'), 'readall');
		my $result = our_client($server->{port});
		is($result->{exit}, 98, "$twist: exit 98");
		like($result->{err}, qr/\A$to(certificate chain too long or too large|handshake too long)\n\z/, "$twist: the log");
		like(read_all($server->{pipe}, 5), qr/handshake failed alert $alert\n/, "$twist: the alert");
		$server->stop;
	}
};

subtest 'alerts of the peer are named' => sub {
	my $server = server({});
	my %named = (0 => 'close_notify', 10 => 'unexpected_message', 20 => 'bad_record_mac', 40 => 'handshake_failure', 48 => 'unknown_ca', 70 => 'protocol_version', 80 => 'internal_error',
		112 => 'unrecognized_name', 116 => 'certificate_required', 120 => 'no_application_protocol', 255 => 'unknown alert');
	for my $number (sort { $a <=> $b } keys %named) {
		my $alert = pack('C n n C C', 21, 0x0303, 2, 2, $number);
		my ($port, $rest) = raw_server(sub { syswrite $_[0], $alert });
		my $result = our_client($port);
		is($result->{exit}, 98, "$number: exit 98");
		like($result->{err}, qr/\A${to}peer sent alert $named{$number}\b.*\n\z/, "$number: our client's log");
		is($rest->(), '', "$number: it is not answered");
		my $before = length $server->log;
		my $socket = connect_to($server->{port});
		syswrite $socket, handshake_record(hello());
		sysread $socket, my $flight, 5;
		syswrite $socket, $alert;
		read_all($socket, 5);
		close $socket;
		logged($server, $before, qr/${from}peer sent alert $named{$number}\b.*/, "$number: our server");
	}
	$server->stop;
};

# ---- after the handshake ----

sub everywhere {
	my ($name, $meeting, $check) = @_;
	subtest $name => sub {
		return if ($meeting->{only} // '') eq 'TLSv1.3' && cannot('bearssl', 'TLS 1.3: BearSSL ends with TLS 1.2');
		for my $form (map { my $version = $_; map { [$version, $_] } @{ $meeting->{sides} || ['server', 'client'] } } grep { ($meeting->{only} // $_) eq $_ } versions()) {
			my ($version, $side) = @$form;
			my $words = "our $side, $version";
			my $result = meet({ peer => $version eq 'TLSv1.2' ? 'bearssl' : 'openssl', version => $version, app => [qw(readall pause 100)], %$meeting, side => $side });
			my $good = ok(!$result->{hung}, "$words: both ended");
			$good &= $check->($result, $words, $side eq 'server' ? $from : $to) ? 1 : 0;
			diag("exit ", $result->{exit} // 'none', "\npeer:\n$result->{peer}ours:\n$result->{log}") unless $good;
		}
	};
}

sub refused_with {
	my ($alert, $words) = @_;
	return sub {
		my ($result, $side, $prefix) = @_;
		return is($result->{exit}, 98, "$side: exit 98") & like($result->{log}, qr/$prefix$words$/m, "$side: the log") &
			like($result->{peer}, qr/^(end|record failed|send failed|handshake failed) alert $alert$/m, "$side: alert $alert");
	};
}

my $late_hello = unpack 'H*', hello();
everywhere('a wrong Finished', { only => 'TLSv1.2', peer_env => { PEER_TIMEOUT => 6, PEER_TWIST => 'finished' }, steps => ['readall'] }, refused_with(51, 'wrong Finished message'));
everywhere('a flood of empty records', { steps => ['record', 23, '', 2000, 'readall'] }, refused_with(10, 'flood of empty records'));
everywhere('a flood of warning alerts', { steps => ['record', 21, '015a', 2000, 'readall'] }, refused_with(10, 'flood of warning alerts'));
everywhere('a flood of both', { steps => [(map { ('record', 21, '015a', 1, 'record', 23, '', 1) } 1 .. 100), 'readall'] }, refused_with(10, qr/flood of .*/));
my %brief = (env => { APPLICATION_TIMEOUT => 5 }, peer_env => { PEER_TIMEOUT => 4 });
everywhere('a flood of warning alerts in pieces of one byte', { %brief, steps => [(map { ('record', 21, '01', 1, 'record', 21, '5a', 1) } 1 .. 100), 'readall'] },
	refused_with('(10|50)', qr/.+/));
everywhere('a flood of warning alerts, several in a record', { %brief, steps => ['record', 21, '015a' x 100, 200, 'readall'] }, refused_with('(10|50)', qr/.+/));
for my $form (['in two records', ['record', 21, '01', 1, 'record', 21, '00', 1]], ['behind a warning in one record', ['record', 21, '015a0100', 1]]) {
	my ($name, $steps) = @$form;
	everywhere("close_notify $name: refused with an alert, or an end that gives the peer its reply",
		{ %brief, app => [qw(readall send 300000)], steps => ['send', 1000, @$steps, 'readall'] },
		sub { like($_[0]{peer}, qr/(received 300000\nend (close_notify|fin)|end alert (10|50))\n/, "$_[1]: the peer") &
			ok(($_[0]{exit} // -1) == 0 || $_[0]{exit} == 98 && $_[0]{log} =~ /error: unable to speak TLS/, "$_[1]: exit") });
}
subtest 'a few warnings' => sub {
	return if cannot('openssl', 'after the fourth warning alert in a row the connection ends');
	everywhere('and empty records do no harm', { app => [qw(readall send 10)], steps => [qw(record 23), '', qw(20 send 1000 record 21 015a 20 send 1000 notify readall)] },
		sub { is($_[0]{exit}, 0, "$_[1]: exit 0") & like($_[0]{log}, qr/received 2000/, "$_[1]: all of it") & like($_[0]{peer}, qr/received 10\nend close_notify/, "$_[1]: the peer") });
};
everywhere('a fatal alert is named', { steps => ['record', 21, '0250', 1, 'readall'] },
	sub { is($_[0]{exit}, 98, "$_[1]: exit 98") & like($_[0]{log}, qr/$_[2]peer sent alert internal_error$/m, "$_[1]: the log") });
everywhere('a record of unknown type', { %brief, steps => ['record', 99, '00', 1, 'readall'] }, refused_with(10, qr/.+/));
everywhere('ChangeCipherSpec once more', { %brief, steps => ['record', 20, '01', 1, 'readall'] }, refused_with(10, qr/.+/));
everywhere('a protected record with 16,385 bytes', { steps => ['record', 23, '00' x 16385, 1, 'readall'] }, refused_with(22, qr/record .+/));
everywhere('data in clear', { steps => ['plain', '1703030005' . '00' x 5, 'readall'] }, refused_with('(2[02]|50)', qr/record .+/));
everywhere('an alert in clear', { steps => ['plain', '15030300020100', 'readall'] }, refused_with('(2[02]|10)', qr/record .+|unexpected message/));
# TLS 1.3 does not look at the version of a record (RFC 8446 5.1).
everywhere('a record of another version', { only => 'TLSv1.2', steps => ['plain', '1703010020' . '00' x 32, 'readall'] }, refused_with(70, 'record of another protocol version'));
everywhere('not TLS any more', { steps => ['plain', '474554202f0d0a0d0a', 'readall'] }, refused_with('(70|10|22)', qr/.+/));
everywhere('attempts to renegotiate, without end', { sides => ['server'], steps => ['record', 22, $late_hello, 100, 'readall'] }, refused_with('(10|100)', qr/.*renegotiat.*|unexpected message/));
everywhere('HelloRequests without end', { sides => ['client'], steps => ['record', 22, '00000000', 100, 'readall'] }, refused_with('(10|100)', qr/.*renegotiat.*|unexpected message/));
# The library must not be left waiting for room to refuse each of them, with the network unread and no deadline.
everywhere('HelloRequests without end in few records', { %brief, timeout => 6, sides => ['client'], steps => ['record', 22, '00000000' x 4000, 4, 'readall'] },
	refused_with('(10|100)', qr/.+/));
everywhere('many ClientHellos in few records', { %brief, timeout => 6, sides => ['server'], steps => ['record', 22, $late_hello x 120, 4, 'readall'] },
	refused_with('(10|100)', qr/.+/));
everywhere('a handshake message that never comes whole', { %brief, steps => [(map { ('record', 22, '01', 1) } 1 .. 100), 'readall'] }, refused_with('\d+', qr/.+/));

everywhere('KeyUpdates without end', { only => 'TLSv1.3', steps => ['record', 22, '1800000100', 2000, 'readall'] }, refused_with(10, 'flood of handshake messages'));
everywhere('KeyUpdates that want an answer, without end', { only => 'TLSv1.3', steps => ['record', 22, '1800000101', 2000, 'readall'] },
	refused_with(10, 'flood of handshake messages'));
everywhere('a malformed KeyUpdate', { only => 'TLSv1.3', steps => ['record', 22, '1800000102', 1, 'readall'] }, refused_with(47, qr/.+/));
my $ticket = '04000011' . '00000000' . '00000000' . '00' . '000461626364' . '0000'; # lifetime 0: to be thrown away
everywhere('tickets without end', { only => 'TLSv1.3', sides => ['client'], steps => ['record', 22, $ticket, 2000, 'readall'] }, refused_with(10, 'flood of handshake messages'));

subtest 'renegotiation by real clients' => sub {
	for my $peer (@peers) {
		my $result = meet({ side => 'server', peer => $peer, app => [qw(readall)], steps => [qw(renegotiate)] });
		ok(!$result->{hung}, "$peer: both ended");
		like($result->{peer}, qr/renegotiation (?!done)/, "$peer: refused") or diag($result->{log});
	}
};

subtest 'a byte changed on the way, after the handshake' => sub {
	for my $side ('server', 'client') {
		for my $peer (@peers) {
			my $result = meet({ side => $side, peer => $peer, version => newest(), app => [qw(readall)], steps => [qw(send 5000 readall)],
				via => sub { my ($n, $i, $r) = @_; substr($r, -20, 1) ^= "\1" if $n ne $side && ord $r == 23 && length $r > 5000; return $r } });
			is($result->{exit}, 98, "our $side, $peer: exit 98");
			like($result->{peer}, qr/end alert 20/, "our $side, $peer: alert bad_record_mac");
			like($result->{log}, qr/application: received 0/, "our $side, $peer: prog gets nothing of it");
			like($result->{log}, ($side eq 'server' ? qr/${from}record failed authentication$/m : qr/${to}record failed authentication$/m), "our $side, $peer: the log");
		}
	}
};

done_testing;
