"""Commands that scripts may only run one at a time: shell programs of the same names, first in the scripts' PATH.

Each takes an exclusive flock, runs the real command as its child, waits for its end, and then unlocks. It must not
`exec` the real command: the kernel closes the files of an exiting process in no guaranteed order, so that our lock
would be free while a lock of the command, such as that of iptables, is still held. The cost is a shell and flock; no
Python is started. The ways in which they can end:

- The command exits: the wrapper has reaped it, so all its files are closed, before the wrapper unlocks. It unlocks
  explicitly (`flock -u`), which applies to every copy of the descriptor: processes that the command left running don't
  keep the lock. The commands of iptables leave no process running, so their wrappers don't unlock explicitly, which
  would take a third of the wrapper's time; it is enough that the wrapper closes the last descriptor.
- A signal to the process group, as at a timeout, reaches both. The wrapper catches it and continues to wait.
- A signal to the wrapper alone is not forwarded: a shell can't do that while its child has the shell's input and
  default signals. The command continues. If the wrapper is killed (SIGKILL), the command keeps the lock, as it has
  inherited the descriptor; so do processes that it leaves running.
- SIGKILL to the process group ends both at once. Then the command may end after the wrapper, and the order in which the
  kernel closes the command's files matters. Linux 6.18 begins with the highest descriptor, so ours is the lowest free
  one: it is closed after those that the command opened.

The wrappers of iptables can't cause a deadlock. A wrapper that holds the lock runs the real command, which doesn't wait
for anything that waits for the lock: not for another lock of ours (a command inside that runs the same command executes
the real one at once, by an environment variable); not for a pipe (the input of a restore is read before taking the
lock, a listing into a pipe is written after releasing it). The daemon holds the lock too, on behalf of holders of the
named lock (`scheduler/command_locks.py`): the environment of its scripts and commands has the same variable, and
whoever waits for something else meanwhile delays others no longer than the wrappers' time limit. Locks that scripts
take around the command, as CTDB's own functions do with iptables, are always taken before ours and never after. For
commands that the configuration adds there is no such guarantee: two of them that run each other, or one that is used
twice in a pipeline, may wait for each other until the time limit, and then fail with status 75.
"""

from __future__ import annotations

import contextlib
import logging
import os
import shlex
import time

from ctdb_eventd.config import Config
from ctdb_eventd.errors import StartupError
from ctdb_eventd.private import own_directory, own_file

__all__ = ["IPTABLES", "Wrappers"]

_log = logging.getLogger(__name__)

IPTABLES = ("iptables", "iptables-restore", "iptables-save", "ip6tables", "ip6tables-restore", "ip6tables-save")
"""They change the same tables of the kernel, so they share one lock."""

_MARK = ".wrappers"
"""A file that marks a directory of wrappers."""
_LEFT_OVER_AGE = 3600
"""Age in seconds from which on a wrapper's temporary file is unused: no event takes that long."""

