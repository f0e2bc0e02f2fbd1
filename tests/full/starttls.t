#!/usr/bin/perl
# STARTTLS with real servers and clients: dovecot, PostgreSQL and psql, slapd and ldapsearch, tinyproxy, dante. Each server is started by
# this test on free ports of loopback, from where package/deps has unpacked it, and ended by its id.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Bear;
use BearTls;
use Cwd qw(abs_path);
use File::Path qw(make_path);
use IO::Socket::IP;
use Test::More;

my $peers = $ENV{PEERS} || "$FindBin::Bin/../../build/peers";

# A program of a package: installed, or unpacked. '' if it is nowhere.
sub where {
	my (@paths) = @_;
	for my $path (@paths) {
		my ($found) = grep { -x } glob("/$path"), glob("$peers/*/$path");
		return $found if $found;
	}
	return '';
}

# A port that was free a moment ago, for servers that cannot choose one themselves.
sub free_port { return IO::Socket::IP->new(LocalHost => '127.0.0.1', LocalPort => 0, Listen => 1)->sockport }

# Starts it on a free port (%P in its words), once more if another program was faster.
sub start_on_port {
	my ($options, $prepare, @command) = @_;
	my $server;
	for (1 .. 3) {
		my $port = free_port();
		$prepare->($port) if $prepare;
		$server = start($options, map { s/%P/$port/gr } @command);
		$server->{port} = $port;
		return $server if wait_until(sub { !$server->running || connect_to($port) }, 20) && $server->running;
	}
	diag 'not started: ' . $server->log;
	return undef;
}

my $root = $> == 0;
my ($user, $group) = ($root ? 'nobody' : getpwuid $>, $root ? 'nogroup' : getgrgid $));
my %trust = (CAFILE => file('root.pem'), TLS_PEERNAME => 'localhost');
my $ask = sub { return ('sh', '-c', 'read greeting <&6; echo "$greeting"; printf "%b" "$0" >&7; cat <&6', $_[0]) };

# sslclient -y and tcpclient with tlsc, each with starttlsc in it: what comes out.
sub both_ways {
	my ($name, $protocol, $port, $pattern, @prog) = @_;
	for my $way (0, 1) {
		my @chain = $way
			? (command('tcpclient'), '127.0.0.1', $port, command('starttlsc'), $protocol, command('tlsc'), command('regreet'))
			: (command('sslclient'), '-y', '127.0.0.1', $port, command('starttlsc'), $protocol);
		my $result = run({ env => \%trust, timeout => 30 }, @chain, @prog);
		like($result->{out}, $pattern, $name . ($way ? ', before tlsc' : ', under sslclient -y')) or diag $result->{err};
	}
}

# ---- dovecot ----

