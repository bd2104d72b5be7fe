"""The daemon's part of ctdb.conf: read, checked, and as one frozen value.

ctdb.conf belongs to all of CTDB's daemons, so sections that are not ours are skipped unread. In `[logging]` and
`[event]`, which we share, an unknown key is a warning, since a later CTDB may bring one; in `[eventd]`, ours alone, it
is an error: a misspelt limit must not be silently without effect. In `[locks]` a key that is no setting names a lock.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, cast

import attrs

from ctdb_eventd.errors import ConfigError
from ctdb_eventd.scripts import NAME_RULES, is_lock_name, shown_name

if TYPE_CHECKING:
    from ctdb_eventd.scripts import NameRule

__all__ = ["LOG_LEVELS", "SYSLOG_METHODS", "Config", "load", "parse"]

_LOG_LEVEL_ALIASES = {"ERR": "ERROR", "0": "ERROR", "1": "WARNING", "2": "NOTICE", "3": "INFO", "4": "INFO"} | {
    str(number): "DEBUG" for number in range(5, 11)
}
LOG_LEVELS = ("ERROR", "WARNING", "NOTICE", "INFO", "DEBUG")
"""From least to most talkative."""
SYSLOG_METHODS = ("nonblocking", "udp", "udp-rfc5424")
"""What may follow `syslog:`; plain `syslog` uses syslog(3)."""


@attrs.frozen(kw_only=True)
class Config:
    """Everything that the configuration decides; the defaults are what a missing file means."""

    log_location: str | None = None
    """`file:PATH`, `file:` (stderr), `syslog` or `syslog:METHOD`; None if not configured."""
    log_level: str = "NOTICE"
    """One of LOG_LEVELS."""
    debug_script: str | None = None
    """Base name, looked up in the configuration directory; None if hung scripts are not looked at."""
    script_names: NameRule = "auto"
    """Which file names are event scripts: one of `scripts.NAME_RULES`."""
    kill_grace: float = 5.0
    """Seconds between TERM and KILL for a process group that has to end."""
    debug_timeout: float = 60.0
    """Seconds that the debug script may take before it is ended itself; 0 is no limit."""
    max_output: int = 1 << 20
    """Bytes of a script's output that are kept."""
    max_packet: int = 1 << 20
    """Longest request packet, in bytes."""
    max_scripts: int = 256
    """Scripts that run at once at the most, however idle the processors are."""
    queue_timeout: float | None = None
    """Seconds that a request may wait before it starts; None is no limit."""
    command_wait: float = 30.0
    """Seconds that a serialised command waits for its turn before it fails."""
    serialise: tuple[str, ...] = ()
    """Commands that scripts run one at a time, besides iptables and its kin."""
    locks: Mapping[str, tuple[str, ...]] = attrs.field(factory=dict)
    """For each lock the shown names of the scripts that hold it while they run."""
    warnings: tuple[str, ...] = ()
    """What looked wrong but harms nothing; to be logged."""


@attrs.frozen(kw_only=True)
class _Line:
    file: str
    number: int
    section: str
    key: str
    value: str
    has_value: bool = True

    def error(self, expected: str) -> ConfigError:
        value = self.value if self.has_value or not self.key else None
        return ConfigError(self.file, self.number, expected, section=self.section, key=self.key, value=value)


def _log_level(line: _Line) -> str:
    level = _LOG_LEVEL_ALIASES.get(line.value.upper(), line.value.upper())
    if level not in LOG_LEVELS:
        raise line.error(f"expected one of {', '.join(LOG_LEVELS)}")
    return level


def _log_location(line: _Line) -> str:
    kind, colon, rest = line.value.partition(":")
    if kind == "file" and colon and (not rest or rest.startswith("/")):
        return line.value
    if kind == "syslog" and (not colon or rest in SYSLOG_METHODS):
        return line.value
    methods = "|".join(SYSLOG_METHODS)
    raise line.error(f"expected file:/ABSOLUTE/PATH, file: (standard error), syslog or syslog:{methods}")


def _debug_script(line: _Line) -> str | None:
    if not line.value:
        return None
    if "/" in line.value:
        raise line.error("expected the base name of a script in the configuration directory, without a slash")
    path = os.path.join(os.path.dirname(line.file), line.value)
    if not os.path.isfile(path):
        raise line.error(f"expected an executable file, but {path} does not exist or is none")
    if not os.access(path, os.X_OK):
        raise line.error(f"expected an executable file, but {path} is not executable (chmod +x {path})")
    return line.value


def _script_names(line: _Line) -> NameRule:
    if line.value not in NAME_RULES:
        raise line.error(f"expected one of {', '.join(NAME_RULES)}")
    return cast("NameRule", line.value)


_MOST_SECONDS = 365 * 24 * 3600


def _seconds(line: _Line) -> float:
    if not re.fullmatch(r"[0-9]+(\.[0-9]+)?", line.value):
        raise line.error("expected seconds, such as 5 or 0.5")
    if (seconds := float(line.value)) > _MOST_SECONDS:
        raise line.error(f"expected at most {_MOST_SECONDS} seconds, which is a year")
    return seconds


def _size(minimum: int) -> Callable[[_Line], int]:
    def parse_size(line: _Line) -> int:
        found = re.fullmatch(r"([0-9]{1,10}) ?([KMkm]?)", line.value)
        size = int(found[1]) * {"": 1, "K": 1 << 10, "M": 1 << 20}[found[2].upper()] if found else -1
        if not minimum <= size <= 1 << 30:
            raise line.error(f"expected bytes from {minimum} to 1024 M, such as 65536, 64 K or 1 M")
        return size

    return parse_size


