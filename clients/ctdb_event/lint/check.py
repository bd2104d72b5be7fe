"""Runs all checks of `ctdb-event lint` on component directories.

Works on files only: needs no daemon, and no root as far as the files are readable. Changes nothing, runs no script and
prints nothing; returns findings.
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
"""Bytes of a script that are read."""


@attrs.frozen(kw_only=True)
class Content:
    """The content of a script, as far as it was read."""

    data: bytes
    """Its beginning, at most 1 MiB."""
    is_whole: bool
    """Whether `data` is the whole script."""
    declared: tuple[Declaration, ...]
    """Locks that its head declares."""


@attrs.frozen(kw_only=True)
class Component:
    """An examined component."""

    found: ComponentInspection
    """The inspection of its directory."""
    contents: Mapping[str, Content]
    """The content of its scripts, by path; unreadable ones are missing."""
    trusted: Trusted
    """Who may change it."""
    refuse_unsafe: bool
    """Whether the daemon refuses scripts that other users can change."""
    functions: frozenset[str] | None
    """The functions that CTDB's file `functions` on its node defines; None if unknown."""


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
        functions_file: CTDB's shell functions on the scripts' node; None if the node is unknown.
        refuse_unsafe: Whether the daemon refuses scripts that other users can change.

    Raises:
        NoSuchComponent: The directory doesn't exist.
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
            return None  # opening a named pipe could block forever
        with open(path, "rb") as file:
            data = file.read(_MOST_READ + 1)
    except OSError:
        return None  # the inspection reports it
    is_whole = len(data) <= _MOST_READ
    return Content(data=data[:_MOST_READ], is_whole=is_whole, declared=tuple(declarations(data)))


# ---------------------------------------------------------------------- one component


def component_findings(component: Component) -> list[Finding]:
    """Returns all findings about one component alone, in the order of its files."""
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
            Severity.NOTE, Check.PARTLY, f"only its first {_MOST_READ >> 20} MiB was checked, and not its syntax"
        )
    remarks = (remark for remark in script.warnings if remark.concern is Concern.NO_SUCH_INTERPRETER)
    yield from check_content(content.data, next(remarks, None), component.functions, is_whole=content.is_whole)


def left_behind_findings(events_dir: str) -> list[Finding]:
    """Finds scripts of a node in the directory of earlier versions of CTDB."""
    return [attrs.evolve(finding, path=path) for path, finding in check_left_behind(events_dir)]


# ---------------------------------------------------------------------- locks of all components


def lock_findings(components: Iterable[Component], configured: Iterable[str], config_file: str) -> list[Finding]:
    """Finds names of locks that are probably misspelt.

    Known names are those that the project itself sets, those of the configuration, and those that two scripts declare.

    Args:
        components: The examined components.
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
    """Returns for each lock its declarations: line, path, component, script."""
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
    return f'no other script declares a lock "{name}", so it excludes no other script; did you mean "{near}"?'


def _misspelt(name: str, known: Iterable[str]) -> str | None:
    near = nearest(name, known, similarity=0.8)
    # disk1 and disk2 are two names, not a misspelling
    return None if near is None or re.sub("[0-9]", "", near) == re.sub("[0-9]", "", name) else near


def line_of(name: str, config_file: str) -> int | None:
    """Returns the number of the configuration's line with this key; None if there is none."""
    try:
        with open(config_file, encoding="utf-8", errors="surrogateescape") as file:
            lines = file.read().split("\n")
    except OSError:
        return None
    return next((number for number, line in enumerate(lines, 1) if line.partition("=")[0].strip() == name), None)
