#!/usr/bin/perl
# Which certificate a client gets for the name that it asks for: CERTFILE:name and KEYFILE:name, TLS_SNIDIR, TLS_SNI and -k, and what becomes of
# names that nobody has. Clients are openssl, curl and gnutls-cli, and our own with TLS_SNI.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Bear;
use BearTls;
use File::Copy qw(copy);
use Test::More;

# ---- certificates: each for its own name, so that the client says which one it got ----

sub certify {
	my ($name, $kind, $path) = @_;
	$path ||= temporary($name =~ tr/*/_/r);
	openssl('req', '-x509', '-newkey', $kind eq 'rsa' ? 'rsa:2048' : 'ec', $kind eq 'rsa' ? () : ('-pkeyopt', "ec_paramgen_curve:$kind"), '-nodes', '-days', 30,
		'-subj', "/O=Bear Test/CN=$name", '-addext', "subjectAltName=DNS:$name", '-keyout', "$path.key", '-out', "$path.pem");
	return $path;
}
my %is = map { ($_ => certify($_, 'P-256')) } 'a.test', '*.b.test', 'x.b.test', 'd.test';
sub named {
	my (%names) = @_;
	return map { ("CERTFILE:$_" => "$names{$_}.pem", "KEYFILE:$_" => "$names{$_}.key") } keys %names;
}

# The common name of the certificate that a client gets; the alert otherwise, or what openssl said.
sub presented {
	my ($server, $name, @more) = @_;
	my $result = run('openssl', 's_client', '-connect', "127.0.0.1:$server->{port}", defined $name ? ('-servername', $name) : '-noservername', @more);
	return $1 if $result->{out} =~ /^subject=.*CN = (.*)$/m;
	return "alert $1" if $result->{err} =~ /SSL alert number (\d+)/;
	return $result->{err};
}
my @show = ('sh', '-c', 'echo "<${SSL_TLS_SNI_SERVERNAME-unset}>"');

subtest 'CERTFILE:name and KEYFILE:name' => sub {
	my $server = sslserver({ env => { named(%is), 'CERTFILE:UPPER.test' => "$is{'d.test'}.pem", 'KEYFILE:upper.TEST' => "$is{'d.test'}.key" } }, [], @show);
	my $default = 'localhost';
	is(presented($server, @$_[0]), $_->[1], "$_->[2]") for ['a.test', 'a.test', 'its own'], ['A.TEST', 'a.test', 'in capitals'], ['y.b.test', '*.b.test', 'one label'],
		['x.b.test', 'x.b.test', 'the name itself before *.'], ['z.x.b.test', $default, 'not two labels'], ['b.test', $default, 'not none'],
		['upper.test', 'd.test', 'capitals in the environment'], ['c.test', $default, 'unknown: the default'], [undef, $default, 'no name: the default'],
		['xa.test', $default, 'no part of a name'], ['a.test.evil.test', $default, 'nor its beginning'], ['*.b.test', 'alert 47', 'no client asks for *.'];
	ok($server->wait_for_log(qr/(illegal server name in ClientHello)/), 'which is said');
	is(run('curl', '-sS', '--http0.9', '--cacert', "$is{'a.test'}.pem", '--connect-to', "a.test::127.0.0.1:$server->{port}", 'https://a.test/')->{out}, "<a.test>\n", 'curl checks it');
	SKIP: {
		skip 'no gnutls-cli', 1 unless grep { -x "$_/gnutls-cli" } split /:/, $ENV{PATH};
		like(run({ in => "\n" }, 'gnutls-cli', '--x509cafile', "$is{'*.b.test'}.pem", '--sni-hostname', 'y.b.test', '--verify-hostname', 'y.b.test', '-p', $server->{port}, '127.0.0.1')->{out},
			qr/^<y\.b\.test>$/m, 'gnutls-cli, too');
	}
	$server->stop;
};

# They are looked up in an order of their own.
subtest 'five hundred names' => sub {
	my @paths = @is{'a.test', '*.b.test', 'x.b.test', 'd.test'};
	my @whose = map { /([^\/]*)\z/ ? $1 =~ s/_/*/r : '' } @paths;
	my @names = (map({ "n$_.test" } 1 .. 498), '*.n7.test', 'N7-.test');
	my %names = map { ($names[$_] => $paths[$_ % 4]) } 0 .. $#names;
	my $server = sslserver({ env => { named(%names) } }, [], @show);
	for my $at (0, 1, 2, 9, 98, 249, 250, 332, 490, 497) { is(presented($server, $names[$at]), $whose[$at % 4], $names[$at]) }
	is(presented($server, 'x.n7.test'), $whose[498 % 4], 'one label before n7.test');
	is(presented($server, 'n7-.test'), $whose[499 % 4], 'n7-.test');
	is(presented($server, $_), 'localhost', "$_: the default") for 'n0.test', 'n499.test', 'n7.tes', 'a', 'z', 'n7-';
	$server->stop;
};

