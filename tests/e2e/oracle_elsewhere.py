# SPDX-License-Identifier: GPL-2.0-only
"""
For how long a thread waited for a CPU while another one that it may use stood idle: `whyscale report --json` of progs/elsewhere.c, by the
recording's own events to the nanosecond, and by the kernel's count of how long each CPU was idle.

oracle_elsewhere.py REPORT FACTS SCRIPT: the last is the output of `whyscale script`. Exit status 0, or a sentence for each thing that is
wrong; 77: events were lost or missed.
"""
import json
import re
import sys

MS = 1000000


class Waits:
    """Fed with events in order of time: the waits of one thread for a CPU, [(since, until, idle elsewhere for)]. allowed: its CPUs."""

    def __init__(self, tid):
        self.tid, self.idle, self.allowed = tid, {}, set()
        self.since, self.cpu, self.at, self.sum_ns, self.sum_then = None, 0, 0, 0, 0
        self.waits = []
        # the CPU became idle, and no probe saw it: so where PID 1 was on it, on some machines
        self.holes, self.busy_at = [], {}

    def spend(self, now):
        if self.since is not None and any(self.idle.get(cpu) for cpu in self.allowed - {self.cpu}):
            self.sum_ns += now - self.at
        self.at = now

    def ready(self, now, cpu):
        self.spend(now)
        self.since, self.cpu, self.sum_then = now, cpu, self.sum_ns

    def switch(self, now, cpu, prev, next_, runnable):
        self.spend(now)
        if prev == 0 and self.idle.get(cpu) is False:
            self.holes.append((self.busy_at[cpu], now))
        self.idle[cpu], self.busy_at[cpu] = next_ == 0, now
        if next_ == self.tid and self.since is not None:
            self.waits.append((self.since, now, self.sum_ns - self.sum_then))
            self.since = None
        if prev == self.tid and runnable:
            self.ready(now, cpu)


def by_events(path, tid):
    """*: and when it was made."""
    w, made = Waits(tid), None
    for line in open(path, encoding="utf-8"):
        m = re.match(r"(\d+\.\d+) cpu(\d+) (\S+) (\w+) (.*)", line)
        now, cpu, its = int(m[1].replace(".", "")), int(m[2]), m[3].endswith("/%d" % tid)
        if m[4] == "switch":
            f = re.match(r"prev=\S*?(\d*) next=\S*?(\d*) state=(\w)", m[5])
            w.switch(now, cpu, int(f[1] or 0), int(f[2] or 0), f[3] == "R")
        elif its and m[4] == "fork":
            made = now
        elif its and ((m[4] == "wake" and " on_cpu=1" not in m[5]) or (m[4] == "wakeup" and m[5].endswith(" new=1"))):
            w.ready(now, int(re.search(r" cpu=(\d+)", m[5])[1]))
        elif its and m[4] == "task":
            w.spend(now)
            ranges = [r.split("-") for r in re.search(r"cpus=(\S+)", m[5])[1].split(",")]
            w.allowed = {n for r in ranges for n in range(int(r[0]), int(r[-1]) + 1)}
        elif its and m[4] == "migrate":
            w.spend(now)
            w.cpu = int(re.search(r"to=(\d+)", m[5])[1])
    return w, made


def main():
    wrong, seen, at_most, at_least = [], 0, 0, 0
    d = json.load(open(sys.argv[1], encoding="utf-8"))
    facts = [json.loads(line) for line in open(sys.argv[2], encoding="utf-8")]
    if d["lost"]["events"] or d["lost"]["missed"]:
        print("events were lost or missed")
        sys.exit(77)
    yields = [f for f in facts if f["role"] == "roamer"]
    tid = yields[0]["tid"]
    ours = [t for t in d["runq_by"]["threads"] if t["tid"] == tid][0]["idle_elsewhere_ns"]
    events, made = by_events(sys.argv[3], tid)
    if ours != events.sum_ns:
        wrong.append("a CPU stood idle for %d ns of the roamer's waits, by the events for %d" % (ours, events.sum_ns))
    # each yield by itself; in a look at the kernel's figures, and behind the yield, it waits for nothing
    shift = [t["start_ns"] for t in d["threads"] if t["tid"] == tid][0] - made
    waits = [(since + shift, until + shift, ns) for since, until, ns in events.waits]
    holes = [(frm + shift, to + shift) for frm, to in events.holes]
    sound = [y for y in yields if not any(y["from_ns"] < to and frm < y["to_ns"] for frm, to in holes)]
    if len(sound) < 5:
        print("of %d yields %d without a switch that no probe saw" % (len(yields), len(sound)))
        sys.exit(77)
    for y in sound:
        mine = [w for w in waits if y["from_ns"] < w[1] and w[0] < y["to_ns"]]
        idle, waited = sum(w[2] for w in mine), sum(w[1] - w[0] for w in mine)
        least, most = y["least_ns"] - y["off_ns"] - (y["to_ns"] - y["from_ns"] - waited), y["most_ns"] + y["off_ns"]
        if not least <= idle <= most:
            wrong.append("idle elsewhere for %d ns of %d, by the kernel's count %d to %d" % (idle, waited, least, most))
        seen, at_most, at_least = seen + idle, at_most + most, at_least + max(0, least)
    print("\n".join(wrong) or "idle elsewhere in %d yields for %.3f ms, by the kernel's count %.3f to %.3f" % (
        len(sound), seen / MS, at_least / MS, at_most / MS))
    sys.exit(bool(wrong))


main()
