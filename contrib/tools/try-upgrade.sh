#!/bin/sh
# try-upgrade.sh FROM TO package|venv: upgrades a node with our event daemon by apt, from one version of CTDB to another
# and then all other packages, including Python; in a root that in-root.sh creates. Needs root.
#
# FROM and TO are versions of CTDB: 4.17 4.22, 4.22 4.24, 4.22 4.25, 4.24 4.25. The last word is how our daemon is
# installed: as the Debian package, or in a virtual environment with ctdb-eventd-install.
#
# Before the upgrade, after each step, and after the removal of our daemon, it starts a real ctdbd and checks: the node
# becomes healthy, its init event has run, the event daemon answers CTDB's tool and ours, and `ctdb-eventd-install
# --status` reports the actual state. While apt works, the running node must continue to run events, and the program at
# the helper's path is started repeatedly as ctdbd does it: each time an event daemon must start.
# SPDX-License-Identifier: Apache-2.0

set -eu

here="$(cd "$(dirname "$0")" && pwd)"
helper=/usr/libexec/ctdb/ctdb-eventd
ctdb_event=/usr/libexec/ctdb/ctdb-event
log=/var/log/ctdb/log.ctdb
noted=/var/lib/events-noted # by the script 99.note
venv=/opt/ours
scratch=/tmp/try-upgrade
probes=/tmp/probes

usage()
{
	echo "try-upgrade.sh: expected two versions of CTDB and how ours is installed: try-upgrade.sh 4.24 4.25 package|venv" >&2
	exit 2
}

say()
{
	echo "=== $1"
}

fail()
{
	echo "FAILED: $1" >&2
	for file in "$scratch"/apt "$scratch"/status "$log"; do
		[ ! -s "$file" ] || { echo "--- the end of $file" && tail -n 40 "$file"; } >&2
	done
	exit 1
}

# Waits until a command succeeds: wait_for SECONDS WHAT COMMAND...
wait_for()
{
	limit=$(($(date +%s) + $1))
	what=$2
	shift 2
	until "$@" >/dev/null 2>&1; do
		[ "$(date +%s)" -lt "$limit" ] || fail "waited in vain for $what"
		sleep 0.2
	done
}

quietly_apt()
{
	apt-get -y --no-install-recommends -o Dpkg::Options::=--force-confold "$@" >"$scratch/apt" 2>&1 </dev/null ||
		fail "apt-get $*"
}

# --- The node

make_node()
{
	mkdir -p /var/log/ctdb
	# a conffile that was changed, as it is on every node
	printf '[logging]\n\tlocation = file:%s\n[legacy]\n\trealtime scheduling = false\n' "$log" >/etc/ctdb/ctdb.conf
	echo 127.0.0.1 >/etc/ctdb/nodes
	ln -sf /usr/share/ctdb/events/legacy/00.ctdb.script /etc/ctdb/events/legacy/
	printf '#!/bin/sh\necho "$*" >>%s\n' "$noted" >/etc/ctdb/events/legacy/99.note.script
	chmod 755 /etc/ctdb/events/legacy/99.note.script
	echo MonitorInterval=2 >/etc/ctdb/ctdb.tunables
}

place_of()
{
	/usr/libexec/ctdb/ctdb-path "$1" "$2"
}

start_node()
{
	: >"$log"
	: >"$noted"
	# like systemd
	mkdir -p "$(dirname "$(place_of socket eventd)")" "$(dirname "$(place_of pidfile ctdbd)")"
	# its own network: other tests may run on this machine
	unshare --net sh -c 'ip link set lo up && exec /usr/sbin/ctdbd' || fail "ctdbd doesn't start"
	wait_for 60 "the node to be healthy" ctdb nodestatus
	ctdbd_pid="$(cat "$(place_of pidfile ctdbd)")"
	eventd_pid_file="$(place_of pidfile eventd)"
	eventd_pid="$(cat "$eventd_pid_file")"
	wait_for 20 "a monitor event" grep -qx monitor "$noted"
}

# An orderly shutdown, as by `ctdb shutdown`, but without the tool: its version may differ from that of the running
# ctdbd.
stop_node()
{
	kill "$ctdbd_pid"
	wait_for 30 "ctdbd to end" sh -c "! kill -0 $ctdbd_pid"
	wait_for 30 "the event daemon to end" sh -c "! kill -0 $eventd_pid"
}

# Prints whose event daemon a process is: ours, ctdbs, or something else.
kind_of()
{
	case "$(basename "$(readlink "/proc/$1/exe")")" in
	python3*) echo ours ;;
	ctdb-eventd*) echo ctdbs ;;
	*) echo "no event daemon" ;;
	esac
}

# --- Checks

