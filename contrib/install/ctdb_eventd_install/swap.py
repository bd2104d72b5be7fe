"""The steps that replace CTDB's daemon by ours, and the steps back.

The helper's path is a working program at any time, even if the installer is killed: it is only changed by rename, to
ours after CTDB's is kept and recorded, and back before either is undone. An upgrade of CTDB may come between any two
steps. Each plan starts from the present state, so running the installer again completes an interrupted one.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Callable

import attrs

from ctdb_eventd_install.fallback import is_ours
from ctdb_eventd_install.places import NodePlaces
from ctdb_eventd_install.problems import InstallError, KeptIsMissing, NoEventDaemon, StepFailed
from ctdb_eventd_install.records import Record

__all__ = ["State", "Step", "carry_out", "look", "plan_install", "plan_remove"]


@attrs.frozen(kw_only=True)
class State:
    """The state of the installation."""

    helper_exists: bool
    """There is a file of the helper's name."""
    helper_is_ours: bool
    """It is our launcher."""
    kept_exists: bool
    """CTDB's daemon is kept beside it."""
    same: bool
    """Both names are links to one file, as between two steps."""
    recorded: bool
    """The installation is recorded."""
    unfinished: bool
    """There is a temporary file, so an installer was killed."""

    @property
    def installed(self) -> bool:
        """The installation is complete."""
        return self.helper_is_ours and self.kept_exists and self.recorded and not self.unfinished

    @property
    def untouched(self) -> bool:
        """Nothing of ours is there."""
        ours = self.helper_is_ours or self.kept_exists or self.recorded or self.unfinished
        return self.helper_exists and not ours


@attrs.frozen
class Step:
    """An atomic change."""

    text: str
    """Its description, to follow "will" or "could not"."""
    action: Callable[[], None]


def look(places: NodePlaces, record: Record) -> State:
    """Returns the present state.

    Raises:
        InstallError: dpkg can't say, or has diverted the helper for somebody else.
    """
    helper, kept = places.below(places.helper), places.below(places.kept)
    helper_exists, kept_exists = os.path.exists(helper), os.path.exists(kept)
    try:
        recorded = record.exists()
    except OSError as error:
        raise InstallError(f"can't find out whether {places.helper} is diverted: {error.strerror}") from error
    return State(
        helper_exists=helper_exists,
        helper_is_ours=is_ours(helper),
        kept_exists=kept_exists,
        same=helper_exists and kept_exists and os.path.samefile(helper, kept),
        recorded=recorded,
        unfinished=os.path.lexists(places.below(places.new)),
    )


def plan_install(places: NodePlaces, record: Record, state: State, content: bytes) -> list[Step]:
    """Returns the steps that put `content` in the helper's place; none if that is done.

    Raises:
        KeptIsMissing: Ours is in place and CTDB's has gone: there is nothing to fall back on.
        NoEventDaemon: Neither is there.
    """
    if not state.helper_exists and not state.kept_exists:
        raise NoEventDaemon((places.helper_dir,))
    if state.helper_is_ours and not state.kept_exists:
        raise KeptIsMissing(places.kept)
    steps = []
    # If CTDB was upgraded after a diversion without a swap, the newer daemon is the one that is kept.
    kept_is_newest = record.upgrades_go_aside and state.recorded and state.kept_exists
    if state.helper_exists and not state.helper_is_ours and not state.same and not kept_is_newest:
        text = f"keep CTDB's own daemon as {places.kept}"
        steps.append(Step(text, lambda: _link(places, places.helper, places.kept)))
    if not state.recorded:
        steps.append(Step(record.making, record.make))
    if _read(places.below(places.helper)) != content or not _is_executable(places.below(places.helper)):
        text = f"put a shell file that starts ours, or else CTDB's, in its place: {places.helper}"
        steps.append(Step(text, lambda: _write(places, content)))
    return steps + _tidy(places, state)


def plan_remove(places: NodePlaces, record: Record, state: State) -> list[Step]:
    """Returns the steps that give the helper's name back to CTDB's daemon; none if it has it.

    Raises:
        KeptIsMissing: CTDB's daemon has gone, and there is a ctdbd that wants one.
    """
    steps = []
    if state.helper_is_ours and not state.kept_exists:
        if places.has_ctdbd():
            raise KeptIsMissing(places.kept)
        text = f"remove {places.helper}; CTDB is not installed any more"
        steps.append(Step(text, lambda: _unlink(places, places.helper)))
    elif state.kept_exists and not state.helper_exists and not places.has_ctdbd():
        pass  # CTDB was removed, as by RPM, which knows nothing of the second name
    elif state.kept_exists and not state.same and _kept_belongs_there(record, state):
        text = f"put CTDB's own daemon back in its place: {places.helper}"
        steps.append(Step(text, lambda: _link(places, places.kept, places.helper)))
    if state.recorded:
        steps.append(Step(record.undoing, record.undo))
    if state.kept_exists:
        text = f"remove its second name {places.kept}"
        steps.append(Step(text, lambda: _unlink(places, places.kept)))
    return steps + _tidy(places, state)


def _tidy(places: NodePlaces, state: State) -> list[Step]:
    if not state.unfinished:
        return []
    return [Step(f"remove what was left unfinished: {places.new}", lambda: _unlink(places, places.new))]


def _kept_belongs_there(record: Record, state: State) -> bool:
    """Returns whether the kept daemon is the one to use: not if an upgrade has put a newer one in its place."""
    return state.helper_is_ours or not state.helper_exists or (record.upgrades_go_aside and state.recorded)


def carry_out(steps: list[Step], places: NodePlaces, report: Callable[[str], None]) -> None:
    """Does the steps in turn.

    Raises:
        StepFailed: One could not be done; the later ones were not tried.
    """
    for step in steps:
        try:
            _unlink(places, places.new)
            step.action()
            _sync_directory(places)
        except OSError as error:
            raise StepFailed(step.text, error.strerror or str(error)) from error
        report(step.text)


def _link(places: NodePlaces, source: str, target: str) -> None:
    """Gives a file a second name, in place of whatever has that name: it is never without a file."""
    new = places.below(places.new)
    os.link(places.below(source), new)
    os.rename(new, places.below(target))


def _write(places: NodePlaces, content: bytes) -> None:
    _unlink(places, places.new)  # of an installer that was killed
    new = places.below(places.new)
    # never writable by others, whatever the umask is: who has it open for writing keeps that
    fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o700)
    with open(fd, "wb") as file:
        file.write(content)
        file.flush()
        os.fchmod(fd, 0o755)
        # Before the rename: after a power failure the name must not belong to an empty file.
        os.fsync(file.fileno())
    os.rename(new, places.below(places.helper))


def _unlink(places: NodePlaces, path: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(places.below(path))


def _sync_directory(places: NodePlaces) -> None:
    directory = os.open(places.below(places.helper_dir), os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        return b""


def _is_executable(path: str) -> bool:
    try:
        return stat.S_IMODE(os.stat(path).st_mode) == 0o755
    except OSError:
        return False
