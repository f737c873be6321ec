#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# whyscale report --parallelism, of programs whose answer is known (progs/scaling): how many threads ran at once, whom the run hung on,
# how even the work was. Compared by oracle_parallelism.py with a walk over the events and with the program's own clocks.
# shellcheck source=tests/lib.sh disable=SC2317,SC2016 # functions are called through ok; single quotes are for the inner shell
. "$(dirname "$0")/../lib.sh"

cd "$TMP" || exit 1

scaling() {
	not_lost scaling_once "$@"
}

scaling_once() {
	rm -f facts p.data*
	KNOWN_FACTS=$TMP/facts timeout 60 "$W" record -o p.data -- "$PROGS/scaling" "$@" || return
	"$W" report --json p.data >report.json && "$W" script --monotonic p.data >events || return
	"$PY" "$ROOT/tests/e2e/oracle_parallelism.py" "$1" report.json events facts
}

if [ "$(nproc)" -gt 1 ]; then
	ok_bpf "90 % and 10 % of the work" scaling imbalance 100
else
	skip "90 % and 10 % of the work" "there is one CPU"
fi
ok_bpf "eight threads on one CPU" scaling oversubscribed 200
table() {
	"$W" report --parallelism p.data >table || return
	cat table
	grep -qE '^ +7 ' table && grep -q '^Whom the run hung on' table && grep -q 'load balance' table &&
		[ "$(grep -c '^scaling ' table)" -eq 9 ]
}
ok_bpf "... the table" table
ok_bpf "... in 60 columns, and without its legend" bash -c 'COLUMNS=60 "$0" report --parallelism --no-legend p.data >narrow &&
	! grep -q "^  criticality" narrow && ! grep -q "^  ready  " narrow' "$W"
ok_bpf "1,000 short threads" scaling spawned 1000
ok_bpf "... the table shows as many as it may" bash -c '[ "$("$0" report --parallelism --threads 5 p.data | grep -c "^scaling ")" -eq 5 ] &&
	[ "$("$0" report --parallelism --all p.data | grep -c "^scaling ")" -eq 1001 ] &&
	"$0" report --parallelism --threads 5 p.data | grep -q "996 more threads"' "$W"
ok "without events nothing is claimed" bash -c '"$0" record --no-bpf -o n.data true 2>err || "$0" record -o n.data true
	"$0" report --parallelism n.data >none && "$0" report --json n.data >none.json &&
	"$1" -c "import json; d = json.load(open(\"none.json\"))
assert d[\"bpf\"] or d[\"parallelism\"] is None" && { grep -q "is not known" none || grep -q "Whom" none; }' "$W" "$PY"

finish
