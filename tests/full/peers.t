#!/usr/bin/perl
# Peers that are heavy to install: node's tls, and Go's, on both sides, and wget.
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
if (ca) Object.assign(options, { ca: fs.readFileSync(ca), requestCert: true, rejectUnauthorized: true });
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
	for my $case (map { my $version = $_; map { [$_, $version] } 'server-rsa', 'server-p256', 'server-p384', 'via-rsa' } versions()) {
		my ($pair, $version) = @$case;
		my $chain = file($pair =~ /via/ ? "$pair-chain.pem" : "$pair.pem");
		my $suite = suite($version, $pair =~ /rsa/ ? 'RSA' : 'ECDSA');
		my $server = sslserver({ pair => $pair, env => { CERTFILE => $chain, TLS_MAXVERSION => $version } }, [], 'cat');
		my $result = run({ timeout => 20 }, 'node', $client_js, $server->{port}, $root);
		like($result->{out}, qr/\A\Q$version\E $suite\n\Q${played}\Eend\n\z/, "$pair, $version: writes of odd sizes come back to node");
		is(connection($server)->{status}, 0, 'status 0');
		$server->stop;

		my $peer = serve({ timeout => 20 }, 'node', $server_js, $chain, file("$pair.key"));
		$result = sslclient({ env => { TLS_MAXVERSION => $version } }, ['localhost'], $peer->{port}, 'perl', $player, @sizes);
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
	like(run({ timeout => 20 }, 'node', $client_js, $server->{port}, $root)->{out}, newest() eq 'TLSv1.2' ? qr/^failed \S+ .*handshake failure/m : qr/^failed \S+ .*certificate required/m, 'and demanded');
	$server->stop;
	my $peer = serve({ timeout => 20 }, 'node', $server_js, file('server-p256.pem'), file('server-p256.key'), $root);
	is(sslclient({ env => pair('client') }, ['localhost'], $peer->{port}, 'perl', $player, 7)->{out}, "7 same\nend\n", 'sslclient presents one');
	ok($peer->wait_for_log(qr/^(echoed 7 authorized Test Client)$/m, 5), 'which node accepts');
	is(sslclient({}, ['localhost'], $peer->{port}, 'sh', '-c', 'cat <&6')->{exit}, 98, 'and demands');
	$peer->stop;
};

# ---- Go ----

# peer client PORT CAFILE [CERT KEY], peer server CERT KEY [CAFILE]: as those of node.
my $peer_go = spew(temporary('peer.go'), <<'GO');
package main

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"os"
)

func must(err error) {
	if err != nil {
		fmt.Println("failed", err)
		os.Exit(0)
	}
}

func authorities(path string) *x509.CertPool {
	text, err := os.ReadFile(path)
	must(err)
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(text)
	return pool
}

func pair(files []string) []tls.Certificate {
	if len(files) < 2 {
		return nil
	}
	certificate, err := tls.LoadX509KeyPair(files[0], files[1])
	must(err)
	return []tls.Certificate{certificate}
}

func client(port string, ca string, own []string) {
	connection, err := tls.Dial("tcp", "127.0.0.1:"+port, &tls.Config{ServerName: "localhost", RootCAs: authorities(ca), Certificates: pair(own)})
	must(err)
	state := connection.ConnectionState()
	fmt.Printf("TLSv1.%d %s\n", state.Version-0x0301, tls.CipherSuiteName(state.CipherSuite))
	for _, n := range []int{1, 2, 3, 7, 16383, 16384, 16385} {
		sent, got := make([]byte, n), make([]byte, n)
		for i := range sent {
			sent[i] = byte((i*7 + n) % 251)
		}
		_, err = connection.Write(sent)
		must(err)
		_, err = io.ReadFull(connection, got)
		must(err)
		fmt.Println(n, map[bool]string{true: "same", false: "different"}[bytes.Equal(sent, got)])
	}
	must(connection.CloseWrite())
	rest, err := io.ReadAll(connection)
	must(err)
	fmt.Println("end", len(rest))
}

