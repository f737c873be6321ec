# SPDX-License-Identifier: GPL-2.0-only
"""Compares the report of progs/gil.py with what its threads measured: wall and CPU time of each one's work.

oracle_gil.py CASE REPORT FACTS. As oracle_locks.py. A thread that only counts is on a CPU, ready for one, or waits for the
interpreter's lock: the third is what remains of its wall time.
"""
import sys
from collections import Counter

sys.dont_write_bytecode = True
from oracle import MS, check, label, main, waits
from oracle_locks import Found, need_locks, ready, shown


def gil_of(c):
    """The interpreter's lock: one line, whatever futex words it is made of."""
    entries = [e for e in c.d["locks"] if e["class"] == "gil"]
    check(len(entries) <= 1, "one interpreter, %d locks: %s", len(entries), [(e["name"], e["address"]) for e in entries])
    for e in entries:
        check(e["kind"] == "gil" and "GIL" in e["name"] and not e["shared"], "%s %s", e["kind"], e["name"])
        check(e["pid"] == c.of("main")[0]["pid"], "of process %d", e["pid"])
    return Found(entries)


def workers(c):
    need_locks(c)
    return [(f, c.of_fact(f)) for f in c.of("worker")]


def little(c, share):
    """
    Who waits for the lock waits for one who uses it for a few instructions: CPU time, of which there is little on any machine. That he has no CPU
    meanwhile is told apart, and is never more than the time for which the threads had none, once for each of the others.
    """
    did = Counter()
    for e in c.d["locks"]:
        did.update(e["holder_doing_ns"] if e["class"] == "gil" else {})
    facts = workers(c)
    check(sum(did.values()) - did["preempted"] <= sum(share * f["wall_ns"] + 10 * MS for f, _ in facts), "the interpreter's lock is waited for: %s",
          did)
    most = sum(ready(t) for t in c.threads) * (len(c.threads) - 1)
    check(did["preempted"] <= most, "its holders had no CPU for %d ns, all threads for %d, times the others", did["preempted"], most)


def idle(f, t):
    """In its work it was neither on a CPU nor ready for one, by its own clocks and the kernel's books: it waited."""
    return f["wall_ns"] - f["cpu_ns"] - f["delay_ns"] - t["audit"]["time"]["steal_ns"]


def case_count(c):
    facts, gil = workers(c), gil_of(c)
    check(gil.entries, "nobody waits for the interpreter's lock: %s", [(e["kind"], e["name"], e["wait_ns"]) for e in c.d["locks"]])
    for f, t in facts:
        least = idle(f, t) - t["ledger"]["untracked"] - 0.02 * f["wall_ns"] - 3 * MS
        # before it begins to measure, and after, it waits for the lock too; its CPU time is the kernel's, and agrees as the audit does
        most = t["end_ns"] - t["start_ns"] - f["cpu_ns"] + t["audit"]["time"]["tolerance_ns"]
        check(least <= t["ledger"]["gil"] <= most, "%s waits for the lock for %d ns, not %d to %d: %s", label(t), t["ledger"]["gil"], least, most,
              t["ledger"])
        check(gil.waiting.get(t["tid"], (0, 0))[1] == t["ledger"]["gil"], "%s is not among the waiters: %s", label(t), gil.waiting)
        check(t["ledger"]["lock"] <= 0.02 * f["wall_ns"], "%s: other locks: %s", label(t), t["ledger"])
        # who has the lock is blamed, never by more than the others waited
        blamed, others = gil.holders.get(t["tid"], 0), gil.wait_ns - t["ledger"]["gil"]
        check(0 < blamed <= others, "%s is blamed for %d ns, the others waited %d", label(t), blamed, others)
    check(shown(gil) >= 0.9 * gil.wait_ns, "who had it is known: %s, free for %d, of %d ns, %d events missed", gil.holders,
          gil.doing["free"], gil.wait_ns, c.d["lost"]["missed"])
    # who has it counts, on a CPU or, for a moment, ready for one: nothing else is done with it
    known = gil.wait_ns - gil.doing["unknown"] - gil.doing["free"]
    check(gil.doing["running"] + gil.doing["preempted"] >= 0.98 * known, "who had it counted: %s", gil.doing)
    # a waiter asks for the lock after one interval: a timed wait that ends by itself, then one that is ended by the other
    # told apart: hand-overs, switch intervals that ran out, and waits for the mutex inside
    inside = gil.entries[0]["gil"] if gil.entries else None
    if inside:
        check(inside["timeouts"] == gil.ended["timed_out"], "%d intervals ran out, %s", inside["timeouts"], gil.ended)
        # a hand-over may end no wait: who is given it has not slept yet, or what it slept in was told already
        check(inside["timeouts"] + inside["mutex_waits"] <= gil.waits and inside["handovers"] <= gil.waits, "%s in %d waits", inside, gil.waits)
        check(inside["main"] is True, "the main interpreter's: %s", inside)
    cycles = min(f["wall_ns"] for f, _ in facts) // (4 * c.of("main")[0]["interval_ns"] * len(facts))
    check(min(gil.ended["timed_out"], gil.ended["woken"]) >= cycles, "at least %d cycles: %s", cycles, gil.ended)
    check(not inside or inside["handovers"] >= cycles, "at least %d hand-overs: %s", cycles, inside)


