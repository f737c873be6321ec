#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# whyscale run: the strategies, recorded and explained. Its JSON is a contract that other programs rely on; the speedups must follow
# from the times, the stacks must sum to the workers, and nothing may be claimed that could not be seen.
# shellcheck source=tests/lib.sh disable=SC2317,SC2016 # functions are called through ok; single quotes are for the inner shell
. "$(dirname "$0")/../lib.sh"

cd "$TMP" || exit 1
cat >check.py <<'END'
import json, math, os, re, sys

CLASSES = ("oncpu runq_preempted runq_wakeup throttled lock gil klock sync io sleep stopped blocked_other "
           "untracked").split()
def numbers(text):
    return re.findall(r"\d+(?:\.\d+)?", text)


def check_numbers(name, f):
    """Every number in the sentence is in the evidence, as it is printed there or in one of its words."""
    text, values = f["sentence"], f["evidence"].values()
    for word in [w for w in values if isinstance(w, str)] + [s["name"] for s in d["strategies"]]:
        text = text.replace(word, " ")
    for number in numbers(text):
        digits = len(number.partition(".")[2])
        assert any("%.*f" % (digits, v) == number for v in values if isinstance(v, (int, float)) and not isinstance(v, bool)), (
            name, number, f)


CAUSES = "gil lock klock runqueue imbalance serial inflation spawn switching migration throttled io sync none".split()
d = json.load(open("run.json"))
by = {s["name"]: s for s in d["strategies"]}
done = [s for s in d["strategies"] if not s.get("skipped")]

assert d["schema"] == "whyscale.run/1"
assert d["machine"]["cpus"] >= 1 and d["machine"]["kernel"]
for s in done:
    name = s["name"]
    for key in "name workers count counted wall_ns baseline speedup stack ledger switches migrations audit findings".split():
        assert key in s, (name, key)
    assert s["counted"] == s["count"], name
    assert s["workers"] == 1 or not name.endswith("-single"), name
    assert isinstance(s["wall_ns"], int) and s["wall_ns"] > 0, name
    assert math.isclose(math.fsum(s["stack"].values()), s["workers"], rel_tol=1e-9), (name, s["stack"])
    assert sorted(s["ledger"]) == sorted(CLASSES) and all(isinstance(v, int) and v >= 0 for v in s["ledger"].values()), name
    if s["baseline"] is not None:
        assert math.isclose(s["speedup"], s["baseline"] / s["wall_ns"], rel_tol=1e-6), (name, s["speedup"])
    assert s["findings"], name
    for f in s["findings"]:
        for key in "cause lost_ns lost_speedup sentence evidence remedy bound".split():
            assert key in f, (name, key)
        assert f["cause"] in CAUSES and f["sentence"] and isinstance(f["evidence"], dict), f
        assert isinstance(f["lost_ns"], int) and f["lost_ns"] >= 0, f
        check_numbers(name, f)
    lost = [f["lost_ns"] for f in s["findings"]]
    assert lost == sorted(lost, reverse=True), (name, lost)
    # no loss is told twice
    worked = s["stack"]["useful"] + min(0, s["stack"]["inflation"])
    assert sum(lost) <= (s["workers"] - worked) * s["wall_ns"] * (1 + 1e-9) + 1, (name, lost, s["stack"])
    if d["bpf"]:
        assert s["audit"]["switches"]["result"] in ("ok", "missed"), (name, s["audit"])
        assert s["audit"]["migrations"]["result"] in ("ok", "missed"), (name, s["audit"])
        assert s["ledger"]["oncpu"] > 0, name
        assert s["switches"]["voluntary"] > 0 or s["switches"]["involuntary"] > 0, name
    if len(s.get("worker", [])):
        assert len(s["worker"]) == s["workers"] and sum(w["counted"] for w in s["worker"]) == s["count"], name
exec(sys.argv[1] if len(sys.argv) > 1 else "")
END

# lab ARGUMENT...: a run in JSON: exit status 0, an object and nothing else on standard output.
lab() {
	timeout 120 "$W" run --json "$@" >run.json 2>err || { cat err; return 1; }
	"$PY" check.py
}

py() {
	"$PY" check.py "$@"
}

ok "all strategies" lab --count 300000 --python "$PY"
ok "... seven, in order" py 'assert list(by) == ("c-single c-threads py-single py-threads py-processes py-thread-pool "
	"py-process-pool").split(), list(by)'
ok "... nothing was skipped" py 'assert len(done) == 7, [s.get("skipped") for s in d["strategies"]]'
ok "... each language has its own baseline" py 'for s in done:
	single = by["c-single" if s["name"].startswith("c-") else "py-single"]
	assert s["baseline"] == single["wall_ns"], (s["name"], s["baseline"], single["wall_ns"])
