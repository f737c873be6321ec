#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# What a flame graph claims, held against the ledger, the recording's own events and the files on disk: classes and threads one by one,
# recordings in which little or nothing could be captured, programs that are deleted, replaced or stripped, hostile names.
# Shares of known programs are in flame.sh, options in flame_options.sh, the browser in flame_browser.sh.
# shellcheck source=tests/lib.sh disable=SC2317,SC2016 # functions are called through ok; single quotes are for the inner shell
. "$(dirname "$0")/../lib.sh"

SRC=$ROOT/tests/e2e/progs
HERE=$ROOT/tests/e2e
data=$TMP/flame.data
cd "$TMP" || exit 1

record() {
	rm -f "$data"
	timeout -k 5 60 "$W" record -o "$data" "$@" >facts 2>record.err || {
		cat record.err
		return 1
	}
	timeout -k 5 60 "$W" report --json "$data" >report.json
}

# flame NAME OPTION...: folded, into NAME.folded; what it says into NAME.err.
flame() {
	local name=$1
	shift
	timeout -k 5 60 "$W" flame --folded "$@" "$data" >"$name.folded" 2>"$name.err" || {
		cat "$name.err"
		return 1
	}
}

total() {
	timeout 60 "$PY" "$HERE/oracle_flame.py" total "$1.folded" report.json "$1"
}

# python CODE: with `stacks`, [frames], ns of each line of a file, and `report`.
python() {
	"$PY" -c "if True:
		import collections, json, re, sys
		report = json.load(open('report.json'))
		def stacks(path):
			for line in open(path, encoding='utf-8', errors='replace'):
				stack, ns = line.rstrip('\n').rsplit(' ', 1)
				yield stack.split(';'), int(ns)
		$1"
}

# ---- the sums ----

# Each class of the ledger has its time off the CPUs, and each thread its time on them: to the nanosecond.
by_class() {
	record -g -F 999 -- "$PROGS/burn" lock 1 && flame off --off && flame wake --wake && flame on --on --threads || return
	python "
		off, wake = collections.Counter(), collections.Counter()
		for frames, ns in stacks('off.folded'):
			off[frames[-1]] += ns
		for frames, ns in stacks('wake.folded'):
			at = frames.index('--') if '--' in frames else len(frames)
			wake[frames[at - 1]] += ns
		truth = {c: ns for c, ns in report['ledger'].items() if ns and c not in ('oncpu', 'untracked')}
		print(truth)
		assert {'lock', 'sleep', 'runq_wakeup'} <= set(truth), truth
		assert dict(off) == truth, off
		assert dict(wake) == truth, wake
		on = collections.Counter()
		for frames, ns in stacks('on.folded'):
			on[frames[0]] += ns
		truth = collections.Counter()
		for t in report['threads']:
			truth[t['comm'] + '/' + str(t['tid'])] += t['ledger']['oncpu']
		assert len(truth) >= 2 and on == truth, (on, truth)"
}

ok_bpf "off-CPU: each class's time is the ledger's; on-CPU: each thread's is" by_class

# In buffers that are too small stacks are given up, and even events.
too_small() {
	record -g -F 9999 -m 64K --stack-size 32K -- "$PROGS/stacks" flood 2000 || return
	local mode
	for mode in on off wake lock; do
		flame "$mode" "--$mode" && total "$mode" || return
	done
	grep -c 'not captured' on.folded off.folded
	python "sys.exit(0 if report['lost']['events'] else 77)" || { echo "nothing was lost here"; return 77; }
	grep -q '\[stack not captured\]' off.folded && grep -q 'has no stack: it is shown as \[stack not captured\]' off.err &&
		grep -q 'events were lost while recording' off.err
}

ok_bpf "full buffers: the time stays, as [stack not captured], and it is said" too_small

# Asked for, but there was nothing to be sampled, or to wait for: not the user's fault.
nothing_there() {
	record -g -F 1 -- true && flame on --on && total on && cat on.folded || return
	# a sample may come by chance
	grep -q '^\[stack not captured\] ' on.folded || return 77
	grep -q '100 % of the time' on.err && flame lock --lock && [ ! -s lock.folded ]
}

ok_bpf "a program too short for a sample: its time is there" nothing_there

# Without an option the graph is of what was recorded.
default_kind() {
	local mode
	for mode in on off lock wake; do
		echo "--stacks $mode"
		record --stacks "$mode" -- "$PROGS/burn" lock 0.3 && flame default && flame "$mode" "--$mode" && total "$mode" || return
		[ -s default.folded ] && cmp default.folded "$mode.folded" || return
	done
}

