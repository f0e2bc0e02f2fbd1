# Finding a path: how long it may be, in which order its certificates come, which of several ways is taken.
package PathCases::Chains;

use strict;
use warnings;
use Certificates;
use PathCases;

my $in_order = 'takes the certificates in the order in which they come';
my $one_way  = 'follows the first issuer that fits and never turns back';
my $no_bound = 'has no bound on the length of a path';

accepted("$_ intermediates", 'RFC 5280 6.1', [chain_of($_)]) for 0 .. 8;
refused('9 intermediates', 'RFC 5280 6.1', [chain_of(9)], unknown_ca => qr/VERIFYDEPTH/, minimal => $no_bound);
accepted('9 intermediates, VERIFYDEPTH=9', 'RFC 5280 6.1', [chain_of(9)], env => { VERIFYDEPTH => 9 });
accepted('14 intermediates, VERIFYDEPTH=14', 'RFC 5280 6.1', [chain_of(14)], env => { VERIFYDEPTH => 14 });
accepted('no intermediate, VERIFYDEPTH=0', 'RFC 5280 6.1', [leaf()], env => { VERIFYDEPTH => 0 });
refused('one intermediate, VERIFYDEPTH=0', 'RFC 5280 6.1', [chain_of(1)], unknown_ca => qr/VERIFYDEPTH/, env => { VERIFYDEPTH => 0 },
	minimal => $no_bound);
accepted('one intermediate, VERIFYDEPTH=1', 'RFC 5280 6.1', [chain_of(1)], env => { VERIFYDEPTH => 1 });
refused('two intermediates, VERIFYDEPTH=1', 'RFC 5280 6.1', [chain_of(2)], unknown_ca => qr/VERIFYDEPTH/, env => { VERIFYDEPTH => 1 },
	minimal => $no_bound);
accepted('the root presented does not count for VERIFYDEPTH', 'RFC 5280 6.1', [chain_of(1), root()], env => { VERIFYDEPTH => 1 });

# ---- order, extras ----

my ($leaf, @three) = chain_of(3);
accepted('the root is presented too', 'RFC 8446 4.4.2', [chain_of(2), root()]);
accepted('the root is presented and nothing else', 'RFC 8446 4.4.2', [leaf(), root()]);
accepted('intermediates from the root down', 'RFC 8446 4.4.2', [$leaf, reverse @three], minimal => $in_order);
accepted('intermediates with the root first', 'RFC 8446 4.4.2', [$leaf, root(), @three], minimal => $in_order);
accepted('intermediates in no order', 'RFC 8446 4.4.2', [$leaf, @three[1, 2, 0]], minimal => $in_order,
	path => [map { "CN=$_" } 'www.example.com', 'I1', 'I2', 'I3', 'root']);
accepted('the leaf twice', 'RFC 8446 4.4.2', [$leaf, $leaf, @three], minimal => $in_order);
accepted('an intermediate twice', 'RFC 8446 4.4.2', [$leaf, @three[0, 0, 1, 2]], minimal => $in_order);
accepted('an extra intermediate at the end', 'RFC 8446 4.4.2', [leaf(by => 'A'), ca('A'), ca('B')]);
accepted('an extra intermediate between', 'RFC 8446 4.4.2', [leaf(by => 'A'), ca('B'), ca('A')], minimal => $in_order);
accepted('an extra root nobody asked for', 'RFC 8446 4.4.2', [leaf(by => 'A'), root('stranger'), ca('A')], minimal => $in_order);
accepted('an expired extra', 'RFC 8446 4.4.2', [leaf(by => 'A'), ca('A'), ca('B', from => 0, to => 1)]);
accepted('an extra leaf of somebody else', 'RFC 8446 4.4.2', [leaf(by => 'A'), ca('A'), leaf(subject => 'CN=other', key => 'B')]);
accepted('an extra with a serial number that is too long', 'RFC 8446 4.4.2', [leaf(by => 'A'), ca('A'), ca('B', serial => 'x' x 21)]);
accepted('an extra that is malformed', 'RFC 8446 4.4.2', [leaf(by => 'A'), ca('A'), 'what is this']);
accepted('a malformed certificate before the one that is needed', 'RFC 8446 4.4.2', [leaf(by => 'A'), 'what is this', ca('A')],
	minimal => 'reads every certificate up to the anchor');
refused('the leaf stands behind its authority', 'RFC 8446 4.4.2', [ca('A'), leaf(by => 'A')], unsupported_certificate => qr/may not be used/);

# ---- no way ----

refused('an intermediate is missing', 'RFC 5280 6.1', [$leaf, @three[0, 2]], unknown_ca => qr/trusted/, at => 'CN=I1');
refused('the intermediate is missing', 'RFC 5280 6.1', [leaf(by => 'A')], unknown_ca => qr/trusted/);
refused('the root is presented, but not trusted', 'RFC 5280 6.1', [leaf(by => 'other'), root('other')], unknown_ca => qr/trusted/);
refused('a self-signed leaf', 'RFC 5280 6.1', [leaf(subject => 'CN=leaf', by => 'leaf')], unknown_ca => qr/trusted/);
refused('a root of the same name presented', 'RFC 5280 6.1', [leaf(signer => 'other'), root('root', key => 'other', signer => 'other')],
	bad_certificate => qr/signature/);

