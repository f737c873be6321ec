# SPDX-License-Identifier: GPL-2.0-only
"""interpreters.py SECONDS: two interpreters in one process, each with a lock of its own (3.12 and later), two threads counting in each.

Every thread appends a line of JSON to the file named by $KNOWN_FACTS, as in ../gil.py; `main`: in the main interpreter. Exit status 77:
there are no such interpreters.
"""
import sys
import threading
import time

try:
    import _interpreters as module  # 3.13
except ImportError:
    try:
        import _xxsubinterpreters as module
    except ImportError:
        sys.exit(77)

# What both interpreters run: threads that count until a moment, the same for all.
COUNT = """
import json, os, threading, time

def fact(role, **more):
    more.update(role=role, pid=os.getpid(), tid=threading.get_native_id(), now_ns=time.monotonic_ns())
    line = (json.dumps(more) + "\\n").encode()
    path = os.environ.get("KNOWN_FACTS")
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666) if path else 1
    os.write(fd, line)
    if path:
        os.close(fd)

def worker(main, begin, end):
    while time.monotonic() < begin:
        time.sleep(0.001)
    wall, cpu, n = time.monotonic_ns(), time.thread_time_ns(), 0
    while time.monotonic() < end:
        for _ in range(20000):
            n += 1
    cpu, wall = time.thread_time_ns() - cpu, time.monotonic_ns() - wall
    fact("worker", main=main, wall_ns=wall, cpu_ns=cpu)

def count(main, begin, end):
    threads = [threading.Thread(target=worker, args=(main, begin, end)) for _ in range(2)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
"""


def other(begin, end):
    """The lock of the other interpreter is let go of by this thread while it joins the two that count there."""
    id_ = module.create()
    module.run_string(id_, COUNT + "\ncount(False, %r, %r)\n" % (begin, end))


def main(seconds):
    if sys.version_info < (3, 12):
        sys.exit(77)
    here = {}
    exec(COUNT, here)  # pylint: disable=exec-used
    here["fact"]("main", minor="%d.%d" % sys.version_info[:2], interval_ns=int(sys.getswitchinterval() * 1e9))
    begin = time.monotonic() + 0.15
    thread = threading.Thread(target=other, args=(begin, begin + seconds))
    thread.start()
    here["count"](True, begin, begin + seconds)
    thread.join()


if __name__ == "__main__":
    main(float(sys.argv[1]))
