# SPDX-License-Identifier: GPL-2.0-only
"""What the checks of a flame graph in a browser share: the list of them, and what can be asked of the page."""
import re
import time

CHECKS = []


def check(page, name):
    return lambda function: CHECKS.append((page, name, function))


class Page:
    """What can be asked of the graph that is open."""

    def __init__(self, browser, directory):
        self.b, self.directory = browser, directory

    def load(self, name, fragment=""):
        self.b.open("about:blank")
        self.b.open(f"file://{self.directory}/{name}{fragment}")
        assert self.b.run("return document.querySelector('svg.flame').dataset.ready") == "1", self.b.log()

    def labels(self):
        return self.b.run("return [...document.querySelectorAll('g.f')].map(g => g.getAttribute('aria-label'))")

    def names(self):
        return {re.sub(r",.*", "", label) for label in self.labels()}

    def box(self, name):
        """The first frame of that name: its place on the screen, class, and whether it is highlighted."""
        return self.b.run("""
            const g = [...document.querySelectorAll('g.f')].find(e => e.getAttribute('aria-label').split(',')[0] === arguments[0]);
            if (!g) return null;
            const r = g.querySelector('rect.box'), at = r.getBoundingClientRect();
            return {x: at.x, y: at.y, width: at.width, kind: r.getAttribute('class'), hit: g.classList.contains('hit'),
                    fill: getComputedStyle(r).fill, label: g.getAttribute('aria-label')};""", name)

    def click(self, name):
        box = self.box(name)
        self.b.mouse(box["x"] + box["width"] / 2, box["y"] + 8, click=True)

    def focused(self):
        return (self.b.run("return document.activeElement.getAttribute('aria-label')") or "").split(",")[0]

    def status(self):
        return self.b.run("return document.querySelector('.bar output').textContent")

    def tip(self):
        return self.b.run("const t = document.querySelector('.tip'); return t.getBoundingClientRect().width ? t.innerText : null")

    def fragment(self):
        return self.b.run("return location.hash")

    def pressed(self):
        return set(self.b.run("return [...document.querySelectorAll('.bar [aria-pressed=true]')].map(b => b.textContent)"))

    def key(self, *keys):
        self.b.key(*keys)


def near(got, expected, by=1.5):
    assert abs(got - expected) <= by, f"{got}, not {expected}"


def until(what, seconds=5):
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "it does not come true"
        time.sleep(0.05)
