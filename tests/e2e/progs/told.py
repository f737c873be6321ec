# SPDX-License-Identifier: GPL-2.0-only
"""told.py LOG -TN: N threads (0: the first one itself) count for a while; then a line of JSON into LOG says how the program was run."""
import json
import os
import sys
import threading
import time

nr = int(os.environ.get("TOLD_THREADS") or sys.argv[2][2:])
affinity = {}


def count(me):
    until = time.monotonic() + 0.12
    while time.monotonic() < until:
        pass
    affinity[me] = sorted(os.sched_getaffinity(0))


if not nr:
    count(0)
threads = [threading.Thread(target=count, args=(i,)) for i in range(nr)]
for t in threads:
    t.start()
for t in threads:
    t.join()
line = {
    "main": sorted(os.sched_getaffinity(0)),
    "threads": [affinity[i] for i in range(nr)],
    "nice": os.getpriority(os.PRIO_PROCESS, 0),
    "policy": os.sched_getscheduler(0),
    "interval": sys.getswitchinterval(),
    "path": os.environ.get("PYTHONPATH"),
}
with open(sys.argv[1], "a") as log:
    log.write(json.dumps(line) + "\n")
