#!/usr/bin/perl
# Small links: tcpallow, argv0, ptyrun.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Bear;
use IO::Socket::IP;
use POSIX ();
use Test::More;
use Time::HiRes qw(sleep);

delete $ENV{$_} for grep { /^(TCP|SSL|PROTO$|PROXY|MAXCONIP$)/ } keys %ENV;

sub rules {
	my ($text) = @_;
	my $path = temporary('rules' . int rand 1e9);
	my $made = run({ in => $text }, command('tcprules'), $path, "$path.tmp");
	die $made->{err} if $made->{exit};
	return $path;
}

subtest 'tcpallow' => sub {
	my $clients = rules("192.0.2.:allow,WHO=\"net\"\n192.0.2.66:deny\n=mail.test:allow,WHO=\"host\"\njoe\@198.51.100.1:allow,WHO=\"joe\"\n2001:db8::/32:allow,WHO=\"six\"\n127.0.0.1:allow,MAXCONIP=\"1\"\n:deny\n");
	my @show = ('sh', '-c', 'echo "$PROTO $TCPREMOTEIP ${WHO-none}"');
	my $ask = sub {
		my ($ip, $more, @letters) = @_;
		my $set = $ip =~ /:/ ? 'TCP6' : 'TCP';
		my %env = (PROTO => $set, "${set}REMOTEIP" => $ip, "${set}REMOTEPORT" => 4000, "${set}LOCALIP" => '198.51.100.1', "${set}LOCALPORT" => 25, %{ $more || {} });
		return run({ env => \%env }, command('tcpallow'), @letters, $clients, @show);
	};
	is($ask->('192.0.2.7')->{out}, "TCP 192.0.2.7 net\n", 'allowed, with the variables of the rule');
	is($ask->('203.0.113.1', { TCPREMOTEHOST => 'mail.test' })->{out}, "TCP 203.0.113.1 host\n", 'by name');
	is($ask->('198.51.100.1', { TCPREMOTEINFO => 'joe' })->{out}, "TCP 198.51.100.1 joe\n", 'by info');
	is($ask->('2001:db8::7')->{out}, "TCP6 2001:db8::7 six\n", 'IPv6');
	is($ask->('127.0.0.1')->{out}, "TCP 127.0.0.1 none\n", 'MAXCONIP counts nothing');
	my $denied = $ask->('192.0.2.66', {}, '-v');
	is("$denied->{exit} $denied->{out}", '100 ', 'denied');
	like($denied->{err}, qr/^tcpallow: deny \d+ :198\.51\.100\.1:25 :192\.0\.2\.66::4000$/, '... with a line of the server\'s kind');
	is($ask->('192.0.2.66')->{err}, '', '... which only -v has');
	like($ask->('192.0.2.7', {}, '-v', '-l', 'me')->{err}, qr/^tcpallow: ok \d+ me:198\.51\.100\.1:25 :192\.0\.2\.7::4000$/, 'ok, and -l');
	like($ask->('127.0.0.1', {}, '-hv')->{err}, qr/^tcpallow: ok \d+ [^:]*:198\.51\.100\.1:25 localhost:127\.0\.0\.1::4000$/, '-h looks the name up');
	is(run({ env => { PROTO => 'TCP' } }, command('tcpallow'), $clients, 'true')->{exit}, 96, 'no connection: exit code 96');
	like(run({ env => { PROTO => 'UNIX' } }, command('tcpallow'), $clients, 'true')->{err}, qr/^tcpallow: fatal: unable to ask rules .*: PROTO is not/, '... and why');
	my %env = (PROTO => 'TCP', map { ("TCP${_}IP" => '192.0.2.7', "TCP${_}PORT" => 1) } 'LOCAL', 'REMOTE');
	is(run({ env => \%env }, command('tcpallow'), '/nowhere.cdb', 'true')->{exit}, 111, 'no rules');
	is(run({ env => \%env }, command('tcpallow'), '-X', '/nowhere.cdb', 'true')->{exit}, 0, '... with -X');
	is(run({ env => \%env }, command('tcpallow'), $clients)->{exit}, 100, 'no prog');
	is(run({ env => \%env }, command('tcpallow'), '-p', $clients, 'true')->{exit}, 100, '-p without -h');
	is(run({ env => \%env }, command('tcpallow'), $clients, '/nowhere')->{exit}, 111, 'a prog that is not there');

	is(run({ env => { PROTO => 'SSL', map { ("SSL${_}IP" => '192.0.2.7', "SSL${_}PORT" => 1) } 'LOCAL', 'REMOTE' } }, command('tcpallow'), $clients, 'sh', '-c', 'echo "$SSLREMOTEIP $WHO ${TCPREMOTEIP-no TCP}"')->{out}, "192.0.2.7 net no TCP\n", 'SSL variables');
	is(run({ env => \%env }, command('tcpallow'), rules("192.0.2.8:deny\n"), 'echo', 'in')->{out}, "in\n", 'without a rule');

	my $damaged = spew(temporary('damaged'), 'x' x 3000);
	for my $path ($damaged, '/dev/null/rules.cdb') {
		my $result = run({ env => \%env }, command('tcpallow'), '-X', $path, 'echo', 'in');
		is("$result->{exit} $result->{out}", '111 ', "$path, -X: what is there must be rules");
		like($result->{err}, qr/^tcpallow: warning: dropping connection, unable to read \Q$path\E: /, '... in words');
	}
	my $long = $ask->('203.0.113.1', { TCPREMOTEHOST => 'a' x 5000 });
	is("$long->{exit} $long->{out}", '111 ', 'a name that no rules can be asked about lets nobody in');
	is(run({ env => \%env }, command('tcpallow'), '-q', $damaged, 'true')->{err}, '', '... not with -q');
	like(run({ env => \%env }, command('tcpallow'), '-qQ', $damaged, 'true')->{err}, qr/warning/, '... with -Q');

	my $silent = IO::Socket::IP->new(LocalHost => '127.0.0.1', LocalPort => 0, Type => Socket::SOCK_DGRAM());
	my %named = (TCPREMOTEHOST => 'mail.test', DNSCACHEIP => '127.0.0.1:' . $silent->sockport);
	is($ask->('203.0.113.1', \%named, '-hH')->{out}, "TCP 203.0.113.1 host\n", '-H: the name is what it was');
	my $result = $ask->('203.0.113.1', \%named, '-h', '-t', '1');
	is("$result->{exit} $result->{out}", '100 ', '-h: a name that is not found is none, whatever it was before') or diag $result->{err};
	ok(!$result->{timed_out}, '... after -t seconds');
	is(run({ env => \%env }, command('tcpallow'), '-pP', $clients, 'true')->{exit}, 0, '-P');

	my $proxies = rules("127.0.0.1:allow,PROXYRECV=\"1\"\n:deny\n");
	my $server = serve(command('tcpserver'), '-1vH', '-x', $proxies, '127.0.0.1', '0', command('proxyrecv'), command('tcpallow'), '-v', $clients, @show);
	is(ask($server->{port}, "PROXY TCP4 192.0.2.7 198.51.100.1 4000 25\r\n"), "TCP 192.0.2.7 net\n", 'behind proxyrecv: allowed');
	is(ask($server->{port}, "PROXY TCP4 192.0.2.66 198.51.100.1 4000 25\r\n"), '', '... denied');
	ok($server->wait_for_log(qr/^tcpallow: deny \d+ [^ ]*:198\.51\.100\.1:25 :192\.0\.2\.66::4000$/m), '... with a line');
};

