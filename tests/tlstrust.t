#!/usr/bin/perl
# tlstrust, and trust stores as CAFILE and CCAFILE: found by subject, judged like all others, on both sides; files that are none, damaged ones, what
# is left when something goes wrong, and what a start costs. openssl and the cdb tool are the second opinion.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Bear;
use BearTls;
use Certificates;
use Test::More;

my $n = 0;
sub store { my $path = temporary('store' . ++$n); my $result = run(command('tlstrust'), "$path.cdb", "$path.tmp", @_); is($result->{exit}, 0, 'made') or diag $result->{err}; ok(!-e "$path.tmp", 'nothing else is left'); return "$path.cdb" }
sub verify { my ($store, $chain, %env) = @_; my $result = run({ env => { CAFILE => $store, %env } }, command('tlsverify'), file("$chain.pem")); return $result->{exit} == 0 ? 'ok' : ($result->{out} . $result->{err}) =~ /^(?:refused|tlsverify: fatal): (.*)$/m ? $1 : $result->{err} }

subtest 'what is in it' => sub {
	my $folder = temporary('folder');
	mkdir $folder;
	spew("$folder/3513523f.0", slurp(file('other-root.pem')));    # as c_rehash calls them
	spew("$folder/any name", openssl('x509', '-in', file('root-ec.pem'), '-outform', 'DER'));
	spew("$folder/README", "nothing\n");
	my $twice = spew(temporary('twice.pem'), "text\n" . slurp(file('root.pem')) . "text\n" . slurp(file('root.pem')));
	my $store = store($twice, $folder);
	my $listed = run('cdb', '-l', $store);
	is(scalar(() = $listed->{out} =~ /^\+9:/mg), 3, 'each certificate once, by the keys of subjects');
	like(run('cdb', '-q', $store, 'format')->{out}, qr/^ucspi-bear trust 1$/, 'marked as what it is');
	is(verify($store, 'server-rsa'), 'ok', 'of a file');
	is(verify($store, 'unknown'), 'ok', 'of a folder');
	is(verify($store, 'via-rsa-chain'), 'ok', 'through an intermediate');
	is(verify($store, 'self-signed'), 'certificate is not from a trusted authority', 'nobody else');
	is(verify($store, 'expired'), 'certificate has expired', 'judged like all others');
	is(verify(store(file('self-signed.pem')), 'self-signed'), 'ok', 'a leaf that is in it itself');
	is(verify(store(file('intermediate.pem')), 'via-rsa'), 'ok', 'an anchor that somebody else has signed');
	is(verify(store(file('root-ec.pem')), 'server-rsa', CADIR => $folder), 'certificate is not from a trusted authority', 'a folder beside it does not have it either');
	is(verify(store(file('root-ec.pem')), 'unknown', CADIR => $folder), 'ok', 'and one that has');
	(my $bundle) = grep { -r } '/etc/ssl/certs/ca-certificates.crt';
	SKIP: {
		skip 'no bundle', 3 unless $bundle;
		my $all = store($bundle, file('root.pem'));
		is(verify($all, 'server-p256'), 'ok', 'one among many');
		is(verify(store($bundle), 'server-p256'), 'certificate is not from a trusted authority', 'and not among them');
		is(scalar(() = run('cdb', '-l', $all)->{out} =~ /^\+9:/mg), 1 + (() = slurp($bundle) =~ /BEGIN CERT/g), 'all of them');
	}
};

# The same name in another spelling (RFC 5280 7.1) has to be found, too.
subtest 'names' => sub {
	my $path = temporary('spelt');
	openssl('req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', 30, '-subj', '/O=Some  Authority/CN=A-1', '-utf8', '-keyout', "$path.key", '-out', "$path.pem");
	openssl('req', '-new', '-x509', '-key', "$path.key", '-days', 30, '-subj', '/O=SOME AUTHORITY/CN=a-1', '-out', "$path-again.pem", '-addext', 'basicConstraints=critical,CA:TRUE');
	openssl('req', '-new', '-key', file('server-p256.key'), '-subj', '/CN=localhost', '-out', "$path.csr");
	spew("$path.cnf", "subjectAltName = DNS:localhost\n");
	openssl('x509', '-req', '-in', "$path.csr", '-CA', "$path-again.pem", '-CAkey', "$path.key", '-CAcreateserial', '-days', 20, '-extfile', "$path.cnf", '-out', "$path-leaf.pem");
	my $result = run({ env => { CAFILE => store("$path.pem") } }, command('tlsverify'), "$path-leaf.pem");
	is($result->{exit}, 0, 'letters of another case and other blanks') or diag $result->{out};
};

