#!/usr/bin/perl
# Small links: tcpallow, argv0, ptyrun.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Bear;
use Test::More;

delete $ENV{$_} for grep { /^(TCP|SSL|PROTO$|PROXY|MAXCONIP$)/ } keys %ENV;

sub rules {
	my ($text) = @_;
	my $path = temporary('rules' . int rand 1e9);
	my $made = run({ in => $text }, command('tcprules'), $path, "$path.tmp");
	die $made->{err} if $made->{exit};
	return $path;
}

subtest 'tcpallow' => sub {
	my $clients = rules("192.0.2.:allow,WHO=\"net\"\n192.0.2.66:deny\n=mail.test:allow,WHO=\"host\"\njoe\@198.51.100.1:allow,WHO=\"joe\"\n2001:db8::/32:allow,WHO=\"six\"\n127.0.0.1:allow,MAXCONIP=\"1\"\n:deny\n");
	my @show = ('sh', '-c', 'echo "$PROTO $TCPREMOTEIP ${WHO-none}"');
	my $ask = sub {
		my ($ip, $more, @letters) = @_;
		my $set = $ip =~ /:/ ? 'TCP6' : 'TCP';
		my %env = (PROTO => $set, "${set}REMOTEIP" => $ip, "${set}REMOTEPORT" => 4000, "${set}LOCALIP" => '198.51.100.1', "${set}LOCALPORT" => 25, %{ $more || {} });
		return run({ env => \%env }, command('tcpallow'), @letters, $clients, @show);
	};
	is($ask->('192.0.2.7')->{out}, "TCP 192.0.2.7 net\n", 'allowed, with the variables of the rule');
	is($ask->('203.0.113.1', { TCPREMOTEHOST => 'mail.test' })->{out}, "TCP 203.0.113.1 host\n", 'by name');
	is($ask->('198.51.100.1', { TCPREMOTEINFO => 'joe' })->{out}, "TCP 198.51.100.1 joe\n", 'by info');
	is($ask->('2001:db8::7')->{out}, "TCP6 2001:db8::7 six\n", 'IPv6');
	is($ask->('127.0.0.1')->{out}, "TCP 127.0.0.1 none\n", 'MAXCONIP counts nothing');
	my $denied = $ask->('192.0.2.66', {}, '-v');
	is("$denied->{exit} $denied->{out}", '100 ', 'denied');
	like($denied->{err}, qr/^tcpallow: deny \d+ :198\.51\.100\.1:25 :192\.0\.2\.66::4000$/, '... with a line of the server\'s kind');
	is($ask->('192.0.2.66')->{err}, '', '... which only -v has');
	like($ask->('192.0.2.7', {}, '-v', '-l', 'me')->{err}, qr/^tcpallow: ok \d+ me:198\.51\.100\.1:25 :192\.0\.2\.7::4000$/, 'ok, and -l');
	like($ask->('127.0.0.1', {}, '-hv')->{err}, qr/^tcpallow: ok \d+ [^:]*:198\.51\.100\.1:25 localhost:127\.0\.0\.1::4000$/, '-h looks the name up');
	is(run({ env => { PROTO => 'TCP' } }, command('tcpallow'), $clients, 'true')->{exit}, 96, 'no connection: exit code 96');
	like(run({ env => { PROTO => 'UNIX' } }, command('tcpallow'), $clients, 'true')->{err}, qr/^tcpallow: fatal: unable to ask rules .*: PROTO is not/, '... and why');
	my %env = (PROTO => 'TCP', map { ("TCP${_}IP" => '192.0.2.7', "TCP${_}PORT" => 1) } 'LOCAL', 'REMOTE');
	is(run({ env => \%env }, command('tcpallow'), '/nowhere.cdb', 'true')->{exit}, 111, 'no rules');
	is(run({ env => \%env }, command('tcpallow'), '-X', '/nowhere.cdb', 'true')->{exit}, 0, '... with -X');
	is(run({ env => \%env }, command('tcpallow'), $clients)->{exit}, 100, 'no prog');
	is(run({ env => \%env }, command('tcpallow'), '-p', $clients, 'true')->{exit}, 100, '-p without -h');
	is(run({ env => \%env }, command('tcpallow'), $clients, '/nowhere')->{exit}, 111, 'a prog that is not there');

	my $proxies = rules("127.0.0.1:allow,PROXYRECV=\"1\"\n:deny\n");
	my $server = serve(command('tcpserver'), '-1vH', '-x', $proxies, '127.0.0.1', '0', command('proxyrecv'), command('tcpallow'), '-v', $clients, @show);
	is(ask($server->{port}, "PROXY TCP4 192.0.2.7 198.51.100.1 4000 25\r\n"), "TCP 192.0.2.7 net\n", 'behind proxyrecv: allowed');
	is(ask($server->{port}, "PROXY TCP4 192.0.2.66 198.51.100.1 4000 25\r\n"), '', '... denied');
	ok($server->wait_for_log(qr/^tcpallow: deny \d+ [^ ]*:198\.51\.100\.1:25 :192\.0\.2\.66::4000$/m), '... with a line');
};

subtest 'argv0' => sub {
	is(run(command('argv0'), 'another', 'sh', '-c', 'echo "$0 $#"; tr "\0" " " </proc/$$/cmdline | cut -d" " -f1')->{out}, "another 0\nanother\n", 'the name') if -e '/proc/self/cmdline';
	is(run(command('argv0'), 'sh', 'echo', 'a', '-b')->{out}, "a -b\n", 'the rest as it is');
	is(run(command('argv0'), 'x')->{exit}, 100, 'no prog');
	is(run(command('argv0'), '-x', 'x', 'true')->{exit}, 100, 'no options');
	is(run(command('argv0'), '--', '-sh', 'true')->{exit}, 0, 'a name that begins with -');
	my $result = run(command('argv0'), 'x', '/nowhere');
	is($result->{exit}, 111, 'a prog that is not there: exit code');
	like($result->{err}, qr{^argv0: fatal: unable to run /nowhere: No such file}, '... and words');
};

done_testing;
