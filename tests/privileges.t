#!/usr/bin/perl
# Who runs as whom (the table in the manual of sslserver), seen from outside through /proc: listener, io program and prog, for every
# way to ask for ids and a root directory; what cannot be done is refused before anything listens.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Bear;
use BearTls;
use File::Copy qw(copy);
use IO::Socket::IP;
use POSIX ();
use Test::More;

plan skip_all => 'needs root and /proc' unless $> == 0 && -r '/proc/self/status';

my ($user, $group, $io_user, $io_group, $nobody) = (41234, 42345, 45000, 46000, 65534);

# The programs as they are installed: only to be executed. Where they were built others may have no business.
my $bin = temporary('bin');
mkdir $bin, 0755 or die "$bin: $!";
for my $name (qw(sslserver sslclient tcpserver tcpclient tlsd tlsc), map { io_program($_) } qw(tlsd-io tlsc-io)) {
	copy(command($name), "$bin/$name") or die "$name: $!";
	chmod 0711, "$bin/$name";
}
$ENV{COMMAND} = $bin;

my $jail = temporary('jail');
mkdir $jail, 0755 or die "$jail: $!";
my $secret = spew(temporary('secret.key'), slurp(file('server-p256.key')));    # readable by root only
chmod 0400, $secret;

# All that a client gets where the fault is ours.
my $internal_error = qr/\A15030[0-3]00020250\z/;

# Ids of a process and its rights: "uid gid", and the rest by name.
sub process {
	my ($pid) = @_;
	my $status = slurp("/proc/$pid/status");
	my %p = map { my ($name) = $_; $name => $status =~ /^$name:[ \t]*(.*?)[ \t]*$/m ? $1 : "unknown" } qw(Uid Gid Groups NoNewPrivs CapEff CapPrm PPid);
	for my $id (qw(Uid Gid)) {    # real, effective, saved and file system ids are to agree
		my %all = map { $_ => 1 } split ' ', $p{$id};
		$p{$id} = join '/', sort keys %all;
	}
	$p{ids} = "$p{Uid} $p{Gid}";
	$p{root} = readlink("/proc/$pid/root") || '';
	$p{cwd} = readlink("/proc/$pid/cwd") || '';
	$p{program} = (readlink("/proc/$pid/exe") || '') =~ m{([^/]+)\z} ? $1 : '';
	$p{owner} = (stat "/proc/$pid/environ")[4];
	my $limits = slurp("/proc/$pid/limits");
	$p{"limit $_"} = $limits =~ /^Max $_\s+(\S+)\s+(\S+)/m ? "$1 $2" : 'unknown' for 'core file size', 'processes', 'open files';
	return \%p;
}

# What every io program has given up.
sub confined {
	my ($io, $name) = @_;
	my $root = $io->{Uid} eq '0';
	is($io->{Groups}, '', "$name: no supplementary groups");
	is($io->{NoNewPrivs}, 1, "$name: no new privileges");
	is("$io->{CapEff} $io->{CapPrm}", '0000000000000000 0000000000000000', "$name: no capabilities") unless $root;
	is($io->{owner}, 0, "$name: not dumpable, so its files in /proc belong to root");
	is($io->{'limit core file size'}, '0 0', "$name: no core");
	is($io->{'limit processes'}, '0 0', "$name: no further processes");
	like($io->{'limit open files'}, qr/\A(\d+) \1\z/, "$name: a limit of descriptors");
	cmp_ok((split ' ', $io->{'limit open files'})[0], '<=', 64, "$name: which is small");
}

# prog says its pid and stays. Who looks has all the time he needs.
my @stay = ('sh', '-c', 'echo $$; exec sleep 60');

