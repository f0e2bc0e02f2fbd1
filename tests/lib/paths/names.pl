# Whether a subject is an issuer (RFC 5280 7.1), and whether a leaf is for a host (RFC 9525).
package PathCases::Names;

use strict;
use warnings;
use Certificates;
use PathCases;

my $section = 'RFC 5280 7.1';
my $none    = 'knows names by the hash of their bytes';

# An intermediate whose subject is written one way and whose name in the leaf is written another way.
sub written { my ($subject, $issuer) = @_; return [leaf(issuer => $issuer, signer => 'A'), ca('A', subject => $subject)] }
sub one { my ($string, $value) = @_; return [[['CN', $string, $value]]] }

accepted('names in another case', $section, written(one(utf8 => 'Example Authority'), one(utf8 => 'EXAMPLE authority')), minimal => $none);
accepted('names with other blanks', $section, written(one(utf8 => 'Example Authority'), one(utf8 => '  Example   Authority ')), minimal => $none);
accepted('names with other blanks in the subject', $section, written(one(utf8 => ' Example Authority '), one(utf8 => 'Example Authority')),
	minimal => $none);
accepted('PrintableString and UTF8String', $section, written(one(printable => 'Example Authority'), one(utf8 => 'Example Authority')),
	minimal => $none);
accepted('PrintableString and UTF8String, the other way', $section,
	written(one(utf8 => 'Example Authority'), one(printable => 'example authority')), minimal => $none);
accepted('the same umlauts', $section, written(one(utf8 => "B\xc3\xa4r"), one(utf8 => "B\xc3\xa4r")));
accepted('several attributes in one part, in the same order', $section,
	written([[['CN', 'utf8', 'a'], ['O', 'utf8', 'b']]], [[['CN', 'utf8', 'a'], ['O', 'utf8', 'b']]]));
refused('names that differ', $section, written(one(utf8 => 'Example Authority'), one(utf8 => 'Example Authority 2')), unknown_ca => qr/trusted/);
# DER puts them in order by their bytes: a stands behind B, A before b.
accepted('several attributes in one part in another case', $section,
	written([[['OU', 'utf8', 'a'], ['OU', 'utf8', 'B']]], [[['OU', 'utf8', 'A'], ['OU', 'utf8', 'b']]]), minimal => $none);
refused('a TeletexString instead', $section, written(one(utf8 => 'A'), one(teletex => 'A')), unknown_ca => qr/trusted/, openssl => 'converts it');
refused('umlauts in another case', $section, written(one(utf8 => "B\xc3\xa4r"), one(utf8 => "B\xc3\x84R")), unknown_ca => qr/trusted/);
refused('a blank that is not there', $section, written(one(utf8 => 'Example Authority'), one(utf8 => 'ExampleAuthority')), unknown_ca => qr/trusted/);
refused('another attribute', $section, written([[['CN', 'utf8', 'A']]], [[['O', 'utf8', 'A']]]), unknown_ca => qr/trusted/);
refused('one part more', $section, written([[['CN', 'utf8', 'A']]], [[['CN', 'utf8', 'A']], [['O', 'utf8', 'x']]]), unknown_ca => qr/trusted/);
refused('one part less', $section, written([[['CN', 'utf8', 'A']], [['O', 'utf8', 'x']]], [[['CN', 'utf8', 'A']]]), unknown_ca => qr/trusted/);
refused('the parts in another order', $section,
	written([[['CN', 'utf8', 'A']], [['O', 'utf8', 'x']]], [[['O', 'utf8', 'x']], [['CN', 'utf8', 'A']]]), unknown_ca => qr/trusted/);
refused('two parts instead of one', $section, written([[['CN', 'utf8', 'A'], ['O', 'utf8', 'x']]], [[['CN', 'utf8', 'A']], [['O', 'utf8', 'x']]]),
	unknown_ca => qr/trusted/);
