#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# record --keep: the last part of a recording, of programs whose every second is known; snapshots at SIGUSR2; that the memory of the
# recorder and its file stay bounded, and that what was let go of is not missed.
# shellcheck source=tests/lib.sh disable=SC2317,SC2016 # functions are called through ok; single quotes are for the inner shell
. "$(dirname "$0")/../lib.sh"
cd "$TMP" || exit 1

# refused WORD ARGUMENT...: exit status 2 and one sentence with that word.
refused() {
	local word=$1
	shift
	timeout 20 "$W" record "$@" >out 2>err </dev/null
	[ $? -eq 2 ] && [ "$(wc -l <err)" -eq 1 ] && grep -qF -e "$word" err && [ ! -e refused.data ] && return
	cat err
	return 1
}

for time in "" 60 0s 50ms 1441m 1e3s 1h -1s . s 5x; do
	ok "--keep '$time'" refused "time to keep" "--keep=$time" -o refused.data true
done
for size in "" 0 1K 12Q 65537M -1M; do
	ok "--keep 60s,$size" refused "size to keep" "--keep=60s,$size" -o refused.data true
done
ok "--keep without BPF" refused "leave --no-bpf out" --keep 60s --no-bpf -o refused.data true
ok "--keep with counters" refused "counters" --keep 60s -e page-faults -o refused.data true
mkdir adir
ok "--keep with an output that cannot be written" refused "adir" --keep 60s -o adir true
ok "... the command was not run" bash -c '! "$0" record --keep 60s -o adir touch ran 2>/dev/null && test ! -e ran' "$W"

if ! need_bpf; then
	skip "what is kept, snapshots, memory" "$bpf_why"
	finish
fi

# py FILE CODE [ARG...]: a few lines of Python over the report of FILE (d), its threads by name, and `said`. Lost events: 77; missed: 78.
py() {
	local file=$1 code=$2
	shift 2
	"$W" report --json "$file" >report.json || return
	"$PY" -c "if True:
		import json, os, sys
		d = json.load(open('report.json'))
		if d['lost']['events']: print(d['lost']), sys.exit(77)
		kept, wall = d['kept'], d['wall_ns']
		named = {t['comm']: t for t in d['threads']}
		said = dict(line.split() for line in open('said') if len(line.split()) == 2)
		def life(t): return t['end_ns'] - t['start_ns']
		for t in d['threads']:
			assert sum(t['ledger'].values()) == life(t), t
		assert d['audit']['switches']['result'] == d['audit']['migrations']['result'] == 'ok' or d['lost']['missed'], d['audit']
		$code" "$@"
}

# ---- a program whose every second is alike ----
# What is known of a part of it, of any length: see progs/periods.c. The machine may be late by some ms each time.
periods_right='
		ms = 1000000
		assert {n: str(t["tid"]) for n, t in named.items() if n in said} == said, (said, list(named))
		# what no probe saw is at most a wait of one of them, and told
		missed = d["lost"]["missed"]
		assert len(d["threads"]) == 5 and d["ledger"]["untracked"] <= missed * 100 * ms, d["ledger"]
		fine = ("ok", "missed") if missed else ("ok",)
		for t in d["threads"]:
			assert life(t) >= wall - 2 * ms - (t["comm"] in ended) * 110 * ms, (t["comm"], life(t), wall)
			assert t["audit"]["switches"]["result"] in fine and t["audit"]["migrations"]["result"] in fine, t["audit"]
		stuck, ticker, waiter, holder = (named[n] for n in ("stuck", "ticker", "waiter", "holder"))
		assert stuck["ledger"]["io"] >= 0.98 * life(stuck) and stuck["switches"]["voluntary"] <= 1, stuck
		assert ticker["ledger"]["sleep"] > 0.2 * life(ticker), ticker["ledger"]
		# who gets its CPU late does not sleep until a time that is over
		ticks, late = life(ticker) / (20 * ms), (ticker["ledger"]["runq_wakeup"] + ticker["ledger"]["runq_preempted"]) / (20 * ms)
		assert ticks - 3 - late <= ticker["switches"]["voluntary"] <= ticks + 3, (ticker["switches"], ticker["ledger"])
		lock = [l for l in d["locks"] if l["kind"] == "mutex" and "the_lock" in str(l["name"])]
		behind = sum(t["ledger"][c] for t in (waiter, holder) for c in ("runq_wakeup", "runq_preempted"))
		assert len(lock) == 1 and lock[0]["waits"] >= life(waiter) // (100 * ms) - 2 - behind // (20 * ms), d["locks"]
		assert [h["tid"] for h in lock[0]["holders"]][:1] == [int(said["holder"])], lock
		off = missed * 100 * ms + behind + holder["ledger"]["oncpu"]
		assert abs(waiter["ledger"]["lock"] - 0.2 * life(waiter)) <= 25 * ms + off, (waiter["ledger"], life(waiter))
		assert waiter["ledger"]["lock"] == lock[0]["wait_ns"], lock'