# ---- several ways ----

my @two = (root(), root('second'));
my $past = [from => 1000000000, to => 1100000000];
accepted('cross-signed, the way by the expired one first', 'RFC 4158 2.3', [leaf(by => 'A'), ca('A', @$past), ca('A', by => 'second')],
	anchors => \@two,
	minimal => $in_order, path => ['CN=www.example.com', 'CN=A', 'CN=second']);
accepted('cross-signed, the way by the expired one last', 'RFC 4158 2.3', [leaf(by => 'A'), ca('A', by => 'second'), ca('A', @$past)],
	anchors => \@two);
accepted('cross-signed, the first by nobody known', 'RFC 4158 2.3', [leaf(by => 'A'), ca('A', by => 'stranger'), ca('A')], openssl => $one_way,
	minimal => $in_order, path => ['CN=www.example.com', 'CN=A', 'CN=root']);
accepted('cross-signed, the last by nobody known', 'RFC 4158 2.3', [leaf(by => 'A'), ca('A'), ca('A', by => 'stranger')]);
accepted('cross-signed, the first without keyCertSign', 'RFC 4158 2.3',
	[leaf(by => 'A'), ca('A', usage => usage('cRLSign')), ca('A', by => 'second')],
	anchors => \@two, openssl => $one_way, minimal => $in_order);
accepted('cross-signed, the first with another purpose', 'RFC 4158 2.3',
	[leaf(by => 'A'), ca('A', eku => eku('clientAuth')), ca('A', by => 'second')],
	anchors => \@two, openssl => $one_way);
accepted('cross-signed, the first excluding the name', 'RFC 4158 2.3',
	[leaf(by => 'A'), ca('A', constraints => constraints(excluded => ['DNS:example.com'])), ca('A', by => 'second')], anchors => \@two,
		openssl => $one_way, minimal => 'refuses all critical name constraints');
accepted('cross-signed further up', 'RFC 4158 2.3', [leaf(by => 'A'), ca('A', by => 'B'), ca('B', by => 'stranger'), ca('B')],
	openssl => $one_way, minimal => $in_order);
accepted('a trusted root cross-signed by an expired one', 'RFC 4158 2.3',
	[leaf(by => 'A'), ca('A', by => 'second'), ca('second', by => 'old'), root('old', @$past)],
	anchors => [root('second')]);
accepted('the anchor of the same name is another key, too', 'RFC 4158 2.3', [leaf()],
	anchors => [root('root', key => 'other', signer => 'other'), root()], openssl => $one_way);
accepted('another key of the same name first', 'RFC 4158 2.3', [leaf(by => 'A'), ca('A', key => 'A2'), ca('A')], openssl => $one_way,
	minimal => $in_order);
accepted('another key of the same name last', 'RFC 4158 2.3', [leaf(by => 'A'), ca('A'), ca('A', key => 'A2')]);
refused('only another key of the same name', 'RFC 5280 6.1.3 (a)(1)', [leaf(by => 'A'), ca('A', key => 'A2')], bad_certificate => qr/signature/,
	at => 'CN=www.example.com');
refused('two authorities that only sign each other', 'RFC 4158 2.4.2', [leaf(by => 'A'), ca('A', by => 'B'), ca('B', by => 'A')],
	unknown_ca => qr/trusted/);
accepted('two authorities that sign each other, and a way out', 'RFC 4158 2.4.2',
	[leaf(by => 'A'), ca('A', by => 'B'), ca('B', by => 'A'), ca('B')], openssl => $one_way, minimal => $in_order,
	path => ['CN=www.example.com', 'CN=A', 'CN=B', 'CN=root']);
accepted('the same, the way out first', 'RFC 4158 2.4.2', [leaf(by => 'A'), ca('B'), ca('B', by => 'A'), ca('A', by => 'B')], minimal => $in_order);
accepted('a way by each of two roots', 'RFC 4158 2.3', [leaf(by => 'A'), ca('A'), ca('A', by => 'second')], anchors => [root('second')],
	openssl => $one_way, minimal => $in_order, path => ['CN=www.example.com', 'CN=A', 'CN=second']);
accepted('a new key signed by the old one of the same name', 'RFC 5280 6.1', [leaf(by => 'A', signer => 'A2', aki => aki('2')),
	ca('A', key => 'A2', by => 'A', ski => ski('2'), aki => aki('1')), ca('A', ski => ski('1'))]);

# A wrong signature is found wrong the second time, too: the way to it forks and joins again.
refused('two ways to the same wrong signature', 'RFC 5280 6.1.3 (a)(1)',
	[leaf(by => 'A'), ca('A', by => 'B'), ca('A', by => 'B', serial => "\2"), ca('B', by => 'C', signer => 'other'), ca('C')],
	bad_certificate => qr/signature/, at => 'CN=B');

1;
