#!/usr/bin/perl
# tlscert: what stands in its certificates, and how it is called. Which CAs may sign is for tlscert-ca.t, files are for tlscert-files.t,
# what peers make of certificates for tlscert-peers.t.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Bear;
use BearTls;
use TlsCert;
use Test::More;

my $made = made(qw(-A -l 1 -k ca.key ca.pem), 'CA of p256');
my ($ca, $ca_key) = ("$made/ca.pem", "$made/ca.key");

subtest 'self-signed, for a server' => sub {
	my $file = made(qw(server.pem www.Example.org example.org *.example.org 192.0.2.1 2001:db8::1 ::ffff:192.0.2.2 example.org)) . '/server.pem';
	is(mode($file), '600', 'mode 0600');
	like(slurp($file), qr/\A-----BEGIN PRIVATE KEY-----\n[\w+\/=\n]+-----END PRIVATE KEY-----\n-----BEGIN CERTIFICATE-----\n[\w+\/=\n]+-----END CERTIFICATE-----\n\z/,
		'the key, then the certificate');
	ok(!grep({ length > 64 } split /\n/, slurp($file)), 'in lines of 64');
	my $text = text($file, '-text');
	like($text, qr/Version: 3 /, 'version 3');
	like($text, qr/Signature Algorithm: ecdsa-with-SHA256/, 'SHA-256');
	like($text, qr/NIST CURVE: P-256/, 'P-256');
	is(text($file, '-subject', '-nameopt', 'RFC2253'), "subject=CN=www.Example.org\n", 'the first name is the common name');
	is(text($file, '-issuer', '-nameopt', 'RFC2253'), "issuer=CN=www.Example.org\n", 'and the issuer');
	like($text, qr/Basic Constraints: critical\n\s+CA:FALSE\n/, 'no CA');
	like($text, qr/ Key Usage: critical\n\s+Digital Signature\n/, 'key usage');
	like($text, qr/Extended Key Usage: \n\s+TLS Web Server Authentication\n/, 'for servers');
	like($text, qr/Alternative Name: \n\s+DNS:www\.example\.org, DNS:example\.org, DNS:\*\.example\.org, IP Address:192\.0\.2\.1, IP Address:2001:DB8:0:0:0:0:0:1, IP Address:192\.0\.2\.2\n/,
		'the names, each once, in small letters');
	my ($subject) = $text =~ /Subject Key Identifier: \n\s+([0-9A-F:]{59})\n/;
	my ($authority) = $text =~ /Authority Key Identifier: \n\s+(?:keyid:)?([0-9A-F:]{59})\n/;
	ok($subject, 'a key identifier of 20 bytes');
	is($authority, $subject, 'which is the issuer\'s');
	my $key = openssl('x509', '-in', $file, '-noout', '-pubkey');
	chomp(my $hash = `openssl x509 -in $file -noout -pubkey | openssl pkey -pubin -outform DER | tail -c 65 | openssl dgst -sha256 -r`);
	(my $plain = lc $subject) =~ tr/://d;
	is(substr($hash, 0, 40), $plain, 'the beginning of the SHA-256 of the key (RFC 7093)');
	is(openssl('pkey', '-in', $file, '-pubout'), $key, 'key and certificate belong together');
	like(openssl('pkey', '-in', $file, '-check', '-noout'), qr/valid/, 'openssl finds the key valid');
	ok(verified($file, $file, 'sslserver'), 'openssl trusts it');
	my $result = run({ env => { CAFILE => $file } }, command('tlsverify'), '-n', 'a.example.org', $file);
	is($result->{exit}, 0, 'so do we, for a name of the wildcard') or diag($result->{out});
};

subtest 'serial numbers' => sub {
	my %seen;
	for (1 .. 8) {
		my $serial = text(made(qw(a.pem a.test)) . '/a.pem', '-serial');
		like($serial, qr/^serial=[4-7][0-9A-F]{31}$/, 'sixteen bytes, positive');
		$seen{$serial}++;
	}
	is(keys %seen, 8, 'all different');
};

