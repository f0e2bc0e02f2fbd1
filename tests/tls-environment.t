#!/usr/bin/perl
# What prog starts with behind each of the TLS programs: descriptors, parent, variables, signals; and how it ends for those who wait for it.
use strict;
use warnings;
use Digest::SHA;
use FindBin;
use lib "$FindBin::Bin/lib";
use Bear;
use BearTls;
use Math::BigInt;
use POSIX ();
use Test::More;
use Time::Local qw(timegm);

my $root = file('root.pem');
my $show_descriptors = 'for (0..63) { my $l = readlink "/proc/self/fd/$_"; print "$_ $l\n" if defined $l }';
my $pass_5 = sub { my $null = POSIX::open('/dev/null', &POSIX::O_RDONLY); if ($null != 5) { POSIX::dup2($null, 5); POSIX::close($null) } };

# Everything that prog says behind a server.
sub said_to { my ($server) = @_; return s_client({}, $server->{port}, '-quiet', '-servername', 'localhost')->{out} }

# Variables of a connection out of NUL-separated "NAME=value".
sub variables { return { map { /\A([^=]*)=(.*)\z/s ? ($1 => $2) : () } grep { /\A(PROTO=|SSL|TCP|TLS_)/ } split /\0/, $_[0] } }

# ---- descriptors and processes ----

my $inside = $show_descriptors . ' print "parent ", getppid, "\n"; <STDIN>;';

# A server's connection while it is held open: { pid of the io program => its descriptors }, and what prog saw.
sub held {
	my ($server, $log) = @_;
	my $fifo = temporary("go$server->{pid}");
	POSIX::mkfifo($fifo, 0600) or die "$fifo: $!";
	my $client = start({ before => sub { open STDIN, '+<', $fifo or die } }, 'openssl', 's_client', '-connect', "127.0.0.1:$server->{port}", '-quiet');
	my $pid = $server->wait_for_log($log);
	wait_until(sub { slurp($client->{out}) =~ /^parent \d+$/m }, 10);
	my $io = { pid => $pid, exe => readlink "/proc/$pid/exe", said => slurp($client->{out}),
		fds => { map { m{/(\d+)$} ? ($1 => readlink $_) : () } glob "/proc/$pid/fd/*" }, command => [split /\0/, slurp("/proc/$pid/cmdline")] };
	open my $end, '>', $fifo or die;
	print $end "\n";
	close $end;
	$client->wait_for_end(5);
	return $io;
}

sub io_of_server {
	my ($io) = @_;
	like($io->{said}, qr/^parent $io->{pid}$/m, 'its parent has the pid of the log');
	SKIP: {
		skip 'not root: io programs cannot be looked into', 3 unless $> == 0;
		is($io->{exe}, command(io_program('tlsd-io')), 'which is tlsd-io');
		my @operands = @{ $io->{command} }[-2, -1];
		is(join(' ', sort { $a <=> $b } keys %{ $io->{fds} }), join(' ', 0, 1, 2, sort { $a <=> $b } @operands), 'with 0, 1, 2 and its operands, and nothing else');
		like("$io->{fds}{0} $io->{fds}{1} $io->{fds}{$operands[0]} $io->{fds}{$operands[1]}", qr/\A(socket:\[\d+\]) \1 (pipe:\[\d+\]) (?!\2)pipe:\[\d+\]\z/, 'the connection and two pipes');
	}
}

subtest 'descriptors and processes: sslserver' => sub {
	my $server = sslserver({}, [], 'perl', '-e', "\$| = 1; $inside");
	my $io = held($server, qr/^sslserver: ok (\d+) /m);
	like($io->{said}, qr{\A0 pipe:\[(\d+)\]\n1 pipe:\[(?!\1)\d+\]\n2 \S+\.err\nparent \d+\n\z}, 'prog has 0, 1 and 2 only');
	io_of_server($io);
	is($server->wait_for_log(qr/^sslserver: ended by (\d+) status 0$/m), $io->{pid}, 'one pid for all of the connection');
	$server->stop;

	$server = sslserver({ before => $pass_5 }, [], 'perl', '-e', "\$| = 1; $inside");
	$io = held($server, qr/^sslserver: ok (\d+) /m);
	like($io->{said}, qr{\A0 pipe:\S+\n1 pipe:\S+\n2 \S+\n5 /dev/null\nparent}, 'and one that was passed on purpose');
	io_of_server($io);
};

