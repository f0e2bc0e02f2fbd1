#!/usr/bin/perl
# stunnel2run against Debian's stunnel4: one configuration, served by stunnel and by the directory that is made of it, must look the same
# to clients. What stunnel4 does not take is in tests/stunnel2run.t.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Bear;
use BearTls;
use Test::More;
use Time::HiRes qw(sleep);

plan skip_all => 'no stunnel4, or no envdir (package/deps full)' unless run('sh', '-c', 'command -v stunnel4 && command -v envdir')->{exit} == 0;
plan skip_all => 'root is needed, as for stunnel with setuid' if $>;

my $here = temporary('stunnel');
mkdir $here;
chmod 0755, $here;
my $count = 0;


# Servers in clear that say who they are and what they were told.
sub backend { my ($name) = @_; return serve(command('tcpserver'), '-1RHl0', '127.0.0.1', '0', 'sh', '-c', "read -r line; echo \"$name \$line from \$TCPREMOTEIP\"")->{port} }
my ($one, $two) = (backend('one'), backend('two'));
my $down = free_port();

# A client certificate that no authority has signed, one that is revoked, and a list that says so.
spew("$here/index.txt", '');
spew("$here/ca.cnf", "[ca]\ndefault_ca=x\n[x]\ndatabase=$here/index.txt\ncrlnumber=$here/number\ndefault_md=sha256\ndefault_crl_days=30\n");
spew("$here/number", "01\n");
run('openssl', 'ca', '-config', "$here/ca.cnf", '-cert', file('root.pem'), '-keyfile', file('root.key'), '-gencrl', '-out', "$here/none.crl");
run('openssl', 'ca', '-config', "$here/ca.cnf", '-cert', file('root.pem'), '-keyfile', file('root.key'), '-revoke', file('client.pem'));
run('openssl', 'ca', '-config', "$here/ca.cnf", '-cert', file('root.pem'), '-keyfile', file('root.key'), '-gencrl', '-out', "$here/revoked.crl");
like(slurp("$here/revoked.crl"), qr/BEGIN X509 CRL/, 'a revocation list');

# The text with its words in capitals replaced, as a file. Without stunnel's own matters it would go to the background.
sub configuration {
	my ($text, %word) = @_;
	%word = (CERT => file('server-rsa.pem'), KEY => file('server-rsa.key'), ROOT => file('root.pem'), ONE => $one, TWO => $two, DOWN => $down, HERE => $here, %word);
	$text =~ s/\b($_)\b/$word{$1}/g for keys %word;
	return spew("$here/" . ++$count . '.conf', "foreground = yes\npid =\nsyslog = no\n$text");
}

# Starts the services of a configuration, ours or stunnel's; returns what is to be stopped.
sub stunnel_on { my ($conf, $port) = @_; return listening($port, start('stunnel4', $conf)) }

sub listening {
	my ($port, @servers) = @_;
	wait_until(sub { is_listening($port) || grep { !$_->running } @servers }, 10) if $port;
	$_->running or diag('ended: ', $_->log, slurp($_->{out})) for @servers;
	return @servers;
}

my $warnings;
sub ours_on {
	my ($conf, $port, @names) = @_;
	my $made = run(command('stunnel2run'), $conf, "$conf.d");
	$warnings = $made->{err};
	is($made->{exit}, 0, 'is translated') or diag($made->{out}, $made->{err});
	unlike($made->{out}, qr/FORGOTTEN/, 'every line is said something of');
	return listening($port, map { my $name = $_; start({ before => sub { chdir "$conf.d/$name" } }, './run') } @names);
}

# What a client of TLS gets to read; '' if it is not let in.
sub tls { my ($port, @arguments) = @_; return s_client({ in => "hello\n" }, $port, '-quiet', @arguments)->{out} }
sub shown { my ($name) = @_; return ('-cert', file("$name.pem"), '-key', file("$name.key")) }
my @tls12 = ('-tls1_2');

# What there is to a question; stunnel is asked up to five times, as what its programs write is lost now and then.
sub answer {
	my ($who, $ask, $port, $expected) = @_;
	my $got;
	for (1 .. ($who eq 'stunnel' ? 5 : 1)) {
		$got = $ask->($port);
		last if ref $expected ? $got =~ $expected : $got eq $expected;
	}
	return $got;
}

# Both, the same questions to each: [name, sub of the port, what has to come].
sub both {
	my ($title, $text, %case) = @_;
	subtest $title => sub {
		my $port = free_port();
		my $conf = configuration($text, %{ $case{words} || {} }, ACCEPT => "127.0.0.1:$port", PORT => $port);
		for my $who ('stunnel', 'ours') {
			my @servers = $who eq 'ours' ? ours_on($conf, $port, @{ $case{services} || ['s'] }) : stunnel_on($conf, $port);
			for my $question (@{ $case{ask} }) {
				my ($name, $ask, $expected) = @$question;
				my $got = answer($who, $ask, $port, $expected);
				ref $expected ? like($got, $expected, "$who: $name") : is($got, $expected, "$who: $name");
			}
			$_->stop for @servers;
			wait_until(sub { !is_listening($port) }, 5);
		}
		like($warnings, $case{warns} || qr/\A\z/, 'and warned of what it should');
	};
}

