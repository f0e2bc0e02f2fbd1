package BearTls;

# What the tests of the TLS programs share, on top of Bear.pm. Loading it empties the environment of everything that io programs read
# or that connections are described with, and puts the engine under test into TLS_ENGINE.
#
#   pair('server-rsa', ..)                 CERTFILE and KEYFILE of a pair of pki(), and what else follows, as env => {..}
#   sslserver({...}, [options], prog...)   an sslserver on 127.0.0.1 with -1v; {pair} names its pair (server-rsa)
#   sslclient({...}, [options, host], $port, prog...)    run to its end, trusting root.pem unless env says otherwise
#   s_client({...}, $port, arguments)      openssl s_client as a checking client of TLS 1.2 and up, with {in} sent; everything in {out}
#   s_server({...}, arguments)             openssl s_server started; its {port}; {pair} as above; {answers}: standard input stays open,
#                                          fed by whoever writes to its {fifo} (at the end of its input it breaks the connection off)
#   http()                                 a program that answers a request of HTTP/1.0 with "served\n" and exits: a list
#   connection($server)                    waits for the end of the next connection: { pid, status, log }
#   openssl(arguments)                     standard output of openssl, dies if it fails
#
# The engines (engine() of Bear.pm is the one under test):
#   versions()                             the protocol versions it speaks, the oldest first: 'TLSv1.2', ..
#   newest()                               the last of them, which is agreed on with a peer that knows all
#   suite($version, 'RSA'|'ECDSA')         pattern of the suites of the default policy
#   io_program('tlsd-io')                  the name of its program: tlsd-io-openssl; that of any other program as it is
#   cannot('openssl', 'why')               true, with a test skipped for that reason, if that is the engine under test: for what the other
#                                          one passes. 'return if' in a subtest, 'next if' in a loop; the reasons, word by word, are a table
#                                          of doc/guide/engines.md, which engines.t compares

use strict;
use warnings;
use Bear;
use Exporter 'import';
use POSIX qw(mkfifo);

our @EXPORT = qw(pair sslserver sslclient s_client s_server http connection openssl versions newest suite io_program cannot days_left);

my $engine = engine();
delete $ENV{$_} for grep { /^(TLS_|SSL|TCP|UCSPI|PROTO$|CERTFILE|CERTCHAINFILE|KEYFILE|CAFILE|CADIR|CCA|VERIFYDEPTH|CIPHERS|DHFILE|CRL)/ } keys %ENV;
$ENV{TLS_ENGINE} = $engine;

my %speaks = (bearssl => ['TLSv1.2'], openssl => ['TLSv1.2', 'TLSv1.3']);

sub versions   { return @{ $speaks{$engine} or die "TLS_ENGINE=$engine: there is no such engine\n" } }
sub newest     { return (versions())[-1] }
sub io_program { my ($name) = @_; return $engine eq 'bearssl' || $name !~ /-io\z/ ? $name : "$name-$engine" }

# What a program may have said within these minutes of the whole days until a time.
sub days_left {
	my ($until) = @_;
	my $days = join '|', map { int(($until - time + $_) / 86400) } -120, 0, 120;
	return qr/\A(?:$days)\z/;
}

sub suite {
	my ($version, $kind) = @_;
	return $version eq 'TLSv1.3' ? qr/TLS_(?:AES_(?:128|256)_GCM_SHA(?:256|384)|CHACHA20_POLY1305_SHA256)/
		: qr/ECDHE-(?:$kind)-(?:AES(?:128|256)-GCM-SHA(?:256|384)|CHACHA20-POLY1305)/;
}

sub cannot {
	my ($which, $reason) = @_;
	return 0 if $which ne $engine;
	Test::More->builder->skip("$which: $reason");
	return 1;
}

sub pair {
	my ($name, %more) = @_;
	return { CERTFILE => file("$name.pem"), KEYFILE => file("$name.key"), %more };
}

sub sslserver {
	my $options = shift;
	my ($letters, @prog) = @_;
	my $env = { %{ pair($options->{pair} || 'server-rsa') }, %{ $options->{env} || {} } };
	return serve({ %$options, env => $env }, command('sslserver'), '-1v', @$letters, '127.0.0.1', '0', @prog);
}

sub sslclient {
	my $options = shift;
	my ($words, $port, @prog) = @_;
	my $env = { CAFILE => file('root.pem'), %{ $options->{env} || {} } };
	return run({ %$options, env => $env }, command('sslclient'), @$words, $port, @prog);
}

sub s_client {
	my ($options, $port, @arguments) = @_;
	return run($options, 'openssl', 's_client', '-connect', "127.0.0.1:$port", '-CAfile', file('root.pem'), '-verify_return_error', '-ign_eof',
		@arguments);
}

sub s_server {
	my ($options, @arguments) = @_;
	my $name = $options->{pair} || 'server-rsa';
	my ($before, $fifo);
	if ($options->{answers}) {
		$fifo = temporary('fifo' . int rand 1e9);
		mkfifo($fifo, 0600) or die "$fifo: $!";
		$before = sub { open STDIN, '+<', $fifo or die "$fifo: $!" };
	}
	my $server = start({ before => $before, %$options }, 'openssl', 's_server', '-accept', '127.0.0.1:0', '-cert', file("$name.pem"),
		'-key', file("$name.key"), @arguments);
	wait_until(sub { slurp($server->{out}) =~ /^ACCEPT .*:(\d+)$/m and $server->{port} = $1 or $server->{port} = listening_port($server->{pid}) }, 10)
		or Test::More::diag('openssl s_server: ' . $server->log);
	$server->{fifo} = $fifo;
	return $server;
}

# With -quiet it does not say where it listens.
sub listening_port {
	my ($pid) = @_;
	my %inode = map { (readlink($_) || '') =~ /^socket:\[(\d+)\]/ ? ($1 => 1) : () } glob "/proc/$pid/fd/*";
	for (split /\n/, slurp('/proc/net/tcp')) {
		my (undef, $local, undef, $state, undef, undef, undef, undef, undef, $inode) = split;
		return hex((split /:/, $local)[1]) if $state eq '0A' && $inode{$inode};
	}
	return 0;
}

sub http {
	return ('perl', '-e', 'while (<STDIN>) { last if /^\r?\n$/ } print "HTTP/1.0 200 OK\r\n\r\nserved\n"');
}

sub connection {
	my ($server) = @_;
	my $seen = $server->{seen} || 0;
	my %found;
	wait_until(sub {
		my $log = substr $server->log, $seen;
		return 0 unless $log =~ /^sslserver: ok (\d+) /m;
		my $pid = $1;
		return 0 unless $log =~ /\A(.*^sslserver: ended by $pid status (\d+)\n)/ms;
		%found = (pid => $pid, status => $2, log => $1);
		return 1;
	}, 10);
	$server->{seen} = $seen + length($found{log} || '');
	return \%found;
}

sub openssl {
	my $result = run('openssl', @_);
	die "openssl @_: $result->{err}" unless defined $result->{exit} && $result->{exit} == 0;
	return $result->{out};
}

1;
