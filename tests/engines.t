#!/usr/bin/perl
# What each engine does, asked of both and compared with the table in doc/guide/engines.md, row by row; and the marks in the tests, for what
# only one of them passes, with the second table there, word by word.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib", "$FindBin::Bin/lib/peers";
use Bear;
use BearTls;
use Peers;
use Test::More;

my @engines = ('bearssl', 'openssl');
my $page = "$FindBin::Bin/../doc/guide/engines.md";
my %fact = map { $_->[0] => [@$_[1, 2]] } table('facts');
my %mark = map { ("$_->[0]: $_->[1]" => 1) } table('marks');

# The rows of a table between two comments, without its head.
sub table {
	my ($name) = @_;
	my ($text) = slurp($page) =~ /^<!-- $name -->\n(.*?)^<!-- end of $name -->\n/ms or BAIL_OUT("no table of $name in $page");
	my @rows = map { [/(?<=\|) *(.*?) *(?=\|)/g] } grep { /^\|/ } split /\n/, $text;
	return @rows[2 .. $#rows];
}

# ---- marks ----

subtest 'marks' => sub {
	my %found;
	for my $test (glob("$FindBin::Bin/*.t"), glob "$FindBin::Bin/full/*.t") {
		next if $test =~ m{/engines\.t\z};
		my $text = slurp($test);
		my $calls = () = $text =~ /\bcannot\(/g;
		my %here;
		while ($text =~ /\bcannot\('(\w+)', '([^'\\]+)'\)/g) { $calls--; $here{"$1: $2"} = 1 }
		is($calls, 0, ($test =~ s{.*/}{}r) . ': engine and reason of each mark are words') if $calls || %here;
		%found = (%found, %here);
	}
	ok(%found, 'there are some');
	is(join("\n", sort keys %mark), join("\n", sort keys %found), 'the table has those of the tests, and no others');
};

# ---- facts ----

my $root = file('root.pem');

# Our server with an engine, asked by openssl s_client; all that it says.
sub asked {
	my ($engine, $env, @arguments) = @_;
	my $server = sslserver({ env => { TLS_ENGINE => $engine, %$env } }, ['-s'], 'sh', '-c', 'echo "<served $SSL_VERSION_LIBRARY>"');
	my $result = s_client({}, $server->{port}, @arguments);
	$server->stop;
	return "$result->{out}\n$result->{err}";
}

sub served { return asked(@_) =~ /^<served /m ? 1 : 0 }
sub alert_of { return asked(@_) =~ /alert ([a-z ]+):/ ? $1 : 'none' }
sub those { my ($try, @words) = @_; return join(', ', grep { $try->($_) } @words) || 'none' }

# Of those that it speaks to openssl s_client.
sub newest_of { my ($engine) = @_; return served($engine, {}, '-tls1_3') ? '-tls1_3' : '-tls1_2' }

# A connection with a scripted peer whose last word is given.
sub with_peer {
	my ($engine, @steps) = @_;
	my $result = meet({ side => 'server', peer => 'openssl', env => { TLS_ENGINE => $engine }, version => 'TLSv1.3', app => [qw(readall send 10)], steps => \@steps });
	return $result->{peer};
}

# A scripted peer on either side that speaks TLS 1.2 and has no way around extended master secret.
sub demanding {
	my ($engine, $side) = @_;
	my $result = meet({ side => $side, peer => 'openssl', env => { TLS_ENGINE => $engine }, peer_env => { PEER_TWIST => 'ems' }, app => [qw(readall)], steps => [qw(notify readall)] });
	return $result->{peer} =~ /^handshake failed/m ? 'ends the handshake' : $result->{exit} ? 'fails' : 'goes on';
}

my @facts = (
	['library', sub { asked($_[0], {}) =~ m{^<served (\w+)/}m ? $1 : 'none' }],
	['protocol versions', sub { my ($engine) = @_; those(sub { served($engine, {}, '-' . lc($_[0]) =~ s/v1\./1_/r) }, 'TLSv1.2', 'TLSv1.3') }],
	['suites of TLS 1.3', sub { my ($engine) = @_; those(sub { served($engine, {}, '-tls1_3', '-ciphersuites', $_[0]) }, qw(TLS_AES_128_GCM_SHA256 TLS_AES_256_GCM_SHA384
		TLS_CHACHA20_POLY1305_SHA256 TLS_AES_128_CCM_SHA256 TLS_AES_128_CCM_8_SHA256)) }],
	['groups for the key exchange', sub { my ($engine) = @_; my $newest = newest_of($engine); those(sub { served($engine, {}, $newest, '-groups', $_[0]) }, qw(X25519 P-256 P-384 P-521 X448)) }],
	['signatures by an RSA key', sub { my ($engine) = @_; join(', ', served($engine, {}, '-tls1_2', '-sigalgs', 'RSA+SHA256') ? 'PKCS#1 1.5' : (),
		served($engine, {}, newest_of($engine), '-sigalgs', 'RSA-PSS+SHA256') ? 'PSS' : ()) }],
	['extended master secret (RFC 7627)', sub { asked($_[0], {}, '-tls1_2') =~ /^ *Extended master secret: (yes|no)$/m ? $1 : '?' }],
	['a client that demands it', sub { demanding($_[0], 'server') }, 'peer'],
	['a server that demands it', sub { demanding($_[0], 'client') }, 'peer'],
	['HelloRetryRequest', sub { served($_[0], {}, '-tls1_3', '-groups', 'X448:P-256') ? 'yes' : 'no' }],
	['KeyUpdate', sub { with_peer($_[0], qw(send 100 rekey send 100 notify readall)) =~ /TLSv1\.3.*received 10\nend close_notify/s ? 'yes' : 'no' }, 'peer'],
	['renegotiation', sub { with_peer($_[0], 'renegotiate') =~ /renegotiation done/ ? 'yes' : 'no' }, 'peer'],
	['session tickets', sub { asked($_[0], {}) =~ /Session Ticket arrived|TLS session ticket:/ ? 'yes' : 'no' }],
	['alert to a client that speaks TLS 1.3 only', sub { alert_of($_[0], {}, '-tls1_3') }],
	['alert to a client without the certificate that is demanded', sub {
		my $server = serve({ env => pair('server-rsa', CAFILE => $root, TLS_ENGINE => $_[0]) }, command('tcpserver'), '-1', '127.0.0.1', '0', command('tlsd'), '-y', 'true');
		my $result = s_client({}, $server->{port});
		$server->stop;
		return $result->{err} =~ /alert ([a-z ]+):/ ? $1 : 'none';
	}],
);

subtest 'facts' => sub {
	is(join("\n", sort keys %fact), join("\n", sort map { $_->[0] } @facts), 'the table has these rows, and no others');
	for my $i (0, 1) {
		my $engine = $engines[$i];
		SKIP: {
			skip "$engine is not built", scalar @facts unless -x command('tlsd-io' . ($engine eq 'bearssl' ? '' : "-$engine"));
			for my $case (@facts) {
				my ($name, $ask, $needs) = @$case;
				next if $needs && !peer('openssl');
				is($ask->($engine), $fact{$name} ? $fact{$name}[$i] : undef, "$engine: $name");
			}
		}
	}
};

done_testing;