my $server = "cert = CERT\nkey = KEY\n[s]\naccept = ACCEPT\n";
my $greets = "one hello from 127.0.0.1\n";
my $plain = ['no certificate', sub { tls($_[0], @tls12) }, $greets];
sub with { my ($name, $expected) = @_; return ["certificate $name", sub { tls($_[0], @tls12, shown($name)) }, $expected] }

both('connect', "$server connect = 127.0.0.1:ONE\n", ask => [$plain, ['any version', sub { tls($_[0]) }, $greets], ['garbage', sub { ask($_[0], "GET / HTTP/1.0\r\n\r\n") =~ /one/ ? 'told' : '' }, '']]);
both('options in any case, comments and blanks', "\n# x\n ; y\nCert = CERT \n\tkEy=KEY\n[s]\n aCCept=ACCEPT\nConnect =127.0.0.1:ONE\n", ask => [$plain]);
both('exec', "$server exec = /bin/echo\nexecargs = echo a   b*c \$x \"d\n", ask => [['answer', sub { tls($_[0], @tls12) }, "a b*c \$x \"d\n"]]);
both('exec under a name with -', "$server exec = /usr/bin/head\nexecargs = -sh -c 3 /proc/self/cmdline\n", ask => [['its name', sub { tls($_[0], @tls12) }, '-sh']]);
both('exec under another name', "$server exec = /usr/bin/head\nexecargs = other -c 5 /proc/self/cmdline\n", ask => [['its name', sub { tls($_[0], @tls12) }, 'other']]);
both('environment of exec', "$server exec = /usr/bin/env\nexecargs = env\n", ask => [['REMOTE_HOST', sub { tls($_[0], @tls12) =~ /^(REMOTE_HOST=.*)$/m ? $1 : '' }, 'REMOTE_HOST=127.0.0.1'],
	['REMOTE_PORT', sub { tls($_[0], @tls12) =~ /^(REMOTE_PORT=)\d+$/m ? $1 : '' }, 'REMOTE_PORT=']]);
both('pty', "$server exec = /usr/bin/tty\npty = yes\n", ask => [['a terminal', sub { tls($_[0], @tls12) =~ m{(/dev/pts/)\d} ? $1 : '' }, '/dev/pts/']]);

both('verify = 1', "$server connect = 127.0.0.1:ONE\nverify = 1\nCAfile = ROOT\n", ask => [$plain, with('client', $greets), with('unknown', ''), with('self-signed', '')]);
both('verify = 2', "$server connect = 127.0.0.1:ONE\nverify = 2\nCAfile = ROOT\n", ask => [with('client', $greets), ['no certificate', sub { tls($_[0], @tls12) }, ''], with('unknown', '')]);
both('verify = 3', "$server connect = 127.0.0.1:ONE\nverify = 3\nCAfile = PEERS\n", words => { PEERS => spew("$here/peers.pem", slurp(file('root.pem')) . slurp(file('client.pem'))) },
	ask => [with('client', $greets), ['no certificate', sub { tls($_[0], @tls12) }, ''], with('unknown', '')], warns => qr/TLS_PIN/);
both('verifyChain', "$server connect = 127.0.0.1:ONE\nrequireCert = no\nverifyChain = yes\nCAfile = ROOT\n", ask => [with('client', $greets), ['no certificate', sub { tls($_[0], @tls12) }, ''], with('unknown', '')]);
both('verifyChain, but requireCert = no', "$server connect = 127.0.0.1:ONE\nverifyChain = yes\nrequireCert = no\nCAfile = ROOT\n", ask => [with('client', $greets), $plain, with('unknown', '')]);
both('verifyPeer', "$server connect = 127.0.0.1:ONE\nverifyPeer = yes\nCAfile = PEERS\n", words => { PEERS => file('client.pem') },
	ask => [with('client', $greets), with('unknown', ''), with('self-signed', ''), ['no certificate', sub { tls($_[0], @tls12) }, '']], warns => qr/TLS_PIN/);
both('verifyChain by folder', "$server connect = 127.0.0.1:ONE\nverifyChain = yes\nCApath = HERE/hashed\n", ask => [with('client', $greets), with('unknown', '')])
	if mkdir("$here/hashed") && spew("$here/hashed/root.pem", slurp(file('root.pem'))) && run('openssl', 'rehash', "$here/hashed")->{exit} == 0;
both('revoked', "$server connect = 127.0.0.1:ONE\nverifyChain = yes\nCAfile = ROOT\nCRLfile = HERE/revoked.crl\n", ask => [with('client', '')]);
both('not revoked', "$server connect = 127.0.0.1:ONE\nverifyChain = yes\nCAfile = ROOT\nCRLfile = HERE/none.crl\n", ask => [with('client', $greets)]);
both('redirect', "$server connect = 127.0.0.1:ONE\nverifyChain = yes\nCAfile = ROOT\nredirect = 127.0.0.1:TWO\n",
	ask => [with('client', $greets), with('unknown', "two hello from 127.0.0.1\n"), ['no certificate', sub { tls($_[0], @tls12) }, "two hello from 127.0.0.1\n"]]);

