# SPDX-License-Identifier: GPL-2.0-only
"""A Python program that says what its stacks are, for every CPython from 3.8 on: frames.py FACTS-DIRECTORY [child | asleep].

Whenever it sleeps it has noted its own stack just before, on the same line: the sequence of each thread's sleeps is written to
FACTS/PID.json, {"tid": [[[name, file, first line, line], ... innermost first], ...]}. And it burns CPU in hot, warm and mild at
70, 20 and 10 %. The first sleep of a process that was executed is left out (it says [] there): whoever watches may need time.

With `asleep` each of its threads goes to sleep once, in another way, for a minute; when all do it writes FACTS/PID.json and says so.
"""
import asyncio
import contextlib
import functools
import json
import multiprocessing
import os
import subprocess
import sys
import threading
import time

NAP = 0.006  # whoever loses its CPU for so long on its way to sleep does not: the time is over
BURN = 1.2
notes = {}


def note(frame):
    stack = []
    while frame:
        code = frame.f_code
        stack.append([getattr(code, "co_qualname", code.co_name), code.co_filename, code.co_firstlineno, frame.f_lineno])
        frame = frame.f_back
    notes.setdefault(threading.get_native_id(), []).append(stack)


def point():
    note(sys._getframe()); time.sleep(NAP)  # noqa: E702


def write_facts():
    with open(os.path.join(sys.argv[1], "%d.json" % os.getpid()), "w") as out:
        json.dump(notes, out)


# ---- on the CPU ----


def burn(seconds):
    end = time.thread_time() + seconds
    x = 0
    while time.thread_time() < end:
        for i in range(300):
            x += i
    return x


def hot(unit):
    burn(7 * unit)


def warm(unit):
    burn(2 * unit)


def mild(unit):
    burn(unit)


def outer(unit):
    hot(unit)
    warm(unit)
    mild(unit)


def shares():
    for _ in range(20):
        outer(BURN / 200)


# ---- ways to be called ----


def recursion(depth):
    if depth:
        return (
            recursion(depth - 1)
        )
    return point()


def leaves():
    for i in range(3):
        point()
        yield i


def branches():
    yield from leaves()
    point()
    yield 3


def generators():
    for _ in branches():
        point()
    list(branches())


def key_function(x):
    if x == 2:
        point()
    return -x


def adds(a, b):
    point()
    return a + b


def callbacks():
    sorted([1, 2, 3], key=key_function)
    functools.partial(adds, 1)(2)
    functools.reduce(adds, [1, 2])
    list(map(lambda x: point(), [1]))
    return [point() for _ in range(2)]


class Thing:
    def __init__(self):
        point()

    def __lt__(self, other):
        point()
        return False

    @property
    def value(self):
        point()
        return 1

    @staticmethod
    def nothing():
        point()


@contextlib.contextmanager
def context():
    point()
    yield
    point()


def classes():
    a, b = Thing(), Thing()
    max(a, b)
    a.value
    Thing.nothing()
    with context():
        point()


MADE = """
def made():
%s    point()
    return 1
made()
"""


def made_codes():
    """Code objects of one name, file and first line at addresses that others have had."""
    for i in range(40):
        exec(compile(MADE % ("    0\n" * (i % 9)), "made-up", "exec"), {"point": point})


def foreign_names():
    for name in ("größe", "размер", "𐐀𐐁", "a" * 300):
        source = "def %s():\n    point()\n%s()\n" % (name, name)
        exec(compile(source, "/tmp/%s-\udcff.py" % name[:20], "exec"), {"point": point})


async def sleeper():
    point()
    await asyncio.sleep(0)
    point()


async def gatherer():
    await asyncio.gather(sleeper(), sleeper())
    await sleeper()


def long_function(name, lines):
    """Its line table takes many records, or is larger than what is kept of one."""
    body = "".join("    x = %d\n    if x < 0:\n        x += y * z\n" % i for i in range(lines // 3))
    exec(compile("def %s():\n%s    point()\n%s()\n" % (name, body, name), name, "exec"), {"point": point, "y": 1, "z": 2})


def everything():
    recursion(3)
    recursion(40)
    generators()
    callbacks()
    classes()
    made_codes()
    foreign_names()
    recursion(200)
    long_function("long_one", 4500)
    long_function("longer_one", 30000)
    point()


def in_thread():
    point()
    recursion(5)
    generators()


def threads():
    all_of_them = [threading.Thread(target=in_thread) for _ in range(4)]
    for thread in all_of_them:
        thread.start()
    for thread in all_of_them:
        thread.join()


def c_threads():
    """Threads that C has made: one calls Python, which then makes a thread state for it, and again; one never does."""
    try:
        import ctypes
    except ImportError:
        return
    libc = ctypes.CDLL(None)
    call = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p)(lambda _: point())
    thread = ctypes.c_ulong()
    for start, argument in ((call, None), (libc.usleep, 3000), (call, None)):
        libc.pthread_create(ctypes.byref(thread), None, start, ctypes.c_void_p(argument))
        libc.pthread_join(thread, None)


def waits_for_lock():
    held = threading.Lock()
    held.acquire()
    note(sys._getframe()); held.acquire()  # noqa: E702


def made_by_c():
    """As in c_threads(): it is never joined."""
    import ctypes
    libc = ctypes.CDLL(None)
    made_by_c.call = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p)(lambda _: point())
    libc.pthread_create(ctypes.byref(ctypes.c_ulong()), None, made_by_c.call, None)


def wait_for_notes(nr):
    while len(notes) < nr:
        time.sleep(0.01)
    time.sleep(0.1)  # from the note to the sleep


def all_asleep():
    global NAP
    NAP = 60
    ways = [point, lambda: recursion(3), lambda: recursion(40), lambda: recursion(200), generators, callbacks, classes, waits_for_lock,
            made_codes, foreign_names, lambda: long_function("long_one", 4500), lambda: long_function("longer_one", 30000)]
    for way in ways:
        threading.Thread(target=way, daemon=True).start()
    made_by_c()
    wait_for_notes(len(ways) + 1)
    if not os.fork():
        notes.clear()
        threading.Thread(target=lambda: recursion(2), daemon=True).start()
        wait_for_notes(1)
    note(sys._getframe()); write_facts(); print("asleep", flush=True); time.sleep(NAP)  # noqa: E702


def in_child(_):
    notes.clear()
    point()
    recursion(2)
    callbacks()
    write_facts()


def processes():
    fork = multiprocessing.get_context("fork")
    for i in range(3):
        child = fork.Process(target=in_child, args=(i,))
        child.start()
        child.join()


def executed():
    notes[threading.get_native_id()] = [[]]
    time.sleep(0.3)


def main():
    if sys.argv[2:] == ["asleep"]:
        all_asleep()
    executed()
    everything()
    if len(sys.argv) < 3:
        threads()
        c_threads()
        processes()
        asyncio.run(gatherer())
        subprocess.run([sys.executable, __file__, sys.argv[1], "child"], check=True)
        shares()
    write_facts()


if __name__ == "__main__":
    main()
