#!/usr/bin/perl
# STARTTLS with real servers and clients: dovecot, PostgreSQL and psql, slapd and ldapsearch, MariaDB and its client, INN's nnrpd, vsftpd,
# inspircd, tinyproxy, dante. Each server is started by this test on free ports of loopback, from where package/deps has unpacked it, and ended by its id.
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

# Of packages that are unpacked.
sub libraries { return join ':', grep { -d } glob("$peers/*/usr/lib/*-linux-*"), glob("$peers/*/usr/lib/news"), glob("$peers/*/usr/lib") }

# A port that was free a moment ago, for servers that cannot choose one themselves.

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
	my $modules = -d '/usr/lib/ldap' ? '/usr/lib/ldap' : "$peers/slapd/usr/lib/ldap";
	spew("$here/conf", join "\n", "modulepath $modules", 'moduleload back_null', "pidfile $here/run/pid",
		'TLSCertificateFile ' . file('server-p256.pem'), 'TLSCertificateKeyFile ' . file('server-p256.key'), 'TLSCACertificateFile ' . file('root.pem'),
		'security tls=1', 'database null', 'suffix ""', '');
	my $server = start_on_port({ env => { LD_LIBRARY_PATH => libraries() } }, undef, $slapd, '-d', '0', '-f', "$here/conf", '-h', 'ldap://127.0.0.1:%P/');
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

# ---- MariaDB ----

subtest 'MariaDB' => sub {
	my $mariadbd = where('usr/sbin/mariadbd') or plan skip_all => 'not there';
	my $mariadb = where('usr/bin/mariadb') or plan skip_all => 'no client';
	(my $share = $mariadbd) =~ s{sbin/mariadbd$}{share/mysql};
	my $here = temporary('mariadb');
	make_path("$here/mysql", "$here/tmp");
	my @mariadbd = ($mariadbd, '--no-defaults', "--lc-messages-dir=$share", "--character-sets-dir=$share/charsets", "--plugin-dir=$here", "--tmpdir=$here/tmp",
		"--datadir=$here", '--skip-innodb', '--default-storage-engine=Aria', '--skip-name-resolve', $root ? '--user=root' : ());
	my $tables = join '', "create database if not exists mysql;\nuse mysql;\n",
		(map { slurp("$share/$_") } qw(mysql_system_tables.sql mysql_performance_tables.sql mysql_system_tables_data.sql)),
		"flush privileges;\ncreate user u\@'%' identified by 'secret';\ngrant all on *.* to u\@'%';\n";
	my $result = run({ in => $tables, timeout => 60, env => { LD_LIBRARY_PATH => libraries() } }, @mariadbd, '--bootstrap');
	is($result->{exit}, 0, 'its tables') or return diag $result->{err};
	my @listening = (@mariadbd, '--bind-address=127.0.0.1', '--port=%P', "--socket=$here/socket", "--pid-file=$here/pid");
	my $server = start_on_port({ env => { LD_LIBRARY_PATH => libraries() } }, undef, @listening, '--ssl-cert=' . file('server-p256.pem'),
		'--ssl-key=' . file('server-p256.key'), '--require-secure-transport=1');
	ok($server, 'started') or return;
	my $sql = sub {
		my ($port, $words, @options) = @_;
		return run({ timeout => 60 }, $mariadb, '--no-defaults', '-h127.0.0.1', "-P$port", '-uu', '-psecret', '--skip-ssl', '-N', @options, '-e', $words);
	};
	my $version = "show status like 'Ssl_version'";
	like($sql->($server->{port}, $version)->{err}, qr/^ERROR (1045|3159)/m, 'it lets nobody in without TLS');
	$result = s_client({ timeout => 20 }, $server->{port}, '-starttls', 'mysql', '-no_ign_eof');
	like($result->{out}, qr/Verify return code: 0/, 'openssl s_client -starttls mysql');
	my @copy = (command('relay'));
	my %chain = (
		'sslclient -y' => [command('sslclient'), '-y', '127.0.0.1', $server->{port}],
		'ucspitlsc' => [command('tcpclient'), '127.0.0.1', $server->{port}, command('ucspitlsc')],
	);
	for my $name (sort keys %chain) {
		my $front = serve({ env => \%trust }, command('tcpserver'), '-1v', '127.0.0.1', 0, @{ $chain{$name} }, command('starttlsc'), 'mysql', @copy);
		my $port = $front->{port};
		$result = $sql->($port, $version);
		is($result->{out}, "Ssl_version\t" . newest() . "\n", "mariadb without TLS through starttlsc under $name") or diag $result->{err} . $front->log;
		# Another plugin than that of the account: the server asks for a switch.
		$result = $sql->($port, $version, '--default-auth=mysql_clear_password');
		is($result->{out}, "Ssl_version\t" . newest() . "\n", '... with a switch of the plugin') or diag $result->{err};
		like($sql->($port, $version, '-pwrong')->{err}, qr/^ERROR 1045 .*Access denied/m, '... a wrong password');
		like($sql->($port, $version, 'no_such_database')->{err}, qr/^ERROR 1049 /m, '... a database that is not there');
		$result = $sql->($port, join ' union all ', ("select repeat('x', 999999)") x 5);
		ok($result->{out} eq ('x' x 999999 . "\n") x 5, '... much data') or diag $result->{err};
		$result = $sql->($port, "select length('" . 'y' x 60000 . "'); select 2; select 3", '--compress');
		is($result->{out}, "60000\n2\n3\n", '... compressed, and several commands') or diag $result->{err};
	}
	my $untrusted = serve({ env => { %trust, CAFILE => file('other-root.pem') } }, command('tcpserver'), '-1v', '127.0.0.1', 0, @{ $chain{'sslclient -y'} },
		command('starttlsc'), 'mysql', @copy);
	like($sql->($untrusted->{port}, $version)->{err}, qr/^ERROR 2013 .*Lost connection/m, 'a server that cannot be trusted: mariadb sees the end');
	ok($untrusted->wait_for_log(qr/(tlsc-io: error: [^\n]*)/), '... and the log has why');
	$server->stop(20);
	my $plain = start_on_port({ env => { LD_LIBRARY_PATH => libraries() } }, undef, @listening, '--skip-ssl');
	ok($plain, 'started without TLS') or return;
	$result = run({ env => \%trust }, command('sslclient'), '-y', '127.0.0.1', $plain->{port}, command('starttlsc'), 'mysql', 'echo', 'reached');
	is($result->{exit}, 98, '... exit code');
	like($result->{err}, qr/^starttlsc: error: mysql: step greeting: the server does not offer TLS$/m, '... words');
	is($result->{out}, '', '... prog is not reached');
	$plain->stop(20);
};

