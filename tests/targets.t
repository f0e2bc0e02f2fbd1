#!/usr/bin/perl
# tcprr and tcpprio: which target is taken, what is passed over, in what time, and what is said of it.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Bear;
use BearTls;
use Fcntl qw(:flock);
use IO::Socket::IP;
use Test::More;
use Time::HiRes qw(time);

my ($tcprr, $tcpprio) = map { command($_) } 'tcprr', 'tcpprio';
my @servers = map { my $name = $_; serve(command('tcpserver'), '-1', '127.0.0.1', '0', 'echo', $name) } 'one', 'two', 'three';
my @targets = map { ('127.0.0.1', $_->{port}) } @servers;
my @show = ('sh', '-c', 'cat <&6');
my $closed = IO::Socket::IP->new(LocalHost => '127.0.0.1', LocalPort => 0, Listen => 1);
my $refused = $closed->sockport;
close $closed;
# Nobody is asked for names but one who does not answer.
$ENV{DNSCACHEIP} = '127.0.0.1:9';

subtest 'tcpprio' => sub {
	is(join('', map { run($tcpprio, '-RHl0', @targets, '--', @show)->{out} } 1 .. 4), "one\n" x 4, 'the first, as long as it answers');
	my $result = run($tcpprio, '-vRHl0', '127.0.0.1', $refused, 'no-such-host.invalid', 80, @targets[2, 3], '--', @show);
	is($result->{out}, "two\n", 'else the next that does');
	like($result->{err}, qr/\Atcpprio: unable to connect to 127\.0\.0\.1 port $refused: Connection refused
tcpprio: unable to look up no-such-host\.invalid: .+
tcpprio: connected to 127\.0\.0\.1 port $targets[3]
\z/, 'and those passed over are in the log');
	is(run($tcpprio, '-qRHl0', '127.0.0.1', $refused, @targets[2, 3], '--', @show)->{err}, '', 'not with -q');
	$result = run($tcpprio, '127.0.0.1', $refused, 'no-such-host.invalid', 80, '--', 'true');
	is($result->{exit}, 111, 'none answers: exit 111');
	like($result->{err}, qr/^tcpprio: fatal: no target answers\n\z/m, 'in words');
	is(run($tcpprio, '-RHl0', @targets[0, 1], '--', @show)->{out}, "one\n", 'a single one is no different');
	is(run($tcpprio, '-RHl0', '--', @targets[0, 1], '--', @show)->{out}, "one\n", 'options may end by --');
	is(run($tcpprio, '-RHl0', @targets, '--', 'sh', '-c', 'echo "$PROTO $TCPREMOTEPORT $TLS_PEERNAME $1"', 'sh', '--')->{out}, "TCP $targets[1] 127.0.0.1 --\n", 'what prog is told');
	is(run({ env => { TLS_PEERNAME => 'service.test' } }, $tcpprio, '-RHl0', @targets, '--', 'sh', '-c', 'echo "$TLS_PEERNAME"')->{out}, "service.test\n", 'a name that was there stays');
	is(run($tcpprio, '-RHl0', '127.0.0.1', $refused, 'localhost', $targets[3], '--', 'sh', '-c', 'cat <&6; echo "$TLS_PEERNAME"')->{out}, "two\nlocalhost\n", 'the name is that of the one that answers');
	is(run($tcpprio, '-RHl0', ('127.0.0.1', $refused) x 15, @targets[4, 5], '--', @show)->{out}, "three\n", 'of sixteen targets the last');
	my $six = serve(command('tcpserver'), '-1', '::1', '0', 'echo', 'six');
	is(run($tcpprio, '-RHl0', 'localhost', $_->[0], '127.0.0.1', $refused, '--', @show)->{out}, "$_->[1]\n", "each address of a name is tried: $_->[1]") for [$targets[1], 'one'], $six->{port} ? [$six->{port}, 'six'] : ();
};

