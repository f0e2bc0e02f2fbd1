#!/usr/bin/perl
# snipeek: the server name is seen and no byte is taken, so that whatever stands behind it speaks TLS; and what is no ClientHello.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Bear;
use BearTls;
use IO::Select;
use POSIX ();
use Socket qw(AF_UNIX IPPROTO_TCP PF_UNSPEC SOCK_DGRAM SOCK_STREAM TCP_NODELAY);
use Test::More;
use Time::HiRes qw(sleep time);

$SIG{PIPE} = 'IGNORE';

my $show = 'printf "name %s\n" "${SSL_TLS_SNI_SERVERNAME-unset}"; cat';
my $server = serve({ env => { SSL_TLS_SNI_SERVERNAME => 'stale' } }, command('tcpserver'), '-1vH', '127.0.0.1', '0', command('snipeek'), '-T', '5', 'sh', '-c', $show);

# A ClientHello of openssl's, as it is sent.
sub hello {
	my @arguments = @_;
	my $listener = IO::Socket::IP->new(LocalHost => '127.0.0.1', LocalPort => 0, Listen => 1) or die;
	my $client = start('openssl', 's_client', '-connect', '127.0.0.1:' . $listener->sockport, @arguments);
	my $socket = $listener->accept or die;
	my $bytes = '';
	while (length $bytes < 5 || length $bytes < 5 + unpack 'x3n', $bytes) { sysread $socket, $bytes, 65536, length $bytes or last }
	$client->stop;
	return $bytes;
}
my $named = hello('-servername', 'WWW.example.test');
my $nameless = hello('-noservername');

# A hello with this server name, and with so much padding.
sub with_name {
	my ($name, $padding) = @_;
	my $extensions = pack('nn/a*', 0, pack 'n/a*', pack 'Cn/a*', 0, $name) . (defined $padding ? pack 'nn/a*', 21, "\0" x $padding : '');
	my $body = pack('n', 0x303) . 'r' x 32 . "\0" . pack('n/a*', "\x13\x01") . "\1\0" . pack 'n/a*', $extensions;
	return pack('CCn', 1, length($body) >> 16, length($body) & 0xffff) . $body;
}

# In records of at most so many bytes.
sub records { my ($message, $max) = @_; return join '', map { "\x16\x03\x01" . pack 'n/a*', $_ } unpack "(a$max)*", $message }

