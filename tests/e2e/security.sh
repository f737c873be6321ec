#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# What others could abuse: set-uid copies, descriptors and groups that a command inherits, modes and owners of files, links and pipes
# put where files are written, addresses of the kernel in what is handed on. (Calibration: calibrate.sh. perf-PID.map: test_symbol_jit.)
# shellcheck source=tests/lib.sh disable=SC2317,SC2016 # functions are called through ok; single quotes are for the inner shell
. "$(dirname "$0")/../lib.sh"

cd "$TMP" || exit 1
# Built with sanitizers, it cannot look for leaks where it is traced already.
export ASAN_OPTIONS=detect_leaks=0
NOBODY=$(getent passwd nobody | cut -d: -f3) NOGROUP=$(getent passwd nobody | cut -d: -f4)
chmod 755 .
as_nobody() {
	setpriv --reuid "$NOBODY" --regid "$NOGROUP" --clear-groups "$@"
}

# refused WORD ARGUMENT...: within 20 s, exit status 2 and one sentence that has the word.
refused() {
	local word=$1 status
	shift
	timeout 20 "$W" "$@" >out 2>err </dev/null
	status=$?
	cat err
	same "$status $(wc -l <err)" "2 1" && grep -qF -e "$word" err
}

# ---- set-uid ----
set_id() {
	local mode
	[[ $BUILD != */san ]] || { echo "sanitizers end a set-uid program before it begins"; return 77; }
	for mode in 4755 2755; do
		install -m "$mode" "$(command -v id)" their-id
		as_nobody ./their-id >out
		grep -q 'euid=0\|egid=0' out || { echo "set-uid programs have no effect here (nosuid)"; return 77; }
		install -m "$mode" "$W" set-id
		as_nobody ./set-id record -o "$TMP/x.data" true >out 2>err
		same "$? $(wc -l <err)" "2 1" && [ ! -s out ] && [ ! -e x.data ] && grep -q 'set-uid' err || return
		as_nobody ./set-id --help >out 2>err
		same "$?" 2 && [ ! -s out ] || return
	done
	./set-id --version # root gains nothing by it
}
ok_root "a set-uid or set-gid copy says so and does nothing" set_id

# ---- what a command inherits ----
fds() {
	local list='import os; print(sorted(set(os.listdir("/proc/self/fd")) - {"3"}))' # without that of the directory
	same "$("$W" record -o fd.data "$@" -- "$PY" -c "$list" 2>err)" "$("$PY" -c "$list")"
}
ok "no open descriptor of ours" fds
ok_bpf "... with stacks, counters and Python" fds -g --counters --python
ok_root "... as another user" fds --user nobody
ok "... of the recorder without BPF" fds --no-bpf --counters
caller_fd() {
	same "$("$W" record -o fd.data -- sh -c 'echo given >&7' 7>&1 2>err)" given
}
ok "one that the caller opened for it is passed on" caller_fd
sweep_fds() {
	sh -c 'ls /proc/self/fd >fds.0'
	"$W" sweep -n 1,2 -- sh -c 'ls /proc/self/fd >fds.{n}' >/dev/null 2>err
	same "$(xargs <fds.1) $(xargs <fds.2)" "$(xargs <fds.0) $(xargs <fds.0)"
}
ok "nor does sweep leave one open" sweep_fds
groups() {
	same "$(setpriv --groups 4,5,6 "$W" record -o u.data --user "$1" -- id -G 2>err)" "$(id -G "$1")"
}
ok_root "--user: that user's groups, whatever the caller's are" groups nobody
ok_root "... also root's" groups root
environment() {
	local drop='^(_|SHLVL|PWD|OLDPWD|MAIL)=' # MAIL is of a module of PAM's
	su -s /bin/sh nobody -c "exec env" 2>/dev/null | grep -Ev "$drop" | sort >expected || return
	# su sets the shell that it was given
	"$W" record -o u.data --user nobody -- env 2>err | grep -Ev "$drop" | sed 's,^SHELL=.*,SHELL=/bin/sh,' | sort >got
	diff expected got
}
ok_root "... and the environment that su gives him" environment
no_power() {
	"$W" record -o u.data --user nobody -- sh -c 'cat /proc/self/status; cat "$0" 2>&1; echo "$?"' "$TMP/secret" >out 2>err
	same "$(grep -c '^Cap\(Inh\|Prm\|Eff\|Amb\):.*0000000000000000$' out)" 4 && same "$(tail -n 1 out)" 1
}
install -m 600 /dev/null secret
ok_root "... without any of root's power" no_power

