#!/usr/bin/perl
# CIPHERS: lists of cipher suites as OpenSSL reads them, but within the policy; what is offered, chosen and refused; older suites, each only
# where it is named.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib", "$FindBin::Bin/lib/peers";
use Bear;
use BearTls;
use Peers;
use Test::More;

my @policy = qw(ECDHE-ECDSA-AES128-GCM-SHA256 ECDHE-RSA-AES128-GCM-SHA256 ECDHE-ECDSA-AES256-GCM-SHA384 ECDHE-RSA-AES256-GCM-SHA384 ECDHE-ECDSA-CHACHA20-POLY1305
	ECDHE-RSA-CHACHA20-POLY1305);
my @tls13 = engine() eq 'bearssl' ? () : qw(TLS_AES_128_GCM_SHA256 TLS_AES_256_GCM_SHA384 TLS_CHACHA20_POLY1305_SHA256);

# Numbers and names of all suites, as openssl has them; 3DES, which it may be built without, from RFC 8422 and RFC 5246.
my (%name, %iana);
for my $line (split /\n/, openssl('ciphers', '-V', '-stdname', 'ALL:@SECLEVEL=0')) {
	my ($high, $low, $iana, $name) = $line =~ /^\s*0x(..),0x(..) - (\S+)\s+- (\S+)/ or next;
	$name{ hex "$high$low" } = $name;
	$iana{$name} = $iana;
}
my %des3 = (0xc008 => 'ECDHE-ECDSA-DES-CBC3-SHA', 0xc012 => 'ECDHE-RSA-DES-CBC3-SHA', 0x000a => 'DES-CBC3-SHA');
%name = (%name, %des3);

my @older_ecdhe = map { ("ECDHE-ECDSA-$_", "ECDHE-RSA-$_") } qw(AES128-SHA256 AES256-SHA384 AES128-SHA AES256-SHA);
my @older_rsa = qw(AES128-GCM-SHA256 AES256-GCM-SHA384 AES128-SHA256 AES256-SHA256 AES128-SHA AES256-SHA);
my @older = (@older_ecdhe, engine() eq 'bearssl' ? (@older_rsa, values %des3) : ());

# The first messages of our client with each of these lists: { suites => [names in order], schemes => [numbers of signature schemes], err,
# exit }. One shell starts all of them.
sub hellos {
	my ($env, @lists) = @_;
	my $base = temporary('hello');
	my $result = run({ timeout => 60, in => join('', map { "$_\n" } @lists), env => { TLS_VERIFY => 'none', %$env } }, 'sh', '-c',
		'n=0; while IFS= read -r CIPHERS; do export CIPHERS; n=$((n + 1)); "$0" 6 7 6</dev/null 7>"$1.$n" 2>"$1.$n.err" </dev/null; echo $?; done', command(io_program('tlsc-io')), $base);
	my @exit = split /\n/, $result->{out};
	return map {
		my $text = slurp("$base.$_");
		my %found = (exit => $exit[$_ - 1], err => slurp("$base.$_.err"));
		if (length $text) {
			my ($suites, undef, $extensions) = unpack 'n/a C/a n/a', substr $text, 44 + ord substr $text, 43, 1;
			my %extension = unpack '(n n/a)*', $extensions;
			# without the signal of RFC 5746, which stands in the list but is no suite
			$found{suites} = [map { $name{$_} || sprintf '%04x', $_ } grep { $_ != 0xff } unpack 'n*', $suites];
			$found{schemes} = [unpack 'x2 n*', $extension{13}];
		}
		\%found;
	} 1 .. @lists;
}

# What lists come to: suites in order, or what is said of them.
sub come_to {
	my ($env, @lists) = @_;
	return map { $_->{suites} ? join ':', @{ $_->{suites} } : "$_->{exit} $_->{err}" } hellos($env, @lists);
}

# The same for TLS 1.2 alone.
sub ours { return come_to({ TLS_MAXVERSION => 'TLSv1.2' }, @_) }

# What openssl makes of them, without TLS 1.3.
sub theirs {
	my $result = run({ timeout => 60, in => join('', map { "$_:\@SECLEVEL=0\n" } @_) }, 'sh', '-c', 'while IFS= read -r list; do openssl ciphers "$list" || echo; done');
	return map { join ':', grep { !/^TLS_/ } split /:/ } split /\n/, $result->{out}, -1;
}

