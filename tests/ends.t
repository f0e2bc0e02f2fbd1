#!/usr/bin/perl
# Ends of connections (the table in tlsd-io(8)), for the server and the client side of ours, with peers on OpenSSL and GnuTLS, in each protocol
# version that the engine speaks.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib", "$FindBin::Bin/lib/peers";
use Bear;
use BearTls qw(versions newest);
use Peers;
use Test::More;
use Time::HiRes qw(sleep time);

my @peers = peers() or plan skip_all => 'no C compiler, or neither libssl-dev nor libgnutls28-dev';
ok(@peers == 2, 'peers with OpenSSL and GnuTLS');

# SSL_UID where prog gets signals: an io program that was started by root would become nobody, and might not send any.
my %open = ('TLSv1.2' => qr/\Aopen .*TLSv?1\.2.*\n/, 'TLSv1.3' => qr/\Aopen .*TLSv?1\.3.*\n/);

# Peer and version: each peer in the newest that it knows, one of them in those before that, too.
sub forms {
	return map { my $peer = $_; map { [$peer, $_] } $peer eq 'bearssl' ? 'TLSv1.2' : $peer eq $peers[0] ? versions() : newest() } @_;
}

# The same meeting on both sides with every peer, or those of {peers}; check gets what came of it and words for its tests.
sub everywhere {
	my ($name, $meeting, $check) = @_;
	subtest $name => sub {
		for my $side (@{ $meeting->{sides} || ['server', 'client'] }) {
			for my $form (forms(@{ $meeting->{peers} || \@peers })) {
				my ($peer, $version) = @$form;
				my $result = { %{ meet({ %$meeting, side => $side, peer => $peer, version => $version }) }, version => $version };
				my $words = "our $side, $peer, $version";
				my $good = 1;
				$good &&= ok(!$result->{hung}, "$words: both ended");
				$good &= $check->($result, $words, $side, $peer) ? 1 : 0;
				diag("$name, $words: exit ", $result->{exit} // 'none', "\npeer:\n$result->{peer}ours:\n$result->{log}") unless $good;
			}
		}
	};
}

# exit, lines of the peer, lines of the log
sub came_out {
	my ($result, $words, $exit, $peer, @log) = @_;
	my $good = is($result->{exit}, $exit, "$words: exit $exit");
	$good &= like($result->{peer}, qr/$open{$result->{version}}$peer\z/, "$words: the peer");
	$good &= like($result->{log}, $_, "$words: the log") for @log;
	return $good;
}

# ---- in good order ----

everywhere('we end first and still receive everything',
	{ app => [qw(send 1000000 closeout readall exit 3)], steps => [qw(readall send 5000000 notify)] },
	sub { came_out(@_[0, 1], 3, qr/received 1000000\nend close_notify\n/, qr/input ended\napplication: received 5000000\n/) });

everywhere('the peer ends first by close_notify, and gets what prog says after its end of input',
	{ app => [qw(readall send 3000000)], steps => [qw(send 200000 notify readall)] },
	sub { came_out(@_[0, 1], 0, qr/received 3000000\nend close_notify\n/, qr/input ended\napplication: received 200000\n/) });

everywhere('the same with -J',
	{ tls => ['-J'], app => [qw(readall send 3000000)], steps => [qw(send 200000 notify readall)] },
	sub { came_out(@_[0, 1], 0, qr/received 3000000\nend close_notify\n/, qr/received 200000\n/) });

everywhere('both directions at once, each half closed as soon as it is done',
	{ app => [qw(both 20000000)], steps => [qw(both 15000000)] },
	sub { came_out(@_[0, 1], 0, qr/received 20000000\nend close_notify\n/, qr/input ended\napplication: received 15000000\napplication: sent 20000000\n/) });

everywhere('nothing at all, from either side',
	{ app => [qw(closeout readall)], steps => [qw(both 0)] },
	sub { came_out(@_[0, 1], 0, qr/received 0\nend close_notify\n/, qr/input ended\napplication: received 0\n/) });

# OpenSSL answers a bare FIN with an alert, GnuTLS takes it for the end of all; BearSSL here goes on.
my %after_fin = (openssl => [98, 0, qr/peer sent alert decode_error/], gnutls => [0, 0, qr//], bearssl => [0, 2000, qr//]);
everywhere('-s: the end is a bare FIN',
	{ peers => [@peers, peer('bearssl') ? 'bearssl' : ()], tls => ['-s'], app => [qw(send 1000 closeout readall)],
		steps => [qw(readall send 2000 notify pause 100)] },
	sub {
		my ($result, $words, $side, $peer) = @_;
		my ($exit, $received, $log) = @{ $after_fin{$peer} };
		return came_out($result, $words, $exit, qr/received 1000\nend fin\n(send failed .*\n|notify failed .*\n)*/,
			qr/input ended\napplication: received $received\n/, $log);
	});

everywhere('TLS_CLOSE=fin: likewise',
	{ env => { TLS_CLOSE => 'fin' }, app => [qw(readall send 1000)], steps => [qw(send 2000 notify readall)] },
	sub { came_out(@_[0, 1], 0, qr/received 1000\nend fin\n/, qr/received 2000\n/) });

everywhere('TLS_CLOSE=wait: nothing is said before the peer has ended',
	{ env => { TLS_CLOSE => 'wait' }, app => [qw(send 1000 closeout readall)],
		steps => [qw(read 1000 quiet 400 send 500000 quiet 100 notify readall)] },
	sub { came_out(@_[0, 1], 0, qr/received 1000\nquiet\nquiet\nreceived 1000\nend close_notify\n/, qr/received 500000\n/) });

everywhere('the peer closes all at its close_notify: prog is told by SIGPIPE, and it is no error',
	{ tls => ['-J'], app => [qw(readall pause 100 feed exit 4)], steps => [qw(send 1000 notify close)] },
	sub { came_out(@_[0, 1], 4, qr//, qr/received 1000\napplication: send failed: Broken pipe\n/) });

# ---- without close_notify ----

everywhere('a bare FIN: prog gets its end of input, the peer its whole reply',
	{ app => [qw(readall send 3000000)], steps => [qw(send 200000 fin readall)] },
	sub { came_out(@_[0, 1], 0, qr/received 3000000\nend close_notify\n/, qr/input ended\napplication: received 200000\n/) });

everywhere('a bare FIN with -J is an error',
	{ tls => ['-J'], app => [qw(readall send 3000000)], steps => [qw(send 200000 fin readall)] },
	sub {
		my ($result, $words, $side) = @_;
		came_out($result, $words, 98, qr/received 3000000\nend close_notify\n/, qr/received 200000\n/,
			$side eq 'server'
			? qr/^tlsd-io: error: unable to speak TLS from: 127\.0\.0\.1 for pid: \d+: peer ended without close_notify$/m
			: qr/^tlsc-io: error: unable to speak TLS to: 127\.0\.0\.1 for pid: \d+: peer ended without close_notify$/m);
	});

for my $forged (['in clear', pack('H*', '15030300020100')], ['of random bytes', pack('H*', '150303001a') . 'x' x 26]) {
	my ($kind, $record) = @$forged;
	for my $side ('server', 'client') {
		my $from = $side eq 'server' ? 'client' : 'server';
		everywhere("a forged close_notify $kind is no end in good order",
			{ sides => [$side], app => [qw(readall)], steps => [qw(send 100000 readall)],
				via => sub {
					my ($name, $number, $bytes) = @_;
					return $bytes if $name ne $from || ord $bytes != 23 || length $bytes < 10000; # TLS 1.3: Finished looks the same
					return ($record, \'fin');
				} },
			sub { came_out(@_[0, 1], 98, qr/(send failed .*\n)?received 0\nend (?!close_notify|fin).*\n/, qr/input ended\napplication: received 0\n/, qr/: error: unable to speak TLS/) });
	}
}

# ---- ends of prog ----

everywhere('prog closes only its input and goes on, while the peer sends',
	{ app => [qw(closein send 3000000 pause 300 send 1000000 exit 6)], steps => [qw(both 600000)] },
	sub { came_out(@_[0, 1], 6, qr/received 4000000\nend close_notify\n/, qr/application: sent 4000000\n/) });

everywhere('prog ends without reading what the peer sends first',
	{ app => [qw(send 100000)], steps => [qw(pause 300 send 900000 notify readall)] },
	sub { came_out(@_[0, 1], 0, qr/received 100000\nend close_notify\n/) });

everywhere('prog ends without reading, while the peer sends megabytes and reads',
	{ app => [qw(send 100000)], steps => [qw(both 5000000)] },
	sub {
		my ($result, $words) = @_;
		came_out($result, $words, 0, qr/(send failed .*\n)?(received 100000\nend .*\n)(send failed .*\n|notify failed .*\n)?/);
	});

everywhere('input that nobody wants is bounded',
	{ prog => ['true'], steps => [qw(upload 12000)] },
	sub {
		my ($result, $words) = @_;
		my ($ms) = $result->{peer} =~ /upload ended after ms (\d+)/;
		return ok(defined $ms && $ms < 6000, "$words: the peer cannot send any more") & ok($result->{seconds} < 6, "$words: ours ended") &
			is($result->{exit}, 0, "$words: exit 0");
	});

everywhere('the same from a peer that sends slowly',
	{ peers => [$peers[0]], prog => ['true'], steps => ['pause', 100, map { ('text', 'x', 'pause', 200) } 1 .. 21] },
	sub {
		my ($result, $words) = @_;
		return ok($result->{seconds} < 3.8, "$words: ours ended ($result->{seconds})") & is($result->{exit}, 0, "$words: exit 0");
	});

for my $end ([['exit', 37], 37], [['kill', 'KILL'], 137], [['kill', 'TERM'], 143]) {
	my ($steps, $exit) = @$end;
	everywhere("prog's end is passed on: @$steps",
		{ peers => [$peers[0]], app => ['send', 1000, @$steps], steps => [qw(readall notify)] },
		sub { came_out(@_[0, 1], $exit, qr/received 1000\nend close_notify\n/) });
}

everywhere('the exit code of a TLS failure wins over that of prog',
	{ peers => [$peers[0]], tls => ['-J'], app => [qw(readall exit 3)], steps => [qw(fin readall)] },
	sub { came_out(@_[0, 1], 98, qr/received 0\nend close_notify\n/) });

# ---- slow and gone peers ----

everywhere('a slow reader gets all that was in flight when prog ended',
	{ app => [qw(send 3000000 exit 5)], peer_env => { PEER_RCVBUF => 4096 }, steps => [qw(pause 500 trickle 300000 50)] },
	sub { came_out(@_[0, 1], 5, qr/received 3000000\nend close_notify\n/) });

everywhere('TLS_LINGER bounds the wait for a peer that reads nothing',
	{ peers => [$peers[0]], env => { TLS_LINGER => 2 }, app => [qw(send 300000)], peer_env => { PEER_RCVBUF => 4096 }, steps => [qw(pause 4000)] },
	sub {
		my ($result, $words) = @_;
		return is($result->{exit}, 98, "$words: exit 98") & ok($result->{seconds} > 1.8 && $result->{seconds} < 3.8, "$words: after $result->{seconds} s") &
			like($result->{log}, qr/error: unable to speak TLS .*TLS_LINGER/, "$words: the log");
	});

everywhere('reset by the peer while it receives',
	{ app => [qw(feed pause 700 say done)], steps => [qw(read 300000 reset)],
		during => sub {
			my ($io, $app, $process) = @_;
			$process->wait_for_log(qr/(send failed)/, 5);
			my $before = cpu_seconds($io);
			sleep 0.5;
			cmp_ok((cpu_seconds($io) // 0) - ($before // 0), '<', 0.1, 'no spinning while prog goes on');
		} },
	sub {
		my ($result, $words) = @_;
		return like($result->{log}, qr/send failed: Broken pipe\napplication: done/, "$words: prog is told") &
			ok(defined $result->{exit} && $result->{exit} =~ /\A(0|98)\z/, "$words: exit 0 or 98");
	});

everywhere('reset by the peer while it sends',
	{ tls => ['-J'], app => [qw(trickle 65536 5 pause 700 say done)], steps => [qw(send 1000000 reset)],
		during => sub {
			my ($io, $app, $process) = @_;
			$process->wait_for_log(qr/(input ended)/, 5);
			my $before = cpu_seconds($io);
			sleep 0.5;
			cmp_ok((cpu_seconds($io) // 0) - ($before // 0), '<', 0.1, 'no spinning while prog goes on');
		} },
	sub {
		my ($result, $words) = @_;
		return like($result->{log}, qr/input ended\napplication: received \d+\napplication: done/, "$words: prog gets its end of input") &
			is($result->{exit}, 98, "$words: -J: exit 98");
	});

# ---- signals and idle limits ----

for my $signal ('TERM', 'HUP', 'INT') {
	everywhere("SIG$signal to the io program alone",
		{ peers => [$peers[0]], env => { SSL_UID => $> }, app => ['trap', $signal, 'send', 1000, 'readall'], steps => [qw(readall)],
			during => sub {
				my ($io, $app, $process) = @_;
				$process->wait_for_log(qr/(sent 1000)/, 5);
				sleep 0.1;
				kill $signal, $io;
			} },
		sub { came_out(@_[0, 1], 7, qr/received 1000\nend close_notify\n/, qr/signal $signal\n/) });
}

everywhere('-K: an idle connection is ended on both sides',
	{ env => { SSL_UID => $> }, tls => ['-K', 500], app => [qw(trap TERM send 1000 readall)], steps => [qw(readall)] },
	sub {
		my ($result, $words) = @_;
		return came_out($result, $words, 7, qr/received 1000\nend (close_notify|fin)\n/, qr/signal TERM\n/, qr/idle for 500 ms/) &
			ok($result->{seconds} < 4, "$words: soon");
	});

everywhere('-K: also while prog does not read and the peer does not end',
	{ env => { SSL_UID => $> }, tls => ['-K', 500], app => [qw(trap TERM send 1000 pause 6000)], steps => [qw(both 300000)] },
	sub {
		my ($result, $words) = @_;
		return is($result->{exit}, 7, "$words: exit 7") & ok($result->{seconds} < 5, "$words: soon ($result->{seconds})") &
			like($result->{log}, qr/signal TERM\n/, "$words: prog is told") & like($result->{log}, qr/idle for 500 ms/, "$words: the log");
	});

everywhere('-K: whoever moves bytes is not idle',
	{ peers => [$peers[0]], tls => ['-K', 600], app => [qw(readall)], steps => [(map { ('send', 10, 'pause', 250) } 1 .. 5), 'notify', 'readall'] },
	sub { came_out(@_[0, 1], 0, qr/received 0\nend close_notify\n/, qr/received 50\n/) });

subtest 'sslserver -w' => sub {
	my $server = serve({ env => { CERTFILE => file('server-p256.pem'), KEYFILE => file('server-p256.key'), SSL_UID => $> } },
		command('sslserver'), '-1v', '-w', '1', '127.0.0.1', '0', application(0, 1, qw(trap TERM send 1000 readall)));
	my $begin = time;
	my $client = run(peer($peers[0]), 'client', $server->{port}, 'readall');
	like($client->{out}, qr/received 1000\nend (close_notify|fin)\n\z/, 'the peer sees the end');
	my $seconds = time - $begin;
	ok($seconds > 0.9 && $seconds < 4, "after about a second ($seconds)");
	is($server->wait_for_log(qr/ ended by \d+ status (\d+)/, 5), 7 << 8, 'exit code of prog');
	like($server->log, qr/idle for 1000 ms/, 'the log');
	like($server->log, qr/signal TERM/, 'prog is told');
	$server->stop;
};

# ---- the shortest connection ----

subtest 'a server that ends right after the handshake, without data' => sub {
	my $server = serve({ env => { CERTFILE => file('server-p256.pem'), KEYFILE => file('server-p256.key'), SSL_UID => $> } },
		command('sslserver'), '-1', '127.0.0.1', '0', 'true');
	my ($ran, $errors) = (0, '');
	for (1 .. 50) {
		my $client = run({ env => { CAFILE => file('root.pem') } }, command('sslclient'), 'localhost', $server->{port},
			'sh', '-c', 'cat <&6 && echo ran; exit 5');
		if (($client->{exit} // -1) == 5 && $client->{out} eq "ran\n") { $ran++ }
		else                                                           { $errors .= $client->{err} }
	}
	is($ran, 50, 'the program of sslclient runs and gets its end of input, 50 times') or diag($errors);
	for my $peer (@peers) {
		my $good = grep { run({ env => { PEER_AUTHORITIES => file('root.pem'), PEER_NAME => 'localhost' } }, peer($peer), 'client', $server->{port},
			'readall')->{out} =~ /$open{'TLSv1.2'}received 0\nend close_notify\n\z/ } 1 .. 10;
		is($good, 10, "$peer sees a handshake and an end in good order, 10 times");
	}
	is($server->log, '', 'nothing to log');
	$server->stop;
};

done_testing;