subtest 'addresses are no names' => sub {
	my $server = sslserver({ env => { named('a.test' => $is{'a.test'}) } }, [], @show);
	is(presented($server, '127.0.0.1'), 'localhost', 'IPv4');
	is(presented($server, '::1'), 'localhost', 'IPv6');
	$server->stop;
};

subtest 'an RSA and an EC key side by side' => sub {
	my $both = temporary('both');
	for my $ending ('pem', 'key') { spew("$both.$ending", join "text between\n", map { slurp(file("$_.$ending")) } 'server-rsa', 'via-p256', $ending eq 'pem' ? 'intermediate' : ()) }
	spew("$both-one-file.pem", slurp("$both.key") . slurp("$both.pem"));
	my $kind = sub {
		my ($server, @arguments) = @_;
		my $result = s_client({ in => '' }, $server->{port}, '-servername', 'name.test', @arguments);
		return 'alert ' . ($result->{err} =~ /alert number (\d+)/ ? $1 : $result->{err}) unless $result->{out} =~ /^<name\.test>$/m;
		my ($certificate) = $result->{out} =~ /(-----BEGIN.*?-----END[^\n]*\n)/s;
		return run({ in => $certificate }, 'openssl', 'x509', '-noout', '-text')->{out} =~ /Public Key Algorithm: rsa/ ? 'RSA' : 'EC';
	};
	for my $case (['two files', { CERTFILE => "$both.pem", KEYFILE => "$both.key" }], ['one file', { CERTFILE => "$both-one-file.pem", KEYFILE => '' }],
		['by name', { %{ pair('self-signed') }, 'CERTFILE:name.test' => "$both.pem", 'KEYFILE:name.test' => "$both.key" }]) {
		my ($words, $env) = @$case;
		my $server = sslserver({ env => $env }, [], @show);
		is($kind->($server, '-tls1_2', '-cipher', 'ECDHE-RSA-AES128-GCM-SHA256'), 'RSA', "$words: a client that can only do RSA");
		is($kind->($server, '-tls1_2', '-cipher', 'ECDHE-ECDSA-AES128-GCM-SHA256'), 'EC', 'one that can only do EC');
		is($kind->($server, '-tls1_2', '-sigalgs', 'RSA+SHA256'), 'RSA', 'by the signatures that it takes: RSA');
		is($kind->($server, '-tls1_2', '-sigalgs', 'ECDSA+SHA256'), 'EC', 'EC');
		like($kind->($server, '-tls1_2'), qr/^(RSA|EC)$/, 'either');
		if (newest() eq 'TLSv1.3') {
			is($kind->($server, '-sigalgs', 'rsa_pss_rsae_sha256:RSA+SHA256', '-tls1_3'), 'RSA', 'TLS 1.3: RSA');
			is($kind->($server, '-sigalgs', 'ECDSA+SHA256:RSA+SHA256', '-tls1_3'), 'EC', 'TLS 1.3: EC');
		}
		$server->stop;
	}
	# Clients, too, and prog is told which one it was.
	for my $case (['RSA+SHA256', 'rsaEncryption', '-tls1_2'], ['ECDSA+SHA256', 'id-ecPublicKey', '-tls1_2'],
		newest() eq 'TLSv1.3' ? (['rsa_pss_rsae_sha256', 'rsaEncryption', '-tls1_3'], ['ECDSA+SHA256:RSA+SHA256', 'id-ecPublicKey', '-tls1_3']) : ()) {
		my $server = s_server({ answers => 1 }, '-Verify', '3', '-CAfile', file('root.pem'), $case->[2], '-client_sigalgs', $case->[0], '-rev');
		my $result = sslclient({ env => { CERTFILE => "$both.pem", KEYFILE => "$both.key" } }, ['-sRH', 'localhost'], $server->{port}, 'sh', '-c', 'echo "$SSL_CLIENT_A_KEY"; echo x >&7; read line <&6; echo "$line"');
		is($result->{out}, "$case->[1]\nx\n", "clients: $case->[0]") or diag $result->{err}, $server->log;
		$server->stop;
	}
	for my $case ([spew("$both-twice.key", slurp(file('server-p256.key')) . slurp(file('server-p384.key'))), "two EC keys in $both-twice.key: one of a kind can be used"],
		[spew("$both-other.key", slurp(file('server-p256.key')) . slurp(file('root.key'))), "key $both-other.key does not belong to a certificate in @{[file('via-p256-chain.pem')]}"]) {
		my $result = run({ env => { CERTFILE => file('via-p256-chain.pem'), KEYFILE => $case->[0] } }, command(io_program('tlsd-io')), '-C', '0', '1');
		is($result->{exit}, 96, 'exit 96');
		is($result->{err}, "tlsd-io: fatal: $case->[1]\n", 'in words');
	}
};

