#!/usr/bin/perl
# A connection counts until all of it has ended: the tree of processes, -c, programs that end early or go into the background, clients that
# do not read, what is left over; and odd ways to be started: descriptors closed, SIGCHLD ignored, inetd.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Bear;
use BearTls;
use IO::Socket::IP;
use POSIX ();
use Test::More;
use Time::HiRes qw(sleep time);

# Both listeners: program, log line of an end, status line.
my @forms = (
	{ name => 'sslserver', ended => qr/^sslserver: ended by (\d+) status (\d+)$/m, status => qr{^sslserver: status: (\d+)/(\d+)/0$}m },
	{ name => 'tcpserver and tlsd', ended => qr/^tcpserver: end (\d+) status (\d+)$/m, status => qr{^tcpserver: status: (\d+)/(\d+)$}m },
);

# limit: -c; handshake: -T; the rest as for run.
sub listener {
	my ($form, $options, @prog) = @_;
	my @limit = $options->{limit} ? ('-c', $options->{limit}) : ();
	my @handshake = $options->{handshake} ? ('-T', $options->{handshake}) : ();
	my $more = { %$options, env => pair('server-p256', %{ $options->{env} || {} }) };
	return serve($more, command('sslserver'), '-1v', @limit, @handshake, '127.0.0.1', '0', @prog) if $form->{name} eq 'sslserver';
	return serve($more, command('tcpserver'), '-1v', @limit, '127.0.0.1', '0', command('tlsd'), @handshake, @prog);
}

# ---- looking at processes ----

# All processes of a server, by pid; whoever belongs to it is in its process group. Whether one sleeps or runs at the moment is the same here.
sub group {
	my ($server) = @_;
	my %group;
	for my $stat (glob '/proc/[0-9]*/stat') {
		my ($pid, $name, $state, $ppid, $pgrp) = slurp($stat) =~ /\A(\d+) \((.*)\) (\S) (\d+) (\d+) /s or next;
		next unless $pgrp == $server->{pid};
		my $program = readlink "/proc/$pid/exe";
		$group{$pid} = { pid => $pid, name => $name, state => $state =~ tr/RD/SS/r, ppid => $ppid, program => defined $program ? $program =~ s{.*/}{}r : '' };
	}
	return \%group;
}

sub io_programs { return scalar grep { $_->{program} eq io_program('tlsd-io') && $_->{state} ne 'Z' } values %{ group($_[0]) } }

sub running { my ($form, $server) = @_; my @all = $server->log =~ /$form->{status}/g; return @all ? $all[-2] : -1 }

sub wait_for_running { my ($form, $server, $number, $seconds) = @_; return wait_until(sub { running($form, $server) == $number }, $seconds || 5) }

