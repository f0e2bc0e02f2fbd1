#!/usr/bin/perl
# proxyrecv and proxysend: the header of the PROXY protocol in both versions, from raw sockets byte by byte and through whole chains.
# tests/full/proxy-header.t has real proxies.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Bear;
use BearTls;
use IO::Select;
use IO::Socket::IP;
use MIME::Base64;
use POSIX ();
use Test::More;
use Time::HiRes qw(sleep time);

$SIG{PIPE} = 'IGNORE';
delete $ENV{$_} for qw(PROXYRECV PROXYHEADER);

# ---- headers ----

my $signature = "\r\n\r\n\0\r\nQUIT\n";

# CRC-32C, from its polynomial.
sub crc32c {
	my $crc = 0xffffffff;
	for my $byte (unpack 'C*', $_[0]) {
		$crc ^= $byte;
		$crc = $crc & 1 ? ($crc >> 1) ^ 0x82f63b78 : $crc >> 1 for 1 .. 8;
	}
	return $crc ^ 0xffffffff;
}
is(crc32c('123456789'), 0xe3069283, 'the checksum of the test');

sub tlv { return pack('Cn/a*', @_) }
sub v2  { my ($command, $family, $rest) = @_; return $signature . pack('CCn/a*', $command, $family, $rest) }
sub v4  { return join('', map { pack 'C4', split /\./ } @_[0, 1]) . pack 'nn', @_[2, 3] }
my $addresses = v4('192.0.2.7', '198.51.100.1', 40000, 443);
my $addresses6 = pack('H32H32nn', '20010db8' . '0' x 23 . '7', '20010db8' . '0' x 23 . '1', 40000, 443);

# With a checksum that is right (or wrong by so much) behind everything.
sub v2_checked {
	my ($family, $rest, $wrong) = @_;
	my $header = v2(0x21, $family, $rest . tlv(3, "\0\0\0\0"));
	substr($header, -4) = pack 'N', crc32c($header) ^ ($wrong || 0);
	return $header;
}

sub ssl { my ($client, $verify, @tlvs) = @_; return tlv(0x20, pack('CN', $client, $verify) . join '', @tlvs) }

# ---- a server behind a proxy ----

my $show = 'env; echo =====; cat';

sub rules {
	my ($text) = @_;
	my $path = temporary('rules' . int rand 1e9);
	my $made = run({ in => $text }, command('tcprules'), $path, "$path.tmp");
	die $made->{err} if $made->{exit};
	return $path;
}
my $proxies = rules("127.0.0.1:allow,PROXYRECV=\"1\"\n:allow\n");

sub server {
	my ($options, @link) = @_;
	return serve($options, command('tcpserver'), '-1vH', '-l', 'front', '-x', $proxies, '127.0.0.1', '0', command('proxyrecv'), '-T', '5', @link, 'sh', '-c', $show);
}
my $server = server({});

# What the program was told and what it read, as { variables, rest }; rest is undef if it did not run.
sub told {
	my ($bytes, $which) = @_;
	my $answer = ask(($which || $server)->{port}, $bytes);
	return { rest => undef } unless defined $answer && $answer =~ /^(.*?)=====\n(.*)\z/s;
	my %told = (rest => $2);
	my @lines = split /\n(?=\w+=)/, $1;
	/^(\w+)=(.*?)\n?\z/s and $told{$1} = $2 for @lines;
	return \%told;
}

