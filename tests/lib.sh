# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# What every end-to-end test begins with: TAP lines, the program, a directory of its own.
#
#   ok "name" COMMAND [ARG...]      passes when the command exits with 0; else its output is shown
#   is "name" GOT EXPECTED          passes when the two words are equal
#   skip "name" "reason"            cannot be tested here; a command of ok that exits with 77 is one, its last line the reason
#   ok_bpf, ok_root                 as ok, but skipped where BPF does not work, or without root
#   not_in_guest "why" ok ...       that one of these is skipped in an emulated machine (scripts/guest)
#   finish                          the counts, and an exit status: the last command of a test
#
# $W is the whyscale binary of $BUILD (default: build), $PROGS the directory of the test programs, $TMP a directory that is
# removed at the end, $PY Debian's Python, $ORACLE checks JSON. Whatever is started in the background goes through `spawn`:
# it is ended, by its pid, at the latest when the test ends.

LC_ALL=C.UTF-8
export LC_ALL
unset NO_COLOR SUDO_UID SUDO_GID SUDO_USER CDPATH

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
BUILD=${BUILD:-build}
case $BUILD in
/*) ;;
*) BUILD=$ROOT/$BUILD ;;
esac
# shellcheck disable=SC2034 # for the tests
W=$BUILD/whyscale PROGS=$BUILD/tests/progs PY=/usr/bin/python3 ORACLE=$ROOT/tests/e2e/oracle.py
TMP=$(mktemp -d "${TMPDIR:-/tmp}/whyscale-test.XXXXXX") || exit 1

nr_passed=0 nr_failed=0 nr_skipped=0
spawned=()
at_exit=() # commands to run at the end, newest first

spawn() {
	"$@" &
	spawned+=($!)
}

# end PID [SIGNAL]: ends what spawn started, and waits for it.
end() {
	kill "-${2:-TERM}" "$1" 2>/dev/null
	wait "$1" 2>/dev/null
}

later() {
	at_exit=("$1" "${at_exit[@]}")
}

clean_up() {
	local pid command
	for pid in "${spawned[@]}"; do
		end "$pid" KILL
	done
	for command in "${at_exit[@]}"; do
		eval "$command" 2>/dev/null
	done
	rm -rf "$TMP"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

say() {
	nr_said=$((nr_passed + nr_failed + nr_skipped))
	printf '%s %d - %s\n' "$1" "$nr_said" "$2"
}

ok() {
	local name=$1 status
	shift
	"$@" >"$TMP/.output" 2>&1
	status=$?
	if [ $status -eq 0 ]; then
		nr_passed=$((nr_passed + 1))
		say ok "$name"
		return 0
	fi
	if [ $status -eq 77 ]; then
		skip "$name" "$(tail -n 1 "$TMP/.output")"
		return 0
	fi
	nr_failed=$((nr_failed + 1))
	say "not ok" "$name"
	head -c 6000 "$TMP/.output" | tail -n 40 | sed 's/^/#   /'
	printf '#   exit status %d: %s\n' "$status" "$*" | head -c 600 | tr '\n' ' '
	echo
	return 1
}

is() {
	ok "$1" same "$2" "$3"
}

same() {
	[ "$1" = "$2" ] && return
	printf 'got      %s\nexpected %s\n' "$1" "$2"
	return 1
}

skip() {
	nr_skipped=$((nr_skipped + 1))
	say ok "$1 # SKIP $2"
}

finish() {
	printf '%d passed, %d failed, %d skipped\n' "$nr_passed" "$nr_failed" "$nr_skipped"
	[ "$nr_failed" -eq 0 ]
	exit
}

# in_guest: whether this is an emulated machine, of which scripts/guest's first process tells. It is ten times slower than this one,
# and its processors take turns: each stands still for 1 to 20 ms at any place. So what is asked there is what happened and how
# often, exactly; of a time only that it is there. Limits that only stop what hangs are longer.
in_guest() {
	[ -n "${WHYSCALE_GUEST:-}" ]
}

if in_guest; then
	timeout() {
		local args=()
		while [[ ${1-} == -* ]]; do
			args+=("$1")
			[[ $1 != -k ]] || { args+=("$2") && shift; }
			shift
		done
		command timeout "${args[@]}" $(($1 * 6)) "${@:2}"
	}
	export -f timeout # also for the inner shells
fi

# not_in_guest "why" CHECK "name" COMMAND...: CHECK is ok, ok_bpf, is, ...
not_in_guest() {
	local why=$1
	shift
	if in_guest; then
		skip "$2" "$why"
	else
		"$@"
	fi
}

# need_bpf: whether recording with BPF works here, found by doing it, once; $bpf_why says why not.
need_bpf() {
	if [ -z "${bpf_works:-}" ]; then
		bpf_works=no bpf_why="needs root with BPF"
		if [ "$(id -u)" -ne 0 ]; then
			bpf_why="needs root"
		elif "$W" record -o "$TMP/.need_bpf" true 2>"$TMP/.need_bpf.err" &&
			! grep -q 'without BPF' "$TMP/.need_bpf.err"; then
			bpf_works=yes
		else
			bpf_why="BPF does not work here: $(head -n 1 "$TMP/.need_bpf.err")"
		fi
		rm -f "$TMP/.need_bpf" "$TMP/.need_bpf.err"
	fi
	[ "$bpf_works" = yes ]
}

ok_bpf() {
	if need_bpf; then
		ok "$@"
	else
		skip "$1" "$bpf_why"
	fi
}

ok_root() {
	if [ "$(id -u)" -eq 0 ]; then
		ok "$@"
	else
		skip "$1" "needs root"
	fi
}

# not_lost COMMAND...: runs it again, up to three times, while it exits with 78 (a witness of ours was in doubt: it must be so each time)
# or 77: events were lost. On a machine that is busy with other things (ten threads ready for each CPU) that is no failure of
# ours, but nothing was tested.
not_lost() {
	local tries status
	for tries in 1 2 3; do
		"$@"
		status=$?
		[ $status -eq 77 ] || [ $status -eq 78 ] || return $status
	done
	[ $status -eq 77 ] || return 1
	if awk -v cpus="$(nproc)" '{ exit !($1 > 3 * cpus) }' /proc/loadavg; then
		echo "events were lost in $tries of $tries recordings, the machine is too busy"
		return 77
	fi
	return 1
}

# until_true SECONDS COMMAND...: waits until it succeeds.
until_true() {
	local tries=$(($1 * 50))
	shift
	! in_guest || tries=$((tries * 6))
	until "$@" 2>/dev/null; do
		tries=$((tries - 1))
		[ $tries -gt 0 ] || return 1
		sleep 0.02
	done
}
