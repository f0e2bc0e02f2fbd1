#!/usr/bin/perl
# Rules at work in tcpserver and sslserver: who is let in, when files are read and what is wrong with them, -y and -x together, and where the
# variables of a rule arrive: in prog, and in the io program.
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

my @forms = ({ name => 'tcpserver', ended => 'end' }, { name => 'sslserver', ended => 'ended by' });
my $number = 0;
$ENV{DNSCACHEIP} = '127.0.0.1:9';    # nobody: names are not found, at once

# Compiles rules; returns the path of the file, which may be given.
sub rules {
	my ($text, $path) = @_;
	$path ||= temporary('rules' . ++$number . '.cdb');
	my $result = run({ in => $text }, command('tcprules'), $path, "$path.tmp");
	die "tcprules: $result->{err}" unless $result->{exit} == 0;
	return $path;
}

sub server {
	my ($form, $options, @arguments) = @_;
	my @prog = grep { ref } @arguments;
	@arguments = grep { !ref } @arguments;
	return serve({ %$options, env => { %{ pair('server-p256') }, %{ $options->{env} || {} } } }, command($form->{name}), '-1v', @arguments, '127.0.0.1', '0',
		$prog[0] ? @{ $prog[0] } : 'env');
}

# What a client from an address gets.
sub visit {
	my ($form, $server, $from, %env) = @_;
	return run({ env => { CAFILE => file('root.pem'), TLS_PEERNAME => 'localhost', %env } }, command('sslclient'), '-4RHl0', '-i', $from, '127.0.0.1', $server->{port}, 'sh', '-c', 'cat <&6')->{out}
		if $form->{name} eq 'sslserver';
	my $socket = IO::Socket::IP->new(PeerHost => '127.0.0.1', PeerPort => $server->{port}, LocalHost => $from) or return 'no connection';
	return read_all($socket);
}

# The value of a variable in that, undef if there is none; "denied" if there is nothing at all.
sub value {
	my ($text, $name) = @_;
	return 'denied' if $text eq '';
	return $text =~ /^\Q$name\E=(.*)$/m ? $1 : undef;
}

# The log lines of the last connection, with numbers that nobody knows before replaced.
sub last_lines {
	my ($form, $server) = @_;
	wait_until(sub {
		my $log = $server->log;
		my $begun = () = $log =~ /: pid \d+ from/g;
		my $ended = () = $log =~ /: $form->{ended} \d+ status/g;
		return $begun == $ended && $log =~ /status: 0\/40\S*\n\z/;
	}, 5);
	# The listener's status lines and the lines of its children come in any order to each other.
	my $log = $server->log =~ s/^\w+: status: .*\n//mgr;
	my ($pid) = $log =~ /.*: pid (\d+) from/s or return $log;
	my $lines = join '', grep { !/^\w+: (?:pid|ok|deny|end|ended by) (\d+) / || $1 == $pid } split /^/, $log =~ s/\A.*^(?=\w+: pid $pid from)//msr;
	$lines =~ s/^(\w+: (?:pid|ok|deny|end|ended by)) \d+ /$1 PID /mg;
	$lines =~ s/:\d+(?= localhost| other| :|$| ip)/:PORT/mg;
	return $lines;
}

sub both {
	my ($name, $test) = @_;
	for my $form (@forms) {
		subtest "$form->{name}: $name" => sub { $test->($form) };
	}
}

