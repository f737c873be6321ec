#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# whyscale sweep: programs whose serial share is known come out with it, in the fit and in the measurement; n reaches the command in each of
# the three ways; bad input gets one sentence; what fails leaves the rest. The JSON is checked by sweep_check.py, with fits of its own.
# shellcheck source=tests/lib.sh disable=SC2317,SC2016 # functions are called through ok; single quotes are for the inner shell
. "$(dirname "$0")/../lib.sh"

cd "$TMP" || exit 1
A=$PROGS/amdahl CHECK=$ROOT/tests/e2e/sweep_check.py
mkdir tmp
export TMPDIR=$TMP/tmp

first=()

# sweep ARGUMENT...: a sweep as JSON that passes sweep_check.py.
sweep() {
	"${first[@]}" timeout 120 "$W" sweep --json "$@" >sweep.json 2>err || { echo "exit status $?"; cat err; return 1; }
	"$PY" "$CHECK" sweep.json
}

py() {
	"$PY" "$CHECK" sweep.json "$@"
}

# refused STATUS WORD ARGUMENT...: that exit status, nothing on standard output, one line on standard error that has WORD.
refused() {
	local status=$1 word=$2 got
	shift 2
	timeout 60 "$W" sweep "$@" >out 2>err </dev/null
	got=$?
	cat err
	[ "$got" -eq "$status" ] || { echo "exit status $got, not $status"; return 1; }
	[ ! -s out ] || { echo "standard output: $(head -c 300 out)"; return 1; }
	[ "$(wc -l <err)" -eq 1 ] || { echo "$(wc -l <err) lines, not one"; return 1; }
	grep -qF -e "$word" err || { echo "'$word' is not in it"; return 1; }
	grep -q '^whyscale: ' err
}

# ---- bad input ----
ok "sweep --help" bash -c '"$0" sweep --help >out && grep -q OMP_NUM_THREADS out' "$W"
for list in 0 -1 1,0 1,-2 1,,2 "," "" "1," abc 1.5 4097 99999999999999999999 "1 2"; do
	ok "-n '$list'" refused 2 "number of workers" "-n$list" -- true "{n}"
done
ok "-n twice the same" refused 2 "4 is named twice" -n 1,4,4 -- true "{n}"
ok "-n of too many" refused 2 "64 points" -n "$(seq -s , 65)" -- true "{n}"
ok "nothing that depends on n" refused 2 "every point would be the same" -n 1,2 -- true
ok "no command" refused 2 "nothing to run" -n 1,2
ok "an empty command" refused 2 "empty" -n 1,2 --cpus -- ""
for name in "" "A=B" "1A" "A B" $'A\nB'; do
	ok "--env '${name//$'\n'/?}'" refused 2 "environment variable" -n 1,2 "--env=$name" -- true
done
for repeats in 0 -1 1001 x ""; do
	ok "--repeat '$repeats'" refused 2 "repetitions" -n 1,2 "--repeat=$repeats" -- true "{n}"
done
ok "--cpus beyond those there are" refused 2 "CPUs were asked for" -n 1,4096 --cpus -- true
ok "a picture in a missing directory" refused 2 "/no/such/dir" -n 1 -o /no/such/dir/x.svg -- touch "ran{n}"
ok "... the command was not run" test ! -e ran1
ok "a picture without a name" refused 2 "empty" -n 1 -o "" -- true "{n}"
ok "a directory for the traces that cannot be" refused 2 "/no/such/dir" -n 1 --keep /no/such/dir/x -- true "{n}"
ok "a command that does not exist: 127" refused 127 "no-such-command" -n 1,2 -- no-such-command "{n}"
ok "a command that may not be executed: 126" refused 126 "'$TMP/sweep.txt'" -n 1,2 -- "$(: >sweep.txt; echo "$TMP/sweep.txt")" "{n}"
ok "an unknown option" refused 2 "--bogus" --bogus

# ---- how n reaches the command ----
ok "{n} in any word, more than once, in turns" bash -c 'timeout 60 "$0" sweep -n 2,1,3 --repeat 2 -- sh -c "echo {n}-\$1-{n} >>words" sh x{n}y >out 2>err &&
	[ "$(tr "\n" " " <words)" = "1-x1y-1 2-x2y-2 3-x3y-3 1-x1y-1 2-x2y-2 3-x3y-3 " ] || { cat words err; exit 1; }' "$W"
