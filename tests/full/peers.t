#!/usr/bin/perl
# Peers that are heavy to install: node's tls on both sides, and wget.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Bear;
use BearTls;
use Test::More;

my $root = file('root.pem');
my $has = sub { my ($program) = @_; return grep { -x "$_/$program" } split /:/, $ENV{PATH} };
my @sizes = (1, 2, 3, 7, 16383, 16384, 16385);

# client.js PORT CAFILE [CERT KEY]: writes of odd sizes, each answered by as many bytes; then its end, and that of the server.
my $client_js = spew(temporary('client.js'), <<'JS');
const tls = require('tls'), fs = require('fs');
const [port, ca, cert, key] = process.argv.slice(2);
const options = { port: +port, host: '127.0.0.1', servername: 'localhost', ca: fs.readFileSync(ca) };
if (cert) { options.cert = fs.readFileSync(cert); options.key = fs.readFileSync(key); }
const sizes = [1, 2, 3, 7, 16383, 16384, 16385];
const make = (n) => Buffer.from(Array.from({ length: n }, (_, i) => (i * 7 + n) % 251));
let at = 0, got = [];
const socket = tls.connect(options, () => {
	console.log(socket.getProtocol(), socket.getCipher().name);
	socket.write(make(sizes[0]));
});
socket.on('data', (piece) => {
	got.push(piece);
	const all = Buffer.concat(got);
	if (all.length < sizes[at]) return;
	console.log(sizes[at], all.equals(make(sizes[at])) ? 'same' : 'different');
	got = [];
	if (++at < sizes.length) socket.write(make(sizes[at]));
	else socket.end();
});
socket.on('end', () => console.log('end'));
socket.on('error', (why) => console.log('failed', why.code, why.message));
JS

# server.js CERT KEY [CAFILE]: echoes, and ends when its client has; with CAFILE demands certificates.
my $server_js = spew(temporary('server.js'), <<'JS');
const tls = require('tls'), fs = require('fs');
const [cert, key, ca] = process.argv.slice(2);
const options = { cert: fs.readFileSync(cert), key: fs.readFileSync(key) };
if (ca) Object.assign(options, { ca: fs.readFileSync(ca), requestCert: true, rejectUnauthorized: true, maxVersion: 'TLSv1.2' });
const server = tls.createServer({ ...options, allowHalfOpen: true }, (socket) => {
	let total = 0;
	socket.on('data', (piece) => { total += piece.length; socket.write(piece); });
	socket.on('end', () => { console.error('echoed', total, socket.authorized ? 'authorized ' + socket.getPeerCertificate().subject.CN : ''); socket.end(); });
	socket.on('error', (why) => console.error('failed', why.code));
});
server.on('tlsClientError', (why) => console.error('failed', why.code));
server.listen(0, '127.0.0.1', () => console.log(server.address().port));
JS

my $player = spew(temporary('player'), <<'PERL');
use strict;
binmode STDOUT; $| = 1;
open my $in, '<&=', 6 or die; open my $out, '>&=', 7 or die; binmode $in; binmode $out;
for my $n (@ARGV) {
	my $sent = join '', map { chr(($_ * 7 + $n) % 251) } 1 .. $n;
	syswrite $out, $sent or die;
	my $got = '';
	while (length $got < $n) { sysread $in, my $piece, 65536 or last; $got .= $piece }
	print "$n ", $got eq $sent ? 'same' : 'different', "\n";
}
close $out;
my $rest = sysread $in, my $piece, 1;
print defined $rest && $rest == 0 ? "end\n" : "no end\n";
PERL

my $played = join '', map { "$_ same\n" } @sizes;
my $total = 0;
$total += $_ for @sizes;

