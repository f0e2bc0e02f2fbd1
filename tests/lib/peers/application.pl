# An application for the tests of ends: application.pl IN OUT step…; on 0 and 1, or 6 and 7. Says what happens on standard error, line by
# line. Bytes follow the pattern of peer.c.
#   send N, read N, readall, both N (a child sends, this process receives till the end), trickle CHUNK MS, closein, closeout, pause MS,
#   say WORDS, exit N, kill SIGNAL (itself), trap (SIGTERM is said), feed (sends until it fails)
use strict;
use warnings;
use Errno qw(EINTR);
use POSIX ();
use Time::HiRes qw(sleep);

my ($in, $out, @steps) = @ARGV;
my $unit = pack('C*', 0 .. 250) x 300;
my ($sent, $received) = (0, 0);
open my $from, '<&=', $in or die "descriptor $in: $!";
open my $to, '>&=', $out or die "descriptor $out: $!";
$SIG{PIPE} = 'IGNORE';
# A descriptor that was closed below it is none of perl.s business at the end.
$SIG{__WARN__} = sub { warn @_ unless $_[0] =~ /unable to close filehandle/ };
alarm($ENV{APPLICATION_TIMEOUT} || 25);

# Below, POSIX::close: perl's own would leave a descriptor open that STDIN or STDOUT stand on.
sub say_line { syswrite STDERR, "application: @_\n" }

sub pattern { return substr $unit, $_[0] % 251, $_[1] }

sub send_pattern {
	my ($left) = @_;
	while ($left) {
		my $n = syswrite $to, pattern($sent, $left < 65536 ? $left : 65536);
		next if !defined $n && $! == EINTR;
		if (!defined $n) { say_line("send failed: $!"); return 0 }
		$sent += $n;
		$left -= $n;
	}
	return 1;
}

sub receive {
	my ($until, $chunk, $ms) = @_;
	my $pause_at = $chunk ? $received + $chunk : 0;
	while (!defined $until || $received < $until) {
		my $room = defined $until && $until - $received < 65536 ? $until - $received : 65536;
		$room = $chunk if $chunk && $chunk < $room;
		my $n = sysread $from, my($bytes), $room;
		next if !defined $n && $! == EINTR;
		if (!defined $n) { say_line("receive failed: $!"); last }
		if (!$n) { say_line('input ended'); last }
		if ($bytes ne pattern($received, $n)) { say_line('received other bytes than expected'); exit 99 }
		$received += $n;
		if ($chunk && $received >= $pause_at) { $pause_at = $received + $chunk; sleep $ms / 1000 }
	}
	say_line("received $received");
}

say_line("pid $$");
while (@steps) {
	my $step = shift @steps;
	if    ($step eq 'send')     { say_line("sent $sent") if send_pattern(shift @steps) }
	elsif ($step eq 'read')     { receive($received + shift @steps) }
	elsif ($step eq 'readall')  { receive() }
	elsif ($step eq 'trickle')  { my $chunk = shift @steps; receive(undef, $chunk, shift @steps) }
	elsif ($step eq 'closein')  { POSIX::close($in) }
	elsif ($step eq 'closeout') { POSIX::close($out); say_line('closed output') }
	elsif ($step eq 'pause')    { sleep((shift @steps) / 1000) }
	elsif ($step eq 'say')      { say_line(shift @steps) }
	elsif ($step eq 'exit')     { exit shift @steps }
	elsif ($step eq 'kill')     { $SIG{$_} = 'DEFAULT' for @steps; kill shift(@steps), $$; sleep 5 }
	elsif ($step eq 'feed')     { 1 while send_pattern(65536) }
	elsif ($step eq 'trap')     { my $name = shift @steps; $SIG{$name} = sub { say_line("signal $name"); exit 7 } }
	elsif ($step eq 'both') {
		my $n   = shift @steps;
		my $pid = fork;
		die "fork: $!" unless defined $pid;
		if (!$pid) { POSIX::close($in); exit !send_pattern($n) }
		POSIX::close($out);
		receive();
		waitpid $pid, 0;
		say_line($? ? "sending failed" : "sent $n");
	}
	else { die "step $step" }
}
