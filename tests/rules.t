#!/usr/bin/perl
# tcprules and tcprulescheck: files that are those of ucspi-tcp byte for byte, IPv6 and prefixes, errors that leave the old file alone,
# files that are none. The other programs are Debian's ucspi-tcp, and tinycdb's cdb.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Bear;
use Test::More;

my ($compile, $check) = (command('tcprules'), command('tcprulescheck'));
my ($their_compile, $their_check) = ('/usr/bin/tcprules', '/usr/bin/tcprulescheck');
my $have_theirs = -x $their_compile && -x $their_check;
my ($cdb_program) = grep { -x } map { "$_/cdb" } split /:/, $ENV{PATH};
alarm 240;

# ---- what the tests are written in ----

# Rules as text to a file of that name; what the program said.
sub compiled {
	my ($name, $text, $program) = @_;
	my $path = temporary($name);
	my $result = run({ in => $text }, $program || $compile, $path, "$path.tmp");
	ok(!-e "$path.tmp", "$name: no temporary file is left") unless $program;
	return ($path, $result);
}

# Compiles without a word.
sub rules {
	my ($name, $text) = @_;
	my ($path, $result) = compiled($name, $text);
	is("$result->{err}$result->{out}", '', "$name: compiles without a word");
	is($result->{exit}, 0, "$name: exit 0");
	return $path;
}

# Output of a program, with exactly these of the three variables set.
sub output {
	my ($variables, @command) = @_;
	local %ENV = %ENV;
	delete @ENV{qw(TCPREMOTEIP TCPREMOTEHOST TCPREMOTEINFO)};
	$ENV{"TCPREMOTE$_"} = $variables->{$_} for grep { defined $variables->{$_} } keys %$variables;
	open my $pipe, '-|', @command or die "$command[0]: $!";
	local $/;
	my $text = <$pipe>;
	close $pipe;
	return defined $text ? $text : '';
}

sub asked {
	my ($path, $ip, $host, $info) = @_;
	return output({ IP => $ip, HOST => $host, INFO => $info }, $check, $path);
}

sub dumped { my ($path) = @_; return output({}, $cdb_program, '-d', $path) }

# Numbers that are the same each time.
my $state = 1;
sub below { $state = ($state * 1103515245 + 12345) & 0x7fffffff; return ($state >> 8) % $_[0] }
sub one_of { return $_[below(scalar @_)] }

# ---- ucspi-tcp ----

# The same rules through both programs: the same file. Through cdb, if it is there: the same again.
sub same_file {
	my ($name, $text) = @_;
	my ($ours, $result) = compiled("$name.ours", $text);
	is($result->{exit}, 0, "$name: compiles") or diag($result->{err});
	my ($theirs, $other) = compiled("$name.theirs", $text, $their_compile);
	is($other->{exit}, 0, "$name: ucspi-tcp compiles it") or diag($other->{err});
	ok(slurp($ours) eq slurp($theirs), "$name: the file is the same, byte for byte") or diag(dumped($ours), dumped($theirs));
	SKIP: {
		skip 'no cdb', 1 unless $cdb_program;
		my $third = temporary("$name.third");
		system("'$cdb_program' -d '$ours' | '$cdb_program' -c '$third'") == 0 or diag('cdb failed');
		ok(slurp($ours) eq slurp($third), "$name: and so it is when cdb makes it");
	}
	return ($ours, $theirs);
}

sub some_ip { return join '.', map { one_of(0, 1, 9, 10, 127, 255, below(256)) } 1 .. 4 }
sub some_name { return join '.', map { one_of('a', 'mail', 'x-1', 'Example', 'org', "\xc3\xa4", 'a/b', 'c,d', '_x') } 0 .. below(4) }
sub some_info { return one_of('joe', 'root', '', 'a b', "x\ty", 'j@k', '1-2', "\xff\x01", 'a,b', '_0', '^0', 'n/m', ' lead') }

sub some_address {
	my @parts = map { below(256) } 1 .. 4;
	return some_ip() if below(6) == 0;
	return join('', map { "$parts[$_]." } 0 .. below(3)) if below(5) == 0;
	return '' if below(30) == 0;
	return '=' if below(30) == 0;
	return '=' . one_of('', '.') . some_name() if below(4) == 0;
	return some_info() . '@' . some_ip() if below(3) == 0;
	return some_info() . '@=' . some_name() if below(3) == 0;

	# Ranges: in any part, also padded, without an end, or reaching too far.
	my $n = 1 + below(4);
	my $low = below(256);
	my $range = one_of($low, sprintf '%04d', $low) . '-' . one_of($low, $low + below(20), 300, 99999, sprintf '%05d', $low);
	$range = '-' . one_of(0, 3) if below(20) == 0;
	$range = one_of('-', '0-') if below(40) == 0;
	$parts[below($n)] = $range;
	return join('.', @parts[0 .. $n - 1]) . ($n < 4 ? '.' : '');
}

