# SPDX-License-Identifier: GPL-2.0-only
"""Checks `whyscale report --json` against what a program was built to do, and against the kernel's own books.

oracle.py CASE REPORT [FACTS [BOOKS [WORD...]]]: exit status 0, or a sentence for each thing that is wrong.
FACTS are the lines of tests/e2e/progs/known.c, BOOKS the object of books.c. Exit status 77: events were lost, which leaves little to
compare; that the sums are exact is checked nevertheless. 78: nothing is wrong, but another witness disagrees.
"""
import json
import os
import sys

sys.dont_write_bytecode = True  # nothing is left in the tree
import lock_rules

CLASSES = ("oncpu runq_preempted runq_wakeup throttled lock gil klock sync io sleep stopped blocked_other "
           "untracked").split()
BLOCKED = "lock gil klock sync io sleep stopped blocked_other".split()
MS = 1000000
# In an emulated machine (scripts/guest) a processor may stand still for milliseconds between the kernel's reading of a clock and ours:
# the two differ, and neither is wrong. Classes, counts and sums are exact there too.
IN_GUEST = "WHYSCALE_GUEST" in os.environ
wrong = []
doubts = []  # what another witness says and may be wrong in: perf, which drops a line now and then, a virtual machine of another language


def check(condition, text, *args):
    if not condition:
        wrong.append(text % args)


def read(path, default):
    try:
        with open(path, encoding="utf-8") as f:
            return f.read()
    except OSError:
        return default


class Case:
    def __init__(self, argv):
        self.name = argv[0]
        self.d = json.loads(read(argv[1], ""))
        self.threads = self.d["threads"]
        self.facts = [json.loads(line) for line in read(argv[2] if len(argv) > 2 else "", "").splitlines()]
        self.books = json.loads(read(argv[3] if len(argv) > 3 else "", "null"))
        self.words = argv[4:]
        self.whole = not self.d["lost"]["missed"] and not self.d["lost"]["events"]

    def of(self, role):
        found = [f for f in self.facts if f["role"] == role]
        check(found, "no fact of %s", role)
        return found

    def thread(self, tid, at=None):
        """The thread that had this tid (at that moment)."""
        found = [t for t in self.threads if t["tid"] == tid and (at is None or t["start_ns"] <= at <= t["end_ns"])]
        if len(found) != 1:
            sys.exit("%d threads with tid %d at %s" % (len(found), tid, at))
        return found[0]

    def of_fact(self, fact):
        return self.thread(fact["tid"], fact["now_ns"])


def label(t):
    return "%r/%d" % (t["comm"], t["tid"])


def missed(t):
    return t["audit"]["switches"].get("missed", 0)


def waits(t, class_):
    return t["waits"].get(class_, {}).get("count", 0)


# ---- what holds for every report ----

def check_sums(c):
    total = dict.fromkeys(CLASSES, 0)
    for t in c.threads:
        ledger = t["ledger"]
        check(sorted(ledger) == sorted(CLASSES), "%s: classes %s", label(t), sorted(ledger))
        check(all(isinstance(v, int) and v >= 0 for v in ledger.values()), "%s: not all are counts", label(t))
        check(sum(ledger.values()) == t["end_ns"] - t["start_ns"], "%s: the ledger has %d ns, its life %d", label(t),
              sum(ledger.values()), t["end_ns"] - t["start_ns"])
        check(t["yielded_ns"] <= ledger["runq_preempted"], "%s: yielded", label(t))
        for class_ in CLASSES:
            total[class_] += ledger[class_]
    check(total == c.d["ledger"], "the whole ledger is not the sum of the threads'")
    begin, end = c.d["begin_ns"], c.d["begin_ns"] + c.d["wall_ns"]
    check(all(begin <= t["start_ns"] <= t["end_ns"] <= end for t in c.threads), "lives outside of the recording")
    serials = [t["serial"] for t in c.threads]
    check(len(set(serials)) == len(serials), "a serial is there twice")


def check_cpus(c):
    """Every CPU's time is all there; what ran on the CPUs is what the threads ran."""
    wholes = {sum(cpu[k] for k in ("idle_ns", "tracked_ns", "other_ns", "unknown_ns")) for cpu in c.d["per_cpu"]}
    check(len(wholes) <= 1, "CPUs of different lengths: %s", wholes)
    for whole in wholes:
        check(whole >= c.d["wall_ns"], "a CPU's time %d is less than the recording's %d", whole, c.d["wall_ns"])
    if c.whole:
        tracked = sum(cpu["tracked_ns"] for cpu in c.d["per_cpu"])
        # a thread that ran before the recording began is known, its CPU is not
        check(tracked == c.d["ledger"]["oncpu"] or "attached" in c.words and tracked < c.d["ledger"]["oncpu"],
              "CPUs ran threads for %d ns, threads ran for %d", tracked,
              c.d["ledger"]["oncpu"])