ok "--env sets the variable" bash -c 'timeout 60 "$0" sweep -n 1,2,5 --env MY_THREADS -- sh -c "echo \$MY_THREADS >>env" >out 2>err &&
	[ "$(tr "\n" " " <env)" = "1 2 5 " ] || { cat env err; exit 1; }' "$W"
ok "--cpus limits the CPUs, of the command alone" bash -c 'cpus=$(nproc); timeout 60 "$0" sweep -n 1,"$cpus" --cpus -- sh -c "nproc >>cpus" >out 2>err
	[ "$(sort -u cpus | tr "\n" " ")" = "$(printf "1\n%s\n" "$cpus" | sort -u | tr "\n" " ")" ] || { cat cpus err; exit 1; }' "$W"
[ "$(nproc)" -gt 1 ] || echo "# one CPU: --cpus was tested with 1 only"
ok "without -n: up to the CPUs" bash -c 'timeout 60 "$0" sweep -- sh -c "echo {n} >>default" >out 2>err && head -n 1 default | grep -qx 1 &&
	[ "$(tail -n 1 default)" -le "$(nproc)" ] && [ "$(tail -n 1 default)" -gt $(($(nproc) / 2)) ]' "$W"
ok "the command's output goes to standard error" bash -c 'timeout 60 "$0" sweep -n 1,2 --json -- echo "words {n}" >out 2>err &&
	grep -qx "words 2" err && ! grep -q "words 2\$" out && "$1" -c "import json; json.load(open(\"out\"))"' "$W" "$PY"

# ---- the truth: sleeping is done by any number of threads on any machine ----
# What is timed here goes before other programs, where it may.
if chrt -f 5 true 2>/dev/null; then
	first=(chrt -f 5)
elif [ "$(id -u)" -eq 0 ]; then
	first=(nice -n -15)
fi

# busy LIMIT CAPACITY: ends a statement with 77 where other programs had the CPUs: then a time tells nothing of the program.
busy() {
	echo "import sys
queue = max((p['stack']['runq_preempted'] + p['stack']['runq_wakeup']) / p['n'] for p in d['points'])
spread = max(p['wall_max_ns'] / p['wall_min_ns'] for p in d['points'])
swing = max(p['capacity']['max'] - p['capacity']['min'] for p in d['points'] if p['capacity']) if $2 else 0
if queue > $1 or spread > 1.1 or swing > 0.3:
	print('of the time of a worker %.2f without a CPU, spread %.2f, capacity by %.2f' % (queue, spread, swing))
	sys.exit(77)"
}

# often COMMAND...: what is wrong must be so three times; 77 (skip) where the machine was too busy twice, or once more after that.
all_busy=0
often() {
	local busy=$((all_busy > 2)) status
	for _ in 1 2 3; do
		"$@"
		status=$?
		[ "$status" -eq 0 ] && return
		[ "$status" -eq 77 ] && busy=$((busy + 1)) all_busy=$((all_busy + 1))
		[ "$busy" -eq 2 ] && echo "other programs had the CPUs meanwhile" && return 77
	done
	return 1
}

# share HOW PERCENT [STATEMENT]: fitted and measured within 0.05.
share() {
	sweep -n 1,2,4,8 -- "$A" "{n}" "$2" 400 sleep "$1" || return 1
	py "$(busy 0.03 0)
near(d['fit']['amdahl']['serial'], $2 / 100, 0.05, 'fitted')
assert all(p['fitted'] for p in d['points'])
c = d['checks']['serial']
if d['bpf']:
	near(c['measured'], $2 / 100, 0.05, 'measured')
	assert c['agrees'] is True, c
	$3"
}
for percent in 0 5 25; do
	ok "$percent % of the work done by one thread alone" often share phases $percent
done
ok "50 % of the work: the sentence, and the findings of a point, say so" often share phases 50 "f = [f for f in d['findings'] if f['evidence']['about'] == 'serial'][0]
	assert f['cause'] == 'serial' and 'The measurement agrees' in f['sentence'], f
	f = [f for f in by[8]['findings'] if f['cause'] == 'sync']
	assert f and f[0]['evidence']['no_thread_percent'] > 50, by[8]['findings']"
ok "25 % of the work done under one lock: it is the one that was waited for" often share lock 25 "s = by[8]['stack']
	assert s['lock'] > 1 and any('the_lock' in str(f['evidence'].get('lock')) for f in by[8]['findings']), (s, by[8]['findings'])"

