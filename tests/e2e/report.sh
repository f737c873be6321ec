#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# What report and script print of one recording: every option has its effect, every form says the same, and the sums are right.
# shellcheck source=tests/lib.sh disable=SC2317,SC2016 # functions are called through ok; single quotes are for the inner shell
. "$(dirname "$0")/../lib.sh"

if ! need_bpf; then
	skip "report and script of a recording" "$bpf_why"
	finish
fi
cd "$TMP" || exit 1
export KNOWN_FACTS=$TMP/facts
# many threads, of several kinds, with an affinity and a nice value of their own
timeout 60 "$W" record -m 32M -o r.data -- bash -c '
	"$0" waits 100; "$0" forks 15 & nice -n 7 "$0" burn 30 & taskset -c 0 "$0" mutex 4 5 1000 & wait; exit 3' "$PROGS/known"
is "the exit status" $? 3
"$W" report --json r.data >r.json
ok "every sum, count and time of the recording" "$PY" "$ORACLE" any r.json

py() {
	"$PY" -c "if True:
		import json, os, re, sys
		d = json.load(open('r.json'))
		text = open('text').read()
		lines = text.splitlines()
		threads = d['threads']
		$1"
}

# shows OPTION...: into the file text; succeeds, at most 100 columns, no colour, no control character.
shows() {
	"$W" report "$@" r.data >text 2>err || return
	[ ! -s err ] || { cat err; return 1; }
	"$PY" -c 'if True:
		text = open("text", encoding="utf-8").read()
		bad = [line for line in text.split("\n") if len(line) > 100]
		assert not bad, bad
		assert all(c == "\n" or ord(c) >= 32 and not 127 <= ord(c) < 160 for c in text), "control characters"
		assert all(line == line.rstrip() for line in text.split("\n")), "blanks at the end of a line"'
}

ok "the table" shows
ok "... says what was recorded, what was lost, what the audit found and what it cost" py '
		for word in "command", "measured", "file", "lost", "audit", "cost":
			assert any(line.startswith(word) for line in lines), word
		flat = " ".join(text.split())
		assert "exit status 3" in flat and "equal the kernel" in flat, text[:800]'
ok "... names the cost of the recording" py '
		cost = " ".join(text.split("\ncost")[1].split("\n\n")[0].split())
		assert re.search(r"BPF programs [0-9.]+ (ns|us|ms|s) in [0-9]+ runs .*recorder [0-9.]+ (us|ms|s) of CPU time", cost), cost'
ok "... counts the threads" py 'assert "all %d threads" % len(threads) in text'
ok "... sorted by lost time" py '
		body = text.split("How each was scheduled:")[0]
		lost = {t["tid"]: t["end_ns"] - t["start_ns"] - t["ledger"]["oncpu"] for t in threads
			if sum(o["tgid"] == t["tgid"] for o in threads) == 1}
		# what does not fit beside the first columns stands in further blocks, with the same rows again
		rows = dict.fromkeys(int(n) for n in re.findall(r"(?m)^\S+ +([0-9]+) ", body))
		order = [lost[n] for n in rows if n in lost]
		assert len(order) > 5 and order == sorted(order, reverse=True), order'
ok "... has not more than 40 rows" py '
		assert len(set(re.findall(r"(?m)^ *\S+ +([0-9]+) ", text)) & {str(t["tid"]) for t in threads}) <= 41'
ok "--threads 3" shows --threads 3
ok "... the others in one row" py 'assert "more threads" in text'
ok "--all" shows --all
ok "... has every thread" py '
		assert all(re.search(r"(?m)^.* %d " % t["tid"], text) for t in threads), [t["tid"] for t in threads]
		assert "more threads" not in text'
