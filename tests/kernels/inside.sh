#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Runs in a guest, for kernels.sh: tests/kernels/inside.sh TEST...; test_NAME of tests/bpf, NAME for tests/kernels/NAME.sh, or e2e/NAME. Prints
# "kernel RELEASE", and for each test TAP lines; a test program's are one: how many of its tests passed, failed and were skipped.
BUILD=${BUILD:-build}

log=$(mktemp)

count() {
	grep -E "^\[  $1 +\] [0-9]+ test" "$log" | grep -oE '[0-9]+' | awk '{ n += $1; exit } END { print n + 0 }'
}

echo "kernel $(uname -r) $(uname -m)"
for name; do
	began=$SECONDS
	case $name in
	test_*)
		timeout 150 "$BUILD/tests/$name" >"$log" 2>&1
		status=$?
		said="$(count PASSED) passed, $(count FAILED) failed, $(count SKIPPED) skipped"
		if [ $status -eq 0 ] && grep -q '^\[  PASSED' "$log"; then
			echo "ok - $name: $said, $((SECONDS - began)) s"
		else
			echo "not ok - $name: $said, exit status $status, $((SECONDS - began)) s"
			grep -vE '^\[ RUN      \]|^\[       OK \]' "$log" | tail -n 40 | sed 's/^/#   /'
		fi
		;;
	*)
		case $name in
		e2e/*) file=tests/$name.sh ;;
		*) file=tests/kernels/$name.sh ;;
		esac
		"$file" 2>&1 | sed -E "s|^((not )?ok) [0-9]+ - |\1 - $name: |; /^[0-9]+ passed, /d"
		;;
	esac
done
rm -f "$log"
echo "all were run"
