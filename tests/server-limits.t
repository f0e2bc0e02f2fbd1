#!/usr/bin/perl
# How many connections tcpserver and sslserver serve at once: -c, MAXCONIP of the environment and of rules, for IPv4 and IPv6; what a full
# server says of handshakes; and that single connections, not the server, suffer when the system runs out of something.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Bear;
use BearTls;
use IO::Select;
use IO::Socket::IP;
use POSIX ();
use Test::More;
use Time::HiRes qw(sleep time);

$ENV{DNSCACHEIP} = '127.0.0.1:9';    # nobody: names are not found, at once
delete $ENV{MAXCONIP};

my @forms = ({ name => 'tcpserver', ended => 'end', ip => sub { '' } }, { name => 'sslserver', ended => 'ended by', ip => sub { "/$_[0]" } });
my $number = 0;

sub rules {
	my ($text, $path) = @_;
	$path ||= temporary('rules' . ++$number . '.cdb');
	my $result = run({ in => $text }, command('tcprules'), $path, "$path.tmp");
	die "tcprules: $result->{err}" unless $result->{exit} == 0;
	return $path;
}

# A server whose connections last as long as their clients stay; under TLS until the handshake's time is over.
sub server {
	my ($form, $env, @arguments) = @_;
	my ($host, @letters) = ref $arguments[0] ? @{ shift @arguments } : '127.0.0.1';
	return serve({ env => { %{ pair('server-p256') }, %$env } }, command($form->{name}), '-1v', @letters, @arguments, $host, '0', 'cat');
}

sub connection_from {
	my ($server, $from, $to) = @_;
	return IO::Socket::IP->new(PeerHost => $to || '127.0.0.1', PeerPort => $server->{port}, LocalHost => $from, Timeout => 5);
}

# Whether the server has closed it.
sub is_closed {
	my ($socket, $seconds) = @_;
	return 0 unless IO::Select->new($socket)->can_read($seconds || 5);
	return !sysread $socket, my $byte, 1;
}

sub lines { my ($server, $pattern) = @_; my @lines = $server->log =~ /$pattern/mg; return scalar @lines }

# Waits until the log has so many lines like that.
sub wait_for_lines {
	my ($server, $pattern, $n) = @_;
	wait_until(sub { lines($server, $pattern) >= $n }, 5);
	return lines($server, $pattern);
}

sub status_is {
	my ($server, $status, $name) = @_;
	my $last = '';
	wait_until(sub { ($last) = $server->log =~ /.*^\w+: status: (\S+)$/ms; $last eq $status }, 5);
	is($last, $status, $name);
}

sub both {
	my ($name, $test) = @_;
	for my $form (@forms) {
		subtest "$form->{name}: $name" => sub { $test->($form) };
	}
}