# The work itself grows with n: the fit sees a serial share, the measurement does not.
longer() {
	sweep -n 1,2,4,8 -- "$A" "{n}" 0 300 sleep twice || return 1
	py "$(busy 0.03 0)
near(d['fit']['amdahl']['serial'], 0.3, 0.05, 'fitted')
c = d['checks']['serial']
assert c['measured'] < 0.05 and c['agrees'] is False, c
f = [f for f in d['findings'] if f['evidence']['about'] == 'serial'][0]
assert 'does not agree' in f['sentence'] and f['evidence']['instead'] == 'io_sleep', f"
}
ok_bpf "a curve that bends for another reason: the fit is contradicted" often longer

# ---- CPUs: what they are worth is divided out ----
burning() {
	sweep -n 1,2 --repeat 3 -- "$A" "{n}" "$1" 200 || return 1
	py "$(busy 0.025 1)
near(d['fit']['capacity_divided']['amdahl']['serial'], $1 / 100, 0.05, 'fitted')
near(d['checks']['serial']['measured'], $1 / 100, 0.05, 'measured')"
}
for percent in 0 5 25 50; do
	if [ "$(nproc)" -lt 2 ]; then
		skip "$percent % serial, on CPUs" "one CPU"
	else
		ok_bpf "$percent % serial, on CPUs" often burning $percent
	fi
done
first=()
ok "more workers than CPUs: measured, but not fitted" sweep -n "1,$((4 * $(nproc)))" -- "$A" "{n}" 0 100
ok_bpf "... and that is said" py "p = d['points'][1]
assert p['fitted'] is False and p['stack']['runq_preempted'] + p['stack']['runq_wakeup'] > 0.2 * p['n'], p['stack']
f = [f for f in d['findings'] if f['evidence']['about'] == 'points']
assert len(f) == 1 and str(p['n']) in f[0]['sentence'], d['findings']
assert d['fit']['amdahl']['serial'] is None and 'different n' in d['fit']['amdahl']['why']"
ok "an n that means nothing to the program" sweep -n 1,2 --env NOTHING -- "$A" 3 0 60
ok_bpf "... which had more threads at work than n: that is said" py "f = [f for f in d['findings'] if f['evidence']['about'] == 'threads']
assert len(f) == 1 and 'more than n threads' in f[0]['sentence'], d['findings']"
ok "--cpus: n CPUs, however many threads" sweep -n 1 --cpus -- "$A" 4 0 100
ok_bpf "... on one CPU one thread runs at a time" py "assert by[1]['stack']['useful'] <= 1 and d['fit']['karp_flatt'] == [None]"

# ---- too few ----
ok "one point" sweep -n 3 -- "$A" "{n}" 0 30 sleep
ok "... no fit, and why" py "for fit in d['fit']['amdahl'], d['fit']['usl']:
	assert 'different n' in fit['why'] and fit['gamma'] is None
assert by[3]['speedup'] == 1 and abs(by[3]['efficiency'] - 1) < 1e-9"
ok "two points, without repeats" sweep -n 1,2 -- "$A" "{n}" 50 60 sleep
ok "... Amdahl's law without an error, no USL" py "a, u = d['fit']['amdahl'], d['fit']['usl']
assert a['serial'] is not None and a['se'] is None and 'repeat' in a['why'] and u['sigma'] is None and '3' in u['why']
assert d['checks']['serial']['agrees'] is None"
ok "... with repeats it has one" sweep -n 1,2 --repeat 3 -- "$A" "{n}" 50 60 sleep
ok "... from them" py "a = d['fit']['amdahl']; assert a['se'] > 0 and a['points'] == 2 and a['runs'] == 6, a"

# ---- failures ----
fails() {
	timeout 60 "$W" sweep -n 1,2,4,8 --json -- "$A" "{n}" 25 80 sleep status 3 >sweep.json 2>err
	same "$?" 3 && py
}
ok "a point that fails: its status is passed on" fails
ok "... it is said which and how, the others are there" py "assert by[4]['failed'] == 'the command ended with status 3' and 'wall_ns' not in by[4]
assert all(by[n]['wall_ns'] for n in (1, 2, 8)) and d['fit']['amdahl']['serial'] is not None"
ok "... in the table too" bash -c 'timeout 60 "$0" sweep -n 1,2,4 -- "$1" "{n}" 25 50 sleep status 3 >out 2>err; [ $? -eq 3 ] &&
	grep -q "n=4: the command ended with status 3" out && grep -qE "^ *2 +[0-9.]+ ms" out' "$W" "$A"
