#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# README.md says what is so: the commands of its ```sh blocks are run as they stand there (those that would take long count less far,
# those that would change the machine are listed below, with the reason), every path, sub-command, option and class that it names
# exists, and every sub-command and class is in it.
# shellcheck source=tests/lib.sh disable=SC2317,SC2016 # functions are called through ok; $ and ` are README's
. "$(dirname "$0")/../lib.sh"

README=$ROOT/README.md
PATH=$BUILD:/usr/bin:$PATH # with the python3 that others find, not one behind a wrapper
mkdir "$TMP/here" && cd "$TMP/here" || exit 1

# The lines of the sh blocks, without comments.
commands() {
	awk '/^```sh$/ { inside = 1; next } /^```/ { inside = 0 } inside && NF && !/^#/' "$README"
}

# What stands in `code`, outside of the blocks, one a line.
code() {
	awk '/^```/ { inside = !inside; next } !inside' "$README" | grep -o '`[^`]*`' | tr -d '`'
}

# section TITLE: its lines, down to the next title.
section() {
	awk -v title="## $1" '/^## / { inside = index($0, title) == 1 } inside' "$README"
}

sub_commands() {
	"$W" --help | sed -n 's/^  \([a-z][a-z]*\)  .*/\1/p'
}

# all PREDICATE: it holds for each line of the input; says for which it does not.
all() {
	local word bad=0 seen=0
	while read -r word; do
		seen=$((seen + 1))
		"$1" "$word" || { echo "not so: $word"; bad=1; }
	done
	[ "$seen" -gt 0 ] || { echo "nothing to look at"; return 1; }
	return "$bad"
}

# ---- the commands ----

# head ends before the program that it reads from: 141.
runs() {
	local status
	timeout 200 bash -c "set -o pipefail; $1" </dev/null
	status=$?
	[ "$status" -eq 0 ] || [ "$status" -eq 141 ]
}

says_something() {
	runs "$1" >out 2>&1 && [ -s out ]
}

# A graph goes to a file: the one that -o names, or flame.svg.
draws() {
	local file
	file=$(sed -n 's/.* -o \([^ ]*\).*/\1/p' <<<"$1")
	file=${file:-flame.svg}
	rm -f "$file"
	runs "$1" && grep -q '<svg' "$file"
}

# The recipe is shown, not run; the makes in it are replaced, since make runs these even with -n.
make_knows() {
	make -C "$ROOT" --no-print-directory -n MAKE=true "$1" | tee recipe
	grep -q "$2" recipe
}

try() {
	local name=$1 command=${1#sudo }
	case $command in
	"make run") ok "$name: would run whyscale" make_knows run 'whyscale run' ;;
	"make test") ok "$name: would run the tests" make_knows test 'tests/run' ;;
	"apt-get install make") skip "$name" "it would change the machine" ;;
	"scripts/setup") ok "$name: is a program (it would change the machine)" test -x "$ROOT/scripts/setup" ;;
	"whyscale run"*) ok "$name (to 2000000)" says_something "$command --count 2000000" ;;
	"whyscale record"*) ok "$name" runs "$command" ;;
	"whyscale script"*)
		if need_bpf; then
			ok "$name" says_something "$command"
		else
			skip "$name" "there are no events: $bpf_why"
		fi
		;;
	*" --folded > "*) ok "$name" runs "$command && [ -s ${command##* } ]" ;;
	"whyscale flame"*) ok "$name" draws "$command" ;;
	"whyscale "* | "sh -c 'whyscale "*) ok "$name" says_something "$command" ;;
	*) ok "$name: this test knows what to do with it" false ;;
	esac
}

mapfile -t lines < <(commands)
for line in "${lines[@]}"; do
	try "$line"
done
ok "there are commands" test ${#lines[@]} -ge 10

# ---- what it names exists ----

path_exists() {
	[ -e "$ROOT/$1" ]
}
paths_exist() {
	code | sed 's/ .*//' | grep -E '^((bpf|probes|userspace|scripts|tests)/|Makefile$|LICENSE$)' | sort -u | all path_exists
}
ok "every file and directory that it names exists" paths_exist
tour() {
	section "A tour of the code" | grep -cE '^[0-9]+\. `' | { read -r nr && [ "$nr" -ge 10 ]; }
}
ok "... and the tour names at least ten" tour

has_example() {
	commands | grep -qE "(^| )whyscale $1( |\$)"
}
examples() {
	sub_commands | all has_example
}
ok "every sub-command has an example" examples
is_sub_command() {
	sub_commands | grep -qx "$1"
}
named() {
	code | sed -n 's/^\(sudo \)\?whyscale \([a-z][a-z]*\).*/\2/p' | sort -u | all is_sub_command
}
ok "every sub-command that it names exists" named

# "run --count": of the table of common options; a row without a command goes on with the last one.
option_table() {
	section "The sub-commands" | awk -F '|' '/^\| (`[a-z]+`)? *\|/ {
		if ($2 ~ /`/) { command = $2; gsub(/[` ]/, "", command) }
		n = split($3, word, /[` ,|]+/)
		for (i = 1; i <= n; i++) if (word[i] ~ /^--?[a-z]/) print command, word[i]
	}'
}
has_option() {
	"$W" "${1% *}" --help | grep -qE -- "(^|[ ,])${1#* }([[ =,]|\$)"
}
options() {
	option_table | all has_option
}
ok "every command has the options that it is said to have" options
table_complete() {
	option_table | cut -d ' ' -f 1 | sort -u >of_table
	sub_commands | sort >of_help
	diff of_table of_help
}
ok "... and every command is in that table" table_complete
some_command_has() {
	local command
	for command in $(sub_commands); do
		has_option "$command $1" && return
	done
	return 1
}
elsewhere() {
	code | grep -vE '^(stress-ng|perf|scripts/bench-stacks) ' | grep -oE '(^| )--[a-z][a-z-]*' | tr -d ' ' | grep -vx -e --help | sort -u | all some_command_has
}
ok "every option that it names exists" elsewhere

classes() {
	section "How to read it" | sed -n 's/^| `\([a-z_]*\)` |.*/\1/p' | sort >of_readme
	"$W" report --json whyscale.data | "$PY" -c 'import json, sys
print("\n".join(sorted(json.load(sys.stdin)["ledger"])))' >of_program || return
	diff of_readme of_program
}
ok "its classes are those of a report" classes

# ---- its sample of an output has the form that the output has today ----
headings() {
	grep -m 1 '^STRATEGY' "$README" | tr -s ' ' '\n' >of_readme
	"$W" run --count 1000 c-single | grep -m 1 '^STRATEGY' | tr -s ' ' '\n' >of_program
	diff of_readme of_program
}
ok_bpf "the headings of its sample are those of a run" headings

too_long() {
	! awk 'length > 120 { print FILENAME ":" FNR ": longer than 120 columns" }' "$README" | grep .
}
ok "its lines are no longer than 120 columns" too_long

finish
