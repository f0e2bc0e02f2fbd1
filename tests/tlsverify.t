#!/usr/bin/perl
# tlsverify: how it is called, what it reads, what it says, how it exits. What it makes of chains is for path.t.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Bear;
use BearTls;
use POSIX ();
use Test::More;

my $root  = file('root.pem');
my $leaf  = file('server-p256.pem');

sub verify {
	my ($options, @arguments) = @_;
	return run({ %$options, env => { CAFILE => $root, %{ $options->{env} || {} } } }, command('tlsverify'), @arguments);
}

# As somebody else than root, for TLS_TIME.
my $as_nobody = sub { if ($> == 0) { $( = $) = '65534 65534'; POSIX::setuid(65534) } };

# openssl's "notAfter=Nov 21 09:00:00 2026 GMT" as unix seconds.
sub ends { my ($file) = @_; openssl('x509', '-in', $file, '-noout', '-enddate') =~ /=(.*)/; chomp(my $time = `date -u -d '$1' +%s`); return $time }

my $time = qr/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ/;

subtest 'what is accepted' => sub {
	my $result = verify({}, '-n', 'localhost', $leaf);
	is($result->{exit}, 0, 'exit 0');
	is($result->{err}, '', 'nothing to complain about');
	like($result->{out}, qr/\Aleaf: \S.* from $time to $time\nanchor: \S.* from $time to $time\nok\n\z/, 'the path, then ok');
	my $der = temporary('leaf.der');
	openssl('x509', '-in', $leaf, '-outform', 'DER', '-out', $der);
	is(verify({}, '-n', 'localhost', $der)->{out}, $result->{out}, 'DER likewise');
	is(verify({ in => "some text\n" . slurp($leaf) . "more\n" }, '-n', 'localhost')->{out}, $result->{out}, 'standard input, with text around');
	is(verify({}, $leaf)->{exit}, 0, 'no name, none checked');
	is(verify({ env => { TLS_PEERNAME => 'localhost' } }, $leaf)->{exit}, 0, 'the name of TLS_PEERNAME');
	$result = verify({ env => { CAFILE => $leaf } }, $leaf);
	like($result->{out}, qr/\Aleaf: .*\nok: the leaf is a trust anchor\n\z/, 'a leaf that is itself trusted');
	$result = verify({ env => { CAFILE => undef, TLS_VERIFY => 'none' } }, $leaf);
	is($result->{exit}, 0, 'TLS_VERIFY=none');
	is($result->{out}, "not checked: TLS_VERIFY=none\n", 'is said');
};

subtest 'what is refused' => sub {
	my $result = verify({}, '-n', 'other.example', $leaf);
	is($result->{exit}, 1, 'exit 1');
	like($result->{out}, qr/\Aleaf: .*\nissuer: .*\nrefused: certificate is for another name\nalert: bad_certificate\ncertificate: \S.*\n\z/, 'path, reason, alert, certificate');
	is($result->{err}, '', 'all on standard output');
	is(verify({ env => { TLS_PEERNAME => 'other.example' } }, $leaf)->{exit}, 1, 'the name of TLS_PEERNAME');
	is(verify({ env => { TLS_PEERNAME => 'other.example' } }, '-n', 'localhost', $leaf)->{exit}, 0, '-n wins');
	$result = verify({ env => { CAFILE => $leaf } }, file('server-rsa.pem'));
	like($result->{out}, qr/\Aleaf: .*\nrefused: certificate is not from a trusted authority\nalert: unknown_ca\ncertificate: \S.*\n\z/, 'an unknown authority');
	my $garbage = spew(temporary('garbage.pem'), slurp($leaf) . "-----BEGIN CERTIFICATE-----\nMAMCAQA=\n-----END CERTIFICATE-----\n");
	$result = verify({}, $garbage);
	is($result->{exit}, 0, 'something that is no certificate, and not needed');
	like($result->{out}, qr/\Apassed over: certificate number 2: \S.*\nleaf: .*\nanchor: .*\nok\n\z/, 'by its number');
	$garbage = spew(temporary('garbage.pem'), "-----BEGIN CERTIFICATE-----\nMAMCAQA=\n-----END CERTIFICATE-----\n" . slurp($leaf));
	$result = verify({}, $garbage);
	is($result->{exit}, 1, 'in the place of the leaf');
	like($result->{out}, qr/\Arefused: \S.*\nalert: bad_certificate\n\z/, 'it is refused');
	my $many = spew(temporary('many.pem'), slurp($leaf) x 17);
	like(verify({}, $many)->{out}, qr/^refused: certificate chain too long or too large$/m, '17 certificates');
	is(verify({}, spew(temporary('many.pem'), slurp($leaf) x 16))->{exit}, 0, '16 are allowed');
};

