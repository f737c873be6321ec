# SPDX-License-Identifier: GPL-2.0-only
"""What every Python strategy shares: the loop, a worker's account of itself, and the result.

A strategy's file defines run(shares), where shares[i] is what worker i counts, and ends with
main(run). It lets each worker call work(i, shares[i]), collects what these return, and returns
summed(t0_ns, done). For Python 3.6 and later; this file must compile on older ones too, to say so.
"""
import sys

NAME = sys.argv[1]

if sys.version_info < (3, 6):
    sys.stderr.write("%s: needs Python 3.6 or newer, but this interpreter is %s\n"
                     % (NAME, sys.version.split()[0]))
    sys.exit(2)

import json
import os
import signal
import time

if hasattr(time, "clock_gettime_ns"):  # 3.7
    clock_ns = time.clock_gettime_ns
else:
    def clock_ns(clock):
        return int(time.clock_gettime(clock) * 1e9)


def now_ns():
    return clock_ns(time.CLOCK_MONOTONIC)


def count_to(arg):
    """The loop: the same one for every strategy."""
    i = 0
    while i < arg:
        i += 1
    return i


def thread_id():
    """The kernel's number of the calling thread, None where there is no way to know."""
    import _thread
    if hasattr(_thread, "get_native_id"):  # 3.8
        return _thread.get_native_id()
    try:
        return int(os.readlink("/proc/thread-self").rsplit("/", 1)[1])
    except OSError:
        return None


def schedstat_open():
    try:
        return os.open("/proc/thread-self/schedstat", os.O_RDONLY)
    except OSError:
        return None


def schedstat_read(fd):
    """[ns on a CPU, ns in the run queue] of the thread that opened fd; [None, None]: unknown."""
    try:
        return [int(word) for word in os.pread(fd, 96, 0).split()[:2]]
    except (OSError, TypeError, ValueError):
        return [None, None]


def since(before, after):
    return None if before is None or after is None else after - before


def work(index, share):
    """One worker: counts its share and says when, on what thread, and for how much CPU time.

    The file stays open during the loop because opening one gives the interpreter lock away: at the
    end of the loop, that would put the wait for the lock between the loop and the reading.
    """
    fd = schedstat_open()
    stat = schedstat_read(fd)
    cpu_ns = clock_ns(time.CLOCK_THREAD_CPUTIME_ID)
    begin_ns = now_ns()

    counted = count_to(share)

    end_ns = now_ns()
    cpu_ns = clock_ns(time.CLOCK_THREAD_CPUTIME_ID) - cpu_ns
    stat_end = schedstat_read(fd)
    if fd is not None:
        os.close(fd)
    return {
        "index": index, "pid": os.getpid(), "tid": thread_id(), "counted": counted,
        "begin_ns": begin_ns, "end_ns": end_ns, "cpu_ns": cpu_ns,
        "exec_ns": since(stat[0], stat_end[0]), "delay_ns": since(stat[1], stat_end[1]),
    }


def summed(t0_ns, done, manager_pid=None):
    """The result, when all workers have been joined; `done` is what work() returned, by index."""
    for index, worker in enumerate(done):
        if worker is None:
            raise RuntimeError("worker %d ended without a result" % index)
    counted = sum(worker["counted"] for worker in done)
    return {"counted": counted, "t0_ns": t0_ns, "t1_ns": now_ns(), "worker": done,
            "manager_pid": manager_pid}


def end_children():
    """Ends what multiprocessing has started: nothing is left running when a run fails."""
    if "multiprocessing" in sys.modules:
        for child in sys.modules["multiprocessing"].active_children():
            child.terminate()


def end_on_signals():
    """Ctrl-C and a plain kill end the children too, then this process by that very signal."""
    leader = os.getpid()

    def end(signum, _frame):
        if os.getpid() == leader:
            end_children()
        signal.signal(signum, signal.SIG_DFL)
        os.kill(os.getpid(), signum)

    signal.signal(signal.SIGINT, end)
    signal.signal(signal.SIGTERM, end)


def interpreter():
    name = sys.implementation.name.replace("cpython", "CPython")
    gil = getattr(sys, "_is_gil_enabled", lambda: True)()  # 3.13
    return {"interpreter": "%s %s" % (name, sys.version.split()[0]), "gil": gil}


def write_result(fd, result):
    data = json.dumps(result).encode() + b"\n"
    while data:
        data = data[os.write(fd, data):]


def reason(error):
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def fail(why):
    """One sentence, and out: threads that still count are not waited for."""
    end_children()
    sys.stderr.write("%s: %s\n" % (NAME, why))
    sys.stderr.flush()
    os._exit(1)


def main(run):
    count, workers, result_fd = (int(arg) for arg in sys.argv[3:6])
    end_on_signals()
    # As strategy_share(): an equal share each, and one more of the remainder for the first ones.
    shares = [count // workers + (index < count % workers) for index in range(workers)]
    try:
        result = run(shares)
        if result["counted"] != count:
            raise RuntimeError("counted %d instead of %d" % (result["counted"], count))
    except Exception as error:
        fail("cannot count with %d workers: %s" % (workers, reason(error)))
    result.update(interpreter(), name=NAME, workers=workers, count=count)
    try:
        write_result(result_fd, result)
    except OSError as error:
        fail("cannot write the result: " + reason(error))
