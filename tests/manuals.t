#!/bin/sh
# The manuals: clean mdoc, a page for each program, references that lead somewhere, every variable that is removed on its page.
set -u
cd "$(dirname "$0")/.." || exit 111

n=0
result() {
	n=$((n + 1))
	if test -z "$1"; then
		echo "ok $n - $2"
	else
		echo "not ok $n - $2"
		echo "$1" | sed 's/^/# /'
	fi
}

# mandoc looks references up in the installed manuals only; they are checked below.
result "$(mandoc -Tlint doc/man/*.[1-8] 2>/dev/null | grep -v 'referenced manual not found')" 'mandoc has nothing to say'

result "$(
	for program in src/cmd/*.c src/script/* src/stunnel/*.sh; do
		test -f "$program" || continue
		name=$(basename "$program" .c)
		name=${name%.sh}
		ls doc/man/"$name".[1-8] >/dev/null 2>&1 || echo "no page for $name"
	done
)" 'each program has a page'

result "$(
	cat doc/man/*.[1-8] | awk '$1 == ".Xr" || $2 == "Xr" || $3 == "Xr" {
		for (i = 1; i < NF; i++) if ($i == ".Xr" || $i == "Xr") print $(i + 1) "." $(i + 2) }' | sort -u |
		while read -r page; do
			case $page in
			wait.2 | envuidgid.8) ;;
			*) test -f "doc/man/$page" || echo "no $page" ;;
			esac
		done
)" 'references lead somewhere'

result "$(
	for page in doc/man/*.[1-8]; do
		title=$(basename "$page" | tr 'a-z.' 'A-Z ')
		grep -q "^\.Dt $title\$" "$page" || echo "$page: the title is not $title"
	done
)" 'titles are those of the files'

# Names as the table of src/chain/environment.c has them; parts of names are listed in one sentence.
result "$(
	sed -n '/^static const char \*const read_names/,/^#define/p' src/chain/environment.c | grep -o '"[A-Z][A-Za-z0-9_:]*"' | tr -d '":' |
		while read -r name; do
			grep -qE "(^|[ _])$name([ ,_.;]|\$)" doc/man/tls-environ.7 || echo "not in tls-environ(7): $name"
		done
)" 'every variable that is removed, or that a report may set, is in tls-environ(7)'

echo "1..$n"
