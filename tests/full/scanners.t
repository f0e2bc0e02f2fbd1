#!/usr/bin/perl
# What testssl.sh and sslscan find: TLS 1.2 and what else the engine speaks, the server's order, ECDHE with AEAD and nothing else, no renegotiation, nothing vulnerable.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Bear;
use BearTls;
use JSON::PP;
use Test::More;

sub find { my ($name) = @_; my ($path) = grep { -x } map { "$_/$name" } split /:/, $ENV{PATH}; return $path }

my $testssl = find('testssl') || find('testssl.sh');
my $sslscan = find('sslscan');
my %kinds = ('server-rsa' => 'RSA', 'server-p256' => 'ECDSA');

# Both at the same time, as they mostly wait.
my %scans;
for my $pair (sort keys %kinds) {
	my $server = sslserver({ pair => $pair }, [], http());
	my $json = temporary("$pair.json");
	$scans{$pair} = { server => $server, json => $json };
	$scans{$pair}{testssl} = start($testssl, '--quiet', '--color', '0', '--warnings', 'off', '--nodns', 'none', '--ip', '127.0.0.1', '--connect-timeout', '5',
		'--openssl-timeout', '5', '--add-ca', file('root.pem'), '-oj', $json, '-p', '-s', '-P', '-f', '-U', "https://localhost:$server->{port}") if $testssl;
}

# Findings of one kind that are to be: not offered, not vulnerable, …
my %good = (
	qr/\ASSLv[23]\z/ => qr/\Anot offered/, qr/\ATLS1(_1)?\z/ => qr/\Anot offered/, qr/\ATLS1_2\z/ => qr/\Aoffered/, qr/\ATLS1_3\z/ => newest() eq 'TLSv1.2' ? qr/\Anot offered/ : qr/\Aoffered/,
	qr/\Acipherlist_(NULL|aNULL|EXPORT|LOW|3DES_IDEA|AVERAGE|OBSOLETED)\z/ => qr/\Anot offered/, qr/\Acipherlist_STRONG(_FS)?\z/ => qr/\Aoffered/,
	qr/\AP?FS\z/ => qr/\Aoffered/, qr/\Acipher_order\z/ => qr/\Aserver/, qr/\Asecure_renego\z/ => qr/\Asupported/, qr/\AOpenSSL.*|heartbleed\z/ => qr/\Anot vulnerable/,
	qr/\A(CCS|ROBOT|secure_client_renego|CRIME_TLS|POODLE_SSL|SWEET32|FREAK|DROWN|LOGJAM|BEAST|LUCKY13|RC4)\z/ => qr/\Anot vulnerable/,
	qr/\Aticketbleed\z/ => qr/no session ticket|not vulnerable/, qr/\Afallback_SCSV\z/ => qr/no protocol below TLS 1\.2|supported/,
);

for my $pair (sort keys %kinds) {
	my $kind = $kinds{$pair};
	my $suite = qr{(?:TLS_)?ECDHE-$kind-(?:AES128-GCM-SHA256|AES256-GCM-SHA384|CHACHA20-POLY1305)};
	my $server = $scans{$pair}{server};

	subtest "testssl.sh: $pair" => sub {
		plan skip_all => 'no testssl.sh' unless $testssl;
		my $end = $scans{$pair}{testssl}->wait_for_end(400);
		ok($end && defined $end->{exit}, 'ends') or return;
		my $findings = eval { decode_json(slurp($scans{$pair}{json})) } || [];
		cmp_ok(scalar @$findings, '>', 30, 'has findings') or diag(slurp($scans{$pair}{testssl}{out}));
		my %seen;
		for my $finding (@$findings) {
			my ($id, $severity, $words) = @$finding{qw(id severity finding)};
			$seen{$id} = $words;
			ok($severity =~ /\A(OK|INFO|DEBUG)\z/ || ($id =~ /\A(engine_problem|scanProblem|optimal_proto)\z/ && $severity eq 'WARN'), "$id: $severity: $words");
			unlike($words, qr/(?<!not )vulnerable/i, "$id is no word of warning") if $words !~ /potentially|not vulnerable/;
			for my $kind (keys %good) {
				like($words, $good{$kind}, "$id is good") if $id =~ /$kind/;
			}
		}
		for my $needed (qw(SSLv2 SSLv3 TLS1 TLS1_1 TLS1_2 TLS1_3 cipher_order secure_client_renego heartbleed CCS ROBOT SWEET32 BEAST LUCKY13 RC4)) {
			ok(exists $seen{$needed}, "$needed was looked at");
		}
		my ($order) = map { $seen{$_} } grep { /\Acipherorder_TLSv1_2\z/i } keys %seen;
		like($order // '', qr/\A(?:$suite\s*)+\z/, 'suites in their order');
	};

	subtest "sslscan: $pair" => sub {
		plan skip_all => 'no sslscan' unless $sslscan;
		my $result = run({ timeout => 90 }, $sslscan, '--no-colour', "127.0.0.1:$server->{port}");
		is($result->{exit}, 0, 'ends');
		my $out = $result->{out};
		my %speaks = map { $_ => 1 } versions();
		like($out, qr/^\Q$_\E\s+@{[$speaks{$_} ? 'enabled' : 'disabled']}$/m, "$_ as it should be") for qw(SSLv2 SSLv3 TLSv1.0 TLSv1.1 TLSv1.2 TLSv1.3);
		like($out, qr/^Session renegotiation not supported$|^Secure session renegotiation supported$/m, 'no insecure renegotiation');
		unlike($out, qr/insecure/i, 'nothing insecure');
		like($out, qr/^TLSv1\.2 not vulnerable to heartbleed$/m, 'no heartbleed');
		unlike($out, qr/(?<!not )vulnerable/i, 'nothing vulnerable');
		unlike($out, qr/^Compression enabled/m, 'no compression');
		my @suites = $out =~ /^(?:Preferred|Accepted)\s+(\S+\s+\d+ bits\s+\S+)/mg;
		is(scalar @suites, 3 * versions(), 'three suites of each version');
		like($_, qr/\ATLSv1\.2\s+(128|256) bits\s+$suite\z|\ATLSv1\.3\s+(128|256) bits\s+@{[suite('TLSv1.3')]}\z/, "ECDHE with AEAD: $_") for @suites;
	};
	ok($server->running, "$pair: the server goes on");
	$server->stop;
	like($_, qr/\A(sslserver: |tlsd-io: error: unable to speak TLS from: 127\.0\.0\.1 for pid: \d+: .)/, "$pair: a word of the log") for do {
		my %kinds = map { (s/\d+/N/gr =~ s/^(sslserver: \w+).*/$1/r) => $_ } split /\n/, $server->log;
		values %kinds;
	};
}

done_testing;
