#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Counters of threads (record -e): against perf stat on the same run, what threads say of themselves, and the events one by one; what is
# refused, what is missing, and how it is shown.
# shellcheck source=tests/lib.sh disable=SC2317,SC2016 # functions are called through ok; single quotes are for the inner shell
. "$(dirname "$0")/../lib.sh"

CHECK=$ROOT/tests/e2e/oracle_counters.py
EVENTS=page-faults,context-switches,task-clock

# look DATA: its report and script.
look() {
	"$W" report --json "$1" >"$TMP/report.json" && "$W" script "$1" >"$TMP/script"
}

# beside_perf ARG...: counted with these, under perf stat, under us.
beside_perf() {
	rm -f "$TMP/facts" "$TMP/perf.csv"
	timeout 60 "$W" record -e "$EVENTS" -o "$TMP/perf.data" -- \
		perf stat -x, -o "$TMP/perf.csv" -e page-faults,context-switches -- "$PROGS/counted" "$TMP/facts" "$@" || return
	look "$TMP/perf.data" && "$PY" "$CHECK" perf "$TMP/report.json" "$TMP/script" "$TMP/perf.csv" counted
}

if command -v perf >/dev/null; then
	ok_bpf "pages: as perf stat counts them in the same run" not_lost beside_perf pages 4096 100
	ok_bpf "sleeps: switches as perf stat counts them" not_lost beside_perf sleeps 100
	ok_bpf "yields: the same" not_lost beside_perf yields 2000
else
	skip "as perf stat counts them in the same run" "perf is not installed"
fi

own() {
	rm -f "$TMP/facts"
	"$W" record -e "$EVENTS" -o "$TMP/own.data" -- "$PROGS/counted" "$TMP/facts" exec 500 || return
	look "$TMP/own.data" && "$PY" "$CHECK" faults "$TMP/report.json" "$TMP/facts"
}
ok_bpf "exec: page faults as each thread says of itself" not_lost own
ok_bpf "a thread's sums are those of its slices, the totals those of the threads" \
	"$PY" "$CHECK" slices "$TMP/report.json" "$TMP/script"

# ---- attached ----

has_threads() {
	[ "$(find "/proc/$1/task" -mindepth 1 -maxdepth 1 | wc -l)" -eq 3 ]
}

# attach OPTION: while a program's two threads compute.
attach() {
	local hog
	spawn "$PROGS/counted" "$TMP/none" spin 3000
	hog=$!
	until_true 2 has_threads "$hog" || return
	if [ "$1" = -t ]; then
		"$W" record -e task-clock -t "$(basename "$(find "/proc/$hog/task" -mindepth 1 -maxdepth 1 | sort | tail -n 1)")" -d 0.3 -o "$TMP/attach.data"
	elif [ "$1" = -p ]; then
		"$W" record -e task-clock -p "$hog" -d 0.3 -o "$TMP/attach.data"
	else
		"$W" record -e task-clock -a -d 0.3 -o "$TMP/attach.data"
	fi
	status=$?
	end "$hog"
	rm -f "$TMP/none"
	[ "$status" -eq 0 ] && look "$TMP/attach.data" || return
	"$PY" - "$TMP/report.json" <<'PYTHON'
import json, sys
seen = 0
for t in json.load(open(sys.argv[1]))["threads"]:
    clock, oncpu = t["counters"]["task-clock"]["value"], t["ledger"]["oncpu"]
    if t["comm"] != "counted" or oncpu < 2e6:
        continue
    # what is on a CPU when the recording begins, and what is there when it ends, is known to be missing
    seen += 1
    slices, lacking = t["counted"]["slices"], t["counted"]["unknown_ns"] + t["counted"]["open_ns"]
    if abs(clock + lacking - oncpu) > 1000 * (slices + 1) + oncpu / 1000:
        sys.exit(f"{t['tid']}: {t['counters']} {t['counted']}, on a CPU {oncpu}")
sys.exit(0 if seen else "no thread was checked")
PYTHON
}
ok_bpf "-p: what ran already is counted" attach -p
ok_bpf "-t: one thread" attach -t
ok_bpf "-a: everyone" attach -a

# ---- what is not there ----

refused() {
	"$W" record -o "$TMP/refused.data" -e "$1" -- true 2>"$TMP/err"
	[ $? -eq 2 ] && [ ! -e "$TMP/refused.data" ] && grep -q -- "$2" "$TMP/err"
}
ok "an unknown name is refused, and says which there are" refused nonsense \
	"no counter 'nonsense': there are cycles, .*page-faults.*L1-dcache.*rNNN"
ok "an empty name" refused cycles, "empty"
ok "no name" refused "" "names no counter"
ok "too many" refused r1,r2,r3,r4,r5,r6,r7,r8,r9 "more than 8"