sub ends { my ($form, $server) = @_; my @all = $server->log =~ /$form->{ended}/g; my @statuses = @all[grep { $_ % 2 } 0 .. $#all]; return @statuses }

# Only the listener is there, its log counts up and down by one, never beyond the limit, and as many connections ended as began.
sub all_over {
	my ($form, $server, $name, %expected) = @_;
	ok(wait_for_running($form, $server, 0, $expected{seconds} || 5), "$name: the listener counts none") or diag($server->log);
	my $left;
	wait_until(sub { $left = group($server); delete @$left{ @{ $expected{left} } } if $expected{left}; keys %$left == 1 }, 10);
	is(join(', ', map { "$_->{name} $_->{state}" } values %$left), ($form->{name} =~ /^(\w+)/)[0] . ' S', "$name: and nothing is left but itself");
	my @lines = $server->log =~ /$form->{status}/g;
	my ($last, $up, $most, $sound) = (shift @lines, 0, 0, 1);
	my $limit = shift @lines;
	while (@lines) {
		my $now = shift @lines;
		$sound &&= shift(@lines) == $limit && abs($now - $last) == 1;
		$up++ if $now > $last;
		$most = $now if $now > $most;
		$last = $now;
	}
	ok($sound, "$name: status goes up and down by one");
	cmp_ok($most, '<=', $limit, "$name: never beyond the limit");
	is(scalar(ends($form, $server)), $up, "$name: what began has ended") if !$expected{connections};
	is(scalar(ends($form, $server)), $expected{connections}, "$name: all connections are logged") if $expected{connections};
	is($server->stop->{exit}, 0, "$name: the listener ends well");
}

# ---- clients ----

# openssl s_client that has got something, then stopped: it holds its connection and reads no more. It is told to go by SIGKILL.
sub stopped_client {
	my ($server) = @_;
	my $client = start('openssl', 's_client', '-connect', "127.0.0.1:$server->{port}", '-quiet', '-ign_eof');
	wait_until(sub { -s $client->{out} }, 5) or diag('no answer: ' . $client->log);
	kill 'STOP', $client->{pid};
	return $client;
}

sub client { return start('openssl', 's_client', '-connect', "127.0.0.1:$_[0]{port}", '-quiet', '-ign_eof') }

sub gone { my ($client) = @_; kill 'KILL', $client->{pid}; return $client->wait_for_end(5) }

sub says { my ($client, $pattern, $seconds) = @_; return wait_until(sub { slurp($client->{out}) =~ $pattern }, $seconds || 5) }

# A program that says one line, waits for a file, then does something.
my @after = ('perl', '-MTime::HiRes=sleep', '-e', '$| = 1; $SIG{PIPE} = "IGNORE"; print "begin\n"; my $go = shift; sleep 0.02 until -e $go; eval shift');

# ---- counting ----

for my $form (@forms) {
	my $name = $form->{name};

	subtest "$name: who is whose parent" => sub {
		my $server = listener($form, {}, 'sh', '-c', 'echo $$; exec cat');
		my $client = client($server);
		ok(says($client, qr/^\d+\n/), 'a connection');
		my ($prog) = slurp($client->{out}) =~ /^(\d+)/;
		my $group = group($server);
		is(scalar(keys %$group), 3, 'is two processes besides the listener');
		is($group->{$prog}{name}, 'cat', 'one is prog');
		my $io = $group->{ $group->{$prog}{ppid} };
		is($io->{program}, io_program('tlsd-io'), 'its parent the io program');
		is($io->{ppid}, $server->{pid}, 'whose parent is the listener');
		like($server->log, qr/ ok $io->{pid} /, 'which knows the connection by that pid');
		my $children = slurp("/proc/$prog/task/$prog/children");
		is($children, '', 'prog has no child that it does not know');
		gone($client);
		all_over($form, $server, 'at the end', connections => 1);
	};

	subtest "$name: clients that do not read" => sub {
		# More than pipes and sockets hold, as soon as the clients have stopped.
		my $server = listener($form, { limit => 2 }, @after, my $go = temporary("unread-$name"), 'print "x\n" x 8_000_000');
		my @clients = map { stopped_client($server) } 1, 2;
		spew($go, '');
		is(io_programs($server), 2, 'two of them');
		my $waiting = client($server);
		sleep 0.5;
		is(running($form, $server), 2, 'count');
		is(io_programs($server), 2, 'and no third one beside them');
		is(-s $waiting->{out}, 0, 'which waits');
		gone($clients[0]);
		ok(says($waiting, qr/x/), 'until one of them is gone');
		gone($_) for $waiting, $clients[1];
		all_over($form, $server, 'then', connections => 3);

		$server = listener($form, { limit => 1, env => { TLS_LINGER => 1 } }, @after, $go = temporary("linger-$name"), 'print "x\n" x 200_000; exit 0');
		my $client = stopped_client($server);
		spew($go, '');
		my $next = client($server);
		my $begin = time;
		ok(says($next, qr/x/, 15), 'a program that has ended, a client that takes nothing more: it ends by itself');
		my $took = time - $begin;
		cmp_ok($took, '>', 0.7, 'not before its time');
		cmp_ok($took, '<', 10, 'within its bound');
		gone($_) for $client, $next;
		all_over($form, $server, 'then', connections => 2);
	};

	subtest "$name: programs that end while the client stays" => sub {
		my $server = listener($form, { limit => 1 }, @after, my $go = temporary("early-$name"), 'print "hello\n"; exit 3');
		my $client = stopped_client($server);
		my $next = client($server);
		my $begin = time;
		spew($go, '');
		ok(says($next, qr/hello/, 10), 'the next one is served');
		my $took = time - $begin;
		cmp_ok($took, '>', 1, 'after a moment for what the client might still send');
		cmp_ok($took, '<', 6, 'which is bounded');
		$next->wait_for_end(5);
		ok(wait_for_running($form, $server, 0), 'none is left');
		is(join(' ', ends($form, $server)), '768 768', 'both with the exit code of prog');
		gone($client);
		all_over($form, $server, 'then', connections => 2);
	};

	subtest "$name: programs in the background, with the descriptors" => sub {
		my ($started, $go) = map { temporary("$_-$form->{name}") } 'started', 'go';
		my $server = listener($form, { limit => 1 }, 'sh', '-c', '(echo $$ >"$1"; while test ! -e "$2"; do sleep 0.05; done; echo late) & echo early; exit 5', 'sh', $started, $go);
		my $client = client($server);
		ok(says($client, qr/early/), 'prog ends');
		my $next = client($server);
		sleep 0.7;
		is(running($form, $server), 1, 'but its connection goes on, and counts');
		is(io_programs($server), 1, 'alone');
		is(-s $next->{out}, 0, 'the next one waits');
		spew($go, '');
		ok(says($client, qr/early\nlate\n/), 'what comes from the background is delivered');
		ok(says($next, qr/early/), 'then it is the turn of the next one');
		$_->wait_for_end(5) for $client, $next;
		all_over($form, $server, 'then', connections => 2);
		is(join(' ', ends($form, $server)), '1280 1280', 'with the exit code of prog');
	};

	subtest "$name: programs in the background, without the descriptors" => sub {
		my $server = listener($form, { limit => 1 }, 'sh', '-c', 'sleep 30 <&- >&- 2>&- & echo hello $!');
		my $client = client($server);
		is($client->wait_for_end(5)->{exit}, 0, 'the connection ends with prog');
		my ($left) = slurp($client->{out}) =~ /hello (\d+)/;
		ok(wait_for_running($form, $server, 0), 'and is not counted any more');
		ok(kill(0, $left), 'while the background goes on') and kill 'KILL', $left;
		is(client($server)->wait_for_end(5)->{exit}, 0, 'the next one is served');
		ok(wait_for_running($form, $server, 0), 'likewise');
		my @background = grep { $_->{name} eq 'sleep' } values %{ group($server) };
		kill 'KILL', map { $_->{pid} } @background;
		all_over($form, $server, 'then', connections => 2);
	};

	subtest "$name: programs that close their descriptors and stay" => sub {
		my $go = temporary("stay-$form->{name}");
		my $server = listener($form, { limit => 1 }, 'sh', '-c', 'echo hello; exec <&- >&-; while test ! -e "$1"; do sleep 0.05; done; exit 7', 'sh', $go);
		my $client = client($server);
		is(($client->wait_for_end(8) || {})->{exit}, 0, 'the client gets its end');
		is(slurp($client->{out}), "hello\n", 'and all before it');
		is(running($form, $server), 1, 'prog counts as long as it is there');
		is(io_programs($server), 1, 'and so does its io program');
		spew($go, '');
		ok(wait_for_running($form, $server, 0), 'until it ends');
		is(join(' ', ends($form, $server)), 7 << 8, 'with its exit code');
		all_over($form, $server, 'then', connections => 1);
	};

	subtest "$name: never more than the limit" => sub {
		my $server = listener($form, { limit => 3 }, 'sh', '-c', 'echo hello');
		my (@clients, $most) = ();
		for my $i (1 .. 15) {
			if ($i % 3 == 0) { push @clients, connect_to($server->{port}); print { $clients[-1] } "GET / HTTP/1.0\r\n\r\n" }
			elsif ($i % 5 == 0) { push @clients, connect_to($server->{port}); close pop @clients }
			else { push @clients, client($server) }
		}
		$most = 0;
		wait_until(sub {
			my $now = io_programs($server);
			$most = $now if $now > $most;
			return ends($form, $server) >= 15;
		}, 15);
		cmp_ok($most, '>=', 1, 'io programs were seen');
		cmp_ok($most, '<=', 3, 'and not more than -c allows');
		my @served = grep { ref $_ eq 'Bear' && $_->wait_for_end(5)->{exit} == 0 && slurp($_->{out}) eq "hello\n" } @clients;
		is(scalar @served, 8, 'every honest client was served');
		close $_ for grep { ref $_ ne 'Bear' } @clients;
		all_over($form, $server, 'then', connections => 15);
	};

	subtest "$name: handshakes that do not come about" => sub {
		my $marker = temporary("never-$form->{name}");
		my $server = listener($form, { limit => 4, handshake => 1 }, 'touch', $marker);
		my @silent = map { connect_to($server->{port}) } 1 .. 4;
		ok(wait_for_running($form, $server, 4), 'silent clients count');
		my $begin = time;
		ok(wait_for_running($form, $server, 0, 8), 'until their time is over');
		cmp_ok(time - $begin, '<', 5, 'which is soon');
		is(join(' ', ends($form, $server)), join(' ', (98 << 8) x 4), 'with exit code 98');
		close $_ for @silent;

		my $socket = connect_to($server->{port});
		wait_until(sub { io_programs($server) == 1 }, 5);
		my ($io) = grep { $_->{program} eq io_program('tlsd-io') } values %{ group($server) };
		kill 'KILL', $io->{pid};
		close $socket;
		ok(wait_for_running($form, $server, 0), 'an io program that was killed');
		all_over($form, $server, 'what was to be prog has ended too', connections => 5);
		ok(!-e $marker, 'and never was prog');
	};
}

# ---- descriptors closed at the start ----

my $descriptors = 'for (0..63) { my $l = readlink "/proc/self/fd/$_"; print "$_ ", $l =~ /^(\w+:)/ ? $1 : $l =~ m{/dev/null} ? "null" : "file", "\n" if defined $l }';
my @closed = ([0], [1], [2], [0, 1], [0, 1, 2]);
sub closing { my ($closed) = @_; return sub { POSIX::close($_) for @$closed } }

# The same for a program in the midst of a chain.
sub closing_shell { my ($closed) = @_; return ('sh', '-c', 'exec "$@" ' . join(' ', map { $_ == 0 ? '<&-' : "$_>&-" } @$closed), 'sh') }

for my $closed (@closed) {
	subtest "descriptors @$closed closed at the start" => sub {
		my %is_closed = map { $_ => 1 } @$closed;
		my $server = start({ env => pair('server-p256'), before => closing($closed) }, command('sslserver'), '127.0.0.1', '0', 'perl', '-e', $descriptors);
		my $port = wait_until(sub { BearTls::listening_port($server->{pid}) }, 5);
		my $errors = $is_closed{2} ? 'null' : 'file';
		for my $round (1, 2) {
			my $result = s_client({}, $port, '-quiet');
			is($result->{exit}, 0, 'sslserver: a connection');
			is($result->{out}, "0 pipe:\n1 pipe:\n2 $errors\n", 'prog has its three descriptors and no more');
		}
		is($server->stop->{exit}, 0, 'the listener ends well');
		is($server->log, '', 'without a word');

		my $peer = sslserver({ pair => 'server-p256' }, [], 'echo', 'here');
		my $seen = temporary('seen');
		my @look = ('sh', '-c', 'read line <&6; echo "$line" >"$1"; exec perl -e "$2" >>"$1"', 'sh', $seen, $descriptors);
		my $expected = "here\n0 null\n1 file\n2 $errors\n6 pipe:\n7 pipe:\n";
		my $result = run({ env => { CAFILE => file('root.pem') }, before => closing($closed) }, command('sslclient'), 'localhost', $peer->{port}, @look);
		is($result->{exit}, 0, 'sslclient: a connection') or diag($result->{err});
		is(slurp($seen), $expected, 'and what its prog has');
		unlink $seen;

		$result = run({ env => { CAFILE => file('root.pem') } }, command('tcpclient'), '127.0.0.1', $peer->{port}, closing_shell($closed),
			command('tlsc'), '-k', 'localhost', @look);
		is($result->{exit}, 0, 'tlsc: a connection') or diag($result->{err});
		is(slurp($seen), $expected, 'and what its prog has');
		unlink $seen;
		$peer->stop;
	};
}

subtest 'descriptor 2 closed at the start' => sub {
	my $server = serve({ env => pair('server-p256') }, command('tcpserver'), '-1v', '127.0.0.1', '0', closing_shell([2]), command('tlsd'), 'perl', '-e', $descriptors);
	is(s_client({}, $server->{port}, '-quiet')->{out}, "0 pipe:\n1 pipe:\n2 null\n", 'tlsd');
	my $answer = ask($server->{port}, "GET / HTTP/1.0\r\n\r\n");
	like(unpack('H*', $answer), qr/\A1503..00020246\z/, 'no words to the peer, but an alert');
	$server->stop;
	my $input = spew(temporary('io-input'), "from a file\n");
	$server = serve({ env => pair('server-p256') }, command('tcpserver'), '-1v', '127.0.0.1', '0', 'sh', '-c', 'exec "$@" 3<"$0" 4>"$0.out" 2>&-', $input,
		command(io_program('tlsd-io')), '3', '4');
	my $client = sslclient({}, ['localhost'], $server->{port}, 'sh', '-c', 'echo to a file >&7; exec 7>&-; exec cat <&6');
	is($client->{out}, "from a file\n", 'tlsd-io');
	ok(wait_until(sub { slurp("$input.out") eq "to a file\n" }, 5), 'both ways');
	$server->stop;
};

subtest 'descriptor 0 or 1 of tlsd and tlsd-io closed at the start' => sub {
	my $marker = temporary('no-connection');
	for my $closed ([0], [1], [0, 1], [0, 1, 2]) {
		for my $program (['tlsd', 'touch', $marker], [io_program('tlsd-io'), '0', '1']) {
			my ($name, @rest) = @$program;
			my $result = run({ env => pair('server-p256'), before => closing($closed) }, command($name), @rest);
			is($result->{exit}, 98, "$name without @$closed: exit 98");
			ok(!-e $marker, 'and prog never starts');
		}
	}
};

# ---- SIGCHLD ----

subtest 'SIGCHLD ignored and blocked at the start' => sub {
	my $deaf = sub {
		$SIG{CHLD} = 'IGNORE';
		POSIX::sigprocmask(&POSIX::SIG_BLOCK, POSIX::SigSet->new(&POSIX::SIGCHLD, &POSIX::SIGTERM));
	};
	my @deaf = ('perl', '-e', '$SIG{CHLD} = "IGNORE"; exec @ARGV');
	my @prog = ('sh', '-c', 'grep -E "^Sig(Blk|Ign)" /proc/self/status; exit 3');
	my $clean = "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n";
	for my $form (@forms) {
		my $server = listener($form, { limit => 1, before => $deaf }, @prog);
		is(s_client({}, $server->{port}, '-quiet')->{out}, $clean, "$form->{name}: prog has its signals") for 1, 2;
		ok(wait_for_running($form, $server, 0), "$form->{name}: the connections have ended");
		is(join(' ', ends($form, $server)), '768 768', "$form->{name}: with the exit code of prog");
		all_over($form, $server, $form->{name}, connections => 2);
	}
	my $server = serve({ env => pair('server-p256') }, command('tcpserver'), '-1v', '127.0.0.1', '0', @deaf, command('tlsd'), @prog);
	is(s_client({}, $server->{port}, '-quiet')->{out}, $clean, 'tlsd: prog has its signals');
	is($server->wait_for_log(qr/end \d+ status (\d+)/), 768, 'and its exit code is passed on');
	my $client = run({ env => { CAFILE => file('root.pem') }, before => $deaf }, command('sslclient'), 'localhost', $server->{port}, @prog);
	is($client->{exit}, 3, 'sslclient: the exit code of prog');
	is($client->{out}, $clean, 'which has its signals');
	$client = run({ env => { CAFILE => file('root.pem') } }, command('tcpclient'), '127.0.0.1', $server->{port}, @deaf, command('tlsc'), '-k', 'localhost', @prog);
	is($client->{exit}, 3, 'tlsc: the exit code of prog');
	is($client->{out}, $clean, 'which has its signals');
	$server->stop;
};

# ---- inetd ----

subtest 'under inetd' => sub {
	my $inetd = "$FindBin::Bin/../build/peers/openbsd-inetd/usr/sbin/inetd";
	plan skip_all => 'no inetd (package/deps full)' unless -x $inetd;
	my ($uid, $gid) = $> == 0 ? (getpwnam 'nobody')[2, 3] : ($>, $( + 0);
	my $name = getpwuid $uid;
	plan skip_all => 'no user to run it' unless defined $uid && defined $name;
	my %env = %{ pair('server-p256') };
	my $never = temporary('inetd-started');
	my @services = (
		[['perl', '-e', 'print STDERR "words\n"; print readlink("/proc/self/fd/2"), "\n"; print STDERR "more\n"'], undef],
		[['perl', '-e', 'print STDERR "words\n"; while (<STDIN>) { last if /^\r?\n$/ } print "served\n"; warn "more"'], undef],
		[['touch', $never], { KEYFILE => temporary('gone.key') }],
		[['/nonexistent/program'], undef],
	);
	my @sockets = map { IO::Socket::IP->new(LocalHost => '127.0.0.1', LocalPort => 0, Listen => 1) } @services, 'wrong option';
	my @ports = map { $_->sockport } @sockets;
	close $_ for @sockets;
	my $lines = '';
	# Words of a service cannot be quoted there, so each is a script.
	for my $i (0 .. $#services) {
		my ($prog, $env) = @{ $services[$i] };
		my $script = temporary("service$i");
		spew($script, "#!/usr/bin/perl\nexec " . join(', ', map { s/(['\\])/\\$1/gr =~ s/\A(.*)\z/'$1'/sr } @$prog) . ";\nexit 111;\n");
		chmod 0755, $script;
		my @wrap = ('/usr/bin/env', map { "$_=$env->{$_}" } keys %{ $env || {} });
		my $tlsd = command('tlsd');
		$lines .= "127.0.0.1:$ports[$i] stream tcp nowait $name " . ($env ? "/usr/bin/env @wrap[0 .. $#wrap] $tlsd $script" : "$tlsd tlsd $script") . "\n";
	}
	$lines .= "127.0.0.1:$ports[-1] stream tcp nowait $name " . command('tlsd') . " tlsd -Q true\n";
	my $config = spew(temporary('inetd.conf'), $lines);
	# As nobody in particular, so that it writes no /run/inetd.pid.
	my $server = start({ env => \%env, before => sub { if ($> == 0) { $( = $) = "$gid $gid"; POSIX::setuid($uid) } } }, $inetd, '-i', '-E', '-R', '1000', $config);
	ok(wait_until(sub { my $socket = connect_to($ports[0]); $socket && close $socket }, 5), 'inetd runs') or diag($server->log);

	my $result = s_client({}, $ports[0], '-quiet');
	is($result->{out}, "/dev/null\n", 'prog has /dev/null to say errors to');
	$result = s_client({ in => "GET / HTTP/1.0\r\n\r\n" }, $ports[1], '-quiet');
	is($result->{exit}, 0, 'tlsd serves');
	is($result->{out}, "served\n", 'and nothing of what prog says to the log goes to the client');
	$result = run('curl', '-sS', '--http0.9', '--cacert', file('root.pem'), "https://localhost:$ports[1]/");
	is($result->{out}, "served\n", 'curl likewise');
	like(unpack('H*', ask($ports[1], "GET / HTTP/1.0\r\n\r\n")), qr/\A1503..00020246\z/, 'who speaks no TLS gets an alert and not a word');
	like(unpack('H*', ask($ports[2], '')), qr/\A1503..00020250\z/, 'a key that is not there: an alert and not a word');
	ok(!-e $never, 'and prog never starts');
	$result = s_client({}, $ports[3], '-quiet');
	is($result->{out}, '', 'a program that is not there: not a word within TLS');
	is(ask($ports[4], ''), '', 'a wrong option of tlsd: not a word in clear');

	my $left;
	wait_until(sub { $left = group($server); keys %$left == 1 }, 5);
	is(join(', ', map { "$_->{name} $_->{state}" } values %$left), 'inetd S', 'nothing is left but inetd');
	is(-s $server->{err}, 0, 'which has nothing to say') or diag($server->log);
	$server->stop;
};

done_testing;
