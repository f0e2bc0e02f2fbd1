package PathCases;

# The table of tests/path.t, written down in paths/*.pl, one subject a file:
#
#   accepted('what it is about', 'RFC 5280 6.1', [leaf, others..], options)
#   refused('what it is about', 'RFC 5280 6.1', [leaf, others..], alert => qr/reason/, options)
#     anchors => [..]      trusted (root())            purpose => 'client'    judged as a client's (a server's)
#     host => 'name'       to look for in the leaf (www.example.com; of clients nothing); undef: nothing
#     env => {..}          of ours                     time => seconds        when it is judged (now)
#     tls => 0             not over a connection as well
#     path => ['CN=x', ..]   the way taken             at => 'CN=x'           of whom a refusal speaks
#     openssl => 'why'     openssl verify decides otherwise, and why           minimal => 'why'   so does x509_minimal of BearSSL
#   chain_of(n)            a leaf and n intermediates, of which the last is signed by root
#   cases()                all that was said: hashes of the above with {title} {section} {chain} {alert} {reason}

use strict;
use warnings;
use Certificates;
use Exporter 'import';

our @EXPORT = qw(accepted refused chain_of cases);

my @cases;

sub remember {
	my ($title, $section, $chain, %case) = @_;
	my $purpose = $case{purpose} || 'server';
	my $host = $purpose eq 'server' ? 'www.example.com' : undef;
	push @cases, { anchors => [root()], purpose => $purpose, host => $host, env => {}, %case, title => $title, section => $section, chain => $chain };
	return;
}

sub accepted { my ($title, $section, $chain, %case) = @_; return remember($title, $section, $chain, %case) }

sub refused {
	my ($title, $section, $chain, $alert, $reason, %case) = @_;
	return remember($title, $section, $chain, %case, alert => $alert, reason => $reason);
}

sub cases { return @cases }

sub chain_of {
	my ($n) = @_;
	return leaf() if $n == 0;
	return (leaf(by => 'I1'), map { ca("I$_", by => $_ < $n ? 'I' . ($_ + 1) : 'root') } 1 .. $n);
}

1;
