#!/usr/bin/perl
# The options that tcpserver and sslserver share, seen at both: what they bind to, inherited sockets, banners, IP options, names, the lines of
# -V, signals. Happens in a network of its own where that can be made, as some of it needs ports and addresses that are somebody else's.
use strict;
use warnings;
use Cwd qw(abs_path);
use Fcntl qw(F_DUPFD);
use FindBin;
use lib "$FindBin::Bin/lib";
use Bear;
use BearTls;
use IO::Select;
use IO::Socket::IP;
use IO::Socket::UNIX;
use POSIX ();
use Socket qw(inet_pton AF_INET AF_INET6);
use Test::More;
use Time::HiRes qw(sleep time);

# The outer test only starts itself anew in another network: as root, else as root of a user namespace.
if (!$ENV{SERVERS_INSIDE}) {
	my @apart = grep { !system "unshare $_ true 2>/dev/null" } '-n', '-rn';
	if (@apart) {
		system 'unshare', $apart[0], 'env', 'SERVERS_INSIDE=apart', $^X, abs_path($0);
		exit($? ? 1 : 0);
	}
	$ENV{SERVERS_INSIDE} = 'shared';
}
my $apart = $ENV{SERVERS_INSIDE} eq 'apart';
if ($apart) {
	system('ip', 'link', 'set', 'lo', 'up') == 0 or BAIL_OUT('ip');
	$apart = 0 if system 'ip link add bear0 type veth peer name bear1 2>/dev/null && ip link set bear1 up && ip link set bear0 up && ip addr add fe80::bea6/64 dev bear0 nodad';
}

my $pair = pair('server-p256');
my @forms = (
	{ name => 'tcpserver', ended => 'end', limit => '', ask => \&ask, letters => '-1v' },
	{ name => 'sslserver', ended => 'ended by', limit => '/0', ask => \&ask_tls, letters => '-1v' },
);

# As ask, through TLS.
sub ask_tls {
	my ($port, $text, $host) = @_;
	my $result = run({ in => $text, env => { CAFILE => file('root.pem'), TLS_PEERNAME => 'localhost' } }, command('sslclient'), '-RHl0', '-T5', $host || '127.0.0.1',
		$port, 'sh', '-c', 'cat >&7; exec 7>&-; cat <&6');
	return $result->{out};
}

# A server of a form, with its own letters in front of what is given.
sub server {
	my ($form, $options, @arguments) = @_;
	return serve({ %$options, env => { %$pair, %{ $options->{env} || {} } } }, command($form->{name}), $form->{letters}, @arguments);
}

sub failure {
	my ($form, $options, @arguments) = @_;
	return run({ %$options, env => { %$pair, %{ $options->{env} || {} } } }, command($form->{name}), @arguments);
}

sub both {
	my ($name, $test) = @_;
	for my $form (@forms) {
		subtest "$form->{name}: $name" => sub { $test->($form) };
	}
}

# ---- where they listen ----

both 'binding' => sub {
	my ($form) = @_;
	my @cases = (
		[['0'], '127.0.0.1', '::1'], [[''], '127.0.0.1', '::1'], [['0.0.0.0'], '127.0.0.1', '::1'], [['127.0.0.1'], '127.0.0.1', '127.0.0.2'], [['127.000.000.2'], '127.0.0.2', '127.0.0.1'],
		[['localhost'], '127.0.0.1'], [['-6', 'localhost'], '::1', '127.0.0.1'], [['::1'], '::1', '127.0.0.1'], [['[::1]'], '::1'], [['0000:0000::0001'], '::1'],
		[['0:0:0:0:0:0:0:1'], '::1'], [['::ffff:127.0.0.1'], '127.0.0.1', '::1'], [['::FFFF:7f00:1'], '127.0.0.1'], [['::'], '::1', '127.0.0.1'], [['0::0'], '::1', '127.0.0.1'],
		[['-6', '0'], '::1', '127.0.0.1'], [[':0'], '::1'], [[':0'], '127.0.0.1'], [['-4', ':0'], '127.0.0.1', '::1'], [['-6', ':0'], '::1', '127.0.0.1'],
	);
	for my $case (@cases) {
		my ($words, $reached, $not_reached) = @$case;
		my $server = server($form, {}, @$words, '0', 'echo', 'here');
		is($form->{ask}->($server->{port}, '', $reached), "here\n", "'@$words' is reached at $reached");
		is(connect_to($server->{port}, $not_reached), undef, "and not at $not_reached") if $not_reached;
		$server->stop;
	}
	SKIP: {
		skip 'no network of our own', 2 unless $apart;
		my $server = server($form, {}, '127.0.0.1', 'https', 'echo', 'here');
		is($server->{port}, 443, 'a service by name');
		is($form->{ask}->('https', '', '127.0.0.1'), "here\n", 'is reached by name');
		$server->stop;
	}
};

