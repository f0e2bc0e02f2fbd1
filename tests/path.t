#!/usr/bin/perl
# Path validation from outside: each case of lib/paths/*.pl as tlsverify judges it, as a client judges it that meets a server with this chain, and
# as others do, openssl verify and BearSSL's x509_minimal. Where they decide otherwise the case says why, and that has to stay true.
use strict;
use warnings;
use Cwd qw(abs_path);
use FindBin;
use lib "$FindBin::Bin/lib";
use Bear;
use BearTls;
use Certificates;
use PathCases;
use POSIX ();
use Test::More;

my $top   = abs_path("$FindBin::Bin/..");
my $build = abs_path($ENV{BUILD} || "$top/build");

my $present = temporary('present');
my $built = run({ timeout => 60 }, 'cc', '-O1', '-o', $present, "$FindBin::Bin/lib/present.c", '-lbearssl');
($built->{exit} // -1) == 0 or BAIL_OUT("present: $built->{err}");

my $minimal = "$build/tests/minimal";
-x $minimal or BAIL_OUT("$minimal is not there: make tests");

for my $file (sort glob "$FindBin::Bin/lib/paths/*.pl") {
	do $file or BAIL_OUT("$file: " . ($@ || $!));
}

# Files are made once for the same certificates.
my %files;
sub file_of { my $text = pem(@_); return $files{$text} ||= spew(temporary('certificates-' . keys %files), $text) }

# Only others than root may say what time it is.
sub as_nobody { $( = $) = '65534 65534'; POSIX::setuid(65534) }

sub ours {
	my ($case, $chain, $anchors) = @_;
	my %env = (CAFILE => $anchors, %{ $case->{env} }, defined $case->{time} ? (TLS_TIME => $case->{time}) : ());
	my $before = defined $case->{time} && $> == 0 ? \&as_nobody : undef;
	my @options = ('-p', $case->{purpose}, defined $case->{host} ? ('-n', $case->{host}) : ());
	my $result = run({ env => \%env, before => $before, timeout => 60 }, command('tlsverify'), @options, $chain);
	my $exit = $result->{exit} // -1;
	my $said = "exit $exit\n$result->{out}$result->{err}";
	my $words = "$case->{title}: tlsverify";

	if (!$case->{alert}) {
		ok($exit == 0 && $result->{out} =~ /^ok\b/m, "$words accepts ($case->{section})") or diag $said;
		my $path = join ', ', $result->{out} =~ /^(?:leaf|issuer|anchor): (.*) from /mg;
		is($path, join(', ', @{ $case->{path} }), "$words says which way") if $case->{path};
		return;
	}
	my ($reason) = $result->{out} =~ /^refused: (.*)$/m;
	my ($alert)  = $result->{out} =~ /^alert: (.*)$/m;
	ok($exit == 1 && ($alert // '') eq $case->{alert} && ($reason // '') =~ $case->{reason}, "$words refuses ($case->{section})")
		or diag "wanted $case->{alert}, $case->{reason}; $said";
	like($result->{out}, qr/^certificate: \Q$case->{at}\E$/m, "$words says whose fault it is") if $case->{at};
	return;
}

# A server can present everything; it needs the key of the leaf only where the leaf is accepted. What time it is cannot be said here.
sub over_tls {
	my ($case, $chain, $anchors) = @_;
	return if $case->{purpose} ne 'server' || defined $case->{time} || exists $case->{tls};
	return if $case->{title} =~ /\A(an extra that is malformed|a malformed certificate before)/ && cannot('openssl', 'a certificate that cannot be read ends the handshake, even one that the path does not need');
	my $key = $case->{alert} ? 'leaf' : key_of($case->{chain}[0]);
	my $server = serve({}, $present, $chain, private_key($key));
	my %env = (CAFILE => $anchors, %{ $case->{env} }, defined $case->{host} ? (TLS_PEERNAME => $case->{host}) : (TLS_VERIFY => 'chain'));
	my $result = run({ env => \%env, timeout => 60 }, command('sslclient'), '127.0.0.1', $server->{port}, 'true');
	my $exit = $result->{exit} // -1;
	my $reason = $case->{reason};
	my $words = "$case->{title}: sslclient";

	if ($reason) { ok($exit == 98 && $result->{err} =~ /^tlsc-io: error: .*$reason/m, "$words refuses") or diag "exit $exit: $result->{err}" }
	else         { is($exit, 0, "$words accepts") or diag $result->{err} }
	$server->stop;
	return;
}

# What others say, against what the case says of them. $accepts: true if they take it.
sub compare {
	my ($case, $who, $name, $accepts, $words) = @_;
	my ($expected, $why) = (!$case->{alert}, $case->{$who});
	my $agreed = !!$accepts eq !!$expected;
	if (defined $why) { ok(!$agreed, "$case->{title}: $name decides otherwise: $why") or diag "it agrees by now: $words" }
	else              { ok($agreed, "$case->{title}: $name agrees") or diag $words }
	return;
}

sub openssl_verify {
	my ($case, $leaf, $others, $anchors) = @_;
	my ($env, $host) = @$case{qw(env host)};
	my @options = ('-partial_chain', '-policy_check', '-policy', '2.5.29.32.0', '-purpose', "ssl$case->{purpose}");
	push @options, '-auth_level', ($env->{TLS_MINRSA} // 2048) < 2048 ? 1 : 2;
	push @options, '-verify_depth', $env->{VERIFYDEPTH} // ($case->{purpose} eq 'client' ? 1 : 8);
	push @options, '-attime', $case->{time} if defined $case->{time};
	push @options, $host =~ /^[\d.]+$|:/ ? '-verify_ip' : '-verify_hostname', $host if defined $host;
	push @options, '-untrusted', file_of(@$others) if @$others;
	my $result = run({ timeout => 60 }, 'openssl', 'verify', '-trusted', $anchors, @options, $leaf);
	return compare($case, 'openssl', 'openssl verify', ($result->{exit} // -1) == 0, $result->{out} . $result->{err});
}

sub minimal_verify {
	my ($case, $chain, $anchors) = @_;
	my @options = (defined $case->{host} ? ('-n', $case->{host}) : (), defined $case->{time} ? ('-t', $case->{time}) : ());
	my $result = run({ timeout => 60 }, $minimal, $chain, $anchors, @options);
	return compare($case, 'minimal', 'x509_minimal', ($result->{exit} // -1) == 0, $result->{out} . $result->{err});
}

# CASE=pattern: only cases whose titles match.
my @cases = cases();
@cases = grep { $_->{title} =~ /$ENV{CASE}/ } @cases if defined $ENV{CASE};
for my $case (@cases) {
	my ($leaf, @others) = @{ $case->{chain} };
	my ($chain, $anchors) = (file_of($leaf, @others), file_of(@{ $case->{anchors} }));
	ours($case, $chain, $anchors);
	over_tls($case, $chain, $anchors);
	openssl_verify($case, file_of($leaf), \@others, $anchors);
	minimal_verify($case, $chain, $anchors);
}

SKIP: {
	skip 'not root', 1 if $> != 0;
	my $result = run({ env => { CAFILE => file_of(root()), TLS_TIME => time } }, command('tlsverify'), file_of(leaf()));
	is($result->{exit}, 96, 'root cannot say what time it is') or diag $result->{out}, $result->{err};
}
cmp_ok(scalar(cases()), '>=', 150, 'there are at least 150 cases');
done_testing;
