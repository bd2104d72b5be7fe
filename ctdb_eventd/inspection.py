"""Diagnoses the files in a component's directory: which run, which don't and why, which are unsafe.

Read-only: no log, no event loop, nothing is changed or executed. Doesn't read the configuration: callers pass the
settings that it needs. Paths are those on the node, whose root may be a directory on this machine.
"""

from __future__ import annotations

import contextlib
import enum
import os
import stat
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import attrs

from ctdb_eventd.files import Concern, Remark, Tree, why_broken, why_disabled, why_no_program
from ctdb_eventd.handled import Handled, Library, declared_events, digest_of, handled_events, provided
from ctdb_eventd.safety import Trusted, Ways
from ctdb_eventd.scripts import Script, declared_locks, discover, form_of, is_lock_name, shown_name

if TYPE_CHECKING:
    from ctdb_eventd.scripts import NameForm, NameRule

__all__ = [
    "ComponentInspection",
    "Concern",
    "Refusal",
    "RefusedFile",
    "Remark",
    "ScriptInspection",
    "Tree",
    "Trusted",
    "inspect_component",
]

_SUFFIX = ".script"


class Refusal(enum.Enum):
    """Why a file is not a script."""

    NO_NUMBER = "no number"
    """Its name doesn't start with two digits, a dot and at least one other character."""
    BACKUP = "backup"
    """Its name ends in `~`, as editors' backup files do."""
    FURTHER_DOT = "further dot"
    """Its name has another dot, as package managers' copies do."""
    HIDDEN = "hidden"
    """Another file has the same name and `.script`."""
    WRONG_FORM = "wrong form"
    """The configuration requires the other form of names."""
    LEFT_OUT = "left out"
    """Its name doesn't end in `.script` and others do: with `auto` only those run."""


@attrs.frozen(kw_only=True)
class ScriptInspection:
    """The diagnosis of one script."""

    name: str
    """As shown to users: without `.script`."""
    path: str
    """The file in the component's directory."""
    target: str | None
    """Where the link finally leads, even if nothing exists there; None if it is not a link."""
    bare: bool
    """Whether the file's name doesn't end in `.script`."""
    reason: str | None
    """Why it is disabled; None if it is enabled."""
    warnings: tuple[Remark, ...]
    """The most severe first."""
    locks: tuple[str, ...]
    """Locks that it holds while it runs: first those that its head declares, then the configured ones."""
    handled: Handled | None = None
    """The events for which it is started; None for all."""
    owner: int | None = None
    """The owner of the file; None if there is no file."""
    modified: float | None = None
    """Time of the last change of its content, in seconds since the epoch."""
    digest: str | None = None
    """SHA-256 of its content, in hex; None if it can't be read, or is too large for a script."""

    @property
    def enabled(self) -> bool:
        """Whether it would run."""
        return self.reason is None

    @property
    def value(self) -> dict[str, object]:
        """The script as the map that clients receive."""
        handled = self.handled
        return {
            "name": self.name,
            "path": self.path,
            "target": self.target,
            "enabled": self.enabled,
            "reason": self.reason,
            "warnings": [str(warning) for warning in self.warnings],
            "locks": self.locks,
            "events": None if handled is None else handled.events,
            "known_from": None if handled is None else handled.origin.value,
            "owner": self.owner,
            "modified": self.modified,
            "digest": self.digest,
        }


@attrs.frozen(kw_only=True)
class RefusedFile:
    """A file that is not a script."""

    path: str
    """The file in the component's directory."""
    refusal: Refusal
    """The reason, for programs."""
    reason: str
    """The reason, for users: shown after the path."""


@attrs.frozen(kw_only=True)
class ComponentInspection:
    """The diagnosis of a component."""

    component: str
    """Its name."""
    directory: str
    """The directory of its files."""
    scripts: tuple[ScriptInspection, ...]
    """In the order in which they run."""
    refused: tuple[RefusedFile, ...]
    """All other files, in byte order of their names."""


def inspect_component(
    directory: str,
    component: str,
    rule: NameRule = "auto",
    configured_locks: Mapping[str, tuple[str, ...]] | None = None,
    *,
    configured_events: Mapping[str, tuple[str, ...]] | None = None,
    library: Library | None = None,
    tree: Tree | None = None,
    trusted: Trusted | None = None,
    refuse_unsafe: bool = False,
) -> ComponentInspection:
    """Diagnoses all files of a component.

    Args:
        directory: The component's, as a path on the node.
        component: Its name.
        rule: Which file names are scripts.
        configured_locks: For each lock, the shown names of the scripts that hold it.
        configured_events: The events of scripts, by their shown names.
        library: The code that CTDB's own scripts run first; None if the table of their events is not used.
        tree: Where the node's files are; None for this machine's.
        trusted: Who may change scripts; None for those that a daemon run by this user trusts.
        refuse_unsafe: Whether scripts that other users can change don't run.

    Raises:
        NoSuchComponent: The directory doesn't exist.
        OSError: The directory can't be read.
    """
    tree = tree or Tree()
    place = tree.below(directory)
    listing = discover(place, component, rule)
    file_names = sorted(os.listdir(place), key=os.fsencode)
    look = _Look(
        directory=directory,
        rule=rule,
        form=form_of(file_names, rule),
        locks=configured_locks or {},
        events=configured_events or {},
        versions=frozenset() if library is None else library.versions(),
        tree=tree,
        ways=Ways(trusted, tree),
        refuse_unsafe=refuse_unsafe,
    )
    hidden = {os.path.basename(path) for path in listing.shadowed}
    refused = (look.refused(name, name in hidden) for name in file_names)
    return ComponentInspection(
        component=component,
        directory=directory,
        scripts=tuple(look.script(script) for script in listing.scripts),
        refused=tuple(file for file in refused if file is not None),
    )


