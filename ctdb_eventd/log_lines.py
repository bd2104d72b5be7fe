"""How a line of the log looks: bare, in the form of CTDB's own log, or as JSON; and how often the same is said.

Knows records of `logging`, and nothing of where they go. What is known of a record beside its text, such as the run
that it is about, is in its attribute `about` (`extra={"about": {…}}`), and what text has behind it in `tail`.
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
    "Seldom",
    "StampedLine",
    "WallClock",
    "harmless",
    "known",
    "priority",
]

NOTICE = logging.INFO + 5
"""CTDB's level between INFO and WARNING, its default."""
PROGRAM = "ctdb-eventd"

_PRIORITIES = {
    logging.ERROR: syslog.LOG_ERR,
    logging.WARNING: syslog.LOG_WARNING,
    NOTICE: syslog.LOG_NOTICE,
    logging.INFO: syslog.LOG_INFO,
    logging.DEBUG: syslog.LOG_DEBUG,
}
_LONGEST = 8192
"""Characters of a line, and of the traceback behind it, that are written."""
_FRAMES = 20
"""Of a traceback: the innermost ones."""

_SELDOM = 60.0
"""Seconds between two lines that say the same of the same peer."""
_MOST_PEERS = 1000


def priority(record: logging.LogRecord) -> int:
    """Returns a record's level as syslog and the journal have it."""
    return _PRIORITIES.get(record.levelno, syslog.LOG_ERR)


def harmless(text: str) -> str:
    """Returns a text as one line of bounded length, in which a stranger's can't rewrite those around it."""
    line = escaped(text[:_LONGEST].replace("\n", " | "), "\t")
    if len(text) <= _LONGEST and len(line) <= _LONGEST:
        return line
    return f"{line[:_LONGEST]}… (cut, {len(text)} characters in all)"


def known(record: logging.LogRecord) -> dict[str, Any]:
    """Returns what is known of a record beside its text, with texts that do no harm; what is None is left out."""
    about: Mapping[str, object] = getattr(record, "about", None) or {}
    return {name: _plain(value) for name, value in about.items() if value is not None}


def _plain(value: object) -> object:
    if isinstance(value, str):
        return harmless(value)
    return [_plain(one) for one in value] if isinstance(value, tuple) else value


class LossRecord(logging.LogRecord):
    """Says that lines were lost."""

    def __init__(self, lost: int, why: str) -> None:
        """Says how many, and why."""
        text = "%d log lines before this one were lost: %s"
        super().__init__(__name__, logging.ERROR, "", 0, text, (lost, why), None)


class WallClock:
    """Writes times as CTDB's log has them: local, with microseconds and zone."""

    def __init__(self) -> None:
        """Starts."""
        self._second = -1
        self._date = self._zone = ""

    def __call__(self, moment: float) -> str:
        """Returns a time, which is given in seconds since the epoch."""
        second, fraction = divmod(moment, 1)
        if second != self._second:
            local = time.localtime(second)
            zone = time.strftime("%z", local)
            self._date, self._zone = time.strftime("%Y-%m-%dT%H:%M:%S", local), f"{zone[:3]}:{zone[3:]}"
            self._second = int(second)
        return f"{self._date}.{int(fraction * 1e6):06d}{self._zone}"


class BareLine(logging.Formatter):
    """One event, one line: bounded, without anything that a terminal would obey; lines of a traceback are joined."""

    def format(self, record: logging.LogRecord) -> str:
        """Returns a record's line."""
        line = self._text(record) + getattr(record, "tail", "")
        trace = self._traceback(record)
        return line if trace is None else f"{line} | {trace}"

    def _text(self, record: logging.LogRecord) -> str:
        try:
            text = record.getMessage()
        except Exception:
            # A mistake in the caller's arguments: better a clumsy line than none, or an error where it is not expected.
            text = f"{record.msg} {shown(record.args)}"
        return harmless(text)

    def _traceback(self, record: logging.LogRecord) -> str | None:
        if not record.exc_info:
            return None
        return harmless("".join(traceback.format_exception(*record.exc_info, limit=-_FRAMES)).rstrip())


class StampedLine(BareLine):
    """Puts time, host and process in front, in the form of CTDB's own log."""

    def __init__(self, host: str) -> None:
        """Makes lines of this node, named `host`."""
        super().__init__()
        self._tail = f" {host} {PROGRAM}[{os.getpid()}]: "
        self._clock = WallClock()

    def format(self, record: logging.LogRecord) -> str:
        """Returns a record's line."""
        return f"{self._clock(record.created)}{self._tail}{super().format(record)}"


class JsonLine(BareLine):
    """One event, one line, which is a JSON object."""

    def __init__(self, host: str) -> None:
        """Makes lines of this node, named `host`."""
        super().__init__()
        self._host = harmless(host)
        self._clock = WallClock()

    def format(self, record: logging.LogRecord) -> str:
        """Returns a record's line."""
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


class Seldom(logging.Filter):
    """Of lines that say the same of the same peer lets one a minute pass, with the number of those that it held back.

    It is about records with an attribute `seldom` (`extra={"seldom": …}`), which names the peer.
    """

    def __init__(self) -> None:
        """Has let none pass so far."""
        super().__init__()
        self._held_back: dict[tuple[str, object], tuple[float, int]] = {}  # when one was logged, how many not

    def filter(self, record: logging.LogRecord) -> bool:
        """Tells whether a record passes."""
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
