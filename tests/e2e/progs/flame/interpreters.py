# SPDX-License-Identifier: GPL-2.0-only
"""interpreters.py SECONDS: one thread burns in functions of three interpreters, the second called by the first and the third by the second.

   <module> -> outer -> in_first                              50 % of SECONDS
                     -> call -> <module> -> in_second         30 %
                                         -> call -> <module> -> in_third   20 %

Prints "FUNCTION NANOSECONDS" of what they took. Exit status 77: there are no such interpreters.
"""
import sys
import time

CODE = """
import time
try:
    import _interpreters as module
except ImportError:
    import _xxsubinterpreters as module

def burn(name, seconds, say):
    begin = time.thread_time_ns()
    end, n = begin + int(seconds * 1e9), 0
    while time.thread_time_ns() < end:
        for _ in range(2000):
            n += 1
    say(name, time.thread_time_ns() - begin)

def tell(name, ns):
    print(name, ns, flush=True)

def in_first(seconds):
    burn("in_first", seconds, tell)

def in_second(seconds):
    burn("in_second", seconds, tell)

def in_third(seconds):
    burn("in_third", seconds, tell)

def call(more):
    id_ = module.create()
    module.run_string(id_, CODE + more)
    module.destroy(id_)
"""


def outer(seconds):
    here["in_first"](0.25 * seconds)
    here["call"]("CODE = %r\nin_second(%r)\ncall('in_third(%r)')\n" % (CODE, 0.3 * seconds, 0.2 * seconds))
    here["in_first"](0.25 * seconds)


here = {"CODE": CODE}
try:
    exec(compile(CODE, "first", "exec"), here)  # pylint: disable=exec-used
except ImportError:
    sys.exit(77)
outer(float(sys.argv[1]))
