#!/usr/bin/perl
# tcpserver from outside: its operands, what prog gets, the log, limits, signals, ids, and failures that must not end it.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Bear;
use IO::Socket::IP;
use POSIX ();
use Test::More;

my $tcpserver = command('tcpserver');
my $show_descriptors = 'for (0..63) { my $l = readlink "/proc/self/fd/$_"; print "$_ $l\n" if defined $l }';

# The variables of a connection as prog sees them, with names sorted.
sub variables {
	my ($port, $host) = @_;
	return join '', sort grep { /^(PROTO=|TCP|SSL[A-Z])/ } split /^/, ask($port, '', $host);
}

sub wait_for_status {
	my ($server, $running, $limit) = @_;
	return $server->wait_for_log(qr{status: $running/$limit\n(?!.*status:)}s, 5);
}

subtest 'serving and the log' => sub {
	my $server = serve($tcpserver, '-1v', '127.0.0.1', '0', 'sh', '-c', 'cat; exit 3');
	like($server->{port}, qr/^\d+$/, '-1 prints the port and a newline');
	is(Bear::read_line($server->{pipe}, 5), undef, 'and standard output is closed then');
	my $socket = connect_to($server->{port});
	my $from = $socket->sockport;
	print $socket "hello\n";
	$socket->shutdown(1);
	is(read_all($socket), "hello\n", 'prog has the connection on 0 and 1');
	wait_for_status($server, 0, 40);
	my $pid = $server->wait_for_log(qr/pid (\d+) from/);
	is($server->log, <<"END", 'the lines of a connection');
tcpserver: status: 0/40
tcpserver: status: 1/40
tcpserver: pid $pid from 127.0.0.1
tcpserver: ok $pid localhost:127.0.0.1:$server->{port} localhost:127.0.0.1::$from
tcpserver: end $pid status 768
tcpserver: status: 0/40
END
	is($server->stop->{exit}, 0, 'SIGTERM: exit 0');
};

subtest 'environment' => sub {
	my $leftover = { map { $_ => 'old' } qw(TCPREMOTEINFO TCPREMOTEHOST TCPLOCALHOST TCP6REMOTEIP TCP6INTERFACE TCP6LOCALPORT
			SSLREMOTEIP SSLLOCALHOST SSLREMOTEINFO) };
	my $server = serve({ env => $leftover }, $tcpserver, '-1', '127.0.0.1', '0', 'env');
	like(variables($server->{port}), qr/\APROTO=TCP
TCPLOCALHOST=localhost
TCPLOCALIP=127\.0\.0\.1
TCPLOCALPORT=$server->{port}
TCPREMOTEHOST=localhost
TCPREMOTEIP=127\.0\.0\.1
TCPREMOTEPORT=\d+
\z/, 'IPv4: nothing is left of other connections');
	$server->stop;

	$server = serve($tcpserver, '-1', '-lmy.name', ':0', '0', 'env');
	like(variables($server->{port}), qr/\APROTO=TCP\nTCPLOCALHOST=my\.name\nTCPLOCALIP=127\.0\.0\.1\nTCPLOCALPORT=\d+\nTCPREMOTEHOST=localhost\nTCPREMOTEIP=127\.0\.0\.1\nTCPREMOTEPORT=\d+\n\z/,
		'an IPv4-mapped peer is TCP; -l');
	like(variables($server->{port}, '::1'), qr/\APROTO=TCP6
TCP6LOCALHOST=my\.name
TCP6LOCALIP=::1
TCP6LOCALPORT=$server->{port}
TCP6REMOTEHOST=localhost
TCP6REMOTEIP=::1
TCP6REMOTEPORT=(\d+)
TCPLOCALHOST=my\.name
TCPLOCALIP=::1
TCPLOCALPORT=$server->{port}
TCPREMOTEHOST=localhost
TCPREMOTEIP=::1
TCPREMOTEPORT=\1
\z/, 'IPv6: TCP6 and TCP');
};

