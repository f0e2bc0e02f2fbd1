#!/usr/bin/perl
# What rules cost: how long 100,000 of them take to compile, beside ucspi-tcp's tcprules if that is there, and a lookup in them, with open
# and close, as for a connection. One line each: what, tab, number, tab, unit. Run from anywhere; needs a build ($COMMAND, $BUILD as in tests).
use strict;
use warnings;
use Cwd qw(abs_path);
use File::Basename qw(dirname);
use File::Temp qw(tempdir);
use Time::HiRes qw(time);

my $top     = abs_path(dirname(__FILE__) . '/../..');
my $command = $ENV{COMMAND} || "$top/command";
my $build   = $ENV{BUILD} || "$top/build";
my $folder  = tempdir('bear-bench-XXXXXXXX', TMPDIR => 1, CLEANUP => 1);
my $rules   = 100_000;

sub report { printf "%-58s\t%.1f\t%s\n", @_ }

open my $text, '>', "$folder/rules" or die "$folder/rules: $!";
for my $i (0 .. $rules - 1) {
	my $ip = join '.', 10 + $i % 3, $i >> 16, ($i >> 8) & 255, $i & 255;
	print $text $i % 4 == 3 ? "=host$i.example.org:allow,NAME=\"$i\"\n" : "$ip:" . ($i % 2 ? "deny\n" : "allow,RELAYCLIENT=\"\"\n");
}
print $text "2001:db8::/32:deny\n:deny\n";
close $text or die "$folder/rules: $!";

# The best of five.
sub compiled {
	my ($program) = @_;
	my $best;
	for (1 .. 5) {
		my $start = time;
		system("'$program' '$folder/cdb' '$folder/tmp' <'$folder/rules'") == 0 or die "$program failed";
		my $took = time - $start;
		$best = $took if !defined $best || $took < $best;
	}
	return 1000 * $best;
}
my $their = '/usr/bin/tcprules';
report("tcprules, $rules rules", compiled("$command/tcprules"), 'ms');

my $cc = $ENV{CC} || do { open my $file, '<', "$top/conf-compile/conf-cc" or die; my $line = <$file>; chomp $line; $line };
system($cc, '-std=c11', '-D_GNU_SOURCE', '-O2', "-I$top/src", '-o', "$folder/lookup", "$top/tests/bench/rules.c", "$build/librules.a", "$build/libnet.a", '-lskarnet') == 0
	or die "unable to compile tests/bench/rules.c";
for my $case (
	['an address that has a rule', '10.0.0.0'], ['a host that has a rule', '9.9.9.9', 'host3.example.org'], ['no rule but the last, IPv4', '9.9.9.9'],
	['no rule but the last, IPv4 with host', '9.9.9.9', 'a.b.c.example.net'], ['a prefix, IPv6', '2001:db8::1'], ['no rule but the last, IPv6', '2001:db9::1']
) {
	my ($words, @asked) = @$case;
	open my $pipe, '-|', "$folder/lookup", "$folder/cdb", 20000, @asked or die;
	my $number = <$pipe>;
	close $pipe or die "lookup failed";
	report("lookup, $words", $number, 'us');
}
open my $few, '|-', "'$command/tcprules' '$folder/cdb' '$folder/tmp'" or die;
print $few "10.1.$_.:allow,RELAYCLIENT=\"\"\n" for 1 .. 18;
print $few "2001:db8::/32:deny\n:deny\n";
close $few or die 'tcprules failed';
for my $ip ('10.1.5.1', '9.9.9.9', '2001:db9::1') {
	open my $pipe, '-|', "$folder/lookup", "$folder/cdb", 20000, $ip or die;
	my $number = <$pipe>;
	close $pipe or die "lookup failed";
	report("lookup in 20 rules, $ip", $number, 'us');
}
report("ucspi-tcp's tcprules, the same but IPv6", do { system("grep -v ^2001 '$folder/rules' >'$folder/rules4' && mv '$folder/rules4' '$folder/rules'"); compiled($their) }, 'ms') if -x $their;
