#!/usr/bin/perl
# Application protocols (ALPN, RFC 7301): TLS_ALPN on servers and clients, what is agreed on, what is said where there is nothing in common, and
# peers that answer what they should not. The other side is openssl, curl and gnutls-cli.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Bear;
use BearTls;
use Test::More;

my @show = ('sh', '-c', 'echo "<${SSL_ALPN-unset}>"');
sub seen { my ($port, $offered) = @_; my $result = s_client({}, $port, defined $offered ? ('-alpn', $offered) : ()); return ($result->{out} =~ /^<(.*)>$/m)[0] // ($result->{err} =~ /(alert number \d+)/)[0] // $result->{err} }

for my $version (versions()) {
	subtest "servers, $version" => sub {
		my $server = sslserver({ env => { TLS_ALPN => 'h2, http/1.1,x', TLS_MAXVERSION => $version } }, [], @show);
		is(seen($server->{port}, $_->[0]), $_->[1], $_->[2]) for ['http/1.1', 'http/1.1', 'one'], ['http/1.1,h2', 'h2', 'the server prefers'], ['nothing,x', 'x', 'the only one in common'],
			[undef, 'unset', 'a client that offers none'], ['h22', 'alert number 120', 'none in common'], ['http/1.', 'alert number 120', 'no part of one'];
		ok($server->wait_for_log(qr/unable to speak TLS from: 127\.0\.0\.1 for pid: \d+: (no application protocol in common)\n/), 'said in words');
		ok($server->wait_for_log(qr/ended by \d+ status (25088)\n/), 'exit code 98');
		my $curl = run('curl', '-sS', '-v', '--http0.9', '--no-alpn', '--cacert', file('root.pem'), "https://localhost:$server->{port}/");
		like($curl->{out}, qr/<unset>/, 'curl without');
		SKIP: {
			skip 'no gnutls-cli', 1 unless grep { -x "$_/gnutls-cli" } split /:/, $ENV{PATH};
			my $result = run('gnutls-cli', '--x509cafile', file('root.pem'), '--alpn', 'x', '--alpn', 'http/1.1', '-p', $server->{port}, 'localhost');
			like($result->{out}, qr/^<http\/1\.1>$/m, 'gnutls-cli');
		}
		$server->stop;

		$server = sslserver({ env => { TLS_MAXVERSION => $version, SSL_ALPN => 'old', TLS_ALPN => '' } }, [], @show);
		is(seen($server->{port}, 'h2'), 'unset', 'a server without any answers none, and prog is told none');
		$server->stop;
	};

	subtest "clients, $version" => sub {
		my $ask = sub { my ($port, $env) = @_; return sslclient({ env => { TLS_MAXVERSION => $version, SSL_ALPN => 'old', %$env } }, ['-RH', 'localhost'], $port, @show) };
		my $server = s_server({}, '-alpn', 'b,a', '-www');
		is($ask->($server->{port}, { TLS_ALPN => 'a,b' })->{out}, "<b>\n", 'the server chooses');
		is($ask->($server->{port}, { TLS_ALPN => 'a' })->{out}, "<a>\n", 'among what is offered');
		is($ask->($server->{port}, {})->{out}, "<unset>\n", 'nothing offered');
		is($ask->($server->{port}, { TLS_ALPN => ' , ' })->{out}, "<unset>\n", 'nothing but commas');
		my $result = $ask->($server->{port}, { TLS_ALPN => 'c' });
		is($result->{out}, '', 'nothing in common');
		like($result->{err}, qr/peer sent alert no_application_protocol\n/, 'in words');
		$server->stop;
		$server = s_server({}, '-www');
		is($ask->($server->{port}, { TLS_ALPN => 'a' })->{out}, "<unset>\n", 'a server that knows none');
		$server->stop;
	};
}

subtest 'our own on both sides, by a rule' => sub {
	my $rules = temporary('rules');
	run({ in => "127.0.0.2:allow,TLS_ALPN=\"smtp\"\n:allow\n" }, command('tcprules'), "$rules.cdb", "$rules.tmp");
	my $server = sslserver({ env => { TLS_ALPN => 'imap' } }, ['-RH', '-x', "$rules.cdb"], @show);
	is(sslclient({ env => { TLS_ALPN => 'smtp imap' } }, ['-RH', '-i', $_->[0], 'localhost'], $server->{port}, 'sh', '-c', 'cat <&6; echo "<$SSL_ALPN>"')->{out}, "<$_->[1]>\n" x 2, $_->[0])
		for ['127.0.0.1', 'imap'], ['127.0.0.2', 'smtp'];
	$server->stop;
};

# A server that answers what nobody offered.
subtest 'a server that chooses what was not offered' => sub {
	plan skip_all => 'no Net::SSLeay' unless eval { require Net::SSLeay; 1 };
	my $peer = spew(temporary('peer.pl'), <<'END');
use Net::SSLeay; use IO::Socket::IP;
Net::SSLeay::initialize();
my $context = Net::SSLeay::CTX_new_with_method(Net::SSLeay::TLS_server_method());
Net::SSLeay::set_cert_and_key($context, $ARGV[0], $ARGV[1]) or die;
Net::SSLeay::CTX_set_alpn_select_cb($context, sub { return 'evil' });
my $listener = IO::Socket::IP->new(LocalHost => '127.0.0.1', Listen => 1) or die;
$| = 1; print $listener->sockport, "\n";
my $socket = $listener->accept; my $ssl = Net::SSLeay::new($context); Net::SSLeay::set_fd($ssl, fileno $socket);
Net::SSLeay::accept($ssl) == 1 and Net::SSLeay::read($ssl);
print STDERR Net::SSLeay::ERR_error_string(Net::SSLeay::ERR_get_error()), "\n";
END
	for my $version (versions()) {
		my $server = start({ port => 1 }, $^X, $peer, file('server-rsa.pem'), file('server-rsa.key'));
		my $result = sslclient({ env => { TLS_ALPN => 'good', TLS_MAXVERSION => $version } }, ['-RH', 'localhost'], $server->{port}, 'echo', 'started');
		is($result->{exit}, 98, "$version: exit 98");
		is($result->{out}, '', 'the program never starts');
		# Newer versions of OpenSSL see it themselves, and call it malformed.
		my $words = engine() eq 'bearssl' ? 'unexpected message' : '(server chose an application protocol that was not offered|malformed handshake message)';
		like($result->{err}, qr/\Atlsc-io: error: unable to speak TLS to: 127\.0\.0\.1 for pid: \d+: $words\n\z/, 'in words');
		my $alert = engine() eq 'bearssl' ? 'unexpected message' : 'illegal parameter|decode error';
		ok($server->wait_for_log(qr/alert ($alert)/), 'and by an alert') or diag $server->log;
		$server->stop;
	}
};

done_testing;