_WRAPPER = """\
#!/bin/sh
# Written by ctdb-eventd at its start. Lets event scripts run one @NAME@ at a time, whatever runs side by side.
_eventd_mine=@DIRECTORY@
_eventd_lock=@FILE@
set -f
_eventd_real=
IFS=:
for _eventd_dir in $PATH; do
	# no wrapper, however its directory is spelled, nor another daemon's: that would come back to here
	[ -e "${_eventd_dir:-.}/@MARK@" ] && continue
	[ -f "${_eventd_dir:-.}/@NAME@" ] && [ -x "${_eventd_dir:-.}/@NAME@" ] || continue
	_eventd_real=${_eventd_dir:-.}/@NAME@
	break
done
unset IFS
set +f
if [ -z "$_eventd_real" ]; then
	printf '%s\\n' "@NAME@: not found in PATH ($PATH), behind the wrapper in $_eventd_mine" >&2
	exit 127
fi
# Our own caller may hold the lock: LOCK:PID, with the process of its wrapper or of its `ctdb-event lock`, or
# LOCK:PID/fdinfo/N@OFFSET, with the daemon's descriptor and where that stands in the file, which is so for this holder
# only. What a command left running still has the variable, but no lock, so that is looked at.
for _eventd_held in $CTDB_EVENTD_HOLDS; do
	[ "${_eventd_held%:*}" = '@LOCK@' ] || continue
	_eventd_held=/proc/${_eventd_held##*:}
	case $_eventd_held in
	*@*) { read -r _ _eventd_at <"${_eventd_held%@*}"; } 2>/dev/null && [ "$_eventd_at" = "${_eventd_held#*@}" ] ;;
	*) [ -e "$_eventd_held" ] ;;
	esac && exec "$_eventd_real" "$@"
done
@PREPARE@if ! command -v flock >/dev/null; then
	printf '%s %s\\n' "@NAME@: flock not found in PATH ($PATH): install util-linux; not run," \\
		"as it could not be serialised" >&2
	exit 127
fi
# The lock gets the lowest free descriptor, so that it is closed after those that the command opens, should both be
# killed. Another one, if there is one, keeps standard error while this shell itself has nothing to say there.
_eventd_fd=
_eventd_err=
for _eventd_free in 3 4 5 6 7 8 9; do
	[ -e "/proc/self/fd/$_eventd_free" ] && continue
	if [ -n "$_eventd_fd" ]; then
		_eventd_err=$_eventd_free
		break
	fi
	_eventd_fd=$_eventd_free
done
: "${_eventd_fd:=9}"
if ! eval "command exec $_eventd_fd>>\\"\\$_eventd_lock\\"" 2>/dev/null; then
	printf '%s\\n' "@NAME@: can't open the lock $_eventd_lock; not run, as it could not be serialised" >&2
	exit 75
fi
if ! flock -w @WAIT@ "$_eventd_fd"; then
	printf '%s %s\\n' "@NAME@: not run: waited @WAIT@ s for its turn, something else holds $_eventd_lock" \\
		"(see: fuser -v $_eventd_lock)" >&2
	exit 75
fi
export CTDB_EVENTD_HOLDS="$CTDB_EVENTD_HOLDS @LOCK@:$$"
_eventd_run='exec "$_eventd_real" "$@"'
# "Terminated" and the like are for the caller's shell to say.
_eventd_quiet=
if [ -n "$_eventd_err" ]; then
	_eventd_run="$_eventd_run 2>&$_eventd_err $_eventd_err>&-"
	_eventd_quiet="$_eventd_err>&2 2>/dev/null"
fi
_eventd_signals="HUP INT QUIT ALRM USR1 USR2 TERM"
# Caught, not ignored: the command has its defaults, and what the caller ignores stays ignored.
trap : $_eventd_signals
_eventd_status=0
_eventd_run="( $_eventd_run )"
@KEEP_OUTPUT@eval "{ $_eventd_run || _eventd_status=\\$?; } $_eventd_quiet"
# The command has gone. Nothing may keep this from being done now.
trap '' $_eventd_signals
@UNLOCK@eval "exec $_eventd_fd>&-"
trap - $_eventd_signals
@PASS_ON@# 128 and the number of a signal that can end a process: taken for that, since no shell can tell whether the
# command exited with such a status.
if [ "$_eventd_status" -gt 128 ] && _eventd_signal=$(kill -l "$_eventd_status" 2>/dev/null); then
	case $_eventd_signal in
	'' | CHLD | CLD | CONT | STOP | TSTP | TTIN | TTOU | URG | WINCH) ;;
	*)
		ulimit -c 0
		kill -s "$_eventd_signal" $$
		;;
	esac
fi
exit "$_eventd_status"
"""

# Inserted before the lock is taken: the writer of the pipe may need the lock itself: `iptables-save |
# iptables-restore`.
_READ_FIRST = """\
if [ -p /proc/self/fd/0 ]; then
	if ! { _eventd_input=$(mktemp @SPOOL@/@NAME@.XXXXXX) && cat >"$_eventd_input" && exec <"$_eventd_input"; }; then
		printf '%s\\n' "@NAME@: not run: its input could not be kept in @SPOOL@ (see: df @SPOOL@)" >&2
		rm -f "$_eventd_input"
		exit 75
	fi
	rm -f "$_eventd_input"
fi
"""
# The counterpart: the reader of the pipe may need the lock before it has read everything. So a listing is complete, and
# the lock released, before the first byte is written. The shell's memory holds it: commands such as iptables-save don't
# check whether their output could be written, so on a full disk half a listing would count as complete. The shell in
# between waits for the command like the wrapper; a mark at the end preserves trailing line breaks.
_KEEP_OUTPUT = """\
_eventd_lists=
case @NAME@ in *-save) _eventd_lists=yes ;; esac
for _eventd_word; do
	case $_eventd_word in --list*|-[!-]*[LS]*|-[LS]*) _eventd_lists=yes ;; esac
done
_eventd_output=.
if [ -n "$_eventd_lists" ] && [ -p /proc/self/fd/1 ]; then
	_eventd_run="_eventd_output=\\$(
		trap : $_eventd_signals
		$_eventd_run
		_eventd_status=\\$?
		echo .
		exit \\$_eventd_status
	)"
fi
"""
_PASS_ON = """\
printf '%s' "${_eventd_output%.}"
"""
# For commands that may leave a process running, which has a copy of the descriptor.
_UNLOCK = """\
flock -u "$_eventd_fd"
"""


