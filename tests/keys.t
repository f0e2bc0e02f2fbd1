#!/usr/bin/perl
# Private keys in every form that they come in, made by openssl and others; and -3, the password of encrypted ones: on all programs that
# take it, read no further than it goes, and seen by nobody but who needs it.
use strict;
use warnings;
use Fcntl qw(O_RDONLY O_WRONLY);
use FindBin;
use lib "$FindBin::Bin/lib";
use Bear;
use BearTls;
use IO::Select;
use IO::Socket::INET;
use POSIX ();
use Test::More;

my $secret = 'correct-horse-battery';    # not to be found where it does not belong
my $io = io_program('tlsd-io');

# For before: descriptor 3 is a file with this in it.
sub on_three {
	my ($text, $mode) = @_;
	my $path = spew(temporary('three' . int rand 1e9), $text);
	return sub {
		my $fd = POSIX::open($path, defined $mode ? $mode : O_RDONLY);    # without close-on-exec
		POSIX::dup2($fd, 3) && POSIX::close($fd) if $fd != 3;
	};
}
my $password = on_three("$secret\0");

# Descriptor 3 is a pipe into which nobody writes. What is started closes those up to 63 first.
my ($nothing, $open) = POSIX::pipe();
POSIX::dup2($nothing, 70) or die $!;
sub silent { POSIX::dup2(70, 3) }

sub check {
	my ($env, @how) = @_;
	return run({ env => $env, before => $password, @how }, command($io), '-C3', '0', '1');
}

sub refused {
	my ($name, $result, $program, $words, $exit) = @_;
	is($result->{exit}, $exit || 96, "$name: exit " . ($exit || 96));
	like($result->{err}, qr/\A\Q$program: fatal: $words\E\n(?:\Q$program\E: usage: [^\n]+\n)?\z/, 'in words');
	is($result->{out}, '', 'and nothing else');
}

# ---- forms ----

my $n = 0;
# A key of the pair in another form: arguments of openssl, after -in and before -out.
sub form {
	my ($pair, $command, @arguments) = @_;
	my $path = temporary('form' . ++$n . '.key');
	my ($verb, @first) = split ' ', $command;
	openssl($verb, @first, '-in', file("$pair.key"), @arguments, '-out', $path);
	return $path;
}

my @encrypt = ('-passout', "pass:$secret");
my @ciphers = qw(aes-128-cbc aes-192-cbc aes-256-cbc des-ede3-cbc);
my %form;
for my $pair ('server-rsa', 'server-p256', 'server-p384') {
	my ($old, @old) = $pair eq 'server-rsa' ? ('rsa', '-traditional') : ('ec');
	for my $der ([], ['-outform', 'DER']) {
		$form{"$pair, PKCS#8 @$der"} = [$pair, form($pair, 'pkcs8 -topk8', '-nocrypt', @$der)];
		$form{"$pair, older form @$der"} = [$pair, form($pair, $old, @old, @$der)];
		$form{"$pair, encrypted PKCS#8 @$der"} = [$pair, form($pair, 'pkcs8 -topk8', @encrypt, @$der)];
	}
	$form{"$pair, older form, $_"} = [$pair, form($pair, $old, @old, "-$_", @encrypt)] for @ciphers;
	$form{"$pair, PBES2, $_"} = [$pair, form($pair, 'pkcs8 -topk8', '-v2', $_, @encrypt)] for @ciphers;
}
$form{"PBES2, hmacWith$_"} = ['server-p256', form('server-p256', 'pkcs8 -topk8', '-v2prf', "hmacWith$_", @encrypt)] for qw(SHA1 SHA224 SHA256 SHA384 SHA512);
$form{"PBES2, $_ iterations"} = ['server-p256', form('server-p256', 'pkcs8 -topk8', '-iter', $_, @encrypt)] for 1, 100_000;

subtest 'every form' => sub {
	for my $name (sort keys %form) {
		my ($pair, $key) = @{ $form{$name} };
		my $result = check(pair($pair, KEYFILE => $key));
		is($result->{exit}, 0, $name) or diag($result->{err});
		is($result->{err} . $result->{out}, '', 'without a word');
	}
};

