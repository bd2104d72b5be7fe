#!/bin/sh
# in-root-inside.sh COMMAND [ARGUMENT...]: the second half of in-root.sh, in a mount namespace of its own. Makes the root
# there, with a layer in memory for what is changed, moves into it and becomes the command.
# SPDX-License-Identifier: Apache-2.0

set -eu

# The same name for everybody: each sees only its own, since the namespace is private.
base=$IN_ROOT_LOWER.changes
mkdir -p "$base"
mount -t tmpfs -o mode=0755 changes "$base"
mkdir "$base/upper" "$base/work" "$base/root"
mount -t overlay overlay -o "lowerdir=$IN_ROOT_LOWER,upperdir=$base/upper,workdir=$base/work" "$base/root"
root=$base/root

for file in /etc/resolv.conf /etc/hosts /etc/pip.conf /etc/ssl/certs/ca-certificates.crt; do
	[ -e "$file" ] || continue
	mkdir -p "$root$(dirname "$file")"
	rm -f "$root$file"
	cat "$file" >"$root$file"
done

mount -t proc proc "$root/proc"
mount --rbind /sys "$root/sys"
mount --rbind /dev "$root/dev"
mount -t tmpfs -o mode=0755 run "$root/run"
mount -t tmpfs -o mode=1777 tmp "$root/tmp"
mkdir -p "$root/run/lock" "$root/run/netns" "$root/run/ctdb" "$root/run/samba"
mount --bind "$IN_ROOT_PROJECT" "$root/opt/ctdb-eventd"
mount --bind "$IN_ROOT_VENV" "$root/opt/venv"
for directory in $IN_ROOT_BINDS; do
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
	PIP_CERT=/etc/ssl/certs/ca-certificates.crt DEBIAN_FRONTEND=noninteractive "$@"
[ -n "$IN_ROOT_USER" ] || exec env -i HOME=/root "$@"
# No user's shell in between: it would read its start files.
exec setpriv --reuid "$IN_ROOT_USER" --regid "$IN_ROOT_USER" --init-groups -- env -i HOME="/home/$IN_ROOT_USER" "$@"
