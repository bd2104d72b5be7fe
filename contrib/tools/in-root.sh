#!/bin/sh
# in-root.sh [OPTION...] NAME [COMMAND [ARGUMENT...]]: runs a command on another Debian release, as on a separate
# machine. Without a command it only creates the root, and prints its directory.
#
# NAME is a version of CTDB (4.17, 4.22, 4.24, 4.25: the root has that version and what the tests need), or a release
# (bookworm, trixie, forky: the root has python3, git and make, and nothing else).
#
#   --bind DIRECTORY  a directory of this machine that is visible inside at the same path; may be repeated
#   --user            run as an ordinary user, whose name is `user`, instead of root
#   --lasting         keep the processes that the command leaves running, and the root; it sees this machine's processes
#   --fresh           create the root again, even if it exists
#
# Roots are created once with debootstrap from the archive that this machine's apt uses (or DEBIAN_ARCHIVE), and kept in
# ${XDG_CACHE_HOME:-~/.cache}/ctdb-eventd/roots. The command's changes are kept in memory and discarded when its last
# process ends. Inside, the project is at /opt/ctdb-eventd, which is also the working directory, and /opt/venv is for
# virtual environments, which are kept with the root. Needs root, and permission to create namespaces.
# SPDX-License-Identifier: Apache-2.0

set -eu

here="$(cd "$(dirname "$0")" && pwd)"
project="$(cd "$here/../.." && pwd)"
roots="${XDG_CACHE_HOME:-$HOME/.cache}/ctdb-eventd/roots"

fail()
{
	echo "in-root.sh: $1" >&2
	exit 1
}

# Packages that the tests and the lab need besides CTDB.
tools=python3,python3-venv,iproute2,iptables,ethtool,make,git,procps,psmisc,ca-certificates,curl,strace
packages=
backports=
choose()
{
	case "$1" in
	4.17) suite=bookworm packages=ctdb,$tools ;;
	4.22) suite=trixie packages=ctdb,$tools ;;
	# The base is that of 4.22; CTDB itself comes from backports.
	4.24) suite=trixie packages=$tools backports=ctdb ;;
	4.25) suite=forky packages=ctdb,$tools ;;
	bookworm | trixie | forky) suite=$1 packages=python3,git,make ;;
	*) fail "there is no root $1: expected 4.17, 4.22, 4.24, 4.25, bookworm, trixie or forky" ;;
	esac
}

archive()
{
	if [ -n "${DEBIAN_ARCHIVE:-}" ]; then
		echo "$DEBIAN_ARCHIVE"
		return
	fi
	apt-get indextargets --format '$(REPO_URI)' 'Identifier: Packages' 'Origin: Debian' 'Label: Debian' | head -n 1
}

# Creates the root in a directory with another name, and renames it when it is complete.
make_root()
{
	"$here/need-packages.sh" debootstrap debian-archive-keyring >&2
	url="$(archive)"
	[ -n "$url" ] || fail "apt has no archive of Debian on this machine: name one, DEBIAN_ARCHIVE=URL"
	scripts=/usr/share/debootstrap/scripts
	# A debootstrap older than the release; they all use the same script.
	[ -e "$scripts/$suite" ] || ln -s sid "$scripts/$suite" 2>/dev/null || fail "debootstrap knows no $suite"
	rm -rf "$root.new"
	mkdir -p "$root.new"
	echo "Making a root with ${1} ($suite) in $root, once" >&2
	"$here/quietly.sh" debootstrap --variant=minbase --include="$packages" "$suite" "$root.new" "$url" >&2
	if [ -n "$backports" ]; then
		echo "deb $url $suite-backports main" >>"$root.new/etc/apt/sources.list"
		borrow "$root.new"
		"$here/quietly.sh" chroot "$root.new" apt-get update >&2
		"$here/quietly.sh" chroot "$root.new" env DEBIAN_FRONTEND=noninteractive \
			apt-get install -y --no-install-recommends -t "$suite-backports" "$backports" >&2
	fi
	chroot "$root.new" useradd --create-home --shell /bin/bash user
	chroot "$root.new" apt-get clean
	mkdir -p "$root.new/opt/ctdb-eventd" "$root.new/opt/venv" "$root.venv"
	mv "$root.new" "$root"
}

certificates=/opt/certificates.crt

