# SPDX-License-Identifier: GPL-2.0-only
"""Checks the parallelism of `whyscale report --json` against a plain walk over `whyscale script --monotonic`, and against the program.

oracle_parallelism.py CASE REPORT SCRIPT FACTS: exit status 0, or an assertion. 77: events were lost.
"""
import json
import re
import sys

case, report, script, facts = sys.argv[1:5]
d = json.load(open(report, encoding="utf-8"))
p = d["parallelism"]
facts = [json.loads(line) for line in open(facts, encoding="utf-8")]
if d["lost"]["events"]:
    print("events were lost")
    sys.exit(77)

# ---- sums, exactly ----
wall = d["wall_ns"]
assert p["wall_ns"] == wall, (p["wall_ns"], wall)
for key in "running_ns", "ready_ns", "active_ns":
    assert sum(p[key]) == wall, key
assert p["busy_ns"] == wall - p["running_ns"][0]
assert sum(t["criticality_ns"] for t in p["threads"]) == p["busy_ns"]
assert sum(t["running_ns"] for t in p["threads"]) == p["running_sum_ns"]
assert p["running_sum_ns"] == d["ledger"]["oncpu"], (p["running_sum_ns"], d["ledger"])
assert sum(k * ns for k, ns in enumerate(p["running_ns"])) == p["running_sum_ns"]
ready = d["ledger"]["runq_preempted"] + d["ledger"]["runq_wakeup"]
seen = sum(k * ns for k, ns in enumerate(p["ready_ns"]))
assert seen == ready, (seen, ready)
assert p["exact"] and (p["untracked_ns"] > 0) == (d["ledger"]["untracked"] > 0), (p["untracked_ns"], d["ledger"])
for t in p["threads"]:
    own = [x for x in d["threads"] if x["serial"] == t["serial"]][0]
    assert t["running_ns"] == own["ledger"]["oncpu"], (t, own)

# ---- the walk: who is on which CPU, by the switches alone ----
ours = {t["tid"] for t in d["threads"]}
begin, end = d["begin_ns"], d["begin_ns"] + wall
running, edges = {}, []
for line in open(script, encoding="utf-8"):
    m = re.match(r"(\d+)\.(\d{9}) cpu(\d+) .* switch prev=\S*/(\d+) next=\S*/(\d+) ", line)
    if m:
        at = int(m[1]) * 1000000000 + int(m[2])
        edges.append((at, int(m[3]), int(m[4]), int(m[5])))
assert edges, "no switch in the script"
# a switch that came to no probe is in the ledger, by the kernel's books, and not in the script: then the walk cannot be right
missed = d["lost"]["missed"] > 0
profile, critical = {}, dict.fromkeys(ours, 0.0)
now = begin
for at, cpu, prev, following in edges + [(end, None, None, None)]:
    at = min(max(at, begin), end)
    if at > now:
        on = [t for t in running.values() if t in ours]
        profile[len(on)] = profile.get(len(on), 0) + at - now
        for tid in on:
            critical[tid] += (at - now) / len(on)
        now = at
    if cpu is not None:
        running[cpu] = following
for k, ns in enumerate(p["running_ns"] if not missed else []):
    # the command's first thread ran already when its life began, with its exec: the walk sees it from its next switch on
    assert abs(profile.get(k, 0) - ns) <= 0.01 * wall + 2000000, (k, profile, p["running_ns"])
for t in p["threads"]:
    if t["running_ns"] > 10000000 and not missed:
        assert abs(critical[t["tid"]] - t["criticality_ns"]) <= 0.01 * wall + 2000000, (t, critical)

# ---- the program ----
by = {t["tid"]: t for t in p["threads"]}
workers = [f for f in facts if f["role"] == "worker"]
pop = p["pop"]
if case == "imbalance":
    own = sorted(f["cpu_ns"] for f in workers)
    # main made the two and waited: a coordinator
    assert pop["workers"] == 2 and pop["coordinators"] == 1, pop
    balance = sum(own) / 2 / own[1]
    assert abs(pop["load_balance"] - balance) < 0.02, (pop, balance)
    assert abs(balance - 0.5 / 0.9) < 0.01, balance  # 90 and 10, by design
    assert abs(pop["communication_efficiency"] - own[1] / wall) < 0.03, (pop, own, wall)
    assert abs(pop["parallel_efficiency"] - pop["load_balance"] * pop["communication_efficiency"]) < 1e-9
    light, heavy = sorted((by[f["worker"]] for f in workers), key=lambda t: t["running_ns"])
    # the lighter one shared each moment with the heavier one, or had it alone: between half of its time and all of it
    assert 0.49 * light["running_ns"] <= light["criticality_ns"] <= light["running_ns"], light
    # and the heavier one is what the run hung on: at the least what the other one cannot have shared
    assert heavy["criticality_ns"] >= heavy["running_ns"] - light["running_ns"] / 2 - 1000, (heavy, light)
    assert p["threads"][0]["tid"] == heavy["tid"]
elif case == "oversubscribed":
    # while the eight live, at most one of them runs, on the one CPU that they have; main waits
    assert sum(p["running_ns"][3:]) == 0 and p["running_ns"][1] > 0.5 * p["busy_ns"], p["running_ns"]
    t0 = max(f["begin_ns"] for f in workers)
    span = min(f["end_ns"] for f in workers) - t0
    many = sum(p["ready_ns"][7:])
    # seven ready, or all eight while another program has the CPU
    assert 0.9 * span <= many <= wall, (many, span)
elif case == "spawned":
    assert pop["workers"] + pop["coordinators"] == len(p["threads"]) == 1001, (pop, len(p["threads"]))
else:
    sys.exit("no such case: " + case)