# An authority that gets a new key every day, and keeps its name: more of them than signatures are checked.
subtest 'many keys of one name' => sub {
	my ($all, $last) = ('', temporary('daily'));
	for (1 .. 40) {
		openssl('req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', 30, '-subj', '/CN=Daily', '-keyout', "$last.key", '-out', "$last.pem");
		$all .= slurp("$last.pem");
	}
	my $bundle = spew(temporary('daily-all.pem'), $all);
	openssl('req', '-new', '-key', file('server-p256.key'), '-subj', '/CN=localhost', '-out', "$last.csr");
	for my $case (['keyid:always', 0], ['none', 1]) {
		my ($hint, $exit) = @$case;
		spew("$last.cnf", "subjectAltName = DNS:localhost\nauthorityKeyIdentifier = $hint\n");
		openssl('x509', '-req', '-in', "$last.csr", '-CA', "$last.pem", '-CAkey', "$last.key", '-CAcreateserial', '-days', 20, '-extfile', "$last.cnf", '-out', "$last-leaf.pem");
		for my $file ($bundle, store($bundle)) {
			my $result = run({ env => { CAFILE => $file } }, command('tlsverify'), "$last-leaf.pem");
			is($result->{exit}, $exit, $exit ? 'without a hint to the key there are too many' : 'the last of them, by the id of its key') or diag $result->{out};
		}
	}
};

for my $version (versions()) {
	subtest "at work, $version" => sub {
		my $store = store(file('root.pem'), file('root-ec.pem'));
		my $server = s_server({}, '-www');
		my $visit = sub { return sslclient({ env => { CAFILE => $_[0], TLS_MAXVERSION => $version } }, ['-RH', 'localhost'], $server->{port}, 'echo', 'started') };
		is($visit->($store)->{out}, "started\n", 'a client');
		my $result = $visit->(store(file('other-root.pem')));
		is($result->{exit}, 98, 'not with another one');
		like($result->{err}, qr/certificate is not from a trusted authority\n\z/, 'in words');
		$server->stop;
		for my $env ({ CAFILE => $store }, { CCAFILE => $store }, { CAFILE => $store, CCAFILE => $store }) {
			$server = sslserver({ env => { %$env, TLS_MAXVERSION => $version } }, ['-mRH'], 'echo', 'started');
			$result = s_client({}, $server->{port}, '-cert', file('client.pem'), '-key', file('client.key'));
			like($result->{out}, qr/^started$/m, 'a server, ' . join ' and ', sort keys %$env) or diag $server->log;
			like($result->{out}, qr/^Acceptable client certificate CA names\n(?=(?:.*\n)*?O = Bear Test, CN = Root RSA)(?=(?:.*\n)*?O = Bear Test, CN = root-ec)/m, 'which names what is in it');
			unlike(s_client({}, $server->{port}, '-cert', file('unknown.pem'), '-key', file('unknown.key'))->{out}, qr/^started$/m, 'and lets nobody else in');
			$server->stop;
		}
	};
}

subtest 'as another user, in a jail' => sub {
	plan skip_all => 'not root' if $>;
	my $store = store(file('root.pem'));
	chmod 0600, $store;
	my $jail = temporary('jail');
	mkdir $jail, 0755;
	my $server = sslserver({ env => { CAFILE => $store, SSL_UID => 64322, SSL_CHROOT => $jail } }, ['-mRH'], 'echo', 'started');
	like(s_client({}, $server->{port}, '-cert', file('client.pem'), '-key', file('client.key'))->{out}, qr/^started$/m, 'it was opened before');
	$server->stop;
};

subtest 'files that are none, and damaged ones' => sub {
	my $store = store(map { file("$_.pem") } 'root', 'root-ec', 'other-root');
	my $bytes = slurp($store);
	my $bad = temporary('bad.cdb');
	for my $length (0, 100, 2047, 2048, 3000, length($bytes) - 1) {
		spew($bad, substr $bytes, 0, $length);
		like(verify($bad, 'server-rsa'), qr/^unable to read CAs from \Q$bad\E: /, "the first $length bytes are no trust store");
	}
	my $rules = temporary('rules');
	run({ in => ":allow\n" }, command('tcprules'), "$rules.cdb", "$rules.tmp");
	like(verify("$rules.cdb", 'server-rsa'), qr/^unable to read CAs from /, 'nor are rules');
	# Whatever is wrong inside, it is an answer and no crash.
	srand 7;
	my %seen;
	for (1 .. 150) {
		my $damaged = $bytes;
		substr($damaged, int rand length $damaged, 1) = chr int rand 256 for 1 .. 1 + int rand 8;
		spew($bad, $damaged);
		my $result = run({ env => { CAFILE => $bad } }, command('tlsverify'), file('server-rsa.pem'));
		$seen{ defined $result->{exit} ? $result->{exit} : "signal $result->{signal}" }++;
	}
	is(join(' ', grep { !/^(0|1|96)$/ } keys %seen), '', 'accepted, refused or said to be none: ' . join ', ', map { "$_: $seen{$_}" } sort keys %seen);
};