# One connection to a server, looked at while it is open: io program and prog.
sub look {
	my ($server) = @_;
	my $client = start('openssl', 's_client', '-connect', "127.0.0.1:$server->{port}", '-quiet', '-CAfile', file('root.pem'));
	my $prog = wait_until(sub { slurp($client->{out}) =~ /^(\d+)\n/ ? $1 : 0 }, 5);
	if (!$prog) {
		diag('no connection: ' . $server->log . $client->log);
		return ({}, {});
	}
	my $parent = process($prog)->{PPid};
	my @seen = (process($parent), process($prog));
	$seen[0]{pid} = $parent;
	kill 'KILL', $prog;
	$client->wait_for_end(5);
	return @seen;
}

my $becomes_other = sub { $( = $) = "$user $user"; POSIX::setuid($user) };
my $with_groups = sub { $) = '0 7 8' };

my ($daemon_uid, $daemon_gid) = (getpwnam 'daemon')[2, 3];
my $mail_gid = getgrnam 'mail';

# name, letters, environment, then uid and gid of listener, io program and prog, and the root directory of the io program. A listener that
# has dropped its rights cannot have a key read that only root may read; all others can.
my @cases = (
	['-u and -g', ['-u', $user, '-g', $group], {}, "$user $group", "$user $group", "$user $group"],
	['-u alone keeps the gid', ['-u', $user], {}, "$user 0", "$user 0", "$user 0"],
	['-U', ['-U'], { UID => $user, GID => $group }, "$user $group", "$user $group", "$user $group"],
	['-u before -U', ['-Uu', $user], { UID => 77, GID => $group }, "$user $group", "$user $group", "$user $group"],
	['nothing', [], {}, '0 0', "$nobody $nobody", '0 0'],
	['-g alone', ['-g', $group], {}, '0 0', "$nobody $group", "0 $group"],
	['SSL_UID', [], { SSL_UID => $io_user }, '0 0', "$io_user $nobody", '0 0'],
	['SSL_UID, SSL_GID', [], { SSL_UID => $io_user, SSL_GID => $io_group }, '0 0', "$io_user $io_group", '0 0'],
	['SSL_UID, -u, -g', ['-u', $user, '-g', $group], { SSL_UID => $io_user }, '0 0', "$io_user $group", "$user $group"],
	['SSL_UID, -u', ['-u', $user], { SSL_UID => $io_user }, '0 0', "$io_user $nobody", "$user 0"],
	['SSL_UID, SSL_GID, -u, -g', ['-u', $user, '-g', $group], { SSL_UID => $io_user, SSL_GID => $io_group }, '0 0', "$io_user $io_group", "$user $group"],
	['SSL_UID, SSL_GID, -U', ['-U'], { SSL_UID => $io_user, SSL_GID => $io_group, UID => $user, GID => $group }, '0 0', "$io_user $io_group", "$user $group"],
	['SSL_UID as -u', ['-u', $user, '-g', $group], { SSL_UID => $user }, '0 0', "$user $group", "$user $group"],
	['SSL_GID, -u', ['-u', $user], { SSL_GID => $io_group }, '0 0', "$user $io_group", "$user 0"],
	['SSL_GID', [], { SSL_GID => $io_group }, '0 0', "$nobody $io_group", '0 0'],
	['SSL_UID=0', [], { SSL_UID => 0 }, '0 0', '0 0', '0 0'],
	['SSL_UID=0, -u, -g', ['-u', $user, '-g', $group], { SSL_UID => 0, SSL_GID => 0 }, '0 0', '0 0', "$user $group"],
	['TLS_UID, TLS_GID', [], { TLS_UID => $io_user, TLS_GID => $io_group }, '0 0', "$io_user $io_group", '0 0'],
	['TLS_UID, -u, -g', ['-u', $user, '-g', $group], { TLS_UID => $io_user }, '0 0', "$io_user $group", "$user $group"],
	['TLS_GID, -u', ['-u', $user], { TLS_GID => $io_group }, '0 0', "$user $io_group", "$user 0"],
	['SSL_ before TLS_', [], { SSL_UID => $io_user, SSL_GID => $io_group, TLS_UID => 77, TLS_GID => 78 }, '0 0', "$io_user $io_group", '0 0'],
	['SSL_CHROOT', [], { SSL_CHROOT => $jail }, '0 0', "$nobody $nobody", '0 0', $jail],
	['SSL_CHROOT, -u, -g', ['-u', $user, '-g', $group], { SSL_CHROOT => $jail }, '0 0', "$user $group", "$user $group", $jail],
	['SSL_CHROOT, SSL_UID, SSL_GID, -u, -g', ['-u', $user, '-g', $group], { SSL_CHROOT => $jail, SSL_UID => $io_user, SSL_GID => $io_group },
		'0 0', "$io_user $io_group", "$user $group", $jail],
	['SSL_CHROOT, SSL_UID=0', [], { SSL_CHROOT => $jail, SSL_UID => 0 }, '0 0', '0 0', '0 0', $jail],
);
push @cases, (
	['SSL_USER has its own group', [], { SSL_USER => 'daemon' }, '0 0', "$daemon_uid $daemon_gid", '0 0'],
	['SSL_USER, -u, -g', ['-u', $user, '-g', $group], { SSL_USER => 'daemon' }, '0 0', "$daemon_uid $daemon_gid", "$user $group"],
	['SSL_USER, SSL_GROUP, SSL_CHROOT', ['-u', $user], { SSL_USER => 'daemon', SSL_GROUP => 'mail', SSL_CHROOT => $jail }, '0 0', "$daemon_uid $mail_gid", "$user 0", $jail],
	['SSL_GROUP, -u', ['-u', $user], { SSL_GROUP => 'mail' }, '0 0', "$user $mail_gid", "$user 0"],
	['numbers before names', [], { SSL_USER => 'daemon', SSL_GROUP => 'mail', SSL_UID => $io_user, SSL_GID => $io_group }, '0 0', "$io_user $io_group", '0 0'],
) if defined $daemon_uid && defined $mail_gid;

