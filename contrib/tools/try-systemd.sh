#!/bin/sh
# try-systemd.sh [VERSION]: runs a node of CTDB (4.17, 4.22, 4.24, 4.25; default: 4.22) with our daemon under a systemd
# of its own, in a virtual machine: its unit with the drop-in contrib/systemd/ctdb-eventd.conf.
#
# It checks: the node becomes healthy and has its addresses; scripts use iptables, ip, modprobe and mount; processes
# that left a timed-out script by setsid are ended; [limits] are in effect (from systemd 254 on) and don't apply to the
# daemon; a stop leaves no processes. Then the same machine runs a node without ctdbd, ctdb-node.service: it starts,
# reports its state, reloads, is restarted when its event daemon hangs, and stops. Needs root, and 1 GiB of memory;
# without KVM (KVM=yes uses it) it takes a few minutes.
# SPDX-License-Identifier: Apache-2.0

set -eu

here="$(cd "$(dirname "$0")" && pwd)"
project="$(cd "$here/../.." && pwd)"
version=${1:-4.22}
accelerator="-accel tcg,thread=multi -cpu max"
[ "${KVM:-}" != yes ] || accelerator="-accel kvm -cpu host"

"$here/need-packages.sh" qemu-system-x86 e2fsprogs
scratch="$(mktemp -d /var/tmp/try-systemd.XXXXXX)"
trap 'rm -rf "$scratch"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

"$here/in-root.sh" "$version" make VENV=/opt/venv/deb deb
root=$scratch/root
cp -a "$("$here/in-root.sh" "$version")" "$root"
cp "$project"/dist/ctdb-eventd_*.deb "$project/contrib/systemd/ctdb-eventd.conf" "$root/root/"
cat /etc/resolv.conf >"$root/etc/resolv.conf"

cat >"$root/root/prepare" <<'END'
set -eu
export DEBIAN_FRONTEND=noninteractive
apt-get update -q
apt-get install -y --no-install-recommends systemd-sysv udev dbus kmod initramfs-tools "linux-image-cloud-$(dpkg --print-architecture)"
apt-get install -y --no-install-recommends /root/ctdb-eventd_*.deb
install -D -m 644 /root/ctdb-eventd.conf /etc/systemd/system/ctdb.service.d/ctdb-eventd.conf
echo 10.99.0.1 >/etc/ctdb/nodes
printf '10.98.0.1/24 public\n10.98.0.2/24 public\n' >/etc/ctdb/public_addresses
cat >/etc/ctdb/ctdb.conf <<'CONF'
[logging]
    location = file:/var/log/ctdb/log.ctdb
    log level = INFO
[cluster]
    recovery lock = /run/ctdb-reclock
[eventd]
    kill grace = 1
[limits]
    memory trial = 150 M
    pids trial = 20
CONF
mkdir -p /etc/ctdb/events/trial
printf '[Service]\nType=oneshot\nStandardOutput=file:/dev/console\nStandardError=file:/dev/console\nTimeoutStartSec=900\nExecStart=/bin/sh /root/trial\nExecStopPost=/bin/systemctl --no-block poweroff\n' >/etc/systemd/system/trial.service
systemctl disable ctdb
systemctl mask serial-getty@ttyS0 apt-daily.timer apt-daily-upgrade.timer
mkdir -p /etc/systemd/system/multi-user.target.wants
ln -s ../trial.service /etc/systemd/system/multi-user.target.wants/
# ctdbd waits for ten seconds: too short for an emulated processor to try the daemon first
printf '#!/bin/sh\nexec /usr/lib/ctdb-eventd/bin/ctdb-eventd "$@"\n' >/usr/libexec/ctdb/ctdb-eventd
END
cat >"$root/etc/ctdb-trial.script" <<'END'
#!/bin/sh
case "$1" in
effects)
	iptables -A INPUT -p tcp --dport 9 -j DROP && ip addr add 10.97.0.1/32 dev lo && modprobe dummy &&
		mkdir -p /run/shown && mount -t tmpfs shown /run/shown
	;;
stray)
	setsid sh -c 'trap "" TERM; echo $$ >/run/stray; while :; do sleep 1000; done' </dev/null >/dev/null 2>&1 &
	sleep 1000
	;;
forks)
	i=0
	while [ $i -lt 40 ]; do
		sleep 2 &
		i=$((i + 1))
	done
	wait
	;;
memory)
	python3 -c 'x = bytearray(300 << 20)'
	;;
esac
END
cat >"$root/etc/ctdb-node-trial.script" <<'END'
#!/bin/sh
case "$1" in
takeip) ip address replace "$3/$4" dev "$2" ;;
releaseip) ip address del "$3/$4" dev "$2" ;;
esac
END
cat >"$root/root/trial" <<'END'
log=/var/log/ctdb/log.ctdb
failed=no
check()
{
	what=$1
	shift
	if "$@" >/tmp/said 2>&1; then echo "TRIAL ok: $what"; else
		echo "TRIAL FAILED: $what"
		cat /tmp/said
		failed=yes
	fi
}
soon()
{
	for _ in $(seq 240); do
		"$@" && return
		sleep 1
	done
	return 1
}
healthy() { ctdb status | grep -q 'OK (THIS NODE)'; }
hosted() { [ "$(ip -o addr show dev public | grep -c '10.98.0.[12]/24')" = 2 ]; }
event() { ctdb-event run 600 trial "$1"; }
gone() { ! kill -0 "$1"; }
run() { eval "$1"; }