subtest 'clients' => sub {
	my @ca = ('-c', $ca, '-K', $ca_key);
	my $file = made(@ca, qw(-C alice.pem alice alice@Example.org)) . '/alice.pem';
	is(text($file, '-subject', '-nameopt', 'RFC2253'), "subject=CN=alice\n", 'a common name that is only that');
	my $text = text($file, '-text');
	like($text, qr/Extended Key Usage: \n\s+TLS Web Client Authentication\n/, 'for clients');
	like($text, qr/Alternative Name: \n\s+email:alice\@example\.org\n/, 'with a mail address');
	ok(verified($file, $ca, 'sslclient'), 'openssl takes it for a client');
	is(run({ env => { CAFILE => $ca } }, command('tlsverify'), '-p', 'client', $file)->{exit}, 0, 'so do we');
	is(run({ env => { CAFILE => $ca } }, command('tlsverify'), '-p', 'server', $file)->{exit}, 1, 'but not for a server');
	$text = text(made(@ca, qw(-C a.pem bob@example.org)) . '/a.pem', '-text');
	like($text, qr/Subject: CN ?= ?bob\@example\.org\n/, 'a mail address alone');
	like($text, qr/email:bob\@example\.org\n/, 'is both');
	unlike(text(made(@ca, '-C', '-n', 'Ö. Müller', 'a.pem') . '/a.pem', '-text'), qr/Alternative Name/, '-n alone: no alternative names');
	$text = text(made(@ca, qw(-C a.pem mx.example.org 192.0.2.7)) . '/a.pem', '-text');
	like($text, qr/DNS:mx\.example\.org, IP Address:192\.0\.2\.7\n/, 'a host as client');
	$text = text(made(@ca, qw(-CS a.pem mx.example.org)) . '/a.pem', '-text');
	like($text, qr/TLS Web Server Authentication, TLS Web Client Authentication\n/, '-CS: both');
	$text = text(made(@ca, '-n', 'The shop', qw(a.pem shop.example.org)) . '/a.pem', '-text');
	like($text, qr/Subject: CN ?= ?The shop\n/, '-n');
	like($text, qr/DNS:shop\.example\.org\n/, 'takes no name away');
	$text = text(made(qw(-C a.pem alice)) . '/a.pem', '-text');
	like($text, qr/Issuer: CN ?= ?alice\n/, 'self-signed');
};

subtest 'names that are too long for a common name' => sub {
	my $long = join '.', ('a' x 60) x 2, 'test';
	my $file = made('-c', $ca, '-K', $ca_key, 'a.pem', $long) . '/a.pem';
	is(text($file, '-subject'), "subject=\n", 'no subject');
	like(text($file, '-text'), qr/Alternative Name: critical\n\s+DNS:\Q$long\E\n/, 'the alternative name is critical');
	ok(verified($file, $ca, 'sslserver'), 'openssl accepts it');
	like(text(made('a.pem', $long, 'short.test') . '/a.pem', '-subject'), qr/CN ?= ?short\.test$/, 'another name that is shorter');
	refused('self-signed', 100, qr/^tlscert: fatal: all names are longer than 64 characters: a shorter one is needed, or -n$/m, 'a.pem', $long);
	is(text(made('-n', 'x' x 64, 'a.pem', $long) . '/a.pem', '-subject', '-nameopt', 'RFC2253'), 'subject=CN=' . 'x' x 64 . "\n", '-n of 64 characters');
};