func server(own []string) {
	config := &tls.Config{Certificates: pair(own)}
	if len(own) > 2 {
		config.ClientAuth, config.ClientCAs = tls.RequireAndVerifyClientCert, authorities(own[2])
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(err)
	fmt.Println(listener.Addr().(*net.TCPAddr).Port)
	for {
		connection, err := listener.Accept()
		must(err)
		secured := tls.Server(connection, config)
		n, err := io.Copy(secured, secured)
		fmt.Fprintln(os.Stderr, "echoed", n, err)
		secured.Close()
	}
}

func main() {
	if os.Args[1] == "client" {
		client(os.Args[2], os.Args[3], os.Args[4:])
	} else {
		server(os.Args[2:])
	}
}
GO

subtest 'Go' => sub {
	plan skip_all => 'no go' unless $has->('go');
	my $go = temporary('peer-go');
	my $built = run({ timeout => 120, env => { HOME => temporary(), GOCACHE => temporary('go-cache'), GOFLAGS => '-mod=mod', GO111MODULE => 'off', GOPROXY => 'off' } }, 'go', 'build', '-o', $go,
		$peer_go);
	is($built->{exit}, 0, 'compiles') or return diag($built->{err});
	for my $case (map { my $version = $_; map { [$_, $version] } 'server-rsa', 'server-p256', 'server-p384', 'via-rsa' } versions()) {
		my ($pair, $version) = @$case;
		my $chain = file($pair =~ /via/ ? "$pair-chain.pem" : "$pair.pem");
		my $server = sslserver({ pair => $pair, env => { CERTFILE => $chain, TLS_MAXVERSION => $version } }, [], 'cat');
		like(run($go, 'client', $server->{port}, $root)->{out}, qr/\A\Q$version\E TLS_\w+\n\Q${played}\Eend 0\n\z/, "$pair, $version: writes of odd sizes come back to Go");
		is(connection($server)->{status}, 0, 'status 0');
		$server->stop;

		my $peer = serve($go, 'server', $chain, file("$pair.key"));
		my $result = sslclient({ env => { TLS_MAXVERSION => $version } }, ['localhost'], $peer->{port}, 'perl', $player, @sizes);
		is($result->{exit}, 0, "$pair, $version: sslclient") or diag($result->{err});
		is($result->{out}, "${played}end\n", 'has its writes back from Go');
		ok($peer->wait_for_log(qr/^(echoed $total <nil>)$/m, 5), 'which saw its end');
		$peer->stop;
	}
	for my $case (['early', qr/expired or is not yet valid/], ['unknown', qr/unknown authority/], ['wrong-name', qr/not localhost/]) {
		my ($pair, $words) = @$case;
		my $server = sslserver({ pair => $pair }, [], 'cat');
		like(run($go, 'client', $server->{port}, $root)->{out}, qr/^failed .*$words/m, "$pair: Go refuses it");
		like(connection($server)->{log}, qr/peer sent alert bad_certificate$/m, 'is what it says');
		$server->stop;
		my $peer = serve($go, 'server', file("$pair.pem"), file("$pair.key"));
		is(sslclient({}, ['localhost'], $peer->{port}, 'echo', 'started')->{exit}, 98, "$pair: sslclient refuses it");
		like($peer->wait_for_log(qr/^(echoed 0 .*)$/m, 5) // '', qr/remote error: tls: (expired certificate|unknown certificate authority|bad certificate)/, 'and says so');
		$peer->stop;
	}
	my $server = serve({ env => pair('server-p256', CAFILE => $root) }, command('tcpserver'), '-1v', '127.0.0.1', '0', command('tlsd'), '-y', 'cat');
	like(run($go, 'client', $server->{port}, $root, file('client.pem'), file('client.key'))->{out}, qr/^16385 same\nend 0\n\z/m, 'its certificate is accepted');
	# Go names this alert of TLS 1.3 by its number.
	like(run($go, 'client', $server->{port}, $root)->{out}, newest() eq 'TLSv1.2' ? qr/^failed .*handshake failure/m : qr/^failed .*(alert\(116\)|certificate required)/m, 'and demanded');
	$server->stop;
	my $peer = serve($go, 'server', file('server-p256.pem'), file('server-p256.key'), $root);
	is(sslclient({ env => pair('client') }, ['localhost'], $peer->{port}, 'perl', $player, 7)->{out}, "7 same\nend\n", 'sslclient presents one');
	is(sslclient({}, ['localhost'], $peer->{port}, 'sh', '-c', 'cat <&6')->{exit}, 98, 'which Go demands');
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
