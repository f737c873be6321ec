#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The Python frames of `record --python`, for every CPython that is installed (Debian's, and those of pyenv), from 3.8 on: what
# progs/frames.py says of its stacks is compared with what was recorded, by oracle_python.py. And what is said of a CPython that
# is too old.
# shellcheck source=tests/lib.sh disable=SC2317 # functions are called through ok
. "$(dirname "$0")/../lib.sh"

ME=tests/e2e/progs/frames.py

# frames PYTHON: recorded, printed, compared.
frames() {
	not_lost frames_once "$@"
}

frames_once() {
	rm -rf "$TMP/facts" "$TMP/frames.data"*
	mkdir "$TMP/facts"
	timeout -k 5 60 "$W" record -g --python -F 999 -m 16M -o "$TMP/frames.data" -- "$1" "$ROOT/$ME" "$TMP/facts" \
		2>"$TMP/notes" || return 1
	! grep -q 'events were lost' "$TMP/notes" || return 77
	timeout -k 5 60 "$W" script "$TMP/frames.data" >"$TMP/script" || return 1
	timeout -k 5 60 "$1" "$ROOT/tests/e2e/oracle_python.py" "$TMP/script" "$TMP/facts"
}

# Without --python nothing of Python is recorded.
without() {
	"$W" record -g -o "$TMP/without.data" -- "$1" -c 'import time; time.sleep(0.1)' || return 1
	"$W" script "$TMP/without.data" >"$TMP/script" || return 1
	grep -q ' calls ' "$TMP/script" && ! grep -q ' py\(stack\|code\) \| python=' "$TMP/script"
}

# too_old PYTHON: native frames, and a sentence in both places.
too_old() {
	"$W" record --python -o "$TMP/old.data" -- "$1" -c 'import time; time.sleep(0.1)' 2>"$TMP/notes" || return 1
	grep 'older than 3.8: its functions are native frames' "$TMP/notes" || return 1
	"$W" report "$TMP/old.data" | tr -s ' \n' ' ' | grep -q 'older than 3.8: its functions are native frames' || return 1
	"$W" script "$TMP/old.data" >"$TMP/script" || return 1
	grep -q ' calls ' "$TMP/script" && ! grep -q ' pystack ' "$TMP/script"
}

# A process that ran before the recording.
attached() {
	local pid
	mkdir -p "$TMP/attached"
	"$1" -c 'import time
def waits():
    while True: time.sleep(0.01)
waits()' &
	pid=$!
	spawned+=("$pid")
	sleep 0.3
	"$W" record -g --python -d 0.3 -o "$TMP/attached.data" -p "$pid" || return 1
	end "$pid"
	"$W" script "$TMP/attached.data" >"$TMP/script" || return 1
	grep -q ' pycode .* name=waits file=<string>' "$TMP/script" && [ "$(grep -c ' about=off .*python=' "$TMP/script")" -ge 10 ]
}

# version_of PYTHON: 3.11, or nothing when it is no CPython.
version_of() {
	timeout 20 "$1" -c 'if True:
		import platform, sys
		if platform.python_implementation() == "CPython": print("%d.%d" % sys.version_info[:2])' 2>/dev/null
}

for version in 8 9 10 11 12 13; do
	found='' name=python3.$version
	for python in "${PYENV_ROOT:-$HOME/.pyenv}"/versions/*/bin/"$name"; do
		[ -x "$python" ] && found=$python
	done
	if [ "$found" ]; then
		ok_bpf "CPython 3.$version: all frames of all sleeps, shares of the CPU" frames "$found"
	else
		skip "CPython 3.$version" "it is not installed below ${PYENV_ROOT:-$HOME/.pyenv}/versions"
	fi
done
case $(version_of "$PY") in
3.8 | 3.9 | 3.1[0-3])
	ok_bpf "$PY: all frames of all sleeps, shares of the CPU" frames "$PY"
	ok_bpf "$PY: without --python none" without "$PY"
	ok_bpf "$PY: attached to" attached "$PY"
	;;
*) skip "$PY" "it is missing, or none of 3.8 to 3.13" ;;
esac
old=
for python in "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3.7.*/bin/python3.7; do
	[ -x "$python" ] && old=$python
done
if [ "$old" ]; then
	ok_bpf "CPython 3.7 is native frames, and that is said" too_old "$old"
else
	skip "a CPython that is too old" "3.7 is not installed"
fi

finish