assert by["c-single"]["speedup"] == by["py-single"]["speedup"] == 1'
ok_bpf "... with BPF, nothing is untracked" py 'assert d["bpf"]
for s in done:
	assert s["stack"]["untracked"] <= 0.01 * s["workers"] and s["lost_events"] == 0, (s["name"], s["stack"])'
ok "nothing but JSON on standard output, nothing at all on standard error" bash -c '[ ! -s err ] || grep -q BPF err'
ok "c-threads alone: its baseline is measured" lab --count 3000000 c-threads
ok "... and it is the only one shown" py 'assert list(by) == ["c-threads"] and by["c-threads"]["baseline"] > 0'
ok "py-threads alone" lab --count 200000 --python "$PY" py-threads
ok "... its baseline too" py 'assert list(by) == ["py-threads"] and by["py-threads"]["baseline"] > 0'
ok_bpf "... and its workers were hardly ever on CPU at the same time, whatever the machine" \
	py 's = by["py-threads"]; at_once = s["on_cpu_at_once_ns"]
assert s["stack"]["useful"] + s["stack"]["inflation"] < 1.6, s["stack"]'

# ---- CPython's lock is found, and named ----
cat >gil.py <<'END'
names = [s["name"] for s in done if s["name"].startswith("py-thread")]
assert names == ["py-threads", "py-thread-pool"], names
for name in names:
    s = by[name]
    causes, wall = [x["cause"] for x in s["findings"]], s["wall_ns"]
    assert "gil" in causes, (name, causes)
    f = s["findings"][causes.index("gil")]
    e = f["evidence"]
    # the largest loss comes first; larger than that of the lock is on a busy machine the time in which other programs had the CPUs
    crowded = causes[0] != "gil"
    if crowded:
        import os, subprocess
        had = json.loads(subprocess.check_output([os.environ["W"], "report", "--json", "traces/%s.data" % name]))["runq_by"]
        assert causes[:2] == ["runqueue", "gil"] and had["foreign_ns"] >= 0.5 * had["wait_ns"], (causes, had)
    assert math.isclose(f["lost_ns"], s["stack"]["gil"] * wall, rel_tol=1e-6) and e["gil_ns"] == f["lost_ns"], (f, s["stack"])
    assert f["lost_ns"] <= s["ledger"]["gil"], (f, s["ledger"])
    assert re.fullmatch(r"CPython 3\.\d+'s GIL", e["lock"]) and e["kind"] == "gil", e
    # the holder is asked to let go after 5 ms; what it does meanwhile, and the way to a CPU, comes on top
    span = max(w["end_ns"] for w in s["worker"]) - min(w["begin_ns"] for w in s["worker"])
    assert e["gil_handovers"] >= 10 and abs(span / e["gil_handovers"] / 1e6 - e["handover_every_ms"]) < 0.06, (e, span)
    assert 3 <= e["handover_every_ms"] <= 40, e
    assert e["two_or_more_on_cpu_percent"] < 5 and (crowded or 20 < e["percent_of_workers_time"]) and e["percent_of_workers_time"] < 51, e
    assert s["speedup"] < f["bound"] <= 2 / by["py-single"]["stack"]["useful"] * 1.0001 and "Without it at most %.2fx" % f["bound"] in f["sentence"], f
    assert e["peer"] == {"py-threads": "py-processes", "py-thread-pool": "py-process-pool"}[name], e
    assert abs(e["peer_speedup"] - by[e["peer"]]["speedup"]) < 0.006, e
    assert "%s measured %.2fx" % (e["peer"], e["peer_speedup"]) in f["sentence"], f
    assert not {x["cause"] for x in s["findings"]} & {"lock", "sync", "serial"}, s["findings"]
for n in ("c-threads", "py-processes", "py-process-pool"):
    causes = [x["cause"] for x in by[n]["findings"]]
    assert not {"gil", "lock", "klock", "serial"} & set(causes), (n, causes)
    # nothing, or starting them, or what the CPUs were worth in that run; and what other programs took of them
    assert causes[0] in ("none", "spawn", "inflation", "runqueue", "imbalance"), (n, causes)
    f = by[n]["findings"][0]
    if causes[0] == "inflation" and os.cpu_count() > 1:
        together = by[n]["inflation_split"]["cpu_time_together"]
        assert round(together["times"], 2) == f["evidence"]["loop_times_together"], (together, f)
END
# What the CPUs do for others, or take longer for, can cost more than the lock: then once more, unless the first is shown.
gil_first() {
	local try
	for try in 1 2 3 4; do
		rm -rf traces
		lab --count 30000000 --workers 2 --python "$PY" --keep traces py-single py-threads py-thread-pool py-processes py-process-pool c-threads || return
		py "$(cat gil.py)" && return
		echo "try $try failed"
	done
	return 1
}
export W
ok_bpf "py-threads and py-thread-pool: the GIL is the first finding, with its hand-overs; c-threads has none" gil_first

