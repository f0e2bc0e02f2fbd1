#!/usr/bin/perl
# tlscert and CAs: kinds of keys, CAs of one's own and of openssl, how long their certificates are valid, and who may not sign.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Bear;
use BearTls;
use Certificates ();
use TlsCert;
use Test::More;

my %curves = (p256 => 'P-256', p384 => 'P-384');
my %cas;    # type => folder with ca.pem and ca.key
subtest '-t, with CAs of each type' => sub {
	for my $type (qw(p256 p384 rsa2048 rsa2056 rsa4096)) {
		$cas{$type} = my $folder = made('-A', '-l', '1', '-t', $type, '-k', 'ca.key', 'ca.pem', "CA of $type");
		my $text = text("$folder/ca.pem", '-text');
		if ($curves{$type}) { like($text, qr/NIST CURVE: $curves{$type}/, $type) }
		else {
			my ($bits) = $type =~ /(\d+)/;
			like($text, qr/Public-Key: \($bits bit\)/, "$bits bits");
			like($text, qr/Exponent: 65537 /, 'the exponent is 65537');
		}
		like($text, $type eq 'p384' ? qr/ecdsa-with-SHA384/ : $type eq 'p256' ? qr/ecdsa-with-SHA256/ : qr/sha256WithRSAEncryption/, 'its hash');
		like(openssl('pkey', '-in', "$folder/ca.key", '-check', '-noout'), qr/valid/, 'openssl finds the key valid');
	}
	for my $case (['p256', 'p384', 'ecdsa-with-SHA256'], ['p384', 'p256', 'ecdsa-with-SHA384'], ['rsa2048', 'p256', 'sha256WithRSAEncryption'], ['p256', 'rsa2048', 'ecdsa-with-SHA256'],
		['rsa4096', 'rsa2048', 'sha256WithRSAEncryption']) {
		my ($ca, $type, $algorithm) = @$case;
		my $folder = made('-c', "$cas{$ca}/ca.pem", '-K', "$cas{$ca}/ca.key", '-t', $type, 'server.pem', 'www.example.org');
		like(text("$folder/server.pem", '-text'), qr/Signature Algorithm: $algorithm/, "a $type signed with $ca");
		ok(verified("$folder/server.pem", "$cas{$ca}/ca.pem", 'sslserver'), 'openssl accepts it');
		my $result = run('certtool', '--verify', '--load-ca-certificate', "$cas{$ca}/ca.pem", '--infile', "$folder/server.pem");
		like($result->{out}, qr/Verified\. The certificate is trusted/, 'so does certtool');
	}
	like(text(made(qw(-t rsa2048 server.pem a.test)) . '/server.pem', '-text'), qr/ Key Usage: critical\n\s+Digital Signature, Key Encipherment\n/, 'RSA servers: key encipherment as well');
	my $missing = qr/^tlscert: fatal: -t takes p256, p384, or rsa2048 to rsa4096$/m;
	refused("-t $_", 100, $missing, '-t', $_, qw(a.pem a.test)) for qw(p521 rsa1024 rsa2047 rsa2049 rsa4104 rsa rsa2048x ed25519), '';
};

my ($ca, $ca_key) = map { "$cas{p256}/$_" } qw(ca.pem ca.key);

subtest 'a CA of one\'s own' => sub {
	my $folder = made('-A', 'both.pem', 'Größe & Co');
	my $text = text("$folder/both.pem", '-text');
	like($text, qr/Basic Constraints: critical\n\s+CA:TRUE, pathlen:0\n/, 'path length 0');
	like($text, qr/ Key Usage: critical\n\s+Certificate Sign, CRL Sign\n/, 'key usage');
	unlike($text, qr/Extended Key Usage|Alternative Name/, 'for all purposes, for no host');
	like(text("$folder/both.pem", '-subject', '-nameopt', 'utf8'), qr/CN ?= ?Größe & Co$/, 'its name in UTF-8');
	like(text($ca, '-text'), qr/CA:TRUE, pathlen:1\n/, '-l 1');
	made({ in_folder => $folder }, qw(-c both.pem server.pem www.example.org));
	ok(verified("$folder/server.pem", "$folder/both.pem", 'sslserver'), 'key and certificate of the CA in one file');
	my ($mine) = text("$folder/both.pem", '-text') =~ /Subject Key Identifier: \n\s+([0-9A-F:]+)\n/;
	like(text("$folder/server.pem", '-text'), qr/Authority Key Identifier: \n\s+(?:keyid:)?\Q$mine\E\n/, 'the authority is named by its identifier');
	is(() = slurp("$folder/server.pem") =~ /BEGIN CERTIFICATE/g, 1, 'the root is not sent along');
};