ok_bpf "the default is the kind that was recorded" default_kind

# refused PART OPTION...: exit status 2, and a sentence with that part.
refused() {
	local part=$1 status
	shift
	timeout 20 "$W" flame --folded "$@" >out 2>err
	status=$?
	cat err
	[ "$status" -eq 2 ] && [ ! -s out ] && [ "$(wc -l <err)" -eq 1 ] && grep -qF -e "$part" err
}

cut_short() {
	record -g -- "$PROGS/burn" cpu 0.3 || return
	local size part mode
	size=$(stat -c %s "$data")
	head -c 2000 "$data" >cut.data
	refused "damaged" cut.data --on || return
	# with whatever is whole of it, or a sentence: never a crash
	for part in 20 35 50 65 80 95; do
		head -c $((size * part / 100)) "$data" >cut.data
		for mode in on off wake lock; do
			timeout 20 "$W" flame --folded "--$mode" cut.data >out 2>err ||
				refused "damaged" cut.data "--$mode" || { echo "$part %, $mode"; return 1; }
			grep -q damaged err || { cat err; return 1; }
		done
	done
}

ok_bpf "a trace that is cut: said" cut_short

without_bpf() {
	timeout 20 "$W" record --no-bpf -o plain.data -- true >/dev/null 2>&1 && refused "without BPF" plain.data
}

ok "a recording without BPF: said" without_bpf

no_python() {
	record -g -- "$PROGS/burn" cpu 0.1 && flame on --python || return
	grep -q 'record with --python' on.err || return
	record -g --python -- "$PROGS/burn" cpu 0.1 && flame on --python && ! grep -q -- --python on.err
}

ok_bpf "--python of a recording without: said" no_python

# ---- what is recorded ----

