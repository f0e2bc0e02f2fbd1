# The other fields of a certificate and its encoding: versions, serial numbers, algorithms, DER to the letter.
package PathCases::Fields;

use strict;
use warnings;
use Certificates;
use PathCases;

sub bad { return bad_certificate => $_[0] }

my @v1 = (version => undef, extensions => undef);
my $version = 'RFC 5280 4.1.2.1';
accepted('a leaf of version 1', $version, [leaf(@v1)], host => undef);
accepted('a leaf of version 1 with a unique identifier: 2', 'RFC 5280 4.1.2.8',
	[leaf(version => 1, extensions => undef, unique => implicit(1, "\0abc"))], host => undef);
refused('a unique identifier in version 1', 'RFC 5280 4.1.2.8', [leaf(@v1, unique => implicit(1, "\0abc"))], bad(qr/version 1/), host => undef,
	openssl => 'does not compare', minimal => 'does not compare');
refused('extensions in version 1', $version, [leaf(version => undef)], bad(qr/version/), openssl => 'does not compare',
	minimal => 'does not compare');
refused('extensions in version 2', $version, [leaf(version => 1)], bad(qr/version/), openssl => 'does not compare', minimal => 'does not compare');
refused('version 4', $version, [leaf(version => 3)], bad(qr/version/), openssl => 'does not look');
refused('version 1 written down', 'X.690 11.5', [leaf(version => 0, extensions => undef)], bad(qr/version/), host => undef,
	openssl => 'does not look', minimal => 'reads BER');
refused('a negative version', $version, [leaf(version => \explicit(0, integer("\xfe")))], bad(qr/version/), openssl => 'does not look');
refused('two versions', $version, [leaf(version => \explicit(0, number(2), number(2)))], bad(qr/version/));

my $serial = 'RFC 5280 4.1.2.2';
accepted('serial number 0', $serial, [leaf(serial => "\0")]);
accepted('a negative serial number', $serial, [leaf(serial => "\xff")]);
accepted('a serial number of 20 octets', $serial, [leaf(serial => "\x7f" . 'x' x 19)]);
accepted('a serial number of 20 octets behind a zero', $serial, [leaf(serial => "\0\xff" . 'x' x 19)]);
refused('a serial number of 22 octets, a zero first', $serial, [leaf(serial => "\0\xff" . 'x' x 20)], bad(qr/serial/), openssl => 'has no limit',
	minimal => 'does not look');
refused('a serial number of 21 octets', $serial, [leaf(serial => "\x01" . 'x' x 20)], bad(qr/serial/), openssl => 'has no limit',
	minimal => 'has no limit');
refused('no serial number', 'X.690 8.3.1', [leaf(serial => '')], bad(qr/serial/), minimal => 'does not look');
refused('a serial number with a zero too many', 'X.690 8.3.2', [leaf(serial => "\0\1")], bad(qr/serial/), minimal => 'does not look');
refused('a serial number with a sign too many', 'X.690 8.3.2', [leaf(serial => "\xff\xfe")], bad(qr/serial/), minimal => 'does not look');
accepted('two leaves of one serial number', $serial, [leaf(serial => "\5"), leaf(serial => "\5", key => 'B')]);

refused('inner and outer algorithm differ', 'RFC 5280 4.1.1.2', [leaf(outer => 'ecdsa-sha384')], bad(qr/algorithm/));
refused('inner and outer algorithm differ in an intermediate', 'RFC 5280 4.1.1.2', [leaf(by => 'A'), ca('A', outer => 'ecdsa-sha384')],
	bad(qr/algorithm/));
refused('an empty issuer', 'RFC 5280 4.1.2.4', [leaf(issuer => [])], bad(qr/issuer/));
accepted('an empty subject', 'RFC 5280 4.1.2.6', [leaf(subject => [], san => critical(san('DNS:www.example.com')))]);
refused('an empty subject of an authority', 'RFC 5280 4.1.2.6', [leaf(issuer => [], signer => 'A'), ca('A', subject => [])],
	bad(qr/issuer|subject/), openssl => 'does not look', minimal => 'does not look');