subtest 'argv0' => sub {
	is(run(command('argv0'), 'another', 'sh', '-c', 'echo "$0 $#"; tr "\0" " " </proc/$$/cmdline | cut -d" " -f1')->{out}, "another 0\nanother\n", 'the name') if -e '/proc/self/cmdline';
	is(run(command('argv0'), 'sh', 'echo', 'a', '-b')->{out}, "a -b\n", 'the rest as it is');
	is(run(command('argv0'), 'x')->{exit}, 100, 'no prog');
	is(run(command('argv0'), '-x', 'x', 'true')->{exit}, 100, 'no options');
	is(run(command('argv0'), '--', '-sh', 'true')->{exit}, 0, 'a name that begins with -');
	my ($example) = slurp("$FindBin::Bin/../doc/man/argv0.8") =~ /(argv0 .*)/ or die;
	$example =~ s/\\-/-/g;
	is(run({ in => 'echo "$0"', env => { PATH => command('x') =~ s{/x\z}{}r . ":$ENV{PATH}", HOME => '/' } }, 'sh', '-c', $example)->{out} =~ s/.*\n(?=.)//sr, "-sh\n", "the example of its manual: $example");
	my $result = run(command('argv0'), 'x', '/nowhere');
	is($result->{exit}, 111, 'a prog that is not there: exit code');
	like($result->{err}, qr{^argv0: fatal: unable to run /nowhere: No such file}, '... and words');
};

subtest 'started with nothing open' => sub {
	plan skip_all => 'nothing to see in /proc' unless -e '/proc/self/fd';
	my $said = temporary('descriptors');
	my @show = ('perl', '-e', 'my @files = map { readlink "/proc/self/fd/$_" } 0 .. 2; open my $said, ">", shift or die; print $said map { "$_\n" } @files', $said);
	my %connection = (PROTO => 'TCP', map { ("TCP${_}IP" => '192.0.2.7', "TCP${_}PORT" => 1) } 'LOCAL', 'REMOTE');
	for my $link (['argv0', 'x'], ['sockopt', '-b', 'keepalive'], ['proxyrecv'], ['proxysend', '-p'], ['tcpallow', '-X', '/nowhere.cdb'], ['cmdclient', 'true', '--']) {
		my ($name, @operands) = @$link;
		run({ env => \%connection, before => sub { POSIX::close($_) for 0 .. 2 } }, command($name), @operands, @show);
		is(slurp($said), "/dev/null\n" x 3, $name);
		unlink $said;
	}
};

subtest 'ptyrun' => sub {
	my @pty = (command('ptyrun'));
	is(run(@pty, 'sh', '-c', 'for fd in 0 1 2; do test -t $fd && echo $fd; done; stty size; ps -o tty= -p $$ >/dev/null && : </dev/tty && echo tty')->{out}, "0\r\n1\r\n2\r\n24 80\r\ntty\r\n", 'a terminal, of this size, and its own');
	is(run({ in => "hello\n" }, @pty, 'sh', '-c', 'stty -echo; echo ready; read -r x; echo "got $x"; cat; echo end')->{out} =~ s/^hello\r\n//r, "ready\r\ngot hello\r\nend\r\n", 'input, and its end');
	is(run({ in => 'no newline' }, @pty, 'sh', '-c', 'stty -echo; cat >/dev/null; echo end')->{out} =~ s/^no newline//r, "end\r\n", '... in the middle of a line');
	is(run(@pty, 'sh', '-c', 'exit 7')->{exit}, 7, 'exit code');
	is(run(@pty, 'sh', '-c', 'kill -KILL $$')->{exit}, 137, 'a signal');
	my $much = run({ timeout => 20 }, @pty, 'seq', '1', '50000');
	is(length $much->{out}, 338894, 'all of a long output') or diag $much->{err};
	is(run(@pty, '/nowhere')->{exit}, 111, 'a prog that is not there');
	like(run(@pty, '/nowhere')->{out}, qr{^ptyrun: fatal: unable to run /nowhere: No such file}, '... said on the terminal');
	is(run(@pty)->{exit}, 100, 'no prog');
	my $server = serve(command('tcpserver'), '-1vH', '127.0.0.1', '0', @pty, 'sh', '-c', 'echo ready; exec cat');
	my $socket = connect_to($server->{port});
	like(read_line($socket), qr/^ready/, 'behind tcpserver');
	close $socket;
	ok($server->wait_for_log(qr/^tcpserver: end \d+ status/m, 5), '... it ends with the connection');
	my $gone = run('sh', '-c', '{ "$@"; echo $? >"$0.code"; } | head -n 1', temporary('deaf'), @pty, 'sh', '-c', 'trap "echo hup >&3" HUP; exec 3>"$0"; seq 1 20000; seq 1 20000; echo done >&3', temporary('deaf'));
	is($gone->{out}, "1\r\n", 'whose output nobody reads');
	is(slurp(temporary('deaf')), "hup\ndone\n", '... is told, and goes on if it likes to');
	is(slurp(temporary('deaf.code')), "0\n", '... to its end');
	my $fifo = temporary('fifo');
	run('sh', '-c', 'mkfifo "$0"; { "$@"; echo $? >"$0.code"; } <>"$0" | head -n 1', $fifo, @pty, 'sh', '-c', 'trap "exit 5" HUP; echo ready; while :; do sleep 0.1; done');
	is(slurp("$fifo.code"), "5\n", '... even while there is nothing to show');
	for my $signal (['TERM', 15], ['HUP', 1], ['INT', 2]) {
		my ($name, $number) = @$signal;
		my $waiting = start(@pty, 'sh', '-c', 'trap "exit $((20 + $0))" "$0"; echo ready; while :; do sleep 0.1; done', $number);
		ok(wait_until(sub { slurp($waiting->{out}) =~ /ready/ }, 5), "SIG$name:");
		kill $name, $waiting->{pid};
		is(($waiting->wait_for_end(5) || { exit => '' })->{exit}, 20 + $number, '... is passed on');
	}
	my $blocked = sub { POSIX::sigprocmask(POSIX::SIG_BLOCK(), POSIX::SigSet->new(POSIX::SIGCHLD(), POSIX::SIGTERM())) };
	my $ended = run({ before => $blocked }, @pty, 'sh', '-c', 'exit 5');
	is($ended->{exit}, 5, 'started with signals blocked, it sees the end');
	if (-e '/proc/self/fd') {
		is(run(@pty, 'grep', 'SigBlk', '/proc/self/status')->{out}, "SigBlk:\t0000000000000000\r\n", 'prog has no signals blocked');
		is(run(@pty, 'sh', '-c', 'ls -l /proc/self/fd | grep -c "/dev/pt"')->{out}, "2\r\n", '... and no more of the terminal');
	}
	if (!system 'strace -o /dev/null true 2>/dev/null') {
		my $failed = run('strace', '-o', temporary('trace'), '-e', 'trace=ppoll', '-e', 'inject=ppoll:error=ENOMEM', @pty, 'sleep', '0.2');
		is($failed->{exit}, 111, 'a system call that fails: exit code');
		like($failed->{err}, qr/^ptyrun: fatal: unable to wait for the pseudo-terminal: Cannot allocate memory$/, '... and words');
	}
	is(run(@pty, 'sh', '-c', 'exec </dev/null >/dev/null 2>&1; sleep 0.3; echo again >/dev/tty; exit 9')->{out}, "again\r\n", 'a terminal that is opened again');
	is(run('setsid', '-w', @pty, 'sh', '-c', ': </dev/tty && echo tty')->{out}, "tty\r\n", 'the terminal is prog\'s, though ptyrun has a session and no terminal');
	ok(!run({ timeout => 5 }, @pty, 'sh', '-c', '(trap "" HUP; sleep 7) & exit 0')->{timed_out}, 'a process left behind is not waited for');
};

subtest 'ptyrun and somebody at the other end' => sub {
	# Says what it has to when the file is there; the socket's other end is left to this test.
	my $with = sub {
		my ($script) = @_;
		my $server = serve(command('tcpserver'), '-1vH', '127.0.0.1', '0', command('ptyrun'), 'sh', '-c', $script, temporary('now'));
		my $socket = connect_to($server->{port});
		is(read_line($socket), 'ready', 'ready') or diag $server->log;
		return $socket;
	};
	my $socket = $with->('stty raw -echo; echo ready; timeout --foreground 1 cat; echo end');
	$socket->shutdown(1);
	is(read_all($socket), "end\n", 'in raw mode no end is typed');
	$socket = $with->('stty -echo -onlcr eof "^A"; echo ready; cat; echo end');
	syswrite $socket, "line\n";
	$socket->shutdown(1);
	is(read_all($socket, 5), "line\nend\n", 'the end is the character that the terminal has for it');
	$socket = $with->('stty raw -echo; echo ready; while ! test -e "$0"; do sleep 0.05; done; echo more; while test -e "$0"; do sleep 0.05; done');
	$socket->blocking(0);
	1 while wait_until(sub { syswrite $socket, 'x' x 65536 }, 0.5);
	spew(temporary('now'), '');
	is(read_line($socket), 'more', 'what prog does not read holds up nothing of what it says');
	unlink temporary('now');
	close $socket;

	my $bytes = join '', map { pack 'C*', map { ($_ * 7 + int rand 256) % 256 } 1 .. 1000 } 1 .. 1000;
	$socket = $with->('stty raw -echo; echo ready; while ! test -e "$0"; do sleep 0.05; done; exec head -c 1000000');
	my $writer = fork // die;
	if (!$writer) { syswrite $socket, $bytes, 50000, $_ * 50000 or last for 0 .. 19; POSIX::_exit(0) }
	sleep 0.3;    # until the terminal is full, or nearly so
	spew(temporary('now'), '');
	ok(read_all($socket, 20) eq $bytes, 'a megabyte of any bytes both ways');
	waitpid $writer, 0;

	# One ptyrun is the other's program: a character of the outer terminal becomes a signal to the inner ptyrun.
	my $server = serve(command('tcpserver'), '-1vH', '127.0.0.1', '0', (command('ptyrun')) x 2, 'sh', '-c', 'trap "echo interrupted; exit" INT; echo ready; while :; do sleep 0.1; done');
	$socket = connect_to($server->{port});
	like(read_line($socket), qr/^ready/, 'on a terminal of its own:');
	syswrite $socket, "\cC";
	like(read_all($socket, 5), qr/^(?:\^C)?interrupted/, '... its signals are passed on, too');
};

done_testing;
