#!/usr/bin/perl
# The letters of the TLS family (tlsd, tlsc, ucspitlsd, ucspitlsc, tlsd-io, tlsc-io) and the variables that configure them: what is accepted, what is refused
# with which exit code and words.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Bear;
use BearTls;
use POSIX ();
use Test::More;

my %operands = (tlsd => ['true'], tlsc => ['true'], ucspitlsd => ['true'], ucspitlsc => ['true'], 'tlsd-io' => ['0', '1'], 'tlsc-io' => ['0', '1']);
my %usage_end = (tlsd => 'prog', tlsc => 'prog', ucspitlsd => 'prog', ucspitlsc => 'prog', 'tlsd-io' => 'fdr fdw', 'tlsc-io' => 'fdr fdw');

# A connection on 6 and 7 for tlsc, which wants to see one before all else. Whoever reads there finds an end.
my $six = sub { POSIX::dup2(0, 6); POSIX::dup2(0, 7) };

sub refused {
	my ($program, $words, @arguments) = @_;
	my $result = run({ before => $six, env => pair('server-rsa', CAFILE => file('root.pem')) }, command(io_program($program)), @arguments);
	is($result->{exit}, 100, "$program @arguments: exit 100");
	my $says = defined $words ? "$program: fatal: $words\n" : '';
	like($result->{err}, qr/\A\Q$says\E$program: usage: $program \[ -.* \Q$usage_end{$program}\E\n\z/, 'in words');
	is($result->{out}, '', 'and nothing else');
}

for my $program (sort keys %operands) {
	my @rest = @{ $operands{$program} };
	my $server = $program =~ /tlsd/;
	my $io = $program =~ /-io\z/;

	subtest "$program: letters that are refused" => sub {
		refused($program, "option -$_ is unknown", "-$_", @rest) for grep { !($io && /[dpc]/) } 'a' .. 'b', 'e' .. 'i', 'l' .. 'o', 'q', 'r', 't' .. 'u', 'w', 'x',
			grep({ !($io && $_ eq 'C') } 'A' .. 'I', 'L' .. 'R'), 'U', 'V', 'W', 'X', 0 .. 2, 4 .. 9;
		refused($program, 'option -a is unknown', '-Sa', @rest);
		refused($program, 'option -? is unknown', "-\e", @rest);
		if (!$server) {
			refused($program, 'option -T is the connect rule of the clients: set TLS_TIMEOUT to the seconds', @$_, @rest) for ['-T', '5'], ['-T5'];
		}
		if ($io) {
			refused($program, 'option -c needs -d and -p', @$_, @rest) for ['-c', '1'], ['-c1', '-d', '1'], ['-c', '1', '-p', '1'];
			refused($program, 'a descriptor that was named is not open', '-c', '9', '-d', '1', '-p', '1', @rest);
			refused($program, "option -$_ is of tlsd and tlsc", "-$_", @rest) for 'z', 'Z';
		} else {
			refused($program, "option -$_ is unknown", "-$_", '9', @rest) for 'c', 'd', 'p', 'C';
		}
	};

	subtest "$program: numbers" => sub {
		my @numbers = (['v', 'verbosity', 0, 9], ['K', 'milliseconds', 0, 2147483000]);
		push @numbers, ['T', 'seconds', 1, 1000000], ['k', 'levels', 0, 2] if $server;
		for my $number (@numbers) {
			my ($letter, $unit, $least, $most) = @$number;
			my $needs = "option -$letter needs a number of $unit from $least to $most, not";
			refused($program, "$needs $_", "-$letter", $_, @rest) for 'x', '-1', '1x', ' 1', '0x1', '1.5', $most + 1, '99999999999999999999', $least ? '0' : ();
			refused($program, "$needs nothing", "-$letter", '', @rest);
		}
		refused($program, "option -$_->[0] needs an argument", "-$_->[0]") for @numbers;
		refused($program, 'option -k needs an argument', '-k') unless $server;
		if ($io) {
			refused($program, "option -$_ needs an argument", "-$_") for 'd', 'p', 'c';
			refused($program, "option -$_: x: not a number", "-$_", 'x', @rest) for 'd', 'p', 'c';
			refused($program, "option -p: $_: not a number", '-p', $_, @rest) for '0', '-1', '2147483648';
			refused($program, "descriptor: $_: not a number", $_, '1') for 'x', '1x', '99999999999';
			refused($program, "descriptor: $_: not a number", '0', $_) for 'x', '';
			refused($program, 'descriptor: -1: not a number', '--', '-1', '1');
		}
	};

	subtest "$program: operands" => sub {
		if ($io) {
			refused($program, 'needs two descriptors to work on', @$_) for [], ['0'], ['-C'], ['-S', '--', '0'], ['0', '1', '2'];
		} else {
			refused($program, undef, @$_) for [], ['-S'], ['--'], ['-SjzK', '5', '-v2', '--'];
		}
	};
}

subtest 'descriptors that are not open' => sub {
	for my $closed ([6, 7], [6], [7]) {
		my $result = run({ env => { CAFILE => file('root.pem') }, before => sub { $six->(); POSIX::close($_) for @$closed } }, command('tlsc'), '-k', 'localhost', 'echo', 'started');
		is($result->{exit}, 100, "tlsc without @$closed: exit 100");
		like($result->{err}, qr/\Atlsc: fatal: descriptors 6 and 7 must be a connection, as tcpclient makes one\ntlsc: usage: /, 'in words');
		is($result->{out}, '', 'the program never starts');
	}
	for my $case (['tlsd-io', 8, 9], ['tlsd-io', 0, 9], ['tlsd-io', 9, 1], ['tlsc-io', '-k', 'localhost', 8, 9], ['tlsc-io', '-k', 'localhost', 0, 9]) {
		my ($program, @arguments) = @$case;
		my $result = run({ in => '', env => pair('server-rsa', CAFILE => file('root.pem')) }, command(io_program($program)), @arguments);
		like($result->{exit}, qr/\A(98|100|111)\z/, "$program @arguments: does not pass for a connection");
		ok(!$result->{timed_out}, 'and ends');
		like($result->{err}, qr/\A$program: (error|fatal): .+\n/, 'in words');
	}
	my $result = run({ env => pair('server-rsa'), before => sub { POSIX::close($_) for 0, 1, 2 } }, command('tlsd'), 'sh', '-c', 'echo started >' . temporary('started'));
	is($result->{exit}, 98, 'tlsd without 0, 1 and 2: exit 98');
	ok(!-e temporary('started'), 'the program never starts');
};

subtest 'letters that work' => sub {
	my $server = serve({ env => pair('server-rsa') }, command('tcpserver'), '-1', '127.0.0.1', '0',
		command('tlsd'), '-sSJjzZz', '-v0', '-K', '0', '-v', '2', '-K5000', '-T', '5', '--', 'echo', '-S', '-x', '--');
	is(s_client({}, $server->{port}, '-quiet')->{out}, "-S -x --\n", 'tlsd: all of them, and the options of prog are its own');
	my $result = run({ env => { CAFILE => file('root.pem') } }, command('tcpclient'), '127.0.0.1', $server->{port},
		command('tlsc'), '-SsJjZz', '-v9', '-K2000', '-k', 'other.test', '-klocalhost', 'sh', '-c', 'cat <&6; echo "$@"', 'sh', '-v', '-z');
	is($result->{exit}, 0, 'tlsc: all of them') or diag($result->{err});
	is($result->{out}, "-S -x --\n-v -z\n", 'and the options of prog are its own');
	$server->stop;

	# As one user, so that the io program may end prog.
	my @ids = $> == 0 ? ('-u', '64321') : ();
	for my $idle (['-K', '300'], ['-v2', '-K300']) {
		$server = serve({ env => pair('server-rsa') }, command('tcpserver'), '-1v', @ids, '127.0.0.1', '0', command('tlsd'), @$idle, 'sh', '-c', 'echo ready; trap "exit 4" TERM; while :; do sleep 0.1; done');
		my $client = start('openssl', 's_client', '-connect', "127.0.0.1:$server->{port}", '-quiet', '-ign_eof');
		ok($server->wait_for_log(qr/^(tlsd-io: info: ended connection with: 127\.0\.0\.1 for pid: \d+: idle for 300 ms)$/m), '-K ends an idle connection, in words');
		is($server->wait_for_log(qr/^tcpserver: end \d+ status (\d+)$/m), 4 << 8, 'prog gets SIGTERM, and it is no error');
		$server->stop;
	}
};

subtest 'client certificates' => sub {
	my %root = (CAFILE => file('root.pem'));
	my $no_ca = 'no CA to trust: set CAFILE or CADIR';
	for my $letter ('-y', '-Y') {
		my $result = run({ env => pair('server-rsa') }, command('tlsd'), $letter, 'echo', 'started');
		is($result->{exit}, 96, "tlsd $letter without CAs: exit 96");
		is($result->{err}, "tlsd-io: fatal: $no_ca\n", 'in words');
		is($result->{out}, '', 'the program never starts');
	}
	my $result = run({ before => $six, env => { %root, TLS_PEERNAME => 'localhost' } }, command('tlsc'), '-y', 'echo', 'started');
	is($result->{exit}, 96, 'tlsc -y without a certificate: exit 96');
	is($result->{err}, "tlsc-io: fatal: no certificate: set CERTFILE or CERTCHAINFILE\n", 'in words');

	my $server = serve({ env => pair('server-rsa', %root) }, command('tcpserver'), '-1v', '127.0.0.1', '0', command('tlsd'), '-y', 'sh', '-c', 'echo "$SSL_PEER_CERT_SUBJECT"');
	my $call = sub {
		my ($env, @letters) = @_;
		return run({ env => { %root, %$env } }, command('tcpclient'), '127.0.0.1', $server->{port}, command('tlsc'), @letters, '-k', 'localhost', 'sh', '-c', 'cat <&6');
	};
	like($call->(pair('client'), '-y')->{out}, qr/Test Client/, 'tlsd -y, tlsc -y');
	like($call->(pair('client'))->{out}, qr/Test Client/, 'tlsd -y, tlsc with a certificate in its environment');
	like(s_client({}, $server->{port}, '-quiet', '-cert', file('client.pem'), '-key', file('client.key'))->{out}, qr/Test Client/, 'tlsd -y, openssl s_client with a certificate');
	for my $case (['tlsc -Y', pair('client'), '-Y'], ['tlsc without one', {}], ['tlsc with one of another CA', pair('unknown')]) {
		my ($name, @how) = @$case;
		$result = $call->(@how);
		is($result->{exit}, 98, "tlsd -y, $name: exit 98");
		is($result->{out}, '', 'the program never starts');
	}
	$server->stop;
	$server = serve({ env => pair('server-rsa', %root) }, command('tcpserver'), '-1v', '127.0.0.1', '0', command('tlsd'), '-Y', 'sh', '-c', 'echo "<$SSL_PEER_CERT_SUBJECT>"');
	is($call->({})->{out}, "<>\n", 'tlsd -Y, tlsc without one');
	like($call->(pair('client'))->{out}, qr/Test Client/, 'tlsd -Y, tlsc with one');
	is($call->(pair('client'), '-Y')->{out}, "<>\n", 'tlsd -Y, tlsc -Y');
	is($call->(pair('unknown'))->{exit}, 98, 'tlsd -Y, tlsc with one of another CA: exit 98');
};

# ---- configuration ----

my $garbage = spew(temporary('garbage.pem'), "-----BEGIN CERTIFICATE-----\nMIIBgarbage\n-----END CERTIFICATE-----\n");
my $text = spew(temporary('text.pem'), "no certificate\n");
my $empty = spew(temporary('empty.pem'), '');
my $half = spew(temporary('half.pem'), substr slurp(file('server-rsa.pem')), 0, 600);
my $secret = temporary('encrypted.key');
openssl('pkey', '-in', file('server-p256.key'), '-aes128', '-passout', 'pass:secret', '-out', $secret);
my $ed25519 = temporary('ed25519.key');
openssl('genpkey', '-algorithm', 'ED25519', '-out', $ed25519);
my $gone = '/nonexistent/file';

my @of_servers = (
	['no certificate', { CERTFILE => undef, KEYFILE => undef }, 'no certificate: set CERTFILE or CERTCHAINFILE'],
	['an empty CERTFILE', { CERTFILE => '' }, 'no certificate: set CERTFILE or CERTCHAINFILE'],
	['a certificate that is not there', { CERTFILE => $gone }, "unable to read certificate from $gone: No such file or directory"],
	['a chain that is not there', { CERTCHAINFILE => $gone }, "unable to read certificate from $gone: No such file or directory"],
	['a folder', { CERTFILE => '/' }, qr{unable to read certificate from /: \S.+}],
	['a garbage certificate', { CERTFILE => $garbage }, qr/unable to read certificate from \Q$garbage\E: \S.+/],
	['half a certificate', { CERTFILE => $half }, qr/unable to read certificate from \Q$half\E: \S.+/],
	['a text', { CERTFILE => $text }, qr/unable to read certificate from \Q$text\E: \S.+/],
	['an empty file', { CERTFILE => $empty }, qr/unable to read certificate from \Q$empty\E: \S.+/],
	['a key that is not there', { KEYFILE => $gone }, "unable to read key from $gone: No such file or directory"],
	['no key in the certificate file', { KEYFILE => '' }, qr/unable to read key from \Q@{[file('server-rsa.pem')]}\E: \S.+/],
	['a certificate for a key', { KEYFILE => file('root.pem') }, qr/unable to read key from \S+root.pem: \S.+/],
	['an encrypted key', { KEYFILE => $secret }, qr/unable to read key from \Q$secret\E: .*encrypted.*/],
	['a key of an unknown kind', { KEYFILE => $ed25519 }, qr/(unable to read key from|key) \Q$ed25519\E.*/],
	['the key of another RSA certificate', { KEYFILE => file('root.key') }, "key @{[file('root.key')]} does not belong to a certificate in @{[file('server-rsa.pem')]}"],
	['the key of another EC certificate', { CERTFILE => file('server-p256.pem'), KEYFILE => file('expired.key') }, "key @{[file('expired.key')]} does not belong to a certificate in @{[file('server-p256.pem')]}"],
	['TLS_SNI', { TLS_SNI => '3' }, 'TLS_SNI: 3: value not understood'],
	['TLS_SNI without names', { TLS_SNI => '2' }, 'no certificate by name: set CERTFILE:name and KEYFILE:name, or TLS_SNIDIR'],
	['a folder of names that is not there', { TLS_SNIDIR => $gone }, "TLS_SNIDIR: unable to open $gone: No such file or directory"],
	(map { ["a name that is none: $_", { "CERTFILE:$_" => file('server-p256.pem') }, "CERTFILE:$_: not a host name"] }
		'', '*', '*.', '.org', 'a..org', 'a.org.', 'a b', '127.0.0.1', '::1', 'a/b', '*.*.org', 'x*.org', 'a' x 64, join('.', ('a' x 50) x 5)),
	['a name twice', { 'CERTFILE:a.org' => file('server-p256.pem'), 'KEYFILE:a.org' => file('server-p256.key'), 'CERTFILE:A.ORG' => file('server-p256.pem') }, 'CERTFILE:a.org: given twice'],
	['a key twice', { 'CERTFILE:a.org' => file('server-p256.pem'), 'KEYFILE:a.org' => file('server-p256.key'), 'KEYFILE:A.org' => file('server-p256.key') }, 'KEYFILE:a.org: given twice'],
	['a key without its certificate', { 'KEYFILE:a.org' => file('server-p256.key') }, 'KEYFILE:a.org: there is no CERTFILE:a.org beside it'],
	['a key of a name that is not there', { 'CERTFILE:a.org' => file('server-p256.pem'), 'KEYFILE:A.org' => $gone }, "unable to read key from $gone: No such file or directory"],
	['a name without a key', { 'CERTFILE:a.org' => file('server-p256.pem') }, "unable to read key from @{[file('server-p256.pem')]}: no private key in it"],
	['CIPHERS for other keys', { CIPHERS => 'ECDHE-ECDSA-AES128-GCM-SHA256', TLS_MAXVERSION => 'TLSv1.2' }, 'CIPHERS: ECDHE-ECDSA-AES128-GCM-SHA256: leaves no cipher suite for an RSA key'],
	['CIPHERS for other keys, by name', { CIPHERS => 'ECDHE-RSA-AES128-GCM-SHA256', TLS_MAXVERSION => 'TLSv1.2', 'CERTFILE:a.org' => file('server-p256.pem'), 'KEYFILE:a.org' => file('server-p256.key') },
		'CIPHERS: ECDHE-RSA-AES128-GCM-SHA256: leaves no cipher suite for an EC key'],
	['CCAVERIFY without CAs', { CCAVERIFY => 'report', CAFILE => undef }, 'no CA to trust: set CAFILE or CADIR'],
	['no check of those who are asked', { CCAVERIFY => 'require', TLS_VERIFY => 'none' }, 'TLS_VERIFY: none: a server checks the chain of a client certificate, or TLS_PIN'],
	['a client name that is none', { CCAVERIFY => 'require', TLS_VERIFY => 'name', TLS_PEERNAME => 'a b', CCAFILE => file('root.pem') }, 'client name a b: neither a host name nor an address'],
	['an EC key for an RSA certificate', { KEYFILE => file('server-p256.key') }, "key @{[file('server-p256.key')]} does not belong to a certificate in @{[file('server-rsa.pem')]}"],
);
my @of_clients = (
	['no name to check', { TLS_PEERNAME => undef }, 'no name to check: give the server\'s name, or set TLS_PEERNAME or TLS_VERIFY=chain'],
	['an empty name', { TLS_PEERNAME => '' }, 'no name to check: give the server\'s name, or set TLS_PEERNAME or TLS_VERIFY=chain'],
	['no name at all', { TLS_PEERNAME => 'a b' }, 'server name a b: neither a host name nor an address'],
	['CAs that are not there', { CAFILE => $gone }, "unable to read CAs from $gone: No such file or directory"],
	['a folder of CAs that is not there', { CADIR => $gone }, "unable to read CAs from $gone: No such file or directory"],
	['no CAs', { CAFILE => '' }, 'no CA to trust: set CAFILE or CADIR'],
	['garbage for CAs', { CAFILE => $text }, qr/(unable to read CAs from \Q$text\E: \S.+|no CA to trust: .*)/],
	['TLS_VERIFY', { TLS_VERIFY => 'nonsense' }, 'TLS_VERIFY: nonsense: value not understood'],
	['an empty TLS_VERIFY', { TLS_VERIFY => '' }, 'TLS_VERIFY: : value not understood'],
	(map { ['a name to send that is none', { TLS_SNI => $_ }, "TLS_SNI: $_: not a host name"] } 'a b', '127.0.0.1', '*.org'),
	['VERIFYDEPTH', { VERIFYDEPTH => 'x' }, qr/VERIFYDEPTH: x: not a number from 0 to \d+/],
	(map { ['TLS_MINRSA', { TLS_MINRSA => $_ }, "TLS_MINRSA: $_: not a number from 1024 to 4096"] } '1023', '4097', 'x', ''),
	['TLS_CRLPOLICY', { TLS_CRLPOLICY => 'always' }, 'TLS_CRLPOLICY: always: value not understood'],
	['TLS_CNFALLBACK', { TLS_CNFALLBACK => 'yes' }, 'TLS_CNFALLBACK: yes: value not understood'],
	['TLS_TIME', { TLS_TIME => $> == 0 ? 1 : 'x' }, $> == 0 ? 'TLS_TIME: for tests only, and not as root' : qr/TLS_TIME: x: not a number from 0 to \d+/],
);
my @of_both = (
	['TLS_CLOSE', { TLS_CLOSE => 'nonsense' }, 'TLS_CLOSE: nonsense: value not understood'],
	(map { ['TLS_RESET', { TLS_RESET => $_ }, "TLS_RESET: $_: value not understood"] } '2', 'yes', '01', ' '),
	['TLS_REPORT', { TLS_REPORT => 'long' }, 'TLS_REPORT: long: value not understood'],
	(map { ['TLS_TIMEOUT', { TLS_TIMEOUT => $_ }, "TLS_TIMEOUT: $_: not a number from 1 to 1000000"] } 'x', '', '0', '-1', '1000001', '99999999999999999999'),
	['TLS_LINGER', { TLS_LINGER => '5s' }, 'TLS_LINGER: 5s: not a number from 1 to 1000000'],
	['TLS_ALPN', { TLS_ALPN => "h2,b\xe9" }, "TLS_ALPN: b\xe9: not the name of a protocol"],
	['a long name in TLS_ALPN', { TLS_ALPN => 'x' x 256 }, 'TLS_ALPN: ' . 'x' x 256 . ': not the name of a protocol'],
	['many in TLS_ALPN', { TLS_ALPN => join ',', 1 .. 17 }, 'TLS_ALPN: more than 16 protocols'],
	['CIPHERS', { CIPHERS => 'x' }, 'CIPHERS: x: no cipher suite or group of that name'],
	engine() eq 'bearssl' ? ['TLS_MINVERSION', { TLS_MINVERSION => 'TLSv1.3' }, 'TLS_MINVERSION: TLSv1.3: the engine bearssl does not speak it']
		: ['TLS_MINVERSION', { TLS_MINVERSION => 'TLSv1.3', TLS_MAXVERSION => 'TLSv1.2' }, 'TLS_MINVERSION is above TLS_MAXVERSION'],
	['TLS_MAXVERSION', { TLS_MAXVERSION => 'TLSv1.1' }, 'TLS_MAXVERSION: TLSv1.1: value not understood'],
	['SSL_USER without SSL_UID', { SSL_USER => 'nobody' }, 'unable to use SSL_USER: names are looked up by sslserver and sslclient only: set SSL_UID and SSL_GID'],
	['TLS_UID', { TLS_UID => 'x' }, 'unable to use TLS_UID: not a number'],
	['a chroot that is not there', { SSL_CHROOT => $gone }, $> == 0 ? "unable to chroot to $gone: No such file or directory" : 'unable to use SSL_CHROOT: only root can change its root directory'],
);

sub configuration_refused {
	my ($case, $result, $program) = @_;
	my ($name, $env, $words) = @$case;
	my $pattern = ref $words ? $words : qr/\Q$words\E/;
	is($result->{exit}, 96, "$name: exit 96");
	like($result->{err}, qr/\A$program: fatal: $pattern\n\z/, 'in words');
	is($result->{out}, '', 'the program never starts');
}

my %good = (CAFILE => file('root.pem'), TLS_PEERNAME => 'localhost');

subtest 'configuration of servers' => sub {
	for my $case (@of_servers, @of_both) {
		my %env = (%{ pair('server-rsa') }, %{ $case->[1] });
		configuration_refused($case, run({ env => \%env }, command(io_program('tlsd-io')), '-C', '0', '1'), 'tlsd-io');
		my ($name) = @$case;
		next unless $name =~ /\A(a key that is not there|TLS_CLOSE|no certificate|the key of another EC)/;
		configuration_refused(["tlsd: $name", @$case[1, 2]], run({ env => \%env }, command('tlsd'), 'echo', 'started'), 'tlsd-io') unless $name =~ /another EC/;
		configuration_refused(["sslserver: $name", @$case[1, 2]], run({ env => \%env }, command('sslserver'), '-1', '127.0.0.1', '0', 'echo', 'started'), 'tlsd-io');
	}
	# As somebody who may not read the key.
	SKIP: {
		skip 'not root', 5 unless $> == 0;
		my $key = spew(temporary('private.key'), slurp(file('server-rsa.key')));
		chmod 0600, $key;
		my $env = pair('server-rsa', KEYFILE => $key);
		my $result = run({ env => $env }, command('sslserver'), '-1', '-u', '64321', '127.0.0.1', '0', 'echo', 'started');
		configuration_refused(['a key of root with -u', {}, "key $key: not readable by uid 64321 (-u); set SSL_UID to have it opened as root"], $result, 'tlsd-io');
		my $server = serve({ env => { %$env, SSL_UID => 64322 } }, command('sslserver'), '-1', '-u', '64321', '127.0.0.1', '0', 'id', '-u');
		is(s_client({}, $server->{port}, '-quiet')->{out}, "64321\n", 'which does as it says');
		$server->stop;
		$result = run({ env => $env, before => sub { POSIX::setuid(64321) } }, command(io_program('tlsd-io')), '-C', '0', '1');
		configuration_refused(['a key of root', {}, "unable to read key from $key: Permission denied"], $result, 'tlsd-io');
	}
};

subtest 'configuration of clients' => sub {
	for my $case (@of_clients, @of_both) {
		my %env = (%good, %{ $case->[1] });
		configuration_refused($case, run({ env => \%env }, command(io_program('tlsc-io')), '-C', '0', '1'), 'tlsc-io');
		my ($name) = @$case;
		next unless $name =~ /\A(no name to check|TLS_VERIFY|CAs that are not there|TLS_CLOSE)/;
		my $server = serve(command('tcpserver'), '-1', '127.0.0.1', '0', 'cat');
		my $result = run({ env => \%env }, command('tcpclient'), '127.0.0.1', $server->{port}, command('tlsc'), 'echo', 'started');
		configuration_refused(["tlsc: $name", @$case[1, 2]], $result, 'tlsc-io');
		$server->stop;
	}
	for my $level ('chain', 'none') {
		my $result = run({ env => { %good, TLS_PEERNAME => undef, TLS_VERIFY => $level } }, command(io_program('tlsc-io')), '-C', '0', '1');
		is($result->{exit}, 0, "TLS_VERIFY=$level needs no name");
	}
	is(run({ env => { CAFILE => $gone, TLS_VERIFY => 'none' } }, command(io_program('tlsc-io')), '-C', '0', '1')->{exit}, 0, 'TLS_VERIFY=none needs no CAs');
	is(run({ env => \%good }, command(io_program('tlsc-io')), '-C', '-k', '::1', '0', '1')->{exit}, 0, 'an address is a name');
};

subtest '-C' => sub {
	for my $pair ('server-rsa', 'server-p256', 'server-p384') {
		my $result = run({ env => pair($pair) }, command(io_program('tlsd-io')), '-C', '0', '1');
		is($result->{exit}, 0, "tlsd-io -C, $pair: exit 0");
		is($result->{err} . $result->{out}, '', 'without a word');
	}
	my $result = run({ in => "GET / HTTP/1.0\r\n\r\n", env => pair('server-rsa') }, command(io_program('tlsd-io')), '-C', '0', '1');
	is($result->{exit}, 0, 'nothing is read');
};

subtest 'engines' => sub {
	for my $engine ('x', '', '../bearssl', 'bearssl2') {
		my %calls = (tlsd => ['echo', 'started'], tlsc => ['-k', 'localhost', 'echo', 'started'], sslserver => ['-1', '127.0.0.1', '0', 'echo', 'started']);
		for my $program (sort keys %calls) {
			my $result = run({ before => $six, env => pair('server-rsa', %good, TLS_ENGINE => $engine) }, command($program), @{ $calls{$program} });
			is($result->{exit}, 96, "$program, TLS_ENGINE=$engine: exit 96");
			is($result->{err}, "$program: fatal: unable to use TLS_ENGINE $engine: there is no such engine\n", 'in words');
			is($result->{out}, '', 'the program never starts');
		}
	}
	my $server = serve(command('tcpserver'), '-1', '127.0.0.1', '0', 'cat');
	my $result = sslclient({ env => { TLS_ENGINE => 'x' } }, ['localhost'], $server->{port}, 'echo', 'started');
	is($result->{exit}, 96, 'sslclient: exit 96');
	is($result->{err}, "sslclient: fatal: unable to use TLS_ENGINE x: there is no such engine\n", 'in words');
	SKIP: {
		skip 'the engine is there', 2 if -e command('tlsd-io-openssl');
		$result = run({ env => pair('server-rsa', TLS_ENGINE => 'openssl') }, command('tlsd'), 'echo', 'started');
		is($result->{exit}, 96, 'an engine that is not installed: exit 96');
		is($result->{err}, "tlsd: fatal: unable to find tlsd-io-openssl: not installed\n", 'in words');
	}
};

# An io program of another make stands beside a copy of ours.
subtest 'sslserver: a check that cannot be done' => sub {
	my $folder = temporary('made');
	mkdir $folder;
	spew("$folder/sslserver", slurp(command('sslserver')));
	chmod 0755, "$folder/sslserver";
	my $io = "$folder/@{[io_program('tlsd-io')]}";
	for my $case (['killed', "#!/bin/sh\nkill -9 \$\$\n", "check the configuration with $io: it was ended by signal 9"],
		['without its interpreter', "#!/nonexistent/sh\n", "run $io: No such file or directory"]) {
		my ($name, $script, $words) = @$case;
		spew($io, $script);
		chmod 0755, $io;
		my $result = run({ env => pair('server-rsa') }, "$folder/sslserver", '-1', '127.0.0.1', '0', 'true');
		is($result->{exit}, 111, "$name: exit 111");
		is($result->{err}, "sslserver: fatal: unable to $words\n", 'in words');
	}
	return if $>;
	chmod 0700, $io;
	my $result = run({ env => pair('server-rsa') }, "$folder/sslserver", '-1', '-u', '65534', '127.0.0.1', '0', 'true');
	is($result->{exit}, 111, 'not for the uid of -u: exit 111');
	is($result->{err}, "sslserver: fatal: unable to run $io: Permission denied\n", 'in words');
};

done_testing;