# Is not let in, and the log says why.
sub refused {
	my ($bytes, $pattern, $name) = @_;
	wait_until(sub { $server->log =~ /.*^tcpserver: status: 0\//ms && $' !~ /^tcpserver: status: /m }, 10);    # the end of others is said
	my $before = length $server->log;
	is(told($bytes)->{rest}, undef, "$name: refused");
	my $said = wait_until(sub { substr($server->log, $before) =~ /^(proxyrecv: [^\n]*)\n.*?status (\d+)/sm ? [$1, $2] : undef }, 10) || ['', ''];
	like($said->[0], qr/^proxyrecv: error: 127\.0\.0\.1: step PROXY header: $pattern/, '... and why') or diag substr $server->log, $before;
	is($said->[1], 98 * 256, '... exit code 98');
}

subtest 'version 1' => sub {
	my $told = told("PROXY TCP4 192.0.2.7 198.51.100.1 40000 443\r\nPROXY and more\r\n");
	is($told->{rest}, "PROXY and more\r\n", 'nothing beyond the header is taken');
	is("@$told{qw(PROTO TCPREMOTEIP TCPREMOTEPORT TCPLOCALIP TCPLOCALPORT TCPLOCALHOST)}", 'TCP 192.0.2.7 40000 198.51.100.1 443 front', 'the variables');
	ok(!exists $told->{PROXYRECV}, 'PROXYRECV is gone');
	ok(!exists $told->{SSLREMOTEIP} && !exists $told->{TCP6REMOTEIP}, 'no sets that were not there');
	$told = told("PROXY TCP6 2001:DB8::7 2001:db8::1 1 65535\r\n");
	is("@$told{qw(PROTO TCPREMOTEIP TCP6REMOTEIP TCP6REMOTEPORT TCP6LOCALPORT)}", 'TCP6 2001:db8::7 2001:db8::7 1 65535', 'IPv6');
	$told = told("PROXY TCP6 ::ffff:192.0.2.7 ::ffff:c633:6401 1 2\r\n");
	is("@$told{qw(PROTO TCPREMOTEIP TCPLOCALIP)}", 'TCP 192.0.2.7 198.51.100.1', 'IPv4-mapped is TCP');
	for my $unknown ("PROXY UNKNOWN\r\n", "PROXY UNKNOWN ff:ff ff%x 1 2 3 4\r\n") {
		$told = told("${unknown}x");
		is("$told->{TCPREMOTEIP} $told->{rest}", '127.0.0.1 x', 'UNKNOWN: the connection is what it is');
		ok(!exists $told->{PROXYRECV}, '... and PROXYRECV is gone');
	}
	my $longest = 'PROXY UNKNOWN ' . 'f' x (107 - 16) . "\r\n";
	is(told("${longest}x")->{rest}, 'x', 'the longest line');
	refused("x$longest" =~ s/^x(PROXY UNKNOWN )/$1f/r, 'too much', 'a longer one');
	my %bad = ("TCP4 1.2.3.4 1.2.3.4 1" => 'not two', "TCP4 1.2.3.4 1.2.3.4 1 2 3" => 'not two', "TCP4  1.2.3.4 1.2.3.4 1 2" => 'not two',
		"TCP4 1.2.3.4 1.2.3 1 2" => 'an address', "TCP4 ::1 ::1 1 2" => 'an address', "TCP6 1.2.3.4 1.2.3.4 1 2" => 'an address',
		"TCP6 [::1] ::1 1 2" => 'an address', "TCP6 fe80::1%lo ::1 1 2" => 'an address', "TCP4 1.2.3.4 1.2.3.4 01 2" => 'a port',
		"TCP4 192.0.2.07 1.2.3.4 1 2" => 'an address', "TCP4 1.2.3.4 00.2.3.4 1 2" => 'an address', "TCP4 1.2.3.4 1.2.3.4 1 65536" => 'a port', "TCP4 1.2.3.4 1.2.3.4 -1 2" => 'a port', "TCP4 1.2.3.4 1.2.3.4  2" => 'a port',
		"TCP4 1.2.3.4 1.2.3.4 1 " => 'a port', "UDP4 1.2.3.4 1.2.3.4 1 2" => 'neither TCP4', "UNKNOWNS" => 'neither TCP4', "TCP4" => 'neither TCP4',
		"" => 'neither TCP4', "TCP4 1.2.3.4 1.2.3.4 1 2\0" => 'a line that', "TCP4 1.2.3.4\r 1.2.3.4 1 2" => 'a line that');
	refused("PROXY $_\r\n", $bad{$_}, $_ =~ s/[^ -~]/?/gr) for sort keys %bad;
	refused("PROXY TCP4 1.2.3.4 1.2.3.4 1 2\n", 'a line that', 'LF alone');
	refused("PROXY TCP4 1.2.3.4", 'the peer has closed', 'half a line');
	refused("proxy TCP4 1.2.3.4 1.2.3.4 1 2\r\n", 'expected PROXY or the signature of version 2, got: proxy ', 'small letters');
	refused("GET / HTTP/1.0\r\n\r\n", 'expected PROXY or the signature of version 2, got: GET / ', 'HTTP');
	refused("\x16\x03\x01\x00\xff\x01x", 'expected PROXY or the signature of version 2, got: \?\?\?\?\?\?', 'TLS, its bytes not in the log');
};

subtest 'version 2' => sub {
	my $told = told(v2(0x21, 0x11, $addresses) . 'and more');
	is($told->{rest}, 'and more', 'nothing beyond the header is taken');
	is("@$told{qw(PROTO TCPREMOTEIP TCPREMOTEPORT TCPLOCALIP TCPLOCALPORT TCPLOCALHOST)}", 'TCP 192.0.2.7 40000 198.51.100.1 443 front', 'the variables');
	$told = told(v2(0x21, 0x21, $addresses6));
	is("@$told{qw(PROTO TCPREMOTEIP TCP6REMOTEIP TCP6LOCALIP TCP6REMOTEPORT)}", 'TCP6 2001:db8::7 2001:db8::7 2001:db8::1 40000', 'IPv6');
	$told = told(v2(0x21, 0x21, pack 'H32H32nn', ('0' x 20 . 'ffffc0000207') x 2, 1, 2));
	is("@$told{qw(PROTO TCPREMOTEIP)}", 'TCP 192.0.2.7', 'IPv4-mapped is TCP');
	is(told(v2(0x21, 0x11, $addresses . tlv(0x30, 'ns') . tlv(4, '') . tlv(0xee, 'x' x 60000)) . 'x')->{rest}, 'x', 'unknown TLVs, and 60 kB of them');
	my %own = ('LOCAL' => v2(0x20, 0, ''), 'LOCAL with things to ignore' => v2(0x20, 0x11, "$addresses\xff\xff\xff"), 'UNSPEC' => v2(0x21, 0, ''),
		'UNIX' => v2(0x21, 0x31, 'x' x 216));
	for my $name (sort keys %own) {
		$told = told("$own{$name}x");
		is(($told->{TCPREMOTEIP} || '') . " $told->{rest}", '127.0.0.1 x', "$name: the connection is what it is");
	}
	my %bad = ('a wrong signature' => [($signature =~ s/QUIT/QUIR/r) . "\x21\x11\0\0", 'no header'], 'version 1 in binary' => [v2(0x11, 0x11, $addresses), 'neither version 2'],
		'an unknown command' => [v2(0x22, 0x11, $addresses), 'neither version 2'], 'UDP' => [v2(0x21, 0x12, $addresses), 'a family'],
		'an unknown family' => [v2(0x21, 0x41, $addresses), 'a family'], 'short addresses' => [v2(0x21, 0x11, substr $addresses, 1), 'too short'],
		'short IPv6 addresses' => [v2(0x21, 0x21, $addresses), 'too short'], 'half a TLV' => [v2(0x21, 0x11, "$addresses\x01\0"), 'a TLV that is longer'],
		'a TLV beyond the header' => [v2(0x21, 0x11, $addresses . "\x01\0\x05abcd"), 'a TLV that is longer than the header'],
		'an end in the header' => [substr(v2(0x21, 0x11, $addresses), 0, 20), 'the peer has closed'], 'an end in the signature' => [substr($signature, 0, 8), 'the peer has closed'],
		'a TLV twice' => [v2(0x21, 0x11, $addresses . tlv(1, 'h2') x 2), 'a TLV that is there twice'], 'an empty TLV' => [v2(0x21, 0x11, $addresses . tlv(2, '')), 'an empty TLV']);
	refused($bad{$_}[0], $bad{$_}[1], $_) for sort keys %bad;
};

subtest 'checksums' => sub {
	is(told(v2_checked(0x11, $addresses) . 'x')->{rest}, 'x', 'right');
	is(told(v2_checked(0x21, $addresses6 . tlv(1, 'h2')) . 'x')->{SSL_ALPN}, 'h2', 'right, over more');
	refused(v2_checked(0x11, $addresses, 1), 'a checksum that is wrong', 'wrong');
	refused(v2(0x21, 0x11, $addresses . tlv(3, 'abc')), 'a checksum that is wrong', 'too short');
	my $long = v2(0x21, 0x11, $addresses . tlv(3, "\0" x 8));
	substr($long, -8, 4) = pack 'N', crc32c($long);
	refused($long, 'a checksum that is wrong', 'too long');
	refused(v2(0x21, 0x11, $addresses . tlv(3, "\0\0\0\0") x 2), 'a TLV that is there twice', 'two');
};

subtest 'TLS of the proxy' => sub {
	my $der = decode_base64(join '', grep { !/---/ } split /^/, slurp(file('client.pem')));
	my @words = (tlv(0x21, 'TLSv1.3'), tlv(0x23, 'TLS_AES_256_GCM_SHA384'));
	my $told = told(v2_checked(0x11, $addresses . tlv(1, 'http/1.1') . tlv(2, 'WWW.Example.test') . ssl(7, 0, @words, tlv(0x22, "Test \\ \xc3\xa9"))));
	is("@$told{qw(SSL_ALPN SSL_TLS_SNI_SERVERNAME SSL_PROTOCOL SSL_CIPHER SSL_CLIENT_VERIFY)}",
		'http/1.1 www.example.test TLSv1.3 TLS_AES_256_GCM_SHA384 SUCCESS', 'application protocol, name, version, cipher, verdict');
	is($told->{SSL_CLIENT_S_DN_CN}, 'Test \\\\ \\C3\\A9', 'the common name, made fit');
	is(told(v2(0x21, 0x11, $addresses . ssl(3, 0, @words, tlv(0x22, "a\0b\nPATH=x\x7f~\x1f "))))->{SSL_CLIENT_S_DN_CN}, 'a\\00b\\0APATH=x\\7F~\\1F ', '... without NUL, newline or DEL');
	$told = told(v2(0x21, 0x11, $addresses . ssl(3, 0, @words, tlv(0x28, $der))));
	is("$told->{SSL_CLIENT_S_DN_CN} $told->{SSL_CLIENT_SAN_Email_0}", 'Test Client client@example.test', 'a certificate, taken apart');
	is($told->{SSL_CLIENT_CERT} =~ s/\s+\z//r, slurp(file('client.pem')) =~ s/.*?(?=-----BEGIN)//sr =~ s/\s+\z//r, '... and whole');
	is(told(v2(0x21, 0x11, $addresses . ssl(1, 1, @words)))->{SSL_CLIENT_VERIFY}, 'NONE', 'no certificate');
	is(told(v2(0x21, 0x11, $addresses . ssl($_, 0, @words)))->{SSL_CLIENT_VERIFY}, 'SUCCESS', "a certificate, by flags of $_") for 3, 5;
	like(told(v2(0x21, 0x11, $addresses . ssl(3, $_, @words)))->{SSL_CLIENT_VERIFY}, qr/^FAILED:/, "a bad one: $_") for 18, 1 << 16;
	$told = told(v2(0x21, 0x11, $addresses . ssl(0, 0, @words)));
	ok(!exists $told->{SSL_PROTOCOL} && !exists $told->{SSL_CLIENT_VERIFY}, 'no TLS after all');
	is(told(v2(0x21, 0x11, $addresses . tlv(2, '192.0.2.1')))->{SSL_TLS_SNI_SERVERNAME}, undef, 'an address is no server name');
	my $stale = server({ env => { SSL_PROTOCOL => 'stale', SSL_CLIENT_CERT => 'stale' } });
	$told = told("PROXY TCP4 192.0.2.7 198.51.100.1 40000 443\r\n", $stale);
	is("$told->{TCPREMOTEIP} " . join(' ', grep { /^SSL_/ } keys %$told), '192.0.2.7 ', 'what was said before of TLS is gone');
	my %bad = ('a name' => [tlv(2, "a\nb"), 'an authority'], 'a name with a blank' => [tlv(2, 'a b'), 'an authority'], 'a long name' => [tlv(2, 'a.' x 127 . 'a'), 'an authority'],
		'a protocol' => [tlv(1, "h2\n"), 'an application protocol'], 'a protocol with NUL' => [tlv(1, "h2\0"), 'an application protocol'], 'a version' => [ssl(1, 1, tlv(0x21, "TLS\n")), 'a version'],
		'a cipher' => [ssl(1, 1, tlv(0x23, "AES\0")), 'a cipher'], 'a common name' => [ssl(3, 0, tlv(0x22, 'x' x 256)), 'a common name'], 'a certificate' => [ssl(3, 0, tlv(0x28, 'x' . $der)), 'a certificate'],
		'a long protocol' => [tlv(1, 'x' x 256), 'an application protocol'], 'SSL too short' => [tlv(0x20, "\1\0\0\0"), 'a TLV of SSL'],
		'TLVs in SSL' => [tlv(0x20, "\1\0\0\0\0\x21\0\x09TLS"), 'a TLV that is longer than the one around it'], 'a version twice' => [ssl(1, 1, @words, $words[0]), 'a TLV that is there twice']);
	refused(v2(0x21, 0x11, $addresses . $bad{$_}[0]), $bad{$_}[1], $_) for sort keys %bad;
};

subtest 'in pieces, late, and not at all' => sub {
	for my $header ("PROXY TCP4 192.0.2.7 198.51.100.1 40000 443\r\n", v2_checked(0x11, $addresses . tlv(2, 'a.test'))) {
		my $socket = connect_to($server->{port});
		$socket->setsockopt(Socket::IPPROTO_TCP(), Socket::TCP_NODELAY(), 1);
		for my $byte (split //, $header) { syswrite $socket, $byte; sleep 0.002 }
		syswrite $socket, 'x';
		$socket->shutdown(1);
		like(read_all($socket), qr/^TCPREMOTEIP=192\.0\.2\.7\n.*=====\nx\z/ms, 'byte by byte');
	}
	my $hasty = serve(command('tcpserver'), '-1vH', '-x', $proxies, '127.0.0.1', '0', command('proxyrecv'), '-T', '1', 'sh', '-c', $show);
	my $socket = connect_to($hasty->{port});
	syswrite $socket, 'PROXY TCP4 192.0.2.7 198.51';
	my $began = time;
	is(read_all($socket, 8), '', 'a header that does not end');
	ok(time - $began < 6, '... ends the connection in time');
	ok($hasty->wait_for_log(qr/^proxyrecv: error: 127\.0\.0\.1: step PROXY header: time is up$/m), '... with a line');
	my $before = length $server->log;
	$socket = connect_to($server->{port});
	syswrite $socket, ($signature =~ s/QUIT/QUIR/r) . "\x21\x11\xff\xff";
	ok(wait_until(sub { substr($server->log, $before) =~ /no header of the PROXY protocol/ }, 4), 'nothing is waited for behind a wrong signature');
};

subtest 'only where a rule says so' => sub {
	my $elsewhere = serve(command('tcpserver'), '-1vH', '-x', rules("127.0.0.2:allow,PROXYRECV=\"1\"\n:allow\n"), '127.0.0.1', '0', command('proxyrecv'), 'sh', '-c', $show);
	my $told = told("PROXY TCP4 192.0.2.7 198.51.100.1 40000 443\r\n", $elsewhere);
	is($told->{rest}, "PROXY TCP4 192.0.2.7 198.51.100.1 40000 443\r\n", 'without PROXYRECV it is not taken');
	is($told->{TCPREMOTEIP}, '127.0.0.1', '... nor believed');
	for my $off ('', '0') {
		my $result = run({ env => { PROXYRECV => $off }, in => 'PROXY' }, command('proxyrecv'), 'sh', '-c', 'cat; echo "${PROXYRECV-unset}"');
		is($result->{out}, "PROXYunset\n", "PROXYRECV=$off: as if it was not there, and removed");
	}
	my $result = run({ env => { PROXYRECV => 'yes' } }, command('proxyrecv'), 'true');
	is($result->{exit}, 96, 'PROXYRECV=yes: exit code');
	like($result->{err}, qr/^proxyrecv: fatal: unable to use PROXYRECV yes: neither 0 nor 1$/, '... and words');
	$result = run({ env => { PROXYRECV => 1 }, in => "PROXY TCP4 192.0.2.7 198.51.100.1 40000 443\r\nrest" }, command('proxyrecv'), 'sh', '-c', 'echo "$PROTO $TCPREMOTEIP"; cat');
	is($result->{out}, "TCP 192.0.2.7\nrest", 'no socket and no description: a file');
	$result = run({ env => { PROXYRECV => 1 }, in => 'rubbish' }, command('proxyrecv'), 'true');
	like($result->{err}, qr/^proxyrecv: error: unknown: step/, '... whose faults are those of unknown');
	$result = run({ env => { PROXYRECV => 1 }, before => sub { POSIX::dup2(POSIX::open('/', POSIX::O_RDONLY()), 0) } }, command('proxyrecv'), 'true');
	is($result->{exit}, 111, 'what cannot be read: exit code');
	like($result->{err}, qr/^proxyrecv: fatal: unable to talk with the peer: Is a directory$/, '... and words');
	is(run(command('proxyrecv'))->{exit}, 100, 'no prog');
	is(run(command('proxyrecv'), '-T', '0', 'true')->{exit}, 100, '-T 0');
	is(run(command('proxyrecv'), '/nowhere')->{exit}, 111, 'a prog that is not there');
};

subtest 'before TLS' => sub {
	my $tls = serve({ env => pair('server-p256') }, command('tcpserver'), '-1vH', '-x', $proxies, '127.0.0.1', '0', command('proxyrecv'), command('tlsd'), 'sh', '-c', 'read x; env');
	my $client = run({ env => { CAFILE => file('root.pem'), PROXYHEADER => undef }, in => "x\n" }, command('tcpclient'), '-H', '127.0.0.1', $tls->{port},
		'sh', '-c', 'printf "PROXY TCP4 192.0.2.7 198.51.100.1 40000 443\r\n" >&7; exec "$@"', 'sh', command('tlsc'), '-k', 'localhost', 'sh', '-c', 'echo x >&7; cat <&6');
	like($client->{out}, qr/^TCPREMOTEIP=192\.0\.2\.7$/m, 'the address is the proxy\'s client\'s') or diag $client->{err}, $tls->log;
	like($client->{out}, qr/^SSL_PROTOCOL=TLSv1/m, 'TLS is our own');
	my $header = v2(0x21, 0x11, $addresses . tlv(1, 'h9') . tlv(2, 'proxy.test') . ssl(7, 0, tlv(0x21, 'TLSv9'), tlv(0x22, 'me')));
	$client = run({ env => { CAFILE => file('root.pem'), HEADER => unpack 'H*', $header }, in => "x\n" }, command('tcpclient'), '-H', '127.0.0.1', $tls->{port},
		'perl', '-e', 'BEGIN { $^F = 7 } open my $to, ">&=", 7; syswrite $to, pack "H*", $ENV{HEADER}; exec @ARGV', command('tlsc'), '-k', 'localhost', 'sh', '-c', 'echo x >&7; cat <&6');
	like($client->{out}, qr/^SSL_TLS_SNI_SERVERNAME=localhost$/m, 'the name, too') or diag $client->{err}, $tls->log;
	unlike($client->{out}, qr/^SSL_(?:CLIENT|ALPN)|TLSv9/m, 'nothing is left of the TLS that the proxy has');
};

# The environment behind proxyrecv with this header on a socket, and PROXYRECV set; no more of the connection than that.
sub taken {
	my ($env, $header) = @_;
	my $result = run({ in => $header, env => { PROXYRECV => 1, PROTO => undef, %$env } }, command('proxyrecv'), 'sh', '-c', 'env | grep -E "^(PROTO|TCP|SSL[LR])" | sort');
	return $result->{out} || $result->{err};
}

subtest 'what was known of the proxy' => sub {
	my $header = "PROXY TCP4 192.0.2.7 198.51.100.1 40000 443\r\n";
	my $described = sub { my ($set) = @_; return ("${set}REMOTEIP" => '127.0.0.1', "${set}REMOTEPORT" => 1, "${set}LOCALIP" => '127.0.0.1', "${set}LOCALPORT" => 2, "${set}LOCALHOST" => 'here') };
	my $says = sub { my ($set) = @_; return "${set}LOCALHOST=here\n${set}LOCALIP=198.51.100.1\n${set}LOCALPORT=443\n${set}REMOTEIP=192.0.2.7\n${set}REMOTEPORT=40000\n" };
	my %names = (TCPREMOTEHOST => 'proxy.test', TCPREMOTEINFO => 'joe');
	is(taken({ PROTO => 'TCP', $described->('TCP'), %names }, $header), "PROTO=TCP\n" . $says->('TCP'), 'its name and its user are gone');
	is(taken({ PROTO => 'SSL', $described->('SSL'), SSLREMOTEHOST => 'proxy.test', SSLREMOTEINFO => 'joe' }, $header), "PROTO=SSL\n" . $says->('SSL'), 'SSL variables');
	is(taken({ PROTO => 'TCP', $described->('TCP'), $described->('SSL') }, $header), "PROTO=TCP\n" . $says->('SSL') . $says->('TCP'), 'both sets');
	is(taken({ PROTO => 'TCP6', (map { $described->($_) } 'TCP', 'TCP6'), TCP6INTERFACE => 'lo' }, $header), "PROTO=TCP\n" . $says->('TCP'), 'an interface is gone with IPv6');
	my $bare = serve({ env => { PROXYRECV => 1 } }, command('tcpserver'), '-1H', '127.0.0.1', '0', 'env', map({ ('-u', $_) } 'PROTO', 'TCPREMOTEIP'), command('proxyrecv'), 'true');
	ask($bare->{port}, 'rubbish');
	ok($bare->wait_for_log(qr/^proxyrecv: error: 127\.0\.0\.1: step PROXY header/m), 'what nothing describes is asked of the socket');
};

# How long a program that has nothing to do waits, by what it asks of the system; undef if that cannot be seen.
sub patience {
	my ($options, @command) = @_;
	my $trace = temporary('trace' . int rand 1e9);
	return undef if system 'strace -o /dev/null true 2>/dev/null';
	my $waiting = start($options, 'strace', '-o', $trace, '-e', 'trace=poll', @command);
	wait_until(sub { slurp($trace) =~ /poll\(/ }, 10);
	kill 'KILL', -$waiting->{pid};
	return slurp($trace) =~ /poll\(\[.*?\], 1, (\d+)/ ? $1 : 0;
}

# In the child: a socket on this descriptor that has nothing to read and no room to write; its other end, if it is not gone, on 9.
sub silent {
	my ($descriptor, $gone) = @_;
	socketpair my $here, my $there, Socket::AF_UNIX(), Socket::SOCK_STREAM(), 0 or POSIX::_exit(126);
	$here->blocking(0);
	1 while syswrite $here, 'x' x 65536;
	$here->blocking(1);
	POSIX::dup2(fileno $here, $descriptor);
	POSIX::dup2(fileno $there, 9) unless $gone;
}

subtest 'ten seconds' => sub {
	my $receives = patience({ env => { PROXYRECV => 1 }, before => sub { silent(0) } }, command('proxyrecv'), 'true');
	plan skip_all => 'no strace' unless defined $receives;
	ok($receives > 9000 && $receives <= 10000, "proxyrecv waits for 10 s ($receives ms)");
	my $sends = patience({ before => sub { silent(7) } }, command('proxysend'), '-l', 'true');
	ok($sends > 9000 && $sends <= 10000, "proxysend, too ($sends ms)");
};

# ---- proxysend ----

# The bytes that proxysend sends, made under such an environment.
sub sent {
	my ($env, @options) = @_;
	my $result = run({ env => { PROTO => 'TCP', TCPREMOTEIP => '192.0.2.7', TCPREMOTEPORT => 40000, TCPLOCALIP => '198.51.100.1', TCPLOCALPORT => 443, %$env } },
		command('proxysend'), @options, 'sh', '-c', 'exec "$@" 7>&1 >&2', 'sh', command('proxysend'), 'sh', '-c', 'printf "%s" "${PROXYHEADER-gone}" >&7');
	diag $result->{err} if $result->{exit};
	return $result->{out};
}

subtest 'proxysend' => sub {
	is(sent({}, '-p1'), "PROXY TCP4 192.0.2.7 198.51.100.1 40000 443\r\ngone", 'version 1, PROXYHEADER removed');
	is(sent({}, '-p'), v2(0x21, 0x11, $addresses) . 'gone', 'version 2');
	is(sent({}, '-p2c'), v2_checked(0x11, $addresses) . 'gone', 'with a checksum');
	my %six = (PROTO => 'TCP6', TCP6REMOTEIP => '2001:db8::7', TCP6REMOTEPORT => 40000, TCP6LOCALIP => '2001:db8::1', TCP6LOCALPORT => 443);
	is(sent(\%six, '-p1'), "PROXY TCP6 2001:db8::7 2001:db8::1 40000 443\r\ngone", 'IPv6, version 1');
	is(sent(\%six, '-p'), v2(0x21, 0x21, $addresses6) . 'gone', 'IPv6, version 2');
	my %ssl = (PROTO => 'SSL', map { ("SSL$_" => $six{"TCP6$_"}) } qw(REMOTEIP REMOTEPORT LOCALIP LOCALPORT));
	is(sent(\%ssl, '-p1'), "PROXY TCP6 2001:db8::7 2001:db8::1 40000 443\r\ngone", 'SSL variables');
	my %tls = (SSL_PROTOCOL => 'TLSv1.2', SSL_CIPHER => 'ECDHE-X', SSL_ALPN => 'h2', SSL_TLS_SNI_SERVERNAME => 'a.test');
	is(sent(\%tls, '-p'), v2(0x21, 0x11, $addresses . tlv(1, 'h2') . tlv(2, 'a.test') . ssl(1, 1, tlv(0x21, 'TLSv1.2'), tlv(0x23, 'ECDHE-X'))) . 'gone', 'TLS');
	is(sent(\%tls, '-pn'), v2(0x21, 0x11, $addresses) . 'gone', '-n: without');
	is(sent(\%tls, '-p1'), "PROXY TCP4 192.0.2.7 198.51.100.1 40000 443\r\ngone", 'nor in version 1');
	my ($pem) = slurp(file('client.pem')) =~ /(-----BEGIN.*)/s;
	my $der = decode_base64(join '', grep { !/---/ } split /^/, $pem);
	my $like = sub { my ($client, $verify, @more) = @_; v2(0x21, 0x11, $addresses . ssl($client, $verify, tlv(0x21, 'TLSv1.2'), @more)) . 'gone' };
	is(sent({ SSL_PROTOCOL => 'TLSv1.2', SSL_CLIENT_VERIFY => 'SUCCESS', SSL_CLIENT_S_DN_CN => 'me', SSL_CLIENT_CERT => $pem }, '-p'), $like->(7, 0, tlv(0x22, 'me'), tlv(0x28, $der)), 'a client\'s certificate');
	is(sent({ SSL_PROTOCOL => 'TLSv1.2', SSL_CLIENT_VERIFY => 'FAILED:x' }, '-p'), $like->(7, 1), '... a bad one');
	is(sent({ SSL_PROTOCOL => 'TLSv1.2', SSL_CLIENT_VERIFY => 'NONE' }, '-p'), $like->(1, 1), '... none');
	is(sent({ SSL_PROTOCOL => 'TLSv1.2', SSL_PEER_CERT_HASH => 'SHA256:x' }, '-p'), $like->(7, 0), '... and one in a short report');
	my %mixed = (TCPREMOTEIP => '192.0.2.7', TCPLOCALIP => '2001:db8::1');
	is(sent(\%mixed, '-p1'), "PROXY UNKNOWN\r\ngone", 'addresses of two families: version 1 has no words for them');
	is(sent(\%mixed, '-p'), v2(0x21, 0x21, pack('H32', '0' x 20 . 'ffffc0000207') . substr($addresses6, 16)) . 'gone', '... version 2 has IPv4-mapped ones');
	is(sent({ SSL_PROTOCOL => 'TLSv1.2', SSL_CIPHER => 'c' x 256, SSL_CLIENT_S_DN_CN => 'n' x 255 }, '-p'), $like->(1, 1, tlv(0x22, 'n' x 255)), 'a value of 255 bytes, and none of more');
	is(sent({ SSL_PROTOCOL => 'TLSv1.2', SSL_CLIENT_CERT => slurp(file('client.key')) }, '-p'), $like->(1, 1), 'what is no certificate is not sent');
	is(run({ before => sub { open STDERR, '>&', \*STDOUT; POSIX::dup2(1, 7) } }, command('proxysend'), '-l', 'true')->{out}, v2(0x20, 0, ''), '-l: LOCAL');
	is(run({ before => sub { POSIX::dup2(1, 7) } }, command('proxysend'), '-l1', 'true')->{out}, "PROXY UNKNOWN\r\n", '-l1: UNKNOWN');
};

subtest 'proxysend that cannot' => sub {
	my $seven = { before => sub { POSIX::dup2(1, 7) } };
	my @cases = ([96, $seven, qr/unable to send a header: there is none: run proxysend -p before tcpclient/, 'true'], [96, {}, qr/unable to describe the client: PROTO/, '-p', 'true'],
		[96, { env => { PROTO => 'TCP', TCPREMOTEIP => 'x' } }, qr/unable to describe the client: \$\{PROTO\}REMOTEIP/, '-p', 'true'],
		[100, {}, qr/descriptor 7 must be a connection/, '-l', 'true'], [100, {}, qr/exclude each other/, '-pl', 'true'], [100, $seven, qr/are for where the header is made/, '-c', 'true'],
		(map { [100, $seven, qr/are for where the header is made/, $_, 'true'] } '-1', '-2', '-n'), (map { [100, {}, qr/are for version 2/, $_, 'true'] } '-p1c', '-p1n'), [100, {}, qr/usage:/],
		[100, {}, qr/-T is for where the header is sent/, '-p', '-T', '5', 'true'], [100, $seven, qr/-n leaves nothing out with -l/, '-ln', 'true'],
		[98, { before => sub { silent(7) } }, qr/^proxysend: error: unknown: step PROXY header: time is up$/, '-l', '-T', '1', 'true'],
		[98, { before => sub { silent(7, 'gone') } }, qr/^proxysend: error: unknown: step PROXY header: the peer has closed the connection$/, '-l', 'true']);
	push @cases, [96, { %$seven, env => { PROXYHEADER => $_ } }, qr/unable to use PROXYHEADER: not what proxysend -p sets/, 'true'] for '', 'zz', '0', '00', unpack('H*', v2(0x21, 0x11, $addresses)) =~ s/.\z/g/r, unpack('H*', v2(0x21, 0x11, $addresses . tlv(0xee, 'x' x 59990))), unpack('H*', "PROXY TCP4\r\n"), unpack('H*', v2(0x20, 0, '')) . '00';
	for my $case (@cases) {
		my ($code, $options, $pattern, @arguments) = @$case;
		my $result = run($options, command('proxysend'), @arguments);
		is($result->{exit}, $code, "@arguments: exit code $code");
		like($result->{err}, $pattern, '... and words');
		is($result->{out}, '', '... and nothing is sent');
	}
	my $deaf = IO::Socket::IP->new(LocalHost => '127.0.0.1', LocalPort => 0, Listen => 1);
	my $late = run(command('tcpclient'), '-H', '127.0.0.1', $deaf->sockport, 'perl', '-e', 'use IO::Handle; BEGIN { $^F = 7 } open my $to, ">&=", 7; $to->blocking(0); 1 while syswrite $to, "x" x 65536; $to->blocking(1); exec @ARGV',
		command('proxysend'), '-l', '-T', '1', 'true');
	is($late->{exit}, 98, 'a server that does not read: exit code 98');
	like($late->{err}, qr/^proxysend: error: 127\.0\.0\.1: step PROXY header: time is up$/, '... and whose address it is');
	my $sent_certificate = sub {
		my ($bytes, $more) = @_;
		return run({ env => { PROTO => 'TCP', (map { ("TCP${_}IP" => '192.0.2.7', "TCP${_}PORT" => 1) } 'REMOTE', 'LOCAL'), SSL_PROTOCOL => 'TLSv1.2',
			SSL_CLIENT_CERT => "-----BEGIN CERTIFICATE-----\n" . encode_base64('x' x $bytes) . "-----END CERTIFICATE-----\n" } }, command('proxysend'), '-p' . ($more || ''), 'sh', '-c', 'echo ${#PROXYHEADER}');
	};
	my $long = $sent_certificate->(46000);
	ok($long->{out} > 92000 && !$long->{exit}, 'a long certificate fits') or diag $long->{err};
	$long = $sent_certificate->(60000);
	is($long->{exit}, 96, 'a longer one does not: exit code 96');
	like($long->{err}, qr/^proxysend: fatal: unable to keep the header: it is too long: leave the certificate out \(-n\)$/, '... and words');
	is($sent_certificate->(60000, 'n')->{exit}, 0, '... without it, it does');
	is($sent_certificate->(65508)->{exit}, 0, 'one for which no header has room is left out');
};

subtest 'through a whole chain' => sub {
	my $relay = ['perl', '-e', 'open my $to, ">&=7"; open my $from, "<&=6"; my $pid = fork;
		if ($pid) { while (sysread STDIN, $_, 65536) { syswrite $to, $_ } shutdown $to, 1; waitpid $pid, 0 }
		else { while (sysread $from, $_, 65536) { syswrite STDOUT, $_ } }'];
	for my $way (['-p'], ['-pc'], ['-p1']) {
		my $front = sslserver({ pair => 'server-p256' }, ['-eH'], command('proxysend'), @$way, command('tcpclient'), '-H', '127.0.0.1', $server->{port}, command('proxysend'), @$relay);
		my $client = sslclient({}, ['-e', 'localhost'], $front->{port}, 'sh', '-c', 'echo "$TCPLOCALPORT"; echo hello >&7; exec 7>&-; cat <&6');
		my ($port) = $client->{out} =~ /^(\d+)$/m;
		like($client->{out}, qr/^TCPREMOTEPORT=$port$/m, "@$way: the backend sees the client") or diag $client->{err}, $front->log;
		like($client->{out}, qr/=====\nhello\n\z/, '... and what it says');
		ok(!$client->{timed_out}, '... to the end');
		like($client->{out}, $way->[0] eq '-p1' ? qr/\A(?:(?!SSL_PROTOCOL).)*\z/s : qr/^SSL_TLS_SNI_SERVERNAME=localhost$/m, '... and what it is told of TLS');
	}
};

done_testing;