# A machine without a counter for cycles: said three times, and the others are counted.
missing() {
	"$W" record -e cycles,page-faults -o "$TMP/missing.data" -- true 2>"$TMP/err" || return
	"$W" report --counters "$TMP/missing.data" >"$TMP/out" && cat "$TMP/out" "$TMP/err"
	if ! grep -q '^counters .*cycles unavailable' "$TMP/out"; then
		echo "this machine counts cycles"
		return 77
	fi
	grep -q 'recorded without cycles: ' "$TMP/err" && grep -q '^Not counted: cycles: ' "$TMP/out" &&
		grep -Eq '^true +[0-9]+ .* [0-9]+$' "$TMP/out" && grep -q 'page-faults [1-9]' "$TMP/out"
}
ok_bpf "a counter that this machine lacks is said, the others are counted" missing
nothing_left() {
	"$W" record -e r1 -o "$TMP/left.data" -- true 2>"$TMP/err" && "$W" report "$TMP/left.data" >/dev/null
}
ok_bpf "none of them is there: a recording all the same" nothing_left

not_asked() {
	"$W" record -o "$TMP/none.data" -- true && ! "$W" script "$TMP/none.data" | grep -q ' counts ' &&
		"$W" report --counters "$TMP/none.data" | grep -q 'record with -e or --counters' &&
		"$W" report --json "$TMP/none.data" | "$PY" -c '
import json, sys
r = json.load(sys.stdin)
sys.exit(bool(r["counters"]) or any("counters" in t for t in r["threads"]))'
}
ok_bpf "without -e there are none" not_asked
without_bpf() {
	"$W" record --no-bpf -e task-clock,page-faults -o "$TMP/no_bpf.data" -- true 2>"$TMP/err" &&
		"$W" report "$TMP/no_bpf.data" | grep -Eq '^counters  task-clock [0-9,]+ ns, page-faults [1-9]'
}
ok "--no-bpf -e: for all threads together" without_bpf

# ---- how it is shown ----

shown() {
	"$W" record -e "$EVENTS,cpu-migrations,minor-faults,major-faults" -o "$TMP/wide.data" -- sh -c 'ls / >/dev/null; :' &&
		"$W" report --counters "$TMP/wide.data" >"$TMP/out" && cat "$TMP/out" &&
		"$PY" "$CHECK" widths 100 <"$TMP/out" && grep -q 'slices .*page-faults .*context-switches' "$TMP/out" &&
		"$W" report --counters --no-legend "$TMP/wide.data" >"$TMP/short" && ! grep -q 'whyscale script' "$TMP/short"
}
ok_bpf "report --counters: a column each, within 100 characters" shown
ok_bpf "script: a line for each slice" bash -c '"$0" script "$1" | grep -Eq "^[0-9.]+ cpu[0-9]+ [^ ]+ counts page-faults=[0-9]+ context-switches=1 task-clock=[0-9]+ seq=1$"' \
	"$W" "$TMP/own.data"
# ---- the machine's counting units, by perf's names ----

# The time stamp counter goes at one rate: how many ticks a thread had is its time on a CPU times that rate. perf counts the same. A slice
# whose beginning no program saw (the kernel leaves a program out while another one runs on that CPU) is told, and is not among them.
tsc() {
	"$W" record -e "$1" -o "$TMP/tsc.data" -- "$PY" -c 'print(sum(range(2000000)))' >"$TMP/out" &&
		"$W" report --json "$TMP/tsc.data" >"$TMP/tsc.json" && [ "$(wc -l <"$TMP/out")" -eq 1 ] &&
		"$PY" -c '
import json, sys
d = json.load(open(sys.argv[1]))
(t,) = d["threads"]
ticks, seen = t["counters"][sys.argv[2]]["value"], t["ledger"]["oncpu"] - t["counted"]["unknown_ns"]
with open("/proc/cpuinfo") as f:
    mhz = max(float(line.split(":")[1]) for line in f if line.startswith("cpu MHz"))
rate = ticks * 1000 / seen
print(rate, mhz)
assert t["counted"]["slices"] and 0.9 * mhz < rate < 1.1 * mhz, (ticks, seen, rate, mhz, t["counted"])' "$TMP/tsc.json" "$1"
}
if [ -e /sys/bus/event_source/devices/msr/events/tsc ] && grep -q constant_tsc /proc/cpuinfo; then
	ok_bpf "unit/event/: the time stamp counter of each thread" tsc msr/tsc/
	ok_bpf "unit/term=value/: the same" tsc msr/event=0/
	ok_bpf "the bare name of an event" tsc tsc
else
	skip "events of a counting unit" "this machine has no msr unit with a constant tsc"
fi
ok "a unit that is not there" refused "nosuch/event=1/" "no counting unit 'nosuch'"
ok "a group" refused "{cs,faults}" "groups of counters"

ok "check says what is counted for each thread" bash -c '"$0" check | grep -A3 "^counter " | grep -q "record -e"' "$W"

finish
