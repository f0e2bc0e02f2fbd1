package Certificates;

# Certificates made byte by byte, so that every field can be right or wrong; signatures come from openssl(1). What is described in the same
# words is made only once a test. A value that is a reference to a string stands for those very bytes, in the place of any field.
#
#   certificate(field => value, ..)    DER. Fields, with what stands there where none is given:
#     subject issuer  names, see name()                  key        whose public key ('leaf'), or \spki
#     by              name of its authority ('root'): its issuer is CN of that, and that key signs
#     signer          key that signs, if not by          version    2, the number of version 3; undef: left out
#     serial          contents of the INTEGER            from to    times (yesterday, in ten years), or \element
#     algorithm       see %algorithms (by kind of key)   outer      algorithm that stands outside
#     unique          bytes between key and extensions   more       bytes behind the extensions
#     extensions      [extension, ..]; none: left out    behind     bytes behind the certificate
#     wrong           sub { $signature } gives another   whole      sub { $der } gives other bytes
#   leaf(..)   for a server, www.example.com; an extension is given by its slot: leaf(eku => eku('clientAuth')), undef leaves it out
#              slots: basic usage eku san constraints policies demands inhibit mappings ski aki extra
#   ca('A', ..)  CN=A with key A, an authority; signed by 'root' unless by => says otherwise
#   root('A', ..)  the same, self-signed; A is 'root' unless given
#   key_of($der) subject_of($der) is_self_signed($der)    of a certificate made here
#   private_key('A')                   path of a key. The kind is what stands before a colon: 'rsa2048:A', 'ec384:A', else P-256
#   pem($der, ..)                      text
#   DER: der(tag, contents..) seq set explicit(n, ..) implicit(n, ..) oid('1.2.3') integer('bytes') number(n) bits(..) octets(..) boolean(n)
#        utf8(..) printable(..) ia5(..) null() utc('..Z') generalized('..Z') day(seconds)
#   name('O=Example, CN=x') or name([['CN', 'printable', 'x'], ..], ..)    DER; each list is one RDN, its attributes lists
#   extension(oid, value, critical)    value in DER; critical: 1, 0, or \bytes of the BOOLEAN
#   basic(ca, length, critical) usage('keyCertSign', ..) eku('serverAuth', ..) san('DNS:x', 'IP:..', ..)
#   constraints(permitted => [..], excluded => [..]) policies('any', '1.2.3', ..) demands(n) inhibit(n) mappings(a => b) ski(bytes) aki(bytes)
#   critical(extension) makes it so, uncritical(extension) not

use strict;
use warnings;
use Bear;
use Exporter 'import';
use MIME::Base64;
use POSIX qw(strftime);
use Socket qw(inet_pton AF_INET AF_INET6);

our @EXPORT = qw(certificate leaf ca root key_of subject_of is_self_signed private_key public_key pem der seq set explicit implicit oid integer
	number bits octets boolean utf8 printable ia5 null utc generalized day name general_name extension critical uncritical basic usage eku san
	constraints policies demands inhibit mappings ski aki);

# ---- DER ----

sub size {
	my ($n) = @_;
	return chr $n if $n < 128;
	(my $bytes = pack 'N', $n) =~ s/^\0+//;
	return chr(0x80 | length $bytes) . $bytes;
}

sub der {
	my $tag = shift;
	my $content = join '', @_;
	return chr($tag) . size(length $content) . $content;
}

sub seq         { return der(0x30, @_) }
sub set         { return der(0x31, sort @_) }
sub explicit    { my $n = shift; return der(0xa0 | $n, @_) }
sub implicit    { my $n = shift; return der(0x80 | $n, @_) }
sub integer     { return der(0x02, @_) }
sub bits        { return der(0x03, "\0", @_) }
sub octets      { return der(0x04, @_) }
sub boolean     { return der(0x01, $_[0] ? "\xff" : "\0") }
sub null        { return der(0x05) }
sub utf8        { return der(0x0c, @_) }
sub printable   { return der(0x13, @_) }
sub ia5         { return der(0x16, @_) }
sub utc         { return der(0x17, @_) }
sub generalized { return der(0x18, @_) }

sub number {
	my ($n) = @_;
	(my $bytes = pack 'N', $n) =~ s/^\0+(?=.)//s;
	return integer(ord $bytes > 127 ? "\0$bytes" : $bytes);
}

sub oid {
	my ($first, $second, @arcs) = split /\./, $_[0];
	return der(0x06, map { pack 'w', $_ } $first * 40 + $second, @arcs);
}

