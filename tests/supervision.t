#!/usr/bin/perl
# doc/guide/supervision.md under daemontools, runit and s6: every script of the guide starts a service that says when it is ready, logs,
# ends when it is told to, and with the listening socket held by a parent is restarted without a refused client.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Bear;
use BearTls;
use POSIX qw(_exit);
use Test::More;

alarm 120;
$SIG{ALRM} = sub { die "too slow\n" };    # so that what was started is ended

# Whatever is started below carries this in its environment, so that it is found again wherever it was moved to.
my $main = $$;
$ENV{BEAR_SUPERVISION} = "$$-" . time;
my $mark = "BEAR_SUPERVISION=$ENV{BEAR_SUPERVISION}";
my $programs = command('sslserver') =~ s{/[^/]+\z}{}r;
$ENV{PATH} = "$programs:$ENV{PATH}:/usr/sbin:/sbin";
$ENV{CAFILE} = file('root.pem');

# ---- the guide ----

# Scripts by their section and name. Those of the last sections are introduced by a sentence that names the supervisor.
my %script;
{
	my $section = '';
	for (split /^(?=## )/m, slurp("$FindBin::Bin/../doc/guide/supervision.md")) {
		($section) = /\A## (.*)/ or next;
		while (/^(?:With (\w+),[^\n]*)?`([\w\/-]+)`(?: is)?:\n\n```\w*\n(.*?)^```$/msg) { $script{ $1 ? "held $1" : $section }{$2} = $3 }
	}
}
is(join(' ', map { my $section = $_; map { "$section:$_" } sort keys %{ $script{$_} } } sort grep { $_ ne 'systemd' } keys %script),
	'A service:web/page An encrypted key:web/run Restart without a refused client:hold daemontools:web/log/run daemontools:web/run held daemontools:web/run '
		. 'held runit:web/run held s6:web/run runit:web/check runit:web/finish runit:web/log/run runit:web/run '
		. 's6:web/log/run s6:web/notification-fd s6:web/run', 'the scripts of the guide');

# What cannot be the same on every machine: address, port, and the users, whom only root can become.
sub here {
	my ($text) = @_;
	$text =~ s/\b0\.0\.0\.0 443\b/127.0.0.1 0/g;
	if   ($< == 0) { $text =~ s/(setuidgid|chpst -u) log\b/$1 daemon/g }
	else           { $text =~ s/\b(?:s6-)?(?:envuidgid www-data|setuidgid log) ?//g; $text =~ s/ -U www-data| -U\b|chpst -u log //g }
	return $text;
}

sub install {
	my ($path, $text) = @_;
	spew($path, here($text));
	chmod 0755, $path or die "$path: $!";
}

# The service of the guide in a directory of its own below the one that is scanned; returns its path.
our $key = file('server-rsa.key');

sub service {
	my ($supervisor, $scanned, $held) = @_;
	my $web = "$scanned/.web";    # no supervisor looks at it before it is complete
	my $server = $held ? "$web/server" : $web;
	for my $directory ($scanned, $web, $server, "$server/env", "$web/log", "$web/log/main") { -d $directory or mkdir $directory, 0755 or die "$directory: $!" }
	chown 1, 1, "$web/log/main" if $< == 0;    # daemon
	my %files = (%{ $script{'A service'} }, %{ $script{$supervisor} });
	for my $name (keys %files) {
		my $text = $files{$name};
		if ($held && $name eq 'web/run') { $text =~ s/0\.0\.0\.0 443/fd:3 0/ or die 'no address' }
		my $within = $name =~ s{^web/}{}r;
		install($within =~ /^log/ ? "$web/$within" : "$server/$within", $text);
	}
	install("$web/run", $script{"held $supervisor"}{'web/run'}) if $held;
	spew("$server/env/CERTFILE", file('server-rsa.pem') . "\n");
	spew("$server/env/KEYFILE", "$key\n");
	spew("$server/env/SSL_USER", "daemon\n") if $< == 0;
	rename $web, "$scanned/web" or die "$scanned/web: $!";
	return "$scanned/web";
}

# ---- processes ----

# Of this test, by their ids; with a name: only those that run that.
sub processes {
	my ($name) = @_;
	my @found;
	for my $folder (glob '/proc/[1-9]*') {
		my ($pid) = $folder =~ /(\d+)\z/;
		next if $pid == $$ || slurp("$folder/environ") !~ /(?:\A|\0)\Q$mark\E(?:\0|\z)/;
		next if slurp("$folder/stat") =~ /\) Z /;
		next if defined $name && slurp("$folder/comm") ne "$name\n";
		push @found, $pid;
	}
	return @found;
}

END {
	if ($$ == $main) {
		local $?;
		for (1 .. 3) { kill 'KILL', processes() }
	}
}

# Of processes of that name, the one that has no parent of that name: connections are children of the listener.
sub listener {
	my @all = processes('sslserver');
	my %is = map { $_ => 1 } @all;
	my @listeners = grep { slurp("/proc/$_/stat") =~ /\) \w (\d+)/ && !$is{$1} && BearTls::listening_port($_) } @all;
	return @listeners == 1 ? $listeners[0] : 0;
}

