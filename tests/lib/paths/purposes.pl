# What a certificate is for (extended key usage), of servers and of clients; critical extensions that nobody knows.
package PathCases::Purposes;

use strict;
use warnings;
use Certificates;
use PathCases;

my $purposes = 'does not look at purposes';
my $any = 'does not let it stand for any';
my $eku = 'RFC 5280 4.2.1.12';

sub client { return leaf(subject => 'CN=Joe', san => undef, @_) }
my @client = (purpose => 'client');

accepted('serverAuth', $eku, [leaf(eku => eku('serverAuth'))]);
accepted('serverAuth, critical', $eku, [leaf(eku => critical(eku('serverAuth')))], minimal => 'refuses it where it is critical');
accepted('serverAuth among others', $eku, [leaf(eku => eku('emailProtection', 'serverAuth', 'clientAuth'))]);
refused('clientAuth in a server', $eku, [leaf(eku => eku('clientAuth'))], unsupported_certificate => qr/not for servers/, minimal => $purposes);
refused('codeSigning in a server, critical', $eku, [leaf(eku => critical(eku('codeSigning')))], unsupported_certificate => qr/not for servers/);
accepted('anyExtendedKeyUsage', $eku, [leaf(eku => eku('any'))], openssl => $any);
refused('an unknown purpose', $eku, [leaf(eku => eku('1.3.6.1.4.1.99999.7'))], unsupported_certificate => qr/not for servers/, minimal => $purposes);
accepted('an unknown purpose and serverAuth', $eku, [leaf(eku => eku('1.3.6.1.4.1.99999.7', 'serverAuth'))]);
refused('an empty list', $eku, [leaf(eku => extension('2.5.29.37', seq()))], bad_certificate => qr/extended key usage/, minimal => $purposes);
refused('no list', $eku, [leaf(eku => extension('2.5.29.37', oid('1.3.6.1.5.5.7.3.1')))], bad_certificate => qr/extended key usage/,
	minimal => $purposes);

my $issuers = 'BR 7.1.2.10.6';
accepted('an intermediate for servers', $issuers, [leaf(by => 'A'), ca('A', eku => eku('serverAuth'))]);
accepted('an intermediate for anything', $issuers, [leaf(by => 'A'), ca('A', eku => eku('any'))], openssl => $any);
refused('an intermediate for clients, a server', $issuers, [leaf(by => 'A'), ca('A', eku => eku('clientAuth'))],
	unsupported_certificate => qr/usage/, minimal => $purposes);
refused('an intermediate for mail', $issuers, [leaf(by => 'A', eku => eku('serverAuth')), ca('A', eku => eku('emailProtection'))],
	unsupported_certificate => qr/usage/, minimal => $purposes);
refused('an intermediate for mail, further up', $issuers, [leaf(by => 'A'), ca('A', by => 'B'), ca('B', eku => eku('emailProtection'))],
	unsupported_certificate => qr/usage/, minimal => $purposes, at => 'CN=B');

accepted('a client without purposes', $eku, [client()], @client);
accepted('clientAuth', $eku, [client(eku => eku('clientAuth'))], @client);
accepted('clientAuth, two intermediates', $eku, [client(by => 'A', eku => eku('clientAuth')), ca('A', by => 'B'), ca('B')], @client,
	env => { VERIFYDEPTH => 2 });
refused('a client, two intermediates', 'RFC 5280 6.1', [client(by => 'A', eku => eku('clientAuth')), ca('A', by => 'B'), ca('B')],
	unknown_ca => qr/VERIFYDEPTH/, @client,
	minimal => 'has no bound on the length of a path');
accepted('a client for anything', $eku, [client(eku => eku('any'))], @client, openssl => $any);
accepted('clientAuth and serverAuth', $eku, [client(eku => eku('serverAuth', 'clientAuth'))], @client);
refused('serverAuth in a client', $eku, [client(eku => eku('serverAuth'))], unsupported_certificate => qr/not for clients/, @client,
	minimal => $purposes);
refused('emailProtection in a client', $eku, [client(eku => eku('emailProtection'))], unsupported_certificate => qr/not for clients/, @client,
	minimal => $purposes);
refused('an intermediate for servers, a client', $issuers, [client(by => 'A'), ca('A', eku => eku('serverAuth'))],
	unsupported_certificate => qr/usage/, @client,
	minimal => $purposes);
accepted('an anchor for clients, a client', $issuers, [client()], @client, anchors => [root('root', eku => eku('clientAuth'))]);
refused('an anchor for servers, a client', $issuers, [client()], unsupported_certificate => qr/usage/, @client,
	anchors => [root('root', eku => eku('serverAuth'))],
	minimal => 'knows no more of an anchor than its name and key');
accepted('a client without a name at all', 'RFC 5280 4.1.2.6', [client(subject => [], san => critical(san('MAIL:joe@example.com')))], @client);
refused('a client without digitalSignature', 'RFC 5246 7.4.6', [client(usage => usage('keyEncipherment'))],
	unsupported_certificate => qr/may not be used/, @client, minimal => 'does not look');
refused('an expired client', 'RFC 5280 6.1.3 (a)(2)', [client(from => 1000000000, to => 1100000000)], certificate_expired => qr/expired/, @client);
refused('a client of nobody known', 'RFC 5280 6.1', [client(by => 'stranger')], unknown_ca => qr/trusted/, @client);

# ---- critical extensions ----

my $critical = 'RFC 5280 4.2';
my @unknown = (extra => extension('1.3.6.1.4.1.99999.5', utf8('x'), 1));
refused('unknown and critical in the leaf', $critical, [leaf(@unknown)], unsupported_certificate => qr/critical/);
refused('unknown and critical in an intermediate', $critical, [leaf(by => 'A'), ca('A', @unknown)], unsupported_certificate => qr/critical/,
	at => 'CN=A');
accepted('unknown and critical in an extra', $critical, [leaf(by => 'A'), ca('A'), ca('B', @unknown)]);
accepted('unknown in the leaf', $critical, [leaf(extra => extension('1.3.6.1.4.1.99999.5', utf8('x'), 0))]);
accepted('unknown in an intermediate', $critical, [leaf(by => 'A'), ca('A', extra => extension('1.3.6.1.4.1.99999.5', utf8('x'), 0))]);
accepted('subjectAltName critical', 'RFC 5280 4.2.1.6', [leaf(san => critical(san('DNS:www.example.com')))]);
accepted('certificatePolicies critical', 'RFC 5280 4.2.1.4', [leaf(policies => critical(policies('1.2.3.4')))]);
refused('a CT poison', 'RFC 6962 3.1', [leaf(extra => extension('1.3.6.1.4.1.11129.2.4.3', null(), 1))], unsupported_certificate => qr/critical/);

1;
