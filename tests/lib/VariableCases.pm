package VariableCases;

# Certificates whose names are hard to put into variables, each with a key in P-256 and all of them below root(): what tests/variables.t compares
# with openssl(1), and tests/full/apache.t with mod_ssl.
#
#   cases()       hashes: {name} {chain} (DER, leaf first), {pem} {key} (files), {authorities} (file with those that are not root), {ours}: true
#                 where OpenSSL does not read the certificate
#   case($name)   one of them
#   authority()   file of root(), PEM
#
# Made when they are first asked for. Each is good for client and server: for localhost, unless alternative names are what it is about.

use strict;
use warnings;
use Bear;
use Certificates;
use Encode ();
use Exporter 'import';

our @EXPORT = qw(cases case authority);

my $purposes = eku('serverAuth', 'clientAuth');
my @fields = (san => san('DNS:localhost'), eku => $purposes, by => 'root');

sub bmp       { return Encode::encode('UTF-16BE', $_[0]) }
sub universal { return Encode::encode('UTF-32BE', $_[0]) }
sub utf8_of   { return Encode::encode('UTF-8', $_[0]) }

# Name => the subject, each list an RDN.
my @subjects = (
	'every type' => [map { [$_] } ['C', 'printable', 'DE'], ['ST', 'utf8', 'Berlin'], ['L', 'utf8', 'Mitte'], ['O', 'utf8', 'Example'], ['OU', 'utf8', 'One'], ['OU', 'utf8', 'Two'],
		['OU', 'utf8', 'Three'], ['title', 'utf8', 'Dr.'], ['initials', 'utf8', 'A. B.'], ['givenName', 'utf8', 'Ann'], ['surname', 'utf8', 'Other'],
		['description', 'utf8', 'of no use'], ['uid', 'utf8', 'ann'], ['x500uid', 'bits', "\0\x55\xaa"], ['serialNumber', 'printable', '4711'], ['DC', 'ia5', 'example'],
		['DC', 'ia5', 'org'], ['2.5.4.9', 'utf8', 'Street 1'], ['2.5.4.17', 'utf8', '10115'], ['CN', 'utf8', 'localhost'], ['CN', 'utf8', 'second'],
		['mail', 'ia5', 'ann@example.org'], ['mail', 'ia5', 'other@example.org']],
	'UTF-8' => [[['CN', 'utf8', utf8_of("K\x{f6}ln \x{20ac} \x{65e5} \x{1f600}")]]],
	'T61' => [[['CN', 'teletex', "K\xf6ln"]]],
	'BMP' => [[['CN', 'bmp', bmp("K\x{f6}ln \x{20ac}")]]],
	'Universal' => [[['CN', 'universal', universal("K\x{f6}ln \x{20ac} \x{1f600}")]]],
	'IA5 and Numeric' => [[['CN', 'ia5', 'a@b']], [['O', 'ia5', "\xe9"]], [['OU', 'numeric', '123 456']]],
	'special characters' => [[['CN', 'utf8', 'a,b+c"d\\e<f>g;h=i/j']], [['O', 'utf8', '"quoted"']], [['OU', 'utf8', 'a\\,b']]],
	'blanks and # at the ends' => [[['CN', 'utf8', ' both ']], [['O', 'utf8', '#first']], [['OU', 'utf8', ' ']], [['L', 'utf8', '   ']], [['ST', 'utf8', 'a # b']]],
	'a newline' => [[['CN', 'utf8', "a\nSSL_CLIENT_VERIFY=SUCCESS\n"]], [['O', 'utf8', "\r\n"]]],
	'control bytes' => [[['CN', 'utf8', "\x01\e[2Jx\t\x7f"]], [['O', 'teletex', "\x9b2J"]], [['OU', 'utf8', "\xc2\x9b2J"]]],
	'a NUL' => [[['CN', 'utf8', "localhost\0.example.org"]], [['O', 'printable', "\0"]], [['OU', 'bmp', bmp("a\0b")]]],
	'a multi-valued RDN' => [[['O', 'utf8', 'Multi']], [['CN', 'utf8', 'one'], ['uid', 'utf8', 'two'], ['OU', 'utf8', 'three']], [['L', 'utf8', 'last']]],
	'unknown types' => [[['1.3.6.1.4.1.99999.7', 'utf8', 'x=y']], [['2.5.4.999', 'printable', 'no such']], [['CN', 'utf8', 'known']]],
	'no strings' => [[['CN', 'bits', "\0ab\n"]], [['O', 'sequence', '']]],
	'empty values' => [[['CN', 'utf8', '']], [['O', 'printable', '']], [['OU', 'utf8', 'not']]],
	'no name' => [],
	'what looks like more' => [[['CN', 'utf8', 'a,O=Forged+OU=Forged']], [['O', 'utf8', 'x/CN=root']], [['OU', 'utf8', '%s%n$(id)`id`../../etc/passwd']]],
	'very many values' => [map { [['OU', 'utf8', "unit $_"]] } 1 .. 500],
	'a long value' => [[['CN', 'utf8', utf8_of("\x{20ac}") x 5000]]],
);

