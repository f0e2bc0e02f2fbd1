# Name constraints (RFC 5280 4.2.1.10, 6.1.4 g), in an intermediate unless said otherwise.
package PathCases::Constraints;

use strict;
use warnings;
use Certificates;
use PathCases;

my $section = 'RFC 5280 4.2.1.10';
my $refuses = 'refuses all critical name constraints';
my @bad     = (unsupported_certificate => qr/name constraints|constrains/);
my @malformed = (bad_certificate => qr/nameConstraints/);

# An intermediate with constraints above a leaf for www.example.com.
sub below { return [leaf(by => 'A'), ca('A', constraints => constraints(@_))] }

# The same above a leaf with these names besides.
sub with { my ($names, @constraints) = @_; return [leaf(by => 'A', san => san('DNS:www.example.com', @$names)),
	ca('A', constraints => constraints(@constraints))] }

accepted('a DNS name permitted', $section, below(permitted => ['DNS:example.com']), minimal => $refuses);
accepted('the very DNS name permitted', $section, below(permitted => ['DNS:www.example.com']), minimal => $refuses);
accepted('a DNS name permitted in another case', $section, below(permitted => ['DNS:EXAMPLE.com']), minimal => $refuses);
accepted('one of two DNS names permitted', $section, below(permitted => ['DNS:example.net', 'DNS:example.com']), minimal => $refuses);
accepted('every DNS name permitted', $section, below(permitted => ['DNS:']), minimal => $refuses);
refused('another DNS name permitted', $section, below(permitted => ['DNS:example.net']), @bad);
refused('a DNS name that only ends alike', $section, below(permitted => ['DNS:xample.com']), @bad);
refused('a DNS name below the leaf\'s permitted', $section, below(permitted => ['DNS:www.www.example.com']), @bad);
refused('a DNS name excluded', $section, below(excluded => ['DNS:example.com']), @bad);
refused('a DNS name excluded in another case', $section, below(excluded => ['DNS:eXample.COM']), @bad);
refused('every DNS name excluded', $section, below(excluded => ['DNS:']), @bad);
accepted('another DNS name excluded', $section, below(excluded => ['DNS:example.net', 'DNS:xample.com']), minimal => $refuses);
refused('permitted and excluded', $section, below(permitted => ['DNS:example.com'], excluded => ['DNS:www.example.com']), @bad);
refused('one of two DNS names is not permitted', $section, with(['DNS:www.example.net'], permitted => ['DNS:example.com']), @bad);
accepted('a DNS name permitted with a dot in front', $section, below(permitted => ['DNS:.example.com']), minimal => $refuses);
refused('a dot in front excludes what is below', $section, below(excluded => ['DNS:.example.com']), @bad);
refused('a wildcard is not permitted', $section,
	[leaf(by => 'A', san => san('DNS:*.example.net', 'DNS:www.example.com')),
	ca('A', constraints => constraints(permitted => ['DNS:example.com']))], @bad);
accepted('a wildcard is permitted', $section,
	[leaf(by => 'A', san => san('DNS:*.example.com')), ca('A', constraints => constraints(permitted => ['DNS:example.com']))], minimal => $refuses);
refused('a wildcard may stand for what is excluded', $section,
	[leaf(by => 'A', san => san('DNS:*.example.com')), ca('A', constraints => constraints(excluded => ['DNS:mail.example.com']))],
	@bad, openssl => 'compares the wildcard as it is written');
refused('not critical, and heeded', $section,
	[leaf(by => 'A'), ca('A', constraints => uncritical(constraints(permitted => ['DNS:example.net'])))], @bad,
	minimal => 'does not look at those that are not critical');

accepted('an IP address permitted', $section, with(['IP:192.0.2.7'], permitted => ['IP:192.0.2.0/255.255.255.0']), minimal => $refuses);
refused('an IP address not permitted', $section, with(['IP:192.0.3.7'], permitted => ['IP:192.0.2.0/255.255.255.0']), @bad);
refused('an IP address excluded', $section, with(['IP:192.0.2.7'], excluded => ['IP:192.0.2.0/255.255.255.0']), @bad);
refused('all IPv4 addresses excluded', $section, with(['IP:192.0.2.7'], excluded => ['IP:0.0.0.0/0.0.0.0']), @bad);
accepted('all IPv4 addresses excluded, the leaf has IPv6', $section, with(['IP:2001:db8::7'], excluded => ['IP:0.0.0.0/0.0.0.0']),
	minimal => $refuses);
accepted('an IPv6 address permitted', $section, with(['IP:2001:db8::7'], permitted => ['IP:2001:db8::/ffff:ffff::']), minimal => $refuses);
refused('an IPv6 address not permitted', $section, with(['IP:2001:db9::7'], permitted => ['IP:2001:db8::/ffff:ffff::']), @bad);
refused('an IPv6 address where IPv4 is permitted', $section, with(['IP:2001:db8::7'], permitted => ['IP:0.0.0.0/0.0.0.0']), @bad);
accepted('DNS names where only IP is constrained', $section, below(permitted => ['IP:192.0.2.0/255.255.255.0']), minimal => $refuses);
refused('a mask with a hole', 'RFC 4632 3.1', with(['IP:192.0.2.7'], permitted => ['IP:192.0.2.0/255.0.255.0']), @malformed,
	openssl => 'takes any mask');