subtest 'dovecot' => sub {
	my @unpacked = -x '/usr/sbin/dovecot' ? () : grep { -e "$_/usr" } glob "$peers/dovecot-*";
	plan skip_all => 'not there' unless @unpacked || -x '/usr/sbin/dovecot';
	plan skip_all => 'its processes want to be other users' unless $root;
	# It finds its parts at their own place only: unpacked, it gets a /usr of its own that has them there.
	my @in_place;
	if (@unpacked) {
		my $mount = 'mount -t overlay overlay -o lowerdir=' . join(':', map { abs_path("$_/usr") } @unpacked) . ':/usr /usr && exec "$@"';
		@in_place = ('unshare', '-m', 'sh', '-c', $mount, 'sh');
		plan skip_all => 'unpacked, and no overlay can be mounted here' if run(@in_place, 'true')->{exit};
	}
	plan skip_all => 'not the 2.3 whose settings these are' unless run(@in_place, 'dovecot', '--version')->{out} =~ /^2\.3\./;
	my $here = temporary('dovecot');
	make_path("$here/run", "$here/mail/u");
	spew("$here/passwd", "u:{PLAIN}p\n");
	chmod 0755, $here;
	system 'chown', '-R', 'nobody:nogroup', "$here/mail";
	my $sieve = run(@in_place, 'test', '-e', '/usr/lib/dovecot/managesieve-login')->{exit} ? '' : ' sieve';
	my $conf = sub {
		my ($imap) = @_;
		my %port = (imap => $imap, map { $_ => free_port() } qw(pop3 sieve lmtp));
		spew("$here/ports", join ' ', %port);
		my $service = $sieve ? "service managesieve-login {\n  chroot =\n  inet_listener sieve {\n    port = $port{sieve}\n  }\n}\n" : '';
		my ($certificate, $key) = (file('via-p256-chain.pem'), file('via-p256.key'));
		spew("$here/conf", <<END);
base_dir = $here/run
state_dir = $here/run
log_path = $here/log
protocols = imap pop3 lmtp$sieve
listen = 127.0.0.1
ssl = required
ssl_cert = <$certificate
ssl_key = <$key
default_internal_user = daemon
default_internal_group = daemon
default_login_user = mail
mail_location = maildir:$here/mail/%u
first_valid_uid = 1
passdb {
  driver = passwd-file
  args = $here/passwd
}
userdb {
  driver = static
  args = uid=nobody gid=nogroup home=$here/mail/%u
}
service anvil {
  chroot =
}
service imap-login {
  chroot =
  inet_listener imap {
    port = $port{imap}
  }
  inet_listener imaps {
    port = 0
  }
}
service pop3-login {
  chroot =
  inet_listener pop3 {
    port = $port{pop3}
  }
  inet_listener pop3s {
    port = 0
  }
}
${service}service lmtp {
  inet_listener lmtp {
    port = $port{lmtp}
  }
}
END
	};
	my $server = start_on_port({}, $conf, @in_place, 'dovecot', '-F', '-c', "$here/conf");
	ok($server, 'started') or return diag slurp("$here/log");
	my %port = split ' ', slurp("$here/ports");
	both_ways('lmtp', 'lmtp', $port{lmtp}, qr/\A220 [^\n]*\n.*^250 2\.0\.0 <u> \S+ Saved/ms,
		$ask->('LHLO me\r\nMAIL FROM:<a@example.org>\r\nRCPT TO:<u>\r\nDATA\r\nSubject: x\r\n\r\ntext\r\n.\r\nQUIT\r\n'));
	both_ways('imap', 'imap', $port{imap}, qr/\A\* OK (?!\[)[^\n]*\n.*^\* 2 EXISTS\r\n.*^text\r$/ms,
		$ask->('a LOGIN u p\r\nb SELECT INBOX\r\nc FETCH 1 BODY[]\r\nd LOGOUT\r\n'));
	both_ways('pop3', 'pop3', $port{pop3}, qr/\A\+OK [^\n]*\n.*^\+OK 2 messages.*^text\r$/ms, $ask->('USER u\r\nPASS p\r\nLIST\r\nRETR 1\r\nQUIT\r\n'));
	SKIP: {
		skip 'no dovecot-managesieved', 2 unless $sieve;
		both_ways('sieve', 'sieve', $port{sieve}, qr/\A"IMPLEMENTATION".*^"SASL" "[^"]*PLAIN.*^OK "Logged in/ms,
			$ask->('AUTHENTICATE "PLAIN" "AHUAcA=="\r\nLOGOUT\r\n'));
	}
	diag slurp("$here/log") unless Test::More->builder->is_passing;
	$server->stop;
};

# ---- PostgreSQL ----

