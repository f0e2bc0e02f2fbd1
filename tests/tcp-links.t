#!/usr/bin/perl
# sslserver and sslclient without TLS: a stand-in for the io programs passes cleartext on and tells how it was called. Shows what these
# two do themselves: the check before listening, environment, ids, log, the options they hand on.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Bear;
use File::Copy;
use IO::Socket::IP;
use POSIX ();
use Test::More;

# The programs find their io program beside themselves, so they are copied next to the stand-in.
my $folder = temporary('command');
mkdir $folder;
for my $name ('sslserver', 'sslclient', 'sslcat') {
	copy(command($name), "$folder/$name") or die "$name: $!";
	chmod 0755, "$folder/$name";
}
spew("$folder/$_", <<'END') && chmod 0755, "$folder/$_" for 'tlsd-io', 'tlsc-io';
#!/usr/bin/perl
# Writes down its name, arguments, ids and TLS variables; then a short report, then bytes both ways until prog has ended.
use strict;
use POSIX ();
my $checks = grep { $_ eq '-C' } @ARGV;
open my $notes, '>>', "$ENV{NOTES}." . ($checks ? 'check' : 'run') or die;
printf $notes "%s\n", join ' ', $0 =~ /([^\/]+)$/, @ARGV;
printf $notes "uid %d gid %d\n", $>, $) + 0;
print $notes map { "$_=$ENV{$_}\n" } grep { /^(TLS_|SSL_[UG]|PROTO|SSL[LR]|TCP)/ } sort keys %ENV;
close $notes;
exit $ENV{CHECK_EXIT} || 0 if $checks;
my ($write, $read) = reverse @ARGV;
my ($report) = map { $ARGV[$_ + 1] } grep { $ARGV[$_] eq '-d' } 0 .. $#ARGV;
my ($prog) = map { $ARGV[$_ + 1] } grep { $ARGV[$_] eq '-p' } 0 .. $#ARGV;
sleep 30 if $ENV{NO_HANDSHAKE};
open my $to_link, '>&=', $report or die;
syswrite $to_link, $ENV{NO_REPORT} ? '' : "SSL_PROTOCOL=none\0\0";
close $to_link;
exit 98 if $ENV{NO_REPORT};
my ($net_in, $net_out, $in, $out) = $0 =~ /tlsd-io/ ? (0, 1, $read, $write) : ($read, $write, 0, 1);
# One process for each direction, each without the descriptors of the other.
sub copy {
	my ($from, $to, @others) = @_;
	POSIX::close($_) for @others;
	while (1) {
		vec(my $bits = '', $from, 1) = 1;
		select $bits, undef, undef, 5;
		last unless POSIX::read($from, my $bytes, 4096) > 0;
		POSIX::write($to, $bytes, length $bytes);
	}
}
my $copier = fork;
if (!$copier) { copy($net_in, $out, $net_out, $in); POSIX::_exit(0) }
copy($in, $net_out, $net_in, $out);
open my $network, '>&=', $net_out;
shutdown $network, 1;
waitpid $prog, 0;
my $status = $?;
kill 'TERM', $copier;
waitpid $copier, 0;
exit $status >> 8;
END

my $sslserver = "$folder/sslserver";
my $sslclient = "$folder/sslclient";
my $notes = temporary('notes');
my $listed = '^(PROTO=|TCP|SSL[LR]|TLS_|SSL_U|SSL_G)';
my @env = ('sh', '-c', "env | grep -aE '$listed' | sort");
my %clean = (NOTES => $notes, map { $_ => undef } grep { /^(TLS_|SSL_[UGC]|TCP|SSL[LR]|PROTO)/ } keys %ENV);
chmod 01777, temporary();    # every user's io program makes its notes there

sub notes { my $text = slurp("$notes.$_[0]"); unlink "$notes.$_[0]"; return $text }

