#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The counting strategies by `whyscale count`: every one, with every Python found, counts exactly what it should, and
# bad input is refused in one sentence with the right exit status. Needs no root.
# shellcheck source=tests/lib.sh disable=SC2317 # functions are called through ok
. "$(dirname "$0")/../lib.sh"

WHYSCALE=$W
PY_STRATEGIES="py-single py-threads py-processes py-thread-pool py-process-pool"

# counts STRATEGY COUNT WORKERS [OPTION...]: the JSON adds up, and the times lie within the run.
counts() {
	timeout 60 "$WHYSCALE" count "$1" --count "$2" --workers "$3" --json "${@:4}" >"$TMP/result.json" || return
	/usr/bin/python3 - "$1" "$2" "$3" "$TMP/result.json" <<-'EOF'
		import json, sys
		name, count, workers = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
		result = json.load(open(sys.argv[4]))
		if name.endswith("-single"):
		    workers = 1
		shares = [count // workers + (i < count % workers) for i in range(workers)]
		assert result["name"] == name
		assert result["workers"] == workers
		assert result["count"] == result["counted"] == count
		assert [worker["counted"] for worker in result["worker"]] == shares
		assert [worker["index"] for worker in result["worker"]] == list(range(workers))
		for worker in result["worker"]:
		    assert result["t0_ns"] <= worker["begin_ns"] <= worker["end_ns"] <= result["t1_ns"], worker
		    assert worker["cpu_ns"] >= 0 and worker["tid"] > 0, worker
		tids = {worker["tid"] for worker in result["worker"]}
		pids = {worker["pid"] for worker in result["worker"]}
		assert len(pids) == 1 or "process" in name
		assert len(tids) == workers or "pool" in name
		assert (result["manager_pid"] is not None) == (name == "py-processes")
	EOF
}

# refused STATUS WORD ARGUMENT...: exits with that status and one line on standard error that has WORD, nothing else.
refused() {
	local status=$1 word=$2
	shift 2
	timeout 60 "$WHYSCALE" count "$@" >"$TMP/out" 2>"$TMP/err"
	[ $? -eq "$status" ] && [ ! -s "$TMP/out" ] && [ "$(wc -l <"$TMP/err")" -eq 1 ] &&
		grep -qF -e "$word" "$TMP/err"
}

# prints PATTERN ARGUMENT...: standard output is one line, and it is like that.
prints() {
	timeout 60 "$WHYSCALE" count "${@:2}" >"$TMP/out" && [ "$(wc -l <"$TMP/out")" -eq 1 ] && grep -Eq "$1" "$TMP/out"
}

# in_traps COMMAND...: in a directory whose modules would break any Python program that imported them.
in_traps() {
	local module
	mkdir -p "$TMP/traps"
	for module in threading multiprocessing concurrent json os time; do
		echo 'raise SystemExit("imported from the current directory")' >"$TMP/traps/$module.py"
	done
	(cd "$TMP/traps" && "$@")
}

# is_json FILE STRATEGY: the result is there, in whole.
is_json() {
	/usr/bin/python3 -c 'import json, sys; assert json.load(open(sys.argv[1]))["name"] == sys.argv[2]' "$1" "$2"
}

to_file() {
	"$WHYSCALE" count "$1" --count 10 --workers 2 --result "$TMP/file.json" >"$TMP/out" &&
		[ ! -s "$TMP/out" ] && is_json "$TMP/file.json" "$1"
}

to_stdout() {
	"$WHYSCALE" count "$1" --count 10 --workers 2 --result - >"$TMP/stdout.json" && is_json "$TMP/stdout.json" "$1"
}

# ends_cleanly SIGNAL STRATEGY: killed in the middle, it ends by that signal and leaves no process behind.
ends_cleanly() {
	/usr/bin/python3 - "$WHYSCALE" "$@" <<-'EOF'
		import os, signal, subprocess, sys, time
		program, name, strategy = sys.argv[1:]
		run = subprocess.Popen([program, "count", strategy, "--count", "100000000000", "--workers", "2"],
		                       start_new_session=True)
		time.sleep(1)
		run.send_signal(getattr(signal, name))
		assert run.wait(10) == -getattr(signal, name), run.returncode

		def left():
		    for pid in filter(str.isdigit, os.listdir("/proc")):
		        try:
		            stat = open("/proc/%s/stat" % pid).read().rsplit(")", 1)[1].split()
		        except OSError:
		            continue
		        if int(stat[3]) == run.pid and stat[0] != "Z":  # of its session
		            return pid
		    return None

		deadline = time.time() + 5
		while left() and time.time() < deadline:
		    time.sleep(0.05)
		if left():
		    os.killpg(run.pid, signal.SIGKILL)
		    sys.exit("left behind: %s" % left())
	EOF
}

for strategy in c-single c-threads; do
	for case in "1 1" "1 7" "7 7" "1000003 7" "100000000 2"; do
		# shellcheck disable=SC2086 # two words: count and workers
		ok "$strategy counts (count, workers) = ($case)" counts $strategy $case
	done
done
ok "c-threads starts a thousand workers" counts c-threads 1000003 1000

pythons=0
for python in /usr/bin/python3 ~/.pyenv/versions/3.*/bin/python3; do
	if [ ! -x "$python" ]; then
		continue
	fi
	version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
	if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 6))'; then
		skip "strategies on $python" "Python $version is older than 3.6"
		continue
	fi
	pythons=$((pythons + 1))
	for strategy in $PY_STRATEGIES; do
		for case in "1 1" "1 3" "1000003 7"; do
			# shellcheck disable=SC2086 # two words: count and workers
			ok "$strategy counts ($case) on $python ($version)" counts "$strategy" $case --python "$python"
		done
	done
