#!/usr/bin/perl
# sslconnect and https@, against openssl s_server and sslserver.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Bear;
use BearTls;
use POSIX ();
use Test::More;

my %trust = (CAFILE => file('root.pem'));
my @answer = ('perl', '-e', '$| = 1; $line = <STDIN>; $line =~ s/\r/<CR>/g; print "got $line"; while (<STDIN>) { s/\r/<CR>/g; print "more $_" } print "end\n"');

subtest 'sslconnect' => sub {
	my $server = sslserver({}, [], @answer);
	my $connect = sub { return run({ in => $_[0], env => {%trust} }, command('sslconnect'), '127.0.0.1', $server->{port}, @_[1 .. $#_]) };
	my $result = $connect->("one\ntwo words \\n\n");
	is($result->{out}, "got one<CR>\nmore two words \\n<CR>\nend\n", 'lines go out with CR LF');
	is($result->{exit}, 0, 'exit 0');
	is($connect->("one\r\n")->{out}, "got one<CR>\nend\n", 'those that have it already, too');
	is($connect->("one")->{out}, "got oneend\n", 'a line without an end has none');
	is($connect->('')->{out}, "got end\n", 'nothing at all');
	like($connect->("x\n", '-v')->{err}, qr/\Asslclient: connected to 127\.0\.0\.1 port $server->{port}\n/, 'options are those of sslclient');
	is($connect->("x\n", '-N', '-T2')->{out}, "got x<CR>\nend\n", 'more of them');
	$server->stop;

	# A conversation: each answer comes before the next line is typed; then the server ends it while somebody still might type.
	$server = sslserver({}, [], 'sh', '-c', 'echo hello; read a; echo "a $a"; read b; echo "b $b"');
	my $fifo = temporary('typed');
	POSIX::mkfifo($fifo, 0600);
	my $client = start({ env => {%trust}, before => sub { open STDIN, '+<', $fifo } }, command('sslconnect'), 'localhost', $server->{port}, '-4');
	open my $typing, '>', $fifo;
	$typing->autoflush(1);
	ok(wait_until(sub { slurp($client->{out}) eq "hello\n" }, 5), 'the server begins');
	print $typing "x\n";
	ok(wait_until(sub { slurp($client->{out}) eq "hello\na x\r\n" }, 5), 'one line, one answer');
	print $typing "y\n";
	is($client->wait_for_end(5)->{exit}, 0, 'it ends when the server does');
	is(slurp($client->{out}), "hello\na x\r\nb y\r\n", 'with all that came');
	ok(wait_until(sub { !grep { ((split ' ', slurp($_) =~ s{.*\)}{}sr)[2] || 0) == $client->{pid} } glob '/proc/[0-9]*/stat' }, 5), 'and leaves no process behind');
	$server->stop;

	$result = run({ env => {%trust} }, command('sslconnect'), 'host');
	is($result->{exit}, 100, 'usage: exit 100');
	is($result->{err}, "sslconnect: usage: sslconnect host port [ sslclient options ]\n", 'in words');
	$server = sslserver({ pair => 'unknown' }, [], 'true');
	is(run({ env => {%trust} }, command('sslconnect'), '127.0.0.1', $server->{port})->{exit}, 98, 'a certificate that nobody vouches for: exit 98');
};

subtest 'https@' => sub {
	my $binary = join '', map chr, 0 .. 255;
	my $page = spew(temporary('page'), "HTTP/1.0 200 OK\r\nServer: x\r\n\r\n$binary\n\nlast");
	my $server = sslserver({}, [], 'perl', '-e', '$| = 1; while (<STDIN>) { s/\r//; print STDERR "request $_"; last if /^$/ } exec "cat", $ARGV[0]', $page);
	my $get = sub { return run({ env => {%trust} }, command('https@'), @_) };
	my $requests = sub { my @lines = $server->log =~ /^request (.+)$/mg; return join ' | ', @lines[-2, -1] };
	my $result = $get->('localhost', '/some/path?x=%20&y', $server->{port}, '-4');
	is($result->{out}, "$binary\n\nlast", 'what follows the header, byte by byte');
	is($result->{exit}, 0, 'exit 0');
	is($requests->(), "GET /some/path?x=%20&y HTTP/1.0 | Host: localhost:$server->{port}", 'the request');
	$get->('localhost', 'other', $server->{port}, '-4');
	like($requests->(), qr{\AGET /other HTTP}, 'a path without a slash');
	$get->('127.0.0.1', '', $server->{port});
	like($requests->(), qr{\AGET / HTTP/1\.0 \| Host: 127\.0\.0\.1:}, 'no path');
	is($get->('127.0.0.1', '/', $server->{port}, '-T1', '-N')->{out}, "$binary\n\nlast", 'options of sslclient');
	spew($page, "HTTP/1.0 200 OK\nA: b\n\nbody");
	is($get->('127.0.0.1', '/', $server->{port})->{out}, 'body', 'a header without CR');
	spew($page, "HTTP/1.0 200 OK\r\nA: b\r\n");
	$result = $get->('127.0.0.1', '/', $server->{port});
	is($result->{exit}, 111, 'no end of header: exit 111');
	like($result->{err}, qr/^https\@: fatal: the answer has no end of header\n/m, 'in words');
	$server->stop;
	for my $bad (["a\nb", '/'], ['host', "/a b"], ['host', "/\r\nX: y"], ['host', "/\e"]) {
		$result = $get->(@$bad);
		is($result->{exit}, 100, 'blanks and control characters: exit 100');
		is($result->{err}, "https\@: fatal: host and path must be without blanks and control characters\n", 'in words');
	}
	is($get->()->{exit}, 100, 'usage: exit 100');

	my $s_server = s_server({ pair => 'server-p256' }, '-www');
	SKIP: {
		skip 'no openssl s_server', 1 unless $s_server->{port};
		like($get->('127.0.0.1', '/', $s_server->{port})->{out}, qr/s_server/, 'openssl s_server -www');
	}
	$server = serve({ env => pair('server-p256') }, command('sslserver'), '-1v', '::1', '0', 'perl', '-e', 'while (<STDIN>) { s/\r//; print STDERR "request $_"; last if /^$/ } print "HTTP/1.0 200 OK\n\n"');
	$get->($_, '/', $server->{port}) for '::1', '[::1]';
	my @hosts = $server->log =~ /^request Host: (.*)$/mg;
	is("@hosts", "[::1]:$server->{port} [::1]:$server->{port}", 'IPv6 addresses in brackets');
};

done_testing;
