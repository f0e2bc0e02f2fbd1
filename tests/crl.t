#!/usr/bin/perl
# Revocation: CRLFILE, CRLDIR and TLS_CRLPOLICY. The lists come from openssl ca; what tlsverify makes of them is compared with openssl verify,
# and what connections make of them is seen from openssl s_client, s_server and curl.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Bear;
use BearTls;
use Certificates qw(seq oid integer number bits octets utc name boolean);
use POSIX qw(strftime);
use Test::More;
use Time::HiRes qw(time);

# ---- authorities, certificates, lists ----

sub stamp { return strftime('%y%m%d%H%M%SZ', gmtime(time + 86400 * $_[0])) }

my $numbers = 0;
my $config = spew(temporary('crl.cnf'), <<'END');
[req]
distinguished_name = none
[none]
[authority]
basicConstraints = critical, CA:true
keyUsage = critical, keyCertSign, cRLSign
[nocrls]
basicConstraints = critical, CA:true
keyUsage = critical, keyCertSign
[leaf]
subjectAltName = DNS:localhost
extendedKeyUsage = serverAuth, clientAuth
[pointed]
subjectAltName = DNS:localhost
crlDistributionPoints = URI:http://crl.example/1.crl
END

sub certify {
	my ($name, $issuer, $extensions, $serial) = @_;
	my $path = temporary($name);
	openssl('genpkey', '-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-256', '-out', "$path.key") unless -e "$path.key";
	my @by = $issuer ? ('-CA', temporary("$issuer.pem"), '-CAkey', temporary("$issuer.key")) : ();
	openssl('req', '-x509', '-new', '-config', $config, '-key', "$path.key", '-subj', "/CN=$name", '-days', 30, '-extensions', $extensions, '-set_serial', $serial,
		'-out', "$path.pem", @by);
	return $path;
}
certify('top', undef, 'authority', 1);
certify('middle', 'top', 'authority', 0x2001);
certify('silent', 'top', 'nocrls', 0x2002);
certify('good', 'middle', 'leaf', 0x1001);
certify('gone', 'middle', 'leaf', 0x1002);
certify('pointed', 'middle', 'pointed', 0x1003);
certify('under-silent', 'silent', 'leaf', 0x1001);
for my $leaf ('good', 'gone', 'pointed') { spew(temporary("$leaf-chain.pem"), slurp(temporary("$leaf.pem")) . slurp(temporary('middle.pem'))) }
spew(temporary('under-silent-chain.pem'), slurp(temporary('under-silent.pem')) . slurp(temporary('silent.pem')));
my $root = temporary('top.pem');

# Another authority that calls itself middle.
openssl('req', '-x509', '-new', '-config', $config, '-key', temporary('silent.key'), '-subj', '/CN=middle', '-extensions', 'authority', '-out', temporary('impostor.pem'));
spew(temporary('impostor.key'), slurp(temporary('silent.key')));