accepted('a subject of several attributes in one', 'RFC 5280 4.1.2.4', [leaf(subject => [[['O', 'utf8', 'Example'], ['CN', 'utf8', 'x']]])]);
refused('a subject with an empty part', 'X.501 9.2', [leaf(subject => \seq(set()))], bad(qr/subject/), openssl => 'drops it');
refused('a subject that is cut off', 'X.690 8.1.3', [leaf(subject => \seq("\x31\x7f"))], bad(qr/subject/));

my $twice = 'RFC 5280 4.2';
refused('an extension twice', $twice, [leaf(extra => usage('digitalSignature'))], bad(qr/twice/), minimal => 'does not compare');
refused('an unknown extension twice', $twice, [leaf(extra => [map { extension('1.3.6.1.4.1.99999.5', utf8($_), 0) } 1, 2])], bad(qr/twice/),
	openssl => 'does not look', minimal => 'does not look');
refused('basicConstraints twice', $twice, [leaf(by => 'A'), ca('A', basic => [basic(0), basic(1)])], bad(qr/twice/));
accepted('64 extensions', $twice, [leaf(extra => [map { extension("1.3.6.1.4.1.99999.$_", utf8('x'), 0) } 1 .. 62])]);
refused('65 extensions', $twice, [leaf(extra => [map { extension("1.3.6.1.4.1.99999.$_", utf8('x'), 0) } 1 .. 63])], bad(qr/too many extensions/),
	openssl => 'has no limit', minimal => 'has no limit');
refused('no extensions in the list', 'RFC 5280 4.1.2.9', [leaf(extensions => [])], bad(qr/extensions/), host => undef,
	openssl => 'takes an empty list', minimal => 'takes an empty list');
accepted('extensions in another order', $twice,
	[leaf(usage => undef, san => undef, extensions => [san('DNS:www.example.com'), usage('digitalSignature')])]);
refused('something behind the extensions', 'RFC 5280 4.1', [leaf(more => null())], bad(qr/behind/));
refused('something behind the value of an extension', 'X.690 10', [leaf(usage => extension('2.5.29.15', der(3, "\7\x80") . null(), 1))],
	bad(qr/keyUsage/), openssl => 'ignores what follows');
refused('FALSE and TRUE', 'RFC 5280 4.1', [leaf(usage => extension('2.5.29.15', der(3, "\7\x80"), \(boolean(0) . boolean(1))))], bad(qr/extension/));

refused('something behind the certificate', 'X.690 10', [leaf(behind => "\0")], bad(qr/behind/), openssl => 'ignores what follows in PEM');
refused('something behind an intermediate', 'X.690 10', [leaf(by => 'A'), ca('A', behind => null())], bad(qr/behind/),
	openssl => 'ignores what follows in PEM');
refused('a certificate cut off', 'X.690 8.1.3', [leaf(whole => sub { substr $_[0], 0, -1 })], bad(qr/certificate/));
refused('an empty SEQUENCE', 'RFC 5280 4.1', [leaf(whole => sub { seq() })], bad(qr/certificate/));
refused('no certificate', 'RFC 5280 4.1', [leaf(whole => sub { 'not at all' })], bad(qr/certificate/));
refused('a length with a zero too many', 'X.690 10.1', [leaf(whole => sub { my $der = $_[0]; $der =~ s/^\x30\x82/\x30\x83\0/s; $der })],
	bad(qr/certificate/), openssl => 'reads BER', minimal => 'reads BER');
refused('an indefinite length', 'X.690 10.1', [leaf(whole => sub { "\x30\x80" . substr($_[0], 4) . "\0\0" })], bad(qr/certificate/),
	openssl => 'reads BER');
refused('a long form for a short length', 'X.690 10.1', [leaf(serial => \"\x02\x81\x01\x05")], bad(qr/serial/), openssl => 'reads BER',
	minimal => 'reads BER');
refused('a signature of seven bits less', 'RFC 5280 4.1.1.3', [leaf(bits => \der(3, "\7", "\x80" x 70))], bad(qr/signature/));

1;
