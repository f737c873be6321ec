#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The program and its tests under other kernels, each in a virtual machine with four CPUs (scripts/guest): one line per test and
# kernel. KERNELS="6.1 6.1-arm64 6.1-lockdown 6.12-crowd newest 5.10 ..." says which, KERNEL_TESTS which tests; without them the short form,
# which is a part of `make test`: 6.1 on both architectures, once more on arm64 with a processor that counts instructions, and of the tests
# what tells most in a minute. `make test-kernels` runs all that tell something there. As many guests run side by side as there are CPUs:
# each takes one.
# shellcheck source=tests/lib.sh disable=SC2317
. "$(dirname "$0")/../lib.sh"

# The tests of the short form: what differs between kernels and architectures, and on arm64 the counters, of which amd64 has none.
tests_of() {
	case ${KERNEL_TESTS:+given}$1 in
	*-lockdown | *5.10*) echo lacking ;;
	*-instructions) echo instructions ;;
	*-crowd) echo hard/load ;;
	given*) echo "$KERNEL_TESTS" ;;
	*-arm64) echo ledger pmu test_counter ;;
	*) echo ledger test_futex ;;
	esac
}

build_of() {
	case $1/$(uname -m) in
	*-arm64*/x86_64) echo "$BUILD/arm64" ;;
	*) echo "$BUILD" ;;
	esac
}

# What scripts/guest calls it.
machine_of() {
	local kernel=${1%-lockdown}
	kernel=${kernel%-instructions}
	echo "${kernel%-crowd}"
}

# Prints why the kernel cannot be tried here; or fetches what it needs.
why_not() {
	local build
	build=$(build_of "$1")
	if [[ $BUILD == */san ]]; then
		echo "with sanitizers, in an emulated machine, it would take an hour"
		return
	fi
	if [ ! -x "$build/whyscale" ] || [ ! -d "$build/tests/progs" ]; then
		echo "there is no program for it; run: scripts/cross arm64 tests, or make tests"
		return
	fi
	"$ROOT/scripts/guest" -f "$(machine_of "$1")" >"$TMP/fetch" 2>&1 || tail -n 1 "$TMP/fetch"
}

# start KERNEL: the guest, in the background; kernel_of[its pid] is the kernel.
declare -A kernel_of
start() {
	local tests boot=()
	[[ $1 != *-lockdown ]] || boot=(-a lockdown=confidentiality)
	[[ $1 != *-instructions ]] || boot=(-i 2 -c 1)
	[[ $1 != *-crowd ]] || boot=(-c 8 -m 4096)
	read -ra tests <<<"$(tests_of "$1")"
	"$ROOT/scripts/guest" -b "$(build_of "$1")" -t $((200 + 1500 * ${#tests[@]})) "${boot[@]}" "$(machine_of "$1")" tests/kernels/inside.sh "${tests[@]}" \
		>"$TMP/$1.lines" 2>"$TMP/$1.errors" &
	kernel_of[$!]=$1
}

# Ends the guests that still run; with SIGTERM, which scripts/guest passes on to the machine.
end_all() {
	local pid
	for pid in "${!kernel_of[@]}"; do
		end "$pid"
	done
}
later end_all

# Waits for a guest; each line that came back is a test of ours.
show_next() {
	local pid kernel status line name ended=
	wait -n -p pid "${!kernel_of[@]}"
	status=$?
	kernel=${kernel_of[$pid]}
	unset "kernel_of[$pid]"
	grep -h '^# figure: ' "$TMP/$kernel.lines" | sed "s/^# figure: /&$kernel: /"
	while IFS= read -r line; do
		name="$kernel: ${line#* - }"
		case $line in
		"all were run") ended=yes ;;
		"ok - "*" # SKIP "*) skip "${name%% # SKIP *}" "${name##* # SKIP }" ;;
		"ok - "*) ok "$name" true ;;
		"not ok - "*) ok "$name" false ;;
		"# figure: "*) ;;
		*) echo "# $line" ;;
		esac
	done <"$TMP/$kernel.lines"
	[ "$ended" ] || ok "$kernel: every test was run; exit status $status" cat_errors "$TMP/$kernel.errors"
}

cat_errors() {
	cat "$1"
	return 1
}

for kernel in ${KERNELS:-6.1 6.1-arm64 6.1-arm64-instructions}; do
	why=$(why_not "$kernel")
	if [ "$why" ]; then
		skip "$kernel" "$why"
		continue
	fi
	[ ${#kernel_of[@]} -lt "${JOBS:-$(nproc)}" ] || show_next
	start "$kernel"
done
while [ ${#kernel_of[@]} -gt 0 ]; do
	show_next
done
finish