subtest 'descriptors and processes: tlsd' => sub {
	for my $passed (0, 1) {
		my $server = serve({ env => pair('server-rsa'), $passed ? (before => $pass_5) : () }, command('tcpserver'), '-1v', '127.0.0.1', '0', command('tlsd'),
			'perl', '-e', "\$| = 1; $inside");
		my $io = held($server, qr/^tcpserver: ok (\d+) /m);
		like($io->{said}, $passed ? qr{\A0 pipe:\S+\n1 pipe:\S+\n2 \S+\n5 /dev/null\nparent} : qr{\A0 pipe:\S+\n1 pipe:\S+\n2 \S+\nparent}, 'prog has what it should' . ($passed ? ', with one on purpose' : ''));
		io_of_server($io);
		is($server->wait_for_log(qr/^tcpserver: end (\d+) status 0$/m), $io->{pid}, 'one pid for all of the connection');
	}
};

subtest 'descriptors and processes: clients' => sub {
	my $server = s_server({ answers => 1 }, '-rev');
	my @prog = ('perl', '-e', "\$| = 1; $inside");
	my %chains = (
		sslclient => [command('sslclient'), '-v', 'localhost', $server->{port}],
		tlsc => [command('tcpclient'), '127.0.0.1', $server->{port}, command('tlsc'), '-k', 'localhost'],
	);
	for my $name (sort keys %chains) {
		for my $passed (0, 1) {
			my $fifo = temporary("client-$name-$passed");
			POSIX::mkfifo($fifo, 0600) or die "$fifo: $!";
			my $client = start({ env => { CAFILE => $root }, before => sub { open STDIN, '+<', $fifo or die; $pass_5->() if $passed } }, @{ $chains{$name} }, @prog);
			ok(wait_until(sub { slurp($client->{out}) =~ /^parent \d+$/m }, 10), "$name runs") or diag($client->log);
			my $five = $passed ? '5 /dev/null\n' : '';
			like(slurp($client->{out}), qr{\A0 \Q$fifo\E\n1 \S+\.out\n2 \S+\.err\n${five}6 pipe:\[(\d+)\]\n7 pipe:\[(?!\1)\d+\]\nparent $client->{pid}\n\z},
				'prog keeps 0, 1, 2, has 6 and 7' . ($passed ? ', and one on purpose' : '') . '; its parent is the process that was started');
			SKIP: {
				skip 'not root: io programs cannot be looked into', 3 unless $> == 0;
				is(readlink "/proc/$client->{pid}/exe", command(io_program('tlsc-io')), 'which is tlsc-io');
				my %fds = map { m{/(\d+)$} ? ($1 => readlink $_) : () } glob "/proc/$client->{pid}/fd/*";
				is(join(' ', sort { $a <=> $b } keys %fds), '0 1 2 6 7', 'with 0, 1, 2, 6 and 7');
				like("@fds{6, 7, 0, 1}", qr/\A(socket:\[\d+\]) \1 (pipe:\[\d+\]) (?!\2)pipe:\[\d+\]\z/, 'the connection and two pipes');
			}
			open my $end, '>', $fifo or die;
			print $end "\n";
			close $end;
			is($client->wait_for_end(5)->{exit}, 0, 'exit 0');
		}
	}
};

# ---- variables ----