both '-x' => sub {
	my ($form) = @_;
	my $n = $form->{name};
	my $rules = rules("127.0.0.2:deny\n127.0.0.3:allow,KIND=\"three\"\n127.0.0.4-5:allow,KIND=\"range\"\n127.0.0.6/31:deny,KIND=\"never\"\n=localhost:allow,KIND=\"by name\"\n");
	my $server = server($form, {}, '-x', $rules);
	is(value(visit($form, $server, '127.0.0.1'), 'KIND'), 'by name', 'a rule by name');
	is(value(visit($form, $server, '127.0.0.3'), 'KIND'), 'three', 'a rule by address, with a variable');
	is(value(visit($form, $server, '127.0.0.5'), 'KIND'), 'range', 'a range');
	is(value(visit($form, $server, '127.0.0.8'), 'KIND'), undef, 'no rule: let in, without a variable');
	like(last_lines($form, $server), qr/\A$n: pid PID from 127\.0\.0\.8\n$n: ok PID localhost:127\.0\.0\.1:PORT \S*:127\.0\.0\.8::PORT\n$n: $form->{ended} PID status 0\n\z/, 'in the log');
	is(visit($form, $server, '127.0.0.2'), '', 'deny: the connection is closed');
	like(last_lines($form, $server), qr/\A$n: pid PID from 127\.0\.0\.2\n$n: deny PID localhost:127\.0\.0\.1:PORT \S*:127\.0\.0\.2::PORT\n$n: $form->{ended} PID status 25600\n\z/, 'in the log, exit code 100');
	is(visit($form, $server, '127.0.0.7'), '', 'deny with a prefix');
	$server->stop;
	$server = serve({ env => pair('server-p256') }, command($n), '-1', '-x', $rules, '127.0.0.1', '0', 'env');
	is(visit($form, $server, '127.0.0.2'), '', 'deny without -v');
	$server->stop;
	unlike($server->log, qr/deny/, 'is not in the log');
	$server = server($form, {}, '-H', '-x', rules("=localhost:deny\n:allow,KIND=\"default\"\n"));
	is(value(visit($form, $server, '127.0.0.1'), 'KIND'), 'default', 'with -H there is no name for a rule');
	$server->stop;
	$server = server($form, {}, '-x', rules(":deny\n127.0.0.1:allow\n"));
	is(value(visit($form, $server, '127.0.0.1'), 'PROTO'), $n eq 'tcpserver' ? 'TCP' : 'SSL', 'the one who is let in');
	is(visit($form, $server, '127.0.0.9'), '', 'and all others');
};

