# SPDX-License-Identifier: GPL-2.0-only
"""Compares `locks` of `whyscale report --json` with programs whose locks are known: progs/locks.c, lock_kinds.c and others.

oracle_locks.py CASE REPORT FACTS [BOOKS [WORD...]]: as oracle.py, whose checks are made first. Exit status 77: events were lost or missed.

The figures lie between two that the program took itself. A waiter's wait ends when it is woken, its call when it has a CPU again:

    seen blocked, until let go     <=  wait_ns  <=  wall time of the calls that blocked
    wall - CPU - run-queue time    <=  wait_ns      of these calls

and the number of waits is the kernel's own count of the voluntary switches in these calls.
"""
import os
import sys
from collections import Counter

sys.dont_write_bytecode = True
from oracle import MS, check, label, main, missed, waits, wrong

US = 1000
CLASS = {"mutex": "lock", "pi_mutex": "lock", "rwlock": "lock", "gil": "gil", "kernel": "klock"}  # else sync
WORDS = ("rwlock", "cond")  # these have several futex words, each may be a line of its own


def ready(t):
    return sum(t["ledger"][k] for k in ("runq_preempted", "runq_wakeup", "throttled"))


def steal(t):
    return t["audit"]["time"]["steal_ns"] if t["audit"]["result"] != "none" else 0


def need_locks(c):
    if "locks" not in c.d:
        sys.exit("the report has no locks")


def whole(c):
    """Exact figures can be asked for only where nothing is missing."""
    need_locks(c)
    if not wrong and not c.whole:
        print("%d events missed" % c.d["lost"]["missed"])
        sys.exit(77)


class Found:
    """The lines of one lock, added up."""

    def __init__(self, entries):
        self.entries = entries
        self.wait_ns = sum(e["wait_ns"] for e in entries)
        self.waits = sum(e["waits"] for e in entries)
        self.convoys = sum(e["convoys"] for e in entries)
        self.ended, self.doing = Counter(), Counter()
        self.waiting, self.holders, self.how = {}, {}, {}
        for e in entries:
            for w in e["waiting"]:
                old = self.waiting.get(w["tid"], (0, 0))
                self.waiting[w["tid"]] = old[0] + w["waits"], old[1] + w["wait_ns"]
            self.ended.update(e["ended"])
            self.doing.update(e["holder_doing_ns"])
            for h in e["holders"]:
                self.holders[h["tid"]] = self.holders.get(h["tid"], 0) + h["wait_ns"]
                self.how.setdefault(h["tid"], set()).add(h["how"])

    def first_holder(self):
        return max(self.holders, key=self.holders.get) if self.holders else None


def at(c, f, shared=False):
    """The lines of the lock that a fact tells the place of."""
    begin = int(f["address"], 16)
    return [e for e in c.d["locks"] if (shared or e["class"] != "klock") and e["pid"] == f["pid"] and
            begin <= int(e["address"], 16) < begin + f["size"]]


def find(c, f, kind):
    """The lock of a fact. No line, too many or another kind is wrong."""
    entries = at(c, f)
    check(entries, "no lock at %s, %s of process %d, among %s", f["address"], f["lock"], f["pid"],
          [(e["pid"], e["kind"], e["address"]) for e in c.d["locks"]])
    check(len(entries) <= (3 if kind in WORDS else 1), "%s is there %d times", f["lock"], len(entries))
    for e in entries:
        check(e["kind"] == kind and e["class"] == CLASS.get(kind, "sync"), "%s is a %s of class %s, not a %s", f["lock"], e["kind"],
              e["class"], kind)
    return Found(entries)


def check_symbol(f, found, symbol=True):
    """Named by its symbol, in that ELF file; or without one."""
    for e in found.entries:
        check(e["symbol"] == (f["lock"] if symbol else None), "%s: symbol %r", f["lock"], e["symbol"])
        if symbol:
            check(f.get("written", f["lock"]) in e["name"], "%s: name %r", f["lock"], e["name"])
        if f["object"]:
            name = os.path.basename(f["object"])
            check(e["object"] and os.path.basename(e["object"]) == name, "%s: object %r, not %s", f["lock"], e["object"], name)


