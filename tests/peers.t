#!/usr/bin/perl
# More peers and forms: gnutls-cli and gnutls-serv, python's ssl, curl; keys on P-521, keys and certificates in DER, own chains in any order;
# writes of odd sizes; peers with old versions, without a suite in common, with certificates that are not valid yet. Peers and engine agree on
# the newest version that both know, and once more on those before it.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Bear;
use BearTls;
use Test::More;

my $root = file('root.pem');
my $request = "GET / HTTP/1.0\r\n\r\n";
my $has = sub { my ($program) = @_; return grep { -x "$_/$program" } split /:/, $ENV{PATH} };
my @sizes = (1, 2, 3, 7, 16383, 16384, 16385);

# ---- python ----

# client.py PORT CAFILE [CERT KEY]: for each size on standard input sends so many bytes and waits for as many, which are to be the same; then
# says goodbye and waits for the server's.
my $client_py = spew(temporary('client.py'), <<'PY');
import socket, ssl, sys
port, cafile = int(sys.argv[1]), sys.argv[2]
context = ssl.create_default_context(cafile=cafile)
if len(sys.argv) > 4:
    context.load_cert_chain(sys.argv[3], sys.argv[4])
try:
    tls = context.wrap_socket(socket.create_connection(("127.0.0.1", port), 10), server_hostname="localhost")
    print(tls.version(), tls.cipher()[0])
    for line in sys.stdin:
        n = int(line)
        sent = bytes((i * 7 + n) % 251 for i in range(n))
        tls.sendall(sent)
        got = b""
        while len(got) < n:
            piece = tls.recv(65536)
            if not piece:
                break
            got += piece
        print(n, "same" if got == sent else "different")
    plain = tls.unwrap()
    plain.close()
    print("end close_notify")
except (ssl.SSLError, OSError) as why:
    print("failed", type(why).__name__, why)
PY

# server.py CERT KEY [CAFILE]: echoes what each client sends until its close_notify, answers that, and says so; with CAFILE demands certificates.
my $server_py = spew(temporary('server.py'), <<'PY');
import socket, ssl, sys
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[1], sys.argv[2])
if len(sys.argv) > 3:
    context.load_verify_locations(sys.argv[3])
    context.verify_mode = ssl.CERT_REQUIRED
listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
while True:
    connection, _ = listener.accept()
    connection.settimeout(10)
    try:
        tls = context.wrap_socket(connection, server_side=True, suppress_ragged_eofs=False)
        total = 0
        while True:
            piece = tls.recv(65536)
            if not piece:
                break
            total += len(piece)
            tls.sendall(piece)
        tls.unwrap().close()
        print("echoed", total, "end close_notify", file=sys.stderr, flush=True)
    except (ssl.SSLError, OSError) as why:
        print("failed", type(why).__name__, why, file=sys.stderr, flush=True)
        connection.close()
PY

sub python { my ($options, @arguments) = @_; return run($options, 'python3', $client_py, @arguments) }

# The same play for a program behind sslclient, with the echo on 6 and 7.
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

