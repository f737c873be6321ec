#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# For a guest whose processor counts instructions (scripts/guest -i, arm64, one CPU): each takes 4 ns there, and a cycle is 1 ns, so there
# are 0.25 instructions in each cycle, whatever runs. A program whose instructions are known is counted, each thread of it; and the same
# work with half as many more of them is inflation that is put down to them.
# shellcheck source=tests/lib.sh disable=SC2317 # functions are called through ok
. "$(dirname "$0")/../lib.sh"

"$W" check >"$TMP/check"
if ! grep -q '^hardware counters *yes: .*instructions' "$TMP/check"; then
	skip "instructions" "$(grep '^hardware counters' "$TMP/check" | tr -s ' ')"
	finish
fi
TURNS=20000000

counted() {
	"$W" record -e instructions,cycles,instructions:u -o "$TMP/p.data" -- "$PROGS/turns" "$TURNS" 2 2>"$TMP/notes" || return
	cat "$TMP/notes"
	"$W" report --json "$TMP/p.data" >"$TMP/p.json" || return
	"$PY" - "$TMP/p.json" "$TURNS" <<'PYTHON'
import json, sys
d, turns = json.load(open(sys.argv[1])), int(sys.argv[2])
assert not d["lost"]["events"], d["lost"]
loops = 0
for t in d["threads"]:
    c = {name: one["value"] for name, one in t["counters"].items()}
    print(t["tid"], c, t["ledger"]["oncpu"])
    if c["cycles"] > 1e6:
        assert abs(c["instructions"] / c["cycles"] - 0.25) < 0.01, "each takes 4 cycles"
    assert c["instructions:u"] <= c["instructions"], "no more in user space than at all"
    if t["tid"] != t["tgid"]:
        loops += 1
        # two threads divide 1.5 times the turns, of two instructions each
        mine = 2 * turns * 1.5 / 2
        assert mine <= c["instructions:u"] < 1.01 * mine, (c, mine)
        # and what the kernel does for it meanwhile
        assert mine <= c["instructions"] < 1.2 * mine, (c, mine)
assert loops == 2, loops
all = d["counters"]
for name in all:
    assert all[name]["value"] == sum(t["counters"][name]["value"] for t in d["threads"]), name
PYTHON
}
ok_bpf "instructions are counted for each thread, those in user space to 1 %" counted

shown() {
	"$W" report --counters "$TMP/p.data" >"$TMP/text" || return
	cat "$TMP/text"
	grep -q 'instructions.*per cycle' "$TMP/text" && grep -E '^turns .* 0\.25' "$TMP/text"
}
ok_bpf "... and for each cycle, in the report" shown

# A curve of the same work that takes more instructions.
swept() {
	"$W" sweep -n 1,2 --json -- "$PROGS/turns" "$TURNS" '{n}' >"$TMP/s.json" 2>"$TMP/err" || { cat "$TMP/err"; return 1; }
	"$PY" - "$TMP/s.json" <<'PYTHON'
import json, sys
d = json.load(open(sys.argv[1]))
p = {p["n"]: p for p in d["points"]}[2]
split = p["inflation_split"]
print(json.dumps(split), p["stack"])
total, more, ipc = split["total_ns"], split["instructions"], split["ipc"]
assert more and ipc and not more["estimate"] and not ipc["estimate"], split
assert total == sum(one["ns"] for one in split.values() if isinstance(one, dict) and "ns" in one), split
# half as many more: all of the inflation is that, and none is fewer instructions per cycle
assert 0.9 * total < more["ns"] < 1.1 * total, split
assert abs(ipc["ns"]) < 0.1 * total, split
PYTHON
}
ok_bpf "half as many instructions more: that is what the inflation is put down to" swept
finish
