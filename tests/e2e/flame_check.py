# SPDX-License-Identifier: GPL-2.0-only
"""What must be so of any flame graph's file: well-formed (expat), nothing but text from names, and sums that are true.

usage: flame_check.py FILE [--total N] [--has NAME] [--stacks FILE.folded]

With --stacks, every view's frames are compared with sums made here from the folded file.
"""
import argparse
import json
import re
import sys
import xml.parsers.expat
from collections import defaultdict

SVG = "http://www.w3.org/2000/svg"
ALLOWED = {"svg", "title", "style", "defs", "pattern", "rect", "line", "g", "text", "path", "script"}
SMALLEST = 0.1  # of a pixel


class Document:
    """The elements' names, the scripts' texts by id, and all text of the static view."""

    def __init__(self, text):
        self.elements, self.scripts, self.texts, self.stack = [], {}, [], []
        self.attributes = set()
        parser = xml.parsers.expat.ParserCreate(namespace_separator=" ")
        parser.StartElementHandler = self.start
        parser.EndElementHandler = self.end
        parser.CharacterDataHandler = self.data
        parser.buffer_text = True
        parser.Parse(text, True)

    def start(self, name, attributes):
        namespace, _, local = name.rpartition(" ")
        assert namespace == SVG, name
        assert local in ALLOWED, f"there is an element <{local}>"
        self.attributes |= set(attributes)
        self.elements.append((local, attributes))
        self.stack.append((local, attributes.get("id", f"#{len(self.elements)}"), []))

    def data(self, text):
        self.stack[-1][2].append(text)

    def end(self, _):
        local, key, parts = self.stack.pop()
        if local == "script":
            self.scripts[key] = "".join(parts)
        if local in ("text", "title"):
            self.texts.append("".join(parts))


def read(path):
    with open(path, "rb") as file:
        data = file.read()
    if b"<!DOCTYPE html>" in data[:20]:
        data = re.search(rb"<svg .*</svg>\n", data, re.S).group()
    return Document(data)


def tree_of(view):
    """Each box's path (of names and kinds) and children."""
    paths, children, stack = [], defaultdict(list), []
    for i, depth in enumerate(view["depth"]):
        del stack[depth:]
        assert len(stack) == depth, f"box {i} has no parent"
        if depth:
            children[stack[-1]].append(i)
        paths.append(paths[stack[-1]] + (view["frame"][i],) if depth else ())
        stack.append(i)
    return paths, children


def check_view(view, width):
    """Children are within their parents, nothing is narrower than it may be, and there is one rest at most."""
    paths, children = tree_of(view)
    nr = len(paths)
    widths = view.get("width", view["value"])
    for key in view:
        assert len(view[key]) == nr, key
    least = widths[0] / width * SMALLEST
    for i in range(nr):
        below = children[i]
        for key in ("value", "count", "before"):
            if key in view:
                assert sum(view[key][c] for c in below) <= view[key][i], (key, i)
        assert sum(widths[c] for c in below) <= widths[i], i
        rests = [c for c in below if view["frame"][c] < 0]
        assert len(rests) <= 1 and (not rests or rests[0] == below[-1])
        if view["frame"][i] >= 0 and nr <= 300000:
            assert widths[i] >= least or i == 0, (i, widths[i], least)
        assert len(set(view["frame"][c] for c in below)) == len(below), "siblings of one name"
    return paths


def frame_kind(name):
    suffix = re.search(r"(?<=.)_\[([kipwtj])\]$", name)
    if suffix:
        return name[:-4], {"k": 1, "i": 3, "p": 2, "w": 4, "t": 5, "j": 0}[suffix[1]]
    if name == "[unknown]":
        return name, 6
    return name, 2 if re.search(r"\.py:\d+\)$", name) else 0


def prefix_sums(path, backwards):
    sums = defaultdict(int)
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            stack, _, number = line.rstrip("\n").rpartition(" ")
            frames = [frame_kind(name) for name in stack.split(";")]
            if backwards:
                frames.reverse()
            for depth in range(len(frames) + 1):
                sums[tuple(frames[:depth])] += int(number)
    return sums


def check_sums(document, data, number, folded):
    """Every frame has the sum of the stacks through it, and every frame that is wide enough is there."""
    view = json.loads(document.scripts[f"flame-view-{number}"])
    sums = prefix_sums(folded, data["views"][number]["reversed"])
    got = {}
    for i, path in enumerate(tree_of(view)[0]):
        if view["frame"][i] >= 0:
            got[tuple((data["names"][f >> 3], f & 7) for f in path)] = view["value"][i]
    for path, value in got.items():
        assert sums[path] == value, (path, value, sums[path])
    least = view.get("width", view["value"])[0] / data["width"] * SMALLEST
    for path, value in sums.items():
        assert path in got or value < least, (path, value)
    print(f"view {number}: {len(got)} of {len(sums)} frames")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("file")
    parser.add_argument("--total", type=int)
    parser.add_argument("--has", action="append", default=[])
    parser.add_argument("--stacks")
    args = parser.parse_args()
    document = read(args.file)
    data = json.loads(document.scripts["flame-data"])
    scripts = sum(1 for name, _ in document.elements if name == "script")
    assert scripts == len(data["views"]) + 3, f"{scripts} scripts"
    assert not any(key.startswith("on") or key in ("href", "src", "style") for key in document.attributes), document.attributes
    for number in range(len(data["views"])):
        view = json.loads(document.scripts[f"flame-view-{number}"])
        check_view(view, data["width"])
        if args.total is not None:
            assert view["value"][0] == args.total, view["value"][0]
        if args.stacks:
            check_sums(document, data, number, args.stacks)
    for name in args.has:
        assert name in data["names"], data["names"][:20]
    for text in data["names"] + [data["title"]] + document.texts:
        assert not re.search(r"[\x00-\x1f\x7f-\x9f\u202a-\u202e\ufffe\uffff]", text.replace("\n", "")), repr(text)


if __name__ == "__main__":
    sys.exit(main())
