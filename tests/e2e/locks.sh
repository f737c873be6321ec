#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Locks whose story is known by design, recorded on this kernel: which lock, who waited for it, how often and how long, who held it
# and what he did meanwhile. The programs are in progs/, what they know of themselves is compared by oracle_locks.py. CPython's lock:
# gil.sh.
# shellcheck source=tests/lib.sh disable=SC2317 # functions are called through ok
. "$(dirname "$0")/../lib.sh"

LOCKS=$ROOT/tests/e2e/oracle_locks.py
CONVOY=$ROOT/tests/e2e/oracle_convoy.py
KLOCKS=$ROOT/tests/e2e/oracle_klocks.py
declare -A ORACLE_OF=([handed]=$CONVOY [crowded]=$CONVOY [position]=$KLOCKS [mmap]=$KLOCKS)

# known CASE PROGRAM WORD...: recorded, reported, compared. 79: the program says that it cannot be run here.
known() {
	not_lost known_once "$@"
}

known_once() {
	local case=$1 status
	shift
	rm -f "$TMP/facts" "$TMP/known.data"*
	KNOWN_FACTS=$TMP/facts timeout -k 5 60 "$W" record -o "$TMP/known.data" -- "$@"
	status=$?
	[ "$status" -ne 77 ] || return 79 # 77 is lost events
	[ "$status" -eq 0 ] || return 1
	timeout -k 5 60 "$W" report --json "$TMP/known.data" >"$TMP/report.json" || return 1
	timeout -k 5 60 "$PY" "${ORACLE_OF[$case]:-$LOCKS}" "$case" "$TMP/report.json" "$TMP/facts"
}

# told WORD CASE PROGRAM...: as known, and the text says the word of the longest wait, with what the JSON has.
told() {
	local word=$1
	shift
	known "$@" || return
	timeout -k 5 60 "$W" report --locks --no-legend "$TMP/known.data" >"$TMP/text" || return
	cat "$TMP/text"
	timeout 20 "$PY" -c 'if True:
		import json, re, sys
		lock = [e for e in json.load(open(sys.argv[2]))["locks"] if e["class"] == "lock"][0]
		text = " ".join(open(sys.argv[3], encoding="utf-8").read().split())
		story = text[text.index("%s (" % lock["name"]):]
		handed = lock["handed_ns"]
		share = {"convoy": handed, "preempted": lock["holder_doing_ns"]["preempted"] - handed}[sys.argv[1]] / lock["wait_ns"]
		said = re.search(r" %s (.*?) \(([0-9.]+) %%\)" % sys.argv[1], story)
		if not said or abs(float(said[2]) / 100 - share) > 0.01:
			sys.exit("%s of %.3f of the waiting, not in: %s" % (sys.argv[1], share, story[:600]))
		if sys.argv[1] == "convoy" and not said[1].startswith("%d times" % lock["convoys"]):
			sys.exit("%d convoys: %s" % (lock["convoys"], said[0]))' "$word" "$TMP/report.json" "$TMP/text"
}

# counted PROGRAM...: as known, but perf trace looks on and counts, too.
counted() {
	not_lost counted_once "$@"
}

# Without it perf reads one CPU's events after the other's, and an exit may come before its call.
sorted=$(perf trace -h 2>&1 | grep -o -m 1 -e --sort-events)

counted_once() {
	rm -f "$TMP/facts" "$TMP/known.data"*
	KNOWN_FACTS=$TMP/facts timeout -k 5 60 "$W" record -o "$TMP/known.data" -- \
		perf trace ${sorted:+"$sorted"} -e futex -o "$TMP/perf.txt" "$@" || return 1
	timeout -k 5 60 "$W" report --json "$TMP/known.data" >"$TMP/report.json" || return 1
	timeout -k 5 60 "$PY" "$CONVOY" perf "$TMP/report.json" "$TMP/facts" - "$TMP/perf.txt"
}

# possibly COMMAND...: where the program may find that this machine or kernel lacks what it needs.
possibly() {
	local status
	"$@"
	status=$?
	[ "$status" -eq 79 ] || return "$status"
	echo "the machine or its kernel lacks what the program needs"
	return 77
}

