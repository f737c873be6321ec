#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The options of record for call stacks: each has its effect on the trace, seen through script; bad values are refused.
# shellcheck source=tests/lib.sh disable=SC2317,SC2016 # functions are called through ok; single quotes are for the inner shell
. "$(dirname "$0")/../lib.sh"

# rec OPTION...: records a program that burns, waits for a lock and wakes; what script says of call stacks is in $TMP/calls.
rec() {
	timeout 60 "$W" record -o "$TMP/s.data" "$@" -- sh -c "$PROGS/stacks burn 100; $PROGS/stacks lock 20" || return
	"$W" script "$TMP/s.data" >"$TMP/script" || return
	grep -E ' (calls|kstack|ustack) ' "$TMP/script" >"$TMP/calls"
	return 0
}

# kinds: what EV_CALLS are about, one word each, sorted.
kinds() {
	grep -o 'calls about=[a-z]*' "$TMP/calls" | sort -u | sed 's/.*=//' | tr '\n' ' '
}

# kinds_are "OPTIONS" "KINDS"
kinds_are() {
	# shellcheck disable=SC2086 # several words
	rec $1 && same "$(kinds)" "$2"
}

# Every stack that is named is there.
explained() {
	rec -g || return
	"$PY" - "$TMP/calls" <<'EOF'
import re, sys
have, want = set(), set()
for line in open(sys.argv[1]):
    m = re.search(r" (kstack|ustack) id=(\w+)", line)
    if m:
        have.add(m.group(2))
    want |= set(re.findall(r" (?:kernel|user)=(\w+)", line))
want.discard("0" * 16)
assert len(want) > 10, want
assert want <= have, want - have
print(len(want), "stacks")
EOF
}

# The rate of samples on the CPU: about HZ for each second on it, as the ledger has that.
rate() {
	rec -F "$1" || return
	"$W" report --json "$TMP/s.data" >"$TMP/report.json" || return
	"$PY" - "$TMP/report.json" "$(grep -c 'about=sample' "$TMP/calls")" "$1" <<'EOF'
import json, sys
oncpu = json.load(open(sys.argv[1]))["ledger"]["oncpu"] / 1e9
samples, hz = int(sys.argv[2]), int(sys.argv[3])
print(f"{samples} samples in {oncpu} s")
assert abs(samples - hz * oncpu) <= 5 + 0.2 * hz * oncpu
EOF
}

# most BYTES OPTION...: no copy is larger, and one is that large.
most() {
	local bytes=$1
	shift
	timeout 60 "$W" record -o "$TMP/d.data" --stacks off "$@" -- "$PROGS/stacks" deep 200 || return
	"$W" script "$TMP/d.data" | grep -o ' ustack .* bytes=[0-9]*' | sed 's/.*=//' | sort -n >"$TMP/sizes"
	same "$(tail -n 1 "$TMP/sizes")" "$bytes"
}

# sleeper WAY ROOT FRAMES OPTION...: 100 frames of 256 bytes, more than the copy has: what is at the root, and how many of them are there.
sleeper() {
	local way=$1 root=$2 frames=$3
	shift 3
	timeout 60 "$W" record -o "$TMP/d.data" --stacks off "$@" -- "$TMP/$way" deep 100 || return
	"$W" flame "$TMP/d.data" --off --folded 2>"$TMP/err" | grep ';descend' >"$TMP/folded"
	cut -c 1-120 "$TMP/folded"
	grep -Eq "^$root(;descend){$frames};inner_sleep;" "$TMP/folded" || return
	case $root in
	'\[cut\]') grep -q 'begin with \[cut\]' "$TMP/err" ;;
	*) ! grep -F '[cut]' "$TMP/folded" ;;
	esac
}

# refused "SENTENCE'S PART" OPTION...: exit status 2, one sentence, no file.
refused() {
	local part=$1 status
	shift
	timeout 20 "$W" record -o "$TMP/none" "$@" -- true 2>"$TMP/err"
	status=$?
	cat "$TMP/err"
	[ "$status" -eq 2 ] && [ "$(wc -l <"$TMP/err")" -le 2 ] && grep -q -- "$part" "$TMP/err" && [ ! -e "$TMP/none" ]
}