def check_waiter(c, f, found, times=1):
    """A waiter's own count and clock; `times` waits for a call at the least."""
    t = c.of_fact(f)
    count, wait_ns = found.waiting.get(f["tid"], (0, 0))
    kept = t["switches"]["kept"] + missed(t)
    check(f["waits"] - kept <= count <= f["waits"] + missed(t), "%s waited %d times for %s, it counted %d", label(t), count, f["lock"], f["waits"])
    check(times == 0 or count >= times * f["calls"] - kept, "%s waited %d times for %s in %d calls", label(t), count, f["lock"],
          f["calls"])
    if missed(t):
        return wait_ns
    check(wait_ns <= f["wait_ns"] + US, "%s waited %d ns for %s, its calls took %d", label(t), wait_ns, f["lock"], f["wait_ns"])
    least = f["wait_ns"] - f["wait_cpu_ns"] - ready(t) - steal(t) - 10 * US * f["waits"] - 100 * US
    check(wait_ns >= least, "%s waited %d ns for %s, by its own clocks at least %d", label(t), wait_ns, f["lock"], least)
    return wait_ns


def check_held(f, holder, wait_ns):
    """Seen blocked by the holder, until it let go or sent a signal."""
    least = holder["hold_ns"] - 50 * US * holder["rounds"]
    check(wait_ns >= least, "%d waited %d ns for %s, it was seen blocked for %d", f["tid"], wait_ns, f["lock"], least)


def check_doing(c, holder, found, doing):
    """What the holder did while the others waited; sleep and CPU time are its own figures."""
    t, nr, did = c.of_fact(holder), holder["waiters"], found.doing
    held, cpu = holder["hold_ns"], holder["hold_cpu_ns"]
    slack = (50 * US * holder["rounds"] + US * 100) * nr
    if doing == "running":
        check(did["running"] >= cpu * nr - slack, "the holder ran for %d ns while %d waited: %s", cpu, nr, did)
        off = max(0, held - cpu - steal(t))
        check(did["preempted"] >= 0.8 * off * nr - slack, "the holder was ready, without a CPU, for %d ns while %d waited: %s", off, nr,
              did)
        check(did["running"] + did["preempted"] >= 0.95 * held * nr - slack, "the holder never slept: %s", did)
    elif doing == "asleep":
        check(did["asleep"] >= (held - cpu - ready(t) - steal(t)) * nr - slack, "the holder slept for %d ns while %d waited: %s", held - cpu,
              nr, did)
    elif doing == "blocked":
        check(did["blocked"] >= held * nr - slack, "the holder was blocked for %d ns while %d waited: %s", held, nr, did)


def check_holders(c, lock, pid, found, doing):
    holders = [h for h in c.of("holder") if h["lock"] == lock and (pid is None or h["pid"] == pid)]
    for h in holders:
        least = (h["hold_ns"] - 50 * US * h["rounds"]) * h["waiters"]
        check(found.holders.get(h["tid"], 0) >= least, "%d held %s while others waited for %d ns: %s", h["tid"], lock, least,
              found.holders)
    most = max(holders, key=lambda h: h["hold_ns"] * h["waiters"])
    # on a busy machine most of a wait may come later, when the lock is free and the one before in the queue has no CPU yet
    if most["hold_ns"] * most["waiters"] > 0.6 * found.wait_ns:
        check(found.first_holder() == most["tid"], "%d held %s for the longest: %s", most["tid"], lock, found.holders)
    kind = found.entries[0]["kind"] if found.entries else ""
    if kind != "rwlock":
        how = {"owner"} if kind in ("mutex", "pi_mutex") else {"waker"}
        check(found.how.get(most["tid"]) == how, "%d is known by %s, not %s", most["tid"], found.how.get(most["tid"]), how)
    if doing and len(holders) == 1 and found.entries:
        check_doing(c, most, found, doing)
    return holders


