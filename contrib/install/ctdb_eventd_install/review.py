"""Checks whether the node would work with our daemon: CTDB's version, its configuration, the event scripts.

Reports scripts that our daemon treats differently: that run or fail with only one of the two daemons. Changes nothing.
"""

from __future__ import annotations

import enum
import os
import re
from collections.abc import Iterator

import attrs

from ctdb_eventd.config import Config, load
from ctdb_eventd.errors import ConfigError
from ctdb_eventd.files import Concern, why_disabled
from ctdb_eventd.inspection import ComponentInspection, Refusal, ScriptInspection, inspect_component
from ctdb_eventd.safety import Trusted, Ways
from ctdb_eventd.scripts import shown_name
from ctdb_eventd_install.places import NodePlaces

__all__ = [
    "Finding",
    "Severity",
    "review",
    "review_configuration",
    "review_places",
    "review_program",
    "review_scripts",
    "review_version",
]

_OLDEST = (4, 9)
"""The first CTDB with an event daemon and these script names."""
_TESTED = ((4, 17), (4, 22), (4, 24), (4, 25))
"""The versions that this project is tested with."""


_CTDBD_COMPONENT = "legacy"
"""The component whose events `ctdbd` asks for."""


class Severity(enum.Enum):
    """What a finding means for the installation."""

    GOOD = "ok"
    WARNING = "warning"
    ERROR = "ERROR"
    """The node would not come up: nothing is installed."""


@attrs.frozen
class Finding:
    """One thing that the administrator should know."""

    severity: Severity
    text: str


def review(places: NodePlaces) -> list[Finding]:
    """Checks everything that doesn't depend on our own installation."""
    config, findings = review_configuration(places)
    scripts = list(review_scripts(places, config))
    return [*review_version(places.ctdb_version()), *review_places(places), *findings, *scripts]


def review_version(version: str | None) -> Iterator[Finding]:
    """Checks CTDB's version, as its tool reports it; None if it is unknown."""
    found = re.search(r"([0-9]+)\.([0-9]+)", version or "")
    if version is None or found is None:
        yield Finding(Severity.WARNING, f"CTDB's version is unknown; {_show(_OLDEST)} or later is needed")
        return
    number = (int(found[1]), int(found[2]))
    if number < _OLDEST:
        yield Finding(Severity.ERROR, f"CTDB {version} is too old: {_show(_OLDEST)} is the first with an event daemon")
    elif number in _TESTED:
        yield Finding(Severity.GOOD, f"CTDB {version}")
    else:
        tested = ", ".join(map(_show, _TESTED))
        yield Finding(Severity.WARNING, f"CTDB {version}: ours was tested with {tested}, and not with this one")


def review_places(places: NodePlaces) -> Iterator[Finding]:
    """Reports where our daemon will listen; an error if that is unknown, since ctdbd wouldn't find it."""
    node = places.node
    if node.problem:
        yield Finding(Severity.ERROR, f"where our daemon has to listen can't be found out from CTDB: {node.problem}")
    elif places.root != "/":
        later = "the shell file asks at each start, and starts CTDB's own daemon if there is no answer"
        text = f"{places.helper_dir}/ctdb-path was not run for CTDB's paths: it is below {places.root}; {later}"
        yield Finding(Severity.WARNING, text)
    else:
        text = f"socket {node.socket}, pid file {node.pid_file}, state {node.state_dir}"
        yield Finding(Severity.GOOD, f"CTDB's paths, as {places.helper_dir}/ctdb-path prints them: {text}")


def _show(version: tuple[int, int]) -> str:
    return ".".join(map(str, version))


def review_configuration(places: NodePlaces) -> tuple[Config, list[Finding]]:
    """Reads ctdb.conf as our daemon would; if it has an error, returns the defaults."""
    path = places.below(places.node.config_file)
    try:
        config = load(path)
    except ConfigError as error:
        return Config(), [Finding(Severity.ERROR, f"our daemon would not start: {text}") for text in error.texts]
    flaw = Ways(_trusted(places), places.tree).flaw(places.node.config_file)
    if flaw is not None:
        text = f"our daemon would not start: others can change {places.node.config_file}: {flaw.sentence}"
        return config, [Finding(Severity.ERROR, text)]
    warnings = [Finding(Severity.WARNING, warning) for warning in config.warnings]
    return config, warnings or [Finding(Severity.GOOD, f"configuration {places.node.config_file}")]


