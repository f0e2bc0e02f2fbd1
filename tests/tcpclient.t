#!/usr/bin/perl
# tcpclient from outside: where it connects to, what prog gets, and what it says when nobody answers.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Bear;
use IO::Socket::IP;
use POSIX ();
use Test::More;
use Time::HiRes qw(time);

my $tcpclient = command('tcpclient');
my $show_descriptors = 'for (0..63) { my $l = readlink "/proc/self/fd/$_"; print "$_ $l\n" if defined $l }';
my @env = ('sh', '-c', 'env | grep -E "^(PROTO=|TCP|SSL[A-Z])"');
my $nobody = { env => { DNSCACHEIP => '127.0.0.1:9' } };

# Listening sockets whose connections nobody accepts: enough for what the client says.
sub listener {
	my ($host, $backlog) = @_;
	return IO::Socket::IP->new(LocalHost => $host, LocalPort => 0, Listen => $backlog || 200, ReuseAddr => 1) || die "$host: $@";
}

sub variables { return join '', sort grep { /^(PROTO=|TCP|SSL[A-Z])/ } split /^/, $_[0] }

my $four = listener('127.0.0.1');
my $port = $four->sockport;
my $six = IO::Socket::IP->new(LocalHost => '::1', LocalPort => $port, Listen => 200, V6Only => 1);

subtest 'the conversation' => sub {
	my $server = serve(command('tcpserver'), '-1', '127.0.0.1', '0', 'sh', '-c', 'read line; echo "said $line"');
	my $result = run({ in => 'typed' }, $tcpclient, '-v', '127.0.0.1', $server->{port}, 'sh', '-c', 'echo hello >&7; cat <&6; cat; exit 5');
	is($result->{out}, "said hello\ntyped", 'on 6 and 7, with 0 and 1 as they were');
	is($result->{exit}, 5, 'the exit code is that of prog');
	is($result->{err}, "tcpclient: connected to 127.0.0.1 port $server->{port}\n", '-v');
};

subtest 'what prog starts with' => sub {
	my $result = run($tcpclient, '127.0.0.1', $port, 'perl', '-e', $show_descriptors);
	like($result->{out}, qr{\A0 /dev/null\n1 \S+\n2 \S+\n6 socket:\[(\d+)\]\n7 socket:\[\1\]\n\z}, 'descriptors');
	$result = run({ before => sub { POSIX::close(0); POSIX::close(2) } }, $tcpclient, '127.0.0.1', $port, 'perl', '-e', $show_descriptors);
	like($result->{out}, qr{\A0 /dev/null\n1 \S+\n2 /dev/null\n6 socket:\[(\d+)\]\n7 socket:\[\1\]\n\z}, 'descriptors, 0 and 2 closed');
	# The lowest free descriptor is then the one where the connection has to be.
	for my $low (6, 7) {
		my $fill = sub { POSIX::dup2(0, $_) for grep { $_ != $low } 3 .. 7 };
		$result = run({ before => $fill }, $tcpclient, '127.0.0.1', $port, 'perl', '-e', $show_descriptors);
		like($result->{out}, qr{^5 /dev/null\n6 socket:\[(\d+)\]\n7 socket:\[\1\]\n\z}m, "descriptors up to 7 taken but $low");
	}
	my $leftover = { map { $_ => 'old' } qw(TCPREMOTEINFO TCPREMOTEHOST TCPLOCALHOST TCP6REMOTEIP TCP6INTERFACE SSLREMOTEIP) };
	$result = run({ env => $leftover }, $tcpclient, 'localhost', $port, @env);
	like(variables($result->{out}), qr/\APROTO=TCP\nTCPLOCALHOST=localhost\nTCPLOCALIP=127\.0\.0\.1\nTCPLOCALPORT=\d+\nTCPREMOTEHOST=localhost\nTCPREMOTEIP=127\.0\.0\.1\nTCPREMOTEPORT=$port\n\z/, 'environment');
	$result = run($tcpclient, '-6', '-Hlme', 'localhost', $port, @env);
	like(variables($result->{out}), qr/\APROTO=TCP6
TCP6LOCALHOST=me
TCP6LOCALIP=::1
TCP6LOCALPORT=(\d+)
TCP6REMOTEIP=::1
TCP6REMOTEPORT=$port
TCPLOCALHOST=me
TCPLOCALIP=::1
TCPLOCALPORT=\1
TCPREMOTEIP=::1
TCPREMOTEPORT=$port
\z/, 'environment, IPv6, -l and -H');
	$result = run($tcpclient, '127.0.0.1', $port, 'perl', '-MFcntl', '-e', 'open my $s, "+<&=6"; print fcntl($s, F_GETFL, 0) & O_NONBLOCK ? 1 : 0, unpack "i", getsockopt($s, 6, 1)');
	is($result->{out}, '01', 'blocking, with TCP_NODELAY');
	$result = run($tcpclient, '-d', '127.0.0.1', $port, 'perl', '-e', 'open my $s, "+<&=6"; print unpack "i", getsockopt($s, 6, 1)');
	is($result->{out}, '0', 'without it after -d');
};

