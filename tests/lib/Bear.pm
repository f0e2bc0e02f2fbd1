package Bear;

# What the tests in tests/*.t share: running programs with a deadline, starting servers and ending them, certificates.
#
#   use lib 'tests/lib';  use Bear;        (prove is run from the top of the tree; FindBin works too)
#
#   command('tcpserver')                   path of a program of ours: in $COMMAND, else command/ of the tree
#   run({...}, @command)                   runs to its end: { exit, signal, out, err, timed_out }; exit is undef after a signal
#   start({...}, @command)                 starts; an object, see below
#   serve({...}, @command)                 start with port => 1: a server called with -1
#     options of all three:
#       in => text         standard input (nothing)            env => { NAME => value }    undef removes
#       before => sub {}   in the child, before exec           timeout => seconds (10)
#       port => 1          start: read a port number from its standard output and keep it in {port}
#     $server->{pid} {port} {out} {err}    out and err are names of files
#     $server->log                         what is in err by now
#     $server->wait_for_log(qr/../, 5)     waits for it; the first capture (or the match), undef if it does not come
#     $server->running                     true until it has ended; then {status} is what wait said
#     $server->wait_for_end(5)             { exit, signal } or undef
#     $server->stop                        SIGTERM, then SIGKILL; returns like wait_for_end
#   wait_until(sub { .. }, seconds)        polls until the sub gives something true, and returns that
#   connect_to($port [, $host])            a TCP socket (IO::Socket::IP) or undef
#   ask($port, $text [, $host])            connects, sends, ends its sending side, returns all that came back
#   read_all($socket, seconds), read_line($socket, seconds)
#   free_port()                            a port that nobody uses at the moment, for servers that cannot choose one by themselves
#   is_listening($port)                    whether somebody listens on it
#   temporary()                            the directory of this test, removed at its end; temporary('x') a path in it
#   spew($path, $text), slurp($path)
#   pki()                                  certificates, see make_pki; $pki->{dir}, file('root.pem')
#   engine()                               engine under test: $TLS_ENGINE or bearssl
#
# Whatever was started is ended by its process id (its own process group with it) when the test ends, however it ends.

use strict;
use warnings;
use Cwd qw(abs_path);
use Errno qw(EINTR);
use Exporter 'import';
use Fcntl qw(:flock);
use File::Basename qw(dirname);
use File::Temp qw(tempdir);
use IO::Select;
use IO::Socket::IP;
use POSIX qw(:sys_wait_h _exit);
use Time::HiRes qw(sleep time);

our @EXPORT = qw(command run start serve wait_until connect_to ask read_all read_line free_port is_listening temporary spew slurp pki file engine);

my $top  = abs_path(dirname(__FILE__) . '/../..');
my $main = $$;
my ($folder, $number, @started) = (undef, 0);

sub command { return ($ENV{COMMAND} ? abs_path($ENV{COMMAND}) : "$top/command") . "/$_[0]" }
sub engine  { return $ENV{TLS_ENGINE} || 'bearssl' }

sub temporary {
	if (!defined $folder) {
		$folder = tempdir('bear-XXXXXXXX', TMPDIR => 1, CLEANUP => 1);
		chmod 0755, $folder;    # programs that drop to another uid must get through
	}
	return defined $_[0] ? "$folder/$_[0]" : $folder;
}

sub spew {
	my ($path, $text) = @_;
	open my $file, '>', $path or die "$path: $!";
	print $file $text;
	close $file or die "$path: $!";
	return $path;
}

sub slurp {
	open my $file, '<', $_[0] or return '';
	local $/;
	my $text = <$file>;
	return defined $text ? $text : '';
}

sub wait_until {
	my ($condition, $seconds) = @_;
	my $deadline = time + ($seconds || 10);
	while (1) {
		my $value = $condition->();
		return $value if $value || time > $deadline;
		sleep 0.01;
	}
}

# ---- programs ----

