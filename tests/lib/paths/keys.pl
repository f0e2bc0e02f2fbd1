# Public keys and signatures.
package PathCases::Keys;

use strict;
use warnings;
use Certificates;
use PathCases;

sub bad  { return bad_certificate         => $_[0] }
sub weak { return unsupported_certificate => $_[0] }

# SubjectPublicKeyInfo of an RSA key with these numbers (contents of INTEGERs), and of an elliptic curve.
sub rsa { my ($modulus, $exponent) = @_; return \seq(seq(oid('1.2.840.113549.1.1.1'), null()), bits(seq(integer($modulus), integer($exponent)))) }
sub curve { my ($oid, $point) = @_; return \seq(seq(oid('1.2.840.10045.2.1'), $oid), bits($point)) }

my ($modulus) = public_key('rsa2048:leaf') =~ /\x02\x82\x01\x01(\0.{256})/s;
my $kinds = 'RFC 8422 5.1.1';

accepted('P-256', $kinds, [leaf()]);
accepted('P-384', $kinds, [leaf(key => 'ec384:leaf')]);
accepted('P-521', $kinds, [leaf(key => 'ec521:leaf')]);
accepted('authorities on P-384 and P-521', $kinds, [leaf(by => 'A', signer => 'ec384:A', algorithm => 'ecdsa-sha384'),
	ca('A', key => 'ec384:A', signer => 'ec521:root', algorithm => 'ecdsa-sha512')],
		anchors => [root('root', key => 'ec521:root', signer => 'ec521:root')]);
accepted('an RSA leaf', 'RFC 8017 8.2', [leaf(key => 'rsa2048:leaf')]);
accepted('an RSA authority', 'RFC 8017 8.2', [leaf(by => 'A', signer => 'rsa2048:A'), ca('A', key => 'rsa2048:A')]);
accepted('an RSA authority with exponent 3', 'RFC 8017 3.1', [leaf(by => 'A', signer => 'rsa2048e3:A'), ca('A', key => 'rsa2048e3:A')]);
refused('RSA of 1024 bits', 'BR 6.1.5', [leaf(key => 'rsa1024:leaf')], bad(qr/too weak/));
accepted('RSA of 1024 bits, TLS_MINRSA=1024', 'BR 6.1.5', [leaf(key => 'rsa1024:leaf')], minimal => 'is told of 2048 bits',
	env => { TLS_MINRSA => 1024 });
refused('an intermediate of 1024 bits', 'BR 6.1.5', [leaf(by => 'A', signer => 'rsa1024:A'), ca('A', key => 'rsa1024:A')], bad(qr/too weak/));
refused('an anchor of 1024 bits', 'BR 6.1.5', [leaf(signer => 'rsa1024:root')], bad(qr/too weak/),
	anchors => [root('root', key => 'rsa1024:root', signer => 'rsa1024:root')], minimal => 'does not look at the key of an anchor');
accepted('an intermediate of 1024 bits, TLS_MINRSA=1024', 'BR 6.1.5', [leaf(by => 'A', signer => 'rsa1024:A'), ca('A', key => 'rsa1024:A')],
	minimal => 'is told of 2048 bits', env => { TLS_MINRSA => 1024 });
refused('RSA of 2048 bits, TLS_MINRSA=3072', 'BR 6.1.5', [leaf(key => 'rsa2048:leaf')], bad(qr/too weak/), env => { TLS_MINRSA => 3072 },
	openssl => 'is told of 2048 bits', minimal => 'is told of fewer bits');
refused('RSA of 2047 bits', 'BR 6.1.5', [leaf(key => rsa("\x7f" . substr($modulus, 2), "\1\0\1"))], bad(qr/too weak/),
	openssl => 'counts its strength as that of 2048', minimal => 'counts bytes');
refused('RSA of 4104 bits', 'RFC 8017 3.1', [leaf(key => rsa("\0\xff" . 'x' x 511 . "\1", "\1\0\1"))], weak(qr/too large|not supported/),
	openssl => 'takes larger ones', minimal => 'does not look at the key of a leaf');
accepted('RSA of 4096 bits', 'RFC 8017 3.1', [leaf(key => rsa("\0\xff" . 'x' x 510 . "\1", "\1\0\1"))], tls => 0);
refused('RSA with exponent 1', 'RFC 8017 3.1', [leaf(key => rsa($modulus, "\1"))], bad(qr/malformed/), openssl => 'does not look',
	minimal => 'does not look');
refused('RSA with an even exponent', 'RFC 8017 3.1', [leaf(key => rsa($modulus, "\1\0\0"))], bad(qr/malformed/), openssl => 'does not look',
	minimal => 'does not look');
refused('RSA with an even modulus', 'RFC 8017 3.1', [leaf(key => rsa(substr($modulus, 0, -1) . "\2", "\1\0\1"))], bad(qr/malformed/),
	openssl => 'does not look', minimal => 'does not look');
refused('RSA with a negative modulus', 'RFC 8017 3.1', [leaf(key => rsa(substr($modulus, 1), "\1\0\1"))], bad(qr/RSA/), openssl => 'drops the sign');
refused('an RSA key for RSA-PSS only', 'RFC 4055 1.2',
	[leaf(key => \seq(seq(oid('1.2.840.113549.1.1.10')), substr(public_key('rsa2048:leaf'), -275)))], weak(qr/key/),
	openssl => 'knows it');
accepted('an RSA signature without parameters', 'RFC 4055 5',
	[leaf(by => 'A', signer => 'rsa2048:A', algorithm => 'rsa-sha256-bare'), ca('A', key => 'rsa2048:A')]);