both 'MAXCONIP of the environment' => sub {
	my ($form) = @_;
	my $n = $form->{name};
	my $server = server($form, { MAXCONIP => 2 }, '-c', '9');
	is($server->wait_for_log(qr/^(\w+: status: \S+)\n/), "$n: status: 0/9" . $form->{ip}->(2), 'in the status line');
	my @mine = map { connection_from($server, '127.0.0.2') } 1, 2;
	is(wait_for_lines($server, qr/ ok /, 2), 2, 'two connections');
	my $third = connection_from($server, '127.0.0.2');
	ok(is_closed($third), 'the third is closed');
	my $ip = $form->{ip}->(2);
	ok($server->wait_for_log(qr{(^$n: status: 3/9$ip\n$n: WARNING ip connection limit of 2 exceeded for: 127\.0\.0\.2\n$n: status: 2/9$ip\n)}m), 'with a warning');
	is(lines($server, qr/ pid \d+ from/), 2, 'and no process');
	my $other = connection_from($server, '127.0.0.3');
	is(wait_for_lines($server, qr/ ok \S+ \S+ \S*:127\.0\.0\.3:/, 1), 1, 'another address');
	status_is($server, "3/9$ip", 'is served');
	close $mine[0];
	status_is($server, "2/9$ip", 'when one has ended');
	my $next = connection_from($server, '127.0.0.2');
	is(wait_for_lines($server, qr/ ok \S+ \S+ \S*:127\.0\.0\.2:/, 3), 3, 'there is room for the next');
	ok(is_closed(connection_from($server, '127.0.0.2')), 'and not for one more');
	close $_ for $next, $other, $mine[1];
	status_is($server, "0/9$ip", 'all end');
	$server->stop;

	$server = serve({ env => { %{ pair('server-p256') }, MAXCONIP => 1 } }, command($n), '-1', '127.0.0.1', '0', 'cat');
	my @two = map { connection_from($server, '127.0.0.1') } 1, 2;
	ok(is_closed($two[1]), 'without -v');
	like($server->log, qr/\A$n: WARNING ip connection limit of 1 exceeded for: 127\.0\.0\.1\n\z/, 'the warning alone');
	$server->stop;
	$server = serve({ env => { %{ pair('server-p256') }, MAXCONIP => 1 } }, command($n), '-1q', '127.0.0.1', '0', 'cat');
	@two = map { connection_from($server, '127.0.0.1') } 1, 2;
	ok(is_closed($two[1]), 'with -q');
	is($server->log, '', 'nothing');
	$server->stop;
};

both 'IPv6' => sub {
	my ($form) = @_;
	my $server = server($form, { MAXCONIP => 1 }, [':0']);
	my @sockets = (connection_from($server, '::1', '::1'), connection_from($server, '127.0.0.1'));
	is(wait_for_lines($server, qr/ ok /, 2), 2, 'one connection from ::1 and one from 127.0.0.1');
	ok(is_closed(connection_from($server, '::1', '::1')), 'a second from ::1');
	ok($server->wait_for_log(qr/(WARNING ip connection limit of 1 exceeded for: ::1)\n/), 'is too many');
	ok(is_closed(connection_from($server, '127.0.0.1')), 'a second from 127.0.0.1, which is ::ffff:127.0.0.1 here');
	ok($server->wait_for_log(qr/(WARNING ip connection limit of 1 exceeded for: 127\.0\.0\.1)\n/), 'too');
	$server->stop;
};

