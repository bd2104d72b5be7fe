"""Reads and checks the daemon's part of ctdb.conf; the result is one frozen value.

All of CTDB's daemons read ctdb.conf, so sections of other daemons are skipped. In the shared sections `[logging]` and
`[event]`, a value with which CTDB's event daemon starts is no error here: it is interpreted as CTDB does, or ignored,
with a warning. In `[eventd]`, `[history]`, `[notify]`, `[access]` and `[limits]`, which only this daemon reads, an
unknown key is an error: a misspelt limit must not be ignored silently. In `[locks]` a key that is not a setting is the
name of a lock, in `[events]` that of a script.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, Literal

import attrs

from ctdb_eventd.access import Rule
from ctdb_eventd.config_lines import OURS, Line, read
from ctdb_eventd.errors import ConfigError, InvalidName
from ctdb_eventd.handled import ALL, bad_event
from ctdb_eventd.names import HELD_LOCKS, NOT_FOR_SCRIPTS, check_name, is_for_scripts
from ctdb_eventd.scripts import NAME_RULES, is_lock_name, shown_name

if TYPE_CHECKING:
    from ctdb_eventd.scripts import NameRule

__all__ = ["LOG_FORMATS", "LOG_LEVELS", "NOTIFY_KINDS", "SYSLOG_METHODS", "Config", "Limits", "load", "parse"]

LOG_LEVELS = ("ERROR", "WARNING", "NOTICE", "INFO", "DEBUG")
"""In order of increasing verbosity."""
_LOG_LEVEL_NUMBERS = ("ERROR", *("WARNING",) * 2, *("NOTICE",) * 2, *("INFO",) * 5, "DEBUG")
LOG_FORMATS = ("text", "json", "journal")
"""Formats of log lines; `journal` is also a destination."""
SYSLOG_METHODS = ("nonblocking", "udp", "udp-rfc5424")
"""Allowed words after `syslog:`; plain `syslog` uses syslog(3)."""
NOTIFY_KINDS = ("failed", "timed-out", "health", "stuck", "waited")
"""Kinds of notices for an administrator."""


@attrs.frozen(repr=False)
class Limits:
    """Limits of all processes of a component together; None is no limit."""

    memory: int | None = None
    """Bytes."""
    pids: int | None = None
    """Processes and threads."""


@attrs.frozen(kw_only=True, repr=False)
class Config:
    """All settings; the defaults apply if the file doesn't exist."""

    log_location: str | None = None
    """`file:PATH`, `file:` (stderr), `syslog` or `syslog:METHOD`; None if not configured."""
    log_level: str = "NOTICE"
    """One of LOG_LEVELS."""
    log_format: str = "text"
    """One of LOG_FORMATS."""
    debug_script: str | None = None
    """Base name, searched in the configuration directory; None if hung scripts are not examined by one."""
    script_names: NameRule = "auto"
    """Which file names are event scripts: one of `scripts.NAME_RULES`."""
    script_security: Literal["refuse", "warn"] = "refuse"
    """Whether to run scripts that users other than root and the daemon's user can change."""
    kill_grace: float = 5.0
    """Seconds between TERM and KILL for a process group that is ended."""
    upgrade_wait: float = 60.0
    """Seconds that an upgrade waits for the end of running events."""
    debug_timeout: float = 60.0
    """Seconds until the debug script is ended; 0 is no limit."""
    max_output: int = 1 << 20
    """Bytes of a script's output that are kept."""
    max_packet: int = 1 << 20
    """Longest request packet, in bytes."""
    max_scripts: int = 256
    """Maximum number of scripts that run at once, however idle the processors are."""
    start_idle_scripts: bool = False
    """Whether CTDB's own scripts are started also for events that they are known not to handle."""
    queue_timeout: float | None = None
    """Seconds that a request may wait before it starts; None is no limit."""
    keep_environment: tuple[str, ...] = ()
    """Variables of the daemon's environment that are passed to scripts although they are removed by default."""
    command_wait: float = 30.0
    """Seconds that a serialised command waits for the lock before it fails."""
    serialise: tuple[str, ...] = ()
    """Commands that scripts run one at a time, besides iptables and its variants."""
    locks: Mapping[str, tuple[str, ...]] = attrs.field(factory=dict)
    """For each lock, the shown names of the scripts that hold it while they run."""
    events: Mapping[str, tuple[str, ...]] = attrs.field(factory=dict)
    """The events that scripts handle, by the scripts' shown names; `all` is every event."""
    limits: Mapping[str, Limits] = attrs.field(factory=dict)
    """Limits of components; others have none."""
    history_days: float = 90.0
    """Days for which runs are kept in the history; 0 disables it."""
    history_runs: int = 500_000
    """Maximum number of runs in the history."""
    history_size: int = 256 << 20
    """Maximum size of the history's file in bytes."""
    history_output: int = 16 << 10
    """Bytes of a script's output that are kept in the history."""
    notify_command: str | None = None
    """Path of the program that notifies an administrator; None if nobody is notified."""
    notify_on: tuple[str, ...] = NOTIFY_KINDS
    """Kinds of notices that are sent: some of NOTIFY_KINDS."""
    notify_timeout: float = 10.0
    """Seconds until the program is killed."""
    notify_long_wait: float = 10.0
    """Minimum duration in seconds of a wait that is notified of."""
    access: tuple[Rule, ...] = ()
    """Rights of users other than root and the daemon's own user."""
    warnings: tuple[str, ...] = ()
    """Mistakes without consequences, to be logged."""


