#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Interrupts in the waits for a CPU: a thread waits for one on which a program with a fast timer runs; the kernel's own counts of that
# CPU's interrupts bound what may be recorded.
# shellcheck source=tests/lib.sh disable=SC2317,SC2016 # functions are called through ok; single quotes are for the inner shell
. "$(dirname "$0")/../lib.sh"

CPU=$(taskset -cp $$ | sed 's/.*: *//; s/[-,].*//')

# The kernel's count so far, of all interrupts, hard and soft, of CPU $1; with a second argument of that line.
interrupts() {
	awk -v cpu="CPU$1" -v line="${2:-}" '
		FNR == 1 { for (i = 1; i <= NF; i++) if ($i == cpu) at = i + 1; next }
		!line || $1 == line { n += $at }
		END { print n + 0 }' /proc/interrupts /proc/softirqs
}

# record_beside US: 400 ms on one CPU with a program that a timer interrupts every US microseconds.
record_beside() {
	local hog before after
	spawn taskset -c "$CPU" "$PROGS/ticking" 20000 "$1"
	hog=$!
	until_true 5 grep -qx ticking "/proc/$hog/comm" || return
	before=$(interrupts "$CPU")
	timeout 60 "$W" record -o "$TMP/irq.data" -- taskset -c "$CPU" "$PROGS/ticking" 400
	status=$?
	after=$(interrupts "$CPU")
	end "$hog"
	[ "$status" -eq 0 ] || return
	"$W" report --json "$TMP/irq.data" >"$TMP/report.json" || return
	"$W" script "$TMP/irq.data" >"$TMP/script" || return
	records=$(grep -c " cpu$CPU - irq" "$TMP/script")
	counted=$((after - before))
	! grep " - irq" "$TMP/script" | grep -Evq " - irq (for_ns=[1-9][0-9]*|before=1)$"
}

# Every timer interrupt in a wait is a record, and there are no more than the kernel counted. One takes from 0.3 us to 100 us.
ticked() {
	not_lost ticked_once
}

ticked_once() {
	record_beside 100 || return
	"$PY" - "$TMP/report.json" "$records" "$counted" 100 <<'EOF'
import json, sys
r = json.load(open(sys.argv[1]))["runq_by"]
records, counted, us = map(int, sys.argv[2:])
parts = sum(r[p + "_ns"] for p in ("own", "tracked", "foreign", "idle", "interrupts", "unknown"))
print("records", records, "counted", counted, {k: v for k, v in r.items() if k.endswith("_ns")})
assert parts == r["wait_ns"] > 50e6, "the parts sum to the waits"
assert records <= counted, "no more than the kernel counted"
ticking = sum(b["ns"] for b in r["by"] if b["comm"] == "ticking" and not b["recorded"])
assert records >= 0.5 * ticking / (us * 1000), "a record for each tick of the other program"
assert 300 * records / 2 < r["interrupts_ns"] < 100e3 * records, "a plausible time each"
assert r["interrupts_ns"] < 0.5 * r["wait_ns"]
assert sum(b["ns"] for b in r["by"]) == r["tracked_ns"] + r["foreign_ns"], "the names sum to their parts"
EOF
}

ok_bpf "a timer every 100 us in the slices of a program for whose CPU a thread waits" ticked

# The same two programs without the fast timer: the tick only, so a much smaller part.
part_of() {
	"$PY" -c 'import json, sys; r = json.load(open(sys.argv[1]))["runq_by"]; print(r["interrupts_ns"] * 1000 // r["wait_ns"])' \
		"$TMP/report.json"
}

more_with_ticks() {
	local few many
	record_beside 0 || return
	few=$(part_of)
	record_beside 50 || return
	many=$(part_of)
	echo "per mille: $few, with the timer $many"
	[ "$many" -gt "$few" ]
}

ok_bpf "a fast timer makes the interrupts' part larger" more_with_ticks

# Nothing is before a thread of real-time priority: its CPU serves thousands of interrupts, of which none is in a wait.
nobody_waits() {
	local before after
	chrt -f 50 true 2>/dev/null || {
		echo "no real-time priority here"
		return 77
	}
	before=$(interrupts "$CPU" LOC:)
	timeout 60 "$W" record -o "$TMP/irq.data" -- chrt -f 50 taskset -c "$CPU" "$PROGS/ticking" 300 50 \
		>"$TMP/ticks" || return
	after=$(interrupts "$CPU" LOC:)
	records=$("$W" script "$TMP/irq.data" | grep -c " - irq")
	echo "signals $(cat "$TMP/ticks"), LOC $((after - before)), records $records"
	[ "$(cat "$TMP/ticks")" -gt 1500 ] && [ "$records" -lt 30 ] || return
	[ "$(uname -m)" != x86_64 ] || [ $((after - before)) -gt 1500 ]
}

ok_bpf "while no thread waits no interrupt is recorded" nobody_waits

meta_tells() {
	"$W" report --json "$TMP/irq.data" >"$TMP/report.json" || return
	"$PY" -c 'import json, sys; r = json.load(open(sys.argv[1]))["runq_by"]; assert r["interrupts_ns"] is not None' \
		"$TMP/report.json"
}

ok_bpf "JSON tells that interrupts were recorded" meta_tells

finish
