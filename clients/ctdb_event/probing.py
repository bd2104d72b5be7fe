"""Finds out why a daemon hung up without a word: it may not know the dialect, or not let this user in."""

from __future__ import annotations

import os
import socket

from ctdb_eventd.protocol import frames

__all__ = ["hangs_up_on_native", "refuses"]

_SOON = 1.0
"""Seconds within which a daemon of either kind answers, or hangs up, unless it is hung itself."""


def hangs_up_on_native(path: str) -> bool:
    """Tells whether the server that listens there now hangs up on the native preface, without a word and at once.

    A connection that ended before the first word does not tell: our own daemon is silent too until it has an answer.
    """
    return _hangs_up(path, frames.PREFACE + frames.request(1, "ping", {}))


def refuses(path: str) -> bool:
    """Tells whether the daemon hangs up on this user whatever it is asked.

    Ours does so on a user who may do nothing, before it is asked; CTDB's own only at bytes that it can't read.
    """
    try:
        allowed = 0, os.stat(path).st_uid  # the socket belongs to the daemon's own user
    except OSError:
        return False
    return os.geteuid() not in allowed and _hangs_up(path, b"")


def _hangs_up(path: str, data: bytes) -> bool:
    """Tells whether the answer to these bytes is the end of the connection.

    Asks twice: what waits in the queue of a daemon that is being killed ends without a word too, but only once.
    """
    return _hangs_up_now(path, data) and _hangs_up_now(path, data)


def _hangs_up_now(path: str, data: bytes) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(_SOON)
        try:
            probe.connect(path)
        except OSError:
            return False
        try:
            probe.sendall(data)
            return not probe.recv(1)
        except TimeoutError:
            return False
        except OSError:
            return True
