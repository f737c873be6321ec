# SPDX-License-Identifier: GPL-2.0-only
"""Burns 70, 20 and 10 % in Python functions, one of them through sorted() and its key: "burn.py SECONDS"."""
import random
import sys
import time


def turn(n):
    x = 1
    for _ in range(n):
        x = (x * 31 + 7) & 0xFFFF
    return x


def seventy(times):
    turn(7 * times)


def by_key(i):
    turn(40)
    return i


def twenty(times):
    sorted(range(times // 20), key=by_key)


def ten(times):
    turn(times)


def work(seconds):
    took = {"seventy": 0, "twenty": 0, "ten": 0}
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        times = random.randrange(200, 4000)  # rounds of one length could keep step with the samples
        for f in seventy, twenty, ten:
            t = time.thread_time_ns()
            f(times)
            took[f.__name__] += time.thread_time_ns() - t
    for name, ns in took.items():
        print(name, ns)


if __name__ == "__main__":
    work(float(sys.argv[1]))
