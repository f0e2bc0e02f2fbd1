#!/usr/bin/perl
# Certificates of tlscert as Java sees them: a self-signed one, and those of a CA and of one below it, with the address that they are for checked.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Bear;
use BearTls;
use TlsCert;
use Test::More;

my $top = "$FindBin::Bin/../lib/peers";
plan skip_all => 'no javac: install default-jdk-headless'
	unless !system 'command -v javac >/dev/null 2>&1 && command -v java >/dev/null 2>&1';
my $built = run({ timeout => 120 }, 'javac', '-d', temporary(), "$top/Peer.java");
($built->{exit} // -1) == 0 or BAIL_OUT("javac: $built->{err}");
my @java = ('java', '-Dpeer.check=1', '-Xint', '-XX:+UseSerialGC', '-Xshare:auto', '-cp', temporary());

# A client's outcome with a server that has CERTFILE and trusts the same anchor.
sub meet {
	my ($certificate, $anchor, @identity) = @_;
	my $key = -e "$certificate.key" ? "$certificate.key" : $certificate;
	my $server = serve({ env => { CERTFILE => $certificate, KEYFILE => $key, CCAFILE => $anchor } }, command('tcpserver'), '-1v', '127.0.0.1', '0', command('tlsd'), @identity ? '-y' : '-Y',
		$^X, "$top/application.pl", 0, 1, qw(send 1000));
	my $client = run({ timeout => 40 }, @java, @identity, 'Peer', 'client', $server->{port}, $anchor, qw(readall close));
	my $status = $server->wait_for_log(qr/ end \d+ status (\d+)/, 20);
	$server->stop;
	return ($client, $status);
}

my $folder = made(qw(-A -l 1 -k ca.key ca.pem), 'Example CA');
made({ in_folder => $folder }, qw(-A -c ca.pem -K ca.key -t rsa2048 below.pem), 'CA below');
made({ in_folder => $folder }, qw(-c ca.pem -K ca.key p256.pem localhost 127.0.0.1));
made({ in_folder => $folder }, qw(-c ca.pem -K ca.key -t rsa2048 rsa2048.pem localhost 127.0.0.1));
made({ in_folder => $folder }, qw(-c below.pem -t p384 chain.pem localhost 127.0.0.1));
made({ in_folder => $folder }, qw(-k self.pem.key self.pem localhost 127.0.0.1));
made({ in_folder => $folder }, qw(-c ca.pem -K ca.key other.pem localhost 127.0.0.2));
made({ in_folder => $folder }, qw(-c ca.pem -K ca.key -C alice.pem alice));

for my $case (['p256.pem', 'ca.pem'], ['rsa2048.pem', 'ca.pem'], ['chain.pem', 'ca.pem'], ['self.pem', 'self.pem']) {
	my ($certificate, $anchor) = map { "$folder/$_" } @$case;
	my ($client, $status) = meet($certificate, $anchor);
	like($client->{out}, qr/^received 1000$/m, "$case->[0]: accepted") or diag($client->{out}, $client->{err});
	is($status, 0, "$case->[0]: and the server ends well");
}
my ($client) = meet("$folder/self.pem", "$folder/ca.pem");
unlike($client->{out}, qr/^received 1000$/m, 'another anchor: refused');
($client) = meet("$folder/other.pem", "$folder/ca.pem");
like($client->{err}, qr/No subject alternative names matching IP address 127\.0\.0\.1 found/, 'another address: refused');

my $store = temporary('alice.p12');
openssl('pkcs12', '-export', '-in', "$folder/alice.pem", '-inkey', "$folder/alice.pem", '-out', $store, '-passout', 'pass:secret');
($client, my $status) = meet("$folder/p256.pem", "$folder/ca.pem", "-Dpeer.identity=$store");
like($client->{out}, qr/^received 1000$/m, 'a client certificate') or diag($client->{out}, $client->{err});
is($status, 0, 'which the server accepts');

done_testing;
