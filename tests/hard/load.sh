#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Load: more switches, threads and processes than usual. With buffers of the default size nothing is lost; or what is lost is
# counted, placed in time and `untracked`, which buffers that are too small show. The recorder's memory stays below what README.md
# says; the command's output and exit status are its own.
# shellcheck source=tests/hard/hard.sh disable=SC2317,SC2016 # functions are called through ok; single quotes are for Python
. "$(dirname "$0")/hard.sh"

if ! need_bpf; then
	skip "load" "$bpf_why"
	finish
fi

# An emulated machine computes a tenth of what this one does.
if in_guest; then
	: "${HARD_THREADS:=2000}" "${HARD_PROCESSES:=1000}" "${HARD_GROUPS:=2}"
fi
SECONDS_EACH=${HARD_SECONDS:-$(often 1 5)}
THREADS=${HARD_THREADS:-10000}
PROCESSES=${HARD_PROCESSES:-$(often 10000 100000)}
GROUPS_OF_40=${HARD_GROUPS:-$(often 5 20)}
# As README.md has it: megabytes besides the buffers, which are 4 MiB a CPU and count as the recorder's when it reads them.
MEMORY='(40 + 5 * os.cpu_count()) << 20'

# sound NAME: whole; each thread agrees with the kernel's own books but for what is known to be missing; loss is placed and untracked.
sound() {
	py "$1" '
		assert not file["incomplete"] and file["damaged_at"] is None, file
		audit = d["audit"]
		for one in [d, *threads]:
			for what in "switches", "migrations":
				assert one["audit"][what]["result"] in ("ok", "missed", "none"), one["audit"]
		# the sum of all; a thread of one switch is beyond its 10 us once in some 30,000, when the machine pauses just then
		time = audit["time"]
		if not os.environ.get("WHYSCALE_GUEST"): # whose processors stand still between two looks at a clock
			assert lost["events"] or abs(time["difference_ns"]) <= time["tolerance_ns"], time
			# on a CPU and ready for one, as the kernel has it: no more of it, and what is missing is untracked; 2 us for each switch that is left.
			# The ledger has as much, and of a new thread what it was not on a run queue yet, within one of its waits for a CPU
			far = books = more = less = slack = 0
			for one in threads:
				if one["audit"]["result"] == "none":
					continue
				has, its = one["audit"]["time"], one["ledger"]
				kernel = has["oncpu_ns"]["kernel"] + has["runq_ns"]["kernel"] - has["asleep_ns"]
				none = has["steal_ns"] + has["moved_ns"] + has["left_ns"]
				ours = has["oncpu_ns"]["ours"] + has["runq_ns"]["ours"] - none
				has_it = sum(its[k] for k in ("oncpu", "runq_preempted", "runq_wakeup", "throttled")) - none
				new = one["waits"].get("runq_wakeup", {"longest_ns": 0})["longest_ns"]
				near = kernel / 200 + 50000 + 2000 * sum(one["audit"]["switches"][k]["ours"] for k in ("voluntary", "involuntary"))
				far += not (-near - its["untracked"] <= ours - kernel <= near and -near <= has_it - ours <= new + near)
				books, more, less, slack = books + 1, more + ours - kernel, less + kernel - ours - its["untracked"], slack + near
			assert far <= 1 + books / 1000 and more <= slack and less <= slack, (far, books, more, less, slack)
		begin = min(one["start_ns"] for one in threads)
		end = max(one["end_ns"] for one in threads)
		for span in lost["spans"]:
			assert begin - 1e9 < span["first_ns"] <= span["last_ns"] < end + 1e9 and span["events"] > 0, (span, begin, end)
		assert sum(span["events"] for span in lost["spans"]) == lost["events"] == sum(lost["causes"].values()), lost
		if lost["events"]:
			assert ledger["untracked"] > 0, ledger
		else:
			assert audit["switches"]["voluntary"]["ours"] + audit["switches"]["involuntary"]["ours"] + \
				audit["switches"]["missed"] == audit["switches"]["voluntary"]["kernel"] + \
				audit["switches"]["involuntary"]["kernel"], audit'
}

bounded() {
	py "$1" 'assert peak["looks"] > 5 and 0 < peak["maps_bytes"] < '"$MEMORY"', peak
		assert 0 < peak["hwm_kb"] << 10 < '"$MEMORY"', (peak, '"$MEMORY"')'
}

