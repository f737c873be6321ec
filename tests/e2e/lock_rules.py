# SPDX-License-Identifier: GPL-2.0-only
"""What holds for `locks` of every report (schema whyscale.report/1), whatever was recorded."""

CLASS_OF = {
    "mutex": "lock", "pi_mutex": "lock", "rwlock": "lock",
    "gil": "gil",
    "kernel": "klock",
    "cond": "sync", "join": "sync", "semaphore": "sync", "barrier": "sync", "once": "sync", "future": "sync", "park": "sync",
    "runtime": "sync", "futex": "sync",
}
KEYS = {
    "kind", "class", "name", "object", "symbol", "offset", "address", "pid", "shared", "wait_ns", "waits", "longest_ns", "waiters",
    "waiting", "ended", "holder_doing_ns", "holders", "convoys", "causes",
}
ENDED = {"woken", "timed_out", "signal", "unknown"}
DOING = {"running", "preempted", "blocked", "asleep", "free", "unknown"}


def is_count(value):
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def descending(entries):
    return all(a["wait_ns"] >= b["wait_ns"] for a, b in zip(entries, entries[1:]))


def broken_counts(lock):
    """The members that split a lock's waits: each split has all of them."""
    waiting, ended, doing = lock["waiting"], lock["ended"], lock["holder_doing_ns"]
    if set(ended) != ENDED or not all(is_count(v) for v in ended.values()):
        yield "ended: %s" % ended
    elif sum(ended.values()) != lock["waits"]:
        yield "%d waits ended: %s" % (lock["waits"], ended)
    if set(doing) != DOING or not all(is_count(v) for v in doing.values()):
        yield "holder_doing_ns: %s" % doing
    elif sum(doing.values()) != lock["wait_ns"]:
        yield "waits of %d ns, its holders did %s" % (lock["wait_ns"], doing)
    if len(waiting) != lock["waiters"]:
        yield "%d waiters, %d are listed" % (lock["waiters"], len(waiting))
    for key in ("waits", "wait_ns"):
        if sum(w[key] for w in waiting) != lock[key]:
            yield "%s is %d, its waiters' are %s" % (key, lock[key], [w[key] for w in waiting])
    if any(w["waits"] < 1 for w in waiting):
        yield "somebody waited 0 times: %s" % waiting


def broken_lock(lock):
    if not KEYS <= set(lock):
        yield "keys are missing: %s" % (KEYS - set(lock))
        return
    if CLASS_OF.get(lock["kind"]) != lock["class"]:
        yield "kind %s is of class %s" % (lock["kind"], lock["class"])
    if not isinstance(lock["address"], str) or not lock["address"].startswith("0x") or int(lock["address"], 16) <= 0:
        yield "address %r" % (lock["address"],)
    if not isinstance(lock["shared"], bool) or not lock["name"] or not isinstance(lock["name"], str):
        yield "shared %r, name %r" % (lock["shared"], lock["name"])
    if not all(is_count(lock[k]) for k in ("wait_ns", "waits", "longest_ns", "waiters", "convoys")):
        yield "not all are counts"
        return
    if not lock["waits"] or not lock["waits"] * lock["longest_ns"] >= lock["wait_ns"] >= lock["longest_ns"]:
        yield "%d waits of %d ns, the longest %d" % (lock["waits"], lock["wait_ns"], lock["longest_ns"])
    yield from broken_counts(lock)
    if sum(x["wait_ns"] for x in lock["causes"]) != lock["wait_ns"]:
        yield "waits of %d ns, their causes have %s" % (lock["wait_ns"], [x["wait_ns"] for x in lock["causes"]])
    holders = lock["holders"]
    if sum(h["wait_ns"] for h in holders) > lock["wait_ns"]:
        yield "holders of %s ns in %d" % ([h["wait_ns"] for h in holders], lock["wait_ns"])
    if any(h["how"] not in ("owner", "waker") for h in holders) or not descending(holders):
        yield "holders %s" % holders


def broken_sums(report):
    """A thread's waits for all locks of a class are that class of its ledger."""
    ledger, counts, ended = {}, {}, {}
    for t in report["threads"]:
        for class_ in ("lock", "gil", "klock", "sync"):
            key = t["tid"], class_
            ledger[key] = ledger.get(key, 0) + t["ledger"][class_]
            counts[key] = counts.get(key, 0) + t["waits"].get(class_, {}).get("count", 0)
            ended[key] = ended.get(key, True) and t["ended"]
    time, waits = dict.fromkeys(ledger, 0), dict.fromkeys(ledger, 0)
    for lock in report["locks"]:
        for w in lock["waiting"]:
            key = w["tid"], lock["class"]
            if key not in time:
                yield "%s waits for %s, but is no thread of this recording" % (w["tid"], lock["name"])
                continue
            time[key] += w["wait_ns"]
            waits[key] += w["waits"]
    for key in ledger:
        # sync is more than futexes: a child, a file lock
        if time[key] != ledger[key] and (key[1] != "sync" or time[key] > ledger[key]):
            yield "%d: %s is %d ns, its locks sum to %d" % (key + (ledger[key], time[key]))
        if ended[key] and waits[key] != counts[key] and (key[1] != "sync" or waits[key] > counts[key]):
            yield "%d: %d waits of class %s, its locks have %d" % (key[0], counts[key], key[1], waits[key])


def broken(report):
    """A sentence for each thing that is wrong."""
    if "locks" not in report:
        yield "the report has no locks"
        return
    bad = False
    for lock in report["locks"]:
        for sentence in broken_lock(lock):
            bad = True
            yield "%s %s: %s" % (lock.get("kind"), lock.get("name"), sentence)
    if bad:
        return
    if not descending(report["locks"]):
        yield "the lock of the longest wait is not the first"
    places = [(lock["class"], lock["kind"], lock["pid"], lock["address"]) for lock in report["locks"]]
    for place in places:
        if places.count(place) > 1 and place[0] != "gil":
            yield "%s is there twice" % (place,)
    yield from broken_sums(report)
