#!/bin/sh
# ctdb-eventd-install put this file here, in the place of CTDB's own event daemon, which is kept beside it.
#
# It starts our event daemon. Should that not run (its directory has gone, Python was upgraded, a module can't be
# loaded), or not learn from CTDB where to listen, it says so in the system log and starts CTDB's own instead: a broken
# installation must not take a node down.
# The way back is `ctdb-eventd-install --remove`; by hand, where that program has gone as well:
#     cp -p @KEPT@ @NEW@
#     mv @NEW@ @HELPER@
#     @FORGET@
#     rm @KEPT@
# SPDX-License-Identifier: Apache-2.0

program=@PROGRAM@
python=@PYTHON@
python_option=@PYTHON_OPTION@
kept=@KEPT@
helper_dir=@HELPER_DIR@
check=@CHECK@

# Each command in a process of its own and with a limit: nothing here may hang or end this shell, for ctdbd waits no
# longer than ten seconds for its event daemon.
say()
{
	(printf '%s\n' "ctdb-eventd: $1" >&2)
	timeout 2 logger -t ctdb-eventd -p daemon.err -- "$1" 2>/dev/null
}

# Tries the daemon, with the limit in seconds that its first argument is; sets the reason if it doesn't run.
try()
{
	# Not $(...), which would wait, beyond any limit, for whatever else has its end open.
	said="$(timeout 1 mktemp 2>/dev/null)" || said=
	# From /, since Python looks for modules in the current directory, and that may be a stranger's.
	(cd / && exec timeout -k 1 "$1" "$python" ${python_option:+"$python_option"} -c "$check" "$program" "$helper_dir") \
		</dev/null >/dev/null 2>"${said:-/dev/null}"
	status=$?
	reason=
	if [ -n "$said" ]; then
		# The last line names the error, but for what Python adds about where it was.
		reason="$(timeout 1 sed -e '/^[[:space:]]/d' -e '/^$/d' -e '/(most recent call first):$/d' "$said" | tail -n 1)"
		timeout 1 rm -f "$said"
	fi
	[ "$status" -ne 124 ] || reason="trying it took more than $1 seconds"
	[ -n "$reason" ] || reason="trying it ended with exit status $status"
	return "$status"
}

# Which files these are, the ends of their links: an upgrade of Python gives its name to another one.
identify()
{
	timeout 1 stat -L -c %d:%i -- "$python" "$program" 2>/dev/null
}

files="$(identify)"
if [ ! -x "$program" ]; then
	reason="it is missing, or is not executable"
elif [ ! -x "$python" ]; then
	reason="its Python, $python, is missing"
elif try @SECONDS@; then
	# Just what was tried, whatever the program's first line says by now: a shell whose exec fails is at its end. Replaces
	# this shell: the process that ctdbd started, watches and ends has to be the daemon itself.
	[ "$(identify)" != "$files" ] ||
		exec "$python" ${python_option:+"$python_option"} "$program" --helper-dir "$helper_dir" "$@"
	reason="$python or the program was replaced while it was tried: an upgrade is in progress"
fi

if [ ! -x "$kept" ]; then
	say "can't start $program ($reason), and CTDB's own event daemon is not there either: $kept. Install CTDB's package again"
	exit 1
fi
say "can't start $program ($reason): starting CTDB's own event daemon instead, $kept"
exec "$kept" "$@"
