#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The Python frames of `record --python`, for every CPython that is installed (Debian's, and those of pyenv), from 3.8 on: what
# progs/frames.py says of its stacks is compared with what was recorded, by oracle_python.py. And what is said of a CPython that
# is too old, or too new.
# shellcheck source=tests/lib.sh disable=SC2317 # functions are called through ok
. "$(dirname "$0")/../lib.sh"

ME=tests/e2e/progs/frames.py

# frames PYTHON: recorded, printed, compared.
frames() {
	not_lost frames_once "$@"
}

frames_once() {
	rm -rf "$TMP/facts" "$TMP/frames.data"*
	mkdir "$TMP/facts"
	timeout -k 5 60 "$W" record -g --python -F 999 -m 16M -o "$TMP/frames.data" -- "$1" "$ROOT/$ME" "$TMP/facts" \
		2>"$TMP/notes" || return 1
	! grep -Eq 'events? (was|were) lost' "$TMP/notes" || return 77
	timeout -k 5 60 "$W" script "$TMP/frames.data" >"$TMP/script" || return 1
	timeout -k 5 60 "$1" "$ROOT/tests/e2e/oracle_python.py" "$TMP/script" "$TMP/facts"
}

# Without --python nothing of Python is recorded.
without() {
	"$W" record -g -o "$TMP/without.data" -- "$1" -c 'import time; time.sleep(0.1)' || return 1
	"$W" script "$TMP/without.data" >"$TMP/script" || return 1
	grep -q ' calls ' "$TMP/script" && ! grep -q ' py\(stack\|code\) \| python=' "$TMP/script"
}

# native WHY PYTHON: native frames, and a sentence in all three places: when it is recorded, in the report, with the graph.
native() {
	local sentence="$1: its functions are native frames"
	"$W" record -g --python -F 499 -o "$TMP/old.data" -- "$2" -c 'if True:
		import time
		def outer():
			end = time.time() + 0.3
			while time.time() < end: pass
			time.sleep(0.1)
		outer()' 2>"$TMP/notes" || { cat "$TMP/notes"; return 1; }
	grep "$sentence" "$TMP/notes" || { cat "$TMP/notes"; return 1; }
	"$W" report "$TMP/old.data" | tr -s ' \n' ' ' | grep -q "$sentence" || return 1
	"$W" flame --python --on "$TMP/old.data" -o "$TMP/old.svg" 2>"$TMP/notes" || return 1
	grep -q "$sentence" "$TMP/notes" && grep -q "$sentence" "$TMP/old.svg" || return 1
	"$W" flame --python --on --folded "$TMP/old.data" >"$TMP/old.folded" 2>&1 || return 1
	grep -q 'PyEval_EvalFrame' "$TMP/old.folded" && ! grep -q 'outer (' "$TMP/old.folded" || return 1
	"$W" script "$TMP/old.data" >"$TMP/script" || return 1
	grep -q ' calls ' "$TMP/script" && ! grep -q ' pystack ' "$TMP/script"
}

