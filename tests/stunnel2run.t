#!/usr/bin/perl
# stunnel2run: what it makes of each option, what it refuses, what it writes. tests/full/stunnel2run.t compares its services with stunnel's.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Bear;
use BearTls;
use Test::More;

my $here = temporary('stunnel');
mkdir $here;
my ($count, $allow, $deny) = (0, spew("$here/allow", ''), spew("$here/deny", ''));
my $pem = file('server-rsa.pem');
my $key = file('server-rsa.key');
my $root = file('root.pem');

# { exit, out, err, dir } of a configuration.
sub translate {
	my ($text, @options) = @_;
	my $dir = "$here/" . ++$count;
	my $conf = spew("$dir.conf", $text);
	my $env = { HOSTS_ALLOW => $allow, HOSTS_DENY => $deny };
	return { %{ run({ env => $env, before => sub { chdir $here } }, command('stunnel2run'), @options, $conf, $dir) }, dir => $dir, conf => $conf };
}

# The chain of a run script, and the variables.
sub chain { my ($made, $name) = @_; return slurp("$made->{dir}/" . ($name || 's') . '/run') =~ /^exec (?:\$reader \.\/env )?((?!2>)\S.*)$/m ? $1 : '' }
sub variable { my ($made, $name, $service) = @_; my $text = slurp("$made->{dir}/" . ($service || 's') . "/env/$name"); chomp $text; return $text }
sub written { my ($made) = @_; opendir my $all, $made->{dir} or return ''; return join ' ', sort grep { !/^\.\.?\z/ } readdir $all }

my $server = "cert = $pem\nkey = $key\n[s]\naccept = 4433\nconnect = 4434\n";
my $client = "client = yes\n[s]\naccept = 4433\nconnect = a.example.org:4434\n";
my $executes = "cert = $pem\nkey = $key\n[s]\naccept = 4433\nexec = /bin/cat\n";

