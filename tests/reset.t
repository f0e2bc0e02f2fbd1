#!/usr/bin/perl
# TLS_RESET=1: what fails on one side does not look like an end on the other. First what a program's end says to the peer, for the server and
# the client side of ours with peers on OpenSSL and GnuTLS in each protocol version that the engine speaks; then the whole path, client,
# sslserver or tcpserver, tcpclient or sslclient, relay, backend.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib", "$FindBin::Bin/lib/peers";
use Bear;
use BearTls qw(versions newest pair io_program sslserver);
use IO::Socket::IP;
use Peers;
use POSIX ();
use Socket qw(SOL_SOCKET SO_LINGER SO_RCVBUF);
use Test::More;
use Time::HiRes qw(sleep time);

my @peers = peers() or plan skip_all => 'no C compiler, or neither libssl-dev nor libgnutls28-dev';
$SIG{PIPE} = 'IGNORE';

# ---- what a program's end says ----

my $alert = qr/end alert 80/; # internal_error

# One meeting on both sides with every peer, as in ends.t, with TLS_RESET=1; checks exit code, lines of the peer, and of the log.
sub everywhere {
	my ($name, $meeting, $exit, $peer_lines, @log) = @_;
	my @unlike = ref $log[-1] eq 'ARRAY' ? @{ pop @log } : ();
	subtest $name => sub {
		for my $side ('server', 'client') {
			for my $form (map { my $peer = $_; map { [$peer, $_] } $peer eq 'openssl' ? versions() : newest() } @{ $meeting->{peers} || \@peers }) {
				my ($peer, $version) = @$form;
				my $result = meet({ %$meeting, side => $side, peer => $peer, version => $version,
					env => { TLS_RESET => 1, SSL_UID => $>, %{ $meeting->{env} || {} } } });
				my $words = "our $side, $peer, $version";
				my $good = ok(!$result->{hung}, "$words: both ended");
				$good &= is($result->{exit}, $exit, "$words: exit $exit");
				$good &= like($result->{peer}, qr/\Aopen .*\n$peer_lines\n\z/, "$words: the peer");
				$good &= like($result->{log}, $_, "$words: the log") for @log;
				$good &= unlike($result->{log}, $_, "$words: not in the log") for @unlike;
				my ($least, $most) = @{ $meeting->{seconds} || [0, 1.9] };
				$good &= ok($result->{seconds} >= $least && $result->{seconds} < $most, "$words: after $least to $most s ($result->{seconds})");
				diag("$name, $words: exit ", $result->{exit} // 'none', "\npeer:\n$result->{peer}ours:\n$result->{log}") unless $good;
			}
		}
	};
}

my $said = qr/(?<!un)failed \((exit|signal) \d+\)/;

everywhere('a program that fails', { app => [qw(send 300000 exit 111)], steps => ['readall'] },
	111, qr/received 300000\n$alert/, qr/-io: info: ended connection with: 127\.0\.0\.1 for pid: \d+: prog failed \(exit 111\): connection broken off$/m);
everywhere('by a signal', { peers => ['openssl'], app => [qw(send 1000 kill KILL)], steps => ['readall'] },
	137, qr/received 1000\n$alert/, qr/: prog failed \(signal 9\): connection broken off$/m);
everywhere('without a word', { peers => ['openssl'], prog => [qw(sh -c), 'exit 1'], steps => ['readall'] },
	1, qr/received 0\n$alert/, qr/: prog failed \(exit 1\)/);
everywhere('that is not there', { peers => ['openssl'], prog => ['/nonexistent'], steps => ['readall'] },
	111, qr/received 0\n$alert/, qr/: prog failed \(exit 111\)/);
everywhere('after the peer has ended by close_notify', { app => [qw(readall send 300000 exit 2)], steps => [qw(send 100000 notify readall)] },
	2, qr/received 300000\n$alert/, qr/received 100000\n/, qr/: prog failed \(exit 2\)/);
everywhere('after the peer has ended by a bare FIN', { peers => ['openssl'], app => [qw(readall send 300000 exit 2)], steps => [qw(send 100000 fin readall)] },
	2, qr/received 300000\n$alert/, qr/received 100000\n/, qr/: prog failed \(exit 2\)/);
everywhere('while a slow peer has not taken all', { app => [qw(send 3000000 exit 5)], peer_env => { PEER_RCVBUF => 4096 }, steps => [qw(pause 300 trickle 600000 50)], seconds => [0.3, 10] },
	5, qr/received 3000000\n$alert/, qr/: prog failed \(exit 5\)/);
everywhere('-s: no bare FIN either', { peers => ['openssl'], tls => ['-s'], app => [qw(send 1000 exit 3)], steps => ['readall'] },
	3, qr/received 1000\n$alert/, qr/: prog failed \(exit 3\)/);
everywhere('TLS_CLOSE=wait: it is not waited for the peer', { peers => ['openssl'], env => { TLS_CLOSE => 'wait' }, app => [qw(send 1000 exit 3)], steps => ['readall'] },
	3, qr/received 1000\n$alert/, qr/: prog failed \(exit 3\)/);

everywhere('a program that ends with 0', { app => [qw(send 300000)], steps => ['readall'] }, 0, qr/received 300000\nend close_notify/, [$said]);
everywhere('that first reads all', { peers => ['openssl'], app => [qw(readall send 300000)], steps => [qw(send 5000000 notify readall)] },
	0, qr/received 300000\nend close_notify/, qr/received 5000000/, [$said]);
everywhere('-s: a bare FIN', { peers => ['openssl'], tls => ['-s'], app => [qw(send 1000)], steps => ['readall'] }, 98, qr/received 1000\nend fin/, qr/decode_error/, [$said]); # OpenSSL's answer to that, see ends.t
everywhere('TLS_RESET=0', { peers => ['openssl'], env => { TLS_RESET => '0' }, app => [qw(send 1000 exit 9)], steps => ['readall'] },
	9, qr/received 1000\nend close_notify/, [$said]);
everywhere('TLS_RESET empty', { peers => ['openssl'], env => { TLS_RESET => '' }, app => [qw(send 1000 exit 9)], steps => ['readall'] },
	9, qr/received 1000\nend close_notify/, [$said]);
everywhere('TLS_RESET not set', { peers => ['openssl'], env => { TLS_RESET => undef }, app => [qw(send 1000 exit 9)], steps => ['readall'] },
	9, qr/received 1000\nend close_notify/, [$said]);

# The peer's "notify" comes once it has read ours: it is what the program waits for.
everywhere('a program that ends its output alone: close_notify at once', { app => [qw(send 1000 closeout readall exit 7)], steps => [qw(readall send 2000 notify)] },
	7, qr/received 1000\nend close_notify/, qr/received 2000\n/, [$said]);
everywhere('the same, and it fails 3 seconds later', { peers => ['openssl'], app => [qw(send 1000 closeout pause 3000 exit 7)], steps => [qw(readall say told)], seconds => [2.9, 6] },
	7, qr/received 1000\nend close_notify\ntold/, [$said]);
everywhere('a program that ends both and lives on: close_notify after 2 seconds',
	{ peers => ['openssl'], app => [qw(send 1000 closein closeout pause 4000 exit 7)], steps => [qw(readall)], seconds => [3.9, 7] },
	7, qr/received 1000\nend close_notify/, [$said]);
everywhere('a program that ends both, and 0.5 seconds later fails', { peers => ['openssl'], app => [qw(send 1000 closein closeout pause 500 exit 7)], steps => ['readall'], seconds => [0.4, 1.9] },
	7, qr/received 1000\n$alert/, qr/: prog failed \(exit 7\)/);

# coreutils close their output themselves before they end; the descriptors of others go in no order to rely on. Neither is a matter of luck.
subtest 'programs that fail, of all kinds' => sub {
	my $half = spew(temporary('half'), "\0\1\2\3\4"); # as the peers expect it
	for my $prog (['cat', $half, '/nonexistent'], ['sh', '-c', "cat $half; exit 1"], [$^X, '-e', 'print "\0\1\2\3\4"; exit 1'],
		[$^X, '-e', 'print "\0\1\2\3\4"; close STDOUT; exit 1'], ['sh', '-c', "cat $half; kill -KILL \$\$"]) {
		my $server = serve({ env => pair('server-p256', TLS_RESET => 1) }, command('sslserver'), '-1', '127.0.0.1', '0', @$prog);
		my @out = map { run({ env => { PEER_AUTHORITIES => file('root.pem'), PEER_NAME => 'localhost' } }, peer($peers[0]), 'client', $server->{port}, 'readall')->{out} } 1 .. 15;
		is(scalar(grep { m{received 5\nend alert 80\n\z} } @out), 15, "@$prog: an alert, 15 times") or diag(grep { !/end alert 80\n\z/ } @out);
	}
};

# How long the wait is, as the peer sees it.
for my $case (['alone', [qw(closeout pause 3000 exit 7)], 0, 1], ['and its input', [qw(closein closeout pause 4000 exit 7)], 1.9, 3]) {
	my ($name, $app, $least, $most) = @$case;
	subtest "when the peer is told that the output ends, $name" => sub {
		my $server = serve({ env => pair('server-p256', TLS_RESET => 1, SSL_UID => $>) }, command('tcpserver'), '-1', '127.0.0.1', '0', command('tlsd'), application(0, 1, @$app));
		my $began = time;
		my $client = run({ env => { PEER_AUTHORITIES => file('root.pem'), PEER_NAME => 'localhost' } }, peer($peers[0]), 'client', $server->{port}, 'readall');
		my $took = time - $began;
		like($client->{out}, qr/received 0\nend close_notify\n\z/, 'close_notify');
		ok($took >= $least && $took < $most, "after $least to $most s ($took)");
	};
}

subtest 'without -p there is nobody to wait for' => sub {
	my $server = serve({ env => pair('server-p256', TLS_RESET => 1, SSL_UID => $>) }, command('tcpserver'), '-1v', '127.0.0.1', '0', $^X, '-MPOSIX=dup2,_exit', '-e',
		'pipe my $r, my $w; pipe my $r2, my $w2; if (!fork) { close $r2; close $w2; close $r; syswrite $w, "\0\1\2"; _exit(1) }
		 dup2(fileno $r, 20); dup2(fileno $w2, 21); dup2(20, 3); dup2(21, 4); exec @ARGV', command(io_program('tlsd-io')), '3', '4');
	my $client = run({ env => { PEER_AUTHORITIES => file('root.pem'), PEER_NAME => 'localhost' } }, peer($peers[0]), 'client', $server->{port}, 'read', 3, 'readall');
	like($client->{out}, qr/end close_notify\n\z/, 'close_notify') or diag($client->{out}, $server->log);
};

subtest 'a program that asked for TLS' => sub {
	for my $closes (0, 1) {
		my $prog = 'use POSIX; syswrite STDOUT, ""; open my $c, "+<&=", $ENV{SSLCTLFD}; syswrite $c, "y"; dup2($ENV{SSLREADFD}, 0); dup2($ENV{SSLWRITEFD}, 1);
			if ($ARGV[0]) { POSIX::close($ENV{$_}) for qw(SSLREADFD SSLWRITEFD) } sysread STDIN, my $byte, 1; syswrite STDOUT, "\0\1\2"; POSIX::_exit(5)';
		my $server = serve({ env => pair('server-p256', TLS_RESET => 1, SSL_UID => $>) }, command('tcpserver'), '-1v', '127.0.0.1', '0', command('ucspitlsd'), $^X, '-e', $prog, $closes);
		my @out = map { once($server->{port}, newest(), 'send', 1, 'readall') } 1 .. 10;
		is(scalar(grep { /received 3\nend alert 80\n\z/ } @out), 10, 'an alert, 10 times, the descriptors ' . ($closes ? 'closed' : 'left') . ' that it copied') or diag(@out, $server->log);
		like($server->log, qr/ end \d+ status 1280$/m, 'exit code 5');
	}
};

# ---- who is told to end has not failed ----

for my $signal (qw(TERM HUP INT)) {
	everywhere("SIG$signal to the io program alone", { peers => ['openssl'], app => ['trap', $signal, 'send', 1000, 'readall'], steps => ['readall'],
			during => sub {
				my ($io, $app, $process) = @_;
				$process->wait_for_log(qr/(sent 1000)/, 5);
				kill $signal, $io;
			} },
		7, qr/received 1000\nend close_notify/, qr/signal $signal\n/, [$said]);
}
everywhere('SIGTERM to both, of which the program dies', { peers => ['openssl'], app => [qw(send 1000 readall)], steps => ['readall'],
		during => sub {
			my ($io, $app, $process) = @_;
			$process->wait_for_log(qr/(sent 1000)/, 5);
			kill 'STOP', $io;
			kill 'TERM', $app, $io;
			kill 'CONT', $io;
		} },
	143, qr/received 1000\nend close_notify/, [$said]);
everywhere('SIGTERM to the program alone', { peers => ['openssl'], app => [qw(send 1000 readall)], steps => ['readall'],
		during => sub {
			my ($io, $app, $process) = @_;
			$process->wait_for_log(qr/(sent 1000)/, 5);
			kill 'TERM', $app;
		} },
	143, qr/received 1000\n$alert/, qr/: prog failed \(signal 15\)/);
everywhere('the idle limit', { peers => ['openssl'], tls => ['-K', 500], app => [qw(send 1000 readall exit 4)], steps => ['readall'] },
	143, qr/received 1000\nend (close_notify|fin)/, qr/idle for 500 ms/, [$said]);

# ---- the whole path ----

my $half = 100_000;

# What a backend here does with one connection, in a process of its own; its last word comes back by ->().
sub backend {
	my ($does, $rcvbuf) = @_;
	my $listening = IO::Socket::IP->new(LocalHost => '127.0.0.1', LocalPort => 0, Listen => 5) or die "listen: $!";
	setsockopt $listening, SOL_SOCKET, SO_RCVBUF, $rcvbuf if $rcvbuf;
	my $said = temporary('backend' . $listening->sockport);
	my $pid = fork // die "fork: $!";
	if (!$pid) {
		alarm 30;
		my $accepted = $listening->accept or POSIX::_exit(1);
		spew("$said.new", $does->($accepted));
		rename "$said.new", $said;
		POSIX::_exit(0);
	}
	return ($listening->sockport, sub { wait_until(sub { -e $said }, 15); kill 'KILL', $pid; waitpid $pid, 0; return slurp($said) });
}

sub reset_it { my ($socket) = @_; setsockopt $socket, SOL_SOCKET, SO_LINGER, pack 'ii', 1, 0; close $socket }

sub pattern { my ($n) = @_; return substr pack('C*', 0 .. 250) x (1 + $n / 251), 0, $n }

# Whether what was sent to a port is still with the system of the sender.
sub unsent {
	my ($port) = @_;
	return scalar grep { my @field = split; $field[2] =~ /:0*(?i:\Q@{[sprintf '%X', $port]}\E)\z/ && $field[4] !~ /\A0+:/ } grep { /^\s*\d+:/ } split /\n/, slurp('/proc/net/tcp');
}

sub send_all { my ($socket, $bytes) = @_; for (my $at = 0; $at < length $bytes;) { $at += syswrite($socket, $bytes, 65536, $at) || last } }

# All that comes, and how it ends: "1000 end", "1000 reset".
sub receive {
	my ($socket) = @_;
	my $total = 0;
	while (1) {
		my $n = sysread $socket, my $bytes, 65536;
		return "$total " . (defined $n ? 'end' : $!{ECONNRESET} ? 'reset' : "$!") unless $n;
		$total += $n;
	}
}

sub once { my ($port, $version, @steps) = @_; return run({ timeout => 25, env => { PEER_AUTHORITIES => file('root.pem'), PEER_NAME => 'localhost', PEER_VERSION => $version } }, peer($peers[0]), 'client', $port, @steps)->{out} }

# sslserver, tcpclient and relay before a port; with options of tlsd, in the form that has them.
sub front {
	my ($port, $env, @tlsd) = @_;
	my @rest = (command('tcpclient'), '-RHl0', '127.0.0.1', $port, command('relay'));
	return serve({ env => pair('server-p256', TLS_RESET => 1, SSL_UID => $>, %$env) }, @tlsd ? (command('tcpserver'), '-1v', '127.0.0.1', '0', command('tlsd'), @tlsd, @rest)
		: (command('sslserver'), '-1v', '127.0.0.1', '0', @rest));
}

# One connection: what the client's lines, the backend's word and the exit code are to be.
sub through {
	my ($name, $version, $does, $steps, $client, $word, $exit, %more) = @_;
	my ($port, $said) = backend($does, $more{rcvbuf});
	my $server = front($port, $more{env} || {}, @{ $more{tlsd} || [] });
	spew(temporary('front'), $server->{port});
	my $out = once($server->{port}, $version, @$steps);
	like($out, qr/\Aopen .*\n$client\z/, "$name: the client");
	like($said->(), $word, "$name: the backend");
	my $status = $server->wait_for_log(qr/ end(?:ed by)? \d+ status (\d+)/, 10);
	is(($status // -1) >> 8, $exit, "$name: exit $exit") or diag($server->log) if defined $exit;
	$server->stop;
	return $server->log;
}

for my $version (versions()) {
	subtest "client, sslserver, tcpclient, relay, backend: $version" => sub {
		my $breaks = sub { my ($socket) = @_; send_all($socket, pattern($half)); sysread $socket, my $go, 2; reset_it($socket); return 'reset' };
		my $log = through('a backend that resets', $version, $breaks, ['read', $half, 'text', 'go', 'readall'], qr/received $half\nreceived $half\nend alert 80\n/, qr/reset/, 111);
		like($log, qr/^tlsd-io: info: ended connection with: 127\.0\.0\.1 for pid: \d+: prog failed \(exit 111\): connection broken off$/m, 'and a line says so');
		like($log, qr/^relay: error: unable to read descriptor 6: Connection reset by peer$/m, 'behind the reason');
		through('without TLS_RESET', $version, $breaks, ['read', $half, 'text', 'go', 'readall'], qr/received $half\nreceived $half\nend close_notify\n/, qr/reset/, 111, env => { TLS_RESET => undef });
		through('after the client has ended', $version, sub { my ($socket) = @_; my $got = receive($socket); send_all($socket, pattern($half)); sleep 0.5; reset_it($socket); return $got },
			['text', 'go', 'notify', 'readall'], qr/received $half\nend alert 80\n/, qr/\A2 end/, 111);
		through('an end is an end', $version, sub { my ($socket) = @_; send_all($socket, pattern($half)); shutdown $socket, 1; return receive($socket) }, ['readall', 'text', 'late', 'notify'],
			qr/received $half\nend close_notify\n/, qr/\A4 end/, 0);
		through('half-closed, and an answer much later', $version, sub { my ($socket) = @_; my $got = receive($socket); sleep 0.4; send_all($socket, pattern($half)); return $got },
			['send', 5000, 'notify', 'readall'], qr/received $half\nend close_notify\n/, qr/\A5000 end/, 0);

		# What the client does, as the backend sees it.
		my $mute = sub { my ($socket) = @_; sleep 0.3; return receive($socket) };
		# All of it has reached ours, and much not yet the backend, when the client closes without reading: which resets what comes to it.
		my $talks = sub {
			my ($socket) = @_;
			my $total = 0;
			while ($total < 2_500_000) { $total += sysread $socket, my $bytes, 65536 }
			sleep 1;
			while (unsent(slurp(temporary('front')))) { $total += sysread $socket, my $bytes, 65536 }
			my $pid = fork;
			if (!$pid) { for (1 .. 40) { syswrite $socket, pattern(20_000); sleep 0.05 } POSIX::_exit(0) }
			sleep 1;
			my ($rest, $how) = split / /, receive($socket);
			kill 'KILL', $pid;
			waitpid $pid, 0;
			return $total + $rest . " $how";
		};
		through('a client that resets', $version, $mute, ['send', 5000, 'pause', 200, 'reset'], qr//, qr/\A5000 reset/, 111);
		like($log = through('5 MB, and reset', $version, $mute, ['send', 5_000_000, 'pause', 1500, 'reset'], qr//, qr/\A5000000 reset/, 111), qr/^relay: error: unable to read descriptor 0: connection lost$/m, 'in words');
		through('one that resets while it is sent something', $version, sub { my ($socket) = @_; send_all($socket, pattern($half)); return receive($socket) }, ['send', 5000, 'read', 1000, 'pause', 200, 'reset'], qr/received \d+\n/, qr/\A5000 reset/, 111);
		through('close_notify and gone', $version, $mute, ['send', 5000, 'notify', 'close'], qr//, qr/\A5000 end/, 0);
		through('5 MB, close_notify and gone', $version, $mute, ['send', 5_000_000, 'notify', 'close'], qr//, qr/\A5000000 end/, 0);
		through('6 MB, close_notify and gone, while the backend talks', $version, $talks, ['send', 6_000_000, 'notify', 'pause', 1000, 'read', 1, 'close'], qr/received 1\n/, qr/\A6000000 end/, undef, rcvbuf => 4096);
		through('a bare FIN', $version, $mute, ['send', 5000, 'fin', 'readall'], qr/received 0\nend .*\n/, qr/\A5000 end/, 0);
		through('a bare FIN, -J', $version, $mute, ['send', 5000, 'fin', 'readall'], qr/received 0\nend .*\n/, qr/\A5000 reset/, 98, tlsd => ['-J']);
		through('close_notify, -J', $version, $mute, ['send', 5000, 'notify', 'readall'], qr/received 0\nend close_notify\n/, qr/\A5000 end/, 0, tlsd => ['-J']);
	};

	subtest "client, tcpserver, sslclient, relay, TLS server: $version" => sub {
		my $meet = sub {
			my ($name, $steps, $does, $word, $lines, $exit) = @_;
			my $server = serve({ env => { PEER_VERSION => $version } }, peer($peers[0]), 'server', file('server-p256.pem'), file('server-p256.key'), @$steps);
			my $front = serve({ env => { CAFILE => file('root.pem'), TLS_RESET => 1, SSL_UID => $> } }, command('tcpserver'), '-1v', '127.0.0.1', '0', command('sslclient'), '-RHl0', 'localhost', $server->{port}, command('relay'));
			like($does->(connect_to($front->{port})), $word, "$name: the client");
			like(read_all($server->{pipe}, 15), qr/open .*\n$lines\z/, "$name: the server");
			is(($front->wait_for_log(qr/ end \d+ status (\d+)/, 10) // -1) >> 8, $exit, "$name: exit $exit") or diag($front->log);
			$_->stop for $server, $front;
		};
		my $asks = sub { my ($socket) = @_; Bear::read_some($socket, time + 5); syswrite $socket, "\0\1"; return receive($socket) };
		$meet->('a server that resets', ['send', $half, 'read', 2, 'pause', 200, 'reset'], $asks, qr/ reset/, qr/received 2\n/, 111);
		$meet->('a server that ends', ['send', $half, 'notify', 'readall'], sub { my ($socket) = @_; my $got = receive($socket); close $socket; return $got }, qr/\A$half end/, qr/received 0\nend close_notify\n/, 0);
		$meet->('by a bare FIN', ['send', $half, 'fin', 'readall'], sub { my ($socket) = @_; my $got = receive($socket); close $socket; return $got }, qr/\A$half end/, qr/received 0\nend .*\n/, 0);
		$meet->('a client that resets', ['readall'], sub { my ($socket) = @_; syswrite $socket, "\0\1"; sleep 0.5; reset_it($socket); return '' }, qr//, qr/received 2\nend alert 80\n/, 111);
		$meet->('a client that ends', ['readall', 'send', 1000, 'notify'], sub { my ($socket) = @_; syswrite $socket, "\0\1"; shutdown $socket, 1; return receive($socket) }, qr/\A1000 end/, qr/received 2\nend close_notify\n/, 0);
	};
}

subtest 'nobody behind it' => sub {
	my $unused = IO::Socket::IP->new(LocalHost => '127.0.0.1', LocalPort => 0, Listen => 1)->sockport;
	my $server = front($unused, {});
	like(once($server->{port}, newest(), 'readall'), qr/received 0\nend alert 80\n\z/, 'an alert') for 1 .. 10;
	my $client = run({ in => "x\n" }, 'openssl', 's_client', '-connect', "127.0.0.1:$server->{port}", '-CAfile', file('root.pem'), '-quiet', '-ign_eof');
	like($client->{err}, qr/alert internal error/, 'as OpenSSL has it') or diag($client->{err});
};

# Such a program lets go of its descriptors in no order to rely on, and relay looks for two milliseconds only.
subtest 'an io program that is killed' => sub {
	my @seen;
	for (1 .. 10) {
		my ($port, $said) = backend(sub { syswrite $_[0], "\0"; return receive($_[0]) });
		my $server = front($port, {});
		my $client = start({ env => { PEER_AUTHORITIES => file('root.pem'), PEER_NAME => 'localhost' } }, peer($peers[0]), 'client', $server->{port}, qw(send 1000 read 1 say begun readall));
		wait_until(sub { slurp($client->{out}) =~ /^begun$/m }, 5);
		kill 'KILL', $server->wait_for_log(qr/^sslserver: ok (\d+)/m, 5);
		push @seen, $said->();
		$_->stop for $client, $server;
	}
	cmp_ok(scalar(grep { $_ eq '1000 reset' } @seen), '>=', 9, 'tlsd-io: a reset for the backend, 9 times of 10 at least') or diag("@seen");

	@seen = ();
	for (1 .. 10) {
		my $server = sslserver({ pair => 'server-p256' }, [], 'sh', '-c', 'echo begun; exec sleep 10');
		my $front = serve({ env => { CAFILE => file('root.pem'), TLS_RESET => 1 } }, command('tcpserver'), '-1v', '127.0.0.1', '0', command('sslclient'), '-RHl0', 'localhost', $server->{port}, command('relay'));
		my $socket = connect_to($front->{port});
		is(read_line($socket, 5), 'begun', 'moving') or last;
		kill 'KILL', $front->wait_for_log(qr/ ok (\d+)/, 5);
		push @seen, receive($socket);
		$_->stop for $front, $server;
	}
	cmp_ok(scalar(grep { $_ eq '0 reset' } @seen), '>=', 9, 'tlsc-io: a reset for the client, 9 times of 10 at least') or diag("@seen");
};

done_testing;