subtest '-p' => sub {
	is(verify({}, '-p', 'server', '-n', 'localhost', $leaf)->{exit}, 0, 'server');
	my $result = verify({}, '-p', 'client', $leaf);
	like($result->{out}, qr/^refused: certificate is not for clients \(extended key usage\)$/m, 'client') or diag($result->{err});
	my $client = file('client.pem');
	$result = verify({}, '-p', 'client', $client);
	is($result->{exit}, 0, 'a client') or diag($result->{out}, $result->{err});
	is(verify({ env => { CAFILE => undef, CCAFILE => $root } }, '-p', 'client', $client)->{exit}, 0, 'with CCAFILE alone');
	is(verify({}, '-p', 'client', '-n', 'client.example', $client)->{exit}, 1, 'a name that it does not have');
};

subtest 'TLS_TIME' => sub {
	my ($end) = sort { $a <=> $b } ends($leaf), ends($root);
	for my $case ([$end, 0], [$end + 1, 1], [0, 1]) {
		my ($now, $exit) = @$case;
		my $result = verify({ before => $as_nobody, env => { TLS_TIME => $now } }, $leaf);
		is($result->{exit}, $exit, "$now: exit $exit") or diag($result->{out}, $result->{err});
		like($result->{out}, $exit == 0 ? qr/^ok$/m : $now ? qr/^refused: certificate has expired$/m : qr/^refused: certificate is not yet valid$/m, 'and why');
	}
	SKIP: {
		skip 'root only', 2 unless $> == 0;
		my $result = verify({ env => { TLS_TIME => $end } }, $leaf);
		is($result->{exit}, 96, 'not as root');
		is($result->{err}, "tlsverify: fatal: TLS_TIME: for tests only, and not as root\n", 'in words');
	}
};

my $gone = temporary('gone');
my $text = spew(temporary('text'), "no certificate\n");
my $bad  = spew(temporary('bad'), "-----BEGIN CERTIFICATE-----\nMAMCAQA=\n-----END CERTIFICATE-----\n");
for my $case (
	[100, qr/^tlsverify: usage: .*/m, {}, $leaf, $leaf],
	[100, qr/-x/, {}, '-x'],
	[100, qr/-p takes server or client/, {}, '-p', 'mail', $leaf],
	[100, qr/-n/, {}, '-n'],
	[96, qr/^tlsverify: fatal: unable to read CAs from \Q$gone\E: No such file or directory$/, { CAFILE => $gone }, $leaf],
	[96, qr/^tlsverify: fatal: unable to read CAs from \Q$bad\E: not a certificate$/, { CAFILE => $bad }, $leaf],
	[96, qr/^tlsverify: fatal: no CA to trust: set CAFILE or CADIR$/, { CAFILE => '' }, $leaf],
	[96, qr/^tlsverify: fatal: VERIFYDEPTH: x: not a number/, { VERIFYDEPTH => 'x' }, $leaf],
	[96, qr/^tlsverify: fatal: unable to read revocation lists from \Q$gone\E: No such file or directory$/, { CRLFILE => $gone }, $leaf],
	[96, qr/^tlsverify: fatal: server name a b: neither a host name nor an address$/, {}, '-n', 'a b', $leaf],
	[96, qr/^tlsverify: fatal: unable to read certificates from \Q$text\E: no certificate in it$/, {}, $text],
	[96, qr/^tlsverify: fatal: unable to read certificates from standard input: no certificate in it$/, {}],
	[111, qr/^tlsverify: fatal: unable to read \Q$gone\E: No such file or directory$/, {}, $gone],
) {
	my ($exit, $words, $env, @arguments) = @$case;
	my $result = verify({ env => $env }, @arguments);
	is($result->{exit}, $exit, "exit $exit: " . join ' ', %$env, map { s{.*/}{}r } @arguments);
	like($result->{err}, $words, 'in words');
	is($result->{out}, '', 'and nothing else');
}

subtest 'no room for the output' => sub {
	plan skip_all => 'no /dev/full' unless -e '/dev/full';
	my $result = run({ env => { CAFILE => $root } }, 'sh', '-c', 'exec "$@" >/dev/full', 'sh', command('tlsverify'), $leaf);
	is($result->{exit}, 111, 'exit 111');
	like($result->{err}, qr/^tlsverify: fatal: unable to write: No space left on device$/, 'in words');
};

done_testing;
