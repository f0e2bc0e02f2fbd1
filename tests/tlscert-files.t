#!/usr/bin/perl
# The files of tlscert: their modes from the first moment, all or none, nothing overwritten that was not meant, whatever fails.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Bear;
use BearTls;
use POSIX ();
use TlsCert;
use Test::More;

my $made = made(qw(-A -l 1 -k ca.key ca.pem), 'CA of p256');
my ($ca, $ca_key) = ("$made/ca.pem", "$made/ca.key");

subtest 'files and their modes' => sub {
	for my $umask (0, 022, 077, 0277) {
		my $folder = made({ umask => $umask }, qw(-k a.key a.pem a.test));
		is(mode("$folder/a.key"), sprintf('%o', 0600 & ~$umask), sprintf 'umask %03o: the key', $umask);
		is(mode("$folder/a.pem"), sprintf('%o', 0644 & ~$umask), 'the certificate alone');
		is(mode(made({ umask => $umask }, qw(a.pem a.test)) . '/a.pem'), sprintf('%o', 0600 & ~$umask), 'both in one file');
		like(slurp("$folder/a.key"), qr/\A-----BEGIN PRIVATE KEY-----\n[^-]+-----END PRIVATE KEY-----\n\z/, 'the key alone');
		unlike(slurp("$folder/a.pem"), qr/PRIVATE/, 'which is not in the certificate');
	}
	my $folder = made(qw(a.pem a.test));
	my $old = slurp("$folder/a.pem");
	my $exists = qr/^tlscert: fatal: unable to create a\.pem: File exists$/m;
	refused('a file that is there', 111, $exists, { in_folder => $folder }, qw(a.pem a.test));
	refused('a key that is there', 111, $exists, { in_folder => $folder }, qw(-k a.pem b.pem a.test));
	is(slurp("$folder/a.pem"), $old, 'it stays as it is');
	symlink 'nowhere', "$folder/link.pem";
	refused('a link to nowhere', 111, qr/unable to create link\.pem: File exists$/m, { in_folder => $folder }, qw(link.pem a.test));
	chmod 0644, "$folder/a.pem";
	made({ in_folder => $folder }, qw(-f a.pem b.test));
	like(text("$folder/a.pem", '-subject'), qr/b\.test/, '-f: another takes its place');
	is(mode("$folder/a.pem"), '600', 'with its own mode');
	spew("$folder/target", "precious\n");
	symlink 'target', "$folder/to-target";
	made({ in_folder => $folder }, qw(-f to-target b.test));
	is(slurp("$folder/target"), "precious\n", '-f follows no link');
	ok(!-l "$folder/to-target", 'but replaces it');
	is(inside($folder), 'a.pem link.pem target to-target', 'nothing else is there');
	refused('a folder', 111, qr/^tlscert: fatal: unable to create \/tmp: something else than a file is there$/m, qw(-f /tmp a.test));
	refused('a device', 111, qr/^tlscert: fatal: unable to create \/dev\/null: something else than a file is there$/m, qw(-f /dev/null a.test));
	ok(-c '/dev/null', '/dev/null is what it was');
	refused('no folder', 111, qr{^tlscert: fatal: unable to create \S+gone/a\.pem.*: No such file or directory$}m, temporary('gone') . '/a.pem', 'a.test');
	refused('a file as folder', 111, qr{: Not a directory$}m, { in_folder => $folder }, 'target/a.pem', 'a.test');
	refused('a long name', 111, qr/: File name too long$/m, 'x' x 250, 'a.test');
	refused('a long path', 111, qr/^tlscert: fatal: unable to create [.\/]+$/m, './' x 2100 . 'a.pem', 'a.test');
	refused('no folder for the second file', 111, qr/: No such file or directory$/m, '-k', 'a.key', temporary('gone') . '/a.pem', 'a.test');
	for my $path ('a.pem', './a.pem') {
		refused("twice one path: $path", 111, qr/^tlscert: fatal: unable to create \Q$path\E: File exists$/m, '-k', 'a.pem', $path, 'a.test');
		refused("twice one path with -f: $path", 111, qr/^tlscert: fatal: unable to create \Q$path\E: File exists$/m, '-f', '-k', 'a.pem', $path, 'a.test');
	}
	$folder = made(qw(-A -k ca.key ca.pem A));
	for my $path (qw(ca.pem ./ca.key)) {
		refused("the CA's own $path", 111, qr/^tlscert: fatal: unable to create \Q$path\E: the CA is there$/m, { in_folder => $folder }, qw(-f -c ca.pem -K ca.key), $path, 'a.test');
		refused("the CA's own $path as the key", 111, qr/: the CA is there$/m, { in_folder => $folder }, qw(-f -c ca.pem -K ca.key -k), $path, 'a.pem', 'a.test');
	}
	like(openssl('pkey', '-in', "$folder/ca.key", '-check', '-noout'), qr/valid/, 'is still there');
};

