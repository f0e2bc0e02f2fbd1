#!/usr/bin/perl
# starttlsc mysql: the packets of a program that knows nothing of TLS, and of a server, each as a script: what goes in clear, how they are
# numbered behind it, and what becomes of programs and servers that do not keep to the protocol. Real ones are in full/starttls.t.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Bear;
use BearTls;
use IO::Select;
use IO::Socket::IP;
use Test::More;

$SIG{PIPE} = 'IGNORE';

# ---- both sides ----

# speak in out step..: =HEX sends, each piece at once; -HEX sends byte by byte; ? reads a packet and says "got NUMBER HEX"; ! reads it byte by
# byte to the end and says "got rest HEX"; tls asks for TLS; env tells what there is of UCSPI-TLS, parent the parent's pid; the last step may be an exit code.
my $speak = spew(temporary('speak.pl'), <<'PROGRAM');
use strict; use POSIX (); use Time::HiRes 'sleep';
my ($in, $out, @steps) = @ARGV;
$SIG{PIPE} = 'IGNORE';
sub take { my ($n) = @_; my $all = ''; while (length $all < $n) { POSIX::read($in, my $piece, $n - length $all) > 0 or return undef; $all .= $piece } return $all }
sub note { POSIX::write(2, "$_[0]\n", length($_[0]) + 1) }
for (@steps) {
	if (/^=(.*)/) { my $bytes = pack 'H*', $1; POSIX::write($out, $bytes, length $bytes) }
	elsif (/^-(.*)/) { for my $byte (split //, pack 'H*', $1) { POSIX::write($out, $byte, 1); sleep 0.001 } }
	elsif ($_ eq '?') {
		my $header = take(4);
		if (!defined $header) { note('got end'); next }
		my ($low, $middle, $high, $number) = unpack 'C4', $header;
		note("got $number " . unpack 'H*', take($low + 256 * $middle + 65536 * $high) // 'less');
	}
	elsif ($_ eq '!') { my ($all, $piece) = (''); $all .= $piece while defined($piece = take(1)); note('got rest ' . unpack 'H*', $all) }
	elsif ($_ eq 'tls') {
		POSIX::write($ENV{SSLCTLFD}, 'y', 1);
		POSIX::dup2($ENV{SSLREADFD}, $in); POSIX::dup2($ENV{SSLWRITEFD}, $out);
		POSIX::close($_) for @ENV{qw(SSLCTLFD SSLREADFD SSLWRITEFD)};
	}
	elsif ($_ eq 'parent') { note('parent ' . getppid()) }
	elsif ($_ eq 'env') {
		opendir my $folder, '/proc/self/fd' or next;
		my $open = join ',', sort { $a <=> $b } grep { (readlink("/proc/self/fd/$_") || '') =~ m{^(?!/proc/)} } grep { /^\d/ && $_ < 64 } readdir $folder;
		note("open $open " . join ',', grep { defined $ENV{$_} } qw(SSLCTLFD SSLREADFD SSLWRITEFD UCSPITLS STARTTLS_GREETING));
	}
	else { note('exit'); exit $_ }
}
PROGRAM

sub packet {
	my ($number, $payload) = @_;
	my $n = length $payload;
	return unpack 'H*', pack('C4', $n & 255, $n >> 8 & 255, $n >> 16, $number) . $payload;
}

my ($protocol_41, $ssl) = (0x200, 0x800);
sub greeting {
	my ($flags, $version, $number) = @_;
	return packet($number || 0, pack('CZ*VZ9vCvv C x10 a12x', $version || 10, '11.4-MariaDB', 7, 'saltsalt', $flags & 0xffff, 45, 2, $flags >> 16, 21, 'saltsaltsalt')
			. "mysql_native_password\0");
}
sub response {
	my ($number, $flags, $reserved, $more) = @_;
	return packet($number, pack('VVC', $flags, 1 << 24, 45) . ($reserved || "\0" x 23) . ($more // "a secret\0\x14" . 'h' x 20 . "mysql_native_password\0"));
}
my $flags = 0x008aa204;    # as of a client without TLS; not CLIENT_MYSQL
my $good = greeting(0x81ffffff);
my $for_prog = greeting(0x81ffffff & ~$ssl);
my @ssl_request = (packet(1, pack('VVC', $flags | $ssl, 1 << 24, 45) . "\0" x 23));
my $ok = "\0\0\0\2\0\0\0";

# What a side says it got, one a line, from its first "got" on; without the numbers of lengths.
sub got { return join ' ', $_[0] =~ /^(?:got|open|exit).*$/mg }
sub said { my ($packet) = @_; my ($number, $payload) = unpack 'x3 C a*', pack 'H*', $packet; return "got $number " . unpack 'H*', $payload }

# Runs prog (its steps) with a server (its steps): (result of the client, what the server got).
sub session {
	my ($options, $server_steps, $prog_steps) = @_;
	my $server = sslserver({ pair => 'server-p256' }, ['-n'], 'perl', $speak, 0, 1, @$server_steps);
	my @prog = (command('starttlsc'), '-T', $options->{seconds} || 20, 'mysql', 'perl', $speak, 6, 7, @$prog_steps);
	my @chain = $options->{ucspitlsc} ? (command('tcpclient'), '127.0.0.1', $server->{port}, command('ucspitlsc'), '-k', '127.0.0.1')
		: (command('sslclient'), '-y', '127.0.0.1', $server->{port});
	my $result = run({ env => { CAFILE => file('root.pem'), %{ $options->{env} || {} } }, timeout => 30 }, @chain, @prog);
	my $ended = connection($server);
	return ($result, got($ended->{log}), $ended->{log});
}

# The same with a server that speaks no TLS: text is sent in clear. What it heard is returned as well.
sub plain {
	my ($options, $text, $prog_steps) = @_;
	my $listener = IO::Socket::IP->new(LocalHost => '127.0.0.1', LocalPort => 0, Listen => 1) or die;
	my $client = start({ env => { CAFILE => file('root.pem') } }, command('sslclient'), '-y', '127.0.0.1', $listener->sockport, command('starttlsc'), '-T',
		$options->{seconds} || 20, 'mysql', 'perl', $speak, 6, 7, @$prog_steps);
	IO::Select->new($listener)->can_read(20) or return { err => $client->log };
	my $peer = $listener->accept;
	syswrite $peer, pack 'H*', $text;
	$peer->shutdown(1) unless $options->{hold};
	my $heard = read_all($peer, 20);
	my $end = $client->wait_for_end(20);
	return { exit => $end && $end->{exit}, err => $client->log, heard => unpack 'H*', $heard };
}

# ---- sessions ----

my $response = response(1, $flags);
my $response_in_tls = response(2, $flags | $ssl);
my $long = 'q' x 40000;

for my $how (['in whole packets', '='], ['one byte at a time', '-']) {
	my ($name, $send) = @$how;
	subtest "a session, $name" => sub {
		my @switch = ("\xfemysql_clear_password\0", "the password\0");
		my $more = "\1\4";
		my ($result, $server) = session({},
			["$send$good", '?', 'tls', '?', $send . packet(3, $switch[0]), '?', $send . packet(5, $more) . packet(6, $ok), '?', $send . packet(1, "\0" x 7) . packet(2, "\xff"), '?', 0],
			['env', '?', "$send$response", '?', $send . packet(3, $switch[1]), '?', '?', $send . packet(0, "\3select"), '?', '?', '=' . packet(0, $long), 0]);
		is($result->{exit}, 0, 'exit code') or diag $result->{err};
		is($server, join(' ', said($ssl_request[0]), said($response_in_tls), said(packet(4, $switch[1])), said(packet(0, "\3select")), said(packet(0, $long)), 'exit'),
			'the server: flags in clear, all else in TLS, numbers one higher until the first command');
		is(got($result->{err}), join(' ', 'open 0,1,2,6,7 ', said($for_prog), said(packet(2, $switch[0])), said(packet(4, $more)), said(packet(5, $ok)), said(packet(1, "\0" x 7)), said(packet(2, "\xff")), 'exit'),
			'prog: no offer of TLS, nothing of UCSPI-TLS, numbers one lower until OK');
	};
}

subtest 'refused, and in a row' => sub {
	my $err = "\xff\x15\x04#28000no";
	my ($result, $server) = session({}, ["=$good", '?', 'tls', '?', '=' . packet(3, $err) . packet(0, 'more'), 1], ['?', "=$response", '?', '?', '?', 3]);
	is(got($result->{err}), join(' ', said($for_prog), said(packet(2, $err)), said(packet(0, 'more')), 'got end exit'), 'an error ends authentication');
	is($result->{exit}, 3, 'exit code of prog');
	# Everything at once: as far as numbers go, a command can stand behind the answer.
	($result, $server) = session({ ucspitlsc => 1 }, ["=$good", '?', 'tls', '?', '?', '=' . packet(2, $ok) . packet(1, $ok) . packet(2, $ok), '?', 0],
		['?', "=$response" . packet(0, 'command'), '?', '?', '?', 0]);
	is($server, join(' ', said($ssl_request[0]), said($response_in_tls), said(packet(0, 'command')), 'got end exit'), 'in one packet, under ucspitlsc: the server');
	is(got($result->{err}), join(' ', said($for_prog), said(packet(1, $ok)), said(packet(1, $ok)), said(packet(2, $ok)), 'exit'), '... prog') or diag $result->{err};
	# A plugin's words may begin with NUL; empty packets, and one of the number 0.
	($result) = session({}, ["=$good", '?', 'tls', '?', '=' . packet(3, "\0abc") . packet(5, '') . packet(0, 'x') . packet(9, $ok) . packet(9, $ok), 0], ['?', "=$response", ('?') x 5, 0]);
	is(got($result->{err}), join(' ', said($for_prog), said(packet(2, "\0abc")), 'got 4 ', said(packet(0, 'x')), said(packet(8, $ok)), said(packet(9, $ok)), 'exit'), 'what is no end of authentication');
};

subtest 'what goes in clear' => sub {
	my $reserved = 'secret in a place of it';
	my ($result, $server) = session({}, ["=$good", '?', 'tls', '?', 0], ['?', '=' . response(1, $flags, $reserved), '?', 0]);
	is($server, join(' ', said(packet(1, pack('VVC', $flags | $ssl, 1 << 24, 45) . "\0" x 19 . 'f it')), said(response(2, $flags | $ssl, $reserved)), 'exit'),
		"MariaDB's further flags, and no byte that means nothing");
	($result, $server) = session({}, ["=$good", '?', 'tls', '?', 0], ['?', '=' . response(1, $flags | 1, $reserved), '?', 0]);
	is($server, join(' ', said(packet(1, pack('VVC', $flags | $ssl | 1, 1 << 24, 45) . "\0" x 23)), said(response(2, $flags | $ssl | 1, $reserved)), 'exit'),
		'no further flags where MySQL has none');
	my $all = plain({}, $good, ['?', "=$response", '?', 5]);
	is(substr($all->{heard}, 0, 72), $ssl_request[0], 'a server that ends: the request');
	like(substr($all->{heard}, 72), qr/^1603/, '... then TLS');
	unlike($all->{heard}, qr/736563726574/, '... and no name');
	is($all->{exit}, 98, '... exit code');
	like($all->{err}, qr/^got end$/m, '... prog sees the end');
};

subtest 'TLS that fails' => sub {
	my ($result, $server, $log) = session({ env => { CAFILE => file('other-root.pem') } }, ["=$good", '?', 'tls', '?', 0], ['?', "=$response", '?', 0]);
	is($result->{exit}, 98, 'a server that cannot be trusted: exit code, though that of prog is 0');
	like($result->{err}, qr/^tlsc-io: error: .*certificate/m, '... words');
	like(got($result->{err}), qr/^got 0 \w+ got end exit$/, '... prog sees the end');
	unlike($result->{err}, qr/^starttlsc: /m, '... and nobody says it twice');
	is($server, said($ssl_request[0]) . ' got end exit', '... which has heard nothing of prog');
	my $injected = plain({}, $good . packet(2, $ok), ['?', "=$response", '?', 0]);
	is($injected->{exit}, 98, 'a packet in clear behind the greeting');
	like($injected->{err}, qr/^tlsc-io: error: /m, '... TLS fails');
	like(got($injected->{err}), qr/^got 0 \w+ got end exit$/, '... prog does not see it');
};

# ---- servers ----

my %wrong = (
	'an error with a state' => [packet(0, "\xff\x10\x04#08004Too many connections"), qr/step greeting: expected a greeting, got: Too many connections$/m],
	'an error without one' => [packet(0, "\xff\x6a\x04Host is\e not allowed"), qr/expected a greeting, got: Host is\? not allowed$/m],
	'an error in one byte' => [packet(0, "\xff"), qr/expected a greeting, got: $/m],
	'an older version' => [greeting(0xffffffff, 9), qr/expected packet 0, of version 10/],
	'a packet that is not the first' => [greeting(0xffffffff, 10, 1), qr/expected packet 0, of version 10/],
	'no TLS' => [greeting(0xffffffff & ~$ssl), qr/the server does not offer TLS/],
	'no 4.1' => [greeting(0xffffffff & ~$protocol_41), qr/the server does not offer TLS/],
	'nothing but the version' => [packet(0, "\x0a"), qr/the packet is too short/],
	'no end of the name' => [packet(0, "\x0a" . 'x' x 100), qr/the packet is too short/],
	'one byte short' => [packet(0, "\x0ax\0" . "\xff" x 14), qr/the packet is too short/],
	'an empty packet' => ['00000000', qr/expected a packet of MySQL, got: \?{4}$/m],
	'more than a greeting holds' => [packet(0, "\x0ax\0" . "\xff" x 600), qr/expected a packet of MySQL, got: /],
	'another protocol' => [unpack('H*', "SSH-2.0-x\r\n"), qr/expected a packet of MySQL, got: SSH-$/m],
	'an end at once' => ['', qr/the peer has closed the connection/],
	'an end in the header' => ['4a0000', qr/the peer has closed the connection/],
	'an end in the greeting' => [substr($good, 0, -2), qr/the peer has closed the connection/],
);
subtest 'servers' => sub {
	for my $name (sort keys %wrong) {
		my ($text, $words) = @{ $wrong{$name} };
		my $result = plain({}, $text, ['?', 0]);
		is($result->{exit}, 98, "$name: exit code");
		like($result->{err}, qr/^starttlsc: error: mysql: step greeting: /m, '... step');
		like($result->{err}, $words, '... words');
		is(got($result->{err}), '', '... prog is not started');
	}
	my $result = plain({}, packet(0, "\x0ax\0" . "\xff" x 15), ['?', 6]);
	is(got($result->{err}), said(packet(0, "\x0ax\0" . "\xff" x 14 . "\xf7")) . ' exit', 'the shortest greeting that will do');
	is($result->{exit}, 6, '... prog ends without an answer: its exit code');
	is($result->{heard}, '', '... and nothing is said');
	for my $text ('', substr $good, 0, 20) {
		$result = plain({ hold => 1, seconds => 1 }, $text, ['?', 0]);
		is($result->{exit}, 98, 'silence');
		like($result->{err}, qr/step greeting: time is up$/m, '... ends with the deadline');
	}
};

# ---- programs ----

my %bad = (
	'another number' => [response(0, $flags), qr/the program does not answer as clients of MySQL do/],
	'a short answer' => [packet(1, 'x' x 31), qr/the program does not answer as clients of MySQL do/],
	'from before 4.1' => [packet(1, pack('v', 0x2485 & ~0x200) . "\0\0\0user with a name\0password of it"), qr{the program speaks the protocol from before MySQL 4\.1}],
	'TLS of its own' => [packet(1, pack('VVC', $flags | $ssl, 1 << 24, 45) . "\0" x 23), qr/the program asks for TLS itself/],
);
subtest 'programs' => sub {
	for my $name (sort keys %bad) {
		my ($text, $words) = @{ $bad{$name} };
		my $result = plain({ hold => 1 }, $good, ['?', "=$text", '?', 0]);
		is($result->{exit}, 98, "$name: exit code");
		like($result->{err}, qr/^starttlsc: error: mysql: step HandshakeResponse: $words$/m, '... words');
		is($result->{heard}, '', '... nothing is said to the server');
		like(got($result->{err}), qr/got end exit$/, '... and prog sees the end');
	}
	my $result = plain({ hold => 1, seconds => 1 }, $good, ['?', '?', 0]);
	is($result->{exit}, 98, 'a silent one');
	like($result->{err}, qr/step HandshakeResponse: the program has not answered the greeting: time is up$/m, '... words');
	$result = plain({ hold => 1, seconds => 1 }, $good, ['?', '=' . substr($response, 0, 40), '?', 0]);
	like($result->{err}, qr/time is up$/m, 'half an answer');
	$result = plain({ hold => 1 }, $good, ['?', '=' . substr($response, 0, 40), 7]);
	is($result->{exit}, 7, '... and the end: exit code of prog');
	is($result->{heard}, '', '... nothing is said to the server');
	my $server = sslserver({ pair => 'server-p256' }, ['-n'], 'perl', $speak, 0, 1, "=$good", '!');
	is(sslclient({}, ['-y', '127.0.0.1'], $server->{port}, command('starttlsc'), 'mysql', 'sh', '-c', 'kill -9 $$')->{exit}, 137, 'a signal that ends it');
	is(sslclient({}, ['-y', '127.0.0.1'], $server->{port}, command('starttlsc'), 'mysql', 'no-such-program')->{exit}, 111, 'none that is there');
	# What stays beside prog is its parent.
	my $signal = sub {
		my ($server_steps, $last, @prog) = @_;
		my $peer = sslserver({ pair => 'server-p256' }, ['-n'], 'perl', $speak, 0, 1, @$server_steps);
		my $client = start({ env => { CAFILE => file('root.pem') } }, command('sslclient'), '-y', '127.0.0.1', $peer->{port}, command('starttlsc'), 'mysql', @prog);
		my $parent = $client->wait_for_log(qr/^parent (\d+)$/m) or return 'no prog';
		$client->wait_for_log($last) or return 'not so far';
		kill 'TERM', $parent;
		my $end = $client->wait_for_end(10) or return 'no end';
		return ($end->{exit} // "signal $end->{signal}", got($client->log));
	};
	my ($exit, $got) = $signal->(["=$good", '!'], qr/(got 0)/, 'perl', $speak, 6, 7, 'parent', '?', '?', 0);
	is($exit, 143, 'SIGTERM before prog has answered');
	like($got, qr/^got 0 \w+ got end exit$/, '... prog sees the end');
	($exit, $got) = $signal->(["=$good", '?', 'tls', '?', '=' . packet(3, $ok), '!'], qr/(got 2 00)/, 'sh', '-c', 'trap "exit 5" TERM; perl "$@"; echo "parent $PPID" >&2; while :; do sleep 0.1; done',
		'sh', $speak, 6, 7, '?', "=$response", '?', 0);
	is($exit, 5, '... in the session: it is passed on');
};

subtest 'usage' => sub {
	my $result = run(command('tcpclient'), '127.0.0.1', sslserver({}, [], 'cat')->{port}, command('starttlsc'), 'mysql', command('tlsc'), 'true');
	is($result->{exit}, 100, 'before tlsc');
	like($result->{err}, qr/^starttlsc: fatal: mysql cannot stand before tlsc: run it by sslclient -y or ucspitlsc/m, '... words');
	like(run(command('starttlsc'), 'gopher', 'true')->{err}, qr/known: .*, mysql$/m, 'it is among the known protocols');
};

done_testing;