# strace is another witness of what the programs say of themselves: a futex call for each call that had to block.
traced() {
	rm -f "$TMP/facts"
	KNOWN_FACTS=$TMP/facts timeout -k 5 60 strace -f -qq -e trace=futex -o "$TMP/strace" "$@" || return
	"$PY" -c 'if True:
		import json, re, sys
		facts = [json.loads(line) for line in open(sys.argv[1], encoding="utf-8")]
		calls = [m for m in re.findall(r"futex\((0x[0-9a-f]+), (\w+)", open(sys.argv[2], encoding="utf-8").read())
		         if m[1].startswith(("FUTEX_WAIT", "FUTEX_LOCK_PI"))]
		wrong = not calls
		for lock in {f["lock"]: f for f in facts if f["role"] == "lock"}.values():
			begin = int(lock["address"], 16)
			seen = sum(begin <= int(address, 16) < begin + lock["size"] for address, _ in calls)
			said = sum(f["calls"] for f in facts if f["role"] == "waiter" and f["lock"] == lock["lock"])
			print("%s: strace saw %d waits, the program says %d" % (lock["lock"], seen, said))
			wrong |= not said or seen != said
		sys.exit(wrong)' "$TMP/facts" "$TMP/strace"
}

if command -v strace >/dev/null && strace -qq -o /dev/null true 2>/dev/null; then
	ok "strace: 3 waiters, 2 rounds" traced "$PROGS/locks" one_holder 3 2 5
	ok "strace: two locks" traced "$PROGS/locks" two_locks
	ok "strace: a chain of two" traced "$PROGS/locks" nested 10
	ok "strace: priority inheritance" traced "$PROGS/lock_kinds" pi
	ok "strace: read-write lock" traced "$PROGS/lock_kinds" rwlock
	ok "strace: condition variable" traced "$PROGS/syncs" cond
	ok "strace: barrier" traced "$PROGS/syncs" barrier
	ok "strace: semaphore, timed out" traced "$PROGS/syncs" sem_timed
else
	skip "strace: the programs wait as often as they say" "strace is missing or may not trace"
fi

locks=$PROGS/locks kinds=$PROGS/lock_kinds places=$PROGS/lock_places syncs=$PROGS/syncs

ok_bpf "one holder, who runs: 3 waiters, 3 rounds" known running "$locks" one_holder 3 3 10
ok_bpf "... one waiter" known running "$locks" one_holder 1 5 5
ok_bpf "the holder sleeps" known asleep "$locks" sleeper 2 3 10
ok_bpf "the holder is preempted" possibly known running "$locks" preempted 2 20
ok_bpf "two locks, static and global" known two_locks "$locks" two_locks
ok_bpf "a lock at one address in two processes" known forked "$locks" forked
ok_bpf "a waits for m, who waits for h" known nested "$locks" nested 50
ok_bpf "2 threads, 60 % of the work under the lock" known share "$locks" share 2 100 60 500
ok_bpf "2 threads, 80 %: Amdahl's limit of 1.25" possibly known amdahl "$locks" amdahl 2 40 80 5000
ok_bpf "4 threads, 30 %" known share "$locks" share 4 50 30 500
ok_bpf "a convoy: the holder sleeps" possibly known convoy "$locks" convoy 5 15 500
ok_bpf "a convoy: who is given the lock has no CPU" possibly told convoy handed "$locks" handed 3 5 15
ok_bpf "the holder shares its CPU with a hog" told preempted crowded "$locks" crowded 2 6 12
if perf trace -e futex -o /dev/null true 2>/dev/null; then
	ok_bpf "perf trace: 2 threads, as many waits" counted "$locks" share 2 100 60 300
	ok_bpf "perf trace: a convoy, as many waits" counted "$locks" convoy 5 15 500
else
	skip "perf trace: as many waits" "perf is missing or may not trace system calls"
fi
ok_bpf "a spinning lock blocks nobody" known spin "$locks" spin 20

ok_bpf "priority inheritance" known pi "$kinds" pi
ok_bpf "recursive" known running "$kinds" recursive
ok_bpf "error-checking" known running "$kinds" errorcheck
ok_bpf "robust, its owner ends" known robust "$kinds" robust
ok_bpf "read-write lock" known rwlock "$kinds" rwlock
ok_bpf "a writer that waits for two readers" known rwlock_readers "$kinds" rwlock_readers
ok_bpf "a signal interrupts a wait, which goes on" known signalled "$kinds" signalled
ok_bpf "pthread_mutex_timedlock times out" known mutex_timed "$kinds" mutex_timed

