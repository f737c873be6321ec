# SPDX-License-Identifier: GPL-2.0-only
"""Compares `locks` of `whyscale report --json` with progs/locks.c where a lock is handed on or its holder preempted, with what perf trace
counts, and with a kernel that tells nothing of its locks.

oracle_convoy.py CASE REPORT FACTS [BOOKS [WORD...]]: as oracle_locks.py, whose checks are used.
"""
import re
import sys
from collections import Counter

sys.dont_write_bytecode = True
from oracle import MS, check, doubts, main, read, waits
from oracle_locks import US, Found, at, contest, whole, workers


def case_handed(c):
    """
    The lock goes to the first waiter at once, while who gave it keeps the CPU that all share: that waiter has the lock and no CPU, and
    the other one waits for that. Once a round, for as long as the giver says that it went on.
    """
    contest(c, "pi_mutex", "asleep")
    f, holder = c.of("lock")[0], c.of("holder")[0]
    found = Found(at(c, f))
    kept = max(w["kept_ns"] for w in c.of("worker"))
    handed = sum(e["handed_ns"] for e in found.entries)
    check(found.convoys == holder["rounds"], "given to a waiter while another one waited on: %d times, not %d", found.convoys,
          holder["rounds"])
    most = found.wait_ns - (holder["hold_ns"] - 50 * US * holder["rounds"]) * holder["waiters"]
    check(kept - 100 * US * holder["rounds"] <= handed <= most, "given the lock, and without a CPU for %d ns: the giver kept that for %d, at most %d",
          handed, kept, most)
    check(handed <= found.doing["preempted"], "%d of %s", handed, found.doing)
    second = sum(found.holders.get(w["tid"], 0) for w in c.of("waiter"))
    check(second >= kept - 100 * US * holder["rounds"], "the first waiter held it for %d ns: %s", kept, found.holders)


def case_crowded(c):
    """Who has the lock shares its CPU with a hog: it is preempted for as long as it runs, or longer."""
    found, facts = workers(c)
    handed = sum(e["handed_ns"] for e in found.entries)
    under, ran = sum(w["under_ns"] for w in facts), sum(w["under_cpu_ns"] for w in facts)
    check(found.doing["preempted"] - handed >= 0.3 * found.wait_ns, "of %d ns of waiting the holder was preempted for %s, given: %d",
          found.wait_ns, found.doing, handed)
    if len(facts) == 2:  # while the other one waits, at most what it was without a CPU under the lock, and its way to the CPU
        out = under - ran + sum(c.of_fact(w)["ledger"]["runq_wakeup"] for w in facts)
        check(found.doing["preempted"] <= out + 2 * MS, "preempted for %d ns, under the lock for %d, of these on a CPU for %d",
              found.doing["preempted"], under, ran)
    check(found.doing["blocked"] + found.doing["asleep"] <= 0.05 * found.wait_ns, "who has it only works: %s", found.doing)


def perf_waits(path, begin, end):
    """Each thread's futex waits within these addresses that ended with 0, as `perf trace -e futex` has them."""
    ended, waiting = Counter(), set()
    for line in read(path, "").splitlines():
        call = re.search(r"/(\d+) futex\(uaddr: (0x[0-9a-f]+), op: WAIT(.*)", line)
        rest = re.search(r"/(\d+)  ?\.\.\. \[continued\]: futex\(\)\) += (-?\d+)", line)
        if call and begin <= int(call[2], 16) < end:
            done = re.search(r"\) += (-?\d+)", call[3])
            if not done:
                waiting.add(int(call[1]))
            elif done[1] == "0":
                ended[int(call[1])] += 1
        elif rest and int(rest[1]) in waiting:
            waiting.remove(int(rest[1]))
            ended[int(rest[1])] += rest[2] == "0"
    return ended


def case_perf(c):
    """
    Counted by three at once: the program, the kernel's books, and perf trace, which sees each call. A call that ended with 0 has
    blocked, but for one that was woken on its way to sleep: there is no switch then, and nobody counts those. So perf trace's number
    is a bound, and the kernel's, in workers(), is exact.
    """
    found, _ = workers(c)
    f = c.of("lock")[0]
    begin = int(f["address"], 16)
    calls = perf_waits(c.words[0], begin, begin + f["size"])
    check(calls, "perf trace saw no wait for %s", f["lock"])
    for w in c.of("waiter"):
        count = found.waiting.get(w["tid"], (0, 0))[0]
        if count > calls[w["tid"]]:  # it drops a line now and then, and does not always say so
            doubts.append("%d waited %d times for %s, perf trace saw %d" % (w["tid"], count, f["lock"], calls[w["tid"]]))
    more = sum(calls.values()) - found.waits
    if more > max(2, 0.05 * found.waits):
        doubts.append("%d waits, perf trace saw %d more" % (found.waits, more))


def case_without_klock(c):
    """As position, on a kernel without the events: no lock of the kernel, and its waits are those of the read(2) they are in."""
    whole(c)
    w, holds = c.of("waiter")[0], c.of("main")[0]
    t = c.of_fact(w)
    check(not any(e["class"] == "klock" for e in c.d["locks"]) and c.d["ledger"]["klock"] == 0, "no event tells of %s",
          [e["name"] for e in c.d["locks"]])
    check(waits(t, "io") == w["waits"] == w["calls"], "%d waits in read(2), it counted %d", waits(t, "io"), w["waits"])
    check(holds["hold_ns"] - 50 * US * holds["rounds"] <= t["ledger"]["io"] <= w["wait_ns"] + US, "%d ns in read(2), held for %d, calls of %d",
          t["ledger"]["io"], holds["hold_ns"], w["wait_ns"])


if __name__ == "__main__":
    main(globals())