subtest 'what goes wrong' => sub {
	my $root = file('root.pem');
	my $folder = temporary('wrong');
	mkdir $folder;
	mkdir "$folder/empty";
	spew("$folder/old.cdb", 'old');
	my $text = spew("$folder/text", "no certificate\n");
	for my $case ([100, qr/usage/], [100, qr/usage/, "$folder/a", "$folder/b"], [100, qr/trust\.cdb and trust\.tmp have to be two files/, $text, $text, $root],
		[96, qr/unable to read certificates or revocation lists from \Q$text\E: no certificate in it/, "$folder/old.cdb", "$folder/new", $text],
		[96, qr/unable to make \Q$folder\E\/old.cdb: there is neither certificate nor revocation list/, "$folder/old.cdb", "$folder/new", "$folder/empty"],
		[111, qr/unable to read \Q$folder\E\/gone: No such file/, "$folder/old.cdb", "$folder/new", "$folder/gone"],
		[111, qr/unable to create \Q$folder\E\/gone\/new: No such file/, "$folder/old.cdb", "$folder/gone/new", $root],
		[111, qr/unable to create \/dev\/full: something else than a file is there/, "$folder/old.cdb", '/dev/full', $root],
		[111, qr/unable to move \Q$folder\E\/new to \Q$folder\E\/empty: /, "$folder/empty", "$folder/new", $root]) {
		my ($exit, $words, @arguments) = @$case;
		my $result = run(command('tlstrust'), @arguments);
		is($result->{exit}, $exit, "exit $exit");
		like($result->{err}, qr/\Atlstrust: (?:fatal|usage): (?:.*\n)*?.*$words|\Atlstrust: $words/, 'in words');
		is(slurp("$folder/old.cdb"), 'old', 'what was there stays');
		ok(!-e "$folder/new", 'and nothing is left');
	}
	my $result = run('sh', '-c', 'ulimit -f 1; trap "" XFSZ; exec "$@"', 'sh', command('tlstrust'), "$folder/old.cdb", "$folder/new", $root);
	is($result->{exit}, 111, 'a file that may not become so large: exit 111');
	like($result->{err}, qr/unable to write to \Q$folder\E\/new: File too large/, 'in words');
	is(slurp("$folder/old.cdb"), 'old', 'what was there stays');
};

# The second has the same file open when the first has already given it its place.
subtest 'two runs at the same time' => sub {
	plan skip_all => 'no strace here' if system 'strace -o /dev/null true 2>/dev/null';
	for my $call ('ftruncate', 'fsync') {
		my $path = temporary("both-$call");
		my @same = ("$path.cdb", "$path.tmp");
		my $slow = start('strace', '-o', temporary('trace'), '-e', "trace=$call", '-e', "inject=$call:delay_enter=1500000", command('tlstrust'), @same, file('other-root.pem'));
		ok(wait_until(sub { -e "$path.tmp" && ($call eq 'ftruncate' || -s "$path.tmp") }, 10), "$call: one has begun");
		my $quick = run(command('tlstrust'), @same, file('root.pem'));
		my $slow_exit = $slow->wait_for_end(10)->{exit};
		is("$quick->{exit} $slow_exit", '111 0', 'the other one gives up');
		is($quick->{err}, "tlstrust: fatal: unable to create $path.tmp: somebody else is writing it\n", 'in words');
		is(verify("$path.cdb", 'unknown'), 'ok', 'and what is there is of the one that is done');
		ok(!-e "$path.tmp", 'nothing else is left');
	}
};

# How much of it is read: pages of the map are not counted by anybody, but the calls are.
subtest 'it is not read' => sub {
	my ($bundle) = grep { -r } '/etc/ssl/certs/ca-certificates.crt';
	plan skip_all => 'no bundle, or no strace' if !$bundle || system 'strace -o /dev/null true 2>/dev/null';
	my $trace = temporary('trace');
	my $bytes = sub {
		run({ env => { @_, ASAN_OPTIONS => 'detect_leaks=0' } }, 'strace', '-o', $trace, '-e', 'trace=read,pread64', command(io_program('tlsc-io')), '-C', '-k', 'localhost', '0', '1');
		my $sum = 0;
		$sum += $_ for slurp($trace) =~ /= (\d+)$/mg;
		return $sum;
	};
	my $none = $bytes->(TLS_VERIFY => 'none');
	cmp_ok($bytes->(CAFILE => $bundle), '>=', $none + -s $bundle, 'a bundle is read whole');
	cmp_ok($bytes->(CAFILE => store($bundle)), '<', $none + 5000, 'a trust store is not');
};

done_testing;
