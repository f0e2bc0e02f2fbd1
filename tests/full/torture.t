#!/usr/bin/perl
# Long and rough: thousands of connections of all kinds, floods while honest clients are served, no descriptors left, resets in mid-transfer,
# and both directions at once for a minute. Afterwards the listener is what it was before.
use strict;
use warnings;
use Digest::SHA;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Bear;
use BearTls;
use Test::More;
use Time::HiRes qw(sleep time);

plan skip_all => 'no python3' unless run('python3', '-c', 'import ssl')->{exit} == 0;

# ---- clients of every kind ----

# rough.py PORT CAFILE COUNT KIND..: so many connections, of these kinds in turn; says how many of each went as they should.
my $rough_py = spew(temporary('rough.py'), <<'PY');
import collections, socket, ssl, struct, sys, time
port, cafile, count, kinds = int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), sys.argv[4:]
trusting = ssl.create_default_context(cafile=cafile)
distrusting = ssl.create_default_context()
distrusting.set_ciphers("ECDHE+AESGCM")

def connect():
    return socket.create_connection(("127.0.0.1", port), 30)

def handshake(context=trusting):
    return context.wrap_socket(connect(), server_hostname="localhost")

def reset(s):
    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    s.close()

def hello():
    outgoing = ssl.MemoryBIO()
    try:
        trusting.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname="localhost").do_handshake()
    except ssl.SSLWantReadError:
        pass
    return outgoing.read()

def ask(n):
    tls = handshake()
    tls.sendall(b"%d\n" % n)
    total = 0
    while True:
        piece = tls.recv(65536)
        if not piece:
            break
        total += len(piece)
    tls.unwrap().close()
    return total == n + 4

def rest(s):
    try:
        while s.recv(65536):
            pass
    except OSError:
        pass
    s.close()
    return True

def one(kind):
    if kind == "good":
        return ask(10)
    if kind == "large":
        return ask(300000)
    if kind == "distrusting":
        try:
            handshake(distrusting)
        except ssl.SSLCertVerificationError:
            return True
        return False
    if kind in ("reset-late", "fin-late", "deaf"):
        tls = handshake()
        tls.sendall(b"3000000\n")
        tls.recv(1000)
        if kind == "reset-late":
            reset(tls)
        elif kind == "deaf":
            tls.close()
        else:
            tls.shutdown(socket.SHUT_WR)
            tls.close()
        return True
    s = connect()
    if kind == "reset":
        reset(s)
    elif kind == "close":
        s.close()
    elif kind == "garbage":
        s.sendall(bytes(range(128, 256)) * 20)
        return rest(s)
    elif kind == "http":
        s.sendall(b"GET / HTTP/1.0\r\n\r\n")
        return rest(s)
    elif kind == "half":
        s.sendall(hello()[:100])
        s.close()
    elif kind == "half-reset":
        s.sendall(hello()[:100])
        reset(s)
    elif kind == "hello-reset":
        s.sendall(hello())
        reset(s)
    elif kind == "hello-close":
        s.sendall(hello())
        s.recv(10)
        s.close()
    elif kind == "flight":  # half the handshake, then nonsense
        s.sendall(hello())
        s.recv(100)
        s.sendall(b"\x16\x03\x03\x00\x10" + b"z" * 16)
        return rest(s)
    return True

done, longest = collections.Counter(), 0
for i in range(count):
    kind, began = kinds[i % len(kinds)], time.monotonic()
    try:
        done[kind if one(kind) else "bad " + kind] += 1
    except OSError as why:
        done["failed " + kind] += 1
        print(kind, why, file=sys.stderr)
    if kind in ("good", "large"):
        longest = max(longest, time.monotonic() - began)
print(" ".join("%s=%d" % (k.replace(" ", "-"), done[k]) for k in sorted(done)), "longest=%.2f" % longest)
PY

my @kinds = qw(good close garbage good reset http large half distrusting good half-reset reset-late hello-reset good hello-close fin-late flight deaf large reset);

# The program of the servers: as many bytes as it is asked for.
my @prog = ('sh', '-c', 'read n && head -c "$n" /dev/zero && echo end');

sub listener {
	my ($form, $limit, @letters) = @_;
	return sslserver({ pair => 'server-p256', env => { TLS_LINGER => 5 } }, ['-c', $limit, '-T', 5], @letters, @prog) if $form eq 'sslserver';
	return serve({ env => pair('server-p256', TLS_LINGER => 5) }, command('tcpserver'), '-1v', '-c', $limit, '127.0.0.1', '0', command('tlsd'), '-T', 5, @prog);
}

# ---- looking at the listener ----

