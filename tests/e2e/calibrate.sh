#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# whyscale calibrate: its costs against `perf bench`, and the file in which it keeps them: whose it is, when it is used again, and that
# nothing that somebody else may have put in its place is followed, believed or destroyed.
# shellcheck source=tests/lib.sh disable=SC2317,SC2016 # functions are called through ok; single quotes are for the inner shell
. "$(dirname "$0")/../lib.sh"

cd "$TMP" || exit 1
chmod 755 "$TMP"
export XDG_STATE_HOME=$TMP/state
KEPT=$TMP/state/whyscale/calibration.json
NOBODY=$(getent passwd nobody | cut -d: -f3)

# calibrate [OPTION...]: JSON into `out`, notes into `err`.
calibrate() {
	timeout 60 "$W" calibrate --quick --json "$@" >out 2>err </dev/null
}

# says EXPRESSION: of the JSON d in `out`.
says() {
	"$PY" -c 'import json, sys
d = json.load(open("out"))
sys.exit(0 if eval(sys.argv[1]) else "not so: %s" % sys.argv[1])' "$1"
}

# ---- what it measures ----
whole() {
	calibrate || return
	cat err
	[ ! -s err ] || return
	"$PY" - <<-'END'
		import json, os
		d = json.load(open("out"))
		assert d["schema"] == "whyscale.calibrate/1" and d["kept"] is False, d
		def estimate(e, signed=False):
		    assert e["nr"] >= 1 and e["low_ns"] <= e["ns"] <= e["high_ns"] and (signed or e["low_ns"] > 0), e
		for name in "yield pipe handover thread fork exec".split():
		    estimate(d["direct"][name])
		cpus = len(os.sched_getaffinity(0))
		most = max(c["cpus"] for c in d["capacity"])
		assert most == cpus, (most, cpus)
		for c in d["capacity"]:
		    assert 0 < c["worth_min"] <= c["worth"] <= c["worth_max"] and c["rate_alone"] > 0, c
		    assert 0 < c["cpu_time_min"] <= c["cpu_time"] <= c["cpu_time_max"], c
		    assert 0 < c["had_cpu"] <= 1, c
		    assert c["steal_ns"] is None or c["steal_ns"] >= 0, c
		assert bool(d["migration"]) == (cpus > 1)
		for m in d["migration"]:
		    estimate(m["stay"])
		    estimate(m["extra"], True)
		if cpus > 1:
		    assert {m["bytes"] for m in d["migration"]} == {0, 65536, 524288, 4194304}, d["migration"]
		    assert any(e for name, e in d["direct"].items() if name.startswith("wakeup_")), d["direct"]
		    # more to walk through takes longer: what a slice did is what it says
		    by = {m["bytes"]: m["stay"]["ns"] for m in d["migration"]}
		    assert by[0] < by[65536] < by[524288] < by[4194304], by
	END
}
ok "every cost with its interval, and what the CPUs are worth" whole
ok "the table" bash -c '"$0" calibrate --quick >table 2>err && [ ! -s err ] && grep -q "95 % INTERVAL" table &&
	grep -q "steal time" table && ! LC_ALL=C grep -q "[^[:print:][:space:]]" table' "$W"
ok "it fits 60 columns where it can" bash -c 'COLUMNS=60 "$0" calibrate --quick >narrow && grep -q "calibration.json" narrow' "$W"
ok "an argument is refused" bash -c '"$0" calibrate 5 >out 2>err; [ $? -eq 2 ] && [ "$(wc -l <err)" -eq 1 ] && [ ! -s out ]' "$W"
for form in "" --json; do
	ok "standard output on a full device ($form)" bash -c '"$0" calibrate --quick $1 >/dev/full 2>err; s=$?; cat err
		[ $s -eq 1 ] && [ "$(wc -l <err)" -eq 1 ]' "$W" "$form"
done

# The oracle: perf's pipe benchmark is the same ping-pong, of two threads on one CPU; a turn there is a round trip, twice ours. Of it the
# CPU time is taken, as getrusage tells it, as ours is: its own figure is wall time, with whatever else runs on that CPU in it.
# Within a factor of 2: the two run one after the other, and on a shared host a CPU is up to twice as fast at one moment as at the next (seen
# were 3 to 17 %).
cat >pipe.py <<'END'
import os, resource, subprocess

def cpu_ns(loops):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(["perf", "bench", "sched", "pipe", "-T", "-l", str(loops)], check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) * 1e9

