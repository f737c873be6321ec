#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Kernels, containers and users that lack something. Each thing is really taken away, in mounts, namespaces or a process of its own, so
# that this machine stays as it is; then `check` must name it, and `record` fall back or refuse, with the reason. What is seen less of
# must be said; no class may be invented. What only another kernel can lack is in tests/kernels/lacking.sh.
# shellcheck source=tests/lib.sh disable=SC2317,SC2016 # functions are called through ok; single quotes are for an inner shell
. "$(dirname "$0")/../lib.sh"

if ! need_bpf; then
	skip "kernels that lack something" "$bpf_why: there is nothing to take away"
	finish
fi
cd "$TMP" || exit 1
chmod 755 .
mkdir open && chmod 777 open
NOBODY=$(id -u nobody)
export W PROGS PY TMP

# mounts COMMANDS COMMAND...: runs it after the shell commands, which change mounts that are its own.
mounts() {
	unshare -m bash -ec "$1"$'\nexec "$@"' bash "${@:2}"
}

# nobody COMMAND...: as an unprivileged user, in a directory that is that user's to write in.
nobody() {
	(cd "$TMP/open" && HOME=/ exec setpriv --reuid "$NOBODY" --regid "$(id -g nobody)" --clear-groups --bounding-set=-all "$@")
}

# taken HOW...: how everything below is run; names PROBE SENTENCE: check says that this one does not work, why, and what is lost.
taken() {
	how=("$@")
}
names() {
	"${how[@]}" "$W" check --json >"$TMP/check.json"
	local status=$?
	"${how[@]}" "$W" check >"$TMP/check.txt"
	"$PY" - "$TMP" "$status" "$@" <<'PYTHON'
import json, re, sys
where, status, probe, why = sys.argv[1:5]
d = json.load(open(where + "/check.json"))
p = next(p for p in d["probes"] if p["name"] == probe)
text = " ".join(open(where + "/check.txt").read().split())
print(p, status, d["can_record"])
assert not p["works"] and why in p["why_not"] and p["without"], why
assert why in text, text
assert (status == "0") == d["can_record"] == (d["fallback"]["works"] or d["probes"][2]["works"])
PYTHON
}

# falls_back SENTENCE: record goes on without BPF, says why, and says no more than /proc tells.
falls_back() {
	rm -f "$TMP"/open/x.data* "$TMP/open/facts"
	(cd open && KNOWN_FACTS=$TMP/open/facts "${how[@]}" "$W" record -g -o "$TMP/open/x.data" "$PROGS/known" burn 60) 2>err || {
		cat err
		return 1
	}
	cat err
	grep -q "without BPF.*$1" err && grep -q "no call stacks" err || return
	"$W" report --json open/x.data >x.json && "$W" report open/x.data | tr -s ' \n' ' ' >x.txt || return
	"$PY" - "$TMP" "$1" <<'PYTHON'
import json, sys
where, why = sys.argv[1:3]
d = json.load(open(where + "/x.json"))
assert d["bpf"] is False and why in d["why_not"], d["why_not"]
assert why in open(where + "/x.txt").read()
for t in d["threads"]:
    assert sum(t["ledger"].values()) == t["end_ns"] - t["start_ns"], t
    assert {k for k, v in t["ledger"].items() if v} <= {"oncpu", "runq_wakeup", "untracked"}, t
f = [json.loads(line) for line in open(where + "/open/facts")][-1]
t = next(t for t in d["threads"] if t["tid"] == f["tid"])
print(t["ledger"], f["cpu_ns"])
assert 0.5 * f["cpu_ns"] <= t["ledger"]["oncpu"] <= 1.2 * f["cpu_ns"] + 5e6
PYTHON
}

# refuses SENTENCE ARG...: record does not begin; one sentence, no file.
refuses() {
	local status
	rm -f open/y.data
	"${how[@]}" "$W" record -o "$TMP/open/y.data" "${@:2}" >out 2>err
	status=$?
	cat err
	[ "$status" -eq 1 ] || [ "$status" -eq 2 ] || return 1
	[ "$(wc -l <err)" -eq 1 ] && grep -q "$1" err && [ ! -e open/y.data ]
}

# row NAME SENTENCE: of check's first table.
row() {
	"${how[@]}" "$W" check | awk '/^$/ { exit } /^[^ ]/ { printf "\n" } { printf "%s ", $0 }' | tr -s ' ' | tee rows |
		grep -q "^$1 $2" || { cat rows; return 1; }
}

