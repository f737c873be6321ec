#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Compares `whyscale report --json` with what perf counted of the same run.

oracle_perf.py CASE REPORT FACTS BOOKS FILE: as oracle.py; FILE is perf's.
"""
import sys

sys.dont_write_bytecode = True
from oracle import MS, check, label, main, missed, read


def case_perf_stat(c):
    """Words: a file of `perf stat -x, -e context-switches,cpu-migrations`, which counts from the exec, without last switches."""
    values = {}
    for line in read(c.words[0], "").splitlines():
        cells = line.split(",")
        if len(cells) > 2 and cells[0].isdigit():
            values[cells[2]] = int(cells[0])
    first = min(f["pid"] for f in c.facts)
    mine = [t for t in c.threads if t["tgid"] == first]
    total = sum(t["switches"]["voluntary"] + t["switches"]["involuntary"] + missed(t) for t in mine)
    # perf leaves a thread early in its exit: the last switch, and now and then one before it, are not counted
    check(total - 2 * len(mine) - 8 <= values["context-switches"] <= total, "%d switches, perf stat says %s", total, values)
    total = sum(t["audit"]["migrations"]["kernel"] for t in mine)
    check(total - 4 <= values["cpu-migrations"] <= total, "%d migrations, perf stat says %s", total, values)


def case_perf_script(c):
    """Words: what `perf script` prints of sched:sched_switch (-k mono): switches and on-CPU time of every thread by themselves."""
    outs, ran, since, last_ns, holes = {}, {}, {}, 0, set()
    for line in read(c.words[0], "").splitlines():
        head, _, rest = line.partition(" sched:sched_switch: ")
        if not rest:
            continue
        seconds = head.rsplit(None, 1)[1].rstrip(":")
        now = int(seconds.split(".")[0]) * 1000 * MS + int(seconds.split(".")[1].ljust(9, "0"))
        before, _, after = rest.partition(" ==> ")
        prev = int(before.rsplit("prev_pid=", 1)[1].split()[0])
        next_ = int(after.rsplit("next_pid=", 1)[1].split()[0])
        outs[prev] = outs.get(prev, 0) + 1
        if prev in since:
            ran[prev] = ran.get(prev, 0) + now - since.pop(prev)
        else:
            holes.add(prev)  # perf did not see it get the CPU (it came from PID 1, where no program runs)
        since[next_] = now
        last_ns = now
    check(last_ns, "perf script shows no switch")
    tids, compared = [t["tid"] for t in c.threads], 0
    for t in c.threads:
        if tids.count(t["tid"]) > 1 or t["tid"] == c.thread_zero:
            continue
        total = t["switches"]["voluntary"] + t["switches"]["involuntary"]
        check(outs.get(t["tid"]) == total + missed(t), "%s: %d switches and %d missed, perf saw %s", label(t), total, missed(t),
              outs.get(t["tid"]))
        if t["tid"] in holes:
            continue
        compared += 1
        slack = t["ledger"]["oncpu"] // 200 + total * 10000 + 20000
        check(abs(ran.get(t["tid"], 0) - t["ledger"]["oncpu"]) <= slack or missed(t), "%s: on CPU for %d ns, perf says %d",
              label(t), t["ledger"]["oncpu"], ran.get(t["tid"], 0))
    print("perf saw all switches of %d of %d threads" % (compared, len(c.threads)))


if __name__ == "__main__":
    main(globals())