both 'MAXCONIP of a rule' => sub {
	my ($form) = @_;
	my $n = $form->{name};
	for my $letter ('x', 'y') {
		my $rules = rules("127.0.0.2:allow,MAXCONIP=\"2\"\n127.0.0.3:allow\n127.0.0.4:allow,MAXCONIP=\"0\"\n127.0.0.5:allow,MAXCONIP=\"many\"\n127.0.0.6:allow,MAXCONIP=\"100001\"\n127.0.0.7:allow,MAXCONIP=\"\"\n");
		my $server = server($form, {}, '-l0', "-$letter", $rules);
		my @mine = map { connection_from($server, '127.0.0.2') } 1, 2;
		is(wait_for_lines($server, qr/ ok /, 2), 2, "-$letter: two connections");
		ok(is_closed(connection_from($server, '127.0.0.2')), 'the third is closed');
		ok($server->wait_for_log(qr/(^$n: deny \d+ \S*:127\.0\.0\.1:\d+ \S*:127\.0\.0\.2::\d+ ip connection limit:2 exceeded\n)/m), 'denied in the log');
		ok($server->wait_for_log(qr/($form->{ended} \d+ status 25600)\n/), 'exit code 100');
		my @free = map { connection_from($server, '127.0.0.3') } 1 .. 5;
		is(wait_for_lines($server, qr/ ok \S+ \S+ \S*:127\.0\.0\.3:/, 5), 5, 'a rule without it');
		close $mine[0];
		is(wait_until(sub { lines($server, qr/$form->{ended} \d+/) >= 2 }, 5), 1, 'when one has ended');
		$mine[0] = connection_from($server, '127.0.0.2');
		is(wait_for_lines($server, qr/ ok \S+ \S+ \S*:127\.0\.0\.2:/, 3), 3, 'the next is let in');
		for my $case (['127.0.0.5', 'many'], ['127.0.0.6', '100001'], ['127.0.0.7', '']) {
			my ($from, $value) = @$case;
			ok(is_closed(connection_from($server, $from)), "MAXCONIP=$value: the connection is dropped");
			ok($server->wait_for_log(qr/(warning: dropping connection, unable to use MAXCONIP of a rule $value: not a number of connections from 0 to 100000)\n/), 'in words');
		}
		ok($server->wait_for_log(qr/($form->{ended} \d+ status 28416)\n/), 'exit code 111');
		$server->stop;

		# The environment's holds where no rule says otherwise.
		$server = server($form, { MAXCONIP => 1 }, "-$letter", $rules);
		my @two = map { connection_from($server, '127.0.0.2') } 1, 2;
		is(wait_for_lines($server, qr/ ok \S+ \S+ \S*:127\.0\.0\.2:/, 2), 2, "-$letter: a rule may allow more than the environment");
		my @many = map { connection_from($server, '127.0.0.4') } 1 .. 4;
		is(wait_for_lines($server, qr/ ok \S+ \S+ \S*:127\.0\.0\.4:/, 4), 4, 'or any number');
		my $one = connection_from($server, '127.0.0.3');
		is(wait_for_lines($server, qr/ ok \S+ \S+ \S*:127\.0\.0\.3:/, 1), 1, 'a rule that says nothing of it: one');
		ok(is_closed(connection_from($server, '127.0.0.3')), 'and no more');
		ok($server->wait_for_log(qr/($n: WARNING ip connection limit of 1 exceeded for: 127\.0\.0\.3)\n/), 'with a warning');
		$server->stop;
	}
};

both 'MAXCONIP that is no number' => sub {
	my ($form) = @_;
	for my $value ('', 'x', '-1', '1x', ' 1', '100001', '99999999999999999999') {
		my $result = run({ env => { %{ pair('server-p256') }, MAXCONIP => $value } }, command($form->{name}), '127.0.0.1', '0', 'true');
		is($result->{exit}, 100, "'$value': exit 100");
		like($result->{err}, qr/\A$form->{name}: fatal: MAXCONIP in the environment needs a number of connections from 0 to 100000\n/, 'in words');
	}
	for my $value ('0', '100000', '007') {
		my $server = server($form, { MAXCONIP => $value }, '-c3');
		ok($server->wait_for_log(qr{status: (0/3@{[ $form->{ip}->($value + 0) ]})\n}), "'$value' is one");
		$server->stop;
	}
};

# A program that goes on after its connection has ended counts, and so does one that is late.
both 'whole connections count' => sub {
	my ($form) = @_;
	my $go = temporary("go-$form->{name}");
	my @prog = ('sh', '-c', 'exec <&- >&-; while ! test -e "$0"; do sleep 0.05; done', $go);
	my $server = serve({ env => { %{ pair('server-p256') }, MAXCONIP => 1 } }, command($form->{name}), '-1v', '127.0.0.1', '0', @prog);
	if ($form->{name} eq 'tcpserver') { ask($server->{port}, '') }
	else { run({ env => { CAFILE => file('root.pem') } }, command('sslclient'), '-RHl0', '127.0.0.1', $server->{port}, 'sh', '-c', 'cat <&6') }
	ok(is_closed(connection_from($server, '127.0.0.1')), 'a prog without connection is one');
	ok($server->wait_for_log(qr/(WARNING)/), 'too many');
	spew($go, '');
	status_is($server, '0/40' . $form->{ip}->(1), 'until it has ended');
	$server->stop;
};