subtest 'check before listening' => sub {
	my $result = run({ env => { %clean, CHECK_EXIT => 96 } }, $sslserver, '-1v', '127.0.0.1', '0', 'true');
	is($result->{exit}, 96, 'its exit code is passed on');
	is($result->{out} . $result->{err}, '', 'before anything else');
	like(notes('check'), qr/\Atlsd-io -C -v 2 -K 3600000 -- 0 1\n/, 'run with -C');
	my $other = IO::Socket::IP->new(LocalHost => '127.0.0.1', LocalPort => 0, Listen => 1);
	$result = run({ env => { %clean, CHECK_EXIT => 96 } }, $sslserver, '127.0.0.1', $other->sockport, 'true');
	is($result->{exit}, 96, 'before binding');
	notes('check');
};

subtest 'serving and the log' => sub {
	my $server = serve({ env => {%clean} }, $sslserver, '-1v', '127.0.0.1', '0', 'sh', '-c', 'cat; exit 3');
	my $socket = connect_to($server->{port});
	my $from = $socket->sockport;
	print $socket "hello\n";
	$socket->shutdown(1);
	is(read_all($socket), "hello\n", 'prog is behind the io program');
	my $pid = $server->wait_for_log(qr/ended by (\d+) status/);
	$server->wait_for_log(qr{ended by .*status: 0/40/0\n}s);
	is($server->log, <<"END", 'the lines of a connection');
sslserver: status: 0/40/0
sslserver: status: 1/40/0
sslserver: pid $pid from 127.0.0.1
sslserver: ok $pid localhost:127.0.0.1:$server->{port} localhost:127.0.0.1::$from
sslserver: ended by $pid status 768
sslserver: status: 0/40/0
END
	like(notes('run'), qr/\Atlsd-io (-v 2 )?-K 3600000 -d \d+ -p \d+ -- \d+ \d+\n/, 'options of the io program');
	is($server->stop->{exit}, 0, 'SIGTERM: exit 0');
	$server = serve({ env => { %clean, NO_REPORT => 1 } }, $sslserver, '-1v', '127.0.0.1', '0', 'echo', 'never');
	is(ask($server->{port}, ''), '', 'prog does not run without a report');
	ok($server->wait_for_log(qr/ended by \d+ status 25088\n/), 'the exit code is that of the io program');
	unlike($server->log, qr/fatal/, 'and nothing more is said');
	notes($_) for 'check', 'run';
};

subtest 'a handshake that takes its time' => sub {
	my $server = serve({ env => { %clean, NO_HANDSHAKE => 1 } }, $sslserver, '-1v', '127.0.0.1', '0', 'true');
	my $socket = connect_to($server->{port});
	ok(wait_until(sub { slurp("$notes.run") }, 5), 'has begun');
	is($server->stop->{exit}, 0, 'SIGTERM ends the server');
	is(connect_to($server->{port}), undef, 'and nobody keeps the listening socket');
	close $socket;
	notes($_) for 'check', 'run';
};