def _count(line: _Line) -> int:
    if not re.fullmatch(r"[0-9]{1,6}", line.value) or int(line.value) < 1:
        raise line.error("expected a whole number from 1 to 999999")
    return int(line.value)


def _limit(line: _Line) -> float | None:
    return _seconds(line) or None


# what the wrappers are made of
_NEVER_SERIALISED = frozenset({"sh", "flock", "cat", "mktemp", "rm"})


def _command_names(line: _Line) -> tuple[str, ...]:
    names = tuple(line.value.split())
    for name in names:
        if name in _NEVER_SERIALISED:
            raise line.error(f"expected commands that don't serve to serialise others: not {name}")
        if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._+-]*", name):
            raise line.error(f'expected names of commands, separated by blanks, without their directory: not "{name}"')
    return names


def _lock(line: _Line) -> tuple[str, ...]:
    if not is_lock_name(line.key):
        raise line.error("expected the name of a lock: letters, digits, dots, dashes and underscores")
    scripts = tuple(line.value.split())
    for script in scripts:
        if shown_name(f"{script}.script") != script or script.endswith((".script", ",")):
            raise line.error(f'expected names of scripts as they are shown, such as 60.nfs: not "{script}"')
    return scripts


_Parser = Callable[[_Line], Any]
_KEYS: dict[str, dict[str, tuple[str, _Parser]]] = {
    "logging": {"location": ("log_location", _log_location), "log level": ("log_level", _log_level)},
    "event": {"debug script": ("debug_script", _debug_script)},
    "eventd": {
        "script names": ("script_names", _script_names),
        "kill grace": ("kill_grace", _seconds),
        "debug timeout": ("debug_timeout", _seconds),
        "max output": ("max_output", _size(1024)),
        "max packet": ("max_packet", _size(4096)),
        "max scripts": ("max_scripts", _count),
        "queue timeout": ("queue_timeout", _limit),
    },
    "locks": {"serialise": ("serialise", _command_names), "command wait": ("command_wait", _seconds)},
}
_OURS_ALONE = frozenset({"eventd"})
_LOCKS = "locks"
_OURS = _OURS_ALONE | {_LOCKS}
_DEFAULTS = os.path.join(os.path.dirname(__file__), "defaults.conf")


def load(path: str) -> Config:
    """Reads ctdb.conf; a file that doesn't exist means the defaults.

    Raises:
        ConfigError: The file can't be read, or a line of ours can't be used.
    """
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            text = file.read()
    except FileNotFoundError:
        text = ""
    except OSError as error:
        raise ConfigError(path, 0, f"can't be read: {error.strerror}") from error
    return parse(text, path)


def parse(text: str, path: str) -> Config:
    """Reads a configuration's text; `path` is for messages and to look up the debug script beside it.

    Raises:
        ConfigError: A line of ours can't be used; it names every such line.
    """
    values: dict[str, Any] = {}
    locks: dict[str, tuple[str, ...]] = {}
    warnings: list[str] = []
    errors: list[ConfigError] = []
    for line in (*_lines(_defaults(), _DEFAULTS), *_lines(text, path)):
        try:
            if (warning := _take(line, values, locks)) is not None:
                warnings.append(str(warning))
        except ConfigError as error:
            errors.append(error)
    if errors:
        first, *others = errors
        first.others = tuple(map(str, others))
        raise first
    return Config(**values, locks=locks, warnings=tuple(warnings))


@cache  # an upgrade may take the file away from under a daemon that runs
def _defaults() -> str:
    with open(_DEFAULTS, encoding="utf-8") as file:
        return file.read()


def _take(line: _Line, values: dict[str, Any], locks: dict[str, tuple[str, ...]]) -> ConfigError | None:
    """Puts what a line says into `values` or `locks`; returns what is wrong with it if that may be passed over."""
    if not line.section:
        return line.error("ignored: expected a [section] before the first key")
    keys = _KEYS[line.section]
    if not line.has_value:
        if line.section in _OURS:
            raise line.error('expected "key = value"')
        return line.error('ignored: expected "key = value"')
    if line.key.lower() in keys:
        field, parser = keys[line.key.lower()]
        values[field] = parser(line)
    elif line.section == _LOCKS:
        locks[line.key] = _lock(line)
    elif line.section in _OURS_ALONE:
        raise line.error(f"unknown key, expected one of {_alternatives(keys)}")
    else:
        return line.error(f"unknown key is ignored; known here: {_alternatives(keys)}")
    return None


def _alternatives(keys: Mapping[str, object]) -> str:
    return ", ".join(f'"{key}"' for key in keys)


def _lines(text: str, path: str) -> Iterator[_Line]:
    """Yields the lines in our sections; whatever stands elsewhere is for other daemons to judge."""
    section = ""
    for number, raw in _joined(text):
        stripped = raw.strip()
        if not stripped or stripped[0] in "#;":
            continue
        if stripped[0] == "[":
            section = stripped[1:].partition("]")[0].strip().lower()
            continue
        if section and section not in _KEYS:
            continue
        key, equals, value = stripped.partition("=")
        key = " ".join(key.split())
        yield _Line(
            file=path, number=number, section=section, key=key, value=value.strip(), has_value=bool(equals and key)
        )


def _joined(text: str) -> Iterator[tuple[int, str]]:
    """Yields lines with their numbers; one that ends in a backslash goes on in the next."""
    start, whole = 0, ""
    for number, line in enumerate(text.split("\n"), 1):
        start = start or number
        whole += line.rstrip()
        if whole.endswith("\\"):
            whole = whole[:-1] + " "
            continue
        yield start, whole
        start, whole = 0, ""
    if whole:
        yield start, whole
