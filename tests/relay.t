#!/usr/bin/perl
# relay from outside, between sockets and between pipes: every byte, every end, resets, deadlines, signals, and what it says.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Bear;
use Digest::SHA qw(sha256_hex);
use IO::Socket::IP;
use POSIX ();
use Socket qw(AF_UNIX SOCK_STREAM PF_UNSPEC SOL_SOCKET SO_LINGER SO_RCVBUF SO_SNDBUF);
use Test::More;
use Time::HiRes qw(sleep time);

my $relay = command('relay');
my $random = do { open my $file, '<', '/dev/urandom' or die; read $file, my $bytes, 3_000_001; $bytes };
$SIG{PIPE} = 'IGNORE';

# ---- both sides in this test's hands ----

# A connected pair: of TCP, of this machine's own kind, or pipes in two directions. { r, w }: what to read from and to write to.
sub both_ends {
	my ($kind) = @_;
	if ($kind eq 'pipe') {
		pipe my $r1, my $w1 or die;
		pipe my $r2, my $w2 or die;
		return ({ r => $r1, w => $w2 }, { r => $r2, w => $w1 });
	}
	if ($kind eq 'unix') {
		socketpair my $a, my $b, AF_UNIX, SOCK_STREAM, PF_UNSPEC or die;
		return map { { r => $_, w => $_ } } $a, $b;
	}
	my $listener = IO::Socket::IP->new(LocalHost => '127.0.0.1', LocalPort => 0, Listen => 1) or die;
	my $a = connect_to($listener->sockport);
	my $b = $listener->accept;
	return map { { r => $_, w => $_ } } $a, $b;
}

# A relay with near and far; returns it and our ends of both.
sub joined {
	my ($near_kind, $far_kind, @options) = @_;
	my ($near, $its_near) = both_ends($near_kind);
	my ($far, $its_far) = both_ends($far_kind);
	my @fds = map { fileno $_ } @$its_near{qw(r w)}, @$its_far{qw(r w)};
	# launch has closed 3 to 63 when before is called: copies stand higher.
	my @high = map { POSIX::dup2($fds[$_], 100 + $_); 100 + $_ } 0 .. 3;
	my $process = start({ before => sub { POSIX::dup2($high[$_], (0, 1, 6, 7)[$_]) for 0 .. 3; POSIX::close($_) for 64 .. 127 } }, $relay, @options);
	POSIX::close($_) for @high;
	close $_ for map { @$_{qw(r w)} } $its_near, $its_far;
	return ($process, $near, $far);
}

sub end_writing { my ($end) = @_; return $end->{r} eq $end->{w} ? shutdown $end->{w}, 1 : close $end->{w} }
sub end_all { my ($end) = @_; close $end->{w}; close $end->{r} if $end->{r} ne $end->{w} }
sub reset_it { my ($end) = @_; setsockopt $end->{w}, SOL_SOCKET, SO_LINGER, pack('ii', 1, 0); close $end->{w} }

# Sends in a process of its own, so that both directions can be filled; ends its sending side.
sub sender {
	my ($end, $bytes, $size) = @_;
	my $pid = fork // die;
	if (!$pid) {
		for (my $at = 0; $at < length $bytes;) {
			my $n = syswrite $end->{w}, $bytes, ref $size ? $size->[ $at % @$size ] : $size, $at;
			POSIX::_exit(1) unless $n;
			$at += $n;
		}
		shutdown $end->{w}, 1 if $end->{r} eq $end->{w};
		POSIX::_exit(0);
	}
	close $end->{w} if $end->{r} ne $end->{w};
	return $pid;
}

my @kinds = map { my $near = $_; map { [$near, $_] } qw(tcp pipe unix) } qw(tcp pipe unix);

