# SPDX-License-Identifier: GPL-2.0-only
"""Compares the report of progs/gil.py with what its threads measured: wall and CPU time of each one's work.

oracle_gil.py CASE REPORT FACTS. As oracle_locks.py. A thread that only counts is on a CPU, ready for one, or waits for the
interpreter's lock: the third is what remains of its wall time.
"""
import sys

sys.dont_write_bytecode = True
from oracle import MS, check, clock, label, main, wrong
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
    """No worker waits for the lock for more than this share of its work, 10 ms, and what the others were without a CPU, perhaps with it."""
    for f, t in workers(c):
        others = sum(ready(other) for other in c.threads if other is not t)
        check(t["ledger"]["gil"] <= share * f["wall_ns"] + 10 * MS + others, "%s waits %d ns for the interpreter's lock in %d", label(t),
              t["ledger"]["gil"], f["wall_ns"])


def case_count(c):
    facts, gil = workers(c), gil_of(c)
    check(gil.entries, "nobody waits for the interpreter's lock: %s", [(e["kind"], e["name"], e["wait_ns"]) for e in c.d["locks"]])
    for f, t in facts:
        off = f["wall_ns"] - f["cpu_ns"]
        least = off - ready(t) - t["ledger"]["untracked"] - t["audit"]["time"]["steal_ns"] - 0.02 * f["wall_ns"] - 3 * MS
        # before it can begin to measure, and after, it waits for the lock too: each other thread may have it for a switch interval
        check(least <= t["ledger"]["gil"] <= off + 15 * MS * len(facts), "%s: off its CPU for %d ns, ready for %d, waits for the lock: %s", label(t), off,
              ready(t), t["ledger"])
        check(gil.waiting.get(t["tid"], (0, 0))[1] == t["ledger"]["gil"], "%s is not among the waiters: %s", label(t), gil.waiting)
        check(t["ledger"]["lock"] <= 0.02 * f["wall_ns"], "%s: other locks: %s", label(t), t["ledger"])
        # who has the lock is blamed, never by more than the others waited
        blamed, others = gil.holders.get(t["tid"], 0), gil.wait_ns - t["ledger"]["gil"]
        check(0 < blamed <= others, "%s is blamed for %d ns, the others waited %d", label(t), blamed, others)
    # A switch or wake-up that no probe saw leaves the wait it belongs to, of one interval, without a holder for each who waits then.
    unseen = c.d["lost"]["missed"] * c.of("main")[0]["interval_ns"] * (len(facts) - 1)
    check(shown(gil) >= 0.9 * gil.wait_ns - unseen, "who had it is known: %s, free for %d, of %d ns, %d events missed", gil.holders,
          gil.doing["free"], gil.wait_ns, c.d["lost"]["missed"])
    known = gil.wait_ns - gil.doing["unknown"] - gil.doing["free"]
    if gil.doing["running"] + gil.doing["preempted"] < 0.9 * known:
        text = "who had it counted: %s" % gil.doing
        # when the threads are ready most of the time, who has the mutexes inside has no CPU, and those that wait for them wake each other
        busy = sum(ready(t) for _, t in facts) > 0.5 * sum(f["wall_ns"] for f, _ in facts)
        (clock if busy else wrong).append(text)
    # a waiter asks for the lock after one interval: a timed wait that ends by itself, then one that is ended by the other
    cycles = min(f["wall_ns"] for f, _ in facts) // (4 * c.of("main")[0]["interval_ns"] * len(facts))
    check(min(gil.ended["timed_out"], gil.ended["woken"]) >= cycles, "at least %d cycles: %s", cycles, gil.ended)


def case_alone(c):
    little(c, 0)


def case_hash(c):
    little(c, 0.1)


def case_interpreters(c):
    little(c, 0.1)


def case_sleep(c):
    little(c, 0)
    for f, t in workers(c):
        check(t["ledger"]["sleep"] >= 0.9 * f["wall_ns"] - ready(t), "%s sleeps for %d ns: %s", label(t), f["wall_ns"], t["ledger"])


def case_mutex(c):
    """Each sleeps with the lock for 50 ms, one after the other."""
    little(c, 0)
    facts = sorted(workers(c), key=lambda pair: pair[0]["wall_ns"])
    for nr, (f, t) in enumerate(facts):
        waited = t["ledger"]["sync"] + t["ledger"]["lock"]
        least = 45 * MS * nr - ready(t)  # it may come late
        check(waited >= least, "%s waits for %d others, %d ns: %s", label(t), nr, waited, t["ledger"])
        listed = sum(w["wait_ns"] for e in c.d["locks"] for w in e["waiting"] if w["tid"] == t["tid"] and e["class"] != "gil")
        check(listed >= least, "%s waits for %d others, the locks have %d ns of it", label(t), nr, listed)


if __name__ == "__main__":
    main(globals())
