#!/bin/sh
# side-by-side.sh COMMAND WORD...: runs a shell command once for each word, which it has as $WORD; JOBS (2) of them in
# parallel. Shows the last lines of each when it has ended, or its whole output if it failed. Exit status 0 means that
# all have succeeded.
# SPDX-License-Identifier: Apache-2.0

set -u

[ $# -ge 2 ] || {
	echo "side-by-side.sh: expected a command and the words to run it for" >&2
	exit 2
}
SIDE_COMMAND=$1
SIDE_OUTPUT="$(mktemp -d)" || exit 1
export SIDE_COMMAND SIDE_OUTPUT
shift
trap 'rm -rf "$SIDE_OUTPUT"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# These are variables of the inner shell.
# shellcheck disable=SC2016
printf '%s\n' "$@" | xargs -P "${JOBS:-2}" -I '{}' sh -c '
	export WORD="$1"
	output="$SIDE_OUTPUT/$1"
	began=$(date +%s)
	if sh -c "$SIDE_COMMAND" >"$output" 2>&1 </dev/null; then
		said="$(tail -n 3 "$output")
--- $1: passed after $(($(date +%s) - began)) s"
		status=0
	else
		said="$(cat "$output")
--- $1: FAILED after $(($(date +%s) - began)) s"
		status=1
	fi
	# As one block: others may end at the same time.
	flock "$SIDE_OUTPUT" printf "%s\n" "--- $1" "$said"
	exit "$status"
' side-by-side '{}'