subtest 'environment' => sub {
	my %leftover = map { $_ => 'old' } qw(SSLREMOTEHOST SSLREMOTEINFO TCPREMOTEIP TCPREMOTEINFO TCP6LOCALIP TCP6INTERFACE);
	my $server = serve({ env => { %clean, %leftover } }, $sslserver, '-1', '-lme', ':0', '0', @env);
	my $ssl = sub { my ($ip, $port) = @_; return "SSLLOCALHOST=me\nSSLLOCALIP=$ip\nSSLLOCALPORT=$port\nSSLREMOTEHOST=localhost\nSSLREMOTEIP=$ip\nSSLREMOTEPORT=\\d+\n" };
	my $tcp = sub { (my $text = $ssl->(@_)) =~ s/^SSL/TCP/mg; return $text };
	my $tcp6 = sub { (my $text = $ssl->(@_)) =~ s/^SSL/TCP6/mg; return $text };
	my $seen = sub { return ask($_[0], '', $_[1]) };
	my $port = $server->{port};
	like($seen->($port), qr/\APROTO=SSL\n@{[ $ssl->('127.0.0.1', $port) ]}\z/, 'IPv4');
	like($seen->($port, '::1'), qr/\APROTO=SSL\n@{[ $ssl->('::1', $port) ]}\z/, 'IPv6');
	$server->stop;
	like(notes('run'), qr/^PROTO=SSL$/m, 'the io program has it too');
	$server = serve({ env => { %clean, %leftover } }, $sslserver, '-1e', '-lme', ':0', '0', @env);
	$port = $server->{port};
	like($seen->($port), qr/\APROTO=TCP\n@{[ $ssl->('127.0.0.1', $port) ]}@{[ $tcp->('127.0.0.1', $port) ]}\z/, 'IPv4 with -e');
	like($seen->($port, '::1'), qr/\APROTO=TCP6\n@{[ $ssl->('::1', $port) ]}@{[ $tcp6->('::1', $port) ]}@{[ $tcp->('::1', $port) ]}\z/, 'IPv6 with -e');
	like(notes('run'), qr/^TLS_REPORT=full$/m, 'and asks for all variables');
	notes('check');
};

subtest 'options of sslserver for the io program' => sub {
	my $told = sub {
		my ($env, @options) = @_;
		my $server = serve({ env => { %clean, %$env } }, $sslserver, '-1', @options, '127.0.0.1', '0', 'true');
		ask($server->{port}, '');
		$server->stop;
		notes('check');
		return notes('run');
	};
	my $plain = $told->({}, '-RHPONSEZ', '-dD');
	unlike($plain, qr/TLS_TIMEOUT|TLS_REPORT/, 'defaults are its own');
	like($told->({}, '-s'), qr/^TLS_REPORT=full$/m, '-s');
	like($told->({ TLS_REPORT => 'short' }, '-S'), qr/^TLS_REPORT=short$/m, '-S leaves the environment alone');
	like($told->({}, '-T', '7'), qr/^TLS_TIMEOUT=7$/m, '-T');
	like($told->({}, '-w9'), qr/ -K 9000 /, '-w');
};

subtest 'not root' => sub {
	my $become = sub { if ($> == 0) { $( = $) = '1234 1234'; POSIX::setuid(1234) } };
	for my $case (
		[[], { SSL_UID => 1 }, 'change to another user'], [[], { TLS_UID => 1 }, 'change to another user'], [['-u1'], {}, 'change to another user'],
		[[], { SSL_GID => 1 }, 'change to another group'], [['-g1'], {}, 'change to another group'], [[], { SSL_CHROOT => '/' }, 'use SSL_CHROOT'],
		[[], { SSL_USER => 'root' }, 'change to another user'],
	) {
		my ($options, $env, $words) = @$case;
		my $result = run({ env => { %clean, %$env }, before => $become }, $sslserver, @$options, '127.0.0.1', '0', 'true');
		is($result->{exit}, 96, join(' ', @$options, %$env) . ': exit 96');
		is($result->{err}, "sslserver: fatal: unable to $words: not started as root\n", 'in words');
	}
	my $server = serve({ env => {%clean}, before => $become }, $sslserver, '-1', '127.0.0.1', '0', 'echo', 'x');
	is(ask($server->{port}, ''), "x\n", 'serves as itself');
	unlike(notes('run'), qr/TLS_[UG]ID/, 'without ids');
	$server->stop;
	notes('check');
};

subtest 'names of users' => sub {
	for my $case (['SSL_USER', 'use SSL_USER no-such-user: no such user'], ['SSL_GROUP', 'use SSL_GROUP no-such-user: no such group']) {
		my $result = run({ env => { %clean, $case->[0] => 'no-such-user' } }, $sslserver, '127.0.0.1', '0', 'true');
		is($result->{exit}, 96, "$case->[0]: exit 96");
		is($result->{err}, "sslserver: fatal: unable to $case->[1]\n", 'in words');
	}
	my $result = run({ env => { %clean, SSL_UID => 'nobody' } }, $sslserver, '127.0.0.1', '0', 'true');
	is($result->{exit} . $result->{err}, "96sslserver: fatal: unable to use SSL_UID: not a number\n", 'a name in SSL_UID');
};

