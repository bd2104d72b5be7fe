"""Looks at what decides how the node would do with our daemon: CTDB's version, its configuration, the event scripts.

Scripts are looked at for what becomes different: what runs or fails here and not under CTDB's own daemon. Changes
nothing.
"""

from __future__ import annotations

import enum
import os
import re
import stat
from collections.abc import Iterator

import attrs

from ctdb_eventd.config import Config, load
from ctdb_eventd.errors import ConfigError
from ctdb_eventd.scripts import Script, discover, shown_name
from ctdb_eventd_install.places import NodePlaces, shebang

__all__ = [
    "Finding",
    "Severity",
    "review",
    "review_configuration",
    "review_program",
    "review_scripts",
    "review_version",
]

_OLDEST = (4, 9)
"""The first CTDB with an event daemon and these script names."""
_TRIED = ((4, 17), (4, 24))
"""What this project follows and is tested with: nothing is known to differ between and next to them."""
_MACHINE_CODE = b"\x7fELF"


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
    """Looks at everything that doesn't depend on our own installation."""
    config, findings = review_configuration(places)
    scripts = list(review_scripts(places, config))
    return [*review_version(places.ctdb_version()), *findings, *scripts]


def review_version(version: str | None) -> Iterator[Finding]:
    """Judges CTDB's version, as its tool says it; None if it could not be asked."""
    found = re.search(r"([0-9]+)\.([0-9]+)", version or "")
    if version is None or found is None:
        yield Finding(Severity.WARNING, f"CTDB's version is unknown; {_show(_OLDEST)} or later is needed")
        return
    number = (int(found[1]), int(found[2]))
    oldest_tried, latest_tried = _TRIED
    if number < _OLDEST:
        yield Finding(Severity.ERROR, f"CTDB {version} is too old: {_show(_OLDEST)} is the first with an event daemon")
    elif oldest_tried <= number <= latest_tried:
        yield Finding(Severity.GOOD, f"CTDB {version}")
    else:
        tried = f"{_show(oldest_tried)} to {_show(latest_tried)}"
        yield Finding(Severity.WARNING, f"CTDB {version}: ours follows {tried} and was not tried with this one")


def _show(version: tuple[int, int]) -> str:
    return ".".join(map(str, version))


def review_configuration(places: NodePlaces) -> tuple[Config, list[Finding]]:
    """Reads ctdb.conf as our daemon would; with an error in it the defaults stand in for it."""
    path = places.below(places.node.config_file)
    try:
        config = load(path)
    except ConfigError as error:
        return Config(), [Finding(Severity.ERROR, f"our daemon would not start: {error}")]
    warnings = [Finding(Severity.WARNING, warning) for warning in config.warnings]
    return config, warnings or [Finding(Severity.GOOD, f"configuration {places.node.config_file}")]


def review_program(places: NodePlaces, *programs: str) -> Iterator[Finding]:
    """Warns if others than root could change what root will run: the files or a directory above them."""
    paths: dict[str, None] = {}
    for program in programs:
        path = places.resolve(program)
        while path not in ("", "/"):
            paths[path] = None
            path = os.path.dirname(path)
    for path in paths:
        reason = _why_unsafe(places, path)
        if reason:
            yield Finding(Severity.WARNING, f"{path} is {reason}, and what root runs is there or below")


def review_scripts(places: NodePlaces, config: Config) -> Iterator[Finding]:
    """Lists each script that our daemon treats otherwise than CTDB's, and each that isn't safe."""
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
    listing = discover(places.below(directory), component, config.script_names)
    enabled = [script for script in listing.scripts if _is_enabled(places, _inside(directory, script.path))]
    findings: list[Finding] = []
    for path in listing.shadowed:
        name = _inside(directory, path)
        findings.append(Finding(Severity.WARNING, f"{name}: runs with neither daemon, {name}.script hides it"))
    if config.script_names == "bare":
        findings += _left_out(places, directory)
    for script in enabled:
        findings += _review_script(places, script, _inside(directory, script.path))
    yield Finding(Severity.GOOD, f"{directory}: {len(enabled)} enabled of {len(listing.scripts)} event scripts")
    yield from findings
    reason = _why_unsafe(places, directory)
    if reason:
        yield Finding(Severity.WARNING, f"{directory} is {reason}: whoever can change it is root")


def _inside(directory: str, path: str) -> str:
    return f"{directory}/{os.path.basename(path)}"


def _left_out(places: NodePlaces, directory: str) -> Iterator[Finding]:
    for name in sorted(os.listdir(places.below(directory))):
        path = f"{directory}/{name}"
        if shown_name(name, "suffix") and _is_enabled(places, path):
            yield Finding(Severity.WARNING, f"{path}: runs with CTDB's daemon, not with ours (script names = bare)")


def _review_script(places: NodePlaces, script: Script, path: str) -> Iterator[Finding]:
    target = places.resolve(path)
    if script.bare:
        text = f"runs with ours, not with CTDB's daemon (that wants {path}.script, ours can do without: script names)"
        yield Finding(Severity.WARNING, f"{path}: {text}")
    fault = _why_no_program(places, target)
    if fault:
        text = f"{fault}: its events fail with ours; CTDB's daemon may pass over it as disabled"
        yield Finding(Severity.WARNING, f"{path}: {text}")
    for place in dict.fromkeys((target, os.path.dirname(target))):
        reason = _why_unsafe(places, place)
        if reason and place != os.path.dirname(path):  # the component's own directory is reported once
            yield Finding(Severity.WARNING, f"{path}: runs with either, but is unsafe: {place} is {reason}")


def _is_enabled(places: NodePlaces, path: str) -> bool:
    # Not Script.enabled: it would follow a link out of the root.
    try:
        mode = os.stat(places.below(places.resolve(path))).st_mode
    except OSError:
        return False
    return bool(mode & stat.S_IXUSR and stat.S_ISREG(mode))


def _why_no_program(places: NodePlaces, path: str) -> str | None:
    try:
        with open(places.below(path), "rb") as file:
            head = file.readline(256)
    except OSError as error:
        return f"can't be read ({error.strerror})"
    if head.startswith(_MACHINE_CODE):
        return None
    interpreter, _ = shebang(head)
    if not interpreter:
        return "is no program, its first line names no interpreter (such as #!/bin/sh)"
    exists = os.path.exists(places.below(places.resolve(interpreter)))
    return None if exists else f"its interpreter {interpreter!r} does not exist"


def _why_unsafe(places: NodePlaces, path: str) -> str | None:
    """Returns who else may change a file; below a root of somebody's own that somebody is trusted."""
    try:
        status = os.stat(places.below(path))
        trusted = {0, os.stat(places.root).st_uid}
    except OSError:
        return None
    reasons = []
    if status.st_uid not in trusted:
        reasons.append(f"owned by user {status.st_uid}, not root")
    writers = [who for who, bit in (("its group", stat.S_IWGRP), ("everybody", stat.S_IWOTH)) if status.st_mode & bit]
    # In such a directory (/tmp) nobody can rename or remove what isn't his.
    sticky = stat.S_ISDIR(status.st_mode) and status.st_mode & stat.S_ISVTX
    if writers and not sticky:
        reasons.append(f"writable by {' and '.join(writers)}")
    return ", ".join(reasons) or None