# What the listing says of the last line; what is refused goes with exit code 96 and a line that names it, and nothing is written.
sub says {
	my ($base, $line, $expected, %more) = @_;
	my ($name) = $line =~ /^(\w+)/;
	my $made = translate($more{global} ? "$line\n$base" : "$base$line\n");
	my $said = ($made->{out} =~ /^\t\S+:\d+\t\Q$line\E\t(.*)$/mg)[-1];
	like($said // '', qr/\A$expected/, "$line: " . ($said // 'nothing'));
	if ($expected =~ /^refused/) {
		is($made->{exit}, 96, '… exit') ;
		like($made->{err}, qr/^stunnel2run: error: \S+:\d+: \Q$line\E: /m, '… and named');
		is(written($made), '', '… and nothing is written');
	} else {
		is($made->{exit}, 0, '… exit') or diag($made->{err});
		($expected =~ /^warning/ ? \&like : \&unlike)->($made->{err}, qr/^stunnel2run: warning: \S+: \Q$line\E: /m, '… and the warning');
	}
	is(chain($made), $more{chain}, '… chain') if defined $more{chain};
	like(chain($made), $more{has}, '… chain') if defined $more{has};
	for my $name (keys %{ $more{env} || {} }) { is(variable($made, $name), $more{env}{$name}, "… $name") }
	return $made;
}

subtest 'a server and a client' => sub {
	my $made = translate($server);
	is($made->{exit}, 0);
	is(chain($made), 'sslserver -v -R -H -l0 -c 500 -w 43200 0 4433 tcpclient -RHl0 -T 10 localhost 4434 relay -w 0', 'server');
	is(variable($made, 'CERTFILE'), $pem);
	is(variable($made, 'TLS_RESET'), 1);
	is((stat "$made->{dir}/s/env")[2] & 07777, 0700, 'which is not for everybody');
	$made = translate($client);
	is(chain($made), 'tcpserver -v -R -H -l0 -c 500 0 4433 sslclient -RHl0 -T 10 -v -w 43200 a.example.org 4434 relay -w 0', 'client');
	is(variable($made, 'TLS_VERIFY'), 'none');
	like(slurp("$made->{dir}/s/log/run"), qr/multilog|s6-log/, 'log');
	ok(-x "$made->{dir}/s/run" && -x "$made->{dir}/s/log/run", 'scripts can be run');
};

# serve and rules are for the user of setuid, too, whatever the umask; what setEnv says is not for everybody.
subtest 'modes' => sub {
	my $conf = spew("$here/modes.conf", "setEnv = SECRET=x\n${server}[t]\nsni = s:x.example.org\nconnect = 1\n");
	my $mode = sub { return sprintf '%o', 07777 & (stat "$here/$_[0]")[2] };
	for my $mask (077, 002) {
		for my $option ([], ['-u']) {
			my $dir = sprintf('modes%o', $mask) . join '', @$option;
			is(run({ before => sub { umask $mask } }, command('stunnel2run'), @$option, $conf, "$here/$dir")->{exit}, 0, $dir);
			is(join(' ', map { $mode->("$dir/s$_") } '', '/serve'), '755 755', 'folder and script');
			is($mode->(@$option ? "$dir/s.service" : "$dir/s/env"), @$option ? '600' : '700', 'environment');
		}
	}
};

subtest 'options of the whole' => sub {
	says($server, 'setuid = 65534', 'translated: -u 65534', global => 1, has => qr/ -u 65534 /, env => { SSL_UID => 65534 });
	says($server, 'setgid = 65534', 'translated: -g 65534', global => 1, has => qr/ -g 65534 /);
	says($server, 'setuid = nosuchuser', 'refused: there is no such user', global => 1);
	says("setuid = 65533\n$server", 'setuid = nobody', 'warning: of a Unix socket', has => qr/ -u 65533 /, env => { SSL_UID => 65533 });
	unlike(chain(says($server, $_, 'translated', global => 1)), qr/ -[ug] /, 'root stays root') for 'setuid = root', 'setgid = root';
	says($client, 'setuid = nobody', 'translated', global => 1, has => qr/^tcpserver .* -u 65534 /);
	says($server, 'chroot = /srv', 'warning: SSL_CHROOT', global => 1, env => { SSL_CHROOT => '/srv' });
	says($executes, 'chroot = /srv', 'refused: exec would run outside', global => 1);
	says($client, 'chroot = /srv', 'refused', global => 1);
	says($server, 'debug = 3', 'translated: errors', global => 1, has => qr/^sslserver -Q /);
	says($server, 'debug = local3.info', 'translated: -v; syslog: local3', global => 1);
	says($server, 'debug = loud', 'refused', global => 1);
	says($server, 'output = /var/log/x', 'translated', global => 1);
	says($server, 'output = /dev/stdout', 'default here', global => 1);
	says($server, 'log = overwrite', 'translated', global => 1);
	says($server, 'log = rotate', 'refused', global => 1);
	says($server, 'syslog = no', 'translated: the log stays', global => 1);
	says($server, 'fips = yes', 'refused', global => 1);
	says($server, 'fips = no', 'default here', global => 1);
	says($server, 'engine = pkcs11', 'refused', global => 1);
	says($server, 'engine = auto', 'no counterpart', global => 1);
	says($server, 'setenv = LANG=C', 'translated', global => 1, env => { LANG => 'C' });
	says($server, 'setenv = CERTFILE=/x', 'refused', global => 1);
	says($server, "setenv = $_=/x", 'refused', global => 1) for qw(LD_PRELOAD PATH BASH_ENV PROTO TCPREMOTEIP PROXYRECV);
	says($server, 'compression = zlib', 'no counterpart', global => 1);
	says($server, "$_ = 1", 'refused', global => 1) for qw(engineCtrl engineDefault provider providerParameter);
	says($server, "$_ = 1", 'no counterpart', global => 1) for qw(EGD RNDbytes RNDfile RNDoverwrite pid iconActive iconError iconIdle taskbar);
	says($server, 'foreground = quiet', 'default here', global => 1);
	says($server, 'service = x', 'default here', global => 1);
	like(slurp(says($server, 'output = /var/log/my log', 'translated', global => 1)->{dir} . '/s/log/run'), qr{^exec cat >>'/var/log/my log'$}m, 'log file');
	like(slurp(says($server, 'debug = mail.notice', 'translated', global => 1)->{dir} . '/s/log/run'), qr/^exec logger -t s -p mail\.notice$/m, 'syslog');
};

subtest 'endpoints' => sub {
	my $deaf = "cert = $pem\nkey = $key\n[s]\nconnect = 4434\n";
	says($deaf, 'accept = 127.0.0.1:99', 'translated', has => qr/ 127\.0\.0\.1 99 tcpclient /);
	says($deaf, 'accept = :::99', 'translated', has => qr/ :0 99 tcpclient /);
	says($deaf, 'accept = ::1:99', 'translated', has => qr/ ::1 99 tcpclient /);
	says($deaf, 'accept = imaps', 'translated', has => qr/ 0 imaps tcpclient /);
	says($deaf, $_, 'refused: not an address') for 'accept = 99999', 'accept = -x:99', 'accept = a b:99', 'accept = ', 'accept = $(id):99';
	says($deaf, 'accept = /run/socket', 'refused: a Unix socket');
	says($server, 'accept = 99', 'refused: listens on 2 addresses');
	says("accept = 1\n$deaf", 'accept = 99', 'refused: listens on 2 addresses');
	says("cert = $pem\n[s]\naccept = 4433\n", 'connect = /run/a socket', 'translated: unixclient', has => qr/ 0 4433 unixclient -T 10 '\/run\/a socket' relay -w 0$/);
	says("client = yes\n[s]\naccept = 4433\n", 'connect = /run/socket', 'translated', has => qr/ 0 4433 unixclient -T 10 \/run\/socket tlsc -K 43200000 relay -w 0$/);
	says($server, 'connect = /run/socket', 'refused: a Unix socket has to be the only target');
	says("cert = $pem\n[s]\naccept = 4433\nconnect = /run/socket\n", 'local = 127.0.0.1', 'no counterpart');
	says("cert = $pem\n[s]\naccept = 4433\nconnect = /run/socket\n", 'socket = r:SO_KEEPALIVE=1', 'no counterpart');
	says("cert = $pem\n[s]\naccept = 4433\nconnect = /run/socket\n", 'transparent = source', 'refused');
	says($server, 'connect = b:1', 'translated', has => qr/ tcpprio -RHl0 -T 10 localhost 4434 b 1 -- relay /);
	says("${server}connect = b:1\n", 'failover = rr', 'translated: tcprr', has => qr/ tcprr -RHl0 /);
	says($server, 'failover = both', 'refused');
	says($executes, 'execArgs = name a  b$c', 'translated', has => qr/ sh argv0 name \/bin\/cat a 'b\$c'$/);
	says($executes, 'execArgs = -sh -c x', 'translated', has => qr/ sh argv0 -- -sh \/bin\/cat -c x$/);
	says($executes, 'pty = yes', 'translated: ptyrun', has => qr/ sh ptyrun \/bin\/cat$/);
	says($server, 'pty = yes', 'warning');
	says($server, 'local = 127.0.0.2', 'translated: -i', has => qr/ tcpclient -RHl0 -T 10 -i 127\.0\.0\.2 /);
	says($server, 'local = some.host', 'refused');
	says($server, 'transparent = source', 'translated', has => qr/ sh -c 'exec sockopt -b transparent tcpclient -i "\$SSLREMOTEIP" "\$@"' sh -RHl0 /);
	says($server, 'transparent = none', 'default here');
	says($server, 'transparent = destination', 'refused');
	says("setuid = 65534\n$server", 'transparent = source', 'refused');
	says($executes, 'transparent = yes', 'refused');
	says($server, 'delay = yes', 'default here');
	says($server, 'retry = yes', 'no counterpart');
	says("client = yes\n[s]\nconnect = a:1\nexec = /bin/cat\n", 'retry = 5000', 'translated', chain => q{sslclient -RHl0 -T 10 -v -w 43200 a 1 sh -c 'exec "$@" <&6 >&7 6<&- 7>&-' sh /bin/cat});
	says("client = yes\n[s]\nconnect = a:1\nexec = /bin/cat\n", 'retry = no', 'warning');
	says($server, 'ident = joe', 'refused');
	says($server, 'transport = udp', 'refused');
	for my $text ("[s]\ncert = $pem\naccept = 1\n", "[s]\ncert = $pem\nconnect = 1\n", "${server}exec = /bin/cat\n", "client = yes\n[s]\naccept = 1\nexec = /bin/cat\n", "client = yes\n[s]\naccept = 1\n",
		"cert = $pem\naccept = 1\nconnect = 2\n", "[s]\naccept = 1\nconnect = 2\n") {
		my $made = translate($text);
		is($made->{exit}, 96, 'no two ends, or no certificate: ' . ($made->{err} =~ /error: (.*)/)[0]);
		is(written($made), '');
	}
};

subtest 'times and sockets' => sub {
	says($server, 'TIMEOUTidle = 7', 'translated', has => qr/ -w 7 /);
	says($server, "TIMEOUTidle = $_", 'refused') for 'x', 0, -1;
	says($server, 'TIMEOUTidle = 999999999', 'translated', has => qr/ -w 2000000 /);
	says($server, 'TIMEOUTbusy = 999999999', 'translated', env => { TLS_TIMEOUT => 1000000 });
	says($server, 'TIMEOUTconnect = 999999999', 'translated', has => qr/ -T 86400 /);
	says($server, 'TIMEOUTbusy = 7', 'translated', env => { TLS_TIMEOUT => 7 });
	says($server, 'TIMEOUTclose = 7', 'translated', env => { TLS_LINGER => 7 });
	says($server, 'TIMEOUTclose = 0', 'default here', env => { TLS_LINGER => '' });
	says($server, 'TIMEOUTconnect = 7', 'translated', has => qr/ tcpclient -RHl0 -T 7 /);
	says($server, 'reset = no', 'translated', env => { TLS_RESET => '' });
	says($server, 'socket = l:SO_LINGER=1:60', 'translated', has => qr/^sockopt -b linger=60 sslserver /);
	says($server, 'socket = l:SO_LINGER=0:60', 'translated', has => qr/^sockopt -b linger=off sslserver /);
	says($server, 'socket = r:SO_KEEPALIVE=yes', 'translated', has => qr/ sockopt -b keepalive=1 tcpclient /);
	says("${server}socket = r:TCP_KEEPIDLE=9\n", 'socket = r:SO_OOBINLINE=1', 'translated', has => qr/ sockopt -b keepidle=9,oobinline=1 tcpclient /);
	says($server, 'socket = r:TCP_NODELAY=0', 'translated: -d', has => qr/ tcpclient -RHl0 -T 10 -d /);
	says($server, 'socket = a:SO_REUSEADDR=1', 'default here');
	says($server, 'socket = a:SO_BINDTODEVICE=lo', 'translated', has => qr/^sockopt -b bindtodevice=lo /);
	says($server, 'socket = a:SO_BINDTODEVICE=Lan', 'translated', has => qr/^sockopt -b bindtodevice=Lan /);
	says($server, 'socket = l:TCP_NODELAY=1', 'default here');
	says($server, $_, 'refused') for 'socket = a:SO_REUSEADDR=0', 'socket = l:IP_TTL=1', 'socket = x:SO_KEEPALIVE=1', 'socket = l:SO_KEEPALIVE', 'socket = l:SO_BINDTODEVICE=lo', 'socket = r:SO_SNDBUF=-1';
};

subtest 'versions and suites' => sub {
	says($server, 'sslVersion = TLSv1.2', 'translated', env => { TLS_MAXVERSION => 'TLSv1.2', TLS_MINVERSION => '' });
	says($server, 'sslVersion = TLSv1.3', 'translated', env => { TLS_MINVERSION => 'TLSv1.3', TLS_ENGINE => 'openssl' });
	says($server, 'sslVersion = all', 'default here');
	says($server, "sslVersion = $_", 'warning') for qw(SSLv2 SSLv3 TLSv1 TLSv1.1);
	says($server, 'sslVersion = TLSv9', 'refused');
	says($server, 'sslVersionMin = TLSv1', 'default here');
	says($server, 'sslVersionMin = TLSv1.3', 'translated', env => { TLS_MINVERSION => 'TLSv1.3' });
	says($server, 'sslVersionMax = TLSv1.2', 'translated', env => { TLS_MAXVERSION => 'TLSv1.2' });
	says($server, 'sslVersionMax = TLSv1.1', 'refused');
	says($server, "options = $_", 'default here') for qw(NO_SSLv2 NO_SSLv3 NO_TLSv1 NO_TICKET SINGLE_DH_USE CIPHER_SERVER_PREFERENCE);
	says($server, "options = $_", 'no counterpart') for qw(-NO_SSLv3 ALL DONT_INSERT_EMPTY_FRAGMENTS);
	says($server, 'options = NO_TLSv1_3', 'translated', env => { TLS_MAXVERSION => 'TLSv1.2' });
	says($server, 'options = NO_BOGUS', 'refused');
	for my $case (["sslVersion = TLSv1.3\n", "sslVersionMin = TLSv1.2\n", '', ''], ["sslVersion = TLSv1.2\n", "sslVersionMax = TLSv1.3\n", '', ''], ["sslVersionMin = TLSv1.3\n", "sslVersion = all\n", '', ''],
		["options = NO_TLSv1_3\n", "options = -NO_TLSv1_3\n", '', ''], ["sslVersionMin = TLSv1.2\n", "sslVersion = TLSv1.3\n", 'TLSv1.3', ''], ["options = NO_TLSv1_3\n", "sslVersionMax = all\n", '', 'TLSv1.2']) {
		my ($global, $own, $least, $most) = @$case;
		my $made = translate("$global$server$own");
		is(variable($made, 'TLS_MINVERSION') . ' ' . variable($made, 'TLS_MAXVERSION'), "$least $most", "$global$own") or diag($made->{err});
	}
	is(translate("${server}options = NO_TLSv1_3\noptions = NO_TLSv1_2\n")->{exit}, 96, 'no version left');
	says($server, 'ciphers = HIGH:!aNULL:!MD5', 'translated', env => { CIPHERS => 'HIGH:!aNULL:!MD5' });
	says($server, 'ciphers = BOGUS', 'refused');
	says($server, 'ciphersuites = TLS_AES_128_GCM_SHA256', 'translated', env => { CIPHERS => 'DEFAULT:TLS_AES_128_GCM_SHA256' });
	says($server, "securityLevel = $_", 'default here') for 0 .. 2;
	says($server, 'securityLevel = 3', 'translated', env => { TLS_MINRSA => 3072 });
	says($server, "securityLevel = $_", 'refused') for 4, 5, 'x';
	says($server, 'curves = P-521', 'warning');
	says($server, 'renegotiation = yes', 'default here');
	for my $name (qw(session sessionCacheSize sessionCacheTimeout sessionResume sessiond stack logId)) { says($server, "$name = 1", 'no counterpart') }
	like(translate("${server}ticketKeySecret = abcdef\n")->{out}, qr/ticketKeySecret = \(not shown\)\tno counterpart/, 'a secret is not shown');
	says($server, "$_ = x", 'refused') for qw(PSKidentity PSKsecrets engineId engineNum CAengine CAstore config);
};

subtest 'certificates' => sub {
	my ($p12, $locked) = (spew("$here/x.p12", "\x30\x82\1\2"), "$here/locked.key");
	run('openssl', 'rsa', '-in', $key, '-aes128', '-passout', 'pass:secret', '-out', $locked);
	says($server, "cert = $p12", 'refused: not PEM');
	says($server, "key = $locked", 'refused: an encrypted key');
	says($server, 'cert = pkcs11:x', 'refused');
	says($server, 'cert = rel/x.pem', 'translated', env => { CERTFILE => "$here/rel/x.pem" });
	says($server, "key = $key", 'translated: KEYFILE', env => { KEYFILE => $key });
};

sub blocks { return join '', slurp($_[0]) =~ /^(-----BEGIN CERTIFICATE-----\n.*?^-----END CERTIFICATE-----\n)/msg }

# What is in the file of authorities that had to be made.
sub believed {
	my ($base, $line) = @_;
	my $made = translate("$base$line\n");
	is($made->{exit}, 0, $line) or diag($made->{err});
	like($made->{err}, qr/warning: .* only self-signed certificates/, '… warns');
	is(variable($made, 'CAFILE'), "$made->{dir}/s/authorities.pem", '… has a file of its own');
	is(variable($made, 'CADIR'), '', '… and no folder');
	return slurp("$made->{dir}/s/authorities.pem");
}

subtest 'who is believed' => sub {
	says($server, 'verify = 0', 'default here', env => { CCAVERIFY => '' });
	my $ca = "${server}CAfile = $root\n";
	says($ca, 'verify = 1', 'translated', env => { CCAVERIFY => 'optional', CAFILE => $root, TLS_VERIFY => 'chain' });
	says($ca, 'verify = 2', 'translated', env => { CCAVERIFY => 'require' });
	says($ca, "verify = $_", 'refused') for 5, 'x', '-1';
	says($server, "CAfile = $root", 'no counterpart: nobody is judged', env => { CAFILE => '' });
	for my $text ("${server}verify = 2\n", "${client}verifyChain = yes\n") { like(translate($text)->{err}, qr/nobody could be believed/, 'no authorities') }
	my $made = says($ca, 'verify = 3', 'translated', env => { CCAVERIFY => 'require', TLS_VERIFY => 'chain' });
	like(variable($made, 'TLS_PIN'), qr/\Acert:[0-9a-f]{64}\z/, 'pin');
	my $hash = lc(openssl('x509', '-in', $root, '-noout', '-fingerprint', '-sha256') =~ s/.*=|:|\n//gr);
	is(variable($made, 'TLS_PIN'), "cert:$hash", 'of that certificate');
	like($made->{err}, qr/warning: .*TLS_PIN has the certificates that are there now/, 'and a warning');
	says($ca, 'verifyPeer = yes', 'translated', env => { TLS_VERIFY => 'chain', CAFILE => $root, TLS_PIN => "cert:$hash" });
	says($ca, 'requireCert = yes', 'refused: any certificate');
	says("${ca}verifyChain = yes\n", 'requireCert = no', 'translated', env => { CCAVERIFY => 'optional' });
	says("${ca}verifyChain = yes\n", 'checkHost = a.example.org', 'translated', env => { TLS_VERIFY => 'name', TLS_PEERNAME => 'a.example.org', TLS_CNFALLBACK => 1 });
	says("${ca}verifyChain = yes\ncheckIP = 192.0.2.1\n", 'checkHost = a.example.org', 'refused: one name');
	says($server, 'checkHost = a.example.org', 'warning: checks nothing');
	says("${ca}verifyPeer = yes\n", 'checkHost = a.example.org', 'translated', env => { TLS_VERIFY => 'name', TLS_PEERNAME => 'a.example.org' });
	says("${ca}verifyChain = yes\n", "checkHost = $_", 'refused: not a host name') for '192.0.2.1', '::1', '.example.org', '*.example.org', 'a.example.org.', '-a b';
	says("${ca}verifyChain = yes\n", "checkIP = $_", 'refused: not an address') for 'a.example.org', 'localhost', '1';
	says("${ca}verifyChain = yes\n", 'checkEmail = a@example.org', 'refused');
	says("${ca}verifyChain = yes\n", "CRLfile = $root", 'translated', env => { CRLFILE => $root });
	says("${ca}verifyChain = yes\n", 'CRLpath = /crls', 'translated', env => { CRLDIR => '/crls' });
	says($ca, "$_ = http://x", 'refused') for qw(OCSP);
	says($ca, 'OCSPaia = yes', 'refused');
	says($ca, 'OCSPaia = no', 'default here');
	says($ca, "$_ = 1", 'no counterpart') for qw(OCSPflag OCSPnonce OCSPrequire TIMEOUTocsp);
	my $folder = "$here/folder";
	mkdir $folder;
	spew("$folder/root.pem", slurp($root));
	like(translate("${server}verifyChain = yes\nCApath = $folder\n")->{err}, qr/nobody could be believed/, 'files are only found by their hash');
	run('openssl', 'rehash', $folder);
	says("${server}verifyChain = yes\n", "CApath = $folder", 'translated', env => { CADIR => $folder });
	spew("$folder/other.pem", slurp(file('other-root.pem')));
	like(believed("${server}verifyChain = yes\n", "CApath = $folder"), qr/\A\Q@{[blocks($root)]}\E\z/, 'another file in the folder is not believed');
	is(variable(translate("cert = $pem\nkey = $key\nverifyChain = yes\n[r]\naccept = 1\nconnect = 2\nCApath = $folder\n[s]\naccept = 3\nconnect = 4\nCAfile = $root\n"), 'CAFILE'), $root, 'but that is nothing to the next service');
	my $mixed = spew("$here/mixed.pem", join '', map { slurp(file("$_.pem")) } qw(client intermediate root unknown));
	is(believed("${server}verifyChain = yes\n", "CAfile = $mixed"), blocks($root), 'what is not self-signed is no authority');
	is(believed("${client}verify = 3\n", "CAfile = $mixed"), blocks($root), 'for a client, too');
	is(believed("${server}verifyChain = yes\nCApath = $folder\n", "CAfile = $mixed"), blocks($root) x 2, 'from both');
	unlike(believed("${server}verifyChain = yes\nCRLfile = $root\n", 'CAfile = ' . spew("$here/both.pem", slurp($root) . slurp(file('self-signed.pem')))), qr/\Q@{[blocks(file('self-signed.pem'))]}\E/, 'with lists, none that could be on no list');
	says("${ca}verifyPeer = yes\n", "CRLfile = $root", 'refused: verifyPeer without verifyChain');
	like(translate("${server}verify = 2\nCAfile = $here/nosuch\n")->{err}, qr/nosuch: unable to read it/, 'authorities that cannot be read');
	like(translate("${server}verify = 2\nCAfile = $folder\n")->{err}, qr/folder: unable to read it/, 'or are a folder');
	like(translate("${server}CAfile = $mixed\nverify = 2\nverifyChain = no\n")->{err}, qr/verify = 2: any certificate would do/, 'each line changes those before it');
	is(variable(translate("${server}CAfile = $root\nverifyChain = yes\nverify = 0\n"), 'CCAVERIFY'), '', 'and the last one counts');
	my $c = "${client}CAfile = $root\n";
	says($c, 'verify = 1', 'translated', env => { TLS_VERIFY => 'chain', CAFILE => $root });
	says($c, 'verifyChain = yes', 'translated', env => { TLS_VERIFY => 'chain' });
	says("${c}verifyChain = yes\n", 'checkHost = b.example.org', 'translated', env => { TLS_VERIFY => 'name', TLS_PEERNAME => 'b.example.org', TLS_SNI => 'a.example.org' });
	says($client, 'sni = x.example.org', 'translated', env => { TLS_SNI => 'x.example.org' });
	says($client, 'sni = ', 'translated', env => { TLS_SNI => '0' });
	says($client, 'sni = a b', 'refused');
	says("${ca}verifyChain = yes\n", 'redirect = 127.0.0.1:99', 'translated', has => qr/ -s 0 4433 \.\/serve$/, env => { CCAVERIFY => 'report' });
	says($server, 'redirect = 99', 'refused');
	says("${ca}verifyPeer = yes\n", 'redirect = 99', 'refused');
	says($client, 'redirect = 99', 'refused');
};

subtest 'protocols' => sub {
	says($server, "protocol = $_", 'translated', has => qr/ -n 0 4433 starttlsd -T 300 $_ tcpclient /) for qw(smtp pop3 imap pgsql cifs);
	says($server, 'protocol = proxy', 'translated', has => qr/ 0 4433 proxysend -p1 tcpclient .* proxysend relay /);
	says($server, "protocol = $_", 'refused') for qw(connect nntp ldap socks capwin capwinctrl bogus);
	says($client, "protocol = $_", 'translated', has => qr/ sslclient .* -y a\.example\.org 4434 starttlsc -T 300 $_ relay /) for qw(smtp pop3 imap nntp ldap pgsql cifs);
	says($client, "protocol = $_", 'refused') for qw(proxy socks capwin capwinctrl bogus);
	says("${client}protocol = smtp\n", 'protocolHost = me.example.org', 'translated', has => qr/ starttlsc -T 300 -n me\.example\.org smtp /);
	says("${client}protocol = smtp\n", 'protocolUsername = me', 'refused');
	says("${client}connect = b:1\n", 'protocol = imap', 'translated', has => qr/ tcpprio .* -- ucspitlsc -K 43200000 starttlsc -T 300 imap relay /);
	says("${client}protocol = connect\n", 'protocolHost = x.example.org:443', 'translated', has => qr/ tcpclient .* httpconnect -T 300 x\.example\.org 443 tlsc -K 43200000 relay /);
	says("${client}protocol = connect\nprotocolHost = x:1\n", 'protocolAuthentication = basic', 'default here');
	says("${client}protocol = connect\nprotocolHost = x:1\n", $_, 'refused') for 'protocolAuthentication = ntlm', 'protocolDomain = x', 'protocolHeader = X: y';
	says($client, "$_ = x", 'no counterpart') for qw(protocolAuthentication protocolDomain protocolHeader protocolHost protocolUsername);
	my $made = translate("${client}protocol = connect\nprotocolHost = x:1\nprotocolUsername = me\nprotocolPassword = secret\n");
	is(slurp("$made->{dir}/s/proxy-user"), "me:secret\n", 'user and password in a file');
	is((stat "$made->{dir}/s/proxy-user")[2] & 07777, 0600, 'that only its owner reads');
	unlike($made->{out} . $made->{err} . chain($made), qr/secret/, 'and nowhere else');
};

subtest 'names on one port' => sub {
	my $made = translate("${server}[t]\nsni = s:x.example.org\nsni = s:*.y.example.org\nconnect = 99\n[u]\nsni = s:z.example.org\ncert = $root\nexec = /bin/cat\n");
	is($made->{exit}, 0) or diag($made->{err});
	is(written($made), 's', 'one service');
	is(variable($made, 'CERTFILE:x.example.org'), $pem);
	is(variable($made, 'CERTFILE:*.y.example.org'), $pem);
	is(variable($made, 'CERTFILE:z.example.org'), $root);
	like(slurp("$made->{dir}/s/serve"), qr/^x\.example\.org \| \*\.y\.example\.org\) exec tcpclient \S+ -T 10 localhost 99 relay -w 0 ;;$/m, 'serve');
	like(slurp("$made->{dir}/s/serve"), qr/^z\.example\.org\) exec .*\/bin\/cat ;;$/m);
	like(slurp("$made->{dir}/s/serve"), qr/^\*\) exec tcpclient \S+ -T 10 localhost 4434 relay -w 0 ;;$/m);
	like($made->{out}, qr/^\[t\] on the port of \[s\]$/m, 'listing');
	for my $more ("[t]\nsni = s:x\nconnect = 9\nverify = 2\nCAfile = $root\n", "[t]\nsni = s:x\nconnect = 9\nciphers = HIGH\n", "[t]\nsni = nobody:x\nconnect = 9\n", "[t]\nsni = s:x y\nconnect = 9\n",
		"[t]\nsni = s:x;rm\nconnect = 9\n", "[t]\nsni = s:*\nconnect = 9\n", "[t]\nsni = s:x\nconnect = 9\nlibwrap = yes\n", "[t]\nsni = s:x\nconnect = 9\n[u]\nsni = s:x\nconnect = 8\n",
		"[t]\nsni = s:*.x\nconnect = 9\n[u]\nsni = s:a.x\nconnect = 8\n") {
		$made = translate($server . $more);
		is($made->{exit}, 96, 'refused: ' . ($made->{err} =~ /error: \S+ (.*)/)[0]);
		is(written($made), '');
	}
	is(translate("libwrap = yes\n${server}[t]\nsni = s:x\nconnect = 9\n")->{exit}, 96, 'libwrap of a name');
	like(translate("${server}verify = 2\nCAfile = $root\n[t]\nsni = s:x\nconnect = 9\n")->{err}, qr/\[t\] is without (verify|cafile), which \[s\] has/, 'less than its port demands');
};

