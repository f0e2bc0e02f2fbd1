#!/bin/sh
# package/install into a folder, package/info, package/deps: what a packager relies on.
set -u
cd "$(dirname "$0")/.." || exit 111

# Tests of other builds leave this to the plain one, which is what gets installed.
if test "${COMMAND:-command}" != command && test "${COMMAND:-}" != "$PWD/command"; then
	echo '1..0 # SKIP not the plain build'
	exit 0
fi

n=0
# $1: words; then a command that has to succeed.
ok() {
	words=$1
	shift
	n=$((n + 1))
	if "$@"; then echo "ok $n - $words"; else echo "not ok $n - $words"; fi
}
mode_is() { test "$(stat -c %a "$1")" = "$2" || { echo "# $1: mode $(stat -c %a "$1")"; false; }; }
contains() { grep -q -e "$2" "$1" || { sed 's/^/# /' "$1"; false; }; }
exits() {
	want=$1
	shift
	"$@" >"$dir/out" 2>&1
	code=$?
	test "$code" = "$want" || { echo "# exit $code"; sed 's/^/# /' "$dir/out"; false; }
}
all_there() {
	for program in command/*; do
		test -x "$root/usr/local/bin/$(basename "$program")" || { echo "# no $program"; return 1; }
	done
	for page in doc/man/*.[1-8]; do
		test -f "$root/usr/local/share/man/man${page##*.}/$(basename "$page")" || { echo "# no $page"; return 1; }
	done
}
nothing_else() { test "$(ls -A "$root")" = usr && test -z "$(find "$root" -name '.*' -type f)"; }

dir=$(mktemp -d) || exit 111
trap 'rm -rf "$dir"' EXIT
trap 'exit 111' HUP INT TERM
root=$dir/root

unset MAKEFLAGS MFLAGS MAKELEVEL
if test "$(cat conf-compile/conf-prefix)" != /usr/local; then
	echo '1..0 # SKIP another prefix is set'
	exit 0
fi

ok 'installs below DESTDIR' exits 0 env DESTDIR="$root" package/install
ok 'programs and manuals are there' all_there
ok 'and nothing else' nothing_else
ok 'tlsd-io cannot be read by others' mode_is "$root/usr/local/bin/tlsd-io" 711
ok 'nor can tlsc-io' mode_is "$root/usr/local/bin/tlsc-io" 711
ok 'the others can' mode_is "$root/usr/local/bin/sslserver" 755
ok 'installs a second time, over the first' exits 0 env DESTDIR="$root" package/install
ok 'info succeeds' exits 0 package/info
ok 'info names the version' contains "$dir/out" '^version: [0-9]'
ok 'info names the engine that is built' contains "$dir/out" '^engines built: bearssl'
ok 'deps refuses a level it does not know' exits 100 package/deps everything
ok 'deps lists with reasons' exits 0 package/deps list
ok 'deps lists BearSSL' contains "$dir/out" '^build libbearssl-dev .* BearSSL'
mkdir "$dir/poor" && ln -s "$(command -v dirname)" "$dir/poor/dirname"
ok 'deps fails where there is no apt' exits 111 env PATH="$dir/poor" /bin/sh package/deps
ok 'and says what to do' contains "$dir/out" 'package/deps list'
ok 'check refuses a level it does not know' exits 100 package/check everything

echo "1..$n"
