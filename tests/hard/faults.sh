#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Faults: what happens to a recording when the recorder or its command is killed or stopped, when the disk, the descriptors or the
# memory end, when the file is taken away, when the command cannot run or makes trouble. What was written is kept whole; what was
# not seen is `untracked`; no probe and no stopped process is left behind; what went wrong is said in a sentence.
# The clock is set in a guest (tests/kernels/clock.sh), not here.
# shellcheck source=tests/hard/hard.sh disable=SC2317,SC2016 # functions are called through ok; single quotes are for inner shells
. "$(dirname "$0")/hard.sh"

if ! need_bpf; then
	skip "faults" "$bpf_why"
	finish
fi
cd "$TMP" || exit 1

KILLS=${HARD_KILLS:-$(often 6 50)}
REUSES=${HARD_REUSES:-$(often 200 2000)}

# start NAME COMMAND...: a recorder in the background, $recorder; not one that ignores SIGINT, as a background job's children do.
start() {
	local name=$1
	shift
	rm -f "$name".{data*,out,err,json}
	spawn setsid env --default-signal=INT "$W" record -o "$name.data" "${options[@]}" -- "$@" >"$name.out" 2>"$name.err"
	recorder=$!
}

# running NAME: its probes are attached, its command has begun.
running() {
	[ -s "$1.data" ] && command_pid >/dev/null
}

command_pid() {
	pgrep -P "$recorder" | head -n 1 | grep .
}

state_of() {
	sed 's/.*) //' "/proc/$1/stat" 2>/dev/null | cut -c 1
}

in_state() {
	case $(state_of "$1") in
	[$2]) return 0 ;;
	*) return 1 ;;
	esac
}

not_there() {
	! kill -0 "$1" 2>/dev/null || in_state "$1" "ZX"
}

# said NAME WORD...: one line of ours, with each of these words.
said() {
	local name=$1 word
	shift
	[ "$(wc -l <"$name.err")" -eq 1 ] || { echo "not one line:"; cat "$name.err"; return 1; }
	for word; do
		grep -qF -e "$word" "$name.err" || { echo "no '$word' in:"; cat "$name.err"; return 1; }
	done
}

# ---- SIGKILL to the recorder, at any moment of its life ----
# As far as the chunks of NAME.data are whole, and how many of events there are, by its headers (userspace/trace/format.h).
whole_chunks() {
	"$PY" - "$1.data" <<-'END'
		import struct, sys
		data, at, events = open(sys.argv[1], "rb").read(), 32, 0
		while at + 32 <= len(data):
		    magic, kind, cpu, stored, raw, time, check = struct.unpack_from("<IHHIIQQ", data, at)
		    if magic != 0x4b434857 or at + 32 + stored > len(data):
		        break
		    at += 32 + stored
		    events += kind == 2
		print(at, len(data), events)
	END
}

