# SPDX-License-Identifier: GPL-2.0-only
"""Compares `locks` of `whyscale report --json` with the programs of progs/runtimes: C++, Rust, Java, Go, Python's interpreters.

oracle_runtimes.py CASE REPORT FACTS [BOOKS [WORD...]]: as oracle_locks.py, whose checks are used. Exit status 78: what a virtual machine
or a scheduler of its own does besides was in the way; it must be so each time.
"""
import os
import re
import subprocess
import sys

sys.dont_write_bytecode = True
from oracle import MS, check, doubts, label, main, missed, waits
from oracle_locks import US, Found, at, check_held, check_holders, check_symbol, check_waiter, contest, find, need_locks, ready, whole


def nm(path, *options):
    out = subprocess.run(["nm", "-S", "--defined-only", *options, path], stdout=subprocess.PIPE, text=True, check=True).stdout
    for line in out.splitlines():
        words = line.split(None, 3)
        if len(words) == 4:
            yield int(words[0], 16), int(words[1], 16), words[3]


def name_by_nm(c):
    """
    The facts call a lock what the source calls it, and so does `nm -C`, and so does the report's name of a lock. Its symbol is the linker's,
    as nm has it.
    """
    for f in c.of("lock"):
        said, place = f["lock"], f["offset"]
        raw = {name for begin, size, name in nm(f["object"]) if begin <= place < begin + size}
        nice = {re.sub("::h[0-9a-f]{16}$", "", name) for begin, size, name in nm(f["object"], "-C") if begin <= place < begin + size}
        check(nice == {said} and len(raw) == 1, "%s is at %#x of %s, where nm has %s", said, place, f["object"], nice)
        for fact in c.facts:
            if fact.get("lock") == said:
                fact["lock"], fact["written"] = min(raw, default=said), said


def by_kind(c, kind, **how):
    name_by_nm(c)
    contest(c, kind, **how)


# ---- C++ ----

def case_cxx_mutex(c):
    by_kind(c, "mutex", doing="running")


def case_cxx_class_mutex(c):
    by_kind(c, "mutex", doing="asleep")


def case_cxx_shared_mutex(c):
    by_kind(c, "rwlock")


def case_cxx_condition_variable(c):
    by_kind(c, "cond")


def case_cxx_future(c):
    """Its word lies in an allocated state, which has no symbol."""
    contest(c, "future", symbol=False)


def case_cxx_atomic_wait(c):
    """C++20 waits in templates of its headers: nothing tells what for, so it is no lock."""
    by_kind(c, "futex")


case_cxx_semaphore = case_cxx_latch = case_cxx_barrier = case_cxx_atomic_wait


def case_cxx_call_once(c):
    """pthread_once() jumps into a function that only libc's debug symbols name: with them it is `once`, without, unclassified."""
    kinds = {e["kind"] for f in c.of("lock") for e in at(c, f)}
    check(len(kinds) == 1 and kinds <= {"once", "futex"}, "kinds %s", kinds)
    by_kind(c, kinds.pop() if kinds else "once")


# ---- Rust ----

def case_rust_mutex(c):
    """No owner stands in it: who wakes the waiters is the one who had it."""
    name_by_nm(c)
    whole(c)
    f, holder = c.of("lock")[0], c.of("holder")[0]
    found = find(c, f, "mutex")
    check_symbol(f, found)
    for w in c.of("waiter"):
        check_held(w, holder, check_waiter(c, w, found))
    check(found.ended["woken"] == found.waits, "ended %s", found.ended)
    check(all(how == {"waker"} for how in found.how.values()), "nobody is written into it: %s", found.how)
    least = (holder["hold_ns"] - 50 * US * holder["rounds"]) * holder["waiters"]
    check(found.holders.get(holder["tid"], 0) >= least, "%d held it while others waited for %d ns: %s", holder["tid"], least,
          found.holders)
    check(set(found.holders) <= {holder["tid"]} | {w["tid"] for w in c.of("waiter")}, "holders %s", found.holders)


def case_rust_rwlock(c):
    by_kind(c, "rwlock")
    for f in c.of("lock"):
        how = Found(at(c, f)).how
        check(all(h == {"waker"} for h in how.values()), "nobody is written into it: %s", how)


def case_rust_condvar(c):
    by_kind(c, "cond")


def case_rust_once(c):
    by_kind(c, "once")


def case_rust_lazy(c):
    by_kind(c, "once")


