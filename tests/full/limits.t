#!/usr/bin/perl
# 20,000 connections against -c 200, one in twenty of them hostile: 18,000 at tcpserver, 2,000 at sslserver. Limits hold throughout, whoever
# behaves is served, and when all is over the listener is alone, with as many descriptors and as much memory as before.
use strict;
use warnings;
use Cwd qw(abs_path);
use FindBin;
use lib "$FindBin::Bin/../lib";
use Bear;
use BearTls;
use IO::Select;
use IO::Socket::IP;
use POSIX ();
use Socket qw(SOL_SOCKET SO_LINGER);
use Test::More;
use Time::HiRes qw(sleep time);

my ($limit, $of_address) = (200, 40);
my $seconds = 220;    # for all of it
my $deadline = time + $seconds;

$ENV{MAXCONIP} = $of_address;
$ENV{DNSCACHEIP} = '127.0.0.1:9';

# ---- clients, each a process of its own that says what it saw ----

sub connection_from {
	my ($port, $from) = @_;
	return IO::Socket::IP->new(PeerHost => '127.0.0.1', PeerPort => $port, LocalHost => $from, Timeout => 60);
}

# Reads up to the end of the connection; what it was until then.
sub answer {
	my ($socket) = @_;
	my $text = '';
	while (IO::Select->new($socket)->can_read($deadline - time)) { sysread($socket, $text, 100, length $text) || last }
	return $text;
}

# Batches of connections from each of its addresses, well below the limit of an address, each with a question that is to be answered.
sub polite {
	my ($port, $worker, $batches) = @_;
	my $answered = 0;
	for my $batch (1 .. $batches) {
		my @open;
		for my $address (1 .. 3) {
			for my $n (1 .. 16) {
				my $socket = connection_from($port, "127.2.$worker.$address") or next;
				syswrite $socket, "$worker $address $n\n";
				push @open, [$socket, "$worker $address $n\n"];
			}
		}
		$_->[0]->shutdown(1) for @open;
		$answered += answer($_->[0]) eq $_->[1] for @open;
	}
	return $answered;
}

# More connections at once than an address may have: so many are served, the others closed.
sub greedy {
	my ($port, $log, $rounds) = @_;
	my ($right, $more, $n) = (0, 20, 0);
	for my $round (1 .. $rounds) {
		my @open = map { connection_from($port, '127.3.0.1') } 1 .. $of_address + $more;
		my ($served, $refused) = (0, 0);
		for my $socket (@open) { local $SIG{PIPE} = 'IGNORE'; syswrite $socket, "x\n" }
		for my $socket (@open) {
			IO::Select->new($socket)->can_read($deadline - time) or next;
			if (sysread $socket, my $byte, 1) { $served++ } else { $refused++ }
		}
		$right++ if $served == $of_address && $refused == $more;
		close $_ for @open;
		$n += $served;
		wait_until(sub { ended_of($log, '127.3.0.1') >= $n }, 20);
	}
	return $right;
}