# The running node still runs events, whatever has been replaced since its start.
check_goes_on()
{
	kill -0 "$eventd_pid" || fail "$1: the event daemon that ran has ended"
	: >"$noted"
	wait_for 30 "a monitor event of the node that runs, $1" grep -qx monitor "$noted"
	[ "$(kind_of "$eventd_pid")" = "$2" ] || fail "$1: $(kind_of "$eventd_pid") runs, not $2"
}

# check_status STATUS IN-PLACE RUNNING; the latter two are patterns.
check_status()
{
	status=0
	$installer --status >"$scratch/status" 2>&1 || status=$?
	[ "$status" -eq "$1" ] || fail "--status ends with $status, expected $1"
	grep -qx "In place: $2" "$scratch/status" || fail "--status doesn't say: In place: $2"
	grep -qx "Running:  $3" "$scratch/status" || fail "--status doesn't say: Running:  $3"
}

# Starts a node, checks everything and stops it: check_node WHEN ours|ctdbs [STATUS]
check_node()
{
	start_node
	runs="$(kind_of "$eventd_pid")"
	[ "$runs" = "$2" ] || fail "$1: the event daemon that runs is $runs, expected $2"
	grep -qx init "$noted" || fail "$1: the init event has not run"
	for tool in "ctdb event" "$ctdb_event" $cli; do
		$tool status legacy init | grep -q '^99.note  *OK ' || fail "$1: $tool status legacy init doesn't say so"
	done
	"$ctdb_event" run 10 legacy probe "$1" || fail "$1: the event daemon doesn't run events"
	grep -qx "probe $1" "$noted" || fail "$1: the event was not run"
	case "$2 ${3-}" in
	'ours ') check_status 0 'our daemon, .*' "our daemon, process $eventd_pid, version [0-9.]*" ;;
	'ctdbs 4') check_status 4 'our daemon, .*' "CTDB's own event daemon, process $eventd_pid" ;;
	'ctdbs 3') [ -z "$installer" ] || check_status 3 "CTDB's own event daemon, .*" "CTDB's own event daemon, process $eventd_pid" ;;
	esac
	stop_node
	say "$1: the node works with $2; CTDB $(ctdb version | head -n 1), $(python3 --version)"
}

# --- Starting the event daemon while apt works

# One start as ctdbd does it, with a private /run and /var/lib/ctdb; prints whose daemon it was.
probe_once()
{
	mount -t tmpfs none /run
	mount -t tmpfs none /var/lib/ctdb
	mkdir -p /run/ctdb /run/samba/ctdb /run/lock
	mkfifo /run/ready
	"$helper" -P $$ -S 9 9>/run/ready 2>/run/said &
	exec 8</run/ready
	word="$(timeout 15 head -c 4 <&8 | od -An -tx1 | tr -d ' ')"
	who="$(kind_of $!)"
	reason="$(sed -n 's/^ctdb-eventd: //p' /run/said)"
	if [ "$word" = 00000000 ]; then
		echo "$who${reason:+: $reason}"
	elif ! /usr/sbin/ctdbd --help >/dev/null 2>/run/ctdbd; then
		# Libraries and programs have different versions: then a node can't start with either event daemon.
		echo "no ctdbd: $(head -n 1 /run/ctdbd)"
	elif grep -q "^$helper.ctdb: .*\(error while loading\|(required by\)" /run/said; then
		# The same, but the libraries have been completed since.
		echo "no event daemon of CTDB's: $(grep "^$helper.ctdb: " /run/said)"
	else
		echo "none: $(tr '\n' ' ' </run/said)"
	fi
	kill $! 2>/dev/null || :
	wait $! || :
}

start_probes()
{
	: >"$probes"
	touch "$scratch/probing"
	(
		while [ -e "$scratch/probing" ]; do
			unshare --mount --propagation private "$0" --probe >>"$probes" 2>&1 || :
		done
	) &
	prober=$!
}

stop_probes()
{
	rm "$scratch/probing"
	wait "$prober"
	echo "$1: $(grep -c '' "$probes") starts of an event daemon meanwhile:"
	sed 's/ \[[0-9]*\]//' "$probes" | sort | uniq -c
	! grep -q '^none' "$probes" || fail "$1: a node could not have started its event daemon"
}

# --- Installs our daemon, and prepares apt

install_package()
{
	"$here/quietly.sh" apt-get update
	"$here/make-venv.sh" python3 "$scratch/venv"
	quietly_apt install "$("$project/contrib/debian/build.sh" "$scratch/venv/bin/python" "$scratch" | tail -n 1)"
	installer=ctdb-eventd-install
	cli=ctdb-event
}

install_venv()
{
	"$here/make-venv.sh" python3 "$venv"
	"$here/quietly.sh" "$venv/bin/pip" install --disable-pip-version-check "$project"
	installer=$venv/bin/ctdb-eventd-install
	cli=$venv/bin/ctdb-event
	$installer >"$scratch/status" 2>&1 || fail "the installation"
}

