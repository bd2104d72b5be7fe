"""The messages between clients and the broker, as frozen values.

The first half are messages of the CTDB dialect, the second those of the native one: a call by name with parameters, and
replies with plain values. Names are text with undecodable bytes as surrogates; output is bytes and is not changed. May
import the model and attrs, but knows no encoding. Request ids are not part of most messages: the connection pairs
requests and replies.
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
    """The run's id, if a previous program in this process has assigned it; else empty."""


@attrs.frozen
class StatusRequest:
    """Get the result of an event's latest run."""

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
    """The result of running an event."""

    result: int
    """0 or a positive errno: ENOEXEC a script failed, ETIMEDOUT, ECANCELED, ENOENT, EINVAL, EIO."""


@attrs.frozen
class StatusReply:
    """The result of an event's latest run, or an error."""

    result: int
    """0, or a positive errno, without a report."""
    report: EventReport | None
    """Present if and only if the result is 0."""


@attrs.frozen
class ScriptReply:
    """The result of enabling or disabling a script."""

    result: int
    """0 or a positive errno."""


@attrs.frozen
class Call:
    """A call of a method by name."""

    id: int
    """The request's id; `cancel` may name it."""
    method: str
    params: Mapping[str, Any]
    run: str = attrs.field(default="", repr=False)
    """The id of the requested run, if a previous program in this process has assigned it; else empty."""


@attrs.frozen(eq=False, repr=False)
class Packed:
    """An encoded value: a value that is sent often is encoded only once."""

    data: bytes


@attrs.frozen
class Result:
    """The reply to a successful call."""

    value: Any
    """Plain values, or a Packed one."""


@attrs.frozen
class Failure:
    """The reply to a failed call."""

    code: str
    """Name of an errno, such as ENOENT."""
    message: str
    """For users."""
    data: Mapping[str, Any]
    """For programs: `kind`, and the details of the message."""


@attrs.frozen
class Note:
    """A notification between a call and its reply."""

    kind: str
    number: int
    """One more than that of the previous note."""
    data: Mapping[str, Any]


@attrs.frozen(eq=False, repr=False)
class Notes:
    """Several notes at once. Compared by identity, so that subscribers to the same events share its encoding."""

    notes: tuple[Note, ...]


Request = RunRequest | StatusRequest | ScriptRequest | Call
Reply = RunReply | StatusReply | ScriptReply | Result | Failure | Note | Notes