subtest 'tcprr' => sub {
	my $file = temporary('turn');
	my $turn = sub { return run({ env => { TCPRR => $file } }, $tcprr, '-RHl0', @_, '--', @show) };
	is(join(' ', map { $turn->(@targets)->{out} =~ s/\n//r } 1 .. 7), 'one two three one two three one', 'in turn');
	like(slurp($file), qr/\A0*7\n\z/, 'counted in the file');
	is((stat $file)[2] & 07777, 0644 & ~umask, '... which is one like others');
	my @all = map { start({ env => { TCPRR => $file } }, $tcprr, '-RHl0', @targets, '--', @show) } 1 .. 12;
	$_->wait_for_end(10) for @all;
	my %count;
	$count{ slurp($_->{out}) }++ for @all;
	is_deeply(\%count, { "one\n" => 4, "two\n" => 4, "three\n" => 4 }, 'all at once, too');
	spew($file, "000000000\n");
	my @got = map { $turn->('127.0.0.1', $refused, @targets[0, 1])->{out} } 1 .. 4;
	is("@got", "one\n one\n one\n one\n", 'one that does not answer is passed over');
	spew($file, "what is this");
	is($turn->(@targets)->{out}, "one\n", 'a file with something else begins anew');
	spew($file, "000000000\n");
	$turn->(@targets);
	is($turn->(@targets[0, 1], '127.0.0.1', $refused, @targets[4, 5])->{out}, "three\n", '... by what follows');
	spew($file, "999999999\n");
	is($turn->(@targets)->{out} . slurp($file), "one\n000000000\n", 'after a billion it begins anew');
	open my $held, '+<', $file or die;
	flock $held, LOCK_EX or die;
	my $waiting = start({ env => { TCPRR => $file } }, $tcprr, '-RHl0', @targets, '--', @show);
	ok(!$waiting->wait_for_end(0.3), 'while somebody else has the file');
	close $held;
	is(($waiting->wait_for_end(5) || { exit => '' })->{exit}, 0, '... it waits');
	is(run({ env => { TCPRR => '' } }, $tcprr, '-RHl0', @targets, '--', 'true')->{exit}, 0, 'an empty name is no file');
	my $result = run({ env => { TCPRR => '/nonexistent/turn' } }, $tcprr, @targets, '--', @show);
	is($result->{exit}, 111, 'a file that cannot be made: exit 111');
	is($result->{err}, "tcprr: fatal: unable to open /nonexistent/turn: No such file or directory\n", 'in words');
	%count = ();
	$count{ run($tcprr, '-RHl0', @targets, '--', @show)->{out} }++ for 1 .. 40;
	is(scalar(keys %count), 3, 'without a file by chance: all get some');
};

subtest 'time' => sub {
	my $full = IO::Socket::IP->new(LocalHost => '127.0.0.1', LocalPort => 0, Listen => 1);
	my @waiting = map { IO::Socket::IP->new(PeerHost => '127.0.0.1', PeerPort => $full->sockport, Timeout => 0.2) } 1 .. 4;
	SKIP: {
		skip 'connections do not queue here', 4 if $waiting[-1];
		my @full = ('127.0.0.1', $full->sockport);
		my $began = time;
		my $result = run($tcpprio, '-RHl0', '-T', '1+9', @full, @targets[0, 1], '--', @show);
		my $took = time - $began;
		is($result->{out}, "one\n", 'one that is silent is passed over');
		ok($took > 0.9 && $took < 4, "after x seconds, not after x+y ($took)");
		$began = time;
		$result = run($tcpprio, '-RHl0', '-T', '1+1', @full, '127.0.0.1', $refused, @full, '--', @show);
		$took = time - $began;
		is($result->{exit}, 111, 'all in vain');
		if (!system 'strace -o /dev/null true 2>/dev/null') {
			my $trace = temporary('trace');
			run('strace', '-o', $trace, '-e', 'trace=connect', $tcpprio, '-RHl0', '-T', '1+1', @full, '127.0.0.1', $refused, '--', @show);
			is(scalar(() = slurp($trace) =~ /htons\($refused\)/g), 1, 'one that refuses is not asked again');
			is(scalar(() = slurp($trace) =~ /htons\($full[1]\)/g), 2, '... one that is silent is');
		}
		ok($took > 3.8 && $took < 7, "x, then y more, for each that is silent, not for one that refuses ($took)");
	}
};

subtest 'with TLS' => sub {
	my $server = sslserver({}, [], 'echo', 'over TLS');
	my $result = run({ env => { CAFILE => file('root.pem') } }, $tcpprio, '-RHl0', '127.0.0.1', $refused, 'localhost', $server->{port}, '--', command('tlsc'), @show);
	is($result->{out}, "over TLS\n", 'tlsc checks the name of the target that answered') or diag($result->{err});
	is(run({ env => { CAFILE => file('root.pem') } }, $tcpprio, '-RHl0', $_, $server->{port}, '--', command('tlsc'), @show)->{out}, "over TLS\n", "... '$_' is 127.0.0.1") for '', '0', '[127.0.0.1]';
	my $wrong = sslserver({ pair => 'wrong-name' }, [], 'echo', 'over TLS');
	is(run({ env => { CAFILE => file('root.pem') } }, $tcprr, '-RHl0', 'localhost', $wrong->{port}, '--', command('tlsc'), @show)->{exit}, 98, 'which has to be right');
};

subtest 'usage' => sub {
	for my $wrong ([], ['--', 'true'], ['a', 1], ['a', 1, 'true'], ['a', '--', 'true'], ['a', 1, 'b', '--', 'true'], ['a', 1, '--'], [('a', 1) x 17, '--', 'true'], ['-n', 'a', 1, '--', 'true']) {
		my $result = run($tcpprio, @$wrong);
		is($result->{exit}, 100, "exit 100 for: @$wrong");
		like($result->{err}, qr/^tcpprio: usage: tcpprio /m, 'in words');
	}
	like(run($tcprr, 'a', 1, 'true')->{err}, qr/\Atcprr: fatal: each host needs a port\n/, 'with the reason');
	like(run($tcprr, 'a', 1, 'sh', 'true')->{err}, qr/\Atcprr: fatal: -- must stand between the targets and prog\n/, 'with the reason');
	is(run($tcpprio, 'a', 'no-such-service', '127.0.0.1', 1, '--', 'true')->{exit}, 111, 'a port that is none: exit 111');
};

done_testing;