# hosts.allow and hosts.deny, and what tcprulescheck says of clients.
sub hosts {
	my ($title, $allowed, $denied, %more) = @_;
	spew($allow, $allowed);
	spew($deny, $denied);
	my $made = translate("${server}libwrap = yes\n");
	if ($more{refused}) {
		is($made->{exit}, 96, "$title: exit");
		like($made->{err}, $more{refused}, "$title: reason");
		is(written($made), '', "$title: nothing is written");
		return $made;
	}
	is($made->{exit}, 0, $title) or diag($made->{err});
	my $prog = join ' ', @{ $more{lets} || [] };
	for my $client (@{ $more{lets} || [] }, @{ $more{keeps} || [] }) {
		my $wanted = grep({ $_ eq $client } @{ $more{lets} }) ? 'lets in' : 'keeps out';
		my ($ip, $host) = split /=/, $client;
		my $said = run({ env => { TCPREMOTEIP => $ip, TCPREMOTEHOST => $host, TCPREMOTEINFO => undef } }, command('tcprulescheck'), "$made->{dir}/s/rules.cdb");
		is($said->{out} =~ /^(?:default|rule .*):?\n(?:.*\n)*?deny connection/m ? 'keeps out' : 'lets in', $wanted, "$title: $client") or diag($said->{out});
	}
	return $made;
}

