#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# What reads traces, under valgrind's memcheck: no error, and nothing that it took is lost at the end. Prints how much was checked.
# shellcheck source=tests/lib.sh disable=SC2317 # functions are called through ok
. "$(dirname "$0")/../lib.sh"

cd "$TMP" || exit 1
if ! command -v valgrind >/dev/null; then
	skip "the analyser under valgrind" "valgrind is missing: scripts/setup --tests installs it"
	finish
fi
case $BUILD in
*/san)
	skip "the analyser under valgrind" "it is built with sanitizers, which do not go together"
	finish
	;;
esac

runs=0 allocations=0

# clean ARGUMENT...: no error; 0 bytes definitely or indirectly lost; the exit status is the command's.
clean() {
	local status
	timeout 250 valgrind --quiet --error-exitcode=99 --leak-check=full --show-leak-kinds=definite,indirect \
		--errors-for-leak-kinds=definite,indirect --verbose --log-file=memcheck "$W" "$@" >out 2>err
	status=$?
	grep -vE '^--' memcheck | head -n 40
	cat err
	if [ "$status" -ne 0 ] || [ ! -s out ]; then
		echo "exit status $status"
		return 1
	fi
	grep -q 'ERROR SUMMARY: 0 errors' memcheck || return
	runs=$((runs + 1))
	allocations=$((allocations + $(sed -n 's/.*total heap usage: \([0-9,]*\) allocs.*/\1/p' memcheck | tr -d , | tail -n 1)))
}

printf 'main;work;half_[i] 3\nmain;rest;do_syscall_64_[k] 1.5\nbad line\n' >known.folded
ok "folded stacks" clean flame --from-folded known.folded --folded
ok "a graph of them" clean flame --from-folded known.folded -o -

"$W" record --no-bpf -o plain.data sleep 0.05 2>/dev/null
ok "a trace without BPF" clean report plain.data

if need_bpf; then
	"$W" record -g --python --counters -o small.data -- /usr/bin/python3 -c 'import threading
for i in range(3): threading.Thread(target=lambda: sum(range(200000))).start()' >/dev/null 2>&1
	"$W" record --stacks off,lock -o locks.data -- "$PROGS/lock_kinds" pi >/dev/null 2>&1
	ok "report, all forms" clean report --locks --wakeups --critical-path --latency --per-cpu --parallelism --counters --all small.data
	ok "report --json" clean report --json small.data
	ok "... of locks" clean report --json locks.data
	ok "explain" clean explain small.data
	ok "explain --json" clean explain --json locks.data
	ok "script" clean script small.data
	ok "diff" clean diff small.data locks.data
	ok "flame --python" clean flame --folded --on --python --lines --inline small.data
	ok "flame --off" clean flame -o - --off small.data
	ok "flame --lock" clean flame --folded --lock locks.data
else
	skip "traces with events" "$bpf_why"
fi

# Damage is a way out of everything: what was begun is given back on it, too.
cut() {
	head -c $(($(stat -c %s "${1:-plain.data}") * 2 / 3)) "${1:-plain.data}" >cut.data
	timeout 250 valgrind --quiet --error-exitcode=99 --leak-check=full --errors-for-leak-kinds=definite,indirect "$W" report cut.data >out 2>err
	same "$?" 2 || { cat err; return 1; }
}
ok "a trace that is cut" cut "$([ -s small.data ] && echo small.data)"
echo "# valgrind: $runs commands, $allocations allocations, no error, nothing lost"
finish