# whole [LIMIT]: recorded with BPF as if nothing were missing, but for what LIMIT, a probe, would have told.
whole() {
	not_lost whole_once "$@"
}
whole_once() {
	rm -f open/z.data*
	(cd open && "${how[@]}" "$W" record -o "$TMP/open/z.data" "$PROGS/known" mutex 3 5 2000) 2>err
	cat err
	"$W" report --json open/z.data >z.json && "$W" report open/z.data >z.txt || return
	"$PY" - "$TMP" "${1:-}" <<'PYTHON'
import json, sys
where, limit = sys.argv[1:3]
d = json.load(open(where + "/z.json"))
assert d["bpf"] is True
if d["lost"]["events"] or d["lost"]["missed"]:
    sys.exit(77)
assert list(d["limits"]) == ([limit] if limit else []), d["limits"]
assert ("limits" in open(where + "/z.txt").read()) == bool(limit)
assert len(d["threads"]) == 4 and sum(t["ledger"]["lock"] for t in d["threads"]) > 10e6
for t in d["threads"]:
    assert sum(t["ledger"].values()) == t["end_ns"] - t["start_ns"], t
    assert t["audit"]["switches"]["result"] == t["audit"]["migrations"]["result"] == "ok", t
PYTHON
}

# ---- type information ----

taken mounts 'mount -t tmpfs none /sys/kernel/btf'
ok "no BTF: check names it" names sched "no type information"
ok "... for each probe that needs it" names klock "no type information"
ok "... and for the samples" names sample "no type information"
ok "... in the table of the machine, too" row "type information" "no:"
ok "... record falls back, and says why" falls_back "no type information"
ok "... record -a is refused" refuses "no type information" -a -d 0.1

: >empty
taken mounts 'mount --bind "$TMP/empty" /sys/kernel/btf/vmlinux'
ok "an empty BTF: check says so" names sched "damaged or empty"
ok "... record falls back" falls_back "damaged or empty"

# without EVENT...: the kernel's own BTF, in which these have another name, as on a kernel that does not have them.
without() {
	"$PY" - "$TMP/other_btf" "$@" <<'PYTHON'
import sys
btf = open("/sys/kernel/btf/vmlinux", "rb").read()
for name in sys.argv[2:]:
    name = b"\0" + name.encode() + b"\0"
    if btf.count(name) != 1:
        print("this kernel does not have", name)
        sys.exit(77)
    btf = btf.replace(name, name[:-2] + b"_\0")
open(sys.argv[1], "wb").write(btf)
PYTHON
}
taken mounts 'mount --bind "$TMP/other_btf" /sys/kernel/btf/vmlinux'
if without btf_trace_contention_begin; then
	ok "no contention tracepoints (before 5.19): check names it" names klock "lock:contention_begin"
	ok "... all else is recorded, and the report says what is not" whole klock
else
	skip "no contention tracepoints" "this kernel has none anyway"
fi
if without btf_trace_csd_queue_cpu; then
	ok "no csd_queue_cpu (before 6.5): nothing is lost" whole
else
	skip "no csd_queue_cpu" "this kernel has none anyway"
fi

# ---- system calls, as a container's filter refuses them ----

taken "$PROGS/refused" ENOSYS bpf
ok "no bpf(2): check names it" names sched "built without CONFIG_BPF_SYSCALL"
ok "... and calls no probe working that needs BPF" names python "built without CONFIG_BPF_SYSCALL"
ok "... record falls back" falls_back "built without CONFIG_BPF_SYSCALL"

taken "$PROGS/refused" EPERM bpf,perf_event_open
ok "a filter forbids bpf(2), to root: check names the filter" names sched "seccomp filter"
ok "... and that it forbids perf_event_open(2)" names maps "forbids perf_event_open"
ok "... likewise for counters" names counter "forbids perf_event_open"
ok "... in the table of the machine, too" row seccomp "a filter"
ok "... record falls back" falls_back "seccomp filter"
ok "... record --cgroup, -a: refused" refuses "seccomp filter" -a -d 0.1

taken "$PROGS/refused" EPERM perf_event_open
ok "BPF, but no perf_event_open(2): check names it" names sample "forbids perf_event_open"
ok "... the ledger is whole, and the report says that names are missing" whole maps
ok "... so does record" grep -q "without the names of functions and locks: a seccomp filter" err

# ---- privileges ----

