# SPDX-License-Identifier: GPL-2.0-only
"""dozing.py threads|processes N TIMES MS: N of them, each TIMES times asleep for MS with the interpreter's lock held, whatever else runs."""
import ctypes
import os
import sys
import threading

how, nr, times, ms = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
libc = ctypes.PyDLL(None)  # unlike CDLL's, its functions are called with the lock held


def doze():
    for _ in range(times):
        libc.usleep(ms * 1000)


if how == "threads":
    threads = [threading.Thread(target=doze) for _ in range(nr)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
else:
    for _ in range(nr):
        if not os.fork():
            doze()
            os._exit(0)
    for _ in range(nr):
        os.wait()