sub some_variable {
	my $quote = one_of('"', '/', '+', '=', "'", ',', 'x', '#', "\xe9");
	my $value = one_of('', '1', 'a b', '@fix.me', '%h $H `x` \\n', 'a:b', ':deny', ',A=', "\xff\x80", "\x01", '"quoted"', 'long' x 200);
	$value =~ s/\Q$quote\E//g;
	return ',' . one_of('RELAYCLIENT', 'X', 'CERTFILE:a.org', 'Y Z') . "=$quote$value$quote";
}

sub some_rule {
	my $address = some_address();
	my $rule = "$address:" . one_of('allow', 'deny') . join '', map { some_variable() } 1 .. one_of(0, 0, 1, 3);
	return $rule . one_of('', '', '', ' ', "\t \t");
}

sub some_rules {
	my ($n) = @_;
	my @lines;
	for (1 .. $n) {
		push @lines, one_of('', '#', '# a:b', '   ', "#\0") if below(20) == 0;
		push @lines, below(15) == 0 && @lines ? one_of(@lines) : some_rule();
	}
	return join("\n", @lines) . one_of('', "\n", "\n\n");
}

SKIP: {
	skip 'no ucspi-tcp', 4 unless $have_theirs;

	subtest 'as ucspi-tcp: simple ones' => sub {
		same_file('empty', '');
		same_file('nothing', "# nothing\n\n   \n");
		same_file('last', '1.2.3.4:deny');
		same_file('words', qq(joe\@127.0.0.1:allow,which="first"\n18.23.0.32:deny,X="",Y=/"/\n:deny\n127.:allow\n=:allow\n=.org:deny\n=a.org:allow\nj\@=a.org:deny\n));
		same_file('ranges', "127.0-5.:allow\n1.2.3.37-53:deny\n-3.:deny\n1.2.-1.:deny\n9.250-999.:allow\n8.7.6.005-0009:deny\n");
		same_file('twice', "1.1.1.1:deny\n1.1.1.1:allow\n1.1.1.0-3:allow\n1.1.1.1:allow\n");
	};

	subtest 'as ucspi-tcp: many' => sub {
		same_file("many$_", some_rules(200 + 50 * $_)) for 1 .. 12;
		same_file('very many', some_rules(20000));
	};

	subtest 'as ucspi-tcp: read by each other' => sub {
		my ($ours, $theirs) = same_file('asked', some_rules(3000));
		my @keys = map { /^\+\d+,\d+:(.*?)->/ ? $1 : () } split /\n/, $cdb_program ? dumped($ours) : '';
		my ($differ, $found) = (0, 0);
		for my $i (1 .. 250) {
			my %asked = (IP => some_ip(), HOST => one_of(undef, undef, some_name(), ''), INFO => one_of(undef, undef, some_info()));
			my $key = @keys && below(2) ? one_of(@keys) : '';
			if    ($key =~ /^=(.*)/) { $asked{HOST} = one_of($1, "www$1") }
			elsif ($key =~ /^(.*)\@=(.*)/) { @asked{qw(INFO HOST)} = ($1, $2) }
			elsif ($key =~ /^(.*)\@([^@]*)\z/) { @asked{qw(INFO IP)} = ($1, $2) }
			elsif ($key =~ /^(\d+\.){1,3}\z/) { $asked{IP} = join '.', (split(/\./, $key), 1, 2, 3)[0 .. 3] }
			elsif ($key =~ /\d\z/) { $asked{IP} = $key }
			my $expected = output(\%asked, $their_check, $theirs);
			(my $visible = $expected) =~ tr/\x01/?/;    # ours shows no control characters
			$found++ if $expected =~ /^rule ./;
			for my $case ([$check, $ours], [$check, $theirs], [$their_check, $ours]) {
				my $answer = output(\%asked, @$case);
				next if $answer eq ($case->[0] eq $check ? $visible : $expected);
				$differ++;
				diag("@$case: " . join(' ', map { defined ? "<$_>" : '-' } @asked{qw(IP HOST INFO)}) . "\n$answer-- instead of\n$expected") if $differ < 4;
			}
		}
		is($differ, 0, 'both programs say the same of both files');
		cmp_ok($found, '>', 100, 'and found something');
	};
}

# Eleven rules, from the most special to the least, and who meets which.
my @precedence = ('xyz@86.75.30.9', 'xyz@=one.two.three', '86.75.30.9', '=one.two.three', '86.75.30.', '86.75.', '86.', '=.two.three', '=.three', '=', '');
my @lookups = (
	[0, '86.75.30.9', 'one.two.three', 'xyz'], [0, '86.75.30.9', undef, 'xyz'], [0, '86.75.30.9', 'four', 'xyz'],
	[1, '86.75.30.10', 'one.two.three', 'xyz'], [2, '86.75.30.9', 'one.two.three', 'abc'], [2, '86.75.30.9', undef, 'abc'],
	[2, '86.75.30.9', 'one.two.three', undef], [2, '86.75.30.9', undef, undef], [3, '86.75.30.10', 'one.two.three', 'abc'],
	[3, '86.75.30.10', 'one.two.three', undef], [3, '1.2.3.4', 'one.two.three', 'abc'], [4, '86.75.30.10', 'four.two.three', undef],
	[4, '86.75.30.10', undef, undef], [4, '86.75.30.10', 'four', 'xyz'], [5, '86.75.20.10', 'four.two.three', 'abc'],
	[5, '86.75.20.10', undef, 'abc'], [5, '86.75.20.10', 'four.two.three', undef], [5, '86.75.3.0', undef, undef],
	[6, '86.85.20.10', 'four.two.three', 'abc'], [6, '86.7.5.30', undef, undef], [7, '96.85.20.10', 'four.two.three', 'abc'],
	[7, '96.85.20.10', '.two.three', undef], [8, '96.85.20.10', 'four.three', 'abc'], [9, '96.85.20.10', 'four', undef],
	[9, '96.85.20.10', 'three', 'xyz'], [10, '96.85.20.10', undef, 'abc'], [10, '186.75.30.9', undef, undef],
);

subtest 'precedence' => sub {
	my $path = rules('precedence', join '', map { qq($precedence[$_]:allow,which="$_"\n) } 0 .. $#precedence);
	is(scalar @lookups, 27, 'all of the table');
	for my $lookup (@lookups) {
		my ($which, @who) = @$lookup;
		my $words = join ' ', map { defined ? $_ : '-' } @who;
		my $expected = "rule $precedence[$which]:\nset environment variable which=$which\nallow connection\n";
		is(asked($path, @who), $expected, "$words: from the environment");
		is(run($check, $path, map { defined ? $_ : '' } @who[0 .. (defined $who[2] ? 2 : 1)])->{out}, $expected, "$words: from operands");
		is(output({ IP => $who[0], HOST => $who[1], INFO => $who[2] }, $their_check, $path), $expected, "$words: as ucspi-tcp") if $have_theirs;
	}
};

# ---- IPv6 and prefixes ----

# The keys of ucspi-ssl.
sub bits_of { my ($ip) = @_; require Socket; return unpack 'B*', Socket::inet_pton($ip =~ /:/ ? Socket::AF_INET6() : Socket::AF_INET(), $ip) }
sub prefix_key {
	my ($ip, $n) = @_;
	my ($count, $i) = (0, 0);
	my @bits = split //, substr bits_of($ip), 0, $n;
	return '^' . join '', map { $_ ? chr(0x60 + $count++) : '0' } @bits if $ip =~ /:/;
	return '_' . join '', map { $i++; $_ ? substr('abcdefghijklmnopqrstuvwxyz123456', $i - 1, 1) : '0' } @bits;
}
sub ip_key { my ($ip) = @_; return join ':', map { uc } unpack('H*', pack 'B*', bits_of($ip)) =~ /..../g }

# The address that shares exactly the first n bits.
sub differing {
	my ($ip, $n) = @_;
	my $bits = bits_of($ip);
	substr($bits, $n, 1) ^= "\1" if $n < length $bits;
	return Socket::inet_ntop($ip =~ /:/ ? Socket::AF_INET6() : Socket::AF_INET(), pack 'B*', $bits);
}

subtest 'every prefix length' => sub {
	for my $ip ('198.51.100.167', '255.255.255.255', '0.0.0.0', '2001:db8:5555:aaaa:f0f0:ff:fe01:8001', 'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff', '::') {
		my $max = $ip =~ /:/ ? 128 : 32;
		my $path = rules("prefixes $ip", join '', map { qq($ip/$_:allow,N="$_"\n) } 0 .. $max);
		if ($cdb_program) {
			my $expected = join '', map { my $key = prefix_key($ip, $_); '+' . length($key) . ',' . (4 + length) . ":$key->+N=$_\0\n" } 0 .. $max;
			ok(dumped($path) eq "$expected\n", "$ip: the keys of ucspi-ssl");
		}
		my @wrong = grep { asked($path, differing($ip, $_)) !~ m{\Arule \S*/$_:\nset environment variable N=$_\nallow} } 0 .. $max;
		is("@wrong", '', "$ip: the longest that matches, from 0 to $max");
		for my $one ([0, $max], [1, $max], [$max - 1, $max], [$max, $max]) {
			my ($n) = @$one;
			my $alone = rules("one $n of $ip", "$ip/$n:deny\n");
			like(asked($alone, $ip), qr/\ndeny/, "$ip/$n alone matches");
			is(asked($alone, differing($ip, $n - 1)), "default:\nallow connection\n", "$ip/$n alone does not match its neighbour") if $n;
			is(asked($alone, $max == 32 ? '::1' : '1.2.3.4'), "default:\nallow connection\n", "$ip/$n alone does not match the other family");
		}
	}
};

subtest 'IPv6 addresses' => sub {
	my $path = rules('v6', qq(2001:db8::1:deny\njoe\@2001:db8::2:allow,A="a:b",B=":deny"\n::1:allow,X=":"\nfe80::1:2:3:deny\n));
	if ($cdb_program) {
		is(dumped($path), '+39,2:' . ip_key('2001:db8::1') . "->D\0\n+43,16:joe\@" . ip_key('2001:db8::2') . "->+A=a:b\0+B=:deny\0\n"
				. '+39,5:' . ip_key('::1') . "->+X=:\0\n+39,2:" . ip_key('fe80::1:2:3') . "->D\0\n\n", 'the keys of ucspi-ssl');
	}
	is(asked($path, $_), "rule 2001:db8::1:\ndeny connection\n", $_) for '2001:db8::1', '2001:DB8:0:0:0::1', '2001:0db8::0.0.0.1', '[2001:db8::1]';
	is(asked($path, '2001:db8::2', undef, 'joe'), "rule joe\@2001:db8::2:\nset environment variable A=a:b\nset environment variable B=:deny\nallow connection\n", 'info');
	is(asked($path, '2001:db8::2'), "default:\nallow connection\n", 'no info');
	is(asked($path, '2001:db8::3', 'h', 'joe'), "default:\nallow connection\n", 'no rule');
	is(run($check, $path, 'fe80::1:2:3%1')->{out}, "rule fe80::1:2:3:\ndeny connection\n", 'a zone does not matter');
};

subtest 'spellings' => sub {
	my %same = (
		'2001:db8::a' => ['2001:DB8::A', '[2001:db8::a]', '2001:0db8:0000:0000:0000:0000:0000:000a', '2001:db8::0.0.0.10'],
		'10.2.3.4' => ['010.002.03.4', '[10.2.3.4]', '::ffff:10.2.3.4', '::FFFF:a02:304'],
		'10.2.' => ['010.02.'], '10.2.3-5.' => ['010.02.003-0005.'],
		'joe@10.2.3.4' => ['joe@::ffff:10.2.3.4', 'joe@010.2.3.4'], 'joe@::1' => ['joe@[::1]', 'joe@0:0:0:0:0:0:0:1'],
		'10.0.0.0/8' => ['10.1.2.3/8', '10/8', '10./8', '10.5./8', '010.0.0.0/008', '::ffff:10.0.0.0/104'],
		'0.0.0.0/0' => ['1.2.3.4/0', '::ffff:0:0/96'],
		'1.2.3.4/32' => ['::ffff:1.2.3.4/128'], '::/90' => ['::0/90', '::0.0.0.0/90'], '::/80' => ['::ffff:1.2.3.4/80'], '::ffff:0:0/95' => ['::fffe:0:0/95', '::ffff:1.2.3.4/95'],
		'2001:db8::/32' => ['2001:DB8:ffff::/32', '[2001:db8::]/32'],
	);
	for my $plain (sort keys %same) {
		my $expected = slurp(rules('plain', "$plain:deny\n"));
		ok(slurp(rules('other', "$_:deny\n")) eq $expected, "$_ is $plain") for @{ $same{$plain} };
	}
	my $path = rules('mapped', qq(1.2.3.4:deny\n9.0.0.0/8:deny\njoe\@5.5.5.5:deny\n=:allow,H="1"\n));
	is(asked($path, '::ffff:1.2.3.4'), "rule 1.2.3.4:\ndeny connection\n", 'an IPv4-mapped peer meets IPv4 rules');
	is(asked($path, '::ffff:9.1.1.1'), "rule 9.0.0.0/8:\ndeny connection\n", 'and prefixes');
	is(asked($path, '::ffff:505:505', undef, 'joe'), "rule joe\@5.5.5.5:\ndeny connection\n", 'and info');
	is(asked(rules('mapped6', "::ffff:0:0/95:deny\n::/0:deny\n"), '1.2.3.4'), "default:\nallow connection\n", 'an IPv6 prefix is no IPv4 rule');
};

subtest 'order of prefixes' => sub {
	my @order = ('10.1.2.3', '=h.org', '10.1.2.', '10.1.', '10.', '10.1.2.3/32', '10.1.2.2/31', '10.1.0.0/16', '10.0.0.0/8', '0.0.0.0/0', '=.org', '=', '');
	for my $first (0 .. $#order) {
		my ($path, $result) = compiled("order $first", join '', map { "$_:deny\n" } @order[$first .. $#order]);
		is(asked($path, '10.1.2.3', 'h.org'), "rule $order[$first]:\ndeny connection\n", "$order[$first] before the rest");
	}
	@order = ('j@2001:db8::1', 'j@=h.org', '2001:db8::1', '=h.org', '2001:db8::1/128', '2001:db8::/32', '::/0', '=.org', '=', '');
	for my $first (0 .. $#order) {
		my ($path, $result) = compiled("order6 $first", join '', map { "$_:deny\n" } reverse @order[$first .. $#order]);
		is(asked($path, '2001:db8::1', 'h.org', 'j'), "rule $order[$first]:\ndeny connection\n", "$order[$first] before the rest");
	}
};

# ---- what is wrong ----

subtest 'errors' => sub {
	my @wrong = (
		['1.2.3.4', 'no : after the address'], [' # x', 'no : after the address'], ['allow', 'no : after the address'],
		(map { ["1.2.3.4:$_", 'neither allow nor deny after the :'] } '', 'Allow', 'DENY', 'allowed', ' allow', 'reject', 'allow X="y"', 'deny;', "allow\r"),
		['=h:foo,X="a:allow,b"', 'neither allow nor deny after the :'], ['::1', 'neither allow nor deny after the :'], ['2001:db8::1:', 'neither allow nor deny after the :'],
		(map { ["$_:deny", 'impossible IP address'] } '1.2.3.256', '256.', '1.2.3.4.5', '1.2.3.4.', '1..2.', '.', '1.2.3.x', '999.foo', 'host.org', 'a=b', ' =h', ' 1.2.3.4',
			'1.2.3.0004', '0x1.2.3.4', '[1.2.3.4', '[]', 'joe@', 'joe@1.2.3', 'joe@1.2.3.4-5', 'joe@10.', 'joe@10.0.0.0/8', 'joe@host', '@', '/8', 'x/8', '1.2.3.4./8', '1.2.3.4.5/8', '_0000', '^'),
		(map { ["$_:deny", "part of an IP address, without a dot at its end"] } '1.2.3', '10', '1.2.3-4', '0-'),
		(map { ["$_:deny", 'impossible IPv6 address'] } ':', ':::', '2001:db8:1', '2001:db8:', '1:2:3:4:5:6:7:8:9', '12345::', 'g::', '::1.2.3.256', 'joe@:::', '[::1', '::1]', '[[::1]]', '1::2::3', ':::/8'),
		(map { ["$_:deny", 'an address of a rule has no zone'] } 'fe80::1%eth0', 'fe80::1%1', 'fe80::%1/10'),
		(map { ["$_:deny", 'impossible prefix length'] } '1.2.3.4/33', '1.2.3.4/', '1.2.3.4/-1', '1.2.3.4/x', '1.2.3.4/8/8', '::/129', '::/', '::/0128', '::1/12 8', '1.2.3.4/255.255.255.0', '::ffff:1.2.3.4/129', '[1.2.3.4]/33', '1.2.3.4/4294967296'),
		['10.1/24:deny', 'prefix that is longer than the IP address'], ['1.2.3-4./16:deny', 'a range has no prefix length'],
		(map { ["$_:deny", 'range that yields no address'] } '1.2.3.9-8', '5-.', '300-400.', '256-256.'),
		(map { ["$_:deny", 'a range needs numbers'] } '1.2.a-b.', '1.2.3.4--5', '1-2-3.', '-x.', 'my-host.org'),
		['1-2.3-4.:deny', 'more than one range'],
		['1.2.3.4:allow,X', 'variable without ='], ['1.2.3.4:allow,', 'variable without ='], ['1.2.3.4:allow,X=', 'variable without a quoted value'],
		['1.2.3.4:allow,X="', 'value without closing quote'], ['1.2.3.4:allow,X="y', 'value without closing quote'], ['1.2.3.4:allow,X= y ', 'value without closing quote'],
		['1.2.3.4:allow,X=y', 'value without closing quote'], ['1.2.3.4:allow,X="y"z', 'text after the closing quote'], ['1.2.3.4:allow,X="y" ,Z="z"', 'text after the closing quote'],
		['1.2.3.4:allow,' . 'x' x 1001 . '=""', 'name of a variable longer than 1000 bytes'],
		["1.2.3.4:allow,X=\"a\0b\"", 'NUL byte'], ["1.2.3.\0:deny", 'NUL byte'], ["=a\0:deny", 'NUL byte'],
	);
	my $path = rules('kept', "1.2.3.4:deny\n");
	my $before = slurp($path);
	for my $case (@wrong) {
		my ($line, $reason) = @$case;
		my $result = run({ in => "# one\n:allow\n$line\n5.6.7.8:deny\n" }, $compile, $path, temporary('kept.new'));
		(my $text = $line) =~ s/[ \t]+\z//;
		$text =~ tr/\0\r\t%/?/;
		$text = substr($text, 0, 1000) . '...' if length $text > 1000;
		is($result->{err}, "tcprules: fatal: line 3: $reason: $text\n", substr "$text: what is said", 0, 100);
		is($result->{exit}, 100, 'exit 100');
		ok(!-e temporary('kept.new'), 'no temporary file');
	}
	ok(slurp($path) eq $before, 'the old file is as it was');
	my $result = run({ in => "1.2.3.4:deny\n1.2.3.4:no" }, $compile, $path, temporary('kept.new'));
	is($result->{err}, "tcprules: fatal: line 2: neither allow nor deny after the :: 1.2.3.4:no\n", 'a last line without newline');
};

subtest 'warnings' => sub {
	my @cases = (
		["1.2.3.4:deny\n# x\n1.2.3.4:allow\n", "line 3: can never match: line 1 is for the same address: 1.2.3.4:allow"],
		["1.2.3.0-9:deny\n1.2.3.5-6:allow\n", "line 2: can never match: line 1 is for the same address: 1.2.3.5-6:allow"],
		["1.2.3.5:deny\n1.2.3.4-6:allow\n", undef],
		["=a:deny\n=b:deny\n=a:deny\n", "line 3: can never match: line 1 is for the same address: =a:deny"],
		[":deny\n:allow\n", "line 2: can never match: line 1 is for the same address: :allow"],
		["::1:deny\n0::1:allow\n", "line 2: can never match: line 1 is for the same address: 0::1:allow"],
		["10.0.0.0/8:deny\n10.9.9.9/8:allow\n", "line 2: can never match: line 1 is for the same address: 10.9.9.9/8:allow"],
		["10.1.0.0/16:deny\n10.:allow\n", "line 1: can never match: line 2 covers it and comes before prefixes with a /: 10.1.0.0/16:deny"],
		["10.1.2.:allow\n10.1.2.0/24:deny\n", "line 2: can never match: line 1 covers it and comes before prefixes with a /: 10.1.2.0/24:deny"],
		["10.1.2.:allow\n10.1.2.0/23:deny\n11.1.0.0/16:deny\n10.1.0.0/16:deny\n", undef],
		["1.2.3.4:allow\n1.2.3.4/32:deny\n", "line 2: can never match: line 1 covers it and comes before prefixes with a /: 1.2.3.4/32:deny"],
		["::5:allow\n::5/128:deny\n::5/127:deny\n", "line 2: can never match: line 1 covers it and comes before prefixes with a /: ::5/128:deny"],
		["::/0:allow\n=.org:allow\n0.0.0.0/0:allow\n", "line 2: can never match: line 3 leaves no address over: =.org:allow"],
		["::/0:allow\n=.org:allow\n=a:deny\n:deny\n", undef],
		['=' . 'h' x 2100 . ":deny\n", 'line 1: can never match: longer than any address that is looked up: =' . 'h' x 999 . '...'],
		["1.2.3.4:allow,=\"x\"\n", 'line 1: variable without a name is never set: 1.2.3.4:allow,="x"'],
		["1.2.3.4:allow,X,Y=\"x\"\n", 'line 1: comma in the name of a variable: 1.2.3.4:allow,X,Y="x"'],
	);
	for my $case (@cases) {
		my ($path, $result) = compiled('warned', $case->[0]);
		is($result->{err}, defined $case->[1] ? "tcprules: warning: $case->[1]\n" : '', 'said of ' . substr $case->[0], 0, 60);
		is($result->{exit}, 0, 'compiles all the same');
	}
	my ($path, $result) = compiled('several', "1.1.1.1:deny\n1.1.1.1:deny\n2.2.2.2:deny\n2.2.2.2:deny\n");
	is(() = $result->{err} =~ /^tcprules: warning: line [24]: /mg, 2, 'one for each');
};

subtest 'values are taken as they stand' => sub {
	my $path = rules('values', qq(1.1.1.1:allow,A="\$HOME",B="`x`",C="%d\\n\\\\",D='"',E="a,F='b'",G==x=,H="",UID="0",CERTFILE:a="x y"\n));
	is(asked($path, '1.1.1.1'), "rule 1.1.1.1:\n" . join('', map { "set environment variable $_\n" } 'A=$HOME', 'B=`x`', 'C=%d\\n\\\\', 'D="', "E=a,F='b'", 'G=x', 'H=', 'UID=0', 'CERTFILE:a=x y')
			. "allow connection\n", 'nothing is expanded');
	is(asked(rules('denied', qq(1.1.1.1:deny,A="b"\n)), '1.1.1.1'), "rule 1.1.1.1:\ndeny connection\n", 'nothing is set for who is denied');
};

# ---- files ----

subtest 'replacing the file' => sub {
	is($_->{err}, "tcprules: usage: tcprules rules.cdb rules.tmp\n", 'usage') for map { run($compile, @$_) } [], ['x'], ['x', 'y', 'z'];
	is(run($compile)->{exit}, 100, 'usage: exit 100');

	my $path = rules('file', "1.2.3.4:deny\n");
	my $old = slurp($path);
	my $fails = sub {
		my ($words, $options, @operands) = @_;
		my $result = run({ in => ":deny\n", %$options }, $compile, @operands);
		like($result->{err}, qr/\Atcprules: fatal: $words\n\z/, $words);
		is($result->{exit}, 111, 'exit 111');
		ok(slurp($path) eq $old, 'the old file is as it was');
	};
	my $nowhere = temporary('nowhere');
	$fails->("unable to create \Q$nowhere\E/tmp: No such file or directory", {}, $path, "$nowhere/tmp");
	$fails->("unable to move \Q$path\E.tmp to \Q$nowhere\E/cdb: No such file or directory", {}, "$nowhere/cdb", "$path.tmp");
	ok(!-e "$path.tmp", 'the temporary file is removed');
	$fails->("unable to create /dev/null: something else than a file is there", {}, $path, '/dev/null');
	ok(-c '/dev/null', '/dev/null is still there');
	mkdir temporary('folder');
	my $folder = temporary('folder');
	$fails->("unable to create \Q$folder\E: Is a directory", {}, $path, $folder);
	$fails->("unable to move \Q$path\E.tmp to \Q$folder\E: .*", {}, $folder, "$path.tmp");
	spew(temporary('elsewhere'), 'x');
	symlink temporary('elsewhere'), temporary('pointer');
	$fails->('unable to create ' . quotemeta(temporary('pointer')) . ': .*', {}, $path, temporary('pointer'));
	is(slurp(temporary('elsewhere')), 'x', 'a link is not followed');
	$fails->('unable to read input: Is a directory', { in => undef, before => sub { open STDIN, '<', '/' or die } }, $path, "$path.tmp");
	$fails->("unable to write to \Q$path\E.tmp: File too large", { in => join('', map { "1.$_.0-255.:deny\n" } 0 .. 9), before => sub { $SIG{XFSZ} = 'IGNORE'; exec 'sh', '-c', 'ulimit -f 1; exec "$@"', 'sh', $compile, $path, "$path.tmp" } });
	ok(!-e "$path.tmp", 'the temporary file is removed');
	my $result = run({ in => ":deny\n" }, $compile, $path, $path);
	is($result->{exit}, 100, 'the same file twice: exit 100');
	link $path, "$path.link";
	is(run({ in => ":deny\n" }, $compile, $path, "$path.link")->{exit}, 100, 'also by another name');
	ok(slurp($path) eq $old, 'the old file is as it was');

	spew("$path.tmp", 'x' x 100000);
	chmod 0600, "$path.tmp";
	is(run({ in => "5.5.5.5:deny\n" }, $compile, $path, "$path.tmp")->{exit}, 0, 'a temporary file that was left over is taken');
	is(-s $path, 2048 + 8 + 7 + 2 + 16, 'and nothing of it stays');
	SKIP: {
		my $strace = '/usr/bin/strace';
		skip 'no strace', 1 unless -x $strace && run($strace, 'true')->{exit} == 0;
		my $traced = run({ in => ":deny\n" }, $strace, '-e', 'trace=openat,open,write,writev,fsync,close,rename,unlink', '-o', temporary('trace'), $compile, $path, "$path.tmp");
		like(slurp(temporary('trace')), qr/writev?\((\d+), .*\n(?:.*\n)*?fsync\(\1\).*\nclose\(\1\).*\nrename\(.*\n(?:.*\n)*?open.*O_DIRECTORY.*= (\d+)\nfsync\(\2\)/, 'written out before it is moved, and the folder after');
	}
};

subtest 'checking' => sub {
	my $path = rules('checked', qq(0.0.0.0:allow,A="b"\n=:deny\nj\@1.1.1.1:deny\n\@2.2.2.2:deny\n));
	for my $operands ([], [$path, '1.2.3.4', 'h', 'i', 'x']) {
		my $result = run($check, @$operands);
		is($result->{err}, "tcprulescheck: usage: tcprulescheck rules.cdb [ ip [ host [ info ] ] ]\n", 'usage');
		is($result->{exit}, 100, 'exit 100');
	}
	is(asked($path), "rule 0.0.0.0:\nset environment variable A=b\nallow connection\n", '0.0.0.0 unless told otherwise');
	is(asked($path, '1.1.1.1', ''), "rule =:\ndeny connection\n", 'an empty name in the environment is a name');
	is(asked($path, '2.2.2.2', undef, ''), "rule \@2.2.2.2:\ndeny connection\n", 'an empty info is an info');
	is(output({ HOST => 'h', INFO => 'j' }, $check, $path, '1.1.1.1'), "default:\nallow connection\n", 'with operands the environment does not count');
	is(run($check, $path, '1.1.1.1', '', 'j')->{out}, "rule j\@1.1.1.1:\ndeny connection\n", 'an empty operand is no name');
	for my $ip ('', 'x', '1.2.3', '1.2.3.4.', '1.2.3.4/8', ':::') {
		my $result = run($check, $path, $ip);
		is($result->{err}, "tcprulescheck: fatal: not an IP address: $ip\n", "<$ip> is no address");
		is($result->{exit}, 100, 'exit 100');
	}
	is(run($check, $path, '1.1.1.1', 'h' x 1000)->{exit}, 0, 'a long name');
	like(run($check, $path, '1.1.1.1', 'h' x 1001)->{err}, qr/\Atcprulescheck: fatal: unable to read .*: File name too long\n/, 'one that is too long');
	is(run({ before => sub { open STDOUT, '>', '/dev/full' } }, $check, $path)->{exit}, 111, 'a full disk: exit 111') if -e '/dev/full';
};

subtest 'no file of rules' => sub {
	my $good = rules('whole', join '', map { "10.1.$_.1:deny\n" } 0 .. 255);
	my $bytes = slurp($good);
	my $refused = sub {
		my ($words, $reason) = @_;
		my $result = run($check, temporary('bad'), '10.1.2.1');
		is($result->{err}, 'tcprulescheck: fatal: unable to read ' . temporary('bad') . ": $reason\n", $words);
		is($result->{exit}, 111, 'exit 111');
	};
	$refused->('nothing there', 'No such file or directory');
	mkdir temporary('bad');
	$refused->('a folder', 'not a regular file');
	rmdir temporary('bad');
	require POSIX;
	POSIX::mkfifo(temporary('bad'), 0600);
	$refused->('a FIFO', 'not a regular file');
	unlink temporary('bad');
	symlink '/dev/zero', temporary('bad');
	$refused->('a device', 'not a regular file');
	unlink temporary('bad');
	my $whole = 'not a whole cdb file';
	for my $case (['empty', ''], ['short', "\0" x 2047], ['zeros', "\0" x 8192], ['text', "1.2.3.4:deny\n" x 1000], ['high bytes', "\xff" x 8192], ['cut by one byte', substr $bytes, 0, -1],
		['header only', substr $bytes, 0, 2048], ['cut in half', substr $bytes, 0, length($bytes) / 2]) {
		spew(temporary('bad'), $case->[1]);
		$refused->($case->[0], $whole);
	}

	# One record whose lengths are wrong, in place: a record that is larger than the file, a key that is.
	my $one = slurp(rules('one', "10.1.2.1:deny\n"));
	for my $case (['record beyond the end', 4, "\xff\xff\xff\x7f"], ['record just beyond the end', 4, pack 'V', length($one) - 2048 - 8 - 8 + 1]) {
		my $changed = $one;
		substr($changed, 2048 + $case->[1], 4) = $case->[2];
		spew(temporary('bad'), $changed);
		$refused->($case->[0], 'Protocol error');
	}
	my $changed = $one;
	my ($at) = map { $$_[0] } grep { $$_[1] } map { [unpack 'VV', substr $one, 8 * $_, 8] } 0 .. 255;
	for my $slot (0 .. 1) { substr($changed, $at + 8 * $slot + 4, 4) = "\xf0\xff\xff\xff" if unpack 'V', substr $one, $at + 8 * $slot + 4, 4 }
	spew(temporary('bad'), $changed);
	$refused->('a slot that points beyond the end', 'Protocol error');

	# Records of other makers: no NUL at the end, entries of no known kind, names without value, a long name.
	SKIP: {
		skip 'no cdb', 1 unless $cdb_program;
		my $other = sub {
			my ($record) = @_;
			unlink temporary('bad');
			spew(temporary('input'), '+8,' . length($record) . ":10.1.2.1->$record\n\n");
			system($cdb_program, '-c', temporary('bad'), temporary('input')) == 0 or die 'cdb';
			return run($check, temporary('bad'), '10.1.2.1')->{out};
		};
		is($other->("+A=b\0D"), "rule 10.1.2.1:\nset environment variable A=b\nallow connection\n", 'an entry without end is none, as in ucspi-tcp');
		is($other->("?x\0+A=b\0\0D\0+C=d\0"), "rule 10.1.2.1:\nset environment variable A=b\ndeny connection\n", 'entries of another kind are passed over');
		is($other->("+A\0+=x\0+B=\0"), "rule 10.1.2.1:\nset environment variable B=\nallow connection\n", 'nothing without a name or a value');
		is($other->("+A=x\nallow connection\e[2J\0D\0"), "rule 10.1.2.1:\nset environment variable A=x?allow connection?[2J\ndeny connection\n", 'no control characters');
		$other->('+' . 'n' x 1001 . "=x\0");
		$refused->('a name that is too long', 'Protocol error');
	}
};

# ---- the guide ----

# Blocks of rules in doc/guide/access-control.md are compiled, and each call of tcprulescheck behind them gives what is shown.
subtest 'the guide' => sub {
	my $guide = slurp("$FindBin::Bin/../doc/guide/access-control.md");
	my ($path, $blocks, $calls) = (undef, 0, 0);
	while ($guide =~ /^```(\w*)\n(.*?)^```$/msg) {
		my ($kind, $text) = ($1, $2);
		if ($kind eq 'rules') {
			$path = rules('guide' . ++$blocks, $text);
		} elsif ($text =~ /^\$ tcprulescheck/) {
			for my $part (split /^(?=\$ )/m, $text) {
				my ($call, $expected) = $part =~ /\A\$ (.*)\n(.*)\z/s or next;
				my @words = map { s/^'(.*)'$/$1/r } split ' ', $call;
				is(run($check, $path, @words[2 .. $#words])->{out}, $expected, $call);
				$calls++;
			}
		} elsif ($kind eq 'warned') {
			my ($rules, $said) = $text =~ /\A(.*?)^(tcprules: .*)\z/ms;
			my (undef, $result) = compiled('guide' . ++$blocks, $rules);
			is($result->{err}, $said, 'what tcprules says');
		}
	}
	cmp_ok($blocks, '>', 3, 'there were rules in it');
	cmp_ok($calls, '>', 5, 'and calls');
};

done_testing;
