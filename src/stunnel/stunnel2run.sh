#!/bin/sh
# stunnel2run: makes service directories of a stunnel.conf, see stunnel2run(8). The work is done by the awk program below, which is put
# together from the files in src/stunnel; here are the options, and the files are moved to their places.
unset CDPATH
case $0 in
*/*) folder=$(cd "${0%/*}" && pwd) ;;
*) folder=$(command -v "$0") && folder=${folder%/*} ;;
esac

usage() {
	echo "stunnel2run: usage: stunnel2run [ -su ] stunnel.conf|- dir" >&2
	exit 100
}
die() {
	echo "stunnel2run: fatal: $2" >&2
	exit "$1"
}

strict=0 units=0
while getopts :su option; do
	case $option in
	s) strict=1 ;;
	u) units=1 ;;
	*) usage ;;
	esac
done
shift $((OPTIND - 1))
test $# = 2 && test -n "$1" && test -n "$2" || usage
conf=$1 dir=$2
if test "$conf" != -; then
	test -f "$conf" || die 111 "unable to read $conf: no such file"
	test -r "$conf" || die 111 "unable to read $conf: permission denied"
	case $conf in /* | ./*) ;; *) conf=./$conf ;; esac # for awk, x=y is no file
fi
case $dir in /*) ;; *) dir=./$dir ;; esac
umask 022 # a supervisor runs this as root, and setuid's user has to get at it
there=0 moved=
test -d "$dir" && there=1
mkdir -p "$dir" || die 111 "unable to make $dir"
dir=$(cd "$dir" && pwd) || die 111 "unable to enter $dir"

# Everything is written here first, and comes to its place when all of it is there.
made=$(mktemp -d "$dir/.stunnel2run.XXXXXX") || die 111 "unable to write to $dir"
clean() {
	rm -rf "$made"
	for new in $moved; do rm -rf "${dir:?}/$new"; done
	test "$there" = 1 || rmdir "$dir" 2>/dev/null
}
trap clean EXIT
trap 'exit 111' HUP INT TERM

LABEL=$conf
if test "$conf" = -; then
	cat >"$made/.conf" || die 111 "unable to keep standard input"
	conf=$made/.conf LABEL='standard input'
fi

LC_ALL=C
export LC_ALL LABEL
CONF=$conf DIR=$dir MADE=$made FOLDER=$folder STRICT=$strict UNITS=$units HERE=$(pwd) USER_HOSTS_ALLOW=${HOSTS_ALLOW-/etc/hosts.allow} \
	USER_HOSTS_DENY=${HOSTS_DENY-/etc/hosts.deny}
export CONF DIR MADE FOLDER STRICT UNITS HERE USER_HOSTS_ALLOW USER_HOSTS_DENY
awk '
@AWK@
'
code=$?
case $code in
0) ;;
96 | 111) exit "$code" ;;
*) die 111 "awk ended with $code" ;;
esac

for new in "$made"/*; do
	name=${new##*/}
	test ! -e "$dir/$name" && test ! -L "$dir/$name" || die 111 "$dir/$name is there already, and nothing was written"
done
for new in "$made"/*; do # their names are those of services, without blanks
	name=${new##*/}
	mv "$new" "$dir/" || die 111 "unable to move $name to $dir, and nothing was written"
	moved="$moved $name"
done
moved='' there=1
