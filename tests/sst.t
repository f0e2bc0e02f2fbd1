#!/usr/bin/perl
# sst and sslwrap with every option and example of their manuals, and the links they are made of: tcponce, cmdclient.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Bear;
use BearTls;
use POSIX ();
use Socket qw(AF_UNIX SOCK_STREAM PF_UNSPEC);
use Test::More;

my ($sst, $sslwrap) = map { command($_) } 'sst', 'sslwrap';
my @once = ('sh', '-c', 'read a; echo "got $a"; cat');

# Started with standard input that stays open, as somebody's terminal: returns it and a handle to type into.
sub typing {
	my ($options, @command) = @_;
	my $fifo = temporary('fifo' . int rand 1e9);
	POSIX::mkfifo($fifo, 0600) or die;
	my $process = start({ %$options, before => sub { open STDIN, '+<', $fifo } }, @command);
	open my $hand, '>', $fifo or die;
	$hand->autoflush(1);
	return ($process, $hand);
}

sub said { my ($process, $words) = @_; return wait_until(sub { slurp($process->{out}) eq $words }, 5) || diag(slurp($process->{out}), $process->log) }

# Started as inetd does it: one socket for 0, 1 and 2. Returns our end of a TLS or plain client through openssl, as it ends.
sub by_inetd {
	my ($env, $client, @command) = @_;
	my $listener = IO::Socket::IP->new(LocalHost => '127.0.0.1', LocalPort => 0, Listen => 1);
	my $pid = fork // die;
	if (!$pid) {
		my $c = $listener->accept;
		POSIX::dup2(fileno $c, $_) for 0, 1, 2;
		POSIX::close($_) for 3 .. 63;
		$ENV{$_} = $env->{$_} for keys %$env;
		exec @command or POSIX::_exit(126);
	}
	my $result = $client->($listener->sockport);
	waitpid $pid, 0;
	$result->{inetd} = $? >> 8;
	return $result;
}
sub tls { my ($text, @more) = @_; return sub { s_client({ in => $text, timeout => 10 }, $_[0], '-quiet', @more) } }

