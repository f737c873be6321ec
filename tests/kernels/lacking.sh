#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# For guests: what only another kernel can lack, or have in another way. With lockdown=confidentiality (kernels.sh's KERNEL-lockdown), what
# that takes away; with Debian 11's 5.10 what is said of a kernel that is too old; else perf_event_paranoid 3 as Debian's kernels have it, cgroup v2 alone, with a CPU quota, and a pid namespace (all of
# that: tests/e2e/pidns.sh).
# shellcheck source=tests/lib.sh disable=SC2317,SC2016 # functions are called through ok; single quotes are for the inner shell
. "$(dirname "$0")/../lib.sh"
cd "$TMP" || exit 1
chmod 777 .

# why_not PROBE: as check has it; "" where it works.
why_not() {
	"${as[@]}" "$W" check --json >check.json
	"$PY" -c 'import json, sys
print(next(p["why_not"] or "" for p in json.load(open("check.json"))["probes"] if p["name"] == sys.argv[1]))' "$1"
}
says() {
	why_not "$1" >why
	cat why
	grep -q "$2" why
}

# falls_back SENTENCE: recorded without BPF, which is said; only what /proc tells is claimed.
falls_back() {
	rm -f x.data
	"${as[@]}" "$W" record -o "$TMP/x.data" "$PROGS/known" burn 100 2>err || return
	cat err
	grep -q "without BPF.*$1" err && "$W" report --json x.data >x.json || return
	"$PY" -c 'if True:
		import json
		d = json.load(open("x.json"))
		assert d["bpf"] is False and d["threads"]
		for t in d["threads"]:
			assert sum(t["ledger"].values()) == t["end_ns"] - t["start_ns"], t
			assert {k for k, v in t["ledger"].items() if v} <= {"oncpu", "runq_wakeup", "untracked"}, t'
}

as=()
if grep -qs '\[confidentiality\]' /sys/kernel/security/lockdown; then
	for probe in sched sample asleep; do
		ok "lockdown: check names it for $probe" says $probe "the kernel is locked down (confidentiality)"
	done
	ok "... in the table of the machine, too" bash -c '"$0" check | grep -q "^lockdown  *confidentiality: BPF programs may not read"' "$W"
	ok "... record falls back, and says why" falls_back "the kernel is locked down (confidentiality)"
	umount /sys/kernel/security
	ok "... even if securityfs is not mounted" says sched "the kernel is locked down (confidentiality)"
	finish
fi

# ---- a kernel that is too old for the BPF programs ----

if [[ $(uname -r) == 5.10.* ]]; then
	need=5.$([ "$(uname -m)" = aarch64 ] && echo 18 || echo 15)
	for probe in sched sample irq; do
		ok "5.10: check says which kernel $probe needs" says $probe "need Linux $need or later, this is $(uname -r)"
	done
	ok "... klock, too" says klock "use Linux 5.19 or later"
	ok "... record falls back to /proc, and says why" falls_back "need Linux $need or later, this is 5.10"
	counted() {
		"$W" run --json --count 1000000 c-single c-threads >run.json || return
		"$PY" -c 'import json; d = json.load(open("run.json")); assert [s["counted"] for s in d["strategies"]] == [1000000] * 2, d'
	}
	ok "... run counts and compares" counted
	finish
fi

# ---- perf_event_paranoid 3: Debian's kernels refuse perf_event_open(2) then; another kernel takes it for 2 ----

echo 3 >/proc/sys/kernel/perf_event_paranoid
later "echo 2 >/proc/sys/kernel/perf_event_paranoid"
as=(setpriv --reuid 1000 --regid 1000 --clear-groups)
ok "perf_event_paranoid 3: check names it for counters" says counter_task "kernel.perf_event_paranoid is 3"
ok "... and for mappings" says maps "kernel.perf_event_paranoid is 3"
ok "... record falls back to /proc" falls_back "needs root"
as=()
ok_bpf "... root is not kept from anything" says maps '^$'
echo 2 >/proc/sys/kernel/perf_event_paranoid

# ---- a pid namespace ----

numbered() {
	KNOWN_FACTS=$TMP/facts timeout 100 unshare -p -f --mount-proc --kill-child "$W" record -o x.data "$PROGS/known" exec_thread 30 &&
		"$W" report --json x.data >x.json && "$PY" -c 'if True:
		import json
		d = json.load(open("x.json"))
		(tid,) = [f["tid"] for f in map(json.loads, open("facts")) if f["role"] == "burn"]
		print([(t["tid"], t["tgid"], t["comm"]) for t in d["threads"]], tid)
		assert d["bpf"] and max(t["tid"] for t in d["threads"]) < 10 and [t["tid"] for t in d["threads"]] == [tid, tid]
		for t in d["threads"]:
			assert sum(t["ledger"].values()) == t["end_ns"] - t["start_ns"], t
			assert t["audit"]["switches"]["result"] == t["audit"]["migrations"]["result"] == "ok", t' && rm -f facts
}
ok_bpf "in a pid namespace threads have its numbers, through exec, too" not_lost numbered

# ---- cgroup v2 ----

group=/sys/fs/cgroup/whyscale-test-$$
field() {
	awk -v key="$1" '$1 == key { print $2 }' "$group/cpu.stat"
}
throttled() {
	local nr us
	echo "10000 100000" >"$group/cpu.max" || return
	rm -f facts x.data*
	nr=$(field nr_throttled) us=$(field throttled_usec)
	KNOWN_FACTS=$TMP/facts timeout 100 "$W" record -o x.data -- \
		sh -c 'echo $$ >"$1" && exec "$2" burn 60' sh "$group/cgroup.procs" "$PROGS/known" || return
	nr=$(($(field nr_throttled) - nr)) us=$(($(field throttled_usec) - us))
	echo max >"$group/cpu.max"
	"$W" report --json x.data >x.json || return
	"$PY" "$ORACLE" throttled x.json facts "" "$nr" $((us * 1000))
}
of_group() {
	local sleeper status
	spawn sleep 100
	sleeper=$!
	echo "$sleeper" >"$group/cgroup.procs"
	"$W" record -o c.data --cgroup "/${group##*/}" -d 0.2 && "$W" report --json c.data >c.json &&
		"$PY" -c 'import json, sys; t = json.load(open("c.json"))["threads"]; assert [x["tid"] for x in t] == [int(sys.argv[1])], t' "$sleeper"
	status=$?
	end "$sleeper"
	return "$status"
}
if [ -e /sys/fs/cgroup/cgroup.controllers ]; then
	echo +cpu >/sys/fs/cgroup/cgroup.subtree_control
	mkdir "$group"
	later "rmdir $group"
	ok "check finds the cpu controller of cgroup v2" bash -c '"$0" check | grep -q "^CPU quotas  *cgroup v2 at /sys/fs/cgroup$"' "$W"
	ok_bpf "a tenth of a CPU by cpu.max: throttled, as cpu.stat says" throttled
	ok_bpf "record --cgroup of a group of v2" of_group
else
	skip "cgroup v2" "it is not at /sys/fs/cgroup"
fi
finish