# UTCTime before 2050, GeneralizedTime from then on (RFC 5280 4.1.2.5).
sub day {
	my ($seconds) = @_;
	my @at = gmtime $seconds;
	return $at[5] < 150 ? utc(strftime('%y%m%d%H%M%SZ', @at)) : generalized(strftime('%Y%m%d%H%M%SZ', @at));
}

# ---- names ----

my %types = (CN => '2.5.4.3', C => '2.5.4.6', L => '2.5.4.7', ST => '2.5.4.8', O => '2.5.4.10', OU => '2.5.4.11', DC => '0.9.2342.19200300.100.1.25',
	serialNumber => '2.5.4.5', mail => '1.2.840.113549.1.9.1', surname => '2.5.4.4', title => '2.5.4.12', description => '2.5.4.13',
	givenName => '2.5.4.42', initials => '2.5.4.43', uid => '0.9.2342.19200300.100.1.1', x500uid => '2.5.4.45');
my %own_string = (C => 'printable', DC => 'ia5', mail => 'ia5');    # else UTF8String
my %strings = (utf8 => 0x0c, numeric => 0x12, printable => 0x13, teletex => 0x14, ia5 => 0x16, visible => 0x1a, general => 0x1b, universal => 0x1c, bmp => 0x1e,
	bits => 0x03, octets => 0x04, sequence => 0x30);

sub attribute {
	my ($type, $string, $value) = @{ $_[0] };
	return seq(oid($types{$type} || $type), der($strings{$string}, $value));
}

sub name_attribute {
	my ($type, $value) = split /=/, $_[0], 2;
	return [$type, $own_string{$type} || 'utf8', $value];
}

sub name {
	my @rdns = @_;
	return ${ $rdns[0] } if ref $rdns[0] eq 'SCALAR';
	@rdns = map { [name_attribute($_)] } split /, /, $rdns[0] if @rdns && !ref $rdns[0];
	return seq(map { set(map { attribute($_) } @$_) } @rdns);
}

# ---- keys ----

my %keys;

sub private_key {
	my ($name) = @_;
	my $key = $keys{$name} ||= {};
	return $key->{file} if $key->{file};
	my ($kind) = $name =~ /^(\w+):/;
	$kind ||= 'ec256';
	my @how = $kind =~ /^rsa(\d+)(e3)?$/ ? ('RSA', '-pkeyopt', "rsa_keygen_bits:$1", $2 ? ('-pkeyopt', 'rsa_keygen_pubexp:3') : ())
		: $kind eq 'k256' ? ('EC', '-pkeyopt', 'ec_paramgen_curve:secp256k1')
		: $kind eq 'ed25519' ? ('ED25519')
		: $kind =~ /^ec(\d+)$/ ? ('EC', '-pkeyopt', "ec_paramgen_curve:P-$1")
		: die "no kind of key: $kind";
	my $file = temporary('key-' . keys %keys);
	system("openssl genpkey -algorithm @how -out $file >$file.log 2>&1") == 0 or die "openssl genpkey @how: " . slurp("$file.log");
	chmod 0644, $file;    # keys of nobody, for any uid
	@$key{qw(kind file)} = ($kind, $file);
	return $file;
}

# SubjectPublicKeyInfo.
sub public_key {
	my ($name) = @_;
	my $file = private_key($name);
	return $keys{$name}{spki} ||= slurp_from('openssl', 'pkey', '-in', $file, '-pubout', '-outform', 'DER');
}

sub slurp_from {
	open my $pipe, '-|', @_ or die "$_[0]: $!";
	binmode $pipe;
	local $/;
	my $bytes = <$pipe>;
	close $pipe or die "@_: status $?";
	return $bytes;
}

# ---- signatures ----

my $pss = seq(explicit(0, seq(oid('2.16.840.1.101.3.4.2.1'), null())),
	explicit(1, seq(oid('1.2.840.113549.1.1.8'), seq(oid('2.16.840.1.101.3.4.2.1'), null()))), explicit(2, number(32)));
my %algorithms = (
	'ecdsa-sha1'   => [seq(oid('1.2.840.10045.4.1')), '-sha1'],
	'ecdsa-sha224' => [seq(oid('1.2.840.10045.4.3.1')), '-sha224'],
	'ecdsa-sha256' => [seq(oid('1.2.840.10045.4.3.2')), '-sha256'],
	'ecdsa-sha384' => [seq(oid('1.2.840.10045.4.3.3')), '-sha384'],
	'ecdsa-sha512' => [seq(oid('1.2.840.10045.4.3.4')), '-sha512'],
	'rsa-md5'      => [seq(oid('1.2.840.113549.1.1.4'), null()), '-md5'],
	'rsa-sha1'     => [seq(oid('1.2.840.113549.1.1.5'), null()), '-sha1'],
	'rsa-sha256'   => [seq(oid('1.2.840.113549.1.1.11'), null()), '-sha256'],
	'rsa-sha256-bare' => [seq(oid('1.2.840.113549.1.1.11')), '-sha256'],
	'rsa-sha384'   => [seq(oid('1.2.840.113549.1.1.12'), null()), '-sha384'],
	'rsa-sha512'   => [seq(oid('1.2.840.113549.1.1.13'), null()), '-sha512'],
	'rsa-pss'      => [seq(oid('1.2.840.113549.1.1.10'), $pss), '-sha256', '-sigopt', 'rsa_padding_mode:pss', '-sigopt', 'rsa_pss_saltlen:32'],
	'ed25519'      => [seq(oid('1.3.101.112'))],
);