# Forks and execs in a process group of its own; returns the pid.
sub launch {
	my ($options, $in, $out, $err, @command) = @_;
	my $pid = fork;
	die "fork: $!" unless defined $pid;
	return $pid if $pid;
	setpgrp;
	$SIG{$_} = 'DEFAULT' for qw(TERM INT HUP);
	open STDIN,  '<',  $in  or _exit(126);
	open STDERR, '>',  $err or _exit(126);
	if (ref $out) { open STDOUT, '>&', $out or _exit(126); close $out }
	else          { open STDOUT, '>', $out or _exit(126) }
	my $env = $options->{env} || {};
	for my $name (keys %$env) {
		if   (defined $env->{$name}) { $ENV{$name} = $env->{$name} }
		else                         { delete $ENV{$name} }
	}
	POSIX::close($_) for 3 .. 63;
	$options->{before}->() if $options->{before};
	{ no warnings; exec { $command[0] } @command }
	_exit(127);
}

sub prepare {
	my ($options) = @_;
	my $base = temporary(sprintf 'run%03d', ++$number);
	my $in = '/dev/null';
	$in = spew("$base.in", $options->{in}) if defined $options->{in};
	return ($in, "$base.out", "$base.err");
}

sub outcome {
	my ($status) = @_;
	return { exit => $status & 127 ? undef : $status >> 8, signal => $status & 127, status => $status };
}

sub run {
	my $options = ref $_[0] eq 'HASH' ? shift : {};
	my ($in, $out, $err) = prepare($options);
	my $pid = launch($options, $in, $out, $err, @_);
	my $ended = wait_until(sub { waitpid($pid, WNOHANG) == $pid }, $options->{timeout} || 10);
	my $status = $?;
	if (!$ended) {
		kill 'KILL', -$pid, $pid;
		waitpid $pid, 0;
		$status = $?;
	}
	return { %{ outcome($status) }, out => slurp($out), err => slurp($err), timed_out => !$ended };
}

sub start {
	my $options = ref $_[0] eq 'HASH' ? shift : {};
	my ($in, $out, $err) = prepare($options);
	my ($reader, $writer);
	if ($options->{port}) { pipe $reader, $writer or die "pipe: $!" }
	my $pid = launch($options, $in, $writer || $out, $err, @_);
	my $self = bless { pid => $pid, out => $out, err => $err, name => "@_" }, 'Bear';
	push @started, $self;
	if ($reader) {
		close $writer;
		my $line = read_line($reader, $options->{timeout} || 10);
		($self->{port}) = defined $line ? $line =~ /^(\d+)$/ : ();
		$self->{pipe} = $reader;
		Test::More::diag("no port from @_: " . $self->log) if !defined $self->{port} && $INC{'Test/More.pm'};
	}
	return $self;
}

sub serve {
	my $options = ref $_[0] eq 'HASH' ? shift : {};
	return start({ %$options, port => 1 }, @_);
}

sub log { return slurp($_[0]{err}) }

sub wait_for_log {
	my ($self, $pattern, $seconds) = @_;
	my $found;
	wait_until(sub { my @match = $self->log =~ $pattern or return 0; $found = $match[0]; return 1 }, $seconds);
	return $found;
}

sub running {
	my ($self) = @_;
	return 0 if defined $self->{status};
	return 1 if waitpid($self->{pid}, WNOHANG) != $self->{pid};
	$self->{status} = $?;
	return 0;
}

sub wait_for_end {
	my ($self, $seconds) = @_;
	return wait_until(sub { !$self->running }, $seconds) ? outcome($self->{status}) : undef;
}

sub stop {
	my ($self, $seconds) = @_;
	kill 'TERM', $self->{pid} if $self->running;
	my $end = $self->wait_for_end($seconds || 5);
	kill 'KILL', $self->{pid} unless $end;
	return $end || $self->wait_for_end(5);
}

# A test that is told to end still does what END says.
$SIG{$_} = sub { exit 1 } for qw(TERM INT HUP);

# What a test leaves behind: each process group that was made here, by the id of its first process.
END {
	if ($$ == $main) {
		local $?;
		for my $process (@started) {
			$process->running;
			kill 'KILL', -$process->{pid};
			waitpid $process->{pid}, 0 unless defined $process->{status};
		}
	}
}

# ---- sockets ----

sub connect_to {
	my ($port, $host) = @_;
	return undef unless $port;
	return IO::Socket::IP->new(PeerHost => $host || '127.0.0.1', PeerPort => $port, Type => SOCK_STREAM, Timeout => 5);
}

sub free_port {
	my $socket = IO::Socket::IP->new(LocalHost => '127.0.0.1', LocalPort => 0, Listen => 1) or die "socket: $!";
	return $socket->sockport;
}