subtest 'of other programs' => sub {
	my $made = temporary('other.key');
	my @makers = (
		(map { ["certtool, $_", 'certtool', '--to-p8', '--load-privkey', file('server-rsa.key'), "--password=$secret", '--pkcs-cipher', $_, '--outfile', $made] }
			'aes-128', 'aes-192', 'aes-256', '3des'),
		['certtool, DER', 'certtool', '--to-p8', '--load-privkey', file('server-p256.key'), "--password=$secret", '--pkcs-cipher', 'aes-256', '--outder', '--outfile', $made],
		['ssh-keygen', 'ssh-keygen', '-q', '-p', '-m', 'PEM', '-P', '', '-N', $secret, '-f', $made],
		['ssh-keygen, PKCS#8', 'ssh-keygen', '-q', '-p', '-m', 'PKCS8', '-P', '', '-N', $secret, '-f', $made],
	);
	for my $maker (@makers) {
		my ($name, @command) = @$maker;
		SKIP: {
			skip "$command[0] is not there", 1 unless grep { -x "$_/$command[0]" } split /:/, $ENV{PATH};
			spew($made, slurp(file('server-rsa.key')));
			chmod 0600, $made;
			my $result = run(@command);
			is($result->{exit}, 0, "$name makes it") or diag($result->{err});
			like(slurp($made), qr/ENCRYPTED/, 'encrypted') unless $name =~ /DER/;
			$result = check(pair($name =~ /DER/ ? 'server-p256' : 'server-rsa', KEYFILE => $made));
			is($result->{exit}, 0, "$name: is read") or diag($result->{err});
		}
	}
};

subtest 'one file for all' => sub {
	my ($pair, $key) = ('server-rsa', form('server-rsa', 'rsa', '-traditional', '-aes-256-cbc', @encrypt));
	my ($certificate, $issuer) = (slurp(file("$pair.pem")), slurp(file('root.pem')));
	my %order = (
		'key first' => [slurp($key), $certificate, $issuer],
		'key last' => [$certificate, $issuer, slurp($key)],
		'key between, other order' => [$issuer, slurp($key), $certificate],
		'PKCS#8 between' => [$certificate, slurp(form($pair, 'pkcs8 -topk8', @encrypt)), $issuer],
	);
	for my $name (sort keys %order) {
		my $text = join '', map { "Bag Attributes\n    friendlyName: K\xc3\xa4se -----BEGIN nothing\n$_\n" } @{ $order{$name} };
		for my $ends (['LF', $text], ['CRLF', $text =~ s/\n/\r\n/gr]) {
			my $file = spew(temporary('all.pem'), $ends->[1]);
			my $result = check({ CERTFILE => $file, KEYFILE => '' });
			is($result->{exit}, 0, "$name, $ends->[0]") or diag($result->{err});
		}
	}
	my $server = sslserver({ before => $password, env => { CERTFILE => spew(temporary('all.pem'), join '', @{ $order{'key between, other order'} }), KEYFILE => undef } },
		['-3'], 'echo', 'served');
	like(s_client({}, $server->{port}, '-quiet')->{out}, qr/^served$/m, 'and served');
	$server->stop;
};

my $encrypted = form('server-p256', 'pkcs8 -topk8', @encrypt);
my %good = %{ pair('server-p256', KEYFILE => $encrypted) };
my $cannot = "unable to read key from $encrypted:";

# An encrypted key, put together: what openssl would not make, or not in time.
sub der { my ($tag, $content) = @_; my $length = length $content; return chr($tag) . ($length < 128 ? chr $length : pack 'CC', 0x81, $length) . $content }