sub algorithm {
	my ($signer, $wanted) = @_;
	return $wanted if defined $wanted;
	private_key($signer);
	my $kind = $keys{$signer}{kind};
	return $kind =~ /^rsa/ ? 'rsa-sha256' : $kind eq 'ed25519' ? 'ed25519' : 'ecdsa-sha256';
}

sub sign {
	my ($text, $signer, $algorithm) = @_;
	my $file = spew(temporary('to-be-signed'), $text);
	my @hash = @{ $algorithms{$algorithm} };
	return slurp_from('openssl', 'pkeyutl', '-sign', '-rawin', '-inkey', private_key($signer), '-in', $file) if @hash == 1;
	return slurp_from('openssl', 'dgst', @hash[1 .. $#hash], '-sign', private_key($signer), $file);
}

# ---- certificates ----

my $now = time;
my (%signatures, %made);

sub bytes_or { my ($value, $else) = @_; return ref $value eq 'SCALAR' ? $$value : $else->($value) }

sub certificate {
	my %field = (by => 'root', subject => 'CN=www.example.com', key => 'leaf', version => 2, serial => "\x01", from => $now - 86400,
		to => $now + 3650 * 86400 + 43200, @_);    # half a day, so that whole days are not counted at their border
	my $signer = defined $field{signer} ? $field{signer} : $field{by};
	my $algorithm = algorithm($signer, $field{algorithm});
	my $issued_by = defined $field{issuer} ? $field{issuer} : "CN=$field{by}";
	my ($subject, $issuer) = map { ref $_ eq 'ARRAY' ? name(@$_) : name($_) } $field{subject}, $issued_by;
	my $tbs = seq(
		defined $field{version} ? bytes_or($field{version}, sub { explicit(0, number($_[0])) }) : '',
		bytes_or($field{serial}, sub { integer($_[0]) }),
		$algorithms{$algorithm}[0],
		$issuer,
		seq(map { bytes_or($_, sub { day($_[0]) }) } @field{qw(from to)}),
		$subject,
		bytes_or($field{key}, sub { public_key($_[0]) }),
		defined $field{unique} ? $field{unique} : '',
		$field{extensions} ? bytes_or($field{extensions}, sub { explicit(3, seq(@{ $_[0] })) }) : '',
		defined $field{more} ? $field{more} : '',
	);
	my $signature = $signatures{"$signer $algorithm $tbs"} ||= sign($tbs, $signer, $algorithm);
	$signature = $field{wrong}->($signature) if $field{wrong};
	my $der = seq($tbs, $algorithms{ $field{outer} || $algorithm }[0], bytes_or($field{bits}, sub { bits($signature) }));
	$der = $field{whole}->($der) if $field{whole};
	$der .= $field{behind} if defined $field{behind};
	$made{$der} = { key => ref $field{key} ? undef : $field{key}, subject => $subject, issuer => $issuer };
	return $der;
}

my @slots = qw(basic usage eku san constraints policies demands inhibit mappings ski aki extra);

# Fields given by slots of extensions become fields of certificate().
sub with_extensions {
	my %field = @_;
	my @list = map { my $value = delete $field{$_}; ref $value ? @$value : defined $value ? $value : () } @slots;
	$field{extensions} = \@list if @list && !exists $field{extensions};
	delete $field{extensions} if exists $field{extensions} && !defined $field{extensions};
	return certificate(%field);
}

sub leaf { return with_extensions(usage => usage('digitalSignature'), san => san('DNS:www.example.com'), @_) }

sub ca {
	my ($name, @fields) = @_;
	return with_extensions(subject => "CN=$name", key => $name, basic => basic(1), usage => usage('keyCertSign'), @fields);
}

sub root {
	my ($name, @fields) = @_ % 2 ? @_ : ('root', @_);
	return ca($name, by => $name, @fields);
}

sub key_of         { return $made{ $_[0] }{key} }
sub subject_of     { return $made{ $_[0] }{subject} }
sub is_self_signed { return $made{ $_[0] }{subject} eq $made{ $_[0] }{issuer} }

sub pem { return join '', map { "-----BEGIN CERTIFICATE-----\n" . encode_base64($_) . "-----END CERTIFICATE-----\n" } @_ }

# ---- extensions ----

sub extension {
	my ($oid, $value, $critical) = @_;
	return seq(oid($oid), ref $critical ? $$critical : $critical ? boolean(1) : '', octets($value));
}

# What stands in front of the value of an extension: its object identifier. All of them are short.
sub with_criticality {
	my ($extension, $criticality) = @_;
	my $content = $extension =~ /^\x30([\x80-\xff])/ ? substr $extension, 2 + (ord($1) & 0x7f) : substr $extension, 2;
	my $oid = substr $content, 0, 2 + ord substr($content, 1, 1), '';
	$content =~ s/^\x01\x01.//s;
	return seq($oid, $criticality, $content);
}

sub critical   { return with_criticality($_[0], boolean(1)) }
sub uncritical { return with_criticality($_[0], '') }

sub basic {
	my ($ca, $length, $critical) = @_;
	return extension('2.5.29.19', seq($ca ? boolean(1) : '', defined $length ? bytes_or($length, \&number) : ''), defined $critical ? $critical : 1);
}

my %bits = (digitalSignature => 0, nonRepudiation => 1, keyEncipherment => 2, dataEncipherment => 3, keyAgreement => 4, keyCertSign => 5,
	cRLSign => 6);

sub usage {
	my $byte = 0;
	$byte |= 0x80 >> $bits{$_} for @_;
	my $unused = 0;
	$unused++ while $unused < 7 && !($byte & 1 << $unused);
	return extension('2.5.29.15', der(0x03, chr $unused, chr $byte), 1);
}

my %purposes = (serverAuth => '1.3.6.1.5.5.7.3.1', clientAuth => '1.3.6.1.5.5.7.3.2', codeSigning => '1.3.6.1.5.5.7.3.3',
	emailProtection => '1.3.6.1.5.5.7.3.4', any => '2.5.29.37.0');

sub eku { return extension('2.5.29.37', seq(map { oid($purposes{$_} || $_) } @_)) }

# One GeneralName (RFC 5280 4.2.1.6); after IP: 1.2.3.4, 2001:db8::1, both also as address/mask, or hex:0a00; a reference: as it is.
sub general_name {
	my ($name) = @_;
	return $$name if ref $name;
	my ($kind, $value) = $name =~ /^(DNS|IP|DIR|MAIL|URI|RID|OTHER):(.*)$/s or die "not a name: $name";
	return explicit(4, name($value)) if $kind eq 'DIR';
	return implicit(8, (oid($value) =~ /^..(.*)$/s)[0]) if $kind eq 'RID';
	return explicit(0, oid('1.3.6.1.4.1.99999.1'), explicit(0, utf8($value))) if $kind eq 'OTHER';
	return implicit({ DNS => 2, MAIL => 1, URI => 6 }->{$kind}, $value) unless $kind eq 'IP';
	return implicit(7, pack 'H*', $1) if $value =~ /^hex:(.*)$/;
	return implicit(7, map { inet_pton(/:/ ? AF_INET6 : AF_INET, $_) } split m{/}, $value);
}

sub san { return extension('2.5.29.17', seq(map { general_name($_) } @_)) }

# A GeneralSubtree: a name, or [name, minimum and maximum in DER].
sub subtree {
	my ($subtree) = @_;
	my ($name, @bounds) = ref $subtree eq 'ARRAY' ? @$subtree : $subtree;
	return seq(general_name($name), @bounds);
}

sub constraints {
	my %trees = @_;
	my @lists;
	push @lists, explicit(0, map { subtree($_) } @{ $trees{permitted} }) if $trees{permitted};
	push @lists, explicit(1, map { subtree($_) } @{ $trees{excluded} })  if $trees{excluded};
	return extension('2.5.29.30', seq(@lists), 1);
}

sub policies { return extension('2.5.29.32', seq(map { seq(oid($_ eq 'any' ? '2.5.29.32.0' : $_)) } @_)) }
sub demands  { return extension('2.5.29.36', seq(implicit(0, chr $_[0])), 1) }
sub inhibit  { return extension('2.5.29.54', number($_[0]), 1) }

sub mappings {
	my @list;
	while (my ($from, $to) = splice @_, 0, 2) { push @list, seq(oid($from), oid($to)) }
	return extension('2.5.29.33', seq(@list), 1);
}

sub ski { return extension('2.5.29.14', octets($_[0])) }
sub aki { return extension('2.5.29.35', seq(implicit(0, $_[0]))) }

1;