def contest(c, kind, doing=None, ended="woken", symbol=True, times=1, held=True, private=True, only=None):
    """A program of progs/contest.h: all of its locks, or only one."""
    whole(c)
    done = set()
    for f in c.of("lock"):
        key = f["lock"], f["pid"]
        if key in done or only and f["lock"] != only:
            continue
        done.add(key)
        found = find(c, f, kind)
        if not found.entries:
            continue
        check_symbol(f, found, symbol)
        check(not private or not any(e["shared"] for e in found.entries), "%s is of one process only", f["lock"])
        waiters = [w for w in c.of("waiter") if (w["lock"], w["pid"]) == key]
        times_of = {w["tid"]: check_waiter(c, w, found, times) for w in waiters}
        check(set(found.waiting) == set(times_of), "%s wait for %s: %s", sorted(times_of), f["lock"], sorted(found.waiting))
        if ended:
            check(found.ended[ended] == found.waits, "%d waits for %s all ended by %s: %s", found.waits, f["lock"], ended, found.ended)
        if not held:
            continue
        holders = check_holders(c, f["lock"], f["pid"], found, doing)
        if len(holders) == 1:
            for w in waiters:
                check_held(w, holders[0], times_of[w["tid"]])


# ---- mutexes ----

def case_running(c):
    contest(c, "mutex", "running")


def case_asleep(c):
    contest(c, "mutex", "asleep")


def case_two_locks(c):
    contest(c, "mutex", "asleep")
    names = [e["symbol"] for e in c.d["locks"] if e["class"] == "lock"]
    check(sorted(names) == ["lock_a", "lock_b"], "there are two: %s", names)
    # by the waiters' own clocks, as long as one of them is longer whatever of its calls was without a CPU; that the longest is first is a rule
    waiters = {w["lock"]: w for w in c.of("waiter")}
    surely = {k: w["wait_ns"] - w["wait_cpu_ns"] - ready(c.of_fact(w)) for k, w in waiters.items()}
    if surely["lock_b"] > waiters["lock_a"]["wait_ns"]:
        check(names == ["lock_b", "lock_a"], "the lock with the longer wait comes first: %s", names)
    check(not any(e["convoys"] for e in c.d["locks"]), "one waiter is no convoy")


def case_forked(c):
    contest(c, "mutex", "asleep")
    locks = [(e["pid"], e["address"]) for e in c.d["locks"] if e["class"] == "lock"]
    check(len(set(locks)) == 2 and len({a for _, a in locks}) == 1, "one address in two processes is two locks: %s", locks)


def case_nested(c):
    contest(c, "mutex", "blocked", only="lock_a")
    contest(c, "mutex", "running", only="lock_b")
    # whoever waits for the one who waits: for both locks it is the last one in the end, whose time on its CPU and without one is told
    last = [h for h in c.of("holder") if h["lock"] == "lock_b"][0]
    for e in c.d["locks"]:
        if e["class"] == "lock":
            did = {x["class"]: x["wait_ns"] for x in e["causes"] if x["tid"] == last["tid"]}
            mine = did.get("oncpu", 0) + did.get("runq_preempted", 0) + did.get("runq_wakeup", 0)
            check(mine >= last["hold_ns"] - 100 * US, "%s was waited for as %d held lock_b for %d ns: %s", e["symbol"], last["tid"],
                  last["hold_ns"], e["causes"])
            check(did.get("oncpu", 0) >= last["hold_cpu_ns"] - 100 * US, "in which it ran for %d: %s", last["hold_cpu_ns"], did)


def case_pi(c):
    contest(c, "pi_mutex", "running")
    check(not any(t["ledger"]["klock"] > MS for t in c.threads), "a futex with priority inheritance is no lock of the kernel")


def case_robust(c):
    contest(c, "mutex", private=False)  # glibc's call for it is that of a shared one


def case_rwlock(c):
    """Who writes is known from the lock, of those who read the one that leaves last, by its wake-up. Every wait has one of the two."""
    contest(c, "rwlock")
    writer, *readers = c.of("holder")
    found = Found(at(c, c.of("lock")[0]))
    check(found.how.get(writer["tid"]) == {"owner"}, "the writer is known by %s", found.how)
    for r in readers:
        check(found.how.get(r["tid"]) == {"waker"}, "%d, a reader, is known by %s", r["tid"], found.how)
    wrote = sum(found.waiting[w["tid"]][1] for w in c.of("waiter")[:2])
    check(found.holders.get(writer["tid"], 0) >= 0.9 * wrote, "the readers waited for %d ns: %s", wrote, found.holders)