kept_periods() {
	rm -f p.data*
	timeout 60 "$W" record --keep 1s -o p.data "$@" -- "$PROGS/periods" 3 >said || return
	py p.data "ended = ['ticker', 'holder', 'waiter', 'stuck']$periods_right"
}
ok "the last second of a program whose every second is alike" not_lost kept_periods
ok "... and its output is its own" bash -c '[ "$(wc -l <said)" -eq 5 ] && grep -qx ready said'
ok "... the file is its owner's alone" bash -c '[ "$(stat -c %a p.data)" = 600 ] && [ "$(ls | grep -c "p\.data")" -eq 1 ]'
ok "... from when, to when" py p.data 'assert 1e9 <= kept["to_ns"] - kept["from_ns"] == d["wall_ns"] + kept["to_ns"] - kept["from_ns"] - wall
		assert 2e9 < kept["to_ns"] and kept["from_ns"] > 1e9 and kept["asked_ns"] == 1e9 and not kept["limit_reached"], kept
		assert abs(wall - (kept["to_ns"] - kept["from_ns"])) < 0.1e9, (wall, kept)'
ok "... the report says so" bash -c '"$0" report p.data | tr -s " \n" " " | grep -q "kept the last part of a longer recording, from [0-9.]* s to [0-9.]* s of it"' "$W"
ok "... the waits of who waits have a stack with -g" not_lost kept_periods -g
ok "... also of who sleeps since long before" bash -c '"$0" flame --off --folded p.data >folded && grep -q "stuck;.*read" folded' "$W"
for command in explain script "flame --off --folded" "report --locks" "report --wakeups" "report --critical-path" "report --latency"; do
	# shellcheck disable=SC2086
	ok "... $command reads it" bash -c '[ "$("$0" '"$command"' p.data | wc -l)" -ge 1 ]' "$W"
done
ok "... diff reads it" bash -c '"$0" diff p.data p.data >/dev/null' "$W"

# The same without a cut is a trace as any other.
ok "less than what is to be kept" timeout 60 "$W" record --keep 60s -o whole.data -- sh -c 'sleep 0.3; exit 0'
ok "... is whole" py whole.data 'assert kept is None and wall >= 300e6, (kept, wall)
		assert all(t["audit"]["switches"]["result"] == "ok" for t in d["threads"]) or d["lost"]["missed"], d["audit"]'
ok "... and the report does not speak of a part" bash -c '! "$0" report whole.data | grep -q "^kept"' "$W"
# Here there is no file before the end: what the descriptor 0 is must not matter.
nameless_input() {
	exec 3<>nameless && rm nameless && timeout 60 "$W" record --keep 60s -o n.data -- cat <&3 && [ -s n.data ]
}
ok "... and with a removed file as standard input" nameless_input
ok "the exit status is passed on" bash -c '"$0" record --keep 60s -o s.data -- sh -c "exit 7"; [ $? -eq 7 ]' "$W"
ok "an earlier file becomes NAME.old" bash -c '[ -s s.data ] && "$0" record --keep 60s -o s.data -- true && [ -s s.data.old ]' "$W"

# At the end it is too late to choose another file.
kept_beside() {
	local part
	mkdir in_the_way.data.old && echo earlier >in_the_way.data || return
	timeout 60 "$W" record --keep 60s -o in_the_way.data -- sleep 0.2 2>err && return 1
	cat err
	part=$(sed -n "s/.*; what was recorded is in '\(.*\)'$/\1/p" err)
	[ -n "$part" ] && grep -qx earlier in_the_way.data && "$W" report "$part" | grep -q sleep
}
ok "where it cannot take its name it is kept under another, and that is said" kept_beside

