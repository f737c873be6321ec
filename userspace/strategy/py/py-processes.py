# SPDX-License-Identifier: GPL-2.0-only
"""py-processes: multiprocessing.Process, one per share, each with an interpreter lock of its own.

They answer through a Manager's dict, as in the article: a further process that holds the dict and
counts nothing. The clock starts when it is there. "fork" is named because Python 3.14 no longer
takes it by default.
"""
import multiprocessing


def worker(index, share, done):
    done[index] = work(index, share)


def run(shares):
    context = multiprocessing.get_context("fork")
    with context.Manager() as manager:
        done = manager.dict()
        t0_ns = now_ns()
        processes = [context.Process(target=worker, args=(index, share, done))
                     for index, share in enumerate(shares)]
        for process in processes:
            process.start()
        for process in processes:
            process.join()
        by_index = done.copy()
        manager_pid = getattr(getattr(manager, "_process", None), "pid", None)
        return summed(t0_ns, [by_index.get(index) for index in range(len(shares))], manager_pid)


main(run)