def barrier_of(c, kinds):
    """A barrier of Rust's is a mutex and a condition variable: each call waits for the second once, and perhaps for the first."""
    whole(c)
    f, holder = c.of("lock")[0], c.of("holder")[0]
    entries = at(c, f)
    gate = Found([e for e in entries if e["class"] == "sync" and e["wait_ns"] >= 5 * MS])
    check({e["kind"] for e in gate.entries} == {kinds[0]} and {e["kind"] for e in entries} <= set(kinds), "kinds %s",
          [(e["kind"], e["wait_ns"]) for e in entries])
    others = sum(e["wait_ns"] for e in entries) - gate.wait_ns
    check(others <= 0.2 * gate.wait_ns, "%d ns at the barrier, %d for its mutex", gate.wait_ns, others)
    for w in c.of("waiter"):
        count, wait_ns = gate.waiting.get(w["tid"], (0, 0))
        all_ = Found(entries).waiting.get(w["tid"], (0, 0))
        kept = c.of_fact(w)["switches"]["kept"]
        check(count == w["calls"], "%d waits in %d calls", count, w["calls"])
        check(w["waits"] - kept <= all_[0] <= w["waits"], "%d waits, it counted %d", all_[0], w["waits"])
        check_held(w, holder, wait_ns)
        check(all_[1] <= w["wait_ns"] + US, "waited %d ns, its calls took %d", all_[1], w["wait_ns"])
    check(gate.holders and set(gate.holders) == {holder["tid"]}, "the late one is waited for: %s", gate.holders)
    return entries


def case_rust_barrier(c):
    name_by_nm(c)
    entries = barrier_of(c, ("barrier", "mutex"))
    check(all(e["symbol"] == c.of("lock")[0]["lock"] for e in entries), "symbols %s", [e["symbol"] for e in entries])


def parker(c, kind):
    """Where a thread parks is in memory that the library allocates: found by who waits there."""
    whole(c)
    w, holder = c.of("waiter")[0], c.of("holder")[0]
    found = Found([e for e in c.d["locks"] if any(x["tid"] == w["tid"] for x in e["waiting"])])
    check(len(found.entries) == 1, "it waited only there: %s", [(e["kind"], e["name"]) for e in found.entries])
    for e in found.entries:
        check(e["kind"] == kind and e["class"] == "sync", "a %s of class %s", e["kind"], e["class"])
    check_held(w, holder, check_waiter(c, w, found))
    check(found.waits == w["calls"] == found.ended["woken"], "%d waits, %s, in %d calls", found.waits, found.ended, w["calls"])
    check(set(found.holders) == {holder["tid"]}, "who unparks it is waited for: %s", found.holders)


def case_rust_park(c):
    parker(c, "park")


def no_lock(c):
    """Without symbols nothing tells a mutex of Rust's from a condition variable: then it is not called a lock."""
    for f in c.of("waiter"):
        check(c.of_fact(f)["ledger"]["lock"] == 0, "a lock by guess: %s", [(e["kind"], e["name"]) for e in c.d["locks"]])
    for f in c.of("lock"):
        for e in at(c, f):
            check(f["offset"] <= e["offset"] < f["offset"] + f["size"], "offset %s in %s", e["offset"], e["object"])
            check(os.path.basename(f["object"]) in e["name"] and e["symbol"] is None, "name %r", e["name"])


def case_stripped_any(c):
    contest(c, "futex", symbol=False)
    no_lock(c)


def case_stripped_mutex(c):
    """Not known as a lock, so each wait is only known by who ended it: the first waiter in the queue ends the other one's."""
    whole(c)
    f, holder = c.of("lock")[0], c.of("holder")[0]
    found = find(c, f, "futex")
    check(found.ended["woken"] == found.waits, "ended %s", found.ended)
    for w in c.of("waiter"):
        check_held(w, holder, check_waiter(c, w, found))
    least = holder["hold_ns"] - 50 * US * holder["rounds"]
    check(found.holders.get(holder["tid"], 0) >= least, "%d let the first of them go after %d ns: %s", holder["tid"], least, found.holders)
    no_lock(c)


def case_stripped_barrier(c):
    barrier_of(c, ("futex",))
    no_lock(c)


def case_stripped_park(c):
    parker(c, "futex")
    no_lock(c)


# ---- runtimes ----

def check_runtime(c, name, wakers=None):
    """
    The waits of one thread inside its language's runtime. Before its first call, and between its calls, it may have waited, too: it
    says how often, since when, and how long at most. Only the words at which somebody has waited for long are its own: a runtime has inner locks, for microseconds.
    """
    whole(c)
    w, holder = c.of("waiter")[0], c.of("holder")[0]
    t = c.of_fact(w)
    mine = [e for e in c.d["locks"] if {x["tid"] for x in e["waiting"]} == {w["tid"]} and e["wait_ns"] >= 10 * MS]
    found, process = Found(mine), {x["tid"] for x in c.threads if x["tgid"] == w["pid"]}
    check(mine, "it waited nowhere: %s", [(e["kind"], e["name"], e["wait_ns"]) for e in c.d["locks"]])
    for e in mine:
        check(e["kind"] == "runtime" and e["class"] == "sync", "a %s of class %s", e["kind"], e["class"])
        check(e["name"].startswith("%s runtime (" % name), "name %r", e["name"])
    early_ns = w["begin_ns"] - t["start_ns"] + w.get("between_ns", 0)
    kept = t["switches"]["kept"] + missed(t)
    inner = sum(x["waits"] for e in c.d["locks"] if e not in mine for x in e["waiting"] if x["tid"] == w["tid"])
    if not max(w["calls"], w["waits"] - kept - inner) <= found.waits <= w["waits"] + w["before"]:
        doubts.append("%s waited %d times and %d for inner locks, it counted %d, and %d before"
                     % (label(t), found.waits, inner, w["waits"], w["before"]))
    check(found.wait_ns <= w["wait_ns"] + early_ns + US, "%s waited %d ns, its calls took %d", label(t), found.wait_ns, w["wait_ns"])
    least = w["wait_ns"] - w["wait_cpu_ns"] - ready(t) - 20 * US * w["waits"] - 200 * US
    check(found.wait_ns >= least, "%s waited %d ns, by its own clocks at least %d", label(t), found.wait_ns, least)
    check_held(w, holder, found.wait_ns)
    check(t["ledger"]["lock"] <= MS and t["ledger"]["sync"] >= found.wait_ns, "%s: %s", label(t), t["ledger"])
    allowed = {holder["tid"]} if wakers == "holder" else process
    check(holder["tid"] in found.holders or wakers != "holder", "not woken by %d: %s", holder["tid"], found.holders)
    if found.waits > w["calls"] and not set(found.holders) <= allowed:  # what the runtime waits for by itself, it is woken from by itself
        doubts.append("%d waits in %d calls, woken by %s, not %s" % (found.waits, w["calls"], found.holders, allowed))
    else:
        check(found.holders and set(found.holders) <= allowed, "woken by %s, not %s", found.holders, allowed)
    return found, w


