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
    # what the CPUs are worth together: before and after each run
    for c in (v["capacity"], v["capacity_as_it_was"]):
        assert c is None or c["cpus"] >= 2 and c["measurements"] == 6, v
        assert c is None or 0 < c["worth_min"] <= c["worth"] <= c["worth_max"] and 0 < c["times_min"] <= c["times"] <= c["times_max"], v
    assert (v["capacity"] is None) == (d["workers"] < 2 or len(os.sched_getaffinity(0)) < 2), (v, d["workers"])
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
	timeout 100 "${first[@]}" "$W" explain --json "--verify=$1" "${@:2}" t.data >v.json 2>err || { cat err; return 1; }
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
others = [t for t in r['threads'] if t['tid'] != t['tgid']]
alone = min(t['start_ns'] for t in others) + r['wall_ns'] - max(t['end_ns'] for t in others)
assert r['wall_ns'] / (alone + work) * 0.98 <= high <= r['wall_ns'] / work * min(fewer, d['cpus']) * 1.02, (high, r['wall_ns'], work)
assert low <= high"
fi

# ---- predictions that hold, and that do not, by design ----
# These programs only sleep, and go before others: what they take is known, and so is what each experiment makes of it. A pass is one of
# a prediction that is narrow (the limit is not much above what is expected), and a failure one that other numbers cannot explain.
if [ "$(id -u)" -eq 0 ] && chrt -r 1 true 2>/dev/null; then
	first=(chrt -r 1)
	S=$PROGS/sleepers
	known="
def verdict(name, speedup, is_so):
	v = by[name]
	assert v['holds'] == is_so, v
	near(v['measured'], speedup, 0.03 + v['noise'], name)
	assert v['predicted'][1] / v['predicted'][0] < 1.05, v
	assert v['noise'] < 0.1, v
"
	ok "two threads asleep in turns, with one mutex held, recorded" recorded "$S" lock 2 10 60
	ok "... as two processes, on one CPU, pinned" tried processes,fewer-cpus,pin "--processes=$S forked 2 10 60"
	ok "...... processes: twice as fast was predicted, from its ledger, and is what was measured" py "$known
wall = d['wall_ns']
near(by['processes']['predicted'][0], 2, 0.03, 'without the mutex')
near(wall, 2 * 10 * 60e6, 0.03, 'as it was')
verdict('processes', 2, True)
assert 'as predicted' in by['processes']['sentence'] and 'processes instead of threads' in by['processes']['what'], by"
	[ "$CPUS" -lt 2 ] || ok "...... one CPU, pinned: no difference was predicted, and there is none" py "$known
verdict('fewer-cpus', 1, True)
verdict('pin', 1, True)"
	ok "... as two processes that share the mutex after all" tried processes "--processes=exec $S shared 2 10 60"
	ok "...... twice as fast was predicted, and it is said that this was wrong" py "$known
verdict('processes', 1, False)
assert 'the prediction is wrong: it was slower' in by['processes']['sentence'], by"
	dozing=$ROOT/tests/e2e/progs/dozing.py
	ok "two threads of Python, asleep with the GIL held, recorded" recorded "$PY" "$dozing" threads 2 40 15
	ok "... as two processes, and with another switch interval" tried processes,interval "--processes=exec $PY $dozing processes 2 40 15"
	ok "...... processes: as fast as predicted; another interval: no difference, as predicted" py "$known
speedup = d['wall_ns'] / (d['wall_ns'] - 40 * 15e6)
near(by['processes']['predicted'][0], speedup, 0.05, 'without the GIL')
verdict('processes', speedup, True)
verdict('interval', 1, True)"
	if [ "$CPUS" -gt 1 ]; then
		ok "a program that sleeps the shorter the more CPUs it may use, recorded" recorded "$S" cpus 800
		ok "... on one CPU less" tried fewer-cpus
		ok "...... no difference was predicted, which is said to be wrong" py "$known
verdict('fewer-cpus', (d['cpus'] - 1) / d['cpus'], False)
assert 'the prediction is wrong: it was slower' in by['fewer-cpus']['sentence'], by"
		first=(chrt -r 1 taskset -c "$("$PY" -c 'import os; print(min(os.sched_getaffinity(0)))')")
		ok "... recorded on one CPU" recorded "$S" cpus 800
		first=(chrt -r 1)
		ok "... on one CPU more" tried more-cpus
		ok "...... likewise: it was faster" py "$known
verdict('more-cpus', 2, False)
assert 'the prediction is wrong: it was faster' in by['more-cpus']['sentence'], by"
	fi
	ok "the text says it, too, and what the CPUs were worth meanwhile" bash -c '
		chrt -r 1 "$0" record -o t.data -- "$1" lock 2 4 30 2>err && chrt -r 1 "$0" explain --verify=processes,nice --processes="$1 shared 2 4 30" t.data >v.txt 2>err || exit
		tr -s " \n" " " <v.txt >flat
		cat v.txt
		grep -q "processes instead of threads (processes): predicted .* measured .*: the prediction is wrong: it was slower\." flat &&
		grep -q "not tried nice: " flat && { [ "$2" -lt 2 ] || grep -q "before and after each of these runs, a turn of a bare counting loop took" flat; }' "$W" "$S" "$CPUS"
	first=()
else
	skip "predictions that hold, and that do not, by design" "needs to go before other programs (chrt)"
fi
ok "processes without a command for them: not tried, which is said" bash -c '"$0" explain --json --verify=processes t.data >v.json 2>err' "$W"
ok "... with the reason" py "assert not by and '--processes must say' in left['processes'], d['verified']"

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
ok "--processes without a command" refused "the command is empty" --verify=processes --processes=
ok "nothing is left behind" bash -c '[ -z "$(ls -A tmp)" ] || { ls -A tmp; exit 1; }'
finish