# Copies to a root what this machine needs to reach its archives, and pip's index.
borrow()
{
	# The archive may be a frozen copy: its signatures are valid, but its Valid-Until date has passed.
	echo 'Acquire::Check-Valid-Until "false";' >"$1/etc/apt/apt.conf.d/90in-root"
	for file in /etc/resolv.conf /etc/hosts /etc/pip.conf /etc/ssl/certs/ca-certificates.crt; do
		[ -e "$file" ] || continue
		mkdir -p "$1$(dirname "$file")"
		# it may be a link to a file outside
		rm -f "$1$file"
		cat "$file" >"$1$file"
	done
	# A second copy where no package writes: the installation or upgrade of ca-certificates replaces the first.
	[ ! -e /etc/ssl/certs/ca-certificates.crt ] || cat /etc/ssl/certs/ca-certificates.crt >"$1$certificates"
}

# In its own mount namespace: mounts the root NAME with a layer in memory for changes, changes its root directory to it
# and executes the command.
enter()
{
	lower=$root
	# The same path for all callers: each sees only its own mount, since the namespace is private.
	base=$lower.changes
	mkdir -p "$base"
	mount -t tmpfs -o mode=0755 changes "$base"
	mkdir "$base/upper" "$base/work" "$base/root"
	mount -t overlay overlay -o "lowerdir=$lower,upperdir=$base/upper,workdir=$base/work" "$base/root"
	root=$base/root

	borrow "$root"

	mount -t proc proc "$root/proc"
	mount --rbind /sys "$root/sys"
	mount --rbind /dev "$root/dev"
	mount -t tmpfs -o mode=0755 run "$root/run"
	mount -t tmpfs -o mode=1777 tmp "$root/tmp"
	mkdir -p "$root/run/lock" "$root/run/netns" "$root/run/ctdb" "$root/run/samba"
	mount --bind "$project" "$root/opt/ctdb-eventd"
	mount --bind "$lower.venv" "$root/opt/venv"
	for directory in $binds; do
		mkdir -p "$root$directory"
		mount --bind "$directory" "$root$directory"
	done

	cd "$root"
	mkdir -p mnt/outside
	pivot_root . mnt/outside
	cd /opt/ctdb-eventd
	umount -l /mnt/outside

	set -- PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 TERM="${TERM:-dumb}" \
		${CI:+CI="$CI"} ${PIP_INDEX_URL:+PIP_INDEX_URL="$PIP_INDEX_URL"} \
		DEBIAN_FRONTEND=noninteractive "$@"
	[ ! -e "$certificates" ] || set -- PIP_CERT="$certificates" "$@"
	if [ -n "$user" ]; then
		# Without the user's shell in between: it would read its start-up files.
		set -- setpriv --reuid "$user" --regid "$user" --init-groups -- env -i HOME="/home/$user" "$@"
	else
		set -- env -i HOME=/root "$@"
	fi
	[ -z "$lasting" ] || exec "$@"
	# Not exec'd: as process 1, this shell reaps orphaned processes while it waits. In its own session, as the session
	# outside has no id in this namespace.
	status=0
	setsid --wait "$@" || status=$?
	exit "$status"
}

inside=
binds=
user=
lasting=
fresh=
while [ $# -gt 0 ]; do
	case "$1" in
	--inside) inside=yes && shift ;; # for itself: the namespace is there
	--bind)
		[ "$2" != / ] || fail "all of this machine can't be bound: choose a directory below /"
		binds="$binds $2"
		shift 2
		;;
	--user) user=user && shift ;;
	--lasting) lasting=yes && shift ;;
	--fresh) fresh=yes && shift ;;
	-*) fail "unknown option $1" ;;
	*) break ;;
	esac
done
[ $# -gt 0 ] || fail "which root? See the head of this file"
name=$1
shift
choose "$name"
[ "$(id -u)" -eq 0 ] || fail "only root can work in another root"
root=$roots/$name
[ -z "$inside" ] || enter "$@"

mkdir -p "$roots"
# One process at a time creates a root; others then find it complete.
exec 9>"$roots/$name.lock"
flock 9
[ -z "$fresh" ] || rm -rf "$root"
[ -e "$root" ] || make_root "$name"
exec 9>&-
if [ $# -eq 0 ]; then
	echo "$root"
	exit 0
fi

set -- "$name" "$@"
for directory in $binds; do
	set -- --bind "$directory" "$@"
done
[ -n "$lasting" ] || apart="--pid --fork --kill-child"
# Unquoted: zero or more words.
exec unshare --mount --propagation private ${apart-} \
	"$here/in-root.sh" --inside ${user:+--user} ${lasting:+--lasting} "$@"