refused('a range of five bytes', $section, with(['IP:192.0.2.7'], permitted => ['IP:hex:c000020000']), @malformed);
refused('a range that is malformed, and no address to compare', $section, below(permitted => ['IP:hex:c0000200']), @malformed,
	openssl => 'looks only where there is an address');

accepted('a directory name permitted', $section,
	[leaf(by => 'A', subject => 'O=Example, CN=www'), ca('A', constraints => constraints(permitted => ['DIR:O=Example']))], minimal => $refuses);
accepted('a directory name permitted, written otherwise', 'RFC 5280 7.1',
	[leaf(by => 'A', subject => [[['O', 'printable', 'EXAMPLE']], [['CN', 'utf8', 'www']]]),
	ca('A', constraints => constraints(permitted => ['DIR:O=Example']))], minimal => $refuses);
refused('a directory name not permitted', $section,
	[leaf(by => 'A', subject => 'O=Other, CN=www'), ca('A', constraints => constraints(permitted => ['DIR:O=Example']))], @bad);
refused('a directory name excluded', $section,
	[leaf(by => 'A', subject => 'O=Example, CN=www'), ca('A', constraints => constraints(excluded => ['DIR:O=Example']))], @bad);
for my $type (qw(teletex bmp universal)) {
	refused("a directory name excluded, in a $type string", $section,
		[leaf(by => 'A', subject => [[['O', $type, $type eq 'bmp' ? "\0E\0x" : $type eq 'universal' ? "\0\0\0E\0\0\0x" : 'Ex']], [['CN', 'utf8', 'www']]]),
		ca('A', constraints => constraints(excluded => ['DIR:O=Ex']))], unsupported_certificate => qr/cannot be compared/);
}
refused('a directory name excluded, in another string type that can be compared', $section,
	[leaf(by => 'A', subject => [[['O', 'ia5', 'EXAMPLE']], [['CN', 'utf8', 'www']]]), ca('A', constraints => constraints(excluded => ['DIR:O=Example']))], @bad);
refused('a directory name excluded, one part with too many attributes', $section,
	[leaf(by => 'A', subject => [[['O', 'utf8', 'eXample'], map { ['OU', 'utf8', "u$_"] } 1 .. 16], [['CN', 'utf8', 'www']]]),
	ca('A', constraints => constraints(excluded => ['DIR:O=Example']))], unsupported_certificate => qr/cannot be compared/,
	openssl => 'compares each part as a whole');
refused('a directory name in the alternative names excluded', $section, with(['DIR:O=Example, CN=x'], excluded => ['DIR:O=Example']), @bad);
accepted('an empty subject where a directory is permitted', $section, [leaf(by => 'A', subject => [], san => critical(san('DNS:www.example.com'))),
	ca('A', constraints => constraints(permitted => ['DIR:O=Example']))], minimal => $refuses);
refused('a shorter directory name than permitted', $section,
	[leaf(by => 'A', subject => 'O=Example'), ca('A', constraints => constraints(permitted => ['DIR:O=Example, CN=www']))], @bad);

accepted('a mail address permitted by its host', $section, with(['MAIL:joe@example.com'], permitted => ['MAIL:example.com']), minimal => $refuses);
accepted('a mail address permitted', $section, with(['MAIL:joe@example.com'], permitted => ['MAIL:joe@example.com']), minimal => $refuses);
accepted('a mail address permitted below a domain', $section, with(['MAIL:joe@mail.example.com'], permitted => ['MAIL:.example.com']),
	minimal => $refuses);
refused('a mail address at the domain itself', $section, with(['MAIL:joe@example.com'], permitted => ['MAIL:.example.com']), @bad);
refused('a mail address below the host', $section, with(['MAIL:joe@mail.example.com'], permitted => ['MAIL:example.com']), @bad);
refused('a mail address excluded', $section, with(['MAIL:joe@example.com'], excluded => ['MAIL:example.com']), @bad);
refused('another mail address permitted', $section, with(['MAIL:joe@example.com'], permitted => ['MAIL:ann@example.com']), @bad);
refused('a mail address in the subject', $section,
	[leaf(by => 'A', san => undef, subject => 'CN=x, mail=joe@example.net'),
	ca('A', constraints => constraints(permitted => ['MAIL:example.com']))], @bad,
	host => undef);
accepted('a mail address in the subject, beside alternative names', $section, [leaf(by => 'A', subject => 'CN=x, mail=joe@example.net'),
	ca('A', constraints => constraints(permitted => ['MAIL:example.com']))], openssl => 'compares it in any case', minimal => $refuses);

refused('an URI constrained, and there', $section, with(['URI:http://www.example.net/'], permitted => ['URI:example.com']), @bad);
accepted('an URI constrained, and not there', $section, below(permitted => ['URI:example.com']), minimal => $refuses);
refused('an URI constrained, and permitted', $section, with(['URI:http://www.example.com/'], permitted => ['URI:.example.com']), @bad,
	openssl => 'compares them');