# ---- news ----

subtest 'nnrpd' => sub {
	my $nnrpd = where('usr/lib/news/bin/nnrpd') or plan skip_all => 'not there';
	(my $programs = $nnrpd) =~ s{/nnrpd$}{};
	my $here = temporary('news');
	make_path(map { "$here/$_" } qw(etc db run spool/overview spool/articles log));
	my ($certificate, $key, $root_file) = (file('server-p256.pem'), spew("$here/key", slurp(file('server-p256.key'))), file('root.pem'));
	chmod 0600, $key;    # it takes no other
	my ($me, $mine) = $root ? ('root', 'root') : ($user, $group);
	spew("$here/etc/inn.conf", <<END);
mta: "/bin/true %s"
organization: test
ovmethod: tradindexed
hismethod: hisv6
pathhost: localhost
domain: example.test
fromhost: example.test
pathnews: "$here"
pathbin: "$programs"
pathetc: "$here/etc"
pathdb: "$here/db"
pathrun: "$here/run"
pathtmp: "$here/run"
pathspool: "$here/spool"
pathlog: "$here/log"
runasuser: $me
runasgroup: $mine
tlscertfile: "$certificate"
tlskeyfile: "$key"
tlscafile: "$root_file"
END
	spew("$here/etc/readers.conf", <<'END');
auth "clear" {
  hosts: "*"
  default: "<clear>"
}
auth "tls" {
  hosts: "*"
  require_encryption: true
  default: "<tls>"
}
access "clear" {
  users: "<clear>"
  newsgroups: "!*"
}
access "tls" {
  users: "<tls>"
  newsgroups: "*"
  access: R
}
END
	spew("$here/etc/storage.conf", "method tradspool {\n  newsgroups: *\n  class: 0\n}\n");
	spew("$here/db/active", "example.test 0000000000 0000000001 y\n");
	spew("$here/db/$_", '') for qw(history newsgroups active.times);
	my @env = (INNCONF => "$here/etc/inn.conf", LD_LIBRARY_PATH => libraries());
	run({ env => {@env} }, "$programs/$_") for qw(overchan makehistory);    # empty, as nnrpd wants to open them
	my $server = serve({ env => {@env} }, command('tcpserver'), '-1v', '127.0.0.1', 0, $nnrpd);
	my $clear = ask($server->{port}, "CAPABILITIES\r\nLIST\r\nQUIT\r\n");
	like($clear, qr/\A20[01] .*^STARTTLS\r\n/ms, 'it offers TLS') or return diag $server->log;
	unlike($clear, qr/^example\.test /m, '... and shows its groups to nobody without');
	# After TLS it does not offer it any more.
	both_ways('nntp', 'nntp', $server->{port}, qr/\A20[01] [^\n]*\n101 (?:(?!STARTTLS).)*^example\.test \d+ \d+ y\r\n\.\r\n205 /ms,
		$ask->('CAPABILITIES\r\nLIST\r\nQUIT\r\n'));
};