for my $kinds (@kinds) {
	my $name = join ' and ', @$kinds;
	subtest $name => sub {
		my ($process, $near, $far) = joined(@$kinds, '-v');
		syswrite $near->{w}, 'a';
		is(read_some_of($far, 1), 'a', 'one byte');
		syswrite $far->{w}, 'bc';
		is(read_some_of($near, 2), 'bc', 'two bytes back');
		my @senders = (sender($near, $random, 16384), sender($far, scalar(reverse $random), [1, 3, 70000, 4096, 1400]));
		my $reader = fork // die;
		if (!$reader) { spew(temporary("got-$$"), sha256_hex(read_all($near->{r}, 20))); POSIX::_exit(0) }
		is(sha256_hex(read_all($far->{r}, 20)), sha256_hex($random), 'both directions at once: there');
		waitpid $_, 0 for @senders, $reader;
		is(slurp(temporary("got-$reader")), sha256_hex(scalar reverse $random), 'and back');
		is(($process->wait_for_end(5) || {})->{exit}, 0, 'exit 0 when both have ended');
		is($process->log, 'relay: ' . (1 + length $random) . ' bytes from 0 to 7, ' . (2 + length $random) . " bytes from 6 to 1\n", '-v');

		# Half-closed with delayed return traffic, either way round.
		for my $way ('near', 'far') {
			($process, $near, $far) = joined(@$kinds);
			my ($first, $second) = $way eq 'near' ? ($near, $far) : ($far, $near);
			syswrite $first->{w}, 'question';
			end_writing($first);
			is(read_all($second->{r}, 5), 'question', "$way ends first: delivered, with its end");
			sleep 0.1;
			ok($process->running, 'the other direction goes on');
			syswrite $second->{w}, 'late answer';
			end_writing($second);
			is(read_all($first->{r}, 5), 'late answer', 'and is delivered, too');
			is(($process->wait_for_end(5) || {})->{exit}, 0, 'exit 0');
			is($process->log, '', 'without a word');
		}
	};
}

sub read_some_of { my ($end, $n) = @_; my $got = ''; while (length $got < $n) { IO::Select->new($end->{r})->can_read(5) or last; sysread $end->{r}, $got, $n - length $got, length $got or last } return $got }

subtest 'large transfers with an immediate end' => sub {
	for my $kinds (['tcp', 'tcp'], ['pipe', 'tcp'], ['tcp', 'pipe']) {
		my ($process, $near, $far) = joined(@$kinds);
		end_writing($far); # nothing comes from there
		is(read_all($near->{r}, 5), '', 'the far side says nothing');
		my $pid = sender($near, $random, 65536);
		is(sha256_hex(read_all($far->{r}, 20)), sha256_hex($random), "@$kinds: every byte, then the end");
		waitpid $pid, 0;
		is(($process->wait_for_end(5) || {})->{exit}, 0, 'exit 0');
	}
};

subtest 'the last byte, though input is unread' => sub {
	# Closing with unread input resets, and the reset takes what was not yet read: so it is taken off first.
	my ($process, $near, $far) = joined('unix', 'tcp');
	syswrite $far->{w}, 'x' x 100_000;
	ok(read_some_of($near, 1000), 'something comes');
	shutdown $near->{r}, 0; # nobody reads the rest
	syswrite $far->{w}, 'y' x 100_000;
	syswrite $near->{w}, 'last words';
	end_writing($near);
	is(read_all($far->{r}, 5), 'last words', 'are delivered');
	for (1, 2) {
		ok(defined syswrite($far->{w}, 'z'), 'what still comes is taken off, not answered with a reset');
		sleep 0.2;
	}
	my $end = $process->wait_for_end(5);
	is($end && $end->{exit}, 111, 'exit 111, as bytes were lost');
	like($process->log, qr/\Arelay: error: unable to write descriptor 1: Broken pipe\n\z/, 'in words');
};

subtest 'a peer that reads only when it has written all' => sub {
	# What it still writes has no reader, and while nobody took it off, what is in flight to it would wait for ever, or be reset.
	my ($process, $near, $far) = joined('unix', 'tcp');
	setsockopt $far->{w}, SOL_SOCKET, SO_SNDBUF, 8192;
	setsockopt $far->{r}, SOL_SOCKET, SO_RCVBUF, 8192;
	shutdown $near->{r}, 0;
	my $last = substr $random, 0, 300_000;
	my $pid = sender($near, $last, 65536);
	my $wrote = eval {
		local $SIG{ALRM} = sub { die "still writing\n" };
		alarm 10;
		for (my $at = 0; $at < 700_000;) { $at += syswrite($far->{w}, $random, 20_000, $at) || die "$!\n" }
		alarm 0;
		1;
	};
	alarm 0;
	ok($wrote, 'it can write all that nobody wants') or diag($@);
	is(sha256_hex(read_all($far->{r}, 10)), sha256_hex($last), 'and gets every byte that was in flight');
	waitpid $pid, 0;
	end_all($far);
	is(($process->wait_for_end(5) || {})->{exit}, 111, 'exit 111, as bytes were lost');
};