# Compares ours with what is wanted, list by list.
sub lists_are {
	my (%wanted) = @_;
	my @lists = sort keys %wanted;
	my @got = ours(@lists);
	is($got[$_], $wanted{ $lists[$_] }, length $lists[$_] > 120 ? substr($lists[$_], 0, 120) . ' ..' : $lists[$_]) for 0 .. $#lists;
}

sub sorted { return join ':', sort @_ }

subtest 'groups, as openssl has them, within the policy' => sub {
	my %policy = map { $_ => 1 } @policy;
	my @words = qw(ALL HIGH MEDIUM LOW FIPS kECDHE kEECDH ECDHE EECDH ECDH kRSA RSA aRSA aECDSA ECDSA aNULL eNULL NULL ADH AECDH DHE EDH kDHE kEDH DH DSS aDSS PSK kPSK SRP
		aSRP GOST89 AES AES128 AES256 AESGCM AESCCM CHACHA20 CAMELLIA ARIA 3DES RC4 SEED IDEA CBC SHA SHA1 SHA256 SHA384 MD5 SSLv3 TLSv1.2 COMPLEMENTOFDEFAULT
		COMPLEMENTOFALL);
	my @lists = (@words, 'DEFAULT', 'DEFAULT:!AES', 'HIGH:!aNULL:!MD5', 'HIGH:!aNULL:!eNULL:!EXPORT:!DES:!MD5:!PSK:!RC4', 'EECDH+AESGCM:EDH+AESGCM', 'ALL:!ADH:!LOW:!EXP:!MD5:@STRENGTH',
		'ECDHE+AESGCM:ECDHE+CHACHA20:DHE+AESGCM:DHE+CHACHA20', 'ALL:-AES128:ECDHE+AES128', 'HIGH:-ALL:CHACHA20', 'HIGH:!ALL', 'ALL:+AES', 'HIGH, !AES256;MEDIUM', 'HIGH:!SSLv3', 'HIGH:!TLSv1',
		'ALL:!TLSv1.2', 'DEFAULT@SECLEVEL=1', 'kEECDH+aECDSA+AESGCM', 'ALL:!aECDSA+CHACHA20');
	srand 4;    # the same lists every time
	for (1 .. 40) {
		my $word = sub { return $words[rand @words] };
		push @lists, join ':', 'ALL', map { ('', '', '-', '!', '+')[rand 5] . $word->() . (rand() < 0.3 ? '+' . $word->() : '') } 1 .. 1 + rand 5;
	}
	my ($empty, @wanted, @got) = 0;
	@wanted = theirs(@lists);
	@got = ours(@lists);
	for my $i (0 .. $#lists) {
		my $wanted = sorted(grep { $policy{$_} } split /:/, $wanted[$i]);
		$empty++ if !$wanted;
		$wanted ? is(sorted(split /:/, $got[$i]), $wanted, $lists[$i]) : like($got[$i], qr/^96 tlsc-io: fatal: CIPHERS: .*: leaves no cipher suite$/m, "$lists[$i]: nothing");
	}
	cmp_ok($empty, '>', 10, 'lists that leave nothing are among them');
	cmp_ok(scalar @lists - $empty, '>', 60, 'and lists that do not');
};

