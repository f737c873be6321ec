#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Flame graphs of programs whose functions take known shares of the time, recorded on this kernel: on a CPU, asleep, waiting for a lock;
# built in every way that makes stacks or names hard. Shares are right within 2 points, and the graph's total is the ledger's. What the
# programs know of themselves is compared by oracle_flame.py; a program of progs/ is built here where the way matters.
# Python's functions are in flame_python.sh.
# shellcheck source=tests/lib.sh disable=SC2317 # functions are called through ok
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/e2e/flame_lib.sh
. "$ROOT/tests/e2e/flame_lib.sh"

build() {
	local name=$1
	shift
	gcc -O2 -g -D_GNU_SOURCE -pthread "$@" "$SRC/burn.c" -o "$TMP/$name"
}

# ---- on a CPU, built in every way ----

ok_bpf "70, 20 and 10 % of the time on a CPU" shares "main;burn;work" "$PROGS/burn" cpu 2
if build with-fp -fno-omit-frame-pointer; then
	ok_bpf "... with frame pointers" shares "main;burn;work" "$TMP/with-fp" cpu 2
fi
if build no-fp -fomit-frame-pointer -no-pie -fno-pie; then
	ok_bpf "... without frame pointers, at a fixed address" shares "main;burn;work" "$TMP/no-fp" cpu 2
fi
if build pie -fomit-frame-pointer -pie -fPIE; then
	ok_bpf "... at any address (PIE)" shares "main;burn;work" "$TMP/pie" cpu 2
fi
if build static -static 2>/dev/null; then
	ok_bpf "... linked statically" shares "main;burn;work" "$TMP/static" cpu 2
fi
if build stripped && objcopy --only-keep-debug "$TMP/stripped" "$TMP/stripped.debug" &&
	strip "$TMP/stripped" && objcopy --add-gnu-debuglink="$TMP/stripped.debug" "$TMP/stripped"; then
	ok_bpf "... stripped, with a debug file beside it" shares "main;burn;work" "$TMP/stripped" cpu 2
fi
if g++ -O2 -g -D_GNU_SOURCE "$SRC/flame/oven.cc" -o "$TMP/oven"; then
	ok_bpf "... in C++" shares "main" "$TMP/oven" 2
fi
if gcc -O2 -g -shared -fPIC -D_GNU_SOURCE "$SRC/flame/lib.c" -o "$TMP/libburn.so"; then
	ok_bpf "... in a library that is loaded late and unloaded" shares "library_burn;work" \
		"$PROGS/burn" dl 2 "$TMP/libburn.so"
fi
ok_bpf "... before and after exec" shares "main;burn;work" "$PROGS/burn" exec 1 "$PROGS/burn" cpu 1
ok_bpf "... in a process that is gone before the end" shares "main;in_child;burn;work" "$PROGS/burn" child 2

# through FROM LEAF PROGRAM...: 98 % of the time under LEAF is reached from FROM.
through() {
	not_lost through_once "$@"
}

through_once() {
	local from=$1 leaf=$2
	shift 2
	record -F 999 -- "$@" && folded on && oracle whole "$TMP/on.folded" "$from" "$leaf" 0.98
}

ok_bpf "qsort of libc calls back: whole to main" through sort_numbers by_value "$PROGS/burn" sort 1
ok_bpf "... and main to qsort" through main sort_numbers "$PROGS/burn" sort 1
ok_bpf "Debian's python3: whole to the C library's start" through __libc_start_call_main _PyEval_EvalFrameDefault \
	/usr/bin/python3 -I "$SRC/flame/burn.py" 1

# Debian's sort: stripped, and in libc all the time.
sorted_lines() {
	"$PY" -c 'for i in range(300000): print(i * 7919 % 300007)' >"$TMP/lines" || return 1
	through __libc_start_call_main '__memcmp*' env LC_ALL=C sort --parallel=1 -o "$TMP/lines.sorted" "$TMP/lines"
}

ok_bpf "Debian's sort: whole from libc's memcmp to the start" sorted_lines

# ---- code without a file, or without call frame information ----

# The kernel's own code in the process has its names. Where clock_gettime() is no system call.
in_vdso() {
	case $(cat /sys/devices/system/clocksource/clocksource0/current_clocksource) in
	tsc | kvm-clock | hyperv_clocksource_tsc_page | arch_sys_counter) ;;
	*) echo "the clock is read by a system call here" && return 77 ;;
	esac
	record -F 999 -- "$PROGS/stacks" clock 500 && folded on || return
	! grep -q '\[vdso\]' "$TMP/on.folded" &&
		oracle whole "$TMP/on.folded" outer_clock '*clock_gettime' 0.98 &&
		grep -Eq 'main;outer_clock;((__)?clock_gettime(@[^;]*)?;)?(__vdso_|__kernel_)?clock_gettime ' "$TMP/on.folded"
}