subtest 'pipes whose program has lost its connection, or died' => sub {
	# It reads no more, then its output ends: no end. One whose peer has ended goes on to read.
	for my $side ('near', 'far') {
		for my $order ('before', 'after') {
			my ($process, @ends) = joined($side eq 'near' ? ('pipe', 'tcp') : ('tcp', 'pipe'));
			my ($pipe, $tcp) = $side eq 'near' ? @ends : reverse @ends;
			my ($in, $out) = $side eq 'near' ? (0, 1) : (6, 7);
			syswrite $pipe->{w}, 'all there is';
			$order eq 'before' ? close $pipe->{r} : close $pipe->{w};
			is(read_some_of($tcp, 12), 'all there is', "$side, $order: what there was");
			if ($order eq 'before') {
				close $pipe->{w};
				my $n = sysread $tcp->{r}, my $byte, 1;
				ok(!defined $n && $!{ECONNRESET}, 'it is passed on as a reset') or diag(defined $n ? "read $n" : $!);
				is(($process->wait_for_end(5) || {})->{exit}, 111, 'exit 111');
				is($process->log, "relay: error: unable to read descriptor $in: connection lost\n", 'in words');
			} else {
				is(read_all($tcp->{r}, 5), '', 'it is an end');
				close $pipe->{r};
				syswrite $tcp->{w}, 'x';
				end_writing($tcp);
				is(($process->wait_for_end(5) || {})->{exit}, 111, 'exit 111 for a byte that was lost');
				is($process->log, "relay: error: unable to write descriptor $out: Broken pipe\n", 'in words');
			}
		}
	}
	# While much is left to be delivered: it is, and what was an end when it came remains one.
	for my $order ('before', 'after') {
		my ($process, $near, $far) = joined('pipe', 'tcp');
		setsockopt $far->{r}, SOL_SOCKET, SO_RCVBUF, 65536;
		my $pid = fork // die;
		if (!$pid) { close $near->{r}; my $at = 0; while ($at < 3_000_000) { $at += syswrite($near->{w}, $random, 65536, $at) || last } POSIX::_exit(0) }
		close $near->{w};
		if ($order eq 'before') { close $near->{r} }
		else                    { $near->{r}->blocking(0) }
		sleep 0.3;
		my $got = '';
		while (1) {
			my $n = sysread $far->{r}, $got, 65536, length $got;
			next if $n;
			ok(defined $n ? $order eq 'after' : $!{ECONNRESET} && $order eq 'before', "3 MB, $order: " . (defined $n ? 'an end' : "$!"));
			last;
		}
		is(sha256_hex($got), sha256_hex($random), 'and every byte');
		waitpid $pid, 0;
		end_all($far);
		close $near->{r};
		is(($process->wait_for_end(5) || {})->{exit}, $order eq 'before' ? 111 : 0, 'exit code');
	}
	# Somebody who types, with -e: input and output have nothing to do with each other.
	my ($process, $near, $far) = joined('pipe', 'tcp', '-e');
	close $near->{r};
	syswrite $near->{w}, 'typed';
	close $near->{w};
	is(read_all($far->{r}, 5), 'typed', '-e: an end');
	end_all($far);
	is(($process->wait_for_end(5) || {})->{exit}, 0, 'exit 0');
};

