#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# flame --inline and --lines, together and alone: a program whose inlined functions stand at known lines, compared by
# oracle_inline.py with its source, and with addr2line at each address that was sampled.
# shellcheck source=tests/lib.sh disable=SC2317 # functions are called through ok
. "$(dirname "$0")/../lib.sh"

SOURCE=$ROOT/tests/e2e/progs/flame/inlined.c
data=$TMP/inline.data
command -v addr2line >/dev/null || { skip "inlined functions and lines" "addr2line is missing"; finish; }

# build OPTION...: in the form that the test is of.
build() {
	gcc -O2 -no-pie -fno-pie -D_GNU_SOURCE -Wall -Werror "$@" "$SOURCE" -o "$TMP/inlined"
}

# shown OPTIONS...: the frames with each of these options of flame are right.
shown() {
	not_lost shown_once "$@"
}

shown_once() {
	local asked words
	timeout -k 5 60 "$W" record -F 1999 -o "$data" -- "$TMP/inlined" 1 2>"$TMP/notes" || { cat "$TMP/notes"; return 1; }
	! grep -Eq 'events? (was|were) lost' "$TMP/notes" || return 77
	timeout -k 5 60 "$W" script "$data" >"$TMP/script" || return 1
	for asked; do
		words=${asked:+--${asked//,/ --}}
		echo "flame $words"
		# shellcheck disable=SC2086 # none, one or two words
		timeout -k 5 60 "$W" flame --on --folded $words "$data" >"$TMP/folded" || return 1
		timeout -k 5 60 "$PY" "$ROOT/tests/e2e/oracle_inline.py" "$asked" "$TMP/inlined" "$SOURCE" "$TMP/script" "$TMP/folded" || return
	done
}

ok "the program is built" build -g
ok_bpf "--inline, --lines, both and none" shown "" inline lines inline,lines
ok "... with the DWARF of version 4" build -g -gdwarf-4
ok_bpf "... the same" shown inline inline,lines
ok "... with its debug information in a compressed section" build -g -gz
ok_bpf "... the same" shown inline,lines

# A line table alone: lines, but nothing is known of what was inlined.
ok "... with a line table alone" build -g1
ok_bpf "... lines are there" shown lines

# kinds FUNCTION: of the boxes with its tooltip, the place included.
kinds() {
	tr -d '\n' <"$TMP/graph.svg" | grep -Eo "<rect class=\"box k[0-9][^>]*><title>$1 \(inlined.c:[0-9]+\): " | grep -o 'k[0-9]' | sort -u
}

# In the graph an inlined frame has its kind, k3, and its place is in the tooltip.
in_graph() {
	build -g && timeout -k 5 60 "$W" record -F 999 -o "$data" -- "$TMP/inlined" 0.3 &&
		"$W" flame --on --inline --lines "$data" -o "$TMP/graph.svg" || return
	kinds "outer" >"$TMP/outer" && kinds "innermost" >"$TMP/innermost" || return
	same "$(cat "$TMP/outer" "$TMP/innermost")" "$(printf 'k0\nk3')"
}
ok_bpf "the graph: an inlined frame is marked as one" in_graph

# Without debug information there is nothing to be shown, and no wrong name.
bare() {
	build && timeout -k 5 60 "$W" record -F 999 -o "$data" -- "$TMP/inlined" 0.3 &&
		"$W" flame --on --inline --lines --folded "$data" >"$TMP/folded" || return
	head -n 5 "$TMP/folded"
	grep -q ';main;outer [0-9]*$' "$TMP/folded" && ! grep -Eq 'inlined.c|innermost|beside' "$TMP/folded"
}
ok_bpf "without debug information: the function alone" bare
finish