subtest 'keys that are refused' => sub {
	refused('no password', run({ env => \%good }, command($io), '-C', '0', '1'), 'tlsd-io', "$cannot encrypted, and no password on descriptor 3");
	refused('a wrong one', check(\%good, before => on_three("${secret}s\0")), 'tlsd-io', "$cannot wrong password or damaged key");
	refused('an empty one', check(\%good, before => on_three("\0")), 'tlsd-io', "$cannot wrong password or damaged key");
	my $old = form('server-rsa', 'rsa', '-traditional', '-aes-128-cbc', @encrypt);
	refused('a wrong one, older form', check(pair('server-rsa', KEYFILE => $old), before => on_three("x\0")), 'tlsd-io', "unable to read key from $old: wrong password or damaged key");
	my $cut = spew(temporary('cut.key'), slurp($old) =~ s/^([A-Za-z0-9+\/]{64}\n)[A-Za-z0-9+\/]{64}\n/$1/mr);
	refused('a damaged key', check(pair('server-rsa', KEYFILE => $cut)), 'tlsd-io', "unable to read key from $cut: wrong password or damaged key");
	my $other = temporary('other.encrypted.key');
	openssl('pkcs8', '-topk8', '-in', file('client.key'), @encrypt, '-out', $other);
	refused('the key of another certificate', check({ %good, KEYFILE => $other }), 'tlsd-io', "key $other does not belong to a certificate in $good{CERTFILE}");

	my $iterations = sub {
		my ($number) = @_;
		my $kdf = der(0x30, der(6, "\x2a\x86\x48\x86\xf7\x0d\1\5\x0c") . der(0x30, der(4, 'salt' x 2) . der(2, $number) . der(0x30, der(6, "\x2a\x86\x48\x86\xf7\x0d\2\x09") . der(5, ''))));
		my $cipher = der(0x30, der(6, "\x60\x86\x48\1\x65\3\4\1\x2a") . der(4, 'v' x 16));
		return spew(temporary('made.key'), der(0x30, der(0x30, der(6, "\x2a\x86\x48\x86\xf7\x0d\1\5\x0d") . der(0x30, $kdf . $cipher)) . der(4, 'x' x 64)));
	};
	my $made = temporary('made.key');
	$iterations->("\x08\0");
	refused('2048 iterations of nothing', check({ %good, KEYFILE => $made }), 'tlsd-io', "unable to read key from $made: wrong password or damaged key");
	$iterations->("\0\x98\x96\x81");
	refused('10000001 iterations', check({ %good, KEYFILE => $made }), 'tlsd-io', "unable to read key from $made: encrypted with more than 10000000 iterations");
	$iterations->("\0");
	refused('0 iterations', check({ %good, KEYFILE => $made }), 'tlsd-io', "unable to read key from $made: malformed encrypted key");

	for my $case (['PBES1', 'encrypted in an older way than PBES2', '-v1', 'PBE-SHA1-3DES'], ['scrypt', 'encrypted with a key derivation other than PBKDF2', '-scrypt'],
		['Camellia', 'encrypted with a cipher other than AES-CBC and DES-EDE3-CBC', '-v2', 'camellia-256-cbc']) {
		my ($name, $words, @how) = @$case;
		my $key = form('server-p256', 'pkcs8 -topk8', @how, @encrypt);
		refused($name, check({ %good, KEYFILE => $key }), 'tlsd-io', "unable to read key from $key: $words");
	}

	my $ssh = temporary('ssh.key');
	for my $word ('', $secret) {
		unlink $ssh, "$ssh.pub";
		run('ssh-keygen', '-q', '-t', 'ecdsa', '-N', $word, '-f', $ssh);
		refused("OpenSSH's own format, password '$word'", check({ %good, KEYFILE => $ssh }), 'tlsd-io',
			"unable to read key from $ssh: a key in OpenSSH's own format: convert it with ssh-keygen -p -m PEM -f key");
	}
	for my $form (['PKCS#8', 'pkcs8 -topk8', '-nocrypt'], ['SEC1', 'ec'], ['encrypted PKCS#8', 'pkcs8 -topk8', @encrypt]) {
		my ($name, $how, @how) = @$form;
		my $der = slurp(form('server-p256', $how, @how, '-outform', 'DER'));
		my $key = spew(temporary('der.key'), "$der\n");
		refused("$name in DER and a newline", check({ %good, KEYFILE => $key }), 'tlsd-io', "unable to read key from $key: something behind the key, which is in DER");
		next if length $der < 130;    # no more than text would say
		spew($key, substr $der, 0, -1);
		refused("$name in DER without its end", check({ %good, KEYFILE => $key }), 'tlsd-io', "unable to read key from $key: DER that is cut off");
	}
	my $text = spew(temporary('text.key'), "0815 is no key, and here are many more bytes to say so\n");
	refused('text', check({ %good, KEYFILE => $text }), 'tlsd-io', "unable to read key from $text: no private key in it");
};

