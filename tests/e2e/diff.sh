#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# whyscale diff: what changed between recordings, and what of that is more than their noise; on programs that differ in a known way, on
# the same one twice, and on bad input.
# shellcheck source=tests/lib.sh disable=SC2317,SC2016 # functions are called through ok; single quotes are for the inner shell
. "$(dirname "$0")/../lib.sh"

cd "$TMP" || exit 1

refuses() {
	local status
	"$W" diff "$@" >out 2>err
	status=$?
	[ "$status" -eq 2 ] && [ ! -s out ] && [ "$(wc -l <err)" -eq 1 ] && grep -q '^whyscale: ' err && return
	echo "status $status"
	cat out err
	return 1
}

echo "no trace at all" >text
ok "nothing to compare is refused" refuses
ok "... one trace alone" refuses text
ok "... three" refuses text text text
ok "... a file that is missing" refuses nowhere.data text
ok "... one that is no trace" refuses text text
ok "... an empty name among several" refuses text,,text text
ok "... an unknown option" refuses --frob a b

if ! need_bpf; then
	skip "diff of recordings" "$bpf_why"
	finish
fi

evil=$'b\033[31mn\xff'
cp "$PROGS/bounds" "./$evil"
for i in 1 2 3; do
	"$W" record -o "a$i.data" "./$evil" lock 1 2 1 20 2>/dev/null
	"$W" record -o "b$i.data" "./$evil" lock 2 2 1 20 2>/dev/null
	"$W" record -o "c$i.data" "./$evil" lock 1 2 1 20 2>/dev/null
done
cp a1.data 'a,1.data'
A=a1.data,a2.data,a3.data B=b1.data,b2.data,b3.data C=c1.data,c2.data,c3.data

py() {
	"$PY" -c "if True:
		import json
		d = json.load(open('d.json'))
		$1"
}

compares() {
	"$W" diff --json "$1" "$2" >d.json 2>err || {
		cat err
		return 1
	}
	[ ! -s err ] && py "$3"
}

EVERY='
		def values(v):
			if isinstance(v, dict):
				if "verdict" in v:
					yield v
				else:
					for w in v.values():
						yield from values(w)
			elif isinstance(v, list):
				for w in v:
					yield from values(w)
		claims = [v for v in values(d) if v["verdict"] == "beyond noise"]'
ok "the same program twice: nothing is claimed to be beyond the noise" compares "$A" "$C" "$EVERY"'
		assert d["schema"] == "whyscale.diff/1" and d["noise"]["known"] and not claims, claims
		assert d["threads"]["verdict"] == "same" and d["threads"]["a"] == 2, d["threads"]'
ok "one worker and two: threads, workers and the lock changed beyond it" compares "$A" "$B" "$EVERY"'
		assert d["threads"]["verdict"] == d["workers"]["verdict"] == "beyond noise", d
		assert (d["threads"]["a"], d["threads"]["b"], d["workers"]["a"], d["workers"]["b"]) == (2, 3, 1, 2), d
		assert d["ledger"]["oncpu"]["ns"]["verdict"] == "beyond noise" and 1.7 < d["ledger"]["oncpu"]["ns"]["b"] / d["ledger"]["oncpu"]["ns"]["a"] < 2.3
		lock = [k for k in d["locks"] if "bounds_lock" in k["name"]][0]
		assert lock["wait_ns"]["a"] == 0 < lock["wait_ns"]["b"] == d["ledger"]["lock"]["ns"]["b"], (lock, d["ledger"]["lock"])
		finding = [f for f in d["findings"] if f["cause"] == "lock"][0]
		assert finding["status"] == "new", finding'
ok "... each value is the mean of the reports, with their range" compares "$A" "$B" '
		import subprocess
		def reports(side):
			return [json.loads(subprocess.run(["'"$W"'", "report", "--json", f], capture_output=True).stdout) for f in d[side]["files"]]
		for side in "a", "b":
			all = reports(side)
			def check(v, numbers):
				assert abs(v[side] - sum(numbers) / len(numbers)) <= 1e-6 * max(1, v[side]), (v, numbers)
				low, high = v[side + "_range"]
				assert abs(low - min(numbers)) <= 1e-9 * low and abs(high - max(numbers)) <= 1e-9 * high, (v, numbers)
			check(d["wall_ns"], [r["wall_ns"] for r in all])
			for c in d["ledger"]:
				check(d["ledger"][c]["ns"], [r["ledger"][c] for r in all])
				check(d["ledger"][c]["share"], [r["ledger"][c] / sum(r["ledger"].values()) for r in all])
			for kind in "voluntary", "involuntary":
				check(d["switches"][kind], [sum(t["switches"][kind] for t in r["threads"]) for r in all])
			check(d["migrations"], [sum(t["migrations"] for t in r["threads"]) for r in all])'
ok "a recording and itself: all is the same" compares a1.data a1.data "$EVERY"'
		assert not d["noise"]["known"] and all(v["verdict"] == "same" for v in values(d)), d'
ok "one each: the noise is not known, and nothing is claimed" compares a1.data b1.data "$EVERY"'
		assert not d["noise"]["known"] and not claims and d["wall_ns"]["verdict"] == "noise unknown"'
ok "a file whose name has a comma" compares 'a,1.data' a1.data 'assert d["a"]["files"] == ["a,1.data"], d["a"]'

fits() {
	"$W" diff "$@" >text 2>err && [ ! -s err ] || return
	"$PY" - <<'END'
text = open("text", "rb").read().decode("utf-8")
assert text and all(len(line) <= 100 for line in text.split("\n")), text
assert all(c == "\n" or ord(c) >= 32 and not 127 <= ord(c) < 160 for c in text), "control characters"
END
}
ok "for people: no control character, no wide line" fits "$A" "$B"
people() {
	grep -q '^noise *known from 3 and 3' text && grep -Eq '^threads .* beyond noise$' text && grep -Eq '^lock \(new\)' text &&
		"$W" diff a1.data b1.data | grep -q '^noise *unknown'
}
ok "... the rows, and what is known of the noise" people
narrow() {
	"$PY" - "$W" <<'END'
import fcntl, os, pty, struct, sys, termios
pid, fd = pty.fork()
if not pid:
    os.execv("/bin/bash", ["bash", "-c", 'sleep 0.2; TERM=dumb exec "$0" diff a1.data b1.data', sys.argv[1]])
fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 60, 0, 0))
out = b""
try:
    while more := os.read(fd, 4096):
        out += more
except OSError:
    pass
os.waitpid(pid, 0)
lines = out.decode().replace("\r\n", "\n").split("\n")
assert len(lines) > 20 and all(len(line) <= 60 for line in lines), out.decode()
END
}
ok "... also in a terminal of 60 columns" narrow
cut() {
	head -c "$(($(stat -c %s a1.data) - 200))" a1.data >cut.data
	"$W" diff cut.data b1.data >text 2>err && [ "$(wc -l <err)" -eq 1 ] && grep -q 'cut' err
}
ok "of a file that was cut, what is left is compared, and it is said" cut

finish
