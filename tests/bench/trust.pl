#!/usr/bin/perl
# What the trust anchors of a client cost at its start: processor time of "tlsc-io -C" with a bundle in PEM and with the trust store that tlstrust
# makes of it, less that without any anchor, microseconds a start, the median of several rounds. One line each: what, tab, microseconds; then the ratio of the store to the
# bundle. Run from anywhere; needs command/ ($COMMAND as in tests). Arguments: the bundle, and how many starts a round has (200).
use strict;
use warnings;
use Cwd qw(abs_path);
use File::Basename qw(dirname);
use File::Temp qw(tempdir);

my $command = abs_path($ENV{COMMAND} || dirname(__FILE__) . '/../../command');
my ($bundle, $starts) = ($ARGV[0] || '/etc/ssl/certs/ca-certificates.crt', $ARGV[1] || 200);
my $folder = tempdir('bear-bench-XXXXXXXX', TMPDIR => 1, CLEANUP => 1);
delete @ENV{ grep { /^(TLS_|SSL_|CA|CRL|CERT|KEY)/ } keys %ENV };
system("$command/tlstrust", "$folder/trust.cdb", "$folder/trust.tmp", $bundle) == 0 or die "tlstrust: $?\n";

# Processor time of the children alone.
sub cost {
	local %ENV = (%ENV, @_);
	my @before = times;
	for (1 .. $starts) { system("$command/tlsc-io", '-C', '-k', 'localhost', '0', '1') == 0 or die "tlsc-io: $?\n" }
	my @after = times;
	return ($after[2] + $after[3] - $before[2] - $before[3]) * 1e6 / $starts;
}
sub median { return (sort { $a <=> $b } @_)[@_ / 2] }

my (@pem, @cdb);
for (1 .. 7) {
	my $none = cost(TLS_VERIFY => 'none');
	push @pem, cost(CAFILE => $bundle) - $none;
	push @cdb, cost(CAFILE => "$folder/trust.cdb") - $none;
}
my ($pem, $cdb) = (median(@pem), median(@cdb));
printf "%s in PEM\t%.0f\nthe same from tlstrust\t%.0f\nratio\t%.3f\n", $bundle, $pem, $cdb, $cdb / $pem;