def check_audit(c):
    for t in c.threads:
        audit = t["audit"]
        allowed = ("ok",) if c.whole else ("ok", "missed")
        for part in ("switches", "migrations") if IN_GUEST else ("switches", "migrations", "time"):
            # who was on a CPU when the recording began and died at its next switch has no first books
            if t["ended"] and "attached" not in c.words or audit["result"] != "none":
                check(audit[part]["result"] in allowed, "%s: audit of %s: %s", label(t), part, json.dumps(audit[part]))
        if audit["result"] == "none" or missed(t):
            continue
        for kind in ("voluntary", "involuntary"):
            pair = audit["switches"][kind]
            check(pair["ours"] == pair["kernel"], "%s: %s %s", label(t), kind, pair)
    total = c.d["audit"]["time"]
    check(IN_GUEST or abs(total["difference_ns"]) <= total["tolerance_ns"] or not c.whole, "the time of all: %s", json.dumps(total))


def check_counts(c):
    """A blocking switch begins a wait, an involuntary one a time on the run queue; the last switch begins nothing."""
    for t in c.threads:
        if not t["ended"] or not c.whole or t["tid"] == c.thread_zero or "attached" in c.words:
            continue
        blocked = sum(waits(t, class_) for class_ in BLOCKED)
        # kept: about to sleep, and a signal or a wake-up came first
        check(t["switches"]["voluntary"] == blocked + t["switches"]["kept"] + 1, "%s: %d voluntary switches, %d waits, %d kept",
              label(t), t["switches"]["voluntary"], blocked, t["switches"]["kept"])
        queued = waits(t, "runq_preempted") + waits(t, "throttled")
        check(t["switches"]["involuntary"] <= queued, "%s: %d involuntary switches, %d times ready", label(t),
              t["switches"]["involuntary"], queued)


def check_latency(c):
    """Every wait for a CPU is in the latency figures."""
    total = c.d["latency"]["preempted"]["total_ns"] + c.d["latency"]["wakeup"]["total_ns"]
    ready = c.d["ledger"]["runq_preempted"] + c.d["ledger"]["runq_wakeup"]
    check(total <= ready, "latencies sum to %d ns, the run-queue classes to %d", total, ready)
    for kind in ("preempted", "wakeup"):
        lat = c.d["latency"][kind]
        check(sum(lat["log2_ns"]) == lat["count"], "the histogram of %s does not have all", kind)
        check(lat["p50_ns"] <= lat["p90_ns"] <= lat["p99_ns"] <= lat["p99_9_ns"] <= lat["max_ns"], "percentiles of %s", kind)


def check_any(c):
    check(c.d["schema"] == "whyscale.report/1", "schema %s", c.d["schema"])
    check(c.d["wall_ns"] > 0 and c.threads, "nothing recorded")
    c.thread_zero = min(c.threads, key=lambda t: t["serial"])["tid"] if c.threads else 0
    check_sums(c)
    if c.d["lost"]["events"] and not wrong:
        print("%d events lost" % c.d["lost"]["events"])
        sys.exit(77)
    check_cpus(c)
    check_audit(c)
    check_latency(c)
    if c.d["bpf"]:
        check_counts(c)
    if "locks" in c.d:
        wrong.extend(lock_rules.broken(c.d))
    cost = c.d["cost"]
    check(cost["recorder_cpu_ns"] > 0 and cost["bpf_ns"] > 0 and cost["bpf_runs"] > 0, "no cost: %s", cost)


# ---- against the kernel's books, read by others ----

def check_facts(c):
    """getrusage and schedstat of a thread, read by itself shortly before its end."""
    last = {f["tid"]: f for f in c.facts}
    for f in last.values():
        if f["role"] == "before_exec":
            continue  # it took the leader's tid since
        t = c.of_fact(f)
        voluntary = t["switches"]["voluntary"] + missed(t)
        check(f["voluntary"] < voluntary <= f["voluntary"] + 12 + missed(t),
              "%s: %d voluntary switches, it had %d before its end", label(t), voluntary, f["voluntary"])
        check(f["involuntary"] <= t["switches"]["involuntary"] + missed(t), "%s: %d involuntary switches, it had %d",
              label(t), t["switches"]["involuntary"], f["involuntary"])
        time = t["audit"]["time"]
        ours = time["oncpu_ns"]["ours"] + time["runq_ns"]["ours"] - time["steal_ns"]
        theirs = f["cpu_ns"] + f["delay_ns"]
        check(IN_GUEST or ours + time["tolerance_ns"] + 20000 >= theirs or missed(t), "%s: on-CPU + run queue %d ns, it had %d", label(t),
              ours, theirs)


