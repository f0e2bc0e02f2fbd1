#!/usr/bin/perl
# Ends of connections with Java's own TLS as the peer, for the server and the client side of ours.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Bear;
use BearTls qw(newest);
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

done_testing;
