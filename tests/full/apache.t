#!/usr/bin/perl
# The variables of a full report beside those of Apache's mod_ssl, on the same certificates: each serves as that of the server and of the
# client at once. Every name and value has to be the same, but for the differences listed here, which tls-environ(7) gives the reasons of.
# Apache is started by this test from where package/deps has unpacked it, or from where it is installed, and ended by its id.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Bear;
use BearTls;
use Certificates;
use VariableCases;
use IO::Socket::IP;
use Test::More;

my $peers = $ENV{PEERS} || "$FindBin::Bin/../../build/peers";
my ($apache) = grep { -x } '/usr/sbin/apache2', "$peers/apache2-bin/usr/sbin/apache2";
plan skip_all => 'no apache2' unless $apache;
(my $modules = $apache) =~ s{/sbin/apache2$}{/lib/apache2/modules};

my @cases = grep { !$_->{ours} } cases();
my $authority = authority();
my $version = newest();
my @client = ('-CAfile', $authority, $version eq 'TLSv1.2' ? ('-tls1_2', '-cipher', 'ECDHE-ECDSA-AES128-GCM-SHA256') : ('-tls1_3', '-ciphersuites', 'TLS_AES_128_GCM_SHA256'));

# What a client that presents the certificate of a case is told by a server: the variables, or undef.
sub ask_for {
	my ($port, $case, $name, @more) = @_;
	my $result = run({ in => "GET /variables HTTP/1.0\r\nHost: $name\r\n\r\n" }, 'openssl', 's_client', '-connect', "127.0.0.1:$port", '-quiet', '-ign_eof', '-servername', $name, @client, @more,
		$case ? ('-cert', $case->{pem}, '-key', $case->{key}, $case->{authorities} ? ('-cert_chain', $case->{authorities}) : ()) : ());
	my ($text) = $result->{out} =~ /<\0(.*)\0>/s;
	return diag($result->{err}) && undef unless defined $text;
	return { map { split /=/, $_, 2 } split /\0/, $text };
}

my @show = ('perl', '-e', 'print "<\0", join("\0", map { "$_=$ENV{$_}" } grep { /^SSL_/ } sort keys %ENV), "\0>"');

# ---- Apache ----

sub name_of { my ($number) = @_; return "case-$number.test" }

# Starts it with a virtual host for each case, on a port that was free a moment ago; once more if another program was faster.
sub start_apache {
	my $here = temporary('apache');
	mkdir $here;
	chmod 0755, $here;
	spew("$here/variables", "#!$^X\nprint qq(Content-Type: text/plain\\r\\n\\r\\n);\n$show[2];\n");
	chmod 0755, "$here/variables";
	my $load = join '', map { "LoadModule ${_}_module $modules/mod_$_.so\n" } qw(mpm_prefork authz_core alias cgi env ssl);
	for (1 .. 3) {
		my $port = IO::Socket::IP->new(LocalHost => '127.0.0.1', LocalPort => 0, Listen => 1)->sockport;
		my $hosts = join '', map {
			my ($case, $name) = ($cases[$_], name_of($_));
			my $chain = spew("$here/$name.pem", pem(@{ $case->{chain} }));
			"<VirtualHost 127.0.0.1:$port>\nServerName $name\nSSLEngine on\nSSLCertificateFile $chain\nSSLCertificateKeyFile $case->{key}\n</VirtualHost>\n"
		} 0 .. $#cases;
		spew("$here/conf", <<END);
ServerRoot $here
ServerName localhost
PidFile $here/pid
ErrorLog $here/log
Mutex file:$here
Listen 127.0.0.1:$port
$load
User nobody
Group nogroup
StartServers 1
MaxRequestWorkers 2
SSLSessionCache none
SSLSessionTickets off
SSLCACertificateFile $authority
SSLVerifyClient optional
SSLVerifyDepth 5
SSLOptions +StdEnvVars +ExportCertData
ScriptAlias /variables $here/variables
$hosts
END
		my $server = start($apache, '-f', "$here/conf", '-D', 'FOREGROUND');
		$server->{port} = $port;
		return $server if wait_until(sub { !$server->running || connect_to($port) }, 20) && $server->running;
		diag 'not started: ' . $server->log . slurp("$here/log");
	}
	return undef;
}

# ---- ours ----

sub start_ours {
	my ($case) = @_;
	my $chain = spew(temporary('own-chain.pem'), pem(@{ $case->{chain} }));
	return serve({ env => { CERTFILE => $chain, KEYFILE => $case->{key}, CAFILE => $authority, VERIFYDEPTH => 5, TLS_REPORT => 'full' } }, command('tcpserver'), '-1', '127.0.0.1', '0',
		command('tlsd'), '-Y', @show);
}

# ---- differences, each with its reason ----

