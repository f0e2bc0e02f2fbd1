#!/usr/bin/perl
# Handshakes with real software on the other side: keys and chains of every kind, every way to start the programs, names, and what is checked.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Bear;
use BearTls;
use Test::More;

my $request = "GET / HTTP/1.0\r\n\r\n";
my @ask = ('sh', '-c', 'printf "GET / HTTP/1.0\r\n\r\n" >&7; exec cat <&6');
my @hello = ('sh', '-c', 'read line <&6; echo "$line"');
my $root = file('root.pem');
my $answer = "HTTP/1.0 200 OK\r\n\r\nserved\n";

# openssl s_client is content with the server and its certificate, and gets the page.
sub accepted_by_openssl {
	my ($server, $name, @arguments) = @_;
	my $result = s_client({ in => $request }, $server->{port}, '-servername', 'localhost', '-verify_hostname', 'localhost', @arguments);
	is($result->{exit}, 0, "$name: openssl s_client") or diag($result->{err});
	like($result->{out}, qr/\Q$answer\E/, "$name: gets the page");
	like($result->{out}, qr/Verify return code: 0 \(ok\)/, "$name: and trusts the certificate");
	return $result->{out};
}

my %kinds = ('server-rsa' => 'RSA', 'server-p256' => 'ECDSA', 'server-p384' => 'ECDSA');

for my $pair (sort keys %kinds) {
	for my $version (versions()) {
		subtest "clients of sslserver: $pair, $version" => sub {
			my $server = sslserver({ pair => $pair, env => { TLS_MAXVERSION => $version } }, [], http());
			my $seen = accepted_by_openssl($server, $pair);
			my $suite = suite($version, $kinds{$pair});
			like($seen, qr/^New, \Q$version\E, Cipher is $suite$/m, 'version; ECDHE with AEAD');

			my $result = run('curl', '-sS', '--cacert', $root, "https://localhost:$server->{port}/");
			is($result->{exit}, 0, 'curl') or diag($result->{err});
			is($result->{out}, "served\n", 'gets the page');
			$result = sslclient({}, ['localhost'], $server->{port}, @ask);
			is($result->{exit}, 0, 'sslclient');
			is($result->{out}, $answer, 'gets the page');
			is($result->{err}, '', 'and says nothing');
			SKIP: {
				skip 'no gnutls-cli', 2 unless grep { -x "$_/gnutls-cli" } split /:/, $ENV{PATH};
				$result = run({ in => $request }, 'gnutls-cli', '--x509cafile', $root, '-p', $server->{port}, 'localhost');
				is($result->{exit}, 0, 'gnutls-cli') or diag($result->{err});
				like($result->{out}, qr/^served$/m, 'gets the page');
			}
			is(connection($server)->{status}, 0, "connection $_: status 0") for 1 .. 3;
		};
	}

	subtest "clients of openssl s_server: $pair" => sub {
		my $server = s_server({ pair => $pair, answers => 1 }, '-rev', '-quiet');
		for my $case ((map { ["at most $_", 'localhost', $_] } versions()), ['an address', '127.0.0.1', newest()]) {
			my ($words, $host, $version) = @$case;
			my $result = sslclient({ env => { TLS_MAXVERSION => $version } }, [$host], $server->{port}, 'sh', '-c', 'echo hello >&7; read line <&6; echo "$line $SSL_PROTOCOL"');
			is($result->{exit}, 0, "sslclient: $words") or diag($result->{err});
			is($result->{out}, "olleh $version\n", 'has its answer');
		}
		my $result = run({ env => { CAFILE => $root } }, command('tcpclient'), '127.0.0.1', $server->{port},
			command('tlsc'), '-k', 'localhost', 'sh', '-c', 'echo hello >&7; read line <&6; echo "$line"');
		is($result->{exit}, 0, 'tlsc') or diag($result->{err});
		is($result->{out}, "olleh\n", 'has its answer');
	};
}