refused('a NUL at the end', $section, written(one(utf8 => 'A'), one(utf8 => "A\0")), unknown_ca => qr/trusted/);
accepted('an anchor written otherwise', $section, [leaf(issuer => one(printable => 'ROOT'), signer => 'root')], minimal => $none);
accepted('key identifiers that do not match', 'RFC 5280 4.2.1.1', [leaf(by => 'A', aki => aki('something else')), ca('A', ski => ski('something'))],
	openssl => 'takes them as a condition');
accepted('key identifiers that match', 'RFC 5280 4.2.1.1', [leaf(by => 'A', aki => aki('something')), ca('A', ski => ski('something'))]);
accepted('another key of the same name, with key identifiers', 'RFC 5280 4.2.1.1',
	[leaf(by => 'A', aki => aki('one')), ca('A', key => 'A2', ski => ski('two')), ca('A', ski => ski('one'))],
	minimal => 'takes the certificates in the order in which they come');
accepted('issuer and serial number that do not match', 'RFC 5280 4.2.1.1',
	[leaf(by => 'A', aki => extension('2.5.29.35', seq(explicit(1, general_name('DIR:CN=nobody')), implicit(2, "\7")))), ca('A')],
	openssl => 'takes them as a condition');

# ---- hosts ----

my $host = 'RFC 9525 6.3';
my @bad  = (bad_certificate => qr/is for (another|no)/);
sub for_names { return [leaf(subject => 'CN=leaf', san => san(@_))] }
sub beside_common_name { return [leaf(san => san(@_))] }

accepted('the name', $host, for_names('DNS:www.example.com'));
accepted('the second name', $host, for_names('DNS:example.com', 'DNS:www.example.com'));
accepted('the name in another case', $host, for_names('DNS:WWW.Example.com'), host => 'www.EXAMPLE.com');
accepted('a final dot typed', $host, for_names('DNS:www.example.com'), host => 'www.example.com.', openssl => 'compares the dot',
	minimal => 'compares the dot');
refused('a final dot in the entry', $host, for_names('DNS:www.example.com.'), @bad);
accepted('a wildcard for a label in Punycode', $host, for_names('DNS:*.example.com'), host => 'xn--bcher-kva.example.com');
accepted('a name of one label', $host, for_names('DNS:localhost'), host => 'localhost');
refused('another name', $host, for_names('DNS:example.com'), @bad);
refused('a name that begins alike', $host, for_names('DNS:www.example.co'), @bad);
refused('a name below', $host, for_names('DNS:example.com'), @bad, host => 'www.example.com');
accepted('a wildcard', $host, for_names('DNS:*.example.com'));
accepted('a wildcard in another case', $host, for_names('DNS:*.EXAMPLE.com'));
refused('a wildcard is one label', $host, for_names('DNS:*.example.com'), @bad, host => 'a.www.example.com');
refused('a wildcard is a label', $host, for_names('DNS:*.example.com'), @bad, host => 'example.com');
refused('a wildcard in a part of a label', $host, for_names('DNS:w*.example.com'), @bad, openssl => 'lets it match part of a label');
refused('a wildcard at the end of a label', $host, for_names('DNS:*w.example.com'), @bad, openssl => 'lets it match part of a label');
refused('a wildcard in the second label', $host, for_names('DNS:www.*.com'), @bad);
refused('a wildcard over a top-level domain', $host, for_names('DNS:*.com'), @bad, host => 'example.com', minimal => 'lets it match');
refused('a wildcard alone', $host, for_names('DNS:*'), @bad, host => 'localhost');
refused('two wildcards', $host, for_names('DNS:*.*.com'), @bad);
refused('a wildcard and an address', $host, for_names('DNS:*.0.2.7'), @bad, host => '192.0.2.7', minimal => 'takes the text');
refused('a NUL in the name', $host, for_names("DNS:www.example.com\0.example.net"), @bad);
refused('a blank behind the name', $host, for_names('DNS:www.example.com '), @bad);
refused('an empty name', $host, for_names('DNS:'), @bad);
refused('the name as a mail address', $host, for_names('MAIL:www.example.com'), @bad);
refused('the name as an URI', $host, for_names('URI:https://www.example.com/'), @bad);
refused('an empty list of names', 'RFC 5280 4.2.1.6', [leaf(subject => 'CN=leaf', san => extension('2.5.29.17', seq()))],
	bad_certificate => qr/subjectAltName/);
