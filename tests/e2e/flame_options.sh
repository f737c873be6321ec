#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# whyscale flame's options on folded stacks: each has its effect; bad input gets one sentence; the file that is written is the
# user's own, replaced whole or not at all. What the graph does in a browser is in flame_browser.sh.
# shellcheck source=tests/lib.sh disable=SC2317,SC2016 # functions are called through ok; single quotes are for the inner shell
. "$(dirname "$0")/../lib.sh"

CHECK=$ROOT/tests/e2e/flame_check.py
cd "$TMP" || exit 1
printf '%s\n' 'main;work;compute 60' 'main;work;slow 10' 'main;read;vfs_read_[k] 25' 'other 5' >known.folded

# refused STATUS WORD ARGUMENT...: that exit status, one line on standard error that has WORD, nothing else, no file.
refused() {
	local status=$1 word=$2 got
	shift 2
	rm -f out.svg flame.svg
	"$W" flame "$@" >out 2>err </dev/null
	got=$?
	cat err
	[ "$got" -eq "$status" ] || { echo "exit status $got, not $status"; return 1; }
	[ ! -s out ] && [ "$(wc -l <err)" -eq 1 ] && grep -qF -e "$word" err || return 1
	[ ! -e out.svg ] && [ ! -e flame.svg ] && ! ls ./*.part 2>/dev/null
}

draws() {
	rm -f out.svg
	"$W" flame --from-folded known.folded -o out.svg "$@" && "$PY" "$CHECK" out.svg --total 100 --stacks known.folded
}

# says PYTHON: an expression about the graph in out.svg: d its data, v its views, text the file.
says() {
	"$PY" -c "if True:
		import json, re, sys
		sys.path.insert(0, '$ROOT/tests/e2e')
		import flame_check
		text = open('out.svg', encoding='utf-8').read()
		doc = flame_check.read('out.svg')
		d = json.loads(doc.scripts['flame-data'])
		v = [json.loads(doc.scripts['flame-view-%d' % i]) for i in range(len(d['views']))]
		y = {re.sub(':.*', '', t): int(n) for n, t in re.findall(r'y=\"(\d+)\"[^>]*><title>([^<]*)</title>', text)}
		x = {re.sub(':.*', '', t): float(n) for n, t in re.findall(r'x=\"([\d.]+)\"[^>]*><title>([^<]*)</title>', text)}
		assert $1, (d, v, x, y)"
}

ok "a graph" draws
ok "... the root at the bottom" says 'y["all"] > y["main"] > y["work"] > y["compute"]'
ok "... by name" says 'x["main"] < x["other"] and x["read"] < x["work"]'
ok "... in samples" says '"all: 100 samples" in text and d["unit"] == "samples"'
ok "... every frame has a tooltip without scripts" says '"<title>compute: 60 samples, 60.0 %</title>" in text'
ok "--inverted" draws --inverted
ok "... has the root on top" says 'y["all"] < y["main"] < y["compute"]'
ok "--reverse" draws --reverse
ok "... begins with the innermost frame" says 'y["compute"] == y["all"] - 18 and y["main"] < y["work"] < y["compute"]'
ok "--sort value" draws --sort value
ok "... has the largest first" says 'x["work"] < x["read"]'
ok "--width 640" draws --width 640
ok "... is so wide" says "'width=\"640\"' in text and d['width'] == 640 and max(x.values()) < 640"
ok "--title" draws --title 'A <b> & "c"'
ok "... is the title" says 'd["title"] == "A <b> & \"c\"" and "A &lt;b&gt; &amp; &quot;c&quot;" in text'
ok "--unit ms" "$W" flame --from-folded known.folded --unit ms -o out.svg
ok "... is time" says '"all: 100 ms" in text and v[0]["value"][0] == 100000000'
ok "--unit samples" draws --unit samples

folded() {
	"$W" flame --from-folded known.folded --folded "$@"
}
is "--folded" "$(folded)" "$(sed 's/_\[k\]//' known.folded | sort)"
is "--folded --reverse" "$(folded --reverse | sort | head -n 1)" "compute;work;main 60"
is "--folded of what was folded" "$(folded | "$W" flame --from-folded - --folded)" "$(folded)"
ok "--folded -o" folded -o again.folded
is "... writes there" "$(cat again.folded)" "$(folded)"
printf 'p/1_[t];main;a 3\np/2_[t];main;a 4\n' >threads.folded
is "--folded merges threads" "$("$W" flame --from-folded threads.folded --folded)" "main;a 7"
is "... but with --threads" "$("$W" flame --from-folded threads.folded --folded --threads | head -n 1)" "p/1;main;a 3"
ok "--threads" "$W" flame --from-folded threads.folded --threads -o out.svg
ok "... shows them first" says '"p/1" in y and [w["threads"] for w in d["views"]] == [1, 1, 0, 0]'

printf '%s\n' 'main;work;compute 30' 'main;gone 12' >before.folded
ok "--diff A B" "$W" flame --diff before.folded known.folded -o out.svg
ok "... is well-formed, and its total is B's" "$PY" "$CHECK" out.svg --total 100 --has gone --stacks known.folded
ok "... says what was before" says '"now 100 samples, before 42 samples" in text and v[0]["before"][0] == 42'
ok "... shows what vanished, with its width" says 'v[0]["width"][0] == 112 and "class=\"box gone\"" in text'

ok "--normalize" "$W" flame --normalize --diff before.folded known.folded -o out.svg
ok "... both have the same total" says '"now 100 samples, before 100 samples" in text and v[0]["before"][0] == 100'
# 12 of 42 were gone: 29 of 100, rounded
ok "... what vanished has its share" says '"scaled to the same total" in text and v[0]["width"][0] == 129'

: >empty.folded
ok "an empty file" "$W" flame --from-folded empty.folded -o out.svg
ok "... is a graph that says so" says '"There are no stacks" in text and v[0]["value"] == [0]'
printf 'one 1\nno count\nalso not\n' >some.folded
"$W" flame --from-folded some.folded -o out.svg 2>err
is "lines that are none are left out" $? 0
ok "... and it says so" grep -q '2 of 3 lines.*line 2' err
ok "... in the graph, too" says '"2 of 3 lines" in text'
printf 'one 1\nno count\n' >some.folded
"$W" flame --from-folded some.folded -o out.svg 2>err
ok "one line is one line" grep -q '1 of 2 lines is no folded stack and was left out; the first is line 2' err
printf 'no count\n' >some.folded
ok "... where nothing else is" refused 2 "among 1 line:" --from-folded some.folded
printf 'one 1.6\n' >some.folded
"$W" flame --from-folded some.folded -o out.svg 2>err
ok "one number is rounded" grep -q '1 number was rounded' err
printf 'one 1.6\ntwo 2.5\n' >some.folded
"$W" flame --from-folded some.folded -o out.svg 2>err
ok "two numbers are" grep -q '2 numbers were rounded' err

is "a graph on standard output" "$("$W" flame --from-folded known.folded -o - | tail -n 1)" "</svg>"
ok "the default is flame.svg" sh -c '"$1" flame --from-folded known.folded && test -s flame.svg' sh "$W"
is "... for the owner alone" "$(stat -c %a flame.svg)" 600
replaced() {
	echo old >out.svg
	"$W" flame --from-folded known.folded -o out.svg && grep -q '</svg>' out.svg && ! ls out.svg.*
}
ok "an earlier graph is replaced" replaced
linked() {
	echo mine >target
	ln -sf target link.svg
	! "$W" flame --from-folded known.folded -o link.svg && same "$(cat target)" mine
}
ok "a symbolic link is not followed" linked
owner() {
	SUDO_UID=65534 SUDO_GID=65534 "$W" flame --from-folded known.folded -o owned.svg && same "$(stat -c %u:%g owned.svg)" 65534:65534
}
ok_root "under sudo it belongs to the caller" owner
full() {
	mkdir -p full
	mount -t tmpfs -o size=16k none full 2>/dev/null || { echo "no tmpfs here"; return 77; }
	later "umount '$TMP/full'"
	"$W" flame --from-folded known.folded -o full/out.svg 2>err
	[ $? -eq 1 ] && cat err && grep -q 'cannot write' err && [ -z "$(ls full)" ]
}
ok_root "a full disk leaves nothing behind, and it says so" full
"$W" flame --from-folded known.folded --folded >/dev/full 2>err
is "a full standard output" $? 1

ok "no such file" refused 2 "nothere.folded" --from-folded nothere.folded
ok "no such trace" refused 2 "nothere" nothere
ok "a folded file is no trace" refused 2 "use --from-folded" known.folded -o out.svg
echo '{"a": 1}' >some.json
ok "not one folded line" refused 2 "main;work;read 12" --from-folded some.json
ok "--diff with one file" refused 2 "--diff A B" --diff known.folded
ok "--normalize alone" refused 2 "add --diff" --normalize known.folded
ok "--diff --folded" refused 2 "--folded" --diff before.folded known.folded --folded
ok "two kinds at once" refused 2 "only one of" --on --off
ok "--on of a folded file" refused 2 "need a trace" --from-folded known.folded --on
ok "two files" refused 2 "known.folded" --from-folded known.folded known.folded
ok "a name without .svg or .html" refused 2 "NAME.svg" --from-folded known.folded -o graph.png
ok "no such unit" refused 2 "us, ms" --from-folded known.folded --unit weeks
ok "--unit of a trace" refused 2 "--unit" --unit ms some.data
ok "no such order" refused 2 "name or value" --from-folded known.folded --sort size
ok "a width that is none" refused 2 "320" --from-folded known.folded --width 0
ok "a directory that is not there" refused 2 "nodir" --from-folded known.folded -o nodir/out.svg

# Recordings: one without stacks, one with.
no_stacks() {
	timeout 60 "$W" record -o plain.data true >/dev/null 2>&1 && refused 2 "record them with -g" plain.data -o out.svg
}
mixed() {
	timeout 60 "$W" record -g -o stacks.data sleep 0.2 >/dev/null 2>&1 &&
		refused 2 "say what with --unit" --diff known.folded stacks.data -o out.svg
}
with_unit() {
	"$W" flame --diff known.folded stacks.data --off --unit ms -o out.svg && says '"before 100 ms" in text and d["unit"] == "ns"'
}
ok_bpf "a trace without stacks" no_stacks
ok_bpf "a trace is not compared with samples" mixed
ok_bpf "... but with times" with_unit
finish
