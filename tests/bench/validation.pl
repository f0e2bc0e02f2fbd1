#!/usr/bin/perl
# What a verdict on a certificate chain costs, beside BearSSL's x509_minimal in the same run: microseconds a validation, the median of many,
# names and signatures included, reading the anchors not. One line each: what, tab, ours, tab, x509_minimal, tab, their ratio. Run from
# anywhere; needs the build's bench/validation ($BUILD as in tests) and openssl. Argument: how often each is validated (200).
use strict;
use warnings;
use Cwd qw(abs_path);
use File::Basename qw(dirname);
use File::Temp qw(tempdir);

my $top    = abs_path(dirname(__FILE__) . '/../..');
my $build  = $ENV{BUILD} || "$top/build";
my $times  = $ARGV[0] || 200;
my $folder = tempdir('bear-bench-XXXXXXXX', TMPDIR => 1, CLEANUP => 1);
chdir $folder or die "$folder: $!";

sub write_file {
	my ($name, @text) = @_;
	open my $file, '>', $name or die "$name: $!";
	print $file @text;
	close $file or die "$name: $!";
}

sub contents {
	my ($name) = @_;
	open my $file, '<', $name or die "$name: $!";
	local $/;
	return <$file>;
}

sub openssl { system("openssl @_ >log 2>&1") == 0 or die "openssl @_: ", contents('log') }

write_file('extensions', <<'EXTENSIONS');
[ca]
basicConstraints = critical,CA:TRUE
keyUsage = critical,keyCertSign,cRLSign
subjectKeyIdentifier = hash
[leaf]
basicConstraints = CA:FALSE
keyUsage = critical,digitalSignature
extendedKeyUsage = serverAuth
subjectAltName = DNS:www.example.org,DNS:example.org
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
EXTENSIONS

# $kind-root.pem, $kind-middle.pem and $kind-leaf.pem.
sub make_chain {
	my ($kind, @key) = @_;
	my $above;
	for my $who (qw(root middle leaf)) {
		my $file = "$kind-$who";
		openssl("genpkey @key -out $file.key");
		openssl("req -new -key $file.key -subj '/C=DE/O=Bench/CN=$kind $who' -out request");
		openssl('x509 -req -in request -days 2 -extfile extensions', $who eq 'leaf' ? '-extensions leaf' : '-extensions ca',
			$above ? "-CA $above.pem -CAkey $above.key -CAcreateserial" : "-signkey $file.key", "-out $file.pem");
		$above = $file;
	}
}
make_chain('ec',  qw(-algorithm EC -pkeyopt ec_paramgen_curve:P-256));
make_chain('rsa', qw(-algorithm RSA -pkeyopt rsa_keygen_bits:2048));
for my $i (1 .. 149) {
	openssl("req -x509 -new -key ec-root.key -days 2 -subj '/C=DE/O=Bench/OU=Another authority/CN=Other $i' -out other");
	open my $others, '>>', 'others.pem' or die "others.pem: $!";
	print $others contents('other');
	close $others or die "others.pem: $!";
}

for my $case (
	['P-256, leaf and intermediate', 'ec', qw(leaf middle)],
	['RSA 2048, leaf, intermediate and root', 'rsa', qw(leaf middle root)]
) {
	my ($words, $kind, @certificates) = @$case;
	write_file('chain.pem', map { contents("$kind-$_.pem") } @certificates);
	for my $n (1, 150) {
		# the root stands in the middle of the list
		my @others = $n > 1 ? contents('others.pem') =~ /(-----BEGIN.*?-----END[^\n]*\n)/gs : ();
		write_file('anchors.pem', @others[0 .. @others / 2 - 1], contents("$kind-root.pem"), @others[@others / 2 .. $#others]);
		open my $pipe, '-|', "$build/bench/validation", 'chain.pem', 'anchors.pem', 'www.example.org', $times or die "validation: $!";
		my ($ours, $theirs) = split ' ', <$pipe> // '';
		close $pipe or die 'validation failed';
		printf "%-58s\t%.1f\t%.1f\t%.2f\n", "$words; anchors: $n", $ours, $theirs, $ours / $theirs;
	}
}
