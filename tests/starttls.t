#!/usr/bin/perl
# starttlsd, starttlsc and regreet: programs that know nothing of TLS behind each protocol that has a STARTTLS, against openssl s_client
# and curl, against each other, and against peers that say what they must not.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Bear;
use BearTls;
use IO::Socket::IP;
use Test::More;
use Time::HiRes qw(sleep time);

$SIG{PIPE} = 'IGNORE';

# ---- a program that knows nothing of TLS ----

# Greets, tells what it hears, ends at QUIT, LOGOUT and at the end of its input.
my $prog = spew(temporary('prog'), <<'END');
#!/usr/bin/perl
use strict;
$| = 1;
my ($greeting, $mark) = @ARGV;
$greeting =~ s/;/\r\n/g;
print "$greeting\r\n" if length $greeting;
my $ours = join ',', map { defined $ENV{$_} ? $_ : () } qw(SSLCTLFD SSLREADFD SSLWRITEFD UCSPITLS);
while (<STDIN>) {
	s/\r?\n\z//;
	if (/ENV/) { print "$mark tls=", $ENV{SSL_PROTOCOL} || 'none', ' fds=', fds(), " left=$ours\r\n" }
	elsif (/QUIT|LOGOUT/) { print "$mark bye\r\n"; exit 0 }
	else { print "$mark heard $_\r\n" }
}
print "$mark end\r\n";
sub fds {
	opendir my $folder, '/proc/self/fd' or return 'unknown';
	return join ',', sort grep { (readlink("/proc/self/fd/$_") || '') =~ m{^(?!/proc/)} } grep { /^\d/ && $_ < 64 } readdir $folder;    # what is above the test was started with
}
END
chmod 0755, $prog;

# protocol: greeting of prog, how its answers begin, the protocol's own name with openssl, and a session in clear up to STARTTLS
my %protocols = (
	smtp  => { greeting => '220-prog;220 prog', mark => 250, openssl => 'smtp', ask => "EHLO me\r\nSTARTTLS\r\n", swallowed => 1 },
	lmtp  => { greeting => '220 prog', mark => 250, openssl => 'lmtp', ask => "LHLO me\r\nSTARTTLS\r\n", swallowed => 1 },
	pop3  => { greeting => '+OK prog', mark => '+OK', openssl => 'pop3', ask => "STLS\r\n", swallowed => 1 },
	imap  => { greeting => '* OK prog', mark => '* OK', openssl => 'imap', ask => "x.1 STARTTLS\r\n", swallowed => 1 },
	nntp  => { greeting => '200 prog', mark => 200, openssl => 'nntp', ask => "STARTTLS\r\n", swallowed => 1 },
	sieve => { greeting => '"STARTTLS";OK "prog"', mark => 'OK', openssl => 'sieve', ask => "STARTTLS\r\n" },
	pgsql => { greeting => '', mark => 'R', openssl => 'postgres', ask => pack('NN', 8, 80877103) },
	cifs  => { greeting => '', mark => 'R', ask => "\x81\0\0\0" },
);
my @all = sort keys %protocols;

sub behind {
	my ($protocol, $letters, @more) = @_;
	my $p = $protocols{$protocol};
	return sslserver({ pair => 'server-p256' }, ['-n'], command('starttlsd'), '-n', 'mx.example', @$letters, $protocol,
		@more ? @more : ($prog, $p->{greeting}, $p->{mark}));
}

# What a client that sends these bytes gets, until the server closes or time is up.
sub said {
	my ($server, $text, $seconds) = @_;
	my $socket = connect_to($server->{port}) or return 'no connection';
	syswrite $socket, $text;
	return read_all($socket, $seconds || 10);
}

my %required = map { $_ => behind($_, []) } @all;

subtest 'usage' => sub {
	my $none = { SSLCTLFD => undef };
	my $result = run({ env => $none }, command('starttlsd'), 'smtp', 'true');
	is($result->{exit}, 100, 'starttlsd without SSLCTLFD');
	like($result->{err}, qr/SSLCTLFD is not set: run it by sslserver -n or ucspitlsd/, '... says what to do');
	$result = run({ env => $none }, command('starttlsd'), 'gopher', 'true');
	is($result->{exit}, 100, 'unknown protocol');
	like($result->{err}, qr/known: smtp, lmtp, pop3, imap, sieve, nntp, pgsql, cifs/, '... and the known ones');
	$result = run({ env => $none }, command('starttlsc'), 'gopher', 'true');
	is($result->{exit}, 100, 'starttlsc likewise');
	like($result->{err}, qr/known: smtp.*xmpp/, '... and the known ones');
	for my $protocol ('sieve', 'cifs') {
		$result = run({ env => $none }, command('starttlsd'), '-o', $protocol, 'true');
		is($result->{exit}, 100, "$protocol: TLS cannot be only offered");
	}
	$result = run({ env => $none }, command('starttlsd'), '-n', "a b", 'smtp', 'true');
	is($result->{exit}, 100, 'a name that is none');
	$result = run({ env => { SSLCTLFD => 40, SSLREADFD => 41, SSLWRITEFD => 42 } }, command('starttlsd'), 'smtp', 'true');
	like($result->{err}, qr/must be numbers of open descriptors/, 'variables of descriptors that are not there');
	$result = run({ env => $none }, command('starttlsc'), 'smtp', 'true');
	like($result->{err}, qr/descriptors 6 and 7/, 'starttlsc without a connection');
	is(run(command('regreet'), 'true')->{exit}, 100, 'regreet likewise');
	my $silent = IO::Socket::IP->new(LocalHost => '127.0.0.1', LocalPort => 0, Listen => 5);
	my @tcp = (command('tcpclient'), '127.0.0.1', $silent->sockport);
	$result = run({ env => { STARTTLS_GREETING => "a\nb" } }, @tcp, command('regreet'), 'true');
	is($result->{exit}, 100, 'a greeting that is not one line');
	$result = run({ env => { TLS_PEERNAME => undef, %$none } }, @tcp, command('starttlsc'), 'xmpp', 'true');
	like($result->{err}, qr/needs the name of the server/, 'xmpp without a name');
};

# ---- servers ----

subtest 'UCSPITLS, by rules' => sub {
	my $rules = temporary('ucspitls.cdb');
	is(run({ in => qq{127.0.0.1:allow,UCSPITLS="-"\n127.0.0.2:allow,UCSPITLS="!"\n127.0.0.3:allow,UCSPITLS="\@"\n127.0.0.4:allow,UCSPITLS="?"\n} }, command('tcprules'), $rules, "$rules.tmp")->{exit}, 0, 'rules');
	my $from = sub {
		my ($server, $ip, $text) = @_;
		my $socket = IO::Socket::IP->new(PeerHost => '127.0.0.1', PeerPort => $server->{port}, LocalHost => $ip) or return 'no connection';
		syswrite $socket, $text;
		return read_all($socket, 10);
	};
	for my $letter ('-R', '-o') {
		my $server = sslserver({ pair => 'server-p256' }, ['-n', '-x', $rules], command('starttlsd'), '-n', 'mx.example', $letter, 'smtp', $prog, '220 prog', 250);
		my $words = "EHLO me\r\nENV\r\nQUIT\r\n";
		is($from->($server, '127.0.0.1', $words), "220 prog\r\n250 heard EHLO me\r\n250 tls=none fds=0,1,2 left=\r\n250 bye\r\n", "$letter, -: prog serves in clear, and has nothing of UCSPI-TLS");
		for my $ip ('127.0.0.2', '127.0.0.3') { like($from->($server, $ip, $words), qr/\A220 mx\.example .*^250 STARTTLS\r\n530 .*^221 /ms, "$letter, $ip: TLS is required") }
		my $usual = $letter eq '-R' ? qr/^250 STARTTLS\r\n530 /m : qr/^250 STARTTLS\r\n250 tls=none /m;
		for my $ip ('127.0.0.4', '127.0.0.5') { like($from->($server, $ip, $words), $usual, "$letter, $ip: as the option says") }
	}
};