# ---- attached; snapshots ----
spawn "$PROGS/periods" 60 >said
target=$!
until_true 20 grep -q ready said
spawn "$W" record --keep 1s -o a.data -p $target 2>notes
recorder=$!
snapshots() {
	find . -name 'a.data.2*' ! -name '*.part' | sort
}
# It records: its BPF programs are there.
attached() {
	[ "$(sed -n 's/^prog_id:[[:space:]]*//p' "/proc/$1/fdinfo"/* 2>/dev/null | sort -un | wc -l)" -ge 8 ]
}
wrote() {
	[ "$(snapshots | wc -l)" -eq "$1" ]
}
until_true 20 attached $recorder
sleep 2.2
kill -USR2 $recorder
ok "SIGUSR2 writes a snapshot" until_true 10 wrote 1
ok "... with the time in its name" bash -c '[[ $0 =~ ^\./a\.data\.20[0-9]{6}-[0-9]{6}\.[0-9]{3}$ ]]' "$(snapshots)"
first=$(snapshots)
ok "... of the last second" py "$first" "ended = []
		assert kept['to_ns'] - kept['from_ns'] >= 1e9 and d['exit_status'] is None, kept$periods_right"
cp report.json first.json
sleep 1.2
kill -USR2 $recorder
ok "... and the recording goes on: another one" until_true 10 wrote 2
second=$(snapshots | tail -n 1)
ok "... is later" py "$second" "ended = []
		assert kept['to_ns'] > json.load(open('first.json'))['kept']['to_ns'] + 1.1e9, kept$periods_right"
sleep 1.1
end $recorder
ok "SIGTERM writes the last second" py a.data "ended = []
		assert kept['to_ns'] > json.load(open('first.json'))['kept']['to_ns'] + 2.2e9, kept$periods_right"
ok "... the target lives" kill -0 $target
ok "... the snapshots were told" bash -c '[ "$(grep -c "snapshot written: .a\.data\.20" notes)" -eq 2 ]'
end $target

mkdir gone
spawn "$W" record --keep 1s -o gone/b.data -- sleep 30 2>notes
recorder=$!
until_true 20 attached $recorder
sleep 0.3
rm -rf gone
kill -USR2 $recorder
ok "a snapshot that cannot be written is said, and the recording goes on" until_true 10 grep -q "no snapshot: cannot write" notes
ok "... (it does)" kill -0 $recorder
end $recorder

# ---- ready, but without a CPU, where the trace begins ----
hogs() {
	timeout 60 "$W" record --keep 300ms -g -o h.data -- "$PROGS/storm" hogs 1200 || return
	py h.data 'if d["lost"]["missed"]: sys.exit(78)
		assert kept and d["ledger"]["untracked"] == 0, d["ledger"]
		hogs = [t for t in d["threads"] if t["tid"] != t["tgid"]]
		assert len(hogs) == 4, d["threads"]
		for t in hogs:
			l = t["ledger"]
			assert l["oncpu"] + l["runq_preempted"] + l["runq_wakeup"] == life(t), l
			assert l["runq_preempted"] >= 0.4 * life(t) and life(t) >= 250e6, (l, wall)'
}
ok "four threads on one CPU: who was ready when it was cut is so" not_lost hogs
# what was mapped, and which stacks there are, was told before
hogs_named() {
	"$W" flame --on --folded h.data 2>/dev/null >folded || return
	cat folded
	awk '/turn_here/ { right += $NF } !/not captured/ { all += $NF } END { exit !(all > 0 && right >= 0.9 * all) }' folded
}
ok "... and its stacks have names" hogs_named

# ... with what tells one build of a file from another
another_build() {
	cp "$PROGS/burn" replaced && timeout 60 "$W" record --keep 300ms -g -o r.data -- ./replaced cpu 1 && cp "$PROGS/storm" replaced || return
	"$W" flame --on --folded r.data >folded 2>err
	cat err
	grep -q 'replaced is another build than the recorded one' err
}
ok "... a file that was replaced since is not taken for the one that was mapped" another_build

