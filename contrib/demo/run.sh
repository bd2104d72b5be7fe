#!/bin/sh
# The daemon's main job from end to end, on a private directory that is removed afterwards: starts the daemon, takes
# the sample node of contrib/events through its life with the command line, shows each command, its output and exit
# status and then the log, and stops the daemon. Ends with an error if anything goes otherwise than expected.
#
# EVENTD and EVENT name the daemon and the command line to use; CTDB's own in /usr/libexec/ctdb will do as well.
# SPDX-License-Identifier: Apache-2.0

set -u

top="$(cd "$(dirname "$0")/../.." && pwd)" || exit 1
EVENTD="${EVENTD:-$top/.venv/bin/ctdb-eventd}"
EVENT="${EVENT:-$top/.venv/bin/ctdb-event}"

for program in "$EVENTD" "$EVENT"; do
	if ! command -v "$program" >/dev/null; then
		echo "demo: there is no program $program; \`make run\` installs it" >&2
		exit 1
	fi
done

# Whatever the caller has set for a CTDB of his own must not change what the demo does.
unset CTDB_INTERACTIVE CTDB_LOGGING CTDB_DEBUGLEVEL CTDB_EVENT_RUN_ALL EVENTS_STATE_DIR EVENTS_REAL_ADDRESSES

base="$(mktemp -d "${TMPDIR:-/tmp}/ctdb-demo.XXXXXX")" || exit 1
daemon=

# Runs on every way out. The service is a child of its script, not of the daemon, so it has to be stopped by name.
clean_up()
{
	trap '' HUP INT TERM
	if [ -n "$daemon" ]; then
		kill -s TERM "$daemon" 2>/dev/null
		# The start-up descriptor closes when the daemon ends, so this waits for just that, and not for ever.
		timeout 20 cat <&8 >/dev/null 2>&1 || kill -s KILL "$daemon" 2>/dev/null
		wait "$daemon" 2>/dev/null
	fi
	"$base/events/legacy/50.service.script" shutdown >/dev/null 2>&1
	rm -rf "$base"
}
trap clean_up EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

fail()
{
	echo
	echo "demo: FAILED: $*"
	if [ -s "$base/log" ]; then
		echo "demo: the log was:"
		sed 's/^/    /' "$base/log"
	fi
	exit 1
}

heading()
{
	echo
	echo "== $*"
}

# step STATUS TEXT ARGUMENT...: runs the command line with these arguments, shows what it does, and checks the exit
# status and that TEXT is in the output. An empty TEXT is in any.
step()
{
	expected_status="$1"
	expected_text="$2"
	shift 2
	echo
	echo "\$ ctdb-event $*"
	# The command line can't hang for good (the daemon bounds the event), but a demo that does would tell nothing.
	timeout 60 "$EVENT" "$@" >"$base/output" 2>&1
	status=$?
	cat "$base/output"
	echo "[exit status $status]"
	[ "$status" -eq "$expected_status" ] ||
		fail "\`ctdb-event $*\` should have ended with exit status $expected_status, not $status"
	grep -qF -e "$expected_text" "$base/output" || [ -z "$expected_text" ] ||
		fail "the output of \`ctdb-event $*\` should contain \"$expected_text\""
}

# event TEXT EVENT [ARGUMENT...]: runs an event that succeeds, and shows its status, with TEXT in it.
event()
{
	text="$1"
	shift
	step 0 "" run 30 legacy "$@"
	step 0 "$text" status legacy "$1"
}

# ---------------------------------------------------------------------------------------------------------------
heading "A private node in $base"

# A socket's path must fit into 108 bytes.
[ "${#base}" -le 80 ] || fail "the name of the directory is too long for a Unix socket in it: set TMPDIR to a shorter one"
mkdir -p "$base/events" "$base/share/events/legacy" "$base/run" "$base/var" &&
	cp -Rp "$top/contrib/events/legacy" "$base/events/" &&
	cp "$top/contrib/events/sample-functions" "$base/" &&
	cp "$top/contrib/functions" "$base/eventd-functions" &&
	printf '[logging]\n\tlocation = file:%s\n\tlog level = NOTICE\n' "$base/log" >"$base/ctdb.conf" &&
	mkfifo "$base/ready" ||
	fail "cannot prepare the directory"
export CTDB_TEST_MODE=1 CTDB_BASE="$base"
sed 's/^/    /' "$base/ctdb.conf"

heading "The daemon starts"
echo
echo "\$ ctdb-eventd --startup-fd=9"
"$EVENTD" --startup-fd=9 9>"$base/ready" &
daemon=$!
# The daemon writes four zero bytes once it listens, and the pipe closes if it ends before: so nothing here waits
# longer than it must. ctdbd, too, gives it ten seconds.
exec 8<"$base/ready"
word="$(timeout 10 head -c 4 <&8 | od -An -tx1 | tr -d ' \n')"
[ "$word" = 00000000 ] ||
	fail "the daemon $EVENTD did not say within 10 seconds that it listens (it wrote \"$word\")"
[ -S "$base/run/eventd.socket" ] || fail "the daemon said that it listens, but there is no socket"
[ "$(cat "$base/run/eventd.pid")" -eq "$daemon" ] || fail "the pid file doesn't hold the daemon's pid, $daemon"
echo "[process $daemon listens on $base/run/eventd.socket]"

step 0 "50.service" script list legacy

heading "The node starts"
event "00.node" init
event "00.node" setup
event "50.service" startup
event "50.service" monitor

heading "A public address comes"
event "10.interface" takeip eth0 10.0.0.31 24
event "60.nfs-like" ipreallocated
grep -qxF "10.0.0.31/24 on eth0" "$base/var/sample-events/exports" ||
	fail "60.nfs-like should serve 10.0.0.31 now"

heading "The service dies, is found dead, and is started again"
read -r service <"$base/var/sample-events/service.pid" || fail "50.service has left no pid"
echo
echo "\$ kill -KILL -$service"
kill -s KILL -- "-$service" || fail "the service, process group $service, was not running"
# The kernel lets go of the service's lock when the last of its processes has ended, shortly after the signal.
flock -w 5 "$base/var/sample-events/service.lock" true || fail "the service, process group $service, does not end"
step 8 "Event monitor in legacy failed" run 30 legacy monitor
step 1 "the service is not running" status legacy monitor
event "50.service" startup
event "50.service" monitor

heading "The node shuts down"
event "50.service" shutdown
flock -n "$base/var/sample-events/service.lock" true || fail "the service should have been stopped"

heading "The daemon stops"
echo
echo "\$ kill -TERM $daemon"
kill -s TERM "$daemon" || fail "the daemon had gone before it was told to stop"
# Also the proof that no script has inherited the descriptor: it would be open still.
timeout 20 cat <&8 >/dev/null || fail "the start-up descriptor is still open 20 seconds after SIGTERM"
wait "$daemon"
status=$?
daemon=
[ "$status" -eq 0 ] || fail "the daemon ended with exit status $status instead of 0"
for file in eventd.socket eventd.pid; do
	[ ! -e "$base/run/$file" ] || fail "the daemon left $base/run/$file behind"
done
echo "[exit status 0; socket and pid file are gone]"

heading "The log"
echo
sed 's/^/    /' "$base/log"
for text in "daemon started, pid=" "startup completed successfully" "listening on $base/run/eventd.socket" \
	"00.node: state directory is ready" "10.interface: took 10.0.0.31/24 on eth0" \
	"50.service: the service is not running"; do
	grep -qF -e "$text" "$base/log" || fail "the log should contain \"$text\""
done

echo
echo "demo: everything went as expected"
