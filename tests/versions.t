#!/usr/bin/perl
# Protocol versions, and what belongs to TLS 1.3: which one is agreed on, HelloRetryRequest, KeyUpdate, no tickets and no early data; and that
# the library is not told anything by files and variables that are not ours.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib", "$FindBin::Bin/lib/peers";
use Bear;
use BearTls;
use Peers;
use POSIX qw(mkfifo);
use Test::More;

my $root = file('root.pem');
my @all = ('TLSv1.2', 'TLSv1.3');
my %has = map { $_ => 1 } versions();
my %letter = ('TLSv1.2' => '-tls1_2', 'TLSv1.3' => '-tls1_3');
my @show = ('sh', '-c', 'echo "<$SSL_PROTOCOL $SSL_CIPHER>"');

# What is agreed on by peers of which each knows some versions; undef: nothing.
sub agreed { my ($ours, $theirs) = @_; my %theirs = map { $_ => 1 } @$theirs; return (grep { $theirs{$_} } @$ours)[-1] }

# Settings, and the versions that are left of those of the engine.
my @settings = (
	[{}, [versions()]], [{ TLS_MAXVERSION => 'TLSv1.2' }, ['TLSv1.2']], [{ TLS_MAXVERSION => 'TLSv1.3' }, [versions()]], [{ TLS_MINVERSION => 'TLSv1.2' }, [versions()]],
	[{ TLS_MINVERSION => 'TLSv1.2', TLS_MAXVERSION => 'TLSv1.2' }, ['TLSv1.2']],
	$has{'TLSv1.3'} ? ([{ TLS_MINVERSION => 'TLSv1.3' }, ['TLSv1.3']], [{ TLS_MINVERSION => 'TLSv1.3', TLS_MAXVERSION => 'TLSv1.3' }, ['TLSv1.3']]) : (),
);

subtest 'servers' => sub {
	for my $setting (@settings) {
		my ($env, $ours) = @$setting;
		my $name = join(' ', map { "$_=$env->{$_}" } sort keys %$env) || 'by default';
		my $server = sslserver({ env => $env }, [], @show);
		for my $theirs (\@all, ['TLSv1.2'], ['TLSv1.3']) {
			my $result = s_client({}, $server->{port}, @$theirs == 1 ? $letter{ $theirs->[0] } : (), '-quiet');
			my $version = agreed($ours, $theirs);
			my $seen = connection($server);
			if (defined $version) {
				like($result->{out}, qr/^<\Q$version\E @{[suite($version, 'RSA')]}>$/m, "$name: $version with a client of @$theirs");
				next;
			}
			like($result->{err}, qr/alert protocol version/, "$name: a client of @$theirs is told");
			is($seen->{status}, 98 << 8, 'exit code 98');
			like($seen->{log}, qr/client does not speak TLS 1\.[23]$/m, 'in words');
		}
		$server->stop;
	}
};

subtest 'clients' => sub {
	for my $theirs (\@all, ['TLSv1.2'], ['TLSv1.3']) {
		my $server = s_server({ answers => 1 }, '-rev', @$theirs == 1 ? $letter{ $theirs->[0] } : ());
		for my $setting (@settings) {
			my ($env, $ours) = @$setting;
			my $name = join(' ', map { "$_=$env->{$_}" } sort keys %$env) || 'by default';
			my $result = sslclient({ env => $env }, ['localhost'], $server->{port}, @show);
			my $version = agreed($ours, $theirs);
			if (defined $version) {
				like($result->{out}, qr/\A<\Q$version\E @{[suite($version, 'RSA')]}>\n\z/, "$name: $version with a server of @$theirs") or diag($result->{err});
			} else {
				is($result->{exit}, 98, "$name: a server of @$theirs: exit 98");
				like($result->{err}, qr/: (peer sent alert protocol_version|.*version.*)\n\z/, 'in words');
			}
		}
		$server->stop;
	}
};