class Wrappers:
    """The directory of wrappers, which is first in the scripts' PATH.

    Attributes:
        directory: Directory of the wrappers.
        locks: Directory of their lock files, each named after its lock.
    """

    def __init__(self, *, state_dir: str, run_dir: str) -> None:
        """Builds the paths; writes nothing yet.

        Args:
            state_dir: The wrappers are below it, as the run directory is often mounted noexec.
            run_dir: The lock files are below it.
        """
        self.directory = os.path.join(state_dir, "eventd", "bin")
        self.locks = os.path.join(run_dir, "eventd.locks")
        self._spool = os.path.join(run_dir, "eventd.spool")

    def write(self, config: Config) -> frozenset[str]:
        """Writes a wrapper for each serialised command, and removes those of commands that are no longer serialised.

        A running wrapper continues unchanged.

        Returns:
            The names of the wrappers' locks.

        Raises:
            StartupError: They can't be written.
        """
        if ":" in self.directory:
            reason = "has a colon in its name: scripts could not find programs there by PATH"
            raise StartupError(f"{self.directory} {reason}")
        names = dict.fromkeys(IPTABLES, "iptables") | {name: name for name in config.serialise if name not in IPTABLES}
        try:
            own_directory(os.path.dirname(self.directory), 0o755)
            own_directory(self.directory, 0o755)
            own_directory(self.locks)
            own_directory(self._spool)
            for stale in set(os.listdir(self.directory)) - {*names, _MARK}:
                _remove(os.path.join(self.directory, stale))
            os.close(own_file(os.path.join(self.directory, _MARK)))
            self._sweep()
            for name, lock in names.items():
                self._write(name, lock, config.command_wait)
        except OSError as error:
            raise StartupError(f"can't write the command wrappers in {self.directory}: {error}") from error
        if not os.access(os.path.join(self.directory, IPTABLES[0]), os.X_OK):
            raise StartupError(f"programs in {self.directory} can't be executed: is it mounted noexec?")
        return frozenset(names.values())

    def _write(self, name: str, lock: str, wait: float) -> None:
        text = _WRAPPER
        lists = lock == IPTABLES[0] and not name.endswith("-restore")
        for mark, value in (
            ("@PREPARE@", _READ_FIRST if name.endswith("-restore") else ""),
            ("@KEEP_OUTPUT@", _KEEP_OUTPUT if lists else ""),
            ("@UNLOCK@", "" if lock == IPTABLES[0] else _UNLOCK),
            ("@PASS_ON@", _PASS_ON if lists else ""),
            ("@NAME@", name),
            ("@MARK@", _MARK),
            ("@LOCK@", lock),
            ("@SPOOL@", shlex.quote(self._spool)),
            ("@FILE@", shlex.quote(os.path.join(self.locks, lock))),
            ("@DIRECTORY@", shlex.quote(self.directory)),
            ("@WAIT@", f"{wait:g}"),
        ):
            text = text.replace(mark, value)
        # created here: the first script that needs it may have any umask
        os.close(own_file(os.path.join(self.locks, lock)))
        path = os.path.join(self.directory, name)
        if os.path.isdir(path):
            _remove(path)
        # a new file that replaces the old one, since a running shell continues to read its file
        # never writable by others, whatever the umask is: who has it open for writing keeps that
        fd = os.open(f"{path}.new", os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o700)
        with open(fd, "w", encoding="utf-8", errors="surrogateescape") as file:
            file.write(text)
            os.fchmod(fd, 0o755)
        os.rename(f"{path}.new", path)

    def _sweep(self) -> None:
        """Removes temporary files with input that killed wrappers left."""
        for entry in os.scandir(self._spool):
            with contextlib.suppress(FileNotFoundError):  # its wrapper has just removed it
                if time.time() - entry.stat(follow_symlinks=False).st_mtime > _LEFT_OVER_AGE:
                    _remove(entry.path)

    def remove(self) -> None:
        """Removes the wrappers. The lock files stay: a new file would not exclude holders of the old one."""
        import shutil

        shutil.rmtree(self.directory, ignore_errors=True)


def _remove(path: str) -> None:
    try:
        os.unlink(path)
    except IsADirectoryError:
        import shutil

        shutil.rmtree(path)
