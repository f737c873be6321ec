# SPDX-License-Identifier: GPL-2.0-only
"""Checks wakeups, runq_by and critical_path of `whyscale report --json` against what progs/chain.c was built to do.

oracle_wakeups.py CASE REPORT FACTS [WORD...]: exit status 0, or a sentence for each thing that is wrong; 77: events were lost.
"""
import json
import re
import sys

MS = 1000000
PARTS = "own tracked foreign idle interrupts unknown".split()
wrong = []


def check(condition, text, *args):
    if not condition:
        wrong.append(text % args)


def threads_by_role(facts, role):
    return [f for f in facts if f["role"] == role]


def count(d, waker, wakee, context="task"):
    return sum(p["count"] for p in d["wakeups"]["pairs"]
               if p["context"] == context and p["wakee"]["tid"] == wakee and p["waker"] and p["waker"]["tid"] == waker)


# ---- what holds for every report ----

def check_sums(d):
    ledger = d["ledger"]
    w = d["wakeups"]
    for key in ("count", "delays", "delay_ns"):
        check(sum(p[key] for p in w["pairs"]) + w["others"][key] == w[key], "the pairs' %s do not sum up", key)
    check(w["delay_ns"] <= ledger["runq_wakeup"], "delays %d are more than the run queue's %d", w["delay_ns"], ledger["runq_wakeup"])
    check(all(p["waker"] is None for p in w["pairs"] if p["context"] in ("hardirq", "softirq", "interrupt")),
          "an interrupt's wake-up is blamed on a thread")
    r = d["runq_by"]
    check(r["wait_ns"] == ledger["runq_preempted"] + ledger["runq_wakeup"], "waits %d, ledger %d", r["wait_ns"],
          ledger["runq_preempted"] + ledger["runq_wakeup"])
    check(sum(r[p + "_ns"] for p in PARTS) == r["wait_ns"], "the parts do not sum to the waits")
    check(sum(b["ns"] for b in r["by"]) == r["tracked_ns"] + r["foreign_ns"], "the others do not sum up")
    check(r["idle_elsewhere_ns"] <= r["wait_ns"], "more idle elsewhere than waits")
    threads = {t["serial"]: t["ledger"] for t in d["threads"]}
    for t in r["threads"]:
        waits = threads[t["serial"]]["runq_preempted"] + threads[t["serial"]]["runq_wakeup"]
        check(sum(t[p + "_ns"] for p in PARTS) == t["wait_ns"] == waits, "thread %d: parts", t["tid"])
    c = d["critical_path"]
    check(c["wall_ns"] == d["wall_ns"], "the path is %d long, the run %d", c["wall_ns"], d["wall_ns"])
    check(sum(t["ns"] for t in c["by_thread"]) == c["wall_ns"], "the path's threads do not sum up")
    check(sum(c["by_class"].values()) == c["wall_ns"], "the path's classes do not sum up")
    for t in c["by_thread"]:
        check(sum(t["classes"].values()) == t["ns"], "the path's thread %s", t["tid"])
        if t["serial"]:
            check(all(ns <= threads[t["serial"]][k] for k, ns in t["classes"].items()),
                  "thread %d is longer on the path than it was in its class", t["tid"])


# ---- the cases ----

def check_ring(d, facts, words):
    """Each member wakes the next one once in each round; the first of all is the starter's."""
    rounds = int(words[1])
    ring = {f["number"]: f["tid"] for f in threads_by_role(facts, "member")}
    nr = len(ring)
    check(nr == int(words[0]), "%d members", nr)
    starter = threads_by_role(facts, "starter")[0]["tid"]
    for i in ring:
        wakee = ring[(i + 1) % nr]
        expected = rounds - (i == nr - 1)
        check(count(d, ring[i], wakee) == expected, "member %d woke the next %d times, not %d", i, count(d, ring[i], wakee), expected)
        others = [p for p in d["wakeups"]["pairs"] if p["wakee"]["tid"] == wakee and p["waker"]
                  and p["waker"]["tid"] not in (ring[i], starter) and p["waker"]["recorded"]]
        check(not others, "member %d is woken by %s", (i + 1) % nr, others)
    check(count(d, starter, ring[0]) >= 1, "the starter did not wake the first")
    # one token: each step is on the path, up to the last one of the member that the starter waited for last
    check(d["critical_path"]["jumps"] >= rounds * nr - nr, "the path has %d jumps", d["critical_path"]["jumps"])


def check_perf(d, facts, words):
    """perf's sched_waking of the same run: a ring's pairs, counted by it."""
    ring = {f["number"]: f["tid"] for f in threads_by_role(facts, "member")}
    pairs = {}
    for line in open(words[2]):
        tid, wakee = line.split()
        pairs[int(tid), int(wakee)] = pairs.get((int(tid), int(wakee)), 0) + 1
    for i in ring:
        pair = ring[i], ring[(i + 1) % len(ring)]
        check(pairs.get(pair) == count(d, *pair), "member %d: perf counts %s, we %d", i, pairs.get(pair), count(d, *pair))