def case_rwlock_readers(c):
    """Two have it at once, and the writer waits for both: the last one to leave is named, by its wake-up, and nobody as the owner."""
    whole(c)
    f, w = c.of("lock")[0], c.of("waiter")[0]
    found, last, first = find(c, f, "rwlock"), c.of("last")[0], c.of("first")[0]
    check(check_waiter(c, w, found) >= last["held_ns"] - 100 * US, "the writer was seen blocked for %d ns", last["held_ns"])
    check(found.waits == w["calls"], "%d waits in %d calls", found.waits, w["calls"])
    check(set(found.holders) == {last["tid"]}, "%d left last, %d before it: %s", last["tid"], first["tid"], found.holders)
    check(found.how[last["tid"]] == {"waker"}, "a reader is never written into it: %s", found.how)


def case_signalled(c):
    contest(c, "mutex", ended=None, times=2)
    for f in c.of("lock"):
        found = Found(at(c, f))
        check(found.ended["signal"] == found.ended["woken"] == 2, "2 rounds, each ended by a signal and a wake-up: %s", found.ended)


def case_mutex_timed(c):
    """The owner kept it for longer than each wait."""
    contest(c, "mutex", ended="timed_out", held=False)
    found, holder = Found(at(c, c.of("lock")[0])), c.of("holder")[0]
    check(found.holders.get(holder["tid"], 0) >= 0.9 * found.wait_ns, "%d held it all the time: %s", holder["tid"], found.holders)
    check(found.wait_ns >= 2 * 19 * MS, "two waits of 20 ms each: %d", found.wait_ns)


def check_count(c, w, blocked, found):
    """
    How often a thread waited is not fixed by the program, so it counts itself: w["calls"] that found the lock taken, `blocked` of these
    in which it blocked, and w["waits"] voluntary switches in them by the kernel's books. A wait is a voluntary switch, and each of them
    is a wait but those that a wake-up overtook (kept), which are counted for the thread's whole life: mostly there is none, and then the
    numbers are the same.
    """
    t, count = c.of_fact(w), found.waiting.get(w["tid"], (0, 0))[0]
    check(blocked <= w["calls"] and blocked <= w["waits"], "%s blocked in %d of %d calls, %d switches", label(t), blocked, w["calls"],
          w["waits"])
    if not t["switches"]["kept"] + missed(t):
        check(count == w["waits"], "%s waited %d times for %s, it counted %d", label(t), count, w["lock"], w["waits"])
    check(count >= blocked - t["switches"]["kept"] - missed(t), "%s waited %d times for %s, it blocked in %d calls", label(t), count,
          w["lock"], blocked)


def shown(found):
    """Of the time waited: somebody is shown to have held it, or that nobody did."""
    return sum(found.holders.values()) + found.doing["free"]


def workers(c):
    """The lock of a program whose threads all work and all wait; the facts of the workers."""
    need_locks(c)
    f, facts = c.of("lock")[0], c.of("worker")
    found = find(c, f, "mutex")
    tids = {w["tid"] for w in facts}
    blocked = {w["tid"]: w["blocked"] for w in facts}
    if found.entries:
        check_symbol(f, found)
    for w in c.of("waiter"):
        check_waiter(c, w, found, 0)
        check_count(c, w, blocked[w["tid"]], found)
    check(set(found.waiting) <= tids, "waiters %s, workers %s", sorted(found.waiting), sorted(tids))
    check(set(found.holders) <= tids, "holders %s, workers %s", sorted(found.holders), sorted(tids))
    check(shown(found) >= 0.9 * found.wait_ns, "who held it is known: %s, free for %d, of %d ns", found.holders, found.doing["free"], found.wait_ns)
    return found, facts


