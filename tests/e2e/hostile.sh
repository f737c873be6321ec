#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Names that others chose, of threads, programs and files, in every output: nothing but text comes of them. Text for a terminal is UTF-8
# without control characters or characters that turn its direction; JSON is one document that a strict parser takes; SVG and HTML
# have the elements and attributes that they have for plain names; a folded line is frames and a number.
# shellcheck source=tests/lib.sh disable=SC2317 # functions are called through ok
. "$(dirname "$0")/../lib.sh"

cd "$TMP" || exit 1
HERE=$ROOT/tests/e2e
NAME=$'na<script>alert(1)"me\e[2J;\'&\xff\xe2\x80\xae\n5'

terminal() {
	"$PY" -c 'if True:
		import sys, unicodedata
		for path in sys.argv[1:]:
			text = open(path, "rb").read().decode("utf-8")
			bad = sorted({hex(ord(c)) for c in text if c != "\n" and unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp")})
			if bad or len(text) < 30:
				sys.exit("%s: %s" % (path, bad or "it is empty"))' "$@"
}

json_documents() {
	"$PY" -c 'if True:
		import json, sys
		def never(constant):
			raise ValueError(constant)
		for path in sys.argv[1:]:
			text = open(path, "rb").read().decode("utf-8")
			bad = sorted({hex(ord(c)) for c in text if c != "\n" and ord(c) < 32})
			if bad or not isinstance(json.loads(text, parse_constant=never), dict):
				sys.exit("%s: %s" % (path, bad))' "$@"
}

# The kinds of elements of a picture, and its scripts: the same as of another one (which may have no path); no attribute that is code.
alike() {
	"$PY" -c 'if True:
		import re, sys, xml.parsers.expat
		def shape(path):
			data = open(path, "rb").read()
			if b"<!DOCTYPE html>" in data[:20]:
				data = re.search(rb"<svg .*</svg>\n", data, re.S).group()
			found, scripts = set(), []
			parser = xml.parsers.expat.ParserCreate()
			parser.StartElementHandler = lambda name, attributes: (found.update((name, a) for a in attributes),
				scripts.append(attributes.get("id")) if name == "script" else None)
			parser.Parse(data, True)
			return found, scripts
		ours, plain = shape(sys.argv[1]), shape(sys.argv[2])
		new = [pair for pair in ours[0] - plain[0] if pair[1].startswith("on") or pair[0] not in {"path", *(name for name, _ in plain[0])}]
		sys.exit("more than with plain names: %s %s" % (new, ours[1]) if new or ours[1] != plain[1] else 0)' "$@"
}

folded() {
	! LC_ALL=C grep -nqa '[[:cntrl:]]' "$1" && ! LC_ALL=C grep -avE '^[^;]+(;[^;]+)* [0-9]+$' "$1"
}

gcc -O2 -g -D_GNU_SOURCE -pthread "$HERE/progs/flame/names.c" -o plain && cp plain "$NAME" || exit 1
recorded() {
	"$W" record -g -o "$NAME.data" -- "./$NAME" >/dev/null 2>err && cp "$NAME.data" names.data && "$W" record -g -o plain.data ./plain 2>>err
	[ -s plain.data ] || cat err
}

said() {
	local at=0 status
	# shellcheck disable=SC2094
	{
		"$W" record -o "$NAME/x" true 2>said.1
		"$W" report "$NAME" 2>said.2
		"$W" report "--$NAME" 2>said.3
		"$W" record -o x.data -- "./no$NAME" 2>said.4
		"$W" flame -o "$NAME/x.svg" --from-folded "$NAME" 2>said.5
		"$W" "$NAME" 2>said.6
		"$W" record -e "$NAME" true 2>said.7
		"$W" diff "$NAME" "$NAME" 2>said.8
		"$W" record --user "$NAME" true 2>said.9
	} >out
	for at in 1 2 3 4 5 6 7 8 9; do
		status=$(wc -l <said."$at")
		same "$status" 1 || { cat said."$at"; return 1; }
	done
	terminal said.[1-9]
}
ok "complaints about hostile words are one line of text" said

if ! need_bpf; then
	skip "hostile names of threads and programs in every output" "$bpf_why"
	finish
fi
ok "threads, a program and a trace with hostile names" recorded
tables() {
	"$W" report --all --locks --wakeups --critical-path --latency --per-cpu --parallelism "$NAME.data" >t.report &&
		"$W" explain "$NAME.data" >t.explain && "$W" script "$NAME.data" >t.script &&
		"$W" diff "$NAME.data" plain.data >t.diff && grep -q 'alert' t.report && terminal t.*
}
ok "report, explain, script, diff" tables
documents() {
	"$W" report --json "$NAME.data" >j.report && "$W" explain --json "$NAME.data" >j.explain && "$W" diff --json "$NAME.data" plain.data >j.diff &&
		json_documents j.*
}
ok "... --json" documents
graphs() {
	local mode form
	for mode in on off wake; do
		"$W" flame "--$mode" --threads --folded names.data >"g.$mode.folded" 2>err && folded "g.$mode.folded" || return
		for form in svg html; do
			"$W" flame "--$mode" --threads --title "</script></title>$NAME" -o "g.$mode.$form" "$NAME.data" 2>err &&
				"$W" flame "--$mode" --threads --title plain -o "p.$mode.$form" plain.data 2>>err &&
				"$PY" "$HERE/flame_check.py" "g.$mode.$form" && alike "g.$mode.$form" "p.$mode.$form" || return
		done
	done
	"$W" flame --diff names.data plain.data -o g.diff.svg 2>err && "$PY" "$HERE/flame_check.py" g.diff.svg
}
ok "flame graphs, folded stacks" graphs
curve() {
	"$W" sweep -n 1,2 -o s.svg --env N -- "./$NAME" "$NAME" >s.table 2>err && "$W" sweep -n 1,2 -o p.svg --env N -- ./plain >/dev/null 2>err &&
		"$W" sweep -n 1,2 --json --env N -- "./$NAME" >s.json 2>err && terminal s.table s.svg && json_documents s.json && alike s.svg p.svg
}
ok "sweep: table, picture, --json" curve
finish