subtest 'names, in the order of the list' => sub {
	my @known = (@policy, grep { $iana{$_} } @older);
	my @lists = (join(':', @known), join(':', reverse @known), 'ECDHE-RSA-AES256-GCM-SHA384 ECDHE-RSA-CHACHA20-POLY1305,ECDHE-ECDSA-AES256-GCM-SHA384;ECDHE-RSA-AES128-GCM-SHA256',
		'ECDHE-RSA-AES128-SHA:ECDHE-RSA-AES256-GCM-SHA384:ECDHE-RSA-AES128-GCM-SHA256:+ECDHE-RSA-AES256-GCM-SHA384', 'ECDHE-RSA-AES128-SHA:ECDHE-RSA-AES256-SHA:ECDHE-RSA-AES128-GCM-SHA256:@STRENGTH',
		'ECDHE-RSA-AES128-SHA:ECDHE-RSA-AES256-SHA:ECDHE-RSA-AES128-GCM-SHA256:-SHA1:ECDHE-RSA-AES128-SHA', 'ECDHE-RSA-AES128-SHA:ECDHE-RSA-AES128-GCM-SHA256:!SHA1:ECDHE-RSA-AES128-SHA',
		'ECDHE-RSA-AES128-SHA:ECDHE-RSA-AES128-SHA:ECDHE-RSA-AES128-GCM-SHA256', 'ECDHE-RSA-AES128-SHA:ECDHE-RSA-AES256-SHA384:+TLSv1', 'ECDHE-RSA-AES128-SHA:ECDHE-RSA-AES128-GCM-SHA256:!TLSv1',
		'ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES128-SHA+SHA1', 'ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES128-SHA+AESGCM', 'ECDHE-RSA-AES128-GCM-SHA256!SHA1@STRENGTH');
	my @theirs = theirs(@lists);
	lists_are((map { ($lists[$_], $theirs[$_]) } 0 .. $#lists), map { ($iana{$_}, $_) } @known);
	# Written for others, with much that is not here.
	is((ours('ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:' .
			'ECDHE-RSA-CHACHA20-POLY1305:DHE-RSA-AES128-GCM-SHA256:DHE-RSA-AES256-GCM-SHA384:DHE-RSA-CHACHA20-POLY1305'))[0], join(':', @policy), 'with suites that are never used');
	my @unknown = map { /CIPHERS: (.*): no cipher suite or group/ } ours(map { "ECDHE-RSA-AES128-GCM-SHA256:!$_" } split /:/, openssl('ciphers', 'ALL:COMPLEMENTOFALL:@SECLEVEL=0') =~ s/\n//r);
	is("@unknown", '', 'every name that openssl has is known');
};

subtest 'what differs from openssl' => sub {
	my ($default) = ours('');
	is(sorted(split /:/, $default), sorted(@policy), 'no list: the policy');
	# TLSv1 is that and what came after; the first is the line of sslserver's old manual.
	lists_are(map { ($_, $default) } 'TLSv1+HIGH:!SSLv2:!MD5', 'TLSv1', 'TLSv1.0', 'TLSv1.1', 'SSLv3:TLSv1', 'HIGH', 'ALL:!SSLv2:!SSLv3:!EXPORT:!EXPORT40:!LOW:!aNULL:!KRB5:!kDHr', '  HIGH::,',
		'HIGH:@SECLEVEL=0', '@SECLEVEL=2:HIGH', 'AEAD');
	# Groups choose no older suite, names do.
	lists_are(map { ("$_:HIGH", $default) } 'ALL', 'kRSA', 'RSA', 'CBC', 'SHA1', 'SHA256', 'AES', 'SSLv3', 'TLSv1.2', '3DES', 'COMPLEMENTOFDEFAULT', 'CBC+ECDHE', 'RSA+AES128');
	lists_are(map { ("$_:HIGH", "$_:$default") } @older);
	# A version that is struck out is that one alone.
	lists_are('ECDHE-RSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-SHA:!SSLv3' => 'ECDHE-RSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-SHA');
	return if cannot('openssl', 'RSA key exchange and 3DES: exit code 96');
	lists_are('AES128-SHA:ECDHE-RSA-AES128-GCM-SHA256:!SSLv3' => 'ECDHE-RSA-AES128-GCM-SHA256', 'DES-CBC3-SHA:ECDHE-RSA-AES128-GCM-SHA256:@STRENGTH' => 'ECDHE-RSA-AES128-GCM-SHA256:DES-CBC3-SHA',
		'DES-CBC3-SHA:ECDHE-RSA-AES128-GCM-SHA256:!MEDIUM' => 'ECDHE-RSA-AES128-GCM-SHA256', 'TLS_RSA_WITH_3DES_EDE_CBC_SHA' => 'DES-CBC3-SHA');
};

subtest 'TLS 1.3' => sub {
	my $of13 = sub { my ($list, %env) = @_; return (come_to(\%env, $list))[0] };
	my ($policy, $named) = (ours(''), 'ECDHE-RSA-AES128-GCM-SHA256');
	is($of13->("$named:TLS_AES_256_GCM_SHA384"), join(':', engine() eq 'bearssl' ? () : 'TLS_AES_256_GCM_SHA384', $named), 'a list that names both is good for both engines');
	for my $list (engine() eq 'bearssl' ? ('TLS_AES_128_GCM_SHA256', 'TLSv1.3') : ()) {
		like($of13->($list), qr/^96 .*: CIPHERS: \Q$list\E: leaves no cipher suite$/m, "$list alone: exit 96");
	}
	return if cannot('bearssl', 'TLS 1.3: BearSSL ends with TLS 1.2');
	my @default = split /:/, $of13->('') =~ s/:ECDHE.*//r;
	my $default = join ':', @default;
	is(sorted(@default), sorted(@tls13), 'by default all');
	is($of13->('HIGH'), "$default:$policy", 'groups are without effect');
	is($of13->('ECDHE+AESGCM:!CHACHA20:!AES256:@STRENGTH'), "$default:ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256", 'also where they strike out');
	is($of13->('TLS_CHACHA20_POLY1305_SHA256:HIGH:TLS_AES_128_GCM_SHA256'), "TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_GCM_SHA256:$policy", 'those that are named, in their order');
	is($of13->('HIGH:!TLS_CHACHA20_POLY1305_SHA256'), join(':', (grep { !/CHACHA/ } @default), $policy), 'all but one that is struck out');
	is($of13->('HIGH:-TLS_AES_128_GCM_SHA256'), join(':', (grep { !/AES_128/ } @default), $policy), 'or put away');
	is($of13->('TLSv1.3'), $default, 'TLSv1.3 alone');
	is($of13->('HIGH:!TLSv1.3'), $policy, 'and without it');
	is($of13->('TLS_AES_256_GCM_SHA384'), 'TLS_AES_256_GCM_SHA384', 'one alone: no TLS 1.2');
	is($of13->('HIGH', TLS_MAXVERSION => 'TLSv1.2'), $policy, 'TLS_MAXVERSION=TLSv1.2');
	is($of13->('TLS_AES_256_GCM_SHA384', TLS_MINVERSION => 'TLSv1.3'), 'TLS_AES_256_GCM_SHA384', 'TLS_MINVERSION=TLSv1.3');
	is($of13->('ECDHE-RSA-AES128-GCM-SHA256', TLS_MINVERSION => 'TLSv1.3'), $default, 'with a list for TLS 1.2');
	for (['TLS_AES_256_GCM_SHA384', TLS_MAXVERSION => 'TLSv1.2'], ['HIGH:!TLSv1.3', TLS_MINVERSION => 'TLSv1.3'], ['RC4'], ['!ALL'], ['!TLSv1.3:!ALL'], ['TLSv1.3:!TLSv1.3']) {
		my ($list, %env) = @$_;
		like($of13->($list, %env), qr/^96 .*: CIPHERS: \Q$list\E: leaves no cipher suite$/m, join ' ', @$_, '- nothing');
	}
	my $server = sslserver({ env => { CIPHERS => 'TLS_CHACHA20_POLY1305_SHA256' } }, [], 'sh', '-c', 'echo "<$SSL_PROTOCOL $SSL_CIPHER>"');
	like(s_client({}, $server->{port}, '-quiet')->{out}, qr/^<TLSv1\.3 TLS_CHACHA20_POLY1305_SHA256>$/m, 'a server with one');
	connection($server);
	like(s_client({}, $server->{port}, '-tls1_2')->{err}, qr/alert protocol version/, 'a client of TLS 1.2 is told');
	like(connection($server)->{log}, qr/client does not speak TLS 1\.3$/m, 'in words');
	$server->stop;
};

subtest 'lists that are refused' => sub {
	my $long = 'HIGH:' x 819;
	my @cases = (
		['FOO', 'FOO: no cipher suite or group of that name'], ['HIGH:!FOO', 'FOO: no cipher suite or group of that name'], ['high', 'high: no cipher suite or group of that name'],
		['HIGH+FOO', 'FOO: no cipher suite or group of that name'], ['HIG', 'HIG: no cipher suite or group of that name'], ['HIGHER', 'HIGHER: no cipher suite or group of that name'],
		['ECDHE-RSA-AES128-GCM', 'ECDHE-RSA-AES128-GCM: no cipher suite or group of that name'], ['RC4-', 'RC4-: no cipher suite or group of that name'],
		['SUITEB128', 'SUITEB128: no cipher suite or group of that name'], ['HIGH:\\', '\\: no cipher suite or group of that name'],
		['HIGH:!', '!: a sign without a word'], ['HIGH:+:!MD5', '+: a sign without a word'], ['HIGH+', 'HIGH+: a sign without a word'], ['HIGH++AES', 'HIGH++AES: a sign without a word'],
		['HIGH:@', '@: neither @STRENGTH nor @SECLEVEL=0 to 5'], ['HIGH:@SECLEVEL', '@SECLEVEL: neither'], ['HIGH:@SECLEVEL=6', '@SECLEVEL=6: neither'], ['HIGH:@SECLEVEL=22', '@SECLEVEL=22: neither'],
		['HIGH:@STRENGTHS', '@STRENGTHS: neither'], (map { ["HIGH:\@SECLEVEL=$_", "\@SECLEVEL=$_: no level above 2 here: name the suites, and set TLS_MINRSA for keys"] } 3 .. 5),
		['HIGH:!HIGH', 'HIGH:!HIGH: leaves no cipher suite'], ['RC4-SHA', 'RC4-SHA: leaves no cipher suite'], [':', ':: leaves no cipher suite'], ['SSLv2', 'SSLv2: leaves no cipher suite'],
		['MD5:EXPORT', 'MD5:EXPORT: leaves no cipher suite'], ['ECDHE-RSA-DES-CBC3-SHA:!3DES', engine() eq 'bearssl' ? 'ECDHE-RSA-DES-CBC3-SHA:!3DES: leaves no' : 'ECDHE-RSA-DES-CBC3-SHA: the engine openssl does not have that suite'],
		[join('+', ('HIGH') x 9), 'HIGH: too many words joined by +'], ["${long}H", 'H: no cipher suite'], ["$long:", 'leaves', 'not'], ["${long}HI", 'too long a list'],
		engine() eq 'bearssl' ? () : (map { ["HIGH:$_", "$_: the engine openssl does not do RSA key exchange"] } @older_rsa, 'DES-CBC3-SHA', 'TLS_RSA_WITH_AES_128_CBC_SHA'),
	);
	my @hellos = hellos({}, map { $_->[0] } @cases);
	for my $case (@cases) {
		my ($list, $words, $not) = @$case;
		my $hello = shift @hellos;
		my $name = length $list < 80 ? $list : length($list) . ' bytes';
		is($hello->{exit}, 98, "$name is taken"), next if $not;
		is($hello->{exit}, 96, "$name: exit 96");
		like($hello->{err}, qr/\Atlsc-io: fatal: CIPHERS: \Q$words\E.*\n\z/, 'in words');
	}
	my $result = run({ env => pair('server-rsa', CIPHERS => 'HIGH:FOO') }, command('sslserver'), '-v', '127.0.0.1', '0', 'true');
	is($result->{exit}, 96, 'sslserver does not begin to listen');
	like($result->{err}, qr/: CIPHERS: FOO: no cipher suite or group of that name$/m, 'and says so');
	$result = run({ env => { CIPHERS => 'FOO', CAFILE => file('root.pem') } }, command('sslclient'), '127.0.0.1', '9', 'true');
	like($result->{err}, qr/: CIPHERS: FOO|refused/, 'sslclient likewise, where there is somebody');
};

# ---- handshakes ----

my %bits = (AES128 => '128/128', AES256 => '256/256', CHACHA20 => '256/256', DES => '112/168');
my $report_only = 'echo "<$SSL_PROTOCOL $SSL_CIPHER $SSL_CIPHER_USEKEYSIZE/$SSL_CIPHER_ALGKEYSIZE>"';
my $report = "$report_only; read line && echo \"\$line\"";

sub described { my ($suite) = @_; my ($cipher) = $suite =~ /(AES128|AES256|CHACHA20|DES)/; return "<TLSv1.2 $suite $bits{$cipher}>" }
sub pair_for  { return $_[0] =~ /ECDSA/ ? 'server-p256' : 'server-rsa' }

# gnutls has 3DES, which openssl has not.
sub gnutls_priority {
	my ($suite) = @_;
	return 'NORMAL:-VERS-ALL:+VERS-TLS1.2:-KX-ALL:+' . ($suite =~ /^DES/ ? 'RSA' : $suite =~ /ECDSA/ ? 'ECDHE-ECDSA' : 'ECDHE-RSA') . ':-CIPHER-ALL:+3DES-CBC:+SHA1';
}

# By the kind of their keys.
sub suites_for { my ($kind) = @_; return grep { ($kind eq 'ECDSA') == /ECDSA/ } @policy, @older }

subtest 'each suite, our server' => sub {
	for my $kind ('RSA', 'ECDSA') {
		my @suites = suites_for($kind);
		my $server = sslserver({ pair => pair_for($kind), env => { CIPHERS => join ':', @suites } }, ['-s'], 'sh', '-c', $report);
		for my $suite (@suites) {
			my $result = $suite =~ /DES/
				? run({ in => "abc\n" }, 'gnutls-cli', '--priority', gnutls_priority($suite), '--x509cafile', file('root.pem'), '--port', $server->{port}, 'localhost')
				: s_client({ in => "abc\n" }, $server->{port}, '-tls1_2', '-cipher', "$suite:\@SECLEVEL=0", '-quiet');
			like($result->{out}, qr/^\Q@{[described($suite)]}\E\nabc$/m, $suite) or diag($result->{err});
			my $seen = connection($server);
			is($seen->{status}, 0, 'and an end') or diag($seen->{log});
		}
		$server->stop;
	}
	my $server = sslserver({ env => { CIPHERS => 'ECDHE-RSA-AES128-SHA' } }, [], 'true');
	my $result = s_client({}, $server->{port}, '-tls1_2', '-cipher', 'ALL:!ECDHE-RSA-AES128-SHA:@SECLEVEL=0', '-quiet');
	like($result->{err}, qr/alert handshake failure/, 'a client without the only one, but with all others, is refused');
	$server->stop;
};

subtest 'each suite, our client' => sub {
	for my $kind ('RSA', 'ECDSA') {
		my @suites = suites_for($kind);
		my $peer = s_server({ answers => 1, pair => pair_for($kind) }, '-rev', '-tls1_2', '-cipher', 'ALL:@SECLEVEL=0');
		my $bear = sslserver({ pair => pair_for($kind), env => { CIPHERS => join(':', grep { /DES/ } @suites), TLS_ENGINE => 'bearssl' } }, [], 'sh', '-c', 'read line; echo cba') if grep { /DES/ } @suites;
		for my $suite (@suites) {
			my $result = sslclient({ env => { CIPHERS => $suite } }, ['-s', 'localhost'], $suite =~ /DES/ ? $bear->{port} : $peer->{port}, 'sh', '-c', 'echo abc >&7; read line <&6; echo "$line"; ' . $report_only);
			is($result->{out}, "cba\n" . described($suite) . "\n", $suite) or diag($result->{err}, $peer->log);
		}
		$_->stop for grep { $_ } $peer, $bear;
	}
	my $peer = s_server({ answers => 1 }, '-rev', '-tls1_2', '-cipher', join(':', (grep { !/DES/ } @older_ecdhe, @older_rsa), '@SECLEVEL=0'));
	is(sslclient({}, ['localhost'], $peer->{port}, 'true')->{exit}, 98, 'none but older ones: not by default');
	is(sslclient({ env => { CIPHERS => 'ALL' } }, ['localhost'], $peer->{port}, 'true')->{exit}, 98, 'nor by a group');
	$peer->stop;
};

# By far the most that goes wrong in records shows in their sizes and in alerts.
subtest 'records and alerts under older suites' => sub {
	for my $suite ('ECDHE-ECDSA-AES128-SHA', 'ECDHE-ECDSA-AES256-SHA384', 'ECDHE-ECDSA-AES128-SHA256') {
		for my $peer ($suite =~ /SHA\z/ ? peers() : 'openssl') {    # the others are not among what gnutls has by default
			for my $side ('server', 'client') {
				my $result = meet({ side => $side, peer => $peer, env => { CIPHERS => $suite }, app => [qw(both 300000)], steps => [(map { ('send', $_) } 1 .. 70, 16384, 100_000), qw(notify readall)] });
				is($result->{exit}, 0, "$suite: our $side, $peer: exit 0") or diag("$result->{peer}\n$result->{log}");
				like($result->{peer}, qr/^received 300000\nend close_notify$/m, 'all that was sent');
				like($result->{log}, qr/application: received 118869$/m, 'and received');
			}
		}
		for my $side ('server', 'client') {
			my $result = meet({ side => $side, peer => 'bearssl', env => { CIPHERS => $suite }, app => [qw(readall)], steps => ['record', 21, '015a', 2000, 'readall'] });
			is($result->{exit}, 98, "$suite: our $side ends it: exit 98") or diag("$result->{peer}\n$result->{log}");
			like($result->{peer}, qr/^end alert 10$/m, 'with an alert that the peer can read');
			my $cut = sub { my ($from, $n, $record) = @_; return ord $record == 23 && $from ne $side ? substr($record, 0, 3) . pack('n/a*', substr $record, 5, 32) : $record };
			$result = meet({ side => $side, peer => 'openssl', env => { CIPHERS => $suite }, via => $cut, app => [qw(readall)], steps => ['send', '100', 'readall'] });
			like($result->{peer}, qr/^end alert 22$/m, 'likewise to a record that is too short') or diag("$result->{peer}\n$result->{log}");
			like($result->{log}, qr/record of impossible length$/m, 'in words');
			my $change = sub { my ($from, $n, $record) = @_; substr($record, -20, 1) ^= "\1" if ord $record == 23 && $from ne $side; return $record };
			$result = meet({ side => $side, peer => 'openssl', env => { CIPHERS => $suite }, via => $change, app => [qw(readall)], steps => ['send', '100', 'readall'] });
			like($result->{peer}, qr/^end alert 20$/m, 'and to one that was changed on the way');
			like($result->{log}, qr/record failed authentication$/m, 'in words');
		}
	}
};

subtest 'SHA-1 is for the records of older suites, not for signatures' => sub {
	my ($hello) = hellos({}, 'ECDHE-RSA-AES128-SHA:ECDHE-ECDSA-AES256-SHA');
	cmp_ok(scalar @{ $hello->{schemes} }, '>', 5, 'our client says which signatures it takes');
	is(join(' ', grep { $_ >> 8 < 4 } @{ $hello->{schemes} }), '', 'none with SHA-1');
	my %own = (CIPHERS => 'ECDHE-RSA-AES128-SHA', CAFILE => file('root.pem'));
	my $server = serve({ env => pair('server-rsa', %own) }, command('tcpserver'), '-1v', '127.0.0.1', '0', command('tlsd'), '-y', 'sh', '-c', 'echo "<$SSL_CIPHER $SSL_PEER_CERT_SUBJECT>"');
	my @certificate = ('-cert', file('client.pem'), '-key', file('client.key'), '-tls1_2', '-cipher', 'ECDHE-RSA-AES128-SHA:@SECLEVEL=0');
	my $result = s_client({}, $server->{port}, @certificate);
	like($result->{out}, qr/^<ECDHE-RSA-AES128-SHA .*Test Client>$/m, 'a client with a certificate');
	my ($signatures) = $result->{out} =~ /^Requested Signature Algorithms: (.*)$/m;
	like($signatures, qr/SHA256/, 'our server says which it takes');
	unlike($signatures, qr/SHA1|SHA224|MD5/, 'none with SHA-1');
	$server->stop;
};

# Bleichenbacher's attack: whatever is wrong with what was encrypted, the answer is the one to a wrong Finished.
subtest 'RSA key exchange is no oracle' => sub {
	return if cannot('openssl', 'RSA key exchange and 3DES: exit code 96');
	my $server = sslserver({ env => { CIPHERS => 'AES128-SHA' } }, [], 'true');
	my $hello = pack 'n a32 C n n C C', 0x0303, 'r' x 32, 0, 2, 0x002f, 1, 0;
	my ($version, $rest) = ("\3\3", 'p' x 46);
	my %blocks = (
		'right' => "\0\2" . 'x' x 205 . "\0$version$rest", 'of another type' => "\0\1" . 'x' x 205 . "\0$version$rest", 'with a first byte that is not zero' => "\1\2" . 'x' x 205 . "\0$version$rest",
		'without an end of the padding' => "\0\2" . 'x' x 254, 'with an early end of it' => "\0\2" . 'x' x 100 . "\0" . 'x' x 104 . "\0$version$rest",
		'with a late end' => "\0\2" . 'x' x 207 . "\0$version" . 'p' x 44, 'of another version' => "\0\2" . 'x' x 205 . "\0\2\2$rest",
	);
	my %answers;
	for my $name (sort keys %blocks) {
		is(length $blocks{$name}, 256, "$name: a block as long as the modulus");
		my $encrypted = run({}, 'openssl', 'pkeyutl', '-encrypt', '-inkey', file('server-rsa.key'), '-pkeyopt', 'rsa_padding_mode:none', '-in', spew(temporary('block'), $blocks{$name}))->{out};
		my $socket = connect_to($server->{port});
		syswrite $socket, pack 'C n n/a*', 22, 0x0301, pack 'C C n/a*', 1, 0, $hello;
		my $flight = '';
		sysread $socket, $flight, 65536, length $flight or last until $flight =~ /\x0e\0\0\0\z/;
		syswrite $socket, pack('C n n/a*', 22, 0x0303, pack 'C C n/a*', 16, 0, pack 'n/a*', $encrypted) . pack('C n n/a*', 20, 0x0303, "\1") . pack('C n n/a*', 22, 0x0303, 'f' x 64);
		my $answer = unpack 'H*', read_all($socket, 5);
		my ($log) = connection($server)->{log} =~ /pid: \d+: (.*)/;
		$answers{"$answer, $log"} = 1;
	}
	is(join(' / ', keys %answers), '15030300020214, record failed authentication', 'one answer to all');
	$server->stop;
};

# ---- choices ----

subtest 'the order of the list is that of the server' => sub {
	my ($aes, $chacha) = ('ECDHE-RSA-AES128-GCM-SHA256', 'ECDHE-RSA-CHACHA20-POLY1305');
	my $chosen = sub { my ($server, $offered, @more) = @_; my $out = s_client({}, $server->{port}, '-tls1_2', '-cipher', "$offered:\@SECLEVEL=0", '-quiet', @more)->{out}; connection($server); return $out =~ /^<TLSv1\.2 (\S+) / ? $1 : $out };
	for my $list ("$aes:$chacha", "$chacha:$aes", 'ECDHE-RSA-AES256-SHA384:ECDHE-RSA-AES256-GCM-SHA384:ECDHE-RSA-AES128-SHA', 'HIGH:+AES128:!aECDSA') {
		my $server = sslserver({ env => { CIPHERS => $list } }, ['-s'], 'sh', '-c', $report_only);
		my @order = split /:/, $list =~ /HIGH/ ? join(':', grep { !/ECDSA/ } split /:/, (ours($list))[0]) : $list;
		is($chosen->($server, join ':', @order), $order[0], "$list: first of all that are offered");
		is($chosen->($server, join ':', reverse @order), $order[0], 'also to a client with another order');
		is($chosen->($server, join ':', reverse @order[1 .. $#order]), $order[1], 'the second, where the first is not offered');
		$server->stop;
	}
	my $server = sslserver({}, ['-s'], 'sh', '-c', $report_only);
	my ($first) = grep { $_ eq $aes || $_ eq $chacha } split /:/, (ours(''))[0];
	is($chosen->($server, "$aes:$chacha"), $first, 'without a list: by the processor');
	is($chosen->($server, "$chacha:$aes"), $chacha, 'but ChaCha20 to a client that has it first');
	$server->stop;
};

subtest 'by a rule' => sub {
	my $rules = temporary('rules.cdb');
	run({ in => "127.0.0.2:allow,CIPHERS=\"ECDHE-RSA-AES256-SHA\"\n127.0.0.3:allow,CIPHERS=\"FOO\"\n:allow\n" }, command('tcprules'), $rules, temporary('rules.tmp'));
	my $server = sslserver({}, ['-s', '-x', $rules], 'sh', '-c', $report_only);
	my $visit = sub { my ($from) = @_; return s_client({}, $server->{port}, '-bind', "$from:0", '-tls1_2', '-cipher', 'ALL:@SECLEVEL=0', '-quiet') };
	like($visit->('127.0.0.1')->{out}, qr/^<TLSv1\.2 ECDHE-RSA-(AES...-GCM|CHACHA20)/m, 'the others: the policy');
	connection($server);
	like($visit->('127.0.0.2')->{out}, qr/^\Q@{[described('ECDHE-RSA-AES256-SHA')]}\E$/m, 'an older suite for those who need it');
	connection($server);
	isnt($visit->('127.0.0.3')->{exit}, 0, 'a word that nobody knows: no connection');
	my $seen = connection($server);
	is($seen->{status}, 96 << 8, 'exit code 96');
	like($seen->{log}, qr/: CIPHERS: FOO: no cipher suite or group of that name$/m, 'in words');
	$server->stop;
};

done_testing;