# ---- clients ----

# One request, the second half of it when the file is there.
sub client {
	my ($port, $until) = @_;
	my $wait = $until ? "while ! test -e '$until'; do sleep 0.05; done;" : '';
	return (command('sslclient'), '127.0.0.1', $port, 'sh', '-c', qq(printf 'GET / HTTP/1.0\\r\\n' >&7; $wait printf '\\r\\n' >&7; cat <&6));
}

my $expected = qr/\AHTTP\/1\.0 200 OK\r\n.*\r\n\r\nHello 127\.0\.0\.1\n\z/s;

# Clients one after the other, until the file is there, as many as that at the same time. Each leaves a line in a file of its own.
sub clients {
	my ($port, $many, $stop) = @_;
	return map {
		my $lines = "$stop.$_";
		my $pid = fork;
		die "fork: $!" unless defined $pid;
		if (!$pid) {
			open my $file, '>>', $lines or _exit(1);
			$file->autoflush(1);
			open STDERR, '>&', $file or _exit(1);
			until (-e $stop || getppid() != $main) {
				open my $pipe, '-|', client($port) or _exit(1);
				my $answer = do { local $/; <$pipe> };
				my $done = close $pipe;
				print $file $done && defined $answer && $answer =~ $expected ? "answered\n" : "failed: status $?, answer <" . (defined $answer ? $answer =~ s/[\r\n]+/ /gr : '') . ">\n";
			}
			_exit(0);
		}
		{ pid => $pid, lines => $lines };
	} 1 .. $many;
}

# Number of answers, and all other lines.
sub outcome_of {
	my (@clients) = @_;
	waitpid $_->{pid}, 0 for @clients;
	my @lines = map { split /\n/, slurp($_->{lines}) } @clients;
	return (scalar(grep { $_ eq 'answered' } @lines), join "\n", grep { $_ ne 'answered' } @lines);
}

# ---- supervisors ----

my %supervisors = (
	daemontools => {
		needs    => [qw(svscan supervise svc svstat multilog envdir envuidgid setuidgid)],
		scan     => sub { return ('svscan', $_[0]) },
		is_ready => sub { return -s "$_[0]/ready" },
		restart  => sub { return ('svc', '-t', $_[0]) },
		end      => sub { return ('svc', '-d', $_[0]) },
		is_down  => sub { return run('svstat', $_[0])->{out} =~ /: down / },
		leave    => sub { my ($service, $scan) = @_; run('svc', '-dx', $service, "$service/log"); $scan->stop },
		stamp    => qr/^\@[0-9a-f]{24} /m,
	},
	runit => {
		needs    => [qw(runsvdir runsv sv chpst svlogd)],
		scan     => sub { return ('runsvdir', $_[0]) },
		is_ready => sub { return run('sv', 'check', $_[0])->{out} =~ /^ok: / },
		restart  => sub { return ('sv', 'term', $_[0]) },
		end      => sub { return ('sv', 'down', $_[0]) },
		is_down  => sub { return run('sv', 'status', $_[0])->{out} =~ /^down: / },
		leave    => sub { my ($service, $scan) = @_; kill 'HUP', $scan->{pid}; $scan->wait_for_end(10) },
		stamp    => qr/^\d{4}-\d\d-\d\d_\d\d:\d\d:\d\d\.\d+ /m,
	},
	s6 => {
		needs    => [qw(s6-svscan s6-supervise s6-svc s6-svstat s6-svwait s6-svscanctl s6-log s6-envdir s6-envuidgid s6-setuidgid)],
		scan     => sub { return ('s6-svscan', $_[0]) },
		is_ready => sub { my $result = run('s6-svwait', '-U', '-t', '8000', $_[0]); return defined $result->{exit} && $result->{exit} == 0 },
		restart  => sub { return ('s6-svc', '-t', $_[0]) },
		end      => sub { return ('s6-svc', '-d', $_[0]) },
		is_down  => sub { return run('s6-svstat', '-o', 'up', $_[0])->{out} eq "false\n" },
		leave    => sub { my ($service, $scan) = @_; run('s6-svscanctl', '-t', $scan->{scanned}); $scan->wait_for_end(10) },
		stamp    => qr/^\@[0-9a-f]{24} /m,
	},
);