subtest 'source' => sub {
	# A port that is free now may be somebody else's in a moment: other tests run, too.
	my $from_free_port = sub {
		my ($from, $result);
		for (1 .. 10) {
			my $free = listener('127.0.0.1');
			$from = $free->sockport;
			close $free;
			$result = run($tcpclient, '-p', $from, @_, $port, @env);
			last unless $result->{err} =~ /Address already in use/;
		}
		return ($result, $from);
	};
	my ($result, $from) = $from_free_port->('-i', '127.0.0.2', '127.0.0.1');
	like($result->{out}, qr/^TCPLOCALIP=127\.0\.0\.2$/m, '-i');
	like($result->{out}, qr/^TCPLOCALPORT=$from$/m, '-p');
	($result, $from) = $from_free_port->('::1');
	like($result->{out}, qr/^TCPLOCALPORT=$from$/m, '-p alone goes with IPv6');
	$result = run($tcpclient, '-i', '192.0.2.7', '127.0.0.1', $port, @env);
	is($result->{exit}, 111, '-i of somebody else: exit 111');
	is($result->{err}, "tcpclient: unable to connect to 127.0.0.1 port $port: Cannot assign requested address\n", 'in words');
	$result = run($tcpclient, '-i', '::1', '127.0.0.1', $port, @env);
	is($result->{err}, "tcpclient: unable to connect to 127.0.0.1 port $port: Address family not supported by protocol\n", '-i of the other family');
};

subtest 'hosts' => sub {
	my %reached = ('0' => '127.0.0.1', '' => '127.0.0.1', '[127.0.0.1]' => '127.0.0.1', '[::1]' => '::1', '::ffff:127.0.0.1' => '127.0.0.1',
		'localhost' => '127.0.0.1', 'any.localhost.' => '127.0.0.1', 'LOCALHOST' => '127.0.0.1');
	for my $host (sort keys %reached) {
		like(run($nobody, $tcpclient, $host, $port, @env)->{out}, qr/^TCPREMOTEIP=\Q$reached{$host}\E$/m, "'$host' is $reached{$host}");
	}
	my ($known) = grep { $_ ne 'localhost' } map { (split)[1] } grep { /^127\.0\.0\.1\s/ } split /\n/, slurp('/etc/hosts');
	SKIP: {
		skip 'no name of 127.0.0.1 in /etc/hosts', 1 unless $known;
		like(run($nobody, $tcpclient, '-4', $known, $port, @env)->{out}, qr/^TCPREMOTEIP=127\.0\.0\.1$/m, "$known is in /etc/hosts");
	}
	my $result = run($nobody, $tcpclient, 'no-such-host.invalid', $port, 'true');
	is($result->{exit}, 111, 'a name that is not found: exit 111');
	like($result->{err}, qr/\Atcpclient: fatal: unable to look up no-such-host\.invalid: .+\n\z/, 'in words');
	is(run($nobody, $tcpclient, '-q', 'no-such-host.invalid', $port, 'true')->{err}, '', 'or silently with -q');
	$result = run($nobody, $tcpclient, 'a' x 64 . '.invalid', $port, 'true');
	is($result->{exit}, 111, 'a label of 64 bytes: exit 111');
	like(run({ env => { DNSCACHEIP => 'what' } }, $tcpclient, 'some.invalid', $port, 'true')->{err}, qr/: DNSCACHEIP is not a list of IP addresses\n\z/, 'DNSCACHEIP in words');
};