def case_share(c):
    found, facts = workers(c)
    if len(facts) == 2:
        for one, other in (facts, facts[::-1]):
            waited = found.waiting.get(other["tid"], (0, 0))[1]
            check(found.holders.get(one["tid"], 0) <= waited, "%d is blamed for %s ns, the only other one waited for %d", one["tid"],
                  found.holders.get(one["tid"]), waited)
    known = found.wait_ns - found.doing["unknown"]
    check(found.doing["running"] + found.doing["preempted"] >= 0.8 * known, "who held it worked: %s", found.doing)
    # the sections come one after the other
    check(sum(w["under_ns"] for w in facts) <= c.d["wall_ns"], "the sections overlap")


def case_amdahl(c):
    """
    A share s of the work under one lock, and the rest too little to fill the gaps: nobody gets on faster than the lock is free, which
    is Amdahl's limit 1/s however many there are. What the ledger says was done at once must come to that. While the host has taken the CPU of
    who has the lock, the sections' wall time goes on and their CPU time does not, and nobody gets on: the sections come one after the
    other, so this time is known, and is not the lock's.
    """
    found, facts = workers(c)
    share = int(c.d["command"].split()[-2]) / 100
    threads = [c.of_fact(w) for w in facts]
    wall = max(w["end_ns"] for w in facts) - min(w["begin_ns"] for w in facts)
    stalled = sum(w["under_ns"] - w["under_cpu_ns"] for w in facts)
    done = sum(t["ledger"]["oncpu"] - steal(t) for t in threads)
    under = sum(w["under_cpu_ns"] for w in facts)
    check(abs(under / done / share - 1) <= 0.05, "%.3f of the work was under the lock, not %.3f", under / done, share)
    speedup, limit = done / (wall - stalled), 1 / share
    check(abs(speedup / limit - 1) <= 0.05, "%d threads did the work of %.3f, the limit is %.3f", len(facts), speedup, limit)
    # who neither has a CPU nor is ready for one waits for the lock
    most = sum(w["wall_ns"] for w in facts) - sum(t["ledger"]["oncpu"] for t in threads)
    least = most - sum(ready(t) for t in threads)
    check(least - 2 * MS <= found.wait_ns <= most + 2 * MS, "waits of %d ns, not %d to %d", found.wait_ns, least, most)


def case_convoy(c):
    found, _ = workers(c)
    check(found.convoys >= 1, "the queue never empties: %d convoys", found.convoys)
    check(found.doing["asleep"] >= 0.8 * found.wait_ns, "who held it slept: %s", found.doing)


def case_spin(c):
    whole(c)
    f, spinner = c.of("lock")[0], c.of("spinner")[0]
    t = c.of_fact(spinner)
    check(spinner["waits"] == 0, "the spinner blocked %d times", spinner["waits"])
    check(not at(c, f), "a spin lock is among the locks: %s", at(c, f))
    check(t["ledger"]["lock"] == 0 and t["ledger"]["klock"] == 0, "who spins is not blocked: %s", t["ledger"])
    check(t["ledger"]["oncpu"] + ready(t) >= spinner["spun_ns"], "it spun for %d ns: %s", spinner["spun_ns"], t["ledger"])


# ---- places ----

def case_heap(c):
    contest(c, "mutex", "asleep", symbol=False)
    for f in c.of("lock"):
        check(all(f["lock"] in e["name"] for e in at(c, f)), "the name says %s: %s", f["lock"], [e["name"] for e in at(c, f)])


case_stack = case_heap


def case_stripped(c):
    contest(c, "mutex", symbol=False)
    f = c.of("lock")[0]
    for e in at(c, f):
        check(e["offset"] == f["offset"], "offset %s in %s, not %s", e["offset"], e["object"], f["offset"])
        check(os.path.basename(f["object"]) in e["name"], "name %r", e["name"])