ok "order and choice are the caller's" lab --count 1000 c-threads c-single
ok "... kept" py 'assert list(by) == ["c-threads", "c-single"], list(by)'
ok "--workers 5" lab --count 1000003 --workers 5 c-threads
ok "... five, and nothing of the remainder is lost" py 's = by["c-threads"]
assert s["workers"] == 5 and sorted(w["counted"] for w in s["worker"]) == [200000] * 2 + [200001] * 3'
ok "--count 1 with more workers than work" lab --count 1 --workers 3 c-threads
ok "--repeat 3" lab --count 500000 --repeat 3 c-single c-threads
ok "... median and spread" py 'for s in done:
	assert s["wall_min_ns"] <= s["wall_ns"] <= s["wall_max_ns"], s["name"]
assert d["repeats"] == 3'
ok "--keep: the traces can be read" bash -c 'mkdir -p traces && "$0" run --count 100000 --keep traces c-threads >/dev/null 2>err &&
	"$0" report --json traces/c-threads.data | "'"$PY"'" -c "import json, sys; assert json.load(sys.stdin)[\"threads\"]"' "$W"
ok_bpf "... with as many worker threads as there were" bash -c '"$0" report --json traces/c-threads.data | "'"$PY"'" -c "
import json, os, sys
d = json.load(sys.stdin)
assert len(d[\"threads\"]) == 1 + len(os.sched_getaffinity(0)), len(d[\"threads\"])"' "$W"

ok "an interpreter that is missing: the others run, status 0" lab --count 1000 --python /nonexistent
ok "... the Python strategies say why they are skipped" py 'assert sorted(s["name"] for s in done) == ["c-single", "c-threads"]
for s in d["strategies"]:
	assert s in done or "/nonexistent" in s["skipped"], s'
ok "... in the table too" bash -c '"$0" run --count 1000 --python /nonexistent 2>err >out && grep -q /nonexistent out' "$W"

# ---- the table ----
ok "the table: at most 100 columns, no colour into a pipe" bash -c '"$0" run --count 200000 --python "$1" >out 2>err &&
	! grep -q "$(printf "\033")" out && awk "length(\$0) > 100 { print; bad = 1 } END { exit bad }" out' "$W" "$PY"
ok "... has every strategy, and a finding for each" bash -c 'for s in c-single c-threads py-single py-threads py-processes \
	py-thread-pool py-process-pool; do grep -q "^$s " out && grep -q "$s: " out || { echo "$s is not in it"; exit 1; }; done'

# ---- without privilege ----
ok "--no-bpf" lab --no-bpf --count 300000 c-single c-threads
ok "... says so, and knows what the kernel itself counts" py 'assert d["bpf"] is False and d["why_not"]
for s in done:
	for unseen in "sync", "io", "sleep", "throttled", "stopped", "blocked_other":
		assert s["ledger"][unseen] == 0, s["ledger"]'
# unprivileged ARGUMENT...: run by nobody, in a directory where that user may write.
unprivileged() {
	chmod 755 "$TMP"
	install -d -m 777 open
	(cd open && HOME=/ timeout 120 setpriv --reuid nobody --regid "$(id -g nobody)" --clear-groups "$W" run "$@")
}
unprivileged_json() {
	unprivileged --json --count 300000 --python "$PY" >run.json && "$PY" check.py
}
unprivileged_table() {
	unprivileged --count 300000 c-single c-threads >out && cat out && grep -qi "no scheduler events" out &&
		grep -qw sync out && grep -qw I/O out && grep -qw sleep out && grep -q untracked out
}
may_run() {
	[ "$(id -u)" -eq 0 ] && setpriv --reuid nobody --clear-groups test -x "$W"
}
if may_run; then
	ok "as another user: exit status 0, JSON" unprivileged_json
	ok "... all seven strategies ran" py 'assert len(done) == 7 and d["bpf"] is False and d["why_not"]'
	ok "... a class that cannot be seen is in none of them" py 'for s in done:
		assert s["ledger"]["sync"] == s["ledger"]["io"] == s["ledger"]["sleep"] == 0, s["ledger"]'
	ok "... the table names the classes that cannot be seen" unprivileged_table
else
	skip "as another user" "needs root, and a build directory that others may read"
fi

# ---- Ctrl-C, and nothing is left behind ----
interrupt_run() {
	spawn setsid env --default-signal=INT "$W" run --count 100000000000 c-threads >out 2>err
	local run=$! status
	sleep 1
	kill -INT -- "-$run"
	wait "$run"
	status=$?
	cat err
	same "$status" 130 && ! pgrep -s "$run"
}
ok "Ctrl-C ends a run: status 130, nothing left running" interrupt_run

finish
