# SPDX-License-Identifier: GPL-2.0-only
"""The flame graph in a real browser: every check is one function below, run in order on the page that it names.

usage: flame_browser.py DIRECTORY      with known.svg, known.html, tall.svg, threads.svg, diff.svg, hostile.svg, big.svg in it;
                                       off.svg, wake.svg, lock.svg, of a recording, where one can be made

Prints a line for each check, "ok NAME" or "not ok NAME: WHY"; screenshots are kept beside the files.

known.svg draws these stacks, so that every number here can be made by hand:
    main;work;compute 60     main;work;Compute_slow 10     main;read;vfs_read_[k] 25     other 5
"""
import os
import sys
import traceback

import flame_looks  # noqa: F401 its checks
from flame_driver import BACKSPACE, DOWN, ENTER, ESCAPE, HOME, LEFT, RIGHT, TAB, UP, Browser
from flame_page import CHECKS, Page, check, near, until


# ---- the graph that is drawn first ----

@check("known.svg", "widths are the shares")
def _(p):
    all_ = p.box("all")["width"]
    for name, share in (("main", 0.95), ("work", 0.70), ("compute", 0.60), ("vfs_read", 0.25), ("other", 0.05)):
        near(p.box(name)["width"] / all_, share, 0.002)


@check("known.svg", "children stand on their parents, the root at the bottom")
def _(p):
    assert p.box("all")["y"] > p.box("main")["y"] > p.box("work")["y"] > p.box("compute")["y"]
    near(p.box("work")["x"] + p.box("work")["width"], p.box("main")["x"] + p.box("main")["width"])


@check("known.svg", "a label says name, kind, samples and percentage")
def _(p):
    assert p.box("vfs_read")["label"] == "vfs_read, kernel, 25 samples, 25.0 % of all", p.box("vfs_read")["label"]


@check("known.svg", "colours tell the kind")
def _(p):
    assert "k1" in p.box("vfs_read")["kind"] and "k0" in p.box("main")["kind"]
    assert p.box("vfs_read")["fill"] != p.box("main")["fill"]


@check("known.svg", "the pointer shows a tooltip, and leaves none behind")
def _(p):
    box = p.box("compute")
    p.b.mouse(box["x"] + 20, box["y"] + 8)
    assert "compute" in p.tip() and "60 samples" in p.tip() and "60.0 % of all" in p.tip(), p.tip()
    p.b.mouse(600, 500)
    assert p.tip() is None, p.tip()


@check("known.svg", "nothing is asked of the network, nothing is complained about")
def _(p):
    assert p.b.run("return performance.getEntriesByType('resource').length") == 0
    assert not p.b.log(), p.b.log()


@check("tall.svg", "a graph that is taller than the window is seen from its top: title, buttons, what is to be said")
def _(p):
    seen = p.b.run("""
        const inside = e => { const r = e.getBoundingClientRect(); return r.top >= 0 && r.bottom <= innerHeight && r.left >= 0 && r.right <= innerWidth; };
        const bar = document.querySelector('.bar').getBoundingClientRect(), title = document.querySelector('text.title');
        return {scroll: scrollY, taller: document.documentElement.scrollHeight > innerHeight, title: inside(title) && title.getBoundingClientRect().top >= bar.bottom,
                buttons: [...document.querySelectorAll('.bar button:not([hidden]), .bar input')].every(inside)};""")
    assert seen == {"scroll": 0, "taller": True, "title": True, "buttons": True}, seen
    p.b.screenshot(f"{p.directory}/top.png")


@check("tall.svg", "in a narrow window the buttons and the heading go on below, and nothing is cut off")
def _(p):
    p.b.devtools("Emulation.setDeviceMetricsOverride", width=400, height=700, deviceScaleFactor=1, mobile=False)
    try:
        until(lambda: p.b.run("return innerWidth") == 400)
        p.key("/", "frame", ENTER)
        got = p.b.run("""
            const box = e => e.getBoundingClientRect(), bar = box(document.querySelector('.bar'));
            const lines = [...document.querySelectorAll('#flame-body > text')].flatMap(t => t.children.length ? [...t.children] : [t]);
            const graph = box(document.querySelector('#flame-graph')), all = lines.map(box);
            return {right: Math.max(...all.map(r => r.right), ...[...document.querySelectorAll('.bar > *:not([hidden])')].map(e => box(e).right)),
                    words: lines.map(l => l.textContent).join(' '), apart: all.every(r => r.top >= bar.bottom - 1 && r.bottom <= graph.top + 8),
                    inBar: [...document.querySelectorAll('.bar > *:not([hidden])')].every(e => box(e).bottom <= bar.bottom + 1)};""")
        assert got["right"] <= 400 and got["apart"] and got["inBar"], got
        assert "the last word of it" in got["words"] and p.status() == "matched 100 % of all", (got, p.status())
        p.b.screenshot(f"{p.directory}/narrow.png")
    finally:
        p.b.devtools("Emulation.clearDeviceMetricsOverride")