@attrs.frozen(eq=False, repr=False)
class _Doubtful:
    """A value that CTDB accepts, but whose meaning there is probably not the intended one."""

    value: str
    expected: str


def _log_level(line: Line) -> str | _Doubtful:
    expected = f"expected one of {', '.join(LOG_LEVELS)}"
    text = line.value.upper()
    level = _numbered_level(text) or next((name for name in LOG_LEVELS if text and name.startswith(text)), None)
    if level is None:
        raise line.error(expected)
    is_usual = text in (level, "ERR") or re.fullmatch("[0-9]|10", text)
    return level if is_usual else _Doubtful(level, expected)


def _numbered_level(text: str) -> str | None:
    """Returns the level that CTDB reads from a number: the leading digits, as a 32-bit integer."""
    digits = re.match(r"0*([0-9]{1,19})(?![0-9])", text)
    number = int(digits[1]) & 0xFFFFFFFF if digits else -1
    return _LOG_LEVEL_NUMBERS[number] if 0 <= number < len(_LOG_LEVEL_NUMBERS) else None


def _log_location(line: Line) -> str | _Doubtful:
    expected = "expected file:/ABSOLUTE/PATH, file: (standard error), syslog or syslog:" + "|".join(SYSLOG_METHODS)
    kind, option = [*(part for part in line.value.split(":") if part), "", ""][:2]
    if kind == "file":
        location = f"file:{_absolute(option) if option not in ('', '-') else ''}"
    elif kind == "syslog" and option in ("", *SYSLOG_METHODS):
        location = f"syslog:{option}" if option else kind
    else:
        raise line.error(expected)
    return location if location == line.value else _Doubtful(location, expected)


def _log_format(line: Line) -> str | _Doubtful:
    # CTDB's daemons ignore this key whatever its value, so an invalid value must not prevent a node from starting
    word = line.value.lower()
    return word if word in LOG_FORMATS else _Doubtful(LOG_FORMATS[0], f"expected one of {', '.join(LOG_FORMATS)}")


def _absolute(path: str) -> str:
    try:
        return path if path.startswith("/") else os.path.join(os.getcwd(), path)
    except OSError:  # the working directory was removed
        return path