# Who is let in: the same certificates before both. What is behind a name is what stunnel does and this does not, which is more careful.
subtest 'verdicts' => sub {
	my $folder = "$here/verdicts";
	mkdir $folder;
	my @new = ('-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes');
	spew("$folder/x.cnf", "[x]\nbasicConstraints = CA:FALSE\nextendedKeyUsage = clientAuth\nsubjectAltName = DNS:localhost\n");
	for my $case (['good', 'root', 9], ['via', 'intermediate', 9], ['other', 'other-root', 9], ['ended', 'root', 0], ['pinned', 'other-root', 9], ['pinned-ended', 'other-root', 0]) {
		my ($name, $authority, $days) = @$case;
		openssl('req', '-new', @new, '-keyout', "$folder/$name.key", '-out', "$folder/$name.csr", '-subj', "/CN=$name");
		openssl('x509', '-req', '-in', "$folder/$name.csr", '-out', "$folder/$name.pem", '-days', $days, '-CA', file("$authority.pem"), '-CAkey', file("$authority.key"), '-CAcreateserial',
			'-extfile', "$folder/x.cnf", '-extensions', 'x');
	}
	openssl('req', '-x509', @new, '-keyout', "$folder/$_.key", '-out', "$folder/$_.pem", '-days', 9, '-subj', "/CN=$_") for 'own', 'stranger';
	spew("$folder/$_.pem", slurp(file("$_.pem"))), spew("$folder/$_.key", slurp(file("$_.key"))) for 'client', 'unknown';
	my @shown = sort qw(good via other ended pinned pinned-ended own stranger client unknown), '';
	my $all = spew("$folder/all.pem", join '', map { slurp($_) } file('root.pem'), map { "$folder/$_.pem" } qw(good via ended pinned pinned-ended own client));
	my $peers = spew("$folder/peers.pem", join '', map { slurp("$folder/$_.pem") } qw(pinned pinned-ended own client unknown));
	my $partly = spew("$folder/partly.pem", slurp(file('intermediate.pem')) . slurp(file('root.pem')));
	my %unlike = ('CAfile = PARTLY; verifyChain = yes' => 'via');
	sleep 1.1; # until those of no day have ended
	for my $authorities ('CAfile = ROOT', 'CAfile = ALL', 'CAfile = PEERS', 'CAfile = PARTLY', "CAfile = ROOT\nCRLfile = HERE/revoked.crl", "CAfile = PARTLY\nCRLfile = HERE/none.crl") {
		for my $level ('verify = 1', 'verify = 2', 'verify = 3', 'verify = 4', 'verifyChain = yes', 'verifyPeer = yes', "verifyPeer = yes\nrequireCert = no", "verify = 3\nverifyPeer = no", "verifyChain = yes\nverify = 0",
			"verifyChain = yes\nredirect = 127.0.0.1:TWO", "verify = 1\nredirect = 127.0.0.1:TWO", "verify = 4\ncheckHost = localhost") {
			next if $authorities =~ /CRL/ && $level !~ /^verify(?:Chain = yes| = 1)\b/;
			next if $authorities =~ /PARTLY/ && $level !~ /^verify(?:Chain = yes$| = 4$)/;
			my $port = free_port();
			(my $title = "$authorities; $level") =~ s/\n/; /g;
			my $conf = configuration("$server connect = 127.0.0.1:ONE\n$authorities\n$level\n", ACCEPT => "127.0.0.1:$port", ALL => $all, PEERS => $peers, PARTLY => $partly);
			my %verdict;
			for my $who ('stunnel', 'ours') {
				my @servers;
				if ($who eq 'ours') {
					my $made = run(command('stunnel2run'), $conf, "$conf.d");
					if ($made->{exit}) { # a service that nobody could use
						is(join(' ', grep { $verdict{stunnel}{$_} eq 'one' } @shown), '', "$title: refused");
						last;
					}
					@servers = listening($port, start({ before => sub { chdir "$conf.d/s" } }, './run'));
				} else {
					@servers = stunnel_on($conf, $port);
				}
				for my $name (@shown) { $verdict{$who}{$name} = tls($port, @tls12, $name eq '' ? () : ('-cert', "$folder/$name.pem", '-key', "$folder/$name.key")) =~ /^(one|two)/ ? $1 : 'out' }
				$_->stop for @servers;
				wait_until(sub { !is_listening($port) }, 5);
			}
			$verdict{ours} or next;
			$verdict{stunnel}{ $unlike{$title} } = 'out' if $unlike{$title};
			is_deeply($verdict{ours}, $verdict{stunnel}, $title);
		}
	}
};

my $names = "cert = CERT\nkey = KEY\n[s]\naccept = ACCEPT\nconnect = 127.0.0.1:ONE\n[u]\nsni = s:other.test\nconnect = 127.0.0.1:TWO\n[t]\nsni = s:*.shop.test\ncert = OTHER.pem\nkey = OTHER.key\nconnect = 127.0.0.1:TWO\n";
sub named { my ($name) = @_; return sub { my $got = run({ in => "hello\n" }, 'openssl', 's_client', '-connect', "127.0.0.1:$_[0]", '-ign_eof', '-tls1_2', $name eq '' ? '-noservername' : ('-servername', $name)); return join ' ', $got->{out} =~ /^ 0 s:.*CN = ([\w.]+)/m, $got->{out} =~ /^(one|two) hello/m } }
both('names', $names, words => { 'OTHER.pem' => file('wrong-name.pem'), 'OTHER.key' => file('wrong-name.key') },
	ask => [['other.test', named('other.test'), qr/^\S+ two$/], ['OTHER.test', named('OTHER.test'), qr/^\S+ two$/], ['a.shop.test', named('a.shop.test'), qr/^\S+ two$/], ['localhost', named('localhost'), 'localhost one'],
		['no name', named(''), 'localhost one'], ['shop.test', named('shop.test'), 'localhost one']]);

