#!/usr/bin/perl
# httpconnect and socks5: what they ask a proxy for, what they take for an answer, and TLS through them. tests/full/starttls.t has real
# proxies.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Bear;
use BearTls;
use IO::Select;
use IO::Socket::IP;
use MIME::Base64;
use Test::More;
use Time::HiRes qw(sleep time);

$SIG{PIPE} = 'IGNORE';

# A proxy that says what the script says: text is sent, a pattern has to come. Returns what has come, and the client's end.
sub scripted {
	my ($options, $program, $arguments, @script) = @_;
	my $listener = IO::Socket::IP->new(LocalHost => '127.0.0.1', LocalPort => 0, Listen => 1) or die;
	my $client = start({ env => { TLS_PEERNAME => undef, %{ $options->{env} || {} } }, before => $options->{before}, in => $options->{in} },
		command('tcpclient'), '127.0.0.1', $listener->sockport, command($program), '-T', $options->{seconds} || 20, @$arguments,
		@{ $options->{prog} || ['sh', '-c', 'printf "reached (%s) " "$TLS_PEERNAME"; cat <&6'] });
	my ($peer, $heard) = (undef, '');
	return { exit => undef, out => '', err => 'nobody connects' } unless IO::Select->new($listener)->can_read(20) && ($peer = $listener->accept);
	$peer->setsockopt(Socket::IPPROTO_TCP(), Socket::TCP_NODELAY(), 1);
	for my $step (@script) {
		if (ref $step) {
			my $deadline = time + 10;
			while ($heard !~ /$step\z/ && time < $deadline) {
				last unless IO::Select->new($peer)->can_read(10) && sysread $peer, my $byte, 1;
				$heard .= $byte;
			}
		} elsif ($options->{slowly}) {
			for my $byte (split //, $step) { syswrite $peer, $byte; sleep 0.002 }
		} else {
			syswrite $peer, $step;
		}
	}
	$peer->shutdown(1) unless $options->{hold};
	my $end = $client->wait_for_end(20);
	$client->stop unless $end;
	return { heard => $heard, exit => $end && $end->{exit}, out => slurp($client->{out}), err => $client->log };
}

my $empty_line = qr/\r\n\r\n/;

subtest 'usage' => sub {
	my $listener = IO::Socket::IP->new(LocalHost => '127.0.0.1', LocalPort => 0, Listen => 120);
	my @tcp = (command('tcpclient'), '127.0.0.1', $listener->sockport);
	for my $program ('httpconnect', 'socks5') {
		my @bad = (['host', '0', 'true'], ['host', '65536', 'true'], ['host', 'x y', 'true'], ["a\r\nb", '1', 'true'], ['a b', '1', 'true'], ['', '1', 'true'],
			['[::1]', '1', 'true'], ['::1::', '1', 'true'], ['a/b', '1', 'true'], ['a:1', '1', 'true'], ['x' x 256, '1', 'true'], ['host', '1'], ['-T', '0', 'host', '1', 'true'],
			['-A', '6', 'host', '1', 'true'], ['-A', '2', 'host', '1', 'true'], ['-A', 'x', 'host', '1', 'true'], ['-a', '/dev/null', '-A', '3', 'host', '1', 'true']);
		for my $bad (@bad) {
			(my $shown = "@$bad") =~ s/[^ -~]/?/g;
			is(run(@tcp, command($program), @$bad)->{exit}, 100, "$program " . substr $shown, 0, 40);
		}
		is(run(command($program), 'host', '1', 'true')->{exit}, 100, "$program without a connection");
		for my $bad ("user\n", "\n", "", "us\ter:x\n", 'u:' . 'x' x 511 . "\n") {
			my $result = run(@tcp, command($program), '-a', spew(temporary('bad'), $bad), 'host', '1', 'true');
			is($result->{exit}, 96, "$program: no user and password");
			unlike($result->{err}, qr/xxxx/, '... which is not said');
		}
		is(run(@tcp, command($program), '-a', '/nowhere', 'host', '1', 'true')->{exit}, 96, "$program: no file");
	}
};

# ---- httpconnect ----

subtest 'CONNECT' => sub {
	my $result = scripted({}, 'httpconnect', ['example.test', '443'], $empty_line, "HTTP/1.1 200 OK\r\nVia: x\r\n\r\nfirst byte");
	is($result->{heard}, "CONNECT example.test:443 HTTP/1.1\r\nHost: example.test:443\r\n\r\n", 'the request');
	is($result->{out}, 'reached (example.test) first byte', 'exactly up to the empty line, and TLS_PEERNAME is the host');
	is($result->{exit}, 0, 'exit code');
	is(scripted({ slowly => 1 }, 'httpconnect', ['h', '443'], $empty_line, "HTTP/1.0 299 x\r\nVia: x\r\n\r\nfirst byte")->{out}, 'reached (h) first byte',
		'one byte at a time');
	is(scripted({}, 'httpconnect', ['h', '443'], $empty_line, "HTTP/1.1 200\nA: b\n\nx")->{out}, 'reached (h) x', 'lines that end in LF');
	is(scripted({}, 'httpconnect', ['h', '443'], $empty_line, "HTTP/1.1 103 Wait\r\nA: b\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nx")->{out},
		'reached (h) x', 'an interim response');
	is(scripted({}, 'httpconnect', ['h', '443'], $empty_line, "HTTP/1.1 200 OK\r\nA: " . 'b' x 15000 . "\r\n\r\nx")->{out}, 'reached (h) x', 'a long header');
	like(scripted({}, 'httpconnect', ['2001:DB8::1', '443'], $empty_line, "HTTP/1.1 200 OK\r\n\r\n")->{heard},
		qr/\ACONNECT \[2001:DB8::1\]:443 HTTP\/1\.1\r\nHost: \[2001:DB8::1\]:443\r\n/, 'an IPv6 literal stands in brackets');
	like(scripted({}, 'httpconnect', ['h', 'https'], $empty_line, "HTTP/1.1 200 OK\r\n\r\n")->{heard}, qr/\ACONNECT h:443 /, 'the name of a service');
	is(scripted({ env => { TLS_PEERNAME => 'other' } }, 'httpconnect', ['h', '1'], $empty_line, "HTTP/1.1 200 OK\r\n\r\n")->{out}, 'reached (other) ',
		'TLS_PEERNAME that is set stays');
};

subtest 'Basic authentication' => sub {
	for my $secret ('me:secret', 'me:a b:c', "u:\xc3\xa9", 'm:', 'ab:cd', 'abc:de') {
		my $result = scripted({}, 'httpconnect', ['-a', spew(temporary('user'), "$secret\r\nmore\n"), 'h', '1'], $empty_line, "HTTP/1.1 200 OK\r\n\r\n");
		my ($given) = $result->{heard} =~ /^Proxy-Authorization: Basic (\S+)\r$/m;
		is(decode_base64($given || ''), $secret, 'from a file');
		is($given, encode_base64($secret, ''), '... in the one right form');
	}
	my $file = spew(temporary('user'), 'me:secret');
	my $open = sub { open my $in, '<', $file or die; POSIX::dup2(fileno $in, 9) };
	like(scripted({ before => $open }, 'httpconnect', ['-A', '9', 'h', '1'], $empty_line, "HTTP/1.1 200 OK\r\n\r\n")->{heard},
		qr/Basic bWU6c2VjcmV0\r\n/, 'from a descriptor');
	my $result = scripted({ in => "me:secret\nthe rest\n", prog => ['cat'] }, 'httpconnect', ['-A', '0', 'h', '1'], $empty_line, "HTTP/1.1 200 OK\r\n\r\n");
	like($result->{heard}, qr/Basic bWU6c2VjcmV0\r\n/, 'from standard input');
	is($result->{out}, "the rest\n", '... of which prog has what follows');
};

subtest 'HTTP proxies that refuse or misbehave' => sub {
	my @wrong = (
		["HTTP/1.1 403 Forbidden\r\n\r\n", qr/expected 2xx, got: HTTP\/1\.1 403 Forbidden/],
		["HTTP/1.1 407 Proxy\e[31m\r\n\r\n", qr/expected 2xx, got: HTTP\/1\.1 407 Proxy\?\[31m/],
		["HTTP/1.1 301 x\r\n\r\n", qr/expected 2xx/], ["HTTP/2.0 200 OK\r\n\r\n", qr/expected 2xx/], ["HTTP/1.1 2000\r\n\r\n", qr/expected 2xx/],
		["HTTP/1.1  200 OK\r\n\r\n", qr/expected 2xx/], ["220 smtp\r\n", qr/expected 2xx/], ["\r\n", qr/expected 2xx, got: $/m],
		["HTTP/1.1 200 OK\r\nA: b", qr/closed the connection/], ['', qr/closed the connection/], ["HTTP/1.1 20", qr/closed the connection/],
		["HTTP/1.1 200 OK\r\n" . "A: b\r\n" x 5000, qr/too much/], ["HTTP/1.1 200 OK\r\nA: " . 'b' x 20000, qr/too much/],
		['HTTP/1.1 200 ' . 'x' x 20000, qr/too much/], ["HTTP/1.1 100 x\r\n\r\n" x 2000, qr/too much/],
	);
	for my $case (@wrong) {
		my $result = scripted({}, 'httpconnect', ['host.test', '1'], $empty_line, $case->[0]);
		is($result->{exit}, 98, 'exit code');
		like($result->{err}, qr/^httpconnect: error: host\.test: step CONNECT: .*$case->[1]/m, '... words');
		is($result->{out}, '', '... prog is not reached');
	}
	my $result = scripted({ hold => 1 }, 'httpconnect', ['h', '1'], $empty_line, "HTTP/1.1 101 Switching Protocols\r\n\r\n");
	like($result->{err}, qr/expected 2xx, got: HTTP\/1\.1 101 S/, 'another protocol is no interim response');
	is($result->{exit}, 98, '... and nothing is waited for');
	$result = scripted({ hold => 1, seconds => 1 }, 'httpconnect', ['h', '1'], $empty_line, 'HTTP');
	is($result->{exit}, 98, 'silence');
	like($result->{err}, qr/time is up/, '... ends with the deadline');
};

# ---- socks5 ----

my $name = "\5\1\0\3\x0cexample.test\1\xbb";

subtest 'SOCKS' => sub {
	for my $slowly (0, 1) {
		my $result = scripted({ slowly => $slowly }, 'socks5', ['example.test', '443'], qr/\x05\x01\x00/, "\5\0", qr/\Q$name\E/s, "\5\0\0\1\1\2\3\4\0\1first byte");
		is($result->{heard}, "\5\1\0$name", 'no authentication, and the name as it is');
		is($result->{out}, 'reached (example.test) first byte', 'exactly up to the last byte of the reply');
	}
	for my $bound ("\4" . "\1" x 18, "\3\0\1\2", "\3\3abc\1\2", "\3\xff" . 'x' x 255 . "\1\2") {
		is(scripted({}, 'socks5', ['example.test', '443'], qr/\x05\x01\x00/, "\5\0", qr/\Q$name\E/s, "\5\0\0${bound}first")->{out}, 'reached (example.test) first',
			'an address of type ' . ord $bound);
	}
	is(scripted({}, 'socks5', ['127.0.0.2', '1'], qr/\x05\x01\x00/, "\5\0", qr/\x02\x00\x01/, "\5\0\0\1\1\2\3\4\0\1")->{heard}, "\5\1\0\5\1\0\1\x7f\0\0\2\0\1", 'IPv4');
	is(scripted({}, 'socks5', ['::1', '1'], qr/\x05\x01\x00/, "\5\0", qr/\x00\x01\x00\x01/, "\5\0\0\1\1\2\3\4\0\1")->{heard}, "\5\1\0\5\1\0\4" . "\0" x 15 . "\1\0\1", 'IPv6');
	my @user = ('-a', spew(temporary('user'), 'me:sec:ret'));
	my $result = scripted({}, 'socks5', [@user, 'example.test', '443'], qr/\x05\x02\x00\x02/, "\5\2", qr/ret/, "\1\0", qr/\Q$name\E/s, "\5\0\0\1\1\2\3\4\0\1x");
	is($result->{heard}, "\5\2\0\2\1\2me\7sec:ret$name", 'user and password');
	is($result->{out}, 'reached (example.test) x', '... accepted');
	is(scripted({}, 'socks5', [@user, 'example.test', '443'], qr/\x05\x02\x00\x02/, "\5\0", qr/\Q$name\E/s, "\5\0\0\1\1\2\3\4\0\1x")->{exit}, 0, '... not wanted');
};

subtest 'SOCKS proxies that refuse or misbehave' => sub {
	my @user = ('-a', spew(temporary('user'), 'me:secret'));
	my @asked = (qr/\x05\x01\x00/, "\5\0", qr/\Q$name\E/s);
	my @wrong = (
		[qr/step method: the proxy wants another authentication/, [], qr/\x05\x01\x00/, "\5\xff"],
		[qr/step method: the proxy chose a method that was not offered/, [], qr/\x05\x01\x00/, "\5\2"],
		[qr/step method: the proxy chose a method that was not offered/, [@user], qr/\x05\x02\x00\x02/, "\5\1"],
		[qr/step method: the proxy does not speak SOCKS version 5/, [], qr/\x05\x01\x00/, "\0\x5b"],
		[qr/step method: the proxy has|step method: the peer has closed/, [], qr/\x05\x01\x00/, "\5"],
		[qr/step authentication: user or password not accepted/, [@user], qr/\x05\x02\x00\x02/, "\5\2", qr/secret/, "\1\1"],
		[qr/step authentication: the answer is not of RFC 1929/, [@user], qr/\x05\x02\x00\x02/, "\5\2", qr/secret/, "\5\0"],
		[qr/step CONNECT: general SOCKS server failure/, [], @asked, "\5\1\0\1\0\0\0\0\0\0"],
		[qr/step CONNECT: connection not allowed by ruleset/, [], @asked, "\5\2\0\1\0\0\0\0\0\0"],
		[qr/step CONNECT: connection refused/, [], @asked, "\5\5\0\1\0\0\0\0\0\0"],
		[qr/step CONNECT: refused with an unknown code/, [], @asked, "\5\x63\0\1\0\0\0\0\0\0"],
		[qr/step CONNECT: the reply is not of RFC 1928/, [], @asked, "\4\0\0\1\0\0\0\0\0\0"],
		[qr/step CONNECT: the reply is not of RFC 1928/, [], @asked, "\5\0\1\1\0\0\0\0\0\0"],
		[qr/step CONNECT: the reply has an unknown address type/, [], @asked, "\5\0\0\2\0\0\0\0\0\0"],
		[qr/step CONNECT: the peer has closed the connection/, [], @asked, "\5\0\0\1\0\0\0\0\0"],
		[qr/step CONNECT: the peer has closed the connection/, [], @asked, "\5\0\0\3\xff\0\0"],
	);
	for my $case (@wrong) {
		my ($words, $arguments, @script) = @$case;
		my $result = scripted({}, 'socks5', [@$arguments, 'example.test', '443'], @script);
		is($result->{exit}, 98, 'exit code');
		like($result->{err}, qr/^socks5: error: example\.test: $words/m, '... words');
		is($result->{out}, '', '... prog is not reached');
	}
	for my $n (0, 2) {
		my $result = scripted({ hold => 1, seconds => 1 }, 'socks5', ['example.test', '443'], @asked[0 .. $n]);
		like($result->{err}, qr/time is up/, 'silence ends with the deadline');
	}
	my $result = scripted({}, 'socks5', ['-a', spew(temporary('user'), 'm:' . 'x' x 300), 'h', '1'], qr/\x05\x02\x00\x02/, "\5\2");
	like($result->{err}, qr/must have 1 to 255 bytes/, 'a password that is too long for it');
};

# A proxy may itself be behind TLS: 6 and 7 are pipes then.
subtest 'a proxy on pipes that has gone' => sub {
	for my $program ('httpconnect', 'socks5') {
		my $closed = sub {
			$SIG{PIPE} = 'DEFAULT';
			my ($from) = POSIX::pipe();
			my (undef, $to) = POSIX::pipe();
			POSIX::dup2($from, 20);
			POSIX::dup2($to, 21);
			POSIX::close($_) for 3 .. 19;
			POSIX::dup2(20, 6);
			POSIX::dup2(21, 7);
			POSIX::close($_) for 20, 21;
		};
		my $result = run({ before => $closed }, command($program), 'host.test', '1', 'echo', 'reached');
		is($result->{exit}, 98, "$program: exit code") or diag "signal $result->{signal}";
		like($result->{err}, qr/^$program: error: host\.test: step \w+: the peer has closed the connection$/m, '... and words');
	}
};

# ---- through a proxy to a server ----

my $proxy = spew(temporary('proxy'), <<'END');
#!/usr/bin/perl
# Serves one CONNECT or SOCKS request on 0 and 1, to where it says on this machine, and copies.
use strict;
use IO::Select;
use IO::Socket::IP;
sub bytes { my $n = shift; my $all = ''; while ($n--) { sysread STDIN, my $byte, 1 or exit 1; $all .= $byte } return $all }
my ($head, $port, $answer) = (bytes(1));
if ($head eq "\5") {
	bytes(ord bytes 1);
	syswrite STDOUT, "\5\0";
	my $type = ord substr bytes(4), 3;
	bytes($type == 3 ? ord bytes 1 : $type == 1 ? 4 : 16);
	($port, $answer) = (unpack('n', bytes 2), "\5\0\0\1\0\0\0\0\0\0");
} else {
	$head .= bytes(1) until $head =~ /\r\n\r\n\z/;
	($port) = $head =~ /^CONNECT \S+:(\d+) /;
	$answer = "HTTP/1.1 200 Connection established\r\nX: y\r\n\r\n";
}
my $server = IO::Socket::IP->new(PeerHost => '127.0.0.1', PeerPort => $port) or exit 1;
syswrite STDOUT, $answer;
my $select = IO::Select->new(\*STDIN, $server);
while ($select->count) {
	for my $from ($select->can_read) {
		my $to = $from == $server ? \*STDOUT : $server;
		if (sysread $from, my $bytes, 65536) { syswrite $to, $bytes }
		elsif ($from == $server) { exit 0 }
		else { $select->remove($from); $server->shutdown(1) }
	}
}
END
chmod 0755, $proxy;

subtest 'TLS through a proxy' => sub {
	my $relay = serve(command('tcpserver'), '-1', '127.0.0.1', '0', $proxy);
	my $server = sslserver({}, [], http());
	my @http = ('sh', '-c', 'printf "GET / HTTP/1.0\r\n\r\n" >&7; cat <&6');
	my $behind_tls = sslserver({}, [], $proxy);
	my $starttls = sslserver({}, ['-n'], command('starttlsd'), 'pop3', 'sh', '-c', 'echo +OK; read line; echo "+OK $SSL_PROTOCOL $line"');
	for my $program ('httpconnect', 'socks5') {
		my @to_proxy = (command('tcpclient'), '127.0.0.1', $relay->{port}, command($program));
		my $env = { CAFILE => file('root.pem'), TLS_PEERNAME => undef };
		my $result = run({ env => $env }, @to_proxy, 'localhost', $server->{port}, command('tlsc'), @http);
		like($result->{out}, qr/\r\n\r\nserved\n\z/, "$program: the name is checked") or diag $result->{err};
		$result = run({ env => $env }, @to_proxy, 'other.test', $server->{port}, command('tlsc'), @http);
		is($result->{exit}, 98, '... against another one');
		for my $name ('localhost', 'other.test') {
			my @chain = (command('sslclient'), 'localhost', $behind_tls->{port}, command($program), $name, $server->{port}, 'env', "CAFILE=$env->{CAFILE}", command('tlsc'), @http);
			$result = run({ env => $env }, @chain);
			if ($name eq 'localhost') { like($result->{out}, qr/\r\n\r\nserved\n\z/, '... TLS to the proxy, and TLS through it') or diag $result->{err} }
			else                      { like($result->{err}, qr/tlsc-io: error: [^\n]*name/, '... where the name is not the proxy\'s') }
		}
		$result = run({ env => $env }, @to_proxy, 'localhost', $starttls->{port}, command('starttlsc'), 'pop3', command('tlsc'), command('regreet'),
			'sh', '-c', 'read line <&6; echo "$line"; echo "QUIT" >&7; cat <&6');
		like($result->{out}, qr/\A\+OK [^\r]*\r\n\+OK TLSv1\S+ QUIT\n\z/, '... and STARTTLS behind it') or diag $result->{err};
	}
};

done_testing;