subtest 'levels' => sub {
	my %env = named('a.test' => $is{'a.test'});
	for my $case (['TLS_SNI=0', { TLS_SNI => 0 }, [], 'localhost', 'localhost', 'localhost'], ['TLS_SNI=1', { TLS_SNI => 1 }, [], 'a.test', 'localhost', 'localhost'],
		['TLS_SNI=2', { TLS_SNI => 2 }, [], 'a.test', 'alert 112', 'alert 112'], ['-k 0', { TLS_SNI => 2 }, ['-k', 0], 'localhost', 'localhost', 'localhost'],
		['-k 1', {}, ['-k', 1], 'a.test', 'localhost', 'localhost'], ['-k 2', { TLS_SNI => 0 }, ['-k2'], 'a.test', 'alert 112', 'alert 112']) {
		my ($words, $more, $letters, @expected) = @$case;
		my $server = serve({ env => { %{ pair('server-rsa') }, %env, %$more } }, command('tcpserver'), '-1v', '127.0.0.1', '0', command('tlsd'), @$letters, @show);
		is(presented($server, 'a.test'), $expected[0], "$words: a name that is there");
		is(presented($server, 'c.test'), $expected[1], 'one that is not');
		is(presented($server, undef), $expected[2], 'none');
		if ($expected[1] eq 'alert 112') {
			my $pattern = qr/^tlsd-io: error: unable to speak TLS from: 127\.0\.0\.1 for pid: \d+: no certificate for (.*)$/m;
			ok($server->wait_for_log(qr/no certificate for c\.test\n/), 'said by name');
			ok($server->wait_for_log(qr/no certificate for a client that names no server\n/), 'and without');
			ok($server->wait_for_log(qr/end \d+ status 25088\n/), 'exit code 98');
			like($server->log, $pattern, 'one line');
		}
		$server->stop;
	}
	# Strict: no default is needed.
	my $server = serve({ env => { CERTFILE => undef, KEYFILE => undef, %env, TLS_SNI => 2 } }, command('sslserver'), '-1v', '127.0.0.1', '0', @show);
	is(presented($server, 'a.test'), 'a.test', 'strict, without CERTFILE');
	$server->stop;
};