SKIP: {
	skip 'not root', 1 unless $> == 0;
	subtest 'as somebody else' => sub {
		refused('a folder of root', 111, qr/^tlscert: fatal: unable to create a\.pem\.\w+: Permission denied$/m, { as => 65534 }, 'a.pem', 'a.test');
		refused('a CA of root', 96, qr/^tlscert: fatal: unable to read CA key from \S+: Permission denied$/m, { as => 65534 }, '-c', $ca, '-K', $ca_key, 'a.pem', 'a.test');
		my $folder = folder();
		chown 65534, 65534, $folder;
		made({ as => 65534, in_folder => $folder }, 'a.pem', 'a.test');
		is((stat "$folder/a.pem")[4], 65534, 'a folder of one\'s own');
		is(run({ before => sub { POSIX::setuid(65533) } }, 'cat', "$folder/a.pem")->{exit}, 1, 'another user cannot read it');
	};
}

# strace shows what no look at the folder can: how the file began.
my $strace = !system('command -v strace >/dev/null 2>&1') && run('strace', '-o', temporary('trace'), 'true')->{exit} == 0;
SKIP: {
	skip 'no strace here', 1 unless $strace;
	subtest 'system calls' => sub {
		my $trace = temporary('trace');
		my $folder = made({ umask => 0, under => ['strace', '-o', $trace, '-e', 'trace=open,openat,creat,chmod,fchmod,fsync,rename,renameat,renameat2,link,prlimit64,setrlimit,prctl'] }, qw(-k a.key a.pem a.test));
		my $calls = slurp($trace);
		like($calls, qr/O_WRONLY\|O_CREAT\|O_EXCL\|O_NOFOLLOW\|O_CLOEXEC, 0600\).*O_CREAT\|O_EXCL.*0644\)/s, 'files are made by us alone, the first with mode 0600') or diag($calls);
		is(() = $calls =~ /O_CREAT/g, 2, 'no other files are made than two');
		unlike($calls, qr/chmod/, 'no mode is changed later');
		like($calls, qr/O_CREAT.*fsync.*O_CREAT.*fsync.*RENAME_NOREPLACE.*RENAME_NOREPLACE.*O_DIRECTORY.*fsync/s, 'written to disk before they get their names, and the folder then');
		SKIP: {
			skip 'strace sees no names in a process that is not traceable', 1 unless $> == 0;
			my ($key) = $calls =~ /"(a\.key\.[0-9a-f]{16})", O_WRONLY/;
			like($calls, qr/renameat2\(AT_FDCWD, "\Q$key\E", AT_FDCWD, "a\.key".*renameat2\([^)]*"a\.pem"/s, 'first the key, then the certificate');
		}
		like($calls, qr/RLIMIT_CORE, \{rlim_cur=0, rlim_max=0\}/, 'no core dumps');
		like($calls, qr/prctl\(PR_SET_DUMPABLE, SUID_DUMP_DISABLE/, 'no look into its memory by others of the same user');
		my $inject = sub { return { under => ['strace', '-o', $trace, '-e', 'trace=fsync,getrandom,renameat2,link,rename,unlink,write,openat', map { ('-e', "inject=$_") } @_] } };
		refused('a disk that fails', 111, qr/^tlscert: fatal: unable to write to a\.pem\.\w+: Input\/output error$/m, $inject->('fsync:error=EIO'), qw(a.pem a.test));
		refused('with the second file', 111, qr/^tlscert: fatal: unable to write to a\.pem\.\w+: Input\/output error$/m, $inject->('fsync:error=EIO:when=2'), qw(-k a.key a.pem a.test));
		refused('with the folder', 111, qr/^tlscert: fatal: unable to write to the folder of a\.key: Input\/output error$/m, $inject->('fsync:error=EIO:when=3'), qw(-k a.key a.pem a.test));
		refused('the second name', 111, qr/^tlscert: fatal: unable to create a\.pem: Input\/output error$/m, $inject->('renameat2:error=EIO:when=2'), qw(-k a.key a.pem a.test));
		refused('no randomness', 111, qr/^tlscert: fatal: unable to \S.*: Function not implemented$/m, $inject->('getrandom:error=ENOSYS'), qw(a.pem a.test));
		is(mode(made($inject->('renameat2:error=EINVAL'), qw(a.pem a.test)) . '/a.pem'), '600', 'where renameat2 cannot do it, link can');
		my $result;
		for my $case (['the second name', 'create a\.pem: Input/output error', 'renameat2:error=EIO:when=2'], ['the folder of the second', 'write to the folder of a\.pem: Input/output error', 'fsync:error=EIO:when=4']) {
			my ($name, $words, $fault) = @$case;
			$folder = folder();
			spew("$folder/$_", "old $_\n") for 'a.key', 'a.pem';
			$result = tlscert({ in_folder => $folder, %{ $inject->($fault) } }, qw(-f -k a.key a.pem a.test));
			is($result->{exit}, 111, "-f, $name: exit 111");
			like($result->{err}, qr/^tlscert: fatal: unable to $words$/m, 'in words');
			is(inside($folder), 'a.key a.pem', 'nothing is left behind');
			is(slurp("$folder/a.key") . slurp("$folder/a.pem"), "old a.key\nold a.pem\n", 'and both are the old ones');
		}
		$folder = folder();
		spew("$folder/a.pem", "old\n");
		$result = tlscert({ in_folder => $folder, %{ $inject->('renameat2:error=EIO:when=2') } }, qw(-f -k a.key a.pem a.test));
		is(inside($folder) . slurp("$folder/a.pem"), "a.pemold\n", '-f, where there was no key: none is there again') or diag($result->{err});
		$folder = folder();
		spew("$folder/$_", "old $_\n") for 'a.key', 'a.pem';
		$result = tlscert({ in_folder => $folder, %{ $inject->('renameat2:error=EINVAL') } }, qw(-f -k a.key a.pem a.test));
		is($result->{exit} . ' ' . inside($folder) . ' ' . mode("$folder/a.key"), '0 a.key a.pem 600', '-f, where renameat2 cannot do it, rename can') or diag($result->{err});
		unlike(slurp("$folder/a.key") . slurp("$folder/a.pem"), qr/old/, 'with new files');
		# Another run comes between the two steps of one.
		spew("$folder/$_", "old $_\n") for 'a.key', 'a.pem';
		my $slow = start({ before => sub { chdir $folder } }, 'strace', '-o', $trace, '-e', 'trace=renameat2', '-e', 'inject=renameat2:delay_exit=1000000:when=1', command('tlscert'), qw(-f -k a.key a.pem slow.test));
		ok(wait_until(sub { slurp("$folder/a.key") !~ /old/ }, 10), 'two runs at the same time: one has made the first step');
		$result = tlscert({ in_folder => $folder }, qw(-f -k a.key a.pem other.test));
		is($result->{exit} . $slow->wait_for_end(10)->{exit}, '00', 'both are done') or diag($result->{err} . $slow->log);
		is(openssl('x509', '-in', "$folder/a.pem", '-noout', '-pubkey'), openssl('pkey', '-in', "$folder/a.key", '-pubout'), 'and key and certificate belong together');

		spew("$folder/$_", "old $_\n") for 'a.key', 'a.pem';
		$result = tlscert({ in_folder => $folder, %{ $inject->('unlink:error=EIO:when=1') } }, qw(-f -k a.key a.pem a.test));
		is($result->{exit}, 111, '-f, what was replaced cannot be removed: exit 111');
		like($result->{err}, qr/^tlscert: fatal: unable to remove what was replaced, now a\.key\.[0-9a-f]{16}: Input\/output error$/m, 'in words');
		is(openssl('x509', '-in', "$folder/a.pem", '-noout', '-pubkey'), openssl('pkey', '-in', "$folder/a.key", '-pubout'), 'and both files are the new ones');
		$folder = folder();
		spew("$folder/a.pem", "old\n");
		# It comes in between, after the look at what is there.
		$result = tlscert({ in_folder => $folder, %{ $inject->('fsync:signal=TERM') } }, qw(-f a.pem a.test));
		is($result->{signal} || $result->{exit} - 128, 15, 'SIGTERM ends it');
		is(inside($folder), 'a.pem', 'when nothing is left behind');
		is(openssl('pkey', '-in', "$folder/a.pem", '-check', '-noout'), "Key is valid\n", 'and the file is whole');
	};
}

subtest 'no room' => sub {
	my $folder = refused('a limit on files', 111, qr/^tlscert: fatal: unable to write to a\.pem\.\w+: File too large$/m, { under => ['sh', '-c', 'ulimit -f 1; exec "$@"', 'sh'] }, qw(a.pem a.test));
	SKIP: {
		my @private = ('unshare', '-m', 'sh', '-c', 'mount -t tmpfs -o size=8k,mode=700 none "$1" && cd "$1" && shift && dd if=/dev/zero of=full bs=1k 2>/dev/null; "$@"; code=$?; ls; exit $code', 'sh');
		skip 'no tmpfs to be mounted here', 3 unless $> == 0 && run(@private, folder(), 'true')->{exit} == 0;
		my $result = run({ timeout => 60 }, @private, folder(), command('tlscert'), qw(a.pem a.test));
		is($result->{exit}, 111, 'a full disk: exit 111');
		like($result->{err}, qr/^tlscert: fatal: unable to write to a\.pem\.\w+: No space left on device$/m, 'in words');
		is($result->{out}, "full\n", 'no file');
	}
};

done_testing;