ok "all fail" bash -c 'timeout 60 "$0" sweep -n 1,2 --json -o none.svg -- sh -c "exit {n}" >sweep.json 2>err; [ $? -eq 1 ] && [ ! -e none.svg ]' "$W"
ok "... the JSON says so" py "assert all(p['failed'] for p in d['points'])"
ok "a command that a signal ends" bash -c 'timeout 60 "$0" sweep -n 1,2 -- sh -c "kill -KILL \$\$; : {n}" >out 2>err; [ $? -eq 137 ] && grep -q "signal 9" out' "$W"
interrupted() {
	local pid status
	"$W" sweep -n 1,2,4 -- sh -c 'echo {n} >>began; sleep 0.{n}; [ {n} = 1 ] || sleep 60' >out 2>err &
	pid=$!
	spawned+=("$pid")
	until_true 20 grep -q 2 began || { cat out err; return 1; }
	kill -INT "$pid"
	wait "$pid"
	status=$?
	cat out err
	same "$status" 130 && grep -qE '^1 +' out && grep -q 'interrupted before' out
}
ok "a signal ends the sweep and keeps what was measured" interrupted

# ---- output ----
ok "a picture" bash -c 'timeout 60 "$0" sweep -n 1,2,4 --repeat 2 -o curve.svg -- "$1" "{n}" "25<&\"" 60 sleep >out 2>err && [ "$(stat -c %a curve.svg)" = 600 ]' "$W" "$A"
ok "... is XML, with a title, a description, each point and both curves" "$PY" -c "import xml.etree.ElementTree as E
t = E.parse('curve.svg'); ns = '{http://www.w3.org/2000/svg}'
assert t.getroot().get('role') == 'img' and t.find(ns + 'title').text and 'n = 4' in t.find(ns + 'desc').text
points = {g.get('data-n'): float(g.get('data-speedup')) for g in t.iter(ns + 'g') if g.get('class') == 'measured'}
assert set(points) == {'1', '2', '4'} and points['1'] == 1, points
# higher on the picture where faster
at = [float(c.get('cy')) for g in t.iter(ns + 'g') for c in g.iter(ns + 'circle')]
order = sorted(range(3), key=lambda i: points[str(2 ** i)])
assert sorted(at, reverse=True) == [at[i] for i in order], (at, points)
lines = [p.get('class') for p in t.iter(ns + 'path')]
assert {'line ideal', 'line amdahl'} <= set(lines) and 'bar' in lines, lines
left_out = [c for c in t.iter(ns + 'circle') if c.get('class') == 'point out']
assert ('line usl' in lines) == (not left_out), (lines, left_out)
text = open('curve.svg').read()
assert 'prefers-color-scheme:dark' in text and 'script' not in text and 'href' not in text and 'nan' not in text
assert '25&lt;&amp;&quot;' in text, text[:500]"
ok "the table fits 100 columns" awk 'length($0) > 100 { print; bad = 1 } END { exit bad }' out
ok "... and has the curve, the stack and the fits" bash -c 'grep -q "^N .*SPEEDUP.*KARP-FLATT" out && grep -q "^N .*USEFUL" out && grep -q "^Amdahl" out && grep -q "^USL" out'
ok "--keep keeps the traces" bash -c 'timeout 60 "$0" sweep -n 1,2 --repeat 2 --keep kept -- "$1" "{n}" 0 20 sleep >out 2>err &&
	[ "$(ls kept | tr "\n" " ")" = "n1-1.data n1-2.data n2-1.data n2-2.data " ] && "$0" report kept/n2-2.data >out' "$W" "$A"
ok "nothing else is left" bash -c '[ -z "$(ls -A tmp)" ] || { ls -A tmp; exit 1; }'
# ---- the strategies ----
ok "run --workers 1,2: the curves of the strategies that were named" bash -c 'timeout 60 "$0" run --workers 2,1 --count 30000000 c-threads --json >run.json 2>err &&
	"$1" -c "import json
