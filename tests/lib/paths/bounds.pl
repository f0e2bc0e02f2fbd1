# What a peer might send to keep us busy.
package PathCases::Bounds;

use strict;
use warnings;
use Certificates;
use PathCases;

my $no_bound = 'has no such bound';
my ($leaf, $ca) = chain_of(1);
my @extras = map { ca("E$_", key => 'B') } 1 .. 15;

accepted('16 certificates', 'bounds', [$leaf, $ca, @extras[0 .. 13]]);
refused('17 certificates', 'bounds', [$leaf, $ca, @extras], bad_certificate => qr/too long/, openssl => $no_bound, minimal => $no_bound);
accepted('a large certificate', 'bounds', [leaf(extra => extension('1.3.6.1.4.1.99999.5', octets('x' x 60000), 0))]);
refused('more than 65536 bytes', 'bounds',
	[$leaf, $ca, map { ca("L$_", key => 'B', extra => extension('1.3.6.1.4.1.99999.5', octets('x' x 22500), 0)) } 1 .. 3],
	bad_certificate => qr/too large|too long|bytes/, openssl => $no_bound, minimal => $no_bound);

my @names = map { sprintf 'DNS:h%d.example.com', $_ } 1 .. 1200;
accepted('1200 names', 'bounds', [leaf(san => san('DNS:www.example.com', @names))]);
refused('many names and many constraints', 'bounds', [leaf(by => 'A', san => san('DNS:www.example.com', @names)),
	ca('A', constraints => constraints(excluded => [map { sprintf 'DNS:h%d.example.net', $_ } 1 .. 1200]))],
		unsupported_certificate => qr/too many names/);

# A dead end with as many branches as there can be: everybody signs everybody.
refused('15 authorities of one name and one key', 'bounds', [leaf(by => 'A'), map { ca('A', by => 'A', serial => chr $_) } 1 .. 15],
	unknown_ca => qr/trusted|too many/);
refused('15 authorities of one name and 15 keys', 'bounds',
	[leaf(by => 'A', signer => 'nobody'), map { ca('A', by => 'A', key => "I$_", signer => 'nobody') } 1 .. 14],
	bad_certificate => qr/signature|too many/);
refused('authorities of two names that all sign each other', 'bounds',
	[leaf(by => 'A'), map { (ca('A', by => 'B', serial => chr $_), ca('B', by => 'A', serial => chr $_)) } 1 .. 7],
	unknown_ca => qr/trusted|too many/);

# Five keys of one name, each signed by three others.
my @meshed = map { my $i = $_; map { ca('M', key => "M$i", by => 'M', signer => 'M' . (1 + ($i + $_) % 5)) } 0 .. 2 } 1 .. 5;
refused('five keys of one name that sign each other', 'bounds', [leaf(by => 'M', signer => 'M1'), @meshed], unknown_ca => qr/trusted|too many/);
my @long = (subject => 'CN=' . 'x' x 2500, issuer => 'CN=' . 'x' x 2500);
refused('the same with names of 2500 characters', 'bounds',
	[leaf(issuer => $long[3], signer => 'M1', key => 'leaf'),
	map { my $i = $_; map { ca('M', key => "M$i", @long, signer => 'M' . (1 + ($i + $_) % 5)) } 0 .. 1 } 1 .. 5],
	unknown_ca => qr/trusted|too many/);

# A path that is there, found only after all wrong turns: 15 keys of one name, each the issuer of the one behind it.
refused('a path behind a hundred wrong signatures', 'bounds',
	[leaf(by => 'M', signer => 'I15'), map { ca('M', key => "I$_", by => 'M', $_ > 1 ? (signer => 'I' . ($_ - 1)) : (by => 'root')) } 1 .. 15],
	bad_certificate => qr/signature/, env => { VERIFYDEPTH => 15 });

1;
