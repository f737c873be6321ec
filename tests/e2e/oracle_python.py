# SPDX-License-Identifier: GPL-2.0-only
"""Checks the Python stacks of a recording of progs/frames.py: oracle_python.py SCRIPT-OUTPUT FACTS-DIRECTORY [asleep].

Runs under the interpreter that was recorded, and lets that decode the line tables. What must hold:
- the stacks at which a thread slept are the ones that it noted, all frames of all of them, in their order;
- a stack has a place where it can begin, and each function calls the next one in the program's text;
- hot, warm and mild have 70, 20 and 10 % of the samples;
- whoever was called from C, and nobody else, entered the interpreter's loop anew (before 3.11 everybody did).
Exits with 78 where it may be by chance that this does not hold.
With `asleep`: each of its threads sleeps since before the recording, at the one stack that it noted last.
"""
import collections
import json
import os
import re
import sys

MINOR = sys.version_info[1]
SLEEPS = ("clock_nanosleep", "nanosleep", "select", "pselect6")
FROM_C = {"key_function", "Thing.__lt__", "callbacks.<locals>.<lambda>"}
FROM_PYTHON = {"hot", "warm", "mild", "outer", "recursion", "burn", "everything"}
ME = os.path.join(os.path.dirname(os.path.abspath(__file__)), "progs", "frames.py")
problems = []
chance = []  # threads that may have slept less often than they noted


def bad(text):
    problems.append(text)


def lines_of(code):
    """[(first byte, byte behind the last, line)] of a line table, as this interpreter reads it."""
    table = code["table"]
    if MINOR >= 10:
        made = lines_of.__code__.replace(co_linetable=table, co_firstlineno=code["line"])
        return list(made.co_lines())
    at, line, found = 0, code["line"], []
    for step, up in zip(table[0::2], table[1::2]):
        found.append((at, at + step, line))
        at += step
        line += up - 256 if up >= 128 else up
    return found + [(at, at if code["cut"] else 1 << 30, line)]


def line_at(code, at):
    """None: the table does not say, or its end is not there."""
    for start, end, line in code["lines"]:
        if start <= at < end:
            return line
    return None


class Recording:
    def __init__(self, path):
        self.parts, self.codes, self.stacks, self.cut = {}, {}, {}, set()
        self.sleeps, self.samples, self.calls, self.missing = collections.defaultdict(list), [], {}, 0
        self.before = {}  # the last wait's, by tid
        with open(path, errors="surrogateescape") as lines:
            for line in lines:
                self.take(line.rstrip("\n").split(" "))

    def whole(self, cpu, kv, part):
        parts = self.parts.setdefault((cpu, kv["id"]), {})
        parts[int(kv["part"])] = part
        return [parts[i] for i in range(len(parts))] if len(parts) == int(kv["parts"]) else None

    def take(self, words):
        kv = dict(word.split("=", 1) for word in words if "=" in word)
        kind = words[3] if len(words) > 3 else ""
        if kind == "pycode":
            self.take_code(kv, self.whole(words[1], kv, bytes.fromhex(kv["hex"])))
        elif kind == "pystack":
            parts = self.whole(words[1], kv, kv["frames"])
            if parts:
                self.stacks[kv["id"]] = [re.match(r"(\w+)\+(\d+)(!?)", one).groups() for one in ",".join(parts).split(",")]
            if "cut" in kv:
                self.cut.add(kv["id"])
        elif kind == "calls":
            self.take_calls(words, kv)
        elif kind == "switch" and kv["state"] == "S" and kv.get("syscall") in SLEEPS:
            tid = re.search(r"(\d+)$", kv["prev"])[1]
            self.sleeps[tid].append(self.calls.pop((words[1], "off"), None))

    def take_code(self, kv, parts):
        if not parts:
            return
        text = b"".join(parts)
        if len(text) != int(kv["bytes"]):
            bad("a code object of %d bytes says %s" % (len(text), kv["bytes"]))
        name, file, table = text.split(b"\0", 2)
        code = {"name": name.decode(), "file": file.decode(errors="surrogateescape"), "line": int(kv["line"]), "table": table,
                "cut": "cut" in kv, "python": kv["version"]}
        code["lines"] = lines_of(code)
        self.codes[kv["id"]] = code

    def take_calls(self, words, kv):
        stack = kv.get("python")
        self.missing += "no_python" in kv
        if kv["about"] == "off":
            self.before[words[2].split("/")[-1]] = stack
            self.calls[(words[1], "off")] = stack
        elif kv["about"] == "sample" and stack:
            self.samples.append(stack)

    def frames(self, stack):
        """[name, file, first line, line] of each frame."""
        out = []
        for code, at, _ in self.stacks.get(stack, ()):
            code = self.codes[code]
            line = line_at(code, int(at))
            out.append([code["name"], code["file"], code["line"], "cut" if line is None and code["cut"] else line])
        return out