subtest 'a downgrade on the way is seen' => sub {
	return if cannot('bearssl', 'TLS 1.3: BearSSL ends with TLS 1.2');
	my $server = sslserver({ pair => 'server-p256' }, [], 'echo', 'started');
	# supported_versions (RFC 8446 4.2.1) becomes an extension that nobody knows.
	my $hide = sub { my ($from, $n, $r) = @_; $r =~ s/\0\x2b(?=\0[\x03-\x10][\x02-\x0f]\x03[\x03\x04])/\xfa\xfb/s if $from eq 'client' && $n == 0; return $r };
	my $result = s_client({}, proxy($server->{port}, $hide), '-quiet');
	unlike($result->{out}, qr/started/, 'a client of openssl is not served');
	like(connection($server)->{log}, qr/peer sent alert illegal_parameter$/m, 'and says why (RFC 8446 4.1.3)');
	my $peer = s_server({ answers => 1 }, '-rev');
	$result = sslclient({}, ['localhost'], proxy($peer->{port}, $hide), 'echo', 'started');
	is($result->{exit}, 98, 'our client: exit 98');
	is($result->{out}, '', 'the program never starts');
	$_->stop for $server, $peer;
};

subtest 'HelloRetryRequest' => sub {
	return if cannot('bearssl', 'TLS 1.3: BearSSL ends with TLS 1.2');
	my $hellos = sub { my ($text) = @_; my @all = $text =~ /^<<< TLS 1\.\d, Handshake \[length \w+\], ServerHello$|^>>> TLS 1\.\d, Handshake \[length \w+\], ClientHello$/mg; return scalar @all };
	my $server = sslserver({ pair => 'server-p256', env => { CAFILE => $root } }, [], @show);
	my $result = s_client({}, $server->{port}, '-msg', '-groups', 'X448:P-384');
	is($hellos->($result->{out}), 4, 'a client with a key share for X448 is asked for another');
	like($result->{out}, qr/^<TLSv1\.3 /m, 'and served');
	$result = s_client({}, $server->{port}, '-msg', '-groups', 'P-384');
	is($hellos->($result->{out}), 2, 'one for P-384 is not');
	like($result->{out}, qr/^<TLSv1\.3 /m, 'but served');
	$result = s_client({}, $server->{port}, '-msg', '-groups', 'X448:P-256', '-servername', 'example.test');
	is($hellos->($result->{out}), 4, 'once more with a name');
	like($result->{out}, qr/^<TLSv1\.3 /m, 'is served');
	$server->stop;
	$server = serve({ env => pair('server-p256', CAFILE => $root) }, command('tcpserver'), '-1v', '127.0.0.1', '0', command('tlsd'), '-y', @show);
	$result = s_client({}, $server->{port}, '-groups', 'X448:P-256', '-cert', file('client.pem'), '-key', file('client.key'));
	like($result->{out}, qr/^<TLSv1\.3 /m, 'and with a certificate of the client');
	$server->stop;
	for my $group ('P-256', 'P-384', 'P-521') {
		my $peer = s_server({ answers => 1 }, '-rev', '-groups', $group);
		$result = sslclient({}, ['localhost'], $peer->{port}, 'sh', '-c', 'echo abc >&7; read line <&6; echo "$line $SSL_PROTOCOL"');
		is($result->{out}, "cba TLSv1.3\n", "our client is asked for $group") or diag($result->{err});
		$peer->stop;
	}
};

# A client could have one name decide on certificate and environment, and go on with another.
subtest 'a second ClientHello that is another one' => sub {
	return if cannot('bearssl', 'TLS 1.3: BearSSL ends with TLS 1.2');
	for my $word (qw(nothing name no-name protocols no-protocols suites signatures groups)) {
		my $result = meet({ side => 'server', peer => 'openssl', version => 'TLSv1.3', peer_env => { PEER_TWIST => "hello $word" }, env => { TLS_ALPN => 'foo,h2' },
			prog => ['sh', '-c', 'echo "started for $SSL_TLS_SNI_SERVERNAME, $SSL_ALPN" >&2'], steps => ['readall'] });
		if ($word eq 'nothing') {
			like($result->{log}, qr/^started for localhost, h2$/m, 'the same is served') or diag($result->{peer});
			next;
		}
		like($result->{peer}, qr/^handshake failed (?:alert 47|(?:\w+ )?alert illegal parameter)$/m, "$word: alert illegal_parameter") or diag($result->{peer});
		unlike($result->{log}, qr/started/, 'the program never starts');
		like($result->{log}, qr/: second ClientHello is not like the first$/m, 'in words') or diag($result->{log});
		is($result->{exit}, 98, 'exit 98');
	}
};

