#!/bin/sh
# try-fresh.sh RELEASE root|user [TARGET...]: runs `make TARGET` (default: run and test) in a clone of this checkout's
# HEAD, in a root of a Debian release that has only python3, git and make, as a new user would. Each call starts with a
# clean root; in-root.sh creates it for RELEASE. Needs root.
# SPDX-License-Identifier: Apache-2.0

set -eu

here="$(cd "$(dirname "$0")" && pwd)"

case "${1-} ${2-}" in
*' root') user= ;;
*' user') user=--user ;;
*)
	echo "try-fresh.sh: expected a release and whose: try-fresh.sh bookworm|trixie|forky root|user" >&2
	exit 2
	;;
esac
release=$1
who=$2
shift 2
[ $# -gt 0 ] || set -- run test

# A bundle, not the checkout: that may be a worktree, whose repository is in another directory, and git refuses to clone
# a repository of another user.
scratch="$(mktemp -d /tmp/try-fresh.XXXXXX)"
trap 'rm -rf "$scratch"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
chmod 755 "$scratch"
git -C "$here" bundle create --quiet "$scratch/project.bundle" HEAD
[ -z "$(git -C "$here" status --porcelain)" ] || echo "try-fresh.sh: uncommitted changes are not tested" >&2

echo "=== $release as $who: make $*"
began=$(date +%s)
status=0
# Unquoted: zero or one word.
"$here/in-root.sh" $user --bind "$scratch" "$release" sh -ec '
	git -c advice.detachedHead=false -c init.defaultBranch=main clone --quiet "$1/project.bundle" ~/ctdb-eventd
	shift
	cd ~/ctdb-eventd
	on="$(python3 --version) at $(command -v python3), $(make --version | head -n 1), $(git --version), user $(id -un)"
	echo "$on"
	for target in "$@"; do
		make "$target"
	done
	echo "$on"
' try-fresh "$scratch" "$@" || status=$?
word=passed
[ "$status" -eq 0 ] || word="FAILED (exit status $status)"
echo "=== $release as $who: make $*: $word after $(($(date +%s) - began)) s"
exit "$status"
