#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The command line: bad input gets one sentence on standard error that names what was wrong, the exit status that scripts rely on (2
# bad input, 1 a fault of the system, 126, 127), and costs nothing that was recorded before. And what is not bad input: exit
# statuses passed on, owners and modes of files, --user, pipes.
# shellcheck source=tests/lib.sh disable=SC2317,SC2016 # functions are called through ok; single quotes are for the inner shell
. "$(dirname "$0")/../lib.sh"

cd "$TMP" || exit 1
NOBODY=$(getent passwd nobody | cut -d: -f3)

# refused STATUS WORD ARGUMENT...: that exit status, nothing on standard output, one line on standard error that has WORD and says
# who speaks.
refused() {
	local status=$1 word=$2 got
	shift 2
	timeout 60 "$W" "$@" >out 2>err </dev/null
	got=$?
	cat err
	[ "$got" -eq "$status" ] || { echo "exit status $got, not $status"; return 1; }
	[ ! -s out ] || { echo "standard output: $(head -c 300 out)"; return 1; }
	[ "$(wc -l <err)" -eq 1 ] || { echo "$(wc -l <err) lines, not one"; return 1; }
	grep -qF -e "$word" err || { echo "'$word' is not in it"; return 1; }
	grep -q '^whyscale: ' err
}

# gives STATUS ARGUMENT...: that exit status, without a word on standard error (unless BPF is missing).
gives() {
	local status=$1 got
	shift
	timeout 60 "$W" "$@" >out 2>err </dev/null
	got=$?
	cat err
	[ "$got" -eq "$status" ] || { echo "exit status $got, not $status"; return 1; }
	! grep -v 'without BPF' err
}

# one_sentence: what `refused` left behind ends without a full stop or with one, and has no control characters.
one_sentence() {
	! LC_ALL=C grep -q '[[:cntrl:]]' err
}

# ---- words ----
ok "no arguments: help" gives 0
ok "--help" gives 0 --help
ok "--version" gives 0 --version
for command in run record report script count check calibrate; do
	ok "$command --help" gives 0 $command --help
	ok "$command: an unknown option" refused 2 "--bogus" $command --bogus
	ok "$command: an unknown short option" refused 2 "-Z" $command -Z
done
ok "an unknown command" refused 2 "frobnicate" frobnicate
ok "a misspelt command" refused 2 "report" reprot
ok "an empty command" refused 2 "command" ""
ok "an unknown option before a command" refused 2 "--bogus" --bogus run
ok "a command with control characters" refused 2 "" $'re\033[31m\nport'
ok "... does not send them to the terminal" one_sentence
ok "an option without its value" refused 2 "--count" run --count
ok "a value that an option does not take" refused 2 "--json" run --json=yes

# ---- check ----
ok "check: exit status 0, each probe" bash -c '"$0" check >checked 2>err && [ ! -s err ] || exit
	sed -n "s/^PROBE(\(.*\))/\1/p" "$1" | while read -r probe; do
		grep -qE "^$probe +(works|partly|no) " checked || { echo "$probe is not in it"; exit 1; }
	done' "$W" "$ROOT/probes/probes.def"
