#!/usr/bin/perl
# unixclient: a chain with a Unix socket at its end.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Bear;
use BearTls;
use IO::Socket::UNIX;
use POSIX ();
use Test::More;

my $unixclient = command('unixclient');
my $path = temporary('a socket');

# Takes one connection after the other: says who it is, then sends back what comes, in capitals.
my $server = start('perl', '-MIO::Socket::UNIX', '-e', '$| = 1; my $s = IO::Socket::UNIX->new(Local => $ARGV[0], Listen => 9) or die "$!";
	while (my $c = $s->accept) { fork and next; $c->autoflush(1); print $c "hello\n"; print $c uc while <$c>; exit }', $path);
wait_until(sub { -S $path }, 5);

subtest 'the conversation' => sub {
	my $result = run({ in => 'typed' }, $unixclient, '-v', $path, 'sh', '-c', 'echo words >&7; read -r a <&6; read -r b <&6; echo "$a $b"; cat; exit 5');
	is($result->{out}, "hello WORDS\ntyped", 'on 6 and 7, with 0 and 1 as they were');
	is($result->{exit}, 5, 'the exit code is that of prog');
	is($result->{err}, "unixclient: connected to $path\n", '-v');
	is(run($unixclient, $path, 'true')->{err}, '', 'quiet without it');
	$result = run($unixclient, $path, 'perl', '-e', 'for (0..63) { my $l = readlink "/proc/self/fd/$_"; print "$_ $l\n" if defined $l && $l !~ m{^/proc} }');
	like($result->{out}, qr{\A0 /dev/null\n1 \S+\n2 \S+\n6 socket:\[(\d+)\]\n7 socket:\[\1\]\n\z}, 'descriptors');
	$result = run({ before => sub { POSIX::close(0); POSIX::close(1) } }, $unixclient, $path, 'sh', '-c', 'test -S /proc/self/fd/6 && exit 7');
	is($result->{exit}, 7, 'with 0 and 1 closed');
	is(run($unixclient, $path, 'perl', '-MSocket', '-MFcntl', '-e', 'open my $s, "+<&=6"; print fcntl($s, F_GETFL, 0) & O_NONBLOCK ? 1 : 0, unpack "q", getsockopt $s, SOL_SOCKET, SO_SNDTIMEO')->{out}, '00', 'blocking, without a limit of time');
};

subtest 'environment' => sub {
	my $result = run({ env => { PROTO => 'TCP', UNIXREMOTEPID => 'old', CERTFILE => 'stays' } }, $unixclient, $path, 'sh', '-c', 'env | grep -E "^(PROTO|UNIX|CERTFILE)" | sort; echo $$');
	my ($uid, $gid) = ($>, $) + 0);
	like($result->{out}, qr/\ACERTFILE=stays\nPROTO=UNIX\nUNIXLOCALGID=$gid\nUNIXLOCALPATH=\Q$path\E\nUNIXLOCALPID=(\d+)\nUNIXLOCALUID=$uid\nUNIXREMOTEEGID=$gid\nUNIXREMOTEEUID=$uid\nUNIXREMOTEPID=$server->{pid}\n\1\n\z/, 'the variables of ucspi-unix');
};

subtest 'what goes wrong' => sub {
	my $gone = temporary('gone');
	IO::Socket::UNIX->new(Local => $gone, Listen => 1)->close;
	for my $case (['/no/such/path', 'No such file or directory'], [$gone, 'Connection refused'], [temporary(), 'Connection refused'], ['x' x 200, 'File name too long'], ['', 'Connection refused|No such file or directory|Invalid argument']) {
		my ($where, $reason) = @$case;
		my $result = run($unixclient, $where, 'echo', 'ran');
		is($result->{exit}, 111, "exit: $reason");
		like($result->{err}, qr/\Aunixclient: fatal: unable to connect to \Q$where\E: (?:$reason)\n\z/, 'one line');
		is($result->{out}, '', 'prog does not run');
	}
	is(run($unixclient, '-q', '/no/such/path', 'true')->{err}, '', '-q says nothing');
	is(run($unixclient, '-q', '/no/such/path', 'true')->{exit}, 111, 'with the same exit code');
	is(run($unixclient, @$_)->{exit}, 100, "usage: @$_") for [], [$path], ['-T', '0', $path, 'true'], ['-T', 'x', $path, 'true'], ['-z', $path, 'true'];
	my $result = run($unixclient, $path, '/no/such/program');
	is($result->{exit}, 111, 'no such program');
	like($result->{err}, qr{unable to run /no/such/program}, 'is named');
	is(run('prlimit', '--nofile=4', $unixclient, $path, 'true')->{exit}, 111, 'no descriptors');
};

# Whoever accepts nothing: the queue is full after two.
subtest 'a full queue' => sub {
	my $busy = temporary('busy');
	my $listener = IO::Socket::UNIX->new(Local => $busy, Listen => 1) or die "$busy: $!";
	my @waiting = map { IO::Socket::UNIX->new(Peer => $busy) } 1 .. 2;
	my $result = run({ timeout => 8 }, $unixclient, '-T', '1', $busy, 'echo', 'ran');
	is($result->{exit}, 111, 'exit after -T');
	is($result->{err}, "unixclient: fatal: unable to connect to $busy: Connection timed out\n", 'reason');
	my $patient = start($unixclient, '-T', '8', $busy, 'echo', 'ran');
	ok($patient->running, 'waits');
	$listener->accept for 1 .. 2;
	is($patient->wait_for_end(5)->{exit}, 0, 'until there is room');
	is(slurp($patient->{out}), "ran\n", 'and runs prog');
};

subtest 'TLS before a Unix socket' => sub {
	my $front = sslserver({}, ['-RHl0'], $unixclient, $path, command('relay'));
	is(sslclient({ in => "one\ntwo\n" }, ['-RHl0', 'localhost'], $front->{port}, command('relay'))->{out}, "hello\nONE\nTWO\n", 'both directions, and their ends');
	my $big = 'x' x 4_000_000 . "\n";
	is(sslclient({ in => $big, timeout => 30 }, ['-RHl0', 'localhost'], $front->{port}, command('relay'))->{out}, "hello\n" . uc $big, 'four megabytes there and back');
};

done_testing;
