#!/usr/bin/perl
# The variables of a full report, value by value beside what openssl x509 says: of certificates whose names are hard to put into variables,
# each that of the server and of the client at once, as either program is told of both. Then what a report has no room for. Beside mod_ssl:
# tests/full/apache.t.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Bear;
use BearTls;
use Certificates;
use Math::BigInt;
use Test::More;
use Time::Local qw(timegm);
use VariableCases;

my $authority = authority();
my $show = 'print "<\0", join("\0", map { "$_=$ENV{$_}" } grep { /^SSL_/ } sort keys %ENV), "\0>"';

sub environment { my ($text) = @_; return $text =~ /<\0(.*)\0>/s ? { map { split /=/, $_, 2 } split /\0/, $1 } : undef }

# The files with the certificates and the key of a case, as they are presented.
my $files = 0;
sub own { my ($case) = @_; $case->{own} ||= spew(temporary('own-' . $files++), pem(@{ $case->{chain} })); return (CERTFILE => $case->{own}, KEYFILE => $case->{key}, CAFILE => $authority, VERIFYDEPTH => 5, TLS_REPORT => 'full') }

# A server with the certificates of one case, which asks (-Y), or not.
sub server {
	my ($case, $letter, @prog) = @_;
	return serve({ env => { own($case) } }, command('tcpserver'), '-1v', '127.0.0.1', '0', command('tlsd'), $letter ? $letter : (), @prog ? @prog : ('perl', '-e', $show));
}

