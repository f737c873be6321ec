# SPDX-License-Identifier: GPL-2.0-only
"""py-thread-pool: concurrent.futures.ThreadPoolExecutor.

The pool decides which of its threads takes a share: a quick one may take two.
"""
import concurrent.futures


def run(shares):
    t0_ns = now_ns()
    pool = concurrent.futures.ThreadPoolExecutor(max_workers=len(shares))
    futures = [pool.submit(work, index, share) for index, share in enumerate(shares)]
    concurrent.futures.wait(futures)
    done = [future.result() for future in futures]
    pool.shutdown()
    return summed(t0_ns, done)


main(run)