for my $case (@cases) {
	my ($name, $letters, $env, $listener, $io_ids, $prog_ids, $root) = @$case;
	subtest "sslserver: $name" => sub {
		my $drops = $listener !~ /^0 /;
		my $all = { %$env, $drops ? () : (KEYFILE => $secret) };
		my $server = sslserver({ pair => 'server-p256', env => $all, before => $with_groups }, $letters, @stay);
		my ($io, $prog) = look($server);
		my $seen = process($server->{pid});
		is($seen->{ids}, $listener, 'listener');
		is($seen->{root}, '/', 'in the root directory of all');
		is($seen->{Groups}, '', 'without supplementary groups') if $drops;
		is($io->{program}, io_program('tlsd-io'), 'the parent of prog is the io program');
		is($io->{PPid}, $server->{pid}, 'whose parent is the listener');
		is($io->{ids}, $io_ids, 'io program');
		is($io->{root}, $root || '/', 'its root directory');
		is($io->{cwd}, $root, 'which it is in') if $root;
		confined($io, 'io program');
		is($prog->{ids}, $prog_ids, 'prog');
		is($prog->{root}, '/', 'in the root directory of all');
		is($prog->{Groups}, '', 'without supplementary groups') if grep { /^-[Uug]/ } @$letters;
		is($prog->{NoNewPrivs}, 0, 'which may do what it could');
		$server->stop;

		if ($drops) {
			my $failure = run({ env => pair('server-p256', %$env, KEYFILE => $secret) }, command('sslserver'), '-1', @$letters, '127.0.0.1', '0', 'true');
			is($failure->{exit}, 96, 'a key that only root may read: exit 96');
			is($failure->{err}, "tlsd-io: fatal: key $secret: not readable by uid $user (-u); set SSL_UID to have it opened as root\n", 'in words');
			is($failure->{out}, '', 'before it listens');
		}
	};
}