# What a client with the certificates of a case sees, and what the server told its program.
sub client {
	my ($port, $case, %env) = @_;
	my $result = run({ env => { own($case), TLS_VERIFY => 'chain', %env } }, command('tcpclient'), '127.0.0.1', $port, command('tlsc'), '-k', 'localhost', 'sh', '-c',
		'cat <&6; echo; echo client; exec "$@"', 'sh', 'perl', '-e', $show);
	my ($server, $client) = split /^client$/m, $result->{out};
	return (environment($client // ''), environment($server // ''), $result->{err});
}

# ---- what openssl says ----

my %long = (countryName => 'C', stateOrProvinceName => 'ST', localityName => 'L', organizationName => 'O', organizationalUnitName => 'OU', commonName => 'CN', title => 'T',
	initials => 'I', givenName => 'G', surname => 'S', description => 'D', userId => 'UID', emailAddress => 'Email', serialNumber => 'SerialNumber');
my %month = do { my $n = 0; map { $_ => $n++ } qw(Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec) };

# It leaves U+0080 to U+009F as they are.
sub escaped { my ($text) = @_; return $text =~ s/\xc2([\x80-\x9f])/sprintf '\\C2\\%02X', ord $1/ger }

sub components {
	my ($prefix, $text) = @_;
	my (%seen, %count);
	for my $attribute (map { split / \+ (?=[a-zA-Z]+=)/ } $text =~ /^    (.*)$/mg) {
		my ($type, $value) = split /=/, $attribute, 2;
		my $part = $long{$type} or next;
		my $number = $count{$part}++;
		$seen{ "${prefix}_$part" . ($number ? "_$number" : '') } = escaped($value);
	}
	return %seen;
}

# The seconds of a time like "Nov 24 17:18:35 2036 GMT".
sub seconds_of {
	my ($month, $day, $hour, $minute, $second, $year) = $_[0] =~ /\A(\w+) +(\d+) (\d+):(\d+):(\d+) (\d+) GMT\z/ or return undef;
	return timegm($second, $minute, $hour, $day, $month{$month}, $year);
}

my %said;

# Variables without their prefix.
sub openssl_says {
	my ($case) = @_;
	return $said{ $case->{pem} } ||= do {
		my $x509 = sub { return openssl('x509', '-in', $case->{pem}, @_) };
		my $text = $x509->('-serial', '-startdate', '-enddate', '-fingerprint', '-sha256', '-subject', '-issuer', '-nameopt', 'RFC2253,-esc_msb');
		my %line = $text =~ /^([\w ]+)=(.*)$/mg;
		my ($pem) = $text =~ /(-----BEGIN.*-----END[^\n]*\n)/s;
		my ($subject, $issuer) = $x509->('-noout', '-subject', '-issuer', '-nameopt', 'lname,esc_ctrl,utf8,sep_multiline') =~ /\Asubject=(.*)^issuer=(.*)\z/ms;
		my $more = $x509->('-noout', '-issuer', '-nameopt', 'RFC2253', '-text');
		my ($sign, $serial) = $line{serial} =~ /\A(-?)(.*)\z/;
		my ($ascii) = $more =~ /^issuer=(.*)$/m;
		my %variables = (M_VERSION => 3, M_SERIAL => $line{serial}, V_START => $line{notBefore}, V_END => $line{notAfter},
			I_DN => escaped($line{issuer}), length $line{subject} ? (S_DN => escaped($line{subject})) : (), CERT => $pem,
			CERT_SHA256 => lc $line{'sha256 Fingerprint'} =~ s/://gr, components('S_DN', $subject), components('I_DN', $issuer),
			CERT_RFC4523_CEA => "{ serialNumber $sign" . Math::BigInt->from_hex($serial) . ', issuer rdnSequence:"' . $ascii =~ s/"/""/gr . '" }');
		($variables{A_SIG}) = $more =~ /Signature Algorithm: (\S+)/;
		($variables{A_KEY}) = $more =~ /Public Key Algorithm: (\S+)/;
		\%variables;
	};
}

# Alternative names, and what openssl has another opinion of or does not read at all; undef: not set.
my %by_hand = (
	'alternative names' => { SAN_DNS_1 => '*.example.org', SAN_Email_0 => 'ann@example.org', SAN_Email_1 => '"odd, one"@example.org', SAN_IP_0 => '192.0.2.1', SAN_IP_1 => '2001:db8::1',
		SAN_IP_2 => '::ffff:192.0.2.7', SAN_OTHER_msUPN_0 => 'ann@example.org', SAN_OTHER_msUPN_1 => "J\xc3\xb6rg\@example.org", SAN_OTHER_dnsSRV_0 => '_imap.example.org' },
	'alternative names that are none' => { SAN_DNS_1 => 'a\0Ab', SAN_DNS_2 => 'localhost\00.example.org', SAN_DNS_3 => 'a\\\\b', SAN_Email_0 => '\1B[2J', SAN_Email_1 => "\xc3\xbf",
		SAN_OTHER_msUPN_0 => 'a\0Ab\00c' },
	'no strings' => { S_DN_CN => '\00\61\62\0A', S_DN_O => '' },
	'other strings' => { S_DN => 'OU=#040301025C,O=#1B0867656E6572616C0A,CN=visible', S_DN_CN => 'visible', S_DN_O => '\67\65\6E\65\72\61\6C\0A', S_DN_OU => '\01\02\5C' },
	'what only looks like text' => { S_DN => 'L=\00\11\00\00,OU=\D8\00\41,O=A\00,CN=A\C0\AFB', S_DN_CN => 'A\C0\AFB', S_DN_O => 'A\00', S_DN_OU => '\D8\00\41', S_DN_L => '\00\11\00\00' },
);

sub expected {
	my ($case) = @_;
	return { %{ $case->{ours} ? {} : openssl_says($case) }, SAN_DNS_0 => 'localhost', %{ $by_hand{ $case->{name} } || {} } };
}

# Compares all variables of a side, or, where openssl says nothing, those that are known.
sub are {
	my ($seen, $prefix, $case, $where) = @_;
	my $expected = expected($case);
	my $left = $seen->{"${prefix}_V_REMAIN"};
	$expected->{V_REMAIN} = defined $left && $left =~ days_left(seconds_of($expected->{V_END})) ? $left : 'the days until V_END' if $expected->{V_END};
	my %all = map { s/\A${prefix}_// ? ($_ => 1) : () } map { $_ } keys %$seen;
	delete @all{ grep { /\A(CERT_CHAIN_\d+|VERIFY)\z/ || ($case->{ours} && !exists $expected->{$_}) } keys %all };
	my @wrong = grep { ($seen->{"${prefix}_$_"} // 'not set') ne ($expected->{$_} // 'not set') } sort keys %{ { %all, %$expected } };
	return is(join("\n", map { "${prefix}_$_: " . ($seen->{"${prefix}_$_"} // 'not set') } @wrong), join("\n", map { "${prefix}_$_: " . ($expected->{$_} // 'not set') } @wrong),
		"$where: " . keys(%all) . ' variables');
}

# Whatever a certificate says, a value is one line without control characters, but for PEM.
sub are_clean {
	my ($seen, $where) = @_;
	my @dirty = grep { $seen->{$_} =~ /[\x00-\x1f\x7f]|\xc2[\x80-\x9f]/ && $seen->{$_} !~ /\A-----BEGIN CERTIFICATE-----\n[A-Za-z0-9+\/=\n]+\n-----END CERTIFICATE-----\n\z/ } sort keys %$seen;
	return is("@dirty", '', "$where: no control characters");
}

for my $case (cases()) {
	next if $case->{ours} && cannot('openssl', 'a certificate that cannot be read ends the handshake, even one that the path does not need');
	my $name = $case->{name};
	my $server = server($case, '-Y');
	my ($client_sees, $server_sees, $log) = client($server->{port}, $case);
	ok($client_sees && $server_sees, "$name: both programs run") or diag($log, $server->log);
	for my $side (['the server', $server_sees], ['the client', $client_sees]) {
		my ($who, $seen) = @$side;
		are($seen, "SSL_$_", $case, "$name: $who of the " . lc $_) for 'SERVER', 'CLIENT';
		are_clean($seen, "$name: $who");
		is($seen->{SSL_PEER_CERT_HASH}, 'SHA256:' . ($seen->{SSL_CLIENT_CERT_SHA256} // ''), "$name: $who has the fingerprint twice");
		is($seen->{SSL_REPORT_LEFT_OUT}, undef, "$name: nothing is left out");
	}
	is($server_sees->{SSL_CLIENT_VERIFY}, 'SUCCESS', "$name: the server says what it thinks of the client");
	is($client_sees->{SSL_CLIENT_VERIFY}, undef, "$name: the client does not know");
	my ($peer, $own) = map { my $seen = $_; join '', map { s/\s//gr } map { $seen->{$_} } grep { /CERT_CHAIN/ } sort keys %$seen } $server_sees, $client_sees;
	my $issuers = pem(@{ $case->{chain} }[1 .. $#{ $case->{chain} }]) =~ s/\s//gr;
	is($peer, $issuers, "$name: the server has the client's issuers");
	is($own, $issuers, "$name: the client the server's");
	$server->stop;
}

subtest "a client's own certificate" => sub {
	my $case = case('UTF-8');
	my $server = server($case);
	my ($client_sees, $server_sees) = client($server->{port}, $case);
	ok($client_sees, 'a server that does not ask');
	is(join(' ', grep { /CLIENT/ } sort keys %$client_sees), '', 'is not shown one, so there are no variables of it');
	is($server_sees->{SSL_CLIENT_VERIFY}, 'NONE', 'the server has seen none');
	$server->stop;
};

subtest 'certificates that nobody has asked for' => sub {
	my ($case, $stranger) = (case('an issuer behind another'), leaf(subject => 'CN=administrator', by => 'nobody'));
	my ($leaf, $second, $first) = @{ $case->{chain} };
	my $server = server($case, '-Y');
	for my $chain (['behind the others', $leaf, $second, $first, $stranger], ['among the others', $leaf, $stranger, $second, $first], ['in another order', $leaf, $first, $stranger, $second]) {
		my ($where, @chain) = @$chain;
		# Our own programs put what they present in order: another one is needed here.
		my $rest = spew(temporary('rest.pem'), pem(@chain[1 .. $#chain]));
		my $result = run({ in => "\n" }, 'openssl', 's_client', '-connect', "127.0.0.1:$server->{port}", '-quiet', '-ign_eof', '-cert', $case->{pem}, '-key', $case->{key}, '-cert_chain', $rest);
		my $seen = environment($result->{out});
		is(join(' ', map { s/\s//gr } map { $seen->{$_} } grep { /CLIENT_CERT_CHAIN/ } sort keys %$seen), join(' ', map { pem($_) =~ s/\s//gr } $second, $first),
			"$where: only those that lead to the anchor, the nearest first");
	}
	$server->stop;
};

subtest 'the script of the guide' => sub {
	my ($script) = slurp("$FindBin::Bin/../doc/guide/certificates.md") =~ /^```sh\n(#!\/bin\/sh\n# Lets in whom a file knows.*?)^```$/ms;
	ok($script, 'is there') or return;
	my $folder = temporary('guide');
	mkdir $folder;
	spew("$folder/run", $script);
	spew("$folder/serve", "#!/bin/sh\necho \"<served \$1>\"\n");
	chmod 0755, $folder, "$folder/run", "$folder/serve";
	my ($known, $other) = (case('UTF-8'), case('T61'));
	spew("$folder/people", "0000 nobody\n" . openssl_says($known)->{CERT_SHA256} . " Ann Other\n");
	my $server = serve({ env => { own($known) } }, command('tcpserver'), '-1v', '127.0.0.1', '0', command('tlsd'), '-Y', 'sh', '-c', 'cd "$0" && exec ./run', $folder);
	my $asks = sub { my ($case) = @_; return run({ in => "\n" }, 'openssl', 's_client', '-connect', "127.0.0.1:$server->{port}", '-quiet', '-ign_eof', $case ? ('-cert', $case->{pem}, '-key', $case->{key}) : ())->{out} };
	is($asks->($known), "<served Ann Other>\n", 'serves whom it knows');
	is($asks->($other), '', 'not another, though accepted');
	is($asks->(undef), '', 'nor nobody');
	my @ends;
	wait_until(sub { @ends = $server->log =~ /^tcpserver: end \d+ status (\d+)$/mg; return @ends == 3 }, 10);
	is(join(' ', map { $_ >> 8 } @ends), '0 100 100', 'with exit code 100');
};

# ---- limits ----

my $pem = qr/\ASSL_\w+_CERT(_CHAIN_\d+)?\z/;

sub large {
	my (%field) = @_;
	my $der = leaf(by => 'root', subject => 'CN=localhost', eku => eku('serverAuth', 'clientAuth'), %field);
	return { chain => [$der, root()], pem => spew(temporary('large.pem'), pem($der)), key => private_key('leaf') };
}

sub asks_with {
	my ($server, $case) = @_;
	my $root = spew(temporary('root-behind.pem'), pem(root()));
	my $result = run({ in => "\n", timeout => 20 }, 'openssl', 's_client', '-connect', "127.0.0.1:$server->{port}", '-quiet', '-ign_eof', '-cert', $case->{pem}, '-key', $case->{key},
		'-cert_chain', $root);
	return environment($result->{out}) || do { diag($server->log); {} };
}

sub left_out {
	my ($server, $seen, $number, $name) = @_;
	is($seen->{SSL_REPORT_LEFT_OUT}, $number, "$name: SSL_REPORT_LEFT_OUT");
	like($server->wait_for_log(qr/^(tlsd-io: warning: .*)$/m) // '', qr/\Atlsd-io: warning: report too large for pid: \d+: variables left out: $number: connection with: 127\.0\.0\.1\z/,
		"$name: and the log says so");
}

subtest 'a report that is too large' => sub {
	my $plain = case('UTF-8');

	# Long values: 12000 characters of six bytes each, escaped.
	my $server = server($plain, '-Y');
	my $seen = asks_with($server, large(subject => [[['CN', 'teletex', "\x9b" x 12000]], [['O', 'utf8', 'short']]]));
	left_out($server, $seen, 3, 'values over 64 KiB');
	is(join(' ', grep { exists $seen->{$_} } qw(SSL_CLIENT_S_DN SSL_CLIENT_S_DN_CN SSL_PEER_CERT_SUBJECT)), '', 'those are not there');
	is($seen->{SSL_CLIENT_S_DN_O}, 'short', 'the others are');
	like($seen->{SSL_CLIENT_CERT}, qr/\A-----BEGIN/, 'PEM too');
	$server->stop;

	# Many values.
	my @units = map { [['OU', 'utf8', 'u']] } 1 .. 2000;
	my @names = ('DNS:x') x 6000;
	$server = server($plain, '-Y');
	$seen = asks_with($server, large(subject => \@units, san => san(@names)));
	left_out($server, $seen, 3, 'more than 256 KiB with PEM');
	is(join(' ', grep { $_ =~ $pem } keys %$seen), '', 'none of it is in PEM');
	is(scalar(grep { /\ASSL_CLIENT_SAN_DNS_\d+\z/ } keys %$seen), 6000, 'all the rest is there: host names');
	is(scalar(grep { /\ASSL_CLIENT_S_DN_OU/ } keys %$seen), 2000, 'units');
	like($seen->{SSL_SERVER_CERT_SHA256}, qr/\A[0-9a-f]{64}\z/, 'and what is of the server');
	$server->stop;

	$server = server($plain, '-Y');
	$seen = asks_with($server, large(subject => [@units[0 .. 999]], san => san(('DNS:x') x 10100)));
	my $there = grep { /\ASSL_CLIENT_SAN_DNS_\d{1,4}\z/ } keys %$seen;
	cmp_ok($there, '<', 9900, 'more than 256 KiB without PEM: host names are missing');
	left_out($server, $seen, 3 + 10100 - $there, 'which are counted');
	ok(exists $seen->{ 'SSL_CLIENT_SAN_DNS_' . ($there - 1) }, 'those that are there are the first');
	is(scalar(grep { /\ASSL_CLIENT_S_DN_OU/ } keys %$seen), 1000, 'what comes before them is all there');
	is(join(' ', grep { !exists $seen->{$_} } map { ("SSL_CLIENT_$_", "SSL_SERVER_$_") } qw(S_DN I_DN V_START V_END V_REMAIN A_SIG A_KEY M_SERIAL CERT_SHA256)), '', 'and all that is short');
	my $size = 0;
	$size += length($_) + length($seen->{$_}) + 2 for keys %$seen;
	cmp_ok($size, '<=', 262144, 'within the limit');
	cmp_ok($size, '>', 261000, 'which is used');
	$server->stop;

	# The same for a program that asks for TLS itself.
	my $asks = 'use Socket; open my $c, "+<&=", $ENV{SSLCTLFD}; syswrite $c, "Y"; my $r = ""; 1 while sysread $c, $r, 65536, length $r;'
		. ' open STDOUT, ">&=", $ENV{SSLWRITEFD}; $r =~ s/\0\0\z//; print "<\0$r\0>"';
	$server = serve({ env => { own($plain) } }, command('tcpserver'), '-1v', '127.0.0.1', '0', command('ucspitlsd'), '-Y', 'perl', '-e', $asks);
	$seen = asks_with($server, large(subject => \@units, san => san(@names)));
	left_out($server, $seen, 3, 'on request');
	is(scalar(grep { /\ASSL_CLIENT_SAN_DNS_\d+\z/ } keys %$seen), 6000, 'and the rest is there');
	is(join(' ', grep { $_ =~ $pem } keys %$seen), '', 'without PEM');
	$server->stop;

	# A client of a server with such a certificate.
	my $large = large(subject => \@units, san => san(@names));
	$server = server($large, undef, 'true');
	my ($client_sees, undef, $log) = client($server->{port}, $plain, VERIFYDEPTH => 1);
	is($client_sees->{SSL_REPORT_LEFT_OUT}, 1, 'a client: SSL_REPORT_LEFT_OUT') or diag $log;
	like($log, qr/^tlsc-io: warning: report too large for pid: \d+: variables left out: 1: connection with: 127\.0\.0\.1$/m, 'and its log');
	$server->stop;
};

done_testing;