subtest 'a look' => sub {
	is(ask($server->{port}, $named), "name www.example.test\n$named", 'the name in lower case, and every byte is still there');
	is(ask($server->{port}, $named . 'and more'), "name www.example.test\n${named}and more", 'with more behind it');
	is(ask($server->{port}, $nameless), "name unset\n$nameless", 'no name, and the one of before is gone');
	my $socket = connect_to($server->{port});
	$socket->setsockopt(IPPROTO_TCP, TCP_NODELAY, 1);
	for my $byte (unpack '(a5)*', $named) { syswrite $socket, $byte; sleep 0.002 }
	$socket->shutdown(1);
	is(read_all($socket), "name www.example.test\n$named", 'in pieces');
	my $split = records(substr($named, 5), 40);
	is(ask($server->{port}, $split), "name www.example.test\n$split", 'in small records');
	my $large = records(with_name('a.test', 60000), 16000);
	ok(ask($server->{port}, $large) eq "name a.test\n$large", 'of 60 kB');
	for my $case (['one of 65536 bytes', records(with_name('a.test', 65536 - 62), 16000)], ['one in nearly 4096 bytes of record headers', records(with_name('a.test', 65536 - 62), 81)]) {
		my ($name, $most) = @$case;
		ok(ask($server->{port}, $most) eq "name a.test\n$most", $name);
	}
	is(ask($server->{port}, records(with_name('192.0.2.1'), 16000)) =~ s/\n.*//sr, 'name unset', 'an address is no name');
};

# What is there within five seconds; dies if nothing is.
sub read_some_bytes {
	my ($socket) = @_;
	IO::Select->new($socket)->can_read(5) && sysread $socket, my $bytes, 65536 or die 'nothing comes';
	return $bytes;
}

subtest 'a wait costs nothing' => sub {
	my $socket = connect_to($server->{port});
	syswrite $socket, substr $named, 0, 100;
	my $pid = $server->wait_for_log(qr/.*ok (\d+) [^\n]*\n\z/s, 5);
	my $snipeek = wait_until(sub { (readlink("/proc/$pid/exe") || '') =~ /snipeek/ }, 5);
	plan skip_all => 'nothing to see in /proc' unless $snipeek;
	my $calls = sub { slurp("/proc/$pid/status") =~ /^voluntary_ctxt_switches:\s+(\d+)/m ? $1 : -1 };
	sleep 0.2; # until it waits
	my $before = $calls->();
	sleep 0.3;
	cmp_ok($calls->() - $before, '<', 3, 'it sleeps until there is more');
	syswrite $socket, substr $named, 100;
	is(read_line($socket), 'name www.example.test', '... and then goes on');
	my $rest = '';
	$rest .= read_some_bytes($socket) while length $rest < length $named;
	is($rest, $named, '... with all of it');
	syswrite $socket, 'x';
	is(read_some_bytes($socket), 'x', '... and prog gets a byte as soon as it is there');
};

# What comes back, the log line and exit status.
sub refused {
	my ($bytes, $alert, $pattern, $name, $which) = @_;
	my $to = $which || $server;
	wait_until(sub { $to->log =~ /.*^tcpserver: status: 0\//ms && $' !~ /^tcpserver: status: /m }, 10);    # the end of others is said
	my $before = length $to->log;
	my $answer = ask($to->{port}, $bytes);
	is($answer, defined $alert ? pack('C*', 21, 3, 1, 0, 2, 2, $alert) : '', "$name: the alert");
	my $said = wait_until(sub { substr($to->log, $before) =~ /^(snipeek: [^\n]*)\n.*?status (\d+)/sm ? [$1, $2] : undef }, 10) || ['', ''];
	like($said->[0], qr/^snipeek: error: 127\.0\.0\.1: step ClientHello: $pattern/, '... and why');
	is($said->[1], 98 * 256, '... exit code 98');
}

subtest 'no ClientHello' => sub {
	refused("GET / HTTP/1.0\r\n\r\n", 70, 'plain HTTP', 'HTTP');
	refused("SSH-2.0-x\r\n", 70, 'not TLS', 'SSH');
	refused("\x17\x03\x03\0\1x", 10, 'first record', 'another record');
	refused(records(with_name("a\nb"), 16000), 47, 'illegal server name', 'an illegal name');
	refused(records(with_name('a' x 64), 16000), 47, 'illegal server name', 'a label that is too long');
	refused(records("\1\0\0\4abcd", 16000), 50, 'malformed', 'malformed');
	refused(records("\1\2\0\0" . 'x' x 1000, 16000), 47, 'ClientHello too large', 'too large');
	refused(records(with_name('a.test', 65537 - 62), 16000), 47, 'ClientHello too large', 'a byte too large');
	refused(records(with_name('a.test', 65536 - 62), 78), undef, 'too much', 'in more than 4096 bytes of record headers');
	refused("GET / HTTP/1.0\r\n\r\n" . 'x' x 200000, 70, 'plain HTTP', 'HTTP, and much more');
	refused(records("\1\0\0\x2b\3\2" . 'r' x 32 . "\0\0\2\0\x2f\1\0\0\0", 16000), 70, 'client speaks no TLS version above 1\.1', 'TLS 1.1');
	my $bare = serve(command('tcpserver'), '-1vH', '127.0.0.1', '0', 'env', '-u', 'PROTO', command('snipeek'), 'true');
	refused('SSH-2.0-x', 70, 'not TLS', 'where only the socket says who it is', $bare);
	refused(records("\1\0\xff\xff" . 'x' x 60000, 1), undef, 'too much', 'in records of one byte');
	refused(substr($named, 0, 50), undef, 'the peer has closed', 'half of one');
	refused('', undef, 'the peer has closed', 'nothing');
	my $hasty = serve(command('tcpserver'), '-1vH', '127.0.0.1', '0', command('snipeek'), '-T', '1', 'sh', '-c', $show);
	my $socket = connect_to($hasty->{port});
	syswrite $socket, substr $named, 0, 50;
	is(read_all($socket, 8), '', 'one that does not end');
	ok($hasty->wait_for_log(qr/^snipeek: error: 127\.0\.0\.1: step ClientHello: time is up$/m), '... ends in time');
};

subtest 'usage' => sub {
	is(run(command('snipeek'))->{exit}, 100, 'no prog');
	is(run(command('snipeek'), '-T', '0', 'true')->{exit}, 100, '-T 0');
	my $result = run({ in => $named }, command('snipeek'), 'true');
	is($result->{exit}, 100, 'no socket: exit code');
	like($result->{err}, qr/^snipeek: fatal: descriptor 0 must be a socket/, '... and words');
	my $datagrams = sub { socketpair my $here, my $there, AF_UNIX, SOCK_DGRAM, PF_UNSPEC or POSIX::_exit(126); POSIX::dup2(fileno $here, 0) };
	is(run({ before => $datagrams }, command('snipeek'), 'true')->{exit}, 100, 'a socket of datagrams');
	my @other = ('perl', '-MSocket', '-e', 'socketpair my $here, my $there, AF_UNIX, SOCK_STREAM, PF_UNSPEC or die; local $/; syswrite $here, <STDIN>;
		open STDIN, "<&", $there or die; exec @ARGV', command('snipeek'));
	is(run({ in => $named }, @other, 'sh', '-c', 'echo "$SSL_TLS_SNI_SERVERNAME"')->{out}, "www.example.test\n", 'a socket of another kind');
	is(run({ in => $named }, @other, '/nowhere')->{exit}, 111, 'a prog that is not there');
};

subtest '26 seconds' => sub {
	plan skip_all => 'no strace' if system 'strace -o /dev/null true 2>/dev/null';
	my $trace = temporary('trace');
	my $silent = sub { socketpair my $here, my $there, AF_UNIX, SOCK_STREAM, PF_UNSPEC or POSIX::_exit(126); POSIX::dup2(fileno $here, 0); POSIX::dup2(fileno $there, 9) };
	my $waiting = start({ before => $silent }, 'strace', '-o', $trace, '-e', 'trace=poll', command('snipeek'), 'true');
	my $ms = wait_until(sub { slurp($trace) =~ /poll\(\[.*?\], 1, (\d+)/ ? $1 : 0 }, 10);
	kill 'KILL', -$waiting->{pid};
	ok($ms > 25000 && $ms <= 26000, "without -T ($ms ms)");
};

subtest 'before TLS' => sub {
	my $tls = serve({ env => pair('server-p256') }, command('tcpserver'), '-1vH', '127.0.0.1', '0', command('snipeek'), 'sh', '-c',
		'test "$SSL_TLS_SNI_SERVERNAME" = localhost && exec "$@"; exit 1', 'sh', command('tlsd'), 'sh', '-c', 'read x; echo "TLS for $SSL_TLS_SNI_SERVERNAME"');
	my $client = sslclient({}, ['localhost'], $tls->{port}, 'sh', '-c', 'echo x >&7; cat <&6');
	is($client->{out}, "TLS for localhost\n", 'tlsd behind it') or diag $client->{err}, $tls->log;
};

done_testing;