sub version { my ($option) = @_; return sub { my $got = run({ in => "hello\n" }, 'openssl', 's_client', '-connect', "127.0.0.1:$_[0]", '-ign_eof', $option); return $got->{out} =~ /^one hello/m ? 'in' : 'out' } }
both('sslVersion = TLSv1.2', "$server connect = 127.0.0.1:ONE\nsslVersion = TLSv1.2\n", ask => [['1.2', version('-tls1_2'), 'in'], ['1.3', version('-tls1_3'), 'out']]);
both('sslVersion = TLSv1.3', "$server connect = 127.0.0.1:ONE\nsslVersion = TLSv1.3\n", ask => [['1.2', version('-tls1_2'), 'out'], ['1.3', version('-tls1_3'), 'in']]);
both('options = NO_TLSv1_2', "$server connect = 127.0.0.1:ONE\noptions = NO_TLSv1_2\n", ask => [['1.2', version('-tls1_2'), 'out'], ['1.3', version('-tls1_3'), 'in']]);
both('sslVersionMax = TLSv1.2', "$server connect = 127.0.0.1:ONE\nsslVersionMax = TLSv1.2\noptions = NO_SSLv3\n", ask => [['1.2', version('-tls1_2'), 'in'], ['1.3', version('-tls1_3'), 'out'], ['1.1', version('-tls1_1'), 'out']]);
sub suites { my ($list) = @_; return sub { my $got = run({ in => "hello\n" }, 'openssl', 's_client', '-connect', "127.0.0.1:$_[0]", '-ign_eof', '-tls1_2', '-cipher', $list); return $got->{out} =~ /^one hello/m ? 'in' : 'out' } }
both('ciphers', "$server connect = 127.0.0.1:ONE\nciphers = ECDHE-RSA-AES256-GCM-SHA384:!aNULL\n", ask => [['that one', suites('ECDHE-RSA-AES256-GCM-SHA384'), 'in'], ['another', suites('ECDHE-RSA-AES128-GCM-SHA256'), 'out']]);

both('one that is down', "$server failover = prio\nconnect = 127.0.0.1:DOWN\nconnect = 127.0.0.1:ONE\n", ask => [$plain]);
both('in order', "$server failover = prio\nconnect = 127.0.0.1:TWO\nconnect = 127.0.0.1:ONE\n", ask => [['first', sub { tls($_[0], @tls12) }, "two hello from 127.0.0.1\n"], ['again', sub { tls($_[0], @tls12) }, "two hello from 127.0.0.1\n"]]);
both('all down', "$server connect = 127.0.0.1:DOWN\n", ask => [['nothing', sub { tls($_[0], @tls12) }, '']]);
both('local', "$server connect = 127.0.0.1:ONE\nlocal = 127.0.0.9\n", ask => [['its address', sub { tls($_[0], @tls12) }, "one hello from 127.0.0.9\n"]]);
both('idle', "$server exec = /bin/cat\nTIMEOUTidle = 1\n", ask => [['both end', sub { tls($_[0], @tls12) }, "hello\n"]]);

my $socket = "$here/socket";
my $listens = start('perl', '-MIO::Socket::UNIX', '-e', 'my $s = IO::Socket::UNIX->new(Local => $ARGV[0], Listen => 5) or die; while (my $c = $s->accept) { print $c "unix ", scalar <$c>; close $c }', $socket);
wait_until(sub { -S $socket }, 5);
both('a Unix socket', "$server connect = $socket\n", ask => [['answer', sub { tls($_[0], @tls12) }, "unix hello\n"]]);

# Several that share the work: each gets its turn.
both('in turn', "$server failover = rr\nconnect = 127.0.0.1:ONE\nconnect = 127.0.0.1:TWO\n",
	ask => [['two of each in sixteen at least', sub { my %seen; $seen{ tls($_[0], @tls12) }++ for 1 .. 16; return join ' ', map { ($seen{"$_ hello from 127.0.0.1\n"} || 0) >= 2 ? $_ : () } qw(one two) }, 'one two']]);

# The PROXY protocol, version 1.
my $header = serve(command('tcpserver'), '-1RHl0', '127.0.0.1', '0', 'sh', '-c', 'IFS= read -r line; echo "$line"');
both('protocol = proxy', "$server connect = 127.0.0.1:HEADER\nprotocol = proxy\n", words => { HEADER => $header->{port} },
	ask => [['header', sub { tls($_[0], @tls12) =~ /^(PROXY TCP4 127\.0\.0\.1 127\.0\.0\.1 \d+ $_[0])\r$/m ? 'right' : 'wrong' }, 'right']]);