def review_program(places: NodePlaces, *programs: str) -> Iterator[Finding]:
    """Warns if users other than root could change what root will run: the files or a directory above them."""
    ways = Ways(_trusted(places), places.tree)
    for flaw in dict.fromkeys(flaw for program in programs for flaw in ways.flaws(program)):
        yield Finding(Severity.WARNING, f"{flaw.place} is {flaw}, and what root runs is there or below; {flaw.remedy}")


def _trusted(places: NodePlaces) -> Trusted:
    # the owner and the group of an image's root directory are trusted
    root = os.stat(places.root)
    return Trusted(users=frozenset({0, root.st_uid}), groups=frozenset({0, root.st_gid} if root.st_uid else {0}))


def review_scripts(places: NodePlaces, config: Config) -> Iterator[Finding]:
    """Reports scripts that our daemon treats differently from CTDB's, and scripts that aren't safe."""
    events = places.node.events_dir
    try:
        components = sorted(os.listdir(places.below(events)))
    except OSError as error:
        yield Finding(Severity.WARNING, f"{events} can't be read: {error.strerror}")
        return
    for component in components:
        if os.path.isdir(places.below(f"{events}/{component}")):
            yield from _review_component(places, config, component)


def _review_component(places: NodePlaces, config: Config, component: str) -> Iterator[Finding]:
    directory = f"{places.node.events_dir}/{component}"
    trusted = _trusted(places)
    found = inspect_component(directory, component, config.script_names, tree=places.tree, trusted=trusted)
    enabled = [script for script in found.scripts if script.enabled]
    count = f"{directory}: {len(enabled)} enabled of {len(found.scripts)} event scripts"
    if component == _CTDBD_COMPONENT and not enabled:
        advice = f"the node would look healthy and do nothing; `ctdb event script enable {component} NAME` enables one"
        yield Finding(Severity.WARNING, f"{count}: {advice}")
    else:
        yield Finding(Severity.GOOD, count)
    for text in (*_left_out(places, found), *(text for script in found.scripts for text in _review_script(script))):
        yield Finding(Severity.WARNING, text)
    ways = Ways(trusted, places.tree)
    paths = (directory, *(script.path for script in enabled))
    for flaw in dict.fromkeys(flaw for path in paths for flaw in ways.flaws(path)):
        if config.script_security == "refuse":
            text = f"our daemon would refuse scripts: {flaw.sentence}, or set [eventd] script security = warn"
            yield Finding(Severity.ERROR, text)
        else:
            yield Finding(Severity.WARNING, f"scripts run although others can change them: {flaw.sentence}")


def _left_out(places: NodePlaces, found: ComponentInspection) -> Iterator[str]:
    for file in found.refused:
        if file.refusal is Refusal.HIDDEN:
            yield f"{file.path}: runs with neither daemon, {file.path}.script takes precedence"
        elif file.refusal is Refusal.LEFT_OUT and why_disabled(places.tree, file.path) is None:
            yield f"{file.path}: runs with neither daemon, for others here end in .script (script names = auto)"
        elif shown_name(os.path.basename(file.path), "suffix") and why_disabled(places.tree, file.path) is None:
            yield f"{file.path}: runs with CTDB's daemon, not with ours (script names = bare)"


def _review_script(script: ScriptInspection) -> Iterator[str]:
    path = script.path
    if not script.enabled:
        dangling = (remark for remark in script.warnings if remark.concern is Concern.DANGLING)
        yield from (f"{path}: {script.reason}: {remark} (CTDB 4.17 fails the event)" for remark in dangling)
        return
    for remark in script.warnings:
        if remark.concern is Concern.ONLY_HERE:
            why = f"that requires {path}.script, ours can do without: script names"
            yield f"{path}: runs with ours, not with CTDB's daemon ({why})"
        elif remark.concern is Concern.BROKEN:
            yield f"{path}: {remark}"
        elif remark.concern is not Concern.UNSAFE:
            yield f"{path}: {remark}: its events fail with ours; CTDB's daemon may skip it as disabled"