subtest 'python' => sub {
	plan skip_all => 'no python3' unless $has->('python3') && run('python3', '-c', 'import ssl')->{exit} == 0;
	for my $case (map { my $version = $_; map { [$_, $version] } 'server-rsa', 'server-p256', 'server-p384', 'via-rsa' } versions()) {
		my ($pair, $version) = @$case;
		my $chain = $pair =~ /via/ ? { CERTFILE => file("$pair-chain.pem") } : {};
		my $server = sslserver({ pair => $pair, env => { TLS_MAXVERSION => $version, %$chain } }, [], 'cat');
		my $result = python({ in => join '', map { "$_\n" } @sizes }, $server->{port}, $root);
		my $suite = suite($version, $pair =~ /rsa/ ? 'RSA' : 'ECDSA');
		like($result->{out}, qr/\A\Q$version\E $suite\n\Q$played\Eend close_notify\n\z/, "$pair, $version: writes of odd sizes come back, and the end is one in good order");
		is(connection($server)->{status}, 0, "$pair: status 0");
		$server->stop;

		my @files = (file($pair =~ /via/ ? "$pair-chain.pem" : "$pair.pem"), file("$pair.key"));
		my $peer = serve('python3', $server_py, @files);
		$result = sslclient({ env => { TLS_MAXVERSION => $version } }, ['localhost'], $peer->{port}, 'perl', $player, @sizes);
		is($result->{exit}, 0, "$pair, $version: sslclient") or diag($result->{err});
		is($result->{out}, "${played}end\n", "$pair: writes of odd sizes come back");
		my $all = 0;
		$all += $_ for @sizes;
		is($peer->wait_for_log(qr/^((?:echoed|failed).*)$/m, 5), "echoed $all end close_notify", "$pair: and the end is one in good order");
		$peer->stop;
	}
	my $server = sslserver({ pair => 'early' }, [], 'cat');
	like(python({}, $server->{port}, $root)->{out}, qr/\Afailed .*certificate is not yet valid/, 'not yet valid');
	like(connection($server)->{log}, qr/peer sent alert (bad_certificate|certificate_expired)$/m, 'is what it says');
	$server->stop;
	$server = sslserver({ pair => 'server-p256' }, [], 'cat');
	like(python({}, $server->{port}, file('other-root.pem'))->{out}, qr/\Afailed .*unable to get local issuer certificate/, 'an unknown CA');
	like(connection($server)->{log}, qr/peer sent alert unknown_ca$/m, 'is what it says');
	$server->stop;

	my $peer = serve('python3', $server_py, file('early.pem'), file('early.key'));
	my $result = sslclient({}, ['localhost'], $peer->{port}, 'echo', 'started');
	is($result->{exit}, 98, 'sslclient refuses one that is not yet valid');
	is($result->{out}, '', 'the program never starts');
	like($result->{err}, qr/: certificate is not yet valid\n/, 'in words');
	like($peer->wait_for_log(qr/^(failed.*)$/m, 5) // '', qr/alert certificate expired/i, 'and by the alert');
	$peer->stop;

	# Client certificates both ways.
	$server = serve({ env => pair('server-p256', CAFILE => $root) }, command('tcpserver'), '-1v', '127.0.0.1', '0', command('tlsd'), '-y', 'cat');
	like(python({ in => "7\n" }, $server->{port}, $root, file('client.pem'), file('client.key'))->{out}, qr/^7 same\nend close_notify\n\z/m, 'its certificate is accepted');
	like(python({ in => "7\n" }, $server->{port}, $root)->{out}, newest() eq 'TLSv1.2' ? qr/^failed .*handshake failure/m : qr/^failed .*certificate required/m, 'and demanded');
	$server->stop;
	$peer = serve('python3', $server_py, file('server-rsa.pem'), file('server-rsa.key'), $root);
	$result = sslclient({ env => pair('client') }, ['localhost'], $peer->{port}, 'perl', $player, 7);
	is($result->{out}, "7 same\nend\n", 'sslclient presents one');
	$peer->stop;
};

# ---- GnuTLS ----

my $lines = join '', map { 'line ' . 'x' x ($_ % 200) . "\n" } 1 .. 3000;

# Upload in full, then an answer.
my $swallow = 'local $/; my $all = <STDIN>; print length $all, " ", unpack("%32C*", $all), "\n"';
my $swallowed = length($lines) . ' ' . unpack('%32C*', $lines);

subtest 'gnutls-cli' => sub {
	plan skip_all => 'no gnutls-cli' unless $has->('gnutls-cli');
	my $gnutls = sub { my ($port, $in, @more) = @_; return run({ in => $in }, 'gnutls-cli', '--x509cafile', $root, @more, '-p', $port, 'localhost') };
	for my $case (map { my $version = $_; map { [$_, $version] } 'server-rsa', 'server-p256', 'server-p384', 'via-p256' } versions()) {
		my ($pair, $version) = @$case;
		my $chain = $pair =~ /via/ ? { CERTFILE => file("$pair-chain.pem") } : {};
		my $server = sslserver({ pair => $pair, env => { TLS_MAXVERSION => $version, %$chain } }, [], 'perl', '-e', $swallow);
		my $result = $gnutls->($server->{port}, $lines);
		is($result->{exit}, 0, "$pair: exit 0");
		like($result->{out}, qr/^\Q$swallowed\E$/m, "$pair: all of the upload, and the answer to it after its close_notify");
		is(connection($server)->{status}, 0, "$pair: status 0");
		$server->stop;
	}
	my $server = sslserver({}, [], 'echo', 'here');
	my %refused = (
		'NORMAL:-VERS-ALL:+VERS-TLS1.1:%COMPAT' => [qr/alert \[70\]/, qr/client speaks no TLS version above 1\.1/],
		newest() eq 'TLSv1.2' ? ('NORMAL:-VERS-ALL:+VERS-TLS1.3' => [qr/alert \[70\]/, qr/client does not speak TLS 1\.2/]) :
			('NORMAL:-VERS-ALL:+VERS-TLS1.3:-CIPHER-ALL:+AES-128-CCM' => [qr/alert \[40\]/, qr/no cipher suite, curve or signature algorithm in common/]),
		'NORMAL:-VERS-ALL:+VERS-TLS1.2:-KX-ALL:+RSA' => [qr/alert \[40\]/, qr/no cipher suite, curve or signature algorithm in common/],
		'NORMAL:-VERS-ALL:+VERS-TLS1.2:-CIPHER-ALL:+AES-128-CBC' => [qr/alert \[40\]/, qr/no cipher suite, curve or signature algorithm in common/],
		'NORMAL:-VERS-ALL:+VERS-TLS1.2:-KX-ALL:+ECDHE-ECDSA' => [qr/alert \[40\]/, qr/no cipher suite, curve or signature algorithm in common/],
	);
	for my $priority (sort keys %refused) {
		my ($alert, $reason) = @{ $refused{$priority} };
		my $result = $gnutls->($server->{port}, '', '--priority', $priority);
		isnt($result->{exit}, 0, "$priority: is refused");
		ok("$result->{out}$result->{err}" =~ $alert, 'by the right alert') or diag($result->{err});
		my $seen = connection($server);
		is($seen->{status}, 98 << 8, 'exit code 98');
		like($seen->{log} // '', $reason, 'in words');
	}
	for my $priority ('NORMAL', 'NORMAL:-VERS-ALL:+VERS-TLS1.2', (newest() eq 'TLSv1.2' ? () : 'NORMAL:-VERS-ALL:+VERS-TLS1.3'), 'SECURE128', 'PFS', 'NORMAL:-GROUP-ALL:+GROUP-SECP256R1', 'NORMAL:-GROUP-ALL:+GROUP-SECP384R1',
		'NORMAL:-GROUP-ALL:+GROUP-SECP521R1', 'NORMAL:-GROUP-ALL:+GROUP-X25519', 'NORMAL:-CIPHER-ALL:+CHACHA20-POLY1305', 'NORMAL:-CIPHER-ALL:+AES-256-GCM') {
		my $result = $gnutls->($server->{port}, '', '--priority', $priority);
		ok($result->{exit} == 0 && $result->{out} =~ /^here$/m, "$priority: is served") or diag($result->{err});
		connection($server);
	}
	$server->stop;
	for my $case (['early', qr/not yet (activated|valid)/], ['expired', qr/expired/], ['unknown', qr/issuer is unknown/], ['wrong-name', qr/name.*does not match/s]) {
		my ($pair, $words) = @$case;
		$server = sslserver({ pair => $pair }, [], 'echo', 'here');
		my $result = $gnutls->($server->{port}, '');
		isnt($result->{exit}, 0, "$pair: it refuses us");
		ok("$result->{out}$result->{err}" =~ $words, 'for the right reason') or diag($result->{out});
		my $seen = connection($server);
		is($seen->{status}, 98 << 8, 'exit code 98');
		like($seen->{log} // '', qr/: peer (sent alert \w+|ended the connection during the handshake)$/m, 'in words');
		$server->stop;
	}
};

sub gnutls_serv {
	my (@arguments) = @_;
	my $server = start('gnutls-serv', '--echo', '-p', '0', @arguments);
	$server->{port} = wait_until(sub { BearTls::listening_port($server->{pid}) }, 5);
	return $server;
}

subtest 'gnutls-serv' => sub {
	plan skip_all => 'no gnutls-serv' unless $has->('gnutls-serv');
	my @echo = ('sh', '-c', 'echo hello >&7; read line <&6; echo "$line $SSL_CIPHER"');
	for my $pair ('server-rsa', 'server-p256', 'server-p384', 'via-rsa') {
		my $peer = gnutls_serv('--x509certfile', file($pair =~ /via/ ? "$pair-chain.pem" : "$pair.pem"), '--x509keyfile', file("$pair.key"));
		for my $case ((map { ['localhost', $_] } versions()), ['127.0.0.1', newest()]) {
			my ($host, $version) = @$case;
			my $suite = suite($version, $pair =~ /rsa/ ? 'RSA' : 'ECDSA');
			my $result = sslclient({ env => { TLS_MAXVERSION => $version } }, [$host], $peer->{port}, @echo);
			is($result->{exit}, 0, "$pair, $host, $version: exit 0") or diag($result->{err}, $peer->log);
			like($result->{out}, qr/\Ahello $suite\n\z/, "$pair, $host, $version: has its answer");
		}
		$peer->stop;
	}
	for my $case (['early', 'certificate is not yet valid'], ['unknown', 'certificate is not from a trusted authority']) {
		my ($pair, $words) = @$case;
		my $peer = gnutls_serv('--x509certfile', file("$pair.pem"), '--x509keyfile', file("$pair.key"));
		my $result = sslclient({}, ['localhost'], $peer->{port}, 'echo', 'started');
		is($result->{exit}, 98, "$pair: exit 98");
		like($result->{err}, qr/\Atlsc-io: error: .*: \Q$words\E\n\z/, 'in words');
		is($result->{out}, '', 'the program never starts');
		ok($peer->wait_for_log(qr/(TLS fatal alert has been received)/, 5), 'and the peer is told by an alert');
		$peer->stop;
	}
	for my $priority ('NORMAL:-VERS-ALL:+VERS-TLS1.1', 'NORMAL:-VERS-ALL:+VERS-TLS1.3' . (newest() eq 'TLSv1.2' ? '' : ':-CIPHER-ALL:+AES-128-CCM'), 'NORMAL:-VERS-ALL:+VERS-TLS1.2:-KX-ALL:+RSA', 'NORMAL:-VERS-ALL:+VERS-TLS1.2:-CIPHER-ALL:+AES-128-CBC') {
		my $peer = gnutls_serv('--x509certfile', file('server-rsa.pem'), '--x509keyfile', file('server-rsa.key'), '--priority', $priority);
		my $result = sslclient({}, ['localhost'], $peer->{port}, 'echo', 'started');
		is($result->{exit}, 98, "$priority: exit 98");
		like($result->{err}, qr/\Atlsc-io: error: .*: peer sent alert (protocol_version|handshake_failure|insufficient_security)\n\z/, 'in words');
		is($result->{out}, '', 'the program never starts');
		$peer->stop;
	}
	my $peer = gnutls_serv('--x509certfile', file('server-rsa.pem'), '--x509keyfile', file('server-rsa.key'), '--priority', 'NORMAL:-GROUP-ALL:+GROUP-SECP521R1');
	is(sslclient({}, ['localhost'], $peer->{port}, @echo)->{exit}, 0, 'a server that has P-521 only for its handshake');
	$peer->stop;
};

# ---- P-521 ----

spew(temporary('names.cnf'), "[server]\nbasicConstraints=CA:FALSE\nsubjectAltName=DNS:localhost\n[authority]\nbasicConstraints=critical,CA:TRUE\n[client]\nbasicConstraints=CA:FALSE\n");

# NAME.pem and NAME.key on P-521, signed by root or by another of these; by itself without an issuer.
sub p521 {
	my ($name, $extensions, $issuer) = @_;
	my $path = temporary($name);
	openssl('genpkey', '-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-521', '-out', "$path.key");
	openssl('req', '-config', file('openssl.cnf'), '-new', '-key', "$path.key", '-out', "$path.csr", '-subj', "/O=Bear Test/CN=$name");
	openssl('x509', '-req', '-in', "$path.csr", '-out', "$path.pem", '-days', '30', '-sha512', '-extfile', temporary('names.cnf'), '-extensions', $extensions,
		$issuer ? ('-CA', "$issuer.pem", '-CAkey', "$issuer.key", '-CAcreateserial', '-CAserial', temporary('serial')) : ('-signkey', "$path.key"));
	return $path;
}

subtest 'P-521' => sub {
	my $leaf = p521('leaf-521', 'server', file('root'));
	my $own_root = p521('root-521', 'authority');
	my $under = p521('under-521', 'server', $own_root);
	my $client = p521('client-521', 'client', file('root'));
	openssl('ec', '-in', "$leaf.key", '-out', "$leaf.sec1.key");
	for my $case ([$leaf, $root, "$leaf.key"], [$leaf, $root, "$leaf.sec1.key"], [$under, "$own_root.pem", "$under.key"]) {
		my ($pair, $ca, $key) = @$case;
		my $name = join ', ', map { s{.*/}{}r } $pair, $key;
		my $server = sslserver({ env => { CERTFILE => "$pair.pem", KEYFILE => $key } }, [], http());
		for my $client (
			['openssl s_client', { in => $request }, 'openssl', 's_client', '-connect', "127.0.0.1:$server->{port}", '-CAfile', $ca, '-verify_return_error', '-quiet', '-ign_eof'],
			['gnutls-cli', { in => $request }, 'gnutls-cli', '--x509cafile', $ca, '-p', $server->{port}, 'localhost'],
			['curl', {}, 'curl', '-sS', '--cacert', $ca, "https://localhost:$server->{port}/"],
			['python', { in => '' }, 'python3', $client_py, $server->{port}, $ca],
			['sslclient', { env => { CAFILE => $ca } }, command('sslclient'), 'localhost', $server->{port}, 'sh', '-c', 'printf "GET / HTTP/1.0\r\n\r\n" >&7; exec cat <&6']) {
			my ($who, $options, @command) = @$client;
			next if $who ne 'sslclient' && !$has->($command[0]);
			my $result = run($options, @command);
			like($result->{out}, qr/served|\A\Q@{[newest()]}\E @{[suite(newest(), 'ECDSA')]}/, "$name: $who is served") or diag($result->{err});
		}
		$server->stop;
		my $peer = s_server({ answers => 1 }, '-rev', '-cert', "$pair.pem", '-key', $key);
		my $result = sslclient({ env => { CAFILE => $ca } }, ['localhost'], $peer->{port}, 'sh', '-c', 'echo abc >&7; read line <&6; echo "$line"');
		is($result->{out}, "cba\n", "$name: openssl s_server") or diag($result->{err});
		$peer->stop;
	}
	for my $case (map { my $version = $_; map { [@$_, $version] } ['P-521', 'secp521r1'], ['P-384', 'secp384r1'], ['P-256', 'prime256v1'], ['X25519', 'X25519'] } versions()) {
		my ($curve, $name, $version) = @$case;
		my $server = sslserver({ pair => 'server-rsa', env => { TLS_MAXVERSION => $version } }, [], 'echo', 'here');
		my $result = s_client({}, $server->{port}, '-curves', $curve);
		ok($result->{out} =~ /^here$/m, "$curve for the handshake, $version");
		is(($result->{out} =~ /^Server Temp Key: (?:ECDH, )?(\w+)/m)[0], $name, 'is what was agreed upon');
		$server->stop;
	}
	my $server = serve({ env => pair('server-p256', CAFILE => $root) }, command('tcpserver'), '-1v', '127.0.0.1', '0', command('tlsd'), '-y', 'echo', 'here');
	like(s_client({}, $server->{port}, '-quiet', '-cert', "$client.pem", '-key', "$client.key")->{out}, qr/^here$/m, 'a certificate of openssl s_client') or diag($server->log);
	my $result = run({ env => { CAFILE => $root, CERTFILE => "$client.pem", KEYFILE => "$client.key" } }, command('sslclient'), 'localhost', $server->{port}, 'sh', '-c', 'cat <&6');
	is($result->{out}, "here\n", 'and of sslclient') or diag($result->{err});
	$server->stop;
};

# ---- forms ----

subtest 'keys and certificates in DER' => sub {
	my %key_forms = ('server-rsa' => [['PKCS#8', 'server-rsa.key'], ['PKCS#1', 'server-rsa.pkcs1.key', 'rsa', '-traditional']],
		'server-p256' => [['PKCS#8', 'server-p256.key'], ['SEC1', 'server-p256.sec1.key', 'ec']], 'server-p384' => [['PKCS#8', 'server-p384.key'], ['SEC1', 'server-p384.sec1.key', 'ec']]);
	my $root_der = temporary('root.der');
	openssl('x509', '-in', $root, '-outform', 'DER', '-out', $root_der);
	for my $pair (sort keys %key_forms) {
		my $certificate = temporary("$pair.der");
		openssl('x509', '-in', file("$pair.pem"), '-outform', 'DER', '-out', $certificate);
		for my $form (@{ $key_forms{$pair} }) {
			my ($name, $from, $tool, @letters) = @$form;
			my $key = temporary("$from.der");
			if ($tool) { openssl($tool, '-in', file($from), '-outform', 'DER', '-out', $key, @letters) }
			else { openssl('pkcs8', '-topk8', '-nocrypt', '-in', file($from), '-outform', 'DER', '-out', $key) }
			for my $env ({ CERTFILE => $certificate, KEYFILE => $key }, { CERTFILE => file("$pair.pem"), KEYFILE => $key }, { CERTFILE => $certificate, KEYFILE => file($from) }) {
				my $server = sslserver({ env => $env }, [], http());
				my $words = join ' and ', $pair, $name, map { /\.der\z/ ? 'DER' : 'PEM' } @$env{qw(CERTFILE KEYFILE)};
				is(run('curl', '-sS', '--cacert', $root, "https://localhost:$server->{port}/")->{out}, "served\n", "$words: curl") or diag($server->log);
				my $result = run({ env => { CAFILE => $root_der } }, command('sslclient'), 'localhost', $server->{port}, 'sh', '-c', 'printf "GET / HTTP/1.0\r\n\r\n" >&7; exec cat <&6');
				like($result->{out}, qr/served/, "$words: sslclient with a CAFILE in DER");
				$server->stop;
			}
		}
	}
	my $broken = spew(temporary('broken.der'), substr slurp($root_der), 0, -1);
	is(run({ env => { CAFILE => $broken } }, command(io_program('tlsc-io')), '-C', '-k', 'localhost', '0', '1')->{exit}, 96, 'one byte less: exit 96');
	my $longer = spew(temporary('longer.der'), slurp($root_der) . "\0");
	is(run({ env => { CAFILE => $longer } }, command(io_program('tlsc-io')), '-C', '-k', 'localhost', '0', '1')->{exit}, 96, 'one byte more: exit 96');
};

subtest 'own chains in any order' => sub {
	my @parts = map { slurp(file($_)) } 'via-p256.pem', 'intermediate.pem', 'root.pem', 'other-root.pem';
	for my $order ('01', '10', '210', '102', '3210') {
		my $chain = spew(temporary("order-$order.pem"), join "between\n", map { $parts[$_] } split //, $order);
		my $server = sslserver({ env => { CERTFILE => undef, CERTCHAINFILE => $chain, KEYFILE => file('via-p256.key') } }, [], http());
		for my $client (['curl', 'curl', '-sS', '--cacert', $root, "https://localhost:$server->{port}/"],
			['gnutls-cli', 'gnutls-cli', '--x509cafile', $root, '-p', $server->{port}, 'localhost'], ['python', 'python3', $client_py, $server->{port}, $root]) {
			my ($who, @command) = @$client;
			next unless $has->($command[0]);
			like(run({ in => $who eq 'python' ? '' : $request }, @command)->{out}, qr/^served$|\ATLSv1\.[23]/m, "$order: $who is content");
		}
		$server->stop;
		# As a client's own, for who looks closely at the order.
		SKIP: {
			skip 'no gnutls-serv', 1 unless $has->('gnutls-serv');
			my $peer = gnutls_serv('--x509certfile', file('server-rsa.pem'), '--x509keyfile', file('server-rsa.key'), '--x509cafile', $root, '--require-client-cert', '--verify-client-cert');
			my $result = sslclient({ env => { CERTCHAINFILE => $chain, KEYFILE => file('via-p256.key') } }, ['localhost'], $peer->{port}, 'sh', '-c', 'echo hello >&7; read line <&6; echo "$line"');
			is($result->{out}, "hello\n", "$order: of a client") or diag($result->{err});
			$peer->stop;
		}
	}
};

done_testing;