both 'files' => sub {
	my ($form) = @_;
	my $n = $form->{name};
	my $path = temporary("file-$n.cdb");
	my $good = slurp(rules(":allow,KIND=\"good\"\n"));
	my $dropped = sub {
		my ($server, $why, $name) = @_;
		is(visit($form, $server, '127.0.0.1'), '', "$name: the connection is dropped");
		like(last_lines($form, $server), qr/^$n: warning: dropping connection, unable to read \Q$path\E: $why\n$n: $form->{ended} PID status 28416\n\z/m, 'in the log, exit code 111');
	};
	for my $letter ('x', 'y') {
		unlink $path;
		my $server = server($form, {}, "-$letter", $path);
		$dropped->($server, 'No such file or directory', "-$letter: no file");
		rules(":allow,KIND=\"first\"\n", $path);
		is(value(visit($form, $server, '127.0.0.1'), 'KIND'), 'first', 'as soon as it is there it counts');
		rules(":allow,KIND=\"second\"\n", $path);
		is(value(visit($form, $server, '127.0.0.1'), 'KIND'), 'second', 'and a new one, too');
		rules(":deny\n", $path);
		is(visit($form, $server, '127.0.0.1'), '', 'at once');
		# The slots at its end say where records are: one that points behind the end is found only by whoever follows it.
		(my $astray = $good) =~ s/(.{8})(.{8})\z/join '', map { my ($hash, $at) = unpack 'V2', $_; pack 'V2', $hash, $at && length($good) - 4 } $1, $2/es;
		for my $case ([$astray, 'a record behind the end'], [substr($good, 0, length($good) - 9), 'cut off'], [substr($good, 0, 100), 'cut off in its head'], ['x' x 5000, 'garbage'], ["\xff" x 2048, 'garbage that points nowhere'], ['', 'empty']) {
			spew($path, $case->[0]);
			$dropped->($server, '.+', "-$letter: $case->[1]");
		}
		unlink $path;
		mkdir $path;
		$dropped->($server, '.+', "-$letter: a directory");
		rmdir $path;
		symlink $path, $path;
		$dropped->($server, '.+', "-$letter: a loop");
		unlink $path;
		ok($server->running, 'the listener goes on');
		$server->stop;

		$server = server($form, {}, '-X', "-$letter", $path);
		is(value(visit($form, $server, '127.0.0.1'), 'KIND'), undef, "-X -$letter: no file: let in");
		rules(":deny\n", $path);
		is(visit($form, $server, '127.0.0.1'), '', 'but not past one that is there');
		spew($path, 'x' x 5000);
		$dropped->($server, '.+', "-X -$letter: garbage");
		$server->stop;
	}
	my $server = serve({ env => pair('server-p256') }, command($n), '-1q', '-x', "/none\e[1m%n\n", '127.0.0.1', '0', 'env');
	is(visit($form, $server, '127.0.0.1'), '', '-q');
	$server->stop;
	is($server->log, '', 'says nothing');
	$server = server($form, {}, '-x', "/none\e[1m%n\nx");
	visit($form, $server, '127.0.0.1');
	ok($server->wait_for_log(qr{(unable to read /none\?\[1m\?n\?x: )}), 'bytes of its name are cleaned');
	$server->stop;
	SKIP: {
		skip 'not root', 1 unless $> == 0;
		rules(":allow\n", $path);
		chmod 0600, $path;
		my $key = temporary('readable.key');
		copy(file('server-p256.key'), $key);
		chmod 0644, $key;
		$server = server($form, { env => { KEYFILE => $key } }, '-u', '41234', '-x', $path);
		$dropped->($server, 'Permission denied', 'a file that the user of -u may not read');
		$server->stop;
	}
};

both '-y and -x' => sub {
	my ($form) = @_;
	my $y = rules("127.0.0.2:deny\n127.0.0.3:allow,FROM=\"y\"\n127.0.0.4:allow\n=localhost:deny\n:allow,FROM=\"y, the empty key\"\n");
	my $x = rules("127.0.0.3:deny\n127.0.0.4:allow,FROM=\"x\"\n127.0.0.5:deny\n127.0.0.2:allow,FROM=\"x\"\n:allow,FROM=\"x, the empty key\"\n");
	my $server = server($form, {}, '-H', '-y', $y, '-x', $x);
	is(visit($form, $server, '127.0.0.2'), '', 'deny of -y closes');
	is(value(visit($form, $server, '127.0.0.3'), 'FROM'), 'y', 'allow of -y: its variables, and -x is not read');
	is(value(visit($form, $server, '127.0.0.4'), 'FROM'), undef, 'without variables too');
	is(value(visit($form, $server, '127.0.0.9'), 'FROM'), 'x, the empty key', 'only the empty key in -y: -x is read, and its variables count alone');
	is(visit($form, $server, '127.0.0.5'), '', 'and it denies');
	$server->stop;

	$server = server($form, {}, '-y', $y);
	is(value(visit($form, $server, '127.0.0.1'), 'FROM'), 'y, the empty key', '-y alone: no rule by name, but the empty key');
	is(visit($form, $server, '127.0.0.2'), '', 'deny');
	$server->stop;

	$server = server($form, {}, '-y', rules("127.0.0.3:allow\n:deny\n"), '-x', $x);
	is(visit($form, $server, '127.0.0.9'), '', 'deny by the empty key closes as well');
	$server->stop;

	$server = server($form, {}, '-y', rules("127.0.0.3:allow\n"), '-x', rules("=localhost:allow,FROM=\"name\"\n"));
	is(value(visit($form, $server, '127.0.0.1'), 'FROM'), 'name', 'no rule in -y: -x, with names');
	$server->stop;

	my $missing = temporary('missing.cdb');
	$server = server($form, {}, '-X', '-y', $missing, '-x', $x);
	is(value(visit($form, $server, '127.0.0.4'), 'FROM'), 'x', '-X: without the file of -y, that of -x');
	$server->stop;
	$server = server($form, {}, '-X', '-y', $y, '-x', $missing);
	is(value(visit($form, $server, '127.0.0.9'), 'FROM'), undef, '-X: only the empty key in -y, no file of -x');
	$server->stop;
	$server = server($form, {}, '-y', $y, '-x', $missing);
	is(value(visit($form, $server, '127.0.0.3'), 'FROM'), 'y', 'a file of -x that nobody needs may be missing');
	is(visit($form, $server, '127.0.0.9'), '', 'else not');
	$server->stop;

	# Whoever is turned away by -y costs no question to anybody: with a name server that is silent it would take seconds.
	my $silent = IO::Socket::IP->new(LocalHost => '127.0.0.1', LocalPort => 0, Proto => 'udp');
	$server = server($form, { env => { DNSCACHEIP => '127.0.0.1:' . $silent->sockport } }, '-t20', '-y', $y);
	is(visit($form, $server, '127.0.0.2'), '', 'deny of -y');
	ok($server->wait_for_log(qr/(deny \d+ :\S+ :127\.0\.0\.2::\d+)\n/, 2), 'comes before names are looked up');
	ok(!IO::Select->new($silent)->can_read(0), 'and nobody was asked');
	$server->stop;
};

both 'variables for prog' => sub {
	my ($form) = @_;
	my $prefix = $form->{name} eq 'tcpserver' ? 'TCP' : 'SSL';
	my $rules = rules("127.0.0.1:allow,PLAIN=\"1\",RELAYCLIENT=\"\",${prefix}REMOTEHOST=\"renamed\",SSL_CERT_FILE=\"kept\",TWO=\"a\",TWO=\"b\",ODD=/a \"%\\x\tb/,MAXCONIP=\"7\",PATH=\"/bin:/usr/bin\",with:colon=\"c\"\n");
	my $server = server($form, { env => { PLAIN => 0, RELAYCLIENT => 'old' } }, '-x', $rules);
	my $text = visit($form, $server, '127.0.0.1');
	my %expected = (PLAIN => 1, RELAYCLIENT => '', "${prefix}REMOTEHOST" => 'renamed', SSL_CERT_FILE => 'kept', TWO => 'b', ODD => "a \"%\\x\tb", MAXCONIP => 7, PATH => '/bin:/usr/bin', 'with:colon' => 'c');
	is(value($text, $_), $expected{$_}, $_) for sort keys %expected;
	$server->stop;
	my %for_io = (CERTFILE => file('server-p256.pem'), KEYFILE => file('server-p256.key'), TLS_LINGER => 5, TLS_TIMEOUT => 20, VERIFYDEPTH => 2, UCSPITLS => 'x', SSLCTLFD => 9, SSL_CIPHER => 'forged', SSL_CLIENT_S_DN => 'forged');
	$server = server($form, {}, '-x', rules('127.0.0.1:allow,' . join(',', map { "$_=\"$for_io{$_}\"" } sort keys %for_io) . "\n"));
	$text = visit($form, $server, '127.0.0.1');
	if ($form->{name} eq 'tcpserver') {
		is(value($text, $_), $for_io{$_}, "$_ is nothing special here") for sort keys %for_io;
	} else {
		is(value($text, $_), undef, "$_ is removed") for grep { $_ ne 'SSL_CIPHER' } sort keys %for_io;
		like(value($text, 'SSL_CIPHER'), qr/\A@{[suite(newest(), 'ECDSA')]}\z/, 'SSL_CIPHER is what was agreed upon');
	}
};

# ---- variables for the io program ----

# The certificate that the server shows to a client from an address.
sub certificate {
	my ($server, $from) = @_;
	my $text = run('openssl', 's_client', '-connect', "127.0.0.1:$server->{port}", '-bind', $from, '-tls1_2')->{out};
	return $text =~ /(-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----)/s ? $1 : '';
}

sub is_certificate {
	my ($server, $from, $name, $words) = @_;
	my ($expected) = slurp(file("$name.pem")) =~ /(-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----)/s;
	is(certificate($server, $from), $expected, $words);
}

my $form = $forms[1];

subtest 'certificates by rule' => sub {
	my $p = sub { "CERTFILE=\"" . file("$_[0].pem") . "\",KEYFILE=\"" . file("$_[0].key") . "\"" };
	my $both_in_one = spew(temporary('both.pem'), slurp(file('server-rsa.pem')) . slurp(file('server-rsa.key')));
	my $rules = rules("127.0.0.2:allow," . $p->('server-rsa') . "\n127.0.0.3:allow," . $p->('server-p384') . "\n127.0.0.4:allow,CERTFILE=\"/nonexistent\"\n" .
			"127.0.0.5:allow,CERTFILE=\"$both_in_one\",KEYFILE=\"\"\n127.0.0.6:allow,CERTCHAINFILE=\"" . file('via-p256-chain.pem') . "\"\n127.0.0.7:allow,TLS_MAXVERSION=\"nonsense\"\n");
	my $server = server($form, {}, '-x', $rules);
	is_certificate($server, '127.0.0.1', 'server-p256', 'the default');
	is_certificate($server, '127.0.0.2', 'server-rsa', 'CERTFILE and KEYFILE');
	is_certificate($server, '127.0.0.3', 'server-p384', 'others for another client');
	is_certificate($server, '127.0.0.5', 'server-rsa', 'an empty KEYFILE');
	is_certificate($server, '127.0.0.6', 'via-p256', 'CERTCHAINFILE');
	is(visit($form, $server, '127.0.0.4'), '', 'a certificate that is not there');
	ok($server->wait_for_log(qr{(tlsd-io: fatal: .*/nonexistent.*)\n}), 'in words');
	ok($server->wait_for_log(qr{ended by \d+ (status 24576)\n}), 'exit code 96, for this connection alone');
	is(visit($form, $server, '127.0.0.7'), '', 'a setting that nobody understands');
	ok($server->wait_for_log(qr{(tlsd-io: fatal: .*TLS_MAXVERSION.*)\n}), 'in words');
	$server->stop;

	my $none = { env => { CERTFILE => '/nonexistent/default.pem', KEYFILE => '/nonexistent/default.key' } };
	for my $letter ('x', 'y') {
		$server = server($form, $none, "-$letter", $rules);
		ok($server->{port}, "-$letter: without a default certificate it starts");
		like($server->log, qr{\Atlsd-io: fatal: .*/nonexistent/default\.pem.*\nsslserver: warning: only connections whose rule puts this right will be served\n}, 'with a warning');
		is_certificate($server, '127.0.0.2', 'server-rsa', 'and serves with that of a rule');
		is(visit($form, $server, '127.0.0.1'), '', 'others are dropped');
		ok($server->wait_for_log(qr{ended by \d+ (status 24576)\n}), 'with 96');
		$server->stop;
	}
	is(run($none, command('sslserver'), '127.0.0.1', '0', 'true')->{exit}, 96, 'without rules: exit 96');
};

subtest 'other settings by rule' => sub {
	my $rules = rules("127.0.0.3:allow,TLS_REPORT=\"full\"\n127.0.0.5:allow,TLS_TIMEOUT=\"1\"\n");
	my $server = server($form, {}, '-x', $rules);
	is(value(visit($form, $server, '127.0.0.3'), 'SSL_CLIENT_VERIFY'), 'NONE', 'TLS_REPORT');
	is(value(visit($form, $server, '127.0.0.1'), 'SSL_CLIENT_VERIFY'), undef, 'of this rule alone');
	my $slow = IO::Socket::IP->new(PeerHost => '127.0.0.1', PeerPort => $server->{port}, LocalHost => '127.0.0.5');
	ok($server->wait_for_log(qr/(unable to speak TLS from: 127\.0\.0\.5 .*)\n/, 4), 'TLS_TIMEOUT');
	$server->stop;
	$server = server($form, {}, '-T', '20', '-x', $rules);
	$slow = IO::Socket::IP->new(PeerHost => '127.0.0.1', PeerPort => $server->{port}, LocalHost => '127.0.0.5');
	ok($server->wait_for_log(qr/(unable to speak TLS from: 127\.0\.0\.5 .*)\n/, 4), 'before -T');
	$server->stop;
};

# A stand-in for the io program writes down what is in its environment, whatever this version makes of it.
subtest 'each setting arrives in the io program' => sub {
	my $bin = temporary('stand-in');
	mkdir $bin;
	copy(command('sslserver'), "$bin/sslserver");
	my $notes = temporary('notes');
	my $io = "$bin/" . io_program('tlsd-io');
	spew($io, "#!/bin/sh\ncase \$1 in -C) exit 0 ;; esac\nenv >$notes.new && mv $notes.new $notes\n");
	chmod 0755, $io, "$bin/sslserver";
	my %set = map { $_ => "of the rule: $_" } qw(CERTFILE CERTCHAINFILE KEYFILE CAFILE CADIR CCAFILE CCAVERIFY VERIFYDEPTH CIPHERS DHFILE SSL_UID SSL_GID SSL_CHROOT TLS_UID TLS_GID TLS_VERIFY
		TLS_PEERNAME TLS_SNI TLS_SNIDIR TLS_ALPN TLS_PIN TLS_CLOSE TLS_RESET TLS_LINGER TLS_TIMEOUT TLS_REPORT TLS_MINVERSION TLS_MAXVERSION CRLFILE CRLDIR TLS_CRLPOLICY CERTFILE:example.test);
	my $server = serve({ env => { CERTFILE => 'of the service', KEYFILE => 'of the service', TLS_CLOSE => 'of the service' } }, "$bin/sslserver", '-1v', '-s',
		'-x', rules('127.0.0.2:allow,' . join(',', map { "$_=\"$set{$_}\"" } sort keys %set) . "\n"), '127.0.0.1', '0', 'true');
	ask($server->{port}, '');
	like(slurp($notes), qr/^CERTFILE=of the service$/m, 'without a rule');
	unlink $notes;
	my $socket = IO::Socket::IP->new(PeerHost => '127.0.0.1', PeerPort => $server->{port}, LocalHost => '127.0.0.2');
	read_all($socket);
	my $text = slurp($notes);
	# dash, which the stand-in is, keeps no names that are not identifiers
	delete $set{'CERTFILE:example.test'};
	is(value($text, $_), $set{$_}, $_) for sort keys %set;
};

subtest 'through tcpserver to tlsd' => sub {
	my $root = file('root.pem');
	my $server = server($forms[0], {}, '-x', rules("127.0.0.4:allow,CCAFILE=\"$root\"\n127.0.0.7:allow,CCAFILE=\"-\"\n"), [command('tlsd'), '-Y', 'env']);
	my %own = (CERTFILE => file('client.pem'), KEYFILE => file('client.key'));
	like(value(visit($form, $server, '127.0.0.4', %own), 'SSL_PEER_CERT_SUBJECT'), qr/Test Client/, 'CCAFILE: who is asked has a certificate');
	is(value(visit($form, $server, '127.0.0.7', %own), 'SSL_PEER_CERT_SUBJECT'), undef, 'CCAFILE=-: who is not asked has none');
	is(visit($form, $server, '127.0.0.1', %own), '', 'without any CA nothing is served');
	ok($server->wait_for_log(qr/end \d+ (status 24576)\n/), 'exit code 96');
	$server->stop;
};

subtest 'ids by rule' => sub {
	plan skip_all => 'not root' unless $> == 0;
	my ($user_uid, $user_gid) = (getpwnam 'daemon')[2, 3];
	my $jail = temporary('jail');
	mkdir $jail;
	my $bin = temporary('bin');
	mkdir $bin, 0755;
	for my $name ('sslserver', io_program('tlsd-io')) { copy(command($name), "$bin/$name"); chmod 0711, "$bin/$name" }
	my $secret = spew(temporary('secret.key'), slurp(file('server-p256.key')));
	chmod 0400, $secret;
	my $rules = rules("127.0.0.2:allow,SSL_UID=\"45000\",SSL_GID=\"46000\"\n127.0.0.3:allow,SSL_USER=\"daemon\"\n127.0.0.4:allow,SSL_CHROOT=\"$jail\"\n127.0.0.5:allow,TLS_UID=\"45001\"\n" .
			"127.0.0.6:allow,SSL_USER=\"no-such-user\"\n127.0.0.7:allow,SSL_GROUP=\"mail\"\n127.0.0.8:allow,SSL_USER=\"daemon\",SSL_GROUP=\"mail\"\n127.0.0.9:allow,SSL_USER=\"daemon\",SSL_UID=\"45002\",SSL_GID=\"45003\"\n");
	my @stay = ('sh', '-c', 'echo $PPID; exec 3>&1; exec cat >&2');
	my $look = sub {
		my ($server, $from) = @_;
		my $client = start({ env => { CAFILE => file('root.pem'), TLS_PEERNAME => 'localhost' } }, command('sslclient'), '-4RHl0', '-i', $from, '127.0.0.1', $server->{port}, 'sh', '-c', 'cat <&6');
		my $io = wait_until(sub { slurp($client->{out}) =~ /^(\d+)\n/ ? $1 : $client->running ? 0 : 'none' }, 5) || 'none';
		return 'none' if $io eq 'none';
		my $status = slurp("/proc/$io/status");
		my ($uid, $gid) = map { $status =~ /^$_:\t\d+\t(\d+)/m ? $1 : '?' } 'Uid', 'Gid';
		my $root = readlink "/proc/$io/root";
		kill 'KILL', $client->{pid};    # in good order it would take its time
		return "$uid $gid" . ($root eq '/' ? '' : " $root");
	};
	my $start = sub { my ($env, @letters) = @_; return serve({ env => { %{ pair('server-p256') }, KEYFILE => $secret, %$env } }, "$bin/sslserver", '-1v', @letters, '-x', $rules, '127.0.0.1', '0', @stay) };
	my $mail = getgrnam 'mail';
	for my $case ([[], {}], [['-u41234', '-g42345'], { SSL_UID => 44000, SSL_GID => 44001 }], [['-u41234', '-g42345'], { SSL_USER => 'nobody' }]) {
		my ($letters, $env) = @$case;
		my $server = $start->($env, @$letters);
		my $name = "@$letters @{[ %$env ]}";
		is($look->($server, '127.0.0.2'), '45000 46000', "$name: SSL_UID and SSL_GID");
		is($look->($server, '127.0.0.3'), "$user_uid $user_gid", 'SSL_USER, and its group');
		is($look->($server, '127.0.0.8'), "$user_uid $mail", 'SSL_USER and SSL_GROUP');
		is($look->($server, '127.0.0.9'), '45002 45003', 'numbers win');
		like($look->($server, '127.0.0.7'), qr/\A\d+ $mail\z/, 'SSL_GROUP');
		like($look->($server, '127.0.0.4'), qr/ \Q$jail\E\z/, 'SSL_CHROOT');
		is($look->($server, '127.0.0.5'), '45001 65534', 'TLS_UID') if !@$letters;
		is($look->($server, '127.0.0.6'), 'none', 'a user that does not exist');
		ok($server->wait_for_log(qr/(sslserver: fatal: unable to use SSL_USER no-such-user: no such user)\n/), 'in words');
		$server->stop;
	}
	chmod 0444, $secret;
	my $server = $start->({}, '-u', '41234');
	is($look->($server, '127.0.0.2'), 'none', 'a listener that is not root any more cannot give another id');
	ok($server->wait_for_log(qr{ended by \d+ (status 24576)\n}), 'exit code 96');
	like($look->($server, '127.0.0.1'), qr/\A41234 /, 'which is no matter for others');
	$server->stop;
};

done_testing;
