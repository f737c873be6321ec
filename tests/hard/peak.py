# SPDX-License-Identifier: GPL-2.0-only
"""peak.py OUT COMMAND...: runs a recording and writes how much memory the recorder had at most, as the kernel has it.

OUT is {"hwm_kb": the largest resident memory, "maps_bytes": what its BPF maps take, "looks": how often both were read}. The
recorder is the process called whyscale below COMMAND (timeout may stand before it). The exit status is the command's.
"""
import json
import os
import signal
import subprocess
import sys
import time

HELD = {}


def name_of(pid):
    try:
        with open(f"/proc/{pid}/comm", encoding="utf-8", errors="replace") as file:
            return file.read().strip()
    except OSError:
        return ""


def recorder_of(pid):
    """The first one called whyscale, from a process down by its first children."""
    for _ in range(4):
        if name_of(pid) == "whyscale":
            return pid
        try:
            with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
                pid = int(file.read().split()[0])
        except (OSError, IndexError):
            return 0
    return 0


def look(pid):
    """Of one that is a fork of the recorder the numbers would be those of the recorder; only the latter is looked at."""
    with open(f"/proc/{pid}/status", encoding="utf-8", errors="replace") as file:
        for line in file:
            if line.startswith("VmHWM:"):
                HELD["hwm_kb"] = max(HELD["hwm_kb"], int(line.split()[1]))
    maps = {}
    for fd in os.listdir(f"/proc/{pid}/fdinfo"):
        try:
            with open(f"/proc/{pid}/fdinfo/{fd}", encoding="ascii") as file:
                fields = dict(line.split(":", 1) for line in file if ":" in line)
        except OSError:
            continue
        if "map_id" in fields and "memlock" in fields:
            maps[int(fields["map_id"])] = int(fields["memlock"])
    HELD["maps_bytes"] = max(HELD["maps_bytes"], sum(maps.values()))
    HELD["looks"] += 1


def main():
    HELD.update(hwm_kb=0, maps_bytes=0, looks=0)
    with subprocess.Popen(sys.argv[2:]) as command:
        signal.signal(signal.SIGTERM, lambda *_: command.terminate())
        recorder = 0
        while command.poll() is None:
            recorder = recorder or recorder_of(command.pid)
            try:
                if recorder:
                    look(recorder)
            except OSError:
                pass
            time.sleep(0.01 if HELD["looks"] < 20 else 0.05)
        status = command.returncode
    with open(sys.argv[1], "w", encoding="ascii") as out:
        json.dump(HELD, out)
    sys.exit(status if status >= 0 else 128 - status)


main()