subtest 'hosts.allow and hosts.deny' => sub {
	hosts('an address', "s: 192.0.2.1\n", "ALL: ALL\n", lets => ['192.0.2.1'], keeps => ['192.0.2.2', '2001:db8::1']);
	hosts('networks', "s : 10. 172.16.0.0/255.240.0.0, 192.0.2.0/25\n", "s: ALL\n", lets => ['10.9.8.7', '172.31.0.1', '192.0.2.127'], keeps => ['172.32.0.1', '192.0.2.128', '11.0.0.1']);
	hosts('IPv6', "ALL: [2001:db8::]/32 [::1]\n", "ALL: ALL\n", lets => ['2001:db8:1::2', '::1'], keeps => ['2001:db9::1', '127.0.0.1']);
	hosts('the first line counts', "s: 10.1.2.3: deny\ns: 10.\n", "ALL: ALL\n", lets => ['10.1.2.4'], keeps => ['10.1.2.3']);
	hosts('a wider line before a narrower one', "s: 10.\ns: 10.1.2.3: deny\n", "s: 10.1.2.4\nALL: ALL\n", lets => ['10.1.2.3', '10.1.2.4'], keeps => ['11.0.0.1']);
	hosts('only hosts.deny', '', "s: 192.0.2.\n", lets => ['10.0.0.1'], keeps => ['192.0.2.9']);
	my $made = hosts('names', "s: .example.org mail.example.net\n", "ALL: ALL\n", lets => ['192.0.2.1=a.example.org', '192.0.2.1=mail.example.net'], keeps => ['192.0.2.1=example.net', '192.0.2.1']);
	like(chain($made), qr/^sslserver -v -R -hp -l0 -c 500 -x rules\.cdb /, 'names are looked up, twice');
	like(chain(hosts('no names', "s: 10.\n", "ALL: ALL\n", lets => ['10.0.0.1'])), qr/ -H -l0 -c 500 -x rules\.cdb /, 'no names, no lookup');
	hosts('another service', "t: 10.\n", "t: ALL\n", lets => ['192.0.2.1']);
	hosts('a continued line, and a comment', "# s: ALL\ns: 10. \\\n 11.\n", "ALL: ALL\n", lets => ['10.0.0.1', '11.0.0.1'], keeps => ['12.0.0.1']);
	hosts('EXCEPT', "s: 10. EXCEPT 10.1.2.3\n", "ALL: ALL\n", refused => qr/except: no rule can say this/);
	hosts('EXCEPT among daemons', "ALL EXCEPT t: 10.\n", "ALL: ALL\n", refused => qr/EXCEPT among the daemons/);
	hosts('a user', "s: joe\@10.1.2.3\n", "ALL: ALL\n", refused => qr/no rule can say this/);
	hosts('a file', "s: /etc/friends\n", "ALL: ALL\n", refused => qr/no rule can say this/);
	hosts('LOCAL', "s: LOCAL\n", "ALL: ALL\n", refused => qr/no rule can say this/);
	hosts('a command', "s: ALL: spawn /bin/true\n", '', refused => qr/option spawn/);
	hosts('a broken mask', "s: 10.0.0.0/255.0.255.0\n", "ALL: ALL\n", refused => qr/not a network/);
	hosts('keywords in any case', "S: 10.\n", "all: all\n", lets => ['10.1.2.3'], keeps => ['11.0.0.1']);
	hosts('KNOWN daemons', '', "KNOWN: 10.\n", lets => ['11.0.0.1'], keeps => ['10.1.2.3']);
	hosts('# is a comment only at the beginning', "s: 11.\n", " #, s: ALL\n", lets => ['11.0.0.1'], keeps => ['10.1.2.3']);
	hosts('except', "s: 10. except 10.1.2.3\n", "ALL: ALL\n", refused => qr/except: no rule can say this/);
	hosts('except among daemons, and tabs', "ALL\texcept\ts: 10.\n", "ALL: ALL\n", refused => qr/EXCEPT among the daemons/);
	hosts('a pattern among daemons', '', "$_: ALL\n", refused => qr/a pattern among the daemons/) for 's*', '?', '.s';
	hosts('no end of the last line', 's: 10.', "ALL: ALL\n", refused => qr/its last line has no end/);
	hosts('a last line to be continued', "s: 10. \\\n", "ALL: ALL\n", refused => qr/to be continued/);
	hosts('a line too long', "s: ALL\n", 't: ' . 'a' x 2043 . "s: 10.\n", refused => qr/too long for libwrap/);
	hosts("no network: $_", "s: $_\n", "ALL: ALL\n", refused => qr/not a network/) for '10.1.2.3/255.0.0.0', '10.1.2.3/8', '0.0.0.0/0', '10.1.2.3/255.255.255.255', '10.0.0.0/08', '[12345::]/16', '[1:::2]', '[::ffff:a01:203]';
	hosts("no address: $_", "s: $_\n", "ALL: ALL\n", refused => qr/no rule can say this/) for '010.', '266.', '010.1.2.3', '10.1', 'local', 'Known', 'unknown', 'paranoid';
	hosts('an option behind the verdict', "s: ALL: deny: allow\n", '', refused => qr/option allow/);
	mkdir "$here/closed";
	spew($allow, '');
	is(run({ env => { HOSTS_ALLOW => $allow, HOSTS_DENY => "$here/closed" } }, command('stunnel2run'), spew("$here/closed.conf", "${server}libwrap = yes\n"), "$here/unread")->{exit}, 96, 'a file that cannot be read');
	is(run({ env => { HOSTS_ALLOW => $allow, HOSTS_DENY => "$here/nosuch" } }, command('stunnel2run'), "$here/closed.conf", "$here/unread")->{exit}, 0, 'one that is not there says nothing');
	hosts('names against addresses', "s: 10.: deny\ns: .example.org\n", "ALL: ALL\n", refused => qr/contradict each other/);
	spew($allow, "s: 10.\n");
	like(translate($server)->{err}, qr/warning: .*stunnel before 5\.00 obeyed/, 'without libwrap: a warning where there are lines for the service');
	spew($_, '') for $allow, $deny;
	is(translate($server)->{err}, '', 'and none where there are none');
	like(translate("cert = $pem\nexec = /bin/cat\nlibwrap = yes\n")->{err}, qr/put tcpd before it/, 'one connection');
};