@check("known.svg", "a screen reader has a tree of frames, each with its name, level and numbers")
def _(p):
    nodes = [n for n in p.b.devtools("Accessibility.getFullAXTree")["nodes"] if not n.get("ignored")]
    items = {n["name"]["value"]: {q["name"]: q["value"].get("value") for q in n["properties"]}
             for n in nodes if n["role"]["value"] == "treeitem"}
    assert items["vfs_read, kernel, 25 samples, 25.0 % of all"]["level"] == 4 and len(items) == 8, items
    named = {(n["role"]["value"], n["name"]["value"]) for n in nodes if n.get("name")}
    assert {("tree", "Known shares"), ("button", "Reverse"), ("searchbox", "search, a regular expression")} <= named, named


# ---- zoom ----

@check("known.svg", "a click zooms, and its callers stay")
def _(p):
    p.click("work")
    near(p.box("work")["width"], p.box("all")["width"])
    assert "read" not in p.names() and "other" not in p.names() and "main" in p.names()
    near(p.box("compute")["width"] / p.box("work")["width"], 6 / 7, 0.002)
    assert "zoom=" in p.fragment() and "work: 70.0 % of all" in p.status(), p.status()
    assert "85.7 % of the zoomed frame" in p.box("compute")["label"]
    p.b.screenshot(f"{p.directory}/zoomed.png")


@check("known.svg", "Esc goes back to all")
def _(p):
    p.click("work")
    p.key(ESCAPE)
    assert "other" in p.names() and p.fragment() in ("", "#"), p.fragment()


@check("known.svg", "the browser's Back undoes a zoom, its Forward repeats it")
def _(p):
    p.click("work")
    p.click("compute")
    p.b.run("history.back()")
    until(lambda: "Compute_slow" in p.names())
    assert "other" not in p.names()
    p.b.run("history.back()")
    until(lambda: "other" in p.names())
    p.b.run("history.forward()")
    until(lambda: "other" not in p.names())


@check("known.svg", "the address brings a zoom and a search back")
def _(p):
    p.click("work")
    p.key("/", "slow", ENTER)
    fragment = p.fragment()
    p.load("known.svg", fragment)
    assert "other" not in p.names() and p.box("Compute_slow")["hit"]
    assert p.b.run("return document.querySelector('.bar input').value") == "slow"
    p.load("known.svg", "#zoom=99999&sort=nonsense&theme=%22%3E&reverse=7&threads=1&toString=1")
    assert "other" in p.names()


# ---- search ----

@check("known.svg", "search ignores case, and says the matched percentage")
def _(p):
    p.key("/", "compute")
    assert p.box("compute")["hit"] and p.box("Compute_slow")["hit"] and not p.box("work")["hit"]
    assert p.status() == "matched 70.0 % of all", p.status()
    p.key(ENTER)
    p.b.screenshot(f"{p.directory}/searched.png")


@check("known.svg", "... heeds case on request")
def _(p):
    p.key("/", "compute", ENTER, "c")
    assert p.box("compute")["hit"] and not p.box("Compute_slow")["hit"]
    assert p.status() == "matched 60.0 % of all" and "Aa" in p.pressed() and "case=1" in p.fragment()


@check("known.svg", "... by a regular expression")
def _(p):
    p.key("/", "^(vfs_|oth)", ENTER)
    assert p.box("vfs_read")["hit"] and p.box("other")["hit"] and not p.box("read")["hit"]
    assert p.status() == "matched 30.0 % of all", p.status()


@check("known.svg", "... counts a match within a match once")
def _(p):
    p.key("/", "work|compute", ENTER)
    assert p.status() == "matched 70.0 % of all", p.status()


@check("known.svg", "... says of the zoomed frame, too")
def _(p):
    p.click("work")
    p.key("/", "slow", ENTER)
    assert p.status() == "matched 10.0 % of all, 14.3 % of the zoomed frame", p.status()


@check("known.svg", "... says when it is no regular expression")
def _(p):
    p.key("/", "(")
    assert p.status() == "not a regular expression", p.status()
    p.key(")x")
    assert p.status() == "matched 0 % of all", p.status()


@check("known.svg", "Esc leaves the search, once more ends it")
def _(p):
    p.key("/", "compute", ESCAPE)
    assert p.box("compute")["hit"] and p.focused() == "all", p.focused()
    p.key(ESCAPE)
    assert not p.box("compute")["hit"] and p.status() == ""


@check("known.svg", "n and N go from match to match")
def _(p):
    p.key("/", "compute", ENTER, "n")
    first = p.focused()
    p.key("n")
    assert {first, p.focused()} == {"compute", "Compute_slow"}
    p.key("N")
    assert p.focused() == first