# The recorder is stopped first, so that what it holds can be listed: no more and no less than what must be gone.
kill_at() {
	local phase=$1 delay=$2 ids child whole size chunks
	rm -f status
	start kill sh -c "\"$PROGS/crowd\" rename 400 1000; echo \$? >status"
	[ "$phase" = begins ] || until_true 20 running kill || return
	sleep "$delay"
	# it may have ended by itself
	kill -STOP "$recorder" 2>/dev/null
	until_true 5 gone_or_stopped "$recorder" || return
	ids=$(progs_of "$recorder")
	child=$(command_pid)
	kill -KILL "$recorder" 2>/dev/null
	wait "$recorder"
	[ $? -eq 137 ] && interrupted=$((interrupted + 1))
	gone "$ids" || return
	# the command ends by itself: it has never run, or runs to its end
	if [ "$child" ]; then
		until_true 10 not_there "$child" || { echo "left in state $(state_of "$child")"; return 1; }
	fi
	if [ -s status ]; then
		same "$(cat status kill.out)" "7"$'\n'"rename: 400" || return
		ran=$((ran + 1))
	else
		[ ! -s kill.out ] || { echo "half of it ran: $(cat kill.out)"; return 1; }
	fi
	if [ ! -e kill.data ]; then
		same "$(echo kill.data*)" "kill.data*" && return
		return 1
	fi
	read -r whole size chunks < <(whole_chunks kill)
	py kill 'whole, size, chunks = map(int, sys.argv[1:4])
		assert file["damaged_at"] == (None if whole == size else whole), (file, whole, size)
		assert (file["events"] > 0) == (chunks > 0), (file, chunks)
		assert file["incomplete"] or sys.argv[4] == "finished", file' "$whole" "$size" "$chunks" "$([ -s kill.out ] && echo finished)" || return
	traces=$((traces + 1))
}
gone_or_stopped() {
	not_there "$1" || in_state "$1" Tt
}
random_kills() {
	local i phase moment
	interrupted=0 ran=0 traces=0
	RANDOM=$SEED
	for ((i = 0; i < KILLS; i++)); do
		# one third while it begins, the others while it records, 0.4 s, and ends
		phase=$([ $((i % 3)) -eq 0 ] && echo begins || echo records)
		moment=$(printf '0.%03d' $((RANDOM % 500)))
		kill_at "$phase" "$moment" || { echo "$phase: killed after $moment s (kill $i, seed $SEED)"; return 1; }
	done
	echo "# figure: SIGKILL at $KILLS random moments: $interrupted recorders killed, $traces left a trace, each reads to its last whole" \
		"chunk; commands that had begun: $ran, all ran to their end; 0 probes left, 0 processes stopped" >figure.kill
	[ "$interrupted" -gt 0 ] && [ "$traces" -ge $((KILLS / 2)) ]
}
SEED=${HARD_SEED:-$((RANDOM))}
ok "SIGKILL to the recorder at $KILLS random moments (seed $SEED)" random_kills
cat figure.kill 2>/dev/null

# ---- SIGKILL, SIGSTOP and SIGCONT to the command ----
kill_command() {
	start killed "$PROGS/known" blocked
	until_true 10 grep -q ready killed.out || return
	sleep 0.2
	kill -KILL "$(command_pid)"
	wait "$recorder"
	same $? 137 && said_nothing killed && py killed 'assert not file["incomplete"] and len(threads) == 6, threads
		assert all(one["ended"] for one in threads) and ledger["untracked"] == 0, threads'
}
said_nothing() {
	[ ! -s "$1.err" ] || { cat "$1.err"; return 1; }
}
ok "SIGKILL to the command: its status is passed on, all of its threads end" kill_command

# stop_for SECONDS PID...: stopped, all of them; $stopped_ns is for how long at least, by the clock of the trace.
stop_for() {
	local seconds=$1 pid begin
	shift
	kill -STOP "$@" || return
	for pid; do
		until_true 5 in_state "$pid" T || return
	done
	begin=$(now)
	sleep "$seconds"
	stopped_ns=$(($(now) - begin))
	kill -CONT "$@"
}
now() {
	"$PY" -c 'import time; print(time.clock_gettime_ns(time.CLOCK_MONOTONIC))'
}
stop_command() {
	local child
	start stopped "$PROGS/known" blocked
	until_true 10 grep -q ready stopped.out || return
	child=$(command_pid)
	stop_for 0.5 "$child" || return
	kill -KILL "$child"
	wait "$recorder"
	py stopped 'ns = int(sys.argv[1])
		for one in threads:
			assert ns <= one["ledger"]["stopped"] < ns + 1e9, (one, ns)
		assert lost["events"] == 0 and ledger["untracked"] == 0, lost' "$stopped_ns"
}
ok "SIGSTOP and SIGCONT to the command: that time of each thread is \`stopped\`" stop_command

