#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The unit tests, compiled by clang with the address and undefined behaviour sanitizers (tests/fuzz/run --unit; without that they are skipped):
# one test for each of their programs. `make SAN=address,undefined test` runs all tests so.
# shellcheck source=tests/lib.sh disable=SC2317 # functions are called through ok
. "$(dirname "$0")/../lib.sh"

if in_guest || [[ $BUILD == */san ]]; then
	skip "the unit tests with sanitizers" "once is enough: not in a guest, nor where all is built with them"
	finish
fi

if [ ! -d "$ROOT/build/fuzz/tests" ]; then
	skip "the unit tests with sanitizers" "they are not built; run: tests/fuzz/run --unit"
	finish
fi

# What is found ends the program, and says so; a leak is found.
sanitized() {
	local status
	ASAN_OPTIONS=allocator_may_return_null=1:detect_leaks=1 UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1 \
		timeout 120 "$1" >"$TMP/log" 2>&1
	status=$?
	grep -E 'ERROR: |runtime error|SUMMARY|\[  FAILED  \]' "$TMP/log"
	[ "$status" -eq 0 ] && grep -q '^\[  PASSED  \] [1-9]' "$TMP/log"
}

for test in "$ROOT"/tests/unit/test_*.c; do
	name=$(basename "$test" .c)
	if [ -x "$ROOT/build/fuzz/tests/$name" ]; then
		ok "$name" sanitized "$ROOT/build/fuzz/tests/$name"
	else
		skip "$name" "it is not built: tests/fuzz/run --unit"
	fi
done
finish
