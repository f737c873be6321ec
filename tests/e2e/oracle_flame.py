#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Compares folded stacks with what is known: flame.sh. Exits with 0; with 1 and a sentence; with 78 if it may be by chance.

  shares FOLDED TRUTH PATH     each function's share of the time under all functions of TRUTH ("NAME NS" lines) is the true one within
                               2 points; PATH, "main;work", is what stands right above each of them
  time FOLDED TRUTH TOLERANCE  each function's time is that of TRUTH, within the share TOLERANCE
  total FOLDED REPORT MODE     the sum of all stacks is the ledger's (report --json): MODE is on, off, wake or lock
  whole FOLDED FROM LEAF SHARE of the time in stacks with the frame LEAF (a pattern), at least SHARE is in those that have FROM before it;
                               not of what was not captured
  perf FOLDED SCRIPT NAME...   the shares of functions among NAME..., against those in the output of perf script
"""
import fnmatch
import json
import re
import sys


def stacks(path):
    """[frames], ns of each line."""
    with open(path, encoding="utf-8", errors="replace") as lines:
        for line in lines:
            stack, ns = line.rstrip("\n").rsplit(" ", 1)
            yield stack.split(";"), int(ns)


def truth(path):
    found = {}
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            words = line.rsplit(None, 1)
            if len(words) == 2 and words[1].isdigit():
                found[words[0]] = found.get(words[0], 0) + int(words[1])
    if not found:
        sys.exit("the program told nothing")
    return found


def bare(frame):
    """A function's name without the file and line behind it."""
    return re.sub(r" \([^()]*:\d+\)$", "", frame)


def time_of(folded, names):
    """ns in stacks with each name, at its outermost place; the same stack counts once for a name."""
    found = dict.fromkeys(names, 0)
    for frames, ns in stacks(folded):
        for name in {bare(frame) for frame in frames} & set(names):
            found[name] += ns
    return found


def compare_shares(got, expected, what):
    total, true_total = sum(got.values()), sum(expected.values())
    print(what, {name: round(ns / total, 4) for name, ns in got.items()} if total else got,
          {name: round(ns / true_total, 4) for name, ns in expected.items()})
    if not total:
        sys.exit("none of these functions is in the graph")
    for name in expected:
        if abs(got[name] / total - expected[name] / true_total) > 0.02:
            print(f"{name}: {got[name] / total:.3f}, truly {expected[name] / true_total:.3f}")
            sys.exit(78)


def shares(folded, facts, path):
    expected = truth(facts)
    above = path.split(";") if path else []
    compare_shares(time_of(folded, expected), expected, "shares")
    for frames, ns in stacks(folded):
        names = [bare(frame) for frame in frames]
        for name in expected:
            at = names.index(name) if name in names else 0
            if at and names[max(at - len(above), 0):at] != above:
                sys.exit(f"{';'.join(frames)} {ns}: {path} is not right above {name}")


def times(folded, facts, tolerance):
    expected = truth(facts)
    got = time_of(folded, expected)
    print(got, expected)
    for name, ns in expected.items():
        if abs(got[name] - ns) > float(tolerance) * ns:
            print(f"{name}: {got[name]} ns, truly {ns} ns")
            sys.exit(78)


def total(folded, report, mode):
    with open(report, encoding="utf-8") as f:
        ledger = json.load(f)["ledger"]
    waits = [c for c in ledger if c not in ("oncpu", "untracked")]
    classes = {"on": ["oncpu"], "lock": ["lock", "gil", "klock"]}.get(mode, waits)
    expected, got = sum(ledger[c] for c in classes), sum(ns for _, ns in stacks(folded))
    print(got, expected)
    if got != expected:
        sys.exit(f"the graph's total is {got} ns, the ledger's {expected} ns")


def whole(folded, first, leaf, share):
    inside = reached = 0
    for frames, ns in stacks(folded):
        if "[stack not captured]" in frames:
            continue
        names = [bare(frame) for frame in frames]
        at = [i for i, name in enumerate(names) if fnmatch.fnmatchcase(name, leaf)]
        if at:
            inside += ns
            if first in names[:at[0]]:
                reached += ns
    print(f"{reached} of {inside} ns")
    if not inside or reached < float(share) * inside:
        sys.exit(f"{leaf} is reached from {first} in {reached} of {inside} ns")


def perf(folded, script, *names):
    counts = dict.fromkeys(names, 0)
    with open(script, encoding="utf-8", errors="replace") as f:
        for sample in f.read().split("\n\n"):
            inside = {re.sub(r"\+0x[0-9a-f]+$", "", line.split()[1]) for line in sample.split("\n")
                      if re.match(r"\s+[0-9a-f]+ \S", line)}
            for name in inside & set(names):
                counts[name] += 1
    if sum(counts.values()) < 300:
        sys.exit(f"perf saw too little: {counts}")
    compare_shares(time_of(folded, names), counts, "against perf")


def main():
    command, args = sys.argv[1], sys.argv[2:]
    {"shares": shares, "time": times, "total": total, "whole": whole, "perf": perf}[command](*args)


main()
