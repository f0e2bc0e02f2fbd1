# Trust anchors: what they may be, and what their certificates say about what they may issue.
package PathCases::Anchors;

use strict;
use warnings;
use Certificates;
use PathCases;

my $bare = 'knows no more of an anchor than its name and key';
my $past = [from => 1000000000, to => 1100000000];

accepted('an intermediate as anchor', 'RFC 5280 6.1.1 (d)', [leaf(by => 'A')], anchors => [ca('A')]);
accepted('an intermediate as anchor, presented too', 'RFC 5280 6.1.1 (d)', [leaf(by => 'A'), ca('A')], anchors => [ca('A')]);
accepted('an anchor among others', 'RFC 5280 6.1.1 (d)', [chain_of(1)], anchors => [root('second'), root(), root('third')]);
accepted('an anchor two steps up, and one three steps up', 'RFC 5280 6.1.1 (d)', [chain_of(2)], anchors => [root(), (chain_of(2))[2]],
	path => [map { "CN=$_" } 'www.example.com', 'I1', 'I2']);
accepted('the leaf as anchor', 'RFC 6698 2.1.1', [leaf(by => 'nobody')], anchors => [leaf(by => 'nobody')], path => ['CN=www.example.com']);
accepted('a self-signed leaf as anchor', 'RFC 6698 2.1.1', [leaf(by => 'leaf', subject => 'CN=leaf')],
	anchors => [leaf(by => 'leaf', subject => 'CN=leaf')]);
accepted('the leaf as anchor, CA:FALSE', 'RFC 6698 2.1.1', [leaf(by => 'nobody', basic => basic(0))],
	anchors => [leaf(by => 'nobody', basic => basic(0))]);
refused('the leaf as anchor, for another host', 'RFC 9525 6', [leaf(by => 'nobody')], bad_certificate => qr/name/, anchors => [leaf(by => 'nobody')],
	host => 'other.example.com');
refused('the anchor is of the same name and another key', 'RFC 5280 6.1.3 (a)(1)', [leaf()], bad_certificate => qr/signature/,
	anchors => [root('root', key => 'other', signer => 'other')]);
refused('only the leaf of another is trusted', 'RFC 5280 6.1', [leaf(by => 'A'), ca('A')], unknown_ca => qr/trusted/, anchors => [leaf(key => 'B')]);

refused('an expired anchor', 'RFC 5280 4.1.2.5', [chain_of(1)], certificate_expired => qr/expired/, anchors => [root('root', @$past)],
	minimal => $bare);
refused('an anchor not yet valid', 'RFC 5280 4.1.2.5', [leaf()], certificate_expired => qr/not yet valid/,
	anchors => [root('root', from => time + 86400)],
	minimal => $bare);
accepted('an expired anchor, and the same key with a new date', 'RFC 5280 4.1.2.5', [leaf()], anchors => [root('root', @$past), root()]);
accepted('an anchor with a path length that suffices', 'RFC 5280 6.1.4 (m)', [chain_of(1)], anchors => [root('root', basic => basic(1, 1))]);
accepted('an anchor with path length 0', 'RFC 5280 6.1.4 (m)', [leaf()], anchors => [root('root', basic => basic(1, 0))]);
refused('an anchor with a path length too small', 'RFC 5280 6.1.4 (l)', [chain_of(1)],
	unknown_ca => qr/more intermediate certificates than an issuer allows/,
	anchors => [root('root', basic => basic(1, 0))], minimal => $bare, at => 'CN=root');
accepted('an anchor for servers', 'RFC 5280 4.2.1.12', [leaf()], anchors => [root('root', eku => eku('serverAuth'))]);
refused('an anchor for mail', 'RFC 5280 4.2.1.12', [leaf()], unsupported_certificate => qr/usage/,
	anchors => [root('root', eku => eku('emailProtection'))],
	minimal => $bare);
refused('an anchor for clients', 'RFC 5280 4.2.1.12', [leaf()], unsupported_certificate => qr/usage/,
	anchors => [root('root', eku => eku('clientAuth'))],
	minimal => $bare);
accepted('an anchor that permits the name', 'RFC 5280 4.2.1.10', [leaf()],
	anchors => [root('root', constraints => constraints(permitted => ['DNS:example.com']))]);
refused('an anchor that excludes the name', 'RFC 5280 4.2.1.10', [leaf()], unsupported_certificate => qr/name constraints|excluded|permitted/,
	anchors => [root('root', constraints => constraints(excluded => ['DNS:example.com']))], minimal => $bare);
refused('an anchor that permits other names', 'RFC 5280 4.2.1.10', [chain_of(1)], unsupported_certificate => qr/name constraints|excluded|permitted/,
	anchors => [root('root', constraints => constraints(permitted => ['DNS:example.net']))], minimal => $bare);
refused('an anchor without keyCertSign', 'RFC 5280 4.2.1.3', [leaf()], unsupported_certificate => qr/may not sign/,
	anchors => [root('root', usage => usage('cRLSign'))],
	minimal => $bare);
accepted('an anchor without keyUsage', 'RFC 5280 4.2.1.3', [leaf()], anchors => [root('root', usage => undef)]);
refused('an anchor that is CA:FALSE', 'RFC 5280 4.2.1.9', [leaf()], unknown_ca => qr/authority/, anchors => [root('root', basic => basic(0))]);
refused('an anchor without basicConstraints', 'RFC 5280 6.1.4 (k)', [leaf()], unknown_ca => qr/authority/, anchors => [root('root', basic => undef)],
	openssl => 'is content with keyCertSign');
accepted('an anchor of version 1', 'RFC 5280 6.1.4 (k)', [leaf()], anchors => [root('root', version => undef, extensions => undef)]);
refused('an anchor with an unknown critical extension', 'RFC 5280 4.2', [leaf()], unsupported_certificate => qr/critical/,
	anchors => [root('root', extra => extension('1.3.6.1.4.1.99999.5', null(), 1))], minimal => $bare);
accepted('an anchor with an unknown extension', 'RFC 5280 4.2', [leaf()],
	anchors => [root('root', extra => extension('1.3.6.1.4.1.99999.5', null(), 0))]);
accepted('an anchor whose own signature is wrong', 'RFC 5280 6.1.1 (d)', [leaf()], anchors => [root('root', wrong => sub { reverse $_[0] })]);
refused('an anchor that requires a policy', 'RFC 5937 3.2', [leaf()], unsupported_certificate => qr/polic/,
	anchors => [root('root', demands => demands(0))],
	openssl => 'does not look at the policies of an anchor', minimal => $bare);

refused('an expired leaf as anchor', 'RFC 5280 4.1.2.5', [leaf(by => 'nobody', @$past)], certificate_expired => qr/expired/,
	anchors => [leaf(by => 'nobody', @$past)]);
refused('the leaf as anchor, but not of this key', 'RFC 6698 2.1.1', [leaf(by => 'nobody')], unknown_ca => qr/trusted/,
	anchors => [leaf(by => 'nobody', key => 'B')]);

1;