ok "... with policy, nice and affinity" py '
		nice = [t for t in threads if t["scheduling"]["nice"] == 7]
		pinned = [t for t in threads if t["scheduling"]["cpus"] == [0]]
		assert nice and len(pinned) >= 4, (nice, pinned)
		def cells(tid):	# what does not fit beside the first columns stands in further blocks
			found = {}
			for block in text.split("How each was scheduled:")[1].split("\n\n"):
				rows = [line.split() for line in block.split("\n")]
				head = next((r for r in rows if r[:1] == ["process/thread"]), [])
				for row in rows:
					if head and len(row) == len(head) and row[1] == str(tid):
						found.update(zip(head, row))
			return found
		own = [line.strip().split(":", 2)[1:] for line in open("/proc/self/cgroup")]
		own = next((p for c, p in own if "cpu" in c.split(",")), None) or dict(own)[""]
		for t in nice + pinned:
			row, s = cells(t["tid"]), t["scheduling"]
			assert row["policy"] == s["policy"] and row["nice"] == str(s["nice"]), (t, row)
			assert t not in pinned or row["CPUs"] == "0", row
			assert row["cgroup"] == s["cgroup"] == own, (s, row, own)'
ok "... whose figures are those of the JSON" py '
		head = next(line for line in lines if line.startswith("process/thread") and "life" in line).split()
		columns = head[2:]
		body = text.split("How each was scheduled:")[0]
		solo = [t for t in threads if sum(o["tgid"] == t["tgid"] for o in threads) == 1]
		for t in solo:
			row = re.search(r"(?m)^\S+ +%d +(.*)$" % t["tid"], body).group(1).split()
			assert len(row) == len(columns), (row, columns)
			for name, cell in zip(columns, row):
				ns = t["end_ns"] - t["start_ns"] if name == "life" else t["ledger"][name]
				assert abs((0 if cell == "-" else float(cell)) - ns / 1e6) <= 0.006, (t["tid"], name, cell, ns)
		assert len(solo) > 5'
ok "--no-legend is the same without the explanations" bash -c '"$0" report r.data >a && "$0" report --no-legend r.data >b &&
	[ "$(wc -l <b)" -lt "$(wc -l <a)" ] && ! grep -q "executing on a CPU" b && grep -q "executing on a CPU" a' "$W"

ok "--per-cpu" shows --per-cpu
ok "... idle + tracked + other + unknown is the time of the recording, on each CPU" py '
		assert len(d["per_cpu"]) == d["cpus"]
		whole = set()
		for cpu in d["per_cpu"]:
			parts = [cpu[k] for k in ("idle_ns", "tracked_ns", "other_ns", "unknown_ns")]
			assert all(p >= 0 for p in parts), cpu
			whole.add(sum(parts))
			row = re.search(r"(?m)^ *%d +(.*)$" % cpu["cpu"], text.split("Who had each CPU")[1]).group(1).split()
			assert abs(float(row[0].replace("-", "0")) - cpu["tracked_ns"] / 1e6) < 0.006, (row, cpu)
		assert len(whole) == 1 and whole.pop() >= d["wall_ns"], whole
		assert sum(cpu["idle_ns"] for cpu in d["per_cpu"]) > 0 or os.getloadavg()[0] > os.cpu_count()'
ok "--latency" shows --latency
ok "... percentiles and a histogram" py '
		for word in "50 %", "90 %", "99 %", "longest", "distribution", "after a wake-up", "after a preemption":
			assert word in text, word
		counts = [int(n) for n in re.findall(r"(?m)^ *[0-9]+ -> [0-9]+ +: ([0-9]+)", text)]
		assert sum(counts) == d["latency"]["wakeup"]["count"] + d["latency"]["preempted"]["count"], counts'
ok "... every preempted time is in it" py '
		n = sum(t["waits"].get("runq_preempted", {}).get("count", 0) for t in threads)
		assert n == d["latency"]["preempted"]["count"], (n, d["latency"]["preempted"]["count"])
		ready = sum(t["ledger"]["runq_preempted"] for t in threads)
		assert ready == d["latency"]["preempted"]["total_ns"], ready'

