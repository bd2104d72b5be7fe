#!/bin/sh
# hold-lab.sh DIRECTORY lab: process 1 of a lab's own namespaces (processes, mounts, network, host name). Creates the
# bridge, starts a holder for each node, and keeps everything alive: when this process ends, for whatever reason, the
# kernel ends all others and removes the namespaces.
# Environment: LAB_NODES, the number of nodes; LAB_HOLD, a command: when it ends, the lab ends; LAB_CLIENT, addresses of
# the bridge itself, from which clients reach the public addresses (may be empty).
# SPDX-License-Identifier: Apache-2.0

set -eu

mount -t proc proc /proc
hostname lab
ip link set lo up
# No spanning tree: ports forward at once. No snooping: it needs a querier, and would block the multicast packets that
# duplicate address detection needs.
ip link add lab0 type bridge stp_state 0 mcast_snooping 0
ip link set lab0 up
for address in $LAB_CLIENT; do
	ip address add "$address" dev lab0
done
# The nodes put the far ends of their links here.
exec 3</proc/self/ns/net

number=0
while [ "$number" -lt "$LAB_NODES" ]; do
	unshare --pid --fork --kill-child --mount --propagation private --net --uts \
		sh "${0%/*}/hold-node.sh" "$1" "node$number" </dev/null &
	number=$((number + 1))
done

# In the foreground and not exec'd: while a shell waits for one child, it also reaps all orphaned processes.
$LAB_HOLD >/dev/null || :
