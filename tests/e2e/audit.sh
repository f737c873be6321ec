#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Many kinds of programs against oracles that are not ours: the kernel's own books (in the report's audit, and read by
# progs/books.c from /proc and getrusage), `perf stat`, and the switches that perf records at the same time.
# shellcheck source=tests/lib.sh disable=SC2317 # functions are called through ok
. "$(dirname "$0")/../lib.sh"

export KNOWN_FACTS=$TMP/facts
PERF=$ROOT/tests/e2e/oracle_perf.py
declare -A ORACLE_OF=([perf_stat]=$PERF [perf_script]=$PERF)

# audited CASE COMMAND...: recorded under books; every sum, count and time is compared. CASE may have words after a blank.
audited() {
	not_lost audited_once "$@"
}

audited_once() {
	local case
	read -ra case <<<"$1"
	shift
	rm -f "$TMP/facts" "$TMP/books" "$TMP/audit.data"*
	timeout 90 "$W" record -m 32M -o "$TMP/audit.data" -- "$PROGS/books" "$TMP/books" "$@" >"$TMP/out" 2>&1 || {
		cat "$TMP/out"
		return 1
	}
	"$W" report --json "$TMP/audit.data" >"$TMP/report.json" || return
	"$PY" "${ORACLE_OF[${case[0]}]:-$ORACLE}" "${case[0]}" "$TMP/report.json" "$TMP/facts" "$TMP/books" "${case[@]:1}"
}

# audits NAME COMMAND...
audits() {
	local name=$1
	shift
	if command -v "$1" >/dev/null; then
		ok_bpf "$name" audited any "$@"
	else
		skip "$name" "there is no $1 here"
	fi
}

known=$PROGS/known
audits "perf bench sched pipe" perf bench sched pipe -l 5000
audits "perf bench sched pipe -T (threads)" perf bench sched pipe -T -l 5000
audits "perf bench sched pipe on one CPU" taskset -c 0 perf bench sched pipe -l 20000
audits "perf bench sched messaging" perf bench sched messaging -g 5 -l 200
audits "perf bench sched messaging -t (threads)" perf bench sched messaging -t -g 2 -l 100
audits "perf bench futex hash" perf bench futex hash -t 4 -r 1
audits "stress-ng --futex" stress-ng --futex 2 -t 2 --quiet
audits "stress-ng --switch" stress-ng --switch 2 --switch-ops 20000 --quiet
audits "stress-ng --fork" stress-ng --fork 2 --fork-ops 300 --quiet
audits "stress-ng --vfork --clone" stress-ng --vfork 1 --vfork-ops 100 --clone 1 --clone-ops 100 --quiet
audits "stress-ng --pthread" stress-ng --pthread 2 --pthread-ops 60 --quiet
audits "stress-ng --affinity: a thread that moves itself" stress-ng --affinity 2 --affinity-ops 2000 --quiet
audits "a shell with pipelines" bash -c 'for i in 1 2 3 4 5; do seq 2000 | sort -r | sed s/1/2/ | wc -l; done'
# shellcheck disable=SC2016 # for the inner shell
audits "a shell with background jobs" bash -c 'for i in 1 2 3 4; do (sleep 0.05; echo $i) & done; wait'
audits "make -j3" make -j3 -f /dev/stdin --eval 'all: a b c d e' --eval 'a b c d e:; @sleep 0.02; seq 3000 | md5sum'
audits "python threads" "$PY" -c 'if True:
	import threading
	def work():
		for i in range(30): sum(range(20000))
	threads = [threading.Thread(target=work) for i in range(6)]
	[t.start() for t in threads]
	[t.join() for t in threads]'
audits "python processes" "$PY" -c 'if True:
	import concurrent.futures
	with concurrent.futures.ProcessPoolExecutor(3) as pool:
		print(sum(pool.map(pow, range(200), range(200), chunksize=5)) % 7)'
audits "strategies" "$W" count py-processes --count 100000 --workers 3
audits "a deep mix" "$known" bursts 2 2000

# perf beside us, on the same program at the same time
if command -v perf >/dev/null; then
	for work in "mutex 4 10 1000" "sleeps 50 1000" "yields 500"; do
		# shellcheck disable=SC2086 # a workload and its numbers
		ok_bpf "perf stat counts the same switches and migrations: known $work" \
			audited "perf_stat $TMP/stat" perf stat -x, -e context-switches,cpu-migrations -o "$TMP/stat" \
			"$known" $work
	done
else
	skip "perf stat" "there is no perf here"
fi

# seen_by_perf WORK...: perf records the switches of the whole machine while we record; then thread by thread.
seen_by_perf() {
	not_lost seen_by_perf_once "$@"
}

seen_by_perf_once() {
	rm -f "$TMP/facts" "$TMP/books" "$TMP/perf.data"* "$TMP/audit.data"*
	perf record -q -a -m 4096 -k mono -e sched:sched_switch -o "$TMP/perf.data" -- \
		"$W" record -o "$TMP/audit.data" -- "$PROGS/books" "$TMP/books" "$known" "$@" || return
	perf script --ns -F comm,tid,cpu,time,event,trace -i "$TMP/perf.data" >"$TMP/perf.txt" 2>"$TMP/perf.err" || return
	if grep -i lost "$TMP/perf.err"; then
		echo "perf lost events"
		return 77
	fi
	"$W" report --json "$TMP/audit.data" >"$TMP/report.json" || return
	"$PY" "${ORACLE_OF[perf_script]}" perf_script "$TMP/report.json" "$TMP/facts" "$TMP/books" "$TMP/perf.txt"
}

if need_bpf && perf record -q -e sched:sched_switch -o "$TMP/perf.data" true 2>/dev/null; then
	for work in "pingpong 1000" "forks 10" "waits 100" "hogs 200" "exec_thread 20" "leader_exits 30"; do
		# shellcheck disable=SC2086
		ok "perf sched saw the same switches and times: known $work" seen_by_perf $work
	done
else
	skip "perf sched saw the same switches and times" "${bpf_why:-perf cannot record sched_switch here}"
fi

finish
