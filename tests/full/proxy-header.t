#!/usr/bin/perl
# The PROXY protocol with haproxy, nginx and hitch: what they send is understood, and they understand what is sent. Each is started by this
# test on free ports of loopback, from where package/deps has unpacked it, and ended by its id.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Bear;
use BearTls;
use IO::Socket::IP;
use Test::More;

delete $ENV{$_} for qw(PROXYRECV PROXYHEADER);
my $peers = $ENV{PEERS} || "$FindBin::Bin/../../build/peers";
my $root = $> == 0;

sub where {
	my ($path) = @_;
	my ($found) = grep { -e } glob("/$path"), glob("$peers/*/$path");
	return $found;
}


# Starts it with a configuration in which %0, %1 .. are free ports; once more if another program was faster. { ports }
sub start_with {
	my ($configuration, @command) = @_;
	for (1 .. 3) {
		my @ports = map { free_port() } 0 .. 5;
		my $file = spew(temporary('conf' . int rand 1e9), $configuration =~ s/%(\d)/$ports[$1]/gr);
		my $server = start(map { s/%F/$file/r } @command);
		$server->{ports} = \@ports;
		return $server if wait_until(sub { !$server->running || connect_to($ports[0]) }, 10) && $server->running;
		diag $server->log;
	}
	die "not started: @command";
}

# What stands behind a proxy: shows its environment, then what it reads.
my $proxies = temporary('proxies.cdb');
run({ in => "127.0.0.1:allow,PROXYRECV=\"1\"\n" }, command('tcprules'), $proxies, "$proxies.tmp");
my $backend = serve(command('tcpserver'), '-1vH', '-x', $proxies, '127.0.0.1', '0', command('proxyrecv'), 'sh', '-c', 'env; echo =====; read -r line; echo "$line"');
my $address = '127.0.0.1:' . $backend->{port};

# One connection: what the backend shows, and the port of the client.
sub through {
	my ($port, $header) = @_;
	my $socket = connect_to($port) or return ('', 0);
	syswrite $socket, ($header || '') . "hello\n";
	return (read_all($socket), $socket->sockport);
}

sub is_told {
	my ($name, $port) = @_;
	my ($said, $own) = through($port);
	like($said, qr/^TCPREMOTEPORT=$own$/m, "$name: the client's port") or diag $backend->log;
	like($said, qr/^TCPLOCALPORT=$port$/m, '... and where it has connected to');
	like($said, qr/=====\nhello$/m, '... and what it says');
}

# The same with TLS in front.
sub is_told_of_tls {
	my ($name, $port, %want) = @_;
	my $said = s_client({ in => "hello\n" }, $port, '-servername', 'localhost', '-cert', file('client.pem'), '-key', file('client.key'), '-alpn', 'x1,h2')->{out};
	like($said, qr/^TCPLOCALPORT=$port$/m, "$name: where the client has connected to") or diag $backend->log;
	like($said, qr/^$_=$want{$_}$/m, "... $_") for sort keys %want;
	like($said, qr/=====\nhello$/m, '... and what it says');
}

# proxysend, sent from an invented client to this port; returns what comes back.
sub sent_to {
	my ($port, $letters, $text, $more) = @_;
	my %client = (PROTO => 'TCP', TCPREMOTEIP => '192.0.2.7', TCPREMOTEPORT => 40000, TCPLOCALIP => '198.51.100.1', TCPLOCALPORT => 443, %{ $more || {} });
	my $result = run({ env => \%client, timeout => 20 }, command('proxysend'), $letters, command('tcpclient'), '-H', '127.0.0.1', $port, command('proxysend'),
		'sh', '-c', 'printf "%b" "$0" >&7; cat <&6', $text);
	return $result->{out} || $result->{err};
}

spew(temporary('both.pem'), slurp(file('server-p256.pem')) . slurp(file('server-p256.key')));
my $both = temporary('both.pem');
my %tls = (SSL_PROTOCOL => 'TLSv1.3', SSL_CIPHER => 'TLS_AES_256_GCM_SHA384', SSL_ALPN => 'h2', SSL_TLS_SNI_SERVERNAME => 'localhost');

