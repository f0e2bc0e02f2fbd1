#!/usr/bin/perl
# What a certificate is for, and what its authorities may issue: extended key usage, name constraints, path length of an anchor.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Bear;
use BearTls;
use Test::More;

my $folder = temporary();
my $key    = "$folder/key";
openssl('genpkey', '-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-256', '-out', $key);

spew("$folder/empty.cnf", "[req]\ndistinguished_name=dn\n[dn]\n");

# issue($name, $issuer, @extensions): a certificate for $key; without an issuer it signs itself.
sub issue {
	my ($name, $issuer, @extensions) = @_;
	my $file = spew("$folder/$name.ext", join('', map { "$_\n" } @extensions));
	openssl('req', '-new', '-key', $key, '-subj', "/CN=$name", '-config', "$folder/empty.cnf", '-out', "$folder/$name.csr");
	openssl('x509', '-req', '-in', "$folder/$name.csr", '-days', 30, '-extfile', $file, '-set_serial', int(rand 1e9), '-out', "$folder/$name.pem",
		$issuer ? ('-CA', "$folder/$issuer.pem", '-CAkey', $key) : ('-key', $key));
	return;
}

sub chain { my ($name, @parts) = @_; return spew("$folder/$name.chain", join '', map { slurp("$folder/$_.pem") } @parts) }

my @authority = ('basicConstraints=critical,CA:TRUE', 'keyUsage=critical,keyCertSign');
my @leaf      = ('subjectAltName=DNS:localhost', 'basicConstraints=CA:FALSE');

issue('root', undef, @authority);
issue('short', undef, 'basicConstraints=critical,CA:TRUE,pathlen:0', 'keyUsage=critical,keyCertSign');
issue('middle', 'root', @authority);
issue('below-short', 'short', @authority);
issue('mail-only', 'root', @authority, 'extendedKeyUsage=emailProtection');
issue('bounded', 'root', @authority, 'nameConstraints=permitted;DNS:example.com');
issue('any', 'middle', @leaf, 'extendedKeyUsage=anyExtendedKeyUsage');
issue('plain', 'middle', @leaf);
issue('both', 'middle', @leaf, 'extendedKeyUsage=serverAuth,clientAuth');
issue('server', 'middle', @leaf, 'extendedKeyUsage=serverAuth');
issue('client', 'middle', @leaf, 'extendedKeyUsage=clientAuth');
issue('under-mail', 'mail-only', @leaf);
issue('under-bounded', 'bounded', @leaf);
issue('under-short', 'below-short', @leaf);
issue('right-under-short', 'short', @leaf);

# [leaf, further certificates, anchor, as a server: reason or undef, as a client]
my $servers = qr/not for servers \(extended key usage\)/;
my $clients = qr/not for clients \(extended key usage\)/;
my $names   = qr/name is not within the name constraints of an issuer/;
my $length  = qr/more intermediate certificates than an issuer allows/;
my @cases   = (
	['plain', ['middle'], 'root', undef, undef],
	['any', ['middle'], 'root', undef, undef],
	['both', ['middle'], 'root', undef, undef],
	['server', ['middle'], 'root', undef, $clients],
	['client', ['middle'], 'root', $servers, undef],
	['under-mail', ['mail-only'], 'root', $servers, $clients],
	['under-bounded', ['bounded'], 'root', $names, $names],
	['under-short', ['below-short'], 'short', $length, $length],
	['right-under-short', [], 'short', undef, undef],
);

for my $case (@cases) {
	my ($leaf, $others, $anchor, $as_server, $as_client) = @$case;
	my $file = chain($leaf, $leaf, @$others);
	my $server = s_server({}, '-cert', "$folder/$leaf.pem", '-key', $key, '-cert_chain', chain("$leaf-others", @$others, $anchor), '-quiet');
	my $result = run({ env => { CAFILE => "$folder/$anchor.pem" } }, command('sslclient'), 'localhost', $server->{port}, 'true');
	if   ($as_server) { is($result->{exit}, 98, "$leaf as a server is refused"); like($result->{err}, $as_server, 'and why') }
	else              { is($result->{exit}, 0, "$leaf as a server") or diag $result->{err} }
	$server->stop;

	my $ours = serve({ env => { CERTFILE => file('server-p256.pem'), KEYFILE => file('server-p256.key'), CAFILE => "$folder/$anchor.pem" } },
		command('tcpserver'), '-1', '127.0.0.1', 0, command('tlsd'), '-y', 'echo', 'welcome');
	$result = run({ env => { CERTFILE => $file, KEYFILE => $key, CAFILE => file('root.pem') } },
		command('sslclient'), 'localhost', $ours->{port}, 'sh', '-c', 'cat <&6');
	if ($as_client) {
		unlike($result->{out}, qr/welcome/, "$leaf as a client is refused");
		like($ours->wait_for_log(qr/(tlsd-io: error: .*)/, 5), $as_client, 'and why');
	} else {
		like($result->{out}, qr/welcome/, "$leaf as a client") or diag $result->{err}, $ours->log;
	}
	$ours->stop;
}

done_testing;