# Mail servers in clear, behind STARTTLS.
my $smtp = serve(command('tcpserver'), '-1RHl0', '127.0.0.1', '0', 'perl', '-e', '$| = 1; print "220 mail\r\n"; while (<STDIN>) { print /^EHLO/i ? "250-mail\r\n250 SIZE 1\r\n" : /^QUIT/i ? "221 bye\r\n" : "500 $_"; last if /^QUIT/i }');
my $pop3 = serve(command('tcpserver'), '-1RHl0', '127.0.0.1', '0', 'perl', '-e', '$| = 1; print "+OK pop\r\n"; while (<STDIN>) { print /^CAPA/i ? "+OK\r\nUSER\r\n.\r\n" : "+OK bye\r\n"; last if /^QUIT/i }');
sub starttls { my ($protocol, $text) = @_; return sub { my $got = run({ in => $text }, 'openssl', 's_client', '-connect', "127.0.0.1:$_[0]", '-starttls', $protocol, '-quiet', '-ign_eof', '-tls1_2'); return $got->{out} } }
both('protocol = smtp', "$server connect = 127.0.0.1:SMTP\nprotocol = smtp\n", words => { SMTP => $smtp->{port} }, ask => [['a session', starttls('smtp', "EHLO me\r\nQUIT\r\n"), qr/250 SIZE 1\r\n221 bye/]]);
both('protocol = pop3', "$server connect = 127.0.0.1:POP\nprotocol = pop3\n", words => { POP => $pop3->{port} }, ask => [['a session', starttls('pop3', "QUIT\r\n"), qr/\+OK bye/]]);

# As whom.
both('setuid, setgid', "setuid = nobody\nsetgid = daemon\n$server exec = /usr/bin/id\n", ask => [['ids', sub { tls($_[0], @tls12) =~ /^uid=(\d+)\S* gid=(\d+)\S*(?: groups=(\S+))?$/m ? "$1 $2" : '' }, (getpwnam 'nobody')[2] . ' ' . (getgrnam 'daemon')[2]],
	['groups', sub { tls($_[0], @tls12) =~ /\(root\)/ ? 'root' : 'not root' }, 'not root']]);

# ---- clients ----

my $client = "client = yes\n[s]\naccept = ACCEPT\n";
my $good = sslserver({}, ['-s'], 'sh', '-c', 'read -r line; echo "tls $line ${SSL_TLS_SNI_SERVERNAME-none}"');
my $wrong = sslserver({ pair => 'unknown' }, [], 'sh', '-c', 'read -r line; echo "tls $line"');
my %servers = (GOOD => $good->{port}, WRONG => $wrong->{port});
sub in_clear { my ($port) = @_; return ask($port, "hello\n") }
sub client { my ($title, $text, $expected, %more) = @_; return both($title, $client . $text, words => \%servers, ask => [['answer', \&in_clear, $expected]], %more) }

client('client', "connect = localhost:GOOD\n", "tls hello localhost\n");
client('client that checks nothing', "connect = 127.0.0.1:WRONG\n", "tls hello\n");
client('client with verifyChain', "connect = 127.0.0.1:GOOD\nverifyChain = yes\nCAfile = ROOT\n", "tls hello none\n");
client('client with verifyChain, a stranger', "connect = 127.0.0.1:WRONG\nverifyChain = yes\nCAfile = ROOT\n", '');
client('client with checkHost', "connect = 127.0.0.1:GOOD\nverifyChain = yes\nCAfile = ROOT\ncheckHost = example.test\n", qr/^tls hello /);
client('client with checkHost, another name', "connect = 127.0.0.1:GOOD\nverifyChain = yes\nCAfile = ROOT\ncheckHost = www.example.org\n", '');
openssl('req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', "$here/cn.key", '-out', "$here/cn.pem", '-days', 9, '-subj', '/CN=named.test');
my $named = serve({ env => { CERTFILE => "$here/cn.pem", KEYFILE => "$here/cn.key" } }, command('sslserver'), '-1RHl0', '127.0.0.1', '0', 'sh', '-c', 'read -r line; echo "tls $line"');
my $ended = serve({ env => pair('expired') }, command('sslserver'), '-1RHl0', '127.0.0.1', '0', 'sh', '-c', 'read -r line; echo "tls $line"');
%servers = (%servers, NAMED => $named->{port}, ENDED => $ended->{port});
client('client with checkHost, a common name', "connect = 127.0.0.1:NAMED\nverifyChain = yes\nCAfile = HERE/cn.pem\ncheckHost = named.test\n", "tls hello\n");
client('client with checkHost and verifyPeer', "connect = 127.0.0.1:NAMED\nverifyPeer = yes\nCAfile = HERE/cn.pem\ncheckHost = named.test\n", "tls hello\n", warns => qr/TLS_PIN/);
client('client with checkHost and verifyPeer, another name', "connect = 127.0.0.1:NAMED\nverifyPeer = yes\nCAfile = HERE/cn.pem\ncheckHost = other.test\n", '', warns => qr/TLS_PIN/);
client('client with verifyPeer, a certificate that has ended', "connect = 127.0.0.1:ENDED\nverifyPeer = yes\nCAfile = PEER\n", '', words => { %servers, PEER => file('expired.pem') }, warns => qr/TLS_PIN/);
client('client with verifyChain, and the certificate itself as authority', "connect = 127.0.0.1:WRONG\nverifyChain = yes\nCAfile = PEERS\n", '', words => { %servers, PEERS => spew("$here/no-authority.pem", slurp(file('unknown.pem')) . slurp(file('root.pem'))) },
	warns => qr/only self-signed certificates/);