def case_java_monitor(c):
    """A monitor is waited for in pieces: of limited time, again and again, so that nobody is forgotten."""
    found, w = check_runtime(c, "Java", "holder")
    check(found.ended["woken"] + found.ended["timed_out"] == found.waits and found.ended["woken"], "ended %s", found.ended)


def case_java_wait(c):
    found, w = check_runtime(c, "Java", "holder")
    if not found.waits == found.ended["woken"] == w["calls"]:
        doubts.append("%d calls, %d waits, ended %s" % (w["calls"], found.waits, found.ended))


case_java_park = case_java_wait


def case_go(c):
    """Any thread of the program may run the scheduler that wakes the one whose turn it is."""
    found, w = check_runtime(c, "Go")
    check(found.ended["woken"] == found.waits, "ended %s", found.ended)
    check(all(e["symbol"] == "runtime.m0" for e in found.entries), "the first thread's: %s", [e["symbol"] for e in found.entries])


# ---- interpreters with locks of their own ----

def case_interpreters(c):
    """
    Two threads count in the main interpreter, two in another one that has a lock of its own: each pair fights for its own.
    """
    need_locks(c)
    entries = {e["gil"]["main"]: e for e in c.d["locks"] if e["class"] == "gil"}
    check(len([e for e in c.d["locks"] if e["class"] == "gil"]) == 2 and len(entries) == 2, "two locks: %s",
          [(e["kind"], e["name"], e["address"]) for e in c.d["locks"] if e["class"] == "gil"])
    if len(entries) != 2:
        return
    check(entries[True]["name"] == "CPython %s's GIL" % c.of("main")[0]["minor"], "name %r", entries[True]["name"])
    check("interpreter's own GIL" in entries[False]["name"], "name %r", entries[False]["name"])
    for place, entry in entries.items():
        found = Found([entry])
        workers = [f for f in c.of("worker") if f["main"] == place]
        check(len(workers) == 2, "%d workers", len(workers))
        for f in workers:
            check_counter(c, f, workers, found, sum(w["wait_ns"] for w in entries[not place]["waiting"] if w["tid"] == f["tid"]))
        least = 0.6 * found.wait_ns
        had = sum(found.holders.get(f["tid"], 0) for f in workers)
        check(had >= least, "who had it is known: %s of %d ns", found.holders, found.wait_ns)
        cycles = min(f["wall_ns"] for f in workers) // (4 * c.of("main")[0]["interval_ns"] * len(workers))
        check(min(found.ended["timed_out"], found.ended["woken"]) >= max(1, cycles // 2), "at least %d cycles: %s", cycles // 2,
              found.ended)


def check_counter(c, f, workers, found, other_ns):
    """On a CPU, ready for one, or waiting for its own interpreter's lock; as good as never for the other's."""
    t = c.of_fact(f)
    gil_ns = found.waiting.get(f["tid"], (0, 0))[1]
    off = f["wall_ns"] - f["cpu_ns"]
    least = off - ready(t) - t["ledger"]["untracked"] - t["audit"]["time"]["steal_ns"] - 0.02 * f["wall_ns"] - 3 * MS
    check(least <= gil_ns <= off + 15 * MS * len(workers), "%s: off its CPU for %d ns, ready for %d, waits for its interpreter's lock for %d", label(t),
          off, ready(t), gil_ns)
    check(other_ns <= 0.02 * f["wall_ns"] + 10 * MS, "%s waits for the other interpreter's lock for %d ns", label(t), other_ns)
    blamed, others = found.holders.get(f["tid"], 0), found.wait_ns - gil_ns
    check(0 < blamed <= others, "%s is blamed for %d ns, the others waited %d", label(t), blamed, others)
    check(t["ledger"]["lock"] <= 0.02 * f["wall_ns"], "%s: other locks: %s", label(t), t["ledger"])


if __name__ == "__main__":
    main(globals())