def check_books(c):
    """/proc of the zombie, and getrusage(RUSAGE_CHILDREN) of its parent."""
    b = c.books
    leader = max((t for t in c.threads if t["tid"] == b["pid"] and t["tgid"] == b["pid"]), key=lambda t: t["end_ns"])
    audit = leader["audit"]
    for kind in ("voluntary", "involuntary"):
        check(audit["switches"][kind]["kernel"] == b[kind], "%s: %s switches %s, /proc says %d", label(leader), kind,
              audit["switches"][kind], b[kind])
    check(b["migrations"] < 0 or audit["migrations"]["kernel"] == b["migrations"], "migrations %s, /proc says %d",
          audit["migrations"], b["migrations"])
    check(audit["time"]["oncpu_ns"]["kernel"] == b["exec_ns"], "sum_exec_runtime %s, schedstat says %d",
          audit["time"]["oncpu_ns"], b["exec_ns"])
    check(audit["time"]["runq_ns"]["kernel"] == b["delay_ns"], "run_delay %s, schedstat says %d", audit["time"]["runq_ns"],
          b["delay_ns"])
    ours = [t for t in c.threads if t["tid"] != b["self"]]
    nr, leaders = len(ours), sum(t["tid"] == t["tgid"] for t in ours)
    total = sum(t["switches"]["voluntary"] for t in ours)
    lost = sum(missed(t) for t in ours)
    # the last switch of a thread is not in getrusage; that of a process that is reaped late is
    check(total - nr <= b["children_voluntary"] <= total + lost - (nr - leaders),
          "%d voluntary switches of %d threads in %d processes, getrusage says %d", total, nr, leaders, b["children_voluntary"])
    total = sum(t["switches"]["involuntary"] for t in ours)
    check(total - nr <= b["children_involuntary"] <= total + lost, "%d involuntary switches, getrusage says %d", total,
          b["children_involuntary"])


# ---- what each program was built to do ----

def case_burn(c):
    for f in c.of("burn"):
        t = c.of_fact(f)
        check(t["ledger"]["oncpu"] >= 0.9 * f["ms"] * MS, "on CPU for %d ns of %d ms", t["ledger"]["oncpu"], f["ms"])


def case_sleeps(c):
    for f in c.of("sleeps"):
        t = c.of_fact(f)
        check(waits(t, "sleep") == f["count"] or not c.whole, "%d sleeps, not %d", waits(t, "sleep"), f["count"])
        check(waits(t, "sleep") >= 0.8 * f["count"], "%d sleeps, not %d", waits(t, "sleep"), f["count"])
        check(t["ledger"]["sleep"] >= 0.9 * f["count"] * f["us"] * 1000, "slept %d ns", t["ledger"]["sleep"])


def case_pingpong(c):
    found = c.of("pingpong")
    check(len(found) == 2, "two players, not %d", len(found))
    rounds = found[0]["count"]
    blocked = 0
    for f in found:
        t = c.of_fact(f)
        blocked += waits(t, "io")
        check(waits(t, "io") <= rounds + 20, "%d waits for a byte in %d rounds", waits(t, "io"), rounds)
        check(f["voluntary"] - 20 <= waits(t, "io") <= f["voluntary"] + 20 or not c.whole,
              "%d waits for a byte, %d voluntary switches", waits(t, "io"), f["voluntary"])
        others = sum(t["ledger"][k] for k in BLOCKED if k not in ("io", "sync"))
        check(others <= t["ledger"]["io"] + 10 * MS, "a pipe's waits are io: %s", t["ledger"])
    # a byte is never there before the other one had the CPU: of 2N reads at least half wait, whoever is preempted when
    check(blocked >= 0.9 * rounds or not c.whole, "%d waits for a byte in %d rounds", blocked, rounds)


