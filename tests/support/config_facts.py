"""How CTDB's event daemon and ours interpret unusual lines in ctdb.conf, as one table.

CTDB's side was observed with 4.17, 4.22, 4.24 and 4.25, which agree in all of it; tests/interop/test_configuration.py
compares it with the CTDB that is installed, tests/test_config_facts.py has our side.
"""

from __future__ import annotations

import os
from pathlib import Path

import attrs

_SECTIONS = (
    "known are [access], [cluster], [database], [event], [eventd], [events], [failover], [history], [legacy], "
    "[limits], [locks], [logging], [notify]"
)
_LEVELS = "expected one of ERROR, WARNING, NOTICE, INFO, DEBUG"
_LOCATIONS = "expected file:/ABSOLUTE/PATH, file: (standard error), syslog or syslog:nonblocking|udp|udp-rfc5424"
_VOID = (
    "because of this line CTDB's daemons read nothing of the file, and [logging] and [event] are at their defaults here"
)
_NO_SECTION = "ignored: expected a [section] before the first key"
_NO_VALUE = 'ignored: expected "key = value"'
_NO_KEY = 'unknown key is ignored; known here: "location", "log level", "format"'
_NO_SLASH = "expected the base name of a script in the configuration directory, without a slash"
_CUT = "expected text: the line is read up to its first NUL byte"


@attrs.frozen
class Fact:
    """A configuration, and how it is interpreted. `@` stands for the node's directory, which is the working directory.

    Errors and warnings are those of ours, without the leading `FILE:`.
    """

    text: bytes
    """The content of ctdb.conf."""
    starts: bool = True
    """CTDB's event daemon starts."""
    validates: bool = True
    """`ctdb-config validate` has no objection."""
    warnings: tuple[str, ...] = ()
    """What ours logs at its start."""
    error: str | None = None
    """Why ours doesn't start; None if it does."""
    level: str | None = None
    """The level at which both log; None for the default, which isn't the same in all versions of CTDB."""
    location: str | None = None
    """Where both log; None for the default."""
    debug_script: str | None = None
    """What ours runs when a script hangs; so does CTDB's, which runs nothing if the path doesn't exist."""
    log_fails: bool = False
    """The log can't be opened, and standard error is used instead."""

    def lay_out(self, base: Path) -> None:
        """Writes the configuration and the files that it names into a node's directory."""
        for name, mode in (("debug.sh", 0o755), ("plain.sh", 0o644), ("below/other.sh", 0o755)):
            (base / name).parent.mkdir(exist_ok=True)
            (base / name).write_text("#!/bin/sh\n")
            (base / name).chmod(mode)
        (base / "loop").symlink_to("loop")
        (base / "ctdb.conf").write_bytes(self.text.replace(b"@", os.fsencode(base)))


def _logging(line: bytes | str, **facts: object) -> Fact:
    text = line.encode() if isinstance(line, str) else line
    return Fact(b"[logging]\n" + text + b"\n", **facts)  # type: ignore[arg-type]


def _event(line: str, **facts: object) -> Fact:
    return Fact(b"[event]\n" + line.encode() + b"\n", **facts)  # type: ignore[arg-type]


def _refused(line: str, error: str, section: str = "logging") -> Fact:
    key, _, value = line.partition(" = ")
    text = f'2: [{section}] {key} = "{value}": {error}'
    return Fact(f"[{section}]\n{line}\n".encode(), starts=False, validates=False, error=text)


def _location(value: str, location: str | None = None) -> Fact:
    """A location that both accept; ours warns if it is taken for another text than was written."""
    if location is None:
        return _logging(f"location = {value}", location=value)
    hint = "; a comment needs a line of its own" if " #" in value else ""
    warning = f'2: [logging] location = "{value}": treated as {location}; {_LOCATIONS}{hint}'
    return _logging(f"location = {value}", location=location, warnings=(warning,))


def _level(value: str, level: str, *, is_odd: bool = True) -> Fact:
    warning = f'2: [logging] log level = "{value}": treated as {level}; {_LEVELS}'
    return _logging(f"log level = {value}", level=level, warnings=(warning,) if is_odd else ())


def _debug(value: str, script: str) -> Fact:
    warning = f'2: [event] debug script = "{value}": treated as {script}; {_NO_SLASH}'
    return _event(f"debug script = {value}", debug_script=script, warnings=(warning,))


def _unknown_key(line: str, key: str, value: str) -> Fact:
    return _logging(line, validates=False, warnings=(f'2: [logging] {key} = "{value}": {_NO_KEY}',))


def _unknown_section(header: str, shown: str, advice: str) -> Fact:
    warning = f'1: "{shown}": the unknown section is ignored; {advice}'
    return Fact(f"{header}\nlog level = bogus\n".encode(), validates=False, warnings=(warning,))


