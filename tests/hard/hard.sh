# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash source=tests/lib.sh
#
# What the tests of hard use share, on top of tests/lib.sh. They have a short form, and a long one (HARD=long, `make hard`).
#
#   often SHORT LONG          prints the one for this form
#   figure TEXT...            "# figure: TEXT", which tests/run shows: what the table in README.md is made of
#   recorded NAME COMMAND...  records a command into $TMP/NAME.data with the options $options: its output in NAME.out, ours in
#                             NAME.err, our largest memory in NAME.peak (peak.py), the exit status as its own
#   py NAME CODE [ARG...]     Python over NAME's report (d, its threads t by tid), after every sum in it was checked
#   progs_of PID, gone IDS    the BPF programs that a process holds; that they are no more
#   make_group CONTROLLER     a cgroup in $group, of either version, removed at the end; $group_version is 1 or 2

. "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"

options=()

often() {
	if [ "${HARD:-}" = long ]; then
		echo "$2"
	else
		echo "$1"
	fi
}

figure() {
	echo "# figure: $*"
}

recorded() {
	local name=$1
	shift
	rm -f "$TMP/$name".{data*,out,err,json,peak}
	"$PY" "$ROOT/tests/hard/peak.py" "$TMP/$name.peak" \
		timeout 120 "$W" record -o "$TMP/$name.data" "${options[@]}" -- "$@" >"$TMP/$name.out" 2>"$TMP/$name.err"
}

py() {
	local name=$1 code=$2
	shift 2
	# a trace that is cut short is reported too, with status 2
	[ -s "$TMP/$name.json" ] || timeout 120 "$W" report --json "$TMP/$name.data" >"$TMP/$name.json" ||
		[ "$(head -c 1 "$TMP/$name.json")" = "{" ] || return 1
	"$PY" -c "if True:
		import json, os, sys
		d = json.load(open('$TMP/$name.json'))
		peak = json.load(open('$TMP/$name.peak')) if os.path.exists('$TMP/$name.peak') else None
		ledger, lost, file, threads = d['ledger'], d['lost'], d['file'], d['threads']
		t = {one['tid']: one for one in threads}
		for one in threads:
			assert sum(one['ledger'].values()) == one['end_ns'] - one['start_ns'], one
		for one in ledger:
			assert ledger[one] == sum(o['ledger'][one] for o in threads), one
		assert len(lost['spans']) > 0 if lost['events'] else not lost['spans'], lost
		$code" "$@"
}

progs_of() {
	sed -n 's/^prog_id:[[:space:]]*//p' "/proc/$1/fdinfo"/* 2>/dev/null | sort -un
}

# They go in the background, a moment after their last owner.
gone() {
	until_true 10 none_loaded "$1" || none_loaded "$1"
}

none_loaded() {
	local left
	left=$(bpftool -j prog list | "$PY" -c 'import json, sys
loaded = {p["id"] for p in json.load(sys.stdin)}
print(*[i for i in map(int, sys.argv[1].split()) if i in loaded])' "$1") || return
	[ -z "$left" ] && return
	echo "still loaded: $left"
	return 1
}

make_group() {
	local parent=/sys/fs/cgroup/$1
	group_version=1
	group=$parent/whyscale-hard-$$
	if mkdir "$group" 2>/dev/null; then
		later "rmdir $group"
		return
	fi
	group_version=2
	for parent in /sys/fs/cgroup /sys/fs/cgroup/unified; do
		group=$parent/whyscale-hard-$$
		if grep -qsw "$1" "$parent/cgroup.subtree_control" && mkdir "$group" 2>/dev/null; then
			later "rmdir $group"
			return
		fi
	done
	return 1
}

# limit_file V1-FILE V2-FILE: that of the cgroup's version.
limit_file() {
	echo "$group/${*:group_version:1}"
}
