# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash disable=SC2317,SC2034 # functions are called through ok; SRC is for the tests
#
# What the tests of flame graphs of known programs share, behind tests/lib.sh: recording one, and comparing by oracle_flame.py.

FLAME=$ROOT/tests/e2e/oracle_flame.py
SRC=$ROOT/tests/e2e/progs
RATE=2999
data=$TMP/flame.data

oracle() {
	timeout -k 5 60 "$PY" "$FLAME" "$@"
}

# record OPTION... -- PROGRAM...: into $data; what the program prints goes to $TMP/facts. 77: events were lost.
record() {
	rm -f "$data" "$TMP/facts"
	timeout -k 5 120 "$W" record -g -o "$data" "$@" >"$TMP/facts" 2>"$TMP/record.err" || {
		cat "$TMP/record.err"
		return 1
	}
	cat "$TMP/record.err"
	timeout -k 5 60 "$W" report --json "$data" >"$TMP/report.json" || return 1
	"$PY" -c 'import json, sys; sys.exit(77 if json.load(open(sys.argv[1]))["lost"]["events"] else 0)' "$TMP/report.json"
}

# folded MODE OPTION...: into $TMP/MODE.folded, and its sum is the ledger's.
folded() {
	local mode=$1
	shift
	timeout -k 5 120 "$W" flame --folded "--$mode" "$@" "$data" >"$TMP/$mode.folded" || return 1
	oracle total "$TMP/$mode.folded" "$TMP/report.json" "$mode"
}

# shares PATH PROGRAM...: the program burns in functions that it tells, right below PATH.
shares() {
	not_lost shares_once "$@"
}

shares_once() {
	local path=$1
	shift
	record -F "$RATE" -- "$@" && folded on && oracle shares "$TMP/on.folded" "$TMP/facts" "$path"
}