for my $protocol (@all) {
	my $p = $protocols{$protocol};
	next unless $p->{openssl};
	subtest "openssl s_client -starttls $p->{openssl}" => sub {
		my $result = s_client({ in => "ENV\r\nHELLO\r\nQUIT\r\n", timeout => 20 }, $required{$protocol}{port}, '-starttls', $p->{openssl});
		like($result->{out}, qr/Verify return code: 0/, 'handshake');
		like($result->{out}, qr/^\Q$p->{mark}\E tls=TLSv1\.\d fds=0,1,2 left=\r$/m, 'prog has the report, and nothing of UCSPI-TLS');
		like($result->{out}, qr/^\Q$p->{mark}\E heard HELLO\r$/m, 'input');
		like($result->{out}, qr/^\Q$p->{mark}\E bye\r$/m, 'prog ends the session');
		# s_client shows what it got in clear too, but not with this name in it
		if ($p->{swallowed}) { unlike($result->{out}, qr/prog/, "prog's greeting is not seen") }
		elsif ($p->{greeting}) { like($result->{out}, qr/OK "prog"/, "prog's greeting is the one after TLS") }
	};
}

subtest 'behind ucspitlsd' => sub {
	my $server = serve({ env => pair('server-p256') }, command('tcpserver'), '-1v', '127.0.0.1', '0', command('ucspitlsd'), command('starttlsd'), 'pop3',
		$prog, '+OK prog', '+OK');
	my $result = s_client({ in => "ENV\r\nQUIT\r\n", timeout => 20 }, $server->{port}, '-starttls', 'pop3');
	like($result->{out}, qr/^\+OK tls=TLSv1\.\d fds=0,1,2 left=\r$/m, 'pop3');
	like(said($server, "CAPA\r\nQUIT\r\n"), qr/\r\nSTLS\r\n\.\r\n\+OK\r\n\z/, 'in clear');
};

subtest 'TLS at once' => sub {
	for my $protocol (@all) {
		my $p = $protocols{$protocol};
		my $result = sslclient({}, ['127.0.0.1'], $required{$protocol}{port}, 'sh', '-c', 'printf "ENV\r\nQUIT\r\n" >&7; cat <&6');
		my $greeting = $p->{greeting} =~ s/;/\r\n/gr;
		is($result->{exit}, 0, $protocol);
		like($result->{out}, qr/\A\Q$greeting\E(\r\n)?\Q$p->{mark}\E tls=TLS/, '... with prog\'s greeting in its place');
	}
};

subtest 'what is answered before TLS' => sub {
	like(said($required{smtp}, "NOOP\r\nHELO me\r\nehlo\r\nehlo me\r\nMAIL FROM:<>\r\nFOO\r\nSTARTTLS now\r\nQUIT\r\nNOOP\r\n"),
		qr/\A220 mx\.example ESMTP\r\n250 [^\r]*\r\n250 mx\.example\r\n501 [^\r]*\r\n250-mx\.example\r\n250 STARTTLS\r\n530 5\.7\.0 [^\r]*\r\n530 [^\r]*\r\n501 [^\r]*\r\n221 [^\r]*\r\n\z/,
		'smtp');
	like(said($required{lmtp}, "EHLO me\r\nLHLO me\r\nQUIT\r\n"), qr/\A220 [^\r]* LMTP\r\n500 [^\r]*\r\n250-mx\.example\r\n250 STARTTLS\r\n221 /, 'lmtp');
	like(said($required{pop3}, "CAPA\r\nUSER me\r\nPASS x\r\nSTLS x\r\nQUIT\r\n"),
		qr/\A\+OK mx\.example\r\n\+OK\r\nSTLS\r\n\.\r\n-ERR [^\r]*\r\n-ERR [^\r]*\r\n-ERR [^\r]*\r\n\+OK\r\n\z/, 'pop3');
	like(said($required{imap}, "a1 CAPABILITY\r\na2 noop\r\na3 LOGIN me x\r\n+ NOOP\r\nx\r\na4 STARTTLS x\r\nA(5 NOOP\r\na6 LOGOUT\r\n"),
		qr/\A\* OK mx\.example\r\n\* CAPABILITY IMAP4rev1 STARTTLS LOGINDISABLED\r\na1 OK [^\r]*\r\na2 OK [^\r]*\r\na3 NO \[PRIVACYREQUIRED\] [^\r]*\r\n\* BAD [^\r]*\r\n\* BAD [^\r]*\r\na4 BAD [^\r]*\r\n\* BAD [^\r]*\r\n\* BYE [^\r]*\r\na6 OK [^\r]*\r\n\z/,
		'imap');
	like(said($required{imap}, "a LOGIN {4+}\r\nx STARTTLS\r\n"), qr/\A\* OK [^\r]*\r\n\* BYE [^\r]*\r\n\z/, 'imap: literals that nobody offered');
	like(said($required{nntp}, "CAPABILITIES\r\nMODE READER\r\nSTARTTLS x\r\nQUIT\r\n"),
		qr/\A201 [^\r]*\r\n101 [^\r]*\r\nVERSION 2\r\nSTARTTLS\r\n\.\r\n483 [^\r]*\r\n501 [^\r]*\r\n205 [^\r]*\r\n\z/, 'nntp');
	like(said($required{sieve}, "NOOP\r\nAUTHENTICATE \"PLAIN\"\r\nCAPABILITY\r\nLOGOUT\r\n"),
		qr/\A("[^\r]*\r\n)+OK [^\r]*\r\nOK [^\r]*\r\nNO \(ENCRYPT-NEEDED\) [^\r]*\r\n("[^\r]*\r\n)+OK [^\r]*\r\nOK [^\r]*\r\n\z/, 'sieve');
	my $startup = pack('NNZ*Z*x', 8 + 10, 196608, 'user', 'moi');
	like(said($required{pgsql}, $startup), qr/\AE...[^\0]SFATAL\0VFATAL\0C28000\0MTLS is required[^\0]*\0\0\z/s, 'pgsql: an ErrorResponse');
	my $error = said($required{pgsql}, $startup);
	is(unpack('N', substr $error, 1, 4), length($error) - 1, '... of the length that it says');
	is(said($required{pgsql}, pack('NNNN', 16, 80877102, 1, 2)), '', 'pgsql: a CancelRequest gets nothing');
	like(said($required{pgsql}, pack('NN', 8, 80877104) . $startup), qr/\ANE/, 'pgsql: GSSENCRequest, then go on');
	is(said($required{pgsql}, pack('NN', 12, 80877103)), '', 'pgsql: an SSLRequest of a wrong length');
	is(said($required{pgsql}, pack('NN', 8, 80877104) x 5), 'NNN', 'pgsql: an end to requests');
	is(said($required{cifs}, "\x82\0\0\0"), "\x83\0\0\1\x80", 'cifs: no session request');
	is(said($required{cifs}, "\x81\0\0\x{ff}"), "\x83\0\0\1\x80", 'cifs: a request that is too long');
};

my %go_ahead = (
	smtp => qr/\n220 2[^\r]*\r\n/, lmtp => qr/\n220 2[^\r]*\r\n/, pop3 => qr/\n\+OK B[^\r]*\r\n/, imap => qr/\nx\.1 OK [^\r]*\r\n/, nntp => qr/\n382 [^\r]*\r\n/,
	sieve => qr/\nOK "B[^\r]*\r\n/, pgsql => qr/\AS/, cifs => qr/\A\x83\0\0\x01\x8e/,
);

