#!/usr/bin/perl
# Bytes in bulk and one by one, each way and both at once, receivers that do not read, and clients that end by a bare FIN.
use strict;
use warnings;
use Digest::SHA;
use FindBin;
use lib "$FindBin::Bin/lib";
use Bear;
use BearTls;
use IO::Select;
use IO::Socket::IP;
use Test::More;
use Time::HiRes qw(sleep time);

my $MiB = 1 << 20;
my $size = 64 * $MiB;
my $big = temporary('big');
{
	open my $random, '<', '/dev/urandom' or die;
	open my $out, '>', $big or die;
	my $block;
	for (1 .. 64) {
		read $random, $block, $MiB or die;
		print $out $block or die;
	}
	close $out or die "$big: $!";
}
my $digest = digest($big);
my $nothing = Digest::SHA::sha256_hex('');

sub digest { return Digest::SHA->new(256)->addfile($_[0], 'b')->hexdigest }

# perl mover R W SEND RECEIVE RESULT: sends a file on W while it receives so many bytes on R (-1: until it ends); their digest goes to RESULT.
my $mover = spew(temporary('mover'), <<'PERL');
use strict; use Digest::SHA;
my ($r, $w, $send, $receive, $result) = @ARGV;
open my $in, '<&=', $r or die "$r: $!";
open my $out, '>&=', $w or die "$w: $!";
binmode $_ for $in, $out;
my $sender = fork;
die unless defined $sender;
if (!$sender) {
	close $in;
	open my $file, '<', $send or die "$send: $!";
	while (sysread $file, my $bytes, 65536) {
		while (length $bytes) {
			my $n = syswrite $out, $bytes;
			exit 1 unless defined $n;
			substr $bytes, 0, $n, '';
		}
	}
	exit 0;
}
close $out if $receive < 0;
my ($sha, $n) = (Digest::SHA->new(256), 0);
while ($n != $receive and my $got = sysread $in, my $bytes, 65536) { $sha->add($bytes); $n += $got }
waitpid $sender, 0;
open my $file, '>', "$result.new" or die;
print $file $sha->hexdigest;
close $file or die;
rename "$result.new", $result or die;
exit($? ? 1 : 0);
PERL

sub mover { my ($r, $w, $send, $receive, $result) = @_; return ($^X, $mover, $r, $w, $send, $receive, $result) }

# What mover has put into its result, once it has ended.
sub result_of { my ($path) = @_; wait_until(sub { -s $path }, 20); return slurp($path) }

my %rates;
sub timed { my ($name, $code) = @_; my $begin = time; my @r = $code->(); $rates{$name} = time - $begin; return $r[0] }

for my $pair ('server-rsa', 'server-p256') {
	subtest "ourselves, $pair" => sub {
		for my $case (['up', '/dev/null', $big, $nothing, $digest], ['down', $big, '/dev/null', $digest, $nothing], ['both at once', $big, $big, $digest, $digest]) {
			my ($name, $down, $up, $client_gets, $server_gets) = @$case;
			my ($at_server, $at_client) = map { temporary("$pair-$name-$_") } 'server', 'client';
			my $server = sslserver({ pair => $pair }, [], mover(0, 1, $down, -s $up ? $size : -1, $at_server));
			my $result = timed("ourselves $pair $name", sub {
				sslclient({ timeout => 30 }, ['localhost'], $server->{port}, mover(6, 7, $up, -1, $at_client)) });
			is($result->{exit}, 0, "$name: exit 0") or diag($result->{err});
			is(slurp($at_client), $client_gets, 'the client has it all');
			is(result_of($at_server), $server_gets, 'the server has it all');
			is(connection($server)->{status}, 0, 'status 0');
			$server->stop;
		}
	};
}