# ---- FTP, its control connection ----

subtest 'vsftpd' => sub {
	my $vsftpd = where('usr/sbin/vsftpd') or plan skip_all => 'not there';
	plan skip_all => 'it has to be root' unless $root;
	my $here = temporary('ftp');
	make_path("$here/empty");
	spew("$here/conf", join "\n", 'listen=NO', 'background=NO', 'anonymous_enable=YES', 'ftp_username=nobody', 'nopriv_user=nobody',
		"secure_chroot_dir=$here/empty", 'seccomp_sandbox=NO', 'ssl_enable=YES', 'allow_anon_ssl=YES', 'force_anon_logins_ssl=YES',
		'rsa_cert_file=' . file('server-rsa.pem'), 'rsa_private_key_file=' . file('server-rsa.key'), 'xferlog_enable=NO', '');
	my $server = serve({}, command('tcpserver'), '-1v', '127.0.0.1', 0, $vsftpd, "$here/conf");
	like(ask($server->{port}, "USER anonymous\r\nQUIT\r\n"), qr/\A220 .*^530 .*encryption/ms, 'it wants TLS') or diag $server->log;
	both_ways('ftp', 'ftp', $server->{port}, qr/\A220 [^\n]*\n.*^331 .*^221 /ms, $ask->('FEAT\r\nUSER anonymous\r\nQUIT\r\n'));
};

# ---- IRC ----

subtest 'inspircd' => sub {
	my $inspircd = where('usr/sbin/inspircd') or plan skip_all => 'not there';
	(my $modules = $inspircd) =~ s{sbin/inspircd$}{lib/inspircd/modules};
	plan skip_all => 'without STARTTLS, as version 4 is' unless -e "$modules/m_starttls.so" && -e "$modules/m_ssl_gnutls.so";
	my $here = temporary('irc');
	mkdir $here, 0755;
	my ($certificate, $key) = (file('server-p256.pem'), file('server-p256.key'));
	my $conf = sub {
		my ($port) = @_;
		spew("$here/conf", <<END);
<server name="irc.example.test" description="test" network="test" id="00A">
<admin name="me" nick="me" email="me\@example.test">
<path configdir="$here" datadir="$here" logdir="$here" runtimedir="$here" moduledir="$modules">
<pid file="$here/pid">
<bind address="127.0.0.1" port="$port" type="clients">
<connect allow="*" timeout="20" usednsbl="no" resolvehostnames="no" useident="no">
<module name="ssl_gnutls">
<module name="starttls">
<module name="sslinfo">
<sslprofile name="ours" provider="gnutls" certfile="$certificate" keyfile="$key" hash="sha256">
<starttls provider="ours">
END
	};
	# Unpacked, it may dump core when it ends: that has to stay out of the tree.
	my $server = start_on_port({ before => sub { chdir $here }, env => { LD_LIBRARY_PATH => libraries() } }, $conf, 'sh', '-c', 'ulimit -c 0; exec "$@"', 'sh',
		$inspircd, '--nofork', $root ? '--runasroot' : (), "--config=$here/conf");
	ok($server, 'started') or return;
	my @prog = ('perl', '-e', <<'END');
open my $in, '<&=', 6; open my $out, '>&=', 7; $| = 1;
syswrite $out, "NICK me\r\nUSER me 0 * :me\r\n";
while (<$in>) {
	print;
	if (/^PING (\S+)/) { syswrite $out, "PONG $1\r\n" }
	elsif (/ 001 /) { syswrite $out, "WHOIS me\r\n" }
	elsif (/ 318 /) { syswrite $out, "QUIT\r\n" }
}
END
	like(run({ timeout => 20 }, command('tcpclient'), '127.0.0.1', $server->{port}, @prog)->{out}, qr/ 001 (?:(?! 671 ).)* 318 /s, 'in clear');
	both_ways('irc', 'irc', $server->{port}, qr/ 001 .* 671 me me :is using a secure connection\r\n.* 318 /s, @prog);
	$server->stop;
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
