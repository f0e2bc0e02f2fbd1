# Whether an intermediate may issue: basicConstraints, path length, keyUsage; and what both may say about the leaf.
package PathCases::Authorities;

use strict;
use warnings;
use Certificates;
use PathCases;


sub below { return [leaf(by => 'A'), ca('A', @_)] }

refused('an intermediate without basicConstraints', 'RFC 5280 6.1.4 (k)', below(basic => undef), unknown_ca => qr/authority/);
refused('an intermediate that is CA:FALSE', 'RFC 5280 6.1.4 (k)', below(basic => basic(0)), unknown_ca => qr/authority/, at => 'CN=A');
refused('an intermediate without any extension', 'RFC 5280 6.1.4 (k)', below(extensions => undef), unknown_ca => qr/authority/);
refused('an intermediate of version 1', 'RFC 5280 6.1.4 (k)', below(version => undef, extensions => undef), unknown_ca => qr/authority/);
refused('an intermediate of version 2', 'RFC 5280 6.1.4 (k)', below(version => 1, extensions => undef), unknown_ca => qr/authority/);
refused('a leaf as intermediate', 'RFC 5280 6.1.4 (k)', [leaf(issuer => 'CN=www.example.com', signer => 'B'), leaf(key => 'B')],
	unknown_ca => qr/authority/);
accepted('basicConstraints not critical', 'RFC 5280 4.2.1.9', below(basic => basic(1, undef, 0)));
accepted('FALSE written down', 'RFC 5280 4.2.1.9', [leaf(basic => extension('2.5.29.19', seq(boolean(0)), 1))]);
accepted('CA:FALSE in the leaf', 'RFC 5280 4.2.1.9', [leaf(basic => basic(0))]);
accepted('CA:TRUE in the leaf', 'RFC 5280 4.2.1.9', [leaf(basic => basic(1))]);
refused('malformed basicConstraints', 'RFC 5280 4.2.1.9', below(basic => extension('2.5.29.19', seq(null()), 1)),
	bad_certificate => qr/basicConstraints/);
refused('a path length below zero', 'RFC 5280 4.2.1.9', below(basic => basic(1, \integer("\xff"))), bad_certificate => qr/basicConstraints/);
refused('TRUE is not 255', 'X.690 11.1', below(basic => extension('2.5.29.19', seq(der(1, "\1")), 1)), bad_certificate => qr/basicConstraints/,
	openssl => 'reads BER', minimal => 'reads BER');

# ---- path length ----

sub three { my ($first, $second, $third) = @_; return [leaf(by => 'A'), ca('A', by => 'B', @$first), ca('B', by => 'C', @$second), ca('C', @$third)] }

accepted('path lengths exactly', 'RFC 5280 6.1.4 (l)', three([basic => basic(1, 0)], [basic => basic(1, 1)], [basic => basic(1, 2)]));
refused('a path length one too few', 'RFC 5280 6.1.4 (l)', three([], [], [basic => basic(1, 1)]),
	unknown_ca => qr/more intermediate certificates than an issuer allows/);
refused('a path length one too few in the middle', 'RFC 5280 6.1.4 (l)', three([], [basic => basic(1, 0)], [basic => basic(1, 2)]),
	unknown_ca => qr/more intermediate certificates than an issuer allows/, at => 'CN=B');
accepted('path length 0 above a leaf that is CA:TRUE', 'RFC 5280 4.2.1.9', [leaf(by => 'A', basic => basic(1)), ca('A', basic => basic(1, 0))]);
accepted('a larger path length below', 'RFC 5280 6.1.4 (m)', three([basic => basic(1, 9)], [basic => basic(1, 9)], [basic => basic(1, 2)]));
accepted('an enormous path length', 'RFC 5280 4.2.1.9', below(basic => basic(1, \integer("\x7f" . "\xff" x 3))));
accepted('self-issued certificates do not count', 'RFC 5280 6.1.4 (l)',
	[leaf(by => 'A', signer => 'A2', aki => aki('2')), ca('A', key => 'A2', by => 'A', basic => basic(1, 0), ski => ski('2'), aki => aki('1')),
		ca('A', basic => basic(1, 0), ski => ski('1'))], minimal => 'counts them');
refused('those that are not self-issued count', 'RFC 5280 6.1.4 (l)',
	[leaf(by => 'B'), ca('B', by => 'A', signer => 'A2'), ca('A', key => 'A2', by => 'A'), ca('A', basic => basic(1, 0))],
		unknown_ca => qr/more intermediate certificates than an issuer allows/);

# ---- key usage ----

accepted('an intermediate without keyUsage', 'RFC 5280 6.1.4 (n)', below(usage => undef));
accepted('an intermediate with more usages', 'RFC 5280 6.1.4 (n)', below(usage => usage('digitalSignature', 'keyCertSign', 'cRLSign')));
accepted('keyUsage not critical', 'RFC 5280 4.2.1.3', below(usage => uncritical(usage('keyCertSign'))));
refused('an intermediate without keyCertSign', 'RFC 5280 6.1.4 (n)', below(usage => usage('cRLSign')), unsupported_certificate => qr/may not sign/);
refused('the same, not critical', 'RFC 5280 6.1.4 (n)', below(usage => uncritical(usage('digitalSignature'))),
	unsupported_certificate => qr/may not sign/);
accepted('a leaf without keyUsage', 'RFC 5280 4.2.1.3', [leaf(usage => undef)]);
refused('a leaf for certificates only', 'RFC 5246 7.4.2', [leaf(usage => usage('keyCertSign'))], unsupported_certificate => qr/may not be used/,
	minimal => 'does not look');
# What the key has to do depends on the cipher suite, which a chain alone does not tell.
my $static = 'leaves room for key exchange without ephemeral keys';
refused('a leaf without digitalSignature', 'RFC 5246 7.4.2', [leaf(usage => usage('keyEncipherment'))], unsupported_certificate => qr/may not be used/,
	openssl => $static, minimal => $static);
refused('a leaf for key agreement only', 'RFC 5246 7.4.2', [leaf(usage => usage('keyAgreement'))], unsupported_certificate => qr/may not be used/,
	openssl => $static, minimal => $static);
accepted('a leaf with digitalSignature among others', 'RFC 5246 7.4.2', [leaf(usage => usage('digitalSignature', 'keyAgreement'))]);
refused('malformed keyUsage', 'X.690 8.6.2', [leaf(usage => extension('2.5.29.15', der(3, "\x08\x80"), 1))], bad_certificate => qr/keyUsage/);
refused('keyUsage that is no BIT STRING', 'RFC 5280 4.2.1.3', [leaf(usage => extension('2.5.29.15', octets("\x80"), 1))],
	bad_certificate => qr/keyUsage/);
refused('a leaf with no usage at all', 'RFC 5280 4.2.1.3', [leaf(usage => extension('2.5.29.15', bits(), 1))],
	unsupported_certificate => qr/may not be used/);

1;
