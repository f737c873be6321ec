#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# whyscale explain --verify: each experiment changes what it says (the program writes down how it was run), in turns with the command
# as it was; each prediction is what another computation over the threads' own ledgers gives; each verdict follows from its numbers.
# shellcheck source=tests/lib.sh disable=SC2317,SC2016 # functions are called through ok; single quotes are for the inner shell
. "$(dirname "$0")/../lib.sh"

cd "$TMP" || exit 1
need_bpf || {
	skip "predictions put to the test" "$bpf_why"
	finish
}
# no costs of this machine: what a move costs is not known
export XDG_STATE_HOME=$TMP/state TMPDIR=$TMP/tmp
mkdir state tmp
TOLD=$ROOT/tests/e2e/progs/told.py
CPUS=$("$PY" -c 'import os; print(len(os.sched_getaffinity(0)))')

cat >check.py <<'END'
import json
import os
import sys

d = json.load(open("v.json"))
by = {v["name"]: v for v in d["verified"]["experiments"]}
left = {v["name"]: v["why"] for v in d["verified"]["not_tried"]}
r = json.load(open("r.json")) if os.path.exists("r.json") else None
log = [json.loads(line) for line in open("log")] if os.path.exists("log") else []


def near(a, b, tolerance, what):
    assert abs(a - b) <= tolerance * max(abs(a), abs(b)), (what, a, b)


for v in by.values():
    low, high = v["predicted"]
    assert 0 < low <= high and v["measured"] > 0 and v["noise_known"], v
    assert v["holds"] == (low / (1 + v["noise"]) <= v["measured"] <= high * (1 + v["noise"])), v
    assert ("as predicted" in v["sentence"]) == v["holds"] and ("is wrong" in v["sentence"]) != v["holds"], v
exec(open(sys.argv[1]).read() if os.path.exists(sys.argv[1]) else sys.argv[1])
END

# recorded COMMAND...: into t.data, and its report
recorded() {
	rm -f log t.data* r.json
	"${first[@]}" "$W" record -o t.data -- "$@" 2>err >out || { cat err; return 1; }
	"$W" report --json t.data >r.json
	rm -f log
}

# tried NAMES [OPTION...]
tried() {
	timeout 100 "$W" explain --json "--verify=$1" "${@:2}" t.data >v.json 2>err || { cat err; return 1; }
	[ -z "$(ls -A tmp)" ] || { echo "left behind:"; ls -A tmp; return 1; }
}
py() {
	"$PY" check.py "$1"
}

first=()
# ---- what is changed ----
ok "a command with two threads of Python, recorded" recorded "$PY" "$TOLD" log -T2
ok "... run again" tried interval,workers,fewer-cpus,pin "--fewer=-T{n}"
ok "... as it was and changed, in turns, three times" py "
kinds = ['plain'] + [k for k in ('fewer-cpus', 'pin', 'interval', 'workers') if k in by]
assert len(log) == 3 * len(kinds), (len(log), kinds, left)
at = {k: [log[i] for i in range(n, len(log), len(kinds))] for n, k in enumerate(kinds)}
json.dump(at, open('at.json', 'w'))
for run in at['plain']:
	assert len(run['threads']) == 2 and len(run['main']) == d['cpus'] and run['interval'] == 0.005, run
	assert run['nice'] == at['plain'][0]['nice'] and run['policy'] == 0, run"
ok "... interval: Python has it from its start; its path is as it was" py "
at = json.load(open('at.json'))
if 'interval' not in by:
	assert 'nobody waited' in left['interval'], left
else:
	assert all(run['interval'] == 0.02 for run in at['interval']), at['interval']"
ok "... workers: one instead of two" py "
at = json.load(open('at.json'))
assert all(len(run['threads']) == 1 for run in at['workers']) and '1 worker instead of 2' in by['workers']['what'], by['workers']"
if [ "$CPUS" -gt 1 ]; then
	ok "... fewer-cpus: one less" py "
at = json.load(open('at.json'))
assert all(len(run['main']) == d['cpus'] - 1 for run in at['fewer-cpus']), at['fewer-cpus']"
	ok "... pin: each thread has one, the next one has the next" py "
at = json.load(open('at.json'))
for run in at['pin']:
	own = [run['main']] + run['threads']
	assert all(len(cpus) == 1 for cpus in own) and len({cpus[0] for cpus in own}) == min(d['cpus'], 3), run"
fi
ok "... a program that does not look at PYTHONPATH does not take the interval: that is said" bash -c '
	"$0" record -o t.data -- "$1" -I "$2" log -T2 2>/dev/null >out && "$0" explain --json --verify=interval t.data >v.json 2>err' "$W" "$PY" "$TOLD"
ok "...... in its place" py "assert not by and any(w in left['interval'] for w in ('took the interval', 'nobody waited')), d['verified']"
ok "a variable that tells the number of workers" bash -c 'TOLD_THREADS=3 "$0" record -o t.data -- "$1" "$2" log 2>/dev/null >out' "$W" "$PY" "$TOLD"
ok "... is set" bash -c 'rm -f log; TOLD_THREADS=3 "$0" explain --json --verify=workers "--fewer=TOLD_THREADS={n}" t.data >v.json 2>err' "$W"
ok "... and set back" py "
fewer = d['cpus'] if d['cpus'] < 3 else 2
assert [len(run['threads']) for run in log] == [3, fewer] * 3, log
assert '%d worker' % fewer in by['workers']['what'] and 'instead of 3' in by['workers']['what'], by"