subtest 'a CA below it' => sub {
	my $folder = made('-A', '-c', $ca, '-K', $ca_key, 'between.pem', 'Between');
	is(() = slurp("$folder/between.pem") =~ /BEGIN CERTIFICATE/g, 1, 'the certificate alone');
	ok(verified("$folder/between.pem", $ca, 'any'), 'signed by the root');
	made({ in_folder => $folder }, qw(-c between.pem server.pem www.example.org));
	is(() = slurp("$folder/server.pem") =~ /BEGIN CERTIFICATE/g, 2, 'a server\'s file has the one between as well');
	my $result = run({ env => { CAFILE => $ca } }, command('tlsverify'), '-n', 'www.example.org', "$folder/server.pem");
	like($result->{out}, qr/\Aleaf: CN=www\.example\.org .*\nissuer: CN=Between .*\nanchor: CN=CA of p256 .*\nok\n\z/, 'and is trusted by those who know the root') or diag($result->{out});
	refused('a third', 96, qr/^tlscert: fatal: unable to make a certificate that is accepted: the path length of the CA is 0: there may be no other CA below it$/m,
		'-A', '-c', "$folder/between.pem", 'third.pem', 'Third');
	refused('-l as large as the CA\'s', 96, qr/: the path length of the CA does not allow that of the new one \(-l\)$/m, '-A', '-l', '1', '-c', $ca, '-K', $ca_key, 'between.pem', 'Between');
	$folder = made(qw(-A -l 2 root.pem Root));
	made({ in_folder => $folder }, qw(-A -l 1 -c root.pem first.pem First));
	made({ in_folder => $folder }, qw(-A -c first.pem second.pem Second));
	made({ in_folder => $folder }, qw(-c second.pem server.pem www.example.org));
	is(() = slurp("$folder/server.pem") =~ /BEGIN CERTIFICATE/g, 3, 'two between: both are there');
	is(run({ env => { CAFILE => "$folder/root.pem" } }, command('tlsverify'), "$folder/server.pem")->{exit}, 0, 'and lead to the root');
	ok(verified("$folder/server.pem", "$folder/root.pem", 'sslserver', '-untrusted', "$folder/server.pem"), 'for openssl, too');
};

subtest 'validity' => sub {
	my @ca = ('-c', $ca, '-K', $ca_key);
	for my $case ([365, 'server.pem', 'a.test'], [3650, '-A', 'ca.pem', 'A'], [1, '-d', '1', 'a.pem', 'a.test'], [36500, '-d', '36500', 'a.pem', 'a.test'], [7, '-d', '7', @ca, 'a.pem', 'a.test']) {
		my ($days, @arguments) = @$case;
		my $now = time;
		my ($file) = glob made(@arguments) . '/*.pem';
		my ($from, $to) = map { seconds($file, $_) } qw(start end);
		# A CA made this minute begins later than an hour before the certificate that it signs.
		cmp_ok(abs($now - 3600 - $from), '<', 60, "$days days: begins an hour before now");
		is($to - $from + 1, $days * 86400, 'and lasts so long');
	}
	my $file = made(qw(-d 36500 a.pem a.test)) . '/a.pem';
	my $parsed = openssl('asn1parse', '-in', spew(temporary('alone.pem'), openssl('x509', '-in', $file)));
	like($parsed, qr/UTCTIME .*\n.*GENERALIZEDTIME /, 'UTCTime before 2050, GeneralizedTime from then on');
	refused("-d $_", 100, qr/^tlscert: fatal: option -d needs a number of days from 1 to 36500, not /m, '-d', $_, 'a.pem', 'a.test') for 0, 36501, -1, 'x', '1.5', '';

	my $short = made(qw(-A -d 30 ca.pem Short));
	made({ in_folder => $short }, qw(-c ca.pem a.pem a.test));
	is(seconds("$short/a.pem", 'end'), seconds("$short/ca.pem", 'end'), 'without -d: not longer than the CA');
	made({ in_folder => $short }, qw(-c ca.pem -d 30 b.pem a.test));
	is(seconds("$short/b.pem", 'end'), seconds("$short/ca.pem", 'end'), '-d: the last day may be cut');
	cmp_ok(seconds("$short/b.pem", 'start'), '>=', seconds("$short/ca.pem", 'start'), 'nor earlier');
	refused('-d beyond the CA', 96, qr/^tlscert: fatal: unable to sign with CA ca\.pem: it ends before that number of days$/m, { in_folder => $short }, qw(-c ca.pem -d 31 c.pem a.test));
	# One that began a minute ago.
	my $young = folder();
	spew("$young/ca.pem", Certificates::pem(Certificates::root('young', from => time - 60)));
	made({ in_folder => $young }, '-c', 'ca.pem', '-K', Certificates::private_key('young'), 'a.pem', 'a.test');
	is(seconds("$young/a.pem", 'start'), seconds("$young/ca.pem", 'start'), 'not before the CA');
};