_NUMBERS = {0: "ERROR", 1: "WARNING", 2: "WARNING", 3: "NOTICE", 4: "NOTICE", 10: "DEBUG"} | dict.fromkeys(
    range(5, 10), "INFO"
)

FACTS: dict[str, Fact] = {
    # ------------------------------------------------------------------ [logging] location
    "standard error": _location("file:"),
    "an absolute path": _location("file:@/my.log"),
    "an equals sign in a value": _location("file:@/a=b"),
    "a relative path": _location("file:relative", "file:@/relative"),
    "a relative path with a directory": _location("file:below/log", "file:@/below/log"),
    "a relative path with a comment": _location("file: # x", "file:@/ # x"),
    "a dash": _location("file:-", "file:"),
    "a second colon": _location("file:@/a:b", "file:@/a"),
    "two colons": _location("file::@/a", "file:@/a"),
    "file without a colon": _location("file", "file:"),
    "a colon in front": _location(":file:", "file:"),
    "syslog": _location("syslog"),
    "syslog with a colon": _location("syslog:", "syslog"),
    "syslog by UDP": _location("syslog:udp"),
    "syslog by UDP, RFC 5424": _location("syslog:udp-rfc5424"),
    "syslog by UDP with two colons": _location("syslog::udp", "syslog:udp"),
    "syslog by UDP and more": _location("syslog:udp:x", "syslog:udp"),
    "a directory as the log": Fact(b"[logging]\nlocation = file:@/run\n", location="file:@/run", log_fails=True),
    "a link in a circle as the log": Fact(
        b"[logging]\nlocation = file:@/loop\n", location="file:@/loop", log_fails=True
    ),
    "a log in a directory that isn't there": Fact(
        b"[logging]\nlocation = file:@/missing/log\n",
        starts=False,
        validates=False,
        error="can't open the log @/missing/log: No such file or directory "
        "([logging] location in @/ctdb.conf sets where it is)",
    ),
    "no such way to log": _refused("location = journal", _LOCATIONS),
    "no such way to syslog": _refused("location = syslog:tcp", _LOCATIONS),
    "a way to syslog in upper case": _refused("location = syslog:UDP", _LOCATIONS),
    "a way to log in upper case": _refused("location = FILE:/tmp/x", _LOCATIONS),
    "a path alone": _refused("location = /tmp/x", _LOCATIONS),
    "a colon alone": _refused("location = :", _LOCATIONS),
    "a location in quotes": _refused('location = "file:"', f"{_LOCATIONS}; without quotes"),
    "an empty location": _refused("location = ", _LOCATIONS),
    # ------------------------------------------------------------------ [logging] log level
    **{f"level {name}": _level(name, name, is_odd=False) for name in ("ERROR", "WARNING", "NOTICE", "INFO", "DEBUG")},
    **{f"level {number}": _level(str(number), level, is_odd=False) for number, level in _NUMBERS.items()},
    "a level in lower case": _level("notice", "NOTICE", is_odd=False),
    "level ERR": _level("ERR", "ERROR", is_odd=False),
    "a level cut short": _level("WARN", "WARNING"),
    "a level's first letter": _level("n", "NOTICE"),
    "a number with a fraction": _level("10.5", "DEBUG"),
    "a number with letters": _level("3abc", "NOTICE"),
    "a number with zeros": _level("010", "DEBUG"),
    "a hexadecimal number": _level("0xa", "ERROR"),
    "a number of more than 32 bits": _level("4294967299", "NOTICE"),
    "a number too large": _refused("log level = 11", _LEVELS),
    "a number below zero": _refused("log level = -1", _LEVELS),
    "a number with a plus sign": _refused("log level = +3", _LEVELS),
    "no such level": _refused("log level = bogus", _LEVELS),
    "a level and more": _refused("log level = NOTICES", _LEVELS),
    "a level in quotes": _refused('log level = "INFO"', f"{_LEVELS}; without quotes"),
    "a level with a comment": _refused("log level = INFO # x", f"{_LEVELS}; a comment needs a line of its own"),
    "an empty level": _refused("log level = ", _LEVELS),
    "a level and a blank that isn't ASCII": _refused("log level = INFO\u00a0", _LEVELS),
    # ------------------------------------------------------------------ [event] debug script
    "a debug script": _event("debug script = debug.sh", debug_script="debug.sh"),
    "a debug script by a path through a directory": _debug("below/../debug.sh", "below/../debug.sh"),
    "a debug script by an absolute path": _debug("/debug.sh", "debug.sh"),
    "a debug script in a directory that isn't there": Fact(
        b"[event]\ndebug script = missing/debug.sh\n",
        debug_script="debug.sh",
        warnings=(f'2: [event] debug script = "missing/debug.sh": treated as debug.sh; {_NO_SLASH}',),
    ),
    "a debug script only below a directory": _refused(
        "debug script = below/other.sh",
        "expected an executable file, but @/other.sh does not exist or is not a file",
        "event",
    ),
    "a debug script that isn't there": _refused(
        "debug script = none", "expected an executable file, but @/none does not exist or is not a file", "event"
    ),
    "a debug script that isn't executable": _refused(
        "debug script = plain.sh",
        "expected an executable file, but @/plain.sh is not executable (chmod +x @/plain.sh)",
        "event",
    ),
    "a directory as debug script": _refused(
        "debug script = below", "expected an executable file, but @/below does not exist or is not a file", "event"
    ),
    "an empty debug script": Fact(b"[event]\ndebug script =\n", starts=False, validates=False),
    # ------------------------------------------------------------------ keys
    "an unknown key": _unknown_key("frob = x", "frob", "x"),
    "an unknown key without a value": _unknown_key("frob =", "frob", ""),
    "a key in upper case": _unknown_key("LOG LEVEL = bogus", "LOG LEVEL", "bogus"),
    "a key with a tab": _unknown_key("log\tlevel = bogus", "log\tlevel", "bogus"),
    "a key with an underscore": _unknown_key("log_level = bogus", "log_level", "bogus"),
    "a key behind a blank that isn't ASCII": _unknown_key("\u00a0log level = bogus", "\u00a0log level", "bogus"),
    "an unknown key in [event]": _event(
        "frob = x",
        validates=False,
        warnings=('2: [event] frob = "x": unknown key is ignored; known here: "debug script"',),
    ),
    "a key with several blanks": _logging("log   level =   INFO  \t ", level="INFO"),
    "a key without an equals sign": _logging("log level", warnings=(f'2: [logging] "log level": {_NO_VALUE}',)),
    "a colon for an equals sign": _logging(
        "log level: bogus", warnings=(f'2: [logging] "log level: bogus": {_NO_VALUE}',)
    ),
    "a key twice": _logging("log level = INFO\nlog level = DEBUG", level="DEBUG"),
    "a key twice, wrong first": Fact(
        b"[logging]\nlog level = bogus\nlog level = DEBUG\n",
        starts=False,
        validates=False,
        error=f'2: [logging] log level = "bogus": {_LEVELS}',
    ),
    "a key twice, wrong last": Fact(
        b"[logging]\nlog level = DEBUG\nlog level = bogus\n",
        starts=False,
        validates=False,
        error=f'3: [logging] log level = "bogus": {_LEVELS}',
    ),
    "no key": _logging("= x\nlog level = bogus", warnings=(f'2: "= x": expected "key = value"; {_VOID}',)),
    "no key in a section of another daemon": Fact(
        b"[cluster]\n= x\n[logging]\nlog level = bogus\n",
        warnings=(f'2: "= x": expected "key = value"; {_VOID}',),
    ),
    "a key before a section": Fact(
        b"log level = bogus\n[logging]\nlog level = INFO\n",
        validates=False,
        level="INFO",
        warnings=(f'1: log level = "bogus": {_NO_SECTION}',),
    ),
    "a word before a section": Fact(
        b"log level\n[logging]\nlog level = INFO\n", level="INFO", warnings=(f'1: "log level": {_NO_SECTION}',)
    ),
    "a wrong value in a section of another daemon": Fact(b"[cluster]\nnode address = bogus\n", validates=False),
    # ------------------------------------------------------------------ sections
    "no text": Fact(b""),
    "an unknown section": _unknown_section("[frob]", "[frob]", _SECTIONS),
    "a section misspelt": _unknown_section("[loging]", "[loging]", "did you mean [logging]?"),
    "a section of CTDB's past": _unknown_section("[eventscript]", "[eventscript]", "did you mean [event]?"),
    "a section of ours misspelt": _unknown_section("[evend]", "[evend]", "did you mean [eventd]?"),
    "another section of ours misspelt": _unknown_section("[lock]", "[lock]", "did you mean [locks]?"),
    "blanks in a section's brackets": _unknown_section("[ logging ]", "[ logging ]", "did you mean [logging]?"),
    "a section in two brackets": _unknown_section("[[logging]]", "[[logging]", "did you mean [logging]?"),
    "a section without a name": _unknown_section("[]", "[]", _SECTIONS),
    "a section in upper case": Fact(b"[LOGGING]\nlog level = INFO\n", level="INFO"),
    "a section that is indented": Fact(b" \t[logging]\nlog level = INFO\n", level="INFO"),
    "a section with a comment": Fact(b"[logging] # x\nlog level = INFO\n", level="INFO"),
    "a section with something behind it": Fact(
        b"[logging] log level = bogus\nlog level = INFO\n",
        level="INFO",
        warnings=('1: "log level = bogus": ignored: expected nothing after [logging]',),
    ),
    "a section twice": Fact(
        b"[logging]\nlocation = file:\n[event]\n[logging]\nlog level = INFO\n", level="INFO", location="file:"
    ),
    "a section that isn't closed": Fact(
        b"[logging\nlog level = bogus\n",
        warnings=(f'1: "[logging": expected "]" after the name of a section; {_VOID}',),
    ),
    "another daemon's section that isn't closed": Fact(
        b"[logging]\nlog level = INFO\n[cluster\n",
        warnings=(f'3: "[cluster": expected "]" after the name of a section; {_VOID}',),
    ),
    "sections of ours": Fact(b"[eventd]\nkill grace = 5\n[locks]\nmine = 60.nfs\n", validates=False),
    # ------------------------------------------------------------------ lines
    "comments": _logging("# log level = bogus\n\t ; log level = bogus\n#"),
    "a line of blanks": _logging("  \t  "),
    "no line end at the end": Fact(b"[logging]\nlog level = INFO", level="INFO"),
    "line ends of Windows": Fact(b"[logging]\r\nlog level = INFO\r\n", level="INFO"),
    "line ends of old Macs": Fact(
        b"[logging]\rlog level = bogus\r",
        warnings=('1: "log level = bogus": ignored: expected nothing after [logging]',),
    ),
    "a carriage return in a comment": _logging("# x\rlog level = bogus"),
    "vertical tabs and form feeds": _logging("\flog level = INFO\v\f", level="INFO"),
    "a line that goes on": _logging("log level = IN\\\nFO", level="INFO"),
    "a line that goes on, of Windows": _logging("log level = IN\\\r\nFO\r", level="INFO"),
    "a line that goes on behind a blank": _logging("log level = IN\\ \nFO", level="INFO"),
    "a key that goes on": _logging("log \\\n  level = INFO", level="INFO"),
    "a section that goes on": Fact(b"[log\\\nging]\nlog level = INFO\n", level="INFO"),
    "a location that goes on": _logging("location = file:@/a\\\n  b", location="file:@/a b"),
    "a backslash at the very end": Fact(
        b"[logging]\nlog level = INFO\\",
        starts=False,
        validates=False,
        error=f'2: [logging] log level = "INFO\\": {_LEVELS}',
    ),
    "a comment that doesn't go on": Fact(
        b"[logging]\n# x\\\nlog level = bogus\n",
        starts=False,
        validates=False,
        error=f'3: [logging] log level = "bogus": {_LEVELS}',
    ),
    "a comment that a line goes on in": Fact(
        b"[logging]\nlog level = INFO\\\n# x\n",
        starts=False,
        validates=False,
        error=f'2: [logging] log level = "INFO# x": {_LEVELS}',
    ),
    # ------------------------------------------------------------------ bytes that are no text
    "a NUL in a value": _logging(b"log level = INFO\0x", level="INFO", warnings=(f'2: "log level = INFO": {_CUT}',)),
    "a NUL in a location": _logging(
        b"location = file:@/a\0b", location="file:@/a", warnings=(f'2: "location = file:@/a": {_CUT}',)
    ),
    "a NUL in a key": _logging(
        b"log\0 level = bogus", warnings=(f'2: "log": {_CUT}', f'2: [logging] "log": {_NO_VALUE}')
    ),
    "a NUL before a section": Fact(
        b"\0[logging]\nlog level = bogus\n", validates=False, warnings=(f'2: log level = "bogus": {_NO_SECTION}',)
    ),
    "a NUL in a section": Fact(
        b"[logging\0]\nlog level = bogus\n",
        warnings=(f'1: "[logging": expected "]" after the name of a section; {_VOID}',),
    ),
    "a NUL in a comment": _logging(b"# a\0b"),
    "a byte order mark": Fact(
        b"\xef\xbb\xbf[logging]\nlog level = bogus\n",
        validates=False,
        warnings=(
            "1: the line is ignored: expected no byte order mark in front of it "
            r"(sed -i '1s/^\xef\xbb\xbf//' @/ctdb.conf)",
            f'2: log level = "bogus": {_NO_SECTION}',
        ),
    ),
    "UTF-16": Fact("[logging]\nlog level = bogus\n".encode("utf-16"), warnings=('1: "\udcff\udcfe[": ' + _NO_SECTION,)),
    "a log whose name is no UTF-8": _logging(b"location = file:@/\xff", location="file:@/\udcff"),
    "a key that is no UTF-8": _logging(
        b"\xff = x", validates=False, warnings=(f'2: [logging] \udcff = "x": {_NO_KEY}',)
    ),
    "a comment that is no UTF-8": _logging(b"# \xff\xfe"),
    "a level that is no UTF-8": Fact(
        b"[logging]\nlog level = \xff\n",
        starts=False,
        validates=False,
        error=f'2: [logging] log level = "\udcff": {_LEVELS}',
    ),
}
