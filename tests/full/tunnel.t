#!/usr/bin/perl
# The whole path client, sslserver, tcpclient and relay, backend: ends, resets, floods, and backends of all kinds (tests/lib/tunnel.py). Every
# case is bounded in time, and after each one nothing is left but the listener.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Bear;
use BearTls;
use Test::More;

plan skip_all => 'no python3' unless run('python3', '-c', 'import ssl, random; random.randbytes')->{exit} == 0;

my $cases = 15;
my $result = run({ timeout => 170 }, 'python3', "$FindBin::Bin/../lib/tunnel.py", command('') =~ s{/\z}{}r, file('root.pem'), map { file("server-p256.$_") } 'pem', 'key');
my $seen = 0;
for (split /\n/, $result->{out}) {
	if (/^(not )?ok (.*)/) { $seen++; ok(!$1, $2) }
	else { diag($_) }
}
is($seen, $cases + 1, 'all cases') or diag($result->{err});
ok(!$result->{timed_out}, 'in time');

done_testing;
