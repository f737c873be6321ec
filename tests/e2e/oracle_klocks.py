# SPDX-License-Identifier: GPL-2.0-only
"""Compares the report's locks of the kernel with a program that knows who had them and for how long: progs/klocks.c.

oracle_klocks.py CASE REPORT FACTS [BOOKS [WORD...]]: as oracle_locks.py, whose checks are used.
"""
import re
import sys
from collections import Counter

sys.dont_write_bytecode = True
from oracle import MS, check, main
from oracle_locks import Found, check_held, check_waiter, need_locks, whole


def klocks_of(c, tid):
    return Found([e for e in c.d["locks"] if e["class"] == "klock" and any(w["tid"] == tid for w in e["waiting"])])


def case_position(c):
    """A mutex in the kernel; its holder sleeps in a page fault that is answered late."""
    whole(c)
    w, main_, holder = c.of("waiter")[0], c.of("main")[0], c.of("holder")[0]
    t, found = c.of_fact(w), klocks_of(c, w["tid"])
    check(len(found.entries) == 1, "it waited for one lock of the kernel: %s", [e["name"] for e in found.entries])
    check_held(w, main_, check_waiter(c, w, found))
    check(t["ledger"]["io"] <= 5 * MS, "it waits for the lock, not for the file: %s", t["ledger"])
    check(found.ended["woken"] == found.waits, "ended %s", found.ended)
    check(found.first_holder() == holder["tid"], "%d held it: %s", holder["tid"], found.holders)
    check_kernel_name(c, found, "fdget_pos")
    spun = spins_of(c, found)
    check([s["count"] for s in spun] == [w["calls"]], "each of %d calls found it taken once: %s", w["calls"], spun)


def spins_of(c, found):
    """What is said of time spent spinning for a lock: it lies on a CPU, never in a wait."""
    spun = [s for s in c.d["klock_spins"] if s["address"] in [e["address"] for e in found.entries]]
    for s in spun:
        check(s["count"] >= 1 and s["oncpu_ns"] <= c.d["ledger"]["oncpu"], "spun %s, on a CPU for %d", s, c.d["ledger"]["oncpu"])
    return spun


def check_kernel_name(c, found, *callers):
    """By the function that called for it, as no kernel's symbols have every lock."""
    for e in found.entries:
        check(any(name in e["name"] for name in callers), "%r does not name %s", e["name"], callers)


def perf_counts(c, tids):
    """How often these threads found a lock taken, by address, as perf recorded it."""
    calls = Counter()
    for line in open(c.words[0], encoding="utf-8"):
        m = re.match(r" *(\d+) +lock:contention_end: +(0x[0-9a-f]+) \(ret=0\)", line)
        if m and int(m[1]) in tids:
            calls[m[2]] += 1
    return calls


def case_position_perf(c):
    """The same by perf's record of the contention events: that lock's address, and how often the waiter found it taken."""
    whole(c)
    w = c.of("waiter")[0]
    found, calls = klocks_of(c, w["tid"]), perf_counts(c, {w["tid"]})
    spun = spins_of(c, found)
    check(spun and len(found.entries) == 1 and [calls[s["address"]] for s in spun] == [s["count"] for s in spun],
          "perf has %s for the waiter, we %s of %s", dict(calls), spun, [e["address"] for e in found.entries])


def case_mmap_perf(c):
    """The same for a lock for which one call may sleep several times: whoever is woken may find that another one was faster."""
    whole(c)
    w = c.of("waiter")[0]
    found, calls = klocks_of(c, w["tid"]), perf_counts(c, {t["tid"] for t in c.threads})
    spun = spins_of(c, found)
    if not w["waits"]:
        print("it never had to block")
        sys.exit(77)
    check(spun and [calls[s["address"]] for s in spun] == [s["count"] for s in spun], "perf has %s, we %s of %s", dict(calls), spun,
          [e["address"] for e in found.entries])


def case_mmap(c):
    """The address space's lock. The number of waits is not known before; a call spins, too."""
    need_locks(c)
    w = c.of("waiter")[0]
    if not w["waits"]:
        print("it never had to block")
        sys.exit(77)
    t, found = c.of_fact(w), klocks_of(c, w["tid"])
    check_waiter(c, w, found, 0)
    check(t["ledger"]["klock"] <= w["wait_ns"] + MS, "blocked on the kernel's locks for %d ns, its calls took %d", t["ledger"]["klock"],
          w["wait_ns"])
    check(found.first_holder() == c.of("filler")[0]["tid"], "the filler held it: %s", found.holders)
    check_kernel_name(c, found, "mmap", "munmap")
    spins_of(c, found)


if __name__ == "__main__":
    main(globals())