both 'link-local addresses' => sub {
	my ($form) = @_;
	for my $case ([['-I', 'lo', '127.0.0.1'], '127.0.0.1', 'only a link-local address can have an interface (-I)'], [['-I', 'lo', '::'], '::', 'only a link-local address can have an interface (-I)'],
		[['-I', 'nowhere7', 'fe80::1'], 'fe80::1', 'there is no interface of that name (-I)']) {
		my ($words, $host, $why) = @$case;
		my $result = failure($form, {}, @$words, '0', 'true');
		is($result->{exit}, 111, "@$words: exit 111");
		is($result->{err}, "$form->{name}: fatal: unable to look up $host: $why\n", 'in words');
	}
	SKIP: {
		skip 'no network of our own', 7 unless $apart;
		for my $words (['-I', 'bear0', 'fe80::bea6'], ['fe80::bea6%bear0'], ['-Ibear0', '[fe80::bea6%bear0]']) {
			my $server = server($form, {}, $form->{name} eq 'sslserver' ? '-e' : (), @$words, '0', 'env');
			like($form->{ask}->($server->{port}, '', 'fe80::bea6%bear0'), qr/^TCP6INTERFACE=bear0$/m, "@$words");
			ok($server->wait_for_log(qr/(from fe80::bea6\n)/), 'in the log') if ($words->[1] // '') eq 'bear0';
			$server->stop;
		}
		is(failure($form, {}, 'fe80::bea6', '0', 'true')->{exit}, 111, 'without an interface: exit 111');
		my $result = failure($form, {}, '-Ibear0', 'fe80::bea6%lo', '0', 'true');
		is($result->{exit}, 111, 'two interfaces: exit 111');
		like($result->{err}, qr/the address is of another interface than -I says\n\z/, 'in words');
	}
};

# ---- inherited sockets ----

# Puts a socket on a descriptor for the program that follows.
sub passing {
	my ($socket, $descriptor) = @_;
	my $from = fileno $socket;
	return sub { POSIX::dup2($from, $descriptor) };
}

# What is started has 3 to 63 closed before it can do anything, so a socket for it waits above.
sub high {
	my ($socket) = @_;
	my $fd = fcntl($socket, F_DUPFD, 70) or die "fcntl: $!";
	open my $moved, '+<&=', $fd + 0 or die "descriptor $fd: $!";
	return $moved;
}

both 'inherited sockets' => sub {
	my ($form) = @_;
	my $socket = IO::Socket::IP->new(LocalHost => '127.0.0.1', LocalPort => 0, Listen => 5) or die "socket: $@";
	my $moved = high($socket);
	for my $n (3, 0, 9) {
		my $server = server($form, { before => passing($moved, $n), env => { LISTEN_PID => 1, LISTEN_FDS => 1, LISTEN_FDNAMES => 'x' } }, "fd:$n", 'ignored',
			'sh', '-c', 'env | grep ^LISTEN; ls -l /proc/self/fd | grep -c socket:');
		is($server->{port}, $socket->sockport, "fd:$n: -1 says its port");
		is($form->{ask}->($server->{port}, ''), $form->{name} eq 'tcpserver' ? "1\n" : "0\n", 'it serves, without LISTEN_ variables, and prog has no listening socket');
		is($server->stop->{exit}, 0, 'exit 0');
	}
	my $server = server($form, { before => passing($moved, 3) }, 'fd:3', '0', 'echo', 'one');
	$server->stop;
	my $waiting = connect_to($socket->sockport);
	ok($waiting, 'while no server runs, connections are made');
	$server = server($form, { before => passing($moved, 3) }, 'fd:3', '0', 'echo', 'two');
	is($form->{name} eq 'tcpserver' ? read_all($waiting) : $form->{ask}->($socket->sockport, ''), "two\n", 'and then served');
	$server->stop;

	my %none = (
		'fd:' => 'not a number of a descriptor', 'fd:x' => 'not a number of a descriptor', 'fd:-1' => 'not a number of a descriptor', 'fd:3x' => 'not a number of a descriptor',
		'fd:99999999999' => 'not a number of a descriptor', 'fd:33' => 'not open', 'fd:1' => 'not a TCP socket',
	);
	for my $host (sort keys %none) {
		my $result = failure($form, {}, $host, '0', 'true');
		is($result->{exit}, 111, "'$host': exit 111");
		is($result->{err}, "$form->{name}: fatal: unable to listen on descriptor " . substr($host, 3) . ": $none{$host}\n", 'in words');
	}
	close $moved;
	my @others = (
		['a UDP socket', IO::Socket::IP->new(LocalHost => '127.0.0.1', LocalPort => 0, Proto => 'udp'), 'not a TCP socket'],
		['a connection', connect_to($socket->sockport), 'not a listening socket'],
		['a socket of the file system', IO::Socket::UNIX->new(Local => temporary("socket-$form->{name}"), Listen => 1), 'not a TCP socket'],
		['-6 with IPv4', $socket, 'not an IPv6 socket (-6)', '-6'], ['-4 with IPv6', IO::Socket::IP->new(LocalHost => '::1', LocalPort => 0, Listen => 5), 'not an IPv4 socket (-4)', '-4'],
		['-I', $socket, 'an inherited socket is bound already (-I)', '-Ilo'],
	);
	for my $other (@others) {
		my ($name, $handle, $why, @letters) = @$other;
		my $passed = high($handle);
		my $result = failure($form, { before => passing($passed, 3) }, @letters, 'fd:3', '0', 'true');
		is($result->{exit}, 111, "$name: exit 111");
		is($result->{err}, "$form->{name}: fatal: unable to listen on descriptor 3: $why\n", 'in words');
		close $passed;
	}
};

# ---- what they say to the client ----

both '-B' => sub {
	my ($form) = @_;
	my $server = server($form, {}, '-B', "220 hello\r\n", '127.0.0.1', '0', 'sh', '-c', 'echo prog; cat');
	is($form->{ask}->($server->{port}, 'x'), "220 hello\r\nprog\nx", 'comes before what prog says');
	$server->stop;
	my $long = 'b' x 100_000;
	$server = server($form, {}, '-B', $long, '127.0.0.1', '0', 'echo', 'prog');
	is($form->{ask}->($server->{port}, ''), "${long}prog\n", 'also a long one');
	$server->stop;
	if ($form->{name} eq 'sslserver') {
		$server = server($form, {}, '-B', 'in clear', '127.0.0.1', '0', 'echo', 'prog');
		unlike(ask($server->{port}, "EHLO me\r\n"), qr/clear|prog/, 'never before TLS');
		ok($server->wait_for_log(qr/ended by \d+ status (25088)\n/), 'and without it there is none');
	} else {
		my $dns = name_server(sub { return undef });
		$server = server($form, { env => { DNSCACHEIP => "127.0.0.1:$dns->{port}" } }, '-t3', '-B', "hello\n", '127.0.0.1', '0', 'echo', 'prog');
		my $socket = IO::Socket::IP->new(PeerHost => '127.0.0.1', PeerPort => $server->{port}, LocalHost => '127.0.0.7');
		is(read_line($socket, 1), 'hello', 'before names are looked up');
		is(read_line($socket, 0.2), undef, 'which takes its time');
		is(read_line($socket, 5), 'prog', 'and then prog');
	}
};

subtest 'tcpserver: -B and a client that does not read' => sub {
	my $server = server($forms[0], {}, '-B', 'x' x 120_000, '127.0.0.1', '0', 'echo', 'prog');
	my $socket = IO::Socket::INET->new(Proto => 'tcp');
	setsockopt $socket, Socket::SOL_SOCKET(), Socket::SO_RCVBUF(), 2048;
	connect $socket, Socket::pack_sockaddr_in($server->{port}, Socket::inet_aton('127.0.0.1')) or die "connect: $!";
	is(ask($server->{port}, '') =~ tr/x//, 120_000, 'holds up nobody else');
};

# ---- IP options ----

# Connects with a record of the route in the options of its packets, and shows what the server's answers would carry.
both '-o and -O' => sub {
	my ($form) = @_;
	for my $case (['-O', '-O', 0], ['by default', '-d', 0], ['-o', '-o', 1]) {
		my ($name, $letter, $kept) = @$case;
		my $seen = temporary("options-$form->{name}");
		my $show = 'open my $s, "+<&=0"; my $o = getsockopt($s, 0, 4); open my $f, ">", $ARGV[0]; print $f defined $o ? length $o : "none"';
		# The prog of sslserver does not have the socket.
		if ($form->{name} eq 'sslserver') {
			SKIP: {
				skip 'no strace', 1 if system 'strace -o /dev/null true 2>/dev/null';
				my $trace = temporary("trace$letter");
				my $server = serve({ env => $pair }, 'strace', '-f', '-o', $trace, '-e', 'trace=setsockopt', command('sslserver'), '-1', $letter, '127.0.0.1', '0', 'true');
				ask($server->{port}, 'x');
				kill 'TERM', split ' ', slurp("/proc/$server->{pid}/task/$server->{pid}/children");
				$server->wait_for_end(5);
				my $killed = slurp($trace) =~ /IP_OPTIONS, NULL, 0/ ? 1 : 0;
				is($killed, 1 - $kept, "$name");
			}
			next;
		}
		my $server = server($form, {}, $letter, '127.0.0.1', '0', 'perl', '-e', $show, $seen);
		my $socket = IO::Socket::INET->new(Proto => 'tcp');
		setsockopt $socket, 0, 4, pack('C4 x20 C', 1, 7, 23, 4, 0) or die "IP_OPTIONS: $!";    # nop, record route (RFC 791 3.1)
		connect $socket, Socket::pack_sockaddr_in($server->{port}, Socket::inet_aton('127.0.0.1')) or die "connect: $!";
		$socket->shutdown(1);
		read_all($socket);
		my $length = slurp($seen);
		if ($kept) { cmp_ok($length, '>', 0, "$name: kept") }
		else       { ok($length eq '0', "$name: taken off") or diag($length) }
		$server->stop;
	}
};

# ---- names ----

# A name server in clear UDP: what it is asked goes to answer, which gives a name for a reverse name, an address for a name, or undef for silence.
sub name_server {
	my ($answer) = @_;
	my $udp = IO::Socket::IP->new(LocalHost => '127.0.0.1', LocalPort => 0, Proto => 'udp') or die "$@";
	my $log = spew(temporary('asked' . $udp->sockport), '');
	my $own = high($udp);
	my $server = start({ before => sub { serve_names($own, $answer, $log) } }, 'true');
	return { port => $udp->sockport, log => $log, server => $server };
}

sub serve_names {
	my ($udp, $answer, $log) = @_;
	open my $asked, '>>', $log or POSIX::_exit(1);
	$asked->autoflush(1);
	while (1) {
		my $from = recv($udp, my $query, 512, 0) // POSIX::_exit(1);
		my ($at, @labels) = (12);
		while (my $n = ord substr $query, $at, 1) { push @labels, substr $query, $at + 1, $n; $at += $n + 1 }
		my ($name, $type) = (join('.', @labels), unpack 'n', substr $query, $at + 1, 2);
		print $asked "$name\n";
		my $found = $answer->($name, $type);
		next unless defined $found;
		my $record = $found eq '' ? '' : $type == 12 ? join('', map { pack 'C/a', $_ } split /\./, $found) . "\0" : inet_pton($type == 1 ? AF_INET : AF_INET6, $found);
		my $question = substr $query, 12, $at + 5 - 12;
		send $udp, pack('nn5', unpack('n', $query), $record eq '' ? 0x8183 : 0x8180, 1, $record eq '' ? 0 : 1, 0, 0) . $question . ($record eq '' ? '' : pack('nnnNn/a', 0xc00c, $type, 1, 60, $record)), 0, $from;
	}
}

my %zone = ('8.0.0.127.in-addr.arpa' => 'client.test', '9.0.0.127.in-addr.arpa' => 'server.test', '7.0.0.127.in-addr.arpa' => 'liar.test', 'client.test' => '127.0.0.8', 'liar.test' => '127.0.0.1');

both 'names' => sub {
	my ($form) = @_;
	my $dns = name_server(sub { my ($name) = @_; return $name =~ /\A6\./ ? undef : $zone{ lc $name } // '' });
	my $fast = { DNSCACHEIP => "127.0.0.1:$dns->{port}", map { $_ => undef } qw(LOCALDOMAIN DNSREWRITEFILE) };
	my $prefix = $form->{name} eq 'tcpserver' ? 'TCP' : 'SSL';
	my $seen = sub {
		my ($from, @letters) = @_;
		my $server = server($form, { env => $fast }, @letters, '127.0.0.9', '0', 'env');
		my $text;
		if ($form->{name} eq 'tcpserver') {
			my $socket = IO::Socket::IP->new(PeerHost => '127.0.0.9', PeerPort => $server->{port}, LocalHost => $from) or die "$@";
			$text = read_all($socket);
		} else {
			$text = run({ env => { CAFILE => file('root.pem'), TLS_PEERNAME => 'localhost' } }, command('sslclient'), '-RHl0', '-i', $from, '127.0.0.9', $server->{port}, 'sh', '-c', 'cat <&6')->{out};
		}
		my ($line) = $server->wait_for_log(qr/ ok \d+ (.*)\n/);
		$line =~ s/:\d+(?= |\z)/:N/g;
		$server->stop;
		return join(' ', sort $text =~ /^$prefix((?:LOCAL|REMOTE)(?:HOST|INFO)=.*)$/mg) . " | $line";
	};
	is($seen->('127.0.0.8'), 'LOCALHOST=server.test REMOTEHOST=client.test | server.test:127.0.0.9:N client.test:127.0.0.8::N', 'both are looked up');
	is($seen->('127.0.0.8', '-H'), 'LOCALHOST=server.test | server.test:127.0.0.9:N :127.0.0.8::N', '-H');
	is($seen->('127.0.0.8', '-Hh', '-lmine'), 'LOCALHOST=mine REMOTEHOST=client.test | mine:127.0.0.9:N client.test:127.0.0.8::N', '-h, -l');
	is($seen->('127.0.0.7', '-l0'), 'LOCALHOST=0 REMOTEHOST=liar.test | 0:127.0.0.9:N liar.test:127.0.0.7::N', 'a name that is not its own');
	is($seen->('127.0.0.7', '-p', '-l0'), 'LOCALHOST=0 | 0:127.0.0.9:N :127.0.0.7::N', '-p');
	is($seen->('127.0.0.8', '-p', '-l0'), 'LOCALHOST=0 REMOTEHOST=client.test | 0:127.0.0.9:N client.test:127.0.0.8::N', '-p and an honest name');
	is($seen->('127.0.0.7', '-pP', '-l0'), 'LOCALHOST=0 REMOTEHOST=liar.test | 0:127.0.0.9:N liar.test:127.0.0.7::N', '-P');
	my $begin = time;
	is($seen->('127.0.0.6', '-t1', '-l0'), 'LOCALHOST=0 | 0:127.0.0.9:N :127.0.0.6::N', 'a silent name server');
	cmp_ok(time - $begin, '<', 3, 'costs the seconds of -t');
	spew($dns->{log}, '');
	$seen->('127.0.0.8', '-H', '-l0');
	is(slurp($dns->{log}), '', 'with -H and -l nobody is asked');

	my $server = server($form, { env => $fast }, '-l0', '127.0.0.9', '0', 'echo', 'x');
	my @slow = map { IO::Socket::IP->new(PeerHost => '127.0.0.9', PeerPort => $server->{port}, LocalHost => '127.0.0.6') } 1 .. 5;
	ok(wait_until(sub { my @from = $server->log =~ /from 127\.0\.0\.6/g; @from == 5 }, 5), 'five that wait for their names');
	$begin = time;
	is($form->{ask}->($server->{port}, '', '127.0.0.9'), "x\n", 'do not keep the next one');
	cmp_ok(time - $begin, '<', 2, 'waiting');
	$server->stop;

	SKIP: {
		skip 'no network of our own', 3 unless $apart;
		my $ident = IO::Socket::IP->new(LocalHost => '127.0.0.8', LocalPort => 113, Listen => 5, ReuseAddr => 1) or die "$@";
		my $own = high($ident);
		my $answering = start({ before => sub {
			while (accept my $one, $own) { my $line = read_line($one, 5) // ''; $line =~ s/\r//; syswrite $one, "$line : USERID : UNIX : joe\e:x\r\n" }
		} }, 'true');
		is($seen->('127.0.0.8', '-Hr', '-l0'), 'LOCALHOST=0 REMOTEINFO=joe??x | 0:127.0.0.9:N :127.0.0.8:joe??x:N', '-r, cleaned');
		is($seen->('127.0.0.8', '-HrR', '-l0'), 'LOCALHOST=0 | 0:127.0.0.9:N :127.0.0.8::N', '-R');
		is($seen->('127.0.0.8', '-H', '-l0'), 'LOCALHOST=0 | 0:127.0.0.9:N :127.0.0.8::N', 'the default');
		$answering->stop;
		close $ident;
	}
	$dns->{server}->stop;
};

# Who asks is seen while a name server is silent.
both 'who asks for names' => sub {
	my ($form) = @_;
	plan skip_all => 'not root' unless $> == 0 && slurp('/proc/self/uid_map') =~ /4294967295/;
	my $dns = name_server(sub { return undef });
	for my $case ([[], {}, 65534, 65534], [['-u41234', '-g42345'], {}, 41234, 42345], [['-u41234', '-g42345'], { SSL_UID => 43456 }, 41234, 42345]) {
		my ($letters, $env, $uid, $gid) = @$case;
		my $key = spew(temporary('key-for-all'), slurp(file('server-p256.key')));
		chmod 0644, $key;
		my $server = server($form, { env => { %$env, KEYFILE => $key, DNSCACHEIP => "127.0.0.1:$dns->{port}" } }, '-t20', @$letters, '127.0.0.9', '0', 'true');
		my $socket = IO::Socket::IP->new(PeerHost => '127.0.0.9', PeerPort => $server->{port}, LocalHost => '127.0.0.8');
		my $pid = $server->wait_for_log(qr/pid (\d+) from/);
		my $asker = wait_until(sub { my ($child) = slurp("/proc/$pid/task/$pid/children") =~ /(\d+)/; $child && slurp("/proc/$child/status") =~ /^Uid:\t$uid\t/m ? $child : 0 }, 5);
		ok($asker, "@$letters @{[ %$env ]}: is uid $uid");
		like(slurp('/proc/' . ($asker || 0) . '/status'), qr/^Gid:\t$gid\t$gid\t$gid\t$gid\nFDSize:.*\nGroups:\t \n/m, 'without other groups');
		$server->stop;
	}
	$dns->{server}->stop;
};

# ---- the log ----

subtest 'sslserver: -V' => sub {
	for my $letters ('-1v', '-1', '-1q') {
		my $server = serve({ env => $pair }, command('sslserver'), $letters, '-V', '127.0.0.1', '0', 'echo', 'x');
		is(ask_tls($server->{port}, ''), "x\n", $letters);
		my $line = $server->wait_for_log(qr/^(sslserver: tls \d+ accept .*)\n/m);
		like($line, qr/\Asslserver: tls \d+ accept \Q@{[newest()]}\E:@{[suite(newest(), 'ECDSA')]}\z/, 'the line');
		my ($pid) = $line =~ /tls (\d+)/;
		is($server->wait_for_log(qr/ended by (\d+)/), $pid, 'the pid of the connection') if $letters eq '-1v';
		is($server->log, "$line\n", 'and no other') if $letters eq '-1q';
		$server->stop;
	}
	my $server = serve({ env => $pair }, command('sslserver'), '-1v', '127.0.0.1', '0', 'echo', 'x');
	is(ask_tls($server->{port}, ''), "x\n", 'without -V');
	unlike($server->log, qr/ tls /, 'no line');
	$server->stop;
	$server = serve({ env => $pair }, command('sslserver'), '-1vV', '127.0.0.1', '0', 'echo', 'x');
	ask($server->{port}, "garbage\n");
	ok($server->wait_for_log(qr/(ended by \d+ status 25088)\n/), 'without a handshake');
	unlike($server->log, qr/ tls /, 'neither');
};

subtest 'sslserver: the lines of a connection' => sub {
	my $server = serve({ env => $pair }, command('sslserver'), '-1vV', '127.0.0.1', '0', 'sh', '-c', 'exit 3');
	ask_tls($server->{port}, '');
	$server->wait_for_log(qr{ended by .*status: 0/40/0\n}s);
	my ($pid, $port, $cipher) = ($server->wait_for_log(qr/pid (\d+)/), $server->wait_for_log(qr/localhost:127\.0\.0\.1::(\d+)/), $server->wait_for_log(qr/accept (\S+)/));
	is($server->log, <<"END", 'in their order');
sslserver: status: 0/40/0
sslserver: status: 1/40/0
sslserver: pid $pid from 127.0.0.1
sslserver: ok $pid localhost:127.0.0.1:$server->{port} localhost:127.0.0.1::$port
sslserver: tls $pid accept $cipher
sslserver: ended by $pid status 768
sslserver: status: 0/40/0
END
};

# ---- signals ----

both 'signals' => sub {
	my ($form) = @_;
	for (1 .. 20) {
		my $server = serve({ env => $pair }, command($form->{name}), '-1', '127.0.0.1', '0', 'true');
		kill 'HUP', $server->{pid};
		my $end = $server->stop;
		is_deeply([$end->{exit}, $end->{signal}], [0, 0], 'SIGHUP and SIGTERM right after -1: exit 0') or last;
	}
	my $server = server($form, { before => sub { $SIG{CHLD} = 'IGNORE'; POSIX::sigprocmask(&POSIX::SIG_BLOCK, POSIX::SigSet->new(&POSIX::SIGHUP)) } }, '127.0.0.1', '0', 'grep', '^Sig[BI]', '/proc/self/status');
	my $ticks = sub { my @stat = split ' ', slurp("/proc/$server->{pid}/stat") =~ s/.*\)//sr; return $stat[11] + $stat[12] };
	is($form->{ask}->($server->{port}, ''), "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n", 'prog has all of them at their default');
	for (1 .. 3) {
		for (1 .. 2000) { kill 'HUP', $server->{pid}; kill 'CHLD', $server->{pid} }
		is(length $form->{ask}->($server->{port}, ''), 50, 'thousands of SIGHUP and SIGCHLD later');
	}
	my $before = $ticks->();
	sleep 0.3;
	cmp_ok($ticks->() - $before, '<=', 2, 'it is at rest');
	ok($server->wait_for_log(qr{status: 0/40$form->{limit}\n(?!.*status)}s), 'and has counted right');
	my @ends = $server->log =~ /$form->{ended} \d+ status 0\n/g;
	is(scalar @ends, 4, 'each connection once');
	is($server->stop->{exit}, 0, 'SIGTERM: exit 0');
};

# ---- what they refuse ----

both 'exit codes' => sub {
	my ($form) = @_;
	is(failure($form, {}, '127.0.0.1', '0')->{exit}, 100, 'no prog: 100');
	is(failure($form, {}, '192.0.2.1', '0', 'true')->{exit}, 111, 'nobody\'s address: 111');
	is(failure($form, { before => sub { open STDOUT, '>', '/dev/full' } }, '-1', '127.0.0.1', '0', 'true')->{exit}, 111, 'a port number that cannot be printed: 111') if -e '/dev/full';
	is(failure($form, { env => { CERTFILE => '/nonexistent' } }, '127.0.0.1', '0', 'true')->{exit}, 96, 'no certificate: 96') if $form->{name} eq 'sslserver';
};

subtest 'the largest numbers of sslserver' => sub {
	# What the listener takes, the io program must take, too.
	for my $case (['-w', 2147483], ['-T', 1000000]) {
		my $server = sslserver({}, [@$case], 'echo', 'served');
		is(sslclient({}, ['-RHl0', 'localhost'], $server->{port}, 'sh', '-c', 'cat <&6')->{out}, "served\n", "@$case");
		$server->stop;
	}
};

done_testing;
