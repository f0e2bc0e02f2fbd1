#!/usr/bin/perl
# Names from outside: host operands and their rewriting, names of addresses, -p, IDENT and -t, against name servers and IDENT servers of our
# own that may be silent, slow or hostile. Most of it happens in a network and below an /etc that are made here.
use strict;
use warnings;
use Cwd qw(abs_path);
use FindBin;
use lib "$FindBin::Bin/lib";
use Bear;
use IO::Select;
use IO::Socket::IP;
use POSIX ();
use Socket qw(inet_pton AF_INET AF_INET6);
use Test::More;
use Time::HiRes qw(sleep time);

my $top   = abs_path("$FindBin::Bin/..");
my $build = abs_path($ENV{BUILD} || "$top/build");

# The outer test only builds, then starts itself anew with interfaces and mounts of its own: as root, else as root of a user namespace.
if (!$ENV{NAMES_INSIDE}) {
	my $ask = temporary('ask');
	(my $compile = slurp("$build/compile-flags")) =~ s/\n.*//s;
	my $built = run({ timeout => 60 }, 'sh', '-c', "cd $top && $compile -o $ask tests/lib/peers/ask.c $build/libnet.a -lcares");
	($built->{exit} // -1) == 0 or BAIL_OUT("ask: $built->{err}");
	my @apart = grep { !system "unshare $_ true 2>/dev/null" } '-nm', '-rnm';
	plan skip_all => 'no network namespaces here: needs root, or user namespaces' unless @apart;
	system 'unshare', $apart[0], 'env', "NAMES_INSIDE=$ask", "NAMES_USER=" . ($apart[0] eq '-nm' ? 65534 : 0), $^X, abs_path($0);
	exit($? ? 1 : 0);
}
my $ask = $ENV{NAMES_INSIDE};

# ---- the place ----

sub must { system(@_) == 0 or BAIL_OUT("@_: $?") }

my $etc = temporary('etc');
mkdir $etc, 0755;
must("cp -a /etc/services /etc/protocols /etc/passwd /etc/group /etc/nsswitch.conf /etc/ld.so.cache /etc/alternatives $etc/");
spew("$etc/hosts", "127.0.0.1 localhost\n192.0.2.20 from-hosts.test from-hosts\n2001:db8::20 six-from-hosts.test\n");
spew("$etc/resolv.conf", "nameserver 127.0.0.1\nsearch search.test\n");
must('mount', '--bind', $etc, '/etc');
must('ip', 'link', 'set', 'lo', 'up');
must('ip', 'addr', 'add', "192.0.2.$_/32", 'dev', 'lo') for 1 .. 20;
must('ip', 'addr', 'add', "2001:db8::$_/128", 'dev', 'lo', 'nodad') for 1 .. 9, 20;

# ---- a name server ----

my (%names, %pointers);    # name => list of addresses; address in words => name, as labels on the wire if it begins with a length

sub on_wire { return join('', map { pack 'C/a', $_ } split /\./, $_[0]) . "\0" }

sub reverse_name {
	my ($ip) = @_;
	return join('.', reverse split /\./, $ip) . '.in-addr.arpa' unless $ip =~ /:/;
	return join('.', reverse split //, unpack 'H*', inet_pton(AF_INET6, $ip)) . '.ip6.arpa';
}

%names = (
	'one.test'          => ['192.0.2.1'],
	'both.test'         => ['192.0.2.2', '192.0.2.3', '2001:db8::2', '2001:db8::3'],
	'six.test'          => ['2001:db8::4'],
	'short.home.test'   => ['192.0.2.5'],
	'short.second.test' => ['192.0.2.6'],
	'only.second.test'  => ['192.0.2.7'],
	'found.search.test' => ['192.0.2.8'],
	'many.test'         => [map { '192.0.2.' . ($_ % 20 + 1) } 1 .. 1000],
	'liar.test'         => ['192.0.2.77'],
	'honest.test'       => ['192.0.2.78', '192.0.2.5'],
	'honest6.test'      => ['2001:db8::5'],
	'moved.test'        => ['192.0.2.9'],
	'absolute.test'     => ['192.0.2.10'],
	'Name_of-1.test'    => ['192.0.2.2'],
);
%pointers = (
	'192.0.2.1'   => 'one.test',
	'192.0.2.2'   => 'Name_of-1.test',
	'192.0.2.4'   => 'liar.test',
	'192.0.2.5'   => 'honest.test',
	'2001:db8::5' => 'honest6.test',
	'2001:db8::6' => 'liar.test',
	'192.0.2.6'   => "\7bad\nbad\4test\0",
	'192.0.2.7'   => "\3a%s\4test\0",
	'192.0.2.8'   => "\7a=b;c d\4test\0",
	'192.0.2.9'   => "\xc0LOOP",
	'192.0.2.10'  => on_wire(join '.', ('a' x 63) x 3, 'b' x 61),
	'192.0.2.11'  => on_wire(join '.', ('a' x 63) x 4),
	'192.0.2.12'  => "\5x.y:z\4test\0",
	'192.0.2.13'  => on_wire('192.0.2.13'),
	'192.0.2.14'  => on_wire('-option.test'),
	'192.0.2.15'  => "\0",
	'192.0.2.16'  => "\4" . 'ab',
	'192.0.2.17'  => 'silent',
	'192.0.2.18'  => 'slow',
	'192.0.2.19'  => 'wrong id',
);
my %by_reverse = map { reverse_name($_) => $pointers{$_} } keys %pointers;

# The answer to a query, and how: undef for none.
sub answer {
	my ($query, $tcp) = @_;
	my ($id, $at, @labels) = (unpack('n', $query), 12);
	while (my $n = ord substr $query, $at, 1) { push @labels, substr $query, $at + 1, $n; $at += $n + 1 }
	my $type = unpack 'n', substr $query, $at + 1, 2;
	my $question = substr $query, 12, $at + 5 - 12;
	my $name = join '.', @labels;
	my @records;
	if ($type == 12) {
		my $to = $by_reverse{$name} // '';
		return undef if $to eq 'silent';
		sleep 0.7 if $to eq 'slow';
		$id ^= 1 if $to eq 'wrong id';
		$to = 'one.test' if $to eq 'slow' || $to eq 'wrong id';
		my $here = 12 + length($question) + 12;
		$to = pack 'n', 0xc000 | $here if $to eq "\xc0LOOP";
		push @records, $to =~ /\A[A-Za-z]/ ? on_wire($to) : $to if length $to;
	} else {
		my ($known) = grep { lc eq lc $name } keys %names;
		return undef if $name =~ /silent/;
		@records = map { inet_pton($type == 1 ? AF_INET : AF_INET6, $_) } grep { $type == 28 ? /:/ : !/:/ } @{ $names{ $known // '' } || [] };
		return pack('n6', $id, 0x8180, 1, 0, 0, 0) . $question if $known && !@records;
	}
	return pack('n6', $id, 0x8183, 1, 0, 0, 0) . $question unless @records;
	my $reply = pack('n6', $id, 0x8180, 1, scalar @records, 0, 0) . $question . join '', map { pack('nnnNn/a', 0xc00c, $type, 1, 60, $_) } @records;
	return length $reply > 512 && !$tcp ? pack('n6', $id, 0x8380, 1, 0, 0, 0) . $question : $reply;
}

# Serves until it is ended; writes what it is asked to a log.
sub name_server {
	my ($host, $port) = @_;
	my $udp = IO::Socket::IP->new(LocalHost => $host, LocalPort => $port, Proto => 'udp') || die $@;
	my $tcp = IO::Socket::IP->new(LocalHost => $host, LocalPort => $port, Listen => 5, ReuseAddr => 1) || die $@;
	my $pid = fork // die "fork: $!";
	return $pid if $pid;
	while (1) {
		for my $socket (IO::Select->new($udp, $tcp)->can_read) {
			if ($socket == $udp) {
				$udp->recv(my $query, 512) // next;
				my $reply = answer($query, 0);
				$udp->send($reply) if defined $reply;
			} else {
				my $one = $tcp->accept or next;
				sysread $one, my $query, 4096;
				syswrite $one, pack 'n/a', answer(substr($query, 2), 1);
			}
		}
	}
}

# ---- an IDENT server: says to each question what the connection's port asks for ----

sub ident_server {
	my ($reply) = @_;
	my $listening = IO::Socket::IP->new(LocalHost => '::', LocalPort => 113, Listen => 5, ReuseAddr => 1, V6Only => 0) || die $@;
	my $pid = fork // die "fork: $!";
	return ($pid, $listening) if $pid;
	while (1) {
		my $one = $listening->accept or next;
		my $line = $reply eq 'mute' ? undef : read_line($one, 5);
		if (!defined $line) { sleep 3; next }
		$line =~ s/\r\z//;
		my $text = $reply;
		$text =~ s/PORTS/$line/;
		$one->syswrite($text);
		$one->close;
	}
}

my @started;
sub finish { my ($pid) = @_; kill 'KILL', $pid; waitpid $pid, 0; @started = grep { $_ != $pid } @started }
END { kill 'KILL', $_ for @started }

push @started, name_server('127.0.0.1', 53), name_server('127.0.0.2', 5300);

# ---- what is shown ----

my $tcpclient = command('tcpclient');
my $four = IO::Socket::IP->new(LocalHost => '0.0.0.0', LocalPort => 0, Listen => 200) || die $@;
my $port = $four->sockport;
my $six = IO::Socket::IP->new(LocalHost => '::', LocalPort => $port, Listen => 200, V6Only => 1) || die $@;
my @show = ('sh', '-c', 'env | grep "^TCP"');

# Where a host operand leads, in which order, or why nowhere.
sub leads_to {
	my ($env, @arguments) = @_;
	my $result = run({ env => $env }, $tcpclient, '-RHl0', '-T5', @arguments, $port, @show);
	return $result->{out} =~ /^TCPREMOTEIP=(.*)$/m ? $1 : $result->{err};
}

sub tried {
	my ($env, @arguments) = @_;
	return join ' ', map { /to (\S+) port 1:/ } split /\n/, run({ env => $env }, $tcpclient, '-RHl0', @arguments, 1, 'true')->{err};
}

# What ask prints, as a hash.
sub asked {
	my ($env, @arguments) = @_;
	my $result = run({ env => $env, timeout => 30 }, $ask, @arguments);
	return { err => $result->{err}, map { /^(\w+) (.*)$/ ? ($1 => $2) : () } split /\n/, $result->{out} };
}

subtest 'host operands' => sub {
	is(leads_to({}, 'one.test'), '192.0.2.1', 'A');
	is(leads_to({}, 'six.test'), '2001:db8::4', 'AAAA');
	is(leads_to({}, 'from-hosts'), '192.0.2.20', '/etc/hosts');
	is(leads_to({}, '-6', 'six-from-hosts.test'), '2001:db8::20', '/etc/hosts, IPv6');
	is(leads_to({}, 'found'), '192.0.2.8', 'the search list of resolv.conf');
	is(leads_to({ DNSCACHEIP => '127.0.0.2:5300' }, 'one.test'), '192.0.2.1', 'DNSCACHEIP with a port');
	is(leads_to({ DNSCACHEIP => '127.0.0.9 127.0.0.1' }, 'one.test'), '192.0.2.1', 'DNSCACHEIP with a server that is not there, and one that is');
	like(leads_to({}, '-4', 'six.test'), qr/unable to look up six\.test: /, '-4 of a name with IPv6 only');
	like(leads_to({}, '-6', 'one.test'), qr/unable to look up one\.test: /, '-6 of a name with IPv4 only');
	like(tried({}, 'both.test'), qr/\A(2001:db8::[23]) 192\.0\.2\.[23] (?!\g1)2001:db8::[23] 192\.0\.2\.[23]\z|\A(192\.0\.2\.[23]) 2001:db8::[23] (?!\g2)192\.0\.2\.[23] 2001:db8::[23]\z/, 'families in turn');
	like(tried({}, '-4', 'both.test'), qr/\A192\.0\.2\.[23] 192\.0\.2\.[23]\z/, '-4');
	is(scalar(split ' ', tried({ DNSCACHEIP => '127.0.0.1' }, 'many.test')), 32, 'a thousand addresses, by TCP: 32 are taken');
};

subtest 'rewriting' => sub {
	my $file = spew(temporary('rewrite'), "# one to another\n=old.test:moved.test\n-.local:one.test\n*.away:.test\n?:+.home.test+.second.test\n*.:\n=me:192.0.2.4\n");
	my $env = { DNSREWRITEFILE => $file };
	is(leads_to($env, 'OLD.test'), '192.0.2.9', '=');
	is(leads_to($env, 'any.thing.local'), '192.0.2.1', '-');
	is(leads_to($env, 'moved.away'), '192.0.2.9', '*');
	is(leads_to($env, 'short'), '192.0.2.5', '? with +: the first that is there');
	is(leads_to($env, 'only'), '192.0.2.7', 'else the second');
	like(leads_to($env, 'neither'), qr/unable to look up neither: /, 'or none: what was typed is named');
	like(leads_to($env, 'found'), qr/unable to look up found: /, 'then the search list does not count');
	is(leads_to($env, 'absolute.test.'), '192.0.2.10', 'a dot at the end');
	is(leads_to({ DNSREWRITEFILE => spew(temporary('rewrite2'), "=me:192.0.2.4\n=you:[2001:db8::7]\n") }, $_->[0]), $_->[1], "$_->[0]: to an address") for ['me', '192.0.2.4'], ['you', '2001:db8::7'];
	is(leads_to({ DNSREWRITEFILE => temporary('rewrite2') }, 'found'), '192.0.2.8', 'a name that no instruction is about');
	like(leads_to({ DNSREWRITEFILE => spew(temporary('rewrite3'), "=lost:found\n") }, 'lost'), qr/unable to look up lost: /, 'the search list does not count for one that is rewritten');
	is(leads_to({ DNSREWRITEFILE => '/nonexistent' }, 'one.test'), "tcpclient: fatal: unable to look up one.test: DNSREWRITEFILE cannot be read\n", 'a file that is not there, in words');
	is(leads_to({ DNSREWRITEFILE => spew(temporary('huge'), "=x:y\n" x 20000) }, 'one.test'), "tcpclient: fatal: unable to look up one.test: DNSREWRITEFILE cannot be read\n", 'a file that is too large');
	is(leads_to({ DNSREWRITEFILE => spew(temporary('growing'), '?:' . 'a' x 600 . "\n?:" . 'a' x 600 . "\n") }, 'one'), "tcpclient: fatal: unable to look up one: rewriting makes the name too long\n", 'a name that grows too long');
	is(leads_to({ DNSREWRITEFILE => '' }, 'one.test'), '192.0.2.1', 'empty: no file');
	spew("$etc/dnswritefile", "=old.test:one.test\n");
	is(leads_to({}, 'old.test'), '192.0.2.1', '/etc/dnswritefile');
	is(leads_to($env, 'old.test'), '192.0.2.9', 'DNSREWRITEFILE instead of it');
	is(leads_to({ LOCALDOMAIN => 'home.test' }, 'short'), '192.0.2.5', 'LOCALDOMAIN');
	is(leads_to({ LOCALDOMAIN => 'none.test second.test' }, 'short'), '192.0.2.6', 'LOCALDOMAIN with two domains');
	is(leads_to({ LOCALDOMAIN => 'home.test' }, 'one.test'), '192.0.2.1', 'a name with a dot');
	is(leads_to({ LOCALDOMAIN => 'home.test' }, 'from-hosts'), '192.0.2.20', '/etc/hosts is asked before');
	like(leads_to({ LOCALDOMAIN => 'home.test' }, 'found'), qr/unable to look up/, 'and the search list of resolv.conf is not');
	is(leads_to({ LOCALDOMAIN => 'home.test' }, 'localhost'), '127.0.0.1', 'localhost');
	unlink "$etc/dnswritefile";
};

subtest 'tcpclient: variables' => sub {
	my $names = sub {
		my $result = run({ env => $_[0] }, $tcpclient, @{ $_[1] }, $port, @show);
		return join ' ', sort $result->{out} =~ /^(TCP(?:LOCAL|REMOTE)(?:HOST|INFO)=.*)$/mg;
	};
	is($names->({}, ['-i', '192.0.2.2', '192.0.2.1']), 'TCPLOCALHOST=Name_of-1.test TCPREMOTEHOST=one.test', 'both names are looked up');
	is($names->({}, ['-H', '-i', '192.0.2.2', '192.0.2.1']), 'TCPLOCALHOST=Name_of-1.test', '-H');
	is($names->({}, ['-Hh', '-l', 'me', '-i', '192.0.2.2', '192.0.2.1']), 'TCPLOCALHOST=me TCPREMOTEHOST=one.test', '-h and -l');
	is($names->({}, ['-6', '-l0', '2001:db8::5']), 'TCPLOCALHOST=0 TCPREMOTEHOST=honest6.test', 'IPv6');
	is($names->({}, ['-l0', '192.0.2.20']), 'TCPLOCALHOST=0 TCPREMOTEHOST=from-hosts.test', '/etc/hosts');
	is($names->({ DNSCACHEIP => '127.0.0.99' }, ['127.0.0.1']), 'TCPLOCALHOST=localhost TCPREMOTEHOST=localhost', 'localhost needs no server');
	is($names->({ DNSCACHEIP => 'nonsense' }, ['192.0.2.1']), '', 'DNSCACHEIP that is none');
	my ($ident, $listening) = ident_server("PORTS : USERID : UNIX : joe\r\n");
	push @started, $ident;
	is($names->({}, ['-r', '-Hl0', '192.0.2.1']), 'TCPLOCALHOST=0 TCPREMOTEINFO=joe', '-r');
	is($names->({}, ['-rR', '-Hl0', '192.0.2.1']), 'TCPLOCALHOST=0', '-R');
	finish($ident);
	my $begin = time;
	is($names->({}, ['-t1', '-l0', '192.0.2.17']), 'TCPLOCALHOST=0', '-t: a server that is silent');
	cmp_ok(time - $begin, '<', 2.5, 'for a second');
	SKIP: {
		skip 'no strace', 1 if system 'strace -o /dev/null true 2>/dev/null';
		my $trace = temporary('trace');
		run({ env => { ASAN_OPTIONS => 'detect_leaks=0' } }, 'strace', '-f', '-o', $trace, '-e', 'trace=clone,clone3,fork,vfork,sendto,sendmmsg', $tcpclient, '-Hl0', '192.0.2.1', $port, 'true');
		unlike(slurp($trace), qr/clone|fork|send/, 'nothing is asked: no subprocess, no packet');
	}
};

subtest 'what a server asks' => sub {
	my @ends = ('192.0.2.2', 25, '192.0.2.1', 4000);
	my $all = asked({}, '-h', @ends);
	is("$all->{local} $all->{remote} $all->{info} $all->{children}", 'Name_of-1.test one.test - none', 'both names, and no process is left');
	like($all->{err}, qr/\Asubprocess: uid \d+, 1 open\n\z/, 'one subprocess, with its pipe only');
	is(asked({}, @ends)->{remote}, '-', 'without -h');
	is(asked({}, '-l', 'mine', @ends)->{err}, '', 'nothing to ask: no subprocess');
	is(asked({}, '-h', '127.0.0.1', 1, '::1', 2)->{err}, '', 'nor for the loopback addresses');
	$all = asked({}, '-bhr', '-t1', @ends);
	is("$all->{local} $all->{remote} $all->{info} $all->{children}", '- - joe?x none', 'a subprocess that was broken into: what it says is cleaned');
	ok($all->{ms} >= 990 && $all->{ms} < 1600, "and it is ended in time ($all->{ms} ms)");
	SKIP: {
		skip 'not root', 2 unless $ENV{NAMES_USER};
		$all = asked({}, '-h', '-u', $ENV{NAMES_USER}, @ends);
		like($all->{err}, qr/\Asubprocess: uid $ENV{NAMES_USER},/, 'rights are dropped first');
		is($all->{remote}, 'one.test', 'and names still found');
	}
};

subtest 'sslserver -z is paranoid' => sub {
	my %env = (CERTFILE => file('server-rsa.pem'), KEYFILE => file('server-rsa.key'), CAFILE => file('root.pem'), DNSCACHEIP => '127.0.0.1');
	for my $case (['', 'liar.test'], ['-z', ''], ['-zP', ''], ['-P', 'liar.test']) {
		my ($letters, $name) = @$case;
		my $server = serve({ env => \%env }, command('sslserver'), '-1vl0', $letters || (), '0.0.0.0', '0', 'true');
		my $client = IO::Socket::IP->new(PeerHost => '192.0.2.1', PeerPort => $server->{port}, LocalHost => '192.0.2.4');
		is($server->wait_for_log(qr/ok \d+ 0:192\.0\.2\.1:\d+ (\S*?):192\.0\.2\.4:/), $name, "$letters: " . ($name || 'no name')) or diag $server->log;
		close $client;
		$server->stop;
	}
};

subtest 'paranoid' => sub {
	my $host = sub { asked({}, '-hl0', '127.0.0.1', 25, $_[0], 4000)->{remote} . ' ' . asked({}, '-hpl0', '127.0.0.1', 25, $_[0], 4000)->{remote} };
	is($host->('192.0.2.5'), 'honest.test honest.test', 'one of several addresses');
	is($host->('2001:db8::5'), 'honest6.test honest6.test', 'IPv6');
	is($host->('192.0.2.4'), 'liar.test -', 'an address of somebody else');
	is($host->('2001:db8::6'), 'liar.test -', 'of the other family');
	is($host->('192.0.2.20'), 'from-hosts.test from-hosts.test', '/etc/hosts');
};

subtest 'hostile names' => sub {
	my %why = (6 => 'a newline', 7 => '%', 8 => 'blank and punctuation', 9 => 'a compression loop', 11 => '256 bytes', 12 => 'a dot and a colon inside a label', 13 => 'an address',
		14 => 'like an option', 15 => 'the root', 16 => 'cut off');
	for my $last (sort { $a <=> $b } keys %why) {
		my $all = asked({}, '-h', '-l0', '-t1', '127.0.0.1', 25, "192.0.2.$last", 4000);
		is($all->{remote}, '-', $why{$last});
		cmp_ok($all->{ms}, '<', 1600, 'in time');
	}
	is(asked({}, '-h', '-l0', '127.0.0.1', 25, '192.0.2.10', 4000)->{remote}, join('.', ('a' x 63) x 3, 'b' x 61), '253 bytes are a name');
};

subtest 'time' => sub {
	my $slow = asked({}, '-h', '-l0', '127.0.0.1', 25, '192.0.2.18', 4000);
	is($slow->{remote}, 'one.test', 'a slow server');
	for my $last (17, 19) {
		my $all = asked({}, '-h', '-t2', '192.0.2.1', 25, "192.0.2.$last", 4000);
		is("$all->{remote} $all->{local} $all->{children}", '- one.test none', $last == 17 ? 'a silent one: what came in time counts' : 'a wrong id is no answer');
		ok($all->{ms} >= 1990 && $all->{ms} < 2600, "-t 2 is two seconds ($all->{ms} ms)");
	}
	my $dead = asked({ DNSCACHEIP => '127.0.0.9' }, '-hp', '-t2', '192.0.2.1', 25, '192.0.2.2', 4000);
	is("$dead->{remote} $dead->{local}", '- -', 'no server');
	cmp_ok($dead->{ms}, '<', 2600, 'in time');
	my ($ident, $listening) = ident_server('mute');
	push @started, $ident;
	my $all = asked({}, '-hr', '-l0', '-t2', '127.0.0.1', 25, '192.0.2.1', 4000);
	is("$all->{remote} $all->{info}", 'one.test -', 'a silent IDENT server does not cost the name');
	ok($all->{ms} >= 1990 && $all->{ms} < 2600, "and holds up no longer than -t ($all->{ms} ms)");
	finish($ident);
};

subtest 'IDENT' => sub {
	my %replies = (
		"PORTS : USERID : UNIX : joe\r\n"                  => 'joe',
		"PORTS:USERID:UNIX,US-ASCII:joe\n"                 => 'joe',
		"PORTS : USERID : OTHER :   a:b c\x01%s\xff \r\n"  => 'a?b?c??s?',
		"PORTS : USERID : UNIX : " . 'x' x 400 . "\r\n"    => 'x' x 255,
		"PORTS : USERID : UNIX : " . 'x' x 3000 . "\r\n"   => '-',
		"PORTS : ERROR : NO-USER\r\n"                      => '-',
		"1, 2 : USERID : UNIX : joe\r\n"                   => '-',
		"PORTS : USERID : UNIX : joe"                      => '-',
		"PORTS : USERID : UNIX :  \r\n"                    => '-',
		"\r\n"                                             => '-',
		""                                                 => '-',
		"PORTS : USERID : UNIX : joe\r\nPORTS : USERID : UNIX : jane\r\n" => 'joe',
	);
	for my $reply (sort keys %replies) {
		my ($ident, $listening) = ident_server($reply);
		push @started, $ident;
		(my $words = substr $reply, 0, 40) =~ s/[^ -~]/?/g;
		is(asked({}, '-r', '-l0', '-t3', '192.0.2.2', 25, '192.0.2.1', 4000)->{info}, $replies{$reply}, "'$words'");
		is(asked({}, '-r', '-l0', '-t3', '2001:db8::2', 25, '2001:db8::1', 4000)->{info}, 'joe', 'IPv6') if $reply eq "PORTS : USERID : UNIX : joe\r\n";
		finish($ident);
	}
	is(asked({}, '-r', '-l0', '-t3', '192.0.2.2', 25, '192.0.2.1', 4000)->{info}, '-', 'nobody listens');
	my $listening = IO::Socket::IP->new(LocalHost => '192.0.2.1', LocalPort => 113, Listen => 5, ReuseAddr => 1) || die $@;
	my $client = start($ask, '-r', '-l0', '-t3', '192.0.2.2', 25, '192.0.2.1', 4000);
	my $one = $listening->accept;
	is(read_line($one) . ' ' . $one->peerhost, "4000, 25\r 192.0.2.2", 'the question: ports as seen from there, from the address of the connection');
	$one->close;
	$client->wait_for_end;
};

done_testing;