subtest 'plaintext behind STARTTLS' => sub {
	for my $case (map({ [$_] } @all), map { [$_, '-o'] } grep { !/sieve|cifs/ } @all) {
		my ($protocol, @letters) = @$case;
		my $server = behind($protocol, \@letters, 'sh', '-c', 'echo prog was reached >&2');
		my $answers = said($server, "$protocols{$protocol}{ask}QUIT injected\r\nx LOGOUT\r\n");
		my $log = $server->wait_for_log(qr/(tlsd-io: error: unable to speak TLS from[^\n]*)/);
		ok($log, "@$case: TLS fails: " . ($log || $server->log));
		ok($server->wait_for_log(qr/(end(ed by)? \d+ status)/), '... the connection ends');
		unlike($server->log, qr/prog was reached/, '... and prog never starts');
		like($answers, qr/$go_ahead{$protocol}(?:\x15\x03.\0\x02..)?\z/s, '... nor does anybody answer, but with an alert');
	}
};

subtest 'hostile clients' => sub {
	my %farewell = (smtp => qr/421 /, lmtp => qr/421 /, pop3 => qr/-ERR /, imap => qr/\* BYE /, nntp => qr/400 /, sieve => qr/BYE /);
	for my $protocol (sort keys %farewell) {
		my $server = behind($protocol, [], 'sh', '-c', 'echo prog was reached >&2');
		like(said($server, 'x' x 5000), qr/\n(?:$farewell{$protocol})[^\n]*\n\z/, "$protocol: an endless line");
		like($server->wait_for_log(qr/(starttlsd: error: [^\n]*)/), qr/$protocol: from 127\.0\.0\.1: step command: too much/, '... is logged');
		like(said($server, "t FOO\r\n" x 1000), qr/\n(?:$farewell{$protocol})[^\n]*\n\z/, '... endless commands');
		ok($server->wait_for_log(qr/(step command: too many commands)/), '... are logged');
		like(said($server, "NOOP\n"), qr/\n(?:$farewell{$protocol})[^\n]*\n\z/, '... a line that ends in LF alone');
		like(said($server, "NO\0OP\r\n"), qr/\n(?:$farewell{$protocol})[^\n]*\n\z/, '... NUL in a line');
		like(said($server, "NO\rOP\r\n"), qr/\n(?:$farewell{$protocol})[^\n]*\n\z/, '... CR in a line');
		my $socket = connect_to($server->{port});
		syswrite $socket, 'NOO';
		close $socket;
		ok($server->wait_for_log(qr/(end(?:ed by)? \d+ status 0)/), '... an early end is nothing special');
		unlike($server->log, qr/prog was reached/, '... and prog never starts');
	}
	my %silent = map { $_ => behind($_, ['-T', 1], 'sh', '-c', 'echo prog was reached >&2') } @all;
	my %socket = map { $_ => connect_to($silent{$_}{port}) } @all;
	syswrite $socket{$_}, $farewell{$_} ? 'NOO' : "\0" for @all;
	for my $protocol (@all) {
		my $last = $farewell{$protocol} ? qr/\n(?:$farewell{$protocol})[^\n]*\n/ : qr/\A/;
		like(read_all($socket{$protocol}), qr/$last\z/, "$protocol: silence");
		ok($silent{$protocol}->wait_for_log(qr/(starttlsd: error: $protocol: from 127\.0\.0\.1: step [^\n]*: time is up)/), '... is logged');
		unlike($silent{$protocol}->log, qr/prog was reached/, '... and prog never starts');
	}
	my $slow = connect_to($required{smtp}{port});
	$slow->sockopt(Socket::TCP_NODELAY(), 1);
	for my $byte (split //, "EHLO me\r\nQUIT\r\n") { syswrite $slow, $byte; sleep 0.005 }
	like(read_all($slow), qr/250 STARTTLS\r\n221 /, 'one byte at a time');
};

# ---- TLS only offered ----

my %offered = map { $_ => behind($_, ['-o']) } grep { !/sieve|cifs/ } @all;

subtest 'offered: in clear' => sub {
	like(said($offered{smtp}, "EHLO me.example\r\nENV\r\nQUIT\r\n"),
		qr/\A220 mx\.example ESMTP\r\n250-mx\.example\r\n250 STARTTLS\r\n250 tls=none fds=0,1,2 left=\r\n250 bye\r\n\z/, 'smtp');
	like(said($offered{smtp}, "ENV\r\nQUIT\r\n"), qr/\A220 mx\.example ESMTP\r\n250 tls=none fds=0,1,2 left=\r\n250 bye\r\n\z/, 'smtp without EHLO');
	my $witness = behind('smtp', ['-o'], 'sh', '-c', 'echo 220 x; read line; echo "prog heard $line" >&2; echo 250-x; echo 250 y; read line; echo "250 $line"');
	like(said($witness, "EHLO me.example\r\nRSET\r\n"), qr/\n250 STARTTLS\r\n250 RSET\r?\n\z/, 'smtp: prog\'s answer to EHLO is not seen');
	ok($witness->wait_for_log(qr/(prog heard EHLO me\.example)/), '... but it has heard it');
	my $stubborn = behind('smtp', ['-o'], 'sh', '-c', 'echo 220 x; read line; echo 502 no; cat >/dev/null');
	like(said($stubborn, "EHLO me.example\r\nRSET\r\n"), qr/\n250 STARTTLS\r\n421 [^\n]*\n\z/, 'smtp: a prog that does not take it');
	ok($stubborn->wait_for_log(qr/(does not take what the client said)/), '... is logged');
	my $talker = behind('smtp', ['-o'], 'perl', '-e', '$| = 1; print map("220-" . "x" x 70 . "\r\n", 1 .. 99), "220 x\r\n"; <STDIN>; '
		. 'print map("250-" . "y" x 70 . "\r\n", 1 .. 99), "250 y\r\n"; print "250 ", scalar <STDIN>');
	like(said($talker, "EHLO me\r\nRSET\r\n"), qr/\n250 STARTTLS\r\n250 RSET\r\n\z/, 'smtp: a prog with much to say of itself');
	like(said($offered{lmtp}, "LHLO me\r\nENV\r\nQUIT\r\n"), qr/250 STARTTLS\r\n250 tls=none fds=0,1,2 left=\r\n250 bye\r\n\z/, 'lmtp');
	like(said($offered{pop3}, "CAPA\r\nUSER me\r\nENV\r\nQUIT x\r\n"),
		qr/\A\+OK mx\.example\r\n\+OK\r\nUSER\r\nSTLS\r\n\.\r\n\+OK heard USER me\r\n\+OK tls=none fds=0,1,2 left=\r\n\+OK bye\r\n\z/, 'pop3');
	like(said($offered{imap}, "a CAPABILITY\r\nb LOGIN x y\r\nc ENV\r\nd LOGOUT\r\n"),
		qr/\A\* OK [^\r]*\r\n\* CAPABILITY IMAP4rev1 STARTTLS\r\na OK [^\r]*\r\n\* OK heard b LOGIN x y\r\n\* OK tls=none fds=0,1,2 left=\r\n\* OK bye\r\n\z/, 'imap');
	like(said($offered{nntp}, "MODE READER\r\nENV\r\nQUIT\r\n"), qr/\A200 mx[^\r]*\r\n200 heard MODE READER\r\n200 tls=none fds=0,1,2 left=\r\n200 bye\r\n\z/, 'nntp');
	my $long = 'b AUTHENTICATE XOAUTH2 ' . 'x' x 3000;
	like(said($offered{imap}, "a NOOP\r\n$long\r\nd LOGOUT\r\n"), qr/\na OK [^\r]*\r\n\* OK heard $long\r\n\* OK bye\r\n\z/, 'imap: a line that only prog can want');
	my $raw = behind('pgsql', ['-o'], 'sh', '-c', 'printf "got:"; exec head -c 18');
	my $startup = pack('NNZ*Z*x', 8 + 10, 196608, 'user', 'moi');
	is(said($raw, $startup), "got:$startup", 'pgsql: a StartupMessage is left for prog');
	is(said($raw, pack('NN', 8, 80877104) . $startup), "Ngot:$startup", '... also after a GSSENCRequest');
	is(said($raw, pack('NNNN', 16, 80877102, 1, 2) . 'xx'), 'got:' . pack('NNNN', 16, 80877102, 1, 2) . 'xx', '... a CancelRequest likewise');
	my $slow = connect_to($offered{smtp}{port});
	for my $byte (split //, "EHLO me\r\nENV\r\nQUIT\r\n") { syswrite $slow, $byte; sleep 0.005 }
	like(read_all($slow), qr/250 STARTTLS\r\n250 tls=none fds=0,1,2 left=\r\n250 bye\r\n\z/, 'one byte at a time');
};

subtest 'offered: with TLS' => sub {
	for my $protocol (sort keys %offered) {
		my $p = $protocols{$protocol};
		next unless $p->{openssl};
		my $result = s_client({ in => "ENV\r\nQUIT\r\n", timeout => 20 }, $offered{$protocol}{port}, '-starttls', $p->{openssl});
		like($result->{out}, qr/^\Q$p->{mark}\E tls=TLSv1\.\d fds=0,1,2 left=\r$/m, $protocol);
	}
};

subtest 'greetings of prog' => sub {
	my %bad = (smtp => '554 no', pop3 => '-ERR no', imap => '* BYE no', nntp => '502 no', lmtp => '421-a;421 no');
	for my $protocol (sort keys %bad) {
		my $server = behind($protocol, [], $prog, $bad{$protocol}, 'x');
		my $result = s_client({ in => "QUIT\r\n", timeout => 20 }, $server->{port}, '-starttls', $protocols{$protocol}{openssl});
		my $words = $bad{$protocol} =~ s/;/\r\n/gr;
		like($result->{out}, qr/^\Q$words\E\r\nx bye\r$/m, "$protocol: a refusal is passed on");
	}
	my $server = behind('smtp', [], 'sh', '-c', 'head -c 60000 /dev/zero | tr "\0" x; echo; echo the end');
	my $result = s_client({ timeout => 20 }, $server->{port}, '-starttls', 'smtp');
	like($result->{out}, qr/^x{60000}\nthe end$/m, 'what is no greeting is passed on, whole');
	$server = behind('smtp', [], 'sh', '-c', 'printf "220 no end of line"');
	$result = s_client({ timeout => 20 }, $server->{port}, '-starttls', 'smtp');
	like($result->{out}, qr/220 no end of line/, 'so is half a line at the end');
	$server = behind('smtp', [], 'sh', '-c', 'printf "220-a\n220-b\n"; printf "220 c\n250 after\n"');
	$result = s_client({ timeout => 20 }, $server->{port}, '-starttls', 'smtp');
	like($result->{out}, qr/^250 after$/m, 'lines that end in LF, and what comes with the greeting');
	unlike($result->{out}, qr/220-b/, '... which is taken off whole');
};

# A server may refuse a client that does not wait to be greeted, but this one has been.
subtest 'the client speaks once prog has greeted' => sub {
	my $strict = 'my $in = ""; vec($in, 0, 1) = 1; if (select $in, undef, undef, 0.3) { print "554 early\r\n"; exit } '
		. '$| = 1; print "220 x\r\n"; while (<STDIN>) { print "250 heard $_" }';
	for my $protocol ('smtp', 'lmtp') {
		my $server = behind($protocol, ['-o'], 'perl', '-e', $strict);
		my $hello = $protocol eq 'smtp' ? 'EHLO me' : 'LHLO me';
		my $result = s_client({ in => "RSET\r\n", timeout => 20 }, $server->{port}, '-starttls', $protocol);
		like($result->{out}, qr/^250 heard RSET/m, "$protocol: with TLS");
		like(ask($server->{port}, "RSET\r\n"), qr/\n250 heard RSET\r\n\z/, '... in clear');
		like(ask($server->{port}, "$hello\r\nRSET\r\n"), qr/\n250 STARTTLS\r\n250 heard RSET\r\n\z/, "... after $hello");
	}
};

subtest 'prog and the connection' => sub {
	my $server = behind('smtp', [], 'sh', '-c', 'echo 220 x; exit 7');
	s_client({ timeout => 20 }, $server->{port}, '-starttls', 'smtp');
	ok($server->wait_for_log(qr/(end(?:ed by)? \d+ status (?:7|1792))/), 'exit code of prog') or diag $server->log;
	$server = behind('smtp', [], 'sh', '-c', 'echo 220 x; kill -9 $$');
	s_client({ timeout => 20 }, $server->{port}, '-starttls', 'smtp');
	ok($server->wait_for_log(qr/(end(?:ed by)? \d+ status (?:137|35072))/), 'signal that ended prog') or diag $server->log;
	$server = behind('smtp', [], 'sh', '-c', 'echo 220 x; cat; echo 250 end of input');
	my $size = 3_000_000;
	my $text = join '', map { sprintf "%09d\n", $_ } 1 .. $size / 10;
	my $result = sslclient({ in => $text, timeout => 60 }, ['-y', '127.0.0.1'], $server->{port}, command('starttlsc'), 'smtp',
		'sh', '-c', 'exec 3<&0; cat <&3 >&7 & exec 7>&- 3<&-; cat <&6');
	my ($first, $rest) = split /\n/, $result->{out}, 2;
	like($first, qr/^220 /, 'much data: the greeting');
	ok(($rest || '') eq $text . "250 end of input\n", '... then all of it, and prog sees the end of its input')
		or diag 'got ' . length($rest || '') . ' ' . $result->{err} . $server->log;
};

# In clear nobody else has a clock: a client that takes nothing must not keep a process for ever.
subtest 'a client that takes nothing of what prog left for it' => sub {
	my $full = 'use Fcntl; $| = 1; print "220 x\r\n"; <STDIN>; fcntl STDOUT, F_SETFL, O_WRONLY | O_NONBLOCK or die; my ($all, $late) = (0, 0); while ($late < 5) { '
		. 'my $n = syswrite STDOUT, "x" x 4096; if ($n) { $all += $n; $late = 0 } else { $late++; select undef, undef, undef, 0.1 } } print STDERR "prog left $all\n"; exit 7';
	my $server = behind('smtp', ['-o', '-T', 2], 'perl', '-e', $full);
	my $ended = qr/(end(?:ed by)? \d+ status (?:7|1792))/;
	my $begin = sub {
		my $socket = IO::Socket::IP->new(PeerHost => '127.0.0.1', PeerPort => $server->{port}, Sockopts => [[Socket::SOL_SOCKET(), Socket::SO_RCVBUF(), 4096]]) or die;
		syswrite $socket, "RSET\r\n";
		return $socket;
	};
	my $stalled = $begin->();
	ok($server->wait_for_log(qr/(prog left \d+)/, 20), 'prog has ended') or diag $server->log;
	ok($server->wait_for_log($ended, 20), 'so does the connection') or diag $server->log;
	$server = behind('smtp', ['-o', '-T', 2], 'perl', '-e', $full);
	my $slow = $begin->();
	my $left = $server->wait_for_log(qr/prog left (\d+)/, 20);
	my $got = '';
	for (1 .. 6) { sleep 0.5; sysread $slow, $got, 65536, length $got }
	$got .= read_all($slow);
	is(length($got =~ s/\A[^\n]*\n//r), $left, 'a slow one gets all of it');
	ok($server->wait_for_log($ended, 20), '... to the end');
};

# ---- curl ----

subtest 'curl' => sub {
	my $mail = spew(temporary('mail'), "Subject: x\r\n\r\ntext\r\n");
	my @curl = ('curl', '-sS', '--ssl-reqd', '--cacert', file('root.pem'), '-m', 20);
	my $answers = sub { return spew(temporary("answers-$_[0]"), $_[1]) && chmod(0755, temporary("answers-$_[0]")) && temporary("answers-$_[0]") };
	my $smtpd = $answers->('smtp', <<'END');
#!/usr/bin/perl
$| = 1;
print "220 prog\r\n";
while (<STDIN>) {
	if (/^DATA/) { print "354 go\r\n"; while (<STDIN>) { last if /^\.\r/; print STDERR "mail: $_" } print "250 taken with $ENV{SSL_PROTOCOL}\r\n" }
	elsif (/^QUIT/) { print "221 bye\r\n"; last }
	else { print "250 ok\r\n" }
}
END
	my $server = behind('smtp', [], $smtpd);
	my $result = run({ timeout => 30 }, @curl, "smtp://localhost:$server->{port}", '--mail-from', 'a@example.org', '--mail-rcpt', 'b@example.org', '-T', $mail);
	is($result->{exit}, 0, 'smtp') or diag $result->{err} . $server->log;
	ok($server->wait_for_log(qr/(mail: text)/), '... delivers');
	my $pop3d = $answers->('pop3', <<'END');
#!/usr/bin/perl
$| = 1;
print "+OK prog\r\n";
while (<STDIN>) {
	if (/^CAPA/) { print "+OK\r\nUSER\r\n.\r\n" }
	elsif (/^LIST|^RETR/) { print "+OK\r\n1 120 $ENV{SSL_PROTOCOL}\r\n.\r\n" }
	elsif (/^QUIT/) { print "+OK\r\n"; last }
	else { print "+OK\r\n" }
}
END
	$server = behind('pop3', [], $pop3d);
	$result = run({ timeout => 30 }, @curl, "pop3://localhost:$server->{port}/", '-u', 'me:secret');
	like($result->{out}, qr/1 120 TLS/, 'pop3') or diag $result->{err} . $server->log;
	my $imapd = $answers->('imap', <<'END');
#!/usr/bin/perl
$| = 1;
print "* OK [CAPABILITY IMAP4rev1] prog\r\n";
while (<STDIN>) {
	my ($tag) = /^(\S+)/;
	# Once it has heard LOGINDISABLED, curl does not forget it, so it needs a mechanism.
	print "* CAPABILITY IMAP4rev1 AUTH=PLAIN\r\n" if /CAPABILITY/;
	if (/AUTHENTICATE/) { print "+ \r\n"; <STDIN> }
	print "* LIST () \"/\" $ENV{SSL_PROTOCOL}\r\n" if /LIST/;
	print "* BYE\r\n" if /LOGOUT/;
	print "$tag OK\r\n";
	last if /LOGOUT/;
}
END
	$server = behind('imap', [], $imapd);
	$result = run({ timeout => 30 }, @curl, "imap://localhost:$server->{port}/", '-u', 'me:secret');
	like($result->{out}, qr/LIST .* TLS/, 'imap') or diag $result->{err} . $server->log;
};

# ---- clients ----

# A client of prog's kind: what it gets first, then a question.
my @asking = ('sh', '-c', 'printf "ENV\r\nQUIT\r\n" >&7; cat <&6; echo "left=$SSLCTLFD$SSLREADFD$SSLWRITEFD$STARTTLS_GREETING" $(ls /proc/self/fd | grep -xE "[0-9]|[1-5][0-9]") "$SSL_PROTOCOL"');

subtest 'starttlsc with starttlsd' => sub {
	for my $protocol (@all) {
		my $p = $protocols{$protocol};
		my $greeting = $p->{swallowed} ? qr/(220|\+OK|\* OK|201) mx\.example( ESMTP| LMTP)?\r\n/ : qr/(\Q${\($p->{greeting} =~ s,;,\r\n,gr)}\E\r\n)?/;
		my $expected = qr/\A$greeting\Q$p->{mark}\E tls=TLSv1\.\d fds=0,1,2 left=\r\n\Q$p->{mark}\E bye\r\nleft= 0 1 2 3 6 7 /;
		my $result = sslclient({}, ['-y', '127.0.0.1'], $required{$protocol}{port}, command('starttlsc'), $protocol, @asking);
		like($result->{out}, qr/${expected}TLSv1/, "$protocol: under sslclient -y") or diag $result->{err};
		is($result->{exit}, 0, '... exit code');
		$result = run({ env => { CAFILE => file('root.pem') } }, command('tcpclient'), '127.0.0.1', $required{$protocol}{port}, command('starttlsc'),
			$protocol, command('tlsc'), '-k', '127.0.0.1', command('regreet'), @asking);
		like($result->{out}, $expected, '... before tlsc') or diag $result->{err};
		$result = run({ env => { CAFILE => file('root.pem') } }, command('tcpclient'), '127.0.0.1', $required{$protocol}{port}, command('ucspitlsc'),
			'-k', '127.0.0.1', command('starttlsc'), $protocol, @asking);
		like($result->{out}, $expected, '... under ucspitlsc') or diag $result->{err};
	}
};

# A server that says what the script says: text is sent, a pattern is a line that has to come. What has come is returned, and the client's
# end.
sub scripted {
	my ($options, $protocol, @script) = @_;
	my $listener = IO::Socket::IP->new(LocalHost => '127.0.0.1', LocalPort => 0, Listen => 1) or die;
	my @prog = @{ $options->{prog} || ['sh', '-c', 'printf "reached (%s) " "$STARTTLS_GREETING"; cat <&6'] };
	my @chain = $options->{tls} ? (command('sslclient'), '-y') : (command('tcpclient'));
	my $client = start({ env => { CAFILE => file('root.pem'), TLS_PEERNAME => 'example.test' } }, @chain, '127.0.0.1', $listener->sockport,
		command('starttlsc'), '-T', $options->{seconds} || 20, @{ $options->{letters} || ['-n', 'example.test'] }, $protocol, @prog);
	my $peer;
	my $heard = '';
	local $SIG{ALRM} = sub { die "nobody connects\n" };
	alarm 20;
	eval { $peer = $listener->accept };
	alarm 0;
	return { err => $client->log, out => '' } unless $peer;
	$peer->setsockopt(Socket::IPPROTO_TCP(), Socket::TCP_NODELAY(), 1);
	for my $step (@script) {
		if (ref $step eq 'Regexp') {
			my $deadline = time + 10;
			while ($heard !~ /$step\z/ && time < $deadline) {
				last unless IO::Select->new($peer)->can_read(10) && sysread $peer, my $byte, 1;
				$heard .= $byte;
			}
		} elsif (ref $step eq 'CODE') {
			$step->($peer);
		} elsif ($options->{slowly}) {
			for my $byte (split //, $step) { syswrite $peer, $byte; sleep 0.002 }
		} else {
			syswrite $peer, $step;
		}
	}
	$peer->shutdown(1) unless $options->{hold};
	my $end = $client->wait_for_end(20);
	$client->stop unless $end;
	return { heard => $heard, exit => $end && $end->{exit}, out => slurp($client->{out}), err => $client->log };
}

my $starttls = qr/STARTTLS\r\n/;
my $request = qr/\x04\xd2\x16\x2f/;
my %servers = (
	smtp  => ["220-a\r\n220 hello\r\n", qr/EHLO example\.test\r\n/, "250-x\r\n250-SIZE 1\r\n250-starttls\r\n250 HELP\r\n", $starttls, "220 go ahead\r\n"],
	lmtp  => ["220 hello\r\n", qr/LHLO example\.test\r\n/, "250-x\r\n250 STARTTLS\r\n", $starttls, "220-go\r\n220 ahead\r\n"],
	pop3  => ["+OK hello <1.2\@x>\r\n", qr/STLS\r\n/, "+OK\r\n"],
	imap  => ["* OK [CAPABILITY IMAP4rev1 LOGINDISABLED] hello\r\n", qr/a STARTTLS\r\n/, "* CAPABILITY x\r\n* OK y\r\na OK begin\r\n"],
	nntp  => ["201 hello\r\n", $starttls, "382 go\r\n"],
	sieve => ["\"IMPLEMENTATION\" \"x\"\r\n\"starttls\"\r\nOK \"hello\"\r\n", $starttls, "OK\r\n"],
	ftp   => ["120 wait\r\n220-hello\r\n 220 x\r\nanything\r\n220 hello\r\n", qr/AUTH TLS\r\n/, "234 go\r\n"],
	irc   => [":x NOTICE * :looking up\r\n", $starttls, ":x 670 * :STARTTLS successful\n"],
	pgsql => [$request, 'S'],
	cifs  => [qr/\x81\0\0\0/, "\x83\0\0\1\x8e"],
	ldap  => [qr/\x{2e}20037/, "\x30\x0c\2\1\1\x78\7\x0a\1\0\4\0\4\0"],
	xmpp  => [qr/version='1\.0'>/, "<?xml version='1.0'?><stream:stream xmlns='jabber:client' from=\"a>b\" id='1'>"
			. "<stream:features><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'><required/></starttls></stream:features>",
		qr/<starttls[^>]*>/, "<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"],
);
my %greetings = (smtp => '220 hello', lmtp => '220 hello', pop3 => '+OK hello <1.2@x>', imap => '* OK hello', nntp => '201 hello', ftp => '220 hello');
my @clients = sort keys %servers;

subtest 'servers as they should be' => sub {
	for my $protocol (@clients) {
		my @script = @{ $servers{$protocol} };
		for my $slowly (0, 1) {
			my $result = scripted({ slowly => $slowly }, $protocol, @script[0 .. $#script - 1], "$script[-1]first TLS byte");
			is($result->{exit}, 0, $protocol . ($slowly ? ', one byte at a time' : '')) or diag $result->{err};
			is($result->{out}, 'reached (' . ($greetings{$protocol} || '') . ') first TLS byte', '... exactly up to the last byte');
		}
	}
	my $long = '220 ' . 'y' x 900;
	my @smtp = @{ $servers{smtp} };
	is(scripted({}, 'smtp', "$long\r\n", @smtp[1 .. 4])->{out}, 'reached (' . substr($long, 0, 512) . ') ', 'a long greeting is cut');
	for my $code ('ALERT] call', 'REFERRAL imap://x.test/] call', 'capability IMAP4rev1]call', 'X]  call') {
		my ($rest) = $code =~ /\] ?(.*)/;
		is(scripted({}, 'imap', "* OK [$code\r\n", @{ $servers{imap} }[1, 2])->{out}, "reached (* OK $rest) ", "imap: [$code");
	}
	is(scripted({}, 'imap', "* OK [ALERT call\r\n", @{ $servers{imap} }[1, 2])->{out}, 'reached (* OK) ', 'imap: half a code');
	is(scripted({}, 'smtp', "220 a\tb\x{e4}\e[0m%\r\n", @smtp[1 .. 4])->{out}, 'reached (220 a?b??[0m%) ', 'a strange one is cleaned');
	my @ldap = @{ $servers{ldap} };
	is(scripted({}, 'ldap', $ldap[0], "\x30\x84\0\0\0\x12\2\1\1\x78\x84\0\0\0\7\x0a\1\0\4\0\4\0x")->{exit}, 98, 'ldap: a length that is not its own');
	is(scripted({}, 'ldap', $ldap[0], "\x30\x84\0\0\0\x10\2\1\1\x78\x84\0\0\0\7\x0a\1\0\4\0\4\0x")->{out}, 'reached () x', 'ldap: long lengths');
	is(scripted({}, 'xmpp', @{ $servers{xmpp} }[0 .. 2], '<proceed xmlns="x"></proceed>x')->{out}, 'reached () x', 'xmpp: proceed with an end tag');
};

subtest 'early ends' => sub {
	for my $protocol (@clients) {
		my @script = @{ $servers{$protocol} };
		for my $n (0 .. $#script) {
			my $result = scripted({}, $protocol, $n ? @script[0 .. $n - 1] : ());
			is($result->{exit}, 98, "$protocol: after $n steps") or diag $result->{err};
			like($result->{err}, qr/^starttlsc: error: $protocol: step \w[\w ]*: the peer has closed the connection$/m, '... and says so');
			is($result->{out}, '', '... prog is not reached');
			my $piece = ref $script[$n] ? undef : substr $script[$n], 0, -1;
			next unless defined $piece && length $piece;
			is(scripted({}, $protocol, ($n ? @script[0 .. $n - 1] : ()), $piece)->{exit}, 98, '... nor one byte before the next step is whole');
		}
	}
};

subtest 'wrong answers' => sub {
	my @smtp = @{ $servers{smtp} };
	my @wrong = (
		['smtp', qr/step greeting: expected 220, got: 554 no/, "554 no\r\n"],
		['smtp', qr/step greeting: expected 220, got: hello/, "hello\r\n"],
		['smtp', qr/step greeting: expected 220, got: 250 b/, "220-a\r\n250 b\r\n"],
		['smtp', qr/step greeting: expected 220, got: 2200 b/, "2200 b\r\n"],
		['smtp', qr/step greeting: expected 220, got: $/m, "\r\n"],
		['smtp', qr/step greeting: a line that does not end in CRLF/, "220 hello\n"],
		['smtp', qr/step greeting: a line that does not end in CRLF, or with NUL or CR/, "220 \0hello\r\n"],
		['smtp', qr/step EHLO: expected 250, got: 502 what/, @smtp[0, 1], "502 what\r\n"],
		['smtp', qr/step EHLO: the server does not offer STARTTLS/, @smtp[0, 1], "250-STARTTLS\r\n250 SIZE\r\n"],
		['smtp', qr/step EHLO: the server does not offer STARTTLS/, @smtp[0, 1], "250-x\r\n250 XSTARTTLSX\r\n"],
		['smtp', qr/step STARTTLS: expected 220, got: 454 later\?+/, @smtp[0 .. 3], "454 later\e[31m\r\n"],
		['smtp', qr/step STARTTLS: expected 220, got: 250 ok/, @smtp[0 .. 3], "250 ok\r\n"],
		['smtp', qr/step greeting: expected 220, got: 5y{99}\.\.\.$/m, '5' . 'y' x 900 . "\r\n"],
		['pop3', qr/step greeting: expected \+OK, got: \+OKAY/, "+OKAY\r\n"],
		['pop3', qr/step STLS: expected \+OK, got: -ERR no/, "+OK\r\n", qr/STLS\r\n/, "-ERR no\r\n"],
		['imap', qr/step greeting: expected \* OK, got: \* PREAUTH/, "* PREAUTH hello\r\n"],
		['imap', qr/step greeting: expected \* OK, got: \* BYE/, "* BYE hello\r\n"],
		['imap', qr/step STARTTLS: expected a OK, got: a NO/, "* OK\r\n", $starttls, "a NO\r\n"],
		['imap', qr/step STARTTLS: expected a OK, got: b OK/, "* OK\r\n", $starttls, "b OK\r\n"],
		['imap', qr/step STARTTLS: expected a OK, got: \+ go/, "* OK\r\n", $starttls, "+ go\r\n"],
		['imap', qr/step STARTTLS: expected a OK, got: \* BYE/, "* OK\r\n", $starttls, "* BYE\r\n"],
		['imap', qr/step STARTTLS: expected a OK, got: \* x \{3\}/, "* OK\r\n", $starttls, "* x {3}\r\na OK\r\n"],
		['sieve', qr/step greeting: the server does not offer STARTTLS/, "\"SIEVE\" \"STARTTLS\"\r\nOK\r\n"],
		['sieve', qr/step STARTTLS: expected OK, got: "STARTTLS"/, @{ $servers{sieve} }[0, 1], "\"STARTTLS\"\r\nOK\r\n"],
		['nntp', qr/step STARTTLS: expected 382, got: 580 no/, "200 x\r\n", $starttls, "580 no\r\n"],
		['ftp', qr/step AUTH: expected 234, got: 504 no/, "220 x\r\n", qr/TLS\r\n/, "504 no\r\n"],
		['irc', qr/step STARTTLS: expected 670, got: :x 691 \* :no/, $starttls, ":x 691 * :no\r\n"],
		['irc', qr/step STARTTLS: expected 670, got: ERROR/, $starttls, "ERROR :670\r\n"],
		['pgsql', qr/step SSLRequest: the server does not speak TLS/, $request, 'N'],
		['pgsql', qr/step SSLRequest: expected S, got: E/, $request, "E\0\0\0\x20SFATAL\0"],
		['cifs', qr/step session request: expected the refusal/, qr/\x81\0\0\0/, "\x82\0\0\0\0"],
		['ldap', qr/step StartTLS: expected success, got: no TLS/, qr/20037/, "\x30\x12\2\1\1\x78\x0d\x0a\1\2\4\0\4\6no TLS"],
		['ldap', qr/step StartTLS: expected an ExtendedResponse/, qr/20037/, "\x30\x0c\2\1\2\x78\7\x0a\1\0\4\0\4\0"],
		['ldap', qr/step StartTLS: the response is too long/, qr/20037/, "\x30\x84\xff\xff\xff\xff"],
		['ldap', qr/step StartTLS: expected an LDAPMessage, got: HT/, qr/20037/, "HTTP/1.0"],
		['xmpp', qr/step features: the server does not offer STARTTLS/, qr/'>/, "<stream:stream x='y'><stream:features/>"],
		['xmpp', qr/step starttls: expected <proceed>, got: failure/, @{ $servers{xmpp} }[0 .. 2], '<failure/>'],
		['xmpp', qr/step stream: expected <stream:stream>, got: html/, qr/'>/, '<html>'],
	);
	for my $case (@wrong) {
		my ($protocol, $words, @script) = @$case;
		my $result = scripted({ hold => 1 }, $protocol, @script);
		is($result->{exit}, 98, "$protocol: exit code") or diag $result->{err};
		like($result->{err}, qr/^starttlsc: error: $protocol: $words/m, '... words');
		is($result->{out}, '', '... prog is not reached');
	}
};

subtest 'endless and silent servers' => sub {
	my %endless = (
		smtp => ["220 x\r\n", qr/EHLO/, "250-more\r\n"], pop3 => ['+OK ', 'x' x 100], imap => ["* OK\r\n", $starttls, "* more\r\n"],
		sieve => ["\"more\"\r\n"], ftp => ["220-x\r\n", "more\r\n"], irc => [":x NOTICE * :more\r\n"], nntp => ['200 ', 'x' x 100],
		xmpp => [qr/'>/, "<stream:stream x='y'><stream:features>", '<more/>'], lmtp => ['220-x', 'x' x 100],
	);
	for my $protocol (sort keys %endless) {
		my @script = @{ $endless{$protocol} };
		my $more = pop @script;
		my $result = scripted({ hold => 1 }, $protocol, @script, map { $more } 1 .. 3000);
		is($result->{exit}, 98, "$protocol: more and more") or diag $result->{err};
		is($result->{out}, '', '... prog is not reached');
	}
	for my $protocol ('smtp', 'imap', 'pgsql', 'ldap', 'xmpp') {
		my $first = $servers{$protocol}[0];
		my $result = scripted({ hold => 1, seconds => 1 }, $protocol, ref $first ? () : substr $first, 0, 3);
		is($result->{exit}, 98, "$protocol: silence");
		like($result->{err}, qr/step [\w ]+: time is up/, '... ends with the deadline');
	}
};

subtest 'plaintext behind the last answer' => sub {
	for my $protocol (@clients) {
		my @script = @{ $servers{$protocol} };
		my $result = scripted({ tls => 1, prog => ['echo', 'reached'] }, $protocol, @script[0 .. $#script - 1], "$script[-1]250 injected\r\n" . 'x' x 20);
		is($result->{exit}, 98, "$protocol: TLS fails") or diag $result->{err};
		like($result->{err}, qr/^tlsc-io: error: /m, '... as tlsc-io says');
		is($result->{out}, '', '... prog is not reached');
	}
};

# ---- regreet ----

subtest 'regreet' => sub {
	my $listener = IO::Socket::IP->new(LocalHost => '127.0.0.1', LocalPort => 0, Listen => 10);
	my @tcp = (command('tcpclient'), '127.0.0.1', $listener->sockport);
	my $env = { STARTTLS_GREETING => '220 hello' };
	is(run({ env => $env }, @tcp, command('regreet'), 'sh', '-c', 'exit 7')->{exit}, 7, 'exit code of prog');
	is(run({ env => $env }, @tcp, command('regreet'), 'sh', '-c', 'kill -9 $$')->{exit}, 137, 'signal that ended it');
	my $result = run({ env => $env }, @tcp, command('regreet'), 'sh', '-c', 'read line <&6; echo "$line"; echo "(${STARTTLS_GREETING-unset})"');
	is($result->{out}, "220 hello\r\n(unset)\n", 'the greeting, and the variable is gone');
	is(run({ env => { STARTTLS_GREETING => undef } }, @tcp, command('regreet'), 'sh', '-c', 'echo here')->{out}, "here\n", 'nothing to give');
	my $waiting = start({ env => $env }, @tcp, command('regreet'), 'sh', '-c', 'trap "exit 5" TERM; echo ready >&2; while :; do sleep 0.1; done');
	ok($waiting->wait_for_log(qr/(ready)/), 'prog runs');
	kill 'TERM', $waiting->{pid};
	my $end = $waiting->wait_for_end(10);
	is($end && $end->{exit}, 5, 'SIGTERM is passed on');
	is(run({ env => $env }, @tcp, command('regreet'), 'no-such-program')->{exit}, 111, 'a prog that is not there');
};

# ---- the guide ----

# The scripts of doc/guide/starttls.md by their names, each changed to ports of this test and made a file.
subtest 'the guide' => sub {
	my $guide = slurp("$FindBin::Bin/../doc/guide/starttls.md");
	my $here = temporary('guide');
	mkdir $here;
	my %script;
	while ($guide =~ /\n\n`([a-z0-9-]+)`(?:(?!\n\n`[a-z]).)*?\n```sh\n(.*?)^```$/msg) { $script{$1} = $2 }
	is(join(' ', sort keys %script), 'deliver expiry imap local-imap local-mysql pop3 postgresql send send-by-proxy smtp smtp-mailfront submission', 'its scripts');
	my $write = sub {
		my ($name, @changes) = @_;
		my $text = $script{$name};
		$text =~ s/ -nv 0 \d+ / -1nv 127.0.0.1 0 / || $text =~ s/ -v 127\.0\.0\.1 \d+ / -1v 127.0.0.1 0 /;
		while (my ($from, $to) = splice @changes, 0, 2) { $text =~ s/\Q$from\E/$to/g or diag "$name has no $from" }
		return chmod(0755, spew("$here/$name", $text)) && "$here/$name";
	};
	my $program = sub { spew("$here/$_[0]", "#!/bin/sh\n$_[1]\n"); chmod 0755, "$here/$_[0]" };
	(my $commands = command('x')) =~ s/x$//;
	my %env = (PATH => "$here:$commands:$ENV{PATH}", CAFILE => file('root.pem'), %{ pair('server-p256') });
	# Stand-ins for qmail: what they need to show is on the network.
	$program->('qmail-smtpd', 'echo "220 qmail"; while read -r line; do echo "$line" >&2; case $line in DATA*) echo 354; while read -r line; do '
		. 'echo "mail: $line" >&2; case $line in .?) break ;; esac; done; echo "250 taken" ;; QUIT*) echo 221; exit 0 ;; *) echo 250 ok ;; esac; done');
	$program->('qmail-popup', 'echo "+OK popup"; read -r line; shift; exec "$@"');
	$program->('checkpassword', 'echo "+OK for $SSL_PROTOCOL"; exec "$@"');
	$program->('qmail-pop3d', 'echo "+OK 0 0 $1"');
	my $smtp = serve({ env => \%env }, $write->('smtp'));
	like(said($smtp, "EHLO me\r\nMAIL FROM:<>\r\nQUIT\r\n"), qr/250 STARTTLS\r\n250 ok\n221\n\z/, 'smtp, in clear');
	ok($smtp->wait_for_log(qr/(EHLO me)/), '... qmail-smtpd has heard EHLO');
	my $submission = serve({ env => \%env }, $write->('submission'));
	like(said($submission, "MAIL FROM:<>\r\nQUIT\r\n"), qr/\n530 [^\n]*\n221 /, 'submission, in clear');
	$write->('deliver');
	my $mail = "Subject: guide\r\n\r\n.dot\r\n";
	chdir $here or die;
	for my $server ($smtp, $submission) {
		my $send = $write->('send', 'mx.example.org 25', "localhost $server->{port}");
		my $result = run({ env => \%env, in => $mail }, $send, 'a@example.org', 'b@example.org');
		is($result->{exit}, 0, 'send') or diag $result->{err};
		ok($server->wait_for_log(qr/(mail: \.\.dot)/), '... the mail is there');
	}
	my $untrusted = run({ env => { %env, CAFILE => file('other-root.pem') }, in => $mail }, "$here/send", 'a@example.org', 'b@example.org');
	is($untrusted->{exit}, 98, '... not to a server that cannot be trusted');
	# The proxy's own dialogue is shown in tests/proxies.t.
	my $proxy = serve({ env => \%env }, command('tcpserver'), '-1', '127.0.0.1', 0, 'sh', '-c',
		'while read -r line; do case $line in Proxy-Auth*) echo "$line" >&2 ;; "$(printf "\r")") break ;; esac; done; printf "HTTP/1.1 200 OK\r\n\r\n"; '
		. "exec socat STDIO TCP4:127.0.0.1:$submission->{port}");
	spew("$here/proxy-user", "me:secret\n");
	my $by_proxy = $write->('send-by-proxy', 'proxy.example.org 3128', "127.0.0.1 $proxy->{port}", 'mx.example.org 25', "localhost $submission->{port}");
	my $result = run({ env => \%env, in => $mail =~ s/guide/proxy/r }, $by_proxy, 'a@example.org', 'b@example.org');
	is($result->{exit}, 0, 'send-by-proxy') or diag $result->{err} . $proxy->log;
	ok($submission->wait_for_log(qr/(mail: Subject: proxy)/), '... the mail is there');
	$result = run({ env => \%env }, $write->('expiry', 'mx.example.org 25', "localhost $submission->{port}"));
	like($result->{out}, qr/^\w+ +\d+ [\d:]+ 20\d\d GMT$/, 'expiry') or diag $result->{err};
	my $pop3 = serve({ env => \%env }, $write->('pop3'));
	$result = s_client({ in => "USER x\r\n", timeout => 20 }, $pop3->{port}, '-starttls', 'pop3');
	like($result->{out}, qr/^\+OK for TLS\S+\n\+OK 0 0 Maildir$/m, 'pop3') or diag $pop3->log;
	my $imapd = serve({}, command('tcpserver'), '-1', '127.0.0.1', 0, $prog, '* OK imapd', '* OK');
	my $imap = serve({ env => \%env }, $write->('imap', '127.0.0.1 1143', "127.0.0.1 $imapd->{port}"));
	my $local = serve({ env => \%env }, $write->('local-imap', 'imap.example.org 143', "localhost $imap->{port}"));
	like(ask($local->{port}, "a LOGIN\r\nb LOGOUT\r\n"), qr/\A\* OK [^\r]*\r\n\* OK heard a LOGIN\r\n\* OK bye\r\n\z/, 'local-imap through imap') or diag $imap->log;
	# Greeting, the request, and in TLS the answer, to which it says OK under the next number.
	my ($greeting, $answer) = ("\x13\0\0\0\x0ax\0" . "\xff" x 16, "\x20\0\0\1\x04\xa2" . "\0" x 30);
	my $mysqld = sslserver({ pair => 'server-p256' }, ['-n'], 'perl', '-MPOSIX', '-e', 'sub take { my ($all, $piece) = (""); while (length $all < 36) '
		. '{ POSIX::read(0, $piece, 36 - length $all) > 0 or exit 1; $all .= $piece } return ord substr $all, 3 } sub say { POSIX::write(1, $_[0], length $_[0]) } '
		. 'say(pack "H*", shift); take(); POSIX::write($ENV{SSLCTLFD}, "y", 1); dup2($ENV{SSLREADFD}, 0); dup2($ENV{SSLWRITEFD}, 1); '
		. 'say(pack "C4x2vv C", 7, 0, 0, 1 + take(), 2, 0, 0)', unpack 'H*', $greeting);
	my $local_mysql = serve({ env => \%env }, $write->('local-mysql', 'db.example.org 3306', "localhost $mysqld->{port}"));
	my $client = connect_to($local_mysql->{port});
	read_line($client);    # the one 0x0a of the greeting
	syswrite $client, $answer;
	like(read_all($client), qr/\Ax\0.{14}\xf7\xff\x07\0\0\x02/s, 'local-mysql') or diag $local_mysql->log;
	my $echo = serve({}, command('tcpserver'), '-1', '127.0.0.1', 0, 'cat');
	my $postgresql = serve({ env => \%env }, $write->('postgresql', '127.0.0.1 5433', "127.0.0.1 $echo->{port}"));
	$result = s_client({ in => "a startup message\n", timeout => 20, }, $postgresql->{port}, '-starttls', 'postgres', '-no_ign_eof');
	like($result->{out}, qr/Verify return code: 0/, 'postgresql') or diag $postgresql->log;
	chdir "$FindBin::Bin/..";
};

done_testing;