taken setpriv --bounding-set=-bpf,-perfmon,-sys_admin
ok "a container's root without CAP_BPF and CAP_PERFMON: check says what to give it" names sched "this root does not have: give it to the container"
ok "... record falls back" falls_back "CAP_BPF and CAP_PERFMON, which this root does not have"
taken setpriv --bounding-set=-perfmon,-sys_admin
ok "... without CAP_PERFMON alone: check names that one" names sched "needs CAP_PERFMON, which this root does not have"
taken setpriv --bounding-set=-bpf,-sys_admin
ok "... without CAP_BPF alone: check names that one" names sched "needs CAP_BPF, which this root does not have"
taken setpriv --bounding-set=-sys_admin
ok "... CAP_BPF and CAP_PERFMON are enough" whole

readable() {
	nobody test -x "$W" -a -x "$PROGS/known"
}
if readable; then
	taken nobody
	ok "an unprivileged user: check says whom it takes" names sched "needs root (CAP_BPF and CAP_PERFMON)"
	ok "... and that perf_event_paranoid is in the way" names maps "perf_event_paranoid is"
	ok "... record falls back" falls_back "needs root"
	ok "... record -a is refused" refuses "needs root" -a -d 0.1
	echo 3 >three
	taken mounts 'mount --bind "$TMP/three" /proc/sys/kernel/perf_event_paranoid' setpriv --reuid "$NOBODY" --clear-groups \
		"$PROGS/refused" EACCES perf_event_open
	ok "perf_event_paranoid 3 (Debian's): check names it" names counter_task "kernel.perf_event_paranoid is 3"
	ok "... in the table of the machine, too" row perf_event_paranoid "3: .*nothing at all"
	ok "... record falls back to /proc alone" falls_back "needs root"
	taken setpriv --reuid "$NOBODY" --clear-groups --inh-caps=+bpf,+perfmon --ambient-caps=+bpf,+perfmon
	ok "a user with CAP_BPF and CAP_PERFMON records as root does" whole
else
	skip "as an unprivileged user" "the build directory is not one that others may read"
fi

if unshare -Ur true 2>/dev/null; then
	taken unshare -Ur
	ok "the root of a user namespace: check says that its capabilities end there" names sched "root of a user namespace"
	ok "... in the table of the machine, too" row "user namespace" "of its own"
	ok "... record falls back" falls_back "root of a user namespace"
else
	skip "user namespaces" "this kernel lets none be made"
fi

# ---- what is mounted ----

taken mounts 'while umount -l /sys/kernel/tracing; do :; done 2>/dev/null; mount -t tmpfs none /sys/kernel/debug 2>/dev/null || true'
ok "tracefs not mounted: check says that nothing is lost" row tracefs "not mounted; nothing is lost"
ok "... and so it is" whole
taken mounts 'mount -t tmpfs none /sys'
ok "no /sys: check names what that hides" names sched "see that /sys is mounted"
ok "... record falls back" falls_back "see that /sys is mounted"
ok "... no cgroup: check says so" row "CPU quotas" "no cgroup"
ok "... record --cgroup is refused" refuses "there is no cgroup" --cgroup /whyscale-none
taken mounts 'umount -l /proc; mount -t tmpfs none /proc'
[[ $BUILD != */san ]] || export ASAN_OPTIONS=detect_leaks=0 # looking for leaks needs /proc
ok "no /proc: check says what to do, and that nothing can be recorded" names sched "needs this pid namespace's /proc"
ok "... record is refused" refuses "/proc is not mounted here: mount it" true

# ---- cgroup v1 and v2 ----

# cgroup ROOT: a group there, named by its directory and as /proc/PID/cgroup does.
cgroup() {
	local group=$1/whyscale-lacking-$$ sleeper name status=0
	mkdir "$group" || return
	spawn sleep 100
	sleeper=$!
	echo "$sleeper" >"$group/cgroup.procs"
	for name in "$group" "/${group##*/}"; do
		"$W" record -o c.data --cgroup "$name" -d 0.1 && "$W" report --json c.data >c.json && "$PY" -c 'if True:
			import json, sys
			t = json.load(open("c.json"))["threads"]
			assert [x["tid"] for x in t] == [int(sys.argv[1])], t' "$sleeper" || status=1
	done
	end "$sleeper"
	until_true 5 rmdir "$group"
	return "$status"
}
found=
for root in /sys/fs/cgroup/cpu /sys/fs/cgroup/unified /sys/fs/cgroup; do
	if [ -e "$root/cgroup.procs" ]; then
		found=yes
		ok "record --cgroup, below $root ($(stat -f -c %T $root))" cgroup $root
	fi
done
[ "$found" ] || skip "record --cgroup" "no cgroup is mounted"
finish
