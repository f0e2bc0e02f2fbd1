#!/usr/bin/perl
# Lines of the manuals of sst and sslwrap under openbsd-inetd and xinetd, with tcpd in front, against openssl s_client.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Bear;
use BearTls;
use POSIX ();
use Test::More;

my $peers = "$FindBin::Bin/../../build/peers";
my ($inetd, $xinetd, $tcpd) = map { "$peers/$_" } 'openbsd-inetd/usr/sbin/inetd', 'xinetd/usr/sbin/xinetd', 'tcpd/usr/sbin/tcpd';
my ($uid, $gid) = $> == 0 ? (getpwnam 'nobody')[2, 3] : ($>, $( + 0);
my $user = getpwuid $uid;
my ($sst, $sslwrap) = map { command($_) } 'sst', 'sslwrap';
my $pem = spew(temporary('server.pem'), slurp(file('server-p256.pem')) . slurp(file('server-p256.key')));
my $imap = serve(command('tcpserver'), '-1', '127.0.0.1', '0', 'sh', '-c', 'echo "* OK"; read a; echo "imap $a"');
my $imapd = spew(temporary('imapd'), "#!/bin/sh\necho '* OK'; read a; echo \"imapd \$a\"; echo words >&2\n");
chmod 0755, $imapd;

# Each: words of inetd.conf behind the user, and what the client gets.
my %lines = (
	'sslwrap -port' => [[$tcpd, $sslwrap, '-cert', $pem, '-port', $imap->{port}], "* OK\nimap login\n"],
	'sslwrap -port -addr' => [[$tcpd, $sslwrap, '-cert', $pem, '-port', $imap->{port}, '-addr', '127.0.0.1'], "* OK\nimap login\n"],
	'sslwrap -exec' => [[$tcpd, $sslwrap, '-cert', $pem, '-exec', $imapd], "* OK\nimapd login\n"],
	'sslwrap alone' => [[$sslwrap, 'sslwrap', '-cert', $pem, '-port', $imap->{port}], "* OK\nimap login\n"],
	'sst -i -p' => [[$sst, 'sst', '-i', '-C', $pem, '-p', $imap->{port}], "* OK\nimap login\n"],
	'sst -i --' => [[$sst, 'sst', '-i', '-C', $pem, '--', '/bin/echo', 'fortune', '-l'], "fortune -l\n"],
	'sst behind tcpd' => [[$tcpd, $sst, '-i', '-C', $pem, '-p', $imap->{port}], "* OK\nimap login\n"],
	'a chain' => [[command('tlsd'), 'tlsd', command('tcpclient'), '-RHl0', '127.0.0.1', $imap->{port}, command('relay')], "* OK\nimap login\n"],
);
my @names = sort keys %lines;

sub free_ports {
	my @sockets = map { IO::Socket::IP->new(LocalHost => '127.0.0.1', LocalPort => 0, Listen => 1) } @_;
	return map { $_->sockport } @sockets;
}

sub inetd_conf { my ($ports) = @_; return join '', map { "127.0.0.1:$ports->{$_} stream tcp nowait $user @{ $lines{$_}[0] }\n" } @names }

sub xinetd_conf {
	my ($ports) = @_;
	my ($n, $text) = (0, "defaults\n{\n\tlog_type = FILE /dev/null\n}\n");
	for (@names) {
		# xinetd gives the path as argv[0] of what it runs, unless NAMEINARGS says that it stands with the arguments.
		my ($path, @words) = @{ $lines{$_}[0] };
		$text .= "service s" . $n++ . "\n{\n\ttype = UNLISTED\n\tsocket_type = stream\n\tprotocol = tcp\n\twait = no\n\tuser = $user\n\tbind = 127.0.0.1\n"
			. "\tport = $ports->{$_}\n\tflags = NAMEINARGS\n\tpassenv = PATH CERTFILE KEYFILE TLS_ENGINE\n\tserver = $path\n\tserver_args = @words\n}\n";
	}
	return $text;
}

sub as_nobody { if ($> == 0) { $( = $) = "$gid $gid"; POSIX::setuid($uid) } }

sub group {
	my ($server) = @_;
	return map { my ($pid, $name, $state, undef, $group) = slurp($_) =~ /\A(\d+) \((.*)\) (\S) (\d+) (\d+) /s; defined $group && $group == $server->{pid} ? $name : () } glob '/proc/[0-9]*/stat';
}

for my $case (['openbsd-inetd', $inetd, \&inetd_conf, ['-i', '-E', '-R', '1000']], ['xinetd', $xinetd, \&xinetd_conf, ['-dontfork', '-pidfile', temporary('xinetd.pid'), '-f']]) {
	my ($name, $program, $write, $options) = @$case;
	subtest $name => sub {
		plan skip_all => "no $name or tcpd (package/deps full)" unless -x $program && -x $tcpd && defined $user;
		my %ports;
		@ports{@names} = free_ports(@names);
		my $config = spew(temporary("$name.conf"), $write->(\%ports));
		my $server = start({ env => pair('server-p256'), before => \&as_nobody }, $program, @$options, $config);
		ok(wait_until(sub { my $socket = connect_to($ports{$names[0]}); $socket && close $socket }, 5), 'runs') or diag($server->log);
		for (@names) {
			for my $round (1, 2) {
				my $result = s_client({ in => "login\n" }, $ports{$_}, '-quiet');
				is($result->{out}, $lines{$_}[1], $_) or diag($result->{err}, $server->log);
			}
			my $rough = ask($ports{$_}, "GET / HTTP/1.0\r\n\r\n");
			like(unpack('H*', $rough // ''), qr/\A1503/, 'who speaks no TLS gets an alert and not a word') or diag($rough);
		}
		ok(wait_until(sub { (my @left = group($server)) == 1 }, 10), 'nothing is left') or diag(join ' ', group($server));
		$server->stop;
	};
}

subtest 'tcpd says no' => sub {
	plan skip_all => 'not root, or no inetd or tcpd' unless $> == 0 && -x $inetd && -x $tcpd;
	my @mount = ('unshare', '-m', 'sh', '-c', 'mount --bind "$1" /etc/hosts.deny && shift && exec setpriv --reuid "$1" --regid "$2" --clear-groups "$3" -i -E "$4"', 'sh');
	my $deny = spew(temporary('hosts.deny'), "sst: ALL\n");
	plan skip_all => 'no mounts here' unless -e '/etc/hosts.deny' && run(@mount[0 .. 3], 'mount --bind "$1" /etc/hosts.deny', 'sh', $deny)->{exit} == 0;
	my %ports;
	@ports{@names} = free_ports(@names);
	my $config = spew(temporary('denying.conf'), inetd_conf(\%ports));
	my $server = start({ env => pair('server-p256') }, @mount, $deny, $uid, $gid, $inetd, $config);
	ok(wait_until(sub { my $socket = connect_to($ports{$names[0]}); $socket && close $socket }, 5), 'runs') or diag($server->log);
	is(s_client({ in => "login\n" }, $ports{'sslwrap -port'}, '-quiet')->{out}, "* OK\nimap login\n", 'sslwrap may');
	is(ask($ports{'sst behind tcpd'}, "x\n") // '', '', 'sst may not: not a byte');
	$server->stop;
};

done_testing;
