# SPDX-License-Identifier: GPL-2.0-only
"""gil.py MODE THREADS SECONDS: Python threads whose waits for the interpreter's lock are known.

Every thread appends a line of JSON to the file named by $KNOWN_FACTS: its tid, its wall and CPU time over its work, and, by the kernel's
books, for how long it was ready without a CPU around that (delay_ns). From 3.8 on.

  count   loops in Python: all but one of them wait for the interpreter's lock. They are real-time threads: whatever else the machine has to
          do, whoever has the lock has a CPU. Exit status 77: they may not be
  hash    hashes large buffers in C, without that lock
  sleep   sleeps, without that lock
  mutex   one thread sleeps with a threading.Lock held, the others wait for it: another lock than the interpreter's
  alone   one thread counts, nobody else wants the lock
  interpreters   each thread counts in an interpreter with a lock of its own (3.12 and later; exit status 77: there is none)
"""
import hashlib
import json
import os
import sys
import threading
import time


def fact(role, **more):
    more.update(role=role, pid=os.getpid(), tid=threading.get_native_id(), now_ns=time.monotonic_ns())
    line = (json.dumps(more) + "\n").encode()
    path = os.environ.get("KNOWN_FACTS")
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666) if path else 1
    os.write(fd, line)
    if path:
        os.close(fd)


def count(until):
    n = 0
    while time.monotonic() < until:
        for _ in range(20000):
            n += 1


def hash_(until):
    data = bytes(8 << 20)
    while time.monotonic() < until:
        hashlib.sha256(data).digest()


def sleep(until):
    nr = 0
    while time.monotonic() < until:
        time.sleep(0.02)
        nr += 1
    return {"sleeps": nr}


def delay_ns():
    with open("/proc/thread-self/schedstat", "rb", buffering=0) as f:
        return int(f.read().split()[1])


lock = threading.Lock()
called = []


def mutex(until):
    """Who has the lock keeps it for 50 ms from when all want it. When it wanted the lock, had it, and was about to let go; ready until then."""
    ready, cpu = delay_ns(), time.thread_time_ns()
    called.append(threading.get_ident())
    call = time.monotonic_ns()
    with lock:
        got = time.monotonic_ns()
        cpu = time.thread_time_ns() - cpu
        ready = delay_ns() - ready
        while len(called) < nr_threads:
            time.sleep(0.001)
        time.sleep(0.05)
        left = time.monotonic_ns()
    return {"call_ns": call, "got_ns": got, "left_ns": left, "got_cpu_ns": cpu, "got_delay_ns": ready}


INTERPRETER = """
import time
while time.monotonic() < %r:
    for _ in range(20000):
        pass
"""


def interpreters(until):
    try:
        import _interpreters as module  # 3.13
    except ImportError:
        import _xxsubinterpreters as module
    id_ = module.create()
    module.run_string(id_, INTERPRETER % until)


def worker(work, barrier, seconds):
    barrier.wait()
    ready = delay_ns()
    wall, cpu = time.monotonic_ns(), time.thread_time_ns()
    more = work(time.monotonic() + seconds) or {}
    cpu, wall = time.thread_time_ns() - cpu, time.monotonic_ns() - wall
    fact("worker", wall_ns=wall, cpu_ns=cpu, delay_ns=delay_ns() - ready, **more)


def main(mode, nr, seconds):
    global nr_threads
    nr_threads = nr
    works = {"count": count, "alone": count, "hash": hash_, "sleep": sleep, "mutex": mutex, "interpreters": interpreters}
    if mode == "interpreters" and sys.version_info < (3, 12):
        sys.exit(77)
    if mode == "count":
        try:
            os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(40))  # inherited by the threads
        except OSError as e:
            sys.stderr.write("%s\n" % e)
            sys.exit(77)
    barrier = threading.Barrier(nr)
    threads = [threading.Thread(target=worker, args=(works[mode], barrier, seconds)) for _ in range(nr)]
    fact("main", version="%d.%d.%d" % sys.version_info[:3], interval_ns=int(sys.getswitchinterval() * 1e9))
    for t in threads:
        t.start()
    for t in threads:
        t.join()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]))
