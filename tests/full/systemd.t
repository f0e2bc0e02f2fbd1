#!/usr/bin/perl
# The units of doc/guide/supervision.md: systemd-analyze finds nothing wrong with them, and their ExecStart serves the socket that
# systemd-socket-activate hands over, as systemd would. No service manager has to run.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Bear;
use BearTls;
use IO::Socket::IP;
use POSIX qw(_exit);
use Test::More;

alarm 120;
my @missing = grep { my $tool = $_; !grep { -x "$_/$tool" } split /:/, $ENV{PATH} } qw(systemd-analyze systemd-socket-activate);
plan skip_all => "systemd is not there: no @missing" if @missing;

# Blocks of the guide by the file they are for.
my $guide = slurp("$FindBin::Bin/../../doc/guide/supervision.md");
my %file;
$file{$1} = $2 while $guide =~ /`([\w\/.-]+)`:\n\n```\w*\n(.*?)^```$/msg;
my ($socket_unit, $service_unit, $page) = @file{ '/etc/systemd/system/web.socket', '/etc/systemd/system/web.service', 'web/page' };
ok($socket_unit && $service_unit && $page, 'the guide has both units and the page') or BAIL_OUT('no units');

# What differs from machine to machine.
my $server = command('sslserver');
like($service_unit, qr{^ExecStart=/usr/local/bin/sslserver .* fd:3 0 }m, 'the service serves descriptor 3');
$service_unit =~ s{/usr/local/bin/sslserver}{$server};
$service_unit =~ s{^(WorkingDirectory=).*}{$1 . temporary()}me;

subtest 'systemd-analyze verify' => sub {
	my $verify = sub {
		my ($name, $socket, $service) = @_;
		my $folder = temporary($name);
		mkdir $folder, 0755 or die "$folder: $!";
		my @units = (spew("$folder/web.socket", $socket), spew("$folder/web.service", $service));
		my $result = run({ timeout => 60 }, 'systemd-analyze', 'verify', '--man=no', @units);
		my @said = grep { m{\bweb\.(?:socket|service)\b} } split /\n/, $result->{err};    # not what it says of units of the system
		return ($result->{exit}, join "\n", @said);
	};
	my ($exit, $said) = $verify->('units', $socket_unit, $service_unit);
	is($said, '', 'nothing is said of the units');
	is($exit, 0, 'exit 0');
	(undef, $said) = $verify->('unknown', $socket_unit, $service_unit =~ s/KillMode=/KilMode=/r);
	like($said, qr/KilMode/, 'of a wrong name something is');
	(undef, $said) = $verify->('value', $socket_unit =~ s/443/443x:/r, $service_unit);
	isnt($said, '', 'and of a wrong address');
};

# ExecStart under systemd-socket-activate, with the environment of the unit and nothing else; another prog if one is given.
sub activated {
	my (@prog) = @_;
	my %environment = $service_unit =~ /^Environment=(\w+)=(.*)$/mg;
	@environment{qw(CERTFILE KEYFILE)} = (file('server-rsa.pem'), file('server-rsa.key'));
	my ($line) = $service_unit =~ /^ExecStart=(.*)$/m;
	if ($< == 0) { $environment{SSL_USER} = 'daemon' }    # the guide's user need not exist
	else         { delete $environment{SSL_USER}; $line =~ s/ -[ug] \d+//g }
	my @words = split ' ', $line;
	splice @words, -1, 1, @prog if @prog;
	for (1 .. 5) {
		my $port = free_port();
		my $service = start({ before => sub { chdir temporary() or _exit(126) } }, 'systemd-socket-activate', '-l', "127.0.0.1:$port",
			'-E', 'LISTEN_ELSE=stays', (map { ('-E', "$_=$environment{$_}") } sort keys %environment), @words);
		wait_until(sub { BearTls::listening_port($service->{pid}) == $port || !$service->running }, 5);
		$service->{port} = $port;
		return $service if $service->running;
	}
	return undef;
}

subtest 'systemd-socket-activate' => sub {
	spew(temporary('page'), $page);
	chmod 0755, temporary('page');
	my $service = activated() or BAIL_OUT('does not start');
	my $request = q(printf 'GET / HTTP/1.0\r\n\r\n' >&7; cat <&6);
	for (1 .. 2) {
		my $result = sslclient({}, ['127.0.0.1'], $service->{port}, 'sh', '-c', $request);
		like($result->{out}, qr/\AHTTP\/1\.0 200 OK\r\n.*\nHello 127\.0\.0\.1\n\z/s, "the page ($_)") or diag($result->{err}, $service->log);
	}
	ok($service->wait_for_log(qr/^sslserver: ok \d+ example\.org:127\.0\.0\.1:$service->{port} /m), 'and its line in the log');
	my $end = $service->stop;
	is($end && $end->{exit}, 0, 'SIGTERM: exit 0');
};

subtest 'environment' => sub {
	my $service = activated('/usr/bin/env') or BAIL_OUT('does not start');
	my $result = sslclient({}, ['127.0.0.1'], $service->{port}, 'sh', '-c', 'cat <&6');
	like($result->{out}, qr/^SSLREMOTEIP=127\.0\.0\.1$/m, 'prog is told of the connection');
	unlike($result->{out}, qr/^LISTEN_(?:PID|FDS|FDNAMES)=/m, 'and nothing of inherited sockets');
	like($result->{out}, qr/^LISTEN_ELSE=stays$/m, 'of which these are all');
	unlike($result->{out}, qr/^(?:CERTFILE|KEYFILE|SSL_USER)=/m, 'nor of the configuration');
	$service->stop;
};

done_testing;