def _debug_script(line: Line) -> str | _Doubtful | None:
    if not line.value:
        return None
    directory = os.path.dirname(line.file)
    name = os.path.basename(line.value.rstrip("/"))
    path = os.path.join(directory, name)
    if not os.path.isfile(path):
        raise line.error(f"expected an executable file, but {path} does not exist or is not a file")
    if not os.access(path, os.X_OK):
        raise line.error(f"expected an executable file, but {path} is not executable (chmod +x {path})")
    if name == line.value:
        return name
    # CTDB checks the former, and then runs the latter
    below = line.value.lstrip("/")
    is_script = os.path.isfile(os.path.join(directory, below)) and os.access(os.path.join(directory, below), os.X_OK)
    expected = "expected the base name of a script in the configuration directory, without a slash"
    return _Doubtful(below if is_script else name, expected)


def _program(line: Line) -> str | None:
    if not line.value:
        return None
    if not line.value.startswith("/"):
        raise line.error("expected the absolute path of a program, without arguments")
    return line.value  # a missing program must not prevent a node from starting


def _notify_kinds(line: Line) -> tuple[str, ...]:
    words = tuple(dict.fromkeys(line.value.lower().split()))
    unknown = next((word for word in words if word not in NOTIFY_KINDS), None)
    if unknown is not None or not words:
        found = "" if unknown is None else f': not "{unknown}"'
        raise line.error(f"expected some of {', '.join(NOTIFY_KINDS)}, separated by blanks{found}")
    return words


def _one_of(*words: str) -> Callable[[Line], str]:
    def parse_word(line: Line) -> str:
        if line.value not in words:
            raise line.error(f"expected one of {', '.join(words)}")
        return line.value

    return parse_word


def _yes_or_no(line: Line) -> bool:
    return _one_of("yes", "no")(line) == "yes"


_MOST_SECONDS = 365 * 24 * 3600


def _seconds(line: Line) -> float:
    if not re.fullmatch(r"[0-9]+(\.[0-9]+)?", line.value):
        raise line.error("expected seconds, such as 5 or 0.5")
    if (seconds := float(line.value)) > _MOST_SECONDS:
        raise line.error(f"expected at most {_MOST_SECONDS} seconds, which is a year")
    return seconds


def _time_limit(line: Line) -> float:
    if not (seconds := _seconds(line)):
        raise line.error("expected more than 0 seconds, such as 10")
    return seconds


_UNITS = {"": 0, "K": 10, "M": 20, "G": 30}


def _size(minimum: int, most: str = "1024 M", such_as: str = "65536, 64 K or 1 M") -> Callable[[Line], int]:
    def parse_size(line: Line) -> int:
        size = _bytes(line.value)
        if not minimum <= size <= _bytes(most):
            raise line.error(f"expected bytes from {minimum} to {most}, such as {such_as}")
        return size

    return parse_size


def _days(line: Line) -> float:
    if not re.fullmatch(r"[0-9]{1,5}(\.[0-9]+)?", line.value):
        raise line.error("expected days, such as 90, or 0 to keep no history")
    return float(line.value)


def _bytes(text: str) -> int:
    found = re.fullmatch(r"([0-9]{1,12}) ?([KMG]?)", text.upper())
    return int(found[1]) << _UNITS[found[2]] if found else -1


def _count(line: Line) -> int:
    if not re.fullmatch(r"[0-9]{1,6}", line.value) or int(line.value) < 1:
        raise line.error("expected a whole number from 1 to 999999")
    return int(line.value)


def _limit(line: Line) -> float | None:
    return _seconds(line) or None


# used by the wrappers themselves
_NEVER_SERIALISED = frozenset({"sh", "flock", "cat", "mktemp", "rm"})


def _command_names(line: Line) -> tuple[str, ...]:
    names = tuple(line.value.split())
    for name in names:
        if name in _NEVER_SERIALISED:
            raise line.error(f"expected commands that don't serve to serialise others: not {name}")
        if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._+-]*", name):
            raise line.error(f'expected names of commands, separated by blanks, without their directory: not "{name}"')
    return names


def _variables(line: Line) -> tuple[str, ...]:
    names = tuple(line.value.split())
    for name in names:
        if name == HELD_LOCKS:
            raise line.error(f"expected variables that may be kept: {name} is for command wrappers alone")
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*|BASH_FUNC_[^=]+", name):
            raise line.error(f'expected names of variables, separated by blanks: not "{name}"')
        if is_for_scripts(name):
            known = ", ".join(sorted(NOT_FOR_SCRIPTS))
            raise line.error(f"scripts get {name} anyway; expected names of variables that are removed: {known}")
    return names


