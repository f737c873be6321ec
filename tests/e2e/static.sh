#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# `make STATIC=1`: one file that runs where none of our libraries is. Tried in a root directory that holds nothing but it, the test
# program, the C library and libsmartcols.
# shellcheck source=tests/lib.sh disable=SC2317,SC2016 # functions are called through ok; single quotes are for the inner shell
. "$(dirname "$0")/../lib.sh"

S=$BUILD/whyscale-static

needed() {
	readelf -d "$S" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' | grep -vE '^ld-linux' | sort | tr '\n' ' '
}
is "it needs the C library and libsmartcols only" "$(needed)" "libc.so.6 libm.so.6 libsmartcols.so.1 "

bare=$TMP/bare
mkdir -p "$bare"/{proc,sys,tmp}
for file in $(ldd "$S" | grep -oE '/[^ ]+'); do
	mkdir -p "$bare$(dirname "$file")"
	cp "$file" "$bare$file"
done
cp "$S" "$PROGS/known" "$bare"

# In mounts of its own, which are gone with it.
inside() {
	unshare -m bash -c 'mount --rbind /proc "$0/proc" && mount --rbind /sys "$0/sys" && exec chroot "$0" "$@"' "$bare" "$@"
}

checked() {
	inside /whyscale-static check >"$TMP/check" || return
	grep -q '^/proc *works' "$TMP/check"
}
ok_root "there it says what can be measured" checked

recorded() {
	inside /whyscale-static record -g -o /tmp/s.data /known mutex 3 5 2000 || return
	"$W" report --json "$bare/tmp/s.data" >"$TMP/s.json" || return
	"$PY" -c 'if True:
		import json, sys
		d = json.load(open(sys.argv[1]))
		assert len(d["threads"]) == 4, len(d["threads"])
		assert sum(t["ledger"]["lock"] for t in d["threads"]) > 10e6, [t["ledger"] for t in d["threads"]]' "$TMP/s.json"
}
ok_bpf "there it records a program" recorded

flamed() {
	inside /whyscale-static flame --off --folded /tmp/s.data >"$TMP/folded" || return
	grep -q ';main;do_mutex' "$TMP/folded"
}
ok_bpf "there it names the functions in stacks" flamed
finish