subtest 'keys' => sub {
	my $parameters = openssl('ecparam', '-name', 'prime256v1');
	my $with_parameters = spew(temporary('with-parameters.key'), $parameters . slurp(file('server-p256.sec1.key')));
	my $cert_key = spew(temporary('cert-key.pem'), slurp(file('server-p256.pem')) . slurp(file('server-p256.key')));
	my $key_cert = spew(temporary('key-cert.pem'), slurp(file('server-rsa.pkcs1.key')) . slurp(file('server-rsa.pem')));
	my @cases = (
		['RSA, PKCS#1', 'server-rsa', { KEYFILE => file('server-rsa.pkcs1.key') }],
		['P-256, SEC1', 'server-p256', { KEYFILE => file('server-p256.sec1.key') }],
		['P-256, SEC1 behind its parameters', 'server-p256', { KEYFILE => $with_parameters }],
		['P-384, SEC1', 'server-p384', { KEYFILE => file('server-p384.sec1.key') }],
		['KEYFILE empty, key behind the certificate', 'server-p256', { CERTFILE => $cert_key, KEYFILE => '' }],
		['KEYFILE unset, key before the certificate', 'server-rsa', { CERTFILE => $key_cert, KEYFILE => undef }],
		['KEYFILE empty, key in CERTCHAINFILE', 'server-rsa', { CERTFILE => undef, CERTCHAINFILE => $cert_key, KEYFILE => '' }],
	);
	for my $case (@cases) {
		my ($name, $pair, $env) = @$case;
		my $server = sslserver({ pair => $pair, env => $env }, [], http());
		accepted_by_openssl($server, $name);
		$server->stop;
	}
};

