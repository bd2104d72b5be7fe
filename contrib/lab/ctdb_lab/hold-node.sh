#!/bin/sh
# hold-node.sh DIRECTORY NAME: process 1 of a node, in namespaces of its own. Gives the node its files and its two
# links to the bridge, says that it is ready, and stays: with its end the node is gone.
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
# The whole of it: the lock of iptables is there, and it is each host's own.
mount --bind "$directory/run" /run

echo 1 >/proc/sys/net/ipv4/conf/all/promote_secondaries
# Both links are on one bridge: each answers for its own addresses, or a link that is down takes the other's along.
echo 1 >/proc/sys/net/ipv4/conf/all/arp_ignore
echo 2 >/proc/sys/net/ipv4/conf/all/arp_announce
ip link set lo up
# The node's own traffic and what its clients use, as on hosts with two network cards.
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