def _lock(line: Line) -> tuple[str, ...]:
    if not is_lock_name(line.key):
        raise line.error("expected the name of a lock: letters, digits, dots, dashes and underscores")
    scripts = tuple(line.value.split())
    for script in scripts:
        if not _is_shown(script):
            raise line.error(f'expected names of scripts as they are shown, such as 60.nfs: not "{script}"')
    return scripts


def _is_shown(script: str) -> bool:
    return shown_name(f"{script}.script") == script and not script.endswith((".script", ","))


def _events(line: Line) -> tuple[str, ...]:
    if not _is_shown(line.key):
        raise line.remark("expected the name of a script as it is shown, such as 60.nfs")
    events = line.value.split()
    wrong = bad_event(events) or next((event for event in events if event.endswith(",")), None)
    if not events or wrong is not None or (ALL in events and len(events) > 1):
        found = "" if wrong is None else f': not "{wrong}"'
        raise line.error(f'expected names of events, separated by blanks, or "{ALL}" alone{found}')
    return tuple(dict.fromkeys(events))


def _access(line: Line) -> Rule:
    right, _, events = line.key.partition(" ")
    if right.lower() not in _RIGHTS or (events and right.lower() == "read"):
        expected = '"read", "operate", "operate EVENT", "operate COMPONENT/EVENT", "operate COMPONENT/*"'
        raise line.remark(f"unknown key, expected one of {expected}")
    component, slash, event = events.rpartition("/")
    try:
        if slash:
            check_name("component", component)
        if events:
            check_name("event", event)
    except InvalidName as error:
        raise line.remark(f"expected an event, such as legacy/monitor: {error}") from None
    names = tuple(name for name in re.split(r"[ \t,]+", line.value) if name)
    for name in names:
        if not re.fullmatch(r"@?[^@\0\s][^\0\s]*", name):
            raise line.error(f'expected users, and groups with an @ in front, separated by commas: not "{name}"')
    return Rule(line=line, events=events if right.lower() == "operate" else None, names=names)


def _limit_of(line: Line) -> tuple[str, str, int]:
    """Returns the component, the name of the limit, and the limit."""
    kind, _, component = line.key.partition(" ")
    parser = _LIMITS.get(kind.lower())
    if parser is None:
        raise line.remark('unknown key, expected "memory COMPONENT" or "pids COMPONENT"')
    try:
        check_name("component", component)
    except InvalidName as error:
        raise line.remark(f"expected a component, such as {kind} legacy: {error}") from None
    return component, kind.lower(), parser(line)


# with less memory not even a shell starts
_LIMITS = {"memory": _size(1 << 20, "4096 G", "512 M or 2 G"), "pids": _count}
_RIGHTS = frozenset({"read", "operate"})
_Parser = Callable[[Line], Any]
_KEYS: dict[str, dict[str, tuple[str, _Parser]]] = {
    "logging": {
        "location": ("log_location", _log_location),
        "log level": ("log_level", _log_level),
        "format": ("log_format", _log_format),
    },
    "event": {"debug script": ("debug_script", _debug_script)},
    "eventd": {
        "script names": ("script_names", _one_of(*NAME_RULES)),
        "script security": ("script_security", _one_of("refuse", "warn")),
        "kill grace": ("kill_grace", _seconds),
        "upgrade wait": ("upgrade_wait", _seconds),
        "debug timeout": ("debug_timeout", _seconds),
        "max output": ("max_output", _size(1024)),
        "max packet": ("max_packet", _size(4096)),
        "max scripts": ("max_scripts", _count),
        "start idle scripts": ("start_idle_scripts", _yes_or_no),
        "queue timeout": ("queue_timeout", _limit),
        "keep environment": ("keep_environment", _variables),
    },
    "locks": {"serialise": ("serialise", _command_names), "command wait": ("command_wait", _seconds)},
    "history": {
        "days": ("history_days", _days),
        "runs": ("history_runs", _count),
        "size": ("history_size", _size(1 << 20, "4096 G", "256 M")),
        "output": ("history_output", _size(1024)),
    },
    "notify": {
        "command": ("notify_command", _program),
        "on": ("notify_on", _notify_kinds),
        "timeout": ("notify_timeout", _time_limit),
        "long wait": ("notify_long_wait", _time_limit),
    },
    "events": {},
    "access": {},
    "limits": {},
}
_LOCKS = "locks"
_EVENTS = "events"
_LIMITED = "limits"
_ACCESS = "access"
_DEFAULTS = os.path.join(os.path.dirname(__file__), "defaults.conf")


