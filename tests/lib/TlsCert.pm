package TlsCert;

# What the tests of tlscert share.
#
#   folder()                               a new empty folder; inside($folder) what is in it, mode($path) in octal
#   tlscert({...}, arguments)              runs it: {in_folder}, {umask} (022), {as} another uid, {under} a command in front of it
#   made({...}, arguments)                 the same, which has to succeed and be silent; gives the folder, a new one if none was named
#   refused(name, exit, words, {...}, ..)  the same, which has to fail so and leave nothing behind
#   text($file, what)                      of openssl x509; seconds($file, 'start'|'end') unix seconds
#   verified($file, $anchor, $purpose)     what openssl verify -x509_strict says

use strict;
use warnings;
use Bear;
use BearTls;
use Exporter 'import';
use POSIX ();
use Test::More;

our @EXPORT = qw(folder inside mode tlscert made refused text seconds verified);

my $count = 0;
sub folder { my $folder = temporary('made' . ++$count); mkdir $folder or die "$folder: $!"; return $folder }
sub inside { my ($folder) = @_; opendir my $all, $folder or die "$folder: $!"; return join ' ', sort grep { !/^\.\.?$/ } readdir $all }
sub mode   { return sprintf '%o', 07777 & (lstat $_[0])[2] }

# tlscert in a folder, with a umask of 022 unless {umask} says otherwise; {as} somebody else.
sub tlscert {
	my $options = ref $_[0] eq 'HASH' ? shift : {};
	my $before = sub {
		umask(exists $options->{umask} ? $options->{umask} : 022);
		chdir $options->{in_folder} or die if $options->{in_folder};
		if ($options->{as}) { $( = $) = "$options->{as} $options->{as}"; POSIX::setuid($options->{as}) }
	};
	return run({ timeout => 60, before => $before }, @{ $options->{under} || [] }, command('tlscert'), @_);
}

# The same, which has to succeed and be silent; gives the folder.
sub made {
	my $options = ref $_[0] eq 'HASH' ? shift : {};
	my $folder = $options->{in_folder} || folder();
	my $result = tlscert({ %$options, in_folder => $folder }, @_);
	is($result->{exit}, 0, "tlscert @_") or diag($result->{err});
	is($result->{out} . $result->{err}, '', 'silent');
	return $folder;
}

sub text { my ($file, @what) = @_; return openssl('x509', '-in', $file, '-noout', @what) }
sub seconds { my ($file, $which) = @_; text($file, "-${which}date") =~ /=(.*)/; chomp(my $time = `date -u -d '$1' +%s`); return $time }

sub verified {
	my ($file, $anchor, $purpose, @more) = @_;
	my $result = run('openssl', 'verify', '-x509_strict', '-purpose', $purpose, '-CAfile', $anchor, @more, $file);
	return 1 if $result->{exit} == 0 && $result->{out} =~ /: OK$/m;
	diag("$result->{out}$result->{err}");
	return 0;
}

# Refused with an exit code and words, and nothing is left behind.
sub refused {
	my ($name, $exit, $words, @arguments) = @_;
	my $options = ref $arguments[0] eq 'HASH' ? shift @arguments : {};
	my $folder = $options->{in_folder} || folder();
	my $before = inside($folder);
	my $result = tlscert({ %$options, in_folder => $folder }, @arguments);
	is($result->{exit}, $exit, "$name: exit $exit");
	like($result->{err}, $words, "$name: in words");
	is(inside($folder), $before, "$name: no file");
	return $folder;
}

1;
