#!/usr/bin/perl
# The io programs under valgrind: no use of uninitialised memory, no invalid access, in good connections and in bad ones. They are linked
# dynamically for this, so that valgrind sees every allocation.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Bear;
use BearTls;
use Test::More;

plan skip_all => 'needs valgrind' if system('valgrind --version >/dev/null 2>&1');
plan skip_all => 'has a build of its own' if $ENV{SANITIZED};

my $top    = "$FindBin::Bin/../..";
my $folder = temporary();
my $built  = run({ timeout => 120 }, 'make', '-s', '-C', $top, "BUILD=$folder/build", "COMMAND=$folder/real", 'STATIC=', 'CFLAGS=-O1 -g', 'all');
is($built->{exit}, 0, 'built') or BAIL_OUT($built->{err});
is(run({}, 'cc', '-D_GNU_SOURCE', '-shared', '-fPIC', '-o', "$folder/limits.so", "$FindBin::Bin/../lib/valgrind.c")->{exit}, 0, 'preload built');

# The programs that are started look for the io programs beside themselves: there stand these in their place.
mkdir "$folder/logs" or die;
chmod 0777, "$folder/logs";
for my $name (map { io_program($_) } qw(tlsd-io tlsc-io)) {
	rename "$folder/real/$name", "$folder/real/real-$name" or die;
	spew("$folder/real/$name", "#!/bin/sh\nLD_PRELOAD=$folder/limits.so exec valgrind -q --vgdb=no --error-exitcode=9 --log-file=$folder/logs/$name.%p $folder/real/real-$name \"\$@\"\n");
	chmod 0755, "$folder/real/$name";
}

my $server = serve({ timeout => 60, env => { %{ pair('server-p256') }, CAFILE => file('root.pem'), SSL_UID => $> } },
	"$folder/real/tcpserver", '-v', '-1', '127.0.0.1', 0, "$folder/real/tlsd", '-Y', 'sh', '-c', 'cat; echo end');
my %client = (CAFILE => file('root.pem'), SSL_UID => $>);

sub client {
	my ($env, @more) = @_;
	return run({ timeout => 60, env => { %client, %$env } }, "$folder/real/sslclient", '-T', 30, 'localhost', $server->{port}, @more);
}

my $talk = ['sh', '-c', 'head -c 300000 /dev/zero >&7; exec 7>&-; cat <&6 | wc -c'];
my $result = client({}, @$talk);
is($result->{exit}, 0, 'a good connection') or diag $result->{err};
like($result->{out}, qr/^300004$/m, 'all of it came back');
$result = client({ %{ pair('client') } }, @$talk);
like($result->{out}, qr/^300004$/m, 'with a client certificate') or diag $result->{err}, $server->log;
is(client({ CAFILE => file('other-root.pem') }, 'true')->{exit}, 98, 'another authority');
is(client({ TLS_PEERNAME => 'other.test' }, 'true')->{exit}, 98, 'another name');
ask($server->{port}, "GET / HTTP/1.0\r\n\r\n");
ask($server->{port}, "\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00");
ok(wait_until(sub { (() = $server->log =~ /^tcpserver: end /mg) >= 6 }, 60), 'all connections have ended');
$server->stop;

my @logs = glob "$folder/logs/*";
cmp_ok(scalar @logs, '>=', 10, 'valgrind looked at ' . @logs . ' processes');
my $said = join '', map { slurp($_) } @logs;
is($said, '', 'and had nothing to say');

done_testing;
