"""Checks `[events]` in ctdb.conf for `ctdb-event lint`: missing scripts, and events without a label in the script."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from ctdb_event.lint.check import Component, line_of
from ctdb_event.lint.declared_events import differences
from ctdb_event.lint.report import Check, Finding, Severity
from ctdb_event.lint.shell_cases import event_labels
from ctdb_eventd.handled import ALL
from ctdb_eventd.text import nearest

__all__ = ["configured_event_findings"]


def configured_event_findings(
    components: Iterable[Component], configured: Mapping[str, tuple[str, ...]], config_file: str
) -> list[Finding]:
    """Compares the configuration with the scripts of all components.

    Args:
        components: All components of the node.
        configured: The events of scripts, by their shown names.
        config_file: Path of the configuration.
    """
    scripts = [(component, script.name, script.path) for component in components for script in component.found.scripts]
    findings: list[Finding] = []
    for name in sorted(configured):
        line = line_of(name, config_file)
        places = [(component, path) for component, script, path in scripts if script == name]
        if not places:
            near = nearest(name, {script for _, script, _ in scripts}, similarity=0.8)
            message = f'no component has a script "{name}"' + (f'; "{near}"?' if near else "")
            findings.append(Finding(Severity.WARNING, Check.EVENT_DECLARED, message, line, config_file))
        for component, path in places:
            findings += _compare(component, path, name, configured[name], f"{config_file}:{line}")
    return findings


def _compare(component: Component, path: str, name: str, events: tuple[str, ...], where: str) -> Iterator[Finding]:
    content = component.contents.get(path)
    if content is None or ALL in events:
        return
    labels = list(event_labels(content.data.decode("utf-8", "surrogateescape")))
    for_nothing, never = differences(events, labels)
    place = (path, component.found.component, name)
    for event in for_nothing:
        message = f'{where} names "{event}", but no case label matches it: the script is started for it needlessly'
        yield Finding(Severity.WARNING, Check.EVENT_DECLARED, message, None, *place)
    for number, label in never:
        message = f'"{label}" is not among the events of {where}, so this never runs'
        yield Finding(Severity.WARNING, Check.EVENT_DECLARED, message, number, *place)