subtest 'no section' => sub {
	my $made = translate("cert = $pem\nkey = $key\nexec = /bin/cat\nservice = mail\n");
	is($made->{exit}, 0) or diag($made->{err});
	is(chain($made, 'mail'), 'tlsd -v 1 -K 43200000 /bin/cat');
	unlike(slurp("$made->{dir}/mail/run"), qr/2>&1/, 'the connection is not the log');
	ok(!-e "$made->{dir}/mail/log", 'which is for whoever starts it');
	is(chain(translate("client = yes\nconnect = a:1\n"), 'stunnel'), 'sslclient -RHl0 -T 10 -v -w 43200 a 1 relay -w 0', 'client');
	is(translate("cert = $pem\nexec = /bin/cat\nsetuid = 65534\n")->{exit}, 96, 'setuid is for whoever starts it');
	is(translate("cert = $pem\nexec = /bin/cat\n", '-u')->{exit}, 96, 'no units without a port');
};

subtest 'units' => sub {
	my $made = translate("setuid = 65534\n${server}local = 127.0.0.1\n[t]\naccept = 99\nexec = /bin/echo\nexecargs = echo 100% \$x \"y\\z\n", '-u');
	is($made->{exit}, 0) or diag($made->{err});
	is(written($made), 's s.service t t.service');
	my $unit = slurp("$made->{dir}/s.service");
	my $folder = command('') =~ s{/\z}{}r;
	like($unit, qr{^ExecStart=\Q$folder\E/sslserver -v -R -H -l0 -c 500 -u 65534 -w 43200 0 4433 tcpclient -RHl0 -T 10 -i 127\.0\.0\.1 localhost 4434 relay -w 0$}m, 'chain');
	like($unit, qr/^Environment="CERTFILE=\Q$pem\E"$/m, 'environment');
	like($unit, qr{^WorkingDirectory=\Q$made->{dir}\E/s$}m, 'folder');
	like(slurp("$made->{dir}/t.service"), qr/ \/bin\/echo "100%%" "\$\$x" "\\"y\\\\z"$/m, 'words of systemd') or diag(slurp("$made->{dir}/t.service"));
	for my $more ("setenv = A=\303", "output = /var/log/x\\") {
		$made = translate("$more\n$server", '-u');
		like($made->{err}, qr/only ASCII can be said here/, $more);
		is(written($made), '');
	}
	$made = translate("output = /var/log/x\n${server}[t]\nsni = s:x.example.org\nconnect = 1\n", '-u');
	like(slurp("$made->{dir}/s.service"), qr{^ExecStart=/usr/bin/env CERTFILE:x\.example\.org=\S+ KEYFILE:x\.example\.org=\S+ \Q$folder\E/sslserver }m, 'names with colons');
	like(slurp("$made->{dir}/s.service"), qr{^StandardOutput=append:/var/log/x$}m, 'log');
};

subtest 'wrong input' => sub {
	for my $case (["bogus = 1\n$server", qr/:1: unknown option: bogus$/m], ["${server}bogus = 1\n", qr/:6: unknown option: bogus$/m], ["${server}pid = x\n", qr/:6: pid stands before all sections/], ["${server}words\n", qr/:6: neither a section nor option = value: words/],
		["${server}[s]\naccept = 1\n", qr/section \[s\] is there twice/], ["cert = $pem\n[a/b]\naccept = 1\nconnect = 2\n", qr/its name cannot be that of a directory/], ["cert = $pem\n[..]\naccept = 1\nconnect = 2\n", qr/cannot be that of a directory/],
		["${server}client = maybe\n", qr/client = maybe: neither yes nor no/], ["${server}ciphers = a\eb\n", qr/control characters/], ["include = /no/such\n$server", qr/unable to read it/],
		[$server . ';' . 'x' x 16383 . "verify = 2\n", qr/:6: a line too long for stunnel/], ["${server}[ t ]\nsni = s:x\nconnect = 1\n", qr/:6: not the name of a section/], ["${server}[a\eb]\nsni = s:x\nconnect = 1\n", qr/:6: not the name of a section/],
		["${server}verify = 2\0\n", qr/control characters/]) {
		my ($text, $expected) = @$case;
		my $made = translate($text);
		is($made->{exit}, 96, 'exit');
		like($made->{err}, $expected, 'reason');
		ok(!-e $made->{dir}, 'nothing is written');
	}
	mkdir "$here/parts";
	spew("$here/parts/.hidden", "curves = P-521\n");
	like(translate("${server}include = $here/parts\n")->{err}, qr/\.hidden:1: curves/, 'include reads all files');
	my $warns = "${server}curves = P-521\n";
	is(translate($warns)->{exit}, 0, 'a warning');
	my $strict = translate($warns, '-s');
	is($strict->{exit}, 96, 'is an error with -s');
	is(written($strict), '', 'and nothing is written');
	my $made = translate($server);
	my $again = run(command('stunnel2run'), $made->{conf}, $made->{dir});
	is($again->{exit}, 111, 'what is there stays');
	like($again->{err}, qr{^stunnel2run: fatal: \Q$made->{dir}\E/s is there already}m);
	is(written($made), 's', 'and nothing else is there');
	is(run(command('stunnel2run'), @$_)->{exit}, 100, "usage: @$_") for [], ['x'], ['-x', 'a', 'b'], ['a', 'b', 'c'], ['', "$here/x"];
	is(run(command('stunnel2run'), "$here/none", "$here/x")->{exit}, 111, 'no such file');
	is(run({ in => $server, before => sub { chdir $here } }, command('stunnel2run'), '-', 'input')->{exit}, 0, 'standard input, and a folder as it is called from here');
	ok(-x "$here/input/s/run");
	spew("$here/a=b", $server);
	is(run({ before => sub { chdir $here } }, command('stunnel2run'), 'a=b', 'equals')->{exit}, 0, 'a name with =');
	# words that a shell would take for something else
	$made = translate("cert = /etc/it's \$HOME `id`.pem\nkey = $key\n[s]\naccept = 1\nexec = /bin/echo\nexecargs = echo ; \$(id) 'x' & \\\n");
	is(variable($made, 'CERTFILE'), "/etc/it's \$HOME `id`.pem", 'in the environment as it is');
	like(chain($made), qr/\/bin\/echo ';' '\$\(id\)' ''\\''x'\\''' '&' '\\'$/, 'in the chain as one word');
};

# The same from every awk that is here.
subtest 'other awks' => sub {
	my @awks = grep { run('sh', '-c', "$_ 'BEGIN { exit 0 }'")->{exit} == 0 } 'mawk', 'gawk', 'gawk --posix', 'original-awk', 'busybox awk';
	plan skip_all => 'only one awk' if @awks < 2;
	my @texts = ("include = $here/nosuch\n$server", "${server}verify = 2\0\n", "cert = $pem\nkey = $key\n[s]\naccept = 1\nexec = /bin/echo\nexecargs = echo 'a \\\n", "${server}verify = 3\nCAfile = $here/mixed.pem\n",
		"${server}PSKsecrets = x\nconfig = x\nengineNum = 1\nCAstore = x\n");
	my %got;
	for my $awk (@awks) {
		mkdir "$here/awk";
		chmod 0755, spew("$here/awk/awk", "#!/bin/sh\nexec $awk \"\$@\"\n");
		local $ENV{PATH} = "$here/awk:$ENV{PATH}";
		for my $text (@texts) {
			run('rm', '-rf', "$here/awk.d");
			my $made = run(command('stunnel2run'), spew("$here/awk.conf", $text), "$here/awk.d");
			$got{$awk} .= "$made->{exit}\n$made->{out}$made->{err}" . join '', map { slurp($_) } glob "$here/awk.d/s/{run,authorities.pem,env/*}";
		}
		is($got{$awk}, $got{ $awks[0] }, $awk);
	}
};

# Every option of both manuals is known: of the first sections of the one in reference, and of stunnel 5.75.
subtest 'every option' => sub {
	my @all = qw(chroot compression debug EGD engine engineCtrl engineDefault fips foreground iconActive iconError iconIdle log output pid provider providerParameter RNDbytes RNDfile RNDoverwrite
		service setEnv syslog taskbar accept CAengine CApath CAfile CAstore cert checkEmail checkHost checkIP ciphers ciphersuites client config connect CRLpath CRLfile curve curves logId delay
		engineId engineNum exec execArgs failover ident key libwrap local OCSP OCSPaia OCSPflag OCSPnonce OCSPrequire options protocol protocolAuthentication protocolDomain protocolHeader
		protocolHost protocolPassword protocolUsername PSKidentity PSKsecrets pty redirect renegotiation requireCert reset retry securityLevel session sessionCacheSize sessionCacheTimeout
		sessionResume sessiond setgid setuid sni socket sslVersion sslVersionMax sslVersionMin stack ticketKeySecret ticketMacSecret TIMEOUTbusy TIMEOUTclose TIMEOUTconnect TIMEOUTidle
		TIMEOUTocsp transparent transport verify verifyChain verifyPeer);
	my $made = translate(join('', map { "$_ = 1\n" } @all) . "[s]\naccept = 1\n");
	unlike($made->{err}, qr/unknown option/, 'all are known');
	unlike($made->{out}, qr/FORGOTTEN/, 'and each is said something of');
	my $guide = slurp("$FindBin::Bin/../doc/guide/from-stunnel.md");
	like($guide, qr/`\Q$_\E`/, "$_ is in the guide") for @all, 'include';
};

done_testing;