both '-c' => sub {
	my ($form) = @_;
	my $server = server($form, {}, '-c', '2');
	my @sockets = map { connection_from($server, '127.0.0.1') } 1 .. 4;
	is(wait_for_lines($server, qr/ ok /, 2), 2, 'two are served');
	sleep 0.2;
	is(lines($server, qr/ pid \d+ from/), 2, 'the others wait');
	close $_ for @sockets[0, 1];
	is(wait_for_lines($server, qr/ ok /, 4), 4, 'until there is room');
	unlike($server->log, qr{status: [3-9]/2}, 'never more than the limit');
	close $_ for @sockets;
	status_is($server, '0/2' . $form->{ip}->(0), 'all end');
	$server->stop;
};

subtest 'sslserver: full of handshakes' => sub {
	my $server = serve({ env => pair('server-p256') }, command('sslserver'), '-1', '-T', '60', '-c', '3', '127.0.0.1', '0', 'cat');
	my @silent = map { connection_from($server, '127.0.0.1') } 1, 2;
	my @client = ({ env => { CAFILE => file('root.pem') }, before => sub { open STDIN, '+<', temporary('never') } }, command('sslclient'), '-RHl0', '127.0.0.1', $server->{port}, 'sh', '-c', 'echo here >&7; exec cat <&6');
	POSIX::mkfifo(temporary('never'), 0600);
	my $served = start(@client);
	ok(wait_until(sub { slurp($served->{out}) eq "here\n" }, 5), 'one session');
	ok($server->wait_for_log(qr/\A(sslserver: warning: limit reached, 3 of 3 connections are still in their handshake)\n\z/), 'said when the last slot is taken');
	close $silent[0];
	# The next one takes its place, which is not said again within a minute.
	my $more = connection_from($server, '127.0.0.1');
	sleep 0.3;
	is(lines($server, qr/limit reached/), 1, 'at most once a minute');
	$served->stop;
	$server->stop;

	$server = serve({ env => pair('server-p256') }, command('sslserver'), '-1v', '-T', '60', '-c', '3', '127.0.0.1', '0', 'cat');
	my @sessions;
	for my $n (1, 2) {
		my $one = start({ env => { CAFILE => file('root.pem') } }, command('sslclient'), '-RHl0', '127.0.0.1', $server->{port}, 'sh', '-c', 'echo here >&7; exec cat <&6');
		push @sessions, $one;
		ok(wait_until(sub { slurp($one->{out}) eq "here\n" }, 5), "session $n");
	}
	my $silent = connection_from($server, '127.0.0.1');
	ok($server->wait_for_log(qr/(limit reached, 1 of 3 connections are still in their handshake)\n/), 'those with a session are not in their handshake');
	$server->stop;

	$server = serve({ env => pair('server-p256') }, command('sslserver'), '-1q', '-c', '1', '127.0.0.1', '0', 'cat');
	$silent = connection_from($server, '127.0.0.1');
	sleep 0.3;
	is($server->log, '', '-q: nothing is said');
	$server->stop;
	$server = serve(command('tcpserver'), '-1', '-c', '1', '127.0.0.1', '0', 'cat');
	$silent = connection_from($server, '127.0.0.1');
	sleep 0.3;
	is($server->log, '', 'tcpserver knows nothing of handshakes');
	$server->stop;
};

# Counting many addresses at once: each of 250 has two connections, and none a third.
subtest 'many addresses' => sub {
	my $server = serve({ env => { MAXCONIP => 2 } }, command('tcpserver'), '-1vHl0', '-c', '600', '-b', '1000', '127.0.0.1', '0', 'cat');
	my (%held, $wrong);
	for my $round (1, 2) { push @{ $held{$_} }, connection_from($server, "127.0.1.$_") for 1 .. 250 }
	is(wait_for_lines($server, qr/ ok /, 500), 500, 'two of each');
	for my $n (1 .. 250) { $wrong++ unless is_closed(connection_from($server, "127.0.1.$n")) }
	is($wrong, undef, 'no third');
	is(lines($server, qr/WARNING ip connection limit of 2 exceeded/), 250, 'with as many warnings');
	# Half of the addresses leave, one connection of each other leaves: then one more fits there.
	for my $n (1 .. 250) { my $socket = shift @{ $held{$n} }; close $socket; close shift @{ $held{$n} } if $n % 2 }
	status_is($server, '125/600', 'after many have left');
	for my $n (1 .. 250) { push @{ $held{$n} }, connection_from($server, "127.0.1.$n") }
	is(wait_for_lines($server, qr/ ok /, 750), 750, 'one more of each is let in');
	$wrong = undef;
	for my $n (grep { $_ % 2 == 0 } 1 .. 250) { $wrong++ unless is_closed(connection_from($server, "127.0.1.$n")) }
	is($wrong, undef, 'and where there are two, no third');
	%held = ();
	status_is($server, '0/600', 'all end');
	$server->stop;
};