d = json.load(open(\"run.json\")); s = d[\"sweeps\"]
assert d[\"schema\"] == \"whyscale.run/1\" and [x[\"name\"] for x in s] == [\"c-threads\"]
json.dump(s[0], open(\"sweep.json\", \"w\"))"' "$W" "$PY"
ok "... as sweep has them" py "assert [p['n'] for p in d['points']] == [1, 2] and '{n}' in d['command']"
ok "... a strategy with one worker has none" bash -c '! "$0" run --workers 1,2 c-single 2>err && grep -q "always has one worker" err' "$W"
ok "... a table" bash -c 'timeout 60 "$0" run --workers 1,2 --count 200000 --python "$1" py-threads py-processes >out 2>err && grep -qx py-threads out && grep -qx py-processes out &&
	[ "$(grep -c "KARP-FLATT" out)" -ge 2 ]' "$W" "$PY"
pictures() {
	timeout 100 "$W" run --workers 1,2 --count 3000000 c-threads py-threads --python "$PY" --repeat 2 --keep traces -o pic.svg >out 2>err || { cat err; return 1; }
	[ "$(find traces -mindepth 1 -maxdepth 1 -printf '%f\n' | sort | tr '\n' ' ')" = "c-threads py-threads " ] || { ls traces; return 1; }
	for s in c-threads py-threads; do
		[ "$(find "traces/$s" -type f -printf '%f\n' | sort | tr '\n' ' ')" = "n1-1.data n1-2.data n2-1.data n2-2.data " ] || { ls "traces/$s"; return 1; }
		"$W" report --json "traces/$s/n2-1.data" | "$PY" -c "import json, sys; assert '$s' in json.load(sys.stdin)['command']" || return
		"$PY" -c "import xml.etree.ElementTree as E
ns = '{http://www.w3.org/2000/svg}'
t = E.parse('pic-$s.svg')
points = {g.get('data-n') for g in t.iter(ns + 'g') if g.get('class') == 'measured'}
assert points == {'1', '2'}, points" || return
	done
	[ ! -e pic.svg ]
}
ok "... --keep keeps the traces of each, -o draws each" pictures
ok "... of one strategy -o is the picture's own name" bash -c 'timeout 60 "$0" run --workers 1,2 --count 3000000 c-threads -o one.svg >out 2>err && grep -q "</svg>" one.svg && ! ls one-* 2>/dev/null' "$W"
ok "... a picture that cannot be written is found before anything runs" bash -c '! timeout 60 "$0" run --workers 1,2 c-threads -o /no/such/dir/x.svg >out 2>err && [ ! -s out -o "$(wc -l <out)" -le 1 ] && grep -q /no/such/dir err' "$W"
ok "... without a list there is no curve to draw" bash -c '"$0" run c-threads -o x.svg >out 2>err; [ $? -eq 2 ] && grep -q "several numbers of workers" err && [ ! -e x.svg ]' "$W"
for list in 1,0 1,x 1,1 "1,"; do
	ok "run --workers $list" bash -c '! "$0" run "--workers=$1" c-threads >out 2>err && [ ! -s out ] && [ "$(wc -l <err)" -eq 1 ] && grep -qE "worker|twice" err' "$W" "$list"
done

ok "without BPF" sweep --no-bpf -n 1,2,4 -- "$A" "{n}" 25 100 sleep
ok "... the curve and the fits are there; what was waited for is not guessed" py "assert d['bpf'] is False and d['why_not']
assert d['fit']['amdahl']['serial'] is not None
assert d['checks']['serial']['agrees'] is None and 'scheduler events' in d['checks']['serial']['why']
assert all(p['exclusive_ns'] is None and p['stack']['untracked'] > 0.5 for p in d['points'])"
# ---- bounds of the points, by playing each again ----
held() {
	sweep -n 1,3 -- "$PROGS/sleepers" lock '{n}' 6 50 && py "
p = {p['n']: p for p in d['points']}
lock = [f for f in p[3]['findings'] if f['cause'] == 'lock'][0]
assert lock['evidence']['bound_by'] == 'replay', lock
# three that sleep with a mutex held take three times as long as one, and without it as long: asleep, nobody needs a CPU
assert abs(p[3]['speedup'] - 1 / 3) < 0.02 and abs(lock['bound'] - 1) < 0.05, (p[3]['speedup'], lock)
assert all(f['bound'] >= p[3]['speedup'] * 0.999 for f in p[3]['findings']), p[3]['findings']"
}
if [ "$(id -u)" -eq 0 ] && chrt -r 1 true 2>/dev/null; then
	first=(chrt -r 1)
	ok_bpf "a mutex that is held asleep: the points' bounds are of each run played again without it" held
	first=()
else
	skip "a mutex that is held asleep" "needs to go before other programs (chrt)"
fi
finish