ok_bpf "the time of day: in the vdso's function, by its name" in_vdso

# A function of which nothing says how to leave it: its time stays, marked, and the note says so.
in_part() {
	record -F 999 -- "$PROGS/stacks" bare 300 && folded on || return
	oracle whole "$TMP/on.folded" '[unwound in part]' bare_burn 0.98 &&
		"$W" flame --on "$data" -o "$TMP/part.svg" 2>"$TMP/err" && cat "$TMP/err" &&
		grep -q 'to the end: they begin with \[unwound in part\]' "$TMP/err" &&
		grep -q 'to the end: they begin with \[unwound in part\]' "$TMP/part.svg"
}

ok_bpf "code without call frame information: marked at its root, and said" in_part

# vfork() has its return address in a register meanwhile: the stack is the child's, too.
in_vfork() {
	record -- "$PROGS/stacks" vfork 300 && folded off || return
	# the child sleeps, the parent waits for that
	oracle whole "$TMP/off.folded" __libc_start_call_main '*vfork' 1 &&
		grep -E 'main;outer_vfork;.*;sleep 3[0-9]{8}$' "$TMP/off.folded" &&
		grep -E 'main;outer_vfork;[^;]*vfork;.*;sync [3-9][0-9]{8}$' "$TMP/off.folded"
}

if [ "$(uname -m)" = x86_64 ]; then
	ok_bpf "vfork: whole, while its return address is in a register" in_vfork
fi

# In execve() the old program is gone, and the new one not there: its time is below a root of its own, and no stack is marked.
in_execve() {
	record -F "$RATE" -- sh -c 'for i in 1 2 3 4 5 6 7 8 9 10; do /bin/true; done; :' && folded on && folded off || return
	grep -hF '[exec];' "$TMP/on.folded" "$TMP/off.folded" | cut -c1-150
	grep -hFq '[exec];' "$TMP/on.folded" "$TMP/off.folded" || return 78
	! grep -hE '(^|;)\[exec\]' "$TMP/on.folded" "$TMP/off.folded" | grep -v 'execve' || return
	! grep -h 'sys_execve' "$TMP/on.folded" "$TMP/off.folded" | grep -F -e '[cut]' -e '[unwound in part]'
}

ok_bpf "execve: where there is no program, [exec]" not_lost in_execve

# Threads end where they begin: nothing to be marked there.
not_marked() {
	local program
	for program in "burn lock" "burn cpu" "burn sleep"; do
		# shellcheck disable=SC2086 # several words
		record -F 999 -- "$PROGS"/$program 0.5 && folded on && folded off || return
		! grep -h -F '[unwound in part]' "$TMP/on.folded" "$TMP/off.folded" || return
	done
}

ok_bpf "stacks that are whole are not marked" not_marked

# java OPTION...: Burn. Its methods are compiled before their first call: interpreted ones have no names, and how long they are depends on
# how often they were called.
java_burn() {
	record -F 999 -- java -XX:+PreserveFramePointer -XX:CompileCommand=quiet '-XX:CompileCommand=dontinline,Burn.*' \
		-Xcomp '-XX:CompileCommand=compileonly,Burn.*' "$@" \
		-cp "$TMP/java" Burn 2 && folded on
}

# With the map that the JVM writes at its end: its methods by their names.
java_named() {
	not_lost java_named_once
}

java_named_once() {
	local status
	java_with_map
	status=$?
	rm -f "/tmp/perf-$(sed -n 's/^java pid //p' "$TMP/record.err").map"
	return "$status"
}

java_with_map() {
	java_burn -XX:+UnlockDiagnosticVMOptions -XX:+DumpPerfMapAtExit &&
		oracle shares "$TMP/on.folded" "$TMP/facts" "" && oracle whole "$TMP/on.folded" JavaMain 'long Burn.*' 0.98
}

# Without it they have none, and no wrong one.
java_unnamed() {
	not_lost java_unnamed_once
}

java_unnamed_once() {
	java_burn && oracle whole "$TMP/on.folded" JavaMain '[[]anon[]]' 0.98 && ! grep -E '\[anon\];[^;[]*(Burn|Main)' "$TMP/on.folded"
}