subtest 'openssl s_client' => sub {
	for my $case (['up', '/dev/null', $big, $nothing, $digest], ['down', $big, '/dev/null', $digest, $nothing], ['both at once', $big, $big, $digest, $digest]) {
		my ($name, $down, $up, $client_gets, $server_gets) = @$case;
		my $at_server = temporary("s_client-$name");
		my $server = sslserver({}, [], mover(0, 1, $down, -s $up ? $size : 0, $at_server));
		my $client = start({ before => sub { open STDIN, '<', $up or die } }, 'openssl', 's_client', '-connect', "127.0.0.1:$server->{port}", '-quiet',
			'-CAfile', file('root.pem'), '-verify_return_error');
		my $end = timed("s_client $name", sub { $client->wait_for_end(30) });
		is($end && $end->{exit}, 0, "$name: exit 0") or diag($client->log);
		is(digest($client->{out}), $client_gets, 'the client has it all');
		is(result_of($at_server), $server_gets, 'the server has it all');
		unlink $client->{out};
		$server->stop;
	}
};

subtest 'openssl s_server' => sub {
	for my $case (['up', '/dev/null', $big], ['down', $big, '/dev/null'], ['both at once', $big, $big]) {
		my ($name, $down, $up) = @$case;
		my $at_client = temporary("s_server-$name");
		# -nbio: else it may wait for ever to read what its own write has read already, in the handshake.
		my $server = s_server({ answers => 1 }, '-quiet', '-nbio', '-naccept', '1');
		my $feed = start('sh', '-c', 'exec cat "$1" >"$2"', 'sh', $down, $server->{fifo});
		my $result = timed("s_server $name", sub {
			sslclient({ timeout => 30 }, ['localhost'], $server->{port}, mover(6, 7, $up, -s $down ? $size : 0, $at_client)) });
		is($result->{exit}, 0, "$name: exit 0") or diag($result->{err});
		is(slurp($at_client), -s $down ? $digest : $nothing, 'the client has it all');
		ok(wait_until(sub { -s $server->{out} == (-s $up || 0) }, 10), 'the server has as much');
		is(digest($server->{out}), -s $up ? $digest : $nothing, 'and the same');
		$server->stop;
		unlink $server->{out};
	}
};

# ---- receivers that do not read ----

sub resident { my ($pid) = @_; return slurp("/proc/$pid/status") =~ /^VmRSS:\s*(\d+) kB/m ? $1 : -1 }
sub position { my ($pid, $fd) = @_; return slurp("/proc/$pid/fdinfo/$fd") =~ /^pos:\s*(\d+)/m ? $1 : 0 }

# Waits until what is read of a file has not grown for a while, and returns how much that is.
sub stalled {
	my ($read) = @_;
	my ($last, $since) = (0, time);
	wait_until(sub {
		my $now = $read->();
		($last, $since) = ($now, time) if $now != $last;
		return $last > 0 && time - $since > 0.4;
	}, 15);
	return $last;
}

sub bounded {
	my ($pid, $name) = @_;
	my $kib = resident($pid);
	cmp_ok($kib, '>', 0, "$name runs");
	diag("$name $kib KiB") if $ENV{VERBOSE};
	my $most = $ENV{SANITIZED} ? 65536 : engine() eq 'openssl' ? 6144 : 4096; # a sanitizer keeps memory of its own; libcrypto has its tables
	cmp_ok($kib, '<', $most, "$name has less than $most KiB");
}

my $patient = 'use Time::HiRes "sleep"; my $go = shift; sleep 0.02 until -e $go; exec @ARGV';

subtest 'upload while the program does not read' => sub {
	my ($go, $at_server) = map { temporary("upload-$_") } 'go', 'server';
	my $server = sslserver({}, [], 'perl', '-e', $patient, $go, mover(0, 1, '/dev/null', $size, $at_server));
	my $client = start({ before => sub { open STDIN, '<', $big or die } }, 'openssl', 's_client', '-connect', "127.0.0.1:$server->{port}", '-quiet');
	my $pid = $server->wait_for_log(qr/^sslserver: ok (\d+) /m);
	my $sent = stalled(sub { position($client->{pid}, 0) });
	cmp_ok($sent, '<', $size / 2, 'the client has to wait');
	bounded($pid, 'tlsd-io');
	spew($go, '');
	is(result_of($at_server), $digest, 'then the program reads, and has it all');
	is($client->wait_for_end(10)->{exit}, 0, 'exit 0 of the client');
	is(connection($server)->{status}, 0, 'status 0');
};

