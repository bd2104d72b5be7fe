"""The format of log lines: plain text, the format of CTDB's own log, or JSON; and a rate limit for repeated lines.

Works on records of `logging`; doesn't know where they are written. A record's attribute `about` has its metadata, such
as the run (`extra={"about": {…}}`), and its attribute `tail` is text that is appended to plain lines.
"""

from __future__ import annotations

import json
import logging
import os
import syslog
import time
import traceback
from collections.abc import Mapping
from typing import Any

from ctdb_eventd.text import escaped, shown

__all__ = [
    "NOTICE",
    "PROGRAM",
    "BareLine",
    "JsonLine",
    "LossRecord",
    "RateLimited",
    "StampedLine",
    "WallClock",
    "harmless",
    "known",
    "priority",
]

NOTICE = logging.INFO + 5
"""CTDB's level between INFO and WARNING; its default."""
PROGRAM = "ctdb-eventd"

_PRIORITIES = {
    logging.ERROR: syslog.LOG_ERR,
    logging.WARNING: syslog.LOG_WARNING,
    NOTICE: syslog.LOG_NOTICE,
    logging.INFO: syslog.LOG_INFO,
    logging.DEBUG: syslog.LOG_DEBUG,
}
_LONGEST = 8192
"""Characters of a line, and of the traceback after it, that are written."""
_FRAMES = 20
"""Frames of a traceback that are written: the innermost ones."""

_SELDOM = 60.0
"""Seconds between two lines with the same message about the same peer."""
_MOST_PEERS = 1000


def priority(record: logging.LogRecord) -> int:
    """Returns a record's level as a priority of syslog and the journal."""
    return _PRIORITIES.get(record.levelno, syslog.LOG_ERR)


def harmless(text: str) -> str:
    """Returns a text as one line of limited length without control characters: foreign text can't forge log lines."""
    line = escaped(text[:_LONGEST].replace("\n", " | "), "\t")
    if len(text) <= _LONGEST and len(line) <= _LONGEST:
        return line
    return f"{line[:_LONGEST]}… (cut, {len(text)} characters in all)"


def known(record: logging.LogRecord) -> dict[str, Any]:
    """Returns a record's metadata without None values; texts are escaped by `harmless`."""
    about: Mapping[str, object] = getattr(record, "about", None) or {}
    return {name: _plain(value) for name, value in about.items() if value is not None}


def _plain(value: object) -> object:
    if isinstance(value, str):
        return harmless(value)
    return [_plain(one) for one in value] if isinstance(value, tuple) else value


class LossRecord(logging.LogRecord):
    """Reports lost log lines."""

    def __init__(self, lost: int, why: str) -> None:
        """Reports their number and the reason."""
        text = "%d log lines before this one were lost: %s"
        super().__init__(__name__, logging.ERROR, "", 0, text, (lost, why), None)


class WallClock:
    """Formats times as in CTDB's log: local time with microseconds and offset."""

    def __init__(self) -> None:
        """Starts with an empty cache."""
        self._second = -1
        self._date = self._zone = ""

    def __call__(self, moment: float) -> str:
        """Formats a time in seconds since the epoch."""
        second, fraction = divmod(moment, 1)
        if second != self._second:
            local = time.localtime(second)
            zone = time.strftime("%z", local)
            self._date, self._zone = time.strftime("%Y-%m-%dT%H:%M:%S", local), f"{zone[:3]}:{zone[3:]}"
            self._second = int(second)
        return f"{self._date}.{int(fraction * 1e6):06d}{self._zone}"


class BareLine(logging.Formatter):
    """One record, one line: of limited length, without control characters; lines of a traceback are joined."""

    def format(self, record: logging.LogRecord) -> str:
        """Formats a record."""
        line = self._text(record) + getattr(record, "tail", "")
        trace = self._traceback(record)
        return line if trace is None else f"{line} | {trace}"

    def _text(self, record: logging.LogRecord) -> str:
        try:
            text = record.getMessage()
        except Exception:
            # The caller passed wrong arguments: a clumsy line is better than none, or than an exception in the caller.
            text = f"{record.msg} {shown(record.args)}"
        return harmless(text)

    def _traceback(self, record: logging.LogRecord) -> str | None:
        if not record.exc_info:
            return None
        return harmless("".join(traceback.format_exception(*record.exc_info, limit=-_FRAMES)).rstrip())


class StampedLine(BareLine):
    """Prefixes lines with time, host and process, in the format of CTDB's own log."""

    def __init__(self, host: str) -> None:
        """Formats lines of the node `host`."""
        super().__init__()
        self._tail = f" {host} {PROGRAM}[{os.getpid()}]: "
        self._clock = WallClock()

    def format(self, record: logging.LogRecord) -> str:
        """Formats a record."""
        return f"{self._clock(record.created)}{self._tail}{super().format(record)}"


class JsonLine(BareLine):
    """One record, one line with a JSON object."""

    def __init__(self, host: str) -> None:
        """Formats lines of the node `host`."""
        super().__init__()
        self._host = harmless(host)
        self._clock = WallClock()

    def format(self, record: logging.LogRecord) -> str:
        """Formats a record."""
        value = {
            "time": self._clock(record.created),
            "level": record.levelname,
            "host": self._host,
            "pid": os.getpid(),
            "message": self._text(record),
            **known(record),
        }
        trace = self._traceback(record)
        if trace is not None:
            value["traceback"] = trace
        return json.dumps(value, ensure_ascii=False)


class RateLimited(logging.Filter):
    """Passes one line a minute with the same message about the same peer; it has the number of suppressed lines.

    Only records with an attribute `seldom` (`extra={"seldom": …}`), which is the peer, are limited.
    """

    def __init__(self) -> None:
        """Starts with no lines logged."""
        super().__init__()
        self._held_back: dict[tuple[str, object], tuple[float, int]] = {}  # last logged at, suppressed since

    def filter(self, record: logging.LogRecord) -> bool:
        """Returns whether a record is logged."""
        peer = getattr(record, "seldom", None)
        if peer is None:
            return True
        since, count = self._held_back.get((record.msg, peer), (record.created - _SELDOM, 0))
        if 0 <= record.created - since < _SELDOM:
            self._held_back[record.msg, peer] = since, count + 1
            return False
        self._held_back.pop((record.msg, peer), None)
        if len(self._held_back) >= _MOST_PEERS:
            del self._held_back[next(iter(self._held_back))]
        self._held_back[record.msg, peer] = record.created, 0
        if count:
            record.msg, record.args = f"%s (since the last such line: {count} more)", (record.getMessage(),)
        return True
