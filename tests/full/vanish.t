#!/usr/bin/perl
# A peer that vanishes: its link goes down, nothing says so. What is on its way waits for TLS_LINGER, an idle connection for -K.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Bear;
use BearTls;
use Test::More;
use Time::HiRes qw(sleep time);

plan skip_all => 'needs root, for network namespaces' if $>;
plan skip_all => 'needs ip(8)' if system('ip netns list >/dev/null 2>&1');

my ($here, $there) = ("bear-h-$$", "bear-t-$$");

sub ip { system("ip @_ 2>/dev/null") == 0 or die "ip @_: failed" }
END { local $?; system("ip netns del $_ >/dev/null 2>&1") for grep { defined } $here, $there }

ip("netns add $_") for $here, $there;
ip("link add veth0 netns $here type veth peer name veth0 netns $there");
ip("-n $here addr add 192.0.2.1/24 dev veth0");
ip("-n $there addr add 192.0.2.2/24 dev veth0");
for my $space ($here, $there) { ip("-n $space link set $_ up") for 'lo', 'veth0' }

my %identity = (TLS_ENGINE => engine(), CERTFILE => file('server-p256.pem'), KEYFILE => file('server-p256.key'), SSL_UID => 0);

# A server in one namespace with this program behind it, and a client in the other that has read a first line.
sub meet {
	my ($options, $env, @prog) = @_;
	my $server = serve({ env => { %identity, %$env } }, 'ip', 'netns', 'exec', $here, command('sslserver'), '-1v', @$options, '192.0.2.1', 0, @prog);
	my $client = start({ before => sub { open STDIN, '<', '/dev/zero' } },
		'ip', 'netns', 'exec', $there, 'openssl', 's_client', '-quiet', '-connect', "192.0.2.1:$server->{port}");
	ok(wait_until(sub { slurp($client->{out}) =~ /ready/ }, 10), 'connected');
	return ($server, $client);
}

subtest 'with data on its way' => sub {
	my ($server, $client) = meet([], { TLS_LINGER => 3 }, 'sh', '-c', 'echo ready; sleep 1; exec head -c 40000 /dev/zero');
	ip("-n $there link set veth0 down");
	my $begin = time;
	my $log = $server->wait_for_log(qr/(tlsd-io: error: .*)/, 20);
	like($log, qr/from: 192\.0\.2\.2 for pid: \d+: peer took nothing more until TLS_LINGER ran out/, 'said so');
	cmp_ok(time - $begin, '>', 2.5, 'not at once');
	cmp_ok(time - $begin, '<', 12, 'but in time');
	like($server->wait_for_log(qr/(ended by \d+ status \d+)/, 10), qr/status 25088/, 'exit code 98');
	$server->stop;
	$client->stop;
	ip("-n $there link set veth0 up");
};

subtest 'idle' => sub {
	my ($server, $client) = meet(['-w', 3], { TLS_LINGER => 2 }, 'sh', '-c', 'echo ready; exec sleep 60');
	ip("-n $there link set veth0 down");
	ok($server->wait_for_log(qr/(idle for 3000 ms)/, 20), 'ended by -w');
	ok($server->wait_for_log(qr/(ended by \d+)/, 20), 'and gone');
	$server->stop;
	$client->stop;
};

done_testing;