ok "-i FILE is FILE" bash -c '"$0" report r.data >a && "$0" report -i r.data >b && cmp a b' "$W"
ok "reading twice gives the same, byte for byte" bash -c '"$0" report --json r.data >a && cmp a r.json' "$W"
ok "a terminal gets colour, or at least no error; NO_COLOR gets none" bash -c '
	TERM=xterm NO_COLOR=1 script -qec "\"$0\" report r.data" /dev/null >tty </dev/null && ! grep -q "$(printf "\033\\[")" tty' "$W"
ok "no privilege is needed to read" bash -c '[ "$(id -u)" -ne 0 ] && exit
	chmod 755 . && chmod 644 r.data && setpriv --reuid nobody --clear-groups "$0" report --json "$PWD/r.data" |
	grep -v "\"path\"" >a && grep -v "\"path\"" r.json >b && cmp a b' "$W"

# ---- script ----
ok "script" bash -c '"$0" script r.data >events' "$W"
ok "... one line an event" bash -c '[ "$(wc -l <events)" -eq "$("'"$PY"'" -c "import json; print(json.load(open(\"r.json\"))[\"file\"][\"events\"])")" ]'
ok "... in order of time" bash -c 'cut -d" " -f1 events | sort -c -n'
script_agrees() {
	"$PY" - <<-'END'
		import json, re
		d = json.load(open("r.json"))
		switches, forks, execs = {}, 0, 0
		for line in open("events", encoding="utf-8"):
		    seconds, cpu, who, event = line.split(None, 4)[:4] if len(line.split()) > 4 else line.split()
		    assert re.fullmatch(r"[0-9]+\.[0-9]{9}", seconds) and re.fullmatch(r"cpu[0-9]+", cpu), line
		    if " switch prev=" in line:
		        prev = re.search(r" switch prev=\S*/(\d+) ", line)
		        tid = int(prev.group(1))
		        switches[tid] = switches.get(tid, 0) + 1
		    forks += " fork " in line
		    execs += " exec " in line
		tids = [t["tid"] for t in d["threads"]]
		for t in d["threads"][1:]:
		    if tids.count(t["tid"]) == 1:
		        ours = t["switches"]["voluntary"] + t["switches"]["involuntary"]
		        assert switches.get(t["tid"]) == ours, (t["tid"], switches.get(t["tid"]), ours)
		assert forks == len(d["threads"]) - 1, (forks, len(d["threads"]))
		assert execs >= 18, execs
	END
}
ok "... whose switches, forks and execs are those of the report" script_agrees
# between the first probe and the last one a machine that is emulated takes seconds
ok "script --monotonic: times of CLOCK_MONOTONIC" bash -c '"$0" script --monotonic r.data | head -n 1 | cut -d" " -f1 >a
	"'"$PY"'" -c "import json; first = float(open(\"a\").read()); begin = json.load(open(\"r.json\"))[\"begin_ns\"] / 1e9
assert abs(first - begin) < $1, (first, begin)"' "$W" "$(in_guest && echo 10 || echo 1)"

# ---- without BPF ----
ok "record --no-bpf" bash -c '"$0" record --no-bpf -o n.data "$1" burn 120 2>err; grep -q "without BPF" err && [ "$(wc -l <err)" -eq 1 ]' \
	"$W" "$PROGS/known"
ok "... its report says what cannot be seen" bash -c '"$0" report n.data >text && grep -q "limits" text && grep -q untracked text' "$W"
no_bpf_json() {
	"$W" report --json n.data >n.json && "$PY" -c 'if True:
		import json
		d = json.load(open("n.json"))
		assert d["bpf"] is False and d["why_not"] and d["threads"]
		for t in d["threads"]:
			assert sum(t["ledger"].values()) == t["end_ns"] - t["start_ns"], t
			assert all(t["ledger"][k] == 0 for k in ("io", "sync", "sleep", "throttled", "stopped", "runq_preempted")), t
		f = [json.loads(line) for line in open("facts")][-1]
		t = next(t for t in d["threads"] if t["tid"] == f["tid"])
		assert 0.5 * f["cpu_ns"] <= t["ledger"]["oncpu"] <= 1.2 * f["cpu_ns"] + 5e6, (t["ledger"], f)'
}
ok "... on-CPU time is what the kernel says, no class is invented" no_bpf_json

finish
