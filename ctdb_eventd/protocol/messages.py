"""What clients and the broker say to each other, as frozen values; the same for every dialect.

Names are text with undecodable bytes kept as surrogates; output is bytes and passes through unharmed. May know the
model and attrs, no encoding. Which reply belongs to which request is the connection's to tell (by request ids).
"""

from __future__ import annotations

import attrs

from ctdb_eventd.model import EventReport, EventSpec

__all__ = [
    "Message",
    "Reply",
    "Request",
    "RunReply",
    "RunRequest",
    "ScriptReply",
    "ScriptRequest",
    "StatusReply",
    "StatusRequest",
]


@attrs.frozen
class RunRequest:
    """Run an event."""

    spec: EventSpec


@attrs.frozen
class StatusRequest:
    """Ask how an event's latest run went."""

    component: str
    event: str


@attrs.frozen
class ScriptRequest:
    """Enable or disable a script."""

    component: str
    script: str
    enable: bool


@attrs.frozen
class RunReply:
    """An event is over."""

    result: int
    """0 or a positive errno: ENOEXEC a script failed, ETIMEDOUT, ECANCELED, ENOENT, EINVAL, EIO."""


@attrs.frozen
class StatusReply:
    """How an event's latest run went, or why that can't be said."""

    result: int
    """0, or a positive errno; then there is no report."""
    report: EventReport | None
    """Present exactly if the result is 0."""


@attrs.frozen
class ScriptReply:
    """A script was enabled or disabled, or not."""

    result: int
    """0 or a positive errno."""


Request = RunRequest | StatusRequest | ScriptRequest
Reply = RunReply | StatusReply | ScriptReply
Message = Request | Reply
