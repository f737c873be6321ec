#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Attaching to what runs already: -p, -t, -a, --cgroup, -d; Ctrl-C; and that no probe outlives its recorder, even a killed one.
# shellcheck source=tests/lib.sh disable=SC2317,SC2016 # functions are called through ok; single quotes are for the inner shell
. "$(dirname "$0")/../lib.sh"

if ! need_bpf; then
	skip "attaching, snapshots, Ctrl-C, SIGKILL" "$bpf_why"
	finish
fi

# The target: five threads that are blocked for ever, each in its own way, and the leader, which burns.
spawn "$PROGS/known" blocked >"$TMP/said"
target=$!
until_true 20 grep -q ready "$TMP/said"

# recorder ARG...: in the background, until it records (its probes are attached); $recorder is its pid.
recorder() {
	rm -f "$TMP/a.data"*
	# a background job of a shell ignores SIGINT, and so would the command
	spawn setsid env --default-signal=INT "$W" record -o "$TMP/a.data" "$@"
	recorder=$!
	until_true 10 attached "$recorder"
}

# The ids of the BPF programs that a process holds.
progs_of() {
	sed -n 's/^prog_id:[[:space:]]*//p' "/proc/$1/fdinfo"/* 2>/dev/null | sort -un
}

attached() {
	[ "$(progs_of "$1" | wc -l)" -ge 8 ] && [ -s "$TMP/a.data" ]
}

# gone IDS: none of these programs is loaded any more (they go in the background, a moment after their last owner).
gone() {
	local left tries
	for tries in $(seq 100); do
		left=$(bpftool -j prog list | "$PY" -c 'import json, sys
loaded = {p["id"] for p in json.load(sys.stdin)}
print(*[i for i in map(int, sys.argv[1].split()) if i in loaded])' "$1") || return
		[ -z "$left" ] && return
		sleep 0.05
	done
	echo "still loaded after $tries looks: $left"
	return 1
}

# py CODE [ARG...]: a few lines of Python over the last report (d), with its threads by tid.
py() {
	"$W" report --json "$TMP/a.data" >"$TMP/report.json" || return
	"$PY" -c "if True:
		import json, os, sys
		d = json.load(open('$TMP/report.json'))
		tid = {t['tid']: t for t in d['threads']}
		wall = d['wall_ns']
		said = {}
		for line in open('$TMP/said'):
			said[line.split()[0]] = int(line.split()[1])
		def life(t): return t['end_ns'] - t['start_ns']
		for t in d['threads']:
			assert sum(t['ledger'].values()) == life(t), t
		$1" "${@:2}"
}

# ---- -p ----
ok "-p PID -d 0.5" timeout 20 "$W" record -o "$TMP/a.data" -p "$target" -d 0.5
ok "... has exactly the threads of the process" py 'assert set(tid) == set(said.values()), (list(tid), said)'
ok "... lasts as long as was asked for" py 'assert 500e6 <= wall < 5e9, wall'
blocked_right() {
	py 'for name, class_ in ("nanosleep", "sleep"), ("poll_pipe", "io"), ("pipe", "io"), ("socket", "io"), ("sem", "sync"):
			t = tid[said[name]]
			assert t["comm"] == name, t
			assert t["ledger"][class_] == life(t) >= 0.99 * wall, (name, t["ledger"], wall)
			assert t["switches"]["voluntary"] == 0 and not t["ended"], t'
}
ok "... what was blocked from the start has its class, for the whole time" blocked_right
ok "... what ran from the start is on the CPU; only what was before its first switch may be unknown" py '
		t = tid[said["ready"]]
		ledger = t["ledger"]
		assert ledger["oncpu"] > 0.05 * wall and t["comm"] == "hog", t
		assert ledger["untracked"] <= 0.3 * wall, ledger
		assert all(ledger[k] == 0 for k in ("sleep", "io", "sync", "lock", "stopped")), ledger'
ok "... and is audited from its first switch on" py 'a = tid[said["ready"]]["audit"]
		assert a["switches"]["result"] in ("ok", "missed") and a["migrations"]["result"] in ("ok", "missed"), a'
ok "-p takes several" timeout 20 "$W" record -o "$TMP/a.data" -p "$target,$$" -d 0.2
ok "... and has both" py 'assert {t["tgid"] for t in d["threads"]} == {said["ready"], int(sys.argv[1])}, d["threads"]' $$

# Three that want one CPU: at most one has it when the recording begins. The others are ready, since they were preempted, where the kernel's
# books prove that (they do not when the host has taken time from the CPU since): then nothing of theirs is unknown.
hogs=()
for _ in 1 2 3; do
	spawn taskset -c 0 "$PROGS/known" burn 60000
	hogs+=($!)
done
ready_from_the_start() {
	for _ in 1 2 3 4 5 6; do
		timeout 30 "$W" record -o "$TMP/a.data" -p "$(IFS=,; echo "${hogs[*]}")" -d 0.2 || return
		"$W" script "$TMP/a.data" | grep ' snap ' >"$TMP/snaps"
		cat "$TMP/snaps"
		py 'import re
		for line in open(sys.argv[1]):
			t = tid[int(re.search(r" tid=(\d+)", line)[1])]
			known = re.search("on_cpu|ready_since=preempted", line)
			assert bool(known) == (t["ledger"]["untracked"] == 0) or d["lost"]["missed"], (line, t["ledger"])
			assert not any(t["ledger"][k] for k in ("runq_wakeup", "sleep", "io", "sync")), t["ledger"]
			assert t["audit"]["result"] in ("ok", "missed"), t["audit"]' "$TMP/snaps" || return
		grep -q ready_since=preempted "$TMP/snaps" && return
	done
	return 1
}
ok "... what was ready from the start is ready, where the kernel's books prove it" ready_from_the_start
for hog in "${hogs[@]}"; do
	end "$hog" KILL
done

# ---- -t ----
sem=$(awk '$1 == "sem" { print $2 }' "$TMP/said")
ok "-t TID" timeout 20 "$W" record -o "$TMP/a.data" -t "$sem" -d 0.2
ok "... has this thread alone" py 'assert list(tid) == [said["sem"]] and tid[said["sem"]]["ledger"]["sync"] > 0.9 * wall, tid'
# what a thread starts is not that thread
spawn bash -c 'for ((i = 0; i < 300; i++)); do sleep 0.01; done'
shell=$!
ok "-t of a shell that forks" timeout 20 "$W" record -o "$TMP/a.data" -t $shell -d 0.3
ok "... does not have its children" py 'assert list(tid) == [int(sys.argv[1])], list(tid)' $shell
ok "-p of a shell that forks" timeout 20 "$W" record -o "$TMP/a.data" -p $shell -d 0.5
ok "... has its children" py 'assert len(tid) > 2 and all(t["comm"] in ("bash", "sleep") for t in d["threads"]), tid
		assert sum(t["ledger"]["sleep"] for t in d["threads"] if t["comm"] == "sleep") > (0 if os.environ.get("WHYSCALE_GUEST") else 0.1 * wall)'
end $shell

# ---- -a, with and without a command ----
ok "-a -d 0.3" timeout 20 "$W" record -o "$TMP/a.data" -a -d 0.3
ok "... has the target, other programs and kernel threads" py 'assert set(said.values()) <= set(tid), said
		assert 2 in tid and tid[2]["kthread"] and tid[2]["comm"] == "kthreadd", list(tid)[:20]
		assert int(sys.argv[1]) in tid and len(d["threads"]) > 20' $$
# our own recorder is the one that is in none of its reports, whatever else is called whyscale here
ok "-a with a command" timeout 20 "$W" record -o "$TMP/a.data" -a -- sh -c 'echo $PPID >"$0"; sleep 0.1' "$TMP/out"
ok "... never has the recorder itself" py 'assert int(sys.argv[1]) not in {t["tgid"] for t in d["threads"]}' "$(cat "$TMP/out")"
ok "... and has the command" py 'assert any(t["comm"] == "sleep" and t["ledger"]["sleep"] > 90e6 for t in d["threads"])'
ok "... all sums are exact" "$PY" "$ORACLE" any "$TMP/report.json" "" "" attached

# ---- --cgroup ----
for root in /sys/fs/cgroup/cpu /sys/fs/cgroup/unified /sys/fs/cgroup; do
	group=$root/whyscale-attach-$$
	[ -e "$root/cgroup.procs" ] && mkdir "$group" 2>/dev/null && break
	group=
done
if [ "$group" ]; then
	later "rmdir $group"
	spawn sleep 100
	sleeper=$!
	echo $sleeper >"$group/cgroup.procs"
	ok "--cgroup PATH" timeout 20 "$W" record -o "$TMP/a.data" --cgroup "$group" -d 0.2
	ok "... has the process in it" py 'assert list(tid) == [int(sys.argv[1])], list(tid)' $sleeper
	end $sleeper
	until_true 5 rmdir "$group"
else
	skip "--cgroup" "no cgroup can be made"
fi

# ---- the end of what is recorded ends the recording; -d ends it before ----
ends_with() {
	recorder -p "$1" || return
	sleep 0.1
	end "$1"
	wait "$recorder"
}
spawn sleep 100
ok "the end of the process ends the recording" ends_with $!
ok "... its thread has ended" py '(t,) = d["threads"]
		assert t["ended"] and t["ledger"]["sleep"] > 0, t'
ok "-d 0.2 with a command that takes longer: the command goes on, the recording does not" \
	timeout 20 "$W" record -o "$TMP/a.data" -d 0.2 -- sh -c 'sleep 1.5; echo by itself >"$0"' "$TMP/end"
ok "... it ended by itself" grep -q itself "$TMP/end"
ok "... recorded 0.2 s" py 'assert 0.2e9 <= wall < 1.49e9, wall'

# ---- signals to the recorder ----
interrupted() {
	local status ids
	recorder "${@:3}" || return
	ids=$(progs_of "$recorder")
	sleep 0.3
	kill "-$1" -- "${sent_to:-}$recorder"
	wait "$recorder"
	status=$?
	gone "$ids" || return
	[ "$status" -eq "$2" ] || { echo "exit status $status, not $2"; return 1; }
	py 'assert not d["file"]["incomplete"] and d["file"]["damaged_at"] is None and d["wall_ns"] > 0.2e9, d["file"]'
}
ok "SIGINT to a recorder of a process keeps the file, status 0, detaches" interrupted INT 0 -p "$target"
ok "... and the process still runs" kill -0 "$target"
ok "SIGTERM likewise" interrupted TERM 0 -p "$target"
ok "SIGHUP likewise" interrupted HUP 0 -a
ok "SIGINT to the recorder of a command goes on to it: status 130" interrupted INT 130 -- sleep 30
sent_to=- ok "Ctrl-C, which goes to both of them: status 130" interrupted INT 130 -- sleep 30
ok "... even when it ignores the signal" interrupted INT 137 -- sh -c 'trap "" INT TERM; while :; do sleep 0.05; done'

# killed: SIGKILL in the middle of many events
killed() {
	local ids child
	recorder -- "$PROGS/known" bursts 100 3000 || return
	child=$(pgrep -P "$recorder" | head -n 1)
	ids=$(progs_of "$recorder")
	[ "$(wc -w <<<"$ids")" -ge 8 ] || { echo "probes: $ids"; return 1; }
	sleep 2
	kill -KILL "$recorder"
	wait "$recorder"
	kill -KILL "$child" # the command that it left behind
	gone "$ids"
}
ok "SIGKILL: no probe is left" killed
ok "... the file reads up to its last whole chunk" py 'f = d["file"]
		assert f["incomplete"] and f["events"] > 5000 and f["bytes"] > 1000, f
		assert len(d["threads"]) >= 2 and wall > 0.5e9, wall'
ok "... and the report says so" bash -c '"$0" report "$1" | grep -q INCOMPLETE' "$W" "$TMP/a.data"
ok "... it has every event of script" bash -c '[ "$("$0" script "$1" | wc -l)" -gt 5000 ]' "$W" "$TMP/a.data"
held() {
	local child
	recorder -- sleep 20 || return
	child=$(pgrep -P "$recorder" | head -n 1)
	kill -KILL "$recorder"
	wait "$recorder"
	kill -KILL "$child" 2>/dev/null
	"$W" report "$TMP/a.data" >/dev/null
}
ok "SIGKILL at once: what is there can be read" held

end "$target" KILL
finish
