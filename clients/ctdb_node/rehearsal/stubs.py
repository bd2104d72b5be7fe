"""Shell scripts that replace commands which would affect the machine or need services. No I/O."""

from __future__ import annotations

from collections.abc import Collection

__all__ = ["STUBBED", "ctdb_stub", "stubs"]

STUBBED = frozenset(
    # services
    "systemctl service invoke-rc.d rc-service initctl start-stop-daemon chkconfig update-rc.d telinit "
    # processes by their names: those of the services
    "killall pkill "
    # file systems and devices
    "mount umount swapon swapoff losetup dmsetup lvchange vgchange vgscan drbdadm mdadm iscsiadm iscsictl tgtadm "
    "multipath multipathd fsck mkfs "
    # the machine
    "reboot shutdown poweroff halt modprobe insmod rmmod hwclock ntpdate chronyc timedatectl hostnamectl "
    # servers, and what talks to them
    "smbd nmbd winbindd samba smbcontrol smbstatus wbinfo net "
    "rpc.nfsd rpc.mountd rpc.statd rpc.rquotad rpcinfo showmount exportfs sm-notify nfsdctl ganesha.nfsd "
    "vsftpd httpd apache2 apachectl apache2ctl clamd clamdscan ipvsadm "
    # messages to people
    "mail mailx sendmail wall".split()
)
"""Commands whose stubs record the call and succeed."""

_ABSENT = frozenset({"killall", "pkill"})
"""Their stubs report that there is no such process."""


def stubs(calls: str, real: Collection[str]) -> dict[str, str]:
    """Returns the shell scripts by the commands' names.

    Args:
        calls: The file in which calls are recorded.
        real: Commands that get no stub.
    """
    return {
        name: f'#!/bin/sh\nprintf "%s\\n" "{name} $*" >>{calls}\nexit {int(name in _ABSENT)}\n'
        for name in sorted(STUBBED - set(real))
    }


def ctdb_stub(state: str) -> str:
    """Returns a shell script that answers as `ctdb` does on a healthy cluster of this node alone.

    Args:
        state: A directory in which `public` has a line `ADDRESS INTERFACES` for each address, `hosted` has the
            `ADDRESS INTERFACE` of those that the node hosts, and `unanswered` gets what can't be answered.
    """
    return _CTDB.replace("@STATE@", state)


_CTDB = r"""#!/bin/sh
state=@STATE@
asked="$*"
machine=
verbose=
wanted=
while [ $# -gt 0 ]; do
	case "$1" in
	-X | -Y | -x) machine=yes ;;
	-v) verbose=yes ;;
	-n | -t | -T) shift ;;
	-x?*) machine=yes ;;
	-*) ;;
	*) wanted="$wanted $1" ;;
	esac
	shift
done
set -- $wanted
case "$1" in
pnn | xpnn) echo 0 ;;
leader | recmaster) echo 0 ;;
ping) echo "response from 0 time=0.000010 sec  (1 clients)" ;;
runstate) echo RUNNING ;;
nodestatus)
	if [ -n "$machine" ]; then
		echo "|Node|IP|Disconnected|Unknown|Banned|Disabled|Unhealthy|Stopped|Inactive|PartiallyOnline|ThisNode|"
		echo "|0|127.0.0.1|0|0|0|0|0|0|0|0|Y|"
	else
		echo "pnn:0 127.0.0.1        OK (THIS NODE)"
	fi
	;;
listnodes) if [ -n "$machine" ]; then echo "|0|127.0.0.1|"; else echo 127.0.0.1; fi ;;
ifaces)
	[ -z "$machine" ] || echo "|Name|LinkStatus|References|"
	awk '{ print $2 }' "$state/public" | tr , '\n' | sort -u | while read -r name; do
		if [ -n "$machine" ]; then
			echo "|$name|1|1|"
		else
			echo "name:$name link:up references:1"
		fi
	done
	;;
ip)
	if [ -n "$machine" ]; then
		echo "|Public IP|Node|${verbose:+ActiveInterface|AvailableInterfaces|ConfiguredInterfaces|}"
	else
		echo "Public IPs on node 0"
	fi
	awk -v machine="$machine" -v verbose="$verbose" '
		FILENAME ~ /hosted$/ { on[$1] = $2; next }
		{ node = $1 in on ? 0 : -1 }
		machine && verbose { print "|" $1 "|" node "|" on[$1] "|" $2 "|" $2 "|" }
		machine && !verbose { print "|" $1 "|" node "|" }
		!machine { print $1 " " node }
	' "$state/hosted" "$state/public"
	;;
checktcpport) exit 98 ;; # somebody listens there: the services are stubs
getcapabilities) if [ -n "$machine" ]; then echo "|LEADER|LMASTER|"; echo "|1|1|"; else echo "LEADER: YES"; fi ;;
attach | setifacelink | gratarp | tickle | addtickle | deltickle | setvar | pstore | pdelete) ;;
gettickles)
	if [ -n "$machine" ]; then echo "|Source IP|Port|Destiation IP|Port|"; fi ;;
ptrans) cat >>"$state/ptrans" ;;
catdb) echo "Dumped 0 records" ;;
*)
	echo "$asked" >>"$state/unanswered"
	echo "ctdb $asked: can't be answered in a rehearsal" >&2
	exit 1
	;;
esac
"""