# What io programs read, leftovers of other connections and programs, and bystanders.
my %read = (DHFILE => '/nonexistent', TLS_CLOSE => 'notify', TLS_RESET => 1, TLS_LINGER => 9, TLS_TIMEOUT => 9, TLS_REPORT => 'short', TLS_VERIFY => 'name', VERIFYDEPTH => 3,
	TLS_SNI => '', 'CERTFILE:example.test' => '/nonexistent', 'KEYFILE:example.test' => '/nonexistent', TLS_PEERNAME => 'localhost', CADIR => '',
	CERTCHAINFILE => '', TLS_SNIDIR => '', CIPHERS => '', TLS_MINVERSION => 'TLSv1.2', TLS_MAXVERSION => 'TLSv1.3',
	TLS_MINRSA => 1024, TLS_CNFALLBACK => 0, CRLFILE => '', CRLDIR => '', TLS_CRLPOLICY => 'warn');
my %leftover = (SSLCTLFD => 9, SSLREADFD => 9, SSLWRITEFD => 9, UCSPITLS => 'Y', SSL_CLIENT_S_DN => 'old', SSL_CLIENT_S_DN_CN => 'old', SSL_CLIENT_S_DN_OU_1 => 'old',
	SSL_CLIENT_I_DN_Email => 'old', SSL_CLIENT_CERT => 'old', SSL_CLIENT_CERT_CHAIN_0 => 'old', SSL_CLIENT_SAN_DNS_0 => 'old', SSL_SERVER_SAN_IP_3 => 'old',
	SSL_SERVER_M_SERIAL => 'old', SSL_CLIENT_VERIFY => 'SUCCESS', SSL_CLIENT_SAN_OTHER_msUPN_0 => 'old', SSL_CLIENT_S_DN_SerialNumber => 'old', SSL_SECURE_RENEG => 'true', SSL_TLS_SNI => 'old',
	SSL_SESSION_RESUMED => 'Resumed', SSL_CIPHER_EXPORT => 'old', SSL_COMPRESS_METHOD => 'old', SSL_CLIENT_V_REMAIN => 9, SSL_CLIENT_CERT_SHA256 => 'old',
	SSL_CLIENT_CERT_RFC4523_CEA => 'old', SSL_SERVER_SAN_OTHER_dnsSRV_0 => 'old', SSL_REPORT_LEFT_OUT => 9, SSL_PROTOCOL => 'old', SSL_CIPHER => 'old', SSL_SESSION_ID => 'old', SSL_PEER_CERT_HASH => 'old',
	SSL_PEER_CERT_SUBJECT => 'old', SSL_TLS_SNI_SERVERNAME => 'old', SSL_ALPN => 'old', SSL_VERSION_LIBRARY => 'old');
my %bystander = (SSL_CERT_FILE => '/some/file', SSL_CERT_DIR => '/some/dir', SSL_CLIENT_S_DN_XYZ => 'kept', SSLKEYLOGFILE => '', TLS_UNKNOWN => 'kept', SSL_SERVER => 'kept');
my %foreign = (%read, %leftover, %bystander);
my @environment = ('perl', '-e', 'print map { "$_=$ENV{$_}\0" } keys %ENV');
my $number = qr/\A\d+\z/;
my $cipher = qr/\A@{[suite(newest(), 'RSA|ECDSA')]}\z/;

# Compares names first, then values; a value may be a pattern.
sub variables_are {
	my ($seen, $expected, $name) = @_;
	is(join("\n", sort keys %$seen), join("\n", sort keys %$expected), "$name: exactly these variables");
	for my $variable (sort keys %$expected) {
		my $value = $expected->{$variable};
		if   (ref $value) { like($seen->{$variable}, $value, "$name: $variable") }
		else              { is($seen->{$variable}, $value, "$name: $variable") }
	}
}

