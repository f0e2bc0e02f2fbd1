#!/usr/bin/perl
# The letters of the TCP family (all four programs): what is accepted, what is refused with which advice, and what is a bad value.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Bear;
use Test::More;

# Everything here ends before a socket is made, or at one that is refused.
sub refused {
	my ($program, $words, @arguments) = @_;
	my $result = run(command($program), @arguments);
	is($result->{exit}, 100, "$program @arguments: exit 100");
	like($result->{err}, qr/\A$program: fatal: \Q$words\E\n$program: usage: $program \[ -.* host port prog\n\z/, 'in words');
}

for my $program ('tcpserver', 'sslserver', 'tcpclient', 'sslclient') {
	subtest "$program: usage" => sub {
		for my $arguments ([], ['0'], ['0', '0'], ['-v', '0', '0'], ['--', '0', '0']) {
			my $result = run(command($program), @$arguments);
			is($result->{exit}, 100, "@$arguments: exit 100");
			like($result->{err}, qr/\A$program: usage: $program \[ -.* host port prog\n\z/, 'usage');
		}
		refused($program, 'option -j is unknown', '-j');
		refused($program, 'option -j is unknown', '-vj', '0', '0', 'true');
		refused($program, 'option -? is unknown', "-\t");
		refused($program, 'option -l needs an argument', '-l');
		refused($program, 'option -l needs an argument', '-vl');
	};
}

subtest 'tcpserver: letters of sslserver' => sub {
	refused('tcpserver', "option -$_ is of sslserver", "-$_", '5', '0', 'true') for qw(T w n N s S e E m z Z 3 V);
};

subtest 'servers: numbers' => sub {
	my %needs = (
		c => 'a number of connections from 1 to 100000', b => 'a number of pending connections from 1 to 65535',
		u => 'a user from 1 to 4294967294', g => 'a group from 1 to 4294967294',
	);
	for my $program ('tcpserver', 'sslserver') {
		for my $letter (sort keys %needs) {
			(my $what = $needs{$letter}) =~ s/^a (user|group)/a number of a $1/;
			refused($program, "option -$letter needs $what, not $_", "-$letter", $_, '0', '0', 'true') for '0', '-1', 'x', '1x', ' 1', '99999999999999999999', '4294967296';
			refused($program, "option -$letter needs $what, not nothing", "-$letter", '', '0', '0', 'true');
		}
	}
	for my $letter ('T', 'w') {
		my $most = $letter eq 'T' ? 1000000 : 2147483;
		refused('sslserver', "option -$letter needs a number of seconds from 1 to $most, not $_", "-$letter$_", '0', '0', 'true') for '0', 'x', $most + 1;
	}
};

subtest 'servers: -U' => sub {
	for my $program ('tcpserver', 'sslserver') {
		my @call = (command($program), '-U', '127.0.0.1', '0', 'true');
		for my $case ([{ UID => undef, GID => 5 }, 'UID'], [{ UID => 'x', GID => 5 }, 'UID'], [{ UID => 5, GID => undef }, 'GID'], [{ UID => 5, GID => '' }, 'GID']) {
			my $result = run({ env => $case->[0] }, @call);
			is($result->{exit}, 100, "$program: exit 100");
			like($result->{err}, qr/\A$program: fatal: option -U needs a number in $case->[1]\n/, 'in words');
		}
	}
};

subtest 'tcpserver: letters that work' => sub {
	my $server = serve(command('tcpserver'), '-146', '-hHrRpPoOXdDqQ4', '-t5', '-l0', '-c3', '-b', '7', '--', '127.0.0.1', '0', 'echo', '-x', '-n', '--');
	is(ask($server->{port}, ''), "-x -n --\n", 'all at once, and the options of prog are its own');
};

subtest 'tcpclient: letters of sslclient' => sub {
	refused('tcpclient', "option -$_ is of sslclient", "-$_", '5', '0', 'true') for qw(n N x X e E s S y w a A c k K V z m M 3);
};

subtest 'seconds for names' => sub {
	for my $program ('tcpserver', 'sslserver', 'tcpclient', 'sslclient') {
		refused($program, "option -t needs a number of seconds from 1 to 2147483, not $_", "-t$_", '0', '0', 'true') for '0', 'x', '2147484';
	}
};

subtest 'sslclient: what is a variable here' => sub {
	my %variable = (a => 'CAFILE', A => 'CADIR', c => 'CERTFILE', k => 'KEYFILE', V => 'VERIFYDEPTH', z => 'CIPHERS');
	refused('sslclient', "option -$_ is not taken here: set $variable{$_} in the environment", "-$_", 'x', '0', '0', 'true') for sort keys %variable;
	refused('sslclient', 'option -K is not taken here: set KEYFILE in the environment; -3 reads the password of an encrypted key', '-K', '0', '0', 'true');
	refused('sslclient', 'option -m is not taken here: the host name is always sent; set TLS_SNI in the environment for another', '-m', '0', '0', 'true');
	refused('sslclient', 'option -M is not taken here: the host name is always sent; set TLS_PEERNAME in the environment for another', '-M', '0', '0', 'true');
	refused('sslclient', 'option -n checks a name in a certificate, which means nothing with -X', '-nX', '0', '0', 'true');
};

subtest 'clients: values' => sub {
	for my $program ('tcpclient', 'sslclient') {
		refused($program, 'option -T needs seconds as x+y, with x from 1 and both to 86400', '-T', $_, '0', '0', 'true') for '', '0', '0+5', '1+', '+1', 'x', '1+x', '1 ', '86401', '1+86401', '1+1+1';
		refused($program, 'option -i needs an IP address', '-i', $_, '0', '0', 'true') for '', 'localhost', '1.2.3', '1.2.3.4.5', '256.1.1.1', '[::1', ':::';
		refused($program, "option -p needs a number of a port from 0 to 65535, not $_", '-p', $_, '0', '0', 'true') for '65536', 'x';
	}
};

subtest 'tcpclient: letters that work' => sub {
	my $server = serve(command('tcpserver'), '-1', '127.0.0.1', '0', 'echo', 'x');
	my $result = run(command('tcpclient'), '-64hHrRdDqQv4', '-t5', '-i', '127.0.0.1', '-p0', '-T1', '-l', 'name', '127.0.0.1', $server->{port}, 'sh', '-c', 'cat <&6; echo "$@"', '-v', '-z');
	is($result->{out}, "x\n-z\n", 'all at once, and the options of prog are its own');
};

subtest 'sslprint' => sub {
	my %mine = (PROTO => 'SSL', SSLREMOTEIP => '192.0.2.1', SSL_CIPHER => "a\nb\tc", TCP6LOCALPORT => 5, TCPLOCALIP => '::1', OTHER => 'x', XPROTO => 'y');
	my %gone = map { $_ => undef } grep { /^(PROTO|SSL|TCP)/ } keys %ENV;
	my $result = run({ env => { %gone, %mine } }, command('sslprint'));
	is($result->{exit}, 0, 'exit 0');
	is(join('', sort split /^/, $result->{out}), "PROTO=SSL\nSSLREMOTEIP=192.0.2.1\nSSL_CIPHER=a?b?c\nTCP6LOCALPORT=5\nTCPLOCALIP=::1\n", 'the connection, clean');
	is(run(command('sslprint'), 'x')->{exit}, 100, 'operands: exit 100');
	is(run({ before => sub { open STDOUT, '>', '/dev/full' } }, command('sslprint'))->{exit}, 111, 'a full disk: exit 111') if -e '/dev/full';
};

subtest 'sslcat' => sub {
	my $result = run(command('sslcat'), 'host');
	is($result->{exit}, 100, 'usage: exit 100');
	is($result->{err}, "sslcat: usage: sslcat host port [ sslclient options ]\n", 'in words');
	$result = run(command('sslcat'), '127.0.0.1', '1', '-a', 'x');
	is($result->{exit}, 100, 'its options go to sslclient');
	like($result->{err}, qr/\Asslclient: fatal: option -a /, 'in front of the operands');
};

done_testing;
