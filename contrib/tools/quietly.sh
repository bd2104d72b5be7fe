#!/bin/sh
# quietly.sh COMMAND [ARGUMENT...]: runs a command and keeps its output to itself unless it fails. Installers say a
# great deal that nobody needs until something goes wrong.
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