subtest 'KeyUpdate' => sub {
	return if cannot('bearssl', 'TLS 1.3: BearSSL ends with TLS 1.2');
	my @some = map { ('send', 100_000, 'rekey') } 1 .. 5;
	for my $peer (peers()) {
		for my $side ('server', 'client') {
			my $result = meet({ side => $side, peer => $peer, version => 'TLSv1.3', app => [qw(both 3000000)], steps => [@some, qw(send 7 notify readall)] });
			is($result->{exit}, 0, "our $side, $peer: exit 0") or diag("$result->{peer}\n$result->{log}");
			like($result->{peer}, qr/\Aopen [^\n]*TLSv?1\.3[^\n]*\nreceived 3000000\nend close_notify\n\z/, "our $side, $peer: all that was sent under five keys");
			like($result->{log}, qr/application: received 500007$/m, "our $side, $peer: and received");
		}
	}
};

subtest 'no tickets, no sessions, no early data' => sub {
	my $server = sslserver({ env => { TLS_REPORT => 'full' } }, ['-s'], 'sh', '-c', 'echo "<${SSL_SESSION_ID-none}>"');
	for my $version (versions()) {
		my $session = temporary("session-$version");
		my $result = s_client({}, $server->{port}, $letter{$version}, '-sess_out', $session);
		like($result->{out}, qr/^</m, "$version: a connection");
		unlike($result->{out}, qr/New Session Ticket arrived|TLS session ticket:/, 'no ticket');
		unlike($result->{out}, qr/Max Early Data: [1-9]/, 'no early data');
		next unless -s $session;
		$result = s_client({}, $server->{port}, $letter{$version}, '-sess_in', $session);
		like($result->{out}, qr/^New, /m, 'nothing to resume');
	}
	$server->stop;
};

# The library as others would set it up: an older version at most, and a suite that is not ours.
subtest 'OPENSSL_CONF, SSL_CERT_FILE, SSLKEYLOGFILE' => sub {
	my $conf = spew(temporary('other.cnf'), "openssl_conf = all\n[all]\nssl_conf = ssl\n[ssl]\nsystem_default = defaults\n[defaults]\nMaxProtocol = TLSv1.2\nMinProtocol = TLSv1.2\n" .
		"CipherString = ECDHE-RSA-AES256-GCM-SHA384\n");
	my $broken = spew(temporary('broken.cnf'), "openssl_conf = all\n[all]\nengines = e\n[e]\nx = y\n[y]\ninit = 1\ndynamic_path = /nonexistent\n");
	my $log = temporary('keys');
	my $trap = temporary('trap.fifo');
	mkfifo($trap, 0666) or die "$trap: $!";    # whoever opens it waits for ever
	my $plain = sslserver({}, [], @show);
	my $normal = s_client({}, $plain->{port}, '-quiet')->{out};
	like($normal, qr/^<\Q@{[newest()]}\E /m, 'without: the newest');
	like(s_client({ env => { OPENSSL_CONF => $conf } }, $plain->{port}, '-quiet')->{out}, qr/^<TLSv1\.2 ECDHE-RSA-AES256-GCM-SHA384>$/m, 'openssl s_client obeys the file');
	for my $file ($conf, $broken, $trap) {
		my ($roots, $keys) = $file eq $trap ? ($trap, $trap) : ($root, $log);
		my %foreign = (OPENSSL_CONF => $file, SSL_CERT_FILE => $roots, SSL_CERT_DIR => '/nonexistent', SSLKEYLOGFILE => $keys, OPENSSL_MODULES => '/nonexistent', OPENSSL_ENGINES => '/nonexistent');
		my $name = $file =~ s{.*/}{}r;
		my $server = sslserver({ env => \%foreign }, [], @show);
		is(s_client({}, $server->{port}, '-quiet')->{out}, $normal, "$name: our server does not");
		$server->stop;
		my $result = sslclient({ env => \%foreign }, ['localhost'], $plain->{port}, 'sh', '-c', 'cat <&6');
		is($result->{out}, $normal, "$name: nor our client") or diag($result->{err});
		$result = sslclient({ env => { %foreign, CAFILE => file('other-root.pem') } }, ['localhost'], $plain->{port}, 'true');
		is($result->{exit}, 98, "$name: which trusts CAFILE and nothing else");
	}
	ok(!-e $log, 'no secret is written anywhere');
	$plain->stop;
};