subtest 'what prog starts with' => sub {
	my $server = serve($tcpserver, '-1v', '127.0.0.1', '0', 'perl', '-e', $show_descriptors);
	my $seen = ask($server->{port}, '');
	like($seen, qr/\A0 socket:\[(\d+)\]\n1 socket:\[\1\]\n2 \S+\.err\n\z/, 'descriptors 0, 1 and 2 only');
	$server->stop;

	$server = serve({ before => sub { POSIX::dup2(POSIX::open('/dev/null', &POSIX::O_RDONLY), 5) and POSIX::close(3) } },
		$tcpserver, '-1', '127.0.0.1', '0', 'perl', '-e', $show_descriptors);
	like(ask($server->{port}, ''), qr{\A0 socket.*\n1 socket.*\n2 .*\n5 /dev/null\n\z}, 'and one that was passed on purpose');
	$server->stop;

	# Everything that can be ignored is, SIGCHLD and SIGTERM are blocked.
	my $hostile = sub {
		$SIG{$_} = 'IGNORE' for qw(CHLD TERM PIPE HUP INT USR1 ALRM);
		POSIX::sigprocmask(&POSIX::SIG_BLOCK, POSIX::SigSet->new(&POSIX::SIGCHLD, &POSIX::SIGTERM, &POSIX::SIGUSR2));
	};
	$server = serve({ before => $hostile }, $tcpserver, '-1vc1', '127.0.0.1', '0', 'grep', '^Sig[BI]', '/proc/self/status');
	is(ask($server->{port}, ''), "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n", 'signals default and unblocked');
	ok(wait_for_status($server, 0, 1), 'children are counted with SIGCHLD ignored and blocked at the start');
	is(ask($server->{port}, ''), "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n", 'again, with -c 1');
	is($server->stop->{exit}, 0, 'and SIGTERM works');

	for my $closed ([0], [1], [2], [0, 1, 2]) {
		my $other = IO::Socket::IP->new(LocalHost => '127.0.0.1', LocalPort => 0, Listen => 1);
		my $port = $other->sockport;
		close $other;
		my $out = temporary("closed");
		unlink $out;
		$server = start({ before => sub { POSIX::close($_) for @$closed } }, $tcpserver, '127.0.0.1', $port, 'perl', '-e', $show_descriptors);
		wait_until(sub { connect_to($port) }, 5);
		like(ask($port, ''), qr/\A0 socket:\[(\d+)\]\n1 socket:\[\1\]\n2 \S+\n\z/, "descriptors @$closed closed at the start");
		$server->stop;
	}
};

subtest 'TCP_NODELAY' => sub {
	my $read = 'open my $s, "+<&=0"; print unpack "i", getsockopt($s, 6, 1)';
	my $server = serve($tcpserver, '-1', '127.0.0.1', '0', 'perl', '-e', $read);
	is(ask($server->{port}, ''), 1, 'is the default');
	$server->stop;
	$server = serve($tcpserver, '-1dD', '127.0.0.1', '0', 'perl', '-e', $read);
	is(ask($server->{port}, ''), 1, '-D');
	$server->stop;
	$server = serve($tcpserver, '-1d', '127.0.0.1', '0', 'perl', '-e', $read);
	is(ask($server->{port}, ''), 0, 'not with -d');
};

subtest 'hosts' => sub {
	my @forms = (
		[['0'], '127.0.0.1'], [[''], '127.0.0.1'], [['127.0.0.1'], '127.0.0.1'], [['127.000.000.001'], '127.0.0.1'],
		[['localhost'], '127.0.0.1'], [['-4', 'localhost'], '127.0.0.1'], [['-6', 'localhost'], '::1'],
		[['[::1]'], '::1'], [['::1'], '::1'], [['0:0:0:0:0:0:0:1'], '::1'], [['::ffff:127.0.0.1'], '127.0.0.1'],
		[['::'], '::1', '127.0.0.1'], [['-6', '0'], '::1', '127.0.0.1'], [['-6', ':0'], '::1', '127.0.0.1'],
		[['0.0.0.0'], '127.0.0.1', '::1'], [['-4', ':0'], '127.0.0.1', '::1'], [[':0'], '::1'], [[':0'], '127.0.0.1'],
		[['::1%lo'], '::1'],
	);
	for my $form (@forms) {
		my ($arguments, $reached, $not_reached) = @$form;
		my $server = serve($tcpserver, '-1', @$arguments, '0', 'echo', 'here');
		is(ask($server->{port}, '', $reached), "here\n", "'@$arguments' is reached at $reached");
		is(connect_to($server->{port}, $not_reached), undef, "and not at $not_reached") if $not_reached;
		$server->stop;
	}
	my $failure = run($tcpserver, '-4', '::1', '0', 'true');
	is($failure->{exit}, 111, '-4 with an IPv6 address: exit 111');
	is($failure->{err}, "tcpserver: fatal: unable to look up ::1: not an IPv4 address (-4)\n", 'in words');
	$failure = run({ env => { DNSCACHEIP => '127.0.0.1:9' } }, $tcpserver, 'no-such-host.invalid', '0', 'true');
	is($failure->{exit}, 111, 'a name that is not found: exit 111');
	like($failure->{err}, qr/\Atcpserver: fatal: unable to look up no-such-host\.invalid: .+\n\z/, 'in words');
};