# Starts a supervisor on a new service; returns both and the service proper when it is ready.
sub supervised {
	my ($name, $held, $folder) = @_;
	my $supervisor = $supervisors{$name};
	my $scanned = temporary($folder || $name . ($held ? '-held' : ''));
	my $service = service($name, $scanned, $held);
	my $server = $held ? "$service/server" : $service;
	my $scan = start({ before => sub { chdir $scanned or _exit(126) } }, $supervisor->{scan}->($scanned));
	$scan->{scanned} = $scanned;
	return ($scan, $service, $server)
		if ok(wait_until(sub { -d "$server/supervise" && $supervisor->{is_ready}->($server) }, 10), 'is ready');
	diag($scan->log, slurp("$service/log/main/current"));
	kill 'KILL', processes() for 1 .. 3;
	return;
}

# Everything that was started has ended, in the way that the supervisor's manual has for it.
sub ended {
	my ($name, $scan, $service) = @_;
	my $supervisor = $supervisors{$name};
	is(run($supervisor->{end}->($service))->{exit}, 0, 'told to end');
	ok(wait_until(sub { $supervisor->{is_down}->($service) && !processes('sslserver') }, 5), 'the service is down, nothing of it is left')
		or diag(run('ps', '-f', processes())->{out});
	ok($supervisor->{leave}->($service, $scan), 'the supervisor has ended');
	ok(wait_until(sub { !processes() }, 5), 'and left nothing') or diag(run('ps', '-f', processes())->{out});
}

sub in_log {
	my ($service, $pattern) = @_;
	return wait_until(sub { slurp("$service/log/main/current") =~ $pattern }, 5);
}

# Restarts by the supervisor's own command; the id of the new listener, once it is ready.
sub restarted {
	my ($name, $server) = @_;
	my $supervisor = $supervisors{$name};
	my $old = wait_until(\&listener, 5);
	run($supervisor->{restart}->($server));
	my $new = wait_until(sub { my $pid = listener(); $pid && $pid != $old ? $pid : 0 }, 8);
	return wait_until(sub { $supervisor->{is_ready}->($server) }, 8) ? $new : 0;
}

sub started_notified_logged {
	my ($name) = @_;
	my ($scan, $service) = supervised($name, 0) or return;
	my $pid = wait_until(\&listener, 5);
	ok($pid, 'and is there') or return;
	my $port = BearTls::listening_port($pid);
	like(run(client($port))->{out}, $expected, 'a client at once');
	my $stamp = $supervisors{$name}{stamp};
	ok(in_log($service, qr/${stamp}sslserver: ok \d+ example\.org:127\.0\.0\.1:$port /m), 'the log says so, with the time')
		or diag(slurp("$service/log/main/current"));
	ok(in_log($service, qr/${stamp}sslserver: ended by \d+ status 0$/m), 'and that it has ended');
	is(slurp("$service/ready"), "$port\n", 'the file has the port') if -e "$service/ready";

	my $new = restarted($name, $service);
	ok($new && $new != $pid, 'restarted and ready again');
	ended($name, $scan, $service);
}

sub restarted_without_a_refused_client {
	my ($name) = @_;
	my ($scan, $service, $server) = supervised($name, 1) or return;
	my $pid = wait_until(\&listener, 5);
	ok($pid, 'and is there') or return;
	my $port = BearTls::listening_port($pid);

	my $go = temporary("$name-go");
	my $running = start(client($port, $go));
	ok(wait_until(sub { processes('page') }, 5), 'a connection is served');

	my $stop = temporary("$name-stop");
	my @clients = clients($port, 4, $stop);
	ok(wait_until(sub { (grep { -s $_->{lines} } @clients) == @clients }, 10), 'clients come and go');
	my %listeners = ($pid => 1);
	for (1 .. 3) {
		my $new = restarted($name, $server);
		ok($new && !$listeners{$new}++ && BearTls::listening_port($new) == $port, "restarted ($_), on the same socket");
	}
	spew($stop, '');
	my ($answered, $failed) = outcome_of(@clients);
	is($failed, '', 'no client was refused') or diag(slurp("$service/log/main/current"));
	cmp_ok($answered, '>', 20, "and they were many ($answered)");

	ok($running->running, 'the connection of before is still there');
	spew($go, '');
	my $end = $running->wait_for_end(5);
	is($end && $end->{exit}, 0, 'and finishes');
	like(slurp($running->{out}), $expected, 'with the answer');
	ok(in_log($service, qr/sslserver: ok /), 'the log of the outer service is that of all');
	ended($name, $scan, $service);
}