subtest 'a folder of names' => sub {
	my $folder = temporary('names');
	mkdir $folder or die "$folder: $!";
	chmod 0755, $folder;
	sub put { my ($from, $to) = @_; copy($from, $to) or die "$to: $!"; chmod 0644, $to }
	put("$is{'a.test'}.pem", "$folder/a.test.pem");
	put("$is{'a.test'}.key", "$folder/a.test.key");
	spew("$folder/*.b.test.pem", slurp("$is{'*.b.test'}.pem") . slurp("$is{'*.b.test'}.key"));
	spew("$folder/broken.test.pem", "nothing\n");
	put("$is{'d.test'}.pem", "$folder/secret.test.pem");
	put("$is{'d.test'}.key", "$folder/secret.test.key");
	chmod 0600, "$folder/secret.test.key";
	put("$is{'d.test'}.pem", "$folder/other.test.pem");
	put("$is{'a.test'}.key", "$folder/other.test.key");
	mkdir "$folder/folder.test.pem";
	POSIX::mkfifo("$folder/fifo.test.pem", 0644);
	my $long = join '.', ('a' x 62) x 4;    # 251: with .pem more than a file can be called
	my $server = sslserver({ env => { TLS_SNIDIR => $folder, named('d.test' => $is{'d.test'}) } }, [], @show);
	is(presented($server, $_->[0]), $_->[1], "$_->[0]: $_->[1]") for ['a.test', 'a.test'], ['y.b.test', '*.b.test'], ['d.test', 'd.test'], ['c.test', 'localhost'], [$long, 'localhost'],
		['broken.test', 'alert 80'], ['folder.test', 'alert 80'], ['fifo.test', 'alert 80'], ['other.test', 'alert 80'], ['a.test.pem', 'localhost'], ['..', 'alert 47'];
	my $log = $server->log;
	like($log, qr/: TLS_SNIDIR: unable to read certificate from \Q$_->[0]\E\.pem: \Q$_->[1]\E\n/, "said of $_->[0]") for ['broken.test', 'no certificate in it'],
		['folder.test', 'not a regular file'], ['fifo.test', 'not a regular file'];
	like($log, qr/: TLS_SNIDIR: key other\.test\.key does not belong to a certificate in other\.test\.pem\n/, 'and of the wrong key');
	# A certificate that is put there later is there for the next client.
	put("$is{'d.test'}.pem", "$folder/late.test.pem");
	put("$is{'d.test'}.key", "$folder/late.test.key");
	is(presented($server, 'late.test'), 'd.test', 'new names need no restart');
	$server->stop;

	SKIP: {
		skip 'not root', 5 unless $> == 0;
		# The folder is read with the rights that are left: what only root may read is not served.
		$server = sslserver({ env => { TLS_SNIDIR => $folder, SSL_UID => 64322 } }, [], @show);
		is(presented($server, 'a.test'), 'a.test', 'as another user');
		is(presented($server, 'secret.test'), 'alert 80', 'a key that only root may read');
		ok($server->wait_for_log(qr/TLS_SNIDIR: (unable to read key from secret\.test\.key: Permission denied)\n/), 'which is said');
		$server->stop;
		# And it is the one that was opened, whatever the root directory has become.
		my $jail = temporary('jail');
		mkdir $jail, 0755;
		$server = sslserver({ env => { TLS_SNIDIR => $folder, SSL_UID => 64322, SSL_CHROOT => $jail } }, [], @show);
		is(presented($server, 'y.b.test'), '*.b.test', 'in a jail without it');
		$server->stop;
	}
};

subtest 'clients: TLS_SNI' => sub {
	my $server = sslserver({ env => { named('a.test' => $is{'a.test'}), TLS_SNI => 1 } }, [], @show);
	for my $case (['as it is', {}, '<localhost>'], ['another name', { TLS_SNI => 'Example.TEST' }, '<example.test>'], ['none', { TLS_SNI => 0 }, '<unset>'], ['empty', { TLS_SNI => '' }, '<localhost>']) {
		my ($words, $env, $out) = @$case;
		my $result = sslclient({ env => $env }, ['-RH', 'localhost'], $server->{port}, 'sh', '-c', 'cat <&6');
		is($result->{out}, "$out\n", $words) or diag $result->{err};
	}
	my $result = sslclient({ env => { TLS_SNI => 'a.test' } }, ['-RH', 'localhost'], $server->{port}, 'sh', '-c', 'cat <&6');
	is($result->{out}, '', 'the certificate has to be for the host, whatever was sent');
	is($result->{exit}, 98, 'exit 98');
	$result = sslclient({ env => { TLS_SNI => 'a.test', TLS_PEERNAME => 'a.test', CAFILE => "$is{'a.test'}.pem" } }, ['-RH', 'localhost'], $server->{port}, 'sh', '-c', 'cat <&6');
	is($result->{out}, "<a.test>\n", 'unless another one was asked for');
	$server->stop;
};

subtest 'descriptors and keys' => sub {
	plan skip_all => 'no /proc' unless -d '/proc/self/fd';
	my $folder = temporary('names');
	# The pid that the connection has is that of the io program, whose descriptors only root may look at.
	my $server = sslserver({ env => { named(%is), TLS_SNIDIR => $folder } }, [], 'sh', '-c',
		'echo $(readlink /proc/$$/fd/* | grep -c bear-) $(env | grep -c -e ^CERTFILE -e ^KEYFILE -e ^TLS_) $(readlink /proc/$PPID/fd/* | grep -c bear-.*/names)');
	my $out = run('openssl', 's_client', '-connect', "127.0.0.1:$server->{port}", '-quiet', '-servername', 'a.test')->{out};
	# Descriptor 2 of prog is the log of the test, in a folder of that name.
	like($out, qr/^1 0 0$/, 'prog has neither the folder nor a key nor the variables, and the io program does not keep the folder');
	$server->stop;
};

done_testing;