subtest 'node' => sub {
	plan skip_all => 'no node' unless $has->('node');
	for my $pair ('server-rsa', 'server-p256', 'server-p384', 'via-rsa') {
		my $chain = file($pair =~ /via/ ? "$pair-chain.pem" : "$pair.pem");
		my $kind = $pair =~ /rsa/ ? 'RSA' : 'ECDSA';
		my $server = sslserver({ pair => $pair, env => { CERTFILE => $chain } }, [], 'cat');
		my $result = run({ timeout => 20 }, 'node', $client_js, $server->{port}, $root);
		like($result->{out}, qr/\ATLSv1\.2 ECDHE-$kind-\S+\n\Q${played}\Eend\n\z/, "$pair: writes of odd sizes come back to node");
		is(connection($server)->{status}, 0, 'status 0');
		$server->stop;

		my $peer = serve({ timeout => 20 }, 'node', $server_js, $chain, file("$pair.key"));
		$result = sslclient({}, ['localhost'], $peer->{port}, 'perl', $player, @sizes);
		is($result->{exit}, 0, "$pair: sslclient") or diag($result->{err});
		is($result->{out}, "${played}end\n", 'has its writes back from node');
		ok($peer->wait_for_log(qr/^(echoed $total )/m, 5), 'which saw its end');
		$peer->stop;
	}
	for my $case (['early', 'CERT_NOT_YET_VALID'], ['expired', 'CERT_HAS_EXPIRED'], ['unknown', 'UNABLE_TO_VERIFY_LEAF_SIGNATURE'], ['wrong-name', 'ERR_TLS_CERT_ALTNAME_INVALID']) {
		my ($pair, $code) = @$case;
		my $server = sslserver({ pair => $pair }, [], 'cat');
		like(run({ timeout => 20 }, 'node', $client_js, $server->{port}, $root)->{out}, qr/^failed $code /m, "$pair: node refuses it");
		$server->stop;
		my $peer = serve({ timeout => 20 }, 'node', $server_js, file("$pair.pem"), file("$pair.key"));
		my $result = sslclient({}, ['localhost'], $peer->{port}, 'echo', 'started');
		is($result->{exit}, 98, "$pair: sslclient refuses it");
		is($result->{out}, '', 'the program never starts');
		$peer->stop;
	}
	my $server = serve({ env => pair('server-p256', CAFILE => $root) }, command('tcpserver'), '-1v', '127.0.0.1', '0', command('tlsd'), '-y', 'cat');
	like(run({ timeout => 20 }, 'node', $client_js, $server->{port}, $root, file('client.pem'), file('client.key'))->{out}, qr/^16385 same\nend\n\z/m, 'its certificate is accepted');
	like(run({ timeout => 20 }, 'node', $client_js, $server->{port}, $root)->{out}, qr/^failed \S+ .*handshake failure/m, 'and demanded');
	$server->stop;
	my $peer = serve({ timeout => 20 }, 'node', $server_js, file('server-p256.pem'), file('server-p256.key'), $root);
	is(sslclient({ env => pair('client') }, ['localhost'], $peer->{port}, 'perl', $player, 7)->{out}, "7 same\nend\n", 'sslclient presents one');
	ok($peer->wait_for_log(qr/^(echoed 7 authorized Test Client)$/m, 5), 'which node accepts');
	is(sslclient({}, ['localhost'], $peer->{port}, 'echo', 'started')->{exit}, 98, 'and demands');
	$peer->stop;
};

subtest 'wget' => sub {
	plan skip_all => 'no wget' unless $has->('wget');
	my $body = join '', map { chr(32 + $_ * 31 % 90) } 1 .. 300_000;
	my $page = spew(temporary('page'), "HTTP/1.0 200 OK\r\nContent-Length: 300000\r\n\r\n$body");
	for my $pair ('server-rsa', 'server-p256', 'server-p384', 'via-p384') {
		my $chain = file($pair =~ /via/ ? "$pair-chain.pem" : "$pair.pem");
		my $server = sslserver({ pair => $pair, env => { CERTFILE => $chain } }, [], 'sh', '-c', 'while read line; do test "${#line}" -gt 1 || break; done; exec cat "$1"', 'sh', $page);
		my $wget = sub { return run('wget', '-q', '-O', '-', '-t', '1', '-T', '10', @_) };
		my $result = $wget->("--ca-certificate=$root", "https://localhost:$server->{port}/");
		is($result->{exit}, 0, "$pair: exit 0") or diag($result->{err});
		ok($result->{out} eq $body, 'has the page');
		is(connection($server)->{status}, 0, 'status 0');
		$result = $wget->('--ca-certificate=' . file('other-root.pem'), "https://localhost:$server->{port}/");
		is($result->{exit}, 5, "$pair: an unknown CA is refused");
		$server->stop;
	}
	for my $pair ('early', 'expired', 'wrong-name') {
		my $server = sslserver({ pair => $pair }, [], http());
		is(run('wget', '-q', '-O', '-', '-t', '1', '-T', '10', "--ca-certificate=$root", "https://localhost:$server->{port}/")->{exit}, 5, "$pair: is refused");
		$server->stop;
	}
	my $server = serve({ env => pair('server-p256', CAFILE => $root) }, command('tcpserver'), '-1v', '127.0.0.1', '0', command('tlsd'), '-y', http());
	my @certificate = ('--certificate=' . file('client.pem'), '--private-key=' . file('client.key'));
	is(run('wget', '-q', '-O', '-', '-t', '1', "--ca-certificate=$root", @certificate, "https://localhost:$server->{port}/")->{out}, "served\n", 'its certificate is accepted');
	isnt(run('wget', '-q', '-O', '-', '-t', '1', "--ca-certificate=$root", "https://localhost:$server->{port}/")->{exit}, 0, 'and demanded');
	$server->stop;
};

done_testing;