# CPUs are not interrupted at once: their samples lie apart by more than a tenth of the period.
phases() {
	local cpus
	cpus=$("$PY" -c 'import os; c = sorted(os.sched_getaffinity(0)); print(*c[:2] if len(c) > 1 else [])')
	[ -n "$cpus" ] || { echo "there is only one CPU"; return 77; }
	# shellcheck disable=SC2086 # two words
	record --stacks on -F 99 -- sh -c 'taskset -c $2 "$1" cpu 1 & taskset -c $3 "$1" cpu 1; wait' sh "$PROGS/burn" $cpus || return
	"$W" script "$data" | grep 'about=sample' >samples
	"$PY" - samples <<'PYTHON'
import collections, re, sys
of, period = collections.defaultdict(list), 1e9 / 99
for line in open(sys.argv[1]):
    time, cpu = re.match(r"([\d.]+) cpu(\d+)", line).groups()
    of[cpu].append(float(time) * 1e9 % period / period)
middles = [sorted(phases)[len(phases) // 2] for phases in of.values() if len(phases) >= 10]
print({cpu: len(phases) for cpu, phases in of.items()}, middles)
if len(middles) < 2:
    print("one of the CPUs was busy with others")
    sys.exit(77)
apart = abs(middles[0] - middles[1])
assert 0.1 < min(apart, 1 - apart)
PYTHON
}

ok_bpf "the CPUs' samples lie apart" phases

# A process that has slept in a known function since before the recording: user stack by its function, the kernel's by /proc/PID/stack,
# the whole time below it.
asleep_before() {
	local pid
	spawn "$PROGS/stacks" vfork 20000
	pid=${spawned[-1]}
	sleep 0.3
	record -g -d 0.5 -p "$pid" && flame off --off && total off && ! grep -F 'not captured' off.folded || return
	sed -n 's/^[^ ]* \([^+]*\)+.*/\1/p' "/proc/$pid/stack" | tac | paste -sd ';' >kernel
	end "$pid"
	cat kernel off.folded
	[ -s kernel ] && python "
		kernel, good, all = open('kernel').read().strip(), 0, 0
		for frames, ns in stacks('off.folded'):
			path = ';'.join(frames[:-1])
			whole = frames[0] == '_start' and re.search(';main;outer_vfork;[^;]*vfork;', path) and path.endswith('vfork;' + kernel)
			good, all = good + (ns if whole else 0), all + ns
		assert good == all >= 400000000, (good, all)"
}

ok_bpf "asleep since before the recording: its stack is the wait's" asleep_before

# One whose memory cannot be read: what can be had of it is its function, and that this is not all is said.
asleep_stuck() {
	local pid
	spawn "$PROGS/stuck" 60 >stuck.out
	pid=${spawned[-1]}
	until_true 5 grep -q asleep stuck.out || { echo "there is no userfaultfd here"; return 77; }
	sleep 0.2
	record -g -d 0.3 -p "$pid" && flame off --off && total off && cat off.err || return
	cat off.folded
	grep -q 'not whole: they begin with \[cut\]' off.err && grep -q '^\[cut\];main;entry_SYSCALL.*nanosleep.*;sleep [0-9]*$' off.folded
}

ok_bpf "... one whose stack nobody can read: its function, [cut]" asleep_stuck

# All threads of the machine: hardly any wait is without a stack, kernel threads included.
asleep_all() {
	record -g -a -d 0.5 && flame off --off && total off || return
	awk '{ n += $NF } /not captured/ { lost += $NF } END { print lost / n; exit !(lost < 0.05 * n) }' off.folded &&
		grep -q '^ret_from_fork_asm;ret_from_fork;kthread;kthreadd;\|;kthreadd;' off.folded
}

if [ "$(uname -m)" = x86_64 ]; then
	ok_bpf "the whole machine: what sleeps has its stack" asleep_all
fi

# The sampler and the scheduler's programs each write an equal stack once.
once() {
	record -g -F 999 -- "$PROGS/burn" lock 1 || return
	"$W" script "$data" | grep -oE '(kstack|ustack) id=[0-9a-f]+ part=0' | sort | uniq -c | sort -rn >written
	"$W" script "$data" | grep -c ' calls about=' >calls
	head -n 3 written
	[ "$(awk '$1 > 2' written | wc -l)" -eq 0 ] && [ "$(($(wc -l <written) * 2))" -lt "$(cat calls)" ]
}

ok_bpf "equal stacks are written once" once

# What takes the stacks is not in those of switch-outs and wake-ups.
not_ours() {
	record -g -F 999 -- "$PROGS/burn" lock 1 && flame off --off && flame wake --wake || return
	grep -q 'try_to_wake_up' wake.folded && grep -q '__schedule;' off.folded &&
		! grep -E 'bpf_(prog|trace|get_stack)|___bpf' off.folded wake.folded
}

ok_bpf "our own BPF frames are not in the stacks of waits and wake-ups" not_ours

# ---- programs that go away ----

# attached PATH: records a program of its own that runs there; expects its functions' names.
attached() {
	record -g -F 499 -d 0.4 -p "$1" && flame on --on && cat on.err && grep -q 'main;burn;work;seventy;turn ' on.folded
}

deleted() {
	local status
	cp "$PROGS/burn" gone && spawn ./gone cpu 20
	sleep 0.2
	rm gone
	attached "${spawned[-1]}"
	status=$?
	end "${spawned[-1]}"
	return "$status"
}

ok_bpf "a program whose file is deleted while it runs" deleted

replaced() {
	cp "$PROGS/burn" other && record -g -F 499 -- ./other cpu 0.3 && cp "$PROGS/stacks" other && flame on --on || return
	head -n 3 on.folded
	grep -q 'another build' on.err && grep -Eq '(^|;)other\+0x[0-9a-f]+' on.folded &&
		! grep -E 'inner_burn|seventy|descend|outer_' on.folded
}

ok_bpf "a file that was replaced since: addresses only, and it is said" replaced

in_chroot() {
	local status
	mkdir -p root
	gcc -O2 -g -static -D_GNU_SOURCE -pthread "$SRC/burn.c" -o root/jailed 2>/dev/null
	[ -x root/jailed ] || { echo "no static libc"; return 77; }
	spawn chroot root /jailed cpu 20
	sleep 0.3
	attached "${spawned[-1]}"
	status=$?
	end "${spawned[-1]}"
	return "$status"
}

ok_bpf "a program in a chroot, while it lives" in_chroot

# gone_with_its_root PROGRAM...: it runs for 1 s in another root directory, to which it has gone, and is gone when the graph is drawn.
gone_with_its_root() {
	record -g -F 499 -- "$@" && flame on --on && cat on.err && grep -q 'main;burn;work;seventy;turn ' on.folded &&
		! grep -E '\[(jailed|burn|libc)' on.folded && flame off --off && total on && total off
}

chroot_gone() {
	mkdir -p root
	gcc -O2 -g -static -D_GNU_SOURCE -pthread "$SRC/burn.c" -o root/jailed 2>/dev/null
	[ -x root/jailed ] || { echo "no static libc"; return 77; }
	gone_with_its_root chroot root /jailed cpu 1
}

# With libraries: its own copies, not ours, though they bear the same names.
chroot_libraries() {
	local library
	mkdir -p lib-root && cp "$PROGS/burn" lib-root/jailed || return
	ldd "$PROGS/burn" | grep -o '/[^ ]*' | while read -r library; do
		mkdir -p "lib-root${library%/*}" && cp "$library" "lib-root$library"
	done
	gone_with_its_root chroot lib-root /jailed cpu 1 || return
	grep -q '__libc_start_call_main;main;burn' on.folded
}

# As a container's: a root that is mounted for it alone, but whose file system is mounted for us, too.
container_gone() {
	mkdir -p "a mount"
	mount -t tmpfs none "a mount" 2>/dev/null || { echo "no tmpfs here"; return 77; }
	later "umount '$TMP/a mount'"
	[ -x root/jailed ] || { echo "no static libc"; return 77; }
	cp root/jailed "a mount/jailed" && mkdir "a mount/old" || return
	gone_with_its_root unshare -m sh -c 'cd "a mount" && pivot_root . old && exec /jailed cpu 1'
}

# Each is gone before it is looked at: alone in a root directory that nobody else has.
chroot_short() {
	[ -x root/jailed ] || { echo "no static libc"; return 77; }
	record -g -F 999 -- sh -c 'for n in 1 2 3 4 5 6 7 8 9 10; do chroot root /jailed cpu 0.01; done' && flame on --on || return
	cut -c 1-150 on.folded
	grep -q 'main;burn;work;seventy;turn ' on.folded || return
	[ "$(findmnt -no FSTYPE -T root)" = ext4 ] || { echo "not ext4"; return 77; }
	! grep -F '[jailed' on.folded
}

ok_bpf "a program that was in a chroot, and is gone" chroot_gone
ok_bpf "... after 10 ms" chroot_short
ok_bpf "... with libraries of its own" chroot_libraries
if command -v unshare >/dev/null && command -v pivot_root >/dev/null; then
	ok_bpf "a program in a mount of its own, and gone" container_gone
else
	skip "a program in a mount of its own, and gone" "unshare or pivot_root is missing"
fi

# Its symbols are in a file below /usr/lib/debug, found by the build-id.
by_build_id() {
	local id dir
	gcc -O2 -g -D_GNU_SOURCE -pthread "$SRC/burn.c" -o bare && objcopy --only-keep-debug bare bare.debug && strip bare &&
		record -g -F 499 -- ./bare cpu 0.3 && flame on --on && ! grep -q seventy on.folded || return
	id=$(readelf -n bare | awk '/Build ID/ { print $3 }') && [ ${#id} -eq 40 ] || return
	dir=/usr/lib/debug/.build-id/${id:0:2}
	[ -d "$dir" ] || later "rmdir -p $dir"
	mkdir -p "$dir" && later "rm -f $dir/${id:2}.debug" && cp bare.debug "$dir/${id:2}.debug" && flame on --on &&
		grep -q 'main;burn;work;seventy;turn ' on.folded
}

ok_bpf "stripped, with a debug file found by its build-id" by_build_id

# ---- names ----

hostile() {
	gcc -O2 -g -D_GNU_SOURCE -pthread "$SRC/flame/names.c" -o 'na mes;é' && record -g -F 999 -- "./na mes;é" && flame on --threads || return
	cat -A on.folded | cut -c 1-60
	! LC_ALL=C grep -qa '[[:cntrl:]]' on.folded && ! LC_ALL=C grep -avE '^[^;]+(;[^;]+)* [0-9]+$' on.folded || return
	python "
		on = sum(ns for _, ns in stacks('on.folded'))
		assert on == report['ledger']['oncpu'], on
		assert len({frames[0] for frames, ns in stacks('on.folded')}) >= 8"
	"$W" flame --from-folded on.folded --folded --threads 2>&1 | sort | diff - <(sort on.folded) || return
	local file ns
	ns=$(awk '{ n += $NF } END { print n }' on.folded)
	for file in names.svg names.html; do
		"$W" flame "$data" --threads -o "$file" && "$PY" "$HERE/flame_check.py" "$file" --total "$ns" || return
	done
}

ok_bpf "threads with hostile names: in the folded stacks and in the graph" hostile

finish
