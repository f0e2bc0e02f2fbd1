#!/usr/bin/perl
# Names with a real resolver, dnsmasq, that serves a local zone, in a network made here: both ways, both families, TCP, and its death.
use strict;
use warnings;
use Cwd qw(abs_path);
use FindBin;
use lib "$FindBin::Bin/../lib";
use Bear;
use IO::Socket::IP;
use Test::More;

my $top   = abs_path("$FindBin::Bin/../..");
my $build = abs_path($ENV{BUILD} || "$top/build");
plan skip_all => 'no dnsmasq: install dnsmasq-base' if system 'command -v dnsmasq >/dev/null';

if (!$ENV{NAMES_INSIDE}) {
	my $ask = temporary('ask');
	(my $compile = slurp("$build/compile-flags")) =~ s/\n.*//s;
	my $built = run({ timeout => 60 }, 'sh', '-c', "cd $top && $compile -o $ask tests/lib/peers/ask.c $build/libnet.a -lcares");
	($built->{exit} // -1) == 0 or BAIL_OUT("ask: $built->{err}");
	plan skip_all => 'no network namespaces here: needs root' if system 'unshare -nm true 2>/dev/null';
	system 'unshare', '-nm', 'env', "NAMES_INSIDE=$ask", $^X, abs_path($0);
	exit($? ? 1 : 0);
}
my $ask = $ENV{NAMES_INSIDE};

sub must { system(@_) == 0 or BAIL_OUT("@_: $?") }

must('ip', 'link', 'set', 'lo', 'up');
must('ip', 'addr', 'add', "192.0.2.$_/32", 'dev', 'lo') for 1 .. 9;
must('ip', 'addr', 'add', "2001:db8::$_/128", 'dev', 'lo', 'nodad') for 1 .. 9;
must('mount', '--bind', spew(temporary('resolv.conf'), "nameserver 127.0.0.1\nsearch zone.test\n"), '/etc/resolv.conf');

sub resolver {
	my $server = start('dnsmasq', '--no-daemon', '--conf-file=/dev/null', '--no-resolv', '--no-hosts', '--user=root', '--pid-file', '--listen-address=127.0.0.1',
		'--bind-interfaces', '--log-facility=-', '--local=/zone.test/', '--local=/2.0.192.in-addr.arpa/', '--local=/8.b.d.0.1.0.0.2.ip6.arpa/',
		'--host-record=one.zone.test,192.0.2.1,2001:db8::1', '--host-record=two.zone.test,192.0.2.2', '--cname=alias.zone.test,one.zone.test',
		'--ptr-record=3.2.0.192.in-addr.arpa,two.zone.test', map { "--host-record=many.zone.test,10.1." . ($_ >> 8) . '.' . ($_ & 255) } 1 .. 100);
	$server->wait_for_log(qr/started/) or BAIL_OUT($server->log);
	return $server;
}

my $listening = IO::Socket::IP->new(LocalHost => '::', LocalPort => 0, Listen => 50, V6Only => 0) || die $@;
my $port = $listening->sockport;

sub variables {
	my $result = run({ timeout => 20 }, command('tcpclient'), @_, $port, 'sh', '-c', 'env | grep "^TCP\(LOCAL\|REMOTE\)\(HOST\|IP\)="');
	return join(' ', sort split /\n/, $result->{out}) . $result->{err};
}

sub asked { my $result = run({ timeout => 20 }, $ask, @_); return { map { /^(\w+) (.*)$/ } split /\n/, $result->{out} } }

my $server = resolver();
is(variables('-4', '-i192.0.2.2', 'one'), 'TCPLOCALHOST=two.zone.test TCPLOCALIP=192.0.2.2 TCPREMOTEHOST=one.zone.test TCPREMOTEIP=192.0.2.1', 'forward and reverse');
is(variables('-6', '-l0', 'alias.zone.test'), 'TCPLOCALHOST=0 TCPLOCALIP=2001:db8::1 TCPREMOTEHOST=one.zone.test TCPREMOTEIP=2001:db8::1', 'an alias, IPv6');
like(variables('none.zone.test'), qr/unable to look up none\.zone\.test: /, 'a name that does not exist');
is(variables('-4', '-l0', '192.0.2.9'), 'TCPLOCALHOST=0 TCPLOCALIP=192.0.2.9 TCPREMOTEIP=192.0.2.9', 'an address without a name');
my $many = run({ timeout => 60 }, command('tcpclient'), '-RHl0', '-T1', '-i127.0.0.1', 'many.zone.test', 1, 'true');
is(scalar(() = $many->{err} =~ /unable to connect/g), 32, 'a hundred addresses') or diag($many->{err});

is(asked('-hl0', '127.0.0.1', 25, '192.0.2.3', 4000)->{remote}, 'two.zone.test', 'an address whose name has another');
is(asked('-hpl0', '127.0.0.1', 25, '192.0.2.3', 4000)->{remote}, '-', 'is not believed with -p');
is(asked('-hpl0', '127.0.0.1', 25, '2001:db8::1', 4000)->{remote}, 'one.zone.test', 'one that has the address is');

# A dead resolver: refused at once. A stopped one: silent.
kill 'STOP', $server->{pid};
my $silent = asked('-h', '-t2', '192.0.2.2', 25, '192.0.2.1', 4000);
is("$silent->{local} $silent->{remote}", '- -', 'a resolver that hangs');
ok($silent->{ms} >= 1990 && $silent->{ms} < 2600, "is given up after -t ($silent->{ms} ms)");
kill 'CONT', $server->{pid};
$server->stop;
my $dead = asked('-h', '-t2', '192.0.2.2', 25, '192.0.2.1', 4000);
is("$dead->{local} $dead->{remote}", '- -', 'a resolver that is gone');
cmp_ok($dead->{ms}, '<', 2600, 'costs no more');
$server = resolver();
is(asked('-h', '-t2', '192.0.2.2', 25, '192.0.2.1', 4000)->{remote}, 'one.zone.test', 'and one that is back counts again');

done_testing;