subtest 'haproxy' => sub {
	my $haproxy = where('usr/sbin/haproxy');
	plan skip_all => 'not there' unless $haproxy;
	my $roots = file('root.pem');
	my $server = start_with(<<"END", $haproxy, '-db', '-f', '%F');
defaults
    mode tcp
    timeout connect 5s
    timeout client 20s
    timeout server 20s
listen v1
    bind 127.0.0.1:%0
    server b $address send-proxy
listen v2
    bind 127.0.0.1:%1
    server b $address send-proxy-v2
listen checksum
    bind 127.0.0.1:%2
    server b $address send-proxy-v2 proxy-v2-options crc32c,unique-id
    unique-id-format %ci:%cp
listen tls
    bind 127.0.0.1:%3 ssl crt $both ca-file $roots verify optional alpn h2
    server b $address send-proxy-v2 proxy-v2-options ssl,cert-cn,ssl-cipher,cert-sig,cert-key,authority,crc32c
listen receives
    bind 127.0.0.1:%4 accept-proxy
    server b $address send-proxy-v2 proxy-v2-options crc32c
listen checked
    bind 127.0.0.1:%5
    server b $address send-proxy-v2 check check-send-proxy inter 200
END
	is_told('version 1', $server->{ports}[0]);
	is_told('version 2', $server->{ports}[1]);
	is_told('a checksum, and a TLV that is passed over', $server->{ports}[2]);
	is_told_of_tls('TLS', $server->{ports}[3], %tls, SSL_CLIENT_S_DN_CN => 'Test Client', SSL_CLIENT_VERIFY => 'SUCCESS');
	like(sent_to($server->{ports}[4], $_, 'hello\n', { SSL_PROTOCOL => 'TLSv1.3', SSL_TLS_SNI_SERVERNAME => 'a.test' }), qr/^TCPREMOTEIP=192\.0\.2\.7\n.*=====\nhello$/ms, "it takes $_ of proxysend") for '-p', '-p1', '-pc', '-pn';
	my $six = { PROTO => 'TCP6', TCP6REMOTEIP => '2001:db8::7', TCP6REMOTEPORT => 1, TCP6LOCALIP => '2001:db8::1', TCP6LOCALPORT => 2 };
	like(sent_to($server->{ports}[4], $_, 'hello\n', $six), qr/^TCP6REMOTEIP=2001:db8::7$/m, "... with IPv6, $_") for '-pc', '-p1';
	my $own = run(command('tcpclient'), '-H', '127.0.0.1', $server->{ports}[4], command('proxysend'), '-lc', 'sh', '-c', 'echo hello >&7; cat <&6');
	like($own->{out}, qr/^TCPREMOTEIP=127\.0\.0\.1$/m, '... and LOCAL');
	unlike($backend->log, qr/^proxyrecv: error/m, 'nothing of it was refused');
};

subtest 'nginx' => sub {
	my ($nginx, $module) = (where('usr/sbin/nginx'), where('usr/lib/nginx/modules/ngx_stream_module.so'));
	plan skip_all => 'not there' unless $nginx && $module;
	my $here = temporary('nginx');
	mkdir $here;
	chmod 0777, $here;
	my $paths = join '', map { "${_}_temp_path $here/$_; " } qw(client_body proxy fastcgi uwsgi scgi);
	my $server = start_with(<<"END", $nginx, '-c', '%F', '-p', $here, '-e', 'stderr');
load_module $module;
@{[ $root ? 'user nobody nogroup;' : '' ]}
daemon off;
master_process off;
pid $here/pid;
events { }
stream {
    server { listen 127.0.0.1:%0; proxy_pass $address; proxy_protocol on; }
}
http {
    access_log off; $paths
    server { listen 127.0.0.1:%1 proxy_protocol; location / { return 200 "\$proxy_protocol_addr \$proxy_protocol_port \$proxy_protocol_server_addr\\n"; } }
}
END
	is_told('version 1', $server->{ports}[0]);
	like(sent_to($server->{ports}[1], $_, 'GET / HTTP/1.0\r\n\r\n', \%tls), qr/^192\.0\.2\.7 40000 198\.51\.100\.1$/m, "it takes $_ of proxysend") for '-p', '-p1', '-pc';
};

subtest 'hitch' => sub {
	my $hitch = where('usr/sbin/hitch');
	plan skip_all => 'not there' unless $hitch;
	my $common = "pem-file = \"$both\"\nworkers = 1\ndaemon = off\nbackend = \"[127.0.0.1]:$backend->{port}\"\nalpn-protos = \"h2\"\n" . ($root ? "user = \"nobody\"\ngroup = \"nogroup\"\n" : '');
	my $frontend = "frontend = { host = \"127.0.0.1\" port = \"%0\" }\n";
	for my $way (['version 1', 'write-proxy-v1 = on', 0], ['version 2', "write-proxy-v2 = on\nproxy-tlv = on", 1]) {
		my $server = start_with("$common$frontend$way->[1]\n", $hitch, '--config=%F');
		my %want = $way->[2] ? (SSL_PROTOCOL => $tls{SSL_PROTOCOL}, SSL_CIPHER => $tls{SSL_CIPHER}, SSL_ALPN => 'h2', SSL_TLS_SNI_SERVERNAME => 'localhost') : ();
		is_told_of_tls($way->[0], $server->{ports}[0], %want);
		$server->stop;
	}
	# It hands on a header that comes before TLS.
	my $server = start_with("$common${frontend}proxy-proxy = on\n", $hitch, '--config=%F');
	for my $letters ('-p', '-p1') {
		my %client = (PROTO => 'TCP', TCPREMOTEIP => '192.0.2.7', TCPREMOTEPORT => 40000, TCPLOCALIP => '198.51.100.1', TCPLOCALPORT => 443, CAFILE => file('root.pem'));
		my $result = run({ env => \%client, timeout => 20 }, command('proxysend'), $letters, command('tcpclient'), '-H', '127.0.0.1', $server->{ports}[0], command('proxysend'),
			command('tlsc'), '-k', 'localhost', 'sh', '-c', 'echo hello >&7; cat <&6');
		like($result->{out}, qr/^TCPREMOTEIP=192\.0\.2\.7\n.*=====\nhello$/ms, "it takes $letters of proxysend, and TLS after it") or diag $result->{err}, $server->log;
	}
};

done_testing;