def case_shared(c):
    """One lock of two processes, where each has an address of its own."""
    whole(c)
    entries = []
    for f in c.of("lock"):
        entries += at(c, f)
    locks = [e for e in c.d["locks"] if e["class"] == "lock"]
    check(len(locks) == len(entries) == 1, "one lock: %s", [(e["pid"], e["address"], e["name"]) for e in locks])
    found, file = Found(entries), c.of("file")[0]
    if len(entries) != 1:
        return
    for w in c.of("waiter"):
        check_waiter(c, w, found)
    check_holders(c, "shared_lock", None, found, None)
    check(entries[0]["kind"] == "mutex" and entries[0]["shared"] and entries[0]["waiters"] == 2, "%s", entries[0])
    check(found.ended["woken"] == found.waits, "ended %s", found.ended)
    name = os.path.basename(file["path"])
    check(name in str(entries[0]["object"]) and entries[0]["offset"] == file["offset"], "at %d of %s, not %s of %s", file["offset"], name,
          entries[0]["offset"], entries[0]["object"])


# ---- waits for other threads ----

def case_cond(c):
    contest(c, "cond")


def case_barrier(c):
    contest(c, "barrier")


def case_join(c):
    contest(c, "join", symbol=False, private=False)
    for f, h in zip(c.of("lock"), c.of("holder")):
        check(all("end of thread" in e["name"] and "/%d" % h["tid"] in e["name"] for e in at(c, f)), "the end of %d: %s", h["tid"],
              [e["name"] for e in at(c, f)])


def case_sem(c):
    contest(c, "semaphore")


def nobody(c):
    for f in c.of("lock"):
        found = Found(at(c, f))
        if any(found.ended[k] for k in ("timed_out", "signal")):
            check(not found.holders, "nobody was waited for, not %s", found.holders)


def case_sem_timed(c):
    contest(c, "semaphore", ended="timed_out", held=False)
    nobody(c)


def case_eintr(c):
    contest(c, "semaphore", ended="signal", held=False)
    nobody(c)


def case_changed(c):
    """Each call ends with EAGAIN, after one wait that a signal ended; the value that it then finds ends none."""
    contest(c, "futex", ended="signal", held=False)
    for w in c.of("waiter"):
        count = Found(at(c, c.of("lock")[0])).waiting.get(w["tid"], (0, 0))[0]
        check(count == w["calls"], "%d waits in %d calls", count, w["calls"])
    nobody(c)


def case_raw(c):
    contest(c, "futex", only="raw_word")
    contest(c, "futex", only="timed_word", ended="timed_out", held=False)
    contest(c, "futex", only="bitset_word", ended="timed_out", held=False)
    nobody(c)


def case_futex(c):
    contest(c, "futex")


def case_queue(c):
    """A consumer that waits for work waits for no lock. Its calls may wait for both."""
    whole(c)
    cond, mutex = c.of("lock")
    w, items = c.of("waiter")[0], c.of("producer")[0]["items"]
    t, found = c.of_fact(w), find(c, cond, "cond")
    check_symbol(cond, found)
    check(all(e["symbol"] == mutex["lock"] for e in at(c, mutex)), "the mutex is %s", [e["name"] for e in at(c, mutex)])
    count, wait_ns = found.waiting.get(w["tid"], (0, 0))
    check(w["waits"] - t["switches"]["kept"] <= count + waits(t, "lock") <= w["waits"], "%d and %d waits of %d", count, waits(t, "lock"),
          w["waits"])
    empty = c.of("consumer")[0]["empty"]
    # each time that the queue was empty, but for a wake-up that came before it slept
    check(0 < 0.8 * empty <= count, "%d waits, %d times it was empty, %d items", count, empty, items)
    least = w["wait_ns"] - w["wait_cpu_ns"] - ready(t) - t["ledger"]["lock"] - steal(t) - 10 * US * w["waits"] - 100 * US
    check(least <= wait_ns <= w["wait_ns"], "waited %d ns of %d, by its own clocks at least %d", wait_ns, w["wait_ns"], least)
    # but while the producer lost its CPU with the mutex held
    check(t["ledger"]["lock"] <= 0.05 * wait_ns + ready(c.of_fact(c.of("producer")[0])), "who waits for work waits for no lock: %s", t["ledger"])
    check(all(e["kind"] == "mutex" for e in at(c, mutex)), "%s", at(c, mutex))
    check(found.first_holder() == c.of("producer")[0]["tid"], "the producer is the one to wait for: %s", found.holders)


if __name__ == "__main__":
    main(globals())