# OpenSSL does not read certificates like these.
my @ours = (
	'other strings' => [[['CN', 'visible', 'visible']], [['O', 'general', "general\n"]], [['OU', 'octets', "\x01\x02\\"]]],
	'what only looks like text' => [[['CN', 'utf8', "A\xc0\xafB"]], [['O', 'bmp', "\0A\0"]], [['OU', 'bmp', "\xd8\x00\0A"]], [['L', 'universal', "\0\x11\0\0"]]],
);

my $upn = '1.3.6.1.4.1.311.20.2.3';
my $srv = '1.3.6.1.5.5.7.8.7';
sub other_name { my ($oid, $value) = @_; return \explicit(0, oid($oid), explicit(0, $value)) }

# Name => other fields of certificate().
my @others = (
	'alternative names' => [san => san('DNS:localhost', 'DNS:*.example.org', 'MAIL:ann@example.org', 'MAIL:"odd, one"@example.org', 'IP:192.0.2.1', 'IP:2001:db8::1', 'IP:::ffff:192.0.2.7',
		'URI:https://example.org/', 'DIR:O=Example, CN=dir', 'RID:1.2.3.4', 'OTHER:none of those', other_name($upn, utf8('ann@example.org')),
		other_name($upn, utf8(utf8_of("J\x{f6}rg\@example.org"))), other_name($srv, ia5('_imap.example.org')))],
	'alternative names that are none' => [san => san('DNS:localhost', "DNS:a\nb", "DNS:localhost\0.example.org", "MAIL:\e[2J", "MAIL:\xff", 'DNS:', 'DNS:a\\b', other_name($upn, ia5('not UTF-8')),
		other_name($upn, utf8("a\nb\0c")), other_name($srv, utf8('not IA5')))],
	'serial: long' => [serial => "\x7f" . "\xff" x 19],
	'serial: high bit' => [serial => "\0\xff\0"],
	'serial: a byte' => [serial => "\x0a"],
	'after 2049' => [to => 4_102_444_800],
	'an issuer of many words' => [by => 'Odd', issuer => [[['O', 'utf8', 'a "quoted" one, Inc.'], ['OU', 'bmp', bmp("\x{20ac}")]], [['CN', 'teletex', "\xe9\n"]]]],
	'an issuer behind another' => [by => 'Second'],
);

sub chain_for {
	my ($by, $issuer) = @_;
	return () if $by eq 'root';
	return (ca('Second', by => 'First'), ca('First')) if $by eq 'Second';
	return ca($by, subject => $issuer);
}

my ($authority, @cases);

sub authority { return $authority ||= spew(temporary('variables-root.pem'), pem(root())) }

sub make {
	my ($number, $name, $ours, %field) = @_;
	my @chain = (leaf(@fields, subject => 'CN=localhost', %field), chain_for($field{by} || 'root', $field{issuer}));
	my $base = temporary(sprintf 'variables-%02d', $number);
	return { name => $name, ours => $ours, chain => \@chain, pem => spew("$base.pem", pem($chain[0])), key => private_key('leaf'),
		@chain > 1 ? (authorities => spew("$base-authorities.pem", pem(@chain[1 .. $#chain]))) : () };
}

sub cases {
	return @cases if @cases;
	my @todo;
	while (my ($name, $subject) = splice @subjects, 0, 2) { push @todo, [$name, 0, subject => $subject] }
	while (my ($name, $fields) = splice @others, 0, 2)    { push @todo, [$name, 0, @$fields] }
	while (my ($name, $subject) = splice @ours, 0, 2)     { push @todo, [$name, 1, subject => $subject] }
	@cases = map { make($_, @{ $todo[$_] }) } 0 .. $#todo;
	return @cases;
}

sub case { my ($name) = @_; return (grep { $_->{name} eq $name } cases())[0] }

1;
