"""`ctdb-event lint`: selects the components to check, and prints the findings.

Works without a daemon. Prints one line for each finding, as compilers do, so that editors can show the place; or JSON.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import attrs

from ctdb_event.commands.arguments import Arguments, parse
from ctdb_event.commands.catalogue import find
from ctdb_event.commands.jsonic import document
from ctdb_event.commands.screen import Screen
from ctdb_event.console import complain
from ctdb_event.lint.check import Component, component_findings, examine, left_behind_findings, lock_findings
from ctdb_event.lint.configured_events import configured_event_findings
from ctdb_event.lint.report import Check, Finding, Severity
from ctdb_eventd.config import Config, load
from ctdb_eventd.errors import ConfigError, InvalidName, NoSuchComponent
from ctdb_eventd.paths import Paths, PathsError, test_mode
from ctdb_eventd.places import find as find_places
from ctdb_eventd.safety import Trusted, Ways
from ctdb_eventd.scripts import component_directory, shown_name
from ctdb_eventd.text import escaped

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["EXIT_CLEAN", "EXIT_FOUND", "EXIT_NOT_LOOKED", "lint", "look"]

EXIT_CLEAN = 0
"""No errors; notes don't count."""
EXIT_FOUND = 1
"""There are errors, or warnings with `--strict`."""
EXIT_NOT_LOOKED = 2
"""Something could not be examined, or the command line is invalid."""

_FORMAT = 1
"""Version of the JSON; increased when a key is removed or changes its meaning, not when one is added."""


@attrs.frozen(kw_only=True)
class _Place:
    """A directory to check."""

    directory: str
    component: str
    trusted: Trusted
    is_ours: bool
    """Whether it is a directory that this node's daemon uses."""


def lint(arguments: list[str], environ: Mapping[str, str]) -> int:
    """Checks event scripts, as the command line requests.

    Args:
        arguments: Options, directories and components: the command line without the word `lint`.
        environ: Selects the directories of configuration and scripts.

    Returns:
        The exit status: one of the constants above.

    Raises:
        Usage: The arguments are invalid.
        OutputLost: Writing to stdout failed.
    """
    command = find(["lint"])
    assert command is not None
    return look(parse(["lint", *arguments], command), environ)


def look(arguments: Arguments, environ: Mapping[str, str]) -> int:
    """Does the same with a parsed command line."""
    try:
        paths = find_places(environ)
    except PathsError as error:
        complain(f"ctdb-event lint: {error}")
        return EXIT_NOT_LOOKED
    if paths.problem:
        looked = f"using the built-in ones, {paths.config_file} and {paths.events_dir}"
        complain(f"ctdb-event lint: can't get CTDB's paths: {paths.problem}; {looked}")
    flags = arguments.flags
    return _Lint(paths, environ).carry_out(
        arguments.operands, as_json="--json" in flags, plain="--plain" in flags, strict="--strict" in flags
    )


