#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# For guests that have hardware counters (arm64: QEMU gives its processor a PMU, whose cycles are those of a clock of 1 GHz, and
# which has no event for instructions): counted for each thread, sampled, and one event that is refused.
# shellcheck source=tests/lib.sh disable=SC2317 # functions are called through ok
. "$(dirname "$0")/../lib.sh"

"$W" check >"$TMP/check"
if ! grep -q '^hardware counters *yes: .*cycles' "$TMP/check"; then
	skip "hardware counters" "$(grep '^hardware counters' "$TMP/check" | tr -s ' ')"
	finish
fi

# Counted by the processor, and by the kernel's clock: a processor that stands still stands still for both.
counted() {
	"$W" record -e cycles,instructions,page-faults -o "$TMP/p.data" -- "$PROGS/known" hogs 300 2>"$TMP/notes" || return
	cat "$TMP/notes"
	"$W" report --json "$TMP/p.data" >"$TMP/p.json" || return
	"$PY" - "$TMP/p.json" <<'PYTHON'
import json, sys
d = json.load(open(sys.argv[1]))
cycles = d["counters"]["cycles"]
assert cycles["unit"] == "cycles" and cycles["value"] == sum(t["counters"]["cycles"]["value"] for t in d["threads"]), cycles
checked = 0
for t in d["threads"]:
    mine, oncpu = t["counters"]["cycles"]["value"], t["ledger"]["oncpu"]
    print(t["tid"], mine, "cycles in", oncpu, "ns on a CPU,", t["counted"])
    if oncpu > 50e6:
        checked += 1
        assert 0.9 * oncpu < mine < 1.1 * oncpu, "a clock of 1 GHz"
assert checked == 2, "two hogs"
PYTHON
}
ok_bpf "cycles are counted for each thread, as many as its time on a CPU has" counted

# The others are counted all the same, and it is said three times: when it is recorded, in the report and in its JSON.
refused() {
	grep -q 'recorded without instructions: ' "$TMP/notes" || return
	"$PY" - "$TMP/p.json" <<'PYTHON' || return
import json, sys
counters = json.load(open(sys.argv[1]))["counters"]
print(counters)
assert counters["instructions"]["unavailable"] and "value" not in counters["instructions"]
assert counters["page-faults"]["value"] > 0
PYTHON
	"$W" report --counters "$TMP/p.data" >"$TMP/text" || return
	grep -E '^counters .*instructions unavailable' "$TMP/text" && grep '^Not counted: instructions: ' "$TMP/text"
}
ok_bpf "an event that the processor does not have is refused, and said" refused

# By cycles, not by a timer; 250 a second of the time on a CPU at the most: QEMU's PMU raises one interrupt for all the periods in
# which its processor stood still.
sampled() {
	tr -s ' \n' ' ' <"$TMP/check" | grep -q 'samples come from a timer' && return 1
	"$W" record -F 250 -o "$TMP/s.data" -- "$PROGS/known" burn 400 || return
	"$W" report --json "$TMP/s.data" >"$TMP/s.json" || return
	"$W" script "$TMP/s.data" >"$TMP/script" || return
	"$PY" - "$TMP/s.json" "$(grep -c ' calls about=sample' "$TMP/script")" <<'PYTHON' || return
import json, sys
oncpu, samples = json.load(open(sys.argv[1]))["ledger"]["oncpu"] / 1e9, int(sys.argv[2])
print(samples, "samples in", oncpu, "s on a CPU")
assert 0.1 * 250 * oncpu < samples <= 5 + 1.2 * 250 * oncpu
PYTHON
	"$W" flame --on --folded "$TMP/s.data" >"$TMP/folded" || return
	"$PY" - "$TMP/folded" <<'PYTHON'
import sys
lines = open(sys.argv[1]).read().splitlines()
inside = sum(int(l.rsplit(" ", 1)[1]) for l in lines if ";do_burn" in l)
total = sum(int(l.rsplit(" ", 1)[1]) for l in lines if ";main;" in l)
print(inside, "of", total, "ns of samples in main are in do_burn")
assert inside > 300e6 and inside > total * 0.9
PYTHON
}
ok_bpf "samples by cycles, no more than were asked for, in the function that burns" sampled
finish