def read_script(path):
    """From `whyscale script`, times in ns: on a CPU {tid: [(from, to)]}, made {tid: time}, woken by a thread {(waker, wakee): [time]}."""
    on, since, made, woken = {}, {}, {}, {}
    for line in open(path, encoding="utf-8"):
        seconds, what = line.split(" ", 1)
        at = int(seconds.replace(".", ""))
        m = re.match(r"cpu\d+ \S+ switch prev=\S*?(\d*) next=\S*?(\d*) ", what)
        if m and m[1] in since:
            on.setdefault(int(m[1]), []).append((since.pop(m[1]), at))
        if m:
            since[m[2]] = at
        m = re.match(r"cpu\d+ \S+/(\d+) fork ", what)
        if m:
            made[int(m[1])] = at
        m = re.match(r"cpu\d+ \S+ wake wakee=\S+/(\d+) waker=\S+/(\d+) context=task ", what)
        if m:
            woken.setdefault((int(m[2]), int(m[1])), []).append(at)
    return on, made, woken


def within(slices, begin, end):
    return sum(max(0, min(to, end) - max(frm, begin)) for frm, to in slices)


def check_path(d, facts, words):
    """
    B, then C, then main, burn; the decoy is not on the path. None of them blocks while it burns, and who goes on saw that the one before
    had ended (B: the decoy): so whatever else the machine does the path is

        main   beginning .. makes B     B   is made .. wakes C     C   is woken .. wakes main     main   is woken .. end

    to the nanosecond by the events; by the program's own clock, which it read before and after each of these moments, within that;
    and their CPU time by the kernel's clock but for what the audit shows that clock to differ by from the switches.
    """
    by = {role: threads_by_role(facts, role)[0] for role in ("main", "b", "c", "decoy")}
    main, b, c, decoy = by.values()
    threads = {t["tid"]: t for t in d["threads"]}
    path = {t["tid"]: t for t in d["critical_path"]["by_thread"]}
    on, made, woken = read_script(words[4])
    begin, end = min(t["start_ns"] for t in d["threads"]), max(t["end_ns"] for t in d["threads"])
    to_b, to_c, to_main = made[b["tid"]], woken[b["tid"], c["tid"]][-1], woken[c["tid"], main["tid"]][-1]
    begin, end = to_b - threads[b["tid"]]["start_ns"] + begin, to_b - threads[b["tid"]]["start_ns"] + end # as the script has it
    ends = [threads[f["tid"]]["end_ns"] for f in (decoy, b, c, main)]
    check(ends == sorted(ends), "they end in this order: decoy, B, C, main: %s", ends)
    check(set(path) == {main["tid"], b["tid"], c["tid"]}, "on the path: %s", d["critical_path"]["by_thread"])
    if wrong:
        return
    missed = d["lost"]["missed"]
    for f, spans in (main, [(begin, to_b), (to_main, end)]), (b, [(to_b, to_c)]), (c, [(to_c, to_main)]):
        classes = path[f["tid"]]["classes"]
        ns, cpu = sum(to - frm for frm, to in spans), sum(within(on[f["tid"]], *span) for span in spans)
        check(path[f["tid"]]["ns"] == ns, "%s is on the path for %d, by the events for %d", f["role"], path[f["tid"]]["ns"], ns)
        check(missed or classes["oncpu"] == cpu, "%s is on the path's CPU for %d, by the events for %d", f["role"], classes["oncpu"], cpu)
        check(f["given_cpu_ns"] - f["off_path_ns"] >= int(words[("b", "c", "main").index(f["role"])]) * MS, "it burns: %s", f)
        books = threads[f["tid"]]["audit"]["time"]["oncpu_ns"]
        near = abs(books["ours"] - books["kernel"]) + 10000 * sum(threads[f["tid"]]["switches"][k] for k in ("voluntary", "involuntary"))
        own, most = f["given_cpu_ns"] - f["off_path_ns"], f["given_after_ns"] - f["off_before_ns"]
        check(own - near <= classes["oncpu"] <= most + near + (3 * MS if f is main else 0), "%s is on the path's CPU for %d, its clock says %d "
              "to %d", f["role"], classes["oncpu"], own, most)
    for f, before in (b, main), (c, b):
        ns = path[f["tid"]]["ns"]
        check(f["from_ns"] - before["to_ns"] <= ns <= f["to_ns"] - before["from_ns"], "%s is on the path for %d, by its own clock %d to %d",
              f["role"], ns, f["from_ns"] - before["to_ns"], f["to_ns"] - before["from_ns"])
    check(decoy["cpu_ns"] >= int(words[3]) * MS and decoy["now_ns"] < b["from_ns"], "the decoy burned beside B: %s", decoy)


