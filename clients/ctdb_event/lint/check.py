"""What `ctdb-event lint` finds out about component directories, put together from its checks.

Works on files alone: no daemon, and not as root either, as far as files can be read. Changes nothing and runs no
script. Says nothing itself; findings are returned.
"""

from __future__ import annotations

import os
import re
import stat
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

import attrs

from ctdb_event.lint.content import Declaration, check_content, declarations
from ctdb_event.lint.files import check_left_behind, check_numbers, check_refused, check_script, check_unsafe
from ctdb_event.lint.outdated import defined_functions
from ctdb_event.lint.report import Check, Finding, Severity
from ctdb_eventd.config import parse
from ctdb_eventd.files import Concern
from ctdb_eventd.inspection import ComponentInspection, ScriptInspection, inspect_component
from ctdb_eventd.safety import Trusted
from ctdb_eventd.scripts import is_lock_name
from ctdb_eventd.text import nearest

if TYPE_CHECKING:
    from ctdb_eventd.scripts import NameRule

__all__ = ["Component", "Content", "component_findings", "examine", "left_behind_findings", "line_of", "lock_findings"]

_MOST_READ = 1 << 20
"""Bytes of a script that are looked at."""


@attrs.frozen(kw_only=True)
class Content:
    """What could be read of a script."""

    data: bytes
    """Its beginning, at most 1 MiB."""
    is_whole: bool
    """There is no more."""
    declared: tuple[Declaration, ...]
    """Locks that its head declares."""


@attrs.frozen(kw_only=True)
class Component:
    """A component that was looked at."""

    found: ComponentInspection
    """What its directory says."""
    contents: Mapping[str, Content]
    """What is in its scripts, by path; those that could not be read are missing."""
    trusted: Trusted
    """Who may change it."""
    refuse_unsafe: bool
    """The daemon doesn't run what others can change."""
    functions: frozenset[str] | None
    """What CTDB's file `functions` on its node defines; None if that is not known."""


def examine(
    directory: str,
    component: str,
    rule: NameRule,
    locks: Mapping[str, tuple[str, ...]],
    trusted: Trusted,
    functions_file: str | None = None,
    *,
    refuse_unsafe: bool = True,
) -> Component:
    """Reads a component's directory and its scripts; see `inspect_component` for the other arguments.

    Args:
        functions_file: CTDB's shell functions on the scripts' node; None if that may be any.
        refuse_unsafe: The daemon doesn't run what others can change.

    Raises:
        NoSuchComponent: There is no such directory.
        OSError: The directory can't be read.
    """
    found = inspect_component(directory, component, rule, locks, trusted=trusted)
    contents = {script.path: content for script in found.scripts if (content := _read(script.path)) is not None}
    library = None if functions_file is None else _read(functions_file)
    functions = None if library is None else defined_functions(library.data.decode("utf-8", "surrogateescape"))
    return Component(found=found, contents=contents, trusted=trusted, refuse_unsafe=refuse_unsafe, functions=functions)


def _read(path: str) -> Content | None:
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            return None  # to open a named pipe would take forever
        with open(path, "rb") as file:
            data = file.read(_MOST_READ + 1)
    except OSError:
        return None  # the inspection says so
    is_whole = len(data) <= _MOST_READ
    return Content(data=data[:_MOST_READ], is_whole=is_whole, declared=tuple(declarations(data)))


# ---------------------------------------------------------------------- one component


def component_findings(component: Component) -> list[Finding]:
    """Returns everything that is to be said about one component alone, in the order of its files."""
    found = component.found
    names = {script.path: script.name for script in found.scripts}
    placed = [*check_unsafe(found.scripts, found.directory, component.trusted, refused=component.refuse_unsafe)]
    placed += [(file.path, finding) for file in found.refused for finding in check_refused(file)]
    placed += [(script.path, finding) for script, finding in check_numbers(found.scripts)]
    for script in found.scripts:
        placed += [(script.path, finding) for finding in (*check_script(script), *_check_inside(script, component))]
    findings = [
        attrs.evolve(finding, path=path, component=found.component, script=names.get(path)) for path, finding in placed
    ]
    return sorted(findings, key=lambda finding: (os.fsencode(finding.path), finding.line or 0))


def _check_inside(script: ScriptInspection, component: Component) -> Iterator[Finding]:
    content = component.contents.get(script.path)
    if content is None:
        return
    if not content.is_whole:
        yield Finding(
            Severity.NOTE, Check.PARTLY, f"only its first {_MOST_READ >> 20} MiB was looked at, and not at its syntax"
        )
    remarks = (remark for remark in script.warnings if remark.concern is Concern.NO_SUCH_INTERPRETER)
    yield from check_content(content.data, next(remarks, None), component.functions, is_whole=content.is_whole)


def left_behind_findings(events_dir: str) -> list[Finding]:
    """Finds scripts of a node in the directory of former versions of CTDB."""
    return [attrs.evolve(finding, path=path) for path, finding in check_left_behind(events_dir)]


# ---------------------------------------------------------------------- locks of all of them


def lock_findings(components: Iterable[Component], configured: Iterable[str], config_file: str) -> list[Finding]:
    """Finds names of locks that look like others misspelt.

    Known are those that the project itself sets, those of the configuration, and those that two scripts declare.

    Args:
        components: Those that were looked at.
        configured: The locks of the configuration, with the project's own.
        config_file: The configuration, for the findings about it.
    """
    ours = set(parse("", config_file).locks)
    declared = _declared(components)
    shared = {name for name, places in declared.items() if len({os.path.realpath(path) for _, path, *_ in places}) > 1}
    findings = []
    for name in sorted(set(configured) - ours - set(declared)):
        near = _misspelt(name, ours | shared)
        if near:
            line = line_of(name, config_file)
            findings.append(Finding(Severity.WARNING, Check.LOCK_UNKNOWN, _unknown(name, near), line, config_file))
    known = ours | shared | set(configured)
    for name in sorted(set(declared) - known):
        near = _misspelt(name, known)
        if near:
            found = (Severity.WARNING, Check.LOCK_UNKNOWN, _unknown(name, near))
            findings += [Finding(*found, line, *place) for line, *place in declared[name]]
    return findings


def _declared(components: Iterable[Component]) -> dict[str, list[tuple[int, str, str, str]]]:
    """Returns for each lock where it is declared: line, path, component, script."""
    declared = defaultdict(list)
    for component in components:
        names = {script.path: script.name for script in component.found.scripts}
        for path, content in component.contents.items():
            for declaration in content.declared:
                if is_lock_name(declaration.name):
                    place = (declaration.line, path, component.found.component, names[path])
                    declared[declaration.name].append(place)
    return declared


def _unknown(name: str, near: str) -> str:
    return f'no other script declares a lock "{name}", so it keeps nobody away; "{near}"?'


def _misspelt(name: str, known: Iterable[str]) -> str | None:
    near = nearest(name, known, similarity=0.8)
    # disk1 and disk2 are two names, not one and a slip
    return None if near is None or re.sub("[0-9]", "", near) == re.sub("[0-9]", "", name) else near


def line_of(name: str, config_file: str) -> int | None:
    """Returns the line of the configuration that has this key; None if there is none."""
    try:
        with open(config_file, encoding="utf-8", errors="surrogateescape") as file:
            lines = file.read().split("\n")
    except OSError:
        return None
    return next((number for number, line in enumerate(lines, 1) if line.partition("=")[0].strip() == name), None)