my $side = qr/SSL_(?:CLIENT|SERVER)/;
my @differences = (
	# what only one of the two sets
	['ours', qr/\ASSL_PEER_CERT_(HASH|SUBJECT)\z/, 'those of s6-networking, always set'],
	['ours', qr/\ASSL_TLS_SNI_SERVERNAME\z/, 'the same'],
	['ours', qr/\A${side}_CERT_SHA256\z/, 'fingerprints: mod_ssl has none'],
	['ours', qr/\A${side}_SAN_IP_\d+\z/, 'mod_ssl does not know addresses'],
	['ours', qr/\ASSL_SERVER_(V_REMAIN|CERT_RFC4523_CEA|SAN_OTHER_msUPN_\d+)\z/, 'mod_ssl has it of clients only'],
	['ours', qr/\ASSL_CLIENT_SAN_OTHER_dnsSRV_\d+\z/, 'mod_ssl has it of servers only'],
	['theirs', qr/\ASSL_SECURE_RENEG\z/, 'whether the peer could: nothing is renegotiated here'],
	['either', qr/\ASSL_SESSION_ID\z/, 'a session that is not resumed needs none; in TLS 1.3 there is none'],
	# values
	['value', qr/\ASSL_VERSION_(INTERFACE|LIBRARY)\z/, 'other software', sub { return $_[1] =~ m{\A[\w-]+/\d[\w.]*\z} }],
	['value', qr/\A${side}_[SI]_DN(_\w+)?\z/, 'the control characters U+0080 to U+009F, which terminals obey, are escaped as the others are',
		sub { return $_[0] =~ s/\xc2([\x80-\x9f])/sprintf '\\C2\\%02X', ord $1/ger eq $_[1] }],
	['value', qr/\ASSL_CLIENT_CERT_RFC4523_CEA\z/, 'a quotation mark is doubled (RFC 3642 3.2): it does not end the string',
		sub { my ($before, $issuer, $after) = $_[0] =~ /\A(.*rdnSequence:")(.*)(" \})\z/s; return $before . $issuer =~ s/"/""/gr . $after eq $_[1] }],
	['value', qr/\A${side}_S_DN_(CN|O)\z/, 'what is no string is the hexadecimal of its contents, all of them', sub { return $_[1] =~ /\A(\\[0-9A-F]{2})*\z/ }, 'no strings'],
	# connections of their own, below
	['theirs', qr/\ASSL_CLIENT_CERT\z/, 'set to nothing where there is none', undef, 'without a client certificate'],
	['theirs', qr/\ASSL_CLIENT_CERT_CHAIN_\d+\z/, 'of the certificates that came with it only those that it was verified by', undef, 'junk in the chain'],
);
my %met;

sub may_differ {
	my ($where, $name, $theirs, $ours) = @_;
	my $kind = !defined $theirs ? 'ours' : !defined $ours ? 'theirs' : 'value';
	for my $difference (@differences) {
		my ($which, $names, $reason, $holds, $only) = @$difference;
		next if $which ne $kind && !($which eq 'either' && $kind ne 'value');
		next if $name !~ $names || (defined $only && $only ne $where) || ($holds && !$holds->($theirs, $ours));
		$met{$reason} = 1;
		return 1;
	}
	return 0;
}

sub shown { my ($value) = @_; return defined $value ? $value =~ s/([^ -~])/sprintf '{%02x}', ord $1/ger : 'not set' }

sub are_the_same {
	my ($where, $theirs, $ours) = @_;
	return fail("$where: both answer") unless $theirs && $ours;
	my %all = (%$theirs, %$ours);
	my @wrong;
	for my $name (sort keys %all) {
		my ($a, $b) = ($theirs->{$name}, $ours->{$name});
		next if defined $a && defined $b && $a eq $b;
		push @wrong, "$name\n  mod_ssl: " . shown($a) . "\n  ours:    " . shown($b) unless may_differ($where, $name, $a, $b);
	}
	return is(join("\n", @wrong), '', "$where: " . keys(%all) . ' variables');
}

# ---- every certificate, as that of both sides ----

my $server = start_apache() or BAIL_OUT('Apache does not start');
for my $number (0 .. $#cases) {
	my ($case, $name) = ($cases[$number], name_of($number));
	my $our_server = start_ours($case);
	my ($theirs, $ours) = map { ask_for($_->{port}, $case, $name) } $server, $our_server;
	are_the_same($case->{name}, $theirs, $ours);
	is($ours->{SSL_CLIENT_VERIFY}, 'SUCCESS', 'with a certificate of the client');
	$our_server->stop;
}

my ($plain) = grep { $cases[$_]{name} eq 'UTF-8' } 0 .. $#cases;
my $our_server = start_ours($cases[$plain]);
my ($theirs, $ours) = map { ask_for($_->{port}, undef, name_of($plain)) } $server, $our_server;
are_the_same('without a client certificate', $theirs, $ours);
is(join(' ', map { "$_=$ours->{$_}" } grep { /CLIENT/ } sort keys %$ours), 'SSL_CLIENT_VERIFY=NONE', 'and nothing of one');

# A client may send whatever it likes behind its own certificate.
my $junk = { %{ $cases[$plain] }, authorities => spew(temporary('junk.pem'), pem(root(), leaf(subject => 'CN=administrator', by => 'nobody'))) };
($theirs, $ours) = map { ask_for($_->{port}, $junk, name_of($plain)) } $server, $our_server;
are_the_same('junk in the chain', $theirs, $ours);
is($ours->{SSL_CLIENT_CERT_CHAIN_0} =~ s/\s//gr, pem(root()) =~ s/\s//gr, 'the root that it is verified by is there');
is($ours->{SSL_CLIENT_CERT_CHAIN_1}, undef, 'and nothing else');
like($theirs->{SSL_CLIENT_CERT_CHAIN_1}, qr/\A-----BEGIN/, 'where mod_ssl shows all that was sent');
$our_server->stop;

my @unmet = grep { !$met{$_} } map { $_->[2] } @differences;
is(join("\n", @unmet), '', 'every difference in the list has been met');

$server->stop;
done_testing;