subtest 'PostgreSQL' => sub {
	my $initdb = where('usr/lib/postgresql/*/bin/initdb');
	my $psql = where('usr/bin/psql', 'usr/lib/postgresql/*/bin/psql');
	plan skip_all => 'not there' unless $initdb && $psql;
	(my $postgres = $initdb) =~ s/initdb$/postgres/;
	my $here = temporary('pg');
	mkdir $here, 0755;
	my $before = sub { };
	if ($root) {    # it does not run as root
		my ($uid, $gid) = (getpwnam 'nobody')[2, 3];
		chown $uid, $gid, $here;
		$before = sub { POSIX::setgid($gid); POSIX::setuid($uid) };
	}
	my $result = run({ before => $before, timeout => 120, env => { LC_ALL => 'C' } }, $initdb, '-D', "$here/data", '-U', 'u', '-A', 'trust', '-N');
	is($result->{exit}, 0, 'initdb') or return diag $result->{err} . $result->{out};
	spew("$here/server.pem", slurp(file('server-p256.pem')));
	spew("$here/server.key", slurp(file('server-p256.key')));
	chmod 0600, "$here/server.key";
	chown((getpwnam 'nobody')[2, 3], "$here/server.key") if $root;
	my @postgres = ($postgres, '-D', "$here/data", '-p', '%P', '-k', '', '-c', 'listen_addresses=127.0.0.1', '-c', 'fsync=off');
	my $plain = start_on_port({ before => $before, env => { LC_ALL => 'C' } }, undef, @postgres);
	ok($plain, 'started without TLS') or return;
	my @query = ('-U', 'u', '-d', 'postgres', '-Atc', "select 'answer ' || count(*) from generate_series(1, 20000)");
	my @bulk = ('-U', 'u', '-d', 'postgres', '-Atc', "select repeat('x', 100) from generate_series(1, 20000)");
	my $ssl = sub { my ($mode, $port, @words) = @_; return run({ timeout => 60, env => { PGSSLMODE => $mode, PGSSLROOTCERT => file('root.pem'), PGGSSENCMODE => 'disable', PGHOST => 'localhost', PGHOSTADDR => '127.0.0.1', PGPORT => $port } }, $psql, @words) };
	my @back = (command('tcpclient'), '127.0.0.1', $plain->{port}, 'sh', '-c', 'exec 3<&0; cat <&3 >&7 & exec cat <&6');
	# It listens before it serves.
	ok(wait_until(sub { $ssl->('disable', $plain->{port}, @query)->{out} eq "answer 20000\n" }, 30), '... and serving');
	my $required = sslserver({ pair => 'server-p256' }, ['-n'], command('starttlsd'), 'pgsql', @back);
	$result = $ssl->('verify-full', $required->{port}, @query);
	is($result->{out}, "answer 20000\n", 'psql, sslmode=verify-full, through starttlsd') or diag $result->{err};
	$result = $ssl->('verify-full', $required->{port}, @bulk);
	ok($result->{out} eq ('x' x 100 . "\n") x 20000, '... much data');
	$result = $ssl->('disable', $required->{port}, @query);
	like($result->{err}, qr/FATAL:  TLS is required/, '... sslmode=disable is told so');
	my $offered = sslserver({ pair => 'server-p256' }, ['-n'], command('starttlsd'), '-o', 'pgsql', @back);
	for my $mode ('disable', 'prefer', 'require') {
		$result = $ssl->($mode, $offered->{port}, @query);
		is($result->{out}, "answer 20000\n", "offered, sslmode=$mode") or diag $result->{err};
	}
	kill 'INT', $plain->{pid};
	ok($plain->wait_for_end(20), 'stopped') or return;

	spew("$here/data/pg_hba.conf", "hostssl all all 127.0.0.1/32 trust\n");
	my $tls = start_on_port({ before => $before, env => { LC_ALL => 'C' } }, undef, @postgres, '-c', 'ssl=on', '-c', "ssl_cert_file=$here/server.pem", '-c',
		"ssl_key_file=$here/server.key");
	ok($tls, 'started with TLS') or return;
	ok(wait_until(sub { $ssl->('disable', $tls->{port}, @query)->{err} =~ /no encryption/ }, 20), '... and nothing else');
	my @copy = ('sh', '-c', 'exec 3<&0; cat <&3 >&7 & exec cat <&6');
	my %chain = (
		'under sslclient -y' => [command('sslclient'), '-y', '127.0.0.1', $tls->{port}, command('starttlsc'), 'pgsql'],
		'before tlsc' => [command('tcpclient'), '127.0.0.1', $tls->{port}, command('starttlsc'), 'pgsql', command('tlsc')],
	);
	for my $name (sort keys %chain) {
		my $front = serve({ env => \%trust }, command('tcpserver'), '-1v', '127.0.0.1', 0, @{ $chain{$name} }, @copy);
		$result = $ssl->('disable', $front->{port}, @query);
		is($result->{out}, "answer 20000\n", "psql without TLS through starttlsc $name") or diag $result->{err} . $front->log;
	}
	kill 'INT', $tls->{pid};
	$tls->wait_for_end(20);
};

