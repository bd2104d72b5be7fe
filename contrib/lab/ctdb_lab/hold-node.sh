#!/bin/sh
# hold-node.sh DIRECTORY NAME: process 1 of a node, in its own namespaces. Mounts the node's files, creates its two
# links to the bridge, reports that it is ready, and waits: when it ends, the node ends.
# Descriptor 3: the bridge's network namespace.
# SPDX-License-Identifier: Apache-2.0

set -eu

directory=$1/$2
bridge=/proc/self/fd/3

mount -t proc proc /proc
hostname "$2"
mount --bind "$directory/etc" /etc/ctdb
mount --bind "$directory/var" /var/lib/ctdb
mount --bind "$directory/log" /var/log/ctdb
if [ -d "$directory/samba" ]; then
	for place in etc var/lib var/cache var/log; do
		mount --bind "$directory/samba/$place" "/$place/samba"
	done
fi
# All of /run: the lock of iptables is in it, and each host has its own.
mount --bind "$directory/run" /run

echo 1 >/proc/sys/net/ipv4/conf/all/promote_secondaries
# Both links are on one bridge: each must answer only for its own addresses, or a link that is down affects the other.
echo 1 >/proc/sys/net/ipv4/conf/all/arp_ignore
echo 2 >/proc/sys/net/ipv4/conf/all/arp_announce
ip link set lo up
# One for the node's own traffic and one for its clients, as on hosts with two network cards.
for link in node0 pub0; do
	far=$2-$link
	ip link add "$link" type veth peer name "$far" netns "$bridge"
	nsenter --net="$bridge" ip link set "$far" master lab0
	nsenter --net="$bridge" ip link set "$far" up
	ip link set "$link" up
done
ip address add "$(cat "$directory/address")" dev node0
exec 3<&-

: >"$directory/ready"
# Not exec'd, see hold-lab.sh.
sleep infinity || :
