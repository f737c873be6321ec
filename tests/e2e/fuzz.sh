#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The short form of `make fuzz`: every input that was kept, which is what once went wrong too, then a few seconds of new ones for each
# target, always the same ones. SECONDS_EACH (default 4); it is built first, with clang, which takes longer.
# shellcheck source=tests/lib.sh disable=SC2317 # functions are called through ok
. "$(dirname "$0")/../lib.sh"

cd "$ROOT" || exit 1
if ! printf 'int LLVMFuzzerTestOneInput(const void *d, unsigned long n); int LLVMFuzzerTestOneInput(const void *d, unsigned long n) { return !d && n; }\n' |
	clang -x c -fsanitize=fuzzer,address,undefined -o "$TMP/fuzzer" - 2>/dev/null; then
	skip "made-up input" "clang has no libFuzzer here: scripts/setup --tests installs it"
	finish
fi
small() {
	find tests/fuzz/corpus -type f -printf '%s\n' | awk '{ sum += $1 } END { print sum " bytes"; exit sum < 10000 || sum > 300000 }'
}
ok "what is kept is small, but something" small
export NICE=0
for name in trace folded elf text options; do
	ok "$name: what was kept" tests/fuzz/run --replay "$name"
	ok "$name: ${SECONDS_EACH:-4} s of new input" env NEW="$TMP/new.$name" tests/fuzz/run --seconds "${SECONDS_EACH:-4}" "$name"
	sed -n '/ inputs /s/^/# /p' "$TMP/.output"
done
finish