# ---- files: modes and owners ----
printf 'main;work 3\nmain;rest 1\n' >known.folded
modes() {
	umask 0
	"$W" record -o mode.data true 2>err && "$W" record -o mode.data true 2>err &&
		"$W" flame --from-folded known.folded -o mode.svg && "$W" flame --from-folded known.folded -o mode.html &&
		"$W" flame --from-folded known.folded --folded -o mode.folded &&
		"$W" sweep -n 1,2 --keep kept -o sweep.svg -- sh -c 'exit 0 {n}' >/dev/null 2>err &&
		"$W" count c-single --count 1000 --result mode.json || return
	same "$(stat -c %a mode.data mode.data.old mode.svg mode.html mode.folded sweep.svg mode.json kept/* | sort -u)" 600 &&
		same "$(stat -c %a kept)" 700
}
ok "everything that is written is 0600, a directory 0700, whatever the umask" bash -c "$(declare -f modes same); W=$W; modes"
owners() {
	export SUDO_UID=12345 SUDO_GID=23456
	"$W" record -o own.data true 2>err && "$W" flame --from-folded known.folded -o own.svg &&
		"$W" sweep -n 1,2 --keep own -o own-sweep.svg -- sh -c 'exit 0 {n}' >/dev/null 2>err || return
	same "$(stat -c %u:%g own.data own.svg own-sweep.svg own own/* | sort -u)" 12345:23456
}
ok_root "under sudo all of it belongs to the caller" bash -c "$(declare -f owners same); W=$W; owners"

# ---- links and pipes where files are written ----
echo precious >victim
hard_link() {
	ln -f victim hard.data && "$W" record -o hard.data true 2>err && same "$(cat victim)" precious && ! [ victim -ef hard.data ]
}
ok "a hard link is replaced, the other file is as it was" hard_link
old_link() {
	"$W" record -o linked.data true 2>err && ln -sf "$TMP/victim" linked.data.old && "$W" record -o linked.data true 2>err &&
		same "$(cat victim)" precious && [ ! -L linked.data.old ] && "$W" report linked.data.old >/dev/null
}
foreign_step() {
	local before
	before=$(cat /proc/sys/fs/protected_symlinks)
	mkdir -p shared private && chmod 1777 shared && ln -sfn ../private shared/step && chown -h "$NOBODY" shared/step || return
	# without the kernel's own protection, where that can be taken away
	later "echo $before >/proc/sys/fs/protected_symlinks"
	echo 0 2>/dev/null >/proc/sys/fs/protected_symlinks
	refused shared/step record -o shared/step/x.data true && refused shared/step flame --from-folded known.folded -o "$TMP/shared/step/x.svg"
	set -- $?
	echo "$before" 2>/dev/null >/proc/sys/fs/protected_symlinks
	[ "$1" -eq 0 ] && same "$(ls private)" "" && chown -h root shared/step && "$W" record -o shared/step/x.data true 2>err && [ -s private/x.data ]
}
ok_root "a directory reached by somebody else's link in a directory like /tmp; one's own link is fine" foreign_step
ok "a link in the place of NAME.old is replaced, not followed" old_link
sweep_link() {
	ln -sf victim link.svg
	refused link.svg sweep -n 1,2 -o link.svg -- sh -c 'exit 0 {n}' && same "$(cat victim)" precious && [ -L link.svg ]
}
ok "sweep -o through a link" sweep_link
result_link() {
	ln -sf victim link.json && ln -f victim hard.json
	refused link.json count c-single --count 1000 --result link.json && refused hard.json count c-single --count 1000 --result hard.json &&
		same "$(cat victim)" precious
}
ok "count --result through a link, or a hard link" result_link
ok "... but a device may be one" "$W" count c-single --count 1000 --result /dev/null
mkfifo pipe.svg pipe.data pipe.json
ok "a pipe as the trace: refused at once" refused pipe.data record -o pipe.data true
ok "... as the graph" refused pipe.svg flame --from-folded known.folded -o pipe.svg
ok "... as the curve" refused pipe.svg sweep -n 1,2 -o pipe.svg -- sh -c 'exit 0 {n}'
ok "... as the result" refused pipe.json count c-single --count 1000 --result pipe.json
ok "... as the trace that is read" refused pipe.data report pipe.data
mkdir -m 700 mine && ln -sfn mine mine.link && mkdir theirs open && chmod 777 open
[ "$(id -u)" -ne 0 ] || chown "$NOBODY" theirs
keep() {
	refused "$1" run c-single --count 1000 --keep "$1" && refused "$1" sweep -n 1,2 --keep "$1" -- true '{n}'
}
ok "--keep through a link" keep mine.link
ok "... in a directory that all may write to" keep open
ok_root "... in somebody else's directory" keep theirs
is "... nothing was written there" "$(ls mine open theirs)" "$(printf 'mine:\n\nopen:\n\ntheirs:')"

# A trace says which command --verify runs.
foreign_trace() {
	"$W" record -o verify.data "$PROGS/known" burn 20 && "$W" explain --verify=fewer-cpus verify.data >out || return
	chown "$NOBODY" verify.data
	"$W" explain verify.data >out || return
	! "$W" explain --verify=fewer-cpus verify.data >out 2>err || return
	cat err
	same "$(wc -l <err)" 1 && grep -q "belongs to somebody else" err || return
	cp verify.data copy.data && "$W" explain --verify=fewer-cpus copy.data >out
}
ok_root "explain --verify runs no command of somebody else's trace" foreign_trace

