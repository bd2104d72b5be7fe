#!/bin/sh
# check-shell.sh DIRECTORY...: checks the syntax of all shell scripts below these directories, each with the shell in
# its first line.
# SPDX-License-Identifier: Apache-2.0

set -u

list="$(mktemp)" || exit 1
trap 'rm -f "$list"' EXIT
find "$@" -type f ! -name '*~' >"$list" || exit 1

count=0
bad=0
while IFS= read -r file; do
	first=
	# If a file's only line has no newline, read fails after reading it.
	IFS= read -r first <"$file" || [ -n "$first" ] || continue
	case "$first" in
	'#!/bin/sh' | '# Shell functions'*) shell=sh ;;
	'#!/bin/bash' | '#!/usr/bin/env bash') shell=bash ;;
	*) continue ;;
	esac
	count=$((count + 1))
	"$shell" -n "$file" || bad=$((bad + 1))
done <"$list"

if [ "$count" -eq 0 ]; then
	echo "found no shell scripts in: $*" >&2
	exit 1
fi
echo "checked $count shell scripts, $bad with errors"
[ "$bad" -eq 0 ]