client('client with checkIP', "connect = 127.0.0.1:GOOD\nverify = 2\nCAfile = ROOT\ncheckIP = 127.0.0.1\n", qr/^tls hello /);
client('client with verifyPeer', "connect = 127.0.0.1:WRONG\nverifyPeer = yes\nCAfile = PEER\n", "tls hello\n", words => { %servers, PEER => file('unknown.pem') }, warns => qr/TLS_PIN/);
client('client with verifyPeer, another', "connect = 127.0.0.1:GOOD\nverifyPeer = yes\nCAfile = PEER\n", '', words => { %servers, PEER => file('unknown.pem') }, warns => qr/TLS_PIN/);
client('client with sni', "connect = 127.0.0.1:GOOD\nsni = other.test\n", "tls hello other.test\n");
client('client without sni', "connect = localhost:GOOD\nsni =\n", "tls hello none\n");
client('client with two servers', "connect = 127.0.0.1:DOWN\nconnect = 127.0.0.1:GOOD\n", "tls hello none\n");

my $demanding = sslserver({ env => { CAFILE => file('root.pem') } }, ['-m', '-s'], 'sh', '-c', 'read -r line; echo "$line $SSL_CLIENT_S_DN_CN"');
client('client with a certificate', "connect = 127.0.0.1:DEMANDING\ncert = CLIENT.pem\nkey = CLIENT.key\n", "hello Test Client\n", words => { DEMANDING => $demanding->{port}, 'CLIENT.pem' => file('client.pem'), 'CLIENT.key' => file('client.key') });