ok_bpf "... sched works" grep -qE "^sched +works" checked
ok "check --json" bash -c '"$0" check --json | "'"$PY"'" -c "import json, sys
d = json.load(sys.stdin)
assert d[\"schema\"] == \"whyscale.check/1\" and d[\"can_record\"] is True"' "$W"
ok_root "check without privilege: exit status 0, sched does not work, and why" bash -c '
	setpriv --reuid '"$NOBODY"' --clear-groups --bounding-set=-all "$0" check >checked && grep -qE "^sched +no" checked &&
	grep -q "why not: .*root" checked && grep -q "lost" checked' "$W"

# ---- run, count ----
for command in run count; do
	ok "$command: an unknown strategy" refused 2 "c-thread" $command c-thread
	ok "... lists the ones there are" grep -q "py-process-pool" err
	for count in 0 -5 4611686018427387905 18446744073709551617 1e9 abc ""; do
		ok "$command --count '$count'" refused 2 "count" $command c-single "--count=$count"
	done
	for workers in 0 -1 two 99999999 99999999999999999999; do
		ok "$command --workers '$workers'" refused 2 "workers" $command c-threads --count 10 "--workers=$workers"
	done
done
ok "run: 2^62 is allowed as a count" bash -c 'timeout 1 "$0" run --count 4611686018427387904 c-single 2>err
	[ $? -eq 124 ] && ! grep count err' "$W"
ok "run --repeat 0" refused 2 "repetitions" run --repeat 0 c-single
ok "run: a strategy twice" refused 2 "twice" run c-single c-single

# ---- record: targets ----
ok "record: nothing to record" refused 2 "nothing to record" record
ok "record: two targets" refused 2 "one target" record -p 1 -t 1
ok "record: a pid and a command" refused 2 "one target" record -p $$ true
for pid in 0 -1 abc 99999999999 1,,2 ""; do
	ok "record -p '$pid'" refused 2 "process id" record "--pid=$pid"
done
true &
gone=$!
wait $gone
ok "record -p of a process that is not there" refused 2 "$gone" record -o gone.data -p $gone -d 0.1
ok "... writes no file" test ! -e gone.data
ok "record -t of a thread that is not there" refused 2 "$gone" record -o gone.data -t $gone -d 0.1
for seconds in 0 -1 abc 1e400 nan inf ""; do
	ok "record -d '$seconds'" refused 2 "duration" record "--duration=$seconds" true
done
for size in 0 1K 3M 64M abc 100000 ""; do
	ok "record -m '$size'" refused 2 "buffer size" record "--buffer=$size" true
done
ok "record --cgroup of none" refused 2 "/no/such" record --cgroup /no/such -d 0.1

# ---- record: commands ----
echo 'int' >plain && chmod 644 plain
mkdir adir
printf '#!/no/such/interpreter\n' >script && chmod 755 script
echo 'exit 9' >shell && chmod 755 shell
ok "a command that does not exist: 127" refused 127 "no-such-command" record -o c.data -- no-such-command arg
ok "a path that does not exist: 127" refused 127 "/no/such/command" record -o c.data -- /no/such/command
ok "a file that may not be executed: 126" refused 126 "./plain" record -o c.data -- ./plain
ok "a directory: 126" refused 126 "./adir" record -o c.data -- ./adir
ok "a script without its interpreter: 127" refused 127 "./script" record -o c.data -- ./script
ok "an empty command" refused 2 "empty" record -o c.data -- ""
ok "... none of them leaves a file" test ! -e c.data

# ---- record: output ----
ok "an output in a missing directory" refused 2 "/no/such/dir/x" record -o /no/such/dir/x true
ok "an output that is a directory" refused 2 "adir" record -o adir true
ok "an output in /proc" refused 2 "/proc/whyscale.data" record -o /proc/whyscale.data true
ok "an output that is a device" refused 2 "/dev/full" record -o /dev/full true
ok "an output without a name" refused 2 "empty" record -o "" true
ln -s target.data link.data
ok "an output that is a symbolic link" refused 2 "link.data" record -o link.data true
ok "... its target is not written" test ! -e target.data
ok "... nor is the link replaced" test -L link.data
mkfifo fifo
ok "an output that is a pipe" refused 2 "fifo" record -o fifo true
ok "... the command was not run" bash -c '! "$0" record -o adir touch ran 2>/dev/null && test ! -e ran' "$W"

# ---- what was recorded is kept ----
ok "a recording" gives 0 record -o kept.data true
cp kept.data first
ok "... another one under its name" gives 0 record -o kept.data sh -c 'sleep 0.01'
ok "... keeps the first as .old" cmp first kept.data.old
cp kept.data second
ok "a recording that fails before it begins" refused 127 "./script" record -o kept.data -- ./script
ok "... keeps the last" cmp second kept.data
ok "... and the one before" cmp first kept.data.old
rm -f lone.data*
cp first lone.data.old
ok "one that fails where only an .old is" refused 127 "./script" record -o lone.data -- ./script
ok "... leaves that as it is" bash -c 'cmp first lone.data.old && test ! -e lone.data'
ok "the default file is whyscale.data" bash -c '"$0" record true && "$0" report >/dev/null && test -s whyscale.data' "$W"

# ---- exit statuses ----
ok "a script without a first line is the shell's, as execvp() has it" gives 9 record -o s.data -- ./shell
for status in 0 1 2 42 126 127 255; do
	ok "exit status $status is passed on" gives $status record -o s.data -- sh -c "exit $status"
done
for signal in INT QUIT ABRT KILL SEGV PIPE TERM; do
	ok "the end by SIG$signal is passed on" gives $((128 + $(kill -l $signal))) record -o s.data -- \
		sh -c "ulimit -c 0; kill -$signal \$\$"
done
ok "the command's options are its own" gives 7 record -o s.data sh -c 'exit 7' --bogus -p
ok "the command's output is the command's" bash -c '[ "$("$0" record -o s.data -- echo "a  b")" = "a  b" ]' "$W"
ok "... and so is its input" bash -c '[ "$(echo words | "$0" record -o s.data -- cat)" = words ]' "$W"
ok "... and its signal mask and ignored signals" bash -c '"$0" record -o s.data -- grep -E "^Sig(Blk|Ign)" /proc/self/status >a
	grep -E "^Sig(Blk|Ign)" /proc/self/status >b; cmp a b' "$W"
ok "... and its priority" bash -c '[ "$("$0" record -o s.data -- nice)" = "$(nice)" ]' "$W"
ok "... and it holds none of our descriptors" bash -c '"$0" record -o s.data -- ls /proc/self/fd >a; ls /proc/self/fd >b
	cmp a b' "$W"

# ---- traces ----
ok_bpf "a good trace, to be damaged" gives 0 record -o good.data "$PROGS/known" sleeps 300 100
[ -s good.data ] || cp first good.data
: >empty
ok "no trace" refused 2 "none.data" report none.data
ok "no whyscale.data here" bash -c 'cd adir && ! "$0" report 2>../err && grep -q whyscale.data ../err && [ "$(wc -l <../err)" -eq 1 ]' "$W"
for command in report script; do
	ok "$command: an empty trace" refused 2 "empty" $command empty
	ok "$command: a directory" refused 2 "adir" $command adir
	ok "$command: something else" refused 2 "/bin/sh" $command /bin/sh
	ok "$command: two traces" refused 2 "two files" $command good.data empty
	ok "$command: an empty name" refused 2 "empty" $command ""
done
if [ "$(id -u)" -eq 0 ]; then
	install -m 600 good.data private.data
	chmod 755 "$TMP"
	ok "a trace that one may not read" bash -c '! setpriv --reuid '"$NOBODY"' --clear-groups "$0" report "$1" 2>err &&
		grep -q private.data err && [ "$(wc -l <err)" -eq 1 ]' "$W" "$TMP/private.data"
else
	skip "a trace that one may not read" "needs root"
fi
cp good.data newer.data && printf '\x02' | dd of=newer.data bs=1 seek=8 conv=notrunc status=none
ok "a trace of a newer version" refused 2 "newer" report newer.data
cp good.data nocpus.data && printf '\0\0\0\0' | dd of=nocpus.data bs=1 seek=16 conv=notrunc status=none
ok "a trace of no CPUs" refused 2 "nocpus.data" report nocpus.data

# damaged FILE: one sentence, exit status 2; or, where it is only cut, what is left is shown and the exit status says so.
damaged() {
	local status
	timeout 20 "$W" report "$1" >out 2>err
	status=$?
	timeout 20 "$W" report --json "$1" >json 2>/dev/null
	[ $? -eq "$status" ] || { echo "with --json another exit status than $status"; return 1; }
	cat err
	[ "$status" -eq 2 ] || { echo "exit status $status"; return 1; }
	[ "$(wc -l <err)" -eq 1 ] || { echo "$(wc -l <err) lines"; return 1; }
	[ ! -s json ] || "$PY" -c 'import json; d = json.load(open("json"))
for t in d["threads"]:
	assert sum(t["ledger"].values()) == t["end_ns"] - t["start_ns"], t'
}

size=$(stat -c %s good.data)
for at in 1 7 8 31 32 33 50 64 100 300 $((size / 4)) $((size / 2)) $((size * 3 / 4)) $((size - 100)) $((size - 1)); do
	head -c "$at" good.data >cut.data
	ok "a trace cut to $at bytes of $size" damaged cut.data
done
# by a fixed rule, not by chance: a bit flipped at each of 60 places
flipped() {
	"$PY" - "$W" good.data <<-'END'
		import json, subprocess, sys
		program, good = sys.argv[1], bytearray(open(sys.argv[2], "rb").read())
		bad = []
		for i in range(60):
		    at = i * (len(good) - 1) // 59
		    if 20 <= at < 32:
		        continue  # reserved
		    data = bytearray(good)
		    data[at] ^= 1 << (i % 8)
		    open("flipped.data", "wb").write(data)
		    for command in ["report", "--json"], ["script"]:
		        run = subprocess.run([program, *command, "flipped.data"], capture_output=True, timeout=20)
		        lines = run.stderr.decode().splitlines()
		        if 12 <= at < 16 and run.returncode == 0:
		            continue  # the flags
		        if run.returncode != 2 or len(lines) != 1:
		            bad.append("byte %d, %s: status %d, %r" % (at, command[0], run.returncode, lines[:3]))
		        if command[0] == "report" and run.stdout:
		            for t in json.loads(run.stdout)["threads"]:
		                assert sum(t["ledger"].values()) == t["end_ns"] - t["start_ns"], (at, t)
		print(*bad, sep="\n")
		sys.exit(bool(bad))
	END
}
ok "a trace with one bit flipped, at 60 places" flipped
ok "garbage behind a good head" bash -c 'head -c 200 good.data >g.data; head -c 5000 /dev/urandom >>g.data
	timeout 20 "$0" report g.data >/dev/null 2>err; [ $? -eq 2 ] && [ "$(wc -l <err)" -eq 1 ]' "$W"
ok "garbage after the end" bash -c 'cp good.data g.data; echo more >>g.data
	timeout 20 "$0" report g.data >out 2>err; s=$?; cat err; [ $s -eq 2 ] && [ "$(wc -l <err)" -eq 1 ] && [ -s out ]' "$W"
ok "a trace from a pipe is refused or read, not both" bash -c '"$0" report /dev/stdin <good.data >out 2>err; s=$?
	{ [ $s -eq 0 ] && [ -s out ] && [ ! -s err ]; } || { [ $s -eq 2 ] && [ "$(wc -l <err)" -eq 1 ]; }' "$W"

# ---- a reader that goes away, an output that is full ----
ok "script | head: quiet" bash -c '"$0" script good.data 2>err | head -n 1 >/dev/null; [ ! -s err ]' "$W"
ok "standard output on a full device: status 1, one sentence" bash -c '"$0" report good.data >/dev/full 2>err; s=$?
	cat err; [ $s -eq 1 ] && [ "$(wc -l <err)" -eq 1 ] && grep -q "standard output" err' "$W"
ok "closed standard output" bash -c '"$0" report good.data >&- 2>err; s=$?; cat err; [ $s -eq 1 ]' "$W"

# ---- a full disk ----
full_disk() {
	local status
	rm -f "$TMP/small/"*
	cp good.data "$TMP/small/d.data" || return
	cp good.data "$TMP/small/earlier"
	timeout 60 "$W" record -o "$TMP/small/d.data" -- "$PROGS/known" bursts 3 40000 >out 2>err
	status=$?
	cat err
	[ "$status" -eq 1 ] || { echo "exit status $status"; return 1; }
	[ "$(wc -l <err)" -eq 1 ] && grep -qi 'space' err || return
	cmp good.data "$TMP/small/d.data.old" && cmp good.data "$TMP/small/earlier" || return
	timeout 20 "$W" report --json "$TMP/small/d.data" >json 2>err
	cat err
	"$PY" -c 'import json; d = json.load(open("json"))
assert d["file"]["incomplete"] and d["file"]["damaged_at"] is None and d["file"]["events"] > 1000, d["file"]
for t in d["threads"]:
	assert sum(t["ledger"].values()) == t["end_ns"] - t["start_ns"], t'
}
if need_bpf && mkdir small && mount -t tmpfs -o size=256k tmpfs "$TMP/small" 2>/dev/null; then
	later "umount $TMP/small"
	ok "a disk that fills: what was written is intact, and so is what was there before" full_disk
	umount "$TMP/small"
else
	skip "a disk that fills" "${bpf_why:-a small tmpfs cannot be mounted here}"
fi
file_limit() {
	local status
	(ulimit -f 32 && timeout 60 "$W" record -o limit.data -- "$PROGS/known" bursts 3 40000) >out 2>err
	status=$?
	cat err
	[ "$status" -eq 1 ] && [ "$(wc -l <err)" -eq 1 ] && [ -s limit.data ] && timeout 20 "$W" report limit.data >/dev/null
}
ok_bpf "a file size limit (ulimit -f)" file_limit

# ---- files under sudo, --user ----
ok "a trace has mode 0600" bash -c 'umask 0; "$0" record -o mode.data true; [ "$(stat -c %a mode.data)" = 600 ]' "$W"
owner() {
	SUDO_UID=$1 SUDO_GID=$2 "$W" record -o "owner$1.data" -- true || return
	same "$(stat -c %u:%g:%a "owner$1.data")" "$3"
}
ok_root "under sudo the trace belongs to the caller" owner 12345 23456 12345:23456:600
ok_root "... unless what sudo says is no number" owner x 1 0:0:600
as_user() {
	"$W" record -o user.data --user nobody -- sh -c 'id -u; id -g; id -G; echo "$HOME $USER"; grep CapEff /proc/self/status' >out ||
		return
	same "$(head -n 3 out)" "$(id -u nobody; id -g nobody; id -G nobody)" || return
	same "$(sed -n 4p out)" "$(getent passwd nobody | cut -d: -f6) nobody" || return
	same "$(sed -n 5p out | tr -d '[:space:]')" CapEff:0000000000000000
}
ok_root "--user runs the command with that user's uid, gid, groups and no capability" as_user
ok_bpf "... and it is recorded with BPF" bash -c '"$0" report --json user.data | grep -q "\"bpf\": true"' "$W"
ok "--user of no user" refused 2 "no-such-user" record -o u.data --user no-such-user true
ok "--user without a command" refused 2 "--user" record -o u.data --user nobody -p $$ -d 0.1
unprivileged() {
	chmod 755 "$TMP"
	install -d -m 777 open
	(cd open && setpriv --reuid "$NOBODY" --regid "$NOBODY" --clear-groups "$W" record -o u.data -- sh -c 'exit 5') 2>err
	same "$?" 5 && cat err && same "$(wc -l <err)" 1 && grep -q "without BPF" err
}
ok_root "without privilege: recorded without BPF, which one sentence says" unprivileged
ok_root "without privilege -a is refused or a fault, in one sentence" bash -c 'cd open
	setpriv --reuid '"$NOBODY"' --clear-groups "$0" record -o a.data -a -d 0.1 2>../err; s=$?; cat ../err
	[ $s -ge 1 ] && [ $s -le 2 ] && [ "$(wc -l <../err)" -eq 1 ] && [ ! -e a.data ]' "$W"
ok_root "without privilege --user of another user" bash -c 'cd open
	setpriv --reuid '"$NOBODY"' --clear-groups "$0" record -o a.data --user root true 2>../err; s=$?; cat ../err
	[ $s -ge 1 ] && [ $s -le 2 ] && [ "$(wc -l <../err)" -eq 1 ]' "$W"

finish