def load(path: str) -> Config:
    """Reads ctdb.conf; a missing file means the defaults, a directory too, with a warning.

    Raises:
        ConfigError: The file can't be read; or a line is invalid with which CTDB's event daemon would not start either,
            or that only this daemon reads.
    """
    try:
        with open(path, "rb") as file:
            data = file.read()
    except FileNotFoundError:
        data = b""
    except IsADirectoryError as error:
        text = f"can't be read: {error.strerror}; expected a file, and the defaults are used"
        return attrs.evolve(parse("", path), warnings=(str(ConfigError(path, 0, text)),))
    except OSError as error:
        raise ConfigError(path, 0, f"can't be read: {error.strerror}") from error
    # not opened as text: that would treat a carriage return as the end of a line
    return parse(data.decode("utf-8", "surrogateescape"), path)


def parse(text: str, path: str) -> Config:
    """Parses a configuration; `path` is for messages and to find the debug script beside it.

    Raises:
        ConfigError: A line is invalid, see `load`; it contains all such lines.
    """
    values: dict[str, Any] = {"locks": {}, "events": {}, "access": [], "limits": {}}
    found = read(text, path)
    warnings = list(found.warnings)
    errors: list[ConfigError] = []
    for line in (*read(_defaults(), _DEFAULTS).lines, *found.lines):
        try:
            if (warning := _take(line, values)) is not None:
                warnings.append(warning)
        except ConfigError as error:
            errors.append(error)
    if errors:
        first, *others = errors
        first.others = tuple(map(str, others))
        raise first
    warnings.sort(key=lambda warning: warning.line)
    values["access"] = tuple(values["access"])
    return Config(**values, warnings=tuple(map(str, warnings)))


@cache  # an upgrade may remove the file while the daemon runs
def _defaults() -> str:
    with open(_DEFAULTS, encoding="utf-8") as file:
        return file.read()


def _take(line: Line, values: dict[str, Any]) -> ConfigError | None:
    """Stores a line's value; returns an error that may be ignored with a warning, if there is one."""
    if not line.section:
        return line.remark("ignored: expected a [section] before the first key")
    keys, is_ours = _KEYS[line.section], line.section in OURS
    if not line.has_value:
        if is_ours:
            raise line.remark('expected "key = value"')
        return line.remark('ignored: expected "key = value"')
    key = line.key.lower() if is_ours else line.key
    if key in keys:
        field, parser = keys[key]
        value = parser(line)
        if isinstance(value, _Doubtful):
            values[field] = value.value
            return line.error(f"treated as {value.value}; {value.expected}")
        values[field] = value
    elif line.section == _LOCKS:
        values["locks"][line.key] = _lock(line)
    elif line.section == _EVENTS:
        values["events"][line.key] = _events(line)
    elif line.section == _ACCESS:
        values["access"].append(_access(line))
    elif line.section == _LIMITED:
        component, kind, limit = _limit_of(line)
        values["limits"][component] = attrs.evolve(values["limits"].get(component, Limits()), **{kind: limit})
    elif is_ours:
        raise line.remark(f"unknown key, expected one of {_alternatives(keys)}")
    else:
        return line.remark(f"unknown key is ignored; known here: {_alternatives(keys)}")
    return None


def _alternatives(keys: Mapping[str, object]) -> str:
    return ", ".join(f'"{key}"' for key in keys)
