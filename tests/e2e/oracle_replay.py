# SPDX-License-Identifier: GPL-2.0-only
"""
What `whyscale explain` must find for a run without the waits for one lock, on CPUs without limit, computed once more and by other means:
from the raw events of `whyscale script`, with one number for each thread, by which it would be ahead of the recording.
"""
import re


def tid_of(word):
    tid = word.rpartition("/")[2]
    return int(tid) if tid.isdigit() else 0


def read_events(path):
    """[(time in ns, tid, kind, {field: text})]"""
    events = []
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            seconds, what = line.split(" ", 1)
            m = re.match(r"cpu\d+ (\S+) (\w+) ?(.*)", what)
            fields = dict(word.split("=", 1) for word in m[3].split() if "=" in word)
            events.append((int(seconds.replace(".", "")), tid_of(m[1]), m[2], fields))
    return events


def all_taken(events, threads, cpus):
    """When as many recorded threads as there are CPUs had one: [(from, to)]"""
    running, full, since = set(), [], None
    for at, _, kind, f in events:
        if kind != "switch":
            continue
        running.discard(tid_of(f["prev"]))
        running |= {tid_of(f["next"])} & threads
        if len(running) >= cpus and since is None:
            since = at
        elif len(running) < cpus and since is not None:
            full.append((since, at))
            since = None
    return full


class Without:
    """
    The run without the futex waits at an address for which is_gone(address) holds: these take no time, and neither do the waits for a CPU
    behind them. A wait that a recorded thread ended lasts until that one has come so far; of a wait for a CPU, what recorded threads
    took of all CPUs is no wait. ends: {tid: ns}; ran: {tid: ns on a CPU}.
    """

    def __init__(self, events, threads, is_gone, cpus):
        self.threads, self.is_gone = threads, is_gone
        self.full = all_taken(events, threads, cpus)
        self.ahead = dict.fromkeys(threads, 0)
        self.ran = dict.fromkeys(threads, 0)
        self.early = set()
        self.last, self.on, self.queued, self.futex, self.left, self.ended = {}, {}, {}, {}, {}, {}
        for at, who, kind, f in events:
            if who in threads:
                self.last[who] = at
            if kind == "fork" and tid_of(f["parent"]) in threads:
                self.ahead[who], self.queued[who] = self.ahead[tid_of(f["parent"])], at
            elif kind == "futex":
                self.futex[who] = int(f["uaddr"], 16)
            elif kind == "wake" and tid_of(f["wakee"]) in self.left:
                self.woken(at, tid_of(f["wakee"]), tid_of(f["waker"]) if f["context"] == "task" else 0)
            elif kind == "wake" and f.get("on_cpu") == "1":
                self.early.add(tid_of(f["wakee"]))
            elif kind == "switch":
                if tid_of(f["prev"]) in threads:
                    self.leaves(at, tid_of(f["prev"]), f["state"])
                if tid_of(f["next"]) in threads:
                    self.gets(at, tid_of(f["next"]))
        self.ends = {t: self.last[t] - self.ahead[t] for t in threads}

    def woken(self, at, t, waker):
        self.ended[t] = at, self.ahead[waker] if waker in self.threads and waker != t else None

    def leaves(self, at, t, state):
        self.last[t] = at
        if t in self.on:
            self.ran[t] += at - self.on.pop(t)
        address = self.futex.pop(t, None)
        gone = address is not None and self.is_gone(address)
        # woken before it had left its CPU: it waits for a CPU only, and not even that where it would not have gone to sleep
        if t in self.early and gone:
            self.left[t], self.ended[t] = (at, True), (at, None)
        elif state.startswith("R") or t in self.early:
            self.queued[t] = at
        elif not state.startswith("X"):
            self.left[t] = at, gone
        self.early.discard(t)

    def gets(self, at, t):
        self.on[t] = at
        if t in self.left and self.wait_is_over(at, t, *self.left.pop(t)):
            self.queued.pop(t, None)
        if t in self.queued:
            begin = self.queued.pop(t)
            self.ahead[t] += sum(max(0, min(at, to) - max(begin, frm)) for frm, to in self.full)

    def wait_is_over(self, at, t, left, gone):
        """Whether it has not slept at all, and so waits for no CPU."""
        woken, waker_ahead = self.ended.pop(t, (at, None))
        came = left - self.ahead[t]
        self.queued[t] = max(woken, left)
        if gone or (waker_ahead is not None and woken - waker_ahead <= came):
            self.ahead[t] = at - came
            return True
        if waker_ahead is not None:
            self.ahead[t] = waker_ahead
        return False


def bound(script, report, cpus, is_gone):
    """How many times faster at most."""
    events, threads = read_events(script), {t["tid"]: t for t in report["threads"]}
    run = Without(events, set(threads), is_gone, cpus)
    made, child = next((at, who) for at, who, kind, _ in events if kind == "fork")
    begin = made - threads[child]["start_ns"] + min(t["start_ns"] for t in threads.values())
    return report["wall_ns"] / max(max(run.ends.values()) - begin, sum(run.ran.values()) / cpus)
