# SPDX-License-Identifier: GPL-2.0-only
"""py-threads: threading.Thread, one per share. To count, each needs the one interpreter lock."""
import threading


def run(shares):
    done = [None] * len(shares)

    def worker(index, share):
        done[index] = work(index, share)

    t0_ns = now_ns()
    threads = [threading.Thread(target=worker, args=pair) for pair in enumerate(shares)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return summed(t0_ns, done)


main(run)