# ---- running out ----

both 'out of descriptors and processes' => sub {
	my ($form) = @_;
	plan skip_all => 'no prlimit' if system 'prlimit --version >/dev/null 2>&1';
	my $n = $form->{name};
	my $server = server($form, {});
	my $ticks = sub { my @stat = split ' ', slurp("/proc/$server->{pid}/stat") =~ s/.*\)//sr; return $stat[11] + $stat[12] };
	$server->wait_for_log(qr/(status)/);
	my $used = grep { m{/(\d+)\z} && $1 < 64 } glob "/proc/$server->{pid}/fd/*";
	system 'prlimit', '--pid', $server->{pid}, "--nofile=$used:";
	my $waiting = connection_from($server, '127.0.0.1');
	ok($server->wait_for_log(qr/($n: warning: unable to accept a connection: Too many open files)\n/), 'no descriptor for a connection');
	my $before = $ticks->();
	sleep 0.6;
	cmp_ok($ticks->() - $before, '<=', 3, 'no spinning');
	cmp_ok(lines($server, qr/warning: unable to accept/), '<=', 6, 'not many words');
	system 'prlimit', '--pid', $server->{pid}, '--nofile=64:';
	is(wait_for_lines($server, qr/ ok /, 1), 1, 'served when there is one again');
	close $waiting;
	status_is($server, '0/40' . $form->{ip}->(0), 'and counted');
	$server->stop;

	# A child that has too few descriptors fails alone.
	$server = server($form, {}, '-H');
	$server->wait_for_log(qr/(status)/);
	$used = grep { m{/(\d+)\z} && $1 < 64 } glob "/proc/$server->{pid}/fd/*";
	system 'prlimit', '--pid', $server->{pid}, '--nofile=' . ($used + 1) . ':';
	my $socket = connection_from($server, '127.0.0.1');
	my $ended = $form->{name} eq 'sslserver' ? is_closed($socket) : 1;
	ok($ended, 'a connection with too few of them ends');
	ok($server->running, 'alone');
	$server->stop;
};

both 'out of memory' => sub {
	my ($form) = @_;
	plan skip_all => 'no prlimit' if system 'prlimit --version >/dev/null 2>&1';
	my $server = server($form, {});
	my ($kib) = slurp("/proc/$server->{pid}/status") =~ /^VmSize:\s+(\d+)/m;
	plan skip_all => 'sanitizers need all of the address space' if $kib > 1 << 30;
	# A mapping that every fork has to copy is too large all at once: the address space is full.
	system 'prlimit', '--pid', $server->{pid}, '--as=' . ($kib * 1024) . ':';
	my $socket = connection_from($server, '127.0.0.1');
	wait_until(sub { lines($server, qr/ok |warning|fatal/) }, 5);
	ok($server->running, 'the listener goes on');
	system 'prlimit', '--pid', $server->{pid}, '--as=unlimited:';
	close $socket;
	status_is($server, '0/40' . $form->{ip}->(0), 'the connection has ended');
	my $other = connection_from($server, '127.0.0.1');
	ok($server->wait_for_log(qr/ ok .*( ok )/s), 'and the next one is served') if $server->log =~ / ok /;
	$server->stop;
};

done_testing;
