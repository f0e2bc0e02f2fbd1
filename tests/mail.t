#!/usr/bin/perl
# Mail with real software: mailfront with its plugin for UCSPI-TLS behind sslserver -n and ucspitlsd, receiving from swaks, msmtp, curl, openssl
# s_client and a client of ours behind sslclient -y; its POP3 and IMAP fronts, read by fetchmail and curl, with TLS at once and by
# STARTTLS; client certificates where the senders can present them. What was sent is what arrives, and a session without TLS has the same bytes as without us.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Bear;
use BearTls;
use IO::Select;
use Test::More;

# Where a program is, or in a package unpacked by package/deps; '' if nowhere.
sub where {
	my ($name, $package) = @_;
	my ($found) = grep { -x } map { "$_/$name" } split(/:/, $ENV{PATH}), '/usr/sbin', $package ? "$FindBin::Bin/../build/peers/$package/usr/bin" : ();
	return $found // '';
}
my %path = map { ($_ => where($_)) } qw(mailfront swaks msmtp curl pop3front-auth pop3front-maildir imapfront-auth cvm-pwfile);
$path{fetchmail} = where('fetchmail', 'fetchmail');
plan skip_all => 'no mailfront' unless $path{mailfront} && -e '/usr/lib/mailfront/plugin-starttls-ucspi.so';

my $root = file('root.pem');
my $domain = 'example.test';

# ---- receiving ----

my $queue = temporary('queue');
mkdir "$queue$_", 0777 or die for '', '/new', '/tmp';
my @smtp = ($path{mailfront}, 'smtp', 'queuedir', 'accept', 'starttls-ucspi');

# The messages that came since the last call: [sender, recipients, text].
sub messages {
	my @messages;
	for my $file (sort glob "$queue/new/*") {
		my ($sender, $recipients, $text) = slurp($file) =~ /\A([^\0]*)\0((?:[^\0]+\0)*)\0(.*)\z/s;
		push @messages, [$sender, [split /\0/, $recipients], $text];
		unlink $file;
	}
	return @messages;
}

my @kinds = ('sslserver -n', 'ucspitlsd');
sub serving {
	my ($kind, $env, @prog) = @_;
	$env = { %{ pair('server-rsa') }, QUEUEDIR => $queue, PROTO => undef, SMTPGREETING => "mx.$domain", %$env };
	return serve({ env => $env }, command('tcpserver'), '-1v', '-l', $domain, '127.0.0.1', 0, command('ucspitlsd'), split(/ /, $1), @prog) if $kind =~ /^ucspitlsd ?(.*)/;
	return serve({ env => $env }, command('tcpserver'), '-1v', '-l', $domain, '127.0.0.1', 0, @prog) if $kind eq 'tcpserver';
	return serve({ env => $env }, command('sslserver'), '-1v' . ($kind =~ /^sslserver -(.*)/ ? $1 : ''), '-l', $domain, '127.0.0.1', 0, @prog);
}

# The exit code of the next connection.
sub ended {
	my ($server) = @_;
	my $nth = $server->{ended}++;
	my @all;
	wait_until(sub { @all = $server->log =~ /(?:ended by|: end) \d+ status (\d+)$/mg; @all > $nth }, 20) or return 'none';
	return $all[$nth] & 127 ? 'signal ' . ($all[$nth] & 127) : $all[$nth] >> 8;
}

my ($from, $to) = ("sender\@$domain", "recipient\@$domain");
my $body = join '', map { "line $_ of a message\n" } 1 .. 40000;    # 1 MB
my $letter = "From: $from\nTo: $to\nSubject: a letter\n\nHello,\nit works.\n..\n.dotted\n";
my $big = "From: $from\nTo: $to\nSubject: a big one\n\n$body";
my $letter_file = spew(temporary('letter'), $letter);
my $big_file = spew(temporary('big'), $big =~ s/\n/\r\n/gr);
my $dialogue = "EHLO client\r\nMAIL FROM:<$from>\r\nRCPT TO:<$to>\r\nDATA\r\n" . ($letter =~ s/^\./../mgr =~ s/\n/\r\n/gr) . ".\r\nQUIT\r\n";

