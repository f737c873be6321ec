#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Runs in a guest, for kernels.sh: tests/kernels/inside.sh TEST...; test_NAME of tests/bpf, NAME for tests/kernels/NAME.sh or else
# tests/e2e/NAME.sh, or e2e/NAME or hard/NAME. Prints "kernel RELEASE", and for each test TAP lines; a test program's are one: how many of its tests passed,
# failed and were skipped.
BUILD=${BUILD:-build}

log=$(mktemp)

count() {
	grep -E "^\[  $1 +\] [0-9]+ test" "$log" | grep -oE '[0-9]+' | awk '{ n += $1; exit } END { print n + 0 }'
}

# program NAME
program() {
	local status said
	timeout -k 10 400 "$BUILD/tests/$1" >"$log" 2>&1
	status=$?
	said="$(count PASSED) passed, $(count FAILED) failed, $(count SKIPPED) skipped"
	if [ $status -eq 0 ] && grep -q '^\[  PASSED' "$log"; then
		echo "ok - $1: $said, $((SECONDS - began)) s"
	else
		echo "not ok - $1: $said, exit status $status, $((SECONDS - began)) s"
		grep -vE '^\[ RUN      \]|^\[       OK \]' "$log" | tail -n 40 | sed 's/^/#   /'
	fi
}

# suite NAME FILE: its last line is the counts, unless it ended before its end.
suite() {
	local status
	timeout -k 10 1500 "$2" 2>&1 | tee "$log" | sed -uE "s,^((not )?ok) [0-9]+ - ,\1 - $1: ,; /^[0-9]+ passed\, /d"
	status=${PIPESTATUS[0]}
	if tail -n 1 "$log" | grep -qE '^[0-9]+ passed, [0-9]+ failed, [0-9]+ skipped$'; then
		echo "$1: $(tail -n 1 "$log"), $((SECONDS - began)) s"
	else
		echo "not ok - $1: it ended before its end, exit status $status, $((SECONDS - began)) s"
	fi
}

echo "kernel $(uname -r) $(uname -m)"
for name; do
	began=$SECONDS
	file=tests/kernels/$name.sh
	[ -e "$file" ] || file=tests/e2e/$name.sh
	case $name in
	e2e/* | hard/*) suite "$name" "tests/$name.sh" ;;
	test_*) program "$name" ;;
	*) suite "$name" "$file" ;;
	esac
done
rm -f "$log"
echo "all were run"