@attrs.frozen(kw_only=True)
class _Look:
    """One inspection; has the arguments of `inspect_component`, and the form of names that `rule` selects."""

    directory: str
    rule: NameRule
    form: NameForm
    locks: Mapping[str, tuple[str, ...]]
    events: Mapping[str, tuple[str, ...]]
    versions: frozenset[str]
    tree: Tree
    ways: Ways
    refuse_unsafe: bool

    def script(self, script: Script) -> ScriptInspection:
        path = f"{self.directory}/{os.path.basename(script.path)}"
        is_link = self.tree.target(path) is not None
        target = self.tree.resolve(path) if is_link else path
        status = self._file_status(path)
        is_file = status is not None
        # a named pipe must not be opened: there may never be a writer
        file = self.tree.below(target)
        declared = declared_locks(file) if is_file else []
        events = declared_events(file) if is_file else None
        digest = digest_of(file) if is_file else None
        row = provided().row_of(script.name, digest) if self.versions else None
        if row is not None and row.versions.isdisjoint(self.versions):
            row = None
        reason = why_disabled(self.tree, path)
        configured = (lock for lock, names in self.locks.items() if script.name in names)
        return ScriptInspection(
            name=script.name,
            path=path,
            target=target if is_link else None,
            bare=script.bare,
            reason=reason,
            warnings=tuple(self._remarks(path, target, is_file=is_file, bare=script.bare, runs=reason is None)),
            locks=tuple(dict.fromkeys((*filter(is_lock_name, declared), *configured))),
            handled=handled_events(events, self.events.get(script.name), row),
            owner=None if status is None else status.st_uid,
            modified=None if status is None else status.st_mtime,
            digest=digest,
        )

    def _file_status(self, path: str) -> os.stat_result | None:
        """Returns the status of a regular file or of a link to one, None for anything else."""
        with contextlib.suppress(OSError):
            status = self.tree.status(path)
            if stat.S_ISREG(status.st_mode):
                return status
        return None

    def _remarks(self, path: str, target: str, *, is_file: bool, bare: bool, runs: bool) -> Iterator[Remark]:
        judgement = "every event fails" if runs and self.refuse_unsafe else "unsafe"
        for flaw in dict.fromkeys(self.ways.flaws(path)) if is_file else ():
            yield Remark(concern=Concern.UNSAFE, place=flaw.place, text=f"{judgement}: {flaw.sentence}")
        fault = why_no_program(self.tree, target) if is_file else why_broken(self.tree, path)
        if fault is not None:
            yield fault
        if bare:
            text = f"runs only here: CTDB's own daemon requires the name {os.path.basename(path)}{_SUFFIX}"
            yield Remark(concern=Concern.ONLY_HERE, place=path, text=text)

    def refused(self, name: str, hidden: bool) -> RefusedFile | None:
        """Returns None for a script."""
        if hidden:
            refusal, reason = Refusal.HIDDEN, f"hidden by {name}{_SUFFIX}, which has the same name and takes precedence"
        elif shown_name(name, self.form) is not None:
            return None
        else:
            refusal, reason = _why_refused(name, self.rule)
        return RefusedFile(path=f"{self.directory}/{name}", refusal=refusal, reason=reason)


def _why_refused(name: str, rule: NameRule) -> tuple[Refusal, str]:
    if shown_name(f"{name}{_SUFFIX}") is None:
        return Refusal.NO_NUMBER, "its name doesn't start with two digits and a dot"
    if len(name) < 4:
        return Refusal.NO_NUMBER, "its name has nothing behind the number"
    if name.endswith("~"):
        return Refusal.BACKUP, "its name ends in ~, as those of editors' copies do"
    configured = f"[eventd] script names = {rule}"
    if name.endswith(_SUFFIX):
        return Refusal.WRONG_FORM, f"its name ends in {_SUFFIX}, and the configuration says {configured}"
    if "." in name[3:]:
        return Refusal.FURTHER_DOT, f"its name has a further dot and doesn't end in {_SUFFIX}"
    if rule == "auto":
        reason = f"its name doesn't end in {_SUFFIX}, as others here do; with {configured} only those run"
        return Refusal.LEFT_OUT, reason
    return Refusal.WRONG_FORM, f"its name doesn't end in {_SUFFIX}, and the configuration says {configured}"