# A client that knows UCSPI-TLS: sends standard input as the commands, one by one, and shows the answers.
my $client_program = spew(temporary('client.pl'), <<'END');
use strict;
use POSIX ();
open my $in, '<&=', 6; open my $out, '>&=', 7;
sub answer { my $all = ''; while (1) { my $line = ''; while (1) { sysread($in, my $byte, 1) or die "end\n"; $line .= $byte; last if $byte eq "\n" } $all .= $line; last if $line =~ /^\d+ / } print $all; return $all }
sub command { my ($text) = @_; syswrite $out, $text; return answer() }
answer();
command("EHLO client\r\n") =~ /STARTTLS/ or die "no STARTTLS\n";
command("STARTTLS\r\n") =~ /^220/ or die "no TLS\n";
POSIX::write($ENV{SSLCTLFD}, 'y', 1);
POSIX::dup2($ENV{SSLREADFD}, 6); POSIX::dup2($ENV{SSLWRITEFD}, 7);
POSIX::close($_) for @ENV{qw(SSLREADFD SSLWRITEFD)};
my $all = do { local $/; <STDIN> };
my ($head, $data) = split /(?<=DATA\r\n)/, $all, 2;
command("$_\r\n") for split /\r\n/, $head;
my ($text, $rest) = split /(?<=\r\n\.\r\n)/, $data, 2;
command($text);
command($rest);
END

