#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""The frames of inlined functions and the lines, against addr2line and against the source: flame_inline.sh.

usage: oracle_inline.py OPTIONS PROGRAM SOURCE SCRIPT FOLDED

OPTIONS are those that FOLDED was written with: "", "inline", "lines" or "inline,lines". PROGRAM was linked to run where it is linked
to (-no-pie), so that addr2line takes the addresses as they were sampled: SCRIPT's. Exits with 78 if it may be by chance.
"""
import collections
import os
import re
import subprocess
import sys

SHARES = {"innermost": 0.75, "beside": 0.25}


def marks(source):
    """The numbers of the marked lines."""
    with open(source, encoding="utf-8") as lines:
        found = {m.group(1): nr for nr, line in enumerate(lines, 1) for m in [re.search(r"LINE: ([\w-]+) \*/", line)] if m}
    assert {"innermost", "middle", "beside", "outer-middle", "outer-beside", "main"} <= set(found), found
    return found


def sampled(script):
    """The program counters in user mode, and how often each was sampled."""
    pc_of, ids = {}, collections.Counter()
    with open(script, encoding="utf-8") as lines:
        for line in lines:
            if m := re.search(r" ustack id=(\w+) part=0 .* pc=(0x[0-9a-f]+)", line):
                pc_of[m[1]] = m[2]
            if m := re.search(r" calls about=sample .* user=(\w+) .*user_mode=1", line):
                ids[m[1]] += 1
    pcs = collections.Counter()
    for stack, times in ids.items():
        if stack in pc_of:
            pcs[pc_of[stack]] += times
    return pcs


def addr2line(program, pcs):
    """Of each address the frames, outermost first: (function, file:line)."""
    argv = ["addr2line", "-a", "-i", "-f", "-s", "-e", program]
    out = subprocess.run(argv, input="\n".join(pcs), capture_output=True, text=True, check=True).stdout.splitlines()
    found, at = {}, None
    while out:
        line = out.pop(0)
        if line.startswith("0x"):
            at = found[hex(int(line, 16))] = []
        else:
            at.insert(0, (line, re.sub(r" \(discriminator \d+\)$", "", out.pop(0))))
    return found


def program_frames(frames, inlined):
    """Of a stack those of the program and, when it was interrupted, not what the kernel did then."""
    names = [re.sub(r" \(.*", "", frame) for frame in frames]
    if "main" not in names:
        return None
    frames = frames[names.index("main"):]
    known = {"main", "outer"} | ({"middle", "innermost", "beside"} if inlined else set())
    return frames if {re.sub(r" \(.*", "", frame) for frame in frames} <= known else None


def main():
    asked, program, source, script, folded = sys.argv[1:]
    inlined, lines = "inline" in asked, "lines" in asked
    line, pcs, file = marks(source), sampled(script), os.path.basename(source)
    assert sum(pcs.values()) > 200, pcs

    # what addr2line says of the innermost frame's function, at the addresses that were sampled
    expected = set()
    for frames in addr2line(program, pcs).values():
        if frames[0][0] == "outer":
            if not inlined:  # the function itself, with the line that is executed
                frames = [(frames[0][0], frames[-1][1])]
            expected.add(tuple(f"{name} ({at})" if lines else name for name, at in frames))
    got, total = collections.Counter(), 0
    with open(folded, encoding="utf-8") as f:
        for text in f:
            stack, ns = text.rstrip("\n").rsplit(" ", 1)
            total += int(ns)
            frames = program_frames(stack.split(";"), inlined)
            if frames and len(frames) > 1:
                assert frames[0] == (f"main ({file}:{line['main']})" if lines else "main"), frames
                got[tuple(frames[1:])] += int(ns)
    print("addr2line:", sorted(expected))
    print("whyscale: ", sorted(got))
    assert set(got) == expected, set(got) ^ expected
    if sum(got.values()) < 0.9 * total:
        print(f"{sum(got.values())} of {total} ns is in the program")
        sys.exit(78)

    # what the source says
    burnt = {
        ("outer", "middle", "innermost"): ("outer-middle", "middle", "innermost"),
        ("outer", "beside"): ("outer-beside", "beside"),
    }
    if not inlined:
        assert {re.sub(r" \(.*", "", frame) for frames in got for frame in frames} == {"outer"}, got
    if inlined:
        shares = collections.Counter()
        for frames, ns in got.items():
            shares[re.sub(r" \(.*", "", frames[-1])] += ns
        print(dict(shares))
        for name, share in SHARES.items():
            if abs(shares[name] / sum(shares.values()) - share) > 0.02:
                sys.exit(78)
    if lines:
        for names, at in burnt.items():
            where = [(n if inlined else "outer", line[mark]) for n, mark in zip(names, at)]
            where = where if inlined else where[-1:]
            key = tuple(f"{name} ({file}:{nr})" for name, nr in where)
            assert key in got, key


main()
