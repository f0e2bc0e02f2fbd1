# Validity: both ends inclusive (RFC 5280 4.1.2.5), at a leaf, an intermediate and an anchor; the forms that times may have.
package PathCases::Dates;

use strict;
use warnings;
use Certificates;
use PathCases;

my ($from, $to) = (1600000000, 1700000000);
my $section = 'RFC 5280 4.1.2.5';
my @late    = (certificate_expired => qr/expired/);
my @early   = (certificate_expired => qr/not yet valid/);

my $wide = [from => $from - 86400, to => $to + 86400];
my %dated = (
	leaf         => [[leaf(by => 'A', from => $from, to => $to), ca('A', @$wide)], anchors => [root('root', @$wide)]],
	intermediate => [[leaf(by => 'A', @$wide), ca('A', from => $from, to => $to)], anchors => [root('root', @$wide)]],
	anchor       => [[leaf(by => 'A', @$wide), ca('A', @$wide)], anchors => [root('root', from => $from, to => $to)],
		minimal => 'knows no dates of an anchor'],
);
for my $where (sort keys %dated) {
	my ($chain, %more) = @{ $dated{$where} };
	my %less = %more;
	delete $less{minimal};
	accepted("$where: at notBefore", $section, $chain, %less, time => $from);
	accepted("$where: at notAfter", $section, $chain, %less, time => $to, openssl => 'takes notAfter as exclusive');
	refused("$where: a second before notBefore", $section, $chain, @early, %more, time => $from - 1);
	refused("$where: a second after notAfter", $section, $chain, @late, %more, time => $to + 1);
}

my @past = (from => 1000000000, to => 1100000000);
my @future = (from => time + 86400 * 400);
refused('an expired leaf', $section, [leaf(@past)], @late);
refused('a leaf not yet valid', $section, [leaf(@future)], @early, at => 'CN=www.example.com');
refused('an expired intermediate', $section, [leaf(by => 'A'), ca('A', @past)], @late, at => 'CN=A');
refused('an intermediate not yet valid', $section, [leaf(by => 'A'), ca('A', @future)], @early);
refused('notAfter before notBefore', $section, [leaf(from => time - 86400, to => time - 2 * 86400)], @late);

my $times = 'RFC 5280 4.1.2.5.2';
accepted('GeneralizedTime before 2050', $times, [leaf(from => \generalized('20200101000000Z'))]);
accepted('GeneralizedTime after 2050', $times, [leaf(to => \generalized('20600101000000Z'))]);
accepted('no end: 9999', 'RFC 5280 4.1.2.5', [leaf(to => \generalized('99991231235959Z'))]);
accepted('UTCTime of 1950', 'RFC 5280 4.1.2.5.1', [leaf(from => \utc('500101000000Z'))]);
accepted('UTCTime of 2049', 'RFC 5280 4.1.2.5.1', [leaf(to => \utc('491231235959Z'))]);
refused('UTCTime of 50 is 1950', 'RFC 5280 4.1.2.5.1', [leaf(to => \utc('500101000000Z'))], @late);
accepted('the 29th of February', $times, [leaf(from => \utc('240229000000Z'))]);

my @bad = (bad_certificate => qr/validity/);
refused('no seconds', 'RFC 5280 4.1.2.5.1', [leaf(from => \utc('2001010000Z'))], @bad);
refused('a time zone', 'RFC 5280 4.1.2.5.1', [leaf(from => \utc('200101000000+0100'))], @bad);
refused('a fraction', $times, [leaf(from => \generalized('20200101000000.5Z'))], @bad, minimal => 'takes it');
refused('without Z', $times, [leaf(from => \generalized('20200101000000'))], @bad);
refused('another letter than Z', $times, [leaf(from => \utc('200101000000X'))], @bad);
refused('the 13th month', $times, [leaf(from => \utc('201301000000Z'))], @bad);
refused('the 29th of February where there is none', $times, [leaf(from => \utc('230229000000Z'))], @bad);
refused('the 61st minute', $times, [leaf(from => \utc('200101006000Z'))], @bad);
refused('letters', $times, [leaf(from => \utc('20010100000OZ'))], @bad);
refused('an empty time', $times, [leaf(to => \utc(''))], @bad);
refused('a time that is a string', $section, [leaf(from => \utf8('200101000000Z'))], @bad);
refused('a validity of three times', $section, [leaf(to => \(day(time + 86400) . day(time + 86400)))], @bad);

1;
