# Certificate policies (RFC 5280 6.1.2 to 6.1.5): any policy will do, but where one is required there must be one.
package PathCases::Policies;

use strict;
use warnings;
use Certificates;
use PathCases;

my $ignores = 'knows nothing of policies';
my $refuses = 'refuses critical extensions about policies';
my @malformed = (bad_certificate => qr/malformed (certificatePolicies|policyConstraints|inhibitAnyPolicy)/);
my @bad     = (unsupported_certificate => qr/polic/);
my $section = 'RFC 5280 6.1.5 (g)';

# Leaf, intermediate, each with what is said of it.
sub two { my ($leaf, $ca) = @_; return [leaf(by => 'A', @$leaf), ca('A', @$ca)] }

accepted('policies nobody requires', 'RFC 5280 6.1.3 (d)', two([policies => policies('1.2.3.4')], [policies => policies('1.2.3.5')]));
accepted('a policy on all the path', $section, two([policies => policies('1.2.3.4')], [policies => policies('1.2.3.4')]));
refused('a policy required and none there', $section, two([], [demands => demands(0)]), @bad);
refused('a policy required, none in the leaf', $section, two([], [demands => demands(0), policies => policies('1.2.3.4')]), @bad);
refused('a policy required, none in the intermediate', $section, two([policies => policies('1.2.3.4')], [demands => demands(0)]), @bad);
refused('a policy required, two different ones there', $section,
	two([policies => policies('1.2.3.5')], [demands => demands(0), policies => policies('1.2.3.4')]), @bad);
accepted('a policy required, and there', $section,
	two([policies => policies('1.2.3.4')], [demands => demands(0), policies => policies('1.2.3.4')]), minimal => $refuses);
accepted('a policy required, one of several is there', $section,
	two([policies => policies('1.2.3.9', '1.2.3.4')], [demands => demands(0), policies => policies('1.2.3.4', '1.2.3.5')]), minimal => $refuses);
accepted('a policy required, anyPolicy in the intermediate', 'RFC 5280 6.1.3 (d)(1)',
	two([policies => policies('1.2.3.4')], [demands => demands(0), policies => policies('any')]), minimal => $refuses);
accepted('a policy required, anyPolicy in the leaf', 'RFC 5280 6.1.3 (d)(2)',
	two([policies => policies('any')], [demands => demands(0), policies => policies('1.2.3.4')]), minimal => $refuses);
accepted('a policy required in two certificates from here', 'RFC 5280 6.1.4 (i)', two([], [demands => demands(2)]), minimal => $refuses);
refused('a policy required in one certificate from here', 'RFC 5280 6.1.4 (h)', two([], [demands => demands(1)]), @bad);
refused('required by the leaf itself', 'RFC 5280 6.1.5 (b)', [leaf(demands => demands(0))], @bad);
refused('anyPolicy inhibited', 'RFC 5280 6.1.4 (j)',
	two([policies => policies('any')], [demands => demands(0), inhibit => inhibit(0), policies => policies('1.2.3.4')]), @bad);
accepted('anyPolicy inhibited, another there', 'RFC 5280 6.1.4 (j)',
	two([policies => policies('1.2.3.4', 'any')], [demands => demands(0), inhibit => inhibit(0), policies => policies('1.2.3.4')]),
	minimal => $refuses);
accepted('anyPolicy inhibited further down', 'RFC 5280 6.1.4 (j)',
	two([policies => policies('any')], [demands => demands(0), inhibit => inhibit(1), policies => policies('1.2.3.4')]), minimal => $refuses);
accepted('anyPolicy inhibited, no policy required', 'RFC 5280 6.1.4 (j)', two([policies => policies('any')], [inhibit => inhibit(0)]),
	minimal => $refuses);
accepted('mappings, not critical, no policy required', 'RFC 5280 6.1.4 (a)',
	two([policies => policies('1.2.3.5')], [policies => policies('1.2.3.4'), mappings => uncritical(mappings('1.2.3.4' => '1.2.3.5'))]));
accepted('a policy twice', 'RFC 5280 4.2.1.4', [leaf(policies => policies('1.2.3.4', '1.2.3.4'))], openssl => 'refuses it');
refused('malformed policies', 'RFC 5280 4.2.1.4', [leaf(policies => extension('2.5.29.32', octets('x')))], @malformed, minimal => $ignores);
refused('no policies in the list', 'RFC 5280 4.2.1.4', [leaf(policies => extension('2.5.29.32', seq()))], @malformed,
	openssl => 'takes an empty list', minimal => $ignores);
refused('malformed policyConstraints', 'RFC 5280 4.2.1.11', two([], [demands => extension('2.5.29.36', null(), 1)]), @malformed);
refused('malformed inhibitAnyPolicy', 'RFC 5280 4.2.1.14', two([], [inhibit => extension('2.5.29.54', integer("\xff"), 1)]), @malformed,
	openssl => 'ignores it');

my @mapped = (policies => policies('1.2.3.4'), mappings => mappings('1.2.3.4' => '1.2.3.5'));
accepted('mappings, no policy required', 'RFC 5280 6.1.4 (a)', two([policies => policies('1.2.3.5')], [@mapped]), minimal => $refuses);
refused('mappings, and a policy required', 'RFC 5280 4.2.1.5', two([policies => policies('1.2.3.5')], [demands => demands(0), @mapped]), @bad,
	openssl => 'maps them');
accepted('a policy required, anyPolicy all the way', 'RFC 5280 6.1.3 (d)(2)',
	two([policies => policies('any')], [demands => demands(0), policies => policies('any')]),
	minimal => $refuses);
accepted('anyPolicy inhibited, self-issued between', 'RFC 5280 6.1.3 (d)(2)',
	[leaf(by => 'A', signer => 'A2', aki => aki('2'), policies => policies('1.2.3.4')),
		ca('A', key => 'A2', by => 'A', ski => ski('2'), aki => aki('1'), policies => policies('any')),
		ca('A', ski => ski('1'), demands => demands(0), inhibit => inhibit(0), policies => policies('1.2.3.4'))], minimal => $refuses);
refused('65 policies where one is required', 'bounds', two([policies => policies('1.2.3.4', map { "1.2.4.$_" } 1 .. 64)],
	[demands => demands(0), policies => policies('1.2.3.4')]), @bad, openssl => 'has no such bound');
refused('anyPolicy inhibited in the intermediate below', 'RFC 5280 6.1.3 (d)(2)', [leaf(by => 'A', policies => policies('1.2.3.4')),
	ca('A', by => 'B', policies => policies('any')), ca('B', demands => demands(0), inhibit => inhibit(0), policies => policies('1.2.3.4'))], @bad);
refused('anyPolicy inhibited, and nothing else there', 'RFC 5280 6.1.3 (d)(2)', [leaf(by => 'A', policies => policies('any')),
	ca('A', by => 'B', policies => policies('any')), ca('B', demands => demands(0), inhibit => inhibit(0), policies => policies('any'))], @bad);
accepted('a policy required in two certificates from here, self-issued not counted', 'RFC 5280 6.1.4 (h)',
	[leaf(by => 'A', signer => 'A2', aki => aki('2')),
	ca('A', key => 'A2', by => 'A', ski => ski('2'), aki => aki('1')), ca('A', ski => ski('1'), demands => demands(2))], minimal => $refuses);
refused('mappings, a policy required, the one mapped away there', 'RFC 5280 6.1.4 (b)', two([policies => policies('1.2.3.4')],
	[demands => demands(0), @mapped]), @bad);

1;