def check_timer(d, facts, words):
    """A thread sleeps N times, and a timer's interrupt ends each, mostly while the burner has the CPU: it is never the burner's doing."""
    sleeper, burner = (threads_by_role(facts, role)[0] for role in ("sleeper", "burner"))
    mine = [p for p in d["wakeups"]["pairs"] if p["wakee"]["tid"] == sleeper["tid"] and p["context"] != "new"]
    by_interrupt = sum(p["count"] for p in mine if p["context"] in ("hardirq", "softirq", "interrupt") and p["waker"] is None)
    sleeps = [t["waits"]["sleep"] for t in d["threads"] if t["tid"] == sleeper["tid"]][0]
    check(sleeper["number"] <= int(words[0]) and sleeper["number"] >= 0.5 * int(words[0]), "it slept %d times", sleeper["number"])
    missed = d["lost"]["missed"]
    check(abs(sleeps["count"] - sleeper["number"]) <= missed, "%s sleeps, by the kernel's books %d", sleeps, sleeper["number"])
    check(abs(by_interrupt - sleeper["number"]) <= missed, "%d wake-ups by an interrupt, %d sleeps: %s", by_interrupt, sleeper["number"], mine)
    check(not [p for p in mine if p["waker"] and p["waker"]["tid"] == burner["tid"]], "the burner woke it: %s", mine)
    delays = sum(p["delays"] for p in mine), sum(p["delay_ns"] for p in mine)
    ready = [t["ledger"]["runq_wakeup"] for t in d["threads"] if t["tid"] == sleeper["tid"]][0]
    check(delays[0] >= by_interrupt - missed and delays[1] <= ready, "then it waits for its CPU: %s, of %d", delays, ready)
    # from each wake-up to the switch that gives it a CPU, by the events
    expected, since = [], None
    for line in open(words[1], encoding="utf-8"):
        at = int(line.split(" ", 1)[0].replace(".", ""))
        if re.search(r" wake wakee=\S+/%d " % sleeper["tid"], line):
            since = at
        elif since is not None and re.search(r" switch prev=\S* next=\S+/%d " % sleeper["tid"], line):
            expected.append(at - since)
            since = None
    longest = max(p["longest_ns"] for p in mine)
    check(missed or (len(expected), sum(expected), max(expected)) == (*delays, longest), "delays %s, the longest %d; by the events %d, %d, %d",
          delays, longest, len(expected), sum(expected), max(expected))


def check_occupied(d, facts, words):
    """
    Two hogs and a squatter of another program on one CPU: while one hog waits the other or the squatter has the CPU. So each hog's
    waits that are the other's are just as long as the other runs, but for the moments at which only one of them is there (begin and end:
    a slice or two, 12 ms) and for interrupts of their common time by others.
    """
    hogs = [f["tid"] for f in threads_by_role(facts, "hog")]
    ledgers = {t["tid"]: t["ledger"] for t in d["threads"]}
    splits = {t["tid"]: t for t in d["runq_by"]["threads"]}
    for me, other in (hogs, hogs[::-1]):
        own, ran = splits[me]["own_ns"], ledgers[other]["oncpu"]
        check(abs(own - ran) <= 12 * MS, "a hog waits %d for the other, which ran %d", own, ran)
        check(splits[me]["idle_elsewhere_ns"] == 0, "a pinned hog could have run elsewhere: %d", splits[me]["idle_elsewhere_ns"])
    squatter = int(words[0])
    both = [b for b in d["runq_by"]["by"] if b["pid"] == squatter]
    check(len(both) == 1 and both[0]["comm"] == "squatter" and not both[0]["recorded"], "the squatter: %s", d["runq_by"]["by"][:4])
    # both hogs wait while it runs, by its schedstat that they read: twice; of its other time, before and after, one thread does at most
    ns = both[0]["ns"] if both else 0
    ran = [f["other_ns"] for f in threads_by_role(facts, "hog")]
    outside = threads_by_role(facts, "hogs")[0]["other_ns"] - min(ran)
    check(2 * min(ran) - 12 * MS <= ns <= 2 * max(ran) + outside + 12 * MS, "the squatter is in the way for %d, it ran %s, %d before and after",
          ns, ran, outside)
    check(min(ran) > 0, "the squatter ran: %s", ran)
    foreign = d["runq_by"]["foreign_ns"]
    check(ns <= foreign, "the squatter's %d of %d", ns, foreign)


CASES = {"ring": check_ring, "perf": check_perf, "path": check_path, "occupied": check_occupied, "timer": check_timer, "any": lambda *_: None}


def main():
    with open(sys.argv[2], encoding="utf-8") as f:
        d = json.load(f)
    with open(sys.argv[3], encoding="utf-8") as f:
        facts = [json.loads(line) for line in f]
    check_sums(d)
    if not wrong and (d["lost"]["events"] or d["ledger"]["untracked"] > 0.01 * sum(d["ledger"].values())):
        print("%d events were lost" % d["lost"]["events"])
        sys.exit(77)
    CASES[sys.argv[1]](d, facts, sys.argv[4:])
    print("\n".join(wrong))
    sys.exit(1 if wrong else 0)


main()