choose_sources()
{
	case "$1" in
	4.22) suite=trixie option= ;;
	4.24) suite=trixie option='-t trixie-backports' ;;
	4.25) suite=forky option= ;;
	*) usage ;;
	esac
	sources=/etc/apt/sources.list
	archive="$(sed -n '1s/^deb \([^ ]*\) .*/\1/p' $sources)"
	echo "deb $archive $suite main" >$sources
	[ "$1" != 4.24 ] || echo "deb $archive $suite-backports main" >>$sources
	# The archive may be an old copy.
	"$here/quietly.sh" apt-get -o Acquire::Check-Valid-Until=false update
}

# --- The whole test

python_version()
{
	python3 -c 'import sys; print("%d.%d" % sys.version_info[:2])'
}

# What --status reports of the running node before it is restarted; it may be the node of a CTDB with other paths.
check_not_restarted()
{
	check_goes_on "$1" ours
	moved=
	[ "$(place_of pidfile eventd)" = "$eventd_pid_file" ] ||
		moved=", started before an upgrade of CTDB moved its pid file from $eventd_pid_file: .*"
	check_status 0 'our daemon, .*' "our daemon, process $eventd_pid$moved\(, version [0-9.]*\)\{0,1\}"
}

# What docs/installation.md says to do if the environment's Python was removed, and what happens until then.
renew_venv()
{
	status=0
	$installer --status >"$scratch/status" 2>&1 || status=$?
	[ "$status" -eq 1 ] && grep -q '^ModuleNotFoundError: ' "$scratch/status" ||
		fail "the installer in the former environment ends with $status, expected 1 and a ModuleNotFoundError"
	# no program in the environment runs
	installer= cli=
	check_node "after the upgrade of Python, with the former environment" ctdbs
	grep -q "can't start $venv/bin/ctdb-eventd (.*): starting CTDB's own event daemon instead" "$log" ||
		fail "the log doesn't say that CTDB's own daemon was started instead"
	install_venv
}

try()
{
	project=/opt/ctdb-eventd
	mkdir -p "$scratch"
	chmod 755 "$scratch"
	# An upgrade of ca-certificates removes the certificates that the root got from this machine, see in-root.sh.
	cp /etc/ssl/certs/ca-certificates.crt "$scratch/certificates"
	export PIP_CERT="$scratch/certificates"
	# debootstrap's packages are marked as manually installed, so that none would be removed as no longer needed
	apt-mark auto $(dpkg-query -W -f '${Package}\n' 'python3.*' 'libpython3.*') >"$scratch/apt"
	make_node
	installer= cli=
	check_node "before ours is installed" ctdbs
	install_$how
	check_node "with ours" ours

	choose_sources "$to"
	python=$(python_version)
	start_node
	start_probes
	# Unquoted: zero or two words.
	quietly_apt install $option ctdb
	stop_probes "the upgrade of CTDB"
	# CTDB may have brought a newer Python with it.
	renew=
	[ "$how" = package ] || [ "$python" = "$(python_version)" ] || renew=yes
	[ -n "$renew" ] || check_not_restarted "after the upgrade of CTDB"
	stop_node
	[ -z "$renew" ] || renew_venv
	check_node "after the upgrade of CTDB" ours

	python=$(python_version)
	start_node
	start_probes
	quietly_apt full-upgrade
	stop_probes "the upgrade of all else"
	start_probes
	quietly_apt autoremove
	stop_probes "the removal of what is no longer needed"
	renew=
	if [ "$python" != "$(python_version)" ]; then
		[ ! -e "/usr/bin/python$python" ] || fail "python$python is still there"
		[ "$how" = package ] || renew=yes
	fi
	[ -n "$renew" ] || check_not_restarted "after the upgrade of all else"
	check_goes_on "after the upgrade of all else" ours
	stop_node
	[ -z "$renew" ] || renew_venv
	check_node "after the upgrade of all else" ours

	case "$how" in
	package) quietly_apt remove ctdb-eventd ;;
	venv) $installer --remove >"$scratch/status" 2>&1 || fail "the removal" ;;
	esac
	[ "$how" = venv ] || installer= cli=
	check_node "after ours was removed" ctdbs 3
	[ -z "$(dpkg-divert --list "$helper")" ] || fail "the diversion is still there"
	dpkg --verify ctdb | grep -v ' c /etc/' >"$scratch/status" && fail "the helper is not the one of the package"
	say "all is well"
}

case "${1-}" in
--probe)
	probe_once
	;;
--inside)
	to=$2 how=$3
	try
	;;
*)
	[ $# -eq 3 ] || usage
	case "$1 $2 $3" in
	4.17' '4.22' '* | 4.22' '4.24' '* | 4.22' '4.25' '* | 4.24' '4.25' '*) ;;
	*) usage ;;
	esac
	case "$3" in package | venv) ;; *) usage ;; esac
	exec "$here/in-root.sh" "$1" /opt/ctdb-eventd/contrib/tools/try-upgrade.sh --inside "$2" "$3"
	;;
esac