def case_mutex(c):
    found = c.of("mutex")
    nr, rounds, us = (found[0][k] for k in ("threads", "rounds", "us"))
    check(len(found) == nr, "%d threads, not %d", len(found), nr)
    waited = 0
    for f in found:
        t = c.of_fact(f)
        waited += t["ledger"]["sync"] + t["ledger"]["lock"]
        check(waits(t, "sleep") == rounds or not c.whole, "%d sleeps, not %d", waits(t, "sleep"), rounds)
        check(t["ledger"]["sleep"] >= 0.9 * rounds * us * 1000, "slept %d ns", t["ledger"]["sleep"])
    # the least when each one has all of its rounds in a row
    least = rounds * us * 1000 * nr * (nr - 1) // 2
    check(waited >= 0.9 * least, "waited %d ns for the lock, at least %d", waited, least)


def case_yields(c):
    seen = 0
    for f in c.of("yields"):
        t = c.of_fact(f)
        seen += t["switches"]["yields"]
        check(t["switches"]["yields"] <= f["count"] + f["more"], "%d yields of %d, switched %d times more", t["switches"]["yields"],
              f["count"], f["more"])
        others = t["switches"]["involuntary"] - t["switches"]["yields"]
        check(t["switches"]["yields"] >= f["switched"] - others - missed(t), "%d yields, %d calls had a switch, %d others were seen",
              t["switches"]["yields"], f["switched"], others)
        check(t["switches"]["yields"] <= t["switches"]["involuntary"], "yields are not among the involuntary switches")
        check(t["yielded_ns"] <= t["ledger"]["runq_preempted"], "yielded %d ns", t["yielded_ns"])
    check(seen > 0, "no yield was seen")
    others = sum(t["switches"]["yields"] for t in c.threads if t["tid"] not in {f["tid"] for f in c.facts})
    check(others == 0, "%d yields of threads that never did", others)


def case_forks(c):
    count = c.of("forks")[0]["count"]
    check(len(c.threads) == count + 2, "%d threads, not %d", len(c.threads), count + 2)
    check(all(t["ended"] for t in c.threads), "not all have ended")
    burnt = c.of("burn")
    check(len(burnt) == count, "%d children", len(burnt))
    for f in burnt:
        check(c.of_fact(f)["ledger"]["oncpu"] >= 0.9 * MS, "a child burnt %d ns", c.of_fact(f)["ledger"]["oncpu"])
    parent = c.of_fact(c.of("forks")[0])
    check(waits(parent, "sync") <= count + 2 and parent["ledger"]["sync"] > 0, "the parent waits for each child: %s",
          parent["waits"])


