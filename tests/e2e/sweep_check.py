#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Checks the JSON of `whyscale sweep`: sweep_check.py FILE [STATEMENT], the statement with `d` as the object.

The contract's keys and types, the arithmetic (speedups from times, stacks that sum to n, Karp and Flatt's fraction and what it is made of),
and the fits against one of our own: the best T(1) for given sigma and kappa is a mean, so the rest is a search in one or two dimensions
that knows nothing of derivatives. Exits with 1 and a line that says what is wrong.
"""
import json
import math
import re
import sys

CAUSES = "gil lock klock runqueue imbalance serial inflation spawn switching migration throttled io sync none".split()
SHARES = {"exclusive", "inflation", "run_queue", "start", "imbalance", "io_sleep", "other"}


def residuals(samples, sigma, kappa):
    """The sum of squares at the best T(1), and that T(1)."""
    logs = [math.log(t / ((1 + sigma * (n - 1) + kappa * n * (n - 1)) / n)) for n, t in samples]
    mean = math.fsum(logs) / len(logs)
    return math.fsum((x - mean) ** 2 for x in logs), math.exp(mean)


def section(f, low, high):
    """The smallest value of a function with one valley, by golden sections."""
    ratio = (math.sqrt(5) - 1) / 2
    for _ in range(90):
        a, b = high - ratio * (high - low), low + ratio * (high - low)
        if f(a) <= f(b):
            high = b
        else:
            low = a
    return min((low, high, (low + high) / 2), key=f)


def search(samples, usl):
    """sigma, kappa, the sum of squares there."""
    def best_sigma(kappa):
        grid = [i / 50 for i in range(51)]
        at = min(grid, key=lambda s: residuals(samples, s, kappa)[0])
        return section(lambda s: residuals(samples, s, kappa)[0], max(0, at - 0.02), min(1, at + 0.02))

    if not usl:
        sigma = best_sigma(0)
        return sigma, 0.0, residuals(samples, sigma, 0)[0]
    grid = [0.0] + [10 ** (i / 10 - 6) for i in range(0, 81)]
    cost = [residuals(samples, best_sigma(k), k)[0] for k in grid]
    at = cost.index(min(cost))
    kappa = section(lambda k: residuals(samples, best_sigma(k), k)[0], grid[max(0, at - 1)], grid[min(len(grid) - 1, at + 1)])
    sigma = best_sigma(kappa)
    return sigma, kappa, residuals(samples, sigma, kappa)[0]


def near(a, b, tolerance, what):
    assert abs(a - b) <= tolerance, (what, a, b)


def standard_error(samples, sigma):
    """Of Amdahl's s: the residual over the spread of the derivatives of ln T(n), which are differences here."""
    step = 1e-6
    slopes = [(math.log(1 + (sigma + step) * (n - 1)) - math.log(1 + (sigma - step) * (n - 1))) / (2 * step) for n, _ in samples]
    mean = math.fsum(slopes) / len(slopes)
    variance = residuals(samples, sigma, 0)[0] / (len(samples) - 2)
    return math.sqrt(variance / math.fsum((x - mean) ** 2 for x in slopes))


def check_fit(fit, samples, base_ns, usl):
    name = "usl" if usl else "amdahl"
    distinct, parameters = len({n for n, _ in samples}), 3 if usl else 2
    value = fit["sigma" if usl else "serial"]
    if distinct < parameters:
        assert value is None and fit["gamma"] is None and fit["why"] and len(fit["why"]) > 10, (name, fit)
        return
    sigma, kappa, rss = search(samples, usl)
    got = residuals(samples, value, fit["kappa"] if usl else 0)[0]
    assert 0 <= value <= 1 and (not usl or fit["kappa"] >= 0), (name, fit)
    assert got <= rss * (1 + 1e-6) + 1e-12, (name, got, rss, value, sigma, kappa)
    near(value, sigma, 2e-3 if usl else 1e-4, name)
    near(base_ns / residuals(samples, value, fit["kappa"] if usl else 0)[1], fit["gamma"], 1e-6, "gamma")
    se = fit["se"]["sigma"] if usl else fit["se"]
    if len(samples) == parameters:
        assert se is None and fit["why"], (name, fit)
    elif not usl and not fit["at_bound"] and 0.01 < value < 0.99:
        near(se, standard_error(samples, value), 1e-3 * se + 1e-9, "standard error")
    if usl and fit["peak_n"] is not None:
        near(fit["peak_n"], math.sqrt((1 - value) / fit["kappa"]), 1e-6 * fit["peak_n"], "peak")