# ---- LDAP ----

subtest 'slapd' => sub {
	my $slapd = where('usr/sbin/slapd') or plan skip_all => 'not there';
	my $here = temporary('ldap');
	make_path("$here/db", "$here/run");
	my @libraries = grep { -d } glob("$peers/*/usr/lib/*-linux-*"), glob("$peers/*/usr/lib");
	my $modules = -d '/usr/lib/ldap' ? '/usr/lib/ldap' : "$peers/slapd/usr/lib/ldap";
	spew("$here/conf", join "\n", "modulepath $modules", 'moduleload back_null', "pidfile $here/run/pid",
		'TLSCertificateFile ' . file('server-p256.pem'), 'TLSCertificateKeyFile ' . file('server-p256.key'), 'TLSCACertificateFile ' . file('root.pem'),
		'security tls=1', 'database null', 'suffix ""', '');
	my $server = start_on_port({ env => { LD_LIBRARY_PATH => join ':', @libraries } }, undef, $slapd, '-d', '0', '-f', "$here/conf", '-h', 'ldap://127.0.0.1:%P/');
	ok($server, 'started') or return;
	# An anonymous bind: 02 01 01 is the first message of prog; BindResponse 61, success; without TLS 13, confidentiality required.
	my $bind = "\x30\x0c\x02\x01\x01\x60\x07\x02\x01\x03\x04\x00\x80\x00";
	my $copy = 'exec 3<&0; cat <&3 >&7 & head -c 14 <&6';
	my $clear = run({ in => $bind }, command('tcpclient'), '127.0.0.1', $server->{port}, 'sh', '-c', 'exec 3<&0; cat <&3 >&7 & head -c 10 <&6');
	like($clear->{out}, qr/\A\x30.\x02\x01\x01\x61.\x0a\x01\x0d/s, 'in clear it says that it wants TLS');
	for my $chain ([command('sslclient'), '-y', '127.0.0.1', $server->{port}, command('starttlsc'), 'ldap'],
		[command('tcpclient'), '127.0.0.1', $server->{port}, command('starttlsc'), 'ldap', command('tlsc')]) {
		my $result = run({ in => $bind, env => \%trust }, @$chain, 'sh', '-c', $copy);
		like($result->{out}, qr/\A\x30\x0c\x02\x01\x01\x61\x07\x0a\x01\x00/s, 'a bind through starttlsc') or diag $result->{err};
	}
	my $ldapsearch = where('usr/bin/ldapsearch');
	SKIP: {
		skip 'no ldapsearch', 2 unless $ldapsearch;
		my @search = ('-x', '-b', '', '-s', 'sub');
		my $result = run({}, $ldapsearch, '-H', "ldap://127.0.0.1:$server->{port}", @search);
		like($result->{err} . $result->{out}, qr/confidentiality required/i, 'ldapsearch without TLS');
		my $front = serve({ env => \%trust }, command('tcpserver'), '-1v', '127.0.0.1', 0, command('sslclient'), '-y', '127.0.0.1', $server->{port},
			command('starttlsc'), 'ldap', 'sh', '-c', 'exec 3<&0; cat <&3 >&7 & exec cat <&6');
		$result = run({}, $ldapsearch, '-H', "ldap://127.0.0.1:$front->{port}", @search);
		is($result->{exit}, 0, '... and with, through starttlsc') or diag $result->{err} . $front->log;
	}
};

# ---- proxies ----