def check_sleeps(rec, facts):
    seen = 0
    for name in os.listdir(facts):
        with open(os.path.join(facts, name)) as notes:
            for tid, noted in json.load(notes).items():
                seen += check_thread(rec, tid, noted)
    print("# %d sleeps" % seen)
    if seen < 100:
        bad("only %d sleeps" % seen)


def as_cut(stack):
    """What can be known of a name that is too long."""
    return [[name.encode()[:255].decode(errors="ignore"), *rest] for name, *rest in stack]


def check_thread(rec, tid, noted):
    got = rec.sleeps.get(tid, [])
    if len(got) != len(noted):
        bad("thread %s slept %d times, %d are recorded" % (tid, len(noted), len(got)))
        # whoever loses its CPU for 2 ms within nanosleep() finds the time over, and does not sleep
        chance.extend([tid] if len(got) < len(noted) else [])
    for i, (stack, note) in enumerate(zip(got, noted)):
        if note:
            check_stack(rec, "thread %s, sleep %d" % (tid, i), stack, note)
    return len(noted)


def check_stack(rec, what, stack, note):
    frames = rec.frames(stack)
    want = as_cut(note)
    for a, b in zip(frames, want):
        if a[3] == "cut" and a[0] == "longer_one":
            b[3] = "cut"
    if stack in rec.cut:
        want = want[:len(frames)]
    if frames != want:
        bad("%s: recorded %s\n    said %s" % (what, frames, want))


def check_before(rec, facts):
    seen = 0
    for name in os.listdir(facts):
        with open(os.path.join(facts, name)) as notes:
            for tid, noted in json.load(notes).items():
                check_stack(rec, "thread %s of %s" % (tid, name), rec.before.get(tid), noted[-1])
                seen += 1
    print("# %d threads" % seen)
    if len(os.listdir(facts)) != 2 or seen != 16:
        bad("%d threads" % seen)


def check_possible(rec):
    """In frames of the program's file the caller's text, in its function, has the callee's name."""
    with open(ME) as lines:
        text = lines.read().split("\n")
    roots = collections.Counter()
    for stack in set(rec.samples) - rec.cut:
        frames = [frame for frame in rec.frames(stack) if frame[1].endswith("frames.py")]
        for (name, _, _, _), (_, _, _, line) in zip(frames, frames[1:]):
            short = name.split(".")[-1]
            if short not in text[line - 1] and not re.match(r"<|__|key_|adds|value|leaves|branches|in_|context|sleeper|gatherer", short):
                bad("line %d does not call %s: %s" % (line, name, text[line - 1]))
        if frames:
            roots[frames[-1][0]] += 1
    strange = {root.split(".")[-1] for root in roots} - {"<module>", "in_thread", "<lambda>", "gatherer", "sleeper"}
    if strange:
        bad("stacks begin in %s" % strange)


def check_shares(rec):
    counts = collections.Counter()
    for stack in rec.samples:
        for name, file, _, _ in rec.frames(stack):
            if name in ("hot", "warm", "mild") and file.endswith("frames.py"):
                counts[name] += 1
                break
    total = sum(counts.values())
    print("# %d samples %s" % (total, dict(counts)))
    if total < 500:
        bad("only %d samples" % total)
    for name, share in (("hot", 70), ("warm", 20), ("mild", 10)):
        if total and abs(100 * counts[name] / total - share) > 4:
            bad("%s has %.1f %% of the samples, not %d" % (name, 100 * counts[name] / total, share))


def check_entries(rec):
    for stack in rec.stacks.values():
        for code, _, entry in stack:
            name = rec.codes[code]["name"]
            if name.split(".")[-1] in FROM_C | FROM_PYTHON or name in FROM_C:
                if bool(entry) != (MINOR < 11 or name in FROM_C):
                    bad("%s is %sa new loop" % (name, "" if entry else "not "))


def main():
    rec = Recording(sys.argv[1])
    if sys.argv[3:] == ["asleep"]:
        check_before(rec, sys.argv[2])
    else:
        check_sleeps(rec, sys.argv[2])
        check_possible(rec)
        check_shares(rec)
        check_entries(rec)
    versions = {code["python"] for code in rec.codes.values()}
    if versions != {"3.%d" % MINOR} and sys.argv[3:] != ["asleep"]:  # there it may be the whole machine
        bad("versions %s" % versions)
    print("# %d codes, %d stacks, %d not readable" % (len(rec.codes), len(rec.stacks), rec.missing))
    for text in problems[:10]:
        print(text)
    return 78 if chance else 1 if problems else 0


sys.exit(main())