done
ok "a Python was found" test "$pythons" -gt 0

old=$(printf '%s\n' ~/.pyenv/versions/2.*/bin/python | head -n 1)
if [ -x "$old" ]; then
	ok "Python 2 is refused" refused 2 "3.6 or newer" py-threads --python "$old"
else
	skip "Python 2 is refused" "no Python 2 here"
fi

ok "the sentence has commas, workers, seconds" \
	prints '^c-threads: counted 1,234,567 with 2 workers in [0-9]+\.[0-9]{3} s$' c-threads --count 1234567 --workers 2
ok "one worker is singular" prints '^c-single: counted 1 with 1 worker in ' c-single --count 1 --workers 5
ok "underscores in a count" prints 'counted 1,000,000 with' c-single --count 1_000_000
for strategy in c-threads py-threads py-processes; do
	ok "$strategy --result FILE" to_file $strategy
	ok "$strategy --result -" to_stdout $strategy
done
for strategy in $PY_STRATEGIES; do
	ok "$strategy imports nothing from the current directory" in_traps "$WHYSCALE" count "$strategy" --count 10
done
for strategy in c-threads py-threads py-processes py-process-pool; do
	ok "$strategy ends cleanly on SIGTERM" ends_cleanly SIGTERM $strategy
done
ok "py-processes ends cleanly on SIGINT" ends_cleanly SIGINT py-processes

ok "no strategy" refused 2 "name a strategy"
ok "an unknown strategy lists the names" refused 2 "py-process-pool" c-thread
ok "two strategies" refused 2 "one strategy too many" c-single c-threads
ok "an unknown option" refused 2 "--bogus" c-single --bogus
ok "an option without its value" refused 2 "--count" c-single --count
for count in 0 -1 1e9 "" abc 1.5 4611686018427387905 99999999999999999999999; do
	ok "count '$count'" refused 2 "count" c-single "--count=$count"
done
for workers in 0 -1 two 40000000 99999999999999999999; do
	ok "workers '$workers'" refused 2 "workers" c-threads "--workers=$workers"
done
ok "a missing interpreter" refused 127 "/no/such/python3" py-single --python /no/such/python3
ok "an interpreter that is not in PATH" refused 127 "no-such-python" py-single --python no-such-python
ok "an interpreter that is no program" refused 126 "/etc/passwd" py-single --python /etc/passwd
ok "an interpreter that is no Python" refused 1 "without a result" py-single --python /bin/true
ok "a result that has no directory" refused 2 "/no/such/dir" c-single --count 1 --result /no/such/dir/file
ok "a full disk, in C" refused 1 "No space left" c-single --count 1 --result /dev/full
ok "a full disk, in Python" refused 1 "No space left" py-single --count 1 --result /dev/full

finish
