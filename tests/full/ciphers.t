#!/usr/bin/perl
# CIPHERS as a scanner sees it: what a server offers, and in which order.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Bear;
use BearTls;
use Test::More;

my ($sslscan) = grep { -x } map { "$_/sslscan" } split /:/, $ENV{PATH};
my @policy = qw(ECDHE-RSA-AES128-GCM-SHA256 ECDHE-RSA-AES256-GCM-SHA384 ECDHE-RSA-CHACHA20-POLY1305);
my @tls13 = newest() eq 'TLSv1.2' ? () : qw(TLS_AES_128_GCM_SHA256 TLS_AES_256_GCM_SHA384 TLS_CHACHA20_POLY1305_SHA256);

# The suites of a server with this list, in the order in which sslscan is given them.
sub scanned {
	my ($list) = @_;
	my $server = sslserver({ env => { CIPHERS => $list } }, [], http());
	my $out = run({ timeout => 40 }, $sslscan, '--no-colour', '--no-heartbleed', '--no-groups', '--no-check-certificate', "127.0.0.1:$server->{port}")->{out};
	$server->stop;
	return [map { /^(?:Preferred|Accepted)\s+(TLSv1\.\d)\s+\d+ bits\s+(\S+)/ ? "$1 $2" : () } split /\n/, $out];
}

subtest 'sslscan' => sub {
	plan skip_all => 'no sslscan' unless $sslscan;
	my $first = scanned('');
	cmp_ok(scalar @$first, '==', @policy + @tls13, 'the default: as many as there are');
	is_deeply(scanned('TLSv1+HIGH:!SSLv2:!MD5'), $first, "the line of sslserver's old manual is the same, in the same order");
	my @named = ('ECDHE-RSA-CHACHA20-POLY1305', 'ECDHE-RSA-AES256-SHA', 'ECDHE-RSA-AES128-GCM-SHA256', 'ECDHE-RSA-AES128-SHA256');
	is_deeply([grep { /1\.2/ } @{ scanned(join ':', @named) }], [map { "TLSv1.2 $_" } @named], 'those that are named, in their order');
	is_deeply([grep { /1\.2/ } @{ scanned('ALL:!AESGCM') }], ['TLSv1.2 ECDHE-RSA-CHACHA20-POLY1305'], 'ALL:!AESGCM');
};

done_testing;
