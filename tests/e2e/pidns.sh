#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Pid namespaces, as containers have them: numbers of threads and processes are those that whoever calls whyscale sees there, in every
# output and option. In a fresh namespace they are small, here they are above 1000, so the one cannot pass for the other.
# shellcheck source=tests/lib.sh disable=SC2317,SC2016 # functions are called through ok; single quotes are for an inner shell
. "$(dirname "$0")/../lib.sh"

if ! need_bpf; then
	skip "pid namespaces" "$bpf_why"
	finish
fi
if ! unshare -p -f --mount-proc true; then
	skip "pid namespaces" "none can be made here"
	finish
fi
cd "$TMP" || exit 1
export W PROGS PY ORACLE TMP

# Pids here from 1000 on: on a machine that has just begun a few hundred are used up.
while [ "$(sh -c 'echo $$')" -lt 1000 ]; do :; done

# inside COMMAND...: in a pid namespace of its own, whose first process is this bash.
inside() {
	unshare -p -f --mount-proc --kill-child bash -c '"$@"; exit' bash "$@"
}

# py CODE [ARG...]: Python over the last report, d; tid: its threads by number.
py() {
	"$W" report --json x.data >x.json || return
	"$PY" -c "if True:
		import json, os, sys
		d = json.load(open('x.json'))
		if d['lost']['events']:
			sys.exit(77)
		tid = {t['tid']: t for t in d['threads']}
		for t in d['threads']:
			assert sum(t['ledger'].values()) == t['end_ns'] - t['start_ns'], t
		$1" "${@:2}"
}
export -f inside py

# ---- whyscale inside, a command ----

# known WORKLOAD [NUMBER...]: as in truth.sh, but in a namespace; the program's own numbers, which are facts, are those inside.
known() {
	not_lost known_once "$@"
}
known_once() {
	rm -f facts books x.data*
	KNOWN_FACTS=$TMP/facts inside timeout 100 "$W" record "${options[@]}" -o x.data -- "$PROGS/books" books "$PROGS/known" "$@" || return
	py 'assert d["bpf"] and max(tid) < 1000 and all(t["tgid"] < 1000 for t in d["threads"]), list(tid)' || return
	"$PY" "$ORACLE" "$1" x.json facts books "${@:2}"
}
options=()
ok "burns 60 ms of CPU time: the right thread, its own number" known burn 60
ok "20 children that exec" known forks 20
ok "exec in a thread that is not the leader: it takes the leader's number" known exec_thread 30
ok "the leader exits, another thread goes on" known leader_exits 50
ok "one pid, two processes" known pid_reuse
options=(-g)
ok "threads and a mutex" known mutex 3 10 2000

# The last recording, mutex 3: a leader and three threads in one process, under books.
ok "... its holder is named by the number inside, known by the owner in the lock" py '
		(lock,) = [l for l in d["locks"] if l["kind"] == "mutex"]
		mine = {t["tid"] for t in d["threads"] if t["comm"] == "known" and t["tid"] != t["tgid"]}
		assert len(mine) == 3 and {h["tid"] for h in lock["holders"]} <= mine, (lock, mine)
		assert lock["wait_ns"] > 10e6 and lock["pid"] in {t["tgid"] for t in d["threads"]}, lock'
ok "... by that owner for most of the time" bash -c '"$W" report --locks x.data | tr -s "\n " " " | grep -oE "known from the owner written in the lock for [0-9.]+" |
	awk "{ exit !(\$NF > 50) }"'
shown() {
	local numbers
	numbers=$("$PY" -c 'import json; print("|".join(str(t["tid"]) for t in json.load(open("x.json"))["threads"]))')
	"$W" script x.data >events || return
	# every number of a thread that is recorded is one of them
	grep -oE '(known|books)/[0-9]+' events | sort -u >seen
	cat seen
	[ "$(wc -l <seen)" -ge 5 ] && ! grep -vE "/($numbers)$" seen
}
ok "script shows the same numbers" shown
flamed() {
	"$W" flame --lock --folded x.data >folded && cat folded || return
	grep -oE 'known/[0-9]+' folded | sort -u >seen
	[ -s seen ] && "$PY" -c 'if True:
		import json
		mine = {"known/%d" % t["tid"] for t in json.load(open("x.json"))["threads"]}
		seen = set(open("seen").read().split())
		assert seen <= mine, (seen, mine)' && grep -q ";mutex_worker;" folded
}
ok "flame --lock names the holders so, and functions by the files that are mapped" flamed
threads_view() {
	"$W" flame --off --threads -o threads.svg x.data || return
	for number in $("$PY" -c 'import json; print(*[t["tid"] for t in json.load(open("x.json"))["threads"]])'); do
		grep -qE "/$number\b" threads.svg || { echo "no $number"; return 1; }
	done
}
ok "flame --threads, too" threads_view