# How many connections of an address have ended, by the log, of which only what is new is read.
{
	my ($at, $rest, %of, %ended) = (0, '');

	sub ended_of {
		my ($log, $address) = @_;
		open my $file, '<', $log or return 0;
		seek $file, $at, 0;
		local $/;
		my $text = $rest . (<$file> // '');
		$at = tell $file;
		$rest = $text =~ s/([^\n]*)\z// ? $1 : '';
		for (split /\n/, $text) {
			$of{$1} = $2 if /: pid (\d+) from (\S+)/;
			$ended{ delete $of{$1} // '' }++ if /: end(?:ed by)? (\d+) /;
		}
		return $ended{$address} || 0;
	}
}

# Clients that go away at once, that reset, that send garbage, that stay half open.
sub hostile {
	my ($port, $n) = @_;
	local $SIG{PIPE} = 'IGNORE';
	my (@later, $made);
	for my $i (1 .. $n) {
		my $socket = connection_from($port, '127.4.' . $i % 7 . '.1') or next;
		$made++;
		my $kind = $i % 5;
		syswrite $socket, join '', map { chr int rand 256 } 1 .. 300 if $kind == 1 || $kind == 2;
		syswrite $socket, "\x16\x03\x01\x02\x00\x01\x00" if $kind == 3;
		setsockopt $socket, SOL_SOCKET, SO_LINGER, pack 'll', 1, 0 if $kind == 0 || $kind == 2;
		push @later, $socket if $kind >= 3;
		close shift @later if @later > 5;
	}
	return $made;
}

# Runs subs in processes at the same time; returns what each returned.
sub together {
	my @running = map {
		my $work = $_;
		pipe my $reader, my $writer or die "pipe: $!";
		my $pid = fork // die "fork: $!";
		if (!$pid) { close $reader; syswrite $writer, $work->(); POSIX::_exit(0) }
		close $writer;
		[$pid, $reader];
	} @_;
	return map { my $text = read_all($_->[1], $deadline - time + 5); kill 'KILL', $_->[0] if time > $deadline; waitpid $_->[0], 0; $text } @running;
}

# ---- the listener ----

sub look {
	my ($server) = @_;
	my %seen = (descriptors => scalar(() = glob "/proc/$server->{pid}/fd/*"));
	($seen{memory}) = slurp("/proc/$server->{pid}/status") =~ /^RssAnon:\s+(\d+)/m;
	$seen{processes} = grep { ((split ' ', slurp($_) =~ s{.*\)}{}sr)[2] || 0) == $server->{pid} } glob '/proc/[0-9]*/stat';
	return \%seen;
}

sub wait_for_rest {
	my ($server) = @_;
	wait_until(sub { $server->log =~ m{status: 0/$limit\S*\n\z} }, 60);
	wait_until(sub { look($server)->{processes} == 1 }, 5);
}

# What the log says about limits: the most at once, of all and of one address; and whether each connection has ended.
sub judge {
	my ($server, $name, $from) = @_;
	my (%of, %running, $most, $begun, $ended) = ();
	my ($most_of_one, $most_status) = (0, 0);
	for (split /\n/, substr $server->log, $from) {
		if (/: pid (\d+) from (\S+)/) {
			$of{$1} = $2;
			$begun++;
			$most_of_one = $running{$2} if ++$running{$2} > $most_of_one;
		} elsif (/: end(?:ed by)? (\d+) /) {
			# A client that was gone at once has no pid line.
			if (defined(my $address = delete $of{$1})) { $running{$address}--; $ended++ }
		} elsif (m{: status: (\d+)/$limit}) {
			$most_status = $1 if $1 > $most_status;
		}
	}
	cmp_ok($most_status, '<=', $limit, "$name: never more than $limit");
	cmp_ok($most_of_one, '<=', $of_address, "$name: never more than $of_address of one address");
	is($ended, $begun, "$name: each connection has ended");
	unlike(substr($server->log, $from), qr/unable|fatal(?!: unable to speak)/, "$name: nothing was lost") if $name eq 'tcpserver';
	return ($most_status, $most_of_one);
}

sub at_rest {
	my ($server, $name, $before) = @_;
	wait_for_rest($server);
	my $after = look($server);
	is($after->{processes}, 1, "$name: no process is left but the listener");
	is($after->{descriptors}, $before->{descriptors}, "$name: as many descriptors as before");
	cmp_ok($after->{memory}, '<=', $before->{memory} + 128, "$name: no more memory (KiB: $before->{memory}, now $after->{memory})");
	is($server->stop->{exit}, 0, "$name: SIGTERM: exit 0");
}

# ---- what is shown ----

subtest 'tcpserver' => sub {
	my $server = serve(command('tcpserver'), '-1vHl0', '-c', $limit, '-b', 1000, '127.0.0.1', '0', 'cat');
	polite($server->{port}, 9, 2);
	wait_for_rest($server);
	my ($before, $from) = (look($server), length $server->log);
	my ($batches, $workers, $rounds, $bad) = (84, 4, 15, 972);
	my @seen = together((map { my $worker = $_; sub { polite($server->{port}, $worker, $batches) } } 1 .. $workers), sub { greedy($server->{port}, $server->{err}, $rounds) },
		sub { hostile($server->{port}, $bad) });
	is(pop @seen, $bad, 'the hostile');
	is(pop @seen, $rounds, "each time $of_address connections of a greedy address are served and 20 refused");
	is("@seen", join(' ', ($batches * 48) x $workers), 'and everybody else is answered');
	wait_for_rest($server);
	my ($most, $most_of_one) = judge($server, 'tcpserver', $from);
	# How many there are at once depends on the machine; that a full one defers is tested with connections that stay (server-limits.t).
	cmp_ok($most, '>=', $limit / 4, "it was busy ($most at once)");
	is($most_of_one, $of_address, 'so was an address');
	at_rest($server, 'tcpserver', $before);
};

subtest 'sslserver' => sub {
	my $load = temporary('load');
	my $built = run({ timeout => 60 }, 'cc', '-O1', '-w', '-o', $load, "$FindBin::Bin/../bench/load.c", '-lssl', '-lcrypto');
	plan skip_all => "tests/bench/load.c does not compile: $built->{err}" unless $built->{exit} == 0;
	my $server = serve({ env => pair('server-p256') }, command('sslserver'), '-1vHl0', '-T', '10', '-c', $limit, '-b', 1000, '127.0.0.1', '0', 'cat');
	my $connect = sub { my ($n) = @_; return sub { run({ timeout => 150 }, $load, 'connect', $server->{port}, $n)->{exit} // 'none' } };
	is($connect->(20)->(), 0, 'a client');
	wait_for_rest($server);
	my ($before, $from) = (look($server), length $server->log);
	# Beside them an address that sits on all it may have, without a word.
	my @silent = map { connection_from($server->{port}, '127.3.0.1') } 1 .. $of_address + 5;
	my @seen = together($connect->(950), $connect->(950), sub { hostile($server->{port}, 55) });
	is("@seen", '0 0 55', 'all are served meanwhile');
	@silent = ();
	wait_for_rest($server);
	my (undef, $most_of_one) = judge($server, 'sslserver', $from);
	is($most_of_one, $of_address, 'the silent address had all it may have');
	at_rest($server, 'sslserver', $before);
};

cmp_ok(time, '<', $deadline, 'in time');
done_testing;