subtest 'chains' => sub {
	for my $kind ('rsa', 'p256', 'p384') {
		my @parts = (slurp(file("via-$kind.pem")), slurp(file('intermediate.pem')), slurp(file('root.pem')), slurp(file('client.pem')));
		for my $order ('01', '10', '210', '012', '3102') {
			my $chain = spew(temporary("chain-$kind-$order.pem"), join '', map { $parts[$_] } split //, $order);
			my $server = sslserver({ pair => "server-$kind", env => { CERTFILE => '/nonexistent', CERTCHAINFILE => $chain } }, [], http());
			my $seen = accepted_by_openssl($server, "$kind, order $order", '-showcerts');
			my @sent = $seen =~ /(-----BEGIN CERTIFICATE-----\n.*?-----END CERTIFICATE-----\n)/gs;
			is(join('', @sent), $parts[0] . $parts[1], 'leaf and intermediate are sent, in this order');
			my $result = sslclient({}, ['localhost'], $server->{port}, @ask);
			is($result->{out}, $answer, 'sslclient finds the way to the root');
			$server->stop;
		}
	}
	my $server = sslserver({ env => { CERTFILE => file('via-rsa-chain.pem') } }, [], http());
	accepted_by_openssl($server, 'CERTFILE with a chain');
	$server->stop;

	$server = sslserver({ pair => 'via-rsa' }, [], http());
	is(sslclient({}, ['localhost'], $server->{port}, @ask)->{exit}, 98, 'without the intermediate: no way to the root');
	my $both = spew(temporary('both.pem'), slurp(file('intermediate.pem')) . slurp(file('root.pem')));
	my $result = sslclient({ env => { CAFILE => $both } }, ['localhost'], $server->{port}, @ask);
	is($result->{out}, $answer, 'but with the intermediate in CAFILE');
	$server->stop;

	$server = s_server({ pair => 'via-p256', answers => 1 }, '-cert_chain', file('intermediate.pem'), '-rev', '-quiet');
	my @reverse = ('sh', '-c', 'echo abc >&7; read line <&6; echo "$line"');
	is(sslclient({}, ['localhost'], $server->{port}, @reverse)->{out}, "cba\n", 'an intermediate from openssl s_server');
	is(sslclient({ env => { VERIFYDEPTH => 1 } }, ['localhost'], $server->{port}, @reverse)->{out}, "cba\n", 'VERIFYDEPTH=1 is enough for it');
	is(sslclient({ env => { VERIFYDEPTH => 0 } }, ['localhost'], $server->{port}, @reverse)->{exit}, 98, 'VERIFYDEPTH=0 is not');
	mkdir temporary('store') or die;
	spew(temporary('store/one.pem'), slurp(file('root.pem')));
	$result = sslclient({ env => { CAFILE => file('other-root.pem'), CADIR => temporary('store') } }, ['localhost'], $server->{port}, @reverse);
	is($result->{out}, "cba\n", 'CADIR is believed besides CAFILE');
};

subtest 'ways to start' => sub {
	my $server = serve({ env => pair('server-p256') }, command('tcpserver'), '-1v', '127.0.0.1', '0', command('tlsd'), http());
	accepted_by_openssl($server, 'tlsd under tcpserver');
	my $result = run({ env => { CAFILE => $root } }, command('tcpclient'), '127.0.0.1', $server->{port}, command('tlsc'), '-k', 'localhost', @ask);
	is($result->{exit}, 0, 'tlsc behind tcpclient');
	is($result->{out}, $answer, 'gets the page');
	$result = run({ env => { CAFILE => $root, TLS_PEERNAME => 'localhost' } }, command('tcpclient'), '127.0.0.1', $server->{port}, command('tlsc'), @ask);
	is($result->{out}, $answer, 'TLS_PEERNAME instead of -k');
	$result = run({ in => $request, env => { CAFILE => $root } }, command('tcpclient'), '127.0.0.1', $server->{port}, command('tlsc-io'), '-k', 'localhost', '6', '7');
	is($result->{exit}, 0, 'tlsc-io as an interactive client') or diag($result->{err});
	is($result->{out}, $answer, 'gets the page');
	$server->stop;

	# inetd: the connection on 0, 1 and 2. What prog says on 2 must not reach the peer.
	my @inetd = ('sh', '-c', 'exec "$@" 2>&0', 'inetd');
	$server = serve({ env => pair('server-p256') }, command('tcpserver'), '-1', '127.0.0.1', '0', @inetd, command('tlsd'),
		'perl', '-e', 'print STDERR "to the log\n"; while (<STDIN>) { last if /^\r?\n$/ } print readlink "/proc/self/fd/2"; print "\n"');
	$result = s_client({ in => $request }, $server->{port}, '-quiet');
	is($result->{exit}, 0, 'tlsd under inetd') or diag($result->{err});
	is($result->{out}, "/dev/null\n", 'has no way to write past TLS');
	$result = ask($server->{port}, $request);
	unlike($result, qr/tlsd-io|unable/, 'nor does the io program');
	like(unpack('H*', $result), qr/\A1503..00020246\z/, 'but by its alert');
};

subtest 'names' => sub {
	my @show = ('sh', '-c', 'echo "<${SSL_TLS_SNI_SERVERNAME-unset}>"');
	my $server = serve({ env => pair('server-p256', SSL_TLS_SNI_SERVERNAME => 'old') }, command('sslserver'), '-1', ':0', '0', @show);
	my $shown = sub { my $result = sslclient({ env => $_[1] || {} }, $_[0], $server->{port}, @hello); return $result->{exit} ? "exit $result->{exit}" : $result->{out} };
	is($shown->(['localhost']), "<localhost>\n", 'a name is checked and sent');
	is($shown->(['LocalHost']), "<localhost>\n", 'in either case');
	is($shown->(['127.0.0.1']), "<unset>\n", 'an IPv4 literal is checked and not sent');
	is($shown->(['::1']), "<unset>\n", 'nor an IPv6 literal');
	is($shown->(['[::1]']), "<unset>\n", 'nor one in brackets');
	is($shown->(['0']), "<unset>\n", 'host 0 is 127.0.0.1');
	is($shown->(['127.0.0.1'], { TLS_PEERNAME => 'example.test' }), "<example.test>\n", 'TLS_PEERNAME instead of the host');
	is($shown->(['127.0.0.1'], { TLS_PEERNAME => 'example.test.' }), "<example.test>\n", 'with a final dot');
	is($shown->(['localhost'], { TLS_PEERNAME => 'other.test' }), 'exit 98', 'another TLS_PEERNAME is not in the certificate');
	is($shown->(['127.0.0.1'], { TLS_PEERNAME => '127.0.0.2' }), 'exit 98', 'nor is another address');

	my $result = s_client({}, $server->{port}, '-quiet', '-servername', 'Example.TEST');
	is($result->{out}, "<example.test>\n", 'the name that openssl s_client sends');
	$result = s_client({}, $server->{port}, '-quiet', '-noservername');
	is($result->{out}, "<unset>\n", 'and that it does not send');
	$server->stop;

	$server = s_server({ answers => 1 }, '-rev', '-servername', 'localhost', '-cert2', file('server-p256.pem'), '-key2', file('server-p256.key'));
	my @client = ('sh', '-c', 'echo x >&7; read line <&6; case "$SSL_SERVER_A_KEY" in id-ec*) echo ECDSA ;; rsa*) echo RSA ;; esac');
	is(sslclient({}, ['-s', 'localhost'], $server->{port}, @client)->{out}, "ECDSA\n", 'openssl s_server chooses the certificate by the name');
	is(sslclient({}, ['-s', '127.0.0.1'], $server->{port}, @client)->{out}, "RSA\n", 'and has none from an address');
};

subtest 'what is checked' => sub {
	my %servers = map { $_ => sslserver({ pair => $_ }, [], 'echo', 'here') } 'server-p256', 'wrong-name', 'unknown';
	my @cases = (
		[[], {}, 'ok no no'], [['-n', '-x'], {}, 'ok no no'], [['-N'], {}, 'ok ok no'], [['-X'], {}, 'ok ok ok'], [['-N', '-X'], {}, 'ok ok ok'],
		[[], { TLS_VERIFY => 'name' }, 'ok no no'], [[], { TLS_VERIFY => 'chain' }, 'ok ok no'], [[], { TLS_VERIFY => 'none' }, 'ok ok ok'],
		[['-n'], { TLS_VERIFY => 'none' }, 'ok no no'], [['-x'], { TLS_VERIFY => 'none' }, 'ok no no'], [['-X'], { TLS_VERIFY => 'name' }, 'ok ok ok'],
	);
	for my $case (@cases) {
		my ($letters, $env, $expected) = @$case;
		my @seen = map {
			my $result = sslclient({ env => $env }, [@$letters, 'localhost'], $servers{$_}{port}, @hello);
			$result->{exit} == 98 && $result->{out} eq '' ? 'no' : $result->{out} eq "here\n" ? 'ok' : "exit $result->{exit}: $result->{err}"
		} 'server-p256', 'wrong-name', 'unknown';
		is("@seen", $expected, join ' ', 'good, wrong name, unknown CA with', @$letters, %$env);
	}
	my $result = sslclient({ env => { CAFILE => '/nonexistent' } }, ['-X', 'localhost'], $servers{unknown}{port}, @hello);
	is($result->{out}, "here\n", '-X needs no CAs');

	my ($store) = slurp("$FindBin::Bin/../conf-compile/conf-cafile") =~ /(\S+)/;
	SKIP: {
		skip 'no store of the system', 2 unless $store && -s $store;
		$result = sslclient({ env => { CAFILE => undef } }, ['localhost'], $servers{'server-p256'}{port}, @hello);
		is($result->{exit}, 98, 'without CAFILE the store of the system is asked, which does not know our CA');
		like($result->{err}, qr/not from a trusted authority/, 'in words');
	}
};

subtest 'conveniences' => sub {
	my $server = sslserver({ pair => 'server-p256' }, [], command('sslprint'));
	my $result = run({ env => { CAFILE => $root } }, command('sslcat'), 'localhost', $server->{port});
	is($result->{exit}, 0, 'sslcat');
	like($result->{out}, qr/^PROTO=SSL\n/m, 'sslprint: PROTO');
	like($result->{out}, qr/^SSLREMOTEIP=127\.0\.0\.1\n/m, 'sslprint: SSLREMOTEIP');
	like($result->{out}, qr/^SSL_PROTOCOL=\Q@{[newest()]}\E\n/m, 'sslprint: SSL_PROTOCOL');
	$result = run({ env => { CAFILE => undef } }, command('sslcat'), 'localhost', $server->{port}, '-X');
	is($result->{exit}, 0, 'sslcat with an option of sslclient');
	$result = run({ env => { CAFILE => file('other-root.pem') } }, command('sslcat'), 'localhost', $server->{port});
	is($result->{exit}, 98, 'sslcat fails as sslclient does');
};

subtest 'a body of unknown length' => sub {
	# The program just exits, with its request unread and a megabyte on its way.
	my $server = sslserver({}, [], 'perl', '-e', 'print "HTTP/1.0 200 OK\r\n\r\n", "0123456789abcdef" x 65536');
	for my $round (1 .. 5) {
		my $result = run('curl', '-sS', '--cacert', $root, "https://localhost:$server->{port}/");
		is($result->{exit}, 0, 'curl: exit 0') or diag($result->{err});
		ok($result->{out} eq '0123456789abcdef' x 65536, 'and all of the body');
	}
	my $result = run({ in => 'x' x 300000 }, 'curl', '-sS', '--cacert', $root, '-H', 'Expect:', '--data-binary', '@-', "https://localhost:$server->{port}/");
	is($result->{exit}, 0, 'also if the client had much to say: exit 0') or diag($result->{err});
	ok($result->{out} eq '0123456789abcdef' x 65536, 'and all of the body');
};

done_testing;
