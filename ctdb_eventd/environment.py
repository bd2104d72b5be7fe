"""What the daemon was given at its start, and what of it scripts get: environment, descriptors and signals."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterable, Mapping

from ctdb_eventd.names import HELD_LOCKS, is_for_scripts

__all__ = [
    "HANDLED_SIGNALS",
    "REFUSED",
    "TAKE_OVER",
    "TRY",
    "UPGRADE_SIGNAL",
    "calm_signals",
    "close_on_exec",
    "ensure_standard_descriptors",
    "leave_signals_to_main_thread",
    "name_process",
    "script_environment",
    "spare_from_oom",
]

UPGRADE_SIGNAL = signal.SIGRTMIN + 1
"""Requests an upgrade to the installed program."""
HANDLED_SIGNALS = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2, UPGRADE_SIGNAL)
"""Those to which a daemon that runs does something. They wait while one program replaces another in its process."""
TRY, TAKE_OVER, REFUSED = "--try-state", "--take-over", "--refused"
"""Options that only the daemon itself uses, for another program; each has one argument."""
_DEFAULT_PATH = b"/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_LAST_STANDARD = 2
_SPARED = -900
"""Of 1000: only what the kernel may not end at all is spared more."""


def script_environment(
    environ: Mapping[bytes, bytes], *, first_in_path: str = "", keep: Iterable[str] = ()
) -> dict[bytes, bytes]:
    """Returns the environment for scripts: the daemon's own, less what isn't meant for them, and with a PATH.

    Args:
        environ: The daemon's own.
        first_in_path: Directory whose programs go before all others; empty if there is none.
        keep: Variables that scripts get although they are not meant for them.
    """
    kept = frozenset(keep)
    wanted = {
        name: value
        for name, value in environ.items()
        if is_for_scripts(variable := os.fsdecode(name)) or (variable in kept and variable != HELD_LOCKS)
    }
    path = wanted.get(b"PATH") or _DEFAULT_PATH
    wanted[b"PATH"] = os.fsencode(first_in_path) + b":" + path if first_in_path else path
    return wanted


def calm_signals() -> None:
    """Puts signals into a state in which the daemon can start.

    If the starter ignores SIGCHLD, the kernel keeps no exit statuses. Signals that are requests to a running daemon
    must not end one that is starting; their handlers are set with the event loop.
    """
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    for number in (signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, UPGRADE_SIGNAL):
        signal.signal(number, signal.SIG_IGN)


def leave_signals_to_main_thread() -> None:
    """Blocks the signals that the daemon handles in the calling thread, which isn't the main one.

    While an upgrade blocks them in the main thread, the kernel would deliver them to another one, and they would be
    lost with the former program.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, HANDLED_SIGNALS)


def spare_from_oom(path: str = "/proc/self/oom_score_adj") -> bytes | None:
    """Makes the kernel end other processes first when it is out of memory: without the daemon no event can run.

    Args:
        path: The file with this process's setting.

    Returns:
        The previous value, which scripts get: they would inherit the new one. None if nothing was changed.
    """
    with contextlib.suppress(OSError):
        with open(path, "rb") as file:
            before = file.read().strip()
        if int(before) > _SPARED:
            with open(path, "wb", buffering=0) as file:
                file.write(b"%d" % _SPARED)
            return before
    return None


def name_process(name: str) -> None:
    """Sets the name that `ps -C` and `pgrep` know, however the interpreter was started; at most 15 bytes count."""
    with contextlib.suppress(OSError), open("/proc/self/comm", "w", encoding="ascii") as file:
        file.write(name)


def ensure_standard_descriptors() -> None:
    """Opens /dev/null where standard input, output or error are closed.

    Otherwise a socket or a pipe would get such a number, and be taken for what it is not.
    """
    while (fd := os.open(os.devnull, os.O_RDWR)) <= _LAST_STANDARD:
        os.set_inheritable(fd, True)
    os.close(fd)


def close_on_exec() -> None:
    """Marks every descriptor that we inherited, but the standard ones, so that no script inherits it in turn."""
    for name in os.listdir("/proc/self/fd"):
        fd = int(name)
        if fd > _LAST_STANDARD:
            try:
                os.set_inheritable(fd, False)
            except OSError:
                pass  # the one that listed the directory is closed by now
