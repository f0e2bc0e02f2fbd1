#!/usr/bin/perl
# Java's own TLS as the peer of the server and the client side of ours: ends of connections, client certificates, names, protocols.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Bear;
use BearTls;
use Test::More;

my $top = "$FindBin::Bin/../lib/peers";
plan skip_all => 'no javac: install default-jdk-headless'
	unless !system 'command -v javac >/dev/null 2>&1 && command -v java >/dev/null 2>&1';
my $built = run({ timeout => 120 }, 'javac', '-d', temporary(), "$top/Peer.java");
($built->{exit} // -1) == 0 or BAIL_OUT("javac: $built->{err}");
my $store = temporary('server.p12');
run('openssl', 'pkcs12', '-export', '-in', file('server-p256.pem'), '-inkey', file('server-p256.key'), '-out', $store, '-passout', 'pass:secret')->{exit}
	== 0 or BAIL_OUT('openssl pkcs12');
my @java = ('java', '-Xint', '-XX:+UseSerialGC', '-Xshare:auto', '-cp', temporary(), 'Peer');
my @application = ($^X, "$top/application.pl");

sub meet {
	my ($name, $env, $app, $steps, $exit, $peer, $log) = @_;
	my $server = serve({ env => { CERTFILE => file('server-p256.pem'), KEYFILE => file('server-p256.key'), %$env } }, command('tcpserver'), '-1v', '127.0.0.1', '0',
		command('tlsd'), '-J', @application, 0, 1, @$app);
	my $client = run({ timeout => 40 }, @java, 'client', $server->{port}, file('root.pem'), @$steps);
	my $status = $server->wait_for_log(qr/ end \d+ status (\d+)/, 20);
	is($status, $exit << 8, "our server, $name: exit $exit");
	like($client->{out}, qr/\Aopen \Q@{[newest()]}\E .*\n$peer\z/, "our server, $name: the peer") or diag($client->{err});
	like($server->log, $log, "our server, $name: the log");
	$server->stop;

	$server = serve({ timeout => 20 }, @java, 'server', $store, 'secret', @$steps);
	my $result = run({ env => { CAFILE => file('root.pem'), %$env }, timeout => 40 }, command('tcpclient'), '127.0.0.1', $server->{port}, command('tlsc'), '-J',
		'-k', 'localhost', @application, 6, 7, @$app);
	is($result->{exit}, $exit, "our client, $name: exit $exit");
	like(Bear::read_all($server->{pipe}, 20), qr/\Aopen \Q@{[newest()]}\E .*\n$peer\z/, "our client, $name: the peer") or diag($server->log);
	like($result->{err}, $log, "our client, $name: the log");
	$server->stop;
}

meet('the peer ends first by close_notify', {}, [qw(readall send 3000000)], [qw(send 200000 notify readall close)], 0, qr/received 3000000\nend close_notify\n/,
	qr/input ended\napplication: received 200000\n/);
# With TLS 1.2 Java answers close_notify at once and drops what it had to say (RFC 5246 7.2.1): TLS_CLOSE=wait is for such peers.
meet('we end first', {}, [qw(send 1000000 closeout readall exit 3)], [qw(readall close)], 3, qr/received 1000000\nend close_notify\n/,
	qr/input ended\napplication: received 0\n/);
meet('both at once, TLS_CLOSE=wait', { TLS_CLOSE => 'wait' }, [qw(both 4000000)], [qw(both 3000000)], 0, qr/received 4000000\nend close_notify\n/,
	qr/application: received 3000000\n/);

# FIPS-minded: no TLS 1.2 without extended master secret (RFC 7627), which java.security and this property may demand.
subtest 'extended master secret demanded' => sub {
	my @demanding = ('java', '-Djdk.tls.allowLegacyMasterSecret=false', @java[1 .. $#java]);
	my $has = engine() ne 'bearssl';
	my $server = serve({ env => { CERTFILE => file('server-p256.pem'), KEYFILE => file('server-p256.key'), TLS_MAXVERSION => 'TLSv1.2' } }, command('tcpserver'), '-1v', '127.0.0.1', '0',
		command('tlsd'), @application, 0, 1, qw(readall));
	my $client = run({ timeout => 40 }, @demanding, 'client', $server->{port}, file('root.pem'), qw(send 1000 notify readall close));
	is($server->wait_for_log(qr/ end \d+ status (\d+)/, 20), $has ? 0 : 98 << 8, $has ? 'a client goes on' : 'a client ends the handshake') or diag($server->log, $client->{err});
	like($server->log, $has ? qr/application: received 1000$/m : qr/peer sent alert handshake_failure$/m, 'the log');
	$server->stop;
	$server = serve({ timeout => 20 }, @demanding, 'server', $store, 'secret', qw(readall notify));
	my $result = run({ env => { CAFILE => file('root.pem'), TLS_MAXVERSION => 'TLSv1.2' }, timeout => 40 }, command('tcpclient'), '127.0.0.1', $server->{port}, command('tlsc'),
		'-k', 'localhost', @application, 6, 7, qw(send 1000 closeout readall));
	is($result->{exit}, $has ? 0 : 98, $has ? 'a server goes on' : 'a server ends the handshake') or diag($result->{err});
	like($result->{err}, $has ? qr/input ended/ : qr/peer sent alert handshake_failure$/m, 'the log');
	$server->stop;
};

# Who is there, in each version.
subtest 'client certificate, server name, application protocol' => sub {
	for my $name ('client', 'unknown') {
		run('openssl', 'pkcs12', '-export', '-in', file("$name.pem"), '-inkey', file("$name.key"), '-out', temporary("$name.p12"), '-passout', 'pass:secret')->{exit} == 0 or BAIL_OUT('openssl pkcs12');
	}
	for my $version (versions()) {
		my $server = sslserver({ pair => 'self-signed', env => { CAFILE => file('root.pem'), TLS_MAXVERSION => $version, TLS_ALPN => 'one,two', 'CERTFILE:name.test' => file('server-rsa.pem'), 'KEYFILE:name.test' => file('server-rsa.key') } },
			['-mRH'], 'sh', '-c', 'env | grep -e ^SSL_PEER_CERT_SUBJECT -e ^SSL_TLS_SNI_SERVERNAME -e ^SSL_ALPN | sort >&2');
		my $visit = sub { my ($identity, @more) = @_; return run({ timeout => 40 }, $java[0], ($identity ? "-Dpeer.identity=@{[temporary($identity)]}.p12" : ()), '-Dpeer.name=name.test', '-Dpeer.protocol=two', @java[1 .. $#java],
			'client', $server->{port}, file('root.pem'), 'readall') };
		my $result = $visit->('client');
		like($result->{out}, qr/\Aopen \Q$version\E .*RSA.*\nprotocol two\n/, "$version: a right certificate, and the one for the name") if $version eq 'TLSv1.2';
		like($result->{out}, qr/\Aopen \Q$version\E .*\nprotocol two\nreceived 0\nend close_notify\n\z/, "$version: a right certificate") or diag $result->{err};
		ok($server->wait_for_log(qr/(SSL_ALPN=two\nSSL_PEER_CERT_SUBJECT=O=Bear Test, CN=Test Client\nSSL_TLS_SNI_SERVERNAME=name\.test\n)/), 'and what prog knows') or diag $server->log;
		# Java presents only what one of the authorities named has signed.
		unlike($visit->($_)->{out}, qr/received 0\nend close_notify/, 'not with ' . ($_ // 'none')) for undef, 'unknown';
		my @refused = $server->log =~ /pid: \d+: (.*)\n/g;
		is("@refused", 'no client certificate no client certificate', 'in words');
		$server->stop;
	}
};

done_testing;