# Who gets one wrong signature by a key with one wrong number (D. Boneh, R. DeMillo, R. Lipton, 1997) can compute the key from it.
subtest 'a damaged RSA key signs nothing' => sub {
	my $der = slurp(form('server-rsa', 'rsa', '-traditional', '-outform', 'DER'));
	my @numbers;    # where their last bytes are
	for (my $at = 4; $at < length $der;) {
		my ($n, $header) = (ord substr($der, $at + 1, 1), 2);
		($n, $header) = $n == 0x81 ? (ord substr($der, $at + 2, 1), 3) : (unpack('n', substr $der, $at + 2, 2), 4) if $n >= 0x80;
		push @numbers, ($at += $header + $n) - 1;
	}
	is(scalar @numbers, 9, 'version, n, e, d, p, q, dp, dq, qi');
	for my $case (['dp', 6], ['dq', 7], ['qi', 8], ['p', 4]) {
		my ($name, $which) = @$case;
		my $damaged = $der;
		substr($damaged, $numbers[$which], 1) ^= "\x02";
		my $key = spew(temporary('damaged.key'), $damaged);
		refused("$name: -C", check(pair('server-rsa', KEYFILE => $key)), 'tlsd-io', "key $key does not belong to a certificate in @{[file('server-rsa.pem')]}");
		for my $version (versions()) {
			my $server = serve({ env => pair('server-rsa', KEYFILE => $key, TLS_MAXVERSION => $version) }, command('tcpserver'), '-1v', '127.0.0.1', '0', command('tlsd'), 'echo', 'started');
			my $result = s_client({}, $server->{port}, '-msg');
			unlike($result->{out}, qr/, (?:ServerKeyExchange|CertificateVerify)$/m, "$name, $version: no signature is sent");
			like($result->{err}, qr/alert (?:internal error|handshake failure)/, 'but an alert');
			like($server->wait_for_log(qr/^tlsd-io: (.*)/m), qr/own certificate or key cannot be used$/, 'in words') or diag($server->log);
			$server->stop;
		}
	}
};

# ---- -3 ----

