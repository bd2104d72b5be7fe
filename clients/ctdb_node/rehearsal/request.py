"""Makes the request for a rehearsal of the command line and the configuration directory."""

from __future__ import annotations

import argparse
import itertools
import os
import re
from collections.abc import Iterator, Sequence

import attrs

from ctdb_node.errors import NodeError
from ctdb_node.public_addresses import PublicAddress, parse
from ctdb_node.rehearsal.observed import Public, Request
from ctdb_node.rehearsal.stubs import STUBBED

__all__ = ["Wanted", "against", "wanted"]

_CTDB_EVENTD = ("/usr/libexec/ctdb/ctdb-eventd.ctdb", "/usr/libexec/ctdb/ctdb-eventd")
"""CTDB's own event daemon: under its second name if this project's was installed in its place."""
_TUNABLES = {"eventscripttimeout": 30, "takeovertimeout": 9}
"""The tunables that matter here, in lower case, with CTDB's defaults."""
_OPTIONS = ("script.options", "static-routes")
"""Files of the configuration directory that may name interfaces."""
_SCRIPT = re.compile(r"\d\d\.[^/]+\.script")
_DEFAULT_INTERFACE = "public0"


@attrs.frozen(kw_only=True)
class Wanted:
    """The request, and what its observations are judged by."""

    request: Request
    absent: tuple[str, ...]
    """Interfaces that `public_addresses` names and that this machine doesn't have."""
    budget: float
    """Seconds that ctdbd gives a takeover run."""


def wanted(arguments: argparse.Namespace, default_dir: str) -> Wanted:
    """Reads the configuration and checks the options.

    Raises:
        NodeError: One of them can't be used.
    """
    base = os.path.abspath(arguments.config_dir or default_dir)
    if not os.path.isdir(base):
        raise NodeError(f"{base} is not a directory; --config-dir names the configuration directory of CTDB")
    path = os.path.join(base, "public_addresses")
    listed = parse(text, path) if (text := _read(path)) is not None else ()
    addresses, made_up = _addresses(listed, arguments.addresses)
    present = set(os.listdir("/sys/class/net"))
    named = {name for each in listed for name in each.interfaces}
    tunables = _tunables(os.path.join(base, "ctdb.tunables"))
    request = Request(
        config_dir=base,
        addresses=addresses,
        made_up=made_up,
        interfaces=tuple(
            sorted((named | {each.interface for each in addresses} | set(_in_options(base, present))) - {"lo"})
        ),
        scripts=tuple(_script(each) for each in arguments.script),
        real=tuple(_real(each) for each in arguments.real),
        rounds=int(arguments.rounds),
        alone_rounds=int(arguments.rounds),
        timeout=tunables["eventscripttimeout"],
    )
    return Wanted(request=request, absent=tuple(sorted(named - present)), budget=3.0 * tunables["takeovertimeout"])


def _read(path: str) -> str | None:
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise NodeError(f"can't read {path}: {error}") from None


def _addresses(listed: Sequence[PublicAddress], number: int | None) -> tuple[tuple[Public, ...], int]:
    of_file = [
        Public(address=each.address, bits=each.bits, interface=each.interfaces[0], interfaces=each.interfaces)
        for each in listed
    ]
    if number is None:
        return tuple(of_file), 0
    of_file = of_file[:number]
    lists = itertools.cycle(list(dict.fromkeys(each.interfaces for each in listed)) or [(_DEFAULT_INTERFACE,)])
    have = {each.address for each in of_file}
    made_up = [
        Public(address=address, bits=15, interface=names[0], interfaces=names)
        for address, names in zip(itertools.islice(_unused_addresses(have), number - len(of_file)), lists, strict=False)
    ]
    return (*of_file, *made_up), len(made_up)


def _unused_addresses(have: set[str]) -> Iterator[str]:
    """Yields addresses of the network that is reserved for benchmarks."""
    found = (f"198.{18 + (n >> 16)}.{n >> 8 & 255}.{n & 255}" for n in range(1, 1 << 17))
    return (each for each in found if each not in have)


def _in_options(base: str, present: set[str]) -> Iterator[str]:
    text = "\n".join(_read(os.path.join(base, name)) or "" for name in _OPTIONS)
    return (name for name in present if re.search(rf"(?<![\w.-]){re.escape(name)}(?![\w.-])", text))


def _script(path: str) -> str:
    if _SCRIPT.fullmatch(os.path.basename(path)) is None:
        raise NodeError(f"--script {path}: expected a file whose name is that of a script, such as 77.dns.script")
    if not os.path.isfile(path):
        raise NodeError(f"--script {path}: there is no such file")
    return os.path.abspath(path)


def _real(command: str) -> str:
    if command not in STUBBED | {"ctdb"}:
        raise NodeError(
            f"--real {command}: it has no stub, so it runs as it is; stubs are ctdb {' '.join(sorted(STUBBED))}"
        )
    return command


def against(daemon: str) -> tuple[str, ...]:
    """Returns the command of an event daemon to compare with.

    Raises:
        NodeError: There is none.
    """
    places = _CTDB_EVENTD if daemon == "ctdb" else (os.path.abspath(daemon),)
    found = next((path for path in places if os.access(path, os.X_OK) and os.path.isfile(path)), None)
    if found is None:
        raise NodeError(f"--against {daemon}: {' and '.join(places)}: no such program; a path is expected, or ctdb")
    return (found,)


def _tunables(path: str) -> dict[str, int]:
    tunables = dict(_TUNABLES)
    for number, line in enumerate((_read(path) or "").splitlines(), start=1):
        name, equals, value = (word.strip() for word in line.partition("="))
        if name.lower() not in tunables or not equals:
            continue
        if not (value.isascii() and value.isdigit() and 1 <= int(value[:10]) and len(value) <= 9):
            raise NodeError(f"{path}:{number}: {name} can't be {value!r}; expected a whole number of seconds")
        tunables[name.lower()] = int(value)
    return tunables