# ---- SIGSTOP and SIGCONT to the recorder: what it could not take is lost, and known to be ----
stop_recorder() {
	local began ended
	rm -f go
	start asleep sh -c 'stress-ng --quiet --switch 2 --timeout 20s & until [ -e go ]; do sleep 0.05; done; kill $!; wait $!; exit 5'
	until_true 20 running asleep || return
	sleep 0.3
	began=$(now)
	stop_for 0.8 "$recorder" || return
	ended=$(now)
	touch go
	wait "$recorder"
	same $? 5 && said asleep "were lost" && py asleep 'began, ended = map(int, sys.argv[1:])
		assert not file["incomplete"] and lost["events"] > 1000 and ledger["untracked"] > 0, lost
		# it stopped a little later than it was told, and then had buffers to empty
		assert all(began <= span["first_ns"] <= span["last_ns"] <= ended + 3e8 for span in lost["spans"]), (lost["spans"], began, ended)
		switches = d["audit"]["switches"]
		assert d["audit"]["threads"]["differs"] == 0 and switches["missed"] == sum(
			switches[kind]["kernel"] - switches[kind]["ours"] for kind in ("voluntary", "involuntary")), d["audit"]
		assert ledger["untracked"] <= len(threads) * (ended + 3e8 - began), ledger
		print("# figure: recorder stopped for %.1f s under stress-ng --switch: %s events lost, all of them placed in these %.1f s" % (
			(ended - began) / 1e9, format(lost["events"], ","), (ended - began) / 1e9))' "$began" "$ended" >figure.asleep
}
if command -v stress-ng >/dev/null; then
	ok "SIGSTOP and SIGCONT to the recorder: the loss is in that span, the command is not held up" stop_recorder
	grep figure figure.asleep || cat figure.asleep
else
	skip "SIGSTOP and SIGCONT to the recorder" "stress-ng is missing"
fi

# ---- all of them stand still, as in a suspended machine ----
gap() {
	local child
	start gap "$PROGS/known" blocked
	until_true 10 grep -q ready gap.out || return
	child=$(command_pid)
	stop_for 1 "$child" "$recorder" || return
	sleep 0.2
	kill -KILL "$child"
	wait "$recorder"
	same $? 137 && py gap 'ns = int(sys.argv[1])
		for one in threads:
			assert ns <= one["ledger"]["stopped"] < ns + 1e9, (one, ns)
		assert lost["events"] == 0 and ledger["untracked"] == 0 and d["audit"]["threads"]["differs"] == 0, d["audit"]' "$stopped_ns"
}
ok "all stand still for a second: \`stopped\`, nothing lost, the books agree" gap

# ---- the disk is full, the file may not grow, is removed ----
# In a mount namespace of its own: nobody else sees that disk, and it goes with it.
full_disk() {
	unshare --mount --propagation private bash -c '
		mkdir -p disk && mount -t tmpfs -o size=200k tmpfs disk || exit 77
		timeout 60 "$0" record -o disk/full.data -- sh -c "\"$1\" bursts 3 40000; echo ran >ran" 2>full.err
		echo $? >full.status
		cp disk/full.data . ' "$W" "$PROGS/known"
	[ $? -ne 77 ] || { echo "no tmpfs can be mounted"; return 77; }
	same "$(cat full.status ran)" "1"$'\n'"ran" && said full "no space left" "-o FILE" &&
		py full 'assert file["incomplete"] and file["damaged_at"] is None and file["events"] > 1000, file'
}
ok "the disk is full: what was written is whole, the command goes on" full_disk
size_limit() {
	(ulimit -f 160 && timeout 60 "$W" record -o size.data -- "$PROGS/known" bursts 3 40000) >size.out 2>size.err
	same $? 1 && said size "may not grow" "ulimit -f" && [ "$(stat -c %s size.data)" -le 163840 ] &&
		py size 'assert file["incomplete"] and file["damaged_at"] is None and file["events"] > 1000, file'
}
ok "a limit of the file's size: no SIGXFSZ, a sentence; what was written is whole" size_limit
removed() {
	start gone sh -c "\"$PROGS/crowd\" rename 1000 1000; echo \$? >status"
	rm -f status
	until_true 10 running gone || return
	rm gone.data
	wait "$recorder"
	same $? 1 && said gone "gone.data" "was removed" && same "$(cat status gone.out)" "7"$'\n'"rename: 1000" &&
		same "$(echo gone.data*)" "gone.data*"
}
ok "the file is removed while it is written: a sentence and status 1; the command goes on" removed

