# SPDX-License-Identifier: GPL-2.0-only
"""py-process-pool: concurrent.futures.ProcessPoolExecutor.

Shares and results travel through the pool's queues. "fork" is named because Python 3.14 no longer
takes it by default; 3.6 has no such argument, and forks.
"""
import concurrent.futures
import multiprocessing


def run(shares):
    context = {}
    if sys.version_info >= (3, 7):
        context["mp_context"] = multiprocessing.get_context("fork")
    t0_ns = now_ns()
    pool = concurrent.futures.ProcessPoolExecutor(max_workers=len(shares), **context)
    futures = [pool.submit(work, index, share) for index, share in enumerate(shares)]
    concurrent.futures.wait(futures)
    done = [future.result() for future in futures]
    pool.shutdown()
    return summed(t0_ns, done)


main(run)