subtest 'names' => sub {
	my $label = 'a' x 63;
	my $longest = join '.', ($label) x 3, 'a' x 61;
	my @hosts = ($longest, "$label.test", 'a', 'a-b.c--d', 'xn--mller-kva.example', '3com.example', '1.2.3.4.in-addr', '*.a.b');
	my $file = made('-n', 'all', 'a.pem', @hosts) . '/a.pem';
	is(join(' ', text($file, '-text') =~ /DNS:([^,\n]+)/g), "@hosts", 'all sorts of hosts');
	my @mails = ("a$label\@a.test", 'a.b+c@test', q(!#$%&'*+-/=?^_`{|}~) . '@a.test', "x\@$longest");
	$file = made('-n', 'all', '-C', 'a.pem', @mails) . '/a.pem';
	is(join(' ', text($file, '-text') =~ /email:([^,\n]+)/g), "@mails", 'all sorts of mail addresses');
	for my $case (
		["a$longest",         qr/: host name of more than 253 bytes$/],
		["*.$longest",        qr/: host name of more than 253 bytes$/],
		["a$label.test",      qr/: host name with a label of more than 63 bytes$/],
		['',                  qr/: empty host name$/],
		['a..b',              qr/: host name with an empty label, or a dot at its end$/],
		['a.test.',           qr/: host name with an empty label, or a dot at its end$/],
		['.a.test',           qr/: host name with an empty label, or a dot at its end$/],
		['a.-b.test',         qr/: host name with a hyphen at the end of a label$/],
		['a-.test',           qr/: host name with a hyphen at the end of a label$/],
		['a_b.test',          qr/: neither a host name nor an address$/],
		['a b.test',          qr/: neither a host name nor an address$/],
		['1.2.3.400',         qr/: neither a host name nor an address$/],
		['1.2.3',             qr/: neither a host name nor an address$/],
		['[::1]',             qr/: neither a host name nor an address$/],
		['fe80::1%eth0',      qr/: neither a host name nor an address$/],
		['::1::',             qr/: neither a host name nor an address$/],
		['a.*.test',          qr/: neither a host name nor an address$/],
		['a*.b.test',         qr/: neither a host name nor an address$/],
		['*',                 qr/: neither a host name nor an address$/],
		['*.test',            qr/: a \* stands for a label of a name with at least two more$/],
		["a.test\n",          qr/^tlscert: fatal: a\.test\?: control characters are not allowed$/],
		["a\x7f.test",        qr/: control characters are not allowed$/],
		['müller.test',       qr/: not ASCII: write its labels as xn--\.\.\.$/],
		['@a.test',           qr/: mail address without a mailbox$/],
		['.a@a.test',         qr/: not a mail address$/],
		['a.@a.test',         qr/: not a mail address$/],
		['a..b@a.test',       qr/: not a mail address$/],
		['a b@a.test',        qr/: not a mail address$/],
		['a@b@a.test',        qr/: not a mail address$/],
		['a@',                qr/: empty host name$/],
		["a\@a$longest",      qr/: host name of more than 253 bytes$/],
		['a@[192.0.2.1]',     qr/: neither a host name nor an address$/],
		['x' x 65 . '@a.test', qr/: mail address with more than 64 bytes before the \@$/],
	) {
		my ($name, $words) = @$case;
		(my $shown = $name) =~ s/[\n\x7f]/?/g;
		refused(length $shown > 30 ? substr($shown, 0, 30) . '...' : "'$shown'", 100, $words, 'a.pem', 'good.test', $name);
	}
	for my $case (
		['',             qr/: empty common name$/],
		[' a',           qr/: common name with a blank at its end$/],
		['a ',           qr/: common name with a blank at its end$/],
		["a\tb",         qr/: control characters are not allowed$/],
		["a\x7f",        qr/: control characters are not allowed$/],
		["a\xc2\x85b",   qr/: control characters are not allowed$/],
		["a\xe2\x80\xaeb", qr/: control characters are not allowed$/],
		["a\xff",        qr/: common name that is not UTF-8$/],
		["a\xc3",        qr/: common name that is not UTF-8$/],
		["\xc0\xaf",     qr/: common name that is not UTF-8$/],
		["\xed\xa0\x80", qr/: common name that is not UTF-8$/],
		["\xf4\x90\x80\x80", qr/: common name that is not UTF-8$/],
		['x' x 65,       qr/: common name of more than 64 characters$/],
	) {
		my ($name, $words) = @$case;
		(my $shown = $name) =~ s/([^ -~])/sprintf '\\x%02x', ord $1/ge;
		refused("common name '$shown'", 100, $words, '-A', 'a.pem', $name);
		refused("-n '$shown'", 100, $words, '-n', $name, 'a.pem', 'a.test');
	}
	made('-A', 'a.pem', "\xc3\xa9" x 64);
	refused('a client\'s name', 100, qr/: control characters are not allowed$/, '-C', 'a.pem', "a\x01");
	$file = made('-n', 'hundred', 'a.pem', map { sprintf '%03d.%s', $_, substr $longest, 4 } 1 .. 100) . '/a.pem';
	is(() = text($file, '-text') =~ /DNS:/g, 100, 'a hundred names of 253 bytes');
	cmp_ok(-s $file, '<', 65536, 'in a file that our programs read');
	refused('101 names', 100, qr/^tlscert: fatal: 101\.test: more than 100 names$/m, 'a.pem', map { "$_.test" } 1 .. 101);
};

subtest 'usage' => sub {
	for my $case (
		[qr/no file named/],
		[qr/no name given/, 'a.pem'],
		[qr/no name given/, '-n', 'a', 'a.pem'],
		[qr/no name given/, '-C', 'a.pem'],
		[qr/no name given/, '-CS', '-n', 'a', 'a.pem'],
		[qr/-A takes one name, that of the CA/, '-A', 'a.pem'],
		[qr/-A takes one name, that of the CA/, '-A', 'a.pem', 'a', 'b'],
		[qr/-A goes neither with -C nor with -S/, '-AC', 'a.pem', 'a'],
		[qr/-A goes neither with -C nor with -S/, '-AS', 'a.pem', 'a'],
		[qr/-A takes the name of the CA as operand, not with -n/, '-A', '-n', 'a', 'a.pem', 'a'],
		[qr/options stand before the file/, 'a.pem', '-A', 'a'],
		[qr/options stand before the file/, '-C', 'a.pem', '-d'],
		[qr/-l is for -A/, '-l', '0', 'a.pem', 'a'],
		[qr/option -l needs a number of CAs from 0 to 100, not 101/, '-A', '-l', '101', 'a.pem', 'a'],
		[qr/-3 is for -c/, '-3', 'a.pem', 'a'],
		[qr/-K is for -c/, '-K', 'a.key', 'a.pem', 'a'],
		[qr/option -x is unknown/, '-x', 'a.pem', 'a'],
		map({ [qr/option -$_ needs an argument/, "-$_"] } qw(c K t d l n k)),
	) {
		my ($words, @arguments) = @$case;
		my $folder = refused("tlscert @arguments", 100, qr/^tlscert: fatal: $words$/m, @arguments);
		like(tlscert(@arguments)->{err}, qr/^tlscert: usage: tlscert \[ -3fACS \] .*cert\.pem name\.\.\.$/m, 'and how it is called');
	}
};

done_testing;