sub is_listening {
	my ($port) = @_;
	my $line = sprintf ':%04X \\S+ 0A ', $port;
	return scalar grep { slurp($_) =~ /$line/ } '/proc/net/tcp', '/proc/net/tcp6';
}

sub read_some {
	my ($handle, $deadline) = @_;
	my $left = $deadline - time;
	return undef if $left <= 0 || !IO::Select->new($handle)->can_read($left);
	my $n = sysread $handle, my $bytes, 65536;
	return $n ? $bytes : undef;
}

sub read_all {
	my ($handle, $seconds) = @_;
	my ($all, $deadline) = ('', time + ($seconds || 10));
	while (defined(my $bytes = read_some($handle, $deadline))) { $all .= $bytes }
	return $all;
}

# Byte by byte, so that nothing behind the line is lost. Without its newline; undef if none came.
sub read_line {
	my ($handle, $seconds) = @_;
	my ($line, $deadline) = ('', time + ($seconds || 10));
	while (1) {
		my $left = $deadline - time;
		return undef if $left <= 0 || !IO::Select->new($handle)->can_read($left);
		my $n = sysread $handle, my $byte, 1;
		return undef unless $n;
		return $line if $byte eq "\n";
		$line .= $byte;
	}
}

sub ask {
	my ($port, $text, $host) = @_;
	my $socket = connect_to($port, $host) or return undef;
	local $SIG{PIPE} = 'IGNORE';
	syswrite $socket, $text if length $text;
	$socket->shutdown(1);
	return read_all($socket);
}

# ---- certificates ----

my $pki;

sub file { return pki()->{dir} . "/$_[0]" }

# Made once for each test, or once for all tests that share a directory in BEAR_PKI.
sub pki {
	return $pki if $pki;
	my $shared = $ENV{BEAR_PKI};
	my $dir = $shared || temporary('pki');
	mkdir $dir, 0755;
	open my $lock, '>', "$dir.lock" or die "$dir.lock: $!";
	flock $lock, LOCK_EX or die "$dir.lock: $!";
	if (!-e "$dir/complete") {
		make_pki($dir);
		spew("$dir/complete", '');
	}
	return $pki = { dir => $dir };
}

