"""Makes texts of ctdb.conf, and judges what the reader makes of them."""

from __future__ import annotations

import re
from random import Random

from ctdb_eventd.config import Config, parse
from ctdb_eventd.errors import ConfigError
from eventd_fuzz.conversation import Wrong
from eventd_fuzz.streams import change_bytes

__all__ = ["check_configuration", "configuration"]

_SECTIONS = ("logging", "event", "eventd", "locks", "cluster", "legacy", "nobody", "EventD", "")
_KEYS = (
    *("location", "log level", "debug script", "script names", "kill grace", "debug timeout", "max output"),
    *("max packet", "max scripts", "queue timeout", "serialise", "keep environment", "routes", "a b", ""),
)
_VALUES = (
    *("0", "1", "-1", "1.5", "1e9", "99999999999999999999", "nan", "inf", "\u0663", "true", "", " ", "a b c", "'x'"),
    *(
        "file:/log",
        "file:log",
        "syslog",
        "syslog:udp",
        "syslog::",
        "NOTICE",
        "warn",
        "n",
        "3x",
        "1 M",
        "1M",
        "auto",
        "both",
    ),
    *("/bin/true", "10.interface 50.samba", "debug.sh", "x" * 5000, "\0", "\udcff", "\u202e", "\\", "${x}", "%s", "{}"),
)
_ENDS = ("\n", "\n", "\n", "\n", "\r\n", "\r", " \n", "\\\n", "\n\n", " ; comment\n", " # comment\n", "\x0b", "")
_FORMS = (
    "{key} = {value}",
    "{key}={value}",
    " {key} = {value} ",
    "{key}",
    "= {value}",
    "{key} = {value} = {value}",
    "#{key}",
)


def configuration(random: Random) -> bytes:
    """Returns a text."""
    text = random.choice(("", "", "\ufeff"))
    for _ in range(random.randrange(1, 12)):
        name = random.choice(_SECTIONS)
        if random.random() < 0.3:
            text += random.choice(("[{}]", "[{}]", "[{}]", "[ {} ]", "[{}", "{}]", "[[{}]]")).format(name)
        else:
            form = random.choice(_FORMS)
            text += form.format(key=random.choice(_KEYS), value=random.choice(_VALUES))
        text += random.choice(_ENDS)
    data = text.encode("utf-8", "surrogateescape")
    return change_bytes(data, random) if random.random() < 0.3 else data


def check_configuration(data: bytes) -> bool:
    """Reads a text; True if it can be used.

    Raises:
        Wrong: Something else than the documented error, or one that doesn't say where.
    """
    path = "/etc/ctdb/ctdb.conf"
    try:
        config = parse(data.decode("utf-8", "surrogateescape"), path)
    except ConfigError as error:
        _check_texts(error.texts, data, path)
        return False
    except Exception as error:
        raise Wrong(f"{type(error).__name__} instead of a ConfigError: {error}") from error
    if not isinstance(config, Config):
        raise Wrong(f"the reader returned {type(config).__name__}")
    _check_texts(config.warnings, data, path)
    return True


def _check_texts(texts: tuple[str, ...], data: bytes, path: str) -> None:
    lines = data.count(b"\n") + 1
    for text in texts:
        found = re.match(re.escape(path) + r":(\d+): .", text, re.DOTALL)
        if not found or not 1 <= int(found[1]) <= lines:
            raise Wrong(f"a message that doesn't say which line of {lines} it is about: {text!r:.300}")