ok_bpf "without an option there are no stacks" kinds_are "" ""
ok_bpf "-g: samples, switch-outs and wakers" kinds_are "-g" "off sample wake "
ok_bpf "--stacks on: samples" kinds_are "--stacks on" "sample "
ok_bpf "--stacks off: switch-outs" kinds_are "--stacks off" "off "
ok_bpf "--stacks wake: wakers" kinds_are "--stacks wake" "wake "
ok_bpf "--stacks lock: waits for locks" kinds_are "--stacks lock" "off "
locks_only() {
	rec --stacks off && off=$(grep -c 'about=off' "$TMP/calls") &&
		rec --stacks lock && locks=$(grep -c 'about=off' "$TMP/calls") &&
		echo "$locks of $off" && [ "$locks" -ge 15 ] && [ "$locks" -lt "$off" ]
}
ok_bpf "--stacks lock is a part of off" locks_only
ok_bpf "--stacks on,wake: both" kinds_are "--stacks on,wake" "sample wake "
ok_bpf "-F alone: samples" kinds_are "-F 200" "sample "
ok_bpf "every stack that is named is in the trace" explained
ok_bpf "-F 250: that many samples a second" rate 250
ok_bpf "-F 1000: that many samples a second" rate 1000
ok_bpf "8 KiB of a stack by default" most 8192
ok_bpf "--stack-size 1K" most 1024 --stack-size 1K
ok_bpf "--stack-size 32K" most 32768 --stack-size 32K
for size in 12 32; do
	ok_bpf "--stack-size ${size}K --python: the kernel takes that, too" most $((size * 1024)) --stack-size ${size}K --python
done
# most() records switch-outs only; samples and wakers have programs of their own
ok_bpf "... with all kinds of stacks" rec -g --python --stack-size 32K
for way in no-omit-frame-pointer omit-frame-pointer; do
	gcc -O2 -D_GNU_SOURCE -pthread "-f$way" "$ROOT/tests/e2e/progs/stacks.c" -o "$TMP/$way" -ldl || rm -f "$TMP/$way"
done
if [ -x "$TMP/no-omit-frame-pointer" ] && [ -x "$TMP/omit-frame-pointer" ]; then
	ok_bpf "frame pointers lead on where the copy ends" sleeper no-omit-frame-pointer '_start;.*;main' 100
	ok_bpf "... where it ends at once" sleeper no-omit-frame-pointer '_start;.*;main' 100 --stack-size 256
	ok_bpf "... where it takes all" sleeper no-omit-frame-pointer '_start;.*;main' 100 --stack-size 32K
	ok_bpf "without them it ends, which is said" sleeper omit-frame-pointer '\[cut\]' 20,40
	ok_bpf "... but for what is copied" sleeper omit-frame-pointer '_start;.*;main' 100 --stack-size 32K
fi
private() {
	rec -g && same "$(stat -c %a "$TMP/s.data")" 600
}
ok_bpf "the file is its owner's alone: it has addresses of the kernel" private
names_kernel() {
	timeout 60 "$W" record -o "$TMP/k.data" --stacks off -- "$PROGS/stacks" sleep 5 &&
		"$W" flame "$TMP/k.data" --off --folded >"$TMP/folded" &&
		grep -q 'main;outer_sleep;inner_sleep;.*hrtimer_nanosleep.*sleep [0-9]*$' "$TMP/folded"
}
ok_bpf "the kernel's functions have names in the trace" names_kernel

ok "a kind that is none" refused "choose from on,off,wake,lock" --stacks on,of
ok "an empty kind" refused "choose from on,off,wake,lock" --stacks ""
ok "a rate of 0" refused "is no sampling rate" -F 0
ok "a rate that is too high" refused "1 to 10000" -F 10001
ok "a rate that is no number" refused "is no sampling rate" -F 99hz
ok "-F without samples" refused "add 'on' to --stacks" --stacks off -F 99
ok "a stack that is too large" refused "from 256 to 32K" -g --stack-size 33K
ok "a stack that is too small" refused "from 256 to 32K" -g --stack-size 8
ok "a stack that is no whole words" refused "multiple of 8" -g --stack-size 1001
ok "--stack-size without stacks" refused "add -g or --stacks" --stack-size 4K
ok "stacks without BPF" refused "leave --no-bpf out" -g --no-bpf
finish