# The section of the guide, with a key whose password is made as it is there.
my $encrypted = temporary('encrypted.key');
openssl('pkcs8', '-topk8', '-in', file('server-rsa.key'), '-passout', 'pass:a word or two', '-out', $encrypted);
my ($of_password, $unit) = slurp("$FindBin::Bin/../doc/guide/supervision.md") =~ /^## An encrypted key\n.*?^```sh\n(umask.*?)^```.*?^```ini\n.*?^ExecStart=(.*?)\n```/ms;

sub make_password {
	my ($folder) = @_;
	my $made = run({ in => "a word or two\n", before => sub { chdir $folder or _exit(126) } }, 'sh', '-c', $of_password);
	is($made->{exit}, 0, 'the password is written');
	is((stat "$folder/password")[2] & 0777, 0600, 'for nobody else');
}

sub with_an_encrypted_key {
	local $key = $encrypted;
	local $script{runit} = { %{ $script{runit} }, %{ $script{'An encrypted key'} } };
	my $password = temporary('making');
	mkdir $password, 0755;
	make_password($password);
	local $script{'A service'} = { %{ $script{'A service'} }, 'web/password' => slurp("$password/password") };
	my ($scan, $service) = supervised('runit', 0, 'runit-encrypted') or return;
	my $pid = wait_until(\&listener, 5);
	like(run(client(BearTls::listening_port($pid)))->{out}, $expected, "a client ($_)") for 1, 2;
	ended('runit', $scan, $service);
}

# The unit's line, with a socket as descriptor 3, as systemd would run it.
sub with_a_credential {
	my $folder = temporary('credential');
	mkdir $folder, 0755;
	make_password($folder);
	my ($command) = $unit =~ m{\A/bin/sh -c '(.*)'\z} or return fail('the line of the unit');
	$command =~ s{/usr/local/bin/}{};
	$command =~ s{-u 33 -g 33 }{} if $<;
	install(temporary('page'), $script{'A service'}{'web/page'});
	install(temporary('hold'), $script{'Restart without a refused client'}{hold});
	chmod 0644, $encrypted;
	my $server = start({ env => { CREDENTIALS_DIRECTORY => $folder, CERTFILE => file('server-rsa.pem'), KEYFILE => $encrypted }, before => sub { chdir temporary() or _exit(126) } },
		'./hold', '127.0.0.1', '0', 'sh', '-c', $command);
	my $port = wait_until(sub { BearTls::listening_port($server->{pid}) }, 5);
	like(run(client($port))->{out}, $expected, "a client ($_)") or diag($server->log) for 1, 2;
	is($server->stop->{exit}, 0, 'ended');
}

# That clients notice a restart at all: with a socket that goes away they do.
sub refused_without_holder {
	my $server = sslserver({}, ['-H'], 'true');
	my $stop = temporary('refused-stop');
	my @clients = clients($server->{port}, 1, $stop);
	$server->stop;
	ok(wait_until(sub { slurp($clients[0]{lines}) =~ /refused/ }, 5), 'a client that comes when nobody listens says so');
	spew($stop, '');
	outcome_of(@clients);
}

subtest 'clients notice' => \&refused_without_holder;
subtest 'an encrypted key, its password from systemd' => \&with_a_credential;
for my $name (sort keys %supervisors) {
	my @missing = grep { my $tool = $_; !grep { -x "$_/$tool" } split /:/, $ENV{PATH} } @{ $supervisors{$name}{needs} };
	SKIP: {
		skip "$name is not there: no @missing", $name eq 'runit' ? 3 : 2 if @missing;
		chmod 0755, map { install(temporary($_), $script{'Restart without a refused client'}{$_}); temporary($_) } 'hold';
		local $ENV{PATH} = temporary() . ":$ENV{PATH}";
		subtest "$name: started, notified, logged, ended" => sub { started_notified_logged($name) };
		subtest "$name: an encrypted key" => \&with_an_encrypted_key if $name eq 'runit';
		subtest "$name: restarted without a refused client" => sub { restarted_without_a_refused_client($name) };
	}
}

done_testing;
