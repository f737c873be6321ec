# SPDX-License-Identifier: GPL-2.0-only
"""py-single: one thread, the interpreter's own, counts everything. The Python baseline."""


def run(shares):
    t0_ns = now_ns()
    done = [work(index, share) for index, share in enumerate(shares)]
    return summed(t0_ns, done)


main(run)