subtest 'TLS 1.3: what is sent while half a message has come' => sub {
	return if cannot('bearssl', 'TLS 1.3: BearSSL ends with TLS 1.2');
	# NewSessionTicket (RFC 8446 4.6.1): 6 bytes of it, then the rest; at last close_notify.
	my $ticket = '0400001200000e10010203040100' . '0004aabbccdd' . '0000';
	my ($half, $rest) = (substr($ticket, 0, 12), substr($ticket, 12));
	my @end = ('record', '21', '0100', '1', 'readall');
	my $result = meet({ side => 'client', peer => 'openssl', version => 'TLSv1.3', timeout => 12, app => [qw(pause 500 send 10 closeout readall)],
		steps => ['record', '22', $half, '1', 'pause', '1500', 'record', '22', $rest, '1', @end] });
	is($result->{exit}, 0, 'prog writes and ends: exit 0') or diag($result->{log});
	like($result->{peer}, qr/^received 10\n(?:.*\n)*end close_notify$/m, 'all of it arrives, and its end');
	$result = meet({ side => 'client', peer => 'openssl', version => 'TLSv1.3', timeout => 12, app => [qw(pause 500 send 200000 closeout readall)],
		steps => ['record', '22', $half, '1', 'pause', '1500', 'record', '22', $rest, '1', @end] });
	like($result->{peer}, qr/^received 200000\n(?:.*\n)*end close_notify$/m, 'much of it as well');
	$result = meet({ side => 'client', peer => 'openssl', version => 'TLSv1.3', timeout => 15, env => { TLS_LINGER => 2 }, app => [qw(pause 500 send 10 closeout readall)],
		steps => ['record', '22', $half, '1', 'pause', '5000', 'fin', 'readall'] });
	is($result->{exit}, 98, 'the rest never comes: exit 98') or diag($result->{log});
	like($result->{log}, qr/: peer took nothing more until TLS_LINGER ran out$/m, 'after TLS_LINGER');
	$result = meet({ side => 'client', peer => 'openssl', version => 'TLSv1.3', timeout => 15, app => [qw(pause 500 send 10 closeout readall)],
		steps => ['record', '22', $half, '1', 'pause', '1500', 'fin', 'readall'] });
	is($result->{exit}, 98, 'the peer ends within it: exit 98') or diag($result->{log});
	like($result->{log}, qr/: peer ended within a message, and did not get all$/m, 'in words');
};

subtest 'a program that reads late, and a peer that has said its end' => sub {
	for my $side ('client', 'server') {
		my $result = meet({ side => $side, peer => 'openssl', tls => ['-J'], timeout => 20, app => [qw(pause 1500 closeout readall)], steps => ['send', '160000', 'notify', 'fin', 'readall'] });
		is($result->{exit}, 0, "$side, -J: no end is taken for truncation") or diag($result->{log});
		like($result->{log}, qr/received 160000\b/, "$side: all is delivered");
	}
};

done_testing;
