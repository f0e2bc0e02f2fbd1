#!/usr/bin/perl
# sockopt: each option on a real socket, as the system then says; before bind, with the client's address as the source in a namespace.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Bear;
use Socket qw(:all);
use Test::More;

delete $ENV{SOCKOPT};

# What getsockopt says of descriptor $fd, as numbers: a program that shows them.
my @show = ('perl', '-MSocket', '-e', 'my ($fd, @options) = @ARGV; open my $s, "+<&=", $fd or die "$!"; my @said;
	while (my ($level, $option) = splice @options, 0, 2) { my $v = getsockopt $s, $level, $option; push @said, defined $v ? join ":", unpack "i*", $v : "?$!" } print "@said\n"');

# Levels and numbers as in the headers of Linux.
my ($tcp, $ip) = (6, 0);
my %known = (keepalive => [SOL_SOCKET, SO_KEEPALIVE], linger => [SOL_SOCKET, SO_LINGER], oobinline => [SOL_SOCKET, SO_OOBINLINE], rcvbuf => [SOL_SOCKET, SO_RCVBUF],
	sndbuf => [SOL_SOCKET, SO_SNDBUF], reuseport => [SOL_SOCKET, SO_REUSEPORT], nodelay => [$tcp, 1], keepidle => [$tcp, 4], keepintvl => [$tcp, 5], keepcnt => [$tcp, 6],
	usertimeout => [$tcp, 18], tos => [$ip, 1], mark => [SOL_SOCKET, 36], transparent => [$ip, 19], freebind => [$ip, 15],
	tos6 => [41, 67], transparent6 => [41, 75], freebind6 => [41, 78]);

sub said_on_server {
	my ($options, $settings, @names) = @_;
	my $host = $options->{host} || '127.0.0.1';
	my $server = serve(command('tcpserver'), '-1dH', $host, '0', command('sockopt'), @{ $options->{letters} || [] }, $settings, @show, 0, map { @{ $known{$_} } } @names);
	my $said = ask($server->{port}, '', $host);
	chomp $said;
	return length $said ? $said : $server->log;
}

subtest 'on a server' => sub {
	my @cases = (['keepalive', 'keepalive', '1'], ['keepalive=0', 'keepalive', '0'], ['keepalive,keepidle=61,keepintvl=7,keepcnt=3', 'keepalive keepidle keepintvl keepcnt', '1 61 7 3'],
		['linger=5', 'linger', '1:5'], ['linger=0', 'linger', '1:0'], ['linger=off', 'linger', '0:0'], ['oobinline', 'oobinline', '1'], ['rcvbuf=20000', 'rcvbuf', '40000'],
		['sndbuf=30000', 'sndbuf', '60000'], ['nodelay', 'nodelay', '1'], ['usertimeout=30000', 'usertimeout', '30000'], ['tos=16', 'tos', '16'], ['reuseport', 'reuseport', '1'], ['freebind', 'freebind', '1']);
	push @cases, ['mark=77', 'mark', '77'], ['transparent', 'transparent', '1'] if $> == 0;
	for my $case (@cases) {
		my ($settings, $names, $value) = @$case;
		is(said_on_server({}, $settings, split / /, $names), $value, $settings);
	}
	for my $name ('tos', 'freebind', $> == 0 ? 'transparent' : ()) {
		my $value = $name eq 'tos' ? 16 : 1;
		is(said_on_server({ host => '::1' }, "$name=$value", "${name}6"), $value, "$name of IPv6");
	}
	is(said_on_server({}, 'reuseport=0', 'keepalive', 'linger', 'oobinline', 'nodelay', 'usertimeout'), '0 0:0 0 0 0', 'what is not set is off');
	is(said_on_server({ letters => ['-d', '1'] }, 'keepalive', 'keepalive'), '1', '-d');
};

subtest 'on a client' => sub {
	my $server = serve(command('tcpserver'), '-1H', '127.0.0.1', '0', 'cat');
	my @tcp = (command('tcpclient'), '-dH', '127.0.0.1', $server->{port});
	is(run(@tcp, command('sockopt'), '-c', 'keepalive,linger=3', @show, 6, map { @{ $known{$_} } } qw(keepalive linger))->{out}, "1 1:3\n", '-c: descriptor 6');
	is(run(command('sockopt'), '-b', 'keepalive', command('sockopt'), '-b', 'sndbuf=30000', @tcp, 'sh', '-c', 'echo "${SOCKOPT-gone}"; exec "$@"', 'sh', @show, 6,
		map { @{ $known{$_} } } qw(keepalive sndbuf))->{out}, "gone\n1 60000\n", '-b twice, before tcpclient, and SOCKOPT is removed');
	is(run(command('sockopt'), '-b', 'keepalive', command($_), '-dH', '127.0.0.1', $server->{port}, '127.0.0.1', $server->{port}, '--', 'sh', '-c', 'echo "${SOCKOPT-gone}"; exec "$@"', 'sh', @show, 6, @{ $known{keepalive} })->{out},
		"gone\n1\n", "-b before $_") for 'tcprr', 'tcpprio';
	is(run({ env => { SOCKOPT => '' } }, @tcp, 'sh', '-c', 'echo "${SOCKOPT-gone}"')->{out}, "gone\n", 'an empty SOCKOPT asks for nothing');
	my $once = serve(command('sockopt'), '-b', 'keepalive', command('tcponce'), '-1dH', '127.0.0.1', '0', 'sh', '-c', 'echo "${SOCKOPT-gone}" >&7; exec "$@" >&7', 'sh', @show, 6, @{ $known{keepalive} });
	is(ask($once->{port}, ''), "gone\n1\n", '-b before tcponce');
	is(run(command('tcpclient'), '-H', '-i', '127.0.0.9', '127.0.0.1', $server->{port}, 'sh', '-c', 'echo "$TCPLOCALIP"')->{out}, "127.0.0.9\n", 'an address of this machine as source is -i');
};

subtest 'before bind' => sub {
	for my $program ('tcpserver', 'sslserver') {
		my $server = serve({ env => { CERTFILE => file('server-p256.pem'), KEYFILE => file('server-p256.key') } }, command('sockopt'), '-b', 'keepalive,rcvbuf=20000', command($program), '-1vH', '127.0.0.1', '0',
			'sh', '-c', 'echo "${SOCKOPT-gone}"; exec "$@"', 'sh', @show, 0, map { @{ $known{$_} } } qw(keepalive rcvbuf));
		next if !ok($server->{port}, "$program listens") || $program eq 'sslserver';
		is(ask($server->{port}, ''), "gone\n1 40000\n", '... and its connections have them');
	}
	my $first = serve(command('sockopt'), '-b', 'reuseport', command('tcpserver'), '-1H', '127.0.0.1', '0', 'cat');
	my $second = serve(command('sockopt'), '-b', 'reuseport', command('tcpserver'), '-1H', '127.0.0.1', $first->{port}, 'cat');
	is($second->{port}, $first->{port}, 'two listeners on a port');
	my $result = run(command('tcpserver'), '-1H', '127.0.0.1', $first->{port}, 'cat');
	is($result->{exit}, 111, '... not without reuseport');
	for my $program (['tcpserver', '127.0.0.1', '0'], ['tcpclient', '127.0.0.1', $first->{port}], ['tcprr', '127.0.0.1', $first->{port}, '127.0.0.1', $first->{port}, '--'],
		['tcponce', '127.0.0.1', '0']) {
		my ($name, @operands) = @$program;
		$result = run({ env => { SOCKOPT => 'nonsense' } }, command($name), @operands, 'true');
		is($result->{exit}, 96, "$name: a SOCKOPT that is not understood");
		like($result->{err}, qr/^$name: fatal: unable to use SOCKOPT: nonsense: there is no option of that name$/, '... is named');
		$result = run({ env => { SOCKOPT => 'bindtodevice=nothere0' } }, command($name), @operands, 'true');
		is($result->{exit}, 111, "$name: one that cannot be had");
		like($result->{err}, qr/^$name: fatal: unable to set SOCKOPT.*: bindtodevice: No such device$/, '... is named');
	}
};

subtest 'usage' => sub {
	my %bad = ('nonsense' => 'there is no option of that name', '' => 'there is no option of that name', 'keepalive,' => 'there is no option of that name', 'keepalive=2' => 'needs a number up to 1', 'keepidle' => 'needs a number up to 32767',
		'keepidle=' => 'needs a number', 'keepidle=32768' => 'needs a number', 'keepidle=-1' => 'needs a number', 'keepidle=1x' => 'needs a number', 'linger' => 'needs off or a number', 'linger=on' => 'needs off or a number',
		'bindtodevice' => 'needs the name of an interface', 'bindtodevice=' . 'x' x 16 => 'needs the name of an interface', 'keepalive,' x 200 . 'keepalive' => 'too long');
	for my $settings (sort keys %bad) {
		my $result = run(command('sockopt'), $settings, 'true');
		is($result->{exit}, 100, 'refused: ' . substr $settings, 0, 30);
		like($result->{err}, qr/^sockopt: fatal: [^\n]*: $bad{$settings}/, '... and why');
	}
	is(run(command('sockopt'), @$_, 'keepalive', 'true')->{exit}, 100, "@$_") for ['-bc'], ['-b', '-d', '0'], ['-c', '-d', '0'];
	is(run(command('sockopt'), '-b', 'nonsense', 'true')->{exit}, 100, '-b: settings are looked at, too');
	# One more than the highest, and the highest, which gets as far as to a descriptor that is no socket.
	my %highest = (keepidle => 32767, keepintvl => 32767, keepcnt => 127, usertimeout => 86400000, linger => 32767, rcvbuf => 1 << 30, sndbuf => 1 << 30, tos => 255, mark => 2147483647, nodelay => 1);
	for my $name (sort keys %highest) {
		is(run(command('sockopt'), "$name=" . ($highest{$name} + $_), 'true')->{exit}, $_ ? 100 : 111, "$name: " . ($_ ? 'too high' : 'the highest')) for 0, 1;
	}
	is(run(command('sockopt'), 'keepalive')->{exit}, 100, 'no prog');
	my $result = run(command('sockopt'), 'keepalive', 'true');
	is($result->{exit}, 111, 'no socket: exit code');
	like($result->{err}, qr/^sockopt: fatal: unable to set an option: keepalive: Socket operation on non-socket$/, '... and words');
	$result = run('perl', '-MSocket', '-e', 'socket my $s, AF_INET, SOCK_STREAM, 0 or die; open STDIN, "<&", $s or die; my $code = system(@ARGV) >> 8;
		print join " ", $code, map { unpack "i", getsockopt $s, SOL_SOCKET, $_ } SO_OOBINLINE, SO_KEEPALIVE', command('sockopt'), 'oobinline,keepidle=0,keepalive', 'true');
	like($result->{err}, qr/^sockopt: fatal: unable to set an option: keepidle: Invalid argument$/, 'a value that the system does not take, in words');
	is($result->{out}, '111 1 0', '... exit code, and settings before that one are set');
	my @without_rights = $> ? () : ('setpriv', '--bounding-set', '-net_admin,-net_raw');
	like(run(@without_rights, 'perl', '-MSocket', '-e', 'socket my $s, AF_INET, SOCK_STREAM, 0 or die; open STDIN, "<&", $s or die; exec @ARGV', command('sockopt'), 'mark=1', 'true')->{err},
		qr/^sockopt: fatal: unable to set an option: mark: Operation not permitted$/, 'what only root may set');
	is(run(command('sockopt'), '-b', 'keepalive', '/nowhere')->{exit}, 111, 'a prog that is not there');
};

subtest 'the client\'s address as the source' => sub {
	plan skip_all => 'not root' if $>;
	plan skip_all => 'no network namespaces here' if run('unshare', '-n', 'true')->{exit};
	my $script = <<'END';
set -e
ip link set lo up
ip addr add 10.9.9.9/32 dev lo
ip rule add to 192.0.2.0/24 lookup 100
ip route add local 192.0.2.0/24 dev lo table 100
mkfifo "$1/port"
"$2/tcpserver" -1H 10.9.9.9 0 sh -c 'echo "$TCPREMOTEIP"' >"$1/port" & server=$!
read -r port <"$1/port"
"$2/tcpclient" -H -i 192.0.2.7 10.9.9.9 "$port" sh -c 'cat <&6' || echo "not without: $?"
TCPREMOTEIP=192.0.2.7 "$2/sockopt" -b transparent sh -c 'exec "$0" -H -i "$TCPREMOTEIP" 10.9.9.9 "$1" sh -c "cat <&6"' "$2/tcpclient" "$port" || true
"$2/sockopt" -b transparent,bindtodevice=lo "$2/tcpclient" -H -i 192.0.2.8 10.9.9.9 "$port" sh -c 'cat <&6' || true
kill "$server"
wait "$server" || true
END
	my $dir = temporary('namespace');
	mkdir $dir;
	my $result = run({ timeout => 30 }, 'unshare', '-n', 'sh', '-c', $script, 'sh', $dir, command('tcpserver') =~ s{/[^/]*\z}{}r);
	like($result->{out}, qr/^not without: 111$/m, 'a foreign address cannot be had');
	like($result->{out}, qr/^192\.0\.2\.7$/m, 'transparent: the server sees the client') or diag $result->{err};
	like($result->{out}, qr/^192\.0\.2\.8$/m, '... bound to an interface, too');
};

done_testing;