# ---- keys ----

@check("known.svg", "arrows move among the frames, with a tooltip")
def _(p):
    p.b.run("document.querySelector('g.f[tabindex=\"0\"]').focus()")
    p.key(UP)
    assert p.focused() == "main" and "95 samples" in p.tip(), (p.focused(), p.tip())
    p.key(UP)
    assert p.focused() == "work"
    p.key(LEFT)
    assert p.focused() == "read"
    p.key(RIGHT, UP)
    assert p.focused() == "compute"
    p.key(DOWN, DOWN, RIGHT)
    assert p.focused() == "other"
    assert p.b.run("return document.querySelectorAll('g.f[tabindex=\"0\"]').length") == 1


@check("known.svg", "Enter zooms, Backspace by one out, Home to all")
def _(p):
    p.b.run("document.querySelector('g.f[tabindex=\"0\"]').focus()")
    p.key(UP, UP, UP, ENTER)
    assert "Compute_slow" not in p.names() and p.focused() == "compute"
    p.key(BACKSPACE)
    assert "Compute_slow" in p.names() and "read" not in p.names()
    p.key(HOME)
    assert "other" in p.names()


@check("known.svg", "Tab goes to the graph, then to the tools, and every tool has a name")
def _(p):
    p.key(TAB)
    assert p.focused() == "all", p.focused()
    p.key(TAB)
    assert p.b.run("return document.activeElement.localName") == "input"
    seen = []
    for _ in range(6):
        p.key(TAB)
        seen.append(p.b.run("return document.activeElement.textContent"))
    assert seen == ["Aa", "Icicle", "Reverse", "By value", "Dark", "Keys"], seen
    titles = p.b.run("return [...document.querySelectorAll('.bar button')].map(b => b.title)")
    assert all("(key: " in title for title in titles), titles


@check("known.svg", "? shows the keys, Esc hides them")
def _(p):
    p.key("?")
    text = p.b.run("const h = document.querySelector('.help'); return h.getBoundingClientRect().height ? h.innerText : ''")
    for word in ("Esc", "Backspace", "arrows", "search", "icicle", "reverse", "dark"):
        assert word in text, (word, text)
    p.key(ESCAPE)
    assert p.b.run("return document.querySelector('.help').getBoundingClientRect().height") == 0


@check("known.svg", "i turns it into an icicle graph")
def _(p):
    p.key("i")
    assert p.box("all")["y"] < p.box("main")["y"] < p.box("work")["y"] and "Icicle" in p.pressed()
    p.b.run("document.querySelector('g.f[tabindex=\"0\"]').focus()")
    p.key(DOWN)
    assert p.focused() == "main"


@check("known.svg", "r reverses the stacks")
def _(p):
    p.key("r")
    all_ = p.box("all")
    near(p.box("compute")["width"] / all_["width"], 0.6, 0.002)
    near(p.box("compute")["y"], all_["y"] - 18)
    assert "Reverse" in p.pressed()
    p.key("r")
    near(p.box("main")["y"], p.box("all")["y"] - 18)


@check("known.svg", "s sorts by value")
def _(p):
    assert p.box("read")["x"] < p.box("work")["x"]
    p.key("s")
    assert p.box("work")["x"] < p.box("read")["x"] and "sort=value" in p.fragment()


# ---- dark ----

@check("known.svg", "dark where the system is, and by a key")
def _(p):
    light = p.box("main")["fill"]
    p.b.prefer("dark")
    dark = p.box("main")["fill"]
    assert dark != light
    until(lambda: p.b.run("return [...document.querySelectorAll('.bar button')].some(b => b.textContent === 'Light')"))
    p.key("d")
    assert p.box("main")["fill"] == light and "theme=light" in p.fragment()
    p.b.prefer("light")
    p.key("d")
    assert p.box("main")["fill"] == dark
    p.b.screenshot(f"{p.directory}/dark.png")


def main():
    directory, failed = os.path.abspath(sys.argv[1]), 0
    with Browser(1200, 800) as browser:
        page = Page(browser, directory)
        for file, name, function in CHECKS:
            if not os.path.exists(f"{directory}/{file}"):
                continue  # whoever calls says why
            try:
                browser.prefer("light")
                page.load(file)
                browser.log()
                function(page)
                print(f"ok {name}", flush=True)
            except Exception as error:  # every check is to be run
                where = traceback.extract_tb(error.__traceback__)[-1]
                failed += 1
                print(f"not ok {name}: {where.line}: {error}".replace("\n", " "), flush=True)
        page.load("known.svg")
        browser.screenshot(f"{directory}/light.png")
    return failed > 0


if __name__ == "__main__":
    sys.exit(main())