os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
# the difference of two lengths: its start is in neither
each = sorted((cpu_ns(12000) - cpu_ns(2000)) / 10000 for _ in range(5))
print(round(each[2]))
END
pipe_like_perf() {
	local perf
	if ! perf bench sched pipe -T -l 10 >/dev/null 2>&1; then
		echo "perf bench is not there"
		return 77
	fi
	perf=$("$PY" pipe.py) && calibrate --again || return
	echo "perf: $perf ns of CPU time a round trip"
	grep -A1 '"pipe"' out
	says "$perf / 2 < 2 * d['direct']['pipe']['ns'] < 2 * $perf" || return
	# and the parts are smaller than what is made of them: a bare switch, a switch with a wake-up, with two calls on a pipe
	says "d['direct']['yield']['ns'] < d['direct']['pipe']['ns'] and d['direct']['thread']['ns'] < d['direct']['exec']['ns']"
}
ok "a pipe's ping-pong on one CPU costs what perf bench says" pipe_like_perf

# ---- kept ----
ok "the file is 0600, its directory 0700" same "$(stat -c %a "$KEPT" "${KEPT%/*}" | xargs)" "600 700"
used_again() {
	calibrate --again || return
	cp out first
	calibrate || return
	"$PY" -c 'import json
a, b = json.load(open("first")), json.load(open("out"))
assert b["kept"] is True and not a["kept"]
assert a["direct"] == b["direct"] and a["migration"] == b["migration"] and a["measured_at"] == b["measured_at"]
assert a["capacity"] != b["capacity"], "what CPUs are worth was not measured again"'
}
ok "it is used again, and what CPUs are worth is measured again" used_again
ok "... and is not in the file" bash -c '! grep -q -e worth -e capacity "$0"' "$KEPT"
measured_again() {
	calibrate --again && says 'd["kept"] is False' && ! diff -q first out
}
ok "--again measures again" measured_again
quick_is_not_enough() {
	timeout 60 "$W" calibrate --json >out 2>err && says 'd["kept"] is False and d["quick"] is False' &&
		calibrate && says 'd["kept"] is True and d["quick"] is False'
}
ok "a quick one is not enough for a full one, a full one is for a quick one" quick_is_not_enough
cp "$KEPT" good.json

# another KEY VALUE: the file says that of the machine.
another() {
	"$PY" -c 'import json, sys
d = json.load(open("good.json"))
d["machine"][sys.argv[1]] = sys.argv[2]
json.dump(d, open(sys.argv[3], "w"))' "$1" "$2" "$KEPT"
	calibrate && says 'd["kept"] is False' && one_note "another machine" && calibrate && says 'd["kept"] is True'
}
# one_note WORD: one line, that has it.
one_note() {
	cat err
	[ "$(wc -l <err)" -eq 1 ] && grep -q "^whyscale: " err && grep -qF -e "$1" err && ! LC_ALL=C grep -q '[[:cntrl:]]' err
}
for key in cpu cpus kernel arch topology; do
	ok "another $key: measured again, and kept" another $key "other"
done
if [ "$(nproc)" -gt 1 ]; then
	ok "on fewer CPUs: measured again" bash -c 'cp good.json "$2" && taskset -c "$1" "$0" calibrate --quick --json >out 2>err &&
		grep -q "another machine" err && grep -q "\"migration\": \[\]" out' "$W" \
		"$("$PY" -c 'import os; print(min(os.sched_getaffinity(0)))')" "$KEPT"
else
	skip "on fewer CPUs" "there is one"
fi

# ---- what may stand in its place ----
# ignored WORD: what is there now is not used, which one note says; another one is measured and kept in its place.
ignored() {
	calibrate || return
	says 'd["kept"] is False' && one_note "$1" && [ -f "$KEPT" ] && [ ! -L "$KEPT" ] && calibrate && says 'd["kept"] is True'
}
: >"$KEPT"
ok "an empty file" ignored "broken"
head -c 300 good.json >"$KEPT"
ok "a cut one" ignored "broken"
head -c 20000 /dev/urandom >"$KEPT"
ok "garbage" ignored "broken"
"$PY" -c 'print("[" * 60000)' >"$KEPT"
ok "deep brackets" ignored "broken"
sed 's/"quick"/"quack"/' good.json >"$KEPT"
ok "another program's" ignored "broken"
sed 's/"low_ns": [0-9.]*/"low_ns": 1e308/' good.json >"$KEPT"
ok "numbers that cannot be" ignored "broken"
{ cat good.json && head -c 70000 /dev/zero | tr '\0' ' '; } >"$KEPT"
ok "too long" ignored "too large"
cp good.json "$KEPT" && chmod 620 "$KEPT"
ok "one that others can write" ignored "somebody else"
cp good.json target && rm "$KEPT" && ln -s "$TMP/target" "$KEPT"
ok "a symbolic link" ignored "symbolic link"
ok "... was not followed" cmp good.json target
rm "$KEPT" && mkfifo "$KEPT"
ok "a pipe, without waiting for its other end" ignored "plain file"

# not_kept WORD: it cannot be kept, which one note more says; the result is there all the same.
not_kept() {
	calibrate || return
	cat err
	says 'd["kept"] is False and d["file"] is None' && grep -qF "not kept" err && grep -qF -e "$1" err && [ "$(wc -l <err)" -le 2 ]
}
rm -rf "$KEPT" && mkdir "$KEPT"
ok "a directory of that name" not_kept "calibration.json"
rmdir "$KEPT"
rm -rf state && mkdir elsewhere && ln -s "$TMP/elsewhere" state
ok "a directory that is a symbolic link" not_kept "symbolic link"
ok "... was not followed" same "$(ls -A elsewhere)" ""
rm state && mkdir state && ln -s "$TMP/elsewhere" state/whyscale
ok "... also the last one" not_kept "symbolic link"
ok "... was not followed" same "$(ls -A elsewhere)" ""
rm -rf state && mkdir -p state/whyscale && chmod 777 state/whyscale
ok "a directory that others can write" not_kept "somebody else"
rm -rf state && : >state
ok "a file where the directory should be" not_kept "no directory"
rm -f state
ok "the next call makes what is missing" bash -c '"$0" calibrate --quick --json >out 2>err && [ ! -s err ] && [ -f "$1" ]' "$W" "$KEPT"
in_home() {
	(unset XDG_STATE_HOME && HOME=$TMP/home calibrate) && test -f "$TMP/home/.local/state/whyscale/calibration.json" &&
		(XDG_STATE_HOME=relative HOME=$TMP/home calibrate) && says 'd["kept"] is True' && test ! -e relative
}
mkdir home
ok "without XDG_STATE_HOME, or with one that is not absolute: ~/.local/state" in_home

# ---- under sudo ----
sudo_owner() {
	install -d -o 12345 -g 23456 theirs
	SUDO_UID=12345 SUDO_GID=23456 XDG_STATE_HOME=$TMP/theirs calibrate || return
	cat err
	same "$(stat -c %u:%g:%a theirs/whyscale theirs/whyscale/calibration.json | xargs)" "12345:23456:700 12345:23456:600"
}
ok_root "under sudo it is the calling user's" sudo_owner
ok_root "... who uses it again" bash -c 'setpriv --reuid 12345 --regid 23456 --clear-groups env XDG_STATE_HOME="$1/theirs" \
	"$0" calibrate --quick --json | grep -q "\"kept\": true"' "$W" "$TMP"
sudo_no_power() {
	install -d -m 700 "$TMP/roots"
	rm -rf theirs/whyscale && ln -s "$TMP/roots" theirs/whyscale
	SUDO_UID=12345 SUDO_GID=23456 XDG_STATE_HOME=$TMP/theirs not_kept "symbolic link" || return
	SUDO_UID=12345 SUDO_GID=23456 XDG_STATE_HOME=$TMP/roots not_kept "ermission denied" || return
	same "$(ls -A roots)" ""
}
ok_root "... with that user's rights and no more" sudo_no_power
foreign_owner() {
	install -d -o "$NOBODY" nobodys/whyscale && install -o "$NOBODY" -m 644 good.json nobodys/whyscale/calibration.json
	XDG_STATE_HOME=$TMP/nobodys not_kept "somebody else"
}
ok_root "another user's file is not believed, nor written over" foreign_owner
ok_root "... it is as it was" cmp good.json nobodys/whyscale/calibration.json
ok_root "without privilege it works, too" bash -c 'install -d -o "$1" own && setpriv --reuid "$1" --clear-groups env \
	XDG_STATE_HOME="$2/own" "$0" calibrate --quick --json >out 2>err && cat err && [ ! -s err ] && test -f own/whyscale/calibration.json' \
	"$W" "$NOBODY" "$TMP"

# ---- used ----
ok "run says that the costs are not known" bash -c 'XDG_STATE_HOME="$1/none" "$0" run --json --no-bpf --count 1000000 c-threads >run.json &&
	! test -e none' "$W" "$TMP"
run_uses() {
	rm -rf state
	calibrate || return
	"$W" run --json --count 300000000 --workers 2 c-threads >run.json || return
	"$PY" - <<-'END'
		import json
		(s,) = json.load(open("run.json"))["strategies"]
		split, wall = s["inflation_split"], s["wall_ns"]
		parts = "shared switches migrations steal instructions ipc unexplained".split()
		assert sorted(set(split) - {"cpu_time_together"}) == sorted(parts + ["total_ns"]), split
		if split["shared"]:
		    assert split["cpu_time_together"]["min"] <= split["cpu_time_together"]["times"] <= split["cpu_time_together"]["max"]
		assert sum(split[p]["ns"] for p in parts if split[p]) == split["total_ns"], split
		assert abs(split["total_ns"] - s["stack"]["inflation"] * wall) < 2, (split, s["stack"])
		for p in "switches", "migrations":
		    assert split[p] and split[p]["estimate"] and split[p]["low_ns"] <= split[p]["ns"] <= split[p]["high_ns"], split
		assert split["unexplained"]["low_ns"] <= split["unexplained"]["ns"] <= split["unexplained"]["high_ns"], split
	END
}
ok_bpf "run splits the inflation with the kept costs; the parts sum to it" run_uses

finish
