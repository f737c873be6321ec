#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Who wakes whom, who had the CPU, and the critical path: of programs in which each is known by design (progs/chain.c), recorded on
# this kernel; the wake-ups also as perf counts them in the same run.
# shellcheck source=tests/lib.sh disable=SC2317,SC2016 # functions are called through ok; single quotes are for the inner shell
. "$(dirname "$0")/../lib.sh"

CHECK=$ROOT/tests/e2e/oracle_wakeups.py
export CHAIN_FACTS=$TMP/facts

# chain CASE ARG...: recorded, reported, compared.
chain() {
	not_lost chain_once "$@"
}

chain_once() {
	rm -f "$TMP/facts" "$TMP/chain.data"*
	timeout 60 "$W" record -o "$TMP/chain.data" -- "$PROGS/chain" "$@" || return
	"$W" report --json "$TMP/chain.data" >"$TMP/report.json" && "$W" script "$TMP/chain.data" >"$TMP/script" || return
	"$PY" "$CHECK" "$1" "$TMP/report.json" "$TMP/facts" "${@:2}"
}

ok_bpf "a ring of 5 threads, 200 rounds: each wakes the next 200 times" chain ring 5 200
ok_bpf "a ring of 3 processes, 300 rounds" chain ring 3 300 processes
ok_bpf "a timer wakes a thread 100 times while another one has its CPU: that one woke nobody" chain timer 100 "$TMP/script"

# Where events were lost nothing was tested, and that is no pass.
path() {
	chain path 50 30 20 40 "$TMP/script"
	same $? 0
}
ok_bpf "B, C and main after each other, a decoy beside them: the critical path" path

# perf's sched_waking, recorded around the same run.
perf_agrees() {
	not_lost perf_once
}

perf_once() {
	rm -f "$TMP/facts" "$TMP/chain.data"* "$TMP/perf.data"
	perf record -q -a -e sched:sched_waking -o "$TMP/perf.data" -- \
		"$W" record -o "$TMP/chain.data" -- "$PROGS/chain" ring 4 250 || {
		echo "perf cannot record sched:sched_waking here"
		return 77
	}
	perf script -i "$TMP/perf.data" -F tid,trace 2>/dev/null |
		sed -nE 's/^ *([0-9]+) .*comm=chain pid=([0-9]+) .*/\1 \2/p' >"$TMP/pairs"
	"$W" report --json "$TMP/chain.data" >"$TMP/report.json" || return
	"$PY" "$CHECK" perf "$TMP/report.json" "$TMP/facts" 4 250 "$TMP/pairs"
}

if command -v perf >/dev/null; then
	ok_bpf "perf counts the same wake-ups in the same run" perf_agrees
else
	skip "perf counts the same wake-ups in the same run" "perf is not installed"
fi

occupied() {
	not_lost occupied_once
}

# The squatter is there before the recording begins; what it runs meanwhile the hogs see in its schedstat.
occupied_once() {
	local squatter status
	rm -f "$TMP/facts" "$TMP/chain.data"*
	spawn "$PROGS/chain" squat 30000
	squatter=$!
	until_true 5 grep -qx squatter "/proc/$squatter/comm" || return
	timeout 60 "$W" record -o "$TMP/chain.data" -- "$PROGS/chain" hogs 400 "$squatter"
	status=$?
	end "$squatter"
	[ "$status" -eq 0 ] || return 1
	"$W" report --json "$TMP/chain.data" >"$TMP/report.json" || return
	"$PY" "$CHECK" occupied "$TMP/report.json" "$TMP/facts" "$squatter"
}
ok_bpf "two hogs and a squatter of another program on one CPU: who had it" occupied

elsewhere() {
	not_lost elsewhere_once
}

elsewhere_once() {
	local status
	rm -f "$TMP/else.facts" "$TMP/else.data"*
	KNOWN_FACTS=$TMP/else.facts timeout 60 "$W" record -o "$TMP/else.data" -- "$PROGS/elsewhere" 30
	status=$?
	[ "$status" -ne 77 ] || echo "there is one CPU"
	[ "$status" -eq 0 ] || return "$status"
	"$W" report --json "$TMP/else.data" >"$TMP/else.json" && "$W" script "$TMP/else.data" >"$TMP/else.txt" &&
		"$PY" "$ROOT/tests/e2e/oracle_elsewhere.py" "$TMP/else.json" "$TMP/else.facts" "$TMP/else.txt"
}
ok_bpf "a CPU stands idle that who waits for another one may use: for how long" elsewhere

# ---- the forms ----

fits() {
	"$W" report "$@" "$TMP/chain.data" >"$TMP/text" || return
	"$PY" -c 'if True:
		import sys
		lines = open(sys.argv[1], encoding="utf-8").read().split("\n")
		bad = [l for l in lines if len(l) > 100 or l != l.rstrip()]
		assert not bad, bad' "$TMP/text"
}

ok_bpf "the table says who had the CPU" fits
ok_bpf "... by name, and that no other CPU could have been used" bash -c '
	grep -q "^squatter .* not recorded" "$1" && grep -q "^own .* the same process" "$1" &&
	grep -q "^For .* another CPU that the waiting thread may use stood idle" "$1"' bash "$TMP/text"
ok_bpf "... with a legend that can be left out" bash -c '
	grep -q "^  own  *threads of the same process" "$1" &&
	! "$2" report --no-legend "$3" | grep -q "threads of the same process as"' bash "$TMP/text" "$W" "$TMP/chain.data"
ok_bpf "--critical-path" fits --critical-path
ok_bpf "... says what it means" bash -c 'tr "\n" " " <"$1" | grep -q "does not make it end sooner"' bash "$TMP/text"
ok_bpf "--wakeups" fits --wakeups
same_sums() {
	"$PY" -c 'if True:
		import json, re, sys
		d = json.load(open(sys.argv[1]))
		text = open(sys.argv[2]).read()
		rows = re.findall(r"(?m)^.* (task|hardirq|softirq|interrupt|unknown|new) .* (\d+) +[\d.<]+ [mun]?s ", text)
		total = int(re.search(r"(?m)^all wake-ups +(\d+) ", text).group(1))
		more = re.search(r"(?m)^\(\d+ more[^)]*\) +(\d+) ", text)
		shown = sum(int(n) for _, n in rows) + (int(more.group(1)) if more else 0)
		assert total == d["wakeups"]["count"] == shown, (total, d["wakeups"]["count"], shown)' "$TMP/report.json" "$TMP/text"
}
ok_bpf "... whose rows sum to the JSON's" same_sums
ok_bpf "--wakeups --threads 3: few rows" fits --wakeups --threads 3
ok_bpf "... that sum to the same" same_sums
ok_bpf "both forms together" bash -c '
	"$1" report --critical-path --wakeups "$2" | grep -cE "^(Who woke whom|The critical path)" | grep -qx 2' bash "$W" "$TMP/chain.data"

no_bpf() {
	"$W" record --no-bpf -o "$TMP/n.data" "$PROGS/chain" hogs 20 2>/dev/null || return
	"$W" report --wakeups --critical-path "$TMP/n.data" >"$TMP/text" || return
	grep -q "No wake-up was recorded" "$TMP/text" && grep -q "No critical path" "$TMP/text" &&
		"$W" report --json "$TMP/n.data" | "$PY" -c 'if True:
			import json, sys
			d = json.load(sys.stdin)
			assert d["wakeups"] is d["runq_by"] is d["critical_path"] is None'
}
ok "without BPF: nothing is invented" no_bpf

finish