# A list: by => whose it is; revoked => [serial, reason, ..]; from, to => in days; extensions => text; digest.
sub crl {
	my ($name, %how) = @_;
	my ($ca, $path) = ($how{by} || 'middle', temporary("$name.crl"));
	my @revoked = @{ $how{revoked} || [] };
	my $index = '';
	while (my ($serial, $reason) = splice @revoked, 0, 2) {
		$index .= join("\t", 'R', stamp(300), $how{when} || '260102030405Z' . ($reason ? ",$reason" : ''), sprintf('%04X', $serial), 'unknown', '/CN=x') . "\n";
	}
	spew("$path.index", $index);
	spew("$path.number", sprintf("%04X\n", ++$numbers));
	spew("$path.cnf", "[ca]\ndefault_ca = d\n[d]\ndatabase = $path.index\ncrlnumber = $path.number\ndefault_md = " . ($how{digest} || 'sha256') . "\n[e]\n"
		. ($how{extensions} || "authorityKeyIdentifier = keyid\n"));
	openssl('ca', '-config', "$path.cnf", '-gencrl', '-cert', temporary("$ca.pem"), '-keyfile', temporary("$ca.key"), '-crlexts', 'e',
		'-crl_lastupdate', stamp($how{from} // -1), '-crl_nextupdate', stamp($how{to} // 10), '-out', $path);
	return $path;
}
sub both { return spew(temporary('both' . ++$numbers . '.crl'), join '', map { slurp($_) } @_) }
sub der { my ($path) = @_; openssl('crl', '-in', $path, '-outform', 'DER', '-out', "$path.der"); return "$path.der" }

my $top = crl('top', by => 'top');
my $list = crl('list', revoked => [0x1002, 'keyCompromise', 0x1099, '']);
my $fine = both($top, $list);

sub verify {
	my ($leaf, %env) = @_;
	return run({ env => { CAFILE => $root, %env } }, command('tlsverify'), temporary("$leaf-chain.pem"));
}

# What tlstrust makes of files.
sub compile { my $path = temporary('store' . ++$numbers); my $result = run({ timeout => 60 }, command('tlstrust'), $path, "$path.tmp", @_); return ($path, $result) }

# ---- which list counts, and what it says ----

my $issuer = "the issuer's revocation list";
my $idp = "issuingDistributionPoint = critical, \@p\n[p]\n";
my @cases = (
	# Name, leaf, list of the intermediate, the reason ('' for accepted). differs: openssl verify decides otherwise, which takes a delta and
	# entries with removeFromCRL for what they are not, SHA-1 for a signature, and a certificate for one without the point named like its issuer.
	# either: which one it takes of two depends on their order.
	['not listed', 'good', $list, ''],
	['listed', 'gone', $list, 'certificate was revoked: key compromise'],
	['listed without a reason', 'gone', crl('plain', revoked => [0x1002, '']), 'certificate was revoked'],
	(map { [$_->[0], 'gone', crl($_->[0], revoked => [0x1002, $_->[0]]), "certificate was revoked: $_->[1]"] } ['CACompromise', 'CA compromise'],
		['affiliationChanged', 'affiliation changed'], ['superseded', 'superseded'], ['cessationOfOperation', 'cessation of operation']),
	['on hold', 'gone', crl('hold', revoked => [0x1002, 'holdInstruction,holdInstructionReject']), 'certificate was revoked: on hold'],
	['removeFromCRL in a list that is no delta', 'gone', crl('remove', revoked => [0x1002, 'removeFromCRL']), 'certificate was revoked', 'differs'],
	['out of date', 'good', crl('stale', from => -5, to => -1), "$issuer is out of date"],
	['out of date, and listed', 'gone', crl('stale-gone', from => -5, to => -1, revoked => [0x1002, '']), 'certificate was revoked'],
	['not yet valid', 'good', crl('early', from => 2), "$issuer is not yet valid"],
	['of another issuer', 'good', crl('other', by => 'silent'), 'there is no revocation list of the issuer'],
	['signed with another key', 'good', crl('forged', by => 'impostor'), "signature on $issuer is wrong"],
	['signed with another key, and listed', 'gone', crl('forged-gone', by => 'impostor', revoked => [0x1002, '']), "signature on $issuer is wrong"],
	['signed with SHA-1', 'good', crl('sha1', digest => 'sha1'), "$issuer is signed with an algorithm that is not supported", 'differs'],
	['an unknown critical extension', 'good', crl('critical', extensions => "1.2.3.4 = critical, DER:0500\n"), "$issuer has an unknown critical extension"],
	['an unknown extension', 'good', crl('uncritical', extensions => "1.2.3.4 = DER:0500\n"), ''],
	['a delta', 'good', crl('delta', extensions => "2.5.29.27 = critical, DER:020101\n"), "$issuer does not cover the certificate", 'differs'],
	['for users', 'good', crl('users', extensions => "${idp}onlyuser = TRUE\n"), ''],
	['for authorities', 'good', crl('cas', extensions => "${idp}onlyCA = TRUE\n"), "$issuer does not cover the certificate"],
	['for attribute certificates', 'good', crl('attributes', extensions => "${idp}onlyAA = TRUE\n"), "$issuer does not cover the certificate"],
	['for some reasons', 'good', crl('some', extensions => "${idp}onlysomereasons = keyCompromise\n"), "$issuer does not cover the certificate"],
	['indirect', 'good', crl('indirect', extensions => "${idp}indirectCRL = TRUE\n"), "$issuer does not cover the certificate"],
	['for the distribution point', 'pointed', crl('point', extensions => "${idp}fullname = URI:http://crl.example/1.crl\n"), ''],
	['for the distribution point, and listed', 'pointed', crl('point-gone', revoked => [0x1003, ''], extensions => "${idp}fullname = URI:http://crl.example/1.crl\n"), 'certificate was revoked'],
	['for another distribution point', 'pointed', crl('point2', extensions => "${idp}fullname = URI:http://crl.example/2.crl\n"), "$issuer does not cover the certificate"],
	['for a distribution point, which the certificate has not', 'good', temporary('point.crl'), "$issuer does not cover the certificate"],
	['for the issuer by name', 'good', crl('named', extensions => "${idp}fullname = dirName:n\n[n]\nCN = middle\n"), '', 'differs'],
	['an older and a newer one', 'gone', both(crl('newer', from => -1), crl('older', from => -2, revoked => [0x1002, '']), ), '', 'either'],
	['a newer and an older one', 'gone', both(crl('older2', from => -2), crl('newer2', from => -1, revoked => [0x1002, ''])), 'certificate was revoked', 'either'],
	['a forged newer one is passed over', 'gone', both(crl('forged2', from => 0, by => 'impostor'), crl('right', from => -2, revoked => [0x1002, ''])), 'certificate was revoked', 'either'],
);
for my $case (@cases) {
	my ($name, $leaf, $path, $reason, $differs) = @$case;
	my $file = both($top, $path);
	subtest $name => sub {
		my $revoked = $reason =~ /^certificate was revoked/;
		my $result = verify($leaf, CRLFILE => $file);
		is($result->{err}, '', 'nothing is wrong');
		is($result->{out} =~ /^(?:refused: (.*)|ok)$/m ? $1 // '' : $result->{out}, $reason, $reason || 'accepted');
		is($result->{exit}, $reason ? 1 : 0, 'exit code');
		like($result->{out}, $revoked ? qr/^alert: certificate_revoked\ncertificate: CN=$leaf\nrevoked: 2026-01-02T03:04:05Z\n\z/m
			: $reason ? qr/^alert: certificate_unknown\ncertificate: CN=$leaf\n\z/m : qr/^ok\n\z/m, 'alert, certificate and date');
		$result = verify($leaf, CRLFILE => $file, TLS_CRLPOLICY => 'warn');
		is($result->{exit}, $revoked ? 1 : 0, 'TLS_CRLPOLICY=warn: exit code');
		like($result->{out}, qr/^ok\nwarning: \Q$reason\E\ncertificate: CN=$leaf\n\z/m, 'a warning') if $reason && !$revoked;
		unlike($result->{out}, qr/warning/, 'no warning') if !$reason || $revoked;
		my ($store, $compiled) = compile($file);
		is($compiled->{exit}, 0, 'compiled') or diag $compiled->{err};
		for my $more ({}, { TLS_CRLPOLICY => 'warn' }) {
			my ($from_text, $from_store) = map { verify($leaf, CRLFILE => $_, %$more) } $file, $store;
			is("$from_store->{exit} $from_store->{out}$from_store->{err}", "$from_text->{exit} $from_text->{out}$from_text->{err}", join ' ', 'the same from tlstrust', %$more);
		}
		return if ($differs || '') eq 'either';
		$result = run('openssl', 'verify', '-crl_check_all', '-CRLfile', $file, '-CAfile', $root, '-untrusted', temporary('middle.pem'), temporary("$leaf.pem"));
		is(!$result->{exit}, !!$differs != !$reason, 'openssl verify: ' . ($differs ? 'otherwise' : 'the same'));
	};
}

subtest 'the whole path below the anchor' => sub {
	my $none = crl('top-gone', by => 'top', revoked => [0x2001, 'superseded']);
	my $result = verify('good', CRLFILE => both($none, $list));
	like($result->{out}, qr/^refused: certificate was revoked: superseded\nalert: certificate_revoked\ncertificate: CN=middle\n/m, 'a revoked intermediate');
	$result = run('openssl', 'verify', '-crl_check_all', '-CRLfile', both($none, $list), '-CAfile', $root, '-untrusted', temporary('middle.pem'), temporary('good.pem'));
	isnt($result->{exit}, 0, 'openssl verify: the same');
	like(verify('good', CRLFILE => $list)->{out}, qr/^refused: there is no revocation list of the issuer\nalert: certificate_unknown\ncertificate: CN=middle$/m, 'no list for the intermediate');
	like(verify('good', CRLFILE => $list, CAFILE => temporary('middle.pem'))->{out}, qr/^ok$/m, 'which is the anchor: none needed');
	like(verify('gone', CRLFILE => $top, CAFILE => temporary('gone.pem'))->{out}, qr/^ok: the leaf is a trust anchor$/m, 'a leaf that is the anchor');
	like(verify('under-silent', CRLFILE => both($top, crl('silent', by => 'silent')))->{out}, qr/^refused: the issuer's key may not sign revocation lists\nalert: certificate_unknown$/m, 'key usage without cRLSign');
	like(verify('gone', CRLFILE => $fine, TLS_VERIFY => 'none')->{out}, qr/^not checked/m, 'TLS_VERIFY=none');
	# The intermediate twice, once issued by an authority that has revoked it.
	certify('top2', undef, 'authority', 1);
	spew(temporary('again.key'), slurp(temporary('middle.key')));
	openssl('req', '-x509', '-new', '-config', $config, '-key', temporary('middle.key'), '-subj', '/CN=middle', '-days', 30, '-extensions', 'authority', '-set_serial', 0x2001,
		'-out', temporary('again.pem'), '-CA', temporary('top2.pem'), '-CAkey', temporary('top2.key'));
	spew(temporary('cross-chain.pem'), join '', map { slurp(temporary("$_.pem")) } 'good', 'middle', 'again');
	spew(temporary('cas.pem'), slurp($root) . slurp(temporary('top2.pem')));
	my $top2 = crl('top2', by => 'top2');
	like(verify('cross', CRLFILE => both($none, $list, $top2), CAFILE => temporary('cas.pem'))->{out}, qr/^ok$/m, 'another path is found');
	like(verify('cross', CRLFILE => both($none, $list, crl('top2-gone', by => 'top2', revoked => [0x2001, ''])), CAFILE => temporary('cas.pem'))->{out}, qr/^alert: certificate_revoked$/m, 'unless that is revoked as well');
};

# What openssl does not make.
subtest 'lists made by hand' => sub {
	my $tops = temporary('tops');
	mkdir $tops;
	spew("$tops/top", slurp($top));
	my $make = sub {
		my ($next, @entries) = @_;
		my $algorithm = seq(oid('1.2.840.10045.4.3.2'));
		my $tbs = seq(number(1), $algorithm, name('CN=middle'), utc(stamp(-1)), $next ? utc(stamp($next)) : (), @entries ? seq(@entries) : ());
		my $signature = openssl('dgst', '-sha256', '-sign', temporary('middle.key'), spew(temporary('tbs'), $tbs));
		return (CRLDIR => $tops, CRLFILE => spew(temporary('made.der'), seq($tbs, $algorithm, bits($signature))));
	};
	my $entry = sub { my ($serial, @more) = @_; return seq(number($serial), utc('260102030405Z'), @more) };
	my $reason = sub { my ($oid, $critical, $value) = @_; return seq(seq(oid($oid), $critical ? boolean(1) : (), octets($value))) };
	my $refused = sub { my ($leaf, @list) = @_; return verify($leaf, @list)->{out} =~ /^refused: (.*)$/m ? $1 : '' };
	is($refused->('good', $make->(10, $entry->(0x1002))), '', 'as it should be');
	is($refused->('gone', $make->(10, $entry->(0x1001), $entry->(0x1002))), 'certificate was revoked', 'and with what is revoked');
	is($refused->('good', $make->(0)), "$issuer does not say how long it is valid", 'no nextUpdate');
	is($refused->('gone', $make->(0, $entry->(0x1002))), 'certificate was revoked', 'no nextUpdate, and listed');
	is($refused->('good', $make->(10, $entry->(7, $reason->('2.5.29.29', 1, seq())))), "$issuer has an unknown critical extension", 'an entry of another issuer');
	is($refused->('gone', $make->(10, $entry->(0x1002), $entry->(7, $reason->('1.2.3', 1, seq())))), "$issuer has an unknown critical extension", 'behind what is listed, too');
	is($refused->('good', $make->(10, $entry->(7, $reason->('1.2.3', 0, seq())))), '', 'an unknown extension of an entry');
	is($refused->('gone', $make->(10, $entry->(7, $reason->('2.5.29.21', 0, "\x0a\x01\x01")), $entry->(0x1002))), 'certificate was revoked', 'the reason of one entry is not that of the next');
	is($refused->('good', $make->(10, seq(number(7)))), "$issuer is malformed", 'an entry without a date');
	is($refused->('good', $make->(10, $entry->(7, $reason->('2.5.29.21', 0, number(1))))), "$issuer is malformed", 'a reason that is none');
	# tlstrust sees at once what makes a list useless.
	for my $case (['malformed revocation list', seq(number(7))], ['revocation list with an unknown critical extension', $entry->(7, $reason->('1.2.3', 1, seq()))]) {
		my (undef, undef, undef, $file) = $make->(10, $entry->(0x1002), $case->[1]);
		my ($store, $compiled) = compile($file);
		is($compiled->{exit}, 96, "tlstrust, $case->[0]: exit 96");
		is($compiled->{err}, "tlstrust: fatal: unable to make $store: $case->[0]\n", 'in words');
		ok(!-e $store && !-e "$store.tmp", 'and nothing is left');
	}
	my (undef, undef, undef, $file) = $make->(10, $entry->(0x1002), $entry->(0x1002, $reason->('2.5.29.21', 0, "\x0a\x01\x01")));
	my ($store) = compile($file);
	is($refused->('gone', CRLFILE => $store, CRLDIR => $tops), 'certificate was revoked', 'tlstrust: of two entries the first, and lists of a folder beside it');
};

subtest 'files and folders' => sub {
	for my $file (spew(temporary('two.der'), slurp(der($top)) . slurp(der($list))), spew(temporary('text.crl'), "some text\r\n" . slurp($root) . slurp($fine) =~ s/\n/\r\n/gr)) {
		like(verify('gone', CRLFILE => $file)->{out}, qr/^refused: certificate was revoked: key/m, 'CRLFILE: ' . $file =~ s{.*/}{}r);
		like(verify('good', CRLFILE => $file)->{out}, qr/^ok$/m, 'and what is not listed');
	}
	my $folder = temporary('folder');
	mkdir $folder;
	mkdir "$folder/more";
	spew("$folder/any name", slurp($list));
	spew("$folder/der", slurp(der($top)));
	spew("$folder/" . openssl('crl', '-in', $list, '-noout', '-hash') =~ s/\n//r . '.r0', slurp($list));
	spew("$folder/certificate.pem", slurp($root));
	spew("$folder/garbage", "\x30\x03\x02\x01\x01");
	like(verify('good', CRLDIR => $folder)->{out}, qr/^ok$/m, 'CRLDIR: any names, hashed ones too, among other things');
	like(verify('gone', CRLDIR => $folder)->{out}, qr/^alert: certificate_revoked$/m, 'CRLDIR: listed');
	unlink "$folder/der";
	like(verify('good', CRLDIR => $folder)->{out}, qr/^alert: certificate_unknown$/m, 'one is missing');
	like(verify('good', CRLDIR => $folder, CRLFILE => $top)->{out}, qr/^ok$/m, 'CRLFILE and CRLDIR together');
	like(verify('gone', CRLDIR => '', CRLFILE => '')->{out}, qr/^ok$/m, 'both empty: nobody asks');

	my $empty = temporary('empty');
	mkdir $empty;
	my $large = temporary('large');
	open my $out, '>', $large or die;
	truncate $out, (64 << 20) + 1;
	close $out;
	for my $case (
		[qr/^tlsverify: fatal: unable to read revocation lists from \Q$empty\E\/x: No such file or directory$/, CRLFILE => "$empty/x"],
		[qr/^tlsverify: fatal: unable to read revocation lists from \Q$empty\E\/x: No such file or directory$/, CRLDIR => "$empty/x"],
		[qr/^tlsverify: fatal: unable to read revocation lists from \Q$root\E: no revocation list in it$/, CRLFILE => $root],
		[qr/^tlsverify: fatal: unable to read revocation lists from .*: something behind the revocation list$/, CRLFILE => spew(temporary('behind'), slurp(der($list)) . 'x')],
		[qr/^tlsverify: fatal: unable to read revocation lists from .*: PEM block that is not base64$/, CRLFILE => spew(temporary('bad64'), slurp($list) =~ s/\n/\n*/r)],
		[qr/^tlsverify: fatal: unable to read revocation lists from .*: malformed revocation list$|: not a revocation list$/, CRLFILE => "$folder/garbage"],
		[qr/^tlsverify: fatal: unable to read revocation lists from \Q$large\E: File too large$/, CRLFILE => $large],
		[qr/^tlsverify: fatal: no revocation list in \Q$empty\E$/, CRLDIR => $empty],
		[qr/^tlsverify: fatal: TLS_CRLPOLICY: never: value not understood$/, CRLFILE => $list, TLS_CRLPOLICY => 'never'],
		[qr/^tlsverify: fatal: TLS_CRLPOLICY: require: set CRLFILE or CRLDIR$/, TLS_CRLPOLICY => 'require'],
	) {
		my ($words, %env) = @$case;
		my $result = verify('good', %env);
		is($result->{exit}, 96, join ' ', 'exit 96:', map { s{.*/}{}r } %env);
		like($result->{err}, $words, 'in words');
	}
	like(verify('good', CRLDIR => $empty, TLS_CRLPOLICY => 'warn')->{out}, qr/^ok\nwarning: there is no/m, 'an empty folder with TLS_CRLPOLICY=warn');
};

subtest 'damaged trust stores' => sub {
	my ($store) = compile($fine);
	my ($bytes, $bad, %seen) = (slurp($store), temporary('bad.cdb'));
	srand 11;
	for (1 .. 150) {
		my $damaged = $bytes;
		substr($damaged, $_ % 2 ? 2048 + int rand(length($damaged) - 2048) : int rand length $damaged, 1) = chr int rand 256 for 1 .. 1 + int rand 8;
		spew($bad, $damaged);
		my $result = verify('gone', CRLFILE => $bad);
		$seen{ defined $result->{exit} ? $result->{exit} : "signal $result->{signal}" }++;
	}
	is(join(' ', grep { !/^(0|1|96)$/ } keys %seen), '', 'an answer, whatever is wrong: ' . join ', ', map { "$_: $seen{$_}" } sort keys %seen);
	my ($none) = compile($root);
	my $result = verify('good', CRLFILE => $none);
	is($result->{exit}, 96, 'one without lists: exit 96');
	is($result->{err}, "tlsverify: fatal: no revocation list in $none\n", 'in words');
};

# What a reader of a store takes of one name is bounded, and the list that counts may be any.
subtest 'many of one name' => sub {
	my $der = sub { my ($path, $what) = @_; return openssl($what || 'crl', '-in', $path, '-outform', 'DER') };
	my $old = $der->(crl('older', from => -2));
	my $new = $der->(crl('newer', from => -1, revoked => [0x1002, 'superseded']));
	# Others, as far as anybody sees who does not check the signature, which is at the end.
	my $like = sub { my ($bytes, $number) = @_; substr($bytes, -4) = pack 'N', $number; return $bytes };
	my $file = sub { my ($n) = @_; return spew(temporary('several.crl'), $der->($top) . join('', map { $like->($old, $_) } 2 .. $n) . $new) };
	my ($store, $compiled) = compile($file->(1000));
	is($compiled->{exit}, 0, 'a thousand lists of one issuer') or diag($compiled->{err});
	like(verify('gone', CRLFILE => $store)->{out}, qr/^refused: certificate was revoked: superseded$/m, 'of which the last counts');
	my ($none, $refused) = compile($file->(1001));
	is($refused->{exit}, 96, 'one more: exit 96');
	is($refused->{err}, "tlstrust: fatal: unable to make $none: more than 1000 revocation lists of one issuer: leave out the old ones\n", 'in words');
	ok(!-e $none && !-e "$none.tmp", 'and nothing is left');
	my $own = $der->($root, 'x509');
	my $folder = temporary('anchors');
	mkdir $folder;
	spew("$folder/$_", $like->($own, $_)) for 1 .. 1000;
	is((compile($folder))[1]{exit}, 0, 'a thousand certificates of one name');
	spew("$folder/0", $own);
	($none, $refused) = compile($folder);
	is($refused->{err}, "tlstrust: fatal: unable to make $none: more than 1000 certificates of one name\n", 'one more: in words');

	# A store that somebody else has made.
	my ($records, @all) = run('cdb', '-d', $store)->{out};
	while ($records =~ /\G\+(\d+),(\d+):/gc) {
		push @all, [substr($records, pos $records, $1), substr $records, $1 + 2 + pos $records, $2];
		pos($records) += $1 + $2 + 3;
	}
	my ($list) = grep { $_->[0] =~ /^l.{8}\z/s && $_->[1] =~ /^\x05\0\0\0/ } @all;
	ok($list, 'a list of it') or return;
	splice @all, 2, 0, [$list->[0], pack('V', 5000) . substr $list->[1], 4];
	my $text = spew(temporary('records'), join('', map { '+' . length($_->[0]) . ',' . length($_->[1]) . ":$_->[0]->$_->[1]\n" } @all) . "\n");
	is(run('cdb', '-c', temporary('more.cdb'), $text)->{exit}, 0, 'and one more');
	is(verify('gone', CRLFILE => temporary('more.cdb'))->{out}, "refused: unable to read the trust store\nalert: internal_error\n", 'is not believed');
};

subtest '100000 entries' => sub {
	my $path = temporary('large.crl');
	my $many = crl('many', revoked => [(map { (0x100000 + 7 * $_, 'superseded') } 1 .. 100_000), 0x1002, 'keyCompromise']);
	my $file = both($top, $many);
	like(verify('good', CRLFILE => $file)->{out}, qr/^ok$/m, 'not among them');
	like(verify('gone', CRLFILE => $file)->{out}, qr/^refused: certificate was revoked: key compromise$/m, 'the last of them');
	my ($with, $without) = map { my $best = 9; for my $try (1 .. 5) { my $start = time; verify('good', %$_); my $took = time - $start; $best = $took if $took < $best } $best }
		{ CRLFILE => spew(temporary('many.der'), slurp(der($top)) . slurp(der($many))) }, {};
	my ($store, $compiled) = compile($file);
	is($compiled->{exit}, 0, 'compiled') or diag $compiled->{err};
	like(verify('good', CRLFILE => $store)->{out}, qr/^ok$/m, 'compiled: not among them');
	like(verify('gone', CRLFILE => $store)->{out}, qr/^refused: certificate was revoked: key compromise$/m, 'compiled: the last of them');
	my ($quick) = map { my $best = 9; for my $try (1 .. 5) { my $start = time; verify('good', %$_); my $took = time - $start; $best = $took if $took < $best } $best } { CRLFILE => $store };
	note sprintf '%.1f ms with the list in DER, %.1f ms with it compiled, %.1f ms without', 1000 * $with, 1000 * $quick, 1000 * $without;
	cmp_ok($quick - $without, '<', 0.5 * ($with - $without) + 0.01, 'compiled, it costs less');
	cmp_ok($with - $without, '<', 0.5, 'and it takes no time to speak of');
};

# ---- connections ----

my $no_curl = (grep { -x "$_/curl" } split /:/, $ENV{PATH}) ? 0 : 'no curl';

for my $version (versions()) {
	(my $flag = $version) =~ s/TLSv1\.(\d)/-tls1_$1/;

	subtest "servers and their clients: $version" => sub {
		my %all = (CERTFILE => temporary('good-chain.pem'), KEYFILE => temporary('good.key'), CAFILE => $root, TLS_MINVERSION => $version, TLS_MAXVERSION => $version);
		my $visit = sub {
			my ($env, $leaf) = @_;
			my $server = serve({ env => { %all, %$env } }, command('sslserver'), '-1v', '-m', '127.0.0.1', '0', http());
			my $result = run({ in => "GET / HTTP/1.0\r\n\r\n" }, 'openssl', 's_client', '-connect', "127.0.0.1:$server->{port}", '-CAfile', $root, $flag, '-ign_eof', '-cert', temporary("$leaf.pem"),
				'-cert_chain', temporary("$leaf-chain.pem"), '-key', temporary("$leaf.key"));
			my $end = connection($server);
			$server->stop;
			return ($result->{out} . $result->{err}, $end);
		};
		my ($said, $end);
		for my $lists ($fine, (compile($fine))[0]) {
			($said, $end) = $visit->({ CRLFILE => $lists }, 'good');
			like($said, qr/^served/m, 'not revoked');
			unlike($end->{log}, qr/warning/, 'no warning');
			($said, $end) = $visit->({ CRLFILE => $lists }, 'gone');
			like($said, qr/alert certificate revoked/, 'revoked: the client gets the alert');
			like($end->{log}, qr/tlsd-io\S*: error: unable to speak TLS from: 127\.0\.0\.1 for pid: \d+: .*certificate was revoked: key compromise/, 'and the log has the reason');
			unlike($said, qr/^served/m, 'nothing is served');
		}
		# Anchors and lists in one trust store.
		my ($whole) = compile($root, $fine);
		($said, $end) = $visit->({ CAFILE => $whole, CRLFILE => $whole }, $_) for 'good';
		like($said, qr/^served/m, 'one file for both: not revoked');
		($said, $end) = $visit->({ CAFILE => $whole, CRLFILE => $whole }, 'gone');
		like($said, qr/alert certificate revoked/, 'revoked');
		my ($forged) = compile(both($top, temporary('forged.crl')));
		($said, $end) = $visit->({ CRLFILE => $forged }, 'good');
		like($end->{log}, qr/signature on the issuer's revocation list is wrong/, 'what tlstrust took from somebody else does not count');
		($said, $end) = $visit->({ CRLFILE => both(crl("top-gone-$version", by => 'top', revoked => [0x2001, '']), $list) }, 'good');
		like($said, qr/alert certificate revoked/, 'a revoked intermediate');
		($said, $end) = $visit->({ CRLFILE => $top }, 'good');
		like($said, qr/alert certificate unknown/, 'no list: the client gets the alert');
		like($end->{log}, qr/there is no revocation list of the issuer/, 'and the log has the reason');
		($said, $end) = $visit->({ CRLFILE => $top, TLS_CRLPOLICY => 'warn' }, 'good');
		like($said, qr/^served/m, 'TLS_CRLPOLICY=warn: served');
		like($end->{log}, qr/^tlsd-io\S*: warning: not known whether the certificate was revoked: there is no revocation list of the issuer: connection with: 127\.0\.0\.1$/m, 'with a line in the log');
		($said, $end) = $visit->({ CRLFILE => $list, TLS_CRLPOLICY => 'warn' }, 'good');
		like($end->{log}, qr/: warning: not known whether a certificate of an authority was revoked: there is no/m, 'and of an intermediate');
		($said, $end) = $visit->({ CRLFILE => $fine, TLS_CRLPOLICY => 'warn' }, 'gone');
		like($said, qr/alert certificate revoked/, 'but a revoked one is refused');
	};

	subtest "clients and their servers: $version" => sub {
		my $visit = sub {
			my ($env, $leaf) = @_;
			my $server = start({}, 'openssl', 's_server', '-accept', '127.0.0.1:0', '-www', $flag, '-cert', temporary("$leaf.pem"), '-cert_chain', temporary("$leaf-chain.pem"),
				'-key', temporary("$leaf.key"));
			my $port = wait_until(sub { slurp($server->{out}) =~ /^ACCEPT .*:(\d+)$/m && $1 }, 10);
			my $result = run({ env => { CAFILE => $root, TLS_PEERNAME => 'localhost', %$env } }, command('sslclient'), '-RHv', '127.0.0.1', $port, 'sh', '-c',
				'printf "GET / HTTP/1.0\r\n\r\n" >&7; exec cat <&6');
			wait_until(sub { $server->log =~ /alert/ }, 5) if $result->{exit};
			$server->stop;
			return ($result, $server->log);
		};
		my ($result, $log);
		for my $lists ($fine, (compile($fine))[0]) {
			($result, $log) = $visit->({ CRLFILE => $lists }, 'good');
			is($result->{exit}, 0, 'not revoked');
			like($result->{out}, qr/^HTTP/, 'served');
			($result, $log) = $visit->({ CRLFILE => $lists }, 'gone');
			is($result->{exit}, 98, 'revoked: exit 98');
			like($result->{err}, qr/certificate was revoked: key compromise/, 'in words');
			like($log, qr/alert certificate revoked/, 'the server gets the alert');
		}
		($result, $log) = $visit->({ CRLFILE => $top }, 'good');
		is($result->{exit}, 98, 'no list: exit 98');
		like($log, qr/alert certificate unknown/, 'the server gets the alert');
		($result, $log) = $visit->({ CRLFILE => $top, TLS_CRLPOLICY => 'warn' }, 'good');
		is($result->{exit}, 0, 'TLS_CRLPOLICY=warn: exit 0');
		like($result->{err}, qr/^tlsc-io\S*: warning: not known whether the certificate was revoked: there is no/m, 'with a line in the log');
	};
}

subtest 'curl' => sub {
	plan skip_all => $no_curl if $no_curl;
	my $server = serve({ env => { CERTFILE => temporary('good-chain.pem'), KEYFILE => temporary('good.key'), CAFILE => $root, CRLFILE => $fine } }, command('sslserver'), '-1v', '-m',
		'127.0.0.1', '0', 'sh', '-c', 'exec "$@"', 'sh', http());
	my %got = map { $_ => run('curl', '-s', '--cacert', $root, '--cert', temporary("$_-chain.pem"), '--key', temporary("$_.key"), '--resolve', "localhost:$server->{port}:127.0.0.1",
		"https://localhost:$server->{port}/") } 'good', 'gone';
	is($got{good}{out}, "served\n", 'not revoked');
	is($got{gone}{out}, '', 'revoked');
	isnt($got{gone}{exit}, 0, 'an error');
	$server->stop;
};

subtest 'prog sees none of the variables' => sub {
	my $server = serve({ env => { CERTFILE => temporary('good-chain.pem'), KEYFILE => temporary('good.key'), CAFILE => $root, CRLFILE => $fine, CRLDIR => temporary('folder'), TLS_CRLPOLICY => 'warn' } },
		command('sslserver'), '-1v', '127.0.0.1', '0', 'env');
	my $result = run('openssl', 's_client', '-connect', "127.0.0.1:$server->{port}", '-CAfile', $root, '-ign_eof', '-quiet');
	like($result->{out}, qr/^SSL_PROTOCOL=/m, 'which is there');
	unlike($result->{out}, qr/CRL/, 'and sees none');
	$server->stop;
};

# The commands of the guide, one after the other, in a folder of their own.
subtest 'the guide' => sub {
	my $guide = slurp("$FindBin::Bin/../doc/guide/certificates.md");
	my ($section) = $guide =~ /^## Revocation\n(.*?)^## /ms or return fail('there is such a section');
	my ($make, $serve, $ask) = $section =~ /^```sh\n(.*?)^```$/msg;
	my $here = temporary('guide');
	mkdir $here;
	my %from = ('members-ca' => 'middle', member => 'gone', server => 'good');
	for my $name (keys %from) { spew("$here/$name.$_", slurp(temporary("$from{$name}.$_"))) for 'pem', 'key' }
	my $enter = sub { chdir $here or die };
	(my $commands = command('x')) =~ s{/x$}{};
	my %env = (PATH => "$commands:$ENV{PATH}");
	is(run({ env => \%env, before => $enter }, 'sh', '-c', $make)->{exit}, 0, 'makes a list');
	like(slurp("$here/members.crl"), qr/BEGIN X509 CRL/, 'which is there');
	like(run({ env => \%env, before => $enter }, 'sh', '-c', $ask)->{out}, qr/^refused: certificate was revoked/m, 'tlsverify says so');
	chmod 0755, spew("$here/members", $serve =~ s/0\.0\.0\.0 7070/127.0.0.1 0/r =~ s/sslserver -v/sslserver -1v/r);
	chmod 0755, spew("$here/greet", "#!/bin/sh\necho hello\n");
	my $server = serve({ env => \%env, before => $enter }, "$here/members");
	my $result = run('openssl', 's_client', '-connect', "127.0.0.1:$server->{port}", '-ign_eof', '-cert', "$here/member.pem", '-key', "$here/member.key");
	like($result->{out} . $result->{err}, qr/alert certificate revoked/, 'and the service does');
	$server->stop;
};

done_testing;