# ---- whyscale inside, what runs there already ----

# option ARGS: `record ARGS` inside, where first is the process and sem one of its threads.
option() {
	inside bash -c '"$PROGS/known" blocked >said & until grep -q ready said; do sleep 0.02; done
		first=$!; sem=$(awk "\$1 == \"sem\" { print \$2 }" said); [ $first -lt 1000 ] || exit 1
		eval "\"$W\" record -o x.data $0 -d 0.3"; status=$?; ls -d /proc/[0-9]*/task/[0-9]* >all; kill -KILL $first; exit $status' "$1"
}
SAID='said = {int(line.split()[1]) for line in open("said")}'
ok "record -p: the process of that number inside" option '-p $first'
ok "... with all of its threads" py "$SAID; assert set(tid) == said and max(said) < 1000, (list(tid), said)"
ok "... each in its class" py 'c = {t["comm"]: t["ledger"] for t in d["threads"]}
		assert c["sem"]["sync"] > 0.2e9 and c["nanosleep"]["sleep"] > 0.2e9 and c["pipe"]["io"] > 0.2e9, c'
ok "record -t: the thread of that number" option '-t $sem'
ok "... alone" py 'assert [t["comm"] for t in d["threads"]] == ["sem"] and max(tid) < 1000, list(tid)'
outer_pid() {
	inside "$W" record -o y.data -p $$ -d 0.1 2>err
	cat err
	grep -q "there is no process or thread $$" err && [ ! -e y.data ]
}
ok "record -p of a number that is not one inside is refused" outer_pid

# ---- -a, and what is outside ----

# A rival outside for CPU 0, on which the process inside runs.
ln -s /bin/sh rival-outside
spawn taskset -c 0 ./rival-outside -c 'while :; do :; done'
rival=$!
ticks() {
	awk '{ print $14 + $15 }' "/proc/$rival/stat"
}
rivals() {
	ticks >ticks.before
	taskset -c 0 timeout 20 unshare -p -f --mount-proc --kill-child bash -c 'bash -c "while :; do :; done" &
		sleep 0.1; "$W" record -o x.data -a -d 0.7; s=$?; ls -d /proc/[0-9]*/task/[0-9]* >all; exit $s' || return
	ticks >ticks.after
	py 'alive = {int(line.split("/")[4]) for line in open("all")}
		assert all(n < 1000 for n in tid), list(tid)
		hog = max(d["threads"], key=lambda t: t["ledger"]["oncpu"])
		assert hog["comm"] == "bash" and hog["ledger"]["oncpu"] > 0 and hog["ledger"]["runq_preempted"] > 0, hog
		assert {t["tid"] for t in d["threads"] if not t["ended"]} <= alive, (list(tid), alive)
		assert all(t["comm"] not in ("rival-outside", "kthreadd") for t in d["threads"]), tid'
}
ok "record -a has the namespace's threads, and no other" rivals
ok "... and says so" bash -c '"$W" report x.data | tr -s "\n " " " | grep -q "limits the rest of the machine.s programs are not among the threads: whyscale ran in a pid namespace"'
ok "... who is outside and had the CPU is told by name, without a number" py '
		(rival,) = [o for o in d["runq_by"]["by"] if o["comm"] == "rival-outside"]
		assert rival["outside"] and rival["pid"] is None and not rival["recorded"], rival
		# no longer than it ran, by the kernel, a little before to a little after
		ran = (int(open("ticks.after").read()) - int(open("ticks.before").read()) + 1) * 1e9 / os.sysconf("SC_CLK_TCK")
		assert 0 < rival["ns"] <= ran, (rival, ran)'
ok "... in the table, too" bash -c '"$W" report x.data | grep -E "^rival-outside .*not recorded, outside this pid namespace"'
ok "... and in the events" bash -c '"$W" script x.data >script; grep -q "next=rival-outside/outside" script && ! grep -E "/[0-9]{4,}" script'
end "$rival" KILL

# ---- whyscale outside, the program inside; and one level deeper ----