subtest 'what stands on descriptor 3' => sub {
	my $unable = 'unable to read the password from descriptor 3:';
	my $longest = form('server-p256', 'pkcs8 -topk8', '-passout', 'pass:' . 'x' x 1023);
	is(check({ %good, KEYFILE => $longest }, before => on_three('x' x 1023 . "\0"))->{exit}, 0, 'the longest password');
	my @wrong = (
		['nothing', undef, 'not open'],
		['an end of file', on_three(''), 'end of file'],
		['no zero byte', on_three("$secret\n"), 'it ends without a zero byte'],
		['too many bytes', on_three('x' x 1024 . "\0"), 'longer than 1023 bytes'],
		['far too many', on_three('x' x 100_000), 'longer than 1023 bytes'],
		['something to write to', on_three('', O_WRONLY), 'not open for reading'],
		['a folder', sub { POSIX::open('/', O_RDONLY) }, 'Is a directory'],
	);
	for my $case (@wrong) {
		my ($name, $before, $words) = @$case;
		refused("tlsd-io: $name", check(\%good, before => $before), 'tlsd-io', "$unable $words");
		refused("sslserver: $name", run({ env => \%good, before => $before }, command('sslserver'), '-13', '127.0.0.1', '0', 'echo', 'started'), 'sslserver', "$unable $words");
		refused("sslclient: $name", run({ env => { CAFILE => file('root.pem') }, before => $before }, command('sslclient'), '-3', '127.0.0.1', '1', 'echo', 'started'), 'sslclient', "$unable $words");
		refused("tlsd: $name", run({ env => \%good, before => $before }, command('tlsd'), '-3', 'echo', 'started'), 'tlsd', "$unable $words");
	}
	# A program that waits for it ends with the time for a handshake.
	my $waiting = start({ env => \%good, before => \&silent, timeout => 5 }, command(io_program('tlsd-io')), '-3', '0', '1');
	wait_until(sub { (readlink("/proc/$waiting->{pid}/exe") // '') =~ /tlsd-io/ && slurp("/proc/$waiting->{pid}/stat") =~ /\) S / }, 5);
	kill 'TERM', $waiting->{pid};
	is(($waiting->wait_for_end(5) || { signal => 'nothing' })->{signal}, 15, 'tlsd-io waits for it no longer than until SIGTERM');
	refused('tlsd: not in the time of -T', run({ env => \%good, before => \&silent }, command('tlsd'), '-3', '-T', '1', 'echo', 'started'), 'tlsd', "$unable it did not come in time");
	refused('tlsd-io: nor in that of TLS_TIMEOUT', run({ env => { %good, TLS_TIMEOUT => 1 }, before => \&silent }, command($io), '-C3', '0', '1'), 'tlsd-io', "$unable it did not come in time");
	SKIP: {
		my $trace = temporary('trace');
		my $probe = run('strace', '-o', $trace, 'true');
		skip 'no strace here', 1 unless defined $probe->{exit} && $probe->{exit} == 0;
		my $waiting = start({ env => \%good, before => \&silent }, 'strace', '-o', $trace, '-e', 'trace=poll', command('sslserver'), '-13', '127.0.0.1', '0', 'true');
		ok(wait_until(sub { slurp($trace) =~ /^poll\(\[\{fd=3, events=POLLIN\}\], 1, (299\d\d\d|300000)/m }, 5), 'sslserver waits for five minutes') or diag(slurp($trace));
		kill 'KILL', -$waiting->{pid};
	}
};

subtest 'not a byte more' => sub {
	my $file = spew(temporary('more'), "$secret\0the rest");
	for my $case (["'@{[command($io)]}' -C3 0 1", 'tlsd-io'], ["'@{[command('tlsd')]}' -3 true </dev/null", 'tlsd']) {
		my ($command, $name) = @$case;
		is(run({ env => \%good }, 'sh', '-c', "exec 3<'$file'; $command 2>/dev/null; cat <&3")->{out}, 'the rest', "$name: what follows is still there");
	}
};

subtest 'a key that needs none' => sub {
	is(check(pair('server-p256'))->{exit}, 0, 'tlsd-io');
	my $server = sslserver({ before => $password }, ['-3'], 'echo', 'served');
	like(s_client({}, $server->{port}, '-quiet')->{out}, qr/^served$/m, 'sslserver');
	$server->stop;
};

subtest 'descriptor 3 for something else' => sub {
	my $words = 'descriptor 3 is where option -3 reads the password';
	refused("tlsd-io @$_", run({ env => \%good, before => $password }, command($io), '-3', @$_), 'tlsd-io', $words, 100)
		for [3, 1], [0, 3], ['-d', '3', 0, 1], ['-d', '1', '-p', '1', '-c', '3', 0, 1];
	refused("sslserver $_", run({ env => \%good, before => $password }, command('sslserver'), '-3', $_, '0', 'true'), 'sslserver', "$words: let the socket be another, fd:4 for example", 100)
		for 'fd:3', 'fd:03';
	my $socket = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 5) or die $!;
	my $fd = fileno $socket;
	POSIX::dup2($fd, 71) or die $!;
	my $server = start({ env => \%good, before => sub { POSIX::dup2(71, 4); $password->() } }, command('sslserver'), '-3v', 'fd:4', '0', 'echo', 'served');
	like(s_client({}, $socket->sockport, '-quiet')->{out}, qr/^served$/m, 'sslserver fd:4');
	$server->stop;
	POSIX::close(71);
};

# ---- programs ----

# Says what it sees of others' business: its descriptors from 3 upwards (what this test was started with is higher), and whether the word is in its
# environment or command line.
my $spy = spew(temporary('spy'), <<'END');
#!/usr/bin/perl
opendir my $folder, '/proc/self/fd' or die;
my $own = fileno $folder;
my @open = sort { $a <=> $b } grep { /^\d+$/ && $_ > 2 && $_ < 64 && $_ != $own && readlink("/proc/self/fd/$_") !~ m{^/.*/spy$} } readdir $folder;
my $text = '';
for my $name ("/proc/self/environ", "/proc/self/cmdline") { open my $file, '<', $name or die; local $/; $text .= <$file> }
my $out = @ARGV ? do { open my $file, '>&=', shift @ARGV or die; $file } : \*STDOUT;
print $out "<descriptors: @open> <the word: ", ($text =~ /horse/ ? "seen" : "not seen"), ">\n";
END
chmod 0755, $spy;
my $clean = qr/<descriptors: > <the word: not seen>/;

subtest 'servers' => sub {
	my %servers = (
		sslserver => [command('sslserver'), '-1v3', '127.0.0.1', '0', $spy],
		'tlsd' => [command('tcpserver'), '-1v', '127.0.0.1', '0', 'sh', '-c', 'exec 3<"$1"; exec "$2" -3 "$3"', 'sh', spew(temporary('in'), "$secret\0"), command('tlsd'), $spy],
	);
	for my $name (sort keys %servers) {
		my $server = serve({ env => \%good, before => $name eq 'tlsd' ? undef : $password }, @{ $servers{$name} });
		for my $version (versions()) {
			like(s_client({}, $server->{port}, '-quiet', '-' . lc($version) =~ s/v1\./1_/r)->{out}, $clean, "$name, $version: prog sees nothing of it") or diag($server->log);
		}
		$server->stop;
	}
	# Delayed: prog has its own three descriptors, and asks for TLS by itself.
	my $ask = spew(temporary('ask'), <<'END');
use strict;
use POSIX ();
my ($control, $read, $write) = @ENV{qw(SSLCTLFD SSLREADFD SSLWRITEFD)};
my $three = readlink('/proc/self/fd/3') || 'closed';
$three = 'its own' if grep { $_ == 3 } $control, $read, $write;
POSIX::write($control, 'y', 1);
POSIX::dup2($read, 0);
POSIX::dup2($write, 1);
print "3 is $three\n";
END
	my %delayed = (
		'sslserver -n' => [command('sslserver'), '-1v3n', '127.0.0.1', '0', 'perl', $ask],
		'ucspitlsd' => [command('tcpserver'), '-1v', '127.0.0.1', '0', 'sh', '-c', 'exec 3<"$1"; exec "$2" -3 perl "$3"', 'sh', temporary('in'), command('ucspitlsd'), $ask],
	);
	for my $name (sort keys %delayed) {
		my $server = serve({ env => \%good, before => $name eq 'ucspitlsd' ? undef : $password }, @{ $delayed{$name} });
		like(s_client({}, $server->{port}, '-quiet')->{out}, qr/^3 is (closed|its own)$/m, "$name: TLS, and prog sees nothing of it") or diag($server->log);
		$server->stop;
	}
};

subtest 'clients' => sub {
	my $own = form('client', 'pkcs8 -topk8', @encrypt);
	my $server = serve({ env => pair('server-rsa', CAFILE => file('root.pem')) }, command('tcpserver'), '-1v', '127.0.0.1', '0', command('tlsd'), '-y', 'sh', '-c', 'echo "$SSL_PEER_CERT_SUBJECT"');
	my %env = (CAFILE => file('root.pem'), CERTFILE => file('client.pem'), KEYFILE => $own);
	my $show = "cat <&6; exec 6<&- 7>&-; exec '$spy'";
	my $start = "printf y >&\$SSLCTLFD; eval \"cat <&\$SSLREADFD\"";
	my @tcp = (command('tcpclient'), '127.0.0.1', $server->{port});
	my %clients = (
		'sslclient' => [command('sslclient'), '-3', 'localhost', $server->{port}, 'sh', '-c', $show],
		'tlsc' => [@tcp, command('tlsc'), '-3', '-k', 'localhost', 'sh', '-c', $show],
		'sslclient -y' => [command('sslclient'), '-3y', 'localhost', $server->{port}, 'sh', '-c', $start],
		'ucspitlsc' => [@tcp, command('ucspitlsc'), '-3', '-k', 'localhost', 'sh', '-c', $start],
		'tlsc-io' => [@tcp, command(io_program('tlsc-io')), '-3', '-k', 'localhost', '6', '7'],
	);
	for my $name (sort keys %clients) {
		my $result = run({ env => \%env, before => $password }, @{ $clients{$name} });
		like($result->{out}, qr/CN=Test Client/, "$name: the certificate is presented") or diag($result->{err});
		like($result->{out}, $clean, "$name: prog sees nothing of the password") if $name =~ /\A(sslclient|tlsc)\z/;
		$result = run({ env => \%env }, @{ $clients{$name} });
		is($result->{exit}, 96, "$name without it: exit 96");
		unlike($result->{out}, qr/Test Client/, 'and no certificate');
	}
	$server->stop;
};

subtest 'sslserver, before it listens' => sub {
	my %wrong = (
		'no -3' => [[], $password, \%good, "$cannot encrypted, and no password on descriptor 3"],
		'a wrong password' => [['-3'], on_three("x\0"), \%good, "$cannot wrong password or damaged key"],
		'the key of another certificate' => [['-3'], $password, { %good, CERTFILE => file('expired.pem') }, "key $encrypted does not belong to a certificate in @{[file('expired.pem')]}"],
	);
	for my $name (sort keys %wrong) {
		my ($letters, $before, $env, $words) = @{ $wrong{$name} };
		refused($name, run({ env => $env, before => $before }, command('sslserver'), '-1', @$letters, '127.0.0.1', '0', 'echo', 'started'), 'tlsd-io', $words);
	}
};

subtest 'one password for many connections, and for keys that change' => sub {
	my $key = spew(temporary('changing.key'), slurp($encrypted));
	my $server = sslserver({ pair => 'server-p256', before => $password, env => { KEYFILE => $key } }, ['-3'], 'echo', 'served');
	like(s_client({}, $server->{port}, '-quiet')->{out}, qr/^served$/m, "connection $_") for 1 .. 3;
	spew($key, slurp(form('server-p256', 'ec', '-aes-128-cbc', @encrypt)));
	like(s_client({}, $server->{port}, '-quiet')->{out}, qr/^served$/m, 'another form of the key');
	spew($key, slurp(file('server-p256.key')));
	like(s_client({}, $server->{port}, '-quiet')->{out}, qr/^served$/m, 'not encrypted any more');
	is($server->stop->{exit}, 0, 'ended');
};

# Those of the environment are read before rights are dropped, with the password; those of a folder when a client asks, when it is forgotten.
subtest 'certificates by name' => sub {
	my $folder = temporary('names');
	mkdir $folder, 0755;
	spew("$folder/folder.test.pem", slurp(file('server-p256.pem')));
	my $in_folder = spew("$folder/folder.test.key", slurp($encrypted));
	chmod 0644, $in_folder;
	my %named = ('CERTFILE:example.test' => file('server-p384.pem'), 'KEYFILE:example.test' => form('server-p384', 'ec', '-aes-192-cbc', @encrypt));
	refused('no password for one of them', run({ env => pair('server-p256', %named) }, command($io), '-C', '0', '1'), 'tlsd-io',
		"unable to read key from $named{'KEYFILE:example.test'}: encrypted, and no password on descriptor 3");
	my $server = sslserver({ before => $password, env => { %good, %named, TLS_SNIDIR => $folder } }, ['-3'], 'sh', '-c', 'echo served');
	my $ask = sub { return s_client({}, $server->{port}, '-servername', $_[0])->{out} };
	like($ask->('localhost'), qr/^served$/m, 'the default');
	my $named = $ask->('example.test');
	like($named, qr/^served$/m, 'one of the environment, with the same password');
	like($named, qr/384 bit/, 'and its own key');
	unlike($ask->('folder.test'), qr/^served$/m, 'not one of a folder');
	like($server->log, qr/: TLS_SNIDIR: unable to read key from folder\.test\.key: encrypted, and no password on descriptor 3$/m, 'in words');
	$server->stop;
};

# ---- memory ----

# True if the word is in what a process can write to. undef: not to be seen.
sub remembers {
	my ($pid) = @_;
	my $found = 0;
	no warnings 'portable';    # of addresses
	open my $memory, '<:raw', "/proc/$pid/mem" or return undef;
	for (split /\n/, slurp("/proc/$pid/maps")) {
		my ($from, $to) = /^([0-9a-f]+)-([0-9a-f]+) rw/ or next;
		next if hex($to) - hex $from > 1 << 26;    # of a sanitizer
		sysseek $memory, hex $from, 0 or next;
		sysread $memory, my $text, hex($to) - hex $from or next;
		$found = 1 if $text =~ /\Q$secret\E/;
		$found = 1 if $text =~ /\Q@{[$secret ^ chr(0x36) x length $secret]}\E|\Q@{[$secret ^ chr(0x5c) x length $secret]}\E/;    # as HMAC has it
	}
	return $found;
}

sub children { my ($pid) = @_; return split ' ', slurp("/proc/$pid/task/$pid/children") }

subtest 'who knows the password' => sub {
	plan skip_all => 'needs root and /proc' unless $> == 0 && -r "/proc/$$/mem";
	for my $form (['PBES2', $encrypted], ['older form', form('server-p256', 'ec', '-aes-256-cbc', @encrypt)]) {
		my ($name, $key) = @$form;
		chmod 0644, $key;
		my $server = sslserver({ pair => 'server-p256', before => $password, env => { KEYFILE => $key } }, ['-3', '-u', '65534', '-g', '65534'], 'true');
		my $socket = connect_to($server->{port});
		my $pid = $server->wait_for_log(qr/^sslserver: ok (\d+) /m);
		ok(wait_until(sub { slurp("/proc/$pid/status") =~ /^NoNewPrivs:\s+1$/m }, 5), "$name: an io program waits for its client");
		my ($waiting) = children($pid);
		ok($waiting, 'and what is to become prog for the handshake');
		SKIP: {
			my $listener = remembers($server->{pid});
			skip 'memory is not to be seen here', 4 unless defined $listener;
			is($listener, 1, 'the listener knows it');
			is((stat "/proc/$server->{pid}/environ")[4], 0, 'and is not traceable');
			is(remembers($pid), 0, 'the io program has forgotten it');
			is(remembers($waiting), 0, 'what is to become prog never knew it');
		}
		is(readlink "/proc/$pid/fd/3", undef, 'nor has it kept descriptor 3');
		is(readlink "/proc/$server->{pid}/fd/3", '/dev/null', 'and the listener has /dev/null there');
		close $socket;
		$server->stop;
	}
};

subtest 'who looks up names does not know it' => sub {
	plan skip_all => 'needs root and /proc' unless $> == 0 && -r "/proc/$$/mem";
	my $silent = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Proto => 'udp') or die $!;
	my $dns = "127.0.0.1:" . $silent->sockport;
	my $server = sslserver({ pair => 'server-p256', before => $password, env => { KEYFILE => $encrypted, DNSCACHEIP => $dns } }, ['-3h', '-t', '20'], 'true');
	my $socket = IO::Socket::INET->new(LocalAddr => '127.0.0.2', PeerAddr => "127.0.0.1:$server->{port}") or die $!;
	ok(IO::Select->new($silent)->can_read(5), 'the name of a client is asked for') or diag($server->log);
	my ($connection) = children($server->{pid});
	my ($asking) = $connection ? children($connection) : ();
	SKIP: {
		skip 'no process to look at', 2 unless $asking;
		is(remembers($connection), 1, 'who waits for it knows the password');
		is(remembers($asking), 0, 'who asks does not');
	}
	close $socket;
	$server->stop;
};

subtest 'not root' => sub {
	plan skip_all => 'needs root' unless $> == 0;
	chmod 0644, $encrypted;
	my $server = sslserver({ pair => 'server-p256', env => { KEYFILE => $encrypted }, before => sub { $password->(); POSIX::setgid(65534); POSIX::setuid(65534) } }, ['-3'], $spy);
	like(s_client({}, $server->{port}, '-quiet')->{out}, $clean, 'sslserver as somebody else') or diag($server->log);
	is((stat "/proc/$server->{pid}/environ")[4], 0, 'which others of the same user cannot look into');
	$server->stop;
};

done_testing;