# Every file that is made is made anew (O_EXCL), or at least not through a link.
careful() {
	command -v strace >/dev/null || { echo "strace is missing"; return 77; }
	XDG_STATE_HOME=$TMP/state strace -f -qq -o calls -e trace=open,openat,creat "$W" "$@" >out 2>err || { cat err; return 1; }
	grep -Ec 'O_CREAT|O_TMPFILE' calls
	grep -Eq 'O_CREAT|O_TMPFILE' calls && ! grep 'O_CREAT\|creat(' calls | grep -Ev 'O_EXCL|O_NOFOLLOW|O_TMPFILE'
}
ok "record makes files carefully" careful record -o careful.data true
ok "... so does flame" careful flame --from-folded known.folded -o careful.svg
ok "... and sweep" careful sweep -n 1,2 --keep careful -o careful-sweep.svg -- sh -c 'exit 0 {n}'
ok "... and calibrate" careful calibrate --quick

# ---- memory ----
bounded() {
	local half limit
	[[ $BUILD != */san ]] || { echo "not where sanitizers reserve memory"; return 77; }
	half=$(($(getconf _PHYS_PAGES) * $(getconf PAGESIZE) / 2))
	(sleep 2 && echo 'a;b 3') | "$W" flame --from-folded - --folded >held.out &
	sleep 1
	limit=$(awk '/^Max data size/ { print $4 }' "/proc/$!/limits")
	wait $! && same "$limit" "$half" && same "$(cat held.out)" 'a;b 3'
}
ok "what reads files takes at most half of the memory" bounded
# From where the program just starts to where it has enough: it never fails in another way than by saying so.
scarce() {
	local command kb status failed=0
	[[ $BUILD != */san ]] || { echo "not where sanitizers reserve memory"; return 77; }
	for command in report "report --json" explain "flame --folded --off" "diff kernel.data"; do
		for kb in 700 1000 1500 2000 3000 4000 5000 6000 8000; do
			# shellcheck disable=SC2086 # words
			(ulimit -d $kb && exec timeout 20 "$W" $command kernel.data) >out 2>err
			status=$?
			[ "$status" -eq 0 ] && continue
			failed=$((failed + 1))
			if ! same "$status $(wc -l <err)" "1 1" || ! grep -q 'memory' err; then
				echo "$command, $kb kB: $(cat err)"
				return 1
			fi
		done
	done
	echo "$failed times"
	[ "$failed" -ge 5 ]
}

# ---- addresses of the kernel ----
record_kernel() {
	timeout 60 "$W" record -g -o kernel.data -- "$PROGS/klocks" mmap 200 >/dev/null 2>err || { cat err; return 1; }
	"$W" script --kernel-addresses kernel.data |
		sed -n 's/.* klock\(_end\)\? lock=0x\([0-9a-f]*\).*/\2/p; s/.* kstack .*frames=//p' | tr ',' '\n' | sed 's/^0x//' | sort -u >addresses
	[ "$(grep -c '^ffff' addresses)" -gt 10 ]
}
ok_bpf "a recording with kernel locks and kernel stacks; asked for, addresses are shown" record_kernel
# without_addresses FILE...: not one of those, as many digits or few.
without_addresses() {
	local file
	for file; do
		[ "$(wc -c <"$file")" -gt 50 ] || { echo "$file is empty"; return 1; }
		! grep -oiFf addresses "$file" | head -n 3 | grep . || { echo "in $file"; return 1; }
		! grep -oiE '0xffff[0-9a-f]{12}' "$file" | head -n 3 | grep . || { echo "in $file"; return 1; }
	done
}
outputs() {
	local mode form
	"$W" report --locks --wakeups --critical-path --latency kernel.data >k.report && "$W" report --json kernel.data >k.json &&
		"$W" explain kernel.data >k.explain && "$W" explain --json kernel.data >k.explain.json && "$W" script kernel.data >k.script &&
		"$W" diff kernel.data kernel.data >k.diff && "$W" diff --json kernel.data kernel.data >k.diff.json || return
	grep -q 'kernel lock [0-9]' k.report && grep -q ' klock lock=[0-9]* ' k.script && grep -q 'kstack .*__schedule' k.script || return
	for mode in on off wake lock; do
		for form in svg html; do
			"$W" flame "--$mode" -o "k.$mode.$form" kernel.data 2>err || { grep -q 'no stacks' err && touch "none.$mode" || return; }
		done
		"$W" flame "--$mode" --folded kernel.data 2>err >"k.$mode.folded" || rm "k.$mode.folded"
	done
	grep -q schedule k.off.folded && without_addresses k.*
}
if need_bpf; then
	ok "without memory: one sentence, exit status 1" scarce
	ok "by default no output has one of them" outputs
	asked() {
		"$W" report --json --kernel-addresses kernel.data >asked.json && "$W" report --locks --kernel-addresses kernel.data >asked.report &&
			grep -q '"address": "0xffff' asked.json && grep -q 'kernel lock 0xffff' asked.report
	}
	ok "report --kernel-addresses shows those of locks" asked
	is "the trace itself, which has them, is 0600" "$(stat -c %a kernel.data)" 600
else
	skip "addresses of the kernel in outputs" "$bpf_why"
fi
finish
