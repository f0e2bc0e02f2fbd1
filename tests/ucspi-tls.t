#!/usr/bin/perl
# Delayed TLS, ucspi-tls(7): a program that talks in clear and asks for TLS over its control socket, as a server (sslserver -n, ucspitlsd)
# and as a client (sslclient -y, ucspitlsc); what it is told, what it gets, and every way in which it does not come to TLS.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Bear;
use BearTls;
use Digest::SHA qw(sha256_hex);
use IO::Socket::IP;
use Test::More;
use Time::HiRes qw(sleep);

plan skip_all => 'no python3 with ssl' if (run('python3', '-c', 'import ssl')->{exit} // 1) != 0;

my $root = file('root.pem');
my $linux = -r '/proc/self/fd';

# ---- programs that ask for TLS ----

# What they share. NOTES names the file to which they say what they saw.
my $lib = spew(temporary('program.pl'), <<'END');
use strict;
use warnings;
$| = 1;
$^F = 1000;    # descriptors that are opened by number stay open across exec, as they were
our ($ctl, $in, $out) = @ENV{qw(SSLCTLFD SSLREADFD SSLWRITEFD)};
our ($net_in, $net_out) = $ENV{CLIENT} ? (6, 7) : (0, 1);
# Log of what was seen, a line each.
sub note { open my $f, '>>', $ENV{NOTES} or die; syswrite $f, join(' ', @_) . "\n" }
# Numbers and names of what is open at the beginning.
our @open = map { m{(\d+)$} ? ([$1, readlink $_]) : () } glob '/proc/self/fd/*';
sub close_on_exec { my ($f) = @_; open my $i, '<', "/proc/self/fdinfo/$f" or die; my ($flags) = map { /^flags:\s*(\d+)/ } <$i>; return oct($flags) & oct('02000000') ? 1 : 0 }
our %close_on_exec = map { ($_ => close_on_exec($_)) } grep { defined } $ctl, $in, $out;
sub handle { open my $f, $_[1], $_[0] or die "$_[0]: $!"; return $f }
our $from = handle($net_in, '<&=');
our $to = handle($net_out, '>&=');
our ($control, $tls_from, $tls_to) = defined $ctl ? (handle($ctl, '+<&='), handle($in, '<&='), handle($out, '>&=')) : ();
# A line, byte by byte, so that nothing behind it is read; undef at the end.
sub line {
	my ($f) = @_;
	my $line = '';
	while (1) {
		return undef unless sysread $f, my $byte, 1;
		return $line if $byte eq "\n";
		$line .= $byte;
	}
}
sub say_to { my ($f, $text) = @_; my $at = 0; while ($at < length $text) { my $n = syswrite $f, $text, length($text) - $at, $at; return 0 unless defined $n; $at += $n } return 1 }
# The plain part of a connection, up to the agreement.
sub begin {
	if ($ENV{CLIENT}) { line($from) eq 'hello' or exit 9; say_to($to, "starttls\n"); line($from) eq 'go' or exit 9 }
	else { say_to($to, "hello\n"); line($from) eq 'starttls' or exit 9; say_to($to, "go\n") }
}
# All until the end.
sub rest { my ($f) = @_; my $all = ''; while (1) { my $n = sysread $f, $all, 65536, length $all; return $all unless $n } }
# The report as it came, all of it.
sub report { return rest($control) }
sub ask { syswrite $control, $_[0] }
# TLS takes the place of the plain connection.
sub switch {
	require POSIX;
	POSIX::dup2($in, $net_in); POSIX::dup2($out, $net_out);
	POSIX::close($_) for $in, $out;
}
1;
END

my $notes_number = 0;

# A program with this code: (its command, the file with its notes).
sub program {
	my ($code) = @_;
	my $name = temporary('program-' . ++$notes_number);
	spew("$name.notes", '');
	chmod 0666, "$name.notes";    # whoever the program runs as
	return { prog => ['perl', '-e', "require '$lib'; our (\$ctl, \$in, \$out, \$control, \$tls_from, \$tls_to, \$from, \$to); $code"], notes => "$name.notes" };
}

sub notes { return slurp($_[0]{notes}) }

# ---- peers ----

my $peer = spew(temporary('peer.py'), <<'END');
import hashlib, os, socket, ssl, sys
socket.setdefaulttimeout(20)
ROOT, DIR = os.environ['ROOT'], os.environ['PKI'] + '/'
def connect():
    return socket.create_connection(('127.0.0.1', int(os.environ['PORT'])))
def line(s):
    text = b''
    while not text.endswith(b'\n'):
        byte = s.recv(1)
        if not byte: return None
        text += byte
    return text.decode('latin1').rstrip('\n')
def rest(s):
    text = b''
    while True:
        try: more = s.recv(65536)
        except (ConnectionResetError, ssl.SSLEOFError): return text
        if not more: return text
        text += more
def say(text): print(text, flush=True)
def client(s, name='localhost', root=ROOT, cert=None):
    context = ssl.create_default_context(cafile=root)
    if cert: context.load_cert_chain(os.path.join(DIR, cert + '.pem'), os.path.join(DIR, cert + '.key'))
    return context.wrap_socket(s, server_hostname=name)
def server(s, pair='server-rsa', asks=False):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(DIR + pair + '.pem', DIR + pair + '.key')
    if asks: context.load_verify_locations(ROOT); context.verify_mode = ssl.CERT_REQUIRED
    return context.wrap_socket(s, server_side=True)
def listen():
    listener = socket.create_server(('127.0.0.1', 0))
    say(listener.getsockname()[1])
    return listener
# The plain part of a connection, up to the agreement; then TLS.
IS_CLIENT = os.environ['ROLE'] == 'client'
def begin(s):
    if IS_CLIENT:
        assert line(s) == 'hello'
        s.sendall(b'starttls\n')
        assert line(s) == 'go'
    else:
        s.sendall(b'hello\n')
        assert line(s) == 'starttls'
        s.sendall(b'go\n')
def tls(s, **more):
    return client(s, **more) if IS_CLIENT else server(s, **more)
# Ends the TLS connection in both directions, if the other side does so too.
def bye(t):
    try: t.unwrap()
    except (ssl.SSLError, OSError): pass
    t.close()
END

my %peer_environment = (ROOT => $root, PKI => pki()->{dir});


# The command of a peer in Python.
sub peer_command {
	my ($beginning, $code) = @_;
	return ('python3', '-c', "exec(open('$peer').read())\n$beginning\n$code");
}

# ---- sessions ----

my @servers = ('sslserver -n', 'ucspitlsd');
my @clients = ('sslclient -y', 'ucspitlsc');

# A server that runs a program. more: env; pair; tcp and tls, letters of the two families (those of sslserver are all in tcp); before.
sub serving {
	my ($kind, $program, %more) = @_;
	my $env = { %{ pair($more{pair} || 'server-p256') }, NOTES => $program->{notes}, %{ $more{env} || {} } };
	my @tcp = @{ $more{tcp} || [] };
	my @command = $kind eq 'ucspitlsd'
		? (command('tcpserver'), '-1v', @tcp, '127.0.0.1', 0, command('ucspitlsd'), @{ $more{tls} || [] })
		: (command('sslserver'), '-1vn', @tcp, '127.0.0.1', 0);
	return serve({ env => $env, before => $more{before} }, @command, @{ $program->{prog} });
}

# The exit code of the next connection of a server: "7", or "signal 15"; undef if it does not end.
sub ended {
	my ($server, $seconds) = @_;
	my $nth = $server->{ended}++;
	my @all;
	wait_until(sub { @all = $server->log =~ /(?:ended by|: end) \d+ status (\d+)$/mg; @all > $nth }, $seconds || 20) or return undef;
	return $all[$nth] & 127 ? 'signal ' . ($all[$nth] & 127) : $all[$nth] >> 8;
}

# Processes of the group of a started one, without itself.
sub left_over {
	my ($started) = @_;
	my @left;
	for my $stat (glob '/proc/[0-9]*/stat') {
		my ($pid, $state, undef, $group) = slurp($stat) =~ /\A(\d+) \(.*\) (\S) (\d+) (\d+)/s or next;
		push @left, $pid if $group == $started->{pid} && $pid != $started->{pid} && $state ne 'Z';
	}
	return @left;
}

# One connection between a program of ours, with the given code, and a peer in Python, with this code, which finds the connection in s.
# Gives { exit, notes, said (by the peer), log (of ours), peer (its exit code) }; checks that nothing is left over.
sub session {
	my ($kind, $code, $peer_code, %more) = @_;
	my $program = program($code);
	my %seen;
	if (grep { $_ eq $kind } @servers) {
		my $server = serving($kind, $program, %more);
		my $client = run({ env => { %peer_environment, ROLE => 'client', PORT => $server->{port} }, timeout => 60 }, peer_command('s = connect()', $peer_code));
		%seen = (exit => ended($server), said => $client->{out}, peer => $client->{exit}, peer_log => $client->{err});
		ok($server->wait_for_log(qr/status: (?:0\/40.*\n)\z/, 10), "$kind: no connection is counted any more") or diag($server->log);
		ok(wait_until(sub { !left_over($server) }, 10), "$kind: no process is left over");
		$server->stop;
		$seen{log} = $server->log;
	} else {
		my $server = start({ env => { %peer_environment, ROLE => 'server' }, port => 1, timeout => 60 },
			peer_command("listener = listen()\ns = listener.accept()[0]\nos.dup2(2, 1)", $peer_code));
		my @command = $kind eq 'ucspitlsc'
			? (command('tcpclient'), '127.0.0.1', $server->{port}, command('ucspitlsc'), '-k', $more{name} || 'localhost', @{ $more{tls} || [] })
			: (command('sslclient'), '-y', @{ $more{tcp} || [] }, $more{name} || 'localhost', $server->{port});
		my $client = start({ env => { CAFILE => $root, NOTES => $program->{notes}, CLIENT => 1, %{ $more{env} || {} } }, before => $more{before} }, @command, @{ $program->{prog} });
		my $end = $client->wait_for_end(30);
		my $peer_end = $server->wait_for_end(30);
		%seen = (exit => $end->{exit}, said => $server->log, peer => $peer_end->{exit}, log => $client->log, peer_log => $server->log);
		ok(wait_until(sub { !left_over($client) }, 10), "$kind: no process is left over");
	}
	$seen{notes} = notes($program);
	return \%seen;
}

# Log lines of the io program alone.
sub io_log { return join '', map { "$_\n" } grep { /^tls[dc]-io/ } split /\n/, $_[0]{log} }

# What a program does with the connection, what its peer does, and what is to be seen of both: exit code, notes, words of the peer. The log
# has nothing of the io program, or a line like the pattern.
my $talk = "begin(s)\nt = tls(s)\nt.sendall(b'ping\\n')\nsay(line(t))\nsay(rest(t))\nbye(t)\n";
my $report_is_good = q{
	my $report = report();
	note('report', $report =~ /\A(?:[A-Z]\w*=[^\0]*\0)+\0\z/ ? 'complete' : "'$report'");
	my %said = map { split /=/, $_, 2 } split /\0/, $report;
	note($_, ($said{$_} // 'unset') =~ s/\ATLSv1\.[23]\z/TLS/r) for qw(SSL_PROTOCOL SSL_SERVER_S_DN_CN);
};
my $report_notes = "report complete\nSSL_PROTOCOL TLS\nSSL_SERVER_S_DN_CN localhost\n";
my $bytes = join '', map { chr } 0 .. 255;
my @sessions = (
	['y', q{begin(); ask('y'); note(line($tls_from)); note('control', sysread($control, my $byte, 1) // $!); say_to($tls_to, "pong\n"); exit 7},
		$talk, 7, "ping\ncontrol 0\n", "pong\nb''\n"],
	['Y and the report', qq{begin(); ask('Y'); $report_is_good note(line(\$tls_from)); say_to(\$tls_to, "pong\\n")}, $talk, 0, "${report_notes}ping\n", "pong\nb''\n"],
	['Y, data first, then the report', qq{begin(); ask('Y'); say_to(\$tls_to, "pong\\n"); note(line(\$tls_from)); $report_is_good}, $talk, 0, "ping\n$report_notes", "pong\nb''\n"],
	['Y, report never read', q{begin(); ask('Y'); say_to($tls_to, "pong\n"); note(line($tls_from)); exit 8}, $talk, 8, "ping\n", "pong\nb''\n"],
	['Y, control closed at once', q{begin(); ask('Y'); close $control; say_to($tls_to, "pong\n"); note(line($tls_from)); exit 8}, $talk, 8, "ping\n", "pong\nb''\n"],
	['more behind y', q{begin(); ask('yYx' . 'z' x 3000); note('control', sysread($control, my $byte, 1) // $!); note(line($tls_from)); say_to($tls_to, "pong\n")},
		$talk, 0, "control 0\nping\n", "pong\nb''\n"],
	['more behind Y', qq{begin(); ask('YYx' . 'z' x 3000); $report_is_good note(line(\$tls_from)); say_to(\$tls_to, "pong\\n")}, $talk, 0, "${report_notes}ping\n", "pong\nb''\n"],
	['switched by dup2', q{begin(); ask('y'); switch(); note(line($from)); say_to($to, "pong\n"); exit 3}, $talk, 3, "ping\n", "pong\nb''\n"],
	['no TLS: control closed first', q{close $control; begin(); my $all = ''; sysread $from, $all, 65536, length $all or last while length $all < 256 << 10; say_to($to, scalar reverse $all); exit 5},
		"begin(s)\ndata = bytes(range(256)) * 1024\ns.sendall(data)\nsay(rest(s) == data[::-1])\n", 5, '', "True\n"],
	['no TLS: never a byte', q{begin(); say_to($to, "plain\n"); exit 5}, "begin(s)\nsay(rest(s))\n", 5, '', "b'plain\\n'\n"],
	['no TLS: another program, which has all descriptors', q{begin(); exec 'sh', '-c', "read line <&$net_in; echo \"\$line\" >&$net_out; exit 4"},
		"begin(s)\ns.sendall(b'plain\\n')\nsay(rest(s))\n", 4, '', "b'plain\\n'\n"],
	['no TLS: killed', q{begin(); kill 'KILL', $$}, "begin(s)\nsay(rest(s))\n", 137, '', "b''\n"],
	['y, and the end', q{begin(); ask('y'); exit 6}, "begin(s)\nt = tls(s)\nsay(rest(t))\nbye(t)\n", 6, '', "b''\n"],
	['another byte', q{begin(); ask('x'); note('control', sysread($control, my $byte, 1) // $!); note('data', line($tls_from) // 'end'); say_to($to, "plain\n"); exit 5},
		"begin(s)\nsay(rest(s))\n", 100, "control 0\ndata end\n", "b'plain\\n'\n", qr/\Atls[dc]-io: fatal: unknown command on the control socket\n\z/],
	(map {
		my ($name, @order) = ($_, split / /);
		my $closes = join ' ', map { "close \$$_;" } @order;
		["closing: $name", qq{begin(); ask('y'); note(line(\$tls_from)); say_to(\$tls_to, "pong\\n"); $closes exit 3}, $talk, 3, "ping\n", "pong\nb''\n"]
	} 'from to control tls_from tls_to', 'tls_to tls_from control to from', 'control tls_to from to tls_from', 'tls_from control to from tls_to'),
	['output closed first', q{begin(); ask('y'); note(line($tls_from)); say_to($tls_to, "pong\n"); close $tls_to; note(length rest($tls_from))},
		"begin(s)\nt = tls(s)\nt.sendall(b'ping\\n')\nsay(line(t))\nsay(rest(t))\nt.sendall(b'x' * 100000)\nbye(t)\n", 0, "ping\n100000\n", "pong\nb''\n"],
	['input closed first', q{begin(); ask('y'); note(line($tls_from)); close $tls_from; say_to($tls_to, 'x' x 100000)},
		"begin(s)\nt = tls(s)\nt.sendall(b'ping\\n')\nsay(len(rest(t)))\nbye(t)\n", 0, "ping\n", "100000\n"],
);

for my $kind (@servers, @clients) {
	for my $case (@sessions) {
		my ($name, $code, $peer_code, $exit, $notes, $said, $log) = @$case;
		subtest "$kind: $name" => sub {
			my $seen = session($kind, $code, $peer_code);
			is($seen->{exit}, $exit, 'exit code');
			is($seen->{notes}, $notes, 'what the program saw');
			is($seen->{said}, $said, 'what the peer saw') or diag($seen->{peer_log});
			if ($log) { like(io_log($seen), $log, 'what the log says') }
			else      { is(io_log($seen), '', 'no word of the io program') }
		};
	}

	subtest "$kind: much data" => sub {
		my $seen = session($kind, <<'END', <<'PEER');
use Digest::SHA 'sha256_hex';
begin();
ask('y');
my $all = '';
sysread $tls_from, $all, 65536, length $all or last while length $all < 3 << 20;
note(sha256_hex($all));
say_to($tls_to, scalar reverse $all);
END
begin(s)
t = tls(s)
data = os.urandom(3 << 20)
t.sendall(data)
say(hashlib.sha256(data).hexdigest())
say(rest(t) == data[::-1])
bye(t)
PEER
		is($seen->{exit}, 0, 'exit code');
		is("$seen->{notes}True\n", $seen->{said}, 'every byte of 3 MiB in each direction');
		like($seen->{notes}, qr/\A[0-9a-f]{64}\n\z/, 'which have a hash');
	};
}
# ---- where TLS fails ----

my $asks = q{
	$SIG{PIPE} = 'IGNORE';
	begin();
	ask($letter);
	note('report', $letter eq 'Y' ? "'" . report() . "'" : 'none');
	note('data', line($tls_from) // 'end');
	note('second read', sysread($tls_from, my $byte, 1) // $!);
	exit 3;
};
my $waits_for_end = "s.settimeout(20)\nrest(s)\n";
# name, peer of a server, peer of a client, log for either, more for session()
my @failures = (
	['not TLS', "begin(s)\ns.sendall(b'HELP me\\r\\n')\n$waits_for_end", "begin(s)\ns.sendall(b'HELP me\\r\\n')\n$waits_for_end", qr/not TLS/, qr/not TLS/],
	['the peer leaves', "begin(s)\ns.close()\n", "begin(s)\ns.close()\n", qr/(?:peer ended the connection|Connection reset by peer) during the handshake/, qr/(?:peer ended the connection|Connection reset by peer) during the handshake/],
	['a certificate that is refused', "begin(s)\ntry: tls(s, root=DIR + 'other-root.pem')\nexcept ssl.SSLError: say('refused')\n",
		"begin(s)\ntry: t = tls(s, pair='unknown'); rest(t)\nexcept ssl.SSLError: say('refused')\n", qr/peer sent alert unknown_ca/, qr/not from a trusted authority|unknown|trust/],
	['command and more in one packet', "assert line(s) == 'hello'\ns.sendall(b'starttls\\ninjected\\n')\nassert line(s) == 'go'\n$waits_for_end",
		"s.sendall(b'hello\\n')\nassert line(s) == 'starttls'\ns.sendall(b'go\\ninjected\\n')\n$waits_for_end", qr/not TLS/, qr/not TLS/],
	['no handshake in time', "begin(s)\n$waits_for_end", "begin(s)\n$waits_for_end", qr/handshake timed out/, qr/handshake timed out/, env => { TLS_TIMEOUT => 1 }],
);
for my $kind (@servers, @clients) {
	my $serves = grep { $_ eq $kind } @servers;
	for my $case (@failures) {
		my ($name, $of_server, $of_client, $server_log, $client_log, %more) = @$case;
		for my $letter ($kind eq 'ucspitlsd' || $kind eq 'sslclient -y' ? 'y' : 'Y') {
			subtest "$kind: $name, $letter" => sub {
				my $seen = session($kind, "my \$letter = '$letter';$asks", $serves ? $of_server : $of_client, %more);
				is($seen->{exit}, 98, 'exit code');
				is($seen->{notes}, 'report ' . ($letter eq 'Y' ? "''" : 'none') . "\ndata end\nsecond read 0\n", 'the program sees ends, and no report');
				my ($who, $side) = $serves ? ('tlsd-io', 'from') : ('tlsc-io', 'to');
				my $why = $serves ? $server_log : $client_log;
				like(io_log($seen), qr/\A$who: error: unable to speak TLS $side: 127\.0\.0\.1 for pid: \d+: [^\n]*$why[^\n]*\n\z/, 'one line in the log');
				is($seen->{peer}, 0, 'the peer is let go') or diag($seen->{peer_log});
			};
		}
	}

	next if $kind eq 'ucspitlsd' || $kind eq 'sslclient -y';
	subtest "$kind: no deadline before the program asks" => sub {
		my $seen = session($kind, q{begin(); select undef, undef, undef, 3; ask('y'); note(line($tls_from)); say_to($tls_to, "pong\n")}, $talk, env => { TLS_TIMEOUT => 2 });
		is($seen->{exit}, 0, 'exit code');
		is($seen->{said}, "pong\nb''\n", 'TLS after longer than a handshake may take') or diag($seen->{log});
	};
}

subtest 'clients: the name of the server' => sub {
	my $code = q{begin(); ask('y'); note(line($tls_from) // 'end'); say_to($tls_to, "pong\n")};
	my $other = "begin(s)\ntry:\n    t = tls(s, pair='wrong-name')\n    t.sendall(b'ping\\n')\n    say(line(t))\n    bye(t)\nexcept (ssl.SSLError, OSError): say('refused')\n";
	for my $case (['sslclient -y', {}, 0], ['ucspitlsc', {}, 0], ['sslclient -y', { TLS_PEERNAME => 'other.test' }, 1], ['ucspitlsc', { TLS_PEERNAME => 'other.test' }, 0],
		['sslclient -y', { TLS_VERIFY => 'chain' }, 1], ['ucspitlsc', { TLS_VERIFY => 'none', CAFILE => undef }, 1]) {
		my ($kind, $env, $good) = @$case;
		my $seen = session($kind, $code, $other, env => $env);
		my $name = join ' ', $kind, map { "$_=" . ($env->{$_} // '') } sort keys %$env;
		is($seen->{exit}, $good ? 0 : 98, "$name: exit code");
		is($seen->{notes}, $good ? "ping\n" : "end\n", "$name: " . ($good ? 'accepted' : 'refused'));
		like(io_log($seen), $good ? qr/\A\z/ : qr/: certificate is for another name\n\z/, "$name: log");
	}
	my $seen = session('ucspitlsc', $code, $other, name => 'other.test');
	is("$seen->{exit} $seen->{notes}", "0 ping\n", 'ucspitlsc -k: accepted');
};

# ---- what is wrong before anything begins ----

my $never = q{note('started')};
subtest 'servers: wrong configuration' => sub {
	my $program = program($never);
	my %wrong = (
		'no key' => { KEYFILE => '/nonexistent' },
		'another key' => { KEYFILE => file('server-rsa.key') },
		'no certificate' => { CERTFILE => temporary('none.pem') },
		'a variable' => { TLS_LINGER => 'long' },
	);
	for my $name (sort keys %wrong) {
		my $env = { %{ pair('server-p256') }, NOTES => $program->{notes}, %{ $wrong{$name} } };
		my $result = run({ env => $env }, command('sslserver'), '-1n', '127.0.0.1', 0, @{ $program->{prog} });
		is("$result->{exit} $result->{out}", '96 ', "sslserver -n, $name: exit code, before it listens");
		like($result->{err}, qr/\Atlsd-io: fatal: .*\n\z/, "$name: log");
	}
	# That key and certificate do not belong together takes a signature where the kinds agree; of a file that is not there all learn.
	for my $name ('no key', 'no certificate', 'a variable') {
		for my $kind (@servers) {
			next if $kind eq 'sslserver -n' && $name eq 'a variable';
			my %more = (env => $wrong{$name});
			if ($kind eq 'sslserver -n') {
				my $rule = join ',', map { "$_=\"$wrong{$name}{$_}\"" } keys %{ $wrong{$name} };
				my $cdb = temporary("rules-$name.cdb") =~ s/ /-/r;
				is(run({ in => "127.:allow,$rule\n:allow\n" }, command('tcprules'), $cdb, "$cdb.tmp")->{exit}, 0, 'rules');
				%more = (tcp => ['-x', $cdb]);
			}
			my $seen = session($kind, $never, "say(rest(s))\n", %more);
			is($seen->{exit}, 96, "$kind, $name: exit code of the connection");
			is($seen->{said}, "b''\n", 'nothing for the client');
			is($seen->{notes}, '', 'the program never starts');
			like(io_log($seen), qr/\Atlsd-io: fatal: .*\n\z/, 'log');
		}
	}
	my $seen = session('ucspitlsd', $never, "say(rest(s))\n", tls => ['-y'], env => { CAFILE => '/nonexistent' });
	is("$seen->{exit} $seen->{notes}$seen->{said}", "96 b''\n", 'ucspitlsd -y, no authorities');
};

subtest 'clients: wrong configuration' => sub {
	for my $case (['CAFILE', { CAFILE => '/nonexistent' }], ['CERTFILE', { CERTFILE => '/nonexistent' }], ['a variable', { TLS_CLOSE => 'x' }]) {
		my ($name, $env) = @$case;
		for my $kind (@clients) {
			my $seen = session($kind, $never, "say(rest(s))\n", env => $env);
			is($seen->{exit}, 96, "$kind, $name: exit code");
			is("$seen->{notes}$seen->{said}", "b''\n", 'the program never starts, and the server gets nothing');
			like(io_log($seen), qr/\Atlsc-io: fatal: .*\n\z/, 'log');
		}
	}
	my $server = start({ env => { %peer_environment, ROLE => 'server' }, port => 1 }, peer_command("listener = listen()\ns = listener.accept()[0]", 'rest(s)'));
	my $program = program($never);
	my $result = run({ env => { CAFILE => $root, NOTES => $program->{notes} } }, command('tcpclient'), '127.0.0.1', $server->{port}, command('ucspitlsc'), @{ $program->{prog} });
	is("$result->{exit} " . notes($program), '96 ', 'ucspitlsc without a name to look for');
	$result = run({}, command('ucspitlsc'), 'true');
	is($result->{exit}, 100, 'ucspitlsc without a connection');
	for my $name ('ucspitlsc', 'ucspitlsd') {
		is(run({ before => sub { POSIX::dup2(0, $_) for 6, 7 } }, command($name))->{exit}, 100, "$name without a program");
	}
};

# ---- what the program is given ----

my $inside = <<'END';
note("UCSPITLS [$ENV{UCSPITLS}]");
note('numbers', (grep { !/\A[0-9]+\z/ || $_ < 3 } $ctl, $in, $out) || keys %{ { map { $_ => 1 } $ctl, $in, $out } } != 3 ? 'wrong' : 'good');
note('close on exec', map { $close_on_exec{$_} } $ctl, $in, $out);
my %name = ($ctl => 'control', $in => 'in', $out => 'out');
# Whoever runs the tests may have left descriptors of high numbers open.
note('open', map { ($name{$_->[0]} // $_->[0]) . '=' . ($_->[1] =~ /^(socket|pipe)/ ? $1 : 'file') } sort { $a->[0] <=> $b->[0] } grep { defined $_->[1] && $_->[1] !~ m{^/proc/} && $_->[0] < 64 } @open);
note('certificate', $ENV{CERTFILE} // 'unset');
begin();
END
subtest 'what the program is given' => sub {
	for my $kind (@servers) {
		for my $value (undef, '', '!', '?', '@', '-') {
			my $words = defined $value ? "'$value'" : 'unset';
			my $seen = session($kind, $inside, "begin(s)\n", env => { UCSPITLS => $value }, before => sub { POSIX::close(5) });
			is($seen->{exit}, 0, "$kind, UCSPITLS $words: exit code");
			like($seen->{notes}, qr/\AUCSPITLS \[\Q@{[$value \/\/ '']}\E\]\nnumbers good\nclose on exec 0 0 0\n/, 'UCSPITLS; numbers of open descriptors that stay open');
			my ($open) = $seen->{notes} =~ /^open (.*)$/m;
			is(join(' ', sort split / /, $open), '0=socket 1=socket 2=file control=socket in=pipe out=pipe', 'and nothing else is open');
			like($seen->{notes}, qr/^certificate unset$/m, 'the configuration is not for the program');
		}
	}
	for my $kind (@clients) {
		for my $value (undef, '!') {
			my $seen = session($kind, $inside, "begin(s)\n", env => { UCSPITLS => $value });
			like($seen->{notes}, qr/\AUCSPITLS \[\Q@{[$value \/\/ '']}\E\]\nnumbers good\nclose on exec 0 0 0\n/, "$kind: UCSPITLS, and numbers");
			my ($open) = $seen->{notes} =~ /^open (.*)$/m;
			is(join(' ', sort split / /, $open), '0=file 1=file 2=file 6=socket 7=socket control=socket in=pipe out=pipe', 'descriptors');
		}
	}
	my $passed = session('ucspitlsd', $inside, "begin(s)\n", before => sub { open my $null, '<', '/dev/null' or die; POSIX::dup2(fileno $null, 40) });
	like($passed->{notes}, qr/^open .*\b40=file/m, 'what was passed on purpose is passed on');
	my $certificate = file('server-p256.pem');
	for my $case (['-Z', $certificate], ['-z', 'unset'], ['-Zz', 'unset']) {
		my $seen = session('ucspitlsd', $inside, "begin(s)\n", tls => [$case->[0]]);
		like($seen->{notes}, qr/^certificate \Q$case->[1]\E$/m, "ucspitlsd $case->[0]: configuration");
		like($seen->{notes}, qr/\AUCSPITLS \[\]\nnumbers good\n/, 'and the variables of delayed TLS');
	}
	for my $immediate ([command('sslserver'), '-1v'], [command('tcpserver'), '-1v', command('tlsd')]) {
		my ($server, $letters, @link) = @$immediate;
		my $listener = serve({ env => { %{ pair('server-p256') }, map { $_ => 9 } qw(UCSPITLS SSLCTLFD SSLREADFD SSLWRITEFD) } }, $server, $letters, '127.0.0.1', 0, @link,
			'perl', '-e', 'print join(" ", "set", grep { exists $ENV{$_} } qw(UCSPITLS SSLCTLFD SSLREADFD SSLWRITEFD)), "\n"');
		my $client = run({ env => { %peer_environment, ROLE => 'client', PORT => $listener->{port} } }, peer_command('s = connect()', "print(line(client(s)))\n"));
		is($client->{out}, "set\n", 'TLS at once: none of the four');
	}
};

subtest 'behind an inetd: one socket for 0, 1 and 2' => sub {
	my $program = program(q{note('2', readlink '/proc/self/fd/2'); begin(); ask('y'); note(line($tls_from)); say_to($tls_to, "pong\n"); exit 3});
	socketpair my $ours, my $theirs, AF_UNIX, SOCK_STREAM, PF_UNSPEC or die;
	my $listener = IO::Socket::IP->new(LocalHost => '127.0.0.1', Listen => 1, Type => SOCK_STREAM) or die;
	my $client = start({ env => { %peer_environment, ROLE => 'client', PORT => $listener->sockport } }, peer_command('s = connect()', $talk));
	my $connection = $listener->accept;
	my $link = start({ env => { %{ pair('server-p256') }, NOTES => $program->{notes} }, before => sub { POSIX::dup2(fileno $connection, $_) for 0 .. 2 } },
		'sh', '-c', 'exec "$@" 2>&0', 'sh', command('ucspitlsd'), @{ $program->{prog} });
	close $connection;
	is($link->wait_for_end(20)->{exit}, 3, 'exit code of the program');
	is($client->wait_for_end(20)->{exit}, 0, 'the client is content') or diag($client->log);
	is(slurp($client->{out}), "pong\nb''\n", 'and has its answer');
	is(notes($program), "2 /dev/null\nping\n", 'no log line can go to the peer');
};
# ---- who waits ----

my $io_is = <<'END';
my $io = getppid;
sub io_status {
	open my $f, '<', "/proc/$io/status" or return 'gone';
	my %is = map { /^(\w+):\s*(.*?)\s*$/ ? ($1, join '/', do { my %n; grep { !$n{$_}++ } split ' ', $2 }) : () } <$f>;
	return join ' ', map { "$_=$is{$_}" } qw(Uid Gid Groups NoNewPrivs CapEff);
}
sub io_open { return join ' ', sort map { (readlink($_) // '') =~ /^(socket|pipe)/ ? $1 : 'file' } glob "/proc/$io/fd/*" }
END
SKIP: {
	skip 'needs root and /proc', 1 unless $> == 0 && $linux;
	subtest 'who waits, and what it holds' => sub {
		my $secret = spew(temporary('secret.key'), slurp(file('server-p256.key')));
		chmod 0400, $secret;
		my ($nobody, $dropped) = (65534, 'Groups= NoNewPrivs=1 CapEff=0000000000000000');
		for my $case (
			['sslserver -n', "Uid=$nobody Gid=$nobody", '0 0'], ['ucspitlsd', "Uid=$nobody Gid=$nobody", '0 0'], ['sslclient -y', "Uid=$nobody Gid=$nobody", '0 0'],
			['ucspitlsc', "Uid=$nobody Gid=$nobody", '0 0'], ['sslserver -n', 'Uid=45000 Gid=46000', '41234 42345', tcp => ['-u', 41234, '-g', 42345], env => { SSL_UID => 45000, SSL_GID => 46000 }],
			['ucspitlsd', 'Uid=45000 Gid=46000', '0 0', env => { SSL_UID => 45000, SSL_GID => 46000 }],
		) {
			my ($kind, $ids, $prog, %more) = @$case;
			$more{env}{KEYFILE} = $secret if grep { $_ eq $kind } @servers;
			my $seen = session($kind, "$io_is note(io_status()); note((split / /, \$))[0] == \$) + 0 ? join ' ', \$>, \$) + 0 : 'odd'); note(io_open()); begin(); ask('y'); note(line(\$tls_from)); say_to(\$tls_to, \"pong\\n\")",
				$talk, %more);
			my @notes = split /\n/, $seen->{notes};
			is($notes[0], "$ids $dropped", "$kind: the waiting process has no rights left");
			is($notes[1], $prog, 'the program has those that were asked for');
			is($notes[2], 'file pipe pipe socket socket socket' . ($kind =~ /c|y/ && $kind !~ /d$/ && $kind !~ /server/ ? '' : ''), 'it holds the connection, the control socket, two pipes, and the log') if $prog eq '0 0';
			is($seen->{said}, "pong\nb''\n", 'and has its key');
		}
		for my $kind (@servers, @clients) {
			my $seen = session($kind, "$io_is close \$control; for (1 .. 1000) { last if io_open() eq ''; select undef, undef, undef, 0.01 } note('open', io_open()); begin()", "begin(s)\n");
			is($seen->{notes}, "open \n", "$kind: once no TLS is wanted it holds nothing");
		}
	};
}

# ---- signals, ends, limits ----

for my $kind (@servers, @clients) {
	subtest "$kind: signals" => sub {
		my @same = $> == 0 ? (env => { SSL_UID => 0, SSL_GID => 0 }) : ();    # else nobody's signal does not reach a program of root
		my $plain = "begin(s)\nsay(rest(s))\n";
		my $seen = session($kind, q{$SIG{TERM} = sub { note('TERM'); exit 3 }; begin(); kill 'TERM', getppid; sleep 20}, $plain, @same);
		is("$seen->{exit} $seen->{notes}", "3 TERM\n", 'SIGTERM to the waiting process is passed on');
		$seen = session($kind, q{begin(); kill 'TERM', getppid; sleep 20}, $plain, @same);
		is($seen->{exit}, 143, 'and may end the program');
		$seen = session($kind, q{$SIG{TERM} = 'IGNORE'; begin(); kill 'TERM', getppid; note('control', sysread($control, my $byte, 1) // $!); note(line($tls_from) // 'end'); say_to($to, "plain\n"); exit 5}, $plain, @same);
		is("$seen->{exit} $seen->{notes}$seen->{said}", "5 control 0\nend\nb'plain\\n'\n", 'which may go on without TLS');
		$seen = session($kind, q{$SIG{TERM} = sub { note('TERM'); exit 3 }; begin(); ask('y'); note(line($tls_from)); say_to($tls_to, "pong\n"); kill 'TERM', getppid; sleep 20}, $talk, @same);
		is("$seen->{exit} $seen->{notes}$seen->{said}", "3 ping\nTERM\npong\nb''\n", 'the same with TLS');
		return if grep { $_ eq $kind } @servers;    # which begin with the signals that they want
		$seen = session($kind, q{begin(); kill 'INT', getppid; ask('y'); note(line($tls_from)); say_to($tls_to, "pong\n")}, $talk, @same, before => sub { $SIG{INT} = 'IGNORE' });
		is("$seen->{exit} $seen->{notes}$seen->{said}", "0 ping\npong\nb''\n", 'one that was ignored from the beginning stays so');
	};
}

for my $kind (@servers) {
	subtest "$kind: the program ends, another process has its descriptors" => sub {
		my $program = program(q{begin(); my $pid = fork; if (!$pid) { exec 'sleep', 60 } note($pid); exit 5});
		my $server = serving($kind, $program);
		my $client = connect_to($server->{port});
		is(read_line($client), 'hello', 'it begins');
		print $client "starttls\n";
		is(ended($server), 5, 'its end is that of the connection');
		my ($pid) = notes($program) =~ /(\d+)/;
		ok($pid && kill(0, $pid), 'though the other still runs');
		ok($server->wait_for_log(qr/status: 0\/40.*\n\z/, 10), 'no connection is counted any more');
		kill 'KILL', $pid if $pid;
	};
}

subtest 'idle limit: counts from TLS on' => sub {
	my $code = q{$SIG{TERM} = sub { note('TERM'); exit 4 }; begin(); select undef, undef, undef, 3; ask('y'); note(line($tls_from)); line($tls_from); sleep 20};
	my $seen = session('sslserver -n', $code, "begin(s)\nt = tls(s)\nt.sendall(b'ping\\n')\nsay(rest(t))\n", tcp => ['-w', 2], $> == 0 ? (env => { SSL_UID => 0 }) : ());
	is("$seen->{exit} $seen->{notes}", "4 ping\nTERM\n", 'then the program is told');
	like(io_log($seen), qr/\Atlsd-io: info: ended connection with: 127\.0\.0\.1 for pid: \d+: idle for 2000 ms\n\z/, 'log');
};

subtest 'sslserver -n -c: who talks in clear is a connection, not a handshake' => sub {
	my $server = serving('sslserver -n', program(q{begin()}), tcp => ['-c', 2]);
	my @client;
	for (0, 1) {
		$client[$_] = connect_to($server->{port});
		is(read_line($client[$_]), 'hello', "client $_");
	}
	my $third = connect_to($server->{port});
	ok(!IO::Select->new($third)->can_read(0.3), 'one more waits');
	print { $client[0] } "starttls\n";
	is(read_all($client[0]), "go\n", 'the first ends');
	is(read_line($third), 'hello', 'then it is served');
	close $_ for @client, $third;
	is(ended($server), 0, 'the first in good order');
	ok(defined ended($server), 'the others') for 1, 2;
	like($server->log, qr/limit reached, 1 of 2 connections are still in their handshake/, 'at the limit the log counts those that have only just come');
};

# ---- commands sent in clear behind the one that asks for TLS (CVE-2011-0411) ----

my @protocols = (
	['SMTP', "220 ready\r\n", "STARTTLS\r\n", "220 go ahead\r\n", "MAIL FROM:<evil\@example.test>\r\n"],
	['POP3', "+OK ready\r\n", "STLS\r\n", "+OK begin\r\n", "USER evil\r\n"],
	['IMAP', "* OK ready\r\n", "a STARTTLS\r\n", "a OK begin\r\n", "b LOGIN evil evil\r\n"],
);
for my $protocol (@protocols) {
	my ($name, $greeting, $command, $answer, $evil) = map { s/([\r\n])/$1 eq "\r" ? '\\r' : '\\n'/ger } @$protocol;
	for my $kind (@servers) {
		subtest "$kind: injected $name commands" => sub {
			$greeting =~ s/\@/\\@/;
			my $seen = session($kind, qq{say_to(\$to, "$greeting"); note('in clear', line(\$from)); say_to(\$to, "$answer"); ask('y'); switch(); while (defined(my \$l = line(\$from))) { note('through TLS', \$l) } },
				"line(s)\ns.sendall(b'$command$evil')\nline(s)\ntry:\n    t = client(s)\n    t.sendall(b'good\\r\\n')\n    bye(t)\nexcept (ssl.SSLError, OSError): say('refused')\n");
			is($seen->{notes}, 'in clear ' . $protocol->[2] =~ s/\n//r . "\n", 'they never reach the program');
			is("$seen->{exit} $seen->{said}", "98 refused\n", 'and end the connection');
			like(io_log($seen), qr/: not TLS\n\z/, 'log');
		};
	}
}

# ---- certificates of clients ----

subtest 'certificates of clients' => sub {
	my $code = q{begin(); ask('Y'); my %v = map { split /=/, $_, 2 } split /\0/, report(); note($_, $v{$_} // 'unset') for qw(SSL_CLIENT_VERIFY SSL_CLIENT_S_DN_CN); note(line($tls_from) // 'end'); say_to($tls_to, "pong\n")};
	my $with = $talk =~ s/tls\(s\)/tls(s, cert='client')/r;
	my $seen = session('ucspitlsd', $code, $with, tls => ['-y'], env => { CAFILE => $root });
	is($seen->{notes}, "SSL_CLIENT_VERIFY SUCCESS\nSSL_CLIENT_S_DN_CN Test Client\nping\n", 'ucspitlsd -y: the program knows who it is') or diag($seen->{log});
	$seen = session('ucspitlsd', $code, "begin(s)\ntry: rest(tls(s))\nexcept ssl.SSLError: pass\n", tls => ['-y'], env => { CAFILE => $root });
	is("$seen->{exit} $seen->{notes}", "98 SSL_CLIENT_VERIFY unset\nSSL_CLIENT_S_DN_CN unset\nend\n", 'without one: refused');
	for my $kind (@clients) {
		$seen = session($kind, q{begin(); ask('y'); note(line($tls_from) // 'end'); say_to($tls_to, "pong\n")},
			$talk =~ s/tls\(s\)/tls(s, asks=True)/r =~ s/say\(line/say(t.getpeercert()['subject'][1][0][1])\nsay(line/r, env => pair('client', CAFILE => $root));
		is($seen->{said}, "Test Client\npong\nb''\n", "$kind: shows its own") or diag($seen->{peer_log});
	}
};
# A certificate with so many names that its report fits into no socket.
subtest 'a report that is larger than the buffer of a socket' => sub {
	my $dir = temporary('big');
	mkdir $dir;
	spew("$dir/extensions", "[big]\nextendedKeyUsage = clientAuth\nsubjectAltName = " . join(',', map { "DNS:$_.t" } 1 .. 5600) . "\n[ca]\nbasicConstraints = critical, CA:TRUE\n[req]\ndistinguished_name = dn\n[dn]\n");
	openssl('genpkey', '-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-256', '-out', "$dir/$_.key") for 'ca', 'big';
	openssl('req', '-config', "$dir/extensions", '-x509', '-new', '-key', "$dir/ca.key", '-subj', '/CN=A CA', '-extensions', 'ca', '-days', 30, '-out', "$dir/ca.pem");
	openssl('req', '-config', "$dir/extensions", '-new', '-key', "$dir/big.key", '-subj', '/CN=Big', '-out', "$dir/big.csr");
	openssl('x509', '-req', '-in', "$dir/big.csr", '-CA', "$dir/ca.pem", '-CAkey', "$dir/ca.key", '-CAcreateserial', '-extfile', "$dir/extensions", '-extensions', 'big', '-days', 30, '-out', "$dir/big.pem");
	my $code = <<'END';
begin();
ask('Y');
note(line($tls_from));
say_to($tls_to, "pong\n");
note(line($tls_from));
my $report = report();
note(length $report > 212992 ? 'large' : length $report);
note($report =~ /\A(?:[A-Z]\w*=[^\0]*\0)+\0\z/ ? 'complete' : 'cut off');
note(scalar(() = $report =~ /\0SSL_CLIENT_SAN_DNS_\d+=\d+\.t(?=\0)/g) > 1000 ? 'names' : 'no names');
say_to($tls_to, "done\n");
END
	my $peer_code = "begin(s)\nt = tls(s, cert='$dir/big')\nt.sendall(b'ping\\n')\nsay(line(t))\nt.sendall(b'ping\\n')\nsay(line(t))\nsay(rest(t))\nbye(t)\n";
	my @with = (tls => ['-y'], env => { CAFILE => "$dir/ca.pem" });
	my $seen = session('ucspitlsd', $code, $peer_code, @with);
	is($seen->{notes}, "ping\nping\nlarge\ncomplete\nnames\n", 'data moves while it waits to be read, and then it is complete') or diag($seen->{log});
	is("$seen->{exit} $seen->{said}", "0 pong\ndone\nb''\n", 'the connection ends well');
	$seen = session('ucspitlsd', q{begin(); ask('Y'); note(line($tls_from)); say_to($tls_to, "pong\n"); note(line($tls_from)); say_to($tls_to, "done\n")}, $peer_code, @with);
	is("$seen->{exit} $seen->{notes}$seen->{said}", "0 ping\nping\npong\ndone\nb''\n", 'never read: the same');
};

# ---- the programs in the manual ----

sub from_manual {
	my ($name) = @_;
	my ($text) = slurp("$FindBin::Bin/../doc/man/ucspi-tls.7") =~ /^\.\\" begin \Q$name\E\n\.Bd -literal\n(.*?)^\.Ed\n\.\\" end$/ms or return '';
	my $path = spew(temporary("manual-$name"), $text =~ s/\\e/\\/gr);
	chmod 0755, $path;
	return $path;
}

subtest 'ucspi-tls(7): the programs there' => sub {
	my ($server_program, $client_program) = map { from_manual($_) } 'server', 'client';
	my $expected = qr/\Ain clear\nTLSv1\.[23] \S+\nbye\n\z/;
	my @chains = (
		[[command('sslserver'), '-1vn', '127.0.0.1', 0], sub { (command('sslclient'), '-y', 'localhost', $_[0]) }],
		[[command('tcpserver'), '-1v', '127.0.0.1', 0, command('ucspitlsd')], sub { (command('tcpclient'), '127.0.0.1', $_[0], command('ucspitlsc'), '-k', 'localhost') }],
	);
	for my $chain (@chains) {
		my ($serving, $asking) = @$chain;
		my $server = serve({ env => pair('server-rsa') }, @$serving, $server_program);
		my $result = run({ env => { CAFILE => $root }, timeout => 20 }, $asking->($server->{port}), $client_program);
		is($result->{exit}, 0, 'client') or diag($result->{err});
		like($result->{out}, $expected, 'in clear, then TLS');
		is($result->{err}, '', 'no word');
		is(ended($server), 0, 'server') or diag($server->log);
		$result = run({ env => { CAFILE => file('other-root.pem') }, timeout => 20 }, $asking->($server->{port}), $client_program);
		is("$result->{exit} $result->{out}", "98 in clear\n", 'a server that is not trusted: nothing after it');
		is(ended($server), 98, 'server');
		my $injected = run({ env => { %peer_environment, ROLE => 'client', PORT => $server->{port} } },
			peer_command('s = connect()', "s.sendall(b'STARTTLS\\nQUIT\\n')\nsay(line(s))\ntry:\n    say(line(client(s)))\nexcept (ssl.SSLError, OSError): say('refused')\n"));
		is($injected->{out}, "go ahead\nrefused\n", 'a command behind STARTTLS is not obeyed');
		is(ended($server), 98, 'server');
	}
	my $server = serve({ env => { %{ pair('server-rsa') }, UCSPITLS => '-' } }, command('sslserver'), '-1vn', '127.0.0.1', 0, $server_program);
	is(ask($server->{port}, "STARTTLS\nHOW\nQUIT\n"), "what?\nin clear\nbye\n", 'UCSPITLS=-: not offered');
};
done_testing;