# ---- ahead of another program ----
ok "a command beside a program that wants the same CPU, recorded" bash -c '
	cpu=$("$3" -c "import os; print(min(os.sched_getaffinity(0)))")
	taskset -c "$cpu" "$1" crowd 1 20000 & hog=$!
	rm -f log; taskset -c "$cpu" "$0" record -o t.data -- "$3" "$2" log -T0 2>err >out; status=$?
	"$0" report --json t.data >r.json; rm -f log
	taskset -c "$cpu" "$0" explain --json --verify=nice,chrt t.data >v.json 2>err || status=1
	kill "$hog"; exit "$status"' "$W" "$PROGS/bounds" "$TOLD" "$PY"
if [ "$(id -u)" -eq 0 ] && chrt -r 1 true 2>/dev/null; then
	ok "... nice: it had the nice value" py "
assert [run['nice'] for run in log if run['policy'] == 0].count(-15) == 3 and len(log) == 9, log"
	ok "... chrt: it had the real-time priority" py "
assert [run['policy'] for run in log] == [0, 0, 2] * 3, log"
	ok "... predicted by what it waited for a CPU, as its own ledger has it" py "
ledger = r['ledger']
wall, after, ever = r['wall_ns'], ledger['runq_preempted'], ledger['runq_preempted'] + ledger['runq_wakeup']
# one thread: on one CPU all its waiting was for others
low, high = by['nice']['predicted']
near(low, wall / (wall - after), 0.02, 'nice, at least')
near(high, wall / (wall - ever), 0.02, 'nice, at most')
assert low > 1.1, low
near(by['chrt']['predicted'][0], 0.95 * low, 1e-9, 'chrt')"
fi

# ---- what is predicted ----
if [ "$CPUS" -gt 1 ]; then
	ok "three that only run, on two CPUs" bash -c 'cpus=$("$2" -c "import os; print(\",\".join(map(str, sorted(os.sched_getaffinity(0))[:2])))")
		taskset -c "$cpus" "$0" record -o t.data -- "$1" crowd 3 40 2>err >out && "$0" report --json t.data >r.json' "$W" "$PROGS/bounds" "$PY"
	ok "... pinned: no faster than the fuller CPU's work; the work of both is what one CPU alone would do" \
		bash -c 'cpus=$("$1" -c "import os; print(\",\".join(map(str, sorted(os.sched_getaffinity(0))[:2])))")
		taskset -c "$cpus" "$0" explain --json --verify=pin,fewer-cpus,workers "--fewer=cro{n}d" t.data >v.json 2>err; [ $? -eq 2 ] && grep -q "no word of the command" err &&
		taskset -c "$cpus" "$0" explain --json --verify=pin,fewer-cpus t.data >v.json 2>err' "$W" "$PY"
	ok "... as their ledgers have it" py "
wall = r['wall_ns']
threads = sorted(r['threads'], key=lambda t: (t['start_ns'], t['tid']))
work = [0, 0]
for i, t in enumerate(threads):
	work[i % 2] += t['ledger']['oncpu']
low, high = by['pin']['predicted']
assert high <= wall / max(work) * 1.001, (high, wall, work)
near(by['fewer-cpus']['predicted'][1], min(1, wall / sum(work)), 0.02, 'one CPU')"
	ok "fewer workers than CPUs" bash -c 'XDG_STATE_HOME=$3 "$0" record -o t.data -- sh -c "exec $1 crowd \$N 30" 2>err >out; N=4 "$0" record -o t.data -- sh -c "exec $1 crowd \$N 30" 2>err >out &&
		"$0" report --json t.data >r.json && N=4 "$0" explain --json --verify=workers "--fewer=N={n}" t.data >v.json 2>err' "$W" "$PROGS/bounds" "$PY" "$XDG_STATE_HOME"
	ok "... as the ledgers have it: all that ran, divided by them" py "
work = sum(t['ledger']['oncpu'] for t in r['threads'])
fewer = d['cpus'] if d['cpus'] < 4 else 3
low, high = by['workers']['predicted']
# what came before the four is alone, and divided by no one
assert r['wall_ns'] / work * 0.98 <= high <= r['wall_ns'] / work * min(fewer, d['cpus']) * 1.02, (high, r['wall_ns'], work)
assert low <= high"
fi

# ---- bad input ----
refused() {
	"$W" explain "${@:2}" t.data >out 2>err
	same "$?" 2 && [ ! -s out ] && same "$(wc -l <err)" 1 && grep -qF -e "$1" err
}
ok "an experiment that there is not" refused "there are fewer-cpus, more-cpus, pin" --verify=pin,bogus
ok "... nor an empty one" refused "no experiment ''" --verify=
ok "... nor half a name" refused "no experiment 'pi'" --verify=pi
ok "--fewer without {n}" refused "has no {n}" --verify --fewer=-T4
ok "--fewer with no such word" refused "no word of the command" --verify=workers "--fewer=--threads={n}"
ok "nothing is left behind" bash -c '[ -z "$(ls -A tmp)" ] || { ls -A tmp; exit 1; }'
finish
