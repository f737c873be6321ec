#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# For guests, whose CPUs are nobody else's: CPUs are taken offline and brought back while something is recorded. Its threads are moved
# to the others; each still agrees with the kernel's own books. So it is with a CPU that was offline when the recording began.
# shellcheck source=tests/lib.sh disable=SC2317,SC2016 # functions are called through ok; single quotes are for Python
. "$(dirname "$0")/../lib.sh"

cpu() {
	echo "$2" >"/sys/devices/system/cpu/cpu$1/online"
}

# As scripts/guest makes it: its root is the initramfs, with these two.
if [ ! -x /init ] || [ ! -x /command ] || ! grep -qE '^(rootfs|none) / (rootfs|ramfs|tmpfs) ' /proc/mounts; then
	skip "CPUs go offline and come back" "this is no guest of scripts/guest: its CPUs are not ours to take"
	finish
fi
if [ ! -w /sys/devices/system/cpu/cpu1/online ]; then
	skip "CPUs go offline and come back" "this machine cannot take a CPU offline"
	finish
fi
later "for one in /sys/devices/system/cpu/cpu*/online; do echo 1 >\$one; done"

# recording OPTION...: of more threads than there are CPUs, which run, switch and sleep, in the background, into h.data.
recording() {
	rm -f "$TMP"/h.*
	timeout 100 "$W" record "$@" -o "$TMP/h.data" -- \
		sh -c "'$PROGS/known' bursts 6 400 & '$PROGS/known' sleeps 400 5000 & '$PROGS/known' hogs 1500; wait; echo >'$TMP/h.over'; exit 5" \
		>"$TMP/h.out" 2>"$TMP/h.err" &
	recorder=$!
	until_true 60 test -s "$TMP/h.data"
}

# is_over STATUS: the recording ended as its command did; all that is printed of it.
is_over() {
	local status
	wait "$recorder"
	status=$?
	cat "$TMP/h.err"
	same "$status" 5 && "$W" report --json "$TMP/h.data" >"$TMP/h.json"
}

# checked CODE [ARG...]: Python over the report d, its threads and what was lost.
checked() {
	"$PY" - "$TMP/h.json" "$@" <<'PYTHON'
import json, sys
d = json.load(open(sys.argv[1]))
threads, lost, books = d["threads"], d["lost"], d["audit"]
print("# figure: %d threads, %d migrations, %d events, %d lost, %d missed; %d threads differ from the kernel's books" % (
    len(threads), books["migrations"]["kernel"], d["file"]["events"], lost["events"], lost["missed"], books["threads"]["differs"]))
assert not d["file"]["incomplete"] and len(threads) >= 10, len(threads)
for t in threads:
    assert sum(t["ledger"].values()) == t["end_ns"] - t["start_ns"], t
    for what in "switches", "migrations":
        assert t["audit"][what]["result"] in ("ok", "missed"), (t["tid"], t["comm"], t["audit"])
exec(sys.argv[2])
PYTHON
}

# Those that a recording may lose are none: all buffers were there from the start.
there_and_back() {
	local one
	recording "$@" || return
	for one in 1 2 3 2 1; do
		[ ! -e "$TMP/h.over" ] || break
		cpu "$one" 0 || return
		sleep 0.2
		cpu "$one" 1 || return
		sleep 0.1
		rounds=$((rounds + 1))
	done
	is_over || return
	echo "$rounds times offline and back"
	[ "$rounds" -ge 2 ] && checked 'assert lost["events"] == 0, lost
assert all(t["audit"]["switches"]["result"] == t["audit"]["migrations"]["result"] == "ok" for t in threads) or lost["missed"], books' &&
		tail -n 1 "$TMP/.output" >"$TMP/figure"
}
rounds=0
ok_bpf "CPUs 1 to 3 go offline and come back: nothing is lost, the books agree" there_and_back
cat "$TMP/figure" 2>/dev/null
rounds=0
ok_bpf "... with call stacks and counters" there_and_back -g --counters

# CPU 3 is away when it begins, and comes while the threads run: it has a buffer, too.
comes_later() {
	cpu 3 0 || return
	recording "$@" || return
	sleep 0.3
	cpu 3 1 || return
	is_over && "$W" script "$TMP/h.data" >"$TMP/script" || return
	grep -q '^[0-9.]* cpu3 .* switch' "$TMP/script" || { echo "nothing was recorded on CPU 3"; head -n 5 "$TMP/script"; return 1; }
	checked 'assert lost["events"] == 0, lost'
}
ok_bpf "a CPU that comes online later: what happens there is recorded, too" comes_later
ok_bpf "... with call stacks and counters, which it may lack" comes_later -g --counters
finish