ok_bpf "a lock on the heap" known heap "$places" heap
ok_bpf "a lock on the stack" known stack "$places" stack
ok_bpf "a lock in a file that two processes have mapped" known shared "$places" shared

plugin() {
	known asleep "$places" "$1" "$TMP/libplugin.so"
}
if gcc -O2 -g -shared -fPIC -pthread "$ROOT/tests/e2e/progs/plugin/plugin.c" -o "$TMP/libplugin.so" 2>/dev/null; then
	ok_bpf "a static lock of a library that is loaded late" plugin plugin
	ok_bpf "... and unloaded before the end" plugin closed
else
	skip "a static lock of a library that is loaded late" "gcc is missing"
fi

stripped() {
	strip -s -o "$TMP/stripped" "$locks" && known stripped "$TMP/stripped" sleeper 2 2 15
}
ok_bpf "a lock of a program without symbols: object and offset" stripped

ok_bpf "a condition variable" known cond "$syncs" cond
ok_bpf "a queue: who waits for work waits for no lock" known queue "$syncs" queue 50 2000
ok_bpf "a barrier" known barrier "$syncs" barrier
ok_bpf "pthread_join" known join "$syncs" join
ok_bpf "a semaphore" known sem "$syncs" sem
ok_bpf "sem_timedwait times out" known sem_timed "$syncs" sem_timed
ok_bpf "sem_wait is ended by a signal" known eintr "$syncs" eintr
ok_bpf "futex: wait, timed wait, wait_bitset" known raw "$syncs" raw
ok_bpf "a call that has slept finds the value changed: a signal has ended its wait" known changed "$syncs" changed
ok_bpf "futex_waitv" possibly known futex "$syncs" waitv
ok_bpf "futex_wait of Linux 6.7" possibly known futex "$syncs" futex2

ok_bpf "a kernel mutex, held by a sleeper" possibly known position "$PROGS/klocks" position 3 20
ok_bpf "the lock of an address space" known mmap "$PROGS/klocks" mmap 300
# klock_perf CASE [ARG...]: perf looks on, the same events, from its own buffer.
klock_perf() {
	not_lost klock_perf_once "$@"
}

klock_perf_once() {
	rm -f "$TMP/facts" "$TMP/known.data"*
	KNOWN_FACTS=$TMP/facts timeout -k 5 60 perf record -q -e lock:contention_end -o "$TMP/perf.data" -- \
		"$W" record -o "$TMP/known.data" -- "$PROGS/klocks" "$@" || return 79
	timeout -k 5 60 perf script -i "$TMP/perf.data" -F tid,event,trace >"$TMP/perf.txt" 2>/dev/null &&
		timeout -k 5 60 "$W" report --kernel-addresses --json "$TMP/known.data" >"$TMP/report.json" || return 1
	timeout -k 5 60 "$PY" "$KLOCKS" "${1}_perf" "$TMP/report.json" "$TMP/facts" - "$TMP/perf.txt"
}
if perf record -q -e lock:contention_end -o "$TMP/perf.data" true 2>/dev/null; then
	ok_bpf "that mutex: its address, and how often it was found taken, as perf has them" possibly klock_perf position 3 20
	ok_bpf "... and that of the address space" possibly klock_perf mmap 300
else
	skip "locks of the kernel: their addresses, and how often they were found taken, as perf has them" "perf is missing or has no event of it"
fi

# A kernel before 5.19 has no contention events, which its type information tells. Where this one has them, a copy of that with the name
# changed takes its place, in a mount namespace of our own.
without_contention() {
	if ! grep -qa btf_trace_contention_begin /sys/kernel/btf/vmlinux; then
		"$@"
		return
	fi
	"$PY" -c 'import sys
data, name = open("/sys/kernel/btf/vmlinux", "rb").read(), b"\0btf_trace_contention_begin\0"
sys.exit(data.count(name) != 1 or open(sys.argv[1], "wb").write(data.replace(name, name.upper())) != len(data))' "$TMP/btf" || return
	# shellcheck disable=SC2016 # the inner shell's words
	unshare -m sh -c 'mount --bind "$1" /sys/kernel/btf/vmlinux && shift && exec "$@"' sh "$TMP/btf" "$@"
}