my %of_connection = (SSLLOCALHOST => 'localhost', SSLREMOTEHOST => 'localhost', SSLLOCALIP => '127.0.0.1', SSLLOCALPORT => $number, SSLREMOTEIP => '127.0.0.1', SSLREMOTEPORT => $number);
my %of_tcp = (TCPLOCALHOST => 'localhost', TCPREMOTEHOST => 'localhost', TCPLOCALIP => '127.0.0.1', TCPLOCALPORT => $number, TCPREMOTEIP => '127.0.0.1', TCPREMOTEPORT => $number);
# What is the same for every connection, whatever engine.
my %constant = (SSL_SESSION_RESUMED => 'Initial', SSL_COMPRESS_METHOD => 'NULL', SSL_CIPHER_EXPORT => 'false');
my %of_tls = (SSL_PROTOCOL => newest(), SSL_CIPHER => $cipher);

sub seconds_of {
	my ($time) = @_;
	my ($month, $day, $clock, $year) = $time =~ /\A(\w+) +(\d+) ([\d:]+) (\d+) GMT\z/;
	my $number = index('JanFebMarAprMayJunJulAugSepOctNovDec', $month) / 3;
	return timegm(reverse(split /:/, $clock), $day, $number, $year);
}

# What openssl x509 says of a certificate, as the variables of mod_ssl. Certificates with more to them: variables.t.
sub certificate_variables {
	my ($path) = @_;
	my $x509 = sub { my $text = openssl('x509', '-in', $path, '-noout', @_); chomp $text; $text =~ s/^\w+=//; return $text };
	my %dn = map { my $which = $_; ($which => [$x509->("-$which", '-nameopt', 'RFC2253')]) } 'subject', 'issuer';
	my $serial = $x509->('-serial');
	my %seen = (
		V_REMAIN => days_left(seconds_of($x509->('-enddate'))), CERT_SHA256 => lc $x509->('-fingerprint', '-sha256') =~ s/.*=|://gr,
		CERT_RFC4523_CEA => '{ serialNumber ' . Math::BigInt->from_hex($serial) . ", issuer rdnSequence:\"$dn{issuer}[0]\" }",
		M_VERSION => 3, M_SERIAL => $serial, S_DN => $dn{subject}[0], I_DN => $dn{issuer}[0], V_START => $x509->('-startdate'), V_END => $x509->('-enddate'),
		CERT => openssl('x509', '-in', $path),
	);
	for my $which (['S', 'subject'], ['I', 'issuer']) {
		for my $part (split /,/, $dn{ $which->[1] }[0]) {
			my ($type, $value) = split /=/, $part;
			$seen{"$which->[0]_DN_$type"} = $value;
		}
	}
	my $text = openssl('x509', '-in', $path, '-noout', '-text');
	($seen{A_SIG}) = $text =~ /Signature Algorithm: (\S+)/;
	($seen{A_KEY}) = $text =~ /Public Key Algorithm: (\S+)/;
	my %count = (DNS => 0, IP => 0);
	while ($text =~ /(DNS|IP Address):([^,\s]+)/g) {
		my ($kind, $value) = ($1 eq 'DNS' ? 'DNS' : 'IP', $2);
		$value = '::1' if $value eq '0:0:0:0:0:0:0:1';
		$seen{"SAN_${kind}_" . $count{$kind}++} = $value;
	}
	return map { ("SSL_SERVER_$_" => $seen{$_}) } keys %seen;
}

subtest 'variables: sslserver' => sub {
	# SSL_SESSION_ID appears if the engine gave one.
	my %full = (%of_tls, %constant, SSL_TLS_SNI_SERVERNAME => 'localhost', SSL_TLS_SNI => 'localhost', SSL_CIPHER_USEKEYSIZE => qr/\A(128|256)\z/, SSL_CIPHER_ALGKEYSIZE => qr/\A(128|256)\z/,
		SSL_VERSION_INTERFACE => qr{\Aucspi-bear/\S+\z}, SSL_VERSION_LIBRARY => qr{\A[A-Z][A-Za-z]+/\d[\d.]*\z}, SSL_CLIENT_VERIFY => 'NONE');
	for my $pair ('server-rsa', 'server-p384') {
		my %certificate = certificate_variables(file("$pair.pem"));
		my @cases = (
			['plain', [], { PROTO => 'SSL', %of_connection, %of_tls, SSL_TLS_SNI_SERVERNAME => 'localhost' }],
			['-E -S', ['-eE', '-sS'], { PROTO => 'SSL', %of_connection, %of_tls, SSL_TLS_SNI_SERVERNAME => 'localhost' }],
			['-e', ['-e'], { PROTO => 'TCP', %of_connection, %of_tcp, %full, %certificate }],
			['-s', ['-s'], { PROTO => 'SSL', %of_connection, %full, %certificate }],
			['-s -e', ['-se'], { PROTO => 'TCP', %of_connection, %of_tcp, %full, %certificate }],
			['-l', ['-lmy.name'], { PROTO => 'SSL', %of_connection, SSLLOCALHOST => 'my.name', %of_tls, SSL_TLS_SNI_SERVERNAME => 'localhost' }],
		);
		for my $case (@cases) {
			my ($name, $letters, $expected) = @$case;
			my $server = sslserver({ pair => $pair, env => { %foreign, TCPREMOTEHOST => 'old', SSLREMOTEHOST => 'old', SSLREMOTEINFO => 'old', SSLLOCALHOST => 'old' } }, $letters, @environment);
			my $seen = variables(said_to($server));
			my $session = delete $seen->{SSL_SESSION_ID};
			like($session // 'none', newest() eq 'TLSv1.2' ? qr/\A([0-9a-f]{2}){1,32}\z/ : qr/\Anone\z/, "$name: SSL_SESSION_ID") if $expected->{SSL_SESSION_RESUMED};
			my %kept = map { $_ => $foreign{$_} } grep { /\A(SSL|TCP|TLS_)/ } keys %bystander;
			delete $seen->{TCPREMOTEHOST} unless $letters->[0] && $letters->[0] =~ /e/;    # not ours to remove without -e
			variables_are($seen, { %$expected, %kept }, "$pair, $name");
			$server->stop;
		}
	}
	my $server = sslserver({ env => \%foreign }, [], 'env');
	my $result = said_to($server);
	unlike($result, qr/^(CERT|KEY|CA|DH|VERIFYDEPTH|CIPHERS|UCSPI)/m, 'files and settings are not for prog');
	$server->stop;

	$server = serve({ env => pair('server-rsa') }, command('sslserver'), '-1e', '::1', '0', @environment);
	my $seen = variables(s_client({}, $server->{port}, '-connect', "[::1]:$server->{port}", '-quiet', '-noservername')->{out});
	is($seen->{PROTO}, 'TCP6', 'IPv6 with -e: PROTO');
	is($seen->{"${_}REMOTEIP"}, '::1', "IPv6 with -e: ${_}REMOTEIP") for 'SSL', 'TCP', 'TCP6';
	is($seen->{SSL_TLS_SNI_SERVERNAME}, undef, 'no server name, no variable');
};

subtest 'variables: tlsd' => sub {
	for my $keep (0, 1) {
		my $server = serve({ env => pair('server-rsa', %foreign) }, command('tcpserver'), '-1', '127.0.0.1', '0', command('tlsd'), $keep ? '-Z' : '-z', @environment);
		my %all = map { /\A([^=]*(?:=[^=]*\.test)?)=(.*)\z/s ? ($1 => $2) : () } split /\0/, said_to($server);
		is($all{PROTO}, 'TCP', 'PROTO is that of tcpserver');
		is($all{SSL_PROTOCOL}, newest(), 'the report is there');
		is($all{SSL_PEER_CERT_HASH}, undef, 'what the report says is unset, is');
		is($all{SSL_TLS_SNI_SERVERNAME}, 'localhost', 'the name of this connection');
		is($all{$_}, $bystander{$_}, "$_ stays") for sort keys %bystander;
		my @names = ('CERTFILE', 'KEYFILE', sort(keys %read), 'SSL_CLIENT_S_DN', 'SSL_CLIENT_CERT_CHAIN_0', 'UCSPITLS', 'SSLCTLFD', 'TLS_ENGINE');
		is(join(' ', grep { exists $all{$_} } @names), $keep ? "@names" : '', $keep ? '-Z keeps all' : 'and all that is read or left over is gone');
		$server->stop;
	}
};

subtest 'variables: clients' => sub {
	my $server = sslserver({ pair => 'via-p256', env => { CERTFILE => file('via-p256-chain.pem') } }, [], 'true');
	my $hash = 'SHA256:' . Digest::SHA::sha256_hex(slurp_der(file('via-p256.pem')));
	my %peer = (%of_tls, SSL_PEER_CERT_HASH => $hash, SSL_PEER_CERT_SUBJECT => qr/localhost/, SSL_TLS_SNI_SERVERNAME => 'localhost');
	my ($ssl_names, $tcp_names) = map { { "${_}LOCALHOST" => 'localhost', "${_}REMOTEHOST" => 'localhost' } } 'SSL', 'TCP';
	my %kept = map { $_ => $foreign{$_} } grep { /\A(SSL|TCP|TLS_)/ } keys %bystander;
	my %certificate = certificate_variables(file('via-p256.pem'));
	my %full = (SSL_CIPHER_USEKEYSIZE => qr/\A(128|256)\z/, SSL_CIPHER_ALGKEYSIZE => qr/\A(128|256)\z/, SSL_VERSION_INTERFACE => qr{\Aucspi-bear/}, SSL_VERSION_LIBRARY => qr{\A[A-Z][A-Za-z]+/\d[\d.]*\z}, SSL_TLS_SNI => 'localhost', %constant,
		SSL_SERVER_CERT_CHAIN_0 => openssl('x509', '-in', file('intermediate.pem')));
	for my $case (['sslclient', [], { PROTO => 'SSL', %peer }], ['sslclient -s', ['-s'], { PROTO => 'SSL', %peer, %full, %certificate }], ['sslclient -e', ['-e'], { PROTO => 'TCP', %of_tcp, %$tcp_names, %peer, %full, %certificate }]) {
		my ($name, $letters, $expected) = @$case;
		my $seen = variables(sslclient({ env => \%foreign }, ['-4', @$letters, 'localhost'], $server->{port}, @environment)->{out});
		delete $seen->{SSL_SESSION_ID} if @$letters;
		variables_are($seen, { %of_connection, %$ssl_names, %$expected, %kept }, $name);
	}
	my $result = run({ env => { CAFILE => $root, %foreign } }, command('tcpclient'), '127.0.0.1', $server->{port}, command('tlsc'), @environment);
	variables_are(variables($result->{out}), { PROTO => 'TCP', %of_tcp, %$tcp_names, %peer, %kept }, 'tlsc');
	$result = run({ env => { CAFILE => $root, %foreign } }, command('tcpclient'), '127.0.0.1', $server->{port}, command('tlsc'), '-Z', @environment);
	my $seen = variables($result->{out});
	is($seen->{TLS_PEERNAME}, 'localhost', 'tlsc -Z keeps what was read');
	is($seen->{SSL_PEER_CERT_HASH}, $hash, 'tlsc -Z: the report counts');
};

sub slurp_der { return openssl('x509', '-in', $_[0], '-outform', 'DER') }

# ---- signals and ends ----

subtest 'signals' => sub {
	my $hostile = sub {
		$SIG{$_} = 'IGNORE' for qw(CHLD TERM PIPE HUP);
		POSIX::sigprocmask(&POSIX::SIG_BLOCK, POSIX::SigSet->new(&POSIX::SIGCHLD, &POSIX::SIGTERM, &POSIX::SIGHUP, &POSIX::SIGUSR2));
	};
	my @show = ('grep', '^Sig[BI]', '/proc/self/status');
	my $clean = "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n";
	my $server = sslserver({ before => sub { $hostile->(); $SIG{CHLD} = 'DEFAULT' } }, [], @show);
	is(said_to($server), $clean, 'sslserver: default and unblocked');
	is($server->stop->{exit}, 0, 'SIGTERM ends it');
	$server = sslserver({ before => $hostile }, [], @show);
	ok(defined $server->{port}, 'sslserver starts with SIGCHLD ignored, too');
	SKIP: {
		skip 'it did not', 2 unless $server->{port};
		is(said_to($server), $clean, 'sslserver: default and unblocked');
		is($server->stop->{exit}, 0, 'SIGTERM ends it');
	}
	$server = sslserver({}, [], @show);
	my $result = sslclient({ before => $hostile }, ['localhost'], $server->{port}, @show);
	is($result->{out}, $clean, 'sslclient');
	$result = run({ before => $hostile, env => { CAFILE => $root } }, command('tcpclient'), '127.0.0.1', $server->{port}, command('tlsc'), '-k', 'localhost', @show);
	is($result->{out}, $clean, 'tlsc');
	$server = serve({ before => sub { exec 'sh', '-c', 'trap "" TERM PIPE HUP; exec "$@"', 'sh', command('tcpserver'), '-1', '127.0.0.1', '0', 'sh', '-c',
			'trap "" TERM PIPE HUP; exec "$@"', 'sh', command('tlsd'), @show }, env => pair('server-rsa') }, 'true');
	is(said_to($server), $clean, 'tlsd');
};

subtest 'exit codes' => sub {
	my $peer = s_server({ answers => 1 }, '-rev');
	my %ends = ('exit 0' => 0, 'exit 7' => 7, 'exit 255' => 255, 'kill -TERM $$' => 128 + 15, 'kill -KILL $$' => 128 + 9, 'kill -PIPE $$' => 128 + 13);
	for my $how (sort keys %ends) {
		is(sslclient({}, ['localhost'], $peer->{port}, 'sh', '-c', $how)->{exit}, $ends{$how}, "sslclient: $how");
		my $result = run({ env => { CAFILE => $root } }, command('tcpclient'), '127.0.0.1', $peer->{port}, command('tlsc'), '-k', 'localhost', 'sh', '-c', $how);
		is($result->{exit}, $ends{$how}, "tlsc: $how");
	}
	my $result = sslclient({}, ['localhost'], $peer->{port}, '/nonexistent/program');
	is($result->{exit}, 111, 'sslclient: a program that is not there: 111');
	is($result->{err}, "sslclient: fatal: unable to run /nonexistent/program: No such file or directory\n", 'in words');
	$result = run({ env => { CAFILE => $root } }, command('tcpclient'), '127.0.0.1', $peer->{port}, command('tlsc'), '-k', 'localhost', '/nonexistent/program');
	is($result->{exit}, 111, 'tlsc: a program that is not there: 111');
	is($result->{err}, "tlsc: fatal: unable to run /nonexistent/program: No such file or directory\n", 'in words');
	$peer->stop;

	for my $case (['exit 3', 3 << 8], ['kill -TERM $$', 143 << 8]) {
		my $server = sslserver({}, [], 'sh', '-c', $case->[0]);
		said_to($server);
		is(connection($server)->{status}, $case->[1], "sslserver: $case->[0] is status $case->[1]");
		$server->stop;
	}
	my $server = sslserver({}, [], '/nonexistent/program');
	is(said_to($server), '', 'sslserver: a program that is not there: the connection ends');
	is(connection($server)->{status}, 111 << 8, 'with 111');
	like($server->log, qr{^sslserver: fatal: unable to run /nonexistent/program: No such file or directory$}m, 'in words');
};

subtest 'nothing is left over' => sub {
	my ($set_subreaper) = map { /x86_64/ ? 157 : /aarch64|riscv64/ ? 167 : undef } (POSIX::uname())[4];
	plan skip_all => 'no way known to see orphans here' unless $^O eq 'linux' && $set_subreaper;
	# Whatever outlives the process that was started becomes a child of this one.
	my $watch = 'syscall(shift, 36, 1, 0, 0, 0) == 0 or die; my $pid = fork; if (!$pid) { exec @ARGV; die } waitpid $pid, 0; my $code = $? >> 8; my $n = 0;'
		. ' $n++ while wait > 0; print "exit $code, $n left\n"';
	my @watch = ('perl', '-e', $watch, $set_subreaper);
	my $two = sub { POSIX::dup2(0, 6); POSIX::dup2(0, 7) };
	is(run({ env => { CERTFILE => '/nonexistent' } }, @watch, command('tlsd'), 'true')->{out}, "exit 96, 0 left\n", 'tlsd with a bad configuration');
	is(run({ env => pair('server-rsa') }, @watch, command('tlsd'), 'true')->{out}, "exit 98, 0 left\n", 'tlsd without a handshake');
	is(run({ before => $two, env => { CAFILE => '/nonexistent' } }, @watch, command('tlsc'), '-k', 'localhost', 'true')->{out}, "exit 96, 0 left\n", 'tlsc with a bad configuration');
	is(run({ before => $two, env => { CAFILE => $root } }, @watch, command('tlsc'), '-k', 'localhost', 'true')->{out}, "exit 98, 0 left\n", 'tlsc without a handshake');
	my $server = sslserver({}, [], 'echo', 'here');
	my $result = run({ env => { CAFILE => $root } }, @watch, command('sslclient'), 'localhost', $server->{port}, 'sh', '-c', 'cat <&6; exit 3');
	is($result->{out}, "here\nexit 3, 0 left\n", 'sslclient with a program that ran');
	$result = run({ env => { CAFILE => $root, VERIFYDEPTH => 'x' } }, @watch, command('sslclient'), 'localhost', $server->{port}, 'true');
	is($result->{out}, "exit 96, 0 left\n", 'sslclient with a bad configuration');
};

subtest 'signals to the io program' => sub {
	for my $signal ('TERM', 'HUP', 'INT') {
		my $folder = temporary("signal-$signal");
		mkdir $folder;
		chmod 0777, $folder;
		# As one user, so that the io program may.
		my @prog = ('perl', '-e', '$| = 1; my ($signal, $marker) = @ARGV; $SIG{$signal} = sub { print "goodbye\n"; open my $m, ">", $marker; exit 5 };'
			. ' print "ready\n"; sleep 1 while 1', $signal, "$folder/marker");
		my $server = sslserver({}, $> == 0 ? ['-u', '64321'] : [], @prog);
		my $client = start('openssl', 's_client', '-connect', "127.0.0.1:$server->{port}", '-quiet', '-ign_eof');
		ok(wait_until(sub { slurp($client->{out}) =~ /ready/ }, 5), "SIG$signal: prog runs");
		my $pid = $server->wait_for_log(qr/^sslserver: ok (\d+) /m);
		kill $signal, $pid;
		my $end = connection($server);
		is($end->{status}, 5 << 8, 'reaches prog, whose exit code is that of the connection');
		ok(-e "$folder/marker", 'it saw the signal');
		$client->wait_for_end(5);
		is(slurp($client->{out}), "ready\ngoodbye\n", 'and its last words reached the client');
		$server->stop;
	}
	my $peer = s_server({ answers => 1 }, '-rev');
	my $ids = $> == 0 ? { SSL_UID => 0 } : {};
	my $client = start({ env => { CAFILE => $root, %$ids } }, command('sslclient'), 'localhost', $peer->{port}, 'sh', '-c', 'trap "exit 6" TERM; echo ready; while :; do sleep 0.1; done');
	ok(wait_until(sub { slurp($client->{out}) =~ /ready/ }, 5), 'sslclient: prog runs') or diag($client->log);
	kill 'TERM', $client->{pid};
	is($client->wait_for_end(5)->{exit}, 6, 'SIGTERM to it reaches prog, whose exit code it has');
};

done_testing;