# ---- commands that cannot run ----
foreign() {
	local machine=$1
	cp /bin/true foreign && printf %b "$machine" | dd of=foreign bs=1 seek=18 conv=notrunc status=none
	timeout 20 "$W" record -o foreign.data ./foreign >foreign.out 2>foreign.err
	same $? 126 && said foreign ./foreign "$2" && [ ! -s foreign.out ] && [ ! -e foreign.data ]
}
case $(uname -m) in
x86_64) other='\xb7' other_name=arm64 ;;
*) other='\x3e' other_name=x86-64 ;;
esac
ok "a program for another machine: 126, and which machine it is for" foreign "$other" "program for $other_name"
ok "... for one that nobody knows" foreign '\xfe' "another kind of machine"
damaged_program() {
	head -c 64 /bin/true >damaged && chmod 755 damaged
	timeout 20 "$W" record -o damaged.data ./damaged 2>damaged.err
	same $? 126 && said damaged ./damaged "may not be run" && [ ! -e damaged.data ]
}
ok "... a damaged one" damaged_program
not_text() {
	printf 'echo ran\0\n' >binary && chmod 755 binary
	timeout 20 "$W" record -o binary.data ./binary >binary.out 2>binary.err
	same $? 126 && said binary ./binary "neither a program nor a script" && [ ! -s binary.out ]
}
ok "... something that is no text is not given to a shell" not_text

# ---- too many processes, descriptors, too little memory ----
bomb() {
	local refused
	echo 120 >"$group/pids.max" || return
	recorded bomb sh -c 'echo $$ >"$0/cgroup.procs"; exec "$1" bomb 400' "$group" "$PROGS/crowd"
	same $? 7 || return
	refused=$(sed -n 's/^refused: //p' "$TMP/bomb.out")
	[ "$refused" -gt 0 ] || { cat bomb.out; return 1; }
	py bomb 'made = int(sys.argv[1])
		assert 50 < made <= 120 and len(threads) == made + 1 and all(one["ended"] for one in threads), (made, len(threads))
		assert lost["events"] == 0 and d["audit"]["switches"]["result"] in ("ok", "missed"), d["audit"]
		print("# figure: fork bomb in a cgroup of 120 processes: %d made, %s refused, each of them in the report" % (made, sys.argv[2]))' \
		"$(sed -n 's/^bomb: //p' "$TMP/bomb.out")" "$refused" >figure.bomb
}
if make_group pids; then
	ok "a fork bomb that the pids limit stops: each of its processes is there" bomb
	cat figure.bomb 2>/dev/null
	until_true 5 rmdir "$group"
else
	skip "a fork bomb" "no pids cgroup can be made"
fi

few_files() {
	local files status
	for files in 256 100 64 32 24 16 8 4; do
		rm -f files.data*
		(ulimit -n "$files" && timeout 60 "$W" record -o files.data -- "$PROGS/crowd" processes 20) >files.out 2>files.err
		status=$?
		if [ "$status" -eq 7 ]; then
			same "$(cat files.out)" "processes: 20" || return
			[ ! -s files.err ] || said files "ulimit -n" || return
			timeout 20 "$W" report files.data >/dev/null || return
		else
			same "$status" 1 && said files "ulimit -n" && [ ! -s files.out ] && [ ! -e files.data ] || return
		fi
		echo "$files: $status $(cat files.err)"
	done >limits
	# with this many all works, with this few nothing does
	grep -q '^256: 7 $' limits && grep -q '^4: 1 ' limits
}
ok "out of descriptors (256 down to 4): recorded, or recorded without BPF, or refused, with the remedy" few_files
soft_limit() {
	(ulimit -S -n 30 && "$W" record -o soft.data -- sh -c 'ulimit -S -n') >soft.out 2>soft.err
	same $? 0 && said_nothing soft && same "$(cat soft.out)" 30
}
ok "... a limit that may be raised is, for the recorder alone" soft_limit