refused('a kind nobody compares, and there', $section, with(['RID:1.2.3'], permitted => ['RID:1.2.4']), @bad);
accepted('a kind nobody compares, and not there', $section, below(excluded => ['RID:1.2.3']), minimal => $refuses);
refused('a minimum', $section, below(permitted => [['DNS:example.com', implicit(0, "\1")]]), @malformed);
refused('a maximum', $section, below(permitted => [['DNS:example.com', implicit(1, "\5")]]), @malformed);
refused('neither permitted nor excluded', $section, below(), @malformed, openssl => 'takes an empty list');
refused('malformed', $section, [leaf(by => 'A'), ca('A', constraints => extension('2.5.29.30', octets('x'), 1))], @malformed);
refused('a DNS name that is no name', $section, below(permitted => ["DNS:exa\0mple.com"]), @bad);

refused('of two intermediates the upper one excludes', 'RFC 5280 6.1.4 (g)',
	[leaf(by => 'A'), ca('A', by => 'B'), ca('B', constraints => constraints(excluded => ['DNS:www.example.com']))], @bad);
refused('of two intermediates each permits something else', 'RFC 5280 6.1.4 (g)',
	[leaf(by => 'A'), ca('A', by => 'B', constraints => constraints(permitted => ['DNS:example.com'])),
	ca('B', constraints => constraints(permitted => ['DNS:example.net']))], @bad);
accepted('of two intermediates each permits it', 'RFC 5280 6.1.4 (g)',
	[leaf(by => 'A'), ca('A', by => 'B', constraints => constraints(permitted => ['DNS:www.example.com'])),
	ca('B', constraints => constraints(permitted => ['DNS:example.com']))], minimal => $refuses);
refused('an intermediate is itself not permitted', 'RFC 5280 6.1.3 (b)', [leaf(by => 'A', subject => 'O=Example, CN=x'), ca('A', by => 'B'),
	ca('B', constraints => constraints(permitted => ['DIR:O=Example']))], @bad);
accepted('a self-issued intermediate is exempt', 'RFC 5280 6.1.3 (b)',
	[leaf(by => 'A', signer => 'A2', aki => aki('2'), subject => 'O=Example, CN=x'),
	ca('A', by => 'A', key => 'A2', ski => ski('2'), aki => aki('1')),
	ca('A', ski => ski('1'), constraints => constraints(permitted => ['DIR:O=Example']))], minimal => $refuses);
refused('a self-issued leaf is not exempt', 'RFC 5280 6.1.3 (b)',
	[leaf(subject => 'CN=A', by => 'A'), ca('A', constraints => constraints(permitted => ['DNS:example.net']))], @bad);
refused('a common name that would count is not permitted', 'BR 7.1.2.5.2', [leaf(by => 'A', san => undef, subject => 'CN=www.example.com'),
	ca('A', constraints => constraints(permitted => ['DNS:example.net']))], @bad, env => { TLS_CNFALLBACK => 1 });
accepted('constraints in the leaf bind nobody', $section, [leaf(constraints => constraints(excluded => ['DNS:example.com']))], minimal => $refuses);
accepted('a common name that does not count', $section,
	[leaf(by => 'A', san => undef), ca('A', constraints => constraints(permitted => ['DNS:example.net']))], host => undef,
	openssl => 'takes it for a host', minimal => $refuses);
refused('a wildcard as what is excluded', $section, below(excluded => ['DNS:*.example.com']), @bad, openssl => 'compares it as it is written');
accepted('every directory name permitted', $section, below(permitted => ['DIR:']), minimal => $refuses);
refused('every directory name excluded', $section, below(excluded => ['DIR:']), @bad);
accepted('a mail address whose domain is written otherwise', $section, with(['MAIL:joe@EXAMPLE.com'], permitted => ['MAIL:joe@example.com']),
	minimal => $refuses);
refused('a mail address whose local part is written otherwise', $section, with(['MAIL:Joe@example.com'], permitted => ['MAIL:joe@example.com']),
	@bad);
refused('a mail address without a domain', $section, with(['MAIL:joe'], permitted => ['MAIL:example.com']), @bad);
refused('a range of two bytes', $section, below(permitted => ['IP:hex:c000ff00']), @malformed, openssl => 'looks only where there is an address');
refused('an empty list of what is permitted', $section, below(permitted => []), @malformed, openssl => 'takes an empty list');
refused('a wildcard stands for more than is permitted', $section,
	[leaf(by => 'A', san => san('DNS:*.example.com')), ca('A', constraints => constraints(permitted => ['DNS:www.example.com']))], @bad);
refused('an IPv4 address where IPv6 is permitted', $section, with(['IP:192.0.2.7'], permitted => ['IP:::/::']), @bad);
refused('what is permitted of one kind is not of another', $section, below(permitted => ['DNS:example.net', 'MAIL:example.com']), @bad);
accepted('what is excluded of one kind is not of another', $section, below(excluded => ['DNS:example.net', 'MAIL:www.example.com']),
	minimal => $refuses);

1;