def case_alone(c):
    gil_of(c)
    little(c, 0)


def case_hash(c):
    """They hash at the same time: each is on a CPU or ready for one in nearly all of its work."""
    gil_of(c)
    little(c, 0.1)
    for f, t in workers(c):
        check(idle(f, t) <= 0.1 * f["wall_ns"] + 10 * MS + t["ledger"]["gil"], "%s hashes: off its CPU for %d ns of %d: %s", label(t), idle(f, t),
              f["wall_ns"], t["ledger"])


def case_interpreters(c):
    little(c, 0.1)


def case_sleep(c):
    gil_of(c)
    little(c, 0)
    for f, t in workers(c):
        check(waits(t, "sleep") == f["sleeps"] or not c.whole, "%s slept %d times, not %d", label(t), waits(t, "sleep"), f["sleeps"])
        least = idle(f, t) - t["ledger"]["gil"] - 0.02 * f["wall_ns"]
        check(t["ledger"]["sleep"] >= least, "%s sleeps for %d ns, not %d: %s", label(t), f["wall_ns"], least, t["ledger"])


def held_meanwhile(f, facts):
    """For how long others had the lock, from when this one wanted it until it had it."""
    return sum(max(0, min(f["got_ns"], o["left_ns"]) - max(f["call_ns"], o["got_ns"])) for o, _ in facts if o is not f)


def case_mutex(c):
    """One after the other has the lock for 50 ms, in which all others want it: whoever neither has a CPU nor is ready for one waits for it."""
    little(c, 0)
    facts = sorted(workers(c), key=lambda pair: pair[0]["got_ns"])
    for nr, (f, t) in enumerate(facts):
        held = held_meanwhile(f, facts)
        check(held >= 50 * MS * nr, "%s is the %d. and others had the lock for %d ns before", label(t), nr + 1, held)
        least = held - f["got_cpu_ns"] - f["got_delay_ns"] - t["ledger"]["gil"] - t["audit"]["time"]["steal_ns"] - MS
        waited = t["ledger"]["sync"] + t["ledger"]["lock"]
        check(waited >= least, "%s waits for %d others, %d ns: %s", label(t), nr, least, t["ledger"])
        listed = sum(w["wait_ns"] for e in c.d["locks"] for w in e["waiting"] if w["tid"] == t["tid"] and e["class"] != "gil")
        check(listed >= least, "%s waits for %d others, the locks have %d ns of %d", label(t), nr, listed, least)


if __name__ == "__main__":
    main(globals())
