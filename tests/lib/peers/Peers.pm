package Peers;

# Peers and man in the middle for the tests of ends and alerts.
#
#   peer('openssl')              path of peer.c with that library (openssl, gnutls, bearssl), compiled once a test; undef if it cannot be
#   peers()                      those of openssl and gnutls that can be compiled
#   application(in, out, steps)  the command for application.pl
#   meet({...})                  one connection between ours and a peer, to its end:
#     side => 'server'|'client'  ours                       peer => 'openssl'       steps => [..]   of the peer
#     tls => [..]                options of tlsd or tlsc    app => [..]   steps of application.pl, or prog => [..] a whole command
#     env => {}, peer_env => {}  via => hook                a proxy with that hook between both
#     version => 'TLSv1.3'       newest protocol version of the peer (TLSv1.2)
#     during => sub { my ($io_pid, $app_pid, $peer) }       called once application.pl has started
#   gives { peer => its lines, log => ours, exit => of ours, seconds => till ours ended }
#   proxy($port, hook)           its port. Called as hook(from, number, record) with 'client' or 'server', the number of the record in that
#                                direction from 0, and the whole record; returns pieces to send on, each in a segment of its own; a
#                                reference \'fin' among them ends that direction
#   cpu_seconds($pid)            used so far

use strict;
use warnings;
use Bear;
use Cwd qw(abs_path);
use Exporter 'import';
use File::Basename qw(dirname);
use IO::Select;
use IO::Socket::IP;
use POSIX qw(_exit);
use Socket qw(IPPROTO_TCP TCP_NODELAY SOCK_STREAM);
use Time::HiRes qw(sleep time);

our @EXPORT = qw(peer peers application meet proxy cpu_seconds);

my $here = abs_path(dirname(__FILE__));
my $main = $$;
my %libraries = (openssl => ['-lssl', '-lcrypto'], gnutls => ['-lgnutls'], bearssl => ['-lbearssl']);
my (%compiled, @proxies);

sub peer {
	my ($name) = @_;
	return $compiled{$name} if exists $compiled{$name};
	my $path = temporary("peer-$name");
	my $result = run({ timeout => 60 }, 'cc', '-O1', '-o', $path, "$here/peer.c", "$here/$name.c", @{ $libraries{$name} });
	my $done = defined $result->{exit} && $result->{exit} == 0;
	Test::More::diag("no peer with $name: $result->{err}") unless $done;
	return $compiled{$name} = $done ? $path : undef;
}

sub peers { return grep { defined peer($_) } qw(openssl gnutls) }

sub application { return ($^X, "$here/application.pl", @_) }

sub cpu_seconds {
	my ($pid) = @_;
	my $stat = slurp("/proc/$pid/stat");
	$stat =~ s/.*\) // or return undef;
	my @fields = split ' ', $stat;
	return ($fields[11] + $fields[12]) / POSIX::sysconf(POSIX::_SC_CLK_TCK());
}

sub started {
	my ($p, $process, $io) = @_;
	return unless $p->{during};
	my $app = $process->wait_for_log(qr/application: pid (\d+)/, 10);
	$p->{during}->($io || $process->wait_for_log(qr/pid (\d+) from/, 1), $app, $process);
}