sub group {
	my ($server) = @_;
	return map { my ($pid, $name, $state, undef, $group) = slurp($_) =~ /\A(\d+) \((.*)\) (\S) (\d+) (\d+) /s; defined $group && $group == $server->{pid} ? "$name $state" : () }
		glob '/proc/[0-9]*/stat';
}
sub descriptors { my ($server) = @_; my @fds = glob "/proc/$server->{pid}/fd/*"; return scalar @fds }
sub memory { my ($server) = @_; my $status = slurp("/proc/$server->{pid}/status"); return { map { $_ => $status =~ /^$_:\s+(\d+) kB/m ? $1 : -1 } qw(VmRSS VmData RssAnon) } }
sub running { my ($server) = @_; my @all = $server->log =~ m{: status: (\d+)/}g; return @all ? $all[-1] : -1 }
sub ends { my ($server) = @_; my @all = $server->log =~ /^\w+: (?:ended by|end) \d+ status \d+$/mg; return scalar @all }

sub wait_for_nobody {
	my ($server, $seconds) = @_;
	return wait_until(sub { running($server) == 0 && (my @left = group($server)) == 1 }, $seconds) || diag(join ', ', running($server), group($server));
}

sub rough {
	my ($server, $count, @which) = @_;
	return start('python3', $rough_py, $server->{port}, file('root.pem'), $count, @which);
}

sub counted { my ($client) = @_; return map { split /=/ } split ' ', slurp($client->{out}) }