refused('secp256k1', $kinds, [leaf(key => 'k256:leaf')], weak(qr/key|curve/), openssl => 'takes any curve');
refused('an authority on secp256k1', $kinds, [leaf(by => 'A', signer => 'k256:A'), ca('A', key => 'k256:A')], weak(qr/key|curve/),
	openssl => 'takes any curve');
refused('Ed25519', 'RFC 8446 4.2.3', [leaf(key => 'ed25519:leaf')], weak(qr/key/), openssl => 'knows it');
refused('an authority with Ed25519', 'RFC 8446 4.2.3', [leaf(by => 'A', signer => 'ed25519:A'), ca('A', key => 'ed25519:A')], weak(qr/key|sign/),
	openssl => 'knows it');
refused('a compressed point', 'RFC 8422 5.4.1', [leaf(key => curve(oid('1.2.840.10045.3.1.7'), "\2" . substr(public_key('leaf'), -64, 32)))],
	bad(qr/point/), openssl => 'takes it', minimal => 'does not look');
refused('a point of another curve', 'RFC 5480 2.2', [leaf(key => curve(oid('1.3.132.0.34'), substr public_key('leaf'), -65))], bad(qr/point/),
	minimal => 'does not look');
refused('a key that spells its curve out', 'RFC 5480 2.1.1', [leaf(key => curve(seq(number(1)), substr public_key('leaf'), -65))],
	weak(qr/key|curve/));
refused('a malformed key', 'RFC 5280 4.1.2.7', [leaf(key => \seq(null()))], bad(qr/public key/));

my $hashes = 'RFC 8446 4.4.2.4';
refused('SHA-1 and ECDSA', $hashes, [leaf(algorithm => 'ecdsa-sha1')], bad(qr/too weak/));
refused('SHA-1 and RSA', $hashes, [leaf(by => 'A', signer => 'rsa2048:A', algorithm => 'rsa-sha1'), ca('A', key => 'rsa2048:A')], bad(qr/too weak/));
refused('SHA-1 in an intermediate', $hashes, [leaf(by => 'A'), ca('A', algorithm => 'ecdsa-sha1')], bad(qr/too weak/));
refused('MD5', 'RFC 6151 2', [leaf(by => 'A', signer => 'rsa2048:A', algorithm => 'rsa-md5'), ca('A', key => 'rsa2048:A')], bad(qr/too weak/));
refused('SHA-224', 'RFC 5758 3.2', [leaf(algorithm => 'ecdsa-sha224')], weak(qr/sign/), openssl => 'takes it');
accepted('SHA-1 in the signature of an anchor', 'RFC 5280 6.1.1 (d)', [leaf()], anchors => [root('root', algorithm => 'ecdsa-sha1')]);
accepted('SHA-384', $hashes, [leaf(algorithm => 'ecdsa-sha384')]);
accepted('SHA-512', $hashes, [leaf(algorithm => 'ecdsa-sha512')]);
accepted('RSA and SHA-384', $hashes, [leaf(by => 'A', signer => 'rsa2048:A', algorithm => 'rsa-sha384'), ca('A', key => 'rsa2048:A')]);
accepted('RSA and SHA-512', $hashes, [leaf(by => 'A', signer => 'rsa2048:A', algorithm => 'rsa-sha512'), ca('A', key => 'rsa2048:A')]);
refused('RSA-PSS', 'RFC 8017 8.1', [leaf(by => 'A', signer => 'rsa2048:A', algorithm => 'rsa-pss'), ca('A', key => 'rsa2048:A')], weak(qr/sign/),
	openssl => 'knows it');

my $right = 'RFC 5280 6.1.3 (a)(1)';
refused('a wrong signature', $right, [leaf(wrong => sub { my $s = $_[0]; substr($s, -1) ^= "\1"; $s })], bad(qr/signature/));
refused('a wrong signature by RSA', $right,
	[leaf(by => 'A', signer => 'rsa2048:A', wrong => sub { my $s = $_[0]; substr($s, 9, 1) ^= "\1"; $s }), ca('A', key => 'rsa2048:A')],
	bad(qr/signature/));
refused('a wrong signature of an intermediate', $right, [leaf(by => 'A'), ca('A', wrong => sub { my $s = $_[0]; substr($s, -1) ^= "\1"; $s })],
	bad(qr/signature/));
refused('signed by another key', $right, [leaf(signer => 'other')], bad(qr/signature/));
refused('a truncated signature', $right, [leaf(wrong => sub { substr $_[0], 0, -1 })], bad(qr/signature/));
refused('a truncated signature by RSA', $right,
	[leaf(by => 'A', signer => 'rsa2048:A', wrong => sub { substr $_[0], 0, -1 }), ca('A', key => 'rsa2048:A')], bad(qr/signature/));
refused('an empty signature', $right, [leaf(wrong => sub { '' })], bad(qr/signature/));
refused('a signature of zeros', 'RFC 3279 2.2.3', [leaf(wrong => sub { seq(integer("\0"), integer("\0")) })], bad(qr/signature/));
refused('something else is signed', $right, [leaf(whole => sub { my $der = $_[0]; $der =~ s/www\.example\.com/www.example.org/ or die; $der })],
	bad(qr/signature/));
refused('an algorithm for another kind of key', $right, [leaf(algorithm => 'rsa-sha256')], bad(qr/signature/));
accepted('a wrong signature of an extra', $right, [leaf(by => 'A'), ca('A'), ca('B', wrong => sub { 'x' })]);

1;
