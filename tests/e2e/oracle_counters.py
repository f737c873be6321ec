#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Checks counters of threads against perf stat, getrusage and a second look at the events.

oracle_counters.py perf REPORT.json SCRIPT.txt PERF.csv NAME
    What perf stat counted for a command, recorded from outside with the same counters, and what the trace says of it.
oracle_counters.py slices REPORT.json SCRIPT.txt
    Each thread's sums are those of its slices.
oracle_counters.py faults REPORT.json FACTS
    The page faults that each thread says of itself (tests/e2e/progs/counted.c).
oracle_counters.py widths N < text
    No line is longer.
"""
import json
import sys

problems = []


def check(what, good):
    if not good:
        problems.append(what)


def fields(words):
    return dict(w.split("=", 1) for w in words if "=" in w)


def read_script(path):
    """(tid, event, {key: value}) of each line."""
    for line in open(path, encoding="utf-8"):
        words = line.split()
        tid = words[2].rsplit("/", 1)[-1]
        if tid.isdigit():
            yield int(tid), words[3], fields(words[4:])


def switches_after_exit(script, tids):
    """perf's own counter of a task ends in do_exit(); what it is switched out after that, but for the last time."""
    count = 0
    exited = set()
    for tid, event, keys in script:
        if tid not in tids:
            continue
        if event == "exit":
            exited.add(tid)
        elif event == "switch" and tid in exited and keys["state"] != "X":
            count += 1
    return count


def switches_in_exec(script, tids):
    """In execve(2), before the exec event: perf begins to count somewhere in there."""
    count = 0
    begun = set()
    for tid, event, keys in script:
        if tid not in tids:
            continue
        if event == "exec":
            begun.add(tid)
        elif event == "switch" and tid not in begun and keys.get("syscall") == "execve":
            count += 1
    return count


def against_perf(report, script, csv, name):
    perf = {}
    for line in open(csv, encoding="utf-8"):
        words = line.strip().split(",")
        if len(words) > 2 and words[0].isdigit():
            perf[words[2]] = int(words[0])
    threads = [t for t in report["threads"] if t["comm"] == name]
    check(f"no thread {name}", threads)
    if any(t["counted"]["partial"] for t in threads):
        print("a slice's beginning was not seen")
        sys.exit(78)

    # One thread has begun a program; perf counts from there on. A switch is counted in the slice that it begins, by perf in the one that it
    # ends: of the other threads, perf lacks the last one.
    switches = faults = before = 0
    for t in threads:
        c = t["counters"]
        switches += c["context-switches"]["value"] - c["context-switches"].get("before_exec", 1)
        faults += c["page-faults"]["value"] - c["page-faults"].get("before_exec", 0)
        before += c["page-faults"].get("before_exec", 0)
    tids = {t["tid"] for t in threads}
    after = switches_after_exit(read_script(script), tids)
    early = switches_in_exec(read_script(script), tids)
    print(f"perf {perf}, here {switches} switches, {after} of them after exit, {early} in execve; {faults} page faults")
    check("switches differ", 0 <= perf["context-switches"] - (switches - after) <= early)
    # perf begins in the middle of execve(2), before the program is mapped and its arguments are stored (2 or 3 faults); the exec event
    # comes after that.
    check(
        f"page-faults: perf {perf['page-faults']}, here {faults}",
        0 <= perf["page-faults"] - faults <= min(6, before),
    )


def slices(report, script):
    sums, totals = {}, {}
    for tid, event, keys in read_script(script):
        if event != "counts":
            continue
        values = {k: int(v) for k, v in keys.items()}
        if "exec" in keys:
            continue
        if "total" in keys:
            totals[tid] = values
        elif "unknown" not in keys:
            mine = sums.setdefault(tid, {"slices": 0})
            mine["slices"] += 1
            for k, v in values.items():
                mine[k] = mine.get(k, 0) + v
    checked = 0
    for t in report["threads"]:
        mine = sums.get(t["tid"])
        if not mine:
            continue
        checked += 1
        check(f"{t['tid']}: slices {mine['slices']} {t['counted']}", mine["slices"] == t["counted"]["slices"])
        for name, value in t["counters"].items():
            check(f"{t['tid']} {name}: {mine[name]} {value}", mine[name] == value["value"])
            if t["tid"] in totals:
                check(f"{t['tid']} {name}: total {totals[t['tid']][name]}", totals[t["tid"]][name] == value["value"])
    check("nothing to check", checked)
    for name, one in report["counters"].items():
        if "unavailable" not in one:
            whole = sum(t["counters"][name]["value"] for t in report["threads"])
            check(f"{name} of all {one['value']}, summed {whole}", one["value"] == whole)


def own_faults(report, facts):
    checked = 0
    for line in open(facts, encoding="utf-8"):
        tid, _, faults, _ = (int(w) for w in line.split())
        for t in report["threads"]:
            if t["tid"] != tid or t["counted"]["partial"]:
                continue
            checked += 1
            check(f"{tid}: {t['counters']['page-faults']}, itself {faults}", t["counters"]["page-faults"]["value"] == faults)
    check("nothing to check", checked)


def main(what, *args):
    if what == "widths":
        for line in sys.stdin:
            check(line, len(line.rstrip("\n")) <= int(args[0]))
    else:
        report = json.load(open(args[0], encoding="utf-8"))
        {"perf": against_perf, "slices": slices, "faults": own_faults}[what](report, *args[1:])
    for p in problems[:20]:
        print(p)
    return 1 if problems else 0


sys.exit(main(*sys.argv[1:]))
