#!/usr/bin/perl
# The scripts of the guides about tunnels and for those who come from other programs, each with ports and files of this test.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Bear;
use BearTls;
use Test::More;
use Time::HiRes qw(sleep);

my $here = temporary('guides');
mkdir $here;
$ENV{PATH} = (command('') =~ s{/\z}{}r) . ":$ENV{PATH}";
my %script;
for my $guide (qw(tunnels from-stunnel from-sslwrap-and-sst from-ucspi-ssl from-s6-networking)) {
	my $text = slurp("$FindBin::Bin/../doc/guide/$guide.md");
	while ($text =~ /\n\n`([a-z0-9-]+)`(?:(?!\n\n`[a-z]).)*?\n```sh\n(.*?)^```$/msg) { $script{$1} = $2 }
}

# Ports that are served by somebody, and one that is free for a server of the guide.
my $imap = serve(command('tcpserver'), '-1', '127.0.0.1', '0', 'sh', '-c', 'echo "* one"; cat');
my $spare = serve(command('tcpserver'), '-1', '127.0.0.1', '0', 'sh', '-c', 'echo "* two"; cat');
my $remote = sslserver({}, [], 'sh', '-c', 'echo "* remote"; cat');
my ($closed, $own);
$closed = free_port();

# The script as a file, with words replaced as the pairs say.
sub recipe {
	my ($name, %change) = @_;
	my $text = delete $script{$name} // die "no script $name in the guides";
	%change = ('/etc/ssl/imap.pem' => file('server-rsa.pem'), '/etc/ssl/private/imap.key' => file('server-rsa.key'), 'ca.pem' => file('root.pem'),
		'imap.example.org' => 'localhost', 'feed.example.org' => 'localhost', 'backup.example.org' => 'localhost', %change);
	my $words = join '|', map { /^\d+\z/ ? "(?<![\\w.])$_(?![\\w.])" : quotemeta } sort { length $b <=> length $a } keys %change;
	$text =~ s/($words)/$change{$1}/g;
	$text =~ s/ 0 (?=\d)/ 127.0.0.1 /g; # nobody else is to reach it
	my $path = spew("$here/$name", $text);
	chmod 0755, $path;
	return $path;
}

# A server of the guides, which listens on $own.
sub served {
	my ($path) = @_;
	my $server = start({ env => { CAFILE => file('root.pem') }, before => sub { chdir $here } }, $path);
	wait_until(sub { is_listening($own) || !$server->running }, 10);
	ok($server->running, $path =~ s{.*/}{}r . ' listens') or diag($server->log, slurp($server->{out}));
	return $server;
}

sub tls_answer { return s_client({ in => $_[0] }, $own, '-quiet')->{out} }
# A client that ends its side, which s_client cannot do alone.
sub tls_ask { my ($text) = @_; return run({ in => $text, env => { CAFILE => file('root.pem') } }, command('sslclient'), '-RHl0', 'localhost', $own, command('relay'))->{out} }

subtest 'before a service' => sub {
	for my $case (['front', { 143 => $imap->{port} }, ['one', 'one']], ['front-with-spares', { 143 => $closed, 144 => $spare->{port} }, ['two', 'two']],
		['front-in-turn', { 143 => $imap->{port}, 144 => $spare->{port} }, ['one', 'two', 'one']], ['wrapped-port', { 143 => $imap->{port} }, ['one']], ['imap-front', { 143 => $imap->{port} }, ['one']]) {
		my ($name, $ports, $answers) = @$case;
		my $text = $script{$name};
		$own = free_port();
		my $server = served(recipe($name, 993 => $own, %$ports));
		is(tls_ask("words\n"), "* $_\nwords\n", "$name: $_") for @$answers;
		is($server->stop->{exit}, 0, 'ends well');
		$own = free_port();
		$script{$name} = $text;
		$server = served(recipe($name, 993 => $own, 143 => $closed, 144 => $closed));
		like(s_client({ in => "words\n" }, $own, '-quiet')->{err}, qr/alert internal error/, "$name: broken off when nobody answers");
		$server->stop;
	}
};

subtest 'for a client' => sub {
	for my $case (['local-port', { 993 => $remote->{port} }], ['local-port-with-spares', { 993 => $remote->{port}, 994 => $closed }],
		['imap-port', { 993 => $remote->{port} }]) {
		my ($name, $ports) = @$case;
		$own = free_port();
		my $server = served(recipe($name, 1143 => $own, %$ports));
		is(ask($own, "words\n"), "* remote\nwords\n", $name);
		$server->stop;
	}
};

subtest 'kept up' => sub {
	plan skip_all => 'no supervise (package/deps test)' unless run('sh', '-c', 'command -v supervise')->{exit} == 0;
	my $feed = sslserver({}, [], 'sh', '-c', 'echo "fed $$"'); # each connection ends at once
	my $received = temporary('received');
	mkdir "$here/feed-service";
	rename recipe('feed', 7000 => $feed->{port}), "$here/feed-service/run";
	chmod 0755, spew("$here/feed-service/receive", "#!/bin/sh\nexec cat >>$received\n");
	my $supervisor = start({ env => { CAFILE => file('root.pem') } }, 'supervise', "$here/feed-service");
	ok(wait_until(sub { (() = slurp($received) =~ /^fed \d+$/mg) >= 2 }, 15), 'feed: connects again and again') or diag($supervisor->log, slurp($supervisor->{out}));
	run('svc', '-dx', "$here/feed-service");
	ok($supervisor->wait_for_end(10), 'and ends with its supervisor');

	my $passive = serve(command('tcpserver'), '-1', '127.0.0.1', '0', 'sh', '-c', "cat >>$received.joined");
	my $joined = recipe('kept-port', 7100 => $passive->{port}, 7000 => $feed->{port});
	is(run({ env => { CAFILE => file('root.pem') } }, $joined)->{exit}, 0, 'kept-port: ends when both have');
	ok(wait_until(sub { slurp("$received.joined") =~ /\Afed \d+\n\z/ }, 5), 'with what came');
};

subtest 'from other programs' => sub {
	my $env = { CAFILE => file('root.pem') };
	my $said = sslserver({}, [], 'sh', '-c', 'read a; echo "stored $a"');
	is(run({ in => "backup\n", env => $env }, recipe('backup', 7000 => $said->{port}))->{out}, "stored backup\n", 'backup');
	my $hello = sslserver({}, [], 'echo', 'hello');
	is(run(recipe('fetch', 993 => $hello->{port}))->{out}, "hello\n", 'fetch');
	is(run(recipe('client', 993 => $hello->{port}))->{out}, "hello\n", 'client');
	$own = free_port();
	is(run({ in => ":allow\n" }, command('tcprules'), "$here/rules.cdb", "$here/rules.tmp")->{exit}, 0, 'rules');
	my $server = served(recipe('smtps', 993 => $own));
	like(tls_answer(''), qr/\Ahello\n127\.0\.0\.1 TLSv1\.\d\n\z/, 'smtps');
	$server->stop;
	$own = free_port();
	$server = served(recipe('service', 993 => $own));
	like(tls_ask("words\n"), qr/\ATLSv1\.\d\nwords\n\z/, 'service');
	$server->stop;
};

is(join(' ', sort keys %script), '', 'every script was run');

done_testing;
