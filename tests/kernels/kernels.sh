#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The program and its tests under other kernels, each in a virtual machine with four CPUs (scripts/guest): one line per test and
# kernel. KERNELS="6.1 6.1-arm64 6.1-lockdown ..." says which (6.1), KERNEL_TESTS which tests (few; `make test-kernels`: all that tell
# something there). Not among what tests/run does without names: it takes minutes.
# shellcheck source=tests/lib.sh disable=SC2317
. "$(dirname "$0")/../lib.sh"

read -ra tests <<<"${KERNEL_TESTS:-ledger test_futex}"

# tested KERNEL: each line that came back is a test of ours.
tested() {
	local kernel=$1 status line name build=$BUILD ended='' tests=("${tests[@]}") boot=()
	[[ $kernel != *-lockdown ]] || boot=(-a lockdown=confidentiality) tests=(lacking)
	[[ $kernel != *-arm64 || $(uname -m) == aarch64 ]] || build=$BUILD/arm64
	if [ ! -x "$build/tests/test_counter" ]; then
		skip "$kernel" "there is no program for it; scripts/cross arm64 tests, or make tests"
		return
	fi
	"$ROOT/scripts/guest" -b "$build" -t 1500 "${boot[@]}" "${kernel%-lockdown}" tests/kernels/inside.sh "${tests[@]}" >"$TMP/lines" 2>"$TMP/errors" &
	spawned+=($!)
	wait $!
	status=$?
	while IFS= read -r line; do
		name="$kernel: ${line#* - }"
		case $line in
		"all were run") ended=yes ;;
		"ok - "*" # SKIP "*) skip "${name%% # SKIP *}" "${name##* # SKIP }" ;;
		"ok - "*) ok "$name" true ;;
		"not ok - "*) ok "$name" false ;;
		*) echo "# $line" ;;
		esac
	done <"$TMP/lines"
	[ "$ended" ] || ok "$kernel: every test was run; exit status $status" cat_errors
}

cat_errors() {
	cat "$TMP/errors"
	return 1
}

for kernel in ${KERNELS:-6.1}; do
	case $kernel in
	*-arm64) machine=qemu-system-aarch64 ;;
	*) machine=qemu-system-x86_64 ;;
	esac
	if ! command -v $machine >/dev/null || ! command -v cpio >/dev/null; then
		skip "$kernel" "$machine or cpio is not here; run: sudo scripts/setup --kernels"
		continue
	fi
	tested "$kernel"
done
finish
