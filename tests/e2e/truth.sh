#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Programs whose answer is known by design (progs/known.c), recorded on this kernel: every ledger must say what they did, every
# count must be the kernel's own (progs/books.c). The figures are compared by oracle.py.
# shellcheck source=tests/lib.sh disable=SC2317 # functions are called through ok
. "$(dirname "$0")/../lib.sh"

# known WORKLOAD [NUMBER...]: recorded under books, reported, compared.
known() {
	not_lost known_once "$@"
}

known_once() {
	rm -f "$TMP/facts" "$TMP/books" "$TMP/known.data"*
	KNOWN_FACTS=$TMP/facts timeout 60 "$W" record -o "$TMP/known.data" -- \
		"$PROGS/books" "$TMP/books" "$PROGS/known" "$@" || return
	"$W" report --json "$TMP/known.data" >"$TMP/report.json" || return
	"$PY" "$ORACLE" "$1" "$TMP/report.json" "$TMP/facts" "$TMP/books" "${@:2}"
}

ok_bpf "burns 200 ms of CPU time" known burn 200
ok_bpf "sleeps 100 times for 2 ms" known sleeps 100 2000
ok_bpf "2,000 rounds of ping-pong through pipes" known pingpong 2000
ok_bpf "4 threads, 10 times each a mutex held for 2 ms" known mutex 4 10 2000
ok_bpf "two threads that yield on one CPU" known yields 2000
ok_bpf "20 children that exec" known forks 20
ok_bpf "a chain of 12 processes, each the parent of the next" known chain 12

# Who leaves a CPU looks for work elsewhere first, and now and then finds some: what that costs is in no book of the kernel's.
crowded_chain() {
	local round
	for round in 1 2 3; do
		spawn "$PROGS/known" burn 700
		spawn "$PROGS/known" sleeps 600 500
		known chain 12 || {
			echo "in round $round"
			return 1
		}
	done
}
ok_bpf "... while other programs come and go" crowded_chain
ok_bpf "exec in a thread that is not the leader" known exec_thread 30
ok_bpf "the leader exits, another thread goes on" known leader_exits 50
ok_bpf "vfork" known vfork 60
ok_bpf "two hogs on one CPU" known hogs 400
ok_bpf "SIGSTOP and SIGCONT" known stopped 100
ok_bpf "every kind of wait has its class" known waits 200

if [ -w /proc/sys/kernel/ns_last_pid ]; then
	ok_bpf "one pid, two processes" known pid_reuse
else
	skip "one pid, two processes" "/proc/sys/kernel/ns_last_pid cannot be written"
fi

# Of what is printed for a terminal, only newlines are control characters (C1 ones included), and it is UTF-8.
clean_text() {
	"$PY" -c 'if True:
		import sys
		text = sys.stdin.buffer.read().decode("utf-8")
		bad = sorted({c for c in text if c != "\n" and (ord(c) < 32 or 127 <= ord(c) < 160)})
		sys.exit("control characters: %r" % bad if bad or len(text) < 100 else 0)'
}

# printed COMMAND [OPTION...]: of the recording that was made last.
printed() {
	"$W" "$@" "$TMP/known.data" >"$TMP/text" && clean_text <"$TMP/text"
}
ok_bpf "names with control characters, markup, no UTF-8: as they are in JSON" known names
ok_bpf "... and escaped in the table" printed report --all
ok_bpf "... and escaped in the list of events" printed script

# throttled: a cgroup with a tenth of a CPU; cpu.stat is the oracle.
make_cgroup() {
	local unified
	group=/sys/fs/cgroup/cpu/whyscale-test-$$
	if mkdir "$group" 2>/dev/null; then
		later "rmdir $group"
		if echo 100000 >"$group/cpu.cfs_period_us" && echo 10000 >"$group/cpu.cfs_quota_us"; then
			group_time="throttled_time" group_unit=1
			return
		fi
	fi 2>/dev/null
	for unified in /sys/fs/cgroup /sys/fs/cgroup/unified; do
		group=$unified/whyscale-test-$$
		if ! grep -qs cpu "$unified/cgroup.subtree_control" || ! mkdir "$group"; then
			continue
		fi
		later "rmdir $group"
		if echo "10000 100000" >"$group/cpu.max"; then
			group_time="throttled_usec" group_unit=1000
			return
		fi
	done 2>/dev/null
	return 1
}

throttled() {
	local before after nr=0 ns=0
	rm -f "$TMP/facts" "$TMP/known.data"*
	before=$(cat "$group/cpu.stat")
	# shellcheck disable=SC2016 # for the inner shell
	KNOWN_FACTS=$TMP/facts timeout 60 "$W" record -o "$TMP/known.data" -- \
		sh -c 'echo $$ >"$1" && exec "$2" burn 60' sh "$group/cgroup.procs" "$PROGS/known" || return
	after=$(cat "$group/cpu.stat")
	"$W" report --json "$TMP/known.data" >"$TMP/report.json" || return
	nr=$(($(field nr_throttled "$after") - $(field nr_throttled "$before")))
	ns=$((($(field "$group_time" "$after") - $(field "$group_time" "$before")) * group_unit))
	"$PY" "$ORACLE" throttled "$TMP/report.json" "$TMP/facts" "" "$nr" "$ns"
}

field() {
	awk -v key="$1" '$1 == key { print $2 }' <<<"$2"
}

if need_bpf && make_cgroup; then
	ok "throttled: a tenth of a CPU" throttled
else
	skip "throttled: a tenth of a CPU" "${bpf_why:-no cgroup with a CPU quota can be made}"
fi

finish