# CAs by another hand.
sub authority {
	my ($name, %fields) = @_;
	my $file = temporary("authority-$name.pem");
	spew($file, Certificates::pem(Certificates::root($fields{key} || $name, %fields)));
	return ('-c', $file, '-K', Certificates::private_key($fields{key} || $name));
}

subtest 'CAs by openssl' => sub {
	for my $case (['ec521:big', 'ecdsa-with-SHA512'], ['rsa3072:more', 'sha256WithRSAEncryption'], ['ec256:plain', 'ecdsa-with-SHA256']) {
		my ($key, $algorithm) = @$case;
		my @ca = authority($key =~ tr/:/-/r, key => $key);
		my $file = made(@ca, 'a.pem', 'a.test') . '/a.pem';
		like(text($file, '-text'), qr/Signature Algorithm: $algorithm/, "$key: $algorithm");
		is(run({ env => { CAFILE => $ca[1] } }, command('tlsverify'), $file)->{exit}, 0, 'accepted');
		like(text($file, '-text'), qr/Authority Key Identifier: \n\s+(?:keyid:)?[0-9A-F:]{59}\n/, 'with an identifier that the CA does not have');
	}
	my @ca = authority('identified', ski => Certificates::ski("\x01\x02\x03"));
	like(text(made(@ca, 'a.pem', 'a.test') . '/a.pem', '-text'), qr/Authority Key Identifier: \n\s+(?:keyid:)?01:02:03\n/, 'the CA\'s own identifier');
	@ca = ('-c', file('root.pem'), '-K', file('root.key'));
	ok(verified(made(@ca, 'a.pem', 'a.test') . '/a.pem', file('root.pem'), 'sslserver'), 'a subject of several parts');
	my $folder = folder();
	openssl('x509', '-in', $ca, '-outform', 'DER', '-out', "$folder/ca.der");
	openssl('ec', '-in', $ca_key, '-outform', 'DER', '-out', "$folder/key.der");
	made({ in_folder => $folder }, qw(-c ca.der -K key.der a.pem a.test));
	ok(verified("$folder/a.pem", $ca, 'sslserver'), 'in DER');
	spew("$folder/mixed.pem", slurp(file('other-root.pem')) . "text\n" . slurp($ca) . slurp($ca_key));
	made({ in_folder => $folder }, qw(-c mixed.pem b.pem a.test));
	ok(verified("$folder/b.pem", $ca, 'sslserver'), 'the certificate that the key belongs to is the CA');
};

subtest 'encrypted keys: -3' => sub {
	my $encrypted = temporary('secret.key');
	openssl('pkcs8', '-topk8', '-passout', 'pass:open sesame', '-in', $ca_key, '-out', $encrypted);
	my @ca = ('-c', $ca, '-K', $encrypted);
	my $with = sub { my ($text) = @_; return { under => ['sh', '-c', "printf '$text' | { exec 3<&0 </dev/null; exec \"\$\@\"; }", 'sh'] } };
	ok(verified(made($with->('open sesame\\0'), '-3', @ca, 'a.pem', 'a.test') . '/a.pem', $ca, 'sslserver'), 'the right password');
	made($with->('whatever\\0'), '-3', '-c', $ca, '-K', $ca_key, 'a.pem', 'a.test');
	refused('another password', 96, qr/^tlscert: fatal: unable to read CA key from \S+: wrong password or damaged key$/m, $with->('open\\0'), '-3', @ca, 'a.pem', 'a.test');
	refused('no password on 3', 96, qr/^tlscert: fatal: .*descriptor 3/m, '-3', @ca, 'a.pem', 'a.test');
	refused('without -3', 96, qr/: encrypted, and no password on descriptor 3$/m, @ca, 'a.pem', 'a.test');
};

