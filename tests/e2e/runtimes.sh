#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Locks and waits of other languages, in real programs of theirs, each with a known story: C++, Rust (with symbols and without), Java, Go,
# and interpreters of CPython that have locks of their own. The programs are in progs/runtimes, oracle_runtimes.py compares. A language
# whose compiler is not installed is skipped.
# shellcheck source=tests/lib.sh disable=SC2317 # functions are called through ok
. "$(dirname "$0")/../lib.sh"

SOURCES=$ROOT/tests/e2e/progs/runtimes
RUNTIMES=$ROOT/tests/e2e/oracle_runtimes.py
PATH=$PATH:$HOME/.cargo/bin:/usr/local/go/bin

# known CASE PROGRAM WORD...: recorded, reported, compared.
known() {
	not_lost known_once "$@"
}

known_once() {
	local case=$1
	shift
	rm -f "$TMP/facts" "$TMP/known.data"*
	KNOWN_FACTS=$TMP/facts timeout -k 5 60 "$W" record -o "$TMP/known.data" -- "$@" || return 1
	timeout -k 5 60 "$W" report --json "$TMP/known.data" >"$TMP/report.json" || return 1
	timeout -k 5 60 "$PY" "$RUNTIMES" "$case" "$TMP/report.json" "$TMP/facts"
}

# has COMMAND: it can be run, and is not only a name that a version manager put there.
has() {
	timeout 20 "$1" "${2:---version}" >/dev/null 2>&1
}

# The contest is C's, for the languages that can call it.
has_scene=no
if gcc -O2 -g -D_GNU_SOURCE -pthread -c "$SOURCES/scene.c" -o "$TMP/scene.o" 2>"$TMP/scene.err"; then
	has_scene=yes
fi

# ---- C++ ----

compile_cxx() {
	g++ -O2 -g -std=c++20 -pthread "$SOURCES/cxx.cc" "$TMP/scene.o" -o "$TMP/cxx"
}

if [ $has_scene = no ] || ! has g++; then
	skip "C++" "g++ is missing"
elif ! echo '#include <barrier>' | g++ -std=c++20 -fsyntax-only -x c++ - 2>/dev/null; then
	skip "C++" "this g++ has no <barrier> of C++20: version 11 or later is needed"
elif ok "C++: the program is compiled" compile_cxx; then
	ok_bpf "C++: std::mutex, a global" known cxx_mutex "$TMP/cxx" mutex
	ok_bpf "C++: std::mutex of a class" known cxx_class_mutex "$TMP/cxx" class_mutex
	ok_bpf "C++: std::shared_mutex" known cxx_shared_mutex "$TMP/cxx" shared_mutex
	ok_bpf "C++: std::condition_variable" known cxx_condition_variable "$TMP/cxx" condition_variable
	ok_bpf "C++: std::future" known cxx_future "$TMP/cxx" future
	ok_bpf "C++: std::atomic<int>::wait" known cxx_atomic_wait "$TMP/cxx" atomic_wait
	ok_bpf "C++: std::counting_semaphore" known cxx_semaphore "$TMP/cxx" semaphore
	ok_bpf "C++: std::latch" known cxx_latch "$TMP/cxx" latch
	ok_bpf "C++: std::barrier" known cxx_barrier "$TMP/cxx" barrier
	ok_bpf "C++: std::call_once" known cxx_call_once "$TMP/cxx" call_once
fi

# ---- Rust ----

compile_rust() {
	timeout 120 rustc --edition 2021 -O -C "link-arg=$TMP/scene.o" "$SOURCES/rust.rs" -o "$TMP/rust" &&
		strip -s -o "$TMP/rust.stripped" "$TMP/rust"
}

if [ $has_scene = no ] || ! has rustc; then
	skip "Rust" "rustc is missing"
elif ok "Rust: the program is compiled" compile_rust; then
	for workload in mutex rwlock condvar park barrier once lazy; do
		ok_bpf "Rust: $workload" known rust_$workload "$TMP/rust" $workload
		case $workload in
		mutex | park | barrier) story=$workload ;;
		*) story=any ;;
		esac
		ok_bpf "Rust without symbols: $workload" known stripped_$story "$TMP/rust.stripped" $workload
	done
fi

# ---- Java ----

compile_java() {
	timeout 60 javac -d "$TMP/java" "$SOURCES/Monitors.java"
}

if ! has javac || ! has java; then
	skip "Java" "javac or java is missing"
elif ok "Java: the program is compiled" compile_java; then
	ok_bpf "Java: synchronized" known java_monitor java -cp "$TMP/java" Monitors monitor 3 15
	ok_bpf "Java: Object.wait" known java_wait java -cp "$TMP/java" Monitors wait 3 15
	ok_bpf "Java: LockSupport.park" known java_park java -cp "$TMP/java" Monitors park 3 15
fi

# ---- Go ----

compile_go() {
	GOCACHE=$TMP/go.cache GO111MODULE=off GOFLAGS='' timeout 120 go build -o "$TMP/parked" "$SOURCES/parked.go"
}

if ! has go version; then
	skip "Go" "go is missing"
elif ok "Go: the program is compiled" compile_go; then
	ok_bpf "Go: sync.Mutex" known go "$TMP/parked" mutex 3 15
	ok_bpf "Go: a channel" known go "$TMP/parked" channel 3 15
fi

# ---- CPython's interpreters ----

for version in 3.12 3.13; do
	name="CPython $version: two interpreters, a lock and two threads each"
	python=
	for candidate in "${PYENV_ROOT:-$HOME/.pyenv}"/versions/"$version".*/bin/python3 "/usr/bin/python$version"; do
		[ -x "$candidate" ] && python=$candidate
	done
	if [ -z "$python" ]; then
		skip "$name" "it is not installed below ${PYENV_ROOT:-$HOME/.pyenv}/versions, nor as /usr/bin/python$version"
	elif ! timeout 20 "$python" -c 'import sys; sys.exit(sys.implementation.name != "cpython")'; then
		skip "$name" "$python is not CPython"
	else
		ok_bpf "$name" known interpreters "$python" "$SOURCES/interpreters.py" 0.4
	fi
done

finish