refused('a malformed list of names', 'RFC 5280 4.2.1.6', [leaf(san => extension('2.5.29.17', "\x30\x05\x82\x13www"))],
	bad_certificate => qr/subjectAltName/);

my $address = 'RFC 9525 6.5';
my $no_ip   = 'knows no addresses';
accepted('an IPv4 address', $address, for_names('IP:192.0.2.7'), host => '192.0.2.7', minimal => $no_ip);
accepted('an IPv6 address', $address, for_names('IP:2001:db8::7'), host => '2001:db8::7', minimal => $no_ip);
accepted('an IPv6 address written otherwise', $address, for_names('IP:2001:db8::7'), host => '2001:DB8:0:0::0007', minimal => $no_ip);
refused('another IPv4 address', $address, for_names('IP:192.0.2.7'), @bad, host => '192.0.2.8');
refused('another IPv6 address', $address, for_names('IP:2001:db8::7'), @bad, host => '2001:db8::8');
refused('an IPv4 address as text', $address, for_names('DNS:192.0.2.7'), @bad, host => '192.0.2.7', minimal => 'takes the text');
refused('an IPv4 address as common name', $address, [leaf(subject => 'CN=192.0.2.7', san => undef)], @bad, host => '192.0.2.7',
	minimal => 'takes the text');
refused('an IPv4 address as common name, TLS_CNFALLBACK=1', $address, [leaf(subject => 'CN=192.0.2.7', san => undef)], @bad, host => '192.0.2.7',
	env => { TLS_CNFALLBACK => 1 }, minimal => 'takes the text');
refused('an address of five bytes', 'RFC 5280 4.2.1.6', for_names('IP:hex:c000020700'), bad_certificate => qr/another address/, host => '192.0.2.7');
accepted('an address as text beside a good name', 'RFC 5280 4.2.1.6', for_names('IP:hex:3139322e302e322e37', 'DNS:www.example.com'));
accepted('a mail address that is not ASCII beside a good name', 'RFC 5280 4.2.1.6', for_names("MAIL:\xc3\xa4\@example.com", 'DNS:www.example.com'));
refused('a host where there is only an address', $address, for_names('IP:192.0.2.7'), @bad);

my $common = 'RFC 9525 2';
my $fallback = { TLS_CNFALLBACK => 1 };
my $takes = 'takes the common name where there is no DNS entry';
refused('only a common name', $common, [leaf(san => undef)], @bad, openssl => $takes, minimal => $takes);
accepted('only a common name, TLS_CNFALLBACK=1', 'RFC 6125 6.4.4', [leaf(san => undef)], env => $fallback);
accepted('a wildcard as common name, TLS_CNFALLBACK=1', 'RFC 6125 6.4.4', [leaf(san => undef, subject => 'CN=*.example.com')], env => $fallback);
refused('another common name, TLS_CNFALLBACK=1', 'RFC 6125 6.4.4', [leaf(san => undef, subject => 'CN=example.com')], @bad, env => $fallback);
refused('a common name beside a DNS entry, TLS_CNFALLBACK=1', 'RFC 6125 6.4.4', beside_common_name('DNS:example.com'), @bad, env => $fallback);
refused('a common name beside an IP entry, TLS_CNFALLBACK=1', 'RFC 6125 6.4.4', beside_common_name('IP:192.0.2.7'), @bad, env => $fallback,
	openssl => $takes);
accepted('a common name beside a mail address, TLS_CNFALLBACK=1', 'RFC 6125 6.4.4', beside_common_name('MAIL:joe@example.com'), env => $fallback,
	minimal => 'takes it only where there are no other names at all');
refused('a common name with a NUL, TLS_CNFALLBACK=1', 'RFC 6125 6.4.4', [leaf(san => undef, subject => "CN=www.example.com\0.example.net")], @bad,
	env => $fallback);
accepted('no name asked for', 'RFC 5280 6.1', for_names('DNS:example.net'), host => undef);

1;
