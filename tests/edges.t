#!/usr/bin/perl
# Edges of the TLS programs: cleartext on sockets, on one descriptor, on descriptors that fail; ends with nobody left to read; certificate
# paths and keys of unusual form; settings nobody understands; small limits; what is left in memory, awake or running afterwards.
use strict;
use warnings;
use Fcntl qw(F_DUPFD O_RDONLY O_WRONLY);
use FindBin;
use lib "$FindBin::Bin/lib", "$FindBin::Bin/lib/peers";
use Bear;
use BearTls;
use IO::Select;
use IO::Socket::IP;
use Peers;
use POSIX ();
use Socket qw(AF_UNIX PF_UNSPEC SOCK_STREAM);
use Test::More;
use Time::HiRes qw(sleep time);

my $openssl = peer('openssl');
my $bearssl = peer('bearssl');
plan skip_all => 'no C compiler, or libssl-dev or libbearssl-dev missing' unless $openssl && $bearssl;
$SIG{PIPE} = 'IGNORE';

my ($minor) = newest() =~ /(\d)\z/;
my $open = qr/\Aopen .*TLSv?1\.[2$minor].*\n/;    # the peer of BearSSL knows 1.2 only
$ENV{PEER_VERSION} = newest();

# ---- io programs without a link before them ----

sub tcp_pair {
	my $listening = IO::Socket::IP->new(LocalHost => '127.0.0.1', Listen => 1, Type => SOCK_STREAM, Timeout => 10) or die "listen: $!";
	my $one = connect_to($listening->sockport) or die "connect: $!";
	return ($one, scalar $listening->accept);
}

sub unix_pair {
	socketpair my $one, my $other, AF_UNIX, SOCK_STREAM, PF_UNSPEC or die "socketpair: $!";
	return ($one, $other);
}

# start with descriptors: { number => handle }. They are to be closed here by whoever made them.
sub start_on {
	my ($handles, $options, @command) = @_;
	my %kept = map { $_ => fcntl($handles->{$_}, F_DUPFD, 100) || die "F_DUPFD: $!" } keys %$handles;
	my $process = start({ %$options, before => sub {
		POSIX::dup2($kept{$_}, $_) for keys %kept;
		POSIX::close($_) for values %kept;
		$options->{before}->() if $options->{before};
	} }, @command);
	POSIX::close($_) for values %kept;
	return $process;
}

# An io program in front of a peer that takes steps. side 'server': tlsd-io with the network on 0 and 1; 'client': tlsc-io, network on 6
# and 7. on: its other descriptors; words: its options and operands; command: what to run instead. Gives ours and the peer.
sub in_front_of {
	my ($side, $p) = @_;
	my $library = peer($p->{peer} || 'openssl');
	my $tls = $side eq 'server' ? pair('server-p256') : { CAFILE => file('root.pem') };
	my ($network, $peer, @numbers);
	if ($side eq 'server') {
		my $listening = IO::Socket::IP->new(LocalHost => '127.0.0.1', Listen => 1, Type => SOCK_STREAM, Timeout => 10) or die "listen: $!";
		$peer = start({ env => { PEER_AUTHORITIES => file('root.pem'), PEER_NAME => 'localhost' } }, $library, 'client', $listening->sockport, @{ $p->{steps} });
		$network = $listening->accept or die "accept: $!";
		@numbers = (0, 1);
	} else {
		$peer = serve({}, $library, 'server', file('server-p256.pem'), file('server-p256.key'), @{ $p->{steps} });
		$network = connect_to($peer->{port}) or die "connect: $!";
		@numbers = (6, 7);
	}
	my @command = $p->{command} ? @{ $p->{command} } :
		$side eq 'server' ? (command(io_program('tlsd-io')), @{ $p->{words} }) : (command(io_program('tlsc-io')), '-k', 'localhost', @{ $p->{words} || [] }, 6, 7);
	my $ours = start_on({ %{ $p->{on} || {} }, map { $_ => $network } @numbers }, { before => $p->{before}, env => { %$tls, %{ $p->{env} || {} } } }, @command);
	return ($ours, $peer);
}

