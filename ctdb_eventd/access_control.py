"""Checks what clients may do, and logs refusals and changes, with user and process."""

from __future__ import annotations

import logging
import os
import pwd
import re
from collections.abc import Sequence
from functools import lru_cache

from ctdb_eventd.access import Access, unknown_id
from ctdb_eventd.dispatcher.peer import Peer
from ctdb_eventd.errors import NotAllowed
from ctdb_eventd.logs import NOTICE
from ctdb_eventd.model import EventSpec
from ctdb_eventd.proc import program_of

__all__ = ["AccessControl"]

_log = logging.getLogger(__name__)

_SHOWN = 600
"""Characters of a name, and of a run's arguments, that are logged."""
# characters that could be mistaken for the text around a name
_ODD = re.compile(r"[^A-Za-z0-9_.,:/+@-]")


class AccessControl:
    """Decides what each client may do.

    Attributes:
        access: What the configuration in effect says; may be replaced.
    """

    def __init__(self, config_file: str, ctdbd: int | None = None) -> None:
        """Allows root and the daemon's own user everything, others nothing yet.

        Args:
            config_file: Path of the configuration, for messages.
            ctdbd: The process whose requests are not logged; None if there is none.
        """
        self.access = Access()
        self._config_file = config_file
        self._ctdbd = ctdbd
        self._own_uid = os.geteuid()
        self._unknown_uid = unknown_id("uid")

    def may_all(self, uid: int) -> bool:
        """Returns whether a user may do everything, whatever the configuration says."""
        if uid == 0:
            return True
        # the overflow id may be any user's; only while the socket's mode excludes others it can be trusted
        return uid == self._own_uid and (uid != self._unknown_uid or not self.access.is_open)

    def may_read(self, peer: Peer) -> bool:
        """Returns whether a client may connect and read."""
        uid = peer.uid
        return self.may_all(uid) or (uid != self._unknown_uid and self.access.may_read(uid, peer.groups))

    def check_read(self, peer: Peer, method: str) -> None:
        """Makes sure that a client has the right to read.

        Raises:
            NotAllowed: It may not; that is logged.
        """
        if not self.may_read(peer):
            raise self._refusal(peer, f"use {method}", "read")

    def check_operate(self, peer: Peer, method: str, spec: EventSpec | None = None) -> None:
        """Makes sure that a client has the right to operate this event, or everything if none is given.

        Raises:
            NotAllowed: It may not; that is logged.
        """
        uid = peer.uid
        if self.may_all(uid):
            return
        component, event = (spec.component, spec.event) if spec else ("", "")
        if uid == self._unknown_uid or not self.access.may_operate(uid, peer.groups, component, event):
            name = f"{component}/{event}"
            asked, right = (f"{method} {name}", f"operate {name}") if spec else (f"use {method}", "operate")
            raise self._refusal(peer, asked, right)

    def _refusal(self, peer: Peer, asked: str, right: str) -> NotAllowed:
        user = _user_name(peer.uid)
        self.log_refusal(peer, f"may not {asked[:_SHOWN]}: [access] in {self._config_file} doesn't allow it")
        return NotAllowed(peer.uid, user, asked, right, self._config_file)

    def log_refusal(self, peer: Peer, why: str) -> None:
        """Logs that a client was refused, at most once a minute for each user."""
        extra = {"seldom": peer.uid, "about": self._about(peer)}
        _log.warning("client %d (uid %d): refused, %s", peer.pid, peer.uid, why, extra=extra)

    def is_ctdbd(self, peer: Peer) -> bool:
        """Returns whether a client is ctdbd, whose requests are not logged."""
        return peer.pid == self._ctdbd

    def program(self, peer: Peer) -> str:
        """Returns the name of a client's process, looked up once; empty if it is unknown."""
        if peer.program is None:
            peer.program = "ctdbd" if self.is_ctdbd(peer) else program_of(peer.pid)
        return peer.program

    def audit(self, peer: Peer, action: str, subject: str = "", run: str = "", args: Sequence[str] = ()) -> None:
        """Logs that a client has requested an action, unless it is ctdbd."""
        if self.is_ctdbd(peer):
            return
        if not peer.label:
            user = _shown(_user_name(peer.uid))
            peer.label = f"uid={peer.uid} ({user}) pid={peer.pid} ({_shown(self.program(peer))})"
        text = f"{action} {_shown(subject)}" if subject else action
        if run:
            text += f", run id {run}"
        if args:
            text += f": {' '.join(args)[:_SHOWN]}"
        about = {**self._about(peer), "action": action, "subject": subject or None, "run": run or None}
        _log.log(NOTICE, "%s requested: %s", peer.label, text, extra={"about": about})

    def _about(self, peer: Peer) -> dict[str, object]:
        return {"client_uid": peer.uid, "client_pid": peer.pid, "client_program": self.program(peer)}


@lru_cache(maxsize=256)
def _known_name(uid: int) -> str:
    return pwd.getpwuid(uid).pw_name


def _user_name(uid: int) -> str | None:
    try:
        return _known_name(uid)  # unknown ids aren't cached: a directory service may be down for a while
    except KeyError:
        return None


def _shown(name: str | None) -> str:
    return _ODD.sub(lambda found: f"\\x{ord(found[0]):02x}", name[:_SHOWN]) if name else "?"
