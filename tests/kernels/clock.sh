#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# For guests, whose clock is nobody else's: CLOCK_REALTIME is set forward and back while something is recorded. Every time in a trace
# is of CLOCK_MONOTONIC, so no thread's life, no class and no end of a recording may move with it.
# shellcheck source=tests/lib.sh disable=SC2317,SC2016 # functions are called through ok; single quotes are for Python
. "$(dirname "$0")/../lib.sh"

# As scripts/guest makes it: its root is the initramfs, with these two.
if [ ! -x /init ] || [ ! -x /command ] || ! grep -qE '^(rootfs|none) / (rootfs|ramfs|tmpfs) ' /proc/mounts; then
	skip "the clock is set" "this is no guest of scripts/guest: its clock is not ours to set"
	finish
fi

# set_clock SECONDS: by so many, several times while the recording goes on.
set_clock() {
	local by
	for by in 86400 -172800 1000000000 -1000000000 86400; do
		sleep 0.3
		date -u -s "@$(($(date +%s) + by))" >/dev/null || return
	done
}

moved() {
	local status
	rm -f "$TMP/c.data"
	timeout 100 "$W" record -o "$TMP/c.data" -- "$PROGS/crowd" rename 1500 500 >"$TMP/out" 2>&1 &
	until_true 60 test -s "$TMP/c.data" || return
	set_clock || return
	wait $!
	status=$?
	cat "$TMP/out"
	same "$status" 7 || return
	"$W" report --json "$TMP/c.data" >"$TMP/c.json" || return
	"$PY" - "$TMP/c.json" <<-'END'
		import json, sys
		d = json.load(open(sys.argv[1]))
		(t,) = d["threads"]
		life = t["end_ns"] - t["start_ns"]
		assert sum(t["ledger"].values()) == life, t
		# by the clock that it sleeps by, it takes three seconds; a slow machine needs more
		assert 2.9e9 < life < 60e9 and life <= d["wall_ns"] < 60e9, (life, d["wall_ns"])
		assert t["ledger"]["sleep"] > life / 4 and t["ledger"]["untracked"] == 0, t["ledger"]
		assert t["audit"]["switches"]["result"] == t["audit"]["migrations"]["result"] == "ok", t["audit"]
		assert d["lost"]["events"] == 0, d["lost"]
	END
}
ok_bpf "CLOCK_REALTIME is set by days and years, five times: no time moves" moved

# A recording of two seconds, while the clock goes back by a day: it ends after two.
lasts() {
	timeout 60 "$W" record -o "$TMP/d.data" -a -d 2 &
	until_true 30 test -s "$TMP/d.data" || return
	date -u -s "@$(($(date +%s) - 86400))" >/dev/null
	wait $! || return
	date -u -s "@$(($(date +%s) + 86400))" >/dev/null
	"$W" report --json "$TMP/d.data" >"$TMP/d.json" || return
	"$PY" -c 'import json, sys; d = json.load(open(sys.argv[1])); sys.exit(not 1.9e9 < d["wall_ns"] < 20e9)' "$TMP/d.json"
}
ok_bpf "... nor does the end of a recording of so many seconds" lasts

finish