subtest 'who may not sign' => sub {
	my $day = 86400;
	my $sign = qr/^tlscert: fatal: unable to sign with CA \S+: /;
	my $made = qr/^tlscert: fatal: unable to make a certificate that is accepted: /;
	my $encrypted = temporary('encrypted.key');
	openssl('pkcs8', '-topk8', '-passout', 'pass:x', '-in', $ca_key, '-out', $encrypted);
	my $text = spew(temporary('text'), "nothing\n");
	for my $case (
		['no CA',                   96, qr/${sign}not a CA: its certificate says so \(basicConstraints\)$/,        '-c', file('server-p256.pem'), '-K', file('server-p256.key')],
		['without basicConstraints', 96, qr/${sign}not a CA: its certificate says so \(basicConstraints\)$/,       authority('unsaid', basic => undef)],
		['version 1',               96, qr/${sign}not a CA: its certificate says so \(basicConstraints\)$/,        authority('one', version => undef, extensions => undef)],
		['no keyCertSign',          96, qr/${sign}not a CA: its key is not for certificates \(keyUsage\)$/,        authority('useless', usage => Certificates::usage('digitalSignature'))],
		['expired',                 96, qr/${sign}its certificate has expired$/,                                   authority('old', from => time - 9 * $day, to => time - 1)],
		['early',                   96, qr/${sign}its certificate is not yet valid$/,                              authority('new', from => time + 60)],
		['another key',             96, qr/${sign}its key belongs to another certificate$/,                        '-c', $ca, '-K', file('root-ec.key')],
		['key of another kind',     96, qr/${sign}its key belongs to another certificate$/,                        '-c', $ca, '-K', file('root.key')],
		['no key',                  96, qr/^tlscert: fatal: unable to read CA key from \S+: no private key in it$/, '-c', $ca],
		['an encrypted key',        96, qr/^tlscert: fatal: unable to read CA key from \S+: encrypted, and no password on descriptor 3$/, '-c', $ca, '-K', $encrypted],
		['no key file',             96, qr/^tlscert: fatal: unable to read CA key from \S+: No such file or directory$/, '-c', $ca, '-K', temporary('gone')],
		['no file',                 96, qr/^tlscert: fatal: unable to read CA certificate from \S+: No such file or directory$/, '-c', temporary('gone')],
		['no certificate',          96, qr/^tlscert: fatal: unable to read CA certificate from \S+: no certificate in it$/, '-c', $text],
		['a folder',                96, qr/^tlscert: fatal: unable to read CA certificate from \S+: Invalid argument$/, '-c', temporary()],
		['a small RSA key',         96, qr/${made}\S.*/,                                                           authority('small', key => 'rsa1024:small')],
		['a name that it may not give', 96, qr/${made}\S.*/,                                                       authority('narrow', constraints => Certificates::constraints(permitted => ['DNS:other.test']))],
		['a purpose that it is not for', 96, qr/${made}certificate is not for servers \(extended key usage\)$/,    authority('purpose', eku => Certificates::eku('clientAuth'))],
		['what nobody knows',       96, qr/${made}\S.*/,                                                           authority('odd', extra => [Certificates::extension('1.2.3.4', Certificates::null(), 1)])],
		['its own name',            96, qr/${made}its common name is the name of the CA$/,                         '-c', $ca, '-K', $ca_key, '-n', 'CA  of P256'],
	) {
		my ($name, $exit, $words, @ca) = @$case;
		refused($name, $exit, qr/$words/m, @ca, 'a.pem', 'a.test');
	}
	my $large = temporary('large.pem');
	my $between = made('-A', '-c', $ca, '-K', $ca_key, '-k', 'between.key', 'between.pem', 'Between');
	spew($large, slurp("$between/between.pem") . Certificates::pem(Certificates::leaf(extra => [Certificates::extension('1.2.3.4', Certificates::octets('x' x 60000))])));
	refused('a CA with too much in its file', 96, qr/^tlscert: fatal: unable to create a\.pem: it would be too large: the CA has too many certificates$/m, '-c', $large, '-K', "$between/between.key", 'a.pem', 'a.test');
	made(authority('narrow-enough', key => 'narrow', constraints => Certificates::constraints(permitted => ['DNS:a.test'])), 'a.pem', 'a.test');
};

done_testing;