class _Lint:
    """One run of the command."""

    def __init__(self, paths: Paths, environ: Mapping[str, str]) -> None:
        self._paths = paths
        self._environ = environ
        self._findings: list[Finding] = []
        self._problems: list[str] = []
        # a test node belongs to the user who runs it
        self._trusted = Trusted.by_us() if test_mode(environ) else Trusted()
        self._config = self._load()

    def _load(self) -> Config:
        path = self._paths.config_file
        flaw = Ways(self._trusted).flaw(path)
        if flaw is not None:
            text = f"{path}:0: others can change it, so the daemon doesn't start: {flaw.sentence}"
            self._findings.append(_configured(path, text, Severity.ERROR))
        try:
            config = load(path)
        except ConfigError as error:
            consequence = "no daemon would start, and the defaults are used here"
            self._findings += [_configured(path, f"{text}; {consequence}", Severity.ERROR) for text in error.texts]
            return Config()
        self._findings += [_configured(path, text, Severity.WARNING) for text in config.warnings]
        return config

    def carry_out(self, names: list[str], *, as_json: bool, plain: bool, strict: bool) -> int:
        components = list(self._examine(names))
        looked_at = [component for component, _ in components]
        for component in looked_at:
            self._findings += component_findings(component)
        is_ours = any(place.is_ours for _, place in components)
        if is_ours:
            self._findings += left_behind_findings(self._paths.events_dir)
        configured = self._config.locks if is_ours else {}
        self._findings += lock_findings(looked_at, configured, self._paths.config_file)
        if not names:  # a missing script can only be found if all components were examined
            self._findings += configured_event_findings(looked_at, self._config.events, self._paths.config_file)
        for problem in self._problems:
            complain(f"ctdb-event lint: {escaped(problem)}")
        screen = Screen(self._environ)
        if as_json:
            screen.write(document(self._as_json(looked_at)))
        else:
            for finding in self._findings:
                screen.write(_line(finding, screen) + "\n")
            if not plain:
                complain(f"ctdb-event lint: {self._summary(looked_at)}")
        return self._status(strict)

    def _status(self, strict: bool) -> int:
        if self._problems:
            return EXIT_NOT_LOOKED
        grave = {Severity.ERROR, Severity.WARNING} if strict else {Severity.ERROR}
        return EXIT_FOUND if any(finding.severity in grave for finding in self._findings) else EXIT_CLEAN

    # ------------------------------------------------------------------ what to check

    def _examine(self, names: list[str]) -> Iterator[tuple[Component, _Place]]:
        for place in self._places(names):
            try:
                component = examine(
                    *(place.directory, place.component, self._config.script_names, self._config.locks, place.trusted),
                    f"{self._paths.config_dir}/functions" if place.is_ours else None,
                    refuse_unsafe=place.is_ours and self._config.script_security == "refuse",
                )
            except NoSuchComponent:
                self._problems.append(f"{place.directory} is not a directory{_advice(place)}")
            except OSError as error:
                self._problems.append(f"{place.directory} can't be read: {error.strerror}")
            else:
                yield component, place

    def _places(self, names: list[str]) -> Iterator[_Place]:
        if not names:
            yield from self._below(self._paths.events_dir, needs_scripts=False)
        for name in names:
            if "/" in name or name in (".", ".."):
                yield from self._directory(name.rstrip("/") or "/")
                continue
            try:
                yield self._place(component_directory(self._paths.events_dir, name), name)
            except InvalidName as error:
                self._problems.append(str(error))

    def _directory(self, directory: str) -> Iterator[_Place]:
        """Yields a directory of scripts; if it has none but its subdirectories do, yields these."""
        below = [] if self._has_scripts(directory) else list(self._below(directory, needs_scripts=True))
        yield from below or [self._place(directory)]

    def _below(self, directory: str, *, needs_scripts: bool) -> Iterator[_Place]:
        try:
            names = sorted(os.listdir(directory), key=os.fsencode)
        except OSError as error:
            if not needs_scripts:
                self._problems.append(f"{directory} can't be read: {error.strerror}")
            return
        for name in names:
            path = f"{directory}/{name}"
            if os.path.isdir(path) and (not needs_scripts or self._has_scripts(path)):
                yield self._place(path, name)

    def _has_scripts(self, directory: str) -> bool:
        try:
            return any(shown_name(name) is not None for name in os.listdir(directory))
        except OSError:
            return False

    def _place(self, directory: str, component: str = "") -> _Place:
        real = os.path.realpath(directory)
        component = component or os.path.basename(real)
        homes = {os.path.realpath(home) for home in (self._paths.events_dir, self._paths.provided_dir)}
        # a component may be a link to another directory, and another directory may be a link to a component
        if {os.path.dirname(real), os.path.realpath(os.path.dirname(os.path.abspath(directory)))} & homes:
            return _Place(directory=directory, component=component, trusted=self._trusted, is_ours=True)
        trusted = _trusted_elsewhere(real)
        return _Place(directory=directory, component=component, trusted=trusted, is_ours=False)

    # ------------------------------------------------------------------ output

    def _count(self) -> dict[Severity, int]:
        return {severity: sum(finding.severity is severity for finding in self._findings) for severity in Severity}

    def _summary(self, components: Sequence[Component]) -> str:
        """Returns the number of examined scripts: otherwise no findings could also mean that there was no script."""
        scripts = sum(len(component.found.scripts) for component in components)
        found = ", ".join(_number(number, severity.value) for severity, number in self._count().items())
        return f"checked {_number(scripts, 'script')} in {_number(len(components), 'component')}: {found}"

    def _as_json(self, components: Iterable[Component]) -> dict[str, Any]:
        count = self._count()
        return {
            "format": _FORMAT,
            "errors": count[Severity.ERROR],
            "warnings": count[Severity.WARNING],
            "notes": count[Severity.NOTE],
            "components": [_component_as_json(component) for component in components],
            "findings": [_finding_as_json(finding) for finding in self._findings],
            "problems": self._problems,
        }


def _number(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"


def _advice(place: _Place) -> str:
    if os.path.isfile(place.directory):
        return f"; name the one that it is in: {os.path.dirname(place.directory)}/"
    return f"; the one here is ./{place.component}" if place.is_ours and os.path.isdir(place.component) else ""


def _trusted_elsewhere(directory: str) -> Trusted:
    """Trusts the owners of a working copy and its parents, as the installed files matter; not write access for all."""
    users, groups = {0, os.geteuid()}, {0}
    place = directory
    while place:
        with contextlib.suppress(OSError):
            status = os.stat(place)
            users.add(status.st_uid)
            groups.add(status.st_gid)
        place = place.rpartition("/")[0]
    return Trusted(users=frozenset(users), groups=frozenset(groups))


def _component_as_json(component: Component) -> dict[str, Any]:
    scripts = component.found.scripts
    return {
        "component": component.found.component,
        "directory": component.found.directory,
        "scripts": len(scripts),
        "enabled": sum(script.enabled for script in scripts),
    }


def _finding_as_json(finding: Finding) -> dict[str, Any]:
    return {
        "file": finding.path,
        "line": finding.line,
        "severity": finding.severity.value,
        "check": finding.check.value,
        "message": finding.message,
        "component": finding.component,
        "script": finding.script,
    }


def _line(finding: Finding, screen: Screen) -> str:
    where = finding.path if finding.line is None else f"{finding.path}:{finding.line}"
    text = f"{where}: {finding.severity.value}: {finding.message} [{finding.check.value}]"
    # one line for each, even if a name contains line breaks
    return screen.safe(text) if screen.terminal else text.replace("\n", "\\n")


def _configured(path: str, text: str, severity: Severity) -> Finding:
    """Converts an error or warning of the configuration's parser to a finding: `FILE:LINE: TEXT`."""
    line, _, message = text.removeprefix(f"{path}:").partition(": ")
    numbered = line.isdigit()
    return Finding(
        path=path,
        line=int(line) or None if numbered else None,
        severity=severity,
        check=Check.CONFIGURATION,
        message=message if numbered else text,
    )