# A name server of our own: answers A for two.test with 127.0.0.3 and 127.0.0.1, nothing for AAAA and for other names.
subtest 'names from DNS' => sub {
	my $socket = IO::Socket::IP->new(LocalHost => '127.0.0.1', LocalPort => 0, Proto => 'udp');
	my $pid = fork;
	if (!$pid) {
		while ($socket->recv(my $query, 512)) {
			my ($id, $name, $type) = unpack 'n x10 Z* n', $query;
			my $found = $name eq "\3two\4test";
			my $answers = $found && $type == 1 ? join '', map { pack 'nnnNnC4', 0xc00c, 1, 1, 60, 4, 127, 0, 0, $_ } 3, 1 : '';
			my $question = substr $query, 12, length($name) + 5;
			$socket->send(pack('n6', $id, 0x8180 | ($found ? 0 : 3), 1, length($answers) / 16, 0, 0) . $question . $answers);
		}
		POSIX::_exit(0);
	}
	my $server = { env => { DNSCACHEIP => '127.0.0.1:' . $socket->sockport } };
	my $result = run($server, $tcpclient, '-v', 'two.test', $port, @env);
	like($result->{out}, qr/^TCPREMOTEIP=127\.0\.0\.1$/m, 'the address that answers is taken');
	$result = run($server, $tcpclient, 'two.test', 1, @env);
	is($result->{exit}, 111, 'none answers: exit 111');
	like($result->{err}, qr/127\.0\.0\.3 port 1: Connection refused/, 'the first is named');
	like($result->{err}, qr/127\.0\.0\.1 port 1: Connection refused/, 'the second is named');
	$result = run($server, $tcpclient, 'none.test', $port, @env);
	like($result->{err}, qr/\Atcpclient: fatal: unable to look up none\.test: .+\n\z/, 'a name that does not exist');
	kill 'KILL', $pid;
	waitpid $pid, 0;
};

subtest 'what cannot be done' => sub {
	my $closed = listener('127.0.0.1');
	my $refused = $closed->sockport;
	close $closed;
	my $result = run($tcpclient, '127.0.0.1', $refused, 'true');
	is($result->{exit}, 111, 'refused: exit 111');
	is($result->{err}, "tcpclient: unable to connect to 127.0.0.1 port $refused: Connection refused\n", 'in words');
	$result = run($tcpclient, '-q', '127.0.0.1', $refused, 'true');
	is($result->{exit} . $result->{err}, '111', 'or silently with -q');
	$result = run($tcpclient, 'localhost', $refused, 'true');
	is($result->{err}, "tcpclient: unable to connect to 127.0.0.1 port $refused: Connection refused\ntcpclient: unable to connect to ::1 port $refused: Connection refused\n", 'every address is named');
	$result = run($tcpclient, '127.0.0.1', 'no-such-service', 'true');
	is($result->{exit}, 111, 'unknown port: exit 111');
	is($result->{err}, "tcpclient: fatal: unable to figure out the port number of no-such-service: neither a number nor a TCP service\n", 'in words');
	$result = run($tcpclient, '127.0.0.1', $port, '/nonexistent/program');
	is($result->{exit}, 111, 'prog does not exist: exit 111');
	is($result->{err}, "tcpclient: fatal: unable to run /nonexistent/program: No such file or directory\n", 'in words');
};

subtest 'the other address is tried' => sub {
	my $only_six = IO::Socket::IP->new(LocalHost => '::1', LocalPort => 0, Listen => 5, V6Only => 1);
	my $result = run($tcpclient, 'localhost', $only_six->sockport, @env);
	like($result->{out}, qr/^TCPREMOTEIP=::1$/m, 'localhost that listens on ::1 only');
};

subtest 'time' => sub {
	# A full queue of connections: the kernel drops what comes after it, so connecting takes for ever.
	my $full = listener('127.0.0.1', 1);
	my @waiting = map { IO::Socket::IP->new(PeerHost => '127.0.0.1', PeerPort => $full->sockport, Timeout => 0.2) } 1 .. 4;
	SKIP: {
		skip 'connections do not queue here', 2 if $waiting[-1];
		my $begin = time;
		my $result = run({ timeout => 8 }, $tcpclient, '-T', '1+1', '127.0.0.1', $full->sockport, 'true');
		my $took = time - $begin;
		is($result->{err}, 'tcpclient: unable to connect to 127.0.0.1 port ' . $full->sockport . ": Connection timed out\n", '-T in words');
		ok($took > 1.9 && $took < 4, "x+y seconds for one address ($took)");
	}
};

done_testing;