told() {
	py "$1" 'audit = d["audit"]["switches"]
		switches = audit["voluntary"]["kernel"] + audit["involuntary"]["kernel"]
		beyond = sum(one["audit"]["time"]["result"] == "differs" for one in threads)
		print("# figure: %s%s: %s switches, %s threads, %.1f s; %s events, %s lost; recorder at most %.1f MB, its maps %.1f MB%s" % (
			sys.argv[1], sys.argv[2], format(switches, ","), format(len(threads), ","), d["wall_ns"] / 1e9, format(file["events"], ","),
			format(lost["events"], ","), peak["hwm_kb"] / 1024, peak["maps_bytes"] / 2**20,
			"; times of %d beyond the tolerance" % beyond if beyond else ""))' "$2" "$3"
}

# holds NAME STATUS COMMAND...: it ends with that status, and what was recorded is sound.
holds() {
	local name=$1 status=$2
	shift 2
	recorded "$name" "$@"
	is "$name: exit status" $? "$status"
	ok "... nothing lost, or the loss is counted, placed and untracked" sound "$name"
	ok "... the recorder's memory is bounded" bounded "$name"
	told "$name" "${*#"$PROGS/"}" "${options[*]:+ with }${options[*]}"
}

# ---- much of what the scheduler does ----
if command -v stress-ng >/dev/null; then
	for stressor in switch futex clone pthread; do
		holds $stressor 0 stress-ng --quiet --$stressor 2 --timeout "${SECONDS_EACH}s"
		ok "... stress-ng has nothing to say, as without us" test ! -s "$TMP/$stressor.out"
	done
else
	skip "stress-ng" "stress-ng is missing"
fi
if perf bench sched messaging -g 1 >/dev/null 2>&1; then
	holds messaging 0 perf bench sched messaging -g "$GROUPS_OF_40"
	ok "... each of its processes is there" py messaging 'assert len(threads) == 1 + 40 * int(sys.argv[1]), len(threads)' "$GROUPS_OF_40"
	ok "... its output is its own" grep -q "== $((GROUPS_OF_40 * 40)) processes run" "$TMP/messaging.out"
else
	skip "perf bench sched messaging" "perf is missing"
fi

# ---- many threads, many processes: exactly as many as there were ----
# same_output NAME COMMAND...: as when it runs alone.
same_output() {
	local name=$1
	shift
	"$@" >"$TMP/alone.out" 2>"$TMP/alone.err"
	[ $? -eq 7 ] && cmp "$TMP/alone.out" "$TMP/$name.out" && cmp "$TMP/alone.err" "$TMP/$name.err"
}

for crowd in "threads $THREADS" "processes $PROCESSES"; do
	read -r name number <<<"$crowd"
	holds "$name" 7 "$PROGS/crowd" "$name" "$number"
	ok "... its output is as when it runs alone" same_output "$name" "$PROGS/crowd" "$name" "$number"
	ok "... $number, and the one that made them" py "$name" 'n = int(sys.argv[1])
		assert len(threads) == n + 1 or (lost["events"] and len(threads) <= n + 1), len(threads)
		assert all(one["ended"] for one in threads)' "$number"
	for command in report explain; do
		ok "... $command of it" bash -c 'timeout 100 "$0" "$1" "$2" >"$2.text" && [ "$(wc -l <"$2.text")" -gt 5 ]' "$W" $command "$TMP/$name.data"
	done
done
ok "twenty times the processes: no more memory for the recorder" py processes '
		few = json.load(open(sys.argv[1]))
		assert peak["hwm_kb"] < few["hwm_kb"] + 4096 and peak["maps_bytes"] == few["maps_bytes"], (few, peak)' \
	<(recorded few "$PROGS/crowd" processes $((PROCESSES / 20)); cat "$TMP/few.peak")

options=(-g --python --counters)
holds stacks 7 "$PROGS/crowd" threads 2000
options=()