def check_numbers(f):
    """Every number in a finding's sentence is in its evidence, as it is printed there or in one of its words."""
    text, values = re.sub(r"n ?= ?\d+(?![\d.]*\d)", " ", f["sentence"]), f["evidence"].values()
    for word in [w for w in values if isinstance(w, str)]:
        text = text.replace(word, " ")
    for number in re.findall(r"\d+(?:\.\d+)?", text):
        digits = len(number.partition(".")[2])
        assert any("%.*f" % (digits, abs(v)) == number for v in values
                   if isinstance(v, (int, float)) and not isinstance(v, bool)), (number, f)


def check_findings(findings):
    for f in findings:
        for key in "cause lost_ns lost_speedup sentence evidence remedy bound".split():
            assert key in f, (key, f)
        assert f["cause"] in CAUSES and f["sentence"] and isinstance(f["evidence"], dict), f
        check_numbers(f)
    lost = [f["lost_ns"] for f in findings]
    assert lost == sorted(lost, reverse=True), lost


def check_inflation(p, base):
    """What inflation is made of sums to it, to the nanosecond; an interval holds its value, and what remains has one when any part has."""
    s = p["inflation_split"]
    if p is base:
        assert s is None, s
        return
    parts = {k: s[k] for k in "shared switches migrations steal instructions ipc unexplained".split()}
    known = {k: v for k, v in parts.items() if v}
    assert "unexplained" in known and sum(v["ns"] for v in known.values()) == s["total_ns"], s
    near(s["total_ns"] / p["wall_ns"], p["stack"]["inflation"], 1e-9, "inflation")
    assert all(v["low_ns"] <= v["ns"] <= v["high_ns"] for v in known.values()), s
    assert known["unexplained"]["estimate"] == any(v["estimate"] for k, v in known.items() if k != "unexplained"), s
    if p["capacity"] and p["stack"]["useful"]:
        together = s["cpu_time_together"]
        assert together["cpus"] == p["capacity"]["measured_on"] and 0 < together["min"] <= together["times"] <= together["max"], together


def check_point(p, base, bpf):
    n = p["n"]
    check_findings(p["findings"])
    if p.get("failed"):
        assert "wall_ns" not in p, p
        return
    for key in "wall_ns speedup efficiency stack findings walls_ns karp_flatt fitted".split():
        assert key in p, (n, key)
    walls = sorted(p["walls_ns"])
    assert p["wall_ns"] == walls[(len(walls) - 1) // 2], (n, walls)
    assert p["wall_min_ns"] == walls[0] and p["wall_max_ns"] == walls[-1]
    assert all(isinstance(w, int) and w > 0 for w in walls), walls
    near(p["speedup"], base["wall_ns"] / p["wall_ns"], 1e-9, "speedup")
    near(p["efficiency"], p["speedup"] * base["n"] / n, 1e-9, "efficiency")
    near(math.fsum(p["stack"].values()), n, 1e-9 * n, "stack")
    check_inflation(p, base)
    if base["n"] != 1 or n == 1:
        assert p["karp_flatt"] is None and p["lost_shares"] is None, p
        return
    near(p["karp_flatt"], (1 / p["speedup"] - 1 / n) / (1 - 1 / n), 1e-9, "Karp-Flatt")
    if bpf:
        assert set(p["lost_shares"]) == SHARES
        near(math.fsum(p["lost_shares"].values()), p["karp_flatt"], 1e-9, "shares")
        assert 0 <= p["exclusive_ns"] <= n * p["wall_ns"], p


def check(d):
    assert d["schema"] == "whyscale.sweep/1"
    for key in "schema command points fit findings".split():
        assert key in d, key
    assert isinstance(d["command"], list) and all(isinstance(w, str) for w in d["command"])
    points = d["points"]
    assert [p["n"] for p in points] == sorted({p["n"] for p in points})
    good = [p for p in points if not p.get("failed")]
    check_findings(d["findings"])
    for p in points:
        check_point(p, good[0] if good else None, d["bpf"])
    assert d["fit"]["karp_flatt"] == [p.get("karp_flatt") for p in points]
    samples = [(p["n"], w) for p in good if p["fitted"] for w in p["walls_ns"]]
    if good:
        check_fit(d["fit"]["amdahl"], samples, good[0]["wall_ns"], False)
        check_fit(d["fit"]["usl"], samples, good[0]["wall_ns"], True)
        worth = [(p["worth"], w) for p in good if p["fitted"] for w in p["walls_ns"]]
        check_fit(d["fit"]["capacity_divided"]["amdahl"], worth, good[0]["wall_ns"], False)


def main():
    text = open(sys.argv[1], encoding="utf-8").read()
    assert "NaN" not in text and "Infinity" not in text
    d = json.loads(text)
    check(d)
    exec(sys.argv[2] if len(sys.argv) > 2 else "", {"d": d, "by": {p["n"]: p for p in d["points"]}, "near": near, "math": math})


if __name__ == "__main__":
    main()
