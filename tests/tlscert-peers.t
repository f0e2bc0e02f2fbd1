#!/usr/bin/perl
# Certificates of tlscert in handshakes: our servers and clients with curl, openssl, gnutls-cli and each other, by the manual's examples.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Bear;
use BearTls;
use TlsCert;
use Test::More;

my @http = http();
my $request = "GET / HTTP/1.0\r\n\r\n";

sub curl {
	my ($port, @more) = @_;
	return run({ timeout => 20 }, 'curl', '-sS', '--noproxy', '*', '--max-time', 15, '--resolve', "www.example.org:$port:127.0.0.1", @more, "https://www.example.org:$port/");
}

# All that a server with a certificate is asked by peers that trust an anchor.
sub serves {
	my ($name, $folder, $anchor, $env) = @_;
	my $server = serve({ env => $env, before => sub { chdir $folder } }, command('sslserver'), qw(-1 127.0.0.1 0), @http);
	my $port = $server->{port};
	my $result = curl($port, '--cacert', $anchor);
	is($result->{out}, "served\n", "$name: curl") or diag($result->{err});
	$result = run({ timeout => 20, in => $request }, 'openssl', 's_client', '-connect', "127.0.0.1:$port", '-CAfile', $anchor, qw(-verify_return_error -x509_strict -verify_hostname
		www.example.org -ign_eof -quiet));
	like($result->{out}, qr/served\n\z/, "$name: openssl, strictly") or diag($result->{err});
	$result = run({ timeout => 20, in => $request }, 'gnutls-cli', '--x509cafile', $anchor, '--verify-hostname', 'www.example.org', '-p', $port, '127.0.0.1');
	like($result->{out}, qr/^- Status: The certificate is trusted/m, "$name: gnutls-cli") or diag($result->{err});
	$result = run({ timeout => 20, env => { CAFILE => $anchor } }, command('tcpclient'), '127.0.0.1', $port, command('tlsc'), '-k', 'www.example.org', 'sh', '-c',
		"printf '$request' >&7; cat <&6");
	like($result->{out}, qr/served\n\z/, "$name: our client") or diag($result->{err});
	my $other = curl($port, '--cacert', file('root.pem'));
	is($other->{exit}, 60, "$name: not by those who trust somebody else");
	$server->stop;
}

subtest 'self-signed' => sub {
	my $folder = made(qw(server.pem www.example.org 192.0.2.1));
	serves('one file', $folder, "$folder/server.pem", { CERTFILE => 'server.pem' });
	for my $type (qw(p384 rsa2048)) {
		$folder = made('-t', $type, qw(-k server.key server.pem www.example.org));
		serves($type, $folder, "$folder/server.pem", { CERTFILE => 'server.pem', KEYFILE => 'server.key' });
	}
};

subtest 'a CA, a server, a client' => sub {
	my $folder = made(qw(-A -k ca.key ca.pem), 'Example CA');
	made({ in_folder => $folder }, qw(-c ca.pem -K ca.key server.pem www.example.org *.shop.example.org));
	made({ in_folder => $folder }, qw(-c ca.pem -K ca.key -C alice.pem alice alice@example.org));
	serves('the server', $folder, "$folder/ca.pem", { CERTFILE => 'server.pem' });
	my $server = serve({ env => { CERTFILE => 'server.pem', CCAFILE => 'ca.pem', TLS_REPORT => 'full' }, before => sub { chdir $folder } }, command('tcpserver'), qw(-1 127.0.0.1 0),
		command('tlsd'), '-y', 'sh', '-c', 'printf "HTTP/1.0 200 OK\r\n\r\n"; env | grep -E "^SSL_CLIENT_(S_DN|SAN_Email_0|VERIFY)="');
	my $is_alice = qr/^SSL_CLIENT_S_DN=CN=alice$/m;
	my $result = curl($server->{port}, '--cacert', "$folder/ca.pem", '--cert', "$folder/alice.pem");
	like($result->{out}, $is_alice, 'curl with a client certificate') or diag($result->{err});
	like($result->{out}, qr/^SSL_CLIENT_SAN_Email_0=alice\@example\.org$/m, 'and its mail address');
	$result = run({ timeout => 20, env => { CAFILE => "$folder/ca.pem", CERTFILE => "$folder/alice.pem" } }, command('tcpclient'), '127.0.0.1', $server->{port}, command('tlsc'), '-y', '-k',
		'a.shop.example.org', 'sh', '-c', 'cat <&6');
	like($result->{out}, $is_alice, 'our client') or diag($result->{err}, $server->log);
	$result = run({ timeout => 20, in => $request }, 'gnutls-cli', '--x509cafile', "$folder/ca.pem", '--x509certfile', "$folder/alice.pem", '--x509keyfile', "$folder/alice.pem",
		'--verify-hostname', 'www.example.org', '-p', $server->{port}, '127.0.0.1');
	like($result->{out}, $is_alice, 'gnutls-cli') or diag($result->{err});
	isnt(curl($server->{port}, '--cacert', "$folder/ca.pem", '--cert', "$folder/server.pem")->{exit}, 0, 'a server\'s certificate is none of a client');
	$server->stop;
};

subtest 'a CA for the daily work' => sub {
	my $folder = made(qw(-A -l 1 -t p384 -k root.key root.pem), 'Example root');
	made({ in_folder => $folder }, qw(-A -c root.pem -K root.key -d 1000 daily.pem), 'Example CA 2026');
	made({ in_folder => $folder }, qw(-c daily.pem -t rsa2048 server.pem www.example.org));
	serves('three keys of two kinds', $folder, "$folder/root.pem", { CERTFILE => 'server.pem' });
};

done_testing;
