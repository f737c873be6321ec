#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The flame graph in Debian's chromium, headless: zoom, search, keys, dark, a comparison, hostile names, a million stacks. What is
# checked is in flame_browser.py, which drives the browser by the WebDriver protocol.
# KEEP=DIR keeps the graphs and the screenshots.
# shellcheck source=tests/lib.sh disable=SC2317 # functions are called through ok
. "$(dirname "$0")/../lib.sh"

HERE=$ROOT/tests/e2e
cd "$TMP" || exit 1

missing=$("$PY" -c "import sys; sys.path.insert(0, '$HERE'); import flame_driver; print(flame_driver.missing() or '')")
if [ -n "$missing" ]; then
	skip "the flame graph in a browser" "$missing"
	finish
fi

# draws NAME FLAME-OPTION...: the stacks are on standard input.
draws() {
	local name=$1
	shift
	"$W" flame "$@" -o "$name" && [ -s "$name" ]
}

known() {
	printf '%s\n' 'main;work;compute 60' 'main;work;Compute_slow 10' 'main;read;vfs_read_[k] 25' 'other 5'
}

ok "a graph of known shares" draws known.svg --from-folded - --title 'Known shares' < <(known)
ok "the same in an HTML page" draws known.html --from-folded - --title 'Known shares' < <(known)
deep=$(printf ';frame_%d' {1..60})
ok "a graph that is taller than a window" draws tall.svg --from-folded - --title "A title of many words, so that a narrow window cannot show it in a row: the last word of it" <<<"${deep#;} 7"
printf '%s\n' 'main;grown 30' 'main;shrunk 40' 'main;steady 20' 'main;vanished 15' >a.folded
printf '%s\n' 'main;grown 50' 'main;shrunk 10' 'main;steady 20' 'main;new 5' >b.folded
ok "a comparison" draws diff.svg --diff a.folded b.folded
# shellcheck disable=SC2016
printf '%s\n' '<script>alert(1)</script>;<img src=x onerror=window.hacked=1>;]]>&lt; 5' $'a\e[2J\x01;"><svg onload=window.hacked=1> 3' \
	'${window.hacked=1};\u003cscript> 2' $'\xff\xfe;\u202egnp.exe 1' >hostile.folded
ok "a graph of hostile names" draws hostile.svg --from-folded hostile.folded --title '</title><script>window.hacked=1</script>'
ok "... is well-formed, and its names are text" "$PY" "$HERE/flame_check.py" hostile.svg --total 11 --has '<script>alert(1)</script>'
printf '%s\n' 'worker/12_[t];main;a 3' 'worker/13_[t];main;a 4' >threads.folded
ok "a graph of threads" draws threads.svg --from-folded threads.folded
ok "a million stacks" "$PY" "$ROOT/scripts/bench-flame" --only-generate big.folded
ok "... drawn" draws big.svg --from-folded big.folded
rm -f big.folded

# What a lock and its waits look like: burn's lock, which one thread holds while it sleeps and the other wants.
recorded() {
	"$W" record -g --stacks=on,off,wake,lock -F 499 -o burn.data -- "$PROGS/burn" lock 1 &&
		draws off.svg burn.data --off && draws wake.svg burn.data --wake && draws lock.svg burn.data --lock
}
ok_bpf "graphs of a recording: waits, who ended them, locks" recorded

"$PY" "$HERE/flame_browser.py" "$TMP" >results 2>errors
[ -s results ] || ok "the browser starts" cat errors
result() {
	echo "$1"
	[ "${1%% *}" = ok ]
}
while read -r line; do
	case $line in
	'ok '*) ok "${line#ok }" result "$line" ;;
	'not ok '*) name=${line#not ok } && ok "${name%%: *}" result "$line" ;;
	*) echo "$line" ;;
	esac
done <results
is "the checks came to their end" "$(wc -c <errors)" 0
[ -z "${KEEP:-}" ] || { mkdir -p "$KEEP" && cp ./*.svg ./*.html ./*.png "$KEEP"; }
finish