subtest 'before the handshake' => sub {
	my $server = sslserver({ pair => 'server-p256', env => { KEYFILE => $secret, SSL_UID => $io_user, SSL_CHROOT => $jail } }, ['-u', $user, '-g', $group], 'true');
	my $socket = connect_to($server->{port});
	my $pid = $server->wait_for_log(qr/^sslserver: ok (\d+) /m);
	ok(wait_until(sub { process($pid)->{NoNewPrivs} eq '1' }, 5), 'the io program needs no byte to give up its rights');
	my $io = process($pid);
	is($io->{ids}, "$io_user $group", 'ids');
	is($io->{root}, $jail, 'root directory');
	my ($waiting) = split ' ', slurp("/proc/$pid/task/$pid/children");
	SKIP: {
		skip 'children are not to be seen here', 3 unless $waiting;
		ok(wait_until(sub { process($waiting)->{ids} eq "$user $group" }, 5), 'what is to become prog needs none to become somebody else');
		my $prog = process($waiting);
		is($prog->{program}, 'sslserver', 'and waits');
		is($prog->{Groups}, '', 'without supplementary groups');
	}
	close $socket;
	$server->stop;
};

subtest 'the order of things' => sub {
	my $trace = temporary('trace');
	my $probe = run('strace', '-f', '-o', $trace, 'true');
	plan skip_all => 'no strace here' unless defined $probe->{exit} && $probe->{exit} == 0;
	my $calls = 'openat,open,setgroups,chroot,chdir,setgid,setuid,prctl,prlimit64,setrlimit,read,recvfrom,recvmsg,readv';
	my $result = run({ in => "GET / HTTP/1.0\r\n\r\n", env => pair('server-p256', KEYFILE => $secret, SSL_UID => $io_user, SSL_GID => $io_group, SSL_CHROOT => $jail) },
		'strace', '-o', $trace, '-e', "trace=$calls", command(io_program('tlsd-io')), '0', '1');
	is($result->{exit}, 98, 'tlsd-io meets something that is not TLS');
	my @order;
	for (split /\n/, slurp($trace)) {
		push @order, 'key' if /^open.*\Q$secret\E/;
		push @order, $1 if /^(setgroups|chroot|chdir|setgid)\b.*= 0$/;
		push @order, 'no core' if /RLIMIT_CORE, \{rlim_cur=0, rlim_max=0\}/;
		push @order, 'setuid' if /^setuid\($io_user\).*= 0$/;
		push @order, 'setuid(0) fails' if /^setuid\(0\).*= -1/;
		push @order, 'no new privileges' if /^prctl\(PR_SET_NO_NEW_PRIVS, 1/;
		push @order, 'not dumpable' if /^prctl\(PR_SET_DUMPABLE, (0|SUID_DUMP_DISABLE)/;
		push @order, 'no processes' if /RLIMIT_NPROC, \{rlim_cur=0, rlim_max=0\}/;
		push @order, 'few descriptors' if /RLIMIT_NOFILE, \{/;
		push @order, 'network' if /^(read|recvfrom|recvmsg|readv)\(0,/ && $order[-1] ne 'network';
	}
	is(join(', ', @order), 'key, no core, not dumpable, setgroups, chroot, chdir, setgid, setuid, setuid(0) fails, no new privileges, not dumpable, '
		. 'no processes, few descriptors, network', 'everything is given up between the key and the first byte');
};

subtest 'tlsd' => sub {
	my @tlsd = (
		['-u and -g of tcpserver', ['-u', $user, '-g', $group], {}, "$user $group", "$user $group", 'server'],
		['root', [], {}, "$nobody $nobody", '0 0'],
		['SSL_UID, SSL_GID', [], { SSL_UID => $io_user, SSL_GID => $io_group }, "$io_user $io_group", '0 0'],
		['SSL_UID', [], { SSL_UID => $io_user }, "$io_user $nobody", '0 0'],
		['TLS_UID, TLS_GID', [], { TLS_UID => $io_user, TLS_GID => $io_group }, "$io_user $io_group", '0 0'],
		['SSL_UID before TLS_UID', [], { TLS_UID => 77, SSL_UID => $io_user, SSL_GID => $io_group }, "$io_user $io_group", '0 0'],
		['SSL_CHROOT', [], { SSL_CHROOT => $jail }, "$nobody $nobody", '0 0', undef, $jail],
		['SSL_UID=0', [], { SSL_UID => 0 }, '0 0', '0 0'],
	);
	for my $case (@tlsd) {
		my ($name, $letters, $env, $io_ids, $prog_ids, $readable, $root) = @$case;
		my $server = serve({ env => pair('server-p256', $readable ? () : (KEYFILE => $secret), %$env), before => $with_groups }, command('tcpserver'), '-1v', @$letters,
			'127.0.0.1', '0', command('tlsd'), @stay);
		my ($io, $prog) = look($server);
		is($io->{ids}, $io_ids, "$name: io program");
		is($io->{root}, $root || '/', "$name: its root directory");
		confined($io, $name);
		is($prog->{ids}, $prog_ids, "$name: prog");
		is($prog->{root}, '/', "$name: in the root directory of all");
		$server->stop;
	}
};

subtest 'clients' => sub {
	my $server = sslserver({ pair => 'server-p256' }, [], 'sleep', '60');
	my @clients = (
		['root', {}, "$nobody $nobody"], ['SSL_UID, SSL_GID', { SSL_UID => $io_user, SSL_GID => $io_group }, "$io_user $io_group"],
		['TLS_UID, TLS_GID', { TLS_UID => $io_user, TLS_GID => $io_group }, "$io_user $io_group"], ['SSL_CHROOT', { SSL_CHROOT => $jail }, "$nobody $nobody", $jail],
		['SSL_USER', { SSL_USER => 'daemon' }, "$daemon_uid $daemon_gid"],
	);
	my $roots = spew(temporary('roots.pem'), slurp(file('root.pem')));
	chmod 0400, $roots;
	for my $case (@clients) {
		my ($name, $env, $io_ids, $root) = @$case;
		my $connection = ['sslclient', 'localhost', $server->{port}];
		for my $program ($connection, ['tcpclient', '127.0.0.1', $server->{port}, command('tlsc'), '-k', 'localhost']) {
			my ($first, @rest) = @$program;
			next if $first eq 'tcpclient' && $env->{SSL_USER};
			my $client = start({ env => { CAFILE => $roots, %$env } }, command($first), @rest, @stay);
			my $prog = wait_until(sub { slurp($client->{out}) =~ /^(\d+)\n/ ? $1 : 0 }, 5) or diag($client->log);
			my ($seen, $io) = (process($prog), process($client->{pid}));
			is($seen->{PPid}, $client->{pid}, "$first, $name: the io program is the parent of prog");
			is($io->{program}, io_program('tlsc-io'), "$first, $name: tlsc-io");
			is($io->{ids}, $io_ids, "$first, $name: io program");
			is($io->{root}, $root || '/', "$first, $name: its root directory");
			confined($io, "$first, $name");
			is("$seen->{ids} $seen->{root}", '0 0 /', "$first, $name: prog");
			kill 'KILL', $prog if $prog;    # the io program would still wait for what the server has to say
			kill 'KILL', $client->{pid};
			$client->wait_for_end(5);
		}
	}
};

# Exit 96, and the words name what it is about; nothing was listened on.
sub impossible {
	my ($name, $before, $letters, $env, $words) = @_;
	my $busy = IO::Socket::IP->new(LocalHost => '127.0.0.1', LocalPort => 0, Listen => 1);
	my $result = run({ before => $before, env => pair('server-p256', %$env) }, command('sslserver'), '-1', @$letters, '127.0.0.1', $busy->sockport, 'true');
	is($result->{exit}, 96, "$name: exit 96, though the port is in use") or diag($result->{err});
	like($result->{err}, qr/\A(sslserver|tlsd-io): fatal: .*$words.*\n\z/, 'in words');
	is($result->{out}, '', 'and nothing else');
}

subtest 'what only root can do' => sub {
	impossible("not root, -u $nobody", $becomes_other, ['-u', $nobody], {}, 'not started as root');
	impossible("not root, -g $nobody", $becomes_other, ['-g', $nobody], {}, 'not started as root');
	impossible("not root, -U", $becomes_other, ['-U'], { UID => $nobody, GID => $user }, 'not started as root');
	impossible("not root, $_", $becomes_other, [], { $_ => $nobody }, 'not started as root') for qw(SSL_UID SSL_GID TLS_UID TLS_GID);
	impossible("not root, $_=0", $becomes_other, [], { $_ => 0 }, 'root') for qw(SSL_UID SSL_GID TLS_UID TLS_GID);
	impossible('not root, SSL_USER', $becomes_other, [], { SSL_USER => 'daemon' }, 'not started as root');
	impossible('not root, SSL_GROUP', $becomes_other, [], { SSL_GROUP => 'mail' }, 'not started as root');
	impossible('not root, SSL_CHROOT', $becomes_other, [], { SSL_CHROOT => $_ }, 'SSL_CHROOT: not started as root') for $jail, '/';
	impossible('not root, a key that is not readable', $becomes_other, [], { KEYFILE => $secret }, "\Q$secret\E: Permission denied");
};

subtest 'not root' => sub {
	for my $case ([[], {}], [['-u', $user], {}], [['-g', $user], {}], [['-U'], { UID => $user, GID => $user }], [[], { SSL_UID => $user, SSL_GID => $user }],
		[[], { TLS_UID => $user, TLS_GID => $user }]) {
		my ($letters, $env) = @$case;
		my $name = join ' ', 'itself', @$letters, sort keys %$env;
		my $server = sslserver({ pair => 'server-p256', before => $becomes_other, env => $env }, $letters, @stay);
		my ($io, $prog) = look($server);
		is(process($server->{pid})->{ids}, "$user $user", "$name: listener");
		is($io->{ids}, "$user $user", "$name: io program");
		is($prog->{ids}, "$user $user", "$name: prog");
		is($io->{NoNewPrivs}, 1, "$name: no new privileges");
		is($io->{owner}, 0, "$name: not dumpable");
		is($io->{'limit processes'}, '0 0', "$name: no further processes");
		$server->stop;
	}
};

subtest 'what nobody can do' => sub {
	for my $name (qw(SSL_UID SSL_GID TLS_UID TLS_GID)) {
		impossible("$name=$_", undef, [], { $name => $_ }, $name) for 'x', '', '-1', '1.5', ' 1', '1 ', '0x1', '4294967295', '99999999999999999999';
	}
	impossible('TLS_UID=0', undef, [], { TLS_UID => 0 }, 'TLS_UID');
	impossible('TLS_UID=0, -u', undef, ['-u', $user], { TLS_UID => 0 }, 'TLS_UID');
	impossible("SSL_USER=$_", undef, [], { SSL_USER => $_ }, 'SSL_USER') for 'no-such-user', '';
	impossible("SSL_GROUP=$_", undef, [], { SSL_GROUP => $_ }, 'SSL_GROUP') for 'no-such-group', '';
	impossible("SSL_CHROOT=$_", undef, [], { SSL_CHROOT => $_ }, '(chroot|SSL_CHROOT)') for temporary('gone'), $secret, '';

	for my $name ('SSL_USER', 'SSL_GROUP') {
		my $result = run({ env => pair('server-p256', $name => 'daemon') }, command(io_program('tlsd-io')), '-C', '0', '1');
		is($result->{exit}, 96, "tlsd-io, $name alone: exit 96");
		like($result->{err}, qr/\Atlsd-io: fatal: .*$name.*\n\z/, 'in words');
		my $server = serve({ env => pair('server-p256', $name => 'daemon') }, command('tcpserver'), '-1v', '127.0.0.1', '0', command('tlsd'), 'echo', 'started');
		like(unpack('H*', ask($server->{port}, '')), $internal_error, "tlsd, $name alone: no connection");
		is($server->wait_for_log(qr/^tcpserver: end \d+ status (\d+)$/m), 96 << 8, 'exit 96');
		$server->stop;
	}
};

subtest 'the configuration is checked before anything listens' => sub {
	impossible('no certificate', undef, [], { CERTFILE => temporary('gone.pem') }, 'gone\.pem: No such file');
	impossible('no key', undef, [], { KEYFILE => temporary('gone.key') }, 'gone\.key: No such file');
	impossible('a key that is none', undef, [], { KEYFILE => spew(temporary('bad.key'), "nothing\n") }, 'bad\.key');
	impossible('a key of another certificate', undef, [], { KEYFILE => file('server-rsa.key') }, 'does not belong to a certificate in');
	impossible('another certificate of the same kind', undef, [], { KEYFILE => file('client.key') }, 'does not belong to a certificate in');
	impossible('an encrypted key', undef, [], { KEYFILE => temporary('encrypted.key') }, 'encrypted\.key: .*encrypted')
		if openssl('pkey', '-in', file('server-p256.key'), '-aes256', '-passout', 'pass:x', '-out', temporary('encrypted.key')) eq '';
	impossible('with -u', undef, ['-u', $user], { CERTFILE => temporary('gone.pem') }, 'gone\.pem: No such file');

	# What goes wrong later is met by each connection.
	my $key = spew(temporary('later.key'), slurp(file('server-p256.key')));
	my $server = sslserver({ pair => 'server-p256', env => { KEYFILE => $key } }, [], 'echo', 'started');
	is(s_client({}, $server->{port}, '-quiet')->{out}, "started\n", 'a server');
	connection($server);
	unlink $key;
	like(unpack('H*', ask($server->{port}, '')), $internal_error, 'whose key is gone: the connection ends');
	my $seen = connection($server);
	is($seen->{status}, 96 << 8, 'exit 96');
	like($seen->{log}, qr/^tlsd-io: fatal: unable to read key from \Q$key\E: No such file or directory$/m, 'in words');
	spew($key, slurp(file('server-p256.key')));
	is(s_client({}, $server->{port}, '-quiet')->{out}, "started\n", 'and is back');
	$server->stop;
};

subtest '-C' => sub {
	for my $case (['tlsd-io', 0], ['tlsd-io', 0, SSL_UID => $io_user, SSL_CHROOT => $jail], ['tlsd-io', 96, SSL_CHROOT => temporary('gone')], ['tlsd-io', 96, TLS_UID => 0],
		['tlsc-io', 0], ['tlsc-io', 96, CAFILE => temporary('gone')], ['tlsc-io', 96, SSL_CHROOT => temporary('gone')], ['tlsc-io', 96, TLS_UID => 'x'],
		['tlsc-io', 0, SSL_CHROOT => $jail]) {
		my ($program, $exit, %env) = @$case;
		my $ours = $program eq 'tlsd-io' ? pair('server-p256', KEYFILE => $secret, %env) : { CAFILE => file('root.pem'), TLS_PEERNAME => 'localhost', %env };
		my $result = run({ env => $ours }, command(io_program($program)), '-C', '0', '1');
		is($result->{exit}, $exit, join ' ', "$program -C: exit $exit", %env);
		like($result->{err}, $exit ? qr/\A\Q$program\E: fatal: .+\n\z/ : qr/\A\z/, $exit ? 'in words' : 'without a word');
	}
};

# Only to be executed, it is not dumpable from its first instruction on; nobody else's descriptors or memory are to be had.
subtest 'installed with mode 0711' => sub {
	my $fifo = temporary('fifo.pem');
	POSIX::mkfifo($fifo, 0644) or die "$fifo: $!";
	my $check = start({ before => $becomes_other, env => { CERTFILE => $fifo } }, command(io_program('tlsd-io')), '-C', '0', '1');
	wait_until(sub { process($check->{pid})->{program} eq io_program('tlsd-io') }, 5);
	my $seen = process($check->{pid});
	is($seen->{ids}, "$user $user", 'tlsd-io of somebody');
	is($seen->{owner}, 0, 'is not dumpable while it still reads its configuration');
	open my $end, '>', $fifo or die "$fifo: $!";
	close $end;
	is($check->wait_for_end(5)->{exit}, 96, 'and goes on');
};

done_testing;