subtest 'what cannot be done' => sub {
	my $server = serve($tcpserver, '-1', '127.0.0.1', '0', 'cat');
	my $port = $server->{port};
	my $failure = run($tcpserver, '127.0.0.1', $port, 'true');
	is($failure->{exit}, 111, 'port in use: exit 111');
	is($failure->{err}, "tcpserver: fatal: unable to bind to 127.0.0.1 port $port: Address already in use\n", 'in words');
	$failure = run($tcpserver, '192.0.2.1', '0', 'true');
	is($failure->{exit}, 111, 'an address of somebody else: exit 111');
	is($failure->{err}, "tcpserver: fatal: unable to bind to 192.0.2.1 port 0: Cannot assign requested address\n", 'in words');
	for my $name ('no-such-service', '65536', '-1x', '') {
		$failure = run($tcpserver, '--', '127.0.0.1', $name, 'true');
		is($failure->{exit}, 111, "port '$name': exit 111");
		is($failure->{err}, "tcpserver: fatal: unable to figure out the port number of $name: neither a number nor a TCP service\n", 'in words');
	}
	$server->stop;

	$server = serve($tcpserver, '-1v', '127.0.0.1', '0', '/nonexistent/program');
	is(ask($server->{port}, ''), '', 'prog that does not exist: the connection ends');
	ok($server->wait_for_log(qr{tcpserver: fatal: unable to run /nonexistent/program: No such file or directory\n}), 'in words');
	ok($server->wait_for_log(qr/status 28416\n/), 'with 111');
	ok($server->running, 'and the server goes on');
};

subtest 'restart on the same port' => sub {
	my $server = serve($tcpserver, '-1', '127.0.0.1', '0', 'echo', 'one');
	my $port = $server->{port};
	is(ask($port, ''), "one\n", 'first');
	$server->stop;
	$server = serve($tcpserver, '-1', '127.0.0.1', $port, 'echo', 'two');
	is($server->{port}, $port, 'at once');
	is(ask($port, ''), "two\n", 'second');
};

subtest 'SIGTERM leaves connections alone' => sub {
	my $server = serve($tcpserver, '-1', '127.0.0.1', '0', 'cat');
	my $socket = connect_to($server->{port});
	print $socket "before\n";
	is(read_line($socket), 'before', 'a connection runs');
	is($server->stop->{exit}, 0, 'exit 0');
	print $socket "after\n";
	is(read_line($socket), 'after', 'and goes on');
	is(connect_to($server->{port}), undef, 'while nobody listens any more');
};

subtest 'limit' => sub {
	my $server = serve($tcpserver, '-1v', '-c', '2', '-b', '5', '127.0.0.1', '0', 'cat');
	my @sockets = map { connect_to($server->{port}) } 1 .. 3;
	for (0, 1) {
		print { $sockets[$_] } "x\n";
		is(read_line($sockets[$_]), 'x', "connection $_ is served");
	}
	ok(wait_for_status($server, 2, 2), 'status 2/2');
	print { $sockets[2] } "y\n";
	is(read_line($sockets[2], 0.3), undef, 'the third waits');
	close $sockets[0];
	is(read_line($sockets[2], 5), 'y', 'until one has ended');
	ok(wait_for_status($server, 2, 2), 'status 2/2 again');
	unlike($server->log, qr{status: 3/}, 'never more');
	close $_ for @sockets[1, 2];
	ok(wait_for_status($server, 0, 2), 'status 0/2');
};

subtest 'many connections' => sub {
	my $server = serve($tcpserver, '-1v', '-c', '5', '127.0.0.1', '0', 'echo', 'x');
	my @sockets = map { connect_to($server->{port}) } 1 .. 60;
	is(join('', map { read_all($_) } @sockets), "x\n" x 60, 'all are served');
	ok(wait_for_status($server, 0, 5), 'all have ended');
	my @ends = $server->log =~ /end (\d+) status 0\n/g;
	is(scalar @ends, 60, 'each is logged');
};

subtest 'out of descriptors' => sub {
	my $server = serve($tcpserver, '-1v', '127.0.0.1', '0', 'echo', 'x');
	my $limit = sub { system 'prlimit', '--pid', $server->{pid}, "--nofile=$_[0]:" };
	my $count = sub { my @lines = $server->log =~ /warning/g; return scalar @lines };
	is(ask($server->{port}, ''), "x\n", 'a server');
	SKIP: {
		skip 'no prlimit', 1 unless $limit->(4) == 0;
		my $socket = connect_to($server->{port});
		ok($server->wait_for_log(qr/(tcpserver: warning: unable to accept a connection: Too many open files)\n/), 'is out of descriptors');
		my $before = $count->();
		ok(wait_until(sub { $count->() > $before }, 5), 'tries again');
		select undef, undef, undef, 0.5;
		cmp_ok($count->() - $before, '<=', 5, 'without spinning');
		$limit->(64);
		is(read_all($socket), "x\n", 'and serves the connection as soon as it can');
		$limit->(4);
		$socket = connect_to($server->{port});
		ok(wait_until(sub { $count->() > 6 }, 5), 'once more');
		is($server->stop->{exit}, 0, 'SIGTERM is heard meanwhile');
	}
};