subtest 'resets' => sub {
	my ($process, $near, $far) = joined('tcp', 'tcp');
	syswrite $near->{w}, 'begun';
	is(read_some_of($far, 5), 'begun', 'a transfer');
	reset_it($near);
	my $n = sysread $far->{r}, my $byte, 1;
	ok(!defined $n && $!{ECONNRESET}, 'a reset is passed on as a reset') or diag(defined $n ? "read $n" : $!);
	is(($process->wait_for_end(5) || {})->{exit}, 111, 'exit 111');
	is($process->log, "relay: error: unable to read descriptor 0: Connection reset by peer\n", 'in words');

	($process, $near, $far) = joined('pipe', 'tcp', '-q');
	syswrite $far->{w}, 'data';
	is(read_some_of($near, 4), 'data', 'from the far side');
	reset_it($far);
	is(read_all($near->{r}, 5), '', 'a pipe can be given an end only');
	is(($process->wait_for_end(5) || {})->{exit}, 111, 'so it is the exit code that tells');
	is($process->log, '', 'silently with -q');

	# While both directions are full.
	for my $who ('near', 'far') {
		($process, $near, $far) = joined('tcp', 'tcp');
		my @writers = map { my $end = $_; my $pid = fork // die; if (!$pid) { 1 while syswrite $end->{w}, $random; POSIX::_exit(0) } $pid } $near, $far;
		sleep 0.2;
		kill 'KILL', @writers;
		waitpid $_, 0 for @writers;
		reset_it($who eq 'near' ? $near : $far);
		my $other = $who eq 'near' ? $far : $near;
		1 while sysread $other->{r}, my $bytes, 65536;
		ok($!{ECONNRESET}, "both directions full, $who resets: the other side learns it");
		is(($process->wait_for_end(5) || {})->{exit}, 111, 'exit 111');
	}
};

subtest 'receivers that go away' => sub {
	my ($process, $near, $far) = joined('pipe', 'pipe');
	close $near->{r};
	my $wrote;
	wait_until(sub { $wrote = syswrite $far->{w}, 'z' x 1000; !defined $wrote }, 5);
	ok(!defined $wrote && $!{EPIPE}, 'who writes for nobody gets EPIPE');
	syswrite $near->{w}, 'still';
	is(read_some_of($far, 5), 'still', 'the other direction goes on');
	end_all($far);
	close $near->{w};
	ok($process->wait_for_end(5), 'and it ends');

	($process, $near, $far) = joined('tcp', 'tcp');
	syswrite $far->{w}, 'w' x 50_000 for 1 .. 4;
	sleep 0.1;
	close $near->{w}; # with unread input: a reset
	my $end = $process->wait_for_end(5);
	is($end && $end->{exit}, 111, 'a peer that closes with unread input');
};

subtest 'deadlines' => sub {
	my ($process, $near, $far) = joined('tcp', 'tcp', '-v', '-w', 1);
	my $began = time;
	syswrite $near->{w}, 'a';
	read_some_of($far, 1);
	is(read_all($near->{r}, 5), '', '-w: the near side is ended');
	is(read_all($far->{r}, 5), '', 'and the far side');
	my $took = time - $began;
	ok($took > 0.9 && $took < 3, "after a second ($took)");
	end_all($_) for $near, $far;
	is(($process->wait_for_end(5) || {})->{exit}, 0, 'exit 0');
	like($process->log, qr/\Arelay: idle for 1 s\nrelay: 1 bytes from 0 to 7, 0 bytes from 6 to 1\n\z/, 'in words');

	($process, $near, $far) = joined('tcp', 'tcp', '-w', 1);
	for (1 .. 4) { sleep 0.4; syswrite $far->{w}, 'b'; }
	ok($process->running, 'a byte moved is not idle');
	$process->stop;

	# A receiver that takes nothing, after the sender has ended.
	for my $kinds (['pipe', 'tcp'], ['pipe', 'unix']) {
		($process, $near, $far) = joined(@$kinds, '-w', 1);
		my $pid = sender($near, $random . $random . $random . $random, 65536);
		my $end = $process->wait_for_end(12);
		ok($end, "@$kinds: a receiver that takes nothing ends it");
		kill 'KILL', $pid;
		waitpid $pid, 0;
	}
};

subtest 'signals' => sub {
	for my $signal (qw(TERM HUP INT)) {
		my ($process, $near, $far) = joined('tcp', 'pipe');
		syswrite $near->{w}, 'before';
		is(read_some_of($far, 6), 'before', 'moving');
		kill $signal, $process->{pid};
		is(read_all($far->{r}, 5), '', "SIG$signal: the far side is ended");
		is(read_all($near->{r}, 5), '', 'and the near side');
		end_all($_) for $near, $far;
		is(($process->wait_for_end(5) || {})->{exit}, 0, 'exit 0');
	}
	my ($process, $near, $far) = joined('tcp', 'tcp');
	my $pid = fork // die;
	if (!$pid) { my $writer = fork; if (!$writer) { 1 while syswrite $near->{w}, $random; POSIX::_exit(0) } 1 while sysread $far->{r}, my $x, 65536; kill 'KILL', $writer; waitpid $writer, 0; POSIX::_exit(0) }
	sleep 0.2;
	kill 'TERM', $process->{pid};
	ok($process->wait_for_end(5), 'SIGTERM ends it under a steady stream, too');
	end_all($_) for $near, $far;
	waitpid $pid, 0;
};

subtest '-e' => sub {
	my ($process, $near, $far) = joined('pipe', 'tcp', '-e');
	syswrite $near->{w}, 'typed';
	is(read_some_of($far, 5), 'typed', 'what was typed');
	syswrite $far->{w}, 'bye';
	end_writing($far);
	is(read_all($near->{r}, 5), 'bye', 'all that came');
	is(($process->wait_for_end(5) || {})->{exit}, 0, 'it ends with the far side, though somebody might still type');
};

subtest 'what is left as it was' => sub {
	# The flags of a socket that others have, too.
	my ($a, $b) = both_ends('unix');
	my $pid = fork // die;
	if (!$pid) {
		open my $null, '+<', '/dev/null';
		POSIX::dup2(fileno $null, $_) for 6, 7;
		POSIX::dup2(fileno $b->{r}, $_) for 0, 1;
		exec $relay, '-q' or POSIX::_exit(126);
	}
	end_writing($a);
	waitpid $pid, 0;
	is($?, 0, 'a file on the far side, too');
	open my $info, '<', "/proc/self/fdinfo/" . fileno $b->{r};
	my ($flags) = map { /^flags:\s*(\d+)/ ? oct $1 : () } <$info>;
	ok(!($flags & POSIX::O_NONBLOCK()), 'blocking as before');
	my $idle = sub { my ($process) = @_; my @before = times_of($process); sleep 0.5; my @after = times_of($process); return $after[0] - $before[0] };
	my ($process, $near, $far) = joined('tcp', 'pipe');
	end_writing($near);
	read_all($far->{r}, 2);
	cmp_ok($idle->($process), '<=', 2, 'half-closed and idle, it uses no time');
	close $far->{r};
	cmp_ok($idle->($process), '<=', 2, 'nor when nobody reads any more');
	end_all($far);
	ok($process->wait_for_end(5), 'and ends');
};

sub times_of { my ($process) = @_; my @field = split ' ', slurp("/proc/$process->{pid}/stat") =~ s/.*\)//sr; return $field[11] + $field[12] }

subtest 'usage' => sub {
	is(run($relay)->{exit}, 100, 'no connection on 6 and 7: exit 100');
	is(run($relay)->{err}, "relay: fatal: descriptors 6 and 7 must be a connection, as tcpclient makes one\nrelay: usage: relay [ -eqQv ] [ -w idle ]\n", 'in words');
	is(run($relay, '-w', 'x')->{exit}, 100, 'a -w that is no number: exit 100');
	is(run($relay, '-x')->{exit}, 100, 'an option that is not there: exit 100');
	is(run($relay, 'prog')->{exit}, 100, 'an operand: exit 100');
};

subtest 'in a chain' => sub {
	my $backend = serve(command('tcpserver'), '-1', '127.0.0.1', '0', 'sh', '-c', 'cat; echo end');
	my $front = serve(command('tcpserver'), '-1v', '127.0.0.1', '0', command('tcpclient'), '-RHl0', '127.0.0.1', $backend->{port}, $relay);
	is(ask($front->{port}, $random), $random . "end\n", 'tcpserver … tcpclient host port relay');
	ok($front->wait_for_log(qr/^tcpserver: end \d+ status 0$/m, 5), 'status 0');
	$backend->stop;
	is(ask($front->{port}, 'x'), '', 'nobody behind it');
	ok($front->wait_for_log(qr/^tcpserver: end \d+ status 28416$/m, 5), 'status of exit 111');
};

done_testing;