for my $case (['sslserver', 2000], ['tcpserver and tlsd', 600]) {
	my ($form, $all) = @$case;
	subtest "$form: $all connections" => sub {
		my $server = listener($form, 20);
		rough($server, scalar @kinds, @kinds)->wait_for_end(30);
		ok(wait_for_nobody($server, 15), 'warmed up');
		my ($descriptors, $memory, $before) = (descriptors($server), memory($server), ends($server));
		my @clients = map { my $n = $_; rough($server, $all / 4, @kinds[$n .. $#kinds, 0 .. $n - 1]) } 0, 5, 10, 15;
		my ($most, %done) = (0);
		wait_until(sub {
			my $now = grep { /^\Q@{[io_program('tlsd-io')]}\E [^Z]/ } group($server);
			$most = $now if $now > $most;
			sleep 0.1;
			return !grep { $_->running } @clients;
		}, 150);
		for my $client (@clients) {
			is(($client->wait_for_end(1) || {})->{exit}, 0, 'a client is done') or diag($client->log);
			my %some = counted($client);
			$done{$_} += $some{$_} for keys %some;
		}
		delete $done{longest};
		my %expected;
		$expected{$_} += $all / @kinds for @kinds;
		is_deeply(\%done, \%expected, 'every connection went as it should') or diag(map { $_->log } @clients);
		ok(wait_for_nobody($server, 30), 'nothing is left but the listener');
		is(ends($server) - $before, $all, 'every connection was counted');
		cmp_ok($most, '<=', 20, 'never more than -c');
		is(descriptors($server), $descriptors, 'descriptors as before');
		my $after = memory($server);
		is($after->{VmData}, $memory->{VmData}, 'data as before');
		cmp_ok($after->{RssAnon}, '<=', $memory->{RssAnon} + 64, 'memory as before');
		is($server->stop->{exit}, 0, 'the listener ends well');
	};
}

subtest 'floods while honest clients are served' => sub {
	my $server = listener('sslserver', 60);
	my ($descriptors, $memory) = (descriptors($server), memory($server));
	my @silent = map { connect_to($server->{port}) } 1 .. 30;
	my @begun = map { my $socket = connect_to($server->{port}); syswrite $socket, "\x16\x03\x01\x02\x00\x01"; $socket } 1 .. 10;
	my @garbage = map { rough($server, 400, qw(garbage http flight half reset)) } 1, 2;
	my $honest = rough($server, 150, 'good', 'large');
	wait_until(sub { !$honest->running || (sleep(0.05), 0) }, 60);
	my %done = counted($honest);
	is($done{good}, 75, 'all are served');
	is($done{large}, 75, 'large answers too');
	cmp_ok($done{longest} // 99, '<', 3, 'none has to wait long');
	ok($_->wait_for_end(60), 'a flood is over') for @garbage;
	close $_ for @silent, @begun;
	ok(wait_for_nobody($server, 20), 'nothing is left but the listener');
	is(descriptors($server), $descriptors, 'descriptors as before');
	cmp_ok(memory($server)->{RssAnon}, '<=', $memory->{RssAnon} + 64, 'memory as before');
	my $words = () = $server->log =~ /^tlsd-io: error: unable to speak TLS from: 127\.0\.0\.1 for pid: \d+: (?:handshake timed out|peer ended the connection during the handshake)$/mg;
	cmp_ok($words, '>=', 40, 'and the silent ones are in the log');
	is($server->stop->{exit}, 0, 'the listener ends well');
};

subtest 'no descriptors left' => sub {
	my $server = listener('sslserver', 20);
	my $limit = sub { return system('prlimit', '--pid', $server->{pid}, "--nofile=$_[0]:") == 0 };
	plan skip_all => 'no prlimit' unless $limit->(64);
	my $descriptors = descriptors($server);
	my $good = sub { my $client = rough($server, 1, 'good'); $client->wait_for_end(15); my %done = counted($client); return $done{good} };
	ok($good->(), 'a server');
	my %seen;
	for my $n (3 .. 14) {
		$limit->($n);
		my $before = length $server->log;
		my $socket = connect_to($server->{port});
		my $said = wait_until(sub { my ($line) = substr($server->log, $before) =~ /^(.*Too many open files|sslserver: ended by .*)$/m; $line }, 3);
		$seen{ $said =~ /accept/ ? 'accept' : $said =~ /Too many/ ? 'child' : 'other' }++ if $said;
		close $socket;
		ok($server->running, "with $n: the listener goes on");
		$limit->(64);
		ok($good->(), 'and serves as soon as it can');
	}
	ok($seen{accept}, 'it ran out of descriptors');
	ok($seen{child}, 'and so did its children') or diag(join ' ', %seen);
	ok(wait_for_nobody($server, 15), 'nothing is left but the listener');
	is(descriptors($server), $descriptors, 'descriptors as before');
	is($server->stop->{exit}, 0, 'the listener ends well');
};

# ---- in mid-transfer ----

my $server_py = spew(temporary('server.py'), <<'PY');
import socket, ssl, struct, sys
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[1], sys.argv[2])
how = sys.argv[3]
listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
while True:
    connection, _ = listener.accept()
    try:
        tls = context.wrap_socket(connection, server_side=True)
        moved = 0
        while moved < 2000000:
            if how != "receiving":
                tls.sendall(b"s" * 50000)
                moved += 50000
            if how != "sending":
                moved += len(tls.recv(50000))
        tls.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        tls.close()
    except OSError as why:
        print(why, file=sys.stderr, flush=True)
PY

subtest 'reset in mid-transfer' => sub {
	# By the client, while the server's program sends, receives, or does both.
	my %progs = (
		sending => ['sh', '-c', 'exec cat /dev/zero'], receiving => ['sh', '-c', 'echo begin; exec cat >/dev/null'], both => ['sh', '-c', 'cat >/dev/null & exec cat /dev/zero'],
	);
	my $client_py = spew(temporary('client.py'), <<'PY');
import socket, ssl, struct, sys
context = ssl.create_default_context(cafile=sys.argv[2])
tls = context.wrap_socket(socket.create_connection(("127.0.0.1", int(sys.argv[1])), 10), server_hostname="localhost")
moved, how = 0, sys.argv[3]
while moved < 2000000:
    if how != "sending":
        tls.sendall(b"c" * 50000)
        moved += 50000
    if how != "receiving":
        moved += len(tls.recv(50000))
tls.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
tls.close()
PY
	for my $how (sort keys %progs) {
		my $server = sslserver({ pair => 'server-p256' }, [], @{ $progs{$how} });
		for my $round (1 .. 5) {
			is(run({ timeout => 20 }, 'python3', $client_py, $server->{port}, file('root.pem'), $how)->{exit}, 0, "by a client, server $how");
			ok(wait_for_nobody($server, 10), 'nothing is left');
		}
		is(ends($server), 5, 'all have ended');
		$server->stop;
	}
	# By the server, while the program of our client sends, receives, or does both.
	my %clients = (
		receiving => ['sh', '-c', 'exec cat /dev/zero >&7'], sending => ['sh', '-c', 'exec cat <&6 >/dev/null'], both => ['sh', '-c', 'cat <&6 >/dev/null & exec cat /dev/zero >&7'],
	);
	for my $how (sort keys %clients) {
		my $peer = serve('python3', $server_py, file('server-p256.pem'), file('server-p256.key'), $how);
		for my $round (1 .. 5) {
			my $client = start({ env => { CAFILE => file('root.pem') } }, command('sslclient'), 'localhost', $peer->{port}, @{ $clients{$how} });
			my $end = $client->wait_for_end(10);
			ok($end && defined $end->{exit}, "by a server, $how: our client ends");
			like($end->{exit} // '', qr/\A(0|98|1|141)\z/, 'with an exit code that says so');
			ok(wait_until(sub { !group($client) }, 5), 'nothing is left');
		}
		$peer->stop;
	}
	# By SIGKILL in our own midst.
	for my $victim ('prog', 'tlsd-io') {
		my $server = sslserver({ pair => 'server-p256' }, [], 'sh', '-c', 'exec cat /dev/zero');
		my $client = start({ env => { CAFILE => file('root.pem') } }, command('sslclient'), 'localhost', $server->{port}, 'sh', '-c', 'exec head -c 1000000000 <&6 >/dev/null');
		my $io = $server->wait_for_log(qr/^sslserver: ok (\d+) /m);
		my $prog;
		wait_until(sub { ($prog) = split ' ', slurp("/proc/$io/task/$io/children"); $prog && slurp("/proc/$prog/comm") eq "cat\n" }, 5);
		sleep 0.3;
		kill 'KILL', $victim eq 'prog' ? $prog : $io;
		my $end = $client->wait_for_end(10);
		ok($end && defined $end->{exit}, "$victim is killed: the client ends");
		ok(wait_for_nobody($server, 10), 'nothing is left');
		is(connection($server)->{status}, $victim eq 'prog' ? 137 << 8 : 9, 'and it is said');
		$server->stop;
	}
};

# perl flow R W SECONDS RESULT: sends for so long on W and receives on R until it ends; says how much and its digest, each way, in RESULT.*
my $flow = spew(temporary('flow'), <<'PERL');
use strict; use Digest::SHA; use Time::HiRes 'time';
my ($r, $w, $seconds, $result) = @ARGV;
open my $in, '<&=', $r or die; open my $out, '>&=', $w or die; binmode $in; binmode $out;
$SIG{PIPE} = 'IGNORE';
sub say_so { my ($name, $all, $digest) = @_; open my $f, '>', "$result.$name.new" or die; print $f "$all ", $digest->hexdigest, "\n"; close $f or die; rename "$result.$name.new", "$result.$name" or die }
my $digest = Digest::SHA->new(256);
my $all = 0;
my $child = fork // die;
if (!$child) {
	close $in;
	open my $random, '<', '/dev/urandom' or die;
	read $random, my $pool, 1 << 20 or die;
	my $until = time + $seconds;
	for (my $i = 0; time < $until; $i++) {
		my $n = (1, 100, 1400, 4096, 16384, 65536, 100000)[$i % 7];
		my $block = substr $pool, ($i * 7919) % 900000, $n;
		$digest->add($block);
		$all += length $block;
		while (length $block) { my $wrote = syswrite $out, $block; die "write: $!" unless $wrote; substr $block, 0, $wrote, '' }
	}
	close $out;
	say_so('sent', $all, $digest);
	exit 0;
}
close $out;
while (sysread $in, my $piece, 65536) { $digest->add($piece); $all += length $piece }
say_so('received', $all, $digest);
waitpid $child, 0;
exit $? ? 1 : 0;
PERL

subtest 'both directions at once for a minute' => sub {
	my $seconds = 60;
	my ($at_server, $at_client) = map { temporary("flow-$_") } 'server', 'client';
	my $server = sslserver({ pair => 'server-p256' }, [], 'nice', '-n', '5', 'perl', $flow, 0, 1, $seconds, $at_server);
	my $client = start({ env => { CAFILE => file('root.pem') } }, command('sslclient'), 'localhost', $server->{port}, 'nice', '-n', '5', 'perl', $flow, 6, 7, $seconds, $at_client);
	my $io = $server->wait_for_log(qr/^sslserver: ok (\d+) /m);
	my $resident = sub { return slurp("/proc/$_[0]/status") =~ /^VmRSS:\s*(\d+) kB/m ? $1 : -1 };
	sleep 5;
	my @early = map { $resident->($_) } $io, $client->{pid};
	sleep $seconds - 15;
	my @late = map { $resident->($_) } $io, $client->{pid};
	my $end = $client->wait_for_end(60);
	is($end && $end->{exit}, 0, 'exit 0 of the client') or diag($client->log);
	is(connection($server)->{status}, 0, 'status 0 of the server') or diag($server->log);
	is(slurp("$at_server.received"), slurp("$at_client.sent"), 'what the client sent has arrived');
	is(slurp("$at_client.received"), slurp("$at_server.sent"), 'and what the server sent');
	my ($up) = slurp("$at_client.sent") =~ /^(\d+)/;
	my ($down) = slurp("$at_server.sent") =~ /^(\d+)/;
	cmp_ok($_ // 0, '>', 100 << 20, 'more than 100 MiB') for $up, $down;
	note(sprintf '%.1f and %.1f MB/s', map { ($_ // 0) / $seconds / 1e6 } $up, $down);
	for my $i (0, 1) {
		cmp_ok($late[$i], '>', 0, ('tlsd-io', 'tlsc-io')[$i] . ' runs');
		cmp_ok($late[$i], '<=', $early[$i] + 64, 'and has not grown');
	}
	$server->stop;
};

done_testing;
