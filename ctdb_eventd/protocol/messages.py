"""What clients and the broker say to each other, as frozen values.

The first half is what the CTDB dialect can say, the second what the native one does: a call by name with parameters,
and answers of plain values. Names are text with undecodable bytes kept as surrogates; output is bytes and passes
through unharmed. May know the model and attrs, no encoding. Which reply belongs to which request is the connection's
to tell (by request ids).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from ctdb_eventd.model import EventReport, EventSpec

__all__ = [
    "Call",
    "Failure",
    "Note",
    "Notes",
    "Packed",
    "Reply",
    "Request",
    "Result",
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
    run: str = attrs.field(default="", repr=False)
    """The run's id, if a former program in this process has given it one; else empty."""


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


@attrs.frozen
class Call:
    """A client asks for something by name."""

    id: int
    """Of the request: `cancel` may name it."""
    method: str
    params: Mapping[str, Any]
    run: str = attrs.field(default="", repr=False)
    """The id of the run that it asks for, if a former program in this process has given it one; else empty."""


@attrs.frozen(eq=False)
class Packed:
    """A value in its encoded form: what is sent again and again is encoded once."""

    data: bytes


@attrs.frozen
class Result:
    """The answer to a call: it was carried out."""

    value: Any
    """Plain values, or Packed ones."""


@attrs.frozen
class Failure:
    """The answer to a call: it was not carried out."""

    code: str
    """Name of an errno, such as ENOENT."""
    message: str
    """For a person."""
    data: Mapping[str, Any]
    """For a program: `kind`, and what the message is made of."""


@attrs.frozen
class Note:
    """Something that happened between a call and its answer."""

    kind: str
    number: int
    """One more than that of the note before."""
    data: Mapping[str, Any]


@attrs.frozen(eq=False)
class Notes:
    """A few notes at once. Compared by identity, so that subscribers of the same share its encoding."""

    notes: tuple[Note, ...]


Request = RunRequest | StatusRequest | ScriptRequest | Call
Reply = RunReply | StatusReply | ScriptReply | Result | Failure | Note | Notes
