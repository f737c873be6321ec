#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# For guests: programs whose answer is known by design, recorded on whatever kernel this is. Each thread's classes must sum to its life
# and its counts must be the kernel's own, exactly. Its times are those of the kernel for one thread at least of a run with few
# switches: an emulated processor may stand still for milliseconds between the kernel's reading of a clock and ours, so those
# beyond the tolerance must be so in three runs.
# shellcheck source=tests/lib.sh disable=SC2317,SC2016 # functions are called through ok; single quotes are for the inner shell
. "$(dirname "$0")/../lib.sh"

# recorded "CONDITION" WORK...: CONDITION is Python, of the report d, of its threads' classes in ns summed up (all), and of the time
# audits (times: "ok" or "differs" each).
recorded() {
	not_lost recorded_once "$@"
}

recorded_once() {
	local condition=$1
	shift
	rm -f "$TMP/k.data"
	timeout 100 "$W" record -o "$TMP/k.data" -- "$PROGS/known" "$@" >"$TMP/out" 2>&1 || {
		cat "$TMP/out"
		return 1
	}
	if grep 'without BPF' "$TMP/out"; then
		return 1
	fi
	"$W" report --json "$TMP/k.data" >"$TMP/k.json" || return
	"$PY" - "$TMP/k.json" "$condition" <<'PYTHON'
import json, sys
d = json.load(open(sys.argv[1]))
all = {}
times = []
if d["lost"]["events"] or d["lost"]["missed"]:
    print("lost", d["lost"])
    sys.exit(77)
for t in d["threads"]:
    life, audit = t["end_ns"] - t["start_ns"], t["audit"]
    assert sum(t["ledger"].values()) == life, ("classes sum to", sum(t["ledger"].values()), "life", life)
    assert audit["switches"]["result"] == audit["migrations"]["result"] == "ok", audit
    for side in "voluntary", "involuntary":
        assert audit["switches"][side]["ours"] == audit["switches"][side]["kernel"], audit
    assert audit["migrations"]["ours"] == audit["migrations"]["kernel"], audit
    times.append(audit["time"]["result"])
    for name, ns in t["ledger"].items():
        all[name] = all.get(name, 0) + ns
    print(t["tid"], t["switches"], audit["time"])
print(all)
if not eval(sys.argv[2]):
    print("it is not so that", sys.argv[2])
    sys.exit(78)
PYTHON
}

ok_bpf "two hogs on one CPU: half of it is waiting, times as the kernel's" \
	recorded '"ok" in times and min(0.5 < t["ledger"]["runq_preempted"] / t["ledger"]["oncpu"] < 2 for t in d["threads"][1:])' hogs 300
ok_bpf "50 sleeps of 4 ms are sleep" \
	recorded 'all["sleep"] > 45 * 4e6 * 0.5' sleeps 50 4000
ok_bpf "4 threads and a mutex held for 4 ms, 10 times each: they wait for it" \
	recorded 'all["lock"] > 4e6 * 40' mutex 4 10 4000
ok_bpf "300 rounds of ping-pong through pipes are waits for input" \
	recorded 'all["io"] > 0 and sum(t["switches"]["voluntary"] for t in d["threads"]) > 300' pingpong 300
ok_bpf "10 children that exec: eleven lives" recorded 'len(d["threads"]) >= 11 and all["sync"] > 0' forks 10
ok_bpf "every kind of wait has its class" \
	recorded 'min(all[c] for c in ("sleep", "io", "sync", "lock", "oncpu")) > 0' waits 200

# shellcheck disable=SC2016 # expanded by the inner bash
ok "check names no probe that does not work" bash -c '! "$0" check | grep -E "^(maps|sched|klock|python|irq|sample) +no "' "$W"
finish