little_memory() {
	local mb status outcome outer
	outer=${group%/*}
	for mb in $(often "2 8 20 28 64" "1 2 3 4 6 8 12 16 20 24 28 32 36 40 64"); do
		echo "${mb}M" >"$(limit_file memory.limit_in_bytes memory.max)" || return
		rm -f memory.data* ran
		sh -c 'echo $$ >"$0/cgroup.procs"; exec "$@"' "$group" timeout 30 "$W" record -o memory.data -- \
			sh -c 'echo $$ >"$0/cgroup.procs"; "$1" processes 500; echo $? >ran' "$outer" "$PROGS/crowd" >memory.out 2>memory.err
		status=$?
		if [ "$status" -eq 137 ]; then # the kernel ends the recorder; its command, if it had begun, goes on
			outcome=killed
			[ ! -s memory.data ] || timeout 20 "$W" report memory.data >/dev/null || [ $? -eq 2 ] || return
		elif [ "$status" -eq 0 ]; then
			outcome=recorded
			same "$(cat ran memory.out)" 7$'\n'"processes: 500" && timeout 20 "$W" report memory.data >/dev/null || return
			[ ! -s memory.err ] || said memory "memory" || return
			grep -q 'without BPF' memory.err && outcome="recorded without BPF"
		else
			outcome=refused
			same "$status" 1 && said memory "memory" || return
		fi
		until_true 5 empty_group || { echo "left: $(cat "$group/cgroup.procs")"; return 1; }
		echo "$mb MB: $outcome"
	done >outcomes
	sed 's/^/# figure: recorder in a memory cgroup of /' outcomes >figure.memory
	tail -n 1 outcomes | grep -q ': recorded$' && ! head -n 1 outcomes | grep -q ': recorded$'
}
empty_group() {
	[ ! -s "$group/cgroup.procs" ] && [ -z "$(cat "$group/cgroup.procs")" ]
}
# What reads files keeps to half of the cgroup's limit, and says that it did: the kernel does not end it.
read_in_group() {
	local status
	[[ $BUILD != */san ]] || { echo "not where sanitizers reserve memory"; return 77; }
	echo 64M >"$(limit_file memory.limit_in_bytes memory.max)" || return
	(sleep 1.5 && "$PY" -c 'for i in range(400000): print("main;f%d;g%d;h%d 3" % (i % 1000, i % 700, i))') |
		sh -c 'echo $$ >"$0/cgroup.procs"; exec "$@"' "$group" timeout 60 "$W" flame --from-folded - -o group.svg >group.out 2>group.err &
	sleep 1
	awk '/^Max data size/ { print $4 }' "/proc/$(tail -n 1 "$group/cgroup.procs")/limits" >group.limit
	wait $!
	status=$?
	until_true 5 empty_group
	same "$(cat group.limit)" $((32 << 20)) && same "$status" 1 && said group "memory" && [ ! -e group.svg ]
}
if make_group memory; then
	ok "64 MB for what reads files: it takes half of that, and says so when it is not enough" read_in_group
	ok "out of memory: recorded, refused, or ended by the kernel; nothing is left behind" little_memory
	cat figure.memory 2>/dev/null
	until_true 5 rmdir "$group"
else
	skip "out of memory" "no memory cgroup can be made"
fi

# ---- names and numbers ----
renames() {
	recorded rename "$PROGS/crowd" rename 1000 1000
	same $? 7 && py rename '(one,) = threads
		assert one["comm"] == "last" and lost["events"] == 0 and d["audit"]["threads"]["ok"] == 1, one' || return
	"$W" script rename.data | grep -cE "name comm=(name-[0-9]+|last)\b" >names
	same "$(cat names)" 1000
}
ok "a name that changes 1,000 times a second: each one is there, the last one stays" renames

# The same pid in its namespace for each: that is private, so nobody else's numbers are touched. truth.sh does it in ours.
reused() {
	recorded reuse unshare --pid --fork --mount-proc "$PROGS/crowd" reuse "$REUSES"
	same $? 7 && same "$(cat reuse.out)" "reuse: $REUSES" || return
	py reuse 'n = int(sys.argv[1])
		assert len(threads) == n + 2 and len({one["serial"] for one in threads}) == n + 2, len(threads)
		assert lost["events"] == 0 and ledger["untracked"] == 0, lost
		assert d["audit"]["switches"]["result"] in ("ok", "missed"), d["audit"]' "$REUSES"
}
if unshare --pid --fork --mount-proc test -w /proc/sys/kernel/ns_last_pid; then
	ok "$REUSES processes with one pid: as many threads" reused
else
	skip "one pid for many processes" "no pid namespace, or /proc/sys/kernel/ns_last_pid cannot be written"
fi

finish