# One that sends standard input in one packet, the command for TLS and more, then goes on as if it were the command alone.
my $injector = spew(temporary('injector.pl'), slurp($client_program) =~ s/^answer\(\);.*//msr . <<'END');
answer_line();
syswrite $out, "EHLO client\r\n";
1 while answer_line() !~ /^250 /;
sub answer_line { my $line = ''; while (1) { sysread($in, my $byte, 1) or die "end\n"; $line .= $byte; return $line if $byte eq "\n" } }
syswrite $out, do { local $/; <STDIN> };
print answer_line();
POSIX::write($ENV{SSLCTLFD}, 'y', 1);
POSIX::dup2($ENV{SSLREADFD}, 6); POSIX::dup2($ENV{SSLWRITEFD}, 7);
POSIX::close($_) for @ENV{qw(SSLREADFD SSLWRITEFD)};
syswrite $out, "QUIT\r\n";
while (1) { my $line = answer_line(); print $line; last if $line =~ /^221/ }
END

# name, program that it needs, how it is called with the port, what it sends: letter or big
my @senders = (
	['swaks', 'swaks', $letter, sub { ('swaks', '--server', "127.0.0.1:$_[0]", '--ehlo', 'client', '--tls', '--tls-verify', '--tls-ca-path', $root, '--from', $from, '--to', $to, '--data', $letter_file) }],
	['msmtp', 'msmtp', $letter, sub { ('sh', '-c', 'exec "$@" <' . $letter_file, 'sh', 'msmtp', '-C', '/dev/null', '--host=localhost', "--port=$_[0]", '--tls=on', '--tls-starttls=on', "--tls-trust-file=$root", "--from=$from", $to) }],
	['curl', 'curl', $big, sub { ('curl', '-sS', '--ssl-reqd', '--cacert', $root, '--mail-from', $from, '--mail-rcpt', $to, '-T', $big_file, "smtp://localhost:$_[0]/client") }],
	['openssl s_client', '', $letter, sub { ('sh', '-c', 'exec "$@" <' . spew(temporary('dialogue'), $dialogue), 'sh', 'openssl', 's_client', '-quiet', '-starttls', 'smtp', '-connect', "localhost:$_[0]", '-CAfile', $root, '-verify_return_error', '-verify_hostname', 'localhost') }],
	['sslclient -y', '', $letter, sub { ('sh', '-c', 'exec "$@" <' . spew(temporary('dialogue'), $dialogue), 'sh', command('sslclient'), '-y', 'localhost', $_[0], 'perl', $client_program) }],
	['ucspitlsc', '', $letter, sub { ('sh', '-c', 'exec "$@" <' . spew(temporary('dialogue'), $dialogue), 'sh', command('tcpclient'), '127.0.0.1', $_[0], command('ucspitlsc'), '-k', 'localhost', 'perl', $client_program) }],
);

for my $kind (@kinds) {
	my $server = serving($kind, { UCSPITLS => '' }, @smtp);
	for my $sender (@senders) {
		my ($name, $needs, $text, $command) = @$sender;
		SKIP: {
			skip "no $needs", 1 if $needs && !$path{$needs};
			subtest "$kind, mailfront: a message from $name" => sub {
				my $before = length $server->log;
				my $result = run({ timeout => 30, env => { CAFILE => $root } }, $command->($server->{port}));
				is($result->{exit}, 0, 'sent') or diag($result->{out}, $result->{err});
				is(ended($server), 0, 'end of the connection');
				my @came = messages();
				is(scalar @came, 1, 'one message');
				is($came[0][0], $from, 'sender');
				is("@{ $came[0][1] || [] }", $to, 'recipient');
				my $came = $came[0][2] // '';
				$came =~ s/\A(?:(?:Date|Message-ID): .*\n)+// if $name eq 'msmtp';    # which adds what is missing
				ok($came =~ s/\n+\z/\n/r eq $text, 'every byte of the text') or diag(substr $came, 0, 1000);
				my $log = substr $server->log, $before;
				unlike($log, qr/^tlsd-io/m, 'no word of the io program');
			};
		}
	}

	subtest "$kind, mailfront: in clear" => sub {
		my $plain = serving('tcpserver', {}, @smtp[0 .. 3], 'accept');
		my $words = sub {
			my ($port) = @_;
			my $socket = connect_to($port) or return 'no connection';
			my $said = read_line($socket) . "\n";
			for my $part (split /(?<=DATA\r\n)/, $dialogue) { print $socket $part; $said .= read_all_until($socket, $part =~ /DATA/ ? qr/^354 .*\n/m : qr/^221 .*\n/m) }
			return $said;
		};
		my ($with, $without) = ($words->($server->{port}), $words->($plain->{port}));
		is($with =~ s/^250-STARTTLS\r\n//mr, $without, 'the same words as without us');
		like($with, qr/^250-STARTTLS\r\n/m, 'but for the offer');
		is(ended($server), 0, 'end of the connection');
		my @came = messages();
		is(scalar @came, 2, 'two messages');
		is($came[0][2], $came[1][2], 'which are the same');
		my $off = serving($kind, {}, @smtp);
		is($words->($off->{port}) =~ tr/\n//, $with =~ tr/\n//, 'UCSPITLS is set without being set: it is offered');
		messages();
	};

	subtest "$kind, mailfront: commands behind STARTTLS" => sub {
		my $evil = "MAIL FROM:<evil\@$domain>\r\nRCPT TO:<$to>\r\nDATA\r\nevil\r\n.\r\n";
		my $result = run({ in => "STARTTLS\r\n$evil", timeout => 30, env => { CAFILE => $root } }, command('sslclient'), '-y', 'localhost', $server->{port}, 'perl', $injector);
		like($result->{out}, qr/\A220 .*\n(?:500 5\.5\.1 .*pipelined.*\n)?221 .*\n\z/, 'in one packet: mailfront has read ahead, and forgets it') or diag($result->{err});
		like($result->{out}, qr/^500 5\.5\.1/m, 'with a word to the client, through TLS');
		is(ended($server), 0, 'end of the connection');
		my $socket = connect_to($server->{port});
		read_line($socket);
		print $socket "EHLO client\r\n";
		read_all_until($socket, qr/^250 .*\n/m);
		print $socket "STARTTLS\r\n";
		read_all_until($socket, qr/^220 .*\n/m);
		print $socket $evil;
		like(read_all($socket), qr/\A\x15\x03[\x00-\x04]\x00\x02\x02/, 'in the place of a handshake: an alert');
		is(ended($server), 98, 'end of the connection');
		like($server->log, qr/^tlsd-io: error: unable to speak TLS from: 127\.0\.0\.1 for pid: \d+: not TLS$/m, 'in the log');
		is(scalar(grep { $_->[0] =~ /evil/ } messages()), 0, 'no message came of it');
	};

	SKIP: {
		skip 'no msmtp', 1 unless $path{msmtp};
		subtest "$kind, mailfront: a client that does not trust it" => sub {
			my $result = run({ in => $letter, timeout => 30 }, 'msmtp', '-C', '/dev/null', '--host=localhost', "--port=$server->{port}", '--tls=on', '--tls-starttls=on', '--tls-trust-file=' . file('other-root.pem'), "--from=$from", $to);
			isnt($result->{exit}, 0, 'it gives up');
			ok(ended($server) ne 'none', 'the connection ends');
			is(scalar(messages()), 0, 'no message');
		};
	}
	ok($server->wait_for_log(qr/status: 0\/40.*\n\z/, 10), "$kind: nothing is left over");
	$server->stop;
}

# ---- client certificates ----

# How each sender presents a pair: what goes behind its command line, or into its environment.
my %presents = (
	'swaks' => sub { ('--tls-cert', "$_[0].pem", '--tls-key', "$_[0].key") },
	'msmtp' => sub { ("--tls-cert-file=$_[0].pem", "--tls-key-file=$_[0].key") },
	'curl' => sub { ('--cert', "$_[0].pem", '--key', "$_[0].key") },
	'openssl s_client' => sub { ('-cert', "$_[0].pem", '-key', "$_[0].key") },
);

# Whether a message came, and how the connection ended.
sub sent_with {
	my ($server, $sender, $pair) = @_;
	my ($name, undef, undef, $command) = @$sender;
	my @more = $pair && $presents{$name} ? $presents{$name}->($pair) : ();
	my %ours = $pair && !@more ? (CERTFILE => "$pair.pem", KEYFILE => "$pair.key") : ();
	my @command = $command->($server->{port});
	@command = map { ($_, $_ eq command('ucspitlsc') && %ours ? '-y' : ()) } @command;
	my $result = run({ timeout => 30, env => { CAFILE => $root, %ours } }, @command, @more);
	return (scalar(messages()), ended($server), $result);
}

(my $client_pair = file('client.pem')) =~ s/\.pem$//;
(my $unknown_pair = file('unknown.pem')) =~ s/\.pem$//;
# Which programs demand one (1), and which only ask for it.
for my $case (['ucspitlsd -y', 1], ['ucspitlsd -Y', 0], ['sslserver -nm', 1]) {
	my ($kind, $demanded) = @$case;
	my $server = serving($kind, { UCSPITLS => '', CAFILE => $root }, @smtp);
	for my $sender (@senders) {
		my ($name, $needs) = @$sender;
		SKIP: {
			skip "no $needs", 1 if $needs && !$path{$needs};
			subtest "$kind, mailfront: client certificates of $name" => sub {
				my ($came, $status, $result) = sent_with($server, $sender, $client_pair);
				is($came, 1, 'one that is trusted: a message') or diag($result->{out}, $result->{err}, $server->log);
				is($status, 0, '... end of the connection');
				($came, $status) = sent_with($server, $sender, undef);
				my @none = $demanded ? (0, 98) : (1, 0);
				is("$came $status", "@none", 'none');
				my $before = length $server->log;
				($came, $status) = sent_with($server, $sender, $unknown_pair);
				# On GnuTLS msmtp chooses by the names of authorities: it keeps this one to itself.
				return is("$came $status", "@none", 'one that is not trusted: the client does not present it') if $name eq 'msmtp';
				is("$came $status", '0 98', 'one that is not trusted');
				like(substr($server->log, $before), qr/^tlsd-io: error: unable to speak TLS from: 127\.0\.0\.1 for pid: \d+: certificate is not from a trusted authority$/m, '... in the log');
			};
		}
	}
	like($server->log, qr/^tlsd-io: error: unable to speak TLS from: 127\.0\.0\.1 for pid: \d+: .*no.*certificate/m, "$kind: in the log") if $demanded;
	ok($server->wait_for_log(qr/status: 0\/40.*\n\z/, 10), "$kind: nothing is left over");
	$server->stop;
}

# Reads until the pattern is there, or nothing comes any more.
sub read_all_until {
	my ($socket, $pattern) = @_;
	my $all = '';
	while ($all !~ $pattern && IO::Select->new($socket)->can_read(10)) { sysread $socket, $all, 65536, length $all or last }
	return $all;
}

# ---- reading: POP3 and IMAP ----

SKIP: {
	skip 'no POP3 and IMAP fronts, or no cvm-pwfile', 1 if grep { !$path{$_} } qw(pop3front-auth pop3front-maildir imapfront-auth cvm-pwfile);

	# The fronts become the user of the mailbox, where they may.
	my ($uid, $gid) = $> == 0 ? (65534, 65534) : ($>, $) + 0);
	my $home = temporary('home');
	mkdir "$home$_", 0700 or die for '', '/Maildir', map { "/Maildir/$_" } 'new', 'cur', 'tmp';
	chown $uid, $gid, glob "$home $home/Maildir $home/Maildir/*";
	my $passwords = spew(temporary('passwords'), "user:secret:$uid:$gid:A User:$home:/bin/sh\n");
	my $deliver = sub {
		unlink glob "$home/Maildir/*/*";
		my $n = 0;
		for my $text (@_) { my $file = spew("$home/Maildir/new/" . ++$n . '.test', $text); chown $uid, $gid, $file }
	};
	my @pop3 = ($path{'pop3front-auth'}, $path{'cvm-pwfile'}, $path{'pop3front-maildir'}, "$home/Maildir");
	# What a login leads to: two messages and the few commands that curl needs.
	my $imapd = spew(temporary('imapd.pl'), <<'END');
$| = 1;
my @letters = map { local $/; open my $f, '<', $_ or die; scalar <$f> =~ s/\n/\r\n/gr } sort { ($a =~ m{(\d+)\.test})[0] <=> ($b =~ m{(\d+)\.test})[0] } glob "$ARGV[0]/{new,cur}/*";
print "$ENV{IMAPLOGINTAG} OK logged in\r\n";
while (<STDIN>) {
	s/\r?\n//;
	my ($tag, $command, $rest) = split / /, $_, 3;
	if (uc $command eq 'SELECT') { print '* ', scalar @letters, " EXISTS\r\n* 0 RECENT\r\n* OK [UIDVALIDITY 1] ok\r\n" }
	elsif ($rest =~ /^FETCH (\d+)/) { my $l = $letters[$1 - 1]; print "* $1 FETCH (UID $1 BODY[] {", length $l, "}\r\n$l)\r\n" }
	elsif (uc $command eq 'LOGOUT') { print "* BYE\r\n$tag OK bye\r\n"; exit 0 }
	print "$tag OK done\r\n";
}
END
	my @imap = ($path{'imapfront-auth'}, 'perl', $imapd, "$home/Maildir");
	chmod 0644, $imapd;

	# Asks for TLS at once, or after the protocol's command; then the rest of the command line, whose greeting is no greeting any more.
	my $at_once = q{use POSIX (); POSIX::write($ENV{SSLCTLFD}, 'y', 1); POSIX::dup2($ENV{SSLREADFD}, 0); POSIX::dup2($ENV{SSLWRITEFD}, 1); POSIX::close($_) for @ENV{qw(SSLCTLFD SSLREADFD SSLWRITEFD)}; };
	my $after_command = spew(temporary('starttls.pl'), <<'END' . $at_once . q{exec 'sh', '-c', '"$@" | { read -r greeting; exec cat; }', 'sh', @ARGV});
$| = 1;
my $imap = shift(@ARGV) eq 'imap';
print $imap ? "* OK [CAPABILITY IMAP4rev1 STARTTLS] ready\r\n" : "+OK ready\r\n";
while (1) {
	my $line = '';
	while (1) { sysread(STDIN, my $byte, 1) or exit 1; last if $byte eq "\n"; $line .= $byte if $byte ne "\r" }
	my ($tag, $command) = $imap ? split(/ /, $line) : ('', $line);
	if ($command =~ /^CAPA/i) { print $imap ? "* CAPABILITY IMAP4rev1 STARTTLS\r\n$tag OK done\r\n" : "+OK\r\nSTLS\r\nUSER\r\n.\r\n" }
	elsif ($command =~ /^(STARTTLS|STLS)$/i) { print $imap ? "$tag OK begin\r\n" : "+OK begin\r\n"; last }
	elsif ($command =~ /^(QUIT|LOGOUT)$/i) { print $imap ? "* BYE\r\n$tag OK bye\r\n" : "+OK bye\r\n"; exit 0 }
	else { print $imap ? "$tag NO TLS first\r\n" : "-ERR TLS first\r\n" }
}
END
	my %env = (CVM_PWFILE_PATH => $passwords, CVM_SASL_PLAIN => $path{'cvm-pwfile'});
	my @letters = ($letter, "Subject: the other\n\nshort\n");
	my $crlf = sub { $_[0] =~ s/\n/\r\n/gr };

	# name, server, program in front, with STARTTLS
	my @ways = (
		['sslserver', 'sslserver', [], 0],
		['ucspitlsd, TLS at once', 'ucspitlsd', ['perl', '-e', "$at_once exec \@ARGV"], 0],
		['sslserver -n, after the command', 'sslserver -n', ['perl', $after_command], 1],
		['ucspitlsd, after the command', 'ucspitlsd', ['perl', $after_command], 1],
	);
	for my $way (@ways) {
		my ($name, $kind, $front, $starttls) = @$way;
		my @named = $starttls ? (@$front, 'pop3') : @$front;
		my $pop3 = serving($kind, \%env, @named, @pop3);
		my $imap = serving($kind, \%env, $starttls ? (@$front, 'imap') : @$front, @imap);
		$deliver->(@letters);
		my ($s, @tls) = $starttls ? ('', '--ssl-reqd') : ('s');
		SKIP: {
			skip 'no curl', 2 unless $path{curl};
			subtest "$name: curl" => sub {
				my @curl = ('curl', '-sS', '--cacert', $root, @tls, '-u', 'user:secret');
				my $result = run({ timeout => 30 }, @curl, "pop3$s://localhost:$pop3->{port}/1");
				is($result->{exit}, 0, 'POP3') or diag($result->{err}, $pop3->log);
				is($result->{out} =~ s/(?:\r\n)+\z/\r\n/r, $crlf->($letter), 'the first message');
				is(ended($pop3), 0, 'end of the connection');
				$result = run({ timeout => 30 }, @curl, "imap$s://localhost:$imap->{port}/INBOX;UID=2");
				is($result->{exit}, 0, 'IMAP') or diag($result->{err}, $imap->log);
				is($result->{out}, $crlf->($letters[1]), 'the second message');
				is(ended($imap), 0, 'end of the connection');
				$result = run({ timeout => 30 }, 'curl', '-sS', '--cacert', $root, @tls, '-u', 'user:wrong', "pop3$s://localhost:$pop3->{port}/1");
				isnt($result->{exit}, 0, 'a wrong password');
				ended($pop3);
			};
		}
		SKIP: {
			skip 'no fetchmail', 1 unless $path{fetchmail};
			subtest "$name: fetchmail" => sub {
				my $folder = temporary('fetchmail' . int rand 1e9);
				mkdir $folder, 0700;
				my $box = "$folder/box";
				my $ssl = $starttls ? '' : 'ssl';
				my $rc = spew("$folder/rc", "poll localhost protocol pop3 service $pop3->{port} no dns user \"user\" password \"secret\" $ssl sslproto \"TLS1.2+\" sslcertck sslcertfile \"$root\" mda \"cat >>$box\" fetchall\n");
				chmod 0600, $rc;
				my $result = run({ timeout => 30, env => { HOME => $folder, FETCHMAILHOME => $folder } }, $path{fetchmail}, '-f', $rc, '--nosyslog', '--invisible', '--norewrite', '-v');
				is($result->{exit}, 0, 'fetched') or diag($result->{out}, $result->{err});
				like(slurp($box), qr/it works\.\r?\n.*Subject: the other\n/s, 'both messages');
				is(ended($pop3), 0, 'end of the connection');
				is(scalar(() = glob "$home/Maildir/*/*"), 0, 'which are gone from the server');
			};
		}
		if ($starttls) {
			for my $case ([$pop3, 'pop3', "QUIT\r\n", qr/^\+OK/m], [$imap, 'imap', "x CAPABILITY\r\ny LOGOUT\r\n", qr/^\* CAPABILITY IMAP4rev1\r\nx OK/m]) {
				my ($server, $protocol, $ask, $answer) = @$case;
				my $result = run({ in => $ask, timeout => 30 }, 'openssl', 's_client', '-quiet', '-starttls', $protocol, '-connect', "localhost:$server->{port}", '-CAfile', $root, '-verify_return_error');
				like($result->{out}, $answer, "$name: openssl s_client -starttls $protocol");
			}
		}
		ok($_->wait_for_log(qr/status: 0\/40.*\n\z/, 10), "$name: nothing is left over") or diag($_->log) for $pop3, $imap;
		$_->stop for $pop3, $imap;
	}

	subtest 'fronts that know nothing of TLS: in clear' => sub {
		for my $kind (@kinds) {
			$deliver->(@letters);
			my $server = serving($kind, \%env, @pop3);
			my $socket = connect_to($server->{port});
			my $said = read_all_until($socket, qr/\n/);
			for my $step (['USER user', qr/\n/], ['PASS secret', qr/\n/], ['RETR 2', qr/^\.\r\n/m], ['QUIT', qr/\n/]) {
				print $socket "$step->[0]\r\n";
				$said .= read_all_until($socket, $step->[1]);
			}
			like($said, qr/\A\+OK .*^Subject: the other\r\n\r\nshort\r\n(?:\r\n)?\.\r\n\+OK/ms, "$kind: the whole session");
			is(ended($server), 0, 'end of the connection');
		}
	};
}
done_testing;