subtest 'out of processes' => sub {
	plan skip_all => 'not root' unless $> == 0;
	plan skip_all => 'no prlimit' unless run('prlimit', '--nproc=1', 'true')->{exit} == 0;
	# The limit does not hold for root, but as soon as the server has become a user who may have one process.
	my $server = serve('prlimit', '--nproc=1', $tcpserver, '-1v', '-u', '64321', '127.0.0.1', '0', 'echo', 'x');
	is(ask($server->{port}, ''), '', 'the connection is dropped');
	ok($server->wait_for_log(qr/(tcpserver: warning: dropping connection, unable to fork: Resource temporarily unavailable)\n/), 'in words');
	ok(wait_for_status($server, 0, 40), 'with the right count');
	is(ask($server->{port}, ''), '', 'and the next one');
	is($server->stop->{exit}, 0, 'the server goes on');
};

subtest 'children of somebody else' => sub {
	my $server = serve({ before => sub { exec 'sh', '-c', 'true & exec "$@"', 'sh', $tcpserver, '-1v', '127.0.0.1', '0', 'echo', 'x' } }, 'true');
	is(ask($server->{port}, ''), "x\n", 'serves');
	ok(wait_for_status($server, 0, 40), 'and counts its own only');
};

subtest 'log bytes' => sub {
	my $server = serve($tcpserver, '-1v', '-l', "a\nb\e%c", '127.0.0.1', '0', 'true');
	ask($server->{port}, '');
	ok($server->wait_for_log(qr/ok \d+ a\?b\?\?c:127/), 'are clean');
	$server->stop;
	$server = serve($tcpserver, '-1v', '-l', 'n' x 8000, '127.0.0.1', '0', 'true');
	ask($server->{port}, '');
	ok($server->wait_for_log(qr/ok \d+ n{3900,4080}\.\.\.\ntcpserver/), 'and lines are cut');
};

subtest 'verbosity' => sub {
	for my $letter ('q', 'Q') {
		my $server = serve($tcpserver, "-1$letter", '127.0.0.1', '0', 'true');
		ask($server->{port}, '');
		$server->stop;
		is($server->log, '', "-$letter: no status");
	}
};

SKIP: {
	skip 'not root', 1 unless $> == 0;
	subtest 'ids' => sub {
		my @show = ('grep', '-E', '^(Uid|Gid|Groups)', '/proc/self/status');
		my $groups = sub { $) = '0 0 7 8' };
		my %cases = (
			'-u and -g' => [['-u1234', '-g', '2345'], {}, 1234, 2345],
			'-u alone keeps the group' => [['-u', '1234'], {}, 1234, 0],
			'-g alone' => [['-g', '2345'], {}, 0, 2345],
			'-U' => [['-U'], { UID => 1234, GID => 2345 }, 1234, 2345],
			'-u wins over -U' => [['-Uu77'], { GID => 2345 }, 77, 2345],
		);
		for my $name (sort keys %cases) {
			my ($arguments, $env, $uid, $gid) = @{ $cases{$name} };
			my $server = serve({ env => $env, before => $groups }, $tcpserver, '-1', @$arguments, '127.0.0.1', '0', @show);
			my ($own) = map { "Uid:\t$uid\t$uid\t$uid\t$uid\nGid:\t$gid\t$gid\t$gid\t$gid\nGroups:\t \n" } 1;
			is(ask($server->{port}, ''), $own, $name);
			like(slurp("/proc/$server->{pid}/status"), qr/^Uid:\t$uid\t$uid\t$uid\t$uid\nGid:\t$gid\t$gid\t$gid\t$gid\n/m, "$name: the listener too");
			$server->stop;
		}
		my $failure = run({ before => sub { $( = $) = '99 99'; POSIX::setuid(99) } }, $tcpserver, '-u', '98', '127.0.0.1', '0', 'true');
		is($failure->{exit}, 111, 'another user without being root: exit 111');
		is($failure->{err}, "tcpserver: fatal: unable to change to the ids of -u and -g: Operation not permitted\n", 'in words');
	};
}

done_testing;