my $web = sslserver({}, [], http());
my @http = ('sh', '-c', 'printf "GET / HTTP/1.0\r\n\r\n" >&7; cat <&6');
my $secret = spew(temporary('secret'), "me:secret\n");

sub through {
	my ($name, $proxy, $program, $arguments, $host, $pattern, $words) = @_;
	my $result = run({ env => { CAFILE => file('root.pem') }, timeout => 30 }, command('tcpclient'), '127.0.0.1', $proxy->{port}, command($program), @$arguments,
		$host, $web->{port}, command('tlsc'), @http);
	like($words ? $result->{err} : $result->{out}, $pattern, $name) or diag $result->{err} . $proxy->log;
}

subtest 'tinyproxy' => sub {
	my $tinyproxy = where('usr/bin/tinyproxy') or plan skip_all => 'not there';
	my $here = temporary('tinyproxy');
	mkdir $here;
	my $share = -d '/usr/share/tinyproxy' ? '/usr/share/tinyproxy' : (glob "$peers/*/usr/share/tinyproxy")[0] || $here;
	my $conf = sub {
		my ($port, $more) = @_;
		return spew("$here/conf", "Port $port\nListen 127.0.0.1\nTimeout 60\nMaxClients 10\nAllow 127.0.0.1\nDefaultErrorFile \"$share/default.html\"\n" . ($more || ''));
	};
	my $proxy = start_on_port({}, $conf, $tinyproxy, '-d', '-c', "$here/conf");
	ok($proxy, 'started') or return;
	through('CONNECT', $proxy, 'httpconnect', [], 'localhost', qr/served\n\z/);
	through('an address', $proxy, 'httpconnect', [], '127.0.0.1', qr/served\n\z/);
	my $closed = free_port();
	my $result = run(command('tcpclient'), '127.0.0.1', $proxy->{port}, command('httpconnect'), 'localhost', $closed, 'echo', 'reached');
	is($result->{exit}, 98, 'a closed port');
	like($result->{err}, qr/expected 2xx, got: HTTP\/1\.[01] 5/, '... as the proxy says');
	$proxy->stop;
	$proxy = start_on_port({}, sub { $conf->($_[0], "BasicAuth me secret\n") }, $tinyproxy, '-d', '-c', "$here/conf");
	ok($proxy, 'started with a user') or return;
	through('without a user', $proxy, 'httpconnect', [], 'localhost', qr/got: HTTP\/1\.[01] 40/, 1);
	through('with user and password', $proxy, 'httpconnect', ['-a', $secret], 'localhost', qr/served\n\z/);
	$proxy->stop;
};

subtest 'dante' => sub {
	my $danted = where('usr/sbin/danted') or plan skip_all => 'not there';
	my $here = temporary('dante');
	mkdir $here;
	my $conf = sub {
		my ($port) = @_;
		spew("$here/conf", <<END);
internal: 127.0.0.1 port = $port
external: lo
socksmethod: none
clientmethod: none
user.privileged: $user
user.unprivileged: $user
client pass { from: 127.0.0.0/8 to: 0.0.0.0/0 }
socks block { from: 0.0.0.0/0 to: 127.0.0.9/32 }
socks pass { from: 127.0.0.0/8 to: 0.0.0.0/0 command: connect }
END
	};
	my $proxy = start_on_port({}, $conf, $danted, '-f', "$here/conf", '-p', "$here/pid");
	ok($proxy, 'started') or return;
	through('a name', $proxy, 'socks5', [], 'localhost', qr/served\n\z/);
	through('an address', $proxy, 'socks5', [], '127.0.0.1', qr/served\n\z/);
	through('a user that nobody asks for', $proxy, 'socks5', ['-a', $secret], 'localhost', qr/served\n\z/);
	through('what its rules forbid', $proxy, 'socks5', [], '127.0.0.9', qr/^socks5: error: 127\.0\.0\.9: step CONNECT: (connection not allowed by ruleset|.*refused)/m, 1);
	$proxy->stop;
};

done_testing;