old_check() {
	without_contention "$W" check --json >"$TMP/check.json" || return
	without_contention "$W" check >"$TMP/check" || return
	cat "$TMP/check"
	"$PY" -c 'if True:
		import json, sys
		probes = {p["name"]: p for p in json.load(open(sys.argv[1]))["probes"]}
		klock = probes["klock"]
		if klock["works"] or "contention_begin" not in klock["why_not"] or "5.19" not in klock["why_not"]:
			sys.exit(klock)
		if not probes["sched"]["works"]:
			sys.exit("only these events are missing: %s" % probes["sched"])' "$TMP/check.json" &&
		grep -q '^klock *no ' "$TMP/check" && grep -q 'use Linux 5.19 or later' "$TMP/check"
}

# The same waits as with the probe, exactly counted: they belong to the system call that they are in, a read(2).
old_record() {
	rm -f "$TMP/facts" "$TMP/known.data"*
	KNOWN_FACTS=$TMP/facts without_contention timeout -k 5 60 "$W" record -o "$TMP/known.data" -- "$PROGS/klocks" position 3 20
	case $? in
	0) ;;
	77) return 79 ;;
	*) return 1 ;;
	esac
	timeout -k 5 60 "$W" report --json "$TMP/known.data" >"$TMP/report.json" || return 1
	timeout -k 5 60 "$PY" "$CONVOY" without_klock "$TMP/report.json" "$TMP/facts"
}

if need_bpf && ! unshare -m true 2>/dev/null; then
	skip "a kernel without contention events" "unshare(1) is missing or may not make a mount namespace"
else
	ok_bpf "a kernel without contention events: check says so" old_check
	ok_bpf "... and record goes on without them" possibly not_lost old_record
fi

# The text: the lock by its name, and its holder.
named() {
	known asleep "$locks" sleeper 2 3 10 || return
	timeout 60 "$W" report --locks "$TMP/known.data" >"$TMP/text" || return
	cat "$TMP/text"
	grep -q 'counter_lock' "$TMP/text" && grep -qw 'holder' "$TMP/text"
}
ok_bpf "report --locks names the lock and its holder" named

# Of the last recording: each lock's line has the JSON's numbers, as far as it shows them.
same_numbers() {
	"$PY" -c 'if True:
		import json, re, sys
		locks = {e["name"]: e for e in json.load(open(sys.argv[1]))["locks"]}
		text = open(sys.argv[2], encoding="utf-8").read().split("Which locks", 1)[1]
		head, *lines = text.split("\n\n")[0].split("\n")[1:]
		unit = {"ns": 1, "us": 1e3, "ms": 1e6, "s": 1e9}
		kinds = {"futex": "unclassified", "pi_mutex": "PI mutex", "cond": "condition"}
		seen = 0
		for line in lines:
			m = re.match(r"(.*?) +(%s) +(lock|gil|klock|sync) +(\d+) +([\d.]+) (\w+) +([\d.]+) (\w+) +(\d+) +(.*)" %
			             "|".join({kinds.get(e["kind"], e["kind"]) for e in locks.values()}), line)
			e = locks[m[1].strip()]
			seen += 1
			assert (m[2], m[3], int(m[4]), int(m[9])) == (kinds.get(e["kind"], e["kind"]), e["class"], e["waits"], e["waiters"]), (line, e)
			for said, to, key in (m[5], m[6], "wait_ns"), (m[7], m[8], "longest_ns"):
				assert abs(float(said) * unit[to] - e[key]) <= 0.01 * e[key], (line, key, e[key])
			shares = dict(zip(re.findall(r"running|preempted|blocked|asleep|free|unknown|timed out|signal", head.split("threads")[1]),
			                  re.findall(r"<?[\d.]+ %|-|\d+", m[10])))
			for key in e["holder_doing_ns"].keys() & shares.keys():
				share = 100 * e["holder_doing_ns"][key] / e["wait_ns"]
				said = shares[key].replace(" %", "")
				assert said == "-" and share < 0.01 or said[0] == "<" or abs(float(said) - share) <= 0.06, (line, key, share)
		assert seen == len(locks) and seen, (seen, len(locks))' "$TMP/report.json" "$TMP/text"
}
ok_bpf "... with the numbers of the JSON: waits, total, longest, threads, what the holder did" same_numbers

finish
