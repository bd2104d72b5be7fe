"""Finds out why a daemon closed a connection without an answer: unknown dialect, or no access for this user."""

from __future__ import annotations

import os
import socket

from ctdb_eventd.protocol import frames

__all__ = ["hangs_up_on_native", "refuses"]

_ANSWER_TIMEOUT = 1.0
"""Seconds. A daemon of either kind answers or closes the connection at once, unless it hangs."""


def hangs_up_on_native(path: str) -> bool:
    """Returns whether the server that listens there closes the connection at once when it gets the native preface.

    The end of an earlier connection doesn't prove that: our own daemon sends nothing either before its first answer.
    """
    return _hangs_up(path, frames.PREFACE + frames.request(1, "ping", {}))


def refuses(path: str) -> bool:
    """Returns whether the daemon closes every connection of this user.

    Ours does so for a user without any rights, before the first request; CTDB's own only after invalid bytes.
    """
    try:
        allowed = 0, os.stat(path).st_uid  # the socket belongs to the daemon's own user
    except OSError:
        return False
    return os.geteuid() not in allowed and _hangs_up(path, b"")


def _hangs_up(path: str, data: bytes) -> bool:
    """Returns whether the server answers these bytes by closing the connection.

    Tries twice: a connection in the accept queue of a daemon that is being killed is closed too, but only once.
    """
    return _hangs_up_now(path, data) and _hangs_up_now(path, data)


def _hangs_up_now(path: str, data: bytes) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(_ANSWER_TIMEOUT)
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