outside() {
	rm -f said
	spawn unshare -p -f --mount-proc --kill-child "$PROGS/known" blocked >said
	local maker=$! pid
	until_true 10 grep -q ready said && until_true 5 pgrep -P "$maker" >children || return
	pid=$(cat children)
	"$W" record -o x.data -p "$pid" -d 0.2 && ls "/proc/$pid/task" >all
	end "$maker" KILL
	py 'assert set(tid) == {int(line) for line in open("all")} and min(tid) >= 1000, list(tid)'
}
ok "whyscale outside: the numbers outside, though the program knows others" outside
owner_outside() {
	"$W" record -o x.data unshare -p -f --mount-proc "$PROGS/known" mutex 3 10 2000 || return
	py '(lock,) = [l for l in d["locks"] if l["kind"] == "mutex"]
		known = {t["tid"] for t in d["threads"] if t["comm"] == "known"}
		assert len(known) == 4 and min(tid) >= 1000 and {h["tid"] for h in lock["holders"]} <= known, (lock, known)' || return
	"$W" report --locks x.data | tr -s '\n ' ' ' | grep -oE "owner written in the lock for [0-9.]+" | awk '{ exit !($NF > 50) }'
}
ok "... the owner in a lock's word, a number inside, is found" not_lost owner_outside
deeper() {
	inside bash -c 'for i in 1 2 3 4 5 6 7 8; do (:); done # so that numbers differ
		"$W" record -o x.data unshare -p -f sh -c "echo \$\$; read -r pid rest </proc/self/stat; echo \$pid; grep NSpid /proc/self/status" >said'
	cat said
	# inside, /proc is that of whyscale: its number, then the one further in, which is 1
	py 'own, seen, spaces = open("said").read().split("\n")[:3]
		assert own == "1" and int(seen) > 8, (own, seen)
		assert int(seen) in tid and tid[int(seen)]["comm"] == "sh" and 1 not in tid, (list(tid), seen)'
}
ok "a namespace further in: the numbers of whyscale's own" deeper

# ---- Python, and a JIT's map, which is named by the number that its process knows ----

ok "Python's functions inside" bash -c 'inside "$W" record --python -o x.data "$PY" "$0/progs/flame/burn.py" 0.3 &&
	"$W" flame --python --on --folded x.data >folded && cat folded && grep -q ";seventy;turn" folded' "$ROOT/tests/e2e"
jit=
for jit in ~/.pyenv/versions/3.1[2-9]*/bin/python3 /usr/bin/python3.1[2-9] ''; do
	[ -x "$jit" ] && "$jit" -c '' 2>/dev/null && break
done
jitted() {
	"$@" "$W" record -g -o x.data "$jit" -X perf -c 'import os
x = 0
def burns_here():
    global x
    for i in range(3000000): x += i
burns_here(); print(os.getpid())' >pid || return
	"$W" flame --on --folded x.data >folded
	rm -f "/tmp/perf-$(cat pid).map"
	cut -c 1-300 folded | head -n 20
	[ "$(cat pid)" -lt 1000 ] && grep -q "py::burns_here" folded
}
# Another name for every place: the process has a /tmp of its own, and a number that whyscale outside does not know it by.
jitted_outside() {
	local maker pid
	spawn unshare -p -f -m --mount-proc --kill-child bash -c 'mount -t tmpfs none /tmp && exec "$1" -X perf -c "
x = 0
def burns_here():
    global x
    for i in range(1000000): x += i
while True: burns_here()"' bash "$jit"
	maker=$!
	until_true 10 pgrep -P "$maker" >children && pid=$(cat children) && until_true 10 test -s "/proc/$pid/root/tmp/perf-1.map" &&
		"$W" record -g -o x.data -p "$pid" -d 0.5 && "$W" flame --on --folded x.data >folded
	end "$maker" KILL
	cut -c 1-300 folded | head -n 20
	grep -q "py::burns_here" folded
}
if [ -n "$jit" ]; then
	ok "a map in /tmp of a number inside" jitted inside
	ok "... with whyscale outside, as long as the process lives" jitted_outside
else
	skip "a map in /tmp" "no Python 3.12 or newer, which writes one, is here"
fi

# ---- /proc of another namespace ----

foreign_proc() {
	unshare -p -f "$W" record -o y.data true 2>err
	local status=$?
	cat err
	[ "$status" -eq 1 ] && grep -q "/proc shows another pid namespace than the one whyscale is in" err && [ ! -e y.data ]
}
ok "a /proc of another namespace: record is refused, and says how to mount it" foreign_proc
checked() {
	unshare -p -f "$W" check >checked && return 1
	tr -s '\n ' ' ' <checked | grep -q "/proc /proc shows another pid namespace .*--mount-proc" && grep -qE "^sched +no" checked
}
ok "... check says so, and that nothing can be recorded" checked
ok "check names the namespace, and what is not seen from in there" bash -c 'inside "$W" check | tr -s "\n " " " |
	grep -q "pid namespace of its own (a container).*-a leaves them out"'
ok "... all works there" bash -c 'inside "$W" check --json | "$PY" -c "import json, sys; d = json.load(sys.stdin)
assert d[\"machine\"][\"pid_namespace\"] and [p[\"works\"] for p in d[\"probes\"] if p[\"name\"] in (\"sched\", \"klock\", \"irq\", \"sample\", \"maps\")] == [True] * 5, d"'
finish