SKIP: {
	skip 'not root', 1 unless $> == 0;
	subtest 'ids' => sub {
		my ($daemon, $daemon_gid) = (getpwnam 'daemon')[2, 3];
		my $conf = 65534;
		# options, environment; listener's uid, gid; prog's uid, gid; the io program's variables
		my %cases = (
			'root alone' => [[], {}, 0, 0, 0, 0, { TLS_UID => $conf, TLS_GID => $conf }],
			'-u and -g' => [['-u7', '-g8'], {}, 7, 8, 7, 8, { TLS_UID => 7, TLS_GID => 8 }],
			'-u alone' => [['-u7'], {}, 7, 0, 7, 0, { TLS_UID => 7 }],
			'-U' => [['-U'], { UID => 5, GID => 6 }, 5, 6, 5, 6, { TLS_UID => 5, TLS_GID => 6 }],
			'SSL_UID and -u' => [['-u7', '-g8'], { SSL_UID => 9, SSL_GID => 10 }, 0, 0, 7, 8, { SSL_UID => 9, SSL_GID => 10 }],
			'TLS_UID and -u' => [['-u7', '-g8'], { TLS_UID => 9 }, 0, 0, 7, 8, { TLS_UID => 9, TLS_GID => 8 }],
			'SSL_UID' => [[], { SSL_UID => 9 }, 0, 0, 0, 0, { SSL_UID => 9, TLS_GID => $conf }],
			'SSL_UID=0' => [[], { SSL_UID => 0 }, 0, 0, 0, 0, { SSL_UID => 0 }],
			'SSL_CHROOT' => [['-u7', '-g8'], { SSL_CHROOT => '/' }, 0, 0, 7, 8, { TLS_UID => 7, TLS_GID => 8 }],
			'SSL_CHROOT alone' => [[], { SSL_CHROOT => '/' }, 0, 0, 0, 0, { TLS_UID => $conf, TLS_GID => $conf }],
			'SSL_USER' => [[], { SSL_USER => 'daemon' }, 0, 0, 0, 0, { SSL_USER => 'daemon', SSL_UID => $daemon, SSL_GID => $daemon_gid }],
			'SSL_GROUP' => [[], { SSL_GROUP => 'daemon', SSL_UID => 3 }, 0, 0, 0, 0, { SSL_GROUP => 'daemon', SSL_UID => 3, SSL_GID => $daemon_gid }],
		);
		for my $name (sort keys %cases) {
			my ($options, $env, $uid, $gid, $prog_uid, $prog_gid, $io) = @{ $cases{$name} };
			my $server = serve({ env => { %clean, %$env } }, $sslserver, '-1', @$options, '127.0.0.1', '0', 'sh', '-c', 'echo $(id -u) $(id -g)');
			is(ask($server->{port}, ''), "$prog_uid $prog_gid\n", "$name: prog");
			like(slurp("/proc/$server->{pid}/status"), qr/^Uid:\t$uid\t$uid\t$uid\t$uid\nGid:\t$gid\t$gid\t$gid\t$gid\n/m, "$name: listener");
			$server->stop;
			for my $kind ('check', 'run') {
				my $told = notes($kind);
				my %ids = $told =~ /^((?:TLS|SSL)_(?:UID|GID|USER|GROUP))=(.*)$/mg;
				is_deeply(\%ids, $io, "$name: ids in the environment ($kind)");
				like($told, qr/^uid $uid gid $gid$/m, "$name: started as the listener ($kind)");
			}
		}
	};
}