# made_up PYTHON LIBRARY: of a version that nobody has made yet, a 3.13 with other numbers where it says its version. The rest is
# in its place, which whyscale must not rely upon.
made_up() {
	mkdir -p "$TMP/new/bin" "$TMP/new/lib" && cp "$1" "$TMP/new/bin/python3" && cp "$2" "$TMP/new/lib/libpython3.13.so.1.0" || return
	"$PY" - "$TMP/new/lib/libpython3.13.so.1.0" <<'PYTHON' || return
import subprocess, sys
path = sys.argv[1]
with open(path, "rb") as file:
    data = bytearray(file.read())
old, new = (0x030d00f0).to_bytes(4, "little"), (0x030f00f0).to_bytes(4, "little")
sections = [line.split() for line in subprocess.run(["objdump", "-hw", path], capture_output=True, text=True).stdout.splitlines()]
sections = [(int(s[3], 16), int(s[5], 16), int(s[2], 16)) for s in sections if len(s) > 6 and s[0].isdigit()]
symbols = [line.split() for line in subprocess.run(["nm", "-D", path], capture_output=True, text=True).stdout.splitlines()]
where = {s[2]: int(s[0], 16) for s in symbols if len(s) == 3 and s[2] in ("Py_Version", "_PyRuntime")}
changed = 0
for name, ahead in (("Py_Version", 0), ("_PyRuntime", 8)):
    address = where[name] + ahead
    offset = next(at + address - start for start, at, size in sections if start <= address < start + size)
    if data[offset:offset + 4] == old:
        data[offset:offset + 4] = new
        changed += 1
assert changed == 2, changed
with open(path, "wb") as file:
    file.write(data)
PYTHON
	cat >"$TMP/new/python" <<SH
#!/bin/sh
PYTHONHOME=${2%/lib/*} LD_LIBRARY_PATH=$TMP/new/lib exec $TMP/new/bin/python3 "\$@"
SH
	chmod +x "$TMP/new/python" && native "that whyscale does not know (3.8 to 3.13)" "$TMP/new/python"
}

# A process that ran before the recording.
attached() {
	local pid
	mkdir -p "$TMP/attached"
	"$1" -c 'import time
def waits():
    while True: time.sleep(0.01)
waits()' &
	pid=$!
	spawned+=("$pid")
	sleep 0.3
	"$W" record -g --python -d 0.3 -o "$TMP/attached.data" -p "$pid" || return 1
	end "$pid"
	"$W" script "$TMP/attached.data" >"$TMP/script" || return 1
	grep -q ' pycode .* name=waits file=<string>' "$TMP/script" && [ "$(grep -c ' about=off .*python=' "$TMP/script")" -ge 10 ]
}

# asleep PYTHON: threads that sleep since before the recording, of one process and of all; the same frames as they noted themselves.
asleep() {
	local pid child
	rm -rf "$TMP/asleep" "$TMP/asleep.out"
	mkdir "$TMP/asleep"
	"$1" -W ignore "$ROOT/$ME" "$TMP/asleep" asleep >"$TMP/asleep.out" &
	pid=$!
	spawned+=("$pid")
	until_true 20 both_asleep || return
	child=$(pgrep -P "$pid")
	spawned+=("$child")
	sleep 0.2
	asleep_in "$1" -p "$pid,$child" && asleep_in "$1" -a
	set -- "$?"
	end "$child"
	end "$pid"
	return "$1"
}
both_asleep() {
	[ "$(grep -cs asleep "$TMP/asleep.out")" = 2 ]
}
asleep_in() {
	"$W" record -g --python -m 16M -d 0.1 -o "$TMP/asleep.data" "${@:2}" && "$W" script "$TMP/asleep.data" >"$TMP/script" &&
		"$1" "$ROOT/tests/e2e/oracle_python.py" "$TMP/script" "$TMP/asleep" asleep
}

# The same where a trace begins long after they went to sleep: record --keep.
asleep_kept() {
	local process
	rm -rf "$TMP/asleep" "$TMP/asleep.out"
	mkdir "$TMP/asleep"
	"$W" record --keep 500ms -g --python -m 16M -o "$TMP/asleep.data" -- \
		"$1" -W ignore "$ROOT/$ME" "$TMP/asleep" asleep >"$TMP/asleep.out" 2>"$TMP/notes" &
	set -- "$1" "$!"
	spawned+=("$2")
	until_true 20 both_asleep || return
	for process in $(pgrep -f "frames.py $TMP/asleep asleep"); do
		later "kill $process 2>/dev/null"
	done
	sleep 2
	end "$2"
	cat "$TMP/notes"
	# nothing of when they went to sleep is in it
	"$W" script "$TMP/asleep.data" >"$TMP/script" && ! grep -q ' switch prev=python.* state=S syscall=clock_nanosleep' "$TMP/script" &&
		"$1" "$ROOT/tests/e2e/oracle_python.py" "$TMP/script" "$TMP/asleep" asleep
}

# The same as a graph: below the Python function what it called, above it the interpreter's own; nothing is said to be missing.
asleep_graph() {
	local pid
	"$1" -c 'import time
def waits():
    time.sleep(30)
waits()' &
	pid=$!
	spawned+=("$pid")
	sleep 0.5
	"$W" record -g --python -d 0.3 -o "$TMP/asleep.data" -p "$pid" || return 1
	end "$pid"
	"$W" flame --off --python --folded "$TMP/asleep.data" >"$TMP/asleep.folded" 2>"$TMP/notes" || return 1
	cat "$TMP/notes" "$TMP/asleep.folded"
	! grep -q 'could not be read' "$TMP/notes" && [ "$(wc -l <"$TMP/asleep.folded")" -eq 1 ] &&
		grep -Eq '^_start;.*Py[^;]*;<module>;waits;([^;]*;)*(clock_nanosleep|select);.*;sleep [0-9]+$' "$TMP/asleep.folded" &&
		! grep -q _PyEval_EvalFrameDefault "$TMP/asleep.folded"
}

# version_of PYTHON: 3.11, or nothing when it is no CPython.
version_of() {
	timeout 20 "$1" -c 'if True:
		import platform, sys
		if platform.python_implementation() == "CPython": print("%d.%d" % sys.version_info[:2])' 2>/dev/null
}

for version in 8 9 10 11 12 13; do
	found='' name=python3.$version
	for python in "${PYENV_ROOT:-$HOME/.pyenv}"/versions/*/bin/"$name"; do
		[ -x "$python" ] && found=$python
	done
	if [ "$found" ]; then
		ok_bpf "CPython 3.$version: all frames of all sleeps, shares of the CPU" frames "$found"
		ok_bpf "CPython 3.$version: asleep since before: all frames" asleep "$found"
	else
		skip "CPython 3.$version" "it is not installed below ${PYENV_ROOT:-$HOME/.pyenv}/versions"
	fi
done
case $(version_of "$PY") in
3.8 | 3.9 | 3.1[0-3])
	ok_bpf "$PY: all frames of all sleeps, shares of the CPU" frames "$PY"
	ok_bpf "$PY: without --python none" without "$PY"
	ok_bpf "$PY: attached to" attached "$PY"
	ok_bpf "$PY: asleep since before: all frames" asleep "$PY"
	ok_bpf "... and with --keep" asleep_kept "$PY"
	ok_bpf "... and in the graph" asleep_graph "$PY"
	;;
*) skip "$PY" "it is missing, or none of 3.8 to 3.13" ;;
esac
for version in 2.7 3.6 3.7; do
	old=
	for python in "${PYENV_ROOT:-$HOME/.pyenv}"/versions/"$version".*/bin/python"$version"; do
		[ -x "$python" ] && old=$python
	done
	if [ "$old" ]; then
		ok_bpf "CPython $version is native frames, and that is said" native "older than 3.8" "$old"
	else
		skip "CPython $version is native frames, and that is said" "$version is not installed"
	fi
done
new=${PYENV_ROOT:-$HOME/.pyenv}/versions/3.13.0/lib/libpython3.13.so.1.0
if [ -f "$new" ]; then
	ok_bpf "a CPython of a version to come is native frames, and that is said" made_up "${new%/lib/*}/bin/python3.13" "$new"
else
	skip "a CPython of a version to come is native frames, and that is said" "it is made of a shared 3.13.0, which is not installed"
fi

finish