# ---- waits that began long before ----
deadlock() {
	timeout 60 "$W" record --keep 300ms -o d.data -- "$PROGS/storm" deadlock 1500 || return
	py d.data 'if d["lost"]["missed"]: sys.exit(78)
		assert kept["from_ns"] > 500e6, kept
		stuck = [t for t in d["threads"] if t["tid"] != t["tgid"]]
		locks = {l["name"].split()[0]: l for l in d["locks"]}
		assert len(stuck) == 2 and set(locks) == {"first_lock", "second_lock"}, d["locks"]
		for t in stuck:
			# which lock it is is known once all threads are
			l = t["ledger"]
			assert l["lock"] + l["sync"] >= 0.95 * life(t) and l["lock"] >= 0.6 * life(t) and t["switches"]["voluntary"] <= 1, t
		holders = {l["holders"][0]["tid"] for l in d["locks"] if len(l["holders"]) == 1}
		assert holders == {t["tid"] for t in stuck}, d["locks"]'
}
ok "a deadlock since long before: which locks, and who has them" not_lost deadlock

# ---- bounds ----
# rss_of PID: kB of memory of its own; the buffers that it shares with the kernel come page by page and are not in it.
rss_of() {
	sed -n 's/^RssAnon:[[:space:]]*\([0-9]*\).*/\1/p' "/proc/$1/status"
}
# storm_rss WHAT N EARLY LATE ARG...: the recorder's memory when the storm says EARLY and LATE; both into $rss.
storm_rss() {
	[[ $BUILD != */san ]] || { echo "sanitizers keep what was freed: no bound of memory holds"; return 77; }
	local what=$1 n=$2 early=$3 late=$4
	shift 4
	: >said
	spawn "$W" record --keep 300ms -o m.data "$@" -- "$PROGS/storm" "$what" "$n" >said
	recorder=$!
	until_true 60 grep -qx "$early" said || return
	rss=$(rss_of "$recorder")
	until_true 120 grep -qx "$late" said || return
	rss="$rss $(rss_of "$recorder")"
	wait "$recorder" || return
	echo "# $what: from $early to $late the recorder's own memory went from ${rss% *} to ${rss#* } kB"
	[ "${rss#* }" -le $((${rss% *} + 2048)) ]
}
ok "70,000 threads do not make the recorder larger" storm_rss threads 70000 20000 70000
grep '^#' "$TMP/.output"
ok "... and those of the end are known, their numbers being beyond those of a short trace" py m.data '
		assert kept and len(d["threads"]) > 10, len(d["threads"])
		assert {t["comm"] for t in d["threads"]} == {"storm"} and d["ledger"]["untracked"] <= 0.01 * wall, d["ledger"]
		assert d["audit"]["threads"]["none"] <= 1, d["audit"]'
ok "5,000 processes with stacks do not" storm_rss processes 5000 2000 5000 -g
grep '^#' "$TMP/.output"
ok "... and those of the end are known" py m.data '
		assert kept and len({t["tgid"] for t in d["threads"]}) > 5, len(d["threads"])
		assert "true" in named and "storm" in named, list(named)'

bytes_bound() {
	timeout 60 "$W" record --keep 60s,1M -o b.data -- "$PROGS/storm" pipe 400000 2>notes || return
	cat notes
	[ "$(stat -c %s b.data)" -le $((5 << 18)) ] || { stat b.data; return 1; }
	grep -q 's were kept instead of 60.0 s: they take' notes || return
	"$W" report b.data | tr -s " \n" " " | grep -q "of which no more fitted into 1.0 MB" || return
	py b.data 'assert kept["limit_reached"] and kept["limit_bytes"] == 1 << 20 and kept["to_ns"] - kept["from_ns"] < 60e9, kept'
}
ok "a bound on bytes is kept, and what it costs is said" not_lost bytes_bound

# ---- a damaged beginning ----
cut_and_broken() {
	local size
	size=$(stat -c %s p.data)
	for at in 100 $((size / 7)) $((size / 3)) $((size / 2)) $((size - 40)); do
		head -c "$at" p.data >cut.data
		timeout 20 "$W" report cut.data >told 2>&1
		[ $? -le 2 ] || { echo "cut at $at"; return 1; }
	done
	grep -q '^kept' told
}
ok "a cut file is no crash, and known as a part where its end is missing" cut_and_broken
finish
