#!/usr/bin/perl
# Who is let in: sslserver -m and -z, CCAVERIFY for all connections and by rules, and what SSL_CLIENT_VERIFY says of those who come in. Clients are
# openssl and our own. Names of clients come from an /etc/hosts in a mount namespace.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib", "$FindBin::Bin/lib/peers";
use Bear;
use BearTls;
use Peers;
use Test::More;

my $root = file('root.pem');
my $marker = temporary('started');

# ---- certificates: NAME.pem and NAME.key, signed by root unless said otherwise ----

sub certify {
	my ($name, $entries, %how) = @_;
	my $path = temporary($name);
	my $issuer = $how{issuer} || file('root');
	openssl('req', '-new', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-subj', "/O=Bear Test/CN=$name", '-keyout', "$path.key", '-out', "$path.csr");
	spew("$path.cnf", "basicConstraints = CA:FALSE\nextendedKeyUsage = clientAuth\nkeyUsage = critical, digitalSignature\nsubjectAltName = $entries\n");
	openssl('x509', '-req', '-in', "$path.csr", '-out', "$path.pem", '-CA', "$issuer.pem", '-CAkey', "$issuer.key", '-CAcreateserial', '-extfile', "$path.cnf", '-days', $how{days} || 30);
	return $path;
}
my %is = (
	right => file('client'), host => certify('host', 'DNS:client.test'), 'other host' => certify('other-host', 'DNS:other.test'), address => certify('address', 'IP:127.0.0.2'),
	wildcard => certify('wildcard', 'DNS:*.hosts.test'),
	'other CA' => certify('other-ca', 'email:who@example.test', issuer => file('other-root')), 'self-signed' => file('self-signed'), expired => certify('expired', 'email:old@example.test', days => -1),
	server => file('server-p256'),
);

# By somebody who calls himself like our authority.
openssl('req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', 30, '-subj', '/O=Bear Test/CN=Root RSA', '-keyout', temporary('impostor.key'), '-out', temporary('impostor.pem'));
$is{forged} = certify('forged', 'email:forged@example.test', issuer => temporary('impostor'));

my @show = ('sh', '-c', 'echo started >"$1"; env | LC_ALL=C sort | grep -e ^SSL_CLIENT -e ^SSL_PEER; echo "<end>"', 'sh', $marker);

# What a client gets that has this pair: all lines, or how it was refused.
sub visit {
	my ($port, $kind, %how) = @_;
	unlink $marker;
	my @own = $kind ? ('-cert', "$is{$kind}.pem", '-key', "$is{$kind}.key") : ();
	my $result = run({ in => '' }, 'openssl', 's_client', '-connect', "127.0.0.1:$port", $how{from} ? ('-bind', "$how{from}:0") : (), '-CAfile', $root, '-verify_return_error', '-ign_eof', @own,
		$how{version} ? "-" . lc($how{version}) =~ s/v1\.2/1_2/r =~ s/v1\.3/1_3/r : ());
	return $1 if $result->{out} =~ /^((?:SSL_\w+=.*\n|-----.*\n|[A-Za-z0-9+\/=]+\n)*<end>\n)/m;
	return 'started' if -e $marker;
	return "alert $1" if $result->{err} =~ /SSL alert number (\d+)/;
	return "refused: $result->{err}";
}
sub value { my ($text, $name) = @_; return $text =~ /^\Q$name\E=(.*)$/m ? $1 : undef }
sub none { return $_[0] eq 'TLSv1.2' ? 40 : 116 }

for my $version (versions()) {
	my $max = { TLS_MAXVERSION => $version };

	subtest "-m, $version" => sub {
		for my $case (['CAFILE', { CAFILE => $root }], ['CCAFILE alone', { CCAFILE => $root }]) {
			my ($words, $env) = @$case;
			my $server = sslserver({ env => { %$max, %$env } }, ['-msRH'], @show);
			my $text = visit($server->{port}, 'right');
			is(value($text, 'SSL_CLIENT_VERIFY'), 'SUCCESS', "$words: a right certificate");
			is(value($text, 'SSL_PEER_CERT_SUBJECT'), 'O=Bear Test, CN=Test Client', 'and whose it is');
			is(value($text, 'SSL_CLIENT_S_DN_CN'), 'Test Client', 'in the manner of mod_ssl');
			is(visit($server->{port}, undef), 'alert ' . none($version), 'none');
			is(visit($server->{port}, 'other CA'), 'alert 48', 'of another CA');
			is(visit($server->{port}, 'expired'), 'alert 45', 'expired');
			like(visit($server->{port}, 'server'), qr/^alert 4[23]$/, 'of a server');
			ok(!-e $marker, 'no program was started');
			is(scalar(() = $server->log =~ /unable to speak TLS from: 127\.0\.0\.1 for pid: \d+: \S/g), 4, 'each is said in words');
			$server->stop;
		}
	};

	subtest "CCAVERIFY, $version" => sub {
		my %all = (none => undef, map { $_ => $_ } 'right', 'other CA', 'self-signed', 'expired');
		my %reported = (none => 'NONE', right => 'SUCCESS', 'other CA' => 'GENEROUS', 'self-signed' => 'GENEROUS', expired => 'FAILED:certificate has expired');
		for my $case (['require', 0], ['yes', 0], ['', 0], ['optional', 1], ['report', 2]) {
			my ($how, $kind) = @$case;
			my $server = sslserver({ env => { %$max, CAFILE => $root, CCAVERIFY => $how } }, ['-sRH'], @show);
			for my $who (sort keys %all) {
				my $text = visit($server->{port}, $all{$who});
				my $let_in = $who eq 'right' || ($who eq 'none' && $kind) || $kind == 2;
				if (!$let_in) {
					is($text, 'alert ' . ($who eq 'none' ? none($version) : $who eq 'expired' ? 45 : 48), "$how: $who is refused");
					next;
				}
				is(value($text, 'SSL_CLIENT_VERIFY'), $reported{$who}, "$how: $who");
				my $identity = () = $text =~ /^SSL_(?!CLIENT_VERIFY=)/mg;
				$who eq 'right' ? cmp_ok($identity, '>', 10, 'whose it is is told') : is($identity, 0, 'nothing else is told of it');
			}
			$server->stop;
		}
	};
}

# A signature of a kind that was not offered, which the policy leaves out, though it is by the right key.
subtest 'a signature with SHA-1' => sub {
	for my $how ('require', 'optional', 'report') {
		my $result = meet({ side => 'server', peer => 'bearssl', env => { CAFILE => $root, CCAVERIFY => $how, TLS_REPORT => 'full' }, peer_env => { PEER_TWIST => 'sha1', PEER_CERTIFICATE => "$is{right}.pem", PEER_KEY => "$is{right}.key" },
			prog => ['sh', '-c', 'echo "started $SSL_CLIENT_VERIFY" >&2'], steps => ['readall'] });
		like($result->{log}, qr/ for pid: \d+: algorithm or curve that was not offered$/m, "$how: in words") or diag($result->{peer});
		is($result->{exit}, 98, 'exit 98');
		unlike($result->{log}, qr/started/, 'no program was started');
	}
	my $result = meet({ side => 'client', peer => 'bearssl', peer_env => { PEER_TWIST => 'sha1' }, prog => ['sh', '-c', 'echo "started $SSL_PROTOCOL" >&2'], steps => ['readall'] });
	like($result->{log}, qr/ for pid: \d+: algorithm or curve that was not offered$/m, 'of a server: in words') or diag($result->{peer});
	is($result->{exit}, 98, 'exit 98');
	unlike($result->{log}, qr/started/, 'no program was started');
};

# The first of two authorities with one name has not signed; what comes later in the handshake must not suffer from that.
subtest 'records that come one by one, behind a signature that is none' => sub {
	my $two = temporary('two');
	openssl('req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', 30, '-subj', '/O=Bear Test/CN=Root RSA', '-keyout', "$two.key", '-out', "$two.pem");
	spew("$two.pem", slurp("$two.pem") . slurp($root));
	my $slowly = sub { my (undef, undef, $record) = @_; select undef, undef, undef, 0.05; return $record };
	for my $version (versions()) {
		my $server = sslserver({ env => { TLS_MAXVERSION => $version, CAFILE => "$two.pem" } }, ['-msRH'], @show);
		is(value(visit(proxy($server->{port}, $slowly), 'right'), 'SSL_CLIENT_VERIFY'), 'SUCCESS', "$version: a client") or diag($server->log);
		$server->stop;
		$server = sslserver({ env => { TLS_MAXVERSION => $version, CAFILE => file('root.pem'), CCAVERIFY => 'report' } }, ['-sRH'], @show);
		like(value(visit(proxy($server->{port}, $slowly), 'forged'), 'SSL_CLIENT_VERIFY'), qr/^FAILED:signature on a certificate is wrong$/, "$version: one that is only reported") or diag($server->log);
		$server->stop;
		$server = sslserver({ env => { TLS_MAXVERSION => $version } }, ['-RH'], 'echo', 'served');
		my $result = sslclient({ env => { CAFILE => "$two.pem" } }, ['-RH', 'localhost'], proxy($server->{port}, $slowly), 'sh', '-c', 'cat <&6');
		is($result->{out}, "served\n", "$version: a server") or diag($result->{err});
		$server->stop;
	}
};

subtest 'the handshake goes on for anybody, and so do the bytes' => sub {
	my $server = sslserver({ env => { CAFILE => $root, CCAVERIFY => 'report' } }, ['-RH'], 'cat');
	for my $kind ('other CA', 'expired', 'right', undef) {
		my @own = $kind ? (CERTFILE => "$is{$kind}.pem", KEYFILE => "$is{$kind}.key") : ();
		my $result = sslclient({ env => {@own} }, ['-RH', 'localhost'], $server->{port}, 'sh', '-c', 'head -c 300000 /dev/zero >&7; exec 7>&-; wc -c <&6');
		is($result->{out} + 0, 300000, ($kind // 'none') . ': there and back') or diag $result->{err};
	}
	$server->stop;
};

subtest 'by rules' => sub {
	my $rules = temporary('rules');
	my $compiled = run({ in => join '', map { "$_\n" } '127.0.0.2:allow,CCAVERIFY="require"', '127.0.0.3:allow,CCAVERIFY="optional"', '127.0.0.4:allow,CCAVERIFY="report"',
		'127.0.0.5:allow,CCAFILE="-"', '127.0.0.6:allow,CCAVERIFY="report",CCAFILE="-"', '127.0.0.7:allow,CCAVERIFY="require",TLS_VERIFY="name",TLS_PEERNAME="client.test"', ':allow' },
		command('tcprules'), "$rules.cdb", "$rules.tmp");
	is($compiled->{exit}, 0, 'compiled') or diag $compiled->{err};
	my $server = sslserver({ env => { CAFILE => $root } }, ['-sRH', '-x', "$rules.cdb"], @show);
	is(value(visit($server->{port}, 'right'), 'SSL_CLIENT_VERIFY'), 'NONE', 'no rule, nobody is asked');
	is(visit($server->{port}, undef, from => '127.0.0.2'), 'alert ' . none(newest()), 'demanded of one');
	is(value(visit($server->{port}, 'right', from => '127.0.0.2'), 'SSL_CLIENT_VERIFY'), 'SUCCESS', 'which has one');
	is(visit($server->{port}, 'other CA', from => '127.0.0.3'), 'alert 48', 'asked of one, and it has to be right');
	is(value(visit($server->{port}, undef, from => '127.0.0.3'), 'SSL_CLIENT_VERIFY'), 'NONE', 'or none');
	is(value(visit($server->{port}, 'other CA', from => '127.0.0.4'), 'SSL_CLIENT_VERIFY'), 'GENEROUS', 'looked at only');
	is(value(visit($server->{port}, 'host', from => '127.0.0.7'), 'SSL_CLIENT_VERIFY'), 'SUCCESS', 'for a name of the rule');
	is(visit($server->{port}, 'right', from => '127.0.0.7'), 'alert 42', 'and no other');
	$server->stop;
	$server = sslserver({ env => { CAFILE => $root } }, ['-msRH', '-x', "$rules.cdb"], @show);
	is(value(visit($server->{port}, 'other CA', from => '127.0.0.5'), 'SSL_CLIENT_VERIFY'), 'NONE', '-m: CCAFILE=- asks for nothing');
	is(value(visit($server->{port}, 'other CA', from => '127.0.0.6'), 'SSL_CLIENT_VERIFY'), 'NONE', 'CCAVERIFY aside');
	is(value(visit($server->{port}, undef, from => '127.0.0.3'), 'SSL_CLIENT_VERIFY'), 'NONE', 'a rule asks for less than -m');
	is(visit($server->{port}, undef), 'alert ' . none(newest()), 'everybody else has to have one');
	$server->stop;
};

subtest 'without anybody to trust' => sub {
	for my $case ([['-m'], {}], [['-z'], {}], [[], { CCAVERIFY => 'report' }], [['-m'], { CAFILE => '' }]) {
		my ($letters, $env) = @$case;
		my $result = run({ env => { %{ pair('server-rsa') }, %$env } }, command('sslserver'), '-1', @$letters, '127.0.0.1', '0', @show);
		is($result->{exit}, 96, join(' ', @$letters, %$env) . ': exit 96');
		is($result->{err}, "tlsd-io: fatal: no CA to trust: set CAFILE or CADIR\n", 'in words');
	}
	my $result = run({ env => { %{ pair('server-rsa') }, CCAFILE => temporary('gone') } }, command('sslserver'), '-1', '-m', '127.0.0.1', '0', @show);
	is($result->{exit}, 96, 'a file that is not there: exit 96');
	my $server = sslserver({}, ['-mzZsRH'], @show);
	is(value(visit($server->{port}, 'right'), 'SSL_CLIENT_VERIFY'), 'NONE', '-Z takes it back');
	$server->stop;
};

# ---- -z ----

subtest '-z: the host that it comes from' => sub {
	my ($apart) = grep { !system "unshare $_ true 2>/dev/null" } '-m', '-rm';
	plan skip_all => 'no mount namespaces here' unless $apart;
	# 127.0.0.2 has no name, and 127.0.0.1 is always localhost.
	my $hosts = spew(temporary('hosts'), "127.0.0.5 client.test\n127.0.0.4 y.hosts.test\n");
	my $run = spew(temporary('run'), "#!/bin/sh\nmount --bind $hosts /etc/hosts && exec \"\$@\"\n");
	chmod 0755, $run;
	my $server = serve({ env => pair('server-rsa', CAFILE => $root, DNSCACHEIP => '127.0.0.1') }, 'unshare', $apart, $run, command('sslserver'), '-1vzsR', '-t', '2', '-l0', '127.0.0.1', '0', @show);
	is(value(visit($server->{port}, 'host', from => '127.0.0.5'), 'SSL_CLIENT_VERIFY'), 'SUCCESS', 'its name is in the certificate');
	is(visit($server->{port}, 'other host', from => '127.0.0.5'), 'alert 42', 'another one is');
	is(visit($server->{port}, 'right', from => '127.0.0.5'), 'alert 42', 'none is');
	is(visit($server->{port}, undef, from => '127.0.0.5'), 'alert ' . none(newest()), 'there is no certificate');
	is(visit($server->{port}, 'address', from => '127.0.0.5'), 'alert 42', 'its address does not do where there is a name');
	ok($server->wait_for_log(qr/unable to speak TLS from: 127\.0\.0\.5 for pid: \d+: (certificate is for another name)\n/), 'said in words') or diag $server->log;
	is(value(visit($server->{port}, 'wildcard', from => '127.0.0.4'), 'SSL_CLIENT_VERIFY'), 'SUCCESS', '*. stands for a label');
	is(value(visit($server->{port}, 'address', from => '127.0.0.2'), 'SSL_CLIENT_VERIFY'), 'SUCCESS', 'without a name the address counts');
	is(visit($server->{port}, 'host', from => '127.0.0.2'), 'alert 42', 'and nothing else');
	$server->stop;
};

subtest '-z: by the address' => sub {
	my $server = sslserver({ env => { CAFILE => $root } }, ['-zsRH'], @show);
	is(value(visit($server->{port}, 'address', from => '127.0.0.2'), 'SSL_CLIENT_VERIFY'), 'SUCCESS', '-H: its address is in the certificate');
	is(visit($server->{port}, 'address', from => '127.0.0.3'), 'alert 42', 'another one is');
	$server->stop;
	# The same with tlsd, which takes the name from the environment.
	$server = serve({ env => pair('server-rsa', CAFILE => $root, TLS_VERIFY => 'name', TLS_REPORT => 'full') }, command('tcpserver'), '-1RH', '-l0', '127.0.0.1', '0', command('tlsd'), '-y', @show);
	is(value(visit($server->{port}, 'address', from => '127.0.0.2'), 'SSL_CLIENT_VERIFY'), 'SUCCESS', 'tlsd with TLS_VERIFY=name');
	is(visit($server->{port}, 'address', from => '127.0.0.3'), 'alert 42', 'likewise');
	$server->stop;
	my $result = run({ env => pair('server-rsa', CAFILE => $root, TLS_VERIFY => 'name', PROTO => undef) }, command(io_program('tlsd-io')), '-y', '0', '1');
	is($result->{exit}, 96, 'nobody says who it is: exit 96');
	like($result->{err}, qr/\Atlsd-io: fatal: no name to check: nothing says who the client is, neither TLS_PEERNAME nor \$\{PROTO\}REMOTEHOST\n/, 'in words');
};

subtest 'delayed TLS: -n with -m' => sub {
	my $prog = spew(temporary('delayed'), <<'END');
use IO::Handle;
open my $control, '+<&=', $ENV{SSLCTLFD} or die; open my $in, '<&=', $ENV{SSLREADFD} or die; open my $out, '>&=', $ENV{SSLWRITEFD} or die;
syswrite STDOUT, "220 ready\r\n"; my $line = ''; sysread STDIN, $line, 1, length $line while $line !~ /\n/; syswrite STDOUT, "220 go\r\n";
syswrite $control, 'Y'; my $report = ''; 1 while sysread $control, $report, 4096, length $report;
open STDIN, '<&', $in; open STDOUT, '>&', $out;
print "$1\n" if $report =~ /\0(SSL_CLIENT_VERIFY=[^\0]*)\0/; print "<end>\n";
END
	my $server = sslserver({ env => { CAFILE => $root } }, ['-nmRH'], $^X, $prog);
	my $client = sub { my ($kind) = @_; return run({ env => { CAFILE => $root, $kind ? (CERTFILE => "$is{$kind}.pem", KEYFILE => "$is{$kind}.key") : () } }, command('tcpclient'), '-RH', '127.0.0.1', $server->{port},
		'sh', '-c', 'read a <&6; echo STARTTLS >&7; read b <&6; exec "$@"', 'sh', command('tlsc'), '-k', 'localhost', 'sh', '-c', 'exec cat <&6') };
	is($client->('right')->{out}, "SSL_CLIENT_VERIFY=SUCCESS\n<end>\n", 'a right certificate');
	is($client->(undef)->{out}, '', 'none');
	is($client->('other CA')->{out}, '', 'one of another CA');
	$server->stop;
};

# The scripts and rules of doc/guide/certificates.md about clients, each changed to a port of this test.
subtest 'the guide' => sub {
	my $guide = slurp("$FindBin::Bin/../doc/guide/certificates.md");
	my $here = temporary('guide');
	mkdir $here;
	(my $commands = command('x')) =~ s/x$//;
	my %env = (PATH => "$commands:$ENV{PATH}", map { ("SSL_$_" => undef) } 'CLIENT_VERIFY');
	# A script is called what is last said in backquotes before it, at the beginning of a paragraph or behind "and".
	my %script;
	while ($guide =~ /(?:\n\n|and )`([a-z]+)`(?:(?!```).)*?\n```sh\n(.*?)^```$/msg) { $script{$1} = $2 }
	is(join(' ', sort keys %script), 'greet guests hosts members names pinned visit welcome which', 'its scripts');
	s/(127\.0\.0\.1|0\.0\.0\.0) 707\d/127.0.0.1 0/ && s/sslserver -v/sslserver -1v/ for values %script;
	for my $name (keys %script) { chmod 0755, spew("$here/$name", $script{$name}) }
	my %from = (server => 'server-p256', 'members-ca' => 'root', 'server-ca' => 'root', member => 'client', www => 'server-rsa', any => 'server-p384');
	for my $name (keys %from) { spew("$here/$name.$_", slurp(file("$from{$name}.$_"))) for 'pem', 'key' }
	my $enter = sub { chdir $here or die };
	my $visit = sub {
		my ($port, $kind, @more) = @_;
		spew("$here/visit-now", $script{visit} =~ s/7070/$port/r =~ s/-RH/-RH @more/r =~ s/CERTFILE=\S+ KEYFILE=\S+/$kind ? "CERTFILE=$is{$kind}.pem KEYFILE=$is{$kind}.key" : 'UNUSED='/er);
		return run({ env => \%env, before => $enter }, 'sh', "$here/visit-now")->{out};
	};
	my $server = serve({ env => \%env, before => $enter }, "$here/members");
	is(run({ env => \%env, before => $enter }, 'sh', '-c', "sed s/7070/$server->{port}/ visit | sh")->{out}, "Good day, Test Client.\n", 'members');
	is($visit->($server->{port}, undef), '', 'and nobody else');
	$server->stop;
	$server = serve({ env => { %env, DNSCACHEIP => '127.0.0.1' }, before => $enter }, "$here/hosts");
	is($visit->($server->{port}, 'right'), '', 'hosts: no machine');
	$server->stop;
	$server = serve({ env => \%env, before => $enter }, "$here/guests");
	is($visit->($server->{port}, $_->[0]), $_->[1], 'guests: ' . ($_->[0] // 'none')) for ['right', "Welcome, Test Client.\n"], [undef, "Welcome, guest.\n"],
		['other CA', "Welcome, guest. Your certificate is of no use here: GENEROUS\n"], ['expired', "Welcome, guest. Your certificate is of no use here: FAILED:certificate has expired\n"];
	$server->stop;
	my ($rules) = $guide =~ /^```rules\n(.*?)^```$/ms;
	run({ in => $rules =~ s/^10\./127.0.0.2/mr =~ s/^127\.:/127.0.0.1:/mr }, command('tcprules'), "$here/rules.cdb", "$here/rules.tmp");
	$server = sslserver({ env => { CAFILE => $root } }, ['-sRH', '-x', "$here/rules.cdb"], "$here/welcome");
	is($visit->($server->{port}, 'right'), "Welcome, guest.\n", 'rules: nothing is asked');
	like($visit->($server->{port}, 'other CA', '-i', '127.0.0.2'), qr/GENEROUS/, 'looked at');
	is($visit->($server->{port}, 'other CA', '-i', '127.0.0.3'), '', 'demanded');
	$server->stop;
	$server = serve({ env => \%env, before => $enter }, "$here/names");
	for my $pair ('server-p256', 'server-p384') {
		spew("$here/server.pem", slurp(file("$pair.pem")));
		my $result = run({ env => \%env, before => $enter }, 'sh', '-c', "sed s/7073/$server->{port}/ pinned | sh");
		is($result->{out}, $pair eq 'server-p256' ? "You asked for localhost.\n" : '', "pinned: $pair is " . ($pair eq 'server-p256' ? 'who it is' : 'somebody else')) or diag $result->{err};
		spew("$here/server.pem", slurp(file('server-p256.pem')));
	}
	for my $case (['www.example.org', 'rsaEncryption'], ['x.example.org', '\(384 bit\)'], ['example.org', '\(256 bit\)']) {
		my $result = run('openssl', 's_client', '-connect', "127.0.0.1:$server->{port}", '-servername', $case->[0], '-ign_eof');
		like($result->{out}, qr/^You asked for \Q$case->[0]\E\.$/m, "names: $case->[0]");
		my ($certificate) = $result->{out} =~ /(-----BEGIN.*?-----END[^\n]*\n)/s;
		like(run({ in => $certificate }, 'openssl', 'x509', '-noout', '-text')->{out}, qr/Public.Key.*$case->[1]/, 'has the right certificate');
	}
	$server->stop;
};

done_testing;
