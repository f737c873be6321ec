#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# For guests: the largest programs that a kernel's verifier has to accept are those that take call stacks, and every kernel has another
# verifier. A refusal is a failure here, also where the recording goes on without them. It is a suite of its own because one that is
# refused takes an emulated processor minutes.
# shellcheck source=tests/lib.sh disable=SC2317 # functions are called through ok
. "$(dirname "$0")/../lib.sh"

# recorded MS OPTION...: a program that burns for so long and then waits for its children; with BPF, with all kinds of stacks.
recorded() {
	local ms=$1
	shift
	rm -f "$TMP/l.data"
	timeout 200 "$W" record "$@" -o "$TMP/l.data" -- sh -c "'$PROGS/known' burn $ms; '$PROGS/known' sleeps 5 1000" >"$TMP/out" 2>&1
	status=$?
	cat "$TMP/out"
	[ "$status" -eq 0 ] && ! grep -qE 'without BPF|recorded without' "$TMP/out" || return 1
	"$W" script "$TMP/l.data" >"$TMP/script" || return
	for kind in sample off wake; do
		grep -q " calls about=$kind " "$TMP/script" || {
			echo "there is no stack of kind $kind"
			return 1
		}
	done
}

# What starts the program, which an emulated machine takes as long for, is not looked at.
flamed() {
	recorded 200 -g || return
	"$W" flame --on --folded "$TMP/l.data" >"$TMP/folded" || return
	"$PY" - "$TMP/folded" <<'PYTHON'
import sys
lines = open(sys.argv[1]).read().splitlines()
inside = sum(int(l.rsplit(" ", 1)[1]) for l in lines if ";do_burn" in l)
total = sum(int(l.rsplit(" ", 1)[1]) for l in lines if ";main;" in l)
print(inside, "ns of samples in do_burn, those below main have", total)
sys.exit(not (inside > 150e6 and inside > total * 0.9))
PYTHON
}
ok_bpf "record -g: every kind of stack, the samples are in the function that burns" flamed
ok_bpf "record -g --python" recorded 50 -g --python
finish