# What the kernel charges it for, its BPF maps and what they hold of each thread included, and the trace's page cache.
charged() {
	local peak outer=${group%/*}
	# shellcheck disable=SC2016 # for the inner shells
	sh -c 'echo $$ >"$0/cgroup.procs"; exec "$@"' "$group" "$W" record -o "$TMP/charged.data" -- \
		sh -c 'echo $$ >"$0/cgroup.procs"; exec "$@"' "$outer" "$PROGS/crowd" threads "$THREADS"
	same $? 7 || return
	read -r peak <"$(limit_file memory.max_usage_in_bytes memory.peak)" || return 77
	echo "# figure: charged to the recorder's memory cgroup with $THREADS threads: at most $((peak >> 10)) kB" >"$TMP/charged.figure"
	echo "$peak bytes"
	[ "$peak" -gt 0 ] && [ "$peak" -lt "$("$PY" -c "import os; print(($MEMORY) + 1024 * $THREADS)")" ]
}
if make_group memory; then
	ok "all that it is charged for, with $THREADS threads" charged
	cat "$TMP/charged.figure" 2>/dev/null
else
	skip "all that it is charged for" "no memory cgroup can be made"
fi

# ---- buffers that are too small: the loss is known ----
if in_guest; then
	skip "buffers that are too small" "an emulated machine switches too seldom to fill one"
elif command -v stress-ng >/dev/null; then
	# with luck the last books of one of its five threads are not lost: else there is nothing to compare with
	options=(-m 64K)
	for _ in 1 2 3 4 5; do
		recorded small stress-ng --quiet --switch 2 --timeout 1s
		status=$?
		py small 'assert any(one["audit"]["result"] != "none" for one in threads)' 2>/dev/null && break
	done
	is "small: exit status" "$status" 0
	ok "... nothing lost, or the loss is counted, placed and untracked" sound small
	ok "... the recorder's memory is bounded" bounded small
	told small "stress-ng --quiet --switch 2 --timeout 1s" " with -m 64K"
	options=()
	# what the kernel counted and we did not are switches that were dropped, each an event; a loss hides no thread
	ok "... the events lost account for every switch that is missing" py small '
		switches = d["audit"]["switches"]
		kernel = switches["voluntary"]["kernel"] + switches["involuntary"]["kernel"]
		ours = switches["voluntary"]["ours"] + switches["involuntary"]["ours"]
		assert lost["events"] > 1000 and 0 < kernel - ours <= lost["events"] + lost["missed"], (kernel, ours, lost["events"])
		assert switches["missed"] == kernel - ours, switches'
	# no class but `untracked` is larger than it can have been: on-CPU is at most what the kernel charged
	ok "... and none of it went to another class" py small '
		times = d["audit"]["time"]
		lives = sum(one["end_ns"] - one["start_ns"] for one in threads)
		assert times["oncpu_ns"]["ours"] <= times["oncpu_ns"]["kernel"] * 1.005, times
		assert times["oncpu_ns"]["kernel"] - times["oncpu_ns"]["ours"] <= ledger["untracked"] < lives, (times, ledger)'
	# threads that are made and end within it: 1,000 of crowd, crowd itself, the shell and 5 of stress-ng
	options=(-m 64K)
	holds births 0 sh -c "stress-ng --quiet --switch 2 --timeout 2s & '$PROGS/crowd' threads 1000; wait"
	options=()
	ok "... each thread is there, or counted among those that are not" py births 'all = len(threads) + lost["threads"]
		assert lost["events"] > 1000 and 1000 <= all <= 1007, (all, lost["threads"])'
	"$W" script "$TMP/births.data" >"$TMP/births.txt" 2>/dev/null
	ok "... each that has ended is there from when it was made" py births '
		# who has an audit has its books: by the above its time on a CPU and ready for one, since then, is in its life; else it was seen made
		made = {int(line.split(" fork ")[0].rpartition("/")[2]) for line in open("'"$TMP/births.txt"'") if " fork " in line}
		known = [one for one in threads if one["ended"] and one["audit"]["result"] != "none"]
		late = [one for one in threads if one["ended"] and one["audit"]["result"] == "none" and one["tid"] not in made]
		nameless = [one for one in threads if not one["tid"]]
		print(len(known), len(late), len(nameless))
		assert known and not late, late'
	ok "... the report says it in words" bash -c '"$0" report "$1" >"$1.text" && grep -qE "^lost +[0-9]+ events" "$1.text" &&
		grep -q "would have told is" "$1.text" && grep -q "larger buffers: -m" "$2"' "$W" "$TMP/small.data" "$TMP/small.err"
fi

finish
