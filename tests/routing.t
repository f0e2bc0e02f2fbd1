#!/usr/bin/perl
# The recipes of doc/guide/routing.md, run as they stand there but for their ports.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Bear;
use BearTls;
use Test::More;

delete $ENV{$_} for qw(PROXYRECV PROXYHEADER SOCKOPT);
my $guide = slurp("$FindBin::Bin/../doc/guide/routing.md");
my $here = temporary('recipes');
mkdir $here;
my $path = command('x') =~ s{/x\z}{}r . ":$ENV{PATH}";

# The block that follows `name` in the text, as an executable file of that name; %change are words in it.
sub recipe {
	my ($name, %change) = @_;
	my ($block) = $guide =~ /`\Q$name\E`(?:(?!```).)*?```(?:sh)?\n(.*?)```/s or die "no $name in the guide";
	for my $word (sort keys %change) { $block =~ s/\Q$word\E/$change{$word}/ or die "$word is not in $name" }
	spew("$here/$name", $block);
	chmod 0755, "$here/$name";
	return "$here/$name";
}

sub program { my ($name, $text) = @_; spew("$here/$name", "#!/bin/sh\n$text\n"); chmod 0755, "$here/$name" }
program($_, qq(read -r line; echo "$_\${1+ \$1} \$line \${TCPREMOTEIP-} \${WHO-}")) for qw(www shop other);

sub serve_recipe {
	my ($name, %change) = @_;
	my $file = recipe($name, %change);
	return serve({ env => { %{ pair('server-p256') }, PATH => $path }, before => sub { chdir $here } }, $file);
}

# What the server says to a TLS client that asks for this name, and says hello.
sub tls_ask {
	my ($port, $name, $ca) = @_;
	return run({ env => { CAFILE => $ca || file('root.pem'), TLS_SNI => $name, TLS_PEERNAME => 'localhost' } }, command('sslclient'), '-H', '127.0.0.1', $port, 'sh', '-c', 'echo hello >&7; cat <&6')->{out};
}

subtest 'after the handshake' => sub {
	recipe('by-name');
	my $server = serve_recipe('names', '-v 0 443' => '-1v 127.0.0.1 0');
	like(tls_ask($server->{port}, 'www.example.test'), qr/^www hello/, 'a name');
	like(tls_ask($server->{port}, 'Toys.shop.example.test'), qr/^shop toys hello/, 'a pattern');
	like(tls_ask($server->{port}, 'else.test'), qr/^other hello/, 'any other');
	like(tls_ask($server->{port}, '0'), qr/^other hello/, 'none');
};

subtest 'before the handshake' => sub {
	my $inner = sslserver({ pair => 'via-p256' , env => { CERTCHAINFILE => file('via-p256-chain.pem') } }, ['-H'], 'sh', '-c', 'read -r line; echo "inner $line $SSL_TLS_SNI_SERVERNAME"');
	recipe('choose', 8443 => $inner->{port});
	my $server = serve_recipe('peek', '-v 0 443' => '-1v 127.0.0.1 0');
	like(tls_ask($server->{port}, 'www.example.test'), qr/^www hello 127/, 'TLS here');
	like(tls_ask($server->{port}, 'else.test'), qr/^other hello/, '... for another');
	is(tls_ask($server->{port}, 'inner.example.test'), "inner hello inner.example.test\n", 'TLS of another server, passed on');
};

subtest 'behind a proxy' => sub {
	recipe($_) for qw(proxies clients);
	my $server = serve_recipe('behind', '-v -x proxies.cdb 0 443' => '-1vH -x proxies.cdb 127.0.0.1 0');
	my $ask = sub {
		my ($client) = @_;
		return run({ env => { CAFILE => file('root.pem') } }, command('tcpclient'), '-H', '127.0.0.1', $server->{port}, 'sh', '-c', 'printf "PROXY TCP4 $0 192.0.2.1 1 2\r\n" >&7; exec "$@"', $client,
			command('tlsc'), '-k', 'localhost', 'sh', '-c', 'echo hello >&7; cat <&6')->{out};
	};
	is($ask->('198.51.100.7'), "www hello 198.51.100.7 office\n", 'the rules are for the client');
	is($ask->('203.0.113.7'), "www hello 203.0.113.7 \n", '... each its own');
	is($ask->('198.51.100.66'), '', '... and some not at all');
	is(tls_ask($server->{port}, 'localhost'), '', 'without a header nobody comes in');
};

subtest 'in front of a server' => sub {
	my $backend = serve({ env => { PROXYRECV => 1 } }, command('tcpserver'), '-1H', '127.0.0.1', '0', command('proxyrecv'), 'sh', '-c', 'read -r line; echo "$line $TCPREMOTEIP $TCPLOCALPORT $SSL_TLS_SNI_SERVERNAME"');
	my $server = serve_recipe('front', '-v 0 443' => '-1vH 127.0.0.1 0', ' 8080 ' => " $backend->{port} ");
	is(tls_ask($server->{port}, 'www.example.test'), "hello 127.0.0.1 $server->{port} www.example.test\n", 'the server is told');
};

subtest 'transparent' => sub {
	plan skip_all => 'not root, or no network namespaces here' if $> || run('unshare', '-n', 'true')->{exit};
	recipe('transparent', '-v 0 25' => '-1H 10.9.9.8 0', '192.0.2.25 25' => '10.9.9.9 2525');
	my $result = run({ timeout => 30, env => { PATH => $path }, before => sub { chdir $here } }, 'unshare', '-n', 'sh', '-c', <<'END');
set -e
ip link set lo up
ip addr add 10.9.9.9/32 dev lo
ip addr add 10.9.9.8/32 dev lo
ip addr add 10.9.9.7/32 dev lo
mkfifo one two
tcpserver -1H 10.9.9.9 2525 sh -c 'echo "$TCPREMOTEIP"' >one & server=$!
read -r port <one
./transparent >two & relay=$!
read -r port <two
tcpclient -H -i 10.9.9.7 10.9.9.8 "$port" sh -c 'cat <&6' || true
kill "$server" "$relay"
wait "$server" "$relay" || true
END
	is($result->{out}, "10.9.9.7\n", 'the server sees the client') or diag $result->{err};
};

done_testing;