my $mail = serve({ env => pair('server-rsa') }, command('sslserver'), '-n1RHl0', '127.0.0.1', '0', command('starttlsd'), 'smtp', 'perl', '-e', '$| = 1; print "220 mail\r\n"; while (<STDIN>) { print /^EHLO/i ? "250-mail\r\n250 SIZE 7\r\n" : "221 bye\r\n"; last if /^QUIT/i }');
sub mail_session { my $s = connect_to($_[0]); my $text = read_line($s, 5) // ''; print $s "EHLO me\r\nQUIT\r\n"; return $text . read_all($s, 5) }
both('client with protocol = smtp', "$client connect = 127.0.0.1:MAIL\nprotocol = smtp\n", words => { MAIL => $mail->{port} }, ask => [['a session', \&mail_session, qr/^220 .*250 SIZE 7\r\n221 bye/s]]);

my $proxy = serve(command('tcpserver'), '-1RHl0', '127.0.0.1', '0', 'perl', '-e', '$| = 1; my $head = ""; while (sysread STDIN, my $c, 1) { $head .= $c; last if $head =~ /\r\n\r\n\z/ }
	my ($port) = $head =~ m{\ACONNECT 127\.0\.0\.1:(\d+) } or exit; $head =~ /^Proxy-Authorization: basic bWU6c2VjcmV0\r$/im or do { print "HTTP/1.0 407 no\r\n\r\n"; exit };
	print "HTTP/1.0 200 yes\r\n\r\n"; exec $ARGV[0], "-RHl0", "127.0.0.1", $port, $ARGV[1]', command('tcpclient'), command('relay'));
both('client with protocol = connect', "$client connect = 127.0.0.1:PROXY\nprotocol = connect\nprotocolHost = 127.0.0.1:GOOD\nprotocolUsername = me\nprotocolPassword = secret\n", words => { %servers, PROXY => $proxy->{port} },
	ask => [['answer', \&in_clear, "tls hello none\n"]]);
both('client with protocol = connect, wrong password', "$client connect = 127.0.0.1:PROXY\nprotocol = connect\nprotocolHost = 127.0.0.1:GOOD\nprotocolUsername = me\nprotocolPassword = other\n", words => { %servers, PROXY => $proxy->{port} },
	ask => [['nothing', \&in_clear, '']]);

# connect and exec: the program has the connection.
subtest 'connect and exec' => sub {
	my $fed = sslserver({}, [], 'sh', '-c', 'echo "fed $$"');
	my $said = "$here/said";
	my $text = "client = yes\n[s]\nconnect = 127.0.0.1:FED\nexec = /bin/sh\nexecargs = sh HERE/receive\nretry = yes\n";
	spew("$here/receive", "read -r line; echo \"\$line\" >>$said\n");
	for my $who ('stunnel', 'ours') {
		unlink $said;
		my $conf = configuration($text, FED => $fed->{port});
		my @started = $who eq 'ours' ? ours_on($conf, 0, 's') : start('stunnel4', $conf);
		ok(wait_until(sub { slurp($said) =~ /^fed \d+$/m }, 10), "$who: the program reads");
		$_->stop for @started;
	}
};

# One connection of an inetd.
subtest 'no section' => sub {
	for my $case (['server', "cert = CERT\nkey = KEY\nexec = /bin/echo\nexecargs = echo once\n", sub { tls($_[0], @tls12) }, qr/\Aonce\n\z/],
		['server before a port', "cert = CERT\nkey = KEY\nconnect = 127.0.0.1:ONE\n", sub { tls($_[0], @tls12) }, qr/^one hello/],
		['client', "client = yes\nconnect = 127.0.0.1:GOOD\n", \&in_clear, qr/^tls hello/]) {
		my ($name, $text, $ask, $expected) = @$case;
		my $conf = configuration($text, %servers);
		is(run(command('stunnel2run'), $conf, "$conf.d")->{exit}, 0, "$name: is translated");
		for my $who (['stunnel', 'stunnel4', $conf], ['ours', "$conf.d/stunnel/run"]) {
			my ($title, @prog) = @$who;
			my $inetd = serve(command('tcpserver'), '-1RHl0', '127.0.0.1', '0', @prog);
			like(answer($title, $ask, $inetd->{port}, $expected), $expected, "$title: $name");
			$inetd->stop;
		}
	}
};

subtest 'include' => sub {
	mkdir "$here/parts";
	my $port = free_port();
	spew("$here/parts/00-global.conf", configuration('') && "foreground = yes\npid =\nsyslog = no\ncert = @{[file('server-rsa.pem')]}\nkey = @{[file('server-rsa.key')]}\n");
	spew("$here/parts/01-s.conf", "[s]\naccept = 127.0.0.1:$port\n");
	spew("$here/parts/02-more.conf", "connect = 127.0.0.1:$one\n");
	my $conf = spew("$here/include.conf", "\xEF\xBB\xBFinclude = $here/parts\n");
	for my $who ('stunnel', 'ours') {
		my @servers = $who eq 'ours' ? ours_on($conf, $port, 's') : stunnel_on($conf, $port);
		is(tls($port, @tls12), $greets, $who);
		$_->stop for @servers;
		wait_until(sub { !is_listening($port) }, 5);
	}
};

# The rules that are made of hosts.allow and hosts.deny say what libwrap says: by its own program, for addresses in and beside the patterns.
subtest 'hosts.allow and hosts.deny' => sub {
	my ($tcpdmatch) = glob "$FindBin::Bin/../../build/peers/tcpd/usr/sbin/tcpdmatch";
	plan skip_all => 'no tcpdmatch (package/deps full)' unless $tcpdmatch && -x $tcpdmatch;
	my $folder = "$here/hosts";
	mkdir $folder;
	spew("$folder/inetd.conf", "s stream tcp nowait root /bin/true s\n");
	srand 11;
	my $octet = sub { (10, 10, 11, 128, 192)[rand 5] };
	my @mask = map { my $bits = $_; join '.', map { my $n = $bits - 8 * $_; $n >= 8 ? 255 : $n <= 0 ? 0 : 256 - 2**(8 - $n) } 0 .. 3 } 0 .. 32;
	my $asked = 0;
	for my $round (1 .. 30) {
		my (@text, @clients);
		for my $file ('hosts.allow', 'hosts.deny') {
			my $lines = '';
			for (1 .. int rand 5) {
				my @patterns;
				for (1 .. 1 + int rand 3) {
					my @ip = map { $octet->() } 1 .. 4;
					my $kind = int rand 8;
					my $bits = 4 + int rand 28;
					my $address = unpack 'N', pack 'C4', @ip;
					my $network = join '.', unpack 'C4', pack 'N', $address & (0xffffffff << (32 - $bits)) & 0xffffffff;
					push @patterns, $kind == 0 ? "$ip[0]." : $kind == 1 ? "$ip[0].$ip[1]." : $kind == 2 ? "$ip[0].$ip[1].$ip[2]." : $kind < 5 ? join('.', @ip) : $kind < 7 ? "$network/$mask[$bits]" : 'ALL';
					push @clients, join('.', @ip), join('.', @ip[0 .. 2], $ip[3] ^ 1), join('.', $ip[0], $ip[1] ^ 128, @ip[2, 3]), join('.', unpack 'C4', pack 'N', $address ^ (1 << (32 - $bits)));
				}
				my $daemon = (qw(s s ALL t))[rand 4];
				$lines .= "$daemon: " . join(rand 2 < 1 ? ' ' : ', ', @patterns) . (rand 4 < 1 ? ': deny' : rand 4 < 1 ? ': allow' : '') . "\n";
			}
			$lines .= "ALL: ALL\n" if $file eq 'hosts.deny' && rand 2 < 1;
			push @text, spew("$folder/$file", $lines);
		}
		my $conf = configuration("cert = CERT\nkey = KEY\nlibwrap = yes\n[s]\naccept = 127.0.0.1:1\nconnect = 127.0.0.1:1\n");
		my $made = run({ env => { HOSTS_ALLOW => $text[0], HOSTS_DENY => $text[1] } }, command('stunnel2run'), $conf, "$conf.d");
		is($made->{exit}, 0, "round $round") or diag($made->{err});
		my $rules = "$conf.d/s/rules.cdb";
		for my $client (grep { !/^0\./ } @clients[0 .. ($#clients < 11 ? $#clients : 11)]) {
			my $theirs = run({ before => sub { chdir $folder } }, $tcpdmatch, '-d', '-i', 'inetd.conf', 's', $client)->{out} =~ /^access:\s+(\w+)/m ? $1 : 'nothing';
			my $said = -e $rules ? run({ env => { TCPREMOTEIP => $client, TCPREMOTEHOST => undef, TCPREMOTEINFO => undef } }, command('tcprulescheck'), $rules)->{out} : '';
			my $ours = $said =~ /^deny connection/m ? 'denied' : 'granted';
			$asked++;
			next if $ours eq $theirs;
			is($ours, $theirs, "round $round: $client") or diag(map { slurp($_), "--\n" } @text, "$conf.d/s/rules");
		}
	}
	cmp_ok($asked, '>', 150, "$asked clients");

	# How libwrap reads its files: each of these is either refused or says the same.
	my ($closed, $taken) = ("ALL: ALL\n", 0);
	for my $case (['', "ALL: all\n"], ['', "all: ALL\n"], ['', "S: ALL\n"], ['', "s*: ALL\n"], ['', "KNOWN: ALL\n"], ["s: 10. except 10.1.\n", $closed], ["ALL\tEXCEPT\ts: 10.\n", $closed], ['s: 10.', $closed],
		['', " # x, ALL: ALL\n"], ['', "\ts: ALL\n"], [" #s: 10.\n", $closed], ["s: 10.0.0.0/8\n", $closed], ["s: 10.1.2.3/8\n", $closed], ["s: 10.1.2.4/255.0.0.0\n", $closed], ["s: 0.0.0.0/0\n", $closed],
		["s: 0.0.0.0/0.0.0.0\n", $closed], ["s: 10.1.2.3/32\n", $closed], ["s: 10.1.2.3/255.255.255.255\n", $closed], ["s: 010.\n", $closed], ["s: 266.\n", $closed], ["s: 010.1.2.3\n", $closed],
		["s: [2001:DB8::1]/32\n", $closed], ["s: [::]/0\n", $closed], ["s: [::ffff:a01:203]\n", $closed], ["s: ALL: DENY\n", ''], ["s: ALL: deny: allow\n", ''], ['', "s: 10.: allow\n"], ["s: 10.: severity auth.info : deny\n", ''],
		['', "s: unknown\n"], ["s: 10.\\\n1.\n", $closed], ["s: 10. \\\n", $closed], ["s:\n", $closed], ["s: 10.\r\n", "ALL: ALL\r\n"], ['', "x,s : ALL\n"], ['', "x;s : ALL\n"], ['t: ' . 'a' x 2043 . "s: 10.\n", $closed]) {
		my ($allowed, $denied) = @$case;
		spew("$folder/hosts.allow", $allowed);
		spew("$folder/hosts.deny", $denied);
		my $conf = configuration("cert = CERT\nkey = KEY\nlibwrap = yes\n[s]\naccept = 127.0.0.1:1\nconnect = 127.0.0.1:1\n");
		my $made = run({ env => { HOSTS_ALLOW => "$folder/hosts.allow", HOSTS_DENY => "$folder/hosts.deny" } }, command('stunnel2run'), $conf, "$conf.d");
		next if $made->{exit} == 96;
		$taken++;
		for my $client ('10.1.2.3', '2001:db8:1::1') {
			my $theirs = run({ before => sub { chdir $folder } }, $tcpdmatch, '-d', '-i', 'inetd.conf', 's', $client)->{out} =~ /^access:\s+(\w+)/m ? $1 : 'nothing';
			my $rules = "$conf.d/s/rules.cdb";
			my $said = -e $rules ? run({ env => { TCPREMOTEIP => $client, TCPREMOTEHOST => undef, TCPREMOTEINFO => undef } }, command('tcprulescheck'), $rules)->{out} : '';
			is($said =~ /^deny connection/m ? 'denied' : 'granted', $theirs, "$client: " . join '|', map { substr s/\n/ /gr, 0, 40 } $allowed, $denied);
		}
	}
	cmp_ok($taken, '>', 15, "$taken are not refused");
};

# Every program that reads env, and every supervisor.
subtest 'supervisors' => sub {
	my $port = free_port();
	my $conf = configuration("$server connect = 127.0.0.1:ONE\n", ACCEPT => "127.0.0.1:$port");
	is(run(command('stunnel2run'), $conf, "$conf.d")->{exit}, 0, 'is translated');
	for my $reader (qw(envdir s6-envdir chpst)) {
		my ($path) = grep { -x } map { "$_/$reader" } qw(/usr/bin /bin /command);
		$path or next;
		mkdir "$here/only-$reader";
		symlink $path, "$here/only-$reader/$reader";
		my ($s) = listening($port, start({ env => { PATH => "$here/only-$reader" }, before => sub { chdir "$conf.d/s" } }, './run'));
		is(tls($port, @tls12), $greets, "$reader alone");
		$s->stop;
		wait_until(sub { !is_listening($port) }, 5);
	}
	for my $case (['supervise', 'svc', '-dx'], ['runsv', 'sv', 'force-shutdown'], ['s6-supervise', 's6-svc', '-xd']) {
		my ($supervisor, $control, $down) = @$case;
		run('sh', '-c', "command -v $supervisor")->{exit} == 0 or next;
		my $started = start($supervisor, "$conf.d/s");
		wait_until(sub { is_listening($port) }, 10);
		is(tls($port, @tls12), $greets, $supervisor);
		run($control, $down, "$conf.d/s");
		ok($started->wait_for_end(10), "$supervisor ends");
		wait_until(sub { !is_listening($port) }, 5);
		run('rm', '-rf', "$conf.d/s/supervise");
	}
};

subtest 'units' => sub {
	plan skip_all => 'no systemd-analyze' unless run('sh', '-c', 'command -v systemd-analyze')->{exit} == 0;
	my $conf = configuration("output = /var/log/a %n.log\n$server connect = 127.0.0.1:ONE\n[t]\nsni = s:x.example.org\nconnect = 127.0.0.1:TWO\n[p]\naccept = 127.0.0.1:1\nexec = /bin/echo\nexecargs = echo 100% \$HOME \"x \\ 'y;\n", ACCEPT => '127.0.0.1:1');
	is(run(command('stunnel2run'), '-u', $conf, "$conf.d")->{exit}, 0, 'are made');
	my $result = run({ timeout => 60 }, 'systemd-analyze', 'verify', '--man=no', "$conf.d/s.service", "$conf.d/p.service");
	is(join('', grep { m{\b[sp]\.service\b} } split /^/, $result->{err}), '', 'systemd finds nothing wrong with them');
};

done_testing;
