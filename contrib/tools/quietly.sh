#!/bin/sh
# quietly.sh COMMAND [ARGUMENT...]: runs a command, and shows its output only if it fails: the output of installers is
# long and only needed then.
# SPDX-License-Identifier: Apache-2.0

output="$(mktemp)" || exit 1
trap 'rm -f "$output"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

"$@" >"$output" 2>&1 </dev/null
status=$?
if [ "$status" -ne 0 ]; then
	cat "$output" >&2
	echo "failed with exit status $status: $*" >&2
fi
exit "$status"