sub meet {
	my ($p) = @_;
	my $peer = peer($p->{peer});
	my %peer_env = (PEER_VERSION => $p->{version} // $ENV{PEER_VERSION}, %{ $p->{peer_env} || {} });
	my ($begin, $limit) = (time, $p->{timeout} || 30);
	if ($p->{side} eq 'server') {
		my $server = serve({ env => { CERTFILE => file('server-p256.pem'), KEYFILE => file('server-p256.key'), %{ $p->{env} || {} } } },
			command('tcpserver'), '-1v', '127.0.0.1', '0', command('tlsd'), @{ $p->{tls} || [] },
			$p->{prog} ? @{ $p->{prog} } : application(0, 1, @{ $p->{app} }));
		my $port = $p->{via} ? proxy($server->{port}, $p->{via}) : $server->{port};
		my $client = start({ env => { PEER_AUTHORITIES => file('root.pem'), PEER_NAME => 'localhost', %peer_env } },
			$peer, 'client', $port, @{ $p->{steps} });
		started($p, $server);
		my $status = $server->wait_for_log(qr/ end \d+ status (\d+)/, $limit);
		my $seconds = time - $begin;
		my $end = $client->wait_for_end($limit);
		my $log = $server->log;
		$server->stop;
		return { peer => slurp($client->{out}), log => $log, seconds => $seconds, hung => !$end || !defined $status,
			exit => !defined $status ? undef : $status & 127 ? "signal $status" : $status >> 8 };
	}
	my $server = serve({ env => \%peer_env }, $peer, 'server', file('server-p256.pem'), file('server-p256.key'), @{ $p->{steps} });
	my $port = $p->{via} ? proxy($server->{port}, $p->{via}) : $server->{port};
	my $client = start({ env => { CAFILE => file('root.pem'), %{ $p->{env} || {} } } },
		command('tcpclient'), '127.0.0.1', $port, command('tlsc'), '-k', 'localhost', @{ $p->{tls} || [] },
		$p->{prog} ? @{ $p->{prog} } : application(6, 7, @{ $p->{app} }));
	started($p, $client, $client->{pid});
	my $end = $client->wait_for_end($limit);
	my $seconds = time - $begin;
	my $lines = Bear::read_all($server->{pipe}, $limit);
	my $gone = $server->wait_for_end(5);
	return { peer => $lines, log => $client->log, seconds => $seconds, hung => !$end || !$gone, exit => $end ? $end->{exit} : undef };
}

# ---- the man in the middle ----

sub send_all {
	my ($to, $bytes) = @_;
	while (length $bytes) {
		my $n = syswrite $to, $bytes or return 0;
		substr $bytes, 0, $n, '';
	}
	return 1;
}

# Whole records at the front of a buffer pass the hook. False: this direction has ended.
sub pass_records {
	my ($direction, $hook) = @_;
	while (length $direction->{buffer} >= 5) {
		my $n = 5 + unpack 'x3 n', $direction->{buffer};
		last if length $direction->{buffer} < $n;
		my $record = substr $direction->{buffer}, 0, $n, '';
		for my $piece ($hook->($direction->{name}, $direction->{number}++, $record)) {
			return 0 if ref $piece || !send_all($direction->{to}, $piece);
		}
	}
	return 1;
}

sub pass_on {
	my ($client, $server, $hook) = @_;
	my %directions = (
		fileno $client => { name => 'client', from => $client, to => $server, buffer => '', number => 0 },
		fileno $server => { name => 'server', from => $server, to => $client, buffer => '', number => 0 },
	);
	while (%directions) {
		for my $ready (IO::Select->new(map { $_->{from} } values %directions)->can_read) {
			my $direction = $directions{ fileno $ready } or next;
			my $n = sysread $ready, $direction->{buffer}, 65536, length $direction->{buffer};
			next if $n && pass_records($direction, $hook);
			send_all($direction->{to}, $direction->{buffer}) if !$n;
			shutdown $direction->{to}, 1;
			delete $directions{ fileno $ready };
		}
	}
}

sub proxy {
	my ($port, $hook) = @_;
	my $listening = IO::Socket::IP->new(LocalHost => '127.0.0.1', LocalPort => 0, Listen => 5, Type => SOCK_STREAM) or die "listen: $!";
	my $pid = fork;
	die "fork: $!" unless defined $pid;
	if (!$pid) {
		$SIG{PIPE} = 'IGNORE';
		alarm 40;
		my $client = $listening->accept or _exit(1);
		my $server = connect_to($port) or _exit(1);
		setsockopt $_, IPPROTO_TCP, TCP_NODELAY, 1 for $client, $server;
		eval { pass_on($client, $server, $hook) };
		print STDERR "# proxy: $@" if $@;
		_exit(0);
	}
	push @proxies, $pid;
	return $listening->sockport;
}

END {
	if ($$ == $main) {
		local $?;
		for my $pid (@proxies) {
			kill 'KILL', $pid;
			waitpid $pid, 0;
		}
	}
}

1;
