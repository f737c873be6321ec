#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Flame graphs of Python programs, for every CPython that is installed: shares of the time by Python functions, in one interpreter and
# in several. That the frames themselves are right is in python_frames.sh.
# shellcheck source=tests/lib.sh disable=SC2317 # functions are called through ok
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/e2e/flame_lib.sh
. "$ROOT/tests/e2e/flame_lib.sh"

# python INTERPRETER: its functions' shares, by their own names; what is native around them stays.
python() {
	not_lost python_once "$@"
}

python_once() {
	record -F "$RATE" --python -- "$1" -I "$SRC/flame/burn.py" 2 && folded on --python &&
		oracle shares "$TMP/on.folded" "$TMP/facts" "<module>;work" &&
		oracle whole "$TMP/on.folded" twenty by_key 0.98 &&
		oracle whole "$TMP/on.folded" __libc_start_call_main seventy 0.98
}

# interpreters PYTHON: a thread in one interpreter calls another, that a third one: the frames of all are there, in that order.
interpreters() {
	not_lost interpreters_once "$@"
}

interpreters_once() {
	"$1" "$SRC/flame/interpreters.py" 0 >/dev/null || { echo "it has no such interpreters"; return 77; }
	record -F "$RATE" --python -- "$1" "$SRC/flame/interpreters.py" 1.5 &&
		folded on --python && oracle shares "$TMP/on.folded" "$TMP/facts" "" &&
		oracle whole "$TMP/on.folded" outer in_third 0.98 && oracle whole "$TMP/on.folded" outer in_second 0.98 &&
		oracle whole "$TMP/on.folded" __libc_start_call_main in_third 0.98 || return
	# between the interpreters lies what calls them; the loop's own frames are all replaced
	grep -Eq ';<module>;outer;call;[^<]*;<module>;call;[^<]*;<module>;in_third;burn' "$TMP/on.folded" &&
		! grep -E 'in_(first|second|third)' "$TMP/on.folded" | grep _PyEval_EvalFrameDefault
}

found=
for python in /usr/bin/python3.[0-9]* ~/.pyenv/versions/3.*/bin/python3.[0-9]*; do
	version=$("$python" -I -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null)
	case $version in
	3.8 | 3.9 | 3.1[0-3]) ;;
	*) continue ;;
	esac
	[[ $python == *"/python$version" ]] || continue # python3.11-config, python3.7m
	found=yes
	ok_bpf "Python functions: $python" python "$python"
	ok_bpf "... of several interpreters" interpreters "$python"
done

[ "$found" ] || skip "Python functions" "there is no CPython from 3.8 to 3.13"
finish