subtest 'sslclient' => sub {
	my $server = serve(command('tcpserver'), '-1', '127.0.0.1', '0', 'sh', '-c', 'read line; echo "said $line"');
	my @call = ($sslclient, '-v', '-lme', '127.0.0.1', $server->{port});
	my $result = run({ env => {%clean}, in => 'typed' }, @call, 'sh', '-c', 'echo hello >&7; cat <&6; cat; exit 5');
	is($result->{out}, "said hello\ntyped", 'prog is behind the io program, with 0 and 1 as they were');
	is($result->{exit}, 5, 'exit code');
	is($result->{err}, "sslclient: connected to 127.0.0.1 port $server->{port}\n", '-v');
	my $told = notes('run');
	like($told, qr/\Atlsc-io (-v 2 )?-d \d+ -p \d+ .*-- 6 7\n|\Atlsc-io .*-- 6 7\n/, 'options of the io program');
	like($told, qr/ -k 127\.0\.0\.1 /, 'the server name');
	unlike($told, qr/TLS_VERIFY|TLS_REPORT/, 'defaults are its own');
	my $listed = run({ env => { %clean, TCPREMOTEIP => 'old' } }, @call, @env)->{out};
	like($listed, qr/\APROTO=SSL\nSSLLOCALHOST=me\nSSLLOCALIP=127\.0\.0\.1\nSSLLOCALPORT=\d+\nSSLREMOTEHOST=localhost\nSSLREMOTEIP=127\.0\.0\.1\nSSLREMOTEPORT=$server->{port}\n\z/, 'environment');
	notes('run');
	$listed = run({ env => {%clean} }, @call[0, 1], '-e', @call[2 .. 4], @env)->{out};
	like($listed, qr/\APROTO=TCP\nSSLLOCALHOST=me\n.*^TCPREMOTEPORT=$server->{port}\n\z/ms, 'environment with -e');
	like(notes('run'), qr/^TLS_REPORT=full$/m, 'which asks for all variables');
	my %verify = ('-N' => 'chain', '-X' => 'none', '-nx' => 'name', '-n' => 'name', '-x' => 'name', '-NX' => 'none', '-Nx' => 'chain');
	for my $letters (sort keys %verify) {
		run({ env => { %clean, TLS_VERIFY => 'old' } }, @call[0, 1], $letters, @call[2 .. 4], 'true');
		like(notes('run'), qr/^TLS_VERIFY=$verify{$letters}$/m, "$letters: TLS_VERIFY=$verify{$letters}");
	}
	my %names = ('localhost' => 'localhost', '[127.0.0.1]' => '127.0.0.1', '' => '127.0.0.1', '0' => '127.0.0.1');
	for my $host (sort keys %names) {
		run({ env => {%clean} }, $sslclient, $host, $server->{port}, 'true');
		like(notes('run'), qr/ -k \Q$names{$host}\E /, "'$host': name $names{$host}");
	}
	run({ env => { %clean, TLS_PEERNAME => 'other' } }, @call, 'true');
	unlike(notes('run'), qr/ -k /, 'TLS_PEERNAME wins');
	run({ env => {%clean} }, $sslclient, '-w5', @call[1 .. 4], 'true');
	like(notes('run'), qr/ -K 5000 /, '-w');
	if ($> == 0) {
		run({ env => {%clean} }, @call, 'true');
		like(notes('run'), qr/^TLS_GID=65534\nTLS_UID=65534$/m, 'as root: the io program becomes nobody');
	}
};

subtest 'sslcat' => sub {
	my $server = serve(command('tcpserver'), '-1', '127.0.0.1', '0', 'printf', 'one\ntwo');
	my $result = run({ env => {%clean} }, "$folder/sslcat", '127.0.0.1', $server->{port}, '-N', '-v');
	is($result->{out}, "one\ntwo", 'prints what comes');
	is($result->{exit}, 0, 'exit 0');
	like(notes('run'), qr/^TLS_VERIFY=chain$/m, 'with its options');
	like($result->{err}, qr/\Asslclient: connected to/, 'all of them');
};

done_testing;