def case_chain(c):
    links, waited = sorted(c.of("chain"), key=lambda f: -f["left"]), 0
    check(len(c.threads) == len(links) + 1 == int(c.words[0]) + 2, "%d threads", len(c.threads))
    for outer, inner in zip(links, links[1:]):
        a, b = c.of_fact(outer), c.of_fact(inner)
        check(a["start_ns"] < b["start_ns"] and b["end_ns"] <= a["end_ns"] + MS * 50, "lives do not nest")
        waited += waits(a, "sync") > 0
    # it need not wait when it did not get a CPU before its child ended
    check(waited >= len(links) // 3, "%d of %d wait for their child", waited, len(links))


def case_exec_thread(c):
    burn, before = c.of("burn")[0], c.of("before_exec")[0]
    check(burn["tid"] == burn["pid"] == before["pid"] != before["tid"], "exec did not take the leader's tid")
    mine = [t for t in c.threads if t["tgid"] == burn["pid"]]
    check(len(mine) == 2, "%d threads, not 2", len(mine))
    after = c.of_fact(burn)
    leader = [t for t in mine if t is not after][0]
    check(leader["end_ns"] < burn["now_ns"] - 4 * MS, "the old leader ends at the exec")
    check(leader["ended"] and after["ended"], "both end")
    check(after["start_ns"] < before["now_ns"], "the thread that called exec is the one that goes on")
    check(after["ledger"]["oncpu"] >= 0.9 * burn["ms"] * MS, "it burns: %s", after["ledger"])
    check(leader["ledger"]["sleep"] > 3 * MS, "the leader sleeps: %s", leader["ledger"])


def case_leader_exits(c):
    leader, other = c.of("leader")[0], c.of("other")[0]
    a, b = c.of_fact(leader), c.of_fact(other)
    check(a["ended"] and b["ended"] and a["end_ns"] < b["end_ns"] - 15 * MS, "the leader ends first")
    check(b["ledger"]["oncpu"] >= 0.9 * leader["ms"] * MS, "the other goes on: %s", b["ledger"])
    check(b["ledger"]["sleep"] >= 18 * MS, "and slept: %s", b["ledger"])


def case_vfork(c):
    f = c.of("vfork")[0]
    parent, child = c.of_fact(f), c.thread(f["child"])
    check(parent["ledger"]["sync"] >= 0.9 * f["ms"] * MS, "the parent waits for %d ms: %s", f["ms"], parent["ledger"])
    check(child["ledger"]["sleep"] >= 0.9 * f["ms"] * MS, "the child sleeps for %d ms: %s", f["ms"], child["ledger"])


def case_hogs(c):
    hogs = c.of("hog")
    check(len(hogs) == 2, "%d hogs", len(hogs))
    window = hogs[0]["to_ns"] - hogs[0]["from_ns"]
    ran = 0
    for f in hogs:
        t = c.of_fact(f)
        ran += t["ledger"]["oncpu"]
        check(t["ledger"]["runq_preempted"] >= 0.3 * window, "half of %d ns ready to run: %s", window, t["ledger"])
        check(t["switches"]["involuntary"] >= 3, "preempted %d times", t["switches"]["involuntary"])
    # before and after they may be on two CPUs, but only for a moment
    check(ran <= window * 1.5 + 60 * MS, "two threads on one CPU ran for %d of %d ns", ran, window)
    both = [c.of_fact(f) for f in hogs]
    ready = sum(t["ledger"]["runq_preempted"] + t["ledger"]["runq_wakeup"] for t in both)
    check(ready >= 0.9 * window, "one CPU, two hogs: at least %d ns ready, not %d", window, ready)


def case_stopped(c):
    f = c.of("stopper")[0]
    child = c.thread(f["child"])
    check(child["ledger"]["stopped"] >= 0.95 * f["stopped_ns"], "stopped for %d ns: %s", f["stopped_ns"], child["ledger"])
    check(waits(child, "stopped") == 1 or not c.whole, "stopped once: %s", child["waits"])


WAITS = {
    "sleep": "nanosleep poll_none select_none",
    "io": "poll_pipe select_pipe epoll pipe socket eventfd msgrcv accept",
    "sync": "sem cond barrier join wait4 flock futex_timed",
    "blocked_other": "sigwait",
}


def case_waits(c):
    for class_, roles in WAITS.items():
        for role in roles.split():
            f = c.of(role)[0]
            t = c.of_fact(f)
            check(t["comm"] == role, "comm %r, not %r", t["comm"], role)
            check(t["ledger"][class_] >= 0.8 * f["ms"] * MS, "%s is %s for %d ms: %s", role, class_, f["ms"], t["ledger"])
            others = sum(t["ledger"][k] for k in BLOCKED + ["untracked"] if k != class_)
            check(others <= 0.5 * f["ms"] * MS, "%s is %s and little else: %s", role, class_, t["ledger"])


def case_pid_reuse(c):
    f = c.of("pid_reuse")[0]
    check(f["again"] == f["first"], "the pid could not be had again")
    mine = sorted((t for t in c.threads if t["tid"] == f["first"]), key=lambda t: t["start_ns"])
    check(len(mine) == 2, "%d threads with the tid %d", len(mine), f["first"])
    if len(mine) == 2:
        check(mine[0]["end_ns"] <= mine[1]["start_ns"], "their lives overlap")
        check(mine[0]["ledger"]["sleep"] >= 4.5 * MS and mine[1]["ledger"]["sleep"] == 0, "the first one slept")
        check(mine[1]["ledger"]["oncpu"] >= 4.5 * MS, "the second one burnt: %s", mine[1]["ledger"])


def case_names(c):
    comms = {t["comm"] for t in c.threads}
    for name in ("\x1b[31mred\x1b[0m", "a\nb\rc\td", "\"<&>'\\", "\x01\x02\x7f", "%s%n%d", "\u009b31m", ""):
        check(name in comms, "%r is not among the names %r", name, comms)


def case_throttled(c):
    """Words: cpu.stat's nr_throttled and throttled_time (ns) of a cgroup with this one thread."""
    t = c.thread(c.of("burn")[0]["tid"])
    nr, kernels = int(c.words[0]), int(c.words[1])
    check(nr > 2, "it was throttled %d times only", nr)
    check(0.8 * kernels <= t["ledger"]["throttled"] <= 1.2 * kernels + 20 * MS, "throttled for %d ns, cpu.stat says %d",
          t["ledger"]["throttled"], kernels)


def case_any(_):
    pass


def main(cases):
    case = Case(sys.argv[1:])
    check_any(case)
    if case.facts and case.books:
        check_facts(case)
    if case.books:
        check_books(case)
    cases["case_" + case.name](case)
    for line in (wrong + doubts)[:12]:
        print(line[:700])
    sys.exit(1 if wrong else 78 if doubts else 0)


if __name__ == "__main__":
    main(globals())