subtest 'download while the client does not read' => sub {
	# openssl s_client, stopped as soon as it has begun; mover's child reads the file on a descriptor of its own, so the client's output tells.
	my $sender = 'open my $f, "<", shift or die; open my $n, ">", shift or die; my $all = 0; while (sysread $f, my $b, 65536)'
		. ' { while (length $b) { my $w = syswrite STDOUT, $b; exit 1 unless $w; substr $b, 0, $w, ""; $all += $w; sysseek $n, 0, 0; syswrite $n, $all } }';
	my $count = temporary('download-count');
	my $server = sslserver({}, [], 'perl', '-e', $sender, $big, $count);
	my $client = start('openssl', 's_client', '-connect', "127.0.0.1:$server->{port}", '-quiet', '-ign_eof');
	my $pid = $server->wait_for_log(qr/^sslserver: ok (\d+) /m);
	wait_until(sub { -s $client->{out} }, 10);
	kill 'STOP', $client->{pid};
	my $sent = stalled(sub { slurp($count) || 0 });
	cmp_ok($sent, '<', $size, 'the program has to wait');
	bounded($pid, 'tlsd-io');
	kill 'CONT', $client->{pid};
	is($client->wait_for_end(20)->{exit}, 0, 'then the client reads, exit 0');
	is(digest($client->{out}), $digest, 'and has it all');
	is(connection($server)->{status}, 0, 'status 0');

	# Our own client, whose program does not read: neither io program grows.
	my ($go, $at_client) = map { temporary("download-$_") } 'go', 'client';
	unlink $count;
	$client = start({ env => { CAFILE => file('root.pem') } }, command('sslclient'), 'localhost', $server->{port},
		'perl', '-e', $patient, $go, mover(6, 7, '/dev/null', $size, $at_client));
	my @pids = $server->wait_for_log(qr/ok \d+ .*ok (\d+) /s);
	wait_until(sub { -s $count }, 10);
	$sent = stalled(sub { slurp($count) || 0 });
	cmp_ok($sent, '<', $size / 2, 'ourselves: the program has to wait');
	bounded($pids[0], 'tlsd-io');
	bounded($client->{pid}, 'tlsc-io');
	spew($go, '');
	is($client->wait_for_end(20)->{exit}, 0, 'then it reads, exit 0');
	is(slurp($at_client), $digest, 'and has it all');
};

# ---- a bare FIN ----

# Stands between a client and the server as a process of its own; once the file is there, it ends its side towards the server like a client
# that knows no close_notify, and goes on handing over what the server sends.
my $fin = spew(temporary('fin'), <<'PERL');
use strict; use IO::Select; use IO::Socket::IP;
my ($port, $marker) = @ARGV;
$| = 1; $SIG{PIPE} = 'IGNORE';
my $listener = IO::Socket::IP->new(LocalHost => '127.0.0.1', LocalPort => 0, Listen => 1) or die;
print $listener->sockport, "\n";
my $client = $listener->accept or die;
my $server = IO::Socket::IP->new(PeerHost => '127.0.0.1', PeerPort => $port) or die;
my $ended = 0;
while (1) {
	for my $ready (IO::Select->new($ended ? $server : ($client, $server))->can_read(0.01)) {
		my $to = $ready == $client ? $server : $client;
		sysread $ready, my $bytes, 65536 or exit 0;
		while (length $bytes) { my $n = syswrite $to, $bytes or exit 1; substr $bytes, 0, $n, '' }
	}
	if (!$ended && -e $marker) { shutdown $server, 1; $ended = 1 }
}
PERL