modprobe veth
ip link add public type veth peer name other
for link in public other lo; do ip link set $link up; done
ip addr add 10.99.0.1/32 dev lo
install -m 755 /etc/ctdb-trial.script /etc/ctdb/events/trial/10.trial.script
/usr/lib/ctdb-eventd/bin/ctdb-eventd --version
systemctl start ctdb
check "the node becomes healthy" soon healthy
check "its addresses are there" soon hosted
daemon=$(cat /run/ctdb/eventd.pid)
check "ours runs" grep -q /usr/lib/ctdb-eventd/ "/proc/$daemon/cmdline"
check "the unit has the drop-in" run 'systemctl cat ctdb | grep -q DelegateSubgroup'
check "there are cgroups" run "! grep 'no cgroups:' $log"
check "a script has iptables, ip, modprobe and mount" event effects
check "what it mounted is seen outside" mountpoint /run/shown
check "a timeout is one" run '! ctdb-event run 20 trial stray'
check "what left it is ended" soon gone "$(cat /run/stray)"
if [ "$(systemctl --version | awk 'NR == 1 { print $2 }' | cut -d. -f1)" -ge 254 ]; then
	check "limits are in effect" run "! grep 'not applied' $log"
	event forks
	check "the limit of processes was reached" soon grep 'pids: [0-9]* times' $log
	check "a script with too much memory fails" run '! event memory'
	check "the limit of memory was reached" soon grep 'memory: the kernel killed 1 ' $log
else
	check "that limits are not in effect is told" grep '\[limits\] of component trial are not applied' $log
fi
check "the daemon is the same" [ "$(cat /run/ctdb/eventd.pid)" = "$daemon" ]
check "it is at home" run "! grep component /proc/$daemon/cgroup"
systemctl stop ctdb
check "a stop takes the addresses away" run '! ip -o addr show dev public | grep 10.98'
check "nothing is left" run '! pgrep -a ctdb'
check "no cgroup is left" run '! find /sys/fs/cgroup/system.slice -name "ctdb-eventd.*" | grep .'
[ $failed = no ] || tail -n 60 $log

rm -f /etc/ctdb/events/legacy/*
install -m 755 /etc/ctdb-node-trial.script /etc/ctdb/events/legacy/10.move.script
install -m 644 /usr/share/doc/ctdb-eventd/ctdb-node.service /etc/systemd/system/
systemctl daemon-reload
status() { systemctl show --property StatusText --value ctdb-node | grep "$1"; }
restarted() { [ "$(systemctl show --property NRestarts --value ctdb-node)" -ge 1 ]; }
check "ctdb-node's unit starts" systemctl start ctdb-node
check "its status is health and addresses" soon status '^running, HEALTHY; 2 of 2 addresses are here$'
check "its addresses are there" hosted
check "there are cgroups" run "! grep 'no cgroups:' $log"
echo '10.98.0.1/24 public' >/etc/ctdb/public_addresses
check "a reload" systemctl reload ctdb-node
check "what it read counts" soon status '; 1 of 1 addresses are here$'
kill -STOP "$(cat /run/ctdb/eventd.pid)"
check "a daemon that hangs has it restarted" soon restarted
check "then it is healthy" soon status '^running, HEALTHY; 1 of 1 addresses are here$'
systemctl stop ctdb-node
check "a stop is a clean one" run "[ \$(systemctl show --property Result --value ctdb-node) = success ]"
check "a stop takes the addresses away" run '! ip -o addr show dev public | grep 10.98'
check "nothing is left" run '! pgrep -a ctdb'
check "the sockets' directory is gone" run '! ls /run/ctdb'
[ $failed = no ] || journalctl --unit ctdb-node --no-pager | tail -n 60
echo "TRIAL ENDS: failed=$failed"
END
"$here/quietly.sh" chroot "$root" sh /root/prepare

disk=$scratch/disk
truncate -s 3G "$disk"
mke2fs -q -t ext4 -d "$root" "$disk"
# Unquoted: several words.
timeout 1500 qemu-system-x86_64 $accelerator -m 1024 -smp 2 -nographic -no-reboot -net none \
	-kernel "$(echo "$root"/boot/vmlinuz-*)" -initrd "$(echo "$root"/boot/initrd.img-*)" \
	-append "root=/dev/vda rw console=ttyS0 quiet" -drive "file=$disk,format=raw,if=virtio,cache=unsafe" \
	</dev/null >"$scratch/console" 2>&1 || true
# All that was said, if the trial did not begin.
grep -q TRIAL "$scratch/console" || cat "$scratch/console"
sed -n '/TRIAL/,$p' "$scratch/console"
grep -q '^TRIAL ENDS: failed=no' "$scratch/console"