if command -v javac >/dev/null && command -v java >/dev/null && javac -d "$TMP/java" "$SRC/flame/Burn.java"; then
	ok_bpf "Java: methods by the map that the JVM writes" java_named
	ok_bpf "Java: generated code without a map is [anon], and led through" java_unnamed
else
	skip "Java: generated code" "javac or java is missing"
fi

# ---- beside perf ----

# In one run, beside perf: the same program under both.
beside_perf() {
	not_lost beside_perf_once
}

beside_perf_once() {
	record -F "$RATE" -- perf record -q -e cpu-clock -F "$RATE" -g -o "$TMP/perf.data" "$TMP/with-fp" cpu 3 &&
		folded on || return
	timeout 60 perf script -i "$TMP/perf.data" -F comm,ip,sym 2>/dev/null >"$TMP/perf.txt" || return 1
	oracle perf "$TMP/on.folded" "$TMP/perf.txt" seventy twenty ten
}

if command -v perf >/dev/null && [ -x "$TMP/with-fp" ]; then
	ok_bpf "the same shares as perf record -e cpu-clock -g sees in the same run" beside_perf
else
	skip "the same shares as perf record -e cpu-clock -g sees in the same run" "there is no perf"
fi

# ---- waiting ----

asleep() {
	not_lost asleep_once
}

asleep_once() {
	record -- "$PROGS/burn" sleep 2 && folded off || return
	oracle shares "$TMP/off.folded" "$TMP/facts" "main;doze" && oracle time "$TMP/off.folded" "$TMP/facts" 0.02
}

ok_bpf "asleep: 70 and 30 % in two functions, and how long" asleep

locked() {
	not_lost locked_once
}

# The lock's wait is all in want_lock, at the_lock, held by the other thread.
locked_once() {
	record -- "$PROGS/burn" lock 2 && folded lock && folded wake && folded off || return
	oracle time "$TMP/lock.folded" "$TMP/facts" 0.02 || return
	"$PY" - "$TMP/lock.folded" "$TMP/wake.folded" <<'PYTHON'
import sys
good = total = 0
for line in open(sys.argv[1]):
    stack, ns = line.rsplit(" ", 1)
    frames = stack.split(";")
    total += int(ns)
    if frames[0].startswith("the_lock ") and frames[1].startswith("held by burn/") and "want_lock" in frames:
        good += int(ns)
print(f"lock: {good} of {total} ns")
if good < 0.95 * total:
    sys.exit("the lock or its holder is not told")
good = total = 0
for line in open(sys.argv[2]):
    stack, ns = line.rsplit(" ", 1)
    waiter, _, waker = stack.partition(";--;")
    if "want_lock" in waiter.split(";") and waiter.endswith(";lock"):
        total += int(ns)
        frames = waker.split(";")
        if "hold_lock" in frames and frames.index("hold_lock") > 0:
            good += int(ns)
print(f"wake: {good} of {total} ns")
if not total or good < 0.95 * total:
    sys.exit("who woke it is not told")
PYTHON
}

ok_bpf "a lock: its name, its holder, and who gave it away" locked

# ---- what is not there ----

no_stacks() {
	"$W" record -o "$data" -- "$PROGS/burn" cpu 0.1 >/dev/null && ! "$W" flame --folded --on "$data" >"$TMP/out" 2>"$TMP/err" ||
		[ ! -s "$TMP/out" ] || return 1
	grep -q -- -g "$TMP/err"
}

# Files that are gone: three are named, with the reason; the others are counted. In the graph, too.
files_gone() {
	local i run=
	for i in 1 2 3 4 5; do
		cp "$PROGS/burn" "$TMP/gone$i" || return 1
		run+="$TMP/gone$i cpu 0.2; "
	done
	record -F 999 -- sh -c "$run:" || return
	rm "$TMP"/gone[1-5]
	"$W" flame --on "$data" -o "$TMP/gone.svg" 2>"$TMP/err" || return
	cat "$TMP/err"
	same "$(grep -Ec "^whyscale: $TMP/gone[1-5]: .*[a-z]" "$TMP/err")" 3 &&
		grep -Eq 'and 2 more files' "$TMP/err" && same "$(grep -o "and 2 more files" "$TMP/gone.svg" | sort -u)" "and 2 more files" &&
		folded on && grep -q '\[gone[1-5]\]' "$TMP/on.folded"
}

ok_bpf "files that are gone: named, with the reason, without a flood" files_gone
ok_bpf "a trace without stacks: said, with what to do" no_stacks

finish