# Files in the directory (X.pem certificates, X.key its key in PKCS#8; all valid for ten years unless said otherwise):
#   root, root-ec           authorities, RSA 2048 and P-256; roots.pem holds both
#   other-root              an authority that has nothing to do with the rest
#   intermediate            P-256, signed by root
#   server-rsa -p256 -p384  signed by root, for localhost, example.test, 127.0.0.1 and ::1
#   via-rsa -p256 -p384     the same keys and names, signed by intermediate; .pem is the leaf alone, via-X-chain.pem leaf and intermediate
#   expired, early          P-256, signed by root: no longer and not yet valid
#   wrong-name              P-256, signed by root, for other.test
#   self-signed             P-256, for the good names
#   unknown                 P-256, for the good names, signed by other-root
#   client                  P-256, signed by root, CN=Test Client, for client use
#   server-rsa.pkcs1.key server-p256.sec1.key server-p384.sec1.key    keys in their older forms
sub make_pki {
	my ($dir) = @_;
	spew("$dir/openssl.cnf", <<'END');
[req]
distinguished_name = name
prompt = no
[name]
[authority]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
[server]
basicConstraints = CA:FALSE
keyUsage = critical, digitalSignature, keyEncipherment
extendedKeyUsage = serverAuth
subjectAltName = DNS:localhost, DNS:example.test, IP:127.0.0.1, IP:::1
[wrong]
basicConstraints = CA:FALSE
extendedKeyUsage = serverAuth
subjectAltName = DNS:other.test
[client]
basicConstraints = CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = clientAuth
subjectAltName = email:client@example.test
[ca]
default_ca = dated
[dated]
database = index.txt
new_certs_dir = .
rand_serial = yes
default_md = sha256
policy = any
unique_subject = no
[any]
commonName = supplied
organizationName = optional
END
	my $openssl = sub {
		my $log = "$dir/openssl.log";
		my $pid = fork;
		die "fork: $!" unless defined $pid;
		if (!$pid) {
			chdir $dir or _exit(126);
			open STDIN, '<', '/dev/null' or _exit(126);
			open STDOUT, '>>', $log or _exit(126);
			open STDERR, '>&', \*STDOUT or _exit(126);
			exec 'openssl', @_ or _exit(127);
		}
		waitpid $pid, 0;
		die "openssl @_: " . slurp($log) if $?;
	};
	my $key = sub {
		my ($name, $kind) = @_;
		$openssl->('genpkey', '-out', "$name.key", '-algorithm',
			$kind eq 'rsa' ? ('RSA', '-pkeyopt', 'rsa_keygen_bits:2048') : ('EC', '-pkeyopt', "ec_paramgen_curve:$kind"));
	};
	my $self_signed = sub {
		my ($name, $subject, $extensions) = @_;
		$openssl->('req', '-config', 'openssl.cnf', '-x509', '-new', '-key', "$name.key", '-out', "$name.pem", '-days', 3650,
			'-subj', $subject, '-extensions', $extensions);
	};
	my $request = sub {
		my ($name, $keyname, $subject) = @_;
		$openssl->('req', '-config', 'openssl.cnf', '-new', '-key', "$keyname.key", '-out', "$name.csr", '-subj', $subject);
	};
	my $signed = sub {
		my ($name, $keyname, $subject, $extensions, $issuer) = @_;
		$request->($name, $keyname, $subject);
		$openssl->('x509', '-req', '-in', "$name.csr", '-out', "$name.pem", '-days', 3650, '-CA', "$issuer.pem", '-CAkey',
			"$issuer.key", '-CAcreateserial', '-extfile', 'openssl.cnf', '-extensions', $extensions);
	};
	my $dated = sub {
		my ($name, $subject, $from, $to) = @_;
		$request->($name, $name, $subject);
		$openssl->('ca', '-batch', '-notext', '-config', 'openssl.cnf', '-in', "$name.csr", '-out', "$name.pem", '-cert', 'root.pem',
			'-keyfile', 'root.key', '-startdate', $from, '-enddate', $to, '-extensions', 'server', '-md', 'sha256');
	};

	my $good = '/O=Bear Test/CN=localhost';
	$key->('root', 'rsa');
	$self_signed->('root', '/O=Bear Test/CN=Root RSA', 'authority');
	for my $name ('root-ec', 'other-root') {
		$key->($name, 'P-256');
		$self_signed->($name, "/O=Bear Test/CN=$name", 'authority');
	}
	spew("$dir/roots.pem", slurp("$dir/root.pem") . slurp("$dir/root-ec.pem"));
	$key->('intermediate', 'P-256');
	$signed->('intermediate', 'intermediate', '/O=Bear Test/CN=Intermediate', 'authority', 'root');
	for my $kind (['rsa', 'rsa'], ['p256', 'P-256'], ['p384', 'P-384']) {
		my ($name, $kind) = @$kind;
		$key->("server-$name", $kind);
		$signed->("server-$name", "server-$name", $good, 'server', 'root');
		$signed->("via-$name", "server-$name", $good, 'server', 'intermediate');
		spew("$dir/via-$name.key", slurp("$dir/server-$name.key"));
		spew("$dir/via-$name-chain.pem", slurp("$dir/via-$name.pem") . slurp("$dir/intermediate.pem"));
	}
	$openssl->('rsa', '-in', 'server-rsa.key', '-traditional', '-out', 'server-rsa.pkcs1.key');
	$openssl->('ec', '-in', "server-$_.key", '-out', "server-$_.sec1.key") for 'p256', 'p384';
	$key->($_, 'P-256') for qw(expired early wrong-name self-signed unknown client);
	spew("$dir/index.txt", '');
	$dated->('expired', $good, '20200101000000Z', '20210101000000Z');
	$dated->('early', $good, '20900101000000Z', '20910101000000Z');
	$signed->('wrong-name', 'wrong-name', '/O=Bear Test/CN=other.test', 'wrong', 'root');
	$self_signed->('self-signed', $good, 'server');
	$signed->('unknown', 'unknown', $good, 'server', 'other-root');
	$signed->('client', 'client', '/O=Bear Test/CN=Test Client', 'client', 'root');
	chmod 0644, glob "$dir/*.key";    # keys of nobody: tests with other uids decide for themselves
}

1;