# All that the peer said, once it has ended; a server's lines begin behind its port.
sub lines_of {
	my ($peer, $seconds) = @_;
	return read_all($peer->{pipe}, $seconds || 10) if $peer->{pipe};
	$peer->wait_for_end($seconds || 10);
	return slurp($peer->{out});
}

# How ours ended: its exit code, or words.
sub exit_of {
	my ($process, $seconds) = @_;
	my $end = $process->wait_for_end($seconds || 10) or return 'still running';
	return $end->{exit} // "signal $end->{signal}";
}

sub told { return diag("ours:\n", $_[0]->log, "\npeer:\n", $_[1] // '') }

# ---- nobody there to read ----

for my $case (['a peer that sends 3 MiB and close_notify', [qw(send 3145728 notify readall)]], ['a silent peer', [qw(readall)]]) {
	my ($name, $steps) = @$case;
	subtest "TLS_CLOSE=wait, prog gone, $name" => sub {
		for my $side ('server', 'client') {
			my $result = meet({ side => $side, peer => 'openssl', env => { TLS_CLOSE => 'wait' }, prog => ['true'], steps => $steps, timeout => 12 });
			ok(!$result->{hung}, "our $side: both ended");
			cmp_ok($result->{seconds}, '<', 5, "our $side: soon");
			is($result->{exit}, 0, "our $side: exit 0") or diag("$result->{peer}\n$result->{log}");
		}
	};
}

subtest 'TLS_CLOSE=wait: time that the peer takes to end is not TLS_LINGER' => sub {
	for my $n (1, 3) {
		my $result = meet({ side => 'server', peer => 'openssl', env => { TLS_CLOSE => 'wait', TLS_LINGER => 1 },
			app => ['send', $n, 'closeout', 'readall'], steps => ['read', $n, qw(pause 1500 notify readall)] });
		is($result->{exit}, 0, "$n bytes: exit 0") or diag($result->{log});
		like($result->{peer}, qr/${open}received $n\nreceived $n\nend close_notify\n\z/, "$n bytes: the peer");
	}
};

# ---- cleartext on a TCP socket ----

for my $side ('server', 'client') {
	subtest "cleartext on a TCP socket, our $side: a local client that still sends when the peer ends gets every byte" => sub {
		my ($local, $plain) = tcp_pair();
		my ($ours, $peer) = in_front_of($side, { on => $side eq 'server' ? { 3 => $plain, 4 => $plain } : { 0 => $plain, 1 => $plain }, words => $side eq 'server' ? [3, 4] : [],
			steps => [qw(read 10 send 6000000 notify say sent readall)] });
		close $plain;
		my $writer = start_on({ 1 => $local }, {}, application(0, 1, 'feed'));
		sleep 1.5;    # a slow reader: by now all that fits into buffers is in them
		my ($n, $deadline, $error) = (0, time + 15, '');
		while (time < $deadline && IO::Select->new($local)->can_read($deadline - time)) {
			my $got = sysread $local, my ($bytes), 65536;
			$error = "$!" unless defined $got;
			last unless $got;
			$n += $got;
			sleep 0.002;
		}
		is($error, '', 'no error');
		is($n, 6000000, 'all of it');
		close $local;
		$writer->stop;
		is(exit_of($ours), 0, 'exit 0') or told($ours);
		like(lines_of($peer), qr/received 10\nsent\nreceived \d+\nend /, 'the peer');
	};
}

# ---- cleartext descriptors that fail ----

subtest 'standard output that takes nothing' => sub {
	sysopen my $full, '/dev/full', O_WRONLY or plan skip_all => 'no /dev/full';
	pipe my $reader, my $writer or die "pipe: $!";    # an end of standard input would be an end in good order
	my ($ours, $peer) = in_front_of('client', { on => { 0 => $reader, 1 => $full }, steps => [qw(send 100000 readall)] });
	is(exit_of($ours), 111, 'exit 111');
	my $lines = lines_of($peer);
	like($ours->log, qr/^tlsc-io: fatal: .*No space left on device$/m, 'in words');
	like($lines, qr/${open}received 0\nend alert 80\n\z/, 'the peer is told of an internal error, no end in good order') or told($ours, $lines);
};

subtest 'standard input that is a directory' => sub {
	sysopen my $directory, temporary(), O_RDONLY or die "open: $!";
	my ($ours, $peer) = in_front_of('client', { on => { 0 => $directory }, steps => [qw(readall)] });
	is(exit_of($ours), 111, 'exit 111');
	my $lines = lines_of($peer);
	like($ours->log, qr/^tlsc-io: fatal: .*Is a directory$/m, 'in words');
	like($lines, qr/${open}received 0\nend alert 80\n\z/, 'the peer is told of an internal error, no end in good order') or told($ours, $lines);
};

subtest 'operands that are not open' => sub {
	for my $case (['tlsd-io', '50', '51'], ['tlsc-io', '50', '51'], ['tlsd-io', '0', '51']) {
		my ($program, @operands) = @$case;
		my $result = run({ env => pair('server-p256', CAFILE => file('root.pem')) }, command(io_program($program)), '-k', $program eq 'tlsc-io' ? 'localhost' : '0', @operands);
		is($result->{exit}, 100, "$program @operands: exit 100") or diag($result->{err});
		like($result->{err}, qr/^\Q$program\E: usage: /m, "$program @operands: in words");
	}
};

# ---- one descriptor, or one socket on two, for both cleartext directions ----

for my $case (['one descriptor', 3, 3], ['two descriptors of one socket', 3, 4]) {
	my ($name, @operands) = @$case;
	subtest "$name: the reply after the peer's close_notify is complete" => sub {
		my ($application, $plain) = unix_pair();
		my ($ours, $peer) = in_front_of('server', { peer => 'bearssl', on => { $operands[0] => $plain, $operands[1] => $plain, 5 => $application },
			steps => [qw(send 200000 notify readall)],
			command => ['sh', '-c', 'io=$1 read=$2 write=$3; shift 3; "$@" <&5 >&5 3<&- 4<&- 5<&- & exec "$io" -p $! "$read" "$write" 5<&-', 'sh',
				command(io_program('tlsd-io')), @operands, application(0, 1, qw(readall send 3000000 exit 5))] });
		close $_ for $application, $plain;
		my $lines = lines_of($peer);
		like($lines, qr/${open}received 3000000\nend close_notify\n\z/, 'the peer') or told($ours, $lines);
		is(exit_of($ours), 5, "prog's exit code");
		like($ours->log, qr/input ended\napplication: received 200000\n/, 'the request was complete');
	};
}

subtest 'a network that dies while an application on one socket only writes' => sub {
	my ($application, $plain) = unix_pair();
	my ($ours, $peer) = in_front_of('server', { on => { 3 => $plain, 4 => $plain }, words => [3, 4], steps => [qw(send 600000 pause 300 reset)] });
	close $plain;
	my $writer = start_on({ 1 => $application }, {}, application(0, 1, qw(feed say done)));
	close $application;
	is($writer->wait_for_log(qr/send failed: (.*)/, 8), 'Broken pipe', 'it is told');
	like(exit_of($ours), qr/\A(0|98)\z/, 'the io program ends');
	is(exit_of($writer), 0, 'the application goes on');
};

# ---- paths of certificates ----

# NAME.pem and NAME.key, of a key of their own. issuer: path without ending; extensions: a section of pki()'s openssl.cnf.
my $leaf_subject = '/O=Bear Test/CN=localhost';
sub certify {
	my ($name, $subject, $extensions, $issuer, @key) = @_;
	my $path = temporary($name);
	@key = qw(EC -pkeyopt ec_paramgen_curve:P-256) unless @key;
	openssl('genpkey', '-out', "$path.key", '-algorithm', @key);
	openssl('req', '-config', file('openssl.cnf'), '-new', '-key', "$path.key", '-out', "$path.csr", '-subj', $subject);
	openssl('x509', '-req', '-in', "$path.csr", '-out', "$path.pem", '-days', 30, '-CA', "$issuer.pem", '-CAkey', "$issuer.key", '-CAserial', temporary('serial'),
		'-CAcreateserial', '-extfile', file('openssl.cnf'), '-extensions', $extensions);
	return $path;
}

# What tlsc says of a server on OpenSSL with that leaf and those behind it: exit code and log. Its prog does nothing but succeed.
sub judge {
	my ($leaf, $behind, %env) = @_;
	my @chain = @$behind ? ('-cert_chain', spew(temporary('behind.pem'), join '', map { slurp("$_.pem") } @$behind)) : ();
	my $server = start('openssl', 's_server', '-accept', '127.0.0.1:0', '-cert', "$leaf.pem", '-key', "$leaf.key", @chain, '-tls1_2', '-www');
	wait_until(sub { ($server->{port}) = slurp($server->{out}) =~ /^ACCEPT .*:(\d+)$/m }, 10) or die 's_server: ' . $server->log;
	my $result = run({ env => { CAFILE => file('root.pem'), %env } }, command('tcpclient'), '127.0.0.1', $server->{port}, command('tlsc'), '-k', 'localhost', 'true');
	$server->stop;
	return $result;
}

subtest 'paths of certificates' => sub {
	my $renewed = certify('renewed', '/O=Bear Test/CN=Root RSA', 'authority', file('root'));    # the anchor's name, a new key
	my $after = certify('after', $leaf_subject, 'server', $renewed);
	is(judge($after, [$renewed])->{exit}, 0, 'a new key of the authority, signed by its old one: accepted');
	is(judge($after, [$renewed, file('root')])->{exit}, 0, 'the same with the anchor behind it');
	is(judge($after, [])->{exit}, 98, 'not without that certificate');

	my ($via, $between, $direct) = map { file($_) } qw(via-p256 intermediate server-p256);
	my @extra = map { file($_) } qw(other-root root-ec expired wrong-name root);
	is(judge($via, [$between], VERIFYDEPTH => 1)->{exit}, 0, 'VERIFYDEPTH=1 and one intermediate');
	is(judge($via, [$between, @extra], VERIFYDEPTH => 1)->{exit}, 0, 'more certificates than the path needs do not count');
	is(judge($direct, [@extra], VERIFYDEPTH => 0)->{exit}, 0, 'VERIFYDEPTH=0: nor where the path needs none');
	my $refused = judge($via, [$between], VERIFYDEPTH => 0);
	is($refused->{exit}, 98, 'VERIFYDEPTH=0 and one intermediate: refused');
	like($refused->{err}, qr/^tlsc-io: error: unable to speak TLS to: .*/m, 'and in words') or diag($refused->{err});
};

# ---- keys and signatures ----

sub shake {
	my ($name, $env, @arguments) = @_;
	my $server = serve({ env => $env }, command('tcpserver'), '-1', '127.0.0.1', '0', command('tlsd'), 'echo', 'served');
	my $result = s_client({}, $server->{port}, '-tls1_2', @arguments);
	ok(($result->{exit} // -1) == 0 && $result->{out} =~ /^served$/m, $name) or diag($result->{err}, $server->log);
	$server->stop;
	return $result;
}

subtest 'signatures with SHA-512 only' => sub {
	my $result = shake('RSA', pair('server-rsa'), '-sigalgs', 'RSA+SHA512');
	like($result->{out}, qr/^Peer signing digest: SHA512$/m, 'RSA: it is one');
	my $p521 = certify('p521', $leaf_subject, 'server', file('root'), qw(EC -pkeyopt ec_paramgen_curve:P-521));
	$result = shake('a key on P-521', { CERTFILE => "$p521.pem", KEYFILE => "$p521.key" }, '-sigalgs', 'ECDSA+SHA512');
	like($result->{out}, qr/^Peer signing digest: SHA512$/m, 'a key on P-521: it is one');
};

subtest 'forms of key and certificate files' => sub {
	my $bare = temporary('bare.key');
	openssl('ec', '-in', file('server-p256.key'), '-no_public', '-out', $bare);
	cmp_ok(length slurp($bare), '<', length slurp(file('server-p256.sec1.key')), 'a key without its public point');
	shake('it works', { CERTFILE => file('server-p256.pem'), KEYFILE => $bare });
	my $turned = spew(temporary('turned.pem'), slurp(file('intermediate.pem')) . slurp(file('via-p256.pem')));
	shake("the authority first: $_", { $_ => $turned, KEYFILE => file('via-p256.key') }) for 'CERTFILE', 'CERTCHAINFILE';
	shake('both', { CERTCHAINFILE => $turned, KEYFILE => $bare });
};

# ---- settings that nobody understands ----

subtest 'a server that cannot be configured tells its client' => sub {
	my ($ours, $peer) = in_front_of('server', { words => [3, 4], on => { 3 => \*STDIN, 4 => \*STDERR }, env => { TLS_CLOSE => 'bogus' }, steps => ['readall'] });
	my $lines = lines_of($peer);
	like($lines, qr/\Ahandshake failed alert 80\n\z/, 'alert internal_error') or told($ours, $lines);
	is(exit_of($ours), 96, 'exit 96');
	like($ours->log, qr/^tlsd-io: fatal: .*bogus/m, 'the log names the value');
};

subtest 'settings for client certificates are checked where none is asked for' => sub {
	for my $case (['TLS_VERIFY', 'bogus'], ['VERIFYDEPTH', 'x']) {
		my ($name, $value) = @$case;
		my $check = run({ env => pair('server-p256', $name => $value) }, command(io_program('tlsd-io')), '-C', 0, 1);
		is($check->{exit}, 96, "$name=$value with -C: exit 96");
		like($check->{err}, qr/^tlsd-io: fatal: .*$name.*\b$value\b/m, 'and named') or diag($check->{err});
		my ($ours, $peer) = in_front_of('server', { words => [3, 4], on => { 3 => \*STDIN, 4 => \*STDERR }, env => { $name => $value }, steps => ['readall'] });
		is(exit_of($ours), 96, "$name=$value with a connection: exit 96");
		like(lines_of($peer), qr/handshake failed/, 'and no handshake');
	}
};

# ---- signals ----

subtest 'signals that were ignored at the start stay ignored' => sub {
	pipe my $reader, my $writer or die "pipe: $!";
	open my $file, '>', temporary('reply') or die "reply: $!";
	my ($ours, $peer) = in_front_of('client', { on => { 0 => $reader, 1 => $file }, before => sub { $SIG{$_} = 'IGNORE' for 'INT', 'HUP' },
		steps => [qw(read 10 send 100000 notify readall)] });
	close $reader;
	my $first = read_line($peer->{pipe}, 5) // '';
	like("$first\n", $open, 'the handshake is done');
	kill $_, $ours->{pid} for 'INT', 'HUP';
	sleep 0.2;
	syswrite $writer, pack 'C*', 0 .. 9;
	wait_until(sub { -s temporary('reply') == 100000 }, 5);
	close $writer;
	is(exit_of($ours), 0, 'exit 0') or told($ours);
	is(-s temporary('reply'), 100000, 'the whole reply');
	like(lines_of($peer), qr/\Areceived 10\nreceived 10\nend close_notify\n\z/, 'the peer');
};

# ---- alerts in unusual records ----

for my $case (['user_canceled and close_notify in one record', [qw(record 21 015a0100 1)]], ['close_notify in two records of one byte', [qw(record 21 01 1 record 21 00 1)]]) {
	my ($name, $records) = @$case;
	subtest $name => sub {
		return if cannot('openssl', 'alerts that share a record or come in parts are refused');
		for my $side ('server', 'client') {
			my $result = meet({ side => $side, peer => 'bearssl', tls => ['-J'], app => [qw(readall send 50000)], steps => ['send', 1000, @$records, 'readall'] });
			is($result->{exit}, 0, "our $side: exit 0") or diag("$result->{peer}\n$result->{log}");
			like($result->{peer}, qr/received 50000\nend close_notify\n\z/, "our $side: the whole reply");
			like($result->{log}, qr/input ended\napplication: received 1000\n/, "our $side: the whole request");
		}
	};
}

# ---- small limits, standard descriptors ----

subtest 'a hard limit of 12 descriptors, as somebody without rights' => sub {
	my $become = sub { return if $>; $) = '65534 65534'; $( = 65534; ($<, $>) = (65534, 65534) };
	plan skip_all => 'another uid cannot run the programs here' if run({ before => $become }, 'test', '-x', command(io_program('tlsd-io')))->{exit};
	my $limited = sub { return ('sh', '-c', 'ulimit -n 12 && exec "$@"', 'sh', @_) };
	my ($application, $plain) = unix_pair();
	my ($ours, $peer) = in_front_of('server', { on => { 3 => $plain, 4 => $plain }, before => $become, steps => [qw(send 1000 readall)],
		command => [$limited->(command(io_program('tlsd-io')), 3, 4)] });
	close $plain;
	my $user = start_on({ 0 => $application, 1 => $application }, {}, application(0, 1, qw(read 1000 send 2000)));
	close $application;
	my $lines = lines_of($peer);
	like($lines, qr/${open}received 2000\nend close_notify\n\z/, 'tlsd-io') or told($ours, $lines);
	is(exit_of($ours), 0, 'tlsd-io: exit 0');
	($ours, $peer) = in_front_of('client', { before => $become, steps => [qw(send 1000 notify readall)], command => [$limited->(command(io_program('tlsc-io')), '-k', 'localhost', 6, 7)] });
	$lines = lines_of($peer);
	like($lines, qr/${open}received 0\nend close_notify\n\z/, 'tlsc-io') or told($ours, $lines);
	is(exit_of($ours), 0, 'tlsc-io: exit 0');
	is(-s $ours->{out}, 1000, 'tlsc-io: all of it');
};

subtest 'a usage error where 0, 1 and 2 are the connection' => sub {
	for my $pair ([unix_pair()], [tcp_pair()]) {
		my ($far, $near) = @$pair;
		for my $command ([command('tlsd')], [command('tlsd'), '-q', 'true'], [command(io_program('tlsd-io'))], [command(io_program('tlsd-io')), 'x', 'y']) {
			my $process = start_on({ map { $_ => $near } 0, 1, 2 }, { env => pair('server-p256') }, @$command);
			my ($program, @rest) = @$command;
			is(exit_of($process), 100, "$program @rest: exit 100" =~ s{^.*/}{}r);
		}
		close $near;
		is(read_all($far, 5), '', 'nothing reaches the peer');
	}
};

# ---- what is left ----

# Which of the named byte strings are anywhere in the memory of a process; undef if it cannot be read.
sub found_in_memory {
	my ($pid, %wanted) = @_;
	my ($read, %found) = (0);
	open my $memory, '<:raw', "/proc/$pid/mem" or return undef;
	for my $line (split /\n/, slurp("/proc/$pid/maps")) {
		my ($from, $to, $name) = $line =~ /^([0-9a-f]+)-([0-9a-f]+) r\S+ \S+ \S+ \S+\s*(.*)/ or next;
		next if $name =~ /^\[(vvar|vsyscall|vdso)/;
		no warnings 'portable';
		my ($at, $n) = (hex $from, hex($to) - hex($from));
		next unless sysseek($memory, $at, 0) && sysread $memory, my ($bytes), $n;
		$read += length $bytes;
		index($bytes, $wanted{$_}) >= 0 and $found{$_} = 1 for keys %wanted;
	}
	return $read ? join ' ', sort keys %found : undef;
}

subtest 'no key in memory while prog is waited for' => sub {
	plan skip_all => 'not root, or no /proc/PID/mem' if $> || !-e "/proc/$$/mem";
	plan skip_all => 'too much address space' if $ENV{SANITIZED};
	my ($digits) = openssl('pkey', '-in', file('server-p256.key'), '-noout', '-text') =~ /priv:\s*((?:[0-9a-f]{2}[:\s]*)+)pub/ or die 'no private key';
	my $scalar = pack 'H*', $digits =~ s/[:\s]//gr;
	my ($base64) = slurp(file('server-p256.key')) =~ /^([^-\n]{40})/m;
	my %wanted = (first => substr($scalar, -32, 16), last => substr($scalar, -16), file => $base64);
	my $waits = sub {
		my (%env) = @_;
		my ($far, $near) = unix_pair();
		# A shell drops variables whose names it could not set.
		my @named = map { "$_=$env{$_}" } grep { /:/ } keys %env;
		my $process = start_on({ 0 => $near, 1 => $near, 3 => \*STDIN, 4 => \*STDERR }, { env => pair('server-p256', %env) },
			'sh', '-c', 'sleep 20 <&- >&- 2>&- 3<&- 4<&- & echo $! >"$1"; shift; exec "$@" -p $! 3 4', 'sh', temporary('prog'), 'env', @named, command(io_program('tlsd-io')));
		return ($process, $far);
	};
	my $ends = sub {
		my ($process, $exit) = @_;
		kill 'TERM', slurp(temporary('prog'));
		return is(exit_of($process), $exit, "exit $exit");
	};

	# Before the handshake the key is needed, so that the search must find it.
	my ($process, $far) = $waits->();
	my $asleep = sub { return slurp("/proc/$process->{pid}/status") =~ /^Name:\s*@{[substr io_program('tlsd-io'), 0, 15]}\n.*^State:\s*S/ms };
	wait_until($asleep, 5);
	like(found_in_memory($process->{pid}, %wanted) // 'unreadable', qr/^(first|last|file)/, 'it is there before the handshake');
	shutdown $far, 1;
	$ends->($process, 98);

	# With several keys, those that are not for the name are gone as soon as it is known: a client that stops behind its ClientHello.
	for my $case ([undef, ''], ['name.test', 'first']) {
		my ($name, $kept) = @$case;
		($process, $far) = $waits->(%{ pair('server-rsa') }, 'CERTFILE:name.test' => file('server-p256.pem'), 'KEYFILE:name.test' => file('server-p256.key'));
		my $listener = IO::Socket::IP->new(LocalHost => '127.0.0.1', Listen => 1) or die $@;
		my $client = start('openssl', 's_client', '-connect', '127.0.0.1:' . $listener->sockport, defined $name ? ('-servername', $name) : '-noservername');
		my $hello = Bear::read_some(scalar $listener->accept, time + 5);
		wait_until($asleep, 5);
		like(found_in_memory($process->{pid}, %wanted), qr/first/, 'a key by name is there before the ClientHello');
		syswrite $far, $hello;
		ok(defined Bear::read_some($far, time + 5), 'behind it the server has answered');
		wait_until($asleep, 5);
		$kept ? like(found_in_memory($process->{pid}, %wanted), qr/$kept/, 'and keeps the key for the name') : is(found_in_memory($process->{pid}, %wanted), '', 'and nothing is left of a key for another name');
		shutdown $far, 1;
		$ends->($process, 98);
		$client->stop;
	}

	for my $case (['TLS_UID', 'x'], ['SSL_CHROOT', temporary('nowhere')], ['TLS_CLOSE', 'bogus'], ['CIPHERS', 'bogus'], ['VERIFYDEPTH', 'x']) {
		my ($name, $value) = @$case;
		($process, $far) = $waits->($name => $value);
		shutdown $far, 1;
		like($process->wait_for_log(qr/^tlsd-io: fatal: (.*)/m, 5), qr/\Q$name\E|\Q$value\E/, "$name=$value is refused");
		read_all($far, 3);    # the alert; then it waits
		wait_until($asleep, 3);
		is(found_in_memory($process->{pid}, %wanted), '', "$name: nothing of it");
		$ends->($process, 96);
	}
};

# A number as a library may have it in memory: bytes in both orders, and words of so many bits, the lowest first.
sub forms_of {
	my ($digits) = @_;
	my $bytes = pack('H*', $digits) =~ s/^\0+//r;
	my $bits = reverse unpack 'B*', $bytes;
	my %form = (bytes => $bytes, 'bytes from behind' => scalar reverse $bytes);
	for my $words ([15, 2], [31, 4], [62, 8]) {
		my ($width, $room) = @$words;
		$form{"words of $width bits"} = join '', map { pack 'b*', $_ . '0' x (8 * $room - length) } $bits =~ /(.{1,$width})/g;
	}
	return %form;
}

# Libraries compute with copies of their own, in their own form.
subtest 'no key in memory behind the handshake' => sub {
	plan skip_all => 'not root, or no /proc/PID/mem' if $> || !-e "/proc/$$/mem";
	plan skip_all => 'too much address space' if $ENV{SANITIZED};
	for my $case (['server-rsa', 'prime1', 'prime2', 'exponent1', 'exponent2', 'privateExponent'], ['server-p256', 'priv'], ['server-p384', 'priv']) {
		my ($pair, @numbers) = @$case;
		my $text = openssl('pkey', '-in', file("$pair.key"), '-noout', '-text');
		my %wanted;
		for my $number (@numbers) {
			my ($digits) = $text =~ /^$number:\s*((?:[0-9a-f]{2}[:\s]*)+)/m or die "no $number in $pair.key";
			my %form = forms_of($digits =~ s/[:\s]//gr);
			for (keys %form) {
				$wanted{"$number, its begin, in $_"} = substr $form{$_}, 0, 16;
				$wanted{"$number, its middle, in $_"} = substr $form{$_}, length($form{$_}) / 16 * 8 & ~7, 16;
			}
		}
		for my $version (versions()) {
			my $server = sslserver({ pair => $pair, env => { TLS_MAXVERSION => $version } }, ['-RH'], 'sh', '-c', 'echo here; exec sleep 20');
			my $client = start('openssl', 's_client', '-quiet', '-connect', "127.0.0.1:$server->{port}");
			ok(wait_until(sub { slurp($client->{out}) =~ /here/ }, 10), "$pair, $version: prog has begun") or diag($server->log);
			my $io = $server->wait_for_log(qr/^sslserver: ok (\d+) /m);
			is(found_in_memory($io, %wanted), '', 'and nothing of the key is left');
			$client->stop;
			$server->stop;
		}
	}
};

# Voluntary context switches: how often a process went to sleep.
sub wake_ups { return slurp("/proc/$_[0]/status") =~ /^voluntary_ctxt_switches:\s*(\d+)/m ? $1 : undef }

for my $case (['we have ended', [qw(closeout readall)], [qw(readall pause 2000 notify)]], ['the peer has ended', [qw(readall pause 2000)], [qw(notify readall)]]) {
	my ($name, $app, $steps) = @$case;
	subtest "a connection that is half closed and idle sleeps: $name" => sub {
		plan skip_all => 'no /proc' unless -e "/proc/$$/status";
		for my $side ('server', 'client') {
			my @counted;
			my $result = meet({ side => $side, peer => 'openssl', app => $app, steps => $steps, during => sub {
				my ($io, $application, $process) = @_;
				$process->wait_for_log($app->[0] eq 'closeout' ? qr/(closed output)/ : qr/(input ended)/, 5);
				sleep 0.4;
				@counted = (wake_ups($io));
				sleep 1;
				push @counted, wake_ups($io);
			} });
			ok(defined $counted[1] && $counted[0] == $counted[1], "our $side: not once in a second") or diag("@counted");
			is($result->{exit}, 0, "our $side: exit 0") or diag("$result->{peer}\n$result->{log}");
		}
	};
}

subtest 'sslserver, a prog that neither reads nor ends, and a client that vanishes' => sub {
	my $server = sslserver({ pair => 'server-p256', env => { SSL_UID => $> } }, [], 'sh', '-c', 'echo "prog $$" >&2; exec sleep 30');
	my $client = run({ env => { PEER_AUTHORITIES => file('root.pem'), PEER_NAME => 'localhost' } }, $bearssl, 'client', $server->{port}, qw(send 600000 reset));
	like($client->{out}, $open, 'the client was there');
	my $io = $server->wait_for_log(qr/^sslserver: ok (\d+)/m, 5);
	my $prog = $server->wait_for_log(qr/^prog (\d+)$/m, 5);
	ok($io && $prog, 'prog is there') or return diag($server->log);
	SKIP: {
		skip 'only root sees the descriptors of a process that is not dumpable', 1 if $>;
		my $pipes = sub { return scalar grep { (readlink // '') =~ /^pipe:/ } glob "/proc/$io/fd/*" };
		ok(wait_until(sub { $pipes->() == 1 }, 5), 'what prog would send is refused, what it does not read waits for it');
	}
	ok(kill(0, $prog) && kill(0, $io), 'it waits for prog');
	kill 'TERM', $prog;
	like($server->wait_for_log(qr/^sslserver: ended by $io status (\d+)$/m, 5) // 'none', qr/^\d+$/, 'sslserver is told of the end');
	ok(!kill(0, $prog) && !kill(0, $io), 'both are gone');
	$server->stop;
};

done_testing;