subtest 'a client that ends by a bare FIN' => sub {
	my $marker = temporary('request-read');
	my $reply = '0123456789abcdef' x (256 << 10);    # 4 MiB
	my @prog = ('perl', '-e', '$_ = <STDIN>; open my $m, ">", shift; my $rest = join "", <STDIN>; print $_, length $rest, "\n", "0123456789abcdef" x (256 << 10)', $marker);
	my $through = sub {
		my ($server) = @_;
		unlink $marker;
		my $between = serve($^X, $fin, $server->{port}, $marker);
		return s_client({ in => "request\n" }, $between->{port}, '-quiet');
	};
	my $server = sslserver({}, [], @prog);
	my $result = $through->($server);
	is($result->{exit}, 0, 'openssl s_client: exit 0') or diag($result->{err});
	ok($result->{out} eq "request\n0\n$reply", 'has the whole reply');
	is(connection($server)->{status}, 0, 'status 0');
	unlike($server->log, qr/tlsd-io/, 'nothing to say');
	$server->stop;

	$server = serve({ env => pair('server-rsa') }, command('tcpserver'), '-1v', '127.0.0.1', '0', command('tlsd'), '-J', @prog);
	$result = $through->($server);
	ok($result->{out} eq "request\n0\n$reply", 'the whole reply with -J, too');
	is($server->wait_for_log(qr/^tcpserver: end \d+ status (\d+)$/m), 98 << 8, 'but exit code 98');
	ok($server->wait_for_log(qr/^(tlsd-io: error: unable to speak TLS from: 127\.0\.0\.1 for pid: \d+: peer ended without close_notify)$/m), 'in words');
	$server->stop;

	# Our client with -s: a shutdown without close_notify.
	$server = serve({ env => pair('server-rsa') }, command('tcpserver'), '-1v', '127.0.0.1', '0', command('tlsd'), '-J', @prog);
	my @client = ('sh', '-c', 'echo request >&7; exec 7>&-; cat <&6 >"$1"', 'sh', temporary('reply'));
	for my $case (['-s', 98 << 8], ['-S', 0]) {
		$result = run({ env => { CAFILE => file('root.pem') } }, command('tcpclient'), '127.0.0.1', $server->{port}, command('tlsc'), $case->[0], '-k', 'localhost', @client);
		is($result->{exit}, 0, "tlsc $case->[0]: exit 0") or diag($result->{err});
		ok(slurp(temporary('reply')) eq "request\n0\n$reply", 'has the whole reply');
		$server->wait_for_log(qr/(end \d+ status)/);
		my @ends;
		wait_until(sub { @ends = $server->log =~ /end \d+ status (\d+)/g; @ends == ($case->[1] ? 1 : 2) }, 5);
		is($ends[-1], $case->[1], "tlsd -J: status $case->[1]");
	}
};

subtest 'one byte at a time' => sub {
	my $n = 20000;
	my $count = temporary('bytes');
	my $drip = 'open my $o, ">&=", shift; for my $i (1 .. shift) { syswrite $o, chr 33 + $i % 90 or die }';
	my $expected = join '', map { chr 33 + $_ % 90 } 1 .. $n;
	my $server = sslserver({ pair => 'server-p256' }, [], 'perl', '-e', $drip, 1, $n);
	my $result = s_client({}, $server->{port}, '-quiet');
	is($result->{exit}, 0, 'from the program to openssl s_client');
	ok($result->{out} eq $expected, 'complete and in order');
	$server->stop;
	$server = sslserver({ pair => 'server-p256' }, [], 'sh', '-c', 'cat >"$1.new"; mv "$1.new" "$1"', 'sh', $count);
	$result = sslclient({}, ['localhost'], $server->{port}, 'perl', '-e', $drip, 7, $n);
	is($result->{exit}, 0, 'from the program of a client');
	wait_until(sub { -e $count }, 5);
	ok(slurp($count) eq $expected, 'complete and in order');
};

diag(join ', ', map { sprintf '%s %.1f s', $_, $rates{$_} } sort keys %rates) if $ENV{VERBOSE};
done_testing;