subtest 'tcponce' => sub {
	my $once = serve(command('tcponce'), '-1v', '-RHl0', '127.0.0.1', '0', 'sh', '-c', 'echo "$PROTO $TCPREMOTEIP" >&7; cat <&6');
	my $port = $once->{port};
	is(ask($port, 'for prog'), "TCP 127.0.0.1\n", 'the connection is on 6 and 7');
	is($once->wait_for_end(5)->{exit}, 0, 'the exit code is that of prog');
	like($once->log, qr/\Atcponce: connected to 127\.0\.0\.1 port \d+\n\z/, '-v');
	is(connect_to($port), undef, 'nobody else is served');
	my $told = sub {
		my ($from, $to, $host, @options) = @_;
		my $once = serve({ env => { DNSCACHEIP => '127.0.0.1:9' } }, command('tcponce'), '-1', @options, $host, '0', 'perl', '-MSocket', '-e', 'open my $s, "+<&=", 7;
			syswrite $s, join " ", (map { $ENV{$_} || "-" } qw(PROTO TCPLOCALIP TCPLOCALHOST TCPREMOTEHOST)), unpack "i", getsockopt $s, 6, 1');
		my $socket = IO::Socket::IP->new(LocalHost => $from, PeerHost => $to, PeerPort => $once->{port}) or return $once->log;
		return read_all($socket) . $once->log;
	};
	is($told->('127.0.0.1', '127.0.0.1', '127.0.0.1'), 'TCP 127.0.0.1 localhost localhost 1', 'without options names are looked up');
	is($told->('127.0.0.1', '127.0.0.1', '127.0.0.1', '-H', '-l', 'me', '-d', '-q'), 'TCP 127.0.0.1 me - 0', '-H -l -d -q');
	is($told->('127.0.0.1', '127.0.0.1', 'localhost', '-4Hh', '-l', 'me', '-dD'), 'TCP 127.0.0.1 me localhost 1', '-4 -h -D');
	is((run({ timeout => 3 }, command('tcponce'), '-14Hl0', '::1', '0', 'true')->{exit} // 'none'), 111, '-4 and an IPv6 address');
	is($told->('::1', '::1', 'localhost', '-6H', '-l', 'me'), 'TCP6 ::1 me - 1', '-6');
	my $silent = IO::Socket::IP->new(LocalHost => '127.0.0.1', LocalPort => 0, Type => Socket::SOCK_DGRAM());
	$once = serve({ env => { DNSCACHEIP => '127.0.0.1:' . $silent->sockport } }, command('tcponce'), '-1l', 'me', '-t', '1', '127.0.0.1', '0', 'sh', '-c', 'echo "${TCPREMOTEHOST-none}" >&7');
	is(read_all(IO::Socket::IP->new(LocalHost => '127.0.0.2', PeerHost => '127.0.0.1', PeerPort => $once->{port}), 8), "none\n", '-t: a name that does not come is not waited for');
	if (!system 'strace -o /dev/null true 2>/dev/null') {
		for my $error ('accept4:error=ECONNABORTED', 'accept4:error=EAGAIN', 'poll:error=EINTR') {
			$once = serve('strace', '-o', temporary('trace'), '-e', 'trace=accept4,poll', '-e', "inject=$error:when=1", command('tcponce'), '-1RHl0', '127.0.0.1', '0', 'sh', '-c', 'echo served >&7');
			is(ask($once->{port}, '', '127.0.0.1'), "served\n", "$error: it goes on waiting");
		}
		for my $letter ('-r', '-R') {
			my $trace = temporary("trace$letter");
			$once = serve('strace', '-f', '-o', $trace, '-e', 'trace=connect', command('tcponce'), '-1Hl0', $letter, '-t', '1', '127.0.0.1', '0', 'true');
			ask($once->{port}, '');
			$once->wait_for_end(5);
			is(scalar(() = slurp($trace) =~ /htons\(113\)/g), $letter eq '-r' ? 1 : 0, "$letter: whether IDENT is asked");
		}
	}
	$once = serve(command('tcponce'), '-1q', '-RHl0', '127.0.0.1', '0', 'cat');
	my $first = connect_to($once->{port});
	ok(wait_until(sub { !connect_to($once->{port}) }, 5), 'nor while prog has its connection');
	$once->stop;
	$once = serve(command('tcponce'), '-1q', '-RHl0', '127.0.0.1', '0', 'true');
	my $result = run(command('tcponce'), '127.0.0.1', $once->{port}, 'true');
	is($result->{exit}, 111, 'a port in use: exit 111');
	like($result->{err}, qr/\Atcponce: fatal: unable to bind to 127\.0\.0\.1 port \d+: Address already in use\n\z/, 'in words');
	is(run(command('tcponce'), '127.0.0.1', '0')->{exit}, 100, 'no prog: exit 100');
	is(run(command('tcponce'), '-x', '127.0.0.1', '0', 'true')->{exit}, 100, 'an option that is not there: exit 100');
};

subtest 'cmdclient' => sub {
	my $cmdclient = command('cmdclient');
	my $result = run({ in => 'typed' }, $cmdclient, 'sh', '-c', 'read a; echo "command got $a"', '--', 'sh', '-c', 'echo hello >&7; cat <&6; cat; exit 7');
	is($result->{out}, "command got hello\ntyped", 'the command is on 6 and 7, 0 and 1 as they were');
	is($result->{exit}, 7, 'the exit code is that of prog');
	is(run($cmdclient, '-d', 'mark', 'echo', '--', 'mark', 'sh', '-c', 'cat <&6')->{out}, "--\n", '-d');
	is(run($cmdclient, 'true', '--', 'perl', '-e', 'print wait, 0')->{out}, '-10', 'prog has no child that it does not know');
	is(run({ before => sub { $SIG{CHLD} = 'IGNORE' } }, $cmdclient, 'echo', 'from', '--', 'sh', '-c', 'cat <&6')->{out}, "from\n", 'started with SIGCHLD ignored');
	my $end = temporary('end');
	run($cmdclient, 'sh', '-c', 'cat >/dev/null; echo ended >"$0"', $end, '--', 'true');
	ok(wait_until(sub { slurp($end) eq "ended\n" }, 5), 'the command sees the end when prog has gone');
	$result = run($cmdclient, '/nonexistent/command', '--', 'sh', '-c', 'cat <&6');
	like($result->{err}, qr{\Acmdclient: fatal: unable to run /nonexistent/command: No such file or directory\n\z}, 'a command that is not there, in words');
	is($result->{exit}, 0, 'for prog it is a connection that ends');
	is(run($cmdclient, @$_)->{exit}, 100, "exit 100 for: @$_") for [], ['true'], ['true', '--'], ['--', 'true'];
};

subtest 'sst: a client' => sub {
	my $server = sslserver({ pair => 'self-signed' }, [], @once);
	my $port = $server->{port};
	for my $command (["-p", "localhost:$port"], ['-p', $port], ['--', 'socat', 'STDIO', "TCP4:127.0.0.1:$port"], ['-c', '-p', "[127.0.0.1]:$port"], ['-M', 'tls1', '-p', $port]) {
		is(run({ in => "line\nmore\n" }, $sst, '-e', @$command)->{out}, "got line\nmore\n", "sst -e @$command, self-signed");
	}
	my ($client, $hand) = typing({}, $sst, '-p', $port);
	print $hand "one\n";
	ok(said($client, "got one\n"), 'interactively');
	print $hand "two\n";
	ok(said($client, "got one\ntwo\n"), 'line by line');
	$client->stop;
	my $answer = sslserver({}, [], 'sh', '-c', 'read a; echo "got $a"');
	($client, $hand) = typing({}, $sst, '-p', $answer->{port});
	print $hand "one\n";
	is($client->wait_for_end(5)->{exit}, 0, 'it ends with the server, though somebody might still type');
	is(slurp($client->{out}), "got one\n", 'with all that came');
	# Without -e the server is the first to end: it is not told of our end.
	my $waits = sslserver({}, [], 'sh', '-c', 'read a; timeout 1 cat; echo "code $?"');
	is(run({ in => "x\n" }, $sst, '-p', $waits->{port})->{out}, "code 124\n", 'without -e the end of the input is not told');
	is(run({ in => "x\n" }, $sst, '-e', '-p', $waits->{port})->{out}, "code 0\n", 'with -e it is');
	my $silent = sslserver({}, [], 'sleep', '30');
	my $result = run({ timeout => 8, in => "x\n" }, $sst, '-t', 1, '-p', $silent->{port});
	ok(!$result->{timed_out}, '-t: silence ends it');
	like(run({ in => "x\n" }, $sst, '-v', '-e', '-p', $port)->{err}, qr/^tcpclient: connected to 127\.0\.0\.1 port $port$/m, '-v');
	like(run({ in => "x\n" }, $sst, '-dd', '-e', '-p', $port)->{err}, qr/^relay: 2 bytes from 0 to 7, 6 bytes from 6 to 1$|^tcpclient: connected/m, '-d');
	my $plain = serve(command('tcpserver'), '-1', '127.0.0.1', '0', @once);
	is(run({ in => "clear\n" }, $sst, '-n', '-p', $plain->{port})->{out}, "got clear\n", '-n: a raw pipe');
	is(run({ in => "clear\n" }, $sst, '-n', '--', 'socat', 'STDIO', "TCP4:127.0.0.1:$plain->{port}")->{out}, "got clear\n", 'by a command, too');
};

subtest 'sst: certificates' => sub {
	my $good = sslserver({}, ['-s'], @once);
	my $self = sslserver({ pair => 'self-signed' }, [], @once);
	my $other = sslserver({ pair => 'wrong-name' }, [], @once);
	my %trust = (CAFILE => file('root.pem'));
	is(run({ in => "x\n", env => {%trust} }, $sst, '-eSp', "localhost:$good->{port}")->{out}, "got x\n", '-S: a server that is vouched for');
	is(run({ in => "x\n", env => {%trust} }, $sst, '-eSp', "localhost:$self->{port}")->{exit}, 98, 'a self-signed one is refused');
	is(run({ in => "x\n", env => {%trust} }, $sst, '-eSp', "localhost:$other->{port}")->{exit}, 98, 'so is another name');
	is(run({ in => "x\n", env => {%trust} }, $sst, '-eS', '--', 'socat', 'STDIO', "TCP4:127.0.0.1:$self->{port}")->{exit}, 98, 'self-signed behind a command');
	is(run({ in => "x\n", env => {%trust} }, $sst, '-eS', '--', 'socat', 'STDIO', "TCP4:127.0.0.1:$good->{port}")->{out}, "got x\n", 'but a good one passes');
	is(run({ in => "x\n", env => { %trust, TLS_VERIFY => 'chain' } }, $sst, '-ep', "localhost:$self->{port}")->{exit}, 98, 'TLS_VERIFY counts without -S');
	my $deep = sslserver({ env => { CERTFILE => file('via-p256-chain.pem'), KEYFILE => file('server-p256.key') } }, [], @once);
	is(run({ in => "x\n", env => {%trust} }, $sst, '-eSV', 1, '-p', "localhost:$deep->{port}")->{out}, "got x\n", '-V 1: one intermediate');
	is(run({ in => "x\n", env => {%trust} }, $sst, '-eSV', 0, '-p', "localhost:$deep->{port}")->{exit}, 98, '-V 0: none');

	# -r: the client shows a certificate; the server demands one.
	my $demanding = serve({ env => pair('server-rsa', CAFILE => file('root.pem')) }, command('tcpserver'), '-1', '127.0.0.1', '0', command('tlsd'), '-y', @once);
	is(run({ in => "x\n" }, $sst, '-er', '-C', file('client.pem'), '-K', file('client.key'), '-p', $demanding->{port})->{out}, "got x\n", '-r -C -K in a client');
	isnt(run({ in => "x\n" }, $sst, '-e', '-C', file('client.pem'), '-K', file('client.key'), '-p', $demanding->{port})->{out}, "got x\n", 'not without -r');
	my $dir = temporary('ssl');
	mkdir $_ for $dir, "$dir/certs";
	spew("$dir/certs/sst.pem", slurp(file('server-p256.pem')) . slurp(file('server-p256.key')));
	for my $form ([], ['-C', 'sst.pem'], ['-C', 'certs/sst.pem'], ['-C', "$dir/certs/sst.pem", '-K', 'certs/sst.pem']) {
		my $result = by_inetd({}, tls("q\n"), $sst, '-i', '-D', $dir, @$form, '--', 'sh', '-c', 'read a; echo "$a $SSL_PROTOCOL"');
		like($result->{out}, qr/^q TLSv1\.\d$/m, "-D @$form");
	}
	my $result = by_inetd({ CAFILE => file('root.pem') }, tls("q\n"), $sst, '-ir', '-D', $dir, '--', 'head', '-n', 1);
	unlike($result->{out}, qr/^q$/m, '-i -r: a client without a certificate is not served');
	$result = by_inetd({ CAFILE => file('root.pem') }, tls("q\n", '-cert', file('client.pem'), '-key', file('client.key')), $sst, '-ir', '-D', $dir, '--', 'head', '-n', 1);
	like($result->{out}, qr/^q$/m, 'one with a certificate is');
	is(by_inetd({}, tls(''), $sst, '-i', '-C', '/nonexistent', '--', 'cat')->{inetd}, 96, 'no certificate: exit 96');
};

subtest 'sst: inetd' => sub {
	my $env = pair('server-rsa');
	my $backend = serve(command('tcpserver'), '-1', '127.0.0.1', '0', 'sh', '-c', 'read a; echo "imap $a"');
	like(by_inetd($env, tls("login\n"), $sst, '-i', '-p', $backend->{port})->{out}, qr/^imap login$/m, 'forwarding');
	like(by_inetd($env, tls("login\n"), $sst, '-iv', '-p', "localhost:$backend->{port}")->{out}, qr/^imap login$/m, 'with -v, to syslog');
	is(by_inetd($env, tls("x\n"), $sst, '-iv', '--', 'sh', '-c', 'exit 3')->{inetd}, 3, 'and with the exit code');
	like(by_inetd($env, tls("x\n"), $sst, '-i', '--', 'echo', 'fortune', '-l')->{out}, qr/^fortune -l$/m, 'wrapping');
	my $result = by_inetd({}, sub { { out => ask($_[0], "clear\n") } }, $sst, '-in', '-p', $backend->{port});
	is($result->{out}, "imap clear\n", '-n: forwarding in clear');
	is(by_inetd({}, sub { { out => ask($_[0], "clear\n") } }, $sst, '-in', '--', 'cat')->{out}, "clear\n", 'and wrapping');
	is(by_inetd({}, sub { { out => ask($_[0], "clear\n") } }, $sst, '-in', '-p', 1)->{out}, '', 'what goes wrong is not said to the peer');
};

# A port where nobody answers: what the client is told, unless TLS_RESET says otherwise, or there is no relay in between.
subtest 'what breaks off' => sub {
	my $env = pair('server-rsa');
	my $nobody = IO::Socket::IP->new(LocalHost => '127.0.0.1', LocalPort => 0, Listen => 1)->sockport;
	my $broken = qr/alert internal error/;
	my $fails = spew(temporary('fails'), "#!/bin/sh\nexit 3\n");
	chmod 0755, $fails;
	for my $case (['sst -i -p', [$sst, '-i', '-p', $nobody], [$sst, '-i', '--', $fails]], ['sslwrap -port', [$sslwrap, '-port', $nobody], [$sslwrap, '-exec', $fails]]) {
		my ($name, $forwarding, $other) = @$case;
		like(by_inetd($env, tls("x\n"), @$forwarding)->{err}, $broken, "$name: an alert");
		unlike(by_inetd({ %$env, TLS_RESET => '0' }, tls("x\n"), @$forwarding)->{err}, $broken, 'TLS_RESET=0: an end');
		unlike(by_inetd($env, tls("x\n"), @$other)->{err}, $broken, 'a program that fails: as it says itself');
		like(by_inetd({ %$env, TLS_RESET => 1 }, tls("x\n"), @$other)->{err}, $broken, 'which can be changed');
	}
};

subtest 'sst: embedded' => sub {
	socketpair my $clear1, my $its1, AF_UNIX, SOCK_STREAM, PF_UNSPEC or die;
	socketpair my $clear2, my $its2, AF_UNIX, SOCK_STREAM, PF_UNSPEC or die;
	socketpair my $network1, my $network2, AF_UNIX, SOCK_STREAM, PF_UNSPEC or die;
	my $spawn = sub {
		my ($env, $in, $out, @command) = @_;
		my $pid = fork // die;
		return $pid if $pid;
		my @high = map { POSIX::dup2(fileno $_, 100 + fileno $_) && 100 + fileno $_ } $in, $out;
		POSIX::dup2($high[$_], $_) for 0, 1;
		POSIX::close($_) for 3 .. 200;
		%ENV = (%ENV, %$env);
		exec @command or POSIX::_exit(126);
	};
	my @pids = ($spawn->({}, $its1, $network1, $sst, '-ce'), $spawn->(pair('server-rsa'), $network2, $its2, $sst, '-s'));
	close $_ for $its1, $its2, $network1, $network2;
	syswrite $clear1, "from the client\n";
	is(read_line($clear2, 10), 'from the client', 'a client on 0 and 1, clear and encrypted');
	syswrite $clear2, "from the server\n";
	is(read_line($clear1, 10), 'from the server', 'and a server, the other way round');
	shutdown $clear1, 1;
	is(read_all($clear2, 10), '', 'the end');
	shutdown $clear2, 1;
	is(read_all($clear1, 10), '', 'both ways');
	close $_ for $clear1, $clear2;
	waitpid $_, 0 for @pids;
	is($?, 0, 'exit 0');
};

subtest 'sst: a server once' => sub {
	my $port = free_port();
	my ($server, $at_server) = typing({ env => pair('server-rsa') }, $sst, '-s', '-p', $port);
	ok(wait_until(sub { slurp('/proc/net/tcp') =~ /0100007F:@{[sprintf '%04X', $port]} \S+ 0A/ }, 5), 'it listens');
	my ($client, $at_client) = typing({}, $sst, '-p', $port);
	print $at_client "from the client\n";
	ok(said($server, "from the client\n"), 'what the client types is printed');
	print $at_server "from the server\n";
	ok(said($client, "from the server\n"), 'and the other way round');
	$client->stop;
	$server->stop;

	$port = free_port();
	$server = start({ in => "answer\n", env => pair('server-rsa') }, $sst, '-s', '--', 'socat', "TCP4-LISTEN:$port,bind=127.0.0.1", 'STDIO');
	ok(wait_until(sub { slurp('/proc/net/tcp') =~ /0100007F:@{[sprintf '%04X', $port]} \S+ 0A/ }, 5), 'a command listens');
	is(run({ in => "question\n" }, $sst, '-e', '-p', $port)->{out}, "answer\n", 'TLS by a command');
	ok($server->wait_for_end(5), 'it ends');
	is(slurp($server->{out}), "question\n", 'with what it got');
};

subtest 'sst: usage' => sub {
	for my $old ('ssl2', 'ssl3') {
		my $result = run($sst, '-i', '-M', $old, '-p', 143);
		is($result->{exit}, 100, "-M $old: exit 100");
		like($result->{err}, qr/\Asst: fatal: option -M $old: SSL 2 and 3 are broken and not spoken here; leave -M away for TLS 1\.2 and up\n\z/, 'with advice');
	}
	is(run($sst, @$_)->{exit}, 100, "exit 100 for: @$_") for ['-x'], ['-M', 'dtls'], ['-t', 'soon'], ['-V', '-1'], ['-i'], ['-p', 1, '--', 'true'], ['-p', 'host:'], ['-p'];
};

subtest 'sslwrap' => sub {
	my $backend = serve(command('tcpserver'), '-1', '0', '0', 'sh', '-c', 'read a; echo "pop3 $a"');
	my $pem = spew(temporary('server.pem'), slurp(file('server-p256.pem')) . slurp(file('server-p256.key')));
	my @wrap = ($sslwrap, '-cert', $pem);
	like(by_inetd({}, tls("user\n"), @wrap, '-port', $backend->{port})->{out}, qr/^pop3 user$/m, 'inetd');
	like(by_inetd({}, tls("user\n"), @wrap, '-port', $backend->{port}, '-addr', '127.0.0.2')->{out}, qr/^pop3 user$/m, '-addr');
	like(by_inetd({}, tls("user\n"), $sslwrap, '-cert', file('server-p256.pem'), '-key', file('server-p256.key'), '-port', $backend->{port})->{out}, qr/^pop3 user$/m, '-key');
	my $program = spew(temporary('program'), "#!/bin/sh\nread a; echo \"program \$a \$#\"\n");
	chmod 0755, $program;
	like(by_inetd({}, tls("user\n"), @wrap, '-exec', $program)->{out}, qr/^program user 0$/m, '-exec');
	for my $what (['-port', $backend->{port}], ['-exec', $program]) {
		my $port;
		for (1 .. 5) {
			my $s = IO::Socket::IP->new(LocalHost => '0.0.0.0', LocalPort => 0, Listen => 1);
			$port = $s->sockport;
			close $s;
			my $daemon = start(@wrap, @$what, '-accept', $port);
			next unless wait_until(sub { slurp('/proc/net/tcp') =~ /00000000:@{[sprintf '%04X', $port]} \S+ 0A/ || !$daemon->running }, 5) && $daemon->running;
			like(tls("user\n")->($port)->{out}, qr/^(?:pop3 user|program user 0)$/m, "-accept, @$what") for 1, 2;
			is($daemon->stop->{exit}, 0, 'ends well');
			last;
		}
	}
	# -nocert: what is made is good for localhost, and made anew each time.
	my $tmp = temporary('tmp');
	mkdir $tmp;
	my $unchecked = sub { run({ in => "user\n" }, 'openssl', 's_client', '-ign_eof', '-connect', "127.0.0.1:$_[0]") };
	my %made;
	for (1, 2) {
		my $said = by_inetd({ TMPDIR => $tmp }, $unchecked, $sslwrap, '-nocert', '-port', $backend->{port})->{out};
		like($said, qr/^pop3 user$/m, '-nocert');
		my ($certificate) = $said =~ /(-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----)/s;
		like(run({ in => "$certificate\n" }, 'openssl', 'x509', '-noout', '-checkhost', 'localhost')->{out}, qr/does match/, '... with a certificate for localhost');
		$made{$certificate} = 1;
		is_deeply([glob "$tmp/*"], [], '... of which nothing is left');
	}
	is(scalar(keys %made), 2, '... and another one the next time');
	my $daemon = start({ env => { TMPDIR => $tmp } }, $sslwrap, '-nocert', '-exec', $program, '-accept', 'no-such-port');
	is($daemon->wait_for_end(10)->{exit}, 111, 'the exit code is that of the chain');
	is_deeply([glob "$tmp/*"], [], 'and nothing is left then, either');
	is(run({ env => { TMPDIR => '/nonexistent' } }, $sslwrap, '-nocert', '-port', 1)->{exit}, 111, 'nowhere to make it: exit 111');

	my $here = temporary('commands');
	mkdir $here;
	symlink $_, $here . '/' . (m{([^/]+)\z})[0] for glob command('*');
	unlink "$here/tlscert", "$here/sslwrap";
	spew("$here/sslwrap", slurp($sslwrap));
	chmod 0755, "$here/sslwrap";
	my $result = run("$here/sslwrap", '-nocert', '-port', 1);
	is($result->{exit}, 96, 'without tlscert: exit 96');
	is($result->{err}, "sslwrap: fatal: -nocert needs tlscert, which is not installed\n", 'in words');
	symlink '/bin/false', "$here/tlscert";
	$result = run({ env => { TMPDIR => $tmp } }, "$here/sslwrap", '-nocert', '-port', 1);
	is($result->{exit}, 96, 'with one that fails: exit 96');
	is($result->{err}, "sslwrap: fatal: -nocert: unable to make a certificate\n", 'in words');
	is_deeply([glob "$tmp/*"], [], 'and nothing is left');

	is(run($sslwrap, @$_)->{exit}, 100, "exit 100 for: @$_") for [], ['-cert', $pem], ['-port'], ['-port', 1], ['-port', 1, '-exec', 'x', '-cert', $pem], ['-nocert', '-cert', $pem, '-port', 1], ['-what'];
	like(run($sslwrap, '-ssl2', '-port', 1)->{err}, qr/SSL 2 and 3 are broken/, 'SSL 2: with advice');
};

done_testing;
