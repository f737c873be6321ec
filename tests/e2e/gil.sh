#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The interpreter's lock of every CPython that is installed (Debian's, and those of pyenv), from 3.8 on. What the threads of
# progs/gil.py measured of themselves is compared with the report by oracle_gil.py.
# shellcheck source=tests/lib.sh disable=SC2317 # functions are called through ok
. "$(dirname "$0")/../lib.sh"

# known PYTHON MODE THREADS SECONDS: recorded, reported, compared.
known() {
	local status
	not_lost known_once "$@"
	status=$?
	[ "$status" -eq 79 ] || return "$status"
	echo "there may be no real-time threads here"
	return 77
}

known_once() {
	rm -f "$TMP/facts" "$TMP/known.data"*
	KNOWN_FACTS=$TMP/facts timeout -k 5 60 "$W" record -o "$TMP/known.data" -- \
		"$1" "$ROOT/tests/e2e/progs/gil.py" "${@:2}"
	case $? in
	0) ;;
	77) return 79 ;; # 77 is lost events
	*) return 1 ;;
	esac
	timeout -k 5 60 "$W" report --json "$TMP/known.data" >"$TMP/report.json" || return 1
	timeout -k 5 60 "$PY" "$ROOT/tests/e2e/oracle_gil.py" "$2" "$TMP/report.json" "$TMP/facts"
}

# version_of PYTHON: 3.11.2, or nothing when it is too old or no CPython.
version_of() {
	timeout 20 "$1" -c 'if True:
		import platform, sys
		if sys.version_info >= (3, 8) and platform.python_implementation() == "CPython":
			print("%d.%d.%d" % sys.version_info[:3])' 2>/dev/null
}

# has_interpreters PYTHON: an interpreter can be made that has a lock of its own (3.12 and later).
has_interpreters() {
	timeout 20 "$1" "$ROOT/tests/e2e/progs/gil.py" interpreters 1 0 >/dev/null 2>&1
}

# all_of NAME PYTHON
all_of() {
	ok_bpf "$1: two threads count" known "$2" count 2 0.4
	ok_bpf "$1: four threads count" known "$2" count 4 0.4
	ok_bpf "$1: one thread counts, nobody waits" known "$2" alone 1 0.2
	ok_bpf "$1: hashing, without the lock" known "$2" hash 2 0.3
	ok_bpf "$1: sleeping, without the lock" known "$2" sleep 2 0.2
	ok_bpf "$1: a threading.Lock is another lock" known "$2" mutex 3 0
	if has_interpreters "$2"; then
		ok_bpf "$1: interpreters with locks of their own" known "$2" interpreters 2 0.3
	fi
}

# Each one that is found, once: names lead to the same file. A version of which there is none is said to be skipped.
declare -A seen found_minor
for python in "${PYENV_ROOT:-$HOME/.pyenv}"/versions/*/bin/python3 /usr/bin/python3 /usr/bin/python3.[0-9]* /usr/local/bin/python3 \
	/usr/local/bin/python3.[0-9]* /opt/*/bin/python3; do
	[[ -x $python && $python != *-config ]] || continue
	# a name that is a version manager's script is no interpreter
	[ "$(head -c 4 "$python" | tail -c 3)" = ELF ] || continue
	real=$(readlink -f "$python")
	[ -z "${seen[$real]:-}" ] || continue
	seen[$real]=1
	version=$(version_of "$python")
	[ -n "$version" ] || continue
	found_minor[${version%.*}]=1
	all_of "CPython $version, $python" "$python"
done
for version in 3.8 3.9 3.10 3.11 3.12 3.13; do
	[ "${found_minor[$version]:-}" ] || skip "CPython $version" "it is not installed"
done
[ "${seen[$(readlink -f /usr/bin/python3)]:-}" ] || skip "/usr/bin/python3" "it is missing, or older than 3.8"

finish
