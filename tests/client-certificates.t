#!/usr/bin/perl
# Client certificates: -y and -Y of tlsd with CAFILE, CADIR, CCAFILE and VERIFYDEPTH, met by clients on OpenSSL and GnuTLS; -y and -Y of tlsc,
# met by their servers. Who is refused never gets a program started, is told by the right alert, and said in words. In each protocol version
# that the engine speaks: with TLS 1.3 a client's handshake is complete before its certificate is judged (RFC 8446 4.4.4), so its program may
# have started when the refusal comes.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Bear;
use BearTls;
use Certificates qw(seq integer number octets explicit oid bits);
use Test::More;

my $root = file('root.pem');
my $request = "GET / HTTP/1.0\r\n\r\n";
my $no_gnutls = (grep { -x "$_/gnutls-cli" } split /:/, $ENV{PATH}) ? 0 : 'no gnutls-cli';

# ---- certificates besides those of pki(): NAME.pem and NAME.key ----

spew(temporary('index.txt'), '');
spew(temporary('ca.cnf'), <<"END" . slurp(file('openssl.cnf')) =~ s/^\[ca\].*?(?=^\[any\])//msr);
[ca]
default_ca = dated
[dated]
database = @{[temporary('index.txt')]}
new_certs_dir = @{[temporary()]}
rand_serial = yes
default_md = sha256
policy = any
unique_subject = no
END
my %dates = (expired => ['20200101000000Z', '20210101000000Z'], early => ['20900101000000Z', '20910101000000Z']);

# key: a name of pki() whose key it has; issuer: path without ending; dates: a word of above.
sub certify {
	my ($name, %how) = @_;
	my ($key, $issuer, $path) = (file("$how{key}.key"), $how{issuer} || file('root'), temporary($name));
	my @validity = $how{dates} ? ('-startdate', $dates{ $how{dates} }[0], '-enddate', $dates{ $how{dates} }[1]) : ('-days', 30);
	openssl('req', '-config', temporary('ca.cnf'), '-new', '-key', $key, '-out', "$path.csr", '-subj', $how{subject} || "/O=Bear Test/CN=$name");
	openssl('ca', '-batch', '-notext', '-config', temporary('ca.cnf'), '-in', "$path.csr", '-out', "$path.pem", '-cert', "$issuer.pem", '-keyfile', "$issuer.key",
		'-extensions', $how{extensions} || 'client', '-md', 'sha256', '-preserveDN', @validity);
	spew("$path.key", slurp($key));
	return $path;
}
my %is = (right => file('client'));
$is{rsa} = certify('rsa', key => 'server-rsa');
$is{p384} = certify('p384', key => 'server-p384');
$is{expired} = certify('expired', key => 'client', dates => 'expired');
$is{early} = certify('early', key => 'client', dates => 'early');
$is{other} = certify('other', key => 'unknown', issuer => file('other-root'));
$is{'self-signed'} = file('self-signed');
$is{via} = certify('via', key => 'client', issuer => file('intermediate'));
$is{middle} = certify('middle', key => 'wrong-name', issuer => file('intermediate'), extensions => 'authority');
$is{deep} = certify('deep', key => 'client', issuer => $is{middle});
spew(temporary('via-chain.pem'), slurp("$is{via}.pem") . slurp(file('intermediate.pem')));
spew(temporary('deep-chain.pem'), join '', map { slurp("$_.pem") } @is{'deep', 'middle'}, file('intermediate'));
for my $name ('via', 'deep') {
	spew(temporary("$name-chain.rest"), join '', grep { defined } (slurp(temporary("$name-chain.pem")) =~ /(-----BEGIN.*?-----END[^\n]*\n)/gs)[1, 2]);    # all but the leaf
	spew(temporary("$name-chain.key"), slurp("$is{$name}.key"));
	$is{"$name with its chain"} = temporary("$name-chain");
}

# ---- clients of tlsd ----

my $marker = temporary('started');
my @show = ('sh', '-c', 'echo started >"$1"; env | LC_ALL=C sort | grep ^SSL_; echo "<end>"', 'sh', $marker);

my $version = newest();    # of the subtests that do not say otherwise

sub server {
	my ($letters, %env) = @_;
	return serve({ env => pair('server-p256', TLS_MAXVERSION => $version, %env) }, command('tcpserver'), '-1v', '127.0.0.1', '0', command('tlsd'), @$letters, @show);
}

# What each client does with a pair of files, or without: { exit, out, err }, the words by which it tells of an alert in $told.
my %clients = (
	openssl => sub {
		my ($port, $pair) = @_;
		my @chain = $pair && -e "$pair.rest" ? ('-cert_chain', "$pair.rest") : ();
		return s_client({ in => $request }, $port, $pair ? ('-cert', "$pair.pem", '-key', "$pair.key", @chain) : ());
	},
	curl => sub {
		my ($port, $pair) = @_;
		return run('curl', '-sS', '--http0.9', '--cacert', $root, $pair ? ('--cert', "$pair.pem", '--key', "$pair.key") : (), "https://localhost:$port/");
	},
	'gnutls-cli' => sub {
		my ($port, $pair) = @_;
		return run({ in => $request }, 'gnutls-cli', '--x509cafile', $root, $pair ? ('--x509certfile', "$pair.pem", '--x509keyfile', "$pair.key") : (), '-p', $port, 'localhost');
	},
	tlsc => sub {
		my ($port, $pair) = @_;
		return run({ env => { CAFILE => $root, $pair ? (CERTFILE => "$pair.pem", KEYFILE => "$pair.key") : () } }, command('tcpclient'), '127.0.0.1', $port,
			command('tlsc'), '-k', 'localhost', 'sh', '-c', 'exec cat <&6');
	},
);
my %told = (
	40 => qr/handshake.fail(ure|ed)/i, 45 => qr/certificate.(is.)?expired|\(60\) SSL certificate verification failed/i, 48 => qr/unknown.ca\b|CA is unknown/i,
	116 => qr/certificate.(is.)?required/i,
);

# like and unlike for what is long.
sub says { my ($text, $pattern, $name) = @_; return ok($text =~ $pattern, $name) || diag('does not match ', $pattern) }
sub silent { my ($text, $pattern, $name) = @_; return ok($text !~ $pattern, $name) || diag('matches ', $pattern) }

sub status_of { my ($server, $nth) = @_; my @all; wait_until(sub { @all = $server->log =~ /^tcpserver: end \d+ status (\d+)$/mg; @all >= $nth }, 10); return $all[$nth - 1] }

for my $case (map { my $client = $_; map { [$client, $_] } versions() } sort keys %clients) {
	my $client;
	($client, $version) = @$case;
	subtest "clients: $client, $version" => sub {
		plan skip_all => $no_gnutls if $client eq 'gnutls-cli' && $no_gnutls;
		my $call = $clients{$client};
		for my $letter ('-y', '-Y') {
			my $server = server([$letter], CAFILE => $root);
			my $n = 0;
			for my $case (['right', 0], ['rsa', 0], ['p384', 0], ['via with its chain', 0],
				['none', $letter eq '-y' ? $version eq 'TLSv1.2' ? 40 : 116 : 0, qr/client presented no certificate|no.*certificate/i],
				['expired', 45, qr/certificate has expired/], ['early', 45, qr/certificate is not yet valid/], ['other', 48, qr/certificate is not from a trusted authority/],
				['self-signed', 48, qr/certificate is not from a trusted authority/], ['via', 48, qr/certificate is not from a trusted authority/]) {
				my ($kind, $alert, $reason) = @$case;
				unlink $marker;
				# gnutls-cli and curl on GnuTLS choose by the names of CAs; what is not theirs stays at home, which is none.
				my $result = $call->($server->{port}, $kind eq 'none' ? undef : $is{$kind});
				my $words = "$letter, $kind";
				my $status = status_of($server, ++$n);
				my ($last) = $server->log =~ /.*^(tlsd-io: .*)$/ms;
				if (!$alert) {
					says($result->{out}, qr/^<end>$/m, "$words: is served") or diag($last // '');
					is($status, 0, "$words: status 0");
					($kind eq 'none' ? \&silent : \&says)->($result->{out}, qr/^SSL_PEER_CERT_(HASH|SUBJECT)/m, "$words: prog is told so");
					next;
				}
				silent($result->{out}, qr/^<end>/m, "$words: is not served");
				ok(!-e $marker, "$words: the program never starts");
				is($status, 98 << 8, "$words: exit code 98");
				if ($client eq 'gnutls-cli' && $kind =~ /\A(other|self-signed|via)\z/ && $last =~ /no.*certificate/i) {
					says("$result->{out}$result->{err}", $told{ $version eq 'TLSv1.2' ? 40 : 116 }, "$words: the client kept it for itself");
					next;
				}
				like($last, qr/\Atlsd-io: error: unable to speak TLS from: 127\.0\.0\.1 for pid: \d+: $reason/, "$words: in words");
				says("$result->{out}$result->{err}", $told{$alert}, "$words: by the right alert") unless $client eq 'tlsc';
				like($result->{err}, qr/peer sent alert .*$told{$alert}/, "$words: by the right alert") if $client eq 'tlsc';
			}
			$server->stop;
		}
	};
}

$version = newest();

subtest 'nobody is asked without -y or -Y' => sub {
	my $server = server([], CAFILE => $root);
	my $result = $clients{openssl}->($server->{port}, $is{right});
	says($result->{out}, qr/^No client certificate CA names sent$/m, 'openssl s_client');
	silent($result->{out}, qr/SSL_PEER_CERT/, 'and prog knows of none');
	$server->stop;
};

subtest 'a signature by another key' => sub {
	# TLS 1.2 sends CertificateVerify (type 15) in clear, so it can be spoiled on its way: the last byte of the signature.
	my $between = spew(temporary('between'), <<'PERL');
use strict; use IO::Select; use IO::Socket::IP;
my ($port, $spoil) = @ARGV;
$| = 1; $SIG{PIPE} = 'IGNORE';
my $listener = IO::Socket::IP->new(LocalHost => '127.0.0.1', LocalPort => 0, Listen => 1) or die;
print $listener->sockport, "\n";
my $client = $listener->accept or die;
my $server = IO::Socket::IP->new(PeerHost => '127.0.0.1', PeerPort => $port) or die;
my $kept = '';
my $both = IO::Select->new($client, $server);
while ($both->count) {
	for my $from ($both->can_read(10)) {
		my $to = $from == $client ? $server : $client;
		if (!sysread $from, my $bytes, 65536) { $both->remove($from); shutdown $to, 1; next }
		elsif ($from == $client) {
			$kept .= $bytes;
			$bytes = '';
			while (length $kept >= 5 && length $kept >= 5 + unpack 'x3 n', $kept) {
				my $record = substr $kept, 0, 5 + unpack('x3 n', $kept), '';
				if (ord $record == 22 && ord(substr $record, 5) == 15) { print STDERR "spoiled\n"; substr($record, -1) ^= "\1" if $spoil }
				$bytes .= $record;
			}
			syswrite $to, $bytes if length $bytes;
		} else { syswrite $to, $bytes }
	}
}
PERL
	my $server = server(['-y'], CAFILE => $root, TLS_MAXVERSION => 'TLSv1.2');
	my $n = 0;
	for my $kind ('right', 'rsa', 'p384') {
		for my $spoil (0, 1) {
			unlink $marker;
			my $proxy = serve($^X, $between, $server->{port}, $spoil);
			my $result = s_client({ in => $request }, $proxy->{port}, '-tls1_2', '-cert', "$is{$kind}.pem", '-key', "$is{$kind}.key");
			my $status = status_of($server, ++$n);
			like($proxy->log, qr/spoiled/, "$kind: a CertificateVerify passes by");
			if (!$spoil) {
				says($result->{out}, qr/^<end>$/m, "$kind: as it is, it is good");
				next;
			}
			is($status, 98 << 8, "$kind: spoiled: exit code 98");
			ok(!-e $marker, "$kind: the program never starts");
			my ($last) = $server->log =~ /.*^(tlsd-io: .*)$/ms;
			like($last, qr/signature/, "$kind: in words");
			like($result->{err}, qr/SSL alert number (51|40)$/m, "$kind: by an alert");
		}
	}
	$server->stop;
};

# ---- certificates of others ----

# A key file with the public half of a certificate, as anybody has it, and the private half of another key.
sub forged_key {
	my ($pair, $name) = @_;
	my ($theirs, $file) = (openssl('x509', '-in', "$pair.pem", '-noout', '-pubkey'), temporary("forged-$name"));
	my $public = openssl('pkey', '-pubin', '-in', spew("$file.pub", $theirs), '-outform', 'DER');
	if ($public =~ /\x2a\x86\x48\xce\x3d\x02\x01/) {
		spew("$file.der", seq(number(1), octets("\x11" x 32), explicit(0, oid('1.2.840.10045.3.1.7')), explicit(1, bits(substr $public, -65))));
		openssl('ec', '-inform', 'DER', '-in', "$file.der", '-out', "$file.key");
		return "$file.key";
	}
	# Of an RSA key (RFC 8017 A.1.2) everything but modulus and exponent is from another one.
	my %number = map { my $name = $_; $name => [openssl('rsa', '-in', $_ eq 'own' ? file('root.key') : "$pair.key", '-noout', '-text') =~ /^(?:modulus|privateExponent|prime1|prime2|exponent1|exponent2|coefficient):\n((?:    .*\n)+)/mg] } 'own', 'theirs';
	my @own = map { pack 'H*', s/[\s:]//gr } @{ $number{own} };
	my ($modulus) = map { pack 'H*', s/[\s:]//gr } $number{theirs}[0];
	spew("$file.der", seq(number(0), integer($modulus), number(65537), map { integer($_) } @own[1 .. 6]));
	openssl('rsa', '-inform', 'DER', '-in', "$file.der", '-out', "$file.key");
	return "$file.key";
}

subtest 'a certificate of somebody else' => sub {
	for my $case (map { my $v = $_; map { [$v, $_] } 'right', 'rsa' } versions()) {
		my ($v, $kind) = @$case;
		my $result;
		my $key = forged_key($is{$kind}, $kind);
		for my $letter ('-y', '-Y') {
			my $server = server([$letter], CAFILE => $root, TLS_MAXVERSION => $v);
			my $present = sub { unlink $marker; return s_client({ in => $request }, $server->{port}, '-cert', "$is{$kind}.pem", '-key', $_[0]) };
			says($present->("$is{$kind}.key")->{out}, qr/^SSL_PEER_CERT_HASH/m, "$v, $letter, $kind: with its key it is told to prog");
			$result = $present->($key);
			is(status_of($server, 2), 98 << 8, "$v, $letter, $kind: with another key: exit code 98");
			ok(!-e $marker, 'no program starts that could be told');
			my ($last) = $server->log =~ /.*^(tlsd-io: .*)$/ms;
			like($last, qr/\Atlsd-io: error: unable to speak TLS from: 127\.0\.0\.1 for pid: \d+: .*signature/, 'in words');
			like($result->{err}, qr/SSL alert number (51|40)$/m, 'by an alert') or diag($result->{err});
			$server->stop;
		}
		# The other way round: a server with the certificate of another. Clients would export it as SSL_SERVER_.
		my $pair = $kind eq 'rsa' ? 'server-rsa' : 'server-p256';
		for my $own (1, 0) {
			my $server = s_server({ pair => $pair, answers => 1 }, '-rev', $v eq 'TLSv1.2' ? '-tls1_2' : '-tls1_3', $own ? () : ('-key', forged_key(file($pair), $pair)));
			unlink $marker;
			$result = run({ env => { CAFILE => $root } }, command('tcpclient'), '127.0.0.1', $server->{port}, command('tlsc'), '-k', 'localhost', 'touch', $marker);
			is($result->{exit}, $own ? 0 : 98, "$v, $kind: a server " . ($own ? 'with its own certificate' : 'with that of another')) or diag($result->{err});
			is(-e $marker ? 1 : 0, $own, $own ? 'the program starts' : 'no program starts');
			like($result->{err}, qr/\Atlsc-io: error: unable to speak TLS to: 127\.0\.0\.1 for pid: \d+: .*signature/, 'in words') unless $own;
			$server->stop;
		}
	}
};

# ---- variables ----

subtest 'variables' => sub {
	my $x509 = sub { my ($path, @what) = @_; my $out = openssl('x509', '-in', "$path.pem", '-noout', @what); chomp $out; return $out =~ s/\A\w+( Fingerprint)?=\s*//r };
	for my $kind ('right', 'rsa', 'via with its chain') {
		my $pair = $is{$kind};
		my $server = serve({ env => pair('server-p256', CAFILE => $root, TLS_REPORT => 'full', SSL_CLIENT_S_DN => 'old', SSL_CLIENT_CERT_CHAIN_7 => 'old') }, command('tcpserver'),
			'-1', '127.0.0.1', '0', command('tlsd'), '-Y', 'perl', '-e', 'print map { "$_=$ENV{$_}\0" } grep { /^SSL_(CLIENT|PEER)/ } sort keys %ENV; print "\0"');
		my $seen = sub { my ($result) = @_; return map { split /=/, $_, 2 } ($result->{out} =~ /^(SSL_.*)\0\0/ms ? split /\0/, $1 : ()) };
		my %env = $seen->($clients{openssl}->($server->{port}, $pair));
		my $hash = $x509->($pair, '-fingerprint', '-sha256') =~ s/://gr;
		is($env{SSL_PEER_CERT_HASH}, 'SHA256:' . lc $hash, "$kind: SSL_PEER_CERT_HASH");
		is($env{SSL_PEER_CERT_SUBJECT}, $x509->($pair, '-subject') =~ s/ = /=/gr, "$kind: SSL_PEER_CERT_SUBJECT");
		is($env{SSL_CLIENT_VERIFY}, 'SUCCESS', "$kind: SSL_CLIENT_VERIFY");
		is($env{SSL_CLIENT_S_DN}, $x509->($pair, '-subject', '-nameopt', 'RFC2253'), "$kind: SSL_CLIENT_S_DN");
		is($env{SSL_CLIENT_I_DN}, $x509->($pair, '-issuer', '-nameopt', 'RFC2253'), "$kind: SSL_CLIENT_I_DN");
		is($env{SSL_CLIENT_S_DN_O}, 'Bear Test', "$kind: SSL_CLIENT_S_DN_O");
		is($env{SSL_CLIENT_S_DN_CN}, $x509->($pair, '-subject', '-nameopt', 'RFC2253') =~ s/^CN=(.*?),.*/$1/r, "$kind: SSL_CLIENT_S_DN_CN");
		is($env{SSL_CLIENT_M_SERIAL}, $x509->($pair, '-serial'), "$kind: SSL_CLIENT_M_SERIAL");
		is($env{SSL_CLIENT_M_VERSION}, 3, "$kind: SSL_CLIENT_M_VERSION");
		is($env{SSL_CLIENT_V_START}, $x509->($pair, '-startdate'), "$kind: SSL_CLIENT_V_START");
		is($env{SSL_CLIENT_V_END}, $x509->($pair, '-enddate'), "$kind: SSL_CLIENT_V_END");
		is($env{SSL_CLIENT_SAN_Email_0}, 'client@example.test', "$kind: SSL_CLIENT_SAN_Email_0");
		my $text = openssl('x509', '-in', "$pair.pem", '-noout', '-text');
		is($env{SSL_CLIENT_A_SIG}, ($text =~ /Signature Algorithm: (\S+)/)[0], "$kind: SSL_CLIENT_A_SIG");
		is($env{SSL_CLIENT_A_KEY}, ($text =~ /Public Key Algorithm: (\S+)/)[0], "$kind: SSL_CLIENT_A_KEY");
		is(($env{SSL_CLIENT_CERT} // '') =~ s/\s+\z//r, openssl('x509', '-in', "$pair.pem") =~ s/\s+\z//r, "$kind: SSL_CLIENT_CERT");
		# Without a chain of its own openssl s_client sends the root that it knows.
		is(($env{SSL_CLIENT_CERT_CHAIN_0} // '') =~ s/\s+\z//r, slurp($kind =~ /chain/ ? file('intermediate.pem') : $root) =~ s/\s+\z//r, "$kind: SSL_CLIENT_CERT_CHAIN_0");
		ok(!exists $env{SSL_CLIENT_CERT_CHAIN_7}, "$kind: and what somebody else left behind is gone");

		%env = $seen->($clients{openssl}->($server->{port}, undef));
		is(join(' ', map { "$_=$env{$_}" } sort keys %env), 'SSL_CLIENT_VERIFY=NONE', 'of no certificate: NONE and nothing else');
		$server->stop;
	}
};

# ---- CAs ----

sub store {
	my ($name, %files) = @_;
	my $store = temporary($name);
	mkdir $store or die "$store: $!";
	spew("$store/$_", $files{$_}) for keys %files;
	return $store;
}

subtest 'CAFILE, CADIR, CCAFILE' => sub {
	my %name = (root => 'O = Bear Test, CN = Root RSA', 'root-ec' => 'O = Bear Test, CN = root-ec', 'other-root' => 'O = Bear Test, CN = other-root');
	my ($other_root, $roots) = (file('other-root.pem'), file('roots.pem'));
	my %text = map { $_ => slurp(file("$_.pem")) } keys %name;
	my $any = store('any names', 'root.txt' => $text{root}, 'no ending' => $text{'other-root'}, 'notes' => "nothing to see\n", '.hidden' => $text{'root-ec'});
	mkdir "$any/folder" or die;
	my $der = store('der', one => openssl('x509', '-in', $root, '-outform', 'DER'));
	my @cases = (
		# name, environment, CA names in order of their file (sorted for folders), served with the right, the other one
		['CAFILE', { CAFILE => $root }, ['root'], 1, 0],
		['CAFILE of two', { CAFILE => $roots }, ['root', 'root-ec'], 1, 0],
		['CADIR, any file names', { CADIR => $any }, ['other-root', 'root'], 1, 1],
		['CADIR, in DER', { CADIR => $der }, ['root'], 1, 0],
		['CAFILE and CADIR', { CAFILE => $other_root, CADIR => $der }, ['other-root', 'root'], 1, 1],
		['CCAFILE alone is both', { CCAFILE => $root }, ['root'], 1, 0],
		['CCAFILE names, CAFILE decides', { CCAFILE => $other_root, CAFILE => $root }, ['other-root'], 1, 0],
		['CCAFILE names, CADIR decides', { CCAFILE => $roots, CADIR => $any }, ['root', 'root-ec'], 1, 1],
		['CCAFILE empty', { CCAFILE => '', CAFILE => $root }, ['root'], 1, 0],
	);
	for my $case (@cases) {
		my ($name, $env, $names, $right, $other) = @$case;
		my $server = server(['-y'], %$env);
		my $result = $clients{openssl}->($server->{port}, $is{right});
		my ($shown) = $result->{out} =~ /^Acceptable client certificate CA names\n(.*?)^(?:Client Certificate Types|Requested)/ms;
		is(join('; ', sort split /\n/, $shown // ''), join('; ', sort map { $name{$_} } @$names), "$name: the names that the client sees");
		says($result->{out}, $version eq 'TLSv1.2' ? qr/^Client Certificate Types: (?=.*RSA sign)(?=.*ECDSA sign)/m
			: qr/^Requested Signature Algorithms: (?=.*RSA-PSS\+SHA256)(?=.*ECDSA\+SHA256)/m, "$name: keys of either kind");
		($right ? \&says : \&silent)->($result->{out}, qr/^<end>$/m, "$name: the right one");
		($other ? \&says : \&silent)->($clients{openssl}->($server->{port}, $is{other})->{out}, qr/^<end>$/m, "$name: one of another CA");
		$server->stop;
	}

	for my $letter ('-y', '-Y') {
		my $server = server([$letter], CAFILE => $root, CCAFILE => '-');
		my $result = $clients{openssl}->($server->{port}, $is{expired});
		says($result->{out}, qr/^No client certificate CA names sent$/m, "$letter, CCAFILE=-: nothing is asked");
		says($result->{out}, qr/^<end>$/m, "$letter, CCAFILE=-: all are served");
		silent($result->{out}, qr/^SSL_PEER_CERT/m, "$letter, CCAFILE=-: of no certificate");
		$server->stop;
	}

	my $empty = store('empty');
	my $gone = temporary('gone');
	for my $letter ('-y', '-Y') {
		for my $bad ([{}, 'CAFILE'], [{ CAFILE => $gone }, $gone], [{ CADIR => $gone }, $gone], [{ CADIR => $empty }, 'CA'], [{ CCAFILE => $gone }, $gone],
			[{ CCAFILE => $gone, CAFILE => $root }, $gone], [{ CAFILE => $root, VERIFYDEPTH => 'x' }, 'VERIFYDEPTH'], [{ CAFILE => $root, TLS_VERIFY => 'none' }, 'TLS_VERIFY']) {
			my ($env, $words) = @$bad;
			my $name = join ' ', 'tlsd-io', $letter, map { "$_=$env->{$_}" =~ s{/\S*/}{}r } sort keys %$env;
			my $result = run({ env => pair('server-p256', %$env) }, command(io_program('tlsd-io')), '-C', $letter, '0', '1');
			is($result->{exit}, 96, "$name: exit 96");
			like($result->{err}, qr/\Atlsd-io: fatal: .*\Q$words\E.*\n\z/, 'in words');
		}
	}
};

subtest 'VERIFYDEPTH' => sub {
	for my $case ([undef, 1, 1, 0], [0, 1, 0, 0], [1, 1, 1, 0], [2, 1, 1, 1], [16, 1, 1, 1]) {
		my ($depth, @expected) = @$case;
		my $server = server(['-y'], CAFILE => $root, VERIFYDEPTH => $depth);
		my @seen = map { $clients{openssl}->($server->{port}, $is{$_})->{out} =~ /^<end>$/m ? 1 : 0 } 'right', 'via with its chain', 'deep with its chain';
		is("@seen", "@expected", ($depth // 'unset') . ': none, one, two intermediates');
		$server->stop;
	}
};

# ---- tlsc ----

sub tlsc {
	my ($port, $letters, $pair, @prog) = @_;
	my %own = $pair ? (CERTFILE => "$pair.pem", KEYFILE => "$pair.key") : ();
	return run({ env => { CAFILE => $root, TLS_MAXVERSION => $version, %own } }, command('tcpclient'), '127.0.0.1', $port, command('tlsc'), @$letters, '-k', 'localhost', @prog);
}

my @reverse = ('sh', '-c', 'echo started >"$1"; echo abc >&7; read line <&6; echo "$line"', 'sh', $marker);

for my $most (versions()) {
	subtest "tlsc and openssl s_server, $most" => sub {
		$version = $most;
		my $none = $version eq 'TLSv1.2' ? 'handshake_failure' : 'certificate_required';
		for my $case (
			['demanded, right', '-Verify', [], 'right', 1], ['demanded, -y', '-Verify', ['-y'], 'right', 1], ['demanded, RSA', '-Verify', ['-y'], 'rsa', 1],
			['demanded, P-384', '-Verify', ['-y'], 'p384', 1], ['demanded, through an intermediate', '-Verify', ['-y'], 'via with its chain', 1],
			['demanded, none', '-Verify', [], undef, 0, $none], ['demanded, -Y', '-Verify', ['-Y'], 'right', 0, $none],
			['demanded, expired', '-Verify', ['-y'], 'expired', 0, 'certificate_expired'], ['demanded, not yet valid', '-Verify', ['-y'], 'early', 0, 'bad_certificate'],
			['demanded, other CA', '-Verify', ['-y'], 'other', 0, 'unknown_ca'],
			['asked for, none', '-verify', [], undef, 1], ['asked for, -Y', '-verify', ['-Y'], 'right', 1], ['asked for, right', '-verify', ['-y'], 'right', 1],
			['not asked for', undef, ['-y'], 'right', 1]) {
			my ($name, $ask, $letters, $kind, $served, $alert) = @$case;
			unlink $marker;
			my $server = s_server({ answers => 1 }, '-rev', '-CAfile', $root, $ask ? ($ask, '3', '-verify_return_error') : ());
			my $result = tlsc($server->{port}, $letters, $kind && $is{$kind}, @reverse);
			if ($served) {
				is($result->{exit}, 0, "$name: exit 0") or diag($result->{err});
				is($result->{out}, "cba\n", 'has its answer');
				my $presented = $kind && $ask && "@$letters" ne '-Y';
				my $leaf = $presented ? openssl('x509', '-in', "$is{$kind}.pem", '-noout', '-subject') =~ s/^subject=//r =~ s/\n//r : '';
				($presented ? \&says : \&silent)->($server->log . slurp($server->{out}), $presented ? qr/^depth=0 \Q$leaf\E$/m : qr/^depth=0/m, 'as the server saw');
			} else {
				is($result->{exit}, 98, "$name: exit 98");
				like($result->{err}, qr/\Atlsc-io: error: unable to speak TLS to: 127\.0\.0\.1 for pid: \d+: peer sent alert $alert\n\z/, 'in words');
				ok(!-e $marker, 'the program never starts') if $version eq 'TLSv1.2';
				is($result->{out} =~ s/\n//r, '', 'it gets nothing');
			}
			$server->stop;
		}
	};

	subtest "tlsc and gnutls-serv, $most" => sub {
		$version = $most;
		plan skip_all => 'no gnutls-serv' unless grep { -x "$_/gnutls-serv" } split /:/, $ENV{PATH};
		my $server = start('gnutls-serv', '--echo', '-p', '0', '--x509certfile', file('server-rsa.pem'), '--x509keyfile', file('server-rsa.key'), '--x509cafile', $root,
			'--require-client-cert', '--verify-client-cert');
		$server->{port} = wait_until(sub { BearTls::listening_port($server->{pid}) }, 5);
		my @echo = ('sh', '-c', 'echo started >"$1"; echo abc >&7; read line <&6; echo "$line"', 'sh', $marker);
		for my $kind ('right', 'rsa', 'p384', 'via with its chain') {
			my $result = tlsc($server->{port}, ['-y'], $is{$kind}, @echo);
			is($result->{exit}, 0, "$kind: exit 0") or diag($result->{err}, $server->log, slurp($server->{out}));
			is($result->{out}, "abc\n", 'has its answer');
		}
		for my $kind (undef, 'expired', 'other') {
			unlink $marker;
			my $result = tlsc($server->{port}, [], $kind && $is{$kind}, @echo);
			my $name = $kind // 'none';
			is($result->{exit}, 98, "$name: exit 98");
			like($result->{err}, qr/\Atlsc-io: error: unable to speak TLS to: 127\.0\.0\.1 for pid: \d+: peer (sent alert \w+|ended the connection during the handshake)\n\z/, 'in words');
			ok(!-e $marker, 'the program never starts') if $version eq 'TLSv1.2';
			is($result->{out} =~ s/\n//r, '', 'it gets nothing');
		}
		$server->stop;
	};
}
$version = newest();

subtest 'tlsc and tlsd' => sub {
	my $server = server(['-y'], CAFILE => $root);
	for my $case ([['-y'], 'right', 1], [[], 'right', 1], [['-Y'], 'right', 0], [['-Yy'], 'right', 1], [['-y'], 'other', 0]) {
		my ($letters, $kind, $served) = @$case;
		my $result = tlsc($server->{port}, $letters, $is{$kind}, 'sh', '-c', 'exec cat <&6');
		is($result->{exit}, $served ? 0 : 98, "tlsc @$letters, $kind");
		($served ? \&says : \&silent)->($result->{out}, qr/^SSL_PEER_CERT_SUBJECT=O=Bear Test, CN=Test Client$/m, 'and what prog is told');
	}
	$server->stop;
};

subtest 'what a client cannot present' => sub {
	my $encrypted = temporary('encrypted.key');
	openssl('pkey', '-in', "$is{right}.key", '-aes256', '-passout', 'pass:x', '-out', $encrypted);
	for my $case (
		[['-y'], {}, 'no certificate'], [['-y'], { CERTFILE => "$is{right}.pem", KEYFILE => "$is{rsa}.key" }, 'does not belong'],
		[['-y'], { CERTFILE => "$is{right}.pem", KEYFILE => file('server-p256.key') }, 'does not belong'],
		[[], { CERTFILE => "$is{right}.pem", KEYFILE => file('server-p256.key') }, 'does not belong'],
		[['-y'], { CERTFILE => temporary('gone.pem') }, 'gone\.pem'], [['-y'], { CERTFILE => "$is{right}.pem", KEYFILE => temporary('gone.key') }, 'gone\.key'],
		[['-y'], { CERTFILE => "$is{right}.pem", KEYFILE => $encrypted }, 'encrypted']) {
		my ($letters, $env, $words) = @$case;
		my $result = run({ env => { CAFILE => $root, %$env } }, command(io_program('tlsc-io')), '-C', @$letters, '-k', 'localhost', '0', '1');
		is($result->{exit}, 96, "tlsc-io @$letters, $words: exit 96");
		like($result->{err}, qr/\Atlsc-io: fatal: .*$words.*\n\z/, 'in words');
	}
	my $result = run({ env => { CAFILE => $root, CERTFILE => temporary('gone.pem') } }, command(io_program('tlsc-io')), '-C', '-Y', '-k', 'localhost', '0', '1');
	is($result->{exit}, 0, 'with -Y nothing of that is looked at');
};

done_testing;
